//! Rows to partitions to workers: one counting sort and one `take` per column and batch.
//!
//! The partition is the cluster's own function of the key bytes, so that a shard of a job and the
//! partition of the map that it writes lie on the same member. Must not know who the members are.

use std::sync::Arc;

use arrow::array::{RecordBatch, UInt32Array};
use arrow::compute::take_record_batch;

use super::OperatorError;
use super::entry::JsonRows;

/// The cluster's hash: key bytes to partition.
pub type PartitionOf = Arc<dyn Fn(&[u8]) -> u32 + Send + Sync>;

/// Rows for one worker, sorted by partition.
#[derive(Debug, Clone)]
pub struct Routed {
    /// Worker index in the generation.
    pub worker: usize,
    /// The rows.
    pub batch: RecordBatch,
    /// (partition, end of its rows).
    pub runs: Vec<(u32, u32)>,
}

/// Who gets which partition.
pub struct Router {
    partition_of: PartitionOf,
    /// Worker of a partition.
    worker_of: Vec<usize>,
    /// Partitions in order of (worker, partition).
    order: Vec<u32>,
    /// Place of a partition in `order`.
    rank: Vec<u32>,
}

impl Router {
    /// `worker_of[p]` is the worker that owns partition p.
    pub fn new(partition_of: PartitionOf, worker_of: Vec<usize>) -> Self {
        let mut order: Vec<u32> = (0..worker_of.len() as u32).collect();
        order.sort_by_key(|p| (worker_of[*p as usize], *p));
        let mut rank = vec![0; worker_of.len()];
        for (at, partition) in order.iter().enumerate() {
            rank[*partition as usize] = at as u32;
        }
        Router { partition_of, worker_of, order, rank }
    }

    /// Splits a batch; `by` are the key columns.
    pub fn route(&self, batch: &RecordBatch, by: &[usize]) -> Result<Vec<Routed>, OperatorError> {
        let rows = batch.num_rows();
        if rows == 0 {
            return Ok(Vec::new());
        }
        let keys: Vec<_> = by.iter().map(|index| batch.column(*index).clone()).collect();
        let json = JsonRows::new(&keys)?;
        let (mut ranks, mut counts) = (Vec::with_capacity(rows), vec![0u32; self.order.len() + 1]);
        let mut key = Vec::with_capacity(64);
        for row in 0..rows {
            key.clear();
            json.key(row, &mut key);
            let partition = (self.partition_of)(&key) as usize;
            let rank = *self.rank.get(partition).ok_or_else(|| {
                OperatorError::compute("routing", format!("the hash gave partition {partition} of {}", self.rank.len()))
            })?;
            ranks.push(rank);
            counts[rank as usize + 1] += 1;
        }
        for at in 1..counts.len() {
            counts[at] += counts[at - 1];
        }
        let ends = counts[1..].to_vec();
        let mut indices = vec![0u32; rows];
        for (row, rank) in ranks.iter().enumerate() {
            let place = &mut counts[*rank as usize];
            indices[*place as usize] = row as u32;
            *place += 1;
        }
        let sorted = take_record_batch(batch, &UInt32Array::from(indices))
            .map_err(|error| OperatorError::compute("routing", error))?;
        Ok(self.cut(&sorted, &ends))
    }

    fn cut(&self, sorted: &RecordBatch, ends: &[u32]) -> Vec<Routed> {
        let mut routed = Vec::new();
        let (mut start, mut at) = (0u32, 0usize);
        while at < self.order.len() {
            let worker = self.worker_of[self.order[at] as usize];
            let offset = start;
            let mut runs = Vec::new();
            while at < self.order.len() && self.worker_of[self.order[at] as usize] == worker {
                if ends[at] > start {
                    runs.push((self.order[at], ends[at] - offset));
                    start = ends[at];
                }
                at += 1;
            }
            if start > offset {
                routed.push(Routed { worker, batch: sorted.slice(offset as usize, (start - offset) as usize), runs });
            }
        }
        routed
    }
}
