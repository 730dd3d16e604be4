//! Stories: scripted incidents of the embedded platform, as data files.
//!
//! A story says how the world stands at the start and what happens at which moment, counted from when a client first
//! looks. It can do only what CI, a cloud or a person could do from outside: commit, break an image, set a window,
//! take a node, find a leaked password, break what rotates it, cut a quota, have the upstream of name lookups fail.
//! What follows is the controllers' work.

use serde::Deserialize;

use super::estate::{App, Estate, Release};
use super::images::Behaviour;
use super::untyped::{duration, later};
use crate::nearest::nearest;

/// Every story: its name and its file.
const FILES: &[(&str, &str)] = &[
    ("quiet", include_str!("../../assets/stories/quiet.toml")),
    ("bad-deploy", include_str!("../../assets/stories/bad-deploy.toml")),
    ("spot-interruption", include_str!("../../assets/stories/spot-interruption.toml")),
    ("frozen-window", include_str!("../../assets/stories/frozen-window.toml")),
    ("owned-by-applicationset", include_str!("../../assets/stories/owned-by-applicationset.toml")),
    ("stuck-sync", include_str!("../../assets/stories/stuck-sync.toml")),
    ("noisy-neighbour", include_str!("../../assets/stories/noisy-neighbour.toml")),
    ("quota-full", include_str!("../../assets/stories/quota-full.toml")),
    ("dns-trouble", include_str!("../../assets/stories/dns-trouble.toml")),
    ("volume-full", include_str!("../../assets/stories/volume-full.toml")),
    ("api-throttled", include_str!("../../assets/stories/api-throttled.toml")),
    ("drain-blocked", include_str!("../../assets/stories/drain-blocked.toml")),
    ("rollback-in-frozen-window", include_str!("../../assets/stories/rollback-in-frozen-window.toml")),
    ("bad-config-in-git", include_str!("../../assets/stories/bad-config-in-git.toml")),
    ("certificate-expiring", include_str!("../../assets/stories/certificate-expiring.toml")),
    ("leaked-secret", include_str!("../../assets/stories/leaked-secret.toml")),
    ("rotation-fails", include_str!("../../assets/stories/rotation-fails.toml")),
];

/// The story that `demo` plays unless told otherwise.
pub const DEFAULT: &str = "bad-deploy";

/// Why a story cannot be played.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoryError {
    /// There is no such story.
    #[error("there is no story \"{name}\"; {}", hint(.nearest))]
    Unknown {
        /// What was asked for.
        name: String,
        /// The nearest names, or all of them.
        nearest: Vec<String>,
    },
    /// The file is wrong.
    #[error("assets/stories/{name}.toml: {problem}")]
    File {
        /// Name of the story.
        name: String,
        /// What is wrong, with line and column where the parser knows them.
        problem: String,
    },
    /// The platform is too small.
    #[error(
        "story \"{name}\" needs {needs} tenants; the platform has {tenants}, ask for more with --tenants"
    )]
    TooSmall {
        /// Name of the story.
        name: String,
        /// Tenants that it needs.
        needs: usize,
        /// Tenants that there are.
        tenants: usize,
    },
}

fn hint(nearest: &[String]) -> String {
    format!("did you mean {}?", nearest.join(" or "))
}

/// A story.
#[derive(Debug, Clone, PartialEq)]
pub struct Story {
    /// Name on the command line.
    pub name: String,
    /// Title for people.
    pub title: String,
    /// What happens.
    pub what: String,
    /// What to try.
    pub advice: String,
    /// Seconds that the world is played before a client first looks.
    pub begins: f64,
    /// What happens, in order of time.
    pub steps: Vec<Step>,
    tenant: usize,
    needs: usize,
    releases: Vec<ReleaseFile>,
    /// Applications whose certificate ends soon, and the seconds that it has left.
    ending: Vec<(String, f64)>,
}

/// Something that happens.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// Seconds from when a client first looks; negative before that.
    pub at: f64,
    /// What.
    pub act: Act,
}

/// What can happen from outside.
#[derive(Debug, Clone, PartialEq)]
pub enum Act {
    /// CI commits a version of an application.
    Commit {
        /// Name of the Application.
        app: String,
        /// The version.
        version: String,
    },
    /// An image of an application behaves in a way from now on.
    Image {
        /// Name of the Application.
        app: String,
        /// The tag.
        version: String,
        /// How it behaves.
        behaviour: Behaviour,
        /// It is the image of the application's migration hook instead of its own.
        hook: bool,
    },
    /// A deny window of a project opens now.
    Window {
        /// Name of the project.
        project: String,
        /// Its description.
        name: String,
        /// Seconds until it closes.
        lasts: f64,
        /// Whether it lets through what a person begins.
        manual: bool,
    },
    /// A person sets a value in the values file of a tenant.
    Setting {
        /// Name of the Application.
        app: String,
        /// The same value is set for these services of the same file, who can live with it.
        also: Vec<String>,
        /// The key.
        key: String,
        /// The value.
        value: String,
        /// How the pods of the Application behave with it.
        behaviour: Behaviour,
        /// What the commit says.
        message: String,
    },
    /// A person has Argo CD deploy what is in git.
    Sync {
        /// Name of the Application.
        app: String,
    },
    /// Part of the name lookups fails from now on, for as long as the `CoreDNS` replicas of now run.
    Lookups {
        /// Which part, between 0 and 1.
        failing: f64,
    },
    /// Somebody cuts the quota of a namespace down to what it uses now.
    Quota {
        /// Name of the namespace.
        namespace: String,
        /// How many more pods it leaves room for.
        room: i64,
    },
    /// Somebody sets how many pods of a budget may be away.
    Budget {
        /// Namespace of the budget.
        namespace: String,
        /// Its name.
        name: String,
        /// How many.
        unavailable: i64,
    },
    /// Somebody has an issuer write its answers into a hosted zone.
    Issuer {
        /// Name of the `ClusterIssuer`.
        name: String,
        /// Id of the zone.
        zone: String,
    },
    /// A scanner finds the credentials of an application where they should not be, and says so.
    Leak {
        /// Name of the Application.
        app: String,
    },
    /// What rotates the credentials of an application fails from now on, or no more.
    Rotation {
        /// Name of the Application.
        app: String,
        /// Whether it fails.
        fails: bool,
    },
    /// The cloud takes back the spot node that holds most pods of a tenant.
    Interrupt {
        /// Name of the tenant.
        tenant: String,
    },
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    title: String,
    what: String,
    r#try: String,
    #[serde(default = "one")]
    tenant: usize,
    #[serde(default = "one")]
    needs: usize,
    #[serde(default)]
    begins: Option<String>,
    #[serde(default)]
    release: Vec<ReleaseFile>,
    #[serde(default)]
    ending: Vec<EndingFile>,
    #[serde(default)]
    step: Vec<StepFile>,
}

fn one() -> usize {
    1
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
struct ReleaseFile {
    app: String,
    versions: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct EndingFile {
    app: String,
    left: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct IssuerFile {
    name: String,
    zone: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct StepFile {
    at: String,
    commit: Option<CommitFile>,
    image: Option<ImageFile>,
    hook: Option<ImageFile>,
    window: Option<WindowFile>,
    setting: Option<SettingFile>,
    interrupt: Option<InterruptFile>,
    sync: Option<SyncFile>,
    lookups: Option<LookupsFile>,
    quota: Option<QuotaFile>,
    budget: Option<BudgetFile>,
    leak: Option<SyncFile>,
    rotation: Option<RotationFile>,
    issuer: Option<IssuerFile>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct SyncFile {
    app: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RotationFile {
    app: String,
    fails: bool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct LookupsFile {
    failing: f64,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct QuotaFile {
    namespace: String,
    room: i64,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct BudgetFile {
    namespace: String,
    name: String,
    unavailable: i64,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct CommitFile {
    app: String,
    version: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ImageFile {
    app: String,
    version: String,
    behaviour: BehaviourFile,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum BehaviourFile {
    Healthy,
    Crash,
    OutOfMemory,
    Slow,
    Hang,
    Missing,
    Spin,
    Hammer,
    Full,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct WindowFile {
    project: String,
    name: String,
    closes: String,
    #[serde(default)]
    manual: bool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct SettingFile {
    app: String,
    #[serde(default)]
    also: Vec<String>,
    key: String,
    value: String,
    behaviour: BehaviourFile,
    message: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct InterruptFile {
    tenant: String,
}

/// Returns the names of all stories, in the order in which they are listed to people.
pub fn names() -> impl Iterator<Item = &'static str> {
    FILES.iter().map(|(name, _)| *name)
}

impl Story {
    /// Finds a story by its name.
    pub fn find(name: &str) -> Result<Self, StoryError> {
        if let Some((name, text)) = FILES.iter().find(|(known, _)| *known == name) {
            return Self::parse(name, text);
        }
        let near: Vec<String> = nearest(name, names()).into_iter().map(str::to_owned).collect();
        let nearest = if near.is_empty() { names().map(str::to_owned).collect() } else { near };
        Err(StoryError::Unknown { name: name.to_owned(), nearest })
    }

    /// Reads a story file.
    pub fn parse(name: &str, text: &str) -> Result<Self, StoryError> {
        let wrong = |problem: String| StoryError::File { name: name.to_owned(), problem };
        let file: File = toml::from_str(text).map_err(|error| wrong(error.to_string()))?;
        let tenant = format!("tenant-{}", file.tenant);
        let seconds = |written: &str| {
            let (sign, rest) = match written.strip_prefix('-') {
                Some(rest) => (-1.0, rest),
                None => (1.0, written),
            };
            duration(rest)
                .map(|length| sign * length)
                .ok_or_else(|| wrong(format!("\"{written}\" is not a duration such as 90s or -12m30s")))
        };
        let begins = file.begins.as_deref().map(seconds).transpose()?.unwrap_or(0.0);
        let mut steps = Vec::new();
        for step in &file.step {
            let at = seconds(&step.at)?;
            if at < -begins {
                return Err(wrong(format!("the step at {} lies before the beginning", step.at)));
            }
            let acts = acts(step, &tenant, &seconds)?;
            let [act] = <[Act; 1]>::try_from(acts).map_err(|acts| {
                wrong(format!("the step at {} names {} actions instead of one", step.at, acts.len()))
            })?;
            steps.push(Step { at, act });
        }
        if !steps.is_sorted_by(|one, next| one.at <= next.at) {
            return Err(wrong("steps are not in the order of their times".to_owned()));
        }
        let ending = file.ending.iter().map(|one| Ok((named(&one.app, &tenant), seconds(&one.left)?)));
        let ending = ending.collect::<Result<_, StoryError>>()?;
        let releases = file
            .release
            .into_iter()
            .map(|release| ReleaseFile { app: named(&release.app, &tenant), ..release })
            .collect();
        Ok(Self {
            name: name.to_owned(),
            title: file.title,
            what: file.what.trim().to_owned(),
            advice: file.r#try.trim().to_owned(),
            begins,
            steps,
            tenant: file.tenant,
            needs: file.needs.max(file.tenant),
            releases,
            ending,
        })
    }

    /// Gives the applications of the story the releases that it tells of.
    ///
    /// The last release of each keeps its date; earlier ones keep theirs as far as there are as many.
    pub fn prepare(&self, estate: &mut Estate) -> Result<(), StoryError> {
        let tenants = estate.tenants.len();
        if tenants < self.needs {
            return Err(StoryError::TooSmall { name: self.name.clone(), needs: self.needs, tenants });
        }
        for wanted in &self.releases {
            if let Some(app) = app_mut(estate, &wanted.app) {
                rewrite(app, &wanted.versions);
            }
        }
        estate.ending.extend(self.ending.iter().cloned());
        Ok(())
    }

    /// Returns the number of the tenant that the story is about.
    pub fn tenant(&self) -> usize {
        self.tenant
    }
}

impl From<BehaviourFile> for Behaviour {
    fn from(file: BehaviourFile) -> Self {
        match file {
            BehaviourFile::Healthy => Self::Healthy,
            BehaviourFile::Crash => Self::Crash,
            BehaviourFile::OutOfMemory => Self::OutOfMemory,
            BehaviourFile::Slow => Self::Slow,
            BehaviourFile::Hang => Self::NeverReady,
            BehaviourFile::Missing => Self::Missing,
            BehaviourFile::Spin => Self::Spin,
            BehaviourFile::Hammer => Self::Hammer,
            BehaviourFile::Full => Self::Full,
        }
    }
}

fn named(text: &str, tenant: &str) -> String {
    text.replace("{tenant}", tenant)
}

fn acts(
    step: &StepFile,
    tenant: &str,
    seconds: &impl Fn(&str) -> Result<f64, StoryError>,
) -> Result<Vec<Act>, StoryError> {
    let mut acts = Vec::new();
    if let Some(commit) = &step.commit {
        acts.push(Act::Commit { app: named(&commit.app, tenant), version: commit.version.clone() });
    }
    for (image, hook) in [(&step.image, false), (&step.hook, true)] {
        if let Some(image) = image {
            acts.push(Act::Image {
                app: named(&image.app, tenant),
                version: image.version.clone(),
                behaviour: image.behaviour.into(),
                hook,
            });
        }
    }
    if let Some(window) = &step.window {
        acts.push(Act::Window {
            project: named(&window.project, tenant),
            name: window.name.clone(),
            lasts: seconds(&window.closes)?,
            manual: window.manual,
        });
    }
    if let Some(setting) = &step.setting {
        acts.push(Act::Setting {
            app: named(&setting.app, tenant),
            also: setting.also.clone(),
            key: setting.key.clone(),
            value: setting.value.clone(),
            behaviour: setting.behaviour.into(),
            message: named(&setting.message, tenant),
        });
    }
    if let Some(interrupt) = &step.interrupt {
        acts.push(Act::Interrupt { tenant: named(&interrupt.tenant, tenant) });
    }
    if let Some(sync) = &step.sync {
        acts.push(Act::Sync { app: named(&sync.app, tenant) });
    }
    if let Some(leak) = &step.leak {
        acts.push(Act::Leak { app: named(&leak.app, tenant) });
    }
    if let Some(rotation) = &step.rotation {
        acts.push(Act::Rotation { app: named(&rotation.app, tenant), fails: rotation.fails });
    }
    if let Some(lookups) = &step.lookups {
        acts.push(Act::Lookups { failing: lookups.failing.clamp(0.0, 1.0) });
    }
    if let Some(budget) = &step.budget {
        acts.push(Act::Budget {
            namespace: named(&budget.namespace, tenant),
            name: named(&budget.name, tenant),
            unavailable: budget.unavailable,
        });
    }
    if let Some(issuer) = &step.issuer {
        acts.push(Act::Issuer { name: issuer.name.clone(), zone: issuer.zone.clone() });
    }
    if let Some(quota) = &step.quota {
        acts.push(Act::Quota { namespace: named(&quota.namespace, tenant), room: quota.room });
    }
    Ok(acts)
}

fn app_mut<'a>(estate: &'a mut Estate, application: &str) -> Option<&'a mut App> {
    estate
        .tenants
        .iter_mut()
        .flat_map(|tenant| &mut tenant.stages)
        .flat_map(|stage| &mut stage.apps)
        .find(|app| app.full_name() == application)
}

/// Replaces the versions of an app; dates that are missing lie a week before the next one.
fn rewrite(app: &mut App, versions: &[String]) {
    const WEEK: f64 = 7.0 * 86_400.0;
    let old = std::mem::take(&mut app.releases);
    let mut releases: Vec<Release> = Vec::new();
    for (back, version) in versions.iter().rev().enumerate() {
        let known = old.len().checked_sub(back + 1).and_then(|nth| old.get(nth));
        let release = match (known, releases.last()) {
            (Some(known), _) => Release { version: version.clone(), ..known.clone() },
            (None, Some(next)) => {
                Release { version: version.clone(), at: later(next.at, -WEEK), ..next.clone() }
            }
            // The estate gives every app at least one release.
            (None, None) => continue,
        };
        releases.push(release);
    }
    releases.reverse();
    app.releases = releases;
}

#[cfg(test)]
mod tests {
    use super::super::world::Options;
    use super::*;

    #[test]
    fn every_story_reads_and_says_what_it_is_about() {
        for name in names() {
            let story = Story::find(name).unwrap();
            assert!(!story.title.is_empty() && !story.what.is_empty() && !story.advice.is_empty(), "{name}");
        }
        assert!(names().any(|name| name == DEFAULT));
    }

    #[test]
    fn the_readme_and_the_help_list_every_story() {
        use clap::CommandFactory as _;
        let readme = include_str!("../../README.md");
        let mut command = crate::args::Cli::command();
        let demo = command.find_subcommand_mut("demo").unwrap();
        let help = demo.render_long_help().to_string().split_whitespace().collect::<Vec<_>>().join(" ");
        for name in names() {
            assert!(readme.contains(&format!("| `{name}` |")), "the README does not list {name}");
            assert!(help.contains(name), "--help does not list {name}");
        }
    }

    #[test]
    fn an_unknown_story_names_the_nearest() {
        let error = Story::find("bad-deplyo").unwrap_err();
        assert_eq!(error.to_string(), "there is no story \"bad-deplyo\"; did you mean bad-deploy?");
        let StoryError::Unknown { nearest, .. } = Story::find("zzzzzzzzzzz").unwrap_err() else { panic!() };
        assert_eq!(nearest.len(), FILES.len());
    }

    #[test]
    fn a_wrong_file_is_refused_with_its_name_and_line() {
        let good = "title = \"t\"\nwhat = \"w\"\ntry = \"y\"\nbegins = \"1m\"\n";
        let refuse = |rest: &str| Story::parse("mine", &format!("{good}{rest}")).unwrap_err().to_string();
        let unknown = refuse("[[step]]\nat = \"1s\"\nexplode = 1\n");
        assert!(unknown.starts_with("assets/stories/mine.toml:") && unknown.contains("line 7"), "{unknown}");
        assert!(refuse("[[step]]\nat = \"soon\"\n").contains("\"soon\" is not a duration"));
        assert!(refuse("[[step]]\nat = \"1s\"\n").contains("names 0 actions instead of one"));
        assert!(
            refuse("[[step]]\nat = \"-2m\"\ninterrupt = { tenant = \"x\" }\n")
                .contains("before the beginning")
        );
        let two = "[[step]]\nat = \"2s\"\ninterrupt = { tenant = \"x\" }\n[[step]]\nat = \"1s\"\ninterrupt = { tenant = \"x\" }\n";
        assert!(refuse(two).contains("order of their times"));
    }

    #[test]
    fn a_story_sets_the_versions_that_it_tells_of_and_asks_for_enough_tenants() {
        let now = "2026-11-21T12:00:00Z".parse().unwrap();
        let mut estate = Estate::new(&Options { tenants: 3, ..Options::default() }, now);
        let story = Story::find("bad-deploy").unwrap();
        story.prepare(&mut estate).unwrap();
        let (_, app) = estate.apps().find(|(_, app)| app.full_name() == "tenant-2-checkout").unwrap();
        assert_eq!(app.version(), "1.7.4");
        assert_eq!(app.releases.len(), 5);
        assert!(app.releases.is_sorted_by(|one, next| one.at < next.at));
        let mut small = Estate::new(&Options { tenants: 1, ..Options::default() }, now);
        assert!(story.prepare(&mut small).unwrap_err().to_string().contains("needs 2 tenants"));
    }
}
