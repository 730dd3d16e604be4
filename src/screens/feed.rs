//! What a panel says about its data: where it stands, how old it is, what is missing.
//!
//! Old and partial data is marked here, in words and colour, and nowhere called live.

use jiff::Timestamp;

use crate::human;
use crate::sources::SourceError;
use crate::store::{Feed, Stage};
use crate::theme::Role;

/// A fact about a list and what its colour means.
pub type Fact = (String, Role);

/// Returns the facts about a list, the gravest first.
pub fn facts(feed: &Feed, now: Timestamp) -> Vec<Fact> {
    let mut facts = vec![standing(feed, now)];
    if !feed.hidden.is_empty() {
        facts.push((partial(feed), Role::Stale));
    }
    if feed.garbled > 0 {
        facts.push((format!("{} unreadable", human::count(feed.garbled)), Role::Warning));
    }
    facts
}

/// Returns where a list stands, in a word or two.
pub fn standing(feed: &Feed, now: Timestamp) -> Fact {
    let since = |at: Option<Timestamp>| at.map_or_else(|| "?".to_owned(), |at| human::age(now, at));
    match &feed.stage {
        Stage::Waiting => ("waiting".to_owned(), Role::Progressing),
        Stage::Loading { have, of: Some(of) } => {
            let (have, of) = (human::count(*have), human::count(*of));
            (format!("loading {have} of {of}"), Role::Progressing)
        }
        Stage::Loading { have, of: None } => (format!("loading {}", human::count(*have)), Role::Progressing),
        Stage::Live => ("live".to_owned(), Role::Healthy),
        Stage::Refilling => (format!("of {} ago, listing again", since(feed.whole_at)), Role::Stale),
        Stage::Failed { since: cut, retry_at, .. } => {
            let mut text = match feed.whole_at {
                Some(_) => format!("stale for {}", human::age(now, *cut)),
                None => "failed".to_owned(),
            };
            if let Some(at) = retry_at {
                text.push_str(", ");
                text.push_str(&again(*at, now));
            }
            (text, Role::Stale)
        }
        Stage::Ended { since: cut } => (format!("stale for {}", human::age(now, *cut)), Role::Stale),
    }
}

/// Says when something is tried again.
fn again(at: Timestamp, now: Timestamp) -> String {
    let seconds = at.as_second() - now.as_second();
    if seconds <= 0 { "trying again".to_owned() } else { format!("again in {}", human::span(seconds)) }
}

/// Names what a list does not show.
pub fn partial(feed: &Feed) -> String {
    let named: Vec<&str> = feed.hidden.iter().filter_map(|hidden| hidden.namespace.as_deref()).collect();
    // What is not hidden by namespace is not there because one of several systems did not answer.
    let mut systems = feed.hidden.iter().filter(|hidden| hidden.namespace.is_none());
    if let Some(system) = systems.find_map(|hidden| system(&hidden.error)) {
        return format!("partial: without {system}");
    }
    match named.as_slice() {
        [] => "partial: other namespaces are hidden".to_owned(),
        [one] => format!("partial: {one} is hidden"),
        [one, other] => format!("partial: {one} and {other} are hidden"),
        [one, rest @ ..] => format!("partial: {one} and {} more are hidden", rest.len()),
    }
}

/// Names the system that did not answer; `None` where a list was not permitted as a whole.
fn system(error: &SourceError) -> Option<&str> {
    match error {
        SourceError::Denied { verb, .. } if verb == "list" => None,
        SourceError::Denied { object: what, .. }
        | SourceError::Unreachable { what, .. }
        | SourceError::Unauthenticated { what, .. }
        | SourceError::Missing { what, .. }
        | SourceError::Conflict { what, .. }
        | SourceError::Invalid { what, .. }
        | SourceError::Throttled { what, .. }
        | SourceError::Garbled { what, .. } => Some(what),
    }
}

/// What an empty table says: a headline, its role, and sentences on why and what next.
pub fn empty(
    feed: Option<&Feed>,
    what: &str,
    place: &str,
    held_back: usize,
    filter: &str,
    now: Timestamp,
) -> (Role, String, Vec<String>) {
    let Some(feed) = feed else {
        return (Role::Progressing, format!("Asking for {what}"), Vec::new());
    };
    if held_back > 0 {
        let held = human::count(held_back);
        let sentence = if filter.is_empty() {
            format!("{held} {what} belong to other namespaces or tenants.")
        } else {
            format!("The filter {filter} hides {held} {what}; esc takes it away.")
        };
        // Where the namespace that is asked for is among the hidden ones, nobody knows what is in it.
        if feed.hidden.is_empty() {
            return (Role::Idle, format!("No {what} to show"), vec![sentence]);
        }
        let mut sentences = vec![sentence];
        sentences.extend(feed.hidden.iter().take(3).map(|hidden| self::sentence(&hidden.error)));
        return (Role::Unknown, format!("No {what} among what can be seen"), sentences);
    }
    match &feed.stage {
        Stage::Waiting => {
            (Role::Progressing, format!("Waiting for the first answer about {what}"), Vec::new())
        }
        Stage::Loading { .. } => (Role::Progressing, format!("Loading {what}"), Vec::new()),
        Stage::Failed { error, retry_at, .. } => {
            let mut sentences = vec![sentence(error)];
            if let Some(at) = retry_at {
                sentences.push(format!("It is tried {}.", again(*at, now).replace("trying again", "now")));
            }
            (Role::Degraded, headline(error, what), sentences)
        }
        Stage::Live | Stage::Refilling | Stage::Ended { .. } => {
            let mut sentences: Vec<String> =
                feed.hidden.iter().take(3).map(|hidden| sentence(&hidden.error)).collect();
            if feed.garbled > 0 {
                sentences.push(format!("{} could not be read and are left out.", feed.garbled));
            }
            // Nothing is only known to be nothing where everything could be seen.
            if sentences.is_empty() {
                (Role::Idle, format!("No {what}{place}"), sentences)
            } else {
                (Role::Unknown, format!("No {what}{place} among what can be seen"), sentences)
            }
        }
    }
}

/// Tells whether an error is about what one may see or what there is, and not about the connection.
pub const fn is_closed(error: &SourceError) -> bool {
    matches!(error, SourceError::Denied { .. } | SourceError::Missing { .. })
}

/// Says in a few words what went wrong.
pub fn headline(error: &SourceError, what: &str) -> String {
    match error {
        SourceError::Unreachable { .. } => format!("{} cannot be reached", capital(what)),
        SourceError::Unauthenticated { .. } => "The credential is not accepted".to_owned(),
        SourceError::Denied { .. } => format!("You may not see {what}"),
        SourceError::Missing { .. } => format!("{} are not installed here", capital(what)),
        SourceError::Conflict { .. } | SourceError::Invalid { .. } => {
            format!("{} were refused", capital(what))
        }
        SourceError::Throttled { .. } => "The server asks to wait".to_owned(),
        SourceError::Garbled { .. } => "The answer cannot be used".to_owned(),
    }
}

/// Makes a sentence of an error: a capital letter and a full stop.
pub fn sentence(error: &SourceError) -> String {
    let text = error.to_string();
    let stop = if text.ends_with(['.', '!', '?']) { "" } else { "." };
    format!("{}{stop}", capital(&text))
}

/// Writes the first letter as a capital.
pub fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Hidden;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + seconds).unwrap()
    }

    fn denied() -> SourceError {
        SourceError::Denied {
            verb: "list".to_owned(),
            object: "pods in tenant-3".to_owned(),
            reason: "no role grants it".to_owned(),
        }
    }

    #[test]
    fn only_a_watched_list_is_called_live() {
        let say = |stage| {
            let feed = Feed { stage, whole_at: Some(at(0)), ..Feed::default() };
            standing(&feed, at(240)).0
        };
        assert_eq!(say(Stage::Live), "live");
        assert_eq!(say(Stage::Loading { have: 1500, of: Some(10_000) }), "loading 1,500 of 10,000");
        assert_eq!(say(Stage::Refilling), "of 4m ago, listing again");
        assert_eq!(say(Stage::Ended { since: at(200) }), "stale for 40s");
        let failed = Stage::Failed { error: denied(), since: at(200), retry_at: Some(at(245)) };
        assert_eq!(say(failed), "stale for 40s, again in 5s");
    }

    #[test]
    fn a_system_that_does_not_answer_is_no_hidden_namespace() {
        let error = SourceError::Unreachable {
            what: "Alertmanager".to_owned(),
            place: "monitoring/alertmanager:web".to_owned(),
            reason: "the request timed out".to_owned(),
        };
        let of =
            |error| partial(&Feed { hidden: vec![Hidden { namespace: None, error }], ..Feed::default() });
        assert_eq!(of(error), "partial: without Alertmanager");
        assert_eq!(of(denied()), "partial: other namespaces are hidden");
    }

    #[test]
    fn what_is_hidden_is_named_beside_what_is_live() {
        let hidden = |name: &str| Hidden { namespace: Some(name.into()), error: denied() };
        let feed = Feed {
            stage: Stage::Live,
            hidden: vec![hidden("tenant-3"), hidden("tenant-4"), hidden("tenant-5")],
            garbled: 1,
            ..Feed::default()
        };
        let texts: Vec<String> = facts(&feed, at(0)).into_iter().map(|(text, _)| text).collect();
        assert_eq!(texts, ["live", "partial: tenant-3 and 2 more are hidden", "1 unreadable"]);
    }

    #[test]
    fn nothing_is_called_nothing_only_where_everything_is_seen() {
        let mut feed = Feed { stage: Stage::Live, whole_at: Some(at(0)), ..Feed::default() };
        let say = |feed: &Feed| empty(Some(feed), "pods", " in tenant-3", 0, "", at(0));
        assert_eq!(say(&feed), (Role::Idle, "No pods in tenant-3".to_owned(), Vec::new()));
        feed.hidden.push(Hidden { namespace: Some("tenant-3".into()), error: denied() });
        let (role, headline, sentences) = say(&feed);
        assert_eq!((role, headline.as_str()), (Role::Unknown, "No pods in tenant-3 among what can be seen"));
        assert_eq!(sentences, ["Not permitted to list pods in tenant-3: no role grants it."]);
        // Rows of other namespaces do not make an unseen one an empty one.
        let (role, headline, sentences) = empty(Some(&feed), "pods", "", 9, "", at(0));
        assert_eq!((role, headline.as_str()), (Role::Unknown, "No pods among what can be seen"));
        assert_eq!(sentences.len(), 2, "{sentences:?}");
    }
}
