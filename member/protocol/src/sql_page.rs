//! Rows, column by column.
//!
//! A page is a flag (whether it is the last), the types of its columns, packed, and the columns. A column of text,
//! decimals, objects or JSON is a list; one of fixed size is a single frame.
//! Law: all columns of a page have as many rows. Must not know: where rows come from.

mod fixed;

use bytes::{BufMut, Bytes, BytesMut};

use crate::data::Data;
use crate::fields::{Fixed, Framed, Text, chunk};
use crate::frames::{Cursor, Malformed, Writer, flag};

pub use fixed::{Cell, Date, FixedColumn, OffsetTimestamp, Time, Timestamp};

macro_rules! column_types {
    ($($(#[$doc:meta])* $name:ident = $id:literal, $size:expr;)*) => {
        /// What a column holds.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[repr(i32)]
        pub enum ColumnType {
            $($(#[$doc])* $name = $id,)*
        }

        impl ColumnType {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// Bytes of one value, where all have as many.
            pub(crate) fn size(self) -> Option<usize> {
                match self {
                    $(Self::$name => $size,)*
                }
            }
        }

        impl TryFrom<i32> for ColumnType {
            type Error = Malformed;

            fn try_from(id: i32) -> Result<Self, Malformed> {
                match id {
                    $($id => Ok(Self::$name),)*
                    _ => Err(Malformed::ColumnType { id }),
                }
            }
        }
    };
}

column_types! {
    /// Text.
    Varchar = 0, None;
    /// True or false.
    Boolean = 1, Some(bool::SIZE);
    /// One byte.
    TinyInt = 2, Some(i8::SIZE);
    /// Two bytes.
    SmallInt = 3, Some(i16::SIZE);
    /// Four bytes.
    Integer = 4, Some(i32::SIZE);
    /// Eight bytes.
    BigInt = 5, Some(i64::SIZE);
    /// A number of any size with a scale.
    Decimal = 6, None;
    /// Four bytes, floating.
    Real = 7, Some(f32::SIZE);
    /// Eight bytes, floating.
    Double = 8, Some(f64::SIZE);
    /// A day.
    Date = 9, Some(Date::SIZE);
    /// A time of day.
    Time = 10, Some(Time::SIZE);
    /// A day and a time of it.
    Timestamp = 11, Some(Timestamp::SIZE);
    /// The same, with the distance from UTC.
    TimestampWithTimeZone = 12, Some(OffsetTimestamp::SIZE);
    /// Anything serialized.
    Object = 13, None;
    /// Nothing but nulls.
    Null = 14, None;
    /// JSON.
    Json = 15, None;
}

/// Some rows of an answer.
#[derive(Debug, Clone, PartialEq)]
pub struct SqlPage {
    /// Whether no other page follows.
    pub last: bool,
    /// All with as many rows.
    pub columns: Vec<Column>,
}

/// One column of a page.
#[derive(Debug, Clone, PartialEq)]
pub enum Column {
    /// [`ColumnType::Varchar`].
    Varchar(Vec<Option<Text>>),
    /// [`ColumnType::Decimal`].
    Decimal(Vec<Option<Decimal>>),
    /// [`ColumnType::Object`].
    Object(Vec<Option<Data>>),
    /// [`ColumnType::Json`].
    Json(Vec<Option<JsonValue>>),
    /// [`ColumnType::Null`]: its number of rows.
    Null(usize),
    /// All other types.
    Fixed(FixedColumn),
}

/// `unscaled` × 10^−`scale`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decimal {
    /// Two's complement, big-endian.
    pub unscaled: Bytes,
    /// Digits behind the point.
    pub scale: i32,
}

structures! {
    /// JSON as text.
    JsonValue ([] (text: Text));
}

impl Column {
    /// What it holds.
    pub fn column_type(&self) -> ColumnType {
        match self {
            Self::Varchar(_) => ColumnType::Varchar,
            Self::Decimal(_) => ColumnType::Decimal,
            Self::Object(_) => ColumnType::Object,
            Self::Json(_) => ColumnType::Json,
            Self::Null(_) => ColumnType::Null,
            Self::Fixed(column) => column.column_type(),
        }
    }

    /// How many values it has, nulls counted.
    pub fn rows(&self) -> usize {
        match self {
            Self::Varchar(values) => values.len(),
            Self::Decimal(values) => values.len(),
            Self::Object(values) => values.len(),
            Self::Json(values) => values.len(),
            Self::Null(rows) => *rows,
            Self::Fixed(column) => column.rows(),
        }
    }

    fn put(&self, to: &mut Writer<'_>) {
        match self {
            Self::Varchar(values) => values.put(to),
            Self::Decimal(values) => values.put(to),
            Self::Object(values) => values.put(to),
            Self::Json(values) => values.put(to),
            Self::Null(rows) => to.frame(0, &i32::try_from(*rows).unwrap_or(i32::MAX).to_le_bytes()),
            Self::Fixed(column) => to.frame(0, column.as_bytes()),
        }
    }

    fn take(column_type: ColumnType, from: &mut Cursor<'_>) -> Result<Self, Malformed> {
        Ok(match column_type {
            ColumnType::Varchar => Self::Varchar(Framed::take(from)?),
            ColumnType::Decimal => Self::Decimal(Framed::take(from)?),
            ColumnType::Object => Self::Object(Framed::take(from)?),
            ColumnType::Json => Self::Json(Framed::take(from)?),
            ColumnType::Null => {
                let rows = i32::take(&Bytes::take(from)?)?;
                Self::Null(usize::try_from(rows).map_err(|_| Malformed::Rows)?)
            }
            fixed => Self::Fixed(FixedColumn::read(fixed, Bytes::take(from)?)?),
        })
    }
}

impl Framed for SqlPage {
    fn put(&self, to: &mut Writer<'_>) {
        to.frame(flag::BEGIN, &[]);
        to.frame(0, &[u8::from(self.last)]);
        let types: Vec<i32> = self.columns.iter().map(|column| column.column_type() as i32).collect();
        types.put(to);
        self.columns.iter().for_each(|column| column.put(to));
        to.frame(flag::END, &[]);
    }

    fn take(from: &mut Cursor<'_>) -> Result<Self, Malformed> {
        from.begin()?;
        let last = bool::take(&Bytes::take(from)?)?;
        let types = Vec::<i32>::take(from)?;
        let mut columns: Vec<Column> = from.room(types.len())?;
        for column_type in types {
            columns.push(Column::take(column_type.try_into()?, from)?);
        }
        from.end()?;
        let rows = columns.first().map_or(0, Column::rows);
        match columns.iter().all(|column| column.rows() == rows) {
            true => Ok(Self { last, columns }),
            false => Err(Malformed::Rows),
        }
    }
}

/// Length of the number, the number, the scale.
impl Framed for Decimal {
    fn put(&self, to: &mut Writer<'_>) {
        let mut frame = BytesMut::with_capacity(self.unscaled.len() + 8);
        frame.put_i32_le(i32::try_from(self.unscaled.len()).unwrap_or(i32::MAX));
        frame.put_slice(&self.unscaled);
        frame.put_i32_le(self.scale);
        to.frame(0, &frame);
    }

    fn take(from: &mut Cursor<'_>) -> Result<Self, Malformed> {
        let frame = Bytes::take(from)?;
        let length = usize::try_from(i32::take(&frame)?).unwrap_or(usize::MAX);
        let end = length.saturating_add(4);
        let short = Malformed::Short { have: frame.len(), need: end.saturating_add(4) };
        let scale = chunk(frame.get(end..).ok_or(short)?)?;
        Ok(Self { unscaled: frame.slice(4..end), scale: i32::from_le_bytes(scale) })
    }
}
