//! The checkout as the guards see it.
//!
//! Law: only files that git tracks or would track count. Must not know: what a guard looks for.

use std::path::{Path, PathBuf};
#[cfg(test)]
use std::process::Command;

/// Root of the checkout that is tested: asked when the test runs, because checkouts may share what was built.
pub fn root() -> PathBuf {
    // Without cargo: the directory that it is called in.
    let room = std::env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from);
    room.as_deref().and_then(Path::parent).unwrap_or(Path::new(".")).to_path_buf()
}

/// Paths of all files, relative to the root, that end with `suffix`.
#[cfg(test)]
pub fn files(suffix: &str) -> Vec<String> {
    let out = Command::new("git")
        .args(["ls-files", "--cached", "--others", "--exclude-standard"])
        .current_dir(root())
        .output()
        .expect("git ls-files");
    assert!(out.status.success(), "git ls-files: {}", String::from_utf8_lossy(&out.stderr));
    let exists = |path: &&str| root().join(path).is_file();
    String::from_utf8(out.stdout)
        .unwrap()
        .lines()
        .filter(|path| path.ends_with(suffix))
        .filter(exists)
        .map(str::to_owned)
        .collect()
}

/// Text of a file of the checkout.
#[cfg(test)]
pub fn text(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|e| panic!("{path}: {e}"))
}
