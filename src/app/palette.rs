//! The palette: one line that goes anywhere, with suggestions.
//!
//! A line may carry a kind, a namespace, a filter and a context: `pods -n tenant-2 /checkout @prod-eu-1`.

use std::collections::BTreeSet;

use nucleo_matcher::pattern::{AtomKind, CaseMatching, Normalization, Pattern};
use nucleo_matcher::{Config, Matcher, Utf32Str};

use crate::app::command::{Command, Place};
use crate::app::history::View;
use crate::app::line::Line;
use crate::app::state::{Overlay, State};
use crate::identity::{ObjectRef, Resource, Text};
use crate::store::{Query, Store};

/// How many suggestions are shown.
const SHOWN: usize = 12;

/// How many objects are looked at for suggestions; beyond that a name is found by the table's own filter.
const LOOKED_AT: usize = 20_000;

/// What a suggestion is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Sort {
    /// A kind: opens its table.
    Kind,
    /// An object by name: opens it.
    Name,
    /// A context: connects to it.
    Context,
    /// A tenant: shows it alone.
    Tenant,
    /// A namespace: shows it alone.
    Namespace,
    /// A theme.
    Theme,
    /// A board.
    Board,
    /// A command.
    Command,
}

/// One suggestion.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Suggestion {
    /// What it is.
    pub sort: Sort,
    /// The whole line that taking it makes.
    pub line: String,
    /// What is shown.
    pub text: String,
    /// What stands beside it, dim: the short names of a kind, the namespace of an object.
    pub hint: String,
    /// The letters of `text` that matched, as character positions.
    pub matched: Vec<u32>,
}

impl Suggestion {
    fn new(sort: Sort, line: impl Into<String>, text: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { sort, line: line.into(), text: text.into(), hint: hint.into(), matched: Vec::new() }
    }
}

/// The state of the palette.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Palette {
    /// The line.
    pub line: Line,
    /// The suggestions, best first.
    pub suggestions: Vec<Suggestion>,
    /// The selected suggestion; `None` while the line is taken as it is typed.
    pub selected: Option<usize>,
    /// What is wrong with the line, after it was tried.
    pub error: Option<String>,
}

/// What a line says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Jump {
    /// The first word: a kind, `kind/name`, a command, a tenant, a name.
    pub head: String,
    /// The words after it that are nothing else.
    pub rest: Vec<String>,
    /// `-n NAME`.
    pub namespace: Option<String>,
    /// `-A`.
    pub everywhere: bool,
    /// `-t NAME`.
    pub tenant: Option<String>,
    /// `-l SELECTOR`, evaluated by the server.
    pub labels: Option<String>,
    /// `-f SELECTOR`, a field selector, evaluated by the server.
    pub fields: Option<String>,
    /// `/FILTER`, up to the context or the end.
    pub filter: Option<String>,
    /// `@NAME`.
    pub context: Option<String>,
}

impl Jump {
    /// Reads a line; the error is a sentence.
    pub fn parse(line: &str) -> Result<Self, String> {
        let mut jump = Self::default();
        let mut words = line.split_whitespace().peekable();
        while let Some(word) = words.next() {
            let mut value = |what: &str| {
                words.next().map(ToOwned::to_owned).ok_or_else(|| format!("{word} needs {what} after it"))
            };
            match word {
                "-A" => jump.everywhere = true,
                "-n" => jump.namespace = Some(value("a namespace")?),
                "-t" => jump.tenant = Some(value("a tenant")?),
                "-l" => jump.labels = Some(value("a label selector")?),
                "-f" => jump.fields = Some(value("a field selector")?),
                "@" => jump.context = Some(value("a context")?),
                _ if word.starts_with('@') => jump.context = Some(word[1..].to_owned()),
                _ if word.starts_with('/') => {
                    let mut filter = word[1..].to_owned();
                    // The filter goes on to the context or the end: it may have several terms.
                    while let Some(more) = words.next_if(|next| !next.starts_with('@')) {
                        filter.push(' ');
                        filter.push_str(more);
                    }
                    jump.filter = Some(filter.trim().to_owned());
                }
                _ if word.starts_with('-') && word.len() > 1 && !jump.head.is_empty() => {
                    return Err(format!(
                        "{word} is not understood here (there are: -n -A -t -l -f /filter @context)"
                    ));
                }
                _ if jump.head.is_empty() => word.clone_into(&mut jump.head),
                _ => jump.rest.push(word.to_owned()),
            }
        }
        Ok(jump)
    }
}

/// Works out the suggestions for the line as it stands.
pub fn suggest(state: &mut State, store: &Store) {
    let Some(Overlay::Palette(open)) = &state.overlay else { return };
    let before = open.line.before_cursor().to_owned();
    let (kept, word) = before.rfind(char::is_whitespace).map_or(("", before.as_str()), |at| {
        before.split_at(at + before[at..].chars().next().map_or(1, char::len_utf8))
    });
    let candidates = candidates(state, store, kept.trim(), word);
    let (lead, sought) = match word.chars().next() {
        Some('@') => ("@", &word[1..]),
        _ => ("", word),
    };
    let mut suggestions = rank(candidates, sought);
    for one in &mut suggestions {
        one.line = format!("{kept}{lead}{}", one.line);
    }
    if let Some(Overlay::Palette(open)) = &mut state.overlay {
        open.suggestions = suggestions;
        open.selected = None;
        open.error = None;
    }
}

/// Returns what may stand where the cursor is: at the head anything, after it what belongs there.
fn candidates(state: &State, store: &Store, kept: &str, word: &str) -> Vec<Suggestion> {
    if word.starts_with('@') {
        return contexts(state);
    }
    if word.starts_with('/') || word.starts_with('-') {
        return Vec::new();
    }
    let mut words = kept.split_whitespace();
    let Some(head) = words.next() else {
        let mut all = heads(state);
        // What may not be done is not offered; typed whole, its plan names the right that is missing.
        let denied: BTreeSet<&str> = Command::ALL
            .iter()
            .filter(|command| state.missing_right(store, **command).is_some())
            .map(|command| command.name())
            .collect();
        all.retain(|one| one.sort != Sort::Command || !denied.contains(one.line.as_str()));
        if word.chars().count() >= 2 {
            all.extend(names(state, store));
        }
        return all;
    };
    match (head, words.next_back().unwrap_or(head)) {
        (_, "@") | ("ctx" | "context" | "contexts", _) => contexts(state),
        ("theme" | "themes", _) => {
            state.themes.iter().map(|name| Suggestion::new(Sort::Theme, name, name, "theme")).collect()
        }
        ("board" | "boards", _) => state
            .boards
            .iter()
            .map(|board| Suggestion::new(Sort::Board, &*board.name, &*board.name, &*board.about))
            .collect(),
        ("logs", _) => crate::config::queries::all(&state.config)
            .into_iter()
            .map(|one| Suggestion::new(Sort::Command, one.name.clone(), one.name, one.title))
            .collect(),
        (_, "-t") | ("tenant", _) => tenants(state),
        (_, "-n") | ("ns" | "namespace", _) => namespace_suggestions(state, store),
        (_, last) if last == head && state.kinds.find(head).is_some_and(|kind| kind.namespaced) => {
            namespace_suggestions(state, store)
        }
        _ => Vec::new(),
    }
}

/// Returns everything that a line may begin with, except names of objects.
pub fn heads(state: &State) -> Vec<Suggestion> {
    let mut all: Vec<Suggestion> = state
        .kinds
        .iter()
        .map(|kind| {
            let plural = kind.resource.plural.to_string();
            // Two groups may have the same plural: the second is named with its group.
            let line = match state.kinds.find(&plural) {
                Some(first) if first.resource == kind.resource => plural,
                _ => kind.resource.to_string(),
            };
            let shorts: Vec<&str> = kind.shorts.iter().map(|short| &**short).collect();
            Suggestion::new(Sort::Kind, line.clone(), line, shorts.join(" "))
        })
        .collect();
    let others = state.served.iter().filter(|resource| state.kinds.get(resource).is_none());
    all.extend(others.map(|resource| {
        Suggestion::new(Sort::Kind, resource.to_string(), resource.to_string(), "as the server lists it")
    }));
    all.extend(tenants(state));
    let commands = Command::ALL.iter().filter(|command| {
        matches!(command.place(), Place::Verb | Place::Global | Place::Always | Place::Object)
            && command.tenant().is_none()
            && **command != Command::Palette
    });
    all.extend(commands.map(|command| {
        let key = state.keymap.label(*command).unwrap_or_default();
        Suggestion::new(Sort::Command, command.name(), command.name(), key)
    }));
    if matches!(state.view(), Some(View::Explore(_))) {
        all.push(Suggestion::new(Sort::Command, "save", "save", "save FILE: the lines of this log"));
    }
    for (word, hint) in [
        ("ctx", "context"),
        ("theme", "theme"),
        ("ns", "namespace"),
        ("tenant", "tenant"),
        ("board", "graphs"),
        ("logs", "a saved query to Loki, or one that is typed"),
    ] {
        all.push(Suggestion::new(Sort::Command, word, word, format!("{word} NAME: {hint}")));
    }
    all
}

fn tenants(state: &State) -> Vec<Suggestion> {
    state
        .tenants
        .names()
        .iter()
        .map(|name| Suggestion::new(Sort::Tenant, name.to_string(), name.to_string(), "tenant"))
        .collect()
}

fn contexts(state: &State) -> Vec<Suggestion> {
    state
        .session
        .contexts
        .iter()
        .map(|one| {
            let name = one.context.as_str();
            Suggestion::new(Sort::Context, name, name, one.environment.word())
        })
        .collect()
}

fn namespace_suggestions(state: &State, store: &Store) -> Vec<Suggestion> {
    namespaces(state, store)
        .iter()
        .map(|name| {
            let tenant = state.tenancy.of_namespace(name).map_or("", |tenant| tenant);
            Suggestion::new(Sort::Namespace, name.to_string(), name.to_string(), tenant)
        })
        .collect()
}

/// Returns the namespaces that are known, in order; where they may not be listed, those that hold pods.
pub fn namespaces(state: &State, store: &Store) -> Vec<Text> {
    let Some(context) = &state.session.context else { return Vec::new() };
    let mut names: BTreeSet<Text> = BTreeSet::new();
    if let Some(shelf) = store.shelf(&Query::all(context, &Resource::new("", "namespaces"))) {
        names.extend(shelf.iter().map(|(_, object)| object.meta.name.clone()));
    }
    if names.is_empty()
        && let Some(shelf) = store.shelf(&Query::all(context, &Resource::new("", "pods")))
    {
        names.extend(shelf.namespaces().cloned());
    }
    names.into_iter().collect()
}

/// Returns the objects whose names are suggested: those of every kept list that is not too long.
fn names(state: &State, store: &Store) -> Vec<Suggestion> {
    objects(state, store)
        .map(|object| {
            let singular = state.kinds.get(&object.resource).map_or("", |kind| &kind.singular).to_owned();
            let hint = match &object.namespace {
                Some(namespace) => format!("{singular} in {namespace}"),
                None => singular,
            };
            let line = match &object.namespace {
                Some(namespace) => format!("{}/{} -n {namespace}", object.resource, object.name),
                None => format!("{}/{}", object.resource, object.name),
            };
            Suggestion::new(Sort::Name, line, object.name.to_string(), hint)
        })
        .collect()
}

fn objects<'a>(state: &'a State, store: &'a Store) -> impl Iterator<Item = ObjectRef> + 'a {
    let open = state.session.context.as_ref();
    store
        .shelves()
        .filter(move |(query, shelf)| Some(&query.context) == open && shelf.len() <= LOOKED_AT)
        // Events have names that nobody knows, and the same object is not offered twice.
        .filter(|(query, _)| query.is_everything() && &*query.resource.plural != "events")
        .flat_map(|(query, shelf)| {
            shelf.iter().map(|(_, object)| ObjectRef {
                context: query.context.clone(),
                resource: query.resource.clone(),
                namespace: object.meta.namespace.clone(),
                name: object.meta.name.clone(),
            })
        })
        .take(LOOKED_AT)
}

/// Returns the object of a name, Applications first, where it is the only one.
pub fn object_named(state: &State, store: &Store, name: &str) -> Option<ObjectRef> {
    let mut found: Vec<ObjectRef> = objects(state, store).filter(|object| &*object.name == name).collect();
    if found.len() > 1 {
        found.retain(|object| &*object.resource.plural == "applications");
    }
    match found.as_slice() {
        [one] => Some(one.clone()),
        _ => None,
    }
}

/// Ranks candidates: whole names first, then by how well the letters fit; short names of kinds count as names.
fn rank(candidates: Vec<Suggestion>, sought: &str) -> Vec<Suggestion> {
    if sought.is_empty() {
        return candidates.into_iter().take(SHOWN).collect();
    }
    let mut matcher = Matcher::new(Config::DEFAULT);
    let pattern = Pattern::new(sought, CaseMatching::Ignore, Normalization::Smart, AtomKind::Fuzzy);
    let mut letters = Vec::new();
    let mut ranked: Vec<(u32, Suggestion)> = candidates
        .into_iter()
        .filter_map(|mut one| {
            let mut matched = Vec::new();
            let fit = pattern.indices(Utf32Str::new(&one.text, &mut letters), &mut matcher, &mut matched);
            let short = one.sort == Sort::Kind && one.hint.split(' ').any(|short| short == sought);
            let bonus = match () {
                () if one.text == sought || short => 10_000,
                () if one.text.starts_with(sought) => 1_000,
                () => 0,
            };
            // Among equals the short word wins: `pods` before `poddisruptionbudgets` for `pod`.
            let length = u32::try_from(one.text.len()).unwrap_or(0).min(99);
            let score = (fit.or(short.then_some(0))? * 10 + bonus * 10).saturating_sub(length);
            one.matched = matched;
            Some((score + sort_bonus(one.sort), one))
        })
        .collect();
    ranked.sort_by(|a, b| b.0.cmp(&a.0).then_with(|| a.1.text.cmp(&b.1.text)));
    ranked.into_iter().take(SHOWN).map(|(_, one)| one).collect()
}

/// Kinds and tenants are what is sought most.
const fn sort_bonus(sort: Sort) -> u32 {
    match sort {
        Sort::Kind => 60,
        Sort::Tenant => 50,
        Sort::Context | Sort::Namespace | Sort::Theme | Sort::Board => 40,
        Sort::Command => 20,
        Sort::Name => 0,
    }
}
