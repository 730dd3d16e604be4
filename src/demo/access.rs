//! Who may do what on the embedded platform: an administrator, and an operator of two tenants.
//!
//! One list of rules answers requests, access reviews and rules reviews, so that they cannot disagree.

use serde_json::{Value, json};

use super::objects::Objects;
use super::status::{Reason, Status};
use super::types::Type;

/// Who asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum User {
    /// May do everything.
    Admin,
    /// Reads two tenants' namespaces and changes their rehearsal stages only.
    Restricted,
}

impl User {
    /// Returns the name that the API server knows the user by.
    pub fn name(self) -> &'static str {
        match self {
            Self::Admin => "demo-admin",
            Self::Restricted => "demo-tenant-operator",
        }
    }

    /// Returns the groups of the user.
    pub fn groups(self) -> &'static [&'static str] {
        match self {
            Self::Admin => &["system:masters", "system:authenticated"],
            Self::Restricted => &["tenant-operators", "system:authenticated"],
        }
    }
}

/// What is asked for, as an authorizer sees it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Attributes {
    /// `get`, `list`, `watch`, `create`, `update`, `patch`, `delete`, `deletecollection`.
    pub verb: String,
    /// API group.
    pub group: String,
    /// Plural.
    pub resource: String,
    /// Such as `log` or `scale`; may be empty.
    pub subresource: String,
    /// Empty for all namespaces and for cluster-scoped resources.
    pub namespace: String,
    /// May be empty.
    pub name: String,
}

/// A rule that lets the restricted user do something in a namespace.
struct Rule {
    verbs: &'static [&'static str],
    groups: &'static [&'static str],
    resources: &'static [&'static str],
}

const READ: &[&str] = &["get", "list", "watch"];
const CHANGE: &[&str] = &["create", "update", "patch", "delete", "deletecollection"];

/// Everywhere in the permitted namespaces. Secrets are not among it.
const READING: &[Rule] = &[
    Rule {
        verbs: READ,
        groups: &[""],
        resources: &[
            "pods",
            "pods/log",
            "pods/status",
            "services",
            "endpoints",
            "configmaps",
            "serviceaccounts",
            "events",
            "resourcequotas",
            "limitranges",
            "persistentvolumeclaims",
            "replicationcontrollers",
        ],
    },
    Rule {
        verbs: READ,
        groups: &[
            "apps",
            "batch",
            "autoscaling",
            "networking.k8s.io",
            "policy",
            "events.k8s.io",
            "discovery.k8s.io",
        ],
        resources: &["*"],
    },
    Rule {
        verbs: READ,
        groups: &[
            "argoproj.io",
            "external-secrets.io",
            "bitnami.com",
            "cert-manager.io",
            "acme.cert-manager.io",
            "externaldns.k8s.io",
            "keda.sh",
            "wgpolicyk8s.io",
            "aquasecurity.github.io",
        ],
        resources: &["*"],
    },
    Rule { verbs: &["get", "list"], groups: &["metrics.k8s.io"], resources: &["pods"] },
    Rule { verbs: &["get"], groups: &[""], resources: &["namespaces"] },
];

/// In the permitted namespaces that are not production.
const CHANGING: &[Rule] = &[
    Rule { verbs: CHANGE, groups: &["apps", "batch"], resources: &["*"] },
    Rule { verbs: CHANGE, groups: &[""], resources: &["pods", "pods/eviction", "configmaps", "services"] },
];

/// Who may do what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Access {
    readable: Vec<String>,
    changeable: Vec<String>,
}

impl Access {
    /// Reads from the namespaces' labels which ones the restricted user gets: those of the first two tenants.
    pub fn new(objects: &Objects) -> Self {
        let mut access = Self { readable: Vec::new(), changeable: Vec::new() };
        for space in objects.list(Type::Namespace, None) {
            let mut values = space.labels.iter().map(|(_, value)| value.as_ref());
            if values.any(|value| matches!(value, "tenant-1" | "tenant-2")) {
                let name = space.key.name.to_string();
                if space.labels.iter().any(|(_, value)| value.as_ref() == "staging") {
                    access.changeable.push(name.clone());
                }
                access.readable.push(name);
            }
        }
        access
    }

    /// Returns the namespace that the restricted user's context starts in.
    pub fn home(&self) -> &str {
        self.readable.first().map_or("default", String::as_str)
    }

    /// Returns the namespaces that the restricted user may read.
    pub fn readable(&self) -> &[String] {
        &self.readable
    }

    /// Tells whether a user may do something.
    pub fn allows(&self, user: User, asked: &Attributes) -> bool {
        if user == User::Admin || is_self_review(asked) {
            return true;
        }
        let rules = |namespaces: &[String], rules: &[Rule]| {
            namespaces.contains(&asked.namespace) && rules.iter().any(|rule| rule.covers(asked))
        };
        rules(&self.readable, READING) || rules(&self.changeable, CHANGING)
    }

    /// Tells whether a user may read a path that is not a resource.
    pub fn allows_path(user: User, verb: &str, path: &str) -> bool {
        user == User::Admin
            || (matches!(verb, "get" | "head")
                && ["/api", "/apis", "/healthz", "/livez", "/readyz", "/openapi", "/version"].iter().any(
                    |root| {
                        path.strip_prefix(root).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
                    },
                ))
    }

    /// Refuses what the user may not do, in the words of Kubernetes.
    pub fn check(&self, user: User, asked: &Attributes) -> Result<(), Status> {
        if self.allows(user, asked) {
            return Ok(());
        }
        let Attributes { verb, group, resource, subresource, namespace, name } = asked;
        let full =
            if subresource.is_empty() { resource.clone() } else { format!("{resource}/{subresource}") };
        let place = if namespace.is_empty() {
            "at the cluster scope".to_owned()
        } else {
            format!("in the namespace \"{namespace}\"")
        };
        let qualified = if group.is_empty() { resource.clone() } else { format!("{resource}.{group}") };
        let subject = if name.is_empty() { qualified } else { format!("{qualified} \"{name}\"") };
        let message = format!(
            "{subject} is forbidden: User \"{}\" cannot {verb} resource \"{full}\" in API group \"{group}\" {place}",
            user.name()
        );
        Err(Status {
            name: name.as_str().into(),
            group: group.as_str().into(),
            kind: resource.as_str().into(),
            ..Status::new(Reason::Forbidden, message)
        })
    }

    /// Returns the rules of a user in a namespace, as a `SelfSubjectRulesReview` lists them.
    pub fn rules(&self, user: User, namespace: &str) -> (Vec<Value>, Vec<Value>) {
        let rule = |verbs: &[&str], groups: &[&str], resources: &[&str]| json!({"verbs": verbs, "apiGroups": groups, "resources": resources});
        let mut list = vec![
            rule(
                &["create"],
                &["authorization.k8s.io"],
                &["selfsubjectaccessreviews", "selfsubjectrulesreviews"],
            ),
            rule(&["create"], &["authentication.k8s.io"], &["selfsubjectreviews"]),
        ];
        let paths = [
            "/api",
            "/api/*",
            "/apis",
            "/apis/*",
            "/healthz",
            "/livez",
            "/openapi",
            "/openapi/*",
            "/readyz",
            "/version",
        ];
        let mut others = vec![json!({"verbs": ["get"], "nonResourceURLs": paths})];
        if user == User::Admin {
            list.push(rule(&["*"], &["*"], &["*"]));
            others.push(json!({"verbs": ["*"], "nonResourceURLs": ["*"]}));
            return (list, others);
        }
        for (namespaces, rules) in [(&self.readable, READING), (&self.changeable, CHANGING)] {
            if namespaces.iter().any(|permitted| permitted == namespace) {
                list.extend(rules.iter().map(|entry| rule(entry.verbs, entry.groups, entry.resources)));
            }
        }
        (list, others)
    }
}

impl Rule {
    fn covers(&self, asked: &Attributes) -> bool {
        let full = if asked.subresource.is_empty() {
            asked.resource.clone()
        } else {
            format!("{}/{}", asked.resource, asked.subresource)
        };
        self.verbs.contains(&asked.verb.as_str())
            && self.groups.contains(&asked.group.as_str())
            && (self.resources.contains(&"*") || self.resources.contains(&full.as_str()))
    }
}

fn is_self_review(asked: &Attributes) -> bool {
    asked.verb == "create"
        && matches!(
            (asked.group.as_str(), asked.resource.as_str()),
            ("authorization.k8s.io", "selfsubjectaccessreviews" | "selfsubjectrulesreviews")
                | ("authentication.k8s.io", "selfsubjectreviews")
        )
}
