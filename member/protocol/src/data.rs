//! Keys and values as clients serialize them.
//!
//! `partition hash: i32`, `type: i32`, content; big-endian, unlike frames. The first is 0 unless the key says itself
//! where it belongs. Two are the same if their bytes are.
//! Law: from socket to RAM to disk it stays one slice of bytes. Must not know: maps.

mod compact;
mod hash;
mod value;

use std::fmt;
use std::num::NonZeroU32;

use bytes::{BufMut, Bytes, BytesMut};
use thiserror::Error;

pub use compact::fingerprint;
pub use value::{NotAValue, Value};

/// A serialized key or value.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Data(Bytes);

/// Bytes that are too few for the header of a [`Data`].
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{have} bytes are no serialized value: its header alone has {}", Data::HEADER)]
pub struct NoData {
    /// How many there are.
    pub have: usize,
}

/// The numbers of types whose content is read here, and of some that are only told apart.
pub mod type_id {
    #![allow(missing_docs)] // the names are the types
    pub const NULL: i32 = 0;
    pub const PORTABLE: i32 = -1;
    pub const IDENTIFIED: i32 = -2;
    pub const BYTE: i32 = -3;
    pub const BOOLEAN: i32 = -4;
    pub const CHAR: i32 = -5;
    pub const SHORT: i32 = -6;
    pub const INTEGER: i32 = -7;
    pub const LONG: i32 = -8;
    pub const FLOAT: i32 = -9;
    pub const DOUBLE: i32 = -10;
    pub const STRING: i32 = -11;
    pub const BYTE_ARRAY: i32 = -12;
    pub const BOOLEAN_ARRAY: i32 = -13;
    pub const CHAR_ARRAY: i32 = -14;
    pub const SHORT_ARRAY: i32 = -15;
    pub const INTEGER_ARRAY: i32 = -16;
    pub const LONG_ARRAY: i32 = -17;
    pub const FLOAT_ARRAY: i32 = -18;
    pub const DOUBLE_ARRAY: i32 = -19;
    pub const STRING_ARRAY: i32 = -20;
    pub const UUID: i32 = -21;
    pub const BIG_INTEGER: i32 = -26;
    pub const BIG_DECIMAL: i32 = -27;
    pub const ARRAY_LIST: i32 = -29;
    pub const LINKED_LIST: i32 = -30;
    pub const LOCAL_DATE: i32 = -51;
    pub const LOCAL_TIME: i32 = -52;
    pub const LOCAL_DATE_TIME: i32 = -53;
    pub const OFFSET_DATE_TIME: i32 = -54;
    pub const COMPACT: i32 = -55;
    pub const JAVA_SERIALIZABLE: i32 = -100;
    pub const PYTHON_PICKLE: i32 = -120;
    pub const JSON: i32 = -130;
}

impl Data {
    /// Partition hash and type.
    pub const HEADER: usize = 8;

    /// Of a type, with its content.
    pub fn new(type_id: i32, content: &[u8]) -> Self {
        let mut bytes = BytesMut::with_capacity(Self::HEADER + content.len());
        bytes.put_i32(0);
        bytes.put_i32(type_id);
        bytes.put_slice(content);
        Self(bytes.freeze())
    }

    /// What its content is.
    pub fn type_id(&self) -> i32 {
        self.number(4)
    }

    /// Behind the header.
    pub fn content(&self) -> Bytes {
        self.0.slice(Self::HEADER..)
    }

    /// What decides on its partition: the hash that it carries, or that of its content.
    pub fn partition_hash(&self) -> i32 {
        match self.number(0) {
            0 => hash::murmur3(&self.0[Self::HEADER..]),
            carried => carried,
        }
    }

    /// Its partition among so many.
    pub fn partition(&self, partitions: NonZeroU32) -> u32 {
        match self.partition_hash() {
            i32::MIN => 0,
            hash => hash.unsigned_abs() % partitions,
        }
    }

    /// All its bytes.
    pub fn as_bytes(&self) -> &Bytes {
        &self.0
    }

    /// The same in memory of its own: a slice keeps all that was read with it.
    pub fn detached(&self) -> Self {
        Self(Bytes::copy_from_slice(&self.0))
    }

    fn number(&self, at: usize) -> i32 {
        self.0.get(at..).and_then(|bytes| bytes.first_chunk()).map_or(0, |bytes| i32::from_be_bytes(*bytes))
    }
}

impl TryFrom<Bytes> for Data {
    type Error = NoData;

    fn try_from(bytes: Bytes) -> Result<Self, NoData> {
        match bytes.len() {
            have if have < Self::HEADER => Err(NoData { have }),
            _ => Ok(Self(bytes)),
        }
    }
}

/// Values are the users': only type and length are told.
impl fmt::Debug for Data {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Data(type {}, {} bytes)", self.type_id(), self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fields::Text;
    use crate::structure::{FieldDescriptor, Schema};

    fn partition(value: &Value) -> u32 {
        value.data().partition(NonZeroU32::new(271).unwrap())
    }

    #[test]
    fn keys_are_in_the_partitions_that_clients_compute() {
        assert_eq!(partition(&Value::String("k".into())), 41);
        assert_eq!(partition(&Value::String("b".into())), 124);
        assert_eq!(partition(&Value::Integer(7)), 134);
        assert_eq!(partition(&Value::Double(7.0)), 47);
        assert_eq!(partition(&Value::Long(7)), 92);
    }

    #[test]
    fn the_hash_is_that_of_the_clients() {
        let hash = |content: &[u8]| Data::new(type_id::STRING, content).partition_hash();
        assert_eq!(hash(b""), -1_585_187_909);
        assert_eq!(hash(b"a"), -1_686_100_800);
        assert_eq!(hash(b"ab"), 312_914_265);
        assert_eq!(hash(b"abc"), -2_068_121_803);
        assert_eq!(hash(b"abcd"), -973_615_161);
        assert_eq!(hash(&(0..255).collect::<Vec<u8>>()), 1_798_759_077);
    }

    #[test]
    fn a_key_that_says_where_it_belongs_is_there() {
        let carrying = |hash: i32| {
            let mut bytes = Value::String("k".into()).data().as_bytes().to_vec();
            bytes[..4].copy_from_slice(&hash.to_be_bytes());
            Data::try_from(Bytes::from(bytes)).unwrap().partition(NonZeroU32::new(271).unwrap())
        };
        assert_eq!(carrying(0), 41);
        assert_eq!(carrying(272), 1);
        assert_eq!(carrying(-272), 1);
        assert_eq!(carrying(i32::MIN), 0);
    }

    #[test]
    fn fewer_bytes_than_a_header_are_no_value() {
        assert_eq!(Data::try_from(Bytes::from_static(&[0; 7])), Err(NoData { have: 7 }));
        assert_eq!(Value::of(&Data::try_from(Bytes::from_static(&[0; 8])).unwrap()), Ok(Value::Null));
    }

    #[test]
    fn schemas_are_known_by_the_ids_that_clients_compute() {
        let print = |type_name: &str, fields: &[(&str, i32)]| {
            let field = |(name, kind): &(&str, i32)| FieldDescriptor { kind: *kind, name: Text::from(*name) };
            fingerprint(&Schema { type_name: type_name.into(), fields: fields.iter().map(field).collect() })
        };
        assert_eq!(print("x", &[]), 2_064_085_150_195_812_722);
        assert_eq!(print("person", &[("name", 17), ("age", 9)]), -1_528_975_426_526_962_574);
        assert_eq!(print("größe", &[("é", 17), ("z", 11), ("a", 33)]), 292_848_413_051_084_423);
    }
}
