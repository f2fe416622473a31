//! Carries out what [`super::lease`] decides.
//!
//! Law: every write carries the resourceVersion of the look that it was decided by, so of two candidates one gets a
//! conflict; losing the lease ends the process's work for good. Must not know: what leading is for.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use kube::api::{ObjectMeta, PostParams};
use kube::{Api, Client};
use tokio::time::timeout;

use super::lease::{self, LeaseView, Move, Sighting};
use super::stop::Stop;

/// One look or write may take this long.
const CALL: Duration = Duration::from_secs(3);

/// Why leading ended or never began.
#[derive(Debug, thiserror::Error)]
pub enum ElectionError {
    /// Another one holds the lease now.
    #[error("the lease {lease} went to {holder}: this process stops working")]
    Lost {
        /// Which lease.
        lease: String,
        /// Who has it.
        holder: String,
    },
    /// It could not be renewed in time.
    #[error(
        "the lease {lease} could not be renewed for {seconds} s: this process stops working before another one may begin"
    )]
    NotRenewed {
        /// Which lease.
        lease: String,
        /// For how long.
        seconds: u64,
    },
}

/// A candidate for one Lease.
pub struct Election {
    api: Api<Lease>,
    name: String,
    me: String,
    begun: Instant,
    seen: Option<Sighting>,
    read: Option<Lease>,
    held: bool,
}

impl Election {
    /// A candidate named `me` for the Lease `name`.
    pub fn new(client: Client, namespace: &str, name: &str, me: &str) -> Self {
        Self {
            api: Api::namespaced(client, namespace),
            name: name.to_owned(),
            me: me.to_owned(),
            begun: Instant::now(),
            seen: None,
            read: None,
            held: false,
        }
    }

    /// Waits until the lease is ours; `false`: stopped meanwhile.
    pub async fn win(&mut self, stop: &Stop, heartbeat: impl Fn()) -> bool {
        let mut told = None;
        loop {
            heartbeat();
            match self.step().await {
                Ok(None) => return true,
                Ok(Some(holder)) => {
                    if told.as_ref() != Some(&holder) {
                        tracing::info!(lease = self.name, holder, "another one leads; standing by");
                        told = Some(holder);
                    }
                }
                Err(error) => tracing::warn!(lease = self.name, %error, "no look at the lease; trying again"),
            }
            if stop.or_after(lease::RETRY_EVERY).await {
                return false;
            }
        }
    }

    /// Renews until stopped (`Ok`: still held, release it when the work is done) or lost.
    pub async fn hold(&mut self, stop: &Stop, heartbeat: impl Fn()) -> Result<(), ElectionError> {
        let mut renewed = self.begun.elapsed();
        loop {
            heartbeat();
            if stop.or_after(lease::RENEW_EVERY).await {
                return Ok(());
            }
            match self.step().await {
                Ok(None) => renewed = self.begun.elapsed(),
                Ok(Some(holder)) => return Err(ElectionError::Lost { lease: self.name.clone(), holder }),
                Err(error) => tracing::warn!(lease = self.name, %error, "the lease was not renewed; trying again"),
            }
            if lease::must_stop(renewed, self.begun.elapsed()) {
                return Err(ElectionError::NotRenewed {
                    lease: self.name.clone(),
                    seconds: lease::RENEW_DEADLINE.as_secs(),
                });
            }
        }
    }

    /// One look and at most one write. `Ok(None)`: ours; `Ok(Some)`: that one's.
    async fn step(&mut self) -> Result<Option<String>, StepError> {
        let read = timeout(CALL, self.api.get_opt(&self.name)).await??;
        let now = self.begun.elapsed();
        self.seen = read.as_ref().map(|read| lease::sight(self.seen.take(), view(read), now));
        self.read = read;
        let taken = match lease::decide(self.seen.as_ref(), &self.me, self.held, now) {
            Move::Await { holder } => {
                self.held = false;
                return Ok(Some(holder));
            }
            Move::Create => false,
            Move::Take => true,
            Move::Renew => false,
        };
        let next = self.next(Some(self.me.clone()), taken);
        let params = PostParams::default();
        let write = async {
            if self.read.is_some() {
                self.api.replace(&self.name, &params, &next).await
            } else {
                self.api.create(&params, &next).await
            }
        };
        let written = timeout(CALL, write).await??;
        if !self.held {
            tracing::info!(lease = self.name, holder = self.me, "this process leads");
        }
        self.seen = Some(Sighting { lease: view(&written), since: now });
        self.read = Some(written);
        self.held = true;
        Ok(None)
    }

    fn next(&self, holder: Option<String>, taken: bool) -> Lease {
        let now = MicroTime(Timestamp::now());
        let before = self.read.as_ref().and_then(|read| read.spec.clone()).unwrap_or_default();
        let transitions = before.lease_transitions.unwrap_or(0).saturating_add(i32::from(taken));
        let acquired = if taken || before.acquire_time.is_none() { Some(now.clone()) } else { before.acquire_time };
        Lease {
            metadata: ObjectMeta {
                name: Some(self.name.clone()),
                resource_version: self.read.as_ref().and_then(|read| read.metadata.resource_version.clone()),
                ..ObjectMeta::default()
            },
            spec: Some(LeaseSpec {
                acquire_time: acquired,
                holder_identity: holder,
                lease_duration_seconds: i32::try_from(lease::DURATION.as_secs()).ok(),
                lease_transitions: Some(transitions),
                renew_time: Some(now),
                ..LeaseSpec::default()
            }),
        }
    }

    /// Gives the lease back, so that the next one need not wait. Best effort.
    pub async fn release(&mut self) {
        if !self.held {
            return;
        }
        self.held = false;
        let next = self.next(Some(String::new()), false);
        match timeout(CALL, self.api.replace(&self.name, &PostParams::default(), &next)).await {
            Ok(Ok(_)) => tracing::info!(lease = self.name, "the lease is released"),
            Ok(Err(error)) => tracing::warn!(lease = self.name, %error, "the lease was not released; it runs out"),
            Err(_) => tracing::warn!(lease = self.name, "the lease was not released in time; it runs out"),
        }
    }
}

#[derive(Debug, thiserror::Error)]
enum StepError {
    #[error("no answer from the API server within {} s", CALL.as_secs())]
    Slow(#[from] tokio::time::error::Elapsed),
    #[error(transparent)]
    Api(#[from] kube::Error),
}

fn view(lease: &Lease) -> LeaseView {
    let spec = lease.spec.clone().unwrap_or_default();
    let seconds = spec.lease_duration_seconds.and_then(|seconds| u64::try_from(seconds).ok());
    LeaseView {
        holder: spec.holder_identity,
        resource_version: lease.metadata.resource_version.clone().unwrap_or_default(),
        duration: seconds.map_or(lease::DURATION, Duration::from_secs),
    }
}
