//! Bytes that no client of ours sent.

use jet_protocol::data::Data;
use proptest::prelude::*;

use super::*;
use crate::{Aggregator, Projection};

proptest! {
    #[test]
    fn bytes_that_nobody_wrote_are_read_or_refused(
        factory in prop::sample::select(vec![-20, -29, -30]),
        class in -1..25,
        rest in prop::collection::vec(prop::sample::select(vec![0u8, 1, 2, 0xff, 0xfb, 0xec, b'a']), 0..40),
    ) {
        let sent = object(factory, class, |out| out.put_slice(&rest));
        let known = Known::default();
        let (key, value) = (text("k"), json(r#"{"a":1}"#));
        let entry = Entry::new(&key, &value, &known);
        let _ = Predicate::of(&sent).map(|predicate| predicate.holds(&entry));
        let _ = Projection::of(&sent).map(|projection| projection.given(&entry));
        let _ = Aggregator::of(&sent);
    }

    #[test]
    fn any_value_is_an_item_or_refused(type_id in -131..1, content: Vec<u8>) {
        let _ = Item::of(&Data::new(type_id, &content)).map(|item| item.data());
    }
}
