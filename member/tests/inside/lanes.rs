//! Calls to primaries never keep the primaries' own copying waiting: two members that call each other more often than a
//! lane has room for get all their answers.

use std::sync::Arc;

use bytes::Bytes;
use futures::future::{BoxFuture, join_all};
use jet_core::agent::Doors;
use jet_core::roster::{Founder, RosterEntry};
use jet_core::{Boot, Command, Digest, FoundingId, Generation, Machine, MemberId, Outcome};
use jet_hotstore::{Options, OsDisk, Store};
use jet_map::{Op, PartitionId, Requester};
use jet_member::cluster::ProposeError;
use jet_member::config::Fsync;
use jet_member::map::MapService;
use jet_member::ports::{Cluster, Maps};

use crate::wires::{connect, unconnected, uuid};

const PARTITIONS: u16 = 16;
/// Calls in each direction: several times what a lane has open at a time.
const CALLS: usize = 2000;

pub struct Seat {
    pub me: MemberId,
    pub machine: Arc<Machine>,
}

impl Cluster for Seat {
    fn propose(self: Arc<Self>, _: Command) -> BoxFuture<'static, Result<Outcome, ProposeError>> {
        Box::pin(async { Err(ProposeError::NoLeader) })
    }

    fn machine(&self) -> Arc<Machine> {
        self.machine.clone()
    }

    fn leader(&self) -> Option<MemberId> {
        None
    }

    fn me(&self) -> MemberId {
        self.me
    }

    fn boot(&self) -> Boot {
        Boot(1)
    }

    fn leased(&self) -> bool {
        true
    }
}

/// Two members, each partition on both.
pub fn founded() -> Machine {
    let founder = |n: usize| Founder {
        member: MemberId(uuid(n)),
        entry: RosterEntry {
            ordinal: u32::try_from(n).unwrap(),
            boot: Boot(1),
            volume_id: format!("volume-{n}"),
            log_line: 7,
        },
    };
    let mut machine = Machine::default();
    let found = Command::Found {
        id: FoundingId(uuid(9)),
        members: vec![founder(0), founder(1)],
        partition_count: PARTITIONS,
        backup_count: 1,
        permit_digest: Digest::default(),
    };
    let opened = |n| Command::Opened { member: MemberId(uuid(n)), boot: Boot(1), generation: Generation(1) };
    for (index, command) in [found, opened(0), opened(1)].into_iter().enumerate() {
        let outcome = jet_core::apply(&mut machine, index as u64 + 1, command);
        assert!(matches!(outcome, Outcome::Done { .. }), "{outcome:?}");
    }
    machine
}

async fn call(maps: MapService, partition: PartitionId, n: usize) -> Result<(), String> {
    let key = Bytes::from(format!("key-{n}"));
    let op = Op::Put { map: "flights".into(), key, value: Bytes::from_static(b"value") };
    maps.invoke(partition, Requester::Client, op).await.map(|_| ()).map_err(|refusal| refusal.to_string())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn full_lanes_in_both_directions_do_not_wait_for_each_other() {
    let nets = unconnected(2);
    let machine = Arc::new(founded());
    let dir = tempfile::tempdir().unwrap();
    let mut members = Vec::new();
    for (n, (net, _)) in nets.iter().enumerate() {
        let (store, _) = Store::open(&dir.path().join(n.to_string()), Arc::new(OsDisk), Options::default()).unwrap();
        let seat = Seat { me: MemberId(uuid(n)), machine: machine.clone() };
        let (store, decode) = (Arc::new(store), jet_member::jobs::decode_sink);
        let maps = MapService::new(net.clone(), store, Arc::new(seat), decode, Fsync::default());
        for lane in [jet_member::net::Lane::Control, jet_member::net::Lane::Jobs] {
            net.serve(lane, Arc::new(Mute));
        }
        maps.applied(&machine);
        // As after a generation was opened: who has not read its store takes no copies.
        maps.store_open();
        maps.set_doors(Doors::Open);
        members.push(maps);
    }
    connect(&nets).await;
    let mut calls = Vec::new();
    for (n, maps) in members.iter().enumerate() {
        // Partitions that the other one leads, so that each call crosses over, and its copy comes back.
        let there: Vec<PartitionId> = machine
            .table
            .entries()
            .filter(|(_, entry)| entry.primary().is_some_and(|primary| primary.member == MemberId(uuid(1 - n))))
            .map(|(partition, _)| partition)
            .collect();
        assert!(!there.is_empty());
        calls.extend((0..CALLS).map(|c| call(maps.clone(), there[c % there.len()], c)));
    }
    let failed: Vec<String> = join_all(calls).await.into_iter().filter_map(Result::err).collect();
    assert!(failed.is_empty(), "{} of {} calls failed, the first: {}", failed.len(), 2 * CALLS, failed[0]);
}

/// Answers nothing of use.
pub struct Mute;

impl jet_member::net::Handler for Mute {
    fn handle(&self, _: jet_member::net::Peer, _: Bytes) -> BoxFuture<'static, Bytes> {
        Box::pin(async { Bytes::new() })
    }
}
