//! Serialized things, part by part.
//!
//! Law: a length is measured against the bytes that are there before anything is made of it. Must not know: what the
//! parts mean.

use bytes::Bytes;
use jet_protocol::fields::Text;

use crate::Refused;

/// What is read, and how far.
#[derive(Debug, Clone)]
pub struct Content {
    bytes: Bytes,
    at: usize,
    what: &'static str,
}

impl Content {
    /// Of something that errors call `what`.
    pub fn new(bytes: Bytes, what: &'static str) -> Self {
        Self { bytes, at: 0, what }
    }

    /// From another place on.
    pub fn from(&self, at: usize) -> Self {
        Self { at, ..self.clone() }
    }

    /// How far it is read.
    pub fn at(&self) -> usize {
        self.at
    }

    /// How many bytes are left.
    pub fn left(&self) -> usize {
        self.bytes.len().saturating_sub(self.at)
    }

    /// Something that is wrong here.
    pub fn refuse(&self, why: impl ToString) -> Refused {
        Refused::unreadable(self.what, format!("at byte {}: {}", self.at, why.to_string()))
    }

    /// The next `N` bytes.
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], Refused> {
        let found = self.bytes.get(self.at..).and_then(|rest| rest.first_chunk()).copied();
        let found = found.ok_or_else(|| self.refuse("it ends too early"))?;
        self.at += N;
        Ok(found)
    }

    /// Two's complement, most significant byte first.
    pub fn int(&mut self) -> Result<i32, Refused> {
        Ok(i32::from_be_bytes(self.array()?))
    }

    /// The same, twice as long.
    pub fn long(&mut self) -> Result<i64, Refused> {
        Ok(i64::from_be_bytes(self.array()?))
    }

    /// One byte.
    pub fn byte(&mut self) -> Result<u8, Refused> {
        Ok(self.array::<1>()?[0])
    }

    /// A length, or nothing where it is that of a null.
    pub fn length(&mut self) -> Result<Option<usize>, Refused> {
        match self.int()? {
            -1 => Ok(None),
            length => {
                let length = usize::try_from(length).ok().filter(|length| *length <= self.left());
                length.map(Some).ok_or_else(|| self.refuse("a length is beyond the end"))
            }
        }
    }

    /// So many bytes.
    pub fn slice(&mut self, length: usize) -> Result<Bytes, Refused> {
        let end = self.at.checked_add(length).filter(|end| *end <= self.bytes.len());
        let end = end.ok_or_else(|| self.refuse("it ends too early"))?;
        let slice = self.bytes.slice(self.at..end);
        self.at = end;
        Ok(slice)
    }

    /// Text that may be null.
    pub fn text(&mut self) -> Result<Option<Text>, Refused> {
        let Some(length) = self.length()? else { return Ok(None) };
        let bytes = self.slice(length)?;
        Text::try_from(bytes).map(Some).map_err(|_| self.refuse("a text is not UTF-8"))
    }

    /// Bytes behind their length.
    pub fn block(&mut self) -> Result<Bytes, Refused> {
        match self.length()? {
            Some(length) => self.slice(length),
            None => Err(self.refuse("a null stands where none may be")),
        }
    }
}
