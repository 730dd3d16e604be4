//! A line on its way through the stages of a query.
//!
//! Labels stand in three drawers, as in Loki: those of the stream, structured metadata, and what stages took out. A stage
//! that cannot make sense of a line does not drop it but sets `__error__`.

use std::borrow::Cow;

use super::ast::{Format, LabelFilter, LineFilter, LogQuery, Matcher, Named, Needle, Stage};
use super::{Entry, Labels, extract, units};

/// The label that says which stage failed.
pub const ERROR: &str = "__error__";
/// The label that says why it failed.
pub const DETAILS: &str = "__error_details__";

/// A line and what is known about it.
#[derive(Debug, Clone)]
pub struct Line<'a> {
    /// When it was written, in nanoseconds.
    pub at: i64,
    /// The text.
    pub text: Cow<'a, str>,
    stream: &'a Labels,
    metadata: &'a Labels,
    /// Labels of the stream and of the metadata that a stage has taken away.
    gone: Vec<String>,
    parsed: Vec<(String, String)>,
    error: Option<(&'static str, String)>,
}

/// The labels of a line after the pipeline, sorted by name.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Drawers {
    /// Those of the stream.
    pub stream: Labels,
    /// Structured metadata.
    pub metadata: Labels,
    /// What stages took out or set.
    pub parsed: Labels,
}

impl Drawers {
    /// Returns all of them together.
    pub fn merged(&self) -> Labels {
        let mut all: Labels = self.stream.iter().chain(&self.metadata).chain(&self.parsed).cloned().collect();
        all.sort();
        all.dedup_by(|second, first| second.0 == first.0);
        all
    }
}

fn find<'b>(labels: &'b [(String, String)], name: &str) -> Option<&'b str> {
    labels.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
}

impl<'a> Line<'a> {
    /// Begins with an entry of a stream.
    pub fn new(stream: &'a Labels, entry: &'a Entry) -> Self {
        Self {
            at: entry.at,
            text: Cow::Borrowed(&entry.line),
            stream,
            metadata: &entry.metadata,
            gone: Vec::new(),
            parsed: Vec::new(),
            error: None,
        }
    }

    /// Returns the value of a label.
    pub fn get(&self, name: &str) -> Option<&str> {
        match name {
            ERROR => return self.error.as_ref().map(|(kind, _)| *kind),
            DETAILS => return self.error.as_ref().map(|(_, details)| details.as_str()),
            _ => {}
        }
        find(&self.parsed, name).or_else(|| {
            if self.gone.iter().any(|gone| gone == name) {
                return None;
            }
            find(self.metadata, name).or_else(|| find(self.stream, name))
        })
    }

    /// Says whether a label came with the line: then what a parser finds gets another name.
    fn came(&self, name: &str) -> bool {
        find(self.stream, name).or_else(|| find(self.metadata, name)).is_some()
    }

    /// Stores what a parser found; the first value of a name stays.
    pub fn found(&mut self, name: &str, value: impl Into<String>) {
        let name = if self.came(name) { format!("{name}_extracted") } else { name.to_owned() };
        if find(&self.parsed, &name).is_none() {
            self.parsed.push((name, value.into()));
        }
    }

    /// Sets a label, whatever there was.
    pub fn set(&mut self, name: &str, value: String) {
        self.remove(name);
        self.parsed.push((name.to_owned(), value));
    }

    fn remove(&mut self, name: &str) {
        if name == ERROR {
            self.error = None;
            return;
        }
        self.parsed.retain(|(known, _)| known != name);
        if self.came(name) && !self.gone.iter().any(|gone| gone == name) {
            self.gone.push(name.to_owned());
        }
    }

    /// Notes that a stage failed; the first failure stays.
    pub fn fail(&mut self, kind: &'static str, details: impl Into<String>) {
        if self.error.is_none() {
            self.error = Some((kind, details.into()));
        }
    }

    /// Returns what failed.
    pub fn error(&self) -> Option<&'static str> {
        self.error.as_ref().map(|(kind, _)| *kind)
    }

    /// Returns the names of all labels.
    fn names(&self) -> Vec<String> {
        let kept = self
            .stream
            .iter()
            .chain(self.metadata)
            .map(|(name, _)| name)
            .filter(|name| !self.gone.contains(name));
        kept.chain(self.parsed.iter().map(|(name, _)| name)).cloned().collect()
    }

    /// Returns the labels by where they came from.
    pub fn drawers(&self) -> Drawers {
        let kept = |labels: &Labels| -> Labels {
            labels.iter().filter(|(name, _)| !self.gone.contains(name)).cloned().collect()
        };
        let mut parsed = self.parsed.clone();
        if let Some((kind, details)) = &self.error {
            parsed.push((ERROR.to_owned(), (*kind).to_owned()));
            if !details.is_empty() {
                parsed.push((DETAILS.to_owned(), details.clone()));
            }
        }
        parsed.sort();
        Drawers { stream: kept(self.stream), metadata: kept(self.metadata), parsed }
    }
}

/// Runs a line through the stages; returns whether it is kept.
pub fn run(query: &LogQuery, line: &mut Line<'_>) -> bool {
    stages(&query.stages, line)
}

/// Runs a line through some stages; returns whether it is kept.
pub fn stages(stages: &[Stage], line: &mut Line<'_>) -> bool {
    stages.iter().all(|stage| apply(stage, line))
}

fn apply(stage: &Stage, line: &mut Line<'_>) -> bool {
    match stage {
        Stage::Line(filter) => return keeps(filter, &line.text),
        Stage::Filter(filter) => return holds(filter, line),
        Stage::Json(fields) => extract::json(fields, line),
        Stage::Logfmt { strict, keep_empty, fields } => extract::logfmt(*strict, *keep_empty, fields, line),
        Stage::Regexp(regex) => extract::regexp(regex, line),
        Stage::Pattern(pattern) => extract::pattern(pattern, line),
        Stage::Unpack => extract::unpack(line),
        Stage::LineFormat(template) => match template.render(line) {
            Ok(text) => line.text = Cow::Owned(text),
            Err(why) => line.fail("TemplateFormatErr", why),
        },
        Stage::LabelFormat(formats) => {
            for (name, format) in formats {
                label_format(name, format, line);
            }
        }
        Stage::Drop(named) => {
            for one in named {
                match one {
                    Named::Name(name) => line.remove(name),
                    Named::Matching(matcher) => {
                        if line.get(&matcher.name).is_some_and(|value| matcher.takes(value)) {
                            line.remove(&matcher.name);
                        }
                    }
                }
            }
        }
        Stage::Keep(named) => {
            for name in line.names() {
                let kept = named.iter().any(|one| match one {
                    Named::Name(wanted) => *wanted == name,
                    Named::Matching(matcher) => {
                        matcher.name == name && line.get(&name).is_some_and(|value| matcher.takes(value))
                    }
                });
                if !kept {
                    line.remove(&name);
                }
            }
        }
        Stage::Decolorize => {
            if line.text.contains('\u{1b}') {
                line.text = Cow::Owned(extract::decolorize(&line.text));
            }
        }
    }
    true
}

fn label_format(name: &str, format: &Format, line: &mut Line<'_>) {
    match format {
        Format::Rename(source) => {
            if let Some(value) = line.get(source).map(str::to_owned) {
                line.remove(source);
                line.set(name, value);
            }
        }
        Format::Template(template) => match template.render(line) {
            Ok(value) => line.set(name, value),
            Err(why) => line.fail("TemplateFormatErr", why),
        },
    }
}

/// Says whether a line filter keeps a text.
pub fn keeps(filter: &LineFilter, text: &str) -> bool {
    let found = filter.any.iter().any(|needle| match needle {
        Needle::Text(wanted) => text.contains(wanted.as_str()),
        Needle::Regex(regex) => regex.is_match(text),
        Needle::Pattern(pattern) => pattern.is_match(text),
        Needle::Ip(addresses) => addresses.found(text),
    });
    found != filter.negated
}

/// Says whether a label filter keeps a line; a value that cannot be read is an error and keeps it.
pub fn holds(filter: &LabelFilter, line: &mut Line<'_>) -> bool {
    match filter {
        LabelFilter::Text(matcher) => text_holds(matcher, line),
        LabelFilter::Number(name, compare, wanted) => {
            let Some(value) = line.get(name) else { return false };
            if let Ok(number) = value.parse::<f64>() {
                compare.holds(number, *wanted)
            } else {
                let why = format!("strconv.ParseFloat: parsing {value:?}: invalid syntax");
                line.fail("LabelFilterErr", why);
                true
            }
        }
        LabelFilter::Duration(name, compare, wanted) => {
            let Some(value) = line.get(name) else { return false };
            if let Some(nanos) = units::go_duration(value) {
                compare.holds(nanos as f64, *wanted as f64)
            } else {
                let why = format!("time: invalid duration {value:?}");
                line.fail("LabelFilterErr", why);
                true
            }
        }
        LabelFilter::Bytes(name, compare, wanted) => {
            let Some(value) = line.get(name) else { return false };
            if let Some(bytes) = units::bytes(value) {
                compare.holds(bytes as f64, *wanted as f64)
            } else {
                let why = format!("strconv.ParseFloat: parsing {value:?}: invalid syntax");
                line.fail("LabelFilterErr", why);
                true
            }
        }
        LabelFilter::Ip(name, negated, addresses) => {
            line.get(name).is_some_and(|value| addresses.found(value) != *negated)
        }
        LabelFilter::And(left, right) => holds(left, line) && holds(right, line),
        LabelFilter::Or(left, right) => holds(left, line) || holds(right, line),
    }
}

fn text_holds(matcher: &Matcher, line: &Line<'_>) -> bool {
    matcher.takes(line.get(&matcher.name).unwrap_or_default())
}
