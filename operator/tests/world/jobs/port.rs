//! Between a job's pass and its world: the operator's own client over the small API server, and its own door over the
//! scripted members; what a schedule says goes wrong goes wrong here.
//!
//! Law: what the client makes of an answer is its own; one object that is asked for by name is shown as its last write left
//! it, everything else may be old. Must not know: what is written.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use http::{Method, Request, Response};
use http_body_util::Full;
use jet_admin_api::client::CallError;
use jet_admin_api::job::SubmitJob;
use jet_admin_api::member::MemberView;
use jet_admin_api::operation::Done;
use jet_operator::job::door::{self, Member};
use jet_operator::members::{Door, Members};
use kube::client::Body;
use serde_json::Value;
use tower::{BoxError, service_fn};

use super::server::{self, Answer, deed, is_job};
use crate::world::World;
use crate::world::faults::{Call, Fault, Strike};
use crate::world::proxy::{Proxy, to_command};

/// Answers that are remembered, to be given again.
const REMEMBERED: usize = 40;

type Past = Mutex<BTreeMap<String, VecDeque<Answer>>>;

struct Port {
    world: World,
    proxy: Arc<Proxy>,
    past: Past,
}

/// The operator's client.
pub fn client(world: &World, proxy: &Arc<Proxy>) -> kube::Client {
    let port = Arc::new(Port { world: world.clone(), proxy: proxy.clone(), past: Past::default() });
    let service = service_fn(move |request: Request<Body>| {
        let port = port.clone();
        async move { port.ask(request).await }
    });
    kube::Client::new(service, "prod")
}

impl Port {
    async fn ask(&self, request: Request<Body>) -> Result<Response<Full<Bytes>>, BoxError> {
        let (parts, body) = request.into_parts();
        let body: Value = serde_json::from_slice(&body.collect_bytes().await?).unwrap_or_default();
        let (method, path) = (parts.method, parts.uri.path().to_owned());
        let done = if method == Method::GET { self.read(&path) } else { self.write(&method, &path, &body).await };
        let (code, body) = match done {
            Ok(answer) => answer,
            Err(strike) => match strike.fault.code() {
                Some(code) => server::failure(code, strike.fault.name()),
                None => return Err(strike.fault.name().into()),
            },
        };
        let answer = Response::builder().status(code).header("content-type", "application/json");
        Ok(answer.body(Full::new(Bytes::from(body.to_string())))?)
    }

    fn read(&self, path: &str) -> Result<Answer, Strike> {
        let mut past = self.past.lock().unwrap_or_else(PoisonError::into_inner);
        let past = past.entry(path.to_owned()).or_default();
        match self.proxy.next(if is_job(path) { Call::Confirm } else { Call::Read }) {
            Some(Strike { fault: Fault::StaleRead, depth }) => {
                let old = past.get(usize::try_from(depth).unwrap_or(0)).or(past.back());
                if let Some(old) = old {
                    return Ok(old.clone());
                }
            }
            Some(strike) => {
                if strike.fault == Fault::Silence {
                    self.proxy.wait();
                }
                return Err(strike);
            }
            None => {}
        }
        let answer = self.world.lock().answer(&Method::GET, path, &Value::Null);
        past.push_front(answer.clone());
        past.truncate(REMEMBERED);
        Ok(answer)
    }

    async fn write(&self, method: &Method, path: &str, body: &Value) -> Result<Answer, Strike> {
        let call = if path.ends_with("/status") { Call::Status } else { Call::Write };
        if call == Call::Write {
            self.proxy.note(deed(method, path, body));
        }
        let act = async { Ok(self.world.lock().answer(method, path, body)) };
        self.proxy.effect(call, act, |strike| strike).await
    }
}

/// One member.
pub struct Scripted {
    world: World,
    proxy: Arc<Proxy>,
    door: Door,
}

/// The members that have an address, ready ones first.
pub fn door(world: &World, proxy: &Arc<Proxy>) -> door::Members<Scripted> {
    let state = world.lock();
    let mut found: Vec<_> = state
        .pods
        .iter()
        .filter(|(_, pod)| pod.running())
        .map(|(ordinal, _)| (!state.member_view(*ordinal).is_some_and(|view| view.ready), *ordinal))
        .collect();
    found.sort_unstable();
    let member = |(_, ordinal)| Scripted {
        world: world.clone(),
        proxy: proxy.clone(),
        door: Door { ordinal, host: format!("10.0.0.{ordinal}") },
    };
    door::Members { members: found.into_iter().map(member).collect(), asked: 5 }
}

#[async_trait]
impl Member for Scripted {
    fn ordinal(&self) -> u32 {
        self.door.ordinal
    }

    async fn look(&self) -> Result<MemberView, CallError> {
        self.proxy.look(&self.door).await
    }

    async fn submit(&self, job: &SubmitJob) -> Result<Done, CallError> {
        self.proxy.note("submit");
        let act = async {
            let mut state = self.world.lock();
            state.effects += 1;
            state.submit_job(self.door.ordinal, job).map_err(CallError::from)
        };
        self.proxy.effect(Call::Command, act, |strike| to_command(strike, &self.door)).await
    }

    async fn job(&self, name: &str, verb: &str) -> Result<Done, CallError> {
        self.proxy.note(verb);
        let act = async {
            let mut state = self.world.lock();
            state.effects += 1;
            state.job_command(self.door.ordinal, name, verb).map_err(CallError::from)
        };
        self.proxy.effect(Call::Command, act, |strike| to_command(strike, &self.door)).await
    }
}
