//! The `jet-member` program: one member until SIGTERM or SIGINT, until it was asked to leave, or until consensus breaks
//! down in it. Who has given its store up, or goes on in a new
//! incarnation of its cluster, begins anew in the same process.
//!
//! Law: configuration that is not understood ends the program with the sentence; a refused store does not. Must not
//! know: what a member does.

use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};

use clap::Parser;
use jet_member::config::{Launch, Settings};
use jet_member::member::{Make, Member};
use jet_member::telemetry;
use tokio::signal::unix::{SignalKind, signal};

fn main() -> ExitCode {
    let launch = Launch::parse();
    telemetry::start(launch.log_format);
    match run(&launch) {
        Ok(End::Asked) => ExitCode::SUCCESS,
        Ok(End::Anew) => {
            let error = anew();
            tracing::error!(%error, "this member has ended to begin anew, and cannot: start it again");
            ExitCode::FAILURE
        }
        Err(error) => {
            tracing::error!(%error, "the member cannot go on");
            ExitCode::FAILURE
        }
    }
}

/// Who begins anew does not wait longer for the end of this process.
const ANEW_WITHIN: std::time::Duration = std::time::Duration::from_secs(10);

enum End {
    Asked,
    /// Its store was given up, or its cluster begins a new incarnation.
    Anew,
}

/// The same program with the same arguments in place of this one, without anything that this one has open.
fn anew() -> std::io::Error {
    match std::env::current_exe() {
        Ok(program) => Command::new(program).args(std::env::args_os().skip(1)).exec(),
        Err(error) => error,
    }
}

fn run(launch: &Launch) -> Result<End, String> {
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
        let end = tokio::select! {
            _ = terminate.recv() => Ok(End::Asked),
            _ = interrupt.recv() => Ok(End::Asked),
            () = member.asked_to_leave() => Ok(End::Asked),
            () = member.begins_anew() => Ok(End::Anew),
            () = member.broken_down() => Err("consensus has broken down".to_owned()),
        };
        match &end {
            Ok(End::Asked) => tracing::info!("asked to end"),
            Ok(End::Anew) => tracing::info!("it begins anew"),
            Err(_) => {
                tracing::error!("consensus has broken down; this process ends in order, and the next one goes on");
            }
        }
        match end {
            // It has nothing to flush, and a disk that hangs must not keep it from beginning.
            Ok(End::Anew) => drop(tokio::time::timeout(ANEW_WITHIN, member.end()).await),
            _ => member.end().await,
        }
        end
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
