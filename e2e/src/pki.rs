//! Members' certificates in their Secret, made old.
//!
//! Law: by the authority that the operator keeps, with the names that they had. Must not know: how the operator renews.

use std::time::Duration;

use jet_admin_api::identity::{Identity, Role};
use rcgen::{CertificateParams, ExtendedKeyUsagePurpose, Issuer, KeyPair, KeyUsagePurpose, SanType};

use crate::shell::{attempt, run};

fn secret(namespace: &str, name: &str, key: &str) -> String {
    let template = format!("go-template={{{{index .data \"{key}\" | base64decode}}}}");
    run("kubectl", &["-n", namespace, "get", "secret", name, "-o", &template])
}

/// The certificate of a member, as its Secret has it.
pub fn certificate(namespace: &str, cluster: &str, ordinal: u32) -> String {
    secret(namespace, &format!("{cluster}-members"), &format!("{ordinal}.crt"))
}

/// Replaces the certificates of all members by such that expired an hour ago; answers the one of member 0.
pub fn expire_members(namespace: &str, cluster: &str, size: u32) -> String {
    let authority = format!("jet-ca.{namespace}.{cluster}");
    let (ca, key) = (secret("jet-system", &authority, "ca.crt"), secret("jet-system", &authority, "ca.key"));
    let issuer = Issuer::from_ca_cert_pem(&ca, KeyPair::from_pem(&key).expect("the authority's key")).expect("a CA");
    let mut data = serde_json::Map::new();
    for ordinal in 0..size {
        let identity = Identity::new(namespace, cluster, Role::Member(ordinal));
        let key = secret(namespace, &format!("{cluster}-members"), &format!("{ordinal}.key"));
        data.insert(format!("{ordinal}.crt"), expired(&identity, &key, &issuer).into());
    }
    let patch = serde_json::json!({ "stringData": data }).to_string();
    attempt("kubectl", &["-n", namespace, "patch", "secret", &format!("{cluster}-members"), "-p", &patch], None)
        .unwrap_or_else(|said| panic!("{said}"));
    certificate(namespace, cluster, 0)
}

fn expired(identity: &Identity, key: &str, issuer: &Issuer<'_, KeyPair>) -> String {
    let (hour, year) = (Duration::from_secs(3600), Duration::from_secs(365 * 24 * 3600));
    let mut params = CertificateParams::new(identity.dns_names()).expect("names");
    params.subject_alt_names.push(SanType::URI(identity.uri().as_str().try_into().expect("a URI")));
    params.use_authority_key_identifier_extension = true;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    let now = std::time::SystemTime::now();
    params.not_after = (now - hour).into();
    params.not_before = (now - year).into();
    let key = KeyPair::from_pem(key).expect("the member's key");
    params.signed_by(&key, issuer).expect("signed").pem()
}
