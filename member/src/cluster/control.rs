//! The control lane: what one member asks of another beside data.
//!
//! Law: every question is one JSON word; a question that cannot be answered gets an empty answer, which the asker reads
//! as "no answer". Must not know: how answers are found.

use bytes::Bytes;
use futures::future::BoxFuture;
use jet_admin_api::founding::FoundingPermit;
use jet_core::roster::Founder;
use jet_core::{Command, Generation, LogIndex, Outcome};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

use super::consensus::letter::Letter;
use super::giving_up::{GiveUpAnswer, GiveUpAsk};
use super::presence::{Beat, BeatAnswer};
use super::refounding::{RefoundAnswer, RefoundAsk};
use crate::backup::{BackupAnswer, BackupAsk};
use crate::net::{Handler, Peer};

/// A question.
#[derive(Serialize, Deserialize)]
pub enum Ask {
    /// Of consensus.
    Consensus(Letter),
    /// I am here.
    Beat(Beat),
    /// You lead: write this.
    Propose(Command),
    /// Have you promised this permit? (In a configured founding: promise it.)
    Promise(FoundingPermit),
    /// I am blank: let me in.
    Join(JoinAsk),
    /// A step of a hot backup.
    Backup(BackupAsk),
    /// A step of a forced start.
    GiveUp(GiveUpAsk),
    /// A step to a new incarnation.
    Refound(Box<RefoundAsk>),
}

/// Answer to `Propose`.
#[derive(Serialize, Deserialize)]
pub enum Proposed {
    /// What the machine answered.
    Outcome(Outcome),
    /// Not the leader; nothing was done.
    NotLeader,
    /// It may have been done.
    Unknown(String),
}

/// A blank member that wants to come in.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct JoinAsk {
    /// Who, under which number.
    pub member: Founder,
    /// Highest generation that its store has opened.
    pub opened: Generation,
    /// By which permit.
    pub permit: JoinPermit,
}

/// By what a blank member is let in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum JoinPermit {
    /// The operator's: into this cluster, under this number.
    Operator(jet_admin_api::founding::JoinPermit),
    /// It is one of so many members in its own list.
    Listed {
        /// So many.
        members: u32,
    },
}

/// Answer to `Join`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Joined {
    /// It is in the roster.
    In,
    /// There is no cluster here to come into.
    NotFounded,
    /// It was in it, and has left by this entry.
    Left(LogIndex),
    /// Why it is not let in.
    Refused(String),
}

/// Answer to `Promise`.
pub type Promised = Result<Founder, String>;

/// Who answers.
pub trait Answers: Send + Sync + 'static {
    /// Of consensus; `None`: meant for somebody else.
    fn letter(self: Arc<Self>, letter: Letter) -> BoxFuture<'static, Option<Vec<u8>>>;
    /// A beat of a peer. Waits for nothing.
    fn beat(&self, from: Peer, beat: Beat) -> BeatAnswer;
    /// A proposal.
    fn propose(self: Arc<Self>, command: Command) -> BoxFuture<'static, Proposed>;
    /// A question about the promise.
    fn promise(self: Arc<Self>, from: Peer, permit: FoundingPermit) -> BoxFuture<'static, Promised>;
    /// A blank member wants to come in.
    fn join(self: Arc<Self>, from: Peer, ask: JoinAsk) -> BoxFuture<'static, Joined>;
    /// A step of a hot backup.
    fn backup(self: Arc<Self>, ask: BackupAsk) -> BoxFuture<'static, BackupAnswer>;
    /// A step of a forced start.
    fn give_up(self: Arc<Self>, ask: GiveUpAsk) -> BoxFuture<'static, GiveUpAnswer>;
    /// A step to a new incarnation.
    fn refound(self: Arc<Self>, ask: RefoundAsk) -> BoxFuture<'static, RefoundAnswer>;
}

/// The handler of the control lane.
pub struct Control<A>(pub Arc<A>);

impl<A: Answers> Handler for Control<A> {
    fn handle(&self, from: Peer, request: Bytes) -> BoxFuture<'static, Bytes> {
        let answers = self.0.clone();
        Box::pin(async move {
            let answer = match serde_json::from_slice(&request) {
                Ok(Ask::Consensus(letter)) => return answers.letter(letter).await.map(Bytes::from).unwrap_or_default(),
                Ok(Ask::Beat(beat)) => serde_json::to_vec(&answers.beat(from, beat)),
                Ok(Ask::Propose(command)) => serde_json::to_vec(&answers.propose(command).await),
                Ok(Ask::Promise(permit)) => serde_json::to_vec(&answers.promise(from, permit).await),
                Ok(Ask::Join(ask)) => serde_json::to_vec(&answers.join(from, ask).await),
                Ok(Ask::Backup(ask)) => serde_json::to_vec(&answers.backup(ask).await),
                Ok(Ask::GiveUp(ask)) => serde_json::to_vec(&answers.give_up(ask).await),
                Ok(Ask::Refound(ask)) => serde_json::to_vec(&answers.refound(*ask).await),
                Err(error) => {
                    tracing::warn!(member = %from.member, %error, "a question of a member cannot be understood");
                    return Bytes::new();
                }
            };
            answer.map(Bytes::from).unwrap_or_default()
        })
    }
}

/// Puts a question into bytes.
pub fn words(ask: &Ask) -> Result<Bytes, serde_json::Error> {
    serde_json::to_vec(ask).map(Bytes::from)
}

/// The envelope of consensus.
pub fn envelope(letter: Letter) -> Result<Bytes, serde_json::Error> {
    words(&Ask::Consensus(letter))
}
