//! Objects as the API server writes them, for tests: shapes of kubectl's output and of the projects' own CRDs.

use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{Kinds, Lens, Object, Pool, Tenancy};
use crate::identity::{Context, Text};
use crate::store::{Change, Envelope, Query, Store, Update};

/// The moment of the tests.
pub(crate) fn now() -> Timestamp {
    "2026-11-21T10:00:00Z".parse().unwrap()
}

/// A moment so many seconds before now, as the wire writes it.
pub(crate) fn ago(seconds: i64) -> String {
    Timestamp::from_second(now().as_second() - seconds).unwrap().to_string()
}

/// A small cluster: what tests look at.
pub(crate) struct Cluster {
    pub(crate) kinds: Kinds,
    pub(crate) store: Store,
    pub(crate) context: Context,
    pub(crate) tenancy: Tenancy,
    pub(crate) now: Timestamp,
    pool: Pool,
    version: u64,
}

impl Cluster {
    pub(crate) fn new() -> Self {
        Self {
            kinds: Kinds::new(),
            store: Store::default(),
            context: Context::new("test"),
            tenancy: Tenancy::default(),
            now: now(),
            pool: Pool::default(),
            version: 0,
        }
    }

    pub(crate) fn query(&self, name: &str) -> Query {
        Query::all(&self.context, &self.kinds.find(name).unwrap().resource)
    }

    pub(crate) fn lens(&self) -> Lens<'_> {
        Lens {
            now: self.now,
            context: &self.context,
            store: &self.store,
            kinds: &self.kinds,
            tenants: &self.tenancy,
        }
    }

    /// Decodes an object of a kind, with a version of its own.
    pub(crate) fn decode(&mut self, kind: &str, mut object: Value) -> Arc<Object> {
        self.version += 1;
        object["metadata"]["resourceVersion"] = json!(self.version.to_string());
        let kind = self.kinds.find(kind).unwrap();
        Arc::new(kind.decode(object.to_string().as_bytes(), &mut self.pool).unwrap())
    }

    /// Lists objects of a kind: what was there before goes.
    pub(crate) fn list(&mut self, kind: &str, objects: Vec<Value>) {
        let query = self.query(kind);
        let epoch = self.store.subscribe(&query);
        let objects = objects.into_iter().map(|object| self.decode(kind, object)).collect();
        for update in [
            Update::ListStarted,
            Update::Page { objects, garbled: Vec::new(), remaining: None },
            Update::ListDone,
        ] {
            let mail = Envelope { query: query.clone(), epoch, part: None, at: self.now, update };
            self.store.apply(mail);
        }
    }

    /// Changes objects of a kind that was listed, in a new life of its subscription.
    pub(crate) fn change(&mut self, kind: &str, changes: Vec<Change>) {
        let query = self.query(kind);
        let epoch = self.store.subscribe(&query);
        let update = Update::Changed { changes, garbled: Vec::new() };
        self.store.apply(Envelope { query, epoch, part: None, at: self.now, update });
    }

    pub(crate) fn put(&mut self, kind: &str, object: Value) {
        let object = self.decode(kind, object);
        self.change(kind, vec![Change::Put(object)]);
    }

    pub(crate) fn remove(&mut self, kind: &str, namespace: Option<&str>, name: &str) {
        let gone = Change::Gone { namespace: namespace.map(Text::from), name: Text::from(name) };
        self.change(kind, vec![gone]);
    }

    pub(crate) fn object(&self, kind: &str, namespace: Option<&str>, name: &str) -> &Arc<Object> {
        self.store.shelf(&self.query(kind)).unwrap().get(namespace, name).unwrap()
    }
}

/// The metadata of an object, given as `namespace/name` or `name`.
pub(crate) fn meta(path: &str) -> Value {
    let mut meta = json!({"uid": format!("uid-{path}"), "creationTimestamp": ago(86_400), "labels": {}});
    match path.split_once('/') {
        Some((namespace, name)) => {
            meta["namespace"] = json!(namespace);
            meta["name"] = json!(name);
        }
        None => meta["name"] = json!(path),
    }
    meta
}

/// A healthy pod with one container.
pub(crate) fn pod(path: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": meta(path),
        "spec": {
            "nodeName": "node-1",
            "containers": [{
                "name": "app", "image": "registry.example.com/shop/app:1.7.4",
                "resources": {"requests": {"cpu": "250m", "memory": "128Mi"}, "limits": {"memory": "256Mi"}},
            }],
        },
        "status": {
            "phase": "Running", "podIP": "10.0.0.7", "qosClass": "Burstable", "startTime": ago(86_000),
            "conditions": [
                {"type": "PodScheduled", "status": "True"},
                {"type": "Initialized", "status": "True"},
                {"type": "Ready", "status": "True"},
            ],
            "containerStatuses": [{
                "name": "app", "ready": true, "started": true, "restartCount": 0,
                "state": {"running": {"startedAt": ago(86_000)}}, "lastState": {},
            }],
        },
    })
}

/// Makes a pod crash in a loop.
pub(crate) fn crash_looping(mut pod: Value, restarts: u32) -> Value {
    pod["status"]["conditions"][2]["status"] = json!("False");
    pod["status"]["containerStatuses"][0] = json!({
        "name": "app", "ready": false, "started": false, "restartCount": restarts,
        "state": {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 5m0s restarting failed container"}},
        "lastState": {"terminated": {"exitCode": 1, "reason": "Error", "finishedAt": ago(60)}},
    });
    pod
}

/// A node with room for four cores.
pub(crate) fn node(name: &str) -> Value {
    let mut meta = meta(name);
    meta["labels"] = json!({
        "karpenter.sh/nodepool": "general", "karpenter.sh/capacity-type": "spot",
        "node.kubernetes.io/instance-type": "m7g.xlarge", "topology.kubernetes.io/zone": "eu-west-1a",
    });
    meta["ownerReferences"] =
        json!([{"apiVersion": "karpenter.sh/v1", "kind": "NodeClaim", "name": "general-abc", "uid": "u"}]);
    meta["finalizers"] = json!(["karpenter.sh/termination"]);
    json!({
        "apiVersion": "v1", "kind": "Node", "metadata": meta,
        "spec": {"providerID": "aws:///eu-west-1a/i-0abc", "taints": [{"key": "dedicated", "value": "web", "effect": "NoSchedule"}]},
        "status": {
            "allocatable": {"cpu": "3920m", "memory": "15Gi", "pods": "58"},
            "conditions": [
                {"type": "MemoryPressure", "status": "False"},
                {"type": "Ready", "status": "True", "reason": "KubeletReady"},
            ],
            "addresses": [{"type": "InternalIP", "address": "10.0.3.17"}],
            "nodeInfo": {"kubeletVersion": "v1.33.1"},
        },
    })
}

/// A namespace of a tenant.
pub(crate) fn namespace(name: &str, tenant: &str, environment: &str) -> Value {
    let mut meta = meta(name);
    meta["labels"] = json!({"tenant": tenant, "environment": environment});
    json!({"apiVersion": "v1", "kind": "Namespace", "metadata": meta, "status": {"phase": "Active"}})
}

/// A healthy Application that deploys to a namespace.
pub(crate) fn application(name: &str, destination: &str) -> Value {
    json!({
        "apiVersion": "argoproj.io/v1alpha1", "kind": "Application", "metadata": meta(&format!("argocd/{name}")),
        "spec": {
            "project": "shop",
            "source": {"repoURL": "https://git.example.com/deploy", "path": "apps/checkout", "targetRevision": "main"},
            "destination": {"server": "https://kubernetes.default.svc", "namespace": destination},
            "syncPolicy": {"automated": {}},
        },
        "status": {
            "sync": {"status": "Synced", "revision": "3f9c1a2b4d5e6f708192a3b4c5d6e7f8091a2b3c"},
            "health": {"status": "Healthy"},
            "reconciledAt": ago(60),
            "history": [
                {"id": 41, "revision": "9ad01be04d5e6f708192a3b4c5d6e7f8091a2b3c", "deployedAt": ago(7_200),
                 "initiatedBy": {"username": "ci-bot"}},
                {"id": 42, "revision": "3f9c1a2b4d5e6f708192a3b4c5d6e7f8091a2b3c", "deployedAt": ago(660),
                 "deployStartedAt": ago(672), "initiatedBy": {"automated": true}},
            ],
            "operationState": {"phase": "Succeeded", "startedAt": ago(672), "finishedAt": ago(660),
                "operation": {"initiatedBy": {"automated": true}, "sync": {"revision": "3f9c1a2b4d5e6f708192a3b4c5d6e7f8091a2b3c"}}},
            "resources": [
                {"kind": "ConfigMap", "version": "v1", "namespace": destination, "name": "checkout-env", "status": "Synced"},
                {"group": "apps", "kind": "Deployment", "version": "v1", "namespace": destination, "name": "checkout",
                 "status": "Synced"},
            ],
            "summary": {"images": ["registry.example.com/shop/checkout:1.8.0"]},
        },
    })
}

/// A ReplicaSet of a Deployment: a revision with its image.
pub(crate) fn replica_set(path: &str, deployment: &str, revision: u32, image: &str, created: i64) -> Value {
    let mut meta = meta(path);
    meta["creationTimestamp"] = json!(ago(created));
    meta["annotations"] = json!({"deployment.kubernetes.io/revision": revision.to_string()});
    meta["ownerReferences"] = json!([{
        "apiVersion": "apps/v1", "kind": "Deployment", "name": deployment, "uid": format!("uid-{deployment}"),
        "controller": true,
    }]);
    json!({
        "apiVersion": "apps/v1", "kind": "ReplicaSet", "metadata": meta,
        "spec": {"replicas": 2, "template": {"spec": {"containers": [{"name": deployment, "image": image}]}}},
        "status": {"replicas": 2, "readyReplicas": 2, "availableReplicas": 2},
    })
}

/// A warning about a pod.
pub(crate) fn event(
    name: &str,
    object: &str,
    reason: &str,
    message: &str,
    seconds: i64,
    count: u32,
) -> Value {
    let (namespace, pod) = object.split_once('/').unwrap();
    json!({
        "apiVersion": "v1", "kind": "Event", "metadata": meta(&format!("{namespace}/{name}")),
        "involvedObject": {"apiVersion": "v1", "kind": "Pod", "namespace": namespace, "name": pod, "uid": "u"},
        "type": "Warning", "reason": reason, "message": message, "count": count,
        "firstTimestamp": ago(seconds + 60), "lastTimestamp": ago(seconds), "eventTime": null,
        "source": {"component": "kubelet"},
    })
}

/// The metadata of a Secret, all that is asked for, written by External Secrets so many seconds ago.
pub(crate) fn secret(path: &str, changed: i64) -> Value {
    let mut meta = meta(path);
    meta["annotations"] = json!({"reconcile.external-secrets.io/data-hash": "5a1e"});
    meta["labels"] = json!({"reconcile.external-secrets.io/managed": "true"});
    meta["managedFields"] = json!([
        {"manager": "externalsecrets.external-secrets.io/db", "operation": "Update", "apiVersion": "v1",
         "time": ago(changed), "fieldsType": "FieldsV1", "fieldsV1": {"f:data": {}}},
    ]);
    json!({"apiVersion": "meta.k8s.io/v1", "kind": "PartialObjectMetadata", "metadata": meta})
}

/// An `ExternalSecret` that was refreshed ten minutes ago, hourly, into a Secret of its name.
pub(crate) fn external_secret(path: &str) -> Value {
    let name = path.split_once('/').map_or(path, |(_, name)| name);
    json!({
        "apiVersion": "external-secrets.io/v1", "kind": "ExternalSecret", "metadata": meta(path),
        "spec": {
            "refreshInterval": "1h0m0s",
            "secretStoreRef": {"kind": "ClusterSecretStore", "name": "aws-secrets-manager"},
            "target": {"name": name},
            "data": [{"secretKey": "DB_PASSWORD", "remoteRef": {"key": "shop/db", "property": "password"}}],
        },
        "status": {
            "refreshTime": ago(600), "syncedResourceVersion": "1-5a1e",
            "conditions": [{"type": "Ready", "status": "True", "reason": "SecretSynced", "message": "secret synced"}],
        },
    })
}
