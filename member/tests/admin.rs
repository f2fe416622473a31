//! The admin API over real sockets: roles, founding, the order of steps, abort, probes.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod world;

use std::io::{Read, Write};
use std::net::TcpStream;

use jet_admin_api::client::CallError;
use jet_admin_api::cluster::ClusterStateView;
use jet_admin_api::founding::FoundingPermit;
use jet_admin_api::identity::Role;
use jet_admin_api::member::MemberPhase;
use jet_admin_api::operation::{Abort, BeginOperation, Commit, Freeze, OperationStep};
use jet_admin_api::refusal::Code;
use uuid::Uuid;
use world::World;

fn code<T: std::fmt::Debug>(answer: Result<T, CallError>) -> Code {
    match answer {
        Err(CallError::Refused(refusal)) => refusal.code,
        other => panic!("not refused: {other:?}"),
    }
}

fn probe(world: &World, ordinal: u32, path: &str) -> String {
    let mut stream = TcpStream::connect(world.health_address(ordinal)).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: member\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_blank_member_waits_is_live_and_not_ready_and_takes_one_permit_only() {
    let mut world = World::new(2);
    world.start_all();
    world.all_in(0..2, MemberPhase::NoStore).await;
    assert!(probe(&world, 0, "/livez").starts_with("HTTP/1.1 200"));
    assert!(probe(&world, 0, "/readyz").starts_with("HTTP/1.1 503"));
    let permit = |founding_id, ordinals| FoundingPermit { founding_id, ordinals, partition_count: 7, backup_count: 1 };
    let first = permit(Uuid::from_u128(1), vec![0, 1]);
    // Only one of the two has the permit: nothing is founded.
    let promise = world.operator(0).found(&first).await.unwrap();
    assert!(!promise.founded);
    assert_eq!(code(world.operator(0).found(&permit(Uuid::from_u128(2), vec![0, 1])).await), Code::FoundingDiffers);
    assert_eq!(code(world.operator(1).found(&permit(Uuid::from_u128(2), vec![0])).await), Code::BadRequest);
    assert_eq!(world.view(0).await.unwrap().phase, MemberPhase::Founding);
    assert_eq!(world.view(1).await.unwrap().phase, MemberPhase::NoStore);
    world.operator(1).found(&first).await.unwrap();
    world.serving(0..2, ClusterStateView::Active).await;
    assert!(probe(&world, 1, "/readyz").starts_with("HTTP/1.1 200"));
    let metrics = probe(&world, 1, "/metrics");
    for figure in ["jet_partitions_fully_backed 7", "jet_store_saves_or_loads 0", "jet_store_slow 0"] {
        assert!(metrics.contains(figure), "{metrics}");
    }
    assert!(probe(&world, 1, "/progress").ends_with("\r\n\r\nnull"), "{}", probe(&world, 1, "/progress"));
    assert!(world.operator(1).found(&first).await.unwrap().founded);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn roles_and_the_order_of_steps_are_kept_and_an_abort_gives_everything_back() {
    let mut world = World::new(3);
    world.start_all();
    world.found().await;
    let begin = BeginOperation { id: "4-a".into(), requested_by: "test".into(), accepted_job_loss: Vec::new() };
    for role in [Role::Admin, Role::Client, Role::Member(1)] {
        assert_eq!(code(world.client_as(0, role).begin(&begin).await), Code::Forbidden);
    }
    assert_eq!(code(world.client_as(0, Role::Member(1)).get("flights", "k").await), Code::Forbidden);
    // Through a member that is perhaps not the leader.
    for ordinal in 0..3 {
        world.operator(ordinal).begin(&begin).await.unwrap();
    }
    let older = BeginOperation { id: "3-b".into(), ..begin.clone() };
    assert_eq!(code(world.operator(0).begin(&older).await), Code::StaleOperation);
    let roster_digest = world.operator(0).cluster().await.unwrap().roster_digest;
    assert_eq!(
        code(world.operator(0).commit("4-a", &Commit { roster_digest: roster_digest.clone() }).await),
        Code::StepOrder
    );
    world.operator(1).freeze("4-a", &Freeze { commit_within_ms: 60_000 }).await.unwrap();
    world
        .until("sealed", || async {
            let step = world.operator(2).cluster().await.map_err(|e| e.to_string())?.operation.map(|o| o.step);
            if step == Some(OperationStep::Sealed) { Ok(()) } else { Err(format!("{step:?}")) }
        })
        .await;
    world.operator(2).abort("4-a", &Abort { reason: "a test asks for it".into() }).await.unwrap();
    assert_eq!(code(world.operator(0).commit("4-a", &Commit { roster_digest }).await), Code::AlreadyDecided);
    world.serving(0..3, ClusterStateView::Active).await;
    world.put(0, "after", "abort").await.unwrap();
    assert_eq!(world.get(2, "after").await.unwrap().as_deref(), Some("abort"));
    // The next one goes through on the stores that were sealed in vain.
    let generation = world.stop("5-c").await;
    world.terminate_all();
    world.start_all();
    world.resume("5-c", generation).await;
    assert_eq!(world.get(1, "after").await.unwrap().as_deref(), Some("abort"));
}
