//! Names in documents exist.
//!
//! Law: a path in backticks that looks like one of ours is there; a document speaks of the project alone. Must not
//! know: prose.

use crate::tree;

/// Heads of paths that are ours.
const ROOMS: [&str; 17] = [
    "admin-api/",
    "operator/",
    "member/",
    "cli/",
    "e2e/",
    "conformance/",
    "charts/",
    "crds/",
    "docs/",
    "pages/",
    "xtask/",
    "dev/",
    "demo/",
    "dist/",
    "bench/",
    "sim/",
    ".ci/",
];

#[test]
fn paths_in_documents_exist() {
    let mut missing = Vec::new();
    for document in tree::files(".md") {
        for word in quoted(&tree::text(&document)) {
            let ours =
                ROOMS.iter().any(|room| word.starts_with(room)) && !word.contains(['<', '*', '{', ' ', '…', '$']);
            if ours && !tree::root().join(word.trim_end_matches('/')).exists() {
                missing.push(format!("{document}: {word}"));
            }
        }
    }
    assert!(missing.is_empty(), "documents name what does not exist: {missing:#?}");
}

#[test]
fn make_targets_in_documents_exist() {
    let makefile = tree::text("Makefile");
    for document in tree::files(".md") {
        for word in quoted(&tree::text(&document)) {
            if let Some(target) = word.strip_prefix("make ").and_then(|rest| rest.split(' ').next()) {
                assert!(
                    makefile.lines().any(|l| l.starts_with(&format!("{target}:"))),
                    "{document}: `{word}`: the Makefile has no target {target}"
                );
            }
        }
    }
}

#[test]
fn readme_is_bounded_and_architecture_too() {
    for (document, limit) in [("ARCHITECTURE.md", 300), ("README.md", 300)] {
        let lines = tree::text(document).lines().count();
        assert!(lines <= limit, "{document} has {lines} lines, at most {limit}");
    }
}

fn quoted(text: &str) -> Vec<&str> {
    text.split("```").step_by(2).flat_map(|part| part.split('`').skip(1).step_by(2)).collect()
}
