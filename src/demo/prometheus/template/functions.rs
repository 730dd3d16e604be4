//! The functions of templates.

use std::cmp::Ordering;
use std::fmt::Write as _;

use regex::Regex;

use super::humanize;
use super::{Scope, Val};
use crate::demo::prometheus::rules::EXTERNAL_URL;
use crate::demo::promql::format::number;
use crate::demo::promql::{Answer, Labels, instant};

/// Calls a function; the value that a pipe hands over is the last argument.
pub(super) fn call(name: &str, arguments: &[Val], scope: &Scope<'_>) -> Result<Val, String> {
    let text = |index: usize| match arguments.get(index) {
        Some(Val::Text(text)) => Ok(text.as_str()),
        Some(other) => Err(format!("error calling {name}: {} is no text", other.show())),
        None => Err(format!("wrong number of args for {name}")),
    };
    let one = || arguments.first().ok_or_else(|| format!("wrong number of args for {name}"));
    let float = || match one()? {
        Val::Number(value) => Ok(*value),
        Val::Text(text) => text.parse().map_err(|_| format!("error calling {name}: {text:?} is no number")),
        other => Err(format!("error calling {name}: {} is no number", other.show())),
    };
    Ok(match name {
        "humanize" => Val::Text(humanize::humanize(float()?)),
        "humanize1024" => Val::Text(humanize::humanize1024(float()?)),
        "humanizeDuration" => Val::Text(humanize::duration(float()?)),
        "humanizePercentage" => Val::Text(humanize::percentage(float()?)),
        "humanizeTimestamp" => Val::Text(humanize::timestamp(float()?)),
        "toUpper" => Val::Text(text(0)?.to_uppercase()),
        "toLower" => Val::Text(text(0)?.to_lowercase()),
        "title" => Val::Text(title(text(0)?)),
        "match" => Val::Bool(regex(text(0)?)?.is_match(text(1)?)),
        "reReplaceAll" => Val::Text(regex(text(0)?)?.replace_all(text(2)?, text(1)?).into_owned()),
        "stripPort" => {
            let host = text(0)?;
            Val::Text(host.rsplit_once(':').map_or(host, |(host, _)| host).to_owned())
        }
        "stripDomain" => {
            let host = text(0)?;
            let (address, port) = host.rsplit_once(':').map_or((host, ""), |(host, port)| (host, port));
            let first = address.split('.').next().unwrap_or_default();
            Val::Text(if port.is_empty() { first.to_owned() } else { format!("{first}:{port}") })
        }
        "externalURL" => Val::Text(EXTERNAL_URL.to_owned()),
        "pathPrefix" => Val::Text(String::new()),
        "safeHtml" | "html" | "js" | "urlquery" => one()?.clone(),
        "parseDuration" => {
            let millis = crate::demo::prometheus::params::words(text(0)?).ok_or_else(|| {
                format!("error calling parseDuration: not a valid duration string: {arguments:?}")
            })?;
            Val::Number(millis as f64 / 1e3)
        }
        "query" => query(text(0)?, scope)?,
        "first" => match one()? {
            Val::List(list) => list
                .first()
                .cloned()
                .ok_or("error calling first: first() called on vector with no elements")?,
            other => return Err(format!("error calling first: {} is no vector", other.show())),
        },
        "value" => one()?.field("Value")?,
        "label" => match arguments {
            [Val::Text(label), Val::Sample(labels, _)] => Val::Text(labels.get(label).to_owned()),
            _ => return Err("wrong type for value of label".to_owned()),
        },
        "strvalue" => match one()? {
            Val::Sample(labels, _) => Val::Text(labels.get("__value__").to_owned()),
            other => return Err(format!("error calling strvalue: {} is no sample", other.show())),
        },
        "sortByLabel" => match arguments {
            [Val::Text(label), Val::List(list)] => {
                let mut list = list.clone();
                let value = |one: &Val| match one {
                    Val::Sample(labels, _) => labels.get(label).to_owned(),
                    _ => String::new(),
                };
                list.sort_by_key(value);
                Val::List(list)
            }
            _ => return Err("wrong type for value of sortByLabel".to_owned()),
        },
        "print" => Val::Text(arguments.iter().map(Val::show).collect::<Vec<String>>().join(" ")),
        "printf" => Val::Text(printf(text(0)?, &arguments[1..])),
        "len" => Val::Number(match one()? {
            Val::Text(text) => text.len(),
            Val::List(list) => list.len(),
            Val::Labels(labels) => labels.len(),
            other => return Err(format!("error calling len: len of {}", other.show())),
        } as f64),
        "index" => match arguments {
            [Val::Labels(labels), Val::Text(label)] => Val::Text(labels.get(label).to_owned()),
            [Val::List(list), Val::Number(at)] => {
                list.get(*at as usize).cloned().ok_or("error calling index: index out of range")?
            }
            _ => return Err("error calling index: can't index item".to_owned()),
        },
        "not" => Val::Bool(!one()?.truth()),
        "and" => arguments
            .iter()
            .find(|value| !value.truth())
            .or(arguments.last())
            .cloned()
            .unwrap_or(Val::Nothing),
        "or" => {
            arguments.iter().find(|value| value.truth()).or(arguments.last()).cloned().unwrap_or(Val::Nothing)
        }
        "eq" => Val::Bool(arguments.iter().skip(1).any(|other| Some(other) == arguments.first())),
        "ne" => Val::Bool(arguments.first() != arguments.get(1)),
        "lt" | "le" | "gt" | "ge" => {
            let order =
                order(arguments).ok_or_else(|| format!("error calling {name}: incompatible types"))?;
            Val::Bool(match name {
                "lt" => order.is_lt(),
                "le" => order.is_le(),
                "gt" => order.is_gt(),
                _ => order.is_ge(),
            })
        }
        _ => return Err(format!("function \"{name}\" not defined")),
    })
}

fn order(arguments: &[Val]) -> Option<Ordering> {
    match arguments {
        [Val::Number(a), Val::Number(b)] => a.partial_cmp(b),
        [Val::Text(a), Val::Text(b)] => Some(a.cmp(b)),
        _ => None,
    }
}

fn regex(text: &str) -> Result<Regex, String> {
    Regex::new(text).map_err(|_| format!("error parsing regexp: `{text}`"))
}

fn title(text: &str) -> String {
    let mut before = ' ';
    text.chars()
        .flat_map(|character| {
            let starts = !before.is_alphanumeric();
            before = character;
            if starts { character.to_uppercase().collect::<Vec<char>>() } else { vec![character] }
        })
        .collect()
}

fn query(expr: &str, scope: &Scope<'_>) -> Result<Val, String> {
    let sample = |labels: Labels, value: f64| Val::Sample(labels, value);
    match instant(scope.samples, expr, scope.at_ms)
        .map_err(|error| format!("error calling query: {error}"))?
    {
        Answer::Vector(vector) => {
            Ok(Val::List(vector.into_iter().map(|one| sample(one.labels, one.value)).collect()))
        }
        Answer::Scalar(value) => Ok(Val::List(vec![sample(Labels::empty(), value)])),
        Answer::Matrix(_) | Answer::Text(_) => {
            Err("error calling query: query result is not a vector or scalar".to_owned())
        }
    }
}

/// The verbs of `printf` that rules use.
fn printf(format: &str, arguments: &[Val]) -> String {
    let mut out = String::new();
    let mut next = arguments.iter();
    let mut rest = format;
    while let Some((before, after)) = rest.split_once('%') {
        out.push_str(before);
        let end = after.find(|c: char| c.is_ascii_alphabetic() || c == '%').unwrap_or(after.len());
        let flags = &after[..end];
        let verb = after[end..].chars().next();
        rest = after.get(end + 1..).unwrap_or_default();
        let Some(verb) = verb else {
            out.push_str("%!(NOVERB)");
            break;
        };
        if verb == '%' {
            out.push('%');
            continue;
        }
        let Some(value) = next.next() else {
            // Writing into a String cannot fail, here and below.
            let _ = write!(out, "%!{verb}(MISSING)");
            continue;
        };
        let (width, digits) = flags
            .split_once('.')
            .map_or((flags, None), |(width, digits)| (width, Some(digits.parse::<usize>().unwrap_or(0))));
        let text = verb_text(verb, value, digits);
        let left = width.starts_with('-');
        let zero = width.starts_with('0');
        let width: usize = width.trim_start_matches(['-', '+', '0', ' ', '#']).parse().unwrap_or(0);
        let _ = match (left, zero) {
            (true, _) => write!(out, "{text:<width$}"),
            (false, true) => write!(out, "{text:0>width$}"),
            (false, false) => write!(out, "{text:>width$}"),
        };
    }
    out.push_str(rest);
    out
}

fn verb_text(verb: char, value: &Val, digits: Option<usize>) -> String {
    match (verb, value) {
        ('f' | 'F', Val::Number(value)) if value.is_finite() => format!("{value:.*}", digits.unwrap_or(6)),
        ('g', Val::Number(value)) => match digits {
            Some(digits) => humanize::significant(*value, digits),
            None => number(*value),
        },
        ('e', Val::Number(value)) => {
            let text = format!("{value:.*e}", digits.unwrap_or(6));
            let (mantissa, power) = text.split_once('e').unwrap_or((&text, "0"));
            let (sign, power) = power.strip_prefix('-').map_or(('+', power), |power| ('-', power));
            format!("{mantissa}e{sign}{power:0>2}")
        }
        ('d', Val::Number(value)) => format!("%!d(float64={})", number(*value)),
        ('q', value) => format!("{:?}", value.show()),
        (_, value) => value.show(),
    }
}
