//! Alerts, silences and rules as kinds, so that tables, filters, marks, details and JSON are those of every kind.
//!
//! They are no resources of the API server: their group is [`GROUP`], their lists come from the systems beside it
//! ([`crate::signals`]), and they are made here from what those said, not decoded.

use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{Cell, Column, Health, Kind, Leads, Lens, Link, Meta, Object, Shape};
use crate::identity::{ObjectRef, Resource, Text};
use crate::signals::{
    Alert, AlertState, Labels, Matcher, Origin, Raised, Rule, RuleHealth, RuleState, Severity, Silence,
    SilenceState,
};

/// The group of what is no resource of the API server.
pub const GROUP: &str = "signals";

/// The name of a silence that is still to be made, where no alert is its beginning.
pub const NEW: &str = "new";

/// Names the list of alerts.
pub fn alerts() -> Resource {
    Resource::new(GROUP, "alerts")
}

/// Names the list of silences.
pub fn silences() -> Resource {
    Resource::new(GROUP, "silences")
}

/// Names the list of rules.
pub fn rules() -> Resource {
    Resource::new(GROUP, "rules")
}

pub(super) fn kinds() -> Vec<Kind> {
    vec![alert_kind(), silence_kind(), rule_kind()]
}

/// Labels whose value is the namespace of what an alert is about. A scrape without `honorLabels` keeps the
/// object's own in `exported_namespace` and writes the exporter's into `namespace` (contracts 4.4).
const NAMESPACES: [&str; 4] = ["exported_namespace", "dest_namespace", "destination_namespace", "namespace"];

/// Labels that name what an alert is about, the nearest first, with its type.
pub(super) const SUBJECTS: &[(&str, &str, &str)] = &[
    ("exported_pod", "", "pods"),
    ("pod", "", "pods"),
    ("deployment", "apps", "deployments"),
    ("statefulset", "apps", "statefulsets"),
    ("daemonset", "apps", "daemonsets"),
    ("job_name", "batch", "jobs"),
    ("cronjob", "batch", "cronjobs"),
    ("horizontalpodautoscaler", "autoscaling", "horizontalpodautoscalers"),
    ("poddisruptionbudget", "policy", "poddisruptionbudgets"),
    ("persistentvolumeclaim", "", "persistentvolumeclaims"),
    ("secret", "", "secrets"),
    ("resourcequota", "", "resourcequotas"),
    ("exported_ingress", "networking.k8s.io", "ingresses"),
    ("ingress", "networking.k8s.io", "ingresses"),
    ("exported_service", "", "services"),
    ("node", "", "nodes"),
    ("nodepool", "karpenter.sh", "nodepools"),
];

/// Returns the namespace of what an alert is about.
pub fn namespace_of(labels: &Labels) -> Option<&str> {
    labels.first(&NAMESPACES)
}

/// Returns what an alert is about, the nearest first, as its labels name it.
///
/// The pod of an exporter is not what its alert is about: where a label names something nearer, the pod of
/// kube-state-metrics and its like comes last.
pub fn subjects(labels: &Labels, lens: &Lens<'_>) -> Vec<ObjectRef> {
    let mut found = Vec::new();
    let namespace = namespace_of(labels).map(Text::from);
    // metrics of Argo CD name the Application `name` beside its `project`; some installations say `application`.
    let application =
        labels.get("application").or_else(|| labels.get("name").filter(|_| labels.get("project").is_some()));
    if let Some(name) = application {
        let place = labels.get("namespace").map(Text::from);
        found.push(lens.object(&super::applications::applications(), place.as_ref(), &name.into()));
    }
    if let Some(name) = certificate_of(labels) {
        found.push(lens.object(&super::certificates::certificates(), namespace.as_ref(), &name.into()));
    }
    for (label, group, plural) in SUBJECTS {
        let Some(name) = labels.get(label) else { continue };
        let resource = Resource::new(group, plural);
        let place =
            lens.kinds.get(&resource).is_none_or(|kind| kind.namespaced).then_some(namespace.as_ref());
        let object = lens.object(&resource, place.flatten(), &name.into());
        if !found.contains(&object) {
            found.push(object);
        }
    }
    let exporter = |object: &ObjectRef| {
        &*object.resource.plural == "pods"
            && ["kube-state-metrics", "node-exporter", "prometheus-"]
                .iter()
                .any(|word| object.name.contains(word))
    };
    found.sort_by_key(exporter);
    found
}

/// Returns the Certificate that an alert is about: metrics of cert-manager call it `name`, and only the alert's own name
/// says that it is one.
pub(super) fn certificate_of(labels: &Labels) -> Option<&str> {
    let alert = labels.get("alertname")?.to_ascii_lowercase();
    (alert.contains("certmanager") || alert.contains("certificate")).then(|| labels.get("name")).flatten()
}

/// Labels that name how an alert was measured and not what it is about: a silence of one alert leaves them open, so
/// that it holds when the exporter moves.
const NOISE: [&str; 10] = [
    "prometheus",
    "prometheus_replica",
    "endpoint",
    "instance",
    "job",
    "service",
    "uid",
    "metrics_path",
    "alertgroup",
    "container_id",
];

/// Returns the matchers of a silence for one alert.
pub fn matchers_of(labels: &Labels) -> Vec<Matcher> {
    let named = labels.iter().filter(|(name, value)| !value.is_empty() && !NOISE.contains(name));
    named.map(|(name, value)| Matcher::equals(name, value)).collect()
}

/// Says how bad an alert of a severity is while it fires.
pub fn severity_health(severity: Severity) -> Health {
    match severity {
        Severity::Critical => Health::Degraded,
        Severity::Warning | Severity::Other => Health::Warning,
        Severity::Info => Health::Idle,
    }
}

/// Says how an alert is: what fires is as bad as its severity, what is kept quiet is at rest.
pub fn health_of(alert: &Alert) -> Health {
    match alert.state {
        AlertState::Firing => severity_health(alert.severity),
        AlertState::Pending => Health::Progressing,
        AlertState::Suppressed | AlertState::Resolved => Health::Idle,
        AlertState::Unknown => Health::Unknown,
    }
}

/// Makes the object of an alert.
pub fn alert_object(raised: Raised) -> Object {
    let alert = &raised.alert;
    let namespace = namespace_of(&alert.labels).map(Text::from);
    // Alerts of rules have no fingerprint; their labels are their identity.
    let name = if alert.fingerprint.is_empty() { hash(&alert.labels) } else { alert.fingerprint.clone() };
    let meta = Meta {
        namespace,
        uid: name.clone(),
        name,
        resource_version: alert.updated.map_or_else(|| Text::from(""), |at| Text::from(at.to_string())),
        created: alert.since,
        deleted: None,
        labels: alert.labels.iter().map(|(name, value)| (name.into(), value.into())).collect(),
        owners: Box::default(),
    };
    Object { meta, slim: Box::new(raised) }
}

/// Sixteen hexadecimal digits of the labels (FNV-1a, as short as Alertmanager's own fingerprints).
fn hash(labels: &Labels) -> Text {
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    for byte in labels.iter().flat_map(|(name, value)| [name, "\u{ff}", value, "\u{ff}"]).flat_map(str::bytes)
    {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    }
    format!("{hash:016x}").into()
}

/// Makes the object of a silence.
pub fn silence_object(silence: Arc<Silence>) -> Object {
    let meta = Meta {
        name: silence.id.clone(),
        uid: silence.id.clone(),
        resource_version: silence.updated.map_or_else(|| Text::from(""), |at| Text::from(at.to_string())),
        created: silence.starts,
        ..Meta::default()
    };
    Object { meta, slim: Box::new(silence) }
}

/// Makes the object of a rule; `number` tells rules of one name and group apart.
pub fn rule_object(rule: Arc<Rule>, number: usize) -> Object {
    let name: Text = format!("{}/{}/{number}", rule.group, rule.name).into();
    let meta = Meta { uid: name.clone(), name, ..Meta::default() };
    Object { meta, slim: Box::new(rule) }
}

fn words(all: &[Text]) -> Cell {
    if all.is_empty() { Cell::Empty } else { Cell::Text(all.join(", ").into()) }
}

fn text(value: Option<&str>) -> Cell {
    value.map_or(Cell::Empty, |value| Cell::Text(crate::text::one_line(value).into()))
}

fn alert_kind() -> Kind {
    Kind::made::<Raised>(GROUP, "alerts", "Alert")
        .about("alerts of Alertmanager, of Prometheus's rules and of CloudWatch")
        .shorts(&["al", "alert"])
        // What keeps one quiet is told in the words of the silence.
        .needs(&[(GROUP, "silences")])
        .column(Column::new(Shape::Status, "status", "how bad and where it stands").priority(0), |row| {
            let alert = &row.body.alert;
            let text = match alert.state {
                AlertState::Firing => alert.severity.word(),
                state => state.word(),
            };
            Cell::Status { text: text.into(), health: health_of(alert) }
        })
        .sorted(true)
        .column(Column::new(Shape::Text, "alert", "the name of the alert").priority(0).groups(), |row| {
            Cell::Text(row.body.alert.name.clone())
        })
        .namespaced()
        .column(Column::new(Shape::Text, "tenant", "whose it is").joined().priority(2).groups(), |row| {
            let tenant = row.meta().namespace.as_deref().and_then(|name| row.lens.tenants.of_namespace(name));
            tenant.cloned().map_or(Cell::Empty, Cell::Text)
        })
        .column(
            Column::new(Shape::Link, "about", "what it is about, as its labels name it").priority(2),
            |row| match subjects(&row.body.alert.labels, row.lens).into_iter().next() {
                Some(to) => {
                    let kind =
                        row.lens.kinds.get(&to.resource).map_or(&to.resource.plural, |kind| &kind.singular);
                    Cell::Link { text: format!("{kind}/{}", to.name).into(), to }
                }
                None => text(row.body.alert.labels.first(&["instance", "job", "service"])),
            },
        )
        .column(Column::new(Shape::Age, "since", "since when").titled("SINCE").priority(1), |row| {
            row.body.alert.since.map_or(Cell::Unknown, Cell::Age)
        })
        .column(Column::new(Shape::Text, "message", "its summary").titled("SUMMARY").priority(3), |row| {
            text(row.body.alert.annotations.first(&["summary", "message", "description"]))
        })
        .column(Column::new(Shape::Text, "receivers", "who is told").priority(4).groups(), |row| {
            let alert = &row.body.alert;
            if row.body.is_unheard() {
                return Cell::Text("nobody yet".into());
            }
            words(&alert.receivers)
        })
        .each(|row| if row.body.is_unheard() { Vec::new() } else { row.body.alert.receivers.clone() })
        .column(Column::new(Shape::Text, "quiet", "what keeps it quiet").joined().priority(4), |row| {
            let alert = &row.body.alert;
            let mut why: Vec<Text> = Vec::new();
            for id in &alert.silenced_by {
                let silence = row.lens.object(&silences(), None, id);
                let by = row.lens.store.object(&silence).and_then(|object| object.body::<Arc<Silence>>());
                why.push(by.map_or_else(
                    || "silence".into(),
                    |silence| format!("silence of {}: {}", silence.created_by, silence.comment).into(),
                ));
            }
            if !alert.inhibited_by.is_empty() {
                why.push(format!("inhibited by {}", inhibitors(alert, row.lens)).into());
            }
            why.extend(alert.muted_by.iter().map(|name| Text::from(format!("mute time {name}"))));
            words(&why)
        })
        .column(Column::new(Shape::Text, "severity", "the label severity").wide().groups(), |row| {
            text(row.body.alert.labels.get("severity"))
        })
        .column(Column::new(Shape::Text, "value", "the value of its expression").wide(), |row| {
            row.body.alert.value.map_or(Cell::Empty, |value| Cell::Text(value.to_string().into()))
        })
        .column(Column::new(Shape::Text, "source", "who says so").wide(), |row| {
            let alert = &row.body.alert;
            let origins = alert.origins.iter().map(|origin| match origin {
                Origin::Alertmanager => "Alertmanager",
                Origin::Prometheus => "rule",
                Origin::CloudWatch => "CloudWatch",
            });
            Cell::Text(origins.collect::<Vec<_>>().join(", ").into())
        })
        .column(Column::new(Shape::Text, "description", "its description").wide(), |row| {
            text(row.body.alert.annotations.first(&["description", "message"]))
        })
        .column(Column::new(Shape::Text, "runbook", "the link to its runbook").wide(), |row| {
            text(row.body.alert.annotations.first(&["runbook_url", "runbook"]))
        })
        .column(Column::new(Shape::Text, "dashboard", "the link to its dashboard").wide(), |row| {
            text(row.body.alert.annotations.first(&["dashboard_url", "dashboard"]))
        })
        .column(Column::new(Shape::Text, "expression", "the expression of its rule").wide(), |row| {
            text(row.body.rule.as_ref().map(|rule| &*rule.query))
        })
        .name_wide()
        .health(|row| {
            let alert = &row.body.alert;
            let why = alert.annotations.first(&["summary", "message", "description"]).unwrap_or(&alert.name);
            (health_of(alert), Text::from(why))
        })
        .links(|row| {
            let lens = row.lens;
            let mut links: Vec<Link> =
                subjects(&row.body.alert.labels, lens).into_iter().map(|to| Link::one("about", to)).collect();
            for id in &row.body.alert.silenced_by {
                links.push(Link::one("silence", lens.object(&silences(), None, id)));
            }
            let inhibiting = row.lens.shelf(&alerts()).into_iter().flat_map(crate::store::Shelf::iter);
            for (_, other) in inhibiting {
                if row.body.alert.inhibited_by.contains(&other.meta.name) {
                    let to = lens.object(&alerts(), other.meta.namespace.as_ref(), &other.meta.name);
                    links.push(Link::one("inhibited by", to));
                }
            }
            if row.body.rule.is_some() {
                let filter = format!("alert={}", row.body.alert.name);
                links.push(Link::many("rule", &rules(), None, filter, ""));
            }
            links
        })
        .verbs(&["silence"])
        .done()
}

/// Names the alerts that keep one quiet.
fn inhibitors(alert: &Alert, lens: &Lens<'_>) -> String {
    let shelf = lens.shelf(&alerts());
    let mut names: Vec<Text> = shelf
        .into_iter()
        .flat_map(crate::store::Shelf::iter)
        .filter(|(_, other)| alert.inhibited_by.contains(&other.meta.name))
        .filter_map(|(_, other)| Some(other.body::<Raised>()?.alert.name.clone()))
        .collect();
    names.sort();
    names.dedup();
    if names.is_empty() { "another alert".to_owned() } else { names.join(", ") }
}

fn silence_kind() -> Kind {
    Kind::made::<Arc<Silence>>(GROUP, "silences", "Silence")
        .about("silences of every Alertmanager, with who made them and what they hide")
        .shorts(&["sil"])
        .needs(&[(GROUP, "alerts")])
        .column(Column::new(Shape::Status, "status", "where it stands").priority(0), |row| {
            let health = match row.body.state {
                SilenceState::Active => Health::Warning,
                SilenceState::Pending => Health::Progressing,
                SilenceState::Expired => Health::Idle,
                SilenceState::Unknown => Health::Unknown,
            };
            Cell::Status { text: row.body.state.word().into(), health }
        })
        .sorted(true)
        .column(Column::new(Shape::Text, "matchers", "which alerts it hides").priority(0), |row| {
            let matchers: Vec<String> = row.body.matchers.iter().map(ToString::to_string).collect();
            Cell::Text(matchers.join(" ").into())
        })
        .column(
            Column::new(Shape::Count, "alerts", "how many alerts it hides now").joined().priority(1),
            |row| match row.lens.shelf(&alerts()) {
                Some(shelf) => Cell::Count(hidden_by(row.body, shelf).len() as i64),
                None => Cell::Unknown,
            },
        )
        .column(Column::new(Shape::Age, "ends", "the time left").priority(1), |row| {
            row.body.ends.map_or(Cell::Unknown, Cell::Age)
        })
        .column(Column::new(Shape::Text, "by", "who made it").priority(2), |row| {
            Cell::Text(row.body.created_by.clone())
        })
        .column(Column::new(Shape::Text, "message", "why").titled("COMMENT").priority(2), |row| {
            text(Some(&row.body.comment))
        })
        .column(Column::new(Shape::Age, "starts", "since when").wide(), |row| {
            row.body.starts.map_or(Cell::Unknown, Cell::Age)
        })
        .column(Column::new(Shape::Text, "place", "the Alertmanager").wide(), |row| {
            Cell::Text(row.body.place.clone())
        })
        .name_wide()
        .health(|row| match row.body.state {
            SilenceState::Active => (Health::Warning, row.body.comment.clone()),
            SilenceState::Unknown => (Health::Unknown, Text::from("its state is not known")),
            _ => (Health::Idle, Text::from("")),
        })
        .links(|row| {
            let shelf = row.lens.shelf(&alerts());
            shelf
                .map(|shelf| hidden_by(row.body, shelf))
                .unwrap_or_default()
                .into_iter()
                .map(|meta| {
                    Link::one("hides", row.lens.object(&alerts(), meta.namespace.as_ref(), &meta.name))
                })
                .collect()
        })
        .verbs(&["extend-silence", "expire-silence"])
        .done()
}

/// Returns the alerts that a silence matches now.
pub fn hidden_by<'a>(silence: &Silence, alerts: &'a crate::store::Shelf) -> Vec<&'a Meta> {
    if silence.state == SilenceState::Expired {
        return Vec::new();
    }
    alerts
        .iter()
        .filter(|(_, object)| {
            object.body::<Raised>().is_some_and(|raised| {
                raised.alert.state != AlertState::Pending && silence.matches(&raised.alert.labels)
            })
        })
        .map(|(_, object)| &object.meta)
        .collect()
}

fn rule_kind() -> Kind {
    Kind::made::<Arc<Rule>>(GROUP, "rules", "Rule")
        .about("alerting and recording rules of Prometheus, with their expression and health")
        .shorts(&["rule"])
        .column(Column::new(Shape::Status, "status", "where it stands").priority(0), |row| {
            let (text, health) = match (&row.body.health, row.body.state) {
                (RuleHealth::Failed(_), _) => ("failed", Health::Degraded),
                (_, RuleState::Recording) => ("recording", Health::Idle),
                (_, RuleState::Inactive) => ("inactive", Health::Healthy),
                (_, RuleState::Pending) => ("pending", Health::Progressing),
                (_, RuleState::Firing) => ("firing", Health::Warning),
                (_, RuleState::Unknown) => ("unknown", Health::Unknown),
            };
            Cell::Status { text: text.into(), health }
        })
        .sorted(true)
        .column(Column::new(Shape::Text, "alert", "its name").titled("RULE").priority(0), |row| {
            Cell::Text(row.body.name.clone())
        })
        .column(Column::new(Shape::Count, "alerts", "how many alerts it has raised").priority(1), |row| {
            Cell::Count(row.body.alerts.len() as i64)
        })
        .column(Column::new(Shape::Text, "for", "how long its condition must hold").priority(3), |row| {
            if row.body.state == RuleState::Recording {
                return Cell::Empty;
            }
            Cell::Text(crate::human::span(row.body.hold as i64).into())
        })
        .column(Column::new(Shape::Text, "expression", "its expression").priority(2), |row| {
            text(Some(&row.body.query))
        })
        .column(Column::new(Shape::Text, "group", "its group").priority(4).groups(), |row| {
            Cell::Text(row.body.group.clone())
        })
        .column(
            Column::new(Shape::Text, "message", "why it could not be evaluated").titled("ERROR").priority(3),
            |row| match &row.body.health {
                RuleHealth::Failed(why) => Cell::Text(why.clone()),
                _ => Cell::Empty,
            },
        )
        .column(Column::new(Shape::Age, "evaluated", "when it was last evaluated").wide(), |row| {
            row.body.evaluated.map_or(Cell::Unknown, Cell::Age)
        })
        .column(Column::new(Shape::Text, "runbook", "the link to its runbook").wide(), |row| {
            text(row.body.annotations.first(&["runbook_url", "runbook"]))
        })
        .name_wide()
        .health(|row| match (&row.body.health, row.body.state) {
            (RuleHealth::Failed(why), _) => (Health::Degraded, why.clone()),
            (_, RuleState::Firing) => (Health::Warning, Text::from("")),
            (_, RuleState::Pending) => (Health::Progressing, Text::from("")),
            (_, RuleState::Unknown) => (Health::Unknown, Text::from("")),
            _ => (Health::Healthy, Text::from("")),
        })
        .links(|row| {
            if row.body.alerts.is_empty() {
                return Vec::new();
            }
            let to = Leads::Many {
                resource: alerts(),
                namespace: None,
                filter: format!("alert={}", row.body.name),
            };
            vec![Link { relation: "alerts", to, note: Text::from("") }]
        })
        .done()
}

/// Writes an object of this group whole, for its YAML tab and for JSON.
pub fn document(object: &Object) -> Option<Value> {
    let pairs = |labels: &Labels| -> Value {
        labels
            .iter()
            .map(|(name, value)| (name.to_owned(), json!(value)))
            .collect::<serde_json::Map<_, _>>()
            .into()
    };
    let at = |time: Option<Timestamp>| time.map(|time| time.to_string());
    if let Some(Raised { alert, rule, alarm }) = object.body::<Raised>() {
        return Some(json!({
            "kind": "Alert",
            "name": &*alert.name,
            "state": alert.state.word(),
            "severity": alert.severity.word(),
            "since": at(alert.since),
            "labels": pairs(&alert.labels),
            "annotations": pairs(&alert.annotations),
            "value": alert.value.filter(|value| value.is_finite()),
            "receivers": alert.receivers,
            "silencedBy": alert.silenced_by,
            "inhibitedBy": alert.inhibited_by,
            "mutedBy": alert.muted_by,
            "fingerprint": alert.fingerprint,
            "generator": alert.generator,
            "places": alert.places,
            "rule": rule.as_ref().map(|rule| json!({
                "group": rule.group, "query": rule.query, "for": rule.hold,
            })),
            "alarm": alarm.as_deref().map(super::alarms::document),
        }));
    }
    if let Some(silence) = object.body::<Arc<Silence>>() {
        let matchers: Vec<String> = silence.matchers.iter().map(ToString::to_string).collect();
        return Some(json!({
            "kind": "Silence",
            "id": silence.id,
            "state": silence.state.word(),
            "matchers": matchers,
            "startsAt": at(silence.starts),
            "endsAt": at(silence.ends),
            "createdBy": silence.created_by,
            "comment": silence.comment,
            "place": silence.place,
        }));
    }
    let rule = object.body::<Arc<Rule>>()?;
    Some(json!({
        "kind": "Rule",
        "name": rule.name,
        "group": rule.group,
        "query": rule.query,
        "for": rule.hold,
        "labels": pairs(&rule.labels),
        "annotations": pairs(&rule.annotations),
    }))
}
