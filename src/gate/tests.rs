use serde_json::json;

use super::*;
use crate::audit::{Audit, Intent, Who};

struct World(Option<Value>);

impl Witness for World {
    async fn look(&self, _object: &ObjectRef) -> Result<Option<Value>, String> {
        Ok(self.0.clone())
    }

    async fn may(&self, _access: &Access) -> Result<Result<(), String>, String> {
        Ok(Ok(()))
    }
}

fn node(name: &str) -> ObjectRef {
    ObjectRef {
        context: Context::new("test"),
        resource: Resource::new("", "nodes"),
        namespace: None,
        name: name.into(),
    }
}

fn question() -> Question {
    let target = Target { object: node("n-1"), uid: "u-1".into(), resource_version: "7".into() };
    let facts = [("/spec/unschedulable", "whether it is unschedulable")];
    let document = json!({ "metadata": { "uid": "u-1" }, "spec": { "unschedulable": null } });
    Question {
        id: "q-1".to_owned(),
        expires: "2026-01-05T12:05:00Z".parse().unwrap(),
        basis: vec![Basis::new(target, &document, &facts, vec![Access::to("patch", &node("n-1"))])],
        confirmation: Confirmation::Yes,
        stops: Vec::new(),
        pending: false,
        claims: Claims::default(),
    }
}

fn admission() -> Admission {
    let rules = Rules {
        context: Context::new("test"),
        environment: "dev".to_owned(),
        protected: false,
        readonly: None,
        guard: Vec::new(),
    };
    let now = "2026-01-05T12:00:00Z".parse().unwrap();
    Gate::new(rules).answer(question(), &Answer::Yes, now).unwrap()
}

async fn begun(directory: &std::path::Path) -> Begun {
    let intent = Intent {
        context: Context::new("test"),
        environment: "dev".to_owned(),
        protected: false,
        verb: "cordon".to_owned(),
        targets: Vec::new(),
        title: String::new(),
        options: Value::Null,
        who: Who { server: "a".to_owned(), local: "a".to_owned() },
        reason: String::new(),
        confirmation: "yes".to_owned(),
        checks: Vec::new(),
        command: String::new(),
        holds: Vec::new(),
        changes: Vec::new(),
        undoes: None,
        tenant: None,
        rule: None,
    };
    let now = "2026-01-05T12:00:00Z".parse().unwrap();
    Audit::at(directory.join("audit.jsonl")).begin("q-1", intent, now).await.unwrap()
}

fn seen(uid: &str, unschedulable: Value) -> World {
    World(Some(json!({ "metadata": { "uid": uid }, "spec": { "unschedulable": unschedulable } })))
}

#[tokio::test]
async fn a_permit_covers_its_object_and_no_other() {
    let state = tempfile::tempdir().unwrap();
    let record = begun(state.path()).await;
    let admission = admission();
    let (permit, _) = admission.permit(&node("n-1"), &record, &seen("u-1", Value::Null)).await.unwrap();
    assert!(permit.covers(&node("n-1")) && !permit.covers(&node("n-2")));
    assert_eq!(permit.uid(), "u-1");
    let refusal = admission.permit(&node("n-2"), &record, &seen("u-1", Value::Null)).await.unwrap_err();
    assert!(matches!(refusal, Refusal::Foreign(_)));
}

#[tokio::test]
async fn a_fact_that_is_different_refuses_and_what_we_wrote_ourselves_is_the_new_fact() {
    let state = tempfile::tempdir().unwrap();
    let record = begun(state.path()).await;
    let mut admission = admission();
    let cordoned = seen("u-1", json!(true));
    let refusal = admission.permit(&node("n-1"), &record, &cordoned).await.unwrap_err();
    assert_eq!(
        refusal.to_string(),
        "nodes n-1 has changed since the question: whether it is unschedulable is now true; ask again"
    );
    let (permit, _) = admission.permit(&node("n-1"), &record, &seen("u-1", Value::Null)).await.unwrap();
    admission.wrote(permit, cordoned.0.as_ref().unwrap());
    admission.permit(&node("n-1"), &record, &cordoned).await.unwrap();
}

#[test]
fn an_absent_field_and_a_null_are_the_same_fact() {
    assert_eq!(digest(None), digest(Some(&Value::Null)));
    assert_ne!(digest(None), digest(Some(&json!(false))));
    // Equal objects have equal digests, however their members were ordered on the wire.
    let one: Value = serde_json::from_str(r#"{"a":1,"b":{"c":2,"d":3}}"#).unwrap();
    let other: Value = serde_json::from_str(r#"{"b":{"d":3,"c":2},"a":1}"#).unwrap();
    assert_eq!(digest(Some(&one)), digest(Some(&other)));
}

#[test]
fn a_refusal_tells_scalars_and_hides_what_is_long() {
    assert_eq!(brief(None), "absent");
    assert_eq!(brief(Some(&json!("Running"))), "Running");
    assert_eq!(brief(Some(&json!({ "helm": { "values": "secret" } }))), "different");
    assert_eq!(brief(Some(&json!("x".repeat(61)))), "different");
}
