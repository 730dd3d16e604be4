//! The walk over an expression: selectors, windows and subqueries, for all steps of a query at once.
//!
//! # Why
//!
//! Prometheus works step by step. Here every series carries one value a step, so that labels are compared and grouped
//! once a query and not once a step: a query over 10,000 series and 700 steps stays within what one request may cost.
//! A step without a value holds [`STALE`], which no arithmetic produces.

use std::collections::HashMap;
use std::time::{SystemTime, UNIX_EPOCH};

use promql_parser::parser::{AtModifier, Call, Expr, Offset, SubqueryExpr, VectorSelector};

use super::aggregate;
use super::binary;
use super::functions;
use super::window::{self, Window};
use super::{
    Answer, Dialect, EvalError, LOOKBACK_MS, Labels, Matcher, NAME, STALE, Sample, Samples, Series, is_stale,
};

/// How an expression is evaluated.
#[derive(Debug, Clone, Copy)]
pub struct Engine {
    /// Which Prometheus is meant.
    pub dialect: Dialect,
    /// How far back an instant selector looks, in milliseconds.
    pub lookback_ms: i64,
    /// The step of a subquery that names none, in milliseconds: the interval at which rules are evaluated.
    pub interval_ms: i64,
}

impl Default for Engine {
    fn default() -> Self {
        Self { dialect: Dialect::default(), lookback_ms: LOOKBACK_MS, interval_ms: 60_000 }
    }
}

/// The times at which an expression is evaluated.
#[derive(Debug, Clone, Copy)]
pub(super) struct Steps {
    pub(super) start: i64,
    pub(super) step: i64,
    pub(super) count: usize,
}

impl Steps {
    pub(super) fn new(start: i64, end: i64, step: i64) -> Self {
        let count = if end < start { 0 } else { (end - start) / step.max(1) + 1 };
        Self { start, step: step.max(1), count: usize::try_from(count).unwrap_or(0) }
    }

    pub(super) fn at(&self, index: usize) -> i64 {
        self.start + self.step * index as i64
    }

    fn end(&self) -> i64 {
        self.at(self.count.saturating_sub(1))
    }
}

/// One series with one value a step.
#[derive(Debug, Clone)]
pub(super) struct Row {
    pub(super) labels: Labels,
    pub(super) values: Vec<f64>,
}

impl Row {
    pub(super) fn is_empty(&self) -> bool {
        self.values.iter().all(|value| is_stale(*value))
    }
}

/// What a part of an expression comes to.
#[derive(Debug, Clone)]
pub(super) enum Value {
    Scalar(Vec<f64>),
    Vector(Vec<Row>),
    Text(String),
}

impl Value {
    pub(super) fn rows(self) -> Vec<Row> {
        match self {
            Self::Vector(rows) => rows,
            Self::Scalar(_) | Self::Text(_) => Vec::new(),
        }
    }
}

/// The series of a window function's argument, and where its windows lie.
pub(super) struct Ranged {
    pub(super) series: Vec<Series>,
    range: i64,
    offset: i64,
    /// Every window ends here, whatever the step.
    fixed: Option<i64>,
}

impl Ranged {
    /// The end of the window of a step.
    fn end(&self, at: i64) -> i64 {
        self.fixed.unwrap_or(at) - self.offset
    }
}

/// One evaluation.
pub(super) struct Eval<'a> {
    pub(super) samples: &'a dyn Samples,
    pub(super) engine: Engine,
    /// Start and end of the whole query, for `@ start()` and `@ end()`.
    pub(super) whole: (i64, i64),
    pub(super) steps: Steps,
}

impl Engine {
    /// Evaluates at one time, in milliseconds.
    pub fn instant(&self, samples: &dyn Samples, expr: &str, at_ms: i64) -> Result<Answer, EvalError> {
        let parsed = super::syntax::parse(expr)?;
        self.instant_of(samples, &parsed, at_ms)
    }

    /// Evaluates a parsed expression at one time, in milliseconds.
    pub fn instant_of(&self, samples: &dyn Samples, expr: &Expr, at_ms: i64) -> Result<Answer, EvalError> {
        let steps = Steps { start: at_ms, step: 1, count: 1 };
        let eval = Eval { samples, engine: *self, whole: (at_ms, at_ms), steps };
        if let Some(ranged) = eval.ranged(expr)? {
            let (range, end) = (ranged.range, ranged.end(at_ms));
            let from = end - range - i64::from(self.dialect == Dialect::Two);
            let inside = |point: &(i64, f64)| point.0 > from && point.0 <= end && !is_stale(point.1);
            let mut series: Vec<Series> = ranged
                .series
                .into_iter()
                .map(|one| Series {
                    labels: one.labels,
                    points: one.points.into_iter().filter(inside).collect(),
                })
                .filter(|one| !one.points.is_empty())
                .collect();
            series.sort_by(|a, b| a.labels.cmp(&b.labels));
            return Ok(Answer::Matrix(series));
        }
        Ok(match eval.value(expr)? {
            Value::Scalar(values) => Answer::Scalar(values.first().copied().unwrap_or(f64::NAN)),
            Value::Text(text) => Answer::Text(text),
            Value::Vector(rows) => {
                let present = rows.into_iter().filter_map(|row| {
                    let value = *row.values.first()?;
                    (!is_stale(value)).then_some(Sample { labels: row.labels, value })
                });
                Answer::Vector(present.collect())
            }
        })
    }

    /// Evaluates at every `step_ms` from `start_ms` to `end_ms`, both included.
    pub fn range(
        &self,
        samples: &dyn Samples,
        expr: &str,
        start_ms: i64,
        end_ms: i64,
        step_ms: i64,
    ) -> Result<Vec<Series>, EvalError> {
        let bad = |text: &str| Err(EvalError::Bad(text.to_owned()));
        if end_ms < start_ms {
            return bad("end timestamp must not be before start time");
        }
        if step_ms <= 0 {
            return bad(
                "zero or negative query resolution step widths are not accepted. Try a positive integer",
            );
        }
        if (end_ms - start_ms) / step_ms > super::MAX_POINTS {
            return bad(
                "exceeded maximum resolution of 11,000 points per timeseries. Try decreasing the query resolution \
                 (?step=XX)",
            );
        }
        let parsed = super::syntax::parse(expr)?;
        self.range_of(samples, &parsed, start_ms, end_ms, step_ms)
    }

    /// Evaluates a parsed expression at every `step_ms` from `start_ms` to `end_ms`, both included.
    pub fn range_of(
        &self,
        samples: &dyn Samples,
        expr: &Expr,
        start_ms: i64,
        end_ms: i64,
        step_ms: i64,
    ) -> Result<Vec<Series>, EvalError> {
        let kind = expr.value_type();
        if !matches!(
            kind,
            promql_parser::parser::value::ValueType::Vector | promql_parser::parser::value::ValueType::Scalar
        ) {
            let kind = super::syntax::type_name(kind);
            return Err(EvalError::Bad(format!(
                "invalid expression type \"{kind}\" for range query, must be Scalar or instant Vector"
            )));
        }
        let steps = Steps::new(start_ms, end_ms, step_ms);
        let eval = Eval { samples, engine: *self, whole: (start_ms, end_ms), steps };
        let points = |values: Vec<f64>| -> Vec<(i64, f64)> {
            let numbered = values.into_iter().enumerate();
            numbered.filter(|(_, value)| !is_stale(*value)).map(|(at, value)| (steps.at(at), value)).collect()
        };
        let mut series: Vec<Series> = match eval.value(expr)? {
            Value::Scalar(values) => vec![Series { labels: Labels::empty(), points: points(values) }],
            Value::Text(_) => Vec::new(),
            Value::Vector(rows) => rows
                .into_iter()
                .map(|row| Series { labels: row.labels, points: points(row.values) })
                .filter(|one| !one.points.is_empty())
                .collect(),
        };
        series.sort_by(|a, b| a.labels.cmp(&b.labels));
        Ok(series)
    }
}

impl Eval<'_> {
    /// Evaluates any expression that is no range vector.
    pub(super) fn value(&self, expr: &Expr) -> Result<Value, EvalError> {
        match expr {
            Expr::Paren(inner) => self.value(&inner.expr),
            Expr::NumberLiteral(number) => Ok(Value::Scalar(vec![number.val; self.steps.count])),
            Expr::StringLiteral(text) => Ok(Value::Text(text.val.clone())),
            Expr::VectorSelector(selector) => self.selector(selector).map(Value::Vector),
            Expr::Unary(unary) => Ok(match self.value(&unary.expr)? {
                Value::Scalar(values) => Value::Scalar(values.into_iter().map(|value| -value).collect()),
                Value::Vector(rows) => Value::Vector(merge(map_rows(rows, |value| -value))?),
                text @ Value::Text(_) => text,
            }),
            Expr::Binary(binary) => binary::evaluate(self, binary),
            Expr::Aggregate(aggregate) => aggregate::evaluate(self, aggregate).map(Value::Vector),
            Expr::Call(call) => self.call(call),
            Expr::MatrixSelector(_) | Expr::Subquery(_) | Expr::Extension(_) => Err(EvalError::Execution(
                "a range vector stands where an instant vector is wanted".to_owned(),
            )),
        }
    }

    /// Evaluates an argument that must be a number at every step.
    pub(super) fn scalar(&self, expr: &Expr) -> Result<Vec<f64>, EvalError> {
        match self.value(expr)? {
            Value::Scalar(values) => Ok(values),
            Value::Vector(_) | Value::Text(_) => {
                Err(EvalError::Execution("a number is wanted as argument".to_owned()))
            }
        }
    }

    /// Evaluates an argument that must be an instant vector.
    pub(super) fn vector(&self, expr: &Expr) -> Result<Vec<Row>, EvalError> {
        Ok(self.value(expr)?.rows())
    }

    /// Resolves offset and `@` of a selector.
    fn shift(&self, offset: Option<&Offset>, at: Option<&AtModifier>) -> (i64, Option<i64>) {
        let millis =
            |duration: &std::time::Duration| i64::try_from(duration.as_millis()).unwrap_or(i64::MAX / 4);
        let offset = match offset {
            None => 0,
            Some(Offset::Pos(duration)) => millis(duration),
            Some(Offset::Neg(duration)) => -millis(duration),
        };
        let fixed = at.map(|at| match at {
            AtModifier::Start => self.whole.0,
            AtModifier::End => self.whole.1,
            AtModifier::At(time) => unix_millis(*time),
        });
        (offset, fixed)
    }

    /// The older end of a window, as [`Samples::select`] takes it.
    fn older(&self, end: i64, range: i64) -> i64 {
        end - range - i64::from(self.engine.dialect == Dialect::Two)
    }

    fn selector(&self, selector: &VectorSelector) -> Result<Vec<Row>, EvalError> {
        self.looked_up(selector, |_, value| value)
    }

    /// Finds the latest sample of every step and makes a value of its time and its value.
    pub(super) fn looked_up(
        &self,
        selector: &VectorSelector,
        make: impl Fn(i64, f64) -> f64,
    ) -> Result<Vec<Row>, EvalError> {
        let (offset, fixed) = self.shift(selector.offset.as_ref(), selector.at.as_ref());
        let first = fixed.unwrap_or(self.steps.start) - offset;
        let last = fixed.unwrap_or(self.steps.end()) - offset;
        let look = self.engine.lookback_ms;
        let matchers = matchers(selector)?;
        let older = self.older(first, look);
        let found = if first == last {
            self.samples.latest(&matchers, older, last)
        } else {
            self.samples.select(&matchers, older, last)
        };
        let latest =
            |points: &[(i64, f64)], next: usize, at: i64| match next.checked_sub(1).map(|i| points[i]) {
                Some((time, value)) if time > self.older(at, look) && !is_stale(value) => make(time, value),
                _ => STALE,
            };
        let rows = found.into_iter().map(|series| {
            let points = &series.points;
            let values = if let Some(fixed) = fixed {
                let at = fixed - offset;
                let next = points.partition_point(|point| point.0 <= at);
                vec![latest(points, next, at); self.steps.count]
            } else {
                let mut next = 0;
                (0..self.steps.count)
                    .map(|step| {
                        let at = self.steps.at(step) - offset;
                        while points.get(next).is_some_and(|point| point.0 <= at) {
                            next += 1;
                        }
                        latest(points, next, at)
                    })
                    .collect()
            };
            Row { labels: series.labels, values }
        });
        Ok(rows.filter(|row| !row.is_empty()).collect())
    }

    /// Evaluates an argument that is a range vector; `None` where it is none.
    pub(super) fn ranged(&self, expr: &Expr) -> Result<Option<Ranged>, EvalError> {
        match expr {
            Expr::Paren(inner) => self.ranged(&inner.expr),
            Expr::MatrixSelector(matrix) => {
                let (offset, fixed) = self.shift(matrix.vs.offset.as_ref(), matrix.vs.at.as_ref());
                let range = i64::try_from(matrix.range.as_millis()).unwrap_or(i64::MAX / 4);
                let first = fixed.unwrap_or(self.steps.start) - offset;
                let last = fixed.unwrap_or(self.steps.end()) - offset;
                let series = self.samples.select(&matchers(&matrix.vs)?, self.older(first, range), last);
                Ok(Some(Ranged { series, range, offset, fixed }))
            }
            Expr::Subquery(subquery) => self.subquery(subquery).map(Some),
            _ => Ok(None),
        }
    }

    /// Evaluates a subquery at multiples of its own step.
    fn subquery(&self, subquery: &SubqueryExpr) -> Result<Ranged, EvalError> {
        let (offset, fixed) = self.shift(subquery.offset.as_ref(), subquery.at.as_ref());
        let range = i64::try_from(subquery.range.as_millis()).unwrap_or(i64::MAX / 4);
        let step = subquery.step.map_or(self.engine.interval_ms, |step| {
            i64::try_from(step.as_millis()).unwrap_or(self.engine.interval_ms)
        });
        let step = step.max(1);
        let oldest = fixed.unwrap_or(self.steps.start) - offset - range;
        let newest = fixed.unwrap_or(self.steps.end()) - offset;
        let mut start = oldest.div_euclid(step) * step;
        let outside = match self.engine.dialect {
            Dialect::Two => start < oldest,
            Dialect::Three => start <= oldest,
        };
        if outside {
            start += step;
        }
        let steps = Steps::new(start, newest, step);
        let inner = Eval { samples: self.samples, engine: self.engine, whole: self.whole, steps };
        let rows = match inner.value(&subquery.expr)? {
            Value::Vector(rows) => rows,
            Value::Scalar(values) => vec![Row { labels: Labels::empty(), values }],
            Value::Text(_) => Vec::new(),
        };
        let series = rows.into_iter().map(|row| Series {
            labels: row.labels,
            points: row
                .values
                .into_iter()
                .enumerate()
                .filter(|(_, value)| !is_stale(*value))
                .map(|(at, value)| (steps.at(at), value))
                .collect(),
        });
        Ok(Ranged { series: series.collect(), range, offset, fixed })
    }

    fn call(&self, call: &Call) -> Result<Value, EvalError> {
        let name = call.func.name;
        if name == "absent_over_time" {
            return self.absent_over_time(call);
        }
        let Some(function) = window::function(name) else {
            return functions::evaluate(self, call);
        };
        let mut ranged = None;
        let mut numbers = Vec::new();
        for argument in &call.args.args {
            match self.ranged(argument)? {
                Some(found) => ranged = Some(found),
                None => numbers.push(self.scalar(argument)?),
            }
        }
        let Some(ranged) = ranged else {
            return Err(EvalError::Execution(format!("{name} was called without a range vector")));
        };
        let keeps_name = matches!(name, "last_over_time" | "first_over_time");
        let mut rows = Vec::with_capacity(ranged.series.len());
        let mut arguments = vec![0.0; numbers.len()];
        for series in &ranged.series {
            let mut failed = None;
            let values = self.windows(&ranged, series, |window_points, step, start, end| {
                for (argument, values) in arguments.iter_mut().zip(&numbers) {
                    *argument = values.get(step).copied().unwrap_or(f64::NAN);
                }
                let window = Window {
                    points: window_points,
                    start,
                    end,
                    at: self.steps.at(step),
                    range: ranged.range,
                    arguments: &arguments,
                    dialect: self.engine.dialect,
                };
                match function(&window) {
                    Ok(value) => value,
                    Err(error) => {
                        failed.get_or_insert(error);
                        None
                    }
                }
            });
            if let Some(error) = failed {
                return Err(EvalError::Execution(error));
            }
            let labels = if keeps_name { series.labels.clone() } else { series.labels.nameless() };
            let row = Row { labels, values };
            if !row.is_empty() {
                rows.push(row);
            }
        }
        distinct(&rows)?;
        Ok(Value::Vector(rows))
    }

    /// Calls `each` with the points of every step's window that has any; what it returns is the step's value.
    fn windows(
        &self,
        ranged: &Ranged,
        series: &Series,
        mut each: impl FnMut(&[(i64, f64)], usize, i64, i64) -> Option<f64>,
    ) -> Vec<f64> {
        // Markers end a series for instant selectors; in a window they are no sample.
        let clean: Vec<(i64, f64)>;
        let points: &[(i64, f64)] = if series.points.iter().any(|point| is_stale(point.1)) {
            clean = series.points.iter().copied().filter(|point| !is_stale(point.1)).collect();
            &clean
        } else {
            &series.points
        };
        let (mut first, mut next) = (0, 0);
        (0..self.steps.count)
            .map(|step| {
                let end = ranged.end(self.steps.at(step));
                let older = self.older(end, ranged.range);
                while points.get(first).is_some_and(|point| point.0 <= older) {
                    first += 1;
                }
                next = next.max(first);
                while points.get(next).is_some_and(|point| point.0 <= end) {
                    next += 1;
                }
                let inside = &points[first..next];
                if inside.is_empty() {
                    return STALE;
                }
                each(inside, step, end - ranged.range, end).unwrap_or(STALE)
            })
            .collect()
    }

    fn absent_over_time(&self, call: &Call) -> Result<Value, EvalError> {
        let Some(argument) = call.args.args.first() else {
            return Ok(Value::Vector(Vec::new()));
        };
        let Some(ranged) = self.ranged(argument)? else {
            return Ok(Value::Vector(Vec::new()));
        };
        let mut values = vec![1.0; self.steps.count];
        for series in &ranged.series {
            let present = self.windows(&ranged, series, |_, _, _, _| Some(1.0));
            for (value, present) in values.iter_mut().zip(present) {
                if !is_stale(present) {
                    *value = STALE;
                }
            }
        }
        let labels = match unwrapped(argument) {
            Expr::MatrixSelector(matrix) => functions::absent_labels(&matrix.vs),
            _ => Labels::empty(),
        };
        let row = Row { labels, values };
        Ok(Value::Vector(if row.is_empty() { Vec::new() } else { vec![row] }))
    }
}

/// Takes parentheses off.
pub(super) fn unwrapped(mut expr: &Expr) -> &Expr {
    while let Expr::Paren(inner) = expr {
        expr = &inner.expr;
    }
    expr
}

/// Returns what a selector asks of labels, its metric's name among it.
fn matchers(selector: &VectorSelector) -> Result<Vec<Matcher>, EvalError> {
    if !selector.matchers.or_matchers.is_empty() {
        // `{a="1" or b="2"}` is VictoriaMetrics's; Prometheus refuses it.
        return Err(EvalError::Bad(
            "invalid parameter \"query\": parse error: unexpected \"or\" in label matching".to_owned(),
        ));
    }
    let name = selector.name.iter().map(|value| Matcher::equal(NAME, value));
    Ok(name.chain(super::syntax::matchers(&selector.matchers)?).collect())
}

fn unix_millis(time: SystemTime) -> i64 {
    match time.duration_since(UNIX_EPOCH) {
        Ok(after) => i64::try_from(after.as_millis()).unwrap_or(i64::MAX / 4),
        Err(before) => -i64::try_from(before.duration().as_millis()).unwrap_or(i64::MAX / 4),
    }
}

/// Applies a function to every value, and drops the metric's name as everything does that makes another number.
pub(super) fn map_rows(rows: Vec<Row>, change: impl Fn(f64) -> f64) -> Vec<Row> {
    rows.into_iter()
        .map(|row| Row {
            labels: row.labels.nameless(),
            values: row
                .values
                .into_iter()
                .map(|value| if is_stale(value) { STALE } else { change(value) })
                .collect(),
        })
        .collect()
}

fn same_labels() -> EvalError {
    EvalError::Execution("vector cannot contain metrics with the same labelset".to_owned())
}

/// Joins rows with equal labels where they never have a value at the same step, and refuses the others.
pub(super) fn merge(rows: Vec<Row>) -> Result<Vec<Row>, EvalError> {
    let mut places: HashMap<Labels, usize> = HashMap::with_capacity(rows.len());
    let mut kept: Vec<Row> = Vec::with_capacity(rows.len());
    for row in rows {
        if row.is_empty() {
            continue;
        }
        if let Some(place) = places.get(&row.labels) {
            for (into, value) in kept[*place].values.iter_mut().zip(row.values) {
                match (is_stale(*into), is_stale(value)) {
                    (_, true) => {}
                    (true, false) => *into = value,
                    (false, false) => return Err(same_labels()),
                }
            }
        } else {
            places.insert(row.labels.clone(), kept.len());
            kept.push(row);
        }
    }
    Ok(kept)
}

/// Refuses rows with equal labels.
fn distinct(rows: &[Row]) -> Result<(), EvalError> {
    let mut seen = std::collections::HashSet::with_capacity(rows.len());
    if rows.iter().all(|row| seen.insert(&row.labels)) { Ok(()) } else { Err(same_labels()) }
}
