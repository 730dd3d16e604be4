//! Field ownership: who wrote which field (`metadata.managedFields`), and server-side apply on top of it.
//!
//! The rules are those of Kubernetes' structured merge: an update takes over what it changes; an apply sets what it
//! says, takes away what it said before and nobody else owns, and is refused where it would change what another
//! manager owns, unless it is forced. Objects that the platform itself wrote have no managers; the first apply to one
//! books what is there under `before-first-apply`, as a real server does. What the platform's controllers change
//! later is not booked.

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::fieldset::{self, Fields, ListIs, item_key, list_is, map_is_atomic};
use super::objects::{seconds, text};
use super::status::{Cause, Reason, Status};
use super::types::Type;

/// Who writes.
#[derive(Debug, Clone)]
pub struct Writer {
    /// Name of the field manager.
    pub manager: String,
    /// Group and version that it wrote in.
    pub api_version: String,
    /// The subresource that it wrote through; may be empty.
    pub subresource: String,
    /// Now.
    pub now: Timestamp,
}

/// One entry of `managedFields`.
#[derive(Debug, Clone, PartialEq)]
struct Manager {
    name: String,
    apply: bool,
    api_version: String,
    subresource: String,
    time: String,
    fields: Fields,
}

impl Manager {
    fn new(writer: &Writer, apply: bool) -> Self {
        Self {
            name: writer.manager.clone(),
            apply,
            api_version: writer.api_version.clone(),
            subresource: writer.subresource.clone(),
            time: seconds(writer.now),
            fields: Fields::default(),
        }
    }

    /// Says whether both are the same manager: an applier is one whatever version it writes in.
    fn is(&self, other: &Self) -> bool {
        self.name == other.name
            && self.apply == other.apply
            && self.subresource == other.subresource
            && (self.apply || self.api_version == other.api_version)
    }

    fn write(&self) -> Value {
        let mut entry = json!({
            "manager": self.name, "operation": if self.apply { "Apply" } else { "Update" },
            "apiVersion": self.api_version, "time": self.time, "fieldsType": "FieldsV1",
            "fieldsV1": self.fields.write(),
        });
        if !self.subresource.is_empty() {
            entry["subresource"] = json!(self.subresource);
        }
        entry
    }

    /// Spells the manager as a refusal does.
    fn spell(&self) -> String {
        let mut spelled = format!("{:?}", self.name);
        if !self.subresource.is_empty() {
            spelled = format!("{spelled} with subresource {:?}", self.subresource);
        }
        if !self.apply {
            spelled = format!("{spelled} using {}", self.api_version);
        }
        spelled
    }
}

fn managers(object: &Value) -> Vec<Manager> {
    let entries = object["metadata"]["managedFields"].as_array();
    let managers = entries.into_iter().flatten().filter(|entry| !text(entry, "operation").is_empty());
    managers
        .map(|entry| Manager {
            name: text(entry, "manager").to_owned(),
            apply: entry["operation"] == "Apply",
            api_version: text(entry, "apiVersion").to_owned(),
            subresource: text(entry, "subresource").to_owned(),
            time: text(entry, "time").to_owned(),
            fields: Fields::read(&entry["fieldsV1"]),
        })
        .collect()
}

fn book(object: &mut Value, mut managers: Vec<Manager>) {
    managers.retain(|manager| !manager.fields.is_empty());
    // Appliers first, then in the order of time, as a real server sorts them.
    managers.sort_by(|a, b| (!a.apply, &a.time, &a.name).cmp(&(!b.apply, &b.time, &b.name)));
    let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) else { return };
    if managers.is_empty() {
        metadata.remove("managedFields");
    } else {
        let entries = managers.iter().map(Manager::write).collect();
        metadata.insert("managedFields".to_owned(), Value::Array(entries));
    }
}

/// Finds a manager's entry, or makes an empty one.
fn entry(managers: &mut Vec<Manager>, wanted: Manager) -> &mut Manager {
    let at = managers.iter().position(|manager| manager.is(&wanted)).unwrap_or_else(|| {
        managers.push(wanted);
        managers.len() - 1
    });
    &mut managers[at]
}

/// Books a create or an update: the writer owns what it has changed.
///
/// A client may hand in `managedFields` of its own, as kubectl does when it moves to server-side apply; where it hands
/// in none, those of the stored object hold on.
pub fn updated(kind: Type, before: Option<&Value>, after: &mut Value, writer: &Writer) {
    let mut known = managers(after);
    if known.is_empty()
        && let Some(before) = before
    {
        known = managers(before);
        // Nobody has ever applied it, and nobody has created it through the API.
        if known.is_empty() {
            book(after, known);
            return;
        }
    }
    let difference = fieldset::compare(kind, before.unwrap_or(&json!({})), after);
    let wanted = Manager::new(writer, false);
    for manager in known.iter_mut().filter(|manager| !manager.is(&wanted)) {
        manager.fields.take(&difference.set);
    }
    for manager in &mut known {
        manager.fields.take(&difference.gone);
    }
    if !difference.set.is_empty() {
        let time = wanted.time.clone();
        let own = entry(&mut known, wanted);
        own.fields.add(&difference.set);
        own.time = time;
    }
    book(after, known);
}

/// Returns the object that an apply makes where there is none yet.
pub fn created(kind: Type, config: &Value, writer: &Writer) -> Value {
    let mut object = config.clone();
    let own = Manager { fields: fieldset::said(kind, config), ..Manager::new(writer, true) };
    book(&mut object, vec![own]);
    object
}

/// Returns what an apply makes of an object; refused where it would change what others own and is not forced.
pub fn applied(
    kind: Type,
    before: &Value,
    config: &Value,
    writer: &Writer,
    force: bool,
) -> Result<Value, Status> {
    let mut known = managers(before);
    if known.is_empty() {
        let first =
            Writer { manager: "before-first-apply".to_owned(), subresource: String::new(), ..writer.clone() };
        let there = fieldset::compare(kind, &json!({}), before).set;
        known.push(Manager { fields: there, ..Manager::new(&first, false) });
    }
    let wanted = Manager::new(writer, true);
    let said = fieldset::said(kind, config);
    let last = known.iter().find(|manager| manager.is(&wanted)).map(|manager| manager.fields.clone());
    let mut keep = said.clone();
    for manager in known.iter().filter(|manager| !manager.is(&wanted)) {
        keep.add(&manager.fields);
    }
    let mut after = before.clone();
    merge(kind, "", &mut after, config);
    if let Some(last) = &last {
        prune(kind, "", &mut after, last, &keep);
    }
    let difference = fieldset::compare(kind, before, &after);
    let mut conflicts = Vec::new();
    for manager in known.iter_mut().filter(|manager| !manager.is(&wanted)) {
        let common = manager.fields.common(&difference.set);
        if !common.is_empty() {
            conflicts.extend(common.paths().into_iter().map(|path| (manager.spell(), path)));
            manager.fields.take(&common);
        }
    }
    if !force {
        let own = handed_over(kind, before, writer);
        conflicts.retain(|(_, path)| !own.contains(path));
    }
    if !force && !conflicts.is_empty() {
        return Err(refusal(&conflicts));
    }
    for manager in &mut known {
        manager.fields.take(&difference.gone);
    }
    let own = entry(&mut known, wanted);
    if last.as_ref() != Some(&said) {
        own.time = seconds(writer.now);
    }
    own.fields = said;
    own.api_version.clone_from(&writer.api_version);
    book(&mut after, known);
    // What client-side apply would compare with next time keeps pace.
    if writer.manager == KUBECTL && !before["metadata"]["annotations"][LAST_APPLIED].is_null() {
        after["metadata"]["annotations"][LAST_APPLIED] = json!(format!("{config}\n"));
    }
    Ok(after)
}

/// The manager of server-side apply in kubectl.
const KUBECTL: &str = "kubectl";

/// Where client-side apply keeps what it applied last.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// Returns what kubectl itself applied on the client's side before and nobody changed since: it moves to server-side
/// apply, and the API server lets it.
fn handed_over(kind: Type, before: &Value, writer: &Writer) -> Vec<String> {
    let last = before["metadata"]["annotations"][LAST_APPLIED].as_str();
    let Some(last) = last.filter(|_| writer.manager == KUBECTL) else { return Vec::new() };
    let last: Value = serde_json::from_str(last).unwrap_or_default();
    let mut own = fieldset::said(kind, &last);
    let since = fieldset::compare(kind, &last, before);
    own.take(&since.set);
    own.take(&since.gone);
    own.paths()
}

/// Words the conflicts as the API server does.
fn refusal(conflicts: &[(String, String)]) -> Status {
    let message = if let [(manager, path)] = conflicts {
        format!("Apply failed with 1 conflict: conflict with {manager}: {path}")
    } else {
        let mut managers: Vec<&String> = conflicts.iter().map(|(manager, _)| manager).collect();
        managers.sort_unstable();
        managers.dedup();
        let lines: Vec<String> = managers
            .into_iter()
            .flat_map(|manager| {
                let paths = conflicts.iter().filter(move |(other, _)| other == manager);
                std::iter::once(format!("conflicts with {manager}:"))
                    .chain(paths.map(|(_, path)| format!("- {path}")))
            })
            .collect();
        format!("Apply failed with {} conflicts: {}", conflicts.len(), lines.join("\n"))
    };
    let causes = conflicts.iter().map(|(manager, path)| Cause {
        reason: "FieldManagerConflict",
        message: format!("conflict with {manager}"),
        field: path.clone(),
    });
    Status { causes: causes.collect(), ..Status::new(Reason::Conflict, message) }
}

/// Merges what is applied into what is there.
fn merge(kind: Type, field: &str, into: &mut Value, config: &Value) {
    match config {
        Value::Object(fields) if into.is_object() && !map_is_atomic(kind, field) => {
            let Some(target) = into.as_object_mut() else { return };
            for (key, value) in fields.iter().filter(|(_, value)| !value.is_null()) {
                merge(kind, key, target.entry(key.clone()).or_insert(Value::Null), value);
            }
        }
        Value::Array(items) => {
            let there = into.as_array().cloned().unwrap_or_default();
            let all: Vec<&Value> = there.iter().chain(items).collect();
            let is = list_is(kind, field, &all);
            if is == ListIs::Atomic {
                *into = config.clone();
                return;
            }
            let mut list = there.clone();
            for item in items {
                let key = item_key(is, item);
                match list.iter().position(|known| key.is_some() && item_key(is, known) == key) {
                    Some(at) => merge(kind, "[]", &mut list[at], item),
                    None => list.push(item.clone()),
                }
            }
            *into = Value::Array(list);
        }
        other => *into = other.clone(),
    }
}

/// Takes away what a manager said last time and nobody says any more.
fn prune(kind: Type, field: &str, value: &mut Value, last: &Fields, keep: &Fields) {
    let none = Fields::default();
    let stays = |key: &str| keep.parts.get(key).is_some_and(|kept| !kept.is_empty());
    match value {
        Value::Object(fields) if !map_is_atomic(kind, field) => {
            let fields: &mut Map<String, Value> = fields;
            for (key, part) in &last.parts {
                let Some(name) = key.strip_prefix("f:") else { continue };
                if part.own && !stays(key) {
                    fields.remove(name);
                    continue;
                }
                let Some(inner) = fields.get_mut(name) else { continue };
                let was_empty = is_empty(inner);
                prune(kind, name, inner, part, keep.parts.get(key).unwrap_or(&none));
                // A map that only held what is gone goes with it.
                if !was_empty && is_empty(inner) && !stays(key) {
                    fields.remove(name);
                }
            }
        }
        Value::Array(items) => {
            let all: Vec<&Value> = items.iter().collect();
            let is = list_is(kind, field, &all);
            items.retain_mut(|item| {
                let Some(key) = item_key(is, item) else { return true };
                let Some(part) = last.parts.get(&key) else { return true };
                if part.own && !stays(&key) {
                    return false;
                }
                prune(kind, "[]", item, part, keep.parts.get(&key).unwrap_or(&none));
                true
            });
        }
        _ => {}
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Object(fields) => fields.is_empty(),
        Value::Array(items) => items.is_empty(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KIND: Type = Type::Deployment;

    fn by(manager: &str) -> Writer {
        Writer {
            manager: manager.to_owned(),
            api_version: "apps/v1".to_owned(),
            subresource: String::new(),
            now: "2026-03-02T14:00:00Z".parse().unwrap(),
        }
    }

    fn web(image: &str, replicas: Option<i64>, labels: &Value) -> Value {
        let mut value = json!({
            "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web", "labels": labels},
            "spec": {"template": {"spec": {"containers": [{"name": "web", "image": image}]}}},
        });
        if let Some(replicas) = replicas {
            value["spec"]["replicas"] = json!(replicas);
        }
        value
    }

    fn owners(object: &Value) -> Vec<(String, Vec<String>)> {
        managers(object).into_iter().map(|manager| (manager.name, manager.fields.paths())).collect()
    }

    #[test]
    fn what_another_manager_owns_is_a_conflict_until_it_is_forced() {
        let first = created(KIND, &web("shop/web:1", Some(2), &json!({"a": "1"})), &by("ci"));
        let mut scaled = first.clone();
        scaled["spec"]["replicas"] = json!(5);
        updated(KIND, Some(&first), &mut scaled, &by("kubectl-scale"));
        assert_eq!(owners(&scaled)[1], ("kubectl-scale".to_owned(), vec![".spec.replicas".to_owned()]));

        let again = web("shop/web:2", Some(2), &json!({"a": "1"}));
        let refused = applied(KIND, &scaled, &again, &by("ci"), false).unwrap_err();
        // As kube-apiserver words it.
        assert_eq!(
            refused.message,
            "Apply failed with 1 conflict: conflict with \"kubectl-scale\" using apps/v1: .spec.replicas"
        );
        assert_eq!((refused.code(), refused.causes[0].reason), (409, "FieldManagerConflict"));

        let forced = applied(KIND, &scaled, &again, &by("ci"), true).unwrap();
        assert_eq!(forced["spec"]["replicas"], 2);
        assert_eq!(owners(&forced).len(), 1);
        // The same value is no conflict: both own it.
        let shared = applied(KIND, &forced, &json!({"spec": {"replicas": 2}}), &by("other"), false).unwrap();
        assert_eq!(owners(&shared).len(), 2);
    }

    #[test]
    fn what_is_no_longer_applied_goes_unless_another_owns_it() {
        let first = created(KIND, &web("shop/web:1", Some(2), &json!({"a": "1", "b": "1"})), &by("ci"));
        let shared =
            applied(KIND, &first, &json!({"metadata": {"labels": {"b": "1"}}}), &by("team"), false).unwrap();
        let less = applied(KIND, &shared, &web("shop/web:1", None, &json!({})), &by("ci"), false).unwrap();
        assert_eq!(less["metadata"]["labels"], json!({"b": "1"}));
        assert!(less["spec"].get("replicas").is_none());
        assert_eq!(
            less["spec"]["template"]["spec"]["containers"],
            json!([{"name": "web", "image": "shop/web:1"}])
        );
    }

    #[test]
    fn a_container_is_added_beside_the_others_and_taken_away_with_its_defaults() {
        let mut first = created(KIND, &web("shop/web:1", None, &json!({})), &by("ci"));
        first["spec"]["template"]["spec"]["containers"][0]["imagePullPolicy"] = json!("IfNotPresent");
        let proxy = json!({"spec": {"template": {"spec": {"containers": [{"name": "proxy", "image": "mesh/proxy:1"}]}}}});
        let mut both = applied(KIND, &first, &proxy, &by("mesh"), false).unwrap();
        let containers = both["spec"]["template"]["spec"]["containers"].as_array_mut().unwrap();
        assert_eq!(containers.len(), 2);
        containers[1]["imagePullPolicy"] = json!("Always");
        let without = applied(KIND, &both, &json!({"spec": {}}), &by("mesh"), false).unwrap();
        let containers = without["spec"]["template"]["spec"]["containers"].as_array().unwrap();
        assert_eq!((containers.len(), &containers[0]["name"]), (1, &json!("web")));
    }

    #[test]
    fn kubectl_takes_over_what_it_applied_on_the_clients_side() {
        let mut there = web("shop/web:1", Some(2), &json!({}));
        there["metadata"]["annotations"] = json!({LAST_APPLIED: there.to_string()});
        updated(KIND, None, &mut there, &by("kubectl-client-side-apply"));
        let next = web("shop/web:2", Some(2), &json!({}));
        let moved = applied(KIND, &there, &next, &by(KUBECTL), false).unwrap();
        assert!(moved["metadata"]["annotations"][LAST_APPLIED].as_str().unwrap().contains("shop/web:2"));
        assert!(applied(KIND, &there, &next, &by("ci"), false).is_err());
        // What somebody else has changed since is still a conflict.
        let mut scaled = there.clone();
        scaled["spec"]["replicas"] = json!(5);
        updated(KIND, Some(&there), &mut scaled, &by("kubectl-scale"));
        let refused = applied(KIND, &scaled, &next, &by(KUBECTL), false).unwrap_err();
        assert!(refused.message.contains("conflict with \"kubectl-scale\""), "{refused}");
    }

    #[test]
    fn an_object_of_the_platform_is_booked_at_the_first_apply() {
        let there = web("shop/web:1", Some(1), &json!({"a": "1"}));
        let mut touched = there.clone();
        touched["spec"]["replicas"] = json!(2);
        updated(KIND, Some(&there), &mut touched, &by("kubectl-edit"));
        assert!(touched["metadata"].get("managedFields").is_none());
        let refused =
            applied(KIND, &touched, &web("shop/web:2", None, &json!({})), &by("ci"), false).unwrap_err();
        assert!(refused.message.contains("conflict with \"before-first-apply\" using apps/v1"), "{refused}");
    }
}
