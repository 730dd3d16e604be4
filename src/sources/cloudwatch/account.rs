//! Which account, which region and whose credentials: from configuration, the environment, and what the cluster says
//! of where it lives.
//!
//! It opens no connection to `CloudWatch`. Of the cluster it asks one node, once.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use aws_config::SdkConfig;
use aws_config::ecs::EcsCredentialsProvider;
use aws_config::environment::credentials::EnvironmentVariableCredentialsProvider;
use aws_config::environment::region::EnvironmentVariableRegionProvider;
use aws_config::imds::credentials::ImdsCredentialsProvider;
use aws_config::meta::credentials::CredentialsProviderChain;
use aws_config::meta::region::ProvideRegion;
use aws_config::profile::{ProfileFileCredentialsProvider, ProfileFileRegionProvider};
use aws_config::provider_config::ProviderConfig;
use aws_config::web_identity_token::WebIdentityTokenCredentialsProvider;
use aws_runtime::env_config::file::{EnvConfigFileKind, EnvConfigFiles};
use aws_sdk_cloudwatch::Client;
use aws_sdk_cloudwatch::config::interceptors::BeforeTransmitInterceptorContextRef;
use aws_sdk_cloudwatch::config::retry::RetryConfig;
use aws_sdk_cloudwatch::config::timeout::TimeoutConfig;
use aws_sdk_cloudwatch::config::{
    BehaviorVersion, Builder, ConfigBag, Intercept, ProvideCredentials, Region, RuntimeComponents,
    SharedCredentialsProvider, SharedHttpClient,
};
use aws_sdk_cloudwatch::error::BoxError;
use aws_smithy_http_client::Connector;
use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};
use serde::Deserialize;

use super::failure;
use crate::identity::Text;
use crate::signals::System;
use crate::sources::kubernetes::Connection;
use crate::sources::systems::Directions;
use crate::sources::{SourceError, kubeconfig};

/// How often a call is sent at most: once, and twice more where the server asks for it.
const TRIES: u32 = 3;

/// How long a connection, one try and a whole call may take.
const WAITS: (Duration, Duration, Duration) =
    (Duration::from_secs(5), Duration::from_secs(15), Duration::from_secs(40));

/// How long credentials may take: a browser or a plugin that waits for a person does not get longer.
const CREDENTIALS: Duration = Duration::from_secs(20);

/// What credentials are called that nobody named.
pub(super) const UNNAMED: &str = "default credentials";

/// An account, ready to be asked.
#[derive(Debug)]
pub(super) struct Account {
    /// The client.
    pub client: Client,
    /// What clients of other services of the account are made from.
    pub loaded: SdkConfig,
    /// The service, for people.
    pub service: &'static str,
    /// The region.
    pub region: Text,
    /// The profile, where one is named.
    pub profile: Option<Text>,
    /// Where it is, for people: the endpoint.
    pub place: Text,
    /// Where the credentials come from, for people.
    pub whose: Text,
}

impl Account {
    /// Says how it is reached: `profile prod, eu-west-1 at http://127.0.0.1:4566`.
    pub fn way(&self) -> Text {
        format!("{}, {} at {}", self.whose, self.region, self.place).into()
    }
}

/// Opens the account that belongs to a cluster.
pub(super) async fn open(
    connection: &Connection,
    directions: &Directions,
    ambient: bool,
    calls: Arc<AtomicU64>,
) -> Result<Account, SourceError> {
    let configured = *directions != Directions::default();
    if !configured && !ambient {
        return Err(no_account("it is not configured"));
    }
    let mut cluster = Cluster::of_kubeconfig(
        connection.context().as_str(),
        &connection.place(),
        &connection.entry().cluster,
        &connection.credential_plugin(),
    );
    // The profile that the kubeconfig's credential plugin uses is the one that belongs to the cluster.
    let profile = directions.profile.clone().or(cluster.profile.take()).map(Text::from);
    let http = http();
    let source = Source { directions, profile: profile.as_deref(), http: &http };
    let named = source.region().await;
    if (!configured && !cluster.on_aws) || (named.is_none() && cluster.region.is_none()) {
        let of_node = Cluster::of_a_node(connection).await;
        cluster.on_aws |= of_node.on_aws;
        cluster.region = cluster.region.or(of_node.region);
    }
    if !configured && !cluster.on_aws {
        return Err(no_account("neither the configuration nor the cluster names one"));
    }
    let Some(region) = named.or_else(|| cluster.region.map(Region::new)) else {
        return Err(SourceError::Missing {
            what: "the AWS region".to_owned(),
            reason: "neither configuration, environment, profile nor nodes name it; write \
                     [contexts.\"...\"] cloudwatch = { region = \"...\" }"
                .to_owned(),
        });
    };
    let (provider, whose) = source.credentials(&region).await;
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(WAITS.0)
        .operation_attempt_timeout(WAITS.1)
        .operation_timeout(WAITS.2)
        .build();
    let mut loader = aws_config::defaults(BehaviorVersion::latest())
        .http_client(http.clone())
        .region(region.clone())
        .retry_config(RetryConfig::standard().with_max_attempts(TRIES))
        .timeout_config(timeouts)
        .credentials_provider(provider.clone());
    if let Some(profile) = &profile {
        loader = loader.profile_name(profile.to_string());
    }
    if let Some(file) = &directions.credentials_file {
        loader = loader.profile_files(only(file));
    }
    if let Some(url) = &directions.url {
        loader = loader.endpoint_url(url);
    }
    let loaded = loader.load().await;
    let region: Text = crate::text::one_line(region.as_ref()).into();
    let set = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let endpoint = directions
        .url
        .clone()
        .or_else(|| set("AWS_ENDPOINT_URL_CLOUDWATCH"))
        .or_else(|| loaded.endpoint_url().map(str::to_owned))
        .unwrap_or_else(|| format!("https://monitoring.{region}.amazonaws.com"));
    let config = Builder::from(&loaded).interceptor(Counting(calls)).build();
    let account = Account {
        client: Client::from_conf(config),
        loaded,
        service: System::CloudWatch.name(),
        region,
        profile,
        place: crate::text::one_line(&endpoint).into(),
        whose: whose.into(),
    };
    // Credentials are looked for before the first call, so that what is amiss with them is told as that.
    match tokio::time::timeout(CREDENTIALS, provider.provide_credentials()).await {
        Ok(Ok(_)) => Ok(account),
        Ok(Err(error)) => Err(failure::of_credentials(&account, &kubeconfig::causes(&error))),
        Err(_) => Err(failure::of_credentials(
            &account,
            &format!("they did not come within {} s", CREDENTIALS.as_secs()),
        )),
    }
}

fn no_account(why: &str) -> SourceError {
    SourceError::Missing {
        what: format!("an AWS account of {}", System::CloudWatch),
        reason: format!("{why}; [contexts.\"...\"] cloudwatch = {{ profile = \"...\" }} names one"),
    }
}

/// Takes one file of credentials in the place of those in the home directory.
fn only(file: &Path) -> EnvConfigFiles {
    EnvConfigFiles::builder().with_file(EnvConfigFileKind::Credentials, file).build()
}

/// Makes the transport: TLS by ring, proxies as the environment names them.
fn http() -> SharedHttpClient {
    aws_smithy_http_client::Builder::new().build_with_connector_fn(|settings, components| {
        let mut builder = Connector::builder().proxy_config(ProxyConfig::from_env());
        builder.set_connector_settings(settings.cloned());
        if let Some(sleep) = components.and_then(RuntimeComponents::sleep_impl) {
            builder.set_sleep_impl(Some(sleep));
        }
        builder.tls_provider(Provider::Rustls(CryptoMode::Ring)).build()
    })
}

/// Counts what is sent, so that what the SDK repeats by itself counts, too.
#[derive(Debug)]
struct Counting(Arc<AtomicU64>);

impl Intercept for Counting {
    fn name(&self) -> &'static str {
        "Counting"
    }

    fn read_before_transmit(
        &self,
        _context: &BeforeTransmitInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        _bag: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        self.0.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }
}

/// Where region and credentials come from.
struct Source<'a> {
    directions: &'a Directions,
    profile: Option<&'a str>,
    http: &'a SharedHttpClient,
}

impl Source<'_> {
    fn provider_config(&self, region: Option<Region>) -> ProviderConfig {
        ProviderConfig::without_region().with_http_client(self.http.clone()).with_region(region)
    }

    /// Whether what configuration names stands alone, so that keys of the environment are not taken for it.
    fn is_named(&self) -> bool {
        self.directions.credentials_file.is_some() || self.profile.is_some()
    }

    /// Returns the region that configuration, environment or profile name.
    async fn region(&self) -> Option<Region> {
        if let Some(region) = &self.directions.region {
            return Some(Region::new(region.clone()));
        }
        let mut profile = ProfileFileRegionProvider::builder().configure(&self.provider_config(None));
        if let Some(name) = self.profile {
            profile = profile.profile_name(name);
        }
        if let Some(file) = &self.directions.credentials_file {
            profile = profile.profile_files(only(file));
        }
        let (profile, environment) = (profile.build(), EnvironmentVariableRegionProvider::new());
        // A profile that is named for the context goes before what is set for everything.
        if self.is_named() {
            profile.region().await.or(environment.region().await)
        } else {
            environment.region().await.or(profile.region().await)
        }
    }

    async fn credentials(&self, region: &Region) -> (SharedCredentialsProvider, String) {
        let config = self.provider_config(Some(region.clone()));
        let mut profile = ProfileFileCredentialsProvider::builder().configure(&config);
        if let Some(name) = self.profile {
            profile = profile.profile_name(name);
        }
        if let Some(file) = &self.directions.credentials_file {
            profile = profile.profile_files(only(file));
        }
        let profile = profile.build();
        if self.is_named() {
            let whose = match (self.profile, &self.directions.credentials_file) {
                (Some(name), _) => format!("profile {name}"),
                (None, Some(file)) => format!("credentials of {}", file.display()),
                (None, None) => "default profile".to_owned(),
            };
            return (SharedCredentialsProvider::new(profile), whose);
        }
        let set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        let whose = if set("AWS_ACCESS_KEY_ID") {
            "keys of the environment".to_owned()
        } else if let Ok(name) = std::env::var("AWS_PROFILE") {
            format!("profile {name}")
        } else {
            UNNAMED.to_owned()
        };
        let mut chain =
            CredentialsProviderChain::first_try("Environment", EnvironmentVariableCredentialsProvider::new())
                .or_else("Profile", profile)
                .or_else(
                    "WebIdentityToken",
                    WebIdentityTokenCredentialsProvider::builder().configure(&config).build(),
                )
                .or_else("EcsContainer", EcsCredentialsProvider::builder().configure(&config).build());
        if is_ec2().await {
            let imds = ImdsCredentialsProvider::builder().configure(&config).build();
            chain = chain.or_else("Ec2InstanceMetadata", imds);
        }
        (SharedCredentialsProvider::new(chain), whose)
    }
}

/// Tells whether this is a machine of EC2: elsewhere the address of its metadata leads nowhere, and asking it takes
/// seconds.
async fn is_ec2() -> bool {
    if std::env::var_os("AWS_EC2_METADATA_SERVICE_ENDPOINT").is_some() {
        return true;
    }
    for file in ["/sys/devices/virtual/dmi/id/sys_vendor", "/sys/devices/virtual/dmi/id/bios_vendor"] {
        if tokio::fs::read_to_string(file).await.is_ok_and(|text| text.contains("Amazon EC2")) {
            return true;
        }
    }
    false
}

/// What a cluster says of where it lives.
#[derive(Debug, Default, PartialEq, Eq)]
struct Cluster {
    on_aws: bool,
    region: Option<String>,
    profile: Option<String>,
}

impl Cluster {
    /// Reads what names, the host and the credential plugin tell.
    fn of_kubeconfig(
        context: &str,
        place: &str,
        named: &str,
        plugin: &[(kubeconfig::PluginWord, String)],
    ) -> Self {
        let mut cluster = Self::default();
        for name in [named, context] {
            // `aws eks update-kubeconfig` names context and cluster by the ARN: arn:aws:eks:<region>:<account>:cluster/<name>.
            let parts: Vec<&str> = name.split(':').collect();
            if let ["arn", partition, "eks", region, ..] = parts.as_slice()
                && partition.starts_with("aws")
            {
                cluster.on_aws = true;
                cluster.region.get_or_insert_with(|| (*region).to_owned());
            }
        }
        // https://<id>.<shard>.<region>.eks.amazonaws.com
        let host = place.split("//").last().unwrap_or_default().split(['/', ':']).next().unwrap_or_default();
        if let Some((before, _)) = host.split_once(".eks.amazonaws.com") {
            cluster.on_aws = true;
            if let Some(region) = before.rsplit('.').next().filter(|region| is_region(region)) {
                cluster.region.get_or_insert_with(|| region.to_owned());
            }
        }
        for (word, value) in plugin {
            match word {
                kubeconfig::PluginWord::Profile => cluster.profile = Some(value.clone()),
                kubeconfig::PluginWord::Region => {
                    cluster.on_aws = true;
                    cluster.region.get_or_insert_with(|| value.clone());
                }
            }
        }
        cluster
    }

    async fn of_a_node(connection: &Connection) -> Self {
        #[derive(Deserialize)]
        struct List {
            #[serde(default)]
            items: Vec<serde_json::Value>,
        }
        let asked = connection.asked("list", "nodes");
        let body = connection.get(&asked, "/api/v1/nodes?limit=1", "application/json").await;
        let Ok(Ok(list)) = body.map(|body| serde_json::from_slice::<List>(&body)) else {
            return Self::default();
        };
        list.items.first().map(Self::of_node).unwrap_or_default()
    }

    fn of_node(node: &serde_json::Value) -> Self {
        let text = |pointer: &str| node.pointer(pointer).and_then(serde_json::Value::as_str);
        // aws:///<zone>/<instance>
        let Some(rest) = text("/spec/providerID").and_then(|id| id.strip_prefix("aws://")) else {
            return Self::default();
        };
        let label = text("/metadata/labels/topology.kubernetes.io~1region").map(str::to_owned);
        let zone = rest.trim_start_matches('/').split('/').next().unwrap_or_default();
        let of_zone = zone.strip_suffix(|last: char| last.is_ascii_lowercase()).map(str::to_owned);
        let region = label.or(of_zone).filter(|region| is_region(region));
        Self { on_aws: true, region, profile: None }
    }
}

/// Tells whether a word has the form of a region, such as `eu-west-1` or `us-gov-east-1`.
fn is_region(word: &str) -> bool {
    let parts: Vec<&str> = word.split('-').collect();
    parts.len() >= 3
        && parts.iter().all(|part| !part.is_empty() && part.chars().all(|c| c.is_ascii_alphanumeric()))
        && parts.last().is_some_and(|last| last.chars().all(|c| c.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use kubeconfig::PluginWord;

    #[test]
    fn a_kubeconfig_tells_region_and_profile_of_its_cluster() {
        let arn = "arn:aws:eks:eu-central-1:111122223333:cluster/shop";
        let found = Cluster::of_kubeconfig(arn, "https://10.0.0.1", "x", &[]);
        assert_eq!((found.on_aws, found.region.as_deref()), (true, Some("eu-central-1")));
        let host = "https://0A1B.gr7.us-east-2.eks.amazonaws.com";
        let found = Cluster::of_kubeconfig("prod", host, "prod", &[]);
        assert_eq!((found.on_aws, found.region.as_deref()), (true, Some("us-east-2")));
        let plugin =
            [(PluginWord::Region, "eu-west-3".to_owned()), (PluginWord::Profile, "shop-prod".to_owned())];
        let found = Cluster::of_kubeconfig("prod", "https://10.0.0.1:6443", "prod", &plugin);
        assert_eq!(found.profile.as_deref(), Some("shop-prod"));
        assert_eq!(found.region.as_deref(), Some("eu-west-3"));
        assert_eq!(
            Cluster::of_kubeconfig("kind-x", "https://127.0.0.1:6443", "kind-x", &[]),
            Cluster::default()
        );
    }

    #[test]
    fn a_node_tells_that_it_is_on_aws_and_where() {
        let node = serde_json::json!({ "spec": { "providerID": "aws:///eu-west-1a/i-0123" } });
        let found = Cluster::of_node(&node);
        assert_eq!((found.on_aws, found.region.as_deref()), (true, Some("eu-west-1")));
        let node = serde_json::json!({ "spec": { "providerID": "kind://docker/x/y" } });
        assert_eq!(Cluster::of_node(&node), Cluster::default());
        let node = serde_json::json!({
            "metadata": { "labels": { "topology.kubernetes.io/region": "us-gov-east-1" } },
            "spec": { "providerID": "aws:///us-gov-east-1b/i-0123" },
        });
        assert_eq!(Cluster::of_node(&node).region.as_deref(), Some("us-gov-east-1"));
    }
}
