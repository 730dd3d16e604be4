//! `opsdeck get tenants`: the ranking of the overview, worst first, as rows.

use std::io::Write as _;

use color_eyre::eyre::Result;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::gather::{connect, failure, gather};
use super::report::{Head, table};
use super::{Desk, Exit, Usage};
use crate::args::{Get as Args, Output};
use crate::human;
use crate::identity::{ObjectRef, Resource};
use crate::kinds::{Health, Kinds};
use crate::model::retreat::Retreat;
use crate::model::tenants::{Summary, Tenants};
use crate::nearest::did_you_mean;
use crate::sources::kubernetes::Connection;
use crate::store::Query;

/// The lists that tenants are concluded from; the first is the one that must succeed.
const LISTS: [(&str, &str); 5] = [
    ("", "namespaces"),
    ("argoproj.io", "applications"),
    ("argoproj.io", "appprojects"),
    ("", "pods"),
    ("", "resourcequotas"),
];

/// Tells whether a word on the command line means tenants.
pub fn means(kind: &str) -> bool {
    matches!(kind, "tenants" | "tenant")
}

/// Prints the tenants, worst first.
pub async fn run(desk: &mut Desk<'_>, args: &Args) -> Result<Exit> {
    let refused = [
        ("-l", args.selector.is_some()),
        ("--field-selector", args.field_selector.is_some()),
        ("--filter", args.filter.is_some()),
        ("-o yaml", args.output == Output::Yaml),
    ];
    if let Some((flag, _)) = refused.iter().find(|(_, given)| *given) {
        return Err(Usage::report(format!(
            "{flag} is for objects of the server; tenants are concluded from several: give names, or use -o json"
        )));
    }
    let scope = args.scope.clone().or(&desk.scope);
    let connection = connect(desk, &scope).await?;
    let kinds = std::sync::Arc::new(Kinds::new());
    let context = connection.context().clone();
    let queries = LISTS.map(|(group, plural)| Query::all(&context, &Resource::new(group, plural)));
    let store = gather(desk, &connection, &kinds, &queries).await?;
    let now = desk.clock.now();
    let mut tenants = Tenants::new(desk.config.tenants.clone());
    tenants.refresh(&store, &context, now);
    let wanted = args.names.iter().map(String::as_str).chain(scope.tenant.as_deref()).collect::<Vec<_>>();
    let unknown: Vec<&str> = wanted.iter().copied().filter(|name| tenants.get(name).is_none()).collect();
    let shown: Vec<&Summary> = tenants
        .ranking()
        .iter()
        .filter(|summary| wanted.is_empty() || wanted.contains(&&*summary.name))
        .collect();
    match args.output {
        Output::Json => {
            let items: Vec<Value> = shown.iter().map(|summary| as_json(summary)).collect();
            let complete = shown.iter().all(|summary| summary.complete);
            desk.out.json(&json!({
                "context": context, "kind": "tenants", "complete": complete, "items": items,
            }))?;
        }
        Output::Name => {
            for summary in &shown {
                writeln!(desk.out, "tenants/{}", summary.name)?;
            }
        }
        Output::Table | Output::Wide | Output::Yaml if shown.is_empty() => {
            desk.err.line("no tenants found")?;
        }
        Output::Table | Output::Wide | Output::Yaml => {
            let text = rows(&shown, now, args.output == Output::Wide);
            desk.out.write_all(text.as_bytes())?;
        }
    }
    desk.out.flush()?;
    for query in queries.iter().skip(1) {
        if let Some(error) = failure(&store, query) {
            desk.err.line(&format!("what needs {} is not known: {error}", query.resource))?;
        }
    }
    for name in &unknown {
        let hint = did_you_mean(name, tenants.names().iter().map(|name| &**name));
        desk.err.line(&format!("there is no tenant {name}{hint}"))?;
    }
    Ok(if unknown.is_empty() { Exit::Done } else { Exit::Failed })
}

/// Names the Applications of a tenant that go back together, and those that have nothing to go back to; the inner error
/// says why there is none.
pub async fn retreat(
    desk: &Desk<'_>,
    connection: &Connection,
    tenant: &str,
) -> Result<std::result::Result<(Vec<String>, Vec<String>), String>> {
    let kinds = std::sync::Arc::new(Kinds::new());
    let context = connection.context();
    let resources = [Resource::new("argoproj.io", "applications"), Resource::new("", "namespaces")];
    let queries = resources.map(|resource| Query::all(context, &resource));
    let store = gather(desk, connection, &kinds, &queries).await?;
    let mut tenants = Tenants::new(desk.config.tenants.clone());
    tenants.refresh(&store, context, desk.clock.now());
    if tenants.get(tenant).is_none() {
        let near = did_you_mean(tenant, tenants.names().iter().map(|name| &**name));
        return Ok(Err(format!("there is no tenant {tenant} in {context}{near}")));
    }
    let retreat = Retreat::of(&store, context, tenants.tenancy(), tenant);
    if let Some(refusal) = retreat.refusal(tenant) {
        return Ok(Err(refusal));
    }
    let Retreat { going, staying } = retreat;
    let named = |object: &ObjectRef| match &object.namespace {
        Some(namespace) => format!("{namespace}/{}", object.name),
        None => object.name.to_string(),
    };
    Ok(Ok((going.iter().map(named).collect(), staying)))
}

fn word(health: Health) -> &'static str {
    match health {
        Health::Healthy => "healthy",
        Health::Idle => "idle",
        Health::Progressing => "progressing",
        Health::Unknown => "unknown",
        Health::Warning => "warning",
        Health::Degraded => "degraded",
    }
}

fn rows(shown: &[&Summary], now: Timestamp, wide: bool) -> String {
    let right = |title: &str| Head { right: true, ..Head::left(title) };
    let mut heads = vec![
        Head::left("TENANT"),
        Head::left("ENV"),
        right("APPS"),
        right("OUT"),
        Head::left("HEALTH"),
        right("PODS"),
        Head::left("QUOTA"),
    ];
    if wide {
        heads.extend([right("RESTARTS"), right("DEPLOYED"), Head::left("NAMESPACES")]);
    }
    heads.push(Head::left("WHY"));
    let unknown = || "?".to_owned();
    let rows: Vec<Vec<String>> = shown
        .iter()
        .map(|tenant| {
            let quota = tenant.quota.as_ref().map_or_else(String::new, |(key, share)| {
                format!("{key} {}%", human::percent((share * 100.0).round()))
            });
            let ready = tenant.ready.filter(|_| tenant.complete || tenant.pods > 0);
            let mut row = vec![
                tenant.name.to_string(),
                joined(&tenant.environments),
                tenant.apps.map_or_else(unknown, |apps| apps.to_string()),
                tenant.apps.map_or_else(unknown, |_| tenant.out_of_sync.to_string()),
                word(tenant.health).to_owned(),
                ready.map_or_else(unknown, |ready| format!("{ready}/{}", tenant.pods)),
                quota,
            ];
            if wide {
                row.push(tenant.restarts.to_string());
                row.push(tenant.deployed.map_or_else(String::new, |at| human::age(now, at)));
                row.push(joined(&tenant.namespaces));
            }
            row.push(tenant.reason.to_string());
            row
        })
        .collect();
    table(&heads, &rows)
}

fn joined(names: &[crate::identity::Text]) -> String {
    names.iter().map(|name| &**name).collect::<Vec<_>>().join(",")
}

/// One tenant as JSON; what is not known is null and not zero.
fn as_json(tenant: &Summary) -> Value {
    json!({
        "name": tenant.name,
        "environments": tenant.environments,
        "namespaces": tenant.namespaces,
        "health": tenant.health,
        "reason": tenant.reason,
        "applications": tenant.apps,
        "outOfSync": tenant.apps.map(|_| tenant.out_of_sync),
        "busy": tenant.apps.map(|_| tenant.busy),
        "pods": tenant.ready.map(|ready| json!({ "ready": ready, "wanted": tenant.pods })),
        "troubledPods": tenant.ready.map(|_| tenant.troubled_pods),
        "restarts": tenant.restarts,
        "requests": { "cpu": tenant.claims.cpu as f64 / 1000.0, "memory": tenant.claims.memory },
        "limits": { "cpu": tenant.claims.most_cpu(), "memory": tenant.claims.most_memory() },
        "quota": tenant.quota.as_ref().map(|(key, share)| json!({ "key": key, "used": share })),
        "deployed": tenant.deployed.map(|at| at.to_string()),
        "complete": tenant.complete,
    })
}
