//! Bodies of requests: JSON into alerts and silences, with the checks of the API's description.
//!
//! The words are those of the framework that the original is generated with; a field that is not known is read past.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use serde_json::Value;

use super::Refusal;
use super::alerts::Posted;
use super::matcher::{Labels, Matcher};
use super::silences::Silence;
use super::wire::Said;

fn required(field: &str) -> Said {
    Said::Framework(422, 602, format!("{field} in body is required"))
}

fn shape(what: &str, got: &Value, wanted: &str) -> Said {
    let got = match got {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    let why = format!("json: cannot unmarshal {got} into Go {wanted}");
    Said::Framework(400, 400, format!("parsing {what} body from \"\" failed, because {why}"))
}

/// Reads a text; `None` where it is absent or null.
fn optional<'a>(object: &'a Value, field: &str, what: &str, path: &str) -> Result<Option<&'a str>, Said> {
    match &object[field] {
        Value::Null => Ok(None),
        Value::String(text) => Ok(Some(text)),
        other => Err(shape(what, other, &format!("struct field {path}.{field} of type string"))),
    }
}

/// Reads a time as the API takes it: with an offset, or without one in UTC.
fn time(text: &str, what: &str) -> Result<Timestamp, Said> {
    let naive = || text.parse::<DateTime>().ok()?.to_zoned(TimeZone::UTC).ok().map(|zoned| zoned.timestamp());
    text.parse::<Timestamp>().ok().or_else(naive).ok_or_else(|| {
        let why =
            format!("parsing time {text:?} as \"2006-01-02 15:04:05\": cannot parse {text:?} as \"2006\"");
        Said::Framework(400, 400, format!("parsing {what} body from \"\" failed, because {why}"))
    })
}

/// Reads a time that may be absent; the zero time of Go means the same.
fn moment(object: &Value, field: &str, what: &str, path: &str) -> Result<Option<Timestamp>, Said> {
    match optional(object, field, what, path)? {
        None | Some("") => Ok(None),
        Some(text) if text.starts_with("0001-01-01T00:00:00") => Ok(None),
        Some(text) => time(text, what).map(Some),
    }
}

fn labels(object: &Value, field: &str, what: &str, path: &str) -> Result<Option<Labels>, Said> {
    let entries = match &object[field] {
        Value::Null => return Ok(None),
        Value::Object(entries) => entries,
        other => {
            return Err(shape(what, other, &format!("struct field {path}.{field} of type models.LabelSet")));
        }
    };
    let read = |(name, value): (&String, &Value)| match value {
        Value::String(text) => Ok((name.clone(), text.clone())),
        Value::Null => Ok((name.clone(), String::new())),
        other => Err(shape(what, other, &format!("struct field {path}.{field} of type string"))),
    };
    entries.iter().map(read).collect::<Result<_, _>>().map(Some)
}

/// Reads the alerts of a request.
pub fn alerts(body: &Value) -> Result<Vec<Posted>, Said> {
    let Value::Array(list) = body else {
        return Err(shape("alerts", body, "value of type models.PostableAlerts"));
    };
    let read = |(at, entry): (usize, &Value)| {
        if !entry.is_object() {
            return Err(shape("alerts", entry, "value of type models.PostableAlert"));
        }
        let generator_url = optional(entry, "generatorURL", "alerts", "Alert")?.unwrap_or_default();
        if !generator_url.is_empty() && generator_url.parse::<hyper::Uri>().is_err() {
            let message = format!("{at}.generatorURL in body must be of type uri: {generator_url:?}");
            return Err(Said::Framework(422, 601, message));
        }
        Ok(Posted {
            labels: labels(entry, "labels", "alerts", "Alert")?
                .ok_or_else(|| required(&format!("{at}.labels")))?,
            annotations: labels(entry, "annotations", "alerts", "PostableAlert")?.unwrap_or_default(),
            starts_at: moment(entry, "startsAt", "alerts", "PostableAlert")?,
            ends_at: moment(entry, "endsAt", "alerts", "PostableAlert")?,
            generator_url: generator_url.to_owned(),
        })
    };
    list.iter().enumerate().map(read).collect()
}

/// Reads the silence of a request.
pub fn silence(body: &Value) -> Result<Silence, Said> {
    if !matches!(body, Value::Object(_) | Value::Null) {
        return Err(shape("silence", body, "value of type models.PostableSilence"));
    }
    let text = |field: &str| optional(body, field, "silence", "Silence");
    let (comment, created_by) = (text("comment")?, text("createdBy")?);
    let (ends, starts) = (text("endsAt")?, text("startsAt")?);
    let comment = comment.ok_or_else(|| required("comment"))?.to_owned();
    let created_by = created_by.ok_or_else(|| required("createdBy"))?.to_owned();
    let ends_at = time(ends.ok_or_else(|| required("endsAt"))?, "silence")?;
    let list = match &body["matchers"] {
        Value::Null => return Err(required("matchers")),
        Value::Array(list) => list,
        other => {
            return Err(shape("silence", other, "struct field Silence.matchers of type models.Matchers"));
        }
    };
    if list.is_empty() {
        let message = "matchers in body should have at least 1 items";
        return Err(Said::Framework(422, 612, message.to_owned()));
    }
    let matchers = list.iter().enumerate().map(|(at, entry)| matcher(at, entry)).collect::<Result<_, _>>()?;
    let starts_at = time(starts.ok_or_else(|| required("startsAt"))?, "silence")?;
    Ok(Silence {
        id: text("id")?.unwrap_or_default().to_owned(),
        matchers,
        starts_at,
        ends_at,
        updated_at: Timestamp::UNIX_EPOCH,
        created_by,
        comment,
        annotations: labels(body, "annotations", "silence", "Silence")?.unwrap_or_default(),
    })
}

fn matcher(at: usize, entry: &Value) -> Result<Matcher, Said> {
    let truth = |field: &str| match &entry[field] {
        Value::Null => Ok(None),
        Value::Bool(value) => Ok(Some(*value)),
        other => Err(shape("silence", other, &format!("struct field Matcher.matchers.{field} of type bool"))),
    };
    let text = |field: &str| optional(entry, field, "silence", "Matcher.matchers");
    let missing = |field: &str| required(&format!("matchers.{at}.{field}"));
    let (name, value) = (text("name")?, text("value")?);
    let regex = truth("isRegex")?.ok_or_else(|| missing("isRegex"))?;
    let name = name.ok_or_else(|| missing("name"))?;
    let value = value.ok_or_else(|| missing("value"))?;
    let equal = truth("isEqual")?.unwrap_or(true);
    if regex && let Err(why) = crate::demo::go_regex::compile(value) {
        return Err(Said::Own(Refusal::bad(format!(
            "invalid silence: invalid label matcher {at} in set 0: invalid regular expression {value:?}: {why}"
        ))));
    }
    Matcher::new(name, value, equal, regex).map_err(|why| Said::Own(Refusal::bad(why)))
}
