//! What clients are told of the cluster, and how they find their data when members go and come back.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use jet_admin_api::cluster::ClusterStateView;
use jet_protocol::message::client::add_cluster_view_listener::{
    ClusterVersion, MemberGroupsView, MembersView, PartitionsView,
};
use jet_protocol::message::client::ping;
use jet_protocol::message::map::*;
use jet_protocol::message::{Body, take};
use uuid::Uuid;

use crate::caller::{Caller, text};
use crate::world::World;

const KEYS: usize = 100;

fn get(n: usize) -> get::Request {
    get::Request { thread: 1, name: "m".into(), key: text(&format!("key-{n}")) }
}

fn put(n: usize, value: &str) -> put::Request {
    put::Request { thread: 1, ttl: -1, name: "m".into(), key: text(&format!("key-{n}")), value: text(value) }
}

async fn three() -> World {
    let mut world = World::for_clients(3);
    world.start_all();
    world.serving(0..3, ClusterStateView::Active).await;
    world
}

/// Until a view has as many members.
fn members(client: &mut Caller, count: usize) -> MembersView {
    loop {
        let view: MembersView = client.told();
        if view.members.len() == count {
            return view;
        }
    }
}

/// Until only these lead.
fn owners(client: &mut Caller, owners: &BTreeSet<Uuid>) -> PartitionsView {
    loop {
        let view: PartitionsView = client.told();
        if view.partitions.iter().map(|(owner, _)| *owner).collect::<BTreeSet<_>>() == *owners {
            return view;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_are_told_who_is_here_and_reach_every_key_through_everybody() {
    let mut world = three().await;
    let mut uuids = BTreeMap::new();
    for ordinal in 0..3 {
        uuids.insert(ordinal, world.view(ordinal).await.unwrap().uuid);
    }
    let all: BTreeSet<Uuid> = uuids.values().copied().collect();
    let mut clients: Vec<Caller> = (0..3).map(|n| Caller::new(&world.client_address(n))).collect();
    clients[0].watch();
    let version: ClusterVersion = clients[0].told();
    assert_eq!((version.version.major, version.version.minor), (5, 7));
    let view = members(&mut clients[0], 3);
    for (ordinal, uuid) in &uuids {
        let member = view.members.iter().find(|member| member.uuid == *uuid).unwrap();
        let address = format!("{}:{}", member.address.host, member.address.port);
        assert_eq!(address, world.client_address(*ordinal));
    }
    assert_eq!(clients[0].told::<MemberGroupsView>().groups[0].len(), 3);
    let partitions = owners(&mut clients[0], &all);
    let led: usize = partitions.partitions.iter().map(|(_, led)| led.len()).sum();
    assert_eq!(led, 271);

    for n in 0..KEYS {
        assert_eq!(clients[n % 3].ask(&put(n, "first")).unwrap().former, None);
        assert_eq!(clients[(n + 1) % 3].ask(&put(n, "second")).unwrap().former, Some(text("first")));
        assert_eq!(clients[(n + 2) % 3].ask(&get(n)).unwrap().value, Some(text("second")));
    }
    assert_eq!(clients[1].ask(&size::Request { name: "m".into() }).unwrap().size, KEYS as i32);
    assert_eq!(clients[2].ask(&key_set::Request { name: "m".into() }).unwrap().keys.len(), KEYS);

    world.kill(2);
    let fewer = members(&mut clients[0], 2);
    assert!(fewer.version > view.version && fewer.members.iter().all(|member| member.uuid != uuids[&2]));
    let left: BTreeSet<Uuid> = [uuids[&0], uuids[&1]].into();
    assert!(owners(&mut clients[0], &left).version > partitions.version);
    for n in 0..KEYS {
        let found =
            world.until("every key is there", || async { clients_ask(&world, n).map_err(|why| why.to_string()) }).await;
        assert_eq!(found, Some(text("second")), "key {n}");
    }
    world.start(2);
    world.serving(0..3, ClusterStateView::Active).await;
    members(&mut clients[0], 3);
    assert_eq!(Caller::new(&world.client_address(2)).ask(&get(0)).unwrap().value, Some(text("second")));
}

fn clients_ask(world: &World, n: usize) -> Result<Option<jet_protocol::data::Data>, jet_protocol::message::NoAnswer> {
    Caller::new(&world.client_address(0)).ask(&get(n)).map(|answer| answer.value)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_stop_of_all_the_cluster_has_another_id_and_the_members_are_the_same() {
    let mut world = World::for_clients(3);
    world.permit_from = "operator";
    world.start_all();
    world.found().await;
    let identities = |world: &World, n| Caller::identities(&world.client_address(n));
    let before: Vec<(Uuid, Uuid)> = (0..3).map(|n| identities(&world, n).unwrap()).collect();
    assert!(before.iter().all(|(_, cluster)| *cluster == before[0].1), "one cluster: {before:?}");
    let mut client = Caller::new(&world.client_address(0));
    for n in 0..KEYS {
        client.ask(&put(n, "kept")).unwrap();
    }
    let generation = world.stop("1-stop").await;
    // It is closed with its cluster, and nobody is let in.
    client.closed();
    world
        .until("nobody is let in", || async {
            match identities(&world, 1) {
                Err(why) if why.contains("InstanceNotActive") => Ok(()),
                other => Err(format!("{other:?}")),
            }
        })
        .await;
    world.terminate_all();
    world.start_all();
    world.resume("1-stop", generation).await;
    let after: Vec<(Uuid, Uuid)> = (0..3).map(|n| identities(&world, n).unwrap()).collect();
    for (before, after) in before.iter().zip(&after) {
        assert_eq!(before.0, after.0, "a member keeps its id");
        assert_ne!(before.1, after.1, "the cluster has another");
    }
    assert!(after.iter().all(|(_, cluster)| *cluster == after[0].1), "one cluster: {after:?}");
    let mut client = Caller::new(&world.client_address(1));
    for n in 0..KEYS {
        assert_eq!(client.ask(&get(n)).unwrap().value, Some(text("kept")), "key {n}");
    }
    // A member that comes back alone changes nothing for clients of others.
    world.kill(0);
    world.start(0);
    world.serving(0..3, ClusterStateView::Active).await;
    assert_eq!(identities(&world, 0).unwrap(), after[0]);
    client.ask(&ping::Request {}).unwrap();
}

/// Shorter than that nobody is sent away: an election passes sooner. Longer than that nobody waits: it is eight seconds, and
/// what a busy machine needs to see it.
const ALONE: std::ops::Range<Duration> = Duration::from_secs(8)..Duration::from_secs(25);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_member_that_has_lost_the_majority_shows_nothing_new_and_closes_its_clients_after_a_while() {
    let world = three().await;
    let mut client = Caller::new(&world.client_address(0));
    client.watch();
    let all = members(&mut client, 3);
    let begun = Instant::now();
    [1, 2].into_iter().for_each(|n| world.pause(n));
    // Its connection ends by itself; until then it is told of no smaller cluster.
    let told = client.closed();
    let lasted = begun.elapsed();
    assert!(ALONE.contains(&lasted), "closed after {lasted:?}");
    let views = told.iter().filter(|message| message.kind() == <MembersView as Body>::KIND);
    let views: Vec<MembersView> = views.map(|message| take(message).unwrap()).collect();
    assert!(views.iter().all(|view| view.members.len() == all.members.len()), "{views:?}");
    let why = Caller::identities(&world.client_address(0)).unwrap_err();
    assert!(why.contains("InstanceNotActive"), "a member alone lets nobody in: {why}");
    [1, 2].into_iter().for_each(|n| world.go_on(n));
    let back = world.until("clients are let in", || async { Caller::tried_again(&world.client_address(0)) });
    back.await.ask(&ping::Request {}).unwrap();
}
