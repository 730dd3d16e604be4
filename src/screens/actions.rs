//! The actions of this session, newest first, with the selected one whole.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

use super::Scene;
use super::{head, plan};
use crate::app::asking;
use crate::app::command::Command;
use crate::app::running::Running;
use crate::app::spot::{Spot, Spots};
use crate::app::viewport::Viewport;
use crate::human;
use crate::theme::Role;
use crate::widgets::glyphs::Glyphs;
use crate::widgets::pen::Pen;
use crate::widgets::{notice, over, panel};

/// Draws the list of actions above the steps of the selected one.
pub fn draw(buffer: &mut Buffer, area: Rect, scene: &Scene<'_>, view: &Viewport, spots: &mut Spots) {
    let (state, theme) = (scene.state, scene.theme);
    let count = state.running.len();
    let title = format!("Actions of this session  {count}");
    // One line for the title, and one of air below the list.
    let (area, below) = panel::split_bottom(area, cut_height(scene, area));
    cut(buffer, below, scene);
    let (list, rest) = panel::split_top(area, (count as u16).saturating_add(2).min(area.height / 3).max(3));
    let body = panel::titled(buffer, list, theme, &title, &[], true);
    spots.put(body, Spot::Panel(0));
    spots.fits(0, body.height);
    if count == 0 {
        let area = Rect { y: body.y, height: area.bottom().saturating_sub(body.y), ..area };
        let sentence = "What is started here is followed to its end, and written to the audit.";
        notice::draw(buffer, area, theme, Role::Idle, "Nothing was changed in this session", &[sentence]);
        return;
    }
    let glyphs = Glyphs::of(theme);
    for (y, index) in (body.y..body.bottom()).zip(view.top..count) {
        // Newest first.
        let Some(running) = state.running.get(count - 1 - index) else { continue };
        let line = Rect { y, height: 1, ..body };
        spots.put(line, Spot::Row { panel: 0, index });
        let here = index == view.cursor;
        let base = if here { theme.style(Role::Selected) } else { Style::new() };
        buffer.set_style(line, base);
        let (word, role) = standing(running);
        let mut pen = Pen::new(buffer, line, glyphs.ellipsis);
        pen.put(if here { glyphs.cursor } else { " " }, over(base, theme.style(Role::Key))).gap(1);
        let at = human::moment(running.started, state.now, &scene.state.zone);
        pen.put(&at, over(base, theme.style(Role::Dim))).gap(1);
        pen.put(glyphs.mark(role), over(base, theme.style(role))).gap(1);
        pen.margin_right(1);
        pen.put_right(word, over(base, theme.style(role)));
        pen.margin_right(2);
        pen.put(&running.plan.title, over(base, theme.style(Role::Text)));
    }
    if let Some(running) = count.checked_sub(view.cursor + 1).and_then(|index| state.running.get(index)) {
        let shown = plan::Running {
            title: &running.plan.title,
            badge: head::badge_border(state.session.environment),
            progress: running.progress.last(),
            before: running.progress.split_last().map_or(&[][..], |(_, before)| before),
            held: running.held && running.ended.is_none(),
            outcome: running.ended.as_ref().map(|(outcome, _)| outcome),
            now: state.now,
        };
        plan::progress(buffer, rest, theme, &shown);
    }
}

/// The most actions without an end that are listed.
const CUT: usize = 6;

fn cut_height(scene: &Scene<'_>, area: Rect) -> u16 {
    let left = asking::left(scene.state).count();
    match (scene.state.cut.len() + left).min(CUT) as u16 {
        0 => 0,
        // Title, two lines each, and a line of advice.
        actions => (actions * 2 + 2).min(area.height / 2),
    }
}

/// Draws the actions of earlier sessions that have no end in the audit, newest first.
fn cut(buffer: &mut Buffer, area: Rect, scene: &Scene<'_>) {
    let (state, theme) = (scene.state, scene.theme);
    if area.is_empty() {
        return;
    }
    let left = asking::left(state).count();
    let what = if left == 0 { "without an end in the audit" } else { "and not at its end" };
    let title = format!("Begun earlier, {what}  {}", state.cut.len() + left);
    let body = panel::titled(buffer, area, theme, &title, &[], false);
    let glyphs = Glyphs::of(theme);
    let mut lines: Vec<(bool, String)> = Vec::new();
    for cut in state.cut.iter().rev().take(CUT) {
        let at = human::moment(cut.at, state.now, &state.zone);
        lines.push((true, format!("{at} {}", cut.title)));
        let held = match cut.holds.as_slice() {
            [] => String::new(),
            names => format!("auto-sync of {} may still be held; ", names.join(", ")),
        };
        lines.push((false, format!("{held}begun by {}, and cut off or followed elsewhere", cut.who)));
    }
    let key = state.keymap.label(Command::GoOn).unwrap_or_else(|| format!(":{}", Command::GoOn.name()));
    for left in asking::left(state).take(CUT) {
        let at = human::moment(left.at, state.now, &state.zone);
        lines.push((true, format!("{at} {}", left.title)));
        lines.push((false, format!("{key} goes on with it: {}", left.stands)));
    }
    lines.push((false, "Look at the object before you go on; opsdeck audit tells the rest.".to_owned()));
    for (y, (first, text)) in (body.y..body.bottom()).zip(&lines) {
        let mut pen = Pen::new(buffer, Rect { y, height: 1, ..body }, glyphs.ellipsis);
        pen.gap(2);
        if *first {
            pen.put(glyphs.warning, theme.style(Role::Warning)).gap(1).put(text, theme.style(Role::Text));
        } else {
            pen.gap(2).put(text, theme.style(Role::Dim));
        }
    }
}

fn standing(running: &Running) -> (&'static str, Role) {
    running.ended.as_ref().map_or(("running", Role::Progressing), |(outcome, _)| plan::verdict(outcome))
}
