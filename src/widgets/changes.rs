//! A list of changes, newest first: when, how grave, whose, what.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

use super::fit;
use super::glyphs::Glyphs;
use super::over;
use super::pen::Pen;
use crate::theme::{Role, Theme};

/// One change, ready to be drawn.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Entry<'a> {
    /// The time of day.
    pub at: String,
    /// What its colour means; its mark stands beside it.
    pub role: Option<Role>,
    /// Whose it is.
    pub who: &'a str,
    /// What happened.
    pub text: &'a str,
    /// More about it, on lines of their own.
    pub more: Vec<&'a str>,
}

/// Draws entries from `top` on as long as there is room, and asks for no others; returns how many were drawn
/// whole, and adds to `places` where each stands.
#[expect(clippy::too_many_arguments, reason = "a list, its window, and where it is drawn")]
pub fn draw<'a>(
    buffer: &mut Buffer,
    area: Rect,
    theme: &Theme,
    entries: usize,
    top: usize,
    cursor: Option<usize>,
    places: &mut Vec<(Rect, usize)>,
    mut entry: impl FnMut(usize) -> Entry<'a>,
) -> usize {
    let area = area.intersection(buffer.area);
    let glyphs = Glyphs::of(theme);
    let mut y = area.y;
    let mut whole = 0;
    for index in top..entries {
        if y >= area.bottom() {
            break;
        }
        let item = entry(index);
        let base = if cursor == Some(index) { theme.style(Role::Selected) } else { Style::new() };
        let line = Rect { y, height: 1, ..area };
        buffer.set_style(line, base);
        places.push((line, index));
        let mut pen = Pen::new(buffer, line, glyphs.ellipsis);
        pen.gap(1).put(&item.at, over(base, theme.style(Role::Dim))).gap(1);
        let role = item.role.unwrap_or(Role::Dim);
        pen.put(glyphs.mark(role), over(base, theme.style(role))).gap(1);
        let indent = pen.column();
        if !item.who.is_empty() {
            pen.put(item.who, over(base, theme.style(Role::Strong))).gap(2);
        }
        // What does not fit beside the name goes on below it, so that the end of a sentence is not lost.
        let columns = usize::from(area.right().saturating_sub(indent)).max(1);
        let first = pen.room();
        let parts = broken(item.text, first, columns);
        if let Some((from, to)) = parts.first() {
            pen.put(item.text[*from..*to].trim_end(), over(base, theme.style(Role::Text)));
        }
        y += 1;
        let rest = parts.iter().skip(1).map(|(from, to)| (&item.text[*from..*to], Role::Text));
        for (text, role) in rest.chain(item.more.iter().map(|text| (*text, Role::Dim))) {
            if y >= area.bottom() {
                return whole;
            }
            let line = Rect { y, height: 1, ..area };
            buffer.set_style(line, base);
            places.push((line, index));
            let mut pen = Pen::new(buffer, line, glyphs.ellipsis);
            pen.to(indent).put(text.trim_end(), over(base, theme.style(role)));
            y += 1;
        }
        whole += 1;
    }
    whole
}

/// Moves a break in the middle of a word before it, where the word has room on a line of its own: half the name of a
/// node is the name of none.
fn before_word(text: &str, at: usize, columns: usize) -> usize {
    let (head, tail) = text.split_at(at);
    if head.is_empty() || head.ends_with(' ') || tail.is_empty() || tail.starts_with(' ') {
        return at;
    }
    let start = head.rfind(' ').map_or(0, |space| space + 1);
    let end = tail.find(' ').map_or(text.len(), |space| at + space);
    if fit::width(&text[start..end]) <= columns { start } else { at }
}

/// Breaks a text whose first line has other room than those that follow.
fn broken(text: &str, first: usize, rest: usize) -> Vec<(usize, usize)> {
    if fit::width(text) <= first {
        return vec![(0, text.len())];
    }
    let head = fit::wrap(text, first.max(1)).first().map_or(0, |(_, end)| *end);
    let head = before_word(text, head, rest);
    let mut parts = vec![(0, head)];
    parts.extend(fit::wrap(&text[head..], rest).into_iter().map(|(from, to)| (from + head, to + head)));
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_a_node_goes_whole_to_the_next_line_where_it_fits() {
        let text = "node ip-10-0-3-17.eu-west-1.compute.internal joined";
        let lines = |first: usize, rest: usize| -> Vec<&str> {
            broken(text, first, rest).into_iter().map(|(from, to)| text[from..to].trim_end()).collect()
        };
        assert_eq!(lines(30, 50), ["node", "ip-10-0-3-17.eu-west-1.compute.internal joined"]);
        assert_eq!(lines(60, 60), [text]);
        // What fits nowhere is broken.
        assert_eq!(lines(20, 30)[0], "node ip-10-0-3-17.eu");
    }
}
