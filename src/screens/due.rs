//! Until when a frame holds: the moment at which, though nothing comes, something on it would read otherwise.
//!
//! Too early costs a frame that looks like the one before; too late would leave an old text on the screen, so
//! whatever is not worked out here holds for a second. Worked out are the two views that are left open all day, the
//! overview and the tables, as long as nothing on them is in trouble: how bad trouble is hangs on how long it lasts.

use jiff::Timestamp;

use super::Scene;
use crate::app::history::View;
use crate::app::overview::{Overview, Panel};
use crate::app::session::Link;
use crate::app::spot::Spots;
use crate::app::state::Status;
use crate::app::table::Table;
use crate::human;
use crate::identity::Resource;
use crate::kinds::{Cell, Health};
use crate::signals::{Ask, Wanted};
use crate::sources::SourceError;
use crate::store::{Feed, Query, Stage};

/// What the overview says of its lists.
const OVERVIEW: [(&str, &str); 5] = [
    ("", "namespaces"),
    ("", "pods"),
    ("argoproj.io", "applications"),
    ("", "events"),
    ("apps", "replicasets"),
];

/// Returns when a frame that was just drawn should be drawn again.
pub(super) fn due(scene: &Scene<'_>, spots: &Spots) -> Timestamp {
    let state = scene.state;
    let now = state.now;
    let second = Timestamp::from_second(now.as_second() + 1).unwrap_or(Timestamp::MAX);
    // The clock in the header, and moments of today that become moments of yesterday.
    let mut due = human::minute_until(now);
    if let Some(status) = &state.status {
        let goes = Timestamp::from_second(status.at.as_second() + Status::STAYS).unwrap_or(second);
        due = due.min(goes.max(second));
    }
    if is_moving(scene) {
        return second;
    }
    if let Some(looked) = looked(scene) {
        let fresh = Timestamp::from_second(looked.as_second() + 60).unwrap_or(second);
        due = due.min(if fresh > now { fresh } else { human::age_until(now, looked) });
    }
    match state.views.last() {
        None => due,
        Some(View::Table(table)) => rows(scene, table, spots, second).map_or(due, |rows| due.min(rows)),
        Some(View::Overview(view)) if tenants(scene, view, spots) => due,
        Some(_) => second,
    }
}

/// Returns when the systems beside the cluster were looked at last, whose age stands in the header.
fn looked(scene: &Scene<'_>) -> Option<Timestamp> {
    let context = scene.state.session.context.clone()?;
    scene.store.reading(&Ask { context, wanted: Wanted::Systems })?.at
}

/// Tells whether something around the view counts seconds: a connection that is made or lost, an action, a hold,
/// a list that is old.
fn is_moving(scene: &Scene<'_>) -> bool {
    let state = scene.state;
    let linked = matches!(state.session.link, Link::None | Link::Live { .. });
    let acting = state.running.iter().any(|running| running.ended.is_none());
    let context = state.session.context.as_ref();
    let is_old = |(group, plural): &(&str, &str)| {
        let query = context.map(|context| Query::all(context, &Resource::new(group, plural)));
        query.and_then(|query| scene.store.shelf(&query)).is_some_and(|shelf| counts(shelf.feed(), false))
    };
    let feeds: &[_] = match state.views.last() {
        Some(View::Overview(_)) => &OVERVIEW,
        _ => &[("argoproj.io", "applications")],
    };
    // Holds count down, and one that is over is offered back.
    let held = !state.holds.entries().is_empty() || state.revealed.is_some();
    !linked || acting || held || state.overlay.is_some() || feeds.iter().any(is_old)
}

/// Tells whether what is said of a list counts seconds; `whole` where that is said in full.
fn counts(feed: &Feed, whole: bool) -> bool {
    match &feed.stage {
        Stage::Waiting | Stage::Loading { .. } | Stage::Live => false,
        Stage::Failed { error: SourceError::Missing { .. }, .. } => whole,
        Stage::Failed { .. } | Stage::Refilling | Stage::Ended { .. } => true,
    }
}

/// Returns when a row of the window reads otherwise, if one ever does.
fn rows(scene: &Scene<'_>, table: &Table, spots: &Spots, second: Timestamp) -> Option<Timestamp> {
    let state = scene.state;
    let context = state.session.context.as_ref()?;
    let kind = state.kinds.get(&table.resource)?;
    let old = scene.store.shelf(&table.query(context)).is_some_and(|shelf| counts(shelf.feed(), true));
    if old || table.is_restless(kind) {
        return Some(second);
    }
    let lens = state.lens(scene.store, context);
    let mut due: Option<Timestamp> = None;
    for row in (table.view.top..table.len()).take(spots.page(0).unwrap_or(0)) {
        let Some(object) = table.row(scene.store, row) else { continue };
        for column in 0..kind.columns.len() {
            let until = match kind.cell(object, column, &lens) {
                Cell::Age(then) => human::age_until(state.now, then),
                Cell::Status { health, .. } if health > Health::Idle => second,
                _ => continue,
            };
            due = Some(due.map_or(until, |due| due.min(until)));
        }
    }
    due
}

/// Tells whether the tenants in sight are well, so that nothing said of them hangs on the time.
fn tenants(scene: &Scene<'_>, view: &Overview, spots: &Spots) -> bool {
    let panel = Panel::Tenants;
    let shown = view.ranking.iter().skip(view.tenants.top).take(spots.page(panel as usize).unwrap_or(0));
    // Time makes them worse too: one that is on its way may have taken too long.
    shown
        .filter_map(|name| scene.state.tenants.get(name))
        .all(|tenant| tenant.health <= Health::Idle && tenant.busy == 0)
}
