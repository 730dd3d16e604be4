use super::*;
use crate::demo::deletion::{DeleteOptions, Deleted};

fn now() -> Timestamp {
    "2026-01-01T10:00:00Z".parse().unwrap()
}

fn with_namespaces() -> Objects {
    let mut objects = Objects::new(Rng::with_seed(7));
    for name in ["a", "b"] {
        objects.create(Type::Namespace, json!({"metadata": {"name": name}}), now()).unwrap();
    }
    objects
}

/// Replays the history over what was there, as a watcher does.
fn replay(objects: &Objects, since: u64, seen: &mut BTreeMap<Key, u64>) {
    for change in objects.changes_since(since).unwrap() {
        match change.happened {
            Happened::Deleted => assert!(seen.remove(&change.object.key).is_some()),
            Happened::Added => {
                assert!(seen.insert(change.object.key.clone(), change.object.revision).is_none());
            }
            Happened::Modified => {
                let before = seen.insert(change.object.key.clone(), change.object.revision);
                assert_eq!(before, change.before.as_ref().map(|before| before.revision));
            }
        }
    }
}

#[test]
fn indexes_and_history_agree_with_the_objects_after_any_writes() {
    let mut objects = with_namespaces();
    let mut rng = Rng::with_seed(11);
    let (mut seen, mut revision) = (BTreeMap::new(), FIRST_REVISION);
    for turn in 0..3_000 {
        let (space, name) = (*rng.choice(&["a", "b"]).unwrap(), format!("p{}", rng.u8(..20)));
        let key = Key::new(Type::Pod, space, &name);
        let node = format!("n{}", rng.u8(..3));
        let owner = json!([{"kind": "ReplicaSet", "name": "r", "uid": format!("u{}", rng.u8(..3)), "controller": true}]);
        let written = match rng.u8(..4) {
            0 | 1 => {
                let pod = json!({"metadata": {"name": name, "namespace": space, "ownerReferences": owner}, "spec": {"nodeName": node}});
                objects.create(Type::Pod, pod, now()).map(|_| ())
            }
            2 => objects
                .modify(&key, now(), |pod| {
                    pod["spec"]["nodeName"] = json!(node);
                    pod["metadata"]["ownerReferences"] = owner;
                })
                .map(|_| ()),
            _ => objects
                .delete(
                    &key,
                    &DeleteOptions { grace: Some(rng.i64(0..2)), ..DeleteOptions::default() },
                    now(),
                )
                .map(|_| ()),
        };
        if let Err(status) = written {
            assert!(matches!(status.code(), 404 | 409), "turn {turn}: {status}");
        }
        if turn % 100 == 0 {
            replay(&objects, revision, &mut seen);
            revision = objects.revision();
            let there: BTreeMap<Key, u64> = [Type::Namespace, Type::Pod]
                .iter()
                .flat_map(|kind| objects.list(*kind, None))
                .map(|object| (object.key.clone(), object.revision))
                .collect();
            assert_eq!(seen, there, "turn {turn}");
            assert_eq!(objects.count(Type::Pod), objects.list(Type::Pod, None).count());
            let on: usize = (0..3).map(|node| objects.pods_on(&format!("n{node}")).count()).sum();
            let owned: usize = (0..3).map(|uid| objects.owned_by(&format!("u{uid}")).count()).sum();
            assert_eq!((on, owned), (objects.count(Type::Pod), objects.count(Type::Pod)));
            for pod in objects.list(Type::Pod, None) {
                let value = pod.value();
                assert_eq!(pod.field("spec.nodeName"), value["spec"]["nodeName"].as_str());
                assert_eq!(pod.revision.to_string(), value["metadata"]["resourceVersion"]);
                assert_eq!(objects.by_uid(&pod.uid).unwrap().key, pod.key);
            }
        }
    }
}

#[test]
fn writing_what_is_there_already_writes_nothing() {
    let mut objects = with_namespaces();
    let made = objects
        .create(
            Type::ConfigMap,
            json!({"metadata": {"name": "c", "namespace": "a"}, "data": {"k": "v"}}),
            now(),
        )
        .unwrap();
    let revision = objects.revision();
    let write = |value: &mut Value| {
        value["data"]["k"] = json!("v");
        value["data"]["none"] = Value::Null;
    };
    let same = objects.modify(&made.key, now(), write).unwrap();
    assert_eq!((same.revision, objects.revision()), (made.revision, revision));
}

#[test]
fn the_generation_counts_what_is_wanted_and_not_what_is() {
    let mut objects = with_namespaces();
    let generation = |object: &Object| object.value()["metadata"]["generation"].as_i64();
    let meta = json!({"name": "d", "namespace": "a"});
    let key = objects
        .create(Type::Deployment, json!({"metadata": meta, "spec": {"replicas": 1}}), now())
        .unwrap()
        .key
        .clone();
    let status = objects.modify(&key, now(), |value| value["status"] = json!({"replicas": 1})).unwrap();
    assert_eq!(generation(&status), Some(1));
    let spec = objects.modify(&key, now(), |value| value["spec"]["replicas"] = json!(2)).unwrap();
    assert_eq!(generation(&spec), Some(2));
    // Without a status subresource everything but the metadata counts.
    let key =
        objects.create(Type::Application, json!({"metadata": meta, "spec": {}}), now()).unwrap().key.clone();
    let status = objects.modify(&key, now(), |value| value["status"] = json!({"x": 1})).unwrap();
    assert_eq!(generation(&status), Some(2));
}

#[test]
fn a_pod_that_runs_is_given_time_and_one_that_does_not_is_not() {
    let mut objects = with_namespaces();
    let pod = |name: &str, node: &str| json!({"metadata": {"name": name, "namespace": "a"}, "spec": {"nodeName": node}});
    let bound = objects.create(Type::Pod, pod("bound", "n"), now()).unwrap().key.clone();
    let waiting = objects.create(Type::Pod, pod("waiting", ""), now()).unwrap().key.clone();
    let options = DeleteOptions::default();
    assert!(matches!(objects.delete(&waiting, &options, now()), Ok(Deleted::Gone(_))));
    let Ok(Deleted::Going(going)) = objects.delete(&bound, &options, now()) else { panic!("gone at once") };
    assert_eq!(going.value()["metadata"]["deletionTimestamp"], "2026-01-01T10:00:30Z");
    assert!(matches!(objects.delete(&bound, &options, now()), Ok(Deleted::Going(_))));
    assert!(matches!(objects.delete(&bound, &DeleteOptions::now(), now()), Ok(Deleted::Gone(_))));
}

#[test]
fn what_is_written_reads_back_whatever_its_keys_are() {
    let value = json!({"kind": "Odd", "apiVersion": "v1", "a \"quoted\" \\ key\n": {"b\"": ["\u{1b}", null, 1.5]}, "": true});
    let written = encode(&value);
    assert!(written.starts_with(br#"{"apiVersion":"v1","kind":"Odd","#));
    assert_eq!(serde_json::from_slice::<Value>(&written).unwrap(), value);
}
