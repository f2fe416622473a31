//! A test authority and key pairs of one cluster, made anew for each test.
//!
//! Law: as the operator makes them: names from `Identity`, members are servers and clients, all others clients. Must
//! not know: members.

use std::ops::RangeInclusive;
use std::path::Path;

use jet_admin_api::identity::{Identity, Role};
use jet_admin_api::tls::Material;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SanType, date_time_ymd,
};

pub const NAMESPACE: &str = "local";

pub struct Pki {
    certificate: String,
    issuer: Issuer<'static, KeyPair>,
    cluster: String,
}

impl Pki {
    pub fn new(cluster: &str) -> Self {
        Self::named(cluster, "authority")
    }

    /// An authority that calls itself so.
    pub fn named(cluster: &str, name: &str) -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let certificate = params.self_signed(&key).unwrap().pem();
        Self { certificate, issuer: Issuer::new(params, key), cluster: cluster.into() }
    }

    fn of(&self, role: Role) -> CertificateParams {
        Self::named_as(Identity::new(NAMESPACE, &self.cluster, role))
    }

    fn named_as(identity: Identity) -> CertificateParams {
        let mut params = CertificateParams::new(identity.dns_names()).unwrap();
        params.subject_alt_names.push(SanType::URI(identity.uri().as_str().try_into().unwrap()));
        params.extended_key_usages = match identity.role {
            Role::Member(_) => vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth],
            _ => vec![ExtendedKeyUsagePurpose::ClientAuth],
        };
        params
    }

    fn sign(&self, params: &CertificateParams) -> Material {
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        Material {
            ca: self.certificate.clone().into(),
            cert: certificate.pem().into(),
            key: key.serialize_pem().into(),
        }
    }

    pub fn issue(&self, role: Role) -> Material {
        self.sign(&self.of(role))
    }

    /// Of this authority, for another cluster.
    pub fn issue_for(&self, cluster: &str, role: Role) -> Material {
        self.sign(&Self::named_as(Identity::new(NAMESPACE, cluster, role)))
    }

    /// Valid from the first day of the first to the first day of the last of these years.
    pub fn issue_within(&self, role: Role, years: RangeInclusive<i32>) -> Material {
        let mut params = self.of(role);
        params.not_before = date_time_ymd(*years.start(), 1, 1);
        params.not_after = date_time_ymd(*years.end(), 1, 1);
        self.sign(&params)
    }

    /// Of the authority, and of nobody.
    pub fn issue_nameless(&self) -> Material {
        let mut params = CertificateParams::new(vec!["somebody.example".into()]).unwrap();
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        self.sign(&params)
    }

    pub fn write_members(&self, dir: &Path, members: u32) {
        std::fs::create_dir_all(dir).unwrap();
        std::fs::write(dir.join("ca.crt"), &self.certificate).unwrap();
        for ordinal in 0..members {
            Self::write_member(dir, ordinal, &self.issue(Role::Member(ordinal)));
        }
    }

    pub fn write_member(dir: &Path, ordinal: u32, material: &Material) {
        std::fs::write(dir.join(format!("{ordinal}.crt")), &material.cert).unwrap();
        std::fs::write(dir.join(format!("{ordinal}.key")), &material.key).unwrap();
    }
}
