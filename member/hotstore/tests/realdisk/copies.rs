//! Rows 22, 24, 27 and 60: volumes put back in time, emptied, mixed, copied while they were written to.
//!
//! Law: a store tells its own generation and member, whatever was expected, and files of two times are refused; whose turn
//! it is, the cluster decides. Must not know: clusters.

use crate::Cases;
use crate::tools::run;
use crate::volume::Volume;
use crate::writer::{Answer, Writer, holds, lives_on};
use std::path::Path;

pub fn add(cases: &mut Cases) {
    cases.on_each("row_22_an_older_copy_of_the_volume_tells_its_older_generation", older);
    cases.on_each("row_24_a_directory_that_was_emptied_is_blank_and_in_part_refused", emptied);
    cases.on_each("row_27_files_of_two_generations_are_refused", two_generations);
    cases.on_each("row_60_a_copy_taken_while_it_was_written_to", live_copy);
}

fn copy(from: &Path, to: &Path) {
    run(&["cp", "-r", "--sparse=never", from.to_str().unwrap(), to.to_str().unwrap()]);
}

/// Two cycles; the copy is of the first.
fn two_cycles(volume: &Volume) -> (std::path::PathBuf, std::path::PathBuf) {
    let (now, then) = (volume.dir("now"), volume.dir("then"));
    Writer::on(&now).all(&["volume pv-1", "open", "go-on", "append 50", "flush", "epoch 1", "seal one", "close"]);
    copy(&now, &then);
    let mut writer = Writer::on(&now);
    writer.all(&["volume pv-1", "open", "go-on", "append 50", "rewrite 1", "flush", "epoch 2", "seal two", "close"]);
    (now, then)
}

fn older(volume: &Volume) {
    let (now, then) = two_cycles(volume);
    assert!(holds(&now, 100).starts_with("sealed 2 by two"));
    assert!(holds(&then, 50).starts_with("sealed 1 by one"));
    // On a volume of another name it is not opened at all.
    let mut other = Writer::on(&then);
    other.must("volume pv-2");
    other.must_not("open", "a copy may be running elsewhere");
}

fn emptied(volume: &Volume) {
    let (now, then) = two_cycles(volume);
    for (gone, words) in
        [("identity.a identity.b", "whose data it is cannot be told"), ("data", "missing"), ("opened-2", "generation")]
    {
        for name in gone.split(' ') {
            run(&["rm", "-r", then.join(name).to_str().unwrap().replace("/then/", "/now/").as_str()]);
        }
        Writer::on(&now).must_not("open", words);
        run(&["rm", "-r", now.to_str().unwrap()]);
        run(&["rm", "-r", then.to_str().unwrap()]);
        two_cycles(volume);
    }
    run(&["rm", "-r", now.to_str().unwrap()]);
    assert!(holds(&now, 0).starts_with("blank"), "what is empty says so; whether that may be, the cluster decides");
}

fn two_generations(volume: &Volume) {
    let (now, then) = two_cycles(volume);
    for part in ["seal-2-2.a", "data/gen-2", "opened-2"] {
        let mixed = volume.dir("mixed");
        copy(&then, &mixed);
        run(&["cp", "-r", now.join(part).to_str().unwrap(), mixed.join(part).to_str().unwrap()]);
        let told = Writer::on(&mixed).tell("open");
        match part {
            // An opened generation without its chunk is what a crash leaves: the sealed content, void for this member.
            "opened-2" => assert!(matches!(&told, Answer::Done(found) if found.starts_with("unsealed 2")), "{told:?}"),
            _ => assert!(matches!(&told, Answer::Refused(why) if why.contains("files of two times")), "{told:?}"),
        }
        run(&["rm", "-r", mixed.to_str().unwrap()]);
    }
}

fn live_copy(volume: &Volume) {
    let (dir, taken) = (volume.dir("store"), volume.dir("taken"));
    let (mut refused, mut opened) = (0, 0);
    let mut writer = Writer::on(&dir);
    writer.all(&["volume pv-1", "open", "go-on"]);
    for round in 0..10 {
        for _ in 0..4 {
            ["append 40", "rewrite 1", "flush"].iter().for_each(|command| writer.send(command));
        }
        copy_of_what_moves(&dir, &taken);
        for _ in 0..12 {
            assert!(matches!(writer.answer(), Answer::Done(_)), "the copy disturbs nobody");
        }
        let mut other = Writer::on(&taken);
        other.must("volume pv-2");
        other.must_not("open", "");
        let mut same = Writer::on(&taken);
        same.must("volume pv-1");
        // Whatever is handed out is right, or the answer would say WRONG.
        match same.tell("open") {
            Answer::Done(found) => {
                assert!(found.starts_with("unsealed 1"), "round {round}: never taken for sealed: {found}");
                opened += 1;
            }
            Answer::Refused(_) => refused += 1,
            Answer::Gone => panic!("the process died"),
        }
        drop(same);
        run(&["rm", "-r", taken.to_str().unwrap()]);
    }
    assert_eq!(refused + opened, 10);
    lives_on(&dir, writer.kill());
}

/// A file that goes away meanwhile is not in the copy.
fn copy_of_what_moves(from: &Path, to: &Path) {
    let _ = std::process::Command::new("cp").arg("-r").arg(from).arg(to).stderr(std::process::Stdio::null()).status();
    assert!(to.exists());
}
