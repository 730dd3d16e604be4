//! Measured values: how each unit is written, and which numbers of it are round.
//!
//! Boards name the unit of a panel; axes, legends and stats write their values through it. A value that is no
//! number is written as Prometheus writes it, because `NaN` (nothing to divide) and `+Inf` (beyond the last bucket)
//! say different things and neither is a zero.

use super::{count, percent, quantity, span};
use crate::kinds::Unit;

/// What a value measures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Measure {
    /// A plain number.
    #[default]
    Short,
    /// A part of one, written as a percentage.
    Ratio,
    /// Seconds.
    Seconds,
    /// Bytes.
    Bytes,
    /// Bytes a second.
    ByteRate,
    /// CPU cores.
    Cores,
    /// Times a second.
    Rate,
    /// Whole things.
    Count,
}

impl Measure {
    /// Every unit with the word that board files use.
    pub const WORDS: [(&'static str, Self); 8] = [
        ("short", Self::Short),
        ("ratio", Self::Ratio),
        ("seconds", Self::Seconds),
        ("bytes", Self::Bytes),
        ("bytes/s", Self::ByteRate),
        ("cores", Self::Cores),
        ("ops/s", Self::Rate),
        ("count", Self::Count),
    ];

    /// Finds a unit by its word.
    pub fn named(word: &str) -> Option<Self> {
        Self::WORDS.iter().find(|(one, _)| *one == word).map(|(_, unit)| *unit)
    }

    /// Returns the word that board files use.
    pub fn word(self) -> &'static str {
        Self::WORDS.iter().find(|(_, unit)| *unit == self).map_or("short", |(word, _)| word)
    }

    /// Writes a value: `8.1%`, `910ms`, `1.5Gi`, `12/s`, `250m`.
    #[expect(clippy::match_same_arms, reason = "the order of the arms decides")]
    pub fn text(self, value: f64) -> String {
        if value.is_nan() {
            return "NaN".to_owned();
        }
        if value.is_infinite() {
            return if value > 0.0 { "+Inf" } else { "-Inf" }.to_owned();
        }
        // A negative nought is a nought.
        let value = if value == 0.0 { 0.0 } else { value };
        match self {
            Self::Short => short(value),
            Self::Ratio if value < 0.0 => format!("-{}%", percent(-value * 100.0)),
            // 99.96 % of availability are not 100 %.
            Self::Ratio if value > 0.99 && value < 1.0 => {
                format!("{}%", (value * 10_000.0 + 1e-6).floor() / 100.0)
            }
            Self::Ratio => format!("{}%", percent(value * 100.0)),
            Self::Seconds => seconds(value),
            Self::Bytes => quantity(value, Unit::Bytes),
            Self::ByteRate => format!("{}/s", quantity(value, Unit::Bytes)),
            Self::Cores if value != 0.0 && value.abs() < 0.000_5 => "<1m".to_owned(),
            Self::Cores => quantity(value, Unit::Cores),
            Self::Rate => format!("{}/s", short(value)),
            Self::Count if value.abs() >= 100_000.0 => short(value),
            // `increase` extrapolates: one restart shows as 1.02 (contracts 4.5).
            Self::Count if value == 0.0 || value.abs() >= 0.5 => count(value.round() as i64),
            Self::Count => short(value),
        }
    }

    /// Writes a value of an axis whose values are `step` apart, with as many digits as tell them apart.
    pub fn tick(self, value: f64, step: f64) -> String {
        // An axis counts up in steps: what is left of its nought is no number.
        let value = if value.abs() < step.abs() * 1e-6 { 0.0 } else { value };
        let digits = |step: f64| (-step.abs().max(1e-9).log10() - 1e-9).ceil().clamp(0.0, 9.0) as usize;
        match self {
            _ if !value.is_finite() || step <= 0.0 || value == 0.0 => self.text(value),
            Self::Ratio => format!("{:.*}%", digits(step * 100.0), value * 100.0),
            Self::Short if step < 1.0 && value.abs() < 1e3 => format!("{value:.*}", digits(step)),
            Self::Rate if step < 1.0 && value.abs() < 1e3 => format!("{value:.*}/s", digits(step)),
            _ => self.text(value),
        }
    }

    /// Returns the least round step of this unit with which `span` is covered in at most `parts` steps.
    pub fn step(self, span: f64, parts: usize) -> f64 {
        let least = span.abs().max(f64::MIN_POSITIVE) / parts.max(1) as f64;
        match self {
            Self::Bytes | Self::ByteRate if least >= 1.0 => 2f64.powf(least.log2().ceil()),
            Self::Seconds if least > 1.0 => SECONDS
                .iter()
                .copied()
                .find(|step| *step >= least)
                .unwrap_or_else(|| decimal_step(least / 86_400.0) * 86_400.0),
            Self::Count => decimal_step(least).max(1.0),
            _ => decimal_step(least),
        }
    }
}

/// Round steps of time above a second, as clocks have them.
const SECONDS: [f64; 18] = [
    2.0, 5.0, 10.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 900.0, 1_800.0, 3_600.0, 7_200.0, 10_800.0,
    21_600.0, 43_200.0, 86_400.0, 172_800.0,
];

/// The least of 1, 2 and 5 times a power of ten that is not below a number.
fn decimal_step(least: f64) -> f64 {
    let power = 10f64.powf(least.log10().floor());
    // Powers of ten are not exact: what is as good as equal counts as equal.
    [1.0, 2.0, 5.0]
        .into_iter()
        .map(|digit| digit * power)
        .find(|step| *step >= least * (1.0 - 1e-9))
        .unwrap_or(power * 10.0)
}

/// Writes a number with at most three digits that matter: `0.012`, `8.1`, `120`, `1.2k`, `34M`.
fn short(value: f64) -> String {
    const STEPS: [(f64, &str); 4] = [(1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")];
    let size = value.abs();
    for (step, suffix) in STEPS {
        if size >= step * 0.999_5 {
            return format!("{}{suffix}", digits(value / step));
        }
    }
    digits(value)
}

/// Writes a number below a thousand without zeros that say nothing.
fn digits(value: f64) -> String {
    let size = value.abs();
    let text = match size {
        0.0 => return "0".to_owned(),
        _ if size >= 99.95 => return format!("{value:.0}"),
        _ if size >= 9.995 => format!("{value:.1}"),
        _ if size >= 0.999_5 => format!("{value:.2}"),
        _ if size >= 0.001 => format!("{value:.3}"),
        _ => return format!("{value:.0e}"),
    };
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// Writes seconds: `88ms`, `1.2s`, `12s`, `4m30s`.
fn seconds(value: f64) -> String {
    let size = value.abs();
    match size {
        0.0 => "0s".to_owned(),
        _ if size < 0.000_999_5 => format!("{}us", digits(value * 1e6)),
        _ if size < 0.999_5 => format!("{}ms", digits(value * 1e3)),
        _ if size < 60.0 => format!("{}s", digits(value)),
        _ if value < 0.0 => format!("-{}", span(size.round() as i64)),
        _ => span(size.round() as i64),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_unit_is_written_as_people_read_it() {
        for (unit, value, text) in [
            (Measure::Ratio, 0.081, "8.1%"),
            (Measure::Ratio, 1.25, "125%"),
            (Measure::Ratio, 0.999, "99.9%"),
            (Measure::Ratio, 0.999_99, "99.99%"),
            (Measure::Ratio, -0.02, "-2%"),
            (Measure::Seconds, 0.0884, "88.4ms"),
            (Measure::Seconds, 0.000_25, "250us"),
            (Measure::Seconds, 1.25, "1.25s"),
            (Measure::Seconds, 300.0, "5m"),
            (Measure::Bytes, 1_610_612_736.0, "1.5Gi"),
            (Measure::ByteRate, 2_048.0, "2Ki/s"),
            (Measure::Cores, 0.25, "250m"),
            (Measure::Cores, 0.000_2, "<1m"),
            (Measure::Rate, 1_234.0, "1.23k/s"),
            (Measure::Count, 1.02, "1"),
            (Measure::Count, 12_345.0, "12,345"),
            (Measure::Short, 0.012_34, "0.012"),
            (Measure::Short, 999.96, "1k"),
            (Measure::Short, -0.0, "0"),
        ] {
            assert_eq!(unit.text(value), text, "{unit:?} {value}");
        }
    }

    #[test]
    fn what_is_no_number_is_written_as_prometheus_writes_it() {
        for (_, unit) in Measure::WORDS {
            assert_eq!(unit.text(f64::NAN), "NaN");
            assert_eq!(unit.text(f64::INFINITY), "+Inf");
            assert_eq!(unit.text(f64::NEG_INFINITY), "-Inf");
        }
    }

    #[test]
    fn steps_are_round_in_their_unit() {
        for (unit, span, parts, step) in [
            (Measure::Short, 0.97, 5, 0.2),
            (Measure::Short, 1.0, 5, 0.2),
            (Measure::Ratio, 0.1, 4, 0.05),
            (Measure::Bytes, 3.0e9, 4, 1_073_741_824.0),
            (Measure::Seconds, 0.9, 4, 0.5),
            (Measure::Seconds, 1_000.0, 4, 300.0),
            (Measure::Count, 2.0, 8, 1.0),
            (Measure::Rate, 10_000.0, 4, 5_000.0),
        ] {
            let found = unit.step(span, parts);
            assert!((found - step).abs() < step * 1e-9, "{unit:?} {span}/{parts}: {found}");
        }
    }

    #[test]
    fn a_word_names_one_unit() {
        for (word, unit) in Measure::WORDS {
            assert_eq!(Measure::named(word), Some(unit));
            assert_eq!(unit.word(), word);
        }
    }
}
