//! A test authority and key pairs of one cluster, made anew for each test.
//!
//! Law: as the operator makes them: names from `Identity`, members are servers and clients, all others clients. Must
//! not know: members.

use std::path::Path;

use jet_admin_api::identity::{Identity, Role};
use jet_admin_api::tls::Material;
use rcgen::{
    BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose, SanType,
};

pub const NAMESPACE: &str = "local";

pub struct Pki {
    certificate: String,
    issuer: Issuer<'static, KeyPair>,
    cluster: String,
}

impl Pki {
    pub fn new(cluster: &str) -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let certificate = params.self_signed(&key).unwrap().pem();
        Self { certificate, issuer: Issuer::new(params, key), cluster: cluster.into() }
    }

    pub fn issue(&self, role: Role) -> Material {
        let identity = Identity::new(NAMESPACE, &self.cluster, role);
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(identity.dns_names()).unwrap();
        params.subject_alt_names.push(SanType::URI(identity.uri().as_str().try_into().unwrap()));
        params.extended_key_usages = match identity.role {
            Role::Member(_) => vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth],
            _ => vec![ExtendedKeyUsagePurpose::ClientAuth],
        };
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        Material {
            ca: self.certificate.clone().into(),
            cert: certificate.pem().into(),
            key: key.serialize_pem().into(),
        }
    }

    pub fn write_members(&self, dir: &Path, members: u32) {
        std::fs::create_dir_all(dir).unwrap();
        std::fs::write(dir.join("ca.crt"), &self.certificate).unwrap();
        for ordinal in 0..members {
            let material = self.issue(Role::Member(ordinal));
            std::fs::write(dir.join(format!("{ordinal}.crt")), material.cert).unwrap();
            std::fs::write(dir.join(format!("{ordinal}.key")), material.key).unwrap();
        }
    }
}
