//! The question before anything is written, and what became of the answer.

use jiff::Timestamp;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::{Scene, head};
use crate::actions::{Line, Mark, Outcome, Plan, Progress, Standing, Step, Verb};
use crate::app::command::Command;
use crate::app::question::{Field, Question};
use crate::app::spot::{Spot, Spots};
use crate::gate::Confirmation;
use crate::human;
use crate::theme::{Role, Theme};
use crate::widgets::glyphs::Glyphs;
use crate::widgets::input::{self, Input};
use crate::widgets::pen::Pen;
use crate::widgets::{dialog, fit, gauge, notice, panel};

/// The cells of the word before a line, with the space behind it.
const WORD: usize = 8;
/// Wider than this, lines are hard to follow with the eye.
const WIDEST: u16 = 124;

/// Draws the question over `area`.
pub fn draw(buffer: &mut Buffer, area: Rect, scene: &Scene<'_>, question: &Question, spots: &mut Spots) {
    let theme = scene.theme;
    let badge = head::badge_border(scene.state.session.environment);
    let width = area.width.saturating_sub(2).min(WIDEST).max(area.width.min(8));
    let Some(plan) = &question.plan else {
        let (role, headline) = match &question.failed {
            Some(_) => (Role::Degraded, "There is no plan"),
            None => (Role::Progressing, "Making the plan"),
        };
        let outer = dialog::centred(area, width, 9);
        let inner = dialog::framed(buffer, outer, theme, phrase(question.request.verb), badge);
        spots.put(outer, Spot::Overlay);
        let why: Vec<&str> = question.failed.as_deref().into_iter().collect();
        notice::draw(buffer, inner, theme, role, headline, &why);
        return;
    };
    let columns = usize::from(width.saturating_sub(4));
    let summary = plan.summary();
    let mut rows = if question.whole {
        difference(&plan.difference(), columns)
    } else {
        rows(&summary, &plan.command, columns)
    };
    // Below the rows: a blank line, the reason, the answer.
    let below = 3;
    if !question.whole && rows.len() + 2 + usize::from(below) > usize::from(area.height) {
        // What forbids it, and what speaks against it, must not be what is out of sight.
        let (grave, rest): (Vec<Line>, Vec<Line>) =
            summary.into_iter().partition(|line| matches!(line.mark, Mark::Stop | Mark::Warn));
        let (stops, warnings): (Vec<Line>, Vec<Line>) =
            grave.into_iter().partition(|line| line.mark == Mark::Stop);
        let lines = [stops, warnings, rest].concat();
        rows = self::rows(&lines, &plan.command, columns);
    }
    let height = (rows.len() as u16).saturating_add(2 + below);
    let outer = dialog::centred(area, width, height);
    let inner = dialog::framed(buffer, outer, theme, &plan.title, badge);
    spots.put(outer, Spot::Overlay);
    let (body, foot) = panel::split_bottom(inner, below.min(inner.height.saturating_sub(1).max(1)));
    spots.fits(0, body.height);
    let hidden = rows.len().saturating_sub(usize::from(body.height));
    let top = question.top.min(hidden);
    for (y, row) in (body.y..body.bottom()).zip(rows.iter().skip(top)) {
        draw_row(buffer, Rect { y, height: 1, ..body }, theme, row);
    }
    if hidden > 0 && outer.height > 2 {
        let key = scene.state.keymap.label(Command::PlanDown);
        let key = key.map_or_else(String::new, |key| format!(", {key}"));
        let text = match hidden - top {
            0 => " end ".to_owned(),
            1 => format!(" 1 more line{key} "),
            more => format!(" {more} more lines{key} "),
        };
        let line =
            Rect { x: outer.x + 2, y: outer.bottom() - 1, width: outer.width.saturating_sub(4), height: 1 };
        Pen::new(buffer, line, "").put_right(&text, theme.style(Role::Stale));
    }
    foot_lines(buffer, foot, scene, plan, question);
}

fn foot_lines(buffer: &mut Buffer, foot: Rect, scene: &Scene<'_>, plan: &Plan, question: &Question) {
    let theme = scene.theme;
    // The answer has the last line; what there is less room for goes first.
    let (above, answer_at) = panel::split_bottom(foot, 1);
    let (above, reason_at) = panel::split_bottom(above, 1);
    let mut pen = Pen::new(buffer, answer_at, Glyphs::of(theme).ellipsis);
    if plan.stops().next().is_some() {
        pen.put("This cannot be run: see stop.", theme.style(Role::Degraded));
        return;
    }
    if !plan.can_run() {
        pen.put("Still checking; it can be answered when all checks are in.", theme.style(Role::Progressing));
        return;
    }
    let what = phrase(plan.request.verb);
    let prompt = match &plan.confirmation {
        Confirmation::Yes => format!("Type y to {what}: "),
        Confirmation::Type(name) => format!("Type {name} to {what}: "),
    };
    let left = plan.expires.as_second() - scene.state.now.as_second();
    let expiry = match left {
        ..=0 => "expired: ask again".to_owned(),
        1..=60 => format!("expires in {}", human::span(left)),
        _ => String::new(),
    };
    let note = question.note.as_deref().unwrap_or(&expiry);
    let wrong = question.note.is_some() || left <= 0;
    // A note too long to stand beside what was typed has the line above to itself.
    let beside = fit::width(&prompt) + fit::width(question.typed.text()) + 4 + fit::width(note);
    let fits = beside <= usize::from(answer_at.width);
    let answering = question.field == Field::Answer;
    let shown = if fits { note } else { "" };
    field(buffer, answer_at, theme, &prompt, &question.typed, (shown, wrong), answering);
    field(buffer, reason_at, theme, "Reason: ", &question.reason, ("", false), !answering);
    if !fits {
        let role = if wrong { Role::Degraded } else { Role::Dim };
        Pen::new(buffer, above, Glyphs::of(theme).ellipsis).put(note, theme.style(role));
    }
}

fn field(
    buffer: &mut Buffer,
    area: Rect,
    theme: &Theme,
    prompt: &str,
    line: &crate::app::line::Line,
    (note, wrong): (&str, bool),
    focused: bool,
) {
    if focused {
        let cursor = line.before_cursor().len();
        input::draw(buffer, area, theme, Input { prompt, text: line.text(), cursor, note, wrong, ghost: "" });
    } else {
        let mut pen = Pen::new(buffer, area, Glyphs::of(theme).ellipsis);
        pen.put(prompt, theme.style(Role::Dim)).put(line.text(), theme.style(Role::Text));
    }
}

/// Says what a verb does, after "to".
pub fn phrase(verb: Verb) -> &'static str {
    match verb {
        Verb::Refresh | Verb::RefreshSecret => "refresh",
        Verb::HardRefresh => "refresh without the cache",
        Verb::Sync => "sync",
        Verb::Rollback => "roll back",
        Verb::Revert => "revert in Git",
        Verb::Promote => "promote",
        Verb::Terminate => "terminate the operation",
        Verb::HoldAutosync => "hold auto-sync",
        Verb::ReleaseAutosync => "give auto-sync back",
        Verb::DeletePod | Verb::DeleteNodeclaim | Verb::Delete => "delete",
        Verb::Restart => "restart",
        Verb::Scale => "scale",
        Verb::RolloutUndo => "undo the rollout",
        Verb::Pause => "pause",
        Verb::Suspend => "suspend",
        Verb::Resume => "resume",
        Verb::SetImage => "set the image",
        Verb::SetBounds => "set the bounds",
        Verb::RunJob => "run it now",
        Verb::Edit => "write it",
        Verb::ForceDelete => "force its deletion",
        Verb::Cordon => "cordon",
        Verb::Uncordon => "uncordon",
        Verb::Drain => "drain",
        Verb::Protect => "protect",
        Verb::Unprotect => "unprotect",
        Verb::Renew => "renew",
        Verb::Silence => "silence",
        Verb::ExtendSilence => "extend",
        Verb::ExpireSilence => "expire",
        Verb::Rotate => "rotate",
        Verb::ResumeRotation => "go on",
        Verb::RestoreSecret => "go back",
        Verb::Reveal => "reveal",
        Verb::Undo => "put it back",
    }
}

/// One or two pieces side by side: a word, empty where a text goes on, and a text.
type Row = Vec<(&'static str, Role, String)>;

/// Lays the lines of a plan out for a width: short lines that belong together share a row, long ones go on
/// below.
fn rows(lines: &[Line], command: &str, width: usize) -> Vec<Row> {
    let half = width / 2;
    let mut rows: Vec<Row> = Vec::new();
    let mut lines = lines.iter().peekable();
    while let Some(line) = lines.next() {
        let pair = lines.peek().filter(|next| {
            (next.mark == line.mark || (line.mark, next.mark) == (Mark::To, Mark::From))
                && [line, *next].iter().all(|line| fit::width(&line.text) + WORD + 2 <= half)
        });
        if pair.is_some()
            && let Some(next) = lines.next()
        {
            rows.push([line, next].map(|line| piece(line.mark, line.text.clone())).to_vec());
            continue;
        }
        let parts = fit::wrap(&line.text, width.saturating_sub(WORD));
        for (at, (from, to)) in parts.into_iter().enumerate() {
            let (word, role, text) = piece(line.mark, line.text[from..to].to_owned());
            rows.push(vec![(if at == 0 { word } else { "" }, role, text)]);
        }
    }
    let parts = fit::wrap(command, width.saturating_sub(WORD));
    for (at, (from, to)) in parts.into_iter().enumerate().filter(|_| !command.is_empty()) {
        rows.push(vec![(if at == 0 { "same as" } else { "" }, Role::Dim, command[from..to].to_owned())]);
    }
    rows
}

/// Lays the whole difference out: a resource, and indented below it what changes.
fn difference(lines: &[Line], width: usize) -> Vec<Row> {
    let mut rows: Vec<Row> = Vec::new();
    for (number, line) in lines.iter().enumerate() {
        let inner = line.text.starts_with(' ');
        let role = if inner { Role::Text } else { Role::Strong };
        for (at, (from, to)) in fit::wrap(&line.text, width.saturating_sub(WORD)).into_iter().enumerate() {
            let word = if number == 0 && at == 0 { Mark::Detail.word() } else { "" };
            let text = line.text[from..to].to_owned();
            rows.push(vec![(word, role, if at > 0 && inner { format!("    {text}") } else { text })]);
        }
    }
    rows
}

fn piece(mark: Mark, text: String) -> (&'static str, Role, String) {
    let role = match mark {
        Mark::To | Mark::From | Mark::Change => Role::Strong,
        Mark::Ok => Role::Healthy,
        Mark::Hold | Mark::Pending => Role::Progressing,
        Mark::Note | Mark::After | Mark::Detail => Role::Dim,
        Mark::Warn => Role::Warning,
        Mark::Stop => Role::Degraded,
    };
    (mark.word(), role, text)
}

fn draw_row(buffer: &mut Buffer, area: Rect, theme: &Theme, row: &Row) {
    let ellipsis = Glyphs::of(theme).ellipsis;
    let (left, right) = panel::split_left(area, area.width / 2);
    let places = if row.len() > 1 { [left, right] } else { [area, right] };
    for (place, (word, role, text)) in places.into_iter().zip(row) {
        let mut pen = Pen::new(buffer, place, ellipsis);
        pen.put(word, theme.style(*role)).to(place.x + WORD as u16);
        let quiet = matches!(role, Role::Dim);
        pen.put(text.trim_end(), theme.style(if quiet { Role::Dim } else { Role::Text }));
    }
}

/// An action that was begun.
#[derive(Debug, Clone, Copy)]
pub struct Running<'a> {
    /// The title of its plan.
    pub title: &'a str,
    /// The badge of the environment: the colour of the border.
    pub badge: Role,
    /// How far it has come, as soon as anything was heard.
    pub progress: Option<&'a Progress>,
    /// How far it came with the objects before.
    pub before: &'a [Progress],
    /// Whether it was asked to hold.
    pub held: bool,
    /// How it ended.
    pub outcome: Option<&'a Outcome>,
    /// The time of day.
    pub now: Timestamp,
}

/// Draws an action with its steps, its clock and its verdict at the top of `area`.
pub fn progress(buffer: &mut Buffer, area: Rect, theme: &Theme, running: &Running<'_>) {
    let width = area.width.saturating_sub(2).min(WIDEST);
    let column = usize::from(width.saturating_sub(4)).max(1);
    let steps = running.progress.map_or(0, |progress| progress.steps.len());
    let verdict = running.outcome.map(|outcome| {
        let (word, role) = verdict(outcome);
        (format!("{word}: {}", outcome.detail()), role)
    });
    let said = verdict.as_ref().map_or(0, |(text, _)| fit::wrap(text, column).len());
    let place = usize::from(!running.before.is_empty());
    let height = (steps.max(1) + said + place) as u16 + 5;
    let outer = Rect { height: height.min(area.height), ..dialog::centred(area, width, area.height) };
    let inner = dialog::framed(buffer, outer, theme, running.title, running.badge);
    let (body, foot) = panel::split_bottom(inner, (said as u16 + 2).min(inner.height));
    let ellipsis = Glyphs::of(theme).ellipsis;
    let lines = running.progress.map_or(&[][..], |progress| &progress.steps);
    let (place_at, body) = panel::split_top(body, place as u16);
    if let Some(progress) = running.progress.filter(|_| place > 0) {
        let done: Vec<&str> = running.before.iter().map(|one| &*one.object.name).collect();
        let text = format!("{}, after {}", progress.object.name, done.join(", "));
        Pen::new(buffer, place_at, ellipsis).put(&text, theme.style(Role::Strong));
    }
    if lines.is_empty() {
        Pen::new(buffer, body, ellipsis)
            .put("Written down; asking the server.", theme.style(Role::Progressing));
    }
    let name = lines.iter().map(|step| fit::width(&step.name)).max().unwrap_or(0).min(column / 2);
    for (y, step) in (body.y..body.bottom()).zip(window(lines, usize::from(body.height))) {
        let (role, text) = match step.standing {
            Standing::Waiting => (Role::Idle, Role::Dim),
            Standing::Running => (Role::Progressing, Role::Strong),
            Standing::Done => (Role::Healthy, Role::Text),
            Standing::Failed => (Role::Degraded, Role::Strong),
            Standing::Skipped => (Role::Unknown, Role::Dim),
        };
        let mark = if step.standing == Standing::Skipped { "-" } else { Glyphs::of(theme).mark(role) };
        let role = if step.standing == Standing::Skipped { Role::Dim } else { role };
        let mut pen = Pen::new(buffer, Rect { y, height: 1, ..body }, ellipsis);
        pen.put(mark, theme.style(role)).gap(1);
        let at = pen.column();
        pen.put(&fit::fit_middle(&step.name, name, ellipsis), theme.style(text)).to(at + name as u16 + 2);
        pen.put(&step.detail, theme.style(Role::Dim));
    }
    let (clock_at, verdict_at) = panel::split_top(foot, 2);
    if let Some(progress) = running.progress {
        // The clock stands when the action has ended.
        let until = if running.outcome.is_some() { progress.at } else { running.now };
        let at = panel::split_bottom(clock_at, 1).1;
        clock(buffer, at, theme, progress, until);
        if running.held {
            Pen::new(buffer, at, ellipsis).put_right("held", theme.style(Role::Warning));
        }
    }
    if let Some((text, role)) = verdict {
        let parts = fit::wrap(&text, column);
        for (y, (from, to)) in (verdict_at.y..verdict_at.bottom()).zip(parts) {
            let mut pen = Pen::new(buffer, Rect { y, height: 1, ..verdict_at }, ellipsis);
            pen.put(text[from..to].trim_end(), theme.style(role));
        }
    }
}

/// Chooses the steps that are shown where not all fit: what goes on or went wrong first, then the rest, each in its
/// place.
fn window(steps: &[Step], room: usize) -> Vec<&Step> {
    let urgent = |step: &Step| match step.standing {
        Standing::Failed => 0,
        Standing::Running => 1,
        Standing::Waiting => 2,
        Standing::Done | Standing::Skipped => 3,
    };
    let mut order: Vec<usize> = (0..steps.len()).collect();
    // The newest of what is done, and the next of what waits.
    order.sort_by_key(|at| {
        let newest = if urgent(&steps[*at]) == 3 { steps.len() - at } else { *at };
        (urgent(&steps[*at]), newest)
    });
    order.truncate(room);
    order.sort_unstable();
    order.into_iter().map(|at| &steps[at]).collect()
}

/// Says how an action ended, in a word.
pub fn verdict(outcome: &Outcome) -> (&'static str, Role) {
    match outcome {
        Outcome::Verified(_) => ("Verified", Role::Healthy),
        Outcome::Accepted(_) => ("Accepted, not followed", Role::Progressing),
        Outcome::NotVerified(_) => ("Not verified in time", Role::Warning),
        Outcome::Failed(_) => ("Failed", Role::Degraded),
        Outcome::Refused(_) => ("Refused, nothing was written", Role::Warning),
    }
}

/// Draws the time an action has taken against the time it should take.
fn clock(buffer: &mut Buffer, area: Rect, theme: &Theme, progress: &Progress, until: Timestamp) {
    let taken = (until.as_second() - progress.begun.as_second()).max(0);
    let mut pen = Pen::new(buffer, area, Glyphs::of(theme).ellipsis);
    let Some(target) = progress.target.map(|target| target.as_second() - progress.begun.as_second()) else {
        pen.put(&human::span(taken), theme.style(Role::Strong));
        return;
    };
    let over = taken - target;
    let (role, text) = if over > 0 {
        let text = format!(
            "{}, {} over the target of {}",
            human::span(taken),
            human::span(over),
            human::span(target)
        );
        (Role::Warning, text)
    } else {
        (Role::Progressing, format!("{} of {}", human::span(taken), human::span(target)))
    };
    let room = (pen.room() / 3).min(32) as u16;
    let bar = Rect { width: room, height: area.height.min(1), ..area };
    pen.gap(room + 1).put(&text, theme.style(role));
    let part = if target > 0 { taken as f64 / target as f64 } else { 1.0 };
    gauge::bar(buffer, bar, Glyphs::of(theme), part, theme.style(role), theme.style(Role::BarEmpty));
}
