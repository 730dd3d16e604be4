//! What a client needs to reach the embedded platform: certificates, tokens, the kubeconfig.
//!
//! The certificate authority and the tokens are made at each start and live in memory and in the kubeconfig only.
//! client-go sends bearer tokens over TLS only, which is why there are certificates at all.

use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

use super::platform::StartError;

/// First line of a kubeconfig that the platform wrote; a file without it is somebody else's.
pub const MARK: &str = "# written by opsdeck demo; gone when it ends";
/// Context of the user who may do everything; its name makes it production, where names must be typed.
pub const ADMIN_CONTEXT: &str = "demo-prod-eu-1";
/// Context of the user who may read two tenants.
pub const RESTRICTED_CONTEXT: &str = "demo-prod-eu-1-restricted";
/// Name of the cluster in the kubeconfig.
pub const CLUSTER: &str = "prod-eu-1";

/// Certificates and tokens of one start.
pub struct Credentials {
    /// Certificate authority, PEM.
    pub authority: String,
    /// Bearer token of the user who may do everything.
    pub admin: String,
    /// Bearer token of the restricted user.
    pub restricted: String,
    /// Server side of TLS.
    pub tls: Arc<rustls::ServerConfig>,
}

impl Credentials {
    /// Makes a certificate authority, a server certificate for the loopback names, and two tokens.
    pub fn generate() -> Result<Self, StartError> {
        let mut ca = CertificateParams::new(Vec::<String>::new()).map_err(certificate)?;
        ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        ca.distinguished_name.push(DnType::CommonName, "opsdeck demo");
        ca.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let ca_key = KeyPair::generate().map_err(certificate)?;
        let ca_certificate = ca.self_signed(&ca_key).map_err(certificate)?;
        let issuer = Issuer::new(ca, ca_key);

        let names = ["127.0.0.1".to_owned(), "localhost".to_owned(), "kubernetes".to_owned()];
        let mut leaf = CertificateParams::new(names).map_err(certificate)?;
        leaf.distinguished_name.push(DnType::CommonName, "kube-apiserver");
        leaf.use_authority_key_identifier_extension = true;
        leaf.key_usages.push(KeyUsagePurpose::DigitalSignature);
        leaf.extended_key_usages.push(ExtendedKeyUsagePurpose::ServerAuth);
        let leaf_key = KeyPair::generate().map_err(certificate)?;
        let leaf_certificate = leaf.signed_by(&leaf_key, &issuer).map_err(certificate)?;

        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let token = || -> Result<String, StartError> {
            let mut bytes = [0_u8; 24];
            provider
                .secure_random
                .fill(&mut bytes)
                .map_err(|_| StartError::Certificate("the system gave no random bytes".to_owned()))?;
            Ok(URL_SAFE_NO_PAD.encode(bytes))
        };
        let (admin, restricted) = (token()?, token()?);
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(leaf_key.serialize_der()));
        let mut tls = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(certificate)?
            .with_no_client_auth()
            .with_single_cert(vec![leaf_certificate.der().clone()], key)
            .map_err(certificate)?;
        tls.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Self { authority: ca_certificate.pem(), admin, restricted, tls: Arc::new(tls) })
    }

    /// Returns the text of the kubeconfig; the admin's context is the current one.
    pub fn kubeconfig(&self, url: &str, restricted_namespace: &str) -> String {
        let authority = STANDARD.encode(&self.authority);
        let Self { admin, restricted, .. } = self;
        format!(
            "{MARK}\n\
             apiVersion: v1\n\
             kind: Config\n\
             current-context: {ADMIN_CONTEXT}\n\
             clusters:\n\
             - name: {CLUSTER}\n\
             \x20 cluster:\n\
             \x20   server: {url}\n\
             \x20   certificate-authority-data: {authority}\n\
             contexts:\n\
             - name: {ADMIN_CONTEXT}\n\
             \x20 context: {{cluster: {CLUSTER}, user: {ADMIN_CONTEXT}}}\n\
             - name: {RESTRICTED_CONTEXT}\n\
             \x20 context: {{cluster: {CLUSTER}, user: {RESTRICTED_CONTEXT}, namespace: {restricted_namespace}}}\n\
             users:\n\
             - name: {ADMIN_CONTEXT}\n\
             \x20 user: {{token: {admin}}}\n\
             - name: {RESTRICTED_CONTEXT}\n\
             \x20 user: {{token: {restricted}}}\n"
        )
    }
}

/// Writes the kubeconfig so that only its owner can read it; refuses to overwrite a file that is not ours.
pub fn write_kubeconfig(path: &Path, text: &str) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    // Beside the place and then renamed, so that a reader never sees half a file.
    let draft = path.with_extension(format!("{}.draft", std::process::id()));
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(0o600);
    }
    let mut file = options.open(&draft)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    std::fs::rename(&draft, path)
}

/// Tells whether a file is there and was not written by an embedded platform.
pub fn is_foreign(path: &Path) -> bool {
    std::fs::read_to_string(path)
        .map_or_else(|error| error.kind() != io::ErrorKind::NotFound, |text| !text.starts_with(MARK))
}

fn certificate(error: impl std::fmt::Display) -> StartError {
    StartError::Certificate(error.to_string())
}
