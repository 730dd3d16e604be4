//! Going places: into objects, tenants, kinds and contexts, and what a line of the palette leads to.

use crate::app::application::Application;
use crate::app::asking;
use crate::app::command::Command;
use crate::app::detail::{Detail, Tab};
use crate::app::effect::Effect;
use crate::app::history::View;
use crate::app::overview::Overview;
use crate::app::palette::{self, Jump};
use crate::app::session::Link;
use crate::app::state::{Overlay, State};
use crate::app::table::Table;
use crate::app::update;
use crate::app::wording;
use crate::identity::{Context, ObjectRef, Resource, Text};
use crate::kinds::{Health, Leads};
use crate::nearest::did_you_mean;
use crate::rows::Scope;
use crate::store::Store;

/// Opens an object: an Application in its own view, a tenant's namespace as its pods, all else in detail.
pub fn open(state: &mut State, object: ObjectRef) -> Vec<Effect> {
    state.overlay = None;
    match (&*object.resource.group, &*object.resource.plural) {
        ("argoproj.io", "applications") => {
            state.views.open(View::Application(Application::new(object.clone())));
            vec![Effect::Fetch(object)]
        }
        ("", "namespaces") => {
            let pods = Resource::new("", "pods");
            filtered(state, pods, &format!("namespace={}", object.name));
            Vec::new()
        }
        _ => detail(state, object, Tab::Describe),
    }
}

/// Opens an object in detail.
pub fn detail(state: &mut State, object: ObjectRef, tab: Tab) -> Vec<Effect> {
    state.overlay = None;
    state.views.open(View::Detail(Detail::new(object.clone(), tab)));
    vec![Effect::Fetch(object)]
}

/// Follows a link.
pub fn follow(state: &mut State, to: Leads) -> Vec<Effect> {
    match to {
        Leads::One(object) => open(state, object),
        Leads::Many { resource, namespace, filter } => {
            let within = namespace.map(|namespace| format!("namespace={namespace}"));
            let parts: Vec<String> =
                within.into_iter().chain(Some(filter).filter(|filter| !filter.is_empty())).collect();
            filtered(state, resource, &parts.join(" "));
            Vec::new()
        }
    }
}

/// Opens a table with a filter in force; one that is not understood there is left out and said.
fn filtered(state: &mut State, resource: Resource, filter: &str) {
    let mut table = Table::new(resource);
    let columns = state.kinds.get(&table.resource).map_or(&[][..], |kind| &kind.columns);
    let wrong = table.filter.set(filter, columns).err();
    table.filter.take();
    state.views.open(View::Table(table));
    if let Some(wrong) = wrong {
        state.say(Health::Warning, wrong);
    }
}

/// Shows the overview.
pub fn overview(state: &mut State) {
    state.overlay = None;
    if !matches!(state.view(), Some(View::Overview(_))) {
        state.views.start(View::Overview(Overview::default()));
    }
}

/// Shows one tenant alone, or all of them.
pub fn tenant(state: &mut State, tenant: Option<Text>) {
    match &tenant {
        Some(name) => state.say(Health::Idle, format!("tenant {name} alone; 0 shows all")),
        None => state.say(Health::Idle, "all tenants"),
    }
    state.scope = Scope { tenant, namespace: None };
}

/// Opens a tenant of the ranking: its Applications, it alone.
pub fn into_tenant(state: &mut State, name: Option<Text>) -> Vec<Effect> {
    let Some(name) = name else { return Vec::new() };
    let mut table = Table::new(Resource::new("argoproj.io", "applications"));
    // Who opens a tenant that hurts looks for what hurts.
    table.selected = state.tenants.get(&name).and_then(|summary| summary.worst_app.clone());
    table.chosen = table.selected.is_some();
    tenant(state, Some(name));
    state.views.open(View::Table(table));
    Vec::new()
}

/// Opens a context: everything that is shown belongs to the old one and goes.
pub fn context(state: &mut State, context: Context) -> Vec<Effect> {
    state.overlay = None;
    state.enter(context.clone());
    state.views = super::history::Views::default();
    state.scope = Scope::default();
    state.say(Health::Progressing, format!("connecting to {context}"));
    vec![Effect::Connect(context)]
}

impl State {
    /// Makes a context the open one, with the environment and rules that configuration gives it.
    pub fn enter(&mut self, context: Context) {
        let standing = self.config.standing(context.as_str());
        self.session.environment = standing.environment;
        self.session.protected = standing.protected;
        self.session.readonly = standing.readonly;
        self.session.link = Link::Connecting { since: self.now };
        self.session.namespace = None;
        self.session.context = Some(context);
        self.served.clear();
    }
}

/// Takes the line of the palette, or the suggestion that is selected.
pub fn take_line(state: &mut State, store: &Store) -> Vec<Effect> {
    let Some(Overlay::Palette(open)) = &state.overlay else { return Vec::new() };
    let chosen = open.selected.and_then(|at| open.suggestions.get(at)).map(|one| one.line.clone());
    let typed = open.line.text().trim().to_owned();
    let line = chosen.unwrap_or_else(|| typed.clone());
    if line.is_empty() {
        state.overlay = None;
        return Vec::new();
    }
    let result = match go(state, store, &line) {
        // What was typed need not be a whole name: then the best suggestion is what was meant.
        Err(error) => match best(state, &line) {
            Some(meant) => go(state, store, &meant).map_err(|_| error),
            None => Err(error),
        },
        done => done,
    };
    match result {
        Ok(effects) => {
            state.said.retain(|said| *said != line);
            state.said.push(line);
            if state.said.len() > super::memory::SAID {
                state.said.remove(0);
            }
            if matches!(state.overlay, Some(Overlay::Palette(_))) {
                state.overlay = None;
            }
            effects
        }
        Err(error) => {
            if let Some(Overlay::Palette(open)) = &mut state.overlay {
                open.error = Some(error);
            }
            Vec::new()
        }
    }
}

/// Returns the best suggestion where the line is one word that begins it.
fn best(state: &State, line: &str) -> Option<String> {
    let Some(Overlay::Palette(open)) = &state.overlay else { return None };
    let first = open.suggestions.first()?;
    first.text.to_lowercase().starts_with(&line.to_lowercase()).then(|| first.line.clone())
}

/// Goes where a line leads; the error is a sentence.
pub fn go(state: &mut State, store: &Store, line: &str) -> Result<Vec<Effect>, String> {
    // An expression is not cut into words: it has slashes and at signs of its own.
    if let Some(expr) = line.strip_prefix("query ").or_else(|| line.strip_prefix("promql ")) {
        super::board::commands::query(state, expr);
        return Ok(Vec::new());
    }
    if let Some(query) = line.strip_prefix("logs ").filter(|query| !query.trim().is_empty()) {
        super::explore::commands::line(state, query)?;
        return Ok(Vec::new());
    }
    // A path is not read like the rest of a line: it may begin with the sign of a filter and hold blanks.
    if let Some(path) = line.strip_prefix("save").filter(|rest| rest.is_empty() || rest.starts_with(' ')) {
        return save(state, path.trim());
    }
    let jump = Jump::parse(line)?;
    let mut effects = Vec::new();
    if let Some(name) = &jump.context
        && state.session.context.as_ref().is_none_or(|open| open.as_str() != name)
    {
        let found = known_context(state, name)?;
        effects.extend(context(state, found));
        if jump.head.is_empty() {
            return Ok(effects);
        }
    }
    effects.extend(head(state, store, &jump)?);
    Ok(effects)
}

/// Writes the lines of the log that is shown to a file.
fn save(state: &mut State, path: &str) -> Result<Vec<Effect>, String> {
    if let Some(View::Explore(_)) = state.view() {
        return super::explore::commands::save(state, path);
    }
    Err("save is for logs: open some first".to_owned())
}

fn head(state: &mut State, store: &Store, jump: &Jump) -> Result<Vec<Effect>, String> {
    let argument = jump.rest.first().map(String::as_str);
    match (jump.head.as_str(), argument) {
        ("q" | "q!" | "quit" | "exit", _) => return Ok(update::run(state, store, Command::Quit)),
        ("ctx" | "context" | "contexts", Some(name)) => {
            let found = known_context(state, name)?;
            return Ok(context(state, found));
        }
        ("ctx" | "context" | "contexts", None) => {
            let names: Vec<_> = state.session.contexts.iter().map(|one| one.context.as_str()).collect();
            return Err(format!("name one: {}", names.join(", ")));
        }
        ("theme" | "themes", Some(name)) => {
            return if state.themes.iter().any(|theme| theme == name) {
                name.clone_into(&mut state.theme);
                state.say(Health::Idle, format!("theme {name}"));
                Ok(vec![Effect::Theme(name.to_owned())])
            } else {
                let near = did_you_mean(name, state.themes.iter().map(String::as_str));
                Err(format!("no theme is called {name:?}{near} (there are: {})", state.themes.join(", ")))
            };
        }
        ("theme" | "themes", None) => return Err(format!("name one: {}", state.themes.join(", "))),
        ("silence", _) => {
            return asking::silence(state, store, &jump.rest);
        }
        ("promote", Some(_)) => {
            return asking::promote(state, store, &jump.rest);
        }
        ("rollback", Some(name)) => {
            let tenant = known_tenant(state, name)?;
            return asking::rollback_tenant(state, store, &tenant);
        }
        ("reveal", Some(key)) => {
            return asking::reveal(state, store, key);
        }
        ("sync", Some(_)) => {
            return asking::sync(state, store, &jump.rest);
        }
        (word, Some(_)) if Command::named(word).is_some_and(wording::takes_words) => {
            let Some(command) = Command::named(word) else { return Ok(Vec::new()) };
            return wording::ask(state, store, command, &jump.rest);
        }
        ("tenant", Some(name)) => {
            let found = known_tenant(state, name)?;
            tenant(state, Some(found));
            return Ok(Vec::new());
        }
        ("tenant" | "tenants" | "overview" | "home", _) => {
            overview(state);
            return Ok(Vec::new());
        }
        ("board" | "boards", Some(name)) => {
            let scope = narrowed(state, store, jump, jump.namespace.as_deref())?;
            super::board::commands::named(state, store, name, scope)?;
            return Ok(Vec::new());
        }
        ("board" | "boards", None) => {
            super::board::commands::list(state);
            return Ok(Vec::new());
        }
        ("kpi", None) => {
            super::board::commands::named(state, store, "kpi", None)?;
            return Ok(Vec::new());
        }
        ("ns" | "namespace", Some(name)) => {
            state.scope = if matches!(name, "all" | "-") {
                Scope::default()
            } else {
                Scope { tenant: None, namespace: Some(known_namespace(state, store, name)?) }
            };
            return Ok(Vec::new());
        }
        _ => {}
    }
    if let Some((kind, name)) = jump.head.split_once('/')
        && let Some(kind) = state.kinds.find(kind)
    {
        let resource = kind.resource.clone();
        return named_object(state, store, &resource, name, jump.namespace.as_deref());
    }
    if let Some(kind) = state.kinds.find(&jump.head) {
        let resource = kind.resource.clone();
        // A second word is a namespace, and where it is none the name of an object.
        if jump.namespace.is_none()
            && let Some(name) = argument.filter(|name| known_namespace(state, store, name).is_err())
            && let Ok(effects) = named_object(state, store, &resource, name, None)
        {
            return Ok(effects);
        }
        return table(state, store, jump, resource);
    }
    // `tenant-2` is the command of a number key and may be the name of another tenant: the name is what is meant.
    let of_a_number = |command: &Command| command.tenant().is_some();
    if let Some(command) = Command::named(&jump.head)
        && !(of_a_number(&command) && known_tenant(state, &jump.head).is_ok())
    {
        if let Some(usage) = wording::needed(command) {
            return Err(usage.to_owned());
        }
        // What applies is asked of the view beneath the palette.
        let palette = state.overlay.take();
        if state.applies(store, command) {
            return Ok(update::run(state, store, command));
        }
        state.overlay = palette;
        return Err(format!("{} does not apply here", command.name()));
    }
    if let Ok(found) = known_tenant(state, &jump.head) {
        return Ok(into_tenant(state, Some(found)));
    }
    if let Some(object) = palette::object_named(state, store, &jump.head) {
        return Ok(open(state, object));
    }
    // A type that the console has no description of is listed with the server's own columns.
    let served = |one: &&Resource| *one.plural == *jump.head || one.to_string() == jump.head;
    if let Some(resource) = state.served.iter().find(served).cloned() {
        let mut effects = table(state, store, jump, resource.clone())?;
        effects.push(Effect::Learn(resource));
        return Ok(effects);
    }
    let names: Vec<String> = palette::heads(state).into_iter().map(|one| one.line).collect();
    let near = did_you_mean(&jump.head, names.iter().map(String::as_str));
    Err(format!("nothing is called {:?}{near}", jump.head))
}

/// Returns the scope that a line asks for.
fn narrowed(
    state: &State,
    store: &Store,
    jump: &Jump,
    namespace: Option<&str>,
) -> Result<Option<Scope>, String> {
    Ok(match (namespace, &jump.tenant) {
        _ if jump.everywhere => Some(Scope::default()),
        (Some("all" | "-"), _) => Some(Scope::default()),
        (Some(name), _) => {
            Some(Scope { tenant: None, namespace: Some(known_namespace(state, store, name)?) })
        }
        (None, Some(name)) => Some(Scope { tenant: Some(known_tenant(state, name)?), namespace: None }),
        (None, None) => None,
    })
}

fn table(state: &mut State, store: &Store, jump: &Jump, resource: Resource) -> Result<Vec<Effect>, String> {
    let namespace = jump.namespace.as_deref().or(jump.rest.first().map(String::as_str));
    let scope = narrowed(state, store, jump, namespace)?;
    let mut table = Table::new(resource);
    table.labels = Text::from(jump.labels.as_deref().unwrap_or_default());
    table.fields = Text::from(jump.fields.as_deref().unwrap_or_default());
    if let Some(filter) = &jump.filter {
        let columns = state.kinds.get(&table.resource).map_or(&[][..], |kind| &kind.columns);
        table.filter.set(filter, columns)?;
        table.filter.take();
    }
    if let Some(scope) = scope {
        state.scope = scope;
    }
    state.overlay = None;
    state.views.start(View::Table(table));
    Ok(Vec::new())
}

fn named_object(
    state: &mut State,
    store: &Store,
    resource: &Resource,
    name: &str,
    namespace: Option<&str>,
) -> Result<Vec<Effect>, String> {
    let Some(context) = state.session.context.clone() else { return Err("no context is open".to_owned()) };
    let mut found: Vec<ObjectRef> = Vec::new();
    for shelf in store.shelves_of(&context, resource) {
        for (_, object) in shelf.iter() {
            let meta = &object.meta;
            let fits =
                &*meta.name == name && namespace.is_none_or(|one| meta.namespace.as_deref() == Some(one));
            let reference = ObjectRef {
                context: context.clone(),
                resource: resource.clone(),
                namespace: meta.namespace.clone(),
                name: meta.name.clone(),
            };
            if fits && !found.contains(&reference) {
                found.push(reference);
            }
        }
    }
    match found.as_slice() {
        [one] => Ok(open(state, one.clone())),
        [] => Err(format!("no {resource} is called {name:?}")),
        several => {
            let names: Vec<String> = several.iter().map(ToString::to_string).collect();
            Err(format!("{name:?} is in several namespaces, name one with -n: {}", names.join(", ")))
        }
    }
}

fn known_context(state: &State, name: &str) -> Result<Context, String> {
    let names = || state.session.contexts.iter().map(|one| one.context.as_str());
    match state.session.contexts.iter().find(|one| one.context.as_str() == name) {
        Some(found) => Ok(found.context.clone()),
        None => Err(format!(
            "no context is called {name:?}{} (there are: {})",
            did_you_mean(name, names()),
            names().collect::<Vec<_>>().join(", ")
        )),
    }
}

fn known_tenant(state: &State, name: &str) -> Result<Text, String> {
    match state.tenants.names().iter().find(|tenant| &***tenant == name) {
        Some(tenant) => Ok(tenant.clone()),
        None => Err(format!(
            "no tenant is called {name:?}{}",
            did_you_mean(name, state.tenants.names().iter().map(|tenant| &**tenant))
        )),
    }
}

/// A namespace that is not in the list is taken as it is where namespaces may not be listed.
fn known_namespace(state: &State, store: &Store, name: &str) -> Result<Text, String> {
    let names = palette::namespaces(state, store);
    if names.is_empty() {
        return Ok(Text::from(name));
    }
    match names.iter().find(|one| &***one == name) {
        Some(found) => Ok(found.clone()),
        None => Err(format!(
            "no namespace is called {name:?}{}",
            did_you_mean(name, names.iter().map(|one| &**one))
        )),
    }
}
