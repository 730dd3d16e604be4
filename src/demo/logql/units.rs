//! Durations and sizes as `LogQL`, Go and Prometheus write them.

const UNITS: &[(&str, f64)] = &[
    ("ns", 1.0),
    ("us", 1e3),
    ("µs", 1e3),
    ("ms", 1e6),
    ("s", 1e9),
    ("m", 60e9),
    ("h", 3600e9),
    ("d", 86_400e9),
    ("w", 604_800e9),
    ("y", 31_536_000e9),
];

/// Cuts off a number such as `12`, `1.5` or `.5`.
fn number(text: &str) -> (&str, &str) {
    text.split_at(text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len()))
}

/// Cuts off the letters of a unit.
fn unit(text: &str) -> (&str, &str) {
    text.split_at(text.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(text.len()))
}

/// Reads a duration as Go does, in nanoseconds: `1h30m`, `250ms`, `-1.5s`, `0`; days, weeks and years where `days`.
fn read(text: &str, days: bool) -> Option<i64> {
    let (negative, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    if rest == "0" {
        return Some(0);
    }
    if rest.is_empty() {
        return None;
    }
    let mut total = 0.0;
    while !rest.is_empty() {
        let (digits, after) = number(rest);
        let (name, after) = unit(after);
        let at = UNITS.iter().position(|(known, _)| *known == name)?;
        if at > 6 && !days {
            return None;
        }
        total += digits.parse::<f64>().ok()? * UNITS[at].1;
        rest = after;
    }
    (total < i64::MAX as f64).then_some(if negative { -total as i64 } else { total as i64 })
}

/// Reads a duration as Go's `time.ParseDuration` does, in nanoseconds.
pub fn go_duration(text: &str) -> Option<i64> {
    read(text, false)
}

/// Reads a duration that stands in a query, in nanoseconds: Go's and Prometheus' units.
pub fn duration(text: &str) -> Option<i64> {
    read(text, true)
}

/// The units of a range. Prometheus wants whole numbers, from the largest unit to the smallest, each once.
const ORDER: &[&str] = &["ms", "s", "m", "h", "d", "w", "y"];

/// Reads the duration of a range, in nanoseconds; says what is wrong in the words of Prometheus.
pub fn range(text: &str) -> Result<i64, String> {
    if text.is_empty() {
        return Err("empty duration string".to_owned());
    }
    if text == "0" {
        return Ok(0);
    }
    let mut rest = text;
    let mut total = 0_i64;
    let mut last = usize::MAX;
    while !rest.is_empty() {
        let wrong = || format!("not a valid duration string: {text:?}");
        let split = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        let (digits, after) = rest.split_at(split);
        if digits.is_empty() {
            return Err(wrong());
        }
        let split = after.find(|c: char| c.is_ascii_digit()).unwrap_or(after.len());
        let (name, after) = after.split_at(split);
        let Some(at) = ORDER.iter().position(|known| *known == name) else {
            return Err(if name.is_empty() {
                wrong()
            } else {
                format!("unknown unit {name:?} in duration {text:?}")
            });
        };
        if at >= last {
            return Err(wrong());
        }
        last = at;
        let size = UNITS.iter().find(|(known, _)| *known == name).map_or(0.0, |(_, size)| *size) as i64;
        let part = digits.parse::<i64>().ok().and_then(|count| count.checked_mul(size));
        total = part
            .and_then(|part| total.checked_add(part))
            .ok_or_else(|| "duration out of range".to_owned())?;
        rest = after;
    }
    Ok(total)
}

/// Reads a size as people write it, in bytes: `5KB` is 5000, `5KiB` is 5120, `42` is 42.
pub fn bytes(text: &str) -> Option<u64> {
    let text = text.trim();
    let split = text.find(|c: char| !c.is_ascii_digit() && c != '.' && c != ',').unwrap_or(text.len());
    let (digits, name) = text.split_at(split);
    let count: f64 = digits.replace(',', "").parse().ok()?;
    let factor: f64 = match name.trim().to_ascii_lowercase().as_str() {
        "" | "b" => 1.0,
        "k" | "kb" => 1e3,
        "m" | "mb" => 1e6,
        "g" | "gb" => 1e9,
        "t" | "tb" => 1e12,
        "p" | "pb" => 1e15,
        "ki" | "kib" => 1024.0,
        "mi" | "mib" => 1024_f64.powi(2),
        "gi" | "gib" => 1024_f64.powi(3),
        "ti" | "tib" => 1024_f64.powi(4),
        "pi" | "pib" => 1024_f64.powi(5),
        _ => return None,
    };
    Some((count * factor) as u64)
}

/// Writes a duration as Go does: `720h1m0s`, `1.5s`, `250ms`.
pub fn spell(nanos: i64) -> String {
    let sign = if nanos < 0 { "-" } else { "" };
    let all = nanos.unsigned_abs();
    let fraction = |value: u64, unit: u64| {
        let rest = format!("{:0width$}", value % unit, width = unit.ilog10() as usize);
        let rest = rest.trim_end_matches('0');
        if rest.is_empty() { String::new() } else { format!(".{rest}") }
    };
    if all == 0 {
        return "0s".to_owned();
    }
    for (limit, unit, name) in [(1_000, 1, "ns"), (1_000_000, 1_000, "µs"), (1_000_000_000, 1_000_000, "ms")]
    {
        if all < limit {
            let rest = if unit == 1 { String::new() } else { fraction(all, unit) };
            return format!("{sign}{}{rest}{name}", all / unit);
        }
    }
    let seconds = all / 1_000_000_000;
    let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
    let last = format!("{}{}s", seconds % 60, fraction(all, 1_000_000_000));
    match (hours, minutes) {
        (0, 0) => format!("{sign}{last}"),
        (0, _) => format!("{sign}{minutes}m{last}"),
        _ => format!("{sign}{hours}h{minutes}m{last}"),
    }
}
