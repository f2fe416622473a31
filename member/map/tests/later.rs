//! Who is later: a client's write or a sink's that only a file has; and what is no snapshot while it is given back.
//!
//! Law: a power loss never turns the order of two writes of one key round. Must not know: files.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use bytes::Bytes;
use jet_map::digest::content_of;
use jet_map::journal::Logged;
use jet_map::{
    Change, Content, CopySource, Epoch, ExecutionId, JobId, Keyed, Limits, LogRecord, Op, Owner, PartitionEpoch,
    PartitionId, Refusal, Replica, Reply, SinkDelta, SnapshotId, TableVersion, Wished,
};

const P: PartitionId = PartitionId(7);
const T: TableVersion = TableVersion(1);
const SINK: u32 = 3;

/// `key value`, one byte each.
fn decode(bytes: &[u8]) -> Result<SinkDelta, String> {
    let writes = bytes.chunks(2).map(|w| (Bytes::copy_from_slice(&w[..1]), Some(Bytes::copy_from_slice(&w[1..]))));
    Ok(SinkDelta { map: "out".into(), writes: writes.collect() })
}

fn of(job: u64, epoch: u64) -> SnapshotId {
    SnapshotId { job: JobId(job), execution: ExecutionId(1), epoch: Epoch(epoch) }
}

/// A replica and all that its log got.
struct Written {
    replica: Replica,
    log: Vec<Logged>,
}

impl Written {
    fn new() -> Self {
        Self { replica: Replica::empty(P, decode), log: Vec::new() }
    }

    fn does(&mut self, op: Op) {
        self.log.extend(self.replica.sequence(T, op).unwrap().2);
    }

    fn publishes(&mut self, id: SnapshotId, delta: &'static [u8]) {
        self.does(Op::SnapshotPart { id, vertex: SINK, part: 0, bytes: Bytes::from_static(delta) });
        self.does(Op::SinkApply { id, vertices: vec![SINK] });
    }

    fn puts(&mut self, value: &'static [u8]) {
        self.does(Op::Put { map: "out".into(), key: "k".into(), value: Bytes::from_static(value) });
    }

    fn file(&mut self, id: SnapshotId) -> PartitionEpoch {
        self.replica.begin_epoch(id).unwrap()
    }

    fn is_durable(&mut self, id: SnapshotId) {
        let log = self.replica.durable(id);
        self.log.extend(log);
    }

    /// After a power loss: what the log has, then what the files have of epochs that are durable everywhere.
    fn back(&self, files: &[&PartitionEpoch]) -> Replica {
        let mut content = Content::default();
        self.log.iter().for_each(|logged| content.load(logged.record.clone()));
        let mut replica = Replica::empty(P, decode);
        replica.loaded(content, self.replica.version());
        for file in files {
            replica.load_sinks(file);
        }
        replica
    }
}

fn k(replica: &Replica) -> Option<&[u8]> {
    Some(replica.content().maps.get("out")?.get(&b"k"[..])?.value.as_ref())
}

#[test]
fn a_client_that_wrote_over_a_pending_sink_write_is_not_overtaken_by_the_file() {
    type Change = fn(&mut Written);
    let changes: [(Change, Option<&[u8]>); 3] = [
        (|w| w.puts(b"c"), Some(b"c")),
        (|w| w.does(Op::Remove { map: "out".into(), key: "k".into() }), None),
        (|w| w.does(Op::ClearMap { map: "out".into() }), None),
    ];
    for (change, expected) in changes {
        let mut written = Written::new();
        written.publishes(of(1, 3), b"k3");
        written.publishes(of(1, 5), b"x5");
        let file = written.file(of(1, 5));
        change(&mut written);
        assert_eq!(k(&written.back(&[&file])), expected, "the file of an older epoch wins over the log");
        // The whole content written again says the same.
        written.log = written.replica.rewrite();
        assert_eq!(k(&written.back(&[&file])), expected);
    }
}

#[test]
fn a_sink_write_that_is_later_than_the_client_comes_back_from_the_file() {
    let mut written = Written::new();
    written.publishes(of(1, 3), b"k3");
    written.puts(b"c");
    written.publishes(of(1, 5), b"k5");
    let file = written.file(of(1, 5));
    assert_eq!(k(&written.back(&[&file])), Some(&b"5"[..]));
}

#[test]
fn the_job_whose_write_was_overwritten_by_a_durable_one_does_not_win_by_its_file() {
    let mut written = Written::new();
    written.publishes(of(1, 3), b"k3");
    let file = written.file(of(1, 3));
    written.publishes(of(2, 1), b"ko");
    written.is_durable(of(2, 1));
    assert_eq!(k(&written.back(&[&file])), Some(&b"o"[..]));
    // What the first job writes afterwards is later again, and its earlier files are not.
    written.publishes(of(1, 6), b"k6");
    let (early, late) = (file, written.file(of(1, 6)));
    assert_eq!(k(&written.back(&[&early])), Some(&b"o"[..]));
    assert_eq!(k(&written.back(&[&late])), Some(&b"6"[..]));
}

#[test]
fn a_job_that_writes_again_before_the_other_is_durable_keeps_its_last_write() {
    let mut written = Written::new();
    written.publishes(of(1, 3), b"k3");
    written.publishes(of(2, 1), b"ko");
    written.publishes(of(1, 6), b"k6");
    let between = PartitionEpoch { writes: written.file(of(1, 3)).writes, ..written.file(of(1, 5)) };
    let between = PartitionEpoch { marker: Some(of(1, 5).point()), ..between };
    let late = written.file(of(1, 6));
    written.is_durable(of(2, 1));
    assert_eq!(k(&written.back(&[&between])), Some(&b"o"[..]));
    assert_eq!(k(&written.back(&[&late])), Some(&b"6"[..]));
}

#[test]
fn marks_go_when_the_log_has_what_they_speak_of_and_travel_with_a_copy() {
    let mut written = Written::new();
    written.publishes(of(1, 3), b"k3");
    let file = written.file(of(1, 3));
    written.puts(b"c");
    let mut backup = Replica::empty(P, decode);
    copy(&written.replica, &mut backup);
    let log = backup.rewrite();
    assert_eq!(
        k(&Written { replica: backup, log }.back(&[&file])),
        Some(&b"c"[..]),
        "the backup's log does not say it"
    );
    written.is_durable(of(1, 3));
    assert_eq!(written.replica.content().later.marks().count(), 0);
    assert_eq!(k(&written.back(&[])), Some(&b"c"[..]));
}

#[test]
fn a_file_that_is_restored_takes_nothing_back_of_who_wrote_later_on_every_replica_alike() {
    let mut written = Written::new();
    written.publishes(of(1, 3), b"k3x3y3");
    let file = written.file(of(1, 3));
    // The log had nothing yet, and nobody has called the epoch durable: its parts are read from the file, no sinks.
    let mut back = Written { replica: written.back(&[]), log: Vec::new() };
    back.replica.load_epoch(file.clone());
    back.puts(b"c");
    back.publishes(of(2, 1), b"xo");
    let mut backup = Replica::empty(P, decode);
    copy(&back.replica, &mut backup);
    // What the other job published is durable, and the backup has not heard so yet.
    back.is_durable(of(2, 1));
    let mut backup = Written { replica: backup, log: Vec::new() };
    let (early, late) = file.writes.split_at(1);
    for (writes, last) in [(early, false), (late, true)] {
        for replica in [&mut back, &mut backup] {
            assert!(replica.replica.content().unsettled().next().is_some());
            replica.does(Op::SinkRestore { id: of(1, 3), by: ExecutionId(2), writes: writes.to_vec(), last });
        }
    }
    let ram = |replica: &Written| replica.replica.content().maps["out"].clone();
    let of = |key: &'static [u8]| ram(&back)[key].value.clone();
    assert_eq!((of(b"k").as_ref(), of(b"x").as_ref(), of(b"y").as_ref()), (&b"c"[..], &b"o"[..], &b"3"[..]));
    assert_eq!(ram(&back), ram(&backup), "replicas that were equal differ");
    assert_eq!(back.replica.content().unsettled().next(), None);
}

#[test]
fn a_durable_write_of_another_job_stays_above_a_file_that_was_not_asked_yet() {
    let mut written = Written::new();
    written.publishes(of(1, 3), b"k3");
    let file = written.file(of(1, 3));
    let mut back = Written { replica: written.back(&[]), log: Vec::new() };
    back.replica.load_epoch(file.clone());
    back.publishes(of(2, 1), b"ko");
    back.is_durable(of(2, 1));
    // Another power loss, before the first job was given back anything.
    let mut again = Written { replica: back.back(&[]), log: Vec::new() };
    again.replica.load_epoch(file.clone());
    again.does(Op::SinkRestore { id: of(1, 3), by: ExecutionId(2), writes: file.writes, last: true });
    assert_eq!(k(&again.replica), Some(&b"o"[..]));
}

#[test]
fn the_end_of_a_job_takes_no_mark_that_its_file_still_needs() {
    let mut written = Written::new();
    written.publishes(of(1, 2), b"k2");
    written.is_durable(of(1, 2));
    written.publishes(of(1, 3), b"k3");
    let file = written.file(of(1, 3));
    let mut back = Written { replica: written.back(&[]), log: Vec::new() };
    back.replica.load_epoch(file.clone());
    back.puts(b"c");
    let all = SnapshotId { execution: ExecutionId(u64::MAX), ..of(1, u64::MAX) };
    back.is_durable(all);
    back.does(Op::SinkRestore { id: of(1, 3), by: ExecutionId(2), writes: file.writes, last: true });
    assert_eq!(k(&back.replica), Some(&b"c"[..]));
    back.is_durable(all);
    assert_eq!(back.replica.content().later.marks().count(), 0);
}

#[test]
fn parts_that_are_given_back_are_no_snapshot_before_the_last_one_on_every_replica() {
    let mut written = Written::new();
    let (id, by) = (of(1, 3), ExecutionId(2));
    written.publishes(id, b"k3");
    written.does(Op::RestoreBegin { id, by });
    written.does(Op::SnapshotPart { id, vertex: SINK, part: 0, bytes: Bytes::from_static(b"k3") });
    assert_eq!(written.replica.content().whole(id), None);
    assert!(written.file(id).parts.is_empty(), "a file of a snapshot that is not whole");
    let mut backup = Replica::empty(P, decode);
    copy(&written.replica, &mut backup);
    assert_eq!(backup.content().whole(id), None, "the copy does not know that it is not whole");
    written.does(Op::RestoreEnd { id, by });
    assert!(written.replica.content().whole(id).is_some());
    let again = written.replica.sequence(T, Op::RestoreEnd { id, by }).unwrap().1;
    assert_eq!(again, Reply::AlreadySo);
    // An execution that has begun is not given anything any more.
    written.does(Op::SnapshotPart {
        id: SnapshotId { execution: by, ..id },
        vertex: SINK,
        part: 0,
        bytes: Bytes::from_static(b"k4"),
    });
    let late = written.replica.sequence(T, Op::RestoreBegin { id, by });
    assert!(matches!(late, Err(Refusal::BegunExecution { .. })), "{late:?}");
    assert_eq!(content_of(P, &written.replica, &[id].into()).entries, 1);
}

fn copy(from: &Replica, to: &mut Replica) {
    let mut source = CopySource::of(from);
    while let Some((piece, items)) = source.next_piece() {
        to.copy_piece(1, piece, items).unwrap();
    }
    to.copy_end(1, source.pieces(), source.version, &source.digest()).unwrap();
}

/// A disk shows an entry with its limits until what a sink wrote over it is durable, and so does RAM when that is taken back.
#[test]
fn an_entry_with_limits_has_them_again_when_what_a_sink_wrote_over_it_is_taken_back() {
    let limits = Limits { ttl: 5_000, idle: 70 };
    let key = || Bytes::from_static(b"k");
    let set = Keyed {
        map: "out".into(),
        key: key(),
        by: Owner::NOBODY,
        change: Change::Set("v".into()),
        limits: Wished::exactly(limits),
        quiet: true,
    };
    let has = |replica: &Replica| {
        let limits = replica.content().lives.get("out", b"k").map(|life| life.limits);
        (k(replica).map(<[u8]>::to_vec), limits)
    };
    let before = (Some(b"v".to_vec()), Some(limits));
    let mut written = Written::new();
    written.does(Op::Keyed(set));
    written.publishes(of(1, 3), b"k3");
    assert_eq!(has(&written.replica), (Some(b"3".to_vec()), None));
    assert_eq!(has(&written.back(&[])), before);
    let rewritten = Written { replica: Replica::empty(P, decode), log: written.replica.rewrite() };
    assert_eq!(has(&rewritten.back(&[])), before);
    let older: Vec<_> = written.replica.content().older(u64::MAX, None).0;
    let kept = jet_map::life::keep(&"v".into(), limits);
    assert_eq!(older, [LogRecord::Put { map: "out".into(), key: key(), value: kept }]);

    let mut durable = Written { replica: copy_of(&written.replica), log: written.log.clone() };
    assert_eq!(durable.replica.content(), written.replica.content());
    durable.is_durable(of(1, 3));
    assert_eq!(has(&durable.back(&[])), (Some(b"3".to_vec()), None));

    written.does(Op::CutBack { id: of(1, 0), by: ExecutionId(2) });
    assert_eq!((has(&written.replica), has(&written.back(&[]))), (before.clone(), before));
}

fn copy_of(from: &Replica) -> Replica {
    let (mut source, mut to) = (CopySource::of(from), Replica::empty(P, decode));
    while let Some((piece, items)) = source.next_piece() {
        to.copy_piece(1, piece, items).unwrap();
    }
    to.copy_end(1, source.pieces(), source.version, &source.digest()).unwrap();
    to
}
