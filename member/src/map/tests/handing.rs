//! A primary that gives its place: what is answered then, and what is said of it.

use jet_map::{Query, QueryReply};

use super::*;
use crate::map::Invoked;

const P: PartitionId = PartitionId(1);

fn get() -> Query {
    Query::Get { map: "out".into(), key: Bytes::from_static(b"k") }
}

fn put() -> Op {
    Op::Put { map: "out".into(), key: Bytes::from_static(b"k"), value: Bytes::from_static(b"late") }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_answered_from_the_release_on() {
    let world = World::running();
    world.puts(P.0, "k", "v").await;
    let shared = &world.maps.shared;
    let changed = shared.cell(P).unwrap().state().lead.as_ref().unwrap().changed;
    world.maps.release(P, changed.next());
    assert!(
        world.maps.ask_now(P, Requester::Client, &get()).is_some(),
        "a release of another change of the entry counts"
    );
    let waits = shared.cell(P).unwrap().state().handing.answering();
    world.maps.release(P, changed);
    assert!(world.maps.ask_now(P, Requester::Client, &get()).is_none());
    assert!(matches!(world.maps.invoke_now(P, Requester::Client, put()), Invoked::NotNow(_)));
    let asked = shared.ask_here(P, Requester::Client, get()).await;
    assert!(matches!(asked, Err(Refusal::NotPrimary { .. })), "{asked:?}");
    let order = shared.cell(P).unwrap().order(shared, Requester::Job, put()).map(|ordered| ordered.version);
    assert!(matches!(order, Err(Refusal::NotPrimary { .. })), "{order:?}");
    assert!(world.maps.released().is_empty(), "somebody waits for an answer");
    drop(waits);
    assert_eq!(world.maps.released().into_iter().collect::<Vec<_>>(), [(P, changed)]);
    shared.cell(P).unwrap().state().handing.follow_table(changed.next());
    let found = shared.ask_here(P, Requester::Client, get()).await;
    assert_eq!(found, Ok(QueryReply::Value(Some(Bytes::from_static(b"v")))), "it keeps its place");
    assert!(world.maps.released().is_empty());
}
