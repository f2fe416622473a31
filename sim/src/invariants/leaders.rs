//! One leader of a term.
//!
//! Law: in one term one may take the leadership from another, and only one of them ever commits an entry of its own: who
//! has applied the first one of its leadership has a majority behind it. The lease rests on it. Must not know: what leaders do.

use std::collections::BTreeMap;

use super::{Shown, Violated};

/// Who led.
#[derive(Default)]
pub struct Leaders {
    /// The last entry that one had when it began to lead a term.
    began: BTreeMap<(u64, usize), u64>,
    led: BTreeMap<u64, usize>,
}

impl Leaders {
    /// Looks at all.
    pub fn look(&mut self, shown: &[Shown]) -> Result<(), Violated> {
        for one in shown {
            let Some(standing) = &one.standing else { continue };
            let Some(leading) = standing.leading else { continue };
            let began = *self.began.entry((leading.term, one.ordinal)).or_insert(leading.last);
            if standing.applied < began {
                continue;
            }
            let first = *self.led.entry(leading.term).or_insert(one.ordinal);
            if first != one.ordinal {
                return Err(Violated::TwoLeaders { term: leading.term, first, second: one.ordinal });
            }
        }
        Ok(())
    }
}
