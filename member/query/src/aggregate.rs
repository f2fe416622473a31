//! One value made of many entries.
//!
//! Law: what is made of some entries and what is made of others make together what all of them make, in whatever order;
//! broken numbers as near as their sums come. A sum is exact until it is answered, and refused where the answer does not
//! hold it. Must not know: which entries, how many bytes an answer may have.

use std::cmp::Ordering;
use std::collections::BTreeSet;

use bigdecimal::BigDecimal;
use bytes::BufMut;
use jet_protocol::data::{Data, type_id};

use crate::Refused;
use crate::decode::Object;
use crate::entry::{Entry, Found};
use crate::item::Item;
use crate::number::Number;
use crate::path::Path;
use crate::projection::{identified, whole};
use crate::read::Content;

/// Of aggregators.
const AGGREGATORS: i32 = -29;
/// Of a set, in what clients know: factory and class.
const SET: (i32, i32) = (AGGREGATORS, 19);

/// What is made of entries.
#[derive(Debug, Clone)]
pub struct Aggregator {
    kind: Kind,
    path: Path,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Count,
    Distinct,
    Sum(Sum),
    Average(Sum),
    Border(Ordering),
    BorderEntry(Ordering),
}

/// In which numbers a sum is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sum {
    /// Of whole numbers.
    Whole,
    /// Of any, each without what is behind its point.
    Cut,
    /// Doubles.
    Floating,
    /// Whole numbers of any size.
    Big,
    /// Decimals of any size.
    Decimal,
}

/// What some entries make.
#[derive(Debug, Clone)]
pub struct Partial {
    count: u64,
    whole: i128,
    floating: f64,
    exact: BigDecimal,
    distinct: BTreeSet<Ordered>,
    border: Option<(Item, Option<(Data, Data)>)>,
    bytes: usize,
}

/// An item by its place among all.
#[derive(Debug, Clone)]
struct Ordered(Item);

impl Ord for Ordered {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.total(&other.0)
    }
}

impl PartialOrd for Ordered {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Ordered {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Ordered {}

impl Default for Partial {
    fn default() -> Self {
        Self {
            count: 0,
            whole: 0,
            floating: 0.0,
            exact: BigDecimal::from(0),
            distinct: BTreeSet::new(),
            border: None,
            bytes: 0,
        }
    }
}

impl Partial {
    /// Bytes of what is held.
    pub fn bytes(&self) -> usize {
        self.bytes
    }
}

impl Aggregator {
    /// As a client sends it. What it has of results, which are those of nothing, is not looked at.
    pub fn of(data: &Data) -> Result<Self, Refused> {
        let mut from = Content::new(data.content(), "an aggregator");
        let object = Object::read(data.type_id(), &mut from)?;
        if object.factory != AGGREGATORS {
            return Err(object.refuse("the aggregator"));
        }
        let kind = match object.class {
            0 => Kind::Average(Sum::Decimal),
            1 => Kind::Sum(Sum::Decimal),
            2 => Kind::Average(Sum::Big),
            3 => Kind::Sum(Sum::Big),
            4 => Kind::Count,
            5 => Kind::Distinct,
            6 | 16 => Kind::Average(Sum::Floating),
            7 | 9 => Kind::Sum(Sum::Floating),
            8 => Kind::Sum(Sum::Cut),
            10 | 12 => Kind::Average(Sum::Whole),
            11 | 13 => Kind::Sum(Sum::Whole),
            14 => Kind::Border(Ordering::Greater),
            15 => Kind::Border(Ordering::Less),
            17 => Kind::BorderEntry(Ordering::Greater),
            18 => Kind::BorderEntry(Ordering::Less),
            _ => return Err(object.refuse("the aggregator")),
        };
        let path = from.text()?.map_or(Ok(Path::this()), |path| Path::read(&path))?;
        Ok(Self { kind, path })
    }

    /// One entry more.
    pub fn add(&self, to: &mut Partial, entry: &Entry<'_>) -> Result<(), Refused> {
        match entry.at(&self.path)? {
            Found::One(item) => self.add_item(to, item, entry),
            Found::All(items) => items.into_iter().try_for_each(|item| self.add_item(to, item, entry)),
        }
    }

    fn add_item(&self, to: &mut Partial, item: Item, entry: &Entry<'_>) -> Result<(), Refused> {
        match self.kind {
            Kind::Count => {}
            Kind::Distinct => keep(to, Ordered(item)),
            Kind::Sum(sum) | Kind::Average(sum) => {
                self.sum(to, sum, &item).ok_or_else(|| self.refuse_item(&item))?;
            }
            Kind::Border(_) | Kind::BorderEntry(_) if item == Item::Null => return Ok(()),
            Kind::Border(wanted) => better(to, wanted, (item, None)),
            Kind::BorderEntry(wanted) => {
                better(to, wanted, (item, Some((entry.key().clone(), entry.value().clone()))));
            }
        }
        to.count += 1;
        Ok(())
    }

    fn sum(&self, to: &mut Partial, sum: Sum, item: &Item) -> Option<()> {
        let Item::Number(number) = item else { return None };
        match sum {
            Sum::Whole => to.whole += number.whole()?,
            // As Java cuts: at the point, and at the borders of its longs.
            Sum::Cut => to.whole += number.whole().unwrap_or_else(|| i128::from(number.double() as i64)),
            Sum::Floating => to.floating += number.double(),
            Sum::Big | Sum::Decimal => to.exact += number.exact()?,
        }
        Some(())
    }

    /// What two made together.
    pub fn merge(&self, to: &mut Partial, other: Partial) {
        to.count += other.count;
        to.whole += other.whole;
        to.floating += other.floating;
        to.exact += other.exact;
        other.distinct.into_iter().for_each(|item| keep(to, item));
        if let (Kind::Border(wanted) | Kind::BorderEntry(wanted), Some(border)) = (self.kind, other.border) {
            better(to, wanted, border);
        }
    }

    /// The answer; nothing for a null.
    pub fn answer(&self, made: Partial) -> Result<Option<Data>, Refused> {
        let long = |whole: i128| i64::try_from(whole).map(|whole| Item::Number(Number::Long(whole)));
        let overflow = || Refused::Overflow { aggregator: self.name(), attribute: self.path.to_string() };
        let double = |number: f64| Item::Number(Number::Double(number));
        let item = match self.kind {
            Kind::Count => long(made.count.into()).map_err(|_| overflow())?,
            Kind::Distinct => return Ok(Some(set(&made.distinct))),
            Kind::Border(_) => return Ok(made.border.map(|(item, _)| item.data())),
            Kind::BorderEntry(_) => {
                return Ok(made.border.and_then(|(_, entry)| entry).map(|(key, value)| whole(&key, &value)));
            }
            Kind::Average(_) if made.count == 0 => return Ok(None),
            Kind::Sum(Sum::Whole | Sum::Cut) => long(made.whole).map_err(|_| overflow())?,
            Kind::Sum(Sum::Floating) => double(made.floating),
            Kind::Sum(Sum::Big) => Item::Number(Number::Big(made.exact.with_scale(0).into_bigint_and_exponent().0)),
            Kind::Sum(Sum::Decimal) => Item::Number(Number::Decimal(made.exact)),
            Kind::Average(Sum::Whole | Sum::Cut) => double(made.whole as f64 / made.count as f64),
            Kind::Average(Sum::Floating) => double(made.floating / made.count as f64),
            Kind::Average(Sum::Big | Sum::Decimal) => {
                Item::Number(Number::Decimal((made.exact / BigDecimal::from(made.count)).normalized()))
            }
        };
        Ok(Some(item.data()))
    }

    fn refuse_item(&self, item: &Item) -> Refused {
        Refused::NotSummed { aggregator: self.name(), attribute: self.path.to_string(), of: item.kind() }
    }

    fn name(&self) -> &'static str {
        match self.kind {
            Kind::Count => "the count",
            Kind::Distinct => "the set",
            Kind::Sum(Sum::Whole) | Kind::Average(Sum::Whole) => "the sum of whole numbers",
            Kind::Sum(_) | Kind::Average(_) => "the sum",
            Kind::Border(_) | Kind::BorderEntry(_) => "the border",
        }
    }
}

fn keep(to: &mut Partial, item: Ordered) {
    let bytes = item.0.data().as_bytes().len();
    if to.distinct.insert(item) {
        to.bytes += bytes;
    }
}

/// The one that is further to where it is `wanted`; of the same, that of the lesser key.
fn better(to: &mut Partial, wanted: Ordering, other: (Item, Option<(Data, Data)>)) {
    let key = |entry: &Option<(Data, Data)>| entry.as_ref().map(|(key, _)| key.as_bytes().clone());
    let is_better = match &to.border {
        None => true,
        Some((item, entry)) => match other.0.total(item) {
            Ordering::Equal => key(&other.1) < key(entry),
            order => order == wanted,
        },
    };
    if is_better {
        to.border = Some(other);
    }
}

fn set(items: &BTreeSet<Ordered>) -> Data {
    let mut content = identified(SET);
    content.put_i32(i32::try_from(items.len()).unwrap_or(i32::MAX));
    items.iter().for_each(|item| item.0.put_within(&mut content));
    Data::new(type_id::IDENTIFIED, &content)
}
