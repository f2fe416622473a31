//! Bytes on the volume, told from outside.
//!
//! The law: reads only. Must not know: what the bytes mean.

use super::Audit;
use crate::disk::Disk;
use crate::failure::{On, StoreError};
use crate::layout;
use crate::store::usage::{DEEPEST, Usage, bytes_below};
use std::path::Path;

/// Bytes of all files below a directory.
pub(super) fn below(disk: &dyn Disk, dir: &Path) -> Result<u64, StoreError> {
    bytes_below(disk, dir, DEEPEST)
}

/// What is in use, what is kept, what is free.
pub(super) fn of(disk: &dyn Disk, dir: &Path, told: &Audit) -> Result<Usage, StoreError> {
    let epochs: u64 = told.epochs.iter().map(|epoch| epoch.length).sum();
    let live = told.chunks.iter().map(|chunk| chunk.bytes).sum::<u64>() + epochs;
    Ok(Usage {
        live,
        retained: below(disk, &layout::data(dir))?.saturating_sub(live),
        quarantine: below(disk, &layout::quarantine(dir))?,
        free: disk.free_bytes(dir).on("ask the file system of", dir)?,
    })
}
