//! The texts of alerts: the part of Go's templates that rules use.
//!
//! Actions with pipelines, variables, `if`, `with` and `range`, and Prometheus's functions. It is given everything that
//! it may know; a template that is wrong says so in its own text, as Prometheus does.

use std::collections::VecDeque;

use super::rules::EXTERNAL_URL;
use super::status::EXTERNAL_LABELS;
use crate::demo::promql::format::number;
use crate::demo::promql::{Labels, Samples};

mod functions;
pub mod humanize;
mod tokens;

use tokens::{Piece, Token};

/// What a template may know.
pub struct Scope<'a> {
    /// The labels of the series.
    pub labels: &'a Labels,
    /// Its value.
    pub value: f64,
    /// What `query` asks.
    pub samples: &'a dyn Samples,
    /// When, in Unix milliseconds.
    pub at_ms: i64,
}

/// A value inside a template.
#[derive(Debug, Clone, PartialEq)]
enum Val {
    Nothing,
    Bool(bool),
    Number(f64),
    Text(String),
    Labels(Labels),
    Sample(Labels, f64),
    List(Vec<Val>),
}

impl Val {
    /// What `if` and `with` take as true.
    fn truth(&self) -> bool {
        match self {
            Self::Nothing => false,
            Self::Bool(truth) => *truth,
            Self::Number(number) => *number != 0.0,
            Self::Text(text) => !text.is_empty(),
            Self::Labels(labels) => !labels.is_empty(),
            Self::Sample(..) => true,
            Self::List(list) => !list.is_empty(),
        }
    }

    fn show(&self) -> String {
        match self {
            Self::Nothing => "<no value>".to_owned(),
            Self::Bool(truth) => truth.to_string(),
            Self::Number(value) => number(*value),
            Self::Text(text) => text.clone(),
            Self::Labels(labels) => {
                let pairs: Vec<String> =
                    labels.iter().map(|(name, value)| format!("{name}:{value}")).collect();
                format!("map[{}]", pairs.join(" "))
            }
            Self::Sample(labels, value) => format!("{labels} {}", number(*value)),
            Self::List(list) => format!("{:?}", list.iter().map(Self::show).collect::<Vec<String>>()),
        }
    }

    fn field(&self, name: &str) -> Result<Self, String> {
        match (self, name) {
            (Self::Labels(labels), _) => Ok(Self::Text(labels.get(name).to_owned())),
            (Self::Sample(labels, _), "Labels") => Ok(Self::Labels(labels.clone())),
            (Self::Sample(_, value), "Value") => Ok(Self::Number(*value)),
            _ => Err(format!("can't evaluate field {name}")),
        }
    }
}

/// Part of a template.
#[derive(Debug)]
enum Node {
    Text(String),
    Show(Pipeline),
    Set(String, Pipeline),
    If { test: Pipeline, then: Vec<Node>, otherwise: Vec<Node> },
    With { value: Pipeline, then: Vec<Node>, otherwise: Vec<Node> },
    Range { over: Pipeline, each: Vec<Node>, otherwise: Vec<Node> },
}

/// Commands that hand their results on.
#[derive(Debug)]
struct Pipeline(Vec<Vec<Operand>>);

#[derive(Debug)]
enum Operand {
    Function(String),
    Value(Val),
    /// A variable or `.` (empty), and the fields behind it.
    Variable(String, Vec<String>),
    Inner(Pipeline, Vec<String>),
}

/// Expands a template.
pub fn expand(text: &str, scope: &Scope<'_>) -> Result<String, String> {
    if !text.contains("{{") {
        return Ok(text.to_owned());
    }
    let mut pieces = tokens::pieces(text)?;
    let (nodes, end) = nodes(&mut pieces, 0)?;
    if end.is_some() {
        return Err("unexpected {{end}}".to_owned());
    }
    let root = vec![
        (String::new(), Val::Nothing),
        ("$labels".to_owned(), Val::Labels(scope.labels.nameless())),
        ("$value".to_owned(), Val::Number(scope.value)),
        ("$externalLabels".to_owned(), Val::Labels(Labels::new(EXTERNAL_LABELS.iter().copied()))),
        ("$externalURL".to_owned(), Val::Text(EXTERNAL_URL.to_owned())),
    ];
    let mut run = Run { scope, variables: root, out: String::new() };
    run.nodes(&nodes)?;
    Ok(run.out)
}

/// Expands a template; one that is wrong becomes a sentence about that.
pub fn expand_or_say(text: &str, scope: &Scope<'_>) -> String {
    expand(text, scope).unwrap_or_else(|error| format!("<error expanding template: {error}>"))
}

/// How deep blocks may lie in each other.
const DEPTH: usize = 20;

/// What ended a list of nodes.
#[derive(Debug)]
enum Stop {
    End,
    Else(VecDeque<Token>),
}

fn nodes(pieces: &mut VecDeque<Piece>, depth: usize) -> Result<(Vec<Node>, Option<Stop>), String> {
    if depth > DEPTH {
        return Err("blocks lie too deep in each other".to_owned());
    }
    let mut nodes = Vec::new();
    while let Some(piece) = pieces.pop_front() {
        let mut tokens = match piece {
            Piece::Text(text) => {
                nodes.push(Node::Text(text));
                continue;
            }
            Piece::Action(tokens) => tokens,
        };
        let word = match tokens.front() {
            Some(Token::Word(word)) => word.clone(),
            _ => String::new(),
        };
        match word.as_str() {
            "end" => return Ok((nodes, Some(Stop::End))),
            "else" => {
                tokens.pop_front();
                return Ok((nodes, Some(Stop::Else(tokens))));
            }
            "if" | "with" | "range" => {
                tokens.pop_front();
                nodes.push(block(&word, tokens, pieces, depth)?);
            }
            _ => nodes.push(action(tokens)?),
        }
    }
    Ok((nodes, None))
}

fn block(
    word: &str,
    mut tokens: VecDeque<Token>,
    pieces: &mut VecDeque<Piece>,
    depth: usize,
) -> Result<Node, String> {
    let head = pipeline(&mut tokens)?;
    let (then, stop) = nodes(pieces, depth + 1)?;
    let otherwise = match stop {
        Some(Stop::End) => Vec::new(),
        Some(Stop::Else(mut tokens)) => {
            if matches!(tokens.front(), Some(Token::Word(word)) if word == "if" || word == "with") {
                let Some(Token::Word(word)) = tokens.pop_front() else {
                    return Err("unexpected {{else}}".to_owned());
                };
                vec![block(&word, tokens, pieces, depth + 1)?]
            } else {
                let (otherwise, stop) = nodes(pieces, depth + 1)?;
                if !matches!(stop, Some(Stop::End)) {
                    return Err("unexpected EOF".to_owned());
                }
                otherwise
            }
        }
        None => return Err("unexpected EOF".to_owned()),
    };
    Ok(match word {
        "if" => Node::If { test: head, then, otherwise },
        "with" => Node::With { value: head, then, otherwise },
        _ => Node::Range { over: head, each: then, otherwise },
    })
}

fn action(mut tokens: VecDeque<Token>) -> Result<Node, String> {
    if let (Some(Token::Variable(name, fields)), Some(Token::Assign)) = (tokens.front(), tokens.get(1))
        && fields.is_empty()
    {
        let name = name.clone();
        tokens.drain(..2);
        return Ok(Node::Set(name, pipeline(&mut tokens)?));
    }
    pipeline(&mut tokens).map(Node::Show)
}

fn pipeline(tokens: &mut VecDeque<Token>) -> Result<Pipeline, String> {
    let mut commands: Vec<Vec<Operand>> = vec![Vec::new()];
    while let Some(token) = tokens.pop_front() {
        let operand = match token {
            Token::Pipe => {
                commands.push(Vec::new());
                continue;
            }
            Token::Close => {
                tokens.push_front(Token::Close);
                break;
            }
            Token::Open => {
                let inner = pipeline(tokens)?;
                if tokens.pop_front() != Some(Token::Close) {
                    return Err("unclosed left paren".to_owned());
                }
                let mut fields = Vec::new();
                if let Some(Token::Field(names)) = tokens.front() {
                    fields.clone_from(names);
                    tokens.pop_front();
                }
                Operand::Inner(inner, fields)
            }
            Token::Word(word) => match word.as_str() {
                "true" => Operand::Value(Val::Bool(true)),
                "false" => Operand::Value(Val::Bool(false)),
                "nil" => Operand::Value(Val::Nothing),
                _ => Operand::Function(word),
            },
            Token::Number(value) => Operand::Value(Val::Number(value)),
            Token::Text(text) => Operand::Value(Val::Text(text)),
            Token::Variable(name, fields) => Operand::Variable(name, fields),
            Token::Field(fields) => Operand::Variable(String::new(), fields),
            Token::Assign => return Err("unexpected \":=\" in operand".to_owned()),
        };
        if let Some(command) = commands.last_mut() {
            command.push(operand);
        }
    }
    if commands.iter().any(Vec::is_empty) {
        return Err("missing value for command".to_owned());
    }
    Ok(Pipeline(commands))
}

/// An expansion under way. The variable with the empty name is `.`.
struct Run<'a> {
    scope: &'a Scope<'a>,
    variables: Vec<(String, Val)>,
    out: String,
}

impl Run<'_> {
    fn nodes(&mut self, nodes: &[Node]) -> Result<(), String> {
        let outer = self.variables.len();
        for node in nodes {
            match node {
                Node::Text(text) => self.out.push_str(text),
                Node::Show(pipeline) => {
                    let shown = self.pipeline(pipeline)?.show();
                    self.out.push_str(&shown);
                }
                Node::Set(name, pipeline) => {
                    let value = self.pipeline(pipeline)?;
                    self.variables.push((name.clone(), value));
                }
                Node::If { test, then, otherwise } => {
                    let chosen = if self.pipeline(test)?.truth() { then } else { otherwise };
                    self.nodes(chosen)?;
                }
                Node::With { value, then, otherwise } => {
                    let value = self.pipeline(value)?;
                    if value.truth() {
                        self.inside(value, then)?;
                    } else {
                        self.nodes(otherwise)?;
                    }
                }
                Node::Range { over, each, otherwise } => match self.pipeline(over)? {
                    Val::List(list) if !list.is_empty() => {
                        for value in list {
                            self.inside(value, each)?;
                        }
                    }
                    Val::List(_) | Val::Nothing => self.nodes(otherwise)?,
                    other => return Err(format!("range can't iterate over {}", other.show())),
                },
            }
        }
        self.variables.truncate(outer);
        Ok(())
    }

    /// Runs nodes with another `.`.
    fn inside(&mut self, dot: Val, nodes: &[Node]) -> Result<(), String> {
        let outer = self.variables.len();
        self.variables.push((String::new(), dot));
        self.nodes(nodes)?;
        self.variables.truncate(outer);
        Ok(())
    }

    fn pipeline(&self, pipeline: &Pipeline) -> Result<Val, String> {
        let mut handed: Option<Val> = None;
        for command in &pipeline.0 {
            handed = Some(self.command(command, handed)?);
        }
        Ok(handed.unwrap_or(Val::Nothing))
    }

    fn command(&self, command: &[Operand], handed: Option<Val>) -> Result<Val, String> {
        let (first, rest) = command.split_first().ok_or("missing value for command")?;
        if let Operand::Function(name) = first {
            let mut arguments: Vec<Val> = Vec::with_capacity(rest.len() + 1);
            for operand in rest {
                arguments.push(self.operand(operand)?);
            }
            arguments.extend(handed);
            return functions::call(name, &arguments, self.scope);
        }
        if !rest.is_empty() || handed.is_some() {
            return Err("can't give argument to non-function".to_owned());
        }
        self.operand(first)
    }

    fn operand(&self, operand: &Operand) -> Result<Val, String> {
        match operand {
            Operand::Value(value) => Ok(value.clone()),
            Operand::Function(name) => functions::call(name, &[], self.scope),
            Operand::Inner(pipeline, fields) => {
                let value = self.pipeline(pipeline)?;
                fields.iter().try_fold(value, |value, field| value.field(field))
            }
            Operand::Variable(name, fields) => self.variable(name, fields),
        }
    }

    fn variable(&self, name: &str, fields: &[String]) -> Result<Val, String> {
        let found = self.variables.iter().rev().find(|(candidate, _)| candidate == name);
        let (_, value) = found.ok_or_else(|| format!("undefined variable \"{name}\""))?;
        // The outermost `.` has the same things under names of its own.
        if name.is_empty()
            && *value == Val::Nothing
            && let Some((first, rest)) = fields.split_first()
        {
            let known = match first.as_str() {
                "Labels" => "$labels",
                "Value" => "$value",
                "ExternalLabels" => "$externalLabels",
                "ExternalURL" => "$externalURL",
                _ => return Err(format!("can't evaluate field {first}")),
            };
            return self.variable(known, rest);
        }
        fields.iter().try_fold(value.clone(), |value, field| value.field(field))
    }
}

#[cfg(test)]
mod tests;
