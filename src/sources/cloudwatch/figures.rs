//! Values of metrics (`GetMetricData`): at most 500 lines a call, page by page, merged by id (contracts 6.2).
//!
//! A point that is missing is missing: nothing stands for it here. The period that is not over yet is left out,
//! because its sum is not one.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::Ordering;

use aws_sdk_cloudwatch::primitives::DateTime;
use aws_sdk_cloudwatch::types::{Dimension, Metric, MetricDataQuery, MetricStat, ScanBy, StatusCode};
use jiff::Timestamp;
use regex::Regex;

use super::CloudWatch;
use super::account::Account;
use super::metrics::Listed;
use crate::identity::Text;
use crate::signals::{
    Answer, Figures, Finding, Labels, Part, PartSource, Sample, Scale, Series, Told, Window,
};
use crate::sources::SourceError;

/// The most lines of one call.
const LINES: usize = 500;

/// How many sets of dimensions one question is about at most: each costs, and more are not drawn.
const SETS: usize = 50;

/// How many pages of an answer are read at most.
const PAGES: usize = 100;

/// Returns beginning and end at whole periods; the end is not included, and lies before the period that goes on.
fn bounds(window: Window, period: u32, now: Timestamp) -> (i64, i64) {
    let period = i64::from(period);
    let (from, to) = window.bounds(now);
    let whole = |at: i64| at.div_euclid(period) * period;
    let to = whole(to.min(now.as_second()));
    let from = whole(from).min(to - period);
    (from, to)
}

/// Lines of a question that belong together, and the labels of what comes of them.
struct Group {
    parts: Vec<Part>,
    labels: Vec<(Text, Text)>,
    scale: Scale,
}

/// What came of one line.
#[derive(Default)]
struct Line {
    points: BTreeMap<i64, f64>,
    label: Option<Text>,
    trouble: Option<String>,
    partial: bool,
}

impl CloudWatch {
    /// Asks for the values of metrics.
    pub(super) async fn ask_figures(
        &self,
        figures: &Figures,
        window: Window,
        step: u32,
    ) -> Result<Told, SourceError> {
        let account = self.account().await?;
        let now = self.now();
        let period = Figures::period(window, step, now);
        let mut warnings: Vec<Text> = Vec::new();
        let groups = match figures {
            Figures::Exact(parts) => {
                vec![Group { parts: parts.clone(), labels: Vec::new(), scale: Scale::Plain }]
            }
            Figures::Found(finding) => self.groups(&account, finding, window, &mut warnings).await?,
        };
        let (from, to) = bounds(window, period, now);
        let mut series = Vec::new();
        let mut batch: Vec<(usize, &Group)> = Vec::new();
        let mut lines = 0;
        for (number, group) in groups.iter().enumerate() {
            if lines + group.parts.len() > LINES && !batch.is_empty() {
                series.extend(self.ask_batch(&account, &batch, period, (from, to), &mut warnings).await?);
                batch.clear();
                lines = 0;
            }
            lines += group.parts.len();
            batch.push((number, group));
        }
        if !batch.is_empty() {
            series.extend(self.ask_batch(&account, &batch, period, (from, to), &mut warnings).await?);
        }
        Ok(Told { answer: Answer::Series(series), warnings, garbled: 0, silent: Vec::new() })
    }

    /// Finds the sets of dimensions that fit.
    async fn groups(
        &self,
        account: &Account,
        finding: &Finding,
        window: Window,
        warnings: &mut Vec<Text>,
    ) -> Result<Vec<Group>, SourceError> {
        // What was active lately is a shorter list, and enough for what is looked at now.
        let lately = matches!(window, Window::Last { seconds } if seconds <= 3 * 3_600);
        let list = self.listed(account, &finding.namespace, lately).await?;
        if list.cut {
            let text = format!("{} has more metrics than were looked at", finding.namespace);
            warnings.push(text.into());
        }
        let sets = fitting(finding, &list.metrics)?;
        if sets.is_empty() {
            let names: Vec<&str> = finding.metrics.iter().map(|(_, name, _)| &**name).collect();
            let by: Vec<&str> = finding.dimensions.iter().map(|(name, _)| &**name).collect();
            return Err(SourceError::Missing {
                what: format!("{} {}", finding.namespace, names.join(", ")),
                reason: format!(
                    "nothing in {} publishes it by {}",
                    account.region,
                    if by.is_empty() { "no dimension".to_owned() } else { by.join(", ") }
                ),
            });
        }
        if sets.len() > SETS {
            let text = format!("{} of {} are asked for: each metric costs", SETS, sets.len());
            warnings.push(text.into());
        }
        Ok(sets.into_iter().take(SETS).map(|set| group(finding, set)).collect())
    }

    async fn ask_batch(
        &self,
        account: &Account,
        batch: &[(usize, &Group)],
        period: u32,
        (from, to): (i64, i64),
        warnings: &mut Vec<Text>,
    ) -> Result<Vec<Series>, SourceError> {
        let mut queries = Vec::new();
        let mut asked = 0;
        for (number, group) in batch {
            for part in &group.parts {
                asked += u64::from(matches!(part.source, PartSource::Metric { .. }));
                queries.push(query(part, &group.parts, *number, period).map_err(|reason| {
                    SourceError::Invalid {
                        what: format!("the question {}", part.words(&group.parts)),
                        reason,
                    }
                })?);
            }
        }
        self.0.metrics.fetch_add(asked, Ordering::Relaxed);
        let mut answered: BTreeMap<String, Line> = BTreeMap::new();
        let mut token = None;
        let mut ended = false;
        for _ in 0..PAGES {
            let sending = account
                .client
                .get_metric_data()
                .set_metric_data_queries(Some(queries.clone()))
                .start_time(DateTime::from_secs(from))
                .end_time(DateTime::from_secs(to))
                .scan_by(ScanBy::TimestampAscending)
                .set_next_token(token.take());
            let answer = self.call(account, "cloudwatch:GetMetricData", sending.send()).await?;
            for message in answer.messages() {
                warn(warnings, message.code(), message.value());
            }
            for one in answer.metric_data_results() {
                let line = answered.entry(one.id().unwrap_or_default().to_owned()).or_default();
                line.points.extend(
                    one.timestamps()
                        .iter()
                        .zip(one.values())
                        .filter_map(|(at, value)| Some((at.to_millis().ok()?, *value))),
                );
                line.label =
                    one.label().map(|label| crate::text::one_line(label).into()).or(line.label.take());
                line.partial = one.status_code() == Some(&StatusCode::PartialData);
                if matches!(one.status_code(), Some(StatusCode::InternalError | StatusCode::Forbidden)) {
                    line.trouble = one.status_code().map(|code| code.as_str().to_owned());
                }
                for message in one.messages() {
                    warn(warnings, message.code(), message.value());
                }
            }
            token = answer.next_token().filter(|token| !token.is_empty()).map(str::to_owned);
            if token.is_none() {
                ended = true;
                break;
            }
        }
        if !ended {
            warnings.push(format!("only {PAGES} pages of the answer were read").into());
        }
        let mut series = Vec::new();
        for (number, group) in batch {
            for part in group.parts.iter().filter(|part| part.shown) {
                let Some(line) = answered.remove(&id(&part.id, *number)) else { continue };
                if let Some(code) = &line.trouble {
                    warn(warnings, Some(code), Some(&part.words(&group.parts)));
                }
                if line.partial {
                    warn(warnings, Some("PartialData"), Some(&part.words(&group.parts)));
                }
                if line.points.is_empty() {
                    continue;
                }
                series.push(one_series(part, group, line, period));
            }
        }
        Ok(series)
    }
}

fn warn(warnings: &mut Vec<Text>, code: Option<&str>, value: Option<&str>) {
    let text: Vec<&str> = code.into_iter().chain(value).filter(|text| !text.is_empty()).collect();
    let text: Text = crate::text::one_line(&text.join(": ")).into();
    if !warnings.contains(&text) {
        warnings.push(text);
    }
}

fn one_series(part: &Part, group: &Group, line: Line, period: u32) -> Series {
    let mut labels: BTreeMap<Text, Text> = group.labels.iter().cloned().collect();
    let shown = if part.label.is_empty() { line.label } else { Some(part.label.clone()) };
    if let Some(label) = shown {
        labels.insert("label".into(), label);
    }
    match &part.source {
        PartSource::Metric { name, dimensions, .. } => {
            labels.insert("metric".into(), name.clone());
            for (dimension, value) in dimensions {
                labels.entry(dimension.clone()).or_insert_with(|| short(dimension, value));
            }
        }
        PartSource::Math(_) => {}
    }
    let samples = line.points.into_iter();
    Series {
        labels: labels.into_iter().collect::<Labels>(),
        samples: samples.map(|(at, value)| Sample { at, value: group.scale.of(value, period) }).collect(),
        histogram: false,
    }
}

/// Takes the name out of the part of an ARN that these dimensions hold: `app/<name>/<id>`, `targetgroup/<name>/<id>`.
fn short(dimension: &str, value: &Text) -> Text {
    if !matches!(dimension, "LoadBalancer" | "TargetGroup") {
        return value.clone();
    }
    match value.split('/').collect::<Vec<_>>().as_slice() {
        [_, name, _] => (*name).into(),
        _ => value.clone(),
    }
}

/// Returns the sets of dimensions that any of the metrics has and that fit, in order.
fn fitting(finding: &Finding, listed: &[Listed]) -> Result<Vec<Vec<(Text, Text)>>, SourceError> {
    let mut wanted: Vec<(&str, Regex)> = Vec::new();
    for (name, pattern) in &finding.dimensions {
        let regex = Regex::new(&format!("^(?:{pattern})$")).map_err(|error| SourceError::Invalid {
            what: format!("dimension {name}"),
            reason: crate::text::one_line(&error.to_string()).into_owned(),
        })?;
        wanted.push((name, regex));
    }
    let names: BTreeSet<&str> = finding.metrics.iter().map(|(_, name, _)| &**name).collect();
    let fits = |listed: &&Listed| {
        names.contains(&*listed.name)
            && listed.dimensions.len() == wanted.len()
            && wanted.iter().all(|(name, regex)| {
                listed.dimensions.iter().any(|(one, value)| **one == **name && regex.is_match(value))
            })
    };
    let sets: BTreeSet<Vec<(Text, Text)>> =
        listed.iter().filter(fits).map(|listed| listed.dimensions.clone()).collect();
    Ok(sets.into_iter().collect())
}

fn group(finding: &Finding, set: Vec<(Text, Text)>) -> Group {
    let mut parts: Vec<Part> = finding
        .metrics
        .iter()
        .map(|(id, name, stat)| Part {
            id: id.clone(),
            source: PartSource::Metric {
                namespace: finding.namespace.clone(),
                name: name.clone(),
                dimensions: set.clone(),
                stat: stat.clone(),
            },
            label: "".into(),
            shown: finding.math.is_none(),
        })
        .collect();
    if let Some(math) = &finding.math {
        let source = PartSource::Math(math.clone());
        parts.push(Part { id: "worked_out".into(), source, label: "".into(), shown: true });
    }
    let labels = set.iter().map(|(name, value)| (name.clone(), short(name, value))).collect();
    Group { parts, labels, scale: finding.scale }
}

/// Returns the id of a part among those of many groups.
fn id(part: &str, number: usize) -> String {
    format!("{part}_{number}")
}

fn query(part: &Part, all: &[Part], number: usize, period: u32) -> Result<MetricDataQuery, String> {
    let valid = part.id.starts_with(|c: char| c.is_ascii_lowercase())
        && part.id.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    if !valid {
        return Err(format!("{:?} is no id: a small letter, then letters, digits and _", part.id));
    }
    let period = i32::try_from(period).unwrap_or(i32::MAX);
    let builder = MetricDataQuery::builder().id(id(&part.id, number)).return_data(part.shown);
    Ok(match &part.source {
        PartSource::Metric { namespace, name, dimensions, stat } => {
            let dimensions = dimensions
                .iter()
                .map(|(name, value)| Dimension::builder().name(&**name).value(&**value).build());
            let metric = Metric::builder()
                .namespace(&**namespace)
                .metric_name(&**name)
                .set_dimensions(Some(dimensions.collect()))
                .build();
            let stat = MetricStat::builder().metric(metric).period(period).stat(&**stat).build();
            builder.metric_stat(stat).build()
        }
        PartSource::Math(expression) => {
            let ids: BTreeSet<&str> = all.iter().map(|part| &*part.id).collect();
            let mut builder = builder.expression(renamed(expression, &ids, number));
            if is_search(expression) {
                builder = builder.period(period);
            }
            builder.build()
        }
    })
}

/// Tells whether an expression finds metrics by itself and has to be told the period.
fn is_search(expression: &str) -> bool {
    expression.contains("SEARCH(") || expression.trim_start().to_uppercase().starts_with("SELECT")
}

/// Gives the ids of an expression the number of their group; what stands between quotes is no id.
fn renamed(expression: &str, ids: &BTreeSet<&str>, number: usize) -> String {
    let mut out = String::with_capacity(expression.len() + 16);
    let mut word = String::new();
    let mut quote = None;
    let finish = |word: &mut String, out: &mut String| {
        if ids.contains(word.as_str()) {
            out.push_str(&id(word, number));
        } else {
            out.push_str(word);
        }
        word.clear();
    };
    for letter in expression.chars() {
        if quote.is_none() && (letter.is_ascii_alphanumeric() || letter == '_') {
            word.push(letter);
            continue;
        }
        finish(&mut word, &mut out);
        match quote {
            Some(open) if letter == open => quote = None,
            None if letter == '"' || letter == '\'' => quote = Some(letter),
            _ => {}
        }
        out.push(letter);
    }
    finish(&mut word, &mut out);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_800_000_030;

    fn now() -> Timestamp {
        Timestamp::from_second(NOW).unwrap()
    }

    #[test]
    fn the_period_that_goes_on_is_left_out() {
        let (from, to) = bounds(Window::Last { seconds: 600 }, 60, now());
        assert_eq!((from, to), (1_799_999_400, 1_800_000_000));
        let (from, to) = bounds(Window::Between { from: NOW - 10, to: NOW + 600 }, 300, now());
        assert_eq!((to - from, to), (300, 1_800_000_000));
    }

    #[test]
    fn ids_of_an_expression_are_those_of_its_group() {
        let ids: BTreeSet<&str> = ["errors", "all"].into();
        let text = renamed("100 * FILL(errors, 0) / all + allx + \"all\"", &ids, 3);
        assert_eq!(text, "100 * FILL(errors_3, 0) / all_3 + allx + \"all\"");
    }

    #[test]
    fn a_set_of_dimensions_fits_exactly_or_not_at_all() {
        let listed = |name: &str, pairs: &[(&str, &str)]| Listed {
            name: name.into(),
            dimensions: pairs.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect(),
        };
        let all = [
            listed("pod_cpu_utilization", &[("ClusterName", "a"), ("Namespace", "shop")]),
            listed("pod_cpu_utilization", &[("ClusterName", "a"), ("Namespace", "shopping")]),
            listed("pod_cpu_utilization", &[("ClusterName", "a")]),
            listed("other", &[("ClusterName", "a"), ("Namespace", "shop")]),
        ];
        let finding = Finding {
            namespace: "ContainerInsights".into(),
            metrics: vec![("m".into(), "pod_cpu_utilization".into(), "Average".into())],
            dimensions: vec![("ClusterName".into(), ".+".into()), ("Namespace".into(), "shop".into())],
            math: None,
            scale: Scale::Percent,
        };
        let found = fitting(&finding, &all).unwrap();
        assert_eq!(found, [all[0].dimensions.clone()]);
    }
}
