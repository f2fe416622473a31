//! What one job does, ready to run: made by the planner, executed by the runtime, the same everywhere.
//!
//! Law: everything that decides which rows exist (files, lengths, ranges, lanes) is in the
//! specification and travels with the plan; nothing of it depends on members or workers.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use serde::{Deserialize, Serialize};

use super::aggregate::AggregateSpec;
use super::step::Step;

/// Number of ranges of a source unless an option says otherwise: divides evenly over 1, 2, 3, 4, 6, 12 workers.
pub const DEFAULT_RANGES: u32 = 12;
/// Most ranges of a source.
pub const MAX_RANGES: u32 = 1024;

/// Where rows come from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum SourceSpec {
    /// CSV file.
    File(FileSpec),
    /// Numbered rows.
    Generator(GeneratorSpec),
}

impl SourceSpec {
    /// How many ranges the source has, whoever reads them.
    pub fn ranges(&self) -> u32 {
        match self {
            SourceSpec::File(file) => file.ranges,
            SourceSpec::Generator(generator) => generator.lanes,
        }
    }

    /// Rows per second of the whole job.
    pub fn rate(&self) -> Option<u64> {
        match self {
            SourceSpec::File(file) => file.rate,
            SourceSpec::Generator(generator) => generator.rate,
        }
    }
}

/// A CSV file as it was when the plan was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileSpec {
    /// Path on every member.
    pub path: String,
    /// Bytes that belong to the job; what is appended later does not.
    pub length: u64,
    /// First byte after the header line.
    pub data_start: u64,
    /// blake3 of the first bytes (see [`super::file::HEAD_BYTES`]): another file is refused.
    pub head_digest: String,
    /// Field separator.
    pub delimiter: u8,
    /// Text that means NULL, besides the empty one.
    pub null: Option<String>,
    /// A value that cannot be read as its type becomes NULL instead of failing the job.
    pub bad_as_null: bool,
    /// Byte ranges.
    pub ranges: u32,
    /// Rows per second of the whole job.
    pub rate: Option<u64>,
    /// For each column of the mapping its field number in a line.
    pub fields: Vec<usize>,
    /// Number of fields of a line.
    pub line_fields: usize,
}

/// Numbered rows: key `k` gives (k, 0), (k, 1), …
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GeneratorSpec {
    /// Number of keys, 0..keys.
    pub keys: u64,
    /// Rows in all; none means without end.
    pub count: Option<u64>,
    /// Lanes; lane l makes the keys k with k % lanes == l.
    pub lanes: u32,
    /// Rows per second of the whole job.
    pub rate: Option<u64>,
    /// Bytes of the third column, if the mapping has one.
    pub payload: usize,
}

/// Where results go.
#[derive(Debug, Clone)]
pub struct MapSink {
    /// Name of the map.
    pub map: String,
    /// Columns of a row.
    pub schema: SchemaRef,
    /// Which columns are the key.
    pub key: Vec<usize>,
}

/// The keyed vertex.
#[derive(Debug, Clone)]
pub enum Keyed {
    /// GROUP BY.
    Aggregate(Arc<AggregateSpec>),
    /// The last row of a key wins; no state is kept.
    Upsert,
}

/// A job, ready to run.
#[derive(Debug, Clone)]
pub struct Program {
    /// Where rows come from.
    pub source: SourceSpec,
    /// Columns of the source.
    pub source_schema: SchemaRef,
    /// Steps at the source; their output goes over the exchange.
    pub before: Vec<Step>,
    /// Columns that go over the exchange.
    pub exchange: SchemaRef,
    /// Columns of the exchange whose values, in this order, are the key of the sink and decide the partition.
    pub route_by: Vec<usize>,
    /// The keyed vertex.
    pub keyed: Keyed,
    /// Steps after the keyed vertex; their output has the sink's columns.
    pub after: Vec<Step>,
    /// Where results go.
    pub sink: MapSink,
}
