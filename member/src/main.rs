//! The `jet-member` program: one member until SIGTERM or SIGINT, until it was asked to leave, or until consensus breaks
//! down in it.
//!
//! Law: configuration that is not understood ends the program with the sentence; a refused store does not. Must not
//! know: what a member does.

use std::process::ExitCode;

use clap::Parser;
use jet_member::config::{Launch, Settings};
use jet_member::member::{Make, Member};
use jet_member::telemetry;
use tokio::signal::unix::{SignalKind, signal};

fn main() -> ExitCode {
    let launch = Launch::parse();
    telemetry::start(launch.log_format);
    match run(&launch) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(%error, "the member cannot go on");
            ExitCode::FAILURE
        }
    }
}

fn run(launch: &Launch) -> Result<(), String> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(threads())
        .enable_all()
        .build()
        .map_err(|e| format!("no runtime: {e}"))?;
    let ended = runtime.block_on(async {
        // Before anything else: as the first process of a container one that does not listen is never told, and its pod ends
        // by SIGKILL when its time is over.
        let mut terminate = signal(SignalKind::terminate()).map_err(|e| format!("no signals: {e}"))?;
        let mut interrupt = signal(SignalKind::interrupt()).map_err(|e| format!("no signals: {e}"))?;
        let settings = Settings::load(launch).map_err(|e| e.to_string())?;
        let member = Member::start(settings, MAKE).await.map_err(|e| e.to_string())?;
        let broken = tokio::select! {
            _ = terminate.recv() => false,
            _ = interrupt.recv() => false,
            () = member.asked_to_leave() => false,
            () = member.broken_down() => true,
        };
        if broken {
            tracing::error!("consensus has broken down; this process ends in order, and the next one goes on");
        } else {
            tracing::info!("asked to end");
        }
        member.end().await;
        if broken { Err("consensus has broken down".to_owned()) } else { Ok(()) }
    });
    runtime.shutdown_timeout(std::time::Duration::from_secs(1));
    ended
}

/// A thread that computes for some milliseconds must not keep beats and votes waiting, also on one core.
fn threads() -> usize {
    const LEAST: usize = 4;
    std::thread::available_parallelism().map_or(LEAST, |cores| cores.get().max(LEAST))
}

/// What this program is made of.
const MAKE: Make = jet_member::assemble;
