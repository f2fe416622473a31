//! Real faults on real file systems: `make store-faults`, or `make store-faults ARGS=row_11` for some of them.
//!
//! Law: a case is named after the row of the table of faults that it shows, `FAULTS.md` lists all; its images lie on the
//! real disk, and nothing of it stays. Without JET_REAL_DISK=1 there are no cases; what the host lacks is said in one line,
//! and that is a failure. Must not know: what the store does inside.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod copies;
mod damage;
mod device;
mod direct;
mod full;
mod killed;
mod numbers;
mod power;
mod refused;
mod script;
mod slow;
mod syscalls;
mod tools;
mod volume;
mod writer;

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;
use volume::{KINDS, Kind, Volume};

/// Which row is shown by which test.
const PAGE: &str = include_str!("../../FAULTS.md");

/// A case is given an empty directory on the real disk.
type Run = Box<dyn Fn(&Path)>;

/// Cases by name.
#[derive(Default)]
pub struct Cases(Vec<(String, Run)>);

impl Cases {
    /// Once on each file system.
    fn on_each(&mut self, name: &str, case: fn(&Volume)) {
        for kind in KINDS {
            self.with_room(&format!("{name}_on_{}", kind.name()), move |room| case(&Volume::new(room, kind)));
        }
    }

    /// Once for each file system, by a case that makes its volumes itself.
    fn for_each(&mut self, name: &str, case: fn(&Path, Kind)) {
        for kind in KINDS {
            self.with_room(&format!("{name}_on_{}", kind.name()), move |room| case(room, kind));
        }
    }

    fn with_room(&mut self, name: &str, case: impl Fn(&Path) + 'static) {
        self.0.push((name.to_owned(), Box::new(case)));
    }
}

fn all() -> Cases {
    let mut cases = Cases::default();
    for add in [
        killed::add,
        power::add,
        damage::add,
        syscalls::add,
        device::add,
        full::add,
        refused::add,
        slow::add,
        numbers::add,
        direct::add,
        copies::add,
    ] {
        add(&mut cases);
    }
    cases
}

/// Names that are only on the page, or only among the cases.
fn astray() -> BTreeSet<String> {
    let is_ours = |word: &&str| (word.starts_with("row_") || word.starts_with("aside_direct")) && !word.contains('…');
    let told: BTreeSet<String> = PAGE.split('`').skip(1).step_by(2).filter(is_ours).map(str::to_owned).collect();
    let base = |name: String| match KINDS.iter().find_map(|kind| name.strip_suffix(&format!("_on_{}", kind.name()))) {
        Some(base) if !told.contains(&name) => base.to_owned(),
        _ => name,
    };
    let cases: BTreeSet<String> = all().0.into_iter().map(|(name, _)| base(name)).collect();
    told.symmetric_difference(&cases).cloned().collect()
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.iter().any(|argument| argument == "--list") {
        all().0.iter().for_each(|(name, _)| println!("{name}: test"));
        return ExitCode::SUCCESS;
    }
    let astray = astray();
    if !astray.is_empty() {
        println!("realdisk: FAULTS.md and the cases differ in {astray:?}");
        return ExitCode::FAILURE;
    }
    if std::env::var_os("JET_REAL_DISK").is_none_or(|value| value != "1") {
        println!("realdisk: no cases without JET_REAL_DISK=1; `make store-faults` runs them");
        return ExitCode::SUCCESS;
    }
    let room = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("realdisk-{}", std::process::id()));
    std::fs::create_dir_all(&room).unwrap();
    let lacks = tools::missing(&room, &writer::program());
    if !lacks.is_empty() {
        println!("realdisk: missing: {}", lacks.join(", "));
        volume::clear(&room);
        return ExitCode::FAILURE;
    }
    let wanted = |name: &str| {
        let mut words = arguments.iter().filter(|argument| !argument.starts_with('-')).peekable();
        words.peek().is_none() || words.any(|word| name.contains(word.as_str()))
    };
    run_all(all().0.into_iter().filter(|(name, _)| wanted(name)).collect(), &room)
}

fn run_all(cases: Vec<(String, Run)>, room: &Path) -> ExitCode {
    let (mut failed, count) = (Vec::new(), cases.len());
    println!("running {count} tests");
    for (number, (name, case)) in cases.into_iter().enumerate() {
        let (room, begin) = (room.join(number.to_string()), Instant::now());
        let done = catch_unwind(AssertUnwindSafe(|| case(&room)));
        volume::clear(&room);
        let told = if done.is_ok() { "ok" } else { "FAILED" };
        println!("test {name} ... {told} ({:.1} s)", begin.elapsed().as_secs_f64());
        if done.is_err() {
            failed.push(name);
        }
    }
    volume::clear(room);
    println!("test result: {} of {count} passed; failed: {failed:?}", count - failed.len());
    if failed.is_empty() && count > 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
