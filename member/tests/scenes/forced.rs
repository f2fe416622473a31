//! A forced start: an empty cluster in place of one that waits.
//!
//! Where the original deletes what each member has, ours tells first what would be given up, takes the consent to exactly
//! that, and puts it into quarantine; and who comes later with an old store is held until that is given up too, where the
//! original deletes it by itself. Must not know: Kubernetes.

use std::collections::BTreeSet;

use jet_admin_api::cluster::ClusterStateView;
use jet_admin_api::member::MemberPhase;
use uuid::Uuid;

use crate::serving_three;
use crate::world::ledger::{submit, wait_counted};
use crate::world::rest::{admin, consent, expect};
use crate::world::{World, brief};
use crate::{agreed, endless};

/// Member, cluster.
async fn who(world: &World, ordinal: u32) -> (Uuid, Option<Uuid>) {
    let view = world.view(ordinal).await.unwrap();
    (view.uuid, view.founding_id)
}

async fn told(world: &World, at: u32, words: &[&str]) -> String {
    world
        .until("it is told what would be given up", || async {
            let (_, said) = admin(world.rest_port(at), "-o force-start").await;
            consent(&said).filter(|_| words.iter().all(|words| said.contains(words))).ok_or(said)
        })
        .await
}

async fn begins_anew(world: &World, ordinal: u32, before: Uuid) {
    world
        .until("it has begun anew", || async {
            let view = world.view(ordinal).await?;
            if view.uuid != before && view.founding_id.is_none() { Ok(()) } else { Err(brief(&view)) }
        })
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s16_who_waits_begins_empty_by_consent_and_nothing_is_deleted_r15() {
    let mut world = serving_three(World::with_rest(3, &["CLUSTER_WRITE", "HOT_RESTART"])).await;
    let ledger = endless("ledger");
    submit(&world, &ledger).await;
    wait_counted(&world, 0, &ledger, 1).await;
    world.put(0, "key", "value").await.unwrap();
    let before = [who(&world, 0).await, who(&world, 1).await, who(&world, 2).await];
    // A cluster that runs is none that waits, whoever asks for what.
    expect(world.rest_port(1), "-o force-start --strict", 3, "takes part in a cluster that runs").await;
    expect(world.rest_port(1), "-o shutdown --wait", 0, "Cluster shutdown completed.").await;
    world.all_end();
    world.start(0);
    world.start(1);

    let first = told(&world, 1, &["nothing was changed", "Member 2 (", "store of member 0 ("]).await;
    let port = world.rest_port(1);
    for wrong in ["yes".to_owned(), first.chars().rev().collect()] {
        expect(port, &format!("-o force-start --strict --consent {wrong}"), 3, "something else than").await;
    }
    assert_eq!(who(&world, 0).await, before[0]);
    expect(port, &format!("-o force-start --strict --consent {first}"), 0, "Cluster force-start completed.").await;
    begins_anew(&world, 0, before[0].0).await;
    begins_anew(&world, 1, before[1].0).await;
    for ordinal in [0, 1] {
        let aside = world.home(ordinal).join("recovery/quarantine/1-given-up");
        assert!(aside.join("identity.a").exists() && aside.join("data").exists(), "{}", aside.display());
    }

    // The third has what the others had, and is let in nowhere with it.
    world.start(2);
    world
        .until("the founders say whom they wait for", || async {
            let view = world.view(0).await?;
            assert_ne!(view.phase, MemberPhase::Serving, "{}", brief(&view));
            if view.waiting_for.contains("belongs to a cluster") { Ok(()) } else { Err(brief(&view)) }
        })
        .await;
    assert_eq!(who(&world, 2).await, before[2]);
    let second = told(&world, 2, &["member 0 (", "of no cluster", &before[2].0.to_string()]).await;
    let port = world.rest_port(2);
    expect(port, &format!("-o force-start --strict --consent {first}"), 3, "something else than").await;
    expect(port, &format!("-o force-start --strict --consent {second}"), 0, "Cluster force-start completed.").await;

    world.serving(0..3, ClusterStateView::Active).await;
    agreed(&world, 0..3, ClusterStateView::Active).await;
    let mut after = BTreeSet::new();
    for ordinal in 0..3 {
        let (member, cluster) = who(&world, ordinal).await;
        assert!(before.iter().all(|(old, founding)| *old != member && *founding != cluster), "{member}");
        after.insert(member);
        assert_eq!(world.get(ordinal, "key").await.unwrap(), None);
    }
    assert_eq!(after.len(), 3);
    assert_eq!(world.view(0).await.unwrap().work, Vec::new());
    world.put(2, "key", "another").await.unwrap();
    assert_eq!(world.get(0, "key").await.unwrap().as_deref(), Some("another"));
    what_was_given_up_comes_back(&mut world, &before).await;
}

/// As docs/rest.md tells it.
async fn what_was_given_up_comes_back(world: &mut World, before: &[(Uuid, Option<Uuid>); 3]) {
    for ordinal in 0..3 {
        world.kill(ordinal);
        let (store, away) = (world.home(ordinal).join("recovery"), world.home(ordinal).join("away"));
        std::fs::rename(&store, &away).unwrap();
        std::fs::rename(away.join("quarantine/1-given-up"), &store).unwrap();
        std::fs::remove_file(store.join("given-up")).unwrap();
    }
    world.start_all();
    world.serving(0..3, ClusterStateView::Active).await;
    for ordinal in 0..3 {
        assert_eq!(who(world, ordinal).await, before[ordinal as usize]);
    }
    world
        .until("its content is there", || async {
            let found = world.get(0, "key").await.map_err(|e| e.to_string())?;
            if found.as_deref() == Some("value") { Ok(()) } else { Err(format!("{found:?}")) }
        })
        .await;
}
