//! Sinks, epochs and digests: what reaches the disk when, and what two replicas must agree on.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::BTreeMap;

use bytes::Bytes;
use jet_map::digest::{content_of, differences};
use jet_map::journal::Logged;
use jet_map::{
    CommitRecord, CopySource, Epoch, ExecutionId, JobId, LogRecord, Op, PartitionEpoch, PartitionId, Refusal, Replica,
    Reply, SinkDelta, SinkWrite, SnapshotId, TableVersion,
};
use proptest::prelude::*;

const P: PartitionId = PartitionId(7);
const T: TableVersion = TableVersion(1);
const SINK: u32 = 3;

/// `key value key value …`, one byte each; value 0 removes.
fn decode(bytes: &[u8]) -> Result<SinkDelta, String> {
    if bytes.len() % 2 == 1 {
        return Err("odd".into());
    }
    let writes = bytes
        .chunks(2)
        .map(|w| (Bytes::copy_from_slice(&w[..1]), (w[1] > 0).then(|| Bytes::copy_from_slice(&w[1..]))))
        .collect();
    Ok(SinkDelta { map: "out".into(), writes })
}

fn id(epoch: u64) -> SnapshotId {
    SnapshotId { job: JobId(1), execution: ExecutionId(1), epoch: Epoch(epoch) }
}

struct Disk(BTreeMap<Bytes, Bytes>, Option<u64>);

impl Disk {
    fn take(&mut self, log: Vec<Logged>) {
        for logged in log {
            match logged.record {
                LogRecord::Put { key, value, .. } => drop(self.0.insert(key, value)),
                LogRecord::Remove { key, .. } => drop(self.0.remove(&key)),
                LogRecord::ClearMap { .. } | LogRecord::Rewrite => self.0.clear(),
                LogRecord::Marker { point, .. } => self.1 = Some(point.1.0),
                LogRecord::Later { .. } | LogRecord::NoLater { .. } | LogRecord::Complete => {}
            }
        }
    }
}

fn run_epoch(replica: &mut Replica, disk: &mut Disk, epoch: u64, delta: &[u8]) {
    let part = Op::SnapshotPart { id: id(epoch), vertex: SINK, part: 0, bytes: Bytes::copy_from_slice(delta) };
    for op in [part, Op::SinkApply { id: id(epoch), vertices: vec![SINK] }] {
        disk.take(replica.sequence(T, op).unwrap().2);
    }
}

fn ram(replica: &Replica) -> BTreeMap<Bytes, Bytes> {
    let entries = replica.content().maps.get("out").cloned().unwrap_or_default();
    entries.into_iter().map(|(key, entry)| (key, entry.value)).collect()
}

#[test]
fn a_sink_epoch_is_applied_once_and_reaches_the_log_when_durable() {
    let (mut replica, mut disk) = (Replica::empty(P, decode), Disk(BTreeMap::new(), None));
    run_epoch(&mut replica, &mut disk, 1, b"a\x01b\x01");
    run_epoch(&mut replica, &mut disk, 2, b"a\x02");
    assert_eq!(replica.sequence(T, Op::SinkApply { id: id(1), vertices: vec![SINK] }).unwrap().1, Reply::AlreadySo);
    assert_eq!(ram(&replica)[&b"a"[..]], b"\x02"[..]);
    assert!(disk.0.is_empty() && disk.1.is_none());
    disk.take(replica.durable(id(1)));
    assert_eq!((disk.0[&b"a"[..]].as_ref(), disk.1), (&b"\x01"[..], Some(1)));
    disk.take(replica.rewrite());
    assert_eq!(disk.0[&b"a"[..]], b"\x01"[..], "a rewrite shows no more than the log");
    disk.take(replica.durable(id(2)));
    assert_eq!((&disk.0, disk.1), (&ram(&replica), Some(2)));
}

#[test]
fn an_unreadable_sink_part_changes_nothing() {
    let mut replica = Replica::empty(P, decode);
    replica
        .sequence(T, Op::SnapshotPart { id: id(1), vertex: SINK, part: 0, bytes: Bytes::from_static(b"a\x01b") })
        .unwrap();
    let (before, version) = (replica.content().clone(), replica.version());
    let refused = replica.sequence(T, Op::SinkApply { id: id(1), vertices: vec![SINK] });
    assert!(matches!(refused, Err(Refusal::SinkPart { vertex: SINK, .. })));
    assert_eq!((replica.content(), replica.version()), (&before, version));
}

#[test]
fn parts_of_replaced_executions_and_of_committed_snapshots_are_refused() {
    let mut replica = Replica::empty(P, decode);
    let part = |id, bytes: &'static [u8]| Op::SnapshotPart { id, vertex: 0, part: 0, bytes: Bytes::from_static(bytes) };
    let second = SnapshotId { execution: ExecutionId(2), ..id(5) };
    replica.sequence(T, part(second, b"x")).unwrap();
    assert!(matches!(replica.sequence(T, part(id(6), b"x")), Err(Refusal::OldExecution { .. })));
    let record = CommitRecord {
        id: second,
        table_version: T,
        parts: 1,
        bytes: 1,
        rows_read: 0,
        digest: String::new(),
        terminal: true,
    };
    replica.sequence(T, Op::SnapshotCommit(record.clone())).unwrap();
    assert_eq!(replica.sequence(T, Op::SnapshotCommit(record.clone())).unwrap().1, Reply::AlreadySo);
    assert!(matches!(replica.sequence(T, part(second, b"y")), Err(Refusal::CommittedPart { .. })));
    let older = CommitRecord { id: SnapshotId { epoch: Epoch(4), ..second }, ..record };
    assert!(matches!(replica.sequence(T, Op::SnapshotCommit(older)), Err(Refusal::CommittedAlready { .. })));
}

fn sink_write(key: &'static [u8], value: &'static [u8]) -> SinkWrite {
    SinkWrite { map: "out".into(), key: Bytes::from_static(key), value: Some(Bytes::from_static(value)) }
}

#[test]
fn what_is_taken_back_late_destroys_nothing_of_an_execution_that_has_begun() {
    let (mut replica, mut disk) = (Replica::empty(P, decode), Disk(BTreeMap::new(), None));
    run_epoch(&mut replica, &mut disk, 1, b"a\x01");
    let cut = |by| Op::CutBack { id: id(1), by: ExecutionId(by) };
    let restore =
        |by| Op::SinkRestore { id: id(1), by: ExecutionId(by), writes: vec![sink_write(b"a", b"\x01")], last: true };
    replica.sequence(T, cut(2)).unwrap();
    // Execution 2 begins: a part, a commit record, then its sink writes.
    let of_2 = SnapshotId { execution: ExecutionId(2), ..id(2) };
    let part = Op::SnapshotPart { id: of_2, vertex: SINK, part: 0, bytes: Bytes::from_static(b"a\x02") };
    replica.sequence(T, part).unwrap();
    let steps = [None, Some(Op::SinkApply { id: of_2, vertices: vec![SINK] })];
    for step in steps {
        step.into_iter().for_each(|op| drop(replica.sequence(T, op).unwrap()));
        let (before, version) = (replica.content().clone(), replica.version());
        for late in [cut(1), cut(2), restore(1), restore(2)] {
            let refused = replica.sequence(T, late.clone());
            assert!(matches!(refused, Err(Refusal::BegunExecution { .. })), "{late:?}: {refused:?}");
        }
        assert_eq!((replica.content(), replica.version()), (&before, version));
    }
    replica.sequence(T, cut(3)).unwrap();
    assert_eq!(ram(&replica)[&b"a"[..]], b"\x01"[..]);
}

#[test]
fn a_file_gives_its_sink_writes_once_and_never_over_what_clients_wrote_since() {
    let mut replica = Replica::empty(P, decode);
    let restore =
        |by| Op::SinkRestore { id: id(5), by: ExecutionId(by), writes: vec![sink_write(b"a", b"\x01")], last: true };
    assert_eq!(replica.sequence(T, restore(2)).unwrap().1, Reply::Done);
    assert_eq!(ram(&replica)[&b"a"[..]], b"\x01"[..]);
    let put = Op::Put { map: "out".into(), key: Bytes::from_static(b"a"), value: Bytes::from_static(b"\x09") };
    replica.sequence(T, put).unwrap();
    // The engine fell before it left anything; the next goes on from the same snapshot, perhaps at another primary.
    for by in [2, 3] {
        replica.sequence(T, Op::CutBack { id: id(5), by: ExecutionId(by) }).unwrap();
        let (_, reply, log) = replica.sequence(T, restore(by)).unwrap();
        assert_eq!((reply, log.as_slice()), (Reply::AlreadySo, &[][..]));
    }
    assert_eq!(ram(&replica)[&b"a"[..]], b"\x09"[..], "an acknowledged write of a client is gone");
}

#[test]
fn one_flipped_byte_in_a_backup_names_the_partition() {
    let counted = [id(1)].into();
    let mut replicas: Vec<_> = (0..3).map(|_| Replica::empty(P, decode)).collect();
    let mut others: Vec<_> = (0..3).map(|_| Replica::empty(PartitionId(8), decode)).collect();
    for replica in replicas.iter_mut().chain(&mut others) {
        replica.sequence(T, Op::Put { map: "m".into(), key: "k".into(), value: "value".into() }).unwrap();
        replica.sequence(T, Op::SnapshotPart { id: id(1), vertex: 0, part: 0, bytes: "state".into() }).unwrap();
    }
    let said = |replicas: &[Replica], others: &[Replica]| {
        let of =
            |n: usize| vec![content_of(P, &replicas[n], &counted), content_of(PartitionId(8), &others[n], &counted)];
        differences(&(0..3).map(|n| (n, of(n))).collect::<Vec<_>>())
    };
    assert!(said(&replicas, &others).is_empty());
    let spoils: [fn(&mut Replica); 3] = [
        |r| {
            drop(
                r.content_for_spoiling()
                    .maps
                    .get_mut("m")
                    .unwrap()
                    .insert("k".into(), jet_map::Entry::new("walue".into())),
            )
        },
        |r| drop(r.content_for_spoiling().snapshots.get_mut(&id(1)).unwrap().insert((0, 0), "stade".into())),
        |r| assert!(r.content_for_spoiling().markers.insert(JobId(1), id(1).point()).is_none()),
    ];
    for spoil in spoils {
        let mut source = CopySource::of(&replicas[0]);
        let mut spoiled = Replica::empty(P, decode);
        copy(&mut source, &mut spoiled);
        assert!(said(&[&spoiled, &replicas[1], &replicas[2]].map(clone), &others).is_empty());
        spoil(&mut spoiled);
        let found = said(&[&spoiled, &replicas[1], &replicas[2]].map(clone), &others);
        assert_eq!(found.iter().map(|(partition, _)| *partition).collect::<Vec<_>>(), [P]);
    }
}

fn copy(source: &mut CopySource, to: &mut Replica) {
    while let Some((piece, items)) = source.next_piece() {
        to.copy_piece(1, piece, items).unwrap();
    }
    to.copy_end(1, source.pieces(), source.version, &source.digest()).unwrap();
}

fn clone(replica: &Replica) -> Replica {
    let mut to = Replica::empty(P, decode);
    copy(&mut CopySource::of(replica), &mut to);
    to
}

#[test]
fn a_copy_that_lost_or_changed_an_item_is_refused() {
    let mut replica = Replica::empty(P, decode);
    for n in 0..50u8 {
        replica.sequence(T, Op::Put { map: "m".into(), key: vec![n].into(), value: vec![n].into() }).unwrap();
    }
    let mut source = CopySource::of(&replica);
    let (piece, mut items) = source.next_piece().unwrap();
    items.pop();
    let mut to = Replica::empty(P, decode);
    to.copy_piece(1, piece, items).unwrap();
    assert!(matches!(to.copy_end(1, 1, source.version, &source.digest()), Err(Refusal::CopyDiffers { .. })));
    assert_eq!(to.content().entries(), 0);
}

/// What a job does to a sink partition, by chance.
#[derive(Clone, Debug)]
enum Happens {
    Epoch(Vec<u8>),
    Put(u8, u8),
    Flush,
    Durable,
    Copy,
}

fn happens() -> impl Strategy<Value = Happens> {
    prop_oneof![
        4 => prop::collection::vec((0u8..5, 0u8..4), 0..4).prop_map(|w| Happens::Epoch(w.into_iter().flat_map(|(k, v)| [k, v]).collect())),
        1 => (0u8..5, 1u8..4).prop_map(|(k, v)| Happens::Put(k, v)),
        2 => Just(Happens::Flush),
        2 => Just(Happens::Durable),
        1 => Just(Happens::Copy),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// The log never shows a sink write beyond the durable epoch, and log plus the durable epoch's file give exactly
    /// what RAM was at that epoch (plus later writes of clients).
    #[test]
    fn the_disk_gives_back_the_durable_epoch(history in prop::collection::vec(happens(), 1..60)) {
        let (mut replica, mut disk) = (Replica::empty(P, decode), Disk(BTreeMap::new(), None));
        let (mut epoch, mut durable, mut flight, mut file) = (0, 0, None, None::<PartitionEpoch>);
        // RAM at each epoch; writes of clients are in all of them, as they are durable at once.
        let mut at: BTreeMap<u64, BTreeMap<Bytes, Bytes>> = BTreeMap::from([(0, BTreeMap::new())]);
        for event in history {
            match event {
                Happens::Epoch(delta) => {
                    epoch += 1;
                    run_epoch(&mut replica, &mut disk, epoch, &delta);
                    at.insert(epoch, ram(&replica));
                }
                Happens::Put(key, value) => {
                    let (key, value) = (Bytes::from(vec![key]), Bytes::from(vec![value]));
                    let put = Op::Put { map: "out".into(), key: key.clone(), value: value.clone() };
                    disk.take(replica.sequence(T, put).unwrap().2);
                    at.values_mut().for_each(|ram| drop(ram.insert(key.clone(), value.clone())));
                    if let Some(PartitionEpoch { writes, .. }) = &mut file {
                        writes.retain(|write| write.key != key);
                    }
                    if let Some((_, PartitionEpoch { writes, .. })) = &mut flight {
                        writes.retain(|write| write.key != key);
                    }
                }
                Happens::Flush if flight.is_none() && epoch > durable => {
                    let parts = replica.begin_epoch(id(epoch)).unwrap().to_parts();
                    flight = Some((epoch, PartitionEpoch::from_parts(id(epoch), parts).unwrap()));
                }
                Happens::Durable => if let Some((of, read)) = flight.take() {
                    (durable, file) = (of, Some(read));
                    disk.take(replica.durable(id(of)));
                },
                Happens::Copy => {
                    replica = clone(&replica);
                    flight = None;
                    disk.take(replica.rewrite());
                }
                Happens::Flush => {}
            }
            prop_assert!(disk.1.unwrap_or(0) <= durable);
            let mut restored = disk.0.clone();
            for write in file.iter().flat_map(|file| &file.writes) {
                match &write.value {
                    Some(value) => drop(restored.insert(write.key.clone(), value.clone())),
                    None => drop(restored.remove(&write.key)),
                }
            }
            prop_assert_eq!(&restored, &at[&durable], "durable {}", durable);
        }
    }

    /// Cutting back to any epoch that can be told apart gives RAM as it was.
    #[test]
    fn cutting_back_gives_the_epoch(deltas in prop::collection::vec(prop::collection::vec((0u8..5, 0u8..4), 0..4), 1..8), back in 0u64..8) {
        let (mut replica, mut disk) = (Replica::empty(P, decode), Disk(BTreeMap::new(), None));
        let mut at = vec![BTreeMap::new()];
        for (n, delta) in deltas.iter().enumerate() {
            let delta: Vec<u8> = delta.iter().flat_map(|(k, v)| [*k, *v]).collect();
            run_epoch(&mut replica, &mut disk, n as u64 + 1, &delta);
            at.push(ram(&replica));
        }
        let back = back.min(deltas.len() as u64);
        replica.sequence(T, Op::CutBack { id: id(back), by: ExecutionId(2) }).unwrap();
        prop_assert_eq!(ram(&replica), at[back as usize].clone());
    }
}
