//! The two protocols: how a request is written, and where an answer ends.
//!
//! Law: keys and values have the same text and the same bytes in both. Must not know: sockets.

use anyhow::{Result, bail, ensure};
use bytes::{Buf, BufMut, BytesMut};
use clap::ValueEnum;
use jet_protocol::data::{Data, Value};
use jet_protocol::message::{map, put_request};

use crate::Op;

const MAP: &str = "bench";
/// Of a frame that is the last of its message, and of one that is null.
const FINAL: u16 = 1 << 13;
const NULL: u16 = 1 << 10;

/// What is spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Speaks {
    /// The client protocol.
    Client,
    /// That of Redis.
    Resp,
}

/// One protocol with its keys and value.
pub struct Wire {
    speaks: Speaks,
    value: Vec<u8>,
    /// Number of keys.
    pub keys: u32,
}

impl Wire {
    /// With values of so many bytes.
    pub fn new(speaks: Speaks, bytes: usize, keys: u32) -> Self {
        let mut seed = 7u64;
        let value = (0..bytes).map(|_| (next(&mut seed) >> 32) as u8).collect();
        Self { speaks, value, keys }
    }

    /// Whether it is the client protocol.
    pub fn is_client(&self) -> bool {
        self.speaks == Speaks::Client
    }

    /// A key as text.
    fn key(key: u32) -> String {
        format!("key-{key:08}")
    }

    /// A key as clients write it.
    pub fn data(key: u32) -> Data {
        Value::String(Self::key(key).as_str().into()).data()
    }

    /// Appends a request.
    pub fn put(&self, op: Op, key: u32, out: &mut BytesMut) -> Result<()> {
        match self.speaks {
            Speaks::Resp => self.put_resp(op, &Self::key(key), out),
            Speaks::Client => self.put_client(op, Self::data(key), out)?,
        }
        Ok(())
    }

    fn put_resp(&self, op: Op, key: &str, out: &mut BytesMut) {
        let words: &[&[u8]] = match op {
            Op::Get => &[b"GET", key.as_bytes()],
            Op::Set => &[b"SET", key.as_bytes(), &self.value],
            Op::Put => &[b"SET", key.as_bytes(), &self.value, b"GET"],
        };
        out.put_slice(format!("*{}\r\n", words.len()).as_bytes());
        for word in words {
            out.put_slice(format!("${}\r\n", word.len()).as_bytes());
            out.put_slice(word);
            out.put_slice(b"\r\n");
        }
    }

    fn put_client(&self, op: Op, key: Data, out: &mut BytesMut) -> Result<()> {
        let (thread, ttl, name) = (1, -1, MAP.into());
        let value = || Value::Bytes(self.value.clone().into()).data();
        match op {
            Op::Get => put_request(&map::get::Request { thread, name, key }, 1, -1, out)?,
            Op::Set => put_request(&map::set::Request { thread, ttl, name, key, value: value() }, 1, -1, out)?,
            Op::Put => put_request(&map::put::Request { thread, ttl, name, key, value: value() }, 1, -1, out)?,
        }
        Ok(())
    }

    /// Takes one answer from the front, if it is whole. `filled`: a get must find its value.
    pub fn take(&self, op: Op, read: &mut BytesMut) -> Result<bool> {
        match self.speaks {
            Speaks::Resp => self.take_resp(op, read),
            Speaks::Client => self.take_client(op, read),
        }
    }

    fn take_client(&self, op: Op, read: &mut BytesMut) -> Result<bool> {
        let (mut at, mut null) = (0, false);
        loop {
            let Some(header) = read.get(at..at + 6) else { return Ok(false) };
            let length = i32::from_le_bytes([header[0], header[1], header[2], header[3]]) as usize;
            let flags = u16::from_le_bytes([header[4], header[5]]);
            if read.len() < at + length {
                return Ok(false);
            }
            null |= flags & NULL != 0;
            at += length;
            if flags & FINAL != 0 {
                break;
            }
        }
        if read[6..10] == [0; 4] {
            bail!("an error came: {}", String::from_utf8_lossy(&read[..at.min(600)]));
        }
        ensure!(op != Op::Get || (!null && at > self.value.len()), "a key has no value: --fill it");
        read.advance(at);
        Ok(true)
    }

    fn take_resp(&self, op: Op, read: &mut BytesMut) -> Result<bool> {
        let Some(line) = read.iter().position(|byte| *byte == b'\n') else { return Ok(false) };
        let whole = match read[0] {
            b'+' => line + 1,
            b'$' => {
                let length: i64 = std::str::from_utf8(&read[1..line - 1])?.parse()?;
                ensure!(op != Op::Get || length == self.value.len() as i64, "a key has no value: --fill it");
                line + 1 + usize::try_from(length).map_or(0, |length| length + 2)
            }
            _ => bail!("an error came: {}", String::from_utf8_lossy(&read[..line])),
        };
        if read.len() < whole {
            return Ok(false);
        }
        read.advance(whole);
        Ok(true)
    }
}

/// The next of a row of numbers without a pattern.
pub fn next(seed: &mut u64) -> u64 {
    *seed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mixed = (*seed ^ (*seed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}
