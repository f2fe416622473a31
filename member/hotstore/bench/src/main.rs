//! `bench-store`: what the hot-restart store costs beyond the disk, and beside other stores.
//!
//! The law: figures come from one run, side by side, with their conditions; the losing ones are told too.
//! Must not know: bars; they are judged elsewhere.
//!
//! Contents: [`subject`] the store · [`peers`] others · [`twin`], [`fio`] limits · [`content`], [`table`] what is saved and
//! loaded · [`work`] one measurement in a process of its own, [`child`] asking for it · [`cells`] what is compared ·
//! [`room`], [`conditions`], [`run`], [`spread`] place, surroundings, record, arithmetic.

mod cells;
mod child;
mod conditions;
mod content;
mod fio;
mod peers;
mod room;
mod run;
mod spread;
mod subject;
mod table;
mod twin;
mod work;

use anyhow::Result;
use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(about = "Benchmark of the hot-restart store: save, load, memory, overwriting, appends, growth, peers")]
struct Words {
    #[command(subcommand)]
    work: Option<Inner>,
    #[command(flatten)]
    plan: run::Plan,
}

#[derive(Subcommand)]
enum Inner {
    /// One measurement, for a run that asks for it
    #[command(hide = true, subcommand)]
    Work(work::Work),
}

fn main() -> Result<()> {
    let words = Words::parse();
    match words.work {
        Some(Inner::Work(work)) => println!("{}", work::run(&work)?),
        None => cells::run(&mut run::Run::begin(words.plan.settled())?)?,
    }
    Ok(())
}
