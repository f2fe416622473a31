//! Schemas of Compact values.
//!
//! Law: a schema is kept by its fingerprint, replicated and on the disks as entries are, or values that outlive a restart
//! could be read by nobody; once kept it never changes. Must not know: values.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use bytes::{Bytes, BytesMut};
use jet_protocol::data::fingerprint;
use jet_protocol::error::ErrorCode;
use jet_protocol::frames::Decoder;
use jet_protocol::message::client::{fetch_schema, send_all_schemas, send_schema};
use jet_protocol::message::{NO_PARTITION, put_request, take};
use jet_protocol::structure::Schema;
use jet_query::{Layout, Refused};
use uuid::Uuid;

use super::fault::Fault;
use super::maps::Maps;
use crate::cluster::Node;

/// Schemas as the message that sends one, by fingerprint.
const KEPT: &str = "__clients.schemas";
/// Schemas that are known here without being asked for; beyond, those that are known are forgotten and found again.
const KNOWN_MOST: usize = 10_000;

/// The book of schemas. Cheap to clone.
#[derive(Clone)]
pub struct Schemas {
    maps: Maps,
    node: Arc<Node>,
    known: Arc<RwLock<HashMap<i64, Arc<Layout>>>>,
}

/// Those that are known here.
impl jet_query::Schemas for Schemas {
    fn layout(&self, fingerprint: i64) -> Option<Arc<Layout>> {
        self.known.read().unwrap_or_else(PoisonError::into_inner).get(&fingerprint).cloned()
    }
}

impl Schemas {
    /// Kept in these maps.
    pub fn new(maps: Maps, node: Arc<Node>) -> Self {
        Self { maps, node, known: Arc::default() }
    }

    /// One that is kept is known here from then on.
    pub async fn learn(&self, fingerprint: i64) -> Result<(), Fault> {
        let kept = self.maps.at(KEPT, key(fingerprint)).await?.ok_or(Refused::Schema { fingerprint })?;
        let layout = Arc::new(Layout::of(&schema(&kept)?));
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= KNOWN_MOST {
            known.clear();
        }
        known.insert(fingerprint, layout);
        Ok(())
    }

    /// Keeps one; answers who has it. That is every member, since each finds it where it is kept.
    pub async fn send(self, ask: send_schema::Request) -> Result<send_schema::Answer, Fault> {
        self.keep(&ask.schema).await?;
        Ok(send_schema::Answer { members: self.members() })
    }

    /// Keeps all that a client knows.
    pub async fn send_all(self, ask: send_all_schemas::Request) -> Result<send_all_schemas::Answer, Fault> {
        for schema in &ask.schemas {
            self.keep(schema).await?;
        }
        Ok(send_all_schemas::Answer {})
    }

    /// One, if it is known.
    pub async fn fetch(self, ask: fetch_schema::Request) -> Result<fetch_schema::Answer, Fault> {
        let kept = self.maps.at(KEPT, key(ask.schema)).await?;
        Ok(fetch_schema::Answer { schema: kept.map(|bytes| schema(&bytes)).transpose()? })
    }

    async fn keep(&self, schema: &Schema) -> Result<(), Fault> {
        let key = key(fingerprint(schema));
        if self.maps.at(KEPT, key.clone()).await?.is_some() {
            return Ok(());
        }
        self.maps.keep(KEPT, key, message(schema)?).await
    }

    fn members(&self) -> Vec<Uuid> {
        self.node.machines().borrow().roster.keys().map(|member| member.0).collect()
    }
}

fn key(fingerprint: i64) -> Bytes {
    Bytes::copy_from_slice(&fingerprint.to_be_bytes())
}

fn message(schema: &Schema) -> Result<Bytes, Fault> {
    let mut out = BytesMut::new();
    let written = put_request(&send_schema::Request { schema: schema.clone() }, 0, NO_PARTITION, &mut out);
    written.map_err(|long| Fault::new(ErrorCode::MaxMessageSizeExceeded, long.to_string()))?;
    Ok(out.freeze())
}

fn schema(bytes: &Bytes) -> Result<Schema, Fault> {
    let unread = |why: &dyn std::fmt::Display| {
        Fault::new(ErrorCode::Hazelcast, format!("a schema that this cluster keeps cannot be read: {why}"))
    };
    let mut decoder = Decoder::new();
    decoder.authenticated();
    decoder.feed(bytes);
    let message = decoder.next_message().map_err(|why| unread(&why))?.ok_or_else(|| unread(&"it is cut"))?;
    let kept: send_schema::Request = take(&message).map_err(|why| unread(&why))?;
    Ok(kept.schema)
}

#[cfg(test)]
mod tests {
    use jet_protocol::structure::FieldDescriptor;

    use super::*;

    #[test]
    fn what_is_kept_of_a_schema_is_all_of_it() {
        let field = |name: &str, kind| FieldDescriptor { kind, name: name.into() };
        let person = Schema { type_name: "person".into(), fields: vec![field("name", 17), field("größe", 9)] };
        let kept = message(&person).unwrap();
        assert_eq!(schema(&kept), Ok(person));
        assert_eq!(schema(&kept.slice(..kept.len() - 1)).unwrap_err().code, ErrorCode::Hazelcast);
    }
}
