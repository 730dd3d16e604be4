//! The samples that both sides are given: deterministic, with everything in them that makes evaluators differ.

use opsdeck::demo::promql::{Labels, Memory};

/// 2 March 2026 at midnight, in milliseconds.
pub const START: i64 = 1_772_409_600_000;
/// How long the samples go on.
const LENGTH: i64 = 3 * 3_600_000;

/// A generator with a fixed sequence: the same everywhere.
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as f64 / (1_u64 << 31) as f64
    }
}

fn labels(name: &str, pairs: &[(&str, &str)]) -> Labels {
    Labels::new(pairs.iter().copied().chain([("__name__", name)]))
}

/// Writes one series every `every` milliseconds from `shift` after the start.
fn series(
    into: &mut Memory,
    labels: &Labels,
    (shift, every): (i64, i64),
    mut value: impl FnMut(i64) -> Option<f64>,
) {
    let mut at = START + shift;
    while at <= START + LENGTH {
        if let Some(value) = value(at - START) {
            into.push(labels.clone(), at, value);
        }
        at += every;
    }
}

/// Makes them all.
pub fn make() -> Memory {
    let mut into = Memory::default();
    let mut dice = Dice(7);
    for (number, namespace) in ["shop", "bank", "mail"].into_iter().enumerate() {
        for (pod, instance) in ["a", "b", "c"].into_iter().enumerate() {
            // Beside every border: never a multiple of 7 s, 60 s or of a window.
            let shift = 137 + 1_013 * (number * 3 + pod) as i64;
            let own = [("namespace", namespace), ("pod", instance), ("job", "web")];
            requests(&mut into, &mut dice, &own, shift);
            latencies(&mut into, &mut dice, &own, shift);
            gauges(&mut into, &mut dice, &own, shift);
        }
        let owner =
            [("namespace", namespace), ("owner", "team"), ("tier", if number == 0 { "gold" } else { "tin" })];
        series(&mut into, &labels("namespace_info", &owner), (211, 30_000), |_| Some(1.0));
        let quota = [("namespace", namespace), ("resource", "requests.cpu"), ("type", "hard")];
        series(&mut into, &labels("quota", &quota), (311, 60_000), |_| Some(number as f64 * 4.0));
    }
    // On every border: what the dialects see differently.
    for instance in ["x", "y"] {
        let mut total = 0.0;
        series(&mut into, &labels("aligned_total", &[("instance", instance)]), (0, 15_000), |at| {
            total += dice.roll() * 10.0;
            if at % 4_500_000 == 0 {
                total = 0.5;
            }
            Some(total)
        });
        series(&mut into, &labels("aligned_level", &[("instance", instance)]), (0, 60_000), |at| {
            (at % 1_200_000 < 600_000).then(|| dice.roll() - 0.5)
        });
    }
    odd(&mut into);
    into
}

fn requests(into: &mut Memory, dice: &mut Dice, own: &[(&str, &str)], shift: i64) {
    for (code, speed) in [("200", 40.0), ("404", 3.0), ("500", 0.4)] {
        let mut total = 0.0;
        // One pod starts late, one stops early, one starts again twice.
        let pod = own[1].1.to_owned();
        let with: Vec<(&str, &str)> = own.iter().copied().chain([("code", code)]).collect();
        series(into, &labels("http_requests_total", &with), (shift, 15_000), |at| {
            total += (dice.roll() * speed).floor();
            if pod == "c" && (at - shift) % 3_000_000 == 0 {
                total = 0.0;
            }
            let there = match pod.as_str() {
                "a" => at > 2_000_000,
                "b" => at < 7_000_000,
                _ => true,
            };
            there.then_some(total)
        });
    }
}

fn latencies(into: &mut Memory, dice: &mut Dice, own: &[(&str, &str)], shift: i64) {
    let bounds = ["0.005", "0.05", "0.1", "0.5", "1", "5", "+Inf"];
    let mut counts = [0.0_f64; 7];
    let mut rolls: Vec<[f64; 7]> = Vec::new();
    for _ in 0..=(LENGTH / 30_000) {
        for (index, count) in counts.iter_mut().enumerate() {
            *count += (dice.roll() * 8.0 / (1.0 + index as f64)).floor();
        }
        let mut sum = 0.0;
        rolls.push(counts.map(|count| {
            sum += count;
            sum
        }));
    }
    for (index, bound) in bounds.into_iter().enumerate() {
        let with: Vec<(&str, &str)> = own.iter().copied().chain([("le", bound)]).collect();
        let row = |at: i64| rolls.get(usize::try_from(at / 30_000).unwrap()).map(|row| row[index]);
        series(into, &labels("latency_seconds_bucket", &with), (shift, 30_000), row);
    }
    let count = |at: i64| rolls.get(usize::try_from(at / 30_000).unwrap()).map(|row| row[6]);
    series(into, &labels("latency_seconds_count", own), (shift, 30_000), count);
    series(into, &labels("latency_seconds_sum", own), (shift, 30_000), |at| {
        count(at).map(|count| count * 0.21)
    });
}

fn gauges(into: &mut Memory, dice: &mut Dice, own: &[(&str, &str)], shift: i64) {
    let mut level = 40.0;
    series(into, &labels("memory_bytes", own), (shift, 30_000), |at| {
        level = (level + dice.roll() - 0.48).max(1.0);
        // A gap of eleven minutes: longer than the lookback.
        (!(3_300_000..3_960_000).contains(&at)).then_some(level * 1_048_576.0)
    });
    series(into, &labels("temperature", own), (shift, 20_000), |at| {
        Some((at as f64 / 900_000.0).sin() * 25.0 + dice.roll() - 3.0)
    });
    let limit = [own, &[("resource", "memory")]].concat();
    series(into, &labels("limit_bytes", &limit), (shift + 77, 60_000), |_| Some(128.0 * 1_048_576.0));
    series(into, &labels("replicas", own), (shift + 5, 30_000), |at| Some(((at / 600_000) % 4) as f64));
}

/// Values and labels that are rare and legal.
fn odd(into: &mut Memory) {
    let values = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 0.0, -1.5, 1e-9, 3e12, 0.1];
    for (index, value) in values.into_iter().enumerate() {
        let name = format!("v{index}");
        series(into, &labels("odd", &[("kind", &name)]), (401, 30_000), |_| Some(value));
        series(into, &labels("sometimes_odd", &[("kind", &name)]), (401, 30_000), |at| {
            Some(if at % 300_000 < 60_000 { value } else { index as f64 })
        });
    }
    series(into, &labels("lonely", &[]), (401, 30_000), |at| Some(at as f64 / 1e3));
    series(into, &labels("constant", &[]), (401, 30_000), |_| Some(7.0));
    let text = "a \"quoted\" value, with \\ and ünïcode";
    series(into, &labels("worded", &[("text", text), ("url", "https://a.b/c?d=e")]), (401, 30_000), |_| {
        Some(2.0)
    });
    // 29 February, the last second of a year, before 1970.
    for (index, seconds) in
        [1_709_164_800.0, 1_767_225_599.0, -86_400.5, 951_782_400.0].into_iter().enumerate()
    {
        let name = format!("d{index}");
        series(into, &labels("day", &[("kind", &name)]), (401, 30_000), |_| Some(seconds));
    }
}
