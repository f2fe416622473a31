//! Answers to questions.
//!
//! The law: a question changes nothing. What is dead at the tick of the question is not there. Where the answer of a key
//! depends on time, it comes with the change that makes it true for whoever leads next: the answer waits for that. Must not
//! know: who asks.

use std::ops::Bound;

use bytes::Bytes;

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
                QueryReply::Was(self.living(map, None, now).any(|(_, held)| held == value)).into()
            }
            Query::GetAll { map, keys } => {
                let there = keys.iter().filter(|key| !self.is_dead(map, key, now));
                let entries = there.filter_map(|key| Some((key.clone(), self.value(map, key)?.clone())));
                QueryReply::Page { entries: entries.collect(), more: false }.into()
            }
            Query::IsLocked { map, key } => QueryReply::Was(self.locks.held(map, key, now).is_some()).into(),
            Query::Size { map } => QueryReply::Size(self.size(map, now)).into(),
            Query::Scan { map, after, bytes } => self.scan(map, after.as_ref(), *bytes as usize, now).into(),
            Query::Keys { map, after, bytes } => self.keys(map, after.as_ref(), *bytes as usize, now).into(),
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

    /// Entries of a map that live, after a key, in order of keys.
    pub(crate) fn living<'a>(
        &'a self,
        map: &'a str,
        after: Option<&Bytes>,
        now: u64,
    ) -> impl Iterator<Item = (&'a Bytes, &'a Bytes)> {
        let from = after.map_or(Bound::Unbounded, |key| Bound::Excluded(key.clone()));
        let mortal = self.lives.of_map(map);
        let dead = move |key: &Bytes| {
            mortal.is_some_and(|mortal| mortal.get(key).is_some_and(|life| life.end() <= now))
                && self.is_dead(map, key, now)
        };
        let entries = self.maps.get(map).into_iter().flat_map(move |all| all.range((from.clone(), Bound::Unbounded)));
        entries.filter(move |(key, _)| !dead(key)).map(|(key, entry)| (key, &entry.value))
    }

    fn scan(&self, map: &str, after: Option<&Bytes>, bound: usize, now: u64) -> QueryReply {
        let (mut entries, mut bytes, mut more) = (Vec::new(), 0, false);
        for (key, value) in self.living(map, after, now) {
            if !entries.is_empty() && bytes >= bound {
                more = true;
                break;
            }
            bytes += key.len() + value.len();
            entries.push((key.clone(), value.clone()));
        }
        QueryReply::Page { entries, more }
    }

    fn keys(&self, map: &str, after: Option<&Bytes>, bound: usize, now: u64) -> QueryReply {
        let (mut keys, mut bytes, mut more) = (Vec::new(), 0, false);
        for (key, _) in self.living(map, after, now) {
            if !keys.is_empty() && bytes >= bound {
                more = true;
                break;
            }
            bytes += key.len();
            keys.push(key.clone());
        }
        QueryReply::Keys { keys, more }
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
