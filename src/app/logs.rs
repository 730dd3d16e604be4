//! The logs of a pod, or of all pods of a workload: a bounded ring of lines, and a window over it.
//!
//! Lines beyond the bound are dropped from the old end and counted; the count is on screen.

use std::collections::VecDeque;
use std::fmt::Write as _;

use jiff::Timestamp;

use crate::app::detail::Page;
use crate::app::effect::LogsOf;
use crate::app::typing;
use crate::identity::{ObjectRef, Text};
use crate::sources::SourceError;

/// How far back the logs are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Since {
    /// The last so many lines, then everything new.
    Tail,
    /// So many minutes.
    Minutes(u32),
}

/// One line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLine {
    /// The pod.
    pub pod: Text,
    /// The container.
    pub container: Text,
    /// When it was written, as the kubelet says.
    pub at: Option<Timestamp>,
    /// The text, cleaned.
    pub text: Box<str>,
    /// Whether it is the console's own line about the stream: that it broke off here, or went on.
    pub seam: bool,
}

/// The state of the logs view.
#[derive(Debug, Clone, PartialEq)]
pub struct Logs {
    /// The pod or the workload.
    pub object: ObjectRef,
    /// The one container to show; `None` for all.
    pub container: Option<Text>,
    /// The containers that have spoken, for choosing one.
    pub containers: Vec<Text>,
    /// Whether the previous life is shown.
    pub previous: bool,
    /// How far back.
    pub since: Since,
    /// Whether the newest line is kept in sight.
    pub follow: bool,
    /// Whether the time stands before each line.
    pub timestamps: bool,
    /// The lines, oldest first.
    pub lines: VecDeque<LogLine>,
    /// How many lines were dropped because there was no room.
    pub dropped: u64,
    /// Streams that ended badly: pod or container, and why.
    pub failures: Vec<(Text, SourceError)>,
    /// Window and search.
    pub page: Page,
}

impl Logs {
    /// Opens the logs of a pod or workload.
    pub fn new(object: ObjectRef, previous: bool) -> Self {
        Self {
            object,
            container: None,
            containers: Vec::new(),
            previous,
            since: Since::Tail,
            follow: !previous,
            timestamps: false,
            lines: VecDeque::new(),
            dropped: 0,
            failures: Vec::new(),
            page: Page::default(),
        }
    }

    /// Returns which logs these are, as the runner knows them.
    pub fn of(&self) -> LogsOf {
        LogsOf {
            object: self.object.clone(),
            container: self.container.clone(),
            previous: self.previous,
            since: self.since,
        }
    }

    /// Draws a seam: lines of a stream may be missing here, or come from here on.
    pub fn seam(&mut self, stream: &Text, text: String, bound: usize) {
        let (pod, container) = stream.split_once('/').unwrap_or((stream, ""));
        let line = LogLine {
            pod: Text::from(pod),
            container: Text::from(container),
            at: None,
            text: text.into(),
            seam: true,
        };
        self.take(vec![line], 0, bound);
    }

    /// Returns all lines as text: when, which pod and container, what.
    pub fn text(&self) -> String {
        let mut text = String::new();
        for line in &self.lines {
            let at = line.at.map_or_else(|| "-".to_owned(), |at| at.to_string());
            let mark = if line.seam { "-- " } else { "" };
            // Writing to a string cannot fail.
            let _ = writeln!(text, "{at} {}/{} {mark}{}", line.pod, line.container, line.text);
        }
        text
    }

    /// Takes lines, and drops the oldest where there are more than `bound`.
    ///
    /// A search goes on over the new lines alone: the log may be long and the lines many.
    pub fn take(&mut self, lines: Vec<LogLine>, dropped: u64, bound: usize) {
        let before = self.lines.len();
        if let Some(expression) = typing::expression(&self.page.search.text) {
            let new = typing::found(&expression, lines.iter().map(|line| &*line.text));
            self.page.search.matches.extend(new.into_iter().map(|line| before + line));
        }
        for line in lines {
            if !line.seam && !self.containers.contains(&line.container) {
                self.containers.push(line.container.clone());
            }
            self.lines.push_back(line);
        }
        self.dropped += dropped;
        let over = self.lines.len().saturating_sub(bound);
        self.lines.drain(..over);
        self.dropped += over as u64;
        let search = &mut self.page.search;
        let gone = search.matches.partition_point(|line| *line < over);
        search.matches.drain(..gone);
        search.matches.iter_mut().for_each(|line| *line -= over);
        search.at = search.at.saturating_sub(gone);
        // What one looks at stays under one's eyes while older lines go.
        self.page.view.top = self.page.view.top.saturating_sub(over);
        self.page.view.cursor = self.page.view.cursor.saturating_sub(over);
    }
}
