//! Parts of a member that only an onlooker inside the process can see: real network, real consensus, real stores, with
//! disks that freeze and fail, peers that are fakes, and ports that keep a diary.

#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "inside/begun.rs"]
mod begun;
#[path = "inside/diary.rs"]
mod diary;
#[path = "inside/disks.rs"]
mod disks;
#[path = "inside/failed.rs"]
mod failed;
#[path = "inside/frozen.rs"]
mod frozen;
#[path = "inside/lanes.rs"]
mod lanes;
#[path = "world/pki.rs"]
#[allow(dead_code)]
mod pki;
#[path = "world/ports.rs"]
mod ports;
#[path = "inside/voters.rs"]
mod voters;
#[path = "inside/wires.rs"]
mod wires;
