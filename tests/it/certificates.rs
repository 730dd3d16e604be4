//! The story of a certificate that cannot be renewed: from the command line, and from keys to the verified end.

use std::sync::Arc;
use std::sync::atomic::AtomicU32;

use opsdeck::clock::Clock;
use opsdeck::demo::objects::Key;
use opsdeck::demo::platform::Handle;
use opsdeck::demo::types::Type;
use serde_json::{Value, json};
use tokio_util::task::AbortOnDropHandle;

use crate::still::{self, Still};

/// Starts the platform; its time passes as that of the program: what failed last must lie in its past.
async fn start() -> (Still, AbortOnDropHandle<()>) {
    let still = Still::start(still::world("certificate-expiring"), Clock::system().now()).await;
    let moves = still.moves(Arc::new(AtomicU32::new(1)));
    (still, moves)
}

/// Takes the private zone out of the issuer, as `kubectl edit` would.
async fn mend(handle: &Handle) {
    let mended = handle.call(|world, now| {
        let key = Key::new(Type::ClusterIssuer, "", "letsencrypt");
        let solver = json!({"dns01": {"route53": {"region": "eu-west-1"}}});
        world.objects.modify(&key, now, |issuer| issuer["spec"]["acme"]["solvers"] = json!([solver])).is_ok()
    });
    assert!(mended.await.unwrap());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_command_line_says_why_a_renewal_fails_and_renews_once_it_is_mended() {
    let (story, _moves) = start().await;
    let (code, alerts, err) = story.run(&["alerts", "-o", "json"]).await;
    assert_eq!(code, 0, "{err}");
    assert!(
        alerts.contains("CertManagerCertExpirySoon") && alerts.contains("certificate/checkout-tls"),
        "{alerts}"
    );
    let named = ["renew", "checkout-tls", "-n", "tenant-2"];
    let (code, out, err) = story.run(&[&named[..], &["--plan", "-o", "json"]].concat()).await;
    assert_eq!(code, 0, "{out}{err}");
    let plan: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(plan["plan"]["command"], "cmctl renew checkout-tls -n tenant-2");
    assert!(out.contains("in a row failed") && out.contains("NXDOMAIN looking up TXT"), "{out}");

    let now = [&named[..], &["--yes", "--wait"]].concat();
    let (code, out, err) = story.run(&now).await;
    assert_eq!(code, 1, "{out}{err}");
    assert!(out.contains("DNS-01 for ") && out.contains("NXDOMAIN"), "{out}");
    assert!(
        out.contains("Look whether the DNS-01 solver of clusterissuers.cert-manager.io letsencrypt"),
        "{out}"
    );

    mend(&story.platform.handle).await;
    let (code, out, err) = story.run(&now).await;
    assert_eq!(code, 0, "{out}{err}");
    // Ninety days from the second in which it was issued.
    let ends = out.contains("it ends in 89d") || out.contains("it ends in 90d");
    assert!(out.starts_with("verified: revision ") && ends, "{out}");
    // What nobody has is said.
    let (code, _, err) = story.run(&["renew", "no-such", "-n", "tenant-2", "--yes"]).await;
    assert_eq!(code, 1);
    assert!(err.contains("no-such does not exist"), "{err}");
    let (_, names, err) = story.run(&["get", "names", "-n", "tenant-2", "-o", "json"]).await;
    assert!(names.contains("checkout-tls"), "{names}{err}");
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_lead_from_the_certificate_to_why_it_fails_and_to_a_verified_renewal() {
    let (story, _moves) = start().await;
    let folder = story.folder.path().display().to_string();
    let handle = story.platform.handle.clone();
    let runtime = tokio::runtime::Handle::current();
    tokio::task::spawn_blocking(move || {
        let kubeconfig = format!("{folder}/kubeconfig");
        let variables = [
            ("HOME", folder.as_str()),
            ("OPSDECK_STATE_DIR", &folder),
            ("OPSDECK_CONFIG_DIR", &folder),
            ("KUBECONFIG", &kubeconfig),
        ];
        let program = env!("CARGO_BIN_EXE_opsdeck");
        let mut console = crate::terminal::Terminal::start(program, &[], &variables, (160, 42));
        console.wait("it is connected", |screen| screen.contains("k8s live"));
        console.press(":certificates\r");
        console.wait("the one that fails stands first", |screen| {
            screen.contains("✗ Failed") && screen.contains("checkout-tls")
        });
        console.press("\r");
        console.wait("the detail says why", |screen| {
            screen.contains("NXDOMAIN") && screen.contains("challenge")
        });
        runtime.block_on(mend(&handle));
        console.press("R");
        console.wait("the plan, with every check answered", |screen| {
            screen.contains("you may update") && !screen.contains("pending")
        });
        console.answer("y");
        console.wait("the verdict", |screen| screen.contains("Verified"));
        console.press(":q\r");
        assert!(console.end().success());
    })
    .await
    .unwrap();
}
