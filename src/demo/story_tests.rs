//! The stories, played: each reaches the state that it describes, and its cure works.

use serde_json::{Value, json};

use super::argo_manifests::NAMESPACE;
use super::argo_tests::{Platform, key, message, phase_is, rollback, start};
use super::director::begin;
use super::numbers::Numbers;
use super::objects::Key;
use super::podlog::Log;
use super::podlog::scene::Scene;
use super::promql::{Matcher, Op, Samples, is_stale};
use super::types::Type;
use super::untyped::{list, number, text};
use super::world::Options;

fn play(story: &str) -> Platform {
    let dir = tempfile::tempdir().unwrap();
    let options = Options {
        tenants: 4,
        pods_per_tenant: 12,
        nodes: 6,
        alive: false,
        story: story.to_owned(),
        ..Options::default()
    };
    let world = begin(&options, start(), dir.path()).unwrap();
    Platform { dir, world }
}

fn health_is(app: &Value, health: &str) -> bool {
    text(app, "/status/health/status") == health
}

fn hold(platform: &mut Platform, name: &str) {
    platform.edit(&key(name), |app| app["spec"]["syncPolicy"]["automated"]["enabled"] = json!(false));
}

/// Rolls back to the entry before the last one.
fn roll_back(platform: &mut Platform, name: &str) {
    let app = platform.app(name);
    let history = list(&app, "/status/history");
    let operation = rollback(&app, &history[history.len() - 2]);
    platform.operate(name, operation);
}

const CHECKOUT: &str = "tenant-2-checkout";

#[test]
fn a_bad_deploy_is_under_way_when_a_client_first_looks_and_a_rollback_heals_it() {
    let mut platform = play("bad-deploy");
    assert_eq!(platform.world.now(), start());
    let app = platform.app(CHECKOUT);
    assert!(health_is(&app, "Degraded"), "{:#}", app["status"]["health"]);
    let last = list(&app, "/status/history").last().unwrap();
    let age = start().duration_since(text(last, "/deployedAt").parse().unwrap()).as_secs();
    assert!((600..=720).contains(&age), "deployed {age} seconds ago");
    assert_eq!(last["initiatedBy"], json!({"automated": true}));
    let crashing = |platform: &Platform| {
        let pods = platform.world.objects.list(Type::Pod, Some("tenant-2")).map(|pod| pod.value());
        pods.filter(|pod| text(pod, "/spec/containers/0/image").ends_with("checkout:1.8.0"))
            .filter(|pod| number(pod, "/status/containerStatuses/0/restartCount") > 2)
            .count()
    };
    assert!(crashing(&platform) > 0);
    hold(&mut platform, CHECKOUT);
    roll_back(&mut platform, CHECKOUT);
    platform.until(60, CHECKOUT, |app| health_is(app, "Healthy") && app["operation"].is_null());
    assert_eq!(crashing(&platform), 0);
    let deployment = Key::new(Type::Deployment, "tenant-2", "checkout");
    let deployment = platform.world.objects.get_value(&deployment).unwrap();
    assert!(text(&deployment, "/spec/template/spec/containers/0/image").ends_with("checkout:1.7.4"));
    platform.pass(120);
    assert!(health_is(&platform.app(CHECKOUT), "Healthy"), "the hold keeps it there");
}

#[test]
fn the_same_seed_tells_the_same_story() {
    let state = || {
        let platform = play("bad-deploy");
        let app = platform.app(CHECKOUT);
        (platform.world.objects.revision(), app)
    };
    assert_eq!(state(), state());
}

#[test]
fn a_frozen_window_holds_the_rollback_until_it_is_lifted() {
    let mut platform = play("frozen-window");
    assert!(health_is(&platform.app(CHECKOUT), "Degraded"));
    hold(&mut platform, CHECKOUT);
    roll_back(&mut platform, CHECKOUT);
    platform.pass(90);
    let app = platform.app(CHECKOUT);
    assert!(phase_is(&app, "Running"));
    assert_eq!(message(&app), "Sync operation blocked by sync window");
    let project = Key::new(Type::AppProject, NAMESPACE, "tenant-2");
    let windows = list(&platform.world.objects.get_value(&project).unwrap(), "/spec/syncWindows").to_vec();
    let freeze = windows.iter().find(|window| window["description"] == "freeze").unwrap();
    let closes = super::argo_window::start_after(freeze, super::untyped::later(start(), -600.0)).unwrap();
    assert_eq!(closes.to_string(), "2026-11-21T11:55:00Z");
    // Projects are in git, and their parent would heal the edit before the sync is over.
    platform.edit(&key("platform"), |app| app["spec"]["syncPolicy"]["automated"] = Value::Null);
    platform.edit(&project, |project| project["spec"]["syncWindows"] = json!([]));
    platform.until(90, CHECKOUT, |app| health_is(app, "Healthy") && app["operation"].is_null());
}

#[test]
fn the_set_that_owns_the_application_reverts_the_hold_until_it_is_told_not_to() {
    let mut platform = play("owned-by-applicationset");
    let name = "tenant-3-checkout";
    let app = platform.app(name);
    assert!(health_is(&app, "Degraded"));
    assert_eq!(text(&app, "/metadata/ownerReferences/0/kind"), "ApplicationSet");
    let held = |app: &Value| app["spec"]["syncPolicy"]["automated"]["enabled"] == json!(false);
    hold(&mut platform, name);
    platform.until(10, name, |app| !held(app));
    let set = Key::new(Type::ApplicationSet, NAMESPACE, "tenants");
    platform.edit(&set, |set| {
        set["spec"]["ignoreApplicationDifferences"] = json!([{"jsonPointers": ["/spec/syncPolicy"]}]);
    });
    hold(&mut platform, name);
    roll_back(&mut platform, name);
    platform.until(90, name, |app| health_is(app, "Healthy") && app["operation"].is_null());
    assert!(held(&platform.app(name)));
}

#[test]
fn a_stuck_sync_is_freed_by_terminating_it() {
    let mut platform = play("stuck-sync");
    let app = platform.app(CHECKOUT);
    assert!(phase_is(&app, "Running") && !app["operation"].is_null());
    assert_eq!(message(&app), "waiting for completion of hook batch/Job/checkout-migrate");
    platform.edit(&key(CHECKOUT), |app| app["status"]["operationState"]["phase"] = json!("Terminating"));
    platform.until(5, CHECKOUT, |app| app["operation"].is_null());
    let app = platform.app(CHECKOUT);
    assert!(phase_is(&app, "Failed") && message(&app) == "Operation terminated");
    platform.pass(60);
    let app = platform.app(CHECKOUT);
    assert!(app["operation"].is_null() && health_is(&app, "Healthy"));
    let conditions: Vec<&str> =
        list(&app, "/status/conditions").iter().map(|found| text(found, "/type")).collect();
    assert_eq!(conditions, ["SyncError"]);
}

#[test]
fn a_quiet_day_hurts_nobody() {
    let mut platform = play("quiet");
    platform.pass(120);
    for app in platform.world.objects.list(Type::Application, None) {
        assert!(health_is(&app.value(), "Healthy"), "{}", app.key.name);
    }
}

#[test]
fn a_spot_node_is_taken_back_and_its_pods_run_elsewhere() {
    let mut platform = play("spot-interruption");
    let nodes = |platform: &Platform| -> Vec<String> {
        platform.world.objects.list(Type::Node, None).map(|node| node.key.name.to_string()).collect()
    };
    let unplaced = |platform: &Platform| -> Vec<String> {
        let pods = platform.world.objects.list(Type::Pod, Some("tenant-2"));
        let unready = |pod: &Value| super::untyped::condition(pod, "Ready") != "True";
        let pods = pods
            .map(|pod| pod.value())
            .filter(|pod| text(pod, "/status/phase") != "Succeeded" && unready(pod));
        pods.map(|pod| text(&pod, "/metadata/name").to_owned()).collect()
    };
    let before = nodes(&platform);
    platform.pass(60);
    let warned = |event: &Value| text(event, "/reason") == "SpotInterrupted";
    assert!(platform.world.objects.list(Type::Event, None).any(|event| warned(&event.value())));
    for _ in 0..300 {
        if unplaced(&platform).is_empty() && before.iter().any(|node| !nodes(&platform).contains(node)) {
            return;
        }
        platform.pass(1);
    }
    panic!("nodes before {before:?}, now {:?}, not ready {:?}", nodes(&platform), unplaced(&platform));
}

/// The sum over series of how fast they grew in the last minutes.
#[track_caller]
fn rate(platform: &Platform, metric: &str, labels: &[(&str, &str)], minutes: i64) -> f64 {
    let numbers = Numbers::of(&platform.world);
    let mut matchers = vec![Matcher::equal("__name__", metric)];
    matchers.extend(labels.iter().map(|(name, value)| Matcher::new(name, Op::Like, value).unwrap()));
    let found = numbers.select(&matchers, numbers.now - minutes * 60_000 - 30_000, numbers.now);
    let growth = found.iter().filter_map(|one| {
        let points: Vec<_> = one.points.iter().filter(|point| !is_stale(point.1)).collect();
        let (first, last) = (points.first()?, points.last()?);
        (last.0 > first.0).then(|| (last.1 - first.1) * 1000.0 / (last.0 - first.0) as f64)
    });
    growth.sum()
}

/// The latest value of the one series.
#[track_caller]
fn latest(platform: &Platform, metric: &str, labels: &[(&str, &str)]) -> f64 {
    let numbers = Numbers::of(&platform.world);
    let mut matchers = vec![Matcher::equal("__name__", metric)];
    matchers.extend(labels.iter().map(|(name, value)| Matcher::equal(name, value)));
    let found = numbers.select(&matchers, numbers.now - 60_000, numbers.now);
    assert_eq!(found.len(), 1, "{metric} {labels:?}");
    found[0].points.last().unwrap().1
}

/// Tells whether a container of an application has written a text in the last two minutes.
fn wrote(platform: &Platform, app: &str, words: &str) -> bool {
    let world = &platform.world;
    let since = super::untyped::later(world.now(), -120.0);
    let pods = world.objects.list(Type::Pod, Some("tenant-2"));
    pods.filter(|pod| pod.label("app.kubernetes.io/instance") == Some(app)).any(|pod| {
        let scene = Scene::for_container(world, app, world.now());
        Log::of(&scene, &pod.value(), app, false).is_ok_and(|log| {
            log.lines(since, world.now()).any(|line| String::from_utf8_lossy(&line.text).contains(words))
        })
    })
}

const REQUESTS: &str = "nginx_ingress_controller_requests";

#[test]
fn a_bad_deploy_shows_in_the_ingress_and_is_gone_after_the_rollback() {
    let mut platform = play("bad-deploy");
    let of = |platform: &Platform, status: &str| {
        rate(
            platform,
            REQUESTS,
            &[("ingress", "checkout"), ("exported_namespace", "tenant-2"), ("status", status)],
            5,
        )
    };
    let errors = of(&platform, "5..") / of(&platform, ".*");
    assert!((0.03..0.3).contains(&errors), "{errors} of the requests fail");
    let elsewhere = rate(&platform, REQUESTS, &[("exported_namespace", "tenant-1"), ("status", "5..")], 5)
        / rate(&platform, REQUESTS, &[("exported_namespace", "tenant-1")], 5);
    assert!(elsewhere < 0.005, "{elsewhere}");
    let slow = |platform: &Platform| {
        let labels = [("ingress", "checkout"), ("exported_namespace", "tenant-2")];
        let all = rate(platform, "nginx_ingress_controller_request_duration_seconds_count", &labels, 5);
        let quick = [labels[0], labels[1], ("le", "0\\.5")];
        1.0 - rate(platform, "nginx_ingress_controller_request_duration_seconds_bucket", &quick, 5) / all
    };
    assert!(slow(&platform) > 0.05, "{}", slow(&platform));
    assert!(
        rate(&platform, "kube_pod_container_status_restarts_total", &[("namespace", "tenant-2")], 10) > 0.0
    );
    hold(&mut platform, CHECKOUT);
    roll_back(&mut platform, CHECKOUT);
    platform.until(60, CHECKOUT, |app| health_is(app, "Healthy") && app["operation"].is_null());
    platform.pass(360);
    let errors = of(&platform, "5..") / of(&platform, ".*");
    assert!(errors < 0.01, "{errors} of the requests fail after the rollback");
    assert!(slow(&platform) < 0.03);
}

#[test]
fn a_noisy_neighbour_takes_its_limit_and_throttles_those_beside_it() {
    let mut platform = play("noisy-neighbour");
    let cpu = |platform: &Platform| {
        rate(
            platform,
            "container_cpu_usage_seconds_total",
            &[("namespace", "tenant-2"), ("container", "orders")],
            5,
        )
    };
    let throttled = |platform: &Platform| {
        // Everybody but the one who does it.
        let others = [
            ("namespace", "tenant-.*"),
            ("container", "checkout|catalog|payments|storefront|cache|mailer|inventory"),
        ];
        rate(platform, "container_cpu_cfs_throttled_periods_total", &others, 5)
            / rate(platform, "container_cpu_cfs_periods_total", &others, 5)
    };
    let (loud, hurt) = (cpu(&platform), throttled(&platform));
    assert!(loud > 1.0, "{loud} cores");
    roll_back_held(&mut platform, "tenant-2-orders");
    platform.pass(420);
    let (quiet, fine) = (cpu(&platform), throttled(&platform));
    assert!(quiet < loud / 2.0, "{quiet} after {loud} cores");
    assert!(fine < hurt / 2.0, "throttled {fine} after {hurt}");
}

fn roll_back_held(platform: &mut Platform, name: &str) {
    hold(platform, name);
    roll_back(platform, name);
    platform.until(120, name, |app| health_is(app, "Healthy") && app["operation"].is_null());
}

#[test]
fn a_full_quota_refuses_the_rollout_until_it_is_raised() {
    let mut platform = play("quota-full");
    let used = latest(
        &platform,
        "kube_resourcequota",
        &[("namespace", "tenant-2"), ("resource", "pods"), ("type", "used")],
    );
    let hard = latest(
        &platform,
        "kube_resourcequota",
        &[("namespace", "tenant-2"), ("resource", "pods"), ("type", "hard")],
    );
    assert!(used >= hard, "{used} of {hard}");
    let refused = |event: &Value| {
        text(event, "/reason") == "FailedCreate" && text(event, "/message").contains("exceeded quota: tenant")
    };
    assert!(platform.world.objects.list(Type::Event, Some("tenant-2")).any(|event| refused(&event.value())));
    let deployment = Key::new(Type::Deployment, "tenant-2", "inventory");
    let updated = |platform: &Platform| {
        number(&platform.world.objects.get_value(&deployment).unwrap(), "/status/updatedReplicas")
    };
    assert_eq!(updated(&platform), 0);
    let quota = Key::new(Type::ResourceQuota, "tenant-2", "tenant");
    platform.edit(&quota, |quota| quota["spec"]["hard"]["pods"] = json!("60"));
    platform.pass(120);
    assert!(updated(&platform) > 0 && health_is(&platform.app("tenant-2-inventory"), "Healthy"));
}

#[test]
fn dns_trouble_hurts_everybody_until_coredns_is_restarted() {
    let mut platform = play("dns-trouble");
    let failing = |platform: &Platform| {
        rate(platform, "coredns_dns_responses_total", &[("rcode", "SERVFAIL")], 3)
            / rate(platform, "coredns_dns_responses_total", &[], 3)
    };
    let slow = |platform: &Platform| {
        1.0 - rate(platform, "coredns_dns_request_duration_seconds_bucket", &[("le", "0\\.512")], 3)
            / rate(platform, "coredns_dns_request_duration_seconds_count", &[], 3)
    };
    assert!((0.2..0.45).contains(&failing(&platform)), "{}", failing(&platform));
    assert!(slow(&platform) > 0.2);
    assert!(wrote(&platform, "inventory", "server misbehaving"));
    let errors = |platform: &Platform| {
        rate(platform, REQUESTS, &[("status", "5..")], 3) / rate(platform, REQUESTS, &[], 3)
    };
    assert!(errors(&platform) > 0.005, "{}", errors(&platform));
    let key = Key::new(Type::Deployment, "kube-system", "coredns");
    platform.edit(&key, |deployment| {
        deployment["spec"]["template"]["metadata"]["annotations"] =
            json!({"kubectl.kubernetes.io/restartedAt": "2026-11-21T12:00:01Z"});
    });
    platform.pass(420);
    assert!(failing(&platform) < 0.01, "{}", failing(&platform));
    assert!(!wrote(&platform, "inventory", "server misbehaving"));
    assert!(errors(&platform) < 0.004, "{}", errors(&platform));
}

#[test]
fn a_volume_fills_until_it_is_full_and_is_larger_once_more_is_asked_for() {
    let mut platform = play("volume-full");
    let claim = [("namespace", "tenant-2"), ("persistentvolumeclaim", "data-cache-0")];
    let part = |platform: &Platform| {
        latest(platform, "kubelet_volume_stats_used_bytes", &claim)
            / latest(platform, "kubelet_volume_stats_capacity_bytes", &claim)
    };
    assert!(part(&platform) > 0.97, "{}", part(&platform));
    assert!(wrote(&platform, "cache", "no space left on device"));
    let key = Key::new(Type::PersistentVolumeClaim, "tenant-2", "data-cache-0");
    platform.edit(&key, |claim| claim["spec"]["resources"]["requests"]["storage"] = json!("40Gi"));
    platform.pass(60);
    assert!(part(&platform) < 0.5, "{}", part(&platform));
}

#[test]
fn who_hammers_the_api_server_is_rejected_until_it_is_rolled_back() {
    let mut platform = play("api-throttled");
    let rejected = |platform: &Platform| {
        rate(
            platform,
            "apiserver_flowcontrol_rejected_requests_total",
            &[("flow_schema", "service-accounts")],
            3,
        )
    };
    assert!(rejected(&platform) > 10.0, "{}", rejected(&platform));
    assert!(platform.world.hammers() > 0);
    let many = rate(&platform, "apiserver_request_total", &[("code", "429")], 3);
    assert!(many > 10.0, "{many}");
    roll_back_held(&mut platform, "tenant-2-inventory");
    platform.pass(300);
    assert_eq!(platform.world.hammers(), 0);
    assert!(rejected(&platform) < 0.1, "{}", rejected(&platform));
}

#[test]
fn a_budget_that_blocks_a_drain_is_given_back() {
    let mut platform = play("drain-blocked");
    let key = Key::new(Type::PodDisruptionBudget, "ingress-nginx", "ingress-nginx-controller");
    let allowed = |platform: &Platform| {
        number(&platform.world.objects.get_value(&key).unwrap(), "/status/disruptionsAllowed")
    };
    assert_eq!(allowed(&platform), 0);
    platform.pass(200);
    assert!(allowed(&platform) > 0);
}

fn stored(platform: &Platform, kind: Type, name: &str) -> Option<Value> {
    platform.world.objects.get_value(&Key::new(kind, "tenant-2", name))
}

/// What belongs to an object, by type.
fn below(platform: &Platform, owner: &Value, kind: Type) -> Vec<Value> {
    let owned = platform.world.objects.owned_by(text(owner, "/metadata/uid"));
    owned.filter(|object| object.key.kind == kind).map(|object| object.value()).collect()
}

#[test]
fn a_certificate_that_cannot_be_renewed_says_so_along_its_chain_and_is_renewed_once_the_issuer_is_mended() {
    let mut platform = play("certificate-expiring");
    let certificate = stored(&platform, Type::Certificate, "checkout-tls").unwrap();
    let left = text(&certificate, "/status/notAfter").parse::<jiff::Timestamp>().unwrap();
    assert!((2..3).contains(&(left.duration_since(start()).as_hours() / 24)));
    assert_eq!(super::untyped::condition(&certificate, "Ready"), "True", "it still holds");
    let issuing = super::untyped::find_condition(&certificate, "Issuing").unwrap();
    assert_eq!((text(issuing, "/status"), text(issuing, "/reason")), ("False", "Failed"));
    assert!(number(&certificate, "/status/failedIssuanceAttempts") > 10);
    let revision = number(&certificate, "/status/revision");
    let request = below(&platform, &certificate, Type::CertificateRequest)
        .into_iter()
        .find(|request| text(request, "/metadata/name") == format!("checkout-tls-{}", revision + 1))
        .unwrap();
    assert!(!text(&request, "/status/failureTime").is_empty());
    let [order] = <[Value; 1]>::try_from(below(&platform, &request, Type::Order)).unwrap();
    assert_eq!(text(&order, "/status/state"), "invalid");
    let [challenge] = <[Value; 1]>::try_from(below(&platform, &order, Type::Challenge)).unwrap();
    assert_eq!(text(&challenge, "/status/state"), "invalid");
    assert!(text(&challenge, "/status/reason").contains("NXDOMAIN looking up TXT for _acme-challenge."));

    // Renewing without the cure fails again, with the same words.
    let key = Key::new(Type::Certificate, "tenant-2", "checkout-tls");
    let renew = |platform: &mut Platform| {
        let now = platform.world.now().to_string();
        platform.edit(&key, |certificate| {
            super::untyped::set_condition(certificate, "Issuing", "True", "ManuallyTriggered", "", &now);
        });
    };
    let attempts = number(&certificate, "/status/failedIssuanceAttempts");
    renew(&mut platform);
    platform.pass(20);
    let certificate = stored(&platform, Type::Certificate, "checkout-tls").unwrap();
    assert_eq!(number(&certificate, "/status/failedIssuanceAttempts"), attempts + 1);

    let issuer = Key::new(Type::ClusterIssuer, "", "letsencrypt");
    platform.edit(&issuer, |issuer| {
        issuer["spec"]["acme"]["solvers"][0]["dns01"]["route53"] = json!({"region": "eu-west-1"});
    });
    renew(&mut platform);
    platform.pass(20);
    let certificate = stored(&platform, Type::Certificate, "checkout-tls").unwrap();
    assert_eq!(number(&certificate, "/status/revision"), revision + 1);
    let ends = text(&certificate, "/status/notAfter").parse::<jiff::Timestamp>().unwrap();
    assert!(ends.duration_since(start()).as_hours() / 24 >= 89);
    assert!(certificate["status"]["failedIssuanceAttempts"].is_null());
    let requests = below(&platform, &certificate, Type::CertificateRequest);
    assert_eq!(requests.len(), 1, "the request of the old revision is gone");
    let [order] = <[Value; 1]>::try_from(below(&platform, &requests[0], Type::Order)).unwrap();
    assert_eq!(text(&order, "/status/state"), "valid");
    assert_eq!(below(&platform, &order, Type::Challenge).len(), 0, "challenges vanish when answered");
}

#[test]
fn a_bad_value_in_git_breaks_the_new_pods_alone_and_a_push_that_takes_it_back_heals_them() {
    let mut platform = play("bad-config-in-git");
    let name = "tenant-3-checkout";
    assert!(health_is(&platform.app(name), "Degraded"));
    assert!(health_is(&platform.app("tenant-3-inventory"), "Healthy"), "the other can live with it");
    let mut deploy = super::git::Repo::open(&platform.dir.path().join("deploy.git")).unwrap();
    let path = "envs/prod/tenant-3/values.yaml";
    let before = deploy.read("main~1", path).unwrap();
    assert!(!before.contains("POOL_SIZE") && deploy.read("main", path).unwrap().contains("POOL_SIZE"));
    let pushed = deploy
        .commit(&super::git::Commit {
            author: "maria.lopez".to_owned(),
            at: platform.world.now(),
            message: "take it back".to_owned(),
            files: vec![(path.to_owned(), Some(before))],
        })
        .unwrap();
    // Noticed within seconds, as a webhook would tell it, and not only with the next comparison.
    platform.until(20, name, |app| text(app, "/status/sync/revision") == pushed);
    platform.until(90, name, |app| health_is(app, "Healthy") && app["operation"].is_null());
}

#[test]
fn a_secret_that_leaked_is_marked_until_no_pod_uses_it_and_marked_again_when_it_is_put_back() {
    let mut platform = play("leaked-secret");
    let secret = Key::new(Type::Secret, "tenant-2", "checkout-credentials");
    let marks = |platform: &Platform| {
        let secret = platform.world.objects.get_value(&secret).unwrap();
        let mark = |key: &str| super::untyped::marked(&secret, "annotations", key).to_owned();
        (mark(super::scanner::LEAKED), mark("reconcile.external-secrets.io/data-hash"))
    };
    let (leaked, content) = marks(&platform);
    assert!(!leaked.is_empty() && leaked == content);
    let named = [("namespace", "tenant-2"), ("secret", "checkout-credentials")];
    let label = ("annotation_security_example_com_leaked", leaked.as_str());
    assert!((latest(&platform, "kube_secret_annotations", &[named[0], named[1], label]) - 1.0).abs() < 0.1);
    let refresh = |platform: &mut Platform, value: &str| {
        let external = Key::new(Type::ExternalSecret, "tenant-2", "checkout-credentials");
        platform
            .edit(&external, |external| super::untyped::mark(external, "annotations", "force-sync", value));
    };
    let pods = |platform: &Platform| -> Vec<String> {
        let pods = platform.world.objects.list(Type::Pod, Some("tenant-2"));
        pods.map(|pod| pod.key.name.to_string()).filter(|name| name.starts_with("checkout-")).collect()
    };
    let old = pods(&platform);
    assert!(!old.is_empty());
    let now = platform.world.now();
    let token = "0b1e7a3c-9d5f-42e4-a1b2-c3d4e5f60718";
    platform.world.vault.rotate("tenant-2/checkout", token, now).unwrap();
    platform.pass(20);
    refresh(&mut platform, "1");
    platform.pass(2);
    let (still, content) = marks(&platform);
    assert!(still == leaked && content != leaked, "the content is new, and pods use the old one");
    for _ in 0..300 {
        if marks(&platform).0.is_empty() {
            break;
        }
        platform.pass(1);
    }
    assert_eq!(marks(&platform).0, "");
    assert!(pods(&platform).iter().all(|pod| !old.contains(pod)), "no pod of before is left");
    // The version before opens the door again.
    let now = platform.world.now();
    let secret = platform.world.vault.get("tenant-2/checkout").unwrap();
    let before = secret.staged(super::vault::PREVIOUS).unwrap().id.clone();
    let vault = &mut platform.world.vault;
    vault.stage("tenant-2/checkout", super::vault::CURRENT, Some(&before), Some(token), now).unwrap();
    refresh(&mut platform, "2");
    platform.pass(2);
    assert_eq!(marks(&platform).0, leaked);
}
