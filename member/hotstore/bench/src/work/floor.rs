//! The least that a load can take of the processor: the same insertions from RAM, on every core, without a store.

use crate::conditions::cores;
use crate::content::{self, Content, KEY_BYTES};
use crate::table::{self, Table};
use anyhow::Result;
use std::time::{Duration, Instant};

/// The records of a lane's partitions, one behind the other.
fn source(content: &Content, lane: usize, lanes: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    for n in (0..content.records).filter(|n| usize::from(content::partition(*n)) % lanes == lane) {
        bytes.extend_from_slice(&content::key(n));
        bytes.extend_from_slice(&content.value(n, 0));
    }
    bytes
}

/// Time from the first insertion to the last one; every lane has its records before.
pub(super) fn load(content: &Content, kind: &str) -> Result<(Duration, Vec<Box<dyn Table>>)> {
    let lanes = cores();
    let sources: Vec<Vec<u8>> = (0..lanes).map(|lane| source(content, lane, lanes)).collect();
    let size = KEY_BYTES + content.value_bytes;
    let begin = Instant::now();
    let tables: Result<Vec<_>> = std::thread::scope(|scope| {
        let insert = |source: &Vec<u8>| -> Result<Box<dyn Table>> {
            let mut table = table::named(kind)?;
            for record in source.chunks_exact(size) {
                let (key, value) = record.split_at(KEY_BYTES);
                table.put(content::partition(content::number(key).unwrap_or(0)), key, value);
            }
            Ok(table)
        };
        let threads: Vec<_> = sources.iter().map(|source| scope.spawn(move || insert(source))).collect();
        threads.into_iter().map(|thread| thread.join().map_err(|_| anyhow::anyhow!("a lane ended"))?).collect()
    });
    Ok((begin.elapsed(), tables?))
}
