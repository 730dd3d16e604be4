//! What may have caused a tenant's trouble: deploys in the same tenant, shortly before it began.
//!
//! A guess with its evidence, never a verdict. Pure: timeline and ranking in, sentences out.

use jiff::Timestamp;

use super::tenants::Summary;
use super::timeline::{Change, What};
use crate::human;
use crate::identity::{ObjectRef, Text};
use crate::kinds::Health;

/// Seconds before the first sign of trouble within which a deploy is suspected.
const BEFORE: i64 = 1_800;

/// A deploy that may have caused trouble.
#[derive(Debug, Clone, PartialEq)]
pub struct Suspect {
    /// Whose trouble.
    pub tenant: Text,
    /// What was deployed.
    pub object: Option<ObjectRef>,
    /// How long before the first sign of trouble, in seconds.
    pub before: i64,
    /// The sentence, with its evidence.
    pub text: String,
}

/// Returns the suspects of a tenant in trouble, the nearest in time first.
///
/// The first sign of trouble is the earliest warning about its pods, or alert, after the deploy; without one, now.
pub fn of(tenant: &Summary, timeline: &[Change], now: Timestamp) -> Vec<Suspect> {
    if tenant.health < Health::Warning {
        return Vec::new();
    }
    let theirs = || timeline.iter().filter(|change| change.tenant.as_ref() == Some(&tenant.name));
    let mut suspects: Vec<Suspect> = theirs()
        .filter(|change| matches!(change.what, What::Deploy | What::Rollout))
        .filter_map(|deploy| {
            let sign = theirs()
                .filter(|change| matches!(change.what, What::Pod | What::Alert) && change.at >= deploy.at)
                .min_by_key(|change| change.at);
            let began = sign.map_or(now, |sign| sign.at);
            let before = began.as_second() - deploy.at.as_second();
            if before > BEFORE {
                return None;
            }
            let what = if deploy.detail.is_empty() { &deploy.headline } else { &deploy.detail };
            let evidence =
                sign.map_or_else(|| tenant.reason.to_string(), |sign| format!("then {}", sign.headline));
            let name = deploy.object.as_ref().map_or("?", |object| &*object.name);
            // Headlines of deploys begin with the name already.
            let what = if what.starts_with(name) { what.clone() } else { format!("{name}: {what}") };
            let text = format!("{what}, {} before the trouble, same tenant; {evidence}", human::span(before));
            Some(Suspect { tenant: tenant.name.clone(), object: deploy.object.clone(), before, text })
        })
        .collect();
    suspects.sort_by_key(|suspect| suspect.before);
    suspects
}
