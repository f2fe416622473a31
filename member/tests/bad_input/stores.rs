//! Stores that are damaged, foreign, newer, on another volume or in use: the member stays up, held, and says which file.
//!
//! Law: a refused store keeps every byte. Must not know: formats, beyond where a version and a checksum lie.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use jet_admin_api::member::MemberPhase;
use jet_pages::Table;

use crate::world::World;

/// A store by its files.
type Files = BTreeMap<PathBuf, Vec<u8>>;

/// Files of who holds a store at the moment.
const OF_THE_HOLDER: [&str; 2] = ["lock", "owner"];
/// What a process writes before it has read the rest: the number of its start, the consensus log.
const OF_THE_PROCESS: [&str; 2] = ["boot.", "raft/"];

fn read(dir: &Path) -> Files {
    let mut files = Files::new();
    let mut dirs = vec![dir.to_owned()];
    while let Some(next) = dirs.pop() {
        for entry in std::fs::read_dir(&next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                dirs.push(path);
            } else if !OF_THE_HOLDER.iter().any(|name| path.ends_with(name)) {
                files.insert(path.strip_prefix(dir).unwrap().to_owned(), std::fs::read(&path).unwrap());
            }
        }
    }
    files
}

fn write(dir: &Path, files: &Files) {
    let _ = std::fs::remove_dir_all(dir);
    for (path, bytes) in files {
        let path = dir.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }
}

/// A sealed store of a cluster of one, with one entry.
async fn sealed(world: &mut World) -> Files {
    let dir = world.home(0).join("recovery");
    let _ = std::fs::remove_dir_all(&dir);
    world.start_all();
    world.found().await;
    world.put(0, "key", "value").await.unwrap();
    world.stop("1-stop").await;
    world.terminate_all();
    read(&dir)
}

fn named(files: &Files, part: &str) -> Vec<PathBuf> {
    let found: Vec<PathBuf> = files.keys().filter(|path| path.to_string_lossy().contains(part)).cloned().collect();
    assert!(!found.is_empty(), "no {part} in {:?}", files.keys());
    found
}

fn change(mut files: Files, part: &str, change: impl Fn(&mut Vec<u8>)) -> Files {
    for path in named(&files, part) {
        change(files.get_mut(&path).unwrap());
    }
    files
}

fn without(mut files: Files, part: &str) -> Files {
    named(&files, part).iter().for_each(|path| drop(files.remove(path)));
    files
}

/// A record as a newer version would write it.
fn newer(record: &mut [u8]) {
    record[8..12].copy_from_slice(&2_u32.to_le_bytes());
    let mut head = record[..32].to_vec();
    head[28..].fill(0);
    record[32..36].copy_from_slice(&crc32c::crc32c(&head).to_le_bytes());
}

fn flip_the_last(record: &mut [u8]) {
    *record.last_mut().unwrap() ^= 1;
}

/// What the member says that has these files, once it says `part`. It has left them as they were.
async fn said(world: &mut World, files: &Files, part: &str) -> String {
    let dir = world.home(0).join("recovery");
    write(&dir, files);
    world.start(0);
    let said = world
        .until(&format!("the member tells of {part}"), || async {
            let view = world.view(0).await?;
            if view.waiting_for.contains(part) && !view.ready { Ok(view.waiting_for) } else { Err(view.waiting_for) }
        })
        .await;
    world.kill(0);
    let now = read(&dir);
    let of_the_process = |path: &Path| OF_THE_PROCESS.iter().any(|name| path.to_string_lossy().starts_with(name));
    let changed: Vec<_> =
        files.keys().filter(|path| !of_the_process(path) && now.get(*path) != files.get(*path)).collect();
    assert!(changed.is_empty(), "of a refused store was changed: {changed:?}");
    without_offset(&said)
}

/// Where a record lies in a log differs from run to run.
fn without_offset(said: &str) -> String {
    let Some((before, after)) = said.split_once("damaged at byte ") else { return said.to_owned() };
    format!("{before}damaged at byte <offset>{}", after.trim_start_matches(|c: char| c.is_ascii_digit()))
}

/// Every store that is refused.
pub async fn held() -> Table {
    let mut table = Table::of("store of a member");
    let mut world = World::new(1);
    let other = sealed(&mut world).await;
    let whole = sealed(&mut world).await;
    table.mask(world.home(0).join("recovery").display(), "<store>");
    let mut foreign = whole.clone();
    for path in named(&other, "opened-1") {
        foreign.insert(path.clone(), other[&path].clone());
    }
    let copy = "restore this volume from a copy";
    for (given, files, part, must) in [
        (
            "both identity files damaged",
            change(whole.clone(), "identity", |record| flip_the_last(record)),
            "identity",
            ["identity", copy],
        ),
        (
            "identity files missing",
            without(whole.clone(), "identity"),
            "identity",
            ["<store>", "restore the identity files"],
        ),
        (
            "files of a newer version",
            change(whole.clone(), "identity", |record| newer(record)),
            "format",
            ["identity", "start a newer version"],
        ),
        ("a log file damaged", change(whole.clone(), "log-", |record| flip_the_last(record)), ".jl", [".jl", copy]),
        ("a log file missing", without(whole.clone(), "log-"), ".jl", [".jl", copy]),
        ("a file of another cluster's member", foreign, "opened-1", ["opened-1", "Attach the right volume"]),
    ] {
        let said = said(&mut world, &files, part).await;
        table.saw(given, "held, not ready", &said, &must);
    }
    elsewhere(&mut world, &whole, &mut table).await;
    in_use(&mut world, &whole, &mut table).await;
    // The same store as it was is good.
    write(&world.home(0).join("recovery"), &whole);
    world.start(0);
    world.all_in([0], MemberPhase::WaitingForActivate).await;
    table
}

/// Waits until this member is held; what it says.
async fn held_by(world: &World) -> String {
    world.all_in([0], MemberPhase::Held).await.remove(0).waiting_for
}

async fn elsewhere(world: &mut World, whole: &Files, table: &mut Table) {
    write(&world.home(0).join("recovery"), whole);
    world.volume = "restored".into();
    world.start(0);
    let said = held_by(world).await;
    world.kill(0);
    world.volume = "volume".into();
    table.saw("another volume", "held, not ready", &said, &["volume-0", "if this is the only copy"]);
}

async fn in_use(world: &mut World, whole: &Files, table: &mut Table) {
    write(&world.home(0).join("recovery"), whole);
    world.start(0);
    world.all_in([0], MemberPhase::WaitingForActivate).await;
    let mut second = World::new(1);
    second.homes = world.homes.clone();
    second.start(0);
    let said = held_by(&second).await;
    second.kill(0);
    world.kill(0);
    table.saw("a store of a member that runs", "held, not ready", &said, &["<store>", "Stop the other one"]);
}
