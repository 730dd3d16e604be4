//! Ten thousand actions with faults at random moments: whatever happens, none happens twice, none is reported wrong,
//! no record is missing, and the chain of each record is whole.
//!
//! A run is told by its seed, which a failure prints; `OPSDECK_TEST_SEED` runs that one alone. Steps are counted where
//! a console speaks to the cluster and where it writes its record, so that it dies at the same step each time.

#![expect(
    clippy::disallowed_types,
    reason = "the writer of the record is no future and shares what the cluster counts"
)]

use std::collections::BTreeMap;
use std::fs::File;
use std::future::Future;
use std::io::{self, Write as _};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use fastrand::Rng;
use futures::stream::StreamExt as _;
use tokio::sync::Notify;

use super::*;
use crate::audit::{Ending, Pen};
use crate::gate::{Access, Permit, Witness};
use crate::identity::Resource;
use crate::sources::SourceError;
use crate::sources::change::Change;
use crate::sources::cloudwatch::{CloudSecret, Moved};
use crate::sources::objects::Written;

/// How many runs there are.
const RUNS: u64 = 10_000;
/// How many of them go on at a time in each thread: most of a run is waiting.
const AT_ONCE: usize = 48;

/// What one console has done and will meet.
#[derive(Debug)]
struct Inside {
    rng: Rng,
    /// Whether nothing goes wrong for now.
    calm: bool,
    steps: u32,
    dies_at: u32,
    expires_at: u32,
    /// What it wrote and the cluster took: the object and the body without its version.
    applied: Vec<(String, Value)>,
}

/// A console's way to the cluster, on which anything may happen.
#[derive(Debug, Clone)]
pub struct Console {
    cluster: Cluster,
    inside: Arc<Mutex<Inside>>,
    dead: Arc<Notify>,
    /// Whether somebody else wrote too, so that the cluster alone does not tell what a console did.
    disturbed: Arc<AtomicBool>,
}

/// What happens to one write.
enum Hit {
    Nothing,
    /// It does not arrive, or is refused.
    Before(SourceError),
    /// It is applied, and this is the answer.
    After(SourceError),
    /// Somebody writes just before.
    Touched,
    /// The object is deleted and made again just before.
    Recreated,
    /// It is applied, somebody takes it back, and the answer is lost.
    Reverted(SourceError),
}

fn cut() -> SourceError {
    SourceError::Unreachable {
        what: "the Kubernetes API".to_owned(),
        place: "https://127.0.0.1".to_owned(),
        reason: "connection reset".to_owned(),
    }
}

fn error(rng: &mut Rng) -> SourceError {
    let what = "the object".to_owned();
    match rng.u8(..8) {
        0 => SourceError::Conflict { what, reason: "the object has been modified".to_owned() },
        1 => SourceError::Invalid { what, reason: "spec: Invalid value".to_owned() },
        2 => SourceError::Throttled { what, until: Some(noon()), reason: "too many requests".to_owned() },
        3 => SourceError::Denied {
            verb: "patch".to_owned(),
            object: what,
            reason: "no RBAC policy".to_owned(),
        },
        4 => SourceError::Garbled { what, reason: "500 internal server error".to_owned() },
        _ => cut(),
    }
}

fn expired() -> SourceError {
    SourceError::Unauthenticated {
        what: "the Kubernetes API".to_owned(),
        reason: "it has expired".to_owned(),
    }
}

impl Console {
    pub fn new(cluster: &Cluster, seed: u64, disturbed: &Arc<AtomicBool>) -> Self {
        let mut rng = Rng::with_seed(seed);
        let dies_at = if rng.u8(..100) < 40 { rng.u32(1..24) } else { u32::MAX };
        let expires_at = if rng.u8(..100) < 8 { rng.u32(1..16) } else { u32::MAX };
        let inside = Inside { rng, calm: true, steps: 0, dies_at, expires_at, applied: Vec::new() };
        Self {
            cluster: cluster.clone(),
            inside: Arc::new(Mutex::new(inside)),
            dead: Arc::new(Notify::new()),
            disturbed: Arc::clone(disturbed),
        }
    }

    fn calm(&self, calm: bool) {
        self.inside.lock().unwrap().calm = calm;
    }

    /// Counts a step; at the last one the console is gone.
    async fn step(&self) {
        let (dies, waits) = {
            let mut inside = self.inside.lock().unwrap();
            if inside.calm {
                return;
            }
            inside.steps += 1;
            (inside.steps == inside.dies_at, inside.rng.bool())
        };
        if dies {
            self.dead.notify_one();
            std::future::pending::<()>().await;
        }
        if waits {
            tokio::task::yield_now().await;
        }
    }

    /// Decides what happens to a reading.
    fn misread(&self) -> Option<SourceError> {
        let mut inside = self.inside.lock().unwrap();
        if inside.calm {
            return None;
        }
        if inside.steps >= inside.expires_at {
            return Some(expired());
        }
        (inside.rng.u8(..100) < 3).then(cut)
    }

    fn hit(&self) -> Hit {
        let mut inside = self.inside.lock().unwrap();
        if inside.calm {
            return Hit::Nothing;
        }
        if inside.steps >= inside.expires_at {
            return Hit::Before(expired());
        }
        match inside.rng.u8(..100) {
            0..18 => Hit::Before(error(&mut inside.rng)),
            18..30 => Hit::After(match inside.rng.u8(..3) {
                0 => {
                    SourceError::Garbled { what: "a proxy".to_owned(), reason: "502 bad gateway".to_owned() }
                }
                _ => cut(),
            }),
            30..35 => Hit::Touched,
            35..39 => Hit::Recreated,
            39..42 => Hit::Reverted(cut()),
            _ => Hit::Nothing,
        }
    }

    /// Sends a write on its way.
    async fn mutate<T>(
        &self,
        object: &ObjectRef,
        body: &Value,
        send: impl Future<Output = Result<T, SourceError>>,
    ) -> Result<T, SourceError> {
        self.step().await;
        let hit = self.hit();
        let before = self.cluster.get(object).await;
        match &hit {
            Hit::Before(error) => return Err(error.clone()),
            Hit::Touched => {
                let patch = json!({ "metadata": { "labels": { "touched": "yes" } } });
                self.cluster.change(object, patch).await;
                self.disturbed.store(true, Ordering::Relaxed);
            }
            Hit::Recreated => {
                if let Some(mut again) = before.clone() {
                    for field in ["uid", "resourceVersion"] {
                        again["metadata"].as_object_mut().unwrap().remove(field);
                    }
                    self.cluster.put(object, again).await;
                    self.disturbed.store(true, Ordering::Relaxed);
                }
            }
            Hit::Nothing | Hit::After(_) | Hit::Reverted(_) => {}
        }
        let answer = send.await;
        if answer.is_ok() {
            let mut body = body.clone();
            if let Some(metadata) = body.pointer_mut("/metadata").and_then(Value::as_object_mut) {
                metadata.remove("resourceVersion");
            }
            self.inside.lock().unwrap().applied.push((object.to_string(), body));
        }
        self.step().await;
        match (hit, answer) {
            (Hit::After(error), Ok(_)) => Err(error),
            (Hit::Reverted(error), Ok(_)) => {
                if let (Some(before), Some(after)) = (before, self.cluster.get(object).await) {
                    let mut back = crate::audit::change::merge_patch(&after, &before);
                    if let Some(metadata) = back.pointer_mut("/metadata").and_then(Value::as_object_mut) {
                        metadata.remove("resourceVersion");
                    }
                    self.cluster.change(object, back).await;
                    self.disturbed.store(true, Ordering::Relaxed);
                }
                Err(error)
            }
            (_, answer) => answer,
        }
    }
}

impl Console {
    /// Sends a write to AWS on its way: it is lost, refused, or its answer is.
    async fn ask_cloud<T>(
        &self,
        id: &str,
        body: Value,
        send: impl Future<Output = Result<T, SourceError>>,
    ) -> Result<T, SourceError> {
        self.step().await;
        let hit = self.hit();
        if let Hit::Before(error) = hit {
            return Err(error);
        }
        let answer = send.await;
        if answer.is_ok() {
            self.inside.lock().unwrap().applied.push((format!("aws {id}"), body));
        }
        self.step().await;
        match hit {
            Hit::After(error) if answer.is_ok() => Err(error),
            _ => answer,
        }
    }
}

impl Witness for Console {
    async fn look(&self, object: &ObjectRef) -> Result<Option<Value>, String> {
        self.step().await;
        match self.misread() {
            Some(error) => Err(error.to_string()),
            None => self.cluster.look(object).await,
        }
    }

    async fn may(&self, access: &Access) -> Result<Result<(), String>, String> {
        self.step().await;
        match self.misread() {
            Some(error) => Err(error.to_string()),
            None => self.cluster.may(access).await,
        }
    }
}

/// Returns what a change says without the version that it is bound to: by this a second sending is known.
fn essence(change: &Change) -> Value {
    match change {
        Change::Patch(_, Value::Array(operations)) => {
            let own = |operation: &&Value| operation["path"] != "/metadata/resourceVersion";
            json!(operations.iter().filter(own).collect::<Vec<_>>())
        }
        Change::Patch(_, body)
        | Change::Scale(body)
        | Change::Status(body)
        | Change::Evict(body)
        | Change::Delete(body)
        | Change::Create(_, body) => body.clone(),
    }
}

impl Remote for Console {
    async fn list(
        &self,
        resource: &Resource,
        namespace: Option<&str>,
        labels: &str,
        fields: &str,
    ) -> Result<Vec<Value>, SourceError> {
        self.step().await;
        match self.misread() {
            Some(error) => Err(error),
            None => self.cluster.list(resource, namespace, labels, fields).await,
        }
    }

    async fn send(
        &self,
        permit: &Permit,
        object: &ObjectRef,
        change: &Change,
    ) -> Result<Written, SourceError> {
        self.mutate(object, &essence(change), self.cluster.send(permit, object, change)).await
    }

    async fn rehearse(&self, object: &ObjectRef, change: &Change) -> Result<Written, SourceError> {
        self.cluster.rehearse(object, change).await
    }

    async fn put_silence(
        &self,
        permit: &Permit,
        object: &ObjectRef,
        place: &str,
        body: &Value,
    ) -> Result<String, SourceError> {
        self.mutate(object, body, self.cluster.put_silence(permit, object, place, body)).await
    }

    async fn expire_silence(
        &self,
        permit: &Permit,
        silence: &ObjectRef,
        place: &str,
    ) -> Result<(), SourceError> {
        let body = json!("expire");
        self.mutate(silence, &body, self.cluster.expire_silence(permit, silence, place)).await
    }

    async fn unanswered(&self) -> Vec<String> {
        self.cluster.unanswered().await
    }

    async fn manifests(
        &self,
        application: &ObjectRef,
        project: &str,
        revisions: &[String],
    ) -> Result<Vec<Value>, SourceError> {
        self.cluster.manifests(application, project, revisions).await
    }

    async fn reveal(
        &self,
        permit: &Permit,
        object: &ObjectRef,
        key: &str,
    ) -> Result<crate::concealed::Concealed, SourceError> {
        self.step().await;
        match self.misread() {
            Some(error) => Err(error),
            None => self.cluster.reveal(permit, object, key).await,
        }
    }

    async fn cloud_secret(&self, region: &str, id: &str) -> Result<CloudSecret, SourceError> {
        self.step().await;
        match self.misread() {
            Some(error) => Err(error),
            None => self.cluster.cloud_secret(region, id).await,
        }
    }

    async fn rotate_secret(
        &self,
        permit: &Permit,
        object: &ObjectRef,
        region: &str,
        id: &str,
        token: &str,
    ) -> Result<String, SourceError> {
        let body = json!({ "token": token });
        self.ask_cloud(id, body, self.cluster.rotate_secret(permit, object, region, id, token)).await
    }

    async fn move_stage(
        &self,
        permit: &Permit,
        object: &ObjectRef,
        region: &str,
        id: &str,
        moved: Moved<'_>,
    ) -> Result<(), SourceError> {
        let body = json!({ "stage": moved.stage, "to": moved.to, "from": moved.from });
        self.ask_cloud(id, body, self.cluster.move_stage(permit, object, region, id, moved)).await
    }

    async fn who(&self) -> Result<String, SourceError> {
        self.step().await;
        self.misread().map_or_else(|| Ok("alice@example".to_owned()), Err)
    }
}

/// The pen of a console: the disk may be full, and the console may die with a line half written.
impl Pen for Console {
    fn write(&self, file: &mut File, bytes: &[u8]) -> io::Result<()> {
        let (roll, cut, dies) = {
            let mut inside = self.inside.lock().unwrap();
            if inside.calm {
                return file.write_all(bytes);
            }
            inside.steps += 1;
            let cut = inside.rng.usize(..=bytes.len());
            (inside.rng.u8(..100), cut, inside.steps == inside.dies_at)
        };
        if dies {
            file.write_all(&bytes[..cut])?;
            self.dead.notify_one();
            // Without a word: a process that is killed says nothing either.
            std::panic::resume_unwind(Box::new("killed"));
        }
        match roll {
            0..4 => {
                file.write_all(&bytes[..cut])?;
                Err(io::Error::from(io::ErrorKind::StorageFull))
            }
            4..6 => {
                file.write_all(bytes)?;
                Err(io::Error::other("the sync failed"))
            }
            _ => file.write_all(bytes),
        }
    }
}

pub fn desk(console: &Console, path: &Path, rotate_at: u64) -> Desk<Console> {
    Desk {
        remote: console.clone(),
        rules: rules(),
        clock: Clock::manual(noon()),
        audit: Audit::at(path).rotating_at(rotate_at).written_by(Arc::new(console.clone())),
        local_user: "alice on laptop".to_owned(),
        pace: Pace {
            look: Duration::from_millis(1),
            retry: Duration::from_millis(1),
            target: Duration::from_mins(2),
            limit: Duration::from_millis(60),
            refused: Duration::from_millis(1),
            drain: Duration::from_millis(60),
        },
        git: Git::new(path.with_file_name("git"), GitSettings::default()),
        silence_share: 100,
        tenants: tenant_rules(),
    }
}

/// Plans and carries out an action; `None` where the console died.
pub async fn act(
    desk: &Desk<Console>,
    request: Request,
    alone: bool,
) -> Result<Option<(String, Option<Outcome>)>, String> {
    let (drafts, _kept) = mpsc::channel(64);
    let plan = plan(desk, request, &drafts).await;
    if !plan.can_run() {
        // The other console may have done it already.
        let why = format!("the plan cannot be run: {:?}", plan.stops().collect::<Vec<_>>());
        return if alone { Err(why) } else { Ok(None) };
    }
    let id = plan.id.clone();
    let mut gate = Gate::new(rules());
    let answer = match &plan.confirmation {
        Confirmation::Type(name) => Answer::Typed(name.clone()),
        Confirmation::Yes => Answer::Yes,
    };
    let confirmed = confirm(&mut gate, plan, answer, desk.clock.now()).map_err(|no| no.to_string())?;
    desk.remote.calm(false);
    let (progress, _kept) = mpsc::channel(64);
    // What somebody asked to see comes to a screen, and to no other place.
    let (screen, _seen) = mpsc::channel(1);
    let (_hand, steer) = Steer::new(&CancellationToken::new());
    let steer = steer.with_screen(screen);
    let outcome = tokio::select! {
        biased;
        () = desk.remote.dead.notified() => None,
        outcome = carry_out_steered(desk, confirmed, Follow::ToTheEnd, &progress, &steer) => Some(outcome),
    };
    Ok(Some((id, outcome)))
}

/// Verbs that are one write and its answer: what is reported of them can be held against what was applied.
fn is_one_write(verb: Verb) -> bool {
    matches!(
        verb,
        Verb::Cordon
            | Verb::Uncordon
            | Verb::Protect
            | Verb::Unprotect
            | Verb::Undo
            | Verb::Restart
            | Verb::DeletePod
            | Verb::Edit
            | Verb::RolloutUndo
    )
}

pub fn intent_of_nothing() -> crate::audit::Intent {
    crate::audit::Intent {
        context: Context::new("test"),
        environment: "dev".to_owned(),
        protected: false,
        verb: String::new(),
        targets: Vec::new(),
        tenant: None,
        title: String::new(),
        options: json!({}),
        who: crate::audit::Who { server: "alice".to_owned(), local: "alice".to_owned() },
        reason: String::new(),
        confirmation: "yes".to_owned(),
        checks: Vec::new(),
        command: String::new(),
        holds: Vec::new(),
        changes: Vec::new(),
        undoes: None,
        rule: None,
    }
}

/// Carries out one run and returns what became of it, or what was wrong.
async fn run(seed: u64, directory: &Path) -> Result<Vec<String>, String> {
    let mut rng = Rng::with_seed(seed);
    let cluster = Cluster::default();
    cluster.controller("Succeeded").await;
    // What is pushed to Git needs a real repository, which is too slow for this: it has runs of its own.
    let verbs: Vec<Verb> = Verb::ALL.into_iter().filter(|verb| !repositories::pushes(*verb)).collect();
    let verb = verbs[rng.usize(..verbs.len())];
    let (object, options) = something_for(&cluster, verb).await;
    // A directory of its own: each append looks through it for closed files.
    let directory = tempfile::tempdir_in(directory).map_err(|error| error.to_string())?;
    let path = directory.path().join("audit.jsonl");
    let rotate_at = rng.u64(1_000..40_000);
    let disturbed = Arc::new(AtomicBool::new(false));
    let both = rng.u8(..100) < 20;
    let consoles: Vec<Console> =
        (0..=u64::from(both)).map(|_| Console::new(&cluster, rng.u64(..), &disturbed)).collect();
    disturbed.store(both, Ordering::Relaxed);
    let desks: Vec<Desk<Console>> = consoles.iter().map(|one| desk(one, &path, rotate_at)).collect();
    let mut requests = Vec::new();
    for desk in &desks {
        requests.push(Request {
            verb,
            targets: vec![resolve(desk, &object).await?],
            options: options.clone(),
            reason: "INC-7".to_owned(),
            tenant: None,
        });
    }
    let acts = desks.iter().zip(requests).map(|(desk, request)| act(desk, request, !both));
    let ended = futures::future::join_all(acts).await;

    // The next start, on a disk with room and a network that works.
    let next = Console::new(&cluster, seed, &disturbed);
    let next = desk(&next, &path, rotate_at);
    next.audit.writable().await.map_err(|error| error.to_string())?;
    for _ in 0..4 {
        if next.audit.unfinished().map_err(|error| error.to_string())?.is_empty() {
            break;
        }
        close(&next).await.map_err(|error| error.to_string())?;
    }
    // The next record owns up to a line that was torn.
    let intent = crate::audit::Intent { verb: "refresh".to_owned(), ..intent_of_nothing() };
    let last = next.audit.begin("last", intent, noon()).await.map_err(|error| error.to_string())?;
    drop(last);
    let records = next.audit.read(None).map_err(|error| error.to_string())?.records;
    match next.audit.verify().map_err(|error| error.to_string())? {
        Ok(_) => {}
        Err(broken) => return Err(format!("{verb:?}: the chain is broken: {broken}")),
    }
    let kept = std::fs::read_dir(directory.path()).map_err(|error| error.to_string())?;
    for file in kept.flatten().filter_map(|file| std::fs::read_to_string(file.path()).ok()) {
        if file.contains("canary") {
            return Err(format!("{verb:?}: a value is in the record"));
        }
    }
    let alone = !disturbed.load(Ordering::Relaxed);
    let mut became = Vec::new();
    for (console, ended) in consoles.iter().zip(ended) {
        let Some((id, outcome)) = ended? else { continue };
        let applied = console.inside.lock().unwrap().applied.clone();
        let wrong = |what: &str| {
            let all: Vec<&Event> = records.iter().filter(|one| one.id == id).map(|one| &one.event).collect();
            Err(format!("{verb:?}: {what}\n  outcome {outcome:?}\n  applied {applied:?}\n  records {all:?}"))
        };
        let begun =
            records.iter().filter(|one| one.id == id && matches!(one.event, Event::Before(_))).count();
        let endings: Vec<&Ending> = records
            .iter()
            .filter(|one| one.id == id)
            .filter_map(|one| match &one.event {
                Event::After(ending) => Some(ending),
                Event::Before(_) => None,
            })
            .collect();
        for (at, one) in applied.iter().enumerate() {
            if applied[..at].contains(one) {
                return wrong("a write was applied twice");
            }
        }
        if begun > 1 || endings.len() > 1 {
            return wrong("it is recorded twice");
        }
        if begun == 0 && !(applied.is_empty() && endings.is_empty()) {
            return wrong("it was written without a record");
        }
        let is_open = begun == 1 && endings.is_empty();
        let may_stay =
            matches!(verb, Verb::Refresh | Verb::HardRefresh | Verb::Terminate | Verb::Sync | Verb::Rollback);
        if is_open && !may_stay {
            return wrong("its record has no end");
        }
        match &outcome {
            Some(Outcome::Refused(_)) if !applied.is_empty() => return wrong("refused, and written"),
            Some(Outcome::Verified(_) | Outcome::Accepted(_))
                if alone && applied.is_empty() && verb != Verb::Reveal =>
            {
                return wrong("reported as done, and not written");
            }
            Some(Outcome::Failed(detail))
                if alone
                    && is_one_write(verb)
                    && !applied.is_empty()
                    && !["not known", "look at it"].iter().any(|word| detail.contains(word)) =>
            {
                return wrong("reported as failed, and done");
            }
            _ => {}
        }
        if let (Some(outcome), [ending]) = (&outcome, endings.as_slice())
            && ending.outcome != outcome.word()
            && !outcome.detail().contains("could not be recorded")
        {
            return wrong("the record says something else");
        }
        match endings.first().map(|ending| ending.outcome.as_str()) {
            Some("done") if alone && applied.is_empty() => return wrong("found done, and never written"),
            Some("not-done") if alone && matches!(outcome, Some(Outcome::Verified(_))) => {
                return wrong("verified, and found not done");
            }
            Some("not-done") if alone && is_one_write(verb) && !applied.is_empty() => {
                return wrong("found not done, and written");
            }
            _ => {}
        }
        let word = outcome.as_ref().map_or("died", Outcome::word);
        let found = endings.first().map_or("open", |ending| ending.outcome.as_str());
        became.push(if begun == 0 { format!("{word}, no record") } else { format!("{word}, {found}") });
    }
    Ok(became)
}

#[test]
fn nothing_happens_twice_or_unrecorded_or_is_reported_wrong_in_ten_thousand_runs_with_faults() {
    let seeds: Vec<u64> = match std::env::var("OPSDECK_TEST_SEED") {
        Ok(seed) => vec![seed.parse().unwrap()],
        Err(_) => (0..RUNS).collect(),
    };
    // In memory where the system has such a place: what is synced where is not what is tested here.
    let memory = Path::new("/dev/shm");
    let directory = if memory.is_dir() { TempDir::new_in(memory) } else { TempDir::new() }.unwrap();
    let half = |seeds: &[u64]| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let runs = futures::stream::iter(seeds.to_vec())
            .map(|seed| {
                let directory = directory.path();
                async move { (seed, run(seed, directory).await) }
            })
            .buffer_unordered(AT_ONCE)
            .collect::<Vec<_>>();
        runtime.block_on(runs)
    };
    let (first, second) = seeds.split_at(seeds.len() / 2);
    let results = std::thread::scope(|scope| {
        let other = scope.spawn(|| half(second));
        let mut results = half(first);
        results.extend(other.join().unwrap());
        results
    });
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    let mut failures = Vec::new();
    for (seed, result) in results {
        match result {
            Ok(became) => became.into_iter().for_each(|one| *counts.entry(one).or_default() += 1),
            Err(what) => failures.push(format!("seed {seed}: {what}")),
        }
    }
    failures.sort_by_key(String::len);
    let mut kinds = std::collections::BTreeSet::new();
    // One of each sort is enough to begin with.
    let sort =
        |one: &String| one.split_once(": ").and_then(|(_, what)| what.lines().next()).map(str::to_owned);
    let shown = failures
        .iter()
        .filter(|one| kinds.insert(sort(one)))
        .take(12)
        .cloned()
        .collect::<Vec<_>>()
        .join("\n");
    assert!(
        failures.is_empty(),
        "{} runs of {} went wrong:\n{shown}\n{counts:#?}",
        failures.len(),
        seeds.len()
    );
    if seeds.len() > 1 {
        // Each of these must really happen, or the test shows nothing.
        for (least, one) in [
            (1_000, "verified, verified"),
            (300, "failed, failed"),
            (50, "refused, refused"),
            (100, "refused, no record"),
            (50, "died, no record"),
            (100, "died, done"),
            (100, "died, not-done"),
            (20, "verified, done"),
        ] {
            let count = counts.get(one).copied().unwrap_or_default();
            assert!(count >= least, "{one}: {count} and not {least}, of {counts:#?}");
        }
    }
}
