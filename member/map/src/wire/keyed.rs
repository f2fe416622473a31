//! Changes of entries and locks as bytes.
//!
//! The law: as in [`crate::wire`]. Must not know: who sends.

use bytes::Bytes;
use prost::{Message, Oneof};
use uuid::Uuid;

use super::op::missing;
use crate::life::{Life, Limits, Wished};
use crate::lock::{Lock, Owner};
use crate::op::{Change, Keyed};
use crate::{CopyItem, Refusal};

/// See [`Owner`].
#[derive(Clone, PartialEq, Message)]
pub struct OwnerWire {
    #[prost(bytes = "bytes", tag = "1")]
    client: Bytes,
    #[prost(sint64, tag = "2")]
    thread: i64,
}

impl From<Owner> for OwnerWire {
    fn from(owner: Owner) -> Self {
        let client = if owner.client.is_nil() { Bytes::new() } else { Bytes::copy_from_slice(owner.client.as_bytes()) };
        OwnerWire { client, thread: owner.thread }
    }
}

impl OwnerWire {
    /// The owner.
    pub fn read(self) -> Result<Owner, Refusal> {
        let client = if self.client.is_empty() { Uuid::nil() } else { uuid_of(&self.client)? };
        Ok(Owner { client, thread: self.thread })
    }
}

/// The UUID of a client.
pub fn uuid_of(bytes: &[u8]) -> Result<Uuid, Refusal> {
    Uuid::from_slice(bytes).map_err(|_| missing("client"))
}

/// See [`Wished`].
#[derive(Clone, Copy, PartialEq, Message)]
pub struct WishedWire {
    #[prost(uint64, optional, tag = "1")]
    ttl: Option<u64>,
    #[prost(uint64, optional, tag = "2")]
    idle: Option<u64>,
}

impl From<Wished> for WishedWire {
    fn from(wished: Wished) -> Self {
        WishedWire { ttl: wished.ttl, idle: wished.idle }
    }
}

impl From<WishedWire> for Wished {
    fn from(wire: WishedWire) -> Self {
        Wished { ttl: wire.ttl, idle: wire.idle }
    }
}

#[derive(Clone, PartialEq, Message)]
struct SameWire {
    #[prost(bytes = "bytes", tag = "1")]
    expected: Bytes,
    #[prost(bytes = "bytes", tag = "2")]
    value: Bytes,
}

/// Changes that need no value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, prost::Enumeration)]
#[repr(i32)]
enum Plain {
    Remove = 0,
    Evict = 1,
    Limit = 2,
    Touch = 3,
}

#[derive(Clone, PartialEq, Oneof)]
enum What {
    #[prost(bytes = "bytes", tag = "6")]
    Set(Bytes),
    #[prost(bytes = "bytes", tag = "7")]
    IfAbsent(Bytes),
    #[prost(bytes = "bytes", tag = "8")]
    IfPresent(Bytes),
    #[prost(message, tag = "9")]
    IfSame(SameWire),
    #[prost(bytes = "bytes", tag = "10")]
    RemoveIfSame(Bytes),
    #[prost(enumeration = "Plain", tag = "11")]
    Plain(i32),
}

/// See [`Keyed`].
#[derive(Clone, PartialEq, Message)]
pub struct ChangeWire {
    #[prost(string, tag = "1")]
    map: String,
    #[prost(bytes = "bytes", tag = "2")]
    key: Bytes,
    #[prost(message, optional, tag = "3")]
    by: Option<OwnerWire>,
    #[prost(message, optional, tag = "4")]
    limits: Option<WishedWire>,
    #[prost(bool, tag = "5")]
    quiet: bool,
    #[prost(oneof = "What", tags = "6, 7, 8, 9, 10, 11")]
    what: Option<What>,
}

impl From<Keyed> for ChangeWire {
    fn from(op: Keyed) -> Self {
        let plain = |plain: Plain| What::Plain(plain as i32);
        let what = match op.change {
            Change::Set(value) => What::Set(value),
            Change::IfAbsent(value) => What::IfAbsent(value),
            Change::IfPresent(value) => What::IfPresent(value),
            Change::IfSame { expected, value } => What::IfSame(SameWire { expected, value }),
            Change::RemoveIfSame(expected) => What::RemoveIfSame(expected),
            Change::Remove => plain(Plain::Remove),
            Change::Evict => plain(Plain::Evict),
            Change::Limit => plain(Plain::Limit),
            Change::Touch => plain(Plain::Touch),
        };
        let (by, limits) = (Some(op.by.into()), Some(op.limits.into()));
        ChangeWire { map: op.map, key: op.key, by, limits, quiet: op.quiet, what: Some(what) }
    }
}

impl ChangeWire {
    /// The change.
    pub fn read(self) -> Result<Keyed, Refusal> {
        let change = match self.what.ok_or_else(|| missing("kind of change"))? {
            What::Set(value) => Change::Set(value),
            What::IfAbsent(value) => Change::IfAbsent(value),
            What::IfPresent(value) => Change::IfPresent(value),
            What::IfSame(w) => Change::IfSame { expected: w.expected, value: w.value },
            What::RemoveIfSame(expected) => Change::RemoveIfSame(expected),
            What::Plain(plain) => match Plain::try_from(plain).map_err(|_| missing("known kind of change"))? {
                Plain::Remove => Change::Remove,
                Plain::Evict => Change::Evict,
                Plain::Limit => Change::Limit,
                Plain::Touch => Change::Touch,
            },
        };
        let by = self.by.ok_or_else(|| missing("owner"))?.read()?;
        let limits = self.limits.ok_or_else(|| missing("limits"))?.into();
        Ok(Keyed { map: self.map, key: self.key, by, change, limits, quiet: self.quiet })
    }
}

/// Keys that are taken out.
#[derive(Clone, PartialEq, Message)]
pub struct TakeOutWire {
    /// Map.
    #[prost(string, tag = "1")]
    pub map: String,
    /// Keys.
    #[prost(bytes = "bytes", repeated, tag = "2")]
    pub keys: Vec<Bytes>,
    /// To make room.
    #[prost(bool, tag = "3")]
    pub evicted: bool,
}

/// What is asked of a lock.
#[derive(Clone, PartialEq, Message)]
pub struct LockWire {
    /// Map.
    #[prost(string, tag = "1")]
    pub map: String,
    /// Key.
    #[prost(bytes = "bytes", tag = "2")]
    pub key: Bytes,
    /// By whom.
    #[prost(message, optional, tag = "3")]
    pub owner: Option<OwnerWire>,
    /// Under which reference.
    #[prost(sint64, tag = "4")]
    pub reference: i64,
    /// For how long.
    #[prost(uint64, tag = "5")]
    pub lease: u64,
}

/// See [`Life`].
#[derive(Clone, Copy, PartialEq, Message)]
pub struct LifeWire {
    #[prost(uint64, tag = "1")]
    ttl: u64,
    #[prost(uint64, tag = "2")]
    idle: u64,
    #[prost(uint64, tag = "3")]
    created: u64,
    #[prost(uint64, tag = "4")]
    updated: u64,
    #[prost(uint64, tag = "5")]
    used: u64,
}

impl From<Life> for LifeWire {
    fn from(life: Life) -> Self {
        let Life { limits, created, updated, used } = life;
        LifeWire { ttl: limits.ttl, idle: limits.idle, created, updated, used }
    }
}

impl From<LifeWire> for Life {
    fn from(wire: LifeWire) -> Self {
        let limits = Limits { ttl: wire.ttl, idle: wire.idle };
        Life { limits, created: wire.created, updated: wire.updated, used: wire.used }
    }
}

/// Life of an entry in a copy.
#[derive(Clone, PartialEq, Message)]
pub struct LifeItemWire {
    #[prost(string, tag = "1")]
    map: String,
    #[prost(bytes = "bytes", tag = "2")]
    key: Bytes,
    #[prost(message, optional, tag = "3")]
    life: Option<LifeWire>,
}

impl LifeItemWire {
    /// Of an entry.
    pub fn new(map: String, key: Bytes, life: Life) -> Self {
        LifeItemWire { map, key, life: Some(life.into()) }
    }

    /// The item.
    pub fn read(self) -> Result<CopyItem, Refusal> {
        let life = self.life.ok_or_else(|| missing("life"))?.into();
        Ok(CopyItem::Life { map: self.map, key: self.key, life })
    }
}

/// A lock in a copy.
#[derive(Clone, PartialEq, Message)]
pub struct LockItemWire {
    #[prost(message, optional, tag = "1")]
    lock: Option<LockWire>,
    #[prost(uint32, tag = "2")]
    count: u32,
    #[prost(message, optional, tag = "3")]
    before: Option<OwnerWire>,
    #[prost(sint64, tag = "4")]
    before_reference: i64,
}

impl LockItemWire {
    /// Of a key.
    pub fn new(map: String, key: Bytes, lock: Lock) -> Self {
        let owner = Some(lock.owner.into());
        let wire = LockWire { map, key, owner, reference: lock.reference, lease: lock.until };
        let (before, reference) = lock.before.unzip();
        let (before, before_reference) = (before.map(OwnerWire::from), reference.unwrap_or_default());
        LockItemWire { lock: Some(wire), count: lock.count, before, before_reference }
    }

    /// The item.
    pub fn read(self) -> Result<CopyItem, Refusal> {
        let wire = self.lock.ok_or_else(|| missing("lock"))?;
        let owner = wire.owner.ok_or_else(|| missing("owner"))?.read()?;
        let before = self.before.map(OwnerWire::read).transpose()?.map(|owner| (owner, self.before_reference));
        let lock = Lock { owner, count: self.count, until: wire.lease, reference: wire.reference, before };
        Ok(CopyItem::Lock { map: wire.map, key: wire.key, lock })
    }
}
