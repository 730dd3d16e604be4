//! Widgets drawn into small buffers.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::viewer::{Line, View};
use super::*;
use crate::theme::{Role, Theme};

fn theme() -> Theme {
    crate::theme::Shelf::bundled().unwrap().theme("dark", crate::theme::Depth::True).unwrap()
}

/// The lines of a buffer without their styles.
fn lines(buffer: &Buffer) -> Vec<String> {
    let width = usize::from(buffer.area.width.max(1));
    buffer
        .content()
        .chunks(width)
        .map(|row| row.iter().map(ratatui::buffer::Cell::symbol).collect::<String>().trim_end().to_owned())
        .collect()
}

fn canvas(width: u16, height: u16) -> (Buffer, Rect) {
    let area = Rect::new(0, 0, width, height);
    (Buffer::empty(area), area)
}

fn no_hits(_: &str) -> Vec<(usize, usize)> {
    Vec::new()
}

#[test]
fn a_table_asks_for_the_rows_of_its_window_and_for_no_others() {
    let (mut buffer, area) = canvas(30, 4);
    let columns = [
        table::Column {
            title: "NAME",
            width: table::Width::Flexible { least: 6, most: 20 },
            right: false,
            rank: 0,
            sorted: Some(true),
        },
        table::Column { title: "PODS", width: table::Width::Fixed(5), right: true, rank: 1, sorted: None },
    ];
    let mut asked = Vec::new();
    let window = table::Window { rows: 100_000, top: 50_000, cursor: Some(50_001) };
    table::draw(&mut buffer, area, &theme(), &columns, window, |index, shown| {
        asked.push(index);
        assert_eq!(shown, [0, 1]);
        let cells = vec![
            table::Painted::marked(format!("pod-{index}"), Role::Degraded),
            table::Painted::text(index.to_string()),
        ];
        (cells, index == 50_002)
    });
    assert_eq!(asked, [50_000, 50_001, 50_002]);
    assert_eq!(
        lines(&buffer),
        [
            "  NAME↓                 PODS",
            "  ✗ pod-50000          50000",
            "▶ ✗ pod-50001          50001",
            " ◆✗ pod-50002          50002",
        ]
    );
}

#[test]
fn a_followed_text_shows_its_end_even_where_lines_are_wrapped() {
    let (mut buffer, area) = canvas(10, 3);
    let texts = ["first", "second is a long line", "last"];
    let view = View { lines: 3, follow: true, wrap: true, ..View::default() };
    viewer::draw(&mut buffer, area, &theme(), view, |index| Line::plain(texts[index]), no_hits);
    assert_eq!(lines(&buffer), ["a long", "line", "last"]);
}

#[test]
fn a_text_that_goes_on_at_the_sides_says_so() {
    let (mut buffer, area) = canvas(8, 2);
    let view = View { lines: 2, left: 3, ..View::default() };
    let texts = ["0123456789abcdef", "日本語日本語"];
    viewer::draw(&mut buffer, area, &theme(), view, |index| Line::plain(texts[index]), no_hits);
    assert_eq!(lines(&buffer), ["‹456789›", "‹語 日 本 ›"]);
}

#[test]
fn a_hit_is_seen_by_its_style_across_parts() {
    let (mut buffer, area) = canvas(12, 1);
    let view = View { lines: 1, here: Some(0), ..View::default() };
    viewer::draw(
        &mut buffer,
        area,
        &theme(),
        view,
        |_| Line { parts: vec![(0, 5, Role::Dim)], ..Line::plain("name: value") },
        |text| text.find("e: v").map(|at| vec![(at, at + 4)]).unwrap_or_default(),
    );
    let styled = |x: u16| buffer[(x, 0)].modifier;
    let hit = theme().style(Role::MatchHere).add_modifier;
    assert!(!hit.is_empty());
    assert_eq!(
        [styled(2), styled(3), styled(6), styled(7)].map(|it| it.contains(hit)),
        [false, true, true, false]
    );
}

#[test]
fn the_last_hint_of_the_footer_has_its_place_first() {
    let (mut buffer, area) = canvas(24, 1);
    keys::draw(&mut buffer, area, &theme(), [("enter", "open"), ("R", "roll back"), ("?", "help")]);
    assert_eq!(lines(&buffer), [" enter open  ? help"]);
}

#[test]
fn a_long_input_scrolls_with_its_cursor() {
    let (mut buffer, area) = canvas(10, 1);
    let input = input::Input { prompt: ":", text: "applications", cursor: 12, ..input::Input::default() };
    input::draw(&mut buffer, area, &theme(), input);
    assert_eq!(lines(&buffer), [":ications"]);
}

#[test]
fn a_change_goes_on_below_when_its_line_is_full() {
    let (mut buffer, area) = canvas(30, 4);
    changes::draw(&mut buffer, area, &theme(), 1, 0, None, &mut Vec::new(), |_| changes::Entry {
        at: "13:51".to_owned(),
        role: Some(Role::Progressing),
        who: "tenant-2",
        text: "checkout synced 3f9c1a2 (auto)",
        more: vec!["image checkout 1.7.4 -> 1.8.0"],
    });
    assert_eq!(
        lines(&buffer),
        [
            " 13:51 ◐ tenant-2  checkout",
            "         synced 3f9c1a2 (auto)",
            "         image checkout 1.7.4…",
            ""
        ]
    );
}

#[test]
fn nothing_is_drawn_outside_the_area_and_nothing_panics() {
    for width in 0..14 {
        for height in 0..6 {
            let (mut buffer, whole) = canvas(14, 6);
            let area = Rect { x: 3, y: 2, width, height };
            let theme = theme();
            panel::titled(&mut buffer, area, &theme, "title", &[("3", Role::Dim)], true);
            notice::draw(&mut buffer, area, &theme, Role::Warning, "nothing here", &["because of that"]);
            keys::draw(&mut buffer, area, &theme, [("a", "b")]);
            panel::wall(&mut buffer, area, &theme);
            dialog::framed(&mut buffer, area, &theme, "title", Role::EnvProd);
            let view = View { lines: 9, wrap: height % 2 == 0, left: 2, numbers: true, ..View::default() };
            viewer::draw(&mut buffer, area, &theme, view, |_| Line::plain("日本語 text"), no_hits);
            let column = |width| table::Column { title: "日本", width, right: true, rank: 0, sorted: None };
            let columns =
                [column(table::Width::Fixed(4)), column(table::Width::Flexible { least: 3, most: 9 })];
            let window = table::Window { rows: 9, top: 1, cursor: Some(2) };
            table::draw(&mut buffer, area, &theme, &columns, window, |_, shown| {
                let cells = shown.iter().map(|_| table::Painted::bar(0.4, "40 %", Role::Warning)).collect();
                (cells, true)
            });
            let input =
                input::Input { prompt: ":", text: "日本語", cursor: 4, ghost: "x", ..Default::default() };
            input::draw(&mut buffer, area, &theme, input);
            input::choices(&mut buffer, area, &theme, 9, 7, true, |_| input::Choice {
                label: "pods".into(),
                matched: &[1],
                detail: "kind".into(),
                role: Role::Text,
            });
            for position in whole.positions().filter(|position| !area.contains(*position)) {
                assert_eq!(buffer[position].symbol(), " ", "{area} at {position}");
            }
        }
    }
}
