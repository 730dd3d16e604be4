//! `opsdeck logs`: the logs of a pod, or of all pods of a workload, merged.

use std::io::Write as _;
use std::sync::Arc;

use color_eyre::eyre::Result;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::gather::connect;
use super::{Desk, Exit, Usage};
use crate::args::{LogFormat, Logs as Args};
use crate::human::parse_span;
use crate::identity::{ObjectRef, Resource, Text};
use crate::kinds::Kinds;
use crate::sources::kubernetes::Connection;
use crate::sources::logs::{Line, LogNews, LogRequest, LogsFrom};

/// How many pieces of news may wait; the source drops the oldest lines, and counts them, where more would.
const WAITING: usize = 16;

/// What stands before a line, so that it is known whose it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Prefix {
    None,
    Container,
    PodAndContainer,
}

/// Prints logs until they end, or for ever with `--follow`.
pub async fn run(desk: &mut Desk<'_>, args: &Args, target: &str) -> Result<Exit> {
    let scope = args.scope.clone().or(&desk.scope);
    let connection = connect(desk, &scope).await?;
    let kinds = Arc::new(Kinds::new());
    let resource = resource(&kinds, target)?;
    let name = target.rsplit_once('/').map_or(target, |(_, name)| name);
    let own = connection.entry().namespace.clone();
    let namespace = scope.namespace.or(own).unwrap_or_else(|| "default".to_owned());
    let object = ObjectRef {
        context: connection.context().clone(),
        resource,
        namespace: Some(Text::from(namespace.as_str())),
        name: Text::from(name),
    };
    let from = match &args.since {
        Some(text) => LogsFrom::Seconds(seconds(text)?),
        None => LogsFrom::Beginning,
    };
    let tail = args
        .tail
        .map(u32::try_from)
        .transpose()
        .map_err(|_| Usage::report("--tail takes a number of lines"))?;
    let prefix = prefix(&connection, &object, args).await?;
    let request = LogRequest {
        object,
        container: args.container.as_deref().map(Text::from),
        previous: args.previous,
        follow: args.follow,
        from,
        tail,
    };
    let (sender, mut news) = mpsc::channel(WAITING);
    let reading = connection.logs(kinds, request, sender);
    tokio::pin!(reading);
    let mut failed = false;
    let mut ended = None;
    loop {
        tokio::select! {
            // What was read before the end is printed before the end.
            biased;
            piece = news.recv() => match piece {
                Some(piece) => failed |= print(desk, args, prefix, piece)?,
                None => break,
            },
            result = &mut reading, if ended.is_none() => ended = Some(result),
        }
    }
    match ended {
        Some(result) => result?,
        None => reading.await?,
    }
    Ok(if failed { Exit::Failed } else { Exit::Done })
}

/// Reads `POD` or `KIND/NAME`.
fn resource(kinds: &Kinds, target: &str) -> Result<Resource> {
    match target.split_once('/') {
        None => Ok(Resource::new("", "pods")),
        Some((word, _)) => kinds.find(word).map(|kind| kind.resource.clone()).ok_or_else(|| {
            Usage::report(format!(
                "there is no kind {word}; write POD, or KIND/NAME such as deployment/checkout"
            ))
        }),
    }
}

fn seconds(text: &str) -> Result<u64> {
    let wrong = || Usage::report(format!("--since {text}: not a length of time such as 5m or 2h"));
    parse_span(text).filter(|seconds| *seconds >= 1.0).map(|seconds| seconds as u64).ok_or_else(wrong)
}

async fn prefix(connection: &Connection, object: &ObjectRef, args: &Args) -> Result<Prefix> {
    if &*object.resource.plural != "pods" {
        return Ok(Prefix::PodAndContainer);
    }
    if args.container.is_some() {
        return Ok(Prefix::None);
    }
    let pod = connection.document(object).await?;
    let count = |part| pod.pointer(part).and_then(Value::as_array).map_or(0, Vec::len);
    let several = count("/spec/containers") + count("/spec/initContainers") > 1;
    Ok(if several { Prefix::Container } else { Prefix::None })
}

/// Prints one piece of news and tells whether it is of a failure.
fn print(desk: &mut Desk<'_>, args: &Args, prefix: Prefix, piece: LogNews) -> Result<bool> {
    match piece {
        LogNews::Lines { lines, dropped } => {
            if dropped > 0 {
                desk.err.line(&format!(
                    "{dropped} lines were dropped: they came faster than they were printed"
                ))?;
            }
            for line in &lines {
                print_line(desk, args, prefix, line)?;
            }
            desk.out.flush()?;
            Ok(false)
        }
        LogNews::Failed { stream, error } => {
            desk.err.line(&format!("{stream}: {error}"))?;
            Ok(true)
        }
        LogNews::Started { .. } => Ok(false),
    }
}

fn print_line(desk: &mut Desk<'_>, args: &Args, prefix: Prefix, line: &Line) -> Result<()> {
    match args.output {
        LogFormat::Json => {
            let text = String::from_utf8_lossy(line.bytes());
            serde_json::to_writer(
                &mut desk.out,
                &json!({ "at": line.at, "pod": line.pod, "container": line.container, "text": text }),
            )?;
            writeln!(desk.out)?;
            return Ok(());
        }
        LogFormat::Raw => {
            desk.out.write_all(line.bytes())?;
            writeln!(desk.out)?;
            return Ok(());
        }
        LogFormat::Text => {}
    }
    match prefix {
        Prefix::None => {}
        Prefix::Container => write!(desk.out, "{} ", line.container)?,
        Prefix::PodAndContainer => write!(desk.out, "{}/{} ", line.pod, line.container)?,
    }
    match line.at {
        Some(at) if args.timestamps => writeln!(desk.out, "{at} {}", line.text)?,
        _ => writeln!(desk.out, "{}", line.text)?,
    }
    Ok(())
}
