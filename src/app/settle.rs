//! Settling: what the views show is brought up to date with the store, before each update and each frame.
//!
//! The work is proportional to what changed: a list whose revision is the same is not looked at. What is
//! selected stays selected by identity; where it is gone, the row at its place is selected instead.

use crate::app::history::View;
use crate::app::logs::Logs;
use crate::app::moving;
use crate::app::state::State;
use crate::app::table::Table;
use crate::identity::{Context, ObjectRef};
use crate::store::Store;

impl State {
    /// Brings what is shown up to date with the store.
    pub fn settle(&mut self, store: &Store) {
        let page = moving::page(self);
        let Some(context) = self.session.context.clone() else { return };
        let scope = self.scope.clone();
        let tenancy = &self.tenancy;
        match self.views.last_mut() {
            Some(View::Table(table)) => {
                let fits = |object: &ObjectRef| {
                    let namespace = object.namespace.as_deref();
                    scope.namespace.as_deref().is_none_or(|one| namespace == Some(one))
                        && scope.tenant.as_ref().is_none_or(|tenant| {
                            namespace.and_then(|namespace| tenancy.of_namespace(namespace)) == Some(tenant)
                        })
                };
                settle_table(table, store, &context, fits);
                table.settle(page);
            }
            Some(View::Logs(logs)) => settle_logs(logs, page),
            _ => {}
        }
    }
}

fn settle_table(table: &mut Table, store: &Store, context: &Context, fits: impl Fn(&ObjectRef) -> bool) {
    let Some(shelf) = store.shelf(&table.query(context)) else { return };
    let mut rows: Vec<ObjectRef> = shelf
        .iter()
        .map(|(_, object)| ObjectRef {
            context: context.clone(),
            resource: table.resource.clone(),
            namespace: object.meta.namespace.clone(),
            name: object.meta.name.clone(),
        })
        .filter(fits)
        .collect();
    rows.sort();
    table.rows = rows;
}

fn settle_logs(logs: &mut Logs, page: usize) {
    let len = logs.lines.len();
    if logs.follow {
        logs.page.view.top = len.saturating_sub(page);
        logs.page.view.cursor = len.saturating_sub(1);
    }
    logs.page.view.top = logs.page.view.top.min(len.saturating_sub(1));
}
