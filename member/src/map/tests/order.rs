//! In which order what is asked is done, and where what goes on behind a call runs.

use std::task::{Context, Poll, Waker};

use jet_map::wire::{Request, Response};
use jet_map::{Query, QueryReply};

use super::*;
use crate::map::serve::DataHandler;
use crate::net::{Handler, Peer};

const P: PartitionId = PartitionId(0);

fn put(map: &str, value: &'static str) -> Op {
    Op::Put { map: map.into(), key: "k".into(), value: value.into() }
}

#[tokio::test]
async fn changes_that_another_member_sends_are_made_in_the_order_in_which_they_came() {
    let world = World::founded();
    let handler = DataHandler { shared: Arc::downgrade(&world.maps.shared) };
    let from = Peer { member: Uuid::from_u128(2), ordinal: 1, boot: 1 };
    let asked = |value| {
        let invoke =
            Request::Invoke { partition: P, requester: Requester::Client, op: put("m", value), to_disk: false };
        handler.handle(from, invoke.encode())
    };
    let (first, second) = (asked("first"), asked("second"));
    // Each is answered by a task of its own, and the second is the quicker.
    for answer in [second.await, first.await] {
        assert!(matches!(Response::decode(answer), Ok(Response::Acknowledged(_))));
    }
    let get = Query::Get { map: "m".into(), key: "k".into() };
    let found = world.maps.ask(P, Requester::Client, get).await.unwrap();
    assert_eq!(found, QueryReply::Value(Some("second".into())));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_asked_of_a_disk_outlives_the_thread_of_who_wanted_it() {
    let world = World::founded();
    let maps = world.maps.clone();
    let other = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let _here = runtime.enter();
        let mut change = Box::pin(maps.invoke(P, Requester::Client, put(disks::KEPT, "first")));
        let polled = change.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        assert!(matches!(polled, Poll::Pending), "it waits for the disk");
        drop(change);
        drop(_here);
        runtime.shutdown_background();
    });
    other.join().unwrap();
    let put = world.maps.invoke(P, Requester::Client, put(disks::KEPT, "second")).await;
    assert!(put.is_ok(), "{put:?}");
}

const IN_A_PROCESS: &str = "JET_TEST_BREAKS_A_PARTITION";

/// In a process of its own, which ends.
#[test]
fn nobody_goes_on_with_a_partition_that_was_left_half_done() {
    if std::env::var_os(IN_A_PROCESS).is_some() {
        let cell = Arc::new(Cell::new(P, decode, Arc::default()));
        let broken = cell.clone();
        let broke = std::thread::spawn(move || {
            let _state = broken.state();
            panic!("in the middle of a change");
        });
        assert!(broke.join().is_err());
        drop(cell.state());
        return;
    }
    let here = std::thread::current().name().unwrap().to_owned();
    let mut process = std::process::Command::new(std::env::current_exe().unwrap());
    let ended = process.args(["--exact", &here]).env(IN_A_PROCESS, "1").output().unwrap();
    let signal = std::os::unix::process::ExitStatusExt::signal(&ended.status);
    assert_eq!(signal, Some(rustix::process::Signal::ABORT.as_raw()), "{ended:?}");
}
