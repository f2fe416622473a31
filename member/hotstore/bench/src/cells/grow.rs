//! Growth: twice the content takes twice the time and twice the RAM.

use crate::child::{self, Size, number};
use crate::room;
use crate::run::Run;
use crate::spread::{Spread, slope};
use anyhow::Result;

/// Repetitions of a step; the step counts with their median.
const REPEATS: usize = 3;

/// Seconds to save and to load, and bytes of RAM.
fn step(run: &mut Run, mib: u64) -> Result<(f64, [f64; 3])> {
    let size = Size::of(1024, mib << 20);
    let mut all = [Vec::new(), Vec::new(), Vec::new()];
    for _ in 0..REPEATS {
        let dir = run.room.fresh("grow")?;
        all[0].push(child::save("store", dir.path(), size)?.1);
        room::drop_cache(dir.path())?;
        let answer = child::load("store", dir.path(), size, &run.plan.table)?;
        all[1].push(number(&answer, "seconds")?);
        all[2].push((number(&answer, "rss_peak")? - number(&answer, "rss_before")?) / f64::from(1 << 20));
    }
    for ((what, unit), numbers) in [("save", "s"), ("load", "s"), ("memory", "MiB")].iter().zip(&all) {
        run.measured("grow", &format!("{what} of {mib} MiB"), unit, numbers)?;
    }
    Ok((size.payload() as f64, all.map(|numbers| Spread::of(&numbers).median)))
}

pub(super) fn run(run: &mut Run) -> Result<()> {
    let steps = run.plan.steps();
    let mut points = Vec::new();
    for mib in &steps {
        points.push(step(run, *mib)?);
    }
    let (Some(first), Some(last)) = (steps.first(), steps.last()) else { return Ok(()) };
    if points.len() < 2 {
        return Ok(());
    }
    for (index, what) in ["save", "load", "memory"].iter().enumerate() {
        let line: Vec<(f64, f64)> = points.iter().map(|(bytes, of)| (*bytes, of[index])).collect();
        let words = format!("{first} to {last} MiB, values of 1 KiB, median of {REPEATS} a step");
        run.figure(&format!("store.growth.{what}"), slope(&line), "log-log slope", &words)?;
    }
    Ok(())
}
