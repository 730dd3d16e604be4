//! CloudWatch of the account that the embedded platform pretends to live in.
//!
//! It speaks Smithy's RPC v2 in CBOR, as the current SDKs do, on a plain loopback port of its own and takes one fixed key.
//! Every value follows from the world: metrics are questions to the numbers that Prometheus answers from, alarms follow
//! from the metrics. It keeps only what callers change: states they set, actions they switch off.
//!
//! # Why
//!
//! The contracts of the wire (section 6) were taken from a live SDK. Two choices follow from them: a double is always
//! written as one, and an error names its code twice, in the body and in a header, because clients look at either.

pub mod alarms;
pub mod catalog;
pub mod cbor;
pub mod data;
pub mod math;
pub mod operations;
pub mod rule;

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::future::BoxFuture;
use hyper::Method;
use hyper::body::Bytes;
use hyper::header::{AUTHORIZATION, HeaderName, HeaderValue};
use jiff::Timestamp;

use self::alarms::{Alarms, Set};
use self::catalog::{Account, Catalog};
use self::cbor::{Cbor, map, some};
use super::owner::Owner;
use super::promql::Samples;
use super::proxy::{Answer, Backend, Request};
use super::server::{self, Response};

/// The region of the account.
pub const REGION: &str = "eu-west-1";
/// The number of the account; AWS uses it in its own examples.
pub const ACCOUNT_ID: &str = "111122223333";
/// The key that callers sign with; it opens nothing but this.
pub const ACCESS_KEY_ID: &str = "AKIAOPSDECKDEMO00000";
/// The secret of that key.
pub const SECRET_ACCESS_KEY: &str = "opsdeck-demo-opens-nothing-else";
/// The name under which a story sets which part of all requests is throttled.
pub const THROTTLED: &str = "cloudwatch-throttled";

/// The name under which is set how many alarms a page holds at most, and ten times as many points: an account may turn
/// pages earlier than it is asked to.
pub const PAGED: &str = "cloudwatch-paged";

/// The name under which is set whether an alarm of maintenance suppresses the actions of composite alarms.
pub const SUPPRESSED: &str = "cloudwatch-suppressed";

/// Where operations are, before their name.
const PREFIX: &str = "/service/GraniteServiceVersion20100801/operation/";

/// What the account looks like at one moment.
pub struct Snapshot {
    /// The numbers that metrics are questions to.
    pub samples: Arc<dyn Samples>,
    /// What there is.
    pub account: Account,
    /// The moment.
    pub now: Timestamp,
    /// The part of requests that is throttled, from 0 to 1.
    pub throttled: f64,
    /// How many alarms a page holds at most; `None` for as many as are asked for.
    pub paged: Option<usize>,
    /// Whether maintenance suppresses the actions of composite alarms.
    pub suppressed: bool,
}

/// A way to look at the account.
pub type Source = Arc<dyn Fn() -> BoxFuture<'static, Option<Snapshot>> + Send + Sync>;

/// What callers have changed.
#[derive(Debug, Default)]
pub struct Kept {
    /// Alarms whose actions are switched off, and what was switched when.
    switched: Vec<(Timestamp, String, bool)>,
    /// States that callers set.
    set: Vec<Set>,
    /// Requests so far, to spread throttling evenly.
    asked: u64,
    /// Alarms as they stood in a minute.
    stood: Option<(i64, Arc<Alarms>)>,
}

impl Kept {
    /// Counts a request and tells whether it is one too many.
    fn throttles(&mut self, share: f64) -> bool {
        let before = (self.asked as f64 * share).floor();
        self.asked += 1;
        (self.asked as f64 * share).floor() > before
    }

    /// Tells whether the actions of an alarm are on.
    pub fn acts(&self, alarm: &str) -> bool {
        self.switched.iter().rev().find(|(_, name, _)| name == alarm).is_none_or(|(_, _, on)| *on)
    }

    /// Returns when the actions of an alarm were switched, and to what.
    pub fn switches(&self, alarm: &str) -> impl Iterator<Item = (Timestamp, bool)> {
        self.switched.iter().filter(move |(_, name, _)| name == alarm).map(|(at, _, on)| (*at, *on))
    }

    /// Switches the actions of alarms.
    pub fn switch(&mut self, names: &[String], on: bool, now: Timestamp) {
        for name in names {
            if self.acts(name) != on {
                self.switched.push((now, name.clone(), on));
            }
        }
    }

    /// Sets the state of an alarm until it is evaluated again.
    pub fn set(&mut self, set: Set) {
        self.set.push(set);
        self.stood = None;
    }
}

/// Why a request is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Name of the shape, such as `InvalidParameterValueException`.
    pub shape: &'static str,
    /// Code that older protocols know it by, such as `InvalidParameterValue`.
    pub code: &'static str,
    /// For people.
    pub message: String,
    status: u16,
}

impl Fault {
    /// The caller is at fault.
    pub fn new(shape: &'static str, code: &'static str, message: impl Into<String>) -> Self {
        Self { shape, code, message: message.into(), status: 400 }
    }

    /// A parameter breaks a constraint.
    pub fn validation(message: impl Into<String>) -> Self {
        Self::new("ValidationError", "ValidationError", message)
    }

    fn response(&self) -> Response {
        let body = map([
            ("__type", some(format!("com.amazonaws.cloudwatch#{}", self.shape))),
            ("message", some(self.message.clone())),
        ]);
        let mut response = answer(self.status, &body);
        let who = if self.status < 500 { "Sender" } else { "Receiver" };
        if let Ok(value) = HeaderValue::from_str(&format!("{};{who}", self.code)) {
            response.headers_mut().insert(HeaderName::from_static("x-amzn-query-error"), value);
        }
        response
    }
}

fn answer(status: u16, body: &Cbor) -> Response {
    let mut response = server::bytes(status, "application/cbor", Bytes::from(body.write()));
    response
        .headers_mut()
        .insert(HeaderName::from_static("smithy-protocol"), HeaderValue::from_static("rpc-v2-cbor"));
    response
}

/// What an operation works with.
pub struct Desk {
    snapshot: Snapshot,
    catalog: Catalog,
    owner: Owner<Kept>,
}

impl Desk {
    /// Returns the alarms as they stand; they change with the minute.
    async fn alarms(self: &Arc<Self>) -> Result<Arc<Alarms>, Fault> {
        let minute = self.snapshot.now.as_second().div_euclid(60);
        let kept = self
            .keep(move |kept| (kept.stood.clone().filter(|(stood, _)| *stood == minute), kept.set.clone()))
            .await?;
        let set = match kept {
            (Some((_, alarms)), _) => return Ok(alarms),
            (None, set) => set,
        };
        let desk = Arc::clone(self);
        let alarms = blocking(move || {
            let Snapshot { samples, account, now, .. } = &desk.snapshot;
            Arc::new(alarms::evaluate(samples.as_ref(), account, &desk.catalog, &set, *now))
        });
        let alarms = alarms.await?;
        let stood = Arc::clone(&alarms);
        self.keep(move |kept| kept.stood = Some((minute, stood))).await?;
        Ok(alarms)
    }

    async fn keep<T: Send + 'static>(
        &self,
        run: impl FnOnce(&mut Kept) -> T + Send + 'static,
    ) -> Result<T, Fault> {
        self.owner.call(run).await.map_err(|error| internal(error.to_string()))
    }
}

fn internal(message: String) -> Fault {
    Fault { status: 500, ..Fault::new("InternalServiceFault", "InternalFailure", message) }
}

/// Works things out beside the tasks that answer.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Fault> {
    tokio::task::spawn_blocking(work).await.map_err(|error| internal(error.to_string()))
}

/// Serves the protocol.
pub struct Front {
    owner: Owner<Kept>,
    source: Source,
}

impl Front {
    /// Serves an account.
    pub fn new(source: Source) -> Self {
        Self { owner: Owner::start(Kept::default()), source }
    }

    async fn carry_out(&self, request: &Request) -> Result<Cbor, Fault> {
        let operation = request.path.strip_prefix(PREFIX).filter(|_| request.method == Method::POST);
        let protocol = HeaderName::from_static("smithy-protocol");
        if request.header(&protocol) != "rpc-v2-cbor" {
            let message = "this endpoint speaks rpc-v2-cbor only";
            return Err(Fault::new("UnknownOperationException", "UnknownOperation", message));
        }
        let operation = operation.ok_or_else(|| unknown(&request.path))?;
        authorize(request)?;
        let snapshot =
            (self.source)().await.ok_or_else(|| internal("the platform is stopping".to_owned()))?;
        let share = snapshot.throttled;
        let throttled = self.owner.call(move |kept| kept.throttles(share)).await;
        if throttled.map_err(|error| internal(error.to_string()))? {
            return Err(Fault::new("ThrottlingException", "Throttling", "Rate exceeded"));
        }
        let input = Cbor::read(&request.body)
            .map_err(|why| Fault::new("SerializationException", "SerializationException", why))?;
        let catalog = Catalog::new(&snapshot.account);
        let desk = Arc::new(Desk { snapshot, catalog, owner: self.owner.clone() });
        operations::carry_out(desk, operation, input).await
    }
}

fn unknown(path: &str) -> Fault {
    Fault::new("UnknownOperationException", "UnknownOperation", format!("there is no operation at {path}"))
}

/// Refuses a request that another key signed. The signature itself guards nothing here and is not computed.
fn authorize(request: &Request) -> Result<(), Fault> {
    let signed = request.header(&AUTHORIZATION);
    let scope =
        signed.split("Credential=").nth(1).and_then(|rest| rest.split(',').next()).unwrap_or_default();
    let parts: Vec<&str> = scope.trim().split('/').collect();
    let refused = |code, message: &str| Err(Fault { status: 403, ..Fault::new(code, code, message) });
    match parts.as_slice() {
        [ACCESS_KEY_ID, _, REGION, "monitoring", "aws4_request"] => Ok(()),
        [ACCESS_KEY_ID, ..] => {
            refused("SignatureDoesNotMatch", "Credential should be scoped to a valid region and service.")
        }
        [""] => refused("MissingAuthenticationToken", "Missing Authentication Token"),
        _ => refused("UnrecognizedClientException", "The security token included in the request is invalid."),
    }
}

impl Backend for Front {
    fn answer(&self, request: Request) -> Answer<'_> {
        Box::pin(async move {
            match self.carry_out(&request).await {
                Ok(body) => answer(200, &body),
                Err(fault) => fault.response(),
            }
        })
    }
}

/// Reads what a continued request goes on with: a number of entries to skip.
fn skip(input: &Cbor) -> Result<usize, Fault> {
    let Some(token) = input.get("NextToken").text() else { return Ok(0) };
    let number = token.strip_prefix("opsdeck-").and_then(|rest| rest.parse().ok());
    number.ok_or_else(|| Fault::new("InvalidNextToken", "InvalidNextToken", "The token is invalid."))
}

/// Returns the token that goes on after a number of entries.
fn token(skipped: usize) -> Option<Cbor> {
    some(format!("opsdeck-{skipped}"))
}

/// Cuts a page out of a list; the token is there where more follows.
fn page<T>(list: Vec<T>, skipped: usize, size: usize) -> (Vec<T>, Option<Cbor>) {
    let more = list.len() > skipped + size;
    (list.into_iter().skip(skipped).take(size).collect(), more.then(|| token(skipped + size)).flatten())
}

/// Groups the names of dimensions with their values.
fn dimensions(input: &Cbor) -> Vec<catalog::Dimension> {
    let pair = |entry: &Cbor| {
        let value = entry.get("Value").text().unwrap_or_default().to_owned();
        Some((entry.get("Name").text()?.to_owned(), value))
    };
    let pairs: BTreeMap<String, String> = input.get("Dimensions").list().iter().filter_map(pair).collect();
    pairs.into_iter().collect()
}
