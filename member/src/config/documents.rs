//! The two YAML documents, flattened to dotted keys and checked against the table of keys.
//!
//! Law: every leaf is judged; the first that may not stand there is the error. Must not know: what a key is for.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_norway::Value;

use super::ConfigError;
use super::keys::{self, Stance};

/// Checked leaves of all documents: dotted key → value and the file that it came from.
#[derive(Clone, Debug, Default)]
pub struct Document {
    leaves: BTreeMap<String, (PathBuf, Value)>,
}

impl Document {
    /// Reads a file's text into this document.
    pub fn add(&mut self, path: &Path, text: &str) -> Result<(), ConfigError> {
        let root: Value = serde_norway::from_str(text)
            .map_err(|e| ConfigError::Yaml { path: path.to_owned(), reason: e.to_string() })?;
        self.walk(path, "", &root)
    }

    fn walk(&mut self, path: &Path, key: &str, value: &Value) -> Result<(), ConfigError> {
        match value {
            Value::Mapping(entries) => {
                for (name, inner) in entries {
                    let name = scalar(name).unwrap_or_default();
                    let inner_key = if key.is_empty() { name } else { format!("{key}.{name}") };
                    self.judge(path, &inner_key, inner)?;
                }
                Ok(())
            }
            Value::Null => Ok(()),
            other => Err(ConfigError::Value {
                path: path.to_owned(),
                key: key.to_owned(),
                found: text_of(other),
                wanted: "a section with keys belongs there".into(),
            }),
        }
    }

    fn judge(&mut self, path: &Path, key: &str, value: &Value) -> Result<(), ConfigError> {
        match keys::stance(key) {
            None => {
                Err(ConfigError::Unknown { path: path.to_owned(), key: key.to_owned(), nearest: keys::nearest(key) })
            }
            Some(Stance::NotOffered(reason)) => {
                Err(ConfigError::NotOffered { path: path.to_owned(), key: key.to_owned(), reason })
            }
            // `port: 5701` is the short form of `port: {port: 5701}`.
            Some(Stance::Section) if key == "hazelcast.network.port" && !value.is_mapping() => {
                self.judge(path, "hazelcast.network.port.port", value)
            }
            Some(Stance::Section) => self.walk(path, key, value),
            Some(Stance::Only(wanted, reason)) if scalar(value).is_none_or(|v| !v.eq_ignore_ascii_case(wanted)) => {
                Err(ConfigError::Value {
                    path: path.to_owned(),
                    key: key.to_owned(),
                    found: text_of(value),
                    wanted: format!("only '{wanted}' is offered: {reason}"),
                })
            }
            Some(Stance::Only(..) | Stance::Offered) => {
                self.leaves.insert(key.to_owned(), (path.to_owned(), value.clone()));
                Ok(())
            }
        }
    }

    /// A scalar as text that is not empty.
    pub fn text(&self, key: &str) -> Result<Option<String>, ConfigError> {
        let Some((path, value)) = self.leaves.get(key) else { return Ok(None) };
        match scalar(value).filter(|text| !text.trim().is_empty()) {
            Some(text) => Ok(Some(text)),
            None => Err(refused(path, key, value, "one text that is not empty belongs there")),
        }
    }

    /// A scalar read as `T`; `wanted` completes the sentence "'key' is …, but …".
    pub fn parsed<T: std::str::FromStr>(&self, key: &str, wanted: &str) -> Result<Option<T>, ConfigError> {
        let Some((path, value)) = self.leaves.get(key) else { return Ok(None) };
        scalar(value).and_then(|v| v.trim().parse().ok()).map(Some).ok_or_else(|| refused(path, key, value, wanted))
    }

    /// A list of texts; one text with commas is a list too, as in the original.
    pub fn list(&self, key: &str) -> Result<Vec<String>, ConfigError> {
        let Some((path, value)) = self.leaves.get(key) else { return Ok(Vec::new()) };
        let found = match value {
            Value::Null => Some(Vec::new()),
            Value::Sequence(items) => items.iter().map(scalar).collect(),
            other => {
                scalar(other).map(|s| s.split(',').map(|p| p.trim().to_owned()).filter(|p| !p.is_empty()).collect())
            }
        };
        found.ok_or_else(|| refused(path, key, value, "a list of texts belongs there"))
    }

    /// Every name that a person chose, of those that have a leaf there: the name and the whole key.
    pub fn named(&self, section: &str, leaf: &str) -> Vec<(String, String)> {
        let name = |key: &str| {
            Some(key.strip_prefix(section)?.strip_prefix('.')?.strip_suffix(leaf)?.strip_suffix('.')?.to_owned())
        };
        self.leaves.keys().filter_map(|key| Some((name(key)?, key.clone()))).collect()
    }

    /// What `key` has is not what it must be; `wanted` completes the sentence.
    pub fn wrong(&self, key: &str, found: &str, wanted: impl Into<String>) -> ConfigError {
        ConfigError::Value {
            path: self.source(key),
            key: key.to_owned(),
            found: found.to_owned(),
            wanted: wanted.into(),
        }
    }

    /// The file that a key came from.
    pub fn source(&self, key: &str) -> PathBuf {
        self.leaves.get(key).map(|(p, _)| p.clone()).unwrap_or_default()
    }
}

fn refused(path: &Path, key: &str, value: &Value, wanted: &str) -> ConfigError {
    ConfigError::Value { path: path.to_owned(), key: key.to_owned(), found: text_of(value), wanted: wanted.to_owned() }
}

fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(s) => Some(s.clone()),
        Value::Bool(b) => Some(b.to_string()),
        Value::Number(n) => Some(n.to_string()),
        _ => None,
    }
}

fn text_of(value: &Value) -> String {
    scalar(value).map(|s| format!("'{s}'")).unwrap_or_else(|| "not a single value".into())
}
