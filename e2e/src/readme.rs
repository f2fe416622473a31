//! The blocks of the README that users copy, extracted so that tests run exactly those.
//!
//! Law: a block is named by the comment `<!-- e2e: name -->` before it. Must not know: what a block does.

use std::path::{Path, PathBuf};

/// Root of the checkout that is tested: asked when the test runs, because checkouts may share what was built.
pub fn root() -> PathBuf {
    let here = std::env::var("CARGO_MANIFEST_DIR").expect("run by cargo");
    Path::new(&here).parent().expect("e2e has a parent").to_path_buf()
}

/// The block called `name`.
pub fn block(name: &str) -> String {
    let text = std::fs::read_to_string(root().join("README.md")).expect("README.md");
    let from =
        text.split_once(&format!("<!-- e2e: {name} -->")).unwrap_or_else(|| panic!("README.md has no block {name}")).1;
    let body = from.split_once("```bash\n").expect("a bash block follows the comment").1;
    body.split_once("```").expect("the block ends").0.to_owned()
}

#[cfg(test)]
mod tests {
    use super::block;

    #[test]
    fn the_readme_has_every_block_that_the_tests_run() {
        for (name, word) in [
            ("install", "helm install"),
            ("apply", "kind: JetCluster"),
            ("stop", "maintenance=shutdown"),
            ("return", "maintenance-"),
            ("encrypt", "keysSecretName"),
        ] {
            assert!(block(name).contains(word), "block {name} lost `{word}`");
        }
    }
}
