//! Small records in files of their own: a checked frame of a JSON body and an opaque blob, saved atomically, once or in two copies.
//!
//! The law: a frame is there whole or not at all (tmp, fsync, rename, directory fsync), and no flipped byte goes unseen.
//! With two copies, the newer valid one counts; one damaged copy is reported, two are refused.
//! Must not know: what the bodies mean.

use crate::disk::Disk;
use crate::failure::{On, StoreError};
use crate::layout::LARGEST;
use crate::refusal::Refused;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt::{self, Write};
use std::path::{Path, PathBuf};

/// Format version that this program writes and the newest it reads.
pub const FORMAT: u32 = 1;
/// Bytes before the body.
pub const HEAD: usize = 36;
/// A body or blob beyond this is not ours.
pub const LONGEST: u64 = 1 << 32;

/// Eight letters that say what a frame holds.
pub type Magic = [u8; 8];

/// A decoded frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame<T> {
    /// The JSON body.
    pub body: T,
    /// The blob behind it.
    pub blob: Vec<u8>,
    /// Length of the whole frame in bytes.
    pub length: usize,
}

fn word(bytes: &[u8], at: usize) -> u32 {
    let mut out = [0; 4];
    out.copy_from_slice(&bytes[at..at + 4]);
    u32::from_le_bytes(out)
}

fn long(bytes: &[u8], at: usize) -> u64 {
    let mut out = [0; 8];
    out.copy_from_slice(&bytes[at..at + 8]);
    u64::from_le_bytes(out)
}

/// The bytes of a frame: magic, format, lengths, checksum of all the rest, body, blob.
pub fn encode<T: Serialize>(magic: Magic, body: &T, blob: &[u8]) -> Result<Vec<u8>, StoreError> {
    let body = serde_json::to_vec(body)
        .map_err(|error| StoreError::Misuse { call: "encode a record", why: error.to_string() })?;
    let mut out = Vec::with_capacity(HEAD + body.len() + blob.len());
    out.extend_from_slice(&magic);
    out.extend_from_slice(&FORMAT.to_le_bytes());
    out.extend_from_slice(&(body.len() as u64).to_le_bytes());
    out.extend_from_slice(&(blob.len() as u64).to_le_bytes());
    out.extend_from_slice(&[0; 4]);
    let head = crc32c::crc32c(&out);
    out.extend_from_slice(&head.to_le_bytes());
    out.extend_from_slice(&body);
    out.extend_from_slice(blob);
    let whole = crc32c::crc32c(&out[HEAD - 4..]);
    out[HEAD - 8..HEAD - 4].copy_from_slice(&whole.to_le_bytes());
    Ok(out)
}

/// Reads a frame at the start of `bytes`; what follows it is not looked at.
pub fn decode<T: DeserializeOwned>(magic: Magic, bytes: &[u8], file: &Path, costs: &str) -> Result<Frame<T>, Refused> {
    let damaged = |offset: u64, what: &str| Refused::Damaged {
        file: file.to_path_buf(),
        offset,
        what: what.to_owned(),
        costs: costs.to_owned(),
    };
    if bytes.len() < HEAD {
        return Err(damaged(bytes.len() as u64, "ends in its head"));
    }
    let mut head = [0; HEAD - 4];
    head.copy_from_slice(&bytes[..HEAD - 4]);
    head[HEAD - 8..].fill(0);
    if bytes[..8] != magic {
        return Err(damaged(0, "is not a record of this kind"));
    }
    if crc32c::crc32c(&head) != word(bytes, HEAD - 4) {
        return Err(damaged(0, "head fails its checksum"));
    }
    let format = word(bytes, 8);
    if format > FORMAT {
        return Err(Refused::NewerFormat { file: file.to_path_buf(), found: format, known: FORMAT });
    }
    let (body, blob) = (long(bytes, 12), long(bytes, 20));
    if body > LONGEST || blob > LONGEST || HEAD as u64 + body + blob > bytes.len() as u64 {
        return Err(damaged(bytes.len() as u64, "ends before its recorded length"));
    }
    let (body, blob) = (body as usize, blob as usize);
    let length = HEAD + body + blob;
    if crc32c::crc32c(&bytes[HEAD - 4..length]) != word(bytes, HEAD - 8) {
        return Err(damaged(HEAD as u64, "body fails its checksum"));
    }
    let value =
        serde_json::from_slice(&bytes[HEAD..HEAD + body]).map_err(|error| damaged(HEAD as u64, &words(&error)))?;
    Ok(Frame { body: value, blob: bytes[HEAD + body..length].to_vec(), length })
}

/// Bytes of what a JSON reader says that are told: it repeats whatever stood in the place of a number.
const WORDS: usize = 200;

/// Takes the beginning of what is written to it.
struct Short(String);

impl Write for Short {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let room = WORDS.saturating_sub(self.0.len());
        self.0.push_str(&text[..text.floor_char_boundary(room)]);
        if text.len() > room { Err(fmt::Error) } else { Ok(()) }
    }
}

fn words(error: &serde_json::Error) -> String {
    let mut short = Short(String::new());
    // What is too long ends where the room ends.
    let _ = write!(short, "cannot be read: {error}");
    short.0
}

fn tmp_of(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".tmp");
    PathBuf::from(name)
}

fn dir_of(path: &Path) -> &Path {
    path.parent().unwrap_or(Path::new("."))
}

/// Puts `bytes` under `path`, whole or not at all, durable on return.
pub fn save(disk: &dyn Disk, path: &Path, bytes: &[u8]) -> Result<(), StoreError> {
    let tmp = tmp_of(path);
    save_as(disk, &tmp, bytes).inspect_err(|_| {
        // A disk that is full is not made fuller by each try.
        if let Err(error) = disk.remove(&tmp) {
            tracing::debug!(%error, "a file that could not be written stays; it only costs room");
        }
    })?;
    disk.rename(&tmp, path).on("rename", &tmp)?;
    disk.sync_dir(dir_of(path)).on("fsync the directory of", path)
}

fn save_as(disk: &dyn Disk, tmp: &Path, bytes: &[u8]) -> Result<(), StoreError> {
    let mut file = disk.create(tmp).on("create", tmp)?;
    file.write_at(0, bytes).on("write", tmp)?;
    file.sync().on("fsync", tmp)
}

/// Reads one frame file that must hold exactly one frame; `None` if it is not there.
pub fn load<T: DeserializeOwned>(
    disk: &dyn Disk,
    magic: Magic,
    path: &Path,
    costs: &str,
) -> Result<Option<Frame<T>>, StoreError> {
    let Some(bytes) = disk.read(path).on("read", path)? else {
        return Ok(None);
    };
    let frame = decode(magic, &bytes, path, costs)?;
    if frame.length != bytes.len() {
        let (found, recorded) = (bytes.len() as u64, frame.length as u64);
        return Err(
            Refused::Length { file: path.to_path_buf(), found, recorded, why: "its own head".to_owned() }.into()
        );
    }
    Ok(Some(frame))
}

/// A record of two copies as found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pair<T> {
    /// The newest valid copy, with its serial number.
    pub newest: Option<(u64, Frame<T>)>,
    /// Copies that did not verify although the other did.
    pub damaged: Vec<Refused>,
}

#[derive(serde::Serialize, serde::Deserialize)]
struct Numbered<T> {
    serial: u64,
    record: T,
}

/// The two file names of a record.
pub fn copies(path: &Path) -> [PathBuf; 2] {
    ["a", "b"].map(|suffix| {
        let mut name = path.as_os_str().to_owned();
        name.push(".");
        name.push(suffix);
        PathBuf::from(name)
    })
}

/// Saves both copies, one after the other, so that at any moment one is whole.
pub fn save_pair<T: Serialize>(
    disk: &dyn Disk,
    magic: Magic,
    path: &Path,
    serial: u64,
    record: &T,
    blob: &[u8],
) -> Result<(), StoreError> {
    let bytes = encode(magic, &Numbered { serial, record }, blob)?;
    for copy in copies(path) {
        save(disk, &copy, &bytes)?;
    }
    Ok(())
}

/// Two copies of one number were written with the same bytes: what differs came from elsewhere, and neither can be told right.
fn refuse_another<T: PartialEq>(
    newest: Option<&(u64, Frame<T>)>,
    found: &Frame<Numbered<T>>,
    file: &Path,
) -> Result<(), Refused> {
    let is_another = |(serial, frame): &&(u64, Frame<T>)| {
        *serial == found.body.serial && (frame.body != found.body.record || frame.blob != found.blob)
    };
    let why = || "it is whole, and not what its other copy of the same number says".to_owned();
    match newest.filter(is_another) {
        Some(_) => Err(Refused::Inconsistent { file: file.to_path_buf(), why: why() }),
        None => Ok(()),
    }
}

/// Reads both copies; refuses if one is there and none is valid, or if they contradict each other.
pub fn load_pair<T: DeserializeOwned + PartialEq>(
    disk: &dyn Disk,
    magic: Magic,
    path: &Path,
    costs: &str,
) -> Result<Pair<T>, StoreError> {
    let mut pair = Pair { newest: None, damaged: Vec::new() };
    for copy in copies(path) {
        match load::<Numbered<T>>(disk, magic, &copy, costs) {
            Ok(None) => {}
            Ok(Some(frame)) => {
                let serial = frame.body.serial;
                if serial > LARGEST {
                    let what = format!("its number {serial} was never counted up to");
                    let (file, offset, costs) = (copy, HEAD as u64, costs.to_owned());
                    pair.damaged.push(Refused::Damaged { file, offset, what, costs });
                    continue;
                }
                refuse_another(pair.newest.as_ref(), &frame, &copy)?;
                if pair.newest.as_ref().is_none_or(|(other, _)| *other < serial) {
                    pair.newest =
                        Some((serial, Frame { body: frame.body.record, blob: frame.blob, length: frame.length }));
                }
            }
            Err(StoreError::Refused(reason @ (Refused::NewerFormat { .. } | Refused::Locked { .. }))) => {
                return Err(reason.into());
            }
            Err(StoreError::Refused(reason)) => pair.damaged.push(reason),
            Err(error) => return Err(error),
        }
    }
    match (&pair.newest, pair.damaged.first()) {
        (None, Some(reason)) => Err(reason.clone().into()),
        _ => Ok(pair),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::simulated::SimulatedDisk;

    #[test]
    fn two_whole_copies_that_contradict_each_other_are_refused() {
        let (disk, path) = (SimulatedDisk::new(), Path::new("/room/x"));
        disk.make_dir(Path::new("/room")).unwrap();
        let read = || load_pair::<String>(&disk, *b"TESTFRAM", path, "");
        save_pair(&disk, *b"TESTFRAM", path, 1, &"ours".to_owned(), &[]).unwrap();
        save_pair(&disk, *b"TESTFRAM", Path::new("/room/y"), 1, &"of another".to_owned(), &[]).unwrap();
        assert_eq!(read().unwrap().newest.unwrap().1.body, "ours");
        let [_, twin] = copies(Path::new("/room/y"));
        let [_, second] = copies(path);
        disk.plant(&second, &disk.read(&twin).unwrap().unwrap());
        assert!(
            matches!(read(), Err(StoreError::Refused(Refused::Inconsistent { file, .. })) if file == second),
            "with the same number neither is newer"
        );
    }

    #[test]
    fn any_flipped_byte_is_seen() {
        let bytes = encode(*b"TESTFRAM", &("hello", 7), b"blob").unwrap();
        let path = Path::new("x");
        assert_eq!(decode::<(String, u32)>(*b"TESTFRAM", &bytes, path, "").unwrap().blob, b"blob");
        for at in 0..bytes.len() {
            let mut bad = bytes.clone();
            bad[at] ^= 0x10;
            assert!(decode::<(String, u32)>(*b"TESTFRAM", &bad, path, "").is_err(), "byte {at}");
        }
        for end in 0..bytes.len() {
            assert!(decode::<(String, u32)>(*b"TESTFRAM", &bytes[..end], path, "").is_err(), "cut at {end}");
        }
    }
}
