//! Law HOLD with real processes: a volume that is not the recorded one, or not what was sealed, holds the return, and is named.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod world;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use jet_admin_api::cluster::ClusterStateView;
use jet_admin_api::member::MemberPhase;
use world::{World, brief};

/// A cluster of three, stopped and switched off.
async fn stopped() -> (World, u64) {
    let mut world = World::new(3);
    world.start_all();
    world.found().await;
    for n in 0..20 {
        world.put(n % 3, &format!("key-{n}"), "value").await.unwrap();
    }
    let generation = world.stop("1-stop").await;
    world.terminate_all();
    (world, generation)
}

async fn recovering_without(world: &World, through: u32, absent: u32) {
    world
        .until("the return is held and names the member", || async {
            let view = world.view(through).await?;
            let cluster = view.cluster.clone().ok_or("no cluster yet")?;
            let missing: Vec<u32> = cluster.missing.iter().map(|m| m.ordinal).collect();
            assert_ne!(view.phase, MemberPhase::WaitingForActivate, "{}", brief(&view));
            if cluster.state == ClusterStateView::Recovering && missing == [absent] {
                Ok(())
            } else {
                Err(brief(&view))
            }
        })
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_emptied_volume_never_becomes_the_member_that_it_replaced() {
    let (mut world, generation) = stopped().await;
    let kept = world.dir.path().join("kept");
    std::fs::rename(world.home(2), &kept).unwrap();
    world.start_all();
    recovering_without(&world, 0, 2).await;
    let blank = world.all_in([2], MemberPhase::NoStore).await;
    assert!(!blank[0].doors_open && blank[0].founding_id.is_none());
    let activate = jet_admin_api::operation::Activate { sealed_generation: generation, wishes: Vec::new() };
    assert!(world.operator(0).activate("1-stop", &activate).await.is_err());
    // The recorded volume is put back.
    world.kill(2);
    std::fs::remove_dir_all(world.home(2)).unwrap();
    std::fs::rename(&kept, world.home(2)).unwrap();
    world.start(2);
    world.resume("1-stop", generation).await;
    assert_eq!(world.get(2, "key-7").await.unwrap().as_deref(), Some("value"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_flipped_byte_in_a_sealed_volume_holds_and_names_the_file() {
    let (mut world, generation) = stopped().await;
    let file = largest(&world.home(1).join("recovery/data"));
    let good = std::fs::read(&file).unwrap();
    let mut bad = good.clone();
    let middle = bad.len() / 2;
    bad[middle] ^= 1;
    std::fs::write(&file, &bad).unwrap();
    world.start_all();
    recovering_without(&world, 0, 1).await;
    let name = file.file_name().unwrap().to_str().unwrap().to_owned();
    world
        .until("the damaged file is named", || async {
            let view = world.view(1).await?;
            if view.waiting_for.contains(&name) { Ok(()) } else { Err(brief(&view)) }
        })
        .await;
    world.kill(1);
    std::fs::write(&file, &good).unwrap();
    world.start(1);
    world.resume("1-stop", generation).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn volumes_that_were_mixed_up_hold() {
    let (mut world, generation) = stopped().await;
    let swap = |world: &World| {
        let aside = world.dir.path().join("aside");
        std::fs::rename(world.home(1), &aside).unwrap();
        std::fs::rename(world.home(2), world.home(1)).unwrap();
        std::fs::rename(&aside, world.home(2)).unwrap();
    };
    swap(&world);
    world.start_all();
    let said = world
        .until("mixed volumes are refused", || async {
            let view = world.view(1).await?;
            if view.phase == MemberPhase::Held { Ok(view.waiting_for) } else { Err(brief(&view)) }
        })
        .await;
    assert!(said.contains("volume-2") && said.contains("volume-1"), "{said}");
    world.kill(1);
    world.kill(2);
    swap(&world);
    world.start(1);
    world.start(2);
    world.resume("1-stop", generation).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_of_an_older_generation_is_held_by_a_cluster_that_runs_and_left_as_it_is() {
    let (mut world, generation) = stopped().await;
    let older = world.dir.path().join("older");
    let copied = std::process::Command::new("cp").arg("-a").arg(world.home(2)).arg(&older).status().unwrap();
    assert!(copied.success());
    world.start_all();
    world.resume("1-stop", generation).await;
    world.kill(2);
    let recorded = world.dir.path().join("recorded");
    std::fs::rename(world.home(2), &recorded).unwrap();
    std::fs::rename(&older, world.home(2)).unwrap();
    world.start(2);
    let said = world
        .until("the older store is held", || async {
            let view = world.view(2).await?;
            if view.phase == MemberPhase::Held { Ok(view.waiting_for) } else { Err(brief(&view)) }
        })
        .await;
    assert!(said.contains("an older volume? Put the recorded one back"), "{said}");
    world.kill(2);
    std::fs::rename(world.home(2), &older).unwrap();
    std::fs::rename(&recorded, world.home(2)).unwrap();
    world.start(2);
    world.all_in([0, 1, 2], MemberPhase::Serving).await;
    assert_eq!(world.get(2, "key-7").await.unwrap().as_deref(), Some("value"));
}

/// Every file of a directory with its bytes.
fn bytes_of(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let Ok(entries) = std::fs::read_dir(dir) else { return BTreeMap::new() };
    entries.map(|entry| entry.unwrap().path()).map(|path| (path.clone(), std::fs::read(path).unwrap())).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_consensus_log_that_is_damaged_short_or_gone_holds_its_member_and_is_left_as_it_is() {
    let (mut world, generation) = stopped().await;
    let raft = world.home(1).join("recovery/raft");
    let good = bytes_of(&raft);
    let (file, whole) = good.iter().find(|(path, _)| path.to_string_lossy().contains("entries-")).unwrap();
    let mut flipped = whole.clone();
    flipped[whole.len() / 2] ^= 1;
    let short = whole[..whole.len() - 9].to_vec();
    world.start(0);
    world.start(2);
    recovering_without(&world, 0, 1).await;
    for harmed in [Some(flipped), Some(short), None] {
        match &harmed {
            Some(bytes) => std::fs::write(file, bytes).unwrap(),
            None => std::fs::remove_dir_all(&raft).unwrap(),
        }
        let before = bytes_of(&raft);
        world.start(1);
        let said = world
            .until("the member is held", || async {
                let view = world.view(1).await?;
                assert!(!view.ready && !view.doors_open, "{}", brief(&view));
                if view.phase == MemberPhase::Held { Ok(view.waiting_for) } else { Err(brief(&view)) }
            })
            .await;
        assert!(said.contains("raft/entries-") && said.contains("Nothing was changed"), "{said}");
        let told = world.view(0).await.unwrap().cluster.unwrap().missing;
        assert!(told.iter().map(|member| member.ordinal).eq([1]), "{told:?}");
        assert!(world.members.get_mut(&1).unwrap().is_running());
        world.kill(1);
        assert!(bytes_of(&raft) == before && raft.exists() == harmed.is_some(), "it was not left as it was");
        std::fs::create_dir_all(&raft).unwrap();
        good.iter().for_each(|(path, bytes)| std::fs::write(path, bytes).unwrap());
    }
    world.start(1);
    world.resume("1-stop", generation).await;
    assert_eq!(world.get(1, "key-7").await.unwrap().as_deref(), Some("value"));
}

fn largest(dir: &Path) -> PathBuf {
    let mut files = Vec::new();
    let mut rooms = vec![dir.to_owned()];
    while let Some(room) = rooms.pop() {
        for entry in std::fs::read_dir(room).unwrap() {
            let entry = entry.unwrap();
            match entry.metadata().unwrap() {
                m if m.is_dir() => rooms.push(entry.path()),
                m => files.push((m.len(), entry.path())),
            }
        }
    }
    files.into_iter().max().unwrap().1
}
