//! The few characters that are not text: borders, marks, bars, in Unicode and in plain ASCII.

use ratatui::symbols::border;

use crate::theme::{Role, Theme};

/// The characters of one terminal ability.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Glyphs {
    /// What was cut off.
    pub ellipsis: &'static str,
    /// A horizontal rule.
    pub rule: &'static str,
    /// A vertical rule.
    pub wall: &'static str,
    /// A horizontal rule from which a vertical one hangs.
    pub tee: &'static str,
    /// The corners and edges of a dialog.
    pub border: border::Set<'static>,
    /// The row with the cursor.
    pub cursor: &'static str,
    /// A marked row.
    pub marked: &'static str,
    /// Sorted upwards.
    pub ascending: &'static str,
    /// Sorted downwards.
    pub descending: &'static str,
    /// Between breadcrumbs.
    pub crumb: &'static str,
    /// Between facts of one line.
    pub dot: &'static str,
    /// From one thing to another.
    pub arrow: &'static str,
    /// As it should be.
    pub healthy: &'static str,
    /// At rest on purpose.
    pub idle: &'static str,
    /// On its way.
    pub progressing: &'static str,
    /// Somebody should look.
    pub warning: &'static str,
    /// Hurts.
    pub degraded: &'static str,
    /// Not known.
    pub unknown: &'static str,
    /// A branch of a tree with more below it.
    pub branch: &'static str,
    /// The last branch of a tree.
    pub corner: &'static str,
    /// A trunk that goes on.
    pub trunk: &'static str,
    /// A folded branch.
    pub folded: &'static str,
    /// An open branch.
    pub open: &'static str,
    /// A full, and an empty, part of a bar.
    pub bar: (&'static str, &'static str),
    /// Parts of one cell of a bar, from one eighth to seven; empty where there are none.
    pub eighths: &'static [&'static str],
    /// Heights of a spark, from nothing to full.
    pub sparks: &'static [&'static str],
    /// The thumb of a scroll track.
    pub thumb: &'static str,
    /// The scroll track.
    pub track: &'static str,
    /// There is more to the left, and to the right.
    pub more: (&'static str, &'static str),
}

impl Glyphs {
    /// Returns the characters that a theme may use.
    pub fn of(theme: &Theme) -> &'static Self {
        if theme.ascii { &ASCII } else { &UNICODE }
    }

    /// Returns the mark that stands beside the colour of a role of health; empty for every other role.
    pub fn mark(&self, role: Role) -> &'static str {
        match role {
            Role::Healthy => self.healthy,
            Role::Idle => self.idle,
            Role::Progressing => self.progressing,
            Role::Unknown => self.unknown,
            Role::Warning | Role::Stale => self.warning,
            Role::Degraded => self.degraded,
            _ => "",
        }
    }
}

/// What terminals with a Unicode font show.
pub const UNICODE: Glyphs = Glyphs {
    ellipsis: "…",
    rule: "─",
    wall: "│",
    tee: "┬",
    border: border::PLAIN,
    cursor: "▶",
    marked: "◆",
    ascending: "↑",
    descending: "↓",
    crumb: "›",
    dot: "·",
    arrow: "→",
    healthy: "●",
    idle: "○",
    progressing: "◐",
    warning: "▲",
    degraded: "✗",
    unknown: "?",
    branch: "├─",
    corner: "└─",
    trunk: "│ ",
    folded: "▸",
    open: "▾",
    bar: ("█", "░"),
    eighths: &["▏", "▎", "▍", "▌", "▋", "▊", "▉"],
    sparks: &[" ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"],
    thumb: "┃",
    track: "│",
    more: ("‹", "›"),
};

/// What every terminal shows.
pub const ASCII: Glyphs = Glyphs {
    ellipsis: "~",
    rule: "-",
    wall: "|",
    tee: "+",
    border: border::Set {
        top_left: "+",
        top_right: "+",
        bottom_left: "+",
        bottom_right: "+",
        vertical_left: "|",
        vertical_right: "|",
        horizontal_top: "-",
        horizontal_bottom: "-",
    },
    cursor: ">",
    marked: "*",
    ascending: "^",
    descending: "v",
    crumb: ">",
    dot: "-",
    arrow: "->",
    healthy: "+",
    idle: "o",
    progressing: "~",
    warning: "!",
    degraded: "x",
    unknown: "?",
    branch: "|-",
    corner: "`-",
    trunk: "| ",
    folded: "+",
    open: "-",
    bar: ("#", "."),
    eighths: &[],
    sparks: &[" ", "_", ".", "-", "=", "+", "*", "#"],
    thumb: "#",
    track: "|",
    more: ("<", ">"),
};
