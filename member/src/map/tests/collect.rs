//! Old chunks of the log are emptied while maps change, and what is live stays.

use jet_hotstore::Due;

use super::*;

impl World {
    fn chunks(&self) -> Vec<String> {
        let below = |dir: std::path::PathBuf| std::fs::read_dir(dir).into_iter().flatten().flatten();
        let files = below(self.dir.path().join("data")).flat_map(|generation| below(generation.path()));
        let names = files.map(|file| file.file_name().to_string_lossy().into_owned());
        let mut chunks: Vec<_> = names.filter(|name| name.starts_with("log-")).collect();
        chunks.sort();
        chunks
    }

    async fn empties_what_is_closed(&self) {
        let due = self.has_what_is_closed().await;
        self.maps.shared.empty(&due);
        assert_eq!(self.keeper.store().to_move(&due), Vec::<u16>::new(), "all have moved");
    }

    /// Of old chunks, with every partition in step.
    async fn has_what_is_closed(&self) -> Due {
        // What a job's file brought back is written whole first: old chunks wait for it.
        until(|| {
            let behind: Vec<_> = self.maps.shared.cells_behind().iter().map(|cell| cell.partition).collect();
            (!behind.is_empty()).then(|| format!("behind on disk: {behind:?}"))
        })
        .await;
        let store = self.keeper.store();
        store.flush().and_then(|ticket| store.wait_durable(ticket, A_WHILE * 20)).unwrap();
        store.all_closed().expect("a generation was opened: a chunk is closed")
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_lives_in_old_chunks_is_found_again_when_they_are_gone() {
    let world = World::running();
    for key in ["never touched", "changed", "changed after it moved", "removed"] {
        world.puts(0, key, "old").await;
    }
    let id = world.commits(5, "published=5").await;
    world.publishes(id).await;
    world.flushes(id).await;
    world.does(durable(id));
    let first = world.chunks();
    let world = world.crash(Vec::new());
    world.comes_back().await;
    world.puts(0, "changed", "new").await;
    let op = Op::Remove { map: "out".into(), key: "removed".into() };
    world.maps.invoke(PartitionId(0), Requester::Client, op).await.unwrap();
    world.empties_what_is_closed().await;
    world.puts(0, "changed after it moved", "newest").await;

    for round in 0..2 {
        let keys = ["never touched", "changed", "changed after it moved", "removed", "published"];
        let found = keys.map(|key| world.reads(0, key));
        let expected = [Some("old"), Some("new"), Some("newest"), None, Some("5")];
        assert_eq!(found.each_ref().map(|value| value.as_deref()), expected, "round {round}");
        if round == 0 {
            let at = Generation(world.cluster.machine().generation.0 + 1);
            world.keeper.open_generation(at).unwrap();
            let left = world.chunks();
            assert!(first.iter().all(|chunk| !left.contains(chunk)), "{first:?} are gone: {left:?}");
        }
    }
    let world = world.crash(Vec::new());
    world.comes_back().await;
    let keys = ["never touched", "changed", "changed after it moved", "removed", "published"];
    let found = keys.map(|key| world.reads(0, key));
    let expected = [Some("old"), Some("new"), Some("newest"), None, Some("5")];
    assert_eq!(found.each_ref().map(|value| value.as_deref()), expected, "after the crash");
}

#[test]
fn nothing_is_moved_while_a_partition_is_asked_for_that_is_behind() {
    // One thread for all that blocks: while it is here, nobody else takes what is asked for.
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = runtime.enable_all().worker_threads(2).max_blocking_threads(1).build().unwrap();
    runtime.block_on(async {
        let world = World::founded();
        world.puts(0, "k", "1").await;
        let world = world.crash(Vec::new());
        world.comes_back().await;
        let due = world.has_what_is_closed().await;
        let (shared, store) = (world.maps.shared.clone(), world.keeper.store());
        let tries = move || {
            shared.ask_for_whole(PartitionId(0));
            let before = store.to_move(&due);
            shared.empty(&due);
            (before, store.to_move(&due))
        };
        let (before, left) = crate::host::blocking(tries).await.unwrap();
        assert!(!before.is_empty() && left == before, "of {before:?} only {left:?} are left");
        // It is in step by now, so nobody is kept waiting for it.
        let shared = &world.maps.shared;
        until(|| shared.whole_is_asked_for().then(|| "it is still asked for".to_owned())).await;
        world.empties_what_is_closed().await;
    });
}
