//! What is wrong with an expression and where, in Prometheus's words.
//!
//! The crate that parses says that an expression is wrong, and mostly not where. This reads a refused expression once
//! more, along the same grammar, until the place at which it goes wrong. It accepts nothing by itself.

use promql_parser::parser::value::ValueType;

use super::syntax::type_name;

mod lexer;
mod signatures;

use lexer::{Kind, Lexer, Token};

/// A mistake: where in bytes, and what.
type Mistake = (usize, String);

/// Returns line, column and sentence for an expression that the parser refuses; `None` where this finds no fault.
pub(super) fn explain(text: &str) -> Option<String> {
    let mut reader = Reader { lexer: Lexer::new(text), next: None, later: Vec::new(), depth: 0 };
    let mistake = reader.whole().err().or_else(|| reader.later.into_iter().next())?;
    let (at, what) = mistake;
    let before = text.get(..at.min(text.len())).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let column = at - before.rfind('\n').map_or(0, |newline| newline + 1) + 1;
    Some(format!("{line}:{column}: parse error: {what}"))
}

/// What has been read.
struct Part {
    at: usize,
    kind: ValueType,
    form: Form,
    offset: bool,
    fixed: bool,
}

/// Which forms take modifiers.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Selector,
    Matrix,
    Subquery,
    Number,
    Other,
}

impl Part {
    fn new(at: usize, kind: ValueType, form: Form) -> Self {
        Self { at, kind, form, offset: false, fixed: false }
    }
}

/// How deep parentheses may lie in each other before this gives up.
const DEPTH: usize = 100;

struct Reader<'a> {
    lexer: Lexer<'a>,
    next: Option<Token<'a>>,
    /// Mistakes of meaning: Prometheus tells them when the whole text could be read.
    later: Vec<Mistake>,
    depth: usize,
}

impl<'a> Reader<'a> {
    fn peek(&mut self) -> Result<Token<'a>, Mistake> {
        if self.next.is_none() {
            self.next = Some(self.lexer.next()?);
        }
        // Filled just above.
        self.next.ok_or((0, String::new()))
    }

    fn take(&mut self) -> Result<Token<'a>, Mistake> {
        let token = self.peek()?;
        self.next = None;
        Ok(token)
    }

    fn is(&mut self, text: &str) -> Result<bool, Mistake> {
        Ok(self.peek()?.is(text))
    }

    fn unexpected<T>(&mut self, context: &str, expected: &str) -> Result<T, Mistake> {
        let token = self.peek()?;
        let mut what = format!("unexpected {}", token.describe());
        if !context.is_empty() {
            what.push_str(" in ");
            what.push_str(context);
        }
        if !expected.is_empty() {
            what.push_str(", expected ");
            what.push_str(expected);
        }
        Err((token.at, what))
    }

    fn whole(&mut self) -> Result<(), Mistake> {
        if self.peek()?.kind == Kind::End {
            return Err((0, "no expression found in input".to_owned()));
        }
        self.expression(0)?;
        if self.peek()?.kind == Kind::End { Ok(()) } else { self.unexpected("", "") }
    }

    /// Reads operators that bind at least as strongly as `least`.
    fn expression(&mut self, least: u8) -> Result<Part, Mistake> {
        self.depth += 1;
        if self.depth > DEPTH {
            return Err((0, "the expression lies too deep in parentheses".to_owned()));
        }
        let mut left = self.unary()?;
        loop {
            let operator = self.peek()?;
            let Some(strength) = operator.strength().filter(|strength| *strength >= least) else { break };
            self.take()?;
            let bool = self.modifiers(&operator)?;
            // The power binds to the right.
            let right = self.expression(if operator.is("^") { strength } else { strength + 1 })?;
            left = self.binary(&operator, bool, &left, &right);
        }
        self.depth -= 1;
        Ok(left)
    }

    /// Reads `bool`, `on`, `group_left` and the like; returns whether `bool` stands there.
    fn modifiers(&mut self, operator: &Token<'_>) -> Result<bool, Mistake> {
        let bool = self.is("bool")?;
        if bool {
            self.take()?;
            if !operator.compares() {
                let what = "bool modifier can only be used on comparison operators";
                self.later.push((operator.at, what.to_owned()));
            }
        }
        let mut on = None;
        if self.is("on")? || self.is("ignoring")? {
            let word = self.take()?;
            let labels = self.grouping()?;
            on = Some((word.is("on"), labels));
        }
        if self.is("group_left")? || self.is("group_right")? {
            if on.is_none() {
                return self.unexpected("", "");
            }
            self.take()?;
            if operator.sets() {
                let what = format!("no grouping allowed for \"{}\" operation", operator.text.to_lowercase());
                self.later.push((0, what));
            }
            let labels = if self.is("(")? { self.grouping()? } else { Vec::new() };
            if let Some((true, matched)) = on
                && let Some(label) = labels.iter().find(|label| matched.contains(label))
            {
                let what = format!("label \"{label}\" must not occur in ON and GROUP clause at once");
                self.later.push((operator.at, what));
            }
        }
        Ok(bool)
    }

    fn grouping(&mut self) -> Result<Vec<&'a str>, Mistake> {
        const PLACE: &str = "grouping opts";
        if !self.is("(")? {
            return self.unexpected(PLACE, "\"(\"");
        }
        self.take()?;
        let mut labels = Vec::new();
        while !self.is(")")? {
            let token = self.peek()?;
            if !token.is_label() {
                return self.unexpected(PLACE, "label");
            }
            labels.push(token.text);
            self.take()?;
            if self.is(",")? {
                self.take()?;
            } else if !self.is(")")? {
                return self.unexpected(PLACE, "\",\" or \")\"");
            }
        }
        self.take()?;
        Ok(labels)
    }

    fn binary(&mut self, operator: &Token<'_>, bool: bool, left: &Part, right: &Part) -> Part {
        let simple = |part: &Part| matches!(part.kind, ValueType::Scalar | ValueType::Vector);
        let scalars = left.kind == ValueType::Scalar && right.kind == ValueType::Scalar;
        if let Some(wrong) = [left, right].into_iter().find(|part| !simple(part)) {
            let what = "binary expression must contain only scalar and instant vector types";
            self.later.push((wrong.at, what.to_owned()));
        } else if operator.compares() && scalars && !bool {
            let what = "comparisons between scalars must use BOOL modifier";
            self.later.push((operator.at, what.to_owned()));
        } else if operator.sets() && (left.kind == ValueType::Scalar || right.kind == ValueType::Scalar) {
            let name = operator.text.to_lowercase();
            let what = format!("set operator \"{name}\" not allowed in binary scalar expression");
            self.later.push((left.at, what));
        }
        let kind = if scalars { ValueType::Scalar } else { ValueType::Vector };
        Part::new(left.at, kind, Form::Other)
    }

    fn unary(&mut self) -> Result<Part, Mistake> {
        let sign = self.peek()?;
        if !(sign.is("+") || sign.is("-")) {
            return self.postfix();
        }
        self.take()?;
        // A sign binds as strongly as a multiplication, less than a power.
        let part = self.expression(lexer::POWER)?;
        if !matches!(part.kind, ValueType::Scalar | ValueType::Vector) {
            let kind = type_name(part.kind);
            let what = format!(
                "unary expression only allowed on expressions of type scalar or instant vector, got \"{kind}\""
            );
            self.later.push((sign.at, what));
        }
        Ok(Part::new(sign.at, part.kind, if part.form == Form::Number { Form::Number } else { Form::Other }))
    }

    /// Reads what stands behind an operand: ranges, subqueries, `offset` and `@`.
    fn postfix(&mut self) -> Result<Part, Mistake> {
        let mut part = self.operand()?;
        loop {
            if self.is("[")? {
                part = self.brackets(part)?;
            } else if self.is("offset")? {
                self.take()?;
                self.sign()?;
                if !matches!(self.peek()?.kind, Kind::Duration | Kind::Number) {
                    return self.unexpected("offset", "duration");
                }
                self.take()?;
                self.modified(&mut part, "offset");
            } else if self.is("@")? {
                self.take()?;
                self.sign()?;
                let token =
                    self.take_if(|token| token.kind == Kind::Number || token.is("start") || token.is("end"))?;
                let Some(token) = token else { return self.unexpected("@", "timestamp") };
                if token.kind != Kind::Number {
                    for bracket in ["(", ")"] {
                        if !self.is(bracket)? {
                            return self.unexpected("@", "timestamp");
                        }
                        self.take()?;
                    }
                }
                self.modified(&mut part, "@");
            } else {
                return Ok(part);
            }
        }
    }

    fn take_if(&mut self, test: impl Fn(&Token<'_>) -> bool) -> Result<Option<Token<'a>>, Mistake> {
        let token = self.peek()?;
        if test(&token) { self.take().map(Some) } else { Ok(None) }
    }

    fn sign(&mut self) -> Result<(), Mistake> {
        self.take_if(|token| token.is("+") || token.is("-")).map(|_| ())
    }

    fn modified(&mut self, part: &mut Part, modifier: &str) {
        let at = part.at;
        let name = if modifier == "@" { "@ <timestamp>" } else { modifier };
        if !matches!(part.form, Form::Selector | Form::Matrix | Form::Subquery) {
            let what = format!(
                "{modifier} modifier must be preceded by an instant vector selector or range vector selector or a subquery"
            );
            self.later.push((at, what));
            return;
        }
        let set = if modifier == "@" { &mut part.fixed } else { &mut part.offset };
        if std::mem::replace(set, true) {
            self.later.push((at, format!("{name} may not be set multiple times")));
        }
    }

    fn brackets(&mut self, part: Part) -> Result<Part, Mistake> {
        let open = self.take()?;
        if !matches!(self.peek()?.kind, Kind::Duration | Kind::Number) {
            return self.unexpected("subquery or range", "duration");
        }
        self.take()?;
        if self.is("]")? {
            self.take()?;
            if part.form != Form::Selector {
                let at =
                    if part.form == Form::Other || part.form == Form::Number { part.at } else { open.at };
                let at = if part.form == Form::Other { open.at } else { at };
                self.later.push((at, "ranges only allowed for vector selectors".to_owned()));
            } else if part.offset || part.fixed {
                let name = if part.offset { "offset" } else { "@" };
                self.later.push((open.at, format!("no {name} modifiers allowed before range")));
            }
            return Ok(Part::new(part.at, ValueType::Matrix, Form::Matrix));
        }
        if !self.is(":")? {
            return self.unexpected("subquery selector", "\":\" or \"]\"");
        }
        self.take()?;
        self.take_if(|token| matches!(token.kind, Kind::Duration | Kind::Number))?;
        if !self.is("]")? {
            return self.unexpected("subquery selector", "\"]\"");
        }
        self.take()?;
        if part.kind != ValueType::Vector {
            let kind = type_name(part.kind);
            let what = format!("subquery is only allowed on instant vector, got {kind} instead");
            self.later.push((part.at, what));
        }
        Ok(Part::new(part.at, ValueType::Matrix, Form::Subquery))
    }

    fn operand(&mut self) -> Result<Part, Mistake> {
        let token = self.peek()?;
        match token.kind {
            Kind::Number => {
                self.take()?;
                Ok(Part::new(token.at, ValueType::Scalar, Form::Number))
            }
            Kind::Text => {
                self.take()?;
                Ok(Part::new(token.at, ValueType::String, Form::Other))
            }
            Kind::Word => self.word(),
            _ if token.is("(") => {
                self.take()?;
                let inner = self.expression(0)?;
                if !self.is(")")? {
                    return self.unexpected("", "");
                }
                self.take()?;
                Ok(Part::new(token.at, inner.kind, Form::Other))
            }
            _ if token.is("{") => {
                let named = self.matchers("")?;
                Ok(self.selector(token.at, named))
            }
            _ => self.unexpected("", ""),
        }
    }

    fn selector(&mut self, at: usize, named: bool) -> Part {
        if !named {
            let what = "vector selector must contain at least one non-empty matcher";
            self.later.push((at, what.to_owned()));
        }
        Part::new(at, ValueType::Vector, Form::Selector)
    }

    /// Reads a word and what belongs to it: a metric, a call or an aggregation.
    fn word(&mut self) -> Result<Part, Mistake> {
        let token = self.take()?;
        if token.aggregates() && (self.is("(")? || self.is("by")? || self.is("without")?) {
            return self.aggregation(&token);
        }
        if self.is("(")? && !token.is_keyword() {
            return self.call(&token);
        }
        if self.is("{")? {
            self.matchers(token.text)?;
        }
        Ok(self.selector(token.at, true))
    }

    fn arguments(&mut self) -> Result<Vec<Part>, Mistake> {
        self.take()?;
        let mut arguments = Vec::new();
        if self.is(")")? {
            self.take()?;
            return Ok(arguments);
        }
        loop {
            arguments.push(self.expression(0)?);
            if self.is(")")? {
                self.take()?;
                return Ok(arguments);
            }
            if !self.is(",")? {
                return self.unexpected("", "");
            }
            let comma = self.take()?;
            if self.is(")")? {
                return Err((comma.at, "trailing commas not allowed in function call args".to_owned()));
            }
        }
    }

    fn aggregation(&mut self, name: &Token<'a>) -> Result<Part, Mistake> {
        let mut grouped = false;
        if self.take_if(|token| token.is("by") || token.is("without"))?.is_some() {
            grouped = true;
            self.grouping()?;
        }
        if !self.is("(")? {
            return self.unexpected("aggregation", "");
        }
        let arguments = self.arguments()?;
        if !grouped && self.take_if(|token| token.is("by") || token.is("without"))?.is_some() {
            self.grouping()?;
        }
        let lower = name.text.to_lowercase();
        let parameter = match lower.as_str() {
            "topk" | "bottomk" | "quantile" | "limitk" | "limit_ratio" => Some(ValueType::Scalar),
            "count_values" => Some(ValueType::String),
            _ => None,
        };
        let wanted = 1 + usize::from(parameter.is_some());
        if arguments.is_empty() {
            let what = "no arguments for aggregate expression provided";
            self.later.push((name.at, what.to_owned()));
        } else if arguments.len() != wanted {
            let what = format!(
                "wrong number of arguments for aggregate expression provided, expected {wanted}, got {}",
                arguments.len()
            );
            self.later.push((name.at, what));
        } else {
            if let Some(last) = arguments.last() {
                self.wanted(last, ValueType::Vector, "aggregation expression");
            }
            if let (Some(parameter), Some(first)) = (parameter, arguments.first()) {
                self.wanted(first, parameter, "aggregation parameter");
            }
        }
        Ok(Part::new(name.at, ValueType::Vector, Form::Other))
    }

    fn wanted(&mut self, part: &Part, kind: ValueType, place: &str) {
        if part.kind != kind {
            let (kind, got) = (type_name(kind), type_name(part.kind));
            self.later.push((part.at, format!("expected type {kind} in {place}, got {got}")));
        }
    }

    fn call(&mut self, name: &Token<'a>) -> Result<Part, Mistake> {
        let signature = signatures::find(name.text);
        let arguments = self.arguments()?;
        let Some(signature) = signature else {
            return Err((name.at, format!("unknown function with name \"{}\"", name.text)));
        };
        let (count, most) = (arguments.len(), signature.arguments.len());
        let least = most - signature.optional;
        let word = |bound: usize, how: &str| {
            format!("expected {how}{bound} argument(s) in call to \"{}\", got {count}", name.text)
        };
        let wrong = if signature.optional == 0 && !signature.repeats && count != most {
            Some(word(most, ""))
        } else if count < least {
            Some(word(least, "at least "))
        } else if count > most && !signature.repeats {
            Some(word(most, "at most "))
        } else {
            None
        };
        if let Some(wrong) = wrong {
            self.later.push((name.at, wrong));
        } else {
            let place = format!("call to function \"{}\"", name.text);
            for (index, argument) in arguments.iter().enumerate() {
                if let Some(kind) = signature.arguments.get(index).or(signature.arguments.last()) {
                    self.wanted(argument, *kind, &place);
                }
            }
        }
        Ok(Part::new(name.at, signature.returns, Form::Other))
    }

    /// Reads matchers; returns whether any of them refuses the empty value, so that they name series.
    fn matchers(&mut self, metric: &str) -> Result<bool, Mistake> {
        const PLACE: &str = "label matching";
        let open = self.take()?;
        let mut named = false;
        while !self.is("}")? {
            let label = self.peek()?;
            if !label.is_label() {
                return self.unexpected(PLACE, "identifier or \"}\"");
            }
            self.take()?;
            let operator = self.peek()?;
            if !matches!(operator.text, "=" | "!=" | "=~" | "!~") {
                return self.unexpected(PLACE, "label matching operator");
            }
            self.take()?;
            let value = self.peek()?;
            if value.kind != Kind::Text {
                return self.unexpected(PLACE, "string");
            }
            self.take()?;
            let inner = value.text.get(1..value.text.len().max(2) - 1).unwrap_or_default();
            let regex = || regex::Regex::new(&format!("^(?:{inner})$"));
            if operator.text.ends_with('~')
                && let Err(error) = regex()
            {
                let what = format!("error parsing regexp: {}: `^(?:{inner})$`", regex_words(&error));
                return Err((open.at + 1, what));
            }
            named |= match operator.text {
                "=" => !inner.is_empty(),
                "!=" => inner.is_empty(),
                "=~" => !regex().is_ok_and(|regex| regex.is_match("")),
                _ => regex().is_ok_and(|regex| regex.is_match("")),
            };
            if label.text == "__name__" && !metric.is_empty() {
                let what = format!("metric name must not be set twice: \"{metric}\" or \"{inner}\"");
                self.later.push((open.at - metric.len(), what));
            }
            if self.is(",")? {
                self.take()?;
            } else if !self.is("}")? {
                return self.unexpected(PLACE, "\",\" or \"}\"");
            }
        }
        self.take()?;
        Ok(named)
    }
}

/// The words of Go for the commonest faults of regular expressions.
fn regex_words(error: &regex::Error) -> &'static str {
    let text = error.to_string();
    if text.contains("unclosed group") {
        "missing closing )"
    } else if text.contains("unclosed character class") {
        "missing closing ]"
    } else if text.contains("repetition operator missing") {
        "missing argument to repetition operator"
    } else {
        "invalid regular expression"
    }
}
