//! Expressions of boards: what is filled in, what they need, and how their series are named.

use std::collections::BTreeMap;
use std::fmt;

use promql_parser::parser::token::T_LOR;
use promql_parser::parser::{Expr, VectorSelector, parse};

use crate::identity::Text;
use crate::signals::Labels;

/// The variables that every board has: how far a rate looks back, the window and the step.
pub(super) const BUILT_IN: [&str; 3] = ["rate", "window", "step"];

/// Seconds that a rate looks back at least: four scrapes of a minute and then some (contracts 4.5).
const RATE: u32 = 300;

/// Returns how far a rate looks back for a step: at least to the value before, so that nothing falls between two.
pub fn rate_window(step: u32) -> u32 {
    RATE.max(step.div_ceil(60) * 60)
}

/// What variables are filled with.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Values(BTreeMap<Text, String>);

impl Values {
    /// Sets a variable.
    pub fn set(&mut self, name: &str, value: impl Into<String>) {
        self.0.insert(Text::from(name), value.into());
    }

    /// Returns a variable.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// Sets what follows from window and step.
    #[must_use]
    pub fn over(mut self, window: u32, step: u32) -> Self {
        self.set("rate", seconds(rate_window(step)));
        self.set("window", seconds(window));
        self.set("step", seconds(step));
        self
    }

    /// Returns names and values.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (&**name, value.as_str()))
    }
}

/// Writes a duration as `PromQL` reads it.
fn seconds(seconds: u32) -> String {
    let seconds = seconds.max(1);
    match () {
        () if seconds.is_multiple_of(86_400) => format!("{}d", seconds / 86_400),
        () if seconds.is_multiple_of(3_600) => format!("{}h", seconds / 3_600),
        () if seconds.is_multiple_of(60) => format!("{}m", seconds / 60),
        () => format!("{seconds}s"),
    }
}

/// A metric that an expression needs, with a label whose very presence differs between installations.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Need {
    /// The name of the metric.
    pub metric: Text,
    /// A label that its series must have.
    pub label: Option<Text>,
}

/// Writes `metric`, or `metric with the label exported_namespace`.
impl fmt::Display for Need {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.metric)?;
        match &self.label {
            Some(label) => write!(f, " with the label {label}"),
            None => Ok(()),
        }
    }
}

/// An expression with variables, and what it needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Formula {
    text: Text,
    /// What must exist so that it can say anything.
    pub needs: Vec<Need>,
}

impl Formula {
    /// Reads an expression in which `variables` may stand; the error is a sentence.
    pub fn read(text: &str, variables: &[(&str, &str)]) -> Result<Self, String> {
        let mut sample = Values::default().over(3_600, 60);
        for (name, value) in variables {
            sample.set(name, *value);
        }
        let unknown = |name: &str| {
            let known: Vec<&str> = variables.iter().map(|(name, _)| *name).chain(BUILT_IN).collect();
            crate::settings::not_one_of("variable", name, &known)
        };
        for piece in pieces(text) {
            if let Piece::Variable(name) = piece
                && sample.get(name).is_none()
            {
                return Err(unknown(name));
            }
        }
        let formula = Self { text: Text::from(text), needs: Vec::new() };
        let parsed = parse(&formula.fill(&sample)).map_err(|error| format!("not PromQL: {error}"))?;
        let mut needs = needs(&parsed);
        needs.sort();
        needs.dedup();
        Ok(Self { needs, ..formula })
    }

    /// Takes an expression as a person typed it: nothing is filled in, and what it needs is for the server to say.
    pub fn typed(text: &str) -> Self {
        Self { text: Text::from(text), needs: Vec::new() }
    }

    /// Returns the expression as it is written in the file.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Returns the expression with its variables filled in; one without a value stays as it stands.
    pub fn fill(&self, values: &Values) -> String {
        let mut out = String::with_capacity(self.text.len() + 32);
        for piece in pieces(&self.text) {
            match piece {
                Piece::Text(text) => out.push_str(text),
                Piece::Variable(name) => {
                    if let Some(value) = values.get(name) {
                        out.push_str(value);
                    } else {
                        out.push('$');
                        out.push_str(name);
                    }
                }
            }
        }
        out
    }
}

pub(super) enum Piece<'a> {
    Text(&'a str),
    Variable(&'a str),
}

/// Cuts a text at its variables; a `$` without a name behind it is the end of a regular expression.
pub(super) fn pieces(text: &str) -> Vec<Piece<'_>> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        let name = &rest[at + 1..];
        let end = name.find(|c: char| !(c.is_ascii_lowercase() || c == '_')).unwrap_or(name.len());
        let (upto, from) = if end == 0 { (at + 1, at + 1) } else { (at, at + 1 + end) };
        pieces.push(Piece::Text(&rest[..upto]));
        if end > 0 {
            pieces.push(Piece::Variable(&name[..end]));
        }
        rest = &rest[from..];
    }
    pieces.push(Piece::Text(rest));
    pieces
}

/// Returns what must exist so that an expression can say anything.
fn needs(expr: &Expr) -> Vec<Need> {
    match expr {
        Expr::Aggregate(aggregate) => needs(&aggregate.expr),
        Expr::Unary(unary) => needs(&unary.expr),
        Expr::Paren(paren) => needs(&paren.expr),
        Expr::Subquery(subquery) => needs(&subquery.expr),
        Expr::Binary(binary) => {
            let (left, right) = (needs(&binary.lhs), needs(&binary.rhs));
            if binary.op.id() == T_LOR {
                // Either side will do.
                return left.into_iter().filter(|need| right.contains(need)).collect();
            }
            left.into_iter().chain(right).collect()
        }
        Expr::Call(call) => match call.func.name {
            // To say that something is absent, it need not be there.
            "absent" | "absent_over_time" => Vec::new(),
            _ => call.args.args.iter().flat_map(|argument| needs(argument)).collect(),
        },
        Expr::VectorSelector(selector) => of_selector(selector),
        Expr::MatrixSelector(selector) => of_selector(&selector.vs),
        Expr::NumberLiteral(_) | Expr::StringLiteral(_) | Expr::Extension(_) => Vec::new(),
    }
}

fn of_selector(selector: &VectorSelector) -> Vec<Need> {
    let Some(name) = &selector.name else { return Vec::new() };
    let metric = Text::from(name.as_str());
    let mut needs = vec![Need { metric: metric.clone(), label: None }];
    // A scrape without honorLabels moves the label of the object here (contracts 4.4).
    let moved = selector.matchers.matchers.iter().filter(|matcher| matcher.name.starts_with("exported_"));
    needs.extend(
        moved.map(|matcher| Need { metric: metric.clone(), label: Some(Text::from(matcher.name.as_str())) }),
    );
    needs
}

/// How series are named: `{{namespace}}/{{pod}}`; empty for all their labels.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Legend(Text);

impl Legend {
    /// Reads a template; the error is a sentence.
    pub fn read(text: &str) -> Result<Self, String> {
        let mut rest = text;
        while let Some(at) = rest.find("{{") {
            rest = &rest[at + 2..];
            let end = rest.find("}}").ok_or("a label in the legend ends with }}")?;
            rest = &rest[end + 2..];
        }
        Ok(Self(Text::from(text)))
    }

    /// Tells whether it says nothing.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Names a series; a label that is absent leaves nothing.
    pub fn name(&self, labels: &Labels) -> String {
        if self.0.is_empty() {
            let text = labels.to_string();
            return if text == "{}" { "value".to_owned() } else { text };
        }
        let mut out = String::new();
        let mut rest: &str = &self.0;
        while let Some(at) = rest.find("{{") {
            out.push_str(&rest[..at]);
            rest = &rest[at + 2..];
            let end = rest.find("}}").unwrap_or(rest.len());
            let label = rest[..end].trim();
            out.push_str(labels.get(label).unwrap_or_default());
            rest = rest.get(end + 2..).unwrap_or_default();
        }
        out.push_str(rest);
        if out.trim().is_empty() { labels.to_string() } else { out }
    }
}
