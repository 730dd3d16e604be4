//! Commands: everything a key, the palette or the mouse can ask for, each described once.
//!
//! Keymap files, footer, help and the registry tests follow from this table. A command that would change a
//! remote system only opens its question; the answer to the question ([`Command::Confirm`]) is the one that
//! leads to a write, and it exists only while a plan is on screen.

use crate::actions::Verb;

/// Where a command can be given; also the section of the keymap file that binds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Place {
    /// Everywhere, even while typing.
    Always,
    /// Everywhere, except while typing.
    Global,
    /// Wherever there are rows or lines to move over.
    List,
    /// In a table of a kind, and in the ranking of tenants.
    Table,
    /// Where an object is selected or shown.
    Object,
    /// Where an object is selected or shown that the verb can be applied to.
    Verb,
    /// In the view of an Application.
    Application,
    /// In text: documents, logs, help.
    Text,
    /// In logs.
    Logs,
    /// In log lines, of Loki or of pods.
    Lines,
    /// In a board.
    Board,
    /// In the list of this session's actions.
    Actions,
    /// In the question that a plan asks.
    Plan,
    /// In the chooser of columns.
    Columns,
    /// While a line is typed.
    Input,
}

impl Place {
    /// Every place, in the order of help.
    pub const ALL: [Self; 15] = [
        Self::Verb,
        Self::Object,
        Self::Table,
        Self::Application,
        Self::Lines,
        Self::Logs,
        Self::Board,
        Self::Text,
        Self::List,
        Self::Actions,
        Self::Plan,
        Self::Columns,
        Self::Input,
        Self::Global,
        Self::Always,
    ];

    /// Returns the heading in help.
    pub const fn title(self) -> &'static str {
        match self {
            Self::Always => "Always",
            Self::Global => "Everywhere",
            Self::List => "Moving",
            Self::Table => "Table",
            Self::Object => "What is selected",
            Self::Verb => "Changes (each asks first)",
            Self::Application => "Application",
            Self::Text => "Text",
            Self::Logs => "Logs",
            Self::Lines => "Log lines",
            Self::Board => "Board",
            Self::Actions => "Actions of this session",
            Self::Plan => "Question",
            Self::Columns => "Columns",
            Self::Input => "Typing",
        }
    }

    /// Returns the name of its section in keymap files.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Always => "always",
            Self::Global => "global",
            Self::List => "list",
            Self::Table => "table",
            Self::Object => "object",
            Self::Verb => "verb",
            Self::Application => "application",
            Self::Text => "text",
            Self::Logs => "logs",
            Self::Lines => "lines",
            Self::Board => "board",
            Self::Actions => "actions",
            Self::Plan => "plan",
            Self::Columns => "columns",
            Self::Input => "input",
        }
    }
}

macro_rules! commands {
    ($($place:ident { $($(#[doc = $doc:literal])+ $command:ident = $name:literal, $label:literal;)+ })+) => {
        /// Something a person can ask the console to do.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Command { $($($(#[doc = $doc])+ $command,)+)+ }

        impl Command {
            /// Every command, in the order of help.
            pub const ALL: &'static [Command] = &[$($(Command::$command,)+)+];

            /// Returns the name that keymap files and the palette use.
            pub const fn name(self) -> &'static str {
                match self { $($(Command::$command => $name,)+)+ }
            }

            /// Returns the word or two that stand in the footer.
            pub const fn label(self) -> &'static str {
                match self { $($(Command::$command => $label,)+)+ }
            }

            /// Returns the sentence that stands in help.
            pub fn doc(self) -> &'static str {
                match self { $($(Command::$command => concat!($($doc),+),)+)+ }.trim()
            }

            /// Returns where the command can be given.
            pub const fn place(self) -> Place {
                match self { $($(Command::$command => Place::$place,)+)+ }
            }
        }
    };
}

commands! {
    Verb {
        /// Compares the Application with Git again.
        Refresh = "refresh", "refresh";
        /// Compares the Application with Git again and drops the manifest cache.
        HardRefresh = "hard-refresh", "hard refresh";
        /// Syncs the Application.
        Sync = "sync", "sync";
        /// Rolls the Application back to an entry of its history; on a tenant all its Applications, each to the entry
        /// before its present.
        Rollback = "rollback", "roll back";
        /// Puts the version before back in the Application's Git repository.
        Revert = "revert", "revert in Git";
        /// Copies the version of one environment to another in the Application's Git repository.
        Promote = "promote", "promote";
        /// Terminates the running operation of the Application.
        Terminate = "terminate", "terminate";
        /// Switches auto-sync off and remembers exactly what it was.
        HoldAutosync = "hold-autosync", "hold auto-sync";
        /// Gives auto-sync back exactly as it was.
        ReleaseAutosync = "release-autosync", "release auto-sync";
        /// Deletes the pod.
        DeletePod = "delete-pod", "delete";
        /// Restarts the workload.
        Restart = "restart", "restart";
        /// Changes how many pods the workload has.
        Scale = "scale", "scale";
        /// Gives the workload the pod template of an earlier revision.
        RolloutUndo = "rollout-undo", "undo rollout";
        /// Pauses the rollout of the Deployment, or the scaling of KEDA's `ScaledObject`.
        Pause = "pause", "pause";
        /// Suspends the `CronJob` or the Job.
        SuspendJob = "suspend-job", "suspend";
        /// Lets go on what is paused or suspended.
        Resume = "resume", "resume";
        /// Gives a container of the workload another image.
        SetImage = "set-image", "image";
        /// Changes the fewest and the most pods of the autoscaler.
        SetBounds = "set-bounds", "bounds";
        /// Runs the `CronJob` now.
        RunJob = "run-job", "run now";
        /// Opens the object in an editor; what is changed there is planned before it is written.
        Edit = "edit", "edit";
        /// Deletes the object; its name must be typed.
        Delete = "delete", "delete";
        /// Takes a pod away that does not end because its node is dead; its name must be typed.
        ForceDelete = "force-delete", "force";
        /// Marks the node unschedulable.
        Cordon = "cordon", "cordon";
        /// Marks the node schedulable.
        Uncordon = "uncordon", "uncordon";
        /// Evicts the pods of the node, through their budgets.
        Drain = "drain", "drain";
        /// Asks Karpenter to leave the node alone.
        Protect = "protect", "protect";
        /// Lets Karpenter take the node away again.
        Unprotect = "unprotect", "unprotect";
        /// Deletes the NodeClaim: Karpenter replaces the machine.
        DeleteNodeclaim = "delete-nodeclaim", "delete";
        /// Has the Certificate issued anew.
        Renew = "renew", "renew";
        /// Keeps the alert quiet for a while.
        Silence = "silence", "silence";
        /// Makes the silence longer.
        ExtendSilence = "extend-silence", "extend";
        /// Ends the silence.
        ExpireSilence = "expire-silence", "expire";
        /// Rotates the secret, and follows it to the last pod that uses it.
        Rotate = "rotate", "rotate";
        /// Has External Secrets bring the secret again.
        RefreshSecret = "refresh-secret", "refresh";
        /// Brings the previous version of the secret back.
        RestoreSecret = "restore-secret", "previous version";
        /// Goes on with a rotation from where it is.
        ResumeRotation = "resume-rotation", "go on";
        /// Shows one key of the Secret on the screen, for half a minute.
        Reveal = "reveal", "reveal";
    }
    Object {
        /// Shows the fields that matter, conditions, events and related things.
        Describe = "describe", "describe";
        /// Shows the whole object as YAML.
        Yaml = "yaml", "yaml";
        /// Shows the logs of the pod, of all pods of the workload, or of what an alert is about around its time.
        Logs = "logs", "logs";
        /// Shows what Loki has of it: of a tenant, workload, pod, or around an alert.
        QueryLogs = "query-logs", "logs in Loki";
        /// Shows the logs of the previous life of the containers.
        PreviousLogs = "previous-logs", "previous logs";
        /// Shows what the rule of an alert measures, around the time when the alert began, with the line at which it
        /// fires.
        Graph = "graph", "graph";
        /// Goes to the tenant of an alert.
        ToTenant = "to-tenant", "tenant";
        /// Goes to the workload that an alert is about, or else to the pod, node or volume.
        ToWorkload = "to-workload", "workload";
        /// Goes to the Application that manages what an alert is about.
        ToApplication = "to-application", "application";
        /// Goes to the owner.
        Owner = "owner", "owner";
        /// Goes to the node.
        Node = "node", "node";
        /// Takes back what an entry of the record did: asks first, as every change does.
        UndoEntry = "undo-entry", "undo";
        /// Copies the name.
        CopyName = "copy-name", "copy";
        /// Copies the namespace.
        CopyNamespace = "copy-namespace", "copy namespace";
    }
    Table {
        /// Filters the rows.
        Filter = "filter", "filter";
        /// Marks the row, or takes the mark away.
        Mark = "mark", "mark";
        /// Marks the rows from the last mark to here.
        MarkRange = "mark-range", "mark range";
        /// Takes all marks away.
        ClearMarks = "clear-marks", "clear marks";
        /// Sorts by the column to the left.
        SortLeft = "sort-left", "sort left";
        /// Sorts by the column to the right.
        SortRight = "sort-right", "sort right";
        /// Turns the order round.
        SortInvert = "sort-invert", "invert sort";
        /// Sorts by name.
        SortName = "sort-name", "sort by name";
        /// Sorts by namespace.
        SortNamespace = "sort-namespace", "sort by namespace";
        /// Sorts by status.
        SortStatus = "sort-status", "sort by status";
        /// Sorts by age.
        SortAge = "sort-age", "sort by age";
        /// Groups the rows by the next column that they can be grouped by, and then no more.
        GroupRows = "group-rows", "group";
        /// Opens all groups, or folds them.
        FoldGroups = "fold-groups", "fold groups";
        /// Shows all columns, or only those that fit.
        Wide = "wide", "wide";
        /// Chooses and orders the columns.
        ChooseColumns = "choose-columns", "columns";
        /// Copies the cell of the sorted column.
        CopyCell = "copy-cell", "copy cell";
        /// Copies the marked rows, or all that are shown, as a table.
        CopyTable = "copy-table", "copy table";
    }
    Application {
        /// Folds the resource.
        Fold = "fold", "fold";
        /// Unfolds the resource.
        Unfold = "unfold", "unfold";
        /// Shows the resources.
        Resources = "resources", "resources";
        /// Shows the history.
        History = "history", "history";
        /// Shows the operation with its results.
        Operation = "operation", "operation";
        /// Shows conditions, sync windows, and who would undo a manual change.
        Conditions = "conditions", "conditions";
    }
    Logs {
        /// Follows the newest line, or stops following.
        Follow = "follow", "follow";
        /// Shows the time of each line, or hides it.
        Timestamps = "timestamps", "timestamps";
        /// Switches between this and the previous life of the containers.
        TogglePrevious = "toggle-previous", "previous";
        /// Shows the next container alone, then all again.
        NextContainer = "next-container", "container";
        /// Shows all that is kept and follows it.
        SinceTail = "since-tail", "tail";
        /// Shows the last minute.
        Since1m = "since-1m", "1m";
        /// Shows the last five minutes.
        Since5m = "since-5m", "5m";
        /// Shows the last fifteen minutes.
        Since15m = "since-15m", "15m";
        /// Shows the last thirty minutes.
        Since30m = "since-30m", "30m";
        /// Shows the last hour.
        Since1h = "since-1h", "1h";
        /// Shows the last six hours.
        Since6h = "since-6h", "6h";
        /// Shows the last day.
        Since24h = "since-24h", "24h";
        /// Forgets the lines that are shown.
        ClearLog = "clear-log", "clear";
    }
    Lines {
        /// Edits the query; tab completes labels and values, up brings earlier queries.
        EditLogql = "edit-logql", "query";
        /// Shows a time that is typed: `3h`, `13:00 14:30`, `2026-11-20 14:02 +10m`, `-6h -2h`.
        LinesWindow = "lines-window", "time";
        /// Shows the lines around the selected one, unfiltered, or goes back.
        LinesAround = "lines-around", "around";
        /// Reads all the same, however much it is.
        ReadAnyway = "read-anyway", "read it";
        /// Hides the lines with an expression.
        HideLines = "hide-lines", "hide";
        /// Shows the lines with an expression alone.
        OnlyLines = "only-lines", "only";
        /// Highlights an expression.
        Highlight = "highlight", "highlight";
        /// Takes what hides and highlights away.
        ClearSieves = "clear-sieves", "show all";
        /// Folds JSON and logfmt to a few fields, or shows the lines as they are.
        FoldLines = "fold-lines", "fold";
        /// Chooses the fields that lines are folded to.
        ChooseFields = "choose-fields", "fields";
        /// Marks the line, or takes the mark away.
        MarkLine = "mark-line", "mark";
        /// Copies the marked lines, or the selected one.
        CopyLine = "copy-line", "copy";
    }
    Board {
        /// Shows a shorter time.
        ZoomIn = "zoom-in", "zoom in";
        /// Shows a longer time.
        ZoomOut = "zoom-out", "zoom out";
        /// Shows the time before.
        PanEarlier = "pan-earlier", "earlier";
        /// Shows the time after.
        PanLater = "pan-later", "later";
        /// Reads the values a little earlier.
        TimeEarlier = "time-earlier", "read earlier";
        /// Reads the values a little later.
        TimeLater = "time-later", "read later";
        /// Shows the time up to now again.
        WindowNow = "window-now", "now";
        /// Shows the last fifteen minutes.
        Window15m = "window-15m", "15m";
        /// Shows the last hour.
        Window1h = "window-1h", "1h";
        /// Shows the last three hours.
        Window3h = "window-3h", "3h";
        /// Shows the last twelve hours.
        Window12h = "window-12h", "12h";
        /// Shows the last day.
        Window24h = "window-24h", "24h";
        /// Shows the last week.
        Window7d = "window-7d", "7d";
        /// Shows a time that is typed: `3h`, `13:00 14:30`, `-6h -2h`.
        WindowOther = "window-other", "time";
        /// Changes the expression of the panel, for this view.
        EditQuery = "edit-query", "edit query";
        /// Takes the expression of the board's file again.
        ResetQuery = "reset-query", "reset query";
        /// Orders the series by last, greatest or least value, or by name.
        SortSeries = "sort-series", "sort";
    }
    Text {
        /// Searches.
        Search = "search", "search";
        /// Goes to the next match.
        NextMatch = "next-match", "next";
        /// Goes to the previous match.
        PreviousMatch = "previous-match", "previous";
        /// Wraps long lines, or lets them run out of the screen.
        Wrap = "wrap", "wrap";
        /// Copies the value of the line: a link, a label, an expression.
        CopyValue = "copy-value", "copy value";
        /// Copies the text.
        CopyText = "copy-text", "copy";
    }
    List {
        /// Goes into what is selected.
        Open = "open", "open";
        /// Moves up.
        Up = "up", "up";
        /// Moves down.
        Down = "down", "down";
        /// Moves a page up.
        PageUp = "page-up", "page up";
        /// Moves a page down.
        PageDown = "page-down", "page down";
        /// Goes to the first.
        Top = "top", "top";
        /// Goes to the last.
        Bottom = "bottom", "bottom";
        /// Moves the columns or the text to the left.
        Left = "left", "left";
        /// Moves the columns or the text to the right.
        Right = "right", "right";
    }
    Actions {
        /// Holds the drain: nothing more is evicted until it goes on.
        HoldAction = "hold-action", "hold/go on";
        /// Ends the action: nothing more is begun, and what was begun is not taken back.
        EndAction = "end-action", "end";
        /// Asks to uncordon the nodes of the drain.
        TakeBack = "take-back", "uncordon";
        /// Edits the object again with the change of before, which was not written.
        EditAgain = "edit-again", "edit again";
    }
    Plan {
        /// Runs the plan that is on screen.
        Confirm = "confirm", "run";
        /// Goes to the next field: the reason, the confirmation.
        NextField = "next-field", "next field";
        /// Also deletes what is no longer in Git, or does not.
        TogglePrune = "toggle-prune", "prune";
        /// Pushes to a branch for review, or to the tracked one.
        ToggleReview = "toggle-review", "for review";
        /// Asks for the other way of going back: in Argo CD, or in Git.
        OtherWay = "other-way", "the other way";
        /// Lets the server only pretend, or lets it do it.
        ToggleDryRun = "toggle-dry-run", "dry run";
        /// Replaces or deletes and creates where needed, or does not; a drain also evicts what nothing replaces.
        ToggleForce = "toggle-force", "force";
        /// Applies only, without hooks, or runs them.
        ToggleApplyOnly = "toggle-apply-only", "apply only";
        /// Also evicts pods whose `emptyDir` volumes are lost with them, or does not.
        ToggleEmptydir = "toggle-emptydir", "emptyDir";
        /// Chooses how many pods may be ending at a time: 1, 5, 10, 20.
        CycleParallel = "cycle-parallel", "parallel";
        /// Chooses what becomes of what hangs on the object: background, foreground, orphan.
        CycleCascade = "cycle-cascade", "cascade";
        /// Goes back to the editor with the change as it is.
        ChangeEdit = "change-edit", "edit again";
        /// Syncs the resource alone that is selected, or all again.
        ToggleSelected = "toggle-selected", "selected only";
        /// Shows the whole difference, resource by resource, or the plan again.
        ToggleDifference = "toggle-difference", "full diff";
        /// Moves the plan's lines up.
        PlanUp = "plan-up", "scroll back";
        /// Moves the plan's lines down.
        PlanDown = "plan-down", "scroll";
        /// Puts the question away; nothing was written.
        PlanCancel = "plan-cancel", "cancel";
    }
    Columns {
        /// Shows the column, or hides it.
        ColumnToggle = "column-toggle", "show/hide";
        /// Moves the column to the left.
        ColumnEarlier = "column-earlier", "move left";
        /// Moves the column to the right.
        ColumnLater = "column-later", "move right";
        /// Shows the columns as they are by default.
        ColumnReset = "column-reset", "reset";
    }
    Input {
        /// Takes the line.
        Submit = "submit", "take";
        /// Puts the line away.
        Cancel = "cancel", "cancel";
        /// Takes the completion.
        Complete = "complete", "complete";
        /// Selects the next suggestion.
        SuggestionNext = "suggestion-next", "next";
        /// Selects the previous suggestion.
        SuggestionPrevious = "suggestion-previous", "previous";
        /// Deletes the letter before the cursor.
        DeleteBack = "delete-back", "delete";
        /// Deletes the letter under the cursor.
        DeleteForward = "delete-forward", "delete forward";
        /// Deletes the word before the cursor.
        DeleteWord = "delete-word", "delete word";
        /// Empties the line.
        ClearLine = "clear-line", "clear";
        /// Moves the cursor to the left.
        CursorLeft = "cursor-left", "left";
        /// Moves the cursor to the right.
        CursorRight = "cursor-right", "right";
        /// Moves the cursor to the start.
        CursorStart = "cursor-start", "start";
        /// Moves the cursor to the end.
        CursorEnd = "cursor-end", "end";
    }
    Global {
        /// Opens the palette: kinds, names, contexts, tenants, themes, commands.
        Palette = "palette", "command";
        /// Shows the keys that apply here.
        Help = "help", "help";
        /// Goes back: clears the filter, closes, or returns to where one came from.
        Back = "back", "back";
        /// Goes back in the history of views.
        HistoryBack = "history-back", "history back";
        /// Goes forward in the history of views.
        HistoryForward = "history-forward", "history forward";
        /// Returns to the view before this one, and from there back here.
        LastView = "last-view", "last view";
        /// Goes to the next panel.
        NextPanel = "next-panel", "next panel";
        /// Goes to the previous panel.
        PreviousPanel = "previous-panel", "previous panel";
        /// Shows the overview.
        Overview = "overview", "overview";
        /// Shows the actions of this session and how they stand.
        Actions = "actions", "actions";
        /// Shows the record: what was changed from this machine, by whom, why, and how it ended.
        Record = "record", "record";
        /// Shows the board of what is selected.
        Metrics = "metrics", "metrics";
        /// Shows the list of boards.
        Boards = "boards", "boards";
        /// Asks Prometheus for an expression that is typed.
        Query = "query", "query";
        /// Gives auto-sync back where the time of a hold is over, exactly as it was.
        GiveBack = "give-back", "give auto-sync back";
        /// Goes on with a rotation that was left before its end, after a question.
        GoOn = "go-on", "go on with the rotation";
        /// Shows sources, requests, versions and files.
        Info = "info", "info";
        /// Switches the mouse on or off, so that the terminal's own selection works.
        ToggleMouse = "toggle-mouse", "mouse";
        /// Connects again and lists everything anew.
        Reconnect = "reconnect", "reconnect";
        /// Shows all tenants.
        Tenant0 = "tenant-0", "all tenants";
        /// Shows the first tenant of the header alone.
        Tenant1 = "tenant-1", "tenant 1";
        /// Shows the second tenant of the header alone.
        Tenant2 = "tenant-2", "tenant 2";
        /// Shows the third tenant of the header alone.
        Tenant3 = "tenant-3", "tenant 3";
        /// Shows the fourth tenant of the header alone.
        Tenant4 = "tenant-4", "tenant 4";
        /// Shows the fifth tenant of the header alone.
        Tenant5 = "tenant-5", "tenant 5";
        /// Shows the sixth tenant of the header alone.
        Tenant6 = "tenant-6", "tenant 6";
        /// Shows the seventh tenant of the header alone.
        Tenant7 = "tenant-7", "tenant 7";
        /// Shows the eighth tenant of the header alone.
        Tenant8 = "tenant-8", "tenant 8";
        /// Shows the ninth tenant of the header alone.
        Tenant9 = "tenant-9", "tenant 9";
    }
    Always {
        /// Quits.
        Quit = "quit", "quit";
        /// Gives the terminal back to the shell until `fg`.
        Suspend = "suspend", "suspend";
        /// Draws the whole screen again.
        Redraw = "redraw", "redraw";
    }
}

impl Command {
    /// Finds a command by the name that keymap files use.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|command| command.name() == name)
    }

    /// Returns the verb whose question the command opens.
    pub const fn verb(self) -> Option<Verb> {
        Some(match self {
            Self::Refresh => Verb::Refresh,
            Self::HardRefresh => Verb::HardRefresh,
            Self::Sync => Verb::Sync,
            Self::Rollback => Verb::Rollback,
            Self::Revert => Verb::Revert,
            Self::Promote => Verb::Promote,
            Self::Terminate => Verb::Terminate,
            Self::HoldAutosync => Verb::HoldAutosync,
            Self::ReleaseAutosync => Verb::ReleaseAutosync,
            Self::DeletePod => Verb::DeletePod,
            Self::Restart => Verb::Restart,
            Self::Scale => Verb::Scale,
            Self::RolloutUndo => Verb::RolloutUndo,
            Self::Pause => Verb::Pause,
            Self::SuspendJob => Verb::Suspend,
            Self::Resume => Verb::Resume,
            Self::SetImage => Verb::SetImage,
            Self::SetBounds => Verb::SetBounds,
            Self::RunJob => Verb::RunJob,
            Self::Edit => Verb::Edit,
            Self::Delete => Verb::Delete,
            Self::ForceDelete => Verb::ForceDelete,
            Self::Cordon => Verb::Cordon,
            Self::Uncordon => Verb::Uncordon,
            Self::Drain => Verb::Drain,
            Self::Protect => Verb::Protect,
            Self::Unprotect => Verb::Unprotect,
            Self::DeleteNodeclaim => Verb::DeleteNodeclaim,
            Self::Renew => Verb::Renew,
            Self::Silence => Verb::Silence,
            Self::ExtendSilence => Verb::ExtendSilence,
            Self::ExpireSilence => Verb::ExpireSilence,
            Self::Rotate => Verb::Rotate,
            Self::RefreshSecret => Verb::RefreshSecret,
            Self::RestoreSecret => Verb::RestoreSecret,
            Self::ResumeRotation => Verb::ResumeRotation,
            Self::Reveal => Verb::Reveal,
            _ => return None,
        })
    }

    /// Returns the number of the tenant key, 0 for all tenants.
    pub const fn tenant(self) -> Option<usize> {
        Some(match self {
            Self::Tenant0 => 0,
            Self::Tenant1 => 1,
            Self::Tenant2 => 2,
            Self::Tenant3 => 3,
            Self::Tenant4 => 4,
            Self::Tenant5 => 5,
            Self::Tenant6 => 6,
            Self::Tenant7 => 7,
            Self::Tenant8 => 8,
            Self::Tenant9 => 9,
            _ => return None,
        })
    }
}
