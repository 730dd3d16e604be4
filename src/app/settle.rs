//! Settling: what the views show is brought up to date with the store, before each update and each frame.
//!
//! The work is proportional to what changed: a list whose revision is the same is not looked at. What is
//! selected stays selected by identity; where it is gone, the row at its place is selected instead. Before the
//! person has chosen anything, the first row is selected, whichever that is.

use crate::app::application::{Application, Node, Pane};
use crate::app::describe;
use crate::app::detail::{Detail, Entry, Tab};
use crate::app::history::View;
use crate::app::overview::{Overview, Panel};
use crate::app::state::{Overlay, State};
use crate::app::table::{Table, Within};
use crate::app::viewport::Viewport;
use crate::app::{memory, moving, standing};
use crate::filter::Scratch;
use crate::kinds::applications::Application as Slim;
use crate::kinds::{Health, Kind, Lens, measured};
use crate::model::application::{ask, told, tree};
use crate::model::holds::Holds;
use crate::model::tenants::Tenants;
use crate::model::timeline::Timeline;
use crate::rows::Scope;
use crate::signals::Raised;
use crate::store::Store;

/// The rows of a terminal from which on a graph stands below the lines of an alert.
const GRAPH_FROM: u16 = 24;

impl State {
    /// Brings what is shown up to date with the store.
    pub fn settle(&mut self, store: &Store) {
        memory::arrange(self);
        let page = moving::page(self);
        let Some(context) = self.session.context.clone() else { return };
        if self.tenants.refresh(store, &context, self.now) && *self.tenants.tenancy() != self.tenancy {
            self.tenancy = self.tenants.tenancy().clone();
            self.belonging += 1;
        }
        self.holds.refresh(store, &context, &self.tenancy);
        self.timeline.watch(store, &context, self.now);
        let lens =
            Lens { now: self.now, context: &context, store, kinds: &self.kinds, tenants: &self.tenancy };
        let pages = [Panel::Tenants, Panel::Changes, Panel::Held]
            .map(|panel| self.spots.page(panel as usize).unwrap_or(page));
        match self.views.last_mut() {
            Some(View::Board(board)) => {
                let within = super::board::panels::Within {
                    scope: &self.scope,
                    tenants: &self.tenants,
                    rollbacks: &self.rollbacks,
                    ended: self.timeline.ended(),
                    width: self.size.0,
                    page,
                };
                super::board::panels::settle(board, &lens, within);
            }
            Some(View::Boards(view)) => view.settle(self.boards.len(), page),
            Some(View::Table(table)) => {
                if let Some(kind) = self.kinds.get(&table.resource) {
                    // New numbers order the rows anew where they are ordered or filtered by them.
                    let used = used(table, kind, &lens);
                    let belonging = self.belonging.wrapping_add(used << 32);
                    let within = Within { scope: &self.scope, belonging, page };
                    table.settle(store, kind, &lens, within);
                }
            }
            Some(View::Overview(overview)) => {
                self.timeline.refresh(store, &self.kinds, &self.tenancy, &context, self.now);
                settle_overview(overview, &self.tenants, &self.timeline, &self.scope, pages);
                settle_holds(overview, &self.holds, &self.scope, pages[2]);
            }
            Some(View::Detail(detail)) => {
                settle_detail(detail, &lens, page, self.size.0);
                let within = super::board::panels::Within {
                    scope: &self.scope,
                    tenants: &self.tenants,
                    rollbacks: &self.rollbacks,
                    ended: self.timeline.ended(),
                    width: self.size.0,
                    page: 1,
                };
                settle_graph(detail, &lens, within, self.size.1);
            }
            Some(View::Application(app)) => settle_application(app, &lens, page),
            Some(View::Explore(view)) => {
                let len = view.len();
                if view.follow {
                    view.page.view.cursor = len.saturating_sub(1);
                }
                if view.centred {
                    view.page.view.top = view.page.view.cursor.saturating_sub(page / 2);
                }
                view.page.view.settle(len, page);
            }
            Some(View::Actions(view)) => view.settle(self.running.len(), page),
            Some(View::Info(_)) | None => {}
        }
        if let Some(View::Application(app)) = self.views.last()
            && matches!(app.pane, Pane::Operation | Pane::Conditions)
        {
            let lines = standing::lines(self, store, app).len();
            if let Some(View::Application(app)) = self.views.last_mut() {
                app.lines = lines;
            }
        }
        let selected = self.selected().filter(|object| {
            object.context == context && self.kinds.get(&object.resource).is_some_and(super::verbs::has_any)
        });
        self.rights = selected.map(|object| super::verbs::rights(store, &object)).unwrap_or_default();
        if let Some(Overlay::Question(question)) = &mut self.overlay {
            let lines = question.plan.as_ref().map_or(0, |plan| plan.lines.len());
            question.top = question.top.min(lines.saturating_sub(1));
        }
    }
}

/// Returns the revision of what is known of the use, where the rows of a table hang on it; else nought.
fn used(table: &Table, kind: &Kind, lens: &Lens<'_>) -> u64 {
    let sorted = table.sort.and_then(|sort| kind.columns.get(sort.column));
    let by_use = sorted.is_some_and(|column| measured::is_about_use(&column.id))
        || table.filter.text.contains("-use")
        || table.filter.text.contains("-share");
    let ask = measured::asks(lens.context, &table.resource).filter(|_| by_use);
    ask.and_then(|ask| lens.store.reading(&ask)).map_or(0, |reading| reading.revision)
}

fn settle_overview(
    overview: &mut Overview,
    tenants: &Tenants,
    timeline: &Timeline,
    scope: &Scope,
    pages: [usize; 3],
) {
    let mut scratch = Scratch::default();
    let filter = &overview.filter;
    overview.ranking = tenants
        .ranking()
        .iter()
        .map(|summary| &summary.name)
        .filter(|name| scope.tenant.as_ref().is_none_or(|one| one == *name))
        .filter(|name| filter.text.is_empty() || filter.matches_name(name, &mut scratch))
        .cloned()
        .collect();
    let selected = overview.selected.as_ref();
    if !overview.chosen {
        overview.tenants = Viewport::default();
    } else if let Some(row) = selected.and_then(|one| overview.ranking.iter().position(|name| name == one)) {
        overview.tenants.cursor = row;
    }
    overview.tenants.settle(overview.ranking.len(), pages[0]);
    overview.selected = overview.ranking.get(overview.tenants.cursor).cloned();
    overview.changed = timeline
        .entries()
        .iter()
        .enumerate()
        .filter(|(_, change)| scope.tenant.is_none() || change.tenant == scope.tenant)
        .map(|(place, _)| place)
        .collect();
    overview.changes.settle(overview.changed.len(), pages[1]);
}

fn settle_holds(overview: &mut Overview, holds: &Holds, scope: &Scope, page: usize) {
    let entries = holds.entries();
    overview.held = (0..entries.len())
        .filter(|at| scope.tenant.is_none() || entries[*at].tenant == scope.tenant)
        .collect();
    let selected = overview.hold.as_ref();
    let row = overview.held.iter().position(|at| Some(&entries[*at].object) == selected);
    if let Some(row) = row {
        overview.holds.cursor = row;
    }
    overview.holds.settle(overview.held.len(), page);
    overview.hold = overview.held.get(overview.holds.cursor).map(|at| entries[*at].object.clone());
    // A panel that is not drawn must not have the keys.
    if overview.held.is_empty() && overview.panel == Panel::Held {
        overview.panel = Panel::Tenants;
    }
}

fn settle_detail(detail: &mut Detail, lens: &Lens<'_>, page: usize, width: u16) {
    let stamp = Some((lens.store.revision(), detail.turn, width));
    if detail.described != stamp {
        detail.described = stamp;
        detail.entries = Entry::wrapped(describe::entries(detail, lens), width);
    }
    let len = detail.len();
    match detail.tab {
        Tab::Describe => detail.describe.view.settle(len, page),
        Tab::Yaml => {
            let view = &mut detail.page.view;
            view.top = view.top.min(len.saturating_sub(1));
        }
    }
}

/// Keeps the graph of an alert that is shown, where there is room for one.
fn settle_graph(detail: &mut Detail, lens: &Lens<'_>, within: super::board::panels::Within<'_>, height: u16) {
    let raised = lens.store.object(&detail.object).and_then(|object| object.body::<Raised>());
    if detail.tab != Tab::Describe || height < GRAPH_FROM {
        detail.graph = None;
        return;
    }
    if let (None, Some(raised)) = (&detail.graph, raised) {
        // Why there is nothing to draw is said when the graph is asked for by its key.
        detail.graph = super::alert::board(raised, lens.now).ok().map(Box::new);
    }
    if let Some(graph) = &mut detail.graph {
        super::board::panels::settle(graph, lens, within);
    }
}

fn settle_application(app: &mut Application, lens: &Lens<'_>, page: usize) {
    let stamp = Some((lens.store.revision(), app.folded.len()));
    if app.grown != stamp {
        app.grown = stamp;
        let selected = app.selected();
        let slim = lens.store.object(&app.object).and_then(|object| object.body::<Slim>());
        app.ask = slim.map(|slim| ask(&app.object, slim));
        app.is_told = slim.is_some_and(|slim| told(&app.object, slim, lens).is_some());
        app.tree = nodes(app, lens);
        let row =
            selected.and_then(|one| app.tree.iter().position(|node| node.object.as_ref() == Some(&one)));
        if let Some(row) = row {
            app.views[Pane::Resources as usize].cursor = row;
        }
    }
    let len = app.len();
    app.views[app.pane as usize].settle(len, page);
}

/// Returns the rows of the tree: the Application, then what it deploys, without what is folded away.
fn nodes(app: &Application, lens: &Lens<'_>) -> Vec<Node> {
    let Some(object) = lens.store.object(&app.object) else { return Vec::new() };
    let Some(slim) = object.body::<Slim>() else { return Vec::new() };
    let (health, why) = lens
        .kinds
        .get(&app.object.resource)
        .map_or_else(|| (Health::Unknown, crate::identity::Text::from("")), |kind| kind.health(object, lens));
    let leaves = tree(slim, told(&app.object, slim, lens), lens);
    let is_folded =
        |object: Option<&crate::identity::ObjectRef>| object.is_some_and(|one| app.folded.contains(one));
    let mut nodes = vec![Node {
        depth: 0,
        object: Some(app.object.clone()),
        name: format!("Application/{}", app.object.name),
        health,
        why,
        sync: slim.sync.clone(),
        has_children: !leaves.is_empty(),
        folded: is_folded(Some(&app.object)),
    }];
    // What is deeper than this is folded away.
    let mut shut = if is_folded(Some(&app.object)) { Some(0) } else { None };
    for leaf in leaves {
        let depth = leaf.depth + 1;
        if shut.is_some_and(|above| depth > above) {
            continue;
        }
        let folded = is_folded(leaf.object.as_ref());
        shut = folded.then_some(depth);
        nodes.push(Node {
            depth,
            object: leaf.object,
            name: format!("{}/{}", leaf.kind, leaf.name),
            health: leaf.health.unwrap_or(Health::Idle),
            why: leaf.why,
            sync: leaf.sync.unwrap_or_else(|| crate::identity::Text::from("")),
            has_children: leaf.has_children,
            folded,
        });
    }
    nodes
}
