//! A member that does not come back, and a person who has the cluster go on without it.
//!
//! Where the original chooses by a policy, before anything has happened, and ejects who is late, ours waits (S2) until a person
//! has been told what would be missing and consents to exactly that. Must not know: Kubernetes.

use jet_admin_api::cluster::ClusterStateView;
use jet_admin_api::job::JobStatus;
use jet_admin_api::member::MemberPhase;

use crate::world::ledger::{goes_on_from_terminal, is_a_prefix, submit, wait_counted, wait_status};
use crate::world::rest::{admin, consent, expect};
use crate::world::{World, brief};
use crate::{agreed, endless, serving_three};

const KEYS: u32 = 200;

async fn three() -> World {
    let world = serving_three(World::with_rest(3, &["CLUSTER_WRITE", "HOT_RESTART"])).await;
    for n in 0..KEYS {
        world.put(n % 3, &format!("key-{n}"), &format!("value-{n}")).await.unwrap();
    }
    world
}

async fn nothing_is_missing(world: &World) {
    // Doors open behind the jobs.
    world.until("doors are open", || async { world.get(0, "key-0").await.map_err(|e| e.to_string()) }).await;
    for n in 0..KEYS {
        let found = world.get(n % 2, &format!("key-{n}")).await.unwrap();
        assert_eq!(found, Some(format!("value-{n}")), "key-{n}");
    }
}

/// Of whoever leads: the consent that it asks for, and what it says.
async fn asked_for_consent(world: &World) -> (u16, String, String) {
    world
        .until("somebody says what would be missing without member 2", || async {
            let mut told = Vec::new();
            for at in [0, 1] {
                let (_, said) = admin(world.rest_port(at), "-o partial-start").await;
                if let Some(consent) = consent(&said) {
                    return Ok((world.rest_port(at), consent, said));
                }
                told.push(said);
            }
            Err(told.join("\n"))
        })
        .await
}

async fn goes_on_without_the_third(world: &World) -> String {
    let (port, consent, said) = asked_for_consent(world).await;
    assert!(said.contains("nothing was changed") && said.contains("member 2 ("), "{said}");
    for wrong in ["yes".to_owned(), consent.chars().rev().collect()] {
        expect(port, &format!("-o partial-start --strict --consent {wrong}"), 3, "what would be missing now is").await;
    }
    assert_eq!(world.view(0).await.unwrap().phase, MemberPhase::Recovering);
    expect(port, &format!("-o partial-start --strict --consent {consent}"), 0, "Cluster partial-start completed.")
        .await;
    world.serving(0..2, ClusterStateView::Active).await;
    said
}

/// Its volume turns up after all: nobody speaks to it, and what lies on it counts for nobody.
async fn who_was_given_up_is_not_let_in(world: &mut World) {
    world.start(2);
    world
        .until("the third finds no cluster that knows it", || async {
            let view = world.view(2).await?;
            assert_ne!(view.phase, MemberPhase::Serving, "{}", brief(&view));
            if view.waiting_for.contains("a majority") { Ok(()) } else { Err(brief(&view)) }
        })
        .await;
    agreed(world, 0..2, ClusterStateView::Active).await;
    assert_eq!(world.view(0).await.unwrap().cluster.unwrap().roster.len(), 2);
    nothing_is_missing(world).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s3_after_a_shutdown_a_cluster_goes_on_exactly_without_a_lost_volume() {
    let mut world = three().await;
    let ledger = endless("ledger");
    submit(&world, &ledger).await;
    wait_counted(&world, 0, &ledger, 1).await;
    expect(world.rest_port(0), "-o shutdown --wait", 0, "Cluster shutdown completed.").await;
    world.all_end();
    let lost = world.dir.path().join("lost");
    std::fs::rename(world.home(2), &lost).unwrap();
    world.start(0);
    world.start(1);
    let said = goes_on_without_the_third(&world).await;
    assert!(said.contains("no content is missing"), "{said}");
    nothing_is_missing(&world).await;
    let from = goes_on_from_terminal(&world, &ledger).await.started_from.unwrap();
    wait_counted(&world, 1, &ledger, from.rows_read + 1).await;
    is_a_prefix(&world, 0, &ledger).await;
    assert_eq!(wait_status(&world, 0, &ledger, JobStatus::Running).await.failures, 0);
    // Two that are all there is: they stop and come back as any cluster does.
    expect(world.rest_port(1), "-o shutdown --wait", 0, "Cluster shutdown completed.").await;
    world.all_end();
    world.start(0);
    world.start(1);
    world.serving(0..2, ClusterStateView::Active).await;
    nothing_is_missing(&world).await;
    std::fs::rename(lost, world.home(2)).unwrap();
    who_was_given_up_is_not_let_in(&mut world).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s3_after_a_kill_of_all_it_goes_on_without_one_by_consent() {
    let mut world = three().await;
    for ordinal in 0..3 {
        world.on_disk(ordinal).await;
    }
    (0..3).for_each(|ordinal| world.kill(ordinal));
    world.start(0);
    world.start(1);
    let said = goes_on_without_the_third(&world).await;
    assert!(said.contains("theirs may be newer"), "{said}");
    nothing_is_missing(&world).await;
    world.put(1, "later", "value").await.unwrap();
    who_was_given_up_is_not_let_in(&mut world).await;
    assert_eq!(world.get(0, "later").await.unwrap().as_deref(), Some("value"));
}
