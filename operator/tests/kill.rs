//! The operator is killed before and after every write and command of every flow, with its status kept and erased, and
//! the same end is reached; a second, lagging operator changes nothing about that. Other faults are in `faults.rs`.
//!
//! Laws: STOP HOLD RESUME CRASH. Runs against a small in-memory Kubernetes with its preconditions, and scripted members.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod world;

use jet_operator::api::annotations as keys;
use world::World;
use world::faults::{Fault, Schedule};
use world::flows::{Flow, ask, founded, freezing, generation, serves, size_is, stopped, withdraw};
use world::jobs::flows::JobFlow;
use world::run::Run;
use world::trial::Trial;

/// Passes that a second operator lags behind at most.
const LAG: usize = 12;

/// Every kill point of a flow: (write, before or after, status kept or erased), and a second operator.
async fn at_every_write(flow: Flow) {
    let quiet = Trial::quiet(flow).await.unwrap();
    let kills = [Fault::DiesBefore, Fault::DiesAfter, Fault::DiesBeforeErased, Fault::DiesAfterErased];
    let writes = quiet.places.get(&Fault::DiesBefore).copied().unwrap_or(0);
    assert!(writes > 1, "a flow without writes proves nothing");
    for n in 0..writes {
        for kill in kills {
            Trial::of(flow, Schedule::At(kill, n)).against(&quiet).await.unwrap();
        }
    }
    for lag in 1..LAG {
        Trial { lag, ..Trial::of(flow, Schedule::Never) }.against(&quiet).await.unwrap();
    }
    println!("{}: {writes} writes, {} runs", flow.name(), writes * 4 + LAG as u64);
}

macro_rules! flows {
    ($all:ident of $of:ident: $($name:ident: $flow:ident,)*) => {
        $(#[tokio::test]
        async fn $name() {
            at_every_write(Flow::from($of::$flow)).await;
        })*

        #[test]
        fn $all() {
            assert_eq!([$($of::$flow),*], $of::ALL);
        }
    };
}

flows! {
    every_flow_of_a_cluster_is_killed of Flow:
    a_first_start_survives_a_kill_at_every_write: FirstStart,
    a_stop_survives_a_kill_at_every_write: Stop,
    a_return_survives_a_kill_at_every_write: Return,
    stop_and_return_survive_a_kill_at_every_write: WholeLife,
    restart_by_nonce_happens_at_most_once_wherever_the_operator_dies: Restart,
    withdrawn_before_the_commit_goes_back: StopWithdrawn,
    aborted_by_annotation_goes_back_and_stays: Abort,
    rolled_back_stop_does_not_loop: RolledBack,
    a_spent_stop_is_tried_again_once: Retry,
    return_taken_back_keeps_the_seal: ReturnTakenBack,
    deletion_is_a_stop: Delete,
    a_stop_grows_into_a_deletion: DeleteInMidStop,
    deleted_and_applied_again_comes_back: AppliedAgain,
    members_that_die_while_it_runs_come_back: CrashWhileRunning,
    members_that_die_in_a_stop_end_it: CrashInMidStop,
    members_that_die_in_a_return_come_back_to_it: CrashInMidReturn,
    a_stop_asked_of_the_members_is_made_once: AskedOfMembers,
    a_request_whose_annotation_is_removed_is_not_made: AskedAndTakenBack,
    a_request_beside_a_spent_wish_is_declined: AskedBesideAWish,
}

flows! {
    every_flow_of_jobs_is_killed of JobFlow:
    a_jetjob_is_submitted_once_wherever_the_operator_dies: Submitted,
    suspended_and_resumed_once_each: Suspended,
    a_suspension_that_is_taken_back_at_once_does_not_stay: TakenBack,
    a_deleted_jetjob_takes_its_job_with_it: Deleted,
    one_that_is_deleted_at_once_leaves_no_job_behind: DeletedAtOnce,
    one_that_is_replaced_is_another_job: Replaced,
    one_that_is_made_anew_is_another_job_each_time: MadeAnew,
    a_job_that_ended_does_not_begin_anew: Ended,
    a_job_that_suspended_itself_is_left_to_a_person: Failed,
    a_job_made_by_hand_is_taken_over_and_not_submitted: Adopted,
    jobs_sleep_with_their_cluster: Slept,
    wishes_of_sleepers_are_granted_with_the_activation: WishedAsleep,
    a_wish_that_was_granted_is_taken_back: WishTakenBack,
    a_deletion_in_the_return_is_in_time_or_made_up_for: DeletedInTheReturn,
    a_namesake_of_a_deleted_job_is_left_alone: NameTakenByHand,
}

async fn running() -> Run {
    let mut run = Run::new(World::new());
    founded(&mut run).await.unwrap();
    run
}

#[tokio::test]
async fn refused_stop_does_not_fire_later() {
    let mut run = running().await;
    {
        let mut state = run.world.lock();
        state.broken.push(2);
        if let Some(pod) = state.pods.get_mut(&2) {
            pod.age = 0;
        }
    }
    ask(&run.world);
    run.until("refused", |w| w.reason("StopReady") == "PreflightRefused").await.unwrap();
    run.world.lock().now += 601;
    run.until("spent", |w| {
        w.reason("Stalled") == "StopNotRetried" || w.reason("MembersComplete") == "MembersMissing" && spent(w)
    })
    .await
    .unwrap();
    run.world.lock().broken.clear();
    run.always(60, "does not stop at 3 in the morning", |w| w.lock().commits == 0 && !stopped(w)).await.unwrap();
    assert_eq!(run.world.reason("Stalled"), "StopNotRetried");
    let operation =
        run.world.lock().cluster.as_ref().unwrap().status.as_ref().unwrap().spent.as_ref().unwrap().operation.clone();
    run.world.annotate(keys::RETRY, Some(&operation));
    run.until("Stopped by retry", stopped).await.unwrap();
}

fn spent(world: &World) -> bool {
    world.lock().cluster.as_ref().and_then(|c| c.status.as_ref()).is_some_and(|s| s.spent.is_some())
}

#[tokio::test]
async fn typo_while_stopped_does_not_start() {
    let mut run = running().await;
    ask(&run.world);
    run.until("Stopped", stopped).await.unwrap();
    for typo in ["shutdwon", ""] {
        run.world.annotate(keys::MAINTENANCE, Some(typo));
        run.always(10, "stays", |w| size_is(w, 0)).await.unwrap();
        assert_eq!(run.world.reason("Stalled"), "InvalidRequest");
        assert_eq!(run.world.condition("Stopped"), "True");
    }
    withdraw(&run.world);
    run.until("the return", |w| serves(w, 2)).await.unwrap();
}

#[tokio::test]
async fn foreign_hands_while_stopped_change_nothing() {
    let mut run = running().await;
    ask(&run.world);
    run.until("Stopped", stopped).await.unwrap();
    // Somebody scales by hand.
    {
        let mut state = run.world.lock();
        let rv = state.bump();
        let set = state.set.as_mut().unwrap();
        (set.replicas, set.rv) = (3, rv);
    }
    run.until("back at 0", |w| stopped(w) && size_is(w, 0)).await.unwrap();
    // Somebody deletes the StatefulSet.
    run.world.lock().set = None;
    run.until("made again with 0", |w| stopped(w) && w.lock().set.as_ref().is_some_and(|s| s.replicas == 0))
        .await
        .unwrap();
    assert!(run.world.lock().pods.is_empty());
    withdraw(&run.world);
    run.until("the return", |w| serves(w, 2)).await.unwrap();
}

#[tokio::test]
async fn a_stateful_set_deleted_in_mid_stop_is_made_again_and_the_stop_goes_on() {
    let mut run = running().await;
    ask(&run.world);
    run.until("accepted", |w| w.lock().cluster.as_ref().unwrap().status.as_ref().unwrap().operation.is_some())
        .await
        .unwrap();
    run.world.lock().set = None;
    run.world.lock().job_stuck = true;
    run.until("freezing", freezing).await.unwrap();
    run.world.lock().set = None;
    run.world.lock().job_stuck = false;
    run.until("Stopped", stopped).await.unwrap();
    withdraw(&run.world);
    run.until("the return", |w| serves(w, 2)).await.unwrap();
}

#[tokio::test]
async fn a_replaced_claim_is_asked_about_and_a_blank_one_never_activated() {
    let mut run = running().await;
    ask(&run.world);
    run.until("Stopped", stopped).await.unwrap();
    let uid = run.world.lock().next("claim");
    run.world.lock().claims.get_mut(&1).unwrap().uid = uid;
    run.until("asked about", |w| w.reason("VolumesIntact") == "VolumeReplaced").await.unwrap();
    withdraw(&run.world);
    run.always(20, "holds", |w| size_is(w, 0)).await.unwrap();
    let digest = run
        .world
        .lock()
        .cluster
        .as_ref()
        .unwrap()
        .status
        .as_ref()
        .unwrap()
        .volumes
        .as_ref()
        .unwrap()
        .adopt_digest
        .clone();
    let store = std::mem::take(&mut run.world.lock().claims.get_mut(&1).unwrap().store);
    run.world.annotate(keys::ADOPT_VOLUMES, Some(&digest));
    run.until("missed", |w| size_is(w, 3) && w.reason("MembersComplete") == "MembersMissing").await.unwrap();
    run.always(20, "a blank volume is not the member", |w| generation(w) == 1).await.unwrap();
    run.world.lock().claims.get_mut(&1).unwrap().store = store;
    run.until("the return", |w| serves(w, 2)).await.unwrap();
}

#[tokio::test]
async fn three_cycles_and_a_death_of_everything_in_between() {
    let mut run = running().await;
    // Each return and each recovery opens a generation.
    for generation in [1, 3, 5] {
        ask(&run.world);
        run.until("Stopped", stopped).await.unwrap();
        withdraw(&run.world);
        run.until("the return", |w| serves(w, generation + 1)).await.unwrap();
        // All pods die at once, outside any operation.
        run.world.power_cut();
        run.until("seen to be down", |w| w.condition("Ready") == "False").await.unwrap();
        run.until("recovered", |w| serves(w, generation + 2)).await.unwrap();
    }
    run.always(10, "rests", |w| serves(w, 7)).await.unwrap();
    let seals = run.world.lock().maps.keys().filter(|n| n.starts_with("orders-seal-")).count();
    assert_eq!(seals, 3, "the last seals are kept");
}

#[tokio::test]
async fn the_story_can_be_read() {
    let mut run = running().await;
    ask(&run.world);
    run.until("Stopped", stopped).await.unwrap();
    withdraw(&run.world);
    run.until("the return", |w| serves(w, 2)).await.unwrap();
    let told: Vec<String> = run.world.lock().events.iter().map(|l| l.reason.clone()).collect();
    println!("{}", run.world.story());
    for reason in [
        "Founding",
        "Fenced",
        "Frozen",
        "Committed",
        "ScaledDown",
        "Stopped",
        "ScaledUp",
        "MembersComplete",
        "Activated",
        "Open",
        "Returned",
    ] {
        assert!(told.iter().any(|t| t == reason), "{reason} is not told: {told:?}");
    }
}
