//! Other stores, each with the settings that its own documents give for the purpose.
//!
//! The law: each gets the same records in the order that suits it best, as many threads as there are cores, and the sync at
//! the end is counted; what it is allowed to leave out is said in its settings. Must not know: our store.

mod fjall;
mod redb;
mod redis;
mod rocksdb;

use crate::conditions::cores;
use crate::content::{self, Content};
use crate::table::{self, Table};
use anyhow::{Result, bail};
use std::ops::Range;
use std::path::Path;
use std::time::{Duration, Instant};

/// Names, and the settings in words.
pub const ALL: [(&str, &str); 4] =
    [("redb", redb::SETTINGS), ("fjall", fjall::SETTINGS), ("rocksdb", rocksdb::SETTINGS), ("redis", redis::SETTINGS)];

/// Saves until durable.
pub fn save(name: &str, dir: &Path, content: &Content) -> Result<Duration> {
    match name {
        "redb" => redb::save(dir, content),
        "fjall" => fjall::save(dir, content),
        "rocksdb" => rocksdb::save(dir, content),
        "redis" => redis::save(dir, content),
        _ => bail!("no peer is called {name}"),
    }
}

/// Loads everything; the tables of those that are libraries.
pub fn load(name: &str, dir: &Path, content: &Content, kind: &str) -> Result<(Duration, Vec<Box<dyn Table>>)> {
    let begin = Instant::now();
    let tables = match name {
        "redb" => redb::load(dir, content.records, kind)?,
        "fjall" => fjall::load(dir, content.records, kind)?,
        "rocksdb" => rocksdb::load(dir, content.records, kind)?,
        "redis" => return Ok((redis::load(dir, content)?, Vec::new())),
        _ => bail!("no peer is called {name}"),
    };
    Ok((begin.elapsed(), tables))
}

/// Reads a range of the keys into a table.
type Reading<'a> = dyn Fn(Range<u64>, &mut dyn Table) -> Result<()> + Sync + 'a;

/// Gives each core a range of the keys and a table of its own.
fn by_ranges(records: u64, kind: &str, read: &Reading<'_>) -> Result<Vec<Box<dyn Table>>> {
    let lanes = cores() as u64;
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..lanes)
            .map(|lane| {
                scope.spawn(move || {
                    let mut table = table::named(kind)?;
                    read(records * lane / lanes..records * (lane + 1) / lanes, table.as_mut())?;
                    Ok(table)
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().map_err(|_| anyhow::anyhow!("a reader ended"))?).collect()
    })
}

fn put(table: &mut dyn Table, key: &[u8], value: &[u8]) {
    table.put(content::partition(content::number(key).unwrap_or(0)), key, value);
}
