use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::kinds::{Meta, Owner};

fn now(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn pods() -> Query {
    Query::all(&Context::new("test"), &Resource::new("", "pods"))
}

/// A pod `namespace/name` as one life (`uid`) of it at one version.
fn pod(path: &str, uid: u32, version: u32) -> Arc<Object> {
    let (namespace, name) = path.split_once('/').unwrap();
    let owners: Vec<Owner> = name
        .split_once('-')
        .map(|(owner, _)| Owner {
            group: "apps".into(),
            kind: "ReplicaSet".into(),
            name: owner.into(),
            uid: owner.into(),
            controller: true,
        })
        .into_iter()
        .collect();
    Arc::new(Object {
        meta: Meta {
            namespace: Some(namespace.into()),
            name: name.into(),
            uid: uid.to_string().into(),
            resource_version: version.to_string().into(),
            owners: owners.into(),
            ..Meta::default()
        },
        slim: Box::new(()),
    })
}

/// A store with one subscription, fed by hand.
struct Desk {
    store: Store,
    query: Query,
    epoch: u64,
    second: i64,
}

impl Desk {
    fn new() -> Self {
        let mut store = Store::default();
        let epoch = store.subscribe(&pods());
        Self { store, query: pods(), epoch, second: 0 }
    }

    fn mail(&mut self, part: Option<&str>, update: Update) -> bool {
        self.second += 1;
        self.store.apply(Envelope {
            query: self.query.clone(),
            epoch: self.epoch,
            part: part.map(Text::from),
            at: now(self.second),
            update,
        })
    }

    fn page(&mut self, objects: &[Arc<Object>]) -> bool {
        self.mail(None, page(objects))
    }

    fn list(&mut self, objects: &[Arc<Object>]) {
        self.mail(None, Update::ListStarted);
        self.page(objects);
        self.mail(None, Update::ListDone);
    }

    fn put(&mut self, object: Arc<Object>) -> bool {
        self.mail(None, Update::Changed { changes: vec![Change::Put(object)], garbled: Vec::new() })
    }

    fn gone(&mut self, path: &str) -> bool {
        self.mail(None, Update::Changed { changes: vec![gone(path)], garbled: Vec::new() })
    }

    fn shelf(&self) -> &Shelf {
        self.store.shelf(&self.query).unwrap()
    }

    fn rows(&self) -> Vec<String> {
        let mut rows: Vec<String> = self.shelf().iter().map(|(_, object)| name(object)).collect();
        rows.sort();
        rows
    }
}

fn name(object: &Object) -> String {
    format!("{}/{}", object.meta.namespace.as_deref().unwrap_or_default(), object.meta.name)
}

fn page(objects: &[Arc<Object>]) -> Update {
    Update::Page { objects: objects.to_vec(), garbled: Vec::new(), remaining: None }
}

fn gone(path: &str) -> Change {
    let (namespace, name) = path.split_once('/').unwrap();
    Change::Gone { namespace: Some(namespace.into()), name: name.into() }
}

fn cut() -> Update {
    let error = SourceError::Unreachable {
        what: "the Kubernetes API".into(),
        place: "https://here".into(),
        reason: "refused".into(),
    };
    Update::Failed { error, retry_at: None }
}

#[test]
fn a_first_list_shows_its_pages_as_they_come() {
    let mut desk = Desk::new();
    assert_eq!(desk.shelf().feed().stage, Stage::Waiting);
    desk.mail(None, Update::ListStarted);
    desk.mail(
        None,
        Update::Page { objects: vec![pod("a/one", 1, 1)], garbled: Vec::new(), remaining: Some(2) },
    );
    assert_eq!(desk.rows(), ["a/one"]);
    assert_eq!(desk.shelf().feed().stage, Stage::Loading { have: 1, of: Some(3) });
    assert!(!desk.shelf().feed().is_live());
    desk.page(&[pod("a/two", 2, 1)]);
    desk.mail(None, Update::ListDone);
    assert_eq!(desk.rows(), ["a/one", "a/two"]);
    assert!(desk.shelf().feed().is_live());
}

#[test]
fn a_relist_keeps_the_old_rows_until_it_is_whole() {
    let mut desk = Desk::new();
    desk.list(&[pod("a/one", 1, 1), pod("a/two", 2, 1)]);
    desk.mail(None, Update::ListStarted);
    assert_eq!(desk.shelf().feed().stage, Stage::Refilling);
    desk.page(&[pod("a/three", 3, 9)]);
    assert_eq!(desk.rows(), ["a/one", "a/two"]);
    desk.mail(None, Update::ListDone);
    assert_eq!(desk.rows(), ["a/three"]);
    assert_eq!(desk.shelf().feed().stage, Stage::Live);
}

#[test]
fn a_relist_that_fails_half_way_changes_no_row() {
    let mut desk = Desk::new();
    desk.list(&[pod("a/one", 1, 1)]);
    desk.mail(None, Update::ListStarted);
    desk.page(&[pod("a/two", 2, 2)]);
    desk.mail(None, cut());
    assert_eq!(desk.rows(), ["a/one"]);
    assert!(desk.shelf().feed().error().is_some());
    // The next list knows nothing of the page that came before the failure.
    desk.list(&[pod("a/one", 1, 1)]);
    assert_eq!(desk.rows(), ["a/one"]);
}

#[test]
fn a_first_list_that_starts_again_drops_what_vanished_meanwhile() {
    let mut desk = Desk::new();
    desk.mail(None, Update::ListStarted);
    desk.page(&[pod("a/one", 1, 1)]);
    desk.mail(None, cut());
    desk.list(&[pod("a/two", 2, 2)]);
    assert_eq!(desk.rows(), ["a/two"]);
}

#[test]
fn a_delete_during_a_relist_stays_deleted() {
    let mut desk = Desk::new();
    desk.list(&[pod("a/one", 1, 1), pod("a/two", 2, 1)]);
    desk.mail(None, Update::ListStarted);
    // Once before the page that still has it, once after.
    desk.gone("a/one");
    desk.page(&[pod("a/one", 1, 1), pod("a/two", 2, 1)]);
    desk.gone("a/two");
    desk.mail(None, Update::ListDone);
    assert_eq!(desk.rows(), [""; 0]);
}

#[test]
fn what_is_born_again_during_a_relist_lives() {
    let mut desk = Desk::new();
    desk.list(&[pod("a/one", 1, 1)]);
    desk.mail(None, Update::ListStarted);
    desk.gone("a/one");
    desk.page(&[pod("a/one", 7, 5)]);
    desk.mail(None, Update::ListDone);
    assert_eq!(&*desk.shelf().get(Some("a"), "one").unwrap().meta.uid, "7");
}

#[test]
fn a_change_during_a_relist_is_newer_than_the_page() {
    let mut desk = Desk::new();
    desk.list(&[pod("a/one", 1, 1)]);
    desk.mail(None, Update::ListStarted);
    desk.page(&[pod("a/one", 1, 2)]);
    desk.put(pod("a/one", 1, 3));
    desk.put(pod("a/new", 4, 3));
    desk.mail(None, Update::ListDone);
    assert_eq!(&*desk.shelf().get(Some("a"), "one").unwrap().meta.resource_version, "3");
    assert_eq!(desk.rows(), ["a/new", "a/one"]);
}

#[test]
fn late_mail_of_an_earlier_life_is_thrown_away() {
    let mut desk = Desk::new();
    desk.list(&[pod("a/one", 1, 1)]);
    let old = desk.epoch;
    desk.epoch = desk.store.subscribe(&pods());
    let envelope = Envelope {
        query: pods(),
        epoch: old,
        part: None,
        at: now(9),
        update: Update::Changed { changes: vec![gone("a/one")], garbled: Vec::new() },
    };
    assert!(!desk.store.apply(envelope));
    assert_eq!(desk.store.late_mail(), 1);
    // The rows of the earlier life stay until the new list is whole.
    assert_eq!(desk.rows(), ["a/one"]);
    assert_eq!(desk.shelf().feed().stage, Stage::Refilling);
    desk.list(&[pod("a/two", 2, 2)]);
    assert_eq!(desk.rows(), ["a/two"]);
}

#[test]
fn mail_for_an_ended_subscription_changes_nothing() {
    let mut desk = Desk::new();
    desk.list(&[pod("a/one", 1, 1)]);
    desk.store.unsubscribe(&pods(), now(50));
    assert!(!desk.put(pod("a/two", 2, 2)));
    assert_eq!(desk.rows(), ["a/one"]);
    assert_eq!(desk.shelf().feed().stage, Stage::Ended { since: now(50) });
    desk.store.forget(&pods());
    assert!(desk.store.shelf(&pods()).is_none());
}

#[test]
fn a_cut_is_told_until_something_is_heard_again() {
    let mut desk = Desk::new();
    desk.list(&[pod("a/one", 1, 1)]);
    desk.mail(None, cut());
    let since = match &desk.shelf().feed().stage {
        Stage::Failed { since, .. } => *since,
        other => panic!("{other:?}"),
    };
    // A second try that fails too, and one that has only begun, change neither that nor since when.
    desk.mail(None, Update::ListStarted);
    desk.mail(None, cut());
    desk.mail(None, Update::ListStarted);
    assert!(matches!(desk.shelf().feed().stage, Stage::Failed { since: at, .. } if at == since));
    desk.page(&[pod("a/one", 1, 1)]);
    desk.mail(None, Update::ListDone);
    assert!(desk.shelf().feed().is_live());
    desk.mail(None, cut());
    assert!(desk.mail(None, Update::Alive));
    assert!(desk.shelf().feed().is_live());
    assert!(!desk.mail(None, Update::Alive), "a bookmark is nothing to draw");
}

#[test]
fn the_same_version_again_is_no_change() {
    let mut desk = Desk::new();
    desk.list(&[pod("a/one", 1, 1), pod("a/two", 2, 1)]);
    let revision = desk.shelf().revision();
    desk.list(&[pod("a/one", 1, 1), pod("a/two", 2, 4)]);
    let changed: Vec<u32> = desk.shelf().changes_since(revision).unwrap().collect();
    let slot = desk.shelf().slot(Some("a"), "two").unwrap();
    assert_eq!(changed, [slot.index]);
}

#[test]
fn a_slot_never_leads_to_another_object() {
    let mut desk = Desk::new();
    desk.list(&[pod("a/one", 1, 1)]);
    let slot = desk.shelf().slot(Some("a"), "one").unwrap();
    desk.put(pod("a/one", 1, 2));
    assert_eq!(name(desk.shelf().in_slot(slot).unwrap()), "a/one");
    desk.gone("a/one");
    desk.put(pod("a/two", 2, 3));
    let reused = desk.shelf().slot(Some("a"), "two").unwrap();
    assert_eq!(reused.index, slot.index);
    assert!(desk.shelf().in_slot(slot).is_none());
    // Deleted and created again under its own name within one gap.
    desk.put(pod("a/two", 9, 4));
    assert!(desk.shelf().in_slot(reused).is_none());
}

#[test]
fn changes_too_long_ago_are_not_pretended_to_be_known() {
    let mut desk = Desk::new();
    desk.list(&[pod("a/one", 1, 1)]);
    let revision = desk.shelf().revision();
    for version in 2..10_000 {
        desk.put(pod("a/one", 1, version));
    }
    assert!(desk.shelf().changes_since(revision).is_none());
    let revision = desk.shelf().revision();
    assert_eq!(desk.shelf().changes_since(revision).unwrap().count(), 0);
    // A list that is forgotten and kept anew does not pass for the old one.
    desk.store.forget(&pods());
    desk.epoch = desk.store.subscribe(&pods());
    assert!(desk.shelf().changes_since(revision).is_none());
}

#[test]
fn an_object_that_cannot_be_decoded_is_counted_until_it_can() {
    let garbled = |name: &str| Garbled {
        resource: Resource::new("", "pods"),
        name: name.into(),
        reason: "no metadata".into(),
    };
    let mut desk = Desk::new();
    desk.mail(None, Update::ListStarted);
    desk.mail(
        None,
        Update::Page {
            objects: vec![pod("a/one", 1, 1)],
            garbled: vec![garbled("a/bad"), garbled("a/worse")],
            remaining: None,
        },
    );
    desk.mail(None, Update::ListDone);
    let feed = desk.shelf().feed();
    assert_eq!((feed.garbled, feed.samples.len(), feed.is_live()), (2, 2, false));
    // The same one again is not another one.
    desk.mail(None, Update::Changed { changes: Vec::new(), garbled: vec![garbled("a/bad")] });
    assert_eq!(desk.shelf().feed().garbled, 2);
    desk.put(pod("a/bad", 2, 2));
    desk.gone("a/worse");
    assert!(desk.shelf().feed().is_live());
}

#[test]
fn a_list_in_parts_is_as_good_as_its_worst_part() {
    let mut desk = Desk::new();
    let denied =
        SourceError::Denied { verb: "list".into(), object: "pods in c".into(), reason: "no role".into() };
    let hidden = vec![Hidden { namespace: Some("c".into()), error: denied }];
    desk.mail(None, Update::ListStarted);
    desk.mail(None, Update::Split { parts: vec!["a".into(), "b".into()], hidden });
    for (part, uid) in [("a", 1), ("b", 2)] {
        assert!(!desk.shelf().feed().is_live());
        desk.mail(Some(part), Update::ListStarted);
        desk.mail(Some(part), page(&[pod(&format!("{part}/one"), uid, 1)]));
        desk.mail(Some(part), Update::ListDone);
    }
    assert_eq!(desk.rows(), ["a/one", "b/one"]);
    assert_eq!(desk.shelf().feed().stage, Stage::Live);
    assert!(!desk.shelf().feed().is_complete(), "something is hidden");
    // One part is listed again; what it lost goes, and the other part is left alone.
    desk.mail(Some("a"), Update::ListStarted);
    assert_eq!(desk.shelf().feed().stage, Stage::Refilling);
    desk.mail(Some("a"), Update::ListDone);
    assert_eq!(desk.rows(), ["b/one"]);
    desk.mail(Some("b"), cut());
    assert!(desk.shelf().feed().error().is_some());
    // More is permitted now: the rows stay until the one list is whole.
    desk.mail(None, Update::Split { parts: Vec::new(), hidden: Vec::new() });
    assert!(!desk.mail(Some("b"), cut()), "the part does not exist any more");
    assert_eq!(desk.rows(), ["b/one"]);
    desk.list(&[pod("c/one", 3, 1)]);
    assert_eq!(desk.rows(), ["c/one"]);
    assert!(desk.shelf().feed().is_live());
}

#[test]
fn a_namespace_that_is_no_longer_permitted_takes_its_rows_along() {
    let mut desk = Desk::new();
    desk.list(&[pod("a/one", 1, 1), pod("b/one", 2, 1)]);
    desk.mail(None, Update::Split { parts: vec!["a".into()], hidden: Vec::new() });
    assert_eq!(desk.rows(), ["a/one"]);
}

#[test]
fn owners_and_namespaces_lead_to_what_is_there() {
    let mut desk = Desk::new();
    desk.list(&[pod("a/web-1", 1, 1), pod("a/web-2", 2, 1), pod("b/db-1", 3, 1)]);
    let owned = |desk: &Desk, uid: &str| -> Vec<String> {
        let mut owned: Vec<String> = desk.shelf().owned_by(uid).map(|object| name(object)).collect();
        owned.sort();
        owned
    };
    assert_eq!(owned(&desk, "web"), ["a/web-1", "a/web-2"]);
    desk.gone("a/web-1");
    desk.put(pod("a/web-2", 2, 2));
    assert_eq!(owned(&desk, "web"), ["a/web-2"]);
    assert_eq!(desk.shelf().in_namespace(Some("b")).count(), 1);
    assert_eq!(desk.shelf().namespaces().map(|name| &**name).collect::<Vec<_>>(), ["a", "b"]);
}

#[test]
fn the_load_of_a_node_follows_its_pods() {
    let kinds = crate::kinds::Kinds::new();
    let kind = kinds.get(&Resource::new("", "pods")).unwrap();
    let mut pool = crate::kinds::Pool::default();
    let mut on = |name: &str, version: u32, node: &str, cpu: u32, phase: &str| {
        let json = serde_json::json!({
            "metadata": { "namespace": "a", "name": name, "uid": name, "resourceVersion": version.to_string() },
            "spec": {
                "nodeName": node,
                "containers": [{
                    "name": "main", "image": "x",
                    "resources": { "requests": { "cpu": format!("{cpu}m"), "memory": "1Mi" } },
                }],
            },
            "status": { "phase": phase },
        });
        Arc::new(kind.decode(json.to_string().as_bytes(), &mut pool).unwrap())
    };
    let mut desk = Desk::new();
    desk.list(&[on("one", 1, "n1", 100, "Running"), on("two", 1, "n1", 250, "Running")]);
    let mib = 1024 * 1024;
    assert_eq!(desk.shelf().load_of("n1"), Load { pods: 2, cpu: 350, memory: 2 * mib });
    // One is finished, and one is resized in place.
    desk.put(on("one", 2, "n1", 100, "Succeeded"));
    desk.put(on("two", 2, "n1", 500, "Running"));
    assert_eq!(desk.shelf().load_of("n1"), Load { pods: 1, cpu: 500, memory: mib });
    assert_eq!(desk.shelf().on_node("n1").count(), 2);
    desk.list(&[on("two", 3, "n2", 500, "Running")]);
    assert_eq!(desk.shelf().load_of("n1"), Load::default());
    assert_eq!(desk.shelf().load_of("n2").cpu, 500);
}

#[test]
fn contexts_live_side_by_side() {
    let mut store = Store::default();
    let resource = Resource::new("", "pods");
    for context in ["prod", "dev"] {
        let query = Query::all(&Context::new(context), &resource);
        let epoch = store.subscribe(&query);
        let update = Update::Changed { changes: vec![Change::Put(pod("a/one", 1, 1))], garbled: Vec::new() };
        store.apply(Envelope { query, epoch, part: None, at: now(1), update });
    }
    let one = |context: &str| ObjectRef {
        context: Context::new(context),
        resource: resource.clone(),
        namespace: Some("a".into()),
        name: "one".into(),
    };
    assert!(store.object(&one("prod")).is_some() && store.object(&one("dev")).is_some());
    store.forget_context(&Context::new("dev"));
    assert!(store.object(&one("prod")).is_some() && store.object(&one("dev")).is_none());
}

/// What a store must show, written the slow and plain way.
#[derive(Default)]
struct Model {
    shown: BTreeMap<String, (u32, u32)>,
    whole: bool,
    /// The pages of the list that is coming in, and what a watch said meanwhile.
    pages: Option<BTreeMap<String, (u32, u32)>>,
    said: BTreeMap<String, Option<(u32, u32)>>,
}

impl Model {
    fn page(&mut self, name: &str, object: (u32, u32), before: Option<(u32, u32)>) {
        let Some(pages) = &mut self.pages else { return };
        match self.said.get(name) {
            Some(Some(_)) => return,
            // It was deleted meanwhile: only another life of it is news.
            Some(None) if before.is_none_or(|(uid, _)| uid == object.0) => return,
            _ => {}
        }
        pages.insert(name.to_owned(), object);
        if !self.whole {
            self.shown.insert(name.to_owned(), object);
        }
    }
}

/// Random mail against the model. The generator is seeded, so a failure is the same failure every time.
#[test]
fn any_order_of_mail_shows_what_the_plain_model_shows() {
    for seed in 0..400 {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut desk = Desk::new();
        let mut model = Model::default();
        let mut version = 0;
        let mut killed: BTreeMap<String, (u32, u32)> = BTreeMap::new();
        let mut revision = desk.shelf().revision();
        let mut mirror: BTreeMap<u32, String> = BTreeMap::new();
        for step in 0..60 {
            version += 1;
            let name_at = format!("{}/{}", random.choice(["a", "b"]).unwrap(), random.u32(0..6));
            let object = (random.u32(0..3), version);
            match random.u32(0..9) {
                0 => {
                    desk.mail(None, Update::ListStarted);
                    model.pages = Some(BTreeMap::new());
                    model.said.clear();
                    killed.clear();
                }
                1 | 2 => {
                    // A page never names an object twice within one list.
                    if model.pages.as_ref().is_none_or(|pages| !pages.contains_key(&name_at)) {
                        desk.page(&[pod(&name_at, object.0, object.1)]);
                        model.page(&name_at, object, killed.get(&name_at).copied());
                    }
                }
                3 => {
                    desk.mail(None, Update::ListDone);
                    if let Some(mut pages) = model.pages.take() {
                        for (name, said) in std::mem::take(&mut model.said) {
                            if let Some(object) = said {
                                pages.insert(name, object);
                            }
                        }
                        model.shown = pages;
                        model.whole = true;
                    }
                }
                4 => {
                    desk.mail(None, cut());
                    model.pages = None;
                }
                5 => {
                    desk.gone(&name_at);
                    let was = model.shown.remove(&name_at);
                    if let Some(pages) = &mut model.pages {
                        // A page that holds another life of it than the one that went keeps that.
                        if pages.get(&name_at).is_some_and(|held| was.is_none_or(|was| was.0 == held.0)) {
                            pages.remove(&name_at);
                        }
                        match was {
                            Some(was) => killed.insert(name_at.clone(), was),
                            None => killed.remove(&name_at),
                        };
                        model.said.insert(name_at.clone(), None);
                    }
                }
                6 => {
                    let old = desk.epoch;
                    desk.epoch = desk.store.subscribe(&pods());
                    model.pages = None;
                    let update = Update::Changed { changes: vec![gone("a/0")], garbled: Vec::new() };
                    let late = Envelope { query: pods(), epoch: old, part: None, at: now(step), update };
                    assert!(!desk.store.apply(late));
                }
                _ => {
                    desk.put(pod(&name_at, object.0, object.1));
                    model.shown.insert(name_at.clone(), object);
                    if let Some(pages) = &mut model.pages {
                        pages.remove(&name_at);
                        model.said.insert(name_at.clone(), Some(object));
                    }
                }
            }
            let shown: BTreeMap<String, (u32, u32)> = desk
                .shelf()
                .iter()
                .map(|(_, object)| {
                    let number = |text: &str| text.parse::<u32>().unwrap();
                    (name(object), (number(&object.meta.uid), number(&object.meta.resource_version)))
                })
                .collect();
            assert_eq!(shown, model.shown, "seed {seed}, step {step}");
            assert_eq!(desk.shelf().len(), model.shown.len());
            // Whoever follows the journal has the same rows as whoever looks at everything.
            for index in desk.shelf().changes_since(revision).unwrap() {
                match desk.shelf().at(index) {
                    Some(object) => mirror.insert(index, name(object)),
                    None => mirror.remove(&index),
                };
            }
            revision = desk.shelf().revision();
            let mirrored: BTreeSet<&String> = mirror.values().collect();
            assert_eq!(mirrored, model.shown.keys().collect(), "seed {seed}, step {step}");
        }
    }
}
