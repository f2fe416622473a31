//! A new incarnation without a majority, carried out: each survivor prepares it, then each begins by it.
//!
//! Law: who has prepared gives no vote any more in this process, and begins anew in any case: by the new incarnation if it was
//! told to go, else as before. Nobody is told to go before all have prepared. Must not know: who asks, what a person is
//! told.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use jet_core::refounding::{self, Found, Refounding, Survivor, WhyNot};
use jet_core::{Digest, FoundingId, MemberId};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::Node;
use super::consensus::disk::DiskFailed;
use super::consensus::refounded::{self, Beginning, Whole};
use super::consensus::types::Voter;
use super::control::{Ask, words};
use crate::net::{Lane, Peer};
use crate::ports::Cluster;
use crate::store::{Keeper, KeeperError};

/// Time for a member to answer; it may have to stop voting, and to write the whole machine.
const ANSWER: Duration = Duration::from_secs(10);
/// Between the word to go and the end of the process.
const ANSWER_ARRIVES: Duration = Duration::from_secs(1);
/// Who has prepared and is not told to go begins anew as it was.
const GOES_WITHIN: Duration = Duration::from_secs(30);

/// What is asked of a member.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum RefoundAsk {
    /// What have you?
    What,
    /// What does your log tell?
    Whole,
    /// Prepare this.
    Prepare {
        /// Everything that was consented to.
        all: Refounding,
        /// The consent.
        consent: Digest,
        /// The line of each survivor's new log.
        lines: BTreeMap<MemberId, Uuid>,
        /// What all begin with.
        beginning: Box<Beginning>,
    },
    /// Begin.
    Go {
        /// The consent under which it was prepared.
        consent: Digest,
    },
}

/// What it answers.
#[derive(Debug, Serialize, Deserialize)]
pub enum RefoundAnswer {
    /// This.
    Found(Found),
    /// This, if it has a log.
    Whole(Option<Box<Whole>>),
    /// It is so.
    Done,
    /// It is not.
    Refused(NotBegun),
}

/// Why a new incarnation was not begun.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[allow(missing_docs)]
pub enum NotBegun {
    #[error(transparent)]
    Why(#[from] WhyNot),
    #[error("it could not be written: {why}")]
    Disk { why: String },
    #[error(
        "member {ordinal} gave no answer; nothing was begun, and who has prepared begins anew as it was within {GOES_WITHIN:?}"
    )]
    NoAnswer { ordinal: u32 },
    #[error(
        "member {ordinal} has prepared, and gave no answer to the word to go; the others begin. Ask it with the same consent"
    )]
    Behind { ordinal: u32 },
}

impl Node {
    /// The new incarnation that the members that are heard could begin, and what it would begin with.
    pub async fn would_refound(&self) -> Result<(Refounding, Whole), NotBegun> {
        let mut found = vec![self.survives()];
        let peers = self.net().peers(Lane::Control);
        for peer in &peers {
            found.push(match self.ask_survivor(*peer, &RefoundAsk::What).await {
                Some(RefoundAnswer::Found(found)) => found,
                _ => Found::Silent { ordinal: peer.ordinal },
            });
        }
        let survivors = refounding::survivors(found)?;
        let source = refounding::source(&survivors).ok_or(WhyNot::Nothing)?;
        let whole = match peers.iter().find(|peer| MemberId(peer.member) == source) {
            None => self.consensus().and_then(|consensus| consensus.whole()),
            Some(peer) => match self.ask_survivor(*peer, &RefoundAsk::Whole).await {
                Some(RefoundAnswer::Whole(whole)) => whole.map(|whole| *whole),
                _ => return Err(WhyNot::Silent { ordinal: peer.ordinal }.into()),
            },
        };
        let whole = whole.ok_or(WhyNot::Nothing)?;
        Ok((refounding::preview(survivors, &whole.machine)?, whole))
    }

    /// Begins what is consented to, at every survivor; which incarnation.
    pub async fn refound(self: &Arc<Self>, consent: Digest) -> Result<u64, NotBegun> {
        if let Some(incarnation) = self.is_behind(&consent).await {
            self.clone().go(consent).await?;
            return Ok(incarnation);
        }
        let (all, whole) = self.would_refound().await?;
        refounding::judge(&self.survives(), &all, &consent)?;
        let prepare = self.to_prepare(&all, whole, consent.clone());
        let others: Vec<Peer> = self.net().peers(Lane::Control);
        let others = others.into_iter().filter(|peer| all.survivors.iter().any(|s| s.member.0 == peer.member));
        let others: Vec<Peer> = others.collect();
        for peer in &others {
            match self.ask_survivor(*peer, &prepare).await {
                Some(RefoundAnswer::Done) => {}
                Some(RefoundAnswer::Refused(why)) => return Err(why),
                _ => return Err(NotBegun::NoAnswer { ordinal: peer.ordinal }),
            }
        }
        if let RefoundAnswer::Refused(why) = self.clone().answer_refound(prepare).await {
            return Err(why);
        }
        let mut behind = None;
        for peer in &others {
            let go = RefoundAsk::Go { consent: consent.clone() };
            if !matches!(self.ask_survivor(*peer, &go).await, Some(RefoundAnswer::Done)) {
                behind = Some(NotBegun::Behind { ordinal: peer.ordinal });
            }
        }
        self.clone().go(consent).await?;
        behind.map_or(Ok(u64::from(all.incarnation)), Err)
    }

    /// It was prepared here under this consent, and the word to go did not come.
    async fn is_behind(&self, consent: &Digest) -> Option<u64> {
        let keeper = self.keeper().clone();
        let prepared = crate::host::blocking(move || keeper.store().refounding()).await.ok()?.ok()??.0;
        let behind = prepared.consent == consent.0 && prepared.incarnation > u64::from(self.keeper().incarnation());
        behind.then_some(prepared.incarnation)
    }

    fn to_prepare(&self, all: &Refounding, whole: Whole, consent: Digest) -> RefoundAsk {
        let fresh = || self.keeper().store().disk().fresh();
        let lines: BTreeMap<MemberId, Uuid> = all.survivors.iter().map(|survivor| (survivor.member, fresh())).collect();
        let short: BTreeMap<MemberId, u64> = lines.iter().map(|(member, line)| (*member, short(*line))).collect();
        let survivors: BTreeSet<Voter> =
            short.iter().map(|(member, line)| Voter { member: *member, line: *line }).collect();
        let machine = refounding::begun(&whole.machine, all, &short);
        let beginning = Box::new(Beginning { last: whole.last, machine, survivors });
        RefoundAsk::Prepare { all: all.clone(), consent, lines, beginning }
    }

    pub(super) async fn answer_refound(self: Arc<Self>, ask: RefoundAsk) -> RefoundAnswer {
        let done = match ask {
            RefoundAsk::What => return RefoundAnswer::Found(self.survives()),
            RefoundAsk::Whole => {
                let whole = self.consensus().and_then(|consensus| consensus.whole());
                return RefoundAnswer::Whole(whole.map(Box::new));
            }
            RefoundAsk::Prepare { all, consent, lines, beginning } => {
                self.prepare(&all, &consent, &lines, &beginning).await
            }
            RefoundAsk::Go { consent } => self.go(consent).await,
        };
        done.map_or_else(RefoundAnswer::Refused, |()| RefoundAnswer::Done)
    }

    fn survives(&self) -> Found {
        let (keeper, ordinal) = (self.keeper(), self.ordinal());
        if keeper.has_written() {
            return Found::TakesPart { ordinal };
        }
        let end = self.consensus().and_then(|consensus| consensus.end());
        let (Some(founding), Some((term, last))) = (keeper.founded(), end) else { return Found::Blank };
        let (member, boot, founding) = (self.me(), self.boot(), FoundingId(founding));
        let survivor = Survivor { ordinal, member, boot, founding, incarnation: keeper.incarnation(), term, last };
        Found::Waits { survivor, leader: self.followed_leader() }
    }

    async fn prepare(
        self: Arc<Self>,
        all: &Refounding,
        consent: &Digest,
        lines: &BTreeMap<MemberId, Uuid>,
        beginning: &Beginning,
    ) -> Result<(), NotBegun> {
        refounding::judge(&self.survives(), all, consent)?;
        let changed = || WhyNot::Changed { consent: consent.clone() };
        let line = *lines.get(&self.me()).ok_or_else(changed)?;
        tracing::warn!(%consent, incarnation = all.incarnation, "a new incarnation is prepared; until then no vote is given");
        self.begins_anew_in(GOES_WITHIN);
        self.stop().await;
        if self.keeper().has_written() {
            return Err(WhyNot::TakesPart { ordinal: self.ordinal() }.into());
        }
        let record = jet_hotstore::refounding::Refounding {
            consent: consent.0.clone(),
            incarnation: u64::from(all.incarnation),
            line,
            goes: false,
        };
        let blob = serde_json::to_vec(beginning).map_err(|e| NotBegun::Disk { why: e.to_string() })?;
        let keeper = self.keeper().clone();
        written(crate::host::blocking(move || keeper.store().prepare_refounding(&record, &blob)).await)
    }

    async fn go(self: Arc<Self>, consent: Digest) -> Result<(), NotBegun> {
        tracing::warn!(%consent, "this member begins the new incarnation");
        let keeper = self.keeper().clone();
        written(crate::host::blocking(move || keeper.store().go_refounding(&consent.0)).await)?;
        self.begins_anew_in(ANSWER_ARRIVES);
        Ok(())
    }

    async fn ask_survivor(&self, peer: Peer, ask: &RefoundAsk) -> Option<RefoundAnswer> {
        let ask = words(&Ask::Refound(Box::new(ask.clone()))).ok()?;
        let answer = self.net().call(peer.member, Lane::Control, ask, ANSWER).await.ok()?;
        serde_json::from_slice(&answer).ok()
    }
}

fn written<P: ToString, E: ToString>(result: Result<Result<(), E>, P>) -> Result<(), NotBegun> {
    let why = match result {
        Ok(Ok(())) => return Ok(()),
        Ok(Err(error)) => error.to_string(),
        Err(panic) => panic.to_string(),
    };
    Err(NotBegun::Disk { why })
}

fn short(line: Uuid) -> u64 {
    line.as_u64_pair().0
}

/// Before a store's log is read: begins the incarnation that goes. If it is interrupted, the next start finishes it. Blocks.
pub fn carry_out(keeper: &Keeper) -> Result<(), KeeperError> {
    let store = keeper.store();
    let Some((record, blob)) = store.refounding()? else { return Ok(()) };
    if !record.goes || record.incarnation <= store.identity().incarnation {
        return Ok(());
    }
    let failed = |why: DiskFailed| KeeperError::NotBegun { incarnation: record.incarnation, why: why.to_string() };
    let beginning: Beginning = serde_json::from_slice(&blob).map_err(|e| failed(DiskFailed(e.to_string())))?;
    store.begin_log_line(record.line)?;
    let me = Voter { member: keeper.member(), line: short(record.line) };
    refounded::begin(store.consensus_log()?, me, &beginning).map_err(failed)?;
    store.raise_incarnation(record.incarnation)?;
    tracing::warn!(incarnation = record.incarnation, consent = %record.consent, "a new incarnation of the cluster begins");
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::path::Path;

    use jet_core::Machine;
    use jet_core::machine::Founding;
    use jet_hotstore::refounding::Refounding as Record;
    use jet_hotstore::{Aftermath, Fault, SimulatedDisk};
    use openraft::CommittedLeaderId;

    use super::super::consensus::types::LogId;
    use super::*;

    fn open(disk: &SimulatedDisk) -> Result<Keeper, KeeperError> {
        Keeper::open_on(Arc::new(disk.clone()), Path::new("/store"), None)
    }

    /// A member of incarnation 1 that goes into the next.
    fn about_to_begin(line: Uuid) -> SimulatedDisk {
        let disk = SimulatedDisk::new();
        let keeper = open(&disk).unwrap();
        keeper.record_founded(Uuid::from_u128(7), 1).unwrap();
        drop(keeper.consensus_log().unwrap());
        let me = Voter { member: keeper.member(), line: short(line) };
        let founding = Founding {
            id: FoundingId(Uuid::from_u128(7)),
            incarnation: 2,
            cluster_version: 1,
            partition_count: 1,
            backup_count: 0,
            permit_digest: Digest::default(),
        };
        let machine = Machine { founding: Some(founding), applied: 17, ..Machine::default() };
        let last = LogId::new(CommittedLeaderId::new(4, Voter::default()), 17);
        let beginning = Beginning { last, machine, survivors: BTreeSet::from([me]) };
        let record = Record { consent: "c".into(), incarnation: 2, line, goes: false };
        let store = keeper.store();
        store.prepare_refounding(&record, &serde_json::to_vec(&beginning).unwrap()).unwrap();
        carry_out(&keeper).unwrap();
        assert_eq!(keeper.incarnation(), 1, "what is prepared has no effect");
        assert!(store.go_refounding("another").is_err());
        store.go_refounding("c").unwrap();
        disk
    }

    #[test]
    fn crash_a_new_incarnation_is_begun_whole_however_often_it_is_interrupted() {
        let line = Uuid::from_u128(99);
        let begin = |disk: &SimulatedDisk| carry_out(&open(disk)?);
        let disk = about_to_begin(line);
        let before = disk.calls();
        begin(&disk).unwrap();
        for at in before + 1..=disk.calls() {
            let disk = about_to_begin(line);
            disk.fault_at(at, Fault::PowerCut);
            let _ = begin(&disk);
            disk.cut_power();
            for aftermath in Aftermath::ALL {
                let disk = disk.reboot(aftermath);
                let keeper = open(&disk).unwrap();
                carry_out(&keeper).unwrap();
                assert_eq!((keeper.incarnation(), keeper.log_line()), (2, short(line)), "cut at {at}, {aftermath:?}");
                let log = keeper.consensus_log().unwrap();
                assert_eq!(log.last(), Some((17, 4)), "cut at {at}, {aftermath:?}");
                let aside = |path: &Path| path.starts_with("/store/quarantine");
                assert!(disk.files().iter().any(|(path, _)| aside(path)), "the old log is kept");
            }
        }
    }
}
