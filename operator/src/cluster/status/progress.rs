//! How far members are with saving or loading, as the status tells it.
//!
//! Law: told coarsely. A write of the status goes to etcd and to all who watch, and wakes every job of the cluster: a figure
//! written with each look would cost more than many a stop that it tells of. So it is first told when a work lasts
//! [`FIRST_AFTER_MS`], then at most every [`EVERY_SECONDS`] and only for news, else every [`AT_LATEST_SECONDS`]; what is shorter
//! is never written. In between the status says word for word what it said. Who wants it live asks a member (`jet cluster`).
//! Must not know: how a store counts, what a pass does.

use std::collections::BTreeMap;

use jet_admin_api::progress::StoreProgress;

use crate::api::names;
use crate::api::status::{MEMBERS_TOLD, MemberProgress, ProgressStatus};
use crate::cluster::facts::{Facts, Seen};

/// What is over before that is not told.
pub const FIRST_AFTER_MS: u64 = 5_000;
/// Told anew at most so often: where a tenth more is done, a member does something else, or it has become slow or is not any
/// more.
pub const EVERY_SECONDS: i64 = 5;
/// And at the latest after so long: a rate and an end that are older say nothing.
pub const AT_LATEST_SECONDS: i64 = 30;
/// Members named in one sentence.
const NAMED: usize = 3;

/// What the status is to tell, given what it tells.
pub fn progress(facts: &Facts, told: Option<&ProgressStatus>) -> Option<ProgressStatus> {
    let members = members(facts, told);
    if members.is_empty() {
        return None;
    }
    match told.filter(|told| !is_due(told, &members, facts.now)) {
        Some(told) => Some(told.clone()),
        None => Some(ProgressStatus { told_at: facts.now_text(), members }),
    }
}

/// The same in a sentence, to be put behind another one.
pub fn sentence(told: &ProgressStatus) -> String {
    let mut said: Vec<_> =
        told.members.iter().take(NAMED).map(|member| format!("{}: {}", member.pod, member.message)).collect();
    if told.members.len() > NAMED {
        said.push(format!("and {} more in status.progress", told.members.len() - NAMED));
    }
    said.join("; ")
}

/// Those that are slow first, then those that have most left.
fn members(facts: &Facts, told: Option<&ProgressStatus>) -> Vec<MemberProgress> {
    let known: BTreeMap<_, _> =
        told.iter().flat_map(|told| &told.members).map(|member| (member.pod.as_str(), member)).collect();
    let look = |(ordinal, seen): (&u32, &Seen)| {
        let pod = names::pod(&facts.name(), *ordinal);
        match seen {
            Seen::View(view) => {
                let lasting = view.store.progress.as_ref().filter(|progress| progress.lasts_ms >= FIRST_AFTER_MS);
                lasting.map(|progress| member(pod, progress))
            }
            // Busy as it is it may answer too late; that it is done is not seen.
            Seen::Silent(_) => known.get(pod.as_str()).map(|known| (*known).clone()),
        }
    };
    let mut members: Vec<_> = facts.members.iter().filter_map(look).collect();
    members.sort_by_key(|member| (member.slow.is_none(), std::cmp::Reverse(member.left_bytes)));
    members.truncate(MEMBERS_TOLD);
    members
}

fn member(pod: String, progress: &StoreProgress) -> MemberProgress {
    let figure = |bytes: u64| i64::try_from(bytes).unwrap_or(i64::MAX);
    MemberProgress {
        pod,
        doing: format!("{:?}", progress.doing),
        done_bytes: figure(progress.done_bytes),
        left_bytes: figure(progress.left_bytes()),
        bytes_per_second: progress.bytes_per_second.map(figure),
        slow: progress.slow.map(|slow| format!("{slow:?}")),
        message: progress.to_string(),
    }
}

fn is_due(told: &ProgressStatus, members: &[MemberProgress], now: i64) -> bool {
    let Ok(at) = told.told_at.parse::<jiff::Timestamp>() else { return true };
    // By another operator, whose clock may go before this one's.
    let age = (now - at.as_second()).saturating_abs();
    age >= AT_LATEST_SECONDS || age >= EVERY_SECONDS && is_news(&told.members, members)
}

fn is_news(told: &[MemberProgress], members: &[MemberProgress]) -> bool {
    let moved = |member: &MemberProgress| {
        let Some(known) = told.iter().find(|known| known.pod == member.pod) else { return true };
        let tenth = member.done_bytes.saturating_add(member.left_bytes) / 10;
        let same = (&known.doing, &known.slow) == (&member.doing, &member.slow);
        !same || member.done_bytes.saturating_sub(known.done_bytes) >= tenth.max(1)
    };
    told.len() != members.len() || members.iter().any(moved)
}
