//! A blank member comes into a cluster that is founded, and a member that has left learns it.
//!
//! Law:
//! 1. Only who has promised nothing and belongs to no cluster asks to come in, with a permit: of the operator, that names the
//!    cluster and the number, or of its own member list, where nobody else gives permits. It asks until it learns of the cluster.
//! 2. Whoever is asked lets in by its own machine, and only whom its connection shows: number, identity and process.
//! 3. That this member has left is told by whoever has applied it, or by its own log. Its store says so before anything else
//!    happens with it, and this process takes part in nothing any more.
//!
//! Attacked: the log is begun before the store says whose it is, and the process ends in between: it asks again, is let in
//! already, and goes on with the log that it has. Who is forgotten by consensus before it has the entry by which it left is told
//! by the answers to its beats, and who is sent away before its log has begun by the answer to its asking. A number that is taken is refused by the machine, also where its holder is only away.
//!
//! Must not know: who should come.

use std::sync::Arc;

use jet_admin_api::founding::JoinPermit as OfOperator;
use jet_admin_api::refusal::{Code, Refusal};
use jet_core::{Command, Digest, LogIndex, Outcome};

use super::{Node, PROPOSAL, lock};
use crate::cluster::control::{Ask, JoinAsk, JoinPermit, Joined, words};
use crate::config::Founding as PermitSource;
use crate::net::{Lane, Peer};
use crate::ports::Cluster;

/// What this process knows of its own coming and going.
#[derive(Default)]
pub(super) struct Joins {
    /// The operator's permit.
    permit: Option<OfOperator>,
    /// Why it was not let in.
    waits: Option<String>,
    /// It has left, by this entry.
    left: Option<LogIndex>,
}

impl Node {
    /// Takes the operator's permit to join; it is asked for again after a restart.
    pub fn may_join(&self, permit: OfOperator) -> Result<(), Refusal> {
        let no = |why: String| Err(Refusal::new(Code::BadRequest, why));
        if permit.ordinal != self.ordinal {
            return no(format!("the permit is for number {}, this member is {}", permit.ordinal, self.ordinal));
        }
        match self.keeper.founded() {
            Some(own) if own != permit.founding_id => no(format!("this member belongs to cluster {own}")),
            Some(_) => Ok(()),
            None if self.keeper.promise().is_some() => no("this member has promised to found a cluster".into()),
            None => {
                lock(&self.joins).permit = Some(permit);
                Ok(())
            }
        }
    }

    /// Why it was not let in yet.
    pub fn join_waits(&self) -> Option<String> {
        lock(&self.joins).waits.clone()
    }

    /// This member has left, and its store says so.
    pub fn has_left(&self) -> bool {
        self.keeper.has_left()
    }

    /// The entry by which it has left, as it was told, where its own log does not tell.
    pub fn left_by(&self) -> Option<LogIndex> {
        lock(&self.joins).left
    }

    pub(super) fn told_left(&self, index: Option<LogIndex>) {
        if index.is_some() {
            lock(&self.joins).left = index;
        }
    }

    fn join_permit(&self) -> Option<JoinPermit> {
        // Let in it is for good; from there on it waits for the cluster's log.
        if self.keeper.founded().is_some() || self.keeper.promise().is_some() || self.consensus().is_some() {
            return None;
        }
        match self.permit_source {
            PermitSource::Operator => lock(&self.joins).permit.clone().map(JoinPermit::Operator),
            PermitSource::Configuration { members, .. } => {
                (self.ordinal < members).then_some(JoinPermit::Listed { members })
            }
        }
    }

    /// One round: whoever is there is asked, until one lets this member in.
    pub(super) async fn ask_to_join(self: &Arc<Self>) {
        let Some(permit) = self.join_permit() else { return };
        let ask = JoinAsk { member: self.founder(), opened: self.keeper.opened(), permit };
        let mut waits = None;
        for peer in self.net.peers(Lane::Control) {
            let Ok(ask) = words(&Ask::Join(ask.clone())) else { return };
            let answer = self.net.call(peer.member, Lane::Control, ask, PROPOSAL).await;
            match answer.ok().and_then(|answer| serde_json::from_slice::<Joined>(&answer).ok()) {
                Some(Joined::In) => {
                    if let Err(error) = self.start_consensus(None).await {
                        waits = Some(format!("its consensus log cannot be begun: {error}"));
                        break;
                    }
                    tracing::info!(by = %peer.member, "let into the cluster");
                    waits = None;
                    break;
                }
                Some(Joined::Left(index)) => {
                    self.told_left(Some(index));
                    break;
                }
                Some(Joined::Refused(why)) => waits = Some(format!("to be let in: member {}: {why}", peer.ordinal)),
                Some(Joined::NotFounded) | None => {}
            }
        }
        let mut joins = lock(&self.joins);
        if joins.waits != waits {
            if let Some(why) = &waits {
                tracing::info!(%why, "joining waits");
            }
            joins.waits = waits;
        }
    }

    pub(super) async fn let_in(self: Arc<Self>, from: Peer, ask: JoinAsk) -> Joined {
        let permit_digest = match self.judge_join(from, &ask) {
            Ok(digest) => digest,
            Err(judged) => return judged,
        };
        let JoinAsk { member, opened, .. } = ask;
        match Cluster::propose(self, Command::Admit { member, opened, permit_digest }).await {
            Ok(Outcome::Done { .. }) => Joined::In,
            Ok(Outcome::Refused(refused)) => Joined::Refused(refused.to_string()),
            Err(error) => Joined::Refused(error.to_string()),
        }
    }

    fn judge_join(&self, from: Peer, ask: &JoinAsk) -> Result<Digest, Joined> {
        let machine = self.machine.now();
        let Some(founding) = &machine.founding else { return Err(Joined::NotFounded) };
        let refused = |why: &str| Err(Joined::Refused(why.into()));
        let entry = &ask.member.entry;
        if (ask.member.member.0, entry.ordinal, entry.boot.0) != (from.member, from.ordinal, from.boot) {
            return refused("it asks for somebody else");
        }
        if let Some(left) = machine.membership.left.get(&ask.member.member) {
            return Err(Joined::Left(left.index));
        }
        match (&self.permit_source, &ask.permit) {
            (PermitSource::Operator, JoinPermit::Operator(permit)) => {
                if permit.founding_id != founding.id.0 || permit.ordinal != from.ordinal {
                    return refused(&format!(
                        "its permit is for number {} of cluster {}",
                        permit.ordinal, permit.founding_id
                    ));
                }
            }
            (PermitSource::Configuration { .. }, JoinPermit::Listed { members }) if from.ordinal < *members => {}
            (PermitSource::Operator, _) => return refused("only the operator permits, and has not"),
            (PermitSource::Configuration { .. }, _) => return refused("its member list does not have it"),
        }
        let permit = serde_json::to_vec(&ask.permit).map_err(|error| Joined::Refused(error.to_string()))?;
        Ok(blake3::hash(&permit).into())
    }
}
