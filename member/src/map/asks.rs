//! Which disk is to be asked for which partitions, and when: one question to each disk at a time, of all partitions that
//! somebody waits for by then.
//!
//! Law: what was not there yet is asked for again after [`AGAIN_AFTER`] and not before, however often somebody wants it;
//! what is wanted while a question is on its way is in the next. Must not know: how it is asked, who waits.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jet_core::{MemberId, PartitionId};
use tokio::sync::Notify;
use tokio::time::Instant;

/// A disk that did not have something yet is asked for it again after this.
pub const AGAIN_AFTER: Duration = Duration::from_millis(50);

/// All of them.
#[derive(Default)]
pub struct Asks {
    disks: BTreeMap<MemberId, Disk>,
}

/// One disk of which something is wanted.
#[derive(Default)]
struct Disk {
    /// Each partition with the moment before which it is not asked for.
    wanted: BTreeMap<PartitionId, Instant>,
    more: Arc<Notify>,
}

/// What whoever asks a disk does next.
pub enum Next {
    /// Asks for these.
    Ask(Vec<PartitionId>),
    /// Waits until then, or until more is wanted.
    Wait(Instant, Arc<Notify>),
    /// Ends: the next that wants something begins anew.
    End,
}

impl Asks {
    /// A partition is wanted on a disk. `true`: nobody asks that disk yet, and the caller sees to it.
    pub fn want(&mut self, disk: MemberId, partition: PartitionId, now: Instant) -> bool {
        let begins = !self.disks.contains_key(&disk);
        let disk = self.disks.entry(disk).or_default();
        disk.wanted.entry(partition).or_insert(now);
        disk.more.notify_one();
        begins
    }

    /// For whoever asks this disk.
    pub fn next(&mut self, member: MemberId, now: Instant) -> Next {
        let Some(disk) = self.disks.get_mut(&member) else { return Next::End };
        let due: Vec<_> =
            disk.wanted.iter().filter(|(_, from)| **from <= now).map(|(partition, _)| *partition).collect();
        if due.is_empty() {
            return match disk.wanted.values().min() {
                Some(first) => Next::Wait(*first, disk.more.clone()),
                None => {
                    self.disks.remove(&member);
                    Next::End
                }
            };
        }
        disk.wanted.retain(|_, from| *from > now);
        Next::Ask(due)
    }

    /// The disk did not have this partition yet.
    pub fn was_not_there(&mut self, disk: MemberId, partition: PartitionId, now: Instant) {
        if let Some(disk) = self.disks.get_mut(&disk) {
            disk.wanted.insert(partition, now + AGAIN_AFTER);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(n: u128) -> MemberId {
        MemberId(uuid::Uuid::from_u128(n))
    }

    fn asked(next: Next) -> Vec<u16> {
        match next {
            Next::Ask(partitions) => partitions.into_iter().map(|partition| partition.0).collect(),
            Next::Wait(..) => panic!("it waits"),
            Next::End => panic!("it ends"),
        }
    }

    #[test]
    fn one_question_has_all_that_is_wanted_of_a_disk_and_the_next_what_came_meanwhile() {
        let (mut asks, now, p) = (Asks::default(), Instant::now(), PartitionId);
        assert!(asks.want(member(1), p(4), now), "nobody asks that disk yet");
        assert!(!asks.want(member(1), p(2), now) && !asks.want(member(1), p(4), now));
        assert!(asks.want(member(2), p(9), now), "another disk is asked by another");
        assert_eq!(asked(asks.next(member(1), now)), [2, 4]);
        assert!(!asks.want(member(1), p(7), now), "its question is on its way");
        assert_eq!(asked(asks.next(member(1), now)), [7]);
        assert!(matches!(asks.next(member(1), now), Next::End));
        assert!(asks.want(member(1), p(7), now), "who asked has ended");
    }

    #[test]
    fn what_was_not_there_is_asked_for_again_later_and_holds_nothing_else_up() {
        let (mut asks, now, p) = (Asks::default(), Instant::now(), PartitionId);
        asks.want(member(1), p(4), now);
        assert_eq!(asked(asks.next(member(1), now)), [4]);
        // Also where somebody wanted it meanwhile.
        asks.want(member(1), p(4), now);
        asks.was_not_there(member(1), p(4), now);
        asks.want(member(1), p(4), now);
        match asks.next(member(1), now) {
            Next::Wait(until, _) => assert_eq!(until, now + AGAIN_AFTER),
            Next::Ask(partitions) => panic!("{partitions:?} are asked for at once"),
            Next::End => panic!("it ends"),
        }
        asks.want(member(1), p(5), now);
        assert_eq!(asked(asks.next(member(1), now)), [5]);
        assert_eq!(asked(asks.next(member(1), now + AGAIN_AFTER)), [4]);
        assert!(matches!(asks.next(member(1), now + AGAIN_AFTER), Next::End));
    }
}
