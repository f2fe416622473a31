//! An entry that is looked into, and what is at a path in it.
//!
//! Law: what is read of an entry is read once, however often it is looked at. Must not know: what is looked for.

use std::cell::OnceCell;
use std::sync::Arc;

use jet_protocol::data::{Data, type_id};
use serde_json::Value as Json;

use crate::Refused;
use crate::compact::{Field, Layout, Record};
use crate::item::Item;
use crate::number::Number;
use crate::path::{Path, Step};

/// Schemas of Compact values.
pub trait Schemas {
    /// Where fields are in values of a schema, if it is known.
    fn layout(&self, fingerprint: i64) -> Option<Arc<Layout>>;
}

/// A key and its value.
pub struct Entry<'a> {
    key: Side<'a>,
    value: Side<'a>,
    schemas: &'a dyn Schemas,
}

/// One of the two.
struct Side<'a> {
    data: &'a Data,
    item: OnceCell<Item>,
    json: OnceCell<Json>,
}

/// What is at a path.
#[derive(Debug, Clone, PartialEq)]
pub enum Found {
    /// One.
    One(Item),
    /// Where the path says `[any]`: all.
    All(Vec<Item>),
}

impl<'a> Entry<'a> {
    /// Of these.
    pub fn new(key: &'a Data, value: &'a Data, schemas: &'a dyn Schemas) -> Self {
        let side = |data| Side { data, item: OnceCell::new(), json: OnceCell::new() };
        Self { key: side(key), value: side(value), schemas }
    }

    /// Its key.
    pub fn key(&self) -> &Data {
        self.key.data
    }

    /// Its value.
    pub fn value(&self) -> &Data {
        self.value.data
    }

    /// What is there.
    pub fn at(&self, path: &Path) -> Result<Found, Refused> {
        let side = if path.of_key { &self.key } else { &self.value };
        if path.steps.is_empty() {
            return side.item().cloned().map(Found::One);
        }
        let mut all = Vec::new();
        match side.data.type_id() {
            type_id::JSON => json(side.json()?, &path.steps, &mut all),
            type_id::COMPACT => {
                field(Field::Record(Record::of(side.data, self.schemas)?), &path.steps, self.schemas, &mut all)?;
            }
            _ => list(side.item()?, path, &mut all)?,
        }
        if path.steps.contains(&Step::Any) {
            return Ok(Found::All(all));
        }
        Ok(Found::One(all.pop().unwrap_or(Item::Null)))
    }
}

impl Side<'_> {
    fn item(&self) -> Result<&Item, Refused> {
        if let Some(known) = self.item.get() {
            return Ok(known);
        }
        let item = Item::of(self.data)?;
        Ok(self.item.get_or_init(|| item))
    }

    fn json(&self) -> Result<&Json, Refused> {
        if let Some(known) = self.json.get() {
            return Ok(known);
        }
        let Item::Json(text) = self.item()? else { return Ok(self.json.get_or_init(|| Json::Null)) };
        let json = serde_json::from_str(text).map_err(|why| Refused::unreadable("a JSON value", why))?;
        Ok(self.json.get_or_init(|| json))
    }
}

/// What stands at the end of all steps; nothing where they lead nowhere.
fn json(from: &Json, steps: &[Step], found: &mut Vec<Item>) {
    match steps {
        [] => found.push(of_json(from)),
        [Step::Name(name), rest @ ..] => {
            if let Some(next) = from.get(name) {
                json(next, rest, found);
            }
        }
        [Step::Item(place), rest @ ..] => {
            if let Some(next) = from.as_array().and_then(|items| items.get(*place)) {
                json(next, rest, found);
            }
        }
        [Step::Any, rest @ ..] => from.as_array().into_iter().flatten().for_each(|next| json(next, rest, found)),
    }
}

fn of_json(json: &Json) -> Item {
    match json {
        Json::Null => Item::Null,
        Json::Bool(yes) => Item::Boolean(*yes),
        Json::Number(number) => Item::Number(match (number.as_i64(), number.as_u64()) {
            (Some(whole), _) => Number::Long(whole),
            (None, Some(large)) => Number::Big(large.into()),
            (None, None) => Number::Double(number.as_f64().unwrap_or(f64::NAN)),
        }),
        Json::String(text) => Item::Text(text.as_str().into()),
        Json::Array(_) | Json::Object(_) => Item::Json(json.to_string().into()),
    }
}

/// The same of Compact values.
fn field(from: Field, steps: &[Step], schemas: &dyn Schemas, found: &mut Vec<Item>) -> Result<(), Refused> {
    match (steps, from) {
        ([], from) => found.push(whole(from)?),
        ([Step::Name(name), rest @ ..], Field::Record(record)) => {
            field(record.field(name, schemas)?, rest, schemas, found)?;
        }
        ([Step::Item(place), rest @ ..], Field::Array(items)) => {
            if let Some(next) = items.into_iter().nth(*place) {
                field(next, rest, schemas, found)?;
            }
        }
        ([Step::Any, rest @ ..], Field::Array(items)) => {
            for next in items {
                field(next, rest, schemas, found)?;
            }
        }
        _ => {}
    }
    Ok(())
}

fn whole(field: Field) -> Result<Item, Refused> {
    match field {
        Field::Null => Ok(Item::Null),
        Field::Item(item) => Ok(item),
        Field::Record(record) => record.whole(),
        Field::Array(items) => items.into_iter().map(whole).collect::<Result<_, _>>().map(Item::List),
    }
}

/// The same of lists, which have items and no names.
fn list(item: &Item, path: &Path, found: &mut Vec<Item>) -> Result<(), Refused> {
    let mut level = vec![item];
    for step in &path.steps {
        level = match step {
            Step::Any => level.into_iter().filter_map(as_list).flatten().collect(),
            Step::Item(place) => level.into_iter().filter_map(|item| as_list(item)?.get(*place)).collect(),
            Step::Name(name) => match level.iter().find(|item| ***item != Item::Null) {
                None => Vec::new(),
                Some(item) => {
                    return Err(Refused::NoAttribute { attribute: name.clone(), of: item.kind() });
                }
            },
        };
    }
    found.extend(level.into_iter().cloned());
    Ok(())
}

fn as_list(item: &Item) -> Option<&Vec<Item>> {
    match item {
        Item::List(items) => Some(items),
        _ => None,
    }
}
