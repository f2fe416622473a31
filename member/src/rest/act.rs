//! What is asked of the cluster over the REST, as the commands that it becomes.
//!
//! Law: a success is told when the cluster has agreed, not before; what is not offered fails with its reason, and never
//! succeeds in name alone. Must not know: names and passwords.

use std::net::SocketAddr;
use std::time::Duration;

use jet_admin_api::backup::{BackupView, TakeBackup};
use jet_admin_api::cluster::ClusterView;
use jet_admin_api::progress::StoreProgress;
use jet_admin_api::refusal::Refusal;
use jet_admin_api::rest::reply::Reply;
use jet_core::outcome::ALREADY;
use jet_core::{Command, Machine, Settled};
use tracing::info;

use super::answer::Answer;
use super::seen::{self, Addresses};
use crate::admin::handlers::proposed;
use crate::admin::stopping::{self, Asked};
use crate::backup::together;
use crate::member::Member;
use crate::ports::Cluster;

/// Time until this member has applied what was agreed on.
const APPLYING: Duration = Duration::from_secs(5);
/// Longest that a caller is kept waiting for the end of an operation; it may ask again.
const WATCHING: Duration = Duration::from_secs(20);

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

pub(super) fn refused(refusal: &Refusal) -> Answer {
    let way_out = refusal.hint.as_ref().map(|hint| format!(" ({hint})")).unwrap_or_default();
    Answer::error(format!("{}{way_out}", refusal.message))
}

const WRITE_A_STATE: &str = "write one of active, no_migration, frozen, passive";

fn settled(name: &str) -> Result<Settled, String> {
    match name.to_ascii_uppercase().as_str() {
        "ACTIVE" => Ok(Settled::Active),
        "NO_MIGRATION" => Ok(Settled::NoMigration),
        "FROZEN" => Ok(Settled::Frozen),
        "PASSIVE" => Ok(Settled::Passive),
        "IN_TRANSITION" => Err(format!("IN_TRANSITION is an internal state! {WRITE_A_STATE}")),
        _ => Err(format!("'{name}' is no cluster state; {WRITE_A_STATE}")),
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

/// `…/operation`: what was asked for last, once it is decided or [`WATCHING`] is over.
pub async fn operation(member: &Member) -> Answer {
    let node = match member.node() {
        Ok(node) => node,
        Err(refusal) => return refused(&refusal),
    };
    let mut machines = node.machines();
    let _ = tokio::time::timeout(WATCHING, machines.wait_for(|machine| is_decided(machine))).await;
    match member.cluster_view() {
        Some(cluster) => Answer::json(&and_how_far(last(&cluster), member.store_progress().as_ref())),
        None => unfounded(),
    }
}

fn is_decided(machine: &Machine) -> bool {
    let operation = machine.operations.values().next_back();
    let request = machine.stop_request.as_ref();
    let newest = request.filter(|request| operation.is_none_or(|operation| operation.base_index < request.asked));
    match newest {
        Some(request) => request.answer.as_ref().is_some_and(|answer| !answer.taken_up),
        None => operation.is_none_or(|operation| !operation.step.can_abort()),
    }
}

/// The newest of the operations, or a stop that was asked for after all of them.
fn last(cluster: &ClusterView) -> Reply {
    let (operation, request) = (cluster.operation.as_ref(), cluster.stop_request.as_ref());
    let newest = request.filter(|request| operation.is_none_or(|operation| operation.base_index < request.asked));
    let told = |message: String| Reply { message: Some(message), ..Reply::success() };
    match (newest.map(|request| (request, &request.answer)), operation) {
        (Some((request, None)), _) => {
            told(format!("the stop asked for by {} waits for the operator", request.requested_by))
        }
        (Some((_, Some(answer))), _) if answer.taken_up => told(format!("the operator has it: {}", answer.why)),
        (Some((_, Some(answer))), _) => Reply::failed(format!("the stop is not made: {}", answer.why)),
        (None, Some(last)) => {
            let progress = Some(&last.progress).filter(|progress| !progress.is_empty());
            let message = last.aborted_because.as_ref().or(progress).cloned();
            Reply { operation: Some(last.id.clone()), step: Some(last.step), message, ..Reply::success() }
        }
        (None, None) => Reply::failed("there was no operation yet"),
    }
}

/// What this member does for it, where that takes long. Others are asked for themselves.
fn and_how_far(reply: Reply, far: Option<&StoreProgress>) -> Reply {
    let Some(far) = far else { return reply };
    let said = reply.message.map_or_else(String::new, |message| format!("{message}; "));
    Reply { message: Some(format!("{said}this member is {far}")), ..reply }
}

/// `…/clusterShutdown`: without an operator the members carry it out by themselves, and it is told when the cluster is
/// held by it; with one, when all members remember it for that one. What became of it tells `…/operation`.
pub async fn shut_down_cluster(member: &Member) -> Answer {
    let asked = match stopping::ask(member, "rest").await {
        Ok(asked) => asked,
        Err(refusal) => return refused(&refusal),
    };
    applied_here(member, asked.done().index).await;
    match asked {
        Asked::Begun(done) => {
            info!(index = done.index, "REST: a shutdown of the cluster begins");
            Answer::json(&Reply::success())
        }
        Asked::Kept(done) => {
            info!(index = done.index, what = done.what, "REST: a shutdown of the cluster is asked of the operator");
            Answer::json(&Reply { message: Some(kept(member.cluster_name())), ..Reply::success() })
        }
    }
}

fn kept(cluster: &str) -> String {
    format!(
        "The members have agreed to remember this request; the operator stops the cluster (kubectl get jetcluster \
         {cluster}). To have it back: kubectl annotate jetcluster {cluster} jet.lossless.dev/maintenance-"
    )
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

/// `…/hotBackup`: as in the original a success when all members have begun, and an error when they have not. Files are
/// linked behind the answer.
pub async fn hot_backup(member: &Member) -> Answer {
    let node = match member.node() {
        Ok(node) => node,
        Err(refusal) => return refused(&refusal),
    };
    info!("REST: a hot backup is asked for");
    match together::take(node, TakeBackup::by_the_clock()).await {
        Ok(view) => backup_told(&view),
        Err(refusal) => refused(&refusal),
    }
}

/// `…/hotBackupInterrupt`: as in the original a success also where there is nothing to interrupt.
pub async fn interrupt_hot_backup(member: &Member) -> Answer {
    let node = match member.node() {
        Ok(node) => node,
        Err(refusal) => return refused(&refusal),
    };
    match together::interrupt(node).await {
        Ok(view) => backup_told(&view),
        Err(refusal) => refused(&refusal),
    }
}

fn backup_told(view: &BackupView) -> Answer {
    let Some(name) = &view.name else {
        return Answer::json(&Reply { message: Some("there is no hot backup".into()), ..Reply::success() });
    };
    let trouble = Some(view.trouble()).filter(|trouble| !trouble.is_empty());
    let because = trouble.map_or_else(String::new, |trouble| format!(": {trouble}"));
    let message = format!("{name} is {} on {} members{because}", view.state, view.members.len());
    Answer::json(&Reply { message: Some(message), ..Reply::success() })
}

/// Of the members that this one is connected to.
pub fn addresses(member: &Member, at: SocketAddr) -> Addresses {
    let others = member.node().map(|node| node.net().addresses()).unwrap_or_default();
    Addresses { own: SocketAddr::new(at.ip(), member.member_port()), others }
}

#[cfg(test)]
mod tests {
    use jet_admin_api::progress::StoreWork;
    use jet_core::{RequestAnswer, StopRequest};

    use super::*;

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
        // The original's words begin so for the first; for the others it names its own class.
        assert!(settled("in_transition").unwrap_err().starts_with("IN_TRANSITION is an internal state!"));
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

    #[test]
    fn how_far_this_member_is_stands_behind_what_is_waited_for() {
        let far = StoreProgress {
            doing: StoreWork::ReadingBack,
            done_bytes: 1 << 30,
            total_bytes: 2 << 30,
            lasts_ms: 1000,
            bytes_per_second: None,
            left_ms: None,
            slow: None,
        };
        let told = |message: Option<&str>, far| {
            and_how_far(Reply { message: message.map(String::from), ..Reply::success() }, far).message
        };
        assert_eq!(told(Some("seals: 0 of 3"), None).as_deref(), Some("seals: 0 of 3"));
        assert_eq!(told(None, None), None);
        let said = "this member is sealing, 1.0 of 2.0 GiB read back";
        assert_eq!(told(None, Some(&far)).as_deref(), Some(said));
        assert_eq!(told(Some("seals: 0 of 3"), Some(&far)), Some(format!("seals: 0 of 3; {said}")));
    }

    /// What is newer counts: a request of after the last operation, or the operation that it led to.
    #[test]
    fn the_last_thing_asked_for_is_told() {
        let request = |answer: Option<bool>| StopRequest {
            asked: 9,
            nonce: "n".into(),
            requested_by: "rest".into(),
            answer: answer.map(|taken_up| RequestAnswer { taken_up, why: "so".into() }),
        };
        for (answer, base_index, decided) in [
            (None, None, false),
            (None, Some(5), false),
            (Some(true), Some(5), false),
            (Some(false), Some(5), true),
            (Some(false), None, true),
            // An operation of after it: that one is what is asked about.
            (Some(true), Some(12), true),
        ] {
            let operation = base_index.map(|base_index| (1, operation(base_index)));
            let machine = Machine {
                stop_request: Some(request(answer)),
                operations: operation.into_iter().collect(),
                ..Machine::default()
            };
            assert_eq!(is_decided(&machine), decided, "{answer:?} {base_index:?}");
        }
        assert!(is_decided(&Machine::default()));
    }

    fn operation(base_index: u64) -> jet_core::Operation {
        jet_core::Operation {
            id: "1-a".parse().unwrap(),
            requested_by: "t".into(),
            accepted: Vec::new(),
            transient: false,
            base_index,
            step: jet_core::OperationStep::Opened,
            attempt: 1,
            commit_within_ms: 1,
            former: Settled::Active,
            quiesced: None,
            seals: std::collections::BTreeMap::new(),
            aborted_because: None,
        }
    }
}
