//! Which request is let in, and what it is answered.
//!
//! Law: a method, a path or a group that is not open gets no answer at all, and its reason stands in the log; a form is
//! read before anything is asked; name and password come before the endpoint. Must not know: sockets, how it is done.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use http::StatusCode;
use jet_admin_api::rest::endpoints::Route;
use jet_admin_api::rest::form::{self, FormError};
use jet_admin_api::rest::reply::{Instance, Reply, UNAUTHENTICATED};
use jet_admin_api::rest::{Endpoint, Group, Resolved, Verb, resolve};
use tracing::{error, info};

use super::answer::Answer;
use super::brake::Brake;
use super::{act, forced, partial, password, seen};
use crate::config::Rest;
use crate::member::Member;

/// One request, read whole.
pub struct Asked {
    /// Method.
    pub method: String,
    /// Path and query.
    pub target: String,
    /// Body.
    pub body: Vec<u8>,
    /// Our end of the connection that it came on.
    pub at: SocketAddr,
    /// The other end's address.
    pub from: IpAddr,
}

/// The way in.
pub struct Door {
    member: Arc<Member>,
    groups: BTreeSet<Group>,
    password: Option<PathBuf>,
    brake: Mutex<Brake>,
}

impl Door {
    /// To this member.
    pub fn new(member: Arc<Member>, rest: &Rest) -> Self {
        Self { member, groups: rest.groups.clone(), password: rest.password.clone(), brake: Mutex::default() }
    }

    /// The member behind it.
    pub fn member(&self) -> &Arc<Member> {
        &self.member
    }

    /// `None`: the connection is closed without a byte.
    pub async fn answer(&self, asked: &Asked) -> Option<Answer> {
        let Some(resolved) = Verb::of(&asked.method).map(|verb| resolve(verb, &asked.target)) else {
            info!(method = %asked.method, "REST: a method that is not answered; the connection is closed");
            return None;
        };
        let Some(group) = resolved.group() else {
            info!(target = %asked.target, "REST: no such endpoint; the connection is closed");
            return None;
        };
        if !self.groups.contains(&group) {
            info!(
                target = %asked.target,
                "REST endpoint group is not enabled - {0}; to open it set \
                 hazelcast.network.rest-api.endpoint-groups.{0}.enabled; the connection is closed",
                group.name()
            );
            return None;
        }
        Some(match resolved {
            Resolved::Nothing => return None,
            Resolved::NotFound(_) => Answer::empty(StatusCode::NOT_FOUND),
            Resolved::NoSuchCheck => Answer::empty(StatusCode::BAD_REQUEST),
            Resolved::Endpoint(route, true) => self.head(route).await,
            Resolved::Endpoint(route, false) => match self.let_in(route, asked).await {
                Ok(parts) => self.ask(route.endpoint, &parts, asked.at).await,
                Err(refused) => refused,
            },
        })
    }

    async fn head(&self, route: &Route) -> Answer {
        match route.endpoint {
            Endpoint::Health => Answer::head(seen::health_headers(&self.member.view().await)),
            _ => Answer::head([]),
        }
    }

    async fn let_in(&self, route: &Route, asked: &Asked) -> Result<Vec<String>, Answer> {
        let parts = form::read(&asked.body, route.parts).map_err(|error| match error {
            FormError::TooFew { .. } => Answer::failed(StatusCode::BAD_REQUEST, error.to_string()),
            FormError::Encoding { .. } => Answer::error(error.to_string()),
        })?;
        let [name, given, ..] = parts.as_slice() else { return Ok(parts) };
        let refused = || Answer::failed(StatusCode::FORBIDDEN, UNAUTHENTICATED);
        let named = name == self.member.cluster_name();
        // As in the original without its security: who may only look is asked for the name alone.
        if !route.group.writes() {
            return if named { Ok(parts) } else { Err(refused()) };
        }
        if let Some(wait) = self.brake().wait(asked.from, Instant::now()) {
            return Err(Answer::failed(StatusCode::TOO_MANY_REQUESTS, told_to_wait(asked.from, wait)));
        }
        if named && self.is_password(given).await? {
            self.brake().right(asked.from);
            return Ok(parts);
        }
        info!(from = %asked.from, "REST: cluster name or password is wrong");
        self.brake().wrong(asked.from, Instant::now());
        Err(refused())
    }

    async fn is_password(&self, given: &str) -> Result<bool, Answer> {
        let Some(path) = &self.password else { return Ok(false) };
        password::is(path, given).await.map_err(|why| {
            error!(%why, "REST: nobody can be let in");
            Answer::error("the member cannot read its password; its log says why")
        })
    }

    fn brake(&self) -> MutexGuard<'_, Brake> {
        self.brake.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn ask(&self, endpoint: Endpoint, parts: &[String], at: SocketAddr) -> Answer {
        use Endpoint as E;
        let member = &self.member;
        let third = parts.get(2).map_or("", String::as_str);
        match endpoint {
            E::Health => Answer::json(&seen::health(&member.view().await)),
            E::NodeState => Answer::json(&seen::node_state(&member.view().await)),
            E::ClusterState => Answer::json(&seen::cluster_state(&member.view().await)),
            E::ClusterSafe => Answer::yes_or_no(seen::safe(&member.view().await)),
            E::MigrationQueueSize => Answer::json(&seen::migrating(&member.view().await)),
            E::ClusterSize => Answer::json(&seen::size(&member.view().await)),
            E::Ready => Answer::yes_or_no(seen::started(&member.view().await)),
            E::Members => Answer::json(&seen::members(&member.view().await, &act::addresses(member, at))),
            E::Nodes => {
                let text = seen::nodes(&member.view().await, &act::addresses(member, at));
                Answer::json(&Reply { response: Some(text), ..Reply::success() })
            }
            E::Instance => Answer::json(&Instance { name: member.instance_name() }),
            E::License => Answer::empty(StatusCode::NOT_FOUND),
            E::State => act::state(member),
            E::Version => act::version(member),
            E::Operation => act::operation(member).await,
            E::ChangeState => act::change_state(member, third).await,
            E::ChangeVersion => act::change_version(member, third),
            E::ClusterShutdown => act::shut_down_cluster(member).await,
            E::MemberShutdown => act::shut_down_member(member),
            E::ForceStart => forced::start(member, None).await,
            E::ForceStartConsent => forced::start(member, Some(third)).await,
            E::PartialStart => partial::start(member, None).await,
            E::PartialStartConsent => partial::start(member, Some(third)).await,
            E::HotBackup => act::hot_backup(member).await,
            E::HotBackupInterrupt => act::interrupt_hot_backup(member).await,
        }
    }
}

fn told_to_wait(from: IpAddr, wait: Duration) -> String {
    let seconds = wait.as_millis().div_ceil(1_000);
    format!("cluster name or password was wrong too often from {from}; nothing was judged; ask again in {seconds} s")
}
