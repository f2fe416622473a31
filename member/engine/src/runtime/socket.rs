//! A byte stream to a peer, as the shell hands it over: connected, authenticated, blocking.
//!
//! Law: `close` makes every blocked read and write of every clone return.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::unix::net::UnixStream;
use std::time::Duration;

/// A blocking stream in both directions.
pub trait PeerSocket: Read + Write + Send + Sync {
    /// Another handle of the same stream.
    fn another(&self) -> io::Result<Box<dyn PeerSocket>>;
    /// Ends both directions for all handles.
    fn close(&self);
    /// Blocking, with or without a limit for a read.
    fn wait_at_most(&self, limit: Option<Duration>) -> io::Result<()>;
}

impl PeerSocket for TcpStream {
    fn another(&self) -> io::Result<Box<dyn PeerSocket>> {
        Ok(Box::new(self.try_clone()?))
    }
    fn close(&self) {
        let _ = self.shutdown(Shutdown::Both);
    }
    fn wait_at_most(&self, limit: Option<Duration>) -> io::Result<()> {
        self.set_nonblocking(false)?;
        let _ = self.set_nodelay(true);
        self.set_read_timeout(limit)
    }
}

impl PeerSocket for UnixStream {
    fn another(&self) -> io::Result<Box<dyn PeerSocket>> {
        Ok(Box::new(self.try_clone()?))
    }
    fn close(&self) {
        let _ = self.shutdown(Shutdown::Both);
    }
    fn wait_at_most(&self, limit: Option<Duration>) -> io::Result<()> {
        self.set_nonblocking(false)?;
        self.set_read_timeout(limit)
    }
}
