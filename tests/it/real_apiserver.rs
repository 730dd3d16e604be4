//! A real kube-apiserver with its etcd, where `KUBEBUILDER_ASSETS` names a folder with both, as envtest does.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use opsdeck::clock::Clock;
use opsdeck::identity::Resource;
use opsdeck::kinds::Kinds;
use opsdeck::sources::{Connection, Contexts, Places, Setup};
use opsdeck::store::{Query, Stage};
use tokio::process::{Child, Command};

use crate::bare_console::Console;

/// How long both programs may take to come up.
const PATIENCE: Duration = Duration::from_secs(90);

struct RealServer {
    _programs: [Child; 2],
    directory: tempfile::TempDir,
    port: u16,
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn start(program: &Path, arguments: &[String], log: &Path) -> Child {
    let log = std::fs::File::create(log).unwrap();
    Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::from(log))
        .kill_on_drop(true)
        .spawn()
        .unwrap()
}

impl RealServer {
    fn start(assets: &Path) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name).display().to_string();
        let (client, peer, port) = (free_port(), free_port(), free_port());
        let etcd_url = format!("http://127.0.0.1:{client}");
        let etcd = start(
            &assets.join("etcd"),
            &[
                format!("--data-dir={}", at("etcd")),
                format!("--listen-client-urls={etcd_url}"),
                format!("--advertise-client-urls={etcd_url}"),
                format!("--listen-peer-urls=http://127.0.0.1:{peer}"),
                "--unsafe-no-fsync".into(),
            ],
            &directory.path().join("etcd.log"),
        );
        std::fs::write(at("tokens.csv"), "secret,admin,admin,\"system:masters\"\n").unwrap();
        let key = rcgen::KeyPair::generate().unwrap();
        std::fs::write(at("key.pem"), key.serialize_pem()).unwrap();
        // Of a private key in this form the server does not find the public one.
        std::fs::write(at("key.pub"), key.public_key_pem()).unwrap();
        let server = start(
            &assets.join("kube-apiserver"),
            &[
                format!("--etcd-servers={etcd_url}"),
                format!("--cert-dir={}", at("certificates")),
                format!("--secure-port={port}"),
                "--bind-address=127.0.0.1".into(),
                "--service-cluster-ip-range=10.0.0.0/24".into(),
                "--disable-admission-plugins=ServiceAccount".into(),
                "--authorization-mode=RBAC".into(),
                "--service-account-issuer=https://localhost".into(),
                format!("--service-account-key-file={}", at("key.pub")),
                format!("--service-account-signing-key-file={}", at("key.pem")),
                format!("--token-auth-file={}", at("tokens.csv")),
            ],
            &directory.path().join("kube-apiserver.log"),
        );
        Self { _programs: [etcd, server], directory, port }
    }

    fn kubeconfig(&self) -> PathBuf {
        let path = self.directory.path().join("kubeconfig");
        let text = format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: real\n\
             clusters: [{{name: real, cluster: {{server: 'https://127.0.0.1:{}', insecure-skip-tls-verify: true}}}}]\n\
             users: [{{name: real, user: {{token: secret}}}}]\n\
             contexts: [{{name: real, context: {{cluster: real, user: real}}}}]\n",
            self.port
        );
        std::fs::write(&path, text).unwrap();
        path
    }

    /// Connects once the server is ready; fails with the end of its log.
    async fn connect(&self) -> Connection {
        opsdeck::install_crypto_provider();
        let contexts =
            Contexts::load(&Places { flag: Some(self.kubeconfig()), ..Places::default() }).unwrap();
        let entry = contexts.choose(None).unwrap();
        let setup = Setup::new(Clock::system(), Vec::new());
        let connection = Connection::open(contexts, entry, setup).await.unwrap();
        let ready = async {
            let mut look = tokio::time::interval(Duration::from_millis(250));
            // The types of the built-in groups come last.
            while connection.discover_again().await.is_err() || connection.who().await.is_err() {
                look.tick().await;
            }
        };
        if tokio::time::timeout(PATIENCE, ready).await.is_err() {
            let log = std::fs::read_to_string(self.directory.path().join("kube-apiserver.log")).unwrap();
            let end: Vec<&str> = log.lines().rev().take(20).collect();
            panic!("kube-apiserver did not come up: {end:#?}");
        }
        connection
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_real_apiserver_is_listed_watched_and_described() {
    let Some(assets) = std::env::var_os("KUBEBUILDER_ASSETS").map(PathBuf::from) else {
        println!("SKIPPED: KUBEBUILDER_ASSETS names no kube-apiserver");
        return;
    };
    let server = RealServer::start(&assets);
    let connection = server.connect().await;
    assert_eq!(connection.who().await.unwrap().username, "admin");
    let served = connection.served().await.unwrap();
    assert!(served.named("deploy").is_some() && served.named("po").is_some());

    let namespaces = Resource::new("", "namespaces");
    let mut list = Console::follow(&connection, Query::all(connection.context(), &namespaces));
    list.until("the namespaces", |console| console.names().iter().any(|name| name == "default")).await;
    assert_eq!(list.feed().garbled, 0);

    let configmaps = Resource::new("", "configmaps");
    let learned = connection.learn(served.get(&configmaps).unwrap()).await.unwrap();
    assert!(learned.column("data").is_some());
    let kinds = Arc::new(Kinds::new().with(learned));
    let query = Query::within(connection.context(), &configmaps, "default");
    let mut console = Console::follow_with(&connection, kinds, query);
    console.until("a whole list", |console| console.feed().stage == Stage::Live).await;

    let kubeconfig = kube::config::Kubeconfig::read_from(server.kubeconfig()).unwrap();
    let config =
        kube::Config::from_custom_kubeconfig(kubeconfig, &kube::config::KubeConfigOptions::default())
            .await
            .unwrap();
    let client = kube::Client::try_from(config).unwrap();
    let ask = async |method: &str, path: &str, content: &str, body: &str| -> serde_json::Value {
        let request = http::Request::builder().method(method).uri(path).header("content-type", content);
        client.request(request.body(body.as_bytes().to_vec()).unwrap()).await.unwrap()
    };
    let path = "/api/v1/namespaces/default/configmaps";
    ask("POST", path, "application/json", r#"{"metadata":{"name":"noted"},"data":{"a":"1"}}"#).await;
    console.until("the new one", |console| console.names().iter().any(|name| name == "noted")).await;
    let noted = format!("{path}/noted");
    let patched =
        ask("PATCH", &noted, "application/merge-patch+json", r#"{"metadata":{"labels":{"seen":"yes"}}}"#)
            .await;
    let version = patched["metadata"]["resourceVersion"].as_str().unwrap().to_owned();
    console
        .until("its new version", move |console| {
            let noted = console.shelf().get(Some("default"), "noted");
            noted.is_some_and(|noted| *noted.meta.resource_version == *version)
        })
        .await;
    ask("DELETE", &noted, "application/json", "").await;
    console.until("it gone", |console| !console.names().iter().any(|name| name == "noted")).await;
}
