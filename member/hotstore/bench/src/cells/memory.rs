//! RAM that a load takes, against what the content may cost.

use crate::child::{self, Size, number};
use crate::room;
use crate::run::Run;
use anyhow::Result;

/// Bytes that an entry may cost besides its own, and what may come on top of all.
const ENTRY_BYTES: f64 = 64.0;
const MARGIN: f64 = 1.05;

/// What a load of such content may take.
fn allowed(size: Size) -> f64 {
    (size.payload() as f64 + ENTRY_BYTES * size.records as f64) * MARGIN
}

pub(super) fn run(run: &mut Run, size: Size) -> Result<()> {
    let dir = run.room.fresh("memory")?;
    child::save("store", dir.path(), size)?;
    let (mut peaks, mut ends) = (Vec::new(), Vec::new());
    for _ in 0..run.plan.pairs.min(3) {
        room::drop_cache(dir.path())?;
        let answer = child::load("store", dir.path(), size, &run.plan.table)?;
        let before = number(&answer, "rss_before")?;
        peaks.push((number(&answer, "rss_peak")? - before) / allowed(size));
        ends.push((number(&answer, "rss_after")? - before) / allowed(size));
    }
    let cell = format!("memory.{}", size.label());
    let peak = run.measured(&cell, "growth at most / allowed", "", &peaks)?;
    let end = run.measured(&cell, "growth at the end / allowed", "", &ends)?;
    let words = format!("{} MiB, table {}, at the end {}", size.payload() >> 20, run.plan.table, end.told());
    run.figure(&format!("store.{cell}"), peak.median, "of what is allowed", &words)
}
