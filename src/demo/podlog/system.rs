//! What the platform's own components write, in the shapes of their projects.

use fastrand::Rng;
use jiff::Timestamp;

use super::Line;
use super::apps::PATHS;
use super::scene::Scene;
use crate::demo::components::COMPONENTS;
use crate::demo::estate::{LogStyle, PROFILES};

/// In whose way a container writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Voice {
    /// An application of a tenant.
    App(LogStyle),
    /// A sidecar that passes requests on.
    Proxy,
    /// ingress-nginx.
    Ingress,
    /// `CoreDNS`.
    Dns,
    /// Argo CD's application controller.
    ArgoController,
    /// argocd-server and Argo CD's other parts.
    ArgoServer,
    /// Karpenter.
    Karpenter,
    /// cert-manager.
    CertManager,
    /// External Secrets.
    ExternalSecrets,
    /// Loki, Alloy, Prometheus, Alertmanager, Grafana.
    Monitoring,
    /// What writes as Kubernetes' own programs do.
    Klog,
    /// The API server's audit log.
    Audit,
}

/// Addresses on the internet that customers come from.
const CLIENTS: &[&str] = &["203.0.113.", "198.51.100.", "192.0.2."];
const AGENTS: &[&str] = &[
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 19_1 like Mac OS X)",
    "curl/8.14.1",
    "kube-probe/1.33",
];

fn pick<'a, T>(all: &'a [T], rng: &mut Rng) -> Option<&'a T> {
    if all.is_empty() { None } else { all.get(rng.usize(..all.len())) }
}

/// Cuts a time to milliseconds: several lines then have the same one.
fn millis(at: Timestamp) -> Timestamp {
    Timestamp::from_millisecond(at.as_millisecond()).unwrap_or(at)
}

fn zap(level: &str, at: Timestamp, rest: &str) -> String {
    format!("{{\"level\":\"{level}\",\"time\":\"{at:.3}\",{rest}}}")
}

/// Writes the head of klog's lines: `I1121 12:00:00.123456       1 file.go:12]`.
fn klog(level: &str, at: Timestamp, place: &str) -> String {
    let letter = match level {
        "error" => 'E',
        "warn" => 'W',
        _ => 'I',
    };
    format!("{letter}{}       1 {place}]", at.strftime("%m%d %H:%M:%S.%6f"))
}

impl Voice {
    /// Returns the voice of a component's container.
    pub(super) fn of(container: &str) -> Self {
        if let Some(profile) = PROFILES.iter().find(|profile| profile.name == container) {
            return Self::App(profile.log);
        }
        match container {
            "proxy" => Self::Proxy,
            "ingress-nginx-controller" | "loki-gateway" => Self::Ingress,
            "coredns" => Self::Dns,
            "argocd-application-controller" => Self::ArgoController,
            "karpenter" => Self::Karpenter,
            "cert-manager" => Self::CertManager,
            "external-secrets" => Self::ExternalSecrets,
            "kube-apiserver-audit" => Self::Audit,
            name if name.starts_with("argocd-") => Self::ArgoServer,
            name if ["prometheus", "alertmanager", "loki", "alloy", "grafana", "kube-prometheus"]
                .iter()
                .any(|known| name.starts_with(known)) =>
            {
                Self::Monitoring
            }
            name if COMPONENTS.iter().any(|component| component.name == name) => Self::Klog,
            // Jobs, hooks and whatever a person runs.
            _ => Self::App(LogStyle::Logfmt),
        }
    }

    /// Returns the lines a second.
    pub(super) fn rate(self) -> f64 {
        match self {
            Self::Ingress => 6.0,
            Self::Audit => 4.0,
            Self::Dns | Self::ArgoController => 1.5,
            Self::ArgoServer | Self::Karpenter | Self::Monitoring => 0.4,
            _ => 0.25,
        }
    }

    /// Returns the share of lines that go to standard error; programs that log there write nothing elsewhere.
    pub(super) fn stderr_share(self) -> f64 {
        match self {
            Self::App(LogStyle::Plain) => 0.03,
            Self::Ingress => 0.01,
            Self::ArgoController | Self::ArgoServer | Self::CertManager | Self::Monitoring | Self::Klog => {
                1.0
            }
            _ => 0.0,
        }
    }

    /// Returns how long a line is, in bytes, about.
    pub(super) fn line_bytes(self) -> f64 {
        match self {
            Self::App(LogStyle::Json) => 200.0,
            Self::App(_) => 160.0,
            Self::Ingress => 330.0,
            Self::Audit => 780.0,
            Self::ArgoController => 260.0,
            _ => 150.0,
        }
    }

    /// Writes a line that only has a message.
    pub(super) fn plain(self, at: Timestamp, level: &str, message: &str) -> String {
        match self {
            Self::Karpenter | Self::ExternalSecrets => {
                zap(&level.to_uppercase(), at, &format!("\"logger\":\"controller\",\"message\":{message:?}"))
            }
            Self::Klog | Self::CertManager => format!("{} {message:?}", klog(level, at, "main.go:88")),
            Self::Dns => format!("[{}] {message}", level.to_uppercase()),
            Self::Monitoring => format!("ts={at:.3} level={level} msg={message:?}"),
            _ => format!("time=\"{at:.3}\" level={level} msg={message:?}"),
        }
    }

    /// Writes what everyday work says.
    pub(super) fn line(self, scene: &Scene, at: Timestamp, rng: &mut Rng, lines: &mut Vec<Line>) {
        let (level, text) = match self {
            Self::Ingress => return ingress(scene, at, rng, lines),
            Self::Audit => return audit(scene, at, rng, lines),
            Self::Dns => return dns(scene, at, rng, lines),
            Self::ArgoController => argo_controller(scene, at, rng),
            Self::ArgoServer => argo_server(at, rng),
            Self::Karpenter => karpenter(at, rng),
            Self::CertManager => cert_manager(scene, at, rng),
            Self::ExternalSecrets => external_secrets(scene, at, rng),
            Self::Monitoring => monitoring(at, rng),
            _ => controller(at, rng),
        };
        lines.push(Line::new(at, level, text));
    }
}

/// A request to the ingress controller, in its own log format; with an error line where no pod answered.
fn ingress(scene: &Scene, at: Timestamp, rng: &mut Rng, lines: &mut Vec<Line>) {
    let at = millis(at);
    let client = format!("{}{}", CLIENTS[rng.usize(..CLIENTS.len())], rng.u32(1..255));
    let agent = AGENTS[rng.usize(..AGENTS.len())];
    let path = PATHS[rng.usize(..PATHS.len() - 2)];
    let method = if rng.u32(..5) == 0 { "POST" } else { "GET" };
    let (size, took, request) = (rng.u32(150..24_000), f64::from(rng.u32(3..420)) / 1e3, rng.u128(..));
    let draw = rng.f64();
    let Some(index) = pick(&scene.public, rng).copied() else { return };
    let site = &scene.sites[index];
    let (namespace, app) = (&site.namespace, &site.app);
    let failing = scene.failing(index, at);
    let (status, level) = match draw {
        draw if draw < failing => (if rng.bool() { 502 } else { 503 }, "error"),
        draw if draw > 0.985 => (404, "info"),
        draw if draw > 0.975 => (429, "info"),
        _ => (200, "info"),
    };
    let upstream = format!("10.0.{}.{}:8080", rng.u32(..4), rng.u32(2..250));
    let host = format!("{app}.{namespace}.example.com");
    if status >= 500 {
        let time = at.strftime("%Y/%m/%d %H:%M:%S");
        let text = format!(
            "{time} [error] 31#31: *{} connect() failed (111: Connection refused) while connecting to upstream, client: {client}, server: {host}, request: \"{method} {path} HTTP/2.0\", upstream: \"http://{upstream}{path}\", host: \"{host}\"",
            request % 1_000_000
        );
        lines.push(Line::new(at, "error", text).stderr());
    }
    let time = at.strftime("%d/%b/%Y:%H:%M:%S +0000");
    let text = format!(
        "{client} - - [{time}] \"{method} {path} HTTP/2.0\" {status} {size} \"-\" \"{agent}\" 412 {took:.3} [{namespace}-{app}-http] [] {upstream} {size} {took:.3} {status} {request:032x}"
    );
    lines.push(Line { trace: Some((request >> 64) as u64), ..Line::new(at, level, text) });
}

fn dns(scene: &Scene, at: Timestamp, rng: &mut Rng, lines: &mut Vec<Line>) {
    let at = millis(at);
    let client = format!("10.0.{}.{}:{}", rng.u32(..4), rng.u32(2..250), rng.u32(32_768..61_000));
    let (id, draw) = (rng.u16(..), rng.u32(..200));
    let name = match pick(&scene.sites, rng) {
        Some(site) if draw > 20 => format!("{}.{}.svc.cluster.local.", site.app, site.namespace),
        _ => "registry.example.com.eu-west-1.compute.internal.".to_owned(),
    };
    let seconds = f64::from(rng.u32(90..2_400)) / 1e6;
    let (level, text) = if f64::from(draw) < scene.images.failing_lookups(at) * 200.0 {
        let text = format!("[ERROR] plugin/errors: 2 {name} A: read udp {client}->10.0.0.2:53: i/o timeout");
        lines.push(Line::new(at, "error", text));
        let text = format!(
            "[INFO] {client} - {id} \"A IN {name} udp {} false 512\" SERVFAIL qr,aa,rd {} {:.9}s",
            name.len() + 17,
            name.len() + 17,
            seconds * 1_000.0
        );
        ("error", text)
    } else if draw == 0 {
        let text = format!(
            "[ERROR] plugin/errors: 2 registry.example.com. A: read udp {client}->10.0.0.2:53: i/o timeout"
        );
        ("error", text)
    } else {
        let code = if draw <= 20 { "NXDOMAIN" } else { "NOERROR" };
        let text = format!(
            "[INFO] {client} - {id} \"A IN {name} udp {} false 512\" {code} qr,aa,rd {} {seconds:.9}s",
            name.len() + 17,
            rng.u32(90..240)
        );
        ("info", text)
    };
    lines.push(Line::new(at, level, text));
}

type Said = (&'static str, String);

fn application(scene: &Scene, rng: &mut Rng) -> (String, String) {
    pick(&scene.sites, rng).map_or_else(
        || ("platform".to_owned(), "argocd".to_owned()),
        |site| (format!("{}-{}", site.namespace, site.app), site.namespace.clone()),
    )
}

fn argo_controller(scene: &Scene, at: Timestamp, rng: &mut Rng) -> Said {
    let (app, namespace) = application(scene, rng);
    let took = rng.u32(3..900);
    let fields =
        format!("app-namespace=argocd app-qualified-name=argocd/{app} application={app} project={namespace}");
    let (level, message, more) = match rng.u32(..100) {
        0 => (
            "error",
            "Failed to load target state: failed to generate manifest for source 1 of 1: rpc error: code = Unavailable desc = connection refused",
            String::new(),
        ),
        1..=3 => (
            "warning",
            "Updating operation state. phase: Running -> Running, message: '' -> 'waiting for healthy state'",
            String::new(),
        ),
        4..=30 => ("info", "Refreshing app status (comparison expired, requesting refresh)", String::new()),
        31..=60 => ("info", "Comparing app state (cluster: https://kubernetes.default.svc)", String::new()),
        _ => (
            "info",
            "Reconciliation completed",
            format!(" dedup_ms=0 diff_ms={} time_ms={took} patch_ms=0", took / 3),
        ),
    };
    let detected = if level == "warning" { "warn" } else { level };
    let time = at.strftime("%Y-%m-%dT%H:%M:%SZ");
    (detected, format!("time=\"{time}\" level={level} msg={message:?} {fields}{more}"))
}

fn argo_server(at: Timestamp, rng: &mut Rng) -> Said {
    let time = at.strftime("%Y-%m-%dT%H:%M:%SZ");
    let service =
        ["application.ApplicationService", "project.ProjectService", "repository.RepositoryService"];
    let (code, level) = if rng.u32(..40) == 0 { ("PermissionDenied", "warning") } else { ("OK", "info") };
    let text = format!(
        "time=\"{time}\" level={level} msg=\"finished call\" grpc.code={code} grpc.method={} grpc.service={} grpc.time_ms={} span.kind=server system=grpc",
        ["List", "Get", "Watch", "Sync"][rng.usize(..4)],
        service[rng.usize(..3)],
        rng.u32(1..240)
    );
    (if level == "info" { "info" } else { "warn" }, text)
}

fn karpenter(at: Timestamp, rng: &mut Rng) -> Said {
    let claim = format!("spot-{:05x}", rng.u32(..0xf_ffff));
    let head = "\"logger\":\"controller\",\"commit\":\"a9c4ad2\"";
    let (level, name, rest) = match rng.u32(..100) {
        0..=2 => (
            "error",
            "ERROR",
            format!(
                "\"message\":\"Reconciler error\",\"controller\":\"nodeclaim.lifecycle\",\"NodeClaim\":{{\"name\":\"{claim}\"}},\"error\":\"launching nodeclaim, insufficient capacity, with requirements karpenter.sh/capacity-type In [spot]\""
            ),
        ),
        3..=12 => (
            "info",
            "INFO",
            format!(
                "\"message\":\"found provisionable pod(s)\",\"controller\":\"provisioner\",\"Pods\":\"tenant-{}/search-{:04x}\",\"duration\":\"{}ms\"",
                rng.u32(1..9),
                rng.u16(..),
                rng.u32(9..180)
            ),
        ),
        13..=22 => (
            "info",
            "INFO",
            format!(
                "\"message\":\"disrupting node(s)\",\"controller\":\"disruption\",\"command\":\"Underutilized/delete\",\"decision\":\"delete\",\"disrupted-node-count\":1,\"NodeClaim\":{{\"name\":\"{claim}\"}}"
            ),
        ),
        _ => (
            "debug",
            "DEBUG",
            format!(
                "\"message\":\"discovered instance types\",\"controller\":\"providers.instancetype\",\"count\":{}",
                760 + rng.u32(..9)
            ),
        ),
    };
    (level, zap(name, at, &format!("{head},{rest}")))
}

fn cert_manager(scene: &Scene, at: Timestamp, rng: &mut Rng) -> Said {
    let (app, namespace) = application(scene, rng);
    let (level, place, message) = match rng.u32(..60) {
        0 => (
            "error",
            "controller.go:162",
            format!(
                "\"re-queuing item due to error processing\" err=\"acme: order is in 'processing' state\" logger=\"cert-manager.controller\" key=\"{namespace}/{app}-tls\""
            ),
        ),
        1..=10 => (
            "info",
            "trigger_controller.go:223",
            format!(
                "\"Certificate must be re-issued\" logger=\"cert-manager.controller\" key=\"{namespace}/{app}-tls\" reason=\"Renewing\""
            ),
        ),
        _ => (
            "info",
            "sync.go:88",
            format!(
                "\"certificate is up to date\" logger=\"cert-manager.controller\" key=\"{namespace}/{app}-tls\""
            ),
        ),
    };
    (level, format!("{} {message}", klog(level, at, place)))
}

fn external_secrets(scene: &Scene, at: Timestamp, rng: &mut Rng) -> Said {
    let (app, namespace) = application(scene, rng);
    let seconds = at.as_millisecond() as f64 / 1e3;
    let about =
        format!("\"ExternalSecret\":{{\"name\":\"{app}-credentials\",\"namespace\":\"{namespace}\"}}");
    let (level, rest) = match rng.u32(..50) {
        0 => (
            "error",
            format!(
                "\"msg\":\"could not update secret\",{about},\"error\":\"could not get secret data from provider: ThrottlingException: Rate exceeded\""
            ),
        ),
        _ => ("info", format!("\"msg\":\"reconciled secret\",{about}")),
    };
    let text = format!(
        "{{\"level\":\"{level}\",\"ts\":{seconds:.3},\"logger\":\"controllers.ExternalSecret\",{rest}}}"
    );
    (level, text)
}

fn monitoring(at: Timestamp, rng: &mut Rng) -> Said {
    let (level, caller, message) = match rng.u32(..40) {
        0 => ("warn", "manager.go:176", "Error on ingesting out-of-order samples\" num_dropped=\"3"),
        1..=8 => ("info", "compact.go:601", "write block"),
        9..=20 => ("info", "checkpoint.go:100", "Creating checkpoint"),
        _ => ("info", "table_manager.go:136", "uploading tables"),
    };
    (level, format!("ts={at:.3} caller={caller} level={level} component=main msg=\"{message}\""))
}

fn controller(at: Timestamp, rng: &mut Rng) -> Said {
    let (level, place, message) = match rng.u32(..80) {
        0 => (
            "error",
            "reflector.go:200",
            "\"Failed to watch\" err=\"http2: client connection lost\" type=\"*v1.EndpointSlice\"",
        ),
        1..=3 => (
            "warn",
            "warnings.go:70",
            "v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice",
        ),
        4..=30 => ("info", "reflector.go:430", "\"Caches populated\" type=\"*v1.Node\""),
        _ => ("info", "controller.go:214", "\"Reconciled\" controller=\"main\""),
    };
    (level, format!("{} {message}", klog(level, at, place)))
}

/// An event of the audit log, at the level of metadata.
fn audit(scene: &Scene, at: Timestamp, rng: &mut Rng, lines: &mut Vec<Line>) {
    let at = millis(at);
    let (app, namespace) = pick(&scene.sites, rng).map_or_else(
        || ("api".to_owned(), "default".to_owned()),
        |site| (site.app.clone(), site.namespace.clone()),
    );
    let id = rng.u128(..);
    let (user, groups, agent) = [
        (
            "system:serviceaccount:argocd:argocd-application-controller",
            "system:serviceaccounts",
            "argocd-application-controller/v3.5.1",
        ),
        (
            "system:serviceaccount:external-secrets:external-secrets",
            "system:serviceaccounts",
            "external-secrets/v0.18.0",
        ),
        ("system:kube-controller-manager", "system:authenticated", "kube-controller-manager/v1.33.0"),
        ("system:node:ip-10-0-1-17.eu-west-1.compute.internal", "system:nodes", "kubelet/v1.33.0"),
        ("maria.lopez", "platform-operators", "kubectl/v1.33.2"),
        ("jonas.weber", "tenant-developers", "kubectl/v1.33.2"),
    ][rng.usize(..6)];
    let (verb, resource, group, name) = [
        ("get", "deployments", "apps", app.as_str()),
        ("list", "pods", "", ""),
        ("watch", "configmaps", "", ""),
        ("patch", "deployments", "apps", app.as_str()),
        ("get", "secrets", "", "checkout-credentials"),
        ("create", "events", "", ""),
    ][rng.usize(..6)];
    // People may not read secrets.
    let person = !user.starts_with("system:");
    let denied = person && resource == "secrets";
    let (code, decision) =
        if denied { (403, "forbid") } else { (if verb == "create" { 201 } else { 200 }, "allow") };
    let prefix = if group.is_empty() { "/api/v1".to_owned() } else { format!("/apis/{group}/v1") };
    let path =
        format!("{prefix}/namespaces/{namespace}/{resource}{}{name}", if name.is_empty() { "" } else { "/" });
    let named = if name.is_empty() { String::new() } else { format!("\"name\":\"{name}\",") };
    let text = format!(
        "{{\"kind\":\"Event\",\"apiVersion\":\"audit.k8s.io/v1\",\"level\":\"Metadata\",\"auditID\":\"{id:032x}\",\"stage\":\"ResponseComplete\",\"requestURI\":\"{path}\",\"verb\":\"{verb}\",\"user\":{{\"username\":\"{user}\",\"groups\":[\"{groups}\",\"system:authenticated\"]}},\"sourceIPs\":[\"10.0.{}.{}\"],\"userAgent\":\"{agent}\",\"objectRef\":{{\"resource\":\"{resource}\",\"namespace\":\"{namespace}\",{named}\"apiGroup\":\"{group}\",\"apiVersion\":\"v1\"}},\"responseStatus\":{{\"metadata\":{{}},\"code\":{code}}},\"requestReceivedTimestamp\":\"{at:.6}\",\"stageTimestamp\":\"{at:.6}\",\"annotations\":{{\"authorization.k8s.io/decision\":\"{decision}\"}}}}",
        rng.u32(..4),
        rng.u32(2..250)
    );
    lines.push(Line::new(at, "unknown", text));
}
