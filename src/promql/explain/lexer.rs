//! An expression in words, as Prometheus's lexer takes it apart.

use super::Mistake;

/// What a word is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    End,
    Word,
    Number,
    Duration,
    /// With its quotes.
    Text,
    Sign,
}

/// A word and where it stands.
#[derive(Debug, Clone, Copy)]
pub(super) struct Token<'a> {
    pub(super) kind: Kind,
    pub(super) text: &'a str,
    pub(super) at: usize,
}

/// How strongly a power binds.
pub(super) const POWER: u8 = 5;

const AGGREGATIONS: &[&str] = &[
    "sum",
    "avg",
    "count",
    "min",
    "max",
    "group",
    "stddev",
    "stdvar",
    "topk",
    "bottomk",
    "count_values",
    "quantile",
    "limitk",
    "limit_ratio",
];
const KEYWORDS: &[&str] = &["offset", "by", "without", "on", "ignoring", "group_left", "group_right", "bool"];
const SETS: &[&str] = &["and", "or", "unless"];

fn among(text: &str, words: &[&str]) -> bool {
    words.iter().any(|word| text.eq_ignore_ascii_case(word))
}

impl Token<'_> {
    pub(super) fn is(&self, text: &str) -> bool {
        matches!(self.kind, Kind::Word | Kind::Sign) && self.text.eq_ignore_ascii_case(text)
    }

    pub(super) fn aggregates(&self) -> bool {
        self.kind == Kind::Word && among(self.text, AGGREGATIONS)
    }

    pub(super) fn sets(&self) -> bool {
        self.kind == Kind::Word && among(self.text, SETS)
    }

    pub(super) fn is_keyword(&self) -> bool {
        self.kind == Kind::Word && (among(self.text, KEYWORDS) || self.sets())
    }

    pub(super) fn is_label(&self) -> bool {
        self.kind == Kind::Word && !self.text.contains(':')
    }

    pub(super) fn compares(&self) -> bool {
        matches!(self.text, "==" | "!=" | "<" | "<=" | ">" | ">=")
    }

    /// How strongly it binds, where it is a binary operator.
    pub(super) fn strength(&self) -> Option<u8> {
        Some(match self.text.to_ascii_lowercase().as_str() {
            "or" if self.kind == Kind::Word => 0,
            "and" | "unless" if self.kind == Kind::Word => 1,
            "==" | "!=" | "<" | "<=" | ">" | ">=" if self.kind == Kind::Sign => 2,
            "+" | "-" if self.kind == Kind::Sign => 3,
            "*" | "/" | "%" if self.kind == Kind::Sign => 4,
            "atan2" if self.kind == Kind::Word => 4,
            "^" if self.kind == Kind::Sign => POWER,
            _ => return None,
        })
    }

    pub(super) fn describe(&self) -> String {
        match self.kind {
            Kind::End => "end of input".to_owned(),
            Kind::Number => format!("number {:?}", self.text),
            Kind::Duration => format!("duration {:?}", self.text),
            Kind::Text => format!("string {:?}", self.text),
            Kind::Word if self.aggregates() => format!("<aggr:{}>", self.text),
            Kind::Word | Kind::Sign if self.strength().is_some() || self.text.ends_with('~') => {
                format!("<op:{}>", self.text)
            }
            Kind::Word if self.is_keyword() => format!("<{}>", self.text),
            Kind::Word if self.text.contains(':') => format!("metric identifier {:?}", self.text),
            Kind::Word => format!("identifier {:?}", self.text),
            Kind::Sign => format!("{:?}", self.text),
        }
    }
}

/// Takes a text apart, one word at a time.
pub(super) struct Lexer<'a> {
    text: &'a str,
    at: usize,
    parentheses: usize,
    braces: bool,
    brackets: bool,
    /// A colon has been read inside brackets.
    colon: bool,
}

impl<'a> Lexer<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { text, at: 0, parentheses: 0, braces: false, brackets: false, colon: false }
    }

    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn skip(&mut self) {
        loop {
            let rest = self.rest();
            let trimmed = rest.trim_start_matches([' ', '\t', '\n', '\r']);
            self.at += rest.len() - trimmed.len();
            if !trimmed.starts_with('#') {
                return;
            }
            self.at += trimmed.find('\n').unwrap_or(trimmed.len());
        }
    }

    fn token(&mut self, kind: Kind, length: usize) -> Token<'a> {
        let at = self.at;
        let text = self.text.get(at..at + length).unwrap_or_default();
        self.at += length;
        Token { kind, text, at }
    }

    /// Returns the next word; the end again and again.
    pub(super) fn next(&mut self) -> Result<Token<'a>, Mistake> {
        self.skip();
        let rest = self.rest();
        let Some(first) = rest.chars().next() else {
            let what = match () {
                () if self.braces => "unexpected end of input inside braces",
                () if self.brackets => "unclosed left bracket",
                () if self.parentheses > 0 => "unclosed left parenthesis",
                () => return Ok(Token { kind: Kind::End, text: "", at: self.at }),
            };
            return Err((self.at, what.to_owned()));
        };
        if matches!(first, '"' | '\'' | '`') {
            return self.quoted(first);
        }
        if self.brackets && first != ']' {
            return self.inside_brackets(first);
        }
        if first.is_ascii_alphabetic() || first == '_' || (first == ':' && !self.braces) {
            let end =
                rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || (c == ':' && !self.braces)));
            let length = end.unwrap_or(rest.len());
            let number = !self.braces && among(&rest[..length], &["inf", "nan"]);
            return Ok(self.token(if number { Kind::Number } else { Kind::Word }, length));
        }
        if self.braces && !matches!(first, '}' | ',' | '=' | '!') {
            return Err((self.at, format!("unexpected character inside braces: '{first}'")));
        }
        if first.is_ascii_digit() || (first == '.' && rest[1..].starts_with(|c: char| c.is_ascii_digit())) {
            return self.number();
        }
        self.sign(first)
    }

    fn sign(&mut self, first: char) -> Result<Token<'a>, Mistake> {
        let rest = self.rest();
        let two = ["=~", "!~", "!=", "<=", ">=", "=="];
        let length = match two.iter().find(|sign| rest.starts_with(**sign)) {
            // Inside braces `==` is two signs.
            Some(&"==") if self.braces => 1,
            Some(sign) => sign.len(),
            None => first.len_utf8(),
        };
        match first {
            '(' => self.parentheses += 1,
            ')' if self.parentheses == 0 => {
                return Err((self.at + 1, "unexpected right parenthesis ')'".to_owned()));
            }
            ')' => self.parentheses -= 1,
            '{' => self.braces = true,
            '}' if !self.braces => return Err((self.at + 1, "unexpected right brace '}'".to_owned())),
            '}' => self.braces = false,
            '[' => (self.brackets, self.colon) = (true, false),
            ']' if !self.brackets => return Err((self.at + 1, "unexpected right bracket ']'".to_owned())),
            ']' => self.brackets = false,
            '!' if length == 1 => {
                let next = rest.chars().nth(1).map_or_else(|| "EOF".to_owned(), |next| format!("'{next}'"));
                let place = if self.braces { " inside braces" } else { "" };
                return Err((self.at, format!("unexpected character after '!'{place}: {next}")));
            }
            ',' | '+' | '-' | '*' | '/' | '%' | '^' | '=' | '!' | '<' | '>' | '@' => {}
            _ => return Err((self.at, format!("unexpected character: '{first}'"))),
        }
        Ok(self.token(Kind::Sign, length))
    }

    fn quoted(&mut self, open: char) -> Result<Token<'a>, Mistake> {
        let rest = self.rest();
        let mut escaped = false;
        for (at, character) in rest.char_indices().skip(1) {
            match character {
                _ if escaped => escaped = false,
                '\\' if open != '`' => escaped = true,
                '\n' if open != '`' => break,
                _ if character == open => return Ok(self.token(Kind::Text, at + 1)),
                _ => {}
            }
        }
        let what = if open == '`' { "unterminated raw string" } else { "unterminated quoted string" };
        Err((self.at, what.to_owned()))
    }

    fn inside_brackets(&mut self, first: char) -> Result<Token<'a>, Mistake> {
        if first == ':' {
            self.colon = true;
            return Ok(self.token(Kind::Sign, 1));
        }
        let rest = self.rest();
        let length = rest.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(rest.len());
        let word = &rest[..length];
        if length == 0 {
            return Err((self.at, format!("unexpected character inside brackets: '{first}'")));
        }
        if word.parse::<f64>().is_ok() {
            return Ok(self.token(Kind::Number, length));
        }
        if crate::promql::duration::words(word).is_some() {
            return Ok(self.token(Kind::Duration, length));
        }
        let digits = word.len() - word.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        Err((
            self.at,
            match digits {
                0 => format!("not a valid duration string: {word:?}"),
                _ if self.colon => format!("bad number or duration syntax: {:?}", &word[..digits]),
                _ => format!("bad duration syntax: {:?}", &word[..digits]),
            },
        ))
    }

    fn number(&mut self) -> Result<Token<'a>, Mistake> {
        let rest = self.rest();
        let hex = rest.starts_with("0x") || rest.starts_with("0X");
        let mut length = 0;
        let mut dot = false;
        let mut before = ' ';
        for character in rest.chars() {
            let fits = match character {
                _ if hex => character.is_ascii_hexdigit() || matches!(character, 'x' | 'X'),
                '.' if dot => false,
                '.' => {
                    dot = true;
                    true
                }
                '+' | '-' => matches!(before, 'e' | 'E'),
                'e' | 'E' => true,
                _ => character.is_ascii_digit(),
            };
            if !fits {
                break;
            }
            before = character;
            length += 1;
        }
        let run = rest.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(rest.len());
        if run > length && crate::promql::duration::words(&rest[..run]).is_some() {
            return Ok(self.token(Kind::Duration, run));
        }
        let word = &rest[..length];
        let good = if hex { length > 2 } else { word.parse::<f64>().is_ok() };
        if !good {
            let what = format!("error parsing number: strconv.ParseFloat: parsing {word:?}: invalid syntax");
            return Err((self.at, what));
        }
        if rest[length..].starts_with(|c: char| c.is_ascii_alphabetic()) {
            return Err((self.at, format!("bad number or duration syntax: {word:?}")));
        }
        Ok(self.token(Kind::Number, length))
    }
}
