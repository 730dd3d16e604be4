//! The bare wire: what `curl` needs for the same list.

use std::process::Command;
use std::time::{Duration, Instant};

use super::platform::Platform;

/// Fetches all pods with curl and returns the time and the size; nought where there is no curl.
pub fn pods(platform: &Platform) -> (Duration, u64) {
    let kubeconfig = std::fs::read_to_string(platform.kubeconfig()).expect("the kubeconfig");
    let token = kubeconfig
        .split(['"', ':', ' ', ',', '{', '}', '\n'])
        .filter(|word| !word.is_empty())
        .skip_while(|word| *word != "token")
        .nth(1)
        .expect("a token");
    let begun = Instant::now();
    let output = Command::new("curl")
        .args([
            "--silent",
            "--show-error",
            "--insecure",
            "--output",
            "/dev/null",
            "--write-out",
            "%{size_download}",
        ])
        .args(["--header", &format!("Authorization: Bearer {token}")])
        .arg(format!("{}/api/v1/pods", platform.url))
        .output();
    let time = begun.elapsed();
    match output {
        Ok(output) if output.status.success() => {
            (time, String::from_utf8_lossy(&output.stdout).trim().parse().unwrap_or(0))
        }
        _ => {
            println!("curl is not here, or failed: its figures are missing");
            (Duration::ZERO, 0)
        }
    }
}
