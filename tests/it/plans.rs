//! `--plan -o json` of every verb of the command line: valid, whole, and without a trace on the platform or in the record.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use futures::stream::{self, StreamExt};
use opsdeck::actions::Verb;
use opsdeck::clock::Clock;
use opsdeck::demo::Platform;
use opsdeck::demo::platform::{Options as Start, Running};
use opsdeck::demo::types::Type;
use opsdeck::demo::world;
use serde_json::{Value, json};

use crate::git_ways::git_is_installed;
use crate::program::opsdeck;

/// A platform on which each verb has something to do, and the folder of a program on it.
struct Prepared {
    platform: Running,
    folder: tempfile::TempDir,
    node: String,
    /// A node that is cordoned and protected.
    kept: String,
    claim: String,
    pod: String,
    silence: String,
}

/// How a verb is planned.
enum Entry {
    /// This plan can be run.
    Runs(Vec<String>),
    /// This plan is stopped, by a line with these words.
    Stops(Vec<String>, &'static str),
    /// It has no command line, for this reason.
    None(&'static str),
}

impl Prepared {
    async fn start() -> Self {
        opsdeck::install_crypto_provider();
        let folder = tempfile::tempdir().unwrap();
        // The program beside it has a clock of its own, and nothing moves here but what is asked for.
        let world = world::Options {
            tenants: 3,
            pods_per_tenant: 8,
            nodes: 4,
            story: "stuck-sync".to_owned(),
            alive: false,
            ..world::Options::default()
        };
        let clock = Clock::manual(Clock::system().now());
        let kubeconfig = Some(folder.path().join("kubeconfig"));
        let options = Start { world, port: 0, kubeconfig, clock, pace: None, ..Start::default() };
        let platform = Platform::start(options).await.unwrap();
        let config = format!(
            "[contexts.\"*\"]\nenvironment = \"dev\"\ncloudwatch = {{ url = \"{}\", secrets_url = \"{}\", region = \"eu-west-1\", credentials_file = {:?} }}\n",
            platform.cloudwatch.url,
            platform.secrets_manager.url,
            platform.write_aws_credentials().unwrap().display().to_string()
        );
        std::fs::write(folder.path().join("config.toml"), config).unwrap();
        let named = platform.handle.call(|world, now| {
            let template = json!({ "spec": { "template": { "spec": { "restartPolicy": "Never",
                "containers": [{ "name": "report", "image": "registry.example.com/shop/report:1.0.0" }] } } } });
            let report = json!({ "metadata": { "name": "report", "namespace": "tenant-1" },
                "spec": { "schedule": "0 3 * * *", "jobTemplate": template } });
            world.objects.create(Type::CronJob, report, now).unwrap();
            let names = |kind, namespace| -> Vec<String> {
                world.objects.list(kind, namespace).map(|one| one.key.name.to_string()).collect()
            };
            let nodes = names(Type::Node, None);
            let pods: Vec<String> =
                names(Type::Pod, Some("tenant-1")).into_iter().filter(|pod| pod.starts_with("checkout")).collect();
            (nodes[0].clone(), nodes[1].clone(), names(Type::NodeClaim, None)[0].clone(), pods[0].clone())
        });
        let (node, kept, claim, pod) = named.await.unwrap();
        let mut this = Self { platform, folder, node, kept, claim, pod, silence: String::new() };
        let kept = this.kept.clone();
        for line in [
            "autosync off tenant-2-staging-checkout".to_owned(),
            "rollout pause deployment/checkout -n tenant-3".to_owned(),
            format!("cordon {kept}"),
            format!("protect {kept}"),
            "silence add namespace=tenant-3 --for 1h --reason maintenance".to_owned(),
        ] {
            let (code, out, err) = this.run(&words(&format!("{line} --yes"))).await;
            assert!(matches!(code, 0 | 4), "{line}: {code} {out}{err}");
        }
        let (_, silences, err) = this.run(&words("silence list -o json")).await;
        let silences: Value =
            serde_json::from_str(&silences).unwrap_or_else(|error| panic!("{error}: {err}"));
        silence_id(&silences).unwrap_or_else(|| panic!("{silences}")).clone_into(&mut this.silence);
        this
    }

    async fn run(&self, args: &[String]) -> (i32, String, String) {
        let folder = self.folder.path();
        let mut command = opsdeck();
        command
            .args(args)
            .env("KUBECONFIG", &self.platform.kubeconfig)
            .env("HOME", folder)
            .env("OPSDECK_STATE_DIR", folder)
            .env("OPSDECK_CONFIG_DIR", folder)
            .env("OPSDECK_CACHE_DIR", folder.join("cache"))
            .env("GIT_CONFIG_GLOBAL", self.platform.write_git_config().unwrap())
            .env("KUBE_EDITOR", "sed -i 's/replicas: .*/replicas: 7/'")
            .stdin(Stdio::null())
            .kill_on_drop(true);
        let output = tokio::time::timeout(Duration::from_mins(2), command.output()).await;
        let output = output.unwrap_or_else(|_| panic!("{args:?} does not end")).unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (output.status.code().unwrap_or(-1), text(&output.stdout), text(&output.stderr))
    }

    /// Says how each verb is planned. A verb that is new must be named here, or this does not compile.
    fn entry(&self, verb: Verb) -> Entry {
        let runs = |line: &str| Entry::Runs(words(line));
        let (node, kept, silence) = (&self.node, &self.kept, &self.silence);
        match verb {
            Verb::Refresh => runs("refresh tenant-1-checkout"),
            Verb::HardRefresh => runs("refresh --hard tenant-1-checkout"),
            Verb::Sync => runs("sync tenant-1-checkout"),
            Verb::Rollback => runs("rollback tenant-1-checkout"),
            Verb::Revert => runs("revert tenant-1-checkout"),
            Verb::Promote => Entry::Stops(
                words("promote tenant-2-checkout --from nowhere --to prod"),
                "no folder of nowhere",
            ),
            Verb::Terminate => runs("terminate tenant-2-checkout"),
            Verb::HoldAutosync => runs("autosync off tenant-1-checkout"),
            Verb::ReleaseAutosync => runs("autosync on tenant-2-staging-checkout"),
            Verb::DeletePod => runs(&format!("delete pod/{} -n tenant-1", self.pod)),
            Verb::Restart => runs("restart deployment/checkout -n tenant-1"),
            Verb::Scale => runs("scale deployment/checkout -n tenant-1 --replicas 3"),
            Verb::RolloutUndo => runs("rollout undo deployment/checkout -n tenant-1"),
            Verb::Pause => runs("rollout pause deployment/checkout -n tenant-1"),
            Verb::Suspend => runs("suspend cronjob/report -n tenant-1"),
            Verb::Resume => runs("rollout resume deployment/checkout -n tenant-3"),
            Verb::SetImage => runs("set-image deployment/checkout -n tenant-1 checkout=checkout:9"),
            Verb::SetBounds => runs("set-bounds hpa/storefront -n tenant-1 --max 12"),
            Verb::RunJob => runs("run cronjob/report -n tenant-1"),
            Verb::Edit => runs("edit deployment/checkout -n tenant-1"),
            Verb::Delete => runs("delete service/checkout -n tenant-1"),
            Verb::ForceDelete => {
                let line = format!("delete pod/{} -n tenant-1 --force", self.pod);
                Entry::Stops(words(&line), "delete it the ordinary way first")
            }
            Verb::Cordon => runs(&format!("cordon {node}")),
            Verb::Uncordon => runs(&format!("uncordon {kept}")),
            Verb::Drain => runs(&format!("drain {node} --delete-emptydir-data --force")),
            Verb::Protect => runs(&format!("protect {node}")),
            Verb::Unprotect => runs(&format!("unprotect {kept}")),
            Verb::DeleteNodeclaim => runs(&format!("nodeclaim delete {}", self.claim)),
            Verb::Renew => runs("renew checkout-tls -n tenant-1"),
            Verb::Silence => runs("silence add namespace=tenant-1 --for 1h"),
            Verb::ExtendSilence => runs(&format!("silence extend {silence} --for 1h")),
            Verb::ExpireSilence => runs(&format!("silence expire {silence}")),
            Verb::Rotate => runs("rotate checkout-credentials -n tenant-2"),
            Verb::ResumeRotation => runs("rotate checkout-credentials -n tenant-2 --resume"),
            Verb::RestoreSecret => Entry::Stops(
                words("rotate checkout-credentials -n tenant-2 --previous"),
                "no previous version",
            ),
            Verb::RefreshSecret => runs("rotate checkout-credentials -n tenant-2 --refresh"),
            Verb::Reveal => Entry::None("a value is shown on the screen and nowhere else"),
            Verb::Undo => runs("undo"),
        }
    }

    /// What must be the same before and after: the world's revision, the record, the branches of the repositories.
    fn traces(&self) -> (u64, Vec<u8>, Vec<String>) {
        let record = std::fs::read(self.folder.path().join("audit.jsonl")).unwrap();
        let branches = self.platform.repositories().map(|(_, at)| branches(Path::new(&at))).to_vec();
        (*self.platform.handle.revision().borrow(), record, branches)
    }
}

/// Returns the id of the silence that is listed, wherever the table has it.
fn silence_id(listed: &Value) -> Option<&str> {
    let first = listed.as_array().and_then(|all| all.first()).or_else(|| listed.get("items")?.get(0))?;
    ["name", "id"]
        .iter()
        .find_map(|key| first.get(key)?.as_str())
        .or_else(|| first["metadata"]["name"].as_str())
}

fn branches(repository: &Path) -> String {
    let listed = std::process::Command::new("git").args(["for-each-ref"]).current_dir(repository).output();
    listed.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default()
}

fn words(line: &str) -> Vec<String> {
    line.split_whitespace().map(ToOwned::to_owned).collect()
}

/// Checks that a plan has what is documented of it.
#[track_caller]
fn is_whole(verb: Verb, document: &Value) {
    let plan = &document["plan"];
    assert!(document["can_run"].is_boolean(), "{verb:?}: {document}");
    for field in ["id", "title", "command", "made", "expires"] {
        assert!(plan[field].as_str().is_some_and(|text| !text.is_empty()), "{verb:?}: {field}: {plan}");
    }
    // What takes a silence back, the newest that can be, has a verb of its own.
    let word = if verb == Verb::Undo { Verb::ExpireSilence.word() } else { verb.word() };
    assert_eq!(plan["request"]["verb"], word, "{plan}");
    assert!(plan["request"]["options"].is_object() && plan["request"]["reason"].is_string(), "{verb:?}");
    let targets = plan["request"]["targets"].as_array().unwrap();
    assert!(!targets.is_empty(), "{verb:?}: {plan}");
    for target in targets {
        assert!(target["object"]["name"].is_string() && target["uid"].is_string(), "{verb:?}: {target}");
    }
    let lines = plan["lines"].as_array().unwrap();
    assert!(!lines.is_empty(), "{verb:?}");
    for line in lines {
        assert!(line["text"].as_str().is_some_and(|text| !text.is_empty()), "{verb:?}: {line}");
        assert!(line["mark"] != "pending", "{verb:?}: a plan that is printed is whole: {line}");
    }
    assert!(plan["confirmation"] == "yes" || plan["confirmation"]["type"].is_string(), "{verb:?}: {plan}");
    let stopped = lines.iter().any(|line| line["mark"] == "stop");
    assert_eq!(document["can_run"], !stopped, "{verb:?}");
    assert!(stopped || plan["basis"].as_array().is_some_and(|basis| !basis.is_empty()), "{verb:?}: {plan}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_verb_is_planned_in_json_and_leaves_no_trace() {
    if !git_is_installed() {
        return;
    }
    let prepared = Prepared::start().await;
    let before = prepared.traces();
    let planned = stream::iter(Verb::ALL).map(|verb| {
        let prepared = &prepared;
        async move {
            let (line, stop) = match prepared.entry(verb) {
                Entry::Runs(line) => (line, None),
                Entry::Stops(line, words) => (line, Some(words)),
                Entry::None(why) => {
                    assert!(!why.is_empty());
                    return;
                }
            };
            let (code, out, err) = prepared.run(&[line, words("--plan -o json")].concat()).await;
            let document: Value =
                serde_json::from_str(&out).unwrap_or_else(|error| panic!("{verb:?}: {error}: {out}{err}"));
            is_whole(verb, &document);
            match stop {
                None => assert_eq!((code, &document["can_run"]), (0, &json!(true)), "{verb:?}: {out}{err}"),
                Some(words) => {
                    assert_eq!((code, &document["can_run"]), (3, &json!(false)), "{verb:?}: {out}{err}");
                    assert!(out.contains(words), "{verb:?}: {out}");
                }
            }
        }
    });
    // Two at a time: each is a program of its own.
    planned.buffer_unordered(2).collect::<Vec<()>>().await;
    assert_eq!(prepared.traces(), before, "a plan changes nothing and is not recorded");

    // Where there is no plan the answer is JSON as well, and says why.
    for (line, code) in [("undo no-such-entry", 3), ("sync no-such-application", 1)] {
        let (exit, out, err) = prepared.run(&[words(line), words("--plan -o json")].concat()).await;
        let document: Value =
            serde_json::from_str(&out).unwrap_or_else(|error| panic!("{error}: {out}{err}"));
        assert_eq!(
            (exit, &document["plan"], &document["can_run"]),
            (code, &Value::Null, &json!(false)),
            "{line}"
        );
        assert!(document["detail"].as_str().is_some_and(|why| why.contains("no-such")), "{document}");
    }
}
