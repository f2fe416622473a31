//! Members' admin API as a person reaches it: the admin Secret and a port-forward.
//!
//! Law: who calls is the certificate of the Secret `<cluster>-admin`; a refusal is a value that tests look at. Must
//! not know: pods' addresses.

use std::sync::mpsc::Sender;

use jet_admin_api::client::{CallError, MemberClient};
use jet_admin_api::identity::any_member_server_name;
use jet_admin_api::map::{Entry, SqlQuery};
use jet_admin_api::member::MemberView;
use jet_admin_api::tls::Material;

use crate::forward::Forward;
use crate::world::World;

/// The admin API's.
const ADMIN_PORT: u16 = 8443;

/// The members of one cluster.
pub struct Members {
    namespace: String,
    cluster: String,
    material: Result<Material, String>,
}

impl Members {
    pub(crate) fn new(world: &World, cluster: &str) -> Self {
        let secret = format!("{cluster}-admin");
        let part = |key: &str| {
            let path = format!("go-template={{{{index .data \"{key}\" | base64decode}}}}");
            world.try_kubectl(&["get", "secret", &secret, "-o", &path]).map(String::into_bytes)
        };
        let material = (|| Ok(Material { ca: part("ca.crt")?, cert: part("tls.crt")?, key: part("tls.key")? }))();
        Self { namespace: world.namespace.clone(), cluster: cluster.into(), material }
    }

    /// What one member says of itself.
    pub fn view(&self, ordinal: u32) -> Result<MemberView, String> {
        self.call(ordinal, |client| Box::pin(async move { client.member().await }))
    }

    /// Events of the ledger job's map, after checking that every number of every key was counted exactly once.
    pub fn ledger(&self) -> Result<u64, String> {
        let sql = "SELECT key, events, highest, total FROM ledger ORDER BY key".to_owned();
        let query = SqlQuery { sql, limit: 200_000 };
        let mut last = String::from("no pod");
        for ordinal in 0..5 {
            let query = query.clone();
            match self.call(ordinal, move |client| Box::pin(async move { client.sql(&query).await })) {
                Ok(rows) => return Ok(rows.rows.iter().map(|row| counted_once(row)).sum()),
                Err(said) if ordinal == 0 || !said.contains("not found") => last = said,
                Err(_) => {}
            }
        }
        Err(last)
    }

    /// Reads an entry of a map, as a client would.
    pub fn get(&self, ordinal: u32, map: &str, key: &str) -> Result<Option<String>, String> {
        let (map, key) = (map.to_owned(), key.to_owned());
        self.call(ordinal, move |client| Box::pin(async move { client.get(&map, &key).await })).map(|entry| entry.value)
    }

    /// Writes an entry of a map, as a client would.
    pub fn put(&self, ordinal: u32, map: &str, key: &str, value: &str) -> Result<Option<String>, String> {
        let (map, key, entry) = (map.to_owned(), key.to_owned(), Entry { value: Some(value.to_owned()) });
        self.call(ordinal, move |client| Box::pin(async move { client.put(&map, &key, &entry).await }))
            .map(|entry| entry.value)
    }

    /// Values of these keys of a map, in this order, over one connection.
    pub fn values(&self, ordinal: u32, map: &str, keys: &[String]) -> Result<Vec<Option<String>>, String> {
        let (map, keys) = (map.to_owned(), keys.to_owned());
        self.call(ordinal, move |client| {
            Box::pin(async move {
                let mut values = Vec::with_capacity(keys.len());
                for key in &keys {
                    values.push(client.get(&map, key).await?.value);
                }
                Ok(values)
            })
        })
    }

    /// Writes entries of a map over one connection, one behind the other, as long as each is acknowledged; tells whose were.
    pub fn put_each(
        &self,
        ordinal: u32,
        map: &str,
        entries: impl Iterator<Item = (String, String)> + Send + 'static,
        acknowledged: Sender<String>,
    ) -> Result<(), String> {
        let map = map.to_owned();
        self.call(ordinal, move |client| {
            Box::pin(async move {
                for (key, value) in entries {
                    client.put(&map, &key, &Entry { value: Some(value) }).await?;
                    // Whoever does not count them has let go of the other end.
                    let _ = acknowledged.send(key);
                }
                Ok(())
            })
        })
    }

    fn call<T>(
        &self,
        ordinal: u32,
        ask: impl FnOnce(MemberClient) -> std::pin::Pin<Box<dyn Future<Output = Result<T, CallError>> + Send>>,
    ) -> Result<T, String> {
        let material = self.material.as_ref().map_err(Clone::clone)?;
        let forward = self.forward(ordinal)?;
        let tls = material.client().map_err(|e| e.to_string())?;
        let name = any_member_server_name(&self.namespace, &self.cluster);
        let client = MemberClient::new(format!("127.0.0.1:{}", forward.port), &name, tls).map_err(|e| e.to_string())?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|e| e.to_string())?;
        runtime.block_on(ask(client.with_timeout(std::time::Duration::from_secs(20)))).map_err(|e| e.to_string())
    }

    fn forward(&self, ordinal: u32) -> Result<Forward, String> {
        Forward::to(&self.namespace, &format!("{}-{ordinal}", self.cluster), ADMIN_PORT)
    }
}

/// Events of one key; fails the test if a number is missing or doubled.
fn counted_once(row: &[Option<String>]) -> u64 {
    let number = |at: usize| {
        row.get(at)
            .and_then(Option::as_ref)
            .and_then(|cell| cell.parse::<u64>().ok())
            .unwrap_or_else(|| panic!("ledger row {row:?}"))
    };
    let (key, events, highest, total) = (number(0), number(1), number(2), number(3));
    assert!(
        events == highest + 1 && total == highest * (highest + 1) / 2,
        "key {key}: {events} events, highest number {highest}, total {total}: not each exactly once"
    );
    events
}
