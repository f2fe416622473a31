//! Clients: unmodified programs that speak the client protocol, and what they may ask of this member.
//!
//! Laws. *Who is unknown costs nothing*: some kilobytes and some seconds, then it has said who it is or is gone.
//! *One connection is bounded*: what it may have in flight, what waits to be written to it, how long it may be silent;
//! at each bound it waits or is cut off with the reason in the log, and nobody else waits for it. *A translation*: a
//! request becomes the calls that any caller of the maps may make, in the order in which it came; who is let in, and when
//! a change is acknowledged, is decided where it always is. *An answer is true*: a client is told to ask again by itself
//! only if nothing was done. *A connection belongs to one activation of the cluster*: the cluster's id as clients see it is
//! new after each, the members' are not, so that clients come back and register anew what they listen to.
//! Must not know: how maps keep what they keep, who is primary of what.
//!
//! What is stored is what the client sent, header and all, with one exception: a JSON value or key is stored as its text,
//! which is what jobs, the REST and the command line write and read; whatever lies in a map without a header is shown to
//! clients as JSON. So a client meets what a job wrote under the key as a JSON value (`HazelcastJsonValue`), and a job's
//! SQL reads what a client put as one ([`values`]).
//!
//! | room | what is in it |
//! |---|---|
//! | [`server`] | what all connections share, and the way in for each · [`registry`] how many there are · [`threads`] on which they live |
//! | [`door`] | who a client is: cluster, credentials, version · [`credentials`] names and passwords |
//! | [`connection`] | one client from then on: reading, answering, writing, bounds · [`open`] what it waits for · [`unwritten`] what is to be written · [`order`] of changes that are not over at once |
//! | [`call`] | which request is answered how · [`keyed`] those to a key · [`whole`] those to a map · [`queries`] about what is in values · [`sql`] statements · [`maps`] what both are made of · [`objects`] which maps there are · [`schemas`] of Compact |
//! | [`listeners`] | what a connection listens to · [`near_cache`] what near caches may not hold any more |
//! | [`views`] | members and partitions as clients see them |
//! | [`values`] | between a client's bytes and those that are stored · [`fault`] refusals as clients know errors |

pub mod call;
pub mod connection;
pub mod credentials;
pub mod door;
pub mod fault;
pub mod keyed;
pub mod listeners;
pub mod maps;
pub mod near_cache;
pub mod objects;
pub mod open;
pub mod order;
pub mod queries;
pub mod registry;
pub mod schemas;
pub mod server;
pub mod sql;
pub mod threads;
pub mod unwritten;
pub mod values;
pub mod views;
pub mod whole;

pub use server::Server;

/// The version that clients are told: of the product whose protocol is spoken, since clients look at it for what they may
/// ask.
pub const SPOKEN: (i8, i8, i8) = (5, 7, 0);
