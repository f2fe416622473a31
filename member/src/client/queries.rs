//! Questions about what is in the values of a map: predicates, pages, projections, aggregates; and their removal.
//!
//! Laws. *Read once*: every entry that was there all the time is looked at exactly once, and no other is made up; a map is
//! read in pages, partition by partition, and what does not belong to the answer is let go with its page. *Bounded*: what
//! is kept for the answer is counted as it is found, of all partitions together, and the whole has a time. *Removed is what
//! was looked at*: an entry goes only if its value is still the one for which the predicate held, else it is looked at
//! again. Must not know: what predicates mean, frames.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures::stream::{self, StreamExt, TryStreamExt};
use jet_map::{Change, Keyed, Op, Owner, PartitionId, Query, QueryReply, Wished};
use jet_protocol::data::Data;
use jet_protocol::error::ErrorCode;
use jet_protocol::message::map::*;
use jet_protocol::structure::{AnchorDataList, PagingPredicate};
use jet_query::path::Path;
use jet_query::{Aggregator, Entry, Iterated, Page, Partial, Predicate, Projection, Refused, Sorted};

use super::fault::Fault;
use super::maps::{ANSWER_MOST, AT_A_TIME, Maps, odd, too_large, was};
use super::schemas::Schemas;
use super::sql::tables::{Columns, Rows};
use super::values::{stored, told};

/// Bytes of a page that is looked at in one go.
const PAGE_BYTES: u32 = 256 << 10;
/// A question is answered within so long, or not; clients wait a little longer.
const WITHIN: Duration = Duration::from_secs(100);
/// How often an entry is looked at again that changes whenever it is to be removed.
const LOOKED_AT_MOST: usize = 100;

/// A map that is asked about its values. Cheap to clone.
#[derive(Clone)]
pub struct Queries {
    maps: Maps,
    schemas: Schemas,
}

/// What all partitions may keep together.
struct Budget {
    taken: AtomicUsize,
    most: usize,
}

impl Budget {
    /// Of an answer.
    fn of_answer() -> Self {
        Self { taken: AtomicUsize::new(0), most: ANSWER_MOST }
    }

    fn take(&self, bytes: usize) -> Result<(), Fault> {
        match self.taken.fetch_add(bytes, Ordering::Relaxed).saturating_add(bytes) {
            bytes if bytes > self.most => Err(too_large(bytes)),
            _ => Ok(()),
        }
    }
}

/// Why an entry is not looked at to the end.
enum Unseen {
    Refused(Refused),
    Fault(Fault),
}

impl From<Refused> for Unseen {
    fn from(refused: Refused) -> Self {
        Self::Refused(refused)
    }
}

impl From<Fault> for Unseen {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

impl From<Refused> for Fault {
    fn from(refused: Refused) -> Self {
        let code = match refused {
            Refused::Unreadable { .. } | Refused::Schema { .. } => ErrorCode::Serialization,
            Refused::NotOffered { .. } => ErrorCode::UnsupportedOperation,
            Refused::NoAttribute { .. } | Refused::Overflow { .. } => ErrorCode::Query,
            Refused::NotSummed { .. } => ErrorCode::ClassCast,
            Refused::Words { .. }
            | Refused::Pattern { .. }
            | Refused::Path { .. }
            | Refused::Unlike { .. }
            | Refused::TooMuch { .. } => ErrorCode::IllegalArgument,
        };
        Fault::new(code, refused.to_string())
    }
}

impl Queries {
    /// Of these maps.
    pub fn new(maps: Maps, schemas: Schemas) -> Self {
        Self { maps, schemas }
    }

    /// The keys of which a predicate holds.
    pub async fn keys(self, ask: key_set_with_predicate::Request) -> Result<key_set_with_predicate::Answer, Fault> {
        let keys = self.found(&ask.name, &ask.predicate, |entry| entry.key().clone(), |key| key.as_bytes().len());
        Ok(key_set_with_predicate::Answer { keys: keys.await? })
    }

    /// The values of which a predicate holds.
    pub async fn values(self, ask: values_with_predicate::Request) -> Result<values_with_predicate::Answer, Fault> {
        let values =
            self.found(&ask.name, &ask.predicate, |entry| entry.value().clone(), |value| value.as_bytes().len());
        Ok(values_with_predicate::Answer { values: values.await? })
    }

    /// The entries of which a predicate holds.
    pub async fn entries(self, ask: entries_with_predicate::Request) -> Result<entries_with_predicate::Answer, Fault> {
        let entries = self.found(&ask.name, &ask.predicate, both, bytes_of_both);
        Ok(entries_with_predicate::Answer { entries: entries.await? })
    }

    async fn found<T: Send>(
        &self,
        map: &str,
        predicate: &Data,
        take: fn(&Entry<'_>) -> T,
        bytes: fn(&T) -> usize,
    ) -> Result<Vec<T>, Fault> {
        let (predicate, budget) = (Predicate::of(predicate)?, Budget::of_answer());
        let parts = self.each(map, |found: &mut Vec<T>, entry| {
            if !predicate.holds(entry)? {
                return Ok(());
            }
            let taken = take(entry);
            budget.take(bytes(&taken))?;
            found.push(taken);
            Ok::<_, Unseen>(())
        });
        Ok(parts.await?.into_iter().flatten().collect())
    }

    /// One page of keys.
    pub async fn page_of_keys(
        self,
        ask: key_set_with_paging_predicate::Request,
    ) -> Result<key_set_with_paging_predicate::Answer, Fault> {
        let (entries, anchors) = self.page(&ask.name, &ask.predicate, Iterated::Keys).await?;
        let keys = entries.into_iter().map(|(key, _)| key).collect();
        Ok(key_set_with_paging_predicate::Answer { keys, anchors })
    }

    /// One page of values.
    pub async fn page_of_values(
        self,
        ask: values_with_paging_predicate::Request,
    ) -> Result<values_with_paging_predicate::Answer, Fault> {
        let (entries, anchors) = self.page(&ask.name, &ask.predicate, Iterated::Values).await?;
        let values = entries.into_iter().map(|(_, value)| value).collect();
        Ok(values_with_paging_predicate::Answer { values, anchors })
    }

    /// One page of entries.
    pub async fn page_of_entries(
        self,
        ask: entries_with_paging_predicate::Request,
    ) -> Result<entries_with_paging_predicate::Answer, Fault> {
        let (entries, anchors) = self.page(&ask.name, &ask.predicate, Iterated::Entries).await?;
        Ok(entries_with_paging_predicate::Answer { entries, anchors })
    }

    async fn page(
        &self,
        map: &str,
        ask: &PagingPredicate,
        by: Iterated,
    ) -> Result<(Vec<(Data, Data)>, AnchorDataList), Fault> {
        let (page, predicate) = Page::of(ask, by)?;
        let sorted = Mutex::new(Sorted::new(page)?);
        let seen = self.each(map, |_: &mut (), entry| {
            if !predicate.holds(entry)? {
                return Ok(());
            }
            let mut sorted = sorted.lock().unwrap_or_else(PoisonError::into_inner);
            sorted.add(entry)?;
            match sorted.bytes() {
                bytes if bytes > ANSWER_MOST => Err(too_large(bytes).into()),
                _ => Ok(()),
            }
        });
        seen.await?;
        Ok(sorted.into_inner().unwrap_or_else(PoisonError::into_inner).cut())
    }

    /// Something of each entry.
    pub async fn project(self, ask: project::Request) -> Result<project::Answer, Fault> {
        let results = self.projected(&ask.name, &ask.projection, Predicate::Always(true)).await?;
        Ok(project::Answer { results })
    }

    /// Something of each entry of which a predicate holds.
    pub async fn project_some(
        self,
        ask: project_with_predicate::Request,
    ) -> Result<project_with_predicate::Answer, Fault> {
        let results = self.projected(&ask.name, &ask.projection, Predicate::of(&ask.predicate)?).await?;
        Ok(project_with_predicate::Answer { results })
    }

    async fn projected(&self, map: &str, projection: &Data, predicate: Predicate) -> Result<Vec<Option<Data>>, Fault> {
        let (projection, budget) = (Projection::of(projection)?, Budget::of_answer());
        let parts = self.each(map, |found: &mut Vec<Option<Data>>, entry| {
            if predicate.holds(entry)? {
                let given = projection.given(entry)?;
                // A null takes a frame too.
                budget.take(given.as_ref().map_or(Data::HEADER, |given| given.as_bytes().len()))?;
                found.push(given);
            }
            Ok(())
        });
        Ok(parts.await?.into_iter().flatten().collect())
    }

    /// One value of all entries.
    pub async fn aggregate(self, ask: aggregate::Request) -> Result<aggregate::Answer, Fault> {
        let result = self.aggregated(&ask.name, &ask.aggregator, Predicate::Always(true)).await?;
        Ok(aggregate::Answer { result })
    }

    /// One value of the entries of which a predicate holds.
    pub async fn aggregate_some(
        self,
        ask: aggregate_with_predicate::Request,
    ) -> Result<aggregate_with_predicate::Answer, Fault> {
        let result = self.aggregated(&ask.name, &ask.aggregator, Predicate::of(&ask.predicate)?).await?;
        Ok(aggregate_with_predicate::Answer { result })
    }

    async fn aggregated(&self, map: &str, aggregator: &Data, predicate: Predicate) -> Result<Option<Data>, Fault> {
        let (aggregator, budget) = (Aggregator::of(aggregator)?, Budget::of_answer());
        let parts = self.each(map, |made: &mut Partial, entry| {
            if !predicate.holds(entry)? {
                return Ok(());
            }
            let before = made.bytes();
            aggregator.add(made, entry)?;
            Ok(budget.take(made.bytes().saturating_sub(before))?)
        });
        let mut whole = Partial::default();
        // In the order of partitions, so that broken numbers make the same sum whenever they are asked.
        parts.await?.into_iter().for_each(|part| aggregator.merge(&mut whole, part));
        Ok(aggregator.answer(whole)?)
    }

    /// All entries as rows, part by part.
    pub async fn rows(&self, map: &str, columns: &Columns, most: usize) -> Result<Vec<Rows>, Fault> {
        let budget = Budget { taken: AtomicUsize::new(0), most };
        let parts = self.each(map, |rows: &mut Rows, entry| Ok(budget.take(columns.add(rows, entry)?)?));
        parts.await
    }

    /// The entries go of which a predicate holds.
    pub async fn remove_all(self, ask: remove_all::Request, by: Owner) -> Result<remove_all::Answer, Fault> {
        let (map, predicate) = (self.maps.named(&ask.name)?, Predicate::of(&ask.predicate)?);
        let entries = self.found(&ask.name, &ask.predicate, both, bytes_of_both).await?;
        let begun = AtomicUsize::new(0);
        let removals = entries.into_iter().map(|(key, value)| self.remove(&map, (key, value), &predicate, by, &begun));
        let removed = stream::iter(removals).buffer_unordered(AT_A_TIME).try_collect::<()>().await;
        removed.map_err(|fault| match begun.into_inner() {
            1.. if fault.code.is_always_retried() => {
                let why = format!("a part of the entries is removed: {}", fault.message);
                Fault::new(ErrorCode::IndeterminateOperationState, why)
            }
            _ => fault,
        })?;
        Ok(remove_all::Answer {})
    }

    /// One of them goes, as long as the predicate holds of what is there.
    async fn remove(
        &self,
        map: &str,
        (key, mut value): (Data, Data),
        predicate: &Predicate,
        by: Owner,
        begun: &AtomicUsize,
    ) -> Result<(), Fault> {
        let stored_key = stored(&key)?;
        let partition = self.maps.partition_of(&stored_key);
        for _ in 0..LOOKED_AT_MOST {
            let change = Change::RemoveIfSame(stored(&value)?);
            let (map_name, key_bytes) = (map.to_owned(), stored_key.clone());
            let keyed = Keyed { map: map_name, key: key_bytes, by, change, limits: Wished::default(), quiet: false };
            let removed = self.maps.change(partition, Op::Keyed(keyed)).await.and_then(was)?;
            begun.fetch_add(1, Ordering::Relaxed);
            if removed {
                return Ok(());
            }
            let Some(now) = self.maps.at(map, stored_key.clone()).await? else { return Ok(()) };
            value = told(now);
            let mut holds = false;
            self.look(&key, &value, &mut |entry| {
                holds = predicate.holds(entry)?;
                Ok(())
            })
            .await?;
            if !holds {
                return Ok(());
            }
        }
        let why = format!("an entry of map '{map}' changed {LOOKED_AT_MOST} times while it was to be removed");
        Err(Fault::new(ErrorCode::IndeterminateOperationState, why))
    }

    /// Of each partition what `see` makes of its entries, in the order of partitions.
    async fn each<T: Default + Send>(
        &self,
        map: &str,
        see: impl Fn(&mut T, &Entry<'_>) -> Result<(), Unseen> + Sync,
    ) -> Result<Vec<T>, Fault> {
        let map = self.maps.named(map)?;
        let asked = async {
            let _turn = self.maps.turn().await?;
            let parts = (0..self.maps.partitions()).map(|partition| self.partition(PartitionId(partition), &map, &see));
            stream::iter(parts).buffered(AT_A_TIME).try_collect().await
        };
        let late = || {
            let why = format!("map '{map}' is not looked through within {} s: ask for less of it", WITHIN.as_secs());
            Fault::new(ErrorCode::OperationTimeout, why)
        };
        tokio::time::timeout(WITHIN, asked).await.map_err(|_| late())?
    }

    async fn partition<T: Default + Send>(
        &self,
        partition: PartitionId,
        map: &str,
        see: &(impl Fn(&mut T, &Entry<'_>) -> Result<(), Unseen> + Sync),
    ) -> Result<T, Fault> {
        let (mut made, mut from) = (T::default(), None);
        // Between two pages an entry may have moved, and is found again.
        let mut seen: BTreeSet<Bytes> = BTreeSet::new();
        loop {
            let query = Query::Scan { map: map.to_owned(), from, bytes: PAGE_BYTES };
            let QueryReply::Page { entries, next } = self.maps.ask(partition, query).await? else {
                return Err(odd(&"entries"));
            };
            let only = from.is_none() && next.is_none();
            for (key, value) in entries {
                if !only && !seen.insert(Bytes::copy_from_slice(&key)) {
                    continue;
                }
                self.look(&told(key), &told(value), &mut |entry| see(&mut made, entry)).await?;
            }
            from = next;
            if from.is_none() {
                return Ok(made);
            }
            // Whoever else lives on this thread has its turn.
            tokio::task::yield_now().await;
        }
    }

    /// One entry; anew as often as a schema was not known.
    async fn look(
        &self,
        key: &Data,
        value: &Data,
        see: &mut (impl FnMut(&Entry<'_>) -> Result<(), Unseen> + Send),
    ) -> Result<(), Fault> {
        loop {
            let seen = see(&Entry::new(key, value, &self.schemas));
            match seen {
                Ok(()) => return Ok(()),
                Err(Unseen::Refused(Refused::Schema { fingerprint })) => self.schemas.learn(fingerprint).await?,
                Err(Unseen::Refused(refused)) => return Err(refused.into()),
                Err(Unseen::Fault(fault)) => return Err(fault),
            }
        }
    }
}

/// An index is taken if it could be one, and makes nothing faster: every question looks at every entry.
pub fn index(ask: &add_index::Request) -> Result<add_index::Answer, Fault> {
    let attributes = &ask.index.attributes;
    if attributes.is_empty() {
        return Err(Fault::new(ErrorCode::IllegalArgument, "an index has no attributes"));
    }
    attributes.iter().try_for_each(|attribute| Path::read(attribute).map(drop))?;
    Ok(add_index::Answer {})
}

fn both(entry: &Entry<'_>) -> (Data, Data) {
    (entry.key().clone(), entry.value().clone())
}

fn bytes_of_both((key, value): &(Data, Data)) -> usize {
    key.as_bytes().len() + value.as_bytes().len()
}
