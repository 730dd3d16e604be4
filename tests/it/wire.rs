//! The embedded platform on the wire, where kubectl does not look closely: the answers that a console depends on.

use std::time::Duration;

use http::Request;
use http_body_util::BodyExt;
use kube::client::Body;
use kube::config::{KubeConfigOptions, Kubeconfig};
use opsdeck::demo::objects::{HISTORY, Key};
use opsdeck::demo::types::Type;
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::cluster::Cluster;
use crate::poll;

const TABLE: &str = "application/json;as=Table;v=v1;g=meta.k8s.io";

/// A client that sends requests as they are and shows answers as they come.
struct Wire {
    cluster: Cluster,
    client: kube::Client,
}

struct Reply {
    code: u16,
    headers: http::HeaderMap,
    text: String,
}

impl Reply {
    #[track_caller]
    fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {}", self.text))
    }

    #[track_caller]
    fn refused(&self, code: u16, reason: &str) -> Value {
        let value = self.json();
        assert_eq!(self.code, code, "{value}");
        assert_eq!((&value["kind"], &value["status"]), (&json!("Status"), &json!("Failure")));
        assert_eq!((&value["code"], &value["reason"]), (&json!(code), &json!(reason)), "{value}");
        value
    }
}

impl Wire {
    async fn start() -> Self {
        let cluster = Cluster::start().await;
        let file = Kubeconfig::read_from(cluster.kubeconfig()).unwrap();
        let options = KubeConfigOptions::default();
        let mut config = kube::Config::from_custom_kubeconfig(file, &options).await.unwrap();
        config.default_retry = false;
        Self { client: kube::Client::try_from(config).unwrap(), cluster }
    }

    async fn open(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &Value,
    ) -> http::Response<Body> {
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let bytes = if body.is_null() { Vec::new() } else { serde_json::to_vec(body).unwrap() };
        let answer = self.client.send(request.body(Body::from(bytes)).unwrap());
        timeout(Duration::from_secs(30), answer).await.unwrap().unwrap()
    }

    async fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)], body: Value) -> Reply {
        let answer = self.open(method, path, headers, &body).await;
        let (parts, body) = answer.into_parts();
        let bytes = timeout(Duration::from_secs(30), body.collect()).await.unwrap().unwrap().to_bytes();
        Reply {
            code: parts.status.as_u16(),
            headers: parts.headers,
            text: String::from_utf8_lossy(&bytes).into_owned(),
        }
    }

    /// Waits until there is nothing at a path any more.
    async fn gone(&self, path: &str) {
        poll::until(Duration::from_secs(20), async || match self.get(path).await.code {
            404 => Ok(()),
            code => Err(format!("{path} answers {code}")),
        })
        .await;
    }

    async fn get(&self, path: &str) -> Reply {
        self.ask("GET", path, &[], Value::Null).await
    }

    async fn post(&self, path: &str, body: Value) -> Reply {
        self.ask("POST", path, &[("content-type", "application/json")], body).await
    }

    async fn patch(&self, path: &str, kind: &str, body: Value) -> Reply {
        let media = format!("application/{kind}+json");
        self.ask("PATCH", path, &[("content-type", &media)], body).await
    }

    /// Reads frames of a watch until it ends.
    async fn frames(&self, path: &str, headers: &[(&str, &str)]) -> Vec<Value> {
        let reply = self.ask("GET", path, headers, Value::Null).await;
        assert_eq!(reply.code, 200, "{}", reply.text);
        reply.text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// Writes so often that the history forgets what was.
    async fn forget(&self) {
        self.post("/api/v1/namespaces/default/configmaps", json!({"metadata": {"name": "busy"}})).await;
        self.cluster
            .running
            .handle
            .call(|world, now| {
                let key = Key::new(Type::ConfigMap, "default", "busy");
                for turn in 0..=HISTORY {
                    let write = |value: &mut Value| value["data"] = json!({"turn": turn.to_string()});
                    world.objects.modify(&key, now, write).unwrap();
                }
            })
            .await
            .unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_show_one_state_until_the_history_has_forgotten_it() {
    let wire = Wire::start().await;
    for name in ["a", "b", "c", "d"] {
        let made = json!({"metadata": {"name": name, "labels": {"set": "x"}}});
        assert_eq!(wire.post("/api/v1/namespaces/kube-public/configmaps", made).await.code, 201);
    }
    let list = "/api/v1/namespaces/kube-public/configmaps";
    let first = wire.get(&format!("{list}?limit=1")).await.json();
    assert_eq!(first["items"][0]["metadata"]["name"], "a");
    assert_eq!(first["items"][0].get("kind"), None, "items of built-in lists do not repeat their kind");
    assert!(first["metadata"]["remainingItemCount"].as_u64().unwrap() >= 3);
    let token = first["metadata"]["continue"].as_str().unwrap();
    wire.ask("DELETE", &format!("{list}/b"), &[], Value::Null).await;
    let made = json!({"metadata": {"name": "bb"}});
    wire.post(list, made).await;
    let second = wire.get(&format!("{list}?limit=2&continue={token}")).await.json();
    assert_eq!(second["metadata"]["resourceVersion"], first["metadata"]["resourceVersion"]);
    let names: Vec<&str> = second["items"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|item| item["metadata"]["name"].as_str())
        .collect();
    assert_eq!(names, ["b", "c"], "the state of the first page goes on");
    let left = |page: &Value| page["metadata"]["remainingItemCount"].as_u64();
    assert_eq!(left(&first), left(&second).map(|left| left + 2), "later pages count down from the first");
    let exact = first["metadata"]["resourceVersion"].as_str().unwrap();
    let then = wire.get(&format!("{list}?resourceVersion={exact}&resourceVersionMatch=Exact")).await.json();
    assert_eq!(then["items"][1]["metadata"]["name"], "b");
    let selected = wire.get(&format!("{list}?limit=1&labelSelector=set%3Dx")).await.json();
    assert!(selected["metadata"]["continue"].is_string());
    assert_eq!(selected["metadata"].get("remainingItemCount"), None, "behind a selector nobody counts");

    wire.get(&format!("{list}?limit=1&continue=rubbish")).await.refused(400, "BadRequest");
    wire.get(&format!("{list}?limit=1&continue={token}&resourceVersion=7")).await.refused(400, "BadRequest");
    wire.get(&format!("{list}?labelSelector=a%20b")).await.refused(400, "BadRequest");
    let future = wire.get(&format!("{list}?resourceVersion=99999999")).await.refused(504, "Timeout");
    assert_eq!(future["details"]["causes"][0]["reason"], "ResourceVersionTooLarge");

    wire.forget().await;
    let expired = wire.get(&format!("{list}?limit=2&continue={token}")).await.refused(410, "Expired");
    let resume = expired["metadata"]["continue"].as_str().unwrap();
    let rest = wire.get(&format!("{list}?continue={resume}")).await.json();
    assert_eq!(rest["items"][0]["metadata"]["name"], "bb", "what is there now, after the first page");
    wire.get(&format!("{list}?resourceVersion={exact}&resourceVersionMatch=Exact"))
        .await
        .refused(410, "Expired");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn watches_resume_mark_their_place_and_say_when_it_is_too_late() {
    let wire = Wire::start().await;
    let list = "/api/v1/namespaces/kube-public/configmaps";
    let start = wire.get(list).await.json()["metadata"]["resourceVersion"].as_str().unwrap().to_owned();
    let made = json!({"metadata": {"name": "a", "labels": {"set": "x"}}});
    wire.post(list, made).await;
    wire.patch(&format!("{list}/a"), "merge-patch", json!({"data": {"k": "v"}})).await;
    wire.patch(&format!("{list}/a"), "merge-patch", json!({"metadata": {"labels": {"set": "y"}}})).await;
    let kinds = |frames: &[Value]| -> Vec<String> {
        frames.iter().map(|frame| frame["type"].as_str().unwrap().to_owned()).collect()
    };
    let watch = format!("{list}?watch=1&timeoutSeconds=1&resourceVersion={start}");
    let frames = wire.frames(&format!("{watch}&allowWatchBookmarks=true"), &[]).await;
    assert_eq!(kinds(&frames), ["ADDED", "MODIFIED", "MODIFIED", "BOOKMARK"]);
    assert_eq!(frames[0]["object"]["kind"], "ConfigMap", "objects of a watch are whole");
    let mark = &frames[3]["object"];
    assert!(mark["metadata"]["resourceVersion"].is_string() && mark.get("data").is_none());
    // Who leaves the selection is gone for those who watch it.
    let selected = wire.frames(&format!("{watch}&labelSelector=set%3Dx"), &[]).await;
    assert_eq!(kinds(&selected), ["ADDED", "MODIFIED", "DELETED"]);
    let table = wire.frames(&watch, &[("accept", TABLE)]).await;
    assert_eq!(table[0]["object"]["kind"], "Table");
    assert!(table[0]["object"]["columnDefinitions"].is_array());
    assert!(table[1]["object"]["columnDefinitions"].is_null(), "only the first frame has the columns");

    let streaming =
        format!("{list}?watch=1&timeoutSeconds=1&sendInitialEvents=true&allowWatchBookmarks=true");
    wire.get(&streaming).await.refused(422, "Invalid");
    let frames = wire.frames(&format!("{streaming}&resourceVersionMatch=NotOlderThan"), &[]).await;
    let end = frames.iter().position(|frame| frame["type"] == "BOOKMARK").unwrap();
    assert!(frames[..end].iter().all(|frame| frame["type"] == "ADDED") && end > 0);
    assert_eq!(frames[end]["object"]["metadata"]["annotations"]["k8s.io/initial-events-end"], "true");

    wire.forget().await;
    let late = wire.frames(&watch, &[]).await;
    assert_eq!(kinds(&late), ["ERROR"], "with HTTP 200");
    assert_eq!((&late[0]["object"]["code"], &late[0]["object"]["reason"]), (&json!(410), &json!("Expired")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writes_are_refused_with_the_reason_that_clients_look_for() {
    let wire = Wire::start().await;
    let apps = "/apis/argoproj.io/v1alpha1/namespaces/argocd/applications";
    let app = json!({"metadata": {"name": "shop"}, "nonsense": 1,
        "spec": {"project": "default", "destination": {"namespace": "tenant-1"}}, "status": {"sync": {"status": "Synced"}}});
    let made = wire.post(apps, app.clone()).await;
    assert_eq!(
        (made.code, &made.json()["status"]["sync"]["status"]),
        (201, &json!("Synced")),
        "status is kept"
    );
    assert_eq!(made.headers["warning"], "299 - \"unknown field \\\"nonsense\\\"\"");
    wire.post(apps, app).await.refused(409, "AlreadyExists");
    let path = format!("{apps}/shop");
    let revision = made.json()["metadata"]["resourceVersion"].clone();
    let moved = wire.patch(&path, "merge-patch", json!({"metadata": {"labels": {"a": "b"}}})).await;
    assert_eq!(moved.code, 200);
    let stale = json!({"metadata": {"resourceVersion": revision}, "spec": {"project": "p"}});
    wire.patch(&path, "merge-patch", stale.clone()).await.refused(409, "Conflict");
    let mut whole = moved.json();
    whole["metadata"]["resourceVersion"] = revision;
    let put = wire.ask("PUT", &path, &[("content-type", "application/json")], whole.clone()).await;
    put.refused(409, "Conflict");
    whole["metadata"].as_object_mut().unwrap().remove("resourceVersion");
    let put = wire.ask("PUT", &path, &[("content-type", "application/json")], whole).await;
    assert!(
        put.refused(422, "Invalid")["message"].as_str().unwrap().contains("must be specified for an update")
    );
    let failed = json!([{"op": "test", "path": "/spec/project", "value": "other"}]);
    wire.patch(&path, "json-patch", failed).await.refused(422, "Invalid");
    wire.patch(&path, "strategic-merge-patch", json!({})).await.refused(415, "UnsupportedMediaType");
    let dry =
        wire.patch(&format!("{path}?dryRun=All"), "merge-patch", json!({"spec": {"project": "dry"}})).await;
    assert_eq!(dry.json()["spec"]["project"], "dry");
    assert_eq!(wire.get(&path).await.json()["spec"]["project"], "default");

    for nowhere in
        [format!("{path}/status"), "/api/v1/gadgets".to_owned(), "/apis/x.example/v1/ys".to_owned()]
    {
        let reply = wire.get(&nowhere).await;
        assert_eq!((reply.code, reply.text.trim()), (404, "404 page not found"), "{nowhere}");
        assert!(reply.headers["content-type"].to_str().unwrap().starts_with("text/plain"));
    }
    wire.get(&format!("{apps}/nobody")).await.refused(404, "NotFound");
    let body = json!({"preconditions": {"uid": "another"}});
    let json_body = [("content-type", "application/json")];
    wire.ask("DELETE", &path, &json_body, body).await.refused(409, "Conflict");
    let gone = wire.ask("DELETE", &path, &[], Value::Null).await.json();
    assert_eq!((&gone["kind"], &gone["status"]), (&json!("Status"), &json!("Success")));

    let nested = json!({"metadata": {"name": "x", "labels": {"a": {"b": "c"}}}});
    assert_eq!(wire.post("/api/v1/namespaces/default/configmaps", nested).await.code, 400);
    let nowhere = json!({"metadata": {"name": "x"}});
    wire.post("/api/v1/namespaces/nowhere/configmaps", nowhere).await.refused(404, "NotFound");
    let unnamed = wire.post("/api/v1/namespaces/default/configmaps", json!({"metadata": {}})).await;
    unnamed.refused(422, "Invalid");
    let bad =
        wire.post("/api/v1/namespaces/default/configmaps", json!({"metadata": {"name": "Bad_Name"}})).await;
    assert!(bad.refused(422, "Invalid")["message"].as_str().unwrap().contains("RFC 1123"));
    let strict = "/apis/apps/v1/namespaces/default/deployments?fieldValidation=Strict";
    let typo = json!({"metadata": {"name": "x"}, "spec": {"replicsa": 1, "selector": {"matchLabels": {"a": "b"}},
        "template": {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}}});
    let typo = wire.post(strict, typo).await.refused(400, "BadRequest");
    assert!(typo["message"].as_str().unwrap().contains("unknown field \"spec.replicsa\""), "{typo}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn evictions_are_answered_as_the_budgets_stand() {
    let wire = Wire::start().await;
    let space = "/api/v1/namespaces/tenant-1/pods";
    let list = wire.get(&format!("{space}?labelSelector=app.kubernetes.io%2Fname%3Dcheckout")).await.json();
    let pod = &list["items"][0];
    let name = pod["metadata"]["name"].as_str().unwrap();
    let evict = |options: Value, name: &str| json!({"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": name, "namespace": "tenant-1"}, "deleteOptions": options});
    let path = format!("{space}/{name}/eviction");
    wire.post(&path, evict(json!({}), "another")).await.refused(400, "BadRequest");
    let mismatch = json!({"preconditions": {"uid": "another"}});
    wire.post(&path, evict(mismatch, name)).await.refused(409, "Conflict");
    wire.post(&format!("{space}/nobody/eviction"), evict(json!({}), "nobody")).await.refused(404, "NotFound");

    // Budgets over the same pods: first those that are there go.
    let budgets = "/apis/policy/v1/namespaces/tenant-1/poddisruptionbudgets";
    wire.ask("DELETE", budgets, &[], Value::Null).await;
    let labels = json!({"app.kubernetes.io/name": "checkout"});
    let budget = |name: &str| json!({"metadata": {"name": name}, "spec": {"minAvailable": "100%", "selector": {"matchLabels": labels}}});
    assert_eq!(wire.post(budgets, budget("all")).await.code, 201);
    poll::until(Duration::from_secs(20), async || {
        let status = wire.get(&format!("{budgets}/all")).await.json()["status"].clone();
        if status["observedGeneration"] == 1 { Ok(()) } else { Err(status.to_string()) }
    })
    .await;
    let refused = wire.post(&path, evict(json!({}), name)).await;
    assert!(
        !refused.headers.contains_key("retry-after"),
        "a budget that has no room does not say when it will"
    );
    let status = refused.refused(429, "TooManyRequests");
    assert_eq!(status["details"]["causes"][0]["reason"], "DisruptionBudget");
    assert_eq!(status["message"], "Cannot evict pod as it would violate the pod's disruption budget.");
    let message = status["details"]["causes"][0]["message"].as_str().unwrap();
    assert!(
        message.starts_with("The disruption budget all needs ") && message.ends_with(" currently"),
        "{message}"
    );

    assert_eq!(wire.post(budgets, budget("again")).await.code, 201);
    wire.post(&path, evict(json!({}), name)).await.refused(500, "InternalError");
    wire.ask("DELETE", budgets, &[], Value::Null).await;
    let dry = wire.post(&path, evict(json!({"dryRun": ["All"]}), name)).await;
    assert_eq!((dry.code, &dry.json()["status"]), (201, &json!("Success")));
    assert!(wire.get(&format!("{space}/{name}")).await.json()["metadata"].get("deletionTimestamp").is_none());
    assert_eq!(wire.post(&path, evict(json!({}), name)).await.code, 201);
    let going = wire.get(&format!("{space}/{name}")).await;
    if going.code == 200 {
        let value = going.json();
        assert!(value["metadata"]["deletionTimestamp"].is_string());
        let conditions = value["status"]["conditions"].as_array().unwrap();
        let target = conditions.iter().find(|condition| condition["type"] == "DisruptionTarget").unwrap();
        assert_eq!(target["reason"], "EvictionByEvictionAPI");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn logs_reviews_and_other_forms_answer_as_the_contracts_say() {
    let wire = Wire::start().await;
    let space = "/api/v1/namespaces/tenant-1/pods";
    let list = wire.get(&format!("{space}?labelSelector=app.kubernetes.io%2Fname%3Dcheckout")).await.json();
    let name = list["items"][0]["metadata"]["name"].as_str().unwrap();
    let log = format!("{space}/{name}/log");
    wire.get(&format!("{log}?container=checkout&sinceSeconds=5&sinceTime=2026-01-01T00:00:00Z"))
        .await
        .refused(422, "Invalid");
    let choice = wire.get(&log).await.refused(400, "BadRequest");
    assert!(choice["message"].as_str().unwrap().contains("choose one of: [checkout proxy]"), "{choice}");
    let limited = wire.get(&format!("{log}?container=checkout&limitBytes=10")).await;
    assert_eq!((limited.code, limited.text.len()), (200, 10));
    let greedy = json!({"metadata": {"name": "greedy"}, "spec": {"containers": [
        {"name": "c", "image": "i", "resources": {"requests": {"cpu": "9000", "memory": "1Gi"}}}]}});
    let over = wire.post(space, greedy).await.refused(403, "Forbidden");
    assert!(over["message"].as_str().unwrap().contains("exceeded quota: "), "{over}");
    let lonely = json!({"metadata": {"name": "lonely"},
        "spec": {"nodeSelector": {"nowhere": "true"}, "containers": [{"name": "c", "image": "registry.example.com/x:1"}]}});
    assert_eq!(wire.post(space, lonely).await.code, 201);
    let empty = wire.get(&format!("{space}/lonely/log")).await;
    assert_eq!(
        (empty.code, empty.text.as_str()),
        (204, ""),
        "a pod that was not placed has no log and no error"
    );

    let metadata = "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io";
    let slim = wire.ask("GET", space, &[("accept", metadata)], Value::Null).await.json();
    assert_eq!(slim["kind"], "PartialObjectMetadataList");
    assert!(slim["items"][0]["metadata"]["uid"].is_string() && slim["items"][0].get("spec").is_none());
    let table = wire.ask("GET", space, &[("accept", TABLE)], Value::Null).await.json();
    assert_eq!(table["rows"][0]["object"]["kind"], "PartialObjectMetadata");
    assert_eq!(table["columnDefinitions"][3]["name"], "Restarts");
    let aggregated = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";
    let groups = wire.ask("GET", "/apis", &[("accept", aggregated)], Value::Null).await.json();
    assert_eq!(groups["kind"], "APIGroupDiscoveryList");

    let review = json!({"spec": {"resourceAttributes": {"verb": "create", "resource": "pods", "subresource": "eviction", "namespace": "tenant-1"}}});
    let review = wire.post("/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", review).await;
    assert_eq!((review.code, &review.json()["status"]["allowed"]), (201, &json!(true)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn owners_take_what_they_own_along_and_namespaces_empty_themselves() {
    let wire = Wire::start().await;
    let maps = "/api/v1/namespaces/kube-public/configmaps";
    let owner = wire.post(maps, json!({"metadata": {"name": "owner"}})).await.json();
    let reference = json!([{"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": owner["metadata"]["uid"], "blockOwnerDeletion": true}]);
    let child = |name: &str| json!({"metadata": {"name": name, "ownerReferences": reference, "finalizers": ["example.com/hold"]}});
    wire.post(maps, child("held")).await;
    let json_body = [("content-type", "application/json")];
    let foreground = json!({"propagationPolicy": "Foreground"});
    let going = wire.ask("DELETE", &format!("{maps}/owner"), &json_body, foreground).await.json();
    assert_eq!(going["metadata"]["finalizers"], json!(["foregroundDeletion"]));
    assert!(wire.get(&format!("{maps}/held")).await.json()["metadata"]["deletionTimestamp"].is_string());
    assert_eq!(wire.get(&format!("{maps}/owner")).await.code, 200, "it waits for what it owns");
    wire.patch(&format!("{maps}/held"), "merge-patch", json!({"metadata": {"finalizers": null}})).await;
    wire.gone(&format!("{maps}/owner")).await;
    wire.get(&format!("{maps}/held")).await.refused(404, "NotFound");

    wire.post("/api/v1/namespaces", json!({"metadata": {"name": "brief"}})).await;
    let made = wire.get("/api/v1/namespaces/brief").await.json();
    assert_eq!(made["metadata"]["labels"]["kubernetes.io/metadata.name"], "brief");
    let kept = json!({"metadata": {"name": "kept", "finalizers": ["example.com/hold"]}});
    wire.post("/api/v1/namespaces/brief/configmaps", kept).await;
    let going = wire.ask("DELETE", "/api/v1/namespaces/brief", &[], Value::Null).await.json();
    assert_eq!(going["status"]["phase"], "Terminating");
    let late = wire.post("/api/v1/namespaces/brief/configmaps", json!({"metadata": {"name": "late"}})).await;
    let late = late.refused(403, "Forbidden");
    assert_eq!(late["details"]["causes"][0]["reason"], "NamespaceTerminating");
    let release = json!({"metadata": {"finalizers": null}});
    wire.patch("/api/v1/namespaces/brief/configmaps/kept", "merge-patch", release).await;
    wire.gone("/api/v1/namespaces/brief").await;
}
