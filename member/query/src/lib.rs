//! Questions about what is in values: predicates, aggregators and projections as clients send them, and what they find.
//!
//! Laws. *What is asked is what is answered*: a predicate that is not known here in all its parts is refused by name, and
//! a value that cannot be compared is refused too; nothing is left out of an answer for either. *Numbers are numbers*: of
//! whatever types two are, they are compared exactly, and a sum that its type does not hold is refused, never wrapped.
//! *What peers send ends nothing*: every nesting, path, pattern and number is bounded; patterns take time by the length of
//! the text, whatever they are. *Order is total*: pages are cut from one order of all entries, so that none is in two.
//! Must not know: maps, members, sockets, where schemas are kept.
//!
//! Attacks that were thought of, and the tests that make them: a predicate in itself a thousand times
//! (`a_predicate_within_too_many_others_is_refused`), a pattern that explodes (`a_pattern_takes_time_by_its_text`), a
//! number with a scale of two thousand millions (`a_number_that_is_too_long_is_refused`), bytes that nobody wrote
//! (`bytes_that_nobody_wrote_are_read_or_refused`), a field that points out of its value
//! (`a_compact_value_that_is_spoiled_is_refused`), partial results merged in another order
//! (`partial_results_are_the_whole_in_whatever_order`), a page that has what another has
//! (`pages_together_are_all_entries_once`).
//!
//! Contents: [`item`] what a value or attribute is, and [`number`]s and [`calendar`] · [`read`] serialized things, part by part ·
//! [`compact`] fields of Compact values · [`path`] names of attributes · [`entry`] an entry, and what is at a path ·
//! [`predicate`] what must hold · [`decode`] what clients send · [`words`] predicates in words · [`pattern`] of texts ·
//! [`aggregate`] · [`projection`] · [`page`]s · [`refused`] why not.

pub mod aggregate;
pub mod calendar;
pub mod compact;
pub mod decode;
pub mod entry;
pub mod item;
pub mod number;
pub mod page;
pub mod path;
pub mod pattern;
pub mod predicate;
pub mod projection;
pub mod read;
pub mod refused;
pub mod words;

pub use aggregate::{Aggregator, Partial};
pub use compact::Layout;
pub use entry::{Entry, Schemas};
pub use item::Item;
pub use page::{Iterated, Page, Sorted};
pub use predicate::Predicate;
pub use projection::Projection;
pub use refused::Refused;

#[cfg(test)]
mod tests;
