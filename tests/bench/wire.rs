//! From the key that confirms a change to the first byte of the change on the wire.
//!
//! The console talks in the clear to a port of this program, which hands every byte on to the platform and notes when a
//! `PATCH` begins. Between the two lie the gate's look at the object, the record with its sync to disk, and the request
//! itself; what a sync costs on this disk is measured beside it.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use base64::Engine as _;
use rustls::RootCertStore;
use rustls::pki_types::{CertificateDer, ServerName, pem::PemObject as _};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsConnector;

use super::platform::Platform;
use super::terminal::Terminal;
use super::{PROGRAM, RUNS, line, median, milliseconds, verdict};

/// How long a byte is waited for.
const PATIENCE: Duration = Duration::from_secs(30);
/// What the way may take beside the sync of the record.
const BUDGET: Duration = Duration::from_millis(50);
/// About the size of a record.
const RECORD: usize = 2_048;

/// Measures it by cordoning a node and uncordoning it again.
pub(super) fn key_to_wire() {
    let platform = Platform::start(&["--tenants", "3", "--nodes", "6", "--story", "quiet"]);
    let folder = tempfile::tempdir().expect("a folder");
    let (port, changes) = listen(&platform);
    let kubeconfig = folder.path().join("kubeconfig");
    let text = std::fs::read_to_string(platform.kubeconfig()).expect("the kubeconfig");
    std::fs::write(&kubeconfig, text.replace(&platform.url, &format!("http://127.0.0.1:{port}")))
        .expect("a kubeconfig");
    let (kubeconfig, state) = (kubeconfig.display().to_string(), folder.path().display().to_string());
    let variables =
        [("KUBECONFIG", kubeconfig.as_str()), ("OPSDECK_STATE_DIR", &state), ("OPSDECK_CONFIG_DIR", &state)];
    let mut console = Terminal::start(PROGRAM, &["nodes"], &variables, (160, 48));
    console.wait("all nodes", |screen| screen.contains("k8s live") && screen.contains("▶"));
    let times: Vec<Duration> = (0..RUNS * 2)
        .map(|round| {
            let verb = if round % 2 == 0 { ("C", "cordon") } else { ("U", "uncordon") };
            change(&mut console, &changes, verb)
        })
        .collect();
    let (time, sync) = (median(times), sync(folder.path()));
    line(
        "confirming key to the first byte of the change",
        &milliseconds(time),
        &format!(
            "a record's sync {}; budget 50 ms beside it: {}",
            milliseconds(sync),
            verdict(time <= BUDGET + sync)
        ),
    );
}

/// Makes one change and returns how long its first byte took from the key.
fn change(console: &mut Terminal, changes: &Receiver<Instant>, (key, word): (&str, &str)) -> Duration {
    console.press(key);
    let asks = format!(" to {word}");
    console.wait("the plan, with every check answered", |screen| {
        screen.contains("Type ") && screen.contains(&asks) && !screen.contains("pending")
    });
    let screen = console.text();
    let name = screen.split("Type ").nth(1).and_then(|rest| rest.split(" to ").next()).expect("a name");
    let seen = screen.matches(name).count();
    console.press(name);
    console.wait("the name is typed", |screen| screen.matches(name).count() > seen);
    console.rest();
    while changes.try_recv().is_ok() {}
    let begun = Instant::now();
    console.press("\r");
    let first = changes.recv_timeout(PATIENCE).expect("the change is sent");
    console.wait("the verdict", |screen| screen.contains("Verified"));
    // Back to the nodes, where the same one is selected.
    console.press("\x1b");
    console.wait("the node as it is now", |screen| {
        screen.contains("CAPACITY") && screen.contains(",Cordoned") == (word == "cordon")
    });
    first.duration_since(begun)
}

/// Returns what a sync of a record to this disk takes.
fn sync(folder: &Path) -> Duration {
    let path = folder.join("sync");
    let mut file = OpenOptions::new().create(true).append(true).open(path).expect("a file");
    let times = (0..RUNS * 4).map(|_| {
        let begun = Instant::now();
        file.write_all(&[b'x'; RECORD]).and_then(|()| file.sync_all()).expect("a sync");
        begun.elapsed()
    });
    median(times.collect())
}

/// Listens in front of a platform; the channel says when each `PATCH` began.
fn listen(platform: &Platform) -> (u16, Receiver<Instant>) {
    let (sender, changes) = sync_channel(64);
    let (ready, port) = sync_channel(1);
    let upstream = platform.url.trim_start_matches("https://").to_owned();
    let connector = connector(platform);
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
            ready.send(listener.local_addr().expect("its address").port()).expect("who asked is there");
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(hand_on(stream, upstream.clone(), connector.clone(), sender.clone()));
            }
        });
    });
    (port.recv().expect("a port"), changes)
}

/// Trusts the certificate that stands in the platform's kubeconfig.
fn connector(platform: &Platform) -> TlsConnector {
    let text = std::fs::read_to_string(platform.kubeconfig()).expect("the kubeconfig");
    let words = text.split(['"', ':', ' ', ',', '\n']).filter(|word| !word.is_empty());
    let encoded =
        words.skip_while(|word| *word != "certificate-authority-data").nth(1).expect("a certificate");
    let pem = base64::engine::general_purpose::STANDARD.decode(encoded).expect("base64");
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(&pem).expect("PEM")).expect("a certificate");
    opsdeck::install_crypto_provider();
    let config = rustls::ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    TlsConnector::from(Arc::new(config))
}

/// Hands one connection on, both ways.
async fn hand_on(stream: TcpStream, upstream: String, connector: TlsConnector, changes: SyncSender<Instant>) {
    let _ = stream.set_nodelay(true);
    let name = ServerName::try_from("127.0.0.1").expect("a name");
    let Ok(there) = TcpStream::connect(upstream).await else { return };
    let _ = there.set_nodelay(true);
    let Ok(there) = connector.connect(name, there).await else { return };
    let (here_in, here_out) = stream.into_split();
    let (there_in, there_out) = tokio::io::split(there);
    tokio::join!(copy(here_in, there_out, Some(changes)), copy(there_in, here_out, None));
}

async fn copy(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    changes: Option<SyncSender<Instant>>,
) {
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(count) = from.read(&mut buffer).await {
        if count == 0 {
            break;
        }
        let bytes = buffer.get(..count).unwrap_or_default();
        // A request begins a packet of its own: the one before it was answered.
        if let Some(changes) = changes.as_ref().filter(|_| bytes.starts_with(b"PATCH ")) {
            let _ = changes.try_send(Instant::now());
        }
        if to.write_all(bytes).await.and(to.flush().await).is_err() {
            break;
        }
    }
    let _ = to.shutdown().await;
}
