//! A stream of bytes → messages.
//!
//! Law: a bound is looked at when a length is announced, not when its bytes are here; while a message comes, no frame of
//! it is looked at twice; after an error nothing is read any more. Must not know: where bytes come from.

use bytes::BytesMut;

use super::fragments::Fragments;
use super::{Bounds, FRAME_HEADER, FrameError, Message, flag};
use crate::limits;

/// Of one connection, from its preamble on.
#[derive(Debug)]
pub struct Decoder {
    buffer: BytesMut,
    /// Bytes of the message at the front whose frames were looked at.
    scanned: usize,
    /// Frames among them.
    frames: usize,
    /// Bytes of messages that were handed out while the peer was unknown.
    unknown: usize,
    known: bool,
    fragments: Fragments,
    failed: Option<FrameError>,
}

impl Default for Decoder {
    fn default() -> Self {
        Self::new()
    }
}

impl Decoder {
    /// For a peer that nobody knows yet.
    pub fn new() -> Self {
        Self {
            buffer: BytesMut::new(),
            scanned: 0,
            frames: 0,
            unknown: 0,
            known: false,
            fragments: Fragments::default(),
            failed: None,
        }
    }

    /// The peer has shown who it is: from now on the wider bounds hold.
    pub fn authenticated(&mut self) {
        self.known = true;
    }

    /// Where bytes are to be appended. There is room for at least [`limits::READ_CHUNK`] of them, and beside that never
    /// for more than four times what came: an announced length alone takes no memory.
    pub fn space(&mut self) -> &mut BytesMut {
        self.buffer.reserve(limits::READ_CHUNK);
        &mut self.buffer
    }

    /// Appends what came, and takes no more memory than that.
    pub fn feed(&mut self, bytes: &[u8]) {
        match self.buffer.is_empty() {
            true => self.buffer = BytesMut::from(bytes),
            false => self.buffer.extend_from_slice(bytes),
        }
    }

    /// The next message that is whole; none as long as bytes are missing.
    pub fn next_message(&mut self) -> Result<Option<Message>, FrameError> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        let message = self.advance();
        if let Err(error) = &message {
            self.failed = Some(error.clone());
            self.buffer = BytesMut::new();
            self.fragments = Fragments::default();
        }
        message
    }

    fn advance(&mut self) -> Result<Option<Message>, FrameError> {
        loop {
            let limit = limits::MAX_BYTES_BEFORE_AUTHENTICATION;
            if !self.known && self.unknown + self.buffer.len() > limit {
                return Err(FrameError::TooMuchUnknown { limit });
            }
            let Some((end, flags)) = self.scan()? else { return Ok(None) };
            let bytes = self.buffer.split_to(end).freeze();
            let frames = std::mem::take(&mut self.frames);
            self.scanned = 0;
            self.unknown += if self.known { 0 } else { end };
            if flags & flag::UNFRAGMENTED == flag::UNFRAGMENTED {
                return Message::of_frames(bytes).map(Some);
            }
            if !self.known {
                return Err(FrameError::FragmentUnknown);
            }
            if let Some(message) = self.fragments.take(&bytes, frames, flags)? {
                return Ok(Some(message));
            }
        }
    }

    /// Length of the message at the front, if it is whole, and the flags of its first frame.
    fn scan(&mut self) -> Result<Option<(usize, u16)>, FrameError> {
        let bounds = if self.known { Bounds::KNOWN } else { Bounds::UNKNOWN };
        while let Some((length, flags)) = header(&self.buffer, self.scanned) {
            let end = self.scanned + frame_length(length)?;
            if end > bounds.message_bytes {
                return Err(FrameError::TooLong { bytes: end, limit: bounds.message_bytes });
            }
            if self.frames == bounds.frames {
                return Err(FrameError::TooManyFrames { limit: bounds.frames });
            }
            if self.buffer.len() < end {
                break;
            }
            self.scanned = end;
            self.frames += 1;
            if flags & flag::FINAL != 0 {
                return Ok(header(&self.buffer, 0).map(|(_, first)| (end, first)));
            }
        }
        Ok(None)
    }
}

/// Length and flags of the frame at a place, if its header is here.
pub(super) fn header(bytes: &[u8], at: usize) -> Option<(i32, u16)> {
    let header: &[u8; FRAME_HEADER] = bytes.get(at..)?.first_chunk()?;
    let [a, b, c, d, e, f] = *header;
    Some((i32::from_le_bytes([a, b, c, d]), u16::from_le_bytes([e, f])))
}

fn frame_length(length: i32) -> Result<usize, FrameError> {
    usize::try_from(length).ok().filter(|bytes| *bytes >= FRAME_HEADER).ok_or(FrameError::Length { length })
}
