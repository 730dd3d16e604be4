use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::application::{App, HELD};
use super::*;
use crate::audit::{Audit, Event, Record};
use crate::clock::Clock;
use crate::gate::Rules;
use crate::identity::Context;
use crate::sources::git::{Git, GitSettings};

mod closing;
mod cluster;
mod drains;
mod faults;
mod gate;
mod git_faults;
mod planning;
mod pushing;
mod renewals;
mod repositories;
mod rotations;
mod running;
mod silences;
mod undoing;
mod workloads;

use cluster::{Cluster, Fault, object};

/// Everything that one test needs.
struct Bench {
    cluster: Cluster,
    desk: Desk<Cluster>,
    gate: Gate,
    _state: TempDir,
}

fn noon() -> Timestamp {
    "2026-01-05T12:00:00Z".parse().unwrap()
}

fn rules() -> Rules {
    Rules {
        context: Context::new("test"),
        environment: "dev".to_owned(),
        protected: false,
        readonly: None,
        guard: Vec::new(),
    }
}

/// The label that names the tenant of a namespace, and nothing else.
fn tenant_rules() -> crate::model::tenants::Rules {
    crate::model::tenants::Rules {
        namespace_labels: vec!["tenant".to_owned()],
        ..crate::model::tenants::Rules::default()
    }
}

impl Bench {
    fn new() -> Self {
        Self::under(rules())
    }

    fn under(rules: Rules) -> Self {
        let state = TempDir::new().unwrap();
        let cluster = Cluster::default();
        let desk = Desk {
            remote: cluster.clone(),
            rules: rules.clone(),
            clock: Clock::manual(noon()),
            audit: Audit::at(state.path().join("audit.jsonl")),
            local_user: "alice on laptop".to_owned(),
            pace: Pace {
                look: Duration::from_millis(1),
                retry: Duration::from_millis(1),
                target: Duration::from_mins(2),
                limit: Duration::from_millis(500),
                refused: Duration::from_millis(2),
                drain: Duration::from_millis(500),
            },
            git: Git::new(state.path().join("git"), GitSettings::default()),
            silence_share: 50,
            tenants: tenant_rules(),
        };
        Self { cluster, desk, gate: Gate::new(rules), _state: state }
    }

    async fn request(&self, verb: Verb, object: &ObjectRef, options: Options) -> Request {
        let target = resolve(&self.desk, object).await.unwrap();
        Request {
            verb,
            targets: vec![target],
            options,
            reason: "INC-7".to_owned(),
            tenant: Some("tenant-2".to_owned()),
        }
    }

    async fn plan(&self, verb: Verb, object: &ObjectRef, options: Options) -> Plan {
        self.plan_of(self.request(verb, object, options).await).await
    }

    async fn plan_of(&self, request: Request) -> Plan {
        let (drafts, _kept) = mpsc::channel(64);
        plan(&self.desk, request, &drafts).await
    }

    async fn run(&self, confirmed: Confirmed) -> Outcome {
        let (progress, _kept) = mpsc::channel(64);
        carry_out(&self.desk, confirmed, Follow::ToTheEnd, &progress, &CancellationToken::new()).await
    }

    /// Plans, says yes, and runs.
    #[track_caller]
    fn confirm(&mut self, plan: Plan) -> Confirmed {
        let answer = match &plan.confirmation {
            Confirmation::Yes => Answer::Yes,
            Confirmation::Type(name) => Answer::Typed(name.clone()),
        };
        confirm(&mut self.gate, plan, answer, self.desk.clock.now()).unwrap()
    }

    async fn act(&mut self, verb: Verb, object: &ObjectRef, options: Options) -> Outcome {
        let plan = self.plan(verb, object, options).await;
        assert!(plan.can_run(), "{:#?}", plan.lines);
        let confirmed = self.confirm(plan);
        self.run(confirmed).await
    }

    fn records(&self) -> Vec<Record> {
        self.desk.audit.verify().unwrap().unwrap();
        self.desk.audit.read(None).unwrap().records
    }
}

/// The Application of most tests.
fn checkout() -> ObjectRef {
    object("argoproj.io", "applications", "argocd", "checkout")
}

fn project() -> ObjectRef {
    object("argoproj.io", "appprojects", "argocd", "tenant-2")
}

/// An Application with two deployments behind it, auto-sync on with prune and self-heal.
fn application() -> Value {
    let source = json!({ "repoURL": "https://git.example/tenants", "path": "tenant-2/checkout", "targetRevision": "main" });
    json!({
        "kind": "Application",
        "spec": {
            "project": "tenant-2",
            "source": source,
            "destination": { "server": "https://kubernetes.default.svc", "namespace": "tenant-2" },
            "syncPolicy": { "automated": { "prune": true, "selfHeal": true }, "syncOptions": ["ServerSideApply=true"] },
        },
        "status": {
            "sync": { "status": "Synced", "revision": "bbb" },
            "health": { "status": "Degraded" },
            "reconciledAt": "2026-01-05T11:58:00Z",
            "history": [
                { "id": 41, "revision": "aaa", "source": source, "deployedAt": "2026-01-05T10:00:00Z",
                  "initiatedBy": { "username": "ci-bot" } },
                { "id": 42, "revision": "bbb", "source": source, "deployedAt": "2026-01-05T11:49:00Z",
                  "initiatedBy": { "automated": true } },
            ],
            "operationState": { "phase": "Succeeded", "startedAt": "2026-01-05T11:48:00Z", "syncResult": {
                "revision": "bbb", "resources": [
                    { "kind": "ConfigMap", "name": "checkout-env", "namespace": "tenant-2", "message": "configmap/checkout-env configured" },
                    { "group": "batch", "kind": "Job", "name": "migrate-db", "hookType": "PreSync", "hookPhase": "Succeeded" } ] } },
            "resources": [{ "group": "apps", "kind": "Deployment", "namespace": "tenant-2", "name": "checkout", "status": "Synced" }],
        },
    })
}

fn deployment() -> ObjectRef {
    object("apps", "deployments", "tenant-2", "checkout")
}

fn template(tag: &str) -> Value {
    json!({ "spec": { "containers": [{ "name": "app", "image": format!("registry.example/checkout:{tag}") }] } })
}

/// Puts the Application, its project and its workload there.
async fn tenant(cluster: &Cluster, application: Value) {
    cluster.put(&checkout(), application).await;
    cluster.put(&project(), json!({ "spec": {} })).await;
    cluster
        .put(&deployment(), json!({
            "metadata": { "uid": "d-1" },
            "spec": { "replicas": 2, "template": template("1.8.0") },
            "status": { "observedGeneration": 1, "replicas": 2, "updatedReplicas": 2, "availableReplicas": 2 },
        }))
        .await;
    for (name, tag, created) in
        [("checkout-a", "1.7.4", "2026-01-05T09:59:50Z"), ("checkout-b", "1.8.0", "2026-01-05T11:48:30Z")]
    {
        let set = object("apps", "replicasets", "tenant-2", name);
        let owners = json!([{ "kind": "Deployment", "name": "checkout", "uid": "d-1", "controller": true }]);
        cluster
            .put(
                &set,
                json!({
                    "metadata": { "creationTimestamp": created, "ownerReferences": owners },
                    "spec": { "template": template(tag) },
                }),
            )
            .await;
    }
}

fn back_to_41() -> Options {
    Options { history_id: Some(41), ..Options::default() }
}

/// One object for every verb, in the state in which the verb makes sense.
async fn something_for(cluster: &Cluster, verb: Verb) -> (ObjectRef, Options) {
    match verb {
        Verb::Refresh | Verb::HardRefresh | Verb::Sync | Verb::HoldAutosync => {
            tenant(cluster, application()).await;
            (checkout(), Options::default())
        }
        Verb::Rollback => {
            tenant(cluster, application()).await;
            (checkout(), back_to_41())
        }
        Verb::Revert | Verb::Promote => {
            let at = cluster.folder().await.join("origin.git");
            if !at.exists() {
                repositories::application_from(cluster, &at).await;
            }
            (checkout(), Options::default())
        }
        Verb::Terminate => {
            let mut running = application();
            running["operation"] = json!({ "sync": {} });
            running["status"]["operationState"] =
                json!({ "phase": "Running", "startedAt": "2026-01-05T11:59:00Z" });
            tenant(cluster, running).await;
            (checkout(), Options::default())
        }
        Verb::ReleaseAutosync => {
            let mut held = application();
            held["spec"]["syncPolicy"]["automated"]["enabled"] = json!(false);
            tenant(cluster, held).await;
            (checkout(), Options::default())
        }
        Verb::DeletePod => {
            let pod = object("", "pods", "tenant-2", "checkout-b-1");
            cluster.put(&pod, json!({ "spec": { "nodeName": "n-1" } })).await;
            (pod, Options::default())
        }
        Verb::Restart => {
            tenant(cluster, application()).await;
            (deployment(), Options::default())
        }
        Verb::Scale
        | Verb::RolloutUndo
        | Verb::Pause
        | Verb::Suspend
        | Verb::Resume
        | Verb::SetImage
        | Verb::SetBounds
        | Verb::RunJob
        | Verb::Edit
        | Verb::Delete
        | Verb::ForceDelete => workloads::something(cluster, verb).await,
        Verb::Cordon | Verb::Uncordon => {
            let node = object("", "nodes", "", "n-1");
            let spec = if verb == Verb::Uncordon { json!({ "unschedulable": true }) } else { json!({}) };
            cluster.put(&node, json!({ "spec": spec })).await;
            (node, Options::default())
        }
        Verb::Drain => {
            let node = drains::node(cluster, "n-1").await;
            drains::pod(cluster, "n-1", "checkout-b-1").await;
            (node, Options::default())
        }
        Verb::Protect | Verb::Unprotect => {
            let node = drains::node(cluster, "n-1").await;
            if verb == Verb::Unprotect {
                let annotations = json!({ "karpenter.sh/do-not-disrupt": "true" });
                cluster.change(&node, json!({ "metadata": { "annotations": annotations } })).await;
            }
            (node, Options::default())
        }
        Verb::DeleteNodeclaim => {
            drains::node(cluster, "n-1").await;
            drains::pod(cluster, "n-1", "checkout-b-1").await;
            (drains::claim(cluster, "default-1", "n-1").await, Options::default())
        }
        Verb::Renew => {
            let certificate = object("cert-manager.io", "certificates", "tenant-2", "checkout-tls");
            let document = json!({
                "spec": { "secretName": "checkout-tls", "dnsNames": ["shop.example.com"],
                          "issuerRef": { "kind": "ClusterIssuer", "name": "letsencrypt" } },
                "status": { "revision": 4, "notAfter": "2026-01-08T12:00:00Z", "conditions": [
                    { "type": "Ready", "status": "True", "reason": "Ready" }] },
            });
            cluster.put(&certificate, document).await;
            let issuer = object("cert-manager.io", "clusterissuers", "", "letsencrypt");
            let ready = json!([{ "type": "Ready", "status": "True" }]);
            cluster.put(&issuer, json!({ "status": { "conditions": ready } })).await;
            (certificate, Options::default())
        }
        Verb::Silence => {
            (alert(cluster, "HighErrorRate", "f1").await, Options { minutes: Some(60), ..Options::default() })
        }
        Verb::ExtendSilence | Verb::ExpireSilence => {
            let silence = object("signals", "silences", "", "s1");
            cluster.put(&silence, silence_document()).await;
            (silence, Options { minutes: Some(60), ..Options::default() })
        }
        Verb::Rotate | Verb::ResumeRotation | Verb::RestoreSecret | Verb::RefreshSecret => {
            (rotations::external(cluster).await, Options::default())
        }
        Verb::Reveal => (rotations::readable(cluster).await, Options::default()),
        Verb::Undo => {
            let node = object("", "nodes", "", "n-1");
            cluster.put(&node, json!({ "spec": { "unschedulable": true } })).await;
            let options = undoing::cordon(&node);
            (node, options)
        }
    }
}

/// An alert that fires in tenant-2.
async fn alert(cluster: &Cluster, name: &str, fingerprint: &str) -> ObjectRef {
    let alert = object("signals", "alerts", "", fingerprint);
    let document = json!({
        "labels": { "alertname": name, "namespace": "tenant-2", "severity": "critical", "prometheus": "monitoring/k8s" },
        "startsAt": "2026-01-05T11:56:00Z",
        "status": { "state": "active", "silencedBy": [] },
        "places": ["monitoring/alertmanager:9093"],
    });
    cluster.put(&alert, document).await;
    alert
}

/// A silence as Alertmanager writes it (contracts 4.1).
fn silence_document() -> Value {
    json!({
        "id": "s1",
        "status": { "state": "active" },
        "matchers": [{ "name": "alertname", "value": "HighErrorRate", "isRegex": false, "isEqual": true }],
        "startsAt": "2026-01-05T11:00:00Z",
        "endsAt": "2026-01-05T13:00:00Z",
        "createdBy": "bob",
        "comment": "INC-6",
        "places": ["monitoring/alertmanager:9093"],
    })
}

#[track_caller]
fn assert_line(plan: &Plan, mark: Mark, part: &str) {
    assert!(
        plan.lines.iter().any(|line| line.mark == mark && line.text.contains(part)),
        "no {mark:?} with {part:?} in {:#?}",
        plan.lines
    );
}
