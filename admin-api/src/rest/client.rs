//! A caller of the Hazelcast-shaped REST of one member.
//!
//! Law: whether nobody was there, nothing came back or the connection broke is told apart, because exit codes of scripts
//! are made of it. Time and body size are bounded. Must not know: retries, exit codes.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request};
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::Instant;
use tokio_rustls::TlsConnector;

use super::endpoints::{Route, Verb};
use super::form;
use super::reply::Reply;
use crate::identity::any_member_server_name;
use crate::tls::{Material, TlsError};

/// Longest answer taken.
pub const ANSWER_LIMIT: usize = 1 << 20;

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoAnswer {
    /// Nobody listens there.
    #[error("cannot connect to {address}: {reason}")]
    NotConnected {
        /// Who was called.
        address: String,
        /// Why.
        reason: String,
    },
    /// The handshake failed.
    #[error("no TLS with {address}: {reason}")]
    Tls {
        /// Who was called.
        address: String,
        /// Why.
        reason: String,
    },
    /// The connection was closed without a byte: the REST, or this group of it, is off.
    #[error("{address} closed the connection without an answer")]
    Empty {
        /// Who was called.
        address: String,
    },
    /// The connection broke before the answer was there; whether it was done is not known.
    #[error("the connection to {address} broke: {reason}")]
    Broken {
        /// Who was called.
        address: String,
        /// Why.
        reason: String,
    },
    /// Nothing came in time; whether it was done is not known.
    #[error("no answer from {address} within {within:?}")]
    Late {
        /// Who was called.
        address: String,
        /// The bound.
        within: Duration,
    },
    /// It is none of ours.
    #[error("the answer of {address} (HTTP {status}) cannot be understood: {body}")]
    Strange {
        /// Who was called.
        address: String,
        /// Its status.
        status: u16,
        /// What was said.
        body: String,
    },
}

/// The REST of one member.
#[derive(Clone)]
pub struct RestClient {
    address: String,
    tls: Option<(ServerName<'static>, Arc<ClientConfig>)>,
    timeout: Duration,
}

impl RestClient {
    /// `address` is `host:port`; `timeout` bounds each call.
    pub fn new(address: impl Into<String>, timeout: Duration) -> Self {
        Self { address: address.into(), tls: None, timeout }
    }

    /// The same over TLS, with this key pair; the member must be of the cluster that the certificate names.
    pub fn with_tls(mut self, material: &Material) -> Result<Self, TlsError> {
        let identity = material.identity()?;
        let name = any_member_server_name(&identity.namespace, &identity.cluster);
        let name = ServerName::try_from(name).map_err(|_| TlsError::Nameless)?;
        self.tls = Some((name, material.client()?));
        Ok(self)
    }

    /// Who is called.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Somebody listens there.
    pub async fn listens(&self) -> bool {
        self.connect(Instant::now() + self.timeout).await.is_ok()
    }

    /// Asks with the parts of a form.
    pub async fn ask(&self, route: &Route, parts: &[&str]) -> Result<Reply, NoAnswer> {
        let deadline = Instant::now() + self.timeout;
        let tcp = self.connect(deadline).await?;
        let request = self.request(route, parts)?;
        let exchange = async {
            match &self.tls {
                None => self.exchange(tcp, request).await,
                Some((name, config)) => {
                    let reason =
                        |e: std::io::Error| NoAnswer::Tls { address: self.address.clone(), reason: e.to_string() };
                    let stream = TlsConnector::from(config.clone()).connect(name.clone(), tcp).await.map_err(reason)?;
                    self.exchange(stream, request).await
                }
            }
        };
        let (status, body) = tokio::time::timeout_at(deadline, exchange).await.map_err(|_| self.late())??;
        serde_json::from_slice(&body).map_err(|_| NoAnswer::Strange {
            address: self.address.clone(),
            status,
            body: String::from_utf8_lossy(&body).into_owned(),
        })
    }

    fn late(&self) -> NoAnswer {
        NoAnswer::Late { address: self.address.clone(), within: self.timeout }
    }

    async fn connect(&self, deadline: Instant) -> Result<TcpStream, NoAnswer> {
        let not_connected = |reason: String| NoAnswer::NotConnected { address: self.address.clone(), reason };
        let connected = tokio::time::timeout_at(deadline, TcpStream::connect(&self.address)).await;
        connected.map_err(|_| self.late())?.map_err(|e| not_connected(e.to_string()))
    }

    fn request(&self, route: &Route, parts: &[&str]) -> Result<Request<Full<Bytes>>, NoAnswer> {
        let method = if route.verb == Verb::Post { Method::POST } else { Method::GET };
        let request = Request::builder()
            .method(method)
            .uri(route.path)
            .header("host", &self.address)
            .header("content-type", "application/x-www-form-urlencoded");
        request.body(Full::new(form::write(parts).into())).map_err(|e| self.broken(e.to_string()))
    }

    fn broken(&self, reason: String) -> NoAnswer {
        NoAnswer::Broken { address: self.address.clone(), reason }
    }

    async fn exchange<S>(&self, stream: S, request: Request<Full<Bytes>>) -> Result<(u16, Bytes), NoAnswer>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
            .await
            .map_err(|e| self.broken(e.to_string()))?;
        let driver = tokio::spawn(connection);
        let exchange = async {
            let response = sender.send_request(request).await.map_err(|e| self.unanswered(&e))?;
            let status = response.status().as_u16();
            let body = Limited::new(response.into_body(), ANSWER_LIMIT).collect().await;
            Ok((status, body.map_err(|e| self.broken(e.to_string()))?.to_bytes()))
        };
        let answer = exchange.await;
        driver.abort();
        answer
    }

    fn unanswered(&self, error: &hyper::Error) -> NoAnswer {
        if error.is_incomplete_message() || error.is_canceled() || error.is_closed() {
            NoAnswer::Empty { address: self.address.clone() }
        } else {
            self.broken(error.to_string())
        }
    }
}
