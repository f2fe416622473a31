//! What a client's near cache may not hold any more.
//!
//! A client counts what it is told: each partition has an id and a sequence, and where one is missing, or the id is another,
//! it drops what it holds of that partition. It also asks now and then how far both are.
//!
//! Laws. *The id is that of an installation*: it follows from the activation of the cluster, the partition and the version
//! under which its primary was installed, so a new primary, which may not know what the one before had not told, is another
//! to every client. *The sequence is that of a registration*: it grows by one with each event that is written, so that none
//! is missing while the connection lives; a registration begins so far above every one before that whoever was away drops
//! what it holds, since nothing was counted for it meanwhile. *In one stream*: how far it is, is said of what was written before
//! that answer. *A map that is emptied* is told without a key, with the id of the partition of the map's name, which is what clients
//! take it for, and counts in no other. Must not know: sockets.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, Ordering};

use jet_map::{PartitionId, TableVersion};
use jet_protocol::data::Value;
use jet_protocol::message::map::add_near_cache_invalidation_listener::Invalidation;
use uuid::Uuid;

use super::maps::Maps;
use super::values::told;
use crate::map::Heard;

/// Between two registrations: more than either tells.
const APART: i64 = 1 << 32;
/// Registrations of this process.
static REGISTRATIONS: AtomicI64 = AtomicI64::new(0);

/// Sequences of one registration.
pub struct Chain {
    offset: i64,
    told: BTreeMap<PartitionId, i64>,
}

impl Chain {
    /// Of a registration that begins now.
    pub fn begin() -> Self {
        let number = REGISTRATIONS.fetch_add(1, Ordering::Relaxed);
        Self { offset: number.wrapping_mul(APART) & i64::MAX, told: BTreeMap::new() }
    }

    fn next(&mut self, partition: PartitionId) -> i64 {
        *self.told.entry(partition).and_modify(|told| *told += 1).or_insert(1) + self.offset
    }

    fn upto(&self, partition: PartitionId) -> i64 {
        self.told.get(&partition).copied().unwrap_or_default() + self.offset
    }
}

/// How far the invalidations are: by map and partition, and the ids of the partitions.
pub type Metadata = (Vec<(String, Vec<(i32, i64)>)>, Vec<(i32, Uuid)>);

/// Near caches of one connection.
pub struct Near {
    maps: Maps,
    cluster: Uuid,
}

impl Near {
    /// In one activation of the cluster.
    pub fn new(maps: Maps, cluster: Uuid) -> Self {
        Self { maps, cluster }
    }

    fn id(&self, partition: PartitionId, installed: TableVersion) -> Uuid {
        Uuid::new_v5(&self.cluster, format!("{partition}.{installed}").as_bytes())
    }

    /// What is told of an event.
    pub fn invalidation(&self, chain: &mut Chain, heard: &Heard, source: Uuid) -> Option<Invalidation> {
        let (partition, installed) = heard.from?;
        let Some(key) = heard.event.key.clone() else { return self.emptied(chain, &heard.event.map, source) };
        let (partition, sequence) = (self.id(partition, installed), chain.next(partition));
        Some(Invalidation { source, partition, sequence, key: Some(told(key)) })
    }

    fn emptied(&self, chain: &Chain, map: &str, source: Uuid) -> Option<Invalidation> {
        let partition = self.maps.partition_of(Value::String(map.into()).data().as_bytes());
        let installed = self.maps.installed(partition).unwrap_or_default();
        let (partition, sequence) = (self.id(partition, installed), chain.upto(partition));
        Some(Invalidation { source, partition, sequence, key: None })
    }

    /// How far the chains of maps are, of the partitions that a member leads.
    pub fn metadata<'a>(&self, member: Uuid, names: &[String], chain: impl Fn(&str) -> Option<&'a Chain>) -> Metadata {
        let led = self.maps.led_by(member);
        let number = |partition: PartitionId| i32::from(partition.0);
        let of_map = |name: &String| {
            let upto = |chain: &Chain| led.iter().map(|(of, _)| (number(*of), chain.upto(*of))).collect();
            (name.clone(), chain(name).map(upto).unwrap_or_default())
        };
        let ids = led.iter().map(|(partition, installed)| (number(*partition), self.id(*partition, *installed)));
        (names.iter().map(of_map).collect(), ids.collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_comes_back_is_far_behind_and_who_stays_misses_nothing() {
        let (mut first, one, two) = (Chain::begin(), PartitionId(1), PartitionId(2));
        let begun = first.upto(one);
        assert_eq!([first.next(one), first.next(one), first.next(two)], [begun + 1, begun + 2, begun + 1]);
        assert_eq!((first.upto(one), first.upto(PartitionId(3))), (begun + 2, begun));
        assert!(Chain::begin().upto(one) > first.upto(one) + 1_000_000);
    }
}
