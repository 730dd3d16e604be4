//! Labels of alerts, rules and series.

use std::fmt;
use std::sync::Arc;

use crate::identity::Text;

/// Label names and values, sorted by name; cheap to clone.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Labels(Arc<[(Text, Text)]>);

impl Default for Labels {
    fn default() -> Self {
        Self(Arc::from([]))
    }
}

impl Labels {
    /// Returns the value of a label; a label that is absent is the same as an empty one, as Prometheus has it.
    pub fn get(&self, name: &str) -> Option<&str> {
        let at = self.0.binary_search_by(|(one, _)| (**one).cmp(name)).ok()?;
        Some(&self.0[at].1).map(|value| &**value).filter(|value| !value.is_empty())
    }

    /// Returns the value of the first of several labels that is there.
    pub fn first(&self, names: &[&str]) -> Option<&str> {
        names.iter().find_map(|name| self.get(name))
    }

    /// Returns names and values in the order of the names.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (&**name, &**value))
    }

    /// Returns how many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Tells whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the labels without some of them.
    #[must_use]
    pub fn without(&self, names: &[&str]) -> Self {
        self.0.iter().filter(|(name, _)| !names.contains(&&**name)).cloned().collect()
    }
}

impl FromIterator<(Text, Text)> for Labels {
    fn from_iter<I: IntoIterator<Item = (Text, Text)>>(all: I) -> Self {
        let mut all: Vec<_> = all.into_iter().collect();
        all.sort_by(|one, other| one.0.cmp(&other.0));
        all.dedup_by(|one, other| one.0 == other.0);
        Self(all.into())
    }
}

/// Writes `{name="value", other="value"}` as Prometheus does; `__name__` stands before the brace.
impl fmt::Display for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.get("__name__");
        f.write_str(name.unwrap_or_default())?;
        if name.is_some() && self.len() == 1 {
            return Ok(());
        }
        f.write_str("{")?;
        for (at, (name, value)) in self.iter().filter(|(name, _)| *name != "__name__").enumerate() {
            if at > 0 {
                f.write_str(", ")?;
            }
            write!(f, "{name}={value:?}")?;
        }
        f.write_str("}")
    }
}

impl fmt::Debug for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_found_by_name_and_written_as_prometheus_writes_them() {
        let pairs = [("namespace", "shop"), ("__name__", "up"), ("empty", "")];
        let labels: Labels = pairs.into_iter().map(|(name, value)| (name.into(), value.into())).collect();
        assert_eq!(labels.get("namespace"), Some("shop"));
        assert_eq!(labels.get("empty"), None);
        assert_eq!(labels.first(&["pod", "namespace"]), Some("shop"));
        assert_eq!(labels.without(&["empty"]).to_string(), r#"up{namespace="shop"}"#);
        assert_eq!(labels.without(&["empty", "namespace"]).to_string(), "up");
    }
}
