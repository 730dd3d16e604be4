//! The rules of the guard in the configuration: `[guard.NAME]`, one table a rule.
//!
//! What a rule means is the gate's business ([`crate::gate::guard`]); here it is read and printed.

use jiff::tz::TimeZone;

use super::{Config, Origin, Setting};
use crate::actions::Verb;
use crate::gate::guard::{Hours, Rule};
use crate::settings::{Entry, Section, SettingsError, Source, not_one_of};

/// What a rule may say.
const KEYS: [&str; 12] = [
    "context",
    "environment",
    "namespace",
    "tenant",
    "kind",
    "verb",
    "deny",
    "type-name",
    "reason",
    "at-most",
    "hours",
    "zone",
];

/// Environments that a rule may name.
const ENVIRONMENTS: [&str; 5] = ["dev", "qa", "staging", "prod", "unknown"];

/// The most objects that a rule may allow; more is no limit.
const MOST: u64 = 10_000;

/// Returns the rules that come with the program: those of the documented default file.
pub(super) fn defaults() -> Vec<Rule> {
    let source = Source::new("default", Config::default_text());
    let read_all = || {
        let top = source.parse()?;
        match top.get("guard") {
            Some(entry) => read(&entry.section()?),
            None => Ok(Vec::new()),
        }
    };
    // The default file is read by a test.
    let mut rules = read_all().unwrap_or_default();
    for rule in &mut rules {
        "default".clone_into(&mut rule.origin);
    }
    rules
}

/// Lays rules over others: one of the same name takes the place of the other.
pub(super) fn laid(over: Vec<Rule>, mut rules: Vec<Rule>) -> Vec<Rule> {
    for rule in over {
        match rules.iter_mut().find(|known| known.name == rule.name) {
            Some(known) => *known = rule,
            None => rules.push(rule),
        }
    }
    rules
}

pub(super) fn read(section: &Section<'_>) -> Result<Vec<Rule>, SettingsError> {
    section.entries().iter().map(read_rule).collect()
}

fn read_rule(entry: &Entry<'_>) -> Result<Rule, SettingsError> {
    let table = entry.section()?;
    table.allow(&KEYS)?;
    let list = |name: &str| table.get(name).map_or(Ok(Vec::new()), |entry| entry.strings());
    let flag = |name: &str| table.get(name).map_or(Ok(false), |entry| entry.flag());
    let words = |name: &str, allowed: &[&str]| -> Result<Vec<String>, SettingsError> {
        let Some(entry) = table.get(name) else { return Ok(Vec::new()) };
        let words = entry.strings()?;
        match words.iter().find(|word| !allowed.contains(&word.as_str())) {
            Some(word) => Err(entry.wrong(format!("{}: {}", entry.path, not_one_of("value", word, allowed)))),
            None => Ok(words),
        }
    };
    let zone = match table.get("zone") {
        Some(entry) => {
            let name = entry.string()?;
            TimeZone::get(&name).map_err(|_| {
                entry.wrong(format!("{name:?} is not a time zone: write one such as Europe/Berlin or UTC"))
            })?
        }
        None => TimeZone::UTC,
    };
    let mut hours = Vec::new();
    if let Some(entry) = table.get("hours") {
        for text in entry.strings()? {
            hours.push(Hours::read(&text, &zone).map_err(|what| entry.wrong(what))?);
        }
    }
    let deny = match table.get("deny") {
        None => None,
        Some(entry) => match entry.as_string() {
            Some(why) => Some(why),
            None => entry.flag()?.then(|| "it is not done here".to_owned()),
        },
    };
    let at_most = match table.get("at-most") {
        Some(entry) => Some(usize::try_from(entry.number(1, MOST)?).unwrap_or(usize::MAX)),
        None => None,
    };
    let verbs: Vec<&str> = Verb::ALL.iter().map(|verb| verb.word()).collect();
    Ok(Rule {
        name: entry.name.clone(),
        origin: entry.place().to_string(),
        contexts: list("context")?,
        environments: words("environment", &ENVIRONMENTS)?,
        namespaces: list("namespace")?,
        tenants: list("tenant")?,
        kinds: list("kind")?,
        verbs: words("verb", &verbs)?,
        deny,
        type_name: flag("type-name")?,
        reason: flag("reason")?,
        at_most,
        hours,
    })
}

/// Returns the rules as settings.
pub(super) fn settings(config: &Config) -> Vec<Setting> {
    config.guard.iter().map(setting).collect()
}

fn setting(rule: &Rule) -> Setting {
    let mut parts: Vec<String> = Vec::new();
    for (name, list) in [
        ("context", &rule.contexts),
        ("environment", &rule.environments),
        ("namespace", &rule.namespaces),
        ("tenant", &rule.tenants),
        ("kind", &rule.kinds),
        ("verb", &rule.verbs),
    ] {
        if !list.is_empty() {
            parts.push(format!("{name} = {}", toml::Value::from(list.clone())));
        }
    }
    if let Some(why) = &rule.deny {
        parts.push(format!("deny = {}", toml::Value::from(why.as_str())));
    }
    for (name, flag) in [("type-name", rule.type_name), ("reason", rule.reason)] {
        if flag {
            parts.push(format!("{name} = true"));
        }
    }
    if let Some(most) = rule.at_most {
        parts.push(format!("at-most = {most}"));
    }
    if !rule.hours.is_empty() {
        let hours: Vec<String> = rule.hours.iter().map(|hours| hours.text.clone()).collect();
        parts.push(format!("hours = {}", toml::Value::from(hours)));
    }
    Setting {
        key: format!("guard.{}", rule.name),
        value: format!("{{ {} }}", parts.join(", ")),
        origin: Origin::Rule(rule.origin.clone()),
        doc: "A rule of the guard: what a change must fit, and what is demanded of it.",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(text: &str) -> Result<Config, SettingsError> {
        Config::load(Some(Source::new("config.toml", text)), |_| None, &[])
    }

    #[test]
    fn the_shipped_rules_protect_production_and_what_is_not_known() {
        let names: Vec<String> = Config::default().guard.into_iter().map(|rule| rule.name).collect();
        assert_eq!(names, ["production", "unknown-environment", "bulk"]);
        let config = Config::default();
        assert!(config.standing("prod-eu-1").protected && config.standing("in-cluster").protected);
        assert!(!config.standing("kind-local").protected);
        assert_eq!(
            Config::load(Some(Source::new("c", Config::default_text())), |_| None, &[]).unwrap().guard.len(),
            3
        );
    }

    #[test]
    fn a_rule_of_ones_own_takes_the_place_of_one_of_its_name_and_says_where_it_is_written() {
        let text = "[guard.unknown-environment]\nenvironment = \"unknown\"\nreason = true\n\n\
                    [guard.freeze]\ncontext = \"prod-*\"\nverb = [\"sync\", \"rollback\"]\ndeny = \"frozen\"\n\
                    hours = [\"Mon-Fri 08:00-18:00\"]\nzone = \"Europe/Berlin\"\n";
        let config = from(text).unwrap();
        assert!(!config.standing("mystery").protected, "only a reason is asked for there now");
        let shown: Vec<String> = config
            .settings()
            .into_iter()
            .filter(|one| one.key.starts_with("guard."))
            .map(|one| format!("{} = {} ({})", one.key, one.value, one.origin))
            .collect();
        assert!(
            shown.contains(
                &"guard.unknown-environment = { environment = [\"unknown\"], reason = true } (config.toml:1)"
                    .to_owned()
            ),
            "{shown:?}"
        );
        assert!(
            shown.iter().any(|one| one.starts_with("guard.freeze = { context = [\"prod-*\"], verb = [\"sync\", \"rollback\"], deny = \"frozen\", hours = [\"Mon-Fri 08:00-18:00 Europe/Berlin\"] } (config.toml:5)")),
            "{shown:?}"
        );
    }

    #[test]
    fn a_wrong_rule_is_refused_with_its_line_and_what_is_allowed() {
        let said = |text: &str| from(text).unwrap_err().to_string();
        let text = said("[guard.a]\nverb = \"drian\"\n");
        assert!(
            text.starts_with("config.toml:2: guard.a.verb: unknown value \"drian\"; did you mean drain?"),
            "{text}"
        );
        let text = said("[guard.a]\nenvironment = [\"live\"]\n");
        assert!(text.contains("(allowed: dev, qa, staging, prod, unknown)"), "{text}");
        assert!(said("[guard.a]\nmost = 3\n").contains("config.toml:2: unknown key \"most\""));
        assert!(
            said("[guard.a]\nat-most = 0\n").contains("config.toml:2: guard.a.at-most must be 1 to 10000")
        );
        assert!(
            said("[guard.a]\nhours = \"always\"\n").contains("write times such as \"Mon-Fri 08:00-18:00\"")
        );
        assert!(said("[guard.a]\nzone = \"Mars/North\"\n").contains("is not a time zone"));
    }
}
