//! Tenants: named groups of namespaces and Applications, found by rules, and how each of them is.
//!
//! [`Tenants`] answers who belongs to whom ([`Tenancy`]) and keeps one [`Summary`] a tenant, ranked worst first
//! with the reason in words.
//!
//! # Why
//!
//! Each pod, Application and quota adds something to its tenant's sum. What it added is remembered by its seat,
//! so that a change takes the old share out and puts the new one in, and only the tenants that were touched are
//! summed up anew. What is in trouble or on its way is looked at again as time passes, because a pod that has
//! been pending for a minute is worse than a new one though nothing changed; what is well is not.
//!
//! A tenant of which not everything is known is not called healthy.

mod shares;
mod verdict;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap};

use jiff::Timestamp;

pub use self::shares::Claims;
use self::shares::{
    Belonging, HEALTHS, Homes, Ledger, ShareOf, Tally, Trouble, alert_share, app_share, is_production,
    pod_share, quota_share,
};
use self::verdict::{verdict, worst_app};
use super::watch::{News, Watch};
use crate::identity::{Context, ObjectRef, Resource, Text};
use crate::kinds::applications::Application;
use crate::kinds::{Health, Object, Tenancy, alerts, natural};
use crate::sources::SourceError;
use crate::store::{Query, Shelf, Store};

/// How tenants are found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rules {
    /// Labels of namespaces whose value names the tenant, tried in order.
    pub namespace_labels: Vec<String>,
    /// Whether an Application whose namespace names no tenant belongs to the one that its AppProject is called
    /// after: a tenant that namespaces know, or any where namespaces know none.
    pub app_project: bool,
    /// Namespaces that are tenants by their own name where no label says it; patterns with `*`.
    pub name_patterns: Vec<String>,
    /// Namespaces that belong to the platform and to no tenant; patterns with `*`.
    pub ignore: Vec<String>,
}

impl Rules {
    /// Returns the tenant that a namespace names.
    pub fn of_namespace(&self, namespace: &Object) -> Option<Text> {
        let meta = &namespace.meta;
        if self.ignores(&meta.name) {
            return None;
        }
        let labelled = self.namespace_labels.iter().find_map(|key| meta.label(key));
        labelled.filter(|tenant| !tenant.is_empty()).cloned().or_else(|| self.of_name(&meta.name))
    }

    /// Returns the tenant that a namespace names, from its name and labels as a server wrote them.
    pub fn of<'a>(&self, name: &str, label: impl Fn(&str) -> Option<&'a str>) -> Option<Text> {
        if self.ignores(name) {
            return None;
        }
        let labelled = self.namespace_labels.iter().find_map(|key| label(key));
        labelled
            .filter(|tenant| !tenant.is_empty())
            .map(Text::from)
            .or_else(|| self.of_name(&Text::from(name)))
    }

    /// Returns the tenant that a namespace is by its own name.
    fn of_name(&self, namespace: &Text) -> Option<Text> {
        let is_one = self.name_patterns.iter().any(|pattern| is_like(namespace, pattern));
        (is_one && !self.ignores(namespace)).then(|| namespace.clone())
    }

    fn ignores(&self, namespace: &str) -> bool {
        self.ignore.iter().any(|pattern| is_like(namespace, pattern))
    }
}

/// Tells whether a name is like a pattern in which `*` stands for any text.
fn is_like(name: &str, pattern: &str) -> bool {
    match pattern.split_once('*') {
        None => name == pattern,
        Some((head, tail)) => {
            let Some(rest) = name.strip_prefix(head) else { return false };
            (0..=rest.len()).any(|at| rest.get(at..).is_some_and(|rest| is_like(rest, tail)))
        }
    }
}

/// Labels of namespaces that name the environment, in the order in which they are tried.
const ENVIRONMENTS: [&str; 4] = ["environment", "env", "app.kubernetes.io/environment", "stage"];

/// How a tenant is.
#[derive(Debug, Clone, PartialEq)]
pub struct Summary {
    /// Its name.
    pub name: Text,
    /// Its environments, as its namespaces are labelled, such as `prod`.
    pub environments: Vec<Text>,
    /// Its namespaces, in order.
    pub namespaces: Vec<Text>,
    /// How many Applications it has; `None` where they are not known.
    pub apps: Option<usize>,
    /// How many of them are out of sync.
    pub out_of_sync: usize,
    /// In how many an operation is asked for or going on.
    pub busy: usize,
    /// The worst of what its Applications say of their health.
    pub app_health: Health,
    /// How many of its pods are ready to serve; `None` where they are not known.
    pub ready: Option<usize>,
    /// How many should be: those that have not ended and are not going.
    pub pods: usize,
    /// How many pods are in trouble.
    pub troubled_pods: usize,
    /// How often its containers were started again, all in all.
    pub restarts: u64,
    /// The key of its quotas of which least is left, with the used share.
    pub quota: Option<(Text, f64)>,
    /// What its pods request and may use.
    pub claims: Claims,
    /// How many alerts fire for it; `None` where alerts are not known.
    pub alerts: Option<usize>,
    /// When one of its Applications was last deployed.
    pub deployed: Option<Timestamp>,
    /// How it is, all in all.
    pub health: Health,
    /// Whether what makes it so is on production.
    pub on_production: bool,
    /// Its Application that is worst; `None` where none is in trouble.
    pub worst_app: Option<ObjectRef>,
    /// Why, in words; empty where there is nothing to say.
    pub reason: Text,
    /// Whether all that it is concluded from is known.
    pub complete: bool,
}

/// The tenants of one context.
#[derive(Debug, Default)]
pub struct Tenants {
    rules: Rules,
    context: Option<Context>,
    tenancy: Tenancy,
    homes: Homes,
    names: Vec<Text>,
    namespaces: Watch,
    applications: Watch,
    pods: Ledger,
    apps: Ledger,
    quotas: Ledger,
    alerts: Ledger,
    tallies: HashMap<Text, Tally>,
    dirty: BTreeSet<Text>,
    ranking: Vec<Summary>,
    /// The second up to which the restless shares were looked at.
    looked: i64,
    known: Known,
}

/// What is known.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Known {
    /// Whether pods were listed.
    pods: bool,
    /// The namespaces whose pods may be listed, where not all may.
    parts: Vec<Text>,
    apps: Apps,
    /// Whether alerts were listed.
    alerts: bool,
}

/// What is known of the Applications.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Apps {
    /// Not yet all.
    #[default]
    Coming,
    /// All.
    Known,
    /// Argo CD is not installed: there are none.
    Absent,
    /// They may not be seen, or not all of them.
    Hidden,
}

impl Known {
    fn look(applications: Option<&Shelf>, pods: Option<&Shelf>, alerts: Option<&Shelf>) -> Self {
        // An object that cannot be decoded is counted and shown as a warning; the rest counts.
        let whole = |shelf: &Shelf| shelf.feed().whole_at.is_some();
        let apps = match applications.map(Shelf::feed) {
            None => Apps::Coming,
            Some(feed) => match feed.error() {
                Some(SourceError::Missing { .. }) => Apps::Absent,
                Some(SourceError::Denied { .. }) => Apps::Hidden,
                _ if feed.whole_at.is_none() => Apps::Coming,
                _ if feed.hidden.is_empty() => Apps::Known,
                _ => Apps::Hidden,
            },
        };
        Self {
            pods: pods.is_some_and(whole),
            parts: pods.map(|shelf| shelf.feed().parts.clone()).unwrap_or_default(),
            apps,
            alerts: alerts.is_some_and(whole),
        }
    }

    /// Tells whether the pods of some namespaces are known.
    fn pods_of<'a>(&self, mut namespaces: impl Iterator<Item = &'a Text>) -> bool {
        self.pods && (self.parts.is_empty() || namespaces.all(|namespace| self.parts.contains(namespace)))
    }
}

impl Tenants {
    /// Makes the model of a platform of which nothing is known yet.
    pub fn new(rules: Rules) -> Self {
        Self { rules, ..Self::default() }
    }

    /// Returns who belongs to whom.
    pub fn tenancy(&self) -> &Tenancy {
        &self.tenancy
    }

    /// Returns the names of the tenants, as people count.
    pub fn names(&self) -> &[Text] {
        &self.names
    }

    /// Returns the tenants, worst first.
    pub fn ranking(&self) -> &[Summary] {
        &self.ranking
    }

    /// Returns one tenant.
    pub fn get(&self, name: &str) -> Option<&Summary> {
        self.ranking.iter().find(|summary| &*summary.name == name)
    }

    /// Brings the model up to date and tells whether anything in it is different.
    pub fn refresh(&mut self, store: &Store, context: &Context, now: Timestamp) -> bool {
        if self.context.as_ref() != Some(context) {
            *self = Self { context: Some(context.clone()), ..Self::new(std::mem::take(&mut self.rules)) };
        }
        let shelf =
            |group: &str, plural: &str| store.shelf(&Query::all(context, &Resource::new(group, plural)));
        let (namespaces, applications) = (shelf("", "namespaces"), shelf("argoproj.io", "applications"));
        let (pods, quotas) = (shelf("", "pods"), shelf("", "resourcequotas"));
        let alerts = store.shelf(&Query::all(context, &alerts::alerts()));
        let known = Known::look(applications, pods, alerts);
        let opened = known.parts != self.known.parts;
        if known != self.known {
            self.known = known;
            self.dirty.extend(self.names.iter().cloned());
        }
        let belongs = self.find_tenants(namespaces, applications, opened);
        if belongs {
            for ledger in [&mut self.pods, &mut self.apps, &mut self.quotas, &mut self.alerts] {
                ledger.reset();
            }
        }
        let passed = self.looked != now.as_second();
        self.looked = now.as_second();
        let belonging = Belonging { tenancy: &self.tenancy, homes: &self.homes };
        let books = [
            (&mut self.pods, pods, pod_share as ShareOf),
            (&mut self.apps, applications, app_share as ShareOf),
            (&mut self.quotas, quotas, quota_share as ShareOf),
            (&mut self.alerts, alerts, alert_share as ShareOf),
        ];
        for (ledger, shelf, share_of) in books {
            let changes = ledger.read(shelf, passed, |object| share_of(belonging, object, now));
            for (seat, old, new) in changes {
                for (share, sign) in [(old, -1), (new, 1)] {
                    let Some(share) = share else { continue };
                    self.dirty.insert(share.tenant.clone());
                    self.tallies.entry(share.tenant.clone()).or_default().book(seat, &share, sign);
                }
            }
        }
        let changed = belongs || !self.dirty.is_empty();
        if changed {
            self.rank([applications, pods, alerts], now);
        }
        changed
    }

    /// Finds out anew who belongs to whom, where namespaces or Applications changed; tells whether the answer did.
    fn find_tenants(
        &mut self,
        namespaces: Option<&Shelf>,
        applications: Option<&Shelf>,
        opened: bool,
    ) -> bool {
        let news = (self.namespaces.news(namespaces), self.applications.news(applications));
        if !opened && matches!(news, (News::None, News::None)) {
            return false;
        }
        if !opened
            && let (News::None, News::Seats(seats)) = &news
            && let Some(applications) = applications
            && !seats.iter().any(|seat| self.is_displaced(applications.at(*seat)))
        {
            return false;
        }
        let mut tenancy = Tenancy::default();
        let mut homes = Homes::new();
        for (_, namespace) in namespaces.into_iter().flat_map(Shelf::iter) {
            let Some(tenant) = self.rules.of_namespace(namespace) else { continue };
            tenancy.give_namespace(&namespace.meta.name, &tenant);
            let environment = ENVIRONMENTS.iter().find_map(|key| namespace.meta.label(key)).cloned();
            homes.entry(tenant).or_default().insert(namespace.meta.name.clone(), environment);
        }
        // Where namespaces may not be listed, their names are all there is.
        for name in &self.known.parts {
            if tenancy.of_namespace(name).is_none()
                && let Some(tenant) = self.rules.of_name(name)
            {
                tenancy.give_namespace(name, &tenant);
                homes.entry(tenant).or_default().insert(name.clone(), None);
            }
        }
        for (_, object) in applications.into_iter().flat_map(Shelf::iter) {
            let Some(tenant) = self.of_application(object, &tenancy, &homes) else { continue };
            homes.entry(tenant.clone()).or_default();
            if let Some(namespace) = &object.meta.namespace {
                tenancy.give_application(namespace, &object.meta.name, &tenant);
            }
        }
        let differs = tenancy != self.tenancy || homes != self.homes;
        if differs {
            self.tenancy = tenancy;
            self.names = homes.keys().cloned().collect();
            self.names.sort_by(|a, b| natural(a, b));
            self.homes = homes;
            self.dirty.extend(self.names.iter().cloned());
            self.tallies.retain(|name, _| self.homes.contains_key(name));
        }
        differs
    }

    /// Tells whether an Application is new, gone, or belongs to another tenant than was thought.
    fn is_displaced(&self, object: Option<&std::sync::Arc<Object>>) -> bool {
        // Which one has gone is no longer to be seen.
        let Some(object) = object else { return true };
        let known = object
            .meta
            .namespace
            .as_ref()
            .and_then(|namespace| self.tenancy.of_application(namespace, &object.meta.name));
        let found = self.of_application(object, &self.tenancy, &self.homes);
        known != found.as_ref()
    }

    fn of_application(&self, object: &Object, tenancy: &Tenancy, homes: &Homes) -> Option<Text> {
        let application = object.body::<Application>()?;
        let home = application.namespace.as_ref().or(object.meta.namespace.as_ref());
        if let Some(tenant) = home.and_then(|namespace| tenancy.of_namespace(namespace)) {
            return Some(tenant.clone());
        }
        let project = &application.project;
        if !self.rules.app_project || matches!(&**project, "" | "default") {
            return None;
        }
        // A tenant without a namespace is one that an earlier project named: it proves nothing.
        let counts = if homes.values().all(BTreeMap::is_empty) {
            !home.is_some_and(|namespace| self.rules.ignores(namespace))
        } else {
            homes.get(project).is_some_and(|namespaces| !namespaces.is_empty())
        };
        counts.then(|| project.clone())
    }

    /// Sums the touched tenants up anew and ranks all of them.
    fn rank(&mut self, shelves: [Option<&Shelf>; 3], now: Timestamp) {
        let dirty = std::mem::take(&mut self.dirty);
        let mut summaries: HashMap<Text, Summary> =
            self.ranking.drain(..).map(|summary| (summary.name.clone(), summary)).collect();
        let nothing = Tally::default();
        let mut ranking = Vec::with_capacity(self.names.len());
        for name in &self.names {
            let kept = summaries.remove(name).filter(|_| !dirty.contains(name));
            ranking.push(if let Some(summary) = kept {
                summary
            } else {
                let tally = self.tallies.get(name).unwrap_or(&nothing);
                self.summary(name, tally, shelves, now)
            });
        }
        ranking.sort_by(|a, b| rank(a).cmp(&rank(b)).then_with(|| natural(&a.name, &b.name)));
        self.ranking = ranking;
    }

    fn summary(&self, name: &Text, tally: &Tally, shelves: [Option<&Shelf>; 3], now: Timestamp) -> Summary {
        let [applications, pods, _] = shelves;
        let homes = self.homes.get(name);
        let mut environments: Vec<Text> =
            homes.into_iter().flat_map(BTreeMap::values).flatten().cloned().collect();
        environments.sort_unstable();
        environments.dedup();
        let says = HEALTHS.iter().zip(tally.says).rev().find(|(_, count)| *count > 0);
        let app_health = match says {
            Some((health, _)) => *health,
            None if matches!(self.known.apps, Apps::Known | Apps::Absent) => Health::Idle,
            None => Health::Unknown,
        };
        let tightest = tally.quotas.values().max_by(|a, b| a.1.total_cmp(&b.1)).cloned();
        let pods_known = self.known.pods_of(homes.into_iter().flat_map(BTreeMap::keys));
        let (Trouble { health, on_production }, reason) = verdict(tally, tightest.as_ref(), shelves, now);
        // What may never be seen is marked, and does not hide what is seen.
        let waits_for = match (pods_known, self.known.apps) {
            (false, _) => Some("pods"),
            (true, Apps::Coming) => Some("Applications"),
            _ => None,
        };
        let (health, reason) = match waits_for {
            Some(what) if health < Health::Warning => {
                (Health::Unknown, Text::from(format!("not all {what} are known")))
            }
            _ => (health, reason),
        };
        Summary {
            name: name.clone(),
            environments,
            namespaces: homes.into_iter().flat_map(BTreeMap::keys).cloned().collect(),
            apps: match self.known.apps {
                Apps::Known => Some(tally.apps),
                Apps::Coming | Apps::Hidden if tally.apps > 0 => Some(tally.apps),
                _ => None,
            },
            out_of_sync: tally.out_of_sync,
            busy: tally.busy,
            app_health,
            ready: pods.is_some().then_some(tally.serving),
            pods: tally.wanted,
            troubled_pods: tally
                .pods_in_trouble
                .values()
                .filter(|trouble| trouble.health >= Health::Warning)
                .count(),
            restarts: tally.restarts,
            quota: tightest,
            claims: tally.claims,
            alerts: self.known.alerts.then_some(tally.alerts.len()),
            deployed: tally.deployed.values().max().copied(),
            health,
            on_production,
            worst_app: self.context.as_ref().and_then(|context| worst_app(tally, context, applications?)),
            reason,
            complete: pods_known && matches!(self.known.apps, Apps::Known | Apps::Absent),
        }
    }
}

/// The order of the ranking: the least comes first.
fn rank(summary: &Summary) -> (Reverse<Trouble>, bool, Reverse<usize>, Reverse<usize>) {
    let trouble = Trouble { health: summary.health, on_production: summary.on_production };
    let elsewhere = !summary.environments.iter().any(|environment| is_production(environment));
    (Reverse(trouble), elsewhere, Reverse(summary.troubled_pods), Reverse(summary.out_of_sync))
}

#[cfg(test)]
mod tests;
