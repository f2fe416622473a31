//! What must hold of an entry.
//!
//! Law: a value is compared in the type of the attribute that it is compared with; nothing is equal to null but null, and
//! nothing is smaller or larger than it. Must not know: how a predicate came.

use std::cmp::Ordering;

use crate::Refused;
use crate::entry::{Entry, Found};
use crate::item::{Item, texts};
use crate::number::Number;
use crate::path::Path;
use crate::pattern::Pattern;

/// What must hold.
#[derive(Debug, Clone)]
pub enum Predicate {
    /// It does, or it does not.
    Always(bool),
    /// All of them.
    And(Vec<Predicate>),
    /// One of them.
    Or(Vec<Predicate>),
    /// It does not.
    Not(Box<Predicate>),
    /// Something of an attribute.
    Of(Path, Test),
}

/// What must hold of an attribute.
#[derive(Debug, Clone)]
pub enum Test {
    /// The same.
    Equal(Item),
    /// Smaller or larger; or the same.
    Than {
        /// Than what.
        item: Item,
        /// Smaller.
        less: bool,
        /// Or the same.
        or_equal: bool,
    },
    /// From the first to the second, both included.
    Between(Item, Item),
    /// One of them.
    In(Vec<Item>),
    /// A text that is so. None: null.
    Like(Option<Pattern>),
}

impl Predicate {
    /// Whether it holds of an entry.
    pub fn holds(&self, entry: &Entry<'_>) -> Result<bool, Refused> {
        match self {
            Self::Always(yes) => Ok(*yes),
            Self::Not(inner) => inner.holds(entry).map(|holds| !holds),
            Self::And(all) => each(all, entry, false),
            Self::Or(any) => each(any, entry, true),
            Self::Of(path, test) => match entry.at(path)? {
                Found::One(item) => test.holds(&item, path),
                Found::All(items) => {
                    for item in &items {
                        if test.holds(item, path)? {
                            return Ok(true);
                        }
                    }
                    Ok(false)
                }
            },
        }
    }
}

/// `decides` as soon as one is so, else the other.
fn each(predicates: &[Predicate], entry: &Entry<'_>, decides: bool) -> Result<bool, Refused> {
    for predicate in predicates {
        if predicate.holds(entry)? == decides {
            return Ok(decides);
        }
    }
    Ok(!decides)
}

impl Test {
    /// Of what is at `path`.
    pub fn holds(&self, item: &Item, path: &Path) -> Result<bool, Refused> {
        if *item == Item::Null {
            return Ok(match self {
                Self::Equal(wanted) => *wanted == Item::Null,
                Self::Like(pattern) => pattern.is_none(),
                Self::Than { .. } | Self::Between(..) | Self::In(_) => false,
            });
        }
        Ok(match self {
            Self::Equal(wanted) => is_equal(item, wanted, path)?,
            Self::Than { item: wanted, less, or_equal } => match order(item, wanted, path)? {
                None => false,
                Some(Ordering::Equal) => *or_equal,
                Some(order) => (order == Ordering::Less) == *less,
            },
            Self::Between(from, to) => {
                let (low, high) = (order(item, from, path)?, order(item, to, path)?);
                low.is_some_and(Ordering::is_ge) && high.is_some_and(Ordering::is_le)
            }
            Self::In(items) => {
                for wanted in items {
                    if is_equal(item, wanted, path)? {
                        return Ok(true);
                    }
                }
                false
            }
            Self::Like(None) => false,
            Self::Like(Some(pattern)) => match item {
                Item::Text(text) => pattern.holds(text),
                other => return Err(unlike(other, "a pattern of texts", path)),
            },
        })
    }
}

fn is_equal(item: &Item, wanted: &Item, path: &Path) -> Result<bool, Refused> {
    match (item, wanted) {
        (_, Item::Null) => Ok(false),
        (Item::Json(a), Item::Json(b)) => Ok(a == b),
        (Item::Other(a), Item::Other(b)) => Ok(a == b),
        (Item::List(a), Item::List(b)) => Ok(a == b),
        _ => Ok(order(item, wanted, path)?.is_some_and(Ordering::is_eq)),
    }
}

/// How an attribute stands to a value; nothing where that is null.
fn order(item: &Item, wanted: &Item, path: &Path) -> Result<Option<Ordering>, Refused> {
    let refuse = || unlike(item, &wanted.kind(), path);
    Ok(Some(match (item, wanted) {
        (_, Item::Null) => return Ok(None),
        (Item::Number(a), Item::Number(b)) => a.cmp(b),
        (Item::Number(a), Item::Text(b)) => {
            a.cmp(&a.like(b).ok_or_else(|| unlike(item, &format!("'{b}', which is none"), path))?)
        }
        (Item::Text(a), Item::Text(b)) => texts(a, b),
        (Item::Text(a), Item::Number(b)) => texts(a, &b.text()),
        (Item::Text(a), Item::Boolean(b)) => texts(a, if *b { "true" } else { "false" }),
        (Item::Text(a), Item::Char(b)) => texts(a, &String::from_utf16_lossy(&[*b])),
        (Item::Boolean(a), Item::Boolean(b)) => a.cmp(b),
        (Item::Boolean(a), Item::Text(b)) => a.cmp(&b.eq_ignore_ascii_case("true")),
        (Item::Boolean(a), Item::Number(b)) => a.cmp(&(*b != Number::Integer(0))),
        (Item::Char(a), Item::Char(b)) => a.cmp(b),
        (Item::Char(a), Item::Text(b)) => texts(&String::from_utf16_lossy(&[*a]), b),
        (Item::Uuid(_), Item::Uuid(_)) => item.total(wanted),
        (Item::Uuid(_), Item::Text(text)) => item.total(&Item::Uuid(text.parse().map_err(|_| refuse())?)),
        (Item::Moment(a), Item::Moment(b)) => a.before(b).ok_or_else(refuse)?,
        _ => return Err(refuse()),
    }))
}

fn unlike(item: &Item, with: &str, path: &Path) -> Refused {
    Refused::Unlike { attribute: path.to_string(), of: item.kind(), with: with.to_owned() }
}
