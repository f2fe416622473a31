//! What the primary of a partition knows of its followers, and what it sends them next.
//!
//! The law: a change is acknowledged when every follower that counts has it. A follower counts from the moment its copy
//! is complete, before the table says so, and until the table takes it out: so whoever the table calls synced has every
//! acknowledged change; it is reported complete only once it has what was acknowledged before it counted. One message at a time to each follower, so order needs no other care. Must not know: time.

use std::collections::BTreeMap;

use crate::fence::Process;
use crate::tail::Tail;
use crate::{Boot, MemberId, PartitionEntry, PartitionId, Refusal, Sequenced, TableVersion, Version};

/// Changes in one message.
pub const BATCH_CHANGES: usize = 512;
/// Bytes of changes in one message (one larger change makes a larger message).
pub const BATCH_BYTES: usize = 1 << 20;
/// Bytes of changes that wait for followers; beyond, new ones are refused.
pub const MOST_UNACKNOWLEDGED: usize = 48 << 20;

/// Where a follower is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Position {
    /// Not known yet: ask.
    Unknown,
    /// It confirmed this version.
    At(Version),
    /// It does not fit and needs a whole copy.
    NeedsCopy,
}

/// One follower.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Follower {
    /// Its boot.
    pub boot: Boot,
    /// Acknowledgements wait for it.
    pub counts: bool,
    /// The table says that it is synced.
    pub synced: bool,
    /// Where it is.
    pub position: Position,
}

/// To whom a message went, and under which installation: an answer to an earlier one is not taken for a later one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asked {
    /// Follower.
    pub member: MemberId,
    /// Its boot.
    pub boot: Boot,
    /// Of the primary.
    pub installed: TableVersion,
}

/// What to send next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// Nothing; wait for a change.
    Nothing,
    /// These changes on top of this version (none: ask whether it is there).
    Batch {
        /// On top of.
        prev: Version,
        /// Changes.
        changes: Vec<Sequenced>,
    },
    /// A whole copy.
    Copy,
}

/// The primary's book of one partition.
#[derive(Clone, Debug)]
pub struct Lead {
    partition: PartitionId,
    /// Table version of the installation: first half of every version that is given out.
    pub installed: TableVersion,
    /// Change of the entry that messages carry.
    pub changed: TableVersion,
    followers: BTreeMap<MemberId, Follower>,
    unacknowledged: std::collections::VecDeque<(Version, usize)>,
    bytes: usize,
    acknowledged: Version,
}

impl Lead {
    /// Begins to lead by an entry of the table.
    pub fn begin(partition: PartitionId, me: Process, entry: &PartitionEntry) -> Self {
        let mut lead = Lead {
            partition,
            installed: entry.installed,
            changed: entry.changed,
            followers: BTreeMap::new(),
            unacknowledged: Default::default(),
            bytes: 0,
            acknowledged: Version::default(),
        };
        lead.follow_table(me, entry);
        lead
    }

    /// Takes over a new entry under the same installation.
    pub fn follow_table(&mut self, me: Process, entry: &PartitionEntry) {
        self.changed = entry.changed;
        let others: Vec<_> = entry.replicas.iter().filter(|replica| replica.member != me.member).collect();
        self.followers.retain(|member, follower| others.iter().any(|r| r.member == *member && r.boot == follower.boot));
        for replica in others {
            let follower = self.followers.entry(replica.member).or_insert(Follower {
                boot: replica.boot,
                counts: false,
                synced: false,
                // What a replica that does not count has is unknown even when its version is known: a disk does not
                // show everything that RAM had at that version.
                position: if replica.synced { Position::Unknown } else { Position::NeedsCopy },
            });
            follower.synced = replica.synced;
            follower.counts |= replica.synced;
        }
    }

    /// Followers.
    pub fn followers(&self) -> impl Iterator<Item = (MemberId, Follower)> + '_ {
        self.followers.iter().map(|(member, follower)| (*member, *follower))
    }

    /// Followers that the table does not call synced yet and that have all that was acknowledged: while their copy was
    /// on its way, changes were acknowledged without them.
    pub fn complete_copies(&self) -> impl Iterator<Item = (MemberId, Boot)> + '_ {
        let complete =
            |f: &Follower| f.counts && !f.synced && matches!(f.position, Position::At(at) if at >= self.acknowledged);
        self.followers.iter().filter(move |(_, f)| complete(f)).map(|(member, f)| (*member, f.boot))
    }

    /// Whether another change may wait for the followers.
    pub fn admit(&self) -> Result<(), Refusal> {
        if self.bytes > MOST_UNACKNOWLEDGED {
            return Err(Refusal::Busy { partition: self.partition, unacknowledged: self.bytes });
        }
        Ok(())
    }

    /// A change was put in order.
    pub fn sequenced(&mut self, version: Version, bytes: usize) {
        self.unacknowledged.push_back((version, bytes));
        self.bytes += bytes;
    }

    /// What to send to a follower.
    pub fn next(&self, member: MemberId, current: Version, tail: &Tail) -> Next {
        let Some(follower) = self.followers.get(&member) else { return Next::Nothing };
        match follower.position {
            Position::Unknown => Next::Batch { prev: current, changes: Vec::new() },
            Position::NeedsCopy => Next::Copy,
            Position::At(version) if version == current => Next::Nothing,
            Position::At(version) => match tail.after(version, BATCH_CHANGES, BATCH_BYTES) {
                Some(changes) => Next::Batch { prev: version, changes },
                None => Next::Copy,
            },
        }
    }

    fn answering(&mut self, to: Asked) -> Option<&mut Follower> {
        let same = to.installed == self.installed;
        self.followers.get_mut(&to.member).filter(|follower| same && follower.boot == to.boot)
    }

    /// What is to be kept with a message, to know its answer by.
    pub fn asking(&self, member: MemberId) -> Option<Asked> {
        self.followers.get(&member).map(|follower| Asked { member, boot: follower.boot, installed: self.installed })
    }

    /// A follower confirmed a version of this primary's chain.
    pub fn confirmed(&mut self, to: Asked, version: Version) {
        if let Some(follower) = self.answering(to) {
            follower.position = Position::At(version);
            follower.counts = true;
        }
    }

    /// For mutants: what a primary would do that waits for the table.
    #[doc(hidden)]
    pub fn forget_that_it_counts(&mut self, member: MemberId) {
        if let Some(follower) = self.followers.get_mut(&member) {
            follower.counts = follower.synced;
        }
    }

    /// A follower is at a version that does not fit what was sent.
    pub fn elsewhere(&mut self, to: Asked, version: Version, tail: &Tail) {
        if let Some(follower) = self.answering(to) {
            let behind = tail.holds(version) && tail.after(version, 1, 1).is_some();
            follower.position = if behind && follower.counts { Position::At(version) } else { Position::NeedsCopy };
        }
    }

    /// The answer was lost: ask again.
    pub fn unknown(&mut self, to: Asked) {
        if let Some(follower) = self.answering(to)
            && !matches!(follower.position, Position::NeedsCopy)
        {
            follower.position = Position::Unknown;
        }
    }

    /// The newest version that is acknowledged: every follower that counted had it.
    pub fn acknowledged(&mut self, current: Version) -> Version {
        let least =
            self.followers.values().filter(|follower| follower.counts).map(|follower| match follower.position {
                Position::At(version) => version,
                Position::Unknown | Position::NeedsCopy => Version::default(),
            });
        let upto = least.min().unwrap_or(current).min(current);
        self.acknowledged = self.acknowledged.max(upto);
        while let Some((_, bytes)) = self.unacknowledged.front().copied().filter(|(version, _)| *version <= upto) {
            self.bytes -= bytes;
            self.unacknowledged.pop_front();
        }
        self.acknowledged
    }
}
