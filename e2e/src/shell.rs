//! Commands and bounded waiting.
//!
//! Law: a command that fails takes the test down with everything that it printed; no wait is without a bound, and a
//! bound that is hit prints the last state. Must not know: Kubernetes.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Pause between two looks at a condition.
const LOOK: Duration = Duration::from_millis(300);

/// Runs `program` and answers its standard output, or everything it printed as the error.
pub fn attempt(program: &str, args: &[&str], input: Option<&str>) -> Result<String, String> {
    let mut command = Command::new(program);
    command
        .args(args)
        .stdin(if input.is_some() { Stdio::piped() } else { Stdio::null() })
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().map_err(|e| format!("{program}: {e}"))?;
    if let Some(text) = input {
        use std::io::Write;
        child.stdin.take().expect("piped").write_all(text.as_bytes()).map_err(|e| e.to_string())?;
    }
    let out = child.wait_with_output().map_err(|e| e.to_string())?;
    let text = String::from_utf8_lossy(&out.stdout).into_owned();
    if out.status.success() {
        Ok(text)
    } else {
        Err(format!("{program} {}: {}\n{text}{}", args.join(" "), out.status, String::from_utf8_lossy(&out.stderr)))
    }
}

/// Like [`attempt`]; a failure is the test's.
pub fn run(program: &str, args: &[&str]) -> String {
    attempt(program, args, None).unwrap_or_else(|said| panic!("{said}"))
}

/// Runs a bash script of several commands.
pub fn bash(script: &str) -> Result<String, String> {
    attempt("bash", &["-euo", "pipefail", "-c", script], None)
}

/// Waits until `look` has a value; `Err` is the state so far, which a hit bound prints.
pub fn wait_for<T>(what: &str, bound: Duration, mut look: impl FnMut() -> Result<T, String>) -> T {
    let from = Instant::now();
    let mut last = String::new();
    loop {
        match look() {
            Ok(value) => return value,
            Err(state) => {
                assert!(from.elapsed() < bound, "{what}: not within {bound:?}; last state: {state}");
                if state != last {
                    eprintln!("  {what}: {state}");
                    last = state;
                }
            }
        }
        std::thread::sleep(LOOK);
    }
}

/// Looks at a condition for the whole time and fails as soon as it does not hold.
pub fn holds_for(what: &str, time: Duration, mut look: impl FnMut() -> Result<(), String>) {
    let from = Instant::now();
    while from.elapsed() < time {
        if let Err(state) = look() {
            panic!("{what}: no longer after {:?}: {state}", from.elapsed());
        }
        std::thread::sleep(LOOK);
    }
}
