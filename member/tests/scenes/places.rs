//! Where a member is and where its store lies is not who it is; and one directory is one process's.
//!
//! Must not know: jobs.

use jet_admin_api::cluster::ClusterStateView;
use jet_admin_api::identity::Role;
use jet_admin_api::member::MemberPhase;
use uuid::Uuid;

use crate::world::World;
use crate::world::rest::expect;
use crate::{serving_three, with_rest};

const KEYS: u32 = 30;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s8_changed_addresses_and_moved_directories_are_the_same_members_r11() {
    let mut world = with_rest();
    world.named_volumes = false;
    let mut world = serving_three(world).await;
    for n in 0..KEYS {
        world.put(n % 3, &format!("key-{n}"), &format!("value-{n}")).await.unwrap();
    }
    let before = identities(&world).await;
    expect(world.rest_port(1), "-o shutdown --wait", 0, "Cluster shutdown completed.").await;
    world.all_end();
    world.moves_to("127.0.0.2");
    world.start_all();
    world.serving(0..3, ClusterStateView::Active).await;
    assert_eq!(identities(&world).await, before);
    holds(&world).await;
    r17_a_second_process_on_one_directory_is_held(&world).await;

    // Not in order either, and to yet another place.
    (0..3).for_each(|ordinal| world.kill(ordinal));
    std::fs::rename(world.dir.path().join("elsewhere"), world.dir.path().join("before")).unwrap();
    std::fs::create_dir(world.dir.path().join("elsewhere")).unwrap();
    for ordinal in 0..3 {
        let from = world.dir.path().join(format!("before/member-{ordinal}"));
        std::fs::rename(from, world.home(ordinal)).unwrap();
    }
    world.start_all();
    world.serving(0..3, ClusterStateView::Active).await;
    assert_eq!(identities(&world).await, before);
}

async fn identities(world: &World) -> Vec<(Uuid, Option<Uuid>)> {
    let mut found = Vec::new();
    for ordinal in 0..3 {
        let view = world.view(ordinal).await.unwrap();
        found.push((view.uuid, view.founding_id));
    }
    found
}

async fn holds(world: &World) {
    for n in 0..KEYS {
        let found = world.get((n + 1) % 3, &format!("key-{n}")).await.unwrap();
        assert_eq!(found, Some(format!("value-{n}")));
    }
}

/// Where the original takes the first free directory below a shared base, ours has one base a member: which directory is
/// whose is a matter of volumes and certificates, and a member that may become another one by starting first cannot be
/// recognised. Whoever comes second is held, says which directory is taken, and touches nothing.
async fn r17_a_second_process_on_one_directory_is_held(world: &World) {
    let (second, address) = world.start_once_more(1);
    let client = world.client_at(&address, Role::Operator);
    let said = world
        .until("the second process is held", || async {
            let view = client.member().await.map_err(|e| e.to_string())?;
            if view.phase == MemberPhase::Held { Ok(view.waiting_for) } else { Err(format!("{:?}", view.phase)) }
        })
        .await;
    let store = world.home(1).join("recovery");
    assert!(said.contains(&store.display().to_string()) && said.contains("another process"), "{said}");
    world.put(1, "key-0", "value-0").await.unwrap();
    world.serving(0..3, ClusterStateView::Active).await;
    holds(world).await;
    second.terminate(crate::world::PATIENCE);
    world.serving(0..3, ClusterStateView::Active).await;
}
