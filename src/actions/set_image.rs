//! Set image: a container of a workload runs another image, as `kubectl set image` makes it.

use serde_json::{Value, json};

use super::application::list;
use super::change::{Change, Show, rehearsal};
use super::desk::{Desk, Remote};
use super::draft::{Draft, Part, text};
use super::restart::roll;
use super::rollout::on_delete;
use super::work::Work;
use super::workload::{flag, label, within};
use super::write::Trouble;
use super::{Line, Mark, Outcome, Request, managed};
use crate::audit::Changed;
use crate::identity::ObjectRef;
use crate::sources::change::Patch;
use crate::sources::objects::Written;

pub(super) const STEPS: [&str; 2] = ["set the image", "pods replaced"];

/// Where the pod template of a workload stands.
fn template(object: &ObjectRef) -> Option<&'static str> {
    match (&*object.resource.group, &*object.resource.plural) {
        ("apps", "deployments" | "statefulsets" | "daemonsets") => Some("/spec/template"),
        ("batch", "cronjobs") => Some("/spec/jobTemplate/spec/template"),
        _ => None,
    }
}

/// One container that gets another image.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Swap {
    /// `containers` or `initContainers`.
    list: &'static str,
    /// Its place there.
    at: usize,
    name: String,
    before: String,
    after: String,
}

/// Reads `CONTAINER=IMAGE`, `*=IMAGE`, or an image alone where there is one container.
fn swaps(document: &Value, at: &str, asked: &[String]) -> Result<Vec<Swap>, String> {
    let mut all = Vec::new();
    for place in ["containers", "initContainers"] {
        for (number, container) in list(document, &format!("{at}/spec/{place}")).iter().enumerate() {
            all.push((
                place,
                number,
                text(container, "/name").to_owned(),
                text(container, "/image").to_owned(),
            ));
        }
    }
    let names = || all.iter().map(|(_, _, name, _)| name.as_str()).collect::<Vec<_>>().join(", ");
    if asked.is_empty() {
        return Err(format!("say which image: CONTAINER=IMAGE; its containers are {}", names()));
    }
    let mut swaps = Vec::new();
    for one in asked {
        let (wanted, image) = match one.split_once('=') {
            Some((wanted, image)) => (wanted, image),
            None if list(document, &format!("{at}/spec/containers")).len() == 1 => ("", one.as_str()),
            None => return Err(format!("{one}: write CONTAINER=IMAGE; its containers are {}", names())),
        };
        if image.is_empty() || image.chars().any(char::is_whitespace) {
            return Err(format!("{one}: {image:?} is no image"));
        }
        let before = swaps.len();
        swaps.extend(
            all.iter()
                .filter(|(place, number, name, _)| match wanted {
                    "*" => true,
                    // By its place, as an undo names it: no container is called so.
                    wanted if wanted.contains('/') => wanted == format!("{place}/{number}"),
                    "" => *place == "containers" && *number == 0,
                    wanted => name == wanted,
                })
                .map(|(place, number, name, now)| Swap {
                    list: place,
                    at: *number,
                    name: name.clone(),
                    before: now.clone(),
                    after: image.to_owned(),
                }),
        );
        if swaps.len() == before {
            return Err(format!("it has no container {wanted:?}; its containers are {}", names()));
        }
    }
    Ok(swaps)
}

fn change(at: &str, swaps: &[Swap]) -> Change {
    let mut spec = json!({});
    for swap in swaps {
        if spec[swap.list].is_null() {
            spec[swap.list] = json!([]);
        }
        if let Some(containers) = spec[swap.list].as_array_mut() {
            containers.push(json!({ "name": swap.name, "image": swap.after }));
        }
    }
    let mut body = json!({ "spec": spec });
    for word in at.rsplit('/').filter(|word| !word.is_empty()) {
        body = json!({ word: body });
    }
    Change::Patch(Patch::Strategic, body)
}

/// Writes what changes of an image: the whole of it, or where only the tag differs the tags.
fn arrow(swap: &Swap) -> String {
    let split = |image: &str| match image.rsplit_once(':') {
        Some((name, tag)) if !tag.contains('/') && !name.contains('@') => {
            (name.to_owned(), Some(tag.to_owned()))
        }
        _ => (image.to_owned(), None),
    };
    let ((old, old_tag), (new, new_tag)) = (split(&swap.before), split(&swap.after));
    match (old_tag, new_tag) {
        (Some(before), Some(after)) if old == new => {
            format!("{}: image {before} -> {after} ({new})", swap.name)
        }
        _ => format!("{}: image {} -> {}", swap.name, swap.before, swap.after),
    }
}

/// Tells whether an image names no version, so that what runs may be another one tomorrow.
fn is_loose(image: &str) -> bool {
    let last = image.rsplit('/').next().unwrap_or(image);
    !image.contains('@') && (!last.contains(':') || last.ends_with(":latest"))
}

pub(super) fn draft<'a, R: Remote>(
    desk: &'a Desk<R>,
    request: &'a Request,
    object: &'a ObjectRef,
    document: &'a Value,
) -> Draft<'a> {
    let mut parts: Vec<Part<'a>> = Vec::new();
    let images = &request.options.images;
    let asked = match template(object) {
        Some(at) => swaps(document, at, images).map(|swaps| (at, swaps)),
        None => Err(format!(
            "{} has no pod template that can be changed: Deployments, StatefulSets, DaemonSets and CronJobs have",
            object.resource
        )),
    };
    match asked {
        Err(why) => parts.push(Line::new(Mark::Stop, why).into()),
        Ok((at, swaps)) => {
            for swap in &swaps {
                parts.push(Line::new(Mark::Change, arrow(swap)).into());
                let field = format!("{at}/spec/{}/{}/image", swap.list, swap.at);
                parts.push(Part::Value(field, json!(swap.before), json!(swap.after)));
            }
            if swaps.iter().all(|swap| swap.before == swap.after) {
                let mark = if request.targets.len() > 1 { Mark::Note } else { Mark::Stop };
                parts.push(Line::new(mark, format!("{} runs that image already", object.name)).into());
            }
            if swaps.iter().any(|swap| is_loose(&swap.after)) {
                let text = "an image without a tag, or with latest, may be another one on the next node";
                parts.push(Line::new(Mark::Warn, text).into());
            }
            if flag(document, "/spec/paused") {
                let text = "it is paused: no pod is replaced until it is resumed";
                parts.push(Line::new(Mark::Stop, text).into());
            }
            if on_delete(document) {
                let text = "its update strategy is OnDelete: pods are replaced only as somebody deletes them";
                parts.push(Line::new(Mark::Warn, text).into());
            }
            if at != "/spec/template" {
                let text = "jobs that run keep the image they have; the next ones run this";
                parts.push(Line::new(Mark::Note, text).into());
            }
            let fields: &'static [&'static str] =
                if at == "/spec/template" { &["/spec/template"] } else { &["/spec/jobTemplate"] };
            parts.push(managed::check(desk, object, document, fields.iter().copied()).into());
            parts.push(rehearsal(desk, object, document, change(at, &swaps), Show::Nothing).into());
        }
    }
    parts.push(Line::new(Mark::After, "watched until all pods are new and available").into());
    Draft {
        parts,
        facts: vec![
            ("/spec/template", "the pod template"),
            ("/spec/jobTemplate", "the template of its jobs"),
            ("/spec/paused", "whether it is paused"),
            ("/metadata/deletionTimestamp", "its deletion"),
        ],
        command: format!("kubectl set image {}{} {}", label(object), within(object), images.join(" ")),
        hold: None,
    }
}

/// Names the images that a record says were there before, so that they can be put back.
pub(super) fn back(changes: &[Changed]) -> Result<Vec<String>, String> {
    let mut images = Vec::new();
    for change in changes {
        let place = change.field.strip_suffix("/image").and_then(|field| field.rsplit_once("/spec/"));
        let (Some((_, place)), Some(before)) = (place, change.before.as_str()) else { continue };
        let image = format!("{place}={before}");
        // One request is for all its objects: what was different in each is not put back together.
        if changes.iter().any(|other| other.field == change.field && other.before != change.before) {
            return Err("the images were different in each object: set them back one by one".to_owned());
        }
        if !images.contains(&image) {
            images.push(image);
        }
    }
    if images.is_empty() { Err("the record does not say which image it was".to_owned()) } else { Ok(images) }
}

pub(super) async fn write<R: Remote>(work: &mut Work<'_, R>) -> Result<Written, Trouble> {
    work.running(0, "");
    let images = work.plan.request.options.images.clone();
    let Some(at) = template(work.object) else {
        return Err(Trouble::Refused(format!("{} has no pod template", work.object)));
    };
    let stored = work
        .change(
            |object| Ok(change(at, &swaps(object, at, &images)?)),
            |object| {
                swaps(object, at, &images)
                    .is_ok_and(|swaps| swaps.iter().all(|swap| swap.before == swap.after))
            },
        )
        .await?;
    work.done(0, "");
    Ok(stored)
}

pub(super) async fn follow<R: Remote>(work: &mut Work<'_, R>) -> Outcome {
    if &*work.object.resource.plural == "cronjobs" {
        work.done(1, "the next job runs it");
        return Outcome::Verified("written; the next job runs it".to_owned());
    }
    roll(work, 1).await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document() -> Value {
        json!({ "spec": { "template": { "spec": {
            "initContainers": [{ "name": "migrate", "image": "r/migrate:1" }],
            "containers": [{ "name": "app", "image": "r/app:1" }] } } } })
    }

    #[test]
    fn a_container_is_named_and_one_alone_needs_no_name() {
        let asked = |text: &str| swaps(&document(), "/spec/template", &[text.to_owned()]);
        let one = asked("app=r/app:2").unwrap();
        assert_eq!(asked("r/app:2").unwrap(), one);
        // The wire form of kubectl set image.
        assert_eq!(
            change("/spec/template", &one),
            Change::Patch(
                Patch::Strategic,
                json!({ "spec": { "template": { "spec": { "containers": [{ "name": "app", "image": "r/app:2" }] } } } })
            )
        );
        assert_eq!(arrow(&one[0]), "app: image 1 -> 2 (r/app)");
        assert_eq!(asked("*=r/x:3").unwrap().len(), 2);
        assert_eq!(asked("migrate=r/migrate:2").unwrap()[0].list, "initContainers");
        assert_eq!(asked("initContainers/0=r/migrate:2").unwrap(), asked("migrate=r/migrate:2").unwrap());
        assert_eq!(
            asked("web=r/x").unwrap_err(),
            "it has no container \"web\"; its containers are app, migrate"
        );
        assert!(asked("app=").is_err() && swaps(&document(), "/spec/template", &[]).is_err());
    }

    #[test]
    fn an_image_without_a_version_is_loose() {
        for loose in ["app", "r.io:5000/app", "r/app:latest"] {
            assert!(is_loose(loose), "{loose}");
        }
        for firm in ["app:1.2", "r.io:5000/app:1", "app@sha256:abc"] {
            assert!(!is_loose(firm), "{firm}");
        }
    }
}
