//! Text to syntax tree, by recursive descent.
//!
//! An error carries what was found and, where there are few, what was expected, in the words of the generated parser of
//! Loki: it never lists more than four.

use super::ast::{
    Binary, Conversion, Expr, Grouping, LabelReplace, LogQuery, MatchOp, Matcher, Matching, Metric, RangeAgg,
    Side, Unwrap, VectorAgg, compile,
};
use super::lex::{Kind, ParseError, Token, lex};
use super::vector;

/// What was read, or where the query is wrong.
pub(super) type Parsed<T> = Result<T, ParseError>;

/// Sums and brackets within each other that are read; deeper ones are refused instead of filling the stack.
const DEEPEST: usize = 100;

/// Reads a query.
pub fn parse(query: &str) -> Parsed<Expr> {
    let (tokens, broken) = lex(query);
    let mut parser = Parser { tokens, at: 0, depth: 0 };
    let read = parser.root();
    // A text that is no token is reported only where the grammar gets that far.
    let expr = match (read, broken) {
        (Err(_), Some(broken)) if parser.at_end() => return Err(broken),
        (Err(error), _) => return Err(error),
        (Ok(_), Some(broken)) => return Err(broken),
        (Ok(expr), None) => expr,
    };
    validate(&expr)?;
    Ok(expr)
}

/// Refuses selectors that would take every stream.
fn validate(expr: &Expr) -> Parsed<()> {
    match expr {
        Expr::Log(query) => selective(&query.matchers),
        Expr::Metric(metric) => validate_metric(metric),
    }
}

fn validate_metric(metric: &Metric) -> Parsed<()> {
    match metric {
        Metric::Range(range) => selective(&range.query.matchers),
        Metric::Vector(vector) => {
            if vector.function.starts_with("sort") && !vector.grouping.labels.is_empty() {
                return Err(ParseError::anywhere("sort and sort_desc doesn't allow grouping by "));
            }
            validate_metric(&vector.inner)
        }
        Metric::Binary(binary) => {
            validate_metric(&binary.left)?;
            validate_metric(&binary.right)
        }
        Metric::LabelReplace(replace) => validate_metric(&replace.inner),
        Metric::Literal(_) | Metric::Constant(_) => Ok(()),
    }
}

fn selective(matchers: &[Matcher]) -> Parsed<()> {
    let some = matchers
        .iter()
        .any(|matcher| matches!(matcher.op, MatchOp::Equal | MatchOp::Matches) && !matcher.takes(""));
    if some {
        return Ok(());
    }
    Err(ParseError::anywhere(
        "queries require at least one regexp or equality matcher that does not have an empty-compatible value. For instance, app=~\".*\" does not meet this requirement, but app=~\".+\" will",
    ))
}

/// The tokens of a query and how far they have been read.
pub(super) struct Parser {
    pub(super) tokens: Vec<Token>,
    pub(super) at: usize,
    depth: usize,
}

impl Parser {
    pub(super) fn peek(&self) -> &Kind {
        &self.tokens[self.at.min(self.tokens.len() - 1)].kind
    }

    pub(super) fn second(&self) -> &Kind {
        &self.tokens[(self.at + 1).min(self.tokens.len() - 1)].kind
    }

    fn at_end(&self) -> bool {
        *self.peek() == Kind::End
    }

    pub(super) fn advance(&mut self) -> Kind {
        let kind = self.peek().clone();
        self.at += 1;
        kind
    }

    pub(super) fn is(&self, symbol: &str) -> bool {
        matches!(self.peek(), Kind::Symbol(found) if *found == symbol)
    }

    pub(super) fn take(&mut self, symbol: &str) -> bool {
        let found = self.is(symbol);
        self.at += usize::from(found);
        found
    }

    /// What was found where something else should be.
    pub(super) fn unexpected(&self, expected: &[&str]) -> ParseError {
        let token = &self.tokens[self.at.min(self.tokens.len() - 1)];
        let mut message = format!("syntax error: unexpected {}", token.kind.name());
        if !expected.is_empty() && expected.len() <= 4 {
            message = format!("{message}, expecting {}", expected.join(" or "));
        }
        ParseError { message, line: token.line, column: token.column }
    }

    pub(super) fn expect(&mut self, symbol: &str) -> Parsed<()> {
        if self.take(symbol) { Ok(()) } else { Err(self.unexpected(&[symbol])) }
    }

    pub(super) fn text(&mut self, expected: &[&str]) -> Parsed<String> {
        match self.peek() {
            Kind::Text(text) => {
                let text = text.clone();
                self.at += 1;
                Ok(text)
            }
            _ => Err(self.unexpected(expected)),
        }
    }

    pub(super) fn identifier(&mut self, expected: &[&str]) -> Parsed<String> {
        match self.peek() {
            Kind::Identifier(name) => {
                let name = name.clone();
                self.at += 1;
                Ok(name)
            }
            _ => Err(self.unexpected(expected)),
        }
    }

    pub(super) fn number(&mut self, expected: &[&str]) -> Parsed<f64> {
        match self.peek() {
            Kind::Number(written) => {
                let number = written.parse().unwrap_or(f64::NAN);
                self.at += 1;
                Ok(number)
            }
            _ => Err(self.unexpected(expected)),
        }
    }

    pub(super) fn deeper<T>(&mut self, read: impl FnOnce(&mut Self) -> Parsed<T>) -> Parsed<T> {
        if self.depth == DEEPEST {
            return Err(ParseError::anywhere(format!("expressions are nested deeper than {DEEPEST}")));
        }
        self.depth += 1;
        let read = read(self);
        self.depth -= 1;
        read
    }

    fn root(&mut self) -> Parsed<Expr> {
        let expr = self.binary(0)?;
        if self.at_end() { Ok(expr) } else { Err(self.unexpected(&[])) }
    }

    fn operator(&self) -> Option<(&'static str, u8)> {
        let Kind::Symbol(op) = self.peek() else { return None };
        let strength = match *op {
            "or" => 1,
            "and" | "unless" => 2,
            "==" | "!=" | "<" | "<=" | ">" | ">=" => 3,
            "+" | "-" => 4,
            "*" | "/" | "%" => 5,
            "^" => 6,
            _ => return None,
        };
        Some((op, strength))
    }

    fn binary(&mut self, least: u8) -> Parsed<Expr> {
        let mut left = self.deeper(Self::operand)?;
        while let Some((op, strength)) = self.operator() {
            if strength < least {
                break;
            }
            self.at += 1;
            let (bool, matching) = self.modifier()?;
            // Powers bind to the right, all others to the left.
            let right =
                self.deeper(|parser| parser.binary(if op == "^" { strength } else { strength + 1 }))?;
            left = Expr::Metric(join(op, bool, matching, left, right)?);
        }
        Ok(left)
    }

    fn modifier(&mut self) -> Parsed<(bool, Matching)> {
        let bool = self.take("bool");
        let mut matching = Matching { on: self.take("on"), ..Matching::default() };
        if matching.on || self.take("ignoring") {
            matching.labels = self.names()?;
            matching.many = if self.take("group_left") {
                Some(Side::Left)
            } else if self.take("group_right") {
                Some(Side::Right)
            } else {
                None
            };
            // A parenthesis behind a bare `group_left` begins the other side where no names stand in it.
            let names = self.is("(") && matches!(self.second(), Kind::Identifier(_) | Kind::Symbol(")"));
            if matching.many.is_some() && names {
                matching.include = self.names()?;
            }
        }
        Ok((bool, matching))
    }

    fn names(&mut self) -> Parsed<Vec<String>> {
        self.expect("(")?;
        if self.take(")") {
            return Ok(Vec::new());
        }
        let mut names = vec![self.identifier(&["IDENTIFIER", ")"])?];
        loop {
            if self.take(")") {
                return Ok(names);
            }
            if !self.take(",") {
                return Err(self.unexpected(&[",", ")"]));
            }
            names.push(self.identifier(&["IDENTIFIER"])?);
        }
    }

    fn operand(&mut self) -> Parsed<Expr> {
        match self.peek().clone() {
            Kind::Symbol("{") => Ok(Expr::Log(self.log_query()?)),
            Kind::Symbol("(") => {
                self.at += 1;
                let inner = self.binary(0)?;
                if !self.take(")") {
                    return Err(self.unexpected(&[]));
                }
                Ok(inner)
            }
            Kind::Number(_) => Ok(Expr::Metric(Metric::Literal(self.number(&[])?))),
            Kind::Symbol(sign @ ("+" | "-")) => {
                self.at += 1;
                let number = self.number(&["NUMBER"])?;
                Ok(Expr::Metric(Metric::Literal(if sign == "-" { -number } else { number })))
            }
            Kind::Function(name) if name.ends_with("_over_time") || RATES.contains(&name) => {
                self.at += 1;
                Ok(Expr::Metric(self.range_function(name)?))
            }
            Kind::Function("vector") => {
                self.at += 1;
                self.expect("(")?;
                let number = self.number(&["NUMBER"])?;
                self.expect(")")?;
                Ok(Expr::Metric(Metric::Constant(number)))
            }
            Kind::Function("label_replace") => {
                self.at += 1;
                Ok(Expr::Metric(self.label_replace()?))
            }
            Kind::Function(name) if !matches!(name, "bytes" | "duration" | "duration_seconds" | "ip") => {
                self.at += 1;
                Ok(Expr::Metric(self.vector_function(name)?))
            }
            _ => Err(self.unexpected(&[])),
        }
    }

    /// Reads what must be a query for numbers.
    fn metric(&mut self) -> Parsed<Metric> {
        match self.binary(0)? {
            Expr::Metric(metric) => Ok(metric),
            Expr::Log(_) => Err(self.unexpected(&[])),
        }
    }

    fn grouping(&mut self) -> Parsed<Option<Grouping>> {
        let without = self.is("without");
        if !without && !self.is("by") {
            return Ok(None);
        }
        self.at += 1;
        Ok(Some(Grouping { without, labels: self.names()? }))
    }

    fn vector_function(&mut self, function: &'static str) -> Parsed<Metric> {
        let mut grouping = self.grouping()?;
        self.expect("(")?;
        let mut written = None;
        if let (Kind::Number(number), Kind::Symbol(",")) = (self.peek().clone(), self.second()) {
            written = Some(number);
            self.at += 2;
        }
        let inner = self.metric()?;
        if !self.take(")") {
            return Err(self.unexpected(&[]));
        }
        if grouping.is_none() {
            grouping = self.grouping()?;
        }
        let wants = function.ends_with("topk") || function == "bottomk";
        let parameter = match written {
            None if wants => {
                return Err(ParseError::anywhere(format!("parameter required for operation {function}")));
            }
            None => 0,
            Some(number) if !wants => {
                let message = format!("unsupported parameter for operation {function}({number},");
                return Err(ParseError::anywhere(message));
            }
            Some(number) => match number.parse::<usize>() {
                Ok(0) => {
                    let message = format!("invalid parameter (must be greater than 0) {function}({number}");
                    return Err(ParseError::anywhere(message));
                }
                Ok(count) => count,
                Err(_) => {
                    return Err(ParseError::anywhere(format!("invalid parameter {function}({number},")));
                }
            },
        };
        if function == "approx_topk" && grouping.is_some() {
            return Err(ParseError::anywhere("grouping not allowed for approx_topk aggregation"));
        }
        let grouping = grouping.unwrap_or_default();
        Ok(Metric::Vector(Box::new(VectorAgg { function, parameter, grouping, inner })))
    }

    fn label_replace(&mut self) -> Parsed<Metric> {
        self.expect("(")?;
        let inner = self.metric()?;
        let mut texts = Vec::new();
        for _ in 0..4 {
            self.expect(",")?;
            texts.push(self.text(&["STRING"])?);
        }
        self.expect(")")?;
        let pattern = format!("^(?:{})$", texts[3]);
        let regex = compile(&pattern, &pattern)
            .map_err(|error| ParseError::anywhere(format!("invalid regex in label_replace: {error}")))?;
        let mut texts = texts.into_iter();
        let mut next = || texts.next().unwrap_or_default();
        let (target, replacement, source) = (next(), next(), next());
        Ok(Metric::LabelReplace(Box::new(LabelReplace { inner, target, replacement, source, regex })))
    }

    fn range_function(&mut self, function: &'static str) -> Parsed<Metric> {
        self.expect("(")?;
        let mut written = None;
        if let Kind::Number(number) = self.peek().clone() {
            self.at += 1;
            self.expect(",")?;
            written = Some(number);
        }
        let mut range = self.log_range(false, written.is_none())?;
        self.expect(")")?;
        let grouping = self.grouping()?;
        let quantile = function == "quantile_over_time";
        range.parameter = match written {
            Some(number) if !quantile => {
                let message = format!("parameter {number} not supported for operation {function}");
                return Err(ParseError::anywhere(message));
            }
            None if quantile => {
                return Err(ParseError::anywhere(format!("parameter required for operation {function}")));
            }
            Some(number) => number.parse().ok(),
            None => None,
        };
        range.function = function;
        range.grouping = grouping;
        if range.grouping.is_some() && !GROUPED.contains(&function) {
            return Err(ParseError::anywhere(format!("grouping not allowed for {function} aggregation")));
        }
        if range.unwrap.is_some() && COUNTING.contains(&function) {
            return Err(ParseError::anywhere(format!("invalid aggregation {function} with unwrap")));
        }
        let needs = !COUNTING.contains(&function) && !matches!(function, "rate" | "absent_over_time");
        if range.unwrap.is_none() && needs {
            return Err(ParseError::anywhere(format!("invalid aggregation {function} without unwrap")));
        }
        Ok(Metric::Range(Box::new(range)))
    }

    /// Reads a selector with its stages, unwrap, range and offset, in any of the orders that Loki takes.
    fn log_range(&mut self, nested: bool, number: bool) -> Parsed<RangeAgg> {
        if self.is("(") {
            self.at += 1;
            let mut inner = self.deeper(|parser| parser.log_range(true, false))?;
            if !self.take(")") {
                return Err(self.unexpected(&[]));
            }
            self.range_and_offset(&mut inner)?;
            if inner.range == UNSET && !nested {
                return Err(self.unexpected(&["RANGE"]));
            }
            return Ok(inner);
        }
        if !self.is("{") {
            let expected: &[&str] = if number { &["NUMBER", "{", "("] } else { &["{", "("] };
            return Err(self.unexpected(expected));
        }
        let matchers = self.selector()?;
        let query = LogQuery { matchers, stages: Vec::new() };
        let mut range = RangeAgg {
            function: "",
            parameter: None,
            query,
            unwrap: None,
            range: UNSET,
            offset: 0,
            grouping: None,
        };
        self.range_and_offset(&mut range)?;
        self.stages(&mut range.query.stages)?;
        if self.is("|") && matches!(self.second(), Kind::Symbol("unwrap")) {
            self.at += 2;
            range.unwrap = Some(self.unwrap()?);
        }
        self.range_and_offset(&mut range)?;
        // Within parentheses the range may stand behind them.
        if range.range == UNSET && !(nested && self.is(")")) {
            let expected: &[&str] = if range.unwrap.is_some() { &["RANGE", "|"] } else { &[] };
            return Err(self.unexpected(expected));
        }
        Ok(range)
    }

    fn range_and_offset(&mut self, range: &mut RangeAgg) -> Parsed<()> {
        if let Kind::Range(nanos) = *self.peek()
            && range.range == UNSET
        {
            self.at += 1;
            range.range = nanos;
            if self.take("offset") {
                let Kind::Duration(offset) = *self.peek() else { return Err(self.unexpected(&["DURATION"])) };
                self.at += 1;
                range.offset = offset;
            }
        }
        Ok(())
    }

    fn unwrap(&mut self) -> Parsed<Unwrap> {
        let conversion = match self.peek() {
            Kind::Function("bytes") => Conversion::Bytes,
            Kind::Function("duration" | "duration_seconds") => Conversion::Duration,
            _ => Conversion::Number,
        };
        let expected = ["IDENTIFIER", "BYTES_CONV", "DURATION_CONV", "DURATION_SECONDS_CONV"];
        let label = if conversion == Conversion::Number {
            self.identifier(&expected)?
        } else {
            self.at += 1;
            self.expect("(")?;
            let label = self.identifier(&["IDENTIFIER"])?;
            self.expect(")")?;
            label
        };
        let mut filters = Vec::new();
        while self.take("|") {
            filters.push(self.label_filter()?);
        }
        Ok(Unwrap { label, conversion, filters })
    }
}

/// The range of a selector that none was read for yet; none that is read is negative.
const UNSET: i64 = -1;
/// Range functions whose name does not end in `_over_time`.
const RATES: &[&str] = &["rate", "rate_counter", "bytes_rate"];
/// Range functions that count lines or their bytes.
const COUNTING: &[&str] = &["count_over_time", "bytes_over_time", "bytes_rate"];
/// Range functions that take a grouping.
const GROUPED: &[&str] = &[
    "avg_over_time",
    "stddev_over_time",
    "stdvar_over_time",
    "quantile_over_time",
    "max_over_time",
    "min_over_time",
    "first_over_time",
    "last_over_time",
];

fn join(op: &'static str, bool: bool, matching: Matching, left: Expr, right: Expr) -> Parsed<Metric> {
    let leg = |side: &str, expr: Expr| match expr {
        Expr::Metric(metric) => Ok(metric),
        Expr::Log(query) => {
            let kind = if query.stages.is_empty() { "MatchersExpr" } else { "PipelineExpr" };
            let message =
                format!("unexpected type for {side} leg of binary operation ({op}): *syntax.{kind}");
            Err(ParseError::anywhere(message))
        }
    };
    let (left, right) = (leg("left", left)?, leg("right", right)?);
    if matches!(op, "and" | "or" | "unless") {
        for (side, metric) in [("left", &left), ("right", &right)] {
            if let Metric::Literal(number) = metric {
                return Err(ParseError::anywhere(format!(
                    "unexpected literal for {side} leg of logical/set binary operation ({op}): {number:.6}"
                )));
            }
        }
    }
    if let (Metric::Literal(left), Metric::Literal(right)) = (&left, &right) {
        return Ok(Metric::Literal(vector::reduce(op, *left, *right)));
    }
    Ok(Metric::Binary(Box::new(Binary { op, bool, matching, left, right })))
}
