//! One run: its options, its place, its record.
//!
//! The law: every line that is printed is recorded with the same numbers; a smoke records no figure
//! for bars. Must not know: what a bar is.

use crate::conditions;
use crate::room::Room;
use crate::spread::Spread;
use crate::twin::Pattern;
use anyhow::{Context, Result};
use serde_json::{Value, json};
use std::fs::File;
use std::io::Write;
use std::path::PathBuf;

/// What is measured and how large.
#[derive(Debug, Clone, clap::Args)]
pub struct Plan {
    /// Directory on the volume to measure.
    #[arg(long, default_value = "bench-store-room")]
    pub dir: PathBuf,
    /// File that the lines of JSON are appended to.
    #[arg(long, default_value = "bench-store.jsonl")]
    pub out: PathBuf,
    /// Cells: save, load, memory, overwrite, append, encryption (and grow, which --grow switches on).
    #[arg(long, value_delimiter = ',', default_value = "save,load,memory,overwrite,append,encryption")]
    pub cells: Vec<String>,
    /// Pairs of runs side by side.
    #[arg(long, default_value_t = 5)]
    pub pairs: usize,
    /// MiB of content with values of 1 KiB.
    #[arg(long, default_value_t = 2048)]
    pub mib_1k: u64,
    /// MiB of content with values of 100 bytes.
    #[arg(long, default_value_t = 512)]
    pub mib_100b: u64,
    /// MiB of live content that is overwritten.
    #[arg(long, default_value_t = 1024)]
    pub live_mib: u64,
    /// How many times its size it is overwritten.
    #[arg(long, default_value_t = 4)]
    pub multiples: u64,
    /// Grow from 0.25 GiB, doubling, to so many GiB.
    #[arg(long)]
    pub grow: Option<f64>,
    /// Peers: redb, fjall, rocksdb, redis; or none.
    #[arg(long, value_delimiter = ',', default_value = "redb,fjall,rocksdb,redis")]
    pub peers: Vec<String>,
    /// Table that is loaded into: arena or boxes.
    #[arg(long, default_value = "arena")]
    pub table: String,
    /// Smoke: 64 MiB, 2 pairs, no figures for bars.
    #[arg(long)]
    pub quick: bool,
    /// Pattern of the raw twin.
    #[command(flatten)]
    pub twin: Pattern,
}

impl Plan {
    /// The smoke in place of the sizes, if it is one.
    pub fn settled(mut self) -> Self {
        self.peers.retain(|peer| peer != "none");
        if self.quick {
            (self.mib_1k, self.mib_100b, self.live_mib, self.multiples, self.pairs) = (64, 32, 64, 2, 2);
            self.grow = self.grow.map(|_| 0.0);
        }
        self
    }

    /// Steps of the growth, in MiB.
    pub fn steps(&self) -> Vec<u64> {
        let Some(upto) = self.grow else { return Vec::new() };
        let (first, last) = if self.quick { (16, 64) } else { (256, (upto * 1024.0) as u64) };
        std::iter::successors(Some(first), |mib| Some(mib * 2)).take_while(|mib| *mib <= last).collect()
    }

    /// Room on the volume that the largest cell needs: a copy of every contender and of fio, and half as much again.
    pub fn needed(&self) -> u64 {
        let copies = self.peers.len() as u64 + 4;
        let load = self.mib_1k.max(self.mib_100b) * copies * 3 / 2;
        let grow = self.steps().last().map_or(0, |mib| mib * 2);
        load.max(grow).max(self.live_mib * 6) << 20
    }
}

/// A run under way.
pub struct Run {
    /// What was asked for.
    pub plan: Plan,
    /// Where it happens.
    pub room: Room,
    record: File,
    conditions: Value,
}

impl Run {
    /// Looks at the place and writes the conditions down.
    pub fn begin(plan: Plan) -> Result<Self> {
        let room = Room::on(&plan.dir, plan.needed())?;
        let record = File::options().create(true).append(true).open(&plan.out);
        let record = record.with_context(|| format!("open {}", plan.out.display()))?;
        let conditions = conditions::read(&plan.dir)?;
        println!("{}", conditions::told(&conditions));
        println!("twin: {}", plan.twin.told());
        let mut run = Run { plan, room, record, conditions };
        let begin = json!({
            "conditions": run.conditions,
            "twin": run.plan.twin.told(),
            "table": run.plan.table,
            "quick": run.plan.quick,
            "peers": crate::peers::ALL.iter().filter(|(name, _)| run.plan.peers.iter().any(|peer| peer == name))
                .map(|(name, settings)| json!({"name": name, "settings": settings})).collect::<Vec<_>>(),
        });
        run.line(&begin)?;
        Ok(run)
    }

    /// Records a line.
    pub fn line(&mut self, line: &Value) -> Result<()> {
        Ok(writeln!(self.record, "{line}")?)
    }

    /// Records and prints a measured thing, with all its repetitions.
    pub fn measured(&mut self, cell: &str, what: &str, unit: &str, numbers: &[f64]) -> Result<Spread> {
        let spread = Spread::of(numbers);
        println!("{cell:<12} {what:<30} {} {unit}", spread.told());
        self.line(&json!({
            "cell": cell, "what": what, "unit": unit, "spread": spread.json(), "all": numbers,
            "load": conditions::load_average(),
        }))?;
        Ok(spread)
    }

    /// Records a figure of a bar, with its conditions in words.
    pub fn figure(&mut self, id: &str, value: f64, unit: &str, words: &str) -> Result<()> {
        if self.plan.quick {
            println!("{id:<26} {value:.3} {unit} (a smoke: not recorded for a bar)");
            return Ok(());
        }
        println!("{id:<26} {value:.3} {unit}");
        let told = format!("{words}; {}", conditions::told(&self.conditions));
        self.line(&json!({"figure": id, "value": value, "unit": unit, "conditions": told}))
    }
}
