//! How the systems are found when one of them answers wrongly: the others are there, and each says what it has.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use opsdeck::identity::Resource;
use opsdeck::signals::{Found, System};
use opsdeck::sources::{Directions, Systems, Waits};
use opsdeck::store::{Query, Update};

use super::front::Fault;
use super::{BOUND, Bench, LOGIN, Sort, alertmanager, hasty, patient, prometheus, says, sort};
use crate::fault_server::brisk;

/// The systems of the cluster and what the questions for their version have in their paths.
const PROBES: [(System, &str); 5] = [
    (System::Prometheus, "/proxy/api/v1/"),
    (System::Alertmanager, "/proxy/api/v2/status"),
    (System::Loki, "/proxy/loki/api/v1/"),
    (System::ArgoServer, "/proxy/api/version"),
    (System::ResourceMetrics, "/apis/metrics.k8s.io/v1beta1"),
];

fn usable(found: &[Found]) -> BTreeSet<System> {
    found.iter().filter(|one| one.error.is_none()).map(|one| one.system).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_system_that_answers_wrongly_is_told_and_the_others_are_found() {
    let bench = Bench::start().await;
    let all: BTreeSet<System> = PROBES.iter().map(|(system, _)| *system).collect();
    let faults = [
        (says(401, "text/plain", "no org id"), Sort::Unauthenticated),
        (says(403, "text/plain", "not yours"), Sort::Denied),
        (says(404, "text/plain", "404 page not found\n"), Sort::Missing),
        (says(429, "text/plain", "slow down"), Sort::Throttled),
        (says(500, "text/plain", "boom"), Sort::Garbled),
        (says(200, "text/html", LOGIN), Sort::Unreachable),
        (says(200, "application/json", "{\"status\":\"succ"), Sort::Garbled),
        (says(200, "application/json", "{}"), Sort::Garbled),
        (says(200, "application/json", "[]"), Sort::Garbled),
        (Fault::Silence, Sort::Unreachable),
    ];
    // One connection for all: discovery, credentials and the rest are those of a console that runs.
    let (patient, hasty) = (bench.connect(patient()).await, bench.connect(hasty()).await);
    for (system, part) in PROBES {
        for (fault, wanted) in &faults {
            let silent = matches!(fault, Fault::Silence);
            // Sound answers to the others may take longer than that on a busy machine.
            if silent && system != System::ArgoServer {
                continue;
            }
            let connection = if silent { &hasty } else { &patient };
            bench.front.fail(part, fault);
            let found = Systems::new(connection.clone(), BTreeMap::new()).look().await;
            let lost: Vec<&Found> = found.iter().filter(|one| one.system == system).collect();
            assert!(!lost.is_empty(), "{system} {}", fault.name());
            for one in lost {
                let error = one.error.as_ref().unwrap_or_else(|| panic!("{}: {one:?}", fault.name()));
                // The API server's own 401 is about the credential for it.
                assert_eq!(sort(error), *wanted, "{system} {}: {error}", fault.name());
                assert!(!error.to_string().contains("usual labels"), "{error}");
            }
            if !silent {
                let others: BTreeSet<System> = all.iter().copied().filter(|one| *one != system).collect();
                assert_eq!(usable(&found), others, "{system} {}", fault.name());
            }
            bench.front.heal();
        }
        let found = Systems::new(patient.clone(), BTreeMap::new()).look().await;
        assert_eq!(usable(&found), all, "{system}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_system_that_does_not_answer_keeps_nobody_from_the_others() {
    let bench = Bench::start().await;
    let systems = Systems::new(bench.connect(patient()).await, BTreeMap::new());
    bench.front.fail("/proxy/api/version", &Fault::Silence);
    let begun = Instant::now();
    prometheus(systems.clone()).await.unwrap();
    alertmanager(systems).await.unwrap();
    assert!(begun.elapsed() < BOUND, "they waited for argocd-server: {:?}", begun.elapsed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_the_list_of_services_each_says_why_and_what_is_directed_works() {
    let bench = Bench::start().await;
    let (directions, _) = bench.at_url(System::Prometheus);
    for (fault, wanted) in [
        (says(503, "text/plain", "shutting down"), Sort::Unreachable),
        (says(200, "application/json", "{}"), Sort::Garbled),
        (says(200, "text/html", LOGIN), Sort::Unreachable),
    ] {
        bench.front.fail("/services?", &fault);
        let systems = bench.systems(&directions).await;
        prometheus(systems.clone()).await.unwrap();
        let error = alertmanager(systems).await.unwrap_err();
        assert_eq!(sort(&error), wanted, "{error}");
    }
    // Where the services of all namespaces may not be listed, the usual namespaces are looked into.
    bench.front.fail("/api/v1/services?", &says(403, "text/plain", "no"));
    let systems = bench.systems(&directions).await;
    alertmanager(systems).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_system_that_is_off_is_not_asked() {
    let mut bench = Bench::start().await;
    let off = || Directions { off: true, ..Directions::default() };
    let directions = System::ALL.map(|system| (system, off())).into();
    let systems = bench.systems(&directions).await;
    // What is scraped in the place of Prometheus is no system, and it is asked when a board needs it.
    assert!(systems.look().await.iter().all(|one| one.scraped));
    let error = alertmanager(systems).await.unwrap_err();
    assert_eq!(sort(&error), Sort::Missing);
    assert!(error.to_string().contains("switched off"), "{error}");
    assert_eq!(bench.front.came().len(), 0);
}

/// One system that hangs must not hold up what the other says of what fires now.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn alerts_are_listed_while_prometheus_hangs() {
    let bench = Bench::start().await;
    let waits = Waits { answer: Duration::from_mins(5), stall: Duration::from_mins(5), ..brisk() };
    let systems = Systems::new(bench.connect(waits).await, BTreeMap::new());
    systems.one(System::Prometheus).await.unwrap();
    systems.one(System::Alertmanager).await.unwrap();
    bench.front.fail("/api/v1/rules", &Fault::Silence);
    let query = Query::all(systems.connection().context(), &Resource::new("signals", "alerts"));
    let (mail, mut arriving) = tokio::sync::mpsc::channel(64);
    let following = tokio::spawn(async move { systems.follow(query, 1, mail).await });
    let mut missing = Vec::new();
    let listed = tokio::time::timeout(Duration::from_mins(1), async {
        loop {
            match arriving.recv().await.expect("mail").update {
                Update::Split { hidden, .. } => missing = hidden,
                Update::ListDone => break,
                Update::Failed { error, .. } => panic!("{error}"),
                _ => {}
            }
        }
    });
    listed.await.expect("a list without Prometheus");
    following.abort();
    let missing: Vec<String> = missing.iter().map(|one| one.error.to_string()).collect();
    assert!(missing.iter().any(|one| one.starts_with("Prometheus cannot be reached")), "{missing:?}");
}
