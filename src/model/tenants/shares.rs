//! What single objects add to their tenant: the share of each, kept by seat, and what the shares come to.
//!
//! Nothing here knows how a tenant is judged, and nothing looks at more than one object at a time.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use jiff::Timestamp;

use super::super::watch::{News, Watch};
use crate::identity::Text;
use crate::kinds::applications::Application;
use crate::kinds::pods::Pod;
use crate::kinds::quota::Quota;
use crate::kinds::{Health, Object, Tenancy, alerts};
use crate::signals::{AlertState, Raised};
use crate::store::Shelf;

/// What the pods of a tenant request and may use, without those that have ended or are going.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Claims {
    /// Requested CPU in thousandths of a core.
    pub cpu: u64,
    /// Requested memory in bytes.
    pub memory: u64,
    /// The sum of the limits of CPU in thousandths of a core.
    pub cpu_limit: u64,
    /// The sum of the limits of memory in bytes.
    pub memory_limit: u64,
    /// How many pods may use any amount of CPU, and how many of memory.
    pub unlimited: (usize, usize),
}

impl Claims {
    fn of(pod: &Pod) -> Self {
        Self {
            cpu: u64::from(pod.cpu),
            memory: pod.memory,
            cpu_limit: u64::from(pod.cpu_limit),
            memory_limit: pod.memory_limit,
            unlimited: (usize::from(pod.cpu_limit == 0), usize::from(pod.memory_limit == 0)),
        }
    }

    /// Adds those of a pod, or takes them out.
    fn book(&mut self, other: &Self, adds: bool) {
        let add =
            |sum: u64, part: u64| if adds { sum.saturating_add(part) } else { sum.saturating_sub(part) };
        let count = |sum: usize, part: usize| if adds { sum + part } else { sum.saturating_sub(part) };
        *self = Self {
            cpu: add(self.cpu, other.cpu),
            memory: add(self.memory, other.memory),
            cpu_limit: add(self.cpu_limit, other.cpu_limit),
            memory_limit: add(self.memory_limit, other.memory_limit),
            unlimited: (
                count(self.unlimited.0, other.unlimited.0),
                count(self.unlimited.1, other.unlimited.1),
            ),
        };
    }

    /// Returns the sum of the limits of CPU in cores; `None` where a pod has none.
    pub fn most_cpu(&self) -> Option<f64> {
        (self.unlimited.0 == 0 && self.cpu_limit > 0).then_some(self.cpu_limit as f64 / 1000.0)
    }

    /// Returns the sum of the limits of memory in bytes; `None` where a pod has none.
    pub fn most_memory(&self) -> Option<f64> {
        (self.unlimited.1 == 0 && self.memory_limit > 0).then_some(self.memory_limit as f64)
    }
}

/// What one object adds to its tenant.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Share {
    pub tenant: Text,
    pub trouble: Trouble,
    part: Part,
}

/// How bad something is. Customers are on production: of two equal troubles the one there is worse.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Trouble {
    pub health: Health,
    pub on_production: bool,
}

impl Trouble {
    /// Nothing is wrong.
    pub const NONE: Self = Self { health: Health::Healthy, on_production: false };
}

#[derive(Debug, Clone, PartialEq)]
enum Part {
    Pod { serving: bool, wanted: bool, restarts: u32, claims: Claims },
    App { out_of_sync: bool, busy: bool, says: Health, deployed: Option<Timestamp> },
    Quota { key: Text, share: f64 },
    Alert { firing: bool },
}

/// The shares of one list, by seat.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    watch: Watch,
    shares: HashMap<u32, Share>,
    /// Seats whose share may change with time alone.
    restless: BTreeSet<u32>,
}

/// What the shares of a tenant come to.
#[derive(Debug, Clone, Default)]
pub(super) struct Tally {
    pub apps: usize,
    pub out_of_sync: usize,
    pub busy: usize,
    /// How many Applications say each health, from best to worst.
    pub says: [usize; 6],
    pub serving: usize,
    pub wanted: usize,
    pub restarts: u64,
    pub claims: Claims,
    /// Seats of what is not well: Applications, pods; worst ones are named in the reason.
    pub apps_in_trouble: BTreeMap<u32, Trouble>,
    pub pods_in_trouble: BTreeMap<u32, Trouble>,
    pub quotas: BTreeMap<u32, (Text, f64)>,
    pub deployed: BTreeMap<u32, Timestamp>,
    /// Seats of the alerts that fire.
    pub alerts: BTreeMap<u32, Trouble>,
}

/// Every health, from best to worst, as [`Tally::says`] counts them.
pub(super) const HEALTHS: [Health; 6] =
    [Health::Healthy, Health::Idle, Health::Progressing, Health::Unknown, Health::Warning, Health::Degraded];

/// Tenants to their namespaces with the environments of those.
pub(super) type Homes = BTreeMap<Text, BTreeMap<Text, Option<Text>>>;

/// Who belongs to whom, and where production is.
#[derive(Clone, Copy)]
pub(super) struct Belonging<'a> {
    pub tenancy: &'a Tenancy,
    pub homes: &'a Homes,
}

impl Belonging<'_> {
    /// Returns the tenant that a namespace belongs to.
    fn of_namespace(self, namespace: &Text) -> Option<Text> {
        self.tenancy.of_namespace(namespace).cloned()
    }

    /// Weighs how something in a namespace of a tenant is.
    fn weigh(self, tenant: &Text, namespace: Option<&Text>, health: Health) -> Trouble {
        let environment = namespace.and_then(|namespace| self.homes.get(tenant)?.get(namespace)?.as_ref());
        Trouble { health, on_production: environment.is_some_and(|name| is_production(name)) }
    }
}

pub(super) fn is_production(environment: &str) -> bool {
    environment.starts_with("prod")
}

pub(super) type ShareOf = fn(Belonging, &Object, Timestamp) -> Option<Share>;

pub(super) fn pod_share(belonging: Belonging, object: &Object, now: Timestamp) -> Option<Share> {
    let pod = object.body::<Pod>()?;
    let namespace = object.meta.namespace.as_ref()?;
    let tenant = belonging.of_namespace(namespace)?;
    let (health, _) = pod.verdict(&object.meta, now);
    let wanted = !pod.is_finished() && object.meta.deleted.is_none();
    let claims = if wanted { Claims::of(pod) } else { Claims::default() };
    let part = Part::Pod { serving: wanted && pod.serving, wanted, restarts: pod.restarts, claims };
    Some(Share { trouble: belonging.weigh(&tenant, Some(namespace), health), tenant, part })
}

pub(super) fn app_share(belonging: Belonging, object: &Object, now: Timestamp) -> Option<Share> {
    let application = object.body::<Application>()?;
    let tenant =
        belonging.tenancy.of_application(object.meta.namespace.as_deref()?, &object.meta.name)?.clone();
    let (health, _) = application.verdict(&object.meta, now);
    let part = Part::App {
        out_of_sync: &*application.sync == "OutOfSync",
        busy: application.is_busy(),
        says: application.health(),
        deployed: application.last_deploy().and_then(|deploy| deploy.at),
    };
    Some(Share { trouble: belonging.weigh(&tenant, application.namespace.as_ref(), health), tenant, part })
}

pub(super) fn quota_share(belonging: Belonging, object: &Object, _: Timestamp) -> Option<Share> {
    let tenant = belonging.of_namespace(object.meta.namespace.as_ref()?)?;
    let tightest = object.body::<Quota>()?.tightest()?;
    let part = Part::Quota { key: Text::from(tightest.short_key()), share: tightest.share()? };
    Some(Share { tenant, trouble: Trouble::NONE, part })
}

pub(super) fn alert_share(belonging: Belonging, object: &Object, _: Timestamp) -> Option<Share> {
    let alert = &object.body::<Raised>()?.alert;
    let namespace = object.meta.namespace.as_ref()?;
    let tenant = belonging.of_namespace(namespace)?;
    let part = Part::Alert { firing: alert.state == AlertState::Firing };
    let trouble = belonging.weigh(&tenant, Some(namespace), alerts::health_of(alert));
    Some(Share { tenant, trouble, part })
}

/// What changed in a ledger: the seat, its old share and its new one.
pub(super) type Booking = (u32, Option<Share>, Option<Share>);

impl Ledger {
    /// Looks at every object anew the next time, as after a change of who belongs to whom.
    pub fn reset(&mut self) {
        self.watch.reset();
    }

    /// Reads what changed, and where time has passed also what hangs on the time.
    pub fn read(
        &mut self,
        shelf: Option<&Shelf>,
        passed: bool,
        share_of: impl Fn(&Object) -> Option<Share>,
    ) -> Vec<Booking> {
        let mut seats: BTreeSet<u32> = match self.watch.news(shelf) {
            News::None => BTreeSet::new(),
            News::Seats(seats) => seats.into_iter().collect(),
            News::Everything => {
                let there = shelf.map_or(0, |shelf| u32::try_from(shelf.seats()).unwrap_or(u32::MAX));
                (0..there).chain(self.shares.keys().copied()).collect()
            }
        };
        if passed {
            seats.extend(&self.restless);
        }
        let mut bookings = Vec::new();
        for seat in seats {
            let new = shelf.and_then(|shelf| shelf.at(seat)).and_then(|object| share_of(object));
            if new.as_ref().is_some_and(|share| share.trouble.health > Health::Idle) {
                self.restless.insert(seat);
            } else {
                self.restless.remove(&seat);
            }
            let old = match &new {
                Some(share) => self.shares.insert(seat, share.clone()),
                None => self.shares.remove(&seat),
            };
            if old != new {
                bookings.push((seat, old, new));
            }
        }
        bookings
    }
}

impl Tally {
    /// Adds a share, or takes it out.
    pub fn book(&mut self, seat: u32, share: &Share, sign: isize) {
        let add = |sum: &mut usize, amount: usize| {
            *sum = if sign > 0 { *sum + amount } else { sum.saturating_sub(amount) };
        };
        match &share.part {
            Part::Pod { serving, wanted, restarts, claims } => {
                self.claims.book(claims, sign > 0);
                add(&mut self.serving, usize::from(*serving));
                add(&mut self.wanted, usize::from(*wanted));
                let restarts = u64::from(*restarts);
                self.restarts =
                    if sign > 0 { self.restarts + restarts } else { self.restarts.saturating_sub(restarts) };
                keep(
                    &mut self.pods_in_trouble,
                    seat,
                    share.trouble,
                    sign > 0 && share.trouble.health > Health::Idle,
                );
            }
            Part::App { out_of_sync, busy, says, deployed } => {
                add(&mut self.apps, 1);
                add(&mut self.out_of_sync, usize::from(*out_of_sync));
                add(&mut self.busy, usize::from(*busy));
                add(&mut self.says[*says as usize], 1);
                keep(
                    &mut self.apps_in_trouble,
                    seat,
                    share.trouble,
                    sign > 0 && share.trouble.health > Health::Idle,
                );
                match deployed {
                    Some(at) => keep(&mut self.deployed, seat, *at, sign > 0),
                    None => keep(&mut self.deployed, seat, Timestamp::UNIX_EPOCH, false),
                }
            }
            Part::Alert { firing } => keep(&mut self.alerts, seat, share.trouble, sign > 0 && *firing),
            Part::Quota { key, share } => keep(&mut self.quotas, seat, (key.clone(), *share), sign > 0),
        }
    }
}

fn keep<T>(map: &mut BTreeMap<u32, T>, seat: u32, value: T, is_kept: bool) {
    if is_kept {
        map.insert(seat, value);
    } else {
        map.remove(&seat);
    }
}
