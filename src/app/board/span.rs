//! The time that the panels of a board share: zoom, pan, presets, what a person types, and the step.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::human::{self, times};
use crate::signals::Window;

/// The windows that a key chooses, in seconds.
pub const PRESETS: [u32; 6] = [900, 3_600, 10_800, 43_200, 86_400, 604_800];

/// The window that a board opens with, in seconds: three hours show a deploy and the time before it.
pub const OPENS: u32 = 3 * 3_600;

/// The least and the greatest window, in seconds.
const BOUNDS: (u32, u32) = (60, 90 * 86_400);

/// Steps between two values, in seconds: below 15 nothing is scraped, and round ones meet what is cached.
const STEPS: [u32; 14] =
    [15, 30, 60, 120, 300, 600, 900, 1_800, 3_600, 7_200, 10_800, 21_600, 43_200, 86_400];

/// Returns the step for a window that is drawn in so many columns: two values a column at most.
pub fn step(window: u32, columns: u16) -> u32 {
    let least = window / (u32::from(columns).max(8) * 2);
    STEPS.into_iter().find(|step| *step >= least).unwrap_or(86_400)
}

/// Returns beginning and end of what is drawn, in seconds since 1970: at whole steps, as the values are.
pub fn bounds(window: Window, step: u32, now: Timestamp) -> (i64, i64) {
    let step = i64::from(step.max(1));
    let (_, to) = window.bounds(now);
    let to = to.div_euclid(step) * step;
    (to - i64::from(window.seconds()).max(step), to)
}

/// Makes a window smaller or larger: along the presets while it ends now, else by half round its middle, or round
/// the time that is read.
pub fn zoom(window: Window, into: bool, cursor: Option<i64>) -> Window {
    match window {
        Window::Last { seconds } => {
            let next = if into {
                PRESETS.into_iter().rev().find(|preset| *preset < seconds).unwrap_or(seconds / 2)
            } else {
                PRESETS.into_iter().find(|preset| *preset > seconds).unwrap_or(seconds.saturating_mul(2))
            };
            Window::Last { seconds: next.clamp(BOUNDS.0, BOUNDS.1) }
        }
        Window::Between { from, to } => {
            let length = to - from;
            let new = if into { length / 2 } else { length.saturating_mul(2) };
            let new = new.clamp(i64::from(BOUNDS.0), i64::from(BOUNDS.1));
            let middle = cursor.filter(|at| (from..=to).contains(at)).unwrap_or(from + length / 2);
            Window::Between { from: middle - new / 2, to: middle - new / 2 + new }
        }
    }
}

/// Moves a window by a quarter of its length; one that would end after now follows the time again.
pub fn pan(window: Window, later: bool, now: Timestamp) -> Window {
    let (from, to) = window.bounds(now);
    let by = ((to - from) / 4).max(1);
    let by = if later { by } else { -by };
    let seconds = window.seconds();
    if to + by >= now.as_second() {
        return Window::Last { seconds };
    }
    Window::Between { from: from + by, to: to + by }
}

/// Writes a window for people: `last 3h`, `13:00 to 14:30`.
pub fn words(window: Window, now: Timestamp, zone: &TimeZone) -> String {
    let at = |second: i64| {
        Timestamp::from_second(second).map_or_else(|_| "?".to_owned(), |at| human::moment(at, now, zone))
    };
    match window {
        Window::Last { seconds } => format!("last {}", human::span(i64::from(seconds))),
        Window::Between { from, to } => format!("{} to {}", at(from), at(to)),
    }
}

/// Reads what a person types: `3h`, `13:00 14:30`, `2026-11-20 13:00 +2h`, `-6h -2h`, `now`.
pub fn read(text: &str, now: Timestamp, zone: &TimeZone) -> Result<Window, String> {
    let parts = times::parts(text);
    let refused =
        |word: &str| format!("{word:?} is no time (write 3h, 13:00 14:30, 2026-11-20 13:00 +2h, or -6h -2h)");
    let moment = |text: &str| times::moment(text, now, zone).ok_or_else(|| refused(text));
    let (from, to) = match parts.as_slice() {
        [] => return Err(refused("")),
        [one] => {
            if let Some(seconds) = length(one.trim_start_matches('-')) {
                return Ok(Window::Last { seconds });
            }
            (moment(one)?.as_second(), now.as_second())
        }
        [one, other] => {
            let from = moment(one)?;
            let to = times::end(other, from, now, zone).ok_or_else(|| refused(other))?;
            (from.as_second(), to.as_second())
        }
        [.., last] => return Err(refused(last)),
    };
    checked(Window::Between { from, to })
}

/// Refuses a window that ends before it begins, or that is too long; one that is too short is made longer.
pub fn checked(window: Window) -> Result<Window, String> {
    let Window::Between { from, to } = window else { return Ok(window) };
    if to <= from {
        return Err("the end must come after the beginning".to_owned());
    }
    if to - from > i64::from(BOUNDS.1) {
        return Err(format!("at most {} can be shown at once", human::span(i64::from(BOUNDS.1))));
    }
    Ok(Window::Between { from, to: to.max(from + i64::from(BOUNDS.0)) })
}

/// Reads a length of time, at least that of the least window.
pub fn length(text: &str) -> Option<u32> {
    let seconds = human::parse_span(text)?;
    (seconds >= 1.0 && seconds <= f64::from(BOUNDS.1)).then_some((seconds as u32).max(BOUNDS.0))
}

/// Reads a time as [`times::moment`] does, in seconds since 1970.
pub fn moment(text: &str, now: Timestamp, zone: &TimeZone) -> Option<i64> {
    times::moment(text, now, zone).map(Timestamp::as_second)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> Timestamp {
        "2026-11-20T14:02:31Z".parse().unwrap()
    }

    fn second(text: &str) -> i64 {
        text.parse::<Timestamp>().unwrap().as_second()
    }

    #[test]
    fn a_step_gives_two_values_a_column_at_most_and_is_round() {
        assert_eq!(step(43_200, 53), 600);
        assert_eq!(step(900, 53), 15);
        assert_eq!(step(604_800, 100), 3_600);
        assert_eq!(step(u32::MAX, 1), 86_400);
    }

    #[test]
    fn zooming_goes_along_the_presets_while_the_window_ends_now() {
        let hours = |hours: u32| Window::Last { seconds: hours * 3_600 };
        assert_eq!(zoom(hours(3), true, None), hours(1));
        assert_eq!(zoom(hours(3), false, None), hours(12));
        assert_eq!(zoom(Window::Last { seconds: 60 }, true, None), Window::Last { seconds: 60 });
        let past = Window::Between { from: 10_000, to: 20_000 };
        assert_eq!(zoom(past, true, None), Window::Between { from: 12_500, to: 17_500 });
        assert_eq!(zoom(past, true, Some(11_000)), Window::Between { from: 8_500, to: 13_500 });
    }

    #[test]
    fn panning_back_leaves_now_and_panning_forward_comes_back_to_it() {
        let window = Window::Last { seconds: 3_600 };
        let back = pan(window, false, now());
        let to = now().as_second() - 900;
        assert_eq!(back, Window::Between { from: to - 3_600, to });
        assert_eq!(pan(back, true, now()), window);
    }

    #[test]
    fn what_is_drawn_ends_at_a_whole_step_so_that_it_does_not_tremble() {
        let window = Window::Last { seconds: 3_600 };
        let to = second("2026-11-20T14:00:00Z");
        assert_eq!(bounds(window, 300, now()), (to - 3_600, to));
    }

    #[test]
    fn a_window_is_read_as_people_write_it() {
        let zone = TimeZone::UTC;
        let of = |text: &str| read(text, now(), &zone);
        let between = |from: &str, to: &str| Ok(Window::Between { from: second(from), to: second(to) });
        assert_eq!(of("3h"), Ok(Window::Last { seconds: 10_800 }));
        assert_eq!(of("-90m"), Ok(Window::Last { seconds: 5_400 }));
        assert_eq!(of("13:00 14:00"), between("2026-11-20T13:00:00Z", "2026-11-20T14:00:00Z"));
        assert_eq!(of("23:00 +2h"), between("2026-11-19T23:00:00Z", "2026-11-20T01:00:00Z"));
        assert_eq!(of("2026-11-20T09:00 to 10:30"), between("2026-11-20T09:00:00Z", "2026-11-20T10:30:00Z"));
        assert_eq!(of("-6h -2h"), between("2026-11-20T08:02:31Z", "2026-11-20T12:02:31Z"));
        for wrong in ["", "soon", "14:00 13:00", "25:00", "13:00 14:00 15:00", "400d"] {
            assert!(of(wrong).is_err(), "{wrong:?}: {:?}", of(wrong));
        }
    }
}
