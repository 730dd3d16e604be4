//! The syntax tree of a query. Regular expressions, patterns and templates in it are compiled already.

use regex::Regex;

use super::ip::IpMatcher;
use super::pattern::Pattern;
use super::template::Template;

/// A query.
#[derive(Debug, Clone)]
pub enum Expr {
    /// Asks for lines.
    Log(LogQuery),
    /// Asks for numbers.
    Metric(Metric),
}

/// A selector and what is done to each line.
#[derive(Debug, Clone)]
pub struct LogQuery {
    /// Which streams.
    pub matchers: Vec<Matcher>,
    /// The stages, in order.
    pub stages: Vec<Stage>,
}

/// How a value is compared with a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MatchOp {
    /// `=`
    Equal,
    /// `!=`
    NotEqual,
    /// `=~`
    Matches,
    /// `!~`
    MatchesNot,
}

/// One condition on a label.
#[derive(Debug, Clone)]
pub struct Matcher {
    /// Name of the label.
    pub name: String,
    /// How it is compared.
    pub op: MatchOp,
    /// With what.
    pub value: String,
    /// The compiled value, anchored at both ends; `None` for texts.
    pub regex: Option<Regex>,
}

impl Matcher {
    /// Makes a condition; fails where the regular expression cannot be read.
    pub fn new(name: &str, op: MatchOp, value: &str) -> Result<Self, String> {
        let regex = match op {
            MatchOp::Equal | MatchOp::NotEqual => None,
            MatchOp::Matches | MatchOp::MatchesNot => Some(compile(&format!("^(?s:{value})$"), value)?),
        };
        Ok(Self { name: name.to_owned(), op, value: value.to_owned(), regex })
    }

    /// Says whether a value fulfils it; a label that is missing is empty.
    pub fn takes(&self, value: &str) -> bool {
        let found = self.regex.as_ref().map_or_else(|| self.value == value, |regex| regex.is_match(value));
        match self.op {
            MatchOp::Equal | MatchOp::Matches => found,
            MatchOp::NotEqual | MatchOp::MatchesNot => !found,
        }
    }
}

/// Compiles a regular expression; `written` is what the error names.
pub fn compile(pattern: &str, written: &str) -> Result<Regex, String> {
    Regex::new(pattern).map_err(|error| match error {
        regex::Error::CompiledTooBig(_) => "error parsing regexp: expression too large".to_owned(),
        error => {
            // The last line of the crate's message says what is wrong; the most frequent mistakes in Go's words.
            let text = error.to_string();
            let why = text.lines().last().unwrap_or_default().trim_start_matches("error: ");
            let why = match why {
                "unclosed group" => "missing closing )",
                "unopened group" => "unexpected )",
                "unclosed character class" => "missing closing ]",
                "repetition operator missing expression" => "missing argument to repetition operator",
                other => other,
            };
            format!("error parsing regexp: {why}: `{written}`")
        }
    })
}

/// One step of a pipeline.
#[derive(Debug, Clone)]
pub enum Stage {
    /// Keeps lines by their text.
    Line(LineFilter),
    /// Takes labels out of JSON: all, or those that are named with their paths.
    Json(Vec<(String, Vec<Step>)>),
    /// Takes labels out of `key=value` pairs: all, or those that are named with their keys.
    Logfmt {
        /// A line that is not well formed is an error.
        strict: bool,
        /// Keys without a value become empty labels.
        keep_empty: bool,
        /// New name and key.
        fields: Vec<(String, String)>,
    },
    /// Takes labels out by the names of groups.
    Regexp(Regex),
    /// Takes labels out by a pattern.
    Pattern(Pattern),
    /// Undoes `pack`: labels and line out of a JSON object of texts.
    Unpack,
    /// Keeps lines by their labels.
    Filter(LabelFilter),
    /// Writes the line anew.
    LineFormat(Template),
    /// Renames or sets labels.
    LabelFormat(Vec<(String, Format)>),
    /// Takes labels away.
    Drop(Vec<Named>),
    /// Takes all other labels away.
    Keep(Vec<Named>),
    /// Takes colours out of the line.
    Decolorize,
}

/// One step of a path into JSON.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// A field of an object.
    Field(String),
    /// A place in a list.
    Index(usize),
}

/// A label, or a label with a value, that `drop` and `keep` name.
#[derive(Debug, Clone)]
pub enum Named {
    /// By its name.
    Name(String),
    /// By its name and value.
    Matching(Matcher),
}

/// What `label_format` sets a label to.
#[derive(Debug, Clone)]
pub enum Format {
    /// Another label, which goes.
    Rename(String),
    /// A template.
    Template(Template),
}

/// A filter on the text of a line.
#[derive(Debug, Clone)]
pub struct LineFilter {
    /// Lines that match are dropped instead of kept.
    pub negated: bool,
    /// One of these must match.
    pub any: Vec<Needle>,
}

/// What is looked for in a line.
#[derive(Debug, Clone)]
pub enum Needle {
    /// A text, in the same letters.
    Text(String),
    /// A regular expression.
    Regex(Regex),
    /// A pattern with gaps.
    Pattern(Pattern),
    /// An address.
    Ip(IpMatcher),
}

/// How two numbers compare.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compare {
    /// `==` or `=`
    Equal,
    /// `!=`
    NotEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterOrEqual,
    /// `<`
    Less,
    /// `<=`
    LessOrEqual,
}

impl Compare {
    /// Compares two numbers.
    #[expect(clippy::float_cmp, reason = "`==` of the language compares exactly")]
    pub fn holds(self, left: f64, right: f64) -> bool {
        match self {
            Self::Equal => left == right,
            Self::NotEqual => left != right,
            Self::Greater => left > right,
            Self::GreaterOrEqual => left >= right,
            Self::Less => left < right,
            Self::LessOrEqual => left <= right,
        }
    }
}

/// A condition on the labels of a line.
#[derive(Debug, Clone)]
pub enum LabelFilter {
    /// A text.
    Text(Matcher),
    /// A number.
    Number(String, Compare, f64),
    /// A duration in nanoseconds.
    Duration(String, Compare, i64),
    /// A size in bytes.
    Bytes(String, Compare, u64),
    /// An address; the flag says whether it must not match.
    Ip(String, bool, IpMatcher),
    /// Both.
    And(Box<LabelFilter>, Box<LabelFilter>),
    /// Either.
    Or(Box<LabelFilter>, Box<LabelFilter>),
}

/// A query for numbers.
#[derive(Debug, Clone)]
pub enum Metric {
    /// A number for each series over a span of time.
    Range(Box<RangeAgg>),
    /// Many series made into few.
    Vector(Box<VectorAgg>),
    /// Two sides and an operator.
    Binary(Box<Binary>),
    /// A number.
    Literal(f64),
    /// `vector(n)`
    Constant(f64),
    /// Labels made from labels.
    LabelReplace(Box<LabelReplace>),
}

/// `by` or `without` and its labels.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Grouping {
    /// All labels but these.
    pub without: bool,
    /// The labels.
    pub labels: Vec<String>,
}

/// What a value is read as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Conversion {
    /// A number.
    Number,
    /// A duration, in seconds.
    Duration,
    /// A size, in bytes.
    Bytes,
}

/// `| unwrap`: the label whose value counts.
#[derive(Debug, Clone)]
pub struct Unwrap {
    /// The label.
    pub label: String,
    /// How it is read.
    pub conversion: Conversion,
    /// What is asked of the labels afterwards.
    pub filters: Vec<LabelFilter>,
}

/// A function over a span of time.
#[derive(Debug, Clone)]
pub struct RangeAgg {
    /// Its name, such as `count_over_time`.
    pub function: &'static str,
    /// The quantile.
    pub parameter: Option<f64>,
    /// Which lines.
    pub query: LogQuery,
    /// Which value of them.
    pub unwrap: Option<Unwrap>,
    /// The span in nanoseconds.
    pub range: i64,
    /// How far back the span lies, in nanoseconds.
    pub offset: i64,
    /// How series are put together.
    pub grouping: Option<Grouping>,
}

/// A function over series.
#[derive(Debug, Clone)]
pub struct VectorAgg {
    /// Its name, such as `sum`.
    pub function: &'static str,
    /// How many of `topk` and `bottomk`.
    pub parameter: usize,
    /// How series are put together.
    pub grouping: Grouping,
    /// The series.
    pub inner: Metric,
}

/// `on` and `ignoring`, and which side has many.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Matching {
    /// `on` rather than `ignoring`.
    pub on: bool,
    /// The labels.
    pub labels: Vec<String>,
    /// Which side has many series to one of the other.
    pub many: Option<Side>,
    /// Labels that come from the one.
    pub include: Vec<String>,
}

/// A side of an operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// Left.
    Left,
    /// Right.
    Right,
}

/// An operator between two queries.
#[derive(Debug, Clone)]
pub struct Binary {
    /// As it is written.
    pub op: &'static str,
    /// A comparison answers 0 or 1 instead of filtering.
    pub bool: bool,
    /// Which series meet.
    pub matching: Matching,
    /// Left side.
    pub left: Metric,
    /// Right side.
    pub right: Metric,
}

/// `label_replace`.
#[derive(Debug, Clone)]
pub struct LabelReplace {
    /// The series.
    pub inner: Metric,
    /// The label that is set.
    pub target: String,
    /// What it is set to.
    pub replacement: String,
    /// The label that is read.
    pub source: String,
    /// What it must match, anchored at both ends.
    pub regex: Regex,
}
