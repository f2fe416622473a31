//! Letters of consensus, as they come over the control lane.
//!
//! The law: a letter that is read, written again, reads as the same. Must not know: what becomes of it.

use crate::Seen;
use crate::consensus::letter::Letter;

/// The law, on one input.
pub fn holds(input: &[u8]) -> Seen {
    let mut seen = Seen::default();
    let read = serde_json::from_slice::<Letter>(input);
    seen.note(&read);
    let Ok(letter) = read else { return seen };
    let written = serde_json::to_vec(&letter).expect("what was read");
    let again: Letter = serde_json::from_slice(&written).expect("what was written");
    assert_eq!(serde_json::to_vec(&again).expect("what was read"), written);
    assert_eq!((again.to, again.is_vote()), (letter.to, letter.is_vote()));
    seen
}
