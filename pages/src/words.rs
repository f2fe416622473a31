//! What differs from run to run, and text inside a table of Markdown.
//!
//! Law: only what cannot be the same twice is masked. Must not know: tables.

/// Lengths of the groups of hexadecimal digits in a UUID.
const UUID: [usize; 5] = [8, 4, 4, 4, 12];

/// Hexadecimal digits of a digest.
const DIGEST_LENGTH: usize = 64;
const UUID_LENGTH: usize = 36;

/// Every UUID in `text` as `<uuid>`, every digest as `<digest>`.
pub fn without_ids(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let (length, word) = match (uuid_at(rest), digest_at(rest)) {
            (Some(length), _) => (length, "<uuid>"),
            (None, Some(length)) => (length, "<digest>"),
            (None, None) => (first.len_utf8(), &rest[..first.len_utf8()]),
        };
        out.push_str(word);
        rest = &rest[length..];
    }
    out
}

fn digest_at(text: &str) -> Option<usize> {
    let fits = text.get(..DIGEST_LENGTH)?.bytes().all(|byte| byte.is_ascii_hexdigit());
    fits.then_some(DIGEST_LENGTH)
}

fn uuid_at(text: &str) -> Option<usize> {
    let candidate = text.get(..UUID_LENGTH)?;
    let groups: Vec<&str> = candidate.split('-').collect();
    let fits = groups.len() == UUID.len()
        && groups
            .iter()
            .zip(UUID)
            .all(|(group, length)| group.len() == length && group.bytes().all(|byte| byte.is_ascii_hexdigit()));
    fits.then_some(UUID_LENGTH)
}

/// `text` as code in a cell, each of its lines by itself.
pub fn cell(text: &str) -> String {
    let lines: Vec<String> = text.lines().filter(|line| !line.trim().is_empty()).map(code).collect();
    lines.join("<br>")
}

fn code(line: &str) -> String {
    let line = line.trim_end().replace('|', "\\|");
    if line.contains('`') { format!("`` {line} ``") } else { format!("`{line}`") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_masked_wherever_they_stand() {
        let id = "0f8fad5b-d9cb-469f-a165-70867728950e";
        assert_eq!(without_ids(&format!("member {id}: é {id}")), "member <uuid>: é <uuid>");
        let digest = "0a".repeat(32);
        assert_eq!(without_ids(&format!("seal {digest}.")), "seal <digest>.");
        for plain in ["", "0f8fad5b-d9cb", "not-a-uuid-but-as-long-as-one-would-be", "ééééééééééééééééééé"]
        {
            assert_eq!(without_ids(plain), plain);
        }
    }

    #[test]
    fn text_stays_in_its_cell() {
        assert_eq!(cell("a|b\n\nsay `x`\n"), "`a\\|b`<br>`` say `x` ``");
    }
}
