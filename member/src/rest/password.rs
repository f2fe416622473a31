//! The password of whoever changes something.
//!
//! Law: read anew for each request, so that a changed Secret counts at once; compared in constant time; told to nobody.
//! Must not know: who asks.

use std::path::{Path, PathBuf};

use tokio::io::AsyncReadExt;

/// Longest password.
const LONGEST: u64 = 4 << 10;

/// Why nobody can be let in.
#[derive(Debug, thiserror::Error)]
pub enum PasswordError {
    /// The file cannot be read.
    #[error(
        "the password of the REST cannot be read from {path}: {reason}; --rest-password-file (JET_REST_PASSWORD_FILE) names its file"
    )]
    Read {
        /// Which file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// Nothing, or too much, is in it.
    #[error("{path} must hold a password of 1 to {LONGEST} bytes on one line")]
    Size {
        /// Which file.
        path: PathBuf,
    },
}

/// Whether `given` is the password in the file.
pub async fn is(path: &Path, given: &str) -> Result<bool, PasswordError> {
    let known = read(path).await?;
    // Digests compare in constant time.
    Ok(blake3::hash(&known) == blake3::hash(given.as_bytes()))
}

/// Whether the file holds one at all.
pub async fn check(path: &Path) -> Result<(), PasswordError> {
    read(path).await.map(|_| ())
}

async fn read(path: &Path) -> Result<Vec<u8>, PasswordError> {
    let unread = |e: std::io::Error| PasswordError::Read { path: path.to_owned(), reason: e.to_string() };
    let mut file = tokio::fs::File::open(path).await.map_err(unread)?.take(LONGEST + 1);
    let mut known = Vec::new();
    file.read_to_end(&mut known).await.map_err(unread)?;
    let whole = known.len() as u64 <= LONGEST;
    let end = known.iter().rposition(|byte| !matches!(byte, b'\n' | b'\r')).map_or(0, |at| at + 1);
    known.truncate(end);
    if whole && !known.is_empty() { Ok(known) } else { Err(PasswordError::Size { path: path.to_owned() }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_the_very_same_is_the_password() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("password");
        assert!(check(&path).await.is_err());
        std::fs::write(&path, "a word \n").unwrap();
        check(&path).await.unwrap();
        for (given, expected) in [("a word ", true), ("a word", false), ("", false), ("a word \n", false)] {
            assert_eq!(is(&path, given).await.unwrap(), expected, "{given:?}");
        }
        std::fs::write(&path, "another").unwrap();
        assert!(is(&path, "another").await.unwrap());
        for bad in ["", "\n", &"x".repeat(5000)] {
            std::fs::write(&path, bad).unwrap();
            assert!(is(&path, bad).await.is_err(), "{}", bad.len());
        }
    }
}
