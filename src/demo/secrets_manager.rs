//! Secrets Manager of the account that the embedded platform pretends to live in.
//!
//! It speaks AWS JSON 1.1 as the SDKs do (contracts 7.4), on a plain loopback port of its own, and takes the key of the
//! account. It serves what describes and moves versions; `GetSecretValue` is denied to everybody, because nothing that
//! shows secrets has a reason to ask.

use hyper::Method;
use hyper::body::Bytes;
use hyper::header::{AUTHORIZATION, HeaderName, HeaderValue};
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::cloudwatch::{ACCESS_KEY_ID, ACCOUNT_ID, REGION};
use super::platform::Handle;
use super::proxy::{Answer, Backend, Request};
use super::server::{self, Response};
use super::vault::{Refused, Secret, Vault};
use super::world::fnv64;

/// What the name of every operation begins with in `x-amz-target`.
const TARGET: &str = "secretsmanager.";

/// Serves the protocol.
#[derive(Debug)]
pub struct Front {
    handle: Handle,
}

/// Why a request is refused, with the status of the answer.
struct Fault(u16, &'static str, String);

impl From<Refused> for Fault {
    fn from(refused: Refused) -> Self {
        Self(400, refused.shape, refused.message)
    }
}

/// Returns the ARN of a secret; six letters of AWS's own end it.
pub fn arn(name: &str) -> String {
    let mut hash = fnv64(name.as_bytes());
    let mut letters = String::new();
    for _ in 0..6 {
        letters.push(char::from(b'A' + u8::try_from(hash % 26).unwrap_or_default()));
        hash /= 26;
    }
    format!("arn:aws:secretsmanager:{REGION}:{ACCOUNT_ID}:secret:{name}-{letters}")
}

/// Times are seconds with fractions.
fn epoch(at: Timestamp) -> Value {
    json!(at.as_millisecond() as f64 / 1000.0)
}

impl Front {
    /// Serves the secrets of a platform.
    pub fn new(handle: Handle) -> Self {
        Self { handle }
    }

    async fn carry_out(&self, request: &Request) -> Result<Value, Fault> {
        let target = request.header(&HeaderName::from_static("x-amz-target")).to_owned();
        let unknown = || Fault(400, "UnknownOperationException", String::new());
        let operation = target.strip_prefix(TARGET).filter(|_| request.method == Method::POST);
        let operation = operation.ok_or_else(unknown)?.to_owned();
        authorize(request)?;
        let input: Map<String, Value> = serde_json::from_slice(&request.body).map_err(|error| {
            Fault(400, "SerializationException", format!("the body cannot be read: {error}"))
        })?;
        let run = move |vault: &mut Vault, now: Timestamp| operate(vault, &operation, &input, now);
        let answered = self.handle.call(move |world, now| {
            world.vault.settle(now);
            run(&mut world.vault, now)
        });
        let gone = |_| Fault(500, "InternalServiceError", "the platform is stopping".to_owned());
        answered.await.map_err(gone)?
    }
}

fn operate(
    vault: &mut Vault,
    operation: &str,
    input: &Map<String, Value>,
    now: Timestamp,
) -> Result<Value, Fault> {
    let text = |name: &str| input.get(name).and_then(Value::as_str);
    let id = || {
        let missing = "1 validation error detected: Value null at 'secretId' failed to satisfy constraint: Member must not be null";
        text("SecretId").ok_or(Fault(400, "ValidationException", missing.to_owned()))
    };
    match operation {
        "DescribeSecret" => Ok(described(vault.get(id()?)?)),
        "ListSecretVersionIds" => {
            let secret = vault.get(id()?)?;
            let deprecated = input.get("IncludeDeprecated").and_then(Value::as_bool).unwrap_or_default();
            let versions: Vec<Value> = secret
                .versions
                .iter()
                .filter(|version| deprecated || !version.stages.is_empty())
                .map(|version| {
                    json!({
                        "VersionId": version.id, "VersionStages": version.stages, "CreatedDate": epoch(version.created),
                        "KmsKeyIds": ["DefaultEncryptionKey"],
                    })
                })
                .collect();
            Ok(json!({ "ARN": arn(&secret.name), "Name": secret.name, "Versions": versions }))
        }
        "ListSecrets" => {
            let all: Vec<Value> = vault.iter().map(listed).collect();
            Ok(json!({ "SecretList": all }))
        }
        "RotateSecret" => {
            let id = id()?;
            let token = text("ClientRequestToken").filter(|token| (32..=64).contains(&token.len()));
            let token = token.ok_or_else(|| {
                let message = "ClientRequestToken must have 32 to 64 characters.";
                Fault(400, "InvalidParameterException", message.to_owned())
            })?;
            let version = vault.rotate(id, token, now)?;
            let name = vault.get(id)?.name.clone();
            Ok(json!({ "ARN": arn(&name), "Name": name, "VersionId": version }))
        }
        "UpdateSecretVersionStage" => {
            let id = id()?;
            let stage = text("VersionStage").unwrap_or_default();
            vault.stage(id, stage, text("MoveToVersionId"), text("RemoveFromVersionId"), now)?;
            let name = vault.get(id)?.name.clone();
            Ok(json!({ "ARN": arn(&name), "Name": name }))
        }
        "CancelRotateSecret" => {
            let id = id()?;
            vault.cancel(id, now)?;
            let name = vault.get(id)?.name.clone();
            Ok(json!({ "ARN": arn(&name), "Name": name }))
        }
        "GetSecretValue" | "BatchGetSecretValue" => {
            let message = format!(
                "User: arn:aws:iam::{ACCOUNT_ID}:user/opsdeck is not authorized to perform: secretsmanager:{operation} because no identity-based policy allows the secretsmanager:{operation} action"
            );
            Err(Fault(400, "AccessDeniedException", message))
        }
        other => Err(Fault(400, "UnknownOperationException", other.to_owned())),
    }
}

/// Writes what AWS tells of a secret; what there is not is left out.
fn described(secret: &Secret) -> Value {
    let mut all = listed(secret);
    // In a list the map has another name.
    if let Some(fields) = all.as_object_mut()
        && let Some(stages) = fields.remove("SecretVersionsToStages")
    {
        fields.insert("VersionIdsToStages".to_owned(), stages);
    }
    all
}

fn listed(secret: &Secret) -> Value {
    let staged = secret.versions.iter().filter(|version| !version.stages.is_empty());
    let stages: Map<String, Value> =
        staged.map(|version| (version.id.clone(), json!(version.stages))).collect();
    let mut all = json!({
        "ARN": arn(&secret.name), "Name": secret.name,
        "CreatedDate": epoch(secret.created), "LastChangedDate": epoch(secret.changed),
        "SecretVersionsToStages": stages,
        "Tags": [{"Key": "managed-by", "Value": "terraform"}],
    });
    if let Some(function) = &secret.function {
        all["RotationEnabled"] = json!(secret.enabled);
        all["RotationLambdaARN"] = json!(format!("arn:aws:lambda:{REGION}:{ACCOUNT_ID}:function:{function}"));
        all["RotationRules"] = json!({ "AutomaticallyAfterDays": 30 });
        // Thirty days, as the rules say.
        let next = super::untyped::later(secret.rotated.unwrap_or(secret.created), 30.0 * 86_400.0);
        all["NextRotationDate"] = epoch(next);
    }
    if let Some(rotated) = secret.rotated {
        all["LastRotatedDate"] = epoch(rotated);
    }
    all
}

/// Refuses a request that another key signed. The signature itself guards nothing here and is not computed.
fn authorize(request: &Request) -> Result<(), Fault> {
    let signed = request.header(&AUTHORIZATION);
    let scope = signed.split("Credential=").nth(1).and_then(|rest| rest.split(',').next());
    let parts: Vec<&str> = scope.unwrap_or_default().trim().split('/').collect();
    match parts.as_slice() {
        [ACCESS_KEY_ID, _, REGION, "secretsmanager", "aws4_request"] => Ok(()),
        [ACCESS_KEY_ID, ..] => {
            let message = "Credential should be scoped to a valid region.";
            Err(Fault(400, "InvalidSignatureException", message.to_owned()))
        }
        [""] => {
            Err(Fault(400, "MissingAuthenticationTokenException", "Missing Authentication Token".to_owned()))
        }
        _ => {
            let message = "The security token included in the request is invalid.";
            Err(Fault(400, "UnrecognizedClientException", message.to_owned()))
        }
    }
}

impl Backend for Front {
    fn answer(&self, request: Request) -> Answer<'_> {
        Box::pin(async move {
            let answered = self.carry_out(&request).await;
            match answered {
                Ok(body) => respond(200, &body),
                Err(Fault(status, shape, message)) => {
                    respond(status, &json!({ "__type": shape, "Message": message }))
                }
            }
        })
    }
}

fn respond(status: u16, body: &Value) -> Response {
    let mut response = server::bytes(status, "application/x-amz-json-1.1", Bytes::from(body.to_string()));
    let id = HeaderValue::from_static("00000000-0000-4000-8000-000000000000");
    response.headers_mut().insert(HeaderName::from_static("x-amzn-requestid"), id);
    response
}
