//! A stream of changes over a fixed set of keys, with the garbage collected as the owner of a store must do it.
//!
//! The law: user bytes are keys and values; written bytes are what the process sent to the device, rewriting included; the
//! first multiple of the live size only makes garbage and is not measured. Must not know: when the store rewrites.

use super::process;
use crate::content::{self, Content, KEY_BYTES};
use crate::room;
use crate::subject::Writing;
use anyhow::{Context, Result, bail};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use rand_distr::Zipf;
use serde_json::{Value, json};
use std::path::Path;
use std::time::Instant;

/// Between two looks at what is due.
const LOOK_BYTES: u64 = 16 << 20;
/// Exponent that the usual benchmarks of key-value stores take.
const ZIPF: f64 = 0.99;

/// Which key comes next.
enum Law {
    Uniform,
    Zipf(Zipf<f64>),
}

impl Law {
    fn named(name: &str, keys: u64) -> Result<Self> {
        match name {
            "uniform" => Ok(Law::Uniform),
            "zipf" => Ok(Law::Zipf(Zipf::new(keys as f64, ZIPF).context("zipf")?)),
            _ => bail!("keys come uniform or zipf, not {name}"),
        }
    }

    fn next(&self, random: &mut StdRng, keys: u64) -> u64 {
        match self {
            Law::Uniform => random.random_range(0..keys),
            // The frequent ones are spread over the partitions, as names of keys would be.
            Law::Zipf(zipf) => content::spread(random.sample(zipf) as u64) % keys,
        }
    }
}

struct Stream<'a> {
    writing: Writing,
    content: &'a Content,
    dir: &'a Path,
    law: Law,
    random: StdRng,
    rounds: Vec<u32>,
    ages: Vec<u32>,
    rewritten: u64,
    taken: Vec<u64>,
}

impl Stream<'_> {
    /// So many user bytes; gives how many.
    fn flow(&mut self, bytes: u64) -> Result<u64> {
        let size = (KEY_BYTES + self.content.value_bytes) as u64;
        let (mut flown, mut looked) = (0, 0);
        while flown < bytes {
            let n = self.law.next(&mut self.random, self.content.records);
            self.rounds[n as usize] += 1;
            self.ages[n as usize] = self.writing.age() as u32;
            let record = self.writing.next_record(self.content, n, self.rounds[n as usize]);
            self.writing.append(record)?;
            flown += size;
            if flown - looked >= LOOK_BYTES {
                looked = flown;
                self.look()?;
            } else if (flown / size).is_multiple_of(64) {
                self.writing.breathe()?;
            }
        }
        self.writing.durable()?;
        Ok(flown)
    }

    fn look(&mut self) -> Result<()> {
        self.writing.breathe()?;
        self.rewritten += self.writing.collect_due(self.content, &self.rounds, &mut self.ages)?;
        self.writing.breathe()?;
        self.taken.push(room::taken_below(self.dir)?);
        Ok(())
    }
}

pub(super) fn run(dir: &Path, content: &Content, law: &str, multiples: u64) -> Result<Value> {
    let mut stream = Stream {
        writing: Writing::begin(dir)?,
        content,
        dir,
        law: Law::named(law, content.records)?,
        random: StdRng::seed_from_u64(3),
        rounds: vec![0; content.records as usize],
        ages: vec![0; content.records as usize],
        rewritten: 0,
        taken: Vec::new(),
    };
    stream.writing.fill(content)?;
    stream.writing.complete()?;
    stream.flow(content.payload())?;
    (stream.rewritten, stream.taken) = (0, Vec::new());
    let (before, begin) = (process::written()?, Instant::now());
    let user = stream.flow(multiples * content.payload())?;
    let (seconds, written) = (begin.elapsed().as_secs_f64(), process::written()? - before);
    let live = content.payload();
    let most = stream.taken.iter().max().copied().unwrap_or(0);
    let mean = stream.taken.iter().sum::<u64>() as f64 / stream.taken.len().max(1) as f64;
    Ok(json!({
        "user_bytes": user,
        "written_bytes": written,
        "rewritten_bytes": stream.rewritten,
        "amplification": written as f64 / user as f64,
        "disk_most": most as f64 / live as f64,
        "disk_mean": mean / live as f64,
        "garbage_share": 1.0 - live as f64 / mean.max(1.0),
        "seconds": seconds,
    }))
}
