//! Which clusters there are and how they are reached: kubeconfig files, merged as kubectl does, or the service
//! account of the pod that the console runs in.
//!
//! It reads files and never writes one. It opens no connection and runs no credential plugin.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::{Path, PathBuf};

use kube::config::{KubeConfigOptions, Kubeconfig};

use crate::identity::Context;

/// The name of the context that stands for the service account of the pod.
const IN_CLUSTER: &str = "in-cluster";

/// Where a pod finds the certificates of its API server.
const SERVICE_ACCOUNT_CA: &str = "/var/run/secrets/kubernetes.io/serviceaccount/ca.crt";

/// Why there is nothing to connect to.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConnectError {
    /// No file was found, and the console does not run in a pod.
    #[error(
        "no kubeconfig found (looked at {looked}); name one with --kubeconfig or KUBECONFIG, \
         or try `opsdeck demo`, which brings its own cluster"
    )]
    NoKubeconfig {
        /// Where it was looked for.
        looked: String,
    },
    /// A file is there and cannot be used.
    #[error("kubeconfig {path} cannot be used: {reason}")]
    Unreadable {
        /// The file.
        path: String,
        /// What is wrong with it.
        reason: String,
    },
    /// No context was named, and the files name none.
    #[error("no context is current in {path}; name one with --context: {names}")]
    NoContext {
        /// The files.
        path: String,
        /// The contexts that there are.
        names: String,
    },
    /// There is no such context.
    #[error("there is no context {name} in {path}{hint}")]
    UnknownContext {
        /// What was asked for.
        name: String,
        /// The files.
        path: String,
        /// The nearest names, as the end of the sentence.
        hint: String,
    },
    /// The context is there and is not complete, or what it names cannot be read.
    #[error("context {name} cannot be used: {reason}")]
    Incomplete {
        /// The context.
        name: String,
        /// What is missing.
        reason: String,
    },
    /// The credential plugin failed.
    #[error("{0}")]
    Plugin(String),
}

/// Where kubeconfigs are looked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Places {
    /// `--kubeconfig`: this file and no other.
    pub flag: Option<PathBuf>,
    /// The value of `KUBECONFIG`: a list of files.
    pub variable: Option<OsString>,
    /// The home directory, whose `.kube/config` is the default.
    pub home: Option<PathBuf>,
}

impl Places {
    /// Takes the places from the environment of the process.
    pub fn from_environment(flag: Option<PathBuf>) -> Self {
        Self {
            flag,
            variable: std::env::var_os("KUBECONFIG"),
            home: directories::BaseDirs::new().map(|dirs| dirs.home_dir().to_owned()),
        }
    }

    /// Returns the files in the order in which they are merged.
    pub fn files(&self) -> Vec<PathBuf> {
        if let Some(flag) = &self.flag {
            return vec![flag.clone()];
        }
        let listed: Vec<PathBuf> = self
            .variable
            .iter()
            .flat_map(std::env::split_paths)
            .filter(|path| !path.as_os_str().is_empty())
            .collect();
        if listed.is_empty() {
            self.home.iter().map(|home| home.join(".kube").join("config")).collect()
        } else {
            listed
        }
    }
}

/// One context as the files describe it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its name.
    pub context: Context,
    /// The name of its cluster.
    pub cluster: String,
    /// The name of its user.
    pub user: String,
    /// The namespace that it names.
    pub namespace: Option<String>,
}

/// What a connection is made of, in short: equal as long as the files say the same of the context.
///
/// Only compared within one process, and never shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Print {
    /// Of the cluster: its address and certificates.
    pub server: u64,
    /// Of the user.
    user: u64,
}

/// What a credential plugin is told about AWS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PluginWord {
    /// The profile.
    Profile,
    /// The region.
    Region,
}

/// The contexts that there are.
#[derive(Debug, Clone)]
pub struct Contexts {
    places: Places,
    files: Vec<PathBuf>,
    merged: Option<Kubeconfig>,
}

impl Contexts {
    /// Reads and merges the files: the first one to name a thing wins, and missing ones of a list are skipped, as
    /// kubectl does.
    pub fn load(places: &Places) -> Result<Self, ConnectError> {
        let looked = places.files();
        let files: Vec<PathBuf> = looked.iter().filter(|path| path.exists()).cloned().collect();
        let mut merged: Option<Kubeconfig> = None;
        for path in &files {
            let unreadable = |reason: String| ConnectError::Unreadable { path: shown(path), reason };
            let next = Kubeconfig::read_from(path).map_err(|error| unreadable(causes(&error)))?;
            merged = Some(match merged {
                Some(first) => first.merge(next).map_err(|error| unreadable(causes(&error)))?,
                None => next,
            });
        }
        if merged.is_none() && (places.flag.is_some() || !runs_in_a_pod()) {
            let looked: Vec<String> = looked.iter().map(|path| shown(path)).collect();
            let looked = if looked.is_empty() { "no home directory".to_owned() } else { looked.join(", ") };
            return Err(ConnectError::NoKubeconfig { looked });
        }
        Ok(Self { places: places.clone(), files, merged })
    }

    /// Reads the files again.
    pub(super) fn reload(&self) -> Result<Self, ConnectError> {
        Self::load(&self.places)
    }

    /// Returns every context in the order of the files.
    pub fn entries(&self) -> Vec<Entry> {
        let Some(merged) = &self.merged else {
            return vec![Entry {
                context: Context::new(IN_CLUSTER),
                cluster: IN_CLUSTER.to_owned(),
                user: "service account".to_owned(),
                namespace: None,
            }];
        };
        let mut seen = BTreeSet::new();
        merged
            .contexts
            .iter()
            .filter(|named| seen.insert(named.name.as_str()))
            .filter_map(|named| {
                let context = named.context.as_ref()?;
                Some(Entry {
                    context: Context::new(&named.name),
                    cluster: context.cluster.clone(),
                    user: context.user.clone().unwrap_or_default(),
                    namespace: context.namespace.clone().filter(|name| !name.is_empty()),
                })
            })
            .collect()
    }

    /// Returns the context that is asked for, or the current one.
    pub fn choose(&self, name: Option<&str>) -> Result<Entry, ConnectError> {
        let entries = self.entries();
        let path = self.path();
        let current = match &self.merged {
            Some(merged) => merged.current_context.as_deref().filter(|name| !name.is_empty()),
            None => Some(IN_CLUSTER),
        };
        let names = || entries.iter().map(|entry| entry.context.as_str());
        let Some(name) = name.or(current) else {
            let names = names().collect::<Vec<_>>().join(", ");
            return Err(ConnectError::NoContext { path, names });
        };
        if let Some(entry) = entries.iter().find(|entry| entry.context.as_str() == name) {
            return Ok(entry.clone());
        }
        let mut hint = crate::nearest::did_you_mean(name, names());
        if hint.is_empty() && !entries.is_empty() {
            hint = format!("; there are {}", names().take(8).collect::<Vec<_>>().join(", "));
        }
        Err(ConnectError::UnknownContext { name: name.to_owned(), path, hint })
    }

    /// Returns what a context is made of, with the files of keys and certificates that it names.
    pub(super) fn print(&self, entry: &Entry) -> Print {
        let (mut server, mut user) = (DefaultHasher::new(), DefaultHasher::new());
        if self.merged.is_some() {
            if let Some(cluster) = self.cluster(entry) {
                serde_json::to_vec(cluster).unwrap_or_default().hash(&mut server);
                contents(cluster.certificate_authority.as_ref()).hash(&mut server);
            }
            if let Some(info) = self.auth_info(entry) {
                serde_json::to_vec(info).unwrap_or_default().hash(&mut user);
                for file in [&info.client_certificate, &info.client_key, &info.token_file] {
                    contents(file.as_ref()).hash(&mut user);
                }
            }
        } else {
            for variable in ["KUBERNETES_SERVICE_HOST", "KUBERNETES_SERVICE_PORT"] {
                std::env::var_os(variable).hash(&mut server);
            }
            contents(Some(&SERVICE_ACCOUNT_CA.to_owned())).hash(&mut server);
        }
        Print { server: server.finish(), user: user.finish() }
    }

    /// Tells whether the user of a context gets the credential from a plugin.
    pub(super) fn has_plugin(&self, entry: &Entry) -> bool {
        self.auth_info(entry).is_some_and(|info| info.exec.is_some())
    }

    fn cluster(&self, entry: &Entry) -> Option<&kube::config::Cluster> {
        let named = self.merged.as_ref()?.clusters.iter().find(|named| named.name == entry.cluster)?;
        named.cluster.as_ref()
    }

    fn auth_info(&self, entry: &Entry) -> Option<&kube::config::AuthInfo> {
        let named = self.merged.as_ref()?.auth_infos.iter().find(|named| named.name == entry.user)?;
        named.auth_info.as_ref()
    }

    /// Returns how a context is reached, without running its credential plugin.
    pub(super) async fn config(&self, entry: &Entry) -> Result<kube::Config, ConnectError> {
        let incomplete = |reason: String| ConnectError::Incomplete {
            name: entry.context.to_string(),
            reason: crate::text::one_line(&reason).into_owned(),
        };
        let mut config = match &self.merged {
            Some(merged) => {
                let options = KubeConfigOptions {
                    context: Some(entry.context.to_string()),
                    ..KubeConfigOptions::default()
                };
                kube::Config::from_custom_kubeconfig(merged.clone(), &options)
                    .await
                    .map_err(|error| incomplete(causes(&error)))?
            }
            None => kube::Config::incluster_env().map_err(|error| incomplete(causes(&error)))?,
        };
        // A refusal by a disruption budget is a 429: retried by the client it takes minutes to surface, and a
        // mutation must not be sent twice in any case. What may be tried again is tried again where it is known.
        config.default_retry = false;
        // Compressing costs more than it saves where the bytes do not leave the machine.
        let host = config.cluster_url.host().unwrap_or_default();
        if matches!(host, "localhost" | "127.0.0.1" | "[::1]") {
            config.disable_compression = true;
        }
        Ok(config)
    }

    /// Returns what the credential plugin of a context is told about AWS; the plugin is not run.
    pub(super) fn plugin_words(&self, entry: &Entry) -> Vec<(PluginWord, String)> {
        let users = self.merged.iter().flat_map(|merged| &merged.auth_infos);
        let user = users.filter(|user| user.name == entry.user).find_map(|user| user.auth_info.as_ref());
        let Some(exec) = user.and_then(|user| user.exec.as_ref()) else { return Vec::new() };
        let variables = exec.env.iter().flatten().filter_map(|one| {
            let word = match one.get("name")?.as_str() {
                "AWS_PROFILE" | "AWS_DEFAULT_PROFILE" => PluginWord::Profile,
                "AWS_REGION" | "AWS_DEFAULT_REGION" => PluginWord::Region,
                _ => return None,
            };
            Some((word, one.get("value")?.clone()))
        });
        let arguments = exec.args.as_deref().unwrap_or_default();
        let flags = arguments.windows(2).filter_map(|pair| {
            let word = match pair[0].as_str() {
                "--profile" => PluginWord::Profile,
                "--region" => PluginWord::Region,
                _ => return None,
            };
            Some((word, pair[1].clone()))
        });
        variables.chain(flags).collect()
    }

    fn path(&self) -> String {
        self.files.iter().map(|path| shown(path)).collect::<Vec<_>>().join(", ")
    }
}

/// Reads a file that the kubeconfig names; one that cannot be read is as good as empty here.
fn contents(path: Option<&String>) -> Vec<u8> {
    path.and_then(|path| std::fs::read(path).ok()).unwrap_or_default()
}

/// Writes an error with its causes, each once: many errors repeat their cause in their own words.
pub(super) fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let words = cause.to_string();
        if !text.contains(&words) {
            text.push_str(": ");
            text.push_str(&words);
        }
        next = cause.source();
    }
    text
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}

fn runs_in_a_pod() -> bool {
    std::env::var_os("KUBERNETES_SERVICE_HOST").is_some()
}
