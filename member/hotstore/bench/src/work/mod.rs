//! What a process of its own measures: one save, one load, one stream of changes; one line of JSON is its answer.
//!
//! The law: a process loads once, as after a restart: no memory, no cache of an earlier run helps; what was loaded is
//! checked when the clock has stopped. Must not know: what it is compared with.

mod append;
mod floor;
mod overwrite;
mod process;

use crate::content::{self, Content};
use crate::table::Table;
use crate::{peers, subject};
use anyhow::{Result, bail};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::time::Instant;

/// The content and where it lies.
#[derive(Debug, Clone, clap::Args)]
pub struct Where {
    /// Directory.
    pub dir: PathBuf,
    /// Bytes of a value.
    pub value_bytes: usize,
    /// Records.
    pub records: u64,
}

impl Where {
    fn content(&self) -> Content {
        Content::new(self.value_bytes, self.records)
    }
}

/// One piece of work.
#[derive(Debug, Clone, clap::Subcommand)]
pub enum Work {
    /// Save the content.
    Save {
        /// `store`, `encrypted` or a peer.
        who: String,
        /// The content.
        #[command(flatten)]
        at: Where,
    },
    /// Load it into a table.
    Load {
        /// `store`, `encrypted`, `floor` or a peer.
        who: String,
        /// The content.
        #[command(flatten)]
        at: Where,
        /// Kind of the table.
        table: String,
    },
    /// Overwrite it for some multiples of its size.
    Overwrite {
        /// The content.
        #[command(flatten)]
        at: Where,
        /// `uniform` or `zipf`.
        law: String,
        /// Multiples that are measured, after one that is not.
        multiples: u64,
    },
    /// Append records one block at a time and look at the clock.
    Append {
        /// The content.
        #[command(flatten)]
        at: Where,
    },
}

/// Does it and tells what it took.
pub fn run(work: &Work) -> Result<Value> {
    match work {
        Work::Save { who, at } => save(who, at),
        Work::Load { who, at, table } => load(who, at, table),
        Work::Overwrite { at, law, multiples } => overwrite::run(&at.dir, &at.content(), law, *multiples),
        Work::Append { at } => append::run(&at.dir, &at.content()),
    }
}

fn save(who: &str, at: &Where) -> Result<Value> {
    let content = at.content();
    let (durable, all) = match who {
        "store" => subject::save(&at.dir, &content, false)?,
        "encrypted" => subject::save(&at.dir, &content, true)?,
        peer => peers::save(peer, &at.dir, &content).map(|took| (took, took))?,
    };
    Ok(json!({"durable": durable.as_secs_f64(), "seconds": all.as_secs_f64()}))
}

fn load(who: &str, at: &Where, kind: &str) -> Result<Value> {
    let before = process::memory()?;
    let begin = Instant::now();
    let (took, tables) = match who {
        "store" => subject::load(&at.dir, kind, false).map(|tables| (begin.elapsed(), tables))?,
        "encrypted" => subject::load(&at.dir, kind, true).map(|tables| (begin.elapsed(), tables))?,
        "floor" => floor::load(&at.content(), kind)?,
        peer => peers::load(peer, &at.dir, &at.content(), kind)?,
    };
    let after = process::memory()?;
    if who != "redis" {
        check(&tables, &at.content())?;
    }
    Ok(json!({
        "seconds": took.as_secs_f64(),
        "rss_before": before.rss,
        "rss_after": after.rss,
        "rss_peak": after.peak,
    }))
}

fn check(tables: &[Box<dyn Table>], content: &Content) -> Result<()> {
    let entries: u64 = tables.iter().map(|table| table.entries()).sum();
    if entries != content.records {
        bail!("{entries} of {} records were loaded", content.records);
    }
    for n in (0..content.records).step_by((content.records / 1000).max(1) as usize) {
        let found = tables.iter().find_map(|table| table.get(content::partition(n), &content::key(n)));
        if found != Some(&content.value(n, 0)[..]) {
            bail!("record {n} was loaded with another value");
        }
    }
    Ok(())
}
