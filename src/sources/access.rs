//! Who one is and what one may do, as the API server says: reviews of access and of the own identity.
//!
//! Answers are kept for a minute, because screens ask often; the gate asks anew before every write.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use serde_json::{Value, json};

use super::SourceError;
use super::answer::Asked;
use super::kubernetes::Connection;
use super::systems::Systems;
use crate::gate::{Access, Witness};
use crate::identity::ObjectRef;
use crate::kinds::alerts;
use crate::signals::{Right, Rights};

/// How long an answer is believed.
const BELIEVED: SignedDuration = SignedDuration::from_mins(1);

/// How many answers are kept; a screen asks for a handful for each object that is opened.
const KEPT: usize = 1_024;

/// Of how many namespaces it is kept what one may do there.
const NAMESPACES: usize = 256;

const ACCESS: &str = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";
const RULES: &str = "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews";
const SELF: &str = "/apis/authentication.k8s.io/v1/selfsubjectreviews";

/// Whether something is permitted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// Whether it is.
    pub allowed: bool,
    /// Why, in the server's words; often empty.
    pub reason: String,
}

/// The answers that are kept.
#[derive(Debug, Default)]
pub(super) struct Reviews(
    HashMap<Access, (Timestamp, Verdict)>,
    HashMap<String, (Timestamp, Arc<Rights>)>,
    Option<(Timestamp, User)>,
);

impl Reviews {
    fn recall(&self, access: &Access, now: Timestamp) -> Option<Verdict> {
        let (until, verdict) = self.0.get(access)?;
        (now < *until).then(|| verdict.clone())
    }

    fn keep(&mut self, access: &Access, verdict: &Verdict, now: Timestamp) {
        if self.0.len() >= KEPT {
            self.0.retain(|_, (until, _)| now < *until);
        }
        if self.0.len() < KEPT
            && let Ok(until) = now.checked_add(BELIEVED)
        {
            self.0.insert(access.clone(), (until, verdict.clone()));
        }
    }

    /// Forgets every answer: the server has just said no to something.
    pub(super) fn forget(&mut self) {
        self.0.clear();
        self.1.clear();
        self.2 = None;
    }
}

/// Who the API server says one is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct User {
    /// The user name.
    pub username: String,
    /// The groups.
    pub groups: Vec<String>,
}

/// What one may do in a namespace, as far as the server can list it.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Rules {
    resource_rules: Vec<Rule>,
    /// Whether an authorizer could not list what it permits: a right that is not listed may be there all the same.
    pub incomplete: bool,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Rule {
    verbs: Vec<String>,
    api_groups: Vec<String>,
    resources: Vec<String>,
    resource_names: Vec<String>,
}

impl Rules {
    /// Tells whether a verb is listed for all objects of a type.
    pub fn allow(&self, verb: &str, group: &str, plural: &str) -> bool {
        let has = |list: &[String], word: &str| list.iter().any(|one| one == "*" || one == word);
        self.resource_rules.iter().any(|rule| {
            has(&rule.verbs, verb)
                && has(&rule.api_groups, group)
                && has(&rule.resources, plural)
                && rule.resource_names.is_empty()
        })
    }
}

#[derive(Deserialize)]
struct Answer<T> {
    status: T,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct AccessStatus {
    allowed: bool,
    reason: String,
    evaluation_error: String,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct SelfStatus {
    user_info: User,
}

impl Connection {
    /// Asks whether something is permitted; the answer may be up to a minute old.
    pub async fn can(&self, access: &Access) -> Result<Verdict, SourceError> {
        if let Some(verdict) = self.reviews().lock().await.recall(access, self.now()) {
            return Ok(verdict);
        }
        self.can_now(access).await
    }

    /// Asks the server whether something is permitted.
    pub async fn can_now(&self, access: &Access) -> Result<Verdict, SourceError> {
        let body = json!({
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectAccessReview",
            "spec": { "resourceAttributes": {
                "namespace": access.namespace.as_deref().unwrap_or_default(),
                "verb": access.verb,
                "group": &*access.resource.group,
                "version": "*",
                "resource": &*access.resource.plural,
                "subresource": access.subresource,
                "name": &*access.name,
            }},
        });
        let asked = self.asked("create", format!("a review of whether one may {access}"));
        let status: AccessStatus = self.review(&asked, ACCESS, &body).await?;
        let mut reason = crate::text::one_line(&status.reason).into_owned();
        if !status.evaluation_error.is_empty() && !status.allowed {
            let error = crate::text::one_line(&status.evaluation_error);
            let gap = if reason.is_empty() { "" } else { "; " };
            let _ = write!(reason, "{gap}{error}");
        }
        let verdict = Verdict { allowed: status.allowed, reason };
        self.reviews().lock().await.keep(access, &verdict, self.now());
        Ok(verdict)
    }

    /// Asks what one may do in a namespace: good enough to grey things out, not to decide.
    pub async fn rules(&self, namespace: &str) -> Result<Rules, SourceError> {
        let body = json!({
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectRulesReview",
            "spec": { "namespace": namespace },
        });
        let asked = self.asked("create", format!("a review of what one may do in {namespace}"));
        self.review(&asked, RULES, &body).await
    }

    /// Returns what one may do in a namespace, at most a minute old: asked once for each, however often one comes by.
    pub async fn rights(&self, namespace: &str) -> Result<Arc<Rights>, SourceError> {
        let now = self.now();
        if let Some((until, rights)) = self.reviews().lock().await.1.get(namespace)
            && now < *until
        {
            return Ok(Arc::clone(rights));
        }
        let listed = self.rules(namespace).await?;
        let rules = listed.resource_rules.into_iter();
        let rules =
            rules.map(|rule| Right { verbs: rule.verbs, groups: rule.api_groups, resources: rule.resources });
        let rights = Arc::new(Rights { rules: rules.collect(), incomplete: listed.incomplete });
        let mut reviews = self.reviews().lock().await;
        if reviews.1.len() >= NAMESPACES {
            reviews.1.retain(|_, (until, _)| now < *until);
        }
        if reviews.1.len() < NAMESPACES
            && let Ok(until) = now.checked_add(BELIEVED)
        {
            reviews.1.insert(namespace.to_owned(), (until, Arc::clone(&rights)));
        }
        Ok(rights)
    }

    /// Returns who one is, as the server said within the last minute: it is asked while a plan is made, so that an
    /// answer to it need not wait for it.
    pub async fn who_lately(&self) -> Result<User, SourceError> {
        if let Some((until, user)) = &self.reviews().lock().await.2
            && self.now() < *until
        {
            return Ok(user.clone());
        }
        self.who().await
    }

    /// Asks who one is.
    pub async fn who(&self) -> Result<User, SourceError> {
        let body = json!({ "apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview" });
        let asked = self.asked("create", "a review of who one is");
        let status: SelfStatus = self.review(&asked, SELF, &body).await?;
        let mut user = status.user_info;
        user.username = crate::text::one_line(&user.username).into_owned();
        if let Ok(until) = self.now().checked_add(BELIEVED) {
            self.reviews().lock().await.2 = Some((until, user.clone()));
        }
        Ok(user)
    }

    async fn review<T: serde::de::DeserializeOwned>(
        &self,
        asked: &Asked,
        path: &str,
        body: &Value,
    ) -> Result<T, SourceError> {
        let answer = self.post(asked, path, body.to_string().as_bytes()).await?;
        let answer: Answer<T> = decode(asked, &answer)?;
        Ok(answer.status)
    }
}

/// Decodes a whole answer.
pub(super) fn decode<'a, T: serde::Deserialize<'a>>(asked: &Asked, body: &'a [u8]) -> Result<T, SourceError> {
    serde_json::from_slice(body).map_err(|error| SourceError::Garbled {
        what: format!("{} {}", asked.verb, asked.what),
        reason: crate::text::one_line(&error.to_string()).into_owned(),
    })
}

impl Witness for Systems {
    async fn look(&self, object: &ObjectRef) -> Result<Option<Value>, String> {
        if &*object.resource.group == alerts::GROUP {
            return self.signal_document(object).await.map_err(|error| error.to_string());
        }
        match self.connection().document(object).await {
            Ok(document) => Ok(Some(document)),
            Err(SourceError::Missing { .. }) => Ok(None),
            Err(error) => Err(error.to_string()),
        }
    }

    async fn may(&self, access: &Access) -> Result<Result<(), String>, String> {
        let verdict = self.connection().can_now(access).await.map_err(|error| error.to_string())?;
        Ok(if verdict.allowed {
            Ok(())
        } else if verdict.reason.is_empty() {
            Err("no role permits it".to_owned())
        } else {
            Err(verdict.reason)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::Resource;

    #[test]
    fn rules_with_names_or_other_groups_do_not_permit_a_list() {
        let rules: Rules = serde_json::from_value(json!({
            "resourceRules": [
                { "verbs": ["get", "list"], "apiGroups": [""], "resources": ["pods"] },
                { "verbs": ["*"], "apiGroups": ["apps"], "resources": ["*"] },
                { "verbs": ["list"], "apiGroups": [""], "resources": ["secrets"], "resourceNames": ["one"] }
            ],
            "incomplete": false
        }))
        .unwrap();
        assert!(rules.allow("list", "", "pods"));
        assert!(rules.allow("watch", "apps", "deployments"));
        assert!(!rules.allow("watch", "", "pods"));
        assert!(!rules.allow("list", "", "secrets"));
        assert!(!rules.allow("list", "batch", "jobs"));
    }

    #[test]
    fn an_answer_is_believed_for_a_minute() {
        let access = Access {
            verb: "patch".into(),
            resource: Resource::new("apps", "deployments"),
            subresource: String::new(),
            namespace: Some("shop".into()),
            name: "api".into(),
        };
        let at = |second| Timestamp::from_second(second).unwrap();
        let yes = Verdict { allowed: true, reason: String::new() };
        let mut reviews = Reviews::default();
        reviews.keep(&access, &yes, at(0));
        assert_eq!(reviews.recall(&access, at(59)), Some(yes));
        assert_eq!(reviews.recall(&access, at(60)), None);
        reviews.forget();
        assert_eq!(reviews.recall(&access, at(1)), None);
    }
}
