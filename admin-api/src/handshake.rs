//! What a refused handshake means, in words: whose certificate, why, and the way out.
//!
//! Law: a side that refuses a certificate has read nothing of what was asked, so nothing was done. Must not know:
//! routes, retries.

use std::error::Error;
use std::io;

use rustls::{AlertDescription, CertificateError, ClientConfig, Error as TlsFailure};
use x509_parser::prelude::{ASN1Time, FromDer, X509Certificate};

use crate::tls::peer_identity;

const ISSUE_ANEW: &str = "take one that the cluster's own CA has issued";

/// If `error` is a handshake that ended over a certificate: what to tell a person.
pub(crate) fn refused(error: &(dyn Error + 'static), tls: &ClientConfig) -> Option<String> {
    match failure(error)? {
        TlsFailure::AlertReceived(alert) => {
            why_ours(*alert).map(|why| format!("the member refuses our certificate ({}): {why}", own(tls)))
        }
        TlsFailure::InvalidCertificate(wrong) => {
            Some(format!("its certificate is refused by us: {}", why_theirs(wrong)))
        }
        _ => None,
    }
}

fn failure<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a TlsFailure> {
    let mut next = Some(error);
    while let Some(error) = next {
        // An I/O error gives the source of what it holds, and not what it holds.
        let held = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        let found = held.and_then(|held| held.downcast_ref()).or_else(|| error.downcast_ref());
        if found.is_some() {
            return found;
        }
        next = error.source();
    }
    None
}

/// Alerts that end a handshake over our certificate. All others may come later.
fn why_ours(alert: AlertDescription) -> Option<String> {
    Some(match alert {
        // The second: a CA of the same name and another key.
        AlertDescription::UnknownCA | AlertDescription::DecryptError => {
            format!("no CA that the member trusts has signed it; {ISSUE_ANEW}")
        }
        AlertDescription::CertificateExpired => {
            "it has expired or is not valid yet; have it issued anew, and compare the clocks".into()
        }
        AlertDescription::CertificateRequired | AlertDescription::NoCertificate => {
            format!("none was shown; {ISSUE_ANEW}")
        }
        AlertDescription::BadCertificate
        | AlertDescription::UnsupportedCertificate
        | AlertDescription::CertificateRevoked
        | AlertDescription::CertificateUnknown
        | AlertDescription::AccessDenied => format!("{alert:?}; {ISSUE_ANEW}"),
        _ => return None,
    })
}

fn why_theirs(wrong: &CertificateError) -> String {
    match wrong {
        CertificateError::UnknownIssuer | CertificateError::BadSignature => {
            "no CA that we trust has signed it; a member of another cluster answers there, or our ca.crt is not this \
             cluster's"
                .into()
        }
        // Without the time of the look, which would make another sentence of it each second.
        CertificateError::Expired => "it has expired; the member must be given a new one".into(),
        CertificateError::ExpiredContext { not_after, .. } => {
            format!("it has expired on {}; the member must be given a new one", date(not_after.as_secs()))
        }
        CertificateError::NotValidYet => "it is not valid yet; compare the clocks".into(),
        CertificateError::NotValidYetContext { not_before, .. } => {
            format!("it is not valid before {}; compare the clocks", date(not_before.as_secs()))
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            format!("{wrong}; a member of another cluster answers there")
        }
        _ => wrong.to_string(),
    }
}

fn date(seconds: u64) -> String {
    let time = i64::try_from(seconds).ok().and_then(|seconds| ASN1Time::from_timestamp(seconds).ok());
    time.map_or_else(|| format!("{seconds} s after 1970"), |time| time.to_string())
}

/// Who we say we are, and until when.
fn own(tls: &ClientConfig) -> String {
    let Some(shown) = tls.client_auth_cert_resolver.resolve(&[], &[]) else { return "none".into() };
    let Some(leaf) = shown.cert.first() else { return "none".into() };
    let name = peer_identity(leaf).map_or_else(|_| "without a name of ours".into(), |identity| identity.uri());
    match X509Certificate::from_der(leaf) {
        Ok((_, parsed)) => {
            let validity = parsed.validity();
            format!("{name}, valid from {} to {}", validity.not_before, validity.not_after)
        }
        Err(_) => name,
    }
}
