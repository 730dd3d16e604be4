//! Scale, rollouts, images, jobs, edits and deletes: kubectl and this program change the same embedded platform, and
//! the keys lead to the same requests.

use std::time::Duration;

use opsdeck::actions::{Cascade, Options, Request, Verb};
use opsdeck::app::action::Action;
use opsdeck::app::effect::{Effect, Sheet};
use opsdeck::app::message::Message;
use opsdeck::app::state::Overlay;
use opsdeck::app::update::update;
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::cluster::{Cluster, writing_kubectl};
use crate::keys::{go, press};
use crate::kubectl::WEB;
use crate::program::opsdeck;
use crate::stage::Stage;

const REPORT: &str = r#"
apiVersion: batch/v1
kind: CronJob
metadata: {name: report, namespace: tenant-1}
spec:
  schedule: "0 3 * * *"
  jobTemplate:
    spec:
      template:
        spec:
          restartPolicy: Never
          containers:
          - {name: report, image: "registry.example.com/shop/report:1.0.0"}
"#;

const IMAGE: &str = "jsonpath={.spec.template.spec.containers[0].image}";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kubectl_pauses_sets_images_edits_runs_jobs_and_deletes_with_every_cascade() {
    let Some(kubectl) = writing_kubectl() else { return };
    let cluster = Cluster::start_for(&kubectl).await;
    cluster.apply(WEB).await;
    let status = ["rollout", "status", "deploy/web", "-n", "tenant-1", "--timeout=50s"];
    cluster.ok(&status).await;
    cluster.ok(&["rollout", "pause", "deploy/web", "-n", "tenant-1"]).await;
    cluster
        .ok(&["set", "image", "deploy/web", "-n", "tenant-1", "web=registry.example.com/shop/web:1.1.0"])
        .await;
    let paused = cluster.fails(&["rollout", "undo", "deploy/web", "-n", "tenant-1"]).await;
    // A paused Deployment makes no set of its new template, so there is nothing to go back to.
    assert!(paused.contains("no rollout history found"), "{paused}");
    let updated = ["get", "deploy/web", "-n", "tenant-1", "-o", "jsonpath={.status.updatedReplicas}"];
    // Nothing of the new template while it is paused.
    assert_eq!(cluster.ok(&updated).await, "");
    cluster.ok(&["rollout", "resume", "deploy/web", "-n", "tenant-1"]).await;
    cluster.ok(&status).await;
    assert!(cluster.ok(&["get", "deploy/web", "-n", "tenant-1", "-o", IMAGE]).await.ends_with(":1.1.0"));
    let wrong = cluster
        .fails(&["scale", "deploy/web", "-n", "tenant-1", "--current-replicas=7", "--replicas=3"])
        .await;
    assert!(wrong.contains("Expected replicas to be 7, was 2"), "{wrong}");
    // `kubectl edit` with an editor that is a script.
    let edited = cluster.edit("sed -i s/:1.1.0/:1.2.0/", &["deploy/web", "-n", "tenant-1"]).await;
    assert!(edited.contains("deployment.apps/web edited"), "{edited}");
    let same = cluster.edit("true", &["deploy/web", "-n", "tenant-1"]).await;
    assert!(same.contains("no changes made"), "{same}");
    cluster.ok(&status).await;
    assert!(cluster.ok(&["get", "deploy/web", "-n", "tenant-1", "-o", IMAGE]).await.ends_with(":1.2.0"));
    cluster.apply(REPORT).await;
    cluster.ok(&["create", "job", "by-hand", "-n", "tenant-1", "--from=cronjob/report"]).await;
    let owner = "jsonpath={.metadata.ownerReferences[0].name} {.metadata.annotations.cronjob\\.kubernetes\\.io/instantiate}";
    assert_eq!(cluster.ok(&["get", "job/by-hand", "-n", "tenant-1", "-o", owner]).await, "report manual");
    cluster.ok(&["wait", "--for=condition=Complete", "job/by-hand", "-n", "tenant-1", "--timeout=50s"]).await;
    cluster.ok(&["delete", "job", "by-hand", "-n", "tenant-1"]).await;
    // Orphan: the ReplicaSets stay without an owner.
    cluster.ok(&["delete", "deploy/web", "-n", "tenant-1", "--cascade=orphan"]).await;
    let sets = [
        "get",
        "rs",
        "-n",
        "tenant-1",
        "-l",
        "app=web",
        "-o",
        "jsonpath={.items[*].metadata.ownerReferences}",
    ];
    assert_eq!(cluster.ok(&sets).await, "");
    let pods = ["get", "pods", "-n", "tenant-1", "-l", "app=web", "-o", "name"];
    assert_eq!(cluster.ok(&pods).await.lines().count(), 2);
    // Foreground: what hangs on them goes first; kubectl waits for the end.
    cluster
        .ok(&["delete", "rs", "-n", "tenant-1", "-l", "app=web", "--cascade=foreground", "--timeout=50s"])
        .await;
    cluster.until(&pods, str::is_empty).await;
}

/// Runs the program against the platform; returns its exit code and what it printed.
pub async fn run(cluster: &Cluster, editor: &str, args: &[&str]) -> (i32, String, String) {
    let mut command = opsdeck();
    let home = cluster.kubeconfig().parent().unwrap().to_owned();
    command
        .args(args)
        .env("KUBECONFIG", cluster.kubeconfig())
        .env("HOME", &home)
        .env("XDG_STATE_HOME", home.join("state"))
        .env("XDG_CONFIG_HOME", home.join("config"))
        .env_remove("VISUAL")
        .env_remove("EDITOR")
        .env("KUBE_EDITOR", editor)
        .stdin(std::process::Stdio::null())
        .kill_on_drop(true);
    let output = timeout(Duration::from_mins(2), command.output())
        .await
        .unwrap_or_else(|_| panic!("{args:?} does not end"))
        .unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code().unwrap_or(-1), text(&output.stdout), text(&output.stderr))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_command_line_changes_workloads_and_each_change_is_seen_to_its_end() {
    let Some(kubectl) = writing_kubectl() else { return };
    let cluster = Cluster::start_for(&kubectl).await;
    cluster.apply(WEB).await;
    cluster.apply(REPORT).await;
    cluster.ok(&["rollout", "status", "deploy/web", "-n", "tenant-1", "--timeout=50s"]).await;
    let good = async |args: &[&str], said: &str| {
        let args = [args, &["-n", "tenant-1", "--confirm", "tenant-1", "--wait"]].concat();
        let (code, out, err) = run(&cluster, "false", &args).await;
        assert_eq!(code, 0, "{args:?}: {out}{err}");
        assert!(out.contains(said), "{args:?}: {out}{err}");
    };
    good(&["scale", "deploy/web", "--replicas", "3"], "3 of 3 pods are ready").await;
    good(&["set-image", "deploy/web", "registry.example.com/shop/web:2.0.0"], "pods are new and available")
        .await;
    assert!(cluster.ok(&["get", "deploy/web", "-n", "tenant-1", "-o", IMAGE]).await.ends_with(":2.0.0"));
    let (code, out, err) =
        run(&cluster, "false", &["rollout", "undo", "deploy/web", "-n", "tenant-1", "--plan"]).await;
    assert_eq!(code, 0, "{out}{err}");
    assert!(err.contains("shop/web:2.0.0 -> registry.example.com/shop/web:1.0.0"), "{err}");
    good(&["rollout", "undo", "deploy/web"], "pods are new and available").await;
    assert!(cluster.ok(&["get", "deploy/web", "-n", "tenant-1", "-o", IMAGE]).await.ends_with(":1.0.0"));
    good(&["rollout", "pause", "deploy/web"], "web is paused").await;
    good(&["resume", "deploy/web"], "pods are new and available").await;
    good(&["suspend", "cj/report"], "report is suspended").await;
    good(&["run", "cronjob/report", "--name", "report-now"], "job report-now succeeded").await;
    good(&["resume", "cj/report"], "report is not suspended any more").await;

    // What an editor leaves is planned first; a plan alone writes nothing.
    let edit = ["edit", "deploy/web", "-n", "tenant-1"];
    let (code, _, err) =
        run(&cluster, "sed -i 's/replicas: 3/replicas: 2/'", &[&edit[..], &["--plan"]].concat()).await;
    assert_eq!(code, 0, "{err}");
    assert!(err.contains("spec.replicas 3 -> 2") && err.contains("server dry run"), "{err}");
    let (code, out, err) = run(
        &cluster,
        "sed -i 's/replicas: 3/replicas: 2/'",
        &[&edit[..], &["--confirm", "tenant-1", "--wait"]].concat(),
    )
    .await;
    assert_eq!(code, 0, "{out}{err}");
    assert_eq!(
        cluster.ok(&["get", "deploy/web", "-n", "tenant-1", "-o", "jsonpath={.spec.replicas}"]).await,
        "2"
    );
    let (code, _, err) = run(&cluster, "true", &edit).await;
    assert!(code == 0 && err.contains("nothing was changed"), "{err}");
    let (code, _, err) =
        run(&cluster, "sed -i 's/replicas: 2/replicas: -2/'", &[&edit[..], &["--yes"]].concat()).await;
    assert!(code == 3 && err.contains("must be greater than or equal to 0"), "{code} {err}");
    let (code, _, err) = run(&cluster, "true", &["edit", "secret/web", "-n", "tenant-1"]).await;
    assert!(code != 0 || err.contains("a Secret is not edited here"), "{err}");

    // A delete wants the name, whatever is protected.
    let delete = ["delete", "deploy/web", "-n", "tenant-1", "--wait", "--cascade", "foreground"];
    let (code, out, err) = run(&cluster, "true", &[&delete[..], &["--yes"]].concat()).await;
    assert!(code == 3 && out.contains("--confirm tenant-1"), "{code} {out}{err}");
    let (code, out, err) = run(&cluster, "true", &[&delete[..], &["--confirm", "tenant-1"]].concat()).await;
    assert_eq!(code, 0, "{out}{err}");
    assert!(out.contains("web is gone"), "{out}");
}

fn deployment(name: &str, replicas: i64) -> Value {
    json!({
        "metadata": { "name": name, "namespace": "tenant-2", "uid": format!("u-{name}"), "resourceVersion": "5" },
        "spec": { "replicas": replicas, "template": { "spec": { "containers": [{ "name": "app", "image": "r/app:1" }] } } },
        "status": { "replicas": replicas, "readyReplicas": replicas },
    })
}

fn deployments() -> Stage {
    let mut stage = Stage::new();
    let (query, _) = stage.list("deployments", &[deployment("web", 3), deployment("shop", 2)]);
    stage.show(&query);
    press(&mut stage, &["g"]);
    stage
}

fn request(effects: &[Effect]) -> &Request {
    match effects {
        [Effect::Plan { request, .. }] => request,
        other => panic!("{other:?}"),
    }
}

fn palette(stage: &Stage) -> String {
    match &stage.state.overlay {
        Some(Overlay::Palette(palette)) => palette.line.text().to_owned(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_key_of_a_verb_that_needs_a_word_begins_its_line_with_what_is_there() {
    let mut stage = deployments();
    assert!(press(&mut stage, &["s"]).is_empty());
    let before = palette(&stage);
    assert!(before == "scale 2" || before == "scale 3", "{before}");
    press(&mut stage, &["backspace", "5"]);
    let effects = press(&mut stage, &["enter"]);
    let request = request(&effects);
    assert_eq!((request.verb, request.options.replicas), (Verb::Scale, Some(5)));
    press(&mut stage, &["esc"]);
    press(&mut stage, &["i"]);
    assert_eq!(palette(&stage), "set-image app=r/app:1");
}

#[test]
fn marks_are_scaled_together_and_a_line_without_a_number_says_what_is_missing() {
    let mut stage = deployments();
    press(&mut stage, &["space", "j", "space"]);
    press(&mut stage, &["s"]);
    assert_eq!(palette(&stage), "scale ");
    press(&mut stage, &["enter"]);
    let Some(Overlay::Palette(open)) = &stage.state.overlay else { panic!("the line stays") };
    assert_eq!(open.error.as_deref(), Some("scale N: how many pods there are to be"));
    press(&mut stage, &["esc"]);
    let effects = go(&mut stage, "scale 4");
    assert_eq!(request(&effects).targets.len(), 2);
}

#[test]
fn keys_lead_to_undo_pause_and_delete_and_a_key_goes_through_the_cascades() {
    let mut stage = deployments();
    assert_eq!(request(&press(&mut stage, &["u"])).verb, Verb::RolloutUndo);
    press(&mut stage, &["esc"]);
    assert_eq!(request(&press(&mut stage, &["z"])).verb, Verb::Pause);
    press(&mut stage, &["esc"]);
    assert_eq!(request(&press(&mut stage, &["ctrl-d"])).verb, Verb::Delete);
    let mut seen = Vec::new();
    for _ in 0..3 {
        let effects = press(&mut stage, &["alt-c"]);
        seen.push(request(&effects).options.cascade);
    }
    assert_eq!(seen, [Cascade::Foreground, Cascade::Orphan, Cascade::Background]);
}

#[test]
fn an_edit_goes_to_the_editor_back_with_its_error_and_then_to_a_question() {
    let mut stage = deployments();
    let effects = press(&mut stage, &["e"]);
    let [Effect::FetchToEdit(object)] = effects.as_slice() else { panic!("{effects:?}") };
    let name = object.name.to_string();
    let hear =
        |stage: &mut Stage, message: Message| update(&mut stage.state, &stage.store, Action::Said(message));
    let document = std::sync::Arc::new(deployment(&name, 3));
    let effects = hear(&mut stage, Message::ToEdit(Ok(document)));
    let [Effect::Editor(sheet)] = effects.as_slice() else { panic!("{effects:?}") };
    let broken = sheet.0.replace("replicas: 3", "replicas: [3");
    let effects = hear(&mut stage, Message::Edited(Ok(Sheet(broken))));
    let [Effect::Editor(again)] = effects.as_slice() else { panic!("{effects:?}") };
    assert!(again.0.starts_with("# This cannot be read: "), "{}", again.0);
    let mended = again.0.replace("replicas: [3", "replicas: 6");
    let effects = hear(&mut stage, Message::Edited(Ok(Sheet(mended))));
    let request = request(&effects);
    assert_eq!((request.verb, request.targets.len()), (Verb::Edit, 1));
    let patch = request.options.edited.as_ref().unwrap().patch();
    assert_eq!(patch, Some(json!({ "spec": { "replicas": 6 } })));
    // Back to the editor from the question: the change is kept.
    let effects = press(&mut stage, &["ctrl-e"]);
    assert!(matches!(effects.as_slice(), [Effect::FetchToEdit(_)]), "{effects:?}");
    let mut fresh = deployment(&name, 3);
    fresh["spec"]["minReadySeconds"] = json!(9);
    let effects = hear(&mut stage, Message::ToEdit(Ok(std::sync::Arc::new(fresh))));
    let [Effect::Editor(sheet)] = effects.as_slice() else { panic!("{effects:?}") };
    assert!(sheet.0.contains("replicas: 6") && sheet.0.contains("minReadySeconds: 9"), "{}", sheet.0);
    assert_eq!(Options::default().edited, None);
}
