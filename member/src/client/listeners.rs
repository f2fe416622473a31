//! What one connection listens to in maps, and how it is told.
//!
//! Laws. *Each once*: a listener hears of what this member leads, since clients ask each member; one that asks here alone
//! hears of all of them, and is answered when all know of it. *As it asked*: of the kinds of its flags,
//! with values or without, under the correlation of the request that registered it. *Bounded*: events wait in the queue of
//! the connection, of [`EVENTS_MOST`] bytes, and are written only while there is room; at the bound the client is cut off, and
//! registers anew. Must not know: sockets, why something changed.

use std::collections::BTreeMap;
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use futures::future::BoxFuture;
use jet_map::{MapEvent, What};
use jet_protocol::data::Data;
use jet_protocol::error::ErrorCode;
use jet_protocol::frames::TooLong;
use jet_protocol::message::map::{add_entry_listener, add_entry_listener_to_key, event_type};
use jet_protocol::message::{client, put_event};
use tracing::error;
use uuid::Uuid;

use super::connection::EVENTS_MOST;
use super::fault::Fault;
use super::maps::Maps;
use super::near_cache::{Chain, Near};
use super::objects::{MADE, MAP_SERVICE};
use super::values::{looked_for, told};
use crate::map::{Emptied, Heard, Hearing, Kinds, Lost, Wish};

/// What one connection may listen to at a time.
pub const LISTENERS_MOST: usize = 1_000;

/// What a listener of entries asked for.
pub struct Entries<'a> {
    /// Of this map.
    pub map: &'a str,
    /// Of this key.
    pub key: Option<&'a Data>,
    /// Values are told.
    pub include_value: bool,
    /// Which kinds, see [`event_type`].
    pub flags: i32,
    /// Of this member alone.
    pub local_only: bool,
}

/// A listener that was registered.
pub struct Registered {
    /// Its name.
    pub registration: Uuid,
    /// It is there when this is over; none: it is.
    pub known: Option<BoxFuture<'static, ()>>,
}

/// How a listener is told.
enum Form {
    /// Of entries.
    Entries { include_value: bool, of_key: bool },
    /// Of what a near cache may not hold any more.
    Near(Chain),
    /// Of maps that come and go.
    Objects,
    /// Of what never happens here.
    Silent,
}

struct Listener {
    correlation: i64,
    map: String,
    form: Form,
}

/// All that one connection listens to.
pub struct Listeners {
    maps: Maps,
    member: Uuid,
    hearing: Hearing,
    near: Near,
    registered: BTreeMap<Uuid, Listener>,
}

impl Listeners {
    /// Nothing yet; of a member, in one activation of the cluster.
    pub fn new(maps: Maps, member: Uuid, cluster: Uuid) -> Self {
        let (hearing, near) = (maps.hearing(EVENTS_MOST), Near::new(maps.clone(), cluster));
        Self { maps, member, hearing, near, registered: BTreeMap::new() }
    }

    fn add(&mut self, correlation: i64, form: Form, wish: Option<(Wish, bool)>) -> Result<Registered, Fault> {
        if self.registered.len() >= LISTENERS_MOST {
            let why = format!("this connection listens to {LISTENERS_MOST} things already: remove some listeners");
            return Err(Fault::new(ErrorCode::Overload, why));
        }
        let registration = Uuid::new_v4();
        let map = wish.as_ref().map(|(wish, _)| wish.map.clone()).unwrap_or_default();
        let mut known = None;
        match wish {
            None => {}
            Some((wish, true)) => self.hearing.listen(registration, wish),
            Some((wish, false)) => {
                let everywhere = self.maps.listen_everywhere(&mut self.hearing, registration, wish);
                known = Some(Box::pin(everywhere) as BoxFuture<'static, ()>);
            }
        }
        self.registered.insert(registration, Listener { correlation, map, form });
        Ok(Registered { registration, known })
    }

    /// Of what never happens here.
    pub fn silent(&mut self, correlation: i64) -> Result<Registered, Fault> {
        self.add(correlation, Form::Silent, None)
    }

    /// Of entries of a map.
    pub fn entries(&mut self, correlation: i64, asked: &Entries<'_>) -> Result<Registered, Fault> {
        let wish = Wish {
            map: self.maps.named(asked.map)?,
            key: asked.key.map(looked_for).transpose()?.map(|key| Bytes::copy_from_slice(&key)),
            what: kinds(asked.flags),
            emptied: Emptied::AsAWhole,
        };
        let (include_value, of_key) = (asked.include_value, asked.key.is_some());
        self.add(correlation, Form::Entries { include_value, of_key }, Some((wish, asked.local_only)))
    }

    /// Of what a near cache of a map may not hold any more.
    pub fn near_cache(&mut self, correlation: i64, map: &str, local_only: bool) -> Result<Registered, Fault> {
        let wish = Wish { map: self.maps.named(map)?, key: None, what: kinds(ANY), emptied: Emptied::ByPartition };
        self.add(correlation, Form::Near(Chain::begin()), Some((wish, local_only)))
    }

    /// How far the invalidations of these maps are, of the partitions that a member leads.
    pub fn near_cache_metadata(&self, member: Uuid, names: &[String]) -> super::near_cache::Metadata {
        let chains = |name: &str| {
            let of_map = self.registered.values().filter(|listener| listener.map == name);
            of_map
                .filter_map(|listener| if let Form::Near(chain) = &listener.form { Some(chain) } else { None })
                .next_back()
        };
        self.near.metadata(member, names, chains)
    }

    /// Of maps that come and go.
    pub fn objects(&mut self, correlation: i64, local_only: bool) -> Result<Registered, Fault> {
        let what = Kinds::of([What::Added, What::Removed]);
        let wish = Wish { map: MADE.into(), key: None, what, emptied: Emptied::AsAWhole };
        self.add(correlation, Form::Objects, Some((wish, local_only)))
    }

    /// Not any more. Whether it was there.
    pub fn remove(&mut self, registration: Uuid) -> bool {
        self.hearing.forget(registration);
        self.registered.remove(&registration).is_some()
    }

    /// Writes what is heard next.
    pub fn poll_told(&mut self, cx: &mut Context<'_>, out: &mut BytesMut) -> Poll<Result<(), Lost>> {
        let heard = std::task::ready!(self.hearing.poll_next(cx))?;
        // One that was removed meanwhile is told nothing more.
        if let Some(listener) = self.registered.get_mut(&heard.listener)
            && let Err(too_long) = tell(listener, &heard, self.member, &self.near, out)
        {
            error!(%too_long, "a client cannot be told of an event, and is cut off");
            return Poll::Ready(Err(Lost { most: EVENTS_MOST }));
        }
        Poll::Ready(Ok(()))
    }
}

fn tell(listener: &mut Listener, heard: &Heard, member: Uuid, near: &Near, out: &mut BytesMut) -> Result<(), TooLong> {
    let (correlation, event) = (listener.correlation, heard.event.as_ref());
    match &mut listener.form {
        Form::Silent => Ok(()),
        Form::Near(chain) => {
            near.invalidation(chain, heard, member).map_or(Ok(()), |told| put_event(&told, correlation, out))
        }
        Form::Objects => put_event(&object_changed(event, member), correlation, out),
        Form::Entries { include_value, of_key } => {
            let told = entry(event, *include_value, member);
            match of_key {
                true => put_event(&to_key(told), correlation, out),
                false => put_event(&told, correlation, out),
            }
        }
    }
}

/// Every bit of [`event_type`].
const ANY: i32 = i32::MAX;

fn kinds(flags: i32) -> Kinds {
    Kinds::of(What::ALL.into_iter().filter(|what| kind(*what) & flags != 0))
}

/// As which kind something is told.
fn kind(what: What) -> i32 {
    match what {
        What::Added => event_type::ADDED,
        What::Updated => event_type::UPDATED,
        What::Removed => event_type::REMOVED,
        What::Evicted => event_type::EVICTED,
        What::Expired => event_type::EXPIRED,
        What::AllEvicted => event_type::EVICT_ALL,
        What::Cleared => event_type::CLEAR_ALL,
    }
}

fn entry(event: &MapEvent, include_value: bool, member: Uuid) -> add_entry_listener::Entry {
    let value = |value: &Option<Bytes>| value.clone().filter(|_| include_value).map(told);
    add_entry_listener::Entry {
        event_type: kind(event.what),
        member,
        affected: i32::try_from(event.count).unwrap_or(i32::MAX),
        key: event.key.clone().map(told),
        value: value(&event.new),
        former: value(&event.old),
        merging: None,
    }
}

fn to_key(entry: add_entry_listener::Entry) -> add_entry_listener_to_key::Entry {
    let add_entry_listener::Entry { event_type, member, affected, key, value, former, merging } = entry;
    add_entry_listener_to_key::Entry { event_type, member, affected, key, value, former, merging }
}

fn object_changed(event: &MapEvent, source: Uuid) -> client::add_distributed_object_listener::DistributedObjectChanged {
    let name = String::from_utf8_lossy(event.key.as_deref().unwrap_or_default()).into_owned();
    let change = if event.what == What::Added { "CREATED" } else { "DESTROYED" };
    client::add_distributed_object_listener::DistributedObjectChanged {
        source,
        name: name.into(),
        service: MAP_SERVICE.into(),
        change: change.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_are_the_kinds_that_they_name() {
        assert_eq!(kinds(event_type::ADDED | event_type::REMOVED), Kinds::of([What::Added, What::Removed]));
        assert_eq!(kinds(event_type::EVICTED), Kinds::of([What::Evicted]));
        assert_eq!(kinds(event_type::EXPIRED), Kinds::of([What::Expired]));
        assert_eq!(kinds(event_type::INVALIDATION | event_type::LOADED | event_type::MERGED), Kinds::default());
    }

    #[test]
    fn values_are_told_to_who_asked_for_them() {
        let member = Uuid::from_u128(7);
        let bytes = |text: &'static str| Some(Bytes::from_static(text.as_bytes()));
        let event = MapEvent {
            map: "m".into(),
            what: What::Updated,
            key: bytes("1"),
            old: bytes("2"),
            new: bytes("3"),
            count: 1,
        };
        let with = entry(&event, true, member);
        assert_eq!((with.value, with.former), (bytes("3").map(told), bytes("2").map(told)));
        let without = entry(&event, false, member);
        assert_eq!((without.key, without.value, without.former), (bytes("1").map(told), None, None));
    }
}
