//! What is said of maps by their names.
//!
//! Law: the name itself is asked first, then patterns (a name with one `*`; the one with the most other letters), then the map
//! `default`; who does not say is passed over, and of two patterns that fit equally well the one that says more counts.
//! Must not know: what is said.

use std::collections::BTreeMap;

use super::ConfigError;
use super::documents::Document;

/// Name of the map whose settings are those of every map without its own.
const DEFAULT: &str = "default";
const SECTION: &str = "hazelcast.map";

/// One setting of maps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ByName<T> {
    names: BTreeMap<String, T>,
    patterns: Vec<Pattern<T>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Pattern<T> {
    before: String,
    behind: String,
    says: T,
}

impl<T: Ord> Pattern<T> {
    /// How well it fits, if it does.
    fn fits(&self, map: &str) -> Option<(usize, &T)> {
        let rest = map.strip_prefix(self.before.as_str())?;
        rest.ends_with(self.behind.as_str()).then_some((self.before.len() + self.behind.len(), &self.says))
    }
}

impl<T> Default for ByName<T> {
    fn default() -> Self {
        Self { names: BTreeMap::new(), patterns: Vec::new() }
    }
}

impl<T: Ord> ByName<T> {
    /// What the documents say at `leaf` of each map; `read` takes the key.
    pub fn decide(
        document: &Document,
        leaf: &str,
        read: impl Fn(&str) -> Result<Option<T>, ConfigError>,
    ) -> Result<Self, ConfigError> {
        let mut all = Self::default();
        for (name, key) in document.named(SECTION, leaf) {
            let Some(says) = read(&key)? else { continue };
            if !all.takes(&name, says) {
                let wanted = format!("'{name}' has more than one '*': write the map's name, or a pattern with one '*'");
                return Err(document.wrong(&key, &format!("said of '{name}'"), wanted));
            }
        }
        Ok(all)
    }

    /// That is said of this name or pattern; not of one with more than one `*`.
    pub fn takes(&mut self, name: &str, says: T) -> bool {
        match name.split_once('*') {
            Some((_, behind)) if behind.contains('*') => return false,
            Some((before, behind)) => {
                self.patterns.push(Pattern { before: before.to_owned(), behind: behind.to_owned(), says });
            }
            None => {
                self.names.insert(name.to_owned(), says);
            }
        }
        true
    }

    /// Nothing is said of any map.
    pub fn is_silent(&self) -> bool {
        self.names.is_empty() && self.patterns.is_empty()
    }

    /// What is said of a map.
    pub fn of(&self, map: &str) -> Option<&T> {
        if self.is_silent() {
            return None;
        }
        let nearest = || self.patterns.iter().filter_map(|pattern| pattern.fits(map)).max();
        self.names.get(map).or_else(|| nearest().map(|(_, says)| says)).or_else(|| self.names.get(DEFAULT))
    }
}
