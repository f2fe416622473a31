//! Entries that die, and locks, in a member that runs: time is counted here, and nowhere below.

use jet_map::{Change, Keyed, Limits, Owner, Query, QueryReply, Wished};

use super::*;

const MAP: &str = "mortal";
const P: PartitionId = PartitionId(0);
const LONG: u64 = 3_600_000;

fn set(key: &'static str, ttl: u64) -> Op {
    let limits = Wished::exactly(Limits { ttl, idle: 0 });
    let (key, change) = (key.into(), Change::Set("value".into()));
    Op::Keyed(Keyed { map: MAP.into(), key, by: Owner::NOBODY, change, limits, quiet: false })
}

fn owner(thread: i64) -> Owner {
    Owner { client: Uuid::from_u128(5), thread }
}

fn lock_of(thread: i64) -> Op {
    Op::Lock { map: MAP.into(), key: "k".into(), owner: owner(thread), reference: 1, lease: 0 }
}

impl World {
    async fn client(&self, op: Op) -> Result<Reply, Refusal> {
        let within = Duration::from_millis(1);
        self.maps.invoke_within(P, Requester::Client, op, within).await.map(|acknowledged| acknowledged.reply)
    }

    async fn has(&self, key: &'static str) -> bool {
        let get = Query::Get { map: MAP.into(), key: key.into() };
        match self.maps.ask(P, Requester::Client, get).await.unwrap() {
            QueryReply::Value(value) => value.is_some(),
            other => panic!("{other:?}"),
        }
    }

    /// Entries of the partition, whether dead or not.
    fn entries(&self) -> u64 {
        self.maps.shared.cell(P).unwrap().state().replica.content().entries()
    }

    async fn until(&self, what: &str, mut there: impl AsyncFnMut(&Self) -> bool) {
        let begun = std::time::Instant::now();
        while !there(self).await {
            assert!(begun.elapsed() < A_WHILE * 20, "not within {:?}: {what}", A_WHILE * 20);
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_dies_for_who_asks_and_is_buried_where_nobody_asks_and_a_return_gives_it_its_time_again() {
    let world = World::founded();
    for (key, ttl) in [("asked", 20), ("forgotten", 40), ("long", LONG)] {
        assert_eq!(world.client(set(key, ttl)).await, Ok(Reply::Previous(None)));
    }
    world.until("nobody finds it", async |world| !world.has("asked").await).await;
    world.until("it is buried", async |world| world.entries() == 1).await;
    assert!(world.has("long").await);

    let world = world.crash(Vec::new());
    world.comes_back().await;
    assert_eq!((world.entries(), world.has("long").await), (1, true), "the dead stay dead");
    let limits = |world: &World| {
        let cell = world.maps.shared.cell(P).unwrap();
        let state = cell.state();
        let life = state.replica.content().lives.get(MAP, b"long").copied().unwrap();
        (life.limits.ttl, life.updated)
    };
    assert_eq!(limits(&world), (LONG, 0), "its limits are kept, and its time begins with the store that is read");
}

#[tokio::test(flavor = "multi_thread")]
async fn behind_closed_doors_nothing_dies() {
    let world = World::founded();
    const TTL: u64 = 300;
    world.client(set("k", TTL)).await.unwrap();
    let written = std::time::Instant::now();
    world.does(Command::SetState { state: jet_core::Settled::Passive, absent: Vec::new() });
    world.maps.set_doors(Doors::ClosedForWriters);
    world.until("its time is over", async |_| written.elapsed() > Duration::from_millis(2 * TTL)).await;
    assert!(world.has("k").await);
    world.does(Command::SetState { state: jet_core::Settled::Active, absent: Vec::new() });
    world.maps.set_doors(Doors::Open);
    world.until("time goes on", async |world| !world.has("k").await).await;
}

/// On one thread, so that nobody buries meanwhile.
#[tokio::test]
async fn who_was_dead_when_the_doors_closed_is_not_seen_again() {
    let world = World::founded();
    world.client(set("k", 20)).await.unwrap();
    let size = || {
        let size = Query::Size { map: MAP.into() };
        match world.maps.ask_now(P, Requester::Client, &size).unwrap().unwrap() {
            QueryReply::Size(size) => size,
            other => panic!("{other:?}"),
        }
    };
    let begun = std::time::Instant::now();
    while size() > 0 {
        assert!(begun.elapsed() < A_WHILE * 20, "it does not die");
        std::thread::yield_now();
    }
    assert_eq!(world.entries(), 1, "it is dead, and nobody has buried it");
    world.does(Command::SetState { state: jet_core::Settled::Passive, absent: Vec::new() });
    assert_eq!(size(), 0);
    assert!(!world.has("k").await);
    assert_eq!(world.entries(), 1, "nothing is changed behind closed doors");
}

/// On a clock that stands still unless everybody waits.
#[tokio::test(start_paused = true)]
async fn who_waits_for_a_lock_looks_seldom_and_gets_it_at_once() {
    let world = World::founded();
    assert_eq!(world.client(lock_of(1)).await, Ok(Reply::Done));
    let maps = world.maps.clone();
    let waits = tokio::spawn(async move { maps.invoke_within(P, Requester::Client, lock_of(2), A_WHILE * 100).await });
    tokio::time::sleep(Duration::from_secs(10)).await;
    let unlocked = tokio::time::Instant::now();
    let unlock = Op::Unlock { map: MAP.into(), key: "k".into(), asked: Some((owner(1), 2)) };
    assert_eq!(world.client(unlock).await, Ok(Reply::Done));
    assert_eq!(waits.await.unwrap().unwrap().reply, Reply::Done);
    assert_eq!(unlocked.elapsed(), Duration::ZERO);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_waits_for_a_lock_goes_on_when_it_is_free_and_a_client_that_is_gone_has_none() {
    let world = World::founded();
    assert_eq!(world.client(lock_of(1)).await, Ok(Reply::Done));
    let refused = Err(Refusal::Locked { map: MAP.into() });
    assert_eq!((world.client(lock_of(2)).await, world.client(set("k", 0)).await), (refused.clone(), refused.clone()));
    let maps = world.maps.clone();
    let waits = tokio::spawn(async move { maps.invoke_within(P, Requester::Client, set("k", 0), A_WHILE * 20).await });
    let unlock = |thread| Op::Unlock { map: MAP.into(), key: "k".into(), asked: Some((owner(thread), 2)) };
    assert_eq!(world.client(unlock(2)).await, Err(Refusal::NotOwner { map: MAP.into() }));
    assert!(!waits.is_finished());
    assert_eq!(world.client(unlock(1)).await, Ok(Reply::Done));
    assert_eq!(waits.await.unwrap().unwrap().reply, Reply::Previous(None));

    assert_eq!(world.client(lock_of(1)).await, Ok(Reply::Done));
    world.maps.free_locks(Uuid::from_u128(6)).await.unwrap();
    assert_eq!(world.client(set("k", 0)).await, refused);
    world.maps.free_locks(Uuid::from_u128(5)).await.unwrap();
    assert_eq!(world.client(set("k", 0)).await, Ok(Reply::Previous(Some("value".into()))));
}

/// Nothing is written for it, so there is nothing to wait for.
#[tokio::test(flavor = "multi_thread")]
async fn a_change_that_changes_nothing_does_not_wait_for_a_disk() {
    let world = World::founded();
    let change = Change::IfPresent("value".into());
    let (map, key, limits) = (disks::KEPT.into(), "k".into(), Wished::default());
    let op = Op::Keyed(Keyed { map, key, by: Owner::NOBODY, change, limits, quiet: false });
    assert_eq!(world.client(op).await, Ok(Reply::Previous(None)));
}
