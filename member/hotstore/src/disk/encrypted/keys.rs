//! The keys that are mounted: a directory, a file for each, whose name is the key's name.
//!
//! The law: nothing here is ever printed or written. Names of keys are told, keys are not. Must not know: who mounts them.

use super::Shape;
use super::head::{FileKey, Head, KEY_BYTES, LONGEST_NAME, SALT_BYTES};
use crate::disk::{Batch, Disk};
use ring::rand::{SecureRandom, SystemRandom};
use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use thiserror::Error;
use zeroize::Zeroizing;

/// More keys than that are refused: a rotation has two.
const MOST_KEYS: usize = 64;

/// Why keys cannot be used.
#[derive(Debug, Error)]
pub enum KeyError {
    /// The disk said no.
    #[error("the keys in {file} cannot be read: {source}. Mount the directory again")]
    Io {
        /// Directory or file.
        file: PathBuf,
        /// What the disk said.
        source: io::Error,
    },
    /// A file is no key.
    #[error(
        "{file} has {bytes} bytes: a key is {KEY_BYTES} bytes as they are, or {} hexadecimal digits. Make one by 'openssl rand -hex {KEY_BYTES}'",
        2 * KEY_BYTES
    )]
    Shape {
        /// The file.
        file: PathBuf,
        /// Its length, without a newline at its end.
        bytes: usize,
    },
    /// A name that is none.
    #[error("{file} is no name of a key: letters, digits, '-', '_' and '.', at most {LONGEST_NAME}")]
    Name {
        /// The file.
        file: PathBuf,
    },
    /// The key to write with is not there.
    #[error("there is no key '{key}' in {dir} (there: {known}). Mount it, or name one that is there")]
    NotThere {
        /// The directory.
        dir: PathBuf,
        /// The name asked for.
        key: String,
        /// Those that are there.
        known: String,
    },
    /// More than anybody needs.
    #[error("{dir} holds {found} keys; at most {MOST_KEYS} are read. Take away those that no store needs any more")]
    TooMany {
        /// The directory.
        dir: PathBuf,
        /// How many.
        found: usize,
    },
}

type Key = Zeroizing<[u8; KEY_BYTES]>;

/// Keys by name, one of them to write with.
#[derive(Default)]
pub struct Keys {
    current: Option<String>,
    keys: BTreeMap<String, Key>,
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keys").field("current", &self.current).field("known", &self.in_words()).finish()
    }
}

impl Keys {
    /// Keys of the files in `dir`. `current`: the one to write with; `None`: what is new is written in the clear.
    pub fn read(disk: &dyn Disk, dir: &Path, current: Option<&str>) -> Result<Self, KeyError> {
        let io = |file: &Path, source| KeyError::Io { file: file.to_path_buf(), source };
        let names = disk.list(dir).map_err(|error| io(dir, error))?;
        // A mounted secret keeps its own things under such names.
        let names: Vec<_> = names.into_iter().filter(|name| !name.starts_with('.')).collect();
        if names.len() > MOST_KEYS {
            return Err(KeyError::TooMany { dir: dir.to_path_buf(), found: names.len() });
        }
        let mut keys = BTreeMap::new();
        for name in names {
            let file = dir.join(&name);
            let is_name = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
            if name.len() > LONGEST_NAME || !name.chars().all(is_name) {
                return Err(KeyError::Name { file });
            }
            let bytes = disk.read(&file).map_err(|error| io(&file, error))?;
            let bytes = Zeroizing::new(bytes.ok_or_else(|| io(&file, io::ErrorKind::NotFound.into()))?);
            let key = key_in(&bytes).map_err(|bytes| KeyError::Shape { file, bytes })?;
            keys.insert(name, key);
        }
        let keys = Self { current: current.map(str::to_owned), keys };
        match current.filter(|current| !keys.keys.contains_key(*current)) {
            Some(key) => {
                let (dir, known) = (dir.to_path_buf(), keys.in_words());
                Err(KeyError::NotThere { dir, key: key.to_owned(), known })
            }
            None => Ok(keys),
        }
    }

    /// The name of the key to write with.
    pub fn current(&self) -> Option<&str> {
        self.current.as_deref()
    }

    pub(super) fn named(&self, name: &str) -> Option<&[u8; KEY_BYTES]> {
        self.keys.get(name).map(|key| &**key)
    }

    /// Head and key for a new file; `None`: it is to be in the clear.
    pub(super) fn fresh(&self, shape: Shape) -> Option<io::Result<(Batch, FileKey)>> {
        let name = self.current.as_deref()?;
        let key = self.named(name)?;
        Some(salt().and_then(|salt| Head::fresh(shape, name, key, salt)))
    }

    /// Names, for people.
    pub(super) fn in_words(&self) -> String {
        match self.keys.is_empty() {
            true => "none".to_owned(),
            false => self.keys.keys().map(|name| format!("'{name}'")).collect::<Vec<_>>().join(", "),
        }
    }
}

/// Bytes as they are, or hexadecimal digits and perhaps a newline; else how many there are.
fn key_in(bytes: &[u8]) -> Result<Key, usize> {
    if let Ok(key) = <[u8; KEY_BYTES]>::try_from(bytes) {
        return Ok(Zeroizing::new(key));
    }
    let digits = bytes.trim_ascii_end();
    let mut key = Zeroizing::new([0; KEY_BYTES]);
    if digits.len() != 2 * KEY_BYTES {
        return Err(digits.len());
    }
    for (byte, pair) in key.iter_mut().zip(digits.chunks(2)) {
        let digit = |c: u8| char::from(c).to_digit(16);
        let (Some(high), Some(low)) = (digit(pair[0]), digit(pair[1])) else { return Err(digits.len()) };
        *byte = (high * 16 + low) as u8;
    }
    Ok(key)
}

/// Bytes that nobody can guess.
fn salt() -> io::Result<[u8; SALT_BYTES]> {
    let mut salt = [0; SALT_BYTES];
    SystemRandom::new().fill(&mut salt).map_err(|_| io::Error::other("there is no randomness"))?;
    Ok(salt)
}
