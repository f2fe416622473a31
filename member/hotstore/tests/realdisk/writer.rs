//! The program that drives a store in a process of its own, and what it acknowledged.
//!
//! Law: `durable` is what the program said before it died, whatever came after. Must not know: which fault it runs under.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

/// Longest wait for an answer.
const ANSWER: Duration = Duration::from_secs(60);
/// Chunks are closed so early that a short workload has several.
pub const CHUNK_BYTES: u64 = 60_000;

/// What became of a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    Done(String),
    Refused(String),
    /// The process is no more.
    Gone,
}

pub struct Writer {
    child: Child,
    to: Option<ChildStdin>,
    lines: Receiver<String>,
    /// Records 1..=this were acknowledged.
    pub durable: u64,
    /// Of the store's process, which may be below a tracer.
    pub pid: u32,
}

/// Where cargo builds the program.
pub fn program() -> PathBuf {
    let this = std::env::current_exe().unwrap();
    this.parent().and_then(Path::parent).unwrap().join("examples/workload")
}

impl Writer {
    pub fn on(dir: &Path) -> Writer {
        Writer::under(&[], dir)
    }

    /// Below another program: a tracer, a limit.
    pub fn under(above: &[&str], dir: &Path) -> Writer {
        Writer::with(above, dir, &[CHUNK_BYTES])
    }

    pub fn with(above: &[&str], dir: &Path, numbers: &[u64]) -> Writer {
        let program = program();
        let mut line = above.to_vec();
        line.extend([program.to_str().unwrap(), dir.to_str().unwrap()]);
        let mut command = Command::new(line[0]);
        command.args(&line[1..]).args(numbers.iter().map(u64::to_string));
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let (to, from) = (child.stdin.take(), child.stdout.take().unwrap());
        let (line, lines) = channel();
        std::thread::spawn(move || {
            BufReader::new(from).lines().map_while(Result::ok).all(|text| line.send(text).is_ok())
        });
        let mut writer = Writer { child, to, lines, durable: 0, pid: 0 };
        // A process that was ended at once has said nothing.
        if let Some(first) = writer.line() {
            writer.pid = first.strip_prefix("pid ").expect("the pid comes first").parse().unwrap();
        }
        writer
    }

    fn line(&mut self) -> Option<String> {
        match self.lines.recv_timeout(ANSWER) {
            Ok(line) => Some(line),
            Err(RecvTimeoutError::Disconnected) => None,
            Err(RecvTimeoutError::Timeout) => panic!("no answer in {ANSWER:?}"),
        }
    }

    /// Without waiting for the answer.
    pub fn send(&mut self, command: &str) {
        if let Some(to) = self.to.as_mut() {
            // Who is gone is seen when the answer is read.
            let _ = writeln!(to, "{command}");
        }
    }

    /// The process ends when it has done what it was told.
    pub fn no_more(&mut self) {
        self.to = None;
    }

    pub fn answer(&mut self) -> Answer {
        let answer = self.unjudged();
        if let Answer::Refused(why) = &answer {
            assert!(!why.contains("WRONG"), "{why}");
        }
        answer
    }

    /// The answer, also where what was acknowledged is not there.
    pub fn tell_unjudged(&mut self, command: &str) -> Answer {
        self.send(command);
        self.unjudged()
    }

    fn unjudged(&mut self) -> Answer {
        while let Some(line) = self.line() {
            if let Some(upto) = line.strip_prefix("durable ") {
                self.durable = self.durable.max(upto.parse().unwrap());
            } else if let Some(rest) = line.strip_prefix("ok ") {
                return Answer::Done(rest.split_once(": ").map_or("", |(_, told)| told).to_owned());
            } else if let Some(rest) = line.strip_prefix("error ") {
                return Answer::Refused(rest.to_owned());
            }
        }
        Answer::Gone
    }

    pub fn tell(&mut self, command: &str) -> Answer {
        self.send(command);
        self.answer()
    }

    /// What must go well.
    pub fn must(&mut self, command: &str) -> String {
        match self.tell(command) {
            Answer::Done(told) => told,
            other => panic!("{command}: {other:?}"),
        }
    }

    /// What must be refused, with these words in the reason.
    pub fn must_not(&mut self, command: &str, words: &str) -> String {
        match self.tell(command) {
            Answer::Refused(why) if why.contains(words) => why,
            other => panic!("{command}: {other:?}, and not refused with `{words}`"),
        }
    }

    pub fn all(&mut self, commands: &[&str]) {
        commands.iter().for_each(|command| drop(self.must(command)));
    }

    pub fn is_gone(&mut self) -> bool {
        self.child.try_wait().is_ok_and(|status| status.is_some())
    }

    /// SIGKILL.
    pub fn kill(mut self) -> u64 {
        self.end_process();
        self.durable
    }

    /// SIGKILL, whatever holds it; the answers given before can still be read.
    pub fn strike(&mut self) {
        if let Some(pid) = rustix::process::Pid::from_raw(self.pid as i32).filter(|_| !self.is_gone()) {
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
        }
    }

    fn end_process(&mut self) {
        self.strike();
        self.to = None;
        let _ = self.child.wait();
    }

    /// Its input is at an end; it ends by itself.
    pub fn end(mut self) -> ExitStatus {
        self.to = None;
        self.child.wait().unwrap()
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.end_process();
    }
}

/// Opens the store as a new process would and says what it is: every record up to `durable` is there, whatever else is
/// there is right.
pub fn holds(dir: &Path, durable: u64) -> String {
    let mut reader = Writer::on(dir);
    let standing = reader.must("open");
    reader.must(&format!("check {durable}"));
    standing
}

/// The same, and it goes on: it takes records, is sealed and found sealed.
pub fn lives_on(dir: &Path, durable: u64) -> String {
    let mut second = Writer::on(dir);
    let standing = second.must("open");
    second.must(&format!("check {durable}"));
    second.all(&["go-on", "rewrite-due", "append 30", "flush", "epoch 900", "seal second-life"]);
    let durable = second.durable;
    second.all(&["drop", "open", &format!("check {durable}")]);
    drop(second);
    let found = holds(dir, durable);
    assert!(found.contains("by second-life"), "{found}");
    standing
}
