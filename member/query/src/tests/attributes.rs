//! What is at a path.

use jet_protocol::data::{Data, Value};
use proptest::prelude::*;

use super::*;
use crate::entry::Found;
use crate::number::Number;
use crate::path::Path;

/// Values as the official Python client 5.7.0 writes them, in one line each: fields of all kinds.
const PERSON: &[(&str, i32)] = &[("name", 17), ("age", 9)];

/// A person: data of name alone are of variable size.
fn person(fingerprint: i64, name: &str, age: i32) -> Data {
    let mut out = BytesMut::new();
    out.put_i64(fingerprint);
    out.put_i32((4 + 4 + name.len()) as i32);
    out.put_i32(age);
    put_text(&mut out, name);
    if name.len() < 247 {
        out.put_u8(4)
    } else {
        out.put_u16(4)
    }
    Data::new(type_id::COMPACT, &out)
}

fn at(path: &str, value: &Data, known: &Known) -> Result<Found, Refused> {
    Entry::new(&text("k"), value, known).at(&Path::read(path).unwrap())
}

#[test]
fn fields_of_compact_values_are_found_by_their_schema() {
    let (known, id) = Known::default().with("person", PERSON);
    for name in ["ann", "", &"x".repeat(246), &"x".repeat(247), &"x".repeat(10_000)] {
        let value = person(id, name, 31);
        assert_eq!(at("name", &value, &known), Ok(Found::One(texts(name))));
        assert_eq!(at("age", &value, &known), Ok(Found::One(Item::Number(Number::Integer(31)))));
        assert_eq!(at("this.age", &value, &known), at("age", &value, &known));
        assert_eq!(at("nothing", &value, &known), Ok(Found::One(Item::Null)));
        assert_eq!(at("this", &value, &known), Ok(Found::One(Item::Other(value))));
    }
}

#[test]
fn a_schema_that_is_not_known_is_told_by_its_number() {
    let value = person(77, "ann", 31);
    assert_eq!(at("age", &value, &Known::default()), Err(Refused::Schema { fingerprint: 77 }));
}

#[test]
fn booleans_are_bits_and_the_larger_stand_first() {
    let (known, id) = Known::default().with("flags", &[("a", 1), ("b", 3), ("c", 11), ("d", 1), ("e", 7)]);
    let mut out = BytesMut::new();
    out.put_i64(id);
    out.put_i64(5);
    out.put_i16(6);
    out.put_i8(7);
    out.put_u8(0b10);
    let value = Data::new(type_id::COMPACT, &out);
    let found = |path| at(path, &value, &known);
    assert_eq!(found("c"), Ok(Found::One(Item::Number(Number::Long(5)))));
    assert_eq!(found("e"), Ok(Found::One(Item::Number(Number::Short(6)))));
    assert_eq!(found("b"), Ok(Found::One(Item::Number(Number::Byte(7)))));
    assert_eq!((found("a"), found("d")), (Ok(Found::One(Item::Boolean(false))), Ok(Found::One(Item::Boolean(true)))));
}

#[test]
fn arrays_nulls_and_values_within_values_are_found() {
    let (known, inner_id) = Known::default().with("person", PERSON);
    let (known, id) = known.with("team", &[("lead", 29), ("names", 18), ("none", 17), ("sizes", 10), ("maybe", 39)]);
    let lead = person(inner_id, "ann", 31);
    let mut data = BytesMut::new();
    let lead_at = data.len();
    data.put_slice(&lead.content());
    let maybe_at = data.len();
    data.put_i32(9);
    let names_at = data.len();
    data.put_i32(5);
    data.put_i32(2);
    put_text(&mut data, "b");
    data.put_u8(0);
    data.put_u8(0xff);
    let sizes_at = data.len();
    data.put_i32(2);
    data.put_i32(7);
    data.put_i32(8);
    let mut out = BytesMut::new();
    out.put_i64(id);
    out.put_i32(data.len() as i32);
    out.put_slice(&data);
    // In order of their names: lead, maybe, names, none, sizes.
    for place in [lead_at, maybe_at, names_at, 0xff, sizes_at] {
        out.put_u8(place as u8);
    }
    let value = Data::new(type_id::COMPACT, &out);
    let found = |path| at(path, &value, &known);
    let n = |n| Item::Number(Number::Integer(n));
    assert_eq!(found("lead.name"), Ok(Found::One(texts("ann"))));
    assert_eq!(found("lead"), Ok(Found::One(Item::Other(lead))));
    assert_eq!(found("maybe"), Ok(Found::One(n(9))));
    assert_eq!(found("names[0]"), Ok(Found::One(texts("b"))));
    assert_eq!(found("names[any]"), Ok(Found::All(vec![texts("b"), Item::Null])));
    assert_eq!(found("none"), Ok(Found::One(Item::Null)));
    assert_eq!(found("sizes"), Ok(Found::One(Item::List(vec![n(7), n(8)]))));
    assert_eq!(found("sizes[any]"), Ok(Found::All(vec![n(7), n(8)])));
}

proptest! {
    #[test]
    fn a_compact_value_that_is_spoiled_is_refused(
        spoilt in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        cut in any::<prop::sample::Index>(),
    ) {
        let (known, id) = Known::default().with("person", &[("name", 17), ("age", 9), ("all", 18), ("bits", 2), ("in", 29)]);
        let mut content = vec![0; 60];
        content[..8].copy_from_slice(&id.to_be_bytes());
        content[8..12].copy_from_slice(&40i32.to_be_bytes());
        for (place, byte) in spoilt {
            let place = 8 + place.index(content.len() - 8);
            content[place] = byte;
        }
        content.truncate(8 + cut.index(53));
        let value = Data::new(type_id::COMPACT, &content);
        for path in ["name", "age", "all", "all[0]", "bits[any]", "in.name"] {
            let _ = at(path, &value, &known);
        }
    }
}

#[test]
fn attributes_of_json_are_numbers_texts_and_what_else_there_is() {
    let value = json(r#"{"a":1,"b":1.0,"c":18446744073709551615,"d":"x","e":[1,"y",null],"f":{"g":true}}"#);
    let known = Known::default();
    let found = |path| at(path, &value, &known);
    assert_eq!(found("a").unwrap(), Found::One(Item::Number(Number::Long(1))));
    assert!(matches!(found("b"), Ok(Found::One(Item::Number(Number::Double(n)))) if n == 1.0));
    assert!(matches!(found("c"), Ok(Found::One(Item::Number(Number::Big(_))))));
    assert_eq!(found("e[1]"), Ok(Found::One(texts("y"))));
    assert_eq!(found("e[any]").unwrap(), Found::All(vec![Item::Number(Number::Long(1)), texts("y"), Item::Null]));
    assert_eq!(found("f.g"), Ok(Found::One(Item::Boolean(true))));
    assert_eq!(found("f"), Ok(Found::One(Item::Json(r#"{"g":true}"#.into()))));
    assert_eq!(found("d.x"), Ok(Found::One(Item::Null)));
    assert_eq!(found("__key"), Ok(Found::One(texts("k"))));
    assert!(at("a", &json("{"), &known).is_err());
}

#[test]
fn a_name_that_is_none_is_refused() {
    for path in ["", ".", "a.", "a[", "a[x]", "a[-1]", "a[0]b", &["a"; 65].join(".")] {
        assert!(matches!(Path::read(path), Err(Refused::Path { .. })), "{path}");
    }
}

#[test]
fn items_go_back_to_the_values_they_were() {
    for value in [
        Value::Null,
        Value::Boolean(true),
        Value::Char(7),
        Value::Byte(-1),
        Value::Short(-2),
        Value::Integer(-3),
        Value::Long(i64::MIN),
        Value::Float(1.5),
        Value::Double(-0.0),
        Value::String("größe".into()),
        Value::Json("{}".into()),
        Value::Uuid(uuid::Uuid::from_u128(u128::MAX)),
        Value::Integers(vec![1]),
    ] {
        assert_eq!(Item::of(&value.data()).unwrap().data(), value.data(), "{value:?}");
    }
    let big = Data::new(type_id::BIG_INTEGER, &[0, 0, 0, 2, 0xff, 0x7f]);
    assert_eq!(Item::of(&big).unwrap().data(), big);
    let decimal = Data::new(type_id::BIG_DECIMAL, &[0, 0, 0, 1, 0x85, 0, 0, 0, 2]);
    assert_eq!(Item::of(&decimal).unwrap().data(), decimal);
    let date = Data::new(type_id::LOCAL_DATE, &[0, 0, 0x07, 0xea, 11, 30]);
    assert_eq!(Item::of(&date).unwrap().data(), date);
}

#[test]
fn moments_are_ordered_by_time() {
    let date = |year: i32, month, day| {
        let mut out = BytesMut::from(year.to_be_bytes().as_slice());
        out.put_slice(&[month, day]);
        Item::of(&Data::new(type_id::LOCAL_DATE, &out)).unwrap()
    };
    let ordered = [date(-5, 12, 31), date(1969, 12, 31), date(1970, 1, 1), date(2024, 2, 29), date(2024, 3, 1)];
    assert!(ordered.windows(2).all(|two| two[0].total(&two[1]).is_lt()));
    let at = |hour, offset: i32| {
        let mut out = BytesMut::from(2024i32.to_be_bytes().as_slice());
        out.put_slice(&[3, 1, hour, 0, 0]);
        out.put_i32(0);
        out.put_i32(offset);
        Item::of(&Data::new(type_id::OFFSET_DATE_TIME, &out)).unwrap()
    };
    assert!(at(12, 0).total(&at(12, 3_600)).is_gt());
    assert!(at(12, 3_600).total(&at(11, 0)).is_ne());
}
