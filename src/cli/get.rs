//! `opsdeck get`: the rows of a table without the console. Tenants, which no server lists, are in `tenants.rs`.
//!
//! `-o json` prints the rows as the console types them (the documented, stable form); `-o yaml` prints the
//! objects as the server keeps them. Values of Secrets are fetched by neither.

use std::io::Write as _;
use std::sync::Arc;

use color_eyre::eyre::{Result, eyre};
use serde_json::{Map, Value, json};

use super::gather::{connect, failure, gather};
use super::report::{Head, table};
use super::{Desk, Exit, Usage, tenants};
use crate::args::{Get as Args, Output, Scope};
use crate::filter::Filter;
use crate::identity::{ObjectRef, Resource, Text};
use crate::kinds::measured::is_about_use;
use crate::kinds::{Kind, Kinds, Lens, Object, alerts};
use crate::model::tenants::Tenants;
use crate::nearest::did_you_mean;
use crate::rows::{Rows, Scope as RowScope};
use crate::sources::discovery::Served;
use crate::sources::kubernetes::Connection;
use crate::store::{Feed, Query, Store};

/// Prints objects of a kind.
pub async fn run(desk: &mut Desk<'_>, args: &Args) -> Result<Exit> {
    if tenants::means(&args.kind) {
        return tenants::run(desk, args).await;
    }
    let scope = args.scope.clone().or(&desk.scope);
    let connection = connect(desk, &scope).await?;
    let (kinds, resource) = find(&connection, &args.kind).await?;
    let kind = kinds.get(&resource).ok_or_else(|| unknown(&kinds, &Served::default(), &args.kind))?;
    if args.output == Output::Yaml {
        return yaml(desk, &connection, kind, args, &scope).await;
    }
    let filter = Filter::parse(args.filter.as_deref().unwrap_or_default(), &kind.columns)
        .map_err(|error| Usage::report(format!("--filter: {error}")))?;
    let queries = queries(&connection, &kinds, kind, args, &filter, &scope);
    let store = gather(desk, &connection, &kinds, &queries).await?;
    let now = desk.clock.now();
    let mut tenants = Tenants::new(desk.config.tenants.clone());
    tenants.refresh(&store, connection.context(), now);
    if let Some(tenant) = &scope.tenant {
        known_tenant(&tenants, tenant)?;
    }
    let lens =
        Lens { now, context: connection.context(), store: &store, kinds: &kinds, tenants: tenants.tenancy() };
    let shelf =
        queries.first().and_then(|query| store.shelf(query)).ok_or_else(|| eyre!("nothing was listed"))?;
    let mut rows = Rows::new();
    rows.set_filter(filter);
    rows.set_scope(RowScope { namespace: None, tenant: scope.tenant.as_deref().map(Text::from) });
    rows.refresh(shelf, kind, &lens);
    let objects: Vec<&Arc<Object>> = rows
        .window(shelf, 0..rows.len())
        .filter(|object| args.names.is_empty() || args.names.iter().any(|name| **name == *object.meta.name))
        .collect();
    match args.output {
        Output::Table | Output::Wide => {
            print_rows(desk, kind, &objects, &lens, args.output == Output::Wide, &scope)?;
        }
        Output::Json => as_json(desk, kind, &objects, &lens, shelf.feed())?,
        Output::Name | Output::Yaml => names(desk, kind, &objects)?,
    }
    remarks(desk, shelf.feed(), &store, &queries)?;
    let missing: Vec<&String> =
        args.names.iter().filter(|name| !objects.iter().any(|object| *object.meta.name == ***name)).collect();
    for name in &missing {
        desk.err.line(&format!("{} {name} does not exist", kind.resource))?;
    }
    Ok(if missing.is_empty() { Exit::Done } else { Exit::Failed })
}

/// Finds the type that a name means: one of the console's kinds, or one that the server describes itself.
async fn find(connection: &Connection, name: &str) -> Result<(Arc<Kinds>, Resource)> {
    let kinds = Kinds::new();
    if let Some(kind) = kinds.find(name) {
        let resource = kind.resource.clone();
        return Ok((Arc::new(kinds), resource));
    }
    let served = connection.served().await?;
    let Some(one) = served.named(name).filter(|one| one.can("list")) else {
        return Err(unknown(&kinds, &served, name));
    };
    let learned = connection.learn(one).await?;
    Ok((Arc::new(kinds.with(learned)), one.resource.clone()))
}

/// Says that a kind is not known, with the nearest names.
fn unknown(kinds: &Kinds, served: &Served, name: &str) -> color_eyre::Report {
    let listed = served.types().iter().filter(|one| one.can("list")).map(|one| &*one.resource.plural);
    let known = kinds.iter().map(|kind| &*kind.resource.plural).chain(["tenants"]);
    let nearest = did_you_mean(name, known.chain(listed));
    let hint =
        if nearest.is_empty() { "; `kubectl api-resources` lists what the server has" } else { &nearest };
    Usage::report(format!("there is no kind {name}{hint}"))
}

/// Returns the lists that the rows need: the kind's own first, then those that its columns look at.
fn queries(
    connection: &Connection,
    kinds: &Kinds,
    kind: &Kind,
    args: &Args,
    filter: &Filter,
    scope: &Scope,
) -> Vec<Query> {
    let context = connection.context();
    let within = |resource: &Resource, namespaced: bool| match &scope.namespace {
        Some(namespace) if namespaced => Query::within(context, resource, namespace),
        _ => Query::all(context, resource),
    };
    let mut own = within(&kind.resource, kind.namespaced);
    own.labels = both(args.selector.as_deref(), &filter.labels);
    own.fields = both(args.field_selector.as_deref(), &filter.fields);
    let mut queries = vec![own];
    let tenancy = [Resource::new("", "namespaces"), Resource::new("argoproj.io", "applications")];
    for resource in kind.needs.iter().chain(&tenancy) {
        let namespaced = kinds.get(resource).is_some_and(|kind| kind.namespaced);
        // Who a tenant is does not depend on the namespace that is looked at.
        let query = if tenancy.contains(resource) {
            Query::all(context, resource)
        } else {
            within(resource, namespaced)
        };
        if !queries.contains(&query) && kinds.get(resource).is_some() {
            queries.push(query);
        }
    }
    queries
}

/// Joins the selector of the flag and that of the filter: an object must fit both.
fn both(flag: Option<&str>, filter: &str) -> Text {
    let parts: Vec<&str> = flag.into_iter().chain([filter]).filter(|part| !part.is_empty()).collect();
    Text::from(parts.join(","))
}

/// Refuses a tenant that nobody has heard of, with the nearest names.
pub(super) fn known_tenant(tenants: &Tenants, name: &str) -> Result<()> {
    if tenants.get(name).is_some() {
        return Ok(());
    }
    let hint = did_you_mean(name, tenants.names().iter().map(|name| &**name));
    Err(Usage::report(format!("there is no tenant {name}{hint}")))
}

fn print_rows(
    desk: &mut Desk<'_>,
    kind: &Kind,
    objects: &[&Arc<Object>],
    lens: &Lens<'_>,
    wide: bool,
    scope: &Scope,
) -> Result<()> {
    if objects.is_empty() {
        desk.err.line(&format!("no {} found", kind.resource.plural))?;
        return Ok(());
    }
    let shown: Vec<usize> = kind
        .columns
        .iter()
        .enumerate()
        .filter(|(_, column)| wide || !column.wide)
        // Nobody was asked for what is used.
        .filter(|(_, column)| !is_about_use(&column.id))
        // One namespace need not be said on every line.
        .filter(|(_, column)| scope.namespace.is_none() || &*column.id != "namespace")
        .map(|(at, _)| at)
        .collect();
    let heads: Vec<Head> = shown
        .iter()
        .filter_map(|at| kind.columns.get(*at))
        .map(|column| Head { title: column.title.to_string(), right: column.shape.is_numeric() })
        .collect();
    let rows: Vec<Vec<String>> = objects
        .iter()
        .map(|object| shown.iter().map(|at| kind.cell(object, *at, lens).text(lens.now)).collect())
        .collect();
    desk.out.write_all(table(&heads, &rows).as_bytes())?;
    desk.out.flush()?;
    Ok(())
}

fn names(desk: &mut Desk<'_>, kind: &Kind, objects: &[&Arc<Object>]) -> Result<()> {
    for object in objects {
        writeln!(desk.out, "{}/{}", kind.resource, object.meta.name)?;
    }
    desk.out.flush()?;
    Ok(())
}

fn as_json(
    desk: &mut Desk<'_>,
    kind: &Kind,
    objects: &[&Arc<Object>],
    lens: &Lens<'_>,
    feed: &Feed,
) -> Result<()> {
    let items: Vec<Value> = objects.iter().map(|object| row_json(kind, object, lens)).collect();
    let hidden: Vec<Value> = feed
        .hidden
        .iter()
        .map(|hidden| json!({ "namespace": hidden.namespace, "reason": hidden.error.to_string() }))
        .collect();
    desk.out.json(&json!({
        "context": lens.context,
        "kind": kind.resource.to_string(),
        "complete": feed.is_complete(),
        "hidden": hidden,
        "garbled": feed.garbled,
        "items": items,
    }))?;
    Ok(())
}

/// One row as JSON: who it is, how it is, and its cells by column.
fn row_json(kind: &Kind, object: &Object, lens: &Lens<'_>) -> Value {
    let (health, reason) = kind.health(object, lens);
    let reference: ObjectRef = kind.reference(lens.context, object);
    let cells: Map<String, Value> = kind
        .columns
        .iter()
        .enumerate()
        .filter_map(|(at, column)| Some((column.id.to_string(), kind.cell(object, at, lens).json()?)))
        .collect();
    json!({
        "namespace": reference.namespace,
        "name": reference.name,
        "uid": object.meta.uid,
        "health": health,
        "reason": reason,
        "cells": cells,
    })
}

/// Prints the objects as the server keeps them, without the bookkeeping of field managers.
async fn yaml(
    desk: &mut Desk<'_>,
    connection: &Connection,
    kind: &Kind,
    args: &Args,
    scope: &Scope,
) -> Result<Exit> {
    if args.filter.is_some() || scope.tenant.is_some() {
        return Err(Usage::report("-o yaml takes names and selectors; --filter and --tenant work on rows"));
    }
    let namespace = scope.namespace.as_deref().filter(|_| kind.namespaced);
    let labels = args.selector.as_deref().unwrap_or_default();
    let fields = args.field_selector.as_deref().unwrap_or_default();
    let mut documents = connection.documents(&kind.resource, namespace, labels, fields).await?;
    if !args.names.is_empty() {
        documents.retain(|document| {
            document
                .pointer("/metadata/name")
                .and_then(Value::as_str)
                .is_some_and(|name| args.names.iter().any(|wanted| wanted == name))
        });
    }
    if documents.is_empty() {
        desk.err.line(&format!("no {} found", kind.resource.plural))?;
        return Ok(if args.names.is_empty() { Exit::Done } else { Exit::Failed });
    }
    for mut document in documents {
        if let Some(metadata) = document.get_mut("metadata").and_then(Value::as_object_mut) {
            metadata.remove("managedFields");
        }
        let text = serde_saphyr::to_string(&document)?;
        desk.out.write_all(b"---\n")?;
        desk.out.write_all(crate::text::clean(&text).as_bytes())?;
    }
    desk.out.flush()?;
    Ok(Exit::Done)
}

/// Says what is not in the rows: hidden namespaces, objects that could not be decoded, columns without data.
fn remarks(desk: &mut Desk<'_>, feed: &Feed, store: &Store, queries: &[Query]) -> Result<()> {
    for hidden in &feed.hidden {
        // Of the lists of alerts no namespace is hidden, but what one of the systems would say.
        let systems = queries.first().is_some_and(|query| &*query.resource.group == alerts::GROUP);
        match hidden.namespace.as_deref() {
            None if systems => desk.err.line(&format!("not shown: {}", hidden.error))?,
            place => {
                let place = place.unwrap_or("other namespaces");
                desk.err.line(&format!("not shown: {place}: {}", hidden.error))?;
            }
        }
    }
    if feed.garbled > 0 {
        let first = feed.samples.first().map_or_else(String::new, |sample| format!(", such as {sample}"));
        desk.err.line(&format!("{} objects could not be decoded{first}", feed.garbled))?;
    }
    for query in queries.iter().skip(1) {
        if let Some(error) = failure(store, query) {
            desk.err.line(&format!("columns that need {} are not known: {error}", query.resource))?;
        }
    }
    Ok(())
}
