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
use jet_hotstore::refounding::Refounding as Record;
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

/// Bytes of what is sent to a survivor: a frame takes little more.
const WHOLE_MOST: usize = 15 << 20;
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
    #[error(
        "incarnation {incarnation} was prepared here, and the others may have begun it without this member: ask here again with \
             the consent {consent}, and it begins it too"
    )]
    LeftBehind { incarnation: u64, consent: Digest },
    #[error("what a new incarnation begins with has {bytes} bytes; {WHOLE_MOST} can be sent to another member")]
    TooLarge { bytes: usize },
}

impl Node {
    /// The new incarnation that the members that are heard could begin, and what it would begin with.
    pub async fn would_refound(&self) -> Result<(Refounding, Whole), NotBegun> {
        if let Some(record) = self.left_behind().await {
            return Err(NotBegun::LeftBehind { incarnation: record.incarnation, consent: Digest(record.consent) });
        }
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
        let all = refounding::preview(survivors, &whole.machine, &whole.electing)?;
        // It was asked for later than the ends were.
        match all.furthest().is_some_and(|furthest| furthest.end == refounded::end(whole.last)) {
            true => Ok((all, whole)),
            false => Err(WhyNot::Changed { consent: all.digest() }.into()),
        }
    }

    /// Begins what is consented to, at every survivor; which incarnation. It is carried on when nobody waits for it any more.
    pub async fn refound(self: &Arc<Self>, consent: Digest) -> Result<u64, NotBegun> {
        let node = self.clone();
        let asked = tokio::spawn(async move { node.refound_in_turn(consent).await });
        asked.await.unwrap_or_else(|panic| Err(NotBegun::Disk { why: panic.to_string() }))
    }

    async fn refound_in_turn(self: &Arc<Self>, consent: Digest) -> Result<u64, NotBegun> {
        if let Some(record) = self.left_behind().await.filter(|record| record.consent == consent.0) {
            self.clone().go(consent).await?;
            return Ok(record.incarnation);
        }
        let (all, whole) = self.would_refound().await?;
        refounding::judge(&self.survives(), &all, &consent)?;
        let prepare = to_prepare(&all, whole, consent.clone())?;
        let peers = self.net().peers(Lane::Control);
        let mut others = Vec::new();
        for survivor in all.survivors.iter().filter(|survivor| survivor.member != self.me()) {
            let peer = peers.iter().find(|peer| peer.member == survivor.member.0);
            others.push(*peer.ok_or(NotBegun::NoAnswer { ordinal: survivor.ordinal })?);
        }
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

    /// What was prepared here before this process began, while its log has not changed, and none of those that it was
    /// prepared with is here: they may have begun.
    async fn left_behind(&self) -> Option<Record> {
        let keeper = self.keeper().clone();
        let (record, blob) = crate::host::blocking(move || keeper.store().refounding()).await.ok()?.ok()??;
        let beginning: Beginning = serde_json::from_slice(&blob).ok()?;
        let is_here = |peer: &Peer| beginning.survivors.iter().any(|survivor| survivor.member == MemberId(peer.member));
        let same_end = self.consensus().and_then(|consensus| consensus.end()).map(|end| (end.index, end.term));
        let behind = !record.goes
            && record.incarnation > u64::from(self.keeper().incarnation())
            && same_end == Some(record.end)
            && !self.keeper().has_written()
            && !self.net().peers(Lane::Control).iter().any(is_here);
        behind.then_some(record)
    }

    pub(super) async fn answer_refound(self: Arc<Self>, ask: RefoundAsk) -> RefoundAnswer {
        let done = match ask {
            RefoundAsk::What => return RefoundAnswer::Found(self.survives()),
            RefoundAsk::Whole => {
                let whole = self.consensus().and_then(|consensus| consensus.whole());
                return RefoundAnswer::Whole(whole.map(Box::new));
            }
            RefoundAsk::Prepare { all, consent, beginning } => self.prepare(&all, &consent, &beginning).await,
            RefoundAsk::Go { consent } => self.go(consent).await,
        };
        done.map_or_else(RefoundAnswer::Refused, |()| RefoundAnswer::Done)
    }

    fn survives(&self) -> Found {
        let (keeper, ordinal) = (self.keeper(), self.ordinal());
        if keeper.has_written() {
            return Found::TakesPart { ordinal };
        }
        let Some(founding) = keeper.founded().map(FoundingId) else { return Found::Blank };
        let Some(end) = self.consensus().and_then(|consensus| consensus.end()) else { return Found::NoLog { ordinal } };
        let (member, boot, incarnation, line) = (self.me(), self.boot(), keeper.incarnation(), keeper.log_line());
        let survivor = Survivor { ordinal, member, boot, founding, incarnation, line, end };
        Found::Waits { survivor, leader: self.followed_leader() }
    }

    async fn prepare(
        self: Arc<Self>,
        all: &Refounding,
        consent: &Digest,
        beginning: &Beginning,
    ) -> Result<(), NotBegun> {
        let _one = self.steps().lock().await;
        refounding::judge(&self.survives(), all, consent)?;
        tracing::warn!(%consent, incarnation = all.incarnation, "a new incarnation is prepared; until then no vote is given");
        self.begins_anew_in(GOES_WITHIN);
        self.stop().await;
        // As long as it voted, it may have been given another end.
        let now = self.survives();
        refounding::judge(&now, all, consent)?;
        let Found::Waits { survivor, .. } = now else {
            return Err(WhyNot::Changed { consent: consent.clone() }.into());
        };
        let record = Record {
            consent: consent.0.clone(),
            incarnation: u64::from(all.incarnation),
            line: line(consent, self.me()),
            end: (survivor.end.index, survivor.end.term),
            goes: false,
        };
        let blob = serde_json::to_vec(beginning).map_err(|e| NotBegun::Disk { why: e.to_string() })?;
        let keeper = self.keeper().clone();
        written(crate::host::blocking(move || keeper.store().prepare_refounding(&record, &blob)).await)
    }

    async fn go(self: Arc<Self>, consent: Digest) -> Result<(), NotBegun> {
        let _one = self.steps().lock().await;
        // Who was started again since it prepared may have been given another end, and goes only when it is asked itself.
        if !self.has_stopped() && self.left_behind().await.is_none() {
            return Err(WhyNot::Changed { consent }.into());
        }
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

fn to_prepare(all: &Refounding, whole: Whole, consent: Digest) -> Result<RefoundAsk, NotBegun> {
    let members = all.survivors.iter().map(|survivor| survivor.member);
    let lines: BTreeMap<MemberId, u64> = members.map(|member| (member, short(line(&consent, member)))).collect();
    let survivors: BTreeSet<Voter> =
        lines.iter().map(|(member, line)| Voter { member: *member, line: *line }).collect();
    let machine = refounding::begun(&whole.machine, all, &lines);
    let beginning = Beginning { last: whole.last, machine, survivors };
    let bytes = serde_json::to_vec(&beginning).map_or(usize::MAX, |json| json.len());
    if bytes > WHOLE_MOST {
        return Err(NotBegun::TooLarge { bytes });
    }
    Ok(RefoundAsk::Prepare { all: all.clone(), consent, beginning: Box::new(beginning) })
}

/// The same whoever brings the survivors together, so that two who do it under one consent make one beginning.
fn line(consent: &Digest, member: MemberId) -> Uuid {
    Uuid::new_v5(&member.0, consent.0.as_bytes())
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
    if store.identity().log_line != record.line {
        let end = store.consensus_log()?.last();
        if end != Some(record.end) {
            tracing::error!(?end, prepared = ?record.end, "the log has gone on since a new incarnation was prepared, which is not begun");
            return Ok(store.forget_refounding()?);
        }
    }
    store.begin_log_line(record.line)?;
    let me = Voter { member: keeper.member(), line: short(record.line) };
    refounded::begin(store.consensus_log()?, me, &beginning).map_err(failed)?;
    store.raise_incarnation(record.incarnation)?;
    store.forget_refounding()?;
    tracing::warn!(incarnation = record.incarnation, consent = %record.consent, "a new incarnation of the cluster begins");
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::path::Path;

    use jet_core::Machine;
    use jet_core::machine::Founding;
    use jet_hotstore::{Aftermath, Fault, LogEntry, SimulatedDisk};
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
        let mut log = keeper.consensus_log().unwrap();
        log.append(&[LogEntry { index: 1, term: 3, bytes: b"{}".to_vec() }]).unwrap();
        let record = Record { consent: "c".into(), incarnation: 2, line, end: log.last().unwrap(), goes: false };
        drop(log);
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

    #[test]
    fn a_log_that_has_gone_on_since_it_was_prepared_is_not_left() {
        let disk = about_to_begin(Uuid::from_u128(99));
        let keeper = open(&disk).unwrap();
        let mut log = keeper.consensus_log().unwrap();
        log.append(&[LogEntry { index: 2, term: 4, bytes: b"{}".to_vec() }]).unwrap();
        drop(log);
        let line = keeper.log_line();
        carry_out(&keeper).unwrap();
        assert_eq!((keeper.incarnation(), keeper.log_line()), (1, line));
        assert_eq!(keeper.consensus_log().unwrap().last(), Some((2, 4)));
        assert_eq!(keeper.store().refounding().unwrap(), None);
    }
}
