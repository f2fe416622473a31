//! File systems that take no direct access, or none of blocks of 4096: the store goes through the page cache.
//!
//! Must not know: why they do not.

use crate::Cases;
use crate::script::SCRIPT;
use crate::tools::run;
use crate::writer::{Writer, holds, lives_on};
use std::path::Path;

/// More than the blocks that the store writes in.
const SECTOR: &str = "16384";

pub fn add(cases: &mut Cases) {
    cases.with_room("aside_direct_access_is_refused_when_a_file_is_opened_on_ramfs", refused_at_open);
    cases.with_room(
        "aside_direct_access_is_refused_at_the_first_write_and_read_on_xfs_with_larger_sectors",
        refused_later,
    );
    cases.with_room(
        "aside_direct_access_is_refused_in_the_middle_of_a_chunk_on_xfs_with_larger_sectors",
        refused_in_the_middle,
    );
}

fn a_life(dir: &Path) {
    let mut writer = Writer::on(dir);
    writer.all(&SCRIPT);
    let durable = writer.durable;
    writer.end();
    assert!(lives_on(dir, durable).starts_with("sealed 2 by second"));
}

fn refused_at_open(room: &Path) {
    std::fs::create_dir_all(room).unwrap();
    run(&["mount", "-t", "ramfs", "none", room.to_str().unwrap()]);
    a_life(&room.join("store"));
}

fn mount_with_larger_sectors(room: &Path) {
    let (image, at) = (room.join("image"), room.join("mount"));
    std::fs::create_dir_all(&at).unwrap();
    std::fs::File::create(&image).unwrap().set_len(512 << 20).unwrap();
    let device = run(&["losetup", "--find", "--show", "--sector-size", SECTOR, image.to_str().unwrap()]);
    let device = device.trim();
    let block = format!("size={SECTOR}");
    run(&["mkfs.xfs", "-q", "-f", "-b", &block, "-s", &block, device]);
    run(&["mount", device, at.to_str().unwrap()]);
    // It goes when it is no longer mounted.
    run(&["losetup", "--detach", device]);
}

fn refused_later(room: &Path) {
    mount_with_larger_sectors(room);
    a_life(&room.join("mount/store"));
}

/// Where the first batch of a chunk fits the sectors, direct writes seem to go well until one does not.
fn refused_in_the_middle(room: &Path) {
    mount_with_larger_sectors(room);
    let mut fitting = 0;
    for carried in 1..=20 {
        let dir = room.join(format!("mount/store-{carried}"));
        // What could not be written to the first chunk is carried into the second.
        let first = dir.join("data/gen-1/log-1.jl");
        let inject = "inject=pwrite64:error=EIO:when=1";
        let above = ["strace", "-f", "-o", "/dev/null", "-P", first.to_str().unwrap(), "-e", inject];
        let mut writer = Writer::with(&above, &dir, &[64 << 20]);
        writer.all(&["open", "go-on", &format!("append {carried}")]);
        writer.must_not("flush", "os error 5");
        writer.must("retry");
        let begun = std::fs::metadata(dir.join("data/gen-1/log-2.jl")).unwrap().len();
        fitting += usize::from(begun.is_multiple_of(16384));
        writer.all(&["append 1", "flush", "append 5", "flush", "seal s"]);
        let durable = writer.kill();
        assert!(holds(&dir, durable).starts_with("sealed 1 by s"));
    }
    assert!(fitting > 0, "no chunk began with a batch that fits the sectors");
}
