//! Values of every type of field: those that the golden files are filled with, or any.
//!
//! Law: the same source gives the same values. Must not know: which message a field is of, but for the few fields that the
//! golden files fill otherwise than others of their type.

use bytes::{BufMut, Bytes, BytesMut};
use uuid::Uuid;

use crate::data::Data;
use crate::fields::{Secret, Text};
use crate::frames::flag;
use crate::sql_page::{Cell, Column, Date, Decimal, FixedColumn, JsonValue, OffsetTimestamp, SqlPage, Time, Timestamp};

/// Where values come from.
pub(crate) struct Source {
    mode: Mode,
    /// Of messages 0, of their fields 1, and so on.
    depth: usize,
}

#[derive(Clone, Copy)]
enum Mode {
    /// As in the golden files, with null where the fields of a message may be null.
    Reference { nulls: bool },
    /// Any, from a seed; without the fields of later versions, or with them.
    Random { state: u64, old: bool },
}

/// Most items of a list.
const ITEMS: u64 = 4;

impl Source {
    pub fn reference(nulls: bool) -> Self {
        Self { mode: Mode::Reference { nulls }, depth: 0 }
    }

    pub fn random(seed: u64) -> Self {
        Self { mode: Mode::Random { state: seed, old: seed.is_multiple_of(4) }, depth: 0 }
    }

    /// As of a peer that knows all fields.
    pub fn random_newest(seed: u64) -> Self {
        Self { mode: Mode::Random { state: seed, old: false }, depth: 0 }
    }

    pub fn field<T: Sample>(&mut self, of: &str, field: &str) -> T {
        self.depth += 1;
        let value = match (self.mode, otherwise(of, field)) {
            (Mode::Reference { .. }, Some(number)) => T::of_number(number),
            _ => T::sample(self),
        };
        self.depth -= 1;
        value
    }

    pub fn later<T: Sample>(&mut self, of: &str, field: &str) -> Option<T> {
        let old = matches!(self.mode, Mode::Random { old: true, .. });
        (!old).then(|| self.field(of, field))
    }

    /// Any number, or the one of the golden files.
    fn number(&mut self, reference: i64) -> i64 {
        match &mut self.mode {
            Mode::Reference { .. } => reference,
            Mode::Random { state, .. } => {
                *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
                let mixed = (*state ^ *state >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
                ((mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb) >> 8) as i64
            }
        }
    }

    fn items<T>(&mut self, item: impl Fn(&mut Self) -> T) -> Vec<T> {
        let items = match self.mode {
            Mode::Reference { .. } => 1,
            Mode::Random { .. } => self.number(1) as u64 % ITEMS,
        };
        self.depth += 1;
        let list = (0..items).map(|_| item(self)).collect();
        self.depth -= 1;
        list
    }

    fn is_null(&mut self) -> bool {
        match self.mode {
            Mode::Reference { nulls } => nulls && self.depth == 1,
            Mode::Random { .. } => self.number(0) % 3 == 0,
        }
    }
}

/// Fields that the golden files fill otherwise than others of their type: mostly numbers that stand for something.
fn otherwise(of: &str, field: &str) -> Option<i64> {
    Some(match (of, field) {
        ("EndpointQualifier", "protocol") => 2,
        ("IndexConfig", "index_type") => 1,
        ("BitmapIndexOptions", "transformation") => 1,
        ("SqlColumnMetadata", "column_type") => 1,
        ("Capacity", "value") => 50_992_225,
        ("Capacity", "unit") => 3,
        ("CacheEvent", "event_type") | ("ListenerConfig", "listener_type") => 1,
        ("JobSummary", "status") => 2,
        ("JobSummary", "user_cancelled") => 0,
        _ => return None,
    })
}

pub(crate) trait Sample: Sized {
    fn sample(source: &mut Source) -> Self;

    fn of_number(number: i64) -> Self {
        no_number(number)
    }
}

fn no_number<T>(number: i64) -> T {
    panic!("no field of this type is filled with {number}")
}

macro_rules! numbers {
    ($($number:ty = $reference:literal;)*) => {$(
        impl Sample for $number {
            fn sample(source: &mut Source) -> Self {
                source.number($reference) as $number
            }

            fn of_number(number: i64) -> Self {
                number as $number
            }
        }
    )*};
}

numbers! {
    i8 = 113;
    i16 = 7;
    i32 = 25;
    i64 = -50_992_225;
    f32 = 3;
    f64 = 3;
}

impl Sample for bool {
    fn sample(source: &mut Source) -> Self {
        source.number(1) % 2 != 0
    }

    fn of_number(number: i64) -> Self {
        number != 0
    }
}

impl Sample for Uuid {
    fn sample(source: &mut Source) -> Self {
        let most = source.number(123_456_789) as u64;
        Uuid::from_u64_pair(most, source.number(987_654_321) as u64)
    }
}

impl Sample for Bytes {
    fn sample(source: &mut Source) -> Self {
        source.items(|source| source.number(113) as u8).into()
    }
}

impl Sample for Text {
    fn sample(source: &mut Source) -> Self {
        let texts = ["", "a", "größe", "кот", "🐈"];
        match source.number(-1) {
            -1 => "localhost".into(),
            any => texts[any as usize % texts.len()].into(),
        }
    }
}

impl Sample for Data {
    fn sample(source: &mut Source) -> Self {
        match source.number(-1) {
            -1 => Data::try_from(Bytes::from_static(b"111313123131313131")).unwrap(),
            any => Data::new(any as i32, &Bytes::sample(source)),
        }
    }
}

impl<T: Sample> Sample for Secret<T> {
    fn sample(source: &mut Source) -> Self {
        Self(T::sample(source))
    }
}

impl<T: Sample> Sample for Box<T> {
    fn sample(source: &mut Source) -> Self {
        Self::new(T::sample(source))
    }
}

impl<T: Sample> Sample for Option<T> {
    fn sample(source: &mut Source) -> Self {
        (!source.is_null()).then(|| T::sample(source))
    }
}

impl<T: Sample> Sample for Vec<T> {
    fn sample(source: &mut Source) -> Self {
        source.items(T::sample)
    }
}

impl<A: Sample, B: Sample> Sample for (A, B) {
    fn sample(source: &mut Source) -> Self {
        (A::sample(source), B::sample(source))
    }
}

/// One column of four numbers; or one of each type, of as many rows.
impl Sample for SqlPage {
    fn sample(source: &mut Source) -> Self {
        if matches!(source.mode, Mode::Reference { .. }) {
            let numbers = [1, 2, 3, 4].map(Some);
            return Self { last: true, columns: vec![Column::Fixed(FixedColumn::of::<i32>(&numbers))] };
        }
        let rows = source.number(0) as usize % 20;
        let dense = source.number(0) % 2 == 0;
        let columns = vec![
            Column::Null(rows),
            Column::Varchar(values(source, rows)),
            Column::Object(values(source, rows)),
            Column::Json(values::<Text>(source, rows).into_iter().map(|t| t.map(|text| JsonValue { text })).collect()),
            Column::Decimal(values(source, rows)),
            fixed::<bool>(source, rows, dense),
            fixed::<i8>(source, rows, dense),
            fixed::<i16>(source, rows, dense),
            fixed::<i32>(source, rows, dense),
            fixed::<i64>(source, rows, dense),
            fixed::<f32>(source, rows, dense),
            fixed::<f64>(source, rows, dense),
            fixed::<Date>(source, rows, dense),
            fixed::<Time>(source, rows, dense),
            fixed::<Timestamp>(source, rows, dense),
            fixed::<OffsetTimestamp>(source, rows, dense),
        ];
        Self { last: bool::sample(source), columns }
    }
}

fn values<T: Sample>(source: &mut Source, rows: usize) -> Vec<Option<T>> {
    (0..rows).map(|_| Option::sample(source)).collect()
}

/// What is read of it is what it was made of.
fn fixed<T: Cell + Sample + PartialEq + std::fmt::Debug>(source: &mut Source, rows: usize, dense: bool) -> Column {
    let values: Vec<Option<T>> =
        (0..rows).map(|_| if dense { Some(T::sample(source)) } else { Option::sample(source) }).collect();
    let column = FixedColumn::of(&values);
    assert_eq!(column.values::<T>().unwrap().collect::<Vec<_>>(), values);
    Column::Fixed(column)
}

impl Sample for Decimal {
    fn sample(source: &mut Source) -> Self {
        Self { unscaled: Bytes::sample(source), scale: i32::sample(source) }
    }
}

impl Sample for Date {
    fn sample(source: &mut Source) -> Self {
        Self { year: i32::sample(source), month: i8::sample(source), day: i8::sample(source) }
    }
}

impl Sample for Time {
    fn sample(source: &mut Source) -> Self {
        let mut part = || i8::sample(source);
        Self { hour: part(), minute: part(), second: part(), nano: i32::sample(source) }
    }
}

impl Sample for Timestamp {
    fn sample(source: &mut Source) -> Self {
        Self { date: Date::sample(source), time: Time::sample(source) }
    }
}

impl Sample for OffsetTimestamp {
    fn sample(source: &mut Source) -> Self {
        Self { local: Timestamp::sample(source), offset: i32::sample(source) }
    }
}

/// A message with what a version that nobody knows yet may append: a fixed field, a structure within a structure, text.
pub(crate) fn appended(written: &[u8]) -> BytesMut {
    let mut out = BytesMut::new();
    let mut at = 0;
    while at < written.len() {
        let end = at + i32::from_le_bytes(written[at..at + 4].try_into().unwrap()) as usize;
        let flags = u16::from_le_bytes(written[at + 4..at + 6].try_into().unwrap());
        let fixed: &[u8] = if at == 0 { b"newer" } else { &[] };
        put_frame(&mut out, flags & !flag::FINAL, &[&written[at + 6..end], fixed].concat());
        at = end;
    }
    put_frame(&mut out, flag::BEGIN, &[]);
    put_frame(&mut out, flag::BEGIN, &[]);
    put_frame(&mut out, flag::END, &[]);
    put_frame(&mut out, flag::NULL, &[]);
    put_frame(&mut out, flag::END, &[]);
    put_frame(&mut out, flag::FINAL, b"newer");
    out
}

fn put_frame(out: &mut BytesMut, flags: u16, payload: &[u8]) {
    out.put_i32_le(payload.len() as i32 + 6);
    out.put_u16_le(flags);
    out.put_slice(payload);
}
