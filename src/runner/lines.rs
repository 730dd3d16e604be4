//! The lines of the log screen: how much a query reads, then pages of older lines as they are wanted, the volume by
//! level, what completes a query, and what is written from now on.
//!
//! Nothing is asked of the server beyond its size before the person has said yes to a large query.

use std::time::Duration;

use tokio::sync::{mpsc, watch};

use super::Note;
use crate::app::explore::{LinesNews, LinesOf, Wish};
use crate::app::message::Message;
use crate::clock::Clock;
use crate::signals::{Answer, System, Window};
use crate::sources::backoff::Backoff;
use crate::sources::loki::{self, Direction, Pager, SECOND, Span, Tail, TailNews};
use crate::sources::{Endpoint, SourceError, Systems, logql};

/// How many lines a page has.
const PAGE: usize = 1_000;

/// How many bars the volume has, about.
const BARS: i64 = 120;

/// How often the volume is asked for again while lines come, at the most.
const AGAIN: Duration = Duration::from_secs(30);

/// A reading of lines.
pub(super) struct Reading {
    pub systems: Systems,
    pub of: LinesOf,
    /// Bytes above which the person is asked first.
    pub ask_above: u64,
    pub wish: watch::Receiver<Wish>,
    pub notes: mpsc::Sender<Note>,
    pub clock: Clock,
}

impl Reading {
    pub(super) async fn run(self) {
        let (first, longest) = (Duration::from_secs(1), Duration::from_secs(30));
        let mut backoff = Backoff::new(first, longest);
        let endpoint = loop {
            match self.systems.one(System::Loki).await {
                Ok(endpoint) => break endpoint,
                Err(error) => {
                    let hopeless = matches!(error, SourceError::Missing { .. } | SourceError::Denied { .. });
                    if !self.say(LinesNews::Failed(error)).await || hopeless {
                        return;
                    }
                }
            }
            tokio::time::sleep(backoff.next_wait()).await;
        };
        let span = self.span();
        if let Err(error) = self.sized(&endpoint, span).await {
            if let Some(error) = error {
                self.say(LinesNews::Failed(error)).await;
            }
            return;
        }
        if logql::is_metric(&self.of.query) {
            self.numbers(&endpoint, span).await;
            return;
        }
        tokio::join!(
            self.pages(&endpoint, span),
            self.volume(&endpoint),
            self.completions(&endpoint),
            self.newer(&endpoint, span)
        );
    }

    fn span(&self) -> Span {
        let now = self.clock.now();
        let (from, to) = self.of.window.bounds(now);
        let end = match self.of.window {
            // To the nanosecond, so that the tail joins on.
            Window::Last { .. } => i64::try_from(now.as_nanosecond()).unwrap_or(i64::MAX),
            Window::Between { .. } => to.saturating_mul(SECOND),
        };
        Span { start: from.saturating_mul(SECOND), end }
    }

    async fn say(&self, news: LinesNews) -> bool {
        let message = Message::Lines { of: self.of.clone(), news };
        self.notes.send(Note::Said(message)).await.is_ok()
    }

    /// Asks how much the query reads; an error, or nothing where the person has to be asked.
    async fn sized(&self, endpoint: &Endpoint, span: Span) -> Result<(), Option<SourceError>> {
        let stats = match loki::stats(endpoint, &self.of.query, span).await {
            Ok(stats) => stats,
            // Before Loki 2.9 there is no such page.
            Err(SourceError::Missing { .. }) => loki::Stats::default(),
            Err(error) => return Err(Some(error)),
        };
        if stats.bytes > self.ask_above && !self.of.allowed {
            self.say(LinesNews::TooLarge(stats)).await;
            return Err(None);
        }
        self.say(LinesNews::Size(stats)).await;
        Ok(())
    }

    /// Shows the values of a metric query where the volume would stand.
    async fn numbers(&self, endpoint: &Endpoint, span: Span) {
        let step = step(span);
        let news = match loki::range(endpoint, &self.of.query, span, step).await {
            Ok(told) => match told.answer {
                Answer::Series(series) => LinesNews::Levels(series),
                _ => return,
            },
            Err(error) => LinesNews::Failed(error),
        };
        self.say(news).await;
        self.say(LinesNews::Older(loki::Page { done: true, ..loki::Page::default() })).await;
    }

    async fn pages(&self, endpoint: &Endpoint, span: Span) {
        let mut wish = self.wish.clone();
        let mut pager = Pager::new(&self.of.query, span, Direction::Backward, PAGE);
        let mut backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(30));
        let mut read = 0;
        loop {
            let wanted = wish.borrow_and_update().pages;
            while read < wanted {
                match pager.next(endpoint).await {
                    Ok(page) => {
                        read += 1;
                        backoff.reset();
                        let done = page.done;
                        if !self.say(LinesNews::Older(page)).await || done {
                            return;
                        }
                    }
                    Err(error) => {
                        let hopeless =
                            matches!(error, SourceError::Invalid { .. } | SourceError::Denied { .. });
                        if !self.say(LinesNews::Failed(error)).await || hopeless {
                            return;
                        }
                        tokio::time::sleep(backoff.next_wait()).await;
                    }
                }
            }
            if wish.changed().await.is_err() {
                return;
            }
        }
    }

    async fn volume(&self, endpoint: &Endpoint) {
        loop {
            let span = self.span();
            let step = step(span);
            match loki::levels(endpoint, &self.of.query, span, step).await {
                Ok(told) => {
                    if let Answer::Series(series) = told.answer
                        && !self.say(LinesNews::Levels(series)).await
                    {
                        return;
                    }
                }
                // The lines say what is wrong with the query; the volume alone is no reason to.
                Err(error) => tracing::debug!(%error, "no volume by level"),
            }
            if matches!(self.of.window, Window::Between { .. }) {
                return;
            }
            tokio::time::sleep(AGAIN.max(Duration::from_secs(u64::from(step)))).await;
        }
    }

    async fn completions(&self, endpoint: &Endpoint) {
        let mut wish = self.wish.clone();
        if let Ok(labels) = loki::labels(endpoint, self.span()).await
            && !self.say(LinesNews::Labels(labels)).await
        {
            return;
        }
        let mut known = None;
        loop {
            let wanted = wish.borrow_and_update().label.clone();
            if wanted != known
                && let Some(label) = &wanted
                && let Ok(values) = loki::values(endpoint, label, self.span()).await
                && !self.say(LinesNews::Values(label.clone(), values)).await
            {
                return;
            }
            known = wanted;
            if wish.changed().await.is_err() {
                return;
            }
        }
    }

    async fn newer(&self, endpoint: &Endpoint, span: Span) {
        if matches!(self.of.window, Window::Between { .. }) {
            return;
        }
        let (mail, mut news) = mpsc::channel(8);
        let wanted = Tail { query: self.of.query.to_string(), start: span.end, limit: loki::ENTRIES };
        let forward = async {
            while let Some(one) = news.recv().await {
                let news = match one {
                    TailNews::Lines { entries, dropped, garbled } => {
                        LinesNews::Newer { entries, dropped, garbled }
                    }
                    TailNews::Open => LinesNews::Live,
                    TailNews::Seam { after, why } => LinesNews::Seam { after, why },
                    TailNews::Failed(error) => LinesNews::Failed(error),
                };
                if !self.say(news).await {
                    return;
                }
            }
        };
        let follow = async {
            // Moved in, so that the channel closes with the tail.
            let mail = mail;
            loki::tail(endpoint, wanted, &mail).await
        };
        let (ended, ()) = tokio::join!(follow, forward);
        if let Err(error) = ended {
            self.say(LinesNews::Failed(error)).await;
        }
    }
}

/// Returns the seconds of one bar of the volume.
fn step(span: Span) -> u32 {
    let seconds = (span.end - span.start) / SECOND;
    u32::try_from(seconds / BARS).unwrap_or(u32::MAX).max(1)
}
