//! Moments and spans of time as a person types them, on a screen and on a command line.

use jiff::civil::{Date, DateTime, Time};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

/// The forms that are understood, for messages.
pub const FORMS: &str = "14:02, 2026-11-20 14:02, 2026-11-20T14:02:31Z, -90m or now";

/// Reads a moment: a time of day, a date with or without one, RFC 3339, so long before now, or `now`.
///
/// What has no offset is meant in `zone`. A time of day that is still to come was meant of yesterday.
pub fn moment(text: &str, now: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
    let text = text.trim();
    if text == "now" {
        return Some(now);
    }
    if let Some(back) = text.strip_prefix('-') {
        return now.checked_sub(length(back)?).ok();
    }
    if let Some(at) = dated(text, zone) {
        return Some(at);
    }
    let time = of_day(text)?;
    let today = zone.to_datetime(now).date();
    let at = zone.to_timestamp(today.to_datetime(time)).ok()?;
    // A time of day that is still to come was meant of yesterday.
    if at > now { zone.to_timestamp(today.yesterday().ok()?.to_datetime(time)).ok() } else { Some(at) }
}

/// Reads the end of a span that begins at `from`: a moment, or so long after the beginning (`+2h`). A time of day is
/// the next one after the beginning, where that is not still to come.
pub fn end(text: &str, from: Timestamp, now: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
    let text = text.trim();
    if let Some(length_of) = text.strip_prefix('+') {
        return from.checked_add(length(length_of)?).ok();
    }
    let Some(time) = of_day(text) else { return moment(text, now, zone) };
    let date = zone.to_datetime(from).date();
    let at = zone.to_timestamp(date.to_datetime(time)).ok()?;
    if at > from {
        return Some(at);
    }
    let next = zone.to_timestamp(date.tomorrow().ok()?.to_datetime(time)).ok()?;
    Some(if next > now { at } else { next })
}

/// Takes what is typed apart into moments: a date and the time of day behind it are one.
pub fn parts(text: &str) -> Vec<String> {
    let mut parts: Vec<String> = Vec::new();
    for word in text.split_whitespace().filter(|word| !matches!(*word, "to" | "-" | "..")) {
        match parts.last_mut() {
            Some(last) if last.parse::<Date>().is_ok() && !last.contains('T') && of_day(word).is_some() => {
                last.push('T');
                last.push_str(word);
            }
            _ => parts.push(word.to_owned()),
        }
    }
    parts
}

fn length(text: &str) -> Option<SignedDuration> {
    let seconds = super::parse_span(text).filter(|seconds| *seconds > 0.0 && *seconds < 1e10)?;
    SignedDuration::try_from_secs_f64(seconds).ok()
}

fn dated(text: &str, zone: &TimeZone) -> Option<Timestamp> {
    if let Ok(at) = text.parse::<Timestamp>() {
        return Some(at);
    }
    let joined = parts(text);
    let [text] = joined.as_slice() else { return None };
    if let Ok(date) = text.parse::<Date>()
        && !text.contains(['T', 't'])
    {
        return zone.to_timestamp(date.to_datetime(Time::midnight())).ok();
    }
    // `2026-11-20T9:02`: people leave the nought out.
    let at = match text.split_once('T') {
        Some((date, time)) => date.parse::<Date>().ok()?.to_datetime(of_day(time)?),
        None => text.parse::<DateTime>().ok()?,
    };
    zone.to_timestamp(at).ok()
}

/// Reads `14:02` or `14:02:31`.
fn of_day(text: &str) -> Option<Time> {
    let (hours, rest) = text.split_once(':')?;
    let (minutes, seconds) = rest.split_once(':').unwrap_or((rest, "0"));
    Time::new(hours.parse().ok()?, minutes.parse().ok()?, seconds.parse().ok()?, 0).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> Timestamp {
        "2026-11-20T14:02:31Z".parse().unwrap()
    }

    #[test]
    fn a_moment_is_read_as_people_write_it() {
        let zone = TimeZone::fixed(jiff::tz::offset(1));
        let at = |text: &str| moment(text, now(), &zone).map(|at| at.to_string());
        for (text, expected) in [
            ("now", "2026-11-20T14:02:31Z"),
            ("-90m", "2026-11-20T12:32:31Z"),
            ("14:02", "2026-11-20T13:02:00Z"),
            ("23:00", "2026-11-19T22:00:00Z"),
            ("9:05:07", "2026-11-20T08:05:07Z"),
            ("2026-11-20 14:02", "2026-11-20T13:02:00Z"),
            ("2026-11-20T14:02", "2026-11-20T13:02:00Z"),
            ("2026-11-20", "2026-11-19T23:00:00Z"),
            ("2026-11-20T14:02:31.5Z", "2026-11-20T14:02:31.5Z"),
            ("2026-11-20T14:02:31+05:00", "2026-11-20T09:02:31Z"),
        ] {
            assert_eq!(at(text).as_deref(), Some(expected), "{text}");
        }
        for wrong in ["", "soon", "25:00", "2026-13-01", "-", "-x", "2026-11-20 14:02 15:00", "14"] {
            assert_eq!(at(wrong), None, "{wrong:?}");
        }
    }

    #[test]
    fn the_end_of_a_span_comes_after_its_beginning() {
        let zone = TimeZone::UTC;
        let from: Timestamp = "2026-11-18T23:30:00Z".parse().unwrap();
        let to = |text: &str| end(text, from, now(), &zone).map(|at| at.to_string());
        assert_eq!(to("+2h").as_deref(), Some("2026-11-19T01:30:00Z"));
        assert_eq!(to("23:45").as_deref(), Some("2026-11-18T23:45:00Z"));
        assert_eq!(to("00:15").as_deref(), Some("2026-11-19T00:15:00Z"), "of the night, not of today");
        assert_eq!(to("-1h").as_deref(), Some("2026-11-20T13:02:31Z"));
        assert_eq!(to("2026-11-19 10:00").as_deref(), Some("2026-11-19T10:00:00Z"));
    }

    #[test]
    fn a_date_and_its_time_are_one() {
        assert_eq!(parts("2026-11-20 14:02 15:30"), ["2026-11-20T14:02", "15:30"]);
        assert_eq!(parts("-6h to -2h"), ["-6h", "-2h"]);
        assert_eq!(parts("2026-11-20 2026-11-21"), ["2026-11-20", "2026-11-21"]);
    }
}
