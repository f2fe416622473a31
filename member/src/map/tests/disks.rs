//! A change of a map with fsync is answered when it is on the disk, whatever is cut off or breaks afterwards; nobody else
//! waits for it.
//!
//! Must not know: what another member's disk has.

use std::collections::BTreeMap;
use std::path::Path;

use jet_hotstore::{Aftermath, Base, Loaded, Options, Record, SimulatedDisk, Store};
use jet_map::{Owner, Refusal, Reply, Wished};
use tokio::task::JoinHandle;

use super::*;

mod behind;
mod slow;
mod told;

/// The map of which changes wait.
pub(super) const KEPT: &str = "kept";
/// One of which they do not.
const PLAIN: &str = "plain";
const HOME: &str = "/s";
/// Writers at a time.
const WRITERS: usize = 64;
/// So many of them at least share a sync.
const SHARE: usize = 4;

type Found = BTreeMap<String, String>;
type Changed = Result<Reply, Refusal>;

/// A disk that hangs until this is dropped: a test that fails must end.
struct Ice(SimulatedDisk);

impl Ice {
    fn on(disk: &SimulatedDisk) -> Self {
        disk.freeze();
        Self(disk.clone())
    }
}

impl Drop for Ice {
    fn drop(&mut self) {
        self.0.thaw();
    }
}

fn on_simulated() -> (World, SimulatedDisk) {
    let disk = SimulatedDisk::new();
    (World::founded_in(Arc::new(disk.clone()), HOME.into(), TempDir::new().unwrap()), disk)
}

fn put(map: &str, key: &str, value: &str) -> Op {
    Op::Put {
        map: map.into(),
        key: Bytes::copy_from_slice(key.as_bytes()),
        value: Bytes::copy_from_slice(value.as_bytes()),
    }
}

/// Of partition 0.
fn put_all(entries: Vec<(Bytes, Bytes)>) -> Op {
    Op::PutAll { map: KEPT.into(), entries, by: Owner::NOBODY, limits: Wished::default() }
}

async fn change(maps: &MapService, requester: Requester, op: Op) -> Changed {
    maps.invoke(PartitionId(0), requester, op).await.map(|acknowledged| acknowledged.reply)
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// What is found of a map if the power goes now.
fn after_a_cut(disk: &SimulatedDisk, map: &str) -> Found {
    let (found, options) = (disk.reboot(Aftermath::Lost), Options { volume: Some("v".into()), ..Options::default() });
    let (store, _) = Store::open(Path::new(HOME), Arc::new(found), options).unwrap();
    let mut entries: BTreeMap<(u32, u16, String), String> = BTreeMap::new();
    let report = store
        .load(&mut |loaded| match loaded {
            Loaded::Put { space, partition, key, value, .. } => {
                entries.insert((space, partition, text(key)), text(value));
            }
            Loaded::Remove { space, partition, key, .. } => {
                entries.remove(&(space, partition, text(key)));
            }
            Loaded::Clear { space, partition, .. } => entries.retain(|(s, p, _), _| (*s, *p) != (space, partition)),
        })
        .unwrap();
    let space = report.spaces.iter().find(|space| space.name == map).map(|space| space.id);
    entries.into_iter().filter(|((of, ..), _)| Some(*of) == space).map(|((_, _, key), value)| (key, value)).collect()
}

fn expected(pairs: &[(&str, &str)]) -> Found {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

fn not_on_disk(changed: &Changed, words: &str) {
    let told = matches!(changed, Err(refusal @ Refusal::NotOnDisk { .. }) if refusal.to_string().contains(words));
    assert!(told, "expected NotOnDisk with '{words}': {changed:?}");
}

impl World {
    fn in_ram(&self, map: &str) -> usize {
        let entries =
            |cell: &Arc<Cell>| cell.state().replica.content().maps.get(map).map_or(0, |entries| entries.len());
        self.maps.shared.cells().iter().map(entries).sum()
    }

    /// Puts a key, and waits for the disks with it.
    async fn begins_to_put(&self, key: &str) -> JoinHandle<Changed> {
        let (maps, op) = (self.maps.clone(), put(KEPT, key, "1"));
        let put = tokio::spawn(async move { change(&maps, Requester::Client, op).await });
        let cell = self.maps.shared.cell(PartitionId(0)).unwrap();
        until(|| cell.state().waits.wanted().is_none().then(|| "it does not wait for the disks".to_owned())).await;
        put
    }

    fn all_is_synced(&self) {
        let store = self.keeper.store();
        store.flush().and_then(|ticket| store.wait_durable(ticket, A_WHILE * 20)).unwrap();
    }

    /// Comes back with what was synced, on the disk that has it.
    async fn loses_power(self, disk: &SimulatedDisk) -> (Self, SimulatedDisk) {
        disk.cut_power();
        let found = disk.reboot(Aftermath::Lost);
        let Self { home, dir, cluster, .. } = self;
        let world = Self::start_on(Arc::new(found.clone()), home, dir, cluster.machine());
        world.comes_back().await;
        (world, found)
    }

    fn holds(&self, map: &str) -> Found {
        let mut found = Found::new();
        for cell in self.maps.shared.cells() {
            let state = cell.state();
            let entries = state.replica.content().maps.get(map).into_iter().flatten();
            found.extend(entries.map(|(key, entry)| (text(key), text(&entry.value))));
        }
        found
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_change_of_a_map_with_fsync_survives_a_power_cut_at_its_answer() {
    let (world, disk) = on_simulated();
    let changes: [(Op, &[(&str, &str)]); 6] = [
        (put(KEPT, "a", "1"), &[("a", "1")]),
        (put(KEPT, "b", "1"), &[("a", "1"), ("b", "1")]),
        (put(KEPT, "a", "2"), &[("a", "2"), ("b", "1")]),
        (Op::Remove { map: KEPT.into(), key: "a".into() }, &[("b", "1")]),
        (put_all(vec![("c".into(), "3".into()), ("d".into(), "4".into())]), &[("b", "1"), ("c", "3"), ("d", "4")]),
        (Op::ClearMap { map: KEPT.into() }, &[]),
    ];
    for (op, left) in changes {
        let what = format!("{op:?}");
        change(&world.maps, Requester::Client, op).await.unwrap();
        assert_eq!(after_a_cut(&disk, KEPT), expected(left), "after {what}");
    }
    change(&world.maps, Requester::Client, put(KEPT, "last", "1")).await.unwrap();
    let (world, _) = world.loses_power(&disk).await;
    assert_eq!(world.holds(KEPT), expected(&[("last", "1")]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_the_disk_hangs_only_clients_of_a_map_with_fsync_wait_and_are_told_at_the_bound() {
    let (world, disk) = on_simulated();
    change(&world.maps, Requester::Client, put(KEPT, "before", "1")).await.unwrap();
    world.all_is_synced();
    let ice = Ice::on(&disk);
    let waits = world.begins_to_put("meanwhile").await;
    let begun = std::time::Instant::now();
    change(&world.maps, Requester::Client, put(PLAIN, "tail", "1")).await.unwrap();
    change(&world.maps, Requester::Job, put(KEPT, "of a job", "1")).await.unwrap();
    change(&world.maps, Requester::Client, put_all(Vec::new())).await.unwrap();
    assert!(begun.elapsed() < calls::CONFIRM_WITHIN, "they waited for the disk");
    assert!(!waits.is_finished(), "it is on a disk that hangs: {:?}", waits.await);
    not_on_disk(&waits.await.unwrap(), "not within 5s on that of");
    assert_eq!(world.in_ram(KEPT), 3, "what was not acknowledged is in RAM all the same");
    disk.cut_power();
    drop(ice);
    let (world, _) = world.loses_power(&disk).await;
    assert_eq!((world.holds(KEPT), world.holds(PLAIN)), (expected(&[("before", "1")]), Found::new()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_writers_share_a_sync_and_are_in_flight_until_it_is_over() {
    let (world, disk) = on_simulated();
    world.all_is_synced();
    let syncs = || disk.trace().iter().filter(|call| call.starts_with("sync ")).count();
    let before = syncs();
    let ice = Ice::on(&disk);
    let writers: Vec<_> = (0..WRITERS)
        .map(|n| {
            let (maps, op) = (world.maps.clone(), put(KEPT, &n.to_string(), "1"));
            let partition = PartitionId(u16::try_from(n).unwrap() % PARTITIONS);
            tokio::spawn(async move { maps.invoke(partition, Requester::Client, op).await.map(drop) })
        })
        .collect();
    until(|| {
        let in_ram = world.in_ram(KEPT);
        (in_ram < WRITERS).then(|| format!("{in_ram} of {WRITERS} are in RAM"))
    })
    .await;
    world.maps.set_doors(Doors::ClosedForWriters);
    assert_eq!(world.maps.doors(), Doors::Open, "changes wait behind a door that is said to be closed");
    assert!(writers.iter().all(|writer| !writer.is_finished()), "some were acknowledged by a disk that hangs");
    drop(ice);
    for writer in writers {
        assert_eq!(writer.await.unwrap(), Ok(()));
    }
    let syncs = syncs() - before;
    assert!((1..WRITERS / SHARE).contains(&syncs), "{syncs} syncs for {WRITERS} writers");
    assert_eq!(world.maps.doors(), Doors::ClosedForWriters);
    assert_eq!(after_a_cut(&disk, KEPT).len(), WRITERS);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_that_failed_is_told_at_once_and_has_the_change_when_it_goes_on() {
    let (world, disk) = on_simulated();
    world.all_is_synced();
    disk.set_capacity(Some(0));
    let begun = std::time::Instant::now();
    not_on_disk(&change(&world.maps, Requester::Client, put(KEPT, "told", "1")).await, "failed");
    assert!(begun.elapsed() < calls::CONFIRM_WITHIN, "it waited for the bound");
    change(&world.maps, Requester::Client, put(PLAIN, "k", "1")).await.unwrap();
    disk.set_capacity(None);
    until(|| world.keeper.store().health().failure.map(|failure| format!("the log does not go on: {failure:?}"))).await;
    change(&world.maps, Requester::Client, put(KEPT, "later", "1")).await.unwrap();
    assert_eq!(after_a_cut(&disk, KEPT), expected(&[("later", "1"), ("told", "1")]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_partition_that_is_behind_is_on_disk_when_it_was_written_whole() {
    let (world, disk) = on_simulated();
    world.all_is_synced();
    let cell = world.maps.shared.cell(PartitionId(0)).unwrap();
    cell.state().on_disk = cell::OnDisk::Behind;
    change(&world.maps, Requester::Client, put(PLAIN, "k", "1")).await.unwrap();
    change(&world.maps, Requester::Client, put(KEPT, "k", "1")).await.unwrap();
    let both = [KEPT, PLAIN].map(|map| after_a_cut(&disk, map));
    assert_eq!(both, [expected(&[("k", "1")]), expected(&[("k", "1")])]);

    // While it is being written whole the log is given every change, and shows what was before until that is complete.
    {
        let mut state = cell.state();
        let begun = world.keeper.store().append(Record::rewrite(0, Base::Broken));
        assert!(begun.ticket().is_some(), "{begun:?}");
        state.on_disk = cell::OnDisk::Rewriting;
    }
    change(&world.maps, Requester::Client, put(KEPT, "k", "2")).await.unwrap();
    assert_eq!(after_a_cut(&disk, KEPT), expected(&[("k", "2")]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_installation_in_between_is_no_acknowledgement() {
    let (world, disk) = on_simulated();
    world.all_is_synced();
    let ice = Ice::on(&disk);
    let waits = world.begins_to_put("k").await;
    let cell = world.maps.shared.cell(PartitionId(0)).unwrap();
    let mut entry = world.cluster.machine().table.partitions[0].clone();
    (entry.installed, entry.changed) = (entry.installed.next(), entry.changed.next());
    cell.follow_table(&world.maps.shared, &entry, true, false);
    not_on_disk(&waits.await.unwrap(), "another primary was installed meanwhile");
    drop(ice);
    change(&world.maps, Requester::Client, put(KEPT, "k", "2")).await.unwrap();
    assert_eq!(after_a_cut(&disk, KEPT), expected(&[("k", "2")]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_finds_no_place_to_wait_has_changed_nothing_and_others_go_on() {
    let (world, _) = on_simulated();
    let shared = &world.maps.shared;
    let most = crate::map::disks::MOST_WAITING;
    let places = shared.waiting.acquire_many(u32::try_from(most).unwrap()).await.unwrap();
    let none = shared.place_to_wait(tokio::time::Instant::now()).await.err();
    assert_eq!(none, Some(Refusal::ManyWait { most }));
    change(&world.maps, Requester::Client, put(PLAIN, "k", "1")).await.unwrap();
    drop(places);
    change(&world.maps, Requester::Client, put(KEPT, "k", "1")).await.unwrap();
}
