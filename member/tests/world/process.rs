//! One real `jet-member` process.
//!
//! Law: it is ended when the test is; its log is kept and shown when a test fails. Must not know: the cluster.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Resource, Rlimit, Signal, kill_process, prlimit};

/// What a program is started through whose writes are to be refused later: it is not ended by that, and what it says goes
/// through a pipe, which is no file.
pub const REFUSABLE: [&str; 4] = [
    "sh",
    "-c",
    r#"trap '' XFSZ; said=$(mktemp -u); mkfifo "$said"; (cat "$said" >&2; rm "$said") & exec "$@" 2> "$said""#,
    "sh",
];

pub struct Process {
    child: Child,
    pub log: PathBuf,
}

impl Process {
    /// `enter`: what runs the program elsewhere and becomes it (`nsenter …`), or nothing.
    pub fn start(enter: &[String], arguments: &[String], log: &Path) -> Self {
        let out = File::options().create(true).append(true).open(log).unwrap();
        let words: Vec<&str> = enter.iter().map(String::as_str).chain([env!("CARGO_BIN_EXE_jet-member")]).collect();
        let child = Command::new(words[0])
            .args(&words[1..])
            .args(arguments)
            .env(
                "JET_LOG",
                std::env::var("JET_LOG").unwrap_or_else(|_| "info,openraft=off,hyper=warn,rustls=warn".into()),
            )
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(out)
            .spawn()
            .unwrap();
        Self { child, log: log.to_owned() }
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    fn pid(&self) -> Pid {
        Pid::from_raw(i32::try_from(self.child.id()).unwrap()).unwrap()
    }

    fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).unwrap();
    }

    /// No file takes a byte any more from this process, or all do again: a full disk that is its own. It must have been
    /// started through [`REFUSABLE`].
    pub fn may_write(&self, may: bool) {
        let current = if may { None } else { Some(0) };
        prlimit(Some(self.pid()), Resource::Fsize, Rlimit { current, maximum: None }).unwrap();
    }

    /// SIGSTOP.
    pub fn pause(&self) {
        self.signal(Signal::STOP);
    }

    /// SIGCONT.
    pub fn go_on(&self) {
        self.signal(Signal::CONT);
    }

    /// SIGKILL.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// SIGTERM.
    pub fn ask_to_end(&self) {
        self.signal(Signal::TERM);
    }

    /// SIGTERM, and wait for the end.
    pub fn terminate(self, bound: Duration) -> Duration {
        self.ask_to_end();
        self.ends(bound)
    }

    /// Waits for an end in order.
    pub fn ends(mut self, bound: Duration) -> Duration {
        let begun = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                assert!(status.success(), "the member ended with {status}; its log: {}", tail(&self.log));
                return begun.elapsed();
            }
            assert!(
                begun.elapsed() < bound,
                "the process is still there after {bound:?}; its log: {}",
                tail(&self.log)
            );
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Waits for an end with a failure; gives the log.
    pub fn fails(mut self, bound: Duration) -> String {
        let begun = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                assert!(!status.success(), "the member ended in order; its log: {}", tail(&self.log));
                return std::fs::read_to_string(&self.log).unwrap();
            }
            assert!(begun.elapsed() < bound, "the process is still there after {bound:?}: {}", tail(&self.log));
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// How it ended, if it has.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap()
    }

    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The end of a log, for failures.
pub fn tail(log: &Path) -> String {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    let from = lines.len().saturating_sub(40);
    format!("\n--- {}\n{}\n", log.display(), lines[from..].join("\n"))
}
