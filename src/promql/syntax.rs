//! Reading an expression: the crate's grammar, and Prometheus's words about what is wrong.

use std::sync::OnceLock;

use promql_parser::label::{MatchOp, Matchers};
use promql_parser::parser::value::ValueType;
use promql_parser::parser::{Expr, Function, register_extra_functions};

use super::{EvalError, Matcher, Op};

/// Reads an expression.
pub fn parse(text: &str) -> Result<Expr, EvalError> {
    static OLD_NAMES: OnceLock<()> = OnceLock::new();
    OLD_NAMES.get_or_init(|| {
        let smoothing = vec![ValueType::Matrix, ValueType::Scalar, ValueType::Scalar];
        let old = Function::new("holt_winters", smoothing, 0, ValueType::Vector, false);
        // It fails only where the crate has learnt the name itself.
        let _ = register_extra_functions(vec![old]);
    });
    promql_parser::parser::parse(text).map_err(|error| {
        let explained = super::explain::explain(text);
        EvalError::Bad(explained.unwrap_or_else(|| format!("1:1: parse error: {error}")))
    })
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

/// Takes over the matchers of a parsed selector.
pub fn matchers(parsed: &Matchers) -> Result<Vec<Matcher>, EvalError> {
    let one = |matcher: &promql_parser::label::Matcher| {
        let op = match &matcher.op {
            MatchOp::Equal => Op::Equal,
            MatchOp::NotEqual => Op::NotEqual,
            MatchOp::Re(_) => Op::Like,
            MatchOp::NotRe(_) => Op::NotLike,
        };
        Matcher::new(&matcher.name, op, &matcher.value).map_err(EvalError::Bad)
    };
    parsed.matchers.iter().map(one).collect()
}
