//! Metric math of the simple kind: `+ - * /`, brackets, numbers, and `SUM AVG MIN MAX ABS CEIL FLOOR FILL METRICS RATE`.
//!
//! Points meet where both sides have one; what is missing on one side is missing in the result, as in the original.

use std::collections::BTreeMap;

/// Values by the start of their period, in Unix seconds.
pub type Points = BTreeMap<i64, f64>;

/// Why an expression has no result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trouble {
    /// It names a query whose points are not known yet, or do not exist.
    Unknown(String),
    /// It cannot be read.
    Syntax(String),
}

/// A value on the way: one series, a constant, or several series (`METRICS()`, `[a, b]`).
#[derive(Debug, Clone)]
enum Value {
    Series(Points),
    Constant(f64),
    Many(Vec<Points>),
}

/// Evaluates an expression over known queries.
pub fn evaluate(text: &str, known: &BTreeMap<String, Points>) -> Result<Points, Trouble> {
    let mut reader = Reader { rest: text.trim(), known, depth: 0 };
    let value = reader.sum()?;
    if !reader.rest.is_empty() {
        return Err(Trouble::Syntax(format!("Error in expression: unexpected '{}'", reader.rest)));
    }
    match value {
        Value::Series(points) => Ok(points),
        Value::Constant(_) => {
            Err(Trouble::Syntax("Error in expression: the result is a scalar, not a time series".to_owned()))
        }
        Value::Many(_) => {
            Err(Trouble::Syntax("Error in expression: the result is an array of time series".to_owned()))
        }
    }
}

struct Reader<'a> {
    rest: &'a str,
    known: &'a BTreeMap<String, Points>,
    depth: u32,
}

impl Reader<'_> {
    fn eat(&mut self, sign: char) -> bool {
        let found = self.rest.strip_prefix(sign);
        if let Some(rest) = found {
            self.rest = rest.trim_start();
        }
        found.is_some()
    }

    fn expect(&mut self, sign: char) -> Result<(), Trouble> {
        if self.eat(sign) {
            return Ok(());
        }
        Err(Trouble::Syntax(format!("Error in expression: expected '{sign}' before '{}'", self.rest)))
    }

    fn sum(&mut self) -> Result<Value, Trouble> {
        let mut left = self.product()?;
        loop {
            if self.eat('+') {
                left = combine(left, self.product()?, |a, b| a + b);
            } else if self.eat('-') {
                left = combine(left, self.product()?, |a, b| a - b);
            } else {
                return Ok(left);
            }
        }
    }

    fn product(&mut self) -> Result<Value, Trouble> {
        let mut left = self.part()?;
        loop {
            if self.eat('*') {
                left = combine(left, self.part()?, |a, b| a * b);
            } else if self.eat('/') {
                left = combine(left, self.part()?, |a, b| a / b);
            } else {
                return Ok(left);
            }
        }
    }

    fn part(&mut self) -> Result<Value, Trouble> {
        self.depth += 1;
        if self.depth > 64 {
            return Err(Trouble::Syntax("Error in expression: it is nested too deeply".to_owned()));
        }
        let value = self.plain();
        self.depth -= 1;
        value
    }

    fn plain(&mut self) -> Result<Value, Trouble> {
        if self.eat('-') {
            let value = self.part()?;
            return Ok(combine(Value::Constant(0.0), value, |a, b| a - b));
        }
        if self.eat('(') {
            let value = self.sum()?;
            self.expect(')')?;
            return Ok(value);
        }
        if self.eat('[') {
            let list = self.list(']')?;
            return Ok(Value::Many(list.into_iter().flat_map(series).collect()));
        }
        let end = self
            .rest
            .find(|letter: char| !(letter.is_ascii_alphanumeric() || matches!(letter, '_' | '.')))
            .unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest.trim_start();
        if word.is_empty() {
            return Err(Trouble::Syntax(format!("Error in expression: unexpected '{}'", self.rest)));
        }
        if let Ok(number) = word.parse() {
            return Ok(Value::Constant(number));
        }
        if self.eat('(') {
            let parts = self.list(')')?;
            return call(word, parts, self.known);
        }
        match self.known.get(word) {
            Some(points) => Ok(Value::Series(points.clone())),
            None => Err(Trouble::Unknown(word.to_owned())),
        }
    }

    fn list(&mut self, end: char) -> Result<Vec<Value>, Trouble> {
        let mut list = Vec::new();
        while !self.eat(end) {
            list.push(self.sum()?);
            if !self.eat(',') {
                self.expect(end)?;
                break;
            }
        }
        Ok(list)
    }
}

fn series(value: Value) -> Vec<Points> {
    match value {
        Value::Series(points) => vec![points],
        Value::Many(list) => list,
        Value::Constant(_) => Vec::new(),
    }
}

fn combine(left: Value, right: Value, join: impl Fn(f64, f64) -> f64 + Copy) -> Value {
    let told = |points: Points| {
        // A division by nothing has no result.
        Value::Series(points.into_iter().filter(|(_, value)| value.is_finite()).collect())
    };
    match (left, right) {
        (Value::Constant(a), Value::Constant(b)) => Value::Constant(join(a, b)),
        (Value::Series(a), Value::Constant(b)) => {
            told(a.into_iter().map(|(at, a)| (at, join(a, b))).collect())
        }
        (Value::Constant(a), Value::Series(b)) => {
            told(b.into_iter().map(|(at, b)| (at, join(a, b))).collect())
        }
        (Value::Series(a), Value::Series(b)) => {
            told(a.into_iter().filter_map(|(at, a)| Some((at, join(a, *b.get(&at)?)))).collect())
        }
        (Value::Many(list), other) => Value::Many(
            list.into_iter()
                .flat_map(|one| series(combine(Value::Series(one), other.clone(), join)))
                .collect(),
        ),
        (other, Value::Many(list)) => Value::Many(
            list.into_iter()
                .flat_map(|one| series(combine(other.clone(), Value::Series(one), join)))
                .collect(),
        ),
    }
}

fn call(name: &str, parts: Vec<Value>, known: &BTreeMap<String, Points>) -> Result<Value, Trouble> {
    let wrong = || Trouble::Syntax(format!("Error in expression: wrong arguments of {name}()"));
    let mut parts = parts.into_iter();
    let fold = |parts: std::vec::IntoIter<Value>, join: fn(&[f64]) -> f64| {
        let lists: Vec<Value> = parts.collect();
        // Over time, where there is one series.
        if let [Value::Series(points)] = lists.as_slice() {
            let values: Vec<f64> = points.values().copied().collect();
            return if values.is_empty() {
                Value::Series(Points::new())
            } else {
                Value::Constant(join(&values))
            };
        }
        let mut at: BTreeMap<i64, Vec<f64>> = BTreeMap::new();
        for (time, value) in lists.into_iter().flat_map(series).flatten() {
            at.entry(time).or_default().push(value);
        }
        Value::Series(at.into_iter().map(|(time, values)| (time, join(&values))).collect())
    };
    let each =
        |value: Value, change: fn(f64) -> f64| combine(value, Value::Constant(0.0), move |a, _| change(a));
    Ok(match name {
        "SUM" => fold(parts, |values| values.iter().sum()),
        "AVG" => fold(parts, |values| values.iter().sum::<f64>() / values.len() as f64),
        "MIN" => fold(parts, |values| values.iter().copied().fold(f64::INFINITY, f64::min)),
        "MAX" => fold(parts, |values| values.iter().copied().fold(f64::NEG_INFINITY, f64::max)),
        "ABS" => each(parts.next().ok_or_else(wrong)?, f64::abs),
        "CEIL" => each(parts.next().ok_or_else(wrong)?, f64::ceil),
        "FLOOR" => each(parts.next().ok_or_else(wrong)?, f64::floor),
        "METRICS" => Value::Many(known.values().cloned().collect()),
        "RATE" => {
            let Some(Value::Series(points)) = parts.next() else { return Err(wrong()) };
            let pairs = points.iter().zip(points.iter().skip(1));
            Value::Series(pairs.map(|((before, a), (at, b))| (*at, (b - a) / (at - before) as f64)).collect())
        }
        "FILL" => match (parts.next(), parts.next()) {
            (Some(Value::Series(points)), Some(Value::Constant(filler))) => {
                Value::Series(fill(points, known, filler))
            }
            _ => return Err(wrong()),
        },
        _ => return Err(Trouble::Syntax(format!("Error in expression: unknown function {name}"))),
    })
}

/// Puts a value where another query has a point and this one has none.
fn fill(mut points: Points, known: &BTreeMap<String, Points>, filler: f64) -> Points {
    for at in known.values().flat_map(BTreeMap::keys) {
        points.entry(*at).or_insert(filler);
    }
    points
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known() -> BTreeMap<String, Points> {
        [
            ("e".to_owned(), [(0, 1.0), (120, 4.0)].into()),
            ("r".to_owned(), [(0, 10.0), (60, 20.0), (120, 0.0)].into()),
        ]
        .into()
    }

    #[test]
    fn arithmetic_meets_where_both_have_points() {
        assert_eq!(evaluate("100 * e / r", &known()).unwrap(), [(0, 10.0)].into());
        assert_eq!(evaluate("(e + r) * -2", &known()).unwrap(), [(0, -22.0), (120, -8.0)].into());
        let filled: Points = [(0, 11.0), (60, 20.0), (120, 4.0)].into();
        assert_eq!(evaluate("FILL(e, 0) + r", &known()).unwrap(), filled);
        assert_eq!(evaluate("SUM([e, r])", &known()).unwrap(), filled);
        assert_eq!(evaluate("MAX(METRICS())", &known()).unwrap().get(&120), Some(&4.0));
        assert_eq!(evaluate("r / MAX(r)", &known()).unwrap().get(&60), Some(&1.0));
        assert_eq!(evaluate("RATE(r)", &known()).unwrap().get(&60), Some(&(10.0 / 60.0)));
    }

    #[test]
    fn what_cannot_be_evaluated_says_why() {
        assert_eq!(evaluate("e / x", &known()), Err(Trouble::Unknown("x".to_owned())));
        for text in ["", "e +", "(e", "3", "METRICS()", "NOPE(e)", "e e", "FILL(e)", &"(".repeat(200)] {
            assert!(matches!(evaluate(text, &known()), Err(Trouble::Syntax(_))), "{text}");
        }
    }
}
