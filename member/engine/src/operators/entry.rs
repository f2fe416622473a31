//! Rows as map entries: key and value are JSON texts, so that any client reads them without a schema.
//!
//! A key of one column is that value (`42`, `"ab"`, `null`), of several an array; a value is an object
//! of the other columns. Numbers and booleans are JSON's; all other types are texts; NaN and the
//! infinities are the texts `"NaN"`, `"inf"`, `"-inf"`.
//! Law: the same row gives the same bytes in every member and version, since keys decide partitions.

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Float32Array, Float64Array, Int8Array, Int16Array, Int32Array, Int64Array,
    RecordBatch, StringArray,
};
use arrow::compute::{CastOptions, cast, cast_with_options};
use arrow::datatypes::{DataType, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, SchemaRef};
use bytes::Bytes;
use serde_json::value::RawValue;

use super::OperatorError;
use super::part;
use super::program::MapSink;

/// A key with its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// JSON text.
    pub key: Vec<u8>,
    /// JSON text.
    pub value: Vec<u8>,
}

/// What an epoch writes to a map from one shard. Applying it twice is the same as once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SinkDelta {
    /// Name of the map.
    pub map: String,
    /// Upserts.
    pub entries: Vec<Entry>,
}

impl SinkDelta {
    /// Bytes of a sink part: lengths and bytes of name, count, keys and values behind a checked header.
    pub fn encode(&self) -> Bytes {
        let size: usize = self.entries.iter().map(|entry| 8 + entry.key.len() + entry.value.len()).sum();
        let mut out = DeltaBytes::new(&self.map, size);
        for entry in &self.entries {
            out.push(|bytes| bytes.extend_from_slice(&entry.key));
            out.push(|bytes| bytes.extend_from_slice(&entry.value));
        }
        out.seal()
    }

    /// Reads what [`SinkDelta::encode`] wrote.
    pub fn decode(bytes: &[u8]) -> Result<Self, OperatorError> {
        let what = "sink part";
        let mut rest = part::open(bytes, what)?;
        let map = String::from_utf8(take(&mut rest)?).map_err(|error| OperatorError::unreadable(what, error))?;
        let mut entries = Vec::new();
        while !rest.is_empty() {
            entries.push(Entry { key: take(&mut rest)?, value: take(&mut rest)? });
        }
        Ok(SinkDelta { map, entries })
    }
}

/// Writes a sink part entry by entry, without a copy of each.
struct DeltaBytes(Vec<u8>);

impl DeltaBytes {
    fn new(map: &str, room: usize) -> Self {
        let mut out = DeltaBytes(Vec::with_capacity(part::HEADER + 4 + map.len() + room));
        out.0.resize(part::HEADER, 0);
        out.push(|bytes| bytes.extend_from_slice(map.as_bytes()));
        out
    }

    fn push(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        let at = self.0.len();
        self.0.extend_from_slice(&[0; 4]);
        write(&mut self.0);
        let length = (self.0.len() - at - 4) as u32;
        self.0[at..at + 4].copy_from_slice(&length.to_le_bytes());
    }

    fn seal(self) -> Bytes {
        part::seal_in_place(self.0)
    }
}

fn take(rest: &mut &[u8]) -> Result<Vec<u8>, OperatorError> {
    let short = || OperatorError::unreadable("sink part", "it ends in the middle of an entry");
    let (length, tail) = rest.split_first_chunk::<4>().ok_or_else(short)?;
    let length = u32::from_le_bytes(*length) as usize;
    let found = tail.get(..length).ok_or_else(short)?.to_vec();
    *rest = &tail[length..];
    Ok(found)
}

/// A column, ready to be written as JSON.
enum Cells {
    Int8(Int8Array),
    Int16(Int16Array),
    Int32(Int32Array),
    Int64(Int64Array),
    Float32(Float32Array),
    Float64(Float64Array),
    Bool(BooleanArray),
    Text(StringArray),
}

/// Writes values of some columns as JSON, row by row.
pub struct JsonRows {
    cells: Vec<Cells>,
}

impl JsonRows {
    /// Looks at the columns once.
    pub fn new(columns: &[ArrayRef]) -> Result<Self, OperatorError> {
        Ok(JsonRows { cells: columns.iter().map(cells).collect::<Result<_, _>>()? })
    }

    /// The key of a row.
    pub fn key(&self, row: usize, out: &mut Vec<u8>) {
        if let [only] = self.cells.as_slice() {
            return only.write(row, out);
        }
        for (index, cell) in self.cells.iter().enumerate() {
            out.push(if index == 0 { b'[' } else { b',' });
            cell.write(row, out);
        }
        out.push(b']');
    }

    /// The value of a row: an object with `names` as keys.
    fn object(&self, names: &[Vec<u8>], row: usize, out: &mut Vec<u8>) {
        out.push(b'{');
        for (index, (cell, name)) in self.cells.iter().zip(names).enumerate() {
            if index > 0 {
                out.push(b',');
            }
            out.extend_from_slice(name);
            out.push(b':');
            cell.write(row, out);
        }
        out.push(b'}');
    }
}

fn cells(column: &ArrayRef) -> Result<Cells, OperatorError> {
    Ok(match column.data_type() {
        DataType::Int8 => Cells::Int8(column.as_primitive::<Int8Type>().clone()),
        DataType::Int16 => Cells::Int16(column.as_primitive::<Int16Type>().clone()),
        DataType::Int32 => Cells::Int32(column.as_primitive::<Int32Type>().clone()),
        DataType::Int64 => Cells::Int64(column.as_primitive::<Int64Type>().clone()),
        DataType::Float32 => Cells::Float32(column.as_primitive::<Float32Type>().clone()),
        DataType::Float64 => Cells::Float64(column.as_primitive::<Float64Type>().clone()),
        DataType::Boolean => Cells::Bool(column.as_boolean().clone()),
        DataType::Utf8 => Cells::Text(column.as_string::<i32>().clone()),
        other => {
            let text = cast(column, &DataType::Utf8)
                .map_err(|error| OperatorError::compute(format!("writing a value of type {other}"), error))?;
            Cells::Text(text.as_string::<i32>().clone())
        }
    })
}

impl Cells {
    fn write(&self, row: usize, out: &mut Vec<u8>) {
        let array: &dyn Array = match self {
            Cells::Int8(a) => a,
            Cells::Int16(a) => a,
            Cells::Int32(a) => a,
            Cells::Int64(a) => a,
            Cells::Float32(a) => a,
            Cells::Float64(a) => a,
            Cells::Bool(a) => a,
            Cells::Text(a) => a,
        };
        if array.is_null(row) {
            return out.extend_from_slice(b"null");
        }
        match self {
            Cells::Int8(a) => integer(i64::from(a.value(row)), out),
            Cells::Int16(a) => integer(i64::from(a.value(row)), out),
            Cells::Int32(a) => integer(i64::from(a.value(row)), out),
            Cells::Int64(a) => integer(a.value(row), out),
            Cells::Float32(a) => float(a.value(row), a.value(row).is_finite(), out),
            Cells::Float64(a) => float(a.value(row), a.value(row).is_finite(), out),
            Cells::Bool(a) => out.extend_from_slice(if a.value(row) { b"true" } else { b"false" }),
            Cells::Text(a) => text(a.value(row), out),
        }
    }
}

fn integer(value: i64, out: &mut Vec<u8>) {
    let mut digits = [0; 20];
    let (mut at, mut left) = (digits.len(), value.unsigned_abs());
    loop {
        at -= 1;
        digits[at] = b'0' + (left % 10) as u8;
        left /= 10;
        if left == 0 {
            break;
        }
    }
    if value < 0 {
        out.push(b'-');
    }
    out.extend_from_slice(&digits[at..]);
}

fn float<F: serde::Serialize + std::fmt::Display>(value: F, finite: bool, out: &mut Vec<u8>) {
    if finite {
        let _ = serde_json::to_writer(&mut *out, &value);
    } else {
        let _ = write!(out, "\"{value}\"");
    }
}

fn text(value: &str, out: &mut Vec<u8>) {
    let _ = serde_json::to_writer(&mut *out, value);
}

/// Rows of a sink as JSON.
struct SinkRows {
    keys: JsonRows,
    values: JsonRows,
    names: Vec<Vec<u8>>,
}

impl SinkRows {
    fn new(sink: &MapSink, batch: &RecordBatch) -> Result<Self, OperatorError> {
        let others: Vec<usize> = (0..batch.num_columns()).filter(|index| !sink.key.contains(index)).collect();
        let pick = |indices: &[usize]| indices.iter().map(|index| batch.column(*index).clone()).collect::<Vec<_>>();
        let mut names = Vec::with_capacity(others.len());
        for index in &others {
            let mut name = Vec::new();
            text(sink.schema.field(*index).name(), &mut name);
            names.push(name);
        }
        Ok(SinkRows { keys: JsonRows::new(&pick(&sink.key))?, values: JsonRows::new(&pick(&others))?, names })
    }
}

/// Rows of a sink as entries.
pub fn entries(sink: &MapSink, batch: &RecordBatch) -> Result<Vec<Entry>, OperatorError> {
    let rows = SinkRows::new(sink, batch)?;
    let mut found = Vec::with_capacity(batch.num_rows());
    for row in 0..batch.num_rows() {
        let (mut key, mut value) = (Vec::with_capacity(16), Vec::with_capacity(64));
        rows.keys.key(row, &mut key);
        rows.values.object(&rows.names, row, &mut value);
        found.push(Entry { key, value });
    }
    Ok(found)
}

/// Rows of a sink, whose keys differ, as a sink part.
pub fn delta_of_distinct(sink: &MapSink, batch: &RecordBatch) -> Result<Bytes, OperatorError> {
    let rows = SinkRows::new(sink, batch)?;
    let mut out = DeltaBytes::new(&sink.map, batch.num_rows() * 64);
    for row in 0..batch.num_rows() {
        out.push(|bytes| rows.keys.key(row, bytes));
        out.push(|bytes| rows.values.object(&rows.names, row, bytes));
    }
    Ok(out.seal())
}

/// Entries of a map as rows of `schema`; `key` says which columns are in the key.
pub fn rows<'a>(
    schema: &SchemaRef,
    key: &[usize],
    entries: impl IntoIterator<Item = (&'a [u8], &'a [u8])>,
) -> Result<RecordBatch, OperatorError> {
    let mut columns: Vec<Vec<Option<String>>> = vec![Vec::new(); schema.fields().len()];
    let what = "map entry";
    let bad = |error: serde_json::Error| OperatorError::unreadable(what, error);
    for (key_bytes, value_bytes) in entries {
        let keys: Vec<&RawValue> = match key.len() {
            1 => vec![serde_json::from_slice(key_bytes).map_err(bad)?],
            _ => serde_json::from_slice(key_bytes).map_err(bad)?,
        };
        if keys.len() != key.len() {
            return Err(OperatorError::unreadable(what, "the key does not have the columns of the mapping"));
        }
        let object: BTreeMap<String, &RawValue> = serde_json::from_slice(value_bytes).map_err(bad)?;
        for (raw, index) in keys.into_iter().zip(key) {
            columns[*index].push(plain(raw)?);
        }
        for (index, field) in schema.fields().iter().enumerate().filter(|(index, _)| !key.contains(index)) {
            columns[index].push(object.get(field.name()).map_or(Ok(None), |raw| plain(raw))?);
        }
    }
    let arrays = schema
        .fields()
        .iter()
        .zip(columns)
        .map(|(field, values)| column(field.data_type(), values))
        .collect::<Result<Vec<_>, _>>()?;
    RecordBatch::try_new(schema.clone(), arrays).map_err(|error| OperatorError::unreadable(what, error))
}

/// The text of a JSON value; numbers as they are written, so that no digit is lost.
fn plain(raw: &RawValue) -> Result<Option<String>, OperatorError> {
    match raw.get() {
        "null" => Ok(None),
        text if text.starts_with('"') => {
            serde_json::from_str(text).map(Some).map_err(|error| OperatorError::unreadable("map entry", error))
        }
        other => Ok(Some(other.to_string())),
    }
}

fn column(data_type: &DataType, values: Vec<Option<String>>) -> Result<ArrayRef, OperatorError> {
    let texts: StringArray = values.into_iter().collect();
    let options = CastOptions { safe: false, ..Default::default() };
    cast_with_options(&(Arc::new(texts) as ArrayRef), data_type, &options)
        .map_err(|error| OperatorError::unreadable("map entry", error))
}
