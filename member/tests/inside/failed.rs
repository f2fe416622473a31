//! Consensus over log disks that fail, for a moment or for ever.
//!
//! Law: who cannot write its log has no vote; in the same process, from what the disk holds, it votes again with all that
//! was acknowledged, and leads in no term a second time. Must not know: what commands do.

use jet_hotstore::SimulatedDisk;
use jet_member::cluster::consensus::{Consensus, ConsensusError, End, Kept};

use crate::voters::{VOTERS, Voters, WRITE, after_power_loss, open};
use crate::wires::{PATIENCE, until};

/// Waits until consensus has ended because of its disk, and the disk is nobody's.
async fn closed(consensus: &Consensus) {
    let end = tokio::time::timeout(PATIENCE, consensus.ended()).await.expect("it goes on without a disk");
    assert_eq!(end, End::Disk);
    assert!(consensus.has_let_go() && consensus.standing().failure.is_some(), "{:?}", consensus.standing());
    consensus.stop().await;
}

async fn read_again(disk: &SimulatedDisk, former: &Consensus) -> Result<Kept, ConsensusError> {
    Kept::read(open(disk, false).unwrap()).unwrap().after(former).await
}

impl Voters {
    /// What the member does once its disk takes writes again.
    async fn begin_again(&self, n: usize) {
        let kept = read_again(&self.disks[n], &self.at(n)).await.unwrap();
        self.begin(n, kept).await.unwrap();
    }

    /// Writes until something is taken.
    async fn goes_on(&mut self, word: &str) {
        let mut tries = 0;
        while !self.acknowledged.contains(&word.to_owned()) {
            assert!(tries < 20, "nothing is taken any more: {:?}", self.at(0).standing());
            tries += 1;
            let (leader, _) = self.leader(&[0, 1, 2], 0).await;
            let _ = self.write(leader, word, WRITE).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn who_led_when_its_disk_ran_full_votes_again_in_the_same_process_and_not_as_leader_of_that_term() {
    let mut voters = Voters::start().await;
    let (old, term) = voters.leader(&[0, 1, 2], 0).await;
    for n in 0..5 {
        voters.write(old, &format!("before-{n}"), WRITE).await.unwrap();
    }
    voters.disks[old].set_capacity(Some(0));
    assert!(voters.write(old, "full", WRITE).await.is_err(), "acknowledged by a log that cannot be written");
    closed(&voters.at(old)).await;
    let others: Vec<usize> = (0..VOTERS).filter(|n| *n != old).collect();
    let (new, _) = voters.leader(&others, term).await;
    for n in 0..5 {
        voters.write(new, &format!("meanwhile-{n}"), WRITE).await.unwrap();
    }
    assert!(open(&voters.disks[old], false).is_err(), "there is no room yet");

    voters.disks[old].set_capacity(None);
    voters.begin_again(old).await;
    assert!(voters.at(old).standing().term > term, "it could lead that term again: {:?}", voters.at(old).standing());
    until("it follows", || async {
        let standing = voters.at(old).standing();
        if standing.leader.is_some() && standing.failure.is_none() { Ok(()) } else { Err(format!("{standing:?}")) }
    })
    .await;
    voters.goes_on("after").await;
    voters.agree().await;
    voters.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn with_all_three_log_disks_full_at_once_votes_come_back_with_the_room_and_nothing_is_lost() {
    let mut voters = Voters::start().await;
    let (leader, _) = voters.leader(&[0, 1, 2], 0).await;
    for n in 0..5 {
        voters.write(leader, &format!("before-{n}"), WRITE).await.unwrap();
    }
    voters.disks.iter().for_each(|disk| disk.set_capacity(Some(0)));
    assert!(voters.write(leader, "full", WRITE).await.is_err(), "acknowledged by logs that cannot be written");
    for n in 0..VOTERS {
        closed(&voters.at(n)).await;
    }
    voters.disks.iter().for_each(|disk| disk.set_capacity(None));
    for n in 0..VOTERS {
        voters.begin_again(n).await;
    }
    voters.goes_on("after").await;
    voters.agree().await;
    voters.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_disk_that_lost_what_was_durable_is_not_voted_with() {
    let mut voters = Voters::start().await;
    let (leader, _) = voters.leader(&[0, 1, 2], 0).await;
    let older = voters.disks[leader].copy();
    voters.write(leader, "lost", WRITE).await.unwrap();
    voters.disks[leader].set_capacity(Some(0));
    assert!(voters.write(leader, "full", WRITE).await.is_err());
    closed(&voters.at(leader)).await;
    let Err(refused) = read_again(&older, &voters.at(leader)).await else { panic!("entries are missing") };
    assert!(refused.to_string().contains("acknowledged entries are missing"), "{refused}");
    voters.disks[leader].set_capacity(None);
    assert!(!after_power_loss(&voters.disks[leader]).is_empty());
    voters.begin_again(leader).await;
    voters.goes_on("after").await;
    voters.agree().await;
    voters.end().await;
}
