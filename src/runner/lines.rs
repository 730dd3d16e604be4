//! The lines of the log screen: how much a query reads, then pages of older lines as they are wanted, the volume by
//! level, what completes a query, and what is written from now on.
//!
//! Nothing is asked of the server beyond its size before the person has said yes to a large query.

use std::time::Duration;

use tokio::sync::{mpsc, watch};

use super::Note;
use crate::app::explore::volume::Volume;
use crate::app::explore::{LinesNews, LinesOf, Wish};
use crate::app::message::Message;
use crate::clock::Clock;
use crate::signals::{Answer, System, Window};
use crate::sources::backoff::Backoff;
use crate::sources::loki::{self, Direction, Pager, SECOND, Span, Tail, TailNews};
use crate::sources::{Endpoint, SourceError, Systems, logql};

/// How many lines a page has.
const PAGE: usize = 1_000;

/// How many lines are read before and after one whose neighbours are wanted, at a time.
const AROUND: usize = 200;

/// How many bars the volume has at the most.
const BARS: i64 = 150;

/// How many seconds a bar of the volume stands for: round numbers, so that bars begin at whole times.
const STEPS: [i64; 16] = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1_800, 3_600, 7_200, 21_600, 86_400];

/// How often the volume is asked for again while lines come, at the most.
const AGAIN: Duration = Duration::from_secs(30);

/// The longest that a server's wish to wait is heeded at once.
const LONGEST: Duration = Duration::from_mins(1);

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
        let mut backoff = backoff();
        let endpoint = loop {
            match self.systems.one(System::Loki).await {
                Ok(endpoint) => break endpoint,
                Err(error) => {
                    let wait = self.wait(&error, &mut backoff);
                    let hopeless = matches!(error, SourceError::Missing { .. } | SourceError::Denied { .. });
                    if !self.say(LinesNews::Failed(error)).await || hopeless {
                        return;
                    }
                    tokio::time::sleep(wait).await;
                }
            }
        };
        // A query that is refused is mended with the help of what the server knows.
        tokio::join!(self.lines(&endpoint), self.completions(&endpoint));
    }

    async fn lines(&self, endpoint: &Endpoint) {
        let span = self.span();
        if !self.sized(endpoint, span).await {
            return;
        }
        if logql::is_metric(&self.of.query) {
            self.numbers(endpoint, span).await;
            return;
        }
        if let Some(at) = self.of.around {
            let before = Span { end: at.saturating_add(1).min(span.end), ..span };
            let after = Span { start: before.end, ..span };
            tokio::join!(
                self.pages(endpoint, before, Direction::Backward, AROUND),
                self.pages(endpoint, after, Direction::Forward, AROUND),
            );
            return;
        }
        tokio::join!(
            self.pages(endpoint, span, Direction::Backward, PAGE),
            self.volume(endpoint),
            self.newer(endpoint, span)
        );
    }

    /// Returns how long to wait after an error: as long as the server asks for, else longer each time.
    fn wait(&self, error: &SourceError, backoff: &mut Backoff) -> Duration {
        let next = backoff.next_wait();
        match error {
            SourceError::Throttled { until: Some(until), .. } => {
                let left = until.duration_since(self.clock.now());
                Duration::try_from(left).unwrap_or_default().clamp(next, LONGEST)
            }
            _ => next,
        }
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

    /// Asks how much the query reads, again where that may help; tells whether it may be read.
    async fn sized(&self, endpoint: &Endpoint, span: Span) -> bool {
        if self.of.around.is_some() {
            return self.say(LinesNews::Size(loki::Stats::default())).await;
        }
        let mut backoff = backoff();
        let stats = loop {
            match loki::stats(endpoint, &self.of.query, span).await {
                Ok(stats) => break stats,
                // Before Loki 2.9 there is no such page.
                Err(SourceError::Missing { .. }) => break loki::Stats::default(),
                Err(error) => {
                    let wait = self.wait(&error, &mut backoff);
                    let hopeless = is_hopeless(&error);
                    if !self.say(LinesNews::Failed(error)).await || hopeless {
                        return false;
                    }
                    tokio::time::sleep(wait).await;
                }
            }
        };
        if stats.bytes > self.ask_above && !self.of.allowed {
            self.say(LinesNews::TooLarge(stats)).await;
            return false;
        }
        self.say(LinesNews::Size(stats)).await
    }

    /// Shows the values of a metric query where the volume would stand.
    async fn numbers(&self, endpoint: &Endpoint, span: Span) {
        let news = match self.values(endpoint, span, false).await {
            Ok(volume) => LinesNews::Levels(volume),
            Err(error) => LinesNews::Failed(error),
        };
        let failed = matches!(news, LinesNews::Failed(_));
        self.say(news).await;
        if !failed {
            self.say(LinesNews::Older(loki::Page { done: true, ..loki::Page::default() })).await;
        }
    }

    /// Asks for values over a span that begins and ends at whole steps, as the server's own do.
    async fn values(&self, endpoint: &Endpoint, span: Span, counts: bool) -> Result<Volume, SourceError> {
        let step = step(span);
        let grid = i64::from(step) * SECOND;
        let start = span.start.div_euclid(grid) * grid;
        let end = span.end.saturating_add(grid - 1).div_euclid(grid) * grid;
        // A value is of the step before its time.
        let asked = Span { start: start + grid, end };
        let told = if counts {
            loki::levels(endpoint, &self.of.query, asked, step).await?
        } else {
            loki::range(endpoint, &self.of.query, asked, step).await?
        };
        let Answer::Series(series) = told.answer else { return Ok(Volume::default()) };
        Ok(Volume { from: start / SECOND, to: end / SECOND, step, series, counts })
    }

    async fn pages(&self, endpoint: &Endpoint, span: Span, direction: Direction, size: usize) {
        let mut wish = self.wish.clone();
        let mut pager = Pager::new(&self.of.query, span, direction, size);
        let mut backoff = backoff();
        let mut read = 0;
        loop {
            let wanted = {
                let wish = wish.borrow_and_update();
                if direction == Direction::Forward { wish.later } else { wish.pages }
            };
            while read < wanted {
                match pager.next(endpoint).await {
                    Ok(page) => {
                        read += 1;
                        backoff.reset();
                        let done = page.done;
                        let news = match direction {
                            Direction::Backward => LinesNews::Older(page),
                            Direction::Forward => LinesNews::Later(page),
                        };
                        if !self.say(news).await || done {
                            return;
                        }
                    }
                    Err(error) => {
                        let wait = self.wait(&error, &mut backoff);
                        let hopeless = is_hopeless(&error);
                        if !self.say(LinesNews::Failed(error)).await || hopeless {
                            return;
                        }
                        tokio::time::sleep(wait).await;
                    }
                }
            }
            if wish.changed().await.is_err() {
                return;
            }
        }
    }

    async fn volume(&self, endpoint: &Endpoint) {
        let mut backoff = backoff();
        loop {
            let span = self.span();
            match self.values(endpoint, span, true).await {
                Ok(volume) => {
                    backoff.reset();
                    if !self.say(LinesNews::Levels(volume)).await
                        || matches!(self.of.window, Window::Between { .. })
                    {
                        return;
                    }
                    tokio::time::sleep(AGAIN.max(Duration::from_secs(u64::from(step(span))))).await;
                }
                Err(error) => {
                    let wait = self.wait(&error, &mut backoff).max(Duration::from_secs(5));
                    let hopeless = is_hopeless(&error);
                    if !self.say(LinesNews::NoLevels(error)).await || hopeless {
                        return;
                    }
                    tokio::time::sleep(wait).await;
                }
            }
        }
    }

    /// Asks what may complete a query: the names of labels at once, the values of one when it is typed.
    async fn completions(&self, endpoint: &Endpoint) {
        let mut wish = self.wish.clone();
        let mut backoff = backoff();
        let mut named = false;
        let mut known: Option<crate::identity::Text> = None;
        loop {
            let wanted = wish.borrow_and_update().label.clone();
            let mut asked = if named {
                Ok(())
            } else {
                match loki::labels(endpoint, self.span()).await {
                    Ok(labels) => {
                        named = true;
                        if !self.say(LinesNews::Labels(labels)).await {
                            return;
                        }
                        Ok(())
                    }
                    Err(error) => Err(error),
                }
            };
            if let Some(label) =
                wanted.as_ref().filter(|label| asked.is_ok() && known.as_ref() != Some(*label))
            {
                match loki::values(endpoint, label, self.span()).await {
                    Ok(values) => {
                        known = Some(label.clone());
                        if !self.say(LinesNews::Values(label.clone(), values)).await {
                            return;
                        }
                    }
                    Err(error) => asked = Err(error),
                }
            }
            let wait = match asked {
                Ok(()) => {
                    backoff.reset();
                    None
                }
                Err(error) => {
                    let wait = self.wait(&error, &mut backoff);
                    if !self.say(LinesNews::NoNames(error)).await {
                        return;
                    }
                    Some(wait)
                }
            };
            // Another label may be typed meanwhile.
            let again = async {
                match wait {
                    Some(wait) => tokio::time::sleep(wait).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                changed = wish.changed() => {
                    if changed.is_err() {
                        return;
                    }
                }
                () = again => {}
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

fn backoff() -> Backoff {
    Backoff::new(Duration::from_secs(1), Duration::from_secs(30))
}

/// Tells whether asking again cannot help.
fn is_hopeless(error: &SourceError) -> bool {
    matches!(error, SourceError::Invalid { .. } | SourceError::Denied { .. })
}

/// Returns the seconds of one bar of the volume.
fn step(span: Span) -> u32 {
    let least = (span.end - span.start) / SECOND / BARS;
    let step = STEPS.into_iter().find(|step| *step >= least).unwrap_or(86_400);
    u32::try_from(step).unwrap_or(86_400)
}
