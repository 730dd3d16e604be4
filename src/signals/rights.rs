//! What one may do in a namespace, as far as the API server lists it: good enough to leave a verb out of the footer,
//! not to decide. The gate asks for each right by itself.

/// One rule: these verbs, on these types of these groups; `*` stands for all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Right {
    /// Verbs of the API.
    pub verbs: Vec<String>,
    /// API groups; empty text for core.
    pub groups: Vec<String>,
    /// Types in the plural, with their subresource, such as `pods/eviction`.
    pub resources: Vec<String>,
}

/// What one may do in a namespace.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rights {
    /// The rules. What is permitted for some names only counts as permitted here.
    pub rules: Vec<Right>,
    /// Whether an authorizer could not list what it permits (contracts 3.4): then nothing is surely missing.
    pub incomplete: bool,
}

impl Rights {
    /// Tells whether a right is surely missing.
    pub fn lack(&self, verb: &str, group: &str, resource: &str) -> bool {
        let has = |list: &[String], word: &str| list.iter().any(|one| one == "*" || one == word);
        let of = |list: &[String]| {
            let all_of = resource.split_once('/').map(|(_, sub)| format!("*/{sub}"));
            has(list, resource) || all_of.is_some_and(|all| list.contains(&all))
        };
        !self.incomplete
            && !self
                .rules
                .iter()
                .any(|rule| has(&rule.verbs, verb) && has(&rule.groups, group) && of(&rule.resources))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_right_is_missing_only_where_everything_is_listed() {
        let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        let rule = |verbs: &[&str], groups: &[&str], resources: &[&str]| Right {
            verbs: words(verbs),
            groups: words(groups),
            resources: words(resources),
        };
        let rules = vec![
            rule(&["get", "list"], &["*"], &["*"]),
            rule(&["patch"], &["apps"], &["deployments"]),
            rule(&["create"], &[""], &["*/eviction"]),
        ];
        let mut rights = Rights { rules, incomplete: false };
        assert!(!rights.lack("patch", "apps", "deployments") && !rights.lack("get", "", "pods"));
        assert!(rights.lack("patch", "apps", "statefulsets") && rights.lack("delete", "", "pods"));
        assert!(!rights.lack("create", "", "pods/eviction") && rights.lack("create", "", "pods/log"));
        rights.incomplete = true;
        assert!(!rights.lack("delete", "", "pods"));
    }
}
