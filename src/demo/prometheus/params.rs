//! Parameters of the HTTP API: times, durations, limits and selectors, with Prometheus's words about wrong ones.

use std::fmt::Write as _;

use jiff::Timestamp;
use promql_parser::parser::Expr;

use super::{Asked, Refusal};
use crate::demo::promql::duration::UNITS;
pub use crate::demo::promql::duration::words;
use crate::demo::promql::{Matcher, NAME, syntax};

/// Reads a time parameter in milliseconds; `None` where it is absent.
pub(super) fn time(asked: &Asked, name: &str) -> Result<Option<i64>, Refusal> {
    let text = asked.query.get(name);
    if text.is_empty() {
        return Ok(None);
    }
    match parse_time(text) {
        Some(time) => Ok(Some(time)),
        None => Err(Refusal::parameter(name, format_args!("cannot parse {text:?} to a valid timestamp"))),
    }
}

/// Reads seconds since the epoch, or a time of RFC 3339.
fn parse_time(text: &str) -> Option<i64> {
    if let Ok(seconds) = text.parse::<f64>() {
        return (seconds.abs() < 9e15).then(|| (seconds * 1e3).round() as i64);
    }
    text.parse::<Timestamp>().ok().map(Timestamp::as_millisecond)
}

/// Reads seconds, or a duration such as `1h30m`, in milliseconds.
pub fn duration(text: &str) -> Result<i64, String> {
    if let Ok(seconds) = text.parse::<f64>() {
        if seconds.abs() > 9e15 {
            return Err(format!("cannot parse {text:?} to a valid duration. It overflows int64"));
        }
        return Ok((seconds * 1e3).round() as i64);
    }
    words(text).ok_or_else(|| format!("cannot parse {text:?} to a valid duration"))
}

/// Writes a duration as configuration files have it.
pub fn in_words(millis: i64) -> String {
    if millis == 0 {
        return "0s".to_owned();
    }
    let mut rest = millis;
    let mut text = String::new();
    for (name, unit) in UNITS {
        // Years, weeks and days only where they come out even, as Prometheus writes them.
        if matches!(*name, "y" | "w" | "d") && rest % unit != 0 {
            continue;
        }
        if rest / unit > 0 {
            // Writing into a String cannot fail.
            let _ = write!(text, "{}{name}", rest / unit);
            rest %= unit;
        }
    }
    text
}

/// Reads how many results are wanted; `None` is all.
pub(super) fn limit(asked: &Asked) -> Result<Option<usize>, Refusal> {
    number(asked, "limit")
}

/// Reads a count; 0 and absent are `None`.
pub(super) fn number(asked: &Asked, name: &str) -> Result<Option<usize>, Refusal> {
    let text = asked.query.get(name);
    if text.is_empty() {
        return Ok(None);
    }
    match text.parse::<usize>() {
        Ok(0) => Ok(None),
        Ok(count) => Ok(Some(count)),
        Err(_) if text.starts_with('-') => Err(Refusal::parameter(name, "limit must be non-negative")),
        Err(_) => {
            Err(Refusal::parameter(name, format_args!("strconv.Atoi: parsing {text:?}: invalid syntax")))
        }
    }
}

/// Reads the selectors of `match[]`.
pub(super) fn selectors(asked: &Asked) -> Result<Vec<Vec<Matcher>>, Refusal> {
    asked.query.all("match[]").map(selector).collect()
}

/// Reads one selector.
pub(super) fn selector(text: &str) -> Result<Vec<Matcher>, Refusal> {
    let wrong = |what: String| Refusal::parameter("match[]", what);
    let parsed = syntax::parse(text).map_err(|error| wrong(error.to_string()))?;
    let Expr::VectorSelector(selector) = parsed else {
        return Err(wrong("1:1: parse error: expected a series selector".to_owned()));
    };
    let mut matchers: Vec<Matcher> = selector.name.iter().map(|name| Matcher::equal(NAME, name)).collect();
    matchers.extend(syntax::matchers(&selector.matchers).map_err(|error| wrong(error.to_string()))?);
    Ok(matchers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_and_written_as_in_configuration_files() {
        assert_eq!(words("1h30m"), Some(5_400_000));
        assert_eq!(words("1d"), Some(86_400_000));
        assert_eq!(words("15s500ms"), Some(15_500));
        assert_eq!((words("1m1h"), words("h"), words(""), words("5")), (None, None, None, None));
        assert_eq!(duration("30"), Ok(30_000));
        assert_eq!(duration("0.25"), Ok(250));
        assert_eq!(duration("x"), Err("cannot parse \"x\" to a valid duration".to_owned()));
        for text in ["1h30m", "1d", "2w", "90m", "36h", "0s", "30s"] {
            assert_eq!(words(&in_words(words(text).unwrap_or(0))), words(text).or(Some(0)), "{text}");
        }
        assert_eq!(in_words(5_400_000), "1h30m");
    }

    #[test]
    fn times_are_seconds_or_rfc_3339() {
        assert_eq!(parse_time("1772413200.5"), Some(1_772_413_200_500));
        assert_eq!(parse_time("2026-03-02T01:00:00Z"), Some(1_772_413_200_000));
        assert_eq!(parse_time("2026-03-02T02:00:00+01:00"), Some(1_772_413_200_000));
        assert_eq!(parse_time("yesterday"), None);
    }
}
