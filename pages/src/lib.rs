//! Pages of `docs/` that a test writes: what was given, how it ended, and the words that a person saw.
//!
//! Law: a section says what the run has seen and nothing else; one that differs fails its test, and is written anew only
//! when `JET_PAGES=write` asks for it. Must not know: what is tested.
//!
//! - [`table`]: the rows and what each must say · [`words`]: what differs from run to run, and text in Markdown
//! - [`section`]: its place in a page

// Only tests use it: what it cannot do ends the test with the reason.
#![allow(clippy::unwrap_used, clippy::expect_used)]

pub mod section;
pub mod table;
pub mod words;

pub use table::Table;
