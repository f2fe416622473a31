//! Of which maps a change waits for the disks: `hazelcast.map.NAME.hot-restart.fsync`.
//!
//! Law: the name itself is asked first, then patterns (a name with one `*`; the one with the most other letters), then the
//! map `default`; who does not say is passed over, and of two patterns that fit equally well the one that waits counts.
//! Nobody says: it does not wait. Must not know: what a map holds, how it is waited.

use std::collections::BTreeMap;

use super::ConfigError;
use super::documents::Document;

/// Name of the map whose settings are those of every map without its own.
const DEFAULT: &str = "default";
const SECTION: &str = "hazelcast.map";
const LEAF: &str = "hot-restart.fsync";

/// Which maps.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fsync {
    names: BTreeMap<String, bool>,
    patterns: Vec<Pattern>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Pattern {
    before: String,
    behind: String,
    waits: bool,
}

impl Pattern {
    /// How well it fits, if it does.
    fn fits(&self, map: &str) -> Option<(usize, bool)> {
        let rest = map.strip_prefix(self.before.as_str())?;
        rest.ends_with(self.behind.as_str()).then_some((self.before.len() + self.behind.len(), self.waits))
    }
}

impl Fsync {
    /// As the documents say it.
    pub fn decide(document: &Document) -> Result<Self, ConfigError> {
        let mut fsync = Self::default();
        for (name, key) in document.named(SECTION, LEAF) {
            let Some(waits) = document.parsed::<bool>(&key, "it must be true or false")? else { continue };
            if !fsync.takes(&name, waits) {
                let wanted = format!("'{name}' has more than one '*': write the map's name, or a pattern with one '*'");
                return Err(document.wrong(&key, &format!("'{waits}'"), wanted));
            }
        }
        Ok(fsync)
    }

    /// Of these maps and patterns every change waits.
    pub fn of(names: &[&str]) -> Self {
        let mut fsync = Self::default();
        for name in names {
            fsync.takes(name, true);
        }
        fsync
    }

    fn takes(&mut self, name: &str, waits: bool) -> bool {
        match name.split_once('*') {
            Some((_, behind)) if behind.contains('*') => return false,
            Some((before, behind)) => {
                self.patterns.push(Pattern { before: before.to_owned(), behind: behind.to_owned(), waits });
            }
            None => {
                self.names.insert(name.to_owned(), waits);
            }
        }
        true
    }

    /// Whether changes of this map wait.
    pub fn waits(&self, map: &str) -> bool {
        if let Some(waits) = self.names.get(map) {
            return *waits;
        }
        let best = self.patterns.iter().filter_map(|pattern| pattern.fits(map)).max();
        best.map(|(_, waits)| waits).or_else(|| self.names.get(DEFAULT).copied()).unwrap_or(false)
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn decide(maps: &str) -> Result<Fsync, ConfigError> {
        let mut document = Document::default();
        document.add(Path::new("hazelcast.yaml"), &format!("hazelcast: {{map: {{{maps}}}}}\n"))?;
        Fsync::decide(&document)
    }

    fn says(name: &str, waits: &str) -> String {
        format!("'{name}': {{hot-restart: {{enabled: true, fsync: {waits}}}}}")
    }

    #[test]
    fn the_nearest_that_says_something_counts() {
        let silent = "silent: {in-memory-format: BINARY}, 'silent-*': {hot-restart: {enabled: true}}".to_owned();
        let all = [
            says("orders", "true"),
            says("orders-*", "false"),
            says("orders-eu*", "'true'"),
            says("*-log", "true"),
            says("tie*", "false"),
            says("*tie", "true"),
            silent,
        ];
        let without = decide(&all.join(", ")).unwrap();
        let with = decide(&[&all[..], &[says("default", "true")]].concat().join(", ")).unwrap();
        for (map, waits, waits_by_default) in [
            ("orders", true, true),
            ("orders-us", false, false),
            ("orders-eu-1", true, true),
            ("orders-", false, false),
            ("audit-log", true, true),
            ("orders-log", false, false),
            ("tie-tie", true, true),
            ("silent", false, true),
            ("silent-1", false, true),
            ("other", false, true),
            ("default", false, true),
            ("", false, true),
        ] {
            assert_eq!((without.waits(map), with.waits(map)), (waits, waits_by_default), "{map}");
        }
        assert_eq!(decide("").unwrap(), Fsync::default());
        assert!(Fsync::of(&["kept*"]).waits("kept-1") && !Fsync::of(&["kept*"]).waits("other"));
    }

    #[test]
    fn a_pattern_does_not_fit_a_name_that_is_shorter_than_it() {
        let fsync = decide(&says("ab*ba", "true")).unwrap();
        for (map, waits) in [("abba", true), ("ab-ba", true), ("aba", false), ("ab", false)] {
            assert_eq!(fsync.waits(map), waits, "{map}");
        }
    }

    #[test]
    fn what_is_neither_true_nor_false_or_no_pattern_is_refused_by_its_key() {
        for (maps, expected) in [
            (says("m", "7"), "'hazelcast.map.m.hot-restart.fsync' is '7', but it must be true or false"),
            (says("m", "[true]"), "'hazelcast.map.m.hot-restart.fsync' is not a single value"),
            (says("a*b*", "true"), "a pattern with one '*'"),
        ] {
            let said = decide(&maps).unwrap_err().to_string();
            assert!(said.contains(expected), "{maps}: {said}");
        }
    }
}
