//! Tokens of `LogQL`, with their places.
//!
//! Names of tokens are those that Loki's errors use: a symbol or keyword stands for itself, a function for its name in
//! capitals, the rest are `IDENTIFIER`, `STRING`, `NUMBER`, `DURATION`, `BYTES`, `RANGE`, `FUNCTION_FLAG` and `$end`.

use std::fmt;

use super::units;

/// Bytes of a query that Loki reads.
const LONGEST: usize = 131_072;

/// Why a query cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParseError {
    /// What is wrong.
    pub message: String,
    /// Line, from 1; 0 where Loki does not say.
    pub line: usize,
    /// Column in characters, from 1; 0 where Loki does not say.
    pub column: usize,
}

impl std::error::Error for ParseError {}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.line == 0 && self.column == 0 {
            return write!(f, "parse error : {}", self.message);
        }
        write!(f, "parse error at line {}, col {}: {}", self.line, self.column, self.message)
    }
}

impl ParseError {
    /// Says what is wrong without a place.
    pub fn anywhere(message: impl Into<String>) -> Self {
        Self { message: message.into(), line: 0, column: 0 }
    }
}

/// What a token is.
#[derive(Debug, Clone, PartialEq)]
pub enum Kind {
    /// A symbol, or a keyword in small letters.
    Symbol(&'static str),
    /// A function that a parenthesis or a grouping follows, in small letters.
    Function(&'static str),
    /// Any other word.
    Identifier(String),
    /// A text, unquoted.
    Text(String),
    /// A number as it is written.
    Number(String),
    /// A duration in nanoseconds.
    Duration(i64),
    /// A size in bytes.
    Bytes(u64),
    /// A duration in brackets, in nanoseconds.
    Range(i64),
    /// `--strict` or `--keep-empty`.
    Flag(&'static str),
    /// Behind the last token.
    End,
}

impl Kind {
    /// Returns the name that errors use.
    pub fn name(&self) -> String {
        match self {
            Self::Symbol(text) => (*text).to_owned(),
            Self::Function(name) => match *name {
                "bytes" => "BYTES_CONV".to_owned(),
                "duration" => "DURATION_CONV".to_owned(),
                "duration_seconds" => "DURATION_SECONDS_CONV".to_owned(),
                "label_replace" | "ip" => (*name).to_owned(),
                other => other.to_uppercase(),
            },
            Self::Identifier(_) => "IDENTIFIER".to_owned(),
            Self::Text(_) => "STRING".to_owned(),
            Self::Number(_) => "NUMBER".to_owned(),
            Self::Duration(_) => "DURATION".to_owned(),
            Self::Bytes(_) => "BYTES".to_owned(),
            Self::Range(_) => "RANGE".to_owned(),
            Self::Flag(_) => "FUNCTION_FLAG".to_owned(),
            Self::End => "$end".to_owned(),
        }
    }
}

/// A token and where it begins.
#[derive(Debug, Clone, PartialEq)]
pub struct Token {
    /// What it is.
    pub kind: Kind,
    /// Line, from 1; 0 for a range, whose line Loki loses.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
}

const SYMBOLS: &[&str] = &[
    "|=", "|~", "|>", "!=", "!~", "!>", "=~", "==", ">=", "<=", "{", "}", "(", ")", ",", "=", ">", "<", "|",
    "+", "-", "*", "/", "%", "^", ".", "]",
];

const KEYWORDS: &[&str] = &[
    "by",
    "without",
    "bool",
    "on",
    "ignoring",
    "group_left",
    "group_right",
    "or",
    "and",
    "unless",
    "offset",
    "unwrap",
    "json",
    "regexp",
    "logfmt",
    "unpack",
    "pattern",
    "label_format",
    "line_format",
    "ip",
    "decolorize",
    "drop",
    "keep",
    "variants",
    "of",
    "label_replace",
];

const FUNCTIONS: &[&str] = &[
    "rate",
    "rate_counter",
    "count_over_time",
    "bytes_rate",
    "bytes_over_time",
    "avg_over_time",
    "sum_over_time",
    "min_over_time",
    "max_over_time",
    "stdvar_over_time",
    "stddev_over_time",
    "quantile_over_time",
    "first_over_time",
    "last_over_time",
    "absent_over_time",
    "vector",
    "sum",
    "avg",
    "max",
    "min",
    "count",
    "stddev",
    "stdvar",
    "bottomk",
    "topk",
    "approx_topk",
    "sort",
    "sort_desc",
    "label_replace",
    "bytes",
    "duration",
    "duration_seconds",
    "ip",
];

const FLAGS: &[&str] = &["--strict", "--keep-empty"];

struct Scanner<'a> {
    rest: &'a str,
    line: usize,
    column: usize,
}

impl<'a> Scanner<'a> {
    fn advance(&mut self, bytes: usize) -> &'a str {
        let (taken, rest) = self.rest.split_at(bytes);
        for c in taken.chars() {
            if c == '\n' {
                self.line += 1;
                self.column = 1;
            } else {
                self.column += 1;
            }
        }
        self.rest = rest;
        taken
    }

    fn error(line: usize, column: usize, message: impl Into<String>) -> ParseError {
        ParseError { message: message.into(), line, column }
    }

    fn token(&mut self) -> Result<Token, ParseError> {
        loop {
            let space = self.rest.len() - self.rest.trim_start().len();
            self.advance(space);
            if !self.rest.starts_with('#') {
                break;
            }
            let comment = self.rest.find('\n').unwrap_or(self.rest.len());
            self.advance(comment);
        }
        let (line, column) = (self.line, self.column);
        let kind = self.kind(line, column)?;
        let line = if matches!(kind, Kind::Range(_)) { 0 } else { line };
        Ok(Token { kind, line, column })
    }

    fn kind(&mut self, line: usize, column: usize) -> Result<Kind, ParseError> {
        let Some(first) = self.rest.chars().next() else { return Ok(Kind::End) };
        match first {
            '"' => self.quoted(line, column),
            '`' => {
                let Some(end) = self.rest[1..].find('`') else {
                    return Err(Self::error(line, column, "literal not terminated"));
                };
                let text = self.advance(end + 2);
                Ok(Kind::Text(text[1..=end].to_owned()))
            }
            '[' => {
                let Some(end) = self.rest.find(']') else {
                    return Err(Self::error(0, column, "missing closing ']' in duration"));
                };
                let text = &self.rest[1..end];
                let nanos = units::range(text).map_err(|wrong| Self::error(0, column, wrong))?;
                self.advance(end + 1);
                Ok(Kind::Range(nanos))
            }
            '0'..='9' => Ok(self.number()),
            '-' => {
                if let Some(flag) = FLAGS.iter().find(|flag| self.rest.starts_with(**flag)) {
                    self.advance(flag.len());
                    return Ok(Kind::Flag(flag));
                }
                if let Some((nanos, length)) = duration_at(self.rest, 1) {
                    self.advance(length);
                    return Ok(Kind::Duration(nanos));
                }
                self.advance(1);
                Ok(Kind::Symbol("-"))
            }
            c if c.is_alphabetic() || c == '_' => Ok(self.word()),
            other => {
                if let Some(symbol) = SYMBOLS.iter().find(|symbol| self.rest.starts_with(**symbol)) {
                    self.advance(symbol.len());
                    return Ok(Kind::Symbol(symbol));
                }
                self.advance(other.len_utf8());
                Ok(Kind::Identifier(other.to_string()))
            }
        }
    }

    fn word(&mut self) -> Kind {
        let end = self.rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(self.rest.len());
        let word = self.advance(end);
        let small = word.to_lowercase();
        if let Some(function) = FUNCTIONS.iter().find(|known| **known == small) {
            if calls(self.rest) {
                return Kind::Function(function);
            }
            return Kind::Identifier(word.to_owned());
        }
        match KEYWORDS.iter().find(|known| **known == small) {
            Some(keyword) => Kind::Symbol(keyword),
            None => Kind::Identifier(word.to_owned()),
        }
    }

    fn number(&mut self) -> Kind {
        let mut end = digits(self.rest, 0);
        if self.rest[end..].starts_with('.') {
            end = digits(self.rest, end + 1);
        }
        let after = &self.rest[end..];
        if after.starts_with(['e', 'E']) {
            let sign = usize::from(after[1..].starts_with(['+', '-']));
            let power = digits(after, 1 + sign);
            if power > 1 + sign {
                end += power;
            }
        }
        if let Some((nanos, length)) = duration_at(self.rest, end) {
            self.advance(length);
            return Kind::Duration(nanos);
        }
        let size = |c: char| !c.is_ascii_digit() && !".BikKMGTP".contains(c);
        let length = end + self.rest[end..].find(size).unwrap_or(self.rest.len() - end);
        if length > end
            && let Some(bytes) = units::bytes(&self.rest[..length])
        {
            self.advance(length);
            return Kind::Bytes(bytes);
        }
        Kind::Number(self.advance(end).to_owned())
    }

    fn quoted(&mut self, line: usize, column: usize) -> Result<Kind, ParseError> {
        let mut escaped = false;
        let end = self.rest[1..].char_indices().find(|(_, c)| match (*c, escaped) {
            ('\\', false) => {
                escaped = true;
                false
            }
            ('"', false) | ('\n', _) => true,
            _ => {
                escaped = false;
                false
            }
        });
        let Some((end, '"')) = end else {
            return Err(Self::error(line, column, "literal not terminated"));
        };
        let inner = &self.rest[1..=end];
        let text = unquote(inner).ok_or_else(|| Self::error(line, column, "invalid char escape"))?;
        self.advance(end + 2);
        Ok(Kind::Text(text))
    }
}

fn digits(text: &str, from: usize) -> usize {
    text[from..].find(|c: char| !c.is_ascii_digit()).map_or(text.len(), |at| from + at)
}

/// Reads a duration that begins with a number of `number` bytes; returns it with its length.
fn duration_at(text: &str, number: usize) -> Option<(i64, usize)> {
    let stop = |c: char| !c.is_ascii_digit() && !"nuµmshdwy.".contains(c);
    let length = number + text[number..].find(stop).unwrap_or(text.len() - number);
    if length == number {
        return None;
    }
    units::duration(&text[..length]).map(|nanos| (nanos, length))
}

/// Says whether what follows a function's name makes it one: a parenthesis, or a grouping.
fn calls(rest: &str) -> bool {
    let rest = rest.trim_start();
    let small: String = rest.chars().take(8).collect::<String>().to_lowercase();
    if rest.starts_with('(') {
        return true;
    }
    let word = ["by", "without"].into_iter().find(|word| small.starts_with(word));
    word.is_some_and(|word| rest[word.len()..].trim_start().starts_with('('))
}

/// Undoes the escapes of Go's quoted texts; `None` where one is unknown.
fn unquote(inner: &str) -> Option<String> {
    let mut text = String::with_capacity(inner.len());
    let mut rest = inner.chars();
    while let Some(c) = rest.next() {
        if c != '\\' {
            text.push(c);
            continue;
        }
        let code = |rest: &mut std::str::Chars<'_>, length: usize, radix: u32, first: Option<char>| {
            let written: String = first.into_iter().chain(rest.take(length)).collect();
            u32::from_str_radix(&written, radix).ok().and_then(char::from_u32)
        };
        text.push(match rest.next()? {
            'a' => '\u{7}',
            'b' => '\u{8}',
            'f' => '\u{c}',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'v' => '\u{b}',
            '\\' => '\\',
            '"' => '"',
            '\'' => '\'',
            'x' => code(&mut rest, 2, 16, None)?,
            'u' => code(&mut rest, 4, 16, None)?,
            'U' => code(&mut rest, 8, 16, None)?,
            octal @ '0'..='7' => code(&mut rest, 2, 8, Some(octal))?,
            _ => return None,
        });
    }
    Some(text)
}

/// Cuts a query into tokens; the last one is [`Kind::End`], with the error where the rest is no token.
pub fn lex(query: &str) -> (Vec<Token>, Option<ParseError>) {
    let mut scanner = Scanner { rest: query, line: 1, column: 1 };
    let mut tokens = Vec::new();
    let end = |error: Option<ParseError>, scanner: &Scanner<'_>, mut tokens: Vec<Token>| {
        tokens.push(Token { kind: Kind::End, line: scanner.line, column: scanner.column });
        (tokens, error)
    };
    if query.len() >= LONGEST {
        let message = format!("input size too long ({} > {LONGEST})", query.len());
        return end(Some(ParseError::anywhere(message)), &scanner, tokens);
    }
    loop {
        match scanner.token() {
            Ok(mut token) if token.kind == Kind::End => {
                if query.is_empty() {
                    // Nothing has no place.
                    (token.line, token.column) = (0, 0);
                }
                tokens.push(token);
                return (tokens, None);
            }
            Ok(token) => tokens.push(token),
            Err(error) => return end(Some(error), &scanner, tokens),
        }
    }
}
