//! A hot backup of all members, carried by the one that was asked.
//!
//! Law: prepared first where the smallest identity is, so that of two at once one comes through, and then everywhere at once;
//! asked to stand still together, and told to go on when the last one has answered. Whatever is refused or not answered on the
//! way takes the whole backup back. A caller that goes away ends nothing. Must not know: what a member does at a step.

use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use jet_admin_api::backup::{BackupState, BackupView, MemberBackup, TakeBackup, ToldBackup};
use jet_admin_api::refusal::{Code, Refusal};
use jet_core::MemberId;
use tracing::{info, warn};
use uuid::Uuid;

use super::{Attempt, BackupAnswer, BackupAsk, STEP, WORD, judge};
use crate::cluster::control::{Ask, words};
use crate::cluster::{Node, supervise};
use crate::net::Lane;
use crate::ports::Cluster;

/// Time until what was interrupted has ended.
const ENDING: Duration = Duration::from_secs(10);
/// Pause between two looks meanwhile.
const LOOK: Duration = Duration::from_millis(50);
/// Until all have finished, looked at so often and for so long.
const WATCH: Duration = Duration::from_secs(1);
const WATCHED: Duration = Duration::from_secs(3600);
/// Why a backup that somebody interrupted is none.
const INTERRUPTED: &str = "it was interrupted";

/// Begins a backup, or tells of the one that has the name. The answer comes when the moment is over; files are linked behind it.
pub async fn take(node: &Arc<Node>, TakeBackup { name }: TakeBackup) -> Result<BackupView, Refusal> {
    let node = node.clone();
    let begun = tokio::spawn(async move { begin(&node, name).await });
    begun.await.unwrap_or_else(|error| Err(Refusal::new(Code::Internal, format!("a task ended early: {error}"))))
}

async fn begin(node: &Arc<Node>, name: String) -> Result<BackupView, Refusal> {
    let known = ask(node, node.me(), BackupAsk::Tell(Some(name.clone())), WORD).await?;
    if matches!(known.told.state, BackupState::InProgress | BackupState::Success) {
        return Ok(view(node, Some(name)).await);
    }
    if let Some(refusal) = judge::why_not(&node.machine(), &supervise::unheard(node)) {
        return Err(refusal);
    }
    let members: Vec<MemberId> = node.machine().roster.keys().copied().collect();
    let attempt = Attempt { name: name.clone(), set: Uuid::new_v4() };
    if let Err((member, refusal)) = prepare(node, &members, &attempt).await {
        // Somebody else has asked for the same.
        if members.first() == Some(&member) && refusal.code == Code::Exists {
            return there(node, name, refusal).await;
        }
        return Err(taken_back(node, &members, &attempt, member, refusal).await);
    }
    for (step, within) in [(BackupAsk::Hold(attempt.clone()), STEP), (BackupAsk::Go(attempt.clone()), WORD)] {
        if let Err((member, refusal)) = all(node, &members, &step, within).await {
            return Err(taken_back(node, &members, &attempt, member, refusal).await);
        }
    }
    info!(name, set = %attempt.set, members = members.len(), "a hot backup of the cluster has its moment");
    tokio::spawn(watch(node.clone(), members, attempt));
    Ok(view(node, Some(name)).await)
}

/// Whoever has the first has all: nobody else asks the others then.
async fn prepare(node: &Arc<Node>, members: &[MemberId], attempt: &Attempt) -> Result<(), (MemberId, Refusal)> {
    let (first, others) = members.split_at(members.len().min(1));
    let step = BackupAsk::Prepare(attempt.clone());
    all(node, first, &step, STEP).await?;
    all(node, others, &step, STEP).await
}

/// Asks all at once. An error: the first in their order who does not, and why.
async fn all(
    node: &Arc<Node>,
    members: &[MemberId],
    step: &BackupAsk,
    within: Duration,
) -> Result<(), (MemberId, Refusal)> {
    let answers = join_all(members.iter().map(|member| ask(node, *member, step.clone(), within))).await;
    let refused = members.iter().zip(answers).find_map(|(member, answer)| Some((*member, answer.err()?)));
    refused.map_or(Ok(()), Err)
}

/// What one member cannot finish is of no use to the others.
async fn watch(node: Arc<Node>, members: Vec<MemberId>, attempt: Attempt) {
    let name = &attempt.name;
    let ends = async {
        loop {
            let seen = view(&node, Some(name.clone())).await;
            if !matches!(seen.state, BackupState::InProgress | BackupState::Unknown) {
                return seen;
            }
            tokio::time::sleep(WATCH).await;
        }
    };
    match tokio::time::timeout(WATCHED, ends).await {
        Ok(seen) if seen.state == BackupState::Success => info!(name, "a hot backup of the cluster is whole"),
        Ok(seen) => {
            let why = seen.trouble();
            warn!(name, why, "a hot backup of the cluster is not whole; what there is of it is taken back");
            give_up(&node, &members, &attempt, &format!("not every member has it: {why}")).await;
        }
        Err(_) => warn!(name, "whether a hot backup of the cluster is whole is not looked at any longer"),
    }
}

async fn there(node: &Arc<Node>, name: String, refusal: Refusal) -> Result<BackupView, Refusal> {
    let found = view(node, Some(name)).await;
    match found.state {
        BackupState::Failure | BackupState::NotStarted => Err(refusal.hint("choose another name")),
        _ => Ok(found),
    }
}

/// Gives it up on `members`, because of what `culprit` said.
async fn taken_back(
    node: &Arc<Node>,
    members: &[MemberId],
    attempt: &Attempt,
    culprit: MemberId,
    refusal: Refusal,
) -> Refusal {
    let ordinal = ordinal(node, culprit);
    warn!(name = attempt.name, member = ordinal, %refusal, "no hot backup of the cluster");
    let why = format!("member {ordinal}: {}", refusal.message);
    give_up(node, members, attempt, &why).await;
    Refusal { message: why, ..refusal }
}

async fn give_up(node: &Arc<Node>, members: &[MemberId], attempt: &Attempt, why: &str) {
    let word = BackupAsk::GiveUp(attempt.clone(), why.into());
    if let Err((member, refusal)) = all(node, members, &word, WORD).await {
        let (member, Attempt { name, set }) = (ordinal(node, member), attempt);
        warn!(name, %set, member, %refusal, "whether a part of a hot backup that is none is left there is not known");
    }
}

/// Gives up the backup that is under way, if there is one.
pub async fn interrupt(node: &Arc<Node>) -> Result<BackupView, Refusal> {
    let known = ask(node, node.me(), BackupAsk::Tell(None), WORD).await?;
    let Some(attempt) = known.attempt.filter(|_| known.told.state == BackupState::InProgress) else {
        return Ok(view(node, None).await);
    };
    let name = attempt.name.clone();
    let members: Vec<MemberId> = node.machine().roster.keys().copied().collect();
    info!(name, "a hot backup is interrupted");
    give_up(node, &members, &attempt, INTERRUPTED).await;
    let ends = async {
        loop {
            let seen = view(node, Some(name.clone())).await;
            if seen.state != BackupState::InProgress {
                return seen;
            }
            tokio::time::sleep(LOOK).await;
        }
    };
    match tokio::time::timeout(ENDING, ends).await {
        Ok(seen) => Ok(seen),
        Err(_) => Ok(view(node, Some(name)).await),
    }
}

/// What every member says of a backup, or of this member's last one.
pub async fn view(node: &Arc<Node>, name: Option<String>) -> BackupView {
    let name = match name {
        Some(name) => Some(name),
        None => {
            ask(node, node.me(), BackupAsk::Tell(None), WORD).await.ok().and_then(|known| Some(known.attempt?.name))
        }
    };
    let machine = node.machine();
    let asked = machine.roster.iter().map(|(member, entry)| {
        let tell = BackupAsk::Tell(Some(name.clone().unwrap_or_default()));
        async move {
            let told = ask(node, *member, tell, WORD).await.map(|answer| answer.told);
            let unknown = |refusal: Refusal| ToldBackup::only(BackupState::Unknown, Some(refusal.message));
            MemberBackup { uuid: member.0, ordinal: entry.ordinal, told: told.unwrap_or_else(unknown) }
        }
    });
    let mut members = join_all(asked).await;
    members.sort_by_key(|member| member.ordinal);
    BackupView::of(name, members)
}

fn ordinal(node: &Arc<Node>, member: MemberId) -> u32 {
    node.machine().roster.get(&member).map_or(0, |entry| entry.ordinal)
}

async fn ask(node: &Arc<Node>, member: MemberId, ask: BackupAsk, within: Duration) -> BackupAnswer {
    if member == node.me() {
        return node.backups().clone().answer(ask).await;
    }
    let unknown = |why: String| Refusal::new(Code::Internal, why);
    let request = words(&Ask::Backup(ask)).map_err(|error| unknown(error.to_string()))?;
    let answer = node.net().call(member.0, Lane::Control, request, within).await;
    let answer = answer.map_err(|error| unknown(error.to_string()))?;
    let heard: Result<BackupAnswer, _> = serde_json::from_slice(&answer);
    heard.unwrap_or_else(|error| Err(unknown(format!("its answer cannot be understood: {error}"))))
}
