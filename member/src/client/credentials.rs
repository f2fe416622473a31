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
    #[error("{path} must hold a line 'name:password' for each user, in at most {LONGEST} bytes")]
    Form {
        /// Which file.
        path: PathBuf,
    },
}

/// Whether these are in the file.
pub async fn are(path: &Path, name: &str, password: &str) -> Result<bool, CredentialsError> {
    let given = blake3::hash(format!("{name}:{password}").as_bytes());
    let known = read(path).await?;
    // Digests compare in constant time, and each line is looked at.
    Ok(lines(&known).fold(false, |found, line| found | (blake3::hash(line.as_bytes()) == given)))
}

/// Whether the file holds any at all.
pub async fn check(path: &Path) -> Result<(), CredentialsError> {
    read(path).await.map(|_| ())
}

fn lines(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter(|line| !line.is_empty())
}

async fn read(path: &Path) -> Result<String, CredentialsError> {
    let unread = |e: std::io::Error| CredentialsError::Read { path: path.to_owned(), reason: e.to_string() };
    let mut file = tokio::fs::File::open(path).await.map_err(unread)?.take(LONGEST + 1);
    let mut text = String::new();
    file.read_to_string(&mut text).await.map_err(unread)?;
    let whole = text.len() as u64 <= LONGEST;
    let well = lines(&text).next().is_some() && lines(&text).all(|line| line.split_once(':').is_some());
    if whole && well { Ok(text) } else { Err(CredentialsError::Form { path: path.to_owned() }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_a_whole_line_lets_in() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("clients");
        assert!(check(&path).await.is_err());
        std::fs::write(&path, "ann:a:b\r\n\nbob:\n").unwrap();
        check(&path).await.unwrap();
        for (name, password, expected) in
            [("ann", "a:b", true), ("ann", "a", false), ("bob", "", true), ("bob", "a:b", false), ("", "", false)]
        {
            assert_eq!(are(&path, name, password).await.unwrap(), expected, "{name}:{password}");
        }
        for bad in ["", "\n", "nobody", &"x:y\n".repeat(20_000)] {
            std::fs::write(&path, bad).unwrap();
            assert!(are(&path, "x", "y").await.is_err(), "{}", bad.len());
        }
    }
}
