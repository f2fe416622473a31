//! Who this store belongs to: member, cluster, incarnation, volume, log line.
//!
//! The law: the member never changes; the founding id is set once; the incarnation only grows.
//! Must not know: where these values come from.

use crate::disk::Disk;
use crate::failure::StoreError;
use crate::frame::{self, Magic, Pair};
use crate::layout;
use serde::{Deserialize, Serialize};
use std::path::Path;
use uuid::Uuid;

const MAGIC: Magic = *b"JETIDENT";
const COSTS: &str = "the proof of whose data this is";

/// The identity record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// This member.
    pub member: Uuid,
    /// The cluster, once founded or joined.
    pub founding: Option<Uuid>,
    /// Raised when a cluster is founded anew from survivors.
    pub incarnation: u64,
    /// The volume that the store was last written on.
    pub volume: String,
    /// The line of the consensus log that is this member's.
    pub log_line: Uuid,
    /// The consensus log of that line was begun: from now on a missing one is a loss, not a beginning.
    pub log_begun: bool,
}

impl Identity {
    /// A new member, in no cluster yet.
    pub fn fresh(volume: String) -> Self {
        Identity {
            member: Uuid::new_v4(),
            founding: None,
            incarnation: 0,
            volume,
            log_line: Uuid::new_v4(),
            log_begun: false,
        }
    }
}

pub(crate) fn read(disk: &dyn Disk, dir: &Path) -> Result<Pair<Identity>, StoreError> {
    frame::load_pair(disk, MAGIC, &layout::identity(dir), COSTS)
}

pub(crate) fn write(disk: &dyn Disk, dir: &Path, identity: &Identity) -> Result<(), StoreError> {
    let serial = read(disk, dir)?.newest.map_or(0, |(serial, _)| serial) + 1;
    frame::save_pair(disk, MAGIC, &layout::identity(dir), serial, identity, &[])
}
