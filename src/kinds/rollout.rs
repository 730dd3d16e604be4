//! When a rollout is done: the rules for the three controllers that replace pods.
//!
//! The rules are those of `kubectl rollout status`, for tables and for the following of actions alike. Pure: numbers
//! in, a verdict out.

use crate::identity::Text;

/// Where a rollout stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rollout {
    /// Every pod is of the newest revision and available.
    Done,
    /// Going on; the words say how far.
    Going(Text),
    /// Given up by its controller; the words say why.
    Failed(Text),
    /// Stopped by a person; the words say how far it came.
    Paused(Text),
    /// Pods are replaced only when somebody deletes them.
    OnDelete,
}

/// What the rule for a Deployment looks at.
#[derive(Debug, Clone, Copy, Default)]
pub struct DeploymentCounts<'a> {
    /// Whether its controller has seen the newest change.
    pub observed: bool,
    /// Whether a person has paused it.
    pub paused: bool,
    /// Whether its progress deadline has passed.
    pub deadline_exceeded: bool,
    /// What its controller says of that.
    pub message: &'a str,
    /// How many pods are wanted.
    pub wanted: i64,
    /// How many there are, old ones too.
    pub replicas: i64,
    /// How many are of the newest revision.
    pub updated: i64,
    /// How many are available.
    pub available: i64,
}

/// Judges a Deployment.
pub fn deployment(counts: DeploymentCounts<'_>) -> Rollout {
    let DeploymentCounts { wanted, replicas, updated, available, .. } = counts;
    if !counts.observed {
        return Rollout::Going(Text::from("waiting for the controller to see the change"));
    }
    if counts.deadline_exceeded {
        let why = if counts.message.is_empty() { "progress deadline exceeded" } else { counts.message };
        return Rollout::Failed(Text::from(why));
    }
    let going = if updated < wanted {
        format!("{updated} of {wanted} new pods created")
    } else if replicas > updated {
        format!("{} old pods to go", replicas - updated)
    } else if available < updated {
        format!("{available} of {updated} new pods available")
    } else {
        return Rollout::Done;
    };
    if counts.paused { Rollout::Paused(Text::from(going)) } else { Rollout::Going(Text::from(going)) }
}

/// What the rule for a `StatefulSet` looks at.
#[derive(Debug, Clone, Copy, Default)]
pub struct StatefulSetCounts {
    /// Whether its controller has seen the newest change.
    pub observed: bool,
    /// Whether pods are replaced only when somebody deletes them.
    pub on_delete: bool,
    /// Below which number pods are left as they are.
    pub partition: i64,
    /// How many pods are wanted.
    pub wanted: i64,
    /// How many are ready.
    pub ready: i64,
    /// How many are of the newest revision.
    pub updated: i64,
    /// Whether current and update revision are the same.
    pub one_revision: bool,
}

/// Judges a `StatefulSet`.
pub fn stateful_set(counts: StatefulSetCounts) -> Rollout {
    let StatefulSetCounts { wanted, ready, updated, partition, .. } = counts;
    if !counts.observed {
        return Rollout::Going(Text::from("waiting for the controller to see the change"));
    }
    if counts.on_delete {
        return Rollout::OnDelete;
    }
    if ready < wanted {
        return Rollout::Going(Text::from(format!("{ready} of {wanted} pods ready")));
    }
    if partition > 0 {
        let due = (wanted - partition).max(0);
        return if updated < due {
            Rollout::Going(Text::from(format!("{updated} of {due} pods beyond the partition are new")))
        } else {
            Rollout::Done
        };
    }
    if counts.one_revision {
        Rollout::Done
    } else {
        Rollout::Going(Text::from(format!("{updated} of {wanted} pods are new")))
    }
}

/// What the rule for a `DaemonSet` looks at.
#[derive(Debug, Clone, Copy, Default)]
pub struct DaemonSetCounts {
    /// Whether its controller has seen the newest change.
    pub observed: bool,
    /// Whether pods are replaced only when somebody deletes them.
    pub on_delete: bool,
    /// On how many nodes one is wanted.
    pub desired: i64,
    /// How many are of the newest revision.
    pub updated: i64,
    /// How many are available.
    pub available: i64,
}

/// Judges a `DaemonSet`.
pub fn daemon_set(counts: DaemonSetCounts) -> Rollout {
    let DaemonSetCounts { desired, updated, available, .. } = counts;
    if !counts.observed {
        return Rollout::Going(Text::from("waiting for the controller to see the change"));
    }
    if counts.on_delete {
        return Rollout::OnDelete;
    }
    if updated < desired {
        Rollout::Going(Text::from(format!("{updated} of {desired} pods are new")))
    } else if available < desired {
        Rollout::Going(Text::from(format!("{available} of {desired} pods available")))
    } else {
        Rollout::Done
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn going(text: &str) -> Rollout {
        Rollout::Going(Text::from(text))
    }

    #[test]
    fn a_deployment_is_done_when_every_pod_is_new_and_available() {
        let done = DeploymentCounts {
            observed: true,
            wanted: 3,
            replicas: 3,
            updated: 3,
            available: 3,
            ..DeploymentCounts::default()
        };
        assert_eq!(deployment(done), Rollout::Done);
        assert_eq!(deployment(DeploymentCounts { updated: 1, ..done }), going("1 of 3 new pods created"));
        assert_eq!(deployment(DeploymentCounts { replicas: 4, ..done }), going("1 old pods to go"));
        assert_eq!(deployment(DeploymentCounts { available: 2, ..done }), going("2 of 3 new pods available"));
        assert!(matches!(deployment(DeploymentCounts { observed: false, ..done }), Rollout::Going(_)));
        assert!(matches!(
            deployment(DeploymentCounts { deadline_exceeded: true, ..done }),
            Rollout::Failed(_)
        ));
    }

    #[test]
    fn a_stateful_set_respects_its_partition_and_never_rolls_on_delete() {
        let done = StatefulSetCounts {
            observed: true,
            wanted: 3,
            ready: 3,
            updated: 3,
            one_revision: true,
            ..StatefulSetCounts::default()
        };
        assert_eq!(stateful_set(done), Rollout::Done);
        let split = StatefulSetCounts { partition: 2, updated: 1, one_revision: false, ..done };
        assert_eq!(stateful_set(split), Rollout::Done);
        assert!(matches!(stateful_set(StatefulSetCounts { updated: 0, ..split }), Rollout::Going(_)));
        assert_eq!(stateful_set(StatefulSetCounts { on_delete: true, ..done }), Rollout::OnDelete);
    }

    #[test]
    fn a_daemon_set_waits_for_every_node() {
        let done = DaemonSetCounts { observed: true, desired: 5, updated: 5, available: 5, on_delete: false };
        assert_eq!(daemon_set(done), Rollout::Done);
        assert_eq!(daemon_set(DaemonSetCounts { updated: 4, ..done }), going("4 of 5 pods are new"));
    }
}
