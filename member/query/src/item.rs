//! What a value, a key or an attribute is, as far as it is looked into.
//!
//! Law: an item goes back to the bytes of a value of its type; what is not looked into is known by its bytes alone.
//! Must not know: entries, paths.

use std::cmp::Ordering;

use bigdecimal::num_bigint::BigInt;
use bytes::{BufMut, Bytes, BytesMut};
use jet_protocol::data::{Data, Value, type_id};
use jet_protocol::fields::Text;
use uuid::Uuid;

use crate::Refused;
use crate::calendar;
use crate::number::Number;
use crate::read::Content;

/// Lists within lists.
const LISTS_MOST: usize = 16;
/// A point in time as Java's oldest class for it has it.
const JAVA_DATE: i32 = -25;
/// Seconds of a day.
const DAY: i64 = 86_400;

/// What a value or an attribute is.
#[derive(Debug, Clone, PartialEq)]
pub enum Item {
    /// Nothing.
    Null,
    /// True or false.
    Boolean(bool),
    /// A unit of UTF-16.
    Char(u16),
    /// Any number.
    Number(Number),
    /// Text.
    Text(Text),
    /// A UUID.
    Uuid(Uuid),
    /// A day, a time, or both.
    Moment(Moment),
    /// Several, in order.
    List(Vec<Item>),
    /// JSON that is more than one attribute.
    Json(Text),
    /// Known by its bytes.
    Other(Data),
}

/// A day, a time of day, or both.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moment {
    /// Of its type's number.
    pub type_id: i32,
    /// Seconds, nanoseconds, seconds from UTC.
    at: (i64, i64, i64),
    content: Bytes,
}

impl Item {
    /// What a serialized value is.
    pub fn of(data: &Data) -> Result<Self, Refused> {
        let mut content = Content::new(data.content(), "a value");
        Self::typed(data.type_id(), &mut content, LISTS_MOST)
            .map(|known| known.unwrap_or_else(|| Self::Other(data.clone())))
    }

    /// What stands within something serialized: its type, then its content.
    pub fn within(from: &mut Content) -> Result<Self, Refused> {
        Self::nested(from, LISTS_MOST)
    }

    fn nested(from: &mut Content, deep: usize) -> Result<Self, Refused> {
        let type_id = from.int()?;
        Self::typed(type_id, from, deep)?.ok_or_else(|| Refused::NotOffered {
            what: format!("a value of type {} within a question", type_name(type_id)),
            instead: "give numbers, texts, booleans, UUIDs, dates and times",
        })
    }

    /// Nothing: of a type that is not looked into.
    fn typed(type_id: i32, from: &mut Content, deep: usize) -> Result<Option<Self>, Refused> {
        Ok(Some(match type_id {
            type_id::NULL => Self::Null,
            type_id::BYTE => Self::Number(Number::Byte(i8::from_be_bytes(from.array()?))),
            type_id::BOOLEAN => Self::Boolean(from.byte()? != 0),
            type_id::CHAR => Self::Char(u16::from_be_bytes(from.array()?)),
            type_id::SHORT => Self::Number(Number::Short(i16::from_be_bytes(from.array()?))),
            type_id::INTEGER => Self::Number(Number::Integer(from.int()?)),
            type_id::LONG => Self::Number(Number::Long(from.long()?)),
            type_id::FLOAT => Self::Number(Number::Float(f32::from_be_bytes(from.array()?))),
            type_id::DOUBLE => Self::Number(Number::Double(f64::from_be_bytes(from.array()?))),
            type_id::STRING => from.text()?.map_or(Self::Null, Self::Text),
            type_id::JSON => from.text()?.map_or(Self::Null, Self::Json),
            type_id::UUID => Self::Uuid(Uuid::from_bytes(from.array()?)),
            type_id::BIG_INTEGER => Self::big_integer(from)?,
            type_id::BIG_DECIMAL => Self::big_decimal(from)?,
            type_id::ARRAY_LIST | type_id::LINKED_LIST => Self::list(from, deep)?,
            type_id::LOCAL_DATE
            | type_id::LOCAL_TIME
            | type_id::LOCAL_DATE_TIME
            | type_id::OFFSET_DATE_TIME
            | JAVA_DATE => Self::Moment(Moment::read(type_id, from)?),
            _ => return Ok(None),
        }))
    }

    /// A whole number of any size.
    pub fn big_integer(from: &mut Content) -> Result<Self, Refused> {
        let number = from.block()?;
        Number::big(&number).map(Self::Number).ok_or_else(|| from.refuse(TOO_LONG))
    }

    /// A decimal of any size.
    pub fn big_decimal(from: &mut Content) -> Result<Self, Refused> {
        let (unscaled, scale) = (from.block()?, from.int()?);
        Number::decimal(&unscaled, scale).map(Self::Number).ok_or_else(|| from.refuse(TOO_LONG))
    }

    fn list(from: &mut Content, deep: usize) -> Result<Self, Refused> {
        let deep = deep.checked_sub(1).ok_or_else(|| from.refuse("too many lists stand within each other"))?;
        let Some(items) = from.length()? else { return Ok(Self::Null) };
        // Each item has a type at the least.
        let mut all = Vec::with_capacity(items.min(from.left() / 4));
        for _ in 0..items {
            all.push(Self::nested(from, deep)?);
        }
        Ok(Self::List(all))
    }

    /// As a client is given it.
    pub fn data(&self) -> Data {
        let mut content = BytesMut::new();
        let type_id = self.put(&mut content);
        Data::new(type_id, &content)
    }

    /// Its type and content, as they stand within something serialized.
    pub fn put_within(&self, out: &mut BytesMut) {
        let at = out.len();
        out.put_i32(0);
        let type_id = self.put(out);
        if let Some(place) = out.get_mut(at..at + 4) {
            place.copy_from_slice(&type_id.to_be_bytes());
        }
    }

    /// Appends the content; gives the type.
    fn put(&self, out: &mut BytesMut) -> i32 {
        let plain = |value: Value, out: &mut BytesMut| {
            let data = value.data();
            out.put_slice(&data.content());
            data.type_id()
        };
        match self {
            Self::Null => type_id::NULL,
            Self::Boolean(yes) => plain(Value::Boolean(*yes), out),
            Self::Char(unit) => plain(Value::Char(*unit), out),
            Self::Text(text) => plain(Value::String(text.clone()), out),
            Self::Json(text) => plain(Value::Json(text.clone()), out),
            Self::Uuid(uuid) => plain(Value::Uuid(*uuid), out),
            Self::Number(number) => put_number(number, out, plain),
            Self::Moment(moment) => {
                out.put_slice(&moment.content);
                moment.type_id
            }
            Self::List(items) => {
                out.put_i32(i32::try_from(items.len()).unwrap_or(i32::MAX));
                items.iter().for_each(|item| item.put_within(out));
                type_id::ARRAY_LIST
            }
            Self::Other(data) => {
                out.put_slice(&data.content());
                data.type_id()
            }
        }
    }

    /// What it is, for whoever reads an error.
    pub fn kind(&self) -> String {
        match self {
            Self::Null => "null".into(),
            Self::Boolean(_) => "a boolean".into(),
            Self::Char(_) => "a character".into(),
            Self::Number(_) => "a number".into(),
            Self::Text(_) => "a text".into(),
            Self::Uuid(_) => "a UUID".into(),
            Self::Moment(moment) => format!("a {}", type_name(moment.type_id)),
            Self::List(_) => "a list".into(),
            Self::Json(_) => "JSON".into(),
            Self::Other(data) => format!("a value of type {}", type_name(data.type_id())),
        }
    }

    /// Which stands first in the one order of all items: by kind, then as it is compared with its like.
    pub fn total(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Boolean(a), Self::Boolean(b)) => a.cmp(b),
            (Self::Char(a), Self::Char(b)) => a.cmp(b),
            (Self::Number(a), Self::Number(b)) => a.cmp(b),
            (Self::Text(a), Self::Text(b)) | (Self::Json(a), Self::Json(b)) => texts(a, b),
            (Self::Uuid(a), Self::Uuid(b)) => uuids(*a, *b),
            (Self::Moment(a), Self::Moment(b)) => (a.type_id, a.at).cmp(&(b.type_id, b.at)),
            (Self::List(a), Self::List(b)) => {
                let differs = a.iter().zip(b).map(|(a, b)| a.total(b)).find(|order| order.is_ne());
                differs.unwrap_or_else(|| a.len().cmp(&b.len()))
            }
            (Self::Other(a), Self::Other(b)) => a.as_bytes().cmp(b.as_bytes()),
            _ => self.rank().cmp(&other.rank()),
        }
    }

    fn rank(&self) -> u8 {
        match self {
            Self::Null => 0,
            Self::Boolean(_) => 1,
            Self::Number(_) => 2,
            Self::Char(_) => 3,
            Self::Text(_) => 4,
            Self::Uuid(_) => 5,
            Self::Moment(_) => 6,
            Self::List(_) => 7,
            Self::Json(_) => 8,
            Self::Other(_) => 9,
        }
    }
}

const TOO_LONG: &str = "a number has more digits than are looked at";

fn put_number(number: &Number, out: &mut BytesMut, plain: impl Fn(Value, &mut BytesMut) -> i32) -> i32 {
    match number {
        Number::Byte(n) => plain(Value::Byte(*n), out),
        Number::Short(n) => plain(Value::Short(*n), out),
        Number::Integer(n) => plain(Value::Integer(*n), out),
        Number::Long(n) => plain(Value::Long(*n), out),
        Number::Float(n) => plain(Value::Float(*n), out),
        Number::Double(n) => plain(Value::Double(*n), out),
        Number::Big(n) => {
            put_big(n, out);
            type_id::BIG_INTEGER
        }
        Number::Decimal(n) => {
            let (unscaled, scale) = n.as_bigint_and_exponent();
            put_big(&unscaled, out);
            out.put_i32(i32::try_from(scale).unwrap_or(i32::MAX));
            type_id::BIG_DECIMAL
        }
    }
}

fn put_big(number: &BigInt, out: &mut BytesMut) {
    let bytes = number.to_signed_bytes_be();
    out.put_i32(i32::try_from(bytes.len()).unwrap_or(i32::MAX));
    out.put_slice(&bytes);
}

/// As Java orders texts: by units of UTF-16.
pub fn texts(a: &str, b: &str) -> Ordering {
    if a.is_ascii() && b.is_ascii() { a.cmp(b) } else { a.encode_utf16().cmp(b.encode_utf16()) }
}

/// As Java orders them: two signed halves.
fn uuids(a: Uuid, b: Uuid) -> Ordering {
    let halves = |uuid: Uuid| {
        let (high, low) = uuid.as_u64_pair();
        (high.cast_signed(), low.cast_signed())
    };
    halves(a).cmp(&halves(b))
}

impl Moment {
    /// Of the type that has this number.
    pub fn read(type_id: i32, from: &mut Content) -> Result<Self, Refused> {
        let mut read = from.clone();
        let at = match type_id {
            JAVA_DATE => {
                let millis = read.long()?;
                (millis.div_euclid(1_000), millis.rem_euclid(1_000) * 1_000_000, 0)
            }
            type_id::LOCAL_DATE => (date(&mut read)?, 0, 0),
            type_id::LOCAL_TIME => {
                let (seconds, nanos) = time(&mut read)?;
                (seconds, nanos, 0)
            }
            _ => {
                let (date, (seconds, nanos)) = (date(&mut read)?, time(&mut read)?);
                let offset = if type_id == type_id::OFFSET_DATE_TIME { i64::from(read.int()?) } else { 0 };
                (date + seconds - offset, nanos, offset)
            }
        };
        let content = from.slice(read.at() - from.at())?;
        Ok(Self { type_id, at, content })
    }

    /// Seconds since 1970, or of the day where it is a time alone; and nanoseconds.
    pub fn since(&self) -> (i64, i64) {
        (self.at.0, self.at.1)
    }

    /// Which is the earlier, of two of one type.
    pub fn before(&self, other: &Self) -> Option<Ordering> {
        (self.type_id == other.type_id).then(|| self.at.cmp(&other.at))
    }
}

/// Seconds from the first of January 1970 to a day.
fn date(from: &mut Content) -> Result<i64, Refused> {
    let (year, month, day) = (i64::from(from.int()?), i64::from(from.byte()?), i64::from(from.byte()?));
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return Err(from.refuse("a date is none"));
    }
    Ok(calendar::days(year, month, day) * DAY)
}

fn time(from: &mut Content) -> Result<(i64, i64), Refused> {
    let [hour, minute, second] = from.array()?;
    let seconds = i64::from(hour) * 3_600 + i64::from(minute) * 60 + i64::from(second);
    Ok((seconds, i64::from(from.int()?)))
}

/// What a type is called.
pub fn type_name(type_id: i32) -> String {
    let name = match type_id {
        type_id::PORTABLE => "Portable",
        type_id::IDENTIFIED => "IdentifiedDataSerializable",
        type_id::COMPACT => "Compact",
        type_id::JAVA_SERIALIZABLE => "java.io.Serializable",
        type_id::PYTHON_PICKLE => "pickle",
        type_id::LOCAL_DATE => "date",
        type_id::LOCAL_TIME => "time",
        type_id::LOCAL_DATE_TIME => "date and time",
        type_id::OFFSET_DATE_TIME => "date and time with offset",
        JAVA_DATE => "java.util.Date",
        -20..=-12 => "array",
        _ => return type_id.to_string(),
    };
    name.to_owned()
}
