//! Asks a process of its own to do one piece of work, and takes its answer.

use crate::content::Content;
use anyhow::{Context, Result, bail};
use serde_json::Value;
use std::path::Path;
use std::process::{Command, Stdio};

/// The size of a data set, without its bytes.
#[derive(Debug, Clone, Copy)]
pub struct Size {
    /// Bytes of a value.
    pub value_bytes: usize,
    /// Records.
    pub records: u64,
}

impl Size {
    /// About so many bytes of such values.
    pub fn of(value_bytes: usize, bytes: u64) -> Self {
        Size { value_bytes, records: Content::of_bytes(value_bytes, bytes) }
    }

    /// Keys and values, in bytes.
    pub fn payload(self) -> u64 {
        self.records * (crate::content::KEY_BYTES + self.value_bytes) as u64
    }

    /// As figures are named.
    pub fn label(self) -> String {
        match self.value_bytes {
            bytes if bytes % 1024 == 0 => format!("{}k", bytes / 1024),
            bytes => format!("{bytes}b"),
        }
    }
}

fn ask(words: &[&str], dir: &Path, size: Size, more: &[&str]) -> Result<Value> {
    let mut command = Command::new(std::env::current_exe()?);
    command.arg("work").args(words).arg(dir).args([size.value_bytes.to_string(), size.records.to_string()]).args(more);
    let output = command.stdin(Stdio::null()).stderr(Stdio::inherit()).output().context("a process for the work")?;
    if !output.status.success() {
        bail!("{}: {}", words.join(" "), output.status);
    }
    serde_json::from_slice(&output.stdout).with_context(|| format!("what {} answered", words.join(" ")))
}

/// A number of an answer.
pub fn number(answer: &Value, name: &str) -> Result<f64> {
    answer[name].as_f64().with_context(|| format!("no {name} in {answer}"))
}

/// Saves; seconds until durable, and until all is done.
pub fn save(who: &str, dir: &Path, size: Size) -> Result<(f64, f64)> {
    let answer = ask(&["save", who], dir, size, &[])?;
    Ok((number(&answer, "durable")?, number(&answer, "seconds")?))
}

/// Loads.
pub fn load(who: &str, dir: &Path, size: Size, table: &str) -> Result<Value> {
    ask(&["load", who], dir, size, &[table])
}

/// Overwrites.
pub fn overwrite(dir: &Path, size: Size, law: &str, multiples: u64) -> Result<Value> {
    ask(&["overwrite"], dir, size, &[law, &multiples.to_string()])
}

/// Times appends.
pub fn append(dir: &Path, size: Size) -> Result<Value> {
    ask(&["append"], dir, size, &[])
}
