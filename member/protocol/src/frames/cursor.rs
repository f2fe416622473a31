//! Walks the frames of a message.
//!
//! Law: memory for lists is charged against [`limits::MAX_AMPLIFICATION`] times the message before it is taken, so that
//! a message of many empty things cannot make much out of little. Must not know: which fields a message has.

use bytes::Bytes;
use thiserror::Error;

use super::decoder::header;
use super::{Message, flag};
use crate::limits;

/// Why a field cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Malformed {
    /// No frame is left.
    #[error("the message ends before it")]
    Ended,
    /// A null where none may stand.
    #[error("it is null and may not be")]
    Null,
    /// A list, map or structure should begin here.
    #[error("it should begin with a frame that is flagged so")]
    NoBegin,
    /// A frame is too short for what it holds.
    #[error("its frame has {have} bytes, {need} are needed")]
    Short {
        /// Bytes of payload.
        have: usize,
        /// What the field takes at least.
        need: usize,
    },
    /// A packed list of which the last item is cut.
    #[error("its frame has {have} bytes, which is no multiple of the {item} of one item")]
    Uneven {
        /// Bytes of payload.
        have: usize,
        /// Bytes of one item.
        item: usize,
    },
    /// Text that is none.
    #[error("it is not UTF-8")]
    NotText,
    /// Two lists that belong together.
    #[error("{keys} keys stand beside {values} values")]
    Unpaired {
        /// Length of one.
        keys: usize,
        /// Length of the other.
        values: usize,
    },
    /// A number that stands for no type of a column.
    #[error("no type of a column has the number {id}")]
    ColumnType {
        /// As it came.
        id: i32,
    },
    /// Columns of a page have different numbers of rows, or a count and its bytes differ.
    #[error("a column has not the rows that it says")]
    Rows,
    /// [`limits::MAX_AMPLIFICATION`].
    #[error("the message would take more than {limit} bytes of memory: it lists too many empty things")]
    Amplified {
        /// What it may take.
        limit: usize,
    },
}

/// Place and flags of a frame in its message.
#[derive(Debug, Clone, Copy)]
pub struct Frame {
    pub flags: u16,
    from: usize,
    to: usize,
}

impl Frame {
    fn has(self, flag: u16) -> bool {
        self.flags & flag != 0
    }
}

#[derive(Debug)]
pub struct Cursor<'a> {
    bytes: &'a Bytes,
    at: usize,
    limit: usize,
    charged: usize,
}

impl<'a> Cursor<'a> {
    /// Behind the first frame.
    pub fn behind_first(message: &'a Message) -> Self {
        let bytes = message.bytes();
        let mut cursor = Self { bytes, at: 0, limit: bytes.len() * limits::MAX_AMPLIFICATION, charged: 0 };
        cursor.at = cursor.peek().map_or(bytes.len(), |first| first.to);
        cursor
    }

    /// The next frame, whatever it is.
    pub fn next(&mut self) -> Result<Frame, Malformed> {
        let frame = self.peek().ok_or(Malformed::Ended)?;
        self.at = frame.to;
        Ok(frame)
    }

    /// The next frame as one value.
    pub fn value(&mut self) -> Result<Frame, Malformed> {
        let frame = self.next()?;
        match frame.has(flag::NULL) {
            true => Err(Malformed::Null),
            false => Ok(frame),
        }
    }

    /// Passes a null, if one stands here.
    pub fn null(&mut self) -> Result<bool, Malformed> {
        let frame = self.peek().ok_or(Malformed::Ended)?;
        if frame.has(flag::NULL) {
            self.at = frame.to;
        }
        Ok(frame.has(flag::NULL))
    }

    /// Enters a list, map or structure.
    pub fn begin(&mut self) -> Result<(), Malformed> {
        let frame = self.value()?;
        frame.has(flag::BEGIN).then_some(()).ok_or(Malformed::NoBegin)
    }

    /// Whether the innermost list, map or structure ends here.
    pub fn at_end(&self) -> Result<bool, Malformed> {
        self.peek().map(|frame| frame.has(flag::END)).ok_or(Malformed::Ended)
    }

    /// Whether no frame is left.
    pub fn is_done(&self) -> bool {
        self.peek().is_none()
    }

    /// Leaves the innermost list, map or structure, past all that is left in it.
    pub fn end(&mut self) -> Result<(), Malformed> {
        while !self.at_end()? {
            self.pass()?;
        }
        self.next().map(drop)
    }

    /// Items up to the end of the innermost list.
    pub fn count(&self) -> Result<usize, Malformed> {
        let mut ahead = Self { ..*self };
        let mut items = 0;
        while !ahead.at_end()? {
            ahead.pass()?;
            items += 1;
        }
        Ok(items)
    }

    /// An empty list with room for `items`, charged.
    pub fn room<T>(&mut self, items: usize) -> Result<Vec<T>, Malformed> {
        self.charge(items.saturating_mul(size_of::<T>()))?;
        Ok(Vec::with_capacity(items))
    }

    /// Notes memory that is about to be taken.
    pub fn charge(&mut self, bytes: usize) -> Result<(), Malformed> {
        self.charged = self.charged.saturating_add(bytes);
        match self.limit {
            limit if self.charged > limit => Err(Malformed::Amplified { limit }),
            _ => Ok(()),
        }
    }

    /// Payload of a frame, as it lies there.
    pub fn payload(&self, frame: Frame) -> &'a [u8] {
        self.bytes.get(frame.from..frame.to).unwrap_or_default()
    }

    /// Payload of a frame, to be kept.
    pub fn slice(&self, frame: Frame) -> Bytes {
        self.bytes.slice(frame.from..frame.to)
    }

    /// One value, list, map or structure.
    fn pass(&mut self) -> Result<(), Malformed> {
        let mut depth = 0usize;
        loop {
            let frame = self.next()?;
            depth += usize::from(frame.has(flag::BEGIN));
            depth = depth.saturating_sub(usize::from(frame.has(flag::END)));
            if depth == 0 {
                return Ok(());
            }
        }
    }

    fn peek(&self) -> Option<Frame> {
        let (length, flags) = header(self.bytes, self.at)?;
        let to = self.at.checked_add(usize::try_from(length).ok()?)?;
        let from = self.at + super::FRAME_HEADER;
        (from <= to && to <= self.bytes.len()).then_some(Frame { flags, from, to })
    }
}
