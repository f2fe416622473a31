//! A forced start, carried out: what each member that is heard would give up, and then that each does.
//!
//! Law: the others first and this one last, and the first that refuses ends it: what was given up until then stays given up,
//! and asking again goes on with the rest. A mark is durable before it is told; the process ends a moment later, so that the
//! answer arrives. Must not know: who asks, what a person is told.

use std::sync::Arc;
use std::time::Duration;

use jet_core::giving_up::{self, Found, Gives, GivingUp, WhyNot};
use jet_core::{Digest, FoundingId};
use serde::{Deserialize, Serialize};

use super::Node;
use super::control::{Ask, words};
use crate::net::{Lane, Peer};
use crate::ports::Cluster;

/// Time for a member to answer.
const ANSWER: Duration = Duration::from_secs(5);
/// Between the mark and the end of the process.
const ANSWER_ARRIVES: Duration = Duration::from_secs(1);

/// What is asked of a member.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum GiveUpAsk {
    /// What have you?
    What,
    /// Give it up.
    Do {
        /// Everything that was consented to.
        all: GivingUp,
        /// The consent.
        consent: Digest,
    },
}

/// What it answers.
#[derive(Debug, Serialize, Deserialize)]
pub enum GiveUpAnswer {
    /// This.
    Found(Found),
    /// It is given up.
    Done,
    /// It is not.
    Refused(NotGivenUp),
}

/// Why a store was not given up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[allow(missing_docs)]
pub enum NotGivenUp {
    #[error(transparent)]
    Why(#[from] WhyNot),
    #[error("the mark could not be written: {why}; at the next start the store may be put aside all the same")]
    Mark { why: String },
    #[error("member {ordinal} gave no answer; it may have given up: look whether it begins anew, and ask again")]
    NoAnswer { ordinal: u32 },
}

impl Node {
    /// What a forced start would give up now.
    pub async fn would_give_up(&self) -> Result<GivingUp, WhyNot> {
        let mut found = vec![self.gives()];
        for peer in self.net().peers(Lane::Control) {
            found.push(match self.ask(peer, &GiveUpAsk::What).await {
                Some(GiveUpAnswer::Found(found)) => found,
                _ => Found::Silent { ordinal: peer.ordinal },
            });
        }
        let machine = self.machine();
        giving_up::preview(found, machine.roster.iter().map(|(member, entry)| (entry.ordinal, *member)).collect())
    }

    /// Gives up what is consented to, everywhere; the ordinals of who did, or why the first did not. It is carried on when
    /// nobody waits for it any more.
    pub async fn give_all_up(self: &Arc<Self>, consent: Digest) -> (Vec<u32>, Option<NotGivenUp>) {
        let node = self.clone();
        let asked = tokio::spawn(async move { node.give_up_in_turn(consent).await });
        asked.await.unwrap_or_else(|panic| (Vec::new(), Some(NotGivenUp::Mark { why: panic.to_string() })))
    }

    async fn give_up_in_turn(self: &Arc<Self>, consent: Digest) -> (Vec<u32>, Option<NotGivenUp>) {
        let all = match self.would_give_up().await {
            Ok(all) => all,
            Err(why) => return (Vec::new(), Some(why.into())),
        };
        if let Err(why) = giving_up::judge(&self.gives(), &all, &consent) {
            return (Vec::new(), Some(why.into()));
        }
        let mut given = Vec::new();
        let peers = self.net().peers(Lane::Control);
        let named = |peer: &Peer| all.gives.iter().any(|gives| gives.member.0 == peer.member);
        for gives in all.gives.iter().filter(|gives| gives.member != self.me()) {
            if peers.iter().all(|peer| peer.member != gives.member.0) {
                return (given, Some(NotGivenUp::NoAnswer { ordinal: gives.ordinal }));
            }
        }
        for peer in peers.into_iter().filter(named) {
            let ask = GiveUpAsk::Do { all: all.clone(), consent: consent.clone() };
            match self.ask(peer, &ask).await {
                Some(GiveUpAnswer::Done) => given.push(peer.ordinal),
                Some(GiveUpAnswer::Refused(why)) => return (given, Some(why)),
                _ => return (given, Some(NotGivenUp::NoAnswer { ordinal: peer.ordinal })),
            }
        }
        match self.clone().give_own_up(&all, consent).await {
            Ok(()) => given.push(self.ordinal()),
            Err(why) => return (given, Some(why)),
        }
        given.sort_unstable();
        (given, None)
    }

    pub(super) async fn answer_give_up(self: Arc<Self>, ask: GiveUpAsk) -> GiveUpAnswer {
        match ask {
            GiveUpAsk::What => GiveUpAnswer::Found(self.gives()),
            GiveUpAsk::Do { all, consent } => match self.give_own_up(&all, consent).await {
                Ok(()) => GiveUpAnswer::Done,
                Err(why) => GiveUpAnswer::Refused(why),
            },
        }
    }

    fn gives(&self) -> Found {
        let (keeper, ordinal) = (self.keeper(), self.ordinal());
        if keeper.has_written() {
            return Found::TakesPart { ordinal };
        }
        let founding = keeper.founded().map(FoundingId);
        Found::Waits(Gives { ordinal, member: self.me(), boot: self.boot(), founding, generation: keeper.opened() })
    }

    async fn give_own_up(self: Arc<Self>, all: &GivingUp, consent: Digest) -> Result<(), NotGivenUp> {
        giving_up::judge(&self.gives(), all, &consent)?;
        tracing::warn!(%consent, "this member gives its store up, and begins anew");
        let keeper = self.keeper().clone();
        let mark = |why: String| NotGivenUp::Mark { why };
        crate::host::blocking(move || keeper.give_up(&consent))
            .await
            .map_err(|panic| mark(panic.to_string()))?
            .map_err(|error| mark(error.to_string()))?;
        self.begins_anew_in(ANSWER_ARRIVES);
        Ok(())
    }

    async fn ask(&self, peer: Peer, ask: &GiveUpAsk) -> Option<GiveUpAnswer> {
        let ask = words(&Ask::GiveUp(ask.clone())).ok()?;
        let answer = self.net().call(peer.member, Lane::Control, ask, ANSWER).await.ok()?;
        serde_json::from_slice(&answer).ok()
    }
}
