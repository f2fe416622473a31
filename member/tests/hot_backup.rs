//! Hot backups with real processes: taken of a cluster that is written to, and restored by all members in new directories.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod world;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use jet_admin_api::backup::{BackupState, BackupView, TakeBackup};
use jet_admin_api::client::{CallError, MemberClient};
use jet_admin_api::cluster::ClusterStateView;
use jet_admin_api::identity::Role;
use jet_admin_api::map::Entry;
use jet_admin_api::member::MemberPhase;
use jet_admin_api::refusal::Code;
use world::ledger::{counted, is_exact, ledger, submit, view, wait_counted};
use world::rest::{ask_plain, post};
use world::{PASSWORD, World, brief};

fn named(name: &str) -> TakeBackup {
    TakeBackup { name: name.into() }
}

/// Waits until the backup has ended, and gives what is told of it.
async fn ended(world: &World, at: u32) -> BackupView {
    world
        .until("the backup has ended", || async {
            let view = world.client_as(at, Role::Admin).backup().await.map_err(|error| error.to_string())?;
            if view.state == BackupState::InProgress { Err(format!("{view:?}")) } else { Ok(view) }
        })
        .await
}

async fn taken(world: &World, at: u32, name: &str) -> BackupView {
    world.client_as(at, Role::Admin).take_backup(&named(name)).await.unwrap();
    let view = ended(world, at).await;
    assert_eq!(view.state, BackupState::Success, "{view:?}\n{}", world.logs());
    view
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy(&path, &target);
        } else {
            std::fs::copy(&path, &target).unwrap();
        }
    }
}

/// As if every backup had been brought to machines that nobody has used yet.
fn restore(world: &mut World, backup: &BackupView) {
    restore_each(world, "restored", backup.members.iter().map(|member| PathBuf::from(&member.told.dir)));
}

/// The same, of each member from what is named for it.
fn restore_each(world: &mut World, homes: &str, from: impl IntoIterator<Item = PathBuf>) {
    assert!(world.members.is_empty());
    world.homes = world.dir.path().join(homes);
    for (ordinal, from) in (0..).zip(from) {
        copy(&from, &world.home(ordinal).join("recovery"));
    }
}

/// Writes one key after another until it is told to stop; keeps those that were acknowledged.
async fn writes(client: MemberClient, acknowledged: Arc<Mutex<Vec<u32>>>, ends: Arc<AtomicBool>) {
    for n in 0_u32.. {
        if ends.load(Ordering::Acquire) {
            return;
        }
        let entry = Entry { value: Some(format!("value-{n}")) };
        if client.put("flights", &format!("key-{n}"), &entry).await.is_ok() {
            acknowledged.lock().unwrap().push(n);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_restored_from_a_backup_made_in_full_flow_goes_on_exactly() {
    let mut world = World::new(3);
    world.start_all();
    world.found().await;
    let job = ledger(120_000, Some(20_000));
    submit(&world, &job).await;
    let (acknowledged, ends) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicBool::new(false)));
    let writer = tokio::spawn(writes(world.client_as(0, Role::Client), acknowledged.clone(), ends.clone()));
    wait_counted(&world, 0, &job, job.rows / 10).await;
    let durable = world
        .until("a snapshot is durable", || async { view(&world, 0, job.name).await?.snapshot.ok_or("none".to_owned()) })
        .await;
    let before = acknowledged.lock().unwrap().clone();
    let backup = taken(&world, 1, "nightly").await;
    assert_eq!(backup.members.iter().map(|member| member.ordinal).collect::<Vec<_>>(), [0, 1, 2]);
    for member in &backup.members {
        assert!(member.told.files > 3 && member.told.bytes > 0, "{member:?}");
    }
    // The same again is the same, whoever is asked.
    let again = world.client_as(2, Role::Admin).take_backup(&named("nightly")).await.unwrap();
    assert_eq!(again, backup);
    // What comes behind it is not in it.
    wait_counted(&world, 0, &job, counted(&world, 0, &job).await.unwrap() + job.rows / 10).await;
    ends.store(true, Ordering::Release);
    writer.await.unwrap();
    world.put(0, "later", "value").await.unwrap();
    (0..3).for_each(|ordinal| world.kill(ordinal));

    restore(&mut world, &backup);
    world.start_all();
    world.serving(0..3, ClusterStateView::Active).await;
    assert!(!before.is_empty());
    for n in before {
        let found = world.get(n % 3, &format!("key-{n}")).await.unwrap();
        assert_eq!(found, Some(format!("value-{n}")), "acknowledged before the backup was asked for");
    }
    assert_eq!(world.get(0, "later").await.unwrap(), None, "it is of the moment");
    let from = world
        .until("the job goes on", || async {
            let view = view(&world, 0, job.name).await?;
            view.started_from.clone().ok_or(format!("{view:?}"))
        })
        .await;
    assert!((from.execution, from.epoch) >= (durable.execution, durable.epoch), "{from:?} {durable:?}");
    assert!(from.rows_read < job.rows, "{from:?}");
    is_exact(&world, 1, &job).await;
    // A cluster that was restored is one like any other.
    taken(&world, 0, "of-the-restored").await;
}

/// Everything of a backup is there, or nothing.
fn lies_whole_or_not_at_all(world: &World, name: &str) -> bool {
    let rooms = (0..3).map(|ordinal| world.home(ordinal).join("recovery/backups"));
    let there = rooms.filter(|room| room.join(name).exists()).count();
    assert!(there == 0 || there == 3, "'{name}' lies on {there} of 3\n{}", world.logs());
    there == 3
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_at_once_none_is_half_and_one_that_is_interrupted_is_none() {
    let mut world = World::new(3);
    world.start_all();
    world.found().await;
    let clients: Vec<_> = (0..3).map(|at| world.client_as(at, Role::Admin)).collect();
    for round in 0..3 {
        let names = [format!("a{round}"), format!("b{round}")];
        let (a, b) = (named(&names[0]), named(&names[1]));
        let (one, other) = tokio::join!(clients[0].take_backup(&a), clients[1].take_backup(&b));
        assert!(one.is_ok() || other.is_ok(), "one comes through: {one:?} {other:?}");
        for refused in [&one, &other].into_iter().filter_map(|answer| answer.as_ref().err()) {
            let text = refused.to_string();
            let says = text.contains("another backup (") || text.contains("another backup of");
            assert!(says, "{text}");
        }
        ended(&world, 0).await;
        ended(&world, 1).await;
        for (name, answer) in names.iter().zip([one, other]) {
            assert_eq!(lies_whole_or_not_at_all(&world, name), answer.is_ok(), "{answer:?}");
        }
    }

    // One does not answer when it is to be prepared: the first and all others are, and until it does a backup is under way.
    let mut order = Vec::new();
    for at in 0..3 {
        order.push((world.view(at).await.unwrap().uuid, at));
    }
    order.sort_unstable();
    let [first, silent, last] = [0, 1, 2].map(|place: usize| order[place].1);
    let asked = clients[first as usize].clone();
    world.pause(silent);
    let taking = tokio::spawn(async move { asked.take_backup(&named("interrupted")).await });
    world
        .until("it is under way", || async {
            let metrics = [first, last].map(|at| ask_plain(&world.health_address(at), "/metrics"));
            let prepared = metrics.iter().all(|metrics| metrics.contains("jet_backup_under_way 1"));
            prepared.then_some(()).ok_or(metrics.concat())
        })
        .await;
    let interrupted = clients[first as usize].interrupt_backup().await.unwrap();
    let told = interrupted.members.iter().find(|member| member.ordinal == first).unwrap();
    assert_eq!((told.told.state, told.told.why.as_deref()), (BackupState::Failure, Some("it was interrupted")));
    world.go_on(silent);
    assert!(taking.await.unwrap().is_err());
    assert!(!lies_whole_or_not_at_all(&world, "interrupted"));
    world.serving(0..3, ClusterStateView::Active).await;
    world
        .until("the next is made", || async {
            let view = clients[0].take_backup(&named("next")).await.map_err(|error| error.to_string())?;
            if view.state == BackupState::Success { Ok(()) } else { Err(format!("{view:?}")) }
        })
        .await;
    assert!(lies_whole_or_not_at_all(&world, "next"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stores_of_two_backups_or_of_one_and_none_are_held_by_name_and_those_of_one_go_on() {
    let mut world = World::new(2);
    world.start_all();
    world.found().await;
    let mut backups = Vec::new();
    for day in ["monday", "tuesday"] {
        world.put(0, "day", day).await.unwrap();
        backups.push(taken(&world, 0, day).await);
    }
    world.put(0, "day", "wednesday").await.unwrap();
    let volume = world.home(1).join("recovery");
    (0..2).for_each(|ordinal| world.kill(ordinal));
    let of = |day: usize, member: usize| PathBuf::from(&backups[day].members[member].told.dir);

    let mixtures = [
        ("two", [of(0, 0), of(1, 1)], ["of backup 'monday'", "of backup 'tuesday'"]),
        ("one-and-none", [of(1, 0), volume], ["of backup 'tuesday'", "of no backup"]),
    ];
    for (homes, from, says) in mixtures {
        restore_each(&mut world, homes, from);
        // A start that ended early does not make it a store like any other.
        for _ in 0..2 {
            world.start_all();
            world
                .until("the mixture is held by name", || async {
                    let view = world.view(1).await?;
                    let told = says.iter().all(|says| view.waiting_for.contains(says));
                    (told && view.phase == MemberPhase::Recovering).then_some(()).ok_or(brief(&view))
                })
                .await;
            (0..2).for_each(|ordinal| world.kill(ordinal));
        }
    }
    restore_each(&mut world, "one", [of(1, 0), of(1, 1)]);
    world.start_all();
    world.serving(0..2, ClusterStateView::Active).await;
    assert_eq!(world.get(1, "day").await.unwrap().as_deref(), Some("tuesday"));
}

/// Standard output of `jet backup`, and whether it ended well.
fn jet(world: &World, arguments: &[&str]) -> (bool, String) {
    let program = Path::new(env!("CARGO_BIN_EXE_jet-member")).with_file_name("jet");
    assert!(program.is_file(), "{} is not built: cargo build --workspace --bins", program.display());
    let (dir, material) = (world.dir.path().join("admin"), world.pki.issue(Role::Admin));
    std::fs::create_dir_all(&dir).unwrap();
    for (file, text) in [("ca.crt", &material.ca), ("tls.crt", &material.cert), ("tls.key", &material.key)] {
        std::fs::write(dir.join(file), text).unwrap();
    }
    let mut command = Command::new(program);
    command.args(["--member", &world.admin_address(0), "--tls-dir"]).arg(dir).arg("backup").args(arguments);
    let out = command.output().unwrap();
    (out.status.success(), String::from_utf8(out.stdout).unwrap() + &String::from_utf8(out.stderr).unwrap())
}

fn keeps_backups_in(world: &World, dir: &Path) {
    let section = format!("  hot-restart-persistence: {{backup-dir: '{}'}}\n", dir.display());
    world.configure("hazelcast.yaml", "hazelcast:\n", &section);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn people_and_programs_ask_for_one_and_are_told_what_cannot_be() {
    let mut world = World::with_rest(1, &["CLUSTER_WRITE", "HOT_RESTART"]);
    let kept = world.dir.path().join("kept");
    keeps_backups_in(&world, &kept);
    let (made, text) = jet(&world, &[]);
    assert!(!made && text.starts_with("jet: asking for backup backup-"), "told although nobody answers: {text}");
    world.start_all();
    world.serving([0], ClusterStateView::Active).await;
    let (_, text) = jet(&world, &["--show"]);
    assert_eq!(text, "no backup\n");
    world.put(0, "key", "value").await.unwrap();
    let (made, text) = jet(&world, &["--name", "nightly"]);
    let uuid = world.view(0).await.unwrap().uuid;
    let place = kept.join(uuid.to_string()).join("backups/nightly");
    assert!(made && text.starts_with("Backup: nightly, SUCCESS\n") && text.contains(place.to_str().unwrap()), "{text}");
    let (made, text) = jet(&world, &["--name", "nightly", "--json"]);
    let view: BackupView = serde_json::from_str(&text).unwrap();
    assert!(made && view.members[0].told.files > 3, "{text}");
    let (made, text) = jet(&world, &["--json"]);
    let (view, told) = text.split_once('\n').unwrap();
    let view: BackupView = serde_json::from_str(view).unwrap();
    assert!(made && told.contains(&format!("jet backup --name {}", view.name.unwrap())), "{told}");
    let (made, text) = jet(&world, &["--name", "../nightly"]);
    assert!(!made && text.contains("cannot be the name of a backup"), "{text}");

    let port = world.rest_port(0);
    let form = format!("orders&{}", PASSWORD.replace('%', "%25").replace('&', "%26").replace('+', "%2B"));
    let (status, body) = post(port, "hotBackup", &form).unwrap();
    assert!(status == 200 && body.starts_with(r#"{"status":"success","message":"backup-"#), "{status} {body}");
    let view = ended(&world, 0).await;
    assert!(view.name.is_some_and(|name| body.contains(&name)) && view.state == BackupState::Success, "{body}");
    let (status, body) = post(port, "hotBackupInterrupt", &form).unwrap();
    assert!(status == 200 && body.contains("is SUCCESS on 1 members"), "nothing is under way: {status} {body}");

    let one = place;
    world.stop("1-stop").await;
    let refused = world.client_as(0, Role::Admin).take_backup(&named("later")).await;
    let Err(CallError::Refused(refusal)) = refused else { panic!("{refused:?}") };
    assert_eq!(refusal.code, Code::ClusterState);
    assert!(refusal.to_string().contains("operation 1-stop is under way"), "{refusal}");
    let (status, body) = post(port, "hotBackup", &form).unwrap();
    assert!(status == 500 && body.contains("operation 1-stop is under way"), "{status} {body}");
    world.terminate_all();

    // Opened where it lies.
    world.homes = world.dir.path().join("restored");
    std::fs::create_dir_all(world.home(0)).unwrap();
    std::fs::rename(one, world.home(0).join("recovery")).unwrap();
    world.start_all();
    world.serving([0], ClusterStateView::Active).await;
    assert_eq!(world.get(0, "key").await.unwrap().as_deref(), Some("value"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_directory_of_backups_on_another_file_system_is_refused_at_the_door() {
    let mut world = World::new(1);
    let elsewhere = tempfile::tempdir_in("/dev/shm").unwrap();
    keeps_backups_in(&world, elsewhere.path());
    world.start_all();
    let held = world.all_in([0], MemberPhase::Held).await;
    let why = &held[0].waiting_for;
    for says in ["another file system", "hard links", "without backup-dir", elsewhere.path().to_str().unwrap()] {
        assert!(why.contains(says), "{why}");
    }
    let mut left: Vec<PathBuf> = Vec::new();
    for member in std::fs::read_dir(elsewhere.path()).unwrap() {
        left.extend(std::fs::read_dir(member.unwrap().path()).unwrap().map(|entry| entry.unwrap().path()));
    }
    assert!(left.is_empty(), "{left:?}");
    assert!(world.view(0).await.is_ok_and(|view| !view.ready), "{}", brief(&held[0]));
}
