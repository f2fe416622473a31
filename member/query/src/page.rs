//! Pages of keys, values or entries in an order.
//!
//! Law: all entries stand in one order, whatever they are; a page begins behind the last entry of the nearest page before
//! it that the client has seen, so that pages overlap only where entries changed between them. Must not know: where
//! entries come from, how many bytes an answer may have.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use bytes::Bytes;
use jet_protocol::data::{Data, type_id};
use jet_protocol::structure::{AnchorDataList, PagingPredicate};

use crate::Refused;
use crate::entry::Entry;
use crate::item::Item;
use crate::predicate::Predicate;

/// By what pages are ordered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Iterated {
    /// By keys.
    Keys,
    /// By values.
    Values,
    /// Both, by keys.
    Entries,
}

/// One page that is asked for.
#[derive(Debug, Clone)]
pub struct Page {
    iterated: Iterated,
    size: usize,
    number: usize,
    /// Of the pages before it, from the first: the last entry of each.
    anchors: Vec<(Data, Data)>,
}

/// A place in the order.
#[derive(Debug, Clone)]
struct Place {
    item: Item,
    key: Bytes,
}

/// The entries that come next, as they are found.
pub struct Sorted {
    page: Page,
    /// The number of pages that are passed over by the anchor.
    passed: usize,
    after: Option<Place>,
    held: BTreeMap<Place, (Data, Data)>,
    bytes: usize,
}

impl Page {
    /// As a client asks for it; also the predicate of its entries.
    pub fn of(ask: &PagingPredicate, iterated: Iterated) -> Result<(Self, Predicate), Refused> {
        // Some clients write a null where others write nothing.
        if ask.comparator.as_ref().is_some_and(|comparator| comparator.type_id() != type_id::NULL) {
            return Err(Refused::NotOffered {
                what: "a comparator of pages".into(),
                instead: "it is code of users, which members do not run; leave it out, and pages are in natural order",
            });
        }
        if ask.partition_key.is_some() || ask.partition_keys.as_ref().is_some_and(Option::is_some) {
            return Err(Refused::NotOffered {
                what: "pages of some partitions".into(),
                instead: "ask for pages of all",
            });
        }
        let wrong = |why: &str| Refused::unreadable("a predicate of pages", why);
        let size = usize::try_from(ask.page_size).ok().filter(|size| *size > 0);
        let size = size.ok_or_else(|| wrong("a page has no entries"))?;
        let number = usize::try_from(ask.page).map_err(|_| wrong("there is no page below the first"))?;
        let AnchorDataList { pages, anchors } = &ask.anchors;
        let in_order = pages.iter().enumerate().all(|(place, page)| usize::try_from(*page) == Ok(place));
        if pages.len() != anchors.len() || !in_order {
            return Err(wrong("the pages before it are not in order"));
        }
        let predicate = ask.predicate.as_ref().map_or(Ok(Predicate::Always(true)), Predicate::of)?;
        Ok((Self { iterated, size, number, anchors: anchors.clone() }, predicate))
    }
}

impl Place {
    fn of(iterated: Iterated, key: &Data, value: &Data) -> Result<Self, Refused> {
        let by = if iterated == Iterated::Values { value } else { key };
        Ok(Self { item: Item::of(by)?, key: key.as_bytes().clone() })
    }
}

impl Ord for Place {
    fn cmp(&self, other: &Self) -> Ordering {
        self.item.total(&other.item).then_with(|| self.key.cmp(&other.key))
    }
}

impl PartialOrd for Place {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Place {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Place {}

impl Sorted {
    /// None yet.
    pub fn new(page: Page) -> Result<Self, Refused> {
        let passed = page.number.min(page.anchors.len());
        let anchor = passed.checked_sub(1).and_then(|last| page.anchors.get(last));
        let after = anchor.map(|(key, value)| Place::of(page.iterated, key, value)).transpose()?;
        Ok(Self { page, passed, after, held: BTreeMap::new(), bytes: 0 })
    }

    /// How many are needed: all pages from the anchor to the one that is asked for.
    fn needed(&self) -> usize {
        self.page.size.saturating_mul((self.page.number - self.passed).saturating_add(1))
    }

    /// One more, if it comes behind the anchor and before those that are needed.
    pub fn add(&mut self, entry: &Entry<'_>) -> Result<(), Refused> {
        let place = Place::of(self.page.iterated, entry.key(), entry.value())?;
        if self.after.as_ref().is_some_and(|after| place <= *after) {
            return Ok(());
        }
        let bytes = |(key, value): &(Data, Data)| key.as_bytes().len() + value.as_bytes().len();
        let both = (entry.key().clone(), entry.value().clone());
        self.bytes += bytes(&both);
        if let Some(former) = self.held.insert(place, both) {
            self.bytes -= bytes(&former);
        }
        if self.held.len() > self.needed()
            && let Some((_, last)) = self.held.pop_last()
        {
            self.bytes -= bytes(&last);
        }
        Ok(())
    }

    /// Bytes of what is held.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// The page, and the last entries of all pages that are known now.
    pub fn cut(self) -> (Vec<(Data, Data)>, AnchorDataList) {
        let Self { page, passed, held, .. } = self;
        let entries: Vec<(Data, Data)> = held.into_values().collect();
        let mut anchors = page.anchors;
        anchors.truncate(passed);
        anchors.extend(entries.chunks_exact(page.size).filter_map(|full| full.last()).cloned());
        let begin = entries.len().min((page.number - passed).saturating_mul(page.size));
        let end = entries.len().min(begin.saturating_add(page.size));
        let pages = (0..anchors.len()).map(|place| i32::try_from(place).unwrap_or(i32::MAX)).collect();
        (entries.get(begin..end).unwrap_or_default().to_vec(), AnchorDataList { pages, anchors })
    }
}
