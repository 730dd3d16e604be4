//! `LogQL` of the embedded Loki: text to syntax tree, and the tree to entries, samples and vectors.
//!
//! It knows nothing of HTTP, of pods or of the clock: entries come from a [`Source`], times from the caller. The wording
//! and the positions of errors are those of Loki 3.7, since they are shown to users as they are.
//!
//! # Why
//! The crates that read `LogQL` (`logql-parser`, `logql`) do not evaluate it, and word errors in their own way. A
//! console that is tested against them would be tested against somebody else's errors, so the grammar is read here.

pub mod ast;
pub mod extract;
pub mod ip;
pub mod lex;
pub mod metric;
pub mod parse;
pub mod pattern;
pub mod pipeline;
mod stages;
pub mod template;
pub mod units;
pub mod vector;

#[cfg(test)]
mod tests;

pub use ast::{Expr, LogQuery, MatchOp, Matcher};
pub use lex::ParseError;
pub use parse::parse;

/// Labels of a stream or a series, sorted by name.
pub type Labels = Vec<(String, String)>;

/// One log line as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Nanoseconds since 1970.
    pub at: i64,
    /// The line, without a line feed.
    pub line: String,
    /// Structured metadata, sorted by name.
    pub metadata: Labels,
}

/// One stream that a selector found.
pub trait Stream: Send + Sync {
    /// Returns its labels, sorted by name.
    fn labels(&self) -> &Labels;

    /// Returns its entries with `from <= at < until` (nanoseconds), oldest first.
    fn entries(&self, from: i64, until: i64) -> Vec<Entry>;

    /// Returns about how many entries a second it has; decides how much is read at once.
    fn rate(&self) -> f64;
}

/// Where entries come from.
pub trait Source {
    /// Returns the streams that may have entries with `from <= at < until` (nanoseconds) and that all matchers take.
    fn streams(&self, matchers: &[Matcher], from: i64, until: i64) -> Vec<std::sync::Arc<dyn Stream>>;
}

/// Why a query that can be read cannot be answered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EvalError {
    /// A stage could not make sense of a line, and a number was wanted of it.
    #[error(
        "pipeline error: '{kind}' for series: '{series}'.\nUse a label filter to intentionally skip this error. (e.g | __error__!=\"{kind}\").\nTo skip all potential errors you can match empty errors.(e.g __error__=\"\")\nThe label filter can also be specified after unwrap. (e.g | unwrap latency | __error__=\"\" )\n"
    )]
    Pipeline {
        /// What `__error__` says.
        kind: String,
        /// Labels of the series, as Prometheus writes them.
        series: String,
    },
    /// More series than are permitted.
    #[error(
        "maximum number of series ({0}) reached for a single query; consider reducing query cardinality by adding more specific stream selectors, reducing the time range, or aggregating results with functions like sum(), count() or topk()"
    )]
    Series(usize),
    /// More lines would have to be read than are read for one query.
    #[error(
        "request timed out, decrease the duration of the request or add more label matchers (prefer exact match over regex match) to reduce the amount of data processed"
    )]
    Timeout,
    /// Vectors do not match one to one.
    #[error("{0}")]
    Matching(String),
}

/// What one query may read.
#[derive(Debug, Clone, Copy)]
pub struct Budget {
    lines: usize,
}

impl Budget {
    /// Permits a number of lines.
    pub fn new(lines: usize) -> Self {
        Self { lines }
    }

    /// Takes lines off; fails when there are not as many left.
    pub fn take(&mut self, lines: usize) -> Result<(), EvalError> {
        self.lines = self.lines.checked_sub(lines).ok_or(EvalError::Timeout)?;
        Ok(())
    }
}

/// Writes labels as Prometheus does: `{a="b", c="d"}`.
pub fn spell(labels: &Labels) -> String {
    let inner: Vec<String> = labels.iter().map(|(name, value)| format!("{name}={value:?}")).collect();
    format!("{{{}}}", inner.join(", "))
}

/// Returns the value of a label in sorted labels.
pub fn label<'a>(labels: &'a Labels, name: &str) -> Option<&'a str> {
    let at = labels.binary_search_by(|(known, _)| known.as_str().cmp(name)).ok()?;
    Some(&labels[at].1)
}
