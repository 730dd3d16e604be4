//! Numbers as Prometheus prints them.

/// Prints as `strconv.FormatFloat(value, 'f', -1, 64)` of Go does: the shortest digits that read back, never an
/// exponent. The HTTP API sends values so.
pub fn plain(value: f64) -> String {
    if value.is_nan() {
        return "NaN".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { "+Inf".to_owned() } else { "-Inf".to_owned() };
    }
    format!("{value}")
}

/// Prints as the verb `%v` of Go does: with an exponent below 1e-4 and from 1e21 on.
pub fn number(value: f64) -> String {
    let size = value.abs();
    if value.is_finite() && size != 0.0 && !(1e-4..1e21).contains(&size) {
        return exponent(value);
    }
    plain(value)
}

/// Prints as `strconv.FormatFloat(value, 'e', -1, 64)` of Go does, such as `1e+00`. Alerts carry their value so.
pub fn exponent(value: f64) -> String {
    if !value.is_finite() {
        return plain(value);
    }
    let text = format!("{value:e}");
    let (digits, power) = text.split_once('e').unwrap_or((&text, "0"));
    let (sign, power) = power.strip_prefix('-').map_or(('+', power), |power| ('-', power));
    format!("{digits}e{sign}{power:0>2}")
}

/// Prints a value of the HTTP API: like [`plain`], with an exponent where the number is very large or very small.
pub fn wire(value: f64) -> String {
    let size = value.abs();
    if value.is_finite() && size != 0.0 && !(1e-6..1e21).contains(&size) {
        return exponent(value);
    }
    plain(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_look_as_go_prints_them() {
        assert_eq!(plain(0.1), "0.1");
        assert_eq!(plain(1e22), "10000000000000000000000");
        assert_eq!(plain(f64::NEG_INFINITY), "-Inf");
        assert_eq!(number(1e21), "1e+21");
        assert_eq!(number(0.00001), "1e-05");
        assert_eq!(number(1234.5), "1234.5");
        assert_eq!(exponent(1.0), "1e+00");
        assert_eq!(exponent(-0.00125), "-1.25e-03");
        assert_eq!(exponent(0.0), "0e+00");
        assert_eq!(wire(1e-7), "1e-07");
        assert_eq!(wire(1.5e300), "1.5e+300");
    }
}
