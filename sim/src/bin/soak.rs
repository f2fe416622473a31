//! Histories for as long as wanted: `soak SECONDS [FROM]`.
//!
//! Law: it ends with 1, and the seed, at the first that breaks; after every [`BLOCK`] it tells from which seed one goes on
//! that was ended. Must not know: what is in a history.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use jet_sim::seeds::{Ran, histories};

/// The first seed behind those of the tests.
const FROM: u64 = 1_000_000;
/// So many histories are told of at a time.
const BLOCK: u64 = 500;

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1).map(|text| text.parse::<u64>());
    let (Some(Ok(seconds)), from @ (None | Some(Ok(_)))) = (arguments.next(), arguments.next()) else {
        eprintln!("soak: give the seconds, and perhaps the first seed");
        return ExitCode::from(2);
    };
    let first = from.and_then(Result::ok).unwrap_or(FROM);
    let until = Instant::now() + Duration::from_secs(seconds);
    let (mut from, mut all) = (first, Ran::default());
    while Instant::now() < until {
        let ran = histories(from, |seed| seed < from + BLOCK && Instant::now() < until);
        from += BLOCK;
        if let Some((seed, why)) = &ran.broken {
            println!(
                "seed {seed}: {why}\nagain: JET_SEED={seed} JET_SEEDS=1 cargo test --workspace --test seeds every_history"
            );
            return ExitCode::FAILURE;
        }
        all.and(&ran);
        println!("seeds {first} to {}: {all}", first + all.histories - 1);
    }
    ExitCode::SUCCESS
}
