//! What consensus says to another member, and openraft's network over the control lane.
//!
//! Law: the target is a member and its log line; whoever is at that member's connection and has another line refuses.
//! A call that got no answer is a failure after [`UNREACHED`], never a success. Must not know: addresses.

use std::time::Duration;

use bytes::Bytes;
use openraft::error::{InstallSnapshotError, NetworkError, RPCError, RaftError, RemoteError};
use openraft::network::{RPCOption, RaftNetwork, RaftNetworkFactory};
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, InstallSnapshotRequest, InstallSnapshotResponse, VoteRequest,
    VoteResponse,
};
use openraft::{EmptyNode, Raft};
use serde::de::DeserializeOwned;

use super::letter::{Body, Letter};
use super::types::{Types, Voter};
use crate::net::{Lane, Net};

/// Pause of a leader after a voter could not be reached. Without a connection nothing is sent and a try costs nothing; a
/// return waits for it when the leader is up before the others. It is waited for here: openraft's own pause, after what it
/// calls unreachable, chooses by chance between its end and an event, and then no history of a cluster repeats.
const UNREACHED: Duration = Duration::from_millis(25);

type Answered<T, E = openraft::error::Infallible> = Result<T, RaftError<Voter, E>>;

/// Answers a letter with the bytes of its typed answer.
pub async fn answer(raft: &Raft<Types>, body: Body) -> Result<Vec<u8>, serde_json::Error> {
    match body {
        Body::Append(request) => serde_json::to_vec(&raft.append_entries(request).await),
        Body::Vote(request) => serde_json::to_vec(&raft.vote(request).await),
        Body::Snapshot(request) => serde_json::to_vec(&raft.install_snapshot(request).await),
    }
}

/// Makes the way to each voter.
pub struct Post {
    /// The members' network.
    pub net: Net,
    /// Puts a letter into the envelope of the control lane.
    pub envelope: fn(Letter) -> Result<Bytes, serde_json::Error>,
}

/// The way to one voter.
pub struct Way {
    net: Net,
    to: Voter,
    envelope: fn(Letter) -> Result<Bytes, serde_json::Error>,
}

impl RaftNetworkFactory<Types> for Post {
    type Network = Way;

    async fn new_client(&mut self, target: Voter, _: &EmptyNode) -> Way {
        Way { net: self.net.clone(), to: target, envelope: self.envelope }
    }
}

type Rpc<E> = RPCError<Voter, EmptyNode, RaftError<Voter, E>>;

impl Way {
    async fn ask<T, E>(&self, body: Body, time: Duration) -> Result<T, Rpc<E>>
    where
        T: DeserializeOwned,
        E: std::error::Error + DeserializeOwned,
    {
        let lost = |e: &(dyn std::error::Error + 'static)| {
            RPCError::Network(NetworkError::new(&std::io::Error::other(e.to_string())))
        };
        let letter = (self.envelope)(Letter { to: self.to, body }).map_err(|e| lost(&e))?;
        let answer = match self.net.call(self.to.member.0, Lane::Control, letter, time).await {
            Ok(answer) => answer,
            Err(unanswered) => {
                tokio::time::sleep(UNREACHED).await;
                return Err(lost(&unanswered));
            }
        };
        let answered: Answered<T, E> = match serde_json::from_slice(&answer) {
            Ok(answered) => answered,
            // Nobody there answers for this voter yet, or not any more.
            Err(refused) => {
                tokio::time::sleep(UNREACHED).await;
                return Err(lost(&refused));
            }
        };
        answered.map_err(|e| RPCError::RemoteError(RemoteError::new(self.to, e)))
    }
}

impl RaftNetwork<Types> for Way {
    async fn append_entries(
        &mut self,
        request: AppendEntriesRequest<Types>,
        option: RPCOption,
    ) -> Result<AppendEntriesResponse<Voter>, RPCError<Voter, EmptyNode, RaftError<Voter>>> {
        self.ask(Body::Append(request), option.hard_ttl()).await
    }

    async fn install_snapshot(
        &mut self,
        request: InstallSnapshotRequest<Types>,
        option: RPCOption,
    ) -> Result<InstallSnapshotResponse<Voter>, RPCError<Voter, EmptyNode, RaftError<Voter, InstallSnapshotError>>>
    {
        self.ask(Body::Snapshot(request), option.hard_ttl()).await
    }

    async fn vote(
        &mut self,
        request: VoteRequest<Voter>,
        option: RPCOption,
    ) -> Result<VoteResponse<Voter>, RPCError<Voter, EmptyNode, RaftError<Voter>>> {
        self.ask(Body::Vote(request), option.hard_ttl()).await
    }
}
