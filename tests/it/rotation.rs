//! Secrets: the real SDK against the embedded Secrets Manager, and the chain of a rotation from the question to the
//! last pod, in process and from the command line. No value is ever seen.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

use aws_sdk_secretsmanager::config::retry::RetryConfig;
use aws_sdk_secretsmanager::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_secretsmanager::error::ProvideErrorMetadata;
use aws_sdk_secretsmanager::{Client, Config};
use aws_smithy_http_client::Builder;
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};
use opsdeck::actions::{
    self, Answer, Confirmation, Desk, Follow, Mark, Options, Outcome, Pace, Plan, Progress, Request, Verb,
};
use opsdeck::audit::{Audit, Event};
use opsdeck::clock::Clock;
use opsdeck::demo::cloudwatch::{ACCESS_KEY_ID, REGION, SECRET_ACCESS_KEY};
use opsdeck::demo::platform::{Options as Start, Platform, Running};
use opsdeck::demo::tenancy::CANARY;
use opsdeck::gate::{Gate, Rules};
use opsdeck::identity::{ObjectRef, Resource};
use opsdeck::signals::System;
use opsdeck::sources::git::{Git, GitSettings};
use opsdeck::sources::kubernetes::Setup;
use opsdeck::sources::{Connection, Contexts, Directions, Places, Systems};
use serde_json::Value;
use tempfile::TempDir;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::still::{self, Still};

const KEY: &str = "tenant-2/checkout";
const TOKEN: &str = "0b1e7a3c-9d5f-42e4-a1b2-c3d4e5f60718";

/// A platform, a desk on it, and the hands of their clock.
struct Bench {
    desk: Desk<Systems>,
    gate: Gate,
    clock: Clock,
    platform: Running,
    state: TempDir,
    /// Everything that would be on a screen.
    shown: String,
}

impl Bench {
    async fn start(story: &str) -> Self {
        let Still { platform, clock, folder: state } =
            Still::start(still::world(story), still::afternoon()).await;
        let contexts =
            Contexts::load(&Places { flag: Some(platform.kubeconfig.clone()), ..Places::default() }).unwrap();
        let entry = contexts.choose(None).unwrap();
        let rules = Rules {
            context: entry.context.clone(),
            environment: "dev".to_owned(),
            protected: false,
            readonly: None,
            guard: Vec::new(),
        };
        let connection =
            Connection::open(contexts, entry, Setup::new(Clock::system(), Vec::new())).await.unwrap();
        let account = Directions {
            url: Some(platform.cloudwatch.url.clone()),
            secrets_url: Some(platform.secrets_manager.url.clone()),
            region: Some(REGION.to_owned()),
            credentials_file: Some(platform.write_aws_credentials().unwrap()),
            ..Directions::default()
        };
        let desk = Desk {
            remote: Systems::new(connection, BTreeMap::from([(System::CloudWatch, account)])),
            rules: rules.clone(),
            clock: clock.clone(),
            audit: Audit::at(state.path().join("audit.jsonl")),
            local_user: "tester".to_owned(),
            pace: Pace { look: Duration::from_millis(20), limit: Duration::from_mins(1), ..Pace::default() },
            git: Git::new(state.path().join("git"), GitSettings::default()),
            silence_share: 50,
            tenants: opsdeck::model::tenants::Rules::default(),
        };
        Self { desk, gate: Gate::new(rules), clock, platform, state, shown: String::new() }
    }

    fn object(&self, group: &str, plural: &str, name: &str) -> ObjectRef {
        ObjectRef {
            context: self.desk.rules.context.clone(),
            resource: Resource::new(group, plural),
            namespace: Some("tenant-2".into()),
            name: name.into(),
        }
    }

    fn external(&self) -> ObjectRef {
        self.object("external-secrets.io", "externalsecrets", "checkout-credentials")
    }

    async fn plan(&self, verb: Verb, object: &ObjectRef, options: Options) -> Plan {
        let target = actions::resolve(&self.desk, object).await.unwrap();
        let request =
            Request { verb, targets: vec![target], options, reason: "INC-9".to_owned(), tenant: None };
        let (drafts, _kept) = mpsc::channel(64);
        actions::plan(&self.desk, request, &drafts).await
    }

    /// Plans, answers and runs, while the world's time runs fast; ends it where a step has gone on.
    async fn act_until(
        &mut self,
        verb: Verb,
        options: Options,
        until: impl Fn(&Progress) -> bool + Send + 'static,
    ) -> Outcome {
        let plan = self.plan(verb, &self.external(), options).await;
        assert!(plan.can_run(), "{:#?}", plan.lines);
        self.shown.push_str(&serde_json::to_string(&plan).unwrap());
        let answer = match &plan.confirmation {
            Confirmation::Yes => Answer::Yes,
            Confirmation::Type(name) => Answer::Typed(name.clone()),
        };
        let confirmed = actions::confirm(&mut self.gate, plan, answer, self.clock.now()).unwrap();
        let (progress, mut seen) = mpsc::channel(1_024);
        let stop = CancellationToken::new();
        let ending = stop.clone();
        let watching = tokio::spawn(async move {
            let mut all = String::new();
            while let Some(one) = seen.recv().await {
                all.extend([format!("{one:?}")]);
                if until(&one) {
                    ending.cancel();
                }
            }
            all
        });
        let (hands, world) = (self.clock.clone(), self.platform.handle.clone());
        let running = async {
            // Two hundred times as fast as real time, and no faster: those who look need the processor, too.
            let mut ticks = tokio::time::interval(Duration::from_millis(5));
            loop {
                ticks.tick().await;
                hands.advance(Duration::from_secs(1));
                world.step().await.unwrap();
            }
        };
        let outcome = tokio::select! {
            outcome = actions::carry_out(&self.desk, confirmed, Follow::ToTheEnd, &progress, &stop) => outcome,
            () = running => unreachable!(),
        };
        drop(progress);
        let seen = watching.await.unwrap();
        self.shown.push_str(&seen);
        self.shown.push_str(outcome.detail());
        outcome
    }

    async fn act(&mut self, verb: Verb, options: Options) -> Outcome {
        self.act_until(verb, options, |_| false).await
    }

    async fn document(&self, object: &ObjectRef) -> Value {
        self.desk.remote.connection().document(object).await.unwrap()
    }

    /// Nothing that was shown or written to disk holds a value.
    fn assert_no_value_was_seen(&self) {
        assert!(!self.shown.contains(CANARY), "on the screen");
        for entry in std::fs::read_dir(self.state.path()).unwrap() {
            let path = entry.unwrap().path();
            if let Ok(text) = std::fs::read_to_string(&path) {
                assert!(!text.contains(CANARY), "{}", path.display());
            }
        }
    }
}

fn client(url: &str, key: &str) -> Client {
    let http = Builder::new().tls_provider(Provider::Rustls(CryptoMode::Ring)).build_https();
    let config = Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(REGION))
        .credentials_provider(Credentials::new(key, SECRET_ACCESS_KEY, None, None, "test"))
        .endpoint_url(url)
        .retry_config(RetryConfig::disabled())
        .http_client(http)
        .build();
    Client::from_conf(config)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_sdk_describes_rotates_and_moves_labels_and_is_never_given_a_value() {
    let bench = Bench::start("quiet").await;
    let client = client(&bench.platform.secrets_manager.url, ACCESS_KEY_ID);
    let described = || client.describe_secret().secret_id(KEY).send();
    let before = described().await.unwrap();
    assert_eq!(before.name(), Some(KEY));
    assert_eq!(before.rotation_enabled(), Some(true));
    assert!(
        before
            .arn()
            .unwrap()
            .starts_with("arn:aws:secretsmanager:eu-west-1:111122223333:secret:tenant-2/checkout-")
    );
    // By its ARN it is the same secret.
    let by_arn = client.describe_secret().secret_id(before.arn().unwrap()).send().await.unwrap();
    assert_eq!(by_arn.name(), Some(KEY));
    let stages = |of: &aws_sdk_secretsmanager::operation::describe_secret::DescribeSecretOutput, id: &str| {
        let mut stages = of.version_ids_to_stages().unwrap().get(id).cloned().unwrap_or_default();
        stages.sort();
        stages
    };
    let old = before.version_ids_to_stages().unwrap().keys().next().unwrap().clone();
    let rotate = |token: &str| client.rotate_secret().secret_id(KEY).client_request_token(token).send();
    assert_eq!(rotate(TOKEN).await.unwrap().version_id(), Some(TOKEN));
    let going = described().await.unwrap();
    assert_eq!(
        (stages(&going, TOKEN), stages(&going, &old)),
        (vec!["AWSPENDING".into()], vec!["AWSCURRENT".into()])
    );
    let refused = rotate("11111111-2222-4333-8444-555555555555").await.unwrap_err();
    assert_eq!(refused.code(), Some("InvalidRequestException"));
    bench.clock.advance(Duration::from_secs(30));
    bench.platform.handle.step().await.unwrap();
    let done = described().await.unwrap();
    assert!(stages(&done, TOKEN).contains(&"AWSCURRENT".to_owned()));
    assert_eq!(stages(&done, &old), ["AWSPREVIOUS"]);
    assert!(done.last_rotated_date().is_some());
    let listed = client.list_secret_version_ids().secret_id(KEY).send().await.unwrap();
    assert_eq!(listed.versions().len(), 2);
    // Back again; the label must be taken from whom it is on.
    let back = client
        .update_secret_version_stage()
        .secret_id(KEY)
        .version_stage("AWSCURRENT")
        .move_to_version_id(&old);
    let without = back.clone().send().await.unwrap_err();
    assert_eq!(without.code(), Some("InvalidParameterException"));
    back.remove_from_version_id(TOKEN).send().await.unwrap();
    assert_eq!(stages(&described().await.unwrap(), &old), ["AWSCURRENT"]);
    client.cancel_rotate_secret().secret_id(KEY).send().await.unwrap();
    assert_eq!(described().await.unwrap().rotation_enabled(), Some(false));
    // A value is given to nobody, and a stranger is told nothing.
    let value = client.get_secret_value().secret_id(KEY).send().await.unwrap_err();
    assert_eq!(value.code(), Some("AccessDeniedException"));
    let missing = client.describe_secret().secret_id("nothing").send().await.unwrap_err();
    assert_eq!(missing.code(), Some("ResourceNotFoundException"));
    let stranger = self::client(&bench.platform.secrets_manager.url, "AKIASTRANGER00000000");
    let refused = stranger.describe_secret().secret_id(KEY).send().await.unwrap_err();
    assert_eq!(refused.code(), Some("UnrecognizedClientException"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leaked_secret_is_rotated_down_to_the_last_pod() {
    let mut bench = Bench::start("leaked-secret").await;
    bench.clock.advance(Duration::from_secs(5));
    bench.platform.handle.step().await.unwrap();
    let events = Resource::new("", "events");
    let events = bench.desk.remote.connection().documents(&events, Some("tenant-2"), "", "").await.unwrap();
    let leaked = events.into_iter().find(|event| event["reason"] == "CredentialLeaked");
    assert!(leaked.is_some(), "the scanner says so");
    let plan = bench.plan(Verb::Rotate, &bench.external(), Options::default()).await;
    let says = |mark: Mark, part: &str| {
        assert!(
            plan.lines.iter().any(|line| line.mark == mark && line.text.contains(part)),
            "{part}: {:#?}",
            plan.lines
        );
    };
    says(Mark::Change, "AWS rotates tenant-2/checkout in eu-west-1 by the function rotate-tenant-2-checkout");
    says(Mark::Change, "Reloader restarts deployment/checkout");
    assert!(
        plan.command
            .starts_with("aws secretsmanager rotate-secret --secret-id tenant-2/checkout; kubectl annotate")
    );
    let deployment = bench.object("apps", "deployments", "checkout");
    let before = bench.document(&deployment).await["spec"]["template"].clone();
    let outcome = bench.act(Verb::Rotate, Options::default()).await;
    assert!(matches!(&outcome, Outcome::Verified(how) if how.starts_with("rotated: ")), "{outcome:?}");
    assert_ne!(bench.document(&deployment).await["spec"]["template"], before);
    let record = bench.desk.audit.read(None).unwrap().records;
    let Event::After(ending) = &record[1].event else { panic!("{record:#?}") };
    assert_eq!(ending.steps.len(), 7);
    assert!(ending.steps.iter().all(|step| step.mark == "done"), "{:#?}", ending.steps);
    assert_eq!(bench.desk.audit.verify().unwrap().unwrap().records, 2);
    // And back, by the same way.
    let outcome = bench.act(Verb::RestoreSecret, Options::default()).await;
    assert!(
        matches!(&outcome, Outcome::Verified(how) if how.starts_with("the previous version is back")),
        "{outcome:?}"
    );
    bench.assert_no_value_was_seen();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rotation_that_is_cut_off_goes_on_from_where_it_is() {
    let mut bench = Bench::start("quiet").await;
    // Cut off when AWS has been asked and is not done.
    let is_begun = |seen: &Progress| seen.steps[0].standing == actions::Standing::Done;
    let outcome = bench.act_until(Verb::Rotate, Options::default(), is_begun).await;
    assert!(matches!(&outcome, Outcome::NotVerified(how) if how.contains("--resume")), "{outcome:?}");
    bench.clock.advance(Duration::from_mins(1));
    bench.platform.handle.step().await.unwrap();
    let outcome = bench.act(Verb::ResumeRotation, Options::default()).await;
    assert!(matches!(outcome, Outcome::Verified(_)), "{outcome:?}");
    let client = client(&bench.platform.secrets_manager.url, ACCESS_KEY_ID);
    let told = client.describe_secret().secret_id(KEY).send().await.unwrap();
    assert_eq!(told.version_ids_to_stages().unwrap().len(), 2, "it was rotated once");
    bench.assert_no_value_was_seen();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rotation_that_fails_says_what_to_do_and_is_given_up() {
    let mut bench = Bench::start("rotation-fails").await;
    bench.clock.advance(Duration::from_secs(5));
    bench.platform.handle.step().await.unwrap();
    bench.desk.pace.limit = Duration::from_secs(2);
    let outcome = bench.act(Verb::Rotate, Options::default()).await;
    let Outcome::Failed(why) = &outcome else { panic!("{outcome:?}") };
    for said in [
        "AWSPENDING",
        "/aws/lambda/rotate-tenant-2-checkout",
        "--previous",
        "nothing has changed for the pods",
    ] {
        assert!(why.contains(said), "{said}: {why}");
    }
    let outcome = bench.act(Verb::RestoreSecret, Options::default()).await;
    assert!(matches!(&outcome, Outcome::Verified(how) if how.contains("AWSPENDING is taken")), "{outcome:?}");
    // A refresh alone brings nothing new.
    let outcome = bench.act(Verb::RefreshSecret, Options::default()).await;
    assert!(
        matches!(&outcome, Outcome::Verified(how) if how.contains("the content is as it was")),
        "{outcome:?}"
    );
    bench.assert_no_value_was_seen();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_became_of_a_rotation_that_was_killed_is_found_out() {
    let bench = Bench::start("quiet").await;
    let plan = bench.plan(Verb::Rotate, &bench.external(), Options::default()).await;
    // Killed after the record was written and before AWS was asked.
    let target = plan.request.targets[0].clone();
    let begun = bench
        .desk
        .audit
        .begin(
            "19b-killed",
            opsdeck::audit::Intent {
                context: bench.desk.rules.context.clone(),
                environment: "dev".to_owned(),
                verb: "rotate".to_owned(),
                protected: false,
                targets: vec![target],
                tenant: None,
                title: plan.title.clone(),
                options: Value::Null,
                who: opsdeck::audit::Who { server: "alice".to_owned(), local: "alice on laptop".to_owned() },
                reason: String::new(),
                confirmation: "yes".to_owned(),
                checks: Vec::new(),
                command: String::new(),
                holds: Vec::new(),
                changes: Vec::new(),
                undoes: None,
                rule: None,
            },
            bench.clock.now(),
        )
        .await
        .unwrap();
    drop(begun);
    let closed = actions::close(&bench.desk).await.unwrap();
    let [one] = closed.as_slice() else { panic!("{closed:?}") };
    assert!(one.text.contains("AWS was not asked"), "{}", one.text);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_value_comes_to_the_screen_of_who_typed_the_name_and_to_no_other_place() {
    let mut bench = Bench::start("quiet").await;
    let secret = bench.object("", "secrets", "checkout-credentials");
    let plan = bench.plan(Verb::Reveal, &secret, Options::default()).await;
    let stop = plan.lines.iter().find(|line| line.mark == Mark::Stop).unwrap();
    assert!(stop.text.contains("it has DB_PASSWORD, DB_USER"), "{}", stop.text);
    let options = Options { key: Some("DB_PASSWORD".to_owned()), ..Options::default() };
    let plan = bench.plan(Verb::Reveal, &secret, options).await;
    assert!(plan.can_run(), "{:#?}", plan.lines);
    let Confirmation::Type(name) = plan.confirmation.clone() else { panic!("{:?}", plan.confirmation) };
    bench.shown.push_str(&serde_json::to_string(&plan).unwrap());
    let confirmed = actions::confirm(&mut bench.gate, plan, Answer::Typed(name), bench.clock.now()).unwrap();
    let (screen, mut values) = mpsc::channel(1);
    let (progress, _kept) = mpsc::channel(64);
    let (_hand, steer) = actions::Steer::new(&CancellationToken::new());
    let steer = steer.with_screen(screen);
    let outcome =
        actions::carry_out_steered(&bench.desk, confirmed, Follow::ToTheEnd, &progress, &steer).await;
    assert!(matches!(outcome, Outcome::Verified(_)), "{outcome:?}");
    let revealed = values.try_recv().unwrap();
    assert!(revealed.value.shown().unwrap().starts_with(CANARY));
    bench.shown.extend([format!("{revealed:?} {outcome:?}")]);
    // A key that is not there is named, and nothing of the others.
    let options = Options { key: Some("NOTHING".to_owned()), ..Options::default() };
    let plan = bench.plan(Verb::Reveal, &secret, options).await;
    let Confirmation::Type(name) = plan.confirmation.clone() else { panic!("{:?}", plan.confirmation) };
    let confirmed = actions::confirm(&mut bench.gate, plan, Answer::Typed(name), bench.clock.now()).unwrap();
    let outcome =
        actions::carry_out_steered(&bench.desk, confirmed, Follow::ToTheEnd, &progress, &steer).await;
    assert!(matches!(&outcome, Outcome::Failed(why) if why.contains("key NOTHING")), "{outcome:?}");
    bench.shown.push_str(outcome.detail());
    bench.assert_no_value_was_seen();
}

fn opsdeck(home: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_opsdeck"))
        .args(arguments)
        .env("HOME", home)
        .env("OPSDECK_STATE_DIR", home)
        .env("OPSDECK_CONFIG_DIR", home)
        .output()
        .unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_command_line_rotates_and_no_file_or_output_holds_a_value() {
    let home = TempDir::new().unwrap();
    opsdeck::install_crypto_provider();
    let world = still::world("leaked-secret");
    let platform = Platform::start(Start { world, ..Start::default() }).await.unwrap();
    let keys = platform.write_aws_credentials().unwrap();
    let config = format!(
        "[contexts.\"*\"]\nenvironment = \"dev\"\ncloudwatch = {{ url = \"{}\", secrets_url = \"{}\", region = \"{REGION}\", credentials_file = {:?} }}\n",
        platform.cloudwatch.url,
        platform.secrets_manager.url,
        keys.display().to_string()
    );
    std::fs::write(home.path().join("config.toml"), config).unwrap();
    let kubeconfig = platform.kubeconfig.display().to_string();
    let folder = home.path().to_owned();
    let run = move |arguments: Vec<&'static str>| {
        let (kubeconfig, folder) = (kubeconfig.clone(), folder.clone());
        tokio::task::spawn_blocking(move || {
            let scope = ["--kubeconfig", &kubeconfig, "-n", "tenant-2"];
            let arguments: Vec<&str> = arguments.iter().copied().chain(scope).collect();
            let output = opsdeck(&folder, &arguments);
            let text = format!(
                "{}{}",
                String::from_utf8_lossy(&output.stdout),
                String::from_utf8_lossy(&output.stderr)
            );
            (output.status.code(), text)
        })
    };
    let (code, table) =
        run(vec!["get", "externalsecrets", "checkout-credentials", "-o", "json"]).await.unwrap();
    assert_eq!(code, Some(0), "{table}");
    assert!(table.contains("SecretSynced"), "{table}");
    let (code, secrets) = run(vec!["get", "secrets", "-o", "yaml"]).await.unwrap();
    assert_eq!(code, Some(0), "{secrets}");
    let (code, plan) = run(vec!["rotate", "checkout-credentials", "--plan", "-o", "json"]).await.unwrap();
    assert_eq!(code, Some(0), "{plan}");
    assert!(plan.contains("\"can_run\":true") || plan.contains("\"can_run\": true"), "{plan}");
    let (code, refused) = run(vec!["rotate", "checkout-credentials", "--wait"]).await.unwrap();
    assert_ne!(code, Some(0), "{refused}");
    let (code, done) =
        run(vec!["rotate", "checkout-credentials", "--yes", "--wait", "--reason", "INC-9"]).await.unwrap();
    assert_eq!(code, Some(0), "{done}");
    assert!(done.contains("verified: rotated:"), "{done}");
    for said in [&table, &secrets, &plan, &done] {
        assert!(!said.contains(CANARY), "{said}");
    }
    for entry in std::fs::read_dir(home.path()).unwrap() {
        let path = entry.unwrap().path();
        if let Ok(text) = std::fs::read_to_string(&path) {
            assert!(!text.contains(CANARY), "{}", path.display());
        }
    }
}
