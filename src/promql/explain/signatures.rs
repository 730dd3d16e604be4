//! What functions take and return.

use promql_parser::parser::value::ValueType;
use promql_parser::parser::value::ValueType::{Matrix, Scalar, String as Words, Vector};

/// A function's arguments.
pub(super) struct Signature {
    pub(super) arguments: &'static [ValueType],
    /// How many of them, from the end, may be left out.
    pub(super) optional: usize,
    /// The last may stand more than once.
    pub(super) repeats: bool,
    pub(super) returns: ValueType,
}

const fn plain(arguments: &'static [ValueType]) -> Signature {
    Signature { arguments, optional: 0, repeats: false, returns: Vector }
}

/// Finds a function.
pub(super) fn find(name: &str) -> Option<Signature> {
    Some(match name {
        "time" | "pi" => Signature { arguments: &[], optional: 0, repeats: false, returns: Scalar },
        "scalar" => Signature { arguments: &[Vector], optional: 0, repeats: false, returns: Scalar },
        "vector" => plain(&[Scalar]),
        "minute" | "hour" | "day_of_week" | "day_of_month" | "day_of_year" | "days_in_month" | "month"
        | "year" => Signature { optional: 1, ..plain(&[Vector]) },
        "round" => Signature { optional: 1, ..plain(&[Vector, Scalar]) },
        "clamp" => plain(&[Vector, Scalar, Scalar]),
        "clamp_max" | "clamp_min" => plain(&[Vector, Scalar]),
        "histogram_quantile" => plain(&[Scalar, Vector]),
        "histogram_fraction" => plain(&[Scalar, Scalar, Vector]),
        "label_replace" => plain(&[Vector, Words, Words, Words, Words]),
        "label_join" => Signature { repeats: true, optional: 1, ..plain(&[Vector, Words, Words, Words]) },
        "sort_by_label" | "sort_by_label_desc" => Signature { repeats: true, ..plain(&[Vector, Words]) },
        "quantile_over_time" => plain(&[Scalar, Matrix]),
        "predict_linear" => plain(&[Matrix, Scalar]),
        "holt_winters" | "double_exponential_smoothing" => plain(&[Matrix, Scalar, Scalar]),
        "rate" | "increase" | "delta" | "irate" | "idelta" | "deriv" | "changes" | "resets" => {
            plain(&[Matrix])
        }
        _ if name.ends_with("_over_time") && super::super::window::function(name).is_some() => {
            plain(&[Matrix])
        }
        "absent_over_time" => plain(&[Matrix]),
        "abs" | "absent" | "ceil" | "floor" | "exp" | "sqrt" | "ln" | "log2" | "log10" | "sin" | "cos"
        | "tan" | "asin" | "acos" | "atan" | "sinh" | "cosh" | "tanh" | "asinh" | "acosh" | "atanh"
        | "rad" | "deg" | "sgn" | "sort" | "sort_desc" | "timestamp" | "histogram_avg"
        | "histogram_count" | "histogram_sum" | "histogram_stddev" | "histogram_stdvar" => plain(&[Vector]),
        _ => return None,
    })
}
