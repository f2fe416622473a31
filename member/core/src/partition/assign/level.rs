//! Fewest shifts until everybody has its share.
//!
//! Law: what is too much is taken from whoever has it and given to whoever lacks it, one unit of one partition at a time;
//! first straight, then along a shortest chain a → b → c, in which b gives another unit on. A shortest chain can be carried
//! out as it was found: if two of its shifts were in each other's way in one partition, that partition would allow the first
//! giver to give to the last taker, and the chain would not be a shortest. Must not know: what a unit is.

use std::collections::VecDeque;

use super::share::Bounds;

/// Where units lie, and which may be shifted.
pub(super) trait Ground {
    fn partitions(&self) -> usize;
    /// Who has a unit of it, by how gladly it is given.
    fn giver(&self, partition: usize, nth: usize) -> Option<usize>;
    fn allows(&self, partition: usize, from: usize, to: usize) -> bool;
    fn shift(&mut self, partition: usize, from: usize, to: usize);
}

/// Who gives, or takes.
#[derive(Clone, Copy)]
enum Who {
    MoreThanMost,
    MoreThanLeast,
    LessThanLeast,
    LessThanMost,
}

/// In this order: a shift that mends two ends at once is worth two.
const TURNS: [(Who, Who); 3] = [
    (Who::MoreThanMost, Who::LessThanLeast),
    (Who::MoreThanLeast, Who::LessThanLeast),
    (Who::MoreThanMost, Who::LessThanMost),
];

/// Shifts until everybody has from least to most, or nothing leads nearer.
pub(super) fn level<G: Ground>(ground: &mut G, bounds: &Bounds) {
    let mut account = Account::of(ground, bounds);
    for (gives, takes) in TURNS {
        account.straight(ground, gives, takes);
    }
    for (gives, takes) in TURNS {
        while let Some(chain) = account.chain(ground, gives, takes) {
            for step in chain {
                account.shift(ground, step);
            }
        }
    }
}

#[derive(Clone, Copy)]
struct Step {
    partition: usize,
    from: usize,
    to: usize,
}

struct Account<'a> {
    bounds: &'a Bounds,
    has: Vec<usize>,
}

impl<'a> Account<'a> {
    fn of<G: Ground>(ground: &G, bounds: &'a Bounds) -> Self {
        let mut account = Self { bounds, has: vec![0; bounds.candidates()] };
        for (_, at) in units(ground) {
            if let Some(has) = account.has.get_mut(at) {
                *has += 1;
            }
        }
        account
    }

    fn has(&self, at: usize) -> usize {
        self.has.get(at).copied().unwrap_or_default()
    }

    fn is(&self, at: usize, who: Who) -> bool {
        let (has, (least, most)) = (self.has(at), self.bounds.of(at));
        match who {
            Who::MoreThanMost => has > most,
            Who::MoreThanLeast => has > least,
            Who::LessThanLeast => has < least,
            Who::LessThanMost => has < most,
        }
    }

    fn shift<G: Ground>(&mut self, ground: &mut G, step: Step) {
        ground.shift(step.partition, step.from, step.to);
        if let Some(has) = self.has.get_mut(step.from) {
            *has = has.saturating_sub(1);
        }
        if let Some(has) = self.has.get_mut(step.to) {
            *has += 1;
        }
    }

    /// Once over all units: each from who gives to who takes, if its partition allows it.
    fn straight<G: Ground>(&mut self, ground: &mut G, gives: Who, takes: Who) {
        let n = self.bounds.candidates();
        for partition in 0..ground.partitions() {
            let mut nth = 0;
            while let Some(from) = ground.giver(partition, nth) {
                nth += 1;
                if !self.is(from, gives) {
                    continue;
                }
                let takers = (0..n).filter(|to| self.is(*to, takes) && ground.allows(partition, from, *to));
                let lack = |to: &usize| {
                    let least = self.bounds.of(*to).0;
                    (
                        self.has(*to) >= least,
                        std::cmp::Reverse(least.saturating_sub(self.has(*to))),
                        (to + partition) % n,
                    )
                };
                if let Some(to) = takers.min_by_key(lack) {
                    self.shift(ground, Step { partition, from, to });
                }
            }
        }
    }

    /// The shortest way by which one of those that give comes to have one less, and one of those that take one more.
    fn chain<G: Ground>(&self, ground: &G, gives: Who, takes: Who) -> Option<Vec<Step>> {
        let n = self.bounds.candidates();
        let mut open: VecDeque<_> = (0..n).filter(|at| self.is(*at, gives)).collect();
        if open.is_empty() || !(0..n).any(|at| self.is(at, takes)) {
            return None;
        }
        let held = held(ground, n);
        let mut unseen: Vec<_> = (0..n).filter(|at| !self.is(*at, gives)).collect();
        let mut came: Vec<Option<Step>> = vec![None; n];
        while let Some(from) = open.pop_front() {
            for partition in held.get(from).into_iter().flatten().copied() {
                let (found, rest): (Vec<_>, Vec<_>) =
                    unseen.into_iter().partition(|to| ground.allows(partition, from, *to));
                unseen = rest;
                for to in found {
                    if let Some(place) = came.get_mut(to) {
                        *place = Some(Step { partition, from, to });
                    }
                    if self.is(to, takes) {
                        return Some(back(&came, to));
                    }
                    open.push_back(to);
                }
            }
        }
        None
    }
}

/// The way that led to `to`, its last step first.
fn back(came: &[Option<Step>], mut to: usize) -> Vec<Step> {
    let mut steps = Vec::new();
    while let Some(step) = came.get(to).copied().flatten() {
        steps.push(step);
        to = step.from;
    }
    steps
}

/// All units: partition and who has it.
fn units<G: Ground>(ground: &G) -> impl Iterator<Item = (usize, usize)> {
    (0..ground.partitions()).flat_map(move |partition| {
        (0..).map_while(move |nth| ground.giver(partition, nth)).map(move |at| (partition, at))
    })
}

/// By candidate the partitions of which it has a unit.
fn held<G: Ground>(ground: &G, candidates: usize) -> Vec<Vec<usize>> {
    let mut held = vec![Vec::new(); candidates];
    for (partition, at) in units(ground) {
        if let Some(list) = held.get_mut(at) {
            list.push(partition);
        }
    }
    held
}
