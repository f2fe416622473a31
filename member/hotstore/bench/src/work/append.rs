//! What an append costs the thread that calls it.
//!
//! The law: the records are made before the clock starts (what making them costs as well is told beside it), blocks are timed
//! whole, and the queue is never near its bound.

use crate::content::Content;
use crate::subject::Writing;
use anyhow::Result;
use serde_json::{Value, json};
use std::path::Path;
use std::time::Instant;

/// Records between two looks at the clock, so that looking costs nothing.
const BLOCK: u64 = 64;

pub(super) fn run(dir: &Path, content: &Content) -> Result<Value> {
    let mut writing = Writing::begin(dir)?;
    let (mut nanoseconds, mut with_making) = (Vec::new(), Vec::new());
    let mut n = 0;
    while n + BLOCK <= content.records {
        let made = Instant::now();
        let records: Vec<_> = (n..n + BLOCK).map(|n| writing.next_record(content, n, 0)).collect();
        let begin = Instant::now();
        for record in records {
            writing.append(record)?;
        }
        nanoseconds.push(begin.elapsed().as_nanos() as f64 / BLOCK as f64);
        with_making.push(made.elapsed().as_nanos() as f64 / BLOCK as f64);
        writing.breathe()?;
        n += BLOCK;
    }
    writing.durable()?;
    let at = |times: &mut Vec<f64>, share: f64| {
        times.sort_by(f64::total_cmp);
        times.get((times.len() as f64 * share) as usize).copied().unwrap_or(f64::NAN)
    };
    Ok(json!({
        "median": at(&mut nanoseconds, 0.5),
        "p99": at(&mut nanoseconds, 0.99),
        "with_making": at(&mut with_making, 0.5),
    }))
}
