//! The lines before a name that make rows a tree.

use super::glyphs::Glyphs;

/// Where a row stands in its tree.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Branch {
    /// For each level above it, whether more rows of that level follow below.
    pub trunks: Vec<bool>,
    /// Whether it is the last of its level.
    pub last: bool,
    /// Whether it is folded; `None` where there is nothing below it.
    pub folded: Option<bool>,
}

/// Returns what stands before the name of a row; roots have no lines.
pub fn prefix(branch: &Branch, root: bool, glyphs: &Glyphs) -> String {
    let mut text = String::new();
    if !root {
        for more in &branch.trunks {
            text.push_str(if *more { glyphs.trunk } else { "  " });
        }
        text.push_str(if branch.last { glyphs.corner } else { glyphs.branch });
    }
    text.push_str(match branch.folded {
        Some(true) => glyphs.folded,
        Some(false) => glyphs.open,
        None if root => "",
        None => glyphs.rule,
    });
    text.push(' ');
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::widgets::glyphs::{ASCII, UNICODE};

    #[test]
    fn lines_lead_from_a_parent_to_its_children() {
        let inner = Branch { trunks: vec![true, false], last: true, folded: None };
        assert_eq!(prefix(&inner, false, &UNICODE), "│   └── ");
        let folded = Branch { trunks: vec![], last: false, folded: Some(true) };
        assert_eq!(prefix(&folded, false, &UNICODE), "├─▸ ");
        assert_eq!(prefix(&folded, true, &ASCII), "+ ");
    }
}
