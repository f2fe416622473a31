//! The boot counter: each start of the process has a number that no other start of this store had.
//!
//! The law: the number is durable before anybody hears it.
//! Must not know: who hears it.

use crate::disk::Disk;
use crate::failure::StoreError;
use crate::frame::{self, Magic, Pair};
use crate::layout;
use std::path::Path;

const MAGIC: Magic = *b"JETBOOTN";
const COSTS: &str = "the number of this start: an older start could not be told from a newer";

pub(crate) fn read(disk: &dyn Disk, dir: &Path) -> Result<Pair<()>, StoreError> {
    frame::load_pair(disk, MAGIC, &layout::boot(dir), COSTS)
}

/// Raises the counter, durably, and returns it; the first boot is 1.
pub fn next_boot(disk: &dyn Disk, dir: &Path) -> Result<u64, StoreError> {
    let boot = read(disk, dir)?.newest.map_or(0, |(boot, _)| boot) + 1;
    frame::save_pair(disk, MAGIC, &layout::boot(dir), boot, &(), &[])?;
    Ok(boot)
}
