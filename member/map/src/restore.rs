//! What an execution begins with: later things are taken back, and what a file has is given back.
//!
//! The law: nothing is taken back from an execution that has left anything here; parts that are given back are no
//! snapshot until all of them are there, on every replica alike; a file's sink write never stands above a later one, and
//! which is later is told by what was replicated alone.
//! Must not know: files.

use crate::content::{Applied, record_of};
use crate::write::Effects;
use crate::{Content, ExecutionId, JobId, LogRecord, Refusal, Reply, SinkWrite, SnapshotId};

impl Content {
    /// Once an execution, or a later one, has left anything here, what comes late must not destroy that.
    fn refuse_begun_execution(&self, job: JobId, by: ExecutionId) -> Result<(), Refusal> {
        match self.newest_execution(job) {
            Some(known) if known >= by => Err(Refusal::BegunExecution { job, given: by, known }),
            _ => Ok(()),
        }
    }

    pub(crate) fn cut_back(&mut self, id: SnapshotId, by: ExecutionId, fx: &mut Effects) -> Result<Applied, Refusal> {
        self.refuse_begun_execution(id.job, by)?;
        for write in self.pending.cut_back(id) {
            self.revived.0 += 1;
            let old = self.set_kept(&write.map, &write.key, write.value);
            let new = self.value(&write.map, &write.key);
            fx.events.note_written(&write.map, &write.key, old.as_ref(), new);
        }
        if let Some(marker) = self.markers.get_mut(&id.job) {
            *marker = (*marker).min(id.point());
        }
        let stays = |of: &SnapshotId| of.job != id.job || of.point() <= id.point();
        self.snapshots.retain(|of, _| stays(of));
        self.commits.retain(|of, _| stays(of));
        self.partial.retain(stays);
        self.from_files.retain(stays);
        Ok(Applied::silent(Reply::Done))
    }

    pub(crate) fn restore_begin(&mut self, id: SnapshotId, by: ExecutionId) -> Result<Applied, Refusal> {
        self.refuse_begun_execution(id.job, by)?;
        self.snapshots.remove(&id);
        self.partial.insert(id);
        self.from_files.insert(id);
        Ok(Applied::silent(Reply::Done))
    }

    pub(crate) fn restore_end(&mut self, id: SnapshotId, by: ExecutionId) -> Result<Applied, Refusal> {
        self.refuse_begun_execution(id.job, by)?;
        let was_partial = self.partial.remove(&id);
        Ok(Applied::silent(if was_partial { Reply::Done } else { Reply::AlreadySo }))
    }

    pub(crate) fn sink_restore(
        &mut self,
        id: SnapshotId,
        by: ExecutionId,
        writes: &[SinkWrite],
        last: bool,
        fx: &mut Effects,
    ) -> Result<Applied, Refusal> {
        self.refuse_begun_execution(id.job, by)?;
        // Whoever wrote the same keys since then is later than the file.
        if self.markers.get(&id.job).is_some_and(|marker| *marker >= id.point()) {
            return Ok(Applied::silent(Reply::AlreadySo));
        }
        let mut log = Vec::new();
        for write in writes {
            if self.later.stands_above(id, &write.map, &write.key) {
                continue;
            }
            self.pending.superseded(&write.map, &write.key);
            let old = self.set(&write.map, &write.key, write.value.clone());
            fx.events.note_written(&write.map, &write.key, old.as_ref(), write.value.as_ref());
            log.push(record_of(write));
            log.extend(self.note_above_others(id.job, write));
        }
        if !last {
            return Ok(Applied::logged(Reply::Done, log));
        }
        self.markers.insert(id.job, id.point());
        self.markers_on_disk.insert(id.job, id.point());
        log.push(LogRecord::Marker { job: id.job, point: id.point() });
        log.extend(self.later.settled(id.job, id.point()));
        Ok(Applied::logged(Reply::Done, log))
    }
}
