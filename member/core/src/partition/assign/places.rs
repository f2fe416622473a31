//! The copies of each partition, as a set that is being brought to the shares.
//!
//! Law: at every moment the copies of a partition lie on different candidates, and no more of them in a zone than may.
//! Must not know: who leads.

use super::Field;
use super::level::Ground;
use super::share::Bounds;

pub(super) struct Places<'a> {
    field: &'a Field,
    /// By partition, in the order of the table that is.
    pub(super) lists: Vec<Vec<usize>>,
    /// Copies of each candidate.
    has: Vec<usize>,
}

impl<'a> Places<'a> {
    /// What of `start` may stay: of what does not fit together the first.
    pub(super) fn keep(field: &'a Field, start: &[Vec<usize>]) -> Self {
        let mut places = Self { field, lists: Vec::with_capacity(start.len()), has: vec![0; field.holds.candidates()] };
        for list in start {
            let mut kept = Vec::with_capacity(field.copies);
            for at in list {
                if kept.len() < field.copies && places.fits(&kept, *at) {
                    kept.push(*at);
                    places.count(*at);
                }
            }
            places.lists.push(kept);
        }
        places
    }

    fn count(&mut self, at: usize) {
        if let Some(has) = self.has.get_mut(at) {
            *has += 1;
        }
    }

    fn fits(&self, list: &[usize], at: usize) -> bool {
        !list.contains(&at) && self.in_zone(list, at) < self.field.zone_most
    }

    fn in_zone(&self, list: &[usize], at: usize) -> usize {
        let zone = self.field.zone(at);
        list.iter().filter(|other| self.field.zone(**other) == zone).count()
    }

    /// What is missing goes to whoever lacks most of its share. There is always somebody whom it fits: a list that is short
    /// leaves room in a zone that has more candidates than the list names.
    pub(super) fn fill(&mut self, bounds: &Bounds) {
        for partition in 0..self.lists.len() {
            let mut list = self.lists.get(partition).cloned().unwrap_or_default();
            while list.len() < self.field.copies {
                let Some(at) = self.neediest(&list, partition, bounds) else { break };
                list.push(at);
                self.count(at);
            }
            if let Some(place) = self.lists.get_mut(partition) {
                *place = list;
            }
        }
    }

    fn neediest(&self, list: &[usize], partition: usize, bounds: &Bounds) -> Option<usize> {
        let n = bounds.candidates();
        let need = |at: &usize| {
            let (has, (least, most)) = (self.has.get(*at).copied().unwrap_or_default(), bounds.of(*at));
            // The last: not always the first one of equals.
            (has >= most, least < has, std::cmp::Reverse(least.saturating_sub(has)), (at + partition) % n)
        };
        (0..n).filter(|at| self.fits(list, *at)).min_by_key(need)
    }
}

impl Ground for Places<'_> {
    fn partitions(&self) -> usize {
        self.lists.len()
    }

    /// From the last, so that a primary moves only if nothing else can.
    fn giver(&self, partition: usize, nth: usize) -> Option<usize> {
        let list = self.lists.get(partition)?;
        list.get(list.len().checked_sub(nth + 1)?).copied()
    }

    fn allows(&self, partition: usize, from: usize, to: usize) -> bool {
        let Some(list) = self.lists.get(partition).filter(|list| !list.contains(&to)) else { return false };
        self.field.zone(from) == self.field.zone(to) || self.in_zone(list, to) < self.field.zone_most
    }

    fn shift(&mut self, partition: usize, from: usize, to: usize) {
        let list = self.lists.get_mut(partition);
        if let Some(place) = list.and_then(|list| list.iter_mut().find(|at| **at == from)) {
            *place = to;
        }
    }
}
