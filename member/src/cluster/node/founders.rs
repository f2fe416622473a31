//! The promise of a founding, kept and brought together with the others'.
//!
//! Law: a promise is fsynced before it is told; what was promised is founded or refused by name, never changed. Must not
//! know: what is founded.

use std::sync::Arc;
use std::time::Duration;

use jet_admin_api::founding::{FoundingPermit, FoundingPromise};
use jet_admin_api::refusal::{Code, Refusal};
use jet_core::partition::assign::Candidate;
use jet_core::roster::{Founder, RosterEntry};
use jet_core::{Command, Digest, FoundingId, Outcome, voters};
use jet_hotstore::Founding;

use super::{Node, PROPOSAL, lock};
use crate::cluster::consensus::types::Voter;
use crate::cluster::control::{Ask, Promised, words};
use crate::cluster::founding::{self, Judgement};
use crate::config::Founding as PermitSource;
use crate::net::Lane;
/// Pause between two tries to bring the founders together.
const FOUNDING_PAUSE: Duration = Duration::from_millis(300);

impl Node {
    /// Takes a permit: promises it, and founds with the others if this is the lowest ordinal.
    pub async fn found(self: &Arc<Self>, permit: FoundingPermit) -> Result<FoundingPromise, Refusal> {
        let judged = self.judge(&permit)?;
        self.promise_and_start(&permit, &judged).await?;
        if judged != Judgement::Founded {
            *lock(&self.founding) = Some(permit.clone());
        }
        Ok(FoundingPromise {
            founding_id: permit.founding_id,
            permit_digest: founding::digest(&permit),
            member: self.me.0,
            founded: judged == Judgement::Founded,
        })
    }

    pub(super) fn judge(&self, permit: &FoundingPermit) -> Result<Judgement, Refusal> {
        let machine = self.machine.now();
        founding::judge(permit, self.ordinal, self.keeper.promise().as_ref(), self.keeper.founded().is_some(), &machine)
    }

    pub(super) async fn promise_and_start(
        self: &Arc<Self>,
        permit: &FoundingPermit,
        judged: &Judgement,
    ) -> Result<(), Refusal> {
        let failed =
            |e: &dyn std::fmt::Display| Refusal::new(Code::Internal, format!("the promise cannot be kept: {e}"));
        if *judged == Judgement::Promise {
            let promise = Founding { id: permit.founding_id, list_digest: founding::digest(permit) };
            let keeper = self.keeper.clone();
            crate::host::blocking(move || keeper.give_promise(&promise))
                .await
                .map_err(|e| failed(&e))?
                .map_err(|e| failed(&e))?;
            tracing::info!(founding_id = %permit.founding_id, ordinals = ?permit.ordinals, "promised to found");
        }
        self.start_consensus(None).await.map_err(|e| failed(&e))
    }

    pub(super) fn founder(&self) -> Founder {
        let entry = RosterEntry {
            ordinal: self.ordinal,
            boot: self.boot,
            volume_id: self.keeper.volume_id().to_owned(),
            log_line: self.keeper.log_line(),
        };
        Founder { member: self.me, entry }
    }

    /// The permit that the configuration gives, if it is this member that brings the others together.
    fn configured_permit(&self) -> Option<FoundingPermit> {
        let PermitSource::Configuration { members, partition_count, backup_count } = self.permit_source else {
            return None;
        };
        if self.ordinal != 0 || self.keeper.founded().is_some() {
            return None;
        }
        // A promise that was given before keeps its id: the same permit may be tried again, another may not.
        let founding_id =
            self.keeper.promise().map_or_else(|| self.keeper.store().disk().fresh(), |promise| promise.id);
        Some(FoundingPermit { founding_id, ordinals: (0..members).collect(), partition_count, backup_count })
    }

    pub(super) async fn found_for_ever(self: Arc<Self>) {
        if let Some(permit) = self.configured_permit()
            && let Err(refusal) = self.found(permit).await
        {
            tracing::error!(%refusal, "the configured founding is refused");
        }
        let mut machines = self.machines();
        loop {
            let _ = tokio::time::timeout(FOUNDING_PAUSE, machines.wait_for(|machine| machine.founding.is_some())).await;
            let machine = machines.borrow_and_update().clone();
            if let Some(founding) = &machine.founding {
                if self.keeper.founded() == Some(founding.id.0)
                    || self.remember_founded(founding.id.0, founding.incarnation).await
                {
                    return;
                }
                tokio::time::sleep(FOUNDING_PAUSE).await;
                continue;
            }
            self.ask_to_join().await;
            let permit = lock(&self.founding).clone();
            if let Some(permit) = permit.filter(|p| p.ordinals.iter().min() == Some(&self.ordinal)) {
                let waits = self.bring_together(&permit).await.err();
                let mut known = lock(&self.founding_waits);
                if let Some(why) = waits.as_ref().filter(|_| *known != waits) {
                    tracing::info!(%why, "founding waits");
                }
                *known = waits;
            }
        }
    }

    async fn remember_founded(&self, id: uuid::Uuid, incarnation: u32) -> bool {
        let keeper = self.keeper.clone();
        match crate::host::blocking(move || keeper.record_founded(id, incarnation)).await {
            Ok(Ok(())) => {
                tracing::info!(founding_id = %id, "founded");
                true
            }
            Ok(Err(error)) => {
                tracing::error!(%error, "the founding cannot be recorded in the store");
                false
            }
            Err(_) => false,
        }
    }

    async fn bring_together(&self, permit: &FoundingPermit) -> Result<(), String> {
        let mut members = vec![self.founder()];
        for ordinal in permit.ordinals.iter().filter(|o| **o != self.ordinal) {
            members.push(self.ask_promise(*ordinal, permit).await?);
        }
        members.sort_by_key(|founder| founder.entry.ordinal);
        let consensus = self.consensus().ok_or("consensus has not started")?;
        // The others learn: the leader leads to that, whoever it is.
        let candidates: Vec<_> = members.iter().map(|f| Candidate::plain(f.member, f.entry.ordinal)).collect();
        let first = voters::first(&candidates);
        let begin = members.iter().filter(|founder| first.contains(&founder.member));
        let begin = begin.map(|f| Voter { member: f.member, line: f.entry.log_line });
        consensus.initialise(begin).await.map_err(|e| e.to_string())?;
        let command = Command::Found {
            id: FoundingId(permit.founding_id),
            members,
            partition_count: permit.partition_count,
            backup_count: permit.backup_count,
            permit_digest: Digest(founding::digest(permit)),
        };
        match self.hand_to_leader(command).await {
            Ok(Outcome::Done { index, what }) => {
                tracing::info!(index, %what, "the cluster is founded");
                Ok(())
            }
            Ok(Outcome::Refused(refused)) => Err(refused.to_string()),
            Err(e) => Err(e.to_string()),
        }
    }

    async fn ask_promise(&self, ordinal: u32, permit: &FoundingPermit) -> Result<Founder, String> {
        let peers = self.net.peers(Lane::Control);
        let peer =
            peers.iter().find(|p| p.ordinal == ordinal).ok_or_else(|| format!("ordinal {ordinal} is not connected"))?;
        let ask = words(&Ask::Promise(permit.clone())).map_err(|e| e.to_string())?;
        let answer = self.net.call(peer.member, Lane::Control, ask, PROPOSAL).await.map_err(|e| e.to_string())?;
        let founder = serde_json::from_slice::<Promised>(&answer)
            .map_err(|e| e.to_string())?
            .map_err(|why| format!("ordinal {ordinal}: {why}"))?;
        match founder.member.0 == peer.member && founder.entry.ordinal == ordinal && founder.entry.boot.0 == peer.boot {
            true => Ok(founder),
            false => Err(format!("ordinal {ordinal} answers as somebody else")),
        }
    }
}
