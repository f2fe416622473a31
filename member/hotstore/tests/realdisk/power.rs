//! Rows 5, 6 and 18: the power goes; what the device has in that moment is all there is.
//!
//! Law: a photograph of the image is taken while the process stands still, and mounted in place of the image. That it
//! loses what was not synced is shown by a disk that lies. Must not know: how the file systems do it.

use crate::Cases;
use crate::script::{self, Outcome, SCRIPT, calls, outcome, send_all, spread};
use crate::tools::wait_until;
use crate::volume::{Kind, Volume};
use crate::writer::{Answer, Writer, lives_on};
use std::path::Path;

const MOMENTS: usize = 10;

pub fn add(cases: &mut Cases) {
    cases.for_each("row_05_power_lost_between_a_rename_and_the_sync_of_its_directory", after_renames);
    cases.for_each("row_06_power_lost_before_what_was_written_is_synced", before_syncs);
    cases.for_each("row_06_power_lost_behind_each_answer", behind_answers);
    cases.on_each("row_18_a_disk_that_lies_about_fsync_gives_nothing_wrong", lies);
}

/// A call that is met by SIGSTOP is still carried out; the next is not.
const STOP: &str = "signal=STOP";

fn after_renames(room: &Path, kind: Kind) {
    cut_after(room, kind, "rename");
}

fn before_syncs(room: &Path, kind: Kind) {
    cut_after(room, kind, "pwrite64");
    // Chunks are written by threads of their own.
    let mut met = 0;
    for (generation, chunk) in [(1, 1), (1, 2), (1, 3), (2, 4), (2, 5)] {
        for nth in [1, 2] {
            let volume = Volume::new(&room.join(format!("chunk-{chunk}-{nth}")), kind);
            let path = volume.dir("store").join(format!("data/gen-{generation}/log-{chunk}.jl"));
            let inject = format!("inject=pwrite64:{STOP}:when={nth}");
            met += usize::from(cut(&volume, &room.join("trace"), &["-P", path.to_str().unwrap()], &inject));
        }
    }
    assert!(met >= 4, "only {met} writes of chunks were met");
}

/// What was answered is durable, with nothing under way that might make it so.
fn behind_answers(room: &Path, kind: Kind) {
    for answered in 1..=SCRIPT.len() {
        let volume = Volume::new(&room.join(answered.to_string()), kind);
        let dir = volume.dir("store");
        let mut writer = Writer::on(&dir);
        writer.all(&SCRIPT[..answered]);
        let photograph = volume.photograph();
        let durable = writer.kill();
        volume.cut_power(&photograph);
        Outcome { answered, durable }.allows(&lives_on(&dir, durable));
        volume.unmount();
    }
}

/// Cuts the power behind each of some calls of this name.
fn cut_after(room: &Path, kind: Kind, name: &str) {
    let healthy = Volume::new(&room.join("healthy"), kind);
    let calls = calls(&healthy.dir("store"), &room.join("trace"));
    let of_name: Vec<usize> = (0..calls.len()).filter(|n| calls[*n] == name).collect();
    assert!(of_name.len() > MOMENTS, "{} calls of {name}", of_name.len());
    for n in spread(&of_name, MOMENTS) {
        let inject = script::at(&calls, n, STOP);
        let met = cut(&Volume::new(&room.join(format!("{name}-{n}")), kind), &room.join("trace"), &[], &inject);
        assert!(met, "{inject} was never reached");
    }
}

/// Gives whether the call was met.
fn cut(volume: &Volume, log: &Path, above: &[&str], inject: &str) -> bool {
    let dir = volume.dir("store");
    let mut line = vec!["strace", "-f", "-o", log.to_str().unwrap(), "-e", inject];
    line.extend(above);
    std::fs::write(log, "").unwrap();
    let mut writer = Writer::under(&line, &dir);
    send_all(&mut writer);
    writer.no_more();
    let text = || std::fs::read_to_string(log).unwrap_or_default();
    wait_until("the process stands still or has ended", || writer.is_gone() || text().contains("stopped by SIGSTOP"));
    let met = text().contains("stopped by SIGSTOP");
    let photograph = volume.photograph();
    writer.strike();
    let outcome = outcome(&mut writer);
    drop(writer);
    volume.cut_power(&photograph);
    let found = lives_on(&dir, outcome.durable);
    outcome.allows(&found);
    volume.unmount();
    met
}

fn lies(volume: &Volume) {
    let dir = volume.dir("store");
    let inject = "inject=fdatasync,fsync:retval=0";
    let mut writer = Writer::under(&["strace", "-f", "-qq", "-o", "/dev/null", "-e", inject], &dir);
    send_all(&mut writer);
    let outcome = outcome(&mut writer);
    assert_eq!(outcome.answered, SCRIPT.len(), "nobody was told");
    let photograph = volume.photograph();
    writer.strike();
    drop(writer);
    volume.cut_power(&photograph);
    let mut reader = Writer::on(&dir);
    // What is wrong ends the test where the answer is read.
    let lost = match reader.tell("open") {
        Answer::Refused(_) => true,
        Answer::Done(_) => !matches!(reader.tell_unjudged(&format!("check {}", outcome.durable)), Answer::Done(_)),
        Answer::Gone => panic!("the process died"),
    };
    assert!(lost, "the photograph lost nothing: it is no power cut");
}
