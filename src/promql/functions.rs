//! Functions of instant vectors, numbers and time.

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use promql_parser::label::MatchOp;
use promql_parser::parser::{Call, Expr, VectorSelector};
use regex::Regex;

use super::eval::{Eval, Row, Value, map_rows, merge, unwrapped};
use super::histogram;
use super::{EvalError, Labels, NAME, STALE, is_stale, nan_first};

/// Evaluates a call of a function that takes no range vector.
pub(super) fn evaluate(eval: &Eval<'_>, call: &Call) -> Result<Value, EvalError> {
    let name = call.func.name;
    let arguments: Vec<&Expr> = call.args.args.iter().map(|argument| &**argument).collect();
    let steps = eval.steps;
    if let Some(change) = simple(name) {
        return Ok(Value::Vector(merge(map_rows(eval.vector(argument(&arguments, 0)?)?, change))?));
    }
    if let Some(part) = calendar(name) {
        let Some(given) = arguments.first() else {
            let values =
                (0..steps.count).map(|step| part_of((steps.at(step).div_euclid(1_000)) as f64, part));
            return Ok(Value::Vector(vec![Row { labels: Labels::empty(), values: values.collect() }]));
        };
        return Ok(Value::Vector(merge(map_rows(eval.vector(given)?, |value| part_of(value, part)))?));
    }
    let rows = |index: usize| eval.vector(argument(&arguments, index)?);
    let numbers = |index: usize| eval.scalar(argument(&arguments, index)?);
    let text = |index: usize| match eval.value(argument(&arguments, index)?)? {
        Value::Text(text) => Ok(text),
        _ => Err(EvalError::Execution(format!("{name} wants a text"))),
    };
    Ok(match name {
        "time" => Value::Scalar((0..steps.count).map(|step| steps.at(step) as f64 / 1e3).collect()),
        "pi" => Value::Scalar(vec![std::f64::consts::PI; steps.count]),
        "vector" => Value::Vector(vec![Row { labels: Labels::empty(), values: numbers(0)? }]),
        "scalar" => Value::Scalar(only(&rows(0)?, steps.count)),
        "timestamp" => timestamp(eval, argument(&arguments, 0)?)?,
        "absent" => absent(eval, argument(&arguments, 0)?)?,
        "round" => {
            let nearest = if arguments.len() > 1 { numbers(1)? } else { vec![1.0; steps.count] };
            // Dividing by the inverse keeps multiples of 0.1 what they look like.
            with(rows(0)?, |value, step| {
                let inverse = 1.0 / nearest[step];
                (value * inverse + 0.5).floor() / inverse
            })?
        }
        "clamp" => {
            let (low, high) = (numbers(1)?, numbers(2)?);
            with(rows(0)?, |value, step| {
                if high[step] < low[step] { STALE } else { larger(low[step], smaller(high[step], value)) }
            })?
        }
        "clamp_min" => {
            let low = numbers(1)?;
            with(rows(0)?, |value, step| larger(low[step], value))?
        }
        "clamp_max" => {
            let high = numbers(1)?;
            with(rows(0)?, |value, step| smaller(high[step], value))?
        }
        "sort" | "sort_desc" => Value::Vector(sorted(rows(0)?, name == "sort_desc")),
        "sort_by_label" | "sort_by_label_desc" => {
            let names: Result<Vec<String>, EvalError> = (1..arguments.len()).map(text).collect();
            let names = names?;
            let mut rows = rows(0)?;
            rows.sort_by(|a, b| {
                let by_name = names.iter().map(|name| natural(a.labels.get(name), b.labels.get(name)));
                let order = by_name.fold(std::cmp::Ordering::Equal, std::cmp::Ordering::then);
                order.then_with(|| a.labels.cmp(&b.labels))
            });
            if name == "sort_by_label_desc" {
                rows.reverse();
            }
            Value::Vector(rows)
        }
        "histogram_quantile" => histogram::quantiles(&numbers(0)?, rows(1)?)?,
        // These read native histograms, of which there is none here.
        "histogram_avg" | "histogram_count" | "histogram_sum" | "histogram_stddev" | "histogram_stdvar"
        | "histogram_fraction" => Value::Vector(Vec::new()),
        "label_replace" => label_replace(rows(0)?, &text(1)?, &text(2)?, &text(3)?, &text(4)?)?,
        "label_join" => {
            let sources: Result<Vec<String>, EvalError> = (3..arguments.len()).map(text).collect();
            label_join(rows(0)?, &text(1)?, &text(2)?, &sources?)?
        }
        _ => {
            return Err(EvalError::Bad(format!("parse error: function \"{name}\" is not enabled")));
        }
    })
}

fn argument<'a>(arguments: &[&'a Expr], index: usize) -> Result<&'a Expr, EvalError> {
    arguments.get(index).copied().ok_or_else(|| EvalError::Execution("an argument is missing".to_owned()))
}

/// Functions of one number.
fn simple(name: &str) -> Option<fn(f64) -> f64> {
    Some(match name {
        "abs" => f64::abs,
        "ceil" => f64::ceil,
        "floor" => f64::floor,
        "exp" => f64::exp,
        "sqrt" => f64::sqrt,
        "ln" => f64::ln,
        "log2" => f64::log2,
        "log10" => f64::log10,
        "sin" => f64::sin,
        "cos" => f64::cos,
        "tan" => f64::tan,
        "asin" => f64::asin,
        "acos" => f64::acos,
        "atan" => f64::atan,
        "sinh" => f64::sinh,
        "cosh" => f64::cosh,
        "tanh" => f64::tanh,
        "asinh" => f64::asinh,
        "acosh" => f64::acosh,
        "atanh" => f64::atanh,
        "rad" => f64::to_radians,
        "deg" => f64::to_degrees,
        "sgn" => |value| match value {
            _ if value < 0.0 => -1.0,
            _ if value > 0.0 => 1.0,
            _ => value,
        },
        _ => return None,
    })
}

/// The larger of two, `NaN` where one is.
fn larger(a: f64, b: f64) -> f64 {
    if a.is_nan() || b.is_nan() { f64::NAN } else { a.max(b) }
}

/// The smaller of two, `NaN` where one is.
fn smaller(a: f64, b: f64) -> f64 {
    if a.is_nan() || b.is_nan() { f64::NAN } else { a.min(b) }
}

fn with(rows: Vec<Row>, change: impl Fn(f64, usize) -> f64) -> Result<Value, EvalError> {
    let changed = rows.into_iter().map(|row| Row {
        labels: row.labels.nameless(),
        values: row
            .values
            .into_iter()
            .enumerate()
            .map(|(step, value)| if is_stale(value) { STALE } else { change(value, step) })
            .collect(),
    });
    merge(changed.collect()).map(Value::Vector)
}

/// The value of the only series of a step; `NaN` where there is none or more than one.
fn only(rows: &[Row], steps: usize) -> Vec<f64> {
    (0..steps)
        .map(|step| {
            let mut present = rows.iter().map(|row| row.values[step]).filter(|value| !is_stale(*value));
            match (present.next(), present.next()) {
                (Some(value), None) => value,
                _ => f64::NAN,
            }
        })
        .collect()
}

/// The time of the samples themselves where the argument is a selector, the time of evaluation otherwise.
fn timestamp(eval: &Eval<'_>, argument: &Expr) -> Result<Value, EvalError> {
    let rows = if let Expr::VectorSelector(selector) = unwrapped(argument) {
        eval.looked_up(selector, |time, _| time as f64 / 1e3)?
    } else {
        let mut rows = eval.vector(argument)?;
        for row in &mut rows {
            for (step, value) in row.values.iter_mut().enumerate().filter(|(_, value)| !is_stale(**value)) {
                *value = eval.steps.at(step) as f64 / 1e3;
            }
        }
        rows
    };
    merge(map_rows(rows, |value| value)).map(Value::Vector)
}

fn absent(eval: &Eval<'_>, argument: &Expr) -> Result<Value, EvalError> {
    let rows = eval.vector(argument)?;
    let values = (0..eval.steps.count).map(|step| {
        let present = rows.iter().any(|row| !is_stale(row.values[step]));
        if present { STALE } else { 1.0 }
    });
    let labels = match unwrapped(argument) {
        Expr::VectorSelector(selector) => absent_labels(selector),
        _ => Labels::empty(),
    };
    let row = Row { labels, values: values.collect() };
    Ok(Value::Vector(if row.is_empty() { Vec::new() } else { vec![row] }))
}

/// The labels of what is absent: those that the selector asks for with `=`, once.
pub(super) fn absent_labels(selector: &VectorSelector) -> Labels {
    let matchers = &selector.matchers.matchers;
    let asked = matchers.iter().filter(|matcher| {
        let alone = matchers.iter().filter(|other| other.name == matcher.name).count() == 1;
        matcher.name != NAME && alone && matches!(matcher.op, MatchOp::Equal)
    });
    Labels::new(asked.map(|matcher| (matcher.name.as_str(), matcher.value.as_str())))
}

/// `sort` means something at one step only. `NaN` comes last either way.
fn sorted(mut rows: Vec<Row>, descending: bool) -> Vec<Row> {
    if rows.first().is_some_and(|row| row.values.len() == 1) {
        rows.sort_by(|a, b| {
            let (a, b) = (a.values[0], b.values[0]);
            match (a.is_nan(), b.is_nan()) {
                (false, false) if descending => nan_first(b, a),
                (false, false) => nan_first(a, b),
                (a, b) => a.cmp(&b),
            }
        });
    }
    rows
}

/// Compares as people count: runs of digits by their number.
fn natural(a: &str, b: &str) -> std::cmp::Ordering {
    let (mut a, mut b) = (a, b);
    loop {
        let digits = |text: &str| text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let (left, right) = (digits(a), digits(b));
        if left > 0 && right > 0 {
            let (one, other) = (a[..left].trim_start_matches('0'), b[..right].trim_start_matches('0'));
            let order = one.len().cmp(&other.len()).then_with(|| one.cmp(other));
            if order.is_ne() {
                return order;
            }
            (a, b) = (&a[left..], &b[right..]);
            continue;
        }
        let (mut left, mut right) = (a.chars(), b.chars());
        match (left.next(), right.next()) {
            (Some(one), Some(other)) if one == other => (a, b) = (left.as_str(), right.as_str()),
            (one, other) => return one.cmp(&other),
        }
    }
}

/// A part of a date in UTC.
#[derive(Debug, Clone, Copy)]
enum Part {
    Minute,
    Hour,
    DayOfWeek,
    DayOfMonth,
    DayOfYear,
    DaysInMonth,
    Month,
    Year,
}

fn calendar(name: &str) -> Option<Part> {
    Some(match name {
        "minute" => Part::Minute,
        "hour" => Part::Hour,
        "day_of_week" => Part::DayOfWeek,
        "day_of_month" => Part::DayOfMonth,
        "day_of_year" => Part::DayOfYear,
        "days_in_month" => Part::DaysInMonth,
        "month" => Part::Month,
        "year" => Part::Year,
        _ => return None,
    })
}

/// Takes a part of a Unix time in seconds; `NaN` where it is no time of the calendar.
fn part_of(seconds: f64, part: Part) -> f64 {
    let Some(time) = seconds
        .is_finite()
        .then(|| Timestamp::from_second(seconds as i64).ok())
        .flatten()
        .map(|time| TimeZone::UTC.to_datetime(time))
    else {
        return f64::NAN;
    };
    let date: Date = time.date();
    match part {
        Part::Minute => f64::from(time.minute()),
        Part::Hour => f64::from(time.hour()),
        Part::DayOfWeek => f64::from(date.weekday().to_sunday_zero_offset()),
        Part::DayOfMonth => f64::from(date.day()),
        Part::DayOfYear => f64::from(date.day_of_year()),
        Part::DaysInMonth => f64::from(date.days_in_month()),
        Part::Month => f64::from(date.month()),
        Part::Year => f64::from(date.year()),
    }
}

/// Tells whether a text may be the name of a label.
pub(super) fn is_label(text: &str) -> bool {
    let first = text.chars().next().is_some_and(|first| first.is_ascii_alphabetic() || first == '_');
    first && text.chars().all(|character| character.is_ascii_alphanumeric() || character == '_')
}

fn label_replace(
    rows: Vec<Row>,
    target: &str,
    replacement: &str,
    source: &str,
    pattern: &str,
) -> Result<Value, EvalError> {
    let regex = Regex::new(&format!("^(?s:{pattern})$")).map_err(|_| {
        EvalError::Execution(format!("invalid regular expression in label_replace(): {pattern}"))
    })?;
    if !is_label(target) {
        return Err(EvalError::Execution(format!(
            "invalid destination label name in label_replace(): {target}"
        )));
    }
    let renamed = rows.into_iter().map(|row| {
        let Some(found) = regex.captures(row.labels.get(source)) else {
            return row;
        };
        let mut value = String::new();
        found.expand(replacement, &mut value);
        Row { labels: row.labels.with(target, value), values: row.values }
    });
    merge(renamed.collect()).map(Value::Vector)
}

fn label_join(rows: Vec<Row>, target: &str, between: &str, sources: &[String]) -> Result<Value, EvalError> {
    if let Some(wrong) = sources.iter().find(|source| !is_label(source)) {
        return Err(EvalError::Execution(format!("invalid source label name in label_join(): {wrong}")));
    }
    if !is_label(target) {
        return Err(EvalError::Execution(format!(
            "invalid destination label name in label_join(): {target}"
        )));
    }
    let joined = rows.into_iter().map(|row| {
        let values: Vec<&str> = sources.iter().map(|source| row.labels.get(source)).collect();
        let labels = row.labels.with(target, values.join(between));
        Row { labels, values: row.values }
    });
    merge(joined.collect()).map(Value::Vector)
}
