//! How wallets know the verifier (OpenID4VP 1.0 section 5.9): by its DID, by a DNS name in its certificate, or by the
//! hash of its certificate, as HAIP 1.0 wants it. The key that signs requests is in the home folder.

use super::config::Home;
use super::presentations::Identity;
use crate::certificates::{CHAIN_MAX, certificates};
use crate::fault::Fault;
use crate::issuer::config::KeysConfig;
use crate::keys::IssuerKeys;
use aval_did::key::Signer;
use aval_openid::{UrlPolicy, x509};
use clap::ValueEnum;
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;
use std::sync::Arc;
use url::Url;

/// How wallets are asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct WalletsConfig {
    /// Where wallets reach the service: apart from the side of relying parties.
    pub listen: SocketAddr,
    /// The URL that wallets use for it, without a trailing slash.
    pub public_url: String,
    /// By what they know the verifier.
    #[serde(default)]
    pub client_id: ClientIdKind,
    /// The certificates of the verifier as PEM, its own first, without the root; for a client id by certificate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificates: Option<String>,
    /// How the key that signs requests is kept.
    #[serde(default)]
    pub keys: KeysConfig,
}

/// By what wallets know a verifier.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum ClientIdKind {
    /// Its DID
    #[default]
    Did,
    /// The DNS name of its URL, which its certificate is for
    X509SanDns,
    /// The hash of its certificate
    X509Hash,
}

impl WalletsConfig {
    /// Whether the service can work with these values; if not, which one and why.
    pub fn validate(&self) -> Result<(), String> {
        let url = UrlPolicy::LOOPBACK
            .check_issuer("publicUrl", &self.public_url)
            .map_err(|error| format!("wallets would not follow wallets.publicUrl: {error}"))?;
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/-._~".contains(&byte);
        if self.public_url.ends_with('/') || !url.path().bytes().all(plain) {
            return Err(
                "wallets.publicUrl must be without a slash at the end and without special characters"
                    .to_owned(),
            );
        }
        match (self.client_id, &self.certificates) {
            (ClientIdKind::Did, None) => Ok(()),
            (ClientIdKind::Did, Some(_)) => {
                Err("wallets.certificates are for a wallets.clientId by certificate".to_owned())
            }
            (_, None) => Err("wallets.clientId wants wallets.certificates".to_owned()),
            (_, Some(pem)) => certificates(pem, CHAIN_MAX)
                .map(drop)
                .map_err(|reason| format!("wallets.certificates: {reason}")),
        }
    }

    /// The path of the public URL: empty, or with a slash in front and none behind.
    pub fn public_path(&self) -> String {
        Url::parse(&self.public_url)
            .map(|url| url.path().trim_end_matches('/').to_owned())
            .unwrap_or_default()
    }

    /// The identity with its key, which is that of the certificate where there is one.
    pub fn open(&self, home: &Home) -> Result<(Identity, Arc<dyn Signer + Send + Sync>), Fault> {
        let source = home.keys(self);
        if self.client_id == ClientIdKind::Did {
            let keys = IssuerKeys::open(source)?;
            let active = keys.active();
            let key_id = active.id().to_owned();
            let signer: Arc<dyn Signer + Send + Sync> = active;
            return Ok((Identity::Did { did: keys.did().to_string(), key_id }, signer));
        }
        let wrong = |reason: &str| Fault::failed(format!("wallets.certificates: {reason}"));
        let chain = certificates(self.certificates.as_deref().unwrap_or_default(), CHAIN_MAX)
            .map_err(|reason| wrong(&reason))?;
        let leaf = chain.first().map(Vec::as_slice).unwrap_or_default();
        let signer: Arc<dyn Signer + Send + Sync> = Arc::from(source.read_signer()?);
        let certified = x509::leaf(leaf).map_err(|error| wrong(&error.to_string()))?;
        if certified.key != signer.public() {
            return Err(wrong("the first one is not for the key that signs"));
        }
        if self.client_id == ClientIdKind::X509Hash {
            return Ok((Identity::Hash { chain }, signer));
        }
        let url = Url::parse(&self.public_url).ok();
        let name = url.as_ref().and_then(Url::host_str).unwrap_or_default().to_owned();
        if !certified.is_for(&name) {
            return Err(wrong("the first one is not for the host of wallets.publicUrl"));
        }
        Ok((Identity::Dns { name, chain }, signer))
    }
}
