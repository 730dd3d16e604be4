//! Refusals in the form in which Kubernetes writes them: the `Status` object.
//!
//! Controllers look at [`Status::reason`]; clients get the same thing as JSON. It decides nothing.

use std::fmt;

use serde_json::{Map, Value, json};

use super::types::Type;

/// Why a request was refused; the `reason` of a Kubernetes `Status`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reason {
    /// The request cannot be understood.
    BadRequest,
    /// No valid credentials came with it.
    Unauthorized,
    /// The user may not do this, or admission refuses it.
    Forbidden,
    /// There is no such object.
    NotFound,
    /// The method does not exist on this path.
    MethodNotAllowed,
    /// There is already an object of that name.
    AlreadyExists,
    /// The object was changed or replaced in the meantime.
    Conflict,
    /// The resource version is no longer kept.
    Expired,
    /// The body is in a format that the resource does not take.
    UnsupportedMediaType,
    /// None of the accepted formats can be answered.
    NotAcceptable,
    /// The object breaks a rule of its schema.
    Invalid,
    /// Not now: a disruption budget allows none.
    TooManyRequests,
    /// The server needs longer, for example to reach a resource version.
    Timeout,
    /// Nobody serves this at the moment.
    ServiceUnavailable,
    /// The server is at fault.
    InternalError,
}

impl Reason {
    /// Returns the HTTP status that goes with the reason.
    pub fn code(self) -> u16 {
        match self {
            Self::BadRequest => 400,
            Self::Unauthorized => 401,
            Self::Forbidden => 403,
            Self::NotFound => 404,
            Self::MethodNotAllowed => 405,
            Self::NotAcceptable => 406,
            Self::AlreadyExists | Self::Conflict => 409,
            Self::Expired => 410,
            Self::UnsupportedMediaType => 415,
            Self::Invalid => 422,
            Self::TooManyRequests => 429,
            Self::InternalError => 500,
            Self::ServiceUnavailable => 503,
            Self::Timeout => 504,
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?}")
    }
}

/// One detail of a refusal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cause {
    /// Machine-readable, such as `FieldValueRequired`.
    pub reason: &'static str,
    /// For people.
    pub message: String,
    /// The field that it is about; may be empty.
    pub field: String,
}

/// A refusal, with everything that the `Status` object of the wire says.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Status {
    /// Why.
    pub reason: Reason,
    /// For people, as Kubernetes words it.
    pub message: String,
    /// Name of the object; may be empty.
    pub name: Box<str>,
    /// API group of the resource; may be empty.
    pub group: Box<str>,
    /// Plural of the resource, or the kind where Kubernetes writes that; may be empty.
    pub kind: Box<str>,
    /// Details.
    pub causes: Vec<Cause>,
    /// Seconds after which trying again makes sense; 0 where unknown.
    pub retry_after: u32,
    /// Token to go on with, where a list expired.
    pub resume: Option<Box<(String, u64)>>,
}

impl Status {
    /// Refuses without naming an object.
    pub fn new(reason: Reason, message: impl Into<String>) -> Self {
        Self {
            reason,
            message: message.into(),
            name: Box::default(),
            group: Box::default(),
            kind: Box::default(),
            causes: Vec::new(),
            retry_after: 0,
            resume: None,
        }
    }

    /// Refuses and names the object.
    pub fn about(reason: Reason, kind: Type, name: &str, message: impl Into<String>) -> Self {
        let info = kind.info();
        Self {
            name: name.into(),
            group: info.group.into(),
            kind: info.plural.into(),
            ..Self::new(reason, message)
        }
    }

    /// Says that there is no such object.
    pub fn not_found(kind: Type, name: &str) -> Self {
        Self::about(Reason::NotFound, kind, name, format!("{} \"{name}\" not found", kind.qualified()))
    }

    /// Says that the name is taken.
    pub fn already_exists(kind: Type, name: &str) -> Self {
        let message = format!("{} \"{name}\" already exists", kind.qualified());
        Self::about(Reason::AlreadyExists, kind, name, message)
    }

    /// Says that the object is not the one that the caller read.
    pub fn conflict(kind: Type, name: &str, why: &str) -> Self {
        let message = format!("Operation cannot be fulfilled on {} \"{name}\": {why}", kind.qualified());
        Self::about(Reason::Conflict, kind, name, message)
    }

    /// Says that it was changed since it was read.
    pub fn stale(kind: Type, name: &str) -> Self {
        let why =
            "the object has been modified; please apply your changes to the latest version and try again";
        Self::conflict(kind, name, why)
    }

    /// Says that the user may not, or that admission refuses.
    pub fn forbidden(kind: Type, name: &str, why: &str) -> Self {
        let message = if name.is_empty() {
            format!("{} is forbidden: {why}", kind.qualified())
        } else {
            format!("{} \"{name}\" is forbidden: {why}", kind.qualified())
        };
        Self::about(Reason::Forbidden, kind, name, message)
    }

    /// Says which rules of the schema the object breaks.
    pub fn invalid(kind: Type, name: &str, causes: Vec<Cause>) -> Self {
        let info = kind.info();
        let spelled = if info.group.is_empty() {
            info.kind.to_owned()
        } else {
            format!("{}.{}", info.kind, info.group)
        };
        let mut list: Vec<String> =
            causes.iter().map(|cause| format!("{}: {}", cause.field, cause.message)).collect();
        let text = if list.len() == 1 { list.remove(0) } else { format!("[{}]", list.join(", ")) };
        Self {
            kind: info.kind.into(),
            causes,
            ..Self::about(Reason::Invalid, kind, name, format!("{spelled} \"{name}\" is invalid: {text}"))
        }
    }

    /// Says that a field is missing.
    pub fn required(kind: Type, name: &str, field: &str) -> Self {
        let cause = Cause {
            reason: "FieldValueRequired",
            message: "Required value".to_owned(),
            field: field.to_owned(),
        };
        Self::invalid(kind, name, vec![cause])
    }

    /// Says that the request cannot be understood.
    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::new(Reason::BadRequest, message)
    }

    /// Says that a resource version is no longer kept.
    pub fn expired(message: impl Into<String>) -> Self {
        Self::new(Reason::Expired, message)
    }

    /// Returns the HTTP status.
    pub fn code(&self) -> u16 {
        self.reason.code()
    }

    /// Returns the `Status` object of the wire.
    pub fn to_value(&self) -> Value {
        let mut details = Map::new();
        for (key, text) in [("name", &self.name), ("group", &self.group), ("kind", &self.kind)] {
            if !text.is_empty() {
                details.insert(key.to_owned(), json!(text));
            }
        }
        if !self.causes.is_empty() {
            let causes: Vec<Value> = self
                .causes
                .iter()
                .map(|cause| {
                    let mut value = json!({"reason": cause.reason, "message": cause.message});
                    if !cause.field.is_empty() {
                        value["field"] = json!(cause.field);
                    }
                    value
                })
                .collect();
            details.insert("causes".to_owned(), Value::Array(causes));
        }
        if self.retry_after > 0 {
            details.insert("retryAfterSeconds".to_owned(), json!(self.retry_after));
        }
        let metadata = match &self.resume {
            Some(resume) => {
                let (token, revision) = resume.as_ref();
                json!({"continue": token, "resourceVersion": revision.to_string()})
            }
            None => json!({}),
        };
        let mut value = json!({
            "kind": "Status", "apiVersion": "v1", "metadata": metadata, "status": "Failure",
            "message": self.message, "reason": self.reason.to_string(), "code": self.code(),
        });
        if !details.is_empty() {
            value["details"] = Value::Object(details);
        }
        value
    }
}
