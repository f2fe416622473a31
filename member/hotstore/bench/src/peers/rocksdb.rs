//! RocksDB: the library of the system, by the bindings of its C interface.

use super::{by_ranges, put};
use crate::conditions::cores;
use crate::content::{Content, key};
use crate::table::Table;
use anyhow::Result;
use rocksdb::{DB, DBCompressionType, Direction, IteratorMode, Options, ReadOptions, WriteBatch, WriteOptions};
use std::path::Path;
use std::time::{Duration, Instant};

pub(super) const SETTINGS: &str = "bulk load: no WAL, batches of 1000 rising keys, memtables of 64 MiB ×6, direct flushes, \
    no compression, no compaction, flush at the end (it syncs each table and the manifest); load: open and one range a core, \
    read ahead 4 MiB, block checksums verified";
const BATCH: u64 = 1000;

fn open(dir: &Path) -> Result<DB> {
    let mut options = Options::default();
    options.create_if_missing(true);
    options.increase_parallelism(cores() as i32);
    options.set_compression_type(DBCompressionType::None);
    options.set_write_buffer_size(64 << 20);
    options.set_max_write_buffer_number(6);
    options.set_disable_auto_compactions(true);
    options.set_use_direct_io_for_flush_and_compaction(true);
    options.set_level_zero_slowdown_writes_trigger(1 << 30);
    options.set_level_zero_stop_writes_trigger(1 << 30);
    Ok(DB::open(&options, dir.join("rocksdb"))?)
}

pub(super) fn save(dir: &Path, content: &Content) -> Result<Duration> {
    let base = open(dir)?;
    let mut writes = WriteOptions::default();
    writes.disable_wal(true);
    let begin = Instant::now();
    let mut from = 0;
    while from < content.records {
        let upto = (from + BATCH).min(content.records);
        let mut batch = WriteBatch::default();
        for n in from..upto {
            batch.put(key(n), content.value(n, 0));
        }
        base.write_opt(batch, &writes)?;
        from = upto;
    }
    base.flush()?;
    Ok(begin.elapsed())
}

pub(super) fn load(dir: &Path, records: u64, kind: &str) -> Result<Vec<Box<dyn Table>>> {
    let base = open(dir)?;
    by_ranges(records, kind, &|range, into| {
        let mut reads = ReadOptions::default();
        reads.set_readahead_size(4 << 20);
        reads.set_verify_checksums(true);
        reads.fill_cache(false);
        reads.set_iterate_upper_bound(key(range.end));
        for entry in base.iterator_opt(IteratorMode::From(&key(range.start), Direction::Forward), reads) {
            let (key, value) = entry?;
            put(into, &key, &value);
        }
        Ok(())
    })
}
