//! Numbers as alerts tell them to people.

/// Writes a number with a decimal prefix: `12.3k`, `450m`.
pub fn humanize(value: f64) -> String {
    if value == 0.0 || !value.is_finite() {
        return short(value);
    }
    let (mut rest, mut prefix) = (value, "");
    if value.abs() >= 1.0 {
        for next in ["k", "M", "G", "T", "P", "E", "Z", "Y"] {
            if rest.abs() < 1_000.0 {
                break;
            }
            (rest, prefix) = (rest / 1_000.0, next);
        }
    } else {
        for next in ["m", "u", "n", "p", "f", "a", "z", "y"] {
            if rest.abs() >= 1.0 {
                break;
            }
            (rest, prefix) = (rest * 1_000.0, next);
        }
    }
    format!("{}{prefix}", short(rest))
}

/// Writes a number with a binary prefix: `1.5Gi`.
pub fn humanize1024(value: f64) -> String {
    if value.abs() <= 1.0 || !value.is_finite() {
        return short(value);
    }
    let (mut rest, mut prefix) = (value, "");
    for next in ["ki", "Mi", "Gi", "Ti", "Pi", "Ei", "Zi", "Yi"] {
        if rest.abs() < 1_024.0 {
            break;
        }
        (rest, prefix) = (rest / 1_024.0, next);
    }
    format!("{}{prefix}", short(rest))
}

/// Writes seconds: `1d 2h 3m 4s`, `12.5s`, `300ms`.
pub fn duration(seconds: f64) -> String {
    if !seconds.is_finite() {
        return short(seconds);
    }
    if seconds == 0.0 {
        return "0s".to_owned();
    }
    if seconds.abs() < 1.0 {
        let (mut rest, mut prefix) = (seconds, "");
        for next in ["m", "u", "n", "p", "f", "a", "z", "y"] {
            if rest.abs() >= 1.0 {
                break;
            }
            (rest, prefix) = (rest * 1_000.0, next);
        }
        return format!("{}{prefix}s", short(rest));
    }
    let sign = if seconds < 0.0 { "-" } else { "" };
    let whole = seconds.abs() as u64;
    let (days, hours, minutes, rest) = (whole / 86_400, whole / 3_600 % 24, whole / 60 % 60, whole % 60);
    if days > 0 {
        format!("{sign}{days}d {hours}h {minutes}m {rest}s")
    } else if hours > 0 {
        format!("{sign}{hours}h {minutes}m {rest}s")
    } else if minutes > 0 {
        format!("{sign}{minutes}m {rest}s")
    } else {
        format!("{sign}{}s", short(seconds.abs()))
    }
}

/// Writes a share as a percentage.
pub fn percentage(value: f64) -> String {
    format!("{}%", short(value * 100.0))
}

/// Writes Unix seconds as a time.
pub fn timestamp(seconds: f64) -> String {
    if !seconds.is_finite() || seconds.abs() > 1e11 {
        return short(seconds);
    }
    jiff::Timestamp::from_millisecond((seconds * 1e3) as i64)
        .map(|time| time.strftime("%Y-%m-%d %H:%M:%S%.f +0000 UTC").to_string())
        .unwrap_or_default()
}

/// Writes as `%.4g` does.
pub fn short(value: f64) -> String {
    significant(value, 4)
}

/// Writes as `%.Ng` does: N significant digits, no zeros behind them, an exponent where the number is longer.
pub fn significant(value: f64, digits: usize) -> String {
    if value.is_nan() {
        return "NaN".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { "+Inf".to_owned() } else { "-Inf".to_owned() };
    }
    if value == 0.0 {
        return "0".to_owned();
    }
    let digits = digits.max(1);
    let text = format!("{value:.*e}", digits - 1);
    let (mantissa, power) = text.split_once('e').unwrap_or((&text, "0"));
    let power: i32 = power.parse().unwrap_or(0);
    let cut = |text: &str| {
        if text.contains('.') {
            text.trim_end_matches('0').trim_end_matches('.').to_owned()
        } else {
            text.to_owned()
        }
    };
    if power < -4 || power >= i32::try_from(digits).unwrap_or(i32::MAX) {
        let sign = if power < 0 { '-' } else { '+' };
        return format!("{}e{sign}{:02}", cut(mantissa), power.abs());
    }
    let behind = usize::try_from(i32::try_from(digits).unwrap_or(0) - 1 - power).unwrap_or(0);
    cut(&format!("{value:.behind$}"))
}
