//! The describe tab of an alert: what it says, who is told, what keeps it quiet, its links, and its rule.

use crate::app::detail::Entry;
use crate::boards::Comparison;
use crate::human;
use crate::identity::Text;
use crate::kinds::{Cell, Health, Leads, Lens, Object, alerts};
use crate::signals::{AlertState, Labels, Origin, Raised, RuleHealth, Silence};
use std::sync::Arc;

/// Annotations that have a line of their own.
const SHOWN: [&str; 7] =
    ["summary", "message", "description", "runbook_url", "runbook", "dashboard_url", "dashboard"];

fn field(name: &str, value: Cell) -> Entry {
    Entry::Field { name: name.to_owned(), value }
}

fn words(text: &str) -> Cell {
    if text.is_empty() { Cell::Empty } else { Cell::Text(Text::from(&*crate::text::one_line(text))) }
}

fn heading(lines: &mut Vec<Entry>, title: &str) {
    lines.push(Entry::Gap);
    lines.push(Entry::Heading(title.to_owned()));
}

/// Adds a text with its name: beside it, or below it where it is long.
fn told(lines: &mut Vec<Entry>, name: &str, text: &str) {
    let text = crate::text::one_line(text);
    if text.is_empty() {
        return;
    }
    // What fits beside the names on a screen of 80 columns.
    if human::lines::width(&text) <= 50 {
        lines.push(field(name, words(&text)));
    } else {
        lines.push(field(name, Cell::Empty));
        lines.push(Entry::Words(text.into_owned()));
    }
}

/// Returns the lines of an alert, but for its labels and what is related to it.
pub(super) fn entries(object: &Object, raised: &Raised, lens: &Lens<'_>) -> Vec<Entry> {
    let alert = &raised.alert;
    let mut lines = Vec::new();
    let severity = alert.labels.get("severity").unwrap_or("no severity");
    let status = format!("{}, {severity}", alert.state.word());
    lines.push(field("status", Cell::Status { text: status.into(), health: alerts::health_of(alert) }));
    told(&mut lines, "summary", alert.annotations.first(&["summary", "message"]).unwrap_or_default());
    told(&mut lines, "description", alert.annotations.get("description").unwrap_or_default());
    let since = |at: Option<jiff::Timestamp>| match at {
        // Where clocks differ, something may have begun in a moment: an age would say that it has.
        Some(at) if at > lens.now => {
            let ahead = human::span(at.as_second() - lens.now.as_second());
            Cell::Text(format!("in {ahead}, by the clock of its source").into())
        }
        Some(at) => Cell::Age(at),
        None => Cell::Unknown,
    };
    lines.push(field("since", since(alert.since)));
    if let Some(at) = raised.active().filter(|at| Some(*at) != alert.since) {
        lines.push(field("condition holds since", since(Some(at))));
    }
    if let Some(value) = alert.value {
        lines.push(field("value", Cell::Text(value.to_string().into())));
    }
    if let Some(namespace) = &object.meta.namespace {
        let tenant = lens.tenants.of_namespace(namespace);
        lines.push(field("tenant", tenant.map_or_else(|| words("none"), |tenant| words(tenant))));
        lines.push(field("namespace", words(namespace)));
    }
    receivers(raised, &mut lines);
    quiet(raised, lens, &mut lines);
    source(raised, lens, &mut lines);
    links(raised, &mut lines);
    rule(raised, &mut lines);
    let rest = alert.annotations.without(&SHOWN);
    pairs(&mut lines, "Annotations", &rest);
    lines
}

fn receivers(raised: &Raised, lines: &mut Vec<Entry>) {
    let names = raised.alert.receivers.join(", ");
    let said = match raised.alert.state {
        _ if raised.is_unheard() => {
            let text = "nobody yet: a rule calls it firing and no Alertmanager knows it";
            Cell::Status { text: text.into(), health: Health::Warning }
        }
        AlertState::Pending => words("nobody before it fires"),
        _ if names.is_empty() => Cell::Unknown,
        _ => words(&names),
    };
    lines.push(field("told to", said));
}

fn quiet(raised: &Raised, lens: &Lens<'_>, lines: &mut Vec<Entry>) {
    let alert = &raised.alert;
    for id in &alert.silenced_by {
        let to = lens.object(&alerts::silences(), None, id);
        let silence = lens.store.object(&to).and_then(|object| object.body::<Arc<Silence>>());
        let value = silence.map_or(Cell::Unknown, |silence| {
            let left = silence.ends.map_or_else(String::new, |ends| {
                format!("{} left, ", human::span((ends.as_second() - lens.now.as_second()).max(0)))
            });
            words(&format!("{left}by {}: {}", silence.created_by, silence.comment))
        });
        lines.push(Entry::Related { how: "silenced by".to_owned(), to: Leads::One(to), value });
    }
    let mut unknown = 0;
    for id in &alert.inhibited_by {
        let shelf = lens.shelf(&alerts::alerts());
        let found =
            shelf.into_iter().flat_map(crate::store::Shelf::iter).find(|(_, other)| other.meta.name == *id);
        match found {
            Some((_, other)) => {
                let to = lens.object(&alerts::alerts(), other.meta.namespace.as_ref(), id);
                let name = other.body::<Raised>().map_or(Cell::Empty, |other| words(&other.alert.name));
                lines.push(Entry::Related {
                    how: "inhibited by".to_owned(),
                    to: Leads::One(to),
                    value: name,
                });
            }
            None => unknown += 1,
        }
    }
    if unknown > 0 {
        lines.push(field("inhibited by", words(&format!("{unknown} that are not in the list"))));
    }
    for name in &alert.muted_by {
        lines.push(field("muted by", words(&format!("mute time {name}"))));
    }
}

/// Says who says so and how old that is.
fn source(raised: &Raised, lens: &Lens<'_>, lines: &mut Vec<Entry>) {
    let alert = &raised.alert;
    let origins: Vec<&str> = alert
        .origins
        .iter()
        .map(|origin| match origin {
            Origin::Alertmanager => "Alertmanager",
            Origin::Prometheus => "a rule of Prometheus",
            Origin::CloudWatch => "CloudWatch",
        })
        .collect();
    let places = alert.places.join(", ");
    let text =
        if places.is_empty() { origins.join(", ") } else { format!("{} ({places})", origins.join(", ")) };
    lines.push(field("source", words(&text)));
    if let Some(at) = lens.shelf(&alerts::alerts()).and_then(|shelf| shelf.feed().heard) {
        lines.push(field("heard", Cell::Age(at)));
    }
    if let Some(at) = alert.updated {
        lines.push(field("updated", if at > lens.now { words("just now") } else { Cell::Age(at) }));
    }
}

fn links(raised: &Raised, lines: &mut Vec<Entry>) {
    let alert = &raised.alert;
    let known = [
        ("runbook", alert.annotations.first(&["runbook_url", "runbook"])),
        ("dashboard", alert.annotations.first(&["dashboard_url", "dashboard"])),
        ("expression in Prometheus", Some(&*alert.generator)),
    ];
    let known: Vec<(&str, &str)> = known
        .into_iter()
        .filter_map(|(name, link)| Some((name, link.filter(|link| !link.is_empty())?)))
        .collect();
    if known.is_empty() {
        return;
    }
    heading(lines, "Links");
    // A link is one line, so that it can be copied whole.
    lines.extend(known.into_iter().map(|(name, link)| field(name, words(link))));
}

fn rule(raised: &Raised, lines: &mut Vec<Entry>) {
    let Some(rule) = &raised.rule else { return };
    heading(lines, "Rule");
    lines.push(field("group", words(&rule.group)));
    lines.push(field("fires after", words(&human::span(rule.hold.clamp(0.0, 1e9) as i64))));
    if let Some(found) = Comparison::read(&rule.query) {
        let besides = if found.besides.is_empty() { String::new() } else { format!(", {}", found.besides) };
        let text = format!("the value is {} {}{besides}", found.operator, found.unit.text(found.number));
        told(lines, "fires where", &text);
    }
    told(lines, "expression", &rule.query);
    if let RuleHealth::Failed(why) = &rule.health {
        let text = format!("could not be evaluated: {why}");
        lines.push(field("health", Cell::Status { text: text.into(), health: Health::Degraded }));
    }
    if let Some(at) = rule.evaluated {
        lines.push(field("evaluated", Cell::Age(at)));
    }
}

fn pairs(lines: &mut Vec<Entry>, title: &str, pairs: &Labels) {
    if pairs.is_empty() {
        return;
    }
    heading(lines, title);
    for (name, value) in pairs.iter() {
        told(lines, &crate::text::one_line(name), value);
    }
}
