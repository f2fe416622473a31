//! Encryption at rest with real processes: what members were given is nowhere on their volumes, a cluster is encrypted while it
//! lives, and without the key nothing is changed and everybody says which one is missing.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod world;

use jet_admin_api::cluster::ClusterStateView;
use jet_admin_api::member::MemberPhase;
use world::{CLUSTER, World, brief, tree_has};

/// Stands in every value.
const SECRET: &str = "nobody but who has the key reads this";
const KEYS: u32 = 30;

fn key(world: &World, name: &str, digits: &str) {
    let keys = world.dir.path().join("keys");
    std::fs::create_dir_all(&keys).unwrap();
    std::fs::write(keys.join(name), digits.repeat(32)).unwrap();
}

/// From the next start on.
fn encrypts(world: &World) {
    let path = world.dir.path().join("keys");
    let directory = format!("{{path: {}, current-key: k1}}", path.display());
    let encryption = format!("{{enabled: true, secure-store: {{directory: {directory}}}}}");
    let section = format!("  hot-restart-persistence: {{enabled: true, encryption-at-rest: {encryption}}}\n");
    world.configure("hazelcast.yaml", &format!("  cluster-name: {CLUSTER}\n"), &section);
}

async fn fill(world: &World) {
    for n in 0..KEYS {
        world.put(n % 3, &format!("key-{n}"), &format!("{SECRET} {n}")).await.unwrap();
    }
    for ordinal in 0..3 {
        world.on_disk(ordinal).await;
    }
}

async fn holds(world: &World) {
    for n in 0..KEYS {
        let key = format!("key-{n}");
        let found = world
            .until(&format!("{key} is answered"), || async { world.get(n % 3, &key).await.map_err(|e| e.to_string()) })
            .await;
        assert_eq!(found, Some(format!("{SECRET} {n}")));
    }
}

fn telling(world: &World) -> Vec<u32> {
    (0..3).filter(|ordinal| tree_has(&world.home(*ordinal), SECRET.as_bytes())).collect()
}

async fn stops_and_returns(world: &mut World, op: &str) {
    let generation = world.stop(op).await;
    world.terminate_all();
    world.start_all();
    world.resume(op, generation).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_in_the_clear_is_encrypted_while_it_lives() {
    let mut world = World::new(3);
    world.start_all();
    world.found().await;
    fill(&world).await;
    assert_eq!(telling(&world), [0, 1, 2], "in the clear it is there to be read");
    key(&world, "k1", "5e");
    encrypts(&world);
    stops_and_returns(&mut world, "1-stop").await;
    for ordinal in 0..3 {
        let log = world.dir.path().join(format!("member-{ordinal}.log"));
        world
            .until("what lies in the clear has moved", || async {
                let said = std::fs::read_to_string(&log).map_err(|error| error.to_string())?;
                said.contains("old chunks of the log are emptied").then_some(()).ok_or_else(|| "not yet".to_owned())
            })
            .await;
    }
    holds(&world).await;
    // What the last seal in the clear retains goes when the next two have taken its place.
    for op in ["2-stop", "3-stop"] {
        stops_and_returns(&mut world, op).await;
    }
    world.stop("4-stop").await;
    world.terminate_all();
    assert_eq!(telling(&world), Vec::<u32>::new(), "{}", world.logs());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_its_key_a_member_is_held_and_says_which_one() {
    let mut world = World::new(3);
    key(&world, "k1", "5e");
    encrypts(&world);
    world.start_all();
    world.found().await;
    fill(&world).await;
    (0..3).for_each(|ordinal| world.kill(ordinal));
    world.start_all();
    world.serving(0..3, ClusterStateView::Active).await;
    holds(&world).await;
    let generation = world.stop("1-stop").await;
    world.terminate_all();
    assert_eq!(telling(&world), Vec::<u32>::new());
    let kept: Vec<_> = (0..3).map(|ordinal| world.left_behind(ordinal)).collect();
    for (name, digits, words) in [("k2", "77", "no key 'k1'"), ("k1", "66", "another one than the 'k1' given now")] {
        std::fs::remove_dir_all(world.dir.path().join("keys")).unwrap();
        key(&world, name, digits);
        world.start_all();
        for ordinal in 0..3 {
            world
                .until(&format!("member {ordinal} says '{words}'"), || async {
                    let view = world.view(ordinal).await?;
                    let told = view.phase == MemberPhase::Held && view.waiting_for.contains(words);
                    if told { Ok(()) } else { Err(brief(&view)) }
                })
                .await;
        }
        world.terminate_all();
        for ordinal in 0..3 {
            assert_eq!(world.left_behind(ordinal), kept[ordinal as usize], "member {ordinal} has changed something");
        }
    }
    key(&world, "k1", "5e");
    world.start_all();
    world.resume("1-stop", generation).await;
    holds(&world).await;
}
