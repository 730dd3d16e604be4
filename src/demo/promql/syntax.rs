//! Reading an expression: the crate's grammar, and Prometheus's words about what is wrong.

use std::sync::OnceLock;

use promql_parser::parser::value::ValueType;
use promql_parser::parser::{Expr, Function, register_extra_functions};

use super::EvalError;

/// Reads an expression.
pub fn parse(text: &str) -> Result<Expr, EvalError> {
    static OLD_NAMES: OnceLock<()> = OnceLock::new();
    OLD_NAMES.get_or_init(|| {
        let smoothing = vec![ValueType::Matrix, ValueType::Scalar, ValueType::Scalar];
        let old = Function::new("holt_winters", smoothing, 0, ValueType::Vector, false);
        // It fails only where the crate has learnt the name itself.
        let _ = register_extra_functions(vec![old]);
    });
    promql_parser::parser::parse(text)
        .map_err(|error| EvalError::Bad(format!("invalid parameter \"query\": parse error: {error}")))
}

/// The name of a type as Prometheus documents it.
pub(super) fn type_name(kind: ValueType) -> &'static str {
    match kind {
        ValueType::Vector => "instant vector",
        ValueType::Scalar => "scalar",
        ValueType::Matrix => "range vector",
        ValueType::String => "string",
    }
}
