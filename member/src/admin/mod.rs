//! The admin API v1: what people, the operator and other members may ask of this member.
//!
//! Law: the router is built from the table of routes, each with the roles that it admits; a refusal is typed and
//! changes nothing; an answer that acts says what was done. Must not know: how anything is done.
//!
//! - [`serve`]: the port · [`router`]: routes and roles · [`handlers`]: one for each route
//! - [`stopping`]: a stop that is asked of this member
//! - [`views`]: what the machine and this member look like from outside

pub mod handlers;
pub mod router;
pub mod serve;
pub mod stopping;
pub mod views;
