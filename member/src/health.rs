//! The plaintext port for probes: `/livez`, `/readyz`, `/metrics`, and `/progress` of the store.
//!
//! Law: liveness asks only whether the event loop turns, so that a probe never kills a member that holds; readiness
//! says why not. Figures of the store are told here and nothing that is in it. No word here acts. Must not
//! know: how the answers are found.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use jet_admin_api::progress::StoreProgress;
use tokio::net::TcpListener;

/// What the probes need to know.
pub trait Vitals: Send + Sync + 'static {
    /// `Ok` when clients are served, else the reason.
    fn ready(&self) -> Result<(), String>;
    /// Metrics in the text format of Prometheus.
    fn metrics(&self) -> String;
    /// How far the store is with a seal or a load, if one is under way.
    fn progress(&self) -> Option<StoreProgress>;
}

/// Serves until the process ends.
pub async fn serve(listener: TcpListener, vitals: Arc<dyn Vitals>) -> std::io::Result<()> {
    let router = Router::new()
        .route("/livez", get(|| async { "ok\n" }))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .route("/progress", get(progress))
        .with_state(vitals);
    axum::serve(listener, router).await
}

async fn readyz(State(vitals): State<Arc<dyn Vitals>>) -> (StatusCode, String) {
    match vitals.ready() {
        Ok(()) => (StatusCode::OK, "ready\n".into()),
        Err(why) => (StatusCode::SERVICE_UNAVAILABLE, format!("not ready: {why}\n")),
    }
}

async fn metrics(State(vitals): State<Arc<dyn Vitals>>) -> ([(&'static str, &'static str); 1], String) {
    ([("content-type", "application/openmetrics-text; version=1.0.0; charset=utf-8")], vitals.metrics())
}

/// `null`: none is under way.
async fn progress(State(vitals): State<Arc<dyn Vitals>>) -> ([(&'static str, &'static str); 1], String) {
    let told = serde_json::to_string(&vitals.progress()).unwrap_or_else(|_| "null".into());
    ([("content-type", "application/json")], told)
}
