//! Rows 14 and 61: no room is left, while records are written and by what is kept.
//!
//! Law: what is full is said; what is kept is never freed to make room. Must not know: why the volume is so small.

use crate::Cases;
use crate::tools::wait_until;
use crate::volume::Volume;
use crate::writer::{Answer, Writer, holds, lives_on};

/// What is left beside the ballast.
const ROOM: u64 = 14 << 20;

pub fn add(cases: &mut Cases) {
    cases.on_each("row_14_no_space_in_the_middle_then_room_is_made", runs_full);
    cases.on_each("row_14_no_space_for_the_seal_then_room_is_made", seals_full);
    cases.on_each("row_61_the_last_good_seal_stays_on_a_full_volume", keeps_the_last_seal);
}

/// Gives the reason of the first flush that is refused.
fn fill(writer: &mut Writer) -> String {
    let mut why = None;
    wait_until("the volume is full", || {
        writer.must("append 10");
        if let Answer::Refused(refused) = writer.tell("flush") {
            why = Some(refused);
        }
        why.is_some()
    });
    why.unwrap()
}

/// Freed room is not at once there in each file system.
fn retry(writer: &mut Writer) {
    wait_until("a new file can be begun", || matches!(writer.tell("retry"), Answer::Done(_)));
}

fn runs_full(volume: &Volume) {
    let dir = volume.dir("store");
    let mut writer = Writer::with(&[], &dir, &[2 << 20]);
    writer.all(&["open", "go-on", "size 60000", "append 5", "flush"]);
    let ballast = volume.leave_free(ROOM);
    let why = fill(&mut writer);
    assert!(why.contains("os error 28") && why.contains("free or repair the volume"), "{why}");
    let durable = writer.durable;
    writer.must_not("room 100000000", "nothing retained is freed to make room");
    // A copy of what the process would find if it died now: all that was acknowledged.
    std::fs::remove_file(ballast).unwrap();
    volume.settle();
    writer.must("append 5");
    retry(&mut writer);
    writer.all(&["flush", "append 5", "flush"]);
    assert!(writer.durable > durable + 10, "what waited is durable too");
    lives_on(&dir, writer.kill());
}

fn seals_full(volume: &Volume) {
    let dir = volume.dir("store");
    let mut writer = Writer::with(&[], &dir, &[2 << 20]);
    writer.all(&["open", "go-on", "size 60000", "append 5", "flush", "seal first", "go-on"]);
    let ballast = volume.leave_free(ROOM);
    fill(&mut writer);
    let durable = writer.durable;
    writer.must_not("seal second", "");
    drop(writer);
    // After a crash in this state the volume is still full; it is opened when there is room.
    std::fs::remove_file(ballast).unwrap();
    volume.settle();
    assert!(lives_on(&dir, durable).starts_with("unsealed 2"));
}

fn keeps_the_last_seal(volume: &Volume) {
    let dir = volume.dir("store");
    Writer::on(&dir).all(&["open", "go-on", "size 60000", "append 20", "flush", "seal kept", "close"]);
    let copy = volume.dir("quarantined");
    volume.leave_free(ROOM);
    // Old content set aside takes what is left.
    let blob = vec![7; 1 << 20];
    std::fs::create_dir(&copy).unwrap();
    let full = (0..100).find(|n| std::fs::write(copy.join(n.to_string()), &blob).is_err());
    assert!(full.is_some(), "the volume is full");
    let mut writer = Writer::on(&dir);
    if let Answer::Done(_) = writer.tell("open") {
        writer.must("check 20");
        let _ = writer.tell("go-on");
        writer.send("append 400");
        let _ = writer.answer();
        let _ = writer.tell("flush");
    }
    drop(writer);
    std::fs::remove_dir_all(&copy).unwrap();
    volume.settle();
    holds(&dir, 20);
    let mut reader = Writer::on(&dir);
    reader.must("open");
    reader.must("verify-last-seal");
}
