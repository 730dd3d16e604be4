//! Metrics over HTTP: what each component exposes, in the text format or as `OpenMetrics`, and how to scrape it all.
//!
//! It writes what [`super::numbers`] works out; it works nothing out itself. Three ways lead here: the service and pod
//! proxy, the proxy of nodes (kubelet), and the paths that the API server and EKS serve themselves.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

use hyper::Method;
use hyper::body::Bytes;
use hyper::header::ACCEPT;

use super::access::{Access, Attributes, User};
use super::component_services::OFFERS;
use super::numbers::sink::Exposed;
use super::numbers::targets::{PLACES, Part, Target};
use super::numbers::{Metric, Numbers, metrics};
use super::platform::Handle;
use super::promql::MetricKind;
use super::proxy::{Answer, Backend, Backends, Request};
use super::request::decode;
use super::server::{Response, bytes, text};
use super::status::{Reason, Status};

/// A form of the exposition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// The text format, version 0.0.4.
    Text,
    /// `OpenMetrics` 1.0.
    Open,
}

impl Format {
    /// Chooses by an `Accept` header; `OpenMetrics` is given only where it is asked for before the text format.
    pub fn accepted(accept: &str) -> Self {
        let named = |part: &str| {
            let mut words = part.split(';').map(str::trim);
            let media = words.next().unwrap_or_default().to_owned();
            let weight = words.find_map(|word| word.strip_prefix("q=")).and_then(|q| q.parse::<f64>().ok());
            (media, weight.unwrap_or(1.0))
        };
        let weight = |wanted: &str| {
            accept
                .split(',')
                .map(named)
                .filter(|(media, _)| media == wanted)
                .map(|one| one.1)
                .fold(0.0, f64::max)
        };
        let open = weight("application/openmetrics-text");
        if open > 0.0 && open >= weight("text/plain") { Self::Open } else { Self::Text }
    }

    /// Returns the media type of the answer.
    pub fn media(self) -> &'static str {
        match self {
            Self::Text => "text/plain; version=0.0.4; charset=utf-8",
            Self::Open => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

/// Writes samples in a form, family by family.
pub fn write(samples: &[Exposed], format: Format) -> String {
    let known: BTreeMap<&str, &Metric> = metrics().map(|metric| (metric.name, metric)).collect();
    let mut families: BTreeMap<&str, Vec<&Exposed>> = BTreeMap::new();
    for sample in samples {
        families.entry(family(sample.metric, &known)).or_default().push(sample);
    }
    let mut out = String::with_capacity(samples.len() * 120);
    for (name, samples) in families {
        let metric = known.get(name);
        let kind = metric.map_or(MetricKind::Unknown, |metric| metric.kind);
        // In OpenMetrics a counter's family has no suffix and its sample has; one without it is no counter there.
        let (written, word) = match (format, kind, name.strip_suffix("_total")) {
            (Format::Open, MetricKind::Counter, Some(stem)) => (stem, "counter"),
            (Format::Open, MetricKind::Counter, None) => (name, "unknown"),
            (Format::Text, MetricKind::Unknown, _) => (name, "untyped"),
            _ => (name, kind.as_str()),
        };
        if let Some(metric) = metric {
            let help = metric.help.replace('\\', "\\\\").replace('\n', "\\n");
            // OpenMetrics escapes quotes in help as well.
            let help = if format == Format::Open { help.replace('"', "\\\"") } else { help };
            let _ = writeln!(out, "# HELP {written} {help}");
        }
        let _ = writeln!(out, "# TYPE {written} {word}");
        for sample in samples {
            line(&mut out, sample);
        }
    }
    if format == Format::Open {
        out.push_str("# EOF\n");
    }
    out
}

/// Returns the family of a sample: a histogram's name without the suffix.
fn family<'a>(name: &'a str, known: &BTreeMap<&str, &Metric>) -> &'a str {
    if known.contains_key(name) {
        return name;
    }
    ["_bucket", "_sum", "_count"].iter().find_map(|suffix| name.strip_suffix(suffix)).unwrap_or(name)
}

fn line(out: &mut String, sample: &Exposed) {
    out.push_str(sample.metric);
    for (at, (name, value)) in sample.labels.iter().enumerate() {
        out.push(if at == 0 { '{' } else { ',' });
        out.push_str(name);
        out.push_str("=\"");
        for letter in value.chars() {
            match letter {
                '\\' => out.push_str("\\\\"),
                '"' => out.push_str("\\\""),
                '\n' => out.push_str("\\n"),
                letter => out.push(letter),
            }
        }
        out.push('"');
    }
    if !sample.labels.is_empty() {
        out.push('}');
    }
    // Writing into memory cannot fail.
    let _ = if sample.value.is_infinite() {
        writeln!(out, " {}Inf", if sample.value > 0.0 { '+' } else { '-' })
    } else {
        writeln!(out, " {}", sample.value)
    };
}

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Wish {
    /// Of the control plane.
    Control(Part),
    /// Of a node: the kubelet's path.
    Node(String, String),
    /// Of a component in a pod.
    Pod(Part, String),
}

/// Answers with what a target exposes now.
async fn page(handle: &Handle, wish: Wish, accept: &str) -> Result<Response, Status> {
    let format = Format::accepted(accept);
    // The world is asked for a snapshot only; the text is made on this side.
    let numbers = handle.call(|world, now| Numbers::at(world, now)).await?;
    let made = tokio::task::spawn_blocking(move || {
        let found: Vec<&Target> = numbers.targets.iter().filter(|target| target.there(numbers.now)).collect();
        let samples = match &wish {
            Wish::Control(part) => {
                found.iter().find(|target| target.part == *part).map(|target| numbers.expose(target))
            }
            Wish::Pod(part, pod) => found
                .iter()
                .find(|target| target.part == *part && target.scrape.get("pod") == pod)
                .map(|target| numbers.expose(target)),
            Wish::Node(node, path) => {
                let of = |part: Part| {
                    found.iter().find(|target| target.part == part && &*target.name == node.as_str())
                };
                match path.as_str() {
                    "/metrics" => of(Part::Kubelet).map(|target| numbers.expose(target)),
                    "/metrics/cadvisor" => of(Part::Cadvisor).map(|target| numbers.expose(target)),
                    // The few that metrics-server reads.
                    "/metrics/resource" => of(Part::Cadvisor).map(|target| {
                        let few = [
                            "container_cpu_usage_seconds_total",
                            "container_memory_working_set_bytes",
                            "container_start_time_seconds",
                        ];
                        let mut samples = numbers.expose(target);
                        samples.retain(|sample| {
                            few.contains(&sample.metric)
                                && sample.labels.iter().any(|label| label.0 == "container")
                        });
                        for sample in &mut samples {
                            sample.labels.retain(|label| {
                                matches!(label.0.as_str(), "container" | "namespace" | "pod")
                            });
                        }
                        samples
                    }),
                    "/metrics/probes" => Some(Vec::new()),
                    _ => None,
                }
            }
        };
        samples.map(|samples| write(&samples, format))
    })
    .await;
    let written = made.map_err(|_| Status::new(Reason::InternalError, "the metrics could not be written"))?;
    Ok(match written {
        Some(written) => bytes(200, format.media(), Bytes::from(written)),
        None => text(404, "404 page not found\n"),
    })
}

/// A component's own server where it has no other: `/metrics`, and everything else as the one behind it answers.
struct Pages {
    handle: Handle,
    part: Part,
    rest: Option<Arc<dyn Backend>>,
}

impl Backend for Pages {
    fn answer(&self, request: Request) -> Answer<'_> {
        Box::pin(async move {
            if request.path == "/metrics" && matches!(request.method, Method::GET | Method::HEAD) {
                let accept = request.header(&ACCEPT).to_owned();
                let wish = Wish::Pod(self.part, request.pod);
                return match page(&self.handle, wish, &accept).await {
                    Ok(response) => response,
                    Err(status) => text(503, &status.message),
                };
            }
            match &self.rest {
                Some(rest) => rest.answer(request).await,
                None => text(404, "404 page not found\n"),
            }
        })
    }
}

/// Lets every component answer `/metrics`, before whatever else it serves at that port.
pub fn register(backends: &mut Backends, handle: &Handle) {
    for place in PLACES {
        let Some(offer) = OFFERS.iter().find(|offer| offer.service == place.service) else { continue };
        // A pod is reached through every Service of its component that leads to the port.
        for other in OFFERS.iter().filter(|other| other.component == offer.component) {
            for port in other.ports.iter().filter(|port| port.target == place.port) {
                let rest = backends.get(place.namespace, other.service, port.port).cloned();
                let pages = Pages { handle: handle.clone(), part: place.part, rest };
                backends.add(place.namespace, other.service, port.port, Arc::new(pages));
            }
        }
    }
}

/// Answers the paths of metrics that the API server serves itself; `None` where the path is another.
pub async fn answer(
    handle: &Handle,
    access: &Access,
    user: User,
    method: &Method,
    path: &str,
    accept: &str,
) -> Option<Result<Response, Status>> {
    let eks = "/apis/metrics.eks.amazonaws.com/v1/";
    let forbidden = |allowed: bool| {
        (!allowed).then(|| {
            let message = format!("forbidden: User \"{}\" cannot get path \"{path}\"", user.name());
            Status::new(Reason::Forbidden, message)
        })
    };
    let wish = if path == "/metrics" {
        if let Some(status) = forbidden(Access::allows_path(user, "get", path)) {
            return Some(Err(status));
        }
        Wish::Control(Part::ApiServer)
    } else if let Some(rest) = path.strip_prefix(eks) {
        let (part, resource) = match rest {
            "ksh/container/metrics" => (Part::Scheduler, "ksh"),
            "kcm/container/metrics" => (Part::ControllerManager, "kcm"),
            _ => return None,
        };
        let attributes = Attributes {
            verb: "get".to_owned(),
            group: "metrics.eks.amazonaws.com".to_owned(),
            resource: resource.to_owned(),
            subresource: "metrics".to_owned(),
            ..Attributes::default()
        };
        if let Err(status) = access.check(user, &attributes) {
            return Some(Err(status));
        }
        Wish::Control(part)
    } else {
        let rest = path.strip_prefix("/api/v1/nodes/")?;
        let (node, rest) = rest.split_once('/')?;
        let rest = rest.strip_prefix("proxy")?;
        let node = decode(node, false);
        let attributes = Attributes {
            verb: "get".to_owned(),
            resource: "nodes".to_owned(),
            subresource: "proxy".to_owned(),
            name: node.clone(),
            ..Attributes::default()
        };
        if let Err(status) = access.check(user, &attributes) {
            return Some(Err(status));
        }
        // `ip-10-0-0-17:10250` names the kubelet's port as well.
        let name = node.split(':').next().unwrap_or_default().to_owned();
        Wish::Node(name, rest.to_owned())
    };
    if !matches!(*method, Method::GET | Method::HEAD) {
        let message = "the server does not allow this method on the requested resource";
        return Some(Err(Status::new(Reason::MethodNotAllowed, message)));
    }
    Some(page(handle, wish, accept).await)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_stand_together_and_open_metrics_ends() {
        let sample = |metric: &'static str, labels: &[(&str, &str)], value: f64| Exposed {
            metric,
            labels: labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
            value,
        };
        let samples = [
            sample("up", &[], 1.0),
            sample("coredns_panics_total", &[("a", "quote \" and \\")], 2.0),
            sample("nginx_ingress_controller_requests", &[("status", "200")], 3.0),
            sample("argocd_app_reconcile_bucket", &[("le", "+Inf")], 4.0),
            sample("argocd_app_reconcile_sum", &[], 0.25),
            sample("argocd_app_reconcile_count", &[], 4.0),
        ];
        let plain = write(&samples, Format::Text);
        assert!(
            plain.contains(
                "# TYPE argocd_app_reconcile histogram\nargocd_app_reconcile_bucket{le=\"+Inf\"} 4\n"
            )
        );
        assert!(plain.contains("# TYPE coredns_panics_total counter\n"));
        assert!(plain.contains("coredns_panics_total{a=\"quote \\\" and \\\\\"} 2\n"));
        let open = write(&samples, Format::Open);
        assert!(open.contains("# TYPE coredns_panics counter\ncoredns_panics_total{"));
        assert!(open.contains("# TYPE nginx_ingress_controller_requests unknown\n"));
        assert!(open.ends_with("# EOF\n"));
    }

    #[test]
    fn the_form_is_what_the_scraper_prefers() {
        let prometheus = "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1";
        assert_eq!(Format::accepted(prometheus), Format::Open);
        assert_eq!(Format::accepted("text/plain"), Format::Text);
        assert_eq!(Format::accepted("*/*"), Format::Text);
        assert_eq!(Format::accepted(""), Format::Text);
    }
}
