//! The rules of the guard: what configuration demands of a change, by context, environment, namespace, tenant, kind
//! and verb.
//!
//! Every rule that fits is in force: the strictest wins, and none takes back what another one demands. Nothing here
//! reads a file or knows a verb; the gate asks once while the plan is made, to say it, and once when the question is
//! answered, to hold it.

use jiff::civil::{Time, Weekday};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use crate::identity::ObjectRef;

/// One rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// Its name.
    pub name: String,
    /// Where it is written, such as `config.toml:12`, or `default`.
    pub origin: String,
    /// Patterns of contexts; an empty list fits all, here and below.
    pub contexts: Vec<String>,
    /// Names of environments.
    pub environments: Vec<String>,
    /// Patterns of namespaces.
    pub namespaces: Vec<String>,
    /// Patterns of tenants; what belongs to no tenant fits no pattern.
    pub tenants: Vec<String>,
    /// Patterns of kinds: `nodes`, or with the group `applications.argoproj.io`.
    pub kinds: Vec<String>,
    /// Verbs.
    pub verbs: Vec<String>,
    /// Why nothing may be done, where that is so.
    pub deny: Option<String>,
    /// Whether a name must be typed.
    pub type_name: bool,
    /// Whether a reason must be given.
    pub reason: bool,
    /// How many objects one question may be about.
    pub at_most: Option<usize>,
    /// When it may be done; at other times it may not.
    pub hours: Vec<Hours>,
}

/// Times of the week at which something may be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hours {
    /// The days on which they begin.
    pub days: Vec<Weekday>,
    /// From this time of day.
    pub from: Time,
    /// To this time of day, which may be on the next day.
    pub to: Time,
    /// In this zone.
    pub zone: TimeZone,
    /// As it is written.
    pub text: String,
}

/// What is asked about.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    /// The environment.
    pub environment: &'a str,
    /// The verb; of an undo also the verb that is taken back.
    pub verbs: &'a [String],
    /// The tenant, where there is one.
    pub tenant: Option<&'a str>,
    /// The objects.
    pub objects: &'a [&'a ObjectRef],
}

/// What the rules demand of a change.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Verdict {
    /// Why it may not be done, each with its rule.
    pub stops: Vec<String>,
    /// Whether a name must be typed.
    pub type_name: bool,
    /// Whether a reason must be given.
    pub reason: bool,
    /// The rules that demand something, with where they are written.
    pub rules: Vec<String>,
    /// What is demanded, each with its rule.
    pub demands: Vec<String>,
}

/// Says what the rules demand.
pub fn judge(rules: &[Rule], asked: Asked<'_>, now: Timestamp) -> Verdict {
    let mut verdict = Verdict::default();
    for rule in rules.iter().filter(|rule| rule.fits(asked)) {
        let by = format!("rule {} ({})", rule.name, rule.origin);
        let mut decides = false;
        if let Some(why) = &rule.deny {
            verdict.stops.push(format!("{by} forbids it: {why}"));
            decides = true;
        }
        if let Some(most) = rule.at_most
            && asked.objects.len() > most
        {
            let count = asked.objects.len();
            verdict.stops.push(format!("{by} allows {most} objects at a time, and these are {count}"));
            decides = true;
        }
        if !rule.hours.is_empty() {
            let text: Vec<&str> = rule.hours.iter().map(|hours| hours.text.as_str()).collect();
            let text = text.join(", ");
            if rule.hours.iter().any(|hours| hours.hold(now)) {
                verdict.demands.push(format!("{by} allows it now ({text})"));
            } else {
                verdict.stops.push(format!("{by} allows it at other times only: {text}"));
            }
            decides = true;
        }
        if rule.type_name {
            verdict.type_name = true;
            verdict.demands.push(format!("{by}: a name must be typed"));
            decides = true;
        }
        if rule.reason {
            verdict.reason = true;
            verdict.demands.push(format!("{by}: a reason must be given"));
            decides = true;
        }
        if decides {
            verdict.rules.push(format!("{} ({})", rule.name, rule.origin));
        }
    }
    verdict
}

impl Rule {
    fn fits(&self, asked: Asked<'_>) -> bool {
        let any = |patterns: &[String], name: &str| {
            patterns.is_empty() || patterns.iter().any(|pattern| fits(pattern, name))
        };
        let context = asked.objects.first().map_or("", |object| object.context.as_str());
        any(&self.contexts, context)
            && (self.environments.is_empty() || self.environments.iter().any(|one| one == asked.environment))
            && (self.verbs.is_empty() || self.verbs.iter().any(|one| asked.verbs.contains(one)))
            && (self.tenants.is_empty() || asked.tenant.is_some_and(|tenant| any(&self.tenants, tenant)))
            // One of the objects is enough: a bulk does not carry a protected one along.
            && (self.namespaces.is_empty() && self.kinds.is_empty()
                || asked.objects.iter().any(|object| {
                    let namespace = object.namespace.as_deref();
                    let kind = &object.resource;
                    (self.namespaces.is_empty()
                        || namespace.is_some_and(|namespace| any(&self.namespaces, namespace)))
                        && (any(&self.kinds, &kind.plural) || any(&self.kinds, &kind.to_string()))
                }))
    }

    /// Tells whether it holds for everything in a context and environment, whatever is done there.
    pub fn is_general(&self, context: &str, environment: &str) -> bool {
        let narrow = [&self.namespaces, &self.tenants, &self.kinds, &self.verbs];
        narrow.iter().all(|list| list.is_empty())
            && (self.contexts.is_empty() || self.contexts.iter().any(|pattern| fits(pattern, context)))
            && (self.environments.is_empty() || self.environments.iter().any(|one| one == environment))
    }
}

impl Hours {
    /// Reads `Mon-Fri 08:00-18:00` or `22:00-06:00`; the error says what is allowed.
    pub fn read(text: &str, zone: &TimeZone) -> Result<Self, String> {
        let wrong = || format!("{text:?}: write times such as \"Mon-Fri 08:00-18:00\" or \"22:00-06:00\"");
        let (days, times) = match text.trim().split_once(' ') {
            Some((days, times)) => (read_days(days).ok_or_else(wrong)?, times),
            None => (DAYS.map(|(_, day)| day).to_vec(), text),
        };
        let (from, to) = times.trim().split_once('-').ok_or_else(wrong)?;
        let time = |text: &str| {
            // The end of a day is its last minute.
            if text == "24:00" { Some(Time::MAX) } else { text.parse::<Time>().ok() }
        };
        let (Some(from), Some(to)) = (time(from), time(to)) else { return Err(wrong()) };
        if from == to {
            return Err(wrong());
        }
        let name = zone.iana_name().unwrap_or("UTC");
        Ok(Self { days, from, to, zone: zone.clone(), text: format!("{} {name}", text.trim()) })
    }

    /// Tells whether a moment lies within.
    pub fn hold(&self, now: Timestamp) -> bool {
        let local = now.to_zoned(self.zone.clone());
        let (time, day) = (local.time(), local.weekday());
        if self.from < self.to {
            return self.days.contains(&day) && self.from <= time && time < self.to;
        }
        // Over midnight: what began yesterday goes on.
        let yesterday = (local.timestamp() - SignedDuration::from_hours(24)).to_zoned(self.zone.clone());
        self.days.contains(&day) && self.from <= time
            || self.days.contains(&yesterday.weekday()) && time < self.to
    }
}

const DAYS: [(&str, Weekday); 7] = [
    ("mon", Weekday::Monday),
    ("tue", Weekday::Tuesday),
    ("wed", Weekday::Wednesday),
    ("thu", Weekday::Thursday),
    ("fri", Weekday::Friday),
    ("sat", Weekday::Saturday),
    ("sun", Weekday::Sunday),
];

/// Reads `Mon-Fri`, `Sat` or `Mon,Wed`.
fn read_days(text: &str) -> Option<Vec<Weekday>> {
    let place = |word: &str| DAYS.iter().position(|(name, _)| word.eq_ignore_ascii_case(name));
    let mut days = Vec::new();
    for part in text.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last) = (place(first)?, place(last)?);
        let count = (last + DAYS.len() - first) % DAYS.len();
        days.extend((0..=count).map(|step| DAYS[(first + step) % DAYS.len()].1));
    }
    Some(days)
}

/// Tells whether a name fits a pattern in which `*` stands for any letters; case does not matter.
pub fn fits(pattern: &str, name: &str) -> bool {
    let (pattern, name) = (pattern.to_lowercase(), name.to_lowercase());
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = name.strip_prefix(first) else { return false };
    let mut parts: Vec<&str> = parts.collect();
    let Some(last) = parts.pop() else { return rest.is_empty() };
    for part in parts {
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::{Context, Resource};

    fn rule(name: &str) -> Rule {
        Rule {
            name: name.to_owned(),
            origin: "config.toml:3".to_owned(),
            contexts: Vec::new(),
            environments: Vec::new(),
            namespaces: Vec::new(),
            tenants: Vec::new(),
            kinds: Vec::new(),
            verbs: Vec::new(),
            deny: None,
            type_name: false,
            reason: false,
            at_most: None,
            hours: Vec::new(),
        }
    }

    fn object(plural: &str, namespace: &str, name: &str) -> ObjectRef {
        ObjectRef {
            context: Context::new("eks-1"),
            resource: Resource::new("", plural),
            namespace: (!namespace.is_empty()).then(|| namespace.into()),
            name: name.into(),
        }
    }

    fn at(time: &str) -> Timestamp {
        time.parse().unwrap()
    }

    #[track_caller]
    fn verdict(
        rules: &[Rule],
        verb: &str,
        tenant: Option<&str>,
        objects: &[ObjectRef],
        now: &str,
    ) -> Verdict {
        let objects: Vec<&ObjectRef> = objects.iter().collect();
        let verbs = [verb.to_owned()];
        judge(rules, Asked { environment: "prod", verbs: &verbs, tenant, objects: &objects }, at(now))
    }

    #[test]
    fn a_rule_fits_by_everything_that_it_names_and_the_strictest_wins() {
        let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        let deny = Rule {
            verbs: words(&["drain"]),
            kinds: words(&["nodes"]),
            contexts: words(&["eks-*"]),
            deny: Some("ask the platform team".to_owned()),
            ..rule("no-drain")
        };
        let typed = Rule { tenants: words(&["bank-*"]), type_name: true, ..rule("bank") };
        let reason = Rule { namespaces: words(&["kube-*"]), reason: true, ..rule("system") };
        let bulk = Rule { at_most: Some(1), ..rule("one") };
        let rules = [deny, typed, reason, bulk];
        let (node, pod) = (object("nodes", "", "n-1"), object("pods", "kube-system", "dns"));
        let now = "2026-01-05T12:00:00Z";

        let found = verdict(&rules, "drain", None, std::slice::from_ref(&node), now);
        assert_eq!(found.stops, ["rule no-drain (config.toml:3) forbids it: ask the platform team"]);
        assert_eq!(verdict(&rules, "cordon", None, std::slice::from_ref(&node), now), Verdict::default());
        let found = verdict(&rules, "delete-pod", Some("bank-2"), std::slice::from_ref(&pod), now);
        assert!(found.type_name && found.reason && found.stops.is_empty());
        assert_eq!(found.rules, ["bank (config.toml:3)", "system (config.toml:3)"]);
        // One object that a rule is about is enough, wherever it stands among the others.
        let found = verdict(&rules, "delete-pod", None, &[object("pods", "shop", "a"), pod], now);
        assert!(found.reason);
        assert_eq!(found.stops, ["rule one (config.toml:3) allows 1 objects at a time, and these are 2"]);
    }

    #[test]
    fn hours_are_told_in_their_zone_and_go_over_midnight() {
        let berlin = TimeZone::get("Europe/Berlin").unwrap();
        let day = Hours::read("Mon-Fri 08:00-18:00", &berlin).unwrap();
        // A Monday: 07:30 UTC is 08:30 in Berlin, in winter.
        assert!(day.hold(at("2026-01-05T07:30:00Z")) && !day.hold(at("2026-01-05T17:00:00Z")));
        assert!(!day.hold(at("2026-01-04T12:00:00Z")), "a Sunday");
        let night = Hours::read("Fri 22:00-06:00", &TimeZone::UTC).unwrap();
        assert!(night.hold(at("2026-01-09T23:00:00Z")) && night.hold(at("2026-01-10T05:59:00Z")));
        assert!(!night.hold(at("2026-01-09T05:00:00Z")) && !night.hold(at("2026-01-10T22:30:00Z")));
        for wrong in ["Mon-Fri", "08:00", "Foo 08:00-09:00", "08:00-08:00", "8-9 Uhr"] {
            assert!(Hours::read(wrong, &TimeZone::UTC).is_err(), "{wrong}");
        }
        let rules = [Rule { hours: vec![day], ..rule("office") }];
        let node = [object("nodes", "", "n-1")];
        let found = verdict(&rules, "cordon", None, &node, "2026-01-05T20:00:00Z");
        assert!(
            found.stops[0].contains("at other times only: Mon-Fri 08:00-18:00 Europe/Berlin"),
            "{found:?}"
        );
        let found = verdict(&rules, "cordon", None, &node, "2026-01-05T09:00:00Z");
        assert!(found.stops.is_empty() && found.demands[0].contains("allows it now"), "{found:?}");
    }
}
