//! What a primary asks a follower about its disk, of many partitions at once, and what that answers.
//!
//! The law: as in [`crate::wire`]; a partition that the answer does not name is not known to be there. Must not know: disks.

use prost::Message;

use super::op::{VersionWire, missing};
use crate::{PartitionId, Refusal, TableVersion, Version};

/// A partition that is to be on the disk up to a version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WantedOnDisk {
    /// Which.
    pub partition: PartitionId,
    /// Fence.
    pub changed: TableVersion,
    /// At least this version.
    pub version: Version,
}

/// What a disk has of what was asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OnDisk {
    /// Partitions that are there, and up to which version.
    pub there: Vec<(PartitionId, Version)>,
    /// Why nothing more comes to be there by itself.
    pub failed: Option<String>,
}

#[derive(Clone, PartialEq, Message)]
struct OneWire {
    #[prost(uint32, tag = "1")]
    partition: u32,
    #[prost(uint64, tag = "2")]
    changed: u64,
    #[prost(message, optional, tag = "3")]
    version: Option<VersionWire>,
}

/// The question's bytes.
#[derive(Clone, PartialEq, Message)]
pub struct WantedWire {
    #[prost(message, repeated, tag = "1")]
    all: Vec<OneWire>,
}

/// The answer's bytes.
#[derive(Clone, PartialEq, Message)]
pub struct OnDiskWire {
    #[prost(message, repeated, tag = "1")]
    there: Vec<OneWire>,
    #[prost(string, optional, tag = "2")]
    failed: Option<String>,
}

impl OneWire {
    fn read(self) -> Result<WantedOnDisk, Refusal> {
        Ok(WantedOnDisk {
            partition: u16::try_from(self.partition).map(PartitionId).map_err(|_| missing("possible partition"))?,
            changed: TableVersion(self.changed),
            version: self.version.ok_or_else(|| missing("version"))?.into(),
        })
    }
}

impl From<Vec<WantedOnDisk>> for WantedWire {
    fn from(all: Vec<WantedOnDisk>) -> Self {
        let one = |wanted: WantedOnDisk| OneWire {
            partition: u32::from(wanted.partition.0),
            changed: wanted.changed.0,
            version: Some(wanted.version.into()),
        };
        WantedWire { all: all.into_iter().map(one).collect() }
    }
}

impl WantedWire {
    /// What it says.
    pub fn read(self) -> Result<Vec<WantedOnDisk>, Refusal> {
        self.all.into_iter().map(OneWire::read).collect()
    }
}

impl From<OnDisk> for OnDiskWire {
    fn from(answer: OnDisk) -> Self {
        let one = |(partition, version): (PartitionId, Version)| OneWire {
            partition: u32::from(partition.0),
            changed: 0,
            version: Some(version.into()),
        };
        OnDiskWire { there: answer.there.into_iter().map(one).collect(), failed: answer.failed }
    }
}

impl OnDiskWire {
    /// What it says.
    pub fn read(self) -> Result<OnDisk, Refusal> {
        let there = self.there.into_iter().map(|one| one.read().map(|one| (one.partition, one.version)));
        Ok(OnDisk { there: there.collect::<Result<_, _>>()?, failed: self.failed })
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Request, Response};
    use super::*;
    use crate::{Op, Requester};

    fn version(seq: u64) -> Version {
        Version { installed: TableVersion(4), seq }
    }

    #[test]
    fn what_is_asked_and_answered_arrives_as_it_was_sent() {
        let wanted = |n: u16| WantedOnDisk {
            partition: PartitionId(n),
            changed: TableVersion(7),
            version: version(u64::from(n)),
        };
        for request in [
            Request::OnDisk { wanted: vec![wanted(8190), wanted(3)] },
            Request::OnDisk { wanted: Vec::new() },
            Request::Invoke {
                partition: PartitionId(2),
                requester: Requester::Client,
                op: Op::ClearMap { map: "m".into() },
                to_disk: true,
            },
        ] {
            assert_eq!(Request::decode(request.clone().encode()), Ok(request));
        }
        for failed in [None, Some("the disk is full".to_owned())] {
            let answer = Response::OnDisk(OnDisk { there: vec![(PartitionId(3), version(9))], failed });
            assert_eq!(Response::decode(answer.clone().encode()), Ok(answer));
        }
        let (partition, why) = (PartitionId(1), "it is slow".to_owned());
        let refused = Response::Refused(Refusal::NotOnDisk { partition, why });
        assert_eq!(Response::decode(refused.clone().encode()), Ok(refused));
    }
}
