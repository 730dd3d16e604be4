//! `opsdeck logs` from Loki: by a query, or by tenant, app or pod; a window of time, then what is written.

use std::io::Write as _;
use std::sync::Arc;

use color_eyre::eyre::Result;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::{Map, Value, json};
use tokio::sync::mpsc;

use super::gather::{connect, gather, systems};
use super::get::known_tenant;
use super::{Desk, Exit, Usage};
use crate::args::{LogFormat, Logs as Args, Scope};
use crate::human::{self, parse_span, times};
use crate::identity::Resource;
use crate::kinds::{Kinds, Unit};
use crate::model::tenants::Tenants;
use crate::signals::{Labels, System};
use crate::sources::loki::{self, Direction, Entry, Page, Pager, SECOND, Span, Tail, TailNews};
use crate::sources::{Connection, Endpoint, SourceError, logql};
use crate::store::{Query, Shelf};

/// How far back where nothing is said.
const SINCE: i64 = 3_600 * SECOND;

/// How many lines where nothing is said.
const LINES: usize = 1_000;

/// Prints lines of a window, oldest first, and then what is written with `--follow`.
pub async fn run(desk: &mut Desk<'_>, args: &Args) -> Result<Exit> {
    if args.container.is_some() || args.previous {
        return Err(Usage::report(
            "-c and -p go with a pod or workload: Loki keeps every container and every life",
        ));
    }
    let scope = args.scope.clone().or(&desk.scope);
    let span = window(args, desk.clock.now())?;
    let limit = match args.tail {
        None => LINES,
        Some(number) => {
            usize::try_from(number).map_err(|_| Usage::report("--tail takes a number of lines"))?
        }
    };
    let connection = connect(desk, &scope).await?;
    let query = query(desk, args, &scope, &connection).await?;
    if logql::is_metric(&query) {
        return Err(Usage::report(
            "the query asks for numbers; a query for lines begins with its selector, such as {app=\"checkout\"}",
        ));
    }
    let endpoint = systems(desk, &connection).one(System::Loki).await?;
    if let Some(exit) = sized(desk, args, &endpoint, &query, span).await? {
        return Ok(exit);
    }
    let last = match history(desk, args, &endpoint, &query, span, limit).await {
        Ok(last) => last,
        Err(error) => return Err(pointed(desk, &query, error)?),
    };
    if !args.follow {
        return Ok(Exit::Done);
    }
    follow(desk, args, &endpoint, query, last).await
}

/// Returns the span of time that is meant.
fn window(args: &Args, at: Timestamp) -> Result<Span> {
    let now = i64::try_from(at.as_nanosecond()).unwrap_or(i64::MAX);
    let wrong = |flag: &str, text: &str| {
        Usage::report(format!("{flag} {text}: not a time that is understood; write {}", times::FORMS))
    };
    let zone = TimeZone::system();
    let moment = |at: Timestamp| i64::try_from(at.as_nanosecond()).unwrap_or(i64::MAX);
    let from = match &args.from {
        Some(text) => Some(times::moment(text, at, &zone).ok_or_else(|| wrong("--from", text))?),
        None => None,
    };
    let end = match (&args.to, from) {
        (None, _) => now,
        (Some(text), Some(from)) => {
            moment(times::end(text, from, at, &zone).ok_or_else(|| wrong("--to", text))?)
        }
        (Some(text), None) => moment(times::moment(text, at, &zone).ok_or_else(|| wrong("--to", text))?),
    };
    let start = match (from, &args.since) {
        (Some(from), _) => moment(from),
        (None, Some(text)) => {
            let seconds =
                parse_span(text).filter(|seconds| *seconds > 0.0 && *seconds < 1e9).ok_or_else(|| {
                    Usage::report(format!("--since {text}: not a length of time such as 5m or 2h"))
                })?;
            end.saturating_sub((seconds * SECOND as f64) as i64)
        }
        (None, None) => end.saturating_sub(SINCE),
    };
    if start >= end {
        return Err(Usage::report("the window is empty: it ends before it begins"));
    }
    Ok(Span { start, end })
}

/// Returns the query, made of labels where none is given.
async fn query(desk: &Desk<'_>, args: &Args, scope: &Scope, connection: &Connection) -> Result<String> {
    let mut namespaces: Vec<String> = scope.namespace.iter().cloned().collect();
    if let Some(tenant) = &scope.tenant {
        let own = namespaces_of(desk, connection, tenant).await?;
        namespaces = if namespaces.is_empty() {
            own
        } else {
            namespaces.into_iter().filter(|name| own.contains(name)).collect()
        };
        if namespaces.is_empty() {
            return Err(Usage::report(format!("the tenant {tenant} has no such namespace")));
        }
    }
    let mut matchers = Vec::new();
    match namespaces.as_slice() {
        [] => {}
        [one] => matchers.push(format!("namespace={}", logql::quote(one))),
        several => {
            let all: Vec<String> = several.iter().map(|name| logql::literal(name)).collect();
            matchers.push(format!("namespace=~{}", logql::quote(&all.join("|"))));
        }
    }
    for (name, value) in [("app", &args.app), ("pod", &args.pod)] {
        matchers.extend(value.as_ref().map(|value| format!("{name}={}", logql::quote(value))));
    }
    match &args.query {
        None => Ok(format!("{{{}}}", matchers.join(", "))),
        Some(query) if matchers.is_empty() => Ok(query.clone()),
        // What is asked of a tenant is not answered with the lines of all.
        Some(query) => logql::joined(query, &matchers.join(", ")).ok_or_else(|| {
            Usage::report(
                "the query has no selector that --tenant or -n could narrow, such as {app=\"checkout\"}",
            )
        }),
    }
}

/// Asks how much the query reads; one that is larger than may be read without a question is refused.
async fn sized(
    desk: &mut Desk<'_>,
    args: &Args,
    endpoint: &Endpoint,
    query: &str,
    span: Span,
) -> Result<Option<Exit>> {
    if args.yes {
        return Ok(None);
    }
    let bytes = match loki::stats(endpoint, query, span).await {
        Ok(stats) => stats.bytes,
        // Before Loki 2.9 there is no such page.
        Err(SourceError::Missing { .. }) => return Ok(None),
        Err(error) => return Err(pointed(desk, query, error.into())?),
    };
    let most = u64::from(desk.config.log_ask_above) * 1024 * 1024;
    if bytes <= most {
        return Ok(None);
    }
    let [bytes, most] = [bytes, most].map(|bytes| human::quantity(bytes as f64, Unit::Bytes));
    desk.err.line(&format!(
        "the query reads {bytes}, more than logs.ask-above ({most}): take a shorter time or more labels, or say --yes"
    ))?;
    Ok(Some(Exit::Refused))
}

/// Shows the place of the query that an error of the server names.
fn pointed(desk: &mut Desk<'_>, query: &str, error: color_eyre::Report) -> Result<color_eyre::Report> {
    let Some(SourceError::Invalid { reason, .. }) = error.downcast_ref() else { return Ok(error) };
    if let Some(at) = logql::position(query, reason)
        && !query.contains('\n')
    {
        let clean = crate::text::one_line(query);
        if clean == *query {
            desk.err.line(&clean)?;
            desk.err.line(&format!("{}^ here", " ".repeat(human::lines::width(&query[..at]))))?;
        }
    }
    Ok(error)
}

/// Returns the namespaces of a tenant.
async fn namespaces_of(desk: &Desk<'_>, connection: &Connection, tenant: &str) -> Result<Vec<String>> {
    let context = connection.context();
    let namespaces = Query::all(context, &Resource::new("", "namespaces"));
    let queries = [namespaces.clone(), Query::all(context, &Resource::new("argoproj.io", "applications"))];
    let store = gather(desk, connection, &Arc::new(Kinds::new()), &queries).await?;
    let mut tenants = Tenants::new(desk.config.tenants.clone());
    tenants.refresh(&store, context, desk.clock.now());
    known_tenant(&tenants, tenant)?;
    let all = store.shelf(&namespaces).into_iter().flat_map(Shelf::iter);
    let own = all.filter(|(_, object)| {
        tenants.tenancy().of_namespace(&object.meta.name).is_some_and(|one| **one == *tenant)
    });
    Ok(own.map(|(_, object)| object.meta.name.to_string()).collect())
}

/// Prints the newest lines of the window, and returns from when a tail goes on.
async fn history(
    desk: &mut Desk<'_>,
    args: &Args,
    endpoint: &Endpoint,
    query: &str,
    span: Span,
    limit: usize,
) -> Result<i64> {
    let mut pager = Pager::new(query, span, Direction::Backward, limit.clamp(1, LINES));
    let mut pages: Vec<Page> = Vec::new();
    let mut held = 0;
    while held < limit {
        let page = pager.next(endpoint).await?;
        held += page.entries.len();
        for warning in &page.warnings {
            desk.err.line(&format!("Loki warns: {warning}"))?;
        }
        if page.garbled > 0 {
            desk.err.line(&format!("{} entries could not be understood", page.garbled))?;
        }
        if page.skipped.is_some() {
            desk.err.line("more lines share one time than Loki gives: some are left out")?;
        }
        let done = page.done;
        pages.push(page);
        if done {
            break;
        }
    }
    let entries = pages.into_iter().rev().flat_map(|page| page.entries);
    for entry in entries.skip(held.saturating_sub(limit)) {
        print(desk, args, &entry)?;
    }
    desk.out.flush()?;
    if held >= limit && limit > 0 {
        desk.err.line(&format!("the newest {limit} lines; --tail takes another number"))?;
    }
    Ok(span.end)
}

async fn follow(
    desk: &mut Desk<'_>,
    args: &Args,
    endpoint: &Endpoint,
    query: String,
    start: i64,
) -> Result<Exit> {
    let (mail, mut news) = mpsc::channel(16);
    let wanted = Tail { query, start, limit: loki::ENTRIES };
    let tail = loki::tail(endpoint, wanted, &mail);
    tokio::pin!(tail);
    loop {
        let one = tokio::select! {
            ended = &mut tail => {
                ended?;
                return Ok(Exit::Done);
            }
            one = news.recv() => one,
        };
        match one {
            Some(TailNews::Lines { entries, dropped, garbled }) => {
                if dropped + garbled > 0 {
                    desk.err.line(&format!(
                        "{dropped} lines were dropped by Loki, {garbled} could not be understood"
                    ))?;
                }
                for entry in &entries {
                    print(desk, args, entry)?;
                }
                desk.out.flush()?;
            }
            Some(TailNews::Seam { why, .. }) => {
                desk.err.line(&format!("the tail was cut and goes on: {why}"))?;
            }
            Some(TailNews::Failed(error)) => desk.err.line(&error.to_string())?,
            Some(TailNews::Open) => {}
            None => return Ok(Exit::Done),
        }
    }
}

/// Writes nanoseconds since 1970 as a time.
fn time(at: i64) -> Option<Timestamp> {
    Timestamp::from_nanosecond(i128::from(at)).ok()
}

fn print(desk: &mut Desk<'_>, args: &Args, entry: &Entry) -> Result<()> {
    match args.output {
        LogFormat::Raw => {
            desk.out.write_all(entry.bytes())?;
            writeln!(desk.out)?;
        }
        LogFormat::Json => {
            let line = json!({
                "at": time(entry.at),
                "text": String::from_utf8_lossy(entry.bytes()),
                "labels": object(&entry.labels),
                "metadata": object(&entry.metadata),
                "parsed": object(&entry.parsed),
            });
            serde_json::to_writer(&mut desk.out, &line)?;
            writeln!(desk.out)?;
        }
        LogFormat::Text => {
            if let Some(at) = time(entry.at).filter(|_| args.timestamps) {
                write!(desk.out, "{at} ")?;
            }
            let pod = entry.label("pod").or_else(|| entry.label("app"));
            match (pod, entry.label("container")) {
                (Some(pod), Some(container)) => writeln!(desk.out, "{pod}/{container} {}", entry.text)?,
                (Some(name), None) => writeln!(desk.out, "{name} {}", entry.text)?,
                (None, _) => writeln!(desk.out, "{}", entry.text)?,
            }
        }
    }
    Ok(())
}

fn object(labels: &Labels) -> Map<String, Value> {
    labels.iter().map(|(name, value)| (name.to_owned(), json!(value))).collect()
}
