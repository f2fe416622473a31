//! fjall: a log-structured merge tree.

use super::{by_ranges, put};
use crate::conditions::cores;
use crate::content::{Content, key};
use crate::table::Table;
use anyhow::Result;
use fjall::config::{CompressionPolicy, FilterPolicy};
use fjall::{Database, Keyspace, KeyspaceCreateOptions, PersistMode};
use std::path::Path;
use std::time::{Duration, Instant};

pub(super) const SETTINGS: &str = "bulk ingestion of rising keys (it syncs each table), no compression, no filters, then \
    persist all; load: open and one range a core, block checksums verified";

fn open(dir: &Path) -> Result<(Database, Keyspace)> {
    let base = Database::builder(dir.join("fjall")).worker_threads(cores().max(2)).open()?;
    let space = base.keyspace("content", || {
        KeyspaceCreateOptions::default()
            .data_block_compression_policy(CompressionPolicy::disabled())
            .filter_policy(FilterPolicy::disabled())
    })?;
    Ok((base, space))
}

pub(super) fn save(dir: &Path, content: &Content) -> Result<Duration> {
    let (base, space) = open(dir)?;
    let begin = Instant::now();
    let mut ingestion = space.start_ingestion()?;
    for n in 0..content.records {
        ingestion.write(&key(n)[..], &content.value(n, 0)[..])?;
    }
    ingestion.finish()?;
    base.persist(PersistMode::SyncAll)?;
    Ok(begin.elapsed())
}

pub(super) fn load(dir: &Path, records: u64, kind: &str) -> Result<Vec<Box<dyn Table>>> {
    let (_base, space) = open(dir)?;
    by_ranges(records, kind, &|range, into| {
        for guard in space.range(key(range.start)..key(range.end)) {
            let (key, value) = guard.into_inner()?;
            put(into, &key, &value);
        }
        Ok(())
    })
}
