//! Replayable sources: fixed ranges, each with an offset that says exactly where it goes on.
//!
//! Law: ranges depend on the plan only, so that any members and workers can take any of them; the same
//! offset gives the same rows again.

use arrow::array::RecordBatch;
use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::OperatorError;
use super::file::FileRange;
use super::generator::GeneratorLane;
use super::part;
use super::program::{Program, SourceSpec};

/// Where a range goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RangeOffset {
    /// Byte in the file, or number in the lane; none means that nothing was read.
    pub position: Option<u64>,
    /// Rows given since the job began.
    pub rows: u64,
    /// Nothing comes any more.
    pub exhausted: bool,
}

impl RangeOffset {
    /// The beginning.
    pub const START: RangeOffset = RangeOffset { position: None, rows: 0, exhausted: false };

    /// Bytes of a source part.
    pub fn encode(&self) -> Bytes {
        part::seal(
            format!("{} {} {}", self.position.map_or(-1, |p| p as i128), self.rows, u8::from(self.exhausted))
                .as_bytes(),
        )
    }

    /// Reads what [`RangeOffset::encode`] wrote.
    pub fn decode(bytes: &[u8]) -> Result<Self, OperatorError> {
        let body = part::open(bytes, "source offset")?;
        let parsed = std::str::from_utf8(body).ok().and_then(|text| {
            let mut words = text.split(' ');
            let position: i128 = words.next()?.parse().ok()?;
            let rows = words.next()?.parse().ok()?;
            let exhausted = words.next()? == "1";
            Some(RangeOffset { position: u64::try_from(position).ok(), rows, exhausted })
        });
        parsed.ok_or_else(|| OperatorError::unreadable("source offset", String::from_utf8_lossy(body)))
    }
}

/// One range of a source.
pub trait RangeSource: Send {
    /// At most `rows` rows, fewer if it pleases; none means exhausted.
    fn next(&mut self, rows: usize) -> Result<Option<RecordBatch>, OperatorError>;
    /// Where it goes on after what was given.
    fn offset(&self) -> RangeOffset;
}

/// Opens a range at an offset.
pub fn open(program: &Program, range: u32, offset: RangeOffset) -> Result<Box<dyn RangeSource>, OperatorError> {
    Ok(match &program.source {
        SourceSpec::File(spec) => Box::new(FileRange::open(spec, program.source_schema.clone(), range, offset)?),
        SourceSpec::Generator(spec) => {
            Box::new(GeneratorLane::open(spec, program.source_schema.clone(), range, offset))
        }
    })
}
