//! A frame as lines of text: what the console would draw, for a terminal with colours or for a file without.

use std::fmt::Write as _;

use ratatui::buffer::{Buffer, Cell};
use ratatui::style::{Color, Modifier, Style};
use unicode_width::UnicodeWidthStr as _;

/// Writes the lines of a buffer; blanks at their ends are left out, except where they are coloured.
pub fn lines(buffer: &Buffer, coloured: bool) -> String {
    let width = usize::from(buffer.area.width.max(1));
    let mut text = String::new();
    let plain = Cell::EMPTY.style();
    for row in buffer.content().chunks(width) {
        let seen = |cell: &Cell| !cell.symbol().trim().is_empty() || (coloured && cell.bg != Color::Reset);
        let end = row.iter().rposition(seen).map_or(0, |last| last + 1);
        let mut before = plain;
        // Cells behind a letter that is wider than one.
        let mut covered = 0;
        for cell in &row[..end] {
            if covered > 0 {
                covered -= 1;
                continue;
            }
            covered = cell.symbol().width().saturating_sub(1);
            let style = cell.style();
            if coloured && style != before {
                escape(&mut text, style);
                before = style;
            }
            text.push_str(cell.symbol());
        }
        if before != plain {
            text.push_str("\x1b[0m");
        }
        text.push('\n');
    }
    text
}

/// Writes what makes a terminal show a style (ECMA-48, select graphic rendition), from the beginning.
fn escape(text: &mut String, style: Style) {
    text.push_str("\x1b[0");
    let modifiers = [
        (Modifier::BOLD, 1),
        (Modifier::DIM, 2),
        (Modifier::ITALIC, 3),
        (Modifier::UNDERLINED, 4),
        (Modifier::REVERSED, 7),
        (Modifier::CROSSED_OUT, 9),
    ];
    for (modifier, code) in modifiers {
        if style.add_modifier.contains(modifier) {
            // Writing to a string cannot fail.
            let _ = write!(text, ";{code}");
        }
    }
    colour(text, style.fg, 30);
    colour(text, style.bg, 40);
    text.push('m');
}

/// `base` is 30 for what is written and 40 for what lies behind it.
fn colour(text: &mut String, colour: Option<Color>, base: u8) {
    let (plain, bright) = (base, base + 60);
    let code = match colour {
        None | Some(Color::Reset) => return,
        Some(Color::Black) => plain,
        Some(Color::Red) => plain + 1,
        Some(Color::Green) => plain + 2,
        Some(Color::Yellow) => plain + 3,
        Some(Color::Blue) => plain + 4,
        Some(Color::Magenta) => plain + 5,
        Some(Color::Cyan) => plain + 6,
        Some(Color::Gray) => plain + 7,
        Some(Color::DarkGray) => bright,
        Some(Color::LightRed) => bright + 1,
        Some(Color::LightGreen) => bright + 2,
        Some(Color::LightYellow) => bright + 3,
        Some(Color::LightBlue) => bright + 4,
        Some(Color::LightMagenta) => bright + 5,
        Some(Color::LightCyan) => bright + 6,
        Some(Color::White) => bright + 7,
        Some(Color::Indexed(index)) => {
            let _ = write!(text, ";{};5;{index}", base + 8);
            return;
        }
        Some(Color::Rgb(r, g, b)) => {
            let _ = write!(text, ";{};2;{r};{g};{b}", base + 8);
            return;
        }
    };
    let _ = write!(text, ";{code}");
}

#[cfg(test)]
mod tests {
    use ratatui::layout::Rect;

    use super::*;

    #[test]
    fn colours_are_written_where_they_are_wanted_and_end_with_the_line() {
        let mut buffer = Buffer::empty(Rect::new(0, 0, 6, 2));
        buffer.set_string(0, 0, "ab", Style::new().fg(Color::Rgb(1, 2, 3)).add_modifier(Modifier::BOLD));
        buffer.set_string(2, 0, "c日e", Style::new());
        buffer.set_string(1, 1, "d", Style::new().fg(Color::LightRed).bg(Color::Indexed(17)));
        assert_eq!(lines(&buffer, false), "abc日e\n d\n");
        let coloured = lines(&buffer, true);
        let (first, second) = coloured.split_once('\n').unwrap();
        assert_eq!(first, "\u{1b}[0;1;38;2;1;2;3mab\u{1b}[0mc日e");
        assert!(second.contains("\u{1b}[0;91;48;5;17md\u{1b}[0m"), "{second:?}");
    }
}
