//! This member's maps as clients ask them: names, bounds, and one question or change of one partition.
//!
//! Law: what is over at once is answered at once; an answer about a whole map is bounded, in bytes and in how many are made
//! at a time, and refused beyond. Must not know: frames, connections, which request it is.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;
use jet_map::{Keyed, MemberId, Op, PartitionId, Query, QueryReply, Refusal, Reply, Requester, TableVersion, What};
use jet_protocol::error::ErrorCode;
use tokio::sync::{Semaphore, SemaphorePermit, watch};
use uuid::Uuid;

use super::fault::{Asked, Fault};
use super::keyed::At;
use super::order::Place;
use super::views::View;
use crate::map::{Connected, Hearing, Invoked, MapService, Wish};

/// Maps of ours begin so; clients are kept out of them.
pub const OWN: &str = "__clients.";
/// Longest name of a map.
const LONGEST_NAME: usize = 1 << 10;
/// Bytes of keys and values in one answer.
pub const ANSWER_MOST: usize = 32 << 20;
/// Answers about whole maps that are made at a time, of all clients.
const WHOLE_AT_A_TIME: usize = 4;
/// The next of them waits so long for its turn; the client then asks again by itself.
const TURN_WITHIN: Duration = Duration::from_secs(30);
/// Partitions, or keys, that one request asks at a time.
pub const AT_A_TIME: usize = 16;
/// A change of a locked key waits so long at the member; the client then asks again by itself.
pub const LOCKED_WITHIN: Duration = Duration::from_secs(5);

/// Something that is known, or will be.
pub enum Going<T> {
    /// It is.
    Now(Result<T, Fault>),
    /// It will be.
    Later(BoxFuture<'static, Result<T, Fault>>),
}

/// This member's maps as clients ask them. Cheap to clone.
#[derive(Clone)]
pub struct Maps {
    service: MapService,
    view: watch::Receiver<Arc<View>>,
    whole: Arc<Semaphore>,
}

impl Maps {
    /// Of this service.
    pub fn new(service: MapService, view: watch::Receiver<Arc<View>>) -> Self {
        Self { service, view, whole: Arc::new(Semaphore::new(WHOLE_AT_A_TIME)) }
    }

    /// A name that a client may use.
    pub fn named(&self, name: &str) -> Result<String, Fault> {
        let fault = |why: String| Err(Fault::new(ErrorCode::IllegalArgument, why));
        if name.starts_with(OWN) {
            return fault(format!("maps whose names begin with '{OWN}' are the cluster's own: choose another name"));
        }
        if name.len() > LONGEST_NAME {
            return fault(format!("the name of a map has {} bytes, at most {LONGEST_NAME} are taken", name.len()));
        }
        Ok(name.to_owned())
    }

    /// Number of partitions.
    pub fn partitions(&self) -> u16 {
        self.service.partitions()
    }

    /// The partition of a key.
    pub fn partition_of(&self, key: &[u8]) -> PartitionId {
        self.service.partition_of(key)
    }

    /// A client is connected to this member, until what this gives is dropped.
    pub fn client_is_here(&self, client: Uuid) -> Connected {
        self.service.client_is_here(client)
    }

    /// Somebody who listens to nothing yet.
    pub fn hearing(&self, most: usize) -> Hearing {
        self.service.hearing(most)
    }

    /// It hears this of all members; what is given is over when all know of it.
    pub fn listen_everywhere(&self, hearing: &mut Hearing, id: Uuid, wish: Wish) -> impl Future<Output = ()> + use<> {
        self.service.listen_everywhere(hearing, id, wish)
    }

    /// Partitions that a member leads, and the version under which its lead was installed.
    pub fn led_by(&self, member: Uuid) -> Vec<(PartitionId, TableVersion)> {
        self.service.led_by(MemberId(member))
    }

    /// The version under which the lead of a partition was installed.
    pub fn installed(&self, partition: PartitionId) -> Option<TableVersion> {
        self.service.installed(partition)
    }

    /// A map was emptied for a client of this member: who listens here is told the sum.
    pub fn emptied(&self, map: &str, what: What, count: u64) {
        self.service.emptied(map, what, count);
    }

    /// Whose turn it is to answer about a whole map.
    pub async fn turn(&self) -> Result<SemaphorePermit<'_>, Fault> {
        turn(&self.whole).await
    }

    /// All entries of a map, if they are no more than `most` bytes.
    pub async fn entries(&self, map: &str, most: usize) -> Result<Vec<(Bytes, Bytes)>, Fault> {
        let _turn = self.turn().await?;
        self.service.scan(Requester::Client, map, most).await.map_err(|refusal| match refusal {
            Refusal::TooLarge { bytes, .. } => too_large(bytes),
            other => self.fault(&other, false),
        })
    }

    /// A question to one partition, as far as it goes at once.
    pub fn asks(&self, partition: PartitionId, query: Query) -> Going<QueryReply> {
        if let Some(answer) = self.service.ask_now(partition, Requester::Client, &query) {
            return Going::Now(answer.map_err(|refusal| self.fault(&refusal, false)));
        }
        let maps = self.clone();
        Going::Later(Box::pin(async move { maps.ask(partition, query).await }))
    }

    /// A change of one partition, as far as it goes at once; where a key is locked it waits for that so long.
    pub fn changes(&self, partition: PartitionId, op: Op, locked: Duration) -> Going<Reply> {
        self.changes_then(partition, op, locked, |_| None)
    }

    /// A change of a key, in order with those that its thread has sent before.
    pub fn changes_in_order(&self, at: &At<'_>, partition: PartitionId, keyed: Keyed) -> Going<Reply> {
        let Some(mut place) = at.order.behind(&keyed.map, &keyed.key, at.thread) else {
            let first = |op: &Op| match op {
                Op::Keyed(keyed) => Some(at.order.first(&keyed.map, &keyed.key, at.thread)),
                _ => None,
            };
            return self.changes_then(partition, Op::Keyed(keyed), LOCKED_WITHIN, first);
        };
        let maps = self.clone();
        Going::Later(Box::pin(async move {
            place.turn().await;
            let op = Op::Keyed(keyed);
            let done = maps.service.invoke_within(partition, Requester::Client, op, LOCKED_WITHIN).await;
            done.map(|done| done.reply).map_err(|refusal| maps.fault(&refusal, true))
        }))
    }

    /// `place`: that a change which goes the long way keeps until it is over.
    fn changes_then(
        &self,
        partition: PartitionId,
        op: Op,
        locked: Duration,
        place: impl FnOnce(&Op) -> Option<Place>,
    ) -> Going<Reply> {
        let invoked = self.service.invoke_now(partition, Requester::Client, op);
        if let Invoked::Over(done) = invoked {
            return Going::Now(done.map(|done| done.reply).map_err(|refusal| self.fault(&refusal, true)));
        }
        let place = if let Invoked::NotNow(op) = &invoked { place(op) } else { None };
        let maps = self.clone();
        Going::Later(Box::pin(async move {
            let _place = place;
            let done = match invoked {
                Invoked::Over(done) => done,
                Invoked::Waits(change) => change.acknowledged().await,
                Invoked::NotNow(op) => maps.service.invoke_within(partition, Requester::Client, op, locked).await,
            };
            done.map(|done| done.reply).map_err(|refusal| maps.fault(&refusal, true))
        }))
    }

    /// A question to one partition.
    pub async fn ask(&self, partition: PartitionId, query: Query) -> Result<QueryReply, Fault> {
        let answer = self.service.ask(partition, Requester::Client, query).await;
        answer.map_err(|refusal| self.fault(&refusal, false))
    }

    /// A change of one partition.
    pub async fn change(&self, partition: PartitionId, op: Op) -> Result<Reply, Fault> {
        let done = self.service.invoke(partition, Requester::Client, op).await;
        done.map(|done| done.reply).map_err(|refusal| self.fault(&refusal, true))
    }

    /// What is at a key.
    pub async fn at(&self, map: &str, key: Bytes) -> Result<Option<Bytes>, Fault> {
        let query = Query::Get { map: map.to_owned(), key: key.clone() };
        self.ask(self.partition_of(&key), query).await.and_then(value)
    }

    /// A key of a map of ours gets a value.
    pub async fn keep(&self, map: &str, key: Bytes, value: Bytes) -> Result<(), Fault> {
        let op = Op::Put { map: map.into(), key: key.clone(), value };
        self.change(self.partition_of(&key), op).await.map(drop)
    }

    /// A key of a map of ours goes.
    pub async fn forget(&self, map: &str, key: Bytes) -> Result<(), Fault> {
        let op = Op::Remove { map: map.into(), key: key.clone() };
        self.change(self.partition_of(&key), op).await.map(drop)
    }

    fn fault(&self, refusal: &Refusal, change: bool) -> Fault {
        Fault::of(refusal, Asked { change, settled: self.view.borrow().settled })
    }
}

async fn turn(whole: &Semaphore) -> Result<SemaphorePermit<'_>, Fault> {
    match tokio::time::timeout(TURN_WITHIN, whole.acquire()).await {
        Ok(turn) => turn.map_err(|_| Fault::new(ErrorCode::InstanceNotActive, "this member ends")),
        Err(_) => {
            let why = format!(
                "{WHOLE_AT_A_TIME} answers about whole maps are made at a time, none was over in {TURN_WITHIN:?}"
            );
            Err(Fault::new(ErrorCode::Retryable, why))
        }
    }
}

/// The answer to [`Query::Get`].
pub fn value(reply: QueryReply) -> Result<Option<Bytes>, Fault> {
    match reply {
        QueryReply::Value(value) => Ok(value),
        other => Err(odd(&other)),
    }
}

/// The answer to a question that is answered by yes or no.
pub fn yes(reply: QueryReply) -> Result<bool, Fault> {
    match reply {
        QueryReply::Was(yes) => Ok(yes),
        other => Err(odd(&other)),
    }
}

/// What a change answers that tells what was there.
pub fn former(reply: Reply) -> Result<Option<Bytes>, Fault> {
    match reply {
        Reply::Previous(former) => Ok(former),
        Reply::Done | Reply::AlreadySo => Ok(None),
        Reply::Was(_) | Reply::Count(_) => Err(odd(&reply)),
    }
}

/// What a change answers that tells whether it was done.
pub fn was(reply: Reply) -> Result<bool, Fault> {
    match reply {
        Reply::Was(was) => Ok(was),
        other => Err(odd(&other)),
    }
}

/// An answer of another kind than was asked for.
pub fn odd(answer: &impl std::fmt::Debug) -> Fault {
    let text: String = format!("{answer:?}").chars().take(80).collect();
    Fault::new(ErrorCode::Hazelcast, format!("a partition answered with something of another kind: {text}"))
}

/// Bytes beyond [`ANSWER_MOST`].
pub fn too_large(bytes: usize) -> Fault {
    let why = format!(
        "the answer would have {bytes} bytes or more, {ANSWER_MOST} are given at once: ask for some of it, by keys, by \
         pages or with an iterator"
    );
    Fault::new(ErrorCode::QueryResultSizeExceeded, why)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_turn_is_waited_for_within_a_bound_and_the_client_asks_again() {
        let whole = Semaphore::new(1);
        let first = turn(&whole).await.unwrap();
        assert_eq!(turn(&whole).await.unwrap_err().code, ErrorCode::Retryable);
        drop(first);
        drop(turn(&whole).await.unwrap());
    }
}
