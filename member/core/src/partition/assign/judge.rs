//! What is wrong with an answer.
//!
//! Law: it counts anew, from the answer alone, in every build. Must not know: how the answer came about.

use std::collections::BTreeSet;

use super::share::Bounds;
use super::{Field, Unassignable};
use crate::ids::{MemberId, PartitionId};

pub(super) fn judge(field: &Field, lists: &[Vec<usize>]) -> Result<(), Unassignable> {
    for (partition, list) in (0..=u16::MAX).map(PartitionId).zip(lists) {
        let distinct: BTreeSet<_> = list.iter().filter(|at| **at < field.members.len()).collect();
        if distinct.len() != field.copies || list.len() != field.copies {
            return Err(Unassignable::Copies { partition, given: distinct.len(), wanted: field.copies });
        }
        let in_zone = |at: usize| list.iter().filter(|other| field.zone(**other) == field.zone(at)).count();
        if let Some(at) = list.iter().find(|at| in_zone(**at) > field.zone_most) {
            let (member, given) = (name(field, *at), in_zone(*at));
            return Err(Unassignable::Zone { partition, member, given, most: field.zone_most });
        }
    }
    fair(field, "copies", lists.iter().flatten(), &field.holds)?;
    fair(field, "primaries", lists.iter().filter_map(|list| list.first()), &field.leads)
}

fn fair<'a>(
    field: &Field,
    what: &'static str,
    units: impl Iterator<Item = &'a usize>,
    bounds: &Bounds,
) -> Result<(), Unassignable> {
    let mut has = vec![0; bounds.candidates()];
    for at in units {
        if let Some(has) = has.get_mut(*at) {
            *has += 1;
        }
    }
    for (at, given) in has.into_iter().enumerate() {
        let (least, most) = bounds.of(at);
        if given < least || given > most {
            return Err(Unassignable::Share { member: name(field, at), what, given, least, most });
        }
    }
    Ok(())
}

fn name(field: &Field, at: usize) -> MemberId {
    field.members.get(at).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::super::Candidate;
    use super::*;

    #[test]
    fn an_answer_that_breaks_a_law_is_refused_by_the_law_that_it_breaks() {
        let zone = |n: u32| Some(if n < 2 { "a".to_owned() } else { "b".into() });
        let member = |n: u32| MemberId(uuid::Uuid::from_u128(u128::from(n)));
        let candidates: Vec<_> =
            (0..4).map(|n| Candidate { zone: zone(n), ..Candidate::plain(member(n), n) }).collect();
        let field = Field::of(&candidates, 4, 2).unwrap();
        let fair = [vec![0, 2], vec![1, 3], vec![2, 1], vec![3, 0]];
        assert_eq!(judge(&field, &fair), Ok(()));
        let broken = |partition: usize, list: &[usize]| {
            let mut lists = fair.clone();
            lists[partition] = list.to_vec();
            judge(&field, &lists).unwrap_err()
        };
        let copies = |given| Unassignable::Copies { partition: PartitionId(1), given, wanted: 2 };
        assert_eq!(broken(1, &[1]), copies(1));
        assert_eq!(broken(1, &[1, 1]), copies(1));
        assert_eq!(broken(1, &[1, 4]), copies(1));
        assert_eq!(broken(1, &[1, 3, 2]), copies(3));
        let zone = Unassignable::Zone { partition: PartitionId(0), member: member(0), given: 2, most: 1 };
        assert_eq!(broken(0, &[0, 1]), zone);
        let share = |n, what, given| {
            let (least, most) = if what == "copies" { (2, 2) } else { (1, 1) };
            Unassignable::Share { member: member(n), what, given, least, most }
        };
        assert_eq!(broken(0, &[0, 3]), share(2, "copies", 1));
        assert_eq!(broken(0, &[2, 0]), share(0, "primaries", 0));
    }
}
