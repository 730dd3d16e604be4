//! The custom resources of the embedded platform, held against the schemas that their projects publish.

use std::collections::BTreeMap;
use std::path::Path;

use opsdeck::demo::types::Type;
use opsdeck::demo::world;
use serde_json::Value;

use crate::cluster::Cluster;

/// Where the published CRDs are kept beside the project; they are not part of it.
const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/crds");

/// Reads the schemas by group, version and kind.
fn schemas(folder: &Path) -> BTreeMap<(String, String, String), Value> {
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "yaml") {
            continue;
        }
        let text = std::fs::read_to_string(&path).unwrap();
        let crd: Value =
            serde_saphyr::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let spec = &crd["spec"];
        for version in spec["versions"].as_array().unwrap() {
            let name = |value: &Value| value.as_str().unwrap().to_owned();
            let key = (name(&spec["group"]), name(&version["name"]), name(&spec["names"]["kind"]));
            found.insert(key, version["schema"]["openAPIV3Schema"].clone());
        }
    }
    found
}

/// Notes what of a value does not fit its schema.
fn check(schema: &Value, value: &Value, path: &str, wrong: &mut Vec<String>) {
    if value.is_null() {
        if schema["nullable"] != true {
            wrong.push(format!("{path}: is null"));
        }
        return;
    }
    if schema["x-kubernetes-int-or-string"] == true {
        if !value.is_string() && !value.is_i64() && !value.is_u64() {
            wrong.push(format!("{path}: is neither a number nor text: {value}"));
        }
        return;
    }
    let fits = match schema["type"].as_str() {
        Some("object") => value.is_object(),
        Some("array") => value.is_array(),
        Some("string") => value.is_string(),
        Some("integer") => value.is_i64() || value.is_u64(),
        Some("number") => value.is_number(),
        Some("boolean") => value.is_boolean(),
        _ => true,
    };
    if !fits {
        wrong.push(format!("{path}: should be of type {}: {value}", schema["type"]));
        return;
    }
    if let Some(allowed) = schema["enum"].as_array()
        && !allowed.contains(value)
    {
        wrong.push(format!("{path}: {value} is not one of {allowed:?}"));
    }
    if let Some(pattern) = schema["pattern"].as_str()
        && let Some(text) = value.as_str()
        && let Ok(pattern) = regex::Regex::new(pattern)
        && !pattern.is_match(text)
    {
        wrong.push(format!("{path}: {text:?} does not match {pattern}"));
    }
    for (field, part) in value.as_object().into_iter().flatten() {
        let place = format!("{path}.{field}");
        match (schema["properties"].get(field), schema.get("additionalProperties")) {
            (Some(schema), _) => check(schema, part, &place, wrong),
            (None, Some(rest @ Value::Object(_))) => check(rest, part, &place, wrong),
            (None, Some(Value::Bool(true))) => {}
            _ if schema["x-kubernetes-preserve-unknown-fields"] == true => {}
            _ => wrong.push(format!("{place}: is not a field")),
        }
    }
    for field in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        if value.is_object() && value.get(field).is_none() {
            wrong.push(format!("{path}.{field}: is missing"));
        }
    }
    for (at, item) in value.as_array().into_iter().flatten().enumerate() {
        check(&schema["items"], item, &format!("{path}[{at}]"), wrong);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn custom_resources_fit_the_schemas_of_their_projects() {
    let folder = Path::new(FOLDER);
    if !folder.is_dir() {
        println!("SKIPPED: {FOLDER} is not there");
        return;
    }
    let schemas = schemas(folder);
    let options = world::Options { story: "bad-deploy".to_owned(), ..world::Options::default() };
    let cluster = Cluster::with(options).await;
    // Some of them change while the world moves: what controllers write counts as well.
    let moved = async {
        let mut revision = cluster.running.handle.revision();
        for _ in 0..40 {
            revision.changed().await.unwrap();
        }
    };
    let _ = tokio::time::timeout(std::time::Duration::from_secs(10), moved).await;
    let objects: Vec<(Type, String, Value)> = cluster
        .running
        .handle
        .call(|world, _| {
            let custom = Type::ALL.iter().filter(|kind| kind.info().custom);
            custom
                .flat_map(|kind| world.objects.list(*kind, None))
                .map(|object| (object.key.kind, object.key.to_string(), object.value()))
                .collect()
        })
        .await
        .unwrap();
    let mut wrong: BTreeMap<String, String> = BTreeMap::new();
    let mut checked = std::collections::BTreeSet::new();
    for (kind, name, mut value) in objects {
        let info = kind.info();
        let key = (info.group.to_owned(), info.version.to_owned(), info.kind.to_owned());
        let schema = schemas.get(&key).unwrap_or_else(|| panic!("there is no schema of {key:?}"));
        // The API server checks metadata itself; schemas only name it.
        value.as_object_mut().unwrap().remove("metadata");
        let mut found = Vec::new();
        check(schema, &value, info.kind, &mut found);
        found.retain(|line| !line.ends_with(".metadata: is missing"));
        for line in found {
            wrong.entry(line).or_insert_with(|| name.clone());
        }
        checked.insert(info.kind);
    }
    for kind in [
        "Application",
        "AppProject",
        "ApplicationSet",
        "NodePool",
        "NodeClaim",
        "ExternalSecret",
        "ClusterExternalSecret",
        "SealedSecret",
        "DNSEndpoint",
        "Certificate",
    ] {
        assert!(checked.contains(kind), "the platform has no {kind}; it has {checked:?}");
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}
