use super::*;

/// A Loki of lines in memory, that gives up to a limit, the first of those that share a time in any order.
struct Small {
    lines: Vec<Entry>,
    most: usize,
    turn: std::cell::Cell<u64>,
}

fn entry(at: i64, app: &str, text: &str) -> Entry {
    let labels = [("app".into(), app.into())].into_iter().collect();
    Entry {
        at,
        labels,
        metadata: Labels::default(),
        parsed: Labels::default(),
        text: text.into(),
        whole: None,
    }
}

impl Small {
    fn new(lines: Vec<Entry>, most: usize) -> Self {
        Self { lines, most, turn: 0.into() }
    }

    fn answer(&self, question: &Question) -> Result<Lines, SourceError> {
        if question.limit > self.most {
            return Err(SourceError::Invalid {
                what: "Loki".into(),
                reason: "max entries limit per query exceeded, limit > max_entries_limit_per_query".into(),
            });
        }
        let Span { start, end } = question.span;
        // The order of what shares a time is another one each time.
        self.turn.set(self.turn.get() + 1);
        let mut dice = fastrand::Rng::with_seed(self.turn.get());
        let wanted = |one: &&Entry| {
            let app = one.labels.get("app").unwrap_or_default();
            (start..end).contains(&one.at)
                && (!question.query.contains("app=") || question.query.contains(&format!("app={app:?}")))
        };
        let mut found: Vec<Entry> = self.lines.iter().filter(wanted).cloned().collect();
        dice.shuffle(&mut found);
        found.sort_by_key(|one| one.at);
        if question.direction == Direction::Backward {
            found.reverse();
        }
        found.truncate(question.limit);
        found.sort_by_key(|one| one.at);
        Ok(Lines { entries: found, ..Lines::default() })
    }

    fn streams(&self, at: i64) -> Vec<Labels> {
        let mut found: Vec<Labels> =
            self.lines.iter().filter(|one| one.at == at).map(|one| one.labels.clone()).collect();
        found.sort();
        found.dedup();
        found
    }

    async fn all(&self, direction: Direction, size: usize) -> (Vec<Entry>, Vec<i64>) {
        let span = Span { start: 0, end: 40 * PIECE };
        let mut pager = Pager::new("{job=\"x\"}", span, direction, size);
        let mut all: Vec<Entry> = Vec::new();
        let mut skipped = Vec::new();
        for _ in 0..10_000 {
            let page = pager
                .step(
                    |question| async move { self.answer(&question) },
                    |_, at| async move { Ok(self.streams(at)) },
                )
                .await
                .unwrap();
            assert!(page.entries.is_sorted_by_key(|one| one.at));
            skipped.extend(page.skipped);
            match direction {
                Direction::Backward => all.splice(0..0, page.entries).for_each(drop),
                Direction::Forward => all.extend(page.entries),
            }
            if page.done {
                return (all, skipped);
            }
        }
        panic!("it does not end");
    }
}

fn sorted(mut entries: Vec<Entry>) -> Vec<(i64, String, String)> {
    let mut all: Vec<_> =
        entries.drain(..).map(|one| (one.at, one.labels.to_string(), one.text.to_string())).collect();
    all.sort();
    all
}

#[tokio::test]
async fn no_line_is_lost_or_doubled_where_times_tie() {
    for seed in 0..40 {
        let mut dice = fastrand::Rng::with_seed(seed);
        let mut lines = Vec::new();
        for _ in 0..dice.usize(0..400) {
            // Few times, few texts, two streams: ties of different lines, of equal lines, and across streams.
            let at = dice.i64(0..30) * dice.i64(1..3 * PIECE / 2);
            let app = if dice.bool() { "a" } else { "b" };
            lines.push(entry(at.min(40 * PIECE - 1), app, ["same", "other"][dice.usize(0..2)]));
        }
        let small = Small::new(lines.clone(), ENTRIES);
        for direction in [Direction::Backward, Direction::Forward] {
            for size in [1, 2, 7, 100] {
                let (all, skipped) = small.all(direction, size).await;
                assert_eq!(sorted(all), sorted(lines.clone()), "seed {seed}, {direction:?}, {size}");
                assert!(skipped.is_empty());
            }
        }
    }
}

#[tokio::test]
async fn a_time_with_more_lines_than_the_server_gives_is_read_stream_by_stream() {
    let mut lines = vec![entry(5, "a", "before"), entry(900, "a", "after")];
    for number in 0..4_000 {
        lines.push(entry(70, "a", &format!("a{number}")));
        lines.push(entry(70, "b", &format!("b{number}")));
    }
    let small = Small::new(lines.clone(), ENTRIES);
    for direction in [Direction::Backward, Direction::Forward] {
        let (all, skipped) = small.all(direction, 500).await;
        assert_eq!(sorted(all).len(), lines.len(), "{direction:?}");
        assert!(skipped.is_empty());
    }
}

#[tokio::test]
async fn what_nobody_can_read_is_told() {
    let mut lines = vec![entry(5, "a", "before"), entry(900, "a", "after")];
    lines.extend((0..6_000).map(|number| entry(70, "a", &format!("a{number}"))));
    let small = Small::new(lines, ENTRIES);
    let (all, skipped) = small.all(Direction::Backward, 500).await;
    assert_eq!(skipped, [70]);
    let ends: Vec<&str> = [all.first(), all.last()].into_iter().flatten().map(|one| &*one.text).collect();
    assert_eq!(ends, ["before", "after"]);
    assert!(all.len() >= ENTRIES);
}

#[tokio::test]
async fn a_server_that_gives_less_is_asked_for_less() {
    let mut lines = vec![entry(5, "a", "before")];
    lines.extend((0..60).map(|number| entry(70, if number < 30 { "a" } else { "b" }, &format!("x{number}"))));
    let small = Small::new(lines.clone(), 40);
    let (all, skipped) = small.all(Direction::Backward, 40).await;
    assert_eq!(sorted(all), sorted(lines));
    assert!(skipped.is_empty());
}
