//! The first block of an encrypted file: by which key it can be read.
//!
//! The law: the head is in the clear and checked as a whole; a damaged one speaks of no key. A file's own key is drawn from
//! the mounted one and the salt (HKDF-SHA256), and sixteen bytes beside it tell another key from damage. Must not know: files.

use super::keys::Keys;
use super::{Locked, Shape};
use crate::disk::{BLOCK, Batch};
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, Tag, UnboundKey};
use ring::hkdf::{HKDF_SHA256, KeyType, Salt};
use std::io;

pub(crate) const MAGIC: [u8; 8] = *b"JETCRYPT";
const FORMAT: u32 = 1;
/// AES-256-GCM.
const ALGORITHM: u32 = 1;
/// Bytes of a key.
pub const KEY_BYTES: usize = 32;
/// Bytes of a salt.
pub const SALT_BYTES: usize = 32;
/// Bytes that tell a key from another.
const CHECK_BYTES: usize = 16;
/// Bytes behind each block that prove it.
pub(super) const TAG_BYTES: usize = 16;
/// A longer name of a key is refused.
pub const LONGEST_NAME: usize = 63;
const CHECK_AT: usize = 20 + SALT_BYTES;
const NAME_AT: usize = CHECK_AT + CHECK_BYTES;
const SUM_AT: usize = BLOCK - 4;

/// What a file says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// How the rest is laid out.
    pub shape: Shape,
    /// Name of the key.
    pub key: String,
}

/// The key of one file.
pub struct FileKey {
    key: LessSafeKey,
    check: [u8; CHECK_BYTES],
}

struct Length(usize);

impl KeyType for Length {
    fn len(&self) -> usize {
        self.0
    }
}

/// An encryption that fails has no other cause than a length that is never reached here.
fn unspecified(_: ring::error::Unspecified) -> io::Error {
    io::Error::other("the encryption failed")
}

impl FileKey {
    fn draw(key: &[u8; KEY_BYTES], salt: &[u8; SALT_BYTES], shape: Shape) -> io::Result<Self> {
        let drawn = Salt::new(HKDF_SHA256, salt).extract(key);
        let shape = (shape as u32).to_le_bytes();
        let (mut own, mut check) = ([0; KEY_BYTES], [0; CHECK_BYTES]);
        let expand = |what: &[u8], out: &mut [u8]| {
            let info = [b"jet hot-restart file ", what, &shape];
            drawn.expand(&info, Length(out.len())).and_then(|okm| okm.fill(out)).map_err(unspecified)
        };
        expand(b"key", &mut own)?;
        expand(b"check", &mut check)?;
        let key = UnboundKey::new(&AES_256_GCM, &own).map_err(unspecified)?;
        Ok(Self { key: LessSafeKey::new(key), check })
    }

    /// Encrypts in place. The same `number` never twice.
    pub(super) fn seal(&self, number: u64, said: &[u8], bytes: &mut [u8]) -> io::Result<Tag> {
        self.key.seal_in_place_separate_tag(nonce(number), Aad::from(said), bytes).map_err(unspecified)
    }

    /// Decrypts bytes and the tag behind them in place; `None`: they are not what was encrypted.
    pub(super) fn open<'a>(&self, number: u64, said: &[u8], bytes: &'a mut [u8]) -> Option<&'a [u8]> {
        self.key.open_in_place(nonce(number), Aad::from(said), bytes).ok().map(|plain| &*plain)
    }
}

fn nonce(number: u64) -> Nonce {
    let mut nonce = [0; 12];
    nonce[..8].copy_from_slice(&number.to_le_bytes());
    Nonce::assume_unique_for_key(nonce)
}

impl Head {
    /// A head for a new file, and its key.
    pub(super) fn fresh(
        shape: Shape,
        name: &str,
        key: &[u8; KEY_BYTES],
        salt: [u8; SALT_BYTES],
    ) -> io::Result<(Batch, FileKey)> {
        let key = FileKey::draw(key, &salt, shape)?;
        let mut head = Batch::with_capacity(BLOCK, BLOCK);
        for part in [&MAGIC[..], &FORMAT.to_le_bytes(), &(shape as u32).to_le_bytes(), &ALGORITHM.to_le_bytes(), &salt]
        {
            head.extend_from_slice(part);
        }
        head.extend_from_slice(&key.check);
        head.extend_from_slice(&[name.len() as u8]);
        head.extend_from_slice(name.as_bytes());
        head.resize(SUM_AT, 0);
        let sum = crc32c::crc32c(&head);
        head.extend_from_slice(&sum.to_le_bytes());
        Ok((head, key))
    }
}

fn word(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

/// What a file that begins with `raw` says of itself; `None`: it is in the clear, or its head does not verify. Needs no key.
pub(super) fn told(raw: &[u8]) -> io::Result<Option<Head>> {
    if raw.len() < BLOCK || raw[..8] != MAGIC || crc32c::crc32c(&raw[..SUM_AT]) != word(raw, SUM_AT) {
        return Ok(None);
    }
    let (format, algorithm) = (word(raw, 8), word(raw, 16));
    let shape = [Shape::Blocks, Shape::Grains].into_iter().find(|shape| *shape as u32 == word(raw, 12));
    let Some(shape) = shape.filter(|_| (format, algorithm) == (FORMAT, ALGORITHM)) else {
        return Err(Locked::Newer { found: format.max(FORMAT + 1), known: FORMAT }.into());
    };
    let name = raw[NAME_AT + 1..].get(..usize::from(raw[NAME_AT]).min(LONGEST_NAME)).unwrap_or_default();
    Ok(Some(Head { shape, key: String::from_utf8_lossy(name).into_owned() }))
}

/// The same, and the key of the file.
pub(super) fn unlock(raw: &[u8], keys: &Keys) -> io::Result<Option<(Head, FileKey)>> {
    let Some(Head { shape, key: name }) = told(raw)? else { return Ok(None) };
    let Some(key) = keys.named(&name) else {
        return Err(Locked::NoKey { key: name, known: keys.in_words() }.into());
    };
    let mut salt = [0; SALT_BYTES];
    salt.copy_from_slice(&raw[20..CHECK_AT]);
    let own = FileKey::draw(key, &salt, shape)?;
    match own.check[..] == raw[CHECK_AT..NAME_AT] {
        true => Ok(Some((Head { shape, key: name }, own))),
        false => Err(Locked::OtherKey { key: name }.into()),
    }
}
