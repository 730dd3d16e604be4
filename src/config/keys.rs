//! Every setting, described once.

use std::fmt;

use super::{Borders, Config};
use crate::keymap::Keymap;
use crate::settings::{Entry, SettingsError, not_one_of};
use crate::sources::git::Push;

/// What a setting takes.
#[derive(Debug, Clone, Copy)]
pub enum Takes {
    /// Any text.
    Text,
    /// One of a few words.
    Word(fn() -> Vec<&'static str>),
    /// `true` or `false`.
    Flag,
    /// A whole number between two bounds.
    Number(u64, u64),
    /// A number, whole or not, between two bounds.
    Amount(f64, f64),
    /// A list of texts; separated by commas in the environment.
    Texts,
    /// A list of a few words.
    Words(fn() -> Vec<&'static str>),
}

/// A value of a setting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// Text.
    Text(String),
    /// `true` or `false`.
    Flag(bool),
    /// A whole number.
    Number(u64),
    /// A number, whole or not, as it is written.
    Amount(String),
    /// A list.
    Texts(Vec<String>),
}

/// Writes TOML.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => write!(f, "{}", toml::Value::from(text.as_str())),
            Self::Flag(flag) => write!(f, "{flag}"),
            Self::Number(number) => write!(f, "{number}"),
            Self::Amount(number) => f.write_str(number),
            Self::Texts(texts) => write!(f, "{}", toml::Value::from(texts.clone())),
        }
    }
}

/// A setting.
pub struct Key {
    /// Its key, such as `logs.lines`.
    pub name: &'static str,
    /// What it takes.
    pub takes: Takes,
    /// Its default, as the environment would write it.
    default: &'static str,
    /// What it is for, in a sentence.
    pub doc: &'static str,
    pub(super) get: fn(&Config) -> Value,
    pub(super) set: fn(&mut Config, Value),
}

impl Key {
    /// Returns the table in which it stands in the file.
    pub fn section(&self) -> Option<&'static str> {
        self.name.split_once('.').map(|(section, _)| section)
    }

    /// Returns the variable of the environment that sets it, such as `OPSDECK_LOGS_LINES`.
    pub fn variable(&self) -> String {
        format!("OPSDECK_{}", self.name.replace(['.', '-'], "_").to_uppercase())
    }

    /// Returns its default as the environment would write it.
    pub fn default_text(&self) -> &'static str {
        self.default
    }

    /// Returns its default.
    pub(super) fn default(&self) -> Value {
        // The defaults below parse; a test holds that.
        self.parse(self.default).unwrap_or(Value::Text(String::new()))
    }

    /// Reads it from text: the environment, a flag.
    pub fn parse(&self, text: &str) -> Result<Value, String> {
        let list = || text.split(',').map(str::trim).filter(|part| !part.is_empty()).map(ToOwned::to_owned);
        match self.takes {
            Takes::Text => Ok(Value::Text(text.to_owned())),
            Takes::Word(words) => one_of(self.name, text, &words()).map(Value::Text),
            Takes::Flag => match text {
                "true" | "1" | "yes" | "on" => Ok(Value::Flag(true)),
                "false" | "0" | "no" | "off" => Ok(Value::Flag(false)),
                _ => Err(format!("{} must be true or false, not {text:?}", self.name)),
            },
            Takes::Number(least, most) => text
                .parse()
                .ok()
                .filter(|number| (least..=most).contains(number))
                .map(Value::Number)
                .ok_or_else(|| format!("{} must be {least} to {most}, not {text:?}", self.name)),
            Takes::Amount(least, most) => text
                .trim()
                .parse::<f64>()
                .ok()
                .filter(|number| (least..=most).contains(number))
                .map(|number| Value::Amount(number.to_string()))
                .ok_or_else(|| format!("{} must be {least} to {most}, not {text:?}", self.name)),
            Takes::Texts => Ok(Value::Texts(list().collect())),
            Takes::Words(words) => {
                let words = words();
                list()
                    .map(|word| one_of(self.name, &word, &words))
                    .collect::<Result<_, _>>()
                    .map(Value::Texts)
            }
        }
    }

    /// Reads it from a file.
    pub(super) fn read(&self, entry: &Entry<'_>) -> Result<Value, SettingsError> {
        match self.takes {
            Takes::Text => entry.string().map(Value::Text),
            Takes::Word(words) => entry.word(&words()).map(Value::Text),
            Takes::Flag => entry.flag().map(Value::Flag),
            Takes::Number(least, most) => entry.number(least, most).map(Value::Number),
            Takes::Amount(least, most) => {
                let number = entry.amount()?;
                if (least..=most).contains(&number) {
                    Ok(Value::Amount(number.to_string()))
                } else {
                    Err(entry.wrong(format!("{} must be {least} to {most}, not {number}", self.name)))
                }
            }
            Takes::Texts => entry.strings().map(Value::Texts),
            Takes::Words(words) => {
                let words = words();
                let given = entry.strings()?;
                for word in &given {
                    one_of(self.name, word, &words).map_err(|what| entry.wrong(what))?;
                }
                Ok(Value::Texts(given))
            }
        }
    }
}

fn one_of(name: &str, word: &str, allowed: &[&'static str]) -> Result<String, String> {
    if allowed.contains(&word) {
        Ok(word.to_owned())
    } else {
        Err(format!("{name}: {}", not_one_of("value", word, allowed)))
    }
}

/// Writes getter and setter of a field; a value of another type cannot come here and changes nothing.
fn push_words() -> Vec<&'static str> {
    Push::WORDS.to_vec()
}

macro_rules! field {
    (Text $($path:ident).+) => {
        (|config: &Config| Value::Text(config.$($path).+.clone()),
         |config: &mut Config, value| if let Value::Text(text) = value { config.$($path).+ = text })
    };
    (Flag $($path:ident).+) => {
        (|config: &Config| Value::Flag(config.$($path).+),
         |config: &mut Config, value| if let Value::Flag(flag) = value { config.$($path).+ = flag })
    };
    (Number $($path:ident).+) => {
        (|config: &Config| Value::Number(u64::try_from(config.$($path).+).unwrap_or(u64::MAX)),
         |config: &mut Config, value| if let Value::Number(number) = value {
             config.$($path).+ = number.try_into().unwrap_or_default()
         })
    };
    (Amount $($path:tt).+) => {
        (|config: &Config| Value::Amount(config.$($path).+.to_string()),
         |config: &mut Config, value| if let Value::Amount(number) = value {
             config.$($path).+ = number.parse().unwrap_or_default()
         })
    };
    (Texts $($path:ident).+) => {
        (|config: &Config| Value::Texts(config.$($path).+.clone()),
         |config: &mut Config, value| if let Value::Texts(texts) = value { config.$($path).+ = texts })
    };
}

/// How a setting is read from the configuration, and how it is put there.
type Field = (fn(&Config) -> Value, fn(&mut Config, Value));

const fn key(
    name: &'static str,
    takes: Takes,
    default: &'static str,
    (get, set): Field,
    doc: &'static str,
) -> Key {
    Key { name, takes, default, doc, get, set }
}

fn border_words() -> Vec<&'static str> {
    vec!["auto", "unicode", "ascii"]
}

fn protectable() -> Vec<&'static str> {
    vec!["dev", "qa", "staging", "unknown"]
}

const BORDERS: Field = (
    |config| {
        let word = match config.borders {
            Borders::Auto => "auto",
            Borders::Unicode => "unicode",
            Borders::Ascii => "ascii",
        };
        Value::Text(word.to_owned())
    },
    |config, value| {
        if let Value::Text(word) = value {
            config.borders = match word.as_str() {
                "unicode" => Borders::Unicode,
                "ascii" => Borders::Ascii,
                _ => Borders::Auto,
            };
        }
    },
);

const PERCENT: Takes = Takes::Amount(0.0, 100.0);

/// Every setting but the patterns of contexts, in the order of the documentation.
pub const KEYS: &[Key] = &[
    key("theme", Takes::Text, "dark", field!(Text theme), "The theme; opsdeck themes lists them."),
    key(
        "keymap",
        Takes::Word(Keymap::presets),
        "k9s",
        field!(Text keymap),
        "The preset under your own keymap.toml.",
    ),
    key("mouse", Takes::Flag, "true", field!(Flag mouse), "Whether clicks and the wheel work."),
    key("borders", Takes::Word(border_words), "auto", BORDERS, "Whether lines are drawn in ASCII."),
    key("readonly", Takes::Flag, "false", field!(Flag readonly), "Whether every change is refused."),
    key(
        "also-protect",
        Takes::Words(protectable),
        "",
        field!(Texts also_protect),
        "Environments besides prod in which a name must be typed before anything is changed.",
    ),
    key(
        "namespaces",
        Takes::Texts,
        "",
        field!(Texts namespaces),
        "Namespaces to list where you may not list them all.",
    ),
    key(
        "tenants.namespace-labels",
        Takes::Texts,
        "opsdeck.dev/tenant,platform/tenant,tenant,capsule.clastix.io/tenant,\
         toolkit.fluxcd.io/tenant,field.cattle.io/projectId,team,owner,app.kubernetes.io/team,\
         app.kubernetes.io/part-of",
        field!(Texts tenants.namespace_labels),
        "Labels of namespaces whose value names the tenant, tried in order.",
    ),
    key(
        "tenants.app-project",
        Takes::Flag,
        "true",
        field!(Flag tenants.app_project),
        "Whether the AppProject of an Application names its tenant where no namespace does.",
    ),
    key(
        "tenants.name-patterns",
        Takes::Texts,
        "tenant-*",
        field!(Texts tenants.name_patterns),
        "Names of namespaces that are tenants where no label says it.",
    ),
    key(
        "tenants.ignore",
        Takes::Texts,
        "kube-*,default,argocd,karpenter,monitoring,cert-manager,*-system,external-dns,external-secrets,\
         ingress-nginx,keda,kyverno,reloader",
        field!(Texts tenants.ignore),
        "Namespaces of the platform that belong to no tenant.",
    ),
    key(
        "rollback.watch-minutes",
        Takes::Number(1, 120),
        "5",
        field!(Number watch_minutes),
        "Minutes for which a rollback is watched.",
    ),
    key(
        "rollback.hold-minutes",
        Takes::Number(1, 10_080),
        "60",
        field!(Number hold_minutes),
        "Minutes for which auto-sync is held before it is offered back.",
    ),
    key(
        "silence.minutes",
        Takes::Number(1, 43_200),
        "120",
        field!(Number silence_minutes),
        "Minutes that a silence lasts where nothing else is said.",
    ),
    key(
        "silence.max-share",
        Takes::Number(1, 100),
        "50",
        field!(Number silence_share),
        "The largest share of the firing alerts that one silence may hide, in percent.",
    ),
    key(
        "git.push",
        Takes::Word(push_words),
        "tracked",
        field!(Text git_push),
        "Where a revert or a promotion is pushed to: the tracked branch, or a branch for review.",
    ),
    key(
        "logs.lines",
        Takes::Number(100, 2_000_000),
        "50000",
        field!(Number log_lines),
        "Lines of a log that are kept; older ones are dropped and counted.",
    ),
    key(
        "logs.tail",
        Takes::Number(1, 100_000),
        "500",
        field!(Number log_tail),
        "Lines of each container that are asked for at first.",
    ),
    key(
        "logs.ask-above",
        Takes::Number(1, 10_000_000),
        "2048",
        field!(Number log_ask_above),
        "Mebibytes above which a query to Loki is asked about first.",
    ),
    key(
        "logs.fields",
        Takes::Texts,
        "level,msg,message,error,err,method,path,status,duration,duration_ms",
        field!(Texts log_fields),
        "Fields that JSON and logfmt lines are folded to.",
    ),
    key(
        "kpi.deployment-minutes",
        Takes::Amount(0.1, 1_440.0),
        "5",
        field!(Amount kpi.deployment_minutes),
        "Minutes that a deployment may take.",
    ),
    key(
        "kpi.rollback-minutes",
        Takes::Amount(0.1, 1_440.0),
        "2",
        field!(Amount kpi.rollback_minutes),
        "Minutes that a rollback may take.",
    ),
    key(
        "kpi.availability",
        Takes::Amount(0.0, 100.0),
        "99.9",
        field!(Amount kpi.availability),
        "Percent of the requests that must be answered without an error of the server.",
    ),
    key(
        "kpi.response-ms",
        Takes::Amount(1.0, 600_000.0),
        "200",
        field!(Amount kpi.response_ms),
        "Milliseconds within which 95 of a hundred requests should be answered.",
    ),
    key(
        "kpi.cpu-low",
        PERCENT,
        "60",
        field!(Amount kpi.cpu.0),
        "Percent of the CPU that should be used at least.",
    ),
    key(
        "kpi.cpu-high",
        PERCENT,
        "80",
        field!(Amount kpi.cpu.1),
        "Percent of the CPU that should be used at most.",
    ),
    key("kpi.memory-low", PERCENT, "70", field!(Amount kpi.memory.0), "The same of the memory, at least."),
    key("kpi.memory-high", PERCENT, "85", field!(Amount kpi.memory.1), "The same of the memory, at most."),
    key("kpi.storage-low", PERCENT, "50", field!(Amount kpi.storage.0), "The same of the storage, at least."),
    key("kpi.storage-high", PERCENT, "70", field!(Amount kpi.storage.1), "The same of the storage, at most."),
    key("kpi.network-low", PERCENT, "40", field!(Amount kpi.network.0), "The same of the network, at least."),
    key("kpi.network-high", PERCENT, "60", field!(Amount kpi.network.1), "The same of the network, at most."),
];
