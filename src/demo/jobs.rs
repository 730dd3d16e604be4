//! The Job controller: pods that run to their end, as often as they must and no more often than they may.
//!
//! It creates and counts pods; when a container ends is the kubelet's business.

use serde_json::{Value, json};

use super::objects::Key;
use super::pods;
use super::types::Type;
use super::untyped::{condition, later, mark, number, put, set_condition, text, time};
use super::view::{Phase, Seen, View};
use super::world::{Controller, Cx};

const BY: &str = "job-controller";
/// Seconds until a failed pod is replaced; the real controller begins with ten.
const BACKOFF: f64 = 10.0;

/// The controller.
#[derive(Debug, Default)]
pub struct Jobs;

impl Controller for Jobs {
    fn name(&self) -> &'static str {
        BY
    }

    fn watch(&self, seen: &Seen, _view: &View, keys: &mut Vec<Key>) {
        match seen.key.kind {
            Type::Job if !seen.gone => keys.push(seen.key.clone()),
            Type::Pod => keys.extend(seen.owner.iter().filter(|owner| owner.kind == Type::Job).cloned()),
            _ => {}
        }
    }

    fn reconcile(&mut self, key: &Key, cx: &mut Cx<'_>) {
        let Some(job) = cx.get(key) else { return };
        if !job["metadata"]["deletionTimestamp"].is_null() {
            return;
        }
        if over(&job) {
            expire(key, &job, cx);
            return;
        }
        let (mut active, mut ready, mut succeeded, mut failed) = (Vec::new(), 0, 0, 0);
        for (pod, seen) in cx.view.pods_of(key) {
            match seen.phase {
                Phase::Succeeded => succeeded += 1,
                Phase::Failed => failed += 1,
                _ if seen.deleting => {}
                _ => {
                    ready += i64::from(seen.ready.is_some());
                    active.push(pod.clone());
                }
            }
        }
        let wanted = number_or(&job, "/spec/completions", 1);
        let limit = number_or(&job, "/spec/backoffLimit", 6);
        let deadline = job
            .pointer("/spec/activeDeadlineSeconds")
            .and_then(Value::as_i64)
            .zip(time(&job, "/status/startTime"))
            .map(|(seconds, start)| later(start, seconds as f64));
        if let Some(due) = deadline.filter(|due| *due > cx.now) {
            cx.at(due, key);
        }
        if succeeded >= wanted {
            finish(
                key,
                &job,
                ("Complete", "CompletionsReached", "Reached expected number of succeeded pods"),
                (succeeded, failed),
                cx,
            );
            return;
        }
        let lost = if failed > limit {
            Some(("BackoffLimitExceeded", "Job has reached the specified backoff limit"))
        } else if deadline.is_some_and(|due| due <= cx.now) {
            Some(("DeadlineExceeded", "Job was active longer than specified deadline"))
        } else {
            None
        };
        if let Some((reason, message)) = lost {
            for pod in &active {
                cx.delete(pod);
            }
            finish(key, &job, ("Failed", reason, message), (succeeded, failed), cx);
            return;
        }
        let suspended = job["spec"]["suspend"] == json!(true);
        if !suspended {
            let parallel = number_or(&job, "/spec/parallelism", 1).min(wanted - succeeded);
            let missing = parallel - i64::try_from(active.len()).unwrap_or(i64::MAX);
            let due = last_failure(&job, key, cx).map(|at| later(at, BACKOFF));
            if let Some(due) = due.filter(|due| missing > 0 && *due > cx.now) {
                cx.at(due, key);
            } else {
                for _ in 0..missing {
                    if !create(&job, cx) {
                        cx.after(15.0, key);
                        break;
                    }
                    active.push(key.clone());
                }
            }
        }
        let now = cx.stamp();
        let active = i64::try_from(active.len()).unwrap_or(i64::MAX);
        cx.update(key, |job| {
            if job["status"]["startTime"].is_null() {
                put(job, &["status", "startTime"], now.as_str());
            }
            count(job, active, ready, succeeded, failed);
            if suspended {
                set_condition(job, "Suspended", "True", "JobSuspended", "Job suspended", &now);
            }
        });
    }
}

fn number_or(job: &Value, pointer: &str, usual: i64) -> i64 {
    job.pointer(pointer).and_then(Value::as_i64).unwrap_or(usual)
}

/// Says whether a job has ended.
pub fn over(job: &Value) -> bool {
    condition(job, "Complete") == "True" || condition(job, "Failed") == "True"
}

fn count(job: &mut Value, active: i64, ready: i64, succeeded: i64, failed: i64) {
    for (field, value) in [("active", active), ("ready", ready), ("succeeded", succeeded), ("failed", failed)]
    {
        super::replicasets::count_field(job, field, value, field == "ready");
    }
    put(job, &["status", "terminating"], 0);
    put(job, &["status", "uncountedTerminatedPods"], json!({}));
}

/// Returns when the newest failed pod was seen to fail.
fn last_failure(job: &Value, key: &Key, cx: &Cx<'_>) -> Option<jiff::Timestamp> {
    if number(job, "/status/failed") == 0 && cx.view.pods_of(key).all(|(_, pod)| pod.phase != Phase::Failed) {
        return None;
    }
    cx.view
        .pods_of(key)
        .filter(|(_, pod)| pod.phase == Phase::Failed)
        .filter_map(|(pod, _)| time(&cx.get(pod)?, "/status/containerStatuses/0/state/terminated/finishedAt"))
        .max()
}

/// Makes a pod of a job.
pub fn pod(job: &Value, pod_name: &str) -> Value {
    let (namespace, name) = (text(job, "/metadata/namespace"), text(job, "/metadata/name"));
    let owner = pods::owner_reference(job);
    let mut pod = pods::from_template(&job["spec"]["template"], namespace, pod_name, &owner);
    pod["metadata"]["generateName"] = json!(format!("{name}-"));
    for (label, value) in [
        ("batch.kubernetes.io/controller-uid", text(job, "/metadata/uid")),
        ("batch.kubernetes.io/job-name", name),
        ("controller-uid", text(job, "/metadata/uid")),
        ("job-name", name),
    ] {
        mark(&mut pod, "labels", label, value);
    }
    pod
}

/// Creates one pod; returns whether it was admitted.
fn create(job: &Value, cx: &mut Cx<'_>) -> bool {
    let pod_name = format!("{}-{}", text(job, "/metadata/name"), cx.objects.suffix());
    let pod = pod(job, &pod_name);
    match super::quota::create_pod(cx, pod) {
        Ok(_) => {
            cx.event(job, "Normal", "SuccessfulCreate", &format!("Created pod: {pod_name}"), BY);
            true
        }
        Err(status) => {
            cx.event(job, "Warning", "FailedCreate", &format!("Error creating: {}", status.message), BY);
            false
        }
    }
}

/// Writes that a job has ended: the criteria first, then the condition that everybody waits for.
fn finish(
    key: &Key,
    job: &Value,
    (kind, reason, message): (&str, &str, &str),
    (succeeded, failed): (i64, i64),
    cx: &mut Cx<'_>,
) {
    let now = cx.stamp();
    cx.update(key, |job| {
        count(job, 0, 0, succeeded, failed);
        let before = if kind == "Complete" { "SuccessCriteriaMet" } else { "FailureTarget" };
        set_condition(job, before, "True", reason, message, &now);
        set_condition(job, kind, "True", reason, message, &now);
        if kind == "Complete" {
            put(job, &["status", "completionTime"], now.as_str());
        }
    });
    if kind == "Complete" {
        cx.event(job, "Normal", "Completed", "Job completed", BY);
    } else {
        cx.event(job, "Warning", reason, message, BY);
    }
}

/// Removes a job whose time to live after its end is over.
fn expire(key: &Key, job: &Value, cx: &mut Cx<'_>) {
    let Some(seconds) = job.pointer("/spec/ttlSecondsAfterFinished").and_then(Value::as_i64) else { return };
    let ended = ["Complete", "Failed"]
        .iter()
        .filter_map(|kind| super::untyped::find_condition(job, kind))
        .find_map(|found| time(found, "/lastTransitionTime"));
    let due = later(ended.unwrap_or(cx.now), seconds as f64);
    if due <= cx.now {
        cx.delete(key);
    } else {
        cx.at(due, key);
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::super::images::{Behaviour, Image};
    use super::super::world::{Options, World};
    use super::*;

    fn world() -> World {
        let now: Timestamp = "2026-11-21T12:00:00Z".parse().unwrap();
        let options =
            Options { tenants: 1, pods_per_tenant: 4, nodes: 4, alive: false, ..Options::default() };
        World::new(&options, now)
    }

    fn job(world: &mut World, tag: &str, limit: i64) -> Key {
        let job = json!({"metadata": {"name": "once", "namespace": "tenant-1"}, "spec": {"backoffLimit": limit, "template": {
            "spec": {"restartPolicy": "Never", "containers": [{"name": "main", "image": format!("example.com/tool:{tag}"),
                "resources": {"requests": {"cpu": "10m", "memory": "16Mi"}, "limits": {"cpu": "10m", "memory": "16Mi"}}}]}}}});
        world.with(|cx| cx.create(Type::Job, job)).unwrap()
    }

    fn pass(world: &mut World, seconds: u32) {
        for _ in 0..seconds {
            let next = later(world.now(), 1.0);
            world.step(next);
        }
    }

    #[test]
    fn a_job_completes_within_a_minute() {
        let mut world = world();
        let key = job(&mut world, "1.0", 1);
        pass(&mut world, 5);
        assert_eq!(number(&world.objects.get_value(&key).unwrap(), "/status/active"), 1);
        pass(&mut world, 60);
        let job = world.objects.get_value(&key).unwrap();
        assert_eq!(condition(&job, "Complete"), "True", "{:#}", job["status"]);
        assert_eq!(number(&job, "/status/succeeded"), 1);
        assert_eq!(text(&job, "/status/conditions/1/message"), "Reached expected number of succeeded pods");
    }

    #[test]
    fn a_job_that_keeps_failing_gives_up_at_its_limit() {
        let mut world = world();
        world.images.set(Image::new("example.com/tool", "2.0"), Behaviour::Crash);
        let key = job(&mut world, "2.0", 1);
        pass(&mut world, 90);
        let job = world.objects.get_value(&key).unwrap();
        assert_eq!(condition(&job, "Failed"), "True", "{:#}", job["status"]);
        assert_eq!(number(&job, "/status/failed"), 2);
    }

    #[test]
    fn a_job_whose_image_hangs_stays_active() {
        let mut world = world();
        world.images.set(Image::new("example.com/tool", "3.0"), Behaviour::NeverReady);
        let key = job(&mut world, "3.0", 1);
        pass(&mut world, 300);
        let job = world.objects.get_value(&key).unwrap();
        assert!(!over(&job), "{:#}", job["status"]);
        assert_eq!(number(&job, "/status/active"), 1);
    }
}
