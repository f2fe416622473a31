//! Encryption at rest: whether, and where the keys are.
//!
//! Law: whoever turns it on names the directory and the key to write with; a directory without it being on is for reading
//! what was encrypted before. Must not know: keys.

use std::path::PathBuf;

use super::ConfigError;
use super::documents::Document;

const ENABLED: &str = "hazelcast.hot-restart-persistence.encryption-at-rest.enabled";
const PATH: &str = "hazelcast.hot-restart-persistence.encryption-at-rest.secure-store.directory.path";
const CURRENT: &str = "hazelcast.hot-restart-persistence.encryption-at-rest.secure-store.directory.current-key";

/// Where the keys are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyDirectory {
    /// A file for each key, named like it.
    pub path: PathBuf,
    /// The key to write with; `None`: what is new is written in the clear.
    pub current: Option<String>,
}

/// `None`: no keys at all.
pub fn decide(document: &Document) -> Result<Option<KeyDirectory>, ConfigError> {
    let enabled = document.parsed::<bool>(ENABLED, "it is true or false")?.unwrap_or(false);
    let (path, current) = (document.text(PATH)?, document.text(CURRENT)?);
    let missing = |key: &str, what: &str| document.wrong(ENABLED, "true", format!("{what} belongs into {key}"));
    match (enabled, path, current) {
        (true, None, _) => Err(missing(PATH, "the directory with the keys")),
        (true, _, None) => Err(missing(CURRENT, "the name of the key to write with")),
        (true, Some(path), current) => Ok(Some(KeyDirectory { path: path.into(), current })),
        (false, path, _) => Ok(path.map(|path| KeyDirectory { path: path.into(), current: None })),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decided(encryption: &str) -> Result<Option<KeyDirectory>, String> {
        let text = format!("hazelcast: {{hot-restart-persistence: {{encryption-at-rest: {encryption}}}}}\n");
        let mut document = Document::default();
        document.add(std::path::Path::new("hazelcast.yaml"), &text).map_err(|error| error.to_string())?;
        decide(&document).map_err(|error| error.to_string())
    }

    #[test]
    fn it_is_on_with_a_directory_and_a_key_and_reads_with_a_directory_alone() {
        let both = "secure-store: {directory: {path: /keys, current-key: k2}}";
        let keys =
            |current: Option<&str>| Some(KeyDirectory { path: "/keys".into(), current: current.map(str::to_owned) });
        assert_eq!(decided("{enabled: false}"), Ok(None));
        assert_eq!(decided(&format!("{{enabled: true, {both}}}")), Ok(keys(Some("k2"))));
        assert_eq!(decided(&format!("{{enabled: false, {both}}}")), Ok(keys(None)));
        assert_eq!(decided("{secure-store: {directory: {path: /keys}}}"), Ok(keys(None)));
        for (given, words) in [
            ("{enabled: true}", "secure-store.directory.path"),
            ("{enabled: true, secure-store: {directory: {path: /keys}}}", "secure-store.directory.current-key"),
            ("{enabled: maybe}", "true or false"),
            ("{enabled: true, algorithm: AES/CBC/PKCS5Padding}", "AES/GCM/NoPadding"),
            ("{enabled: true, salt: thesalt}", "a random salt of its own"),
            ("{enabled: true, secure-store: {keystore: {path: /k}}}", "secure-store.directory"),
        ] {
            let said = decided(given).unwrap_err();
            assert!(said.contains(words), "{given}: {said}");
        }
    }
}
