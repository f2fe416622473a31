//! Old chunks of the log are emptied while maps change, and what is live stays.

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
        // What a job's file brought back is written whole first: old chunks wait for it.
        until(|| {
            let behind: Vec<_> = self.maps.shared.cells_behind().iter().map(|cell| cell.partition).collect();
            (!behind.is_empty()).then(|| format!("behind on disk: {behind:?}"))
        })
        .await;
        let store = self.keeper.store();
        store.flush().and_then(|ticket| store.wait_durable(ticket, A_WHILE * 20)).unwrap();
        let due = store.all_closed().expect("a generation was opened: a chunk is closed");
        self.maps.shared.empty(&due);
        assert_eq!(store.to_move(&due), Vec::<u16>::new(), "all have moved");
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
