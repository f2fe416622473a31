//! The fence: timely's transport, whose failures are values.
//!
//! Timely's threads panic on a read error, an unannounced end or a write error. A [`Link`] never shows
//! them one: it hands over whole messages only, and once the fence is tripped it ends the stream as a
//! healthy peer would (a header of length zero, then the end) and swallows writes. The owner learns the
//! cause. Every byte goes in frames `[length u32][crc32c u32][bytes]`; the CRC also covers the number of
//! the frame, so that headers and progress messages are as safe as rows. Law: the first cause wins, and
//! the generation is over within milliseconds; nothing larger than a bound is allocated for a peer.

use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use timely::communication::allocator::zero_copy::stream::Stream;
use timely::communication::networking::MessageHeader;

use super::socket::PeerSocket;

/// Largest frame.
pub const MAX_FRAME_BYTES: usize = 256 * 1024;
/// Largest message of timely.
pub const MAX_MESSAGE_BYTES: usize = 128 * 1024 * 1024;
const FRAME_HEADER: usize = 8;
const MESSAGE_HEADER: usize = 48;
/// Where a message header has its length.
const LENGTH_AT: std::ops::Range<usize> = 32..40;

/// Called once, with the cause.
type OnTrip = Box<dyn Fn(&str) + Send + Sync>;

/// Ends a generation in this process, once, with a cause.
pub struct Fence {
    tripped: AtomicBool,
    cause: Mutex<Option<String>>,
    sockets: Mutex<Vec<Box<dyn PeerSocket>>>,
    on_trip: OnTrip,
    /// Bytes written to all peers.
    pub bytes_out: AtomicU64,
}

impl Fence {
    pub fn new(on_trip: OnTrip) -> Arc<Self> {
        Arc::new(Fence {
            tripped: AtomicBool::new(false),
            cause: Mutex::new(None),
            sockets: Mutex::new(Vec::new()),
            on_trip,
            bytes_out: AtomicU64::new(0),
        })
    }

    pub fn is_tripped(&self) -> bool {
        self.tripped.load(Ordering::Acquire)
    }

    /// Ends the generation: every blocked read and write returns.
    pub fn trip(&self, cause: impl Into<String>) {
        let cause = cause.into();
        {
            let mut slot = self.cause.lock().unwrap_or_else(PoisonError::into_inner);
            if slot.is_some() {
                return;
            }
            *slot = Some(cause.clone());
        }
        self.tripped.store(true, Ordering::Release);
        for socket in self.sockets.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            socket.close();
        }
        (self.on_trip)(&cause);
    }

    pub fn cause(&self) -> Option<String> {
        self.cause.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn watch(&self, socket: Box<dyn PeerSocket>) {
        self.sockets.lock().unwrap_or_else(PoisonError::into_inner).push(socket);
    }
}

/// How far the end of a stream has been told to timely.
enum End {
    Open,
    HeaderDue,
    Over,
}

/// One peer's stream as timely sees it.
pub struct Link {
    socket: Box<dyn PeerSocket>,
    fence: Arc<Fence>,
    peer: usize,
    raw: Vec<u8>,
    messages: Vec<u8>,
    /// `messages[taken..whole]` are whole messages that timely has not read yet.
    taken: usize,
    whole: usize,
    end: End,
    frames_in: u64,
    frames_out: u64,
}

impl Link {
    /// A stream that is watched by the fence.
    pub fn new(socket: Box<dyn PeerSocket>, fence: Arc<Fence>, peer: usize) -> io::Result<Self> {
        fence.watch(socket.another()?);
        Ok(Link::over(socket, fence, peer))
    }

    fn over(socket: Box<dyn PeerSocket>, fence: Arc<Fence>, peer: usize) -> Self {
        Link {
            socket,
            fence,
            peer,
            raw: Vec::new(),
            messages: Vec::new(),
            taken: 0,
            whole: 0,
            end: End::Open,
            frames_in: 0,
            frames_out: 0,
        }
    }

    /// Reads one frame and appends its bytes to `messages`; the cause if there is none.
    fn frame(&mut self) -> Result<(), String> {
        let mut header = [0; FRAME_HEADER];
        self.exactly(&mut header)?;
        let length = u32::from_le_bytes([header[0], header[1], header[2], header[3]]) as usize;
        if length == 0 || length > MAX_FRAME_BYTES {
            return Err(format!("sent a frame of {length} bytes, 1 to {MAX_FRAME_BYTES} are allowed"));
        }
        let mut body = std::mem::take(&mut self.raw);
        body.resize(length, 0);
        let read = self.exactly(&mut body);
        if read.is_ok() {
            self.messages.extend_from_slice(&body);
        }
        let found = checksum(self.frames_in, &body);
        self.raw = body;
        read?;
        if found.to_le_bytes() != header[4..8] {
            return Err(format!("sent frame {} with a wrong checksum", self.frames_in));
        }
        self.frames_in += 1;
        Ok(())
    }

    fn exactly(&mut self, out: &mut [u8]) -> Result<(), String> {
        if self.fence.is_tripped() {
            return Err("the generation is over".into());
        }
        self.socket.read_exact(out).map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => "closed the connection".into(),
            _ => format!("cannot be read: {error}"),
        })
    }

    /// Moves `whole` over the complete messages; the cause if the next one is not acceptable.
    fn complete_messages(&mut self) -> Result<(), String> {
        loop {
            let rest = &self.messages[self.whole..];
            let Some(bytes) = rest.get(LENGTH_AT) else { return Ok(()) };
            let mut length = [0; 8];
            length.copy_from_slice(bytes);
            let length = u64::from_be_bytes(length);
            if length > MAX_MESSAGE_BYTES as u64 {
                return Err(format!("announced a message of {length} bytes, {MAX_MESSAGE_BYTES} are allowed"));
            }
            match MessageHeader::try_read(rest) {
                None => return Ok(()),
                Some(header) if header.length == 0 => return Err("ended the generation".into()),
                Some(header) => self.whole += header.required_bytes(),
            }
        }
    }

    fn more(&mut self) -> Result<(), String> {
        self.messages.drain(..self.taken);
        self.whole -= self.taken;
        self.taken = 0;
        self.frame()?;
        self.complete_messages()
    }
}

fn checksum(number: u64, bytes: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&number.to_le_bytes()), bytes)
}

impl Read for Link {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        loop {
            if self.whole > self.taken && matches!(self.end, End::Open) {
                let n = out.len().min(self.whole - self.taken);
                out[..n].copy_from_slice(&self.messages[self.taken..self.taken + n]);
                self.taken += n;
                return Ok(n);
            }
            match self.end {
                End::Over => return Ok(0),
                End::HeaderDue => {
                    // The buffer of timely has room for a megabyte, less what it holds of whole messages.
                    let n = out.len().min(MESSAGE_HEADER - self.taken);
                    out[..n].fill(0);
                    self.taken += n;
                    if self.taken == MESSAGE_HEADER {
                        self.end = End::Over;
                    }
                    return Ok(n);
                }
                End::Open => {
                    if let Err(cause) = self.more() {
                        self.fence.trip(format!("member {} {cause}", self.peer));
                        // What timely has read so far ends with a whole message or in the middle of one
                        // that is here completely: it gets the rest before the end.
                        if self.whole > self.taken {
                            continue;
                        }
                        self.taken = 0;
                        self.end = End::HeaderDue;
                    }
                }
            }
        }
    }
}

impl Write for Link {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.fence.is_tripped() || bytes.is_empty() {
            return Ok(bytes.len());
        }
        let part = &bytes[..bytes.len().min(MAX_FRAME_BYTES)];
        self.raw.clear();
        self.raw.extend_from_slice(&(part.len() as u32).to_le_bytes());
        self.raw.extend_from_slice(&checksum(self.frames_out, part).to_le_bytes());
        self.raw.extend_from_slice(part);
        self.frames_out += 1;
        self.fence.bytes_out.fetch_add(self.raw.len() as u64, Ordering::Relaxed);
        if let Err(error) = self.socket.write_all(&self.raw) {
            self.fence.trip(format!("member {} cannot be written to: {error}", self.peer));
        }
        Ok(part.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Stream for Link {
    fn try_clone(&self) -> io::Result<Self> {
        Ok(Link::over(self.socket.another()?, self.fence.clone(), self.peer))
    }
    fn set_nonblocking(&self, _: bool) -> io::Result<()> {
        Ok(())
    }
    fn shutdown(&self, _: Shutdown) -> io::Result<()> {
        // Ending is the fence's: a half-closed stream would look like a lost peer.
        Ok(())
    }
}
