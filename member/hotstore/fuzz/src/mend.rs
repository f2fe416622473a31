//! Beating the checksums: a changed file is given the checksums that it would have, had it been written like that.
//!
//! The law: the format of `FORMAT.md`, written a second time and not taken from the store's code.
//! Must not know: what a content means.

use serde_json::Value;
use serde_json::value::RawValue;

/// How much of a file is put right.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Depth {
    /// Nothing.
    Raw,
    /// Checksums.
    Sums,
    /// Lengths and kinds too.
    Lengths,
    /// What a seal says of its files too.
    Plans,
}

impl Depth {
    /// All of them.
    pub const ALL: [Depth; 4] = [Depth::Raw, Depth::Sums, Depth::Lengths, Depth::Plans];
    /// Those that make a difference within one file.
    pub const FILE: [Depth; 3] = [Depth::Raw, Depth::Sums, Depth::Lengths];
}

/// Bytes before the body of a frame.
pub const FRAME: usize = 36;
const RECORD: usize = 40;
const ENTRY: usize = 28;
const PART: usize = 16;

/// Four bytes as a number.
pub fn word(bytes: &[u8], at: usize) -> usize {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]) as usize
}

fn set(bytes: &mut [u8], at: usize, number: usize) {
    bytes[at..at + 4].copy_from_slice(&(number as u32).to_le_bytes());
}

fn set_long(bytes: &mut [u8], at: usize, number: usize) {
    bytes[at..at + 8].copy_from_slice(&(number as u64).to_le_bytes());
}

/// Checksum of bytes at a place.
pub fn sum(file_id: u64, offset: usize, bytes: &[u8]) -> u32 {
    let place = [file_id.to_le_bytes(), (offset as u64).to_le_bytes()].concat();
    crc32c::crc32c_append(crc32c::crc32c(&place), bytes)
}

/// Length of the JSON at the start of `bytes`.
fn json(bytes: &[u8]) -> Option<usize> {
    let mut values = serde_json::Deserializer::from_slice(bytes).into_iter::<&RawValue>();
    let value = values.next()?;
    value.ok().map(|_| values.byte_offset())
}

/// Puts the frame at the start of `bytes` right; gives its length if all of it is there. `alone`: it ends with the file.
pub fn frame(bytes: &mut [u8], alone: bool, depth: Depth) -> Option<usize> {
    if bytes.len() < FRAME || depth == Depth::Raw {
        return None;
    }
    if depth >= Depth::Lengths {
        set(bytes, 8, 1);
        if let Some(body) = json(&bytes[FRAME..]) {
            set_long(bytes, 12, body);
            set_long(bytes, 20, if alone { bytes.len() - FRAME - body } else { 0 });
        }
    }
    let mut head = bytes[..FRAME - 4].to_vec();
    head[FRAME - 8..].fill(0);
    set(bytes, FRAME - 4, crc32c::crc32c(&head) as usize);
    let long = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap_or_default());
    let length = long(12).checked_add(long(20))?.checked_add(FRAME as u64)?;
    let length = usize::try_from(length).ok().filter(|length| *length <= bytes.len())?;
    let whole = crc32c::crc32c(&bytes[FRAME - 4..length]);
    set(bytes, FRAME - 8, whole as usize);
    Some(length)
}

/// The JSON of the frame at the start of `bytes`.
pub fn body(bytes: &[u8]) -> Option<Value> {
    serde_json::Deserializer::from_slice(bytes.get(FRAME..)?).into_iter().next()?.ok()
}

fn file_id(bytes: &[u8]) -> u64 {
    body(bytes).and_then(|body| body.get("file_id")?.as_u64()).unwrap_or(0)
}

/// Puts records of the log right, from `at` on.
pub fn records(bytes: &mut [u8], mut at: usize, file_id: u64, depth: Depth) {
    while depth > Depth::Raw && at + RECORD <= bytes.len() {
        let rest = bytes.len() - at;
        if depth >= Depth::Lengths {
            let key = word(bytes, at + 32).min(rest - RECORD);
            let value = word(bytes, at + 36).min(rest - RECORD - key);
            bytes[at + 8] = bytes[at + 8].wrapping_sub(1) % 12 + 1;
            bytes[at + 9] &= 1;
            set(bytes, at + 32, key);
            set(bytes, at + 36, value);
            set(bytes, at + 4, RECORD + key + value);
        }
        let size = word(bytes, at + 4);
        if size < RECORD || size > rest {
            return;
        }
        let sum = sum(file_id, at, &bytes[at + 4..at + size]);
        set(bytes, at, sum as usize);
        at += size;
    }
}

fn entries(bytes: &mut [u8], mut at: usize, file_id: u64, depth: Depth) {
    while at + ENTRY <= bytes.len() {
        let rest = bytes.len() - at;
        if depth >= Depth::Lengths {
            let kind = word(bytes, at + 8).wrapping_sub(1) % 4 + 1;
            set(bytes, at + 8, kind);
            let size = word(bytes, at + 4).clamp(ENTRY, rest);
            set(bytes, at + 4, size);
        }
        let size = word(bytes, at + 4);
        if size < ENTRY || size > rest {
            return;
        }
        let sum = sum(file_id, at, &bytes[at + 4..at + size]);
        set(bytes, at, sum as usize);
        at += size;
    }
}

fn parts(bytes: &mut [u8], mut at: usize, file_id: u64, depth: Depth) -> (usize, usize) {
    let (mut parts, mut content) = (0, 0);
    while at + PART <= bytes.len() {
        let rest = bytes.len() - at - PART;
        if depth >= Depth::Lengths {
            let length = word(bytes, at + 4);
            // What would be left over could be no part.
            let length = if rest.saturating_sub(length) < PART { rest } else { length };
            set(bytes, at + 4, length);
        }
        let length = word(bytes, at + 4);
        if length > rest {
            break;
        }
        let sum = sum(file_id, at, &bytes[at + 4..at + PART + length]);
        set(bytes, at, sum as usize);
        (parts, content, at) = (parts + 1, content + length, at + PART + length);
    }
    (parts, content)
}

fn epoch(bytes: &mut Vec<u8>, depth: Depth) {
    let Some(head) = frame(bytes, false, depth) else { return };
    let file_id = file_id(bytes);
    let searched = bytes[head..].windows(8).rposition(|window| window == b"JETINDEX").map(|at| head + at);
    let Some(index) = searched.filter(|at| at + FRAME + PART <= bytes.len()) else { return };
    let (count, content) = parts(&mut bytes[..index], head, file_id, depth);
    let footer = bytes.len() - PART;
    frame(&mut bytes[index..footer], true, depth);
    if let Some(Value::Object(mut says)) = body(&bytes[index..]).filter(|_| depth >= Depth::Lengths) {
        says.insert("parts".to_owned(), count.into());
        says.insert("bytes".to_owned(), content.into());
        says.insert("digest".to_owned(), blake3::hash(&bytes[..index]).to_hex().as_str().into());
        bytes.truncate(index + 8);
        bytes.extend_from_slice(&[0; FRAME - 8]);
        bytes.extend_from_slice(Value::Object(says).to_string().as_bytes());
        frame(&mut bytes[index..], true, depth);
        bytes.extend_from_slice(&[0; PART]);
        set_footer(bytes, index);
    }
    let footer = bytes.len() - PART;
    if depth >= Depth::Lengths {
        set_footer(bytes, index);
    }
    let at = u64::from_le_bytes(bytes[footer..footer + 8].try_into().unwrap_or_default());
    if let Some(index) = usize::try_from(at).ok().filter(|at| *at <= footer) {
        let sum = sum(file_id, index, &bytes[index..footer]);
        set_long(bytes, footer + 8, sum as usize);
    }
}

fn set_footer(bytes: &mut [u8], index: usize) {
    let footer = bytes.len() - PART;
    set_long(bytes, footer, index);
}

/// Puts a file right, as its magic says what it is.
pub fn file(bytes: &mut Vec<u8>, depth: Depth) {
    if depth == Depth::Raw || bytes.len() < FRAME {
        return;
    }
    match &bytes[..8] {
        b"JETEPOCH" => epoch(bytes, depth),
        b"JETCHUNK" => {
            if let Some(at) = frame(bytes, false, depth) {
                let file_id = file_id(bytes);
                records(bytes, at, file_id, depth);
            }
        }
        b"JETRAFTL" => {
            if let Some(at) = frame(bytes, false, depth) {
                let file_id = file_id(bytes);
                entries(bytes, at, file_id, depth);
            }
        }
        b"JETDURAB" => {
            frame(bytes, false, depth);
            if let Some(second) = bytes.get_mut(4096..) {
                frame(second, false, depth);
            }
        }
        _ => {
            frame(bytes, true, depth);
        }
    }
}
