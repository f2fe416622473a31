//! Rows 4 and 17: the device is slow, or stands still for a while.
//!
//! Law: a slow device is not a broken one: appends are answered, the wait for durability ends at its bound and says how far
//! it is, nothing fails. Must not know: how long anything takes.

use crate::Cases;
use crate::tools::wait_until;
use crate::volume::Volume;
use crate::writer::{CHUNK_BYTES, Writer, holds, lives_on};
use std::fs;
use std::path::{Path, PathBuf};

/// Bytes each second.
const RATE: u64 = 1 << 20;

pub fn add(cases: &mut Cases) {
    cases.on_each("row_04_killed_at_the_end_of_its_time_in_a_slow_seal", killed_in_a_slow_seal);
    cases.on_each("row_17_a_slow_device_is_only_slow", only_slow);
    cases.on_each("row_17_a_device_that_hangs_for_a_while", hangs);
}

/// A control group whose processes write to a device at no more than [`RATE`].
struct Throttle(PathBuf);

impl Throttle {
    fn of(device: &str, pid: u32) -> Throttle {
        let (root, file, rule) = if Path::new("/sys/fs/cgroup/blkio").exists() {
            ("/sys/fs/cgroup/blkio", "blkio.throttle.write_bps_device", format!("{device} {RATE}"))
        } else {
            fs::write("/sys/fs/cgroup/cgroup.subtree_control", "+io").expect("control groups can limit devices");
            ("/sys/fs/cgroup", "io.max", format!("{device} wbps={RATE}"))
        };
        let group = Throttle(Path::new(root).join(format!("jet-store-faults-{}", std::process::id())));
        fs::create_dir(&group.0).unwrap();
        fs::write(group.0.join(file), rule).unwrap();
        fs::write(group.0.join("cgroup.procs"), pid.to_string()).unwrap();
        group
    }
}

impl Drop for Throttle {
    fn drop(&mut self) {
        // It can go when its last process has gone.
        for _ in 0..1000 {
            if fs::remove_dir(&self.0).is_ok() || !self.0.exists() {
                return;
            }
            std::thread::park_timeout(std::time::Duration::from_millis(10));
        }
    }
}

/// A writer of records of 60 kB, with a thread of the store that writes.
fn begun(volume: &Volume, dir: &Path) -> (Throttle, Writer) {
    let mut writer = Writer::with(&[], dir, &[64 << 20]);
    writer.all(&["cadence 20", "open", "go-on", "append 10", "flush", "seal before", "go-on", "size 60000"]);
    (Throttle::of(&volume.device(), writer.pid), writer)
}

fn only_slow(volume: &Volume) {
    let dir = volume.dir("store");
    let (throttle, mut writer) = begun(volume, &dir);
    writer.must("append 100");
    writer.must_not("flush-within 100", "not durable after");
    writer.must("append 5");
    let health = writer.must("health");
    assert!(health.contains("failure: None") && health.contains("lagging: []"), "{health}");
    writer.must("flush");
    assert_eq!(writer.durable, 115);
    writer.must("seal slowly");
    writer.kill();
    drop(throttle);
    assert!(lives_on(&dir, 115).starts_with("sealed 2 by slowly"));
}

fn killed_in_a_slow_seal(volume: &Volume) {
    let dir = volume.dir("store");
    let (throttle, mut writer) = begun(volume, &dir);
    writer.must("append 150");
    writer.send("seal too-late");
    let chunk = dir.join("data/gen-2/log-2.jl");
    let written = || fs::metadata(&chunk).is_ok_and(|meta| meta.len() > RATE);
    wait_until("the seal is under way", written);
    let durable = writer.kill();
    drop(throttle);
    assert_eq!(durable, 10, "nothing more was acknowledged");
    let found = holds(&dir, durable);
    assert!(found.starts_with("unsealed 2"), "no half seal counts: {found}");
    lives_on(&dir, durable);
}

fn hangs(volume: &Volume) {
    let dir = volume.dir("store");
    Writer::on(&dir).all(&["open", "go-on", "append 10", "flush", "close"]);
    let next = dir.join("data/gen-1/log-2.jl");
    let inject = "inject=fdatasync:delay_enter=3000000:when=1";
    let above = ["strace", "-f", "-qq", "-o", "/dev/null", "-P", next.to_str().unwrap(), "-e", inject];
    let mut writer = Writer::with(&above, &dir, &[CHUNK_BYTES, 200_000]);
    writer.all(&["cadence 20", "open", "go-on", "append 5"]);
    writer.must_not("flush-within 200", "not durable after");
    writer.must("append 50");
    // The bound in RAM is met while the device hangs: the partition lags, and says so.
    writer.must_not("append 1000", "Lagging");
    assert!(writer.must("health").contains("failure: None"));
    writer.must("flush");
    let due = writer.must("due");
    assert_ne!(due, "[]", "what lags is to be written whole");
    lives_on(&dir, writer.kill());
}
