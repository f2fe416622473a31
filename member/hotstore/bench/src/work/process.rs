//! What the system says of this process.

use anyhow::{Context, Result};
use std::fs;

/// Bytes of RAM.
pub(super) struct Memory {
    /// Now.
    pub rss: u64,
    /// At most so far.
    pub peak: u64,
}

fn number(path: &str, field: &str) -> Result<u64> {
    let text = fs::read_to_string(path)?;
    let line = text.lines().find_map(|line| line.strip_prefix(field)).with_context(|| format!("{path}: {field}"))?;
    let digits = line.split_whitespace().next().unwrap_or_default();
    digits.parse().with_context(|| format!("{path}: {field} {line}"))
}

/// RAM of this process.
pub(super) fn memory() -> Result<Memory> {
    let bytes = |field| number("/proc/self/status", field).map(|kib| kib << 10);
    Ok(Memory { rss: bytes("VmRSS:")?, peak: bytes("VmHWM:")? })
}

/// Bytes that this process sent to devices so far.
pub(super) fn written() -> Result<u64> {
    number("/proc/self/io", "write_bytes:")
}
