//! How long a wish for 8,191 partitions and 100 members takes.
//!
//! Law: the longest of each kind is printed, not the best. Must not know: what is fair.

// A figure is no program that must go on.
#![allow(clippy::unwrap_used)]

use std::time::Instant;

use jet_core::MemberId;
use jet_core::partition::assign::{Candidate, assign};

const PARTITIONS: usize = 8_191;
const ROUNDS: u32 = 20;

type Table = Vec<Vec<MemberId>>;

fn members(n: u128) -> Vec<Candidate> {
    let zone = |n: u128| Some(format!("zone {}", n % 3));
    let member = |n: u128| MemberId(uuid::Uuid::from_u128(n));
    (0..n).zip(0..).map(|(n, ordinal)| Candidate { zone: zone(n), ..Candidate::plain(member(n), ordinal) }).collect()
}

fn timed(what: &str, copies: usize, now: &Table, candidates: &[Candidate]) -> Table {
    let mut longest = 0;
    let mut wish = Table::new();
    for _ in 0..ROUNDS {
        let begun = Instant::now();
        wish = assign(now, candidates, copies).unwrap();
        longest = longest.max(begun.elapsed().as_micros());
    }
    let pair = |(now, wish): (&Vec<MemberId>, &Vec<MemberId>)| wish.iter().filter(|m| !now.contains(m)).count();
    let moves: usize = now.iter().zip(&wish).map(pair).sum();
    println!("{copies} copies, {what}: {:.1} ms at most, {moves} moves", longest as f64 / 1_000.0);
    wish
}

fn main() {
    for copies in [2, 3, 7] {
        let hundred = members(100);
        let table = timed("100 members and nothing yet", copies, &vec![Vec::new(); PARTITIONS], &hundred);
        timed("fair already", copies, &table, &hundred);
        timed("one goes", copies, &table, &hundred[1..]);
        timed("one comes", copies, &table, &members(101));
        let three = assign(&vec![Vec::new(); PARTITIONS], &members(3), copies).unwrap();
        timed("97 come to three", copies, &three, &hundred);
    }
}
