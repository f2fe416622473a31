//! What an append of a small record costs its caller.

use crate::child::{self, Size, number};
use crate::run::Run;
use anyhow::Result;

pub(super) fn run(run: &mut Run) -> Result<()> {
    let size = Size::of(100, run.plan.mib_100b << 19);
    let (mut medians, mut tails, mut made) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..run.plan.pairs {
        let dir = run.room.fresh("append")?;
        let answer = child::append(dir.path(), size)?;
        medians.push(number(&answer, "median")?);
        tails.push(number(&answer, "p99")?);
        made.push(number(&answer, "with_making")?);
    }
    let median = run.measured("append", "median", "ns", &medians)?;
    let tail = run.measured("append", "p99", "ns", &tails)?;
    run.measured("append", "median, with making the record", "ns", &made)?;
    let words = format!(
        "{} records of 100 bytes in blocks of 64, {} runs, {}, p99 {}",
        size.records,
        run.plan.pairs,
        median.told(),
        tail.told()
    );
    run.figure("store.append", median.median, "ns", &words)
}
