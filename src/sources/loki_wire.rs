//! The answers of Loki, decoded: streams of `query_range` and frames of `tail` (contracts 5.2, 5.4).
//!
//! A line is read as bytes, since what a program wrote need not be UTF-8: it is cleaned for the screen here, and kept
//! whole beside that where the two differ. An entry that cannot be understood is skipped and counted.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Error, IgnoredAny, SeqAccess, Visitor};

use super::loki::Entry;
use super::prometheus::clean_labels;
use crate::identity::Text;
use crate::signals::Labels;

/// An answer to a query for lines.
#[derive(Debug, Default)]
pub(super) struct Streams {
    /// The entries, oldest first; those of one time in the order in which they came.
    pub entries: Vec<Entry>,
    /// Entries that could not be understood.
    pub garbled: u64,
    /// What the server says beside its answer: that it is partial.
    pub warnings: Vec<Text>,
    /// What it says instead of an answer.
    pub refused: Option<Text>,
}

/// One frame of a tail.
#[derive(Debug, Default)]
pub(super) struct Frame {
    pub streams: Streams,
    /// Entries that the server left out because the console was too slow.
    pub dropped: u64,
}

#[derive(Deserialize)]
struct Envelope {
    #[serde(default)]
    status: Option<String>,
    #[serde(default)]
    error: Option<String>,
    data: Option<Data>,
    #[serde(default)]
    warnings: Option<Vec<String>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Data {
    #[serde(default)]
    result_type: Option<String>,
    #[serde(default)]
    result: Option<Vec<Stream>>,
}

/// Returns what an answer says instead of one, with a code of success; the error is that of no answer at all.
pub(super) fn refusal(
    status: Option<&str>,
    error: Option<&str>,
    has_data: bool,
) -> Result<Option<Text>, &'static str> {
    match status {
        Some("success") => Ok(None),
        Some(status) => Ok(Some(crate::text::one_line(error.unwrap_or(status)).into())),
        None if has_data => Ok(None),
        None => Err("it has neither a status nor data"),
    }
}

#[derive(Deserialize)]
struct TailFrame {
    #[serde(default)]
    streams: Option<Vec<Stream>>,
    #[serde(default)]
    dropped_entries: Option<Vec<IgnoredAny>>,
}

#[derive(Deserialize)]
struct Stream {
    #[serde(default)]
    stream: BTreeMap<String, String>,
    #[serde(default)]
    values: Vec<Tuple>,
}

/// `["ns", "line"]` or `["ns", "line", {"structuredMetadata": {}, "parsed": {}}]`.
struct Tuple {
    at: Option<i64>,
    text: Box<str>,
    whole: Option<Box<[u8]>>,
    about: Option<About>,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct About {
    structured_metadata: BTreeMap<String, String>,
    parsed: BTreeMap<String, String>,
}

struct Line {
    text: Box<str>,
    whole: Option<Box<[u8]>>,
}

impl<'de> Deserialize<'de> for Line {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl Visitor<'_> for Reader {
            type Value = Line;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a log line")
            }

            fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<Line, E> {
                let text = crate::text::log_line(bytes);
                let whole = (text.as_bytes() != bytes).then(|| bytes.into());
                Ok(Line { text: text.into(), whole })
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Line, E> {
                self.visit_bytes(text.as_bytes())
            }
        }
        deserializer.deserialize_bytes(Reader)
    }
}

/// The time of an entry in nanoseconds, as text; what is of another type is none, and costs its entry only.
struct Time(Option<i64>);

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = Time;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a time")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Time, E> {
                Ok(Time(text.parse().ok()))
            }

            fn visit_i64<E: Error>(self, _: i64) -> Result<Time, E> {
                Ok(Time(None))
            }

            fn visit_u64<E: Error>(self, _: u64) -> Result<Time, E> {
                Ok(Time(None))
            }

            fn visit_f64<E: Error>(self, _: f64) -> Result<Time, E> {
                Ok(Time(None))
            }

            fn visit_bool<E: Error>(self, _: bool) -> Result<Time, E> {
                Ok(Time(None))
            }

            fn visit_unit<E: Error>(self) -> Result<Time, E> {
                Ok(Time(None))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut parts: A) -> Result<Time, A::Error> {
                while parts.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Time(None))
            }

            fn visit_map<A: serde::de::MapAccess<'de>>(self, mut parts: A) -> Result<Time, A::Error> {
                while parts.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(Time(None))
            }
        }
        deserializer.deserialize_any(Reader)
    }
}

impl<'de> Deserialize<'de> for Tuple {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = Tuple;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a time and a line")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut parts: A) -> Result<Tuple, A::Error> {
                let at = parts.next_element::<Time>()?.and_then(|time| time.0);
                let line = parts.next_element::<Line>()?;
                let about = parts.next_element::<Option<About>>()?.flatten();
                while parts.next_element::<IgnoredAny>()?.is_some() {}
                let at = at.filter(|_| line.is_some());
                let line = line.unwrap_or(Line { text: "".into(), whole: None });
                Ok(Tuple { at, text: line.text, whole: line.whole, about })
            }
        }
        deserializer.deserialize_seq(Reader)
    }
}

/// Decodes an answer to a query for lines.
pub(super) fn streams(body: &[u8]) -> Result<Streams, serde_json::Error> {
    let envelope: Envelope = serde_json::from_slice(body)?;
    let refused = refusal(envelope.status.as_deref(), envelope.error.as_deref(), envelope.data.is_some())
        .map_err(serde_json::Error::custom)?;
    let kind = envelope.data.as_ref().and_then(|data| data.result_type.as_deref());
    if let Some(other) = kind.filter(|kind| *kind != "streams") {
        return Err(serde_json::Error::custom(format!("a result of the type {other:?}")));
    }
    let mut streams = gather(envelope.data.and_then(|data| data.result).unwrap_or_default());
    streams.refused = refused;
    let warnings = envelope.warnings.unwrap_or_default();
    streams.warnings = warnings.iter().map(|text| crate::text::one_line(text).into()).collect();
    Ok(streams)
}

/// Decodes a frame of a tail.
pub(super) fn frame(body: &[u8]) -> Result<Frame, serde_json::Error> {
    let frame: TailFrame = serde_json::from_slice(body)?;
    let dropped = frame.dropped_entries.map_or(0, |dropped| dropped.len() as u64);
    Ok(Frame { streams: gather(frame.streams.unwrap_or_default()), dropped })
}

fn gather(all: Vec<Stream>) -> Streams {
    let mut streams = Streams::default();
    for stream in all {
        let labels = clean_labels(&stream.stream);
        // Neighbours mostly have the same metadata: then they share it.
        let mut last: Option<(About, Labels, Labels)> = None;
        for tuple in stream.values {
            let Some(at) = tuple.at else {
                streams.garbled += 1;
                continue;
            };
            let about = tuple.about.unwrap_or_default();
            let (metadata, parsed) = match &last {
                Some((known, metadata, parsed))
                    if known.structured_metadata == about.structured_metadata
                        && known.parsed == about.parsed =>
                {
                    (metadata.clone(), parsed.clone())
                }
                _ => {
                    let new = (clean_labels(&about.structured_metadata), clean_labels(&about.parsed));
                    last = Some((about, new.0.clone(), new.1.clone()));
                    new
                }
            };
            let labels = labels.clone();
            streams.entries.push(Entry {
                at,
                labels,
                metadata,
                parsed,
                text: tuple.text,
                whole: tuple.whole,
            });
        }
    }
    // Stable: what shares a time stays in the order of its stream.
    streams.entries.sort_by_key(|entry| entry.at);
    streams
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_are_merged_by_time_with_and_without_the_flag() {
        let body = br#"{"status":"success","data":{"resultType":"streams","encodingFlags":["categorize-labels"],
            "result":[{"stream":{"app":"b"},"values":[["30","late",{}],["10","a \u003c b",{"structuredMetadata":{"trace_id":"t"},"parsed":{"x":"1"}}]]},
                      {"stream":{"app":"a","detected_level":"warn"},"values":[["20","two parts"],["x","no time"]]}],
            "stats":{}},"warnings":["the result is partial"]}"#;
        let streams = streams(body).unwrap();
        let seen: Vec<(i64, &str)> = streams.entries.iter().map(|one| (one.at, &*one.text)).collect();
        assert_eq!(seen, [(10, "a < b"), (20, "two parts"), (30, "late")]);
        assert_eq!(streams.garbled, 1);
        assert_eq!(&*streams.warnings[0], "the result is partial");
        assert_eq!(streams.entries[0].metadata.get("trace_id"), Some("t"));
        assert_eq!(streams.entries[0].parsed.get("x"), Some("1"));
        assert_eq!(streams.entries[1].level(), Some("warn"));
        // A tenant without data has no `data`.
        assert!(super::streams(br#"{"status":"success"}"#).unwrap().entries.is_empty());
    }

    #[test]
    fn a_line_is_clean_on_screen_and_whole_beside_it() {
        let body = b"{\"data\":{\"result\":[{\"values\":[[\"1\",\"\\u001b[31mred\\u001b[0m\"],[\"2\",\"caf\xe9\"],[\"3\",\"plain\"]]}]}}";
        let streams = streams(body).unwrap();
        let texts: Vec<&str> = streams.entries.iter().map(|one| &*one.text).collect();
        assert_eq!(texts, ["red", "caf\u{fffd}", "plain"]);
        assert_eq!(streams.entries[0].bytes(), b"\x1b[31mred\x1b[0m");
        assert_eq!(streams.entries[1].bytes(), b"caf\xe9");
        assert!(streams.entries[2].whole.is_none());
    }

    #[test]
    fn a_line_of_a_megabyte_is_cut_on_screen_and_whole_in_an_export() {
        let line = "x".repeat(1024 * 1024);
        let body = format!(r#"{{"data":{{"result":[{{"values":[["1","{line}"]]}}]}}}}"#);
        let streams = streams(body.as_bytes()).unwrap();
        assert!(streams.entries[0].text.len() < 2 * crate::text::LINE_LIMIT);
        assert_eq!(streams.entries[0].bytes().len(), line.len());
    }

    #[test]
    fn an_entry_whose_time_is_no_text_costs_itself_only() {
        let body = br#"{"data":{"result":[{"stream":{},"values":[["1","a"],[1700000000000000000,"b"],[1.5,"c"],[null,"d"],[{"x":[1]},"e"],["2","f"]]}]}}"#;
        let streams = streams(body).unwrap();
        let seen: Vec<&str> = streams.entries.iter().map(|one| &*one.text).collect();
        assert_eq!((seen, streams.garbled), (vec!["a", "f"], 4));
    }

    #[test]
    fn a_frame_tells_what_was_dropped() {
        let frame = frame(
            br#"{"streams":[{"stream":{"a":"b"},"values":[["5","x"]]}],"dropped_entries":[{"timestamp":"3","labels":{}},{"timestamp":"4","labels":{}}]}"#,
        )
        .unwrap();
        assert_eq!((frame.streams.entries.len(), frame.dropped), (1, 2));
        assert_eq!(super::frame(br#"{"streams":null,"dropped_entries":null}"#).unwrap().dropped, 0);
    }
}
