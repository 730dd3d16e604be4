//! A request to a resource, read from path, query and headers.
//!
//! It says what is asked for; whether it may be had is [`super::access`]'s business.

use hyper::Method;
use hyper::header::{ACCEPT, HeaderMap};

use super::access::Attributes;
use super::status::{Reason, Status};

/// Parameters of a query string.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Query(Vec<(String, String)>);

impl Query {
    /// Reads a query string; what cannot be decoded is taken as it stands.
    pub fn new(query: &str) -> Self {
        Self(
            query
                .split('&')
                .filter(|pair| !pair.is_empty())
                .map(|pair| {
                    let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
                    (decode(name, true), decode(value, true))
                })
                .collect(),
        )
    }

    /// Returns a parameter, empty where it is absent.
    pub fn get(&self, name: &str) -> &str {
        self.0.iter().find(|(candidate, _)| candidate == name).map_or("", |(_, value)| value)
    }

    /// Returns every value of a parameter that may be repeated.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(candidate, _)| candidate == name).map(|(_, value)| value.as_str())
    }

    /// Tells whether a parameter is set to something that Kubernetes reads as true.
    pub fn flag(&self, name: &str) -> bool {
        matches!(self.get(name), "1" | "t" | "T" | "true" | "True" | "TRUE")
    }

    /// Returns a parameter as a number; `None` where it is absent, refused where it is not a number.
    pub fn number(&self, name: &str) -> Result<Option<i64>, Status> {
        let text = self.get(name);
        if text.is_empty() {
            return Ok(None);
        }
        text.parse()
            .map(Some)
            .map_err(|_| Status::bad_request(format!("strconv.ParseInt: parsing \"{text}\": invalid syntax")))
    }

    /// Tells whether nothing is to be stored; refused where `dryRun` has another value than `All`.
    pub fn dry_run(&self) -> Result<bool, Status> {
        match self.get("dryRun") {
            "" => Ok(false),
            "All" => Ok(true),
            other => Err(Status::new(
                Reason::Invalid,
                format!("dryRun: Unsupported value: \"{other}\": supported values: \"All\""),
            )),
        }
    }
}

/// Decodes percent signs, and plus signs as spaces where that applies.
pub fn decode(text: &str, plus: bool) -> String {
    let raw = text.as_bytes();
    let mut bytes = Vec::with_capacity(raw.len());
    let mut at = 0;
    while at < raw.len() {
        let hex = raw.get(at + 1..at + 3).and_then(|pair| std::str::from_utf8(pair).ok());
        match (raw[at], hex.and_then(|pair| u8::from_str_radix(pair, 16).ok())) {
            (b'%', Some(byte)) => {
                bytes.push(byte);
                at += 2;
            }
            (b'+', _) if plus => bytes.push(b' '),
            (byte, _) => bytes.push(byte),
        }
        at += 1;
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    /// One object.
    Get,
    /// Many objects.
    List,
    /// What happens to objects.
    Watch,
    /// A new object.
    Create,
    /// An object in full.
    Update,
    /// Parts of an object.
    Patch,
    /// One object away.
    Delete,
    /// Many objects away.
    DeleteCollection,
}

impl Verb {
    /// Returns the word that authorizers know it by.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Get => "get",
            Self::List => "list",
            Self::Watch => "watch",
            Self::Create => "create",
            Self::Update => "update",
            Self::Patch => "patch",
            Self::Delete => "delete",
            Self::DeleteCollection => "deletecollection",
        }
    }
}

/// The path of a resource, taken apart.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Target {
    /// API group; empty for the core group.
    pub group: String,
    /// Version.
    pub version: String,
    /// Plural.
    pub plural: String,
    /// Namespace; empty for all namespaces and for cluster-scoped resources.
    pub namespace: String,
    /// Name; empty for the collection.
    pub name: String,
    /// Such as `status` or `log`; may be empty.
    pub subresource: String,
}

impl Target {
    /// Takes a path apart; `None` where it is not the path of a resource.
    pub fn parse(path: &str) -> Option<Self> {
        let parts: Vec<String> = path.trim_matches('/').split('/').map(|part| decode(part, false)).collect();
        let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
        let (group, version, rest) = match parts.as_slice() {
            ["api", version, rest @ ..] => ("", *version, rest),
            ["apis", group, version, rest @ ..] => (*group, *version, rest),
            _ => return None,
        };
        let target = |plural: &str, namespace: &str, name: &str, subresource: String| Self {
            group: group.to_owned(),
            version: version.to_owned(),
            plural: plural.to_owned(),
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            subresource,
        };
        if rest.is_empty() || rest.iter().any(|part| part.is_empty()) {
            return None;
        }
        Some(match rest {
            ["namespaces", name, subresource @ ("status" | "finalize")] => {
                target("namespaces", name, name, (*subresource).to_owned())
            }
            // The object is in itself, as authorizers see it.
            ["namespaces", name] => target("namespaces", name, name, String::new()),
            ["namespaces", namespace, plural] => target(plural, namespace, "", String::new()),
            ["namespaces", namespace, plural, name] => target(plural, namespace, name, String::new()),
            ["namespaces", namespace, plural, name, subresource @ ..] => {
                target(plural, namespace, name, subresource.join("/"))
            }
            [plural] => target(plural, "", "", String::new()),
            [plural, name] => target(plural, "", name, String::new()),
            [plural, name, subresource @ ..] => target(plural, "", name, subresource.join("/")),
            [] => return None,
        })
    }

    /// Returns the verb that a method means on this path.
    pub fn verb(&self, method: &Method, query: &Query) -> Option<Verb> {
        let whole = self.name.is_empty();
        Some(match (method.as_str(), whole) {
            ("GET", _) if query.flag("watch") => Verb::Watch,
            ("GET" | "HEAD", true) => Verb::List,
            ("GET" | "HEAD", false) => Verb::Get,
            ("POST", _) => Verb::Create,
            ("PUT", false) => Verb::Update,
            ("PATCH", false) => Verb::Patch,
            ("DELETE", false) => Verb::Delete,
            ("DELETE", true) => Verb::DeleteCollection,
            _ => return None,
        })
    }

    /// Returns what an authorizer is asked.
    pub fn attributes(&self, verb: Verb) -> Attributes {
        Attributes {
            verb: verb.as_str().to_owned(),
            group: self.group.clone(),
            resource: self.plural.clone(),
            subresource: self.subresource.clone(),
            namespace: self.namespace.clone(),
            name: self.name.clone(),
        }
    }
}

/// How much of an object accompanies a row of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Include {
    /// Nothing.
    None,
    /// Its metadata.
    Metadata,
    /// All of it.
    Object,
}

/// In which form an answer is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// The objects.
    Full,
    /// A table for people.
    Table(Include),
    /// Their metadata.
    Metadata,
}

impl Shape {
    /// Reads the `Accept` header: the first form that can be answered.
    pub fn read(headers: &HeaderMap, query: &Query) -> Result<Self, Status> {
        let accept = headers.get(ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or("*/*");
        for wish in accept.split(',') {
            let mut parts = wish.split(';').map(str::trim);
            let media = parts.next().unwrap_or_default();
            if !matches!(media, "application/json" | "*/*" | "application/*" | "") {
                continue;
            }
            let (mut form, mut group, mut version) = ("", "", "");
            for part in parts {
                match part.split_once('=') {
                    Some(("as", value)) => form = value,
                    Some(("g", value)) => group = value,
                    Some(("v", value)) => version = value,
                    _ => {}
                }
            }
            let meta = group == "meta.k8s.io" && matches!(version, "v1" | "v1beta1");
            match form {
                "" => return Ok(Self::Full),
                "Table" if meta => {
                    let include = match query.get("includeObject") {
                        "" | "Metadata" => Include::Metadata,
                        "None" => Include::None,
                        "Object" => Include::Object,
                        other => {
                            return Err(Status::bad_request(format!(
                                "unrecognized includeObject value: \"{other}\""
                            )));
                        }
                    };
                    return Ok(Self::Table(include));
                }
                "PartialObjectMetadata" | "PartialObjectMetadataList" if meta => return Ok(Self::Metadata),
                _ => {}
            }
        }
        let message = "only the following media types are accepted: application/json, \
                       application/json;as=Table;v=v1;g=meta.k8s.io, \
                       application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io";
        Err(Status::new(Reason::NotAcceptable, message))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn parts(path: &str) -> [String; 6] {
        let t = Target::parse(path).unwrap();
        [t.group, t.version, t.plural, t.namespace, t.name, t.subresource]
    }

    #[test]
    fn paths_are_taken_apart_as_kubernetes_does() {
        assert_eq!(parts("/api/v1/pods"), ["", "v1", "pods", "", "", ""]);
        assert_eq!(parts("/api/v1/namespaces/a/pods/b/log"), ["", "v1", "pods", "a", "b", "log"]);
        assert_eq!(parts("/api/v1/namespaces/a"), ["", "v1", "namespaces", "a", "a", ""]);
        assert_eq!(parts("/api/v1/namespaces/a/status"), ["", "v1", "namespaces", "a", "a", "status"]);
        assert_eq!(
            parts("/apis/apps/v1/namespaces/a/deployments/b/scale"),
            ["apps", "v1", "deployments", "a", "b", "scale"]
        );
        assert_eq!(parts("/apis/rbac.authorization.k8s.io/v1/clusterroles/system%3Anode")[4], "system:node");
        assert_eq!(Target::parse("/apis/apps/v1"), None);
        assert_eq!(Target::parse("/version"), None);
    }

    #[test]
    fn the_first_form_that_can_be_answered_is_taken() {
        let read = |accept: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(ACCEPT, accept.parse().unwrap());
            Shape::read(&headers, &Query::default())
        };
        assert_eq!(read("application/vnd.kubernetes.protobuf,application/json").unwrap(), Shape::Full);
        assert_eq!(
            read("application/json;as=Table;v=v1;g=meta.k8s.io,application/json").unwrap(),
            Shape::Table(Include::Metadata)
        );
        assert_eq!(
            read("application/json;as=Sheet;v=v1;g=meta.k8s.io,application/json").unwrap(),
            Shape::Full
        );
        assert_eq!(read("application/vnd.kubernetes.protobuf").unwrap_err().code(), 406);
    }

    #[test]
    fn queries_are_decoded() {
        let query = Query::new("labelSelector=app%3Dshop%2Ctier+in+%28a%2Cb%29&watch=1&limit=x");
        assert_eq!(query.get("labelSelector"), "app=shop,tier in (a,b)");
        assert!(query.flag("watch"));
        assert_eq!(query.number("limit").unwrap_err().code(), 400);
        assert_eq!(query.number("timeoutSeconds"), Ok(None));
    }
}
