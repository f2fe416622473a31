//! The Hazelcast-shaped REST: another product's words for what this member has already.
//!
//! Law: a translation and nothing else: what is asked becomes a command or a view of the admin API's kind, and whether
//! it may be is decided where it always is. What changes something needs the cluster's name and its password; what is
//! switched off is not answered at all. Must not know: how anything is done.
//!
//! - [`serve`]: the port: plain or TLS, HTTP/1.1 · [`door`]: which request is let in, and what it is answered
//! - [`seen`]: how this member and its cluster look in those words · [`act`]: commands · `partial`: going on without members, `forced`: without anything
//! - [`answer`]: status, type and body · [`password`]: the one of whoever changes something · [`brake`]: on
//!   guessing it

pub mod act;
pub mod answer;
pub mod brake;
pub mod door;
mod forced;
mod partial;
pub mod password;
pub mod seen;
pub mod serve;
