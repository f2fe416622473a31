//! A member that stood still answers nothing that was true before: its lease is over, its partitions are led by others.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod world;

use jet_admin_api::client::CallError;
use world::World;

const KEYS: u32 = 40;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_paused_member_never_answers_with_what_was_overwritten_meanwhile() {
    let mut world = World::new(3);
    world.start_all();
    world.found().await;
    let key = |n: u32| format!("key-{n}");
    for n in 0..KEYS {
        world.put(n % 3, &key(n), "old").await.unwrap();
    }
    world.pause(1);
    for n in 0..KEYS {
        // Refused while the paused one may still hold a lease; then taken by its successor.
        world
            .until("a write goes through without the paused member", || async {
                world.put(0, &key(n), "new").await.map_err(|e| e.to_string())
            })
            .await;
    }
    world.go_on(1);
    // At once, and until it serves again: new or refused, never old.
    let mut answered = 0;
    world
        .until("the member that stood still answers everything again", || {
            let n = answered % KEYS;
            let world = &world;
            let asked = async move {
                match world.get(1, &key(n)).await {
                    Ok(value) => {
                        assert_eq!(value.as_deref(), Some("new"), "{} was answered from before the pause", key(n));
                        Ok(())
                    }
                    Err(CallError::Refused(refusal)) => Err(refusal.to_string()),
                    Err(other) => Err(other.to_string()),
                }
            };
            answered += 1;
            let more = answered < 3 * KEYS;
            async move {
                asked.await?;
                if more { Err("not asked for all yet".to_owned()) } else { Ok(()) }
            }
        })
        .await;
}
