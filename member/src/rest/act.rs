//! What is asked of the cluster over the REST, as the commands that it becomes.
//!
//! Law: a success is told when the cluster has agreed, not before; what is not offered fails with its reason, and never
//! succeeds in name alone. Must not know: names and passwords.

use std::net::SocketAddr;
use std::time::Duration;

use jet_admin_api::refusal::{Code, Refusal};
use jet_admin_api::rest::reply::Reply;
use jet_core::outcome::ALREADY;
use jet_core::{Command, Machine, OperationId, Settled};
use tracing::info;
use uuid::Uuid;

use super::answer::Answer;
use super::seen::{self, Addresses};
use crate::admin::handlers::proposed;
use crate::member::Member;
use crate::ports::Cluster;

/// Time until this member has applied what was agreed on.
const APPLYING: Duration = Duration::from_secs(5);
/// Longest that a caller is kept waiting for the end of an operation; it may ask again.
const WATCHING: Duration = Duration::from_secs(20);
/// A number for an operation may have been taken meanwhile.
const NUMBERS_TRIED: usize = 3;

/// `…/state`.
pub fn state(member: &Member) -> Answer {
    match (member.node(), member.cluster_view()) {
        (Err(refusal), _) => refused(&refusal),
        (Ok(_), None) => unfounded(),
        (Ok(_), Some(cluster)) => {
            let state = seen::word(cluster.state).to_lowercase();
            Answer::json(&Reply { state: Some(state), ..Reply::success() })
        }
    }
}

fn unfounded() -> Answer {
    Answer::error("the cluster is not founded, or this member does not know it yet")
}

fn refused(refusal: &Refusal) -> Answer {
    let way_out = refusal.hint.as_ref().map(|hint| format!(" ({hint})")).unwrap_or_default();
    Answer::error(format!("{}{way_out}", refusal.message))
}

fn settled(name: &str) -> Result<Settled, String> {
    match name.to_ascii_uppercase().as_str() {
        "ACTIVE" => Ok(Settled::Active),
        "NO_MIGRATION" => Ok(Settled::NoMigration),
        "FROZEN" => Ok(Settled::Frozen),
        "PASSIVE" => Ok(Settled::Passive),
        "IN_TRANSITION" => Err("IN_TRANSITION is an internal state!".into()),
        _ => Err(format!("'{name}' is no cluster state; write one of active, no_migration, frozen, passive")),
    }
}

/// `…/changeState`.
pub async fn change_state(member: &Member, name: &str) -> Answer {
    let state = match settled(name) {
        Ok(state) => state,
        Err(why) => return Answer::error(why),
    };
    info!(?state, "REST: a change of state is asked for");
    // Who is absent is for the leader to say.
    match proposed(member, Command::SetState { state, absent: Vec::new() }).await {
        Ok(done) => {
            applied_here(member, done.index).await;
            let told = if done.what == ALREADY { Reply::fail() } else { Reply::success() };
            Answer::json(&Reply { state: Some(name.to_lowercase()), ..told })
        }
        Err(refusal) => refused(&refusal),
    }
}

async fn applied_here(member: &Member, index: u64) {
    if let Ok(node) = member.node() {
        let mut machines = node.machines();
        let _ = tokio::time::timeout(APPLYING, machines.wait_for(|machine| machine.applied >= index)).await;
    }
}

fn version_of(machine: &Machine) -> Option<String> {
    machine.founding.as_ref().map(|founding| format!("{}.0", founding.cluster_version))
}

/// `GET …/version`: of the rules that all members follow.
pub fn version(member: &Member) -> Answer {
    match member.node().map(|node| version_of(&node.machine())) {
        Ok(Some(version)) => Answer::json(&Reply { version: Some(version), ..Reply::success() }),
        Ok(None) => unfounded(),
        Err(refusal) => refused(&refusal),
    }
}

/// `POST …/version`: there is one that a member can follow.
pub fn change_version(member: &Member, wanted: &str) -> Answer {
    let known = match member.node().map(|node| version_of(&node.machine())) {
        Ok(Some(known)) => known,
        Ok(None) => return unfounded(),
        Err(refusal) => return refused(&refusal),
    };
    match judge_version(wanted, &known) {
        Ok(()) => Answer::json(&Reply { version: Some(known), ..Reply::success() }),
        Err(why) => Answer::error(why),
    }
}

fn judge_version(wanted: &str, known: &str) -> Result<(), String> {
    let parts = wanted.split_once('.');
    if !parts.is_some_and(|(major, minor)| major.parse::<u8>().is_ok() && minor.parse::<u8>().is_ok()) {
        return Err(format!("Cannot parse {wanted} to ClusterVersion; write MAJOR.MINOR"));
    }
    if wanted == known {
        return Ok(());
    }
    Err(format!(
        "Node's codebase version {} is incompatible with the requested cluster version {wanted}. Node is compatible \
         with: [{known}]",
        env!("CARGO_PKG_VERSION")
    ))
}

/// `…/operation`: the last one, once it is decided or [`WATCHING`] is over.
pub async fn operation(member: &Member) -> Answer {
    let node = match member.node() {
        Ok(node) => node,
        Err(refusal) => return refused(&refusal),
    };
    let mut machines = node.machines();
    let decided = |machine: &std::sync::Arc<Machine>| {
        machine.operations.values().next_back().is_none_or(|operation| !operation.step.can_abort())
    };
    let _ = tokio::time::timeout(WATCHING, machines.wait_for(decided)).await;
    let Some(last) = member.cluster_view().and_then(|cluster| cluster.operation) else {
        return Answer::json(&Reply::failed("there was no operation yet"));
    };
    let message = last.aborted_because.or_else(|| Some(last.progress).filter(|progress| !progress.is_empty()));
    Answer::json(&Reply { operation: Some(last.id), step: Some(last.step), message, ..Reply::success() })
}

/// `…/clusterShutdown`: an operation that the members carry out by themselves. Told when the cluster is held by it; what
/// became of it tells `…/operation`.
pub async fn shut_down_cluster(member: &Member) -> Answer {
    if member.under_operator() {
        return Answer::error(format!(
            "the operator stops this cluster: kubectl annotate jetcluster {} jet.lossless.dev/maintenance=shutdown",
            member.cluster_name()
        ));
    }
    for _ in 0..NUMBERS_TRIED {
        let begun = match member.node() {
            Ok(node) => proposed(member, begin(&node.machine())).await,
            Err(refusal) => return refused(&refusal),
        };
        match begun {
            Ok(done) => {
                info!(index = done.index, "REST: a shutdown of the cluster begins");
                applied_here(member, done.index).await;
                return Answer::json(&Reply::success());
            }
            Err(refusal) if refusal.code == Code::StaleOperation => {}
            Err(refusal) => return refused(&refusal),
        }
    }
    Answer::error("other operations begin at the same time; nothing was begun; ask again")
}

fn begin(machine: &Machine) -> Command {
    let random = Uuid::new_v4().simple().to_string().chars().take(8).collect();
    let op = OperationId { seq: machine.highest_operation + 1, random };
    Command::Begin { op, requested_by: "rest".into(), accepted: Vec::new(), transient: true }
}

/// `…/memberShutdown`: the process ends in order; its place in the cluster stays open for it.
pub fn shut_down_member(member: &Member) -> Answer {
    if member.under_operator() {
        return Answer::error("a member that ends is started again here: delete its pod instead");
    }
    info!("REST: this member is asked to end");
    member.leave();
    Answer::json(&Reply::success())
}

/// `…/forceStart`, `…/partialStart`: as in the original under full recovery, a failure that is no error.
pub fn start_with_loss(what: &str) -> Answer {
    let why = format!(
        "{what} loses data and is not offered in this version: the cluster goes on when every member of its roster is \
         back with its own store"
    );
    Answer::json(&Reply::failed(why))
}

/// `…/hotBackup`: where the original without a store says success, we say that there is none.
pub fn hot_backup() -> Answer {
    Answer::error("hot backup is not offered in this version: stop the cluster and copy the sealed stores")
}

/// Of the members that this one is connected to.
pub fn addresses(member: &Member, at: SocketAddr) -> Addresses {
    let others = member.node().map(|node| node.net().addresses()).unwrap_or_default();
    Addresses { own: SocketAddr::new(at.ip(), member.member_port()), others }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(answer: &Answer) -> String {
        serde_json::from_slice::<Reply>(&answer.body).unwrap().message.unwrap_or_default()
    }

    #[test]
    fn states_are_read_in_any_case() {
        for (name, expected) in [
            ("FROZEN", Settled::Frozen),
            ("frozen", Settled::Frozen),
            ("No_Migration", Settled::NoMigration),
            ("active", Settled::Active),
            ("passive", Settled::Passive),
        ] {
            assert_eq!(settled(name), Ok(expected));
        }
        // The original's words for the first; for the others it names its own class.
        assert_eq!(settled("in_transition").unwrap_err(), "IN_TRANSITION is an internal state!");
        for wrong in ["SLEEPY", ""] {
            assert!(settled(wrong).unwrap_err().contains("active, no_migration, frozen, passive"));
        }
    }

    #[test]
    fn a_version_is_judged_as_in_the_original() {
        assert_eq!(judge_version("1.0", "1.0"), Ok(()));
        assert!(judge_version("banana", "1.0").unwrap_err().starts_with("Cannot parse banana to ClusterVersion"));
        assert!(judge_version("4.0", "1.0").unwrap_err().ends_with("Node is compatible with: [1.0]"));
    }

    /// Where we differ on purpose: a real member without a store answers a hot backup with success.
    #[test]
    fn what_is_not_offered_fails_and_says_why() {
        assert_eq!(hot_backup().status, 500);
        assert!(message(&hot_backup()).contains("not offered"));
        let start = start_with_loss("force start");
        assert_eq!(start.status, 200);
        assert!(start.body.starts_with(br#"{"status":"fail""#) && message(&start).contains("loses data"));
    }

    #[test]
    fn a_shutdown_takes_the_next_number_and_comes_back_by_itself() {
        let machine = Machine { highest_operation: 6, ..Machine::default() };
        let Command::Begin { op, transient: true, .. } = begin(&machine) else { panic!("{:?}", begin(&machine)) };
        assert_eq!(op.seq, 7);
        assert_eq!(op.to_string().parse::<OperationId>(), Ok(op));
    }
}
