//! Fields of Compact values, by their schema.
//!
//! A value is the fingerprint of its schema and a body: with fields of variable size the length of its data first, its
//! data, and where each of these fields begins in it; else its data alone. Fields of fixed size come first, the larger
//! before the smaller, then booleans as bits; within each by name.
//! Law: a field is read within its value, or refused. Must not know: paths, where schemas are kept.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use jet_protocol::data::{Data, type_id};
use jet_protocol::structure::Schema;

use crate::Refused;
use crate::entry::Schemas;
use crate::item::{Item, Moment};
use crate::number::Number;
use crate::read::Content;

/// Items of an array.
const ITEMS_MOST: usize = 1 << 20;
/// Compact values within each other.
const NESTED_MOST: usize = 32;

/// Kinds of fields, by the numbers that schemas have.
mod kind {
    #![allow(missing_docs)] // the names are the kinds
    pub const BOOLEAN: i32 = 1;
    pub const BOOLEANS: i32 = 2;
    pub const INT8: i32 = 3;
    pub const INT16: i32 = 7;
    pub const INT32: i32 = 9;
    pub const INT64: i32 = 11;
    pub const FLOAT32: i32 = 13;
    pub const FLOAT64: i32 = 15;
    pub const STRING: i32 = 17;
    pub const DECIMAL: i32 = 19;
    pub const TIME: i32 = 21;
    pub const DATE: i32 = 23;
    pub const TIMESTAMP: i32 = 25;
    pub const TIMESTAMP_WITH_TIMEZONE: i32 = 27;
    pub const COMPACT: i32 = 29;
    pub const NULLABLE_BOOLEAN: i32 = 33;
    pub const NULLABLE_FLOAT64: i32 = 45;
}

/// Where the fields of values of one schema are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    fields: HashMap<Box<str>, (i32, Place)>,
    fixed: usize,
    variable: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    At(usize),
    Bit(usize, u8),
    Variable(usize),
}

/// A field's content.
#[derive(Debug, Clone)]
pub enum Field {
    /// No such field, or nothing in it.
    Null,
    /// A value.
    Item(Item),
    /// A Compact value.
    Record(Record),
    /// An array.
    Array(Vec<Field>),
}

/// A Compact value.
#[derive(Debug, Clone)]
pub struct Record {
    layout: Arc<Layout>,
    fingerprint: i64,
    body: Content,
    deep: usize,
}

/// Bytes of a field of fixed size.
fn size(kind: i32) -> Option<usize> {
    match kind {
        kind::INT8 => Some(1),
        kind::INT16 => Some(2),
        kind::INT32 | kind::FLOAT32 => Some(4),
        kind::INT64 | kind::FLOAT64 => Some(8),
        _ => None,
    }
}

impl Layout {
    /// Of a schema.
    pub fn of(schema: &Schema) -> Self {
        let mut named: Vec<_> = schema.fields.iter().map(|field| (&field.name, field.kind)).collect();
        named.sort_by(|(a, _), (b, _)| a.encode_utf16().cmp(b.encode_utf16()));
        let mut sized: Vec<_> = named.iter().filter_map(|(name, kind)| Some((*name, *kind, size(*kind)?))).collect();
        sized.sort_by_key(|(_, _, size)| std::cmp::Reverse(*size));
        let (mut fields, mut fixed) = (HashMap::new(), 0);
        for (name, kind, size) in sized {
            fields.insert((**name).into(), (kind, Place::At(fixed)));
            fixed += size;
        }
        let mut bits = 0;
        let mut variable = 0;
        for (name, kind) in named.into_iter().filter(|(_, kind)| size(*kind).is_none()) {
            let place = if kind == kind::BOOLEAN { &mut bits } else { &mut variable };
            let at = if kind == kind::BOOLEAN {
                Place::Bit(fixed + *place / 8, (*place % 8) as u8)
            } else {
                Place::Variable(*place)
            };
            *place += 1;
            fields.insert((**name).into(), (kind, at));
        }
        Self { fields, fixed: fixed + usize::div_ceil(bits, 8), variable }
    }
}

impl Record {
    /// Of a serialized value.
    pub fn of(data: &Data, schemas: &dyn Schemas) -> Result<Self, Refused> {
        Self::at(Content::new(data.content(), "a Compact value"), schemas, NESTED_MOST)
    }

    fn at(mut from: Content, schemas: &dyn Schemas, deep: usize) -> Result<Self, Refused> {
        let deep = deep
            .checked_sub(1)
            .ok_or(Refused::TooMuch { what: "Compact values within each other", most: NESTED_MOST })?;
        let fingerprint = from.long()?;
        let layout = schemas.layout(fingerprint).ok_or(Refused::Schema { fingerprint })?;
        Ok(Self { layout, fingerprint, body: from, deep })
    }

    /// What a field has.
    pub fn field(&self, name: &str, schemas: &dyn Schemas) -> Result<Field, Refused> {
        let Some((kind, place)) = self.layout.fields.get(name).copied() else { return Ok(Field::Null) };
        let (data, length) = self.data()?;
        match place {
            Place::At(at) => self.item(kind, &mut self.body.from(data + at)).map(Field::Item),
            Place::Bit(at, bit) => {
                let bits = self.body.from(data + at).byte()?;
                Ok(Field::Item(Item::Boolean(bits >> bit & 1 == 1)))
            }
            Place::Variable(index) => match offset(&self.body.from(data + length), length, index)? {
                None => Ok(Field::Null),
                Some(at) => self.variable(kind, &mut self.body.from(data + at), schemas),
            },
        }
    }

    /// Where the data begin, and their length.
    fn data(&self) -> Result<(usize, usize), Refused> {
        if self.layout.variable == 0 {
            return Ok((self.body.at(), self.layout.fixed));
        }
        let mut body = self.body.clone();
        let length = body.length()?.ok_or_else(|| body.refuse("its data have no length"))?;
        Ok((body.at(), length))
    }

    /// As a value of its own.
    pub fn item(&self, kind: i32, from: &mut Content) -> Result<Item, Refused> {
        let nullable = |kind: i32| (kind - kind::NULLABLE_BOOLEAN) + kind::BOOLEAN;
        Ok(match kind {
            kind::BOOLEAN | kind::NULLABLE_BOOLEAN => Item::Boolean(from.byte()? != 0),
            kind::INT8 => Item::Number(Number::Byte(i8::from_be_bytes(from.array()?))),
            kind::INT16 => Item::Number(Number::Short(i16::from_be_bytes(from.array()?))),
            kind::INT32 => Item::Number(Number::Integer(from.int()?)),
            kind::INT64 => Item::Number(Number::Long(from.long()?)),
            kind::FLOAT32 => Item::Number(Number::Float(f32::from_be_bytes(from.array()?))),
            kind::FLOAT64 => Item::Number(Number::Double(f64::from_be_bytes(from.array()?))),
            kind::STRING => from.text()?.map_or(Item::Null, Item::Text),
            kind::DECIMAL => Item::big_decimal(from)?,
            kind::TIME => Item::Moment(Moment::read(type_id::LOCAL_TIME, from)?),
            kind::DATE => Item::Moment(Moment::read(type_id::LOCAL_DATE, from)?),
            kind::TIMESTAMP => Item::Moment(Moment::read(type_id::LOCAL_DATE_TIME, from)?),
            kind::TIMESTAMP_WITH_TIMEZONE => Item::Moment(Moment::read(type_id::OFFSET_DATE_TIME, from)?),
            kind::NULLABLE_BOOLEAN..=kind::NULLABLE_FLOAT64 => self.item(of_nullable(nullable(kind)), from)?,
            _ => return Err(from.refuse(format!("a field of kind {kind} is not known"))),
        })
    }

    fn variable(&self, kind: i32, from: &mut Content, schemas: &dyn Schemas) -> Result<Field, Refused> {
        match kind {
            kind::COMPACT => Self::at(from.clone(), schemas, self.deep).map(Field::Record),
            // Of each kind the array has the next number.
            array if array % 2 == 0 => self.array(array - 1, from, schemas),
            _ => self.item(kind, from).map(Field::Item),
        }
    }

    fn array(&self, kind: i32, from: &mut Content, schemas: &dyn Schemas) -> Result<Field, Refused> {
        let mut items = Vec::new();
        if kind + 1 == kind::BOOLEANS {
            let mut bits = 0;
            for place in 0..count(from)? {
                bits = if place % 8 == 0 { from.byte()? } else { bits >> 1 };
                items.push(Field::Item(Item::Boolean(bits & 1 == 1)));
            }
        } else if size(kind).is_some() {
            for _ in 0..count(from)? {
                items.push(Field::Item(self.item(kind, from)?));
            }
        } else {
            let length = from.length()?.ok_or_else(|| from.refuse("an array has no length"))?;
            let (count, data) = (count(from)?, from.at());
            for index in 0..count {
                items.push(match offset(&from.from(data + length), length, index)? {
                    None => Field::Null,
                    Some(at) => self.variable(kind, &mut from.from(data + at), schemas)?,
                });
            }
        }
        Ok(Field::Array(items))
    }

    /// The whole as a client would write it.
    pub fn whole(&self) -> Result<Item, Refused> {
        let (data, length) = self.data()?;
        let table = if self.layout.variable == 0 { 0 } else { self.layout.variable * width(length) };
        let body: Bytes = self.body.clone().slice(data + length + table - self.body.at())?;
        let mut content = BytesMut::from(self.fingerprint.to_be_bytes().as_slice());
        content.extend_from_slice(&body);
        Ok(Item::Other(Data::new(type_id::COMPACT, &content)))
    }
}

/// How many items follow.
fn count(from: &mut Content) -> Result<usize, Refused> {
    match usize::try_from(from.int()?) {
        Ok(count) if count <= ITEMS_MOST => Ok(count),
        Ok(_) => Err(Refused::TooMuch { what: "the items of an array in a Compact value", most: ITEMS_MOST }),
        Err(_) => Err(from.refuse("an array has a length below zero")),
    }
}

/// The kind that may not be null.
fn of_nullable(kind: i32) -> i32 {
    // Kinds of characters, which have no nullable ones, lie between the first two and the others.
    if kind > kind::INT8 { kind + 2 } else { kind }
}

/// Bytes of a place in data of this length.
fn width(length: usize) -> usize {
    match length {
        0..=254 => 1,
        255..=65_534 => 2,
        _ => 4,
    }
}

/// Where an item of variable size begins.
fn offset(table: &Content, length: usize, index: usize) -> Result<Option<usize>, Refused> {
    let mut place = table.from(table.at() + index.saturating_mul(width(length)));
    let at = match width(length) {
        1 => Some(usize::from(place.byte()?)).filter(|at| *at != 0xff),
        2 => Some(usize::from(u16::from_be_bytes(place.array()?))).filter(|at| *at != 0xffff),
        _ => match place.int()? {
            -1 => None,
            at => Some(usize::try_from(at).map_err(|_| place.refuse("a field begins before its value"))?),
        },
    };
    match at {
        Some(at) if at > length => Err(place.refuse("a field begins behind its value")),
        at => Ok(at),
    }
}
