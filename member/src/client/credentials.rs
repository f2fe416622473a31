//! Names and passwords of clients: a file with one `name:password` on each line.
//!
//! Law: read anew for each client that comes, so that a changed Secret counts at once; compared in constant time; told to
//! nobody. Without a file the cluster's name is enough, as in the original without its security. Must not know: who asks.

use std::path::{Path, PathBuf};

use tokio::io::AsyncReadExt;

/// Longest file.
const LONGEST: u64 = 64 << 10;

/// Why nobody can be let in.
#[derive(Debug, thiserror::Error)]
pub enum CredentialsError {
    /// The file cannot be read.
    #[error(
        "the credentials of clients cannot be read from {path}: {reason}; --client-credentials-file (JET_CLIENT_CREDENTIALS_FILE) names their file"
    )]
    Read {
        /// Which file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// Nothing, or too much, is in it, or a line is none.
    #[error(
        "{path} must hold a line 'name:password' for each user, with a name before the ':', in at most {LONGEST} bytes"
    )]
    Form {
        /// Which file.
        path: PathBuf,
    },
}

/// What is in the file now.
pub struct Known(String);

impl Known {
    /// Whether these are in it. Nobody is known without a name.
    pub fn has(&self, name: &str, password: &str) -> bool {
        let given = blake3::hash(format!("{name}:{password}").as_bytes());
        let named = !name.is_empty() && !name.contains(':');
        // Digests compare in constant time, and each line is looked at.
        lines(&self.0).fold(false, |found, line| found | (blake3::hash(line.as_bytes()) == given)) && named
    }
}

fn lines(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter(|line| !line.is_empty())
}

/// Reads it whole.
pub async fn read(path: &Path) -> Result<Known, CredentialsError> {
    let unread = |e: std::io::Error| CredentialsError::Read { path: path.to_owned(), reason: e.to_string() };
    let mut file = tokio::fs::File::open(path).await.map_err(unread)?.take(LONGEST + 1);
    let mut text = String::new();
    file.read_to_string(&mut text).await.map_err(unread)?;
    let whole = text.len() as u64 <= LONGEST;
    let named = |line: &str| line.split_once(':').is_some_and(|(name, _)| !name.is_empty());
    let well = lines(&text).next().is_some() && lines(&text).all(named);
    if whole && well { Ok(Known(text)) } else { Err(CredentialsError::Form { path: path.to_owned() }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_a_whole_line_lets_in() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("clients");
        assert!(read(&path).await.is_err());
        std::fs::write(&path, "ann:a:b\r\n\nbob:\n").unwrap();
        let known = read(&path).await.unwrap();
        for (name, password, expected) in [
            ("ann", "a:b", true),
            ("ann", "a", false),
            ("bob", "", true),
            ("bob", "a:b", false),
            ("", "", false),
            ("ann:a", "b", false),
        ] {
            assert_eq!(known.has(name, password), expected, "{name}:{password}");
        }
        for bad in ["", "\n", "nobody", ":", ":secret\n", "ann:a\n:b\n", &"x:y\n".repeat(20_000)] {
            std::fs::write(&path, bad).unwrap();
            assert!(read(&path).await.is_err(), "{} bytes", bad.len());
        }
    }
}
