//! What stands before lines so that it is clear whose they are: as wide for every line, and what differs.

use std::collections::{BTreeMap, BTreeSet};

use crate::identity::Text;
use crate::store::lines::Held;

/// How many names are told apart; beyond them the column is as wide as it gets.
const KNOWN: usize = 2_000;

/// The widest column of pods.
pub const WIDEST: usize = 30;

/// The names that lines have come from.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Names {
    pods: BTreeSet<Text>,
    containers: BTreeSet<Text>,
    /// The first container that each pod spoke with.
    first: BTreeMap<Text, Text>,
    /// Whether a pod spoke with more than one.
    several: bool,
    /// Bytes at the beginning that all pods share, up to a dash.
    common: usize,
    widest: usize,
}

/// Returns the name of what wrote a line: its pod, else its app or job.
pub fn of<'a>(held: &Held<'a>) -> Option<&'a str> {
    held.label("pod").or_else(|| held.label("app")).or_else(|| held.label("job"))
}

impl Names {
    /// Takes note of where a line came from.
    pub fn note(&mut self, held: &Held<'_>) {
        if let Some(name) = of(held).filter(|name| !self.pods.contains(*name)) {
            if self.pods.len() < KNOWN {
                self.pods.insert(Text::from(name));
            }
            let other = self.pods.iter().find(|one| ***one != *name);
            let one: &str = other.map_or("", |one| one);
            let shared = one.bytes().zip(name.bytes()).take_while(|(one, other)| one == other).count();
            let shared = if self.pods.len() > 1 { shared } else { 0 };
            let dash = name.as_bytes().get(..shared).and_then(|part| part.iter().rposition(|b| *b == b'-'));
            let shared = dash.map_or(0, |at| at + 1);
            self.common = if self.pods.len() > 2 { self.common.min(shared) } else { shared };
            self.widest = self.widest.max(crate::human::lines::width(name));
        }
        let Some(container) = held.label("container") else { return };
        if !self.containers.contains(container) && self.containers.len() < KNOWN {
            self.containers.insert(Text::from(container));
        }
        if self.several {
            return;
        }
        let pod = of(held).unwrap_or_default();
        match self.first.get(pod) {
            Some(first) => self.several = **first != *container,
            None if self.first.len() < KNOWN => {
                self.first.insert(Text::from(pod), Text::from(container));
            }
            None => {}
        }
    }

    /// Returns the part of a name that tells it from the others.
    pub fn part<'a>(&self, name: &'a str) -> &'a str {
        name.get(self.common..).filter(|part| !part.is_empty()).unwrap_or(name)
    }

    /// Returns how wide the column is; nought where there is one name alone.
    pub fn width(&self) -> usize {
        if self.pods.len() < 2 { 0 } else { self.widest.saturating_sub(self.common).min(WIDEST) }
    }

    /// Returns how wide the column of containers is; nought where no pod has more than one.
    pub fn containers_width(&self) -> usize {
        if !self.several {
            return 0;
        }
        self.containers.iter().map(|name| crate::human::lines::width(name)).max().unwrap_or(0).min(20)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::signals::Labels;
    use crate::sources::loki::Entry;
    use crate::store::lines::Lines;

    fn names(pods: &[&str]) -> Names {
        let mut lines = Lines::default();
        for pod in pods {
            let labels: Labels = [("pod".into(), Text::from(*pod))].into_iter().collect();
            let none = Labels::default;
            lines.push(Entry {
                at: 0,
                labels,
                metadata: none(),
                parsed: none(),
                text: "".into(),
                whole: None,
            });
        }
        let mut names = Names::default();
        lines.iter().for_each(|held| names.note(&held));
        names
    }

    #[test]
    fn what_all_pods_share_is_left_out_and_the_column_is_as_wide_for_all() {
        let one = names(&["checkout-7f9c-abc12", "checkout-7f9c-xyz"]);
        assert_eq!(one.part("checkout-7f9c-abc12"), "abc12");
        assert_eq!(one.width(), 5);
        let apps = names(&["checkout-7f9c-abc12", "checkout-7f9c-xyz", "cart-1"]);
        assert_eq!(apps.part("checkout-7f9c-xyz"), "checkout-7f9c-xyz", "another app shares nothing");
        assert_eq!(apps.width(), 19);
        assert_eq!(names(&["checkout-7f9c-abc12"]).width(), 0, "one alone needs no column");
        assert_eq!(names(&["a", "ab"]).part("ab"), "ab");
    }
}
