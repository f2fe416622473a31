//! A section's place in a page: between two marks, so that several tests share one page and what a person writes around
//! it stays.
//!
//! Law: a page is read and written under a lock, because tests run side by side. Must not know: what stands in it.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// With the value `write`, what was seen is written; without, it is compared.
const VARIABLE: &str = "JET_PAGES";

/// `page` of `docs/`, from the room that cargo runs the test of: asked when it runs, because checkouts may share what was
/// built.
pub fn of_docs(page: &str) -> PathBuf {
    PathBuf::from(std::env::var_os("CARGO_MANIFEST_DIR").expect("run by cargo")).join("../docs").join(page)
}

/// Compares section `name` of the page with `seen`, or writes it.
pub fn keep(page: &Path, name: &str, seen: &str) {
    let mut file =
        File::options().read(true).write(true).open(page).unwrap_or_else(|e| panic!("{}: {e}", page.display()));
    file.lock().unwrap();
    let mut text = String::new();
    file.read_to_string(&mut text).unwrap();
    let Some((before, found, after)) = split(&text, name) else {
        panic!("{} has no section {name}: write the lines '{}' and '{}'", page.display(), begin(name), end(name));
    };
    if found == seen {
        return;
    }
    if std::env::var_os(VARIABLE).is_some_and(|value| value == "write") {
        file.set_len(0).unwrap();
        file.seek(SeekFrom::Start(0)).unwrap();
        file.write_all(format!("{before}{seen}{after}").as_bytes()).unwrap();
        println!("written: section {name} of {}", page.display());
        return;
    }
    panic!(
        "section {name} of {} is not what was seen. If that is right, run this test with {VARIABLE}=write.\n{}",
        page.display(),
        differences(found, seen)
    );
}

fn begin(name: &str) -> String {
    format!("<!-- seen: {name} -->\n")
}

fn end(name: &str) -> String {
    format!("<!-- end: {name} -->")
}

fn split<'a>(text: &'a str, name: &str) -> Option<(&'a str, &'a str, &'a str)> {
    let begin = begin(name);
    let from = text.find(&begin)? + begin.len();
    let to = from + text[from..].find(&end(name))?;
    Some((&text[..from], &text[from..to], &text[to..]))
}

fn differences(page: &str, seen: &str) -> String {
    let only = |of: &str, not_in: &str, sign: &str| -> String {
        of.lines()
            .filter(|line| !not_in.lines().any(|other| other == *line))
            .map(|line| format!("{sign} {line}\n"))
            .collect()
    };
    only(page, seen, "page:") + &only(seen, page, "seen:")
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = "head\n<!-- seen: one -->\na\n<!-- end: one -->\n\n<!-- seen: two -->\n<!-- end: two -->\n";

    #[test]
    fn a_section_is_what_lies_between_its_marks() {
        let (before, found, after) = split(PAGE, "one").unwrap();
        assert_eq!((found, before.len() + found.len() + after.len()), ("a\n", PAGE.len()));
        assert_eq!(split(PAGE, "two").unwrap().1, "");
        assert!(split(PAGE, "three").is_none());
    }

    #[test]
    fn both_sides_of_a_difference_are_told() {
        assert_eq!(differences("a\nb\n", "a\nc\n"), "page: b\nseen: c\n");
    }
}
