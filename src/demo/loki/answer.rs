//! From a path to its answer. Pure: a copy of the world's logs goes in, a response comes out.

use serde_json::{Value, json};

use super::request::Parameters;
use super::shipped::Shipped;
use super::{fields, index, read};
use crate::demo::logql::{EvalError, Expr, ParseError, parse};
use crate::demo::proxy::Request;
use crate::demo::server::{self, Response};

/// The header that asks for labels by where they came from.
const FLAGS: &str = "x-loki-response-encoding-flags";

/// Why a request is not answered, in Loki's words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// HTTP status.
    pub code: u16,
    /// The body.
    pub text: String,
}

impl Refused {
    /// Refuses with a status.
    pub fn new(code: u16, text: impl Into<String>) -> Self {
        Self { code, text: text.into() }
    }

    /// Refuses what was asked for.
    pub fn bad(text: impl Into<String>) -> Self {
        Self::new(400, text)
    }
}

impl From<ParseError> for Refused {
    fn from(error: ParseError) -> Self {
        Self::bad(error.to_string())
    }
}

impl From<EvalError> for Refused {
    fn from(error: EvalError) -> Self {
        let code = if error == EvalError::Timeout { 504 } else { 400 };
        Self::new(code, error.to_string())
    }
}

/// Answers in plain text, as Loki does where something is wrong.
pub fn plain(code: u16, text: &str) -> Response {
    server::text(code, text)
}

/// Says whether the client asks for labels by where they came from.
pub fn categorizes(request: &Request) -> bool {
    request
        .headers
        .get_all(FLAGS)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|flag| flag.trim() == "categorize-labels")
}

/// What `status/buildinfo` says.
pub fn build() -> Value {
    json!({
        "version": "3.5.1", "revision": "c45dc4c", "branch": "release-3.5.x", "buildUser": "root@buildkitsandbox",
        "buildDate": "2025-05-19T16:28:39Z", "goVersion": "",
    })
}

/// Answers one path under the prefix of the API.
pub fn answer(path: &str, asked: &Parameters, shipped: &Shipped, flags: bool) -> Result<Response, Refused> {
    let parts: Vec<&str> = path.split('/').collect();
    let value = match parts.as_slice() {
        ["query_range"] => read::range(asked, shipped, flags)?,
        ["query"] => read::instant(asked, shipped)?,
        ["labels" | "label"] => index::labels(asked, shipped)?,
        ["label", name, "values"] => {
            index::values(&crate::demo::request::decode(name, false), asked, shipped)?
        }
        ["series"] => index::series(asked, shipped)?,
        ["index", "stats"] => index::stats(asked, shipped)?,
        ["index", "volume"] => index::volume(asked, shipped)?,
        ["index", "volume_range"] => index::volume_range(asked, shipped)?,
        ["detected_labels"] => fields::labels(asked, shipped)?,
        ["detected_fields"] => fields::fields(asked, shipped)?,
        ["detected_field", name, "values"] => {
            fields::values(&crate::demo::request::decode(name, false), asked, shipped)?
        }
        ["format_query"] => {
            // Reading it is all that is done; it goes back as it came.
            parse(asked.get("query")).map_err(|error| Refused::bad(error.to_string()))?;
            json!({"status": "success", "data": asked.get("query")})
        }
        _ => return Ok(plain(404, "404 page not found\n")),
    };
    Ok(server::json(200, &value))
}

/// Reads the query of a request.
pub fn query(asked: &Parameters) -> Result<Expr, Refused> {
    Ok(parse(asked.get("query"))?)
}

/// Wraps data as Loki does.
pub fn success(data: Value) -> Value {
    json!({"status": "success", "data": data})
}

/// Writes a value as Prometheus does.
pub fn number(value: f64) -> String {
    if value.is_nan() {
        "NaN".to_owned()
    } else if value.is_infinite() {
        if value > 0.0 { "+Inf".to_owned() } else { "-Inf".to_owned() }
    } else {
        value.to_string()
    }
}

/// Writes nanoseconds as the seconds of a point, to the millisecond.
pub fn seconds(nanos: i64) -> Value {
    let millis = nanos.div_euclid(1_000_000);
    if millis % 1_000 == 0 { json!(millis / 1_000) } else { json!(millis as f64 / 1e3) }
}
