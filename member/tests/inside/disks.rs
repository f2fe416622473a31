//! Two members, each with a simulated disk: a change of a map with fsync is answered when it is on both, and a follower that
//! cannot write holds nobody else up.
//!
//! Must not know: how a follower is asked.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use jet_core::agent::Doors;
use jet_core::{Machine, MemberId};
use jet_hotstore::{Aftermath, Loaded, Options, SimulatedDisk, Store};
use jet_map::{Op, PartitionId, Refusal, Requester};
use jet_member::config::Fsync;
use jet_member::map::MapService;
use jet_member::net::Lane;
use jet_member::ports::Maps;

use crate::lanes::{Mute, Seat, founded};
use crate::wires::{connect, unconnected, until, uuid};

const HOME: &str = "/s";
const KEPT: &str = "kept";
const PLAIN: &str = "plain";

/// A disk that hangs until this is dropped: a test that fails must end.
struct Ice(SimulatedDisk);

impl Drop for Ice {
    fn drop(&mut self) {
        self.0.thaw();
    }
}

struct Two {
    maps: Vec<MapService>,
    disks: Vec<SimulatedDisk>,
    machine: Arc<Machine>,
}

fn open(disk: SimulatedDisk) -> Store {
    Store::open(Path::new(HOME), Arc::new(disk), Options::default()).unwrap().0
}

impl Two {
    async fn start() -> Self {
        Self::configured([Fsync::of(&[KEPT]), Fsync::of(&[KEPT])]).await
    }

    async fn configured(fsync: [Fsync; 2]) -> Self {
        let (nets, machine) = (unconnected(2), Arc::new(founded()));
        let (mut maps, mut disks) = (Vec::new(), Vec::new());
        for ((n, (net, _)), fsync) in nets.iter().enumerate().zip(fsync) {
            let disk = SimulatedDisk::new();
            let store = open(disk.clone());
            store.record_founded(uuid(9)).unwrap();
            store.open_generation(1).unwrap();
            let seat = Seat { me: MemberId(uuid(n)), machine: machine.clone() };
            let (store, decode) = (Arc::new(store), jet_member::jobs::decode_sink);
            let service = MapService::new(net.clone(), store, Arc::new(seat), decode, fsync);
            for lane in [Lane::Control, Lane::Jobs] {
                net.serve(lane, Arc::new(Mute));
            }
            service.applied(&machine);
            service.store_open();
            service.set_doors(Doors::Open);
            maps.push(service);
            disks.push(disk);
        }
        connect(&nets).await;
        Self { maps, disks, machine }
    }

    /// A partition that the first member leads.
    fn partition(&self) -> PartitionId {
        let led =
            |of: &jet_core::PartitionEntry| of.primary().is_some_and(|primary| primary.member == MemberId(uuid(0)));
        self.machine.table.entries().find(|(_, entry)| led(entry)).unwrap().0
    }

    async fn put(&self, through: usize, map: &str, key: &str) -> Result<(), Refusal> {
        let key = Bytes::copy_from_slice(key.as_bytes());
        let op = Op::Put { map: map.into(), key, value: Bytes::from_static(b"value") };
        self.maps[through].invoke(self.partition(), Requester::Client, op).await.map(drop)
    }

    /// Whose disks have a key, if the power of both went now.
    fn have(&self, wanted: &str) -> Vec<usize> {
        let has = |disk: &SimulatedDisk| {
            let mut found = false;
            let mut look = |loaded: Loaded<'_>| {
                found |= matches!(loaded, Loaded::Put { key, .. } if key == wanted.as_bytes());
            };
            open(disk.reboot(Aftermath::Lost)).load(&mut look).unwrap();
            found
        };
        (0..2).filter(|n| has(&self.disks[*n])).collect()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_of_a_map_with_fsync_is_on_every_disk_at_its_answer() {
    let two = Arc::new(Two::start().await);
    for (through, key) in [(0, "a"), (1, "b"), (0, "c")] {
        two.put(through, KEPT, key).await.unwrap();
        assert_eq!(two.have(key), [0, 1], "'{key}' through member {through} was acknowledged");
    }

    // A follower whose disk hangs holds it back, and nothing else.
    let ice = Ice(two.disks[1].clone());
    ice.0.freeze();
    let put = |through: usize, key: &'static str| {
        let two = two.clone();
        tokio::spawn(async move { two.put(through, KEPT, key).await })
    };
    let waits = [put(0, "d"), put(1, "e")];
    until("the primary's disk has both", || async {
        let have = (two.have("d"), two.have("e"));
        if have == (vec![0], vec![0]) { Ok(()) } else { Err(format!("{have:?}")) }
    })
    .await;
    two.put(1, PLAIN, "p").await.unwrap();
    assert!(waits.iter().all(|wait| !wait.is_finished()), "acknowledged, and a disk that counts lacks it");
    drop(ice);
    for (wait, key) in waits.into_iter().zip(["d", "e"]) {
        assert_eq!(wait.await.unwrap(), Ok(()));
        assert_eq!(two.have(key), [0, 1], "'{key}' was acknowledged");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_follower_whose_log_fails_is_named_to_whoever_waits() {
    let two = Two::start().await;
    two.put(0, KEPT, "a").await.unwrap();
    two.disks[1].set_capacity(Some(0));
    for through in 0..2 {
        let told = two.put(through, KEPT, "b").await.unwrap_err();
        let named = format!("the log of member {} failed", MemberId(uuid(1)));
        assert!(matches!(told, Refusal::NotOnDisk { .. }) && told.to_string().contains(&named), "{told}");
    }
    two.put(1, PLAIN, "p").await.unwrap();
    two.disks[1].set_capacity(None);
    until("the log goes on", || async { two.put(0, KEPT, "c").await.map_err(|told| told.to_string()) }).await;
    assert_eq!((two.have("b"), two.have("c")), (vec![0, 1], vec![0, 1]), "what was in RAM alone follows");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_word_of_either_member_is_enough_for_a_change_to_wait() {
    let two = Two::configured([Fsync::default(), Fsync::of(&[KEPT])]).await;
    for key in ["a", "b", "c"] {
        two.put(1, KEPT, key).await.unwrap();
        assert_eq!(two.have(key), [0, 1], "'{key}' was acknowledged to a caller whose member has fsync");
    }
    let two = Two::configured([Fsync::of(&[KEPT]), Fsync::default()]).await;
    two.put(1, KEPT, "d").await.unwrap();
    assert_eq!(two.have("d"), [0, 1], "'d' was acknowledged by a primary that has fsync");
}
