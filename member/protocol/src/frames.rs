//! Messages as frames.
//!
//! A frame is `length: i32` (its own six bytes counted), `flags: u16`, payload; all little-endian. A message ends with
//! the frame that is flagged as final. Its first frame begins with `kind: i32`, `correlation: i64`, and then
//! `partition: i32` in requests and events, or the number of backup acknowledgements, one byte, in answers.
//! Law: a [`Message`] is whole, and its frames fill it exactly. Must not know: what messages mean.

mod cursor;
mod decoder;
mod fragments;
mod writer;

use bytes::Bytes;
use thiserror::Error;

use crate::limits;

pub(crate) use cursor::Cursor;
pub use cursor::Malformed;
pub use decoder::Decoder;
pub use writer::{Form, TooLong};
pub(crate) use writer::{Head, Writer};

/// Length and flags of a frame.
pub(crate) const FRAME_HEADER: usize = 6;

/// Kind, correlation and partition, without the frame's own header.
pub(crate) const REQUEST_HEAD: usize = 16;

/// Kind, correlation and number of acknowledgements.
pub(crate) const ANSWER_HEAD: usize = 13;

/// Bits of a frame's flags.
pub mod flag {
    /// On the first frame of a message's first fragment.
    pub const BEGIN_FRAGMENT: u16 = 1 << 15;
    /// On the first frame of a message's last fragment.
    pub const END_FRAGMENT: u16 = 1 << 14;
    /// On the first frame of a message that is in one piece.
    pub const UNFRAGMENTED: u16 = BEGIN_FRAGMENT | END_FRAGMENT;
    /// On the last frame.
    pub const FINAL: u16 = 1 << 13;
    /// A list, map or structure begins.
    pub const BEGIN: u16 = 1 << 12;
    /// The innermost list, map or structure ends.
    pub const END: u16 = 1 << 11;
    /// Instead of a value.
    pub const NULL: u16 = 1 << 10;
    /// The message is an event.
    pub const EVENT: u16 = 1 << 9;
    /// The client waits for acknowledgements of backups by itself.
    pub const BACKUP_AWARE: u16 = 1 << 8;
    /// The message is such an acknowledgement.
    pub const BACKUP_EVENT: u16 = 1 << 7;
}

/// Why a stream is not read any further: where its next message would begin is not known any more.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum FrameError {
    /// A length below that of the frame's own header.
    #[error("a frame of {length} bytes is shorter than its header: the peer does not speak this protocol; close")]
    Length {
        /// What it says.
        length: i32,
    },
    /// Longer than [`limits::MAX_MESSAGE_BYTES`] or its like before authentication.
    #[error(
        "a message of {bytes} bytes or more is longer than the {limit} that are taken: send smaller batches; close"
    )]
    TooLong {
        /// What is announced so far.
        bytes: usize,
        /// The bound that holds now.
        limit: usize,
    },
    /// More frames than [`limits::MAX_FRAMES`] or its like before authentication.
    #[error("a message has more than the {limit} frames that are taken: send smaller batches; close")]
    TooManyFrames {
        /// The bound that holds now.
        limit: usize,
    },
    /// [`limits::MAX_BYTES_BEFORE_AUTHENTICATION`].
    #[error("{limit} bytes came and no authentication succeeded: close")]
    TooMuchUnknown {
        /// The bound.
        limit: usize,
    },
    /// Only who is known may send a message in fragments.
    #[error("a fragment came before authentication: close")]
    FragmentUnknown,
    /// The first frame lacks what every message begins with.
    #[error("a first frame holds {payload} bytes, {need} are needed: the peer does not speak this protocol; close")]
    Head {
        /// What it has.
        payload: usize,
        /// Kind, correlation and more; or a fragment's id.
        need: usize,
    },
    /// A middle or last fragment of nothing.
    #[error("a fragment of message {id} came without its first one: close")]
    NoSuchFragment {
        /// The id that fragments share.
        id: i64,
    },
    /// Two first fragments.
    #[error("message {id} begins twice in fragments: close")]
    FragmentTwice {
        /// The id that fragments share.
        id: i64,
    },
    /// [`limits::MAX_FRAGMENTED`].
    #[error("more than {limit} messages lie half here in fragments: close")]
    TooManyFragmented {
        /// The bound.
        limit: usize,
    },
    /// What the fragments make is no message.
    #[error("the fragments of message {id} do not make one message: close")]
    FragmentsUnfit {
        /// The id that fragments share.
        id: i64,
    },
}

/// One whole message as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    bytes: Bytes,
}

impl Message {
    /// Of frames that fill `bytes` exactly, the last of them, and none before, final.
    fn of_frames(bytes: Bytes) -> Result<Self, FrameError> {
        let message = Self { bytes };
        let payload = message.first().len();
        if payload < ANSWER_HEAD {
            return Err(FrameError::Head { payload, need: ANSWER_HEAD });
        }
        Ok(message)
    }

    /// Service, method and form: `service << 16 | method << 8 | form`.
    pub fn kind(&self) -> u32 {
        u32::from_le_bytes(self.part(0))
    }

    /// What pairs an answer or event with its request.
    pub fn correlation(&self) -> i64 {
        i64::from_le_bytes(self.part(4))
    }

    /// Of a request: the partition that the client computed; −1 where none is meant.
    pub fn partition(&self) -> i32 {
        i32::from_le_bytes(self.part(12))
    }

    /// The flags of its first frame.
    pub fn flags(&self) -> u16 {
        let flags = self.bytes.get(4..).and_then(|flags| flags.first_chunk());
        flags.map_or(0, |flags| u16::from_le_bytes(*flags))
    }

    /// As it came.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// Payload of the first frame.
    pub(crate) fn first(&self) -> &[u8] {
        let length = self.bytes.first_chunk().map_or(0, |length| i32::from_le_bytes(*length));
        self.bytes.get(FRAME_HEADER..length.max(0) as usize).unwrap_or_default()
    }

    /// Zeros where an answer, which has no partition, is asked for one.
    fn part<const N: usize>(&self, at: usize) -> [u8; N] {
        self.first().get(at..).and_then(|part| part.first_chunk()).copied().unwrap_or([0; N])
    }
}

/// What is taken from a peer now.
#[derive(Debug, Clone, Copy)]
struct Bounds {
    message_bytes: usize,
    frames: usize,
}

impl Bounds {
    const UNKNOWN: Self = Self {
        message_bytes: limits::MAX_MESSAGE_BYTES_BEFORE_AUTHENTICATION,
        frames: limits::MAX_FRAMES_BEFORE_AUTHENTICATION,
    };
    const KNOWN: Self = Self { message_bytes: limits::MAX_MESSAGE_BYTES, frames: limits::MAX_FRAMES };
}
