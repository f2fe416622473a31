//! What listeners of one member alone are told, and when.
//!
//! Must not know: clients.

use jet_map::What;

use super::*;
use crate::map::{Emptied, Hearing, Kinds, Wish};

fn listens(maps: &MapService, map: &str) -> Hearing {
    let mut hearing = maps.hearing(1 << 20);
    let what = Kinds::of([What::Added, What::Updated, What::Removed, What::Cleared]);
    let wish = Wish { map: map.into(), key: None, what, emptied: Emptied::ByPartition };
    hearing.listen(Uuid::new_v4(), wish);
    hearing
}

/// What is there to be heard.
fn heard(hearing: &mut Hearing) -> Vec<String> {
    let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
    let next = || match hearing.poll_next(&mut cx) {
        std::task::Poll::Ready(heard) => Some(heard.unwrap()),
        std::task::Poll::Pending => None,
    };
    let told = |heard: crate::map::Heard| {
        let (event, of) = (&heard.event, |bytes: &Option<Bytes>| bytes.as_deref().map(text).unwrap_or_default());
        format!("{:?} {} {}>{}", event.what, of(&event.key), of(&event.old), of(&event.new))
    };
    std::iter::from_fn(next).map(told).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_of_a_map_with_fsync_is_told_when_it_is_on_disk_and_others_at_once() {
    let (world, disk) = on_simulated();
    let (mut kept, mut plain) = (listens(&world.maps, KEPT), listens(&world.maps, PLAIN));
    change(&world.maps, Requester::Client, put(KEPT, "a", "1")).await.unwrap();
    assert_eq!(heard(&mut kept), ["Added a >1"], "what is answered is told by then");
    world.all_is_synced();
    let ice = Ice::on(&disk);
    let waits = world.begins_to_put("b").await;
    change(&world.maps, Requester::Client, put(PLAIN, "c", "1")).await.unwrap();
    assert_eq!(heard(&mut plain), ["Added c >1"]);
    not_on_disk(&waits.await.unwrap(), "not within");
    assert_eq!(heard(&mut kept), [""; 0], "no disk has it: a crash would take it back");
    drop(ice);
    // Whoever put it gave up; it is told all the same as soon as the disk has it.
    let kept = std::sync::Mutex::new((kept, Vec::new()));
    until(|| {
        let (hearing, all) = &mut *lock(&kept);
        all.extend(heard(hearing));
        (all.as_slice() != ["Added b >1"]).then(|| format!("{all:?}"))
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_comes_back_from_a_disk_is_told_to_nobody() {
    let (world, disk) = on_simulated();
    change(&world.maps, Requester::Client, put(KEPT, "a", "1")).await.unwrap();
    disk.cut_power();
    let found = disk.reboot(Aftermath::Lost);
    let World { home, dir, cluster, .. } = world;
    let world = World::start_on(Arc::new(found), home, dir, cluster.machine());
    let mut hears = listens(&world.maps, KEPT);
    world.comes_back().await;
    assert_eq!(world.holds(KEPT), expected(&[("a", "1")]));
    change(&world.maps, Requester::Client, put(KEPT, "a", "2")).await.unwrap();
    assert_eq!(heard(&mut hears), ["Updated a 1>2"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_map_that_is_emptied_is_told_by_partition_and_nothing_of_an_empty_one() {
    let (world, _) = on_simulated();
    let mut hears = listens(&world.maps, PLAIN);
    for key in ["a", "b"] {
        change(&world.maps, Requester::Client, put(PLAIN, key, "1")).await.unwrap();
    }
    assert_eq!(change(&world.maps, Requester::Client, Op::ClearMap { map: PLAIN.into() }).await, Ok(Reply::Count(2)));
    assert_eq!(change(&world.maps, Requester::Client, Op::ClearMap { map: PLAIN.into() }).await, Ok(Reply::Count(0)));
    assert_eq!(heard(&mut hears), ["Added a >1", "Added b >1", "Cleared  >"]);
}
