//! Certificates, keys and addresses with which `jet` calls a member.
//!
//! Law: nothing is asked of a member that did not take the certificate. Must not know: what would be asked.

use std::net::TcpListener;
use std::process::Command;

use jet_admin_api::identity::Role;
use jet_admin_api::tls::Material;
use jet_pages::Table;

use super::programs::{ended, exit, program};
use crate::world::{CLUSTER, Pki, World};

/// A directory as `--tls-dir` wants it.
pub fn pair(world: &World, name: &str, material: &Material) -> String {
    let dir = world.dir.path().join("callers").join(name);
    std::fs::create_dir_all(&dir).unwrap();
    for (file, text) in [("ca.crt", &material.ca), ("tls.crt", &material.cert), ("tls.key", &material.key)] {
        std::fs::write(dir.join(file), text).unwrap();
    }
    dir.display().to_string()
}

fn list_jobs(member: &str, dir: &str) -> (i32, String) {
    ended(Command::new(program("jet")).args(["list-jobs", "--member", member, "--tls-dir", dir]))
}

/// Who is refused, and who calls where nobody is.
pub fn certificates(world: &World) -> Table {
    let mut table = Table::of("certificates and addresses");
    let (pki, member) = (&world.pki, world.admin_address(0));
    table.mask(&member, "<member>");
    table.mask(world.dir.path().display(), "<dir>");
    let ours = pki.issue(Role::Admin);
    let foreign = Pki::named(CLUSTER, "another authority").issue(Role::Admin);
    let cases: [(&str, Material, &[&str]); 9] = [
        (
            "a certificate of another CA",
            Material { ca: ours.ca.clone(), ..foreign.clone() },
            &["jet://local/orders/admin", "the cluster's own CA has issued"],
        ),
        (
            "a ca.crt of another CA",
            Material { ca: foreign.ca.clone(), ..ours.clone() },
            &["its certificate is refused by us", "our ca.crt is not this cluster's"],
        ),
        (
            "a certificate that has expired",
            pki.issue_within(Role::Admin, 2019..=2020),
            &["2020", "have it issued anew"],
        ),
        (
            "a certificate for another cluster",
            pki.issue_for("sales", Role::Admin),
            &["sales", "a member of another cluster answers there"],
        ),
        (
            "a certificate without a name of ours",
            pki.issue_nameless(),
            &["jet://<namespace>/<cluster>/<role>", "Give --tls-dir"],
        ),
        (
            "a key of another certificate",
            Material { key: foreign.key.clone(), ..ours.clone() },
            &["TLS material", "Give --tls-dir"],
        ),
        (
            "a tls.crt that is none",
            Material { cert: b"not a certificate".to_vec(), ..ours.clone() },
            &["the certificate", "Give --tls-dir"],
        ),
        (
            "a ca.crt that is none",
            Material { ca: b"not a certificate".to_vec(), ..ours.clone() },
            &["ca.crt", "Give --tls-dir"],
        ),
        (
            "a program's certificate",
            pki.issue(Role::Client),
            &["the role client may not call GET /v1/jobs", "use a certificate of a role that may"],
        ),
    ];
    for (given, material, must) in cases {
        let (code, said) = list_jobs(&member, &pair(world, "case", &material));
        table.saw(given, exit(code), &said, must);
    }
    let dir = pair(world, "ours", &ours);
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let probes = world.health_address(0);
    for (address, shown, must) in [
        (free.as_str(), "<nobody>", ["<nobody>", "does a member listen there"]),
        (probes.as_str(), "<probes>", ["<probes>", "does a member listen there"]),
        ("localhost", "localhost", ["localhost", "does a member listen there"]),
    ] {
        table.mask(address, shown);
        let (code, said) = list_jobs(address, &dir);
        table.saw(&format!("--member {shown}"), exit(code), &said, &must);
    }
    table
}
