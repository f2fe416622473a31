//! Of which maps a change waits for the disks: `hazelcast.map.NAME.hot-restart.fsync`.
//!
//! Law: as of everything that is said of maps by name ([`ByName`]); of two patterns that fit equally well the one that waits
//! counts. Nobody says: it does not wait. Must not know: what a map holds, how it is waited.

use super::ConfigError;
use super::by_name::ByName;
use super::documents::Document;

const LEAF: &str = "hot-restart.fsync";

/// Which maps.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fsync {
    maps: ByName<bool>,
}

impl Fsync {
    /// As the documents say it.
    pub fn decide(document: &Document) -> Result<Self, ConfigError> {
        let read = |key: &str| document.parsed::<bool>(key, "it must be true or false");
        Ok(Self { maps: ByName::decide(document, LEAF, read)? })
    }

    /// Of these maps and patterns every change waits.
    pub fn of(names: &[&str]) -> Self {
        let mut fsync = Self::default();
        for name in names {
            fsync.maps.takes(name, true);
        }
        fsync
    }

    /// Whether changes of this map wait.
    pub fn waits(&self, map: &str) -> bool {
        self.maps.of(map).copied().unwrap_or(false)
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
