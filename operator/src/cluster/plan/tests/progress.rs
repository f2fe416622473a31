//! How far stores are: what the status says of it, and when that is another status, which is when it is written.
//!
//! Must not know: how a store counts.

use jet_admin_api::progress::{Slowness, StoreProgress, StoreWork};

use super::*;
use crate::api::status::{MEMBERS_TOLD, ProgressStatus};
use crate::api::{ConditionType, JetClusterStatus};
use crate::cluster::pass::Outcome;
use crate::cluster::status::progress::{AT_LATEST_SECONDS, EVERY_SECONDS, FIRST_AFTER_MS};
use crate::cluster::status::status;

const GIB: u64 = 1 << 30;

fn far(doing: StoreWork, done_bytes: u64, lasts_ms: u64) -> StoreProgress {
    let (total_bytes, bytes_per_second, left_ms) = (8 * GIB, Some(1_400_000_000), Some(3_700));
    StoreProgress { doing, done_bytes, total_bytes, lasts_ms, bytes_per_second, left_ms, slow: None }
}

fn reads_back(done_bytes: u64) -> StoreProgress {
    far(StoreWork::ReadingBack, done_bytes, FIRST_AFTER_MS)
}

fn with(facts: &mut Facts, ordinal: u32, progress: Option<StoreProgress>) {
    if let Some(Seen::View(view)) = facts.members.get_mut(&ordinal) {
        view.store.progress = progress;
    }
}

/// The status of this look, which the next one finds.
fn told(facts: &mut Facts) -> JetClusterStatus {
    let next = status(facts, &plan(facts), &Outcome::Nothing);
    facts.cluster.status = Some(next.clone());
    next
}

fn messages(progress: Option<&ProgressStatus>) -> Vec<String> {
    progress.into_iter().flat_map(|told| &told.members).map(|m| format!("{}: {}", m.pod, m.message)).collect()
}

fn sealing() -> Facts {
    let mut facts = running(Some(OperationStep::Quiesced));
    wish(&mut facts);
    facts
}

fn loading() -> Facts {
    let mut facts = returned();
    each(&mut facts, |view| view.phase = MemberPhase::Recovering);
    facts
}

#[test]
fn each_member_that_takes_long_is_told_in_figures_and_in_words() {
    let mut facts = sealing();
    with(&mut facts, 1, Some(reads_back(31 * GIB / 10 + 1)));
    with(&mut facts, 2, Some(StoreProgress { slow: Some(Slowness::Still), ..reads_back(7 * GIB) }));
    let status = told(&mut facts);
    let progress = status.progress.as_ref().unwrap();
    assert_eq!(
        messages(Some(progress)),
        [
            "orders-2: sealing, 7.0 of 8.0 GiB read back, 1.4 GB/s, 4 s left; nothing moves, the disk hangs, and nothing is \
             given up",
            "orders-1: sealing, 3.1 of 8.0 GiB read back, 1.4 GB/s, 4 s left",
        ],
        "who is slow first"
    );
    let orders_1 = &progress.members[1];
    assert_eq!((orders_1.doing.as_str(), orders_1.slow.as_deref()), ("ReadingBack", None));
    assert_eq!((orders_1.done_bytes + orders_1.left_bytes).cast_unsigned(), 8 * GIB);
    assert_eq!(orders_1.bytes_per_second, Some(1_400_000_000));
    let reconciling = status.conditions.iter().find(|c| c.type_ == ConditionType::Reconciling.as_str()).unwrap();
    assert_eq!(reconciling.message, format!("members seal their stores; {}", messages(Some(progress)).join("; ")));
    let stopped = status.conditions.iter().find(|c| c.type_ == ConditionType::Stopped.as_str()).unwrap();
    assert!(!stopped.message.contains("GiB"), "once is enough: {}", stopped.message);
}

#[test]
fn a_load_is_told_while_the_members_come_back() {
    let mut facts = loading();
    with(&mut facts, 0, Some(far(StoreWork::Loading, 4 * GIB, 6_000)));
    let status = told(&mut facts);
    assert_eq!(messages(status.progress.as_ref()), ["orders-0: loading, 4.0 of 8.0 GiB, 1.4 GB/s, 4 s left"]);
    let reconciling = status.conditions.iter().find(|c| c.type_ == ConditionType::Reconciling.as_str()).unwrap();
    assert!(
        reconciling.message.ends_with("; orders-0: loading, 4.0 of 8.0 GiB, 1.4 GB/s, 4 s left"),
        "{reconciling:?}"
    );
}

#[test]
fn a_stop_that_takes_less_than_some_seconds_writes_no_status_for_it() {
    let mut facts = sealing();
    let before = told(&mut facts);
    for (done, lasts_ms) in [(1, 1), (4 * GIB, FIRST_AFTER_MS - 1)] {
        with(&mut facts, 1, Some(far(StoreWork::ReadingBack, done, lasts_ms)));
        assert_eq!(told(&mut facts), before, "{done} bytes after {lasts_ms} ms");
    }
}

/// The status is written when it differs from the one that is there.
#[test]
fn what_is_told_is_told_anew_only_now_and_then_and_for_news() {
    let slow = StoreProgress { slow: Some(Slowness::Below), ..reads_back(GIB + 2) };
    for (after, now, is_written) in [
        (0, reads_back(GIB + 1), false),
        (EVERY_SECONDS - 1, reads_back(8 * GIB), false),
        (EVERY_SECONDS - 1, slow.clone(), false),
        (EVERY_SECONDS - 1, far(StoreWork::Hashing, 0, FIRST_AFTER_MS), false),
        (EVERY_SECONDS, reads_back(GIB + 8 * GIB / 10 - 1), false),
        (EVERY_SECONDS, reads_back(GIB + 8 * GIB / 10 + 1), true),
        (EVERY_SECONDS, slow, true),
        (EVERY_SECONDS, far(StoreWork::Hashing, 0, FIRST_AFTER_MS), true),
        (AT_LATEST_SECONDS - 1, reads_back(GIB + 1), false),
        (AT_LATEST_SECONDS, reads_back(GIB + 1), true),
        // A clock that was put back, or another operator's.
        (-EVERY_SECONDS, reads_back(8 * GIB), true),
    ] {
        let mut facts = sealing();
        with(&mut facts, 1, Some(reads_back(GIB)));
        let before = told(&mut facts);
        facts.now += after;
        with(&mut facts, 1, Some(now.clone()));
        let next = told(&mut facts);
        assert_eq!(next != before, is_written, "{after} s later: {now:?}");
        assert_eq!(next.progress.unwrap().told_at == facts.now_text(), is_written || after == 0);
    }
}

#[test]
fn an_hour_of_loading_costs_a_write_each_half_minute() {
    let mut facts = loading();
    let (mut before, mut writes) = (told(&mut facts), 0);
    for second in 1..=3600 {
        facts.now += 1;
        with(&mut facts, 1, Some(far(StoreWork::Loading, 8 * GIB / 3600 * second, second * 1000)));
        let next = told(&mut facts);
        writes += u32::from(next != before);
        before = next;
    }
    assert_eq!(writes, 120, "of 3600 looks");
}

#[test]
fn what_is_over_is_told_no_more_and_what_is_not_seen_is_not_over() {
    let mut facts = sealing();
    with(&mut facts, 0, Some(reads_back(GIB)));
    with(&mut facts, 1, Some(reads_back(2 * GIB)));
    let before = told(&mut facts);
    let view = facts.members.insert(1, Seen::Silent("it answers too late".into())).unwrap();
    assert_eq!(told(&mut facts).progress, before.progress, "a look that failed");
    facts.members.insert(1, view);
    with(&mut facts, 0, None);
    assert_eq!(told(&mut facts).progress, before.progress, "not at once: others go on");
    with(&mut facts, 1, None);
    assert_eq!(told(&mut facts).progress, None, "nobody does");
}

#[test]
fn a_status_of_many_members_stays_short() {
    let mut facts = sealing();
    let Some(Seen::View(any)) = facts.members.get(&0).cloned() else { panic!("{:?}", facts.members) };
    for ordinal in 0..100 {
        facts.members.insert(ordinal, Seen::View(any.clone()));
        with(&mut facts, ordinal, Some(reads_back(GIB + u64::from(ordinal))));
    }
    let status = told(&mut facts);
    let progress = status.progress.unwrap();
    assert_eq!(progress.members.len(), MEMBERS_TOLD);
    assert_eq!(progress.members[0].pod, "orders-0", "who has most left");
    let said = crate::cluster::status::progress::sentence(&progress);
    assert!(said.ends_with("; and 17 more in status.progress") && said.matches("orders-").count() == 3, "{said}");
}
