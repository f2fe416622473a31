//! What many entries make, and what is given of each.

use jet_protocol::data::{Data, Value};
use proptest::prelude::*;

use super::*;
use crate::number::Number;
use crate::{Aggregator, Partial, Projection};

fn aggregator(class: i32, attribute: Option<&str>) -> Aggregator {
    let sent = object(-29, class, |out| {
        match attribute {
            Some(attribute) => put_text(out, attribute),
            None => out.put_i32(-1),
        }
        out.put_i64(0);
    });
    Aggregator::of(&sent).unwrap()
}

fn made(aggregator: &Aggregator, values: &[Data]) -> Result<Partial, Refused> {
    let (mut partial, known) = (Partial::default(), Known::default());
    for (n, value) in values.iter().enumerate() {
        aggregator.add(&mut partial, &Entry::new(&text(&n.to_string()), value, &known))?;
    }
    Ok(partial)
}

fn answer(class: i32, attribute: Option<&str>, values: &[Data]) -> Result<Option<Item>, Refused> {
    let aggregator = aggregator(class, attribute);
    let answer = aggregator.answer(made(&aggregator, values)?)?;
    Ok(answer.map(|data| Item::of(&data).unwrap()))
}

fn long(n: i64) -> Option<Item> {
    Some(Item::Number(Number::Long(n)))
}

fn double(n: f64) -> Option<Item> {
    Some(Item::Number(Number::Double(n)))
}

#[test]
fn aggregators_make_what_they_are_called() {
    let ages: Vec<Data> = [31, 42, 53].map(|age| json(&format!(r#"{{"age":{age}}}"#))).into();
    let age = Some("age");
    let mixed = [json(r#"{"age":31}"#), json(r#"{"age":42.5}"#)];
    for (class, attribute, values, wanted) in [
        (4, None, ages.as_slice(), long(3)),
        (4, age, &[], long(0)),
        (13, age, &ages, long(126)),
        (11, age, &ages, long(126)),
        (12, age, &ages, double(42.0)),
        (10, age, &[], None),
        (8, age, &mixed, long(73)),
        (9, age, &mixed, double(73.5)),
        (16, age, &mixed, double(36.75)),
        (7, None, &[Value::Double(1.5).data(), Value::Integer(2).data()], double(3.5)),
        (6, None, &[], None),
        (14, age, &ages, long(53)),
        (15, age, &ages, long(31)),
        (15, Some("none"), &ages, None),
    ] {
        assert_eq!(answer(class, attribute, values).unwrap(), wanted, "{class}");
    }
    let exact =
        answer(1, None, &[Data::new(type_id::BIG_DECIMAL, &[0, 0, 0, 1, 25, 0, 0, 0, 1]), Value::Long(2).data()]);
    assert!(matches!(exact, Ok(Some(Item::Number(n))) if n == Number::Double(4.5)));
}

#[test]
fn a_sum_that_its_type_does_not_hold_is_refused() {
    let most = vec![Value::Long(i64::MAX).data(); 2];
    assert!(matches!(answer(13, None, &most), Err(Refused::Overflow { .. })));
    assert!(
        answer(3, None, &most).unwrap().is_some_and(|sum| sum.total(&Item::Number(Number::Long(i64::MAX))).is_gt())
    );
}

#[test]
fn what_is_no_number_is_not_summed() {
    for value in [text("x"), Value::Double(1.5).data(), Value::Null.data()] {
        assert!(matches!(answer(13, None, &[value]), Err(Refused::NotSummed { .. })));
    }
    assert!(Aggregator::of(&object(-29, 19, |out| out.put_i32(-1))).is_err());
    assert!(Aggregator::of(&object(-30, 4, |out| out.put_i32(-1))).is_err());
}

#[test]
fn each_attribute_stands_once_in_a_set() {
    let aggregator = aggregator(5, None);
    let set = aggregator.answer(made(&aggregator, &[text("x"), text("y"), text("x")]).unwrap()).unwrap();
    let wanted = object(-29, 19, |out| {
        out.put_i32(2);
        inner(out, &text("x"));
        inner(out, &text("y"));
    });
    assert_eq!(set, Some(wanted));
}

#[test]
fn the_entry_of_a_border_is_given_whole() {
    let aggregator = aggregator(17, Some("age"));
    let values = [json(r#"{"age":1}"#), json(r#"{"age":3}"#), json(r#"{"age":3}"#)];
    let entry = aggregator.answer(made(&aggregator, &values).unwrap()).unwrap();
    let wanted = object(-4, 120, |out| {
        inner(out, &text("1"));
        inner(out, &values[1]);
    });
    assert_eq!(entry, Some(wanted));
}

proptest! {
    #[test]
    fn partial_results_are_the_whole_in_whatever_order(
        parts in prop::collection::vec(prop::collection::vec(-9..9i64, 0..5), 0..5),
        class in prop::sample::select(vec![1, 3, 4, 5, 8, 11, 12, 13, 14, 15]),
    ) {
        let aggregator = aggregator(class, None);
        let values = |part: &Vec<i64>| part.iter().map(|n| Value::Long(*n).data()).collect::<Vec<_>>();
        let whole = made(&aggregator, &values(&parts.concat())).unwrap();
        let merged = |parts: &mut dyn Iterator<Item = &Vec<i64>>| {
            let mut all = Partial::default();
            parts.for_each(|part| aggregator.merge(&mut all, made(&aggregator, &values(part)).unwrap()));
            aggregator.answer(all).unwrap()
        };
        let wanted = aggregator.answer(whole).unwrap();
        prop_assert_eq!(&merged(&mut parts.iter()), &wanted);
        prop_assert_eq!(&merged(&mut parts.iter().rev()), &wanted);
    }
}

#[test]
fn projections_give_what_was_asked_for_in_its_order() {
    let known = Known::default();
    let (key, value) = (text("k"), json(r#"{"a":1,"b":"x","c":null}"#));
    let given = |sent: Data| Projection::of(&sent).unwrap().given(&Entry::new(&key, &value, &known)).unwrap();
    let one = |name: &'static str| object(-30, 0, |out| put_text(out, name));
    assert_eq!(given(one("b")), Some(text("x")));
    assert_eq!((given(one("c")), given(one("d"))), (None, None));
    let both = object(-30, 1, |out| {
        out.put_i32(2);
        put_text(out, "b");
        put_text(out, "c");
    });
    let mut wanted = BytesMut::from(2i32.to_be_bytes().as_slice());
    inner(&mut wanted, &text("x"));
    wanted.put_i32(0);
    assert_eq!(given(both), Some(Data::new(-28, &wanted)));
    let whole = given(object(-30, 2, |_| {})).unwrap();
    assert_eq!(whole.content().slice(..9), object(-4, 120, |_| {}).content());
    assert!(Projection::of(&one("a[any]")).is_err());
}
