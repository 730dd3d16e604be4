//! Parameters of a request, read as Loki reads them: times in three spellings, durations in two, and their defaults.

use jiff::Timestamp;

use super::answer::Refused;
use super::{ENTRIES, LENGTH};
use crate::demo::logql::units;
use crate::demo::request::Query;

const SECOND: i64 = 1_000_000_000;
/// Points that a series of a range query may have.
const POINTS: i64 = 11_000;

/// Which entries come first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// The newest.
    Backward,
    /// The oldest.
    Forward,
}

/// The parameters of a request, from its address and from a form in its body.
#[derive(Debug, Clone)]
pub struct Parameters {
    query: Query,
    /// All pairs as they were sent, for those that may come several times.
    raw: String,
    now: i64,
}

/// Returns nanoseconds since 1970.
pub fn nanos(at: Timestamp) -> i64 {
    i64::try_from(at.as_nanosecond()).unwrap_or(i64::MAX)
}

/// Returns the time of nanoseconds since 1970.
pub fn time(nanos: i64) -> Timestamp {
    Timestamp::from_nanosecond(i128::from(nanos)).unwrap_or(Timestamp::MAX)
}

impl Parameters {
    /// Reads a query string and a form.
    pub fn new(query: &str, form: &str, now: Timestamp) -> Self {
        let raw = format!("{query}&{form}");
        Self { query: Query::new(&raw), raw, now: nanos(now) }
    }

    /// Returns a parameter, empty where it is absent.
    pub fn get(&self, name: &str) -> &str {
        self.query.get(name)
    }

    /// Returns the values of a parameter that may come several times.
    pub fn all(&self, name: &str) -> Vec<String> {
        self.raw
            .split('&')
            .filter_map(|pair| pair.split_once('='))
            .map(|(key, value)| {
                (crate::demo::request::decode(key, true), crate::demo::request::decode(value, true))
            })
            .filter(|(key, value)| key == name && !value.is_empty())
            .map(|(_, value)| value)
            .collect()
    }

    /// Returns the time of the request, in nanoseconds.
    pub fn now(&self) -> i64 {
        self.now
    }

    fn number(&self, name: &str, default: i64) -> Result<i64, Refused> {
        let text = self.get(name);
        if text.is_empty() {
            return Ok(default);
        }
        text.parse().map_err(|_| Refused::bad(format!("strconv.Atoi: parsing {text:?}: invalid syntax")))
    }

    /// Reads a time: nanoseconds, seconds (up to ten digits, or with a point), or RFC 3339.
    fn time(&self, name: &str, default: i64) -> Result<i64, Refused> {
        let text = self.get(name);
        if text.is_empty() {
            return Ok(default);
        }
        if text.contains('.')
            && let Ok(seconds) = text.parse::<f64>()
        {
            let milliseconds = (seconds.fract() * 1_000.0).round() as i64;
            return Ok(seconds.trunc() as i64 * SECOND + milliseconds * 1_000_000);
        }
        match text.parse::<i64>() {
            Ok(seconds) if text.len() <= 10 => Ok(seconds.saturating_mul(SECOND)),
            Ok(nanos) => Ok(nanos),
            Err(_) => text.parse::<Timestamp>().map(nanos).map_err(|_| {
                let why = format!("strconv.ParseInt: parsing {text:?}: invalid syntax");
                Refused::bad(format!("could not parse '{name}' parameter: {why}"))
            }),
        }
    }

    /// Returns the time of an instant query.
    pub fn at(&self) -> Result<i64, Refused> {
        self.time("time", self.now)
    }

    /// Returns start and end, in nanoseconds: the last hour unless told otherwise.
    pub fn bounds(&self) -> Result<(i64, i64), Refused> {
        let since = match self.get("since") {
            "" => 3_600 * SECOND,
            text => units::range(text)
                .map_err(|why| Refused::bad(format!("could not parse 'since' parameter: {why}")))?,
        };
        let end = self.time("end", self.now)?;
        let start = self.time("start", end.min(self.now).saturating_sub(since))?;
        Ok((start, end))
    }

    /// Returns start and end of a query, which must not be longer than the limit.
    pub fn window(&self) -> Result<(i64, i64), Refused> {
        let (start, end) = self.bounds()?;
        if end < start {
            return Err(Refused::bad("end timestamp must not be before or equal to start time"));
        }
        let length = end.saturating_sub(start);
        if length > LENGTH {
            return Err(Refused::bad(format!(
                "the query time range exceeds the limit (query length: {}, limit: 30d1h)",
                units::spell(length)
            )));
        }
        Ok((start, end))
    }

    /// Returns how many entries are wanted at most.
    pub fn limit(&self) -> Result<usize, Refused> {
        let limit = self.number("limit", 100)?;
        if limit <= 0 {
            return Err(Refused::bad("limit must be a positive value"));
        }
        Ok(usize::try_from(limit).unwrap_or(usize::MAX))
    }

    /// Returns how many entries are wanted, within what one query may ask for.
    pub fn entries(&self) -> Result<usize, Refused> {
        let limit = self.limit()?;
        if limit > ENTRIES {
            return Err(Refused::bad(format!(
                "max entries limit per query exceeded, limit > max_entries_limit_per_query ({limit} > {ENTRIES})"
            )));
        }
        Ok(limit)
    }

    /// Returns which entries come first.
    pub fn direction(&self) -> Result<Direction, Refused> {
        let text = self.get("direction");
        match text.to_ascii_lowercase().as_str() {
            "" | "backward" => Ok(Direction::Backward),
            "forward" => Ok(Direction::Forward),
            _ => Err(Refused::bad(format!("invalid direction '{text}'"))),
        }
    }

    fn span(&self, name: &str) -> Result<Option<i64>, Refused> {
        let text = self.get(name);
        if text.is_empty() {
            return Ok(None);
        }
        let seconds = text.parse::<f64>().ok().map(|seconds| (seconds * 1e9) as i64);
        let read = seconds.or_else(|| units::range(text).ok());
        read.map(Some).ok_or_else(|| Refused::bad(format!("cannot parse {text:?} to a valid duration")))
    }

    /// Returns the step of a range query, in nanoseconds.
    pub fn step(&self, start: i64, end: i64) -> Result<i64, Refused> {
        let step = self.span("step")?.unwrap_or_else(|| ((end - start) / SECOND / 250).max(1) * SECOND);
        if step <= 0 {
            return Err(Refused::bad(
                "zero or negative query resolution step widths are not accepted. Try a positive integer",
            ));
        }
        if (end - start) / step > POINTS {
            return Err(Refused::bad(
                "exceeded maximum resolution of 11,000 points per time series. Try increasing the value of the step parameter",
            ));
        }
        Ok(step)
    }

    /// Returns how far apart the entries of a stream must be, in nanoseconds; 0 for all.
    pub fn interval(&self) -> Result<i64, Refused> {
        match self.span("interval")?.unwrap_or(0) {
            negative if negative < 0 => Err(Refused::bad("interval must be >= 0")),
            interval => Ok(interval),
        }
    }

    /// Returns the seconds that a tail waits for late entries.
    pub fn delay(&self) -> Result<u64, Refused> {
        let delay = self.number("delay_for", 0)?;
        match u64::try_from(delay) {
            Ok(delay) if delay <= 5 => Ok(delay),
            _ => Err(Refused::bad("delay_for can't be greater than 5")),
        }
    }

    /// Returns how many lines are looked at for fields.
    pub fn line_limit(&self) -> Result<usize, Refused> {
        let limit = self.number("line_limit", 100)?;
        if limit <= 0 {
            return Err(Refused::bad("limit must be a positive value"));
        }
        Ok(usize::try_from(limit).unwrap_or(usize::MAX).min(ENTRIES))
    }
}
