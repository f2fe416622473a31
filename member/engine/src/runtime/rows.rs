//! The container that crosses workers: rows for one worker, sorted by partition.
//!
//! In one process the columns move; between processes it is `[rows u32][flag u32][runs u32][ipc u32]`,
//! the runs and an Arrow IPC stream, padded to eight bytes. The bytes are copied out of timely's slab and
//! decoded by the vertex, which can fail the job. Law: the row count never changes in transit, since
//! progress is counted by it.

use std::cell::OnceCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arrow::array::RecordBatch;
use bytes::Bytes;
use timely::communication::Push;
use timely::dataflow::channels::pushers::exchange::Distributor;
use timely::dataflow::channels::{ContainerBytes, Message};
use timely::progress::Stamp;

use crate::operators::OperatorError;
use crate::operators::part::{stream, unstream};
use crate::operators::route::Routed;

const HEADER: usize = 16;
const FLAG_ROWS: u32 = 0x524f_5753;
const FLAG_BROKEN: u32 = 0x4252_4f4b;

/// Rows with, for each partition, where they end.
pub type Sorted = (RecordBatch, Arc<[(u32, u32)]>);

#[derive(Clone, Default)]
enum Payload {
    #[default]
    Nothing,
    Here(RecordBatch, Arc<[(u32, u32)]>),
    Wire(Bytes),
}

/// Rows for one worker.
#[derive(Clone, Default)]
pub struct Rows {
    to: usize,
    count: usize,
    payload: Payload,
    encoded: OnceCell<Vec<u8>>,
    sent: Option<Arc<AtomicU64>>,
}

impl Rows {
    /// `sent` counts bytes that leave the process.
    pub fn new(routed: Routed, sent: Arc<AtomicU64>) -> Self {
        Rows {
            to: routed.worker,
            count: routed.batch.num_rows(),
            payload: Payload::Here(routed.batch, routed.runs.into()),
            encoded: OnceCell::new(),
            sent: Some(sent),
        }
    }

    pub fn count(&self) -> usize {
        self.count
    }

    /// Bytes that came from another member.
    pub fn bytes_received(&self) -> u64 {
        match &self.payload {
            Payload::Wire(bytes) => bytes.len() as u64,
            Payload::Here(..) | Payload::Nothing => 0,
        }
    }

    /// The rows, decoded if they came over the wire.
    pub fn open(self) -> Result<Sorted, OperatorError> {
        match self.payload {
            Payload::Here(batch, runs) => Ok((batch, runs)),
            Payload::Wire(bytes) => decode(&bytes),
            Payload::Nothing => Err(OperatorError::unreadable("rows", "an empty container")),
        }
    }

    fn encoded(&self) -> &[u8] {
        self.encoded.get_or_init(|| {
            let bytes = encode(self);
            if let Some(sent) = &self.sent {
                sent.fetch_add(bytes.len() as u64, Ordering::Relaxed);
            }
            bytes
        })
    }
}

fn encode(rows: &Rows) -> Vec<u8> {
    let (body, runs, flag): (Vec<u8>, &[(u32, u32)], u32) = match &rows.payload {
        Payload::Here(batch, runs) => match stream(batch) {
            Ok(body) => (body, runs, FLAG_ROWS),
            Err(error) => (error.to_string().into_bytes(), &[], FLAG_BROKEN),
        },
        Payload::Wire(bytes) => return bytes.to_vec(),
        Payload::Nothing => (Vec::new(), &[], FLAG_BROKEN),
    };
    let mut out = Vec::with_capacity(HEADER + runs.len() * 8 + body.len() + 8);
    for number in [rows.count as u32, flag, runs.len() as u32, body.len() as u32] {
        out.extend_from_slice(&number.to_le_bytes());
    }
    for (partition, end) in runs {
        out.extend_from_slice(&partition.to_le_bytes());
        out.extend_from_slice(&end.to_le_bytes());
    }
    out.extend_from_slice(&body);
    out.resize(out.len().next_multiple_of(8), 0);
    out
}

fn number(bytes: &[u8], at: usize) -> Option<u32> {
    let word = bytes.get(at..at + 4)?;
    Some(u32::from_le_bytes([word[0], word[1], word[2], word[3]]))
}

fn decode(bytes: &Bytes) -> Result<Sorted, OperatorError> {
    let what = "rows of another member";
    let short = || OperatorError::unreadable(what, "too few bytes");
    let field = |at: usize| number(bytes, at).ok_or_else(short);
    let (count, flag, runs, length) = (field(0)?, field(4)?, field(8)? as usize, field(12)? as usize);
    let body = bytes.get(HEADER + runs * 8..HEADER + runs * 8 + length).ok_or_else(short)?;
    if flag != FLAG_ROWS {
        return Err(OperatorError::unreadable(what, String::from_utf8_lossy(body)));
    }
    let pairs: Option<Arc<[(u32, u32)]>> =
        (0..runs).map(|i| Some((number(bytes, HEADER + i * 8)?, number(bytes, HEADER + i * 8 + 4)?))).collect();
    let pairs = pairs.ok_or_else(short)?;
    let batch = unstream(body, what)?;
    if batch.num_rows() != count as usize || pairs.last().is_none_or(|run| run.1 != count) {
        return Err(OperatorError::unreadable(what, format!("{} rows instead of {count}", batch.num_rows())));
    }
    Ok((batch, pairs))
}

impl timely::Accountable for Rows {
    fn record_count(&self) -> i64 {
        self.count as i64
    }
}

impl ContainerBytes for Rows {
    fn from_bytes(bytes: timely::bytes::arc::Bytes) -> Self {
        let count = number(&bytes, 0).unwrap_or(0) as usize;
        Rows { count, payload: Payload::Wire(Bytes::copy_from_slice(&bytes)), ..Default::default() }
    }
    fn length_in_bytes(&self) -> usize {
        self.encoded().len()
    }
    fn into_bytes<W: std::io::Write>(&self, writer: &mut W) {
        // Timely gives a writer over exactly `length_in_bytes` of memory.
        let _ = writer.write_all(self.encoded());
    }
}

/// The source has decided already: a container is passed on whole.
pub struct Whole;

impl Distributor<Rows> for Whole {
    fn partition<T: Clone, P: Push<Message<T, Rows>>>(&mut self, rows: &mut Rows, stamp: &Stamp<T>, to: &mut [P]) {
        let target = rows.to;
        Message::push_at(rows, stamp.clone(), &mut to[target]);
    }
    fn flush<T: Clone, P: Push<Message<T, Rows>>>(&mut self, _: &Stamp<T>, _: &mut [P]) {}
}
