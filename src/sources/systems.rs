//! Finds the systems beside Kubernetes: by configuration where it says something, else by the labels and ports of
//! the services that their charts and operators make.
//!
//! What is found is asked once (its version) before it is used. What it says about the platform is the business of
//! its own source (`prometheus`, `alertmanager`, ...).

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use http::{HeaderMap, HeaderValue, header};
use serde::Deserialize;
use serde_json::Value;
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::SourceError;
use super::cloudwatch::CloudWatch;
use super::endpoint::{Endpoint, ServicePort, header_of};
use super::kubernetes::Connection;
use super::objects::decode_list;
use super::scrape::{self, Scraper};
use crate::identity::{ObjectRef, Text};
use crate::signals::{Answer, Found, System, Told, Wanted};

/// How long what was found is believed.
const BELIEVED: Duration = Duration::from_mins(5);

/// How long it is believed when something did not answer.
const DOUBTED: Duration = Duration::from_secs(20);

/// Namespaces that are looked into where listing the services of all is forbidden: the defaults of the charts.
const USUAL: [&str; 9] = [
    "monitoring",
    "observability",
    "prometheus",
    "kube-prometheus-stack",
    "metrics",
    "loki",
    "logging",
    "argocd",
    "argo-cd",
];

/// Services by the labels of charts and operators; two selectors, because labels cannot be joined by "or".
const SELECTORS: [&str; 2] = [
    "app.kubernetes.io/name in (prometheus,alertmanager,loki,argocd-server,thanos-query,thanos-query-frontend,\
     query-frontend,mimir,vmsingle,vmselect,victoria-metrics-single)",
    "app in (kube-prometheus-stack-prometheus,kube-prometheus-stack-alertmanager,prometheus,alertmanager,loki,\
     prometheus-operator-prometheus,prometheus-operator-alertmanager)",
];

/// What configuration says of a system.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Directions {
    /// It is not to be asked.
    pub off: bool,
    /// Its URL; `None` to look for it in the cluster.
    pub url: Option<String>,
    /// Its service as `namespace/name:port`; `None` to look for it.
    pub service: Option<String>,
    /// Its path before every other.
    pub prefix: Option<String>,
    /// Headers that are sent with every request, such as `X-Scope-OrgID`.
    pub headers: Vec<(String, String)>,
    /// The variable of the environment that holds its bearer token.
    pub bearer_env: Option<String>,
    /// The file that holds its bearer token.
    pub bearer_file: Option<PathBuf>,
    /// The file with the certificates that its own is signed by.
    pub ca_file: Option<PathBuf>,
    /// Whether its certificate is not checked.
    pub insecure: bool,
    /// The AWS region; of CloudWatch alone.
    pub region: Option<String>,
    /// The AWS profile; of CloudWatch alone.
    pub profile: Option<String>,
    /// The file of AWS credentials in the place of those of the home directory; of CloudWatch alone.
    pub credentials_file: Option<PathBuf>,
    /// The URL of Secrets Manager of the same account; of CloudWatch alone.
    pub secrets_url: Option<String>,
}

/// The systems beside one cluster; clones share what was found.
#[derive(Debug, Clone)]
pub struct Systems(Arc<Inner>);

/// The services that may be systems, or why they are not known.
type Candidates = Result<Arc<[Candidate]>, SourceError>;

#[derive(Debug)]
struct Inner {
    connection: Connection,
    directions: BTreeMap<System, Directions>,
    /// `None` where it is switched off.
    cloud: Option<CloudWatch>,
    // Held while looking, so that ten questions at the start look once; one for each system, so that one that does
    // not answer keeps nobody from the others.
    known: BTreeMap<System, Mutex<Option<Known>>>,
    /// The services that may be systems, and when they were listed.
    services: Mutex<Option<(Instant, Candidates)>>,
    scraper: Scraper,
}

/// What is known of one system.
#[derive(Debug, Clone)]
struct Known {
    at: Instant,
    found: Vec<Found>,
    usable: Vec<Endpoint>,
}

impl Known {
    fn is_old(&self) -> bool {
        let sound = self.found.iter().all(|one| one.error.is_none());
        self.at.elapsed() >= if sound { BELIEVED } else { DOUBTED }
    }
}

impl Systems {
    /// The systems of a connection, as configuration directs; nothing is asked yet.
    ///
    /// AWS is asked where configuration names it: nothing of the environment is taken for credentials.
    pub fn new(connection: Connection, directions: BTreeMap<System, Directions>) -> Self {
        Self::made(connection, directions, false)
    }

    /// The same, with AWS also where the cluster lives there and the environment holds credentials.
    pub fn with_environment(connection: Connection, directions: BTreeMap<System, Directions>) -> Self {
        Self::made(connection, directions, true)
    }

    fn made(connection: Connection, directions: BTreeMap<System, Directions>, ambient: bool) -> Self {
        let of_cloud = directions.get(&System::CloudWatch).cloned().unwrap_or_default();
        let cloud = (!of_cloud.off).then(|| CloudWatch::new(connection.clone(), of_cloud, ambient));
        let known = System::ALL.map(|system| (system, Mutex::default())).into();
        Self(Arc::new(Inner {
            connection,
            directions,
            cloud,
            known,
            services: Mutex::default(),
            scraper: Scraper::default(),
        }))
    }

    /// Returns CloudWatch, unless it is switched off.
    pub fn cloud(&self) -> Result<&CloudWatch, SourceError> {
        self.0.cloud.as_ref().ok_or_else(|| switched_off(System::CloudWatch))
    }

    /// Returns the connection to the cluster.
    pub fn connection(&self) -> &Connection {
        &self.0.connection
    }

    /// Returns what configuration says of a system.
    pub fn directions(&self, system: System) -> Directions {
        self.0.directions.get(&system).cloned().unwrap_or_default()
    }

    /// Answers a question.
    pub async fn answer(&self, wanted: &Wanted) -> Result<Told, SourceError> {
        match wanted {
            Wanted::Systems => Ok(Told::plain(Answer::Systems(self.look().await))),
            Wanted::Rights(namespace) => {
                let rights = self.connection().rights(namespace).await?;
                Ok(Told::plain(Answer::Rights(rights)))
            }
            Wanted::Alerts => super::alertmanager::alerts(&self.all(System::Alertmanager).await?).await,
            Wanted::Silences => super::alertmanager::silences(&self.all(System::Alertmanager).await?).await,
            Wanted::Rules => super::prometheus::rules(&self.one(System::Prometheus).await?).await,
            Wanted::Instant { query, at } => match self.prometheus().await? {
                Ok(endpoint) => super::prometheus::instant(&endpoint, query, *at).await,
                Err(why) => self.scrape(wanted, &why).await,
            },
            Wanted::Range { query, window, step } => match self.prometheus().await? {
                Ok(endpoint) => super::prometheus::range(&endpoint, query, *window, *step).await,
                Err(why) => self.scrape(wanted, &why).await,
            },
            Wanted::Use(using) => super::usage::usage(self, *using).await,
            Wanted::Values { label, matching } => match self.prometheus().await? {
                Ok(endpoint) => super::prometheus::values(&endpoint, label, matching).await,
                Err(why) => self.scrape(wanted, &why).await,
            },
            Wanted::LabelNames { matching } => match self.prometheus().await? {
                Ok(endpoint) => super::prometheus::label_names(&endpoint, matching).await,
                Err(why) => self.scrape(wanted, &why).await,
            },
            Wanted::Tree { application, project } => {
                super::argocd::tree(&self.one(System::ArgoServer).await?, application, project).await
            }
            Wanted::Alarms => self.cloud()?.alarms().await,
            Wanted::Figures { .. } => self.cloud()?.figures(wanted).await,
        }
    }

    /// Asks argocd-server what the sources of an Application want at one revision each.
    pub async fn manifests(
        &self,
        application: &ObjectRef,
        project: &str,
        revisions: &[String],
    ) -> Result<Vec<Value>, SourceError> {
        let endpoint = self.one(System::ArgoServer).await?;
        super::argocd::manifests(&endpoint, application, project, revisions).await
    }

    /// Returns Prometheus, or where components are scraped in its place, why it is not there.
    async fn prometheus(&self) -> Result<Result<Endpoint, SourceError>, SourceError> {
        match self.one(System::Prometheus).await {
            Ok(endpoint) => Ok(Ok(endpoint)),
            Err(why) => {
                let known = self.known(System::Prometheus, false).await;
                if known.found.iter().any(|one| one.scraped) { Ok(Err(why)) } else { Err(why) }
            }
        }
    }

    /// Tells whether there is no Prometheus and components are scraped instead.
    pub async fn is_scraped(&self) -> bool {
        matches!(self.prometheus().await, Ok(Err(_)))
    }

    async fn scrape(&self, wanted: &Wanted, why: &SourceError) -> Result<Told, SourceError> {
        let answer = self.0.scraper.answer(&self.0.connection, wanted).await;
        answer.map_err(|error| match error {
            SourceError::Missing { what, reason } => {
                SourceError::Missing { what, reason: format!("{reason}; {why}") }
            }
            other => other,
        })
    }

    /// Returns the endpoint of a system that is asked: the best that answers.
    pub async fn one(&self, system: System) -> Result<Endpoint, SourceError> {
        let mut all = self.all(system).await?;
        Ok(all.swap_remove(0))
    }

    /// Returns every endpoint of a system that answers; at least one.
    pub async fn all(&self, system: System) -> Result<Vec<Endpoint>, SourceError> {
        if self.directions(system).off {
            return Err(switched_off(system));
        }
        let known = self.known(system, false).await;
        if !known.usable.is_empty() {
            return Ok(known.usable);
        }
        let why = known.found.into_iter().find_map(|one| one.error);
        Err(why.unwrap_or_else(|| not_found(system)))
    }

    /// Looks again and returns what was found, system by system.
    pub async fn look(&self) -> Vec<Found> {
        let cloud = async {
            match &self.0.cloud {
                Some(cloud) => cloud.found().await,
                None => None,
            }
        };
        let looked = System::ALL.map(|system| self.known(system, true));
        // Beside the others: an account that does not answer holds nobody up who looks for Prometheus.
        let (known, cloud) = tokio::join!(join_all(looked), cloud);
        known.into_iter().flat_map(|known| known.found).chain(cloud).collect()
    }

    async fn known(&self, system: System, anew: bool) -> Known {
        let nothing = || Known { at: Instant::now(), found: Vec::new(), usable: Vec::new() };
        let Some(known) = self.0.known.get(&system) else { return nothing() };
        let mut known = known.lock().await;
        match &*known {
            // Asking anew within a moment is asking for what another task has just found.
            Some(one) if !one.is_old() && (!anew || one.at.elapsed() < DOUBTED) => one.clone(),
            _ => {
                let (found, usable) = self.search(system).await;
                let one = Known { found, usable, ..nothing() };
                *known = Some(one.clone());
                one
            }
        }
    }

    /// Returns the services that may be systems; listed once for all systems that are looked for together.
    async fn listed(&self) -> Result<Arc<[Candidate]>, SourceError> {
        let mut services = self.0.services.lock().await;
        match &*services {
            Some((at, listed)) if at.elapsed() < DOUBTED => listed.clone(),
            _ => {
                let listed = self.candidates().await.map(Into::into);
                *services = Some((Instant::now(), listed.clone()));
                listed
            }
        }
    }

    async fn search(&self, system: System) -> (Vec<Found>, Vec<Endpoint>) {
        let directions = self.directions(system);
        if directions.off {
            let instead = if system == System::Prometheus { vec![scraped()] } else { Vec::new() };
            return (instead, Vec::new());
        }
        match system {
            System::ResourceMetrics => return (vec![self.resource_metrics().await], Vec::new()),
            // Not a service of the cluster: its own source says how it is reached (`look`).
            System::CloudWatch => return (Vec::new(), Vec::new()),
            _ => {}
        }
        let endpoints = match self.endpoints(system, &directions).await {
            Ok(endpoints) if endpoints.is_empty() && system == System::Prometheus => {
                return (vec![lost(system, "", not_found(system)), scraped()], Vec::new());
            }
            Ok(endpoints) => endpoints,
            Err(error) => return (vec![lost(system, "", error)], Vec::new()),
        };
        let asked = endpoints.into_iter().map(|one| async move { (version(&one).await, one) });
        let mut found = Vec::new();
        let mut usable = Vec::new();
        for (version, one) in join_all(asked).await {
            let first = usable.is_empty();
            match version {
                // Several Prometheus, Loki or Argo CD are one and its copies, or parts of one: the best is asked.
                Ok(version) if first || system == System::Alertmanager => {
                    found.push(found_at(system, &one.way(), version));
                    usable.push(one);
                }
                Ok(_) => {}
                Err(error) => found.push(lost(system, &one.way(), error)),
            }
        }
        if !usable.is_empty() {
            // A worse candidate that does not answer is no trouble where a better one does.
            found.retain(|one| one.error.is_none());
        } else if found.is_empty() {
            found.push(lost(system, "", not_found(system)));
        }
        found.truncate(8);
        (found, usable)
    }

    async fn endpoints(&self, system: System, directions: &Directions) -> Result<Vec<Endpoint>, SourceError> {
        let headers = headers(system, directions)?;
        let connection = || self.0.connection.clone();
        if let Some(url) = &directions.url {
            let url = format!("{url}{}", directions.prefix.as_deref().unwrap_or_default());
            let endpoint = Endpoint::at(system, connection(), client(system, directions)?, &url);
            return Ok(vec![endpoint.with_headers(headers)]);
        }
        let prefix = directions.prefix.as_deref().unwrap_or_default();
        if let Some(service) = &directions.service {
            let port = read_service(service).ok_or_else(|| SourceError::Invalid {
                what: format!("service {service:?} of {}", system.key()),
                reason: "write namespace/name:port".to_owned(),
            })?;
            return Ok(vec![Endpoint::behind(system, connection(), &port, prefix).with_headers(headers)]);
        }
        let candidates = self.listed().await.map_err(|error| match error {
            // What may not be looked for can be named.
            SourceError::Denied { verb, object, reason } => SourceError::Denied {
                verb,
                object,
                reason: format!("{reason}; {} can name its url or service", section(system)),
            },
            other => other,
        })?;
        let fitting = candidates.iter().filter(|one| one.system == system);
        Ok(fitting
            .map(|one| {
                let prefix = directions.prefix.as_deref().unwrap_or(one.prefix);
                Endpoint::behind(system, connection(), &one.port, prefix).with_headers(headers.clone())
            })
            .collect())
    }

    /// Finds the services that may be one of the systems, the best first.
    async fn candidates(&self) -> Result<Vec<Candidate>, SourceError> {
        let mut services = Vec::new();
        let mut denied = None;
        for selector in SELECTORS {
            match self.services(None, selector).await {
                Ok(some) => services.extend(some),
                Err(error) => denied = Some(error),
            }
        }
        if let Some(error) = denied {
            let named = self.0.connection.namespaces().iter().map(|name| &**name);
            let places: Vec<&str> = USUAL.into_iter().chain(named).collect();
            let asked = places.iter().flat_map(|place| {
                SELECTORS.map(|selector| async move { self.services(Some(place), selector).await })
            });
            let mut permitted = false;
            for some in join_all(asked).await.into_iter().flatten() {
                permitted = true;
                services.extend(some);
            }
            if !permitted {
                return Err(error);
            }
        }
        let mut candidates: Vec<Candidate> = services.iter().filter_map(Candidate::of).collect();
        // A headless service beside an ordinary one of the same system is the operator's second name for it.
        let ordinary: Vec<(System, Text)> = candidates
            .iter()
            .filter(|one| !one.headless)
            .map(|one| (one.system, one.port.namespace.clone()))
            .collect();
        candidates
            .retain(|one| !one.headless || !ordinary.contains(&(one.system, one.port.namespace.clone())));
        candidates.sort_by(|one, other| {
            (one.rank, &one.port.namespace, &one.port.service).cmp(&(
                other.rank,
                &other.port.namespace,
                &other.port.service,
            ))
        });
        candidates.dedup_by(|one, other| one.system == other.system && one.port == other.port);
        Ok(candidates)
    }

    async fn services(&self, namespace: Option<&str>, selector: &str) -> Result<Vec<Service>, SourceError> {
        #[derive(Deserialize)]
        struct List {
            items: Option<Vec<Service>>,
        }
        let connection = &self.0.connection;
        let place = namespace.map(|name| format!("/namespaces/{name}")).unwrap_or_default();
        let query = super::percent::form(&[("labelSelector", selector), ("limit", "500")]);
        let path = format!("/api/v1{place}/services?{query}");
        let asked = connection.asked("list", "services");
        let body = connection.get(&asked, &path, "application/json").await?;
        let list: List = decode_list(&asked, &body)?;
        Ok(list.items.unwrap_or_default())
    }

    async fn resource_metrics(&self) -> Found {
        let connection = &self.0.connection;
        let asked = connection.asked("get", "the API metrics.k8s.io");
        let answer = connection.get(&asked, "/apis/metrics.k8s.io/v1beta1", "application/json").await;
        let system = System::ResourceMetrics;
        match answer {
            Ok(body) if decode_list::<Value>(&asked, &body).is_ok() => {
                found_at(system, "the API server", Some("v1beta1".into()))
            }
            Ok(_) => {
                let reason = "something that is no list of its types".to_owned();
                lost(system, "the API server", SourceError::Garbled { what: asked.what, reason })
            }
            Err(error) => lost(system, "the API server", error),
        }
    }
}

/// What stands in for Prometheus where it is not there.
fn scraped() -> Found {
    Found { scraped: true, ..found_at(System::Prometheus, scrape::WAY, None) }
}

fn found_at(system: System, way: &str, version: Option<Text>) -> Found {
    Found { system, way: way.into(), version, error: None, note: None, heard: None, scraped: false }
}

fn lost(system: System, way: &str, error: SourceError) -> Found {
    Found { error: Some(error), ..found_at(system, way, None) }
}

/// The part of the configuration that directs to a system.
fn section(system: System) -> String {
    format!("[contexts.\"...\".{}] of the configuration", system.key())
}

fn switched_off(system: System) -> SourceError {
    SourceError::Missing {
        what: system.name().to_owned(),
        reason: "it is switched off in the configuration".to_owned(),
    }
}

fn not_found(system: System) -> SourceError {
    SourceError::Missing {
        what: system.name().to_owned(),
        reason: format!(
            "no service with its usual labels was found; {} can name a url or a service",
            section(system)
        ),
    }
}

/// Reads `namespace/name:port`, with `https:` before the name where it speaks TLS.
fn read_service(text: &str) -> Option<ServicePort> {
    let (namespace, rest) = text.split_once('/')?;
    let (tls, rest) = rest.strip_prefix("https:").map_or((false, rest), |rest| (true, rest));
    let (service, port) = rest.split_once(':')?;
    let whole =
        ![namespace, service, port].iter().any(|part| part.is_empty() || part.contains(['/', '?', '#']));
    whole.then(|| ServicePort {
        namespace: namespace.into(),
        service: service.into(),
        port: port.into(),
        tls,
    })
}

fn headers(system: System, directions: &Directions) -> Result<HeaderMap, SourceError> {
    let wrong = |reason: String| SourceError::Invalid {
        what: format!("the configuration of {}", system.key()),
        reason,
    };
    let mut headers = HeaderMap::new();
    for (name, value) in &directions.headers {
        let (name, value) = header_of(name, value)
            .ok_or_else(|| wrong(format!("{name:?} is not a header that can be sent")))?;
        headers.insert(name, value);
    }
    let token =
        match (&directions.bearer_env, &directions.bearer_file) {
            (Some(variable), _) => Some(
                std::env::var(variable)
                    .map_err(|_| wrong(format!("the variable {variable} with its token is not set")))?,
            ),
            // Read anew each time the systems are looked for: a mounted token changes.
            (None, Some(file)) => Some(std::fs::read_to_string(file).map_err(|error| {
                wrong(format!("its token cannot be read from {}: {error}", file.display()))
            })?),
            (None, None) => None,
        };
    if let Some(token) = token {
        let mut value = HeaderValue::from_str(&format!("Bearer {}", token.trim()))
            .map_err(|_| wrong("its token has letters that cannot be sent".to_owned()))?;
        value.set_sensitive(true);
        headers.insert(header::AUTHORIZATION, value);
    }
    Ok(headers)
}

fn client(system: System, directions: &Directions) -> Result<reqwest::Client, SourceError> {
    let wrong = |reason: String| SourceError::Invalid {
        what: format!("the configuration of {}", system.key()),
        reason,
    };
    let mut builder = reqwest::Client::builder()
        .connect_timeout(Duration::from_secs(10))
        .redirect(within_its_origin())
        .danger_accept_invalid_certs(directions.insecure);
    if system == System::Loki {
        // A tail is a WebSocket, which begins as HTTP/1.1.
        builder = builder.http1_only();
    }
    if let Some(file) = &directions.ca_file {
        let pem = std::fs::read(file).map_err(|error| wrong(format!("{}: {error}", file.display())))?;
        let certificates = reqwest::Certificate::from_pem_bundle(&pem)
            .ok()
            // A file without any is read as an empty list.
            .filter(|certificates| !certificates.is_empty())
            .ok_or_else(|| wrong(format!("{} holds no certificates", file.display())))?;
        for certificate in certificates {
            builder = builder.add_root_certificate(certificate);
        }
    }
    builder.build().map_err(|error| wrong(crate::text::one_line(&error.to_string()).into_owned()))
}

/// Follows redirects to the same scheme, host and port alone: headers of configuration may be credentials, and
/// reqwest takes only the common ones off on the way to another host.
fn within_its_origin() -> reqwest::redirect::Policy {
    reqwest::redirect::Policy::custom(|attempt| {
        let to = attempt.url();
        let same = attempt.previous().first().is_some_and(|from| {
            (from.scheme(), from.host_str(), from.port_or_known_default())
                == (to.scheme(), to.host_str(), to.port_or_known_default())
        });
        // What is not followed is an answer, and is told as one.
        if same && attempt.previous().len() <= 3 { attempt.follow() } else { attempt.stop() }
    })
}

/// Asks a system for its version; `None` where it answers and does not say.
async fn version(endpoint: &Endpoint) -> Result<Option<Text>, SourceError> {
    // The second pointer is what makes an answer that of the system.
    let (path, pointer, mark) = match endpoint.system {
        System::Prometheus => ("/api/v1/status/buildinfo", "/data/version", "/data"),
        System::Alertmanager => ("/api/v2/status", "/versionInfo/version", "/versionInfo"),
        System::Loki => ("/loki/api/v1/status/buildinfo", "/version", "/version"),
        System::ArgoServer => ("/api/version", "/Version", "/Version"),
        System::ResourceMetrics | System::CloudWatch => return Ok(None),
    };
    match endpoint.get(path, &[]).await {
        Ok(body) => {
            let value: Value = serde_json::from_slice(&body)
                .map_err(|_| endpoint.garbled("something that is not JSON came from its status"))?;
            if value.pointer(mark).is_none() {
                return Err(endpoint.garbled(&format!("{path} says nothing of {}", endpoint.system)));
            }
            let version = value.pointer(pointer).and_then(Value::as_str);
            Ok(version.map(|version| crate::text::one_line(version).into()))
        }
        // Some that answer as Prometheus or Loki do have no such page; a question tells.
        Err(error @ SourceError::Missing { .. }) => match endpoint.system {
            System::Prometheus => super::prometheus::instant(endpoint, "1", None).await.map(|_| None),
            System::Loki => {
                let end = i64::try_from(endpoint.now().as_nanosecond()).unwrap_or(i64::MAX);
                let span = super::loki::Span { start: end - 3_600 * super::loki::SECOND, end };
                super::loki::labels(endpoint, span).await.map(|_| None)
            }
            _ => Err(error),
        },
        Err(error) => Err(error),
    }
}

/// A service that may be one of the systems.
#[derive(Debug, Clone)]
struct Candidate {
    system: System,
    port: ServicePort,
    prefix: &'static str,
    headless: bool,
    /// Lower is better: a frontend that joins several stands before one of them.
    rank: u8,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Service {
    metadata: Metadata,
    spec: Spec,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Metadata {
    name: String,
    namespace: String,
    labels: BTreeMap<String, String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Spec {
    #[serde(rename = "clusterIP")]
    cluster_ip: Option<String>,
    ports: Vec<Port>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Port {
    name: Option<String>,
    port: u16,
}

impl Candidate {
    fn of(service: &Service) -> Option<Self> {
        let Metadata { name, namespace, labels } = &service.metadata;
        let label = labels.get("app.kubernetes.io/name").or_else(|| labels.get("app"))?;
        // What is named like a system and is not its API.
        let aside = ["memberlist", "canary", "gossip", "headless", "discovery", "ring", "cache", "webhook"];
        if aside.iter().any(|word| name.contains(word)) {
            return None;
        }
        let (system, rank, prefix, ports): (_, _, _, &[&str]) = if label.contains("alertmanager") {
            (System::Alertmanager, 0, "", &["http-web", "web", "http", "9093"])
        } else if label.contains("loki") {
            let rank = if name.ends_with("gateway") {
                0
            } else if name.contains("query-frontend") {
                1
            } else if name.ends_with("read") {
                2
            } else if [
                "write",
                "backend",
                "distributor",
                "ingester",
                "compactor",
                "ruler",
                "index",
                "pattern",
            ]
            .iter()
            .any(|part| name.contains(part))
            {
                return None;
            } else {
                3
            };
            (System::Loki, rank, "", &["http-metrics", "http", "3100"])
        } else if label == "argocd-server" {
            (System::ArgoServer, 0, "", &["https", "http", "443"])
        } else if label.starts_with("thanos") || label == "query-frontend" {
            let rank = u8::from(!name.contains("frontend"));
            (System::Prometheus, rank, "", &["http", "9090"])
        } else if label == "mimir" {
            if !name.contains("gateway") && !name.contains("query-frontend") && !name.contains("nginx") {
                return None;
            }
            (System::Prometheus, 2, "/prometheus", &["http-metrics", "http", "80"])
        } else if label == "vmselect" {
            (System::Prometheus, 2, "/select/0/prometheus", &["http", "8481"])
        } else if label.contains("prometheus") || label == "vmsingle" || label.starts_with("victoria") {
            (System::Prometheus, 3, "", &["http-web", "web", "http", "9090"])
        } else {
            return None;
        };
        let chosen =
            ports
                .iter()
                .find_map(|wanted| {
                    service.spec.ports.iter().find(|port| {
                        port.name.as_deref() == Some(wanted) || port.port.to_string() == **wanted
                    })
                })
                .or_else(|| service.spec.ports.first())?;
        let port = match &chosen.name {
            Some(name) if !name.is_empty() => name.clone(),
            _ => chosen.port.to_string(),
        };
        Some(Self {
            system,
            prefix,
            rank,
            headless: service.spec.cluster_ip.as_deref() == Some("None"),
            port: ServicePort {
                namespace: namespace.as_str().into(),
                service: name.as_str().into(),
                port: port.as_str().into(),
                tls: port.starts_with("https") || chosen.port == 443,
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candidate(name: &str, label: &str, ports: &[(&str, u16)]) -> Option<Candidate> {
        let ports: Vec<Value> =
            ports.iter().map(|(name, port)| serde_json::json!({ "name": name, "port": port })).collect();
        let service = serde_json::json!({
            "metadata": { "name": name, "namespace": "monitoring", "labels": { "app.kubernetes.io/name": label } },
            "spec": { "clusterIP": "10.0.0.1", "ports": ports },
        });
        Candidate::of(&serde_json::from_value(service).unwrap())
    }

    #[test]
    fn services_of_the_usual_charts_are_known() {
        for (name, label, ports, system, port) in [
            (
                "kube-prometheus-stack-prometheus",
                "prometheus",
                &[("http-web", 9090), ("reloader-web", 8080)][..],
                System::Prometheus,
                "http-web",
            ),
            ("alertmanager-main", "alertmanager", &[("web", 9093)], System::Alertmanager, "web"),
            ("loki-gateway", "loki", &[("http-metrics", 80)], System::Loki, "http-metrics"),
            ("loki", "loki", &[("grpc", 9095), ("http-metrics", 3100)], System::Loki, "http-metrics"),
            ("argocd-server", "argocd-server", &[("http", 80), ("https", 443)], System::ArgoServer, "https"),
            ("thanos-query", "thanos-query", &[("http", 9090)], System::Prometheus, "http"),
        ] {
            let found = candidate(name, label, ports).unwrap();
            assert_eq!((found.system, &*found.port.port), (system, port), "{name}");
        }
        assert!(candidate("loki-memberlist", "loki", &[("tcp", 7946)]).is_none());
        assert!(candidate("loki-write", "loki", &[("http-metrics", 3100)]).is_none());
    }

    #[test]
    fn a_service_of_configuration_is_read() {
        let port = read_service("monitoring/https:prom:9090").unwrap();
        assert!(port.tls && &*port.service == "prom" && &*port.port == "9090");
        assert!(read_service("monitoring/prom").is_none());
        assert!(read_service("monitoring/../x:9090").is_none());
    }
}
