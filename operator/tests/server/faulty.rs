//! Between a client and its API server: answers that the server did not give, answers that it gave and nobody got, and
//! watches that end.
//!
//! Law: what is not struck passes as it is. Must not know: what is asked.

use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use bytes::Bytes;
use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt, TryStreamExt};
use http::{Method, Request, Response};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::Frame;
use kube::client::Body;
use tokio::sync::watch;
use tower::{BoxError, Layer, Service};

type Answer = UnsyncBoxBody<Bytes, BoxError>;

/// What a request meets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hit {
    /// This status, and nothing was done.
    Says(u16),
    /// The watch begins and says that its resource version is gone.
    Gone,
    /// No connection.
    Unreached,
    /// It was done, and the connection breaks before the answer.
    LostReply,
}

/// A request, as far as a plan may look at it.
pub struct Asked {
    pub path: String,
    pub watches: bool,
    pub writes: bool,
}

type Plan = Box<dyn FnMut(&Asked) -> Option<Hit> + Send>;

/// The layer; clones share their plan.
#[derive(Clone)]
pub struct Faulty {
    plan: Arc<Mutex<Plan>>,
    cut: watch::Sender<u64>,
}

impl Default for Faulty {
    fn default() -> Self {
        Self { plan: Arc::new(Mutex::new(Box::new(|_| None))), cut: watch::Sender::new(0) }
    }
}

impl Faulty {
    /// From here on requests meet what it says.
    pub fn plan(&self, plan: impl FnMut(&Asked) -> Option<Hit> + Send + 'static) {
        *self.plan.lock().unwrap() = Box::new(plan);
    }

    /// Every watch that is open ends.
    pub fn cut_watches(&self) {
        self.cut.send_modify(|cuts| *cuts += 1);
    }
}

impl<S> Layer<S> for Faulty {
    type Service = Between<S>;

    fn layer(&self, inner: S) -> Between<S> {
        Between { inner, faulty: self.clone() }
    }
}

pub struct Between<S> {
    inner: S,
    faulty: Faulty,
}

impl<S, B> Service<Request<Body>> for Between<S>
where
    S: Service<Request<Body>, Response = Response<B>, Error = BoxError>,
    S::Future: Send + 'static,
    B: hyper::body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    type Response = Response<Answer>;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<Response<Answer>, BoxError>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let asked = Asked {
            path: request.uri().path().to_owned(),
            watches: request.uri().query().is_some_and(|query| query.contains("watch=true")),
            writes: request.method() != Method::GET,
        };
        let hit = (self.faulty.plan.lock().unwrap())(&asked);
        match hit {
            Some(Hit::Says(code)) => futures::future::ready(Ok(made(code, status(code)))).boxed(),
            Some(Hit::Gone) => {
                let event = format!("{{\"type\":\"ERROR\",\"object\":{}}}\n", status(410));
                futures::future::ready(Ok(made(200, event))).boxed()
            }
            Some(Hit::Unreached) => futures::future::ready(Err("connection refused".into())).boxed(),
            Some(Hit::LostReply) => {
                let done = self.inner.call(request);
                async move {
                    done.await?;
                    Err("connection reset".into())
                }
                .boxed()
            }
            None => {
                let done = self.inner.call(request);
                let cut = asked.watches.then(|| self.faulty.cut.subscribe());
                async move { Ok(passed(done.await?, cut)) }.boxed()
            }
        }
    }
}

fn status(code: u16) -> String {
    let body = serde_json::json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": "injected", "reason": "Injected",
        "code": code,
    });
    body.to_string()
}

fn made(code: u16, body: String) -> Response<Answer> {
    let body = Full::new(Bytes::from(body)).map_err(|never| -> BoxError { match never {} }).boxed_unsync();
    let mut response = Response::new(body);
    *response.status_mut() = http::StatusCode::from_u16(code).unwrap();
    response.headers_mut().insert("content-type", http::HeaderValue::from_static("application/json"));
    response
}

/// The answer as it is; a watch ends when watches are cut.
fn passed<B>(response: Response<B>, cut: Option<watch::Receiver<u64>>) -> Response<Answer>
where
    B: hyper::body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    response.map(|body| match cut {
        None => body.map_err(Into::into).boxed_unsync(),
        Some(mut cut) => {
            let data = body.map_err(Into::<BoxError>::into).into_data_stream().map_ok(Frame::data);
            let cut = async move { cut.changed().await.is_ok() }.boxed();
            BodyExt::boxed_unsync(StreamBody::new(data.take_until(cut)))
        }
    })
}
