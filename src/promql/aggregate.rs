//! Aggregations over the series of an instant vector.

use std::collections::HashMap;

use promql_parser::parser::token::{
    T_AVG, T_BOTTOMK, T_COUNT, T_COUNT_VALUES, T_GROUP, T_MAX, T_MIN, T_QUANTILE, T_STDDEV, T_STDVAR, T_SUM,
    T_TOPK, TokenId,
};
use promql_parser::parser::{AggregateExpr, Expr, LabelModifier};

use super::eval::{Eval, Row, Value};
use super::format;
use super::window::{kahan, quantile};
use super::{EvalError, Labels, NAME, STALE, is_stale};

/// Which labels a group keeps.
struct Grouping<'a> {
    without: bool,
    names: Vec<&'a str>,
}

impl Grouping<'_> {
    fn of(&self, labels: &Labels) -> Labels {
        if self.without {
            labels.keep(|name| name != NAME && !self.names.contains(&name))
        } else {
            labels.keep(|name| self.names.contains(&name))
        }
    }
}

/// Evaluates an aggregation.
pub(super) fn evaluate(eval: &Eval<'_>, expr: &AggregateExpr) -> Result<Vec<Row>, EvalError> {
    let grouping = match &expr.modifier {
        None => Grouping { without: false, names: Vec::new() },
        Some(LabelModifier::Include(labels)) => {
            Grouping { without: false, names: labels.labels.iter().map(String::as_str).collect() }
        }
        Some(LabelModifier::Exclude(labels)) => {
            Grouping { without: true, names: labels.labels.iter().map(String::as_str).collect() }
        }
    };
    let rows = eval.vector(&expr.expr)?;
    let parameter = || {
        expr.param
            .as_deref()
            .ok_or_else(|| EvalError::Execution("an aggregation lacks its parameter".to_owned()))
    };
    let id = expr.op.id();
    match id {
        T_TOPK | T_BOTTOMK => {
            let counts = eval.scalar(parameter()?)?;
            ranked(rows, &grouping, &counts, id == T_TOPK, eval.steps.count)
        }
        T_COUNT_VALUES => count_values(eval, rows, &grouping, parameter()?),
        T_QUANTILE => {
            let wanted = eval.scalar(parameter()?)?;
            Ok(folded(&rows, &grouping, eval.steps.count, |step, values| {
                quantile(wanted.get(step).copied().unwrap_or(f64::NAN), values)
            }))
        }
        T_SUM | T_AVG | T_COUNT | T_GROUP | T_MIN | T_MAX | T_STDDEV | T_STDVAR => {
            Ok(folded(&rows, &grouping, eval.steps.count, |_, values| fold(id, values)))
        }
        _ => Err(EvalError::Bad(format!("parse error: {} is experimental and not enabled", expr.op))),
    }
}

/// Puts row numbers into groups, in the order of their first rows.
fn groups(rows: &[Row], grouping: &Grouping<'_>) -> Vec<(Labels, Vec<usize>)> {
    let mut places: HashMap<Labels, usize> = HashMap::new();
    let mut groups: Vec<(Labels, Vec<usize>)> = Vec::new();
    for (index, row) in rows.iter().enumerate() {
        let labels = grouping.of(&row.labels);
        let place = *places.entry(labels).or_insert_with_key(|labels| {
            groups.push((labels.clone(), Vec::new()));
            groups.len() - 1
        });
        groups[place].1.push(index);
    }
    groups
}

fn folded(
    rows: &[Row],
    grouping: &Grouping<'_>,
    steps: usize,
    fold: impl Fn(usize, &mut [f64]) -> f64,
) -> Vec<Row> {
    let mut present = Vec::new();
    let made = groups(rows, grouping).into_iter().map(|(labels, members)| {
        let values = (0..steps)
            .map(|step| {
                present.clear();
                present.extend(
                    members.iter().map(|row| rows[*row].values[step]).filter(|value| !is_stale(*value)),
                );
                if present.is_empty() { STALE } else { fold(step, &mut present) }
            })
            .collect();
        Row { labels, values }
    });
    made.filter(|row| !row.is_empty()).collect()
}

/// Folds the values of one group at one step; there is at least one.
fn fold(id: TokenId, values: &[f64]) -> f64 {
    let count = values.len() as f64;
    match id {
        T_SUM => kahan(values.iter().copied()),
        T_AVG => average(values),
        T_COUNT => count,
        T_GROUP => 1.0,
        T_MIN => extreme(values, |value, best| value < best),
        T_MAX => extreme(values, |value, best| value > best),
        _ => {
            let (mut seen, mut mean, mut squares) = (0.0, 0.0, 0.0);
            for value in values {
                seen += 1.0;
                let delta = value - mean;
                mean += delta / seen;
                squares += delta * (value - mean);
            }
            let variance = squares / count;
            if id == T_STDDEV { variance.sqrt() } else { variance }
        }
    }
}

fn average(values: &[f64]) -> f64 {
    let sum = kahan(values.iter().copied());
    let count = values.len() as f64;
    if sum.is_finite() || values.iter().any(|value| !value.is_finite()) {
        return sum / count;
    }
    // The sum overflows though no value is infinite: add the shares instead.
    kahan(values.iter().map(|value| value / count))
}

fn extreme(values: &[f64], better: impl Fn(f64, f64) -> bool) -> f64 {
    values
        .iter()
        .copied()
        .fold(f64::NAN, |best, value| if best.is_nan() || better(value, best) { value } else { best })
}

/// `topk` and `bottomk`: the series themselves, at the steps at which they are among the chosen.
fn ranked(
    rows: Vec<Row>,
    grouping: &Grouping<'_>,
    counts: &[f64],
    largest: bool,
    steps: usize,
) -> Result<Vec<Row>, EvalError> {
    if let Some(count) = counts.iter().find(|count| count.is_nan() || count.abs() >= 9.2e18) {
        return Err(EvalError::Execution(format!("Scalar value {} overflows int64", format::number(*count))));
    }
    let groups = groups(&rows, grouping);
    let mut order: Vec<usize> = Vec::new();
    let mut ordered = vec![false; rows.len()];
    let mut kept: Vec<Vec<f64>> = vec![vec![STALE; steps]; rows.len()];
    let mut chosen: Vec<(usize, f64)> = Vec::new();
    for (_, members) in &groups {
        for (step, count) in counts.iter().enumerate().take(steps) {
            if *count < 1.0 {
                continue;
            }
            chosen.clear();
            chosen.extend(
                members.iter().map(|row| (*row, rows[*row].values[step])).filter(|(_, v)| !is_stale(*v)),
            );
            // NaN comes last either way; of equal values the first.
            chosen.sort_by(|(_, a), (_, b)| match (a.is_nan(), b.is_nan()) {
                (true, true) => std::cmp::Ordering::Equal,
                (true, false) => std::cmp::Ordering::Greater,
                (false, true) => std::cmp::Ordering::Less,
                (false, false) if largest => b.total_cmp(a),
                (false, false) => a.total_cmp(b),
            });
            for (row, value) in chosen.iter().take(*count as usize) {
                kept[*row][step] = *value;
                if !std::mem::replace(&mut ordered[*row], true) {
                    order.push(*row);
                }
            }
        }
    }
    let mut labels: Vec<Option<Labels>> = rows.into_iter().map(|row| Some(row.labels)).collect();
    let made = order.into_iter().filter_map(|row| {
        let values = std::mem::take(&mut kept[row]);
        labels[row].take().map(|labels| Row { labels, values })
    });
    Ok(made.collect())
}

fn count_values(
    eval: &Eval<'_>,
    rows: Vec<Row>,
    grouping: &Grouping<'_>,
    parameter: &Expr,
) -> Result<Vec<Row>, EvalError> {
    let Value::Text(label) = eval.value(parameter)? else {
        return Err(EvalError::Execution("count_values needs the name of a label".to_owned()));
    };
    if !super::functions::is_label(&label) {
        return Err(EvalError::Execution(format!("invalid label name {label:?}")));
    }
    let steps = eval.steps.count;
    let mut places: HashMap<Labels, usize> = HashMap::new();
    let mut counted: Vec<Row> = Vec::new();
    for row in &rows {
        // The new label wins over one of the same name, and stays whatever `by` and `without` name.
        let group = grouping.of(&row.labels);
        for (step, value) in row.values.iter().enumerate().filter(|(_, value)| !is_stale(**value)) {
            let excluded = grouping.without && grouping.names.contains(&label.as_str());
            let labels =
                if excluded { group.clone() } else { group.with(label.as_str(), format::plain(*value)) };
            let place = *places.entry(labels).or_insert_with_key(|labels| {
                counted.push(Row { labels: labels.clone(), values: vec![STALE; steps] });
                counted.len() - 1
            });
            let count = &mut counted[place].values[step];
            *count = if is_stale(*count) { 1.0 } else { *count + 1.0 };
        }
    }
    Ok(counted)
}
