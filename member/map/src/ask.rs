//! Answers to questions.
//!
//! The law: a question changes nothing. What is dead at the tick of the question is not there. Where the answer of a key
//! depends on time, it comes with the change that makes it true for whoever leads next: the answer waits for that. Must not
//! know: who asks.

use std::ops::Bound;

use bytes::Bytes;

use crate::entries::before;
use crate::life::Wished;
use crate::lock::Owner;
use crate::op::{Change, Keyed, View};
use crate::timed::Ends;
use crate::{Content, Op, Query, QueryReply, SnapshotId};

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Looked {
    /// What is told.
    pub reply: QueryReply,
    /// What is to be put in order before it is told.
    pub then: Option<Op>,
}

impl From<QueryReply> for Looked {
    fn from(reply: QueryReply) -> Self {
        Looked { reply, then: None }
    }
}

impl Content {
    /// Answers a question as of the last change.
    pub fn ask(&self, query: &Query) -> QueryReply {
        self.look(query, self.now).reply
    }

    /// Answers a question at a tick.
    pub fn look(&self, query: &Query, now: u64) -> Looked {
        match query {
            Query::Get { map, key } => {
                let (there, then) = self.alive(map, key, now);
                Looked { reply: QueryReply::Value(there.then(|| self.value(map, key).cloned()).flatten()), then }
            }
            Query::ContainsKey { map, key } => {
                let (there, then) = self.alive(map, key, now);
                Looked { reply: QueryReply::Was(there && self.value(map, key).is_some()), then }
            }
            Query::View { map, key } => {
                let (there, then) = self.alive(map, key, now);
                Looked { reply: QueryReply::View(there.then(|| self.view(map, key, now)).flatten()), then }
            }
            Query::ContainsValue { map, value } => {
                QueryReply::Was(self.living(map, None, now).any(|(_, _, held)| held == value)).into()
            }
            Query::GetAll { map, keys } => {
                let there = keys.iter().filter(|key| !self.is_dead(map, key, now));
                let entries = there.filter_map(|key| Some((key.clone(), self.value(map, key)?.clone())));
                QueryReply::Page { entries: entries.collect(), next: None }.into()
            }
            Query::IsLocked { map, key } => QueryReply::Was(self.locks.held(map, key, now).is_some()).into(),
            Query::Size { map } => QueryReply::Size(self.size(map, now)).into(),
            Query::Scan { map, from, bytes } => self.scan(map, *from, *bytes as usize, now).into(),
            Query::Keys { map, from, bytes } => self.keys(map, *from, *bytes as usize, now).into(),
            Query::Maps => QueryReply::Names(self.maps.keys().cloned().collect()).into(),
            Query::SnapshotParts { id, after, bytes } => self.parts(*id, *after, *bytes as usize).into(),
            Query::LastCommit { job } => QueryReply::Commit(self.last_commit(*job).cloned()).into(),
            Query::Marker { job } => QueryReply::Marker(self.markers.get(job).copied()).into(),
        }
    }

    /// Whether a key is not dead, and what a read of it has to put in order.
    fn alive(&self, map: &str, key: &Bytes, now: u64) -> (bool, Option<Op>) {
        if self.lives.is_empty() {
            return (true, None);
        }
        let dead = self.is_dead(map, key, now);
        let put_off = || self.lives.get(map, key).is_some_and(|life| life.is_put_off(now));
        let touch = || {
            Op::Keyed(Keyed {
                map: map.to_owned(),
                key: key.clone(),
                by: Owner::NOBODY,
                change: Change::Touch,
                limits: Wished::default(),
                quiet: true,
            })
        };
        (!dead, (dead || put_off()).then(touch))
    }

    fn view(&self, map: &str, key: &Bytes, now: u64) -> Option<View> {
        let entry = self.maps.get(map)?.get(key)?;
        let life = self.lives.get(map, key).copied();
        Some(View { value: entry.value.clone(), changes: entry.changes, life, now })
    }

    fn size(&self, map: &str, now: u64) -> u64 {
        let all = self.maps.get(map).map_or(0, |entries| entries.len());
        let over = self.lives.over(now).filter(|(of, key)| *of == map && self.is_dead(map, key, now));
        (all - over.count()) as u64
    }

    /// Entries of a map that live, before a place, the last first.
    pub(crate) fn living<'a>(
        &'a self,
        map: &'a str,
        place: Option<u32>,
        now: u64,
    ) -> impl Iterator<Item = (u32, &'a Bytes, &'a Bytes)> {
        let mortal = self.lives.of_map(map);
        let dead = move |key: &Bytes| {
            mortal.is_some_and(|mortal| mortal.get(key).is_some_and(|life| life.end() <= now))
                && self.is_dead(map, key, now)
        };
        let place = place.map(|place| place as usize);
        let entries = self.maps.get(map).into_iter().flat_map(move |all| before(all, place));
        let number = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
        entries.filter(move |(_, key, _)| !dead(key)).map(move |(at, key, entry)| (number(at), key, &entry.value))
    }

    fn scan(&self, map: &str, from: Option<u32>, bound: usize, now: u64) -> QueryReply {
        let (mut entries, mut bytes, mut next) = (Vec::new(), 0, None);
        for (at, key, value) in self.living(map, from, now) {
            if !entries.is_empty() && bytes >= bound {
                next = Some(at + 1);
                break;
            }
            bytes += key.len() + value.len();
            entries.push((key.clone(), value.clone()));
        }
        QueryReply::Page { entries, next }
    }

    fn keys(&self, map: &str, from: Option<u32>, bound: usize, now: u64) -> QueryReply {
        let (mut keys, mut bytes, mut next) = (Vec::new(), 0, None);
        for (at, key, _) in self.living(map, from, now) {
            if !keys.is_empty() && bytes >= bound {
                next = Some(at + 1);
                break;
            }
            bytes += key.len();
            keys.push(key.clone());
        }
        QueryReply::Keys { keys, next }
    }

    fn parts(&self, id: SnapshotId, after: Option<(u32, u32)>, bound: usize) -> QueryReply {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let (mut parts, mut bytes, mut more) = (Vec::new(), 0, false);
        for (at, part) in self.snapshots.get(&id).into_iter().flat_map(|all| all.range((from, Bound::Unbounded))) {
            if !parts.is_empty() && bytes + part.len() > bound {
                more = true;
                break;
            }
            bytes += part.len();
            parts.push((at.0, at.1, part.clone()));
        }
        QueryReply::Parts { parts, more }
    }
}
