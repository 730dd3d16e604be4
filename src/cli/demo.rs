//! `opsdeck demo`: starts the embedded platform; without the console it serves until it is interrupted.

use std::future::Future;
use std::io;

use color_eyre::eyre::{Result, WrapErr as _};
use serde_json::json;

use super::console::{self, Opening};
use super::{Desk, Exit, Usage};
use crate::args::{Cli, Demo as Args, Scope};
use crate::clock::Clock;
use crate::config::{ContextRule, GitRule, Paths};
use crate::console::Ended;
use crate::demo::platform::{Options, Running, StartError};
use crate::demo::{Platform, cloudwatch, credentials, stories, world};
use crate::signals::System;
use crate::sources::Directions;
use crate::term::Reports;

/// Starts the platform that the arguments describe.
pub async fn start(args: &Args, clock: Clock) -> Result<Running> {
    let given = |number: Option<u32>, default: usize| number.map_or(default, |number| number as usize);
    let usual = world::Options::default();
    let world = world::Options {
        tenants: given(args.tenants, usual.tenants),
        pods_per_tenant: given(args.pods_per_tenant, usual.pods_per_tenant),
        nodes: given(args.nodes, usual.nodes),
        applications: args.applications.map(|number| number as usize),
        churn: args.churn,
        seed: args.seed.unwrap_or(usual.seed),
        story: args.story.clone().unwrap_or_else(|| stories::DEFAULT.to_owned()),
        ..usual
    };
    let options = Options {
        world,
        port: args.port.unwrap_or(0),
        kubeconfig: args.kubeconfig.clone(),
        clock,
        ..Options::default()
    };
    Platform::start(options).await.map_err(|error| match error {
        // What a person can change on the command line.
        StartError::Port { .. }
        | StartError::Kubeconfig { .. }
        | StartError::Foreign(_)
        | StartError::Story(_) => Usage::report(error.to_string()),
        error => error.into(),
    })
}

/// Opens the console on the platform; the platform ends with it.
pub async fn open(cli: &Cli, args: &Args, paths: &Paths, reports: &Reports) -> Result<Ended> {
    let running = start(args, Clock::system()).await?;
    let opening = Opening {
        // The person's own clusters are not part of this.
        scope: Scope { kubeconfig: None, context: None, ..cli.scope.clone() },
        look: args.look.clone().or(&cli.look),
        kind: None,
        kubeconfig: Some(running.kubeconfig.clone()),
        contexts: vec![account(&running)?],
    };
    console::run(opening, paths, reports).await
}

/// Says where CloudWatch of the platform's account is and with which credentials, so that the person's own AWS
/// profile is not asked. It is what configuration can say of any context.
fn account(running: &Running) -> Result<ContextRule> {
    let file = running.write_aws_credentials().wrap_err("the AWS credentials cannot be written")?;
    let directions = Directions {
        url: Some(running.cloudwatch.url.clone()),
        secrets_url: Some(running.secrets_manager.url.clone()),
        region: Some(cloudwatch::REGION.to_owned()),
        credentials_file: Some(file),
        ..Directions::default()
    };
    Ok(ContextRule {
        pattern: format!("{}*", credentials::ADMIN_CONTEXT),
        environment: None,
        readonly: None,
        namespaces: None,
        systems: [(System::CloudWatch, directions)].into(),
        git: Some(GitRule {
            repositories: running.repositories().map(|(url, path)| (url.to_owned(), path)).into(),
            ..GitRule::default()
        }),
        place: None,
    })
}

/// Serves until SIGINT or SIGTERM; the first line of the output says where.
pub async fn headless(desk: &mut Desk<'_>, args: &Args) -> Result<Exit> {
    // Listened for before the line is printed: whoever reads it may send the signal at once.
    let interrupted = interrupted().wrap_err("signals cannot be received")?;
    let running = start(args, desk.clock.clone()).await?;
    let scrapes =
        running.write_scrape_config("30s").await.wrap_err("the scrape configuration cannot be written")?;
    let keys = running.write_aws_credentials().wrap_err("the AWS credentials cannot be written")?;
    let git = running.write_git_config().wrap_err("the git configuration cannot be written")?;
    desk.out.json_line(&json!({
        "kubeconfig": running.kubeconfig,
        "kubernetes": running.url,
        "cloudwatch": running.cloudwatch.url,
        "secretsManager": running.secrets_manager.url,
        "awsCredentials": keys,
        "awsRegion": cloudwatch::REGION,
        "scrapeConfig": scrapes.config,
        "gitConfig": git,
    }))?;
    interrupted.await;
    drop(scrapes);
    drop(running);
    Ok(Exit::Done)
}

/// Returns a wait for SIGINT or SIGTERM.
#[cfg(unix)]
fn interrupted() -> io::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}

/// Returns a wait for Ctrl-C.
#[cfg(not(unix))]
fn interrupted() -> io::Result<impl Future<Output = ()>> {
    Ok(async {
        // Without a handler there is nothing to wait for.
        let _ = tokio::signal::ctrl_c().await;
    })
}
