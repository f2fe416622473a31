//! Rows 2 and 3: the process is killed at a call of the system.
//!
//! Must not know: what the calls are for.

use crate::Cases;
use crate::script::{self, SCRIPT, calls, outcome, send_all, spread};
use crate::volume::Volume;
use crate::writer::{Writer, lives_on};

/// Moments of a run.
const MOMENTS: usize = 40;

pub fn add(cases: &mut Cases) {
    cases.on_each("row_02_killed_at_forty_calls_of_a_run", killed_at_calls);
    cases.on_each("row_02_killed_at_a_write_of_a_chunk", killed_at_writes);
    cases.on_each("row_03_all_members_killed_while_they_seal", all_killed);
}

/// Runs the script until the kill at the n-th of these calls in a thread, then goes on from what is there.
fn killed(volume: &Volume, name: &str, above: &[&str], inject: &str) -> usize {
    let dir = volume.dir(name);
    let mut line = vec!["strace", "-f", "-qq", "-o", "/dev/null", "-e", inject];
    line.extend(above);
    let mut writer = Writer::under(&line, &dir);
    send_all(&mut writer);
    let outcome = outcome(&mut writer);
    drop(writer);
    let found = lives_on(&dir, outcome.durable);
    outcome.allows(&found);
    std::fs::remove_dir_all(&dir).unwrap();
    outcome.answered
}

fn all_calls(volume: &Volume) -> Vec<String> {
    calls(&volume.dir("counted"), &volume.at().join("trace"))
}

fn killed_at_calls(volume: &Volume) {
    let calls = all_calls(volume);
    assert!(calls.len() > 100, "the script is long enough to mean something: {} calls", calls.len());
    for n in spread(&(0..calls.len()).collect::<Vec<_>>(), MOMENTS) {
        let inject = script::at(&calls, n, "signal=KILL");
        let answered = killed(volume, "store", &[], &inject);
        assert!(answered < SCRIPT.len(), "{inject} was never reached");
    }
}

fn killed_at_writes(volume: &Volume) {
    let mut reached = 0;
    for (generation, chunk) in [(1, 1), (1, 2), (1, 3), (2, 4), (2, 5)] {
        for at in [1, 2] {
            let path = volume.dir("store").join(format!("data/gen-{generation}/log-{chunk}.jl"));
            let above = ["-P", path.to_str().unwrap()];
            let inject = format!("inject=pwrite64:signal=KILL:when={at}");
            reached += usize::from(killed(volume, "store", &above, &inject) < SCRIPT.len());
        }
    }
    assert!(reached >= 3, "only {reached} kills met a write");
}

fn all_killed(volume: &Volume) {
    let calls = all_calls(volume);
    // Writing a manifest takes about a dozen of the last calls.
    for first in 1..=8 {
        for member in 0..3 {
            let inject = script::at(&calls, calls.len() - first - 4 * member, "signal=KILL");
            let answered = killed(volume, &format!("member-{member}"), &[], &inject);
            assert!(answered >= SCRIPT.len() - 4, "{inject} is long before the seal");
        }
    }
}
