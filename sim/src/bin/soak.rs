//! Histories for as long as wanted: `soak SECONDS [FROM]`.
//!
//! Law: it ends with 1, and the seed, at the first that breaks. Must not know: what is in a history.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use jet_sim::seeds::histories;

/// The first seed behind those of the tests.
const FROM: u64 = 1_000_000;

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1).map(|text| text.parse::<u64>());
    let (Some(Ok(seconds)), from @ (None | Some(Ok(_)))) = (arguments.next(), arguments.next()) else {
        eprintln!("soak: give the seconds, and perhaps the first seed");
        return ExitCode::from(2);
    };
    let from = from.and_then(Result::ok).unwrap_or(FROM);
    let until = Instant::now() + Duration::from_secs(seconds);
    let ran = histories(from, |_| Instant::now() < until);
    println!("from seed {from} on: {ran}");
    match ran.broken {
        None => ExitCode::SUCCESS,
        Some((seed, why)) => {
            println!(
                "seed {seed}: {why}\nagain: JET_SEED={seed} JET_SEEDS=1 cargo test --workspace --test seeds every_history"
            );
            ExitCode::FAILURE
        }
    }
}
