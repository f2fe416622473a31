//! Predicates as clients send them: objects of a known factory, each its fields in order.
//!
//! Law: all of it is known, or it is refused by its name; nothing that is left over is passed over. Must not know: entries.

use jet_protocol::data::{Data, type_id};

use crate::item::{Item, type_name};
use crate::path::Path;
use crate::pattern::Pattern;
use crate::predicate::{Predicate, Test};
use crate::read::Content;
use crate::{Refused, words};

/// Predicates within each other.
const NESTED_MOST: usize = 100;
/// Of predicates.
const PREDICATES: i32 = -20;
/// An object of a known factory, without a version of its own.
const IDENTIFIED: u8 = 1;

/// An object of a known factory: its factory and class, and what follows.
pub struct Object {
    /// Factory.
    pub factory: i32,
    /// Class.
    pub class: i32,
}

impl Object {
    /// Of a type that was read before.
    pub fn read(type_id: i32, from: &mut Content) -> Result<Self, Refused> {
        let custom = |what: String| Refused::NotOffered {
            what,
            instead: "what a client computes with code of its own is not run by members; use the predicates, aggregators \
                      and projections of the client",
        };
        if type_id != type_id::IDENTIFIED {
            return Err(custom(format!("an object of type {}", type_name(type_id))));
        }
        match from.byte()? {
            IDENTIFIED => Ok(Self { factory: from.int()?, class: from.int()? }),
            flags if flags & IDENTIFIED == 0 => {
                let name = from.text()?.unwrap_or_default();
                Err(custom(format!("the class {name}")))
            }
            _ => Err(custom("an object with a version".into())),
        }
    }

    /// Not known here.
    pub fn refuse(&self, what: &str) -> Refused {
        Refused::NotOffered {
            what: format!("{what} {} of factory {}", self.class, self.factory),
            instead: "code of users is not run by members; use what clients have",
        }
    }
}

impl Predicate {
    /// As a client sends it.
    pub fn of(data: &Data) -> Result<Self, Refused> {
        let mut content = Content::new(data.content(), "a predicate");
        let read = predicate(data.type_id(), &mut content, NESTED_MOST)?;
        match content.left() {
            0 => Ok(read),
            left => Err(content.refuse(format!("{left} bytes are left over"))),
        }
    }
}

fn nested(from: &mut Content, deep: usize) -> Result<Predicate, Refused> {
    let type_id = from.int()?;
    let deep =
        deep.checked_sub(1).ok_or(Refused::TooMuch { what: "predicates within each other", most: NESTED_MOST })?;
    predicate(type_id, from, deep)
}

fn predicate(type_id: i32, from: &mut Content, deep: usize) -> Result<Predicate, Refused> {
    let object = Object::read(type_id, from)?;
    if object.factory != PREDICATES {
        return Err(object.refuse("the predicate"));
    }
    let not = |predicate| Predicate::Not(Box::new(predicate));
    Ok(match object.class {
        0 => words::read(&from.text()?.unwrap_or_default())?,
        1 => Predicate::And(several(from, deep)?),
        2 => {
            let path = path(from)?;
            // The end is written before the beginning.
            let (to, first) = (Item::within(from)?, Item::within(from)?);
            Predicate::Of(path, Test::Between(first, to))
        }
        3 => Predicate::Of(path(from)?, Test::Equal(Item::within(from)?)),
        4 => {
            let (path, item) = (path(from)?, Item::within(from)?);
            let (or_equal, less) = (from.byte()? != 0, from.byte()? != 0);
            Predicate::Of(path, Test::Than { item, less, or_equal })
        }
        5 => Predicate::Of(path(from)?, like(from, false)?),
        6 => Predicate::Of(path(from)?, like(from, true)?),
        7 => {
            let path = path(from)?;
            let items = (0..from.int()?).map(|_| Item::within(from)).collect::<Result<_, _>>()?;
            Predicate::Of(path, Test::In(items))
        }
        8 => {
            let class = from.text()?.unwrap_or_default();
            return Err(Refused::NotOffered {
                what: format!("a predicate of the class {class}"),
                instead: "members have no classes; ask for an attribute",
            });
        }
        9 => not(Predicate::Of(path(from)?, Test::Equal(Item::within(from)?))),
        10 => not(nested(from, deep)?),
        11 => Predicate::Or(several(from, deep)?),
        12 => {
            let path = path(from)?;
            let pattern = from.text()?.map(|pattern| Pattern::regex(&pattern)).transpose()?;
            Predicate::Of(path, Test::Like(pattern))
        }
        13 => Predicate::Always(false),
        14 => Predicate::Always(true),
        15 => {
            return Err(Refused::NotOffered {
                what: "a page of a page, or of something else than keys, values and entries".into(),
                instead: "ask for pages of one of them",
            });
        }
        16 | 21 => {
            return Err(Refused::NotOffered {
                what: "a predicate of some partitions".into(),
                instead: "ask all partitions, with the predicate in it",
            });
        }
        _ => return Err(object.refuse("the predicate")),
    })
}

fn several(from: &mut Content, deep: usize) -> Result<Vec<Predicate>, Refused> {
    (0..from.int()?).map(|_| nested(from, deep)).collect()
}

fn path(from: &mut Content) -> Result<Path, Refused> {
    Path::read(&from.text()?.unwrap_or_default())
}

fn like(from: &mut Content, any_case: bool) -> Result<Test, Refused> {
    let pattern = from.text()?;
    pattern.map(|pattern| Pattern::like(&pattern, any_case)).transpose().map(Test::Like)
}
