//! Rows as clients get them: pages of columns.
//!
//! Law: a column has the type that is told of it, in all its pages; what has no type among clients is text. A page is
//! bounded in rows by who asks and in bytes by us. Must not know: statements, maps.

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{
    ArrowPrimitiveType, DataType, Date32Type, Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type,
    Int64Type, SchemaRef, TimeUnit, TimestampMicrosecondType,
};
use arrow::error::ArrowError;
use bytes::Bytes;
use jet_protocol::fields::Text;
use jet_protocol::sql_page::{Cell, Column, ColumnType, Date, Decimal, FixedColumn, SqlPage, Time, Timestamp};
use jet_protocol::structure::SqlColumnMetadata;
use jet_query::calendar;

/// Bytes of a page, about.
const PAGE_BYTES: usize = 4 << 20;
/// Rows of a page.
const PAGE_ROWS: usize = 16 << 10;
/// Microseconds of a second and of a day.
const SECOND: i64 = 1_000_000;
const DAY: i64 = 86_400 * SECOND;

/// What a column is told to be, and the type in which it is read.
fn types(of: &DataType) -> (ColumnType, DataType) {
    match of {
        DataType::Boolean => (ColumnType::Boolean, DataType::Boolean),
        DataType::Int8 => (ColumnType::TinyInt, DataType::Int8),
        DataType::Int16 | DataType::UInt8 => (ColumnType::SmallInt, DataType::Int16),
        DataType::Int32 | DataType::UInt16 => (ColumnType::Integer, DataType::Int32),
        DataType::Int64 | DataType::UInt32 | DataType::UInt64 => (ColumnType::BigInt, DataType::Int64),
        DataType::Float16 | DataType::Float32 => (ColumnType::Real, DataType::Float32),
        DataType::Float64 => (ColumnType::Double, DataType::Float64),
        DataType::Decimal128(..) => (ColumnType::Decimal, of.clone()),
        DataType::Date32 | DataType::Date64 => (ColumnType::Date, DataType::Date32),
        DataType::Timestamp(_, None) => (ColumnType::Timestamp, DataType::Timestamp(TimeUnit::Microsecond, None)),
        DataType::Null => (ColumnType::Null, DataType::Null),
        _ => (ColumnType::Varchar, DataType::Utf8),
    }
}

/// What clients are told of columns.
pub fn metadata(schema: &SchemaRef) -> Vec<SqlColumnMetadata> {
    let told = |field: &arrow::datatypes::FieldRef| SqlColumnMetadata {
        column_type: types(field.data_type()).0 as i32,
        name: field.name().as_str().into(),
        nullable: Some(field.is_nullable()),
    };
    schema.fields().iter().map(told).collect()
}

/// The rows from `at` on, at most so many; and how many they are.
pub fn page(rows: &RecordBatch, at: usize, most: usize) -> Result<(SqlPage, usize), ArrowError> {
    let left = rows.num_rows().saturating_sub(at);
    let of_a_row = rows.get_array_memory_size() / rows.num_rows().max(1);
    let count = left.min(most.clamp(1, PAGE_ROWS)).min((PAGE_BYTES / of_a_row.max(1)).max(1));
    let slice = rows.slice(at, count);
    let columns = slice.columns().iter().map(column).collect::<Result<_, _>>()?;
    Ok((SqlPage { last: count == left, columns }, count))
}

fn column(of: &ArrayRef) -> Result<Column, ArrowError> {
    let (told, read) = types(of.data_type());
    let array = cast(of, &read)?;
    Ok(match told {
        ColumnType::Boolean => fixed(array.as_boolean().iter()),
        ColumnType::TinyInt => numbers::<Int8Type, _>(&array, |n| n),
        ColumnType::SmallInt => numbers::<Int16Type, _>(&array, |n| n),
        ColumnType::Integer => numbers::<Int32Type, _>(&array, |n| n),
        ColumnType::BigInt => numbers::<Int64Type, _>(&array, |n| n),
        ColumnType::Real => numbers::<Float32Type, _>(&array, |n| n),
        ColumnType::Double => numbers::<Float64Type, _>(&array, |n| n),
        ColumnType::Date => numbers::<Date32Type, _>(&array, |days| date(days.into())),
        ColumnType::Timestamp => numbers::<TimestampMicrosecondType, _>(&array, timestamp),
        ColumnType::Decimal => {
            let array = array.as_primitive::<Decimal128Type>();
            let scale = array.scale().into();
            let decimal = |n: i128| Decimal { unscaled: Bytes::copy_from_slice(&n.to_be_bytes()), scale };
            Column::Decimal(array.iter().map(|n| n.map(decimal)).collect())
        }
        ColumnType::Null => Column::Null(array.len()),
        _ => Column::Varchar(array.as_string::<i32>().iter().map(|text| text.map(Text::from)).collect()),
    })
}

fn numbers<T: ArrowPrimitiveType, C: Cell>(array: &ArrayRef, cell: fn(T::Native) -> C) -> Column {
    fixed(array.as_primitive::<T>().iter().map(|value| value.map(cell)))
}

fn fixed<C: Cell>(cells: impl Iterator<Item = Option<C>>) -> Column {
    Column::Fixed(FixedColumn::of(&cells.collect::<Vec<_>>()))
}

fn timestamp(micros: i64) -> Timestamp {
    let (seconds, micros_of_second) = (micros.rem_euclid(DAY) / SECOND, micros.rem_euclid(SECOND));
    let part = |n: i64| i8::try_from(n).unwrap_or(i8::MAX);
    Timestamp {
        date: date(micros.div_euclid(DAY)),
        time: Time {
            hour: part(seconds / 3_600),
            minute: part(seconds / 60 % 60),
            second: part(seconds % 60),
            nano: i32::try_from(micros_of_second * 1_000).unwrap_or(0),
        },
    }
}

fn date(days: i64) -> Date {
    let (year, month, day) = calendar::date(days);
    let part = |n: i64| i8::try_from(n).unwrap_or(i8::MAX);
    Date { year: i32::try_from(year).unwrap_or(i32::MAX), month: part(month), day: part(day) }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{Int64Array, StringArray, UInt64Array};
    use arrow::datatypes::{Field, Schema};

    use super::*;

    #[test]
    fn days_are_those_of_the_calendar() {
        assert_eq!(timestamp(-1).date, Date { year: 1969, month: 12, day: 31 });
        assert_eq!(timestamp(-1).time, Time { hour: 23, minute: 59, second: 59, nano: 999_999_000 });
    }

    #[test]
    fn pages_together_are_all_rows_and_the_last_says_so() {
        let schema = Arc::new(Schema::new(vec![
            Field::new("n", DataType::Int64, true),
            Field::new("text", DataType::Utf8, true),
            Field::new("count", DataType::UInt64, false),
        ]));
        let numbers: Int64Array = (0..10).map(|n| (n != 3).then_some(n)).collect();
        let texts: StringArray = (0..10).map(|n| (n != 4).then(|| n.to_string())).collect();
        let counts: UInt64Array = (0..10).map(Some).collect();
        let rows =
            RecordBatch::try_new(schema.clone(), vec![Arc::new(numbers), Arc::new(texts), Arc::new(counts)]).unwrap();
        let (mut at, mut lasts, mut seen) = (0, Vec::new(), 0);
        while at < 10 {
            let (page, count) = page(&rows, at, 4).unwrap();
            assert!(page.columns.iter().all(|column| column.rows() == count));
            seen += page.columns[1].rows();
            lasts.push(page.last);
            at += count;
        }
        assert_eq!((seen, lasts), (10, vec![false, false, true]));
        let told: Vec<i32> = metadata(&schema).iter().map(|column| column.column_type).collect();
        assert_eq!(told, [ColumnType::BigInt as i32, ColumnType::Varchar as i32, ColumnType::BigInt as i32]);
        assert!(page(&rows.slice(0, 0), 0, 4).unwrap().0.last);
    }
}
