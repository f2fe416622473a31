//! What a member begins a new incarnation of its cluster with: prepared first, and only then to be gone on with.
//!
//! Law: what is prepared has no effect; from the moment on in which it *goes*, the next process begins by it. It is there
//! whole or not at all. Must not know: what the machine is.

use crate::disk::Disk;
use crate::failure::StoreError;
use crate::frame::{self, Magic};
use crate::layout;
use serde::{Deserialize, Serialize};
use std::path::Path;
use uuid::Uuid;

const RECORD: Magic = *b"JETREFND";

/// A new incarnation, as one survivor has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refounding {
    /// The consent that it is by.
    pub consent: String,
    /// Which incarnation begins.
    pub incarnation: u64,
    /// The line of this member's log in it.
    pub line: Uuid,
    /// Index and term of the last entry of its log before: with another end it does not begin.
    pub end: (u64, u64),
    /// It begins.
    pub goes: bool,
}

pub(crate) fn read(disk: &dyn Disk, dir: &Path) -> Result<Option<(Refounding, Vec<u8>)>, StoreError> {
    let costs = "the beginning of a new incarnation of the cluster";
    Ok(frame::load(disk, RECORD, &layout::refounding(dir), costs)?.map(|frame| (frame.body, frame.blob)))
}

pub(crate) fn write(disk: &dyn Disk, dir: &Path, record: &Refounding, blob: &[u8]) -> Result<(), StoreError> {
    frame::save(disk, &layout::refounding(dir), &frame::encode(RECORD, record, blob)?)
}
