use super::*;
use crate::theme::{Depth, Shelf};

fn theme(ascii: bool) -> Theme {
    let mut theme = Shelf::bundled().unwrap().theme("dark", Depth::True).unwrap();
    theme.ascii = ascii;
    theme
}

/// Midnight of a day, in milliseconds.
const START: i64 = 1_795_132_800_000;

const MINUTE: i64 = 60_000;

fn lines(buffer: &Buffer) -> Vec<String> {
    let width = usize::from(buffer.area.width.max(1));
    let line =
        |row: &[ratatui::buffer::Cell]| row.iter().map(ratatui::buffer::Cell::symbol).collect::<String>();
    buffer.content().chunks(width).map(|row| line(row).trim_end().to_owned()).collect()
}

/// An hour of points, one a minute.
fn hour(value: impl Fn(i64) -> Option<f64>) -> Vec<(i64, f64)> {
    (0..=60).filter_map(|minute| Some((START + minute * MINUTE, value(minute)?))).collect()
}

fn curve<'a>(name: &'a str, number: usize, points: &'a [(i64, f64)]) -> Curve<'a> {
    Curve { name, points, letter: letter(number), role: Role::series(number) }
}

fn graph<'a>(curves: &'a [Curve<'a>], zone: &'a TimeZone) -> Graph<'a> {
    Graph {
        curves,
        span: (START, START + 60 * MINUTE),
        gap: 90_000,
        unit: Measure::Ratio,
        bounds: (Some(0.0), None),
        levels: &[],
        events: &[],
        cursor: None,
        zone,
        legend: 3,
    }
}

fn drawn(width: u16, height: u16, ascii: bool, graph: &Graph<'_>) -> Vec<String> {
    let area = Rect::new(0, 0, width, height);
    let mut buffer = Buffer::empty(area);
    draw(&mut buffer, area, &theme(ascii), graph);
    lines(&buffer)
}

#[test]
fn a_graph_has_round_values_round_times_and_a_legend() {
    let points = hour(|minute| Some(minute as f64 / 600.0));
    let curves = [curve("errors", 0, &points)];
    let zone = TimeZone::UTC;
    let picture = drawn(48, 9, false, &graph(&curves, &zone));
    assert!(picture[0].starts_with("10%┤"), "{picture:#?}");
    assert!(picture[5].starts_with(" 0%┤"), "{picture:#?}");
    assert!(picture[6].starts_with("   └"), "{picture:#?}");
    assert!(picture[7].contains("00:15") && picture[7].contains("00:45"), "{picture:#?}");
    // The least value goes first where there is no room for all.
    assert!(picture[8].contains("last") && !picture[8].contains("min"), "{picture:#?}");
    let wide = drawn(72, 9, false, &graph(&curves, &zone));
    for word in ["a errors", "last", "max     10%", "min      0%"] {
        assert!(wide[8].contains(word), "{word}: {wide:#?}");
    }
}

#[test]
fn a_gap_is_a_gap_and_what_is_no_number_is_none() {
    let zone = TimeZone::UTC;
    let points = hour(|minute| match minute {
        20..40 => None,
        45..=50 => Some(f64::NAN),
        _ => Some(0.5),
    });
    let curves = [curve("up", 0, &points)];
    let one = Graph { bounds: (Some(0.0), Some(1.0)), ..graph(&curves, &zone) };
    let picture = drawn(65, 7, true, &one);
    let row = picture.iter().find(|line| line.contains('*')).unwrap();
    let cells: Vec<char> = row.chars().skip(5).collect();
    let runs: Vec<usize> =
        cells.split(|cell| *cell != '*').map(<[char]>::len).filter(|run| *run > 0).collect();
    assert_eq!(runs.len(), 3, "{picture:#?}");
    assert!((18..=22).contains(&runs[0]), "{runs:?}");
}

#[test]
fn a_small_axis_has_no_two_labels_that_read_the_same() {
    let points = hour(|minute| Some(0.000_9 + (minute % 7) as f64 * 0.000_05));
    let curves = [curve("errors", 0, &points)];
    let zone = TimeZone::UTC;
    for unit in [Measure::Ratio, Measure::Rate, Measure::Short] {
        let picture = drawn(60, 24, false, &Graph { unit, ..graph(&curves, &zone) });
        let labels: Vec<&str> =
            picture.iter().filter_map(|line| line.split_once('┤')).map(|one| one.0).collect();
        let mut told_apart = labels.clone();
        told_apart.dedup();
        assert!(labels.len() > 3 && labels == told_apart, "{picture:#?}");
    }
}

#[test]
fn a_point_that_is_joined_to_none_is_seen() {
    let points: Vec<(i64, f64)> = hour(|minute| [10, 40, 41].contains(&minute).then_some(0.5));
    let curves = [curve("deployments", 0, &points)];
    let zone = TimeZone::UTC;
    let picture = drawn(60, 12, false, &graph(&curves, &zone));
    assert_eq!(picture.join("").matches('•').count(), 1, "{picture:#?}");
}

#[test]
fn values_go_before_much_of_a_name_goes() {
    let points = hour(|_| Some(0.5));
    let curves = [curve("workload-low time-out", 0, &points)];
    let zone = TimeZone::UTC;
    let picture = drawn(48, 9, false, &graph(&curves, &zone)).join("\n");
    assert!(picture.contains("workload-low time-out") && picture.contains("last"), "{picture}");
    assert!(!picture.contains("min"), "{picture}");
}

#[test]
fn infinity_stands_at_the_edge_and_does_not_press_the_curve_flat() {
    let zone = TimeZone::UTC;
    let points = hour(|minute| Some(if minute == 30 { f64::INFINITY } else { 0.5 }));
    let curves = [curve("p99", 0, &points)];
    let picture = drawn(48, 9, false, &graph(&curves, &zone));
    assert!(picture[0].contains('∞') && picture[0].starts_with("50%"), "{picture:#?}");
}

#[test]
fn curves_are_told_apart_by_letters_with_and_without_braille() {
    let zone = TimeZone::UTC;
    let (high, low) = (hour(|_| Some(0.8)), hour(|_| Some(0.2)));
    let curves = [curve("high", 0, &high), curve("low", 1, &low)];
    for ascii in [false, true] {
        let picture = drawn(60, 9, ascii, &graph(&curves, &zone));
        let row =
            |letter: char| picture[..6].iter().position(|line| line.chars().skip(4).any(|c| c == letter));
        assert!(row('a') < row('b') && row('a').is_some(), "{picture:#?}");
        assert!(!ascii || picture.iter().all(|line| line.is_ascii()), "{picture:#?}");
    }
}

#[test]
fn thresholds_marks_and_the_cursor_are_seen_without_colour() {
    let zone = TimeZone::UTC;
    let points = hour(|minute| Some(minute as f64 / 600.0));
    let curves = [curve("errors", 0, &points)];
    let levels = [Level { at: 0.05, role: Role::Warning }];
    let events = [Event { at: START + 30 * MINUTE, role: Role::Degraded }];
    let cursor = Some(START + 15 * MINUTE);
    let picture =
        drawn(60, 10, false, &Graph { levels: &levels, events: &events, cursor, ..graph(&curves, &zone) });
    assert!(picture.iter().any(|line| line.contains("╌ ▲ 5% ╌")), "{picture:#?}");
    assert!(picture.iter().any(|line| line.contains("└") && line.contains('✗')), "{picture:#?}");
    assert!(picture.iter().any(|line| line.contains("00:15:00")), "{picture:#?}");
    assert!(picture[9].contains("at    2.5%"), "the legend has the values of the time: {picture:#?}");
}

#[test]
fn more_curves_than_the_legend_has_room_for_are_counted() {
    let zone = TimeZone::UTC;
    let points: Vec<_> = (0..20).map(|number| hour(|_| Some(f64::from(number) / 20.0))).collect();
    let names: Vec<String> = (0..20).map(|number| format!("tenant-{number}")).collect();
    let curves: Vec<_> =
        names.iter().zip(&points).enumerate().map(|(at, (name, points))| curve(name, at, points)).collect();
    let picture = drawn(60, 12, false, &graph(&curves, &zone));
    let named = picture
        .iter()
        .flat_map(|line| line.split_whitespace())
        .filter(|word| word.starts_with("tenant-"))
        .count();
    let more = format!("+{}", 20 - named);
    assert!(named >= 6 && picture.last().unwrap().ends_with(&more), "{named} {picture:#?}");
}

#[test]
fn no_size_and_no_values_make_it_panic_or_leave_its_area() {
    let zone = TimeZone::UTC;
    let odd = [0.0, -1.0, f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1e308, -1e308, 5e-324, 1e15];
    let points: Vec<_> =
        (0..60).map(|at| (START + at * MINUTE, odd[usize::try_from(at).unwrap() % odd.len()])).collect();
    let curves = [curve("odd 日本語", 0, &points), curve("", 1, &[]), curve("same", 60, &points)];
    let levels = [Level { at: f64::NAN, role: Role::Warning }, Level { at: 1e308, role: Role::Degraded }];
    let events = [Event { at: i64::MAX, role: Role::Idle }, Event { at: START, role: Role::Progressing }];
    for ascii in [false, true] {
        let theme = theme(ascii);
        for (width, height) in (0..30).flat_map(|width| (0..14).map(move |height| (width, height))) {
            let whole = Rect::new(0, 0, 34, 18);
            let area = Rect { x: 3, y: 2, width, height };
            for span in [(START, START + 60 * MINUTE), (START, START), (i64::MIN / 4, i64::MAX / 4), (0, 1)] {
                let mut buffer = Buffer::empty(whole);
                let graph = Graph {
                    span,
                    levels: &levels,
                    events: &events,
                    cursor: Some(START + MINUTE),
                    bounds: (None, None),
                    ..graph(&curves, &zone)
                };
                draw(&mut buffer, area, &theme, &graph);
                for position in whole.positions().filter(|position| !area.contains(*position)) {
                    assert_eq!(buffer[position].symbol(), " ", "{area} at {position}");
                }
            }
        }
    }
}
