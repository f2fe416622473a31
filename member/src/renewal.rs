//! The member's certificate, renewed while it runs.
//!
//! Law: what cannot be taken is told once, and the former one is shown on. Must not know: who issues.

use std::sync::Arc;
use std::time::Duration;

use jet_admin_api::renewal::Renewable;
use tracing::{error, info};

/// The mounted Secret is looked at so often; the kubelet brings a change within about a minute.
const LOOK: Duration = Duration::from_secs(5);

/// Looks for as long as the process lives.
pub async fn run(tls: Arc<Renewable>) {
    let mut told = String::new();
    loop {
        tokio::time::sleep(LOOK).await;
        match tls.renew() {
            Ok(false) => told.clear(),
            Ok(true) => info!("a renewed certificate is shown from now on"),
            Err(error) => {
                let why = error.to_string();
                if why != told {
                    error!(error = %why, "the certificate is not renewed: the one of before is shown on");
                    told = why;
                }
            }
        }
    }
}
