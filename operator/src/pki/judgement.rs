//! Whether a certificate that exists will do, or why not.
//!
//! Law: pure, the time is handed in; what cannot be read is issued anew, never trusted. Must not know: Secrets.

use std::fmt;

use jet_admin_api::identity::Identity;
use jiff::Timestamp;
use rcgen::KeyPair;
use x509_parser::extensions::GeneralName;
use x509_parser::pem::Pem;
use x509_parser::prelude::X509Certificate;

/// A certificate is issued anew when less than this part (one third) of its life is left.
const RENEWED_AT_LAST: i64 = 3;

/// Why a key pair is issued anew.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Why {
    /// There is none.
    Absent,
    /// It cannot be read.
    Unreadable,
    /// It names somebody else.
    OtherIdentity,
    /// Another authority signed it.
    OtherAuthority,
    /// Certificate and key do not belong together.
    OtherKey,
    /// Less than a third of its life is left (or all is over).
    LittleLifeLeft {
        /// Seconds left; negative: expired.
        seconds: i64,
    },
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Why::Absent => f.write_str("there was none"),
            Why::Unreadable => f.write_str("it could not be read"),
            Why::OtherIdentity => f.write_str("it named somebody else"),
            Why::OtherAuthority => f.write_str("another authority had signed it"),
            Why::OtherKey => f.write_str("certificate and key did not belong together"),
            Why::LittleLifeLeft { seconds } => write!(f, "{seconds} s of its life were left"),
        }
    }
}

/// A key pair as found: both parts, or not.
#[derive(Clone, Copy, Debug, Default)]
pub struct Found<'a> {
    /// Certificate in PEM.
    pub certificate: Option<&'a str>,
    /// Key in PEM.
    pub key: Option<&'a str>,
}

/// `None`: it will do.
pub fn why_issue(found: Found<'_>, wanted: &Identity, authority_pem: &str, now: Timestamp) -> Option<Why> {
    let (Some(certificate), Some(key)) = (found.certificate, found.key) else {
        return Some(Why::Absent);
    };
    let judged = with_certificate(certificate, |leaf| {
        with_certificate(authority_pem, |authority| judge(leaf, authority, key, wanted, now))
    });
    match judged {
        Some(Some(verdict)) => verdict,
        _ => Some(Why::Unreadable),
    }
}

/// Whether an authority's certificate is past two thirds of its life; `None`: it cannot be read.
pub fn authority_grows_old(authority_pem: &str, now: Timestamp) -> Option<bool> {
    with_certificate(authority_pem, |certificate| little_life_left(certificate, now).is_some())
}

/// Whether two certificates are the same authority: same name, same key.
pub fn same_authority(one: &str, other: &str) -> bool {
    with_certificate(one, |one| {
        with_certificate(other, |other| {
            one.subject().as_raw() == other.subject().as_raw() && one.public_key().raw == other.public_key().raw
        })
    })
    .flatten()
    .unwrap_or(false)
}

fn judge(
    leaf: &X509Certificate<'_>,
    authority: &X509Certificate<'_>,
    key: &str,
    wanted: &Identity,
    now: Timestamp,
) -> Option<Why> {
    if leaf.issuer().as_raw() != authority.subject().as_raw() {
        return Some(Why::OtherAuthority);
    }
    if !names(leaf, wanted) {
        return Some(Why::OtherIdentity);
    }
    let Ok(pair) = KeyPair::from_pem(key) else {
        return Some(Why::Unreadable);
    };
    if pair.public_key_raw() != leaf.public_key().subject_public_key.data.as_ref() {
        return Some(Why::OtherKey);
    }
    little_life_left(leaf, now)
}

fn names(leaf: &X509Certificate<'_>, wanted: &Identity) -> bool {
    let Ok(Some(names)) = leaf.subject_alternative_name() else {
        return false;
    };
    let uri = wanted.uri();
    let mut uris = Vec::new();
    let mut dns = Vec::new();
    for name in &names.value.general_names {
        match name {
            GeneralName::URI(name) => uris.push((*name).to_owned()),
            GeneralName::DNSName(name) => dns.push((*name).to_owned()),
            _ => return false,
        }
    }
    uris == [uri] && dns == wanted.dns_names()
}

fn little_life_left(certificate: &X509Certificate<'_>, now: Timestamp) -> Option<Why> {
    let (begin, end) = (certificate.validity().not_before.timestamp(), certificate.validity().not_after.timestamp());
    let left = end - now.as_second();
    (left < (end - begin) / RENEWED_AT_LAST).then_some(Why::LittleLifeLeft { seconds: left })
}

fn with_certificate<T>(pem: &str, look: impl FnOnce(&X509Certificate<'_>) -> T) -> Option<T> {
    let pem = Pem::iter_from_buffer(pem.as_bytes()).next()?.ok()?;
    let certificate = pem.parse_x509().ok()?;
    Some(look(&certificate))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pki::{Authority, Issued};
    use jet_admin_api::identity::Role;
    use jiff::ToSpan;

    fn now() -> Timestamp {
        "2026-11-22T12:00:00Z".parse().unwrap()
    }

    fn later(days: i64) -> Timestamp {
        now() + (24 * days).hours()
    }

    fn found(issued: &Issued) -> Found<'_> {
        Found { certificate: Some(&issued.certificate), key: Some(&issued.key) }
    }

    #[test]
    fn a_certificate_will_do_until_two_thirds_of_its_life_are_over() {
        let authority = Authority::create("prod", "orders", "1", now()).unwrap();
        for role in [Role::Member(2), Role::Operator, Role::Admin] {
            let who = Identity::new("prod", "orders", role);
            let issued = authority.issue(&who, now()).unwrap();
            let judge = |at| why_issue(found(&issued), &who, &authority.certificate, at);
            assert_eq!(judge(now()), None);
            assert_eq!(judge(later(240)), None);
            assert!(matches!(judge(later(250)), Some(Why::LittleLifeLeft { seconds }) if seconds > 0));
            assert!(matches!(judge(later(400)), Some(Why::LittleLifeLeft { seconds }) if seconds < 0));
        }
    }

    #[test]
    fn what_does_not_fit_is_issued_anew_for_its_own_reason() {
        let authority = Authority::create("prod", "orders", "1", now()).unwrap();
        let other = Authority::create("prod", "orders", "2", now()).unwrap();
        let who = Identity::new("prod", "orders", Role::Member(0));
        let issued = authority.issue(&who, now()).unwrap();
        let second = authority.issue(&who, now()).unwrap();
        let mixed = Issued { certificate: issued.certificate.clone(), key: second.key };
        let one = Identity::new("prod", "orders", Role::Member(1));
        let why = |found, who| why_issue(found, who, &authority.certificate, now());
        assert_eq!(why(Found::default(), &who), Some(Why::Absent));
        assert_eq!(why(Found { certificate: Some("x"), key: Some("y") }, &who), Some(Why::Unreadable));
        assert_eq!(why(found(&issued), &one), Some(Why::OtherIdentity));
        assert_eq!(why(found(&mixed), &who), Some(Why::OtherKey));
        assert_eq!(why_issue(found(&issued), &who, &other.certificate, now()), Some(Why::OtherAuthority));
        assert!(same_authority(&authority.certificate, &authority.certificate));
        assert!(!same_authority(&authority.certificate, &other.certificate));
    }

    #[test]
    fn nothing_secret_is_printed() {
        let authority = Authority::create("prod", "orders", "1", now()).unwrap();
        let issued = authority.issue(&Identity::new("prod", "orders", Role::Admin), now()).unwrap();
        assert!(!format!("{authority:?}{issued:?}").contains("PRIVATE"));
    }
}
