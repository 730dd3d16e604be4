//! Saved queries for Loki: those that come with the program, and the person's own, which go before.

use std::collections::BTreeMap;

use super::{Config, Origin, Setting};
use crate::settings::{Section, SettingsError};

/// A query with a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SavedQuery {
    /// Its name, as `:logs NAME` takes it.
    pub name: String,
    /// What it finds, in words.
    pub title: String,
    /// The query in `LogQL`.
    pub query: String,
    /// Where a query of one's own is written, such as `config.toml:12`; `None` for those of the program.
    pub place: Option<crate::settings::Place>,
}

/// Returns the queries as settings: those that hold, and where each comes from.
pub(super) fn settings(config: &Config) -> Vec<Setting> {
    let setting = |one: SavedQuery| Setting {
        key: format!("queries.{}", one.name),
        value: toml::Value::from(one.query).to_string(),
        origin: one.place.map_or(Origin::Default, Origin::File),
        doc: "A query to Loki that `:logs NAME` opens.",
    };
    all(config).into_iter().map(setting).collect()
}

/// The queries that come with the program: three lines each, in a form that needs no parser to fail.
const SHIPPED: &str = include_str!("../../assets/queries.toml");

/// Returns every saved query: the person's own, then those of the program that have another name.
pub fn all(config: &Config) -> Vec<SavedQuery> {
    let mut all = config.queries.clone();
    for one in shipped() {
        if !all.iter().any(|own| own.name == one.name) {
            all.push(one);
        }
    }
    all
}

/// Returns the queries that come with the program.
pub fn shipped() -> Vec<SavedQuery> {
    let parsed: BTreeMap<String, BTreeMap<String, String>> = toml::from_str(SHIPPED).unwrap_or_default();
    let one = |(name, mut fields): (String, BTreeMap<String, String>)| {
        let query = fields.remove("query")?;
        Some(SavedQuery {
            title: fields.remove("title").unwrap_or_else(|| name.clone()),
            query,
            name,
            place: None,
        })
    };
    parsed.into_iter().filter_map(one).collect()
}

/// Reads `name = "query"` lines.
pub(super) fn read(section: &Section<'_>) -> Result<Vec<SavedQuery>, SettingsError> {
    section
        .entries()
        .iter()
        .map(|entry| {
            let query = entry.string()?;
            if !query.contains('{') {
                return Err(entry.wrong("a query in LogQL has a selector, such as {namespace=\"x\"}"));
            }
            let name = entry.name.clone();
            Ok(SavedQuery { title: name.clone(), name, query, place: Some(entry.place()) })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::logql::parse;

    #[test]
    fn every_query_that_comes_with_the_program_is_logql() {
        let all = shipped();
        assert!(all.len() >= 9, "{}", all.len());
        for one in all {
            assert!(parse(&one.query).is_ok(), "{}: {:?}", one.name, parse(&one.query).err());
            assert_ne!(one.title, one.name);
        }
    }

    #[test]
    fn a_query_of_ones_own_goes_before() {
        let own =
            SavedQuery { name: "oom".into(), title: "oom".into(), query: "{a=\"b\"}".into(), place: None };
        let config = Config { queries: vec![own.clone()], ..Config::default() };
        let found: Vec<SavedQuery> = all(&config).into_iter().filter(|one| one.name == "oom").collect();
        assert_eq!(found, [own]);
    }

    #[test]
    fn every_query_is_shown_with_where_it_comes_from() {
        let text = "[queries]\nslow = '{a=\"b\"} | json'\n";
        let source = crate::settings::Source::new("config.toml", text);
        let config = Config::load(Some(source), |_| None, &[]).unwrap();
        let shown: Vec<String> = config
            .settings()
            .into_iter()
            .map(|s| format!("{} = {} ({})", s.key, s.value, s.origin))
            .collect();
        assert!(shown.contains(&"queries.slow = '{a=\"b\"} | json' (config.toml:2)".to_owned()), "{shown:?}");
        assert!(shown.iter().any(|line| line.starts_with("queries.oom = ") && line.ends_with("(default)")));
    }
}
