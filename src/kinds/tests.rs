//! What holds for every kind, and what single kinds conclude.

use std::collections::HashMap;

use serde_json::{Value, json};

use super::fixtures::{
    Cluster, ago, application, crash_looping, event, external_secret, meta, namespace, node, pod,
    replica_set, secret,
};
use super::{Cell, Frame, Health, Kind, Leads, Object, Pool, Shape, alerts};
use crate::identity::Text;
use crate::signals::{Alert, AlertState, Labels, Origin, Raised, Severity};

/// A full object of every kind.
fn full(cluster: &Cluster) -> HashMap<String, Value> {
    let labels = json!({"matchLabels": {"app": "checkout"}});
    let template =
        json!({"spec": {"containers": [{"name": "app", "image": "r.example.com/checkout:1.8.0"}]}});
    let condition =
        |name: &str, status: &str| json!({"type": name, "status": status, "reason": "R", "message": "M"});
    let mut objects: HashMap<String, Value> = [
        ("pods", pod("shop/checkout-1")),
        ("nodes", node("node-1")),
        ("namespaces", namespace("shop", "shop", "prod")),
        ("applications", application("checkout", "shop")),
        ("replicasets", replica_set("shop/checkout-1", "checkout", 3, "checkout:1.8.0", 60)),
        ("events", event("e1", "shop/checkout-1", "BackOff", "back-off", 10, 4)),
        (
            "deployments",
            json!({"spec": {"replicas": 3, "selector": labels, "template": template, "strategy": {"type": "RollingUpdate"}},
                   "status": {"observedGeneration": 2, "replicas": 3, "updatedReplicas": 3, "readyReplicas": 3,
                              "availableReplicas": 3, "conditions": [condition("Available", "True")]}}),
        ),
        (
            "statefulsets",
            json!({"spec": {"replicas": 3, "selector": labels, "template": template,
                            "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"partition": 1}}},
                   "status": {"replicas": 3, "readyReplicas": 3, "updatedReplicas": 2, "availableReplicas": 3,
                              "currentRevision": "a", "updateRevision": "b"}}),
        ),
        (
            "daemonsets",
            json!({"spec": {"selector": labels, "template": template},
                   "status": {"desiredNumberScheduled": 3, "currentNumberScheduled": 3, "numberReady": 3,
                              "updatedNumberScheduled": 3, "numberAvailable": 3, "numberMisscheduled": 0}}),
        ),
        (
            "jobs",
            json!({"spec": {"completions": 2, "selector": labels, "template": template},
                   "status": {"active": 1, "succeeded": 1, "startTime": ago(60), "conditions": []}}),
        ),
        (
            "cronjobs",
            json!({"spec": {"schedule": "*/5 * * * *", "timeZone": "Europe/Berlin"},
                   "status": {"active": [{"name": "x"}], "lastScheduleTime": ago(60), "lastSuccessfulTime": ago(30)}}),
        ),
        (
            "horizontalpodautoscalers",
            json!({"spec": {"scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "checkout"},
                            "minReplicas": 2, "maxReplicas": 10,
                            "metrics": [{"type": "Resource", "resource": {"name": "cpu",
                                         "target": {"type": "Utilization", "averageUtilization": 80}}}]},
                   "status": {"currentReplicas": 10, "desiredReplicas": 10, "lastScaleTime": ago(60),
                              "currentMetrics": [{"type": "Resource", "resource": {"name": "cpu",
                                  "current": {"averageUtilization": 96, "averageValue": "480m"}}}],
                              "conditions": [{"type": "ScalingLimited", "status": "True", "reason": "TooManyReplicas"}]}}),
        ),
        (
            "scaledobjects",
            json!({"metadata": {"name": "checkout", "namespace": "shop", "annotations": {"autoscaling.keda.sh/paused-replicas": "3"}},
                   "spec": {"scaleTargetRef": {"name": "checkout"}, "minReplicaCount": 1, "maxReplicaCount": 9,
                            "triggers": [{"type": "aws-sqs-queue"}]},
                   "status": {"hpaName": "keda-hpa-checkout", "lastActiveTime": ago(60),
                              "conditions": [condition("Ready", "True"), condition("Paused", "True")]}}),
        ),
        (
            "poddisruptionbudgets",
            json!({"spec": {"minAvailable": "50%", "selector": labels},
                   "status": {"disruptionsAllowed": 0, "currentHealthy": 2, "desiredHealthy": 2, "expectedPods": 4}}),
        ),
        (
            "services",
            json!({"spec": {"type": "LoadBalancer", "clusterIP": "172.20.0.10", "selector": {"app": "checkout"},
                            "ports": [{"port": 80, "nodePort": 30080, "protocol": "TCP", "targetPort": "http"}]},
                   "status": {"loadBalancer": {"ingress": [{"hostname": "lb.example.com"}]}}}),
        ),
        (
            "ingresses",
            json!({"spec": {"ingressClassName": "nginx", "tls": [{"hosts": ["a"]}],
                            "rules": [{"host": "shop.example.com", "http": {"paths": [{"path": "/",
                                "backend": {"service": {"name": "checkout", "port": {"number": 80}}}}]}}]},
                   "status": {"loadBalancer": {"ingress": [{"ip": "192.0.2.1"}]}}}),
        ),
        ("secrets", secret("shop/db", 3_600)),
        ("externalsecrets", external_secret("shop/db")),
        (
            "clusterexternalsecrets",
            json!({"spec": {"externalSecretName": "registry", "refreshTime": "1m"},
                   "status": {"provisionedNamespaces": ["a"], "failedNamespaces": [{"namespace": "b", "reason": "exists"}],
                              "conditions": [condition("Ready", "False")]}}),
        ),
        (
            "secretstores",
            json!({"spec": {"provider": {"vault": {"server": "https://vault.example.com"}}},
                   "status": {"capabilities": "ReadWrite", "conditions": [condition("Ready", "True")]}}),
        ),
        (
            "clustersecretstores",
            json!({"spec": {"provider": {"aws": {"service": "SecretsManager", "region": "eu-west-1"}}},
                   "status": {"conditions": [condition("Ready", "False")]}}),
        ),
        (
            "sealedsecrets",
            json!({"spec": {"encryptedData": {"a": "x", "b": "y"}},
                   "status": {"observedGeneration": 1, "conditions": [condition("Synced", "True")]}}),
        ),
        (
            "dnsendpoints",
            json!({"spec": {"endpoints": [{"dnsName": "a.example.com", "recordType": "A", "recordTTL": 300, "targets": ["192.0.2.1"]}]},
                   "status": {"observedGeneration": 1}}),
        ),
        (
            "certificates",
            json!({"spec": {"dnsNames": ["a.example.com", "*.b.example.com"], "commonName": "c.example.com", "secretName": "a-tls",
                            "issuerRef": {"group": "cert-manager.io", "kind": "ClusterIssuer", "name": "letsencrypt"}},
                   "status": {"conditions": [condition("Ready", "True"), condition("Issuing", "False")],
                              "notBefore": ago(86_400), "notAfter": ago(-86_400), "renewalTime": ago(60), "revision": 4,
                              "failedIssuanceAttempts": 3, "lastFailureTime": ago(600)}}),
        ),
        (
            "certificaterequests",
            json!({"spec": {"issuerRef": {"name": "local"}, "request": "eA=="},
                   "status": {"conditions": [condition("Approved", "True"), condition("Ready", "False")]}}),
        ),
        (
            "orders",
            json!({"spec": {"dnsNames": ["a.example.com"], "issuerRef": {"name": "letsencrypt", "kind": "ClusterIssuer"}, "request": "eA=="},
                   "status": {"state": "pending", "url": "https://acme.example.com/1",
                              "authorizations": [{"url": "https://acme.example.com/a", "identifier": "a.example.com"}]}}),
        ),
        (
            "challenges",
            json!({"spec": {"dnsName": "a.example.com", "type": "DNS-01", "wildcard": true, "key": "k", "token": "t", "url": "u",
                            "authorizationURL": "a", "solver": {"dns01": {"route53": {}}}, "issuerRef": {"name": "letsencrypt"}},
                   "status": {"state": "pending", "presented": true, "processing": true, "reason": "not yet propagated"}}),
        ),
        (
            "issuers",
            json!({"spec": {"vault": {"server": "https://vault.example.com", "path": "pki"}},
                   "status": {"conditions": [condition("Ready", "False")]}}),
        ),
        (
            "clusterissuers",
            json!({"spec": {"acme": {"server": "https://acme.example.com", "email": "a@example.com",
                                     "solvers": [{"dns01": {"route53": {"hostedZoneID": "Z01"}}}, {"http01": {"ingress": {"ingressClassName": "nginx"}}}]}},
                   "status": {"acme": {"lastRegisteredEmail": "b@example.com"}, "conditions": [condition("Ready", "True")]}}),
        ),
        (
            "networkpolicies",
            json!({"spec": {"podSelector": {}, "ingress": [{"from": []}], "egress": [{}]}}),
        ),
        (
            "resourcequotas",
            json!({"spec": {"hard": {"requests.cpu": "4"}},
                   "status": {"hard": {"requests.cpu": "4", "requests.memory": "8Gi", "pods": "20"},
                              "used": {"requests.cpu": "3800m", "requests.memory": "2Gi", "pods": "11"}}}),
        ),
        (
            "limitranges",
            json!({"spec": {"limits": [{"type": "Container", "default": {"cpu": "500m"},
                                         "defaultRequest": {"cpu": "100m", "memory": "128Mi"}, "max": {"memory": "2Gi"}}]}}),
        ),
        (
            "appprojects",
            json!({"spec": {"description": "the shop", "sourceRepos": ["*"],
                            "destinations": [{"server": "*", "namespace": "shop-*"}],
                            "syncWindows": [{"kind": "deny", "schedule": "0 9 * * *", "duration": "9h",
                                             "applications": ["*"], "timeZone": "Europe/Berlin"}]}}),
        ),
        (
            "applicationsets",
            json!({"spec": {"generators": [{"git": {"repoURL": "x"}}], "syncPolicy": {"applicationsSync": "create-only"},
                            "strategy": {"type": "RollingSync"},
                            "ignoreApplicationDifferences": [{"jsonPointers": ["/spec/syncPolicy"]}]},
                   "status": {"resourcesCount": 4, "conditions": [condition("ErrorOccurred", "True")]}}),
        ),
        (
            "nodepools",
            json!({"spec": {"weight": 10, "limits": {"cpu": "100", "memory": "400Gi"},
                            "template": {"spec": {"nodeClassRef": {"name": "default"}, "expireAfter": "720h",
                                "requirements": [{"key": "karpenter.sh/capacity-type", "operator": "In", "values": ["spot"]}]}},
                            "disruption": {"consolidationPolicy": "WhenEmpty", "consolidateAfter": "1m",
                                           "budgets": [{"nodes": "10%", "reasons": ["Drifted"]}]}},
                   "status": {"resources": {"cpu": "96", "memory": "100Gi", "nodes": "7"},
                              "conditions": [condition("Ready", "True")]}}),
        ),
        (
            "nodeclaims",
            json!({"spec": {"nodeClassRef": {"name": "default"}, "expireAfter": "720h", "terminationGracePeriod": "30m"},
                   "status": {"nodeName": "node-1", "providerID": "aws:///a/i-1", "imageID": "ami-1",
                              "conditions": [condition("Launched", "True"), condition("Registered", "Unknown")]}}),
        ),
        (
            "ec2nodeclasses",
            json!({"spec": {"amiSelectorTerms": [{"alias": "bottlerocket@latest"}], "role": "node"},
                   "status": {"amis": [{"id": "ami-1"}], "subnets": [{}, {}], "securityGroups": [{}],
                              "conditions": [condition("Ready", "False"), condition("SubnetsReady", "False")]}}),
        ),
    ]
    .into_iter()
    .map(|(plural, object)| (plural.to_owned(), object))
    .collect();
    for (plural, object) in &mut objects {
        if object["metadata"].is_null() {
            let kind = cluster.kinds.find(plural).unwrap();
            object["metadata"] = meta(if kind.namespaced { "shop/thing" } else { "thing" });
        }
    }
    objects
}

fn shape_of(cell: &Cell) -> Option<Shape> {
    Some(match cell {
        Cell::Empty | Cell::Unknown => return None,
        Cell::Text(_) => Shape::Text,
        Cell::Count(_) => Shape::Count,
        Cell::Ratio { .. } => Shape::Ratio,
        Cell::Percent(_) => Shape::Percent,
        Cell::Quantity { .. } => Shape::Quantity,
        Cell::Bar { .. } => Shape::Bar,
        Cell::Age(_) => Shape::Age,
        Cell::Status { .. } => Shape::Status,
        Cell::Link { .. } => Shape::Link,
        Cell::Hidden => panic!("no kind shows a secret value"),
    })
}

#[test]
fn every_name_leads_to_one_kind() {
    let cluster = Cluster::new();
    let mut seen: HashMap<String, String> = HashMap::new();
    for kind in cluster.kinds.iter() {
        let mut names =
            vec![kind.resource.plural.to_string(), kind.singular.to_string(), kind.name.to_lowercase()];
        names.extend(kind.shorts.iter().map(ToString::to_string));
        names.push(kind.resource.to_string());
        names.sort();
        names.dedup();
        for name in names {
            assert_eq!(cluster.kinds.find(&name).unwrap().resource, kind.resource, "{name}");
            let other = seen.insert(name.clone(), kind.resource.to_string());
            assert_eq!(other, None, "{name} is a name of two kinds");
        }
    }
    assert_eq!(cluster.kinds.find("PO").unwrap().name, Text::from("Pod"));
    assert_eq!(&*cluster.kinds.find("applications.argoproj.io").unwrap().name, "Application");
    assert_eq!(cluster.kinds.nearest("aplications")[0], "applications");
}

#[test]
fn columns_are_told_apart_and_every_kind_can_be_selected_by_name() {
    for kind in Cluster::new().kinds.iter() {
        let mut ids: Vec<&str> = kind.columns.iter().map(|column| &*column.id).collect();
        // What is made says itself since when.
        let aged = ids.contains(&"age") || &*kind.resource.group == alerts::GROUP;
        assert!(ids.contains(&"name") && aged, "{kind:?}");
        assert_eq!(ids.contains(&"namespace"), kind.namespaced, "{kind:?}");
        let count = ids.len();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), count, "{kind:?} has a column twice");
        assert!(!kind.about.is_empty(), "{kind:?}");
        assert!(kind.columns.iter().all(|column| !column.about.is_empty()), "{kind:?}");
    }
}

#[test]
fn every_verb_is_one_that_actions_know() {
    let known: Vec<&str> = crate::actions::Verb::ALL.iter().map(|verb| verb.word()).collect();
    for kind in Cluster::new().kinds.iter() {
        for verb in kind.verbs {
            assert!(known.contains(verb), "{kind:?}: {verb}");
        }
    }
}

#[test]
fn every_kind_decodes_the_least_and_the_whole() {
    let mut cluster = Cluster::new();
    let mut objects = full(&cluster);
    // What is made and not decoded has its own tests.
    let kinds: Vec<(String, bool)> = cluster
        .kinds
        .iter()
        .filter(|kind| ![alerts::GROUP, super::record::GROUP].contains(&&*kind.resource.group))
        .map(|kind| (kind.resource.plural.to_string(), kind.namespaced))
        .collect();
    for (plural, namespaced) in kinds {
        let whole = objects.remove(&plural).unwrap_or_else(|| panic!("no example of {plural}"));
        let mut least = json!({"metadata": {"name": "least"}, "spec": {}, "status": {}});
        if namespaced {
            least["metadata"]["namespace"] = json!("shop");
        }
        let bare =
            json!({"metadata": {"name": "bare", "labels": null, "creationTimestamp": null}, "spec": null});
        for object in [bare, least, whole] {
            let object = cluster.decode(&plural, object);
            let kind = cluster.kinds.find(&plural).unwrap();
            let lens = cluster.lens();
            for (at, column) in kind.columns.iter().enumerate() {
                let cell = kind.cell(&object, at, &lens);
                if let Some(shape) = shape_of(&cell) {
                    // A link to a kind that is not known is named, and not followed.
                    let named = column.shape == Shape::Link && shape == Shape::Text;
                    assert!(named || shape == column.shape, "{kind:?} {column:?}: {cell:?}");
                }
                assert!(cell.json().is_some());
                assert!(!cell.text(cluster.now).contains(char::is_control));
            }
            kind.health(&object, &lens);
            kind.links(&object, &lens);
        }
    }
    assert!(objects.is_empty(), "an example of no kind: {:?}", objects.keys());
}

#[track_caller]
fn cell(cluster: &Cluster, kind: &str, object: &Object, column: &str) -> Cell {
    let kind = cluster.kinds.find(kind).unwrap();
    kind.cell(object, kind.column(column).unwrap(), &cluster.lens())
}

#[track_caller]
fn told(cluster: &Cluster, kind: &str, object: &Object, column: &str) -> String {
    cell(cluster, kind, object, column).text(cluster.now)
}

#[track_caller]
fn health(cluster: &Cluster, kind: &str, object: &Object) -> (Health, String) {
    let (health, why) = cluster.kinds.find(kind).unwrap().health(object, &cluster.lens());
    (health, why.to_string())
}

#[test]
fn a_crash_looping_pod_says_how_its_container_ended() {
    let mut cluster = Cluster::new();
    let pod = cluster.decode("pods", crash_looping(pod("shop/a"), 7));
    assert_eq!(told(&cluster, "pods", &pod, "status"), "CrashLoopBackOff");
    assert_eq!(told(&cluster, "pods", &pod, "ready"), "0/1");
    assert_eq!(told(&cluster, "pods", &pod, "restarts"), "7");
    assert_eq!(
        health(&cluster, "pods", &pod),
        (Health::Degraded, "app: CrashLoopBackOff after exit code 1".to_owned())
    );
}

#[test]
fn pod_states_read_as_in_kubectl() {
    let mut cluster = Cluster::new();
    let mut deleted = pod("shop/deleted");
    deleted["metadata"]["deletionTimestamp"] = json!(ago(-20));
    let mut evicted = pod("shop/evicted");
    evicted["status"] =
        json!({"phase": "Failed", "reason": "Evicted", "message": "The node was low on memory"});
    let mut init = pod("shop/init");
    init["spec"]["initContainers"] = json!([{"name": "one"}, {"name": "two"}]);
    init["status"]["conditions"][1]["status"] = json!("False");
    init["status"]["initContainerStatuses"] = json!([
        {"name": "one", "state": {"terminated": {"exitCode": 0, "reason": "Completed"}}},
        {"name": "two", "state": {"running": {}}},
    ]);
    let mut broken = init.clone();
    broken["status"]["initContainerStatuses"][1] =
        json!({"name": "two", "state": {"terminated": {"exitCode": 2, "reason": "Error"}}});
    let mut done = pod("shop/done");
    done["status"]["phase"] = json!("Succeeded");
    done["status"]["containerStatuses"][0]["state"] =
        json!({"terminated": {"exitCode": 0, "reason": "Completed"}});
    let mut sidecar = pod("shop/sidecar");
    sidecar["spec"]["initContainers"] = json!([{"name": "proxy", "restartPolicy": "Always"}]);
    sidecar["status"]["initContainerStatuses"] =
        json!([{"name": "proxy", "started": true, "ready": true, "state": {"running": {}}}]);
    for (object, word, ready) in [
        (pod("shop/ok"), "Running", "1/1"),
        (deleted, "Terminating", "1/1"),
        (evicted, "Evicted", "0/1"),
        (init, "Init:1/2", "0/1"),
        (broken, "Init:Error", "0/1"),
        (done, "Completed", "0/1"),
        (sidecar, "Running", "2/2"),
    ] {
        let object = cluster.decode("pods", object);
        assert_eq!(told(&cluster, "pods", &object, "status"), word);
        assert_eq!(told(&cluster, "pods", &object, "ready"), ready, "{word}");
    }
}

#[test]
fn a_pod_asks_for_what_the_scheduler_counts() {
    let mut cluster = Cluster::new();
    let mut object = pod("shop/a");
    object["spec"]["initContainers"] = json!([
        {"name": "proxy", "restartPolicy": "Always", "resources": {"requests": {"cpu": "100m"}}},
        {"name": "migrate", "resources": {"requests": {"cpu": "1"}}},
    ]);
    object["spec"]["overhead"] = json!({"cpu": "50m"});
    let object = cluster.decode("pods", object);
    // The larger of 250m + 100m together and 100m + 1 in turn, plus 50m.
    let body: &super::pods::Pod = object.body().unwrap();
    assert_eq!(body.cpu, 1_150);
}

#[test]
fn a_pod_has_a_limit_where_all_its_containers_that_go_on_have_one() {
    let mut cluster = Cluster::new();
    let limits = |cluster: &mut Cluster, object: Value| {
        let object = cluster.decode("pods", object);
        let body: &super::pods::Pod = object.body().unwrap();
        (body.cpu_limit, body.memory_limit)
    };
    let mib = 1024 * 1024;
    // The container of the fixture may use any amount of CPU and 256 MiB.
    assert_eq!(limits(&mut cluster, pod("shop/a")), (0, 256 * mib));
    let mut beside = pod("shop/b");
    beside["spec"]["initContainers"] = json!([
        {"name": "proxy", "restartPolicy": "Always", "resources": {"limits": {"memory": "64Mi"}}},
        {"name": "migrate"},
    ]);
    assert_eq!(limits(&mut cluster, beside.clone()), (0, 320 * mib), "what ends is not counted");
    beside["spec"]["initContainers"][0]["resources"] = json!({});
    assert_eq!(limits(&mut cluster, beside.clone()), (0, 0), "one without a limit leaves the pod without");
    beside["spec"]["resources"] = json!({"limits": {"cpu": "1500m", "memory": "1Gi"}});
    assert_eq!(limits(&mut cluster, beside), (1_500, 1024 * mib), "the pod's own goes first");
}

#[test]
fn a_pending_pod_becomes_trouble_with_time_alone() {
    let mut cluster = Cluster::new();
    let mut object = pod("shop/a");
    object["metadata"]["creationTimestamp"] = json!(ago(10));
    object["spec"]["nodeName"] = Value::Null;
    object["status"] = json!({"phase": "Pending", "conditions": [{"type": "PodScheduled", "status": "False",
        "reason": "Unschedulable", "message": "0/3 nodes are available: 3 Insufficient cpu."}]});
    let object = cluster.decode("pods", object);
    assert_eq!(health(&cluster, "pods", &object).0, Health::Progressing);
    cluster.now = jiff::Timestamp::from_second(cluster.now.as_second() + 120).unwrap();
    let (health, why) = health(&cluster, "pods", &object);
    assert_eq!(health, Health::Degraded);
    assert_eq!(why, "0/3 nodes are available: 3 Insufficient cpu.");
}

#[test]
fn a_node_shows_what_is_requested_once_all_pods_are_known() {
    let mut cluster = Cluster::new();
    cluster.list("nodes", vec![node("node-1")]);
    let object = cluster.object("nodes", None, "node-1").clone();
    assert_eq!(cell(&cluster, "nodes", &object, "cpu"), Cell::Unknown);
    let mut finished = pod("shop/finished");
    finished["status"]["phase"] = json!("Succeeded");
    cluster.list("pods", vec![pod("shop/a"), pod("shop/b"), finished]);
    assert_eq!(told(&cluster, "nodes", &object, "cpu"), "500m/3.9");
    assert_eq!(told(&cluster, "nodes", &object, "pods"), "2/58");
    assert_eq!(told(&cluster, "nodes", &object, "claim"), "general-abc");
    assert_eq!(told(&cluster, "nodes", &object, "taints"), "dedicated=web:NoSchedule");
    assert_eq!(told(&cluster, "nodes", &object, "capacity"), "spot");
}

#[test]
fn auto_sync_is_on_when_it_is_an_empty_object() {
    let mut cluster = Cluster::new();
    let auto = |cluster: &mut Cluster, automated: Value, held: bool| {
        let mut object = application("checkout", "shop");
        object["spec"]["syncPolicy"]["automated"] = automated;
        if held {
            object["metadata"]["annotations"] = json!({"opsdeck.dev/autosync-held": "{}"});
        }
        let object = cluster.decode("applications", object);
        told(cluster, "applications", &object, "auto")
    };
    assert_eq!(auto(&mut cluster, json!({}), false), "on");
    assert_eq!(auto(&mut cluster, json!({"prune": true, "selfHeal": true}), false), "on prune heal");
    assert_eq!(auto(&mut cluster, json!({"enabled": false, "prune": true}), false), "disabled");
    assert_eq!(auto(&mut cluster, json!({"enabled": false, "prune": true}), true), "held");
    assert_eq!(auto(&mut cluster, Value::Null, false), "off");
}

#[test]
fn a_waiting_operation_hides_the_result_of_the_one_before() {
    let mut cluster = Cluster::new();
    let mut object = application("checkout", "shop");
    let operation = |cluster: &mut Cluster, object: &Value| {
        let object = cluster.decode("applications", object.clone());
        told(cluster, "applications", &object, "operation")
    };
    assert_eq!(operation(&mut cluster, &object), "");
    object["operation"] = json!({"sync": {}});
    assert_eq!(operation(&mut cluster, &object), "Requested");
    object["status"]["operationState"]["phase"] = json!("Running");
    // With attempts left the phase stays `Running`, though an attempt has ended.
    assert_eq!(operation(&mut cluster, &object), "Retrying");
    object["status"]["operationState"]["finishedAt"] = Value::Null;
    assert_eq!(operation(&mut cluster, &object), "Running");
}

#[test]
fn several_sources_show_their_revisions() {
    let mut cluster = Cluster::new();
    let mut object = application("checkout", "shop");
    object["status"]["sync"] = json!({"status": "OutOfSync", "revision": "",
        "revisions": ["3f9c1a2b4d5e6f708192a3b4c5d6e7f8091a2b3c", "1.4.2"]});
    let object = cluster.decode("applications", object);
    assert_eq!(told(&cluster, "applications", &object, "revision"), "3f9c1a2 1.4.2");
    assert_eq!(health(&cluster, "applications", &object), (Health::Warning, "out of sync".to_owned()));
}

#[test]
fn an_autoscaler_at_its_most_says_what_it_measures() {
    let mut cluster = Cluster::new();
    let object = full(&cluster).remove("horizontalpodautoscalers").unwrap();
    let object = cluster.decode("hpa", object);
    assert_eq!(told(&cluster, "hpa", &object, "metrics"), "cpu 96%/80%");
    assert_eq!(told(&cluster, "hpa", &object, "status"), "AtMax");
}

#[test]
fn a_network_policy_without_types_narrows_what_comes_in() {
    let mut cluster = Cluster::new();
    let mut object = json!({"metadata": meta("shop/deny"), "spec": {"podSelector": {}}});
    let deny = cluster.decode("netpol", object.clone());
    assert_eq!(told(&cluster, "netpol", &deny, "ingress"), "closed");
    assert_eq!(told(&cluster, "netpol", &deny, "egress"), "open");
    object["spec"]["policyTypes"] = json!(["Egress"]);
    let egress = cluster.decode("netpol", object);
    assert_eq!(told(&cluster, "netpol", &egress, "ingress"), "open");
    assert_eq!(told(&cluster, "netpol", &egress, "egress"), "closed");
}

#[test]
fn the_tightest_key_of_a_quota_is_named() {
    let mut cluster = Cluster::new();
    let object = full(&cluster).remove("resourcequotas").unwrap();
    let object = cluster.decode("quota", object);
    assert_eq!(told(&cluster, "quota", &object, "tightest"), "95");
    assert_eq!(told(&cluster, "quota", &object, "key"), "requests.cpu");
    assert_eq!(
        health(&cluster, "quota", &object),
        (Health::Warning, "requests.cpu: 3.8 of 4 used".to_owned())
    );
}

#[test]
fn links_lead_both_ways() {
    let mut cluster = Cluster::new();
    cluster.list("nodes", vec![node("node-1")]);
    let object = cluster.decode("pods", pod("shop/a"));
    let links = |cluster: &Cluster, kind: &str, object: &Object| -> Vec<String> {
        let links = cluster.kinds.find(kind).unwrap().links(object, &cluster.lens());
        links
            .iter()
            .map(|link| match &link.to {
                Leads::One(to) => format!("{}: {to}", link.relation),
                Leads::Many { resource, filter, .. } => format!("{}: {resource} {filter}", link.relation),
            })
            .collect()
    };
    assert_eq!(links(&cluster, "pods", &object), ["node: nodes node-1"]);
    cluster.list("apps", vec![application("checkout", "shop")]);
    let set = replica_set("shop/checkout-new", "checkout", 2, "checkout:1.8.0", 60);
    cluster.list("rs", vec![set]);
    let mut owned = pod("shop/checkout-new-1");
    owned["metadata"]["ownerReferences"] = json!([{"apiVersion": "apps/v1", "kind": "ReplicaSet",
        "name": "checkout-new", "uid": "uid-shop/checkout-new", "controller": true}]);
    let owned = cluster.decode("pods", owned);
    assert_eq!(
        links(&cluster, "pods", &owned),
        [
            "owner: replicasets.apps shop/checkout-new",
            "application: applications.argoproj.io argocd/checkout",
            "node: nodes node-1",
        ]
    );
    let node = cluster.object("nodes", None, "node-1").clone();
    assert_eq!(
        links(&cluster, "nodes", &node),
        [
            "owner: nodeclaims.karpenter.sh general-abc",
            "pool: nodepools.karpenter.sh general",
            "pods: pods -f spec.nodeName=node-1",
        ]
    );
}

#[test]
fn bytes_that_are_no_text_are_replaced_and_cost_nothing_else() {
    let cluster = Cluster::new();
    let page = json!({"kind": "PodList", "metadata": {"resourceVersion": "77"},
                      "items": [pod("shop/a"), pod("shop/b#")]});
    let bytes: Vec<u8> =
        page.to_string().bytes().map(|byte| if byte == b'#' { 0xff } else { byte }).collect();
    let page = cluster.kinds.find("pods").unwrap().decode_page(&bytes, &mut Pool::default()).unwrap();
    let names: Vec<&str> = page.objects.iter().map(|object| &*object.meta.name).collect();
    assert_eq!(names, ["a", "b\u{fffd}"]);
    assert!(page.garbled.is_empty());
}

#[test]
fn an_object_that_cannot_be_read_is_counted_and_the_rest_of_the_page_is_kept() {
    let cluster = Cluster::new();
    let mut broken = pod("shop/broken");
    broken["spec"]["containers"] = json!("none");
    let page = json!({"kind": "PodList", "metadata": {"resourceVersion": "77", "continue": "next", "remainingItemCount": 12},
                      "items": [pod("shop/a"), broken, pod("shop/b")]});
    let page = cluster
        .kinds
        .find("pods")
        .unwrap()
        .decode_page(page.to_string().as_bytes(), &mut Pool::default())
        .unwrap();
    let names: Vec<&str> = page.objects.iter().map(|object| &*object.meta.name).collect();
    assert_eq!(names, ["a", "b"]);
    assert_eq!(page.garbled.len(), 1);
    assert_eq!(page.garbled[0].name, "shop/broken");
    assert_eq!(
        (page.next.as_str(), page.remaining, page.resource_version.as_str()),
        ("next", Some(12), "77")
    );
}

#[test]
fn an_empty_list_of_go_is_a_list() {
    let cluster = Cluster::new();
    let page = json!({"metadata": {"resourceVersion": "1"}, "items": null}).to_string();
    let page =
        cluster.kinds.find("pods").unwrap().decode_page(page.as_bytes(), &mut Pool::default()).unwrap();
    assert!(page.objects.is_empty());
    let body = b"404 page not found\n";
    assert!(cluster.kinds.find("pods").unwrap().decode_page(body, &mut Pool::default()).is_err());
}

fn frame(kind: &Kind, event: &str, object: Value) -> Frame {
    let line = json!({"type": event, "object": object}).to_string();
    kind.decode_frame(line.as_bytes(), &mut Pool::default()).unwrap()
}

#[test]
fn frames_of_a_watch_are_told_apart() {
    let cluster = Cluster::new();
    let pods = cluster.kinds.find("pods").unwrap();
    assert!(matches!(frame(pods, "ADDED", pod("shop/a")), Frame::Put(object) if &*object.meta.name == "a"));
    assert!(matches!(frame(pods, "DELETED", pod("shop/a")), Frame::Gone { name, .. } if &*name == "a"));
    let mark =
        json!({"metadata": {"resourceVersion": "9", "annotations": {"k8s.io/initial-events-end": "true"}}});
    assert!(matches!(
        frame(pods, "BOOKMARK", mark),
        Frame::Bookmark { resource_version, initial_events_end: true } if &*resource_version == "9"
    ));
    let gone =
        json!({"kind": "Status", "code": 410, "reason": "Expired", "message": "too old resource version"});
    assert!(matches!(frame(pods, "ERROR", gone), Frame::Error { code: 410, .. }));
    let broken = json!({"metadata": {"name": "x", "namespace": "shop", "resourceVersion": "8"}, "spec": 1});
    assert!(matches!(
        frame(pods, "MODIFIED", broken),
        Frame::Garbled { garbled, resource_version } if garbled.name == "shop/x" && &*resource_version == "8"
    ));
}

#[test]
fn untrusted_text_is_clean_before_anything_holds_it() {
    let mut cluster = Cluster::new();
    let mut object = crash_looping(pod("shop/a"), 1);
    object["metadata"]["labels"] = json!({"team": "pay\u{202e}load"});
    object["status"]["containerStatuses"][0]["state"]["waiting"]["reason"] = json!("\u{1b}[31mEvil\u{1b}[0m");
    object["status"]["containerStatuses"][0]["lastState"] = json!({});
    object["status"]["containerStatuses"][0]["state"]["waiting"]["message"] = json!("first\nsecond\u{9b}2J");
    let object = cluster.decode("pods", object);
    assert_eq!(told(&cluster, "pods", &object, "status"), "Evil");
    assert_eq!(told(&cluster, "pods", &object, "why"), "app: Evil: first second");
    assert_eq!(object.meta.label("team").map(|label| &**label), Some("payload"));
}

#[test]
fn a_pod_is_small() {
    // 10,000 of them are to fit into a few MiB; what is shared is not counted here.
    assert!(size_of::<super::pods::Pod>() <= 240, "{}", size_of::<super::pods::Pod>());
    assert!(size_of::<Object>() <= 176, "{}", size_of::<Object>());
}

fn raised(pairs: &[(&str, &str)], state: AlertState, severity: Severity) -> Object {
    let labels: Labels = pairs.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
    let alert = Alert {
        fingerprint: "".into(),
        name: labels.get("alertname").unwrap_or_default().into(),
        labels,
        annotations: [("summary".into(), "it hurts".into())].into_iter().collect(),
        severity,
        state,
        since: None,
        updated: None,
        value: None,
        receivers: vec!["pagerduty".into()],
        silenced_by: Vec::new(),
        inhibited_by: Vec::new(),
        muted_by: Vec::new(),
        generator: "".into(),
        origins: vec![Origin::Alertmanager],
        places: Vec::new(),
    };
    alerts::alert_object(Raised { alert, rule: None, alarm: None })
}

#[test]
fn an_alert_is_as_bad_as_what_it_says_and_where_it_stands() {
    let cluster = Cluster::new();
    let kind = cluster.kinds.find("alerts").unwrap();
    for (state, severity, health) in [
        (AlertState::Firing, Severity::Critical, Health::Degraded),
        (AlertState::Firing, Severity::Warning, Health::Warning),
        // A word that nobody knows is not harmless.
        (AlertState::Firing, Severity::Other, Health::Warning),
        (AlertState::Pending, Severity::Critical, Health::Progressing),
        (AlertState::Suppressed, Severity::Critical, Health::Idle),
        (AlertState::Unknown, Severity::Critical, Health::Unknown),
    ] {
        let object = raised(&[("alertname", "Down")], state, severity);
        assert_eq!(kind.health(&object, &cluster.lens()).0, health, "{state:?} {severity:?}");
    }
}

#[test]
fn an_alert_leads_to_what_its_labels_name_and_not_to_its_exporter() {
    let cluster = Cluster::new();
    let about = |pairs: &[(&str, &str)]| {
        let object = raised(pairs, AlertState::Firing, Severity::Warning);
        let raised = object.body::<Raised>().unwrap();
        let found = alerts::subjects(&raised.alert.labels, &cluster.lens());
        found.first().map(ToString::to_string).unwrap_or_default()
    };
    let exporter = ("pod", "kube-prometheus-stack-kube-state-metrics-7d9");
    assert_eq!(
        about(&[exporter, ("namespace", "tenant-2"), ("deployment", "checkout")]),
        "deployments.apps tenant-2/checkout"
    );
    // Scraped without honorLabels: the namespace is that of the exporter.
    let ingress =
        [("namespace", "ingress-nginx"), ("exported_namespace", "tenant-2"), ("ingress", "checkout")];
    assert_eq!(about(&ingress), "ingresses.networking.k8s.io tenant-2/checkout");
    let application = [("name", "checkout"), ("project", "tenant-2"), ("namespace", "argocd")];
    assert_eq!(about(&application), "applications.argoproj.io argocd/checkout");
    assert_eq!(about(&[("node", "node-1"), ("namespace", "monitoring")]), "nodes node-1");
}

#[test]
fn alerts_without_a_fingerprint_are_told_apart_by_their_labels() {
    let one = raised(&[("alertname", "Down"), ("pod", "a")], AlertState::Pending, Severity::Info);
    let same = raised(&[("pod", "a"), ("alertname", "Down")], AlertState::Firing, Severity::Info);
    let other = raised(&[("alertname", "Down"), ("pod", "b")], AlertState::Pending, Severity::Info);
    assert_eq!(one.meta.name, same.meta.name);
    assert_ne!(one.meta.name, other.meta.name);
}
