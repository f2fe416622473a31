//! Changes of entries that the log gets at once.
//!
//! The law: a dead entry is buried before anything else is done with its key; a key that somebody else has locked is not
//! changed; what a change answers is told by the content and the tick alone. Setting limits writes the entry again, as a put
//! of what it holds. Sinks of jobs do not ask for locks, and their values live for ever. Must not know: who asks.

use std::collections::BTreeSet;

use bytes::Bytes;

use crate::event::{Events, What};
use crate::life::{Life, Limits, Wished, keep, kept};
use crate::lock::{Lock, Owner, Unlocked};
use crate::op::{Change, Keyed};
use crate::timed::Ends;
use crate::{Content, LogRecord, Refusal, Reply};

/// What a change does besides.
#[derive(Debug, Default)]
pub(crate) struct Effects {
    /// For the log.
    pub log: Vec<LogRecord>,
    /// For those who listen.
    pub events: Events,
}

impl Content {
    /// Whether time is over for an entry. One that is locked lives on.
    pub(crate) fn is_dead(&self, map: &str, key: &[u8], now: u64) -> bool {
        !self.lives.is_empty()
            && self.lives.get(map, key).is_some_and(|life| life.end() <= now)
            && self.locks.held(map, key, now).is_none()
    }

    pub(crate) fn limits(&self, map: &str, key: &[u8]) -> Limits {
        if self.lives.is_empty() {
            return Limits::NONE;
        }
        self.lives.get(map, key).map_or(Limits::NONE, |life| life.limits)
    }

    /// An entry as the log keeps it.
    pub(crate) fn kept_form(&self, map: &str, key: &Bytes) -> Option<Bytes> {
        Some(keep(self.value(map, key)?, self.limits(map, key)))
    }

    pub(crate) fn value(&self, map: &str, key: &[u8]) -> Option<&Bytes> {
        Some(&self.maps.get(map)?.get(key)?.value)
    }

    /// Sets a value with its limits, in RAM only; a life that it had goes on or ends.
    pub(crate) fn set_with(&mut self, map: &str, key: &Bytes, value: Bytes, limits: Limits) -> Option<Bytes> {
        let before = if self.lives.is_empty() { None } else { self.lives.get(map, key).copied() };
        let old = self.set(map, key, Some(value));
        if limits.is_mortal() {
            self.lives.put(map, key, Life::begin(limits, self.now, before.as_ref()));
        }
        old
    }

    /// Sets what the log keeps, or removes, in RAM only.
    pub(crate) fn set_kept(&mut self, map: &str, key: &Bytes, value: Option<Bytes>) -> Option<Bytes> {
        match value.map(kept) {
            Some((value, limits)) => self.set_with(map, key, value, limits),
            None => self.set(map, key, None),
        }
    }

    pub(crate) fn refuse_barred(&self, map: &str, key: &[u8], by: Owner) -> Result<(), Refusal> {
        match self.locks.bars(map, key, by, self.now) {
            true => Err(Refusal::Locked { map: map.to_owned() }),
            false => Ok(()),
        }
    }

    /// The record of the write comes before what says that it is later: a log that is cut between them has a write less.
    pub(crate) fn put(&mut self, to: (&str, &Bytes), value: &Bytes, limits: Limits, fx: &mut Effects) -> Option<Bytes> {
        let (map, key) = to;
        self.bury(map, key, fx);
        fx.log.push(LogRecord::Put { map: map.into(), key: key.clone(), value: keep(value, limits) });
        let jobs = self.pending.superseded(map, key);
        self.note_later(jobs, map, Some(key), &mut fx.log);
        let old = self.set_with(map, key, value.clone(), limits);
        fx.events.note_set(map, key, old.as_ref(), value);
        old
    }

    pub(crate) fn put_all(
        &mut self,
        map: &str,
        entries: &[(Bytes, Bytes)],
        by: Owner,
        wished: Wished,
        fx: &mut Effects,
    ) -> Result<Reply, Refusal> {
        for (key, _) in entries {
            self.refuse_barred(map, key, by)?;
        }
        for (key, value) in entries {
            self.put((map, key), value, wished.or(Limits::NONE), fx);
        }
        Ok(Reply::Done)
    }

    /// Removes a key. The log gets it also where RAM has nothing: a disk may show what a sink has removed since.
    pub(crate) fn take_out(&mut self, map: &str, key: &Bytes, what: What, fx: &mut Effects) -> Option<Bytes> {
        fx.log.push(LogRecord::Remove { map: map.into(), key: key.clone() });
        let jobs = self.pending.superseded(map, key);
        self.note_later(jobs, map, Some(key), &mut fx.log);
        let old = self.set(map, key, None);
        if old.is_some() {
            fx.events.note(what, map, key, old.as_ref(), None);
        }
        old
    }

    /// The same for somebody who asks for no value: nobody is told what it was. Whether there was one.
    fn take_out_quietly(&mut self, map: &str, key: &Bytes, fx: &mut Effects) -> bool {
        let wanted = std::mem::take(&mut fx.events.wanted);
        let was = self.take_out(map, key, What::Removed, fx).is_some();
        fx.events.wanted = wanted;
        if was {
            fx.events.note(What::Removed, map, key, None, None);
        }
        was
    }

    pub(crate) fn bury(&mut self, map: &str, key: &Bytes, fx: &mut Effects) {
        if self.is_dead(map, key, self.now) {
            self.take_out(map, key, What::Expired, fx);
        }
    }

    /// Removes all keys of a map that are not locked. Answers how many went; the dead do not count.
    pub(crate) fn clear(&mut self, map: &str, what: What, fx: &mut Effects) -> Reply {
        let now = self.now;
        let dead: Vec<Bytes> = self.lives.over(now).filter(|(of, _)| *of == map).map(|(_, key)| key.clone()).collect();
        dead.iter().for_each(|key| self.bury(map, key, fx));
        let locked: BTreeSet<Bytes> = self
            .locks
            .of_map(map)
            .into_iter()
            .flatten()
            .filter(|(_, lock)| lock.is_held(now))
            .map(|(key, _)| key.clone())
            .collect();
        if locked.is_empty() {
            let gone = self.maps.remove(map).map_or(0, |entries| entries.len() as u64);
            self.lives.take_map(map);
            fx.log.push(LogRecord::ClearMap { map: map.into() });
            let jobs = self.pending.cleared(map);
            self.note_later(jobs, map, None, &mut fx.log);
            fx.events.note_many(what, map, gone);
            return Reply::Count(gone);
        }
        let in_ram = self.maps.get(map).into_iter().flat_map(|entries| entries.keys());
        let on_disk = self.pending.held().filter(|(of, ..)| *of == map).map(|(_, key, _)| key);
        let going: BTreeSet<Bytes> = in_ram.chain(on_disk).filter(|key| !locked.contains(*key)).cloned().collect();
        let mut one_by_one = Effects::default();
        let gone = going.iter().filter(|key| self.take_out(map, key, what, &mut one_by_one).is_some()).count();
        fx.log.append(&mut one_by_one.log);
        fx.events.note_many(what, map, gone as u64);
        Reply::Count(gone as u64)
    }

    /// Removes these keys, but for those that are locked by then.
    pub(crate) fn take_out_all(&mut self, map: &str, keys: &[Bytes], what: What, fx: &mut Effects) -> Reply {
        let mut gone = 0;
        for key in keys {
            self.bury(map, key, fx);
            if self.value(map, key).is_some() && self.locks.held(map, key, self.now).is_none() {
                gone += u64::from(self.take_out(map, key, what, fx).is_some());
            }
        }
        Reply::Count(gone)
    }

    pub(crate) fn keyed(&mut self, op: &Keyed, fx: &mut Effects) -> Result<Reply, Refusal> {
        let (map, key, limits) = (op.map.as_str(), &op.key, op.limits.or(Limits::NONE));
        if !matches!(op.change, Change::Touch) {
            self.refuse_barred(map, key, op.by)?;
        }
        self.bury(map, key, fx);
        let held = match op.change {
            // Found where it is replaced.
            Change::Set(_) => None,
            _ => self.value(map, key).cloned(),
        };
        let told = |previous: Option<Bytes>| if op.quiet { Reply::Done } else { Reply::Previous(previous) };
        Ok(match (&op.change, held) {
            (Change::Set(value), _) => told(self.put((map, key), value, limits, fx)),
            (Change::IfAbsent(value), None) | (Change::IfPresent(value), Some(_)) => {
                Reply::Previous(self.put((map, key), value, limits, fx))
            }
            (Change::IfAbsent(_), held @ Some(_)) => Reply::Previous(held),
            (Change::IfPresent(_), None) => Reply::Previous(None),
            (Change::IfSame { expected, value }, Some(held)) if held == *expected => {
                self.put((map, key), value, limits, fx);
                Reply::Was(true)
            }
            (Change::Remove, _) if op.quiet => Reply::Was(self.take_out_quietly(map, key, fx)),
            (Change::Remove, _) => Reply::Previous(self.take_out(map, key, What::Removed, fx)),
            (Change::RemoveIfSame(expected), Some(held)) if held == *expected => {
                self.take_out(map, key, What::Removed, fx);
                Reply::Was(true)
            }
            (Change::Evict, Some(_)) => Reply::Was(self.take_out(map, key, What::Evicted, fx).is_some()),
            (Change::Limit, Some(held)) => {
                let ttl = op.limits.ttl.unwrap_or(self.limits(map, key).ttl);
                let limits = Limits { ttl, idle: op.limits.idle.unwrap_or(Limits::NONE.idle) };
                self.put((map, key), &held, limits, fx);
                Reply::Was(true)
            }
            (Change::IfSame { .. } | Change::RemoveIfSame(_) | Change::Evict | Change::Limit, _) => Reply::Was(false),
            (Change::Touch, _) => self.touch(map, key),
        })
    }

    fn touch(&mut self, map: &str, key: &Bytes) -> Reply {
        if let Some(life) = self.lives.get(map, key).copied().filter(|life| life.is_put_off(self.now)) {
            self.lives.put(map, key, Life { used: self.now, ..life });
        }
        Reply::Done
    }

    /// Buries what is dead, and frees what is locked no more, those first whose time was over first.
    pub(crate) fn expire(&mut self, most: u32, fx: &mut Effects) -> Reply {
        let (now, most) = (self.now, most as usize);
        let owned = |(map, key): (&str, &Bytes)| (map.to_owned(), key.clone());
        let dead = self.lives.over(now).filter(|(map, key)| self.locks.held(map, key, now).is_none());
        let dead: Vec<_> = dead.take(most).map(owned).collect();
        for (map, key) in &dead {
            self.take_out(map, key, What::Expired, fx);
        }
        let free: Vec<_> = self.locks.over(now).take(most).map(owned).collect();
        for (map, key) in &free {
            self.locks.take(map, key);
        }
        Reply::Count((dead.len() + free.len()) as u64)
    }

    /// Whether there is anything that [`Self::expire`] would take.
    pub fn is_due(&self, now: u64) -> bool {
        self.locks.first_end().is_some_and(|end| end <= now)
            || self.lives.over(now).any(|(map, key)| self.locks.held(map, key, now).is_none())
    }

    pub(crate) fn lock(
        &mut self,
        (map, key): (&str, &Bytes),
        asked: (Owner, i64),
        lease: u64,
        fx: &mut Effects,
    ) -> Result<Reply, Refusal> {
        self.refuse_barred(map, key, asked.0)?;
        // Or what is dead would live again.
        self.bury(map, key, fx);
        match self.locks.lock(map, key, asked, lease, self.now) {
            Some(true) => Ok(Reply::Done),
            Some(false) => Ok(Reply::AlreadySo),
            None => Err(Refusal::Locked { map: map.to_owned() }),
        }
    }

    pub(crate) fn unlock(&mut self, map: &str, key: &Bytes, asked: Option<(Owner, i64)>) -> Result<Reply, Refusal> {
        match self.locks.unlock(map, key, asked, self.now) {
            Unlocked::Done => Ok(Reply::Done),
            Unlocked::AlreadySo => Ok(Reply::AlreadySo),
            Unlocked::NotOwner => Err(Refusal::NotOwner { map: map.to_owned() }),
        }
    }

    pub(crate) fn free_locks(&mut self, client: uuid::Uuid) -> Reply {
        self.locks.retain(|lock: &Lock| lock.owner.client != client);
        Reply::Done
    }
}
