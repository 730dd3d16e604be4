//! What an expression looks at: its metrics, and how far back it looks.
//!
//! A rate over what is held stays a rate, so its window is made as short as that, or as long as from one reading to
//! the next. A count over an hour, a look at
//! yesterday or a query within the query is not, so those are refused until enough is held.

use std::collections::BTreeSet;
use std::time::Duration;

use promql_parser::label::MatchOp;
use promql_parser::parser::{Expr, Offset, VectorSelector};

use crate::human;
use crate::promql::NAME;

/// Returns the metrics that an expression names; `None` where a selector names none.
pub fn metrics(expr: &Expr) -> Option<BTreeSet<String>> {
    let mut names = BTreeSet::new();
    walk(expr, &mut names)?;
    Some(names)
}

fn walk(expr: &Expr, names: &mut BTreeSet<String>) -> Option<()> {
    match expr {
        Expr::Aggregate(one) => {
            walk(&one.expr, names)?;
            one.param.as_deref().map_or(Some(()), |param| walk(param, names))
        }
        Expr::Unary(one) => walk(&one.expr, names),
        Expr::Paren(one) => walk(&one.expr, names),
        Expr::Subquery(one) => walk(&one.expr, names),
        Expr::Binary(one) => {
            walk(&one.lhs, names)?;
            walk(&one.rhs, names)
        }
        Expr::Call(call) => call.args.args.iter().try_for_each(|one| walk(one, names)),
        Expr::VectorSelector(one) => {
            names.insert(name(one)?);
            Some(())
        }
        Expr::MatrixSelector(one) => {
            names.insert(name(&one.vs)?);
            Some(())
        }
        Expr::NumberLiteral(_) | Expr::StringLiteral(_) | Expr::Extension(_) => Some(()),
    }
}

/// Returns the metric of a selector: before the braces, or as `__name__="..."` in them.
fn name(selector: &VectorSelector) -> Option<String> {
    let inside = || {
        let all = &selector.matchers.matchers;
        let named = all.iter().find(|one| one.name == NAME && matches!(one.op, MatchOp::Equal));
        named.map(|one| one.value.clone())
    };
    selector.name.clone().or_else(inside)
}

/// What is held of a metric before a moment, in milliseconds.
#[derive(Debug, Clone, Copy)]
pub struct Span {
    /// How far back the first value lies.
    pub held: i64,
    /// How far back the value before lies.
    pub gap: i64,
}

/// Fits the windows of rates to what is held, by the name of the metric, and tells whether one of them has nothing to
/// be made of yet; the error says what looks back too far.
pub fn clip(expr: &mut Expr, held: &dyn Fn(&str) -> Option<Span>) -> Result<bool, String> {
    let mut early = false;
    shorten(expr, held, false, &mut early)?;
    Ok(early)
}

fn shorten(
    expr: &mut Expr,
    held: &dyn Fn(&str) -> Option<Span>,
    rate: bool,
    early: &mut bool,
) -> Result<(), String> {
    match expr {
        Expr::Aggregate(one) => {
            shorten(&mut one.expr, held, false, early)?;
            one.param.as_deref_mut().map_or(Ok(()), |param| shorten(param, held, false, early))
        }
        Expr::Unary(one) => shorten(&mut one.expr, held, false, early),
        Expr::Paren(one) => shorten(&mut one.expr, held, rate, early),
        Expr::Binary(one) => {
            shorten(&mut one.lhs, held, false, early)?;
            shorten(&mut one.rhs, held, false, early)
        }
        Expr::Call(call) => {
            let rate = matches!(call.func.name, "rate" | "irate");
            call.args.args.iter_mut().try_for_each(|one| shorten(one, held, rate, early))
        }
        Expr::Subquery(one) => {
            let mut names = BTreeSet::new();
            // A selector without a name was refused before.
            let _ = walk(&one.expr, &mut names);
            let least = names.iter().filter_map(|name| held(name)).min_by_key(|span| span.held);
            enough(one.range + back(one.offset.as_ref()), least)?;
            shorten(&mut one.expr, held, false, early)
        }
        Expr::VectorSelector(one) => {
            let back = back(one.offset.as_ref());
            if back.is_zero() { Ok(()) } else { enough(back, name(one).and_then(|name| held(&name))) }
        }
        Expr::MatrixSelector(one) => {
            let is_held = name(&one.vs).and_then(|name| held(&name));
            let back = back(one.vs.offset.as_ref());
            if !rate || !back.is_zero() {
                return enough(one.range + back, is_held);
            }
            match is_held {
                Some(Span { held: 1.., gap }) if one.range < millis(gap) => one.range = millis(gap),
                Some(Span { held: held @ 1.., .. }) => one.range = one.range.min(millis(held)),
                Some(_) => *early = true,
                None => {}
            }
            Ok(())
        }
        Expr::NumberLiteral(_) | Expr::StringLiteral(_) | Expr::Extension(_) => Ok(()),
    }
}

fn back(offset: Option<&Offset>) -> Duration {
    match offset {
        Some(Offset::Pos(back)) => *back,
        Some(Offset::Neg(_)) | None => Duration::ZERO,
    }
}

fn millis(millis: i64) -> Duration {
    Duration::from_millis(millis.max(0).unsigned_abs())
}

/// Refuses a look further back than values are held; of a metric that is not there nothing is missed.
fn enough(range: Duration, held: Option<Span>) -> Result<(), String> {
    let Some(span) = held else { return Ok(()) };
    let (range, held) = (range.as_secs(), millis(span.held).as_secs());
    if held >= range {
        return Ok(());
    }
    let words = |seconds: u64| human::span(i64::try_from(seconds).unwrap_or(i64::MAX));
    Err(format!(
        "it looks back {} and without Prometheus values are held for {} so far: they are scraped while they are \
         looked at",
        words(range),
        words(held)
    ))
}
