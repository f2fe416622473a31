//! Locks of keys.
//!
//! The law: a lock has one owner, a thread of a client; until it is free nobody else changes its key, but jobs, whose sinks
//! do not ask, and time. The owner may lock again and has to unlock as often. What was asked under the same reference was
//! asked once. A lock with a lease is free when that is over by the ticks of changes. Locks are replicated and in every
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
}

/// One lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lock {
    /// Whose.
    pub owner: Owner,
    /// How often it was locked and not unlocked.
    pub count: u32,
    /// Until this tick.
    pub until: u64,
    /// The last that was asked of it.
    pub reference: i64,
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
        self.get(map, key).filter(|lock| now < lock.until)
    }

    /// Somebody other than `by` has locked a key.
    pub fn bars(&self, map: &str, key: &[u8], by: Owner, now: u64) -> bool {
        self.held(map, key, now).is_some_and(|lock| lock.owner != by)
    }

    /// Locks a key, for `lease` milliseconds (0: until it is unlocked). Whether it is the owner's now, and anything is new.
    pub fn lock(&mut self, map: &str, key: &Bytes, asked: (Owner, i64), lease: u64, now: u64) -> Option<bool> {
        let ((owner, reference), until) = (asked, if lease == 0 { NEVER } else { now.saturating_add(lease) });
        let lock = match self.held(map, key, now) {
            None => Lock { owner, count: 1, until, reference },
            Some(held) if held.owner != owner => return None,
            Some(held) if held.reference == reference => return Some(false),
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
            Some(held) if held.owner == owner && held.reference == reference => Unlocked::AlreadySo,
            Some(held) if held.owner == owner => {
                match held.count {
                    0 | 1 => drop(self.take(map, key)),
                    count => self.put(map, key, Lock { count: count - 1, reference, ..held }),
                }
                Unlocked::Done
            }
            _ => Unlocked::NotOwner,
        }
    }
}
