//! What must not grow from cycle to cycle, measured while the cluster is stopped or just before, and how it is judged.
//!
//! Law: a settled plateau: of the cycles the last third's median is not above the middle third's by more than a tenth and a
//! fixed slack (the first third warms up), and nothing ever passes its bound. Must not know: what was done to the cluster.

use std::path::Path;

/// Least cycles of which a plateau can be told.
const TREND: usize = 12;

/// One measure: its name, what it may never pass, and the slack of a plateau.
struct Kind {
    name: &'static str,
    bound: u64,
    slack: u64,
}

const KINDS: [Kind; 4] = [
    Kind { name: "files of a store", bound: 100, slack: 6 },
    Kind { name: "bytes of a store", bound: 64 << 20, slack: 1 << 20 },
    Kind { name: "bytes of the consensus log", bound: 16 << 20, slack: 256 << 10 },
    Kind { name: "resident memory of a member, KiB", bound: 400 << 10, slack: 8 << 10 },
];

/// The greatest of all members, by kind.
pub type Measured = [u64; 4];

/// Files and bytes below a directory.
fn tree(dir: &Path) -> (u64, u64) {
    let (mut files, mut bytes) = (0, 0);
    for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
        let found = entry.metadata().unwrap();
        let (f, b) = if found.is_dir() { tree(&entry.path()) } else { (1, found.len()) };
        (files, bytes) = (files + f, bytes + b);
    }
    (files, bytes)
}

/// Of stores whose processes have ended, and of the memory that was measured before.
pub fn measure<'a>(stores: impl Iterator<Item = &'a Path>, memory: u64) -> Measured {
    let each = stores.map(|store| {
        let (files, bytes) = tree(store);
        [files, bytes, tree(&store.join("raft")).1, memory]
    });
    each.fold([0; 4], |most, one| std::array::from_fn(|at| most[at].max(one[at])))
}

/// KiB of resident memory of a process; 0 when it is gone.
pub fn resident(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|rest| rest.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}

fn median(values: &[u64]) -> u64 {
    let mut sorted = values.to_vec();
    sorted.sort_unstable();
    sorted[sorted.len() / 2]
}

/// The plateau of each kind, or what passed its bound or goes on growing.
pub fn judge(cycles: &[Measured]) -> Result<Vec<String>, String> {
    KINDS
        .iter()
        .enumerate()
        .map(|(at, kind)| plateau(kind, &cycles.iter().map(|c| c[at]).collect::<Vec<_>>()))
        .collect()
}

fn plateau(kind: &Kind, values: &[u64]) -> Result<String, String> {
    let (name, most) = (kind.name, values.iter().max().copied().unwrap_or(0));
    if most > kind.bound {
        return Err(format!("{name}: {most} is above {}; by cycle: {values:?}", kind.bound));
    }
    if values.len() < TREND {
        return Ok(format!("{name}: at most {most}"));
    }
    let third = values.len() / 3;
    let (middle, last) = (median(&values[third..2 * third]), median(&values[2 * third..]));
    if last > middle + middle / 10 + kind.slack {
        let grown = format!("median {middle} of the middle third of the cycles, {last} of the last");
        return Err(format!("{name} grows: {grown}; by cycle: {values:?}"));
    }
    Ok(format!("{name}: at most {most}, median {middle} and then {last}"))
}

#[test]
fn a_store_that_grows_is_seen() {
    let cycles = |growth: u64| (0..60).map(|n| [20 + n * growth, 1 << 20, 1 << 16, 50_000]).collect::<Vec<_>>();
    assert_eq!(judge(&cycles(0)).unwrap().len(), 4);
    let seen = judge(&cycles(1)).unwrap_err();
    assert!(seen.contains("files of a store grows"), "one file more in each cycle is not a plateau: {seen}");
    assert!(judge(&[[0, 1 << 40, 0, 0]]).unwrap_err().contains("is above"));
}
