//! Keys in, effects out: through keymap and `update`, on a store that was filled by envelopes.

use std::collections::BTreeSet;

use crossterm::event::{Event, KeyEvent, KeyModifiers};
use jiff::SignedDuration;
use opsdeck::actions::{Answer, Confirmation, Line, Mark, Plan, Request, Verb};
use opsdeck::app::action::Action;
use opsdeck::app::application::{Application, Pane};
use opsdeck::app::command::{Command, Place};
use opsdeck::app::detail::Tab;
use opsdeck::app::effect::{Effect, Need};
use opsdeck::app::explore::Explore;
use opsdeck::app::history::View;
use opsdeck::app::input;
use opsdeck::app::memory::Memory;
use opsdeck::app::message::Message;
use opsdeck::app::session::{Environment, Reachable};
use opsdeck::app::spot::Spot;
use opsdeck::app::state::{Overlay, State};
use opsdeck::app::table::Table;
use opsdeck::app::update::update;
use opsdeck::identity::{Context, ObjectRef, Text};
use opsdeck::keymap::{Chord, Keymap};
use opsdeck::sources::logs::Line as LogLine;
use opsdeck::store::{Change, Update};
use serde_json::json;

use crate::stage::{self, Stage, context, now, object};

/// Presses keys as a terminal sends them: `"j"`, `"ctrl-d"`, `"enter"`; returns what the last one leads to.
#[track_caller]
pub fn press(stage: &mut Stage, keys: &[&str]) -> Vec<Effect> {
    let mut effects = Vec::new();
    for key in keys {
        let chord: Chord = key.parse().unwrap();
        let event = Event::Key(KeyEvent::new(chord.code, chord.modifiers));
        stage.state.settle(&stage.store);
        effects = match input::meaning(&event, &stage.state, &stage.store) {
            Some(action) => update(&mut stage.state, &stage.store, action),
            None => Vec::new(),
        };
        stage.state.settle(&stage.store);
    }
    // What is remembered beside what a key does has a test of its own.
    effects.retain(|effect| !matches!(effect, Effect::Remember(_)));
    effects
}

/// Types text letter by letter.
pub fn type_in(stage: &mut Stage, text: &str) {
    for letter in text.chars() {
        let name = if letter == ' ' { "space".to_owned() } else { letter.to_string() };
        press(stage, &[&name]);
    }
}

/// Types a line into the palette and takes it.
pub fn go(stage: &mut Stage, line: &str) -> Vec<Effect> {
    press(stage, &[":"]);
    type_in(stage, line);
    press(stage, &["enter"])
}

fn pods() -> Stage {
    let mut stage = Stage::new();
    let (query, _) = stage.list("pods", &stage::pods());
    stage.show(&query);
    stage
}

fn application() -> ObjectRef {
    object("argoproj.io", "applications", "argocd", "tenant-2-checkout")
}

pub fn with_application() -> Stage {
    let mut stage = Stage::new();
    stage.list("pods", &stage::pods());
    stage.list("applications", &[stage::application()]);
    stage.list(
        "namespaces",
        &[json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "tenant-2", "uid": "uid-ns",
            "resourceVersion": "1", "creationTimestamp": stage::ago(9_000), "labels": {"tenant": "tenant-2"}}})],
    );
    stage.state.settle(&stage.store);
    stage
}

pub fn selected(stage: &Stage) -> String {
    stage.state.selected().map_or_else(|| "nothing".to_owned(), |object| object.name.to_string())
}

pub fn table(stage: &Stage) -> &Table {
    match stage.state.view() {
        Some(View::Table(table)) => table,
        other => panic!("no table but {other:?}"),
    }
}

/// Answers the question that is open with a plan, as the runner would.
fn planned(stage: &mut Stage, confirmation: Confirmation, marks: &[Mark]) {
    let Some(Overlay::Question(question)) = &stage.state.overlay else { panic!("no question is open") };
    let plan = plan(question.request.clone(), confirmation, marks);
    let number = question.number;
    said(stage, Message::Planned { number, result: Ok(Box::new(plan)) });
}

/// A plan with a line of each mark.
pub fn plan(request: Request, confirmation: Confirmation, marks: &[Mark]) -> Plan {
    Plan {
        id: "plan-1".to_owned(),
        request,
        title: "Do it".to_owned(),
        lines: marks.iter().map(|mark| Line::new(*mark, "a line")).collect(),
        confirmation,
        command: "kubectl do it".to_owned(),
        basis: Vec::new(),
        holds: Vec::new(),
        git: Vec::new(),
        changes: Vec::new(),
        rule: None,
        made: now(),
        expires: now() + SignedDuration::from_mins(5),
    }
}

pub fn said(stage: &mut Stage, message: Message) -> Vec<Effect> {
    update(&mut stage.state, &stage.store, Action::Said(message))
}

fn writes(effects: &[Effect]) -> bool {
    effects.iter().any(|effect| matches!(effect, Effect::Carry { .. }))
}

#[test]
fn what_is_selected_stays_selected_when_the_table_moves() {
    let mut stage = Stage::new();
    let (query, epoch) = stage.list("pods", &stage::pods());
    stage.show(&query);
    press(&mut stage, &["j", "j"]);
    let before = selected(&stage);
    let kind = stage.state.kinds.clone();
    let newcomer = stage::pod("aaa", "first-of-all", stage::Mood::Fine, 5).to_string();
    let newcomer =
        kind.find("pods").unwrap().decode(newcomer.as_bytes(), &mut opsdeck::kinds::Pool::default()).unwrap();
    let update = Update::Changed { changes: vec![Change::Put(newcomer.into())], garbled: Vec::new() };
    stage.send(&query, epoch, update);
    stage.state.settle(&stage.store);
    assert_eq!(selected(&stage), before);
    assert_eq!(table(&stage).view.cursor, 3, "one row has come above it");
}

/// Sends a pod as a watch tells of it.
fn put(stage: &mut Stage, list: &(opsdeck::store::Query, u64), pod: &serde_json::Value) {
    let kinds = stage.state.kinds.clone();
    let kind = kinds.get(&list.0.resource).unwrap();
    let object = kind.decode(pod.to_string().as_bytes(), &mut opsdeck::kinds::Pool::default()).unwrap();
    let update = Update::Changed { changes: vec![Change::Put(object.into())], garbled: Vec::new() };
    stage.send(&list.0, list.1, update);
    stage.state.settle(&stage.store);
}

#[test]
fn the_first_row_is_selected_until_somebody_moves() {
    let mut stage = Stage::new();
    let list = stage.list("pods", &stage::pods());
    stage.show(&list.0);
    put(&mut stage, &list, &stage::pod("aaa", "first-of-all", stage::Mood::Fine, 5));
    assert_eq!(selected(&stage), "first-of-all");
    // Whoever acts means what is selected then.
    press(&mut stage, &["y", "esc"]);
    put(&mut stage, &list, &stage::pod("aaa", "before-the-first", stage::Mood::Fine, 5));
    assert_eq!(selected(&stage), "first-of-all");
    assert_eq!(table(&stage).view.cursor, 1);
}

#[test]
fn the_worst_tenant_is_selected_until_somebody_moves() {
    let mut stage = Stage::new();
    let rules = opsdeck::model::tenants::Rules {
        namespace_labels: vec!["opsdeck.dev/tenant".to_owned()],
        ..Default::default()
    };
    stage.state.tenants = opsdeck::model::tenants::Tenants::new(rules);
    stage.list("namespaces", &["tenant-1", "tenant-2", "tenant-3"].map(stage::namespace));
    let list = stage.list("pods", &[stage::pod("tenant-1", "web-7f9c6b5d8-hw7tn", stage::Mood::Fine, 7_200)]);
    stage.state.views = opsdeck::app::history::Views::default();
    stage.state.settle(&stage.store);
    let chosen = |stage: &Stage| match stage.state.view() {
        Some(View::Overview(overview)) => {
            (overview.selected.clone().unwrap().to_string(), overview.tenants.cursor)
        }
        other => panic!("no overview but {other:?}"),
    };
    assert_eq!(chosen(&stage), ("tenant-1".to_owned(), 0));
    put(&mut stage, &list, &stage::pod("tenant-3", "web-7f9c6b5d8-2xk4l", stage::Mood::Crashing, 660));
    assert_eq!(chosen(&stage), ("tenant-3".to_owned(), 0));
    press(&mut stage, &["j", "k"]);
    for name in ["web-7f9c6b5d8-aaaaa", "web-7f9c6b5d8-bbbbb"] {
        put(&mut stage, &list, &stage::pod("tenant-2", name, stage::Mood::Crashing, 660));
    }
    assert_eq!(chosen(&stage), ("tenant-3".to_owned(), 1), "two pods crash in tenant-2 and one in tenant-3");
}

#[test]
fn opening_a_pod_fetches_it_and_esc_and_the_history_go_back_and_forward() {
    let mut stage = pods();
    let name = selected(&stage);
    let object = stage.state.selected().unwrap();
    assert_eq!(press(&mut stage, &["enter"]), [Effect::Fetch(object)]);
    assert!(matches!(stage.state.view(), Some(View::Detail(detail)) if detail.tab == Tab::Describe));
    press(&mut stage, &["esc"]);
    assert_eq!(table(&stage).selected.as_ref().map(|object| object.name.to_string()), Some(name));
    press(&mut stage, &["]"]);
    assert!(matches!(stage.state.view(), Some(View::Detail(_))));
    press(&mut stage, &["["]);
    assert!(matches!(stage.state.view(), Some(View::Table(_))));
    press(&mut stage, &["-"]);
    assert!(matches!(stage.state.view(), Some(View::Detail(_))), "the last view and this one change places");
}

#[test]
fn a_bare_q_goes_back_and_never_quits() {
    let mut stage = pods();
    press(&mut stage, &["enter"]);
    assert!(press(&mut stage, &["q"]).is_empty());
    assert!(matches!(stage.state.view(), Some(View::Table(_))));
    for _ in 0..5 {
        assert!(press(&mut stage, &["q"]).is_empty());
    }
    assert_eq!(press(&mut stage, &["ctrl-c"]), [Effect::Quit]);
    assert_eq!(go(&mut stage, "q"), [Effect::Quit]);
}

#[test]
fn a_filter_is_in_force_from_each_key_and_a_wrong_one_leaves_the_last_good_one() {
    let mut stage = pods();
    let all = table(&stage).len();
    press(&mut stage, &["/"]);
    type_in(&mut stage, "payments");
    let some = table(&stage).len();
    assert!(some > 0 && some < all, "{some} of {all}");
    type_in(&mut stage, " colour=red");
    assert!(table(&stage).filter.error.is_some());
    assert_eq!(table(&stage).filter.text, "payments colour", "the last one that could be read");
    press(&mut stage, &["ctrl-w"]);
    assert_eq!((table(&stage).len(), table(&stage).filter.error.is_none()), (some, true));
    press(&mut stage, &["esc"]);
    assert_eq!(table(&stage).len(), all);
}

#[test]
fn marks_ranges_and_sorting_work_on_identities() {
    let mut stage = pods();
    press(&mut stage, &["space", "j", "j", "ctrl-space"]);
    assert_eq!(table(&stage).marks.len(), 4, "one was marked, and the range goes to the fourth row");
    let marks = table(&stage).marks.clone();
    press(&mut stage, &["A", "A"]);
    assert_eq!(table(&stage).marks, marks);
    let sort = table(&stage).sort.unwrap();
    let kinds = stage.state.kinds.clone();
    let age = kinds.find("pods").unwrap().column("age").unwrap();
    assert_eq!((sort.column, sort.descending), (age, true), "the same key again turns the order round");
    press(&mut stage, &["esc"]);
    assert!(table(&stage).marks.is_empty());
}

#[test]
fn what_is_marked_but_hidden_by_a_filter_is_not_touched() {
    let mut stage = pods();
    press(&mut stage, &["space", "space", "space", "/"]);
    let hidden = table(&stage).marks.clone();
    type_in(&mut stage, "storefront");
    press(&mut stage, &["enter"]);
    assert!(press(&mut stage, &["ctrl-d"]).is_empty(), "nothing that is marked is shown");
    let said = stage.state.status.as_ref().map(|status| status.text.clone()).unwrap_or_default();
    assert!(said.contains("nothing that is marked is shown") && said.contains("3 marked rows"), "{said}");
    assert!(!stage.state.hints(&stage.store).contains(&Command::DeletePod), "the footer does not promise it");
    press(&mut stage, &["space"]);
    let effects = press(&mut stage, &["ctrl-d"]);
    let [Effect::Plan { request, .. }] = effects.as_slice() else { panic!("{effects:?}") };
    assert_eq!(request.targets.len(), 1);
    assert!(!hidden.contains(&request.targets[0].object));
    // What is left out is named: in the request, from which plan and record are made.
    let left_out = request.options.left_out.as_deref().unwrap();
    assert_eq!((left_out.by.as_str(), left_out.count), ("the filter \"storefront\"", 3));
    for object in &hidden {
        assert!(left_out.sentence().contains(&*object.name), "{}", left_out.sentence());
    }
    // Without the filter all of them are shown, and nothing is left out.
    press(&mut stage, &["esc", "/", "ctrl-u", "enter"]);
    let effects = press(&mut stage, &["ctrl-d"]);
    let [Effect::Plan { request, .. }] = effects.as_slice() else { panic!("{effects:?}") };
    assert_eq!((request.targets.len(), &request.options.left_out), (4, &None));
}

#[test]
fn a_verb_is_offered_by_the_first_of_many_marks_and_means_all_of_them() {
    let mut stage = Stage::new();
    let node = |at: usize| {
        let name = format!("n-{at:03}");
        let cordoned = at == 59;
        json!({ "metadata": { "name": name, "uid": name }, "spec": { "unschedulable": cordoned }, "status": {} })
    };
    let (query, _) = stage.list("nodes", &(0..60).map(node).collect::<Vec<_>>());
    stage.show(&query);
    stage.state.settle(&stage.store);
    press(&mut stage, &["space", "G", "ctrl-space"]);
    assert_eq!(table(&stage).marks.len(), 60);
    stage.state.settle(&stage.store);
    assert!(stage.state.hints(&stage.store).contains(&Command::Drain));
    assert_eq!(stage.state.targets(&stage.store, Command::Drain).len(), 60);
    // The last of them is cordoned already: what the first ones tell is not the whole.
    assert!(press(&mut stage, &["C"]).is_empty());
    let said = stage.state.status.as_ref().map(|status| status.text.clone()).unwrap_or_default();
    assert_eq!(said, "not all that is marked can be taken: cordon does not apply to each");
    press(&mut stage, &["space"]);
    let effects = press(&mut stage, &["C"]);
    let [Effect::Plan { request, .. }] = effects.as_slice() else { panic!("{effects:?}") };
    assert_eq!(request.targets.len(), 59);
}

#[test]
fn a_question_captures_its_target_when_it_is_asked() {
    let mut stage = pods();
    let target = stage.state.selected().unwrap();
    let effects = press(&mut stage, &["ctrl-d"]);
    let [Effect::Plan { number: 1, request }] = effects.as_slice() else { panic!("{effects:?}") };
    assert_eq!(request.verb, Verb::DeletePod);
    assert_eq!(request.targets[0].object, target);
    let known = stage.store.object(&target).unwrap().meta.clone();
    assert_eq!(request.targets[0].uid, known.uid);
    assert_eq!(request.targets[0].resource_version, known.resource_version);
}

#[test]
fn enter_alone_never_confirms_and_y_does_once_the_plan_allows_it() {
    let mut stage = pods();
    press(&mut stage, &["ctrl-d"]);
    assert!(!writes(&press(&mut stage, &["y"])), "there is no plan yet");
    planned(&mut stage, Confirmation::Yes, &[Mark::Pending]);
    assert!(!writes(&press(&mut stage, &["y"])), "a check has not answered yet");
    planned(&mut stage, Confirmation::Yes, &[Mark::Ok, Mark::Stop]);
    assert!(!writes(&press(&mut stage, &["y"])), "the plan forbids it");
    planned(&mut stage, Confirmation::Yes, &[Mark::Ok]);
    assert!(!writes(&press(&mut stage, &["enter", "enter", "space"])));
    let effects = press(&mut stage, &["y"]);
    assert!(matches!(effects.as_slice(), [Effect::Carry { answer: Answer::Yes, .. }]), "{effects:?}");
    assert!(matches!(stage.state.view(), Some(View::Actions(_))));
    assert!(!writes(&press(&mut stage, &["y", "y", "enter"])), "a question is answered once");
}

#[test]
fn a_name_is_typed_whole_and_a_paste_never_confirms() {
    let mut stage = pods();
    press(&mut stage, &["ctrl-d"]);
    planned(&mut stage, Confirmation::Type("tenant-2".to_owned()), &[Mark::Ok]);
    assert!(!writes(&press(&mut stage, &["y", "enter"])), "y is a letter here");
    press(&mut stage, &["ctrl-u"]);
    stage.state.settle(&stage.store);
    let paste = input::meaning(&Event::Paste("tenant-2\n".to_owned()), &stage.state, &stage.store).unwrap();
    assert!(!writes(&update(&mut stage.state, &stage.store, paste)));
    assert!(!writes(&press(&mut stage, &["enter"])));
    type_in(&mut stage, "tenant-");
    assert!(!writes(&press(&mut stage, &["enter"])));
    type_in(&mut stage, "2");
    let effects = press(&mut stage, &["enter"]);
    let typed = Answer::Typed("tenant-2".to_owned());
    assert!(matches!(effects.as_slice(), [Effect::Carry { answer, .. }] if *answer == typed), "{effects:?}");
}

#[test]
fn the_reason_goes_into_the_plan_and_is_no_answer() {
    let mut stage = pods();
    press(&mut stage, &["ctrl-d"]);
    planned(&mut stage, Confirmation::Yes, &[Mark::Ok]);
    press(&mut stage, &["tab"]);
    type_in(&mut stage, "INC-7 my fault");
    assert!(!writes(&press(&mut stage, &["enter"])), "this ends the reason");
    let effects = press(&mut stage, &["y"]);
    let [Effect::Carry { plan, .. }] = effects.as_slice() else { panic!("{effects:?}") };
    assert_eq!(plan.request.reason, "INC-7 my fault");
}

#[test]
fn an_option_asks_anew_and_the_answer_to_the_old_question_is_late() {
    let mut stage = with_application();
    let (query, _) = stage.list("applications", &[stage::application()]);
    stage.show(&query);
    press(&mut stage, &["s"]);
    let effects = press(&mut stage, &["ctrl-p"]);
    let [Effect::Plan { number: 2, request }] = effects.as_slice() else { panic!("{effects:?}") };
    assert!(request.options.prune);
    let late = Message::Planned { number: 1, result: Err("late".to_owned()) };
    said(&mut stage, late);
    let Some(Overlay::Question(question)) = &stage.state.overlay else { panic!("no question") };
    assert!(question.plan.is_none() && question.failed.is_none());
}

#[test]
fn rolling_back_takes_the_entry_that_is_chosen_or_the_one_before_the_present() {
    let mut stage = with_application();
    stage.state.views.open(View::Application(Application::new(application())));
    let effects = press(&mut stage, &["R"]);
    let [Effect::Plan { request, .. }] = effects.as_slice() else { panic!("{effects:?}") };
    let ids: Vec<i64> = stage::application()["status"]["history"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| entry["id"].as_i64().unwrap())
        .collect();
    assert_eq!(request.options.history_id, Some(ids[ids.len() - 2]));
    assert_eq!(request.options.hold_minutes, Some(60));
    assert_eq!(request.tenant.as_deref(), Some("tenant-2"));
    press(&mut stage, &["esc", "h"]);
    said(&mut stage, Message::Document { object: application(), result: Ok(stage::application().into()) });
    assert!(matches!(stage.state.view(), Some(View::Application(app)) if app.pane == Pane::History));
    press(&mut stage, &["G"]);
    let effects = press(&mut stage, &["R"]);
    let [Effect::Plan { request, .. }] = effects.as_slice() else { panic!("{effects:?}") };
    assert_eq!(request.options.history_id, ids.first().copied());
}

#[test]
fn no_key_of_any_preset_writes_without_a_question_in_any_view() {
    for preset in Keymap::presets() {
        let keymap = Keymap::preset(preset).unwrap();
        let keys: BTreeSet<String> =
            keymap.bindings().flat_map(|(_, keys)| keys).map(ToString::to_string).collect();
        for view in ["pods", "applications", "nodes", "overview", "detail", "application", "logs", "actions"]
        {
            let mut stage = with_application();
            stage.state.keymap = keymap.clone();
            match view {
                "overview" => {}
                "detail" => drop(press(&mut stage, &[":"])),
                "application" => {
                    stage.state.views.open(View::Application(Application::new(application())));
                }
                "logs" => drop(go(&mut stage, "pods")),
                "actions" => drop(press(&mut stage, &["ctrl-g"])),
                kind => drop(go(&mut stage, kind)),
            }
            for first in &keys {
                assert!(!writes(&press(&mut stage, &[first])), "{preset}, {view}: {first}");
                // Whatever the first key opened: another one, and Enter, with a plan that could run.
                if matches!(stage.state.overlay, Some(Overlay::Question(_))) {
                    planned(&mut stage, Confirmation::Type("never typed".to_owned()), &[Mark::Ok]);
                    for second in ["enter", "y", "space", first] {
                        assert!(!writes(&press(&mut stage, &[second])), "{preset}, {view}: {first} {second}");
                    }
                    stage.state.overlay = None;
                }
            }
        }
    }
}

#[test]
fn only_the_answer_to_a_question_can_lead_to_a_write() {
    let asking: Vec<_> = Command::ALL.iter().filter(|command| command.place() == Place::Verb).collect();
    // What an entry of the record did is taken back where the record is shown, as is said there.
    let named: Vec<Verb> = Verb::ALL.into_iter().filter(|verb| *verb != Verb::Undo).collect();
    assert!(Command::UndoEntry.place() != Place::Verb);
    assert_eq!(asking.len(), named.len(), "each verb has its command");
    for verb in named {
        assert!(Command::ALL.iter().any(|command| command.verb() == Some(verb)), "{verb:?} has no key");
    }
}

#[test]
fn number_keys_show_one_tenant_alone_and_0_all() {
    let mut stage = with_application();
    go(&mut stage, "pods");
    let all = table(&stage).len();
    press(&mut stage, &["1"]);
    assert_eq!(stage.state.scope.tenant.as_deref(), Some("tenant-2"));
    let some = table(&stage).len();
    assert!(some > 0 && some < all);
    press(&mut stage, &["0"]);
    assert_eq!(table(&stage).len(), all);
}

#[test]
fn a_table_is_arranged_as_it_was_in_the_run_before_and_the_palette_knows_its_lines() {
    let mut stage = pods();
    go(&mut stage, "pods");
    press(&mut stage, &["A", "w"]);
    let memory = Memory::read(&stage.state.memory.text());
    let layout = &memory.tables["pods"];
    assert_eq!((layout.sort.as_deref(), layout.wide), (Some("age"), true));

    let mut later = Stage::new();
    later.state.remember(memory);
    later.list("pods", &stage::pods());
    go(&mut later, "pods");
    let age = later.state.kinds.find("pods").unwrap().column("age").unwrap();
    assert_eq!(table(&later).sort.map(|sort| sort.column), Some(age));
    assert!(table(&later).wide && later.state.said.contains(&"pods".to_owned()));
    // Another kind is as it is by default, and a file that is none is as good as nothing.
    go(&mut later, "nodes");
    assert!(table(&later).sort.is_none());
    assert_eq!(Memory::read("{]"), Memory::default());
}

#[test]
fn the_whole_difference_is_one_key_away_and_letters_go_to_the_name() {
    let shown = |stage: &Stage| match &stage.state.overlay {
        Some(Overlay::Question(question)) => (question.whole, question.typed.text().to_owned()),
        other => panic!("no question but {other:?}"),
    };
    let mut stage = pods();
    press(&mut stage, &["ctrl-d"]);
    planned(&mut stage, Confirmation::Yes, &[Mark::Ok]);
    assert!(!stage.state.applies(&stage.store, Command::ToggleDifference), "there is none to show");
    planned(&mut stage, Confirmation::Yes, &[Mark::Ok, Mark::Detail]);
    press(&mut stage, &["d"]);
    assert!(shown(&stage).0);
    press(&mut stage, &["d"]);
    assert!(!shown(&stage).0);
    planned(&mut stage, Confirmation::Type("db".to_owned()), &[Mark::Ok, Mark::Detail]);
    press(&mut stage, &["d"]);
    assert_eq!(shown(&stage), (false, "d".to_owned()));
    press(&mut stage, &["ctrl-d"]);
    assert_eq!(shown(&stage), (true, "d".to_owned()));
    let label = stage.state.key_label(&stage.store, Command::ToggleDifference);
    assert_eq!(label.as_deref(), Some("ctrl-d"), "the key that works here is the one that is shown");
}

#[test]
fn help_lists_the_keys_of_the_view_beneath_and_the_footer_nothing_that_is_refused() {
    let mut stage = with_application();
    go(&mut stage, "applications");
    let hints = |stage: &Stage| stage.state.hints(&stage.store);
    assert!(!hints(&stage).contains(&Command::Terminate), "no operation is running");
    assert!(hints(&stage).contains(&Command::Sync));
    let beneath = stage.state.help(&stage.store);
    press(&mut stage, &["?"]);
    assert_eq!(stage.state.help(&stage.store), beneath);
    assert!(beneath.iter().any(|(keys, doc)| keys == "s" && doc.starts_with("Syncs")), "{beneath:?}");
    press(&mut stage, &["esc"]);
    stage.state.session.readonly = Some("--readonly".to_owned());
    assert!(hints(&stage).iter().all(|command| command.verb().is_none()), "{:?}", hints(&stage));
    press(&mut stage, &["O"]);
    assert!(!hints(&stage).contains(&Command::Overview) && hints(&stage).contains(&Command::Palette));
}

#[test]
fn help_and_footer_promise_only_keys_that_do_what_they_say() {
    for preset in Keymap::presets() {
        for view in ["pods", "applications", "overview", "application", "question", "palette"] {
            let mut stage = with_application();
            stage.state.keymap = Keymap::preset(preset).unwrap();
            match view {
                "overview" => {}
                "application" => {
                    stage.state.views.open(View::Application(Application::new(application())));
                }
                "question" => {
                    go(&mut stage, "pods");
                    press(&mut stage, &["ctrl-d"]);
                }
                "palette" => drop(press(&mut stage, &[":"])),
                kind => drop(go(&mut stage, kind)),
            }
            stage.state.settle(&stage.store);
            let hints = stage.state.hints(&stage.store);
            assert!(!hints.is_empty(), "{preset}, {view}");
            for command in hints {
                assert!(stage.state.applies(&stage.store, command), "{preset}, {view}: {}", command.name());
                let reached = stage
                    .state
                    .keymap
                    .keys(command)
                    .iter()
                    .any(|key| stage.state.meaning(&stage.store, *key) == Some(command));
                assert!(reached, "{preset}, {view}: no key means {}", command.name());
            }
        }
    }
}

#[test]
fn every_command_can_be_reached_by_key_or_palette() {
    let keymap = Keymap::preset("k9s").unwrap();
    for command in Command::ALL {
        let in_palette =
            matches!(command.place(), Place::Verb | Place::Object | Place::Global | Place::Always);
        assert!(!keymap.keys(*command).is_empty() || in_palette, "{} cannot be reached", command.name());
    }
}

#[test]
fn a_click_selects_a_second_one_opens_and_a_header_sorts() {
    let mut stage = pods();
    let row = Spot::Row { panel: 0, index: 2 };
    let click = |stage: &mut Stage, spot| {
        let effects = update(&mut stage.state, &stage.store, Action::Click(spot));
        stage.state.settle(&stage.store);
        effects
    };
    assert!(click(&mut stage, row).is_empty());
    assert_eq!(table(&stage).view.cursor, 2);
    stage.state.now += SignedDuration::from_millis(200);
    assert!(matches!(click(&mut stage, row).as_slice(), [Effect::Fetch(_)]));
    press(&mut stage, &["esc"]);
    click(&mut stage, Spot::Column(1));
    assert_eq!(table(&stage).sort.map(|sort| sort.column), Some(1));
    let before = selected(&stage);
    update(&mut stage.state, &stage.store, Action::Scroll { spot: None, lines: 3 });
    stage.state.settle(&stage.store);
    assert_eq!(table(&stage).view.top.min(1) + usize::from(selected(&stage) == before), 1);
}

#[test]
fn copying_says_that_it_was_sent_and_where_it_was_cut() {
    let mut stage = pods();
    let name = selected(&stage);
    assert_eq!(press(&mut stage, &["c"]), [Effect::Copy(name)]);
    assert!(stage.state.status.as_ref().unwrap().text.starts_with("sent to the clipboard"));
    let effects = press(&mut stage, &["ctrl-y"]);
    let [Effect::Copy(text)] = effects.as_slice() else { panic!("{effects:?}") };
    assert_eq!(text.lines().count(), table(&stage).len() + 1, "a heading and the rows");
}

#[test]
fn a_search_finds_goes_round_and_leaves_with_esc() {
    let mut stage = pods();
    let object = stage.state.selected().unwrap();
    press(&mut stage, &["y"]);
    let document = json!({"a": "needle", "b": ["hay", "needle", "Needle"], "c": 1});
    said(&mut stage, Message::Document { object, result: Ok(document.into()) });
    press(&mut stage, &["/"]);
    type_in(&mut stage, "needle");
    press(&mut stage, &["enter"]);
    let search = |stage: &Stage| stage.state.search().unwrap().clone();
    assert_eq!((search(&stage).matches.len(), search(&stage).at), (3, 0));
    press(&mut stage, &["n", "n", "n"]);
    assert_eq!(search(&stage).at, 0, "round the end");
    press(&mut stage, &["N"]);
    assert_eq!(search(&stage).at, 2);
    press(&mut stage, &["esc"]);
    assert!(search(&stage).matches.is_empty());
    assert!(matches!(stage.state.view(), Some(View::Detail(_))));
}

#[test]
fn a_search_in_lines_that_are_followed_stands_at_the_newest_match() {
    let mut stage = Stage::new();
    let mut logs = Explore::of_pods(context(), object("apps", "deployments", "tenant-2", "checkout"), false);
    let line = |index: i64| LogLine {
        pod: Text::from("web"),
        container: Text::from("app"),
        at: Some(now() - SignedDuration::from_secs(300 - index)),
        text: if index % 40 == 7 { "needle".into() } else { "hay".into() },
        whole: None,
    };
    logs.take_logged((0..200).map(line).collect(), 0, 1_000);
    stage.state.views.open(View::Explore(Box::new(logs)));
    stage.state.settle(&stage.store);
    press(&mut stage, &["/"]);
    type_in(&mut stage, "needle");
    let at = |stage: &Stage| match stage.state.view() {
        Some(View::Explore(view)) => (view.follow, view.page.search.at),
        other => panic!("no log but {other:?}"),
    };
    assert!(at(&stage).0, "what is being typed does not stop the lines");
    press(&mut stage, &["enter"]);
    assert_eq!(at(&stage), (false, 4), "the last of 7, 47, 87, 127 and 167");
    press(&mut stage, &["N"]);
    assert_eq!(at(&stage).1, 3);
}

#[test]
fn the_views_say_what_they_need_and_nothing_twice() {
    let mut stage = with_application();
    let lists = |stage: &Stage| -> Vec<String> {
        let lists = stage.state.needs().into_iter().filter_map(|need| match need {
            Need::List(query) => Some(query.resource.to_string()),
            Need::Logs(_) | Need::Lines(..) | Need::Answer(_) => None,
        });
        lists.collect()
    };
    let overview = lists(&stage);
    assert!(
        overview.contains(&"applications.argoproj.io".to_owned()) && overview.contains(&"pods".to_owned())
    );
    go(&mut stage, "ingresses");
    let table = lists(&stage);
    assert!(table.contains(&"ingresses.networking.k8s.io".to_owned()), "{table:?}");
    assert!(!overview.contains(&"ingresses.networking.k8s.io".to_owned()));
    let once: BTreeSet<_> = table.iter().collect();
    assert_eq!(once.len(), table.len(), "{table:?}");
    go(&mut stage, "pods");
    press(&mut stage, &["l"]);
    let logs = stage.state.needs().into_iter().filter(|need| matches!(need, Need::Logs(_))).count();
    assert_eq!(logs, 1);
    stage.state.session.context = None;
    assert!(stage.state.needs().is_empty());
}

#[test]
fn another_context_takes_its_own_rules_and_starts_at_the_overview() {
    let mut stage = pods();
    let config = opsdeck::config::Config::load(
        Some(opsdeck::settings::Source::new(
            "config.toml",
            "[contexts.\"prod-*\"]\nreadonly = true\n[contexts.\"play\"]\nenvironment = \"dev\"\n",
        )),
        |_| None,
        &[],
    );
    stage.state.config = config.unwrap().into();
    stage.state.session.contexts = ["prod-2", "play"]
        .map(|name| Reachable {
            context: Context::new(name),
            cluster: name.to_owned(),
            environment: Environment::Unknown,
        })
        .to_vec();
    assert_eq!(go(&mut stage, "ctx prod-2"), [Effect::Connect(Context::new("prod-2"))]);
    assert!(matches!(stage.state.view(), Some(View::Overview(_))));
    assert!(stage.state.session.protected);
    assert_eq!(stage.state.session.readonly.as_deref(), Some("config.toml:1"));
    go(&mut stage, "ctx play");
    assert!(!stage.state.session.protected && stage.state.session.readonly.is_none());
}

#[test]
fn quitting_while_an_action_is_followed_asks_once() {
    let mut stage = pods();
    press(&mut stage, &["ctrl-d"]);
    planned(&mut stage, Confirmation::Yes, &[Mark::Ok]);
    press(&mut stage, &["y"]);
    assert!(press(&mut stage, &["ctrl-c"]).is_empty());
    assert_eq!(press(&mut stage, &["ctrl-c"]), [Effect::Quit]);
}

#[test]
fn a_key_that_is_released_means_nothing() {
    let stage = pods();
    let mut key = KeyEvent::new(crossterm::event::KeyCode::Char('c'), KeyModifiers::CONTROL);
    key.kind = crossterm::event::KeyEventKind::Release;
    assert!(input::meaning(&Event::Key(key), &stage.state, &stage.store).is_none());
}

#[test]
fn the_state_of_another_context_does_not_hear_of_this_one() {
    let mut stage = pods();
    let link = opsdeck::app::session::Link::Connecting { since: now() };
    said(&mut stage, Message::Link { context: Context::new("other"), link, namespace: None });
    assert!(matches!(stage.state.session.link, opsdeck::app::session::Link::Live { .. }));
    assert_eq!(stage.state.session.context, Some(context()));
    let _: &State = &stage.state;
}
