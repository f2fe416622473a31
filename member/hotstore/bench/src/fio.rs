//! The other limit: the best that fio gets out of the device in a small grid of settings.
//!
//! The law: same bytes, same file system, past the page cache, synced at the end; reads are of files that it wrote itself.
//! Must not know: the store.

use anyhow::{Context, Result, bail};
use serde_json::Value;
use std::path::Path;
use std::process::Command;

/// One setting of the grid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Setting {
    /// MiB of a block.
    pub block_mib: u64,
    /// Files, one thread each.
    pub jobs: u64,
}

/// What is tried.
pub const GRID: [Setting; 4] = [
    Setting { block_mib: 1, jobs: 1 },
    Setting { block_mib: 1, jobs: 2 },
    Setting { block_mib: 4, jobs: 1 },
    Setting { block_mib: 4, jobs: 2 },
];

impl Setting {
    /// In words, for the conditions.
    pub fn told(self) -> String {
        format!("bs={}M numjobs={} libaio iodepth=32 direct end_fsync fallocate=posix", self.block_mib, self.jobs)
    }

    fn run(self, dir: &Path, bytes: u64, way: &str, more: &[&str]) -> Result<f64> {
        let each = (bytes / self.jobs / (self.block_mib << 20)).max(1) * (self.block_mib << 20);
        let output = Command::new("fio")
            .args(["--name=limit", "--filename_format=fio.$jobnum", "--direct=1", "--ioengine=libaio", "--iodepth=32"])
            .args(["--group_reporting", "--output-format=json", &format!("--rw={way}")])
            .arg(format!("--directory={}", dir.display()))
            .args([format!("--bs={}M", self.block_mib), format!("--numjobs={}", self.jobs), format!("--size={each}")])
            .args(more)
            .output()
            .context("fio")?;
        if !output.status.success() {
            bail!("fio: {}", String::from_utf8_lossy(&output.stderr));
        }
        // Warnings may come before the first brace.
        let from = output.stdout.iter().position(|byte| *byte == b'{').unwrap_or(0);
        let told: Value = serde_json::from_slice(&output.stdout[from..]).context("what fio said")?;
        let rate = told["jobs"][0][way]["bw_bytes"].as_f64().unwrap_or(0.0);
        if rate > 0.0 { Ok(rate) } else { bail!("fio told no rate") }
    }

    /// Bytes a second, written and durable.
    pub fn write(self, dir: &Path, bytes: u64) -> Result<f64> {
        self.run(dir, bytes, "write", &["--end_fsync=1", "--fallocate=posix"])
    }

    /// Bytes a second, read from what `write` left.
    pub fn read(self, dir: &Path, bytes: u64) -> Result<f64> {
        self.run(dir, bytes, "read", &["--invalidate=1"])
    }
}
