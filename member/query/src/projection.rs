//! What is given of each entry instead of the whole.
//!
//! Law: one result an entry, in the order of the attributes that were asked for. Must not know: which entries.

use bytes::{BufMut, BytesMut};
use jet_protocol::data::{Data, type_id};

use crate::Refused;
use crate::decode::Object;
use crate::entry::{Entry, Found};
use crate::item::Item;
use crate::path::{Path, Step};
use crate::read::Content;

/// Of projections.
const PROJECTIONS: i32 = -30;
/// Of an entry, in what clients know: factory and class.
const ENTRY: (i32, i32) = (-4, 120);
/// Several objects, of Java.
const OBJECTS: i32 = -28;
/// Attributes of one projection.
const ATTRIBUTES_MOST: usize = 1_000;
/// An object of a known factory, without a version of its own.
const IDENTIFIED: u8 = 1;

/// What is given of each entry.
#[derive(Debug, Clone)]
pub enum Projection {
    /// An attribute.
    One(Path),
    /// Several, in one.
    Several(Vec<Path>),
    /// All of it.
    Whole,
}

impl Projection {
    /// As a client sends it.
    pub fn of(data: &Data) -> Result<Self, Refused> {
        let mut from = Content::new(data.content(), "a projection");
        let object = Object::read(data.type_id(), &mut from)?;
        match (object.factory, object.class) {
            (PROJECTIONS, 0) => path(&mut from).map(Self::One),
            (PROJECTIONS, 1) => {
                let count = from.int()?;
                if usize::try_from(count).is_ok_and(|count| count > ATTRIBUTES_MOST) {
                    return Err(Refused::TooMuch { what: "attributes of a projection", most: ATTRIBUTES_MOST });
                }
                (0..count).map(|_| path(&mut from)).collect::<Result<_, _>>().map(Self::Several)
            }
            (PROJECTIONS, 2) => Ok(Self::Whole),
            _ => Err(object.refuse("the projection")),
        }
    }

    /// What is given of an entry; nothing for a null.
    pub fn given(&self, entry: &Entry<'_>) -> Result<Option<Data>, Refused> {
        match self {
            Self::One(path) => Ok(one(entry.at(path)?).map(|item| item.data())),
            Self::Several(paths) => {
                let mut content = BytesMut::new();
                content.put_i32(i32::try_from(paths.len()).unwrap_or(i32::MAX));
                for path in paths {
                    one(entry.at(path)?).unwrap_or(Item::Null).put_within(&mut content);
                }
                Ok(Some(Data::new(OBJECTS, &content)))
            }
            Self::Whole => Ok(Some(whole(entry.key(), entry.value()))),
        }
    }
}

fn path(from: &mut Content) -> Result<Path, Refused> {
    let path = Path::read(&from.text()?.unwrap_or_default())?;
    if path.steps.contains(&Step::Any) {
        return Err(Refused::Path { path: path.to_string(), why: "a projection gives one of each entry, not '[any]'" });
    }
    Ok(path)
}

fn one(found: Found) -> Option<Item> {
    match found {
        Found::One(Item::Null) | Found::All(_) => None,
        Found::One(item) => Some(item),
    }
}

/// A key and its value as one object.
pub fn whole(key: &Data, value: &Data) -> Data {
    let mut content = identified(ENTRY);
    for side in [key, value] {
        content.put_i32(side.type_id());
        content.put_slice(&side.content());
    }
    Data::new(type_id::IDENTIFIED, &content)
}

/// The beginning of an object of a known factory.
pub fn identified((factory, class): (i32, i32)) -> BytesMut {
    let mut content = BytesMut::new();
    content.put_u8(IDENTIFIED);
    content.put_i32(factory);
    content.put_i32(class);
    content
}
