//! Frames → bytes.
//!
//! Law: a message is appended whole, or the output is as it was. Must not know: where bytes go.

use bytes::{BufMut, BytesMut};
use thiserror::Error;

use super::{FRAME_HEADER, flag};
use crate::limits;

/// A message that nobody would take.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{message} would be longer than the {limit} bytes that are sent in one: ask for less at a time")]
pub struct TooLong {
    /// Which one.
    pub message: &'static str,
    /// [`limits::MAX_SENT_BYTES`].
    pub limit: usize,
}

/// What a message begins with, by its form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// Asked by a client.
    Request,
    /// Answered, once.
    Answer,
    /// Told, as often as it happens.
    Event,
}

/// The first fields of a message.
#[derive(Debug, Clone, Copy)]
pub struct Head {
    pub form: Form,
    pub kind: u32,
    pub correlation: i64,
    pub partition: i32,
}

#[derive(Debug)]
pub struct Writer<'a> {
    out: &'a mut BytesMut,
    /// Where the message begins.
    start: usize,
    /// Where its newest frame begins.
    frame: usize,
    limit: usize,
    too_long: bool,
}

impl<'a> Writer<'a> {
    /// Begins a message; its first frame is open for fixed fields.
    pub fn begin(out: &'a mut BytesMut, head: Head) -> Self {
        let start = out.len();
        let mut writer = Self { out, start, frame: start, limit: limits::MAX_SENT_BYTES, too_long: false };
        let event = if head.form == Form::Event { flag::EVENT } else { 0 };
        writer.open(flag::UNFRAGMENTED | event);
        writer.out.put_u32_le(head.kind);
        writer.out.put_i64_le(head.correlation);
        match head.form {
            // Backups are waited for before an answer is given.
            Form::Answer => writer.out.put_u8(0),
            Form::Request | Form::Event => writer.out.put_i32_le(head.partition),
        }
        writer
    }

    /// Begins a frame; what is put until it is closed is its payload.
    pub fn open(&mut self, flags: u16) {
        self.frame = self.out.len();
        self.out.put_i32_le(0);
        self.out.put_u16_le(flags);
    }

    /// Payload of the open frame.
    pub fn put(&mut self) -> &mut BytesMut {
        self.out
    }

    /// Ends the open frame.
    pub fn close(&mut self) {
        let length = i32::try_from(self.out.len() - self.frame).unwrap_or(i32::MAX);
        self.out[self.frame..self.frame + 4].copy_from_slice(&length.to_le_bytes());
        self.too_long |= self.out.len() - self.start > self.limit;
    }

    /// A whole frame.
    pub fn frame(&mut self, flags: u16, payload: &[u8]) {
        if self.too_long || self.out.len() - self.start + FRAME_HEADER + payload.len() > self.limit {
            self.too_long = true;
            return;
        }
        self.open(flags);
        self.out.put_slice(payload);
        self.close();
    }

    /// Ends the message, or takes it back.
    pub fn finish(self, message: &'static str) -> Result<(), TooLong> {
        if self.too_long {
            self.out.truncate(self.start);
            return Err(TooLong { message, limit: self.limit });
        }
        // The second byte of the flags.
        self.out[self.frame + 5] |= (flag::FINAL >> 8) as u8;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(out: &mut BytesMut, limit: usize) -> Result<(), TooLong> {
        let mut writer = Writer::begin(out, Head { form: Form::Request, kind: 1, correlation: 2, partition: 3 });
        writer.limit = limit;
        writer.close();
        writer.frame(0, b"text");
        writer.open(0);
        writer.put().put_slice(b"packed");
        writer.close();
        writer.finish("test")
    }

    #[test]
    fn a_message_that_is_too_long_leaves_nothing() {
        let mut out = BytesMut::from("before".as_bytes());
        let whole = 22 + 10 + 12;
        assert_eq!(written(&mut out, whole), Ok(()));
        assert_eq!(out.len(), 6 + whole);
        let before = out.clone();
        for limit in 22..whole {
            assert_eq!(written(&mut out, limit), Err(TooLong { message: "test", limit }));
            assert_eq!(out, before);
        }
    }
}
