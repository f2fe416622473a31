//! The numbered generator: key `k` gives (k, 0), (k, 1), …, so that a ledger can prove exactly-once.
//!
//! Lane l makes the keys k with k % lanes == l; row n of a lane is the key n % keys-of-the-lane with
//! number n / keys-of-the-lane. Row i of the whole generator is (i % keys, i / keys): `count` cuts there.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::SchemaRef;

use super::OperatorError;
use super::program::GeneratorSpec;
use super::source::{RangeOffset, RangeSource};

/// Bytes of rows that are given at once; more than the longest payload.
const MAX_BATCH_BYTES: usize = 4 * 1024 * 1024;

/// One lane.
pub struct GeneratorLane {
    schema: SchemaRef,
    lane: u64,
    lanes: u64,
    keys: u64,
    end: Option<u64>,
    payload: usize,
    at: RangeOffset,
}

impl GeneratorLane {
    /// Opens a lane at an offset.
    pub fn open(spec: &GeneratorSpec, schema: SchemaRef, lane: u32, offset: RangeOffset) -> Self {
        let (lane, lanes) = (u64::from(lane), u64::from(spec.lanes));
        let keys = keys_of_lane(spec.keys, lane, lanes);
        let end = match spec.count {
            Some(count) => Some(count / spec.keys * keys + keys_of_lane(count % spec.keys, lane, lanes)),
            None if keys == 0 => Some(0),
            None => None,
        };
        GeneratorLane { schema, lane, lanes, keys, end, payload: spec.payload, at: offset }
    }
}

fn keys_of_lane(keys: u64, lane: u64, lanes: u64) -> u64 {
    (keys + lanes - 1 - lane) / lanes
}

impl RangeSource for GeneratorLane {
    fn next(&mut self, rows: usize) -> Result<Option<RecordBatch>, OperatorError> {
        let from = self.at.position.unwrap_or(0);
        let left = self.end.map_or(u64::MAX, |end| end.saturating_sub(from));
        if left == 0 {
            self.at.exhausted = true;
            return Ok(None);
        }
        let rows = left.min(rows as u64).min((MAX_BATCH_BYTES / (self.payload + 16)) as u64);
        let (mut keys, mut numbers) = (Vec::with_capacity(rows as usize), Vec::with_capacity(rows as usize));
        for n in from..from + rows {
            keys.push((self.lane + self.lanes * (n % self.keys)) as i64);
            numbers.push((n / self.keys) as i64);
        }
        let mut columns: Vec<ArrayRef> = Vec::with_capacity(3);
        if self.schema.fields().len() > 2 {
            let texts =
                keys.iter().zip(&numbers).map(|(key, number)| format!("{key}-{number:0>width$}", width = self.payload));
            columns.push(Arc::new(StringArray::from_iter_values(texts)));
        }
        columns.insert(0, Arc::new(Int64Array::from(numbers)));
        columns.insert(0, Arc::new(Int64Array::from(keys)));
        self.at.position = Some(from + rows);
        self.at.rows += rows;
        let batch = RecordBatch::try_new(self.schema.clone(), columns);
        batch.map(Some).map_err(|error| OperatorError::compute("generator", error))
    }

    fn offset(&self) -> RangeOffset {
        self.at
    }
}
