//! A client that writes all the time, and knows what it was told.
//!
//! Law: a key holds the last acknowledged value, or one whose outcome the client was never told; the latter can come late
//! only while the processes live that took it. Must not know: why calls fail.

use std::collections::BTreeMap;
use std::time::Duration;

use jet_admin_api::client::{CallError, MemberClient};
use jet_admin_api::map::Entry;
use tokio::sync::Mutex;

use super::harm::Dice;

/// Keys written to; the map does not grow.
const KEYS: u64 = 200;
/// Pause between two writes.
const PAUSE: Duration = Duration::from_millis(5);
const MAP: &str = "writes";

#[derive(Default, Debug)]
struct Key {
    acknowledged: Option<u64>,
    unknown: Vec<u64>,
    /// Unknown ones of processes that have ended: they came, or never will.
    settled: Vec<u64>,
}

#[derive(Default)]
pub struct Told {
    keys: BTreeMap<u64, Key>,
    pub acknowledged: u64,
}

pub struct Writer {
    members: Vec<MemberClient>,
    told: Mutex<Told>,
}

impl Writer {
    pub fn new(members: Vec<MemberClient>) -> Self {
        Self { members, told: Mutex::default() }
    }

    /// For as long as the test runs.
    pub async fn write(&self, seed: u64) {
        let mut dice = Dice::new(seed, u64::MAX - 1);
        for value in 1.. {
            let (key, whom) = (dice.below(KEYS), usize::try_from(dice.below(self.members.len() as u64)).unwrap());
            let mut told = self.told.lock().await;
            let entry = Entry { value: Some(value.to_string()) };
            let outcome = self.members[whom].put(MAP, &key.to_string(), &entry).await;
            let known = told.keys.entry(key).or_default();
            match outcome {
                Ok(_) => {
                    (known.acknowledged, known.settled) = (Some(value), Vec::new());
                    told.acknowledged += 1;
                }
                Err(CallError::Unknown { .. }) => known.unknown.push(value),
                // A refusal changes nothing, unless the member itself could not know.
                Err(CallError::Refused(refusal)) if refusal.code.status() >= 500 => known.unknown.push(value),
                Err(CallError::Refused(_) | CallError::NotSent { .. }) => {}
            }
            drop(told);
            tokio::time::sleep(PAUSE).await;
        }
    }

    pub async fn acknowledged(&self) -> u64 {
        self.told.lock().await.acknowledged
    }

    /// Every process has ended: what was not told is settled.
    pub async fn all_ended(&self) {
        for key in self.told.lock().await.keys.values_mut() {
            let unknown = std::mem::take(&mut key.unknown);
            key.settled.extend(unknown);
        }
    }

    /// Every key holds what the client may expect; `Err`: a read had no answer.
    pub async fn check(&self, at: usize) -> Result<usize, String> {
        let mut told = self.told.lock().await;
        for (name, key) in &mut told.keys {
            let entry = self.members[at].get(MAP, &name.to_string()).await.map_err(|e| e.to_string())?;
            let found = entry.value.map(|value| value.parse::<u64>().unwrap());
            let allowed = found == key.acknowledged
                || found.is_some_and(|value| key.unknown.contains(&value) || key.settled.contains(&value));
            assert!(allowed, "key {name} of '{MAP}' holds {found:?}; the client was told {key:?}");
            if found.is_some_and(|value| key.settled.contains(&value)) {
                key.acknowledged = found;
            }
            key.settled.clear();
        }
        Ok(told.keys.len())
    }
}
