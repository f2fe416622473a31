//! Saving: from the first append until all is durable, and until it is sealed.

use super::rates::Rates;
use crate::child::{self, Size};
use crate::fio::{GRID, Setting};
use crate::room::{self, Room};
use crate::run::Run;
use crate::{subject, twin};
use anyhow::Result;

/// Small files (identity, boot, seal) are not part of the pattern.
const SMALL: u64 = 64 << 10;

/// Lengths of the files that the store makes of such content.
fn shape(room: &mut Room, size: Size) -> Result<Vec<u64>> {
    let dir = room.fresh("shape")?;
    child::save("store", dir.path(), size)?;
    let files = room::files_below(dir.path())?;
    Ok(files.into_iter().map(|(_, length)| length).filter(|length| *length > SMALL).collect())
}

/// The best of the grid now.
pub(super) fn best_of_grid(room: &mut Room, bytes: u64) -> Result<Setting> {
    let mut best = (0.0, GRID[0]);
    for setting in GRID {
        let dir = room.fresh("grid")?;
        let rate = setting.write(dir.path(), bytes)?;
        if rate > best.0 {
            best = (rate, setting);
        }
    }
    Ok(best.1)
}

fn round(run: &mut Run, size: Size, lengths: &[u64], fio: Setting, rates: &mut Rates) -> Result<()> {
    let payload = size.payload() as f64;
    let dir = run.room.fresh("store")?;
    let (durable, sealed) = child::save("store", dir.path(), size)?;
    drop(dir);
    rates.note("durable", payload / durable);
    rates.note("sealed", payload / sealed);
    rates.note("the seal alone", payload / (sealed - durable));
    let bytes = lengths.iter().sum::<u64>();
    let dir = run.room.fresh("twin")?;
    let written = twin::write(dir.path(), lengths, &run.plan.twin, subject::sync_bytes())?.as_secs_f64();
    let read = twin::read(dir.path(), &run.plan.twin)?.as_secs_f64();
    drop(dir);
    rates.note("twin", bytes as f64 / written);
    rates.note("twin, read back", bytes as f64 / (written + read));
    let dir = run.room.fresh("fio")?;
    rates.note("fio", fio.write(dir.path(), bytes)?);
    drop(dir);
    for peer in run.plan.peers.clone() {
        let dir = run.room.fresh(&peer)?;
        rates.note(&peer, payload / child::save(&peer, dir.path(), size)?.1);
    }
    Ok(())
}

pub(super) fn run(run: &mut Run, size: Size) -> Result<()> {
    let label = size.label();
    let lengths = shape(&mut run.room, size)?;
    let fio = best_of_grid(&mut run.room, lengths.iter().sum())?;
    let mut rates = Rates::new(format!("save.{label}"));
    for _ in 0..run.plan.pairs {
        round(run, size, &lengths, fio, &mut rates)?;
    }
    rates.tell(run)?;
    for peer in run.plan.peers.clone() {
        rates.ratio(run, "sealed", &peer)?;
    }
    rates.ratio(run, "sealed", "twin, read back")?;
    let words = format!("{} MiB, {} pairs, fio {}", size.payload() >> 20, run.plan.pairs, fio.told());
    for (ours, id) in [("durable", "durable"), ("sealed", "save")] {
        let share = rates.of_the_limit(run, ours)?;
        let words = format!("{words}, {}", share.told());
        run.figure(&format!("store.{id}.{label}"), share.median, "of the limit", &words)?;
    }
    Ok(())
}
