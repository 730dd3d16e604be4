//! Columns of text for people: as wide as their widest cell, two blanks apart, numbers on the right.

use unicode_width::UnicodeWidthStr as _;

/// A column of a printed table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// Its heading.
    pub title: String,
    /// Whether its cells stand on the right.
    pub right: bool,
}

impl Head {
    /// A column of text.
    pub fn left(title: &str) -> Self {
        Self { title: title.to_owned(), right: false }
    }
}

/// Writes a table; a last column of text is not padded.
pub fn table(heads: &[Head], rows: &[Vec<String>]) -> String {
    let mut widths: Vec<usize> = heads.iter().map(|head| head.title.width()).collect();
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.width());
        }
    }
    let mut text = String::new();
    let titles: Vec<String> = heads.iter().map(|head| head.title.clone()).collect();
    for row in std::iter::once(&titles).chain(rows) {
        let start = text.len();
        for (at, (cell, head)) in row.iter().zip(heads).enumerate() {
            let pad = " ".repeat(widths.get(at).copied().unwrap_or(0).saturating_sub(cell.width()));
            if at > 0 {
                text.push_str("  ");
            }
            if head.right {
                text.push_str(&pad);
                text.push_str(cell);
            } else {
                text.push_str(cell);
                text.push_str(&pad);
            }
        }
        text.truncate(start + text[start..].trim_end().len());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_by_what_is_seen_and_lines_do_not_end_in_blanks() {
        let heads = [Head::left("NAME"), Head { title: "AGE".into(), right: true }, Head::left("WHY")];
        let rows = [
            vec!["a-long-name".into(), "3d".into(), String::new()],
            vec!["ü".into(), "12d".into(), "x".into()],
        ];
        let text = table(&heads, &rows);
        assert_eq!(text, "NAME         AGE  WHY\na-long-name   3d\nü            12d  x\n");
    }
}
