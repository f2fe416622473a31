//! The one switch that ends everything, and the signals that throw it.
//!
//! Law: thrown once, never taken back; whoever waits for time also waits for it. Must not know: what stops.

use std::future::Future;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

/// A handle to the switch; clones share it.
#[derive(Clone, Debug)]
pub struct Stop {
    sender: watch::Sender<bool>,
}

impl Default for Stop {
    fn default() -> Self {
        Self { sender: watch::Sender::new(false) }
    }
}

impl Stop {
    /// Throws the switch.
    pub fn throw(&self) {
        self.sender.send_replace(true);
    }

    /// Whether it was thrown.
    pub fn thrown(&self) -> bool {
        *self.sender.borrow()
    }

    /// Ends when it is thrown.
    pub fn wait(&self) -> impl Future<Output = ()> + Send + Sync + use<> {
        let mut receiver = self.sender.subscribe();
        async move {
            // The sender lives in every handle; were all gone there would be nothing left to stop.
            let _ = receiver.wait_for(|thrown| *thrown).await;
        }
    }

    /// Waits for `time`; `true`: stopped meanwhile.
    pub async fn or_after(&self, time: Duration) -> bool {
        tokio::time::timeout(time, self.wait()).await.is_ok()
    }

    /// Throws the switch at SIGTERM or SIGINT.
    pub fn on_signals(&self) -> std::io::Result<()> {
        let (mut term, mut int) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        let stop = self.clone();
        tokio::spawn(async move {
            tokio::select! {
                _ = term.recv() => tracing::info!("SIGTERM: finishing the step in hand"),
                _ = int.recv() => tracing::info!("SIGINT: finishing the step in hand"),
            }
            stop.throw();
        });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn ends_every_wait_and_stays_thrown() {
        let stop = Stop::default();
        assert!(!stop.or_after(Duration::ZERO).await);
        let waiting = stop.wait();
        stop.clone().throw();
        waiting.await;
        assert!(stop.thrown());
        assert!(stop.or_after(Duration::from_secs(3600)).await);
    }
}
