//! What the operator holds in memory to dial members, and how long it believes it.
//!
//! Law: bounded; what is older than [`TRUSTED_FOR`] is read again, so that a deleted Secret comes back without a
//! restart. Must not know: how Secrets look.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use jet_admin_api::tls::{Material, TlsError};
use rustls::ClientConfig;

/// A cluster's Secrets are looked at again after this.
pub const TRUSTED_FOR: Duration = Duration::from_secs(60);
/// Clusters held; beyond it the oldest is dropped, which costs three reads.
const HELD: usize = 4096;

/// Key pair of the operator for one cluster, in PEM, with what it trusts.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// The cluster's authority.
    pub authority: String,
    /// The operator's certificate.
    pub certificate: String,
    /// The operator's key.
    pub key: String,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credentials(…)")
    }
}

impl Credentials {
    /// For rustls.
    pub fn material(&self) -> Material {
        Material {
            ca: self.authority.clone().into_bytes(),
            cert: self.certificate.clone().into_bytes(),
            key: self.key.clone().into_bytes(),
        }
    }
}

/// Credentials with the TLS settings made of them once, so that sessions are resumed.
#[derive(Debug)]
pub struct Badge {
    /// What it is made of.
    pub credentials: Credentials,
    tls: OnceLock<Arc<ClientConfig>>,
}

impl Badge {
    /// A badge out of credentials.
    pub fn new(credentials: Credentials) -> Self {
        Self { credentials, tls: OnceLock::new() }
    }

    /// Settings of a caller.
    pub fn tls(&self) -> Result<Arc<ClientConfig>, TlsError> {
        if let Some(tls) = self.tls.get() {
            return Ok(tls.clone());
        }
        let made = self.credentials.material().client()?;
        Ok(self.tls.get_or_init(|| made).clone())
    }
}

#[derive(Debug)]
struct Held {
    badge: Arc<Badge>,
    ordinals: u32,
    since: Instant,
}

/// Credentials by (namespace, cluster).
#[derive(Debug, Default)]
pub struct Wallet {
    held: Mutex<BTreeMap<(String, String), Held>>,
}

impl Wallet {
    /// What is held for a cluster, if it is young and covers at least `ordinals` members.
    pub fn get(&self, namespace: &str, cluster: &str, ordinals: u32, now: Instant) -> Option<Arc<Badge>> {
        let held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = held.get(&(namespace.to_owned(), cluster.to_owned()))?;
        let young = now.saturating_duration_since(entry.since) < TRUSTED_FOR;
        (young && entry.ordinals >= ordinals).then(|| entry.badge.clone())
    }

    /// Holds what was just read or made.
    pub fn put(
        &self,
        namespace: &str,
        cluster: &str,
        ordinals: u32,
        credentials: Credentials,
        now: Instant,
    ) -> Arc<Badge> {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (namespace.to_owned(), cluster.to_owned());
        if held.len() >= HELD && !held.contains_key(&key) {
            let oldest = held.iter().min_by_key(|(_, entry)| entry.since).map(|(key, _)| key.clone());
            if let Some(oldest) = oldest {
                held.remove(&oldest);
            }
        }
        let badge = match held.get(&key) {
            Some(entry) if entry.badge.credentials == credentials => entry.badge.clone(),
            _ => Arc::new(Badge::new(credentials)),
        };
        held.insert(key, Held { badge: badge.clone(), ordinals, since: now });
        badge
    }

    /// Forgets a cluster.
    pub fn forget(&self, namespace: &str, cluster: &str) {
        self.held.lock().unwrap_or_else(PoisonError::into_inner).remove(&(namespace.to_owned(), cluster.to_owned()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn credentials(key: &str) -> Credentials {
        Credentials { authority: "a".into(), certificate: "c".into(), key: key.into() }
    }

    #[test]
    fn is_believed_while_young_and_wide_enough() {
        let (wallet, start) = (Wallet::default(), Instant::now());
        let put = wallet.put("prod", "orders", 3, credentials("k"), start);
        assert!(Arc::ptr_eq(&put, &wallet.get("prod", "orders", 3, start).unwrap()));
        assert!(wallet.get("prod", "orders", 4, start).is_none(), "a fourth member needs a key pair");
        assert!(wallet.get("prod", "orders", 3, start + TRUSTED_FOR).is_none(), "too old");
        assert!(wallet.get("test", "orders", 3, start).is_none());
        let again = wallet.put("prod", "orders", 4, credentials("k"), start);
        assert!(Arc::ptr_eq(&put, &again), "nothing changed");
        let renewed = wallet.put("prod", "orders", 4, credentials("new"), start);
        assert!(!Arc::ptr_eq(&put, &renewed));
    }
}
