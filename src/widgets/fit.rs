//! Text made to fit a number of cells, cut only between what a person calls characters.
//!
//! Nothing here cleans text: that happens once, where text enters the program.

use std::borrow::Cow;

use unicode_segmentation::UnicodeSegmentation;

pub use crate::human::lines::{width, wrap};

/// Cuts a text to `columns` cells; what was cut is marked by `ellipsis`.
pub fn fit<'a>(text: &'a str, columns: usize, ellipsis: &str) -> Cow<'a, str> {
    if width(text) <= columns {
        return Cow::Borrowed(text);
    }
    let mark = width(ellipsis);
    if columns < mark {
        return Cow::Borrowed("");
    }
    let head = take(text, columns - mark);
    let mut cut = String::with_capacity(head.len() + ellipsis.len());
    cut.push_str(head);
    cut.push_str(ellipsis);
    Cow::Owned(cut)
}

/// Cuts the middle out of a text, so that both ends stay; generated names differ at their ends.
pub fn fit_middle<'a>(text: &'a str, columns: usize, ellipsis: &str) -> Cow<'a, str> {
    if width(text) <= columns {
        return Cow::Borrowed(text);
    }
    let mark = width(ellipsis);
    if columns < mark + 4 {
        return fit(text, columns, ellipsis);
    }
    let room = columns - mark;
    let head = take(text, room - room / 2);
    let tail = take_end(text, room / 2);
    Cow::Owned(format!("{head}{ellipsis}{tail}"))
}

/// Returns the longest beginning of a text that takes at most `columns` cells.
pub fn take(text: &str, columns: usize) -> &str {
    let mut used = 0;
    for (at, grapheme) in text.grapheme_indices(true) {
        used += width(grapheme);
        if used > columns {
            return &text[..at];
        }
    }
    text
}

/// Returns the longest end of a text that takes at most `columns` cells.
pub fn take_end(text: &str, columns: usize) -> &str {
    let mut used = 0;
    let mut from = text.len();
    for (at, grapheme) in text.grapheme_indices(true).rev() {
        used += width(grapheme);
        if used > columns {
            break;
        }
        from = at;
    }
    &text[from..]
}

/// Returns the byte at which a text goes on after `columns` cells, and the cells of a character that was
/// cut in half by that.
pub fn skip(text: &str, columns: usize) -> (usize, usize) {
    let mut used = 0;
    for (at, grapheme) in text.grapheme_indices(true) {
        if used >= columns {
            return (at, used - columns);
        }
        used += width(grapheme);
    }
    (text.len(), used.saturating_sub(columns))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_cut_between_characters_and_the_cut_is_marked() {
        assert_eq!(fit("checkout", 8, "…"), "checkout");
        assert_eq!(fit("checkout", 5, "…"), "chec…");
        assert_eq!(fit("checkout", 0, "…"), "");
        // A wide character that does not fit whole is left out whole; so is an emoji of several code points.
        assert_eq!(fit("日本語", 4, "…"), "日…");
        assert_eq!(fit("👩‍🚀ab", 3, "…"), "👩‍🚀…");
        assert_eq!(fit("e\u{301}clair", 3, "…"), "e\u{301}c…");
    }

    #[test]
    fn both_ends_of_a_generated_name_stay() {
        assert_eq!(fit_middle("checkout-7f9c4d-x2k4l", 12, "…"), "checko…x2k4l");
        assert_eq!(fit_middle("checkout", 4, "…"), "che…");
    }

    #[test]
    fn skipping_tells_how_much_of_a_wide_character_is_left() {
        assert_eq!(skip("abc", 1), (1, 0));
        assert_eq!(skip("日本", 1), (3, 1));
        assert_eq!(skip("abc", 9), (3, 0));
    }
}
