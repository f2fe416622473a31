//! `…/partialStart`, `…/partialStartConsent`: a cluster goes on without members that do not come back.
//!
//! Law: what would be missing is told first, with its digest; only who gives that digest back consents to it, and the
//! cluster judges it again. Who is given up is for the member that leads to say: those that are not back, or back and not
//! heard any more. Must not know: what becomes of the copies.

use std::collections::BTreeSet;
use std::sync::Arc;

use jet_admin_api::rest::reply::Reply;
use jet_core::loss::{self, Loss};
use jet_core::refounding::Refounding;
use jet_core::safety::sentence;
use jet_core::{ClusterState, Command, Digest, Machine, MemberId};
use tracing::info;

use super::act::refused;
use super::answer::Answer;
use crate::admin::handlers::proposed;
use crate::cluster::refounding::NotBegun;
use crate::cluster::{Node, supervise};
use crate::member::Member;
use crate::net::Lane;
use crate::ports::Cluster;

/// Jobs that are told one by one.
const TOLD_JOBS: usize = 20;

/// With the consent, or asked for what it would be to.
pub async fn start(member: &Member, consent: Option<&str>) -> Answer {
    let node = match member.node() {
        Ok(node) => node,
        Err(refusal) => return refused(&refusal),
    };
    if member.under_operator() {
        return unchanged(
            "this cluster is led by an operator, which waits for every original member on its own volume",
        );
    }
    match node.followed_leader() {
        Some(leader) if leader == node.me() => {}
        Some(leader) if node.net().peers(Lane::Control).iter().any(|peer| peer.member == leader.0) => {
            return unchanged(&ask_elsewhere(&node.machine(), leader));
        }
        _ => return refounded(node, consent).await,
    }
    let machine = node.machine();
    let members = missing(&machine, &supervise::unheard(node));
    let loss = match loss::preview(&machine, &members) {
        Ok(loss) => loss,
        Err(why) => return unchanged(&sentence(&why)),
    };
    drop(machine);
    let Some(consent) = consent else { return unchanged(&asks(&loss)) };
    info!(members = ?loss.members, consent, "REST: going on without members is consented to");
    match proposed(member, Command::GoOnWithout { members, consent: Digest(consent.into()) }).await {
        Ok(done) => Answer::json(&Reply { message: Some(done.what), ..Reply::success() }),
        Err(refusal) => refused(&refusal),
    }
}

fn unchanged(why: &str) -> Answer {
    Answer::json(&Reply::failed(format!("nothing was changed: {why}")))
}

fn ask_elsewhere(machine: &Machine, leader: MemberId) -> String {
    match machine.roster.get(&leader) {
        Some(entry) => format!("member {} leads, and knows who is heard: ask it", entry.ordinal),
        None => format!("member {leader} leads, and knows who is heard: ask it"),
    }
}

/// Nobody leads.
async fn refounded(node: &Arc<Node>, consent: Option<&str>) -> Answer {
    let Some(consent) = consent else {
        return match node.would_refound().await {
            Ok((all, _)) => unchanged(&asks_anew(&all)),
            Err(why) => unchanged(&format!("no member leads, and a new incarnation cannot begin: {why}")),
        };
    };
    info!(consent, "REST: a new incarnation is consented to");
    match node.refound(Digest(consent.into())).await {
        Ok(incarnation) => {
            let message = format!(
                "incarnation {incarnation} of the cluster begins, and waits for its absent members; ask again what would be \
                 missing without them"
            );
            Answer::json(&Reply { message: Some(message), ..Reply::success() })
        }
        Err(why @ NotBegun::Why(_)) => unchanged(&why.to_string()),
        Err(why) => Answer::json(&Reply::failed(why.to_string())),
    }
}

fn asks_anew(all: &Refounding) -> String {
    let there: Vec<_> = all.survivors.iter().map(|survivor| survivor.ordinal.to_string()).collect();
    let absent: Vec<_> = all.absent.iter().map(|(ordinal, member)| format!("{ordinal} ({member})")).collect();
    let furthest = all.furthest().map_or(0, |survivor| survivor.end.index);
    format!(
        "no member leads, for a majority of those that vote is not there. Member {} can begin incarnation {} of the cluster by \
         what the furthest of their logs tells, up to entry {furthest}; what only the absent had agreed on behind it is lost, \
         and they never come back under their ids: member {}. If any of them still runs, end it first. If that is what you \
         want, ask again with the consent {}",
        there.join(", "),
        all.incarnation,
        absent.join(", "),
        all.digest()
    )
}

/// Members of the roster that are not back, or that were back and are not heard.
fn missing(machine: &Machine, unheard: &[MemberId]) -> BTreeSet<MemberId> {
    let ClusterState::Recovering { rejoined, .. } = &machine.state else {
        return unheard.iter().copied().collect();
    };
    machine.joined().map(|(member, _)| *member).filter(|m| !rejoined.contains_key(m) || unheard.contains(m)).collect()
}

fn asks(loss: &Loss) -> String {
    let names: Vec<_> = loss.members.iter().map(|(ordinal, member)| format!("{ordinal} ({member})")).collect();
    format!(
        "going on without member {} means that they are out for ever: {}. If that is what you want, ask \
         again with the consent {}",
        names.join(", "),
        what_is_missing(loss),
        loss.digest()
    )
}

fn what_is_missing(loss: &Loss) -> String {
    if loss.stopped_by.is_some() {
        return "after the stop every copy was equal and each partition has one here, so no content is missing, and each job \
                goes on from exactly where it stopped"
            .into();
    }
    let mut words = vec![format!(
        "each partition has a copy here, but after a crash theirs may be newer, of {} partitions",
        loss.perhaps_newer
    )];
    for job in loss.jobs.iter().take(TOLD_JOBS) {
        words.push(match (job.held, &job.goes_on_from) {
            (true, _) => format!("job '{}' is held, for parts of its snapshot may be missing", job.name),
            (false, Some((execution, epoch))) => {
                format!("job '{}' goes on from epoch {epoch} of execution {execution}", job.name)
            }
            (false, None) => format!("job '{}' begins anew", job.name),
        });
    }
    if loss.jobs.len() > TOLD_JOBS {
        words.push(format!("and {} jobs more", loss.jobs.len() - TOLD_JOBS));
    }
    words.join("; ")
}

#[cfg(test)]
mod tests {
    use jet_core::loss::JobLoss;
    use jet_core::{Epoch, ExecutionId, FoundingId, Generation, OperationId};

    use super::*;

    #[test]
    fn what_is_consented_to_is_told_whole() {
        let member = MemberId(uuid::Uuid::from_u128(7));
        let op = OperationId { seq: 1, random: "x".into() };
        let mut loss = Loss {
            founding: FoundingId::default(),
            generation: Generation(1),
            stopped_by: Some(op),
            members: vec![(2, member)],
            were_back: Vec::new(),
            stay: Vec::new(),
            perhaps_newer: 0,
            jobs: Vec::new(),
        };
        let told = asks(&loss);
        assert!(
            told.contains(&format!("without member 2 ({member})")) && told.contains("no content is missing"),
            "{told}"
        );
        assert!(told.ends_with(&loss.digest().to_string()), "{told}");
        loss.stopped_by = None;
        loss.perhaps_newer = 90;
        let job = |n: u64, held| JobLoss {
            name: format!("j{n}"),
            committed: None,
            goes_on_from: (n == 1).then_some((ExecutionId(3), Epoch(4))),
            held,
        };
        loss.jobs = vec![job(0, true), job(1, false), job(2, false)];
        let told = asks(&loss);
        for words in [
            "of 90 partitions",
            "job 'j0' is held",
            "job 'j1' goes on from epoch 4 of execution 3",
            "job 'j2' begins anew",
        ] {
            assert!(told.contains(words), "{told}");
        }
        loss.jobs = (0..30).map(|n| job(n, true)).collect();
        assert!(asks(&loss).contains("and 10 jobs more"));
    }
}
