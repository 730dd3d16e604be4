//! A buffer as a picture: SVG with one text element a run of cells of the same look.
//!
//! Every run stands at the x of its first cell and is stretched to the width of its cells, so that columns
//! and borders meet whatever font the viewer has.

use std::fmt::Write;

use ratatui::buffer::{Buffer, Cell};
use ratatui::style::{Color, Modifier};
use unicode_width::UnicodeWidthStr;

/// Width and height of a cell, and the size of the font, in pixels.
const CELL: (f64, f64) = (8.4, 18.0);
const FONT: f64 = 14.0;
const MARGIN: f64 = 14.0;

/// The colours of a terminal: those that a theme leaves to it.
#[derive(Debug, Clone, Copy)]
pub struct Palette {
    /// Text without a colour.
    pub text: &'static str,
    /// Cells without a colour.
    pub ground: &'static str,
    /// The sixteen.
    pub sixteen: [&'static str; 16],
}

/// A dark terminal.
pub const DARK: Palette = Palette {
    text: "#d3d7de",
    ground: "#14171c",
    sixteen: [
        "#20242b", "#e0555f", "#7fb86a", "#d9a94e", "#5c9fe0", "#b883d6", "#4fb3bf", "#c3c8d1", "#6b7280",
        "#ff6b76", "#98d982", "#f2c266", "#7ab8f5", "#d19ded", "#6bd0dc", "#ffffff",
    ],
};

/// Draws a buffer.
pub fn picture(buffer: &Buffer, title: &str, palette: &Palette) -> String {
    let (columns, rows) = (f64::from(buffer.area.width), f64::from(buffer.area.height));
    let width = columns * CELL.0 + 2.0 * MARGIN;
    let height = rows * CELL.1 + 2.0 * MARGIN;
    let mut svg = String::new();
    let _ = write!(
        svg,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width:.0}\" height=\"{height:.0}\" \
         viewBox=\"0 0 {width:.1} {height:.1}\" role=\"img\">\n<title>{}</title>\n\
         <rect width=\"100%\" height=\"100%\" rx=\"8\" fill=\"{}\"/>\n\
         <g font-family=\"'DejaVu Sans Mono','Menlo','Consolas',monospace\" font-size=\"{FONT}\" \
         xml:space=\"preserve\">\n",
        escaped(title),
        palette.ground,
    );
    for y in 0..buffer.area.height {
        for run in runs(buffer, y) {
            draw(&mut svg, &run, y, palette);
        }
    }
    svg.push_str("</g>\n</svg>\n");
    svg
}

/// Cells of one line that look the same.
struct Run<'a> {
    x: u16,
    cells: u16,
    text: String,
    look: &'a Cell,
}

fn runs(buffer: &Buffer, y: u16) -> Vec<Run<'_>> {
    let mut runs: Vec<Run<'_>> = Vec::new();
    let mut x = 0;
    while x < buffer.area.width {
        let cell = &buffer[(buffer.area.x + x, buffer.area.y + y)];
        let cells = (cell.symbol().width() as u16).max(1);
        let same = |run: &Run<'_>| {
            run.look.fg == cell.fg && run.look.bg == cell.bg && run.look.modifier == cell.modifier
        };
        match runs.last_mut() {
            Some(run) if same(run) => {
                run.text.push_str(cell.symbol());
                run.cells += cells;
            }
            _ => runs.push(Run { x, cells, text: cell.symbol().to_owned(), look: cell }),
        }
        x += cells;
    }
    runs
}

fn draw(svg: &mut String, run: &Run<'_>, y: u16, palette: &Palette) {
    let modifier = run.look.modifier;
    let mut text = hex(run.look.fg, palette, palette.text);
    let mut ground = hex(run.look.bg, palette, palette.ground);
    if modifier.contains(Modifier::REVERSED) {
        std::mem::swap(&mut text, &mut ground);
    }
    let left = MARGIN + f64::from(run.x) * CELL.0;
    let top = MARGIN + f64::from(y) * CELL.1;
    let width = f64::from(run.cells) * CELL.0;
    if ground != palette.ground {
        let _ = writeln!(
            svg,
            "<rect x=\"{left:.1}\" y=\"{top:.1}\" width=\"{width:.1}\" height=\"{:.1}\" fill=\"{ground}\"/>",
            CELL.1
        );
    }
    // Spaces at the ends are ground only.
    let visible = run.text.trim_end_matches(' ');
    let lead = visible.len() - visible.trim_start_matches(' ').len();
    let visible = &visible[lead..];
    if visible.is_empty() || modifier.contains(Modifier::HIDDEN) {
        return;
    }
    let left = left + lead as f64 * CELL.0;
    let length = visible.width() as f64 * CELL.0;
    let mut look = String::new();
    if modifier.contains(Modifier::BOLD) {
        look.push_str(" font-weight=\"bold\"");
    }
    if modifier.contains(Modifier::ITALIC) {
        look.push_str(" font-style=\"italic\"");
    }
    if modifier.contains(Modifier::UNDERLINED) {
        look.push_str(" text-decoration=\"underline\"");
    }
    if modifier.contains(Modifier::DIM) {
        look.push_str(" opacity=\"0.6\"");
    }
    let _ = writeln!(
        svg,
        "<text x=\"{left:.1}\" y=\"{:.1}\" textLength=\"{length:.1}\" lengthAdjust=\"spacingAndGlyphs\" \
         fill=\"{text}\"{look}>{}</text>",
        top + CELL.1 * 0.75,
        escaped(visible)
    );
}

fn hex(color: Color, palette: &Palette, reset: &str) -> String {
    let sixteen = |index: usize| palette.sixteen[index].to_owned();
    match color {
        Color::Reset => reset.to_owned(),
        Color::Black => sixteen(0),
        Color::Red => sixteen(1),
        Color::Green => sixteen(2),
        Color::Yellow => sixteen(3),
        Color::Blue => sixteen(4),
        Color::Magenta => sixteen(5),
        Color::Cyan => sixteen(6),
        Color::Gray => sixteen(7),
        Color::DarkGray => sixteen(8),
        Color::LightRed => sixteen(9),
        Color::LightGreen => sixteen(10),
        Color::LightYellow => sixteen(11),
        Color::LightBlue => sixteen(12),
        Color::LightMagenta => sixteen(13),
        Color::LightCyan => sixteen(14),
        Color::White => sixteen(15),
        Color::Rgb(r, g, b) => format!("#{r:02x}{g:02x}{b:02x}"),
        Color::Indexed(index @ 0..16) => sixteen(usize::from(index)),
        Color::Indexed(index @ 16..232) => {
            let level = |step: u8| if step == 0 { 0 } else { 55 + 40 * step };
            let cube = index - 16;
            format!("#{:02x}{:02x}{:02x}", level(cube / 36), level(cube / 6 % 6), level(cube % 6))
        }
        Color::Indexed(index) => {
            let grey = 8 + 10 * (index - 232);
            format!("#{grey:02x}{grey:02x}{grey:02x}")
        }
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[test]
fn runs_of_one_look_become_one_text_and_blanks_become_none() {
    use ratatui::style::Style;
    let mut buffer = Buffer::with_lines(["ab <c>  "]);
    buffer.set_style(ratatui::layout::Rect::new(0, 0, 2, 1), Style::new().fg(Color::Indexed(196)));
    let svg = picture(&buffer, "a & b", &DARK);
    assert_eq!(svg.matches("<text").count(), 2);
    assert!(svg.contains("fill=\"#ff0000\">ab</text>"), "{svg}");
    assert!(svg.contains(">&lt;c&gt;</text>") && svg.contains("<title>a &amp; b</title>"), "{svg}");
}
