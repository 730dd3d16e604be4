//! What a board is opened for.

use super::Facet;
use crate::identity::Text;

/// What is selected, as boards see it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Subject {
    /// The tenant.
    pub tenant: Option<Text>,
    /// The namespaces: all of the tenant, or the one of the object.
    pub namespaces: Vec<Text>,
    /// The node.
    pub node: Option<Text>,
    /// The pod.
    pub pod: Option<Text>,
    /// The pods of a workload, as a regular expression.
    pub pods: Option<Text>,
    /// The workload.
    pub workload: Option<Text>,
    /// The Application.
    pub application: Option<Text>,
}

impl Subject {
    /// Returns the facets that are known, the nearest first.
    pub fn facets(&self) -> Vec<Facet> {
        let known = [
            (Facet::Pod, self.pod.is_some()),
            (Facet::Node, self.node.is_some()),
            (Facet::Workload, self.workload.is_some()),
            (Facet::Application, self.application.is_some()),
            (Facet::Tenant, self.tenant.is_some()),
            (Facet::Namespace, !self.namespaces.is_empty()),
        ];
        known.into_iter().filter(|(_, known)| *known).map(|(facet, _)| facet).collect()
    }

    /// Returns a facet as what stands between the quotes of a `PromQL` matcher with `=~`.
    pub fn matcher(&self, facet: Facet) -> Option<String> {
        let one = |text: &Option<Text>| text.as_ref().map(|text| escaped(text));
        match facet {
            Facet::Tenant => one(&self.tenant),
            Facet::Namespace if self.namespaces.is_empty() => None,
            Facet::Namespace => {
                Some(self.namespaces.iter().map(|name| escaped(name)).collect::<Vec<_>>().join("|"))
            }
            Facet::Node => one(&self.node),
            Facet::Pod => one(&self.pod).or_else(|| self.pods.as_ref().map(ToString::to_string)),
            Facet::Workload => one(&self.workload),
            Facet::Application => one(&self.application),
        }
    }

    /// Names it for people: `tenant tenant-2`, `pod checkout-1 in tenant-2`; empty for everything.
    pub fn words(&self) -> String {
        let within = || match self.namespaces.as_slice() {
            [one] => format!(" in {one}"),
            _ => String::new(),
        };
        match self {
            Self { pod: Some(pod), .. } => format!("pod {pod}{}", within()),
            Self { node: Some(node), .. } => format!("node {node}"),
            Self { workload: Some(workload), .. } => format!("workload {workload}{}", within()),
            Self { application: Some(application), .. } => format!("application {application}"),
            Self { tenant: Some(tenant), .. } => format!("tenant {tenant}"),
            Self { namespaces, .. } => match namespaces.as_slice() {
                [] => String::new(),
                [one] => format!("namespace {one}"),
                several => format!("{} namespaces", several.len()),
            },
        }
    }
}

impl Subject {
    /// Names a workload and the pods that are named after it; `plural` is that of its type.
    pub fn of_workload(plural: &str, namespace: Option<&Text>, name: &Text) -> Self {
        // The letters of generated names (k8s.io/apimachinery/pkg/util/rand): no vowels, nothing that looks alike.
        let after = match plural {
            "deployments" | "rollouts" => "-[bcdfghjklmnpqrstvwxz2456789]+-[bcdfghjklmnpqrstvwxz2456789]{5}",
            "statefulsets" => "-[0-9]+",
            "cronjobs" => "-[0-9]+(-[0-9]+)?-[bcdfghjklmnpqrstvwxz2456789]{5}",
            _ => "(-[0-9]+)?-[bcdfghjklmnpqrstvwxz2456789]{5}",
        };
        Self {
            namespaces: namespace.cloned().into_iter().collect(),
            pods: Some(Text::from(format!("{}{after}", escaped(name)))),
            workload: Some(name.clone()),
            ..Self::default()
        }
    }
}

/// Escapes a text for a regular expression, and that for a string of `PromQL` in double quotes.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 8);
    for letter in text.chars() {
        match letter {
            // A backslash of the regular expression is written twice in the string.
            '.' | '+' | '*' | '?' | '(' | ')' | '|' | '[' | ']' | '{' | '}' | '^' | '$' => {
                out.push_str("\\\\");
                out.push(letter);
            }
            '\\' => out.push_str("\\\\\\\\"),
            '"' => out.push_str("\\\""),
            // Names are cleaned at the edge; a line break would end the string.
            letter if letter.is_control() => out.push('.'),
            letter => out.push(letter),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_matched_as_it_is_whatever_letters_it_has() {
        let subject = Subject {
            namespaces: vec!["a.b".into(), "c".into()],
            tenant: Some("we\"ird\\$x".into()),
            ..Subject::default()
        };
        assert_eq!(subject.matcher(Facet::Namespace).as_deref(), Some(r"a\\.b|c"));
        assert_eq!(subject.matcher(Facet::Tenant).as_deref(), Some(r#"we\"ird\\\\\\$x"#));
        assert_eq!(subject.matcher(Facet::Node), None);
        for facet in [Facet::Namespace, Facet::Tenant] {
            let expr = format!("up{{x=~\"{}\"}}", subject.matcher(facet).unwrap());
            promql_parser::parser::parse(&expr).unwrap();
        }
    }

    #[test]
    fn a_workload_matches_its_own_pods_and_not_those_of_its_namesakes() {
        let fits = |plural: &str, pod: &str| {
            let subject = Subject::of_workload(plural, None, &"checkout".into());
            let pattern = subject.matcher(Facet::Pod).unwrap();
            // Prometheus anchors its expressions.
            regex::Regex::new(&format!("^(?:{pattern})$")).unwrap().is_match(pod)
        };
        assert!(fits("deployments", "checkout-5d8f7c9b4-2xk4l"));
        assert!(!fits("deployments", "checkout-api-5d8f7c9b4-2xk4l"));
        assert!(fits("statefulsets", "checkout-12") && !fits("statefulsets", "checkout-db-0"));
        assert!(fits("daemonsets", "checkout-2xk4l"));
        assert!(fits("jobs", "checkout-0-2xk4l") && fits("cronjobs", "checkout-29404810-2xk4l"));
    }

    #[test]
    fn the_nearest_facet_comes_first() {
        let subject = Subject {
            pod: Some("web-1".into()),
            tenant: Some("tenant-2".into()),
            namespaces: vec!["tenant-2".into()],
            ..Subject::default()
        };
        assert_eq!(subject.facets(), [Facet::Pod, Facet::Tenant, Facet::Namespace]);
        assert_eq!(subject.words(), "pod web-1 in tenant-2");
    }
}
