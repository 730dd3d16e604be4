//! Typed cells as they stand in a table: text, alignment, colour and mark follow from the type.

use std::borrow::Cow;

use jiff::Timestamp;

use crate::human;
use crate::kinds::{Cell, Health};
use crate::theme::Role;
use crate::widgets::table::Painted;

/// From this part of the whole on, a bar says that little is left.
const NEARLY_FULL: f64 = 0.9;

/// Turns a cell into what a table draws.
pub fn painted(cell: &Cell, now: Timestamp) -> Painted<'_> {
    match cell {
        Cell::Empty => Painted::text(""),
        Cell::Unknown => Painted::toned("?", Role::Unknown),
        Cell::Text(text) | Cell::Link { text, .. } => Painted::text(&**text),
        // Most counts are zero most of the time; what is not zero should be seen.
        Cell::Count(0) => Painted::toned("0", Role::Dim),
        Cell::Count(number) => Painted::text(human::count(*number)),
        Cell::Ratio { have, want } => Painted::toned(format!("{have}/{want}"), ratio(*have, *want)),
        Cell::Percent(value) => Painted::text(human::percent(*value)),
        Cell::Quantity { value, unit } => Painted::text(human::quantity(*value, *unit)),
        Cell::Bar { used, total, .. } => bar(*used, *total),
        Cell::Age(then) => Painted::text(human::age(now, *then)),
        Cell::Status { text, health } => Painted::marked(&**text, (*health).into()),
        Cell::Hidden => Painted::toned("hidden", Role::Dim),
    }
}

/// Turns a cell into one line of text, as it is copied and as details show it.
pub fn text(cell: &Cell, now: Timestamp) -> Cow<'_, str> {
    match cell {
        Cell::Bar { used, total, unit } => Cow::Owned(format!(
            "{} of {} ({} %)",
            human::quantity(*used, *unit),
            human::quantity(*total, *unit),
            human::percent(used / total * 100.0)
        )),
        Cell::Percent(value) => Cow::Owned(format!("{} %", human::percent(*value))),
        _ => painted(cell, now).text,
    }
}

/// Returns the word for a health, which stands beside its colour.
pub fn health_word(health: Health) -> &'static str {
    match health {
        Health::Healthy => "healthy",
        Health::Idle => "idle",
        Health::Progressing => "progressing",
        Health::Unknown => "unknown",
        Health::Warning => "warning",
        Health::Degraded => "degraded",
    }
}

fn ratio(have: i64, want: i64) -> Role {
    match (have, want) {
        (_, ..=0) => Role::Dim,
        (..=0, _) => Role::Degraded,
        (have, want) if have < want => Role::Warning,
        _ => Role::Text,
    }
}

fn bar(used: f64, total: f64) -> Painted<'static> {
    if !used.is_finite() || !total.is_finite() || total <= 0.0 {
        return Painted::toned("?", Role::Unknown);
    }
    let part = used / total;
    let role = if part > 1.0 {
        Role::Degraded
    } else if part >= NEARLY_FULL {
        Role::Warning
    } else {
        Role::Text
    };
    Painted::bar(part, format!("{}%", human::percent((part * 100.0).round())), role)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kinds::Unit;

    fn say(cell: &Cell) -> (String, Role) {
        let painted = painted(cell, Timestamp::UNIX_EPOCH);
        (painted.text.into_owned(), painted.role)
    }

    #[test]
    fn what_nobody_knows_is_a_question_mark_and_not_a_zero() {
        assert_eq!(say(&Cell::Unknown), ("?".to_owned(), Role::Unknown));
        let bar = Cell::Bar { used: 1.0, total: 0.0, unit: Unit::Cores };
        assert_eq!(say(&bar), ("?".to_owned(), Role::Unknown));
        let status = Cell::Status { text: "Unknown".into(), health: Health::Unknown };
        assert_eq!(say(&status), ("Unknown".to_owned(), Role::Unknown));
    }

    #[test]
    fn a_ratio_that_falls_short_stands_out() {
        let role = |have, want| say(&Cell::Ratio { have, want }).1;
        assert_eq!(role(3, 3), Role::Text);
        assert_eq!(role(2, 3), Role::Warning);
        assert_eq!(role(0, 3), Role::Degraded);
        assert_eq!(role(0, 0), Role::Dim);
    }

    #[test]
    fn a_secret_value_has_no_text() {
        assert_eq!(say(&Cell::Hidden).0, "hidden");
        assert_eq!(text(&Cell::Hidden, Timestamp::UNIX_EPOCH), "hidden");
    }
}
