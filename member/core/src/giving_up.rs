//! A forced start: every member that is there gives its store up, and an empty cluster begins.
//!
//! Law:
//! 1. Nobody's store is given up but by a person's consent, which is the digest of who gives up what, and who is not there.
//!    Each member judges it again for itself: another boot, another store, another list is another digest.
//! 2. Only a cluster that waits is given up. A member that has gone on writing since its start takes part in one that runs,
//!    and it refuses; so does the whole, when one of them does. A member that is heard and says nothing may be such a one.
//! 3. Who has given up never goes on writing in that process, and a generation is only opened by all: what began to be
//!    opened meanwhile ends nowhere, and serves nobody.
//! 4. What is given up is put aside, not deleted. Who is not there keeps its store, which belongs to no cluster that is.
//!
//! Attacked (tests beside this, in `member/hotstore/tests/belonging.rs` and `member/tests/scenes/forced.rs`):
//! - *Loses what nobody gave up*: the cluster begins to run between question and answer (`another_boot_is_another_consent`,
//!   `who_has_written_is_not_given_up_and_who_was_given_up_does_not_write`); a member that runs is taken for one that is away
//!   (`one_that_takes_part_or_says_nothing_is_in_the_way`); the power goes in the midst
//!   (`crash_a_store_that_is_given_up_is_whole_or_blank_and_never_half`).
//! - *Serves twice*: who was away comes back with its old store (`s16_…`: it finds another cluster, and is held).
//! - *Hangs*: some have given up and others not, because who asked has died: asking again goes on with those that are left.
//!
//! Must not know: who may consent, disks.

use serde::{Deserialize, Serialize};

use crate::ids::{Boot, Digest, FoundingId, Generation, MemberId};

/// What one member would give up.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Gives {
    /// Number in its certificate.
    pub ordinal: u32,
    /// Who it is.
    pub member: MemberId,
    /// In which process.
    pub boot: Boot,
    /// Of which cluster its store is; `None`: of none yet.
    pub founding: Option<FoundingId>,
    /// Up to which generation it has something.
    pub generation: Generation,
}

/// What a member is found to be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Found {
    /// It has gone on with nothing since its start.
    Waits(Gives),
    /// It has gone on writing.
    TakesPart {
        /// Its number.
        ordinal: u32,
    },
    /// It is connected and did not answer.
    Silent {
        /// Its number.
        ordinal: u32,
    },
}

/// Everything that is consented to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GivingUp {
    /// Who gives up what, by ordinal.
    pub gives: Vec<Gives>,
    /// Members that are known and not heard.
    pub away: Vec<(u32, MemberId)>,
}

/// Why nothing is given up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[allow(missing_docs)]
pub enum WhyNot {
    #[error(
        "member {ordinal} takes part in a cluster that runs; a forced start is for one that waits. If it must be, end \
             that member first and start it again"
    )]
    TakesPart { ordinal: u32 },
    #[error("member {ordinal} is connected and does not answer; ask again, or end it first")]
    Silent { ordinal: u32 },
    #[error("no member that is heard has a store of a cluster: there is nothing to give up")]
    Nothing,
    #[error(
        "what would be given up now is something else than what {consent} was told for; ask again without a consent"
    )]
    Another { consent: Digest },
}

impl GivingUp {
    /// What a consent must name.
    pub fn digest(&self) -> Digest {
        match serde_json::to_vec(self) {
            Ok(json) => blake3::hash(&json).into(),
            Err(_) => Digest::default(),
        }
    }
}

/// What is given up if all that is found agrees.
pub fn preview(found: Vec<Found>, mut away: Vec<(u32, MemberId)>) -> Result<GivingUp, WhyNot> {
    let mut gives = Vec::with_capacity(found.len());
    for found in found {
        match found {
            Found::Waits(given) => gives.push(given),
            Found::TakesPart { ordinal } => return Err(WhyNot::TakesPart { ordinal }),
            Found::Silent { ordinal } => return Err(WhyNot::Silent { ordinal }),
        }
    }
    if gives.iter().all(|gives| gives.founding.is_none()) {
        return Err(WhyNot::Nothing);
    }
    gives.sort_unstable();
    away.retain(|(_, member)| gives.iter().all(|gives| gives.member != *member));
    away.sort_unstable();
    Ok(GivingUp { gives, away })
}

/// At a member that is asked to give up: is it what was consented to?
pub fn judge(own: &Found, all: &GivingUp, consent: &Digest) -> Result<(), WhyNot> {
    let another = || WhyNot::Another { consent: consent.clone() };
    match own {
        Found::TakesPart { ordinal } => Err(WhyNot::TakesPart { ordinal: *ordinal }),
        Found::Silent { ordinal } => Err(WhyNot::Silent { ordinal: *ordinal }),
        Found::Waits(gives) => match all.digest() == *consent && all.gives.contains(gives) {
            true => Ok(()),
            false => Err(another()),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gives(ordinal: u32, boot: u64) -> Gives {
        Gives {
            ordinal,
            member: MemberId(uuid::Uuid::from_u128(u128::from(ordinal) + 1)),
            boot: Boot(boot),
            founding: Some(FoundingId(uuid::Uuid::from_u128(9))),
            generation: Generation(3),
        }
    }

    fn waits(ordinal: u32, boot: u64) -> Found {
        Found::Waits(gives(ordinal, boot))
    }

    fn away(ordinal: u32) -> (u32, MemberId) {
        (ordinal, gives(ordinal, 1).member)
    }

    #[test]
    fn who_is_there_gives_up_and_who_is_away_is_named() {
        let all = preview(vec![waits(1, 4), waits(0, 2)], vec![away(2), away(1), away(0)]).unwrap();
        assert_eq!(all, GivingUp { gives: vec![gives(0, 2), gives(1, 4)], away: vec![away(2)] });
        assert_eq!(all.digest(), preview(vec![waits(0, 2), waits(1, 4)], vec![away(2)]).unwrap().digest());
        assert_eq!(judge(&waits(0, 2), &all, &all.digest()), Ok(()));
    }

    #[test]
    fn one_that_takes_part_or_says_nothing_is_in_the_way() {
        for (found, why) in [
            (Found::TakesPart { ordinal: 1 }, WhyNot::TakesPart { ordinal: 1 }),
            (Found::Silent { ordinal: 1 }, WhyNot::Silent { ordinal: 1 }),
        ] {
            assert_eq!(preview(vec![waits(0, 2), found.clone()], Vec::new()), Err(why.clone()));
            let all = preview(vec![waits(0, 2), waits(1, 1)], Vec::new()).unwrap();
            assert_eq!(judge(&found, &all, &all.digest()), Err(why));
        }
    }

    #[test]
    fn another_boot_is_another_consent() {
        let all = preview(vec![waits(0, 2), waits(1, 1)], vec![away(2)]).unwrap();
        let digest = all.digest();
        assert_eq!(judge(&waits(1, 2), &all, &digest), Err(WhyNot::Another { consent: digest.clone() }));
        let newer = Found::Waits(Gives { generation: Generation(4), ..gives(1, 1) });
        assert!(judge(&newer, &all, &digest).is_err());
        let two = preview(vec![waits(0, 2), waits(1, 1)], Vec::new()).unwrap();
        assert_ne!(two.digest(), digest, "the third has come back");
        assert!(judge(&waits(1, 1), &two, &digest).is_err());
        assert!(judge(&waits(2, 1), &two, &two.digest()).is_err(), "it is not named");
    }

    #[test]
    fn where_nothing_was_founded_there_is_nothing_to_give_up() {
        let blank = |ordinal| Found::Waits(Gives { founding: None, generation: Generation(0), ..gives(ordinal, 1) });
        assert_eq!(preview(vec![blank(0), blank(1)], Vec::new()), Err(WhyNot::Nothing));
        assert_eq!(preview(vec![blank(0), waits(1, 1)], Vec::new()).unwrap().gives.len(), 2);
    }
}
