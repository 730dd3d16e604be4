//! The Kubernetes source against the embedded platform, and against a real kube-apiserver where there is one.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use opsdeck::clock::Clock;
use opsdeck::demo::platform::{Options, Platform, Running};
use opsdeck::demo::world;
use opsdeck::gate::Access;
use opsdeck::identity::{Context, ObjectRef, Resource, Text};
use opsdeck::kinds::{Cell, Kinds};
use opsdeck::sources::logs::{LogNews, LogRequest, LogsFrom};
use opsdeck::sources::{ConnectError, Connection, Contexts, Places, Setup, SourceError};
use opsdeck::store::{Query, Stage};
use tokio::sync::mpsc;

use crate::bare_console::Console;
use crate::fault_server::brisk;

async fn platform() -> Running {
    opsdeck::install_crypto_provider();
    let world = world::Options { tenants: 2, pods_per_tenant: 6, nodes: 3, ..world::Options::default() };
    Platform::start(Options { world, ..Options::default() }).await.unwrap()
}

fn contexts(platform: &Running) -> Contexts {
    let places = Places { flag: Some(platform.kubeconfig.clone()), ..Places::default() };
    Contexts::load(&places).unwrap()
}

/// Connects as the user of a context, or of the current one.
async fn connect(platform: &Running, context: Option<&str>) -> Connection {
    let contexts = contexts(platform);
    let entry = contexts.choose(context).unwrap();
    // The waits of a busy machine, but nothing that would take minutes.
    let waits = opsdeck::sources::Waits { answer: Duration::from_secs(10), ..brisk() };
    let setup = Setup { clock: Clock::system(), namespaces: Vec::new(), waits };
    Connection::open(contexts, entry, setup).await.unwrap()
}

fn restricted(platform: &Running) -> String {
    let contexts = contexts(platform);
    let current = contexts.choose(None).unwrap().context;
    let other = contexts.entries().into_iter().find(|entry| entry.context != current).unwrap();
    other.context.to_string()
}

fn pods() -> Resource {
    Resource::new("", "pods")
}

/// A plain client beside the console, for what somebody else does.
async fn other(platform: &Running) -> kube::Client {
    let kubeconfig = kube::config::Kubeconfig::read_from(&platform.kubeconfig).unwrap();
    let config =
        kube::Config::from_custom_kubeconfig(kubeconfig, &kube::config::KubeConfigOptions::default())
            .await
            .unwrap();
    kube::Client::try_from(config).unwrap()
}

async fn ask(client: &kube::Client, method: &str, path: &str, body: &str) -> serde_json::Value {
    let content = if method == "PATCH" { "application/merge-patch+json" } else { "application/json" };
    let request = http::Request::builder()
        .method(method)
        .uri(path)
        .header("content-type", content)
        .body(body.as_bytes().to_vec())
        .unwrap();
    client.request(request).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_kind_is_listed_watched_and_the_same_as_for_another_client() {
    let platform = platform().await;
    let connection = connect(&platform, None).await;
    let client = other(&platform).await;
    let kinds = Kinds::new();
    let served = connection.served().await.unwrap();
    let mut seen = 0;
    for kind in kinds.iter() {
        let Some(served) = served.get(&kind.resource) else { continue };
        assert_eq!(served.namespaced, kind.namespaced, "{kind:?}");
        assert_eq!(*served.kind, *kind.name);
        let mut console = Console::follow(&connection, Query::all(connection.context(), &kind.resource));
        console.until("a whole list", |console| console.feed().stage == Stage::Live).await;
        assert_eq!(console.feed().garbled, 0, "{kind:?}: {:?}", console.feed().samples);
        let path = if kind.resource.group.is_empty() {
            format!("/api/{}/{}", kind.version, kind.resource.plural)
        } else {
            format!("/apis/{}/{}/{}", kind.resource.group, kind.version, kind.resource.plural)
        };
        // The world moves: what both have seen must agree for most of it.
        let list = ask(&client, "GET", &path, "").await;
        let theirs: BTreeSet<&str> = list["items"]
            .as_array()
            .unwrap()
            .iter()
            .filter_map(|item| item["metadata"]["uid"].as_str())
            .collect();
        let ours: BTreeSet<&str> = console.shelf().iter().map(|(_, object)| &*object.meta.uid).collect();
        let apart = theirs.symmetric_difference(&ours).count();
        assert!(apart <= 3, "{kind:?}: {apart} of {} differ", theirs.len());
        seen += usize::from(!ours.is_empty());
    }
    assert!(seen >= 15, "only {seen} kinds have objects");
    assert_eq!(connection.traffic().failed, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_somebody_else_does_is_seen() {
    let platform = platform().await;
    let connection = connect(&platform, None).await;
    let client = other(&platform).await;
    let configmaps = Resource::new("", "configmaps");
    let learned =
        connection.learn(connection.served().await.unwrap().get(&configmaps).unwrap()).await.unwrap();
    let kinds = Arc::new(Kinds::new().with(learned));
    let query = Query::within(connection.context(), &configmaps, "default");
    let mut console = Console::follow_with(&connection, kinds, query);
    console.until("a whole list", |console| console.feed().stage == Stage::Live).await;
    let path = "/api/v1/namespaces/default/configmaps";
    let has = |console: &Console| console.shelf().get(Some("default"), "noted").is_some();

    let body = r#"{"metadata":{"name":"noted"},"data":{"a":"1"}}"#;
    ask(&client, "POST", path, body).await;
    console.until("the new one", has).await;
    let before = console.shelf().get(Some("default"), "noted").unwrap().meta.resource_version.clone();
    ask(&client, "PATCH", &format!("{path}/noted"), r#"{"data":{"a":"2"}}"#).await;
    console
        .until("its new version", |console| {
            let noted = console.shelf().get(Some("default"), "noted");
            noted.is_some_and(|noted| noted.meta.resource_version != before)
        })
        .await;
    ask(&client, "DELETE", &format!("{path}/noted"), "").await;
    console.until("it gone", |console| !has(console)).await;
    assert_eq!(connection.traffic().lists, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn selectors_are_evaluated_by_the_server() {
    let platform = platform().await;
    let connection = connect(&platform, None).await;
    let mut all = Console::follow(&connection, Query::all(connection.context(), &pods()));
    all.until("a whole list", |console| console.feed().stage == Stage::Live).await;
    let one = all.shelf().iter().find(|(_, pod)| !pod.meta.labels.is_empty()).unwrap().1.clone();
    let (key, value) = one.meta.labels[0].clone();
    let query = Query {
        labels: Text::from(format!("{key}={value}")),
        fields: Text::from(format!("metadata.name={}", one.meta.name)),
        ..Query::all(connection.context(), &pods())
    };
    let mut narrow = Console::follow(&connection, query);
    narrow.until("a whole list", |console| console.feed().stage == Stage::Live).await;
    assert_eq!(narrow.names(), [one.meta.name.to_string()]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_user_of_two_tenants_sees_those_and_is_told_what_is_hidden() {
    let platform = platform().await;
    let connection = connect(&platform, Some(&restricted(&platform))).await;
    let user = connection.who().await.unwrap();
    assert_eq!(user.username, "demo-tenant-operator");
    assert!(user.groups.iter().any(|group| group == "system:authenticated"));
    let mut console = Console::follow(&connection, Query::all(connection.context(), &pods()));
    console.until("the parts", |console| console.feed().stage == Stage::Live).await;
    let feed = console.feed();
    assert!(!feed.parts.is_empty() && !feed.hidden.is_empty(), "{feed:?}");
    assert!(!console.names().is_empty());
    let seen: BTreeSet<&Text> = console.shelf().namespaces().collect();
    assert!(seen.iter().all(|namespace| feed.parts.contains(namespace)), "{seen:?}");

    let mut nodes =
        Console::follow(&connection, Query::all(connection.context(), &Resource::new("", "nodes")));
    nodes.until("a refusal", |console| console.feed().error().is_some()).await;
    assert!(matches!(nodes.feed().error(), Some(SourceError::Denied { .. })), "{:?}", nodes.feed());

    let object = |namespace: &str| ObjectRef {
        context: connection.context().clone(),
        resource: pods(),
        namespace: Some(Text::from(namespace)),
        name: Text::from("any"),
    };
    let part = feed.parts[0].clone();
    assert!(connection.can(&Access::to("get", &object(&part))).await.unwrap().allowed);
    assert!(!connection.can(&Access::to("delete", &object("kube-system"))).await.unwrap().allowed);
    let rules = connection.rules(&part).await.unwrap();
    assert!(rules.allow("list", "", "pods") && !rules.incomplete);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn any_other_type_is_listed_as_the_server_describes_it() {
    let platform = platform().await;
    let connection = connect(&platform, None).await;
    let served = connection.served().await.unwrap();
    let known = Kinds::new();
    let strange = served
        .types()
        .iter()
        .find(|one| one.can("list") && one.can("watch") && known.get(&one.resource).is_none())
        .expect("a type that the console does not know");
    let kind = connection.learn(strange).await.unwrap();
    let resource = kind.resource.clone();
    let kinds = Arc::new(known.with(kind));
    let mut console = Console::follow_with(&connection, kinds, Query::all(connection.context(), &resource));
    console.until("a whole list", |console| console.feed().stage == Stage::Live).await;
    assert_eq!(console.feed().garbled, 0, "{resource}: {:?}", console.feed().samples);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_command_line_lists_any_type_that_the_server_has() {
    let platform = platform().await;
    let state = tempfile::tempdir().unwrap();
    let get = async |kind: &str| {
        let output = crate::program::opsdeck()
            .args(["get", kind, "-A", "-o", "json"])
            .env("KUBECONFIG", &platform.kubeconfig)
            .env("OPSDECK_STATE_DIR", state.path())
            .kill_on_drop(true)
            .output();
        let output = tokio::time::timeout(Duration::from_mins(1), output).await.unwrap().unwrap();
        let out = String::from_utf8(output.stdout).unwrap();
        (output.status.code(), out, String::from_utf8(output.stderr).unwrap())
    };
    // By its short name, which only the server knows.
    let (code, out, err) = get("cm").await;
    assert_eq!(code, Some(0), "{err}");
    assert!(out.contains("kube-root-ca.crt"), "{out}");
    let (code, _, err) = get("configmapz").await;
    assert_eq!(code, Some(2), "{err}");
    assert!(err.contains("configmaps"), "{err}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pods_as_the_server_describes_them_have_typed_cells() {
    let platform = platform().await;
    let connection = connect(&platform, None).await;
    let served = connection.served().await.unwrap();
    let kind = connection.learn(served.get(&pods()).unwrap()).await.unwrap();
    let column = kind.column("status").unwrap();
    let kinds = Arc::new(Kinds::default());
    let query = Query::all(connection.context(), &pods());
    let mut console = Console::follow(&connection, query);
    console.until("a whole list", |console| console.feed().stage == Stage::Live).await;
    // The rows of the Table are decoded by the learned kind itself.
    let path = "/api/v1/pods?limit=5";
    let request =
        http::Request::get(path).header("accept", opsdeck::kinds::table::ACCEPT).body(Vec::new()).unwrap();
    let table = other(&platform).await.request_text(request).await.unwrap();
    let page = kind.decode_page(table.as_bytes(), &mut opsdeck::kinds::Pool::default()).unwrap();
    assert!(!page.objects.is_empty() && page.garbled.is_empty(), "{:?}", page.garbled);
    let tenants = opsdeck::kinds::Tenancy::default();
    let lens = opsdeck::kinds::Lens {
        now: Clock::system().now(),
        context: connection.context(),
        store: &console.store,
        kinds: &kinds,
        tenants: &tenants,
    };
    for object in &page.objects {
        assert!(matches!(kind.cell(object, column, &lens), Cell::Status { .. }));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whole_objects_events_and_versions_are_read() {
    let platform = platform().await;
    let connection = connect(&platform, None).await;
    assert!(connection.version().await.unwrap().starts_with("v1."));
    let list = connection.documents(&pods(), None, "", "").await.unwrap();
    let pod = &list[0];
    assert_eq!((pod["kind"].as_str(), pod["apiVersion"].as_str()), (Some("Pod"), Some("v1")));
    let text = |path: &str| Text::from(pod.pointer(path).unwrap().as_str().unwrap());
    let object = ObjectRef {
        context: connection.context().clone(),
        resource: pods(),
        namespace: Some(text("/metadata/namespace")),
        name: text("/metadata/name"),
    };
    let document = connection.document(&object).await.unwrap();
    assert_eq!(document["metadata"]["uid"], pod["metadata"]["uid"]);
    connection.events_about(&object, &text("/metadata/uid")).await.unwrap();
    let gone = ObjectRef { name: "nobody".into(), ..object.clone() };
    assert!(matches!(connection.document(&gone).await, Err(SourceError::Missing { .. })));
    let unknown = ObjectRef { resource: Resource::new("example.com", "widgets"), ..object };
    let error = connection.document(&unknown).await.unwrap_err();
    assert!(error.to_string().contains("CRD is not installed"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_logs_of_a_workload_are_merged_and_followed() {
    let platform = platform().await;
    let connection = connect(&platform, None).await;
    let deployments = Resource::new("apps", "deployments");
    let list = connection.documents(&deployments, None, "", "").await.unwrap();
    let largest = list.iter().max_by_key(|one| one["status"]["readyReplicas"].as_i64()).unwrap();
    let object = ObjectRef {
        context: connection.context().clone(),
        resource: deployments,
        namespace: largest["metadata"]["namespace"].as_str().map(Text::from),
        name: largest["metadata"]["name"].as_str().unwrap().into(),
    };
    let request = LogRequest {
        object,
        container: None,
        previous: false,
        follow: true,
        from: LogsFrom::Beginning,
        tail: Some(20),
    };
    let (sender, mut news) = mpsc::channel(16);
    let reading = {
        let (connection, request) = (connection.clone(), request.clone());
        tokio::spawn(async move { connection.logs(Arc::new(Kinds::new()), request, sender).await })
    };
    let wanted = largest["status"]["readyReplicas"].as_u64().unwrap() as usize;
    let mut pods = BTreeSet::new();
    let heard = tokio::time::timeout(Duration::from_secs(20), async {
        while pods.len() < wanted {
            match news.recv().await.unwrap() {
                LogNews::Lines { lines, .. } => {
                    assert!(lines.iter().all(|line| line.at.is_some()));
                    pods.extend(lines.into_iter().map(|line| line.pod));
                }
                LogNews::Failed { stream, error } => panic!("{stream}: {error}"),
                LogNews::Started { .. } => {}
            }
        }
    });
    heard.await.unwrap_or_else(|_| panic!("heard {} of {wanted} pods", pods.len()));
    reading.abort();

    // Without following it ends by itself.
    let (sender, mut news) = mpsc::channel(16);
    let request = LogRequest { follow: false, tail: Some(3), ..request };
    let reading = connection.logs(Arc::new(Kinds::new()), request, sender);
    let taking = async {
        let mut lines = 0;
        while let Some(heard) = news.recv().await {
            if let LogNews::Lines { lines: more, .. } = heard {
                lines += more.len();
            }
        }
        lines
    };
    let both = async { tokio::join!(reading, taking) };
    let (result, lines) = tokio::time::timeout(Duration::from_secs(20), both).await.unwrap();
    result.unwrap();
    assert!(lines >= 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_platform_that_ends_is_lost_and_the_rows_stay() {
    let platform = platform().await;
    let connection = connect(&platform, None).await;
    let mut console = Console::follow(&connection, Query::all(connection.context(), &pods()));
    console.until("a whole list", |console| console.feed().stage == Stage::Live).await;
    let rows = console.shelf().len();
    drop(platform);
    console.until("a failure", |console| console.feed().error().is_some()).await;
    assert!(matches!(console.feed().error(), Some(SourceError::Unreachable { .. })), "{:?}", console.feed());
    assert_eq!(console.shelf().len(), rows);
}

#[test]
fn a_kubeconfig_that_is_not_there_is_looked_for_aloud() {
    let directory = tempfile::tempdir().unwrap();
    let missing = directory.path().join("nothing");
    let places = Places { variable: Some(missing.clone().into()), ..Places::default() };
    let error = Contexts::load(&places).unwrap_err();
    assert!(matches!(error, ConnectError::NoKubeconfig { .. }));
    let sentence = error.to_string();
    assert!(
        sentence.contains(&missing.display().to_string()) && sentence.contains("opsdeck demo"),
        "{sentence}"
    );
}

#[test]
fn kubeconfigs_are_merged_as_kubectl_does_and_a_typo_finds_its_context() {
    let directory = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = directory.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let context = |name: &str, cluster: &str| {
        format!("contexts: [{{name: {name}, context: {{cluster: {cluster}, user: u, namespace: ''}}}}]\n")
    };
    let first = file("first", &format!("current-context: staging-eu\n{}", context("staging-eu", "one")));
    let second = file(
        "second",
        &format!("current-context: prod-eu\n{}", context("prod-eu", "two") + &context_again("staging-eu")),
    );
    let list = std::env::join_paths([first, directory.path().join("missing"), second]).unwrap();
    let contexts = Contexts::load(&Places { variable: Some(list), ..Places::default() }).unwrap();
    let chosen = contexts.choose(None).unwrap();
    assert_eq!((chosen.context, chosen.cluster.as_str()), (Context::new("staging-eu"), "one"));
    assert_eq!(chosen.namespace, None);
    let error = contexts.choose(Some("prod-ue")).unwrap_err();
    assert!(error.to_string().contains("did you mean prod-eu?"), "{error}");
    let broken = file("broken", "contexts: {not a list");
    let error = Contexts::load(&Places { flag: Some(broken), ..Places::default() }).unwrap_err();
    assert!(matches!(error, ConnectError::Unreadable { .. }), "{error:?}");
}

fn context_again(_name: &str) -> String {
    // A second document of the same name: the first file that names it wins.
    "---\ncontexts: [{name: staging-eu, context: {cluster: other, user: u}}]\n".to_owned()
}

/// Starts a platform that writes its kubeconfig to a file.
async fn platform_at(kubeconfig: &std::path::Path, tenants: usize) -> Running {
    opsdeck::install_crypto_provider();
    let world = world::Options { tenants, pods_per_tenant: 6, nodes: 3, ..world::Options::default() };
    let options = Options { world, kubeconfig: Some(kubeconfig.to_owned()), ..Options::default() };
    Platform::start(options).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_comes_back_as_another_is_found_by_the_same_kubeconfig() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("config");
    let first = platform_at(&path, 3).await;
    let connection = connect(&first, None).await;
    let namespaces = Query::all(connection.context(), &Resource::new("", "namespaces"));
    let mut console = Console::follow(&connection, namespaces);
    console.until_live().await;
    assert!(console.names().contains(&"tenant-3".to_owned()), "{:?}", console.names());

    // As when it is killed: the file stays.
    let left = std::fs::read(&path).unwrap();
    let (url, server) = (first.url.clone(), connection.place());
    assert_eq!(*server, *url);
    drop(first);
    std::fs::write(&path, left).unwrap();
    console.until("a failure", |console| console.feed().error().is_some()).await;

    // Another port, another authority, other tokens, and a world with one tenant less.
    let second = platform_at(&path, 2).await;
    assert_ne!(second.url, url);
    console.until_live().await;
    assert_eq!(*connection.place(), *second.url);
    let names = console.names();
    assert!(names.contains(&"tenant-2".to_owned()), "{names:?}");
    assert!(!names.contains(&"tenant-3".to_owned()), "what only the last server had is gone: {names:?}");
}
