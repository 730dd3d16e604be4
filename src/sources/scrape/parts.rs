//! The components whose pages are read: which metrics each has, and how it is reached.

use std::collections::BTreeSet;

use futures::future::join_all;
use serde::Deserialize;

use super::page::{Page, Scraped};
use crate::human::parse_quantity;
use crate::promql::{Labels, NAME};
use crate::sources::SourceError;
use crate::sources::answer::refusal;
use crate::sources::kubernetes::Connection;
use crate::sources::percent::form;

/// How many pods of one component are asked at most.
const PODS: usize = 8;

/// How large one page may be: that of an API server with thousands of CRDs has about 50 MiB.
const LIMIT: usize = 128 * 1024 * 1024;

/// The text format of Prometheus, which every component speaks.
const TEXT: &str = "text/plain;version=0.0.4";

/// The CPU that containers use, as kube-prometheus records it and as metrics.k8s.io knows it: in cores.
const CPU: &str = "node_namespace_pod_container:container_cpu_usage_seconds_total:sum_rate5m";

/// The memory that containers use.
const MEMORY: &str = "container_memory_working_set_bytes";

/// A component.
#[derive(Debug)]
pub struct Part {
    /// What it is called.
    pub name: &'static str,
    /// The label `job` of its series.
    job: &'static str,
    /// How its metrics begin.
    metrics: &'static [&'static str],
    place: Place,
}

#[derive(Debug)]
enum Place {
    /// A path of the API server.
    Server(&'static str),
    /// A port of pods with a label, the first that any has, and the namespaces that charts put them in.
    Pods { selectors: &'static [&'static str], port: u16, namespaces: &'static [&'static str] },
    /// metrics.k8s.io.
    Usage,
}

impl Part {
    /// Tells whether a metric would be one of its own.
    pub fn has(&self, metric: &str) -> bool {
        self.metrics.iter().any(|start| metric.starts_with(start))
    }
}

const fn pods(
    name: &'static str,
    metrics: &'static [&'static str],
    selectors: &'static [&'static str],
    port: u16,
    namespaces: &'static [&'static str],
) -> Part {
    Part { name, job: name, metrics, place: Place::Pods { selectors, port, namespaces } }
}

/// Every component; ports and labels are those of the projects' own manifests and charts. The scheduler and the
/// controllers of EKS are behind the API server (contracts 4.4).
pub static PARTS: &[Part] = &[
    Part {
        name: "API server",
        job: "apiserver",
        metrics: &["apiserver_", "etcd_", "authentication_", "authorization_", "authenticated_user_"],
        place: Place::Server("/metrics"),
    },
    Part {
        name: "scheduler",
        job: "ksh",
        metrics: &["scheduler_"],
        place: Place::Server("/apis/metrics.eks.amazonaws.com/v1/ksh/container/metrics"),
    },
    Part {
        name: "controller manager",
        job: "kcm",
        metrics: &["workqueue_"],
        place: Place::Server("/apis/metrics.eks.amazonaws.com/v1/kcm/container/metrics"),
    },
    Part { name: "metrics.k8s.io", job: "metrics.k8s.io", metrics: &[CPU, MEMORY], place: Place::Usage },
    pods(
        "kube-state-metrics",
        &["kube_"],
        &["app.kubernetes.io/name=kube-state-metrics"],
        8080,
        &["monitoring", "kube-system", "kube-state-metrics"],
    ),
    pods(
        "karpenter",
        &["karpenter_"],
        &["app.kubernetes.io/name=karpenter"],
        8080,
        &["karpenter", "kube-system"],
    ),
    pods(
        "argocd-metrics",
        &["argocd_app_", "argocd_cluster_", "argocd_kubectl_"],
        &["app.kubernetes.io/name=argocd-application-controller"],
        8082,
        &["argocd"],
    ),
    pods(
        "argocd-repo-server",
        &["argocd_git_", "argocd_repo_"],
        &["app.kubernetes.io/name=argocd-repo-server"],
        8084,
        &["argocd"],
    ),
    pods(
        "coredns",
        &["coredns_"],
        &["k8s-app=kube-dns", "app.kubernetes.io/name=coredns"],
        9153,
        &["kube-system"],
    ),
    pods(
        "cert-manager",
        &["certmanager_"],
        &["app.kubernetes.io/name=cert-manager"],
        9402,
        &["cert-manager"],
    ),
    pods(
        "external-secrets",
        &["externalsecret_", "secretstore_", "clustersecretstore_"],
        &["app.kubernetes.io/name=external-secrets"],
        8080,
        &["external-secrets"],
    ),
    pods(
        "ingress-nginx",
        &["nginx_ingress_controller_"],
        &["app.kubernetes.io/name in (ingress-nginx,ingress-nginx-controller)"],
        10254,
        &["ingress-nginx"],
    ),
];

/// Reads the pages of a component; of each only the metrics that are wanted are kept.
pub async fn read(
    connection: &Connection,
    part: &'static Part,
    wanted: &BTreeSet<String>,
) -> Result<Scraped, SourceError> {
    let mut scraped = Scraped::default();
    match &part.place {
        Place::Server(path) => {
            let own = [("job", part.job), ("instance", "apiserver")];
            page(connection, part, path, Page::new(wanted, &own), &mut scraped).await?;
        }
        Place::Usage => usage(connection, &mut scraped).await?,
        Place::Pods { selectors, port, namespaces } => {
            let pods = find(connection, part, selectors, namespaces).await?;
            let read = pods.iter().take(PODS).map(|pod| async move {
                let Meta { namespace, name } = &pod.metadata;
                let path = format!("/api/v1/namespaces/{namespace}/pods/{name}:{port}/proxy/metrics");
                let own = [("job", part.job), ("instance", name.as_str())];
                let mut one = Scraped::default();
                let result = page(connection, part, &path, Page::new(wanted, &own), &mut one).await;
                result.map(|()| one)
            });
            let mut answered = false;
            for one in join_all(read).await {
                match one {
                    Ok(one) => {
                        answered = true;
                        scraped.names.extend(one.names);
                        scraped.samples.extend(one.samples);
                        scraped.garbled += one.garbled;
                        scraped.heavy.extend(one.heavy);
                    }
                    Err(error) => scraped.error = Some(error),
                }
            }
            let Scraped { samples, heavy, .. } = &mut scraped;
            samples.retain(|sample| !heavy.contains(&sample.0));
            if let Some(error) = scraped.error.take_if(|_| !answered) {
                return Err(error);
            }
        }
    }
    Ok(scraped)
}

async fn page(
    connection: &Connection,
    part: &Part,
    path: &str,
    mut page: Page<'_>,
    scraped: &mut Scraped,
) -> Result<(), SourceError> {
    let asked = connection.asked("get", format!("the metrics of {} ({path})", part.name));
    let mut reader = connection.stream(&asked, path, TEXT).await?;
    if !reader.code().is_success() {
        let (code, headers) = (reader.code(), reader.headers().clone());
        let body = reader.beginning().await;
        return Err(refusal(&asked, code, &headers, &body, connection.now()));
    }
    let stall = connection.waits().stall;
    let mut read = 0;
    while let Some(bytes) = reader.next(stall).await? {
        read += bytes.len();
        if read > LIMIT {
            return Err(SourceError::Garbled {
                what: format!("the metrics of {}", part.name),
                reason: format!("the page is larger than {} MiB", LIMIT / 1024 / 1024),
            });
        }
        page.take(&bytes, scraped);
    }
    page.end(scraped);
    if scraped.names.is_empty() {
        return Err(SourceError::Garbled {
            what: format!("the metrics of {}", part.name),
            reason: format!("{path} holds no metrics in the text format of Prometheus"),
        });
    }
    Ok(())
}

#[derive(Deserialize)]
struct List<T> {
    #[serde(default = "Vec::new")]
    items: Vec<T>,
}

#[derive(Deserialize)]
struct Pod {
    metadata: Meta,
    #[serde(default)]
    status: Status,
}

#[derive(Default, Deserialize)]
struct Status {
    #[serde(default)]
    phase: String,
}

#[derive(Deserialize)]
struct Meta {
    #[serde(default)]
    namespace: String,
    name: String,
}

/// Finds the running pods of a component: everywhere, or where that is forbidden in the usual namespaces.
async fn find(
    connection: &Connection,
    part: &Part,
    selectors: &[&str],
    namespaces: &[&str],
) -> Result<Vec<Pod>, SourceError> {
    for selector in selectors {
        let found = match list(connection, "", selector).await {
            Err(denied @ SourceError::Denied { .. }) => {
                let mut all = Vec::new();
                let mut permitted = false;
                for namespace in namespaces {
                    if let Ok(some) = list(connection, &format!("/namespaces/{namespace}"), selector).await {
                        permitted = true;
                        all.extend(some);
                    }
                }
                if permitted { Ok(all) } else { Err(denied) }
            }
            found => found,
        }?;
        let running: Vec<Pod> = found.into_iter().filter(|pod| pod.status.phase == "Running").collect();
        if !running.is_empty() {
            return Ok(running);
        }
    }
    Err(SourceError::Missing {
        what: part.name.to_owned(),
        reason: format!("no pod with the label {} runs", selectors.join(" or ")),
    })
}

async fn list(connection: &Connection, place: &str, selector: &str) -> Result<Vec<Pod>, SourceError> {
    let query = form(&[("labelSelector", selector), ("limit", "50")]);
    let asked = connection.asked("list", "pods");
    let body = connection.get(&asked, &format!("/api/v1{place}/pods?{query}"), "application/json").await?;
    let list: List<Pod> = decode("list pods", &body)?;
    Ok(list.items)
}

fn decode<'a, T: Deserialize<'a>>(what: &str, body: &'a [u8]) -> Result<T, SourceError> {
    serde_json::from_slice(body).map_err(|error| SourceError::Garbled {
        what: what.to_owned(),
        reason: crate::text::one_line(&error.to_string()).into_owned(),
    })
}

#[derive(Deserialize)]
struct Measured {
    metadata: Meta,
    #[serde(default = "Vec::new")]
    containers: Vec<Container>,
}

#[derive(Deserialize)]
struct Container {
    #[serde(default)]
    name: String,
    usage: Amounts,
}

#[derive(Deserialize)]
struct Amounts {
    #[serde(default)]
    cpu: Option<String>,
    #[serde(default)]
    memory: Option<String>,
}

/// Reads what containers use (contracts 3.10), under the names that Prometheus would have it by.
async fn usage(connection: &Connection, scraped: &mut Scraped) -> Result<(), SourceError> {
    let what = "list pods.metrics.k8s.io";
    let asked = connection.asked("list", "pods.metrics.k8s.io");
    let body = connection.get(&asked, "/apis/metrics.k8s.io/v1beta1/pods", "application/json").await?;
    let list: List<serde_json::Value> = decode(what, &body)?;
    scraped.names.extend([CPU, MEMORY].map(str::to_owned));
    for item in list.items {
        let Ok(pod) = serde_json::from_value::<Measured>(item) else {
            scraped.garbled += 1;
            continue;
        };
        for container in &pod.containers {
            let values = [(CPU, &container.usage.cpu), (MEMORY, &container.usage.memory)];
            for (metric, amount) in values {
                let Some(value) = amount.as_deref().and_then(parse_quantity) else { continue };
                let clean = |text: &str| crate::text::one_line(text).into_owned();
                let labels = [
                    (NAME, metric.to_owned()),
                    ("namespace", clean(&pod.metadata.namespace)),
                    ("pod", clean(&pod.metadata.name)),
                    ("container", clean(&container.name)),
                    // Expressions leave out what has no image: the sandbox, which is not counted here.
                    ("image", "metrics.k8s.io".to_owned()),
                ];
                scraped.samples.push((metric.to_owned(), Labels::new(labels), value));
            }
        }
    }
    Ok(())
}
