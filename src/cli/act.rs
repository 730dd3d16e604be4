//! The commands that change the platform: each prints its plan, asks, and follows what it started.
//!
//! They take the way of the console: plan, gate, audit, write, follow, audit. Nothing is written without
//! `--yes` (or `--confirm NAME` where a name must be typed), or somebody at the terminal who says so.

use std::io::Write as _;
use std::sync::Arc;

use color_eyre::eyre::Result;
use serde_json::json;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::gather::{connect, gather, systems};
use super::{Desk, Exit, Usage, editor, tenants, workloads};
use crate::actions::application::App;
use crate::actions::{
    self, Answer, Confirmation, Follow, Mark, Options, Outcome, Pace, Plan, Progress, Request, Standing,
    Step, SyncResource, Verb, undo,
};
use crate::args::{self, Acting, AutosyncTo, Command, Format, NodeclaimWhat, SilenceWhat};
use crate::audit::Audit;
use crate::gate::{Gate, Rules};
use crate::identity::{Context, ObjectRef, Resource, Target, Text};
use crate::kinds::certificates::certificates;
use crate::kinds::{Kinds, alerts, secrets};
use crate::model::tenants::Tenants;
use crate::nearest::did_you_mean;
use crate::signals::Matcher;
use crate::sources::Systems;
use crate::sources::git::Git;
use crate::sources::kubernetes::Connection;
use crate::store::Query;

/// How many pieces of progress may wait to be printed; each holds all that was known before.
const WAITING: usize = 16;

type Actions = actions::Desk<Systems>;

/// What a command asks for, before its objects were looked up.
struct Asked {
    verb: Verb,
    options: Options,
    objects: Objects,
}

/// How the objects of a command are named.
enum Objects {
    /// `NAME` or `NAMESPACE/NAME` of Applications, looked for in all namespaces.
    Applications(Vec<String>),
    /// All Applications of the tenant of the scope that have something to go back to.
    Tenant,
    /// Nodes of a pool or zone, the oldest first.
    Nodes { pool: Option<String>, zone: Option<String>, limit: usize },
    /// Kinds and names, as they were written.
    Worded(Vec<(String, String)>),
    /// Names of a type, in the namespace of the scope where the type has one.
    Named { resource: Resource, namespaced: bool, names: Vec<String> },
}

/// Runs one command that changes the platform.
pub async fn run(desk: &mut Desk<'_>, command: Command) -> Result<Exit> {
    if let Command::Undo(args) = command {
        return undo(desk, args).await;
    }
    let (mut asked, mut acting) = asked(command)?;
    acting.scope = acting.scope.or(&desk.scope);
    let actions = open(desk, &acting).await?;
    if let Objects::Tenant = asked.objects {
        let Some(tenant) = acting.scope.tenant.as_deref() else {
            return Err(Usage::report("name an Application, or --tenant NAME for all that a tenant has"));
        };
        match tenants::retreat(desk, actions.remote.connection(), tenant).await? {
            Ok((names, staying)) => {
                asked.objects = Objects::Applications(names);
                asked.options.staying = staying;
            }
            Err(sentence) => {
                desk.err.line(&format!("opsdeck: {sentence}"))?;
                return Ok(Exit::Failed);
            }
        }
    }
    let targets = match targets(&actions, &asked.objects, &acting).await? {
        Ok(targets) => targets,
        Err(sentence) => return unplanned(desk, &acting, &sentence, Exit::Failed),
    };
    // Only there the tenant's name has to be typed; elsewhere two lists would be for nothing.
    let named = acting.scope.tenant.as_deref();
    let tenant = if actions.rules.protected || named.is_some() {
        tenant(desk, actions.remote.connection(), &targets).await
    } else {
        None
    };
    if let Some(named) = named.filter(|named| tenant.as_deref() != Some(*named)) {
        let whose = tenant.map_or_else(String::new, |tenant| format!(": it is of {tenant}"));
        return Err(Usage::report(format!("--tenant {named}: what is named does not belong to it{whose}")));
    }
    let mut options = asked.options;
    if asked.verb == Verb::Rollback && options.history_id.is_none() {
        options.history_id = before_the_present(&actions, &targets).await?;
    }
    let request = Request {
        verb: asked.verb,
        targets,
        options,
        reason: acting.reason.clone().unwrap_or_default(),
        tenant,
    };
    go(desk, &actions, request, &acting).await
}

/// Opens the context that a command is for, with its rules.
async fn open(desk: &mut Desk<'_>, acting: &Acting) -> Result<Actions> {
    let connection = connect(desk, &acting.scope).await?;
    let standing = desk.config.standing(connection.context().as_str());
    let rules = Rules {
        context: connection.context().clone(),
        environment: standing.environment.word().to_owned(),
        protected: standing.protected,
        readonly: if acting.readonly { Some("--readonly".to_owned()) } else { standing.readonly },
        guard: standing.guard,
    };
    Ok(Actions {
        remote: systems(desk, &connection),
        rules,
        clock: desk.clock.clone(),
        audit: Audit::at(desk.paths.audit_file()),
        local_user: actions::local_user(|name| std::env::var(name).ok()),
        pace: Pace::default(),
        silence_share: desk.config.silence_share,
        tenants: desk.config.tenants.clone(),
        git: Git::new(desk.paths.git(), standing.git),
    })
}

/// Takes back what an entry of the record did: the one that is named, or the newest that can be undone.
async fn undo(desk: &mut Desk<'_>, args: args::Undo) -> Result<Exit> {
    let mut acting = args.acting;
    acting.scope = acting.scope.or(&desk.scope);
    let records = Audit::at(desk.paths.audit_file()).read(None)?.records;
    let all = undo::entries(&records);
    let (now, reason) = (desk.clock.now(), acting.reason.clone().unwrap_or_default());
    let here = |entry: &&undo::Entry<'_>| {
        acting.scope.context.as_deref().is_none_or(|context| context == entry.intent.context.as_str())
    };
    let id = match &args.entry {
        Some(id) => Some(id.clone()),
        None => all
            .iter()
            .rev()
            .filter(here)
            .find(|entry| undo::can(&all, &entry.before.id, now).is_ok())
            .map(|entry| entry.before.id.clone()),
    };
    let asked = match id {
        Some(id) => undo::request(&all, &id, now, &reason),
        None => Err("the record has no entry that can be undone: opsdeck audit lists all".to_owned()),
    };
    let request = match asked {
        Ok(request) => request,
        Err(sentence) => return unplanned(desk, &acting, &sentence, Exit::Refused),
    };
    if let (None, Some(target)) = (&acting.scope.context, request.targets.first()) {
        acting.scope.context = Some(target.object.context.to_string());
    }
    let actions = open(desk, &acting).await?;
    go(desk, &actions, request, &acting).await
}

/// Plans a request, asks, and carries it out.
async fn go(desk: &mut Desk<'_>, actions: &Actions, request: Request, acting: &Acting) -> Result<Exit> {
    let plan = if request.verb == Verb::Edit {
        match edited(desk, actions, request).await? {
            Ok(plan) => plan,
            Err(sentence) => {
                return unplanned(desk, acting, &format!("the edit ends: {sentence}"), Exit::Done);
            }
        }
    } else {
        made(actions, request).await
    };
    if acting.output == Format::Text {
        print_plan(desk, &plan)?;
    }
    if acting.plan {
        if acting.output == Format::Json {
            desk.out.json(&json!({ "plan": plan, "can_run": plan.can_run() }))?;
        }
        return Ok(if plan.can_run() { Exit::Done } else { Exit::Refused });
    }
    let outcome = match answer(desk, &plan, acting).await? {
        Ok(answer) => carry_out(desk, actions, plan.clone(), answer, acting).await?,
        Err(refusal) => Outcome::Refused(refusal),
    };
    print_outcome(desk, &plan, &outcome, acting.output)?;
    Ok(match outcome {
        Outcome::Verified(_) | Outcome::Accepted(_) => Exit::Done,
        Outcome::NotVerified(_) => Exit::NotVerified,
        Outcome::Failed(_) => Exit::Failed,
        Outcome::Refused(_) => Exit::Refused,
    })
}

/// Says why there is no plan; whoever reads JSON gets it as JSON as well.
fn unplanned(desk: &mut Desk<'_>, acting: &Acting, sentence: &str, exit: Exit) -> Result<Exit> {
    desk.err.line(&format!("opsdeck: {sentence}"))?;
    if acting.output == Format::Json {
        desk.out.json(&json!({ "plan": null, "can_run": false, "detail": sentence }))?;
    }
    Ok(exit)
}

/// Makes the plan of a request.
async fn made(actions: &Actions, request: Request) -> Plan {
    let (drafts, _) = mpsc::channel(1);
    actions::plan(actions, request, &drafts).await
}

/// Has an object edited and the plan of the change made; what the server refuses goes back to the editor, with the
/// reason on top, until it is changed no more. The inner error says why there is no change.
async fn edited(
    desk: &mut Desk<'_>,
    actions: &Actions,
    mut request: Request,
) -> Result<std::result::Result<Plan, String>> {
    let [target] = request.targets.as_slice() else {
        return Err(Usage::report("one object is edited at a time"));
    };
    let target = target.clone();
    let connection = actions.remote.connection();
    let mut why = String::new();
    loop {
        let before = request.options.edited.take();
        let kept = before.as_deref().map(|before| (before, why.as_str()));
        let edited = match editor::edited(desk, connection, &target, kept).await? {
            Ok(edited) => edited,
            Err(sentence) => return Ok(Err(sentence)),
        };
        // Given back as it was: the editor is done with it, and the plan says why it cannot be.
        let same = before.is_some_and(|before| before.patch() == edited.patch());
        request.options.edited = Some(edited);
        let plan = made(actions, request.clone()).await;
        if plan.can_run() || same {
            return Ok(Ok(plan));
        }
        why = plan.stops().map(|line| line.text.clone()).collect::<Vec<_>>().join("\n");
    }
}

/// Finds the one tenant that all targets belong to; none where it is not known or there are several.
async fn tenant(desk: &Desk<'_>, connection: &Connection, targets: &[Target]) -> Option<String> {
    if targets.iter().any(|target| target.object.namespace.is_none()) {
        return None;
    }
    let kinds = Arc::new(Kinds::new());
    let resources = [actions::application::applications(), Resource::new("", "namespaces")];
    let queries = resources.map(|resource| Query::all(connection.context(), &resource));
    let store = gather(desk, connection, &kinds, &queries).await.ok()?;
    let mut tenants = Tenants::new(desk.config.tenants.clone());
    tenants.refresh(&store, connection.context(), desk.clock.now());
    let tenancy = tenants.tenancy();
    let mut owners = targets.iter().map(|target| {
        let namespace = target.object.namespace.as_deref()?;
        if target.object.resource == actions::application::applications() {
            tenancy.of_application(namespace, &target.object.name)
        } else {
            tenancy.of_namespace(namespace)
        }
    });
    let first = owners.next()??;
    owners.all(|owner| owner == Some(first)).then(|| first.to_string())
}

/// Turns a command line into what is asked for.
fn asked(command: Command) -> Result<(Asked, Acting)> {
    let command = match workloads::asked(command)? {
        Ok(workloads::Asked { verb, options, objects, acting }) => {
            return Ok((Asked { verb, options, objects: Objects::Worded(objects) }, acting));
        }
        Err(command) => command,
    };
    let application =
        |verb, options, name| Asked { verb, options, objects: Objects::Applications(vec![name]) };
    let several = |verb, options, name: String, also: Vec<String>| {
        let names = std::iter::once(name).chain(also).collect();
        Asked { verb, options, objects: Objects::Applications(names) }
    };
    let plain = Options::default();
    Ok(match command {
        Command::Refresh(args) => {
            let verb = if args.hard { Verb::HardRefresh } else { Verb::Refresh };
            (application(verb, plain, args.application), args.acting)
        }
        Command::Sync(args) => {
            let options = Options {
                revision: args.revision,
                prune: args.prune,
                dry_run: args.dry_run,
                force: args.force,
                apply_only: args.apply_only,
                resources: args.resources.iter().map(|text| sync_resource(text)).collect::<Result<_>>()?,
                ..plain
            };
            (application(Verb::Sync, options, args.application), args.acting)
        }
        Command::Rollback(args) => {
            if args.id.is_some() && !args.also.is_empty() {
                let text = "--also: several Applications go back to the entry before their present; leave the id out";
                return Err(Usage::report(text));
            }
            let options =
                Options { history_id: args.id, prune: args.prune, hold_minutes: args.hold_minutes, ..plain };
            let Some(name) = args.application else {
                if !args.also.is_empty() {
                    return Err(Usage::report(
                        "--also NAME comes with an Application; --tenant has them all",
                    ));
                }
                return Ok((Asked { verb: Verb::Rollback, options, objects: Objects::Tenant }, args.acting));
            };
            (several(Verb::Rollback, options, name, args.also), args.acting)
        }
        Command::Revert(args) => {
            let options = Options { to_revision: args.to, review: args.branch, ..plain };
            (several(Verb::Revert, options, args.application, args.also), args.acting)
        }
        Command::Promote(args) => {
            let options = Options {
                from_environment: Some(args.from),
                to_environment: Some(args.to),
                review: args.branch,
                ..plain
            };
            (application(Verb::Promote, options, args.application), args.acting)
        }
        Command::Terminate(args) => (application(Verb::Terminate, plain, args.application), args.acting),
        Command::Autosync(args) => {
            let verb = match args.to {
                AutosyncTo::Off => Verb::HoldAutosync,
                AutosyncTo::On => Verb::ReleaseAutosync,
            };
            let options = Options { hold_minutes: args.hold_minutes, ..plain };
            (application(verb, options, args.application), args.acting)
        }
        Command::Restart(args) => {
            let objects = workload(&args.workload)?;
            (Asked { verb: Verb::Restart, options: plain, objects }, args.acting)
        }
        Command::Cordon(args) => (nodes(Verb::Cordon, args.nodes), args.acting),
        Command::Uncordon(args) => (nodes(Verb::Uncordon, args.nodes), args.acting),
        Command::Drain(args) => drain(args)?,
        Command::Protect(args) => (nodes(Verb::Protect, args.nodes), args.acting),
        Command::Unprotect(args) => (nodes(Verb::Unprotect, args.nodes), args.acting),
        Command::Nodeclaim(args::Nodeclaim { what: NodeclaimWhat::Delete { claims, acting } }) => {
            let resource = Resource::new("karpenter.sh", "nodeclaims");
            let names =
                claims.into_iter().map(|name| name.trim_start_matches("nodeclaim/").to_owned()).collect();
            let objects = Objects::Named { resource, namespaced: false, names };
            (Asked { verb: Verb::DeleteNodeclaim, options: plain, objects }, acting)
        }
        Command::Rotate(args) => rotate(args)?,
        Command::Renew(args) => {
            let names = args
                .certificates
                .into_iter()
                .map(|name| {
                    let words = ["certificate/", "certificates/", "cert/"];
                    words.iter().find_map(|word| name.strip_prefix(word)).unwrap_or(&name).to_owned()
                })
                .collect();
            let objects = Objects::Named { resource: certificates(), namespaced: true, names };
            (Asked { verb: Verb::Renew, options: plain, objects }, args.acting)
        }
        Command::Silence(args) => silence(args)?,
        other => return Err(Usage::report(format!("{other:?} changes nothing"))),
    })
}

/// Turns `opsdeck silence` into what is asked for; `list` asks for nothing and does not come here.
fn silence(args: args::Silence) -> Result<(Asked, Acting)> {
    let minutes = |span: &str| {
        let seconds = crate::human::parse_span(span)
            .ok_or_else(|| Usage::report(format!("--for {span}: write a time such as 30m, 2h or 1d")))?;
        Ok::<_, color_eyre::Report>(Some(((seconds / 60.0).ceil() as u32).max(1)))
    };
    let named = |names| Objects::Named { resource: alerts::silences(), namespaced: false, names };
    Ok(match args.what {
        SilenceWhat::Add { matchers, r#for, acting } => {
            let matchers = matchers
                .iter()
                .map(|text| Matcher::read(text).map(|matcher| matcher.to_string()))
                .collect::<std::result::Result<_, _>>()
                .map_err(|error| Usage::report(error.to_string()))?;
            let options = Options { minutes: minutes(&r#for)?, matchers, ..Options::default() };
            let objects = named(vec![alerts::NEW.to_owned()]);
            (Asked { verb: Verb::Silence, options, objects }, acting)
        }
        SilenceWhat::Extend { id, r#for, acting } => {
            let options = Options { minutes: minutes(&r#for)?, ..Options::default() };
            (Asked { verb: Verb::ExtendSilence, options, objects: named(vec![id]) }, acting)
        }
        SilenceWhat::Expire { ids, acting } => {
            (Asked { verb: Verb::ExpireSilence, options: Options::default(), objects: named(ids) }, acting)
        }
        SilenceWhat::List(_) => return Err(Usage::report("list changes nothing".to_owned())),
    })
}

/// Turns `opsdeck rotate` into what is asked for.
fn rotate(args: args::Rotate) -> Result<(Asked, Acting)> {
    let verb = match (args.resume, args.previous, args.refresh) {
        (true, ..) => Verb::ResumeRotation,
        (_, true, _) => Verb::RestoreSecret,
        (.., true) => Verb::RefreshSecret,
        _ => Verb::Rotate,
    };
    let timeout_seconds = args.timeout.as_deref().map(timeout).transpose()?;
    let plain = |name: String| name.split_once('/').map_or(name.clone(), |(_, name)| name.to_owned());
    let names = args.secrets.into_iter().map(plain).collect();
    let objects = Objects::Named { resource: secrets::external_secret(), namespaced: true, names };
    let options = Options { timeout_seconds, ..Options::default() };
    Ok((Asked { verb, options, objects }, args.acting))
}

/// Reads a time that something may take.
fn timeout(span: &str) -> Result<u32> {
    let seconds = crate::human::parse_span(span).filter(|seconds| *seconds >= 1.0);
    let wrong = || Usage::report(format!("--timeout {span}: write a time such as 90s, 30m or 2h"));
    Ok(seconds.ok_or_else(wrong)?.ceil() as u32)
}

/// Turns `opsdeck drain` into what is asked for.
fn drain(args: args::Drain) -> Result<(Asked, Acting)> {
    let timeout_seconds = args.timeout.as_deref().map(timeout).transpose()?;
    let options = Options {
        force: args.force,
        delete_emptydir_data: args.delete_emptydir_data,
        parallel: args.parallel,
        timeout_seconds,
        ..Options::default()
    };
    let asked = match args.limit {
        Some(limit) => {
            let objects = Objects::Nodes { pool: args.pool, zone: args.zone, limit: limit as usize };
            Asked { verb: Verb::Drain, options, objects }
        }
        None => Asked { options, ..nodes(Verb::Drain, args.nodes) },
    };
    Ok((asked, args.acting))
}

fn nodes(verb: Verb, names: Vec<String>) -> Asked {
    let resource = Resource::new("", "nodes");
    let names = names.into_iter().map(|name| name.trim_start_matches("node/").to_owned()).collect();
    let objects = Objects::Named { resource, namespaced: false, names };
    Asked { verb, options: Options::default(), objects }
}

/// Reads `KIND/NAME` or `KIND NAME` of something that can be restarted.
fn workload(words: &[String]) -> Result<Objects> {
    let (kind, name) = match words {
        [one] => one.split_once('/'),
        [kind, name] => Some((kind.as_str(), name.as_str())),
        _ => None,
    }
    .ok_or_else(|| Usage::report("name a workload as KIND/NAME, such as deployment/checkout"))?;
    let kinds = Kinds::new();
    let kind = kinds
        .find(kind)
        .filter(|kind| matches!(&*kind.resource.plural, "deployments" | "statefulsets" | "daemonsets"))
        .ok_or_else(|| {
            Usage::report(format!("{kind} cannot be restarted; deployments, statefulsets and daemonsets can"))
        })?;
    Ok(Objects::Named { resource: kind.resource.clone(), namespaced: true, names: vec![name.to_owned()] })
}

fn sync_resource(text: &str) -> Result<SyncResource> {
    SyncResource::read(text).map_err(|error| Usage::report(format!("--resource {error}")))
}

/// Looks the objects up; the inner error is a sentence for the person.
async fn targets(
    actions: &Actions,
    objects: &Objects,
    acting: &Acting,
) -> Result<std::result::Result<Vec<Target>, String>> {
    let context = actions.remote.connection().context().clone();
    let references = match objects {
        Objects::Applications(names) => {
            let mut references = Vec::new();
            for name in names {
                match application(actions, &context, name, &acting.scope).await? {
                    Ok(reference) if references.contains(&reference) => {}
                    Ok(reference) => references.push(reference),
                    Err(sentence) => return Ok(Err(sentence)),
                }
            }
            references
        }
        // Named before, by what the tenancy says.
        Objects::Tenant => Vec::new(),
        Objects::Nodes { pool, zone, limit } => {
            match nodes_of(actions, &context, pool.as_deref(), zone.as_deref(), *limit).await? {
                Ok(references) => references,
                Err(sentence) => return Ok(Err(sentence)),
            }
        }
        Objects::Worded(words) => {
            let connection = actions.remote.connection();
            workloads::references(connection, words, acting.scope.namespace.as_deref()).await?
        }
        Objects::Named { resource, namespaced, names } => {
            let own = actions.remote.connection().entry().namespace.as_deref();
            let namespace = acting.scope.namespace.as_deref().or(own).unwrap_or("default");
            let reference = |name: &String| ObjectRef {
                context: context.clone(),
                resource: resource.clone(),
                namespace: namespaced.then(|| Text::from(namespace)),
                name: Text::from(name.as_str()),
            };
            names.iter().map(reference).collect()
        }
    };
    let mut targets = Vec::new();
    for reference in references {
        match actions::resolve(actions, &reference).await {
            Ok(target) => targets.push(target),
            Err(sentence) => return Ok(Err(sentence)),
        }
    }
    Ok(Ok(targets))
}

/// Finds the nodes of a pool or zone, the oldest first, and no more than asked for.
async fn nodes_of(
    actions: &Actions,
    context: &Context,
    pool: Option<&str>,
    zone: Option<&str>,
    limit: usize,
) -> Result<std::result::Result<Vec<ObjectRef>, String>> {
    let resource = Resource::new("", "nodes");
    let mut found = actions.remote.connection().documents(&resource, None, "", "").await?;
    let label = |node: &serde_json::Value, key: &str| {
        node.pointer("/metadata/labels")?.get(key)?.as_str().map(ToOwned::to_owned)
    };
    found.retain(|node| {
        let of_pool =
            label(node, "karpenter.sh/nodepool").or_else(|| label(node, "eks.amazonaws.com/nodegroup"));
        let of_zone = label(node, "topology.kubernetes.io/zone");
        pool.is_none_or(|pool| of_pool.as_deref() == Some(pool))
            && zone.is_none_or(|zone| of_zone.as_deref() == Some(zone))
    });
    let text = |node: &serde_json::Value, pointer: &str| {
        node.pointer(pointer).and_then(serde_json::Value::as_str).unwrap_or_default().to_owned()
    };
    found.sort_by_key(|node| (text(node, "/metadata/creationTimestamp"), text(node, "/metadata/name")));
    if found.is_empty() {
        let of: Vec<String> =
            [pool.map(|pool| format!("pool {pool}")), zone.map(|zone| format!("zone {zone}"))]
                .into_iter()
                .flatten()
                .collect();
        return Ok(Err(format!("there is no node of {} in {context}", of.join(" and "))));
    }
    let reference = |node: &serde_json::Value| ObjectRef {
        context: context.clone(),
        resource: resource.clone(),
        namespace: None,
        name: Text::from(text(node, "/metadata/name")),
    };
    Ok(Ok(found.iter().take(limit).map(reference).collect()))
}

/// Finds an Application by its name; names the candidates where several have it.
async fn application(
    actions: &Actions,
    context: &Context,
    name: &str,
    scope: &args::Scope,
) -> Result<std::result::Result<ObjectRef, String>> {
    let resource = actions::application::applications();
    let (namespace, name) = match name.split_once('/') {
        Some((namespace, name)) => (Some(namespace), name),
        None => (scope.namespace.as_deref(), name),
    };
    let reference = |namespace: &str| ObjectRef {
        context: context.clone(),
        resource: resource.clone(),
        namespace: Some(Text::from(namespace)),
        name: Text::from(name),
    };
    if let Some(namespace) = namespace {
        return Ok(Ok(reference(namespace)));
    }
    let fields = format!("metadata.name={name}");
    let found = actions.remote.connection().documents(&resource, None, "", &fields).await?;
    let namespaces: Vec<&str> = found
        .iter()
        .filter(|found| found.pointer("/metadata/name").and_then(serde_json::Value::as_str) == Some(name))
        .filter_map(|found| found.pointer("/metadata/namespace")?.as_str())
        .collect();
    Ok(match namespaces.as_slice() {
        [one] => Ok(reference(one)),
        [] => {
            let all = actions.remote.connection().documents(&resource, None, "", "").await?;
            let names = all.iter().filter_map(|one| one.pointer("/metadata/name")?.as_str());
            Err(format!("there is no Application {name} in {context}{}", did_you_mean(name, names)))
        }
        several => {
            let names: Vec<String> = several.iter().map(|namespace| format!("{namespace}/{name}")).collect();
            Err(format!("{name} is ambiguous: {}", names.join(", ")))
        }
    })
}

/// Returns the id of the entry before the newest of an Application's history, as the console offers it.
async fn before_the_present(actions: &Actions, targets: &[Target]) -> Result<Option<i64>> {
    let [Target { object, .. }] = targets else { return Ok(None) };
    let fields = format!("metadata.name={}", object.name);
    let connection = actions.remote.connection();
    let found = connection.documents(&object.resource, object.namespace.as_deref(), "", &fields).await?;
    Ok(found.first().and_then(|found| App(found).before_the_present()))
}

/// Takes the answer from the flags, or asks whoever is there; the inner error says why there is none.
async fn answer(
    desk: &mut Desk<'_>,
    plan: &Plan,
    acting: &Acting,
) -> Result<std::result::Result<Answer, String>> {
    if !plan.can_run() {
        let stops: Vec<&str> = plan.stops().map(|line| line.text.as_str()).collect();
        return Ok(Err(stops.join("; ")));
    }
    let given = match (&plan.confirmation, acting.yes, &acting.confirm) {
        (_, _, Some(name)) => Some(Answer::Typed(name.clone())),
        (Confirmation::Yes, true, None) => Some(Answer::Yes),
        _ => None,
    };
    if let Some(answer) = given {
        return Ok(Ok(answer));
    }
    let must = match &plan.confirmation {
        Confirmation::Yes => "--yes".to_owned(),
        Confirmation::Type(name) => format!("--confirm {name}"),
    };
    if !desk.attended {
        return Ok(Err(format!("nobody is here to say yes: {must} says it")));
    }
    match &plan.confirmation {
        Confirmation::Yes => write!(desk.err, "Do it? Type y: ")?,
        Confirmation::Type(name) => write!(desk.err, "Type {name} to do it: ")?,
    }
    desk.err.flush()?;
    let typed = tokio::task::spawn_blocking(|| {
        let mut line = String::new();
        std::io::stdin().read_line(&mut line).map(|_| line)
    })
    .await??;
    Ok(match (&plan.confirmation, typed.trim()) {
        (_, "") => Err("nothing was typed".to_owned()),
        (Confirmation::Yes, "y" | "Y" | "yes") => Ok(Answer::Yes),
        (Confirmation::Yes, other) => Err(format!("{other} is not y")),
        (Confirmation::Type(_), name) => Ok(Answer::Typed(name.to_owned())),
    })
}

async fn carry_out(
    desk: &mut Desk<'_>,
    actions: &Actions,
    plan: Plan,
    answer: Answer,
    acting: &Acting,
) -> Result<Outcome> {
    let mut gate = Gate::new(actions.rules.clone());
    let confirmed = match actions::confirm(&mut gate, plan, answer, actions.clock.now()) {
        Ok(confirmed) => confirmed,
        Err(refusal) => return Ok(Outcome::Refused(refusal.to_string())),
    };
    let follow = if acting.wait { Follow::ToTheEnd } else { Follow::No };
    let (sender, mut progress) = mpsc::channel(WAITING);
    let stop = CancellationToken::new();
    let several = confirmed.plan().request.targets.len() > 1;
    let writes_on = confirmed.plan().request.verb.writes_on();
    let work = actions::carry_out(actions, confirmed, follow, &sender, &stop);
    tokio::pin!(work);
    let mut shown: Vec<Step> = Vec::new();
    let mut about: Option<ObjectRef> = None;
    let mut interrupts = 0;
    loop {
        tokio::select! {
            // Progress before the end, so that the last steps are printed.
            biased;
            Some(seen) = progress.recv() => {
                if acting.output == Format::Text {
                    if several && about.as_ref() != Some(&seen.object) {
                        desk.err.line(&seen.object.name)?;
                        shown.clear();
                        about = Some(seen.object.clone());
                    }
                    print_progress(desk, &mut shown, &seen)?;
                }
            }
            outcome = &mut work => return Ok(outcome),
            Ok(()) = tokio::signal::ctrl_c(), if interrupts == 0 => {
                interrupts += 1;
                // What was written stays written; only the following ends, and the record says so.
                desk.err.line(if writes_on {
                    "nothing more is begun; what was begun is not taken back"
                } else {
                    "following ends; what was started goes on"
                })?;
                stop.cancel();
            }
        }
    }
}

/// Prints the steps that changed since the last look.
fn print_progress(desk: &mut Desk<'_>, shown: &mut Vec<Step>, seen: &Progress) -> Result<()> {
    let seconds = seen.at.as_second() - seen.begun.as_second();
    for (at, step) in seen.steps.iter().enumerate() {
        if shown.get(at) == Some(step) || step.standing == Standing::Waiting {
            continue;
        }
        let mark = match step.standing {
            Standing::Waiting => " ",
            Standing::Running => "..",
            Standing::Done => "ok",
            Standing::Failed => "!!",
            Standing::Skipped => "--",
        };
        let gap = if step.detail.is_empty() { "" } else { ": " };
        desk.err.line(&format!("{seconds:>4} s  {mark:<2}  {}{gap}{}", step.name, step.detail))?;
    }
    shown.clone_from(&seen.steps);
    Ok(())
}

fn print_plan(desk: &mut Desk<'_>, plan: &Plan) -> Result<()> {
    writeln!(desk.err, "{}", plan.title)?;
    for line in plan.lines.iter().filter(|line| line.mark != Mark::Pending) {
        writeln!(desk.err, "  {:<7} {}", line.mark.word(), line.text)?;
    }
    if !plan.command.is_empty() {
        writeln!(desk.err, "  same as {}", plan.command)?;
    }
    desk.err.flush()?;
    Ok(())
}

fn print_outcome(desk: &mut Desk<'_>, plan: &Plan, outcome: &Outcome, format: Format) -> Result<()> {
    match format {
        Format::Json => desk.out.json(&json!({
            "plan": plan,
            "outcome": outcome.word(),
            "detail": outcome.detail(),
        }))?,
        Format::Text => desk.out.line(&format!("{}: {}", outcome.word(), outcome.detail()))?,
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_resource_of_a_sync_is_written_as_argocd_takes_it() {
        let one = sync_resource("apps:Deployment:shop/api").unwrap();
        assert_eq!(
            (&*one.group, &*one.kind, &*one.namespace, &*one.name),
            ("apps", "Deployment", "shop", "api")
        );
        let core = sync_resource(":Service:api").unwrap();
        assert_eq!((&*core.group, &*core.kind, &*core.name), ("", "Service", "api"));
        assert!(sync_resource("Deployment").is_err() && sync_resource("::").is_err());
    }
}
