//! The port to the members' admin API.
//!
//! Law: a command whose answer did not arrive may have been done; the next pass sees it in the member's own words. Every
//! call is bounded. Must not know: steps, evidence.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use jet_admin_api::client::{CallError, MemberClient};
use jet_admin_api::founding::{FoundingPermit, PeerHint, PeersHint};
use jet_admin_api::identity::member_server_name;
use jet_admin_api::member::MemberView;
use jet_admin_api::operation::{Abort, Activate, BeginOperation, Commit, Freeze};
use jet_admin_api::stop_request::RequestAnswer;
use rustls::ClientConfig;

use crate::api::names::PORT_ADMIN;

/// A look at a member takes at most this long; a hung one is silent.
pub const LOOK_TIMEOUT: Duration = Duration::from_secs(2);
/// The same where the pod ends: when its network is gone nobody answers any more, and that the pod is gone must not be
/// seen later for it.
pub const GLANCE_TIMEOUT: Duration = Duration::from_millis(300);
/// Between two looks of a pass that waits for members only.
pub const MOMENT: Duration = Duration::from_millis(20);
/// A command takes at most this long; it may go on in the member after that.
pub const COMMAND_TIMEOUT: Duration = Duration::from_secs(10);

/// Where a member is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Door {
    /// Pod number; the certificate must name it.
    pub ordinal: u32,
    /// Address of its pod.
    pub host: String,
}

/// One command to one member.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Command {
    Found(FoundingPermit),
    Begin(BeginOperation),
    Freeze { operation: String, freeze: Freeze },
    Commit { operation: String, commit: Commit },
    Abort { operation: String, abort: Abort },
    Activate { operation: String, activate: Activate },
    Open { operation: String },
    AnswerRequest { asked: u64, answer: RequestAnswer },
}

impl Command {
    /// For logs and events.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Found(_) => "found",
            Self::Begin(_) => "begin",
            Self::Freeze { .. } => "freeze",
            Self::Commit { .. } => "commit",
            Self::Abort { .. } => "abort",
            Self::Activate { .. } => "activate",
            Self::Open { .. } => "open",
            Self::AnswerRequest { .. } => "answer request",
        }
    }
}

/// What the operator asks of members.
#[async_trait]
pub trait Members: Send + Sync {
    /// The member about itself.
    async fn look(&self, door: &Door) -> Result<MemberView, CallError>;
    /// The same, given up sooner: its pod ends.
    async fn glance(&self, door: &Door) -> Result<MemberView, CallError> {
        self.look(door).await
    }
    /// Carries out one command; answers what was done.
    async fn command(&self, door: &Door, command: &Command) -> Result<String, CallError>;
    /// Where peers may be found: a hint, not an effect.
    async fn hint(&self, door: &Door, peers: &[Door]);
    /// Lets [`MOMENT`] pass, between two looks of one pass.
    async fn moment(&self) {
        tokio::time::sleep(MOMENT).await;
    }
}

/// Members over mTLS.
pub struct Dialled {
    namespace: String,
    cluster: String,
    tls: Arc<ClientConfig>,
    port: i32,
}

impl Dialled {
    /// Members of one cluster.
    pub fn new(namespace: impl Into<String>, cluster: impl Into<String>, tls: Arc<ClientConfig>) -> Self {
        Self { namespace: namespace.into(), cluster: cluster.into(), tls, port: PORT_ADMIN }
    }

    fn client(&self, door: &Door, timeout: Duration) -> Result<MemberClient, CallError> {
        let host = if door.host.contains(':') { format!("[{}]", door.host) } else { door.host.clone() };
        let name = member_server_name(&self.namespace, &self.cluster, door.ordinal);
        Ok(MemberClient::new(format!("{host}:{}", self.port), &name, self.tls.clone())?.with_timeout(timeout))
    }
}

#[async_trait]
impl Members for Dialled {
    async fn look(&self, door: &Door) -> Result<MemberView, CallError> {
        self.client(door, LOOK_TIMEOUT)?.member().await
    }

    async fn glance(&self, door: &Door) -> Result<MemberView, CallError> {
        self.client(door, GLANCE_TIMEOUT)?.member().await
    }

    async fn command(&self, door: &Door, command: &Command) -> Result<String, CallError> {
        let client = self.client(door, COMMAND_TIMEOUT)?;
        let done = match command {
            Command::Found(permit) => {
                let promise = client.found(permit).await?;
                return Ok(format!("promised by {}", promise.member));
            }
            Command::Begin(begin) => client.begin(begin).await?,
            Command::Freeze { operation, freeze } => client.freeze(operation, freeze).await?,
            Command::Commit { operation, commit } => client.commit(operation, commit).await?,
            Command::Abort { operation, abort } => client.abort(operation, abort).await?,
            Command::Activate { operation, activate } => client.activate(operation, activate).await?,
            Command::Open { operation } => client.open(operation).await?,
            Command::AnswerRequest { asked, answer } => client.answer_request(*asked, answer).await?,
        };
        Ok(format!("{} at index {}", done.what, done.index))
    }

    async fn hint(&self, door: &Door, peers: &[Door]) {
        let hint =
            PeersHint { peers: peers.iter().map(|p| PeerHint { ordinal: p.ordinal, host: p.host.clone() }).collect() };
        if let Ok(client) = self.client(door, LOOK_TIMEOUT)
            && let Err(error) = client.peers(&hint).await
        {
            tracing::debug!(ordinal = door.ordinal, %error, "peers hint not taken");
        }
    }
}
