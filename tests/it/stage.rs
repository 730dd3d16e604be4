//! A fixed world for drawing: a store filled by envelopes, a fixed moment, a fixed zone.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use opsdeck::app::history::View;
use opsdeck::app::session::{Environment, Link};
use opsdeck::app::spot::Spots;
use opsdeck::app::state::State;
use opsdeck::app::table::Table;
use opsdeck::config::Config;
use opsdeck::identity::{Context, ObjectRef, Resource, Text};
use opsdeck::keymap::Keymap;
use opsdeck::kinds::{Kinds, Object, Pool};
use opsdeck::screens::{self, Scene};
use opsdeck::store::{Envelope, Query, Store, Update};
use opsdeck::theme::{Depth, Shelf, Theme};
use ratatui::buffer::{Buffer, Cell};
use ratatui::layout::Rect;
use serde_json::{Value, json};

/// The moment of every picture.
pub fn now() -> Timestamp {
    "2026-11-20T14:02:31Z".parse().unwrap()
}

/// So many seconds before it, as objects write it.
pub fn ago(seconds: i64) -> String {
    (now() - SignedDuration::from_secs(seconds)).to_string()
}

/// All that a frame is drawn from.
pub struct Stage {
    pub state: State,
    pub store: Store,
    pub theme: Theme,
}

/// The context of every picture.
pub fn context() -> Context {
    Context::new("prod-eu-1")
}

/// Names an object of it.
pub fn object(group: &str, plural: &str, namespace: &str, name: &str) -> ObjectRef {
    ObjectRef {
        context: context(),
        resource: Resource::new(group, plural),
        namespace: (!namespace.is_empty()).then(|| Text::from(namespace)),
        name: Text::from(name),
    }
}

impl Stage {
    /// A connected console on an empty store.
    pub fn new() -> Self {
        let config = Arc::new(Config::default());
        let keymap = Keymap::preset("k9s").unwrap();
        let mut state = State::new(now(), config, keymap, Arc::new(Kinds::default()));
        state.session.context = Some(context());
        state.session.environment = Environment::Prod;
        state.session.link = Link::Live { version: "v1.33.1".to_owned(), user: "kim@example.com".to_owned() };
        state.session.requests = (1_204, 18);
        Self { state, store: Store::default(), theme: theme("dark", Depth::True) }
    }

    /// Sends an update as a source would.
    pub fn send(&mut self, query: &Query, epoch: u64, update: Update) {
        let envelope = Envelope { query: query.clone(), epoch, part: None, at: now(), update };
        self.store.apply(envelope);
    }

    /// Subscribes to a kind and fills its list with objects in their wire form.
    pub fn list(&mut self, plural: &str, objects: &[Value]) -> (Query, u64) {
        let kinds = self.state.kinds.clone();
        let kind = kinds.find(plural).expect(plural);
        let query = Query::all(&context(), &kind.resource);
        let mut pool = Pool::default();
        let objects: Vec<Arc<Object>> = objects
            .iter()
            .map(|object| Arc::new(kind.decode(object.to_string().as_bytes(), &mut pool).unwrap()))
            .collect();
        let epoch = self.fill(&query, objects);
        (query, epoch)
    }

    /// Subscribes to a list and fills it with objects.
    pub fn fill(&mut self, query: &Query, objects: Vec<Arc<Object>>) -> u64 {
        let epoch = self.store.subscribe(query);
        self.relist(query, epoch, objects);
        epoch
    }

    /// Puts a whole list in the place of what it held.
    pub fn relist(&mut self, query: &Query, epoch: u64, objects: Vec<Arc<Object>>) {
        self.send(query, epoch, Update::ListStarted);
        self.send(query, epoch, Update::Page { objects, garbled: Vec::new(), remaining: None });
        self.send(query, epoch, Update::ListDone);
        self.send(query, epoch, Update::Alive);
    }

    /// Opens the table of a list, with the first row selected.
    pub fn show(&mut self, query: &Query) {
        self.state.views.open(View::Table(Table::new(query.resource.clone())));
        self.state.settle(&self.store);
    }

    /// Draws a frame.
    pub fn draw(&self, width: u16, height: u16) -> (Buffer, Spots) {
        let area = Rect::new(0, 0, width, height);
        let mut buffer = Buffer::empty(area);
        let scene = Scene { state: &self.state, store: &self.store, theme: &self.theme };
        let spots = screens::draw(&mut buffer, area, &scene);
        (buffer, spots)
    }
}

/// Resolves a theme.
pub fn theme(name: &str, depth: Depth) -> Theme {
    Shelf::bundled().unwrap().theme(name, depth).unwrap()
}

/// The text of a buffer, line by line, without the blanks at the ends.
pub fn text(buffer: &Buffer) -> String {
    let width = usize::from(buffer.area.width.max(1));
    let mut text = String::new();
    for row in buffer.content().chunks(width) {
        let line: String = row.iter().map(Cell::symbol).collect();
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// How a pod of the stage is.
#[derive(Clone, Copy, PartialEq)]
pub enum Mood {
    Fine,
    Crashing,
    Starting,
    Pending,
}

/// A pod in its wire form.
pub fn pod(namespace: &str, name: &str, mood: Mood, age: i64) -> Value {
    let state = match mood {
        Mood::Fine => json!({"running": {"startedAt": ago(age - 4)}}),
        Mood::Crashing => json!({"waiting": {"reason": "CrashLoopBackOff",
            "message": "back-off 2m40s restarting failed container=app"}}),
        Mood::Starting | Mood::Pending => json!({"waiting": {"reason": "ContainerCreating"}}),
    };
    let ready = mood == Mood::Fine;
    let mut pod = json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"namespace": namespace, "name": name, "uid": format!("uid-{name}"),
            "resourceVersion": "41", "creationTimestamp": ago(age),
            "labels": {"app.kubernetes.io/name": name.split('-').next().unwrap()},
            "ownerReferences": [{"apiVersion": "apps/v1", "kind": "ReplicaSet", "controller": true,
                "name": name.rsplit_once('-').unwrap().0, "uid": "uid-rs"}]},
        "spec": {"nodeName": "ip-10-0-3-17.eu-west-1.compute.internal",
            "containers": [{"name": "app", "image": "registry.example.com/shop/checkout:1.8.0",
                "resources": {"requests": {"cpu": "250m", "memory": "512Mi"}}}]},
        "status": {"phase": if mood == Mood::Pending { "Pending" } else { "Running" }, "podIP": "10.0.3.91",
            "startTime": ago(age),
            "conditions": [{"type": "Ready", "status": if ready { "True" } else { "False" }}],
            "containerStatuses": [{"name": "app", "ready": ready, "started": ready,
                "image": "registry.example.com/shop/checkout:1.8.0", "imageID": "",
                "restartCount": if mood == Mood::Crashing { 6 } else { 0 },
                "lastState": if mood == Mood::Crashing {
                    json!({"terminated": {"reason": "Error", "exitCode": 1, "finishedAt": ago(48)}})
                } else { json!({}) },
                "state": state}]}
    });
    if mood == Mood::Pending {
        pod["spec"].as_object_mut().unwrap().remove("nodeName");
        pod["status"]["containerStatuses"] = json!([]);
        pod["status"]["conditions"] = json!([{"type": "PodScheduled", "status": "False",
            "reason": "Unschedulable",
            "message": "0/42 nodes are available: 42 Insufficient memory."}]);
    }
    pod
}

/// The pods of two tenants, some of them in trouble.
pub fn pods() -> Vec<Value> {
    let mut pods = vec![
        pod("tenant-2", "checkout-5d8f7c9b4-2xk4l", Mood::Crashing, 660),
        pod("tenant-2", "checkout-5d8f7c9b4-9mzqv", Mood::Crashing, 655),
        pod("tenant-2", "checkout-7f9c6b5d8-hw7tn", Mood::Fine, 7_200),
        pod("tenant-2", "payments-66b9d7f5c4-b5x2p", Mood::Pending, 340),
        pod("tenant-2", "search-indexer-with-a-long-name-7c5b9f8d6-qq8zv", Mood::Starting, 9),
    ];
    for index in 0..30 {
        let tenant = format!("tenant-{}", 3 + index / 6);
        let name = format!("storefront-6d4cf56db6-{:05x}", 0xa1b2c + index * 7919);
        pods.push(pod(&tenant, &name, Mood::Fine, 90_000 + i64::from(index) * 4_321));
    }
    pods
}

/// An Application in its wire form, in trouble since its last deployment.
pub fn application() -> Value {
    let revisions = ["9ad01be4c0ffee00000000000000000000000001", "3f9c1a24c0ffee00000000000000000000000002"];
    let history = |id: i64, revision: usize, age: i64, by: Value| {
        json!({"id": id, "revision": revisions[revision], "deployStartedAt": ago(age + 190), "deployedAt": ago(age),
            "initiatedBy": by,
            "source": {"repoURL": "https://git.example.com/tenants", "path": "tenant-2/checkout"}})
    };
    json!({
        "apiVersion": "argoproj.io/v1alpha1", "kind": "Application",
        "metadata": {"namespace": "argocd", "name": "tenant-2-checkout", "uid": "uid-app",
            "resourceVersion": "99", "creationTimestamp": ago(900_000),
            "ownerReferences": [{"apiVersion": "argoproj.io/v1alpha1", "kind": "ApplicationSet",
                "name": "tenants", "uid": "uid-set", "controller": true}]},
        "spec": {"project": "tenant-2",
            "destination": {"server": "https://kubernetes.default.svc", "namespace": "tenant-2"},
            "source": {"repoURL": "https://git.example.com/tenants", "path": "tenant-2/checkout",
                "targetRevision": "main"},
            "syncPolicy": {"automated": {"prune": true, "selfHeal": true}}},
        "status": {
            "sync": {"status": "Synced", "revision": revisions[1]},
            "health": {"status": "Degraded",
                "message": "Deployment \"checkout\" exceeded its progress deadline"},
            "reconciledAt": ago(31),
            "summary": {"images": ["registry.example.com/shop/checkout:1.8.0"]},
            "conditions": [{"type": "OrphanedResourceWarning", "lastTransitionTime": ago(7_300),
                "message": "Application has 1 orphaned resources"}],
            "history": [
                history(40, 0, 260_000, json!({"username": "ci-bot"})),
                history(41, 0, 7_300, json!({"username": "ci-bot"})),
                history(42, 1, 660, json!({"automated": true}))],
            "operationState": {"phase": "Succeeded",
                "message": "successfully synced (all tasks run)",
                "startedAt": ago(668), "finishedAt": ago(660),
                "operation": {"initiatedBy": {"automated": true}, "sync": {"revision": revisions[1]}},
                "syncResult": {"revision": revisions[1], "resources": [
                    {"group": "batch", "kind": "Job", "namespace": "tenant-2", "name": "migrate-db",
                        "hookType": "PreSync", "hookPhase": "Succeeded", "message": "job completed"},
                    {"group": "", "kind": "ConfigMap", "namespace": "tenant-2", "name": "checkout-env",
                        "status": "Synced", "message": "configmap/checkout-env configured"},
                    {"group": "apps", "kind": "Deployment", "namespace": "tenant-2", "name": "checkout",
                        "status": "Synced", "message": "deployment.apps/checkout configured"}]}},
            "resources": [
                {"group": "", "version": "v1", "kind": "ConfigMap", "namespace": "tenant-2",
                    "name": "checkout-env", "status": "Synced"},
                {"group": "apps", "version": "v1", "kind": "Deployment", "namespace": "tenant-2",
                    "name": "checkout", "status": "Synced", "health": {"status": "Degraded"}}]}
    })
}

/// The ReplicaSets of two releases of one Deployment.
pub fn replica_sets() -> Vec<Value> {
    [("checkout-7f9c6b5d8", "1.7.4", 260_003), ("checkout-5d8f7c9b4", "1.8.0", 662)]
        .map(|(name, version, age)| {
            json!({"apiVersion": "apps/v1", "kind": "ReplicaSet",
                "metadata": {"namespace": "tenant-2", "name": name, "uid": format!("uid-{name}"),
                    "resourceVersion": "3", "creationTimestamp": ago(age),
                    "ownerReferences": [{"apiVersion": "apps/v1", "kind": "Deployment",
                        "name": "checkout", "uid": "uid-deploy", "controller": true}]},
                "spec": {"replicas": 3, "selector": {"matchLabels": {"app": "checkout"}},
                    "template": {"metadata": {"labels": {"app": "checkout"}}, "spec": {"containers": [
                        {"name": "app", "image": format!("registry.example.com/shop/checkout:{version}")}]}}},
                "status": {"replicas": 3}})
        })
        .to_vec()
}

/// The project of the Application, with a window that is closed until the evening.
pub fn project() -> Value {
    json!({"apiVersion": "argoproj.io/v1alpha1", "kind": "AppProject",
        "metadata": {"namespace": "argocd", "name": "tenant-2", "uid": "uid-project",
            "resourceVersion": "5", "creationTimestamp": ago(900_000)},
        "spec": {"sourceRepos": ["*"], "destinations": [{"namespace": "tenant-2", "server": "*"}],
            "syncWindows": [{"kind": "deny", "schedule": "0 9 * * *", "duration": "9h",
                "applications": ["*"], "description": "freeze"}]}})
}

/// The ApplicationSet that owns the Application.
pub fn application_set() -> Value {
    json!({"apiVersion": "argoproj.io/v1alpha1", "kind": "ApplicationSet",
        "metadata": {"namespace": "argocd", "name": "tenants", "uid": "uid-set",
            "resourceVersion": "6", "creationTimestamp": ago(900_000)},
        "spec": {"generators": [{"git": {}}]}, "status": {"resourcesCount": 6}})
}

/// A namespace of a tenant.
pub fn namespace(tenant: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Namespace",
        "metadata": {"name": tenant, "uid": format!("uid-ns-{tenant}"), "resourceVersion": "2",
            "creationTimestamp": ago(9_000_000),
            "labels": {"opsdeck.dev/tenant": tenant, "environment": "prod"}},
        "status": {"phase": "Active"}})
}
