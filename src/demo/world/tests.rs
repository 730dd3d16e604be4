use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::{Options, World};
use crate::demo::deletion::DeleteOptions;
use crate::demo::images::{Behaviour, Image};
use crate::demo::objects::Key;
use crate::demo::types::Type;
use crate::demo::untyped::{condition, list, number, text};

fn start() -> Timestamp {
    "2026-03-02T09:05:00Z".parse().unwrap()
}

fn quiet() -> Options {
    Options { alive: false, tenants: 4, nodes: 9, ..Options::default() }
}

/// A world and the hands of its clock.
struct Stage {
    world: World,
    now: Timestamp,
}

impl Stage {
    fn new(options: &Options) -> Self {
        Self { world: World::new(options, start()), now: start() }
    }

    fn pass(&mut self, seconds: i64) {
        self.now = self.now.checked_add(SignedDuration::from_secs(seconds)).unwrap();
        self.world.step(self.now);
    }

    fn get(&self, key: &Key) -> Value {
        self.world.objects.get_value(key).unwrap()
    }

    fn edit(&mut self, key: &Key, change: impl FnOnce(&mut Value)) {
        self.world.objects.modify(key, self.now, change).unwrap();
    }

    /// Steps second by second until `done`, for at most `most` seconds; returns how long it took.
    #[track_caller]
    fn until(&mut self, most: i64, done: impl Fn(&World) -> bool) -> i64 {
        for passed in 0..most {
            if done(&self.world) {
                return passed;
            }
            self.pass(1);
        }
        panic!("not within {most} s");
    }

    /// Returns a deployment with more than one replica that nothing scales, and its container's image.
    fn deployment(&self) -> (Key, Image) {
        let key = self
            .world
            .estate
            .apps()
            .find(|(_, app)| app.name == "checkout" && app.replicas > 1)
            .map(|(_, app)| Key::new(Type::Deployment, &app.namespace, &app.name))
            .unwrap();
        let image = text(&self.get(&key), "/spec/template/spec/containers/0/image").to_owned();
        (key, Image::parse(&image))
    }
}

fn set_image(stage: &mut Stage, key: &Key, image: &Image) {
    stage.edit(key, |object| {
        object["spec"]["template"]["spec"]["containers"][0]["image"] = json!(image.to_string());
    });
}

fn rolled_out(world: &World, key: &Key) -> bool {
    let object = world.objects.get_value(key).unwrap();
    let wanted = number(&object, "/spec/replicas");
    object["status"]["observedGeneration"] == object["metadata"]["generation"]
        && number(&object, "/status/updatedReplicas") == wanted
        && number(&object, "/status/replicas") == wanted
        && number(&object, "/status/availableReplicas") == wanted
}

#[test]
fn a_step_in_slices_comes_to_the_same_as_a_step_in_one_go() {
    let options = Options { tenants: 2, nodes: 5, churn: 20, ..Options::default() };
    let (mut whole, mut sliced) = (Stage::new(&options), Stage::new(&options));
    let mut most = 0;
    for _ in 0..3 {
        whole.pass(20);
        sliced.now = whole.now;
        let mut slices = 1;
        while !sliced.world.step_while(sliced.now, || false) {
            slices += 1;
            // A request is answered between two slices, as of now.
            assert!(sliced.world.objects.count(Type::Pod) > 0);
        }
        most = most.max(slices);
    }
    assert!(most > 100, "a slice ends after one reconcile: {most}");
    let told = |stage: &Stage| {
        let objects = Type::ALL.iter().flat_map(|kind| stage.world.objects.list(*kind, None));
        objects.map(|object| String::from_utf8_lossy(&object.json).into_owned()).collect::<Vec<_>>()
    };
    assert_eq!(told(&sliced), told(&whole));
    assert_eq!(sliced.world.now(), whole.now);
}

#[test]
fn a_fresh_world_has_nothing_to_reconcile() {
    let mut stage = Stage::new(&quiet());
    let before = stage.world.objects.revision();
    for kind in Type::ALL {
        let keys: Vec<Key> = stage.world.objects.list(*kind, None).map(|object| object.key.clone()).collect();
        for key in keys {
            stage.world.look_again(&key);
        }
    }
    stage.world.step(start());
    let changed: Vec<String> = stage
        .world
        .objects
        .changes_since(before)
        .unwrap()
        .map(|change| {
            let before =
                change.before.as_ref().map(|before| String::from_utf8_lossy(&before.json).into_owned());
            format!(
                "{}\n  {}\n  {}",
                change.object.key,
                before.unwrap_or_default(),
                String::from_utf8_lossy(&change.object.json)
            )
        })
        .collect();
    assert!(
        changed.is_empty(),
        "{} changes, such as {}",
        changed.len(),
        changed[..changed.len().min(3)].join("\n")
    );
}

#[test]
fn a_fresh_world_has_every_pod_running_on_a_node_that_is_ready() {
    let stage = Stage::new(&quiet());
    let pods: Vec<Value> = stage.world.objects.list(Type::Pod, None).map(|object| object.value()).collect();
    assert!((90..350).contains(&pods.len()), "{}", pods.len());
    for pod in pods.iter().filter(|pod| text(pod, "/status/phase") != "Succeeded") {
        assert_eq!(text(pod, "/status/phase"), "Running", "{}", pod["metadata"]["name"]);
        assert_eq!(condition(pod, "Ready"), "True");
        let node = stage.get(&Key::new(Type::Node, "", text(pod, "/spec/nodeName")));
        assert_eq!(condition(&node, "Ready"), "True");
    }
    let sizes: Vec<usize> =
        stage.world.objects.list(Type::Pod, None).map(|object| object.json.len()).collect();
    let mean = sizes.iter().sum::<usize>() / sizes.len();
    assert!((3_500..8_500).contains(&mean), "a pod has {mean} bytes");
}

#[test]
fn a_rollout_completes_and_keeps_enough_pods_available() {
    let mut stage = Stage::new(&quiet());
    let (key, image) = stage.deployment();
    let before = stage.get(&key);
    let wanted = number(&before, "/spec/replicas");
    set_image(&mut stage, &key, &Image::new(&image.repository, "9.9.9"));
    stage.pass(1);
    let mut least = wanted;
    for _ in 0..120 {
        stage.pass(1);
        least = least.min(number(&stage.get(&key), "/status/availableReplicas"));
        if rolled_out(&stage.world, &key) {
            break;
        }
    }
    assert!(rolled_out(&stage.world, &key), "{:#}", stage.get(&key)["status"]);
    assert!(least >= wanted - 1, "{least} of {wanted}");
    let after = stage.get(&key);
    let revision =
        |object: &Value| object["metadata"]["annotations"]["deployment.kubernetes.io/revision"].clone();
    assert_ne!(revision(&before), revision(&after));
    let pods = stage.world.objects.list(Type::Pod, Some(&key.namespace));
    let new = pods
        .filter(|pod| pod.value()["spec"]["containers"][0]["image"] == format!("{}:9.9.9", image.repository));
    assert_eq!(i64::try_from(new.count()).unwrap(), wanted);
}

#[test]
fn a_bad_image_crash_loops_and_a_rollback_heals() {
    let mut stage = Stage::new(&quiet());
    let (key, good) = stage.deployment();
    let template = stage.get(&key)["spec"]["template"].clone();
    let bad = Image::new(&good.repository, "1.8.0");
    stage.world.images.set(bad.clone(), Behaviour::Crash);
    set_image(&mut stage, &key, &bad);
    let looping = |world: &World| {
        world.objects.list(Type::Pod, Some(&key.namespace)).any(|pod| {
            let pod = pod.value();
            list(&pod, "/status/containerStatuses").iter().any(|status| {
                status["state"]["waiting"]["reason"] == "CrashLoopBackOff"
                    && number(status, "/restartCount") >= 2
            })
        })
    };
    stage.until(90, looping);
    stage.until(150, |world| {
        let object = world.objects.get_value(&key).unwrap();
        list(&object, "/status/conditions").iter().any(|found| found["reason"] == "ProgressDeadlineExceeded")
    });
    assert_eq!(condition(&stage.get(&key), "Available"), "True", "the old pods still serve");
    stage.edit(&key, |object| object["spec"]["template"] = template);
    stage.pass(1);
    stage.until(120, |world| rolled_out(world, &key));
    stage.pass(10);
    assert!(!looping(&stage.world));
}

#[test]
fn a_full_quota_blocks_pods_until_there_is_room() {
    let mut stage = Stage::new(&quiet());
    let (key, _) = stage.deployment();
    let quota = Key::new(Type::ResourceQuota, &key.namespace, "tenant");
    let used = stage.get(&quota)["status"]["used"]["pods"].clone();
    let pods = stage.world.objects.list(Type::Pod, Some(&key.namespace)).count();
    assert_eq!(used, json!(pods.to_string()));
    stage.edit(&quota, |object| object["spec"]["hard"]["pods"] = used.clone());
    let wanted = number(&stage.get(&key), "/spec/replicas") + 1;
    stage.edit(&key, |object| object["spec"]["replicas"] = json!(wanted));
    stage.pass(20);
    assert!(!rolled_out(&stage.world, &key));
    assert_eq!(condition(&stage.get(&key), "ReplicaFailure"), "True");
    let refused = events(&stage.world, "FailedCreate").next().unwrap();
    assert!(
        text(&refused, "/message").contains("exceeded quota: tenant, requested: pods=1, used: pods="),
        "{refused}"
    );
    stage.edit(&quota, |object| object["spec"]["hard"]["pods"] = json!((pods + 5).to_string()));
    stage.until(60, |world| rolled_out(world, &key));
    stage.pass(2);
    assert_eq!(stage.get(&quota)["status"]["used"]["pods"], json!((pods + 1).to_string()));
    assert_ne!(condition(&stage.get(&key), "ReplicaFailure"), "True");
}

#[test]
fn a_cron_job_runs_by_the_clock_and_keeps_its_last_three_jobs() {
    let mut stage = Stage::new(&quiet());
    let cron = stage.world.objects.list(Type::CronJob, None).next().unwrap().key.clone();
    for _ in 0..75 {
        stage.pass(60);
    }
    let done =
        stage.world.objects.list(Type::Job, Some(&cron.namespace)).filter(|job| {
            job.key.name.starts_with(&*cron.name) && condition(&job.value(), "Complete") == "True"
        });
    assert_eq!(done.count(), 3);
    assert_eq!(stage.get(&cron)["status"]["lastScheduleTime"], "2026-03-02T10:15:00Z");
}

#[test]
fn a_busy_application_is_scaled_up_and_later_down_again() {
    let mut stage = Stage::new(&quiet());
    let (namespace, name, replicas) = stage
        .world
        .estate
        .apps()
        .find(|(_, app)| app.profile.autoscaled)
        .map(|(_, app)| (app.namespace.clone(), app.name.clone(), i64::from(app.replicas)))
        .unwrap();
    let key = Key::new(Type::Deployment, &namespace, &name);
    let wanted = |world: &World| number(&world.objects.get_value(&key).unwrap(), "/spec/replicas");
    stage.pass(40);
    assert_eq!(wanted(&stage.world), replicas);
    let now = stage.world.now();
    stage.world.load.set(&namespace, &name, 2.2, now);
    stage.until(60, |world| wanted(world) > replicas && rolled_out(world, &key));
    let now = stage.world.now();
    stage.world.load.set(&namespace, &name, 1.0, now);
    stage.until(300, |world| wanted(world) == replicas);
}

#[test]
fn a_forced_refresh_is_seen_in_the_external_secret() {
    let mut stage = Stage::new(&quiet());
    let key = stage.world.objects.list(Type::ExternalSecret, None).next().unwrap().key.clone();
    let before = stage.get(&key)["status"]["refreshTime"].clone();
    stage.pass(5);
    assert_eq!(stage.get(&key)["status"]["refreshTime"], before);
    stage.edit(&key, |object| object["metadata"]["annotations"]["force-sync"] = json!("1"));
    stage.pass(1);
    assert_eq!(stage.get(&key)["status"]["refreshTime"], "2026-03-02T09:05:06Z");
}

#[test]
fn a_certificate_is_renewed_when_its_issuing_is_triggered() {
    let mut stage = Stage::new(&quiet());
    let key = stage.world.objects.list(Type::Certificate, None).next().unwrap().key.clone();
    let before = number(&stage.get(&key), "/status/revision");
    stage.edit(&key, |object| {
        let issuing = json!({"type": "Issuing", "status": "True", "reason": "ManuallyTriggered", "lastTransitionTime": "2026-03-02T09:05:00Z"});
        object["status"]["conditions"].as_array_mut().unwrap().push(issuing);
    });
    stage
        .until(30, |world| number(&world.objects.get_value(&key).unwrap(), "/status/revision") == before + 1);
    assert_eq!(condition(&stage.get(&key), "Issuing"), "");
}

#[test]
fn the_load_generator_changes_as_many_objects_as_asked_for() {
    let mut stage = Stage::new(&Options { churn: 100, ..quiet() });
    stage.pass(1);
    let before = stage.world.objects.revision();
    stage.pass(10);
    let changes = stage.world.objects.revision() - before;
    assert!((900..1_300).contains(&changes), "{changes}");
}

#[test]
fn a_service_sends_traffic_to_ready_pods_only() {
    let mut stage = Stage::new(&quiet());
    let (key, image) = stage.deployment();
    let slice = |world: &World| {
        let found = world
            .objects
            .list(Type::EndpointSlice, Some(&key.namespace))
            .find(|slice| slice.label("kubernetes.io/service-name") == Some(&key.name));
        found.unwrap().value()
    };
    let ready = |slice: &Value| {
        list(slice, "/endpoints").iter().filter(|one| one["conditions"]["ready"] == true).count()
    };
    let before = slice(&stage.world);
    assert_eq!(i64::try_from(ready(&before)).unwrap(), number(&stage.get(&key), "/spec/replicas"));
    assert_eq!(before["ports"][0]["port"], 8080);
    // The older form says the same.
    let service = before["metadata"]["labels"]["kubernetes.io/service-name"].as_str().unwrap().to_owned();
    let older = Key::new(Type::Endpoints, &key.namespace, &service);
    let addresses =
        |stage: &Stage, field: &str| stage.get(&older)["subsets"][0][field].as_array().map_or(0, Vec::len);
    assert_eq!((addresses(&stage, "addresses"), addresses(&stage, "notReadyAddresses")), (ready(&before), 0));
    assert_eq!(stage.get(&older)["subsets"][0]["ports"], before["ports"]);
    set_image(&mut stage, &key, &Image::new(&image.repository, "unready"));
    stage.pass(30);
    let after = slice(&stage.world);
    assert!(ready(&after) < list(&after, "/endpoints").len());
    assert_eq!(addresses(&stage, "addresses"), ready(&after));
    // Pods that are going stand in slices only.
    let waiting = list(&after, "/endpoints")
        .iter()
        .filter(|one| one["conditions"]["ready"] == false && one["conditions"]["terminating"] == false);
    assert_eq!(addresses(&stage, "notReadyAddresses"), waiting.count());
    stage.world.with(|cx| cx.delete(&Key::new(Type::Service, &older.namespace, &older.name)));
    stage.pass(5);
    assert!(stage.world.objects.get(&older).is_none(), "it goes with its Service");
}

/// Returns a spot claim whose node runs pods of tenants.
fn spot_claim(stage: &Stage) -> (Key, Key) {
    let claims = stage.world.objects.list(Type::NodeClaim, None);
    let claim = claims
        .filter(|claim| claim.label("karpenter.sh/capacity-type") == Some("spot"))
        .find(|claim| {
            let node = text(&claim.value(), "/status/nodeName").to_owned();
            stage.world.view.on_node(&node).any(|(key, _)| key.namespace.starts_with("tenant"))
        })
        .unwrap();
    (claim.key.clone(), Key::new(Type::Node, "", text(&claim.value(), "/status/nodeName")))
}

fn all_settled(world: &World) -> bool {
    world.objects.list(Type::Pod, None).all(|pod| {
        let pod = pod.value();
        text(&pod, "/status/phase") == "Succeeded" || condition(&pod, "Ready") == "True"
    })
}

fn events<'a>(world: &'a World, reason: &'a str) -> impl Iterator<Item = Value> + 'a {
    world
        .objects
        .list(Type::Event, None)
        .map(|event| event.value())
        .filter(move |event| event["reason"] == reason)
}

#[test]
fn a_spot_interruption_drains_the_node_and_its_pods_run_elsewhere() {
    let mut stage = Stage::new(&quiet());
    let (claim, node) = spot_claim(&stage);
    // Pods of jobs that are done go with their node.
    let serving = |world: &World| {
        world
            .objects
            .list(Type::Pod, None)
            .filter(|pod| pod.field("status.phase") != Some("Succeeded"))
            .count()
    };
    let before = serving(&stage.world);
    stage.world.with(|cx| crate::demo::disruption::interrupt(cx, &claim));
    stage.pass(1);
    let marked = stage.get(&node);
    assert!(list(&marked, "/spec/taints").iter().any(|taint| taint["key"] == "karpenter.sh/disrupted"));
    assert_eq!(events(&stage.world, "SpotInterrupted").count(), 2);
    assert!(events(&stage.world, "SpotInterrupted").all(|event| event["metadata"]["namespace"] == "default"));
    let took =
        stage.until(150, |world| world.objects.get(&node).is_none() && world.objects.get(&claim).is_none());
    assert!(took >= 3);
    stage.until(90, all_settled);
    let daemons = 5;
    assert!(serving(&stage.world) >= before - daemons);
}

#[test]
fn a_claim_that_is_deleted_takes_its_node_along() {
    let mut stage = Stage::new(&quiet());
    let (claim, node) = spot_claim(&stage);
    stage.world.objects.delete(&claim, &DeleteOptions::default(), stage.now).unwrap();
    stage.until(150, |world| world.objects.get(&node).is_none() && world.objects.get(&claim).is_none());
    stage.until(90, all_settled);
}

#[test]
fn pods_that_fit_nowhere_get_a_node_that_goes_again_when_it_is_empty() {
    let mut stage = Stage::new(&Options { tenants: 2, nodes: 4, ..quiet() });
    let (key, _) = stage.deployment();
    let nodes = stage.world.objects.count(Type::Node);
    let quota = Key::new(Type::ResourceQuota, &key.namespace, "tenant");
    stage.world.objects.delete(&quota, &DeleteOptions::default(), stage.now).unwrap();
    let replicas = number(&stage.get(&key), "/spec/replicas");
    stage.edit(&key, |object| object["spec"]["replicas"] = json!(100));
    stage.pass(1);
    assert!(events(&stage.world, "FailedScheduling").next().is_some());
    stage.until(90, |world| rolled_out(world, &key));
    assert!(stage.world.objects.count(Type::Node) > nodes);
    assert!(events(&stage.world, "Nominated").next().is_some());
    assert!(events(&stage.world, "Initialized").next().is_some());
    stage.edit(&key, |object| object["spec"]["replicas"] = json!(replicas));
    stage.until(400, |world| world.objects.count(Type::Node) <= nodes);
}

#[test]
fn a_budget_blocks_a_drain_until_it_allows_one() {
    let mut stage = Stage::new(&quiet());
    let (key, _) = stage.deployment();
    let budget = Key::new(Type::PodDisruptionBudget, &key.namespace, &key.name);
    stage.edit(&budget, |object| object["spec"]["maxUnavailable"] = json!(0));
    stage.pass(1);
    let pod = stage
        .world
        .objects
        .list(Type::Pod, Some(&key.namespace))
        .find(|pod| pod.label("app.kubernetes.io/name") == Some(&key.name));
    let pod = pod.unwrap().key.clone();
    let refused = stage.world.with(|cx| crate::demo::budgets::evict(cx, &pod)).unwrap_err();
    assert_eq!(refused.code(), 429);
    assert_eq!(refused.causes[0].reason, "DisruptionBudget");
    let node = text(&stage.get(&pod), "/spec/nodeName").to_owned();
    let claim = stage
        .world
        .objects
        .list(Type::NodeClaim, None)
        .find(|claim| claim.value()["status"]["nodeName"] == node);
    if let Some(claim) = claim.map(|claim| claim.key.clone()) {
        stage.world.objects.delete(&claim, &DeleteOptions::default(), stage.now).unwrap();
        stage.pass(60);
        assert!(stage.world.objects.get(&claim).is_some(), "the drain must wait");
        assert!(events(&stage.world, "FailedDraining").next().is_some());
        stage.edit(&budget, |object| object["spec"]["maxUnavailable"] = json!(1));
        stage.until(120, |world| world.objects.get(&claim).is_none());
    }
}

#[test]
fn at_rest_the_nodes_stay() {
    // What tests of actions rely on, at their size.
    let options = Options { tenants: 3, pods_per_tenant: 6, nodes: 4, alive: false, ..Options::default() };
    let mut stage = Stage::new(&options);
    let names = |stage: &Stage| -> Vec<Key> {
        stage.world.objects.list(Type::Node, None).map(|node| node.key.clone()).collect()
    };
    let before = names(&stage);
    for _ in 0..720 {
        stage.pass(5);
    }
    assert_eq!(names(&stage), before);
}

#[test]
fn a_changed_pool_drifts_its_claims_and_replaces_them_within_the_budget() {
    let mut stage = Stage::new(&quiet());
    let pool = Key::new(Type::NodePool, "", "spot");
    let (claim, _) = spot_claim(&stage);
    stage.edit(&pool, |pool| pool["spec"]["template"]["metadata"]["labels"]["generation"] = json!("2"));
    stage.pass(1);
    assert_eq!(condition(&stage.get(&claim), "Drifted"), "True");
    let of_pool = |world: &World| {
        world
            .objects
            .list(Type::NodeClaim, None)
            .filter(|claim| claim.label("karpenter.sh/nodepool") == Some("spot"))
            .count()
    };
    let before = of_pool(&stage.world);
    stage.until(900, |world| {
        assert!(of_pool(world) <= before + 3);
        world.objects.list(Type::NodeClaim, None).all(|claim| condition(&claim.value(), "Drifted") != "True")
    });
    assert_eq!(of_pool(&stage.world), before);
}

#[test]
fn the_same_seed_and_steps_give_identical_objects() {
    let run = || {
        let mut stage = Stage::new(&Options::default());
        let (key, image) = stage.deployment();
        set_image(&mut stage, &key, &Image::new(&image.repository, "bad"));
        for _ in 0..40 {
            stage.pass(3);
        }
        let all = Type::ALL.iter().flat_map(|kind| stage.world.objects.list(*kind, None));
        all.map(|object| object.json.to_vec()).collect::<Vec<_>>()
    };
    assert!(run() == run());
}

#[test]
fn ten_thousand_pods_are_built_at_rest() {
    let options =
        Options { tenants: 40, pods_per_tenant: 250, nodes: 200, applications: Some(400), ..quiet() };
    let stage = Stage::new(&options);
    assert!(stage.world.objects.count(Type::Pod) >= 10_000);
    assert_eq!(stage.world.objects.count(Type::Node), 200);
    let pending =
        stage.world.objects.list(Type::Pod, None).filter(|pod| pod.field("spec.nodeName") == Some(""));
    assert_eq!(pending.count(), 0);
    assert_eq!(stage.world.estate.apps().count(), 400);
}

#[test]
fn a_rotated_secret_reaches_its_pods_only_step_by_step() {
    let mut stage = Stage::new(&quiet());
    let app = stage.world.estate.apps().map(|(_, app)| app).find(|app| {
        app.profile.secret
            && app.environment == crate::demo::estate::Environment::Prod
            && app.profile.workload == crate::demo::estate::Workload::Deployment
    });
    let app = app.unwrap().clone();
    let name = format!("{}-credentials", app.name);
    let external = Key::new(Type::ExternalSecret, &app.namespace, &name);
    let secret = Key::new(Type::Secret, &app.namespace, &name);
    let deployment = Key::new(Type::Deployment, &app.namespace, &app.name);
    stage.pass(5);
    let before = stage.get(&secret);
    let template = stage.get(&deployment)["spec"]["template"].clone();
    let remote = text(&stage.get(&external), "/spec/data/0/remoteRef/key").to_owned();
    let now = stage.now;
    stage.world.vault.rotate(&remote, "0b1e7a3c-9d5f-42e4-a1b2-c3d4e5f60718", now).unwrap();
    stage.pass(30);
    // AWS has it; the cluster has not heard of it, and nobody restarts anything.
    assert_eq!(stage.get(&secret), before);
    stage.edit(&external, |object| object["metadata"]["annotations"]["force-sync"] = json!("1"));
    stage.pass(1);
    let after = stage.get(&secret);
    let hash = "/metadata/annotations/reconcile.external-secrets.io~1data-hash";
    assert_ne!(after["data"], before["data"]);
    assert_ne!(after.pointer(hash), before.pointer(hash));
    assert_eq!(after["metadata"]["managedFields"][0]["time"], "2026-03-02T09:05:36Z");
    stage.pass(1);
    let told = stage.get(&deployment);
    assert_ne!(told["spec"]["template"], template);
    let note = "/spec/template/metadata/annotations/reloader.stakater.com~1last-reloaded-from";
    assert!(text(&told, note).contains(&name));
    stage.until(120, |world| rolled_out(world, &deployment));
    // A refresh that brings the same leaves the Secret alone.
    let settled = stage.get(&secret);
    stage.edit(&external, |object| object["metadata"]["annotations"]["force-sync"] = json!("2"));
    stage.pass(2);
    assert_eq!(stage.get(&secret), settled);
}

#[test]
fn a_refresh_that_fails_keeps_the_time_of_the_last_good_one() {
    let mut stage = Stage::new(&quiet());
    let key = stage.world.objects.list(Type::ExternalSecret, None).next().unwrap().key.clone();
    let before = stage.get(&key)["status"]["refreshTime"].clone();
    stage.edit(&key, |object| object["spec"]["data"][0]["remoteRef"]["key"] = json!("nowhere"));
    stage.pass(2);
    let failed = stage.get(&key);
    assert_eq!(failed["status"]["refreshTime"], before);
    assert_eq!(condition(&failed, "Ready"), "False");
    assert_eq!(failed["status"]["conditions"][0]["reason"], "SecretSyncedError");
}
