//! The words that unmodified clients speak: the Hazelcast Open Binary Client Protocol 2.x as bytes and as types.
//!
//! Laws. *Stated once*: a message stands in one table, and reading and writing follow from its line; the golden files
//! of the protocol's authors agree with every line, to the byte. *Nothing that a peer sends ends us*: no bytes panic,
//! and none make more memory than four times their number; every bound has a name in [`limits`] and an error of its
//! own. *Slices*: text and [`Data`](data::Data) are cut out of what was read and not copied; whoever keeps one beyond
//! the request detaches it, else it keeps all that was read with it. *Both ways in time*: what a newer peer appends is
//! passed over, what an older one left out is absent ([`Later`](fields::Later)), and absent is not null. *One unit
//! each*: a message is written whole or not at all.
//! It must not know: members, maps, clocks, sockets, who may do what. It gets bytes and gives types, and back.
//!
//! Contents: [`frames`] stream → messages, frames → bytes · [`fields`] what frames are made of · [`message`] the table
//! of requests, answers and events · [`structure`] what travels inside them · [`sql_page`] rows by column ·
//! [`data`] keys and values: header, partition, content · [`error`] codes and the answer that tells one ·
//! [`limits`] all bounds.

#[macro_use]
mod table;

pub mod data;
pub mod error;
pub mod fields;
pub mod frames;
pub mod limits;
pub mod message;
pub mod sql_page;
pub mod structure;

#[cfg(test)]
mod oracle;

/// What a client sends before its first message.
pub const PREAMBLE: [u8; 3] = *b"CP2";
