//! One replica of one partition: content, version, and taking changes in order.
//!
//! The law: versions are (table version of the installation, sequence) in that order; a change is taken only on top of
//! the version that it names; a copy lies aside until it is complete and verified, then replaces the whole content at
//! once. Must not know: who is primary.

use crate::copy::{CopyItem, Incoming};
use crate::event::MapEvent;
use crate::journal::Logged;
use crate::tail::Tail;
use crate::{
    Applied, Content, DecodeSink, Digest, LogRecord, Op, PartitionEpoch, PartitionId, Refusal, Reply, SnapshotId,
    TableVersion, Version,
};

/// A change with its place in the order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sequenced {
    /// Version that it goes on top of.
    pub prev: Version,
    /// Version with it.
    pub version: Version,
    /// When, as its primary counts.
    pub tick: u64,
    /// The change.
    pub op: Op,
}

/// What putting a change in order gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ordered {
    /// Version with it.
    pub version: Version,
    /// What it answers.
    pub reply: Reply,
    /// For the log.
    pub log: Vec<Logged>,
    /// For those who listen, once it is acknowledged.
    pub events: Vec<MapEvent>,
}

/// What following gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Followed {
    /// The replica is at this version, which is the last of the batch or later in the same chain.
    At(Version),
    /// The batch does not fit; what the replica has.
    Elsewhere(Version),
}

/// One replica.
#[derive(Debug)]
pub struct Replica {
    partition: PartitionId,
    content: Content,
    version: Version,
    tail: Tail,
    incoming: Option<Incoming>,
    decode: DecodeSink,
}

impl Replica {
    /// An empty replica (founding, or before a copy).
    pub fn empty(partition: PartitionId, decode: DecodeSink) -> Self {
        let zero = Version { installed: TableVersion(0), seq: 0 };
        Replica { partition, content: Content::default(), version: zero, tail: Tail::default(), incoming: None, decode }
    }

    /// Version of the content.
    pub fn version(&self) -> Version {
        self.version
    }

    /// The content.
    pub fn content(&self) -> &Content {
        &self.content
    }

    /// The last record of a key lies in a chunk of the log of this number, or of a later one.
    pub fn stamp(&mut self, map: &str, key: &bytes::Bytes, age: u64) {
        self.content.stamp(map, key, age);
    }

    /// For tests and drills: a way to spoil the content of one replica behind everybody's back.
    #[doc(hidden)]
    pub fn content_for_spoiling(&mut self) -> &mut Content {
        &mut self.content
    }

    /// The newest changes.
    pub fn tail(&self) -> &Tail {
        &self.tail
    }

    /// Everybody has confirmed up to here.
    pub fn confirmed(&mut self, upto: Version) {
        self.tail.confirmed(upto);
    }

    /// The same, and there is nobody else: who comes later is copied whole.
    pub fn confirmed_alone(&mut self, upto: Version) {
        self.tail.needed_by_nobody(upto);
    }

    /// As primary: puts a change in order and applies it, at the tick of the one before.
    pub fn sequence(&mut self, installed: TableVersion, op: Op) -> Result<(Version, Reply, Vec<Logged>), Refusal> {
        let ordered = self.order(installed, self.content.now, op, false)?;
        Ok((ordered.version, ordered.reply, ordered.log))
    }

    /// As primary: puts a change in order and applies it. A tick before that of the last change is taken for that. `told`:
    /// somebody listens.
    pub fn order(&mut self, installed: TableVersion, tick: u64, op: Op, told: bool) -> Result<Ordered, Refusal> {
        if installed < self.version.installed {
            return Err(Refusal::StaleInstallation { partition: self.partition, installed, held: self.version });
        }
        let version = Version { installed, seq: self.version.seq + 1 };
        let tick = tick.max(self.content.now);
        let Applied { reply, log, events } = self.content.apply_at(tick, &op, self.decode, told)?;
        let log = logged_change(self.version, version, log);
        self.advance(Sequenced { prev: self.version, version, tick, op });
        Ok(Ordered { version, reply, log, events })
    }

    /// As primary: the first change under a new installation.
    pub fn installs(&self) -> Op {
        Op::Install { unkept: self.content.unkept() }
    }

    fn advance(&mut self, change: Sequenced) {
        self.version = change.version;
        self.tail.push(change);
    }

    /// As backup: takes a batch that begins on top of `prev`. An empty batch asks whether the replica is at `prev`.
    pub fn follow(&mut self, prev: Version, batch: Vec<Sequenced>) -> (Followed, Vec<Logged>) {
        let mut log = Vec::new();
        let mut expected = prev;
        let chained = batch.iter().all(|change| {
            let fits = change.prev == expected && change.version > change.prev;
            expected = change.version;
            fits
        });
        let known = self.version == prev || batch.iter().any(|change| change.version == self.version);
        if !chained || !known {
            return (Followed::Elsewhere(self.version), log);
        }
        for change in batch {
            if change.version <= self.version {
                continue;
            }
            match self.content.apply_at(change.tick, &change.op, self.decode, false) {
                Ok(applied) => log.extend(logged_change(change.prev, change.version, applied.log)),
                // The primary could apply it and this replica cannot: they are not equal, and only a copy helps. So it is
                // at no version from which the primary could go on sending.
                Err(_) => return (Followed::Elsewhere(Version::default()), log),
            }
            self.advance(change);
        }
        // Followers of this replica do not exist; it keeps what may serve if it becomes primary.
        self.tail.confirmed(self.version);
        (Followed::At(self.version), log)
    }

    /// Takes one piece of a copy. Piece 0 begins it anew.
    pub fn copy_piece(&mut self, copy: u64, piece: u32, items: Vec<CopyItem>) -> Result<(), Refusal> {
        if piece == 0 {
            self.incoming = Some(Incoming::new(copy));
        }
        let partition = self.partition;
        match self.incoming.as_mut() {
            Some(incoming) => incoming.add(partition, copy, piece, items),
            None => Err(Refusal::CopyOutOfOrder { partition, expected: 0, got: piece }),
        }
    }

    /// The copy is complete: verifies it and takes it in place of the content. Gives what the log gets.
    pub fn copy_end(
        &mut self,
        copy: u64,
        pieces: u32,
        version: Version,
        digest: &Digest,
    ) -> Result<Vec<Logged>, Refusal> {
        let partition = self.partition;
        if version < self.version {
            return Err(Refusal::SourceOlder { partition, offered: version, held: self.version });
        }
        let Some(incoming) = self.incoming.take() else {
            return Err(Refusal::CopyOutOfOrder { partition, expected: 0, got: pieces });
        };
        self.content = incoming.finish(partition, copy, pieces, digest)?;
        self.version = version;
        self.tail.clear();
        Ok(self.rewrite())
    }

    /// The whole replica for the log, from its beginning mark to its completion.
    pub fn rewrite(&self) -> Vec<Logged> {
        let mut log = vec![LogRecord::Rewrite];
        log.extend(self.content.on_disk());
        log.push(LogRecord::Complete);
        logged(self.version, log)
    }

    /// An epoch is durable on every replica.
    pub fn durable(&mut self, id: SnapshotId) -> Vec<Logged> {
        logged(self.version, self.content.durable(id))
    }

    /// What an epoch file gets of this replica; from now on the epoch counts as being written.
    pub fn begin_epoch(&mut self, id: SnapshotId) -> Result<PartitionEpoch, Refusal> {
        let writes = self.content.pending.begin_flight(id).map_err(|floor| Refusal::Merged { id, floor })?;
        let parts = self.content.whole(id).cloned().unwrap_or_default();
        let commit = self.content.commits.get(&id).cloned();
        Ok(PartitionEpoch {
            id,
            version: self.version,
            parts,
            commit,
            writes,
            marker: self.content.markers.get(&id.job).copied(),
        })
    }

    /// While loading: takes a content back from the store, at the version that the store vouches for.
    pub fn loaded(&mut self, content: Content, version: Version) {
        self.content = content;
        self.version = version;
        self.tail.clear();
        self.incoming = None;
    }

    /// While loading: takes the parts of a snapshot back. Its sink writes are left to the restart of the job.
    pub fn load_epoch(&mut self, epoch: PartitionEpoch) {
        let id = epoch.id;
        if !epoch.parts.is_empty() {
            self.content.snapshots.insert(id, epoch.parts);
            self.content.from_files.insert(id);
        }
        if let Some(commit) = epoch.commit {
            self.content.commits.insert(id, commit);
        }
    }

    /// Of snapshots whose parts came from files only those that count are asked for again. Local, as files are.
    pub fn keep_from_files(&mut self, counts: impl Fn(SnapshotId) -> bool) {
        self.content.keep_from_files(counts);
    }

    /// While loading: sink writes of a snapshot that is durable everywhere, if the log was cut before it had them. Whether
    /// anything was missing: the log is then to be written whole.
    pub fn load_sinks(&mut self, epoch: &PartitionEpoch) -> bool {
        let (job, point) = (epoch.id.job, epoch.id.point());
        let applied = epoch.marker.is_some_and(|marker| marker >= point);
        if !applied || self.content.markers_on_disk.get(&job).is_some_and(|known| *known >= point) {
            return false;
        }
        for write in &epoch.writes {
            if !self.content.later.stands_above(epoch.id, &write.map, &write.key) {
                self.content.set(&write.map, &write.key, write.value.clone());
            }
        }
        self.content.markers.insert(job, point);
        self.content.markers_on_disk.insert(job, point);
        true
    }
}

/// Only the last record of a change carries its version: a log that ends between them is at the version before.
fn logged_change(prev: Version, version: Version, records: Vec<LogRecord>) -> Vec<Logged> {
    let mut log = logged(prev, records);
    if let Some(last) = log.last_mut() {
        last.version = version;
    }
    log
}

fn logged(version: Version, records: Vec<LogRecord>) -> Vec<Logged> {
    records.into_iter().map(|record| Logged { version, record }).collect()
}

/// A sink decoder for partitions without sinks: refuses everything.
pub fn no_sinks(_: &[u8]) -> Result<crate::SinkDelta, String> {
    Err("this member knows no sink encoding".into())
}
