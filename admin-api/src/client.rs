//! A typed client of one member's admin API.
//!
//! Law: an answer that did not arrive is [`CallError::Unknown`], never "failed": the member may have done it, and
//! the caller asks again by the same operation id. Time and body size are bounded. Must not know: retries, DNS.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request};
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::backup::{BackupView, TakeBackup};
use crate::cluster::ClusterView;
use crate::founding::{FoundingPermit, FoundingPromise, JoinPermit, PeersHint};
use crate::handshake;
use crate::job::{JobView, SubmitJob};
use crate::map::{Entry, SqlQuery, SqlRows};
use crate::member::MemberView;
use crate::operation::{Abort, Activate, BeginOperation, Commit, Done, Freeze};
use crate::refusal::Refusal;
use crate::rest::form::encode;
use crate::stop_request::RequestAnswer;

/// Longest answer taken.
pub const ANSWER_LIMIT: usize = 64 << 20;

/// Time for one call, connection included, unless the client is given another.
pub const CALL_TIMEOUT: Duration = Duration::from_secs(5);

/// What to look at when nobody is there.
const LISTENS: &str = "does a member listen there with its admin API?";

/// Why a call has no answer to use.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// Nothing was sent: no connection, or the handshake was refused.
    #[error("cannot reach {address}: {reason}")]
    NotSent {
        /// Who was called.
        address: String,
        /// Why.
        reason: String,
    },
    /// It was sent and no usable answer came: whether it was done is not known.
    #[error("no answer from {address}: {reason}; whether it was done is not known")]
    Unknown {
        /// Who was called.
        address: String,
        /// Why.
        reason: String,
    },
    /// The member refused; nothing was changed.
    #[error("{0}")]
    Refused(#[from] Refusal),
}

type Driver = tokio::task::JoinHandle<Result<(), hyper::Error>>;

/// One member's admin API.
#[derive(Clone)]
pub struct MemberClient {
    address: String,
    server_name: ServerName<'static>,
    tls: Arc<ClientConfig>,
    timeout: Duration,
}

impl MemberClient {
    /// `address` is `host:port`; `server_name` one of `identity::{member_server_name, any_member_server_name}`.
    pub fn new(address: impl Into<String>, server_name: &str, tls: Arc<ClientConfig>) -> Result<Self, CallError> {
        let address = address.into();
        let server_name = ServerName::try_from(server_name.to_owned())
            .map_err(|e| CallError::NotSent { address: address.clone(), reason: e.to_string() })?;
        Ok(Self { address, server_name, tls, timeout: CALL_TIMEOUT })
    }

    /// The same client with another time for a call.
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Who is called.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The member about itself.
    pub async fn member(&self) -> Result<MemberView, CallError> {
        self.call(Method::GET, "/v1/member", &()).await
    }

    /// The committed cluster as this member knows it.
    pub async fn cluster(&self) -> Result<ClusterView, CallError> {
        self.call(Method::GET, "/v1/cluster", &()).await
    }

    /// Founding permit.
    pub async fn found(&self, permit: &FoundingPermit) -> Result<FoundingPromise, CallError> {
        self.call(Method::POST, "/v1/found", permit).await
    }

    /// Permit to come into a cluster that is founded.
    pub async fn join(&self, permit: &JoinPermit) -> Result<(), CallError> {
        self.call(Method::POST, "/v1/join", permit).await
    }

    /// A member is to leave the cluster, when what lies with it lies with others.
    pub async fn leave(&self, ordinal: u32) -> Result<Done, CallError> {
        self.call(Method::POST, &format!("/v1/members/{ordinal}/leave"), &()).await
    }

    /// Hints where peers are; answers how many were kept.
    pub async fn peers(&self, hint: &PeersHint) -> Result<u32, CallError> {
        self.call(Method::POST, "/v1/peers", hint).await
    }

    /// Step 3.
    pub async fn begin(&self, begin: &BeginOperation) -> Result<Done, CallError> {
        self.call(Method::POST, "/v1/operations", begin).await
    }

    /// Step 5.
    pub async fn freeze(&self, id: &str, freeze: &Freeze) -> Result<Done, CallError> {
        self.call(Method::POST, &format!("/v1/operations/{id}/freeze"), freeze).await
    }

    /// Step 7.
    pub async fn commit(&self, id: &str, commit: &Commit) -> Result<Done, CallError> {
        self.call(Method::POST, &format!("/v1/operations/{id}/commit"), commit).await
    }

    /// Back to the former state.
    pub async fn abort(&self, id: &str, abort: &Abort) -> Result<Done, CallError> {
        self.call(Method::POST, &format!("/v1/operations/{id}/abort"), abort).await
    }

    /// Step 13.
    pub async fn activate(&self, id: &str, activate: &Activate) -> Result<Done, CallError> {
        self.call(Method::POST, &format!("/v1/operations/{id}/activate"), activate).await
    }

    /// Step 15.
    pub async fn open(&self, id: &str) -> Result<Done, CallError> {
        self.call(Method::POST, &format!("/v1/operations/{id}/open"), &()).await
    }

    /// Asks for a stop of the cluster; under an operator that one carries it out.
    pub async fn request_stop(&self) -> Result<Done, CallError> {
        self.call(Method::POST, "/v1/stop-requests", &()).await
    }

    /// Tells what became of a stop that was asked of the members.
    pub async fn answer_request(&self, asked: u64, answer: &RequestAnswer) -> Result<Done, CallError> {
        self.call(Method::POST, &format!("/v1/stop-requests/{asked}/answer"), answer).await
    }

    /// All jobs.
    pub async fn jobs(&self) -> Result<Vec<JobView>, CallError> {
        self.call(Method::GET, "/v1/jobs", &()).await
    }

    /// Submits a job; the same name with the same SQL again is `Done` with `already so`.
    pub async fn submit(&self, job: &SubmitJob) -> Result<Done, CallError> {
        self.call(Method::POST, "/v1/jobs", job).await
    }

    /// `verb` is `cancel`, `suspend` or `resume`.
    pub async fn job(&self, name: &str, verb: &str) -> Result<Done, CallError> {
        self.call(Method::POST, &format!("/v1/jobs/{}/{verb}", encode(name)), &()).await
    }

    /// A bounded SELECT.
    pub async fn sql(&self, query: &SqlQuery) -> Result<SqlRows, CallError> {
        self.call(Method::POST, "/v1/sql", query).await
    }

    /// One entry of a map.
    pub async fn get(&self, map: &str, key: &str) -> Result<Entry, CallError> {
        self.call(Method::GET, &format!("/v1/maps/{}/entries/{}", encode(map), encode(key)), &()).await
    }

    /// Writes (or, without a value, removes) one entry of a map.
    pub async fn put(&self, map: &str, key: &str, entry: &Entry) -> Result<Entry, CallError> {
        self.call(Method::PUT, &format!("/v1/maps/{}/entries/{}", encode(map), encode(key)), entry).await
    }

    /// The last hot backup that this member knows of, as every member tells it.
    pub async fn backup(&self) -> Result<BackupView, CallError> {
        self.call(Method::GET, "/v1/backups", &()).await
    }

    /// Begins a hot backup of all members; the answer comes when its moment is over. The same name again tells of it.
    pub async fn take_backup(&self, take: &TakeBackup) -> Result<BackupView, CallError> {
        self.call(Method::POST, "/v1/backups", take).await
    }

    /// Gives up the hot backup that is being made; without one nothing is done.
    pub async fn interrupt_backup(&self) -> Result<BackupView, CallError> {
        self.call(Method::POST, "/v1/backups/interrupt", &()).await
    }

    async fn call<B: Serialize + Sync, A: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: &B,
    ) -> Result<A, CallError> {
        let deadline = tokio::time::Instant::now() + self.timeout;
        let not_sent = |reason: String| CallError::NotSent { address: self.address.clone(), reason };
        let unknown = |reason: String| CallError::Unknown { address: self.address.clone(), reason };
        let body = if method == Method::GET {
            Bytes::new()
        } else {
            serde_json::to_vec(body).map_err(|e| not_sent(e.to_string()))?.into()
        };
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", "member")
            .header("content-type", "application/json")
            .body(Full::new(body))
            .map_err(|e| not_sent(e.to_string()))?;
        let connect = async {
            let tcp = TcpStream::connect(&self.address).await.map_err(|e| format!("{e}; {LISTENS}"))?;
            tcp.set_nodelay(true).map_err(|e| e.to_string())?;
            let tls = TlsConnector::from(self.tls.clone())
                .connect(self.server_name.clone(), tcp)
                .await
                .map_err(|e| handshake::refused(&e, &self.tls).unwrap_or_else(|| format!("{e}; {LISTENS}")))?;
            hyper::client::conn::http1::handshake(TokioIo::new(tls)).await.map_err(|e| e.to_string())
        };
        let (mut sender, connection) = tokio::time::timeout_at(deadline, connect)
            .await
            .map_err(|_| not_sent(format!("not connected within {:?}; {LISTENS}", self.timeout)))?
            .map_err(not_sent)?;
        let mut driver = tokio::spawn(connection);
        let exchange = async {
            let response = match sender.send_request(request).await {
                Ok(response) => response,
                Err(error) => return Err(self.no_response(&error, &mut driver).await),
            };
            let status = response.status();
            let body = Limited::new(response.into_body(), ANSWER_LIMIT).collect().await;
            let bytes = body.map_err(|e| unknown(e.to_string()))?.to_bytes();
            Ok::<_, CallError>((status, bytes))
        };
        let outcome = tokio::time::timeout_at(deadline, exchange).await;
        driver.abort();
        let (status, bytes) = outcome.map_err(|_| unknown(format!("no answer within {:?}", self.timeout)))??;
        if status.is_success() {
            serde_json::from_slice(&bytes).map_err(|e| unknown(format!("the answer cannot be understood: {e}")))
        } else {
            let refusal: Refusal = serde_json::from_slice(&bytes)
                .map_err(|_| unknown(format!("HTTP {status}: {}", String::from_utf8_lossy(&bytes))))?;
            Err(refusal.into())
        }
    }

    /// The member judges our certificate when we are done with the handshake already; whether the connection or who
    /// waits on it is told depends on which of them looks first.
    async fn no_response(&self, error: &hyper::Error, driver: &mut Driver) -> CallError {
        let ended = driver.await.ok().and_then(Result::err);
        let refused =
            [Some(error), ended.as_ref()].into_iter().flatten().find_map(|e| handshake::refused(e, &self.tls));
        let address = self.address.clone();
        match refused {
            Some(reason) => CallError::NotSent { address, reason },
            None => CallError::Unknown { address, reason: ended.as_ref().unwrap_or(error).to_string() },
        }
    }
}
