//! Rates of the store on a real volume: append until durable, seal, load. `rates DIR [MEGABYTES] [VALUE_BYTES]`.
//!
//! Must not know: what a good rate is.

use jet_hotstore::{Appended, Options, OsDisk, PartitionContent, Record, SealRequest, Store, StoreError, Version};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};
use uuid::Uuid;

const PARTITIONS: u64 = 271;

fn say(what: &str, begin: Instant, bytes: u64, records: u64) {
    let seconds = begin.elapsed().as_secs_f64();
    println!(
        "{what}: {seconds:.2} s, {:.0} MB/s, {:.0} records/s",
        bytes as f64 / 1e6 / seconds,
        records as f64 / seconds
    );
}

fn main() -> Result<(), StoreError> {
    let mut args = std::env::args().skip(1);
    let dir = args.next().map_or_else(|| std::env::temp_dir().join("hotstore-rates"), PathBuf::from);
    let mut number = |default: u64| args.next().and_then(|text| text.parse().ok()).unwrap_or(default);
    let (megabytes, size) = (number(256), number(1024));
    let records = megabytes * 1_000_000 / size;
    let value = bytes::Bytes::from((0..size).map(|i| (i * 7919 % 251) as u8).collect::<Vec<_>>());
    let (store, _) = Store::open(&dir, Arc::new(OsDisk), Options::default())?;
    store.join_cluster(Uuid::from_u128(1))?;
    store.open_generation(store.generation() + 1)?;

    let (begin, mut worst, mut waits) = (Instant::now(), Duration::ZERO, 0u64);
    for n in 1..=records {
        let version = Version::new(store.generation(), n);
        let before = Instant::now();
        let record = Record::put(1, (n % PARTITIONS) as u16, version, n.to_le_bytes().to_vec(), value.clone());
        match store.append(record) {
            Appended::Queued(_) => worst = worst.max(before.elapsed()),
            other => return Err(StoreError::Misuse { call: "measure", why: format!("{other:?}") }),
        }
        // Below the bound, so that the rate of the disk is measured and not lagging.
        if store.health().waiting_bytes > 32 << 20 {
            store.wait_durable(store.flush()?, Duration::from_secs(60))?;
            waits += 1;
        }
    }
    store.wait_durable(store.flush()?, Duration::from_secs(60))?;
    say("append until durable", begin, records * size, records);
    println!("longest append {worst:?}; paused {waits} times for the disk");

    let last = |p: u64| records - (records + PARTITIONS - p) % PARTITIONS;
    let content = |p: u64| PartitionContent {
        partition: p as u16,
        version: Version::new(store.generation(), last(p)),
        entries: 0,
        digest: String::new(),
    };
    let begin = Instant::now();
    store.seal(SealRequest {
        operation: "rates".to_owned(),
        attempt: 1,
        generation: store.generation(),
        partitions: (0..PARTITIONS).map(content).collect(),
        machine: Vec::new(),
        machine_index: 0,
        roster_digest: String::new(),
    })?;
    say("seal (reads all back)", begin, records * size, records);
    store.close()?;
    drop(store);

    let begin = Instant::now();
    let (store, _) = Store::open(&dir, Arc::new(OsDisk), Options::default())?;
    let mut bytes = 0u64;
    let report = store.load(&mut |loaded| {
        if let jet_hotstore::Loaded::Put { value, .. } = loaded {
            bytes += value.len() as u64;
        }
    })?;
    say("load, sealed (verified, read twice)", begin, bytes, report.records);
    Ok(())
}
