//! redb: a copy-on-write tree in one file.

use super::{by_ranges, put};
use crate::content::{Content, key};
use crate::table::Table;
use anyhow::Result;
use redb::{Database, Durability, ReadableDatabase, TableDefinition};
use std::path::Path;
use std::time::{Duration, Instant};

pub(super) const SETTINGS: &str = "cache 1 GiB, transactions of 100000 rising keys without durability, the last one \
    with it; load: open and one range a core (pages are not verified)";
const TABLE: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("content");
const BATCH: u64 = 100_000;

fn open(dir: &Path) -> Result<Database> {
    Ok(Database::builder().set_cache_size(1 << 30).create(dir.join("content.redb"))?)
}

pub(super) fn save(dir: &Path, content: &Content) -> Result<Duration> {
    let base = open(dir)?;
    let begin = Instant::now();
    let mut from = 0;
    while from < content.records {
        let upto = (from + BATCH).min(content.records);
        let mut writing = base.begin_write()?;
        writing.set_durability(if upto == content.records { Durability::Immediate } else { Durability::None })?;
        {
            let mut table = writing.open_table(TABLE)?;
            for n in from..upto {
                table.insert(&key(n)[..], &content.value(n, 0)[..])?;
            }
        }
        writing.commit()?;
        from = upto;
    }
    Ok(begin.elapsed())
}

pub(super) fn load(dir: &Path, records: u64, kind: &str) -> Result<Vec<Box<dyn Table>>> {
    let base = open(dir)?;
    by_ranges(records, kind, &|range, into| {
        let table = base.begin_read()?.open_table(TABLE)?;
        for entry in table.range(&key(range.start)[..]..&key(range.end)[..])? {
            let (key, value) = entry?;
            put(into, key.value(), value.value());
        }
        Ok(())
    })
}
