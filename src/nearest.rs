//! The names nearest to one that was not found, for messages that offer a correction.

/// How many names a message offers.
const OFFERED: usize = 3;

/// Returns up to three of `candidates` that `word` may have meant, best first.
///
/// A candidate is near when few letters differ for its length, or when one contains the other.
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
    let word = word.to_lowercase();
    let mut near: Vec<(usize, &str)> = candidates
        .into_iter()
        .filter_map(|candidate| {
            let lower = candidate.to_lowercase();
            let apart = distance(&word, &lower);
            // A third of the letters may be wrong: `apilcations` finds `applications`, `x` finds nothing.
            let close = apart <= (word.chars().count().max(lower.chars().count())) / 3;
            let within = word.len() >= 2 && (lower.contains(&word) || word.contains(&lower));
            (close || within).then_some((apart, candidate))
        })
        .collect();
    near.sort_by(|a, b| a.0.cmp(&b.0).then_with(|| a.1.cmp(b.1)));
    near.dedup_by(|a, b| a.1 == b.1);
    near.into_iter().take(OFFERED).map(|(_, candidate)| candidate).collect()
}

/// Returns `; did you mean a, b or c?`, or nothing where no candidate is near.
pub fn did_you_mean<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> String {
    match nearest(word, candidates).as_slice() {
        [] => String::new(),
        [one] => format!("; did you mean {one}?"),
        [most @ .., last] => format!("; did you mean {} or {last}?", most.join(", ")),
    }
}

/// Counts the letters to insert, delete, change or swap with their neighbour (optimal string alignment).
fn distance(a: &str, b: &str) -> usize {
    let a: Vec<char> = a.chars().collect();
    let b: Vec<char> = b.chars().collect();
    let mut before: Vec<usize> = vec![0; b.len() + 1];
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut row = vec![i + 1; b.len() + 1];
        for (j, y) in b.iter().enumerate() {
            let change = last[j] + usize::from(x != y);
            row[j + 1] = change.min(last[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && *x == b[j - 1] && a[i - 1] == *y {
                row[j + 1] = row[j + 1].min(before[j - 1] + 1);
            }
        }
        before = std::mem::replace(&mut last, row);
    }
    last[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_typo_finds_the_name_and_a_stranger_finds_nothing() {
        let kinds = ["applications", "applicationsets", "pods", "nodepools"];
        assert_eq!(nearest("aplications", kinds)[0], "applications");
        assert_eq!(nearest("pdos", kinds), ["pods"]);
        assert!(nearest("zzz", kinds).is_empty());
    }

    #[test]
    fn the_sentence_reads_well_for_any_number_of_names() {
        assert_eq!(did_you_mean("zzz", ["pods"]), "");
        assert_eq!(did_you_mean("pod", ["pods"]), "; did you mean pods?");
        assert_eq!(did_you_mean("dar", ["dark", "darker"]), "; did you mean dark or darker?");
    }
}
