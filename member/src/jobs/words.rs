//! What the coordinator asks of members, and what they answer.
//!
//! Law: every question names the runtime generation that it belongs to; a member in another one says so and does
//! nothing; every question may be asked again. Must not know: how an answer is found.

use jet_core::{Epoch, ExecutionId, JobId, RuntimeNumber, TableVersion};
use jet_map::CommitRecord;
use serde::{Deserialize, Serialize};

/// A question.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Ask {
    /// How do your jobs stand?
    Look {
        /// Of this generation.
        runtime: RuntimeNumber,
    },
    /// Open this epoch, unless it is open, and answer once all your workers have handed over their parts; "not yet"
    /// after a while.
    Gather(Wanted),
    /// This snapshot is committed.
    Committed {
        /// In this generation.
        runtime: RuntimeNumber,
        /// Its record.
        record: CommitRecord,
    },
    /// Write this committed snapshot to your disk; whatever generation runs.
    Flush {
        /// Its record.
        record: CommitRecord,
    },
}

/// A snapshot that is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wanted {
    /// Generation.
    pub runtime: RuntimeNumber,
    /// Job.
    pub job: JobId,
    /// Its execution.
    pub execution: ExecutionId,
    /// Epoch that the snapshot ends.
    pub epoch: Epoch,
    /// The job's tasks end there.
    pub terminal: bool,
}

/// An answer; `Elsewhere`: nothing was done.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Answer {
    /// To `Look`.
    Stands(Vec<Standing>),
    /// To `Gather`: all parts of this member are in the map.
    Gathered(Box<Gathered>),
    /// To `Gather`: not yet.
    NotYet,
    /// To `Flush`: on its way.
    Writing {
        /// Its parts are held for the disk: the map may drop them.
        taken: bool,
    },
    /// To `Committed`; to `Flush`: it is written.
    Noted,
    /// It runs another generation, or cannot do that; in words.
    Elsewhere(String),
}

/// How one job stands on one member.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standing {
    /// Job.
    pub job: JobId,
    /// Its execution.
    pub execution: ExecutionId,
    /// Epoch that is open, and whether it is terminal.
    pub open: Option<(Epoch, bool)>,
    /// Last epoch committed or restored, as far as this member was told.
    pub committed: Epoch,
    /// All that this member reads is read.
    pub exhausted: bool,
    /// Why the job cannot go on here.
    pub trouble: Option<String>,
}

/// What one member gave to one snapshot.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gathered {
    /// Its parts.
    pub marks: Vec<Mark>,
    /// Bytes of all parts.
    pub bytes: u64,
    /// Rows that the ranges read here have given since the job began.
    pub rows_read: u64,
    /// Workers of the generation that are done here.
    pub workers: Vec<u64>,
    /// Workers in the generation.
    pub of_workers: u64,
    /// Oldest and newest table under which a part was acknowledged.
    pub tables: Option<(TableVersion, TableVersion)>,
}

/// One part that every replica has.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Mark {
    /// Vertex, see [`super::parts::vertex_number`].
    pub vertex: u32,
    /// Partition, or number of a range.
    pub part: u32,
    /// blake3 of its bytes.
    pub digest: String,
}
