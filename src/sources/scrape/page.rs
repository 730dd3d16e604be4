//! One page of metrics in the text format: its lines one by one as they arrive, so that a page of tens of megabytes
//! is never held.
//!
//! The crate `prometheus-parse` reads the lines. It cuts labels at every comma and brace, also within quotes, so
//! letters that mean something to it are put aside before and back after.

use std::collections::{BTreeMap, BTreeSet};

use prometheus_parse::{Scrape, Value};

use crate::promql::{Labels, NAME};
use crate::sources::SourceError;

/// How many series of one metric are kept at most; of one with more none is, because a part of a sum is no sum.
const SERIES: usize = 10_000;

/// How many names of metrics are remembered at most: components have hundreds.
const NAMES: usize = 20_000;

/// The longest line that is read; a series with all its labels has a few hundred bytes.
const LINE: usize = 64 * 1024;

/// What the pages of a component held.
#[derive(Debug, Default)]
pub struct Scraped {
    /// Every metric.
    pub names: BTreeSet<String>,
    /// Metric, labels with the name, value.
    pub samples: Vec<(String, Labels, f64)>,
    /// Lines that could not be understood.
    pub garbled: u64,
    /// Wanted metrics that are left out because they have too many series.
    pub heavy: BTreeSet<String>,
    /// How many series each wanted metric has.
    counts: BTreeMap<String, usize>,
    /// Why some of several pages could not be read.
    pub error: Option<SourceError>,
}

/// Reads a page piece by piece.
pub struct Page<'a> {
    wanted: &'a BTreeSet<String>,
    /// The labels of every series of the page, unless it has them itself.
    own: &'a [(&'a str, &'a str)],
    /// A line whose end has not come yet.
    rest: Vec<u8>,
    /// The line is too long and is passed over up to its end.
    skipping: bool,
}

impl<'a> Page<'a> {
    /// Begins a page of which some metrics are wanted.
    pub fn new(wanted: &'a BTreeSet<String>, own: &'a [(&'a str, &'a str)]) -> Self {
        Self { wanted, own, rest: Vec::new(), skipping: false }
    }

    /// Takes a piece of the page.
    pub fn take(&mut self, bytes: &[u8], scraped: &mut Scraped) {
        let mut pieces = bytes.split(|byte| *byte == b'\n').peekable();
        while let Some(piece) = pieces.next() {
            let ends = pieces.peek().is_some();
            if !self.skipping && self.rest.len() + piece.len() > LINE {
                self.skipping = true;
                self.rest.clear();
                scraped.garbled += 1;
            }
            if !self.skipping {
                if ends && self.rest.is_empty() {
                    self.line(piece, scraped);
                } else {
                    self.rest.extend_from_slice(piece);
                    if ends {
                        let line = std::mem::take(&mut self.rest);
                        self.line(&line, scraped);
                    }
                }
            }
            self.skipping &= !ends;
        }
    }

    /// Ends the page: the last line need not have an end.
    pub fn end(mut self, scraped: &mut Scraped) {
        let line = std::mem::take(&mut self.rest);
        if !self.skipping {
            self.line(&line, scraped);
        }
    }

    fn line(&self, line: &[u8], scraped: &mut Scraped) {
        let line = line.trim_ascii();
        if line.is_empty() || line.starts_with(b"#") {
            return;
        }
        let Ok(line) = std::str::from_utf8(line) else {
            scraped.garbled += 1;
            return;
        };
        let end = line.find(|c: char| c == '{' || c.is_ascii_whitespace()).unwrap_or(line.len());
        let name = &line[..end];
        if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
            scraped.garbled += 1;
            return;
        }
        if !scraped.names.contains(name) && scraped.names.len() < NAMES {
            scraped.names.insert(name.to_owned());
        }
        if !self.wanted.contains(name) {
            return;
        }
        let Some((labels, value)) = sample(line) else {
            scraped.garbled += 1;
            return;
        };
        let count = scraped.counts.entry(name.to_owned()).or_default();
        *count += 1;
        if *count > SERIES {
            if scraped.heavy.insert(name.to_owned()) {
                scraped.samples.retain(|sample| sample.0 != name);
            }
            return;
        }
        let own = self.own.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let named = [(NAME.to_owned(), name.to_owned())];
        // Of two labels with one name the later holds: the page's own before ours.
        let labels = Labels::new(own.chain(labels).chain(named));
        scraped.samples.push((name.to_owned(), labels, value));
    }
}

/// Reads one sample: its labels, and its value.
fn sample(line: &str) -> Option<(Vec<(String, String)>, f64)> {
    let aside = put_aside(line)?;
    let mut scrape = Scrape::parse(std::iter::once(Ok(aside))).ok()?;
    let sample = scrape.samples.pop()?;
    // Without a line that says of which type it is, every sample is one number.
    let (Value::Untyped(value) | Value::Counter(value) | Value::Gauge(value)) = sample.value else {
        return None;
    };
    let labels = sample.labels.iter().map(|(name, value)| {
        let value: String = value.chars().map(back).collect();
        (name.trim().to_owned(), crate::text::one_line(&value).into_owned())
    });
    Some((labels.collect(), value))
}

/// Letters within quotes that mean something to the crate, and what stands for them: private letters of Unicode.
const ASIDE: [(char, char); 6] = [
    (',', '\u{F0000}'),
    ('=', '\u{F0001}'),
    ('{', '\u{F0002}'),
    ('}', '\u{F0003}'),
    ('"', '\u{F0004}'),
    ('\\', '\u{F0005}'),
];

fn back(letter: char) -> char {
    ASIDE.iter().find(|(_, other)| *other == letter).map_or(letter, |(letter, _)| *letter)
}

/// Puts letters within quotes aside, resolves escapes, and leaves blanks between labels out; `None` where a quote does
/// not end.
fn put_aside(line: &str) -> Option<String> {
    let aside =
        |letter: char| ASIDE.iter().find(|(one, _)| *one == letter).map_or(letter, |(_, other)| *other);
    let mut out = String::with_capacity(line.len() + 16);
    let mut letters = line.chars();
    let (mut quoted, mut braced) = (false, false);
    while let Some(letter) = letters.next() {
        match (quoted, letter) {
            (_, '"') => {
                quoted = !quoted;
                out.push('"');
            }
            (true, '\\') => match letters.next()? {
                'n' => out.push(' '),
                escaped => out.push(aside(escaped)),
            },
            (true, letter) => out.push(aside(letter)),
            (false, letter) if braced && letter.is_ascii_whitespace() => {}
            (false, letter) => {
                braced = letter == '{' || (braced && letter != '}');
                out.push(letter);
            }
        }
    }
    // The crate knows no empty braces.
    (!quoted).then(|| out.replacen("{}", "", 1))
}
