//! A load on maps: connections that each have one request under way, against whoever speaks the client protocol or RESP.
//!
//! Law: both protocols are measured by the same loop, on one thread, and each answer is looked at; one line of JSON is
//! printed for a run. Must not know: who is faster.

mod load;
mod spread;
mod wire;

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Result;
use clap::{Parser, ValueEnum};

/// One run.
#[derive(Parser)]
#[command(name = "bench-map", version)]
struct Arguments {
    /// What is spoken.
    #[arg(long, value_enum)]
    speak: wire::Speaks,
    /// Where; several members, separated by commas, get their own keys each (client protocol only).
    #[arg(long, value_delimiter = ',', required = true)]
    address: Vec<SocketAddr>,
    /// Name of the cluster.
    #[arg(long, default_value = "dev")]
    cluster: String,
    /// What is asked.
    #[arg(long, value_enum)]
    op: Op,
    /// Bytes of a value.
    #[arg(long, default_value_t = 100)]
    bytes: usize,
    /// Connections.
    #[arg(long, default_value_t = 1)]
    connections: usize,
    /// Requests under way on each connection.
    #[arg(long, default_value_t = 1)]
    pipeline: usize,
    /// Keys, equally likely.
    #[arg(long, default_value_t = 100_000)]
    keys: u32,
    /// Time that is measured; a third of it is warm-up before.
    #[arg(long, default_value_t = 3.0)]
    seconds: f64,
    /// All keys are set first.
    #[arg(long)]
    fill: bool,
    /// Process of the server, whose processor time is measured.
    #[arg(long)]
    server: Option<u32>,
}

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Op {
    /// The value of a key.
    Get,
    /// A key gets a value, and nothing comes back.
    Set,
    /// A key gets a value, and the former comes back.
    Put,
}

fn main() -> Result<()> {
    let told = Arguments::parse();
    let wire = wire::Wire::new(told.speak, told.bytes, told.keys);
    let mut load = load::Load::connect(&wire, &told.address, &told.cluster, told.connections, told.pipeline)?;
    if told.fill {
        load.fill()?;
    }
    let measured = Duration::from_secs_f64(told.seconds);
    load.run(told.op, measured / 3)?;
    let before = told.server.map(processor_time).transpose()?;
    let ran = load.run(told.op, measured)?;
    let used = told.server.map(processor_time).transpose()?.zip(before).map(|(after, before)| after - before);
    let line = serde_json::json!({
        "speak": format!("{:?}", told.speak).to_lowercase(),
        "op": format!("{:?}", told.op).to_lowercase(),
        "bytes": told.bytes,
        "connections": told.connections,
        "pipeline": told.pipeline,
        "members": told.address.len(),
        "keys": told.keys,
        "per_second": (ran.requests as f64 / ran.took.as_secs_f64()).round(),
        "p50_us": ran.spread.at(0.5),
        "p99_us": ran.spread.at(0.99),
        "p999_us": ran.spread.at(0.999),
        "server_cores": used.map(|seconds| seconds / ran.took.as_secs_f64()),
    });
    println!("{line}");
    Ok(())
}

/// Seconds of processor time of a process so far.
fn processor_time(process: u32) -> Result<f64> {
    const TICKS_PER_SECOND: f64 = 100.0;
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat"))?;
    let behind_name = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    let ticks = behind_name.split_whitespace().skip(11).take(2).filter_map(|ticks| ticks.parse::<f64>().ok());
    Ok(ticks.sum::<f64>() / TICKS_PER_SECOND)
}
