//! `opsdeck query`: the values of a `PromQL` expression, now or over a window.

use std::io::Write as _;

use color_eyre::eyre::Result;
use serde_json::{Map, Value, json};

use super::gather::{connect, systems};
use super::report::{Head, table};
use super::{Desk, Exit, Usage};
use crate::args::{Ask, Values};
use crate::human::parse_span;
use crate::identity::Text;
use crate::signals::{Answer, Sample, Series, Wanted, Window};

/// What is said where there is no Prometheus.
pub(super) const SCRAPED: &str =
    "there is no Prometheus: components are scraped for this, and nothing is known of the time before";

/// How many values a range has where no step is given.
const VALUES: u32 = 60;

/// Asks and prints.
pub async fn run(desk: &mut Desk<'_>, args: &Ask) -> Result<Exit> {
    let scope = args.scope.clone().or(&desk.scope);
    let query = Text::from(args.expression.as_str());
    let length = |flag: &str, text: &str| {
        let seconds = parse_span(text).filter(|seconds| (1.0..1e9).contains(seconds));
        let wrong = || Usage::report(format!("{flag} {text}: not a length of time such as 5m or 2h"));
        seconds.map(|seconds| seconds as u32).ok_or_else(wrong)
    };
    let wanted = match &args.range {
        None => Wanted::Instant { query, at: None },
        Some(text) => {
            let seconds = length("--range", text)?;
            let step = args.step.as_deref().map(|text| length("--step", text)).transpose()?;
            let step = step.unwrap_or((seconds / VALUES).max(1));
            Wanted::Range { query, window: Window::Last { seconds }, step }
        }
    };
    let connection = connect(desk, &scope).await?;
    let systems = systems(desk, &connection);
    let scraped = systems.is_scraped().await;
    if scraped {
        desk.err.line(SCRAPED)?;
    }
    let told = systems.answer(&wanted).await?;
    let whom = if scraped { "warned" } else { "Prometheus warns" };
    for warning in &told.warnings {
        desk.err.line(&format!("{whom}: {warning}"))?;
    }
    if told.garbled > 0 {
        desk.err.line(&format!("{} series could not be understood", told.garbled))?;
    }
    let Answer::Series(series) = told.answer else { return Ok(Exit::Failed) };
    match args.output {
        Values::Json => {
            let all: Vec<Value> = series.iter().map(as_json).collect();
            desk.out.json(&json!({ "query": args.expression, "series": all, "warnings": told.warnings.iter().map(|one| &**one).collect::<Vec<_>>() }))?;
        }
        Values::Table => write!(desk.out, "{}", as_table(&series, args.range.is_some()))?,
    }
    if series.is_empty() {
        desk.err.line("no series")?;
    }
    Ok(Exit::Done)
}

/// Writes a value; JSON has no NaN and no infinities, so those are text, as Prometheus has it.
pub(super) fn value(number: f64) -> Value {
    if number.is_finite() { json!(number) } else { json!(text(number)) }
}

fn text(number: f64) -> String {
    match number {
        number if number.is_nan() => "NaN".to_owned(),
        number if number == f64::INFINITY => "+Inf".to_owned(),
        number if number == f64::NEG_INFINITY => "-Inf".to_owned(),
        number => number.to_string(),
    }
}

fn as_json(series: &Series) -> Value {
    let labels: Map<String, Value> =
        series.labels.iter().map(|(name, value)| (name.to_owned(), json!(value))).collect();
    let sample = |sample: &Sample| json!({ "at": time(sample), "value": value(sample.value) });
    json!({ "labels": labels, "values": series.samples.iter().map(sample).collect::<Vec<_>>() })
}

fn time(sample: &Sample) -> Option<jiff::Timestamp> {
    jiff::Timestamp::from_millisecond(sample.at).ok()
}

/// Writes one row a series; of a range its last, least and greatest value.
fn as_table(series: &[Series], range: bool) -> String {
    let number = |title: &str| Head { title: title.to_owned(), right: true };
    let mut heads = vec![Head::left("SERIES"), number(if range { "LAST" } else { "VALUE" })];
    if range {
        heads.extend([number("MIN"), number("MAX"), number("VALUES")]);
    }
    let rows: Vec<Vec<String>> = series
        .iter()
        .map(|one| {
            let values = || one.samples.iter().map(|sample| sample.value);
            let last = values().next_back().map(text);
            let mut row = vec![one.labels.to_string(), last.unwrap_or_else(|| "-".to_owned())];
            if range {
                // NaN is neither the least nor the greatest.
                let least = values().filter(|value| !value.is_nan()).reduce(f64::min);
                let most = values().filter(|value| !value.is_nan()).reduce(f64::max);
                row.extend([least, most].map(|value| value.map_or_else(|| "-".to_owned(), text)));
                row.push(one.samples.len().to_string());
            }
            row
        })
        .collect();
    table(&heads, &rows)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::signals::Labels;

    #[test]
    fn values_without_a_number_are_written_as_prometheus_writes_them() {
        let samples = [f64::NAN, 2.5, f64::INFINITY].map(|value| Sample { at: 1_000, value });
        let labels: Labels = [("a".into(), "b".into())].into_iter().collect();
        let series = Series { labels, samples: samples.to_vec(), histogram: false };
        let json = as_json(&series);
        assert_eq!(json["values"][0]["value"], "NaN");
        assert_eq!(json["values"][1], json!({ "at": "1970-01-01T00:00:01Z", "value": 2.5 }));
        let text = as_table(&[series], true);
        assert_eq!(text, "SERIES   LAST  MIN   MAX  VALUES\n{a=\"b\"}  +Inf  2.5  +Inf       3\n");
    }
}
