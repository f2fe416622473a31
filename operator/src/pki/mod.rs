//! The authority that the operator runs for each cluster: who may speak as a member, the operator, a person.
//!
//! Law: private keys of an authority stay in the operator's own namespace; a new authority is never made while
//! members run under the old one; certificates are issued anew before two thirds of their life are over. Must not
//! know: the maintenance protocol, members' state.
//!
//! - [`authority`]: makes an authority and issues certificates from it
//! - [`judgement`]: pure: whether a certificate that exists will do
//! - [`custody`]: keeps all of it in Secrets · [`wallet`]: what the operator holds in memory to dial members

pub mod authority;
pub mod custody;
pub mod judgement;
pub mod wallet;

pub use authority::{Authority, Issued};
pub use custody::{CustodyError, ensure};
pub use wallet::{Badge, Credentials, Wallet};

/// Name of the Secret with the authority, in the operator's namespace. Dots keep `a-b`/`c` and `a`/`b-c` apart.
pub fn authority_secret(namespace: &str, cluster: &str) -> String {
    format!("jet-ca.{namespace}.{cluster}")
}

/// Name of the Secret with the operator's key pair where somebody else issues, in the cluster's namespace.
pub fn provided_secret(cluster: &str) -> String {
    format!("{cluster}-operator")
}
