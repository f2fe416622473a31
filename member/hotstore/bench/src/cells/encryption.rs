//! Encryption at rest: the same content, in the clear and encrypted, one after the other.

use super::rates::Rates;
use crate::child::{self, Size, number};
use crate::room;
use crate::run::Run;
use anyhow::Result;

const BOTH: [&str; 2] = ["store", "encrypted"];

fn round(run: &mut Run, size: Size, save: &mut Rates, load: &mut Rates) -> Result<()> {
    for who in BOTH {
        let dir = run.room.fresh(who)?;
        save.note(who, size.payload() as f64 / child::save(who, dir.path(), size)?.1);
        room::drop_cache(dir.path())?;
        let answer = child::load(who, dir.path(), size, &run.plan.table)?;
        load.note(who, size.payload() as f64 / number(&answer, "seconds")?);
    }
    Ok(())
}

pub(super) fn run(run: &mut Run, size: Size) -> Result<()> {
    let label = size.label();
    let (mut save, mut load) =
        (Rates::new(format!("encryption.save.{label}")), Rates::new(format!("encryption.load.{label}")));
    for _ in 0..run.plan.pairs {
        round(run, size, &mut save, &mut load)?;
    }
    for (what, rates) in [("save", &save), ("load", &load)] {
        rates.tell(run)?;
        let share = rates.ratio(run, "encrypted", "store")?;
        let words = format!("{} MiB, {} pairs, {}", size.payload() >> 20, run.plan.pairs, share.told());
        run.figure(&format!("store.encryption.{what}.{label}"), share.median, "of plain", &words)?;
    }
    Ok(())
}
