//! How many cells text takes, and how a sentence is broken into lines.

use unicode_segmentation::UnicodeSegmentation;
use unicode_width::UnicodeWidthStr;

/// Returns how many cells a text takes.
pub fn width(text: &str) -> usize {
    // Most text is ASCII, where a byte is a cell; a control character is the exception and takes none.
    if text.bytes().all(|byte| (b' '..0x7f).contains(&byte)) { text.len() } else { text.width() }
}

/// Breaks a text into byte ranges of at most `columns` cells, between words where that is possible.
///
/// Spaces at a break belong to the range before it and may hang over. An empty text is one empty range.
pub fn wrap(text: &str, columns: usize) -> Vec<(usize, usize)> {
    let columns = columns.max(1);
    let mut ranges = Vec::new();
    let mut start = 0;
    let mut used = 0;
    // The byte behind the last space of this range, where it can be broken.
    let mut word = None;
    for (at, grapheme) in text.grapheme_indices(true) {
        let cells = width(grapheme);
        let space = grapheme == " ";
        if used + cells > columns && !space && at > start {
            let end = match word {
                // A break that would leave more than half a range empty is worse than a broken word.
                Some(end) if end > start && width(&text[start..end]) * 2 > columns => end,
                _ => at,
            };
            ranges.push((start, end));
            start = end;
            used = width(&text[start..at]);
            word = None;
        }
        used += cells;
        if space {
            word = Some(at + 1);
        }
    }
    ranges.push((start, text.len()));
    ranges
}

/// Breaks a sentence into lines of at most `columns` cells, without the spaces at the breaks.
pub fn wrapped(text: &str, columns: usize) -> Vec<&str> {
    wrap(text, columns).into_iter().map(|(from, to)| text[from..to].trim_end()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_break_at_words_and_long_words_are_broken() {
        let text = "one two three";
        let parts: Vec<&str> = wrap(text, 8).into_iter().map(|(from, to)| &text[from..to]).collect();
        assert_eq!(parts, ["one two ", "three"]);
        let parts: Vec<(usize, usize)> = wrap("abcdefgh", 3);
        assert_eq!(parts, [(0, 3), (3, 6), (6, 8)]);
        assert_eq!(wrap("", 3), [(0, 0)]);
    }
}
