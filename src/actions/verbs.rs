//! Which file describes which verb: its draft, its steps, its writes, its following.

use std::future::Future;
use std::pin::Pin;

use serde_json::Value;

use super::desk::{Desk, Remote};
use super::draft::Draft;
use super::work::Work;
use super::write::Trouble;
use super::{
    Outcome, Plan, Request, Steer, Verb, autosync, bounds, claim, delete, drain, edit, halt, job, node, pod,
    protect, refresh, renew, restart, reveal, revert, revision, rollback, rotate, scale, set_image, silence,
    sync, terminate, undo,
};
use crate::identity::ObjectRef;
use crate::sources::objects::Written;

/// Says what a verb would do to an object, and what there is to ask.
pub(super) fn draft<'a, R: Remote>(
    desk: &'a Desk<R>,
    request: &'a Request,
    object: &'a ObjectRef,
    document: &'a Value,
) -> Draft<'a> {
    match request.verb {
        Verb::Refresh | Verb::HardRefresh => refresh::draft(request, document),
        Verb::Sync => sync::draft(desk, request, object, document),
        Verb::Rollback => rollback::draft(desk, request, object, document),
        Verb::Revert | Verb::Promote => revert::draft(desk, request, object, document),
        Verb::Terminate => terminate::draft(document),
        Verb::HoldAutosync => autosync::draft_hold(desk, request, object, document),
        Verb::ReleaseAutosync => autosync::draft_release(desk, object, document),
        Verb::DeletePod => pod::draft(desk, object, document),
        Verb::Restart => restart::draft(object, document),
        Verb::Scale => scale::draft(desk, request, object, document),
        Verb::RolloutUndo => revision::draft(desk, request, object, document),
        Verb::Pause | Verb::Suspend | Verb::Resume => halt::draft(desk, request, object, document),
        Verb::SetImage => set_image::draft(desk, request, object, document),
        Verb::SetBounds => bounds::draft(desk, request, object, document),
        Verb::RunJob => job::draft(desk, request, object, document),
        Verb::Edit => edit::draft(desk, request, object, document),
        Verb::Delete => delete::draft(desk, request, object, document),
        Verb::ForceDelete => delete::draft_force(desk, object, document),
        Verb::Cordon => node::draft(desk, object, document, true),
        Verb::Uncordon => node::draft(desk, object, document, false),
        Verb::Drain => drain::draft(desk, request, object, document),
        Verb::Protect => protect::draft(object, document, true),
        Verb::Unprotect => protect::draft(object, document, false),
        Verb::DeleteNodeclaim => claim::draft(desk, request, object, document),
        Verb::Renew => renew::draft(desk, object, document),
        Verb::Silence => silence::draft_add(desk, request, document),
        Verb::ExtendSilence | Verb::ExpireSilence => silence::draft_change(desk, request, object, document),
        Verb::Rotate | Verb::ResumeRotation | Verb::RestoreSecret | Verb::RefreshSecret => {
            rotate::draft(desk, request, object, document)
        }
        Verb::Reveal => reveal::draft(request, object, document),
        Verb::Undo => undo::draft(request, object, document),
    }
}

/// Tells whether a verb goes on writing while it is followed: it bounds its time itself, and is never cut off
/// between a write and its answer.
pub(super) fn writes_on(verb: Verb) -> bool {
    takes_long(verb) || verb == Verb::Reveal
}

/// Tells whether a verb has a time of its own ([`super::desk::Pace::long`]): a drain waits for budgets, a chain for AWS.
pub(super) fn takes_long(verb: Verb) -> bool {
    matches!(verb, Verb::Drain | Verb::Rotate | Verb::ResumeRotation | Verb::RestoreSecret)
}

/// Tells whether the order of several objects counts, and one that does not get well ends the action.
pub(super) fn is_ordered(verb: Verb) -> bool {
    matches!(verb, Verb::Sync | Verb::Rollback | Verb::Revert | Verb::Promote)
}

/// Carries out a verb that goes on writing, to its end.
pub(super) async fn run<R: Remote>(work: &mut Work<'_, R>, steer: &Steer) -> Outcome {
    match work.plan.request.verb {
        Verb::Drain => drain::run(work, steer).await,
        Verb::Reveal => reveal::run(work, steer).await,
        // Boxed: the chain is long, and an action's future holds the largest of all verbs.
        _ => Box::pin(rotate::run(work, steer)).await,
    }
}

/// Names the steps of an action, in order; `others` are the objects that are written for the sake of its own.
pub(super) fn steps(plan: &Plan, others: &[ObjectRef]) -> Vec<String> {
    let names: &[&str] = match plan.request.verb {
        Verb::Refresh | Verb::HardRefresh => &refresh::STEPS,
        Verb::Sync => &sync::STEPS,
        Verb::Rollback => &rollback::STEPS,
        Verb::Revert | Verb::Promote => &revert::STEPS,
        Verb::Terminate => &terminate::STEPS,
        Verb::HoldAutosync => &autosync::HOLD_STEPS,
        Verb::ReleaseAutosync => &autosync::RELEASE_STEPS,
        Verb::DeletePod => &pod::STEPS,
        Verb::Restart => &restart::STEPS,
        Verb::Scale => &scale::STEPS,
        Verb::RolloutUndo => &revision::STEPS,
        Verb::Pause | Verb::Suspend | Verb::Resume => &halt::STEPS,
        Verb::SetImage => &set_image::STEPS,
        Verb::SetBounds => &bounds::STEPS,
        Verb::RunJob => &job::STEPS,
        Verb::Edit => &edit::STEPS,
        Verb::Delete => &delete::STEPS,
        Verb::ForceDelete => &delete::FORCE_STEPS,
        Verb::Cordon | Verb::Uncordon => &node::STEPS,
        Verb::Drain => return drain::steps(others),
        Verb::Protect | Verb::Unprotect => &protect::STEPS,
        Verb::DeleteNodeclaim => &claim::STEPS,
        Verb::Renew => &renew::STEPS,
        Verb::Silence => &silence::ADD_STEPS,
        Verb::ExtendSilence | Verb::ExpireSilence => &silence::CHANGE_STEPS,
        Verb::Rotate | Verb::ResumeRotation => &rotate::STEPS,
        Verb::RestoreSecret => &rotate::RESTORE_STEPS,
        Verb::RefreshSecret => &rotate::REFRESH_STEPS,
        Verb::Reveal => &reveal::STEPS,
        Verb::Undo => &undo::STEPS,
    };
    names.iter().map(|name| (*name).to_owned()).collect()
}

/// What a verb does, on the heap.
///
/// # Why
///
/// Written as one `async fn` over all verbs, the frame that polls it holds room for each of them, and in a build
/// without optimisation that is most of a thread's stack. Made here and polled elsewhere, it holds one pointer.
type Doing<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// What is known without waiting.
fn at_once<'a, T: Send + 'a>(known: T) -> Doing<'a, T> {
    Box::pin(std::future::ready(known))
}

/// Makes the writes of an action.
pub(super) fn write<'a, R: Remote>(work: &'a mut Work<'_, R>) -> Doing<'a, Result<Written, Trouble>> {
    match work.plan.request.verb {
        Verb::Refresh => Box::pin(refresh::write(work, "normal")),
        Verb::HardRefresh => Box::pin(refresh::write(work, "hard")),
        Verb::Sync => Box::pin(sync::write(work)),
        Verb::Rollback => Box::pin(rollback::write(work)),
        Verb::Revert | Verb::Promote => Box::pin(revert::write(work)),
        Verb::Terminate => Box::pin(terminate::write(work)),
        Verb::HoldAutosync => Box::pin(autosync::write_hold(work)),
        Verb::ReleaseAutosync => Box::pin(autosync::write_release(work)),
        Verb::DeletePod => Box::pin(pod::write(work)),
        Verb::Restart => Box::pin(restart::write(work)),
        Verb::Scale => Box::pin(scale::write(work)),
        Verb::RolloutUndo => Box::pin(revision::write(work)),
        Verb::Pause | Verb::Suspend | Verb::Resume => Box::pin(halt::write(work)),
        Verb::SetImage => Box::pin(set_image::write(work)),
        Verb::SetBounds => Box::pin(bounds::write(work)),
        Verb::RunJob => Box::pin(job::write(work)),
        Verb::Edit => Box::pin(edit::write(work)),
        Verb::Delete => Box::pin(delete::write(work)),
        Verb::ForceDelete => Box::pin(delete::write_force(work)),
        Verb::Cordon => Box::pin(node::write(work, true)),
        Verb::Uncordon => Box::pin(node::write(work, false)),
        Verb::Drain => at_once(Err(Trouble::Failed("a drain is carried out as a whole".to_owned()))),
        Verb::Protect => Box::pin(protect::write(work, true)),
        Verb::Unprotect => Box::pin(protect::write(work, false)),
        Verb::DeleteNodeclaim => Box::pin(claim::write(work)),
        Verb::Renew => Box::pin(renew::write(work)),
        Verb::Silence => Box::pin(silence::write_add(work)),
        Verb::ExtendSilence | Verb::ExpireSilence => Box::pin(silence::write_change(work)),
        Verb::RefreshSecret => Box::pin(rotate::write(work)),
        Verb::Rotate | Verb::ResumeRotation | Verb::RestoreSecret | Verb::Reveal => {
            at_once(Err(Trouble::Failed("it is carried out as a whole".to_owned())))
        }
        Verb::Undo => Box::pin(undo::write(work)),
    }
}

/// Follows an action to a verdict; the caller bounds the time.
pub(super) fn follow<'a, R: Remote>(work: &'a mut Work<'_, R>, stored: &'a Written) -> Doing<'a, Outcome> {
    match work.plan.request.verb {
        Verb::Refresh | Verb::HardRefresh => Box::pin(refresh::follow(work, stored)),
        Verb::Sync => Box::pin(sync::follow(work)),
        Verb::Rollback => Box::pin(rollback::follow(work)),
        Verb::Revert | Verb::Promote => Box::pin(revert::follow(work)),
        Verb::Terminate => Box::pin(terminate::follow(work)),
        Verb::HoldAutosync => Box::pin(autosync::follow_hold(work)),
        Verb::ReleaseAutosync => Box::pin(autosync::follow_release(work)),
        Verb::DeletePod => Box::pin(pod::follow(work, stored)),
        Verb::Restart => Box::pin(restart::follow(work, stored)),
        Verb::Scale => Box::pin(scale::follow(work)),
        Verb::RolloutUndo => Box::pin(revision::follow(work)),
        Verb::Pause | Verb::Suspend | Verb::Resume => Box::pin(halt::follow(work, stored)),
        Verb::SetImage => Box::pin(set_image::follow(work)),
        Verb::SetBounds => Box::pin(bounds::follow(work)),
        Verb::RunJob => Box::pin(job::follow(work)),
        Verb::Edit => Box::pin(edit::follow(work, stored)),
        Verb::Delete | Verb::ForceDelete => Box::pin(delete::follow(work, stored)),
        Verb::Cordon | Verb::Uncordon | Verb::Drain => at_once(node::follow(work, stored)),
        Verb::Protect | Verb::Unprotect => at_once(protect::follow(work, stored)),
        Verb::DeleteNodeclaim => Box::pin(claim::follow(work, stored)),
        Verb::Renew => Box::pin(renew::follow(work, stored)),
        Verb::Silence => Box::pin(silence::follow_add(work, stored)),
        Verb::ExtendSilence | Verb::ExpireSilence => Box::pin(silence::follow_change(work, stored)),
        Verb::RefreshSecret | Verb::Rotate | Verb::ResumeRotation | Verb::RestoreSecret | Verb::Reveal => {
            Box::pin(rotate::follow(work, stored))
        }
        Verb::Undo => Box::pin(undo::follow(work, stored)),
    }
}

/// Says what to do next when an action was not verified in time.
pub(super) fn next(verb: Verb) -> &'static str {
    match verb {
        Verb::Refresh | Verb::HardRefresh => {
            "Look whether the application controller is running and not overloaded"
        }
        Verb::Sync => "Look at the operation and the pods; terminate the operation if it hangs",
        Verb::Rollback => {
            "Look at the operation and the pods; terminate the operation if it hangs, and choose another entry"
        }
        Verb::Revert | Verb::Promote => {
            "The commit is in Git; look at the Application's comparison, its operation and its pods"
        }
        Verb::Terminate => "Look whether the application controller is running",
        Verb::HoldAutosync | Verb::ReleaseAutosync => "Look at the Application's sync policy",
        Verb::DeletePod => "Look at the pod's finalizers, its node, and the events of its owner",
        Verb::Scale => "Look at the events of the workload and at the pods that are not ready",
        Verb::Restart | Verb::RolloutUndo | Verb::SetImage | Verb::Edit => {
            "Look at the new pods' events and logs; opsdeck rollout undo goes back"
        }
        Verb::Pause | Verb::Suspend | Verb::Resume => "Look at the object and at its controller",
        Verb::SetBounds => "Look at the autoscaler's conditions",
        Verb::RunJob => "The job goes on: look at its pods and their logs",
        Verb::Delete => "Look at its finalizers, and at the controllers that should take them away",
        Verb::ForceDelete => "Look at the pod's finalizers",
        Verb::Cordon | Verb::Uncordon | Verb::Protect | Verb::Unprotect => "Look at the node",
        Verb::DeleteNodeclaim => {
            "Look at the claims of the pool and their events, and at the budgets of the pods that are left"
        }
        Verb::Drain => "Look at the pods that are left, and at their budgets",
        Verb::Reveal => "Look whether the Secret has that key",
        Verb::Rotate | Verb::ResumeRotation | Verb::RestoreSecret | Verb::RefreshSecret => {
            "Look at the ExternalSecret, its store and their events"
        }
        Verb::Renew => {
            "Look at the request, the order and the challenges of the certificate: one that is pending says what it waits for"
        }
        Verb::Silence | Verb::ExtendSilence | Verb::ExpireSilence => {
            "Look at the silences, and at the Alertmanager that has it"
        }
        Verb::Undo => "Look at the object and its events",
    }
}
