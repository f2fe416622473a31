//! Bytes between members: prost messages beside our own types.
//!
//! The law: what cannot be read is refused with a reason before anything is done with it; nothing is guessed for a
//! missing field. Must not know: frames, checksums, sockets (they are below), partitions (they are above).
//!
//! [`op`] changes · [`keyed`] those of entries and locks · [`query`] questions and answers · [`on_disk`] what disks have · [`told`] what listeners elsewhere are told · [`message`] what travels · `together` several in one.

pub mod keyed;
pub mod message;
pub mod on_disk;
pub mod op;
pub mod query;
mod together;
pub mod told;

pub use message::{Request, Response};
pub use on_disk::{OnDisk, WantedOnDisk};
pub use told::{Hear, Heard, Listening, Told};
