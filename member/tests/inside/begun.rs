//! A founding that is tried again finds the log begun: with the same members it goes on, with others it is refused.

use std::time::Duration;

use jet_core::MemberId;
use jet_member::cluster::consensus::disk::RamDisk;
use jet_member::cluster::consensus::types::Voter;
use jet_member::cluster::consensus::{BeginError, Consensus, End, Kept};
use jet_member::cluster::control::envelope;

use crate::wires::{PATIENCE, unconnected, uuid};

fn voter(n: usize) -> Voter {
    Voter { member: MemberId(uuid(n)), line: 7 }
}

async fn started(disk: &RamDisk) -> Consensus {
    let (net, _) = unconnected(1).remove(0);
    Consensus::start(net, envelope, voter(0), Kept::read(disk.clone()).unwrap()).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_that_was_begun_with_other_voters_is_not_founded_upon() {
    let disk = RamDisk::default();
    let lowest = started(&disk).await;
    let first = [voter(0), voter(1), voter(2)];
    assert_eq!(lowest.initialise(first).await, Ok(()));
    assert_eq!(lowest.initialise(first).await, Ok(()), "the same list may be tried again");
    lowest.stop().await;
    // Between the beginning and `Found` the volume of a founder was replaced: a new member has its ordinal.
    let lowest = started(&disk).await;
    assert_eq!(lowest.initialise(first).await, Ok(()));
    let refused = lowest.initialise([voter(0), voter(1), voter(3)]).await.unwrap_err();
    assert!(matches!(refused, BeginError::OtherVoters { .. }), "{refused:?}");
    let said = refused.to_string();
    assert!(said.contains(&voter(2).to_string()) && said.contains(&voter(3).to_string()), "{said}");
    assert!(lowest.initialise([voter(0), voter(1)]).await.is_err());
    lowest.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_core_that_broke_down_is_seen_and_one_that_was_stopped_is_not() {
    let consensus = started(&RamDisk::default()).await;
    let stopped = consensus.ended();
    consensus.stop().await;
    assert!(tokio::time::timeout(Duration::from_millis(200), stopped).await.is_err(), "it was asked to end");
    let consensus = started(&RamDisk::default()).await;
    assert_eq!(consensus.standing().failure, None);
    consensus.break_down();
    let end = tokio::time::timeout(PATIENCE, consensus.ended()).await.expect("nobody sees that the core is gone");
    assert_eq!(end, End::Mistake);
    assert!(consensus.standing().failure.is_some());
}
