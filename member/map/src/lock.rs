//! Locks of keys.
//!
//! The law: a lock has one owner, a thread of a client; until it is free nobody else changes its key, but jobs, whose sinks
//! do not ask, and time. The owner may lock again and has to unlock as often. What was asked under the same reference was
//! asked once; also the last unlocking, for a while, and when somebody else has locked the key since: a client whose
//! connection is lost asks again. Under 0 it has no reference, as of clients that count none, and is asked anew each time. A lock
//! with a lease is free when that is over by the ticks of changes. Locks are replicated and in every
//! copy; they are on no disk: after a return of the whole cluster there are none, as with the original. Must not know: who
//! waits, whether a client is still there.

use bytes::Bytes;
use uuid::Uuid;

use crate::timed::{Ends, NEVER, Timed};

/// A thread of a client.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Owner {
    /// Client.
    pub client: Uuid,
    /// Its thread.
    pub thread: i64,
}

impl Owner {
    /// Somebody who owns no lock.
    pub const NOBODY: Owner = Owner { client: Uuid::nil(), thread: 0 };
    /// Of a request that says no thread. No thread of a client has this number, also not that of a client with one only.
    pub const ANY_THREAD: i64 = i64::MIN;

    /// Whether a lock of this owner bars a change by somebody. A request that says no thread may be of the one that has
    /// locked the key, and its client knows which.
    pub fn bars(self, by: Owner) -> bool {
        self.client != by.client || (self.thread != by.thread && by.thread != Self::ANY_THREAD)
    }
}

/// Of who does not count what it asks.
const NO_REFERENCE: i64 = 0;

/// Milliseconds for which it is remembered who has unlocked a key: longer than a client needs to ask again whose connection
/// was lost.
pub const REMEMBERED: u64 = 60_000;
/// Locks of a partition that have an end, from which on that is remembered of no more keys.
pub const REMEMBERED_MOST: usize = 1_024;

/// One lock, or what is remembered of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lock {
    /// Whose.
    pub owner: Owner,
    /// How often it was locked and not unlocked; 0: it is free, and its owner may ask again for what it was unlocked by.
    pub count: u32,
    /// Until this tick.
    pub until: u64,
    /// The last that was asked of it.
    pub reference: i64,
    /// Who has unlocked the key before, under which reference.
    pub before: Option<(Owner, i64)>,
}

impl Lock {
    /// It is somebody's at this tick.
    pub fn is_held(&self, now: u64) -> bool {
        self.count > 0 && now < self.until
    }

    fn was_asked(&self, reference: i64) -> bool {
        self.reference == reference && reference != NO_REFERENCE
    }
}

impl Ends for Lock {
    fn end(&self) -> u64 {
        self.until
    }
}

/// Locks of one partition.
pub type Locks = Timed<Lock>;

/// What became of unlocking.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unlocked {
    /// It is done.
    Done,
    /// It was done under the same reference.
    AlreadySo,
    /// It is not locked by that owner.
    NotOwner,
}

impl Locks {
    /// The lock of a key as it is at a tick.
    pub fn held(&self, map: &str, key: &[u8], now: u64) -> Option<&Lock> {
        if self.is_empty() {
            return None;
        }
        self.get(map, key).filter(|lock| lock.is_held(now))
    }

    /// Who has unlocked a key, as far as it is remembered.
    fn freed(&self, map: &str, key: &[u8], now: u64) -> Option<(Owner, i64)> {
        let lock = self.get(map, key).filter(|lock| now < lock.until)?;
        if lock.count == 0 { Some((lock.owner, lock.reference)) } else { lock.before }
    }

    /// Somebody other than `by` has locked a key.
    pub fn bars(&self, map: &str, key: &[u8], by: Owner, now: u64) -> bool {
        self.held(map, key, now).is_some_and(|lock| lock.owner.bars(by))
    }

    /// Locks a key, for `lease` milliseconds (0: until it is unlocked). Whether it is the owner's now, and anything is new.
    pub fn lock(&mut self, map: &str, key: &Bytes, asked: (Owner, i64), lease: u64, now: u64) -> Option<bool> {
        let ((owner, reference), until) = (asked, if lease == 0 { NEVER } else { now.saturating_add(lease) });
        let before = self.freed(map, key, now);
        let lock = match self.held(map, key, now) {
            None => Lock { owner, count: 1, until, reference, before },
            Some(held) if held.owner != owner => return None,
            Some(held) if held.was_asked(reference) => return Some(false),
            Some(held) => Lock { count: held.count.saturating_add(1), until, reference, ..*held },
        };
        self.put(map, key, lock);
        Some(true)
    }

    /// Unlocks a key once; without an owner: whoever has locked it, and however often.
    pub fn unlock(&mut self, map: &str, key: &Bytes, asked: Option<(Owner, i64)>, now: u64) -> Unlocked {
        let Some((owner, reference)) = asked else {
            self.take(map, key);
            return Unlocked::Done;
        };
        match self.held(map, key, now).copied() {
            Some(held) if held.owner == owner && held.was_asked(reference) => Unlocked::AlreadySo,
            Some(held) if held.owner == owner => {
                let left = Lock { count: held.count.saturating_sub(1), reference, ..held };
                match left.count {
                    0 if self.ending() < REMEMBERED_MOST => {
                        self.put(map, key, Lock { until: now.saturating_add(REMEMBERED), before: None, ..left });
                    }
                    0 => drop(self.take(map, key)),
                    _ => self.put(map, key, left),
                }
                Unlocked::Done
            }
            _ if reference != NO_REFERENCE && self.freed(map, key, now) == Some((owner, reference)) => {
                Unlocked::AlreadySo
            }
            _ => Unlocked::NotOwner,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_asks_again_to_unlock_is_told_that_it_is_done_also_when_somebody_else_has_the_lock_since() {
        let (one, two) =
            (Owner { client: Uuid::from_u128(1), thread: 7 }, Owner { client: Uuid::from_u128(2), thread: 7 });
        let (mut locks, key) = (Locks::default(), Bytes::from_static(b"k"));
        assert_eq!(locks.lock("m", &key, (one, 1), 0, 0), Some(true));
        assert_eq!(locks.unlock("m", &key, Some((one, 2)), 5), Unlocked::Done);
        assert!(locks.held("m", &key, 5).is_none() && !locks.bars("m", &key, two, 5), "it is free");
        assert_eq!(locks.unlock("m", &key, Some((one, 2)), 6), Unlocked::AlreadySo);
        assert_eq!(locks.unlock("m", &key, Some((one, 3)), 6), Unlocked::NotOwner);
        assert_eq!(locks.unlock("m", &key, Some((two, 2)), 6), Unlocked::NotOwner);
        assert_eq!(locks.lock("m", &key, (two, 1), 0, 7), Some(true));
        assert_eq!(locks.unlock("m", &key, Some((one, 2)), 8), Unlocked::AlreadySo);
        assert!(locks.bars("m", &key, one, 8), "and the lock is the other's");
        assert_eq!(locks.unlock("m", &key, Some((two, 2)), 9), Unlocked::Done);
        assert_eq!(locks.unlock("m", &key, Some((two, 2)), 9 + REMEMBERED - 1), Unlocked::AlreadySo);
        assert_eq!(locks.unlock("m", &key, Some((two, 2)), 9 + REMEMBERED), Unlocked::NotOwner, "not for ever");
        for n in 0..2 * REMEMBERED_MOST {
            let key = Bytes::from(n.to_string());
            locks.lock("m", &key, (one, 1), 0, 10);
            assert_eq!(locks.unlock("m", &key, Some((one, 2)), 10), Unlocked::Done);
        }
        assert_eq!(locks.iter().count(), REMEMBERED_MOST, "nor of all keys");
    }

    #[test]
    fn a_request_that_says_no_thread_is_barred_by_the_locks_of_other_clients_only() {
        let owner = |client, thread| Owner { client: Uuid::from_u128(client), thread };
        let (mut locks, key) = (Locks::default(), Bytes::from_static(b"k"));
        assert_eq!(locks.lock("m", &key, (owner(1, 7), 1), 0, 0), Some(true));
        let barred = |by| locks.bars("m", &key, by, 0);
        assert!(!barred(owner(1, 7)) && !barred(owner(1, Owner::ANY_THREAD)));
        // Go's clients say 0 where they hold no lock: that is a thread as any other.
        assert!(barred(owner(1, 0)) && barred(owner(1, 8)));
        assert!(barred(owner(2, 7)) && barred(owner(2, Owner::ANY_THREAD)) && barred(Owner::NOBODY));
    }
}
