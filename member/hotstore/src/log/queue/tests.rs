//! What the queue says and when, on a simulated disk and without a thread of its own.

use super::*;
use crate::disk::Disk;
use crate::disk::simulated::SimulatedDisk;
use crate::log::appender::{ChunkLimits, Heritage, Origin};
use crate::log::record::{Base, Version};
use std::path::Path;
use uuid::Uuid;

fn begun(bound: usize) -> (SimulatedDisk, Appender, Queue) {
    let (disk, dir) = (SimulatedDisk::new(), Path::new("/store"));
    disk.make_dir(dir).unwrap();
    let origin = Origin { founding: Uuid::from_u128(1), member: Uuid::from_u128(2), boot: 1 };
    let limits = ChunkLimits { chunk_bytes: 1 << 20, drop_bytes: 1 << 20 };
    let mut appender = Appender::new(Arc::new(disk.clone()), dir, origin, limits, Heritage::default());
    appender.begin(1).unwrap();
    let queue = Queue::new(bound, SYNC_BYTES, None);
    queue.set_closed(None);
    (disk, appender, queue)
}

fn put(sequence: u64, bytes: usize) -> Record {
    Record::put(1, 0, Version::new(1, sequence), vec![7; 9], vec![8; bytes])
}

/// It may be long before anything follows: what is acknowledged is said in the file.
#[test]
fn what_a_pass_over_full_lots_has_synced_is_marked_if_nothing_follows() {
    let (disk, mut appender, queue) = begun(QUEUE_BYTES);
    let ticket = queue.append(put(1, OWN_LOT)).ticket().unwrap();
    assert_eq!(queue.want_all(), ticket);
    assert!(queue.write(&mut appender, None).unwrap(), "somebody asked for it");
    assert_eq!(queue.health().durable, ticket);
    let (file, durable) = (disk.files()[0].0.clone(), appender.chain()[0].1);
    let bytes = disk.read(&file).unwrap().unwrap();
    assert!(bytes.len() as u64 > durable, "a mark lies behind what is durable");
}

#[test]
fn a_record_longer_than_the_bound_waits_alone_and_is_part_of_a_rewrite() {
    let bound = 4 * OWN_LOT;
    let (_, mut appender, queue) = begun(bound);
    assert!(queue.append(put(1, 2 * bound)).ticket().is_some());
    assert_eq!(queue.append(put(2, 1)), Appended::Lagging);
    queue.pump(&mut appender).unwrap();
    assert!(queue.append(Record::rewrite(0, Base::Broken)).ticket().is_some());
    assert_eq!(queue.append_again(put(2, 2 * bound).copied()), Appended::Busy);
    queue.pump(&mut appender).unwrap();
    assert!(queue.append_again(put(2, 2 * bound).copied()).ticket().is_some());
    queue.pump(&mut appender).unwrap();
    assert!(queue.append(Record::complete(0, Version::new(1, 2))).ticket().is_some());
    queue.pump(&mut appender).unwrap();
    assert!(appender.plan().pending().is_empty() && queue.health().lagging.is_empty());
}

/// Each pass over full lots is synced by itself, and after each the cadence begins anew: for what lies in other lanes it does not.
#[test]
fn what_came_first_is_due_first_although_full_lots_wait() {
    let (_, mut appender, queue) = begun(QUEUE_BYTES);
    let (begin, every) = (Instant::now(), Duration::from_millis(1));
    let alone = queue.append(put(1, 100)).ticket().unwrap();
    while begin.elapsed() <= 2 * every {
        std::hint::spin_loop();
    }
    let of_another_lane = Record { partition: 1, ..put(1, OWN_LOT) };
    assert!(queue.append(of_another_lane).ticket().is_some());
    assert!(queue.wait_for_work(&mut None, every) == Work::Sync);
    queue.pump(&mut appender).unwrap();
    assert!(queue.health().durable >= alone);
    assert!(queue.append(put(2, 100)).ticket().is_some());
    assert!(queue.append(Record { partition: 1, ..put(2, OWN_LOT) }).ticket().is_some());
    assert!(queue.wait_for_work(&mut None, Duration::from_secs(3600)) == Work::Write, "it is not due yet");
}
