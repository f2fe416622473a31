//! Pages together.

use jet_protocol::data::{Data, Value};
use jet_protocol::structure::{AnchorDataList, PagingPredicate};
use proptest::prelude::*;

use super::*;
use crate::{Iterated, Page, Sorted};

fn asked(size: i32, page: i32, anchors: AnchorDataList) -> PagingPredicate {
    PagingPredicate {
        page_size: size,
        page,
        iteration_type: 0,
        anchors,
        predicate: None,
        comparator: None,
        partition_key: None,
        partition_keys: None,
    }
}

fn no_anchors() -> AnchorDataList {
    AnchorDataList { pages: Vec::new(), anchors: Vec::new() }
}

fn page(ask: &PagingPredicate, iterated: Iterated, entries: &[(Data, Data)]) -> (Vec<(Data, Data)>, AnchorDataList) {
    let known = Known::default();
    let mut sorted = Sorted::new(Page::of(ask, iterated).unwrap().0).unwrap();
    for (key, value) in entries {
        sorted.add(&Entry::new(key, value, &known)).unwrap();
    }
    sorted.cut()
}

fn entries(values: &[i32]) -> Vec<(Data, Data)> {
    let entry = |(n, value): (usize, &i32)| (text(&format!("k{n}")), Value::Integer(*value).data());
    values.iter().enumerate().map(entry).collect()
}

proptest! {
    #[test]
    fn pages_together_are_all_entries_once(
        values in prop::collection::vec(-3..3, 0..40),
        size in 1..9,
        by_value: bool,
        back in prop::collection::vec(0..6, 0..4),
    ) {
        let (entries, iterated) = (entries(&values), if by_value { Iterated::Values } else { Iterated::Keys });
        let (mut all, mut anchors) = (Vec::new(), no_anchors());
        for number in 0.. {
            let (found, known) = page(&asked(size, number, anchors), iterated, &entries);
            anchors = known;
            if found.is_empty() {
                break;
            }
            all.extend(found);
        }
        let same = |mut all: Vec<(Data, Data)>| {
            all.sort_by(|a, b| a.0.as_bytes().cmp(b.0.as_bytes()));
            all
        };
        prop_assert_eq!(same(all.clone()), same(entries.clone()));
        // The same page with and without what was seen before.
        for number in back {
            let of_all = all.iter().skip((number * size) as usize).take(size as usize).cloned().collect::<Vec<_>>();
            prop_assert_eq!(&page(&asked(size, number, anchors.clone()), iterated, &entries).0, &of_all);
            prop_assert_eq!(&page(&asked(size, number, no_anchors()), iterated, &entries).0, &of_all);
        }
    }
}

#[test]
fn no_more_is_held_than_the_page_needs() {
    let known = Known::default();
    let mut sorted = Sorted::new(Page::of(&asked(2, 0, no_anchors()), Iterated::Keys).unwrap().0).unwrap();
    for (key, value) in entries(&[0; 10]) {
        sorted.add(&Entry::new(&key, &value, &known)).unwrap();
    }
    let held: usize = entries(&[0; 2]).iter().map(|(key, value)| key.as_bytes().len() + value.as_bytes().len()).sum();
    assert_eq!(sorted.bytes(), held);
}

#[test]
fn pages_that_cannot_be_are_refused() {
    for (size, page, pages) in [(0, 0, vec![]), (-1, 0, vec![]), (1, -1, vec![]), (1, 0, vec![1]), (1, 0, vec![0, 0])] {
        let anchors = pages.iter().map(|_| (text("a"), text("b"))).collect();
        let ask = asked(size, page, AnchorDataList { pages, anchors });
        assert!(Page::of(&ask, Iterated::Keys).is_err(), "{ask:?}");
    }
    let ordered = PagingPredicate { comparator: Some(text("x")), ..asked(1, 0, no_anchors()) };
    assert!(Page::of(&ordered, Iterated::Keys).unwrap_err().to_string().contains("comparator"));
    let far = page(&asked(i32::MAX, i32::MAX, no_anchors()), Iterated::Keys, &entries(&[1]));
    assert_eq!(far.0, []);
}
