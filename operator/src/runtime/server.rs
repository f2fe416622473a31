//! `/livez`, `/readyz`, `/metrics` in plain text for kubelet and Prometheus.
//!
//! Law: a standby is ready too; alive means that the event loop turns and the lease task breathes. Must not know:
//! Kubernetes.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use tokio::net::TcpListener;

use super::stop::Stop;
use super::telemetry::Telemetry;

/// Alive needs a breath of the election within this.
const BREATH: Duration = Duration::from_secs(60);

/// What the probes are answered from.
#[derive(Debug)]
pub struct Health {
    begun: Instant,
    ready: AtomicBool,
    breath: AtomicU64,
}

impl Default for Health {
    fn default() -> Self {
        Self { begun: Instant::now(), ready: AtomicBool::new(false), breath: AtomicU64::new(0) }
    }
}

impl Health {
    /// The process can do its work: client made, CRDs seen.
    pub fn set_ready(&self, ready: bool) {
        self.ready.store(ready, Ordering::Relaxed);
    }

    /// The election turned once more.
    pub fn breathe(&self) {
        self.breath.store(self.begun.elapsed().as_secs(), Ordering::Relaxed);
    }

    fn alive(&self) -> bool {
        self.begun.elapsed().as_secs().saturating_sub(self.breath.load(Ordering::Relaxed)) < BREATH.as_secs()
    }
}

/// Serves until stopped.
pub async fn serve(
    address: SocketAddr,
    health: Arc<Health>,
    telemetry: Arc<Telemetry>,
    stop: Stop,
) -> std::io::Result<()> {
    let listener = TcpListener::bind(address).await?;
    axum::serve(listener, router(health, telemetry)).with_graceful_shutdown(stop.wait()).await
}

fn router(health: Arc<Health>, telemetry: Arc<Telemetry>) -> Router {
    let probe = |good: bool, word: &'static str| {
        if good { (StatusCode::OK, "ok") } else { (StatusCode::SERVICE_UNAVAILABLE, word) }
    };
    Router::new()
        .route(
            "/livez",
            get(move |State(health): State<Arc<Health>>| async move { probe(health.alive(), "the election does not turn") }),
        )
        .route(
            "/readyz",
            get(move |State(health): State<Arc<Health>>| async move {
                probe(health.ready.load(Ordering::Relaxed), "no API server or no CRDs yet")
            }),
        )
        .with_state(health)
        .route("/metrics", get(move || async move { metrics(&telemetry) }))
}

fn metrics(telemetry: &Telemetry) -> axum::response::Response {
    const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    match telemetry.text() {
        Ok(text) => ([(header::CONTENT_TYPE, OPEN_METRICS)], text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::Body;
    use axum::http::Request;
    use tower::ServiceExt;

    #[tokio::test]
    async fn ready_when_told_so() {
        let health = Arc::new(Health::default());
        let router = router(health.clone(), Arc::default());
        let ask = |path: &'static str| {
            let router = router.clone();
            async move { router.oneshot(Request::get(path).body(Body::empty()).unwrap()).await.unwrap().status().as_u16() }
        };
        assert_eq!((ask("/livez").await, ask("/readyz").await, ask("/metrics").await), (200, 503, 200));
        health.set_ready(true);
        assert_eq!(ask("/readyz").await, 200);
    }
}
