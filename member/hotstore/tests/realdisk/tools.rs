//! Programs of the system, and what a host must have for these tests.
//!
//! Law: what fails says which command and why. Must not know: stores.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

/// Longest wait for any condition.
const BOUND: Duration = Duration::from_secs(60);
/// Between two looks.
const LOOK: Duration = Duration::from_millis(10);

const PROGRAMS: [(&str, &str); 13] = [
    ("mkfs.ext4", "e2fsprogs"),
    ("mkfs.xfs", "xfsprogs"),
    ("mkfs.btrfs", "btrfs-progs"),
    ("strace", "strace"),
    ("mount", "mount"),
    ("umount", "mount"),
    ("losetup", "mount"),
    ("findmnt", "util-linux"),
    ("fallocate", "util-linux"),
    ("prlimit", "util-linux"),
    ("taskset", "util-linux"),
    ("xfs_io", "xfsprogs"),
    ("chattr", "e2fsprogs"),
];
const FILE_SYSTEMS: [&str; 5] = ["ext4", "xfs", "btrfs", "tmpfs", "ramfs"];

/// Runs a program to its end and gives what it printed.
pub fn run(command: &[&str]) -> String {
    let done = Command::new(command[0]).args(&command[1..]).output();
    let done = done.unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(done.status.success(), "{command:?}: {}", String::from_utf8_lossy(&done.stderr));
    String::from_utf8_lossy(&done.stdout).into_owned()
}

/// Waits for a condition.
pub fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !holds() {
        assert!(begin.elapsed() < BOUND, "after {BOUND:?} still not: {what}");
        std::thread::park_timeout(LOOK);
    }
}

/// What this host lacks; empty: nothing.
pub fn missing(room: &Path, workload: &Path) -> Vec<String> {
    let mut lacks = Vec::new();
    if !rustix::process::geteuid().is_root() {
        lacks.push("root".to_owned());
    }
    let path = std::env::var("PATH").unwrap_or_default();
    let is_there = |program: &str| std::env::split_paths(&path).any(|dir| dir.join(program).is_file());
    lacks.extend(PROGRAMS.iter().filter(|(name, _)| !is_there(name)).map(|(name, of)| format!("{name} ({of})")));
    let known = std::fs::read_to_string("/proc/filesystems").unwrap_or_default();
    let is_known = |name: &str| known.lines().any(|line| line.split_whitespace().last() == Some(name));
    lacks.extend(FILE_SYSTEMS.iter().filter(|name| !is_known(name)).map(|name| format!("{name} in the kernel")));
    if !Path::new("/dev/loop-control").exists() {
        lacks.push("loop devices".to_owned());
    }
    if !workload.is_file() {
        lacks.push(format!("{} (cargo build --example workload)", workload.display()));
    }
    let kind = run(&["stat", "--file-system", "--format=%T", room.to_str().unwrap_or_default()]);
    if ["tmpfs", "ramfs"].contains(&kind.trim()) {
        lacks.push(format!("a real disk below {} ({})", room.display(), kind.trim()));
    }
    lacks
}
