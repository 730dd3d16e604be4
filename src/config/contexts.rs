//! What holds for a context: its environment, whether it may be changed, what may be listed there.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::{Origin, Setting};
use crate::app::session::Environment;
use crate::gate::guard::fits;
use crate::settings::{Entry, Place, Section, SettingsError};
use crate::signals::System;
use crate::sources::git::{GitSettings, Push};
use crate::sources::{Directions, without_credentials};

/// What a pattern of contexts says; what it leaves open a later pattern may say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContextRule {
    /// The pattern: `*` stands for any letters, case does not matter.
    pub pattern: String,
    /// The environment.
    pub environment: Option<Environment>,
    /// Whether changes are refused.
    pub readonly: Option<bool>,
    /// The namespaces to list where listing all of them is forbidden.
    pub namespaces: Option<Vec<String>>,
    /// How systems beside Kubernetes are reached.
    pub systems: BTreeMap<System, Directions>,
    /// How the repositories of Applications are used.
    pub git: Option<GitRule>,
    /// The line that says so; `None` for a default.
    pub place: Option<Place>,
}

/// How the repositories of Applications are used; what it leaves open a later pattern may say.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GitRule {
    /// Not at all.
    pub off: bool,
    /// Where commits are pushed to.
    pub push: Option<Push>,
    /// Where a repository is reached from here, by the URL that Applications write, without credentials.
    pub repositories: BTreeMap<String, String>,
}

/// What holds for one context.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// Its environment.
    pub environment: Environment,
    /// Whether a name must be typed before anything is changed.
    pub protected: bool,
    /// Why changes are refused, where they are: the flag or the line of configuration.
    pub readonly: Option<String>,
    /// The namespaces to list where listing all of them is forbidden.
    pub namespaces: Vec<String>,
    /// How systems beside Kubernetes are reached; those that are not here are looked for.
    pub systems: BTreeMap<System, Directions>,
    /// How the repositories of Applications are used.
    pub git: GitSettings,
    /// Where commits are pushed to, where the context says so.
    pub push: Option<Push>,
    /// The rules of the guard.
    pub guard: Vec<crate::gate::guard::Rule>,
}

/// The patterns that come with the program. Local clusters are development; a name that fits nothing is an
/// unknown environment and is shown as such.
const DEFAULTS: &[(&str, Environment)] = &[
    ("*prod*", Environment::Prod),
    ("*prd*", Environment::Prod),
    ("*stag*", Environment::Staging),
    ("*stg*", Environment::Staging),
    ("*qa*", Environment::Qa),
    ("*test*", Environment::Qa),
    ("*dev*", Environment::Dev),
    ("kind-*", Environment::Dev),
    ("k3d-*", Environment::Dev),
    ("minikube", Environment::Dev),
    ("docker-desktop", Environment::Dev),
    ("rancher-desktop", Environment::Dev),
];

pub(super) fn defaults() -> Vec<ContextRule> {
    // `nonprod-eu-1` is not production, though `*prod*` fits it.
    let not = [("*nonprod*", Environment::Staging), ("*non-prod*", Environment::Staging)];
    not.iter()
        .chain(DEFAULTS)
        .map(|(pattern, environment)| ContextRule {
            pattern: (*pattern).to_owned(),
            environment: Some(*environment),
            readonly: None,
            namespaces: None,
            systems: BTreeMap::new(),
            git: None,
            place: None,
        })
        .collect()
}

pub(super) fn read(section: &Section<'_>) -> Result<Vec<ContextRule>, SettingsError> {
    let mut rules = Vec::new();
    for entry in section.entries() {
        let table = entry.section()?;
        let keys = ["environment", "readonly", "namespaces", "git"];
        let allowed: Vec<&str> = keys.into_iter().chain(System::ALL.map(System::key)).collect();
        table.allow(&allowed)?;
        let mut rule = ContextRule {
            pattern: entry.name.clone(),
            environment: None,
            readonly: None,
            namespaces: None,
            systems: BTreeMap::new(),
            git: None,
            place: Some(entry.place()),
        };
        if let Some(word) = table.get("environment") {
            rule.environment = Environment::named(&word.word(&Environment::NAMES)?);
        }
        if let Some(flag) = table.get("readonly") {
            rule.readonly = Some(flag.flag()?);
        }
        if let Some(list) = table.get("namespaces") {
            rule.namespaces = Some(list.strings()?);
        }
        if let Some(entry) = table.get("git") {
            rule.git = Some(git(&entry)?);
        }
        for system in System::ALL {
            if let Some(entry) = table.get(system.key()) {
                rule.systems.insert(system, directions(system, &entry)?);
            }
        }
        rules.push(rule);
    }
    Ok(rules)
}

/// Reads how repositories are used: a word, or a table.
fn git(entry: &Entry<'_>) -> Result<GitRule, SettingsError> {
    let mut rule = GitRule::default();
    if !entry.is_section() {
        match entry.word(&["tracked", "review", "off"])?.as_str() {
            "off" => rule.off = true,
            word => rule.push = Some(Push::named(word)),
        }
        return Ok(rule);
    }
    let table = entry.section()?;
    table.allow(&["off", "push", "repositories"])?;
    if let Some(flag) = table.get("off") {
        rule.off = flag.flag()?;
    }
    if let Some(word) = table.get("push") {
        rule.push = Some(Push::named(&word.word(&Push::WORDS)?));
    }
    if let Some(repositories) = table.get("repositories") {
        for one in repositories.section()?.entries() {
            rule.repositories.insert(without_credentials(&one.name), one.string()?);
        }
    }
    Ok(rule)
}

/// Reads how a system is reached: a URL, `"off"`, or a table.
fn directions(system: System, entry: &Entry<'_>) -> Result<Directions, SettingsError> {
    let mut directions = Directions::default();
    if !entry.is_section() {
        let word = entry.string()?;
        if word == "off" {
            directions.off = true;
        } else {
            directions.url = Some(url(entry, word)?);
        }
        return Ok(directions);
    }
    let table = entry.section()?;
    let aws: &[&str] = &["off", "url", "region", "profile", "credentials_file", "secrets_url"];
    let http: &[&str] =
        &["off", "url", "service", "prefix", "headers", "bearer_env", "bearer_file", "ca_file", "insecure"];
    let allowed = match system {
        System::CloudWatch => aws,
        System::ResourceMetrics => &["off"],
        _ => http,
    };
    table.allow(allowed)?;
    let text = |name: &str| table.get(name).map(|entry| entry.string()).transpose();
    let flag = |name: &str| table.get(name).map_or(Ok(false), |entry| entry.flag());
    directions.off = flag("off")?;
    if let Some(entry) = table.get("url") {
        directions.url = Some(url(&entry, entry.string()?)?);
    }
    if let Some(entry) = table.get("secrets_url") {
        directions.secrets_url = Some(url(&entry, entry.string()?)?);
    }
    directions.service = text("service")?;
    directions.prefix = text("prefix")?;
    directions.bearer_env = text("bearer_env")?;
    directions.bearer_file = text("bearer_file")?.map(PathBuf::from);
    directions.ca_file = text("ca_file")?.map(PathBuf::from);
    directions.insecure = flag("insecure")?;
    directions.region = text("region")?;
    directions.profile = text("profile")?;
    directions.credentials_file = text("credentials_file")?.map(PathBuf::from);
    if let Some(headers) = table.get("headers") {
        for header in headers.section()?.entries() {
            directions.headers.push((header.name.clone(), header.string()?));
        }
    }
    Ok(directions)
}

fn url(entry: &Entry<'_>, text: String) -> Result<String, SettingsError> {
    if text.starts_with("http://") || text.starts_with("https://") {
        return Ok(text);
    }
    Err(entry.wrong(format!("{text:?} is not a URL: write http://..., https://... or \"off\"")))
}

pub(super) fn standing(
    rules: &[ContextRule],
    context: &str,
    readonly_everywhere: Option<String>,
    also_protect: &[String],
    namespaces: &[String],
) -> Standing {
    let fitting = || rules.iter().filter(|rule| fits(&rule.pattern, context));
    let environment = fitting().find_map(|rule| rule.environment).unwrap_or(Environment::Unknown);
    let readonly = readonly_everywhere.or_else(|| {
        let rule = fitting().find(|rule| rule.readonly.is_some())?;
        (rule.readonly == Some(true)).then(|| rule.origin().to_string())
    });
    let mut git = GitSettings {
        off: fitting().find_map(|rule| rule.git.as_ref()).is_some_and(|rule| rule.off),
        ..GitSettings::default()
    };
    for rule in fitting().filter_map(|rule| rule.git.as_ref()) {
        for (url, here) in &rule.repositories {
            git.repositories.entry(url.clone()).or_insert_with(|| here.clone());
        }
    }
    Standing {
        environment,
        protected: environment == Environment::Prod
            || also_protect.iter().any(|word| word == environment.word()),
        readonly,
        namespaces: fitting().find_map(|rule| rule.namespaces.clone()).unwrap_or_else(|| namespaces.to_vec()),
        systems: System::ALL
            .into_iter()
            .filter_map(|system| {
                Some((system, fitting().find_map(|rule| rule.systems.get(&system))?.clone()))
            })
            .collect(),
        git,
        push: fitting().find_map(|rule| rule.git.as_ref()?.push),
        guard: Vec::new(),
    }
}

impl ContextRule {
    fn origin(&self) -> Origin {
        self.place.clone().map_or(Origin::Default, Origin::File)
    }

    pub(super) fn settings(&self) -> Vec<Setting> {
        let setting = |name: &str, value: String, doc| Setting {
            key: format!("contexts.\"{}\".{name}", self.pattern),
            value,
            origin: self.origin(),
            doc,
        };
        let mut all = Vec::new();
        if let Some(environment) = self.environment {
            let value = format!("\"{}\"", environment.word());
            all.push(setting("environment", value, "What contexts of this name are used for."));
        }
        if let Some(readonly) = self.readonly {
            all.push(setting("readonly", readonly.to_string(), "Whether changes are refused there."));
        }
        if let Some(namespaces) = &self.namespaces {
            let value = toml::Value::from(namespaces.clone()).to_string();
            all.push(setting("namespaces", value, "Namespaces to list where not all may be listed."));
        }
        if let Some(git) = &self.git {
            all.push(setting("git", git.written(), "How the repositories of Applications are used."));
        }
        for (system, directions) in &self.systems {
            all.push(setting(system.key(), written(directions), "How this system is reached."));
        }
        all
    }
}

impl GitRule {
    /// Writes it as TOML, without credentials.
    fn written(&self) -> String {
        if self.off {
            return "\"off\"".to_owned();
        }
        let mut parts: Vec<String> =
            self.push.iter().map(|push| format!("push = \"{}\"", push.word())).collect();
        if !self.repositories.is_empty() {
            let each = self.repositories.iter().map(|(url, here)| {
                let text = |text: &str| toml::Value::from(text).to_string();
                format!("{} = {}", text(url), text(&without_credentials(here)))
            });
            parts.push(format!("repositories = {{ {} }}", each.collect::<Vec<_>>().join(", ")));
        }
        format!("{{ {} }}", parts.join(", "))
    }
}

/// Writes directions as TOML; the values of headers may be secret and are left out.
fn written(directions: &Directions) -> String {
    if directions.off {
        return "\"off\"".to_owned();
    }
    let texts = [
        // It may hold a user and a password.
        ("url", directions.url.as_deref().map(without_credentials)),
        ("secrets_url", directions.secrets_url.as_deref().map(without_credentials)),
        ("service", directions.service.clone()),
        ("prefix", directions.prefix.clone()),
        ("bearer_env", directions.bearer_env.clone()),
        ("bearer_file", directions.bearer_file.as_ref().map(|file| file.display().to_string())),
        ("ca_file", directions.ca_file.as_ref().map(|file| file.display().to_string())),
        ("region", directions.region.clone()),
        ("profile", directions.profile.clone()),
        ("credentials_file", directions.credentials_file.as_ref().map(|file| file.display().to_string())),
    ];
    let mut parts: Vec<String> = texts
        .into_iter()
        .filter_map(|(name, value)| Some(format!("{name} = {}", toml::Value::from(value?))))
        .collect();
    if directions.insecure {
        parts.push("insecure = true".to_owned());
    }
    if !directions.headers.is_empty() {
        let names: Vec<String> = directions
            .headers
            .iter()
            .map(|(name, _)| format!("{} = \"...\"", toml::Value::from(name.as_str())))
            .collect();
        parts.push(format!("headers = {{ {} }}", names.join(", ")));
    }
    format!("{{ {} }}", parts.join(", "))
}
