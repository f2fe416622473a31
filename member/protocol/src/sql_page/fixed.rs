//! A column of values of one size, in one frame.
//!
//! `nulls: u8`, `rows: i32`, values. Where nulls and values are mixed, each eight rows begin with a byte that has a bit
//! for every row with a value, the lowest for the first; nulls take nothing else.
//! Law: it is kept as it is on the wire, so that a page of nulls takes no memory. Must not know: other columns.

use bytes::{BufMut, Bytes, BytesMut};

use super::ColumnType;
use crate::fields::{Fixed, chunk};
use crate::frames::Malformed;

const HEADER: usize = 5;
const ALL_NULL: u8 = 1;
const NO_NULL: u8 = 2;
const MIXED: u8 = 3;
const ROWS_OF_A_MASK: usize = 8;

/// A value of a column of fixed size.
pub trait Cell: Fixed + Copy {
    /// Of which columns.
    const TYPE: ColumnType;
}

/// A day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Date {
    /// Year.
    pub year: i32,
    /// 1 to 12.
    pub month: i8,
    /// 1 to 31.
    pub day: i8,
}

/// A time of day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Time {
    /// 0 to 23.
    pub hour: i8,
    /// 0 to 59.
    pub minute: i8,
    /// 0 to 59.
    pub second: i8,
    /// Below a second.
    pub nano: i32,
}

/// A day and a time of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timestamp {
    /// The day.
    pub date: Date,
    /// The time.
    pub time: Time,
}

/// A day and a time of it, and how far from UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OffsetTimestamp {
    /// There.
    pub local: Timestamp,
    /// Seconds ahead of UTC.
    pub offset: i32,
}

macro_rules! cells {
    ($($cell:ty => $column:ident;)*) => {
        $(impl Cell for $cell {
            const TYPE: ColumnType = ColumnType::$column;
        })*
    };
}

cells! {
    bool => Boolean;
    i8 => TinyInt;
    i16 => SmallInt;
    i32 => Integer;
    i64 => BigInt;
    f32 => Real;
    f64 => Double;
    Date => Date;
    Time => Time;
    Timestamp => Timestamp;
    OffsetTimestamp => TimestampWithTimeZone;
}

macro_rules! parts {
    ($($name:ident { $($part:ident: $part_type:ty),* })*) => {$(
        impl Fixed for $name {
            const SIZE: usize = 0 $(+ <$part_type>::SIZE)*;

            fn put(&self, out: &mut BytesMut) {
                $(self.$part.put(out);)*
            }

            fn take(bytes: &[u8]) -> Result<Self, Malformed> {
                let mut at = 0;
                let mut rest = |size: usize| {
                    at += size;
                    bytes.get(at - size..).unwrap_or_default()
                };
                Ok(Self { $($part: <$part_type>::take(rest(<$part_type>::SIZE))?,)* })
            }
        }
    )*};
}

parts! {
    Date { year: i32, month: i8, day: i8 }
    Time { hour: i8, minute: i8, second: i8, nano: i32 }
    Timestamp { date: Date, time: Time }
    OffsetTimestamp { local: Timestamp, offset: i32 }
}

/// Values of one size, and nulls among them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FixedColumn {
    column_type: ColumnType,
    rows: usize,
    bytes: Bytes,
}

impl FixedColumn {
    /// Of these values.
    pub fn of<T: Cell>(values: &[Option<T>]) -> Self {
        let rows = values.len();
        let present = values.iter().flatten().count();
        let mut bytes = BytesMut::with_capacity(HEADER + present * T::SIZE + rows.div_ceil(ROWS_OF_A_MASK));
        let nulls = match present {
            0 => ALL_NULL,
            _ if present == rows => NO_NULL,
            _ => MIXED,
        };
        bytes.put_u8(nulls);
        bytes.put_i32_le(i32::try_from(rows).unwrap_or(i32::MAX));
        for group in values.chunks(ROWS_OF_A_MASK) {
            if nulls == MIXED {
                let bits = group.iter().enumerate().map(|(i, value)| u8::from(value.is_some()) << i);
                bytes.put_u8(bits.sum());
            }
            group.iter().flatten().for_each(|value| value.put(&mut bytes));
        }
        Self { column_type: T::TYPE, rows, bytes: bytes.freeze() }
    }

    /// What it holds.
    pub fn column_type(&self) -> ColumnType {
        self.column_type
    }

    /// How many values it has, nulls counted.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Its values, if they are of that type.
    pub fn values<T: Cell>(&self) -> Option<impl Iterator<Item = Option<T>>> {
        (T::TYPE == self.column_type)
            .then(|| self.places(T::SIZE).map(|place| place.and_then(|at| T::take(self.bytes.get(at..)?).ok())))
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Checked, so that every value is where it should be.
    pub(super) fn read(column_type: ColumnType, bytes: Bytes) -> Result<Self, Malformed> {
        let [nulls, rows @ ..] = chunk::<HEADER>(&bytes)?;
        let rows = usize::try_from(i32::from_le_bytes(rows)).map_err(|_| Malformed::Rows)?;
        let size = column_type.size().unwrap_or(1);
        let column = Self { column_type, rows, bytes };
        let end = match nulls {
            ALL_NULL => Some(HEADER),
            NO_NULL => rows.checked_mul(size).and_then(|values| values.checked_add(HEADER)),
            MIXED => column.end_of_mixed(size),
            _ => None,
        };
        if end != Some(column.bytes.len()) {
            return Err(Malformed::Rows);
        }
        Ok(column)
    }

    /// Where the last group ends, if all of them are here.
    fn end_of_mixed(&self, size: usize) -> Option<usize> {
        let mut at = HEADER;
        let mut left = self.rows;
        while left > 0 {
            let rows = left.min(ROWS_OF_A_MASK);
            let mask = self.bytes.get(at)? & (0xff >> (ROWS_OF_A_MASK - rows));
            at += 1 + mask.count_ones() as usize * size;
            left -= rows;
        }
        Some(at)
    }

    /// For each row: where its value begins.
    fn places(&self, size: usize) -> impl Iterator<Item = Option<usize>> {
        let nulls = self.bytes.first().copied().unwrap_or(ALL_NULL);
        let (mut at, mut mask) = (HEADER, 0);
        (0..self.rows).map(move |row| {
            let bit = row % ROWS_OF_A_MASK;
            if nulls == MIXED && bit == 0 {
                mask = self.bytes.get(at).copied().unwrap_or_default();
                at += 1;
            }
            let present = nulls == NO_NULL || (nulls == MIXED && mask & (1 << bit) != 0);
            let place = at;
            at += if present { size } else { 0 };
            present.then_some(place)
        })
    }
}
