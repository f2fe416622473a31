//! Consensus over log disks that freeze.
//!
//! Law: who cannot write its log leads nobody for long, and comes back as a follower. Must not know: what commands do.

use std::time::Duration;

use crate::voters::{VOTERS, Voters, WRITE, after_power_loss, command, names};
use crate::wires::until;

/// Time after which a write into a frozen majority is given up; whether it was done is not known then.
const GIVEN_UP: Duration = Duration::from_secs(3);

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_leader_whose_log_disk_freezes_is_followed_by_another_and_comes_back_as_a_follower() {
    let mut voters = Voters::start().await;
    let (old, term) = voters.leader(&[0, 1, 2], 0).await;
    for n in 0..5 {
        voters.write(old, &format!("before-{n}"), WRITE).await.unwrap();
    }
    let durable = voters.at(old).standing().durable;
    voters.disks[old].freeze();
    // It still takes itself for the leader; what it is given is not acknowledged by a log that cannot be written.
    let stuck = {
        let consensus = voters.at(old);
        tokio::spawn(async move { consensus.write(command("stuck"), WRITE).await })
    };
    let others: Vec<usize> = (0..VOTERS).filter(|n| *n != old).collect();
    let (new, _) = voters.leader(&others, term).await;
    for n in 0..5 {
        voters.write(new, &format!("meanwhile-{n}"), WRITE).await.unwrap();
    }
    assert!(!stuck.is_finished(), "the frozen leader had an answer: {:?}", stuck.await);
    assert_eq!(voters.at(old).standing().durable, durable, "a frozen log is told to be durable");
    assert!(!after_power_loss(&voters.disks[old]).iter().any(|entry| names(entry, "meanwhile-0")));

    voters.disks[old].thaw();
    if stuck.await.unwrap().is_ok() {
        voters.is_durable_on_a_majority("stuck");
        voters.acknowledged.push("stuck".into());
    }
    until("the thawed one follows", || async {
        let standing = voters.at(old).standing();
        let follows = standing.leading.is_none() && standing.leader.is_some() && standing.failure.is_none();
        if follows { Ok(()) } else { Err(format!("{standing:?}")) }
    })
    .await;
    let (leader, _) = voters.leader(&[0, 1, 2], term).await;
    voters.write(leader, "after", WRITE).await.unwrap();
    voters.agree().await;
    voters.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn with_two_of_three_log_disks_frozen_nothing_is_acknowledged_and_nothing_is_lost() {
    let mut voters = Voters::start().await;
    let (leader, _) = voters.leader(&[0, 1, 2], 0).await;
    voters.write(leader, "before", WRITE).await.unwrap();
    let followers: Vec<usize> = (0..VOTERS).filter(|n| *n != leader).collect();
    followers.iter().for_each(|n| voters.disks[*n].freeze());
    for at in 0..VOTERS {
        let word = format!("frozen-at-{at}");
        let written = voters.write(at, &word, GIVEN_UP).await;
        assert!(written.is_err(), "'{word}' was acknowledged with a majority of the disks frozen: {written:?}");
    }
    followers.iter().for_each(|n| voters.disks[*n].thaw());
    let mut tries = 0;
    while !voters.acknowledged.contains(&"after".to_owned()) {
        assert!(tries < 20, "nothing is taken after the thaw: {:?}", voters.at(0).standing());
        tries += 1;
        let (leader, _) = voters.leader(&[0, 1, 2], 0).await;
        let _ = voters.write(leader, "after", GIVEN_UP).await;
    }
    voters.agree().await;
    voters.end().await;
}
