//! Templates of `line_format` and `label_format`: the part of Go's templates that queries use.
//!
//! Fields, `__line__` and `__timestamp__`, pipes, parentheses, `if`/`else`/`end` with comparisons, and the functions for
//! texts. Loops and variables are not there; a template that uses them is refused.

use jiff::Timestamp;
use regex::Regex;

use super::pipeline::Line;
use super::units;

/// A template.
#[derive(Debug, Clone)]
pub struct Template(Vec<Node>);

#[derive(Debug, Clone)]
enum Node {
    Text(String),
    Value(Expr),
    If(Vec<(Expr, Vec<Node>)>, Vec<Node>),
}

#[derive(Debug, Clone)]
enum Expr {
    Field(String),
    Text(String),
    Number(f64),
    Call(String, Vec<Expr>),
}

#[derive(Debug, Clone, PartialEq)]
enum Value {
    Text(String),
    Number(f64),
    Bool(bool),
    Time(i64),
}

impl Value {
    fn text(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Number(number) => number.to_string(),
            Self::Bool(yes) => yes.to_string(),
            Self::Time(nanos) => Timestamp::from_nanosecond(i128::from(*nanos))
                .map_or_else(|_| nanos.to_string(), |at| at.to_string()),
        }
    }

    fn number(&self) -> Result<f64, String> {
        match self {
            Self::Number(number) => Ok(*number),
            Self::Bool(yes) => Ok(f64::from(u8::from(*yes))),
            Self::Time(nanos) => Ok(*nanos as f64),
            Self::Text(text) => text.trim().parse().map_err(|_| format!("{text:?} is not a number")),
        }
    }

    fn holds(&self) -> bool {
        match self {
            Self::Text(text) => !text.is_empty(),
            Self::Number(number) => *number != 0.0,
            Self::Bool(yes) => *yes,
            Self::Time(_) => true,
        }
    }
}

/// Functions and the numbers of arguments that they take.
const FUNCTIONS: &[(&str, usize, usize)] = &[
    ("__line__", 0, 0),
    ("__timestamp__", 0, 0),
    ("ToLower", 1, 1),
    ("lower", 1, 1),
    ("ToUpper", 1, 1),
    ("upper", 1, 1),
    ("title", 1, 1),
    ("Trim", 2, 2),
    ("trim", 1, 1),
    ("TrimSpace", 1, 1),
    ("TrimLeft", 2, 2),
    ("TrimRight", 2, 2),
    ("TrimPrefix", 2, 2),
    ("TrimSuffix", 2, 2),
    ("trimAll", 2, 2),
    ("trimPrefix", 2, 2),
    ("trimSuffix", 2, 2),
    ("Replace", 4, 4),
    ("replace", 3, 3),
    ("regexReplaceAll", 3, 3),
    ("regexReplaceAllLiteral", 3, 3),
    ("contains", 2, 2),
    ("hasPrefix", 2, 2),
    ("hasSuffix", 2, 2),
    ("default", 2, 2),
    ("substr", 3, 3),
    ("trunc", 2, 2),
    ("repeat", 2, 2),
    ("nospace", 1, 1),
    ("indent", 2, 2),
    ("alignLeft", 2, 2),
    ("alignRight", 2, 2),
    ("len", 1, 1),
    ("printf", 1, 9),
    ("print", 1, 9),
    ("eq", 2, 9),
    ("ne", 2, 2),
    ("lt", 2, 2),
    ("le", 2, 2),
    ("gt", 2, 2),
    ("ge", 2, 2),
    ("and", 1, 9),
    ("or", 1, 9),
    ("not", 1, 1),
    ("int", 1, 1),
    ("float64", 1, 1),
    ("add", 2, 9),
    ("addf", 2, 9),
    ("sub", 2, 2),
    ("subf", 2, 2),
    ("mul", 2, 9),
    ("mulf", 2, 9),
    ("div", 2, 2),
    ("divf", 2, 2),
    ("mod", 2, 2),
    ("round", 2, 2),
    ("ceil", 1, 1),
    ("floor", 1, 1),
    ("bytes", 1, 1),
    ("duration", 1, 1),
    ("duration_seconds", 1, 1),
    ("unixEpoch", 1, 1),
    ("urldecode", 1, 1),
    ("b64enc", 1, 1),
    ("b64dec", 1, 1),
];

impl Template {
    /// Reads a template.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut pieces = pieces(text)?.into_iter().peekable();
        let (nodes, ended) = block(&mut pieces)?;
        match ended {
            None => Ok(Self(nodes)),
            Some(word) => Err(format!("template: line:1: unexpected {{{{{word}}}}}")),
        }
    }

    /// Fills it in for a line.
    pub fn render(&self, line: &Line<'_>) -> Result<String, String> {
        let mut text = String::new();
        render(&self.0, line, &mut text)?;
        Ok(text)
    }
}

enum Piece {
    Text(String),
    Action(String),
}

fn pieces(text: &str) -> Result<Vec<Piece>, String> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some(open) = rest.find("{{") {
        let mut before = &rest[..open];
        let inner = &rest[open + 2..];
        let end = inner.find("}}").ok_or("template: line:1: unclosed action")?;
        let mut action = &inner[..end];
        rest = &inner[end + 2..];
        if let Some(trimmed) = action.strip_prefix("- ") {
            action = trimmed;
            before = before.trim_end();
        }
        if let Some(trimmed) = action.strip_suffix(" -") {
            action = trimmed;
            rest = rest.trim_start();
        }
        if !before.is_empty() {
            pieces.push(Piece::Text(before.to_owned()));
        }
        let action = action.trim();
        if !action.starts_with("/*") {
            pieces.push(Piece::Action(action.to_owned()));
        }
    }
    if !rest.is_empty() {
        pieces.push(Piece::Text(rest.to_owned()));
    }
    Ok(pieces)
}

type Pieces = std::iter::Peekable<std::vec::IntoIter<Piece>>;

/// Reads up to the end of a block; returns the word that ended it.
fn block(pieces: &mut Pieces) -> Result<(Vec<Node>, Option<String>), String> {
    let mut nodes = Vec::new();
    while let Some(piece) = pieces.next() {
        let action = match piece {
            Piece::Text(text) => {
                nodes.push(Node::Text(text));
                continue;
            }
            Piece::Action(action) => action,
        };
        let word = action.split_whitespace().next().unwrap_or_default();
        match word {
            "end" | "else" => return Ok((nodes, Some(action))),
            "if" => nodes.push(condition(&action[2..], pieces)?),
            "range" | "with" | "define" | "template" | "block" => {
                return Err(format!("template: line:1: {{{{{word}}}}} is not known here"));
            }
            _ => nodes.push(Node::Value(expression(&action)?)),
        }
    }
    Ok((nodes, None))
}

fn condition(first: &str, pieces: &mut Pieces) -> Result<Node, String> {
    let mut branches = Vec::new();
    let mut condition = expression(first)?;
    loop {
        let (nodes, ended) = block(pieces)?;
        branches.push((condition, nodes));
        match ended.as_deref() {
            None => return Err("template: line:1: unexpected EOF".to_owned()),
            Some("end") => return Ok(Node::If(branches, Vec::new())),
            Some("else") => {
                let (nodes, ended) = block(pieces)?;
                if ended.as_deref() != Some("end") {
                    return Err("template: line:1: expected end".to_owned());
                }
                return Ok(Node::If(branches, nodes));
            }
            Some(other) => {
                let inner =
                    other.strip_prefix("else").map(str::trim).and_then(|rest| rest.strip_prefix("if"));
                condition = expression(inner.ok_or("template: line:1: expected end")?)?;
            }
        }
    }
}

#[derive(Debug, Clone, PartialEq)]
enum Token {
    Field(String),
    Word(String),
    Text(String),
    Number(f64),
    Pipe,
    Open,
    Close,
}

fn tokens(text: &str) -> Result<Vec<Token>, String> {
    let mut tokens = Vec::new();
    let mut rest = text.trim_start();
    let word = |text: &str| text.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(text.len());
    while let Some(first) = rest.chars().next() {
        let used = match first {
            '|' => {
                tokens.push(Token::Pipe);
                1
            }
            '(' => {
                tokens.push(Token::Open);
                1
            }
            ')' => {
                tokens.push(Token::Close);
                1
            }
            '.' => {
                let end = word(&rest[1..]);
                tokens.push(Token::Field(rest[1..=end].to_owned()));
                end + 1
            }
            '`' => {
                let end = rest[1..].find('`').ok_or("template: line:1: unterminated raw quoted string")?;
                tokens.push(Token::Text(rest[1..=end].to_owned()));
                end + 2
            }
            '"' => {
                let mut escaped = false;
                let end = rest[1..]
                    .find(|c: char| {
                        let end = c == '"' && !escaped;
                        escaped = c == '\\' && !escaped;
                        end
                    })
                    .ok_or("template: line:1: unterminated quoted string")?;
                let raw = &rest[..end + 2];
                let text =
                    serde_json::from_str(raw).map_err(|_| format!("template: line:1: malformed {raw}"))?;
                tokens.push(Token::Text(text));
                end + 2
            }
            '0'..='9' | '-' => {
                let end =
                    rest[1..].find(|c: char| !c.is_ascii_digit() && c != '.').map_or(rest.len(), |at| at + 1);
                let number = rest[..end].parse();
                tokens.push(Token::Number(
                    number.map_err(|_| format!("template: line:1: bad number {:?}", &rest[..end]))?,
                ));
                end
            }
            c if c.is_alphabetic() || c == '_' => {
                let end = word(rest);
                tokens.push(Token::Word(rest[..end].to_owned()));
                end
            }
            other => return Err(format!("template: line:1: unexpected {other:?} in operand")),
        };
        rest = rest[used..].trim_start();
    }
    Ok(tokens)
}

fn expression(text: &str) -> Result<Expr, String> {
    let tokens = tokens(text)?;
    let mut at = 0;
    let expr = pipe(&tokens, &mut at, 0)?;
    if at < tokens.len() {
        return Err("template: line:1: unexpected right paren".to_owned());
    }
    Ok(expr)
}

fn pipe(tokens: &[Token], at: &mut usize, depth: usize) -> Result<Expr, String> {
    let mut left = call(tokens, at, None, depth)?;
    while tokens.get(*at) == Some(&Token::Pipe) {
        *at += 1;
        left = call(tokens, at, Some(left), depth)?;
    }
    Ok(left)
}

/// Reads one command; what came through the pipe is its last argument.
fn call(tokens: &[Token], at: &mut usize, piped: Option<Expr>, depth: usize) -> Result<Expr, String> {
    let Some(Token::Word(name)) = tokens.get(*at) else {
        if piped.is_some() {
            return Err("template: line:1: non executable command in pipeline".to_owned());
        }
        return operand(tokens, at, depth);
    };
    *at += 1;
    let mut arguments = Vec::new();
    while !matches!(tokens.get(*at), None | Some(Token::Pipe | Token::Close)) {
        arguments.push(operand(tokens, at, depth)?);
    }
    arguments.extend(piped);
    function(name, arguments)
}

fn function(name: &str, arguments: Vec<Expr>) -> Result<Expr, String> {
    let Some((_, least, most)) = FUNCTIONS.iter().find(|(known, _, _)| *known == name) else {
        return Err(format!("template: line:1: function {name:?} not defined"));
    };
    let given = arguments.len();
    if given < *least || given > *most {
        return Err(format!("template: line:1: wrong number of args for {name}: want {least} got {given}"));
    }
    Ok(Expr::Call(name.to_owned(), arguments))
}

fn operand(tokens: &[Token], at: &mut usize, depth: usize) -> Result<Expr, String> {
    let token = tokens.get(*at).ok_or("template: line:1: missing value for command")?.clone();
    *at += 1;
    match token {
        Token::Field(name) => Ok(Expr::Field(name)),
        Token::Text(text) => Ok(Expr::Text(text)),
        Token::Number(number) => Ok(Expr::Number(number)),
        Token::Word(name) => function(&name, Vec::new()),
        Token::Open if depth < 50 => {
            let inner = pipe(tokens, at, depth + 1)?;
            if tokens.get(*at) != Some(&Token::Close) {
                return Err("template: line:1: unclosed left paren".to_owned());
            }
            *at += 1;
            Ok(inner)
        }
        _ => Err("template: line:1: unexpected operand".to_owned()),
    }
}

fn render(nodes: &[Node], line: &Line<'_>, text: &mut String) -> Result<(), String> {
    for node in nodes {
        match node {
            Node::Text(literal) => text.push_str(literal),
            Node::Value(expr) => text.push_str(&evaluate(expr, line)?.text()),
            Node::If(branches, otherwise) => {
                let mut chosen = otherwise;
                for (condition, nodes) in branches {
                    if evaluate(condition, line)?.holds() {
                        chosen = nodes;
                        break;
                    }
                }
                render(chosen, line, text)?;
            }
        }
    }
    Ok(())
}

fn evaluate(expr: &Expr, line: &Line<'_>) -> Result<Value, String> {
    match expr {
        Expr::Field(name) => Ok(Value::Text(line.get(name).unwrap_or_default().to_owned())),
        Expr::Text(text) => Ok(Value::Text(text.clone())),
        Expr::Number(number) => Ok(Value::Number(*number)),
        Expr::Call(name, arguments) => {
            let values: Result<Vec<Value>, String> =
                arguments.iter().map(|argument| evaluate(argument, line)).collect();
            apply(name, &values?, line)
        }
    }
}

fn apply(name: &str, values: &[Value], line: &Line<'_>) -> Result<Value, String> {
    let text = |at: usize| values.get(at).map(Value::text).unwrap_or_default();
    let number = |at: usize| values.get(at).map_or(Ok(0.0), Value::number);
    let set = |at: usize| -> Vec<char> { text(at).chars().collect() };
    let fold = |whole: bool, join: fn(f64, f64) -> f64| -> Result<Value, String> {
        let mut all = values.iter().map(Value::number);
        let mut result = all.next().unwrap_or(Ok(0.0))?;
        for next in all {
            result = join(result, next?);
        }
        Ok(Value::Number(if whole { result.trunc() } else { result }))
    };
    let order = || -> Result<std::cmp::Ordering, String> {
        match (values[0].number(), values[1].number()) {
            (Ok(left), Ok(right)) => Ok(left.total_cmp(&right)),
            _ => Ok(text(0).cmp(&text(1))),
        }
    };
    Ok(match name {
        "__line__" => Value::Text(line.text.to_string()),
        "__timestamp__" => Value::Time(line.at),
        "ToLower" | "lower" => Value::Text(text(0).to_lowercase()),
        "ToUpper" | "upper" => Value::Text(text(0).to_uppercase()),
        "title" => {
            let text = text(0);
            let mut letters = text.chars();
            Value::Text(
                letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default(),
            )
        }
        "trim" | "TrimSpace" => Value::Text(text(0).trim().to_owned()),
        "Trim" => Value::Text(text(0).trim_matches(set(1).as_slice()).to_owned()),
        "trimAll" => Value::Text(text(1).trim_matches(set(0).as_slice()).to_owned()),
        "TrimLeft" => Value::Text(text(0).trim_start_matches(set(1).as_slice()).to_owned()),
        "TrimRight" => Value::Text(text(0).trim_end_matches(set(1).as_slice()).to_owned()),
        "TrimPrefix" => Value::Text(text(0).strip_prefix(&text(1)).map_or_else(|| text(0), str::to_owned)),
        "TrimSuffix" => Value::Text(text(0).strip_suffix(&text(1)).map_or_else(|| text(0), str::to_owned)),
        "trimPrefix" => Value::Text(text(1).strip_prefix(&text(0)).map_or_else(|| text(1), str::to_owned)),
        "trimSuffix" => Value::Text(text(1).strip_suffix(&text(0)).map_or_else(|| text(1), str::to_owned)),
        "Replace" => {
            let count = number(3)?;
            Value::Text(if count < 0.0 {
                text(0).replace(&text(1), &text(2))
            } else {
                text(0).replacen(&text(1), &text(2), count as usize)
            })
        }
        "replace" => Value::Text(text(2).replace(&text(0), &text(1))),
        "regexReplaceAll" | "regexReplaceAllLiteral" => {
            let regex = Regex::new(&text(0)).map_err(|error| error.to_string())?;
            let (subject, replacement) = (text(1), text(2));
            Value::Text(if name.ends_with("Literal") {
                regex.replace_all(&subject, regex::NoExpand(&replacement)).into_owned()
            } else {
                regex.replace_all(&subject, replacement.as_str()).into_owned()
            })
        }
        "contains" => Value::Bool(text(1).contains(&text(0))),
        "hasPrefix" => Value::Bool(text(1).starts_with(&text(0))),
        "hasSuffix" => Value::Bool(text(1).ends_with(&text(0))),
        "default" => {
            if values[1].holds() {
                values[1].clone()
            } else {
                values[0].clone()
            }
        }
        "substr" => {
            let (from, to) = (number(0)?.max(0.0) as usize, number(1)?);
            let all = text(2);
            let to = if to < 0.0 { all.chars().count() } else { to as usize };
            Value::Text(all.chars().take(to).skip(from).collect())
        }
        "trunc" => {
            let (count, all) = (number(0)?, text(1));
            let length = all.chars().count();
            Value::Text(if count < 0.0 {
                all.chars().skip(length.saturating_sub(-count as usize)).collect()
            } else {
                all.chars().take(count as usize).collect()
            })
        }
        "repeat" => Value::Text(text(1).repeat((number(0)?.max(0.0) as usize).min(1_000))),
        "nospace" => Value::Text(text(0).split_whitespace().collect()),
        "indent" => {
            let pad = " ".repeat((number(0)?.max(0.0) as usize).min(200));
            Value::Text(format!("{pad}{}", text(1).replace('\n', &format!("\n{pad}"))))
        }
        "alignLeft" | "alignRight" => {
            let (width, all) = ((number(0)?.max(0.0) as usize).min(1_000), text(1));
            let length = all.chars().count();
            let pad = " ".repeat(width.saturating_sub(length));
            Value::Text(if name == "alignLeft" {
                all.chars().take(width).collect::<String>() + &pad
            } else {
                pad + &all.chars().skip(length.saturating_sub(width)).collect::<String>()
            })
        }
        "len" => Value::Number(text(0).len() as f64),
        "print" => Value::Text(values.iter().map(Value::text).collect::<Vec<_>>().join(" ")),
        "printf" => Value::Text(printf(&text(0), &values[1..])),
        "eq" => Value::Bool(values[1..].iter().any(|other| other.text() == text(0))),
        "ne" => Value::Bool(text(0) != text(1)),
        "lt" => Value::Bool(order()?.is_lt()),
        "le" => Value::Bool(order()?.is_le()),
        "gt" => Value::Bool(order()?.is_gt()),
        "ge" => Value::Bool(order()?.is_ge()),
        "and" => values.iter().find(|value| !value.holds()).unwrap_or(&values[values.len() - 1]).clone(),
        "or" => values.iter().find(|value| value.holds()).unwrap_or(&values[values.len() - 1]).clone(),
        "not" => Value::Bool(!values[0].holds()),
        // A text that is no number is 0, as in Loki's functions.
        "int" => Value::Number(number(0).unwrap_or(0.0).trunc()),
        "float64" => Value::Number(number(0).unwrap_or(0.0)),
        "add" => fold(true, |a, b| a + b)?,
        "addf" => fold(false, |a, b| a + b)?,
        "sub" => fold(true, |a, b| a - b)?,
        "subf" => fold(false, |a, b| a - b)?,
        "mul" => fold(true, |a, b| a * b)?,
        "mulf" => fold(false, |a, b| a * b)?,
        "div" => fold(true, |a, b| a / b)?,
        "divf" => fold(false, |a, b| a / b)?,
        "mod" => fold(true, |a, b| a % b)?,
        "round" => {
            let power = 10_f64.powi(number(1)? as i32);
            Value::Number((number(0)? * power).round() / power)
        }
        "ceil" => Value::Number(number(0)?.ceil()),
        "floor" => Value::Number(number(0)?.floor()),
        "bytes" => {
            Value::Number(units::bytes(&text(0)).ok_or_else(|| format!("{:?} is no size", text(0)))? as f64)
        }
        "duration" | "duration_seconds" => {
            let nanos =
                units::go_duration(&text(0)).ok_or_else(|| format!("{:?} is no duration", text(0)))?;
            Value::Number(nanos as f64 / 1e9)
        }
        "unixEpoch" => Value::Number((number(0)? / 1e9).trunc()),
        "urldecode" => Value::Text(super::super::request::decode(&text(0), true)),
        "b64enc" => {
            use base64::Engine as _;
            Value::Text(base64::engine::general_purpose::STANDARD.encode(text(0)))
        }
        "b64dec" => {
            use base64::Engine as _;
            let bytes = base64::engine::general_purpose::STANDARD.decode(text(0)).unwrap_or_default();
            Value::Text(String::from_utf8_lossy(&bytes).into_owned())
        }
        other => return Err(format!("function {other:?} not defined")),
    })
}

/// Fills `%s`, `%v`, `%d`, `%q`, `%f` and `%%`, with width and precision.
fn printf(format: &str, values: &[Value]) -> String {
    let mut text = String::new();
    let mut values = values.iter();
    let mut letters = format.chars().peekable();
    while let Some(c) = letters.next() {
        if c != '%' {
            text.push(c);
            continue;
        }
        let mut shape = String::new();
        while let Some(c) = letters.next_if(|c| c.is_ascii_digit() || "-+.0 ".contains(*c)) {
            shape.push(c);
        }
        let Some(verb) = letters.next() else { break };
        if verb == '%' {
            text.push('%');
            continue;
        }
        let Some(value) = values.next() else {
            text.push_str("%!");
            text.push(verb);
            text.push_str("(MISSING)");
            continue;
        };
        let (width, precision) = shape.split_once('.').unwrap_or((shape.as_str(), ""));
        let mut shown = match (verb, precision.parse::<usize>()) {
            ('q', _) => format!("{:?}", value.text()),
            ('d', _) => value.number().map_or_else(|_| value.text(), |number| format!("{}", number.trunc())),
            ('f', Ok(places)) => {
                value.number().map_or_else(|_| value.text(), |number| format!("{number:.places$}"))
            }
            ('f', Err(_)) => value.number().map_or_else(|_| value.text(), |number| format!("{number:.6}")),
            ('s' | 'v', Ok(most)) => value.text().chars().take(most).collect(),
            _ => value.text(),
        };
        let left = width.starts_with('-');
        let fill = if width.starts_with('0') && !left { "0" } else { " " };
        let wanted: usize = width.trim_start_matches(['-', '+', ' ']).parse().unwrap_or(0);
        let pad = fill.repeat(wanted.min(1_000).saturating_sub(shown.chars().count()));
        shown = if left { shown + &pad } else { pad + &shown };
        text.push_str(&shown);
    }
    text
}
