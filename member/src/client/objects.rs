//! Which maps there are.
//!
//! Law: a map is there from the moment that a client said it will use it, or that it has an entry, until a client destroys
//! it; that is replicated and kept as entries are, in a map of ours that is shown to nobody. Must not know: entries.

use std::collections::BTreeSet;

use bytes::Bytes;
use futures::stream::{StreamExt, TryStreamExt};
use jet_map::{Op, PartitionId, Query, QueryReply};
use jet_protocol::message::client::{create_proxies, create_proxy, destroy_proxy, get_distributed_objects};
use jet_protocol::structure::DistributedObject;

use super::call::is_map;
use super::fault::Fault;
use super::maps::{AT_A_TIME, Maps, OWN, odd};

/// The service of maps in the protocol.
pub const MAP_SERVICE: &str = "hz:impl:mapService";
/// Names of maps that were made: keys of this one.
pub const MADE: &str = "__clients.maps";
/// Longest list of maps that is told, in bytes of their names.
const LISTED_MOST: usize = 8 << 20;

/// The book of maps. Cheap to clone.
#[derive(Clone)]
pub struct Objects {
    maps: Maps,
}

impl Objects {
    /// Kept in these maps.
    pub fn new(maps: Maps) -> Self {
        Self { maps }
    }

    /// A map is going to be used.
    pub async fn create(self, ask: create_proxy::Request) -> Result<create_proxy::Answer, Fault> {
        self.make(&ask.name, &ask.service).await?;
        Ok(create_proxy::Answer {})
    }

    /// Several are.
    pub async fn create_all(self, ask: create_proxies::Request) -> Result<create_proxies::Answer, Fault> {
        for (name, service) in &ask.proxies {
            self.make(name, service).await?;
        }
        Ok(create_proxies::Answer {})
    }

    async fn make(&self, name: &str, service: &str) -> Result<(), Fault> {
        is_map(service)?;
        let key = Bytes::copy_from_slice(self.maps.named(name)?.as_bytes());
        // Nothing is written for what is known, so that a cluster that takes no writes can be connected to.
        if self.maps.at(MADE, key.clone()).await?.is_none() {
            self.maps.keep(MADE, key, Bytes::new()).await?;
        }
        Ok(())
    }

    /// A map goes with all that is in it.
    pub async fn destroy(self, ask: destroy_proxy::Request) -> Result<destroy_proxy::Answer, Fault> {
        is_map(&ask.service)?;
        let name = self.maps.named(&ask.name)?;
        let emptied = self.maps.empty(&name, |map| Op::ClearMap { map }).await?;
        let forgotten = self.maps.forget(MADE, Bytes::copy_from_slice(name.as_bytes())).await;
        forgotten.map_err(|fault| emptied.before(fault))?;
        Ok(destroy_proxy::Answer {})
    }

    /// All maps.
    pub async fn list(self) -> Result<get_distributed_objects::Answer, Fault> {
        let (made, filled) = tokio::try_join!(self.maps.entries(MADE, LISTED_MOST), self.filled())?;
        let made = made.into_iter().map(|(key, _)| String::from_utf8_lossy(&key).into_owned());
        let names: BTreeSet<String> = made.chain(filled).filter(|name| !name.starts_with(OWN)).collect();
        let object = |name: String| DistributedObject { service: MAP_SERVICE.into(), name: name.into() };
        Ok(get_distributed_objects::Answer { objects: names.into_iter().map(object).collect() })
    }

    async fn filled(&self) -> Result<BTreeSet<String>, Fault> {
        let names = |partition| async move {
            match self.maps.ask(partition, Query::Maps).await? {
                QueryReply::Names(names) => Ok(names),
                other => Err(odd(&other)),
            }
        };
        let partitions = futures::stream::iter((0..self.maps.partitions()).map(PartitionId));
        let names: Vec<Vec<String>> = partitions.map(names).buffer_unordered(AT_A_TIME).try_collect().await?;
        Ok(names.into_iter().flatten().collect())
    }
}
