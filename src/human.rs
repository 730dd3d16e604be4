//! Numbers and times as people on call read them; screens, command line and messages share it.
//!
//! Pure: the moment, and the zone in which a time of day is meant, are handed in.

mod measure;

use jiff::Timestamp;
use jiff::tz::TimeZone;

pub use measure::Measure;

use crate::kinds::Unit;

pub mod lines;
pub mod times;

/// Writes a length of time as kubectl does: `45s`, `4m30s`, `37m`, `5h20m`, `3d4h`, `120d`, `2y34d`.
///
/// The steps are those of `HumanDuration` in k8s.io/apimachinery, so that an age here is the age there.
pub fn span(seconds: i64) -> String {
    const MINUTE: i64 = 60;
    const HOUR: i64 = 60 * MINUTE;
    const DAY: i64 = 24 * HOUR;
    const YEAR: i64 = 365 * DAY;
    let seconds = seconds.max(0);
    let two = |big: i64, unit: char, small: i64, fine: char| {
        if small == 0 { format!("{big}{unit}") } else { format!("{big}{unit}{small}{fine}") }
    };
    match seconds {
        0..120 => format!("{seconds}s"),
        120..600 => two(seconds / MINUTE, 'm', seconds % MINUTE, 's'),
        600..10_800 => format!("{}m", seconds / MINUTE),
        10_800..28_800 => two(seconds / HOUR, 'h', seconds % HOUR / MINUTE, 'm'),
        28_800..172_800 => format!("{}h", seconds / HOUR),
        172_800..691_200 => two(seconds / DAY, 'd', seconds % DAY / HOUR, 'h'),
        _ if seconds < 2 * YEAR => format!("{}d", seconds / DAY),
        _ if seconds < 8 * YEAR => two(seconds / YEAR, 'y', seconds % YEAR / DAY, 'd'),
        _ => format!("{}y", seconds / YEAR),
    }
}

/// Writes the time from `then` to `now`; a moment to come reads `in 5m`.
pub fn age(now: Timestamp, then: Timestamp) -> String {
    let seconds = now.as_second() - then.as_second();
    // Clocks of two machines differ by a little: that is not the future.
    if seconds < -5 { format!("in {}", span(-seconds)) } else { span(seconds) }
}

/// Returns the first moment after `now` at which [`age`] reads otherwise.
pub fn age_until(now: Timestamp, then: Timestamp) -> Timestamp {
    let seconds = now.as_second() - then.as_second();
    let step = step(seconds.abs());
    // An age grows into its next step; what is to come shrinks out of this one.
    let left = if seconds >= 0 { step - seconds % step } else { -seconds % step + 1 };
    Timestamp::from_second(now.as_second() + left).unwrap_or(Timestamp::MAX)
}

/// Returns by how many seconds a length of time must grow until [`span`] may read otherwise.
fn step(seconds: i64) -> i64 {
    const DAY: i64 = 24 * 3_600;
    match seconds {
        ..600 => 1,
        600..28_800 => 60,
        28_800..691_200 => 3_600,
        _ if seconds < 8 * 365 * DAY => DAY,
        _ => 365 * DAY,
    }
}

/// Returns the moment after a time of day, in any zone, at which its minute is over.
pub fn minute_until(now: Timestamp) -> Timestamp {
    // Offsets from UTC are whole minutes since 1972.
    let seconds = now.as_second();
    Timestamp::from_second(seconds + 60 - seconds.rem_euclid(60)).unwrap_or(Timestamp::MAX)
}

/// Writes a whole number with its thousands apart: `10,000`.
pub fn count(number: impl TryInto<i128>) -> String {
    let number = number.try_into().unwrap_or(i128::MAX);
    let digits = number.unsigned_abs().to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3 + 1);
    if number < 0 {
        text.push('-');
    }
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Writes a percentage with one digit below ten and none above: `0.2`, `8.1`, `96`.
pub fn percent(value: f64) -> String {
    if !value.is_finite() {
        return "?".to_owned();
    }
    // A little is not nothing.
    if value > 0.0 && value < 0.05 {
        return "<0.1".to_owned();
    }
    // 9.96 is 10, not 10.0.
    if value.abs() < 9.95 && value.fract().abs() > f64::EPSILON {
        format!("{value:.1}")
    } else {
        format!("{value:.0}")
    }
}

/// Writes an amount with its unit: `250m` and `1.5` cores, `512Mi` and `1.5Gi` of bytes.
pub fn quantity(value: f64, unit: Unit) -> String {
    if !value.is_finite() {
        return "?".to_owned();
    }
    match unit {
        Unit::Cores if value != 0.0 && value.abs() < 1.0 => format!("{:.0}m", value * 1000.0),
        Unit::Cores | Unit::Plain => decimal(value),
        Unit::Bytes => {
            const STEPS: [&str; 7] = ["", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];
            let mut value = value;
            let mut step = 0;
            while value.abs() >= 1024.0 && step + 1 < STEPS.len() {
                value /= 1024.0;
                step += 1;
            }
            format!("{}{}", decimal(value), STEPS[step])
        }
    }
}

/// One digit after the point where it says something.
fn decimal(value: f64) -> String {
    if value.abs() >= 99.95 || (value - value.round()).abs() < 0.05 {
        format!("{value:.0}")
    } else {
        format!("{value:.1}")
    }
}

/// Reads a Kubernetes quantity: `250m`, `1.5`, `512Mi`, `1e3`, `123456789n`.
///
/// The suffixes are those of `resource.Quantity` in k8s.io/apimachinery.
pub fn parse_quantity(text: &str) -> Option<f64> {
    let text = text.trim();
    // An exponent belongs to the number, unless `E` stands last, where it means exa.
    let end = text
        .bytes()
        .enumerate()
        .find(|(at, byte)| match byte {
            b'0'..=b'9' | b'.' | b'+' | b'-' => false,
            b'e' | b'E' => {
                text.as_bytes().get(at + 1).is_none_or(|next| !matches!(next, b'0'..=b'9' | b'+' | b'-'))
            }
            _ => true,
        })
        .map_or(text.len(), |(at, _)| at);
    let (number, suffix) = text.split_at(end);
    let factor = match suffix {
        "" => 1.0,
        "n" => 1e-9,
        "u" => 1e-6,
        "m" => 1e-3,
        "k" => 1e3,
        "M" => 1e6,
        "G" => 1e9,
        "T" => 1e12,
        "P" => 1e15,
        "E" => 1e18,
        "Ki" => 1024.0,
        "Mi" => 1024.0 * 1024.0,
        "Gi" => 1024.0 * 1024.0 * 1024.0,
        "Ti" => 1024.0 * 1024.0 * 1024.0 * 1024.0,
        "Pi" => 1024.0 * 1024.0 * 1024.0 * 1024.0 * 1024.0,
        "Ei" => 1024.0 * 1024.0 * 1024.0 * 1024.0 * 1024.0 * 1024.0,
        _ => return None,
    };
    let number: f64 = number.parse().ok()?;
    Some(number * factor).filter(|value| value.is_finite())
}

/// Reads a length of time in seconds: what [`span`] writes and what Go writes (`90s`, `1h30m`, `3d4h`, `1.5h`,
/// `500ms`).
pub fn parse_span(text: &str) -> Option<f64> {
    let mut rest = text.trim();
    if rest.is_empty() {
        return None;
    }
    let mut total = 0.0;
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(|byte| byte.is_ascii_digit() || *byte == b'.').count();
        let (number, tail) = rest.split_at(digits);
        let letters = tail.bytes().take_while(u8::is_ascii_alphabetic).count();
        let (unit, tail) = tail.split_at(letters);
        let factor = match unit {
            "ns" => 1e-9,
            "us" => 1e-6,
            "ms" => 1e-3,
            "s" => 1.0,
            "m" => 60.0,
            "h" => 3_600.0,
            "d" => 86_400.0,
            "w" => 7.0 * 86_400.0,
            "y" => 365.0 * 86_400.0,
            // Go writes no time as a bare nought.
            "" if number == "0" && total == 0.0 => 0.0,
            _ => return None,
        };
        total += number.parse::<f64>().ok()? * factor;
        rest = tail;
    }
    Some(total)
}

/// Writes the time of day to the minute: `14:02`.
pub fn minute(at: Timestamp, zone: &TimeZone) -> String {
    let at = zone.to_datetime(at);
    format!("{:02}:{:02}", at.hour(), at.minute())
}

/// Writes the time of day to the second: `14:02:31`.
pub fn clock(at: Timestamp, zone: &TimeZone) -> String {
    let at = zone.to_datetime(at);
    format!("{:02}:{:02}:{:02}", at.hour(), at.minute(), at.second())
}

/// Writes the time of day to the minute, with the date where it is another day than `now`: `13:58`,
/// `Nov 20 13:58`.
pub fn moment(at: Timestamp, now: Timestamp, zone: &TimeZone) -> String {
    let (then, today) = (zone.to_datetime(at), zone.to_datetime(now));
    let time = format!("{:02}:{:02}", then.hour(), then.minute());
    if then.date() == today.date() { time } else { format!("{} {time}", then.strftime("%b %-d")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_of_time_read_as_in_kubectl() {
        let minute = 60;
        let (hour, day) = (60 * minute, 24 * 60 * minute);
        // Values of TestHumanDuration in k8s.io/apimachinery/pkg/util/duration.
        for (seconds, text) in [
            (1, "1s"),
            (70, "70s"),
            (190, "3m10s"),
            (70 * minute, "70m"),
            (47 * hour, "47h"),
            (49 * hour, "2d1h"),
            (8 * day + 2 * hour, "8d"),
            (367 * day, "367d"),
            (365 * 2 * day + 25 * hour, "2y1d"),
            (365 * 8 * day + 2 * hour, "8y"),
        ] {
            assert_eq!(span(seconds), text, "{seconds} s");
        }
    }

    #[test]
    fn an_age_holds_until_the_second_at_which_it_reads_otherwise() {
        let second = |second| Timestamp::from_second(second).unwrap();
        let now = 1_800_000_000;
        for apart in (-700_000..900_000).step_by(331).chain(-700..12_000).chain(28_000..29_000) {
            let then = second(now - apart);
            let until = age_until(second(now), then).as_second();
            assert!(until > now, "{apart}");
            let text = age(second(now), then);
            assert_eq!(age(second(until - 1), then), text, "{apart}");
            // Around now, clocks are forgiven their difference.
            if !(-6..0).contains(&apart) {
                assert_ne!(age(second(until), then), text, "{apart}");
            }
        }
    }

    #[test]
    fn a_moment_to_come_is_not_an_age() {
        let now: Timestamp = "2026-01-01T10:00:00Z".parse().unwrap();
        assert_eq!(age(now, "2026-01-01T09:56:00Z".parse().unwrap()), "4m");
        assert_eq!(age(now, "2026-01-01T10:00:02Z".parse().unwrap()), "0s");
        assert_eq!(age(now, "2026-01-01T18:00:00Z".parse().unwrap()), "in 8h");
    }

    #[test]
    fn numbers_carry_what_a_glance_needs() {
        assert_eq!(count(-1_234_567), "-1,234,567");
        assert_eq!(count(999), "999");
        assert_eq!([0.0, 0.04, 8.13, 9.97, 96.4].map(percent), ["0", "<0.1", "8.1", "10", "96"]);
        assert_eq!(percent(f64::NAN), "?");
        assert_eq!(quantity(0.25, Unit::Cores), "250m");
        assert_eq!(quantity(1.5, Unit::Cores), "1.5");
        assert_eq!(quantity(0.0, Unit::Cores), "0");
        assert_eq!(quantity(536_870_912.0, Unit::Bytes), "512Mi");
        assert_eq!(quantity(1_610_612_736.0, Unit::Bytes), "1.5Gi");
    }

    #[test]
    fn quantities_are_read_in_every_form_of_the_wire() {
        for (text, value) in [
            ("250m", 0.25),
            ("1.5", 1.5),
            ("1024Ki", 1_048_576.0),
            ("1Gi", 1_073_741_824.0),
            ("123456789n", 0.123_456_789),
            ("1e3", 1_000.0),
            ("2E", 2e18),
            ("1E-2", 0.01),
            ("128k", 128_000.0),
            ("-1", -1.0),
        ] {
            let read = parse_quantity(text).unwrap();
            assert!((read - value).abs() <= value.abs() * 1e-12, "{text}: {read}");
        }
        for text in ["", "abc", "1Qi", "1 Gi", "inf", "1e999"] {
            assert_eq!(parse_quantity(text), None, "{text:?}");
        }
    }

    #[test]
    fn lengths_of_time_are_read_as_people_and_go_write_them() {
        for (text, seconds) in [
            ("90s", 90.0),
            ("1h30m", 5_400.0),
            ("3d4h", 273_600.0),
            ("1.5h", 5_400.0),
            ("500ms", 0.5),
            ("0", 0.0),
        ] {
            assert_eq!(parse_span(text), Some(seconds), "{text}");
        }
        for text in ["", "5", "h", "5x", "1h 2m"] {
            assert_eq!(parse_span(text), None, "{text:?}");
        }
    }

    #[test]
    fn a_time_of_another_day_names_the_day() {
        let now: Timestamp = "2026-11-21T10:00:00Z".parse().unwrap();
        let zone = TimeZone::UTC;
        assert_eq!(moment("2026-11-21T08:05:00Z".parse().unwrap(), now, &zone), "08:05");
        assert_eq!(moment("2026-11-20T08:05:00Z".parse().unwrap(), now, &zone), "Nov 20 08:05");
        assert_eq!(clock(now, &zone), "10:00:00");
    }
}
