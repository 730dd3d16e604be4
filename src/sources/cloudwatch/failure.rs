//! What went wrong with AWS, in the few errors that a screen can act on; the sentence names what to do next.

use aws_sdk_cloudwatch::error::{ProvideErrorMetadata, SdkError};

use super::account::Account;
use crate::sources::SourceError;
use crate::sources::answer::quote;
use crate::sources::kubeconfig::causes;

/// What a call of the SDK fails with.
pub(super) type Failure<E> = SdkError<E, aws_sdk_cloudwatch::config::http::HttpResponse>;

/// Codes that ask to wait, of this protocol and of older ones.
const THROTTLES: [&str; 8] = [
    "Throttling",
    "ThrottlingException",
    "ThrottledException",
    "RequestThrottled",
    "RequestThrottledException",
    "RequestLimitExceeded",
    "TooManyRequestsException",
    "LimitExceededException",
];

/// Codes of credentials that were good once.
const EXPIRED: [&str; 4] =
    ["ExpiredToken", "ExpiredTokenException", "RequestExpired", "TokenRefreshRequired"];

/// Codes of credentials that are not good.
const REFUSED: [&str; 7] = [
    "UnrecognizedClientException",
    "InvalidClientTokenId",
    "MissingAuthenticationToken",
    "MissingAuthenticationTokenException",
    "IncompleteSignature",
    "NotAuthorized",
    "OptInRequired",
];

fn what(account: &Account) -> String {
    format!("{} in {}", account.service, account.region)
}

/// Says that it asks to wait.
pub(super) fn throttled(account: &Account, reason: &str, until: Option<jiff::Timestamp>) -> SourceError {
    SourceError::Throttled { what: what(account), until, reason: quote(reason) }
}

/// Reads what a call failed with; `action` is the IAM action that it needs.
pub(super) fn read<E>(account: &Account, action: &'static str, error: &Failure<E>) -> SourceError
where
    E: std::error::Error + ProvideErrorMetadata + Send + Sync + 'static,
{
    let unreachable = |reason: String| SourceError::Unreachable {
        what: what(account),
        place: account.place.to_string(),
        reason: quote(&reason),
    };
    match error {
        SdkError::TimeoutError(_) => unreachable("no answer came in time".to_owned()),
        SdkError::DispatchFailure(failure) => {
            let text = failure.as_connector_error().map(|error| causes(error)).unwrap_or_default();
            // Credentials are fetched on the way.
            if text.to_lowercase().contains("credential") || text.to_lowercase().contains("sso") {
                return of_credentials(account, &text);
            }
            let hint = if text.contains("dns") || text.contains("lookup") {
                format!("; is {:?} a region?", account.region)
            } else {
                String::new()
            };
            unreachable(format!("{text}{hint}"))
        }
        SdkError::ServiceError(service) => {
            let (code, message) =
                (service.err().code().unwrap_or_default(), service.err().message().unwrap_or_default());
            let status = service.raw().status().as_u16();
            of_code(account, action, code, message, status)
        }
        SdkError::ConstructionFailure(_) => {
            SourceError::Invalid { what: format!("a call of {action}"), reason: quote(&causes(error)) }
        }
        other => SourceError::Garbled { what: what(account), reason: quote(&causes(other)) },
    }
}

fn of_code(account: &Account, action: &str, code: &str, message: &str, status: u16) -> SourceError {
    let told = |fallback: &str| quote(if message.is_empty() { fallback } else { message });
    if THROTTLES.contains(&code) || status == 429 {
        return throttled(account, &told(code), None);
    }
    if EXPIRED.contains(&code) {
        return SourceError::Unauthenticated {
            what: what(account),
            reason: format!("the credentials ({}) have expired; {}", account.whose, log_in(account)),
        };
    }
    if code == "SignatureDoesNotMatch" || code == "AuthFailure" {
        return SourceError::Unauthenticated {
            what: what(account),
            reason: format!(
                "{}; the secret key, the region {} or the clock of this machine is wrong",
                told(code).trim_end_matches('.'),
                account.region
            ),
        };
    }
    if REFUSED.contains(&code) {
        return SourceError::Unauthenticated {
            what: what(account),
            reason: format!("{} ({}); {}", told(code).trim_end_matches('.'), account.whose, log_in(account)),
        };
    }
    if matches!(code, "AccessDenied" | "AccessDeniedException" | "UnauthorizedOperation") || status == 403 {
        return SourceError::Denied {
            verb: format!("use the IAM action {action}"),
            object: format!("in {} ({})", account.region, account.whose),
            reason: told("add it to a policy of the role"),
        };
    }
    if status >= 500 || code.is_empty() {
        let reason = if code.is_empty() { format!("status {status}") } else { code.to_owned() };
        return SourceError::Garbled { what: what(account), reason: told(&reason) };
    }
    SourceError::Invalid { what: format!("a call of {action}"), reason: format!("{code}: {}", told("")) }
}

fn log_in(account: &Account) -> String {
    match &account.profile {
        Some(profile) => format!("log in again: aws sso login --profile {profile}"),
        None => "log in again (aws sso login), or name a profile: [contexts.\"...\"] cloudwatch = { profile = \"...\" }"
            .to_owned(),
    }
}

/// Says what is amiss with the credentials.
pub(super) fn of_credentials(account: &Account, text: &str) -> SourceError {
    let lower = text.to_lowercase();
    let sso = lower.contains("sso") || lower.contains("token has expired");
    if sso
        && ["expired", "cached", "invalid", "unauthorized", "refresh", "no such file"]
            .iter()
            .any(|word| lower.contains(word))
    {
        return SourceError::Unauthenticated {
            what: what(account),
            reason: format!(
                "the SSO session of {} has expired or there is none; {}",
                account.whose,
                log_in(account)
            ),
        };
    }
    // Where somebody named credentials, that they are not there is no absence but a mistake.
    let named = account.profile.is_some() || &*account.whose != super::account::UNNAMED;
    if !named
        && (lower.contains("no providers in chain")
            || lower.contains("not loaded")
            || lower.contains("not enabled"))
    {
        return SourceError::Missing {
            what: "credentials for AWS".to_owned(),
            reason: "neither the environment nor a profile holds any; name a profile: \
                     [contexts.\"...\"] cloudwatch = { profile = \"...\" }"
                .to_owned(),
        };
    }
    SourceError::Unauthenticated {
        what: what(account),
        reason: format!("the credentials ({}) cannot be had: {}", account.whose, quote(text)),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use aws_sdk_cloudwatch::Client;
    use aws_sdk_cloudwatch::config::{BehaviorVersion, Config};

    fn account(profile: Option<&str>) -> Account {
        let config = Config::builder().behavior_version(BehaviorVersion::latest()).build();
        Account {
            client: Client::from_conf(config),
            loaded: aws_config::SdkConfig::builder().build(),
            service: "CloudWatch",
            region: "eu-west-1".into(),
            profile: profile.map(Into::into),
            place: "https://monitoring.eu-west-1.amazonaws.com".into(),
            whose: profile
                .map_or_else(|| "default credentials".into(), |name| format!("profile {name}").into()),
        }
    }

    #[test]
    fn expired_credentials_name_the_command_that_renews_them() {
        let account = account(Some("shop-prod"));
        let text = of_code(&account, "cloudwatch:DescribeAlarms", "ExpiredToken", "", 400).to_string();
        assert!(text.contains("aws sso login --profile shop-prod"), "{text}");
        let chain =
            "an error occurred while loading credentials: failed to load cached SSO token: No such file";
        let text = of_credentials(&account, chain).to_string();
        assert!(text.contains("aws sso login --profile shop-prod"), "{text}");
    }

    #[test]
    fn a_refusal_names_the_action_that_is_missing() {
        let error = of_code(&account(None), "cloudwatch:ListMetrics", "AccessDenied", "not authorized", 403);
        assert!(matches!(error, SourceError::Denied { .. }));
        assert!(error.to_string().contains("cloudwatch:ListMetrics"), "{error}");
    }

    #[test]
    fn what_asks_to_wait_is_told_from_what_is_wrong() {
        let account = account(None);
        for code in ["Throttling", "ThrottlingException", "RequestLimitExceeded"] {
            let error = of_code(&account, "cloudwatch:GetMetricData", code, "Rate exceeded", 400);
            assert!(matches!(error, SourceError::Throttled { .. }), "{error:?}");
        }
        let error = of_code(&account, "cloudwatch:GetMetricData", "ValidationError", "bad", 400);
        assert!(matches!(error, SourceError::Invalid { .. }));
        let error = of_code(&account, "cloudwatch:GetMetricData", "InternalFailure", "", 500);
        assert!(matches!(error, SourceError::Garbled { .. }));
    }
}
