//! Writes the seeds of the corpus that are no text of a person's: letters of consensus, and what members say to each other
//! about partitions.
//!
//! Must not know: what the targets look for.

use std::fs;
use std::path::Path;

use bytes::Bytes;
use fuzz_member::consensus::letter::{Body, Letter};
use fuzz_member::consensus::types::Voter;
use fuzz_member::partitions::input;
use jet_core::{Boot, MemberId};
use jet_map::wire::{Request, Response};
use jet_map::{
    Change, Door, Keyed, Op, Owner, PartitionId, Query, QueryReply, Refusal, Requester, TableVersion, Version, Wished,
};
use openraft::raft::{AppendEntriesRequest, InstallSnapshotRequest, VoteRequest};
use openraft::{CommittedLeaderId, Entry, EntryPayload, LogId, SnapshotMeta, StoredMembership, Vote};
use uuid::Uuid;

fn write(target: &str, name: &str, bytes: &[u8]) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target);
    let path = folder.join(name);
    fs::create_dir_all(folder).and_then(|()| fs::write(&path, bytes)).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
}

fn voter() -> Voter {
    Voter { member: MemberId(Uuid::from_u128(7)), line: 3 }
}

fn letters() {
    let leader = CommittedLeaderId::new(4, voter());
    let at = |index| LogId::new(leader, index);
    let letter = |name, body| {
        write("letters", name, &serde_json::to_vec(&Letter { to: voter(), body }).expect("a letter"));
    };
    let vote = Vote::new_committed(4, voter());
    let blank = Entry { log_id: at(9), payload: EntryPayload::Blank };
    let entries = AppendEntriesRequest { vote, prev_log_id: Some(at(8)), entries: vec![blank], leader_commit: None };
    letter("append", Body::Append(entries));
    let beat = AppendEntriesRequest { vote, prev_log_id: None, entries: Vec::new(), leader_commit: Some(at(8)) };
    letter("beat", Body::Append(beat));
    letter("vote", Body::Vote(VoteRequest { vote: Vote::new(5, voter()), last_log_id: Some(at(9)) }));
    let meta = SnapshotMeta {
        last_log_id: Some(at(9)),
        last_membership: StoredMembership::default(),
        snapshot_id: "4-9".into(),
    };
    letter("snapshot", Body::Snapshot(InstallSnapshotRequest { vote, meta, offset: 0, data: vec![1, 2], done: true }));
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus/letters/append")).expect("written");
    for (name, from, to) in [
        ("nasty-voter", "/3", "/zz"),
        ("nasty-index", "9", "99999999999999999999"),
        ("nasty-kind", "Append", "Depend"),
        ("nasty-null", "\"to\":", "\"to\":null,\"to\":"),
        ("nasty-float", ":8", ":8.5"),
    ] {
        write("letters", name, text.replacen(from, to, 1).as_bytes());
    }
    write("letters", "nasty-cut", &text.as_bytes()[..text.len() / 2]);
}

fn partitions() {
    let (partition, requester) = (PartitionId(3), Requester::Client);
    let (map, key) = ("m".to_owned(), Bytes::from_static(b"k"));
    let by = Owner { client: Uuid::from_u128(5), thread: 1 };
    let keyed = Keyed {
        map: map.clone(),
        key: key.clone(),
        by,
        change: Change::IfSame { expected: "a".into(), value: "b".into() },
        limits: Wished { ttl: Some(5), idle: None },
        quiet: false,
    };
    let lock = Op::Lock { map: map.clone(), key: key.clone(), owner: by, reference: 7, lease: 100 };
    let installed = TableVersion(4);
    let asked = |name, request: Request| write("partitions", name, &input(&request.encode()));
    let invoke = |op| Request::Invoke { partition, requester, op, to_disk: true };
    asked("keyed", invoke(Op::Keyed(keyed)));
    asked("lock", invoke(lock));
    let entries = vec![(key.clone(), Bytes::from_static(b"v"))];
    asked("put-all", invoke(Op::PutAll { map: map.clone(), entries, by, limits: Wished::default() }));
    asked("scan", Request::Ask { partition, requester, query: Query::Scan { map: map.clone(), from: Some(1), bytes: 9 } });
    let prev = Version { installed, seq: 8 };
    asked("follow", Request::Follow { partition, changed: installed, prev, changes: Vec::new() });
    let told = |name, response: Response| write("partitions", name, &input(&response.encode()));
    told("page", Response::Answer(QueryReply::Page { entries: vec![(key, Bytes::new())], next: Some(2) }));
    told("at", Response::At(prev));
    told("refused", Response::Refused(Refusal::Door { what: "a put".into(), door: Door::Closed }));
    let member = MemberId(Uuid::from_u128(9));
    told("wrong-sender", Response::Refused(Refusal::WrongSender { partition, member, boot: Boot(1) }));
    let mut framed = Vec::new();
    for body in [&b"one"[..], b"", Request::Follow { partition, changed: installed, prev, changes: Vec::new() }.encode().as_ref()] {
        futures::executor::block_on(fuzz_member::frame::write(&mut framed, &[], body)).expect("short");
    }
    write("partitions", "frames", &[&[1], &framed[..]].concat());
    framed[0] = 0xff;
    write("partitions", "nasty-frames", &[&[1], &framed[..]].concat());
    write("partitions", "nasty-giant", &[1, 0xff, 0xff, 0xff, 0x7f, 0, 0, 0, 0]);
    write("partitions", "nasty-rubbish", &[0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01]);
}

fn main() {
    letters();
    partitions();
}
