//! The event recorder: core events with counts that rise instead of repeating, kept for an hour.
//!
//! Events about cluster-scoped objects stand in namespace `default`, as in a real cluster. It decides nothing.

use std::collections::{BTreeSet, HashMap};

use jiff::Timestamp;
use serde_json::{Value, json};

use super::deletion::DeleteOptions;
use super::objects::{Key, Objects, seconds};
use super::types::Type;
use super::untyped::{later, text};
use super::world::fnv64;

/// Seconds that an event outlives its last occurrence; the API server's default.
const RETENTION: f64 = 3600.0;

/// Who wrote an event, what kind of news it is, and what it says.
#[derive(Debug, Clone, Copy)]
pub struct Note<'a> {
    /// `Normal` or `Warning`.
    pub kind: &'a str,
    /// The reason, one word in camel case.
    pub reason: &'a str,
    /// The sentence.
    pub message: &'a str,
    /// The reporting component.
    pub by: &'a str,
}

/// What has been recorded and when it goes.
#[derive(Debug, Default)]
pub struct Recorder {
    known: HashMap<u64, (Key, Timestamp)>,
    expiry: BTreeSet<(Timestamp, u64)>,
}

impl Recorder {
    /// Records that something happened `times` times from `first` to `last`.
    pub fn record(
        &mut self,
        objects: &mut Objects,
        about: &Value,
        note: Note<'_>,
        (first, last, times): (Timestamp, Timestamp, u64),
    ) {
        let uid = text(about, "/metadata/uid");
        let Note { kind, reason, message, by } = note;
        let hash = fnv64(format!("{uid}\0{kind}\0{reason}\0{message}\0{by}").as_bytes());
        if let Some((key, seen)) = self.known.get_mut(&hash) {
            let found = objects.modify(key, last, |event| {
                event["count"] = json!(event["count"].as_u64().unwrap_or(1) + times);
                event["lastTimestamp"] = json!(seconds(last));
            });
            if found.is_ok() {
                *seen = last;
                return;
            }
        }
        let mut involved = json!({
            "apiVersion": about["apiVersion"], "kind": about["kind"],
            "name": about["metadata"]["name"], "uid": uid,
            "resourceVersion": about["metadata"]["resourceVersion"],
        });
        let own = text(about, "/metadata/namespace");
        let namespace = if own.is_empty() { "default" } else { own };
        if !own.is_empty() {
            involved["namespace"] = json!(own);
        }
        let mut source = json!({"component": by});
        if by == "kubelet" {
            source["host"] = about["spec"]["nodeName"].clone();
            // Kubelets say which container they speak of where there is no doubt.
            if let Some([container]) = about["spec"]["containers"].as_array().map(Vec::as_slice)
                && !matches!(reason, "Scheduled" | "SandboxChanged")
            {
                involved["fieldPath"] = json!(format!("spec.containers{{{}}}", text(container, "/name")));
            }
        }
        let name = format!("{}.{hash:016x}", text(about, "/metadata/name"));
        let event = json!({
            "apiVersion": "v1", "kind": "Event",
            "metadata": {"name": name, "namespace": namespace, "creationTimestamp": seconds(first)},
            "involvedObject": involved, "type": kind, "reason": reason, "message": message,
            "source": source, "reportingComponent": by,
            "reportingInstance": source["host"].as_str().unwrap_or_default(),
            "firstTimestamp": seconds(first), "lastTimestamp": seconds(last), "eventTime": null, "count": times,
        });
        // A namespace that is going takes no events; neither does a real one.
        if let Ok(stored) = objects.create(Type::Event, event, first) {
            self.known.insert(hash, (stored.key.clone(), last));
            self.expiry.insert((later(last, RETENTION), hash));
        }
    }

    /// Removes the events whose hour is over.
    pub fn expire(&mut self, objects: &mut Objects, now: Timestamp) {
        while let Some((due, hash)) = self.expiry.first().copied() {
            if due > now {
                break;
            }
            self.expiry.pop_first();
            let Some((key, last)) = self.known.get(&hash) else { continue };
            let due = later(*last, RETENTION);
            if due > now {
                self.expiry.insert((due, hash));
                continue;
            }
            // A client may have deleted it already.
            let _ = objects.delete(key, &DeleteOptions::now(), now);
            self.known.remove(&hash);
        }
    }
}
