//! Series at one time: aggregations, operators and `label_replace`, as Prometheus defines them.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use super::ast::{Binary, Compare, Grouping, LabelReplace, Matching, Side, VectorAgg};
use super::{EvalError, Labels, label, spell};

/// A value of a series at one time.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// Labels, sorted by name.
    pub labels: Arc<Labels>,
    /// The value.
    pub value: f64,
}

/// What a query is at one time.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// A number.
    Scalar(f64),
    /// Series.
    Vector(Vec<Sample>),
}

/// Keeps some labels.
fn part(labels: &Labels, names: &[String], without: bool) -> Labels {
    labels.iter().filter(|(name, _)| names.contains(name) != without).cloned().collect()
}

fn group_of(labels: &Labels, grouping: &Grouping) -> Labels {
    part(labels, &grouping.labels, grouping.without)
}

/// Returns the variance of a population.
pub fn variance(values: impl Iterator<Item = f64>) -> f64 {
    let (mut count, mut mean, mut squares) = (0.0, 0.0, 0.0);
    for value in values {
        count += 1.0;
        let delta = value - mean;
        mean += delta / count;
        squares += delta * (value - mean);
    }
    squares / count
}

/// Returns a quantile, between the two values that lie next to it.
pub fn quantile(q: f64, mut values: Vec<f64>) -> f64 {
    if values.is_empty() || q.is_nan() {
        return f64::NAN;
    }
    if q < 0.0 {
        return f64::NEG_INFINITY;
    }
    if q > 1.0 {
        return f64::INFINITY;
    }
    values.sort_by(f64::total_cmp);
    let rank = q * (values.len() - 1) as f64;
    let (low, high) = (rank.floor() as usize, (rank.floor() as usize + 1).min(values.len() - 1));
    let weight = rank - rank.floor();
    values[low] * (1.0 - weight) + values[high] * weight
}

/// Makes many series into few.
pub fn aggregate(agg: &VectorAgg, mut samples: Vec<Sample>) -> Vec<Sample> {
    match agg.function {
        "sort" => {
            samples.sort_by(|one, other| one.value.total_cmp(&other.value));
            return samples;
        }
        "sort_desc" => {
            samples.sort_by(|one, other| other.value.total_cmp(&one.value));
            return samples;
        }
        _ => {}
    }
    let mut groups: BTreeMap<Labels, Vec<Sample>> = BTreeMap::new();
    for sample in samples {
        groups.entry(group_of(&sample.labels, &agg.grouping)).or_default().push(sample);
    }
    let mut result = Vec::new();
    for (labels, mut members) in groups {
        if matches!(agg.function, "topk" | "bottomk" | "approx_topk") {
            members.sort_by(|one, other| {
                let (one_value, other_value) = (one.value, other.value);
                let order = if agg.function == "bottomk" {
                    one_value.total_cmp(&other_value)
                } else {
                    other_value.total_cmp(&one_value)
                };
                order.then_with(|| one.labels.cmp(&other.labels))
            });
            members.truncate(agg.parameter);
            result.append(&mut members);
            continue;
        }
        let values = || members.iter().map(|sample| sample.value);
        let count = members.len() as f64;
        let value = match agg.function {
            "sum" => values().sum(),
            "avg" => values().sum::<f64>() / count,
            "max" => values().fold(f64::NEG_INFINITY, f64::max),
            "min" => values().fold(f64::INFINITY, f64::min),
            "count" => count,
            "stdvar" => variance(values()),
            "stddev" => variance(values()).sqrt(),
            // The parser makes no other.
            _ => f64::NAN,
        };
        result.push(Sample { labels: Arc::new(labels), value });
    }
    result
}

/// Makes a label from another.
pub fn label_replace(replace: &LabelReplace, samples: Vec<Sample>) -> Vec<Sample> {
    samples
        .into_iter()
        .map(|sample| {
            let source = label(&sample.labels, &replace.source).unwrap_or_default();
            let Some(captures) = replace.regex.captures(source) else { return sample };
            let mut value = String::new();
            captures.expand(&replace.replacement, &mut value);
            let mut labels = sample.labels.as_ref().clone();
            labels.retain(|(name, _)| *name != replace.target);
            if !value.is_empty() {
                labels.push((replace.target.clone(), value));
                labels.sort();
            }
            Sample { labels: Arc::new(labels), value: sample.value }
        })
        .collect()
}

fn compare(op: &str) -> Option<Compare> {
    Some(match op {
        "==" => Compare::Equal,
        "!=" => Compare::NotEqual,
        ">" => Compare::Greater,
        ">=" => Compare::GreaterOrEqual,
        "<" => Compare::Less,
        "<=" => Compare::LessOrEqual,
        _ => return None,
    })
}

fn arithmetic(op: &str, left: f64, right: f64) -> f64 {
    match op {
        "+" => left + right,
        "-" => left - right,
        "*" => left * right,
        "/" => left / right,
        "%" => left % right,
        "^" => left.powf(right),
        _ => f64::NAN,
    }
}

/// Computes an operator between two numbers; a comparison is 1 or 0.
pub fn reduce(op: &str, left: f64, right: f64) -> f64 {
    match compare(op) {
        Some(compare) => f64::from(u8::from(compare.holds(left, right))),
        None => arithmetic(op, left, right),
    }
}

/// Computes an operator for a pair; `None` where a comparison takes it out.
fn meet(binary: &Binary, left: f64, right: f64) -> Option<f64> {
    match compare(binary.op) {
        None => Some(arithmetic(binary.op, left, right)),
        Some(compare) if binary.bool => Some(f64::from(u8::from(compare.holds(left, right)))),
        Some(compare) => compare.holds(left, right).then_some(left),
    }
}

/// Computes an operator between two sides.
pub fn binary(binary: &Binary, left: Value, right: Value) -> Result<Value, EvalError> {
    Ok(match (left, right) {
        (Value::Scalar(left), Value::Scalar(right)) => Value::Scalar(reduce(binary.op, left, right)),
        (Value::Vector(samples), Value::Scalar(right)) => Value::Vector(
            samples
                .into_iter()
                .filter_map(|sample| {
                    let value = meet(binary, sample.value, right)?;
                    Some(Sample { value, ..sample })
                })
                .collect(),
        ),
        (Value::Scalar(left), Value::Vector(samples)) => Value::Vector(
            samples
                .into_iter()
                .filter_map(|sample| {
                    let value = meet(binary, left, sample.value)?;
                    // A filter keeps the value of the series, whichever side it stands on.
                    let filters = compare(binary.op).is_some() && !binary.bool;
                    Some(Sample { value: if filters { sample.value } else { value }, ..sample })
                })
                .collect(),
        ),
        (Value::Vector(left), Value::Vector(right)) => Value::Vector(match binary.op {
            "and" | "or" | "unless" => set(binary, left, right),
            _ => pairs(binary, left, right)?,
        }),
    })
}

fn signature(labels: &Labels, matching: &Matching) -> Labels {
    part(labels, &matching.labels, !matching.on)
}

fn set(binary: &Binary, left: Vec<Sample>, right: Vec<Sample>) -> Vec<Sample> {
    let sign = |samples: &[Sample]| -> std::collections::HashSet<Labels> {
        samples.iter().map(|sample| signature(&sample.labels, &binary.matching)).collect()
    };
    if binary.op == "or" {
        let known = sign(&left);
        let more =
            right.into_iter().filter(|sample| !known.contains(&signature(&sample.labels, &binary.matching)));
        return left.into_iter().chain(more).collect();
    }
    let known = sign(&right);
    let wanted = binary.op == "and";
    left.into_iter()
        .filter(|sample| known.contains(&signature(&sample.labels, &binary.matching)) == wanted)
        .collect()
}

fn pairs(binary: &Binary, left: Vec<Sample>, right: Vec<Sample>) -> Result<Vec<Sample>, EvalError> {
    let matching = &binary.matching;
    // The side of which each group has one series.
    let (many, one) = if matching.many == Some(Side::Right) { (right, left) } else { (left, right) };
    let side = if matching.many == Some(Side::Right) { "left" } else { "right" };
    let mut ones: HashMap<Labels, &Sample> = HashMap::new();
    for sample in &one {
        let group = signature(&sample.labels, matching);
        if let Some(other) = ones.insert(group, sample) {
            return Err(EvalError::Matching(format!(
                "found duplicate series on the {side} hand-side;many-to-many matching not allowed: matching labels must be unique on one side: {} and {}",
                spell(&other.labels),
                spell(&sample.labels)
            )));
        }
    }
    let mut met: HashSet<Labels> = HashSet::new();
    let mut result = Vec::new();
    for sample in &many {
        let group = signature(&sample.labels, matching);
        let Some(other) = ones.get(&group) else { continue };
        let (left, right) = match matching.many {
            Some(Side::Right) => (other.value, sample.value),
            _ => (sample.value, other.value),
        };
        let Some(value) = meet(binary, left, right) else { continue };
        let labels = match matching.many {
            None if matching.on => group.clone(),
            None => part(&sample.labels, &matching.labels, true),
            Some(_) => {
                let mut labels = sample.labels.as_ref().clone();
                for name in &matching.include {
                    labels.retain(|(known, _)| known != name);
                    if let Some(value) = label(&other.labels, name) {
                        labels.push((name.clone(), value.to_owned()));
                    }
                }
                labels.sort();
                labels
            }
        };
        if matching.many.is_none() && !met.insert(group) {
            return Err(EvalError::Matching(
                "multiple matches for labels: many-to-one matching must be explicit (group_left/group_right)"
                    .to_owned(),
            ));
        }
        result.push(Sample { labels: Arc::new(labels), value });
    }
    Ok(result)
}
