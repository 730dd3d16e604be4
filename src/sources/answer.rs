//! Turns whatever came instead of an answer into one of the few errors a screen can act on.
//!
//! The one place that knows what the status codes, `Status` bodies, plain texts and proxies' pages of the
//! Kubernetes API mean (contracts 3.13). Everything that it quotes is cleaned.

use http::{HeaderMap, StatusCode, header};
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;

use super::SourceError;
use super::kubeconfig::causes;
use crate::identity::Text;

/// How much of a foreign text is quoted.
const QUOTE: usize = 300;

/// What was asked, for the sentence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// The verb in Kubernetes terms: get, list, watch, patch, delete, create.
    pub verb: &'static str,
    /// The object or type, such as `pods in tenant-2`.
    pub what: String,
    /// The address of the API server, without credentials.
    pub place: Text,
    /// The system behind the API server that is to answer, with its place; `None` where the API server itself is.
    pub behind: Option<(&'static str, Text)>,
}

/// The parts of a `Status` object that an error is made from.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Status {
    kind: String,
    message: Option<String>,
    reason: Option<String>,
    code: Option<u16>,
    details: Option<Details>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Details {
    causes: Option<Vec<Cause>>,
    retry_after_seconds: Option<i64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Cause {
    reason: Option<String>,
    message: Option<String>,
    field: Option<String>,
}

impl Status {
    /// Puts a status together that was read elsewhere; a code of 0 is none.
    pub(super) fn new(code: u16, reason: String, message: String) -> Self {
        Self {
            kind: "Status".to_owned(),
            message: Some(message),
            reason: Some(reason),
            code: (code != 0).then_some(code),
            details: None,
        }
    }

    /// Reads a `Status`; `None` where the bytes are something else.
    pub(super) fn read(body: &[u8]) -> Option<Self> {
        serde_json::from_slice::<Self>(body).ok().filter(|status| status.kind == "Status")
    }

    /// Tells whether the version that was asked for is too old, so that only a new list helps.
    pub(super) fn is_expired(&self) -> bool {
        self.code == Some(410) || matches!(self.reason.as_deref(), Some("Expired" | "Gone"))
    }

    /// Returns the error, as if it had come with its own code.
    pub(super) fn error(&self, asked: &Asked, now: Timestamp) -> SourceError {
        let code = self.code.and_then(|code| StatusCode::from_u16(code).ok());
        told(asked, code.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR), self, None, now)
    }
}

/// Turns an answer with an error code into an error.
pub(super) fn refusal(
    asked: &Asked,
    code: StatusCode,
    headers: &HeaderMap,
    body: &[u8],
    now: Timestamp,
) -> SourceError {
    let until = retry_after(headers, now);
    if let Some(status) = Status::read(body) {
        return told(asked, code, &status, until, now);
    }
    if code.is_redirection() {
        return sends_on(API, &asked.place, headers);
    }
    // What a page says is for a browser; that the credential is refused is for the console.
    let page = is_page(body);
    if page && code != StatusCode::UNAUTHORIZED {
        return web_page(API, &asked.place, code);
    }
    let text = if page { String::new() } else { quote(&String::from_utf8_lossy(body)) };
    let status = Status { message: Some(text), ..Status::default() };
    told(asked, code, &status, until, now)
}

/// What answers where no system behind it is named.
const API: &str = "the Kubernetes API";

/// Returns when to ask again, as a server says it: in seconds, or as a date.
pub(super) fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Timestamp> {
    let text = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim();
    match text.parse::<i64>() {
        Ok(seconds) => now.checked_add(SignedDuration::from_secs(seconds)).ok(),
        Err(_) => Some(jiff::fmt::rfc2822::parse(text).ok()?.timestamp()),
    }
}

/// Tells whether a body is a page for a browser and not an answer of any API.
pub(super) fn is_page(body: &[u8]) -> bool {
    let start = body.iter().position(|byte| !byte.is_ascii_whitespace()).unwrap_or(body.len());
    let begins = |word: &[u8]| {
        body.get(start..start + word.len()).is_some_and(|there| there.eq_ignore_ascii_case(word))
    };
    begins(b"<!doctype") || begins(b"<html")
}

/// Says that a page for a browser came: a proxy or a login stands before the system.
pub(super) fn web_page(what: &str, place: &str, code: StatusCode) -> SourceError {
    SourceError::Unreachable {
        what: what.to_owned(),
        place: place.to_owned(),
        reason: format!(
            "a web page came instead ({}): a proxy or a login stands in between; log in there, or check the address",
            named(code)
        ),
    }
}

/// Says that the answer was to ask elsewhere, where no credential is sent.
pub(super) fn sends_on(what: &str, place: &str, headers: &HeaderMap) -> SourceError {
    let location = headers.get(header::LOCATION).and_then(|value| value.to_str().ok()).unwrap_or_default();
    // The rest of the address may hold what only a browser should see.
    let to = match location.split_once("://") {
        Some((scheme, rest)) => {
            let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
            let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
            quote(&format!("{scheme}://{host}"))
        }
        None => "another page".to_owned(),
    };
    SourceError::Unreachable {
        what: what.to_owned(),
        place: place.to_owned(),
        reason: format!(
            "it sends on to {to}: a proxy or a login stands in between; log in there, or check the address"
        ),
    }
}

/// Tells whether an answer came and could not be unpacked, as against one that was cut off.
pub(super) fn is_badly_packed(error: &(dyn std::error::Error + 'static)) -> bool {
    let mut next = Some(error);
    while let Some(error) = next {
        let kind = error.downcast_ref::<std::io::Error>().map(std::io::Error::kind);
        if matches!(kind, Some(std::io::ErrorKind::InvalidData | std::io::ErrorKind::InvalidInput)) {
            return true;
        }
        next = error.source();
    }
    false
}

fn told(
    asked: &Asked,
    code: StatusCode,
    status: &Status,
    until: Option<Timestamp>,
    now: Timestamp,
) -> SourceError {
    let message = quote(status.message.as_deref().unwrap_or_default());
    let reason = if message.is_empty() { named(code) } else { message };
    let what = asked.what.clone();
    match code {
        StatusCode::UNAUTHORIZED => SourceError::Unauthenticated {
            what: format!("the Kubernetes API at {}", asked.place),
            reason: format!("{reason}: log in again"),
        },
        StatusCode::FORBIDDEN => {
            SourceError::Denied { verb: asked.verb.to_owned(), object: what, reason: because(reason) }
        }
        // An unknown group or type is a plain text, a missing object is a Status.
        StatusCode::NOT_FOUND if status.kind.is_empty() => SourceError::Missing {
            what,
            reason: "the server has no such API: its CRD is not installed".into(),
        },
        StatusCode::NOT_FOUND => SourceError::Missing { what, reason },
        StatusCode::CONFLICT | StatusCode::GONE => SourceError::Conflict { what, reason },
        StatusCode::BAD_REQUEST
        | StatusCode::METHOD_NOT_ALLOWED
        | StatusCode::NOT_ACCEPTABLE
        | StatusCode::UNSUPPORTED_MEDIA_TYPE
        | StatusCode::UNPROCESSABLE_ENTITY => {
            SourceError::Invalid { what, reason: with_causes(reason, status.details.as_ref()) }
        }
        StatusCode::TOO_MANY_REQUESTS => {
            let until = until.or_else(|| {
                let seconds = status.details.as_ref()?.retry_after_seconds?;
                now.checked_add(SignedDuration::from_secs(seconds)).ok()
            });
            SourceError::Throttled { what, until, reason: with_causes(reason, status.details.as_ref()) }
        }
        StatusCode::BAD_GATEWAY | StatusCode::SERVICE_UNAVAILABLE | StatusCode::GATEWAY_TIMEOUT => {
            SourceError::Unreachable {
                what: API.into(),
                place: asked.place.to_string(),
                reason: if reason == named(code) { reason } else { format!("{}: {reason}", named(code)) },
            }
        }
        _ => SourceError::Garbled {
            what: format!("{} {what}", asked.verb),
            reason: if reason == named(code) { reason } else { format!("{}: {reason}", named(code)) },
        },
    }
}

/// Turns a failure to get any answer into an error.
pub(super) fn no_answer(asked: &Asked, error: &kube::Error) -> SourceError {
    let text = quote(&causes(error));
    let auth = matches!(error, kube::Error::Auth(_))
        || matches!(error, kube::Error::Service(inner) if inner.downcast_ref::<kube::client::AuthError>().is_some());
    if auth {
        return SourceError::Unauthenticated {
            what: format!("the Kubernetes API at {}", asked.place),
            reason: text,
        };
    }
    unreachable(asked, cause(&text))
}

/// Takes off which layers of the client hand a failure on: on a narrow screen only the beginning is read.
fn cause(text: &str) -> &str {
    const LAYERS: [&str; 4] =
        ["ServiceError: ", "client error (Connect): ", "client error (SendRequest): ", "tcp connect error: "];
    LAYERS.iter().fold(text, |text, layer| text.strip_prefix(layer).unwrap_or(text))
}

/// Tells whether a request failed because the two ends did not agree on TLS: certificates, most of the time.
pub(super) fn is_tls(error: &kube::Error) -> bool {
    let mut next: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = next {
        if error.is::<rustls::Error>() {
            return true;
        }
        // An I/O error tells the source of what it wraps, and not what it wraps.
        let wrapped = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        if let Some(inner) = wrapped
            && inner.is::<rustls::Error>()
        {
            return true;
        }
        next = error.source();
    }
    false
}

/// Says that an answer did not come in time, or not whole; behind the API server that is the system's doing.
pub(super) fn late(asked: &Asked, reason: &str) -> SourceError {
    match &asked.behind {
        Some((system, place)) => SourceError::Unreachable {
            what: (*system).to_owned(),
            place: place.to_string(),
            reason: format!("{reason}; does it run, and is it busy?"),
        },
        None => unreachable(asked, reason),
    }
}

/// Says that nothing came back, with what usually helps.
pub(super) fn unreachable(asked: &Asked, reason: &str) -> SourceError {
    let lower = reason.to_ascii_lowercase();
    let hint = if lower.contains("refused") {
        "; does the cluster run, and is this its address?"
    } else if lower.contains("dns") || lower.contains("lookup") || lower.contains("resolve") {
        "; is the VPN up?"
    } else if lower.contains("certificate") {
        "; is certificate-authority-data of the kubeconfig that of this cluster?"
    } else if lower.contains("timed out") || lower.contains("deadline") || lower.contains("timeout") {
        "; are the VPN and the network up?"
    } else {
        ""
    };
    SourceError::Unreachable {
        what: API.into(),
        place: asked.place.to_string(),
        reason: format!("{reason}{hint}"),
    }
}

/// Takes kube-apiserver's `pods is forbidden: ` off: the sentence around it says that already.
fn because(reason: String) -> String {
    match reason.split_once(" is forbidden: ") {
        Some((_, because)) => because.to_owned(),
        None => reason,
    }
}

fn with_causes(reason: String, details: Option<&Details>) -> String {
    let causes: Vec<String> = details
        .and_then(|details| details.causes.as_deref())
        .unwrap_or_default()
        .iter()
        .take(4)
        .filter_map(|cause| {
            let message = cause.message.as_deref().or(cause.reason.as_deref())?;
            // Validation errors repeat their causes in the message already.
            (!reason.contains(message)).then(|| match cause.field.as_deref() {
                Some(field) if !field.is_empty() => quote(&format!("{field}: {message}")),
                _ => quote(message),
            })
        })
        .collect();
    if causes.is_empty() { reason } else { format!("{reason} ({})", causes.join("; ")) }
}

/// Cleans a foreign text for a sentence, and cuts what is too long for one.
pub(super) fn quote(text: &str) -> String {
    let clean = crate::text::one_line(text.trim());
    match clean.char_indices().nth(QUOTE) {
        Some((end, _)) => format!("{}...", &clean[..end]),
        None => clean.into_owned(),
    }
}

fn named(code: StatusCode) -> String {
    format!("{} {}", code.as_u16(), code.canonical_reason().unwrap_or("(no name)"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked() -> Asked {
        let place = "https://10.0.0.1:6443".into();
        Asked { verb: "list", what: "pods in shop".into(), place, behind: None }
    }

    /// Answers as kube-apiserver 1.33 writes them, except where a name says otherwise.
    fn refused(code: u16, body: &str) -> SourceError {
        let now = Timestamp::from_second(1_000_000).unwrap();
        refusal(&asked(), StatusCode::from_u16(code).unwrap(), &HeaderMap::new(), body.as_bytes(), now)
    }

    #[test]
    fn a_failure_to_connect_begins_with_its_cause() {
        let said =
            "ServiceError: client error (Connect): tcp connect error: Connection refused (os error 111)";
        assert_eq!(cause(said), "Connection refused (os error 111)");
        assert_eq!(cause("client error (SendRequest): connection closed"), "connection closed");
        assert_eq!(cause("unexpected error: x"), "unexpected error: x");
    }

    #[test]
    fn an_expired_token_says_to_log_in() {
        let error = refused(
            401,
            r#"{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"Unauthorized","reason":"Unauthorized","code":401}"#,
        );
        assert_eq!(
            error.to_string(),
            "the Kubernetes API at https://10.0.0.1:6443 does not accept the credential: Unauthorized: log in again"
        );
    }

    #[test]
    fn a_forbidden_list_names_verb_object_and_user() {
        let error = refused(
            403,
            r#"{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"pods is forbidden: User \"dev\" cannot list resource \"pods\" in API group \"\" in the namespace \"shop\"","reason":"Forbidden","details":{"kind":"pods"},"code":403}"#,
        );
        assert!(matches!(error, SourceError::Denied { .. }));
        assert_eq!(
            error.to_string(),
            r#"not permitted to list pods in shop: User "dev" cannot list resource "pods" in API group "" in the namespace "shop""#
        );
    }

    #[test]
    fn a_missing_api_and_a_missing_object_are_told_apart() {
        let api = refused(404, "404 page not found\n");
        assert!(
            matches!(&api, SourceError::Missing { reason, .. } if reason.contains("CRD is not installed"))
        );
        let object = refused(
            404,
            r#"{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"pods \"api-1\" not found","reason":"NotFound","details":{"name":"api-1","kind":"pods"},"code":404}"#,
        );
        assert!(
            matches!(&object, SourceError::Missing { reason, .. } if reason == "pods \"api-1\" not found")
        );
    }

    #[test]
    fn a_stale_version_is_a_conflict() {
        let error = refused(
            409,
            r#"{"kind":"Status","status":"Failure","message":"Operation cannot be fulfilled on applications.argoproj.io \"a\": the object has been modified; please apply your changes to the latest version and try again","reason":"Conflict","code":409}"#,
        );
        assert!(matches!(error, SourceError::Conflict { .. }));
    }

    #[test]
    fn a_validation_error_shows_its_causes_once() {
        let error = refused(
            422,
            r#"{"kind":"Status","status":"Failure","message":"Deployment.apps \"a\" is invalid","reason":"Invalid","details":{"causes":[{"reason":"FieldValueInvalid","message":"Invalid value: -1: must be greater than or equal to 0","field":"spec.replicas"}]},"code":422}"#,
        );
        assert_eq!(
            error.to_string(),
            "pods in shop was refused: Deployment.apps \"a\" is invalid (spec.replicas: Invalid value: -1: must be greater than or equal to 0)"
        );
    }

    #[test]
    fn a_budget_and_a_busy_server_say_when_to_ask_again() {
        let budget = refused(
            429,
            r#"{"kind":"Status","status":"Failure","message":"Cannot evict pod as it would violate the pod's disruption budget.","reason":"TooManyRequests","details":{"causes":[{"reason":"DisruptionBudget","message":"The disruption budget api needs 2 healthy pods and has 2 currently"}]},"code":429}"#,
        );
        assert!(budget.to_string().contains("needs 2 healthy pods"), "{budget}");
        assert!(matches!(budget, SourceError::Throttled { until: None, .. }));

        let mut headers = HeaderMap::new();
        headers.insert(header::RETRY_AFTER, "7".parse().unwrap());
        let now = Timestamp::from_second(1_000_000).unwrap();
        let body = b"Too many requests, please try again later.\n";
        let busy = refusal(&asked(), StatusCode::TOO_MANY_REQUESTS, &headers, body, now);
        let until = Timestamp::from_second(1_000_007).ok();
        assert!(matches!(busy, SourceError::Throttled { until: at, .. } if at == until));
    }

    #[test]
    fn a_page_of_a_proxy_is_not_taken_for_the_api() {
        let error = refused(403, "<!DOCTYPE html><html><body>Log in to continue</body></html>");
        assert!(matches!(&error, SourceError::Unreachable { .. }), "{error}");
        assert!(error.to_string().contains("a web page came instead (403 Forbidden)"), "{error}");
    }

    #[test]
    fn a_cut_body_keeps_the_meaning_of_its_code() {
        let error = refused(500, r#"{"kind":"Status","apiVersion":"v1","mess"#);
        assert!(matches!(&error, SourceError::Garbled { .. }), "{error}");
        assert!(error.to_string().contains("500 Internal Server Error"), "{error}");
        assert!(matches!(refused(503, ""), SourceError::Unreachable { .. }));
    }

    #[test]
    fn nothing_of_a_body_reaches_the_terminal_raw() {
        let error = refused(500, "\u{1b}]0;owned\u{7}boom\u{202e}");
        assert!(error.to_string().ends_with("500 Internal Server Error: boom"), "{error}");
    }
}
