//! What the panels of a board ask and show: worked out from the board, what it is for, the window and the width.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::{About, Asked, BoardView, Drawn, Happened, PanelState, span};
use crate::boards::{Formula, Known, Need, Origin, Panel, Shape, Subject, Values, cloud};
use crate::identity::{Context, Text};
use crate::kinds::{Health, Lens, alerts};
use crate::model::deployments;
use crate::model::ended::Ended;
use crate::model::tenants::Tenants;
use crate::rows::Scope;
use crate::signals::{Alert, AlertState, Answer, Ask, Figures, Labels, Series, Severity, Wanted, Window};
use crate::sources::SourceError;
use crate::store::Store;

/// The least width of a panel beside another.
const NARROW: u16 = 38;

/// The least and the greatest height of a panel: two of the least stand one above the other in 20 rows.
const HEIGHTS: (u16, u16) = (7, 22);

/// How many series of one panel are drawn at most.
const MOST: usize = 52;

/// How many events of the window are marked at most, the latest.
const EVENTS: usize = 200;

/// Seconds of a period of CloudWatch at least: what is finer is not kept for long, and costs more.
const LEAST: u32 = 60;

/// Seconds back in which the latest value of a metric of CloudWatch is looked for: some come late.
const LATEST: u32 = 900;

/// Columns beside the plot: the labels of the values and the letters.
const BESIDE: u16 = 10;

/// What settling looks at besides the view.
#[derive(Clone, Copy)]
pub struct Within<'a> {
    /// What part of the cluster is shown.
    pub scope: &'a Scope,
    /// The tenants.
    pub tenants: &'a Tenants,
    /// When rollbacks ended and how many seconds they took.
    pub rollbacks: &'a [(Timestamp, f64)],
    /// The alerts that were seen to end.
    pub ended: &'a Ended,
    /// Columns of the terminal.
    pub width: u16,
    /// How many rows of panels fit.
    pub page: usize,
}

/// Returns how many panels stand beside one another in a width.
pub fn columns(width: u16, count: usize) -> usize {
    usize::from(width / NARROW).clamp(1, 4).min(count.max(1))
}

/// Returns the height of a panel where `rows` rows of them should fit, and how many rows are visible.
pub fn rows(height: u16, rows: usize) -> (u16, usize) {
    let rows = u16::try_from(rows.max(1)).unwrap_or(u16::MAX);
    let fitting = (height / HEIGHTS.0).max(1);
    if fitting >= rows {
        return ((height / rows).clamp(1, HEIGHTS.1), usize::from(rows));
    }
    // A line says which of them are seen; what is left over makes those higher.
    let fitting = (height.saturating_sub(1) / HEIGHTS.0).max(1);
    ((height.saturating_sub(1) / fitting).clamp(1, HEIGHTS.1), usize::from(fitting))
}

/// Brings a board up to date with the store.
pub fn settle(view: &mut BoardView, lens: &Lens<'_>, within: Within<'_>) {
    view.subject = match &view.about {
        About::Scope => of_scope(within.scope, within.tenants),
        About::Subject(subject) => subject.clone(),
    };
    // A board that cannot be narrowed shows everything, and must not be taken for that of a tenant.
    let mut filled = view.board.variables.iter().filter_map(|variable| variable.from);
    if !filled.any(|facet| view.subject.matcher(facet).is_some()) {
        view.subject = Subject::default();
    }
    let count = view.board.panels.len();
    view.panel = view.panel.min(count.saturating_sub(1));
    view.columns = columns(within.width, count);
    let all = count.div_ceil(view.columns);
    let row = view.panel / view.columns;
    let page = within.page.max(1);
    view.top = view.top.min(all.saturating_sub(page)).min(row).max((row + 1).saturating_sub(page));
    view.asks.clear();
    let values = match view.board.values(&view.subject) {
        Ok(values) => values,
        Err(why) => {
            view.unfilled = Some(why);
            return;
        }
    };
    view.unfilled = None;
    let systems = Ask { context: lens.context.clone(), wanted: Wanted::Systems };
    let told = lens.store.reading(&systems).and_then(|reading| reading.told.as_ref());
    // What CloudWatch says is not scraped.
    view.scraped = view.board.asks() != (true, false)
        && matches!(told.map(|told| &told.answer), Some(Answer::Systems(all)) if all.iter().any(|one| one.scraped));
    let step = step(view, within.width);
    let span = span::bounds(view.window, step, lens.now);
    let values = values.over(view.window.seconds(), step);
    let mut asking = Asking { context: lens.context, store: lens.store, asks: Vec::new() };
    let there = There::look(view, &mut asking);
    let shown = if view.large {
        view.panel..view.panel + 1
    } else {
        // One row ahead, so that moving down finds it there.
        view.top * view.columns..((view.top + page + 1) * view.columns).min(count)
    };
    let board = std::sync::Arc::clone(&view.board);
    for number in shown {
        let (Some(panel), Some(state)) = (board.panels.get(number), view.panels.get_mut(number)) else {
            continue;
        };
        let edited = view.edited.get(&number).map(|text| Formula::typed(text));
        let job = Job {
            panel,
            edited: edited.as_ref(),
            values: &values,
            window: view.window,
            step,
            span,
            only: None,
        };
        let only = view.alert.as_ref().map(|alert| &alert.labels).filter(|_| edited.is_none());
        let job = Job { only, ..job };
        fill(state, &job, &there, &mut asking, lens, within.rollbacks);
    }
    asking.ask(Wanted::Alerts);
    if board.asks().0 {
        asking.ask(Wanted::Alarms);
    }
    if let Some(prompt) = &view.prompt {
        for wanted in prompt.asks() {
            asking.ask(wanted);
        }
    }
    view.asks = asking.asks;
    view.happened = happened(view, lens, within.ended, span);
    if view.large {
        let len = view.panels.get(view.panel).map_or(0, |state| state.series.len());
        view.series.settle(len, page);
    }
    if let Some(prompt) = &mut view.prompt {
        prompt.settle(lens.context, lens.store);
    }
}

/// Returns the step between two values: by the width of the panels.
pub fn step(view: &BoardView, width: u16) -> u32 {
    let columns = if view.large { 1 } else { view.columns.max(1) };
    let each = width / u16::try_from(columns).unwrap_or(1);
    span::step(view.window.seconds(), each.saturating_sub(BESIDE))
}

fn of_scope(scope: &Scope, tenants: &Tenants) -> Subject {
    match (&scope.tenant, &scope.namespace) {
        (Some(tenant), _) => of_tenant(tenant, tenants),
        (None, Some(namespace)) => Subject { namespaces: vec![namespace.clone()], ..Subject::default() },
        (None, None) => Subject::default(),
    }
}

/// Returns a tenant as boards see it.
pub fn of_tenant(tenant: &Text, tenants: &Tenants) -> Subject {
    let known = tenants.ranking().iter().find(|one| one.name == *tenant);
    let namespaces = known.map(|one| one.namespaces.clone()).unwrap_or_default();
    // A tenant without a namespace has nothing, which is not the same as everything.
    let namespaces = if namespaces.is_empty() { vec![tenant.clone()] } else { namespaces };
    Subject { tenant: Some(tenant.clone()), namespaces, ..Subject::default() }
}

/// Collects questions, each once.
struct Asking<'a> {
    context: &'a Context,
    store: &'a Store,
    asks: Vec<Ask>,
}

impl Asking<'_> {
    fn ask(&mut self, wanted: Wanted) -> Ask {
        let ask = Ask { context: self.context.clone(), wanted };
        if !self.asks.contains(&ask) {
            self.asks.push(ask.clone());
        }
        ask
    }
}

/// Which of the metrics that a board needs there are.
enum There {
    /// It is not known yet.
    Waiting,
    /// Nobody can be asked.
    Failed(SourceError),
    /// It cannot be known: the first expression is taken.
    Unknown,
    /// These.
    Known(BTreeSet<Need>),
}

impl There {
    /// Asks for the names of the metrics, and of those with a label that moves, in one question each.
    fn look(view: &BoardView, asking: &mut Asking<'_>) -> Self {
        let mut groups: BTreeMap<Option<Text>, Vec<Text>> = BTreeMap::new();
        for need in view.board.needs() {
            groups.entry(need.label).or_default().push(need.metric);
        }
        let mut known = BTreeSet::new();
        let (mut waiting, mut unknown, mut failed) = (false, false, None);
        // All are asked at once, also while one of them has no answer yet.
        for (label, metrics) in groups {
            let names = metrics.join("|");
            let matching = match &label {
                None => format!("{{__name__=~\"{names}\"}}"),
                Some(label) => format!("{{__name__=~\"{names}\",{label}!=\"\"}}"),
            };
            let wanted = Wanted::Values { label: Text::from("__name__"), matching: Text::from(matching) };
            let ask = asking.ask(wanted);
            let reading = asking.store.reading(&ask);
            let answer = reading.and_then(|reading| reading.told.as_ref()).map(|told| &told.answer);
            match (answer, reading.and_then(|reading| reading.error.clone())) {
                (Some(Answer::Names(names)), _) => {
                    known
                        .extend(names.iter().map(|name| Need { metric: name.clone(), label: label.clone() }));
                }
                // A server that does not know this question may know the others.
                (_, Some(SourceError::Invalid { .. }) | None)
                    if reading.is_some_and(|reading| !reading.is_waiting()) =>
                {
                    unknown = true;
                }
                (_, Some(error)) => failed = failed.or(Some(error)),
                _ => waiting = true,
            }
        }
        match failed {
            Some(error) => Self::Failed(error),
            None if unknown => Self::Unknown,
            None if waiting => Self::Waiting,
            None => Self::Known(known),
        }
    }
}

/// One panel and what it is asked with.
struct Job<'a> {
    panel: &'a Panel,
    /// What a person wrote in the place of its expressions.
    edited: Option<&'a Formula>,
    values: &'a Values,
    window: Window,
    step: u32,
    span: (i64, i64),
    /// The labels of the alert that the series must not contradict.
    only: Option<&'a Labels>,
}

impl Job<'_> {
    fn wanted(&self, expr: &Text) -> Wanted {
        match (self.panel.shape, self.window) {
            (Shape::Graph, window) => Wanted::Range { query: expr.clone(), window, step: self.step },
            (_, Window::Last { .. }) => Wanted::Instant { query: expr.clone(), at: None },
            (_, Window::Between { to, .. }) => Wanted::Instant { query: expr.clone(), at: Some(to) },
        }
    }

    /// The question to `CloudWatch`; where one value is shown, it is the last of a few periods.
    fn figures(&self, figures: &Figures) -> Wanted {
        let figures = cloud::fill(figures, self.values);
        let (window, step) = match (self.panel.shape, self.window) {
            (Shape::Graph, window) => (window, self.step.max(LEAST)),
            (_, Window::Last { .. }) => (Window::Last { seconds: LATEST }, LEAST),
            (_, Window::Between { to, .. }) => (Window::Between { from: to - i64::from(LATEST), to }, LEAST),
        };
        Wanted::Figures { figures, window, step }
    }
}

/// Asks for what a panel shows and takes what was answered.
fn fill(
    state: &mut PanelState,
    job: &Job<'_>,
    there: &There,
    asking: &mut Asking<'_>,
    lens: &Lens<'_>,
    rollbacks: &[(Timestamp, f64)],
) {
    state.asked.clear();
    state.missing.clear();
    state.waiting = false;
    state.error = None;
    state.warnings.clear();
    state.garbled = 0;
    state.at = None;
    state.step = if job.panel.shape == Shape::Graph { i64::from(job.step) * 1_000 } else { 0 };
    let mut live = BTreeSet::new();
    let edited = job.edited.map(std::slice::from_ref);
    for (number, query) in job.panel.queries.iter().enumerate() {
        // What a person wrote stands for all queries of the panel.
        if edited.is_some() && number > 0 {
            continue;
        }
        let formulas = match (&query.origin, edited) {
            (_, Some(edited)) => edited,
            (Origin::Formulas(formulas), None) => formulas,
            (Origin::Known(known), None) => {
                live.insert(number);
                state.take(number, known_series(*known, job, lens, rollbacks));
                state.step = 0;
                continue;
            }
            (Origin::Figures(figures), None) => {
                let wanted = job.figures(figures);
                let Wanted::Figures { figures, step, window } = &wanted else { continue };
                let expr = Text::from(figures.words());
                if state.step > 0 {
                    let period = Figures::period(*window, *step, lens.now);
                    state.step = state.step.max(i64::from(period) * 1_000);
                }
                let ask = asking.ask(wanted.clone());
                if let Some(missing) = missing(&ask, lens) {
                    state.missing.push(missing);
                    continue;
                }
                live.insert(number);
                let legend = Some(&query.legend).filter(|legend| !legend.is_empty());
                read(state, number, &ask, (legend, None), lens);
                state.asked.push(Asked { query: number, ask, expr });
                continue;
            }
        };
        let formula = match choose(formulas, there) {
            Choice::Take(formula) => formula,
            Choice::Waiting => {
                state.waiting = true;
                live.insert(number);
                continue;
            }
            Choice::Failed(error) => {
                state.error = Some(error.clone());
                live.insert(number);
                continue;
            }
            Choice::Missing(what) => {
                if !state.missing.contains(&what) {
                    state.missing.push(what);
                }
                continue;
            }
        };
        live.insert(number);
        let expr = Text::from(formula.fill(job.values));
        let ask = asking.ask(job.wanted(&expr));
        let legend = if edited.is_some() { None } else { Some(&query.legend) };
        read(state, number, &ask, (legend, job.only), lens);
        state.asked.push(Asked { query: number, ask, expr });
    }
    state.series.retain(|series| live.contains(&series.query));
    state.seen.retain(|query, _| live.contains(query));
    if !state.asked.is_empty() || !state.series.is_empty() {
        // Something is shown: what is missing beside it would only be noise.
        state.missing.clear();
    }
}

/// Says which metric of `CloudWatch` the account does not have, where that is the answer to a question.
fn missing(ask: &Ask, lens: &Lens<'_>) -> Option<String> {
    let Wanted::Figures { figures: Figures::Found(finding), .. } = &ask.wanted else { return None };
    match lens.store.reading(ask)?.error.as_ref()? {
        SourceError::Missing { what, reason } if what.starts_with(&*finding.namespace) => {
            Some(format!("{what}: {reason}"))
        }
        _ => None,
    }
}

enum Choice<'a> {
    Take(&'a Formula),
    Waiting,
    Failed(&'a SourceError),
    Missing(String),
}

/// Chooses the first expression whose metrics exist.
fn choose<'a>(formulas: &'a [Formula], there: &'a There) -> Choice<'a> {
    let Some(first) = formulas.first() else { return Choice::Missing("nothing is asked".to_owned()) };
    if first.needs.is_empty() {
        return Choice::Take(first);
    }
    let known = match there {
        There::Waiting => return Choice::Waiting,
        There::Failed(error) => return Choice::Failed(error),
        There::Unknown => return Choice::Take(first),
        There::Known(known) => known,
    };
    if let Some(formula) = formulas.iter().find(|one| one.needs.iter().all(|need| known.contains(need))) {
        return Choice::Take(formula);
    }
    // Of each expression what it misses; a label is not missed where its metric is.
    let mut missing: Vec<String> = Vec::new();
    for formula in formulas {
        let bare = formula.needs.iter().filter(|need| need.label.is_none());
        for need in bare.filter(|need| !known.contains(need)) {
            let name = need.to_string();
            if !missing.contains(&name) {
                missing.push(name);
            }
        }
    }
    Choice::Missing(missing.join(", or "))
}

/// Takes the answer to a question where there is one; the last values stay where there is none yet.
fn read(
    state: &mut PanelState,
    query: usize,
    ask: &Ask,
    (legend, only): (Option<&crate::boards::Legend>, Option<&Labels>),
    lens: &Lens<'_>,
) {
    let Some(reading) = lens.store.reading(ask).filter(|reading| !reading.is_waiting()) else {
        state.waiting = true;
        return;
    };
    if let Some(error) = &reading.error {
        state.error = Some(error.clone());
    }
    let Some(told) = &reading.told else { return };
    for warning in &told.warnings {
        if !state.warnings.contains(warning) {
            state.warnings.push(warning.clone());
        }
    }
    state.garbled += told.garbled;
    state.at = match (state.at, reading.at) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    };
    let stamp = (ask.clone(), reading.revision);
    if state.seen.get(&query) == Some(&stamp) {
        return;
    }
    let Answer::Series(all) = &told.answer else { return };
    let name = |labels: &crate::signals::Labels| match legend {
        Some(legend) => legend.name(labels),
        None => crate::boards::Legend::default().name(labels),
    };
    let contradicts = |series: &&Series| {
        only.is_some_and(|only| {
            series.labels.iter().any(|(name, value)| only.get(name).is_some_and(|own| own != value))
        })
    };
    let own: Vec<&Series> = all.iter().filter(|series| !contradicts(series)).collect();
    // An alert whose series has gone is seen among the others, and better than in an empty picture.
    let own = if own.is_empty() { all.iter().collect() } else { own };
    let drawn = own.into_iter().filter(|series| !series.histogram).take(MOST).map(|series| Drawn {
        query,
        name: name(&series.labels),
        labels: series.labels.clone(),
        points: series.samples.iter().map(|sample| (sample.at, sample.value)).collect(),
    });
    let drawn: Vec<Drawn> = drawn.collect();
    let plain = all.iter().filter(|series| !series.histogram).count();
    state.cut.insert(query, plain.saturating_sub(drawn.len()));
    state.histograms = all.iter().filter(|series| series.histogram).count();
    state.take(query, drawn);
    state.seen.insert(query, stamp);
}

/// Returns what the console itself knows, as series.
fn known_series(known: Known, job: &Job<'_>, lens: &Lens<'_>, rollbacks: &[(Timestamp, f64)]) -> Vec<Drawn> {
    let (from, to) = job.span;
    // What happened since the last whole step happened, too.
    let to_now = to.max(if matches!(job.window, Window::Last { .. }) { lens.now.as_second() } else { to });
    let points: Vec<(i64, f64)> = match known {
        Known::DeploymentTime => deployments::between(lens, from, to_now)
            .into_iter()
            .filter_map(|one| Some((one.at.as_millisecond(), one.seconds?)))
            .collect(),
        Known::RollbackTime => rollbacks
            .iter()
            .filter(|(at, _)| (from..=to_now).contains(&at.as_second()))
            .map(|(at, seconds)| (at.as_millisecond(), *seconds))
            .collect(),
    };
    if points.is_empty() {
        return Vec::new();
    }
    let labels = crate::signals::Labels::default();
    let query = 0;
    if job.panel.shape == Shape::Graph {
        return vec![Drawn { query, name: "each".to_owned(), labels, points }];
    }
    let slowest = points.iter().map(|(_, seconds)| *seconds).fold(0.0, f64::max);
    let name = format!("slowest of {}", points.len());
    vec![Drawn { query, name, labels, points: vec![(to * 1_000, slowest)] }]
}

/// Returns what happened within the span: deployments, and alerts that began to fire.
fn happened(view: &BoardView, lens: &Lens<'_>, ended: &Ended, span: (i64, i64)) -> Vec<Happened> {
    let subject = &view.subject;
    let of_subject = |tenant: Option<&Text>, namespace: Option<&str>| {
        let by_tenant = subject.tenant.as_ref().is_some_and(|one| Some(one) == tenant);
        let everything = subject.tenant.is_none() && subject.namespaces.is_empty();
        everything || by_tenant || subject.namespaces.iter().any(|one| Some(&**one) == namespace)
    };
    let deployed = deployments::between(lens, span.0, span.1);
    let mut happened: Vec<Happened> = deployed
        .into_iter()
        .filter(|one| of_subject(one.tenant.as_ref(), one.namespace.as_deref()))
        .map(|one| Happened {
            at: one.at,
            health: Health::Progressing,
            text: format!("{} deployed {}", one.application, one.revision),
        })
        .collect();
    let told = |wanted| {
        let ask = Ask { context: lens.context.clone(), wanted };
        lens.store.reading(&ask).and_then(|reading| reading.told.clone())
    };
    // Alarms are asked for by boards that ask CloudWatch for the rest.
    for told in [Wanted::Alerts, Wanted::Alarms].into_iter().filter_map(told) {
        let alerts: Vec<&Alert> = match &told.answer {
            Answer::Alerts(alerts) => alerts.iter().map(|alert| &**alert).collect(),
            Answer::Alarms(alarms) => alarms.iter().map(|alarm| &alarm.alert).collect(),
            _ => Vec::new(),
        };
        for alert in alerts.into_iter().filter(|alert| alert.state == AlertState::Firing) {
            let Some(at) = alert.since.filter(|at| (span.0..=span.1).contains(&at.as_second())) else {
                continue;
            };
            let namespace = alert.labels.first(&["namespace", "exported_namespace"]);
            let tenant = namespace.and_then(|namespace| lens.tenants.of_namespace(namespace));
            // Watchdog always fires (contracts 4.3).
            if &*alert.name == "Watchdog" || !of_subject(tenant, namespace) {
                continue;
            }
            let health = match alert.severity {
                Severity::Critical => Health::Degraded,
                _ => Health::Warning,
            };
            happened.push(Happened { at, health, text: format!("{} fires", alert.name) });
        }
    }
    for over in ended.iter() {
        let namespace = over.namespace.as_deref();
        let tenant = namespace.and_then(|namespace| lens.tenants.of_namespace(namespace));
        if !of_subject(tenant, namespace) {
            continue;
        }
        let health = alerts::severity_health(over.alert.severity);
        let fired = over.alert.since.map(|at| (at, health, format!("{} fired", over.alert.name)));
        for (at, health, text) in fired.into_iter().chain([(over.at, Health::Healthy, over.headline())]) {
            if (span.0..=span.1).contains(&at.as_second()) {
                happened.push(Happened { at, health, text });
            }
        }
    }
    if let Some(alert) = &view.alert {
        // Its own times are told in its own words.
        let of_it = |one: &Happened| alert.marks.iter().any(|mark| mark.at == one.at);
        happened.retain(|one| !of_it(one));
        let within = |mark: &&Happened| (span.0..=span.1).contains(&mark.at.as_second());
        happened.extend(alert.marks.iter().filter(within).cloned());
    }
    happened.sort_by(|one, other| one.at.cmp(&other.at).then_with(|| one.text.cmp(&other.text)));
    let surplus = happened.len().saturating_sub(EVENTS);
    happened.drain(..surplus);
    happened
}
