//! What the primary of a partition knows of its followers, and what it sends them next.
//!
//! The law: a change is acknowledged when every follower that counts has it. A follower counts from the moment its copy
//! is complete, before the table says so, and until the table takes it out: so whoever the table calls synced has every
//! acknowledged change; it is reported complete only once it has what was acknowledged before it counted. One message at a time to each follower, so order needs no other care.
//! Of disks it knows what was told under the same installation and boot, and nothing from before: a version of this
//! installation on a disk means that everything acknowledged up to it is there. Must not know: time.

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
    /// Its disk has everything up to here.
    pub on_disk: Version,
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

/// The same, where nothing is taken yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Due {
    /// Nothing.
    Nothing,
    /// A batch.
    Batch,
    /// A whole copy.
    Copy,
}

/// The primary's book of one partition.
#[derive(Clone, Debug)]
pub struct Lead {
    partition: PartitionId,
    me: Process,
    /// Table version of the installation: first half of every version that is given out.
    pub installed: TableVersion,
    /// Change of the entry that messages carry.
    pub changed: TableVersion,
    followers: BTreeMap<MemberId, Follower>,
    unacknowledged: std::collections::VecDeque<(Version, usize)>,
    bytes: usize,
    acknowledged: Version,
    /// The own disk has everything up to here.
    on_disk: Version,
}

impl Lead {
    /// Begins to lead by an entry of the table.
    pub fn begin(partition: PartitionId, me: Process, entry: &PartitionEntry) -> Self {
        let mut lead = Lead {
            partition,
            me,
            installed: entry.installed,
            changed: entry.changed,
            followers: BTreeMap::new(),
            unacknowledged: Default::default(),
            bytes: 0,
            acknowledged: Version::default(),
            on_disk: Version::default(),
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
                on_disk: Version::default(),
            });
            follower.synced = replica.synced;
            follower.counts |= replica.synced;
        }
    }

    /// Followers.
    pub fn followers(&self) -> impl Iterator<Item = (MemberId, Follower)> + '_ {
        self.followers.iter().map(|(member, follower)| (*member, *follower))
    }

    /// There are none.
    pub fn is_alone(&self) -> bool {
        self.followers.is_empty()
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

    /// Of which kind [`Self::next`] is.
    pub fn due(&self, member: MemberId, current: Version, tail: &Tail) -> Due {
        let Some(follower) = self.followers.get(&member) else { return Due::Nothing };
        match follower.position {
            Position::Unknown => Due::Batch,
            Position::NeedsCopy => Due::Copy,
            Position::At(version) if version == current => Due::Nothing,
            Position::At(version) if tail.goes_on_from(version) => Due::Batch,
            Position::At(_) => Due::Copy,
        }
    }

    fn answering(&mut self, to: Asked) -> Option<&mut Follower> {
        let same = to.installed == self.installed;
        self.followers.get_mut(&to.member).filter(|follower| same && follower.boot == to.boot)
    }

    /// What is to be kept with a message, to know its answer by.
    pub fn asking(&self, member: MemberId) -> Option<Asked> {
        let boot = match self.followers.get(&member) {
            Some(follower) => follower.boot,
            None if member == self.me.member => self.me.boot,
            None => return None,
        };
        Some(Asked { member, boot, installed: self.installed })
    }

    /// A disk, of a follower or the own one, has everything up to a version. Whether that is more than was known.
    pub fn on_disk(&mut self, to: Asked, version: Version) -> bool {
        let known = match self.asking(self.me.member) == Some(to) {
            true => Some(&mut self.on_disk),
            false => self.answering(to).map(|follower| &mut follower.on_disk),
        };
        let Some(known) = known.filter(|known| **known < version) else { return false };
        *known = version;
        true
    }

    /// Whether a disk is still the one that was asked, and without it nothing of a version is acknowledged.
    pub fn still_lacks(&self, to: Asked, version: Version) -> bool {
        self.asking(to.member) == Some(to) && self.lacking_on_disk(version).contains(&to.member)
    }

    /// Whose disks are not known to have a version: of those without which nothing is acknowledged.
    pub fn lacking_on_disk(&self, version: Version) -> Vec<MemberId> {
        let lacks = |follower: &Follower| follower.counts && follower.on_disk < version;
        let followers = self.followers.iter().filter(|(_, follower)| lacks(follower)).map(|(member, _)| *member);
        followers.chain((self.on_disk < version).then_some(self.me.member)).collect()
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
            let behind = tail.holds(version) && tail.goes_on_from(version);
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

#[cfg(test)]
mod tests {
    use super::*;
    use jet_core::Replica;

    fn process(n: u128, boot: u64) -> Process {
        Process { member: MemberId(uuid::Uuid::from_u128(n)), boot: Boot(boot) }
    }

    /// Member 1 leads, 2 is synced, 3 is not.
    fn entry(installed: u64, third_boot: u64) -> PartitionEntry {
        let replica = |process: Process, synced| Replica { member: process.member, boot: process.boot, synced };
        let replicas =
            vec![replica(process(1, 1), true), replica(process(2, 1), true), replica(process(3, third_boot), false)];
        PartitionEntry { installed: TableVersion(installed), changed: TableVersion(installed + third_boot), replicas }
    }

    fn at(installed: u64, seq: u64) -> Version {
        Version { installed: TableVersion(installed), seq }
    }

    fn numbers(members: Vec<MemberId>) -> Vec<u128> {
        members.into_iter().map(|member| member.0.as_u128()).collect()
    }

    #[test]
    fn every_disk_that_counts_is_waited_for_and_an_answer_counts_for_whom_it_was_asked() {
        let me = process(1, 1);
        let mut lead = Lead::begin(PartitionId(0), me, &entry(5, 1));
        let asked = |lead: &Lead, n: u128| lead.asking(process(n, 1).member).unwrap();
        assert_eq!(numbers(lead.lacking_on_disk(at(5, 1))), [2, 1], "who does not count is not waited for");
        lead.on_disk(asked(&lead, 2), at(5, 3));
        lead.on_disk(asked(&lead, 2), at(5, 2));
        lead.on_disk(asked(&lead, 1), at(5, 1));
        assert_eq!(numbers(lead.lacking_on_disk(at(5, 1))), [0_u128; 0]);
        assert_eq!(numbers(lead.lacking_on_disk(at(5, 3))), [1], "what a disk has is not taken back by a later answer");
        assert_eq!(numbers(lead.lacking_on_disk(at(5, 4))), [2, 1]);

        let third = asked(&lead, 3);
        lead.confirmed(third, at(5, 4));
        assert_eq!(numbers(lead.lacking_on_disk(at(5, 1))), [3], "a copy that counts now is waited for");
        lead.on_disk(third, at(5, 4));
        assert_eq!(numbers(lead.lacking_on_disk(at(5, 1))), [0_u128; 0]);
        lead.follow_table(me, &entry(5, 2));
        lead.confirmed(lead.asking(third.member).unwrap(), at(5, 4));
        lead.on_disk(third, at(5, 4));
        assert_eq!(numbers(lead.lacking_on_disk(at(5, 1))), [3], "the disk was asked of a process that is over");

        let mut next = Lead::begin(PartitionId(0), me, &entry(9, 1));
        let told = lead.followers().any(|(member, _)| next.on_disk(lead.asking(member).unwrap(), at(5, 9)));
        assert!(!told, "an answer to an earlier installation is news");
        next.on_disk(lead.asking(me.member).unwrap(), at(5, 9));
        assert_eq!(numbers(next.lacking_on_disk(at(5, 1))), [2, 1], "an answer to an earlier installation counts");
    }

    #[test]
    fn who_leaves_the_table_is_waited_for_no_more() {
        let me = process(1, 1);
        let mut lead = Lead::begin(PartitionId(0), me, &entry(5, 1));
        lead.on_disk(lead.asking(me.member).unwrap(), at(5, 1));
        assert_eq!(numbers(lead.lacking_on_disk(at(5, 1))), [2]);
        let alone = PartitionEntry { replicas: entry(5, 1).replicas[..1].to_vec(), ..entry(5, 1) };
        lead.follow_table(me, &alone);
        assert_eq!(numbers(lead.lacking_on_disk(at(5, 1))), [0_u128; 0]);
    }
}
