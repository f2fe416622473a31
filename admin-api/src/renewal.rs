//! A process's own key pair, replaced while it runs: a certificate lives shorter than a cluster.
//!
//! Law: the new pair names the same identity under the same CA, or the old one stays and the reason is told; connections
//! that exist go on. Must not know: who issues, and when.

use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use rustls::client::ResolvesClientCert;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, ServerConfig, SignatureScheme};

use crate::identity::Identity;
use crate::tls::{Material, TlsError};

/// Key pair and CA out of a directory (a mounted Secret), with settings for both ends that follow it.
#[derive(Debug)]
pub struct Renewable {
    dir: PathBuf,
    stem: String,
    shown: Arc<Shown>,
}

/// What the next handshake shows.
struct Shown(RwLock<(Material, Arc<CertifiedKey>)>);

impl std::fmt::Debug for Shown {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Shown(…)")
    }
}

impl Shown {
    fn material(&self) -> Material {
        self.0.read().unwrap_or_else(PoisonError::into_inner).0.clone()
    }

    fn key(&self) -> Arc<CertifiedKey> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).1.clone()
    }
}

impl ResolvesServerCert for Shown {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.key())
    }
}

impl ResolvesClientCert for Shown {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        Some(self.key())
    }

    fn has_certs(&self) -> bool {
        true
    }
}

impl Renewable {
    /// Reads `ca.crt`, `<stem>.crt` and `<stem>.key` of `dir`.
    pub fn read(dir: &Path, stem: &str) -> Result<Self, TlsError> {
        let material = Material::read(dir, stem)?;
        let key = Arc::new(material.certified()?);
        let shown = Arc::new(Shown(RwLock::new((material, key))));
        Ok(Self { dir: dir.to_owned(), stem: stem.to_owned(), shown })
    }

    /// The identity that is shown.
    pub fn identity(&self) -> Result<Identity, TlsError> {
        self.shown.material().identity()
    }

    /// Settings of a listener.
    pub fn server(&self) -> Result<Arc<ServerConfig>, TlsError> {
        self.shown.material().server_with(self.shown.clone())
    }

    /// Settings of a caller.
    pub fn client(&self) -> Result<Arc<ClientConfig>, TlsError> {
        self.shown.material().client_with(self.shown.clone())
    }

    /// Reads the directory again and takes a new pair; `false`: it is the one that is shown.
    pub fn renew(&self) -> Result<bool, TlsError> {
        let (old, new) = (self.shown.material(), Material::read(&self.dir, &self.stem)?);
        if (&old.cert, &old.key) == (&new.cert, &new.key) {
            return Ok(false);
        }
        let refused = |what: &str, why: String| TlsError::NotRenewed { dir: self.dir.clone(), what: what.into(), why };
        let (is, was) = (new.identity()?, old.identity()?);
        if is != was {
            return Err(refused("a certificate of another identity", is.uri()));
        }
        let key = new.certified()?;
        key.keys_match()?;
        // Under the roots that this process goes by: a CA beside it that changed is none of theirs.
        old.verify(&key.cert, &is).map_err(|why| refused("a certificate that peers would refuse", why.to_string()))?;
        let new = Material { ca: old.ca, ..new };
        *self.shown.0.write().unwrap_or_else(PoisonError::into_inner) = (new, Arc::new(key));
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use std::ops::RangeInclusive;

    use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, SanType, date_time_ymd};

    use super::*;
    use crate::identity::Role;

    fn authority() -> (String, Issuer<'static, KeyPair>) {
        let (key, mut params) = (KeyPair::generate().unwrap(), CertificateParams::default());
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let certificate = params.self_signed(&key).unwrap().pem();
        (certificate, Issuer::new(params, key))
    }

    fn issue(issuer: &Issuer<'_, KeyPair>, ordinal: u32) -> (String, String) {
        within(issuer, ordinal, 2020..=2100)
    }

    fn within(issuer: &Issuer<'_, KeyPair>, ordinal: u32, years: RangeInclusive<i32>) -> (String, String) {
        let identity = Identity::new("prod", "orders", Role::Member(ordinal));
        let mut params = CertificateParams::new(identity.dns_names()).unwrap();
        params.subject_alt_names.push(SanType::URI(identity.uri().as_str().try_into().unwrap()));
        (params.not_before, params.not_after) =
            (date_time_ymd(*years.start(), 1, 1), date_time_ymd(*years.end(), 1, 1));
        let key = KeyPair::generate().unwrap();
        (params.signed_by(&key, issuer).unwrap().pem(), key.serialize_pem())
    }

    #[test]
    fn a_new_pair_of_the_same_member_is_shown_and_no_other() {
        let dir = tempfile::tempdir().unwrap();
        let put = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).unwrap();
        let both = |(certificate, key): &(String, String)| {
            put("0.crt", certificate);
            put("0.key", key);
        };
        let (ca, issuer) = authority();
        let (first, second, other) = (issue(&issuer, 0), issue(&issuer, 0), issue(&issuer, 1));
        put("ca.crt", &ca);
        both(&first);
        let held = Renewable::read(dir.path(), "0").unwrap();
        let shown = || held.shown.key().cert.clone();
        let before = shown();
        assert!(!held.renew().unwrap());
        // Half written: the certificate is new and the key is not yet.
        put("0.crt", &second.0);
        assert!(held.renew().is_err());
        both(&other);
        assert!(held.renew().unwrap_err().to_string().contains("another identity"));
        let (_, stranger) = authority();
        both(&issue(&stranger, 0));
        assert!(held.renew().unwrap_err().to_string().contains("peers would refuse"));
        both(&within(&issuer, 0, 2019..=2020));
        assert!(held.renew().unwrap_err().to_string().contains("xpired"));
        assert_eq!(shown(), before, "what is refused changes nothing");
        put("ca.crt", &authority().0);
        both(&second);
        assert!(held.renew().unwrap());
        assert_ne!(shown(), before);
    }
}
