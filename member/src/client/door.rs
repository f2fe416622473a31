//! Who a client is: its cluster, its version, its credentials.
//!
//! Law: nothing but an authentication is read of somebody unknown, one only, within [`AUTHENTICATING`] and the codec's
//! bounds before it; who is refused is told why and closed; wrong credentials are braked by address. A member that serves
//! nobody says that it does not serve now, so that a client tries another and comes back. Must not know: maps.

use std::net::SocketAddr;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use jet_protocol::error::ErrorCode;
use jet_protocol::frames::{Decoder, FrameError, Message};
use jet_protocol::message::client::{authentication, status};
use jet_protocol::message::{Body, put_answer, take};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tracing::error;
use uuid::Uuid;

use super::fault::Fault;
use super::views::{View, address};
use super::{SPOKEN, credentials};
use crate::config::Clients;
use crate::rest::brake::Brake;

/// Time from the first byte to the last of an authentication, and for its answer.
pub const AUTHENTICATING: Duration = Duration::from_secs(10);
/// The only one that there is.
const SERIALIZATION: i8 = 1;
/// Said with a refusal instead of a number.
const NONE: i32 = -1;
/// Longest name of a client in a log.
const LONGEST_NAME: usize = 64;

/// A client that is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// Its own id, for as long as the program lives.
    pub client: Uuid,
    /// Whose the locks are that it takes: of this id under this user.
    pub owner: Uuid,
    /// What it calls itself: type, version, name.
    pub name: String,
    /// The activation of the cluster that it was let into.
    pub cluster: Uuid,
    /// Our end of the connection: this member's address for it.
    pub own: SocketAddr,
    /// Its end.
    pub from: SocketAddr,
}

/// Why somebody is not let in.
#[derive(Debug, thiserror::Error)]
pub enum NotLetIn {
    /// [`AUTHENTICATING`].
    #[error("it did not say who it is within {AUTHENTICATING:?}")]
    Silent,
    /// It speaks something else.
    #[error("it does not speak the client protocol")]
    Stranger,
    /// It went away.
    #[error("it went away: {0}")]
    Gone(#[from] std::io::Error),
    /// What came is no message.
    #[error(transparent)]
    Frames(#[from] FrameError),
    /// It was told.
    #[error("{0}")]
    Told(String),
}

/// Judges who comes.
pub struct Door {
    cluster: String,
    clients: Clients,
    brake: Mutex<Brake>,
}

/// What a client is answered, and whether that lets it in.
enum Verdict {
    In(Box<(Session, authentication::Answer)>),
    Status(i8, String),
    Fault(Fault),
}

impl Door {
    /// Of a cluster.
    pub fn new(cluster: &str, clients: &Clients) -> Self {
        Self { cluster: cluster.to_owned(), clients: clients.clone(), brake: Mutex::default() }
    }

    /// Reads who it is, judges and answers.
    pub async fn let_in<S>(
        &self,
        stream: &mut S,
        decoder: &mut Decoder,
        (own, from): (SocketAddr, SocketAddr),
        member: Uuid,
        view: &View,
    ) -> Result<Session, NotLetIn>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let coming = tokio::time::timeout(AUTHENTICATING, first(stream, decoder));
        let message = coming.await.map_err(|_| NotLetIn::Silent)??;
        let verdict = self.judge(&message, (own, from), member, view).await;
        let mut out = BytesMut::new();
        let correlation = message.correlation();
        let written = match &verdict {
            Verdict::In(let_in) => put_answer(&let_in.1, correlation, &mut out),
            Verdict::Status(status, _) => put_answer(&refusal(*status), correlation, &mut out),
            Verdict::Fault(fault) => put_answer(&fault.answer(), correlation, &mut out),
        };
        written.map_err(|too_long| NotLetIn::Told(too_long.to_string()))?;
        tokio::time::timeout(AUTHENTICATING, stream.write_all(&out)).await.map_err(|_| NotLetIn::Silent)??;
        match verdict {
            Verdict::In(let_in) => {
                let (session, _) = *let_in;
                decoder.authenticated();
                Ok(session)
            }
            Verdict::Status(_, why) => Err(NotLetIn::Told(why)),
            Verdict::Fault(fault) => Err(NotLetIn::Told(fault.message)),
        }
    }

    async fn judge(
        &self,
        message: &Message,
        (own, from): (SocketAddr, SocketAddr),
        member: Uuid,
        view: &View,
    ) -> Verdict {
        if message.kind() != authentication::Request::KIND {
            let kind = message.kind();
            return Verdict::Fault(Fault::new(
                ErrorCode::Authentication,
                format!("a message of kind {kind:#08x} came before an authentication with name and password"),
            ));
        }
        let asked: authentication::Request = match take(message) {
            Ok(asked) => asked,
            Err(why) => return Verdict::Fault(Fault::new(ErrorCode::Serialization, why.to_string())),
        };
        if let Err(refused) = self.judge_words(&asked, from).await {
            return refused;
        }
        let Some(cluster) = view.cluster else {
            let why = "this member serves no client now: the cluster is being stopped, or comes back";
            return Verdict::Fault(Fault::new(ErrorCode::InstanceNotActive, why));
        };
        let client = asked.uuid.unwrap_or_else(Uuid::new_v4);
        let owner =
            owner(client, self.clients.credentials.as_ref().and(asked.username.as_ref()).map(|user| user.as_str()));
        let session = Session { client, owner, name: name(&asked), cluster, own, from };
        Verdict::In(Box::new((session, welcome(member, cluster, view, own))))
    }

    async fn judge_words(&self, asked: &authentication::Request, from: SocketAddr) -> Result<(), Verdict> {
        if asked.serialization_version != SERIALIZATION {
            let version = asked.serialization_version;
            let why = format!("it serializes by version {version}, this member by {SERIALIZATION}");
            return Err(Verdict::Status(status::SERIALIZATION_VERSION_MISMATCH, why));
        }
        Self::brakes(&self.brake(), from)?;
        let named = asked.cluster_name.as_str() == self.cluster;
        let wrong = || {
            let why = "cluster name, user or password is wrong".to_owned();
            Err(Verdict::Status(status::CREDENTIALS_FAILED, why))
        };
        let Some(path) = &self.clients.credentials else { return if named { Ok(()) } else { wrong() } };
        let known = credentials::read(path).await.map_err(|why| {
            error!(%why, "no client can be let in");
            let told = "the member cannot read its clients' credentials; its log says why";
            Verdict::Fault(Fault::new(ErrorCode::Authentication, told))
        })?;
        let user = asked.username.as_ref().map_or("", |user| user.as_str());
        let password = asked.password.as_ref().map_or("", |password| password.0.as_str());
        // Looked at again and counted in one piece with the judgement: of guesses that come at once none is judged for free.
        let mut brake = self.brake();
        Self::brakes(&brake, from)?;
        if named && known.has(user, password) {
            brake.right(from.ip());
            return Ok(());
        }
        brake.wrong(from.ip(), Instant::now());
        wrong()
    }

    fn brakes(brake: &Brake, from: SocketAddr) -> Result<(), Verdict> {
        let Some(wait) = brake.wait(from.ip(), Instant::now()) else { return Ok(()) };
        let why = format!("wrong too often from {}: nothing is judged for {wait:?}", from.ip());
        Err(Verdict::Fault(Fault::new(ErrorCode::Authentication, why)))
    }

    fn brake(&self) -> std::sync::MutexGuard<'_, Brake> {
        self.brake.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// Whose a client's locks are: with credentials nobody of another user can take them for its own, at whichever member, by
/// saying the id of a client of this one.
fn owner(client: Uuid, user: Option<&str>) -> Uuid {
    user.map_or(client, |user| Uuid::new_v5(&client, user.as_bytes()))
}

/// The first message.
async fn first<S: AsyncRead + Unpin>(stream: &mut S, decoder: &mut Decoder) -> Result<Message, NotLetIn> {
    loop {
        if let Some(message) = decoder.next_message()? {
            return Ok(message);
        }
        if stream.read_buf(decoder.space()).await? == 0 {
            return Err(NotLetIn::Gone(std::io::ErrorKind::UnexpectedEof.into()));
        }
    }
}

fn name(asked: &authentication::Request) -> String {
    let whole = format!("{} {} {}", asked.client_type, asked.client_version, asked.client_name);
    whole.chars().filter(|c| !c.is_control()).take(LONGEST_NAME).collect()
}

fn server_version() -> String {
    let (major, minor, patch) = SPOKEN;
    format!("{major}.{minor}.{patch}")
}

/// With all that a view tells: Java's client waits for no other before it asks.
fn welcome(member: Uuid, cluster: Uuid, view: &View, own: SocketAddr) -> authentication::Answer {
    let (members, owners) = (view.members(own), view.partitions());
    authentication::Answer {
        status: status::AUTHENTICATED,
        member: Some(member),
        serialization_version: SERIALIZATION,
        partition_count: view.partitions,
        cluster,
        failover_supported: false,
        address: Some(address(own)),
        member_list_version: Some(members.version),
        partition_list_version: Some(owners.version),
        tpc_ports: Some(None),
        tpc_token: Some(None),
        members: Some(members.members),
        partitions: Some(owners.partitions),
        key_value_pairs: Some(Vec::new()),
        ..refusal(status::AUTHENTICATED)
    }
}

/// As a real member's: nothing is told to who is refused.
fn refusal(status: i8) -> authentication::Answer {
    authentication::Answer {
        status,
        member: None,
        serialization_version: NONE as i8,
        partition_count: NONE,
        cluster: Uuid::nil(),
        failover_supported: false,
        address: None,
        server_version: server_version().as_str().into(),
        member_list_version: None,
        partition_list_version: None,
        tpc_ports: None,
        tpc_token: None,
        members: None,
        partitions: None,
        key_value_pairs: None,
    }
}

#[cfg(test)]
mod tests {
    use jet_protocol::fields::Secret;

    use super::*;
    use crate::rest::brake::FREE;

    fn asked(password: &str) -> authentication::Request {
        authentication::Request {
            uuid: Some(Uuid::from_u128(7)),
            serialization_version: SERIALIZATION,
            cluster_name: "orders".into(),
            username: Some("ann".into()),
            password: Some(Secret(password.into())),
            client_type: "TST".into(),
            client_version: "1".into(),
            client_name: "test".into(),
            labels: Vec::new(),
            routing_mode: None,
            cp_direct_to_leader: None,
        }
    }

    #[tokio::test]
    async fn of_guesses_that_come_at_once_no_more_are_judged_than_of_those_that_come_one_by_one() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("clients");
        std::fs::write(&path, "ann:secret\n").unwrap();
        let door =
            Door::new("orders", &Clients { port: 1, credentials: Some(path), gone_after: Duration::from_secs(5) });
        let from = SocketAddr::from(([10, 0, 0, 7], 1));
        let guess = asked("guess");
        let guesses = futures::future::join_all((0..200).map(|_| door.judge_words(&guess, from))).await;
        let judged = guesses.iter().filter(|verdict| matches!(verdict, Err(Verdict::Status(..)))).count();
        assert_eq!(judged, FREE as usize);
        let neighbour = SocketAddr::from(([10, 0, 0, 8], 1));
        assert!(door.judge_words(&asked("secret"), neighbour).await.is_ok());
    }

    #[test]
    fn the_locks_of_a_client_are_those_of_its_user() {
        let id = Uuid::from_u128(7);
        assert_eq!(owner(id, None), id, "without credentials there are no users");
        let of = |user| owner(id, Some(user));
        assert!(of("ann") == of("ann") && of("ann") != of("bob") && of("ann") != id);
        assert_ne!(of("ann"), owner(Uuid::from_u128(8), Some("ann")));
    }
}
