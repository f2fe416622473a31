//! Row 13: the device below the file system fails, as one does whose last blocks are gone.
//!
//! Must not know: how the file system takes it.

use crate::Cases;
use crate::tools::wait_until;
use crate::volume::{Kind, Volume, clear};
use crate::writer::{Answer, Writer, lives_on};
use std::path::Path;

/// What the device takes before it fails, beyond what an empty file system needs.
const ROOM: u64 = 24 << 20;
const HEALED: u64 = 400 << 20;

pub fn add(cases: &mut Cases) {
    cases.for_each("row_13_the_device_fails_under_the_writer", fails);
}

fn fails(room: &Path, kind: Kind) {
    // What mkfs writes is different from one to the other; a first volume tells it.
    let taken = {
        let room = room.join("measured");
        let measured = Volume::on_failing_device(&room, kind, HEALED);
        measured.settle();
        let stat = rustix::fs::statvfs(room.join("below")).unwrap();
        clear(&room);
        (stat.f_blocks - stat.f_bfree) * stat.f_frsize
    };
    let volume = Volume::on_failing_device(room, kind, taken + ROOM);
    let dir = volume.dir("store");
    let mut writer = Writer::with(&[], &dir, &[4 << 20]);
    writer.all(&["open", "go-on", "size 60000", "append 20", "flush", "seal before", "go-on"]);
    let why = write_until_refused(&mut writer);
    assert!(why.contains(dir.to_str().unwrap()), "it names the file: {why}");
    // Callers go on; nothing is said to be durable.
    let durable = writer.durable;
    writer.must("append 1");
    assert!(matches!(writer.tell("flush"), Answer::Refused(_)));
    assert_eq!(writer.kill(), durable);
    volume.heal_device(HEALED);
    volume.again();
    assert!(lives_on(&dir, durable).starts_with("unsealed 2"), "nothing acknowledged went, and no seal was made");
}

/// Gives the reason of the first flush that is refused.
fn write_until_refused(writer: &mut Writer) -> String {
    let mut why = None;
    wait_until("the device has failed", || {
        writer.must("append 10");
        match writer.tell("flush") {
            Answer::Refused(refused) => why = Some(refused),
            Answer::Done(_) => {}
            Answer::Gone => panic!("the process died"),
        }
        why.is_some()
    });
    why.unwrap()
}
