//! Settling: what the views show is brought up to date with the store, before each update and each frame.
//!
//! The work is proportional to what changed: a list whose revision is the same is not looked at. What is
//! selected stays selected by identity; where it is gone, the row at its place is selected instead.

use crate::app::history::View;
use crate::app::logs::Logs;
use crate::app::moving;
use crate::app::state::State;
use crate::app::table::Within;
use crate::kinds::Lens;
use crate::store::Store;

impl State {
    /// Brings what is shown up to date with the store.
    pub fn settle(&mut self, store: &Store) {
        let page = moving::page(self);
        let Some(context) = &self.session.context else { return };
        let lens = Lens { now: self.now, context, store, kinds: &self.kinds, tenants: &self.tenancy };
        match self.views.last_mut() {
            Some(View::Table(table)) => {
                if let Some(kind) = self.kinds.get(&table.resource) {
                    let within = Within { scope: &self.scope, belonging: self.belonging, page };
                    table.settle(store, kind, &lens, within);
                }
            }
            Some(View::Logs(logs)) => settle_logs(logs, page),
            _ => {}
        }
    }
}

fn settle_logs(logs: &mut Logs, page: usize) {
    let len = logs.lines.len();
    if logs.follow {
        logs.page.view.top = len.saturating_sub(page);
        logs.page.view.cursor = len.saturating_sub(1);
    }
    logs.page.view.top = logs.page.view.top.min(len.saturating_sub(1));
}
