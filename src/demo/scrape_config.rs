//! The configuration of a Prometheus that scrapes the embedded platform through its API server.
//!
//! For a real Prometheus beside the demo and for tests. It holds the administrator's token, so only its owner can read
//! it; like the kubeconfig it goes when the platform ends.

use std::fmt::Write as _;
use std::io;
use std::path::{Path, PathBuf};

use super::credentials::{MARK, is_foreign, write_kubeconfig};
use super::numbers::Numbers;

/// What a scraper needs.
#[derive(Clone)]
pub struct Scraper {
    /// Host and port of the API server.
    pub address: String,
    /// Bearer token of the administrator.
    pub token: String,
    /// Certificate authority, PEM.
    pub authority: String,
}

impl std::fmt::Debug for Scraper {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The token is not for logs.
        f.debug_struct("Scraper").field("address", &self.address).finish_non_exhaustive()
    }
}

/// The two files of a configuration; removed when this is dropped.
#[derive(Debug)]
pub struct Written {
    /// The configuration.
    pub config: PathBuf,
    authority: PathBuf,
}

impl Drop for Written {
    fn drop(&mut self) {
        for path in [&self.config, &self.authority] {
            // Somebody may have removed or replaced it; what is not ours stays.
            if !is_foreign(path) {
                let _ = std::fs::remove_file(path);
            }
        }
    }
}

impl Scraper {
    /// Writes the configuration beside a kubeconfig: `demo.yaml` gets `demo.prometheus.yml` and `demo.ca.pem`. A file
    /// of that name that something else wrote is left alone and is an error.
    pub fn write(&self, kubeconfig: &Path, numbers: &Numbers, interval: &str) -> io::Result<Written> {
        let written = Written {
            config: kubeconfig.with_extension("prometheus.yml"),
            authority: kubeconfig.with_extension("ca.pem"),
        };
        for path in [&written.config, &written.authority] {
            if is_foreign(path) {
                let why = format!("{} was not written by opsdeck demo and is left alone", path.display());
                return Err(io::Error::new(io::ErrorKind::AlreadyExists, why));
            }
        }
        write_kubeconfig(&written.authority, &format!("{MARK}\n{}", self.authority))?;
        let authority = std::path::absolute(&written.authority)?;
        let text = scrape_config(numbers, &self.address, &self.token, &authority.to_string_lossy(), interval);
        write_kubeconfig(&written.config, &text)?;
        Ok(written)
    }
}

/// Writes the configuration of a Prometheus that scrapes everything through the API server.
///
/// `address` is host and port of the API server, `authority` the path of a file with its certificate authority,
/// `interval` such as `30s`. Series get the labels that they have in the platform's own Prometheus.
pub fn scrape_config(
    numbers: &Numbers,
    address: &str,
    token: &str,
    authority: &str,
    interval: &str,
) -> String {
    let mut out = format!(
        "{MARK}\n\
         global:\n  scrape_interval: {interval}\n  scrape_timeout: {interval}\n  evaluation_interval: {interval}\n\
         scrape_configs:\n"
    );
    for (job, honor) in [("honor-labels", true), ("target-labels", false)] {
        let _ = write!(
            out,
            "- job_name: {job}\n  honor_labels: {honor}\n  scheme: https\n  authorization:\n    credentials: {}\n  \
             tls_config:\n    ca_file: {}\n  static_configs:\n",
            quoted(token),
            quoted(authority),
        );
        let there =
            numbers.targets.iter().filter(|target| target.scrape.honor == honor && target.there(numbers.now));
        for target in there {
            let _ = write!(
                out,
                "  - targets: [{}]\n    labels:\n      __metrics_path__: {}\n",
                quoted(address),
                quoted(&target.path)
            );
            for (name, value) in &target.scrape.labels {
                let _ = writeln!(out, "      {name}: {}", quoted(value));
            }
        }
    }
    out
}

/// Writes a YAML scalar in double quotes, which JSON's strings are.
fn quoted(value: &str) -> String {
    serde_json::Value::from(value).to_string()
}
