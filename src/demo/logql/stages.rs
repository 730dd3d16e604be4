//! The part of the grammar for lines: selectors, filters, parsers and formats.

use super::ast::{
    Compare, Format, LabelFilter, LineFilter, LogQuery, MatchOp, Matcher, Named, Needle, Stage, Step, compile,
};
use super::ip::IpMatcher;
use super::lex::{Kind, ParseError};
use super::parse::{Parsed, Parser};
use super::pattern::Pattern;
use super::template::Template;

impl Parser {
    pub(super) fn log_query(&mut self) -> Parsed<LogQuery> {
        let matchers = self.selector()?;
        let mut stages = Vec::new();
        self.stages(&mut stages)?;
        if self.is("|") {
            // Only queries for numbers know `unwrap`.
            self.at += 1;
            return Err(self.unexpected(&[]));
        }
        Ok(LogQuery { matchers, stages })
    }

    pub(super) fn selector(&mut self) -> Parsed<Vec<Matcher>> {
        self.expect("{")?;
        if self.take("}") {
            return Ok(Vec::new());
        }
        let mut matchers = vec![self.matcher(&["IDENTIFIER", "}"])?];
        loop {
            if self.take("}") {
                return Ok(matchers);
            }
            if !self.take(",") {
                return Err(self.unexpected(&["}", ","]));
            }
            matchers.push(self.matcher(&["IDENTIFIER"])?);
        }
    }

    fn matcher(&mut self, expected: &[&str]) -> Parsed<Matcher> {
        let name = self.identifier(expected)?;
        let Some(op) = self.text_operator() else {
            return Err(self.unexpected(&["=", "=~", "!~", "!="]));
        };
        self.at += 1;
        let value = self.text(&["STRING"])?;
        Matcher::new(&name, op, &value).map_err(ParseError::anywhere)
    }

    fn text_operator(&self) -> Option<MatchOp> {
        match self.peek() {
            Kind::Symbol("=") => Some(MatchOp::Equal),
            Kind::Symbol("!=") => Some(MatchOp::NotEqual),
            Kind::Symbol("=~") => Some(MatchOp::Matches),
            Kind::Symbol("!~") => Some(MatchOp::MatchesNot),
            _ => None,
        }
    }

    pub(super) fn stages(&mut self, stages: &mut Vec<Stage>) -> Parsed<()> {
        loop {
            match self.peek() {
                Kind::Symbol("|=" | "|~" | "|>" | "!=" | "!~" | "!>")
                    if !matches!(self.second(), Kind::Symbol("{" | "(") | Kind::Number(_)) =>
                {
                    stages.push(Stage::Line(self.line_filter()?));
                }
                Kind::Symbol("|") if !matches!(self.second(), Kind::Symbol("unwrap")) => {
                    self.at += 1;
                    stages.push(self.stage()?);
                }
                _ => return Ok(()),
            }
        }
    }

    fn line_filter(&mut self) -> Parsed<LineFilter> {
        let Kind::Symbol(op) = self.advance() else { return Err(self.unexpected(&[])) };
        let mut any = vec![self.needle(op)?];
        while self.is("or")
            && matches!(self.second(), Kind::Text(_) | Kind::Function("ip") | Kind::Symbol("ip"))
        {
            self.at += 1;
            any.push(self.needle(op)?);
        }
        Ok(LineFilter { negated: op.starts_with('!'), any })
    }

    fn needle(&mut self, op: &str) -> Parsed<Needle> {
        if matches!(self.peek(), Kind::Function("ip") | Kind::Symbol("ip")) {
            self.at += 1;
            return Ok(Needle::Ip(self.address()?));
        }
        let text = self.text(&["STRING", "ip"])?;
        match op {
            "|~" | "!~" => compile(&text, &text).map(Needle::Regex),
            "|>" | "!>" => Pattern::filter(&text).map(Needle::Pattern),
            _ => Ok(Needle::Text(text)),
        }
        .map_err(ParseError::anywhere)
    }

    fn address(&mut self) -> Parsed<IpMatcher> {
        self.expect("(")?;
        let text = self.text(&["STRING"])?;
        self.expect(")")?;
        IpMatcher::parse(&text).ok_or_else(|| ParseError::anywhere(format!("ip: invalid pattern: {text:?}")))
    }

    fn stage(&mut self) -> Parsed<Stage> {
        let Kind::Symbol(word) = *self.peek() else { return Ok(Stage::Filter(self.label_filter()?)) };
        match word {
            "json" => {
                self.at += 1;
                let mut fields = Vec::new();
                for (name, path) in self.extractions()? {
                    let steps = json_path(&path).ok_or_else(|| {
                        ParseError::anywhere(format!(
                            "stage '| json {name}=\"{path}\"' : cannot parse expression [{path}]: syntax error"
                        ))
                    })?;
                    fields.push((name, steps));
                }
                Ok(Stage::Json(fields))
            }
            "logfmt" => {
                self.at += 1;
                let (mut strict, mut keep_empty) = (false, false);
                while let Kind::Flag(flag) = self.peek() {
                    strict |= *flag == "--strict";
                    keep_empty |= *flag == "--keep-empty";
                    self.at += 1;
                }
                Ok(Stage::Logfmt { strict, keep_empty, fields: self.extractions()? })
            }
            "regexp" => {
                self.at += 1;
                let text = self.text(&["STRING"])?;
                let regex = named_groups(&text).map_err(|error| invalid("regexp", &error))?;
                if regex.capture_names().flatten().next().is_none() {
                    return Err(invalid("regexp", "at least one named capture must be supplied"));
                }
                Ok(Stage::Regexp(regex))
            }
            "pattern" => {
                self.at += 1;
                let text = self.text(&["STRING"])?;
                let pattern = Pattern::parser(&text).map_err(|error| invalid("pattern", &error))?;
                Ok(Stage::Pattern(pattern))
            }
            "unpack" => {
                self.at += 1;
                Ok(Stage::Unpack)
            }
            "decolorize" => {
                self.at += 1;
                Ok(Stage::Decolorize)
            }
            "line_format" => {
                self.at += 1;
                let text = self.text(&["STRING"])?;
                let template =
                    Template::parse(&text).map_err(|error| stage_error("line_format", &text, &error))?;
                Ok(Stage::LineFormat(template))
            }
            "label_format" => {
                self.at += 1;
                self.label_formats().map(Stage::LabelFormat)
            }
            "drop" | "keep" => {
                self.at += 1;
                let mut named = vec![self.named()?];
                while self.take(",") {
                    named.push(self.named()?);
                }
                Ok(if word == "drop" { Stage::Drop(named) } else { Stage::Keep(named) })
            }
            _ => Ok(Stage::Filter(self.label_filter()?)),
        }
    }

    fn extractions(&mut self) -> Parsed<Vec<(String, String)>> {
        let mut fields = Vec::new();
        if !matches!(self.peek(), Kind::Identifier(_)) {
            return Ok(fields);
        }
        loop {
            let name = self.identifier(&["IDENTIFIER"])?;
            let source = if self.take("=") { self.text(&["STRING"])? } else { name.clone() };
            fields.push((name, source));
            if !self.take(",") {
                return Ok(fields);
            }
        }
    }

    fn label_formats(&mut self) -> Parsed<Vec<(String, Format)>> {
        let mut formats = Vec::new();
        loop {
            let name = self.identifier(&["IDENTIFIER"])?;
            self.expect("=")?;
            let format = match self.advance() {
                Kind::Identifier(source) => Format::Rename(source),
                Kind::Text(text) => Format::Template(
                    Template::parse(&text).map_err(|error| stage_error("label_format", &text, &error))?,
                ),
                _ => {
                    self.at -= 1;
                    return Err(self.unexpected(&["IDENTIFIER", "STRING"]));
                }
            };
            formats.push((name, format));
            if !self.take(",") {
                return Ok(formats);
            }
        }
    }

    fn named(&mut self) -> Parsed<Named> {
        if matches!(self.peek(), Kind::Identifier(_)) {
            let operator = matches!(self.second(), Kind::Symbol("=" | "!=" | "=~" | "!~"));
            let value = matches!(self.tokens.get(self.at + 2).map(|token| &token.kind), Some(Kind::Text(_)));
            // `| drop a != "x"` would be a line filter; Loki reads a matcher.
            if operator && value {
                return self.matcher(&[]).map(Named::Matching);
            }
        }
        self.identifier(&["IDENTIFIER"]).map(Named::Name)
    }

    pub(super) fn label_filter(&mut self) -> Parsed<LabelFilter> {
        let mut left = self.label_conjunction(&[])?;
        while self.take("or") {
            let right = self.label_conjunction(&["IDENTIFIER", "("])?;
            left = LabelFilter::Or(Box::new(left), Box::new(right));
        }
        Ok(left)
    }

    fn label_conjunction(&mut self, expected: &[&str]) -> Parsed<LabelFilter> {
        let mut left = self.label_condition(expected)?;
        loop {
            let joined = self.take("and") || self.take(",");
            // Two filters side by side are both meant.
            if !joined && !matches!(self.peek(), Kind::Identifier(_)) {
                return Ok(left);
            }
            let right = self.label_condition(&["IDENTIFIER", "("])?;
            left = LabelFilter::And(Box::new(left), Box::new(right));
        }
    }

    fn label_condition(&mut self, expected: &[&str]) -> Parsed<LabelFilter> {
        if self.is("(") {
            self.at += 1;
            let inner = self.deeper(Self::label_filter)?;
            if !self.take(")") {
                return Err(self.unexpected(&[]));
            }
            return Ok(inner);
        }
        let name = self.identifier(expected)?;
        let Kind::Symbol(op) = *self.peek() else { return Err(self.unexpected(&[])) };
        if self.text_operator().is_some() && matches!(self.second(), Kind::Text(_)) {
            self.at -= 1;
            return self.matcher(&[]).map(LabelFilter::Text);
        }
        let compare = match op {
            "=" | "==" => Compare::Equal,
            "!=" => Compare::NotEqual,
            ">" => Compare::Greater,
            ">=" => Compare::GreaterOrEqual,
            "<" => Compare::Less,
            "<=" => Compare::LessOrEqual,
            _ if self.text_operator().is_some() => {
                self.at += 1;
                return Err(self.unexpected(&["STRING"]));
            }
            _ => return Err(self.unexpected(&[])),
        };
        self.at += 1;
        match self.advance() {
            Kind::Duration(nanos) => Ok(LabelFilter::Duration(name, compare, nanos)),
            Kind::Bytes(bytes) => Ok(LabelFilter::Bytes(name, compare, bytes)),
            Kind::Number(number) => {
                Ok(LabelFilter::Number(name, compare, number.parse().unwrap_or(f64::NAN)))
            }
            Kind::Symbol(sign @ ("+" | "-")) => {
                let number = self.number(&["NUMBER"])?;
                Ok(LabelFilter::Number(name, compare, if sign == "-" { -number } else { number }))
            }
            Kind::Function("ip") | Kind::Symbol("ip") if matches!(op, "=" | "!=") => {
                Ok(LabelFilter::Ip(name, op == "!=", self.address()?))
            }
            _ => {
                self.at -= 1;
                Err(self.unexpected(&[]))
            }
        }
    }
}

fn invalid(parser: &str, why: &str) -> ParseError {
    ParseError::anywhere(format!("invalid {parser} parser: {why}"))
}

/// Compiles a regular expression whose groups become labels.
fn named_groups(text: &str) -> Result<regex::Regex, String> {
    compile(text, text).map_err(|error| {
        let mut names: Vec<&str> =
            text.split("(?P<").skip(1).filter_map(|rest| rest.split('>').next()).collect();
        names.sort_unstable();
        match names.windows(2).find(|two| two[0] == two[1]) {
            Some(two) => format!("duplicate extracted label name '{}'", two[0]),
            None => error,
        }
    })
}

fn stage_error(stage: &str, text: &str, error: &str) -> ParseError {
    ParseError::anywhere(format!("stage '| {stage} {text:?}' : {error}"))
}

/// Reads `a.b[0]["c d"]`.
fn json_path(text: &str) -> Option<Vec<Step>> {
    let mut steps = Vec::new();
    let mut rest = text.trim();
    while !rest.is_empty() {
        if let Some(inner) = rest.strip_prefix('[') {
            let end = inner.find(']')?;
            let key = &inner[..end];
            match key.strip_prefix('"').and_then(|key| key.strip_suffix('"')) {
                Some(key) => steps.push(Step::Field(key.to_owned())),
                None => steps.push(Step::Index(key.parse().ok()?)),
            }
            rest = &inner[end + 1..];
            rest = rest.strip_prefix('.').unwrap_or(rest);
            continue;
        }
        let end = rest.find(['.', '[']).unwrap_or(rest.len());
        if end == 0 {
            return None;
        }
        steps.push(Step::Field(rest[..end].to_owned()));
        rest = &rest[end..];
        if let Some(after) = rest.strip_prefix('.') {
            if after.is_empty() {
                return None;
            }
            rest = after;
        }
    }
    (!steps.is_empty()).then_some(steps)
}
