//! Actions against the embedded platform, over the wire: what is planned, written, followed and recorded.

use std::time::Duration;

use jiff::Timestamp;
use opsdeck::actions::{
    self, Answer, Confirmation, Desk, Follow, Mark, Options, Outcome, Pace, Plan, Request, Verb,
};
use opsdeck::audit::{Audit, Event};
use opsdeck::clock::Clock;
use opsdeck::demo::credentials::RESTRICTED_CONTEXT;
use opsdeck::demo::platform::Running;
use opsdeck::demo::world;
use opsdeck::gate::{Gate, Rules};
use opsdeck::identity::{Context, ObjectRef, Resource};
use opsdeck::sources::git::{Git, GitSettings};
use opsdeck::sources::kubernetes::Setup;
use opsdeck::sources::{Connection, Contexts, Places, Systems};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::still::{self, Still};

/// A platform, a console's desk on it, and the hands of their clock.
pub struct Bench {
    pub desk: Desk<Systems>,
    pub gate: Gate,
    pub clock: Clock,
    pub platform: Running,
    _state: TempDir,
}

impl Bench {
    pub async fn start(story: &str) -> Self {
        Self::start_as(story, None, false).await
    }

    /// Starts it for a context of its kubeconfig.
    pub async fn start_as(story: &str, context: Option<&str>, protected: bool) -> Self {
        // A rehearsal stage, in which the restricted user may change something, needs eight.
        let pods = if context.is_some() { 8 } else { 6 };
        Self::start_sized(story, context, protected, still::afternoon(), pods).await
    }

    /// Starts it at a moment: a program beside it has a clock of its own.
    pub async fn start_at(story: &str, context: Option<&str>, protected: bool, start: Timestamp) -> Self {
        Self::start_sized(story, context, protected, start, 6).await
    }

    /// Starts it with so many pods for each tenant: from eight on every second tenant has a staging environment, too.
    pub async fn start_sized(
        story: &str,
        context: Option<&str>,
        protected: bool,
        start: Timestamp,
        pods_per_tenant: usize,
    ) -> Self {
        let world = world::Options { pods_per_tenant, ..still::world(story) };
        // The test moves the world, so that its time never runs away from a slow machine.
        let Still { platform, clock, folder: state } = Still::start(world, start).await;
        let contexts =
            Contexts::load(&Places { flag: Some(platform.kubeconfig.clone()), ..Places::default() }).unwrap();
        let entry = contexts.choose(context).unwrap();
        let rules = Rules {
            context: entry.context.clone(),
            environment: if protected { "prod".to_owned() } else { "dev".to_owned() },
            protected,
            readonly: None,
            guard: Vec::new(),
        };
        let setup = Setup::new(Clock::system(), Vec::new());
        let connection = Connection::open(contexts, entry, setup).await.unwrap();
        let repositories =
            platform.repositories().map(|(url, path)| (url.to_owned(), path)).into_iter().collect();
        let desk = Desk {
            remote: Systems::new(connection, std::collections::BTreeMap::new()),
            rules: rules.clone(),
            clock: clock.clone(),
            audit: Audit::at(state.path().join("audit.jsonl")),
            local_user: "tester".to_owned(),
            pace: Pace { look: Duration::from_millis(20), limit: Duration::from_mins(1), ..Pace::default() },
            git: Git::new(state.path().join("git"), GitSettings { repositories, ..GitSettings::default() }),
            silence_share: 50,
            tenants: opsdeck::model::tenants::Rules::default(),
        };
        Self { desk, gate: Gate::new(rules), clock, platform, _state: state }
    }

    pub fn object(&self, group: &str, plural: &str, namespace: Option<&str>, name: &str) -> ObjectRef {
        ObjectRef {
            context: self.desk.rules.context.clone(),
            resource: Resource::new(group, plural),
            namespace: namespace.map(Into::into),
            name: name.into(),
        }
    }

    pub async fn list(&self, group: &str, plural: &str, namespace: Option<&str>) -> Vec<Value> {
        self.desk
            .remote
            .connection()
            .documents(&Resource::new(group, plural), namespace, "", "")
            .await
            .unwrap()
    }

    /// A node of the managed group: Karpenter, which takes the others back when it likes, does not own it.
    async fn managed_node(&self) -> ObjectRef {
        let nodes = self.list("", "nodes", None).await;
        let node = nodes
            .iter()
            .find(|node| node.pointer("/metadata/labels/eks.amazonaws.com~1nodegroup").is_some())
            .unwrap();
        self.object("", "nodes", None, text(node, "/metadata/name"))
    }

    pub async fn plan(&self, verb: Verb, object: &ObjectRef, options: Options) -> Plan {
        let target = actions::resolve(&self.desk, object).await.unwrap();
        let request =
            Request { verb, targets: vec![target], options, reason: "INC-7".to_owned(), tenant: None };
        let (drafts, _kept) = mpsc::channel(64);
        actions::plan(&self.desk, request, &drafts).await
    }

    /// Answers and runs, while the world's time runs fast.
    pub async fn run(&mut self, plan: Plan) -> Outcome {
        let answer = match &plan.confirmation {
            Confirmation::Yes => Answer::Yes,
            Confirmation::Type(name) => Answer::Typed(name.clone()),
        };
        let confirmed = actions::confirm(&mut self.gate, plan, answer, self.clock.now()).unwrap();
        let (progress, _kept) = mpsc::channel(64);
        let stop = CancellationToken::new();
        let hands = self.clock.clone();
        let world = self.platform.handle.clone();
        let running = async {
            // Two hundred times as fast as real time, and no faster: those who look need the processor, too.
            let mut ticks = tokio::time::interval(Duration::from_millis(5));
            loop {
                ticks.tick().await;
                hands.advance(Duration::from_secs(1));
                world.step().await.unwrap();
            }
        };
        tokio::select! {
            outcome = actions::carry_out(&self.desk, confirmed, Follow::ToTheEnd, &progress, &stop) => outcome,
            () = running => unreachable!(),
        }
    }

    async fn act(&mut self, verb: Verb, object: &ObjectRef, options: Options) -> Outcome {
        let plan = self.plan(verb, object, options).await;
        assert!(plan.can_run(), "{:#?}", plan.lines);
        self.run(plan).await
    }

    pub async fn document(&self, object: &ObjectRef) -> Value {
        self.desk.remote.connection().document(object).await.unwrap()
    }
}

pub fn text<'a>(document: &'a Value, pointer: &str) -> &'a str {
    document.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

#[track_caller]
pub fn assert_verified(outcome: &Outcome) {
    assert!(matches!(outcome, Outcome::Verified(_)), "{outcome:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_is_cordoned_and_uncordoned() {
    let mut bench = Bench::start("quiet").await;
    let node = bench.managed_node().await;
    assert_verified(&bench.act(Verb::Cordon, &node, Options::default()).await);
    assert_eq!(bench.document(&node).await["spec"]["unschedulable"], true);
    assert_verified(&bench.act(Verb::Uncordon, &node, Options::default()).await);
    assert!(bench.document(&node).await["spec"].get("unschedulable").is_none());
    assert_eq!(bench.desk.audit.verify().unwrap().unwrap().records, 4);
    assert!(bench.platform.kubeconfig.exists());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deployment_is_restarted_and_its_pods_are_other_ones() {
    let mut bench = Bench::start("quiet").await;
    let deployments = bench.list("apps", "deployments", None).await;
    let one = deployments
        .iter()
        .find(|one| text(one, "/metadata/namespace").starts_with("tenant-") && one["spec"]["replicas"] != 0)
        .unwrap();
    let (namespace, name) = (text(one, "/metadata/namespace"), text(one, "/metadata/name"));
    let deployment = bench.object("apps", "deployments", Some(namespace), name);
    let outcome = bench.act(Verb::Restart, &deployment, Options::default()).await;
    assert_verified(&outcome);
    let after = bench.document(&deployment).await;
    assert!(
        !text(&after, "/spec/template/metadata/annotations/kubectl.kubernetes.io~1restartedAt").is_empty()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pod_is_deleted_and_its_owner_has_its_pods_again() {
    let mut bench = Bench::start("quiet").await;
    let pods = bench.list("", "pods", None).await;
    let one = pods
        .iter()
        .find(|one| {
            text(one, "/metadata/namespace").starts_with("tenant-")
                && text(one, "/metadata/ownerReferences/0/kind") == "ReplicaSet"
        })
        .unwrap();
    let pod = bench.object("", "pods", Some(text(one, "/metadata/namespace")), text(one, "/metadata/name"));
    let plan = bench.plan(Verb::DeletePod, &pod, Options::default()).await;
    assert!(
        plan.lines.iter().any(|line| line.mark == Mark::Ok && line.text.contains("replaces it")),
        "{plan:#?}"
    );
    let outcome = bench.run(plan).await;
    assert!(matches!(&outcome, Outcome::Verified(how) if how.contains("are ready")), "{outcome:?}");
    let records = bench.desk.audit.read(None).unwrap().records;
    let Event::After(ending) = &records[1].event else { panic!("{records:#?}") };
    assert_eq!(ending.after[0].uid, None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_may_not_is_told_which_right_is_missing() {
    let bench = Bench::start_as("quiet", Some(RESTRICTED_CONTEXT), false).await;
    let home = bench.desk.remote.connection().entry().namespace.clone().unwrap();
    let pods = bench.list("", "pods", Some(&home)).await;
    let pod = bench.object("", "pods", Some(&home), text(&pods[0], "/metadata/name"));
    let plan = bench.plan(Verb::DeletePod, &pod, Options::default()).await;
    assert!(!plan.can_run());
    assert!(plan.stops().any(|line| line.text.contains("you may not delete pods in")), "{:#?}", plan.lines);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_context_is_who_the_record_says() {
    let mut bench = Bench::start_as("quiet", None, true).await;
    let node = bench.managed_node().await;
    let plan = bench.plan(Verb::Cordon, &node, Options::default()).await;
    assert_eq!(plan.confirmation, Confirmation::Type(node.name.to_string()));
    assert_verified(&bench.run(plan).await);
    let records = bench.desk.audit.read(None).unwrap().records;
    let Event::Before(intent) = &records[0].event else { panic!("{records:#?}") };
    assert!(!intent.who.server.is_empty() && intent.who.local == "tester");
    assert_eq!(intent.confirmation, format!("typed {}", node.name));
    assert_eq!(intent.context, Context::new(bench.desk.rules.context.as_str()));
}

impl Bench {
    /// The production checkout of a tenant, which the stories are about.
    pub fn checkout(&self, tenant: u8) -> ObjectRef {
        let name = format!("tenant-{tenant}-checkout");
        self.object("argoproj.io", "applications", Some("argocd"), &name)
    }
}

/// The entry before the newest one.
pub fn entry_before(app: &Value) -> (i64, String) {
    let history = app["status"]["history"].as_array().unwrap();
    let entry = &history[history.len() - 2];
    (entry["id"].as_i64().unwrap(), text(entry, "/revision").to_owned())
}

pub fn to(id: i64) -> Options {
    Options { history_id: Some(id), ..Options::default() }
}

#[track_caller]
pub fn assert_line(plan: &Plan, mark: Mark, part: &str) {
    let found = plan.lines.iter().any(|line| line.mark == mark && line.text.contains(part));
    assert!(found, "no {mark:?} with {part:?} in {:#?}", plan.lines);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bad_deploy_is_rolled_back_to_a_verdict_and_auto_sync_is_given_back_as_it_was() {
    let mut bench = Bench::start("bad-deploy").await;
    let app = bench.checkout(2);
    let before = bench.document(&app).await;
    assert_ne!(text(&before, "/status/health/status"), "Healthy");
    let (id, revision) = entry_before(&before);
    let plan = bench.plan(Verb::Rollback, &app, to(id)).await;
    assert_line(&plan, Mark::To, &format!("#{id}  1.7.4  {}", &revision[..7]));
    assert_line(&plan, Mark::From, "1.8.0");
    assert_line(&plan, Mark::Change, "Deployment/checkout image 1.8.0 -> 1.7.4");
    // argocd-server tells of the rest, at both commits.
    let whole: Vec<String> = plan.difference().into_iter().map(|line| line.text).collect();
    let compared = format!("-> {} (rendered by argocd-server)", &revision[..7]);
    assert!(whole.iter().any(|line| line.contains(&compared)), "{whole:#?}");
    assert!(whole.iter().all(|line| !line.contains("not known")), "{whole:#?}");
    assert!(plan.lines.iter().all(|line| !line.text.contains("only names are known")), "{:#?}", plan.lines);
    assert_line(&plan, Mark::Hold, "auto-sync is on (prune, self-heal)");
    assert_line(&plan, Mark::Note, "PreSync Job/checkout-migrate is skipped");
    assert_line(
        &plan,
        Mark::Warn,
        "parent Application \"tenants-root\" will revert the hold with its next sync",
    );
    assert!(plan.can_run(), "{:#?}", plan.lines);
    let outcome = bench.run(plan).await;
    assert!(matches!(&outcome, Outcome::Verified(how) if how.starts_with(&revision[..7])), "{outcome:?}");

    let after = bench.document(&app).await;
    assert_eq!(text(&after, "/status/health/status"), "Healthy");
    assert_eq!(text(&after, "/status/sync/status"), "OutOfSync");
    assert_eq!(after["spec"]["syncPolicy"]["automated"]["enabled"], false);
    let operation = &after["status"]["operationState"]["operation"];
    assert_eq!(text(operation, "/initiatedBy/username"), "demo-admin");
    assert_eq!(text(operation, "/info/0/value"), "INC-7");
    let newest = after["status"]["history"].as_array().unwrap().last().unwrap();
    assert!(newest["id"].as_i64().unwrap() > id && text(newest, "/revision") == revision);
    let pods = bench.list("", "pods", Some("tenant-2")).await;
    let running =
        pods.iter().filter(|pod| text(pod, "/metadata/labels/app.kubernetes.io~1name") == "checkout");
    let images: Vec<&str> = running.map(|pod| text(pod, "/spec/containers/0/image")).collect();
    assert!(!images.is_empty() && images.iter().all(|image| image.ends_with("checkout:1.7.4")), "{images:?}");

    let plan = bench.plan(Verb::ReleaseAutosync, &app, Options::default()).await;
    assert_line(
        &plan,
        Mark::Change,
        "auto-sync is switched on (prune, self-heal), as it was when demo-admin",
    );
    assert_line(&plan, Mark::Warn, "auto-sync deploys that at once");
    assert_verified(&bench.run(plan).await);
    let released = bench.document(&app).await;
    assert_eq!(released["spec"]["syncPolicy"]["automated"], before["spec"]["syncPolicy"]["automated"]);
    assert_eq!(bench.desk.audit.verify().unwrap().unwrap().records, 4);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frozen_window_stops_the_rollback_and_says_when_it_opens() {
    let bench = Bench::start("frozen-window").await;
    let app = bench.checkout(2);
    let (id, _) = entry_before(&bench.document(&app).await);
    let plan = bench.plan(Verb::Rollback, &app, to(id)).await;
    assert_line(&plan, Mark::Stop, "freeze");
    assert_line(&plan, Mark::Stop, "is closed until");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_set_that_owns_the_application_stops_the_rollback() {
    let bench = Bench::start("owned-by-applicationset").await;
    let app = bench.checkout(3);
    let (id, _) = entry_before(&bench.document(&app).await);
    let plan = bench.plan(Verb::Rollback, &app, to(id)).await;
    assert_line(&plan, Mark::Stop, "ApplicationSet \"tenants\" owns this app and will revert the hold");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stuck_sync_stops_the_rollback_and_is_terminated() {
    let mut bench = Bench::start("stuck-sync").await;
    let app = bench.checkout(2);
    let (id, _) = entry_before(&bench.document(&app).await);
    let plan = bench.plan(Verb::Rollback, &app, to(id)).await;
    assert_line(&plan, Mark::Stop, "terminate it first (opsdeck terminate tenant-2-checkout)");
    let outcome = bench.act(Verb::Terminate, &app, Options::default()).await;
    assert!(
        matches!(&outcome, Outcome::Verified(how) if how.contains("Operation terminated")),
        "{outcome:?}"
    );
    assert!(bench.document(&app).await.get("operation").is_none_or(Value::is_null));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_application_is_refreshed_synced_and_held() {
    let mut bench = Bench::start("quiet").await;
    let app = bench.checkout(1);
    for verb in [Verb::Refresh, Verb::HardRefresh, Verb::Sync, Verb::HoldAutosync] {
        let outcome = bench.act(verb, &app, Options::default()).await;
        assert!(matches!(outcome, Outcome::Verified(_)), "{verb:?}: {outcome:?}");
    }
    let dry = Options { dry_run: true, ..Options::default() };
    assert_verified(&bench.act(Verb::Sync, &app, dry).await);
    assert_verified(&bench.act(Verb::ReleaseAutosync, &app, Options::default()).await);
    assert_eq!(bench.desk.audit.verify().unwrap().unwrap().records, 12);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_drain_waits_for_the_budget_that_refuses_it_and_ends_with_the_daemons_alone() {
    let mut bench = Bench::start("drain-blocked").await;
    bench.desk.pace.refused = Duration::from_millis(50);
    let pods = bench.list("", "pods", Some("ingress-nginx")).await;
    let guarded =
        pods.iter().find(|pod| text(pod, "/metadata/name").starts_with("ingress-nginx-controller")).unwrap();
    let node = bench.object("", "nodes", None, text(guarded, "/spec/nodeName"));
    let options = Options { force: true, delete_emptydir_data: true, ..Options::default() };
    let plan = bench.plan(Verb::Drain, &node, options).await;
    let budget = "disruption budget ingress-nginx/ingress-nginx-controller never allows any";
    assert!(
        plan.lines.iter().any(|line| line.mark == Mark::Warn && line.text.contains(budget)),
        "{:#?}",
        plan.lines
    );
    assert!(plan.can_run(), "{:#?}", plan.lines);
    // The server was asked for each pod, and has evicted none: every pod is there, nothing is taken from a budget.
    assert_line(&plan, Mark::Ok, "the server would evict");
    let refused = "ingress-nginx-controller: needs";
    assert!(plan.lines.iter().any(|line| line.text.contains("refused now") && line.text.contains(refused)));
    let still = bench.list("", "pods", None).await;
    for basis in plan.basis.iter().filter(|basis| basis.sake.is_some()) {
        let pod = still.iter().find(|pod| text(pod, "/metadata/uid") == &*basis.target.uid);
        let pod = pod.unwrap_or_else(|| panic!("{} is gone", basis.target.object));
        assert_eq!(text(pod, "/metadata/deletionTimestamp"), "", "{}", basis.target.object);
    }
    for budget in bench.list("policy", "poddisruptionbudgets", None).await {
        assert!(budget.pointer("/status/disruptedPods").is_none_or(|pods| *pods == json!({})), "{budget}");
    }
    assert_verified(&bench.run(plan).await);
    // Karpenter takes an empty node away, sooner or later.
    if let Ok(node) = bench.desk.remote.connection().document(&node).await {
        assert_eq!(node["spec"]["unschedulable"], true);
    }
    let left = bench.list("", "pods", None).await;
    let others = left.iter().filter(|pod| {
        text(pod, "/spec/nodeName") == &*node.name
            && text(pod, "/metadata/ownerReferences/0/kind") != "DaemonSet"
            && text(pod, "/metadata/annotations/kubernetes.io~1config.mirror").is_empty()
    });
    assert_eq!(others.map(|pod| text(pod, "/metadata/name")).collect::<Vec<_>>(), Vec::<&str>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_claim_is_deleted_and_its_machine_goes() {
    let mut bench = Bench::start("quiet").await;
    let claims = bench.list("karpenter.sh", "nodeclaims", None).await;
    let claim = bench.object("karpenter.sh", "nodeclaims", None, text(&claims[0], "/metadata/name"));
    let node = bench.object("", "nodes", None, text(&claims[0], "/status/nodeName"));
    assert_verified(&bench.act(Verb::DeleteNodeclaim, &claim, Options::default()).await);
    assert!(bench.desk.remote.connection().document(&node).await.is_err());
}
