//! Why not: every reason against an act that could lose something, with its numbers.
//!
//! Law: an empty answer is the only permission; what is unseen is a reason. Must not know: when it is asked.

use jet_admin_api::cluster::{ClusterStateView, ClusterView};
use jet_admin_api::job::Guarantee;
use jet_admin_api::member::{MemberPhase, MemberView, StoreState};
use jet_admin_api::operation::{OperationStep, OperationView};

use crate::api::records::SealRecord;
use crate::api::status::Blocker;
use crate::api::{Reason, annotations as keys, names};
use crate::cluster::evidence::{jobs, seals};
use crate::cluster::facts::Facts;
use crate::cluster::plan::act::blocker;
use crate::cluster::plan::request::Requests;

pub use crate::cluster::plan::absentee::why as absentee;

fn pod(facts: &Facts, ordinal: u32) -> String {
    format!("pod/{}", names::pod(&facts.name(), ordinal))
}

fn claim(facts: &Facts, ordinal: u32) -> String {
    format!("claim/{}", names::claim(&facts.name(), ordinal))
}

fn this(facts: &Facts) -> String {
    format!("jetcluster/{}", facts.name())
}

/// Against a stop that was asked for before there was a cluster.
pub fn not_formed(facts: &Facts) -> Vec<Blocker> {
    vec![blocker(
        this(facts),
        Reason::ClusterStateForbids,
        "the cluster is not founded yet: there is nothing to save",
        None,
    )]
}

/// Against beginning a stop (step 2).
pub fn why_not_stop(facts: &Facts) -> Vec<Blocker> {
    let Some(machine) = facts.machine() else {
        let mut against = absentees(facts);
        if against.is_empty() {
            against.push(blocker(this(facts), Reason::MemberUnreachable, "no member answers", None));
        }
        return against;
    };
    let mut against = absentees(facts);
    against.extend(machine.roster.iter().filter_map(|m| unfit(facts, machine, m.ordinal)));
    against.extend(machine.roster.iter().filter_map(|m| volume_unfit(facts, m.ordinal)));
    against.extend(state_forbids(facts, machine));
    against.extend(not_backed_up(facts, machine));
    against.extend(lossy_jobs(facts, machine));
    against
}

/// A member that answers and still cannot take part.
fn unfit(facts: &Facts, machine: &ClusterView, ordinal: u32) -> Option<Blocker> {
    let view = facts.view(ordinal)?;
    let at = pod(facts, ordinal);
    if view.phase != MemberPhase::Serving {
        return None;
    }
    let own = view.cluster.as_ref()?;
    if own.roster_digest != machine.roster_digest || own.incarnation != machine.incarnation {
        return Some(blocker(at, Reason::RosterDisagrees, "it knows another member list than the others", None));
    }
    if view.store.state == StoreState::Refused {
        let why = view.store.lagging.clone().unwrap_or_default();
        return Some(blocker(at, Reason::StoreRefused, format!("its store refused: {why}"), None));
    }
    let (free, needed) = (view.store.free_bytes, view.store.live_bytes);
    if free < needed {
        let message = format!("{} MiB are free on its volume and a seal may need {} MiB", free >> 20, needed >> 20);
        return Some(blocker(at, Reason::NoRoom, message, None));
    }
    None
}

fn volume_unfit(facts: &Facts, ordinal: u32) -> Option<Blocker> {
    let at = claim(facts, ordinal);
    match facts.kube.claims.get(&ordinal) {
        None => Some(blocker(at, Reason::ClaimMissing, "the claim does not exist", None)),
        Some(found) if found.deleting => {
            Some(blocker(at, Reason::ClaimDeleting, "the claim is being deleted: it goes when its pod ends", None))
        }
        Some(found) if !found.bound => {
            Some(blocker(at, Reason::ClaimMissing, "the claim is not bound to a volume", None))
        }
        Some(_) => None,
    }
}

fn state_forbids(facts: &Facts, machine: &ClusterView) -> Option<Blocker> {
    if let Some(open) =
        machine.operation.as_ref().filter(|op| !matches!(op.step, OperationStep::Opened | OperationStep::Aborted))
    {
        let message = format!("operation {} holds the cluster ({:?})", open.id, open.step);
        return Some(blocker(this(facts), Reason::ClusterStateForbids, message, None));
    }
    let permitted = matches!(
        machine.state,
        ClusterStateView::Active | ClusterStateView::NoMigration | ClusterStateView::Frozen | ClusterStateView::Passive
    );
    (!permitted).then(|| {
        blocker(this(facts), Reason::ClusterStateForbids, format!("the cluster state is {:?}", machine.state), None)
    })
}

fn not_backed_up(facts: &Facts, machine: &ClusterView) -> Option<Blocker> {
    let parts = &machine.partitions;
    if parts.absent == 0 && parts.migrating == 0 && parts.fully_backed == parts.count {
        return None;
    }
    let message = format!(
        "{} of {} partitions have all their copies, {} have none, {} copies are under way",
        parts.fully_backed, parts.count, parts.absent, parts.migrating
    );
    Some(blocker(this(facts), Reason::NotBackedUp, message, None))
}

/// Jobs without guarantee that nobody gave up, or any job where nothing is kept.
fn lossy_jobs(facts: &Facts, machine: &ClusterView) -> Vec<Blocker> {
    let accepted = &facts.cluster.spec.maintenance.accept_job_loss;
    let lossless = facts.cluster.spec.lossless_restart;
    let lossy =
        machine.jobs.iter().filter(|job| !jobs::ended(job.status) && (!lossless || job.guarantee == Guarantee::None));
    lossy
        .map(|job| (job, format!("{}@{}", job.name, job.id)))
        .filter(|(_, entry)| !accepted.contains(entry))
        .map(|(job, entry)| {
            let (reason, why) = if lossless {
                (Reason::JobWithoutGuarantee, "it has no guarantee and would lose its state")
            } else {
                (Reason::LosslessOff, "losslessRestart is off and it would lose its state")
            };
            let message = format!("{why}; cancel it, or list {entry} in spec.maintenance.acceptJobLoss");
            blocker(format!("job/{}", job.name), reason, message, None)
        })
        .collect()
}

/// Names of the jobs whose loss was accepted, as they are now.
pub fn accepted_losses(facts: &Facts) -> Vec<String> {
    let accepted = &facts.cluster.spec.maintenance.accept_job_loss;
    let jobs = facts.machine().map(|m| m.jobs.as_slice()).unwrap_or_default();
    jobs.iter()
        .filter(|job| accepted.contains(&format!("{}@{}", job.name, job.id)))
        .map(|job| job.name.clone())
        .collect()
}

/// Against letting others evict a member.
pub fn why_not_evict(facts: &Facts) -> Vec<Blocker> {
    let Some(machine) = facts.machine() else {
        return not_formed(facts);
    };
    let mut against = absentees(facts);
    against.extend(state_forbids(facts, machine));
    against.extend(not_backed_up(facts, machine));
    against
}

/// Against Commit (step 6): every member itself shows the seal that the machine recorded of it.
pub fn why_not_commit(facts: &Facts, operation: &OperationView) -> Vec<Blocker> {
    let Some(machine) = facts.machine() else {
        return not_formed(facts);
    };
    let against = |ordinal, why: String| Some(blocker(pod(facts, ordinal), Reason::SealDiffers, why, None));
    machine
        .roster
        .iter()
        .filter_map(|member| {
            if let Some(unfit) = volume_unfit(facts, member.ordinal) {
                return Some(unfit);
            }
            let Some(view) = facts.view(member.ordinal) else {
                return Some(absentee(facts, member.ordinal));
            };
            match recorded_seal(operation, view) {
                Ok(()) => None,
                Err(why) => against(member.ordinal, why),
            }
        })
        .collect()
}

/// Members whose store says why it is not at what their RAM holds, and so cannot seal.
pub fn hindered_seals(facts: &Facts, operation: &OperationView) -> Vec<Blocker> {
    let unsealed = facts.views().filter(|(_, view)| !operation.seals.iter().any(|seal| seal.member == view.uuid));
    unsealed
        .filter_map(|(ordinal, view)| {
            let why = view.store.lagging.as_ref()?;
            let message = format!("its store cannot be sealed: {why}");
            Some(blocker(claim(facts, ordinal), Reason::StoreRefused, message, None))
        })
        .collect()
}

fn recorded_seal(operation: &OperationView, view: &MemberView) -> Result<(), String> {
    let recorded = operation.seals.iter().find(|seal| seal.member == view.uuid);
    let recorded = recorded.ok_or("the machine has no seal of it")?;
    let own = view.store.seal.as_ref().ok_or("it shows no seal")?;
    let quiesced = operation.quiesced.as_ref().ok_or("the operation has no Quiesced")?;
    if own.operation != operation.id || own.attempt != operation.attempt {
        return Err(format!("its seal is of operation {} attempt {}", own.operation, own.attempt));
    }
    if own.digest != recorded.seal.digest || own.content_digest != recorded.seal.content_digest {
        return Err(format!("its seal's digest is {}, the recorded one {}", own.digest, recorded.seal.digest));
    }
    if own.quiesced_index != quiesced.index {
        return Err(format!("it sealed index {}, Quiesced is at {}", own.quiesced_index, quiesced.index));
    }
    Ok(())
}

/// Against replicas 0: a claim that would go with its pod, a member that shows something else than its seal.
pub fn why_not_scale_down(facts: &Facts, record: &SealRecord) -> Vec<Blocker> {
    record
        .members
        .iter()
        .filter_map(|entry| {
            if let Some(unfit) = volume_unfit(facts, entry.ordinal) {
                return Some(unfit);
            }
            let view = facts.view(entry.ordinal)?;
            let why = seals::why_not_sealed_store(record, entry, view)
                .filter(|_| view.store.seal.as_ref().is_none_or(|s| s.verified))?;
            Some(blocker(pod(facts, entry.ordinal), Reason::SealDiffers, why, None))
        })
        .collect()
}

/// Against scaling up (step 10): each claim is the recorded one or adopted.
pub fn why_not_return(facts: &Facts, requests: &Requests, record: &SealRecord) -> Vec<Blocker> {
    let adopt = adopt_digest(facts, record);
    let adopted = adopt.is_some() && requests.adopt == adopt;
    record
        .members
        .iter()
        .filter_map(|entry| {
            let at = claim(facts, entry.ordinal);
            let Some(found) = facts.kube.claims.get(&entry.ordinal) else {
                let message = format!(
                    "the claim is gone; volume {} held member {}'s sealed store: bind it again under this name",
                    entry.volume, entry.ordinal
                );
                return Some(blocker(
                    at,
                    Reason::ClaimMissing,
                    message,
                    Some(format!("kubectl get pv {}", entry.volume)),
                ));
            };
            if found.deleting {
                return Some(blocker(
                    at,
                    Reason::ClaimDeleting,
                    "the claim is being deleted and cannot be used again",
                    None,
                ));
            }
            let replaced = !entry.claim_uid.is_empty() && found.uid != entry.claim_uid;
            if !replaced || adopted {
                return None;
            }
            let digest = adopt.clone().unwrap_or_default();
            let message =
                "the claim is not the recorded one; if it is a restored copy and no other copy runs, adopt it";
            let command =
                format!("kubectl annotate jetcluster {} {}={digest} --overwrite", facts.name(), keys::ADOPT_VOLUMES);
            Some(blocker(at, Reason::VolumeReplaced, message, Some(command)))
        })
        .collect()
}

/// Digest of the replaced claims' uids; `None`: none is replaced.
pub fn adopt_digest(facts: &Facts, record: &SealRecord) -> Option<String> {
    let replaced = replaced_claims(facts, record);
    let text = replaced.iter().map(|(ordinal, uid)| format!("{ordinal}:{uid};")).collect::<String>();
    (!replaced.is_empty()).then(|| blake3::hash(text.as_bytes()).to_hex()[..16].to_string())
}

/// Claims whose uid is not the recorded one.
pub fn replaced_claims(facts: &Facts, record: &SealRecord) -> Vec<(u32, String)> {
    record
        .members
        .iter()
        .filter_map(|entry| Some((entry, facts.kube.claims.get(&entry.ordinal)?)))
        .filter(|(entry, found)| !entry.claim_uid.is_empty() && found.uid != entry.claim_uid)
        .map(|(entry, found)| (entry.ordinal, found.uid.clone()))
        .collect()
}

/// Against activation (step 12): exactly the recorded roster, each on its own sealed and verified store.
pub fn why_not_activate(facts: &Facts, record: &SealRecord) -> Vec<Blocker> {
    let mut against: Vec<Blocker> = record
        .members
        .iter()
        .filter_map(|entry| {
            let Some(view) = facts.view(entry.ordinal) else {
                return Some(absentee(facts, entry.ordinal));
            };
            if view.phase == MemberPhase::NoStore {
                return Some(blocker(
                    pod(facts, entry.ordinal),
                    Reason::NoStore,
                    "its volume is blank and its sealed store is somewhere else",
                    None,
                ));
            }
            if view.phase != MemberPhase::WaitingForActivate {
                return Some(absentee(facts, entry.ordinal));
            }
            let why = seals::why_not_sealed_store(record, entry, view)?;
            Some(blocker(pod(facts, entry.ordinal), Reason::ForeignStore, why, None))
        })
        .collect();
    if against.is_empty() && facts.machine().is_none_or(|m| m.roster_digest != record.roster_digest) {
        against.push(blocker(this(facts), Reason::RosterDisagrees, "the members' list is not the sealed one", None));
    }
    against
}

/// Against releasing a sealed cluster.
pub fn why_not_delete(facts: &Facts, record: &SealRecord) -> Vec<Blocker> {
    facts
        .kube
        .pods
        .keys()
        .map(|ordinal| {
            blocker(pod(facts, *ordinal), Reason::Stopping, format!("it still runs on seal {}", record.sequence), None)
        })
        .collect()
}

/// Members of the roster that are not there and serving, each with its first broken link.
pub fn absentees(facts: &Facts) -> Vec<Blocker> {
    let roster: Vec<u32> = match (facts.machine(), facts.kube.evidence.roster()) {
        (Some(machine), _) => machine.roster.iter().map(|m| m.ordinal).collect(),
        (None, Some(kept)) => kept.record.members.iter().map(|m| m.ordinal).collect(),
        (None, None) => Vec::new(),
    };
    let serving = |ordinal: &u32| facts.view(*ordinal).is_some_and(|v| v.phase == MemberPhase::Serving);
    roster.into_iter().filter(|ordinal| !serving(ordinal)).map(|ordinal| absentee(facts, ordinal)).collect()
}

/// One sentence on who is missing.
pub fn incomplete_message(facts: &Facts) -> String {
    let absent = absentees(facts);
    let first = absent.first().map(|b| format!("{}: {}", b.object, b.message)).unwrap_or_default();
    let are = if absent.len() == 1 { "member is" } else { "members are" };
    format!("{} {are} not there; {first}", absent.len())
}
