//! Bytes of one part of a snapshot: a fixed header with a CRC, then an Arrow IPC stream.
//!
//! Law: length and CRC are checked before a decoder sees a byte (Arrow's reader panics on hostile ones).

use arrow::array::RecordBatch;
use arrow::ipc::reader::StreamReader;
use arrow::ipc::writer::StreamWriter;
use bytes::Bytes;

use super::OperatorError;

const MAGIC: &[u8; 4] = b"JTP1";
/// Bytes before the body.
pub const HEADER: usize = 16;
/// Largest part that is read.
pub const MAX_PART_BYTES: usize = 1 << 30;

/// Puts a checked header before a body.
pub fn seal(body: &[u8]) -> Bytes {
    let mut out = Vec::with_capacity(HEADER + body.len());
    out.resize(HEADER, 0);
    out.extend_from_slice(body);
    seal_in_place(out)
}

/// Fills in the header of bytes that begin with room for it.
pub fn seal_in_place(mut out: Vec<u8>) -> Bytes {
    if out.len() < HEADER {
        out.resize(HEADER, 0);
    }
    let (header, body) = out.split_at_mut(HEADER);
    header[..4].copy_from_slice(MAGIC);
    header[4..8].copy_from_slice(&crc32c::crc32c(body).to_le_bytes());
    header[8..].copy_from_slice(&(body.len() as u64).to_le_bytes());
    Bytes::from(out)
}

/// The body behind a checked header.
pub fn open<'a>(bytes: &'a [u8], what: &str) -> Result<&'a [u8], OperatorError> {
    let bad = |reason: String| OperatorError::unreadable(what, reason);
    if bytes.len() < HEADER || bytes.len() > MAX_PART_BYTES || &bytes[..4] != MAGIC {
        return Err(bad(format!("{} bytes without a part header", bytes.len())));
    }
    let (header, body) = bytes.split_at(HEADER);
    let mut length = [0; 8];
    length.copy_from_slice(&header[8..16]);
    if u64::from_le_bytes(length) != body.len() as u64 {
        return Err(bad(format!("{} bytes, the header says {}", body.len(), u64::from_le_bytes(length))));
    }
    if crc32c::crc32c(body).to_le_bytes() != header[4..8] {
        return Err(bad("the checksum is wrong".into()));
    }
    Ok(body)
}

/// A batch, or the sign that there is none.
pub fn encode_batch(batch: Option<&RecordBatch>) -> Result<Bytes, OperatorError> {
    let Some(batch) = batch.filter(|batch| batch.num_rows() > 0) else { return Ok(seal(&[])) };
    let mut out = Vec::with_capacity(HEADER + room(batch));
    out.resize(HEADER, 0);
    Ok(seal_in_place(stream_into(batch, out)?))
}

/// Reads what [`encode_batch`] wrote.
pub fn decode_batch(bytes: &[u8], what: &str) -> Result<Option<RecordBatch>, OperatorError> {
    let body = open(bytes, what)?;
    if body.is_empty() {
        return Ok(None);
    }
    unstream(body, what).map(Some)
}

/// One batch as an IPC stream with its schema.
pub fn stream(batch: &RecordBatch) -> Result<Vec<u8>, OperatorError> {
    stream_into(batch, Vec::with_capacity(room(batch)))
}

fn room(batch: &RecordBatch) -> usize {
    batch.get_array_memory_size().min(1 << 24) + 1024
}

fn stream_into(batch: &RecordBatch, out: Vec<u8>) -> Result<Vec<u8>, OperatorError> {
    let failed = |error| OperatorError::compute("encoding a batch", error);
    let mut writer = StreamWriter::try_new(out, batch.schema_ref()).map_err(failed)?;
    writer.write(batch).map_err(failed)?;
    writer.finish().map_err(failed)?;
    writer.into_inner().map_err(failed)
}

/// The one batch of an IPC stream.
pub fn unstream(body: &[u8], what: &str) -> Result<RecordBatch, OperatorError> {
    let bad = |error: &dyn std::fmt::Display| OperatorError::unreadable(what, error);
    let mut reader = StreamReader::try_new(body, None).map_err(|error| bad(&error))?;
    match reader.next() {
        Some(Ok(batch)) => Ok(batch),
        Some(Err(error)) => Err(bad(&error)),
        None => Err(bad(&"no batch in it")),
    }
}
