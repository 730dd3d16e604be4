//! Colours as theme files write them, and the nearest one where a terminal shows fewer.

use ratatui::style::Color;

/// How many colours the terminal shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Depth {
    /// None: `NO_COLOR` is set, or the terminal is dumb.
    None,
    /// The sixteen of the terminal's own palette.
    Sixteen,
    /// 256.
    Indexed,
    /// 24 bits.
    True,
}

impl Depth {
    /// Reads the depth from the environment: `NO_COLOR`, `COLORTERM`, `TERM`.
    ///
    /// `NO_COLOR` counts when it is set and not empty (no-color.org).
    pub fn detect(variable: impl Fn(&str) -> Option<String>) -> Self {
        let set = |name| variable(name).filter(|value| !value.is_empty());
        let term = set("TERM").unwrap_or_default();
        if set("NO_COLOR").is_some() || term == "dumb" {
            return Self::None;
        }
        let colorterm = set("COLORTERM").unwrap_or_default().to_lowercase();
        if colorterm.contains("truecolor") || colorterm.contains("24bit") || term.ends_with("-direct") {
            Self::True
        } else if term.contains("256color") {
            Self::Indexed
        } else {
            Self::Sixteen
        }
    }

    /// Returns `colour`, or the nearest one that this depth can show.
    pub fn fit(self, colour: Color) -> Color {
        match (self, colour) {
            (_, Color::Reset) | (Self::None, _) => Color::Reset,
            (Self::Indexed, Color::Rgb(r, g, b)) => Color::Indexed(nearest_indexed((r, g, b))),
            (Self::Sixteen, Color::Rgb(r, g, b)) => nearest_of_sixteen((r, g, b)),
            (Self::Sixteen, Color::Indexed(index)) if index < 16 => NAMED[usize::from(index)].1,
            (Self::Sixteen, Color::Indexed(index)) => nearest_of_sixteen(rgb_of_index(index)),
            (_, colour) => colour,
        }
    }
}

/// The sixteen colours: the name in theme files, ratatui's colour, and the usual value (that of xterm).
pub(super) const NAMED: [(&str, Color, (u8, u8, u8)); 16] = [
    ("black", Color::Black, (0, 0, 0)),
    ("red", Color::Red, (205, 0, 0)),
    ("green", Color::Green, (0, 205, 0)),
    ("yellow", Color::Yellow, (205, 205, 0)),
    ("blue", Color::Blue, (0, 0, 238)),
    ("magenta", Color::Magenta, (205, 0, 205)),
    ("cyan", Color::Cyan, (0, 205, 205)),
    ("white", Color::Gray, (229, 229, 229)),
    ("bright-black", Color::DarkGray, (127, 127, 127)),
    ("bright-red", Color::LightRed, (255, 0, 0)),
    ("bright-green", Color::LightGreen, (0, 255, 0)),
    ("bright-yellow", Color::LightYellow, (255, 255, 0)),
    ("bright-blue", Color::LightBlue, (92, 92, 255)),
    ("bright-magenta", Color::LightMagenta, (255, 0, 255)),
    ("bright-cyan", Color::LightCyan, (0, 255, 255)),
    ("bright-white", Color::White, (255, 255, 255)),
];

/// Reads a colour that is not a name of the file's own.
pub(super) fn parse(text: &str) -> Option<Color> {
    if text == "default" {
        return Some(Color::Reset);
    }
    if let Some((_, colour, _)) = NAMED.iter().find(|(name, _, _)| *name == text) {
        return Some(*colour);
    }
    if let Some(index) = text.strip_prefix("ansi-") {
        return index.parse().ok().map(Color::Indexed);
    }
    let digits = text.strip_prefix('#').filter(|digits| digits.len() == 6)?;
    let value = u32::from_str_radix(digits, 16).ok()?;
    let [_, r, g, b] = value.to_be_bytes();
    Some(Color::Rgb(r, g, b))
}

/// The levels of the 6x6x6 cube of the 256 colours.
const LEVELS: [u8; 6] = [0, 95, 135, 175, 215, 255];

fn rgb_of_index(index: u8) -> (u8, u8, u8) {
    match index {
        0..=15 => NAMED[usize::from(index)].2,
        16..=231 => {
            let n = usize::from(index - 16);
            (LEVELS[n / 36], LEVELS[n / 6 % 6], LEVELS[n % 6])
        }
        232..=255 => {
            let grey = 8 + 10 * (index - 232);
            (grey, grey, grey)
        }
    }
}

/// The low sixteen are left out: terminals give them other values.
fn nearest_indexed(rgb: (u8, u8, u8)) -> u8 {
    (16..=255).min_by_key(|index| apart(rgb, rgb_of_index(*index))).unwrap_or(16)
}

fn nearest_of_sixteen(rgb: (u8, u8, u8)) -> Color {
    NAMED.iter().min_by_key(|(_, _, value)| apart(rgb, *value)).map_or(Color::Reset, |(_, colour, _)| *colour)
}

/// Weighs the channels as the eye does (the "redmean" approximation), so that orange becomes yellow or red
/// and not grey.
fn apart(a: (u8, u8, u8), b: (u8, u8, u8)) -> i64 {
    let mean = i64::midpoint(i64::from(a.0), i64::from(b.0));
    let (r, g, b) =
        (i64::from(a.0) - i64::from(b.0), i64::from(a.1) - i64::from(b.1), i64::from(a.2) - i64::from(b.2));
    (((512 + mean) * r * r) >> 8) + 4 * g * g + (((767 - mean) * b * b) >> 8)
}
