//! Writes that are later than what a file of an epoch still has of their keys.
//!
//! The law: a sink write reaches the log only when its epoch is durable; who writes the same key before that goes to the
//! log at once. After a power loss the file would be read over it, so the log also says from which epoch on the file is
//! the later one. A mark stays until the log has the sink writes of every epoch that it speaks of. Must not know: files.

use std::collections::BTreeMap;

use bytes::Bytes;

use crate::{Epoch, JobId, LogRecord, Point, SnapshotId};

/// What a mark speaks of.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mark {
    /// Job whose older writes do not count any more.
    pub job: JobId,
    /// Map.
    pub map: String,
    /// Key; `None`: all keys, the map was cleared.
    pub key: Option<Bytes>,
}

/// All marks of one partition.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Later {
    marks: BTreeMap<Mark, Point>,
}

/// The first point behind this one.
pub(crate) fn behind(point: Point) -> Point {
    (point.0, Epoch(point.1.0.saturating_add(1)))
}

impl Later {
    /// What files of epochs before `before` have of it is older than the log. Gives what the log gets.
    pub fn note(&mut self, mark: Mark, before: Point) -> LogRecord {
        let known = self.marks.entry(mark.clone()).or_insert(before);
        *known = before.max(*known);
        LogRecord::Later { before: *known, mark }
    }

    /// Whether what the file of `id` has of a key is older than the log.
    pub fn stands_above(&self, id: SnapshotId, map: &str, key: &Bytes) -> bool {
        let marked = |key: Option<Bytes>| {
            let mark = Mark { job: id.job, map: map.into(), key };
            self.marks.get(&mark).is_some_and(|before| id.point() < *before)
        };
        !self.marks.is_empty() && (marked(Some(key.clone())) || marked(None))
    }

    /// The log has the sink writes of a job up to here. Gives what the log gets.
    pub fn settled(&mut self, job: JobId, upto: Point) -> Vec<LogRecord> {
        let over = |mark: &Mark, before: &Point| mark.job == job && *before <= behind(upto);
        let gone: Vec<_> =
            self.marks.iter().filter(|(mark, before)| over(mark, before)).map(|(m, _)| m.clone()).collect();
        self.marks.retain(|mark, before| !over(mark, before));
        gone.into_iter().map(|mark| LogRecord::NoLater { mark }).collect()
    }

    /// Whether there is anything that [`Self::settled`] would take.
    pub fn has_settled(&self, job: JobId, upto: Point) -> bool {
        self.marks.iter().any(|(mark, before)| mark.job == job && *before <= behind(upto))
    }

    /// All of them, for a copy and for the log.
    pub fn marks(&self) -> impl Iterator<Item = (&Mark, Point)> {
        self.marks.iter().map(|(mark, before)| (mark, *before))
    }
}
