//! Drains as a person meets them: key presses, the question and the progress on screen, and the command line against
//! the story in which a budget refuses.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use jiff::SignedDuration;
use opsdeck::actions::{
    Confirmation, Line, Mark, Options, Outcome, Plan, Progress, Request, Standing, Step, Verb,
};
use opsdeck::app::action::Action;
use opsdeck::app::effect::{Effect, Order};
use opsdeck::app::history::View;
use opsdeck::app::message::Message;
use opsdeck::app::question::Question;
use opsdeck::app::running::Running;
use opsdeck::app::state::Overlay;
use opsdeck::app::update::update;
use opsdeck::app::viewport::Viewport;
use opsdeck::clock::Clock;
use opsdeck::identity::Target;
use opsdeck::kinds::Lens;
use opsdeck::model::disruption;
use serde_json::{Value, json};

use crate::keys::press;
use crate::screens::snapshots;
use crate::stage::{Stage, context, now, object};
use crate::still::{self, Still};
use crate::terminal::Terminal;

fn node(cordoned: bool) -> Value {
    json!({
        "metadata": {
            "name": "ip-10-0-3-17", "uid": "n-17", "resourceVersion": if cordoned { "8" } else { "7" },
            "labels": { "karpenter.sh/nodepool": "general" },
        },
        "spec": { "unschedulable": cordoned },
        "status": { "conditions": [{ "type": "Ready", "status": "True" }] },
    })
}

fn nodes(cordoned: bool) -> Stage {
    let mut stage = Stage::new();
    let (query, _) = stage.list("nodes", &[node(cordoned)]);
    stage.show(&query);
    stage
}

fn plan(request: Request) -> Plan {
    let line = Line::new;
    Plan {
        id: "drain-1".to_owned(),
        request,
        title: "Drain ip-10-0-3-17 in prod-eu-1 (PROD)".to_owned(),
        lines: vec![
            line(Mark::Change, "the node is cordoned: no new pod is scheduled on it"),
            line(Mark::Change, "7 pods are evicted, at most 5 at a time: 2.4 and 6.5Gi requested"),
            line(
                Mark::Note,
                "they are of 3 tenants: tenant-1 (2), tenant-2 (3), tenant-3 (1); of 1 other namespace: ingress-nginx (1)",
            ),
            line(Mark::Note, "left on the node: 5 pods of DaemonSets"),
            line(Mark::Warn, "what lies in emptyDir volumes is lost: tenant-1/cache-0"),
            line(
                Mark::Warn,
                "disruption budget ingress-nginx/ingress-nginx-controller allows none now (needs 2 healthy, has 2): 1 pod is here, waited for",
            ),
            line(Mark::Warn, "the only replica, away until a new one is ready: tenant-3/mailer-5c9"),
            line(
                Mark::Ok,
                "room elsewhere: all 7 pods fit on 3 other nodes (by requests, node selectors and taints; affinity, spread, volumes and ports are not checked)",
            ),
            line(Mark::Ok, "you may patch nodes"),
            line(
                Mark::After,
                "watched until the pods are gone, for 15m; a budget's refusal is tried again every 5 s",
            ),
        ],
        confirmation: Confirmation::Type("ip-10-0-3-17".to_owned()),
        command: "kubectl drain ip-10-0-3-17 --ignore-daemonsets --delete-emptydir-data --timeout=900s"
            .to_owned(),
        basis: Vec::new(),
        holds: Vec::new(),
        git: Vec::new(),
        changes: Vec::new(),
        rule: None,
        made: now(),
        expires: now() + SignedDuration::from_mins(5),
    }
}

fn request() -> Request {
    let target = Target {
        object: object("", "nodes", "", "ip-10-0-3-17"),
        uid: "n-17".into(),
        resource_version: "7".into(),
    };
    Request {
        verb: Verb::Drain,
        targets: vec![target],
        options: Options { delete_emptydir_data: true, ..Options::default() },
        reason: String::new(),
        tenant: None,
    }
}

fn steps(cordon: Standing) -> Vec<Step> {
    let step = |name: &str, standing, detail: &str| Step {
        name: name.to_owned(),
        standing,
        detail: detail.to_owned(),
    };
    vec![
        step("cordon the node", cordon, "by this drain"),
        step(
            "ingress-nginx/ingress-nginx-controller-6d4c-x2k9p",
            Standing::Running,
            "budget ingress-nginx-controller: needs 2 healthy pods and has 2 currently (refused 4 times)",
        ),
        step("tenant-1/cache-0", Standing::Done, "gone after 31 s"),
        step("tenant-1/storefront-7f9b-9mzqv", Standing::Done, "gone after 12 s"),
        step("tenant-2/checkout-5d8f-2xk4l", Standing::Running, "ending for 8 s"),
        step("tenant-2/checkout-5d8f-hw7tn", Standing::Running, "ending for 3 s"),
        step("tenant-2/orders-84c6-b5x2p", Standing::Waiting, ""),
        step("tenant-3/mailer-5c9-q8wvt", Standing::Waiting, ""),
        step("only pods that stay are left", Standing::Running, "2 of 7 pods gone"),
    ]
}

fn progress() -> Progress {
    let begun = now() - SignedDuration::from_secs(44);
    Progress {
        id: "drain-1".to_owned(),
        object: object("", "nodes", "", "ip-10-0-3-17"),
        steps: steps(Standing::Done),
        begun,
        at: now(),
        target: Some(begun + SignedDuration::from_mins(15)),
    }
}

#[test]
fn the_question_of_a_drain_and_its_progress_look_as_they_did() {
    let mut stage = nodes(false);
    let mut question = Question::new(1, request());
    question.plan = Some(plan(request()));
    stage.state.overlay = Some(Overlay::Question(Box::new(question)));
    snapshots("drain-question", &mut stage);

    let mut stage = nodes(true);
    stage.state.running = vec![Running {
        plan: plan(request()),
        started: progress().begun,
        progress: vec![progress()],
        held: true,
        ended: None,
    }];
    stage.state.views.open(View::Actions(Viewport::default()));
    snapshots("drain-progress", &mut stage);
}

#[test]
fn a_drain_is_asked_held_ended_and_its_cordon_given_back_by_keys() {
    let mut stage = nodes(false);
    let effects = press(&mut stage, &["D"]);
    let [Effect::Plan { request, .. }] = effects.as_slice() else { panic!("{effects:?}") };
    assert_eq!((request.verb, &*request.targets[0].uid), (Verb::Drain, "n-17"));
    let effects = press(&mut stage, &["alt-e"]);
    let [Effect::Plan { request, .. }] = effects.as_slice() else { panic!("{effects:?}") };
    assert!(request.options.delete_emptydir_data && !request.options.force);
    press(&mut stage, &["ctrl-f"]);
    let effects = press(&mut stage, &["alt-n"]);
    let [Effect::Plan { number, request }] = effects.as_slice() else { panic!("{effects:?}") };
    assert_eq!((request.options.force, request.options.parallel), (true, Some(10)));
    let made = Plan { confirmation: Confirmation::Yes, ..plan((**request).clone()) };
    let message = Message::Planned { number: *number, result: Ok(Box::new(made)) };
    update(&mut stage.state, &stage.store, Action::Said(message));
    let effects = press(&mut stage, &["y"]);
    assert!(matches!(effects.as_slice(), [Effect::Carry { .. }]), "{effects:?}");

    let order = |order| vec![Effect::Steer { id: "drain-1".to_owned(), order }];
    assert_eq!(press(&mut stage, &["p"]), order(Order::Hold));
    assert_eq!(press(&mut stage, &["p"]), order(Order::GoOn));
    assert_eq!(press(&mut stage, &["U"]), [], "it goes on");
    assert_eq!(press(&mut stage, &["ctrl-x"]), order(Order::End));
    update(&mut stage.state, &stage.store, Action::Said(Message::Progress(progress())));
    let outcome = Outcome::NotVerified("ended by hand".to_owned());
    let ended = Message::Ended { id: "drain-1".to_owned(), outcome };
    update(&mut stage.state, &stage.store, Action::Said(ended));
    assert_eq!(press(&mut stage, &["p"]), [], "it has ended");
    stage.list("nodes", &[node(true)]);
    let effects = press(&mut stage, &["U"]);
    let [Effect::Plan { request, .. }] = effects.as_slice() else { panic!("{effects:?}") };
    assert_eq!((request.verb, request.targets.len()), (Verb::Uncordon, 1));
}

#[test]
fn a_node_that_was_cordoned_before_the_drain_is_not_offered_back() {
    let mut stage = nodes(true);
    let before = Progress { steps: steps(Standing::Skipped), ..progress() };
    stage.state.running = vec![Running {
        plan: plan(request()),
        started: before.begun,
        progress: vec![before],
        held: false,
        ended: Some((Outcome::NotVerified("ended by hand".to_owned()), now())),
    }];
    stage.state.views.open(View::Actions(Viewport::default()));
    assert_eq!(press(&mut stage, &["U"]), []);
}

/// Returns a node with a pod whose budget allows no eviction.
async fn blocked_node(shell: &Still) -> String {
    let (code, pods, err) =
        shell.run(&["get", "pods", "-A", "-o", "json", "--filter", "ingress-nginx-controller"]).await;
    assert_eq!(code, 0, "{err}");
    let pods: Value = serde_json::from_str(&pods).unwrap();
    let text = pods.to_string();
    let at = text.find("\"node\":").unwrap_or_else(|| panic!("{text}"));
    let node = text[at..].split('"').find(|word| word.starts_with("ip-"));
    node.unwrap_or_else(|| panic!("{text}")).to_owned()
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_drain_a_node_that_waits_for_a_budget_until_it_is_empty() {
    let still = Still::start(still::world("drain-blocked"), Clock::system().now()).await;
    let pace = Arc::new(AtomicU32::new(1));
    let _moves = still.moves(Arc::clone(&pace));
    let node = blocked_node(&still).await;
    let folder = still.folder.path().display().to_string();
    let drained = tokio::task::spawn_blocking(move || {
        let kubeconfig = format!("{folder}/kubeconfig");
        let variables =
            ["HOME", "OPSDECK_STATE_DIR", "OPSDECK_CONFIG_DIR"].map(|name| (name, folder.as_str()));
        let arguments = ["--kubeconfig", &kubeconfig, "nodes"];
        let mut console = Terminal::start(env!("CARGO_BIN_EXE_opsdeck"), &arguments, &variables, (140, 44));
        console.wait("the nodes", |screen| screen.contains("k8s live") && screen.contains("nodes 4"));
        console.press(&format!("/{node}\r"));
        console.wait("one of them", |screen| screen.contains("nodes 1 of"));
        console.press("D");
        let answered = |screen: &str| screen.contains("room elsewhere:") && !screen.contains("pending");
        console.wait("its plan", answered);
        assert!(
            console.text().contains("refused now, waited for (server dry run): 1 pod"),
            "{}",
            console.text()
        );
        // What lies in emptyDir volumes is lost, and pods that nothing replaces go, too.
        console.press("\x1be");
        console.wait("the first is accepted", |screen| answered(screen) && !screen.contains("would be lost"));
        console.press("\x06");
        console.wait("the question", |screen| {
            answered(screen) && screen.contains("--force") && screen.contains("Type y to drain")
        });
        console.answer("y");
        console.wait("the budget that is waited for", |screen| {
            screen.contains("budget ingress-nginx-controller: needs 2 healthy pods")
                && screen.contains(" of 15m")
        });
        pace.store(20, Ordering::Relaxed);
        console.wait("the end", |screen| screen.contains("Verified"));
        let end = console.text();
        console.press("\x03");
        console.end();
        end
    });
    let end = drained.await.unwrap();
    assert!(end.contains("is drained") || end.contains("the node is gone"), "{end}");
    let (_, record, _) = still.run(&["audit", "verify"]).await;
    assert!(record.starts_with("whole: 2 records"), "{record}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_command_line_drains_when_the_budget_opens_and_says_before_what_stops_it() {
    let shell = Still::start(still::world("drain-blocked"), still::afternoon()).await;
    let node = blocked_node(&shell).await;
    let node = node.as_str();
    let (code, out, err) = shell.run(&["drain", node, "--plan", "-o", "json"]).await;
    let plan: Value = serde_json::from_str(&out).unwrap_or_else(|error| panic!("{error}: {out}{err}"));
    assert_eq!(code, if plan["can_run"] == true { 0 } else { 3 }, "{out}");
    assert!(out.contains("ingress-nginx/ingress-nginx-controller"), "{out}");

    let accepted = ["--force", "--delete-emptydir-data", "--yes"];
    let blocked = [&["drain", node, "--timeout", "3s"][..], &accepted].concat();
    let (code, out, err) = shell.run(&blocked).await;
    assert_eq!(code, 4, "{out}{err}");
    assert!(out.contains("budget ingress-nginx-controller: needs"), "{out}");
    assert!(out.contains("The node stays cordoned by this drain"), "{out}");

    let open = [&["drain", node, "--timeout", "90s"][..], &accepted].concat();
    let (code, out, err) = shell.run_fast(&open).await;
    assert_eq!(code, 0, "{out}{err}");
    // Between two looks of the program Karpenter may take the empty node away: the world runs fast here.
    assert!(out.contains("is drained") || out.contains("the node is gone"), "{out}");

    let (code, out, err) = shell.run(&["drain", "--pool", "no-such", "--limit", "1", "--plan"]).await;
    assert_eq!(code, 1, "{out}{err}");
    assert!(err.contains("there is no node of pool no-such"), "{err}");
    let (code, _, err) = shell.run(&["drain", "--pool", "general"]).await;
    assert_eq!(code, 2, "a pool without a limit: {err}");
    // One of the managed group, which stays.
    let (_, nodes, err) = shell.run(&["get", "nodes", "-o", "name", "--filter", "pool=system"]).await;
    let stays = nodes.lines().next().unwrap_or_else(|| panic!("no node: {err}")).trim();
    let stays = stays.rsplit('/').next().unwrap();
    for (verb, state) in [("protect", "is protected"), ("unprotect", "is no longer protected")] {
        let (code, out, err) = shell.run(&[verb, stays, "--yes", "--wait"]).await;
        assert_eq!(code, 0, "{out}{err}");
        assert!(out.contains(state), "{out}");
    }
}

/// What the detail of a node says about its disruption, as `name: value / words`.
fn explained(
    claim: &Value,
    pool: &Value,
    pods: &[Value],
    budgets: &[Value],
    events: &[Value],
) -> Vec<String> {
    let mut stage = Stage::new();
    stage.list("nodes", &[node(false)]);
    stage.list("nodeclaims", std::slice::from_ref(claim));
    stage.list("nodepools", std::slice::from_ref(pool));
    stage.list("pods", pods);
    stage.list("poddisruptionbudgets", budgets);
    stage.list("events", events);
    let lens = Lens {
        now: now(),
        context: &context(),
        store: &stage.store,
        kinds: &stage.state.kinds,
        tenants: &stage.state.tenancy,
    };
    disruption::explain(&lens, &object("", "nodes", "", "ip-10-0-3-17"))
        .into_iter()
        .map(|one| format!("{}: {} / {}", one.name, one.value.text(now()), one.words.unwrap_or_default()))
        .collect()
}

fn claim(conditions: &[(&str, &str)]) -> Value {
    let ready = [("Launched", ""), ("Registered", ""), ("Initialized", "")];
    let conditions: Vec<Value> = ready
        .iter()
        .chain(conditions)
        .map(|(name, reason)| json!({ "type": name, "status": "True", "reason": reason }))
        .collect();
    json!({
        "metadata": {
            "name": "general-x2k9p", "uid": "c-1", "resourceVersion": "7",
            "creationTimestamp": (now() - SignedDuration::from_hours(24)).to_string(),
            "labels": {
                "karpenter.sh/nodepool": "general", "karpenter.sh/capacity-type": "on-demand",
                "node.kubernetes.io/instance-type": "m7i.xlarge",
            },
        },
        "spec": { "expireAfter": "720h" },
        "status": { "nodeName": "ip-10-0-3-17", "conditions": conditions },
    })
}

fn pool(budgets: Value) -> Value {
    json!({
        "metadata": { "name": "general", "uid": "p-1", "resourceVersion": "7" },
        "spec": { "disruption": { "budgets": budgets } },
    })
}

fn pod(name: &str, held: &str) -> Value {
    json!({
        "metadata": {
            "namespace": "tenant-2", "name": name, "uid": name, "resourceVersion": "7",
            "labels": { "app": "checkout" }, "annotations": { "karpenter.sh/do-not-disrupt": held },
        },
        "spec": { "nodeName": "ip-10-0-3-17", "containers": [{ "name": "app", "image": "checkout:1" }] },
        "status": { "phase": "Running" },
    })
}

#[track_caller]
fn says(findings: &[String], words: &str) {
    assert!(findings.iter().any(|one| one.contains(words)), "{words:?} is not in {findings:#?}");
}

#[test]
fn a_drifted_node_that_is_kept_says_by_what() {
    let budget = json!({
        "metadata": { "namespace": "tenant-2", "name": "checkout", "uid": "b", "resourceVersion": "7" },
        "spec": { "selector": { "matchLabels": { "app": "checkout" } } },
        "status": { "disruptionsAllowed": 0, "currentHealthy": 2, "desiredHealthy": 2, "expectedPods": 2 },
    });
    let findings = explained(
        &claim(&[("Drifted", "AMIDrift")]),
        &pool(json!([{ "nodes": "0", "reasons": ["Drifted"] }, { "nodes": "100%" }])),
        &[pod("checkout-a", "true"), pod("checkout-b", "false")],
        &[budget],
        &[],
    );
    says(&findings, "disruption: drifted, and kept / AMIDrift: its class selects another machine image now");
    says(&findings, "kept by: 1 pod with do-not-disrupt / tenant-2/checkout-a");
    says(
        &findings,
        "kept by: budget tenant-2/checkout / needs 2 healthy, has 2; here: tenant-2/checkout-a, tenant-2/checkout-b",
    );
    says(
        &findings,
        "drifted: 0 nodes may go now / budget 0 Drifted; pool general has 1 node, 0 going or not ready",
    );
    says(&findings, "empty: 1 node may go now");
    says(&findings, "price: $0.2016 an hour, on demand in us-east-1, table of 20");
    says(&findings, "expires: ");
}

#[test]
fn a_node_that_nothing_asks_for_stays_and_one_that_is_taken_back_counts_down() {
    let calm = explained(&claim(&[]), &pool(json!([])), &[], &[], &[]);
    says(&calm, "disruption: nothing asks for it");
    let notice = now() - SignedDuration::from_secs(37);
    let event = json!({
        "metadata": { "namespace": "default", "name": "e", "uid": "e", "resourceVersion": "7" },
        "involvedObject": { "kind": "Node", "name": "ip-10-0-3-17", "uid": "n-17" },
        "type": "Warning", "reason": "SpotInterrupted", "message": "Spot interruption warning was triggered",
        "lastTimestamp": notice.to_string(), "count": 1,
    });
    let pods = [pod("checkout-a", "false")];
    let taken = explained(&claim(&[]), &pool(json!([])), &pods, &[], &[event]);
    says(&taken, "On it: tenant-2 (1)");
    assert!(taken[0].starts_with("taken back: "), "{taken:#?}");
}
