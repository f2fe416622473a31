//! Partitions that are behind on disk, or being written whole: which are and which are not, what nobody may say in between, and
//! what is told to who would wait for one.
//!
//! Must not know: what makes a disk slow.

use super::*;

const FIRST: PartitionId = PartitionId(0);

impl World {
    /// Into every partition, with the answer that it is on disk.
    async fn puts_everywhere(&self, key: &'static str) {
        for partition in (0..PARTITIONS).map(PartitionId) {
            self.maps.invoke(partition, Requester::Client, put(KEPT, key, "1")).await.unwrap();
        }
    }

    fn cell_of(&self, partition: PartitionId) -> Arc<Cell> {
        self.maps.shared.cell(partition).unwrap()
    }

    /// As whoever writes it whole leaves it after the first record.
    fn begins_to_write_whole(&self, partition: PartitionId) {
        let cell = self.cell_of(partition);
        let mut state = cell.state();
        let begun = self.keeper.store().append(Record::rewrite(partition.0, Base::Broken));
        assert!(begun.ticket().is_some(), "{begun:?}");
        state.on_disk = cell::OnDisk::Rewriting;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_came_back_whole_after_a_loss_of_all_is_not_written_whole_again() {
    let (world, disk) = on_simulated();
    world.puts_everywhere("before").await;
    let (world, disk) = world.loses_power(&disk).await;
    world.puts_everywhere("behind").await;
    let appended = world.keeper.store().health().appended.0;
    assert_eq!(appended, 2 * u64::from(PARTITIONS), "of each partition: that it is whole, and one change");
    assert_eq!(after_a_cut(&disk, KEPT), expected(&[("before", "1"), ("behind", "1")]));
    let versions = world.maps.versions();
    let (world, _) = world.loses_power(&disk).await;
    let found = world.keeper.report().unwrap().partitions;
    assert_eq!(found, versions, "the disk had the versions that RAM had");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_being_written_whole_when_all_were_lost_is_written_whole_and_completed_by_nobody_before() {
    let (world, disk) = on_simulated();
    world.puts_everywhere("before").await;
    world.begins_to_write_whole(FIRST);
    world.all_is_synced();
    let (world, disk) = world.loses_power(&disk).await;
    change(&world.maps, Requester::Client, put(KEPT, "behind", "1")).await.unwrap();
    assert_eq!(after_a_cut(&disk, KEPT), expected(&[("before", "1"), ("behind", "1")]));
    let (world, _) = world.loses_power(&disk).await;
    assert_eq!(world.holds(KEPT), expected(&[("before", "1"), ("behind", "1")]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_primary_does_not_end_what_is_being_written_whole() {
    let (world, disk) = on_simulated();
    change(&world.maps, Requester::Client, put(KEPT, "before", "1")).await.unwrap();
    world.begins_to_write_whole(FIRST);
    let mut entry = world.cluster.machine().table.partitions[0].clone();
    (entry.installed, entry.changed) = (entry.installed.next(), entry.changed.next());
    let cell = world.cell_of(FIRST);
    let before = cell.state().replica.version();
    cell.follow_table(&world.maps.shared, &entry, true, false);
    assert!(cell.state().replica.version() > before, "it was installed");
    world.all_is_synced();
    assert_eq!(
        after_a_cut(&disk, KEPT),
        expected(&[("before", "1")]),
        "what was there counts until all is there again"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_would_wait_for_a_partition_to_be_written_whole_has_changed_nothing_and_takes_no_place() {
    let (world, _) = on_simulated();
    // From here on nobody writes one whole.
    world.keeper.close().unwrap();
    world.cell_of(FIRST).state().on_disk = cell::OnDisk::Behind;
    let shared = &world.maps.shared;
    let most = u32::try_from(crate::map::disks::MOST_WAITING).unwrap();
    let places = shared.waiting.acquire_many(most).await.unwrap();
    let now = Some(tokio::time::Instant::now());
    let told = shared.invoke_once(FIRST, Requester::Client, put(KEPT, "k", "1"), now).await.unwrap_err();
    let words = "it is written whole first; nothing was changed, ask again";
    assert!(matches!(told, Refusal::BehindOnDisk { .. }) && told.to_string().contains(words), "{told}");
    assert!(told.may_ask_again() && shared.whole_is_asked_for(), "it is the next that is written");
    let there = shared.invoke_here(FIRST, Requester::Client, put(KEPT, "k", "1"), true).await;
    assert_eq!((there, world.in_ram(KEPT)), (Err(told), 0));
    let none = shared.invoke_once(PartitionId(1), Requester::Client, put(KEPT, "k", "1"), now).await;
    assert!(matches!(none, Err(Refusal::ManyWait { .. })), "{none:?}");
    change(&world.maps, Requester::Client, put(PLAIN, "k", "1")).await.unwrap();
    drop(places);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_partition_that_falls_behind_while_a_change_waits_is_asked_for() {
    let (world, _) = on_simulated();
    world.keeper.close().unwrap();
    let waits = world.begins_to_put("k").await;
    let shared = &world.maps.shared;
    until(|| (!shared.whole_is_asked_for()).then(|| "nobody asks for it".to_owned())).await;
    assert!(world.cell_of(FIRST).state().is_behind(), "the log is closed");
    waits.abort();
}
