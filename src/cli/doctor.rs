//! `opsdeck doctor`: what was found, reached and permitted, in the order in which it can go wrong.

use std::io::Write as _;

use color_eyre::eyre::Result;
use futures::StreamExt as _;
use serde::Serialize;

use super::gather::systems;
use super::report::{Head, table};
use super::{Desk, Exit};
use crate::args::{Doctor as Args, Format};
use crate::audit::Audit;
use crate::gate::Access;
use crate::identity::{Resource, Text};
use crate::signals::{Found, System};
use crate::sources::SourceError;
use crate::sources::kubeconfig::{Contexts, Places};
use crate::sources::kubernetes::{Connection, Setup};

/// How many reviews are asked at once: a handful of questions should not look like a flood.
const AT_ONCE: usize = 4;

/// How a finding stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
enum Standing {
    /// In order.
    Ok,
    /// Costs its panel or its verb only.
    Missing,
    /// The console cannot work.
    Broken,
}

/// One thing that was looked at.
#[derive(Debug, Serialize)]
struct Finding {
    what: String,
    standing: Standing,
    detail: String,
}

/// What the console lists and what it does, with what is lost where it is not permitted.
const RIGHTS: &[(&str, &str, &str, &str, &str)] = &[
    ("list", "", "namespaces", "", "tenants are known by the namespaces you name only"),
    ("list", "", "pods", "", "pods are listed in the namespaces that you may read"),
    ("list", "", "nodes", "", "no nodes"),
    ("list", "", "events", "", "events of the namespaces that you may read"),
    ("list", "apps", "deployments", "", "deployments of the namespaces that you may read"),
    ("list", "argoproj.io", "applications", "", "no Argo CD"),
    ("list", "karpenter.sh", "nodeclaims", "", "no Karpenter"),
    ("get", "", "pods", "log", "no logs"),
    ("patch", "argoproj.io", "applications", "", "no refresh, sync, rollback, terminate or auto-sync"),
    ("patch", "apps", "deployments", "", "no restart"),
    ("delete", "", "pods", "", "no deletion of pods"),
    ("patch", "", "nodes", "", "no cordon"),
];

/// Looks at everything and prints it; a broken connection fails the command, a missing right does not.
pub async fn run(desk: &mut Desk<'_>, args: &Args) -> Result<Exit> {
    let scope = args.scope.clone().or(&desk.scope);
    let mut findings = vec![audit(desk).await];
    match Contexts::load(&Places::from_environment(scope.kubeconfig.clone())) {
        Ok(contexts) => match contexts.choose(scope.context.as_deref()) {
            Ok(entry) => {
                let standing = desk.config.standing(entry.context.as_str());
                let may = match &standing.readonly {
                    Some(origin) => format!("read-only by {origin}"),
                    None => "changes are allowed".to_owned(),
                };
                let typed = if standing.protected { ", a name must be typed" } else { "" };
                findings.push(Finding {
                    what: "context".into(),
                    standing: Standing::Ok,
                    detail: format!("{} ({}), {may}{typed}", entry.context, standing.environment.word()),
                });
                let namespaces = standing.namespaces.iter().map(|name| Text::from(name.as_str())).collect();
                match Connection::open(contexts, entry, Setup::new(desk.clock.clone(), namespaces)).await {
                    Ok(connection) => {
                        cluster(&connection, scope.namespace.as_deref(), &mut findings).await;
                        let looked = systems(desk, &connection).look().await;
                        let now = desk.clock.now();
                        findings.extend(looked.into_iter().map(|found| system(found, now)));
                    }
                    Err(error) => findings.push(broken("credential", &error.to_string())),
                }
            }
            Err(error) => findings.push(broken("context", &error.to_string())),
        },
        Err(error) => findings.push(broken("kubeconfig", &error.to_string())),
    }
    print(desk, &findings, args.output)?;
    let worst = findings.iter().map(|finding| finding.standing).max();
    Ok(if worst == Some(Standing::Broken) { Exit::Failed } else { Exit::Done })
}

/// A system beside the cluster: how it is reached and which version it is, or why it is not.
fn system(found: Found, now: jiff::Timestamp) -> Finding {
    let what = if found.scraped { "scraped metrics".to_owned() } else { found.system.to_string() };
    // What it cost and when it answered last stand behind either.
    let heard = found.heard.map(|at| format!("last answer {} ago", crate::human::age(now, at)));
    let more: Vec<String> = found.note.iter().map(ToString::to_string).chain(heard).collect();
    let more = if more.is_empty() { String::new() } else { format!("; {}", more.join("; ")) };
    match found.error {
        None => Finding {
            what,
            standing: Standing::Ok,
            detail: match found.version {
                Some(version) => format!("{version}, {}{more}", found.way),
                None => format!("{}{more}", found.way),
            },
        },
        Some(error) => {
            let way = if found.system == System::CloudWatch && !found.way.is_empty() {
                format!(" ({})", found.way)
            } else {
                String::new()
            };
            Finding { what, standing: Standing::Missing, detail: format!("{error}{way}{more}") }
        }
    }
}

fn broken(what: &str, detail: &str) -> Finding {
    Finding { what: what.to_owned(), standing: Standing::Broken, detail: detail.to_owned() }
}

async fn audit(desk: &Desk<'_>) -> Finding {
    let audit = Audit::at(desk.paths.audit_file());
    match audit.writable().await {
        Ok(()) => Finding {
            what: "audit".into(),
            standing: Standing::Ok,
            detail: format!("{} can be written", audit.path().display()),
        },
        Err(error) => broken("audit", &error.to_string()),
    }
}

/// Asks the cluster who one is, what there is and what one may.
async fn cluster(connection: &Connection, namespace: Option<&str>, findings: &mut Vec<Finding>) {
    match connection.version().await {
        Ok(version) => findings.push(Finding {
            what: "kubernetes".into(),
            standing: Standing::Ok,
            detail: format!("{version} at {}", connection.place()),
        }),
        Err(error) => {
            findings.push(broken("kubernetes", &error.to_string()));
            return;
        }
    }
    findings.push(match connection.who().await {
        Ok(user) => Finding {
            what: "you are".into(),
            standing: Standing::Ok,
            detail: format!("{} ({})", user.username, user.groups.join(", ")),
        },
        Err(error) => missing("you are", &error),
    });
    match connection.served().await {
        Ok(served) => {
            for (what, group, plural) in [
                ("argo cd", "argoproj.io", "applications"),
                ("karpenter", "karpenter.sh", "nodeclaims"),
                ("metrics", "metrics.k8s.io", "pods"),
                ("external secrets", "external-secrets.io", "externalsecrets"),
                ("cert-manager", "cert-manager.io", "certificates"),
            ] {
                findings.push(match served.get(&Resource::new(group, plural)) {
                    Some(served) => Finding {
                        what: what.into(),
                        standing: Standing::Ok,
                        detail: format!("{group}/{}", served.version),
                    },
                    None => Finding {
                        what: what.into(),
                        standing: Standing::Missing,
                        detail: format!("{group} is not served: not installed"),
                    },
                });
            }
            for group in &served.silent {
                findings.push(Finding {
                    what: "api group".into(),
                    standing: Standing::Missing,
                    detail: format!("{group} is registered and does not answer"),
                });
            }
        }
        Err(error) => findings.push(missing("types", &error)),
    }
    let own = connection.entry().namespace.as_deref();
    let asked = RIGHTS.iter().map(|(verb, group, plural, subresource, _)| Access {
        verb: (*verb).to_owned(),
        resource: Resource::new(group, plural),
        subresource: (*subresource).to_owned(),
        namespace: namespace.map(Text::from),
        name: Text::from(""),
    });
    let answers = futures::stream::iter(asked.map(|access| async move {
        let answer = connection.can(&access).await;
        // Who may not everywhere may often do it at home.
        let denied = matches!(&answer, Ok(verdict) if !verdict.allowed);
        let placed = !matches!(&*access.resource.plural, "namespaces" | "nodes" | "nodeclaims");
        let home = own.filter(|_| namespace.is_none() && denied && placed);
        if let Some(home) = home {
            let there = Access { namespace: Some(Text::from(home)), ..access.clone() };
            if connection.can(&there).await.is_ok_and(|verdict| verdict.allowed) {
                return (access, answer, Some(home));
            }
        }
        (access, answer, None)
    }));
    // `buffered` keeps the order of the questions.
    let answers: Vec<_> = answers.buffered(AT_ONCE).collect().await;
    for ((access, answer, home), (.., lost)) in answers.into_iter().zip(RIGHTS) {
        let what = format!("may {access}");
        findings.push(match (answer, home) {
            (Ok(verdict), _) if verdict.allowed => {
                Finding { what, standing: Standing::Ok, detail: "yes".into() }
            }
            (Ok(_), Some(home)) => Finding {
                what,
                standing: Standing::Ok,
                detail: format!("yes in {home}, the namespace of the context; not in all"),
            },
            (Ok(verdict), None) => {
                let gap = if verdict.reason.is_empty() { "" } else { ": " };
                let detail = format!("no{gap}{}; {lost}", verdict.reason);
                Finding { what, standing: Standing::Missing, detail }
            }
            (Err(error), _) => missing(&what, &error),
        });
    }
}

fn missing(what: &str, error: &SourceError) -> Finding {
    Finding { what: what.to_owned(), standing: Standing::Missing, detail: error.to_string() }
}

fn print(desk: &mut Desk<'_>, findings: &[Finding], format: Format) -> Result<()> {
    if format == Format::Json {
        desk.out.json(&findings)?;
        return Ok(());
    }
    let heads = [Head::left(""), Head::left("WHAT"), Head::left("DETAIL")];
    let mark = |standing| match standing {
        Standing::Ok => "ok",
        Standing::Missing => "--",
        Standing::Broken => "!!",
    };
    let rows: Vec<_> = findings
        .iter()
        .map(|finding| vec![mark(finding.standing).to_owned(), finding.what.clone(), finding.detail.clone()])
        .collect();
    desk.out.write_all(table(&heads, &rows).as_bytes())?;
    desk.out.flush()?;
    Ok(())
}
