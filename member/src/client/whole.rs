//! Requests to a whole map, or to several keys.
//!
//! Law: partition by partition, some at a time; an answer that grows beyond its bound is given up at once. A change in parts
//! that is refused behind a part that is done is not known to the client as one that it may make again. Must not know: how
//! an answer is written.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use bytes::Bytes;
use futures::stream::{self, StreamExt, TryStreamExt};
use jet_map::{Op, Owner, PartitionId, Query, QueryReply, Reply, What};
use jet_protocol::error::ErrorCode;
use jet_protocol::message::map::*;

use super::fault::Fault;
use super::keyed::Lives;
use super::maps::{ANSWER_MOST, AT_A_TIME, Maps, odd, too_large, yes};
use super::values::{looked_for, stored, told};

/// Bytes of one change that a `putAll` becomes.
const CHANGE_BYTES: usize = 4 << 20;
/// Bytes of one page of a partition.
const PAGE_BYTES: u32 = 1 << 20;
/// Bytes of one page of an iterator.
const ITERATED_BYTES: u32 = 256 << 10;
/// An iterator is at the end.
const OVER: i32 = -1;

impl Maps {
    /// Entries, of one partition or of several.
    pub async fn put_all(self, ask: put_all::Request, by: Owner) -> Result<put_all::Answer, Fault> {
        let map = self.named(&ask.name)?;
        let mut by_partition: BTreeMap<PartitionId, Vec<(Bytes, Bytes)>> = BTreeMap::new();
        for (key, value) in &ask.entries {
            let (key, value) = (stored(key)?, stored(value)?);
            by_partition.entry(self.partition_of(&key)).or_default().push((key, value));
        }
        // Parts of one partition one after the other: a key that is there twice keeps what was said last.
        let put = |entries| Op::PutAll { map: map.clone(), entries, by, limits: Lives::AS_CONFIGURED.wished() };
        let parts = by_partition.into_iter().map(|(partition, entries)| {
            let changes: Vec<Op> = cut(entries).into_iter().map(put).collect();
            (partition, changes)
        });
        self.in_parts(parts).await?;
        Ok(put_all::Answer {})
    }

    /// The values of those keys that are there.
    pub async fn get_all(self, ask: get_all::Request) -> Result<get_all::Answer, Fault> {
        let map = self.named(&ask.name)?;
        let mut by_partition: BTreeMap<PartitionId, Vec<Bytes>> = BTreeMap::new();
        for key in &ask.keys {
            let key = looked_for(key)?;
            by_partition.entry(self.partition_of(&key)).or_default().push(key);
        }
        let pages = by_partition.into_iter().map(|(partition, keys)| {
            let (maps, query) = (&self, Query::GetAll { map: map.clone(), keys });
            async move { maps.page(partition, query).await.map(|(entries, _)| entries) }
        });
        let entries = bounded(stream::iter(pages).buffer_unordered(AT_A_TIME), entry_bytes).await?;
        Ok(get_all::Answer { entries: entries.into_iter().map(|(key, value)| (told(key), told(value))).collect() })
    }

    /// How many keys there are.
    pub async fn size(self, ask: size::Request) -> Result<size::Answer, Fault> {
        let entries: u64 = self.sizes(&self.named(&ask.name)?).await?.values().sum();
        Ok(size::Answer { size: i32::try_from(entries).unwrap_or(i32::MAX) })
    }

    /// Whether there are none.
    pub async fn is_empty(self, ask: is_empty::Request) -> Result<is_empty::Answer, Fault> {
        let empty = self.sizes(&self.named(&ask.name)?).await?.is_empty();
        Ok(is_empty::Answer { empty })
    }

    /// All keys that are not locked go.
    pub async fn clear(self, ask: clear::Request) -> Result<clear::Answer, Fault> {
        let map = self.named(&ask.name)?;
        let gone = self.empty(&map, |map| Op::ClearMap { map }).await?.gone;
        self.emptied(&map, What::Cleared, gone);
        Ok(clear::Answer {})
    }

    /// The same, to make room.
    pub async fn evict_all(self, ask: evict_all::Request) -> Result<evict_all::Answer, Fault> {
        let map = self.named(&ask.name)?;
        let gone = self.empty(&map, |map| Op::EvictAll { map }).await?.gone;
        self.emptied(&map, What::AllEvicted, gone);
        Ok(evict_all::Answer {})
    }

    /// All keys.
    pub async fn key_set(self, ask: key_set::Request) -> Result<key_set::Answer, Fault> {
        let map = self.named(&ask.name)?;
        let _turn = self.turn().await?;
        let partitions = stream::iter((0..self.partitions()).map(PartitionId));
        let keys = partitions.map(|partition| self.keys_of(partition, &map)).buffer_unordered(AT_A_TIME);
        let keys = bounded(keys, |key: &Bytes| key.len()).await?;
        Ok(key_set::Answer { keys: keys.into_iter().map(told).collect() })
    }

    /// All values.
    pub async fn values(self, ask: values::Request) -> Result<values::Answer, Fault> {
        let entries = self.entries(&self.named(&ask.name)?, ANSWER_MOST).await?;
        Ok(values::Answer { values: entries.into_iter().map(|(_, value)| told(value)).collect() })
    }

    /// All entries.
    pub async fn entry_set(self, ask: entry_set::Request) -> Result<entry_set::Answer, Fault> {
        let entries = self.entries(&self.named(&ask.name)?, ANSWER_MOST).await?;
        Ok(entry_set::Answer { entries: entries.into_iter().map(|(key, value)| (told(key), told(value))).collect() })
    }

    /// Whether a value is there.
    pub async fn contains_value(self, ask: contains_value::Request) -> Result<contains_value::Answer, Fault> {
        let (map, value) = (self.named(&ask.name)?, looked_for(&ask.value)?);
        let asked = (0..self.partitions()).map(PartitionId).map(|partition| {
            let query = Query::ContainsValue { map: map.clone(), value: value.clone() };
            let maps = &self;
            async move { maps.ask(partition, query).await.and_then(yes) }
        });
        let mut asked = std::pin::pin!(stream::iter(asked).buffer_unordered(AT_A_TIME));
        while let Some(contained) = asked.try_next().await? {
            if contained {
                return Ok(contains_value::Answer { contained });
            }
        }
        Ok(contains_value::Answer { contained: false })
    }

    /// The next keys of a partition.
    pub async fn fetch_keys(self, ask: fetch_keys::Request, partition: i32) -> Result<fetch_keys::Answer, Fault> {
        let (map, partition) = (self.named(&ask.name)?, self.partition(partition)?);
        let query = Query::Keys { map, from: from(&ask.pointers), bytes: ITERATED_BYTES };
        match self.ask(partition, query).await? {
            QueryReply::Keys { keys, next } => {
                Ok(fetch_keys::Answer { pointers: pointers(next), keys: keys.into_iter().map(told).collect() })
            }
            other => Err(odd(&other)),
        }
    }

    /// The next entries of a partition.
    pub async fn fetch_entries(
        self,
        ask: fetch_entries::Request,
        partition: i32,
    ) -> Result<fetch_entries::Answer, Fault> {
        let (map, partition) = (self.named(&ask.name)?, self.partition(partition)?);
        let query = Query::Scan { map, from: from(&ask.pointers), bytes: ITERATED_BYTES };
        let (entries, next) = self.page(partition, query).await?;
        let entries = entries.into_iter().map(|(key, value)| (told(key), told(value))).collect();
        Ok(fetch_entries::Answer { pointers: pointers(next), entries })
    }

    fn partition(&self, number: i32) -> Result<PartitionId, Fault> {
        let known = u16::try_from(number).ok().filter(|number| *number < self.partitions());
        let why = || format!("there is no partition {number}: an iterator is of one partition");
        known.map(PartitionId).ok_or_else(|| Fault::new(ErrorCode::IllegalArgument, why()))
    }

    async fn keys_of(&self, partition: PartitionId, map: &str) -> Result<Vec<Bytes>, Fault> {
        // Between two pages a key may have moved, and is found again.
        let (mut all, mut from) = (std::collections::BTreeSet::new(), None);
        loop {
            let query = Query::Keys { map: map.to_owned(), from, bytes: PAGE_BYTES };
            let QueryReply::Keys { keys, next } = self.ask(partition, query).await? else {
                return Err(odd(&"keys"));
            };
            all.extend(keys);
            from = next;
            if from.is_none() {
                return Ok(all.into_iter().collect());
            }
        }
    }

    async fn page(&self, partition: PartitionId, query: Query) -> Result<(Vec<(Bytes, Bytes)>, Option<u32>), Fault> {
        match self.ask(partition, query).await? {
            QueryReply::Page { entries, next } => Ok((entries, next)),
            other => Err(odd(&other)),
        }
    }

    /// Partitions that have entries of a map, and how many.
    async fn sizes(&self, map: &str) -> Result<BTreeMap<PartitionId, u64>, Fault> {
        let size = |partition| async move {
            match self.ask(partition, Query::Size { map: map.to_owned() }).await? {
                QueryReply::Size(entries) => Ok((partition, entries)),
                other => Err(odd(&other)),
            }
        };
        let sizes = stream::iter((0..self.partitions()).map(PartitionId)).map(size).buffer_unordered(AT_A_TIME);
        sizes.try_filter(|(_, entries)| std::future::ready(*entries > 0)).try_collect().await
    }

    /// All keys of a map go that were there when this began.
    pub async fn empty(&self, map: &str, op: fn(String) -> Op) -> Result<Parts, Fault> {
        let filled = self.sizes(map).await?.into_keys();
        self.in_parts(filled.map(|partition| (partition, vec![op(map.to_owned())]))).await
    }

    /// A change of several partitions, each of its own changes one after the other.
    async fn in_parts(&self, parts: impl Iterator<Item = (PartitionId, Vec<Op>)>) -> Result<Parts, Fault> {
        let (done, gone, gave_up) = (AtomicUsize::new(0), AtomicU64::new(0), AtomicBool::new(false));
        let parts = parts.map(|(partition, changes)| {
            let (done, gone, gave_up) = (&done, &gone, &gave_up);
            async move {
                for change in changes {
                    if gave_up.load(Ordering::Relaxed) {
                        break;
                    }
                    let reply = self.change(partition, change).await;
                    let reply = reply.inspect_err(|_| gave_up.store(true, Ordering::Relaxed))?;
                    done.fetch_add(1, Ordering::Relaxed);
                    gone.fetch_add(keys_gone(&reply), Ordering::Relaxed);
                }
                Ok::<_, Fault>(())
            }
        });
        // What has begun is waited for also behind a refusal: only then is it known whether anything was done.
        let ends: Vec<_> = stream::iter(parts).buffer_unordered(AT_A_TIME).collect().await;
        let faults = ends.into_iter().filter_map(Result::err).collect();
        Parts { done: done.into_inner(), gone: gone.into_inner() }.or_all_of(faults)
    }
}

/// What became of a change in several parts.
pub struct Parts {
    /// Parts that are done.
    done: usize,
    /// Keys that they took.
    gone: u64,
}

impl Parts {
    /// The fault that is told, if there is any: of several the one that leaves most open, and never one by which a client
    /// asks again by itself once anything was done.
    fn or_all_of(self, faults: Vec<Fault>) -> Result<Self, Fault> {
        let unknown = |fault: &Fault| fault.code == ErrorCode::IndeterminateOperationState;
        match faults.into_iter().max_by_key(|fault| (unknown(fault), !fault.code.is_always_retried())) {
            None => Ok(self),
            Some(fault) => Err(self.before(fault)),
        }
    }

    /// What is told of a fault that comes behind these parts.
    pub fn before(&self, fault: Fault) -> Fault {
        if self.done == 0 || !fault.code.is_always_retried() {
            return fault;
        }
        let why = format!("a part of it is done ({} changes), the rest is not: {}", self.done, fault.message);
        Fault::new(ErrorCode::IndeterminateOperationState, why)
    }
}

/// How many keys a change took.
fn keys_gone(reply: &Reply) -> u64 {
    if let Reply::Count(count) = reply { *count } else { 0 }
}

/// All of it, as long as it is not too much.
async fn bounded<T>(
    parts: impl stream::Stream<Item = Result<Vec<T>, Fault>>,
    bytes_of: impl Fn(&T) -> usize,
) -> Result<Vec<T>, Fault> {
    let mut parts = std::pin::pin!(parts);
    let (mut all, mut bytes) = (Vec::new(), 0);
    while let Some(part) = parts.try_next().await? {
        bytes += part.iter().map(&bytes_of).sum::<usize>();
        if bytes > ANSWER_MOST {
            return Err(too_large(bytes));
        }
        all.extend(part);
    }
    Ok(all)
}

fn entry_bytes((key, value): &(Bytes, Bytes)) -> usize {
    key.len() + value.len()
}

/// Where an iterator goes on: below the last place, or from the last one.
fn from(pointers: &[(i32, i32)]) -> Option<u32> {
    let (place, _) = pointers.last()?;
    u32::try_from(*place).ok().filter(|_| *place != i32::MAX)
}

fn pointers(next: Option<u32>) -> Vec<(i32, i32)> {
    let place = next.map_or(OVER, |next| i32::try_from(next).unwrap_or(i32::MAX - 1));
    vec![(place, OVER)]
}

/// Into changes that are carried in one message each.
fn cut(entries: Vec<(Bytes, Bytes)>) -> Vec<Vec<(Bytes, Bytes)>> {
    let (mut parts, mut bytes) = (vec![Vec::new()], 0);
    for entry in entries {
        bytes += entry_bytes(&entry);
        if bytes > CHANGE_BYTES && parts.last().is_some_and(|part| !part.is_empty()) {
            parts.push(Vec::new());
            bytes = entry_bytes(&entry);
        }
        if let Some(part) = parts.last_mut() {
            part.push(entry);
        }
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_put_all_is_cut_where_a_change_would_be_too_large_and_nothing_is_left_out() {
        let entry = |n: usize, size: usize| (Bytes::from(n.to_string()), Bytes::from(vec![0; size]));
        let sizes = |entries: Vec<(Bytes, Bytes)>| cut(entries).iter().map(Vec::len).collect::<Vec<_>>();
        assert_eq!(sizes((0..3).map(|n| entry(n, 10)).collect()), [3]);
        assert_eq!(sizes((0..5).map(|n| entry(n, CHANGE_BYTES / 2)).collect()), [1, 1, 1, 1, 1]);
        assert_eq!(sizes((0..5).map(|n| entry(n, CHANGE_BYTES / 3)).collect()), [2, 2, 1]);
        assert_eq!(sizes(vec![entry(0, CHANGE_BYTES * 2), entry(1, 1)]), [1, 1]);
        assert_eq!(sizes(Vec::new()), [0]);
    }

    #[test]
    fn once_a_part_is_done_no_client_asks_again_by_itself() {
        let fault = |code| Fault::new(code, "why");
        let told = |done, codes: &[ErrorCode]| {
            let faults = codes.iter().map(|code| fault(*code)).collect();
            Parts { done, gone: 0 }.or_all_of(faults).err().map(|fault| fault.code)
        };
        use ErrorCode::{IllegalState, IndeterminateOperationState as Unknown, InstanceNotActive, Retryable};
        assert_eq!(told(3, &[]), None);
        assert_eq!(told(0, &[Retryable, InstanceNotActive]).map(ErrorCode::is_always_retried), Some(true));
        assert_eq!(told(1, &[Retryable]), Some(Unknown));
        assert_eq!(told(1, &[InstanceNotActive, Retryable]), Some(Unknown));
        // A part that may be done counts as one that is.
        assert_eq!(told(0, &[Retryable, Unknown, Retryable]), Some(Unknown));
        assert_eq!(told(0, &[Retryable, IllegalState]), Some(IllegalState));
    }

    #[test]
    fn an_iterator_begins_at_the_last_place_and_is_over_below_the_first() {
        assert_eq!(
            (from(&[]), from(&[(i32::MAX, -1)]), from(&[(7, -1)]), from(&[(-1, -1)])),
            (None, None, Some(7), None)
        );
        assert_eq!((pointers(None), pointers(Some(7))), (vec![(-1, -1)], vec![(7, -1)]));
    }
}
