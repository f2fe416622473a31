//! A workload of many changing calls, and where it may be found when it was broken off.
//!
//! Law: what was answered is true, what was under way is true or not, nothing else. Must not know: what broke it off.

use crate::tools::run;
use crate::writer::{Answer, Writer};
use std::path::Path;

/// Appends, fsyncs, several chunks, rewrites, snapshots, two seals.
pub const SCRIPT: [&str; 20] = [
    "open",
    "go-on",
    "append 20",
    "flush",
    "append 60",
    "rewrite 3",
    "flush",
    "epoch 1",
    "append 40",
    "flush",
    "seal first",
    "go-on",
    "append 30",
    "flush",
    "epoch 2",
    "append 30",
    "rewrite 1",
    "flush",
    "seal second",
    "close",
];

/// Calls that change the disk.
pub const CHANGING: &str = "rename,unlink,mkdir,pwrite64,fdatasync,fsync";

/// How far it came.
pub struct Outcome {
    /// Commands that were answered.
    pub answered: usize,
    pub durable: u64,
}

/// Tells everything at once; answers are read when the process is no more, or here all of them.
pub fn send_all(writer: &mut Writer) {
    SCRIPT.iter().for_each(|command| writer.send(command));
}

/// Reads the answers up to the end of the process or of the script.
pub fn outcome(writer: &mut Writer) -> Outcome {
    let mut answered = 0;
    while answered < SCRIPT.len() {
        match writer.answer() {
            Answer::Done(_) => answered += 1,
            Answer::Gone => break,
            Answer::Refused(why) => panic!("{why}"),
        }
    }
    Outcome { answered, durable: writer.durable }
}

/// Runs it whole and gives the names of the changing calls of the thread that makes all but the appends, in order.
pub fn calls(dir: &Path, log: &Path) -> Vec<String> {
    let trace = format!("trace={CHANGING}");
    let mut writer = Writer::under(&["strace", "-f", "-qq", "-o", log.to_str().unwrap(), "-e", &trace], dir);
    send_all(&mut writer);
    assert_eq!(outcome(&mut writer).answered, SCRIPT.len());
    let pid = format!("{} ", writer.pid);
    writer.end();
    run(&["rm", "-r", dir.to_str().unwrap()]);
    let text = std::fs::read_to_string(log).unwrap();
    let own = text.lines().filter_map(|line| line.strip_prefix(&pid)).filter(|call| !call.contains("resumed>"));
    own.filter_map(|call| call.trim_start().split_once('(')).map(|(name, _)| name.to_owned()).collect()
}

/// How a call of that run, counted from 0, is told to the tracer: it counts each name for itself.
pub fn at(calls: &[String], n: usize, what: &str) -> String {
    let name = &calls[n];
    let nth = calls[..=n].iter().filter(|call| *call == name).count();
    format!("inject={name}:{what}:when={nth}")
}

/// So many of these, spread evenly.
pub fn spread(of: &[usize], count: usize) -> Vec<usize> {
    (0..count.min(of.len())).map(|n| of[n * of.len() / count.min(of.len())]).collect()
}

impl Outcome {
    /// What it was found as is what was answered, or what was under way.
    pub fn allows(&self, found: &str) {
        let under_way = SCRIPT.get(self.answered).copied().unwrap_or("");
        let (before, _) = SCRIPT.split_at(self.answered);
        let generation = before.iter().filter(|command| **command == "go-on").count();
        let last_seal = before.iter().rposition(|command| command.starts_with("seal"));
        let last_begin = before.iter().rposition(|command| *command == "go-on");
        let sealed = |command: &str| command.strip_prefix("seal ").map(|by| format!("sealed {generation} by {by} "));
        let mut allowed = Vec::new();
        match last_seal.filter(|seal| last_begin.is_none_or(|begin| *seal > begin)) {
            Some(seal) => allowed.extend(sealed(before[seal])),
            None if generation == 0 => allowed.extend(["blank ".to_owned(), "unsealed 0 ".to_owned()]),
            None => allowed.push(format!("unsealed {generation} ")),
        }
        allowed.extend(sealed(under_way));
        if under_way == "go-on" {
            allowed.extend(["unsealed 0 ".to_owned(), format!("unsealed {} ", generation + 1)]);
        }
        let is_allowed = allowed.iter().any(|standing| found.starts_with(standing.as_str()));
        assert!(is_allowed, "found `{found}`, allowed {allowed:?}; under way `{under_way}`");
        for epoch in before.iter().filter_map(|command| command.strip_prefix("epoch ")) {
            let all = found.split_once('[').and_then(|(_, rest)| rest.split_once(']')).map_or("", |(all, _)| all);
            assert!(all.split(", ").any(|found| found == epoch), "snapshot {epoch} is gone: {found}");
        }
    }
}
