//! The `CronJob` controller: jobs by the clock.
//!
//! What a job does with its pods is `jobs`' business. Times are UTC.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::{Value, json};

use super::disruption::parse;
use super::objects::{Key, seconds as stamp};
use super::pods::owner_reference;
use super::types::Type;
use super::untyped::{condition, flag, put, seconds, text, time};
use super::view::{Seen, View};
use super::world::{Controller, Cx};

fn finished(job: &Value) -> bool {
    condition(job, "Complete") == "True" || condition(job, "Failed") == "True"
}

/// Makes a job of a `CronJob` for one of its times.
pub fn job(cron: &Value, at: Timestamp) -> Value {
    let template = &cron["spec"]["jobTemplate"];
    let name = format!("{}-{}", text(cron, "/metadata/name"), at.as_second() / 60);
    let mut labels = template["metadata"]["labels"].clone();
    if !labels.is_object() {
        labels = cron["spec"]["jobTemplate"]["spec"]["template"]["metadata"]["labels"].clone();
    }
    let mut job = json!({
        "apiVersion": "batch/v1", "kind": "Job",
        "metadata": {
            "name": name, "namespace": cron["metadata"]["namespace"], "labels": labels,
            "annotations": {"batch.kubernetes.io/cronjob-scheduled-timestamp": stamp(at)},
            "ownerReferences": [owner_reference(cron)],
        },
        "spec": template["spec"],
    });
    for (field, value) in [("completions", 1), ("parallelism", 1), ("backoffLimit", 6)] {
        if job["spec"][field].is_null() {
            put(&mut job, &["spec", field], value);
        }
    }
    job
}

/// The `CronJob` controller.
#[derive(Debug, Default)]
pub struct CronJobs;

impl Controller for CronJobs {
    fn name(&self) -> &'static str {
        "cronjob-controller"
    }

    fn watch(&self, seen: &Seen, _view: &View, keys: &mut Vec<Key>) {
        match seen.key.kind {
            Type::CronJob if !seen.gone => keys.push(seen.key.clone()),
            Type::Job => keys.extend(seen.owner.iter().filter(|owner| owner.kind == Type::CronJob).cloned()),
            _ => {}
        }
    }

    fn reconcile(&mut self, key: &Key, cx: &mut Cx<'_>) {
        let Some(cron) = cx.get(key) else { return };
        if !cron["metadata"]["deletionTimestamp"].is_null() {
            return;
        }
        let Ok(schedule) = parse(text(&cron, "/spec/schedule")) else {
            let message = format!("unparseable schedule: {}", text(&cron, "/spec/schedule"));
            cx.event(&cron, "Warning", "UnparseableSchedule", &message, "cronjob-controller");
            return;
        };
        let next = |from: Timestamp| {
            schedule.find_next_occurrence(&from.to_zoned(TimeZone::UTC), false).ok().map(|at| at.timestamp())
        };
        let last = time(&cron, "/status/lastScheduleTime")
            .or_else(|| time(&cron, "/metadata/creationTimestamp"))
            .unwrap_or(cx.now);
        // Of several times that were missed only the latest is made up for.
        let mut due = next(last);
        while let Some(following) = due.and_then(next).filter(|at| *at <= cx.now) {
            due = Some(following);
        }
        if let Some(at) = due.filter(|at| *at <= cx.now && !flag(&cron, "/spec/suspend")) {
            start(key, &cron, at, cx);
        }
        tidy(key, cx);
        if let Some(at) = next(cx.now) {
            cx.at(at, key);
        }
    }
}

fn start(key: &Key, cron: &Value, at: Timestamp, cx: &mut Cx<'_>) {
    let limit = cron["spec"]["startingDeadlineSeconds"].as_f64();
    let running = jobs(key, cx).into_iter().filter(|(_, job)| !finished(job)).collect::<Vec<_>>();
    let now = stamp(at);
    if limit.is_some_and(|limit| seconds(at, cx.now) > limit) {
        let message = format!("Missed scheduled time to start a job: {now}");
        cx.event(cron, "Warning", "MissSchedule", &message, "cronjob-controller");
    } else if !running.is_empty() && text(cron, "/spec/concurrencyPolicy") == "Forbid" {
        let message = "Not starting job because prior execution is running and concurrency policy is Forbid";
        cx.event(cron, "Normal", "JobAlreadyActive", message, "cronjob-controller");
        return;
    } else {
        if text(cron, "/spec/concurrencyPolicy") == "Replace" {
            for (job, _) in &running {
                cx.delete(job);
            }
        }
        let job = job(cron, at);
        let message = format!("Created job {}", text(&job, "/metadata/name"));
        if cx.create(Type::Job, job).is_ok() {
            cx.event(cron, "Normal", "SuccessfulCreate", &message, "cronjob-controller");
        }
    }
    cx.update(key, |cron| put(cron, &["status", "lastScheduleTime"], now));
}

fn jobs(key: &Key, cx: &Cx<'_>) -> Vec<(Key, Value)> {
    cx.view
        .owned(key)
        .filter(|owned| owned.kind == Type::Job)
        .filter_map(|key| Some((key.clone(), cx.get(key)?)))
        .collect()
}

/// Keeps as many finished jobs as asked for, and the list of those that run.
fn tidy(key: &Key, cx: &mut Cx<'_>) {
    let Some(cron) = cx.get(key) else { return };
    let mut all = jobs(key, cx);
    all.sort_by_key(|(_, job)| text(job, "/metadata/creationTimestamp").to_owned());
    for (kind, field, default) in
        [("Complete", "successfulJobsHistoryLimit", 3), ("Failed", "failedJobsHistoryLimit", 1)]
    {
        let keep = cron["spec"][field].as_u64().unwrap_or(default) as usize;
        let old: Vec<Key> = all
            .iter()
            .filter(|(_, job)| condition(job, kind) == "True")
            .map(|(key, _)| key.clone())
            .collect();
        for job in old.iter().take(old.len().saturating_sub(keep)) {
            cx.event(
                &cron,
                "Normal",
                "SuccessfulDelete",
                &format!("Deleted job {}", job.name),
                "cronjob-controller",
            );
            cx.delete(job);
        }
    }
    let active: Vec<Value> = all
        .iter()
        .filter(|(_, job)| !finished(job))
        .map(|(_, job)| json!({"apiVersion": "batch/v1", "kind": "Job", "name": job["metadata"]["name"], "namespace": job["metadata"]["namespace"], "uid": job["metadata"]["uid"]}))
        .collect();
    let success = all.iter().filter_map(|(_, job)| time(job, "/status/completionTime")).max();
    cx.update(key, |cron| {
        if active.is_empty() {
            if let Some(status) = cron["status"].as_object_mut() {
                status.remove("active");
            }
        } else {
            put(cron, &["status", "active"], active);
        }
        if let Some(at) = success
            && time(cron, "/status/lastSuccessfulTime").is_none_or(|before| before < at)
        {
            put(cron, &["status", "lastSuccessfulTime"], stamp(at));
        }
    });
}
