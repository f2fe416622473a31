//! The record that a generation was opened. From its durability on, the seal of the generation before is void here.
//!
//! Must not know: why a generation is opened.

use crate::disk::Disk;
use crate::failure::StoreError;
use crate::frame::{self, Magic};
use crate::layout;
use crate::refusal::Refused;
use serde::{Deserialize, Serialize};
use std::path::Path;
use uuid::Uuid;

const MAGIC: Magic = *b"JETOPEND";

/// The record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Opened {
    /// Cluster.
    pub founding: Uuid,
    /// Member.
    pub member: Uuid,
    /// Generation that was opened.
    pub generation: u64,
}

pub(crate) fn read(disk: &dyn Disk, dir: &Path, generation: u64) -> Result<Opened, StoreError> {
    let path = layout::opened(dir, generation);
    match frame::load(disk, MAGIC, &path, "which generation is the current one")? {
        Some(frame) => Ok(frame.body),
        None => Err(Refused::Missing { file: path, why: "it was listed a moment ago".to_owned() }.into()),
    }
}

pub(crate) fn write(disk: &dyn Disk, dir: &Path, opened: &Opened) -> Result<(), StoreError> {
    frame::save(disk, &layout::opened(dir, opened.generation), &frame::encode(MAGIC, opened, &[])?)
}
