//! Binary operators: arithmetic, comparisons, set operators, and which series of two vectors belong together.

use std::collections::{HashMap, HashSet};

use promql_parser::parser::token::{
    T_ADD, T_ATAN2, T_DIV, T_EQLC, T_GTE, T_GTR, T_LAND, T_LOR, T_LSS, T_LTE, T_LUNLESS, T_MOD, T_MUL, T_NEQ,
    T_POW, T_SUB, TokenId,
};
use promql_parser::parser::{BinModifier, BinaryExpr, LabelModifier, VectorMatchCardinality};

use super::eval::{Eval, Row, Value, merge};
use super::{Dialect, EvalError, Labels, NAME, STALE, is_stale};

/// What an operator makes of two numbers.
#[derive(Clone, Copy)]
struct Operator {
    id: TokenId,
    /// A comparison answers 0 or 1 instead of leaving values out.
    bool: bool,
}

impl Operator {
    fn compares(self) -> bool {
        matches!(self.id, T_EQLC | T_NEQ | T_GTR | T_GTE | T_LSS | T_LTE)
    }

    /// Arithmetic makes another quantity, so that the metric's name goes; a filter keeps it.
    fn drops_name(self, dialect: Dialect) -> bool {
        // Prometheus 2 forgot atan2.
        self.bool || !(self.compares() || (self.id == T_ATAN2 && dialect == Dialect::Two))
    }

    fn truth(self, left: f64, right: f64) -> bool {
        #[expect(clippy::float_cmp, reason = "== and != of PromQL are exact")]
        match self.id {
            T_EQLC => left == right,
            T_NEQ => left != right,
            T_GTR => left > right,
            T_GTE => left >= right,
            T_LSS => left < right,
            T_LTE => left <= right,
            _ => true,
        }
    }

    /// The result, or [`STALE`] where a filter leaves the pair out. `keep` is what a filter lets through.
    fn apply(self, left: f64, right: f64, keep: f64) -> f64 {
        match self.id {
            T_ADD => left + right,
            T_SUB => left - right,
            T_MUL => left * right,
            T_DIV => left / right,
            T_MOD => left % right,
            T_POW => left.powf(right),
            T_ATAN2 => left.atan2(right),
            _ if self.bool => f64::from(u8::from(self.truth(left, right))),
            _ if self.truth(left, right) => keep,
            _ => STALE,
        }
    }
}

/// Evaluates an operator and its two sides.
pub(super) fn evaluate(eval: &Eval<'_>, expr: &BinaryExpr) -> Result<Value, EvalError> {
    let default = BinModifier::default();
    let modifier = expr.modifier.as_ref().unwrap_or(&default);
    if modifier.fill_values.lhs.is_some() || modifier.fill_values.rhs.is_some() {
        return Err(EvalError::Bad(
            "parse error: fill modifiers are experimental and not enabled".to_owned(),
        ));
    }
    let operator = Operator { id: expr.op.id(), bool: modifier.return_bool };
    let (left, right) = (eval.value(&expr.lhs)?, eval.value(&expr.rhs)?);
    Ok(match (left, right) {
        (Value::Scalar(left), Value::Scalar(right)) => {
            let both = left.into_iter().zip(right);
            Value::Scalar(both.map(|(left, right)| operator.apply(left, right, left)).collect())
        }
        (Value::Vector(rows), Value::Scalar(numbers)) => {
            let change = |value: f64, number: f64| operator.apply(value, number, value);
            Value::Vector(with_numbers(eval, rows, &numbers, operator, change)?)
        }
        (Value::Scalar(numbers), Value::Vector(rows)) => {
            // A filter lets through the value of the vector, whichever side it stands on.
            let change = |value: f64, number: f64| operator.apply(number, value, value);
            Value::Vector(with_numbers(eval, rows, &numbers, operator, change)?)
        }
        (Value::Vector(left), Value::Vector(right)) => {
            let matching = Matching::new(modifier);
            Value::Vector(match operator.id {
                T_LAND => set_and(left, &right, &matching, true),
                T_LUNLESS => set_and(left, &right, &matching, false),
                T_LOR => set_or(left, right, &matching)?,
                _ => matched(eval, &left, &right, operator, modifier, &matching)?,
            })
        }
        _ => return Err(EvalError::Execution("a text cannot stand beside an operator".to_owned())),
    })
}

fn with_numbers(
    eval: &Eval<'_>,
    rows: Vec<Row>,
    numbers: &[f64],
    operator: Operator,
    change: impl Fn(f64, f64) -> f64,
) -> Result<Vec<Row>, EvalError> {
    let drops = operator.drops_name(eval.engine.dialect);
    let changed = rows.into_iter().map(|row| Row {
        labels: if drops { row.labels.nameless() } else { row.labels },
        values: row
            .values
            .into_iter()
            .zip(numbers)
            .map(|(value, number)| if is_stale(value) { STALE } else { change(value, *number) })
            .collect(),
    });
    merge(changed.collect())
}

/// By which labels series of two sides belong together.
struct Matching {
    on: bool,
    names: HashSet<String>,
}

impl Matching {
    fn new(modifier: &BinModifier) -> Self {
        match &modifier.matching {
            Some(LabelModifier::Include(labels)) => {
                Self { on: true, names: labels.labels.iter().cloned().collect() }
            }
            Some(LabelModifier::Exclude(labels)) => {
                Self { on: false, names: labels.labels.iter().cloned().collect() }
            }
            None => Self { on: false, names: HashSet::new() },
        }
    }

    /// The labels that two series must share. Without `on` the metric's name never counts.
    fn signature(&self, labels: &Labels) -> Labels {
        if self.on {
            labels.keep(|name| self.names.contains(name))
        } else {
            labels.keep(|name| name != NAME && !self.names.contains(name))
        }
    }
}

/// At which steps any row of a group has a value.
fn presence<'a>(rows: impl Iterator<Item = (&'a Row, Labels)>, steps: usize) -> HashMap<Labels, Vec<bool>> {
    let mut present: HashMap<Labels, Vec<bool>> = HashMap::new();
    for (row, signature) in rows {
        let steps = present.entry(signature).or_insert_with(|| vec![false; steps]);
        for (present, value) in steps.iter_mut().zip(&row.values) {
            *present |= !is_stale(*value);
        }
    }
    present
}

/// `and`, and with `wanted` false `unless`.
fn set_and(left: Vec<Row>, right: &[Row], matching: &Matching, wanted: bool) -> Vec<Row> {
    let steps = left.first().map_or(0, |row| row.values.len());
    let present = presence(right.iter().map(|row| (row, matching.signature(&row.labels))), steps);
    let kept = left.into_iter().filter_map(|mut row| {
        match present.get(&matching.signature(&row.labels)) {
            Some(steps) => {
                for (value, present) in row.values.iter_mut().zip(steps) {
                    if *present != wanted {
                        *value = STALE;
                    }
                }
            }
            None if wanted => return None,
            None => {}
        }
        (!row.is_empty()).then_some(row)
    });
    kept.collect()
}

fn set_or(left: Vec<Row>, right: Vec<Row>, matching: &Matching) -> Result<Vec<Row>, EvalError> {
    let steps = left.first().map_or(0, |row| row.values.len());
    let present = presence(left.iter().map(|row| (row, matching.signature(&row.labels))), steps);
    let mut rows = left;
    for mut row in right {
        if let Some(steps) = present.get(&matching.signature(&row.labels)) {
            for (value, present) in row.values.iter_mut().zip(steps) {
                if *present {
                    *value = STALE;
                }
            }
        }
        rows.push(row);
    }
    merge(rows)
}

/// The series of both sides that share the labels of a match.
#[derive(Default)]
struct Group {
    many: Vec<usize>,
    one: Vec<usize>,
}

/// Arithmetic and comparisons between two vectors.
fn matched(
    eval: &Eval<'_>,
    left: &[Row],
    right: &[Row],
    operator: Operator,
    modifier: &BinModifier,
    matching: &Matching,
) -> Result<Vec<Row>, EvalError> {
    let swapped = matches!(modifier.card, VectorMatchCardinality::OneToMany(_));
    let (many, one) = if swapped { (right, left) } else { (left, right) };
    let include = modifier.card.labels().map(|labels| labels.labels.as_slice());
    let mut order: Vec<Labels> = Vec::new();
    let mut groups: HashMap<Labels, Group> = HashMap::new();
    for (index, row) in many.iter().enumerate() {
        let signature = matching.signature(&row.labels);
        let group = groups.entry(signature).or_insert_with_key(|signature| {
            order.push(signature.clone());
            Group::default()
        });
        group.many.push(index);
    }
    let mut alone: Vec<usize> = Vec::new();
    for (index, row) in one.iter().enumerate() {
        let signature = matching.signature(&row.labels);
        let group = groups.entry(signature).or_insert_with_key(|signature| {
            order.push(signature.clone());
            Group::default()
        });
        group.one.push(index);
        if group.one.len() == 2 {
            alone.push(index);
        }
    }
    // Nothing is matched at a step at which one side is empty, so that nothing can be wrong there either.
    let sides: Vec<bool> = if alone.is_empty() {
        Vec::new()
    } else {
        let any = |rows: &[Row], step: usize| {
            rows.iter().any(|row| row.values.get(step).is_some_and(|value| !is_stale(*value)))
        };
        (0..eval.steps.count).map(|step| any(many, step) && any(one, step)).collect()
    };
    let mut chosen = Vec::with_capacity(order.len());
    let mut double: Option<Double> = None;
    for signature in &order {
        let Some(group) = groups.get(signature) else { continue };
        let (ones, found) = the_one(group, one, &sides, eval.steps.count);
        chosen.push((group, ones));
        if let Some(found) = found
            && double.as_ref().is_none_or(|first| (found.step, found.later) < (first.step, first.later))
        {
            double = Some(found);
        }
    }
    if let Some(Double { later, earlier, .. }) = double {
        let side = if swapped { "left" } else { "right" };
        return Err(EvalError::Execution(format!(
            "found duplicate series for the match group {} on the {side} hand-side of the operation: [{}, {}]\
             ;many-to-many matching not allowed: matching labels must be unique on one side",
            braced(&matching.signature(&one[later].labels)),
            braced(&one[later].labels),
            braced(&one[earlier].labels),
        )));
    }
    let join = Join { many, one, operator, matching, include, swapped, dialect: eval.engine.dialect };
    let mut rows = Vec::new();
    for (group, ones) in chosen {
        join.group(group, &ones, &mut rows)?;
    }
    merge(rows)
}

/// Two series of the one side at the same step.
struct Double {
    step: usize,
    later: usize,
    earlier: usize,
}

/// Finds the series of the one side at every step, and the first step at which there are two.
fn the_one(group: &Group, one: &[Row], sides: &[bool], steps: usize) -> (Vec<Option<usize>>, Option<Double>) {
    let mut chosen: Vec<Option<usize>> = vec![None; steps];
    let mut double: Option<Double> = None;
    for index in &group.one {
        for (step, value) in one[*index].values.iter().enumerate() {
            if is_stale(*value) {
                continue;
            }
            let Some(earlier) = chosen[step] else {
                chosen[step] = Some(*index);
                continue;
            };
            if sides.get(step).copied().unwrap_or(true)
                && double.as_ref().is_none_or(|first| step < first.step)
            {
                double = Some(Double { step, later: *index, earlier });
            }
        }
    }
    (chosen, double)
}

/// Labels as Prometheus prints them in errors: the name is one of them.
fn braced(labels: &Labels) -> String {
    let inner: Vec<String> = labels.iter().map(|(name, value)| format!("{name}={value:?}")).collect();
    format!("{{{}}}", inner.join(", "))
}

struct Join<'a> {
    many: &'a [Row],
    one: &'a [Row],
    operator: Operator,
    matching: &'a Matching,
    /// Labels taken over from the one side; `None` is one-to-one.
    include: Option<&'a [String]>,
    swapped: bool,
    dialect: Dialect,
}

impl Join<'_> {
    fn group(&self, group: &Group, chosen: &[Option<usize>], rows: &mut Vec<Row>) -> Result<(), EvalError> {
        let mut taken = vec![false; chosen.len()];
        let mut places: HashMap<Labels, usize> = HashMap::new();
        let first = rows.len();
        for many in &group.many {
            let row = &self.many[*many];
            // Mostly one series answers at all steps: its labels are made once.
            let mut latest: Option<(usize, usize)> = None;
            for (step, value) in row.values.iter().enumerate() {
                let (Some(one), false) = (chosen[step], is_stale(*value)) else { continue };
                let other = self.one[one].values[step];
                let (left, right) = if self.swapped { (other, *value) } else { (*value, other) };
                // What a filter lets through is the left side's value.
                let result = self.operator.apply(left, right, left);
                if is_stale(result) {
                    continue;
                }
                if self.include.is_none() {
                    if taken[step] {
                        return Err(EvalError::Execution(
                            "multiple matches for labels: many-to-one matching must be explicit \
                             (group_left/group_right)"
                                .to_owned(),
                        ));
                    }
                    taken[step] = true;
                }
                let place = match latest {
                    Some((from, place)) if from == one => place,
                    _ => {
                        let labels = self.labels(&row.labels, &self.one[one].labels);
                        let place = *places.entry(labels.clone()).or_insert_with(|| {
                            rows.push(Row { labels, values: vec![STALE; chosen.len()] });
                            rows.len() - 1
                        });
                        latest = Some((one, place));
                        place
                    }
                };
                debug_assert!(place >= first);
                let slot = &mut rows[place].values[step];
                if !is_stale(*slot) {
                    return Err(EvalError::Execution(
                        "multiple matches for labels: grouping labels must ensure unique matches".to_owned(),
                    ));
                }
                *slot = result;
            }
        }
        Ok(())
    }

    fn labels(&self, many: &Labels, one: &Labels) -> Labels {
        let named = if self.operator.drops_name(self.dialect) { many.nameless() } else { many.clone() };
        let Some(include) = self.include else {
            return named.keep(|name| self.matching.on == self.matching.names.contains(name));
        };
        include.iter().fold(named, |labels, name| labels.with(name.as_str(), one.get(name)))
    }
}
