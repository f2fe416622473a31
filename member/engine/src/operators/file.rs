//! CSV files in byte ranges: members and workers read disjoint ranges of the same file.
//!
//! A row belongs to the range in which its first byte lies; so any number of ranges gives each row
//! exactly once. A row is a line: line breaks inside quotes are not supported (and fail the job by the
//! number of fields). Law: a file that is not the one of the plan is refused.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, StringBuilder};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::SchemaRef;

use super::OperatorError;
use super::program::FileSpec;
use super::source::{RangeOffset, RangeSource};

/// First bytes of a file whose digest is in the plan.
pub const HEAD_BYTES: usize = 64 * 1024;
/// Longest row.
pub const MAX_ROW_BYTES: usize = 1024 * 1024;
/// Bytes of rows that are given at once.
const MAX_BATCH_BYTES: u64 = 4 * 1024 * 1024;
const READ_BYTES: usize = 256 * 1024;

/// One range.
pub struct FileRange {
    spec: FileSpec,
    schema: SchemaRef,
    file: File,
    buffer: Vec<u8>,
    used: usize,
    /// Position in the file of `buffer[used]`.
    position: u64,
    end: u64,
    at: RangeOffset,
}

/// Begin and end of a range in bytes.
pub fn bounds(spec: &FileSpec, range: u32) -> (u64, u64) {
    let bytes = u128::from(spec.length - spec.data_start);
    let cut = |i: u32| spec.data_start + (bytes * u128::from(i) / u128::from(spec.ranges)) as u64;
    (cut(range), cut(range + 1))
}

impl FileRange {
    /// Opens a range at an offset, after a look that the file is the one of the plan.
    pub fn open(spec: &FileSpec, schema: SchemaRef, range: u32, offset: RangeOffset) -> Result<Self, OperatorError> {
        let bad = |reason: String| OperatorError::Source { source_name: spec.path.clone(), reason };
        let mut file = File::open(&spec.path)
            .map_err(|error| bad(format!("cannot be opened: {error}; it must be there on every member")))?;
        let length = file.metadata().map_err(|error| bad(error.to_string()))?.len();
        if length < spec.length {
            return Err(bad(format!("has {length} bytes, the plan was made for {}", spec.length)));
        }
        let mut head = vec![0; (spec.length as usize).min(HEAD_BYTES)];
        file.read_exact(&mut head).map_err(|error| bad(error.to_string()))?;
        if blake3::hash(&head).to_hex().as_str() != spec.head_digest {
            return Err(bad("has another content than when the plan was made".into()));
        }
        let (begin, end) = bounds(spec, range);
        let mut opened =
            FileRange { spec: spec.clone(), schema, file, buffer: Vec::new(), used: 0, position: 0, end, at: offset };
        match offset.position {
            Some(position) => opened.seek(position)?,
            None if begin == spec.data_start => opened.seek(begin)?,
            None => {
                // The row that is under way at the boundary belongs to the range before.
                opened.seek(begin - 1)?;
                opened.line()?;
            }
        }
        opened.at.position = Some(opened.position);
        Ok(opened)
    }

    fn error(&self, reason: impl Into<String>) -> OperatorError {
        OperatorError::Source { source_name: self.spec.path.clone(), reason: reason.into() }
    }

    fn seek(&mut self, position: u64) -> Result<(), OperatorError> {
        self.file.seek(SeekFrom::Start(position)).map_err(|error| self.error(error.to_string()))?;
        self.buffer.clear();
        self.used = 0;
        self.position = position;
        Ok(())
    }

    /// The next line as a place in the buffer, and moves behind it.
    fn line(&mut self) -> Result<Option<(usize, usize)>, OperatorError> {
        let mut looked = self.used;
        loop {
            if let Some(found) = self.buffer[looked..].iter().position(|byte| *byte == b'\n') {
                let (from, to) = (self.used, looked + found);
                self.position += (to + 1 - from) as u64;
                self.used = to + 1;
                return Ok(Some((from, to)));
            }
            let held = self.buffer.len() - self.used;
            if held > MAX_ROW_BYTES {
                return Err(self.error(format!("row at byte {} is longer than {MAX_ROW_BYTES} bytes", self.position)));
            }
            let left = self.spec.length - (self.position + held as u64).min(self.spec.length);
            if left == 0 {
                if held == 0 {
                    return Ok(None);
                }
                let (from, to) = (self.used, self.buffer.len());
                self.position += held as u64;
                self.used = to;
                return Ok(Some((from, to)));
            }
            looked = self.fill(left, held)?;
        }
    }

    fn fill(&mut self, left: u64, held: usize) -> Result<usize, OperatorError> {
        self.buffer.drain(..self.used);
        self.used = 0;
        self.buffer.resize(held + (left as usize).min(READ_BYTES), 0);
        let read =
            self.file.read(&mut self.buffer[held..]).map_err(|error| self.error(format!("cannot be read: {error}")))?;
        self.buffer.truncate(held + read);
        if read == 0 {
            return Err(self.error(format!(
                "ends at byte {}, the plan was made for {}",
                self.position + held as u64,
                self.spec.length
            )));
        }
        Ok(held)
    }

    fn columns(&self, builders: Vec<StringBuilder>) -> Result<Vec<ArrayRef>, OperatorError> {
        let options = CastOptions { safe: self.spec.bad_as_null, ..Default::default() };
        let mut columns = Vec::with_capacity(builders.len());
        for (mut builder, field) in builders.into_iter().zip(self.schema.fields()) {
            let texts: ArrayRef = Arc::new(builder.finish());
            let column = cast_with_options(&texts, field.data_type(), &options).map_err(|error| {
                let before = self.at.position.unwrap_or(0);
                let way_out = "correct it, declare the column VARCHAR, or set 'bad-values'='null'";
                self.error(format!("column '{}' after byte {before}: {error}; {way_out}", field.name()))
            })?;
            columns.push(column);
        }
        Ok(columns)
    }
}

impl RangeSource for FileRange {
    fn next(&mut self, rows: usize) -> Result<Option<RecordBatch>, OperatorError> {
        let mut builders: Vec<StringBuilder> = self.spec.fields.iter().map(|_| StringBuilder::new()).collect();
        let first = self.position;
        let mut count = 0;
        while count < rows && self.position < self.end && self.position - first < MAX_BATCH_BYTES {
            let start = self.position;
            let Some((from, to)) = self.line()? else { break };
            let line = self.buffer[from..to].strip_suffix(b"\r").unwrap_or(&self.buffer[from..to]);
            if line.is_empty() {
                continue;
            }
            let text = std::str::from_utf8(line)
                .map_err(|error| self.error(format!("row at byte {start} is not UTF-8: {error}")))?;
            let mut fields = Vec::with_capacity(self.spec.line_fields);
            split(text, char::from(self.spec.delimiter), &mut fields);
            if fields.len() != self.spec.line_fields {
                let (found, wanted) = (fields.len(), self.spec.line_fields);
                return Err(self.error(format!("row at byte {start} has {found} fields instead of {wanted}")));
            }
            for (builder, index) in builders.iter_mut().zip(&self.spec.fields) {
                let field = &fields[*index];
                if field.is_empty() || self.spec.null.as_deref() == Some(field) {
                    builder.append_null();
                } else {
                    builder.append_value(field);
                }
            }
            count += 1;
        }
        if count == 0 && self.position >= self.end.min(self.spec.length) {
            self.at.position = Some(self.position);
            self.at.exhausted = true;
            return Ok(None);
        }
        let columns = self.columns(builders)?;
        self.at.position = Some(self.position);
        self.at.rows += count as u64;
        RecordBatch::try_new(self.schema.clone(), columns).map(Some).map_err(|error| self.error(error.to_string()))
    }

    fn offset(&self) -> RangeOffset {
        self.at
    }
}

/// Fields of a line; a field in double quotes may hold the delimiter and doubled quotes.
pub fn split<'a>(line: &'a str, delimiter: char, fields: &mut Vec<std::borrow::Cow<'a, str>>) {
    fields.clear();
    let mut rest = line;
    loop {
        let (field, tail) = match rest.strip_prefix('"') {
            Some(quoted) => unquote(quoted, delimiter),
            None => match rest.find(delimiter) {
                Some(at) => (rest[..at].into(), Some(&rest[at + delimiter.len_utf8()..])),
                None => (rest.into(), None),
            },
        };
        fields.push(field);
        match tail {
            Some(tail) => rest = tail,
            None => return,
        }
    }
}

fn unquote(quoted: &str, delimiter: char) -> (std::borrow::Cow<'_, str>, Option<&str>) {
    let mut field = String::new();
    let mut rest = quoted;
    while let Some(at) = rest.find('"') {
        field.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        match rest.strip_prefix('"') {
            Some(tail) => {
                field.push('"');
                rest = tail;
            }
            None => {
                return match rest.find(delimiter) {
                    Some(next) => (field.into(), Some(&rest[next + delimiter.len_utf8()..])),
                    None => (field.into(), None),
                };
            }
        }
    }
    field.push_str(rest);
    (field.into(), None)
}
