//! Reviews: what the asking user may do, and who that is.
//!
//! The answers come from [`super::access`], which also decides about requests.

use serde_json::{Value, json};

use super::access::{Access, Attributes, User};
use super::objects::text;
use super::status::Status;

/// Answers a review that was posted; `None` where the path is not one of them.
pub fn review(
    access: &Access,
    user: User,
    group: &str,
    version: &str,
    plural: &str,
    body: Value,
) -> Option<Result<Value, Status>> {
    let answer = match (group, version, plural) {
        ("authorization.k8s.io", "v1", "selfsubjectaccessreviews") => self_access(access, user, body),
        ("authorization.k8s.io", "v1", "subjectaccessreviews") => subject_access(access, body),
        ("authorization.k8s.io", "v1", "selfsubjectrulesreviews") => rules(access, user, body),
        ("authentication.k8s.io", "v1", "selfsubjectreviews") => Ok(who(user)),
        _ => return None,
    };
    Some(answer)
}

/// Tells whether a path is that of a review.
pub fn is_review(group: &str, version: &str, plural: &str) -> bool {
    version == "v1"
        && matches!(
            (group, plural),
            (
                "authorization.k8s.io",
                "selfsubjectaccessreviews" | "subjectaccessreviews" | "selfsubjectrulesreviews"
            ) | ("authentication.k8s.io", "selfsubjectreviews")
        )
}

fn decide(access: &Access, user: User, spec: &Value) -> Result<bool, Status> {
    if let Some(asked) = spec.get("resourceAttributes").filter(|asked| asked.is_object()) {
        let field = |name: &str| text(asked, name).to_owned();
        return Ok(access.allows(
            user,
            &Attributes {
                verb: field("verb"),
                group: field("group"),
                resource: field("resource"),
                subresource: field("subresource"),
                namespace: field("namespace"),
                name: field("name"),
            },
        ));
    }
    if let Some(asked) = spec.get("nonResourceAttributes").filter(|asked| asked.is_object()) {
        return Ok(Access::allows_path(user, text(asked, "verb"), text(asked, "path")));
    }
    Err(Status::bad_request(
        "spec.resourceAttributes: Invalid value: exactly one of nonResourceAttributes or resourceAttributes must be specified",
    ))
}

fn self_access(access: &Access, user: User, mut body: Value) -> Result<Value, Status> {
    let allowed = decide(access, user, &body["spec"])?;
    complete(&mut body, "authorization.k8s.io/v1", "SelfSubjectAccessReview")?;
    body["status"] =
        if allowed { json!({"allowed": true, "reason": reason(user)}) } else { json!({"allowed": false}) };
    Ok(body)
}

fn subject_access(access: &Access, mut body: Value) -> Result<Value, Status> {
    let named = text(&body["spec"], "user").to_owned();
    let user = [User::Admin, User::Restricted].into_iter().find(|user| user.name() == named);
    let allowed = match user {
        Some(user) => decide(access, user, &body["spec"])?,
        None => false,
    };
    complete(&mut body, "authorization.k8s.io/v1", "SubjectAccessReview")?;
    body["status"] = json!({"allowed": allowed});
    Ok(body)
}

fn reason(user: User) -> &'static str {
    match user {
        User::Admin => {
            "RBAC: allowed by ClusterRoleBinding \"cluster-admin\" of ClusterRole \"cluster-admin\" to Group \"system:masters\""
        }
        User::Restricted => {
            "RBAC: allowed by RoleBinding \"tenant-operators\" of ClusterRole \"tenant-operator\" to Group \"tenant-operators\""
        }
    }
}

fn rules(access: &Access, user: User, mut body: Value) -> Result<Value, Status> {
    let namespace = text(&body["spec"], "namespace").to_owned();
    if namespace.is_empty() {
        return Err(Status::bad_request("no namespace on request"));
    }
    let (resources, others) = access.rules(user, &namespace);
    complete(&mut body, "authorization.k8s.io/v1", "SelfSubjectRulesReview")?;
    body["status"] = json!({"resourceRules": resources, "nonResourceRules": others, "incomplete": false});
    Ok(body)
}

fn who(user: User) -> Value {
    json!({
        "kind": "SelfSubjectReview", "apiVersion": "authentication.k8s.io/v1", "metadata": {"creationTimestamp": null},
        "status": {"userInfo": {"username": user.name(), "groups": user.groups()}},
    })
}

fn complete(body: &mut Value, version: &str, kind: &str) -> Result<(), Status> {
    let Some(fields) = body.as_object_mut() else {
        return Err(Status::bad_request("the body is not an object"));
    };
    fields.insert("apiVersion".to_owned(), json!(version));
    fields.insert("kind".to_owned(), json!(kind));
    fields.entry("metadata").or_insert_with(|| json!({"creationTimestamp": null}));
    Ok(())
}
