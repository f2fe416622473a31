//! Messages that come in pieces.
//!
//! A fragment is a run of frames up to a final one. Its first frame holds nothing but the id that the fragments of one
//! message share, and is flagged as the first or last of them, or neither; the frames after it are the message's own.
//! Law: what is here of all of them together is bound like one message. Must not know: who sends them.

use bytes::{Bytes, BytesMut};

use super::decoder::header;
use super::{Bounds, FRAME_HEADER, FrameError, Message, flag};
use crate::limits;

/// The id of a fragmented message.
const ID: usize = 8;

#[derive(Debug, Default)]
pub(super) struct Fragments {
    begun: Vec<Begun>,
}

#[derive(Debug)]
struct Begun {
    id: i64,
    frames: usize,
    bytes: BytesMut,
}

impl Fragments {
    /// Takes one; gives the message of which it was the last.
    pub fn take(&mut self, fragment: &Bytes, frames: usize, flags: u16) -> Result<Option<Message>, FrameError> {
        let length = header(fragment, 0).map_or(0, |(length, _)| length.max(0) as usize);
        let payload = length.saturating_sub(FRAME_HEADER);
        let id = fragment.get(FRAME_HEADER..).and_then(|payload| payload.first_chunk());
        let id = id.filter(|_| payload >= ID).map(|id| i64::from_le_bytes(*id));
        let id = id.ok_or(FrameError::Head { payload, need: ID })?;
        let known = self.begun.iter().position(|begun| begun.id == id);
        let at = match (known, flags & flag::BEGIN_FRAGMENT != 0) {
            (Some(_), true) => return Err(FrameError::FragmentTwice { id }),
            (None, false) => return Err(FrameError::NoSuchFragment { id }),
            (Some(at), false) => at,
            (None, true) => self.begin(id)?,
        };
        self.append(at, fragment.get(length..).unwrap_or_default(), frames - 1)?;
        if flags & flag::END_FRAGMENT == 0 {
            return Ok(None);
        }
        let whole = self.begun.swap_remove(at).bytes;
        complete(whole, id).map(Some)
    }

    fn begin(&mut self, id: i64) -> Result<usize, FrameError> {
        let limit = limits::MAX_FRAGMENTED;
        if self.begun.len() == limit {
            return Err(FrameError::TooManyFragmented { limit });
        }
        self.begun.push(Begun { id, frames: 0, bytes: BytesMut::new() });
        Ok(self.begun.len() - 1)
    }

    fn append(&mut self, at: usize, more: &[u8], frames: usize) -> Result<(), FrameError> {
        let Bounds { message_bytes, frames: most } = Bounds::KNOWN;
        let bytes = self.begun.iter().map(|begun| begun.bytes.len()).sum::<usize>() + more.len();
        if bytes > message_bytes {
            return Err(FrameError::TooLong { bytes, limit: message_bytes });
        }
        let begun = &mut self.begun[at];
        begun.frames += frames;
        if begun.frames > most {
            return Err(FrameError::TooManyFrames { limit: most });
        }
        begun.bytes.extend_from_slice(more);
        Ok(())
    }
}

/// Each fragment ended with a final frame: only the last of the message stays one.
fn complete(mut whole: BytesMut, id: i64) -> Result<Message, FrameError> {
    let mut at = 0;
    while let Some((length, flags)) = header(&whole, at) {
        let end = at + length.max(0) as usize;
        let last = end == whole.len();
        let flags = if last { flags | flag::FINAL } else { flags & !flag::FINAL };
        whole[at + 4..at + FRAME_HEADER].copy_from_slice(&flags.to_le_bytes());
        at = end;
    }
    let unfit = FrameError::FragmentsUnfit { id };
    let Some((_, flags)) = header(&whole, 0) else { return Err(unfit) };
    if flags & flag::UNFRAGMENTED != flag::UNFRAGMENTED {
        return Err(unfit);
    }
    Message::of_frames(whole.freeze())
}
