//! Programs that end by themselves, with their exit code and what they print.
//!
//! Law: one that does not end is ended with the test. Must not know: what it is told.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::world::PATIENCE;

const LOOK: Duration = Duration::from_millis(5);

/// A program of this workspace.
pub fn program(name: &str) -> PathBuf {
    let program = Path::new(env!("CARGO_BIN_EXE_jet-member")).with_file_name(name);
    assert!(program.is_file(), "{} is not built: cargo build --workspace --bins", program.display());
    program
}

/// Exit code, standard output and standard error, in this order as one text.
pub fn ended(command: &mut Command) -> (i32, String) {
    let environment =
        ["JET_MEMBER", "JET_TLS_DIR", "JET_CLUSTER_PASSWORD", "JET_LOG", "JET_CONFIG", "JET_ORDINAL", "JET_POD_NAME"];
    for name in environment {
        command.env_remove(name);
    }
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let begun = Instant::now();
    // What a program that fails prints fits into a pipe.
    while child.try_wait().unwrap().is_none() {
        if begun.elapsed() > PATIENCE {
            child.kill().unwrap();
            let out = child.wait_with_output().unwrap();
            panic!("{command:?} does not end: {}", String::from_utf8_lossy(&out.stderr));
        }
        std::thread::sleep(LOOK);
    }
    let out = child.wait_with_output().unwrap();
    let said = String::from_utf8(out.stdout).unwrap() + &String::from_utf8(out.stderr).unwrap();
    (out.status.code().unwrap(), said)
}

/// An exit code as the page has it.
pub fn exit(code: i32) -> String {
    assert_ne!(code, 0);
    format!("exit {code}")
}
