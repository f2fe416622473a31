//! Under which conditions a figure was measured.
//!
//! The law: they are read from the system at the time of the run and stand beside every figure.
//! Must not know: figures.

use crate::room;
use anyhow::Result;
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Command;

fn file(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default().trim().to_owned()
}

/// File system, its options and its device.
fn mount(dir: &Path) -> (String, String, String) {
    let Ok(meta) = fs::metadata(dir) else { return Default::default() };
    let (major, minor) = (rustix::fs::major(meta.dev()), rustix::fs::minor(meta.dev()));
    let device = format!("{major}:{minor}");
    for line in file("/proc/self/mountinfo").lines() {
        let words: Vec<_> = line.split(' ').collect();
        if words.get(2) != Some(&device.as_str()) {
            continue;
        }
        let behind = words.iter().position(|word| *word == "-").unwrap_or(0);
        let kind = words.get(behind + 1).copied().unwrap_or_default();
        // Options of the mount, and those of the file system itself.
        let options = [words.get(5), words.last()].map(|word| word.copied().unwrap_or_default());
        return (kind.to_owned(), options.join(","), device);
    }
    (String::new(), String::new(), device)
}

fn scheduler(device: &str) -> String {
    let own = file(&format!("/sys/dev/block/{device}/queue/scheduler"));
    // A partition has none of its own.
    let told = if own.is_empty() { file(&format!("/sys/dev/block/{device}/../queue/scheduler")) } else { own };
    let chosen = told.split_once('[').and_then(|(_, rest)| rest.split_once(']')).map(|(name, _)| name.to_owned());
    chosen.unwrap_or(told)
}

fn memory_mib(field: &str) -> u64 {
    let meminfo = file("/proc/meminfo");
    let line = meminfo.lines().find(|line| line.starts_with(field));
    line.and_then(|line| line.split_whitespace().nth(1)).and_then(|kib| kib.parse::<u64>().ok()).unwrap_or(0) / 1024
}

/// Time that the host took from us, of all time, since the start of the system.
fn stolen() -> f64 {
    let stat = file("/proc/stat");
    let times: Vec<f64> =
        stat.lines().next().unwrap_or_default().split_whitespace().skip(1).filter_map(|n| n.parse().ok()).collect();
    times.get(7).copied().unwrap_or(0.0) / times.iter().take(8).sum::<f64>().max(1.0)
}

/// Cores that this process may use.
pub fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// Load average of the last minute.
pub fn load_average() -> f64 {
    file("/proc/loadavg").split(' ').next().and_then(|load| load.parse().ok()).unwrap_or(0.0)
}

/// Versions of what is not built from the lock file.
fn versions() -> Value {
    let first = |program: &str| {
        let output = Command::new(program).arg("--version").output();
        output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned()).unwrap_or_default()
    };
    let header = file("/usr/include/rocksdb/version.h");
    let part = |name: &str| {
        let line = header.lines().find(|line| line.starts_with(&format!("#define ROCKSDB_{name} ")));
        line.and_then(|line| line.split_whitespace().nth(2)).unwrap_or("?").to_owned()
    };
    let rocksdb = ["MAJOR", "MINOR", "PATCH"].map(part).join(".");
    json!({"fio": first("fio"), "redis": first("redis-server"), "rocksdb": rocksdb})
}

/// All of them.
pub fn read(dir: &Path) -> Result<Value> {
    let (kind, options, device) = mount(dir);
    let model = file("/proc/cpuinfo");
    let model = model.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or_default();
    Ok(json!({
        "file_system": kind,
        "mount_options": options,
        "scheduler": scheduler(&device),
        "kernel": file("/proc/sys/kernel/osrelease"),
        "processor": model.trim_start_matches([' ', '\t', ':']),
        "cores": cores(),
        "load": load_average(),
        "stolen_share": stolen(),
        "memory_mib": memory_mib("MemTotal"),
        "free_memory_mib": memory_mib("MemAvailable"),
        "cache_dropped_by": room::drop_cache(dir)?,
        "versions": versions(),
    }))
}

/// In one line.
pub fn told(conditions: &Value) -> String {
    let word = |name: &str| conditions[name].as_str().unwrap_or_default().to_owned();
    format!(
        "{} {} {}, kernel {}, {} cores, load {}, {} MiB of {} MiB free",
        word("file_system"),
        word("mount_options"),
        word("scheduler"),
        word("kernel"),
        conditions["cores"],
        conditions["load"],
        conditions["free_memory_mib"],
        conditions["memory_mib"]
    )
}
