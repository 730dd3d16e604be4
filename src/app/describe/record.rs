//! The describe tab of an entry of the record: what, where, who, why, what was checked, and what became of it.

use crate::app::detail::Entry;
use crate::human;
use crate::identity::Text;
use crate::kinds::{Cell, Health, record};
use crate::text::one_line;

fn field(name: &str, text: &str) -> Entry {
    let value = if text.is_empty() { Cell::Empty } else { Cell::Text(Text::from(&*one_line(text))) };
    Entry::Field { name: name.to_owned(), value }
}

/// Adds a text with its name: beside it, or below it where it is long.
fn told(lines: &mut Vec<Entry>, name: &str, text: &str) {
    // What fits beside the names on a screen of 80 columns.
    if human::lines::width(text) <= 50 {
        lines.push(field(name, text));
    } else {
        lines.push(field(name, ""));
        lines.push(Entry::Words(one_line(text).into_owned()));
    }
}

fn heading(lines: &mut Vec<Entry>, title: &str) {
    lines.push(Entry::Gap);
    lines.push(Entry::Heading(title.to_owned()));
}

fn health(mark: &str) -> Health {
    match mark {
        "ok" | "done" => Health::Healthy,
        "warn" | "cannot-be-told" => Health::Warning,
        "stop" | "failed" | "not-done" => Health::Degraded,
        "running" => Health::Progressing,
        _ => Health::Idle,
    }
}

/// Returns the lines of an entry.
pub(super) fn entries(entry: &record::Entry) -> Vec<Entry> {
    let intent = &entry.intent;
    let mut lines = Vec::new();
    let outcome = Cell::Status { text: entry.outcome().into(), health: entry.health() };
    lines.push(Entry::Field { name: "outcome".to_owned(), value: outcome });
    told(&mut lines, "what", &intent.title);
    lines.push(field("begun", &entry.at.strftime("%Y-%m-%d %H:%M:%SZ").to_string()));
    match &entry.ending {
        Some(ending) => {
            lines.push(field("took", &human::span(ending.duration_ms / 1_000)));
            told(&mut lines, "end", &ending.detail);
        }
        None => told(
            &mut lines,
            "end",
            "none is recorded: a console follows it still, or it was cut off; opsdeck finds out what became of it when it opens that context",
        ),
    }
    let who = format!("{} ({} here)", intent.who.server, intent.who.local);
    told(&mut lines, "who", &who);
    told(&mut lines, "why", if intent.reason.is_empty() { "no reason was given" } else { &intent.reason });
    lines.push(field("said", &intent.confirmation));
    if let Some(rule) = &intent.rule {
        told(&mut lines, "rule", rule);
    }
    if let Some(undone) = &intent.undoes {
        lines.push(field("undoes", undone));
    }
    match &entry.undo {
        Ok(_) => lines.push(field("undo", "possible")),
        Err(why) => told(&mut lines, "undo", why),
    }
    lines.push(field("entry", &entry.id));
    told(&mut lines, "same as", &intent.command);
    heading(&mut lines, "Objects");
    for target in &intent.targets {
        let after =
            entry.ending.iter().flat_map(|ending| &ending.after).find(|one| one.object == target.object);
        lines.push(field(&target.object.resource.plural, &target.object.name));
        let version =
            |version: Option<&str>| version.filter(|one| !one.is_empty()).unwrap_or("none").to_owned();
        let mut words = format!("uid {}, version {}", target.uid, version(Some(&*target.resource_version)));
        if let Some(after) = after {
            words = format!("{words}, afterwards {}", version(after.resource_version.as_deref()));
        }
        lines.push(Entry::Words(words));
    }
    if let Some(ending) = entry.ending.as_ref().filter(|ending| !ending.changes.is_empty()) {
        heading(&mut lines, "Changed");
        for change in &ending.changes {
            lines.push(Entry::Words(one_line(&change.sentence()).into_owned()));
        }
    }
    let checks = [
        ("Checks of the plan", intent.checks.as_slice()),
        ("Steps", entry.ending.as_ref().map_or(&[][..], |ending| &ending.steps)),
    ];
    for (title, checks) in checks {
        if checks.is_empty() {
            continue;
        }
        heading(&mut lines, title);
        for check in checks {
            let value = Cell::Status { text: check.mark.as_str().into(), health: health(&check.mark) };
            lines.push(Entry::Field { name: String::new(), value });
            lines.push(Entry::Words(one_line(&check.text).into_owned()));
        }
    }
    lines
}
