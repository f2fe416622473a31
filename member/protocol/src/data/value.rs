//! The content of primitives, text, JSON and arrays of them, both ways.
//!
//! Numbers are big-endian; text is its length in bytes and UTF-8; an array is its length and its items.
//! Law: what is written reads back as the same; an array is measured against its bytes before it is made.
//! Must not know: what a value means.

use bytes::{BufMut, Bytes, BytesMut};
use thiserror::Error;
use uuid::Uuid;

use super::{Data, type_id};
use crate::fields::Text;

/// A value whose type is read here.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs)] // the names are the types
pub enum Value {
    Null,
    Byte(i8),
    Boolean(bool),
    /// A unit of UTF-16.
    Char(u16),
    Short(i16),
    Integer(i32),
    Long(i64),
    Float(f32),
    Double(f64),
    String(Text),
    /// Text that should be JSON.
    Json(Text),
    Uuid(Uuid),
    Bytes(Bytes),
    Booleans(Vec<bool>),
    Chars(Vec<u16>),
    Shorts(Vec<i16>),
    Integers(Vec<i32>),
    Longs(Vec<i64>),
    Floats(Vec<f32>),
    Doubles(Vec<f64>),
    /// Boxed: an array of empty strings shall not take many times its bytes.
    Strings(Vec<Option<Box<str>>>),
}

/// Why a [`Data`] is no [`Value`].
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum NotAValue {
    /// A type that is not looked into; it is kept and given back as it is.
    #[error("values of type {type_id} are not looked into here")]
    Opaque {
        /// As the header says.
        type_id: i32,
    },
    /// Content that ends too early.
    #[error("a value of type {type_id} has {have} bytes, {need} are needed")]
    Short {
        /// As the header says.
        type_id: i32,
        /// Bytes of content.
        have: usize,
        /// What it takes.
        need: usize,
    },
    /// A length below zero where nothing can be null.
    #[error("a value of type {type_id} has a length of {length}")]
    Length {
        /// As the header says.
        type_id: i32,
        /// As it came.
        length: i32,
    },
    /// Text that is none.
    #[error("a value of type {type_id} is not UTF-8")]
    NotText {
        /// As the header says.
        type_id: i32,
    },
}

impl Value {
    /// As clients write it.
    pub fn data(&self) -> Data {
        let mut out = BytesMut::new();
        let type_id = self.put(&mut out);
        Data::new(type_id, &out)
    }

    /// The value that a [`Data`] holds. What lies behind it is not looked at.
    pub fn of(data: &Data) -> Result<Self, NotAValue> {
        let mut from = Content { type_id: data.type_id(), bytes: data.content(), at: 0 };
        Ok(match from.type_id {
            type_id::NULL => Self::Null,
            type_id::BYTE => Self::Byte(from.number(i8::from_be_bytes)?),
            type_id::BOOLEAN => Self::Boolean(from.number(boolean)?),
            type_id::CHAR => Self::Char(from.number(u16::from_be_bytes)?),
            type_id::SHORT => Self::Short(from.number(i16::from_be_bytes)?),
            type_id::INTEGER => Self::Integer(from.number(i32::from_be_bytes)?),
            type_id::LONG => Self::Long(from.number(i64::from_be_bytes)?),
            type_id::FLOAT => Self::Float(from.number(f32::from_be_bytes)?),
            type_id::DOUBLE => Self::Double(from.number(f64::from_be_bytes)?),
            type_id::STRING => Self::String(from.text()?),
            type_id::JSON => Self::Json(from.text()?),
            type_id::UUID => Self::Uuid(from.number(Uuid::from_bytes)?),
            type_id::BYTE_ARRAY => Self::Bytes(from.bytes()?),
            type_id::BOOLEAN_ARRAY => Self::Booleans(from.array(boolean)?),
            type_id::CHAR_ARRAY => Self::Chars(from.array(u16::from_be_bytes)?),
            type_id::SHORT_ARRAY => Self::Shorts(from.array(i16::from_be_bytes)?),
            type_id::INTEGER_ARRAY => Self::Integers(from.array(i32::from_be_bytes)?),
            type_id::LONG_ARRAY => Self::Longs(from.array(i64::from_be_bytes)?),
            type_id::FLOAT_ARRAY => Self::Floats(from.array(f32::from_be_bytes)?),
            type_id::DOUBLE_ARRAY => Self::Doubles(from.array(f64::from_be_bytes)?),
            type_id::STRING_ARRAY => Self::Strings(from.texts()?),
            type_id => return Err(NotAValue::Opaque { type_id }),
        })
    }

    /// Appends the content; gives the type.
    fn put(&self, out: &mut BytesMut) -> i32 {
        match self {
            Self::Null => type_id::NULL,
            Self::Byte(number) => put_one(out, type_id::BYTE, &number.to_be_bytes()),
            Self::Boolean(yes) => put_one(out, type_id::BOOLEAN, &[u8::from(*yes)]),
            Self::Char(unit) => put_one(out, type_id::CHAR, &unit.to_be_bytes()),
            Self::Short(number) => put_one(out, type_id::SHORT, &number.to_be_bytes()),
            Self::Integer(number) => put_one(out, type_id::INTEGER, &number.to_be_bytes()),
            Self::Long(number) => put_one(out, type_id::LONG, &number.to_be_bytes()),
            Self::Float(number) => put_one(out, type_id::FLOAT, &number.to_be_bytes()),
            Self::Double(number) => put_one(out, type_id::DOUBLE, &number.to_be_bytes()),
            Self::String(text) => put_array(out, type_id::STRING, text.as_bytes(), |byte| [*byte]),
            Self::Json(text) => put_array(out, type_id::JSON, text.as_bytes(), |byte| [*byte]),
            Self::Uuid(uuid) => put_one(out, type_id::UUID, uuid.as_bytes()),
            Self::Bytes(bytes) => put_array(out, type_id::BYTE_ARRAY, bytes, |byte| [*byte]),
            Self::Booleans(items) => put_array(out, type_id::BOOLEAN_ARRAY, items, |yes| [u8::from(*yes)]),
            Self::Chars(items) => put_array(out, type_id::CHAR_ARRAY, items, |unit| unit.to_be_bytes()),
            Self::Shorts(items) => put_array(out, type_id::SHORT_ARRAY, items, |number| number.to_be_bytes()),
            Self::Integers(items) => put_array(out, type_id::INTEGER_ARRAY, items, |number| number.to_be_bytes()),
            Self::Longs(items) => put_array(out, type_id::LONG_ARRAY, items, |number| number.to_be_bytes()),
            Self::Floats(items) => put_array(out, type_id::FLOAT_ARRAY, items, |number| number.to_be_bytes()),
            Self::Doubles(items) => put_array(out, type_id::DOUBLE_ARRAY, items, |number| number.to_be_bytes()),
            Self::Strings(items) => put_texts(out, items),
        }
    }
}

/// Of a null, in an array of text.
const NULL_LENGTH: i32 = -1;

fn boolean([byte]: [u8; 1]) -> bool {
    byte != 0
}

fn put_one(out: &mut BytesMut, type_id: i32, bytes: &[u8]) -> i32 {
    out.put_slice(bytes);
    type_id
}

fn put_array<T, const N: usize>(out: &mut BytesMut, type_id: i32, items: &[T], item: fn(&T) -> [u8; N]) -> i32 {
    out.put_i32(i32::try_from(items.len()).unwrap_or(i32::MAX));
    items.iter().for_each(|one| out.put_slice(&item(one)));
    type_id
}

fn put_texts(out: &mut BytesMut, texts: &[Option<Box<str>>]) -> i32 {
    out.put_i32(i32::try_from(texts.len()).unwrap_or(i32::MAX));
    for text in texts {
        match text {
            Some(text) => drop(put_array(out, type_id::STRING, text.as_bytes(), |byte| [*byte])),
            None => out.put_i32(NULL_LENGTH),
        }
    }
    type_id::STRING_ARRAY
}

/// What is read of a content, and how far.
struct Content {
    type_id: i32,
    bytes: Bytes,
    at: usize,
}

impl Content {
    fn number<T, const N: usize>(&mut self, read: fn([u8; N]) -> T) -> Result<T, NotAValue> {
        let short = self.short(N);
        let bytes = self.bytes.get(self.at..).and_then(|bytes| bytes.first_chunk()).ok_or(short)?;
        self.at += N;
        Ok(read(*bytes))
    }

    fn length(&mut self) -> Result<usize, NotAValue> {
        let length = self.number(i32::from_be_bytes)?;
        usize::try_from(length).map_err(|_| NotAValue::Length { type_id: self.type_id, length })
    }

    /// So many bytes.
    fn slice(&mut self, length: usize) -> Result<Bytes, NotAValue> {
        let end = self.at.checked_add(length).filter(|end| *end <= self.bytes.len()).ok_or(self.short(length))?;
        let slice = self.bytes.slice(self.at..end);
        self.at = end;
        Ok(slice)
    }

    fn bytes(&mut self) -> Result<Bytes, NotAValue> {
        let length = self.length()?;
        self.slice(length)
    }

    fn text(&mut self) -> Result<Text, NotAValue> {
        let type_id = self.type_id;
        Text::try_from(self.bytes()?).map_err(|_| NotAValue::NotText { type_id })
    }

    fn array<T, const N: usize>(&mut self, read: fn([u8; N]) -> T) -> Result<Vec<T>, NotAValue> {
        let length = self.length()?;
        let items = self.slice(length.saturating_mul(N))?;
        Ok(items.chunks_exact(N).filter_map(|item| item.first_chunk().copied().map(read)).collect())
    }

    fn texts(&mut self) -> Result<Vec<Option<Box<str>>>, NotAValue> {
        let length = self.length()?;
        let begin = self.at;
        // All of it is measured before anything is made of it: what is cut shall take nothing.
        for _ in 0..length {
            self.nullable()?;
        }
        self.at = begin;
        let mut texts = Vec::with_capacity(length);
        for _ in 0..length {
            let text = self.nullable()?.map(Text::try_from).transpose();
            let text = text.map_err(|_| NotAValue::NotText { type_id: self.type_id })?;
            texts.push(text.map(|text| text.as_str().into()));
        }
        Ok(texts)
    }

    /// Bytes that may be null.
    fn nullable(&mut self) -> Result<Option<Bytes>, NotAValue> {
        let null = self.bytes.get(self.at..).is_some_and(|rest| rest.starts_with(&NULL_LENGTH.to_be_bytes()));
        match null {
            true => self.number(|_: [u8; 4]| None),
            false => self.bytes().map(Some),
        }
    }

    fn short(&self, more: usize) -> NotAValue {
        NotAValue::Short { type_id: self.type_id, have: self.bytes.len(), need: self.at.saturating_add(more) }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn texts() -> impl Strategy<Value = Vec<Option<Box<str>>>> {
        prop::collection::vec(prop::option::of(any::<String>().prop_map(Into::into)), 0..5)
    }

    fn values() -> impl Strategy<Value = Value> {
        let text = || any::<String>().prop_map(Text::from);
        prop_oneof![
            Just(Value::Null),
            any::<i8>().prop_map(Value::Byte),
            any::<bool>().prop_map(Value::Boolean),
            any::<u16>().prop_map(Value::Char),
            any::<i16>().prop_map(Value::Short),
            any::<i32>().prop_map(Value::Integer),
            any::<i64>().prop_map(Value::Long),
            any::<f32>().prop_map(Value::Float),
            any::<f64>().prop_map(Value::Double),
            text().prop_map(Value::String),
            text().prop_map(Value::Json),
            any::<u128>().prop_map(|bits| Value::Uuid(Uuid::from_u128(bits))),
            any::<Vec<u8>>().prop_map(|bytes| Value::Bytes(bytes.into())),
            any::<Vec<bool>>().prop_map(Value::Booleans),
            any::<Vec<u16>>().prop_map(Value::Chars),
            any::<Vec<i16>>().prop_map(Value::Shorts),
            any::<Vec<i32>>().prop_map(Value::Integers),
            any::<Vec<i64>>().prop_map(Value::Longs),
            any::<Vec<f32>>().prop_map(Value::Floats),
            any::<Vec<f64>>().prop_map(Value::Doubles),
            texts().prop_map(Value::Strings),
        ]
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(value in values()) {
            prop_assert_eq!(Value::of(&value.data()), Ok(value));
        }

        #[test]
        fn content_that_is_cut_is_refused(value in values(), cut: prop::sample::Index) {
            let whole = value.data();
            let content = whole.content();
            prop_assume!(!content.is_empty());
            let refused = Value::of(&Data::new(whole.type_id(), &content[..cut.index(content.len())]));
            let short = matches!(refused, Err(NotAValue::Short { .. }));
            prop_assert!(short, "{:?}", refused);
        }

        #[test]
        fn content_that_nobody_wrote_is_read_or_refused(type_id in -30..=0, json: bool, content: Vec<u8>) {
            let _ = Value::of(&Data::new(if json { type_id::JSON } else { type_id }, &content));
        }
    }

    #[test]
    fn values_are_the_bytes_that_clients_write() {
        let written = |value: Value| value.data().as_bytes().to_vec();
        assert_eq!(written(Value::String("v1".into())), b"\0\0\0\0\xff\xff\xff\xf5\0\0\0\x02v1");
        assert_eq!(written(Value::Integer(7)), b"\0\0\0\0\xff\xff\xff\xf9\0\0\0\x07");
        assert_eq!(written(Value::Json("{}".into())), b"\0\0\0\0\xff\xff\xff\x7e\0\0\0\x02{}");
        let texts = Value::Strings(vec![Some("a".into()), None]);
        assert_eq!(written(texts), b"\0\0\0\0\xff\xff\xff\xec\0\0\0\x02\0\0\0\x01a\xff\xff\xff\xff");
    }

    #[test]
    fn a_type_that_is_not_read_here_is_named() {
        let compact = Data::new(type_id::COMPACT, &[1, 2, 3]);
        assert_eq!(Value::of(&compact), Err(NotAValue::Opaque { type_id: type_id::COMPACT }));
    }
}
