//! rustls settings for both ends of every connection between processes of ours.
//!
//! Law: both ends show a certificate of the cluster's CA; who the peer is comes from its certificate alone
//! ([`peer_identity`]); an expired or foreign certificate is refused in the handshake. Must not know: routes.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::danger::ServerCertVerifier;
use rustls::client::{ResolvesClientCert, WebPkiServerVerifier};
use rustls::server::{ResolvesServerCert, WebPkiClientVerifier};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

use crate::identity::Identity;

/// One end's key pair and the CA that it trusts, as PEM.
#[derive(Clone)]
pub struct Material {
    /// CA certificates.
    pub ca: Vec<u8>,
    /// Own certificate chain.
    pub cert: Vec<u8>,
    /// Own private key.
    pub key: Vec<u8>,
}

/// What is wrong with TLS material or a peer's certificate.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error("cannot read {path}: {source}; is the TLS Secret mounted?")]
    Read {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A PEM part cannot be understood.
    #[error("{what} is no valid PEM: {reason}")]
    Pem {
        /// Which part.
        what: &'static str,
        /// Why.
        reason: String,
    },
    /// rustls does not take the material.
    #[error("TLS material is not usable: {0}")]
    Rustls(#[from] rustls::Error),
    /// The verifier cannot be built.
    #[error("CA is not usable: {0}")]
    Verifier(String),
    /// What lies in the directory now is not this process's to take.
    #[error(
        "{dir} holds {what} ({why}): it is not taken; put one there that the cluster's CA has issued for this member"
    )]
    NotRenewed {
        /// Which directory.
        dir: PathBuf,
        /// What it holds.
        what: String,
        /// Whose, or why it is refused.
        why: String,
    },
    /// A certificate without a name of ours.
    #[error("the certificate has no SAN of the form jet://<namespace>/<cluster>/<role>")]
    Nameless,
}

impl Material {
    /// Reads `ca.crt`, `<stem>.crt` and `<stem>.key` of a directory (a mounted Secret).
    pub fn read(dir: &Path, stem: &str) -> Result<Self, TlsError> {
        let read = |name: String| {
            let path = dir.join(name);
            std::fs::read(&path).map_err(|source| TlsError::Read { path, source })
        };
        Ok(Self { ca: read("ca.crt".into())?, cert: read(format!("{stem}.crt"))?, key: read(format!("{stem}.key"))? })
    }

    fn roots(&self) -> Result<RootCertStore, TlsError> {
        let mut roots = RootCertStore::empty();
        for cert in certificates("ca.crt", &self.ca)? {
            roots.add(cert)?;
        }
        Ok(roots)
    }

    fn key_pair(&self) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), TlsError> {
        let key = PrivateKeyDer::from_pem_slice(&self.key)
            .map_err(|e| TlsError::Pem { what: "the private key", reason: e.to_string() })?;
        Ok((certificates("the certificate", &self.cert)?, key))
    }

    pub(crate) fn certified(&self) -> Result<CertifiedKey, TlsError> {
        let (chain, key) = self.key_pair()?;
        Ok(CertifiedKey::from_der(chain, key, &provider())?)
    }

    /// Settings of a listener: a peer without a certificate of the CA is refused in the handshake.
    pub fn server(&self) -> Result<Arc<ServerConfig>, TlsError> {
        self.server_with(Arc::new(SingleCertAndKey::from(self.certified()?)))
    }

    pub(crate) fn server_with(&self, shown: Arc<dyn ResolvesServerCert>) -> Result<Arc<ServerConfig>, TlsError> {
        let provider = provider();
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(self.roots()?), provider.clone())
            .build()
            .map_err(|e| TlsError::Verifier(e.to_string()))?;
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_client_cert_verifier(verifier)
            .with_cert_resolver(shown);
        Ok(Arc::new(config))
    }

    /// Settings of a caller; it verifies the server's fixed name (`identity::member_server_name`).
    pub fn client(&self) -> Result<Arc<ClientConfig>, TlsError> {
        self.client_with(Arc::new(SingleCertAndKey::from(self.certified()?)))
    }

    pub(crate) fn client_with(&self, shown: Arc<dyn ResolvesClientCert>) -> Result<Arc<ClientConfig>, TlsError> {
        let config = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()?
            .with_root_certificates(self.roots()?)
            .with_client_cert_resolver(shown);
        Ok(Arc::new(config))
    }

    /// Whether a peer with these roots takes a chain as `identity`'s, now.
    pub(crate) fn verify(&self, chain: &[CertificateDer<'static>], identity: &Identity) -> Result<(), TlsError> {
        let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(self.roots()?), provider())
            .build()
            .map_err(|e| TlsError::Verifier(e.to_string()))?;
        let name = identity.dns_names().into_iter().next().ok_or(TlsError::Nameless)?;
        let name = ServerName::try_from(name).map_err(|e| TlsError::Verifier(e.to_string()))?;
        let (leaf, above) = chain.split_first().ok_or(TlsError::Nameless)?;
        verifier.verify_server_cert(leaf, above, &name, &[], UnixTime::now())?;
        Ok(())
    }

    /// The identity in the own certificate.
    pub fn identity(&self) -> Result<Identity, TlsError> {
        let chain = certificates("the certificate", &self.cert)?;
        chain.first().map_or(Err(TlsError::Nameless), peer_identity)
    }
}

/// Who a verified certificate names.
pub fn peer_identity(cert: &CertificateDer<'_>) -> Result<Identity, TlsError> {
    let (_, parsed) = X509Certificate::from_der(cert)
        .map_err(|e| TlsError::Pem { what: "the peer's certificate", reason: e.to_string() })?;
    let names = parsed.subject_alternative_name().ok().flatten().ok_or(TlsError::Nameless)?;
    names
        .value
        .general_names
        .iter()
        .find_map(|name| match name {
            GeneralName::URI(uri) => Identity::parse(uri),
            _ => None,
        })
        .ok_or(TlsError::Nameless)
}

fn certificates(what: &'static str, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let certs = CertificateDer::pem_slice_iter(pem)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|e| TlsError::Pem { what, reason: e.to_string() })?;
    if certs.is_empty() {
        return Err(TlsError::Pem { what, reason: "it holds no certificate".into() });
    }
    Ok(certs)
}

fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}
