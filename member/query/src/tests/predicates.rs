//! What holds of what.

use jet_protocol::data::{Data, Value};
use proptest::prelude::*;

use super::*;
use crate::number::Number;

fn of_attribute(class: i32, attribute: &str, value: &Data) -> Data {
    object(-20, class, |out| {
        put_text(out, attribute);
        inner(out, value);
    })
}

fn holds_of(predicate: &Data, value: &Data) -> Result<bool, Refused> {
    let known = Known::default();
    Predicate::of(predicate)?.holds(&Entry::new(&text("k"), value, &known))
}

#[test]
fn words_say_what_sql_says() {
    let ann = json(r#"{"name":"ann","age":31,"active":true,"at":{"city":"Ulm"},"of":[{"n":1},{"n":2}],"no":null}"#);
    for (said, wanted) in [
        ("age > 30", true),
        ("age > 31", false),
        ("age >= 31 and age <= 31", true),
        ("age = 31", true),
        ("age == 31", true),
        ("age <> 31", false),
        ("age != 31", false),
        ("age = 31.0", true),
        ("age < 31.5 AND age > -1", true),
        ("age BETWEEN 31 AND 40", true),
        ("age NOT BETWEEN 31 AND 40", false),
        ("age IN (30, 31)", true),
        ("age not in (30, 31)", false),
        ("name = 'ann'", true),
        ("name = ann", true),
        ("name IN ('bob', 'ann')", true),
        ("name LIKE 'a%'", true),
        ("name NOT LIKE 'a%'", false),
        ("name LIKE 'A%'", false),
        ("name ILIKE 'A_N'", true),
        ("name REGEX 'a.*'", true),
        ("name REGEX 'n+'", false),
        ("age > 40 OR name = 'ann'", true),
        ("age > 40 AND name = 'ann' OR active", true),
        ("age > 40 AND (name = 'ann' OR active)", false),
        ("NOT age > 40", true),
        ("active", true),
        ("active = true", true),
        ("active = false", false),
        ("at.city = 'Ulm'", true),
        ("of[0].n = 1", true),
        ("of[1].n = 1", false),
        ("of[any].n = 2", true),
        ("of[any].n = 3", false),
        ("of[9].n = 1", false),
        ("nothing = 1", false),
        ("nothing != 1", true),
        ("no = null", true),
        ("age = null", false),
        ("age != null", true),
        ("nothing > 1", false),
        ("__key = 'k'", true),
        ("this.age = 31", true),
        ("name = 'it''s'", false),
    ] {
        assert_eq!(holds(said, &ann), Ok(wanted), "{said}");
    }
}

#[test]
fn words_that_cannot_be_read_are_refused_and_told() {
    for said in
        ["age ==", "", "age >", "age + 1 = 2", "1 = 1 = 1", "age > 1 x", "SELECT 1", "f(age) = 1", "age IS NULL"]
    {
        let refused = holds(said, &json(r#"{"age":1}"#));
        let told = matches!(&refused, Err(Refused::Words { words, .. }) if words == said);
        assert!(told, "{said}: {refused:?}");
    }
    let refused = holds("age ==", &json("{}")).unwrap_err().to_string();
    assert!(refused.starts_with("Invalid SQL: [age ==]"), "{refused}");
}

#[test]
fn values_of_all_types_are_compared_in_the_type_of_the_attribute() {
    for (said, value, wanted) in [
        ("this >= 2", Value::Integer(2), true),
        ("this = 2", Value::Byte(2), true),
        ("this = '2'", Value::Short(2), true),
        ("this > 1.5", Value::Long(2), true),
        ("this = 2.5", Value::Double(2.5), true),
        ("this < 0.3", Value::Float(0.25), true),
        ("this = 'x'", Value::String("x".into()), true),
        ("this < 9", Value::String("10".into()), true),
        ("this = TRUE", Value::Boolean(true), true),
        ("this = '00000000-0000-0000-0000-000000000001'", Value::Uuid(uuid::Uuid::from_u128(1)), true),
        ("this = 'x'", Value::Char(u16::from(b'x')), true),
    ] {
        assert_eq!(holds(said, &value.data()), Ok(wanted), "{said} of {value:?}");
    }
}

#[test]
fn what_cannot_be_compared_is_refused_by_name() {
    let refused = holds("age > 1", &text("x")).unwrap_err().to_string();
    assert!(refused.contains("'age'") && refused.contains("a text"), "{refused}");
    let refused = holds("this > 'x'", &Value::Integer(1).data()).unwrap_err().to_string();
    assert!(refused.contains("a number") && refused.contains("'x'"), "{refused}");
    let pickle = Data::new(-120, &[1, 2]);
    assert!(holds("a = 1", &pickle).unwrap_err().to_string().contains("pickle"));
    assert!(holds("name LIKE 'a'", &json(r#"{"name":1}"#)).is_err());
}

#[test]
fn predicates_of_attributes_are_read_in_the_order_of_their_fields() {
    let (age, n) = (json(r#"{"age":42}"#), |n| Value::Integer(n).data());
    assert_eq!(holds_of(&of_attribute(3, "age", &n(42)), &age), Ok(true));
    assert_eq!(holds_of(&of_attribute(9, "age", &n(42)), &age), Ok(false));
    let than = |or_equal, less, than| {
        object(-20, 4, |out| {
            put_text(out, "age");
            inner(out, &n(than));
            out.put_u8(or_equal);
            out.put_u8(less);
        })
    };
    for (or_equal, less, border, wanted) in
        [(0, 0, 41, true), (0, 0, 42, false), (1, 0, 42, true), (0, 1, 43, true), (0, 1, 42, false), (1, 1, 42, true)]
    {
        assert_eq!(holds_of(&than(or_equal, less, border), &age), Ok(wanted));
    }
    let between = |from, to| {
        object(-20, 2, |out| {
            put_text(out, "age");
            inner(out, &n(to));
            inner(out, &n(from));
        })
    };
    assert_eq!(holds_of(&between(42, 50), &age), Ok(true));
    assert_eq!(holds_of(&between(43, 50), &age), Ok(false));
    let list = object(-20, 7, |out| {
        put_text(out, "age");
        out.put_i32(2);
        inner(out, &n(1));
        inner(out, &n(42));
    });
    assert_eq!(holds_of(&list, &age), Ok(true));
    let pair = |class| {
        object(-20, class, |out| {
            out.put_i32(2);
            inner(out, &object(-20, 14, |_| {}));
            inner(out, &object(-20, 13, |_| {}));
        })
    };
    assert_eq!((holds_of(&pair(1), &age), holds_of(&pair(11), &age)), (Ok(false), Ok(true)));
    let not = object(-20, 10, |out| inner(out, &object(-20, 13, |_| {})));
    assert_eq!(holds_of(&not, &age), Ok(true));
}

#[test]
fn what_users_wrote_is_refused_by_its_name() {
    let custom = Data::new(-2, b"\0\0\0\0\x04a.B!");
    assert!(Predicate::of(&custom).unwrap_err().to_string().contains("the class a.B!"));
    assert!(Predicate::of(&object(66, 7, |_| {})).unwrap_err().to_string().contains("7 of factory 66"));
    assert!(Predicate::of(&Data::new(-100, b"x")).unwrap_err().to_string().contains("java.io.Serializable"));
    assert!(Predicate::of(&Data::new(-1, b"x")).unwrap_err().to_string().contains("Portable"));
    assert!(Predicate::of(&object(-20, 8, |out| put_text(out, "x.Y"))).unwrap_err().to_string().contains("x.Y"));
    for class in [15, 16, 17, 21, 99, -1] {
        assert!(Predicate::of(&object(-20, class, |_| {})).is_err(), "{class}");
    }
}

#[test]
fn a_predicate_within_too_many_others_is_refused() {
    let within = |deep| (0..deep).fold(object(-20, 14, |_| {}), |last, _| object(-20, 10, |out| inner(out, &last)));
    assert!(Predicate::of(&within(99)).is_ok());
    assert_eq!(
        Predicate::of(&within(5_000)).unwrap_err(),
        Refused::TooMuch { what: "predicates within each other", most: 100 }
    );
    let said = format!("{}a = 1{}", "(".repeat(5_000), ")".repeat(5_000));
    assert!(holds(&said, &json("{}")).is_err());
    let said = format!("{} a = 1", "NOT ".repeat(10_000));
    assert!(holds(&said, &json("{}")).is_err());
}

#[test]
fn a_long_row_of_conditions_is_read_and_evaluated() {
    let value = json(r#"{"a":299}"#);
    let row = |length: i32, operator| (0..length).map(|n| format!("a = {n}")).collect::<Vec<_>>().join(operator);
    assert_eq!(holds(&row(300, " OR "), &value), Ok(true));
    assert!(matches!(holds(&row(2_000, " OR "), &value), Err(Refused::TooMuch { .. })));
    let list = (0..9_000).map(|n| n.to_string()).collect::<Vec<_>>().join(", ");
    assert_eq!(holds(&format!("a IN ({list})"), &value), Ok(true));
}

#[test]
fn a_tree_of_words_is_not_deeper_than_the_stack() {
    for operator in ["+", " OR ", " AND ", " = ", "||", " AND NOT "] {
        let _ = holds(&vec!["1"; 999].join(operator), &json("{}"));
    }
    for (before, after) in [("(", ")"), ("NOT ", ""), ("- ", ""), ("a.", ""), ("CASE WHEN ", " END"), ("a[", "]")] {
        let _ = holds(&format!("{}1{}", before.repeat(400), after.repeat(400)), &json("{}"));
    }
}

#[test]
fn a_pattern_takes_time_by_its_text() {
    let long = text(&"a".repeat(100_000));
    assert_eq!(holds("this REGEX '(a*)*(a*)*b'", &long), Ok(false));
    assert_eq!(holds("this LIKE '%a%a%a%a%a%a%a%a%a%b'", &long), Ok(false));
    for refused in ["(a)\\1", "(?=a)", "(", "a{1000}{1000}{1000}"] {
        assert!(matches!(holds(&format!("this REGEX '{refused}'"), &long), Err(Refused::Pattern { .. })), "{refused}");
    }
}

#[test]
fn like_stands_for_a_whole_text_and_takes_signs_as_they_are() {
    for (pattern, of, wanted) in [
        ("a.c", "abc", false),
        ("a_c", "a\nc", true),
        ("%", "", true),
        ("a\\%", "a%", true),
        ("a\\%", "ab", false),
        ("a\\_c", "abc", false),
        ("(x", "(x", true),
        ("b%", "ab", false),
    ] {
        let like = object(-20, 5, |out| {
            put_text(out, "this");
            put_text(out, pattern);
        });
        assert_eq!(holds_of(&like, &text(of)), Ok(wanted), "{pattern} of {of}");
    }
}

#[test]
fn a_number_that_is_too_long_is_refused() {
    assert!(Number::decimal(&[1], 2_000_000_000).is_none());
    assert!(holds("this = 1e2000000000", &Item::Number(Number::decimal(&[5], 0).unwrap()).data()).is_err());
    assert!(Number::big(&vec![1; 5_000]).is_none());
}

fn numbers() -> impl Strategy<Value = Number> {
    prop_oneof![
        any::<i8>().prop_map(Number::Byte),
        any::<i16>().prop_map(Number::Short),
        any::<i32>().prop_map(Number::Integer),
        any::<i64>().prop_map(Number::Long),
        any::<f32>().prop_map(Number::Float),
        any::<f64>().prop_map(Number::Double),
        (any::<i128>(), -30..30i32).prop_map(|(n, scale)| Number::decimal(&n.to_be_bytes(), scale).unwrap()),
        any::<i128>().prop_map(|n| Number::big(&n.to_be_bytes()).unwrap()),
        (-3..3i64).prop_map(Number::Long),
        (-3..3i8).prop_map(|n| Number::Double(f64::from(n) / 2.0)),
        Just(Number::Double(f64::NAN)),
        Just(Number::Float(f32::INFINITY)),
    ]
}

proptest! {
    #[test]
    fn numbers_of_all_types_stand_in_one_order(a in numbers(), b in numbers(), c in numbers()) {
        prop_assert_eq!(a.cmp(&b), b.cmp(&a).reverse());
        if a <= b && b <= c {
            prop_assert!(a <= c, "{:?} {:?} {:?}", a, b, c);
        }
    }

    #[test]
    fn words_that_nobody_meant_are_read_or_refused(said: String) {
        let _ = holds(&said, &json("{}"));
    }
}
