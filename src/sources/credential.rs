//! Runs the credential plugin of a kubeconfig user (EKS, GKE, OIDC logins) and reads what it prints.
//!
//! It never shows, logs or keeps a credential; what it returns goes into the client and nowhere else.
//!
//! # Why
//!
//! kube can run plugins itself, but it lends them the terminal and waits for ever. The console owns the terminal
//! while it runs, so a plugin here has no terminal, a bounded time, and is killed when nobody waits for it any more.

use std::process::Stdio;
use std::time::Duration;

use base64::Engine as _;
use jiff::Timestamp;
use kube::config::{AuthInfo, ExecConfig};
use serde::Deserialize;
use tokio::process::Command;

use super::kubeconfig::ConnectError;

/// How long a plugin may take: single sign-on over a slow link takes some seconds, a prompt nobody sees for ever.
const PATIENCE: Duration = Duration::from_secs(30);

#[derive(Deserialize)]
struct Answer {
    status: Option<Status>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Status {
    expiration_timestamp: Option<Timestamp>,
    token: Option<String>,
    client_certificate_data: Option<String>,
    client_key_data: Option<String>,
}

/// Replaces the plugin of a user by what it answers; returns when that expires, where the plugin says.
pub(super) async fn fill_in(user: &mut AuthInfo) -> Result<Option<Timestamp>, ConnectError> {
    // A token that stands in the file wins over a plugin, as in client-go.
    if user.token.is_some() || user.token_file.is_some() {
        return Ok(None);
    }
    let Some(exec) = user.exec.take() else { return Ok(None) };
    let status = run(&exec).await?;
    let name = name(&exec);
    if let (Some(certificate), Some(key)) = (&status.client_certificate_data, &status.client_key_data) {
        let encode = |pem: &str| base64::engine::general_purpose::STANDARD.encode(pem);
        user.client_certificate = None;
        user.client_key = None;
        user.client_certificate_data = Some(encode(certificate));
        user.client_key_data = Some(encode(key).into());
    } else if status.token.is_none() {
        return Err(ConnectError::Plugin(format!(
            "the credential plugin {name} gave no credential: log in again"
        )));
    }
    user.token = status.token.map(Into::into);
    Ok(status.expiration_timestamp)
}

/// Returns the name of a plugin as a person knows it: `aws`, not its path.
pub(super) fn name(exec: &ExecConfig) -> String {
    let command = exec.command.as_deref().unwrap_or("?");
    let name =
        std::path::Path::new(command).file_name().map_or(command.into(), |name| name.to_string_lossy());
    crate::text::one_line(&name).into_owned()
}

async fn run(exec: &ExecConfig) -> Result<Status, ConnectError> {
    let name = name(exec);
    let broken = |reason: String| ConnectError::Plugin(format!("the credential plugin {name} {reason}"));
    let Some(program) = &exec.command else { return Err(broken("has no command in the kubeconfig".into())) };
    let mut command = Command::new(program);
    command.args(exec.args.iter().flatten());
    for variable in exec.env.iter().flatten() {
        if let (Some(name), Some(value)) = (variable.get("name"), variable.get("value")) {
            command.env(name, value);
        }
    }
    let mut spec = serde_json::json!({ "interactive": false });
    if exec.provide_cluster_info {
        spec["cluster"] = serde_json::to_value(&exec.cluster).unwrap_or_default();
    }
    let api = exec.api_version.as_deref().unwrap_or("client.authentication.k8s.io/v1");
    let info = serde_json::json!({ "apiVersion": api, "kind": "ExecCredential", "spec": spec });
    command.env("KUBERNETES_EXEC_INFO", info.to_string());
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let output = match tokio::time::timeout(PATIENCE, command.output()).await {
        Ok(Ok(output)) => output,
        Ok(Err(error)) => {
            let hint = exec.install_hint.as_deref().unwrap_or("is it installed and on PATH?");
            return Err(broken(format!("cannot be run: {error}; {}", crate::text::one_line(hint))));
        }
        Err(_) => {
            let seconds = PATIENCE.as_secs();
            return Err(broken(format!(
                "gave no answer within {seconds} s: run it in a shell, it may ask something"
            )));
        }
    };
    if !output.status.success() {
        let complaint = String::from_utf8_lossy(&output.stderr);
        let complaint = super::answer::quote(&complaint);
        return Err(broken(format!("failed ({}): {complaint}", output.status)));
    }
    // The error of the decoder is not shown: it could quote the credential.
    let answer: Answer = serde_json::from_slice(&output.stdout)
        .map_err(|_| broken("printed something that is not an ExecCredential".into()))?;
    answer.status.ok_or_else(|| broken("printed no credential: log in again".into()))
}

#[cfg(all(test, unix))]
mod tests {
    use std::collections::HashMap;

    use super::*;

    fn plugin(script: &str) -> AuthInfo {
        AuthInfo {
            exec: Some(ExecConfig {
                api_version: Some("client.authentication.k8s.io/v1beta1".into()),
                command: Some("/bin/sh".into()),
                args: Some(vec!["-c".into(), script.into()]),
                env: Some(vec![HashMap::from([
                    ("name".into(), "WHO".into()),
                    ("value".into(), "oncall".into()),
                ])]),
                ..ExecConfig::default()
            }),
            ..AuthInfo::default()
        }
    }

    #[tokio::test]
    async fn a_plugin_gives_a_token_and_says_when_it_expires() {
        let mut user = plugin(
            r#"echo "{\"kind\":\"ExecCredential\",\"status\":{\"token\":\"t-$WHO\",\"expirationTimestamp\":\"2026-05-01T10:00:00Z\"}}""#,
        );
        let expires = fill_in(&mut user).await.unwrap();
        assert_eq!(expires, Some("2026-05-01T10:00:00Z".parse().unwrap()));
        let shown = serde_json::to_value(&user).unwrap();
        assert_eq!(shown["token"], "t-oncall");
        assert!(user.exec.is_none());
    }

    #[tokio::test]
    async fn a_plugin_has_no_terminal_to_ask_on() {
        let mut user = plugin(
            r#"read line; case "$KUBERNETES_EXEC_INFO" in *'"interactive":false'*) ;; *) exit 3;; esac; [ -z "$line" ] && echo '{"status":{"token":"x"}}'"#,
        );
        assert_eq!(fill_in(&mut user).await.unwrap(), None);
    }

    #[tokio::test]
    async fn a_plugin_that_fails_is_quoted_without_its_escape_sequences() {
        let mut user = plugin(r"printf '\033[31mThe SSO session has expired\033[0m\n' >&2; exit 255");
        let error = fill_in(&mut user).await.unwrap_err().to_string();
        assert!(error.contains("The SSO session has expired"), "{error}");
        assert!(!error.contains('\u{1b}'), "{error}");
    }

    #[tokio::test]
    async fn what_a_plugin_prints_is_never_quoted() {
        let mut user = plugin("echo token=hunter2");
        let error = fill_in(&mut user).await.unwrap_err().to_string();
        assert!(error.contains("not an ExecCredential") && !error.contains("hunter2"), "{error}");
    }

    #[tokio::test]
    async fn a_plugin_that_is_not_installed_says_how_to_get_it() {
        let mut user = plugin("");
        if let Some(exec) = &mut user.exec {
            exec.command = Some("/nowhere/aws-iam-authenticator".into());
            exec.install_hint = Some("brew install aws-iam-authenticator".into());
        }
        let error = fill_in(&mut user).await.unwrap_err().to_string();
        assert!(error.contains("aws-iam-authenticator cannot be run"), "{error}");
        assert!(error.contains("brew install"), "{error}");
    }
}
