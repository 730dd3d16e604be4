//! Editing an object: it is fetched, handed to an editor, read back, and becomes a question like any other.
//!
//! The text lives in the state only while the editor has it. What comes back unreadable goes to the editor again, with
//! the error on top; a change that met another one is kept and put on top of the new state.

use std::sync::Arc;

use serde_json::Value;

use crate::actions::sheet::{Edited, Returned, SECRET, Sheet, is_secret};
use crate::actions::{LeftOut, Options, Request, Verb};
use crate::app::asking;
use crate::app::effect::Effect;
use crate::app::state::{Overlay, State};
use crate::identity::Target;
use crate::kinds::Health;
use crate::sources::SourceError;
use crate::store::Store;

/// An edit that is under way.
#[derive(Debug, Clone, PartialEq)]
pub struct Editing {
    /// What is edited.
    pub target: Target,
    /// The tenant that it belongs to, where one is known.
    pub tenant: Option<String>,
    /// What was marked as well and is left out.
    pub left_out: Option<Box<LeftOut>>,
    /// A change of before, to be put on top of what is there now.
    pub kept: Option<Arc<Edited>>,
    /// Why it is edited again; stands on top of the text.
    pub why: String,
    /// The text that the editor has; `None` while the object is fetched.
    pub sheet: Option<Sheet>,
}

/// Begins the edit of what is selected.
pub fn begin(state: &mut State, store: &Store) -> Vec<Effect> {
    let request = match asking::request(state, store, crate::app::command::Command::Edit) {
        Ok(request) => request,
        Err(why) => {
            state.say(Health::Idle, why);
            return Vec::new();
        }
    };
    let [target] = request.targets.as_slice() else {
        state.say(Health::Idle, "one object is edited at a time: take the marks away");
        return Vec::new();
    };
    fetch(state, target.clone(), &request, String::new())
}

/// Begins an edit again, with the change of before kept.
pub fn again(state: &mut State, request: &Request, why: String) -> Vec<Effect> {
    let [target] = request.targets.as_slice() else { return Vec::new() };
    state.overlay = None;
    fetch(state, target.clone(), request, why)
}

/// Says why a question of an edit cannot be run: what stands on top when it is edited again.
pub fn stops(state: &State) -> String {
    let Some(Overlay::Question(question)) = &state.overlay else { return String::new() };
    let stops = question.plan.iter().flat_map(crate::actions::Plan::stops);
    stops.map(|line| line.text.clone()).collect::<Vec<_>>().join("\n")
}

fn fetch(state: &mut State, target: Target, request: &Request, why: String) -> Vec<Effect> {
    if is_secret(&target.object.resource) {
        state.say(Health::Warning, SECRET);
        return Vec::new();
    }
    if let Some(readonly) = &state.session.readonly {
        state.say(Health::Warning, format!("read-only: {readonly}"));
        return Vec::new();
    }
    let object = target.object.clone();
    state.say(Health::Progressing, format!("reading {} …", object.name));
    state.editing = Some(Editing {
        target,
        tenant: request.tenant.clone(),
        left_out: request.options.left_out.clone(),
        kept: request.options.edited.clone(),
        why,
        sheet: None,
    });
    vec![Effect::FetchToEdit(object)]
}

/// Takes the object, and hands its text to the editor.
pub fn fetched(state: &mut State, result: Result<Arc<Value>, SourceError>) -> Vec<Effect> {
    let Some(editing) = &mut state.editing else { return Vec::new() };
    let document = match result {
        Ok(document) => document,
        Err(error) => {
            state.editing = None;
            state.say(Health::Degraded, error.to_string());
            return Vec::new();
        }
    };
    let sheet = match &editing.kept {
        Some(kept) => Sheet::again(kept, &document, &editing.why),
        None => Sheet::open(&document, &editing.why),
    };
    let text = sheet.text.clone();
    editing.sheet = Some(sheet);
    vec![Effect::Editor(text.into())]
}

/// Takes what the editor left.
pub fn returned(state: &mut State, result: Result<String, String>) -> Vec<Effect> {
    let Some(editing) = state.editing.take() else { return Vec::new() };
    let Some(sheet) = &editing.sheet else { return Vec::new() };
    let text = match result {
        Ok(text) => text,
        Err(why) => {
            state.say(Health::Degraded, format!("the editor cannot be used: {why}"));
            return Vec::new();
        }
    };
    match sheet.read(&text) {
        // A change of before that is left as it is on the new state is still a change.
        Returned::Nothing(_) if editing.kept.is_some() && text == sheet.text => {
            state.say(Health::Idle, "the change of before makes no difference any more");
            Vec::new()
        }
        Returned::Nothing(why) => {
            state.say(Health::Idle, why);
            Vec::new()
        }
        Returned::GivenUp(why) => {
            state.say(Health::Warning, why);
            Vec::new()
        }
        Returned::Again(again) => {
            let text = again.text.clone();
            state.editing = Some(Editing { sheet: Some(*again), ..editing });
            vec![Effect::Editor(text.into())]
        }
        Returned::Edited(edited) => {
            let target = Target { uid: uid_of(&edited), ..editing.target };
            state.status = None;
            let request = Request {
                verb: Verb::Edit,
                targets: vec![target],
                options: Options { edited: Some(edited), left_out: editing.left_out, ..Options::default() },
                tenant: editing.tenant,
                reason: String::new(),
            };
            asking::begin(state, request)
        }
    }
}

/// The object that was opened is the one that is changed, and no other of its name.
fn uid_of(edited: &Edited) -> crate::identity::Text {
    edited.original.pointer("/metadata/uid").and_then(Value::as_str).unwrap_or_default().into()
}
