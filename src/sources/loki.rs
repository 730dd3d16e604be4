//! Loki: log lines and what can be known of them, over HTTP (contracts 5). Paging is in `loki_page`, tails in
//! `loki_tail`.
//!
//! Only asks. Labels come categorised where the server can do so, and merged into the stream where it cannot; both
//! are taken. Its errors are plain text, which is handed on as it is.

use http::{HeaderName, HeaderValue};
use serde::Deserialize;

use super::endpoint::Endpoint;
pub use super::loki_page::{Direction, Page, Pager};
pub use super::loki_tail::{Tail, TailNews, tail};
use super::{SourceError, logql, loki_wire, prometheus};
use crate::identity::Text;
use crate::signals::{Labels, Told};

/// The most entries that Loki returns to one query by default: `max_entries_limit_per_query`.
pub const ENTRIES: usize = 5_000;

/// Nanoseconds of a second.
pub const SECOND: i64 = 1_000_000_000;

/// The most values of one series (contracts 5.3).
const POINTS: i64 = 11_000;

/// One log line with what Loki knows of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// When it was written, in nanoseconds since 1970.
    pub at: i64,
    /// The labels of its stream; without categorised labels, all there are.
    pub labels: Labels,
    /// Its structured metadata.
    pub metadata: Labels,
    /// What the query's parsers took out of it.
    pub parsed: Labels,
    /// The line as it is shown: on one line, cleaned, and cut where it is very long.
    pub text: Box<str>,
    /// The line as it was written, where that differs.
    pub whole: Option<Box<[u8]>>,
}

impl Entry {
    /// Returns the line as it was written: for files, never for a terminal.
    pub fn bytes(&self) -> &[u8] {
        self.whole.as_deref().unwrap_or(self.text.as_bytes())
    }

    /// Returns a label, wherever it stands.
    pub fn label(&self, name: &str) -> Option<&str> {
        [&self.labels, &self.metadata, &self.parsed].into_iter().find_map(|labels| labels.get(name))
    }

    /// Returns its level in the words of the program, or as Loki has detected it.
    pub fn level(&self) -> Option<&str> {
        self.label("detected_level").or_else(|| self.label("level"))
    }

    /// Returns how many bytes of memory it takes, about; labels are shared and not counted.
    pub fn size(&self) -> usize {
        size_of::<Self>() + self.text.len() + self.whole.as_ref().map_or(0, |whole| whole.len())
    }
}

/// A span of time in nanoseconds since 1970: its start is in it, its end is not (contracts 5.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Span {
    /// The first nanosecond.
    pub start: i64,
    /// The nanosecond after the last.
    pub end: i64,
}

/// One question for lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// The query.
    pub query: String,
    /// From when to when.
    pub span: Span,
    /// How many at most.
    pub limit: usize,
    /// Which of them, where there are more.
    pub direction: Direction,
}

/// Lines of one answer, oldest first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Lines {
    /// The lines.
    pub entries: Vec<Entry>,
    /// What the server said beside its answer.
    pub warnings: Vec<Text>,
    /// Entries that could not be understood.
    pub garbled: u64,
}

/// Asks for lines once; [`Pager`] goes on from page to page.
pub async fn lines(endpoint: &Endpoint, question: &Question) -> Result<Lines, SourceError> {
    let Question { query, span, limit, direction } = question;
    let (start, end, limit) = (span.start.to_string(), span.end.to_string(), limit.to_string());
    let asked = [
        ("query", query.as_str()),
        ("start", &start),
        ("end", &end),
        ("limit", &limit),
        ("direction", direction.word()),
    ];
    let body = categorised(endpoint).get("/loki/api/v1/query_range", &asked).await?;
    let streams = loki_wire::streams(&body)
        .map_err(|error| endpoint.garbled(&format!("no lines of its API: {error}")))?;
    if let Some(words) = streams.refused {
        return Err(refused(endpoint, &words));
    }
    Ok(Lines { entries: streams.entries, warnings: streams.warnings, garbled: streams.garbled })
}

/// What the server says in place of an answer, with a code of success.
fn refused(endpoint: &Endpoint, words: &str) -> SourceError {
    let what = format!("{} at {}", endpoint.system, endpoint.place);
    SourceError::Invalid { what, reason: words.to_owned() }
}

/// Asks with the header that keeps labels apart by where they came from.
pub(super) fn categorised(endpoint: &Endpoint) -> Endpoint {
    let name = HeaderName::from_static("x-loki-response-encoding-flags");
    endpoint.clone().and_header(name, HeaderValue::from_static("categorize-labels"))
}

/// Asks for the values of a metric query over a span, `step` seconds apart.
pub async fn range(endpoint: &Endpoint, query: &str, span: Span, step: u32) -> Result<Told, SourceError> {
    let seconds = (span.end - span.start) / SECOND;
    let step = i64::from(step.max(1)).max(seconds / (POINTS - 1) + 1);
    // Loki aligns the start itself; whole steps at both ends keep a picture from trembling.
    let start = (span.start.div_euclid(SECOND * step) * SECOND * step).to_string();
    let (end, step) = (span.end.to_string(), step.to_string());
    let asked = [("query", query), ("start", &start), ("end", &end), ("step", &step)];
    let body = endpoint.get("/loki/api/v1/query_range", &asked).await?;
    prometheus::series(endpoint, &body)
}

/// Asks for the values of a metric query at a time, in nanoseconds since 1970.
pub async fn instant(endpoint: &Endpoint, query: &str, at: i64) -> Result<Told, SourceError> {
    let at = at.to_string();
    let body = endpoint.get("/loki/api/v1/query", &[("query", query), ("time", &at)]).await?;
    prometheus::series(endpoint, &body)
}

/// Asks for the number of lines by level over a span, `step` seconds apart.
pub async fn levels(endpoint: &Endpoint, query: &str, span: Span, step: u32) -> Result<Told, SourceError> {
    let by_level = logql::by_level(query, step).ok_or_else(|| SourceError::Invalid {
        what: "the volume by level".to_owned(),
        reason: "the query is not one for lines".to_owned(),
    })?;
    range(endpoint, &by_level, span, step).await
}

/// How much a query would read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stats {
    /// Streams.
    pub streams: u64,
    /// Chunks.
    pub chunks: u64,
    /// Bytes of lines.
    pub bytes: u64,
    /// Lines.
    pub entries: u64,
}

/// The same as it is written, or what is written in its place.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Counted {
    streams: u64,
    chunks: u64,
    bytes: Option<u64>,
    entries: u64,
    status: Option<String>,
    error: Option<String>,
}

/// Asks how much a query would read. What is not yet written to storage is not counted (contracts 5.2).
pub async fn stats(endpoint: &Endpoint, query: &str, span: Span) -> Result<Stats, SourceError> {
    let (start, end) = (span.start.to_string(), span.end.to_string());
    let mut sum = Stats::default();
    // The index knows selectors alone.
    for (from, to) in logql::selectors(query) {
        let asked = [("query", &query[from..to]), ("start", &start), ("end", &end)];
        let body = endpoint.get("/loki/api/v1/index/stats", &asked).await?;
        let counted: Counted = serde_json::from_slice(&body)
            .map_err(|error| endpoint.garbled(&format!("no statistics: {error}")))?;
        let one = match counted {
            Counted { status: Some(status), error, .. } if status != "success" => {
                return Err(refused(endpoint, &crate::text::one_line(&error.unwrap_or(status))));
            }
            Counted { bytes: Some(bytes), streams, chunks, entries, .. } => {
                Stats { streams, chunks, bytes, entries }
            }
            // Not the same as nothing to read.
            Counted { .. } => return Err(endpoint.garbled("statistics without a number of bytes")),
        };
        sum.streams += one.streams;
        sum.chunks += one.chunks;
        sum.bytes += one.bytes;
        sum.entries += one.entries;
    }
    Ok(sum)
}

#[derive(Deserialize)]
struct Listed<T> {
    #[serde(default)]
    status: Option<String>,
    #[serde(default)]
    error: Option<String>,
    // A tenant without lines has no such key.
    #[serde(default = "Option::default")]
    data: Option<Vec<T>>,
}

/// Reads a list in its envelope.
fn listed<'a, T: Deserialize<'a>>(endpoint: &Endpoint, body: &'a [u8]) -> Result<Vec<T>, SourceError> {
    let list: Listed<T> = serde_json::from_slice(body)
        .map_err(|error| endpoint.garbled(&format!("no list of its API: {error}")))?;
    match loki_wire::refusal(list.status.as_deref(), list.error.as_deref(), list.data.is_some()) {
        Ok(None) => Ok(list.data.unwrap_or_default()),
        Ok(Some(words)) => Err(refused(endpoint, &words)),
        Err(reason) => Err(endpoint.garbled(reason)),
    }
}

/// Asks for the names of the labels.
pub async fn labels(endpoint: &Endpoint, span: Span) -> Result<Vec<Text>, SourceError> {
    names(endpoint, "/loki/api/v1/labels", span).await
}

/// Asks for the values of a label.
pub async fn values(endpoint: &Endpoint, label: &str, span: Span) -> Result<Vec<Text>, SourceError> {
    let path = format!("/loki/api/v1/label/{}/values", super::percent::escape(label));
    names(endpoint, &path, span).await
}

async fn names(endpoint: &Endpoint, path: &str, span: Span) -> Result<Vec<Text>, SourceError> {
    let (start, end) = (span.start.to_string(), span.end.to_string());
    let body = endpoint.get(path, &[("start", &start), ("end", &end)]).await?;
    let names: Vec<String> = listed(endpoint, &body)?;
    Ok(names.iter().map(|name| crate::text::one_line(name).into()).collect())
}

/// Asks for the streams that a selector means.
pub async fn series(endpoint: &Endpoint, selector: &str, span: Span) -> Result<Vec<Labels>, SourceError> {
    let (start, end) = (span.start.to_string(), span.end.to_string());
    let asked = [("match[]", selector), ("start", &start), ("end", &end)];
    let body = endpoint.get("/loki/api/v1/series", &asked).await?;
    let list: Vec<std::collections::BTreeMap<String, String>> = listed(endpoint, &body)?;
    Ok(list.iter().map(prometheus::clean_labels).collect())
}
