//! The cells: what is put side by side with what.
//!
//! The law: A B A B, in the same minutes, on the same volume; a ratio is the median of ratios of pairs, and what is worse for
//! us counts. Must not know: how anybody saves or loads.

mod append;
mod encryption;
mod grow;
mod load;
mod memory;
mod overwrite;
mod rates;
mod save;

use crate::child::Size;
use crate::run::Run;
use anyhow::{Result, bail};

/// All cells that were asked for, in order.
pub fn run(run: &mut Run) -> Result<()> {
    let sizes = [Size::of(1024, run.plan.mib_1k << 20), Size::of(100, run.plan.mib_100b << 20)];
    for cell in run.plan.cells.clone() {
        match cell.as_str() {
            "save" => sizes.iter().try_for_each(|size| save::run(run, *size))?,
            "load" => sizes.iter().try_for_each(|size| load::run(run, *size))?,
            "memory" => sizes.iter().try_for_each(|size| memory::run(run, *size))?,
            "overwrite" => ["uniform", "zipf"].iter().try_for_each(|law| overwrite::run(run, law))?,
            "append" => append::run(run)?,
            "encryption" => encryption::run(run, sizes[0])?,
            "grow" => {}
            other => bail!("no cell is called {other}"),
        }
    }
    grow::run(run)
}
