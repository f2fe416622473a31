//! The router, built from [`Route::ALL`], and the guard before every handler.
//!
//! Law: no route without declared roles; a certificate of another cluster is nobody here. Must not know: bodies.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get, post, put};
use axum::{Extension, Json, Router};
use http::StatusCode;
use jet_admin_api::identity::Identity;
use jet_admin_api::refusal::{Code, Refusal};
use jet_admin_api::routes::Route;
use jet_admin_api::tls::TlsError;

use super::handlers as h;
use crate::member::Member;

/// Longest body taken.
pub const BODY_LIMIT: usize = 4 << 20;

/// A refusal as an HTTP answer.
pub struct Refused(pub Refusal);

impl From<Refusal> for Refused {
    fn from(refusal: Refusal) -> Self {
        Refused(refusal)
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.0.code.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        (status, Json(self.0)).into_response()
    }
}

/// All routes of the API.
pub fn router(member: Arc<Member>) -> Router {
    let mut router = Router::new();
    for route in Route::ALL {
        let guard = from_fn_with_state((member.clone(), route), admit);
        router = router.route(route.path().1, handler(route).layer(guard));
    }
    let router = router.fallback(nothing).method_not_allowed_fallback(nothing);
    router.layer(axum::extract::DefaultBodyLimit::max(BODY_LIMIT)).with_state(member)
}

fn handler(route: Route) -> MethodRouter<Arc<Member>> {
    match route {
        Route::Member => get(h::member),
        Route::Cluster => get(h::cluster),
        Route::Found => post(h::found),
        Route::Join => post(h::join),
        Route::Leave => post(h::leave),
        Route::Peers => post(h::peers),
        Route::Begin => post(h::begin),
        Route::Freeze => post(h::freeze),
        Route::Commit => post(h::commit),
        Route::Abort => post(h::abort),
        Route::Activate => post(h::activate),
        Route::Open => post(h::open),
        Route::RequestStop => post(h::request_stop),
        Route::AnswerRequest => post(h::answer_request),
        Route::Jobs => get(h::jobs),
        Route::SubmitJob => post(h::submit),
        Route::CancelJob => post(h::cancel_job),
        Route::SuspendJob => post(h::suspend_job),
        Route::ResumeJob => post(h::resume_job),
        Route::Sql => post(h::sql),
        Route::GetEntry => get(h::get_entry),
        Route::PutEntry => put(h::put_entry),
        Route::Backup => get(h::backup),
        Route::TakeBackup => post(h::take_backup),
        Route::InterruptBackup => post(h::interrupt_backup),
    }
}

async fn admit(
    State((member, route)): State<(Arc<Member>, Route)>,
    Extension(caller): Extension<Identity>,
    request: Request,
    next: Next,
) -> Response {
    match why_not(&caller, member.namespace(), member.cluster_name(), route) {
        None => next.run(request).await,
        Some(refusal) => Refused(refusal).into_response(),
    }
}

fn why_not(caller: &Identity, namespace: &str, cluster: &str, route: Route) -> Option<Refusal> {
    let (method, path) = route.path();
    if caller.namespace != namespace || caller.cluster != cluster {
        let why = format!("{} is not of cluster {namespace}/{cluster}", caller.uri());
        return Some(Refusal::new(Code::Forbidden, why).hint("use a certificate of that cluster"));
    }
    let allowed = route.allowed();
    (!allowed.admits(&caller.role)).then(|| {
        let why = format!("{}: the role {} may not call {method} {path}", caller.uri(), caller.role);
        Refusal::new(Code::Forbidden, why).hint(format!("use a certificate of a role that may: {}", allowed.names()))
    })
}

/// Whoever shows a certificate without a name of ours gets this, whatever is asked.
pub fn nameless(why: &TlsError) -> Router {
    let refusal = Refusal::new(Code::Forbidden, why.to_string()).hint("use a certificate that the cluster has issued");
    Router::new().fallback(move || {
        let refused = Refused(refusal.clone());
        async move { refused }
    })
}

async fn nothing(request: Request) -> Refused {
    let path = request.uri().path();
    Refused(Refusal::new(Code::NotFound, format!("there is no {} {path}", request.method())).hint(what_there_is(path)))
}

/// The routes that begin as `path` does; else all, by how they begin.
fn what_there_is(path: &str) -> String {
    let head = |path: &str| path.split('/').nth(2).unwrap_or_default().to_owned();
    let routes = || Route::ALL.into_iter().map(Route::path);
    let near: Vec<String> = routes()
        .filter(|(_, known)| head(known) == head(path))
        .map(|(method, known)| format!("{method} {known}"))
        .collect();
    if !near.is_empty() {
        return format!("there is {}", near.join(", "));
    }
    let all: BTreeSet<String> = routes().map(|(_, known)| format!("/v1/{}", head(known))).collect();
    format!("there is {}", all.into_iter().collect::<Vec<_>>().join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use jet_admin_api::identity::Role;

    #[test]
    fn a_role_that_is_not_admitted_is_named() {
        let client = Identity::new("prod", "orders", Role::Client);
        let refusal = why_not(&client, "prod", "orders", Route::Commit).unwrap();
        assert_eq!(refusal.code, Code::Forbidden);
        assert!(
            refusal.message.contains("client") && refusal.message.contains("/v1/operations/{id}/commit"),
            "{}",
            refusal.message
        );
        assert!(why_not(&client, "prod", "orders", Route::Sql).is_none());
        assert!(why_not(&client, "prod", "other", Route::Sql).is_some());
    }
}
