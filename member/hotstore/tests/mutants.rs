//! The bugs that are put back on purpose (`mutants/`, run by `dev/store-mutants`) do not rot: each patch still fits the
//! sources, and the test that is to catch it is there.
//!
//! Must not know: what a bug does. It needs no git.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::fs;
use std::path::{Path, PathBuf};

const FEWEST: usize = 29;

fn crate_dir() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A place of a file that a patch changes: the lines that must be there now, and those that it puts in their place.
struct Hunk {
    file: PathBuf,
    now: String,
    then: String,
}

fn hunks(patch: &str) -> Vec<Hunk> {
    let (mut file, mut hunks) = (None, Vec::<Hunk>::new());
    for line in patch.lines().skip_while(|line| !line.starts_with("--- ")) {
        if let Some(name) = line.strip_prefix("--- a/member/hotstore/") {
            file = Some(crate_dir().join(name));
        } else if line.starts_with("@@ ") {
            let file = file.clone().expect("a hunk lies in a file of this crate");
            hunks.push(Hunk { file, now: String::new(), then: String::new() });
        } else if let Some(hunk) = hunks.last_mut().filter(|_| !line.starts_with("+++ ")) {
            let (sign, text) = line.split_at_checked(1).unwrap_or((" ", ""));
            let text = format!("{text}\n");
            match sign {
                " " => [&mut hunk.now, &mut hunk.then].into_iter().for_each(|side| side.push_str(&text)),
                "-" => hunk.now.push_str(&text),
                "+" => hunk.then.push_str(&text),
                _ => panic!("no line of a patch: {line}"),
            }
        }
    }
    hunks
}

fn all_sources(dir: &Path, text: &mut String) {
    for entry in fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()) {
        if entry.is_dir() {
            all_sources(&entry, text);
        } else {
            text.push_str(&fs::read_to_string(entry).unwrap());
        }
    }
}

/// Sources in which a target of cargo has its tests.
fn tests_of(target: &str) -> String {
    let mut text = String::new();
    match target {
        "lib" => all_sources(&crate_dir().join("src"), &mut text),
        _ => text = fs::read_to_string(crate_dir().join(format!("tests/{target}.rs"))).unwrap(),
    }
    text
}

#[test]
fn every_patch_fits_the_sources_and_names_a_test_that_is_there() {
    let names = fs::read_dir(crate_dir().join("mutants")).unwrap().map(|entry| entry.unwrap().path());
    let patches: Vec<_> = names.filter(|path| path.extension().is_some_and(|kind| kind == "patch")).collect();
    assert!(patches.len() >= FEWEST, "{} patches", patches.len());
    for path in patches {
        let (patch, name) = (fs::read_to_string(&path).unwrap(), path.display());
        let mut head = patch.lines();
        let caught = head.next().and_then(|line| line.strip_prefix("# caught by: ")).and_then(|by| by.split_once(' '));
        let (target, test) = caught.unwrap_or_else(|| panic!("{name}: its first line says who catches it"));
        assert!(tests_of(target).contains(&format!("fn {test}")), "{name}: {target} has no test {test}");
        assert!(head.next().is_some_and(|why| why.starts_with("# ")), "{name}: its second line says what is lost");
        let hunks = hunks(&patch);
        assert!(!hunks.is_empty(), "{name}: it changes nothing");
        for Hunk { file, now, then } in hunks {
            let places = fs::read_to_string(&file).unwrap().matches(&now).count();
            assert!(now != then && places == 1, "{name}: {places} places of {} are\n{now}", file.display());
        }
    }
}
