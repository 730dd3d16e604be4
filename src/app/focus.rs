//! What has the keys: where on the screen one is, what is selected, and which commands apply there now.
//!
//! Keys, footer, help and palette ask the same two questions, [`State::places`] and [`State::applies`], so that
//! none of them promises what another refuses.

use crate::actions::{LeftOut, Verb};
use crate::app::application::Pane;
use crate::app::command::{Command, Place};
use crate::app::detail::{Entry, Search, Tab};
use crate::app::history::View;
use crate::app::line::Line;
use crate::app::overview::{Overview, Panel};
use crate::app::question::Field;
use crate::app::state::{Overlay, State};
use crate::app::table::Table;
use crate::human;
use crate::identity::{ObjectRef, Resource, Target, Text};
use crate::keymap::Chord;
use crate::kinds::applications::{Application, Operation};
use crate::kinds::{Kind, alerts};
use crate::signals::Raised;
use crate::store::Store;

impl State {
    /// Returns the view that is shown.
    pub fn view(&self) -> Option<&View> {
        self.views.last()
    }

    /// Returns where keys are looked up, the nearest place first.
    pub fn places(&self) -> &'static [Place] {
        self.places_below(self.overlay.as_ref())
    }

    /// Returns the same as it is below an overlay, or without one.
    fn places_below(&self, overlay: Option<&Overlay>) -> &'static [Place] {
        use Place::{
            Actions, Always, Application, Board, Columns, Global, Input, Lines, List, Logs, Object, Plan,
            Table, Text, Verb,
        };
        match overlay {
            Some(Overlay::Palette(_)) => return &[Input, Always],
            Some(Overlay::Question(_)) if self.is_typing() => return &[Plan, Input, Always],
            Some(Overlay::Question(_)) => return &[Plan, Always],
            Some(Overlay::Help(_)) if !self.is_typing() => return &[Text, List, Global, Always],
            Some(Overlay::Help(_)) | None => {}
        }
        // What is typed in an overlay is not typed in the view beneath it.
        if overlay.is_some() == self.overlay.is_some() && self.is_typing() {
            return &[Input, Always];
        }
        match self.view() {
            Some(View::Overview(_)) => &[Verb, Table, Object, List, Global, Always],
            Some(View::Table(table)) if table.chooser.is_some() => &[Columns, List, Global, Always],
            Some(View::Table(_)) => &[Verb, Object, Table, List, Global, Always],
            Some(View::Detail(_)) => &[Verb, Text, Object, List, Global, Always],
            Some(View::Application(_)) => &[Application, Verb, Object, List, Global, Always],
            Some(View::Explore(_)) => &[Lines, Logs, Text, List, Global, Always],
            Some(View::Board(_)) => &[Board, List, Global, Always],
            Some(View::Actions(_)) => &[Actions, Verb, List, Global, Always],
            Some(View::Boards(_) | View::Info(_)) | None => &[List, Global, Always],
        }
    }

    /// Tells whether letters go into a line.
    pub fn is_typing(&self) -> bool {
        self.line().is_some()
    }

    /// Returns the line that is being typed.
    pub fn line(&self) -> Option<&Line> {
        match &self.overlay {
            Some(Overlay::Palette(palette)) => return Some(&palette.line),
            Some(Overlay::Question(question)) => {
                return match question.field {
                    Field::Reason => Some(&question.reason),
                    Field::Answer => question.must_type().map(|_| &question.typed),
                };
            }
            Some(Overlay::Help(page)) => return page.search.editing.as_ref(),
            None => {}
        }
        match self.view()? {
            View::Overview(overview) => overview.filter.editing.as_ref(),
            View::Table(table) => table.filter.editing.as_ref(),
            View::Board(board) => board.prompt.as_ref().map(|prompt| &prompt.line),
            View::Explore(view) if view.editing.is_some() => view.editing.as_ref().map(|(_, line)| line),
            view => search_of(view)?.editing.as_ref(),
        }
    }

    /// Returns the line that is being typed, to be changed.
    pub fn line_mut(&mut self) -> Option<&mut Line> {
        match &mut self.overlay {
            Some(Overlay::Palette(palette)) => return Some(&mut palette.line),
            Some(Overlay::Question(question)) => {
                return match question.field {
                    Field::Reason => Some(&mut question.reason),
                    Field::Answer => question.must_type().is_some().then_some(&mut question.typed),
                };
            }
            Some(Overlay::Help(page)) => return page.search.editing.as_mut(),
            None => {}
        }
        match self.views.last_mut()? {
            View::Overview(overview) => overview.filter.editing.as_mut(),
            View::Table(table) => table.filter.editing.as_mut(),
            View::Board(board) => board.prompt.as_mut().map(|prompt| &mut prompt.line),
            View::Explore(view) => match &mut view.editing {
                Some((_, line)) => Some(line),
                None => view.page.search.editing.as_mut(),
            },
            view => search_of_mut(view)?.editing.as_mut(),
        }
    }

    /// Returns what a key means here and now.
    pub fn meaning(&self, store: &Store, chord: Chord) -> Option<Command> {
        self.meaning_below(self.overlay.as_ref(), store, chord)
    }

    fn meaning_below(&self, overlay: Option<&Overlay>, store: &Store, chord: Chord) -> Option<Command> {
        // While a name or a reason is typed, its letters are not keys of the question.
        let typed = chord.types().is_some() && self.is_typing();
        let applies = |command: Command| {
            !(typed && command.place() == Place::Plan) && self.applies_below(overlay, store, command)
        };
        self.keymap.command(chord, self.places_below(overlay), applies)
    }

    /// Returns the key to show for a command: the first of its keys that means it here and now.
    pub fn key_label(&self, store: &Store, command: Command) -> Option<String> {
        let keys = self.keymap.keys(command);
        let live = keys.iter().find(|key| self.meaning(store, **key) == Some(command));
        live.or(keys.first()).map(ToString::to_string)
    }

    /// Returns the commands that apply here and now and have a key, the most particular first.
    pub fn hints(&self, store: &Store) -> Vec<Command> {
        // What everybody knows needs no place in the footer; help has it.
        let known = |command: Command| {
            matches!(command.place(), Place::Always)
                || command.tenant().is_some()
                || matches!(
                    command,
                    Command::Window15m
                        | Command::Window1h
                        | Command::Window3h
                        | Command::Window12h
                        | Command::Window24h
                        | Command::Window7d
                        | Command::TimeEarlier
                        | Command::TimeLater
                )
                || (command.place() == Place::List && command != Command::Open)
                || (command.place() == Place::Input
                    && !matches!(command, Command::Submit | Command::Cancel | Command::Complete))
                || matches!(
                    command,
                    Command::PlanUp
                        | Command::HistoryBack
                        | Command::HistoryForward
                        | Command::PreviousPanel
                        | Command::LastView
                        | Command::Record
                )
        };
        let offered = |command: &Command| !known(*command) && self.offers(store, *command);
        self.available(store).into_iter().filter(offered).collect()
    }

    /// Tells whether the footer should name a command that applies. One that will be refused is not named; its
    /// key still works, so that the plan can say why.
    fn offers(&self, store: &Store, command: Command) -> bool {
        if command == Command::Open {
            // In the history enter does what `rollback` does, which is named already.
            return !matches!(self.view(), Some(View::Application(app)) if app.pane == Pane::History);
        }
        let Some(verb) = command.verb() else { return true };
        if self.session.readonly.is_some()
            || self.hides_all(store, command)
            || self.missing_right(store, command).is_some()
        {
            return false;
        }
        let busy = |target: &Target| {
            let application = store.object(&target.object).and_then(|object| object.body::<Application>());
            application
                .and_then(|application| application.operation.as_ref())
                .is_some_and(Operation::is_running)
        };
        !matches!(verb, Verb::Sync | Verb::Rollback) || !self.in_sight(store, command).iter().any(busy)
    }

    /// Names the right that a command of a verb needs here and that is surely missing.
    pub fn missing_right(&self, store: &Store, command: Command) -> Option<String> {
        let verb = command.verb()?;
        let targets = self.in_sight(store, command);
        targets.iter().find_map(|target| super::verbs::missing(store, verb, &target.object))
    }

    /// Returns every command that applies here and now and has a key that means it, in the order of the places.
    pub fn available(&self, store: &Store) -> Vec<Command> {
        self.available_below(self.overlay.as_ref(), store)
    }

    fn available_below(&self, overlay: Option<&Overlay>, store: &Store) -> Vec<Command> {
        let mut found = Vec::new();
        for place in self.places_below(overlay) {
            for command in Command::ALL.iter().filter(|command| command.place() == *place) {
                // A key may be taken by something nearer; then the footer must not promise it.
                let means = |key: &Chord| self.meaning_below(overlay, store, *key) == Some(*command);
                let reached = self.keymap.keys(*command).iter().any(means);
                if reached {
                    found.push(*command);
                }
            }
        }
        found
    }

    /// Returns the lines of help: what can be done in the view beneath, and with which keys. A heading has no
    /// keys; a sentence that is too long goes on in a line whose keys are a blank.
    pub fn help(&self, store: &Store) -> Vec<(String, String)> {
        let mut lines = Vec::new();
        let available = self.available_below(None, store);
        let (keys_width, room) = help_columns(self.size.0);
        for place in self.places_below(None) {
            let mut here = available.iter().filter(|command| command.place() == *place).peekable();
            if here.peek().is_some() {
                lines.push((String::new(), place.title().to_owned()));
            }
            for command in here {
                let keys = self.keymap.keys(*command).iter().map(ToString::to_string);
                let mut keys = keys.collect::<Vec<_>>().join(" ");
                for (at, text) in human::lines::wrapped(command.doc(), room).into_iter().enumerate() {
                    let keys = if at == 0 { std::mem::take(&mut keys) } else { " ".to_owned() };
                    // Without a key nothing would be listed here, so a heading is never mistaken for a line.
                    lines.push((fit_keys(keys, usize::from(keys_width)), text.to_owned()));
                }
                if let Some(right) = self.missing_right(store, *command) {
                    lines.push((" ".to_owned(), format!("you may not: {right}")));
                }
            }
        }
        lines
    }

    /// Tells whether a command would do anything here and now.
    pub fn applies(&self, store: &Store, command: Command) -> bool {
        self.applies_below(self.overlay.as_ref(), store, command)
    }

    fn applies_below(&self, overlay: Option<&Overlay>, store: &Store, command: Command) -> bool {
        if command.verb().is_some() {
            return !self.in_sight(store, command).is_empty() || self.hides_all(store, command);
        }
        match command.place() {
            Place::Always => return true,
            Place::Input => return self.applies_to_line(command),
            Place::Plan => return self.applies_to_question(command),
            Place::Global => return self.applies_anywhere(overlay, command),
            Place::Object => return self.applies_to_object(store, command),
            _ => {}
        }
        let Some(view) = self.view() else { return false };
        let helping = matches!(overlay, Some(Overlay::Help(_)));
        match command {
            _ if matches!(command.place(), Place::Lines | Place::Logs) => match view {
                View::Explore(view) => super::explore::commands::applies(view, command),
                _ => false,
            },
            Command::Open => !helping && self.opens(store),
            Command::Left | Command::Right => {
                matches!(view, View::Table(_) | View::Detail(_) | View::Explore(_)) && !helping
            }
            Command::Fold | Command::Unfold => self.folds(command),
            Command::Resources | Command::History | Command::Operation | Command::Conditions => {
                matches!(view, View::Application(app) if app.pane != pane(command))
            }
            Command::Filter => match view {
                View::Table(_) => true,
                View::Overview(_) => !self.tenants.names().is_empty(),
                _ => false,
            },
            Command::NextMatch | Command::PreviousMatch => {
                self.search().is_some_and(|search| !search.matches.is_empty())
            }
            Command::Mark | Command::CopyCell | Command::CopyTable => {
                matches!(view, View::Table(table) if table.selected.is_some())
            }
            Command::CopyText if !helping => !matches!(view, View::Explore(view) if view.is_empty()),
            Command::ClearMarks => matches!(view, View::Table(table) if !table.marks.is_empty()),
            Command::MarkRange => matches!(view, View::Table(table) if table.anchor.is_some()),
            Command::GroupRows => {
                matches!(view, View::Table(table) if self.kinds.get(&table.resource).is_some_and(|kind| kind.columns.iter().any(|column| column.groups)))
            }
            Command::FoldGroups => matches!(view, View::Table(table) if table.groups.count() > 0),
            Command::SortNamespace => {
                matches!(view, View::Table(table) if self.kinds.get(&table.resource).is_some_and(|kind| kind.namespaced))
            }
            Command::SortStatus => matches!(
                view,
                View::Table(table) if self.kinds.get(&table.resource).is_some_and(|kind| super::table::status_column(kind).is_some())
            ),
            Command::CopyValue => {
                matches!(view, View::Detail(detail) if detail.value(self.now).is_some()) && !helping
            }
            Command::Wrap | Command::CopyText => !helping,
            _ if command.place() == Place::Actions => {
                matches!(view, View::Actions(_)) && !helping && super::asking::steers(self, store, command)
            }
            _ if command.place() == Place::Board => {
                matches!(view, View::Board(board) if super::board::commands::applies(board, command))
                    && !helping
            }
            _ if command.place() == Place::Table => matches!(view, View::Table(_)),
            _ => true,
        }
    }

    fn applies_to_question(&self, command: Command) -> bool {
        let Some(Overlay::Question(question)) = &self.overlay else { return false };
        let verb = question.request.verb;
        match command {
            // A name is typed and then taken with Enter; a reason is not an answer.
            Command::Confirm => {
                question.field == Field::Answer
                    && question.must_type().is_none()
                    && question.plan.as_ref().is_some_and(crate::actions::Plan::can_run)
            }
            Command::ToggleDifference => {
                question.plan.as_ref().is_some_and(|plan| !plan.difference().is_empty())
            }
            Command::TogglePrune => matches!(verb, Verb::Sync | Verb::Rollback),
            Command::ToggleReview => matches!(verb, Verb::Revert | Verb::Promote),
            Command::OtherWay => matches!(verb, Verb::Rollback | Verb::Revert),
            Command::ToggleForce => matches!(verb, Verb::Sync | Verb::Drain),
            Command::ToggleDryRun | Command::ToggleApplyOnly => verb == Verb::Sync,
            Command::ToggleEmptydir | Command::CycleParallel => verb == Verb::Drain,
            Command::CycleCascade => verb == Verb::Delete,
            Command::ChangeEdit => verb == Verb::Edit,
            Command::ToggleSelected => {
                verb == Verb::Sync
                    && (!question.request.options.resources.is_empty()
                        || super::asking::selected_resource(self).is_some())
            }
            _ => true,
        }
    }

    /// Tells whether a command answers the question that is open: a yes, or enter behind a name.
    pub fn answers(&self, command: Command) -> bool {
        let Some(Overlay::Question(question)) = &self.overlay else { return false };
        match command {
            Command::Confirm => true,
            Command::Submit => question.field == Field::Answer,
            _ => false,
        }
    }

    /// Tells whether there is something to fold or unfold; what has nothing to fold leads to the one above it.
    fn folds(&self, command: Command) -> bool {
        let Some(View::Application(app)) = self.view() else { return false };
        if app.pane != Pane::Resources {
            return false;
        }
        app.tree.get(app.view().cursor).is_some_and(|node| match command {
            Command::Unfold => node.has_children && node.folded,
            _ => node.depth > 0 || (node.has_children && !node.folded),
        })
    }

    fn applies_to_line(&self, command: Command) -> bool {
        match (command, &self.overlay) {
            // Enter takes a reason always, and an answer only where one can be given.
            (Command::Submit, Some(Overlay::Question(question))) => {
                question.field == Field::Reason
                    || question.plan.as_ref().is_some_and(crate::actions::Plan::can_run)
            }
            (Command::Complete, None) => match self.view() {
                Some(View::Explore(view)) => view.editing.is_some(),
                Some(View::Board(view)) => view.prompt.is_some(),
                _ => false,
            },
            (Command::Complete, overlay) => matches!(overlay, Some(Overlay::Palette(_))),
            _ => true,
        }
    }

    fn applies_anywhere(&self, overlay: Option<&Overlay>, command: Command) -> bool {
        let (from, before, after) = self.views.ways();
        let bare = overlay.is_none();
        match command {
            Command::Back => !bare || from || self.holds_something(),
            Command::HistoryBack => !bare || before,
            Command::HistoryForward => !bare || after,
            Command::LastView => !bare || self.views.previous().is_some(),
            Command::Overview => !bare || !matches!(self.view(), Some(View::Overview(_))),
            Command::Actions => !bare || !matches!(self.view(), Some(View::Actions(_))),
            Command::Info => !bare || !matches!(self.view(), Some(View::Info(_))),
            Command::GiveBack => self.holds.over(self.now).next().is_some(),
            Command::GoOn => super::asking::left(self).next().is_some(),
            Command::Reconnect => self.session.context.is_some(),
            Command::NextPanel | Command::PreviousPanel => {
                bare && matches!(
                    self.view(),
                    Some(View::Overview(_) | View::Application(_) | View::Detail(_) | View::Board(_))
                )
            }
            Command::Help => bare,
            _ => match command.tenant() {
                Some(0) => self.scope != crate::rows::Scope::default(),
                Some(number) => self.tenant_of_key(number).is_some(),
                None => true,
            },
        }
    }

    /// Tells whether `back` would take something away before it leaves the view: a search, a filter, marks.
    fn holds_something(&self) -> bool {
        let searched = self.view().and_then(search_of).is_some_and(|search| !search.text.is_empty());
        searched
            || match self.view() {
                Some(View::Table(table)) => {
                    table.chooser.is_some() || !table.marks.is_empty() || !table.filter.text.is_empty()
                }
                Some(View::Overview(overview)) => !overview.filter.text.is_empty(),
                Some(View::Explore(view)) => {
                    view.opened || !view.marks.is_empty() || view.back.is_some() || view.stream.is_some()
                }
                _ => false,
            }
    }

    fn applies_to_object(&self, store: &Store, command: Command) -> bool {
        if command == Command::QueryLogs {
            return super::explore::commands::subject(self, store).is_some();
        }
        let Some(object) = self.selected() else { return false };
        if super::alert::is_for(&object, command) {
            // What an alert does not lead to is said when it is asked for.
            return store.object(&object).is_some();
        }
        match command {
            Command::Graph | Command::ToTenant | Command::ToWorkload | Command::ToApplication => false,
            Command::Logs | Command::PreviousLogs => self.logs_of(store, &object).is_some(),
            Command::UndoEntry => object.resource == crate::kinds::record::records(),
            Command::CopyNamespace => object.namespace.is_some(),
            Command::Owner => self.related(store, &object, "owner").is_some(),
            Command::Node => self.related(store, &object, "node").is_some(),
            Command::Describe => {
                !matches!(self.view(), Some(View::Detail(detail)) if detail.tab == Tab::Describe)
            }
            Command::Yaml => !matches!(self.view(), Some(View::Detail(detail)) if detail.tab == Tab::Yaml),
            _ => true,
        }
    }

    /// Returns what the logs of an object are those of: itself, or for an alert what it is about.
    ///
    /// Charts call an ingress and its service like the Deployment behind them.
    pub fn logs_of(&self, store: &Store, object: &ObjectRef) -> Option<ObjectRef> {
        if has_logs(&object.resource) {
            return Some(object.clone());
        }
        if object.resource != alerts::alerts() {
            return None;
        }
        let raised = store.object(object)?.body::<Raised>()?;
        let lens = self.lens(store, &object.context);
        let about = alerts::subjects(&raised.alert.labels, &lens);
        about.iter().find(|one| has_logs(&one.resource)).cloned().or_else(|| {
            about
                .iter()
                .find(|one| matches!(&*one.resource.plural, "ingresses" | "services"))
                .map(|one| ObjectRef { resource: Resource::new("apps", "deployments"), ..one.clone() })
        })
    }

    /// Returns the object that is related in a way, such as the owner.
    pub fn related(&self, store: &Store, object: &ObjectRef, relation: &str) -> Option<ObjectRef> {
        let kind = self.kinds.get(&object.resource)?;
        let found = store.object(object)?;
        let lens = self.lens(store, &object.context);
        kind.links(found, &lens).into_iter().find_map(|link| match link.to {
            crate::kinds::Leads::One(to) if link.relation == relation => Some(to),
            _ => None,
        })
    }

    /// Returns the object that is selected, or the one that is shown.
    pub fn selected(&self) -> Option<ObjectRef> {
        match self.view()? {
            View::Table(table) => table.selected.clone(),
            View::Detail(detail) => Some(detail.object.clone()),
            View::Application(app) => Some(app.selected().unwrap_or_else(|| app.object.clone())),
            View::Overview(overview) if overview.panel == Panel::Changes => self.change_object(overview),
            View::Overview(overview) if overview.panel == Panel::Held => overview.hold.clone(),
            View::Explore(view) => view.object.clone(),
            View::Overview(_) | View::Board(_) | View::Boards(_) | View::Actions(_) | View::Info(_) => None,
        }
    }

    /// Returns the object of the change that is selected in the overview.
    pub fn change_object(&self, overview: &Overview) -> Option<ObjectRef> {
        let entry = *overview.changed.get(overview.changes.cursor)?;
        self.timeline.entries().get(entry)?.object.clone()
    }

    /// Tells whether `enter` leads somewhere.
    fn opens(&self, store: &Store) -> bool {
        match self.view() {
            Some(View::Detail(detail)) => {
                matches!(detail.entries.get(detail.describe.view.cursor), Some(Entry::Related { .. }))
                    && detail.tab == Tab::Describe
            }
            Some(View::Application(app)) => match app.pane {
                Pane::Resources => app.selected().is_some(),
                Pane::History => !self.in_sight(store, Command::Rollback).is_empty(),
                Pane::Operation | Pane::Conditions => false,
            },
            Some(View::Overview(overview)) => match overview.panel {
                Panel::Tenants => overview.selected.is_some(),
                Panel::Changes => self.change_object(overview).is_some(),
                Panel::Held => overview.hold.is_some(),
            },
            Some(View::Table(table)) => table.selected.is_some() || table.groups.selected().is_some(),
            Some(View::Board(board)) => !board.large && !board.board.panels.is_empty(),
            Some(View::Boards(_)) => !self.boards.is_empty(),
            Some(View::Explore(view)) => !view.is_empty(),
            Some(View::Actions(_) | View::Info(_)) | None => false,
        }
    }

    /// Returns what a verb would be done to: the marked rows, else what is selected, else the Application that
    /// is shown; empty where the verb does not apply. Each is captured by identity here and now.
    pub fn targets(&self, store: &Store, command: Command) -> Vec<Target> {
        self.meant(store, command, |table, kind| table.marked(store, kind).0)
    }

    /// Returns some of them, by which it is decided whether the verb is offered.
    pub(super) fn in_sight(&self, store: &Store, command: Command) -> Vec<Target> {
        self.meant(store, command, |table, kind| table.in_sight(store, kind))
    }

    fn meant(
        &self,
        store: &Store,
        command: Command,
        marked: impl Fn(&Table, &Kind) -> Vec<ObjectRef>,
    ) -> Vec<Target> {
        let objects: Vec<ObjectRef> = match self.view() {
            // What is marked and not shown is not touched: nobody sees it.
            Some(View::Table(table)) if !table.marks.is_empty() => {
                let Some(kind) = self.kinds.get(&table.resource) else { return Vec::new() };
                marked(table, kind)
            }
            Some(View::Application(app)) => {
                let selected = app.selected();
                let own = selected.filter(|object| self.verb_fits(store, command, object));
                vec![own.unwrap_or_else(|| app.object.clone())]
            }
            Some(View::Table(_) | View::Detail(_)) => self.selected().into_iter().collect(),
            // There one gives back what is held; to edit or delete an Application one opens it.
            Some(View::Overview(_)) if matches!(command, Command::Edit | Command::Delete) => Vec::new(),
            Some(View::Overview(overview)) if overview.panel == Panel::Held => {
                overview.hold.clone().into_iter().collect()
            }
            // A tenant goes back with all that it has.
            Some(View::Overview(overview))
                if overview.panel == Panel::Tenants && command == Command::Rollback =>
            {
                let tenant = overview.selected.as_ref();
                tenant.map(|tenant| super::asking::retreat(self, store, tenant).going).unwrap_or_default()
            }
            // What lasts after a rollback is the revert in Git, and then auto-sync is given back.
            Some(View::Actions(_)) if matches!(command, Command::Revert | Command::ReleaseAutosync) => {
                super::asking::gone_back(self)
            }
            _ => Vec::new(),
        };
        if !objects.iter().all(|object| self.verb_fits(store, command, object)) {
            return Vec::new();
        }
        objects.into_iter().filter_map(|object| target(store, object)).collect()
    }

    /// Names what is marked and hidden, and therefore not among the targets of a verb; `None` where nothing is.
    pub fn left_out(&self, store: &Store) -> Option<LeftOut> {
        let Some(View::Table(table)) = self.view() else { return None };
        let kind = self.kinds.get(&table.resource)?;
        let (_, hidden) = table.marked(store, kind);
        let by = match table.filter.text.as_str() {
            "" => "the tenant or namespace that is looked at, or a folded group".to_owned(),
            filter => format!("the filter {filter:?}"),
        };
        let names = hidden.iter().map(|object| match &object.namespace {
            Some(namespace) => format!("{namespace}/{}", object.name),
            None => object.name.to_string(),
        });
        LeftOut::new(by, names)
    }

    /// Tells whether a verb would apply to what is marked, were any of it shown: then its key says so.
    fn hides_all(&self, store: &Store, command: Command) -> bool {
        let Some(View::Table(table)) = self.view() else { return false };
        let (Some(kind), Some(verb)) = (self.kinds.get(&table.resource), command.verb()) else {
            return false;
        };
        if table.marks.is_empty() || !super::verbs::is_for(verb, kind) {
            return false;
        }
        table.hides_all_marked(store, kind)
    }

    /// Tells whether a verb is for objects of this type, and would change anything about this one.
    fn verb_fits(&self, store: &Store, command: Command, object: &ObjectRef) -> bool {
        let Some(verb) = command.verb() else { return false };
        let Some(kind) = self.kinds.get(&object.resource) else { return false };
        super::verbs::is_for(verb, kind)
            && store.object(object).is_some_and(|found| super::verbs::would_change(verb, found))
    }

    /// Returns the search of what is shown.
    pub fn search(&self) -> Option<&Search> {
        if let Some(Overlay::Help(page)) = &self.overlay {
            return Some(&page.search);
        }
        search_of(self.view()?)
    }

    /// Returns the search of what is shown, to be changed.
    pub fn search_mut(&mut self) -> Option<&mut Search> {
        if let Some(Overlay::Help(page)) = &mut self.overlay {
            return Some(&mut page.search);
        }
        search_of_mut(self.views.last_mut()?)
    }

    /// Returns the tenant of a number key: the tenants in alphabetical order, counted from 1.
    pub fn tenant_of_key(&self, number: usize) -> Option<&Text> {
        self.tenants.names().get(number.checked_sub(1)?)
    }
}

/// Returns the cells that help has for keys and for sentences, on a screen of a width.
pub fn help_columns(width: u16) -> (u16, usize) {
    let inner = width.saturating_sub(4).min(110).saturating_sub(4);
    let keys = (inner / 4).clamp(8, 18);
    (keys, usize::from(inner.saturating_sub(keys + 3)).max(16))
}

/// Leaves out the last keys of a command where not all fit: the first is the one to know.
fn fit_keys(mut keys: String, room: usize) -> String {
    while human::lines::width(&keys) > room
        && let Some(at) = keys.trim_end().rfind(' ')
    {
        keys.truncate(at);
    }
    keys
}

fn pane(command: Command) -> Pane {
    match command {
        Command::History => Pane::History,
        Command::Operation => Pane::Operation,
        Command::Conditions => Pane::Conditions,
        _ => Pane::Resources,
    }
}

/// Captures an object as it is known now, to be changed.
pub fn target(store: &Store, object: ObjectRef) -> Option<Target> {
    let meta = &store.object(&object)?.meta;
    Some(Target { uid: meta.uid.clone(), resource_version: meta.resource_version.clone(), object })
}

fn search_of(view: &View) -> Option<&Search> {
    match view {
        View::Detail(detail) => Some(&detail.page().search),
        View::Explore(view) => Some(&view.page.search),
        _ => None,
    }
}

fn search_of_mut(view: &mut View) -> Option<&mut Search> {
    match view {
        View::Detail(detail) => Some(&mut detail.page_mut().search),
        View::Explore(view) => Some(&mut view.page.search),
        _ => None,
    }
}

/// Tells whether things of a type have logs: pods, and what makes pods.
fn has_logs(resource: &Resource) -> bool {
    matches!(
        (&*resource.group, &*resource.plural),
        ("", "pods")
            | ("apps", "deployments" | "statefulsets" | "daemonsets" | "replicasets")
            | ("batch", "jobs")
    )
}
