//! Who may depend on whom.
//!
//! Law: `admin-api`, `core`, `hotstore` and `protocol` know none of ours; `engine` knows none; `map` knows `core`, `query` knows `protocol`;
//! `member` is the only place where they meet; the operator knows only `admin-api`, the CLI also the audit of
//! `hotstore`. A simulated world (`sim`) knows what a member is made of. Tests that write a page know `pages`. Must not know: versions.

use std::collections::{BTreeMap, BTreeSet};

use crate::tree;

/// Manifest directory → the crates of ours that it may name.
const MAY_KNOW: [(&str, &[&str]); 18] = [
    ("admin-api", &[]),
    ("cli", &["jet-admin-api", "jet-hotstore", "jet-pages"]),
    ("e2e", &["jet-admin-api"]),
    (
        "member",
        &[
            "jet-admin-api",
            "jet-core",
            "jet-engine",
            "jet-hotstore",
            "jet-map",
            "jet-pages",
            "jet-protocol",
            "jet-query",
        ],
    ),
    ("member/bench", &["jet-protocol"]),
    ("member/core", &["jet-pages"]),
    ("member/engine", &[]),
    ("member/fuzz", &["jet-admin-api", "jet-core", "jet-map"]),
    ("member/hotstore", &[]),
    ("member/hotstore/bench", &["jet-hotstore"]),
    ("member/hotstore/fuzz", &["jet-hotstore"]),
    ("member/map", &["jet-core"]),
    ("member/protocol", &[]),
    ("member/protocol/fuzz", &["jet-protocol"]),
    ("member/query", &["jet-protocol"]),
    ("operator", &["jet-admin-api", "jet-pages"]),
    ("pages", &[]),
    ("sim", &["jet-core", "jet-hotstore", "jet-map", "jet-member"]),
];

#[test]
fn each_room_knows_only_whom_it_may() {
    let allowed: BTreeMap<&str, &[&str]> = MAY_KNOW.into_iter().collect();
    for manifest in tree::files("Cargo.toml") {
        let room = manifest.trim_end_matches("Cargo.toml").trim_end_matches('/');
        if room.is_empty() || room == "xtask" {
            continue;
        }
        let may: BTreeSet<&str> = allowed
            .get(room)
            .unwrap_or_else(|| {
                panic!("{room} is a new room: say in xtask/src/dependencies.rs and ARCHITECTURE.md whom it may know")
            })
            .iter()
            .copied()
            .collect();
        for line in tree::text(&manifest).lines() {
            let name = line.split(['.', ' ', '=']).next().unwrap_or_default();
            let ours = name.starts_with("jet-") && line.contains('=');
            assert!(!ours || may.contains(name), "{manifest} names {name}; {room} may know only {may:?}");
        }
    }
}

#[test]
fn no_version_is_written_outside_the_root_manifest() {
    for manifest in tree::files("Cargo.toml").iter().filter(|m| m.as_str() != "Cargo.toml") {
        let text = tree::text(manifest);
        // A workspace of its own (the benchmark with its peers) has a root manifest of its own.
        if text.lines().any(|line| line == "[workspace]") {
            continue;
        }
        let in_dependencies = text.split("\n[").filter(|section| section.contains("dependencies]"));
        for line in in_dependencies.flat_map(str::lines).filter(|l| l.contains('=') && !l.starts_with('#')) {
            assert!(
                line.contains("workspace = true") || line.contains("path ="),
                "{manifest}: `{line}` should be `workspace = true`, its version in the root manifest"
            );
        }
    }
}
