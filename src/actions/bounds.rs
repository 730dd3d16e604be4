//! Bounds: the fewest and the most pods of an autoscaler, a `HorizontalPodAutoscaler` or KEDA's `ScaledObject`.

use serde_json::{Value, json};

use super::change::{Change, Show, rehearsal};
use super::desk::{Desk, Remote};
use super::draft::{Draft, Part, text};
use super::pod::controller;
use super::work::Work;
use super::workload::{label, number, within};
use super::write::Trouble;
use super::{Line, Mark, Options, Outcome, Request, managed};
use crate::identity::ObjectRef;
use crate::sources::objects::Written;

pub(super) const STEPS: [&str; 2] = ["write the bounds", "it keeps to them"];

/// How an autoscaler spells its bounds, and what they are where it does not say.
struct Spelling {
    least: &'static str,
    most: &'static str,
    fields: [&'static str; 2],
    /// KEDA: 0 and 100 (contracts 9.3); Kubernetes: 1, and the most is always there.
    defaults: (i64, Option<i64>),
}

fn spelling(object: &ObjectRef) -> Option<Spelling> {
    match (&*object.resource.group, &*object.resource.plural) {
        ("autoscaling", "horizontalpodautoscalers") => Some(Spelling {
            least: "/spec/minReplicas",
            most: "/spec/maxReplicas",
            fields: ["minReplicas", "maxReplicas"],
            defaults: (1, None),
        }),
        ("keda.sh", "scaledobjects") => Some(Spelling {
            least: "/spec/minReplicaCount",
            most: "/spec/maxReplicaCount",
            fields: ["minReplicaCount", "maxReplicaCount"],
            defaults: (0, Some(100)),
        }),
        _ => None,
    }
}

impl Spelling {
    /// Returns the bounds as they are.
    fn now(&self, document: &Value) -> (i64, Option<i64>) {
        let least = number(document, self.least).unwrap_or(self.defaults.0);
        (least, number(document, self.most).or(self.defaults.1))
    }

    fn change(&self, options: &Options) -> Change {
        let mut spec = json!({});
        for (field, value) in self.fields.into_iter().zip([options.min_replicas, options.max_replicas]) {
            if let Some(value) = value {
                spec[field] = json!(value);
            }
        }
        Change::merge(json!({ "spec": spec }))
    }

    fn is_so(&self, document: &Value, options: &Options) -> bool {
        let (least, most) = self.now(document);
        options.min_replicas.is_none_or(|wanted| wanted == least)
            && options.max_replicas.is_none_or(|wanted| Some(wanted) == most)
    }
}

pub(super) fn draft<'a, R: Remote>(
    desk: &'a Desk<R>,
    request: &'a Request,
    object: &'a ObjectRef,
    document: &'a Value,
) -> Draft<'a> {
    let options = &request.options;
    let mut parts: Vec<Part<'a>> = Vec::new();
    let mut command = String::new();
    match spelling(object) {
        None => {
            let text =
                format!("{} has no bounds: HorizontalPodAutoscalers and ScaledObjects have", object.resource);
            parts.push(Line::new(Mark::Stop, text).into());
        }
        Some(spelling) => {
            let (least, most) = spelling.now(document);
            let (new_least, new_most) =
                (options.min_replicas.unwrap_or(least), options.max_replicas.or(most));
            let shown = |most: Option<i64>| most.map_or_else(|| "?".to_owned(), |most| most.to_string());
            let text = format!("{least} to {} pods -> {new_least} to {}", shown(most), shown(new_most));
            parts.push(Line::new(Mark::Change, text).into());
            parts.extend(
                objections(document, options, &spelling, (new_least, new_most), request.targets.len() > 1)
                    .into_iter()
                    .map(Part::from),
            );
            let raw = |pointer: &str| document.pointer(pointer).cloned().unwrap_or_default();
            for (pointer, wanted) in
                [(spelling.least, options.min_replicas), (spelling.most, options.max_replicas)]
            {
                if let Some(wanted) = wanted {
                    parts.push(Part::Value(pointer.to_owned(), raw(pointer), json!(wanted)));
                }
            }
            let fields: &'static [&'static str] = match (options.min_replicas, options.max_replicas) {
                (Some(_), None) if spelling.defaults.1.is_none() => &["/spec/minReplicas"],
                (None, Some(_)) if spelling.defaults.1.is_none() => &["/spec/maxReplicas"],
                _ if spelling.defaults.1.is_none() => &["/spec/minReplicas", "/spec/maxReplicas"],
                (Some(_), None) => &["/spec/minReplicaCount"],
                (None, Some(_)) => &["/spec/maxReplicaCount"],
                _ => &["/spec/minReplicaCount", "/spec/maxReplicaCount"],
            };
            parts.push(managed::check(desk, object, document, fields.iter().copied()).into());
            let change = spelling.change(options);
            if let Change::Patch(_, body) = &change {
                command =
                    format!("kubectl patch {}{} --type=merge -p '{body}'", label(object), within(object));
            }
            parts.push(rehearsal(desk, object, document, change, Show::Nothing).into());
        }
    }
    let text = "watched until the number of pods is between them";
    parts.push(Line::new(Mark::After, text).into());
    Draft {
        parts,
        facts: vec![
            ("/spec/minReplicas", "the fewest pods"),
            ("/spec/maxReplicas", "the most pods"),
            ("/spec/minReplicaCount", "the fewest pods"),
            ("/spec/maxReplicaCount", "the most pods"),
            ("/metadata/deletionTimestamp", "its deletion"),
            ("/metadata/ownerReferences", "its owner"),
        ],
        command,
        hold: None,
    }
}

/// Says what speaks against the new bounds, and what they mean at once.
fn objections(
    document: &Value,
    options: &Options,
    spelling: &Spelling,
    (least, most): (i64, Option<i64>),
    several: bool,
) -> Vec<Line> {
    let mut lines = Vec::new();
    if let Some(owner) = controller(document).filter(|owner| text(owner, "/kind") == "ScaledObject") {
        let text = format!(
            "KEDA's ScaledObject {} makes it and sets it back: change the bounds of that",
            text(owner, "/name")
        );
        lines.push(Line::new(Mark::Stop, text));
    }
    if options.min_replicas.is_none() && options.max_replicas.is_none() {
        lines.push(Line::new(Mark::Stop, "say the fewest, the most, or both"));
    } else if spelling.is_so(document, options) {
        let mark = if several { Mark::Note } else { Mark::Stop };
        lines.push(Line::new(mark, "these are its bounds already"));
    }
    if least < 0 || most.is_some_and(|most| most < least.max(1)) {
        lines.push(Line::new(Mark::Stop, format!("{least} to {} are no bounds", most.unwrap_or(0))));
    }
    if let Some(current) = number(document, "/status/currentReplicas") {
        if current < least {
            lines.push(Line::new(
                Mark::Note,
                format!("it has {current} pods now: {} more are started", least - current),
            ));
        } else if let Some(most) = most.filter(|most| current > *most) {
            lines.push(Line::new(
                Mark::Warn,
                format!("it has {current} pods now: {} are ended", current - most),
            ));
        }
    }
    if !text(document, "/metadata/deletionTimestamp").is_empty() {
        lines.push(Line::new(Mark::Stop, "it is being deleted"));
    }
    lines
}

pub(super) async fn write<R: Remote>(work: &mut Work<'_, R>) -> Result<Written, Trouble> {
    work.running(0, "");
    let options = work.plan.request.options.clone();
    let Some(spelling) = spelling(work.object) else {
        return Err(Trouble::Refused(format!("{} has no bounds", work.object)));
    };
    let stored =
        work.change(|_| Ok(spelling.change(&options)), |object| spelling.is_so(object, &options)).await?;
    work.done(0, "");
    Ok(stored)
}

pub(super) async fn follow<R: Remote>(work: &mut Work<'_, R>) -> Outcome {
    let options = work.plan.request.options.clone();
    let Some(spelling) = spelling(work.object) else {
        return Outcome::Failed(format!("{} has no bounds", work.object));
    };
    loop {
        match work.look().await {
            Ok(Some(document)) => {
                let (least, most) = spelling.now(&document);
                if !spelling.is_so(&document, &options) {
                    return Outcome::Failed(format!(
                        "they were written, and somebody set them to {least} to {} since",
                        most.unwrap_or(0)
                    ));
                }
                // A ScaledObject does not say how many pods there are: its autoscaler does.
                let Some(current) = number(&document, "/status/currentReplicas") else {
                    work.done(1, "it does not say how many pods there are");
                    return Outcome::Verified(format!("{least} to {} pods", most.unwrap_or(0)));
                };
                // At nought an autoscaler does nothing.
                if current == 0 || current >= least && most.is_none_or(|most| current <= most) {
                    let said = format!("{current} pods, of {least} to {}", most.unwrap_or(0));
                    work.done(1, said.clone());
                    return Outcome::Verified(format!("{said}, after {}", work.taken()));
                }
                work.running(1, format!("{current} pods, and {least} to {} are wanted", most.unwrap_or(0)));
            }
            Ok(None) => return Outcome::Failed(format!("{} does not exist any more", work.object)),
            Err(error) => work.running(1, error),
        }
        work.pause().await;
    }
}
