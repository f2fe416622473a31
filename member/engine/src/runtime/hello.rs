//! The hello: before timely sees a stream, both ends show generation, place and a digest of the jobs.
//!
//! Law: a stream of another generation, place or list of jobs is refused by name, within a bound.

use std::time::Duration;

use super::ports::JobStart;
use super::socket::PeerSocket;

/// How long a peer may take to say hello.
pub const HELLO_WAIT: Duration = Duration::from_secs(5);
const MAGIC: &[u8; 8] = b"JETGEN01";
const HELLO_BYTES: usize = 8 + 8 + 4 + 32;

/// What members must agree about.
pub fn digest(members: usize, workers: usize, owners: &[usize], jobs: &[JobStart]) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(format!("{} {members} {workers} {owners:?}", crate::ENGINE_VERSION).as_bytes());
    for job in jobs {
        let text = format!("\n{} {} {} {}", job.job, job.execution, job.fingerprint, job.from_epoch());
        hasher.update(text.as_bytes());
    }
    *hasher.finalize().as_bytes()
}

/// Our hello.
pub fn say(socket: &mut dyn PeerSocket, generation: u64, me: usize, digest: &[u8; 32]) -> std::io::Result<()> {
    let mut hello = Vec::with_capacity(HELLO_BYTES);
    hello.extend_from_slice(MAGIC);
    hello.extend_from_slice(&generation.to_le_bytes());
    hello.extend_from_slice(&(me as u32).to_le_bytes());
    hello.extend_from_slice(digest);
    socket.write_all(&hello)
}

/// Reads the peer's and compares; the reason if it does not fit.
pub fn hear(socket: &mut dyn PeerSocket, generation: u64, peer: usize, digest: &[u8; 32]) -> Result<(), String> {
    socket.wait_at_most(Some(HELLO_WAIT)).map_err(|error| error.to_string())?;
    let mut hello = [0; HELLO_BYTES];
    socket.read_exact(&mut hello).map_err(|error| format!("did not say hello: {error}"))?;
    socket.wait_at_most(None).map_err(|error| error.to_string())?;
    let (magic, rest) = hello.split_at(8);
    let (theirs, rest) = rest.split_at(8);
    let (place, jobs) = rest.split_at(4);
    if magic != MAGIC {
        return Err("does not speak this engine's protocol".into());
    }
    if theirs != generation.to_le_bytes() {
        let mut number = [0; 8];
        number.copy_from_slice(theirs);
        return Err(format!("is in generation {}, not {generation}", u64::from_le_bytes(number)));
    }
    if place != (peer as u32).to_le_bytes() {
        return Err("is not the member that this stream was opened to".into());
    }
    if jobs != digest {
        return Err("has another list of jobs, owners, workers or another engine version".into());
    }
    Ok(())
}
