//! A table of refusals: what was given, how it ended, what was said.
//!
//! Law: a table is taken only if each row names the thing and the way out. Must not know: who said it.

use crate::{section, words};

/// Rows of one section.
pub struct Table {
    section: &'static str,
    masks: Vec<(String, String)>,
    rows: Vec<[String; 3]>,
    silent: Vec<String>,
}

impl Table {
    /// An empty one.
    pub fn of(section: &'static str) -> Self {
        Self { section, masks: Vec::new(), rows: Vec::new(), silent: Vec::new() }
    }

    /// From now on `what` is written as `with`: it differs from run to run.
    pub fn mask(&mut self, what: impl ToString, with: &str) {
        self.masks.push((what.to_string(), with.to_owned()));
    }

    /// `given` ended as `ended` with the words `said`, in which `must` has to be: what it is about, and the way out.
    pub fn saw(&mut self, given: &str, ended: impl ToString, said: &str, must: &[&str]) {
        let said = self.masked(said);
        assert!(!must.is_empty(), "{given}: nothing is demanded of the words: {said}");
        let missing = must.iter().filter(|part| !said.contains(**part));
        self.silent.extend(missing.map(|part| format!("{given}: the words do not say '{part}': {said}")));
        self.rows.push([self.masked(given), ended.to_string(), said]);
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// None.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Every row says what it must, and the page has exactly these.
    pub fn keep(&self, page: &str) {
        assert!(self.silent.is_empty(), "section {}:\n{}", self.section, self.silent.join("\n"));
        section::keep(&section::of_docs(page), self.section, &self.text());
    }

    fn masked(&self, text: &str) -> String {
        let known = self.masks.iter().fold(text.to_owned(), |text, (what, with)| text.replace(what, with));
        words::without_ids(&known)
    }

    fn text(&self) -> String {
        let mut text = String::from("| given | ends with | what is said |\n|---|---|---|\n");
        for [given, ended, said] in &self.rows {
            text += &format!("| {} | {ended} | {} |\n", words::cell(given), words::cell(said));
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_written_with_what_differs_masked() {
        let mut table = Table::of("x");
        table.mask("/tmp/a1", "<dir>");
        table.saw("size: 0 in /tmp/a1", "exit 1", "/tmp/a1: size is 0; write 1", &["size", "write 1"]);
        let row = "| `size: 0 in <dir>` | exit 1 | `<dir>: size is 0; write 1` |\n";
        assert!(table.text().ends_with(row), "{}", table.text());
    }

    #[test]
    #[should_panic(expected = "do not say 'write 1'")]
    fn words_without_a_way_out_are_caught() {
        let mut table = Table::of("x");
        table.saw("size: 0", 1, "size is 0", &["size", "write 1"]);
        table.keep("none.md");
    }
}
