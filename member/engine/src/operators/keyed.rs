//! The keyed vertex: state in shards by partition, exported and imported shard by shard.
//!
//! Law: an export is exactly what was applied before it; a shard that nobody touched since the last
//! export is given again without work. What changed since the last export is the sink's delta.
//! Must not know which member owns what: it is told the partitions that it holds.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use arrow::array::{BooleanArray, RecordBatch};
use arrow::compute::filter_record_batch;
use bytes::Bytes;

use super::aggregate::{AggregateSpec, Live, results};
use super::entry::{Entry, SinkDelta, delta_of_distinct, entries};
use super::part::{decode_batch, encode_batch};
use super::program::{Keyed, Program};
use super::{OperatorError, step};

/// State of an untouched shard, and its encoding once somebody needed it.
#[derive(Debug, Clone)]
pub struct Frozen {
    batch: RecordBatch,
    encoded: Arc<OnceLock<Bytes>>,
}

impl Frozen {
    fn new(batch: RecordBatch) -> Self {
        Frozen { batch, encoded: Arc::new(OnceLock::new()) }
    }
}

enum Shard {
    Live(Live),
    Frozen(Frozen),
    Pending(Vec<RecordBatch>),
}

/// What one shard gives to a snapshot. Cheap to make; encoding is done by whoever holds it.
#[derive(Debug, Clone)]
pub struct ShardExport {
    /// Partition.
    pub partition: u32,
    state: Option<Frozen>,
    changed: Vec<RecordBatch>,
}

impl ShardExport {
    /// Groups in the shard.
    pub fn groups(&self) -> u64 {
        self.state.as_ref().map_or(0, |state| state.batch.num_rows() as u64)
    }

    /// Bytes of the state part.
    pub fn encode_state(&self) -> Result<Bytes, OperatorError> {
        let Some(frozen) = &self.state else { return encode_batch(None) };
        if let Some(bytes) = frozen.encoded.get() {
            return Ok(bytes.clone());
        }
        let bytes = encode_batch(Some(&frozen.batch))?;
        Ok(frozen.encoded.get_or_init(|| bytes).clone())
    }

    /// Sink part of this shard with the number of its entries; none means nothing changed.
    pub fn encode_delta(&self, program: &Program) -> Result<Option<(Bytes, u64)>, OperatorError> {
        match &program.keyed {
            Keyed::Aggregate(spec) => {
                let Some(changed) = self.changed.first().filter(|changed| changed.num_rows() > 0) else {
                    return Ok(None);
                };
                let rows = step::run(&program.after, results(spec, changed)?)?;
                Ok(Some((delta_of_distinct(&program.sink, &rows)?, rows.num_rows() as u64)))
            }
            Keyed::Upsert => self.last_of_each(program),
        }
    }

    /// Of several rows of a key the last; keys in the order of their bytes.
    fn last_of_each(&self, program: &Program) -> Result<Option<(Bytes, u64)>, OperatorError> {
        let mut rows: BTreeMap<Vec<u8>, Vec<u8>> = BTreeMap::new();
        for batch in &self.changed {
            for Entry { key, value } in entries(&program.sink, &step::run(&program.after, batch.clone())?)? {
                rows.insert(key, value);
            }
        }
        if rows.is_empty() {
            return Ok(None);
        }
        let count = rows.len() as u64;
        let entries = rows.into_iter().map(|(key, value)| Entry { key, value }).collect();
        Ok(Some((SinkDelta { map: program.sink.map.clone(), entries }.encode(), count)))
    }
}

/// Shards of the partitions that a worker owns.
pub struct KeyedState {
    program: Arc<Program>,
    shards: BTreeMap<u32, Option<Shard>>,
    rows: u64,
}

impl KeyedState {
    /// Empty shards for `partitions`.
    pub fn new(program: Arc<Program>, partitions: impl IntoIterator<Item = u32>) -> Self {
        KeyedState { program, shards: partitions.into_iter().map(|p| (p, None)).collect(), rows: 0 }
    }

    /// Partitions held here.
    pub fn partitions(&self) -> impl Iterator<Item = u32> + '_ {
        self.shards.keys().copied()
    }

    /// Rows applied since the start.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Applies rows of one partition.
    pub fn on_batch(&mut self, partition: u32, batch: RecordBatch) -> Result<(), OperatorError> {
        let slot = self.shards.get_mut(&partition).ok_or(OperatorError::NotOwned { partition })?;
        self.rows += batch.num_rows() as u64;
        match &self.program.keyed {
            Keyed::Upsert => match slot {
                Some(Shard::Pending(batches)) => batches.push(batch),
                _ => *slot = Some(Shard::Pending(vec![batch])),
            },
            Keyed::Aggregate(spec) => {
                let live = match slot.take() {
                    Some(Shard::Live(live)) => live,
                    Some(Shard::Frozen(frozen)) => Live::thaw(spec, &frozen.batch)?,
                    Some(Shard::Pending(_)) | None => Live::empty(spec)?,
                };
                let Shard::Live(live) = slot.insert(Shard::Live(live)) else { return Ok(()) };
                live.update(spec, batch.columns(), batch.num_rows())?;
            }
        }
        Ok(())
    }

    /// What the shard holds now, and what changed since the last export of it.
    pub fn export(&mut self, partition: u32) -> Result<ShardExport, OperatorError> {
        let slot = self.shards.get_mut(&partition).ok_or(OperatorError::NotOwned { partition })?;
        let mut export = ShardExport { partition, state: None, changed: Vec::new() };
        match slot.take() {
            None => {}
            Some(Shard::Pending(batches)) => export.changed = batches,
            Some(Shard::Frozen(frozen)) => {
                export.state = Some(frozen.clone());
                *slot = Some(Shard::Frozen(frozen));
            }
            Some(Shard::Live(live)) => {
                let Keyed::Aggregate(spec) = &self.program.keyed else { return Ok(export) };
                let (batch, changed) = live.freeze(spec)?;
                export.changed = vec![changed_rows(&batch, changed)?];
                let frozen = Frozen::new(batch);
                export.state = Some(frozen.clone());
                *slot = Some(Shard::Frozen(frozen));
            }
        }
        Ok(export)
    }

    /// Takes the state of a shard from a snapshot.
    pub fn import(&mut self, partition: u32, bytes: &Bytes) -> Result<u64, OperatorError> {
        let slot = self.shards.get_mut(&partition).ok_or(OperatorError::NotOwned { partition })?;
        let what = || format!("state of partition {partition}");
        let Some(batch) = decode_batch(bytes, &what())? else { return Ok(0) };
        let Keyed::Aggregate(spec) = &self.program.keyed else {
            return Err(OperatorError::unreadable(what(), "the job keeps no state, the snapshot has some"));
        };
        check_schema(spec, &batch).map_err(|reason| OperatorError::unreadable(what(), reason))?;
        let groups = batch.num_rows() as u64;
        let batch = RecordBatch::try_new(spec.state.clone(), batch.columns().to_vec())
            .map_err(|error| OperatorError::unreadable(what(), error))?;
        let frozen = Frozen::new(batch);
        let _ = frozen.encoded.set(bytes.clone());
        *slot = Some(Shard::Frozen(frozen));
        Ok(groups)
    }
}

fn changed_rows(batch: &RecordBatch, changed: Vec<bool>) -> Result<RecordBatch, OperatorError> {
    if changed.iter().all(|changed| *changed) {
        return Ok(batch.clone());
    }
    filter_record_batch(batch, &BooleanArray::from(changed)).map_err(|error| OperatorError::compute("delta", error))
}

fn check_schema(spec: &AggregateSpec, batch: &RecordBatch) -> Result<(), String> {
    let same = spec.state.fields().len() == batch.num_columns()
        && spec.state.fields().iter().zip(batch.schema_ref().fields()).all(|(a, b)| a.data_type() == b.data_type());
    if same {
        Ok(())
    } else {
        Err(format!("the snapshot has columns {:?}, the job needs {:?}", batch.schema_ref(), spec.state))
    }
}
