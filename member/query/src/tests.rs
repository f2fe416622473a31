//! The room as clients use it: questions in their bytes, entries in theirs.

mod aggregates;
mod attributes;
mod bytes;
mod pages;
mod predicates;

use std::collections::HashMap;
use std::sync::Arc;

use ::bytes::{BufMut, BytesMut};
use jet_protocol::data::{Data, Value, fingerprint, type_id};
use jet_protocol::structure::{FieldDescriptor, Schema};

use crate::{Entry, Item, Layout, Predicate, Refused, Schemas};

/// Schemas that are known.
#[derive(Default)]
pub struct Known(HashMap<i64, Arc<Layout>>);

impl Schemas for Known {
    fn layout(&self, fingerprint: i64) -> Option<Arc<Layout>> {
        self.0.get(&fingerprint).cloned()
    }
}

impl Known {
    /// Of this type: a schema's fields by kind.
    pub fn with(mut self, type_name: &str, fields: &[(&str, i32)]) -> (Self, i64) {
        let field = |(name, kind): &(&str, i32)| FieldDescriptor { kind: *kind, name: (*name).into() };
        let schema = Schema { type_name: type_name.into(), fields: fields.iter().map(field).collect() };
        let known = fingerprint(&schema);
        self.0.insert(known, Arc::new(Layout::of(&schema)));
        (self, known)
    }
}

pub fn json(text: &str) -> Data {
    Value::Json(text.into()).data()
}

pub fn text(text: &str) -> Data {
    Value::String(text.into()).data()
}

pub fn texts(text: &str) -> Item {
    Item::Text(text.into())
}

/// An object as a client writes it.
pub fn object(factory: i32, class: i32, fields: impl FnOnce(&mut BytesMut)) -> Data {
    let mut out = BytesMut::new();
    out.put_u8(1);
    out.put_i32(factory);
    out.put_i32(class);
    fields(&mut out);
    Data::new(type_id::IDENTIFIED, &out)
}

/// The same within another.
pub fn inner(out: &mut BytesMut, data: &Data) {
    out.put_i32(data.type_id());
    out.put_slice(&data.content());
}

pub fn put_text(out: &mut BytesMut, text: &str) {
    out.put_i32(text.len() as i32);
    out.put_slice(text.as_bytes());
}

pub fn words(words: &str) -> Data {
    object(-20, 0, |out| put_text(out, words))
}

/// Whether words hold of a value with the key "k".
pub fn holds(said: &str, value: &Data) -> Result<bool, Refused> {
    let known = Known::default();
    Predicate::of(&words(said))?.holds(&Entry::new(&text("k"), value, &known))
}
