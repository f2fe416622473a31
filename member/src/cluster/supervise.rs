//! The supervisor's loop: at the leader, machine and observations → commands into the log.
//!
//! Law: only the leader plans, by the machine that it has applied; its clock is monotonic and begins anew with each
//! leadership. A refusal is no error: the machine knew better. Of changes of who votes one is under way, and nothing waits for
//! it. Must not know: why a command is planned.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use jet_core::report::Observations;
use jet_core::supervisor::voting::{self, Step};
use jet_core::supervisor::{self, Watch};
use jet_core::{Command, Machine, MemberId, Outcome};
use tokio::task::JoinHandle;
use tracing::{debug, info, warn};

use super::consensus::Leading;
use super::node::Node;
use super::presence::Presence;
use crate::clock::Moment;
use crate::ports::Cluster;

/// Time for one command.
const COMMAND: Duration = Duration::from_secs(2);

/// Runs until the process ends.
pub async fn run(node: Arc<Node>) {
    let mut machines = node.machines();
    let mut watch: Option<(u64, Watch)> = None;
    let mut said = BTreeMap::new();
    let mut changing: Option<JoinHandle<()>> = None;
    loop {
        let pause = node.pace();
        let applied = async {
            // A burst of entries is one look.
            let _ = machines.changed().await;
            tokio::time::sleep(Duration::from_millis(5)).await;
        };
        tokio::select! {
            biased;
            () = tokio::time::sleep(pause) => {}
            () = applied => {}
        }
        let Some(leading) = node.standing().and_then(|s| s.leading) else {
            watch = None;
            continue;
        };
        let (known, mut own) = watch.take().unwrap_or((leading.term, Watch::default()));
        if known != leading.term {
            own = Watch::default();
        }
        let machine = node.machine();
        let looked = look(&mut node.presence(), &machine, &mut own, leading, Moment::now());
        watch = Some((leading.term, own));
        let Some((observations, mut planned)) = looked else { continue };
        while let Some(next) = planned.pop_front() {
            let known = write(&node, next.command, &mut said).await;
            // Without an outcome they stay without a lease until another command of ours has one, or another leads.
            if known {
                node.outcome_known(&deposed(&planned));
            }
        }
        if changing.as_ref().is_none_or(JoinHandle::is_finished) {
            changing = change_voters(&node, &machine, &observations);
        }
    }
}

/// A command, and whom it deposes.
#[derive(Debug)]
struct Planned {
    command: Command,
    deposes: BTreeSet<MemberId>,
}

/// Plans, and in the same moment takes away the leases of those that the plan deposes: who is heard again before the
/// plan is written must not be granted one, and serve beside its successor.
fn look(
    presence: &mut Presence,
    machine: &Machine,
    watch: &mut Watch,
    leading: Leading,
    now: Moment,
) -> Option<(Observations, VecDeque<Planned>)> {
    let since = presence.lead(Some(leading), now)?;
    let mut members = presence.observed(now);
    members.retain(|member, _| machine.roster.contains_key(member));
    let observations = Observations {
        members,
        leader_for_ms: u64::try_from(now.since(since).as_millis()).unwrap_or(u64::MAX),
        operation_for_ms: watch.observe(machine, now.millis()),
        request_for_ms: watch.observe_request(machine, now.millis()),
        releases: watch.observe_releases(machine, now.millis()),
    };
    let planned: VecDeque<_> = supervisor::plan(machine, &observations)
        .into_iter()
        .map(|command| Planned { deposes: supervisor::deposed(machine, &command), command })
        .collect();
    presence.depose(deposed(&planned));
    Some((observations, planned))
}

/// The next step to who is to vote, if there is one.
fn change_voters(node: &Arc<Node>, machine: &Machine, observations: &Observations) -> Option<JoinHandle<()>> {
    let consensus = node.consensus().filter(|_| node.presence().caught_up())?;
    let step = voting::step(machine, observations, node.me(), &consensus.voting())?;
    let node = node.clone();
    Some(tokio::spawn(async move {
        let words = format!("{step:?}");
        let done = match step {
            Step::Propose(command) => match node.write(command, COMMAND).await {
                Ok(Outcome::Done { what, .. }) => Ok(what),
                Ok(Outcome::Refused(refused)) => Err(refused.to_string()),
                Err(error) => Err(error.to_string()),
            },
            step => consensus.carry(step).await.map(|()| "done".to_owned()),
        };
        match done {
            Ok(what) => info!(step = %words, %what, "supervisor: who votes"),
            Err(why) => debug!(step = %words, %why, "supervisor: who votes is not changed yet"),
        }
    }))
}

fn deposed(planned: &VecDeque<Planned>) -> BTreeSet<MemberId> {
    planned.iter().flat_map(|planned| planned.deposes.iter().copied()).collect()
}

/// What was said last about each kind of command, so that a repeated refusal is one line.
type Said = BTreeMap<String, String>;

/// Whether its outcome is known.
async fn write(node: &Node, command: Command, said: &mut Said) -> bool {
    let kind = kind(&command);
    let written = node.write(command.clone(), COMMAND).await;
    let known = written.is_ok();
    let words = match written {
        Ok(Outcome::Done { index, what }) => {
            info!(index, command = %kind, %what, "supervisor");
            said.remove(&kind);
            return known;
        }
        Ok(Outcome::Refused(refused)) => refused.to_string(),
        Err(error) => error.to_string(),
    };
    debug!(?command, %words, "supervisor: not done");
    if said.insert(kind.clone(), words.clone()).as_ref() != Some(&words) {
        warn!(command = %kind, why = %words, "supervisor: not done");
    }
    known
}

/// The command's name, for people.
pub fn kind(command: &Command) -> String {
    let text = format!("{command:?}");
    text.split([' ', '{', '(']).next().unwrap_or_default().to_owned()
}

/// The members of the roster that the leader does not hear.
pub fn unheard(node: &Node) -> Vec<MemberId> {
    let now = Moment::now();
    let machine = node.machine();
    let presence = node.presence();
    machine.roster.keys().filter(|member| !presence.present(**member, now)).copied().collect()
}

/// The members that are not heard under their recorded boots: what a change of state must know.
pub fn absent(node: &Node) -> Vec<MemberId> {
    let members = node.presence().observed(Moment::now());
    let machine = node.machine();
    supervisor::presence::absent(&machine, &Observations { members, ..Observations::default() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::presence::BeatAnswer;
    use jet_core::machine::{Founding, RuntimeGeneration};
    use jet_core::report::{DRIFT_MS, LEASE_MS};
    use jet_core::roster::RosterEntry;
    use jet_core::{Boot, ClusterState, PartitionEntry, Replica, RuntimeNumber, TableVersion};
    use std::time::Duration;
    use uuid::Uuid;

    const TERM: u64 = 7;
    const LED: Leading = Leading { term: TERM, last: 20 };

    fn member(n: u128) -> MemberId {
        MemberId(Uuid::from_u128(n))
    }

    fn at(ms: u64) -> Moment {
        Moment::default().plus(Duration::from_millis(ms))
    }

    /// Three members; the third leads the one partition and runs in the engine.
    fn machine() -> Machine {
        let entry = |n: u32| RosterEntry { ordinal: n, boot: Boot(1), volume_id: "v".into(), log_line: 1 };
        let replica = |n| Replica { member: member(n), boot: Boot(1), synced: true };
        let mut machine = Machine { state: ClusterState::Active, ..Machine::default() };
        machine.founding = Some(Founding {
            id: jet_core::FoundingId::default(),
            incarnation: 0,
            cluster_version: 1,
            partition_count: 1,
            backup_count: 1,
            permit_digest: jet_core::Digest::default(),
        });
        machine.roster = (1..4).map(|n| (member(u128::from(n)), entry(n))).collect();
        machine.table.version = TableVersion(3);
        let replicas = vec![replica(3), replica(1)];
        machine.table.partitions =
            vec![PartitionEntry { installed: TableVersion(1), changed: TableVersion(1), replicas }];
        machine.runtime = Some(RuntimeGeneration {
            number: RuntimeNumber(1),
            index: 1,
            members: (1..4).map(member).collect(),
            owners: vec![2],
            jobs: Vec::new(),
            workers: 1,
        });
        machine
    }

    #[test]
    fn who_is_heard_again_before_its_deposition_is_published_is_granted_nothing() {
        let (machine, mut presence) = (machine(), Presence::default());
        let voters: Vec<_> = (1..4).map(member).collect();
        let voter = |n| jet_core::Voter { member: member(n), line: 1 };
        let all = [(1..4).map(voter).collect::<BTreeSet<_>>()];
        presence.lead(Some(LED), at(0));
        presence.published(20, machine.table.version);
        let silent = LEASE_MS + DRIFT_MS + 1;
        for voter in &voters {
            presence.hear(*voter, Boot(1), "v".into(), None, at(0));
        }
        for n in [1, 2] {
            let answer = BeatAnswer {
                boot: Boot(1),
                line: 1,
                term: TERM,
                volume_id: "v".into(),
                report: None,
                lease: None,
                left: None,
            };
            presence.heard_back(member(n), answer, at(silent), at(silent));
        }
        let looked = look(&mut presence, &machine, &mut Watch::default(), LED, at(silent));
        let (_, mut planned) = looked.unwrap();
        let kinds: Vec<_> = planned.iter().map(|planned| kind(&planned.command)).collect();
        assert_eq!(kinds, ["RuntimeLost", "Table"]);
        // Heard again before anything is written, and while the first of the two is.
        let granted = |presence: &mut Presence, n: u128| {
            presence.hear(member(n), Boot(1), "v".into(), None, at(silent + 1));
            presence.grant(voter(1), member(n), TERM, &all, at(silent + 1)).is_some()
        };
        assert!(!granted(&mut presence, 3) && granted(&mut presence, 2));
        planned.pop_front();
        presence.outcome_known(21, &deposed(&planned));
        presence.published(21, TableVersion(3));
        assert!(!granted(&mut presence, 3), "its successor is not installed yet");
        presence.outcome_known(22, &BTreeSet::new());
        assert!(!granted(&mut presence, 3), "its successor may serve, by a table that this member does not grant by");
        presence.published(22, TableVersion(4));
        assert!(granted(&mut presence, 3));
    }
}
