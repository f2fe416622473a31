//! What one member wants to hear of another, for its clients with a single connection, and what it is told.
//!
//! The law: as in [`crate::wire`]. Must not know: who listens.

use bytes::Bytes;
use prost::Message;
use uuid::Uuid;

use super::keyed::uuid_of;
use super::op::missing;
use crate::{MapEvent, PartitionId, Refusal, TableVersion, What};

/// Somebody who listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listening {
    /// Its name at the member that asks.
    pub id: Uuid,
    /// To this map.
    pub map: String,
    /// To this key of it.
    pub key: Option<Bytes>,
    /// To these kinds.
    pub what: Vec<What>,
    /// An emptied map is told by partition.
    pub by_partition: bool,
}

/// Something that it is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// Who.
    pub listener: Uuid,
    /// Partition and installation; none: of the map as a whole.
    pub from: Option<(PartitionId, TableVersion)>,
    /// What.
    pub event: MapEvent,
}

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hear {
    /// Grows with what is listened to.
    pub number: u64,
    /// Who listens to what, if the other does not know that yet.
    pub listening: Option<Vec<Listening>>,
    /// The last batch that came.
    pub after: u64,
}

/// What is answered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Heard {
    /// Of what it knows to be listened to.
    pub number: u64,
    /// Of this batch.
    pub batch: u64,
    /// What is told.
    pub told: Vec<Told>,
    /// From here on; what was before is lost, or there was nothing.
    pub begins: bool,
}

#[derive(Clone, PartialEq, Message)]
struct ListeningWire {
    #[prost(bytes = "bytes", tag = "1")]
    id: Bytes,
    #[prost(string, tag = "2")]
    map: String,
    #[prost(bytes = "bytes", optional, tag = "3")]
    key: Option<Bytes>,
    #[prost(uint32, repeated, tag = "4")]
    what: Vec<u32>,
    #[prost(bool, tag = "5")]
    by_partition: bool,
}

#[derive(Clone, PartialEq, Message)]
struct ToldWire {
    #[prost(bytes = "bytes", tag = "1")]
    listener: Bytes,
    #[prost(uint32, optional, tag = "2")]
    partition: Option<u32>,
    #[prost(uint64, tag = "3")]
    installed: u64,
    #[prost(string, tag = "4")]
    map: String,
    #[prost(uint32, tag = "5")]
    what: u32,
    #[prost(bytes = "bytes", optional, tag = "6")]
    key: Option<Bytes>,
    #[prost(bytes = "bytes", optional, tag = "7")]
    old: Option<Bytes>,
    #[prost(bytes = "bytes", optional, tag = "8")]
    new: Option<Bytes>,
    #[prost(uint64, tag = "9")]
    count: u64,
}

/// The question's bytes.
#[derive(Clone, PartialEq, Message)]
pub struct HearWire {
    #[prost(uint64, tag = "1")]
    number: u64,
    #[prost(bool, tag = "2")]
    lists: bool,
    #[prost(message, repeated, tag = "3")]
    listening: Vec<ListeningWire>,
    #[prost(uint64, tag = "4")]
    after: u64,
}

/// The answer's bytes.
#[derive(Clone, PartialEq, Message)]
pub struct HeardWire {
    #[prost(uint64, tag = "1")]
    number: u64,
    #[prost(uint64, tag = "2")]
    batch: u64,
    #[prost(message, repeated, tag = "3")]
    told: Vec<ToldWire>,
    #[prost(bool, tag = "4")]
    begins: bool,
}

const KINDS: [What; 7] =
    [What::Added, What::Updated, What::Removed, What::Evicted, What::Expired, What::AllEvicted, What::Cleared];

fn what(number: u32) -> Result<What, Refusal> {
    KINDS.into_iter().find(|what| *what as u32 == number).ok_or_else(|| missing("known kind of event"))
}

fn bytes(uuid: Uuid) -> Bytes {
    Bytes::copy_from_slice(uuid.as_bytes())
}

impl From<Hear> for HearWire {
    fn from(hear: Hear) -> Self {
        let lists = hear.listening.is_some();
        let listening = hear.listening.unwrap_or_default().into_iter().map(|l| ListeningWire {
            id: bytes(l.id),
            map: l.map,
            key: l.key,
            what: l.what.into_iter().map(|what| what as u32).collect(),
            by_partition: l.by_partition,
        });
        HearWire { number: hear.number, lists, listening: listening.collect(), after: hear.after }
    }
}

impl HearWire {
    pub(super) fn read(self) -> Result<Hear, Refusal> {
        let read = |l: ListeningWire| {
            let kinds = l.what.into_iter().map(what).collect::<Result<_, _>>()?;
            let (id, by_partition) = (uuid_of(&l.id)?, l.by_partition);
            Ok(Listening { id, map: l.map, key: l.key, what: kinds, by_partition })
        };
        let listening = self.listening.into_iter().map(read).collect::<Result<Vec<_>, Refusal>>()?;
        Ok(Hear { number: self.number, listening: self.lists.then_some(listening), after: self.after })
    }
}

impl From<Heard> for HeardWire {
    fn from(heard: Heard) -> Self {
        let told = heard.told.into_iter().map(|told| {
            let MapEvent { map, what, key, old, new, count } = told.event;
            let (partition, installed) =
                (told.from.map(|from| u32::from(from.0.0)), told.from.map_or(0, |from| from.1.0));
            ToldWire {
                listener: bytes(told.listener),
                partition,
                installed,
                map,
                what: what as u32,
                key,
                old,
                new,
                count,
            }
        });
        HeardWire { number: heard.number, batch: heard.batch, told: told.collect(), begins: heard.begins }
    }
}

impl HeardWire {
    pub(super) fn read(self) -> Result<Heard, Refusal> {
        let read = |w: ToldWire| {
            let number = |partition| u16::try_from(partition).map_err(|_| missing("possible partition"));
            let partition = w.partition.map(number).transpose()?;
            let from = partition.map(|partition| (PartitionId(partition), TableVersion(w.installed)));
            let event =
                MapEvent { map: w.map, what: what(w.what)?, key: w.key, old: w.old, new: w.new, count: w.count };
            Ok(Told { listener: uuid_of(&w.listener)?, from, event })
        };
        let told = self.told.into_iter().map(read).collect::<Result<_, Refusal>>()?;
        Ok(Heard { number: self.number, batch: self.batch, told, begins: self.begins })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{Request, Response};

    #[test]
    fn what_is_asked_and_told_comes_as_it_was_sent() {
        let key = Some(Bytes::from_static(b"k"));
        let (id, map) = (Uuid::from_u128(9), || "m".to_owned());
        let listening = Listening { id, map: map(), key: key.clone(), what: KINDS.to_vec(), by_partition: true };
        for listening in [None, Some(vec![]), Some(vec![listening])] {
            let hear = Request::Hear(Hear { number: 3, listening, after: 7 });
            assert_eq!(Request::decode(hear.clone().encode()), Ok(hear));
        }
        let told = KINDS.map(|what| {
            let event = MapEvent { map: map(), what, key: key.clone(), old: None, new: Some(Bytes::new()), count: 4 };
            let from = (what != What::Cleared).then_some((PartitionId(5), TableVersion(6)));
            Told { listener: id, from, event }
        });
        let heard = Response::Heard(Heard { number: 1, batch: 2, told: told.to_vec(), begins: true });
        assert_eq!(Response::decode(heard.clone().encode()), Ok(heard));
    }
}
