//! Every source file says what it is for, and the compiler reads it.
//!
//! Law: a `.rs` file opens with `//!` and is named by a `mod` of its parent, a target of its manifest, or lies where
//! cargo looks by itself. Must not know: what the files say.

use std::path::Path;

use crate::tree;

#[test]
fn every_file_opens_with_its_purpose() {
    let silent: Vec<String> =
        tree::files(".rs").into_iter().filter(|path| !tree::text(path).starts_with("//!")).collect();
    assert!(
        silent.is_empty(),
        "these files do not open with `//!` (what the room is for, its law, what it must not know): {silent:#?}"
    );
}

#[test]
fn every_file_is_reached_by_the_compiler() {
    let unreached: Vec<String> =
        tree::files(".rs").into_iter().filter(|path| !found_by_cargo(path) && !declared(path)).collect();
    assert!(unreached.is_empty(), "no `mod` or target names these files: {unreached:#?}");
}

fn found_by_cargo(path: &str) -> bool {
    let parts: Vec<&str> = path.split('/').collect();
    let at = |back: usize| parts.len().checked_sub(back).and_then(|i| parts.get(i)).copied().unwrap_or_default();
    matches!(at(1), "lib.rs" | "main.rs" | "build.rs") || matches!(at(2), "bin" | "tests" | "benches" | "examples")
}

fn declared(path: &str) -> bool {
    let path = Path::new(path);
    let (dir, stem) = (path.parent().unwrap(), path.file_stem().unwrap().to_str().unwrap());
    let (module, parent_dir) =
        if stem == "mod" { (dir.file_name().unwrap().to_str().unwrap(), dir.parent().unwrap()) } else { (stem, dir) };
    let as_file = parent_dir
        .parent()
        .map(|up| up.join(format!("{}.rs", parent_dir.file_name().unwrap_or_default().to_string_lossy())));
    let mut parents: Vec<_> = ["mod.rs", "lib.rs", "main.rs"].iter().map(|head| parent_dir.join(head)).collect();
    parents.extend(as_file);
    parents.extend(
        tree::files(".rs").into_iter().map(std::path::PathBuf::from).filter(|p| p.parent() == Some(parent_dir)),
    );
    parents.iter().filter(|p| tree::root().join(p).is_file()).any(|parent| {
        let text = tree::text(parent.to_str().unwrap());
        text.lines().any(|line| {
            let line = line.trim();
            line.ends_with(&format!("mod {module};"))
                || line.ends_with(&format!("mod {module} {{"))
                || line.contains(&format!("#[path = \"{module}.rs\"]"))
        })
    })
}
