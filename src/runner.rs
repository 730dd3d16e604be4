//! Effects to tasks: connects, keeps the lists that are needed, fetches, plans, and carries confirmed plans out.
//!
//! It owns the connection and the gate. Nothing here waits: every effect becomes a task that sends notes. A
//! mutation goes through [`crate::actions::confirm`] (the gate) and [`crate::actions::carry_out`] (the audit
//! around it), and there is no other way.
//!
//! # Why
//!
//! A list that nobody needs any more is kept for [`LINGER`], so that going back is instant and going to and fro
//! does not list anew each time. What it brought stays in the store for [`FORGET`] longer, marked as ended.

mod lines;
mod opening;
pub mod record;

use std::collections::HashMap;
use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc::{self, Sender};
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::actions::{self, Answer, Desk, Follow, Hand, Outcome, Pace, Plan, Request, Steer};
use crate::app::effect::{Effect, LogsOf, Need, Order};
use crate::app::explore::pods::Since;
use crate::app::explore::{LinesOf, Wish};
use crate::app::message::Message;
use crate::audit::Audit;
use crate::boards::Boards;
use crate::clock::Clock;
use crate::config::Config;
use crate::gate::{Gate, Rules};
use crate::identity::{Context, ObjectRef, Resource, Text};
use crate::kinds::{Kind, Kinds, alerts};
use crate::signals::{Alarm, Ask, Raised, Report};
use crate::sources::backoff::Backoff;
use crate::sources::git::Git;
use crate::sources::logs::{LogNews, LogRequest, LogsFrom};
use crate::sources::{Connection, Places, SourceError, Systems};
use crate::store::{Envelope, Query, Store};
use opening::Opening;
use record::looked_back;

/// How long a list is kept after nobody needs it any more.
const LINGER: Duration = Duration::from_secs(45);

/// How long what it brought is kept after that.
const FORGET: Duration = Duration::from_mins(10);

/// How long the end waits for actions that are under way to write their record.
const PATIENCE: Duration = Duration::from_secs(5);

/// What a task has to say.
#[derive(Debug)]
pub enum Note {
    /// A context is open.
    Opened {
        /// Which opening it was: another may have been asked for since.
        turn: u64,
        /// The connection.
        connection: Connection,
    },
    /// A kind that was learned from the server.
    Learned(Box<Kind>),
    /// What a system beside Kubernetes answered, for the store.
    Reported(Box<Report>),
    /// Something for the state.
    Said(Message),
    /// Something for the state about a connection; of an earlier one it is passed over.
    SaidOf {
        /// The opening.
        turn: u64,
        /// What.
        message: Message,
    },
}

/// What the runner is made of.
#[derive(Debug, Clone)]
pub struct Equipment {
    /// The clock.
    pub clock: Clock,
    /// Every kind.
    pub kinds: Arc<Kinds>,
    /// The configuration.
    pub config: Arc<Config>,
    /// The audit.
    pub audit: Audit,
    /// Where kubeconfigs are looked for.
    pub places: Places,
    /// The local user, for the record.
    pub local_user: String,
    /// Where repositories of Applications are cloned to.
    pub git: std::path::PathBuf,
}

#[derive(Debug)]
struct Kept {
    task: AbortHandle,
    /// Since when nobody needs it.
    unneeded: Option<Instant>,
}

/// The runner.
#[derive(Debug)]
pub struct Runner {
    equipment: Equipment,
    envelopes: Sender<Envelope>,
    notes: Sender<Note>,
    turn: u64,
    opening: Option<AbortHandle>,
    connection: Option<Connection>,
    gate: Option<Gate>,
    lists: HashMap<Query, Kept>,
    logs: Option<(LogsOf, AbortHandle)>,
    /// The log lines of Loki that are read, and what is wanted of them.
    lines: Option<(LinesOf, watch::Sender<Wish>, AbortHandle)>,
    /// The systems beside the open cluster.
    systems: Option<Systems>,
    /// Questions to them that are asked again and again.
    answers: HashMap<Ask, Kept>,
    /// Lists that ended, and when, to be forgotten.
    ended: Vec<(Query, Instant)>,
    actions: JoinSet<()>,
    stop: CancellationToken,
    /// What steers the actions that are under way, by their id.
    hands: HashMap<String, Hand>,
    /// The planning that goes on; another question ends it.
    planning: Option<AbortHandle>,
    /// Requests in all, second by second, for the rate.
    traffic: VecDeque<(Instant, u64)>,
}

impl Runner {
    /// Makes a runner that sends mail and notes to the loop.
    pub fn new(equipment: Equipment, envelopes: Sender<Envelope>, notes: Sender<Note>) -> Self {
        Self {
            equipment,
            envelopes,
            notes,
            turn: 0,
            opening: None,
            connection: None,
            gate: None,
            lists: HashMap::new(),
            logs: None,
            lines: None,
            systems: None,
            answers: HashMap::new(),
            ended: Vec::new(),
            actions: JoinSet::new(),
            stop: CancellationToken::new(),
            hands: HashMap::new(),
            planning: None,
            traffic: VecDeque::new(),
        }
    }

    /// Carries out an effect.
    pub fn carry(&mut self, effect: Effect, store: &mut Store) {
        match effect {
            Effect::Connect(context) => self.connect(context, store),
            Effect::LookBack => self.look_back(),
            Effect::ReadBoards(directory) => self.read_boards(directory),
            Effect::Fetch(object) => self.fetch(object, store),
            Effect::FetchToEdit(object) => self.fetch_to_edit(object),
            Effect::SaveLines { path, bytes } => self.save(path, bytes),
            Effect::Learn(resource) => self.learn(resource),
            Effect::Plan { number, request } => self.plan(number, *request),
            Effect::Carry { plan, answer } => self.act(*plan, answer),
            Effect::Steer { id, order } => {
                if let Some(hand) = self.hands.get(&id) {
                    match order {
                        Order::Hold => hand.hold(true),
                        Order::GoOn => hand.hold(false),
                        Order::End => hand.end(),
                    }
                }
            }
            // These are the terminal's, and the loop's own.
            Effect::Quit
            | Effect::Suspend
            | Effect::Editor(_)
            | Effect::Redraw
            | Effect::Mouse(_)
            | Effect::Theme(_)
            | Effect::Remember(_)
            | Effect::Copy(_) => {}
        }
    }

    /// Takes a note of one of its tasks and returns what there is to say.
    pub fn take(&mut self, note: Note, store: &mut Store) -> Vec<Message> {
        match note {
            Note::Said(message) => {
                if let Message::Ended { id, .. } = &message {
                    self.hands.remove(id);
                }
                vec![message]
            }
            Note::Learned(kind) => {
                self.equipment.kinds = Arc::new(self.equipment.kinds.with(*kind));
                vec![Message::Kinds(Arc::clone(&self.equipment.kinds))]
            }
            Note::SaidOf { turn, message } if turn == self.turn => vec![message],
            Note::Opened { turn, connection } if turn == self.turn => {
                let standing = self.equipment.config.standing(connection.context().as_str());
                self.systems = Some(Systems::with_environment(connection.clone(), standing.systems));
                self.connection = Some(connection);
                self.close_cut();
                Vec::new()
            }
            Note::Reported(report) => {
                store.report(*report);
                Vec::new()
            }
            Note::SaidOf { .. } | Note::Opened { .. } => Vec::new(),
        }
    }

    /// Looks after what time changes: lists that nobody needs, the rate of requests.
    pub fn tick(&mut self, store: &mut Store) -> Vec<Message> {
        let now = Instant::now();
        let over: Vec<Query> = self
            .lists
            .iter()
            .filter(|(_, kept)| kept.unneeded.is_some_and(|since| now - since >= LINGER))
            .map(|(query, _)| query.clone())
            .collect();
        for query in over {
            if let Some(kept) = self.lists.remove(&query) {
                kept.task.abort();
            }
            store.unsubscribe(&query, self.equipment.clock.now());
            self.ended.push((query, now));
        }
        let answers = &mut self.answers;
        answers.retain(|ask, kept| {
            let over = kept.unneeded.is_some_and(|since| now - since >= LINGER);
            if over {
                kept.task.abort();
                store.forget_answer(ask);
            }
            !over
        });
        let (gone, stays): (Vec<_>, Vec<_>) =
            self.ended.drain(..).partition(|(_, since)| now.duration_since(*since) >= FORGET);
        self.ended = stays;
        for (query, _) in gone {
            store.forget(&query);
        }
        let Some(connection) = &self.connection else { return Vec::new() };
        let total = connection.traffic().requests;
        self.traffic.push_back((now, total));
        while self.traffic.front().is_some_and(|(at, _)| now.duration_since(*at) > Duration::from_mins(1)) {
            self.traffic.pop_front();
        }
        let before = self.traffic.front().map_or(total, |(_, total)| *total);
        vec![Message::Requests { total, minute: total.saturating_sub(before) }]
    }

    fn connect(&mut self, context: Context, store: &mut Store) {
        self.turn += 1;
        for handle in self.opening.take().into_iter().chain(self.planning.take()) {
            handle.abort();
        }
        for (query, kept) in self.lists.drain() {
            kept.task.abort();
            store.forget(&query);
        }
        if let Some((_, task)) = self.logs.take() {
            task.abort();
        }
        self.read_lines(None);
        for (ask, kept) in self.answers.drain() {
            kept.task.abort();
            store.forget_answer(&ask);
        }
        self.systems = None;
        self.ended.clear();
        self.traffic.clear();
        self.connection = None;
        store.forget_context(&context);
        let standing = self.equipment.config.standing(context.as_str());
        let rules = Rules {
            context: context.clone(),
            environment: standing.environment.word().to_owned(),
            protected: standing.protected,
            readonly: standing.readonly,
            guard: standing.guard,
        };
        // One gate for the whole session, so that an answered question stays answered.
        match &mut self.gate {
            Some(gate) => gate.govern(rules),
            None => self.gate = Some(Gate::new(rules)),
        }
        let namespaces = standing.namespaces.iter().map(|name| Text::from(name.as_str())).collect();
        let opening = Opening {
            turn: self.turn,
            context,
            namespaces,
            equipment: self.equipment.clone(),
            notes: self.notes.clone(),
        };
        self.opening = Some(tokio::spawn(opening.run()).abort_handle());
    }

    /// Starts and stops tasks so that what is needed is kept.
    pub fn need(&mut self, needs: Vec<Need>, store: &mut Store) {
        let Some(connection) = self.connection.clone() else { return };
        let now = Instant::now();
        let mut logs = None;
        let mut wanted_lines = None;
        let mut lists = Vec::new();
        let mut asks = Vec::new();
        for need in needs {
            match need {
                Need::Answer(ask) => asks.push(ask),
                Need::List(query) => lists.push(query),
                Need::Logs(of) => logs = Some(of),
                Need::Lines(of, wish) => wanted_lines = Some((of, wish)),
            }
        }
        for (query, kept) in &mut self.lists {
            if lists.contains(query) {
                kept.unneeded = None;
            } else if kept.unneeded.is_none() {
                kept.unneeded = Some(now);
            }
        }
        for (place, query) in lists.into_iter().enumerate() {
            if query.context == *connection.context() && !self.lists.contains_key(&query) {
                self.ended.retain(|(other, _)| *other != query);
                // The list of the view is needed before those that only its colours and counts come from.
                self.follow(&connection, query, place == 0, store);
            }
        }
        self.keep_asking(asks, now, store);
        self.read_lines(wanted_lines);
        if self.logs.as_ref().map(|(of, _)| of) != logs.as_ref() {
            if let Some((_, task)) = self.logs.take() {
                task.abort();
            }
            self.logs = logs.map(|of| {
                let task = self.tail(&connection, of.clone());
                (of, task)
            });
        }
    }

    /// Starts and stops the reading of log lines, and hands on what is wanted of it.
    fn read_lines(&mut self, wanted: Option<(LinesOf, Wish)>) {
        match (&self.lines, wanted) {
            (Some((of, known, _)), Some((wanted, wish))) if *of == wanted => {
                known.send_if_modified(|known| {
                    let differs = *known != wish;
                    if differs {
                        *known = wish;
                    }
                    differs
                });
            }
            (_, wanted) => {
                if let Some((_, _, task)) = self.lines.take() {
                    task.abort();
                }
                let (Some((of, wish)), Some(systems)) = (wanted, self.systems.clone()) else { return };
                let (sender, wish) = watch::channel(wish);
                let reading = lines::Reading {
                    systems,
                    of: of.clone(),
                    ask_above: u64::from(self.equipment.config.log_ask_above) * 1024 * 1024,
                    wish,
                    notes: self.notes.clone(),
                    clock: self.equipment.clock.clone(),
                };
                self.lines = Some((of, sender, tokio::spawn(reading.run()).abort_handle()));
            }
        }
    }

    /// Writes a new file on this machine.
    fn save(&self, path: std::path::PathBuf, bytes: Arc<[u8]>) {
        let notes = self.notes.clone();
        tokio::spawn(async move {
            let name = path.display().to_string();
            let written = async {
                use tokio::io::AsyncWriteExt as _;
                let mut options = tokio::fs::OpenOptions::new();
                options.write(true).create_new(true);
                // What programs log is not for everybody on this machine.
                #[cfg(unix)]
                options.mode(0o600);
                let mut file = options.open(&path).await?;
                file.write_all(&bytes).await?;
                file.flush().await
            };
            let result = match written.await {
                Ok(()) => Ok(format!("{} bytes written to {name}", crate::human::count(bytes.len()))),
                Err(error) => Err(format!("{name} cannot be written: {error}")),
            };
            let _ = notes.send(Note::Said(Message::Saved(result))).await;
        });
    }

    /// Starts and stops the questions to the systems beside the cluster.
    fn keep_asking(&mut self, asks: Vec<Ask>, now: Instant, store: &mut Store) {
        for (ask, kept) in &mut self.answers {
            let needed = asks.contains(ask);
            if needed && kept.unneeded.is_some() {
                // What was asked while nobody looked is fresh enough: it went on being asked.
                kept.unneeded = None;
            } else if !needed && kept.unneeded.is_none() {
                kept.unneeded = Some(now);
            }
        }
        let Some(systems) = self.systems.clone() else { return };
        for ask in asks {
            if ask.context == *systems.connection().context() && !self.answers.contains_key(&ask) {
                let epoch = store.ask(&ask);
                let polling = Polling {
                    systems: systems.clone(),
                    ask: ask.clone(),
                    epoch,
                    clock: self.equipment.clock.clone(),
                    notes: self.notes.clone(),
                };
                let task = tokio::spawn(polling.run()).abort_handle();
                self.answers.insert(ask, Kept { task, unneeded: None });
            }
        }
    }

    fn follow(&mut self, connection: &Connection, query: Query, first: bool, store: &mut Store) {
        let epoch = store.subscribe(&query);
        let (connection, kinds, mail) =
            (connection.clone(), Arc::clone(&self.equipment.kinds), self.envelopes.clone());
        let asked = query.clone();
        let systems = self.systems.clone().filter(|_| &*query.resource.group == alerts::GROUP);
        let own = (&*query.resource.group == crate::kinds::record::GROUP)
            .then(|| (self.equipment.audit.clone(), self.equipment.clock.clone()));
        let task = tokio::spawn(async move {
            if let Some((audit, clock)) = own {
                return record::follow(audit, clock, asked, epoch, mail).await;
            }
            match systems {
                Some(systems) => systems.follow(asked, epoch, mail).await,
                None if first => connection.follow_first(kinds, asked, epoch, mail).await,
                None => connection.follow(kinds, asked, epoch, mail).await,
            }
        });
        self.lists.insert(query, Kept { task: task.abort_handle(), unneeded: None });
    }

    fn tail(&self, connection: &Connection, of: LogsOf) -> AbortHandle {
        let (connection, notes) = (connection.clone(), self.notes.clone());
        let kinds = Arc::clone(&self.equipment.kinds);
        let (from, tail) = match of.since {
            Since::Tail => (LogsFrom::Beginning, Some(self.equipment.config.log_tail)),
            Since::Minutes(minutes) => (LogsFrom::Seconds(u64::from(minutes) * 60), None),
        };
        let request = LogRequest {
            object: of.object.clone(),
            container: of.container.clone(),
            previous: of.previous,
            follow: !of.previous,
            from,
            tail,
        };
        let task = async move {
            let (mail, mut news) = mpsc::channel(8);
            let forward = async {
                let _ = notes.send(Note::Said(Message::LogBegun { of: of.clone() })).await;
                while let Some(one) = news.recv().await {
                    let _ = notes.send(Note::Said(logged(&of, one))).await;
                }
            };
            let read = async {
                // Moved in, so that the channel closes with the logs and `forward` ends.
                let (request, mail) = (request, mail);
                connection.logs(kinds, request, mail).await
            };
            let (ended, ()) = tokio::join!(read, forward);
            if let Err(error) = ended {
                let stream = of.object.name.clone();
                let _ = notes.send(Note::Said(Message::LogFailed { of, stream, error })).await;
            }
        };
        tokio::spawn(task).abort_handle()
    }

    fn learn(&self, resource: Resource) {
        let Some(connection) = self.connection.clone() else { return };
        let notes = self.notes.clone();
        tokio::spawn(async move {
            let learned = async {
                let served = connection.served().await?;
                let one = served.get(&resource).ok_or_else(|| SourceError::Missing {
                    what: resource.to_string(),
                    reason: "the server does not have this type".to_owned(),
                })?;
                connection.learn(one).await
            };
            let note = match learned.await {
                Ok(kind) => Note::Learned(Box::new(kind)),
                Err(error) => Note::Said(Message::Trouble(error.to_string())),
            };
            let _ = notes.send(note).await;
        });
    }

    fn fetch(&mut self, object: ObjectRef, store: &Store) {
        if &*object.resource.group == crate::kinds::record::GROUP {
            let whole = store.object(&object).and_then(|found| crate::kinds::record::document(found));
            let result = whole.map(Arc::new).ok_or_else(|| SourceError::Missing {
                what: object.to_string(),
                reason: "it is not among the newest entries; opsdeck audit prints all".to_owned(),
            });
            self.say(Message::Document { object, result });
            return;
        }
        if &*object.resource.group == alerts::GROUP {
            // What the systems said of it is all there is; of an alarm CloudWatch knows what happened to it.
            let found = store.object(&object);
            let whole = found.and_then(|found| alerts::document(found));
            let alarm = found.and_then(|found| found.body::<Raised>()).and_then(|one| one.alarm.clone());
            if let (Some(whole), Some(alarm)) = (&whole, alarm) {
                self.look_up_history(object.clone(), whole.clone(), &alarm);
            }
            let result = whole.map(Arc::new).ok_or_else(|| SourceError::Missing {
                what: object.to_string(),
                reason: "it is over".to_owned(),
            });
            self.say(Message::Document { object, result });
            return;
        }
        let Some(connection) = self.connection.clone() else {
            let error = not_connected(&object);
            self.say(Message::Document { object, result: Err(error) });
            return;
        };
        let notes = self.notes.clone();
        tokio::spawn(async move {
            let result = connection.document(&object).await.map(Arc::new);
            let _ = notes.send(Note::Said(Message::Document { object, result })).await;
        });
    }

    /// Reads an object that is to be edited.
    fn fetch_to_edit(&self, object: ObjectRef) {
        let Some(connection) = self.connection.clone() else {
            let error = not_connected(&object);
            self.say(Message::ToEdit(Err(error)));
            return;
        };
        let notes = self.notes.clone();
        tokio::spawn(async move {
            let result = connection.document(&object).await.map(Arc::new);
            let _ = notes.send(Note::Said(Message::ToEdit(result))).await;
        });
    }

    /// Adds what happened to an alarm to what is known of it, once it has come.
    fn look_up_history(&self, object: ObjectRef, mut whole: serde_json::Value, alarm: &Alarm) {
        let Some(systems) = self.systems.clone() else { return };
        let (notes, name) = (self.notes.clone(), alarm.alert.name.clone());
        tokio::spawn(async move {
            whole["history"] = systems.alarm_history(&name).await;
            let result = Ok(Arc::new(whole));
            let _ = notes.send(Note::Said(Message::Document { object, result })).await;
        });
    }

    /// Reads what the audit has no end of, away from the loop: the file may be large.
    fn read_boards(&self, directory: PathBuf) {
        let notes = self.notes.clone();
        tokio::spawn(async move {
            let read = tokio::task::spawn_blocking(move || Boards::with_directory(&directory)).await;
            let message = match read {
                Ok(boards) => Message::Boards(Arc::new(boards)),
                Err(error) => Message::Trouble(format!("the boards were not read: {error}")),
            };
            let _ = notes.send(Note::Said(message)).await;
        });
    }

    fn look_back(&self) {
        let (audit, notes) = (self.equipment.audit.clone(), self.notes.clone());
        let now = self.equipment.clock.now();
        tokio::spawn(async move {
            for message in looked_back(audit, now).await {
                let _ = notes.send(Note::Said(message)).await;
            }
        });
    }

    /// Finds out what became of actions that were cut off in this context; sends nothing that changes anything.
    fn close_cut(&self) {
        let Some(desk) = self.desk() else { return };
        let notes = self.notes.clone();
        tokio::spawn(async move {
            let message = match actions::close(&desk).await {
                Ok(closed) if closed.is_empty() => return,
                Ok(closed) => {
                    // Where a chain stands is known before its record is told of as closed.
                    for message in looked_back(desk.audit.clone(), desk.clock.now()).await {
                        let _ = notes.send(Note::Said(message)).await;
                    }
                    Message::Closed(closed)
                }
                Err(error) => Message::Trouble(format!("what was cut off is still open: {error}")),
            };
            let _ = notes.send(Note::Said(message)).await;
        });
    }

    fn desk(&self) -> Option<Desk<Systems>> {
        let limit = Duration::from_secs(u64::from(self.equipment.config.watch_minutes) * 60);
        Some(Desk {
            remote: self.systems.clone()?,
            rules: self.gate.as_ref()?.rules().clone(),
            clock: self.equipment.clock.clone(),
            audit: self.equipment.audit.clone(),
            local_user: self.equipment.local_user.clone(),
            pace: Pace { limit, ..Pace::default() },
            silence_share: self.equipment.config.silence_share,
            tenants: self.equipment.config.tenants.clone(),
            git: Git::new(
                self.equipment.git.clone(),
                self.equipment.config.standing(self.gate.as_ref()?.rules().context.as_str()).git,
            ),
        })
    }

    fn plan(&mut self, number: u64, request: Request) {
        if let Some(task) = self.planning.take() {
            task.abort();
        }
        let Some(desk) = self.desk() else {
            let result = Err("not connected: a plan needs the cluster's answers".to_owned());
            self.say(Message::Planned { number, result });
            return;
        };
        let notes = self.notes.clone();
        let task = tokio::spawn(async move {
            let (drafts, mut coming) = mpsc::channel::<Plan>(16);
            let planned = |plan: Plan| Note::Said(Message::Planned { number, result: Ok(Box::new(plan)) });
            let forward = async {
                while let Some(draft) = coming.recv().await {
                    let _ = notes.send(planned(draft)).await;
                }
            };
            let make = async {
                // The channel closes with the plan, so that `forward` ends.
                let drafts = drafts;
                actions::plan(&desk, request, &drafts).await
            };
            let (plan, ()) = tokio::join!(make, forward);
            let _ = notes.send(planned(plan)).await;
        });
        self.planning = Some(task.abort_handle());
    }

    fn act(&mut self, plan: Plan, answer: Answer) {
        let id = plan.id.clone();
        let (Some(desk), Some(gate)) = (self.desk(), &mut self.gate) else {
            self.say(Message::Refused { id, why: "not connected".to_owned() });
            return;
        };
        let confirmed = match actions::confirm(gate, plan, answer, self.equipment.clock.now()) {
            Ok(confirmed) => confirmed,
            Err(refusal) => {
                self.say(Message::Refused { id, why: refusal.to_string() });
                return;
            }
        };
        let notes = self.notes.clone();
        let (hand, steer) = Steer::new(&self.stop);
        let (screen, mut values) = mpsc::channel(1);
        let steer = steer.with_screen(screen);
        self.hands.insert(id.clone(), hand);
        self.actions.spawn(async move {
            let (progress, mut coming) = mpsc::channel(16);
            let forward = async {
                while let Some(one) = coming.recv().await {
                    let _ = notes.send(Note::Said(Message::Progress(one))).await;
                }
            };
            let shown = notes.clone();
            let show = async {
                while let Some(value) = values.recv().await {
                    let _ = shown.send(Note::Said(Message::Revealed(Box::new(value)))).await;
                }
            };
            let carry = async {
                let (progress, steer) = (progress, steer);
                actions::carry_out_steered(&desk, confirmed, Follow::ToTheEnd, &progress, &steer).await
            };
            let (outcome, (), ()): (Outcome, (), ()) = tokio::join!(carry, forward, show);
            let _ = notes.send(Note::Said(Message::Ended { id, outcome })).await;
        });
    }

    /// Says something without waiting: from a task where there is no room.
    fn say(&self, message: Message) {
        if let Err(mpsc::error::TrySendError::Full(note)) = self.notes.try_send(Note::Said(message)) {
            let notes = self.notes.clone();
            tokio::spawn(async move { notes.send(note).await });
        }
    }

    /// Ends the following of actions and waits, for a bounded time, until each has written its record.
    pub async fn finish(mut self) {
        self.stop.cancel();
        // Nobody takes notes any more: a task that waits for room must not hold this up.
        let ended = async { while self.actions.join_next().await.is_some() {} };
        if tokio::time::timeout(PATIENCE, ended).await.is_err() {
            tracing::warn!("an action did not end in time; its record may lack its end");
        }
    }
}

/// Puts what is heard of logs in the words of the state.
fn logged(of: &LogsOf, news: LogNews) -> Message {
    let of = of.clone();
    match news {
        LogNews::Lines { lines, dropped } => Message::Logged { of, lines, dropped },
        LogNews::Failed { stream, error } => Message::LogFailed { of, stream, error },
        LogNews::Started { stream } => Message::LogStarted { of, stream },
    }
}

fn not_connected(object: &ObjectRef) -> SourceError {
    SourceError::Unreachable {
        what: object.to_string(),
        place: object.context.to_string(),
        reason: "not connected yet".to_owned(),
    }
}

/// A question that is asked again and again.
struct Polling {
    systems: Systems,
    ask: Ask,
    epoch: u64,
    clock: Clock,
    notes: Sender<Note>,
}

impl Polling {
    async fn run(self) {
        let mut backoff = Backoff::new(Duration::from_secs(2), Duration::from_mins(1));
        loop {
            let result = self.systems.answer(&self.ask.wanted).await;
            let wait = match &result {
                Ok(_) => {
                    backoff.reset();
                    self.ask.wanted.every().map(Duration::from_secs)
                }
                // The same question is mostly refused again, but a configuration can be put right, and what Thanos
                // cannot join now it may a minute later.
                Err(SourceError::Invalid { .. }) => Some(Duration::from_mins(1)),
                Err(SourceError::Throttled { until: Some(until), .. }) => {
                    let wait = Duration::try_from(until.duration_since(self.clock.now())).unwrap_or_default();
                    // A server may ask for minutes; a wrong clock must not make it hours.
                    Some(wait.clamp(Duration::from_secs(1), Duration::from_mins(5)))
                }
                Err(_) => Some(backoff.next_wait()),
            };
            let at = self.clock.now();
            let next = wait.and_then(|wait| at.checked_add(wait).ok());
            let report = Report { ask: self.ask.clone(), epoch: self.epoch, at, result, next };
            if self.notes.send(Note::Reported(Box::new(report))).await.is_err() {
                return;
            }
            let Some(wait) = wait else { return };
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                // Another server has another answer.
                () = self.systems.connection().replaced() => {}
            }
        }
    }
}
