//! Requests to one key, as the question or change that each becomes.
//!
//! Law: a change says who asks, client and thread, so that the owner of a lock is known; what a request leaves open the
//! configuration of the map says. Must not know: how an answer is written.

use std::time::Duration;

use bytes::Bytes;
use jet_map::{Change, Keyed, Op, Owner, Query, QueryReply, Reply, View, Wished};
use jet_protocol::data::Data;
use jet_protocol::structure::EntryView;
use uuid::Uuid;

use super::fault::Fault;
use super::maps::{Going, LOCKED_WITHIN, Maps, odd};
use super::order::Order;
use super::values::{looked_for, stored, told};

/// A lock is waited for so long at the member; the client then asks again by itself, under the same reference.
const LOCK_WITHIN: Duration = Duration::from_secs(60);
/// Told of what nobody counts, as in the original without its statistics.
const UNKNOWN: i64 = -1;
/// A time without an end.
const NEVER: i64 = i64::MAX;

/// Where a request goes: a map and a key, and who asks.
pub struct At<'a> {
    /// Map.
    pub name: &'a str,
    /// Key.
    pub key: &'a Data,
    /// Client.
    pub client: Uuid,
    /// Its thread.
    pub thread: i64,
    /// What its connection has sent before.
    pub order: &'a Order,
}

impl At<'_> {
    fn owner(&self) -> Owner {
        Owner { client: self.client, thread: self.thread }
    }
}

/// How long an entry may live, as clients say it.
#[derive(Clone, Copy)]
pub struct Lives {
    /// Milliseconds; below zero: as the map says.
    pub ttl: i64,
    /// Milliseconds; below zero: as the map says.
    pub idle: i64,
}

impl Lives {
    /// As the map says.
    pub const AS_CONFIGURED: Self = Self { ttl: UNKNOWN, idle: UNKNOWN };

    /// So long since it was written.
    pub fn ttl(ttl: i64) -> Self {
        Self { ttl, ..Self::AS_CONFIGURED }
    }

    /// As a change wishes it.
    pub fn wished(self) -> Wished {
        let wished = |millis: i64| u64::try_from(millis).ok();
        Wished { ttl: wished(self.ttl), idle: wished(self.idle) }
    }
}

/// What is done with values that are still a client's.
pub enum Does<'a> {
    /// See [`Change`].
    Set(&'a Data),
    /// See [`Change`].
    IfAbsent(&'a Data),
    /// See [`Change`].
    IfPresent(&'a Data),
    /// Expected, then new. See [`Change`].
    IfSame(&'a Data, &'a Data),
    /// See [`Change`].
    Remove,
    /// The same for who asks for no value: nobody is told what it was.
    Delete,
    /// See [`Change`].
    RemoveIfSame(&'a Data),
    /// See [`Change`].
    Evict,
    /// See [`Change`].
    Limit,
}

impl Does<'_> {
    fn change(&self) -> Result<Change, Fault> {
        Ok(match self {
            Self::Set(value) => Change::Set(stored(value)?),
            Self::IfAbsent(value) => Change::IfAbsent(stored(value)?),
            Self::IfPresent(value) => Change::IfPresent(stored(value)?),
            Self::IfSame(expected, value) => Change::IfSame { expected: stored(expected)?, value: stored(value)? },
            Self::Remove | Self::Delete => Change::Remove,
            Self::RemoveIfSame(expected) => Change::RemoveIfSame(stored(expected)?),
            Self::Evict => Change::Evict,
            Self::Limit => Change::Limit,
        })
    }
}

impl Maps {
    /// A question about a key.
    pub fn question(&self, name: &str, key: &Data, query: fn(String, Bytes) -> Query) -> Going<QueryReply> {
        match self.named(name).and_then(|map| Ok((map, looked_for(key)?))) {
            Ok((map, key)) => self.asks(self.partition_of(&key), query(map, key)),
            Err(fault) => Going::Now(Err(fault)),
        }
    }

    /// A change of a key.
    pub fn keyed(&self, at: &At<'_>, does: &Does<'_>, lives: Lives) -> Going<Reply> {
        match self.change_of(at, does, lives) {
            Ok(keyed) => self.changes_in_order(at, self.partition_of(&keyed.key), keyed),
            Err(fault) => Going::Now(Err(fault)),
        }
    }

    /// The same, where a lock is waited for so long.
    pub fn keyed_within(&self, at: &At<'_>, does: &Does<'_>, lives: Lives, locked: Duration) -> Going<Reply> {
        match self.change_of(at, does, lives) {
            Ok(keyed) => self.changes(self.partition_of(&keyed.key), Op::Keyed(keyed), locked),
            Err(fault) => Going::Now(Err(fault)),
        }
    }

    fn change_of(&self, at: &At<'_>, does: &Does<'_>, lives: Lives) -> Result<Keyed, Fault> {
        let (map, key, change) = (self.named(at.name)?, stored(at.key)?, does.change()?);
        Ok(Keyed { map, key, by: at.owner(), change, limits: lives.wished(), quiet: matches!(does, Does::Delete) })
    }

    /// A key is that owner's alone. Not `within`: it is refused.
    pub fn lock(&self, at: &At<'_>, lease: i64, reference: i64, within: Option<Duration>) -> Going<Reply> {
        let locked = || {
            // Below zero, and the longest that there is: until it is unlocked.
            let lease = u64::try_from(lease).ok().filter(|_| lease != NEVER).unwrap_or(0);
            Ok(Op::Lock { map: self.named(at.name)?, key: stored(at.key)?, owner: at.owner(), reference, lease })
        };
        self.locks(locked(), at, within.unwrap_or(LOCK_WITHIN))
    }

    /// A key is unlocked once by who has locked it, or for good by anybody.
    pub fn unlock(&self, at: &At<'_>, reference: i64, by_force: bool) -> Going<Reply> {
        let unlocked = || {
            let asked = (!by_force).then(|| (at.owner(), reference));
            Ok(Op::Unlock { map: self.named(at.name)?, key: stored(at.key)?, asked })
        };
        self.locks(unlocked(), at, LOCKED_WITHIN)
    }

    fn locks(&self, op: Result<Op, Fault>, at: &At<'_>, within: Duration) -> Going<Reply> {
        match op.and_then(|op| Ok((self.partition_of(&looked_for(at.key)?), op))) {
            Ok((partition, op)) => self.changes(partition, op, within),
            Err(fault) => Going::Now(Err(fault)),
        }
    }
}

/// All that is known of an entry, in the words of clients, and how long it may be idle.
pub fn entry_view(reply: QueryReply, key: Data) -> Result<(Option<EntryView>, i64), Fault> {
    let view = match reply {
        QueryReply::View(view) => view,
        other => return Err(odd(&other)),
    };
    let Some(View { value, changes, life, now }) = view else { return Ok((None, UNKNOWN)) };
    let millis = |ticks: u64| i64::try_from(ticks).unwrap_or(NEVER);
    let endless = |limit: u64| if limit == 0 { NEVER } else { millis(limit) };
    let limits = life.map_or((NEVER, NEVER), |life| (endless(life.limits.ttl), endless(life.limits.idle)));
    // Members count no time of day: how long it has still to live is told as of this moment's.
    let ends = life.map(|life| jet_map::timed::Ends::end(&life)).filter(|end| *end != jet_map::timed::NEVER);
    let expiration_time = ends.map_or(NEVER, |end| clock().saturating_add(millis(end.saturating_sub(now))));
    let view = EntryView {
        cost: 0,
        creation_time: UNKNOWN,
        expiration_time,
        hits: UNKNOWN,
        last_access_time: UNKNOWN,
        last_stored_time: UNKNOWN,
        last_update_time: UNKNOWN,
        version: i64::from(changes),
        ttl: limits.0,
        max_idle: limits.1,
        key,
        value: told(value),
    };
    Ok((Some(view), limits.1))
}

/// The time of day, which decides nothing.
fn clock() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.ok().and_then(|since| i64::try_from(since.as_millis()).ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_client_leaves_open_is_left_open_and_zero_is_for_ever() {
        assert_eq!(Lives::ttl(-1).wished(), Wished::default());
        assert_eq!(Lives { ttl: 0, idle: 7 }.wished(), Wished { ttl: Some(0), idle: Some(7) });
    }
}
