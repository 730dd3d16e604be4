//! The embedded platform in a process of its own, and what the system says of processes.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// A platform that serves until it is dropped.
pub struct Platform {
    child: Child,
    folder: tempfile::TempDir,
    /// The address of its API.
    pub url: String,
}

impl Platform {
    /// Starts one and waits until it serves.
    pub fn start(arguments: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let kubeconfig = folder.path().join("kubeconfig");
        let mut child = Command::new(super::PROGRAM)
            .args(["demo", "--headless", "--kubeconfig"])
            .arg(&kubeconfig)
            .args(arguments)
            .env("OPSDECK_STATE_DIR", folder.path())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the platform starts");
        let mut first = String::new();
        let output = child.stdout.take().expect("its output");
        BufReader::new(output).read_line(&mut first).expect("its first line");
        let said: serde_json::Value = serde_json::from_str(&first).expect("JSON on its first line");
        let url = said["kubernetes"].as_str().expect("its address").to_owned();
        Self { child, folder, url }
    }

    /// Returns the path of its kubeconfig.
    pub fn kubeconfig(&self) -> String {
        self.folder.path().join("kubeconfig").display().to_string()
    }

    /// Returns a folder for the state of consoles.
    pub fn state(&self) -> String {
        self.folder.path().join("console").display().to_string()
    }

    /// Returns how many pods there are, as the console itself writes the number.
    pub fn pods(&self) -> String {
        let output = Command::new(super::PROGRAM)
            .args(["get", "pods", "-A", "-o", "name"])
            .env("KUBECONFIG", self.kubeconfig())
            .env("OPSDECK_STATE_DIR", self.state())
            .output()
            .expect("opsdeck get");
        let pods = String::from_utf8_lossy(&output.stdout).lines().count();
        opsdeck::human::count(i64::try_from(pods).unwrap_or(i64::MAX))
    }
}

impl Drop for Platform {
    fn drop(&mut self) {
        // It ends by itself on SIGINT; here the end need not be graceful.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Returns the resident memory of a process in bytes; 0 where the system does not say.
pub fn resident(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.trim().trim_end_matches("kB").trim().parse::<u64>().ok());
    kib.unwrap_or(0) * 1024
}

/// Returns the CPU time that a process has used; nought where the system does not say.
pub fn cpu(pid: u32) -> Duration {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // The second field is the name in parentheses, which may hold blanks.
    let fields: Vec<&str> =
        stat.rsplit_once(')').map(|(_, rest)| rest.split_whitespace().collect()).unwrap_or_default();
    let ticks: u64 = [11, 12].iter().filter_map(|at| fields.get(*at)?.parse::<u64>().ok()).sum();
    // A hundred ticks a second on every Linux there is (USER_HZ).
    Duration::from_millis(ticks * 10)
}
