//! Overwriting for long: what is written more than the user gave, and what lies on the disk more than is live.

use crate::child::{self, Size, number};
use crate::run::Run;
use anyhow::Result;

pub(super) fn run(run: &mut Run, law: &str) -> Result<()> {
    let size = Size::of(1024, run.plan.live_mib << 20);
    let dir = run.room.fresh("overwrite")?;
    let answer = child::overwrite(dir.path(), size, law, run.plan.multiples)?;
    let cell = format!("overwrite.{law}");
    for what in ["amplification", "disk_most", "disk_mean", "garbage_share"] {
        run.measured(&cell, what, "", &[number(&answer, what)?])?;
    }
    let rate = number(&answer, "user_bytes")? / number(&answer, "seconds")? / 1e6;
    run.measured(&cell, "user bytes", "MB/s", &[rate])?;
    let words = format!(
        "{} MiB live, values of 1 KiB, overwritten {} times, {law}, garbage {:.2} of the disk",
        run.plan.live_mib,
        run.plan.multiples,
        number(&answer, "garbage_share")?
    );
    run.figure(&format!("store.amplification.{law}"), number(&answer, "amplification")?, "written / given", &words)?;
    run.figure(&format!("store.disk.{law}"), number(&answer, "disk_most")?, "taken / live", &words)
}
