//! The board of a rule: what its expression measures, and the value at which the rule fires.
//!
//! A comparison hides all that does not fulfil it, so the graph of a whole expression begins where the trouble
//! begins. Where the expression compares something with a number, that something is drawn instead, with the number
//! as a line. Where it does not, it is drawn as it stands, and the panel says so.

use promql_parser::parser::token::{
    T_ADD, T_DIV, T_EQLC, T_GTE, T_GTR, T_LAND, T_LSS, T_LTE, T_LUNLESS, T_MUL, T_NEQ, T_POW, T_SUB,
};
use promql_parser::parser::{BinaryExpr, Expr, parse};

use super::{Board, Bound, Formula, Legend, Origin, Panel, Query, Shape, Threshold};
use crate::human::Measure;
use crate::identity::Text;
use crate::kinds::Health;
use crate::settings::Place;

/// The name of boards that are made of a rule.
pub const NAME: &str = "rule";

/// Something that is compared with a number.
#[derive(Debug, Clone, PartialEq)]
pub struct Comparison {
    /// What is compared.
    pub measured: String,
    /// The operator, as it stands with the number on its right.
    pub operator: &'static str,
    /// The number.
    pub number: f64,
    /// What else must hold, or must not, with its operator; empty for nothing.
    pub besides: String,
    /// What the values measure, as far as names tell.
    pub unit: Measure,
}

impl Comparison {
    /// Reads an expression; `None` where it is no plain comparison with a number.
    pub fn read(expr: &str) -> Option<Self> {
        of(&parse(expr).ok()?)
    }
}

fn of(expr: &Expr) -> Option<Comparison> {
    match expr {
        Expr::Paren(paren) => of(&paren.expr),
        Expr::Binary(both) if matches!(both.op.id(), T_LAND | T_LUNLESS) => {
            let found = of(&both.lhs)?;
            let word = if both.op.id() == T_LAND { "and" } else { "unless" };
            let more = if found.besides.is_empty() { String::new() } else { format!("{} ", found.besides) };
            Some(Comparison { besides: format!("{more}{word} {}", both.rhs), ..found })
        }
        Expr::Binary(both) => compared(both),
        _ => None,
    }
}

fn compared(both: &BinaryExpr) -> Option<Comparison> {
    let (right, left) = match both.op.id() {
        T_GTR => (">", "<"),
        T_GTE => (">=", "<="),
        T_LSS => ("<", ">"),
        T_LTE => ("<=", ">="),
        T_EQLC => ("==", "=="),
        T_NEQ => ("!=", "!="),
        _ => return None,
    };
    let (measured, operator, number) = match (constant(&both.lhs), constant(&both.rhs)) {
        (None, Some(number)) => (&both.lhs, right, number),
        (Some(number), None) => (&both.rhs, left, number),
        _ => return None,
    };
    if !number.is_finite() {
        return None;
    }
    let unit = unit(measured, number);
    Some(Comparison { measured: bare(measured).to_string(), operator, number, besides: String::new(), unit })
}

/// Takes the brackets round a whole expression away.
fn bare(expr: &Expr) -> &Expr {
    match expr {
        Expr::Paren(paren) => bare(&paren.expr),
        expr => expr,
    }
}

/// Works out what has the same value at any time, such as `15 * 60`.
fn constant(expr: &Expr) -> Option<f64> {
    Some(match expr {
        Expr::NumberLiteral(literal) => literal.val,
        Expr::Paren(paren) => constant(&paren.expr)?,
        Expr::Unary(unary) => -constant(&unary.expr)?,
        Expr::Binary(both) => {
            let (left, right) = (constant(&both.lhs)?, constant(&both.rhs)?);
            match both.op.id() {
                T_ADD => left + right,
                T_SUB => left - right,
                T_MUL => left * right,
                T_DIV => left / right,
                T_POW => left.powf(right),
                _ => return None,
            }
        }
        _ => return None,
    })
}

/// Says what values measure, as far as the names of metrics tell (prometheus.io/docs/practices/naming): a part of
/// something is a ratio, and a quantile has the unit of its buckets.
fn unit(expr: &Expr, number: f64) -> Measure {
    match bare(expr) {
        Expr::Binary(both) if both.op.id() == T_DIV && number.abs() <= 1.0 => Measure::Ratio,
        Expr::Binary(both) if both.op.id() == T_SUB && number.abs() <= 1.0 => {
            if constant(&both.lhs) == Some(1.0) { Measure::Ratio } else { Measure::Short }
        }
        Expr::Aggregate(aggregate) => unit(&aggregate.expr, number),
        Expr::Call(call) if call.func.name == "histogram_quantile" => {
            let text = call.args.args.last().map(ToString::to_string).unwrap_or_default();
            if text.contains("_seconds_bucket") { Measure::Seconds } else { Measure::Short }
        }
        Expr::VectorSelector(selector) => match selector.name.as_deref() {
            Some(name) if name.ends_with("_bytes") => Measure::Bytes,
            Some(name) if name.ends_with("_seconds") && !name.ends_with("timestamp_seconds") => {
                Measure::Seconds
            }
            _ => Measure::Short,
        },
        _ => Measure::Short,
    }
}

impl Board {
    /// Makes the board of a rule: one graph with the line at which it fires; `health` is how bad that is.
    pub fn of_rule(name: &str, expr: &str, health: Health) -> Self {
        let comparison = Comparison::read(expr);
        let (measured, about, thresholds, unit) = if let Some(found) = &comparison {
            let line = found.unit.text(found.number);
            let besides = match found.besides.as_str() {
                "" => String::new(),
                more => format!(", {more}"),
            };
            let threshold =
                Threshold { at: Bound::Fixed(found.number), below: found.operator.starts_with('<'), health };
            let about = format!("fires where the value is {} {line}{besides}", found.operator);
            (found.measured.as_str(), about, vec![threshold], found.unit)
        } else {
            let about = "the whole expression: it compares nothing with a number, so there is no line";
            (expr, about.to_owned(), Vec::new(), Measure::Short)
        };
        let origin = Origin::Formulas(vec![Formula::typed(measured)]);
        let panel = Panel {
            title: Text::from(about),
            about: Text::from(""),
            shape: Shape::Graph,
            unit,
            queries: vec![Query { legend: Legend::default(), origin }],
            thresholds,
            low: None,
            high: None,
        };
        Self {
            name: Text::from(NAME),
            title: Text::from(name),
            about: Text::from("what a rule measures"),
            fits: Vec::new(),
            variables: Vec::new(),
            panels: vec![panel],
            place: Place { file: Text::from("rule"), line: 1 },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(expr: &str) -> Option<(String, &'static str, f64)> {
        Comparison::read(expr).map(|found| (found.measured, found.operator, found.number))
    }

    #[test]
    fn what_is_compared_with_a_number_is_told_from_the_number() {
        for (expr, measured, operator, number) in [
            ("up == 0", "up", "==", 0.0),
            ("0.05 < (a / b)", "a / b", ">", 0.05),
            ("(sum(rate(a[5m]))) > 15 * 60", "sum(rate(a[5m]))", ">", 900.0),
            ("(a) <= -(1 + 2)", "a", "<=", -3.0),
            ("a >= bool 2", "a", ">=", 2.0),
            ("((a > 1))", "a", ">", 1.0),
        ] {
            assert_eq!(read(expr), Some((measured.to_owned(), operator, number)), "{expr}");
        }
    }

    #[test]
    fn what_must_hold_besides_is_told_and_not_drawn() {
        let found = Comparison::read("a / b < 0.03 and c > 0 unless on (x) d == 1").unwrap();
        assert_eq!((found.measured.as_str(), found.number), ("a / b", 0.03));
        assert!(found.besides.contains("and") && found.besides.contains("c > 0"), "{}", found.besides);
        assert_eq!(found.unit, Measure::Ratio);
        let board = Board::of_rule("Full", "a / b < 0.03 and c > 0", Health::Degraded);
        assert!(board.panels[0].thresholds[0].below);
        assert_eq!(&*board.panels[0].title, "fires where the value is < 3%, and c > 0");
    }

    #[test]
    fn an_expression_without_a_plain_comparison_is_drawn_as_it_stands() {
        for expr in ["absent(up)", "a > b", "1 > 2", "a or b > 1", "a > NaN", "a > +Inf", "not promql ("] {
            assert_eq!(read(expr), None, "{expr}");
            let board = Board::of_rule("Odd", expr, Health::Warning);
            assert_eq!(board.expressions(&super::super::Values::default()), [expr]);
            assert!(board.panels[0].thresholds.is_empty());
        }
    }

    #[test]
    fn units_are_read_from_names() {
        let unit = |expr: &str| Comparison::read(expr).unwrap().unit;
        assert_eq!(
            unit("histogram_quantile(0.99, sum by (le) (rate(x_seconds_bucket[5m]))) > 1"),
            Measure::Seconds
        );
        assert_eq!(unit("1 - avg(rate(idle[5m])) > 0.9"), Measure::Ratio);
        assert_eq!(unit("process_resident_memory_bytes > 1e9"), Measure::Bytes);
        assert_eq!(unit("time() - last_timestamp_seconds > 60"), Measure::Short);
    }

    #[test]
    fn what_is_drawn_of_every_shipped_rule_can_be_asked() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/rules");
        let (mut rules, mut plain) = (0, 0);
        for file in std::fs::read_dir(folder).unwrap() {
            let text = std::fs::read_to_string(file.unwrap().path()).unwrap();
            let value: serde_json::Value = serde_saphyr::from_str(&text).unwrap();
            let groups = value["groups"].as_array().unwrap();
            for rule in groups.iter().flat_map(|group| group["rules"].as_array().unwrap()) {
                let Some(name) = rule["alert"].as_str() else { continue };
                let board = Board::of_rule(name, rule["expr"].as_str().unwrap(), Health::Warning);
                let expr = board.expressions(&super::super::Values::default()).remove(0);
                parse(&expr).unwrap_or_else(|error| panic!("{name}: {error}: {expr}"));
                rules += 1;
                plain += usize::from(!board.panels[0].thresholds.is_empty());
            }
        }
        assert!(rules >= 60 && plain * 10 > rules * 7, "{plain} of {rules} have a line");
    }
}
