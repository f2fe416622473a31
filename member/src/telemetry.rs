//! Log lines: one an event, JSON or text.
//!
//! Law: nothing secret is logged; the level comes from `JET_LOG` (default `info`, libraries `warn`,
//! consensus silent: what it means for this member is said by the cluster's own rooms). Must not know:
//! what is logged.

use crate::config::launch::LogFormat;
use tracing_subscriber::EnvFilter;

/// Starts logging to standard error; called once by the program.
pub fn start(format: LogFormat) {
    let filter = EnvFilter::try_from_env("JET_LOG")
        .unwrap_or_else(|_| EnvFilter::new("info,openraft=off,hyper=warn,rustls=warn"));
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let started = match format {
        LogFormat::Json => lines.json().flatten_event(true).try_init(),
        LogFormat::Text => lines.with_target(false).with_ansi(false).try_init(),
    };
    if let Err(error) = started {
        eprintln!("cannot start logging: {error}");
    }
}
