//! The line in a board: an expression with completion, or a window of time.
//!
//! What can stand at the cursor is read from the letters before it: the name of a metric or function, the name of a
//! label within braces, the value of a label within quotes. Names are asked of Prometheus, narrowed to the metric.

use crate::app::line::Line;
use crate::identity::{Context, Text};
use crate::signals::{Answer, Ask, Wanted};
use crate::store::Store;

/// How many completions are offered.
pub const OFFERED: usize = 8;

/// What a line is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// An expression.
    Query,
    /// A window of time.
    Window,
}

/// A line that is typed in a board.
#[derive(Debug, Clone, PartialEq)]
pub struct Prompt {
    /// What it is for.
    pub purpose: Purpose,
    /// What is typed.
    pub line: Line,
    /// What could stand at the cursor, best first.
    pub choices: Vec<Text>,
    /// The one that is chosen; `None` while none is.
    pub chosen: Option<usize>,
    /// What is wrong with the line, after it was tried.
    pub error: Option<String>,
    /// Which of the lines before is shown, counted from the newest.
    pub recalled: Option<usize>,
}

/// The functions and words of `PromQL` that are offered (prometheus.io, querying/functions and operators).
const WORDS: [&str; 62] = [
    "abs",
    "absent",
    "absent_over_time",
    "avg",
    "avg_over_time",
    "bottomk",
    "bool",
    "by",
    "ceil",
    "changes",
    "clamp",
    "clamp_max",
    "clamp_min",
    "count",
    "count_over_time",
    "count_values",
    "day_of_week",
    "delta",
    "deriv",
    "exp",
    "floor",
    "group",
    "group_left",
    "group_right",
    "histogram_quantile",
    "hour",
    "idelta",
    "ignoring",
    "increase",
    "irate",
    "label_join",
    "label_replace",
    "last_over_time",
    "ln",
    "log10",
    "log2",
    "max",
    "max_over_time",
    "min",
    "min_over_time",
    "minute",
    "month",
    "offset",
    "predict_linear",
    "quantile",
    "quantile_over_time",
    "rate",
    "resets",
    "round",
    "scalar",
    "sort",
    "sort_desc",
    "sqrt",
    "stddev",
    "sum",
    "sum_over_time",
    "time",
    "timestamp",
    "topk",
    "unless",
    "vector",
    "without",
];

/// What stands at the cursor.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Here {
    /// A metric, a function, a word.
    Name,
    /// The name of a label of a metric.
    Label { metric: String },
    /// The value of a label of a metric.
    Value { metric: String, label: String },
}

fn is_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_' || c == ':'
}

/// Reads where the cursor is, and what of the word under it is there already.
fn here(before: &str) -> (Here, String) {
    // Braces and quotes that are open at the cursor; a quote within a string may be escaped.
    let mut brace = None;
    let mut quote: Option<(char, usize)> = None;
    let mut escaped = false;
    for (at, c) in before.char_indices() {
        match quote {
            Some((open, _)) => {
                if escaped {
                    escaped = false;
                } else if c == '\\' {
                    escaped = true;
                } else if c == open {
                    quote = None;
                }
            }
            None => match c {
                '"' | '\'' | '`' => quote = Some((c, at)),
                '{' => brace = Some(at),
                '}' => brace = None,
                _ => {}
            },
        }
    }
    let word_before = |end: usize| {
        let head = &before[..end];
        let start = head
            .rfind(|c| !is_name(c))
            .map_or(0, |at| at + head[at..].chars().next().map_or(1, char::len_utf8));
        head[start..].to_owned()
    };
    match (brace, quote) {
        (Some(brace), Some((_, at))) => {
            let metric = word_before(brace);
            let operator = before[..at].trim_end_matches(['=', '~', '!', ' ']);
            let label = word_before(operator.len());
            (Here::Value { metric, label }, before[at + 1..].to_owned())
        }
        (None, Some(_)) => (Here::Value { metric: String::new(), label: String::new() }, String::new()),
        (Some(brace), None) => (Here::Label { metric: word_before(brace) }, word_before(before.len())),
        (None, None) => (Here::Name, word_before(before.len())),
    }
}

/// Returns a selector of a metric for asking which labels it has.
fn selector(metric: &str) -> Text {
    Text::from(metric)
}

impl Prompt {
    /// Begins a line for an expression.
    pub fn query(text: &str) -> Self {
        Self::new(Purpose::Query, text)
    }

    /// Begins a line for a window.
    pub fn window() -> Self {
        Self::new(Purpose::Window, "")
    }

    fn new(purpose: Purpose, text: &str) -> Self {
        Self {
            purpose,
            line: Line::new(text),
            choices: Vec::new(),
            chosen: None,
            error: None,
            recalled: None,
        }
    }

    /// Returns what has to be asked so that the line can be completed.
    pub fn asks(&self) -> Vec<Wanted> {
        if self.purpose != Purpose::Query {
            return Vec::new();
        }
        let names = Wanted::Values { label: Text::from("__name__"), matching: Text::from("") };
        let mut asks = vec![names];
        match here(self.line.before_cursor()).0 {
            Here::Label { metric } => asks.push(Wanted::LabelNames { matching: selector(&metric) }),
            Here::Value { metric, label } if !label.is_empty() => {
                asks.push(Wanted::Values { label: Text::from(label), matching: selector(&metric) });
            }
            _ => {}
        }
        asks
    }

    /// Works out what could stand at the cursor.
    pub fn settle(&mut self, context: &Context, store: &Store) {
        if self.purpose != Purpose::Query {
            return;
        }
        let (here, word) = here(self.line.before_cursor());
        let known = |wanted: Wanted| {
            let ask = Ask { context: context.clone(), wanted };
            let told = store.reading(&ask).and_then(|reading| reading.told.clone());
            match told.map(|told| told.answer.clone()) {
                Some(Answer::Names(names)) => names,
                _ => Vec::new(),
            }
        };
        let mut candidates = match &here {
            Here::Name if word.is_empty() => Vec::new(),
            Here::Name => {
                let names = Wanted::Values { label: Text::from("__name__"), matching: Text::from("") };
                let words = WORDS.iter().filter(|one| one.starts_with(&word)).map(|one| Text::from(*one));
                words.chain(known(names)).collect()
            }
            Here::Label { metric } => known(Wanted::LabelNames { matching: selector(metric) }),
            Here::Value { metric, label } if !label.is_empty() => {
                known(Wanted::Values { label: Text::from(label.as_str()), matching: selector(metric) })
            }
            Here::Value { .. } => Vec::new(),
        };
        candidates.retain(|one| **one != *word && one.contains(&*word) && &**one != "__name__");
        // What begins with the word stands before what only has it, short before long.
        candidates.sort_by_key(|one| (!one.starts_with(&*word), one.len()));
        candidates.dedup();
        candidates.truncate(OFFERED);
        if candidates != self.choices {
            self.choices = candidates;
            self.chosen = None;
        }
    }

    /// Puts a choice in the place of the word at the cursor; tells whether there was one.
    pub fn complete(&mut self) -> bool {
        let Some(choice) = self.choices.get(self.chosen.unwrap_or(0)).cloned() else { return false };
        let (here, word) = here(self.line.before_cursor());
        let before = self.line.before_cursor().len();
        let text = self.line.text();
        let head = text[..before - word.len()].to_owned();
        let tail = text[before..].to_owned();
        // A name of a label is followed by its value, which is completed next.
        let behind = match here {
            Here::Label { .. } if !tail.trim_start().starts_with(['=', '!']) => "=\"",
            Here::Name if WORDS.contains(&&*choice) && !matches!(&*choice, "bool" | "offset" | "unless") => {
                "("
            }
            _ => "",
        };
        self.line.set(&format!("{head}{choice}{behind}"));
        self.line.append(&tail);
        self.choices.clear();
        self.chosen = None;
        true
    }

    /// Chooses the next or the previous completion; brings an earlier line back where there is none.
    pub fn step(&mut self, down: bool, said: &[String]) {
        if !self.choices.is_empty() && (down || self.chosen.is_some()) {
            self.chosen = match (self.chosen, down) {
                (None, true) => Some(0),
                (Some(at), true) => Some((at + 1).min(self.choices.len() - 1)),
                (Some(at), false) => at.checked_sub(1),
                (None, false) => None,
            };
            return;
        }
        let next = match (self.recalled, down) {
            (None, false) => Some(0),
            (Some(at), false) => Some((at + 1).min(said.len().saturating_sub(1))),
            (Some(0) | None, true) => None,
            (Some(at), true) => Some(at - 1),
        };
        self.recalled = next;
        let line = next.and_then(|at| said.iter().rev().nth(at)).map_or("", String::as_str);
        self.line.set(line);
        self.choices.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> (Here, String) {
        here(text)
    }

    fn label(metric: &str) -> Here {
        Here::Label { metric: metric.to_owned() }
    }

    fn value(metric: &str, label: &str) -> Here {
        Here::Value { metric: metric.to_owned(), label: label.to_owned() }
    }

    #[test]
    fn the_place_of_the_cursor_is_read_from_the_letters_before_it() {
        assert_eq!(at("sum(rate(cont"), (Here::Name, "cont".to_owned()));
        assert_eq!(at("sum(rate(up{na"), (label("up"), "na".to_owned()));
        assert_eq!(at("up{job=\"x\",na"), (label("up"), "na".to_owned()));
        assert_eq!(at("up{job=~\"pro"), (value("up", "job"), "pro".to_owned()));
        assert_eq!(at("up{job != \""), (value("up", "job"), String::new()));
        assert_eq!(at("{job=\"a\\\"b"), (value("", "job"), "a\\\"b".to_owned()));
        assert_eq!(at("up{job=\"x\"} / re"), (Here::Name, "re".to_owned()));
        assert_eq!(at("label_replace(up, \"a"), (value("", ""), String::new()));
        assert_eq!(at("日本 up"), (Here::Name, "up".to_owned()));
    }

    #[test]
    fn a_completion_takes_the_place_of_the_word_and_leaves_the_rest() {
        let mut prompt = Prompt::query("sum(ra");
        prompt.choices = vec!["rate".into()];
        assert!(prompt.complete());
        assert_eq!(prompt.line.text(), "sum(rate(");
        let mut prompt = Prompt::query("up{na");
        prompt.choices = vec!["instance".into(), "namespace".into()];
        prompt.chosen = Some(1);
        assert!(prompt.complete());
        assert_eq!(prompt.line.text(), "up{namespace=\"");
        assert!(!prompt.complete());
    }

    #[test]
    fn earlier_lines_come_back_newest_first() {
        let said = ["up".to_owned(), "sum(up)".to_owned()];
        let mut prompt = Prompt::query("");
        prompt.step(false, &said);
        assert_eq!(prompt.line.text(), "sum(up)");
        prompt.step(false, &said);
        prompt.step(false, &said);
        assert_eq!(prompt.line.text(), "up");
        prompt.step(true, &said);
        prompt.step(true, &said);
        assert_eq!(prompt.line.text(), "");
    }
}
