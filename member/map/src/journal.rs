//! What the log on disk gets to know of a partition.
//!
//! The law: handing over never waits; the log holds maps without the sink writes of epochs that are not durable, and
//! markers of durable epochs only; snapshot parts are not in it. Must not know: files.

use bytes::Bytes;

use crate::later::Mark;
use crate::{JobId, PartitionId, Point, Version};

/// One record for the log. Versions within a partition never go back, except behind `Rewrite`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LogRecord {
    /// Key has this value.
    Put {
        /// Map.
        map: String,
        /// Key.
        key: Bytes,
        /// Value.
        value: Bytes,
    },
    /// Key is gone.
    Remove {
        /// Map.
        map: String,
        /// Key.
        key: Bytes,
    },
    /// All keys of a map in this partition are gone.
    ClearMap {
        /// Map.
        map: String,
    },
    /// Sink writes of this job up to here are in the log.
    Marker {
        /// Job.
        job: JobId,
        /// Last durable point.
        point: Point,
    },
    /// What files of epochs of a job before this point have of a key is older than the log.
    Later {
        /// Key, and whose epochs.
        mark: Mark,
        /// First epoch whose file is later.
        before: Point,
    },
    /// The log has the sink writes of every epoch that the mark speaks of.
    NoLater {
        /// Which.
        mark: Mark,
    },
    /// The whole content follows, up to `Complete`; what was before counts only without it.
    Rewrite,
    /// The replica is held in full at this version.
    Complete,
}

/// A record with the version that the replica has with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Logged {
    /// Version.
    pub version: Version,
    /// Record.
    pub record: LogRecord,
}

/// Where records go: the store's bounded queue.
pub trait Journal: Send + Sync {
    /// Hands over records of one partition, in order. Never waits: at its bound the journal notes that the partition
    /// must be rewritten and asks for that later.
    fn log(&self, partition: PartitionId, records: Vec<Logged>);
}

/// A journal for members without a store.
#[derive(Debug, Default)]
pub struct NoJournal;

impl Journal for NoJournal {
    fn log(&self, _partition: PartitionId, _records: Vec<Logged>) {}
}
