//! Golden files: what a person reads, with that masked which differs from run to run.
//!
//! Law: one thing has one name through the whole story, so that a reader sees what stays and what changes; a mismatch
//! prints the lines that differ; `JET_GOLDEN=write` writes the files anew. Must not know: what the text means.

use crate::readme::root;
use crate::shell::attempt;

/// Set to `write`, files are written and not compared.
const WISH: &str = "JET_GOLDEN";
/// Shorter runs of hexadecimal digits are words or numbers.
const DIGEST: usize = 16;
/// Digits behind the number of an operation.
const RANDOM: usize = 4;

/// What was masked so far, in the order of its first appearance.
#[derive(Default)]
pub struct Mask {
    seen: Vec<String>,
}

impl Mask {
    /// The text with names for what differs from run to run.
    pub fn text(&mut self, text: &str) -> String {
        text.lines().map(|line| self.line(line).trim_end().to_owned() + "\n").collect()
    }

    fn line(&mut self, line: &str) -> String {
        for (key, mask) in [("resourceVersion: ", "<version>"), ("snapshot: ", "<execution>/<epoch>")] {
            if let Some(at) = line.find(key) {
                return format!("{}{key}{mask}", &line[..at]);
            }
        }
        let of_word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | ':' | '.' | '_');
        let (mut out, mut rest) = (String::new(), line);
        while let Some(start) = rest.find(of_word) {
            let (before, from) = rest.split_at(start);
            let (word, after) = from.split_at(from.find(|c| !of_word(c)).unwrap_or(from.len()));
            let bare = word.trim_end_matches(['.', ':', '-']);
            out = out + before + &self.word(bare) + &word[bare.len()..];
            rest = after;
        }
        out + rest
    }

    fn word(&mut self, word: &str) -> String {
        if is_time(word) {
            "<time>".into()
        } else if is_age(word) {
            "<age>".into()
        } else if is_address(word) {
            "<address>".into()
        } else if is_uuid(word) {
            self.named("uuid", word)
        } else if is_operation(word) {
            self.named("operation", word)
        } else if word.len() >= DIGEST && is_hex(word) {
            self.named("digest", word)
        } else {
            word.into()
        }
    }

    fn named(&mut self, kind: &str, word: &str) -> String {
        let known = format!("{kind} {word}");
        if !self.seen.contains(&known) {
            self.seen.push(known.clone());
        }
        let alike = self.seen.iter().filter(|seen| seen.starts_with(kind));
        format!("<{kind} {}>", alike.take_while(|seen| **seen != known).count() + 1)
    }
}

/// Compares a text with the file `e2e/golden/<name>`, or writes it; `Err`: the lines that differ.
pub fn compare(name: &str, text: &str) -> Result<(), String> {
    let path = root().join("e2e/golden").join(name);
    if std::env::var(WISH).is_ok_and(|wish| wish == "write") {
        return std::fs::write(&path, text).map_err(|error| format!("{}: {error}", path.display()));
    }
    attempt("diff", &["-u", path.to_str().expect("UTF-8"), "-"], Some(text)).map(drop)
}

fn is_hex(word: &str) -> bool {
    !word.is_empty() && word.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

fn is_number(word: &str) -> bool {
    !word.is_empty() && word.bytes().all(|b| b.is_ascii_digit())
}

fn is_time(word: &str) -> bool {
    let date = word.split_once('T').filter(|(_, time)| time.ends_with('Z') && time.contains(':'));
    date.is_some_and(|(date, _)| date.split('-').count() == 3 && date.split('-').all(is_number))
}

/// As kubectl writes ages: `12s`, `3m20s`.
fn is_age(word: &str) -> bool {
    word.starts_with(|c: char| c.is_ascii_digit())
        && word.ends_with(['s', 'm', 'h', 'd'])
        && word.chars().all(|c| c.is_ascii_digit() || matches!(c, 's' | 'm' | 'h' | 'd'))
}

fn is_address(word: &str) -> bool {
    let host = word.split(':').next().unwrap_or_default();
    host.split('.').count() == 4 && host.split('.').all(is_number)
}

fn is_uuid(word: &str) -> bool {
    let lengths: Vec<usize> = word.split('-').map(str::len).collect();
    lengths == [8, 4, 4, 4, 12] && word.split('-').all(is_hex)
}

fn is_operation(word: &str) -> bool {
    word.split_once('-').is_some_and(|(number, random)| is_number(number) && random.len() >= RANDOM && is_hex(random))
}

#[cfg(test)]
mod tests {
    use super::Mask;

    #[test]
    fn one_thing_has_one_name_and_sentences_stay() {
        let mut mask = Mask::default();
        let of = |mask: &mut Mask, text: &str| mask.text(text).trim_end().to_owned();
        let uuid = "0f8fad5b-d9cb-469f-a165-70867728950e";
        assert_eq!(of(&mut mask, &format!("uid: {uuid}")), "uid: <uuid 1>");
        assert_eq!(of(&mut mask, "uid: 7c9e6679-7425-40de-944b-e07fc1f90ae7"), "uid: <uuid 2>");
        assert_eq!(of(&mut mask, &format!("sealed by {uuid}: done.")), "sealed by <uuid 1>: done.");
        assert_eq!(
            of(&mut mask, "operation 3-9f1c2a7b ends (operation 3-9f1c2a7b)"),
            "operation <operation 1> ends (operation <operation 1>)"
        );
        assert_eq!(of(&mut mask, "at: \"2026-01-02T03:04:05Z\""), "at: \"<time>\"");
        assert_eq!(of(&mut mask, "  resourceVersion: \"4711\""), "  resourceVersion: <version>");
        assert_eq!(of(&mut mask, "orders   Running   3/3   1m20s"), "orders   Running   3/3   <age>");
        let sentence = "replicas 3 → 0, justified by orders-seal-2; t-story/data-orders-0 is version 0.1.0";
        assert_eq!(of(&mut mask, sentence), sentence);
    }
}
