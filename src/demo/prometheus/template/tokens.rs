//! A template taken apart: texts, and the words of actions.

use std::collections::VecDeque;

/// A text, or what stands between `{{` and `}}`.
#[derive(Debug, PartialEq)]
pub(super) enum Piece {
    Text(String),
    Action(VecDeque<Token>),
}

/// A word of an action.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Token {
    Word(String),
    Number(f64),
    Text(String),
    /// `$name.field.field`; the name with its dollar.
    Variable(String, Vec<String>),
    /// `.`, or `.field.field`.
    Field(Vec<String>),
    Pipe,
    Open,
    Close,
    Assign,
}

/// Takes a template apart.
pub(super) fn pieces(text: &str) -> Result<VecDeque<Piece>, String> {
    let mut pieces = VecDeque::new();
    let mut rest = text;
    let mut trim = false;
    while !rest.is_empty() {
        let (before, action) = match rest.split_once("{{") {
            Some((before, after)) => (before, Some(after)),
            None => (rest, None),
        };
        let mut shown = if trim { before.trim_start() } else { before };
        trim = false;
        let Some(action) = action else {
            pieces.push_back(Piece::Text(shown.to_owned()));
            break;
        };
        let action = match action.strip_prefix("- ") {
            Some(action) => {
                shown = shown.trim_end();
                action
            }
            None => action,
        };
        if !shown.is_empty() {
            pieces.push_back(Piece::Text(shown.to_owned()));
        }
        let end = end_of(action).ok_or("unclosed action")?;
        let mut inner = &action[..end];
        rest = &action[end + 2..];
        if let Some(cut) = inner.strip_suffix(" -") {
            inner = cut;
            trim = true;
        }
        if inner.trim_start().starts_with("/*") {
            continue;
        }
        pieces.push_back(Piece::Action(tokens(inner)?));
    }
    Ok(pieces)
}

/// Where `}}` stands outside of texts.
fn end_of(action: &str) -> Option<usize> {
    let mut quote = None;
    let mut escaped = false;
    for (at, character) in action.char_indices() {
        match quote {
            Some(_) if escaped => escaped = false,
            Some('"') if character == '\\' => escaped = true,
            Some(open) if character == open => quote = None,
            None if character == '"' || character == '`' => quote = Some(character),
            None if action[at..].starts_with("}}") => return Some(at),
            Some(_) | None => {}
        }
    }
    None
}

fn tokens(action: &str) -> Result<VecDeque<Token>, String> {
    let mut tokens = VecDeque::new();
    let mut rest = action.trim_start();
    while let Some(first) = rest.chars().next() {
        let (token, after) = match first {
            '|' => (Token::Pipe, &rest[1..]),
            '(' => (Token::Open, &rest[1..]),
            ')' => (Token::Close, &rest[1..]),
            ':' | '=' if first == '=' || rest.starts_with(":=") => {
                (Token::Assign, rest.trim_start_matches(':').trim_start_matches('='))
            }
            '"' => quoted(rest)?,
            '`' => {
                let end = rest[1..].find('`').ok_or("unterminated raw quoted string")?;
                (Token::Text(rest[1..=end].to_owned()), &rest[end + 2..])
            }
            '$' => {
                let (name, after) = word(&rest[1..]);
                let (fields, after) = fields(after);
                (Token::Variable(format!("${name}"), fields), after)
            }
            '.' => {
                let (names, after) = fields(rest);
                let after = if names.is_empty() { &after[1..] } else { after };
                (Token::Field(names), after)
            }
            _ if first.is_ascii_digit() || first == '-' || first == '+' => {
                let end = rest[1..]
                    .find(|c: char| !(c.is_ascii_alphanumeric() || c == '.'))
                    .map_or(rest.len(), |end| end + 1);
                let number =
                    rest[..end].parse().map_err(|_| format!("bad number syntax: {:?}", &rest[..end]))?;
                (Token::Number(number), &rest[end..])
            }
            _ => {
                let (name, after) = word(rest);
                if name.is_empty() {
                    return Err(format!("unexpected {first:?} in command"));
                }
                (Token::Word(name.to_owned()), after)
            }
        };
        tokens.push_back(token);
        rest = after.trim_start();
    }
    Ok(tokens)
}

fn word(text: &str) -> (&str, &str) {
    let end = text.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(text.len());
    text.split_at(end)
}

fn fields(mut text: &str) -> (Vec<String>, &str) {
    let mut names = Vec::new();
    while let Some(after) = text.strip_prefix('.') {
        let (name, after) = word(after);
        if name.is_empty() {
            break;
        }
        names.push(name.to_owned());
        text = after;
    }
    (names, text)
}

/// Reads a text in double quotes.
fn quoted(text: &str) -> Result<(Token, &str), String> {
    let mut value = String::new();
    let mut characters = text.char_indices().skip(1);
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return Ok((Token::Text(value), &text[at + 1..])),
            '\\' => match characters.next().map(|(_, escaped)| escaped) {
                Some('n') => value.push('\n'),
                Some('t') => value.push('\t'),
                Some('r') => value.push('\r'),
                Some(other) => value.push(other),
                None => break,
            },
            _ => value.push(character),
        }
    }
    Err("unterminated quoted string".to_owned())
}
