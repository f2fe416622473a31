//! Loading: from opening until the last record is verified and in the table.

use super::rates::Rates;
use super::save::best_of_grid;
use crate::child::{self, Size, number};
use crate::conditions::cores;
use crate::fio::Setting;
use crate::room::{self, Fresh};
use crate::run::Run;
use crate::spread::Spread;
use crate::twin;
use anyhow::Result;

/// What everybody loads from.
struct Saved {
    store: Fresh,
    fio: (Fresh, Setting, u64),
    peers: Vec<(String, Fresh)>,
}

fn prepare(run: &mut Run, size: Size) -> Result<Saved> {
    let store = run.room.fresh("store")?;
    child::save("store", store.path(), size)?;
    let bytes = room::files_below(store.path())?.iter().map(|(_, length)| length).sum();
    let setting = best_of_grid(&mut run.room, bytes)?;
    let fio = run.room.fresh("fio")?;
    setting.write(fio.path(), bytes)?;
    let mut peers = Vec::new();
    for peer in run.plan.peers.clone() {
        let dir = run.room.fresh(&peer)?;
        child::save(&peer, dir.path(), size)?;
        peers.push((peer, dir));
    }
    let saved = Saved { store, fio: (fio, setting, bytes), peers };
    best_reads(run, saved)
}

/// Of the block sizes, the one that reads these files faster.
fn best_reads(run: &mut Run, mut saved: Saved) -> Result<Saved> {
    let (dir, written, bytes) = &saved.fio;
    let mut best = (0.0, *written);
    for block_mib in [1, 4] {
        let setting = Setting { block_mib, ..*written };
        room::drop_cache(dir.path())?;
        let rate = setting.read(dir.path(), *bytes)?;
        if rate > best.0 {
            best = (rate, setting);
        }
    }
    saved.fio.1 = best.1;
    let words = serde_json::json!({"cell": "load", "fio_read": best.1.told()});
    run.line(&words)?;
    Ok(saved)
}

fn round(run: &Run, size: Size, saved: &Saved, rates: &mut Rates) -> Result<()> {
    let (payload, table) = (size.payload() as f64, run.plan.table.as_str());
    let (dir, setting, bytes) = &saved.fio;
    room::drop_cache(saved.store.path())?;
    rates.note("store", payload / number(&child::load("store", saved.store.path(), size, table)?, "seconds")?);
    room::drop_cache(saved.store.path())?;
    rates.note("twin", *bytes as f64 / twin::read(saved.store.path(), &run.plan.twin)?.as_secs_f64());
    room::drop_cache(dir.path())?;
    rates.note("fio", setting.read(dir.path(), *bytes)?);
    rates.note("floor", payload / number(&child::load("floor", saved.store.path(), size, table)?, "seconds")?);
    for (peer, dir) in &saved.peers {
        room::drop_cache(dir.path())?;
        rates.note(peer, payload / number(&child::load(peer, dir.path(), size, table)?, "seconds")?);
    }
    Ok(())
}

pub(super) fn run(run: &mut Run, size: Size) -> Result<()> {
    let label = size.label();
    let saved = prepare(run, size)?;
    let mut rates = Rates::new(format!("load.{label}"));
    for _ in 0..run.plan.pairs {
        round(run, size, &saved, &mut rates)?;
    }
    rates.tell(run)?;
    for peer in run.plan.peers.clone() {
        rates.ratio(run, "store", &peer)?;
    }
    let words = format!("{} MiB, {} pairs, table {}", size.payload() >> 20, run.plan.pairs, run.plan.table);
    let share = rates.of_the_limit(run, "store")?;
    let told = format!("{words}, fio {}, {}", saved.fio.1.told(), share.told());
    run.figure(&format!("store.load.{label}"), share.median, "of the limit", &told)?;
    let floor = rates.ratio(run, "store", "floor")?;
    let told = format!("{words}, {}", floor.told());
    run.figure(&format!("store.load.{label}.floor"), floor.median, "of the floor", &told)?;
    let each = size.records as f64 / size.payload() as f64 / cores() as f64 / 1e6;
    let records: Vec<f64> = rates.of("store").iter().map(|rate| rate * each).collect();
    run.measured(&format!("load.{label}"), "store, records", "M/s per core", &records)?;
    let told = format!("{words}, {}", Spread::of(&records).told());
    run.figure(&format!("store.load.{label}.rate"), Spread::of(&records).median, "M/s per core", &told)
}
