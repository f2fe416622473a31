//! What is said of single maps: how long entries live, how many there may be, of which a change waits for the disks.
//!
//! Law: as of everything that is said of maps by name ([`ByName`]), each setting by itself. Maps of ours, whose names begin
//! with `__`, have none. Must not know: what a map holds, how an entry ends.

use jet_map::Limits;

use super::ConfigError;
use super::by_name::ByName;
use super::documents::Document;
use super::fsync::Fsync;

const TTL: &str = "time-to-live-seconds";
const IDLE: &str = "max-idle-seconds";
const SIZE: &str = "eviction.size";
const POLICY: &str = "eviction.eviction-policy";
const MEASURE: &str = "eviction.max-size-policy";
/// Maps of ours begin so.
const OWN: &str = "__";

/// Who goes when there is no room.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Evicted {
    /// Nobody.
    #[default]
    Nobody,
    /// Any.
    Random,
    /// Who was used least often.
    LeastFrequent,
    /// Who was used longest ago.
    LeastRecent,
}

/// Of what a size is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Measure {
    /// Entries of one member.
    #[default]
    PerNode,
    /// Entries of one partition.
    PerPartition,
}

/// How many entries a map may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    /// So many.
    pub size: u64,
    /// Where.
    pub measure: Measure,
    /// Who goes.
    pub evicted: Evicted,
}

impl Room {
    /// How many in one partition, of a cluster with so many members and partitions; as in the original, of which each has
    /// its part.
    pub fn in_partition(self, members: usize, partitions: usize) -> u64 {
        match self.measure {
            Measure::PerPartition => self.size,
            Measure::PerNode => (self.size.saturating_mul(members as u64) / (partitions as u64).max(1)).max(1),
        }
    }
}

/// Settings of maps.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MapSettings {
    /// Of which a change waits for the disks.
    pub fsync: Fsync,
    ttl: ByName<u64>,
    idle: ByName<u64>,
    size: ByName<u64>,
    evicted: ByName<Evicted>,
    measure: ByName<Measure>,
}

impl From<Fsync> for MapSettings {
    fn from(fsync: Fsync) -> Self {
        Self { fsync, ..Self::default() }
    }
}

impl MapSettings {
    /// As the documents say it.
    pub fn decide(document: &Document) -> Result<Self, ConfigError> {
        let number = |key: &str| document.parsed::<u32>(key, "it must be a number from 0 to 4294967295");
        let number = |key: &str| Ok::<_, ConfigError>(number(key)?.map(u64::from));
        let word = |key: &str, wanted: &str| document.parsed::<String>(key, wanted);
        let policy = |key: &str| {
            let wanted = "it must be NONE, LRU, LFU or RANDOM";
            word(key, wanted)?
                .map(|said| match said.to_uppercase().as_str() {
                    "NONE" => Ok(Evicted::Nobody),
                    "LRU" => Ok(Evicted::LeastRecent),
                    "LFU" => Ok(Evicted::LeastFrequent),
                    "RANDOM" => Ok(Evicted::Random),
                    _ => Err(document.wrong(key, &format!("'{said}'"), wanted)),
                })
                .transpose()
        };
        let measure = |key: &str| {
            let wanted = "only PER_NODE and PER_PARTITION are offered: entries are counted, memory is not";
            word(key, wanted)?
                .map(|said| match said.to_uppercase().as_str() {
                    "PER_NODE" => Ok(Measure::PerNode),
                    "PER_PARTITION" => Ok(Measure::PerPartition),
                    _ => Err(document.wrong(key, &format!("'{said}'"), wanted)),
                })
                .transpose()
        };
        Ok(Self {
            fsync: Fsync::decide(document)?,
            ttl: ByName::decide(document, TTL, number)?,
            idle: ByName::decide(document, IDLE, number)?,
            size: ByName::decide(document, SIZE, number)?,
            evicted: ByName::decide(document, POLICY, policy)?,
            measure: ByName::decide(document, MEASURE, measure)?,
        })
    }

    /// How long entries of a map live of which nothing else is wished.
    pub fn limits(&self, map: &str) -> Limits {
        if map.starts_with(OWN) {
            return Limits::NONE;
        }
        let millis = |seconds: &ByName<u64>| seconds.of(map).map_or(0, |seconds| seconds * 1_000);
        Limits { ttl: millis(&self.ttl), idle: millis(&self.idle) }
    }

    /// How many entries a map may have; none: as many as come. A size without a policy bounds nothing, as in the original.
    pub fn room(&self, map: &str) -> Option<Room> {
        if self.evicted.is_silent() || map.starts_with(OWN) {
            return None;
        }
        let evicted = *self.evicted.of(map).filter(|evicted| **evicted != Evicted::Nobody)?;
        let size = *self.size.of(map).filter(|size| **size > 0)?;
        Some(Room { size, measure: self.measure.of(map).copied().unwrap_or_default(), evicted })
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn decide(maps: &str) -> Result<MapSettings, ConfigError> {
        let mut document = Document::default();
        document.add(Path::new("hazelcast.yaml"), &format!("hazelcast: {{map: {{{maps}}}}}\n"))?;
        MapSettings::decide(&document)
    }

    #[test]
    fn entries_live_as_the_nearest_name_says_and_those_of_our_maps_for_ever() {
        let settings = decide("default: {time-to-live-seconds: 7}, 'm-*': {max-idle-seconds: 3}").unwrap();
        assert_eq!(settings.limits("m-1"), Limits { ttl: 7_000, idle: 3_000 });
        assert_eq!(settings.limits("other"), Limits { ttl: 7_000, idle: 0 });
        assert_eq!(settings.limits("__clients.maps"), Limits::NONE);
        assert_eq!(decide("").unwrap().limits("m"), Limits::NONE);
    }

    #[test]
    fn a_map_with_a_policy_and_a_size_has_room_for_so_many() {
        let of = |text: &str| decide(&format!("m: {{eviction: {{{text}}}}}")).unwrap().room("m");
        let lru = Room { size: 1_000, measure: Measure::PerNode, evicted: Evicted::LeastRecent };
        assert_eq!(of("size: 1000, max-size-policy: PER_NODE, eviction-policy: LRU"), Some(lru));
        assert_eq!(of("size: 1000, eviction-policy: lru"), Some(lru));
        assert_eq!(of("size: 1000"), None);
        assert_eq!(of("size: 0, eviction-policy: LRU"), None);
        assert_eq!(of("size: 9, eviction-policy: NONE"), None);
        assert_eq!(
            (lru.in_partition(3, 271), lru.in_partition(1, 271), Room { size: 9, ..lru }.in_partition(1, 271)),
            (11, 3, 1)
        );
        let said = decide("m: {eviction: {max-size-policy: USED_HEAP_SIZE}}").unwrap_err().to_string();
        assert!(said.contains("memory is not"), "{said}");
        assert!(decide("m: {eviction: {eviction-policy: FIFO}}").is_err());
        assert!(decide("m: {time-to-live-seconds: -1}").is_err());
    }
}
