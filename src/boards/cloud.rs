//! Questions to `CloudWatch` in boards: which metrics, found by their dimensions in what the account has, or those of
//! an alarm.
//!
//! ```toml
//! [[panels.queries]]
//! legend = "{{LoadBalancer}}"
//! cloudwatch = { namespace = "AWS/ApplicationELB", metric = "RequestCount", stat = "Sum", scale = "per-second", by = ["LoadBalancer"] }
//!
//! [[panels.queries]]
//! legend = "{{LoadBalancer}}"
//! [panels.queries.cloudwatch]
//! namespace = "AWS/ApplicationELB"
//! math = "FILL(errors, 0) / requests"
//! metrics = { errors = ["HTTPCode_Target_5XX_Count", "Sum"], requests = ["RequestCount", "Sum"] }
//! by = { LoadBalancer = "app/prod-.+" }
//! ```

use super::formula::{Piece, pieces};
use super::{Board, Bound, Legend, Origin, Panel, Query, Shape, Threshold, Values};
use crate::human::Measure;
use crate::identity::Text;
use crate::kinds::Health;
use crate::settings::{Entry, Place, SettingsError};
use crate::signals::{Alarm, Figures, Finding, PartSource, Scale, Watched};

/// The name of boards that are made of an alarm.
pub const ALARM: &str = "alarm";

/// How many metrics the arithmetic of one query is about at most.
const METRICS: usize = 10;

/// Reads a question; `names` are the variables that there are.
pub(super) fn read(entry: &Entry<'_>, names: &[(&str, &str)]) -> Result<Figures, SettingsError> {
    let section = entry.section()?;
    section.allow(&["namespace", "metric", "stat", "metrics", "math", "by", "scale"])?;
    let namespace = Text::from(section.required("namespace")?.string()?);
    let math = section.get("math").map(|entry| entry.string()).transpose()?.map(Text::from);
    let metrics = match (section.get("metric"), section.get("metrics")) {
        (Some(entry), None) => {
            let stat = section.get("stat").map(|entry| entry.string()).transpose()?;
            let stat = stat.unwrap_or_else(|| "Average".to_owned());
            vec![(Text::from("m"), Text::from(entry.string()?), Text::from(stat))]
        }
        (None, Some(entry)) if math.is_some() => {
            let mut all = Vec::new();
            for one in entry.section()?.entries() {
                let [name, stat] = one.items().try_into().map_err(|_| {
                    one.wrong(format!("{} is a list of a metric and its statistic", one.path))
                })?;
                let valid = one.name.starts_with(|c: char| c.is_ascii_lowercase())
                    && one.name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
                if !valid {
                    let what = format!("{:?} is no id: a small letter, then letters, digits and _", one.name);
                    return Err(one.wrong(what));
                }
                let (name, stat) = (Text::from(name.string()?), Text::from(stat.string()?));
                all.push((Text::from(one.name.as_str()), name, stat));
            }
            if all.is_empty() || all.len() > METRICS {
                return Err(entry.wrong(format!("{} holds 1 to {METRICS} metrics", entry.path)));
            }
            all
        }
        _ => {
            let what = format!("{} needs either \"metric\", or \"metrics\" with \"math\"", entry.path);
            return Err(entry.wrong(what));
        }
    };
    let mut dimensions = Vec::new();
    if let Some(by) = section.get("by") {
        if by.is_section() {
            for one in by.section()?.entries() {
                let pattern = one.string()?;
                check(&one, &pattern, names)?;
                dimensions.push((Text::from(one.name.as_str()), Text::from(pattern)));
            }
        } else {
            dimensions.extend(by.strings()?.into_iter().map(|name| (Text::from(name), Text::from(".+"))));
        }
    }
    dimensions.sort();
    let scale = match section.get("scale") {
        Some(entry) => super::file::one_of(&entry, &entry.string()?, &Scale::WORDS)?,
        None => Scale::default(),
    };
    Ok(Figures::Found(Finding { namespace, metrics, dimensions, math, scale }))
}

/// Refuses an expression that cannot be one, and variables that are not there.
fn check(entry: &Entry<'_>, pattern: &str, names: &[(&str, &str)]) -> Result<(), SettingsError> {
    let mut sample = Values::default();
    for piece in pieces(pattern) {
        let Piece::Variable(name) = piece else { continue };
        let Some((_, value)) = names.iter().find(|(one, _)| *one == name) else {
            return Err(entry.wrong(format!("variable {name:?} of {} is not there", entry.path)));
        };
        sample.set(name, *value);
    }
    let text = filled(pattern, &sample);
    regex::Regex::new(&text).map(drop).map_err(|error| {
        let why = error.to_string();
        entry.wrong(format!("{} is no regular expression: {}", entry.path, crate::text::one_line(&why)))
    })
}

fn filled(pattern: &str, values: &Values) -> String {
    let mut out = String::new();
    for piece in pieces(pattern) {
        match piece {
            Piece::Text(text) => out.push_str(text),
            // Variables are written for strings of PromQL, where a backslash is written twice.
            Piece::Variable(name) => match values.get(name) {
                Some(value) => out.push_str(&value.replace("\\\"", "\"").replace("\\\\", "\\")),
                None => out.push_str(".+"),
            },
        }
    }
    out
}

/// Returns a question with its variables filled in.
pub fn fill(figures: &Figures, values: &Values) -> Figures {
    match figures {
        Figures::Exact(parts) => Figures::Exact(parts.clone()),
        Figures::Found(finding) => {
            let dimensions = finding.dimensions.iter();
            let dimensions = dimensions
                .map(|(name, pattern)| (name.clone(), Text::from(filled(pattern, values))))
                .collect();
            Figures::Found(Finding { dimensions, ..finding.clone() })
        }
    }
}

/// Says what a metric measures, as far as its name tells.
fn unit(metric: &str) -> Measure {
    let has = |words: &[&str]| words.iter().any(|word| metric.contains(word));
    match () {
        () if has(&["Latency", "ResponseTime", "Duration"]) => Measure::Seconds,
        () if has(&["Bytes", "Space", "FreeableMemory", "DiskUsage"]) => Measure::Bytes,
        () => Measure::Short,
    }
}

impl Board {
    /// Makes the board of an alarm: one graph of what it watches, with its threshold; `None` where it watches other
    /// alarms.
    pub fn of_alarm(alarm: &Alarm, health: Health) -> Option<Self> {
        let Watched::Metric(watch) = &alarm.watched else { return None };
        let names: Vec<&str> = watch
            .parts
            .iter()
            .filter_map(|part| match &part.source {
                PartSource::Metric { name, .. } if part.shown => Some(&**name),
                _ => None,
            })
            .collect();
        let thresholds = watch.threshold.filter(|at| at.is_finite()).map(|at| Threshold {
            at: Bound::Fixed(at),
            below: watch.is_below(),
            health,
        });
        let query = Query {
            // CloudWatch names each line itself.
            legend: Legend::read("{{label}}").unwrap_or_default(),
            origin: Origin::Figures(Figures::Exact(watch.parts.clone())),
        };
        let panel = Panel {
            title: alarm.alert.name.clone(),
            about: Text::from(format!("in alarm where {}", watch.words())),
            shape: Shape::Graph,
            unit: names.first().map_or(Measure::Short, |name| unit(name)),
            queries: vec![query],
            thresholds: thresholds.into_iter().collect(),
            low: None,
            high: None,
        };
        Some(Self {
            name: Text::from(ALARM),
            title: alarm.alert.name.clone(),
            about: Text::from("what an alarm of CloudWatch watches"),
            fits: Vec::new(),
            variables: Vec::new(),
            panels: vec![panel],
            place: Place { file: Text::from("CloudWatch"), line: 1 },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn board(query: &str) -> Result<Board, SettingsError> {
        let text = format!(
            "title = \"T\"\n[variables]\nnamespace = {{ from = \"namespace\", default = \".+\" }}\n\
             [[panels]]\ntitle = \"p\"\n[[panels.queries]]\n{query}\n"
        );
        Board::read("t", "t.toml", &text)
    }

    #[test]
    fn a_question_is_read_and_its_variables_are_filled_in() {
        let query = "cloudwatch = { namespace = \"ContainerInsights\", metric = \"x\", by = { Namespace = \"$namespace\", ClusterName = \".+\" } }";
        let board = board(query).unwrap();
        let Origin::Figures(figures) = &board.panels[0].queries[0].origin else { panic!("{board:?}") };
        let mut values = Values::default();
        // As a selection writes it for a string of PromQL.
        values.set("namespace", r"a\\.b|c");
        let Figures::Found(found) = fill(figures, &values) else { panic!() };
        assert_eq!(found.dimensions[1], ("Namespace".into(), r"a\.b|c".into()));
        assert_eq!(&*found.metrics[0].2, "Average");
    }

    #[test]
    fn what_is_wrong_is_refused_with_its_line() {
        for (query, word) in [
            ("cloudwatch = { namespace = \"A\" }", "needs either"),
            ("cloudwatch = { namespace = \"A\", metrics = { a = [\"x\", \"Sum\"] } }", "needs either"),
            ("cloudwatch = { namespace = \"A\", math = \"a\", metrics = { A = [\"x\", \"Sum\"] } }", "no id"),
            ("cloudwatch = { namespace = \"A\", metric = \"x\", by = { X = \"(\" } }", "regular expression"),
            ("cloudwatch = { namespace = \"A\", metric = \"x\", by = { X = \"$nobody\" } }", "not there"),
            ("cloudwatch = { namespace = \"A\", metric = \"x\", scale = \"wide\" }", "wide"),
            ("expr = \"up\"\ncloudwatch = { namespace = \"A\", metric = \"x\" }", "either"),
        ] {
            let error = board(query).unwrap_err().to_string();
            assert!(error.contains(word) && error.contains("t.toml"), "{query}: {error}");
        }
    }
}
