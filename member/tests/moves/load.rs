//! Writers and readers that go on while members come and go, and what they were told.
//!
//! Law: a value that was acknowledged, or one that was tried after it, is found; never an older one. Must not know: what
//! happens to the members.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use jet_admin_api::client::MemberClient;
use jet_admin_api::identity::Role;
use jet_admin_api::map::Entry;
use tokio::task::JoinHandle;

use crate::world::{PATIENCE, World};

const MAP: &str = "flights";
const KEYS: u64 = 300;
const WRITERS: u64 = 3;

/// What is known of a key.
#[derive(Clone, Copy, Default)]
struct Known {
    acknowledged: u64,
    tried: u64,
}

#[derive(Default)]
struct Told {
    keys: BTreeMap<String, Known>,
    failed: Vec<String>,
}

pub struct Load {
    told: Arc<Mutex<Told>>,
    over: Arc<AtomicBool>,
    written: Arc<AtomicU64>,
    writers: Vec<JoinHandle<()>>,
}

pub struct Written(Told);

impl Load {
    /// Each writer has keys of its own, and reads each value back through another member.
    pub fn begin(world: &World, through: &[u32]) -> Self {
        let load = Self { told: Arc::default(), over: Arc::default(), written: Arc::default(), writers: Vec::new() };
        let clients: Arc<Vec<MemberClient>> =
            Arc::new(through.iter().map(|ordinal| world.client_as(*ordinal, Role::Client)).collect());
        let write = |writer| {
            let (told, over, written, clients) =
                (load.told.clone(), load.over.clone(), load.written.clone(), clients.clone());
            tokio::spawn(async move {
                let mut n = 0;
                while !over.load(Ordering::Acquire) {
                    n += 1;
                    one(&told, &clients, writer, n).await;
                    written.fetch_add(1, Ordering::AcqRel);
                }
            })
        };
        let writers = (0..WRITERS).map(write).collect();
        Self { writers, ..load }
    }

    pub async fn has_written(&self, least: u64) {
        let all = async {
            while self.written.load(Ordering::Acquire) < least {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(PATIENCE, all).await.expect("nothing is written");
    }

    pub async fn end(self) -> Written {
        self.over.store(true, Ordering::Release);
        for writer in self.writers {
            writer.await.unwrap();
        }
        Written(std::mem::take(&mut self.told.lock().unwrap()))
    }
}

async fn one(told: &Mutex<Told>, clients: &[MemberClient], writer: u64, n: u64) {
    let key = format!("{writer}-{}", n % KEYS);
    told.lock().unwrap().keys.entry(key.clone()).or_default().tried = n;
    let at = |round: u64| &clients[usize::try_from((n + round) % clients.len() as u64).unwrap()];
    match at(0).put(MAP, &key, &Entry { value: Some(n.to_string()) }).await {
        Ok(_) => told.lock().unwrap().keys.get_mut(&key).unwrap().acknowledged = n,
        Err(error) => told.lock().unwrap().failed.push(format!("put of {key}: {error}")),
    }
    match at(1).get(MAP, &key).await {
        Ok(entry) => {
            let known = told.lock().unwrap().keys[&key];
            is_current(&key, known, entry.value);
        }
        Err(error) => told.lock().unwrap().failed.push(format!("get of {key}: {error}")),
    }
}

fn is_current(key: &str, known: Known, found: Option<String>) {
    let value = found.as_deref().map_or(0, |value| value.parse::<u64>().unwrap());
    assert!(
        (known.acknowledged..=known.tried).contains(&value),
        "{key}: {found:?} is found, {} was acknowledged, {} was tried last",
        known.acknowledged,
        known.tried
    );
}

impl Written {
    /// Nobody was ended by force: whoever called had an answer.
    pub fn was_answered_always(&self) {
        assert!(self.0.failed.is_empty(), "{} calls failed: {:?}", self.0.failed.len(), self.0.failed);
    }

    /// Every member that is asked tells what was acknowledged last.
    pub async fn is_held(&self, world: &World, ordinals: &[u32]) {
        assert!(
            self.0.keys.values().filter(|known| known.acknowledged > 0).count() > 10,
            "hardly anything was written"
        );
        for (n, (key, known)) in self.0.keys.iter().enumerate() {
            let through = ordinals[n % ordinals.len()];
            let what = format!("member {through} answers {key}");
            let found =
                world.until(&what, || async { world.get(through, key).await.map_err(|error| error.to_string()) }).await;
            is_current(key, *known, found);
        }
    }
}
