//! A cluster recovers while this member lives: what it tells of its copies is what counts from then on.
//!
//! Law: no change is acknowledged behind what was told. Must not know: whose copies are chosen.

use super::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_change_is_acknowledged_behind_what_a_recovery_was_told() {
    let world = Arc::new(World::founded());
    let (read, is_read) = mpsc::channel();
    let (go_on, may_go_on) = mpsc::channel::<()>();
    *lock(&world.cluster.held_up) = Some(Box::new(move || {
        read.send(()).unwrap();
        may_go_on.recv().unwrap();
    }));
    let runtime = tokio::runtime::Handle::current();
    let (writing, writes) = (world.clone(), runtime.clone());
    let write = std::thread::Builder::new().name(HELD_UP.into()).spawn(move || {
        let op = Op::Put { map: "out".into(), key: "k".into(), value: "client".into() };
        writes.block_on(writing.maps.shared.invoke_here(PartitionId(0), Requester::Client, op, false))
    });
    let write = write.unwrap();
    is_read.recv().unwrap();
    // Heard under a later boot, which is what a recovery is begun for.
    let (member, later) = (world.cluster.me, Boot(world.cluster.boot.0 + 1));
    let (told, report) = mpsc::channel();
    let recovering = world.clone();
    let recovery = std::thread::spawn(move || {
        let _here = runtime.enter();
        recovering.does(Command::Recover { observed: [(member, later)].into() });
        told.send(recovering.maps.versions()).unwrap();
    });
    let early = report.recv_timeout(A_WHILE).ok();
    go_on.send(()).unwrap();
    let written = write.join().unwrap();
    let versions = early.unwrap_or_else(|| report.recv().unwrap());
    recovery.join().unwrap();
    match written {
        Ok(acknowledged) => {
            assert!(versions[0] >= Some(acknowledged.version), "{acknowledged:?}, and {versions:?} were told");
        }
        Err(refusal) => assert!(matches!(refusal, Refusal::NotNow { .. }), "{refusal:?}"),
    }
    // From now on it is refused.
    let op = Op::Put { map: "out".into(), key: "k".into(), value: "late".into() };
    let late = world.maps.shared.invoke_here(PartitionId(0), Requester::Client, op, false).await;
    assert!(matches!(late, Err(Refusal::NotNow { .. })), "{late:?}");
}
