//! Making an authority and issuing certificates from it.
//!
//! Law: a certificate carries exactly the names that `Identity` gives; nothing secret appears in `Debug`. Must not
//! know: Secrets, renewal.

use std::fmt;
use std::time::Duration;

use jet_admin_api::identity::{Identity, Role};
use jiff::Timestamp;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SanType,
};

/// Life of an authority.
pub const AUTHORITY_LIFE: Duration = Duration::from_secs(10 * 365 * 24 * 3600);
/// Life of a leaf.
pub const LEAF_LIFE: Duration = Duration::from_secs(365 * 24 * 3600);
/// Certificates begin this much in the past, because clocks of nodes differ.
pub const BACKDATED: Duration = Duration::from_secs(3600);

/// Something that could not be made or read.
#[derive(Debug, thiserror::Error)]
pub enum AuthorityError {
    /// rcgen refused.
    #[error("cannot {what} for {whom}: {source}")]
    Certificate {
        /// What was tried.
        what: &'static str,
        /// For whom.
        whom: String,
        /// The library's words.
        source: rcgen::Error,
    },
    /// A time outside of what a certificate can say.
    #[error("the clock says {0}, which is no date for a certificate: set the node's clock")]
    Clock(Timestamp),
}

/// A key pair in PEM.
#[derive(Clone, PartialEq, Eq)]
pub struct Issued {
    /// Certificate.
    pub certificate: String,
    /// Private key.
    pub key: String,
}

/// An authority: certificate and key in PEM.
#[derive(Clone, PartialEq, Eq)]
pub struct Authority {
    /// Certificate.
    pub certificate: String,
    /// Private key.
    pub key: String,
}

impl fmt::Debug for Issued {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Issued(…)")
    }
}

impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Authority(…)")
    }
}

impl Authority {
    /// A new authority for one cluster. `distinct` goes into its name, so that two authorities of one cluster
    /// can be told apart by issuer.
    pub fn create(namespace: &str, cluster: &str, distinct: &str, now: Timestamp) -> Result<Self, AuthorityError> {
        let whom = format!("{namespace}/{cluster}");
        let failed = |what| {
            let whom = whom.clone();
            move |source| AuthorityError::Certificate { what, whom, source }
        };
        let key = KeyPair::generate().map_err(failed("generate the authority's key"))?;
        let mut params = CertificateParams::default();
        params.distinguished_name = common_name(&format!("jet {namespace}/{cluster} {distinct}"));
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        valid_for(&mut params, now, AUTHORITY_LIFE)?;
        let certificate = params.self_signed(&key).map_err(failed("sign the authority's certificate"))?;
        Ok(Self { certificate: certificate.pem(), key: key.serialize_pem() })
    }

    /// A key pair for `identity`.
    pub fn issue(&self, identity: &Identity, now: Timestamp) -> Result<Issued, AuthorityError> {
        let whom = identity.uri();
        let failed = |what| {
            let whom = whom.clone();
            move |source| AuthorityError::Certificate { what, whom, source }
        };
        let authority_key = KeyPair::from_pem(&self.key).map_err(failed("read the authority's key"))?;
        let issuer = Issuer::from_ca_cert_pem(&self.certificate, authority_key)
            .map_err(failed("read the authority's certificate"))?;
        let key = KeyPair::generate().map_err(failed("generate a key"))?;
        let mut params = CertificateParams::new(identity.dns_names()).map_err(failed("write the DNS names"))?;
        let uri = whom.as_str().try_into().map_err(failed("write the identity"))?;
        params.subject_alt_names.push(SanType::URI(uri));
        params.distinguished_name = common_name(&identity.role.to_string());
        params.use_authority_key_identifier_extension = true;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = match identity.role {
            Role::Member(_) => vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth],
            _ => vec![ExtendedKeyUsagePurpose::ClientAuth],
        };
        valid_for(&mut params, now, LEAF_LIFE)?;
        let certificate = params.signed_by(&key, &issuer).map_err(failed("sign a certificate"))?;
        Ok(Issued { certificate: certificate.pem(), key: key.serialize_pem() })
    }
}

fn common_name(name: &str) -> DistinguishedName {
    let mut out = DistinguishedName::new();
    out.push(DnType::CommonName, name);
    out
}

fn valid_for(params: &mut CertificateParams, now: Timestamp, life: Duration) -> Result<(), AuthorityError> {
    let seconds = u64::try_from(now.as_second()).map_err(|_| AuthorityError::Clock(now))?;
    let begin = seconds.checked_sub(BACKDATED.as_secs()).ok_or(AuthorityError::Clock(now))?;
    let epoch = rcgen::date_time_ymd(1970, 1, 1);
    params.not_before = epoch + Duration::from_secs(begin);
    params.not_after = epoch + Duration::from_secs(seconds) + life;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pki::Credentials;
    use jet_admin_api::identity::{any_member_server_name, member_server_name};
    use jet_admin_api::tls::peer_identity;
    use rustls::{ClientConnection, ServerConnection};

    fn material(authority: &Authority, role: Role) -> jet_admin_api::tls::Material {
        let issued = authority.issue(&Identity::new("prod", "orders", role), Timestamp::now()).unwrap();
        let authority = authority.certificate.clone();
        Credentials { authority, certificate: issued.certificate, key: issued.key }.material()
    }

    /// Who each end saw, or why they did not meet.
    fn meet(
        caller: &jet_admin_api::tls::Material,
        name: &str,
        member: &jet_admin_api::tls::Material,
    ) -> Result<[Identity; 2], String> {
        let said = |error: rustls::Error| error.to_string();
        let name = name.to_owned().try_into().unwrap();
        let mut client = ClientConnection::new(caller.client().unwrap(), name).map_err(said)?;
        let mut server = ServerConnection::new(member.server().unwrap()).map_err(said)?;
        while client.is_handshaking() || server.is_handshaking() {
            let mut wire = Vec::new();
            client.write_tls(&mut wire).unwrap();
            server.read_tls(&mut wire.as_slice()).unwrap();
            server.process_new_packets().map_err(said)?;
            let mut wire = Vec::new();
            server.write_tls(&mut wire).unwrap();
            client.read_tls(&mut wire.as_slice()).unwrap();
            client.process_new_packets().map_err(said)?;
        }
        let seen = [client.peer_certificates().unwrap(), server.peer_certificates().unwrap()];
        Ok(seen.map(|chain| peer_identity(&chain[0]).unwrap()))
    }

    #[test]
    fn operator_and_member_meet_by_name_and_know_each_other() {
        let authority = Authority::create("prod", "orders", "1", Timestamp::now()).unwrap();
        let (operator, member) = (material(&authority, Role::Operator), material(&authority, Role::Member(2)));
        for name in [member_server_name("prod", "orders", 2), any_member_server_name("prod", "orders")] {
            let [seen_member, seen_operator] = meet(&operator, &name, &member).unwrap();
            assert_eq!(seen_member.role, Role::Member(2));
            assert_eq!(seen_operator, Identity::new("prod", "orders", Role::Operator));
        }
        let error = meet(&operator, &member_server_name("prod", "orders", 1), &member).unwrap_err();
        assert!(error.contains("name"), "member 2 is not member 1: {error}");
        let foreign = Authority::create("prod", "orders", "2", Timestamp::now()).unwrap();
        assert!(meet(&material(&foreign, Role::Operator), &member_server_name("prod", "orders", 2), &member).is_err());
        let server = meet(&operator, &member_server_name("prod", "orders", 2), &operator).unwrap_err();
        assert!(!server.is_empty(), "an operator is nobody's server");
    }
}
