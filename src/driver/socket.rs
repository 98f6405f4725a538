//! A connection's socket, of either kind.

use std::io::{self, IoSlice};
use std::net::Shutdown;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use mio::event::Source;
use mio::net::{TcpStream, UnixStream};
use rustix::io::retry_on_intr;
use rustix::net::{RecvFlags, SendAncillaryBuffer, SendFlags};

use crate::turn::Then;

/// Bytes of one read whose bytes are dropped, and how many such reads there are at a time: as much
/// in all as a peer may well have sent that had no answer yet.
const DISCARD_BYTES: usize = 16 * 1_024;
const DISCARDS_MAX: usize = 16;

pub(super) enum Socket {
    Tcp(TcpStream),
    Unix(UnixStream),
}

/// Last words and the FIN are one segment, not two (man 2 send, MSG_MORE).
fn flags_before(then: Then) -> SendFlags {
    match then {
        #[cfg(any(target_os = "linux", target_os = "android"))]
        Then::Fin => SendFlags::MORE,
        _ => SendFlags::empty(),
    }
}

// The calls go past the C library: where there is a second thread, it looks at each whether it is
// to be cancelled, which took a tenth of a round trip's time in user space. mio needs no word of
// them, for it is edge-triggered.
impl Socket {
    /// As `recv(2)`, but that a signal does not interrupt it.
    pub(super) fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        let (count, _) =
            retry_on_intr(|| rustix::net::recv(self, &mut *buffer, RecvFlags::empty()))?;
        Ok(count)
    }

    /// As `writev(2)`, but that a signal does not interrupt it. What `then` says will follow, must:
    /// the kernel may wait for it. SIGPIPE is ignored (std does that before `main`).
    pub(super) fn write_vectored(&self, slices: &[IoSlice<'_>], then: Then) -> io::Result<usize> {
        let flags = flags_before(then);
        let count = retry_on_intr(|| match slices {
            // The kernel's way is shorter for one: 2 % of a round trip.
            [slice] => rustix::net::send(self, slice, flags),
            _ => rustix::net::sendmsg(self, slices, &mut SendAncillaryBuffer::default(), flags),
        })?;
        Ok(count)
    }

    /// What the loop watches.
    pub(super) fn source(&mut self) -> &mut dyn Source {
        match self {
            Socket::Tcp(stream) => stream,
            Socket::Unix(stream) => stream,
        }
    }

    pub(super) fn shut_sending_side(&self) -> io::Result<()> {
        match self {
            Socket::Tcp(stream) => stream.shutdown(Shutdown::Write),
            Socket::Unix(stream) => stream.shutdown(Shutdown::Write),
        }
    }

    /// Drops what is unread, up to a bound. Returns whether nothing is left.
    pub(super) fn discard(&self) -> bool {
        let mut buffer = [0; DISCARD_BYTES];
        (0..DISCARDS_MAX).any(|_| match self.read(&mut buffer) {
            Ok(count) => count < buffer.len(),
            Err(_) => true,
        })
    }

    /// Closes the descriptor with a FIN, for which nothing may be unread.
    pub(super) fn close(self) {
        if !self.discard() {
            // A reset follows. What was written leaves before it.
            let _ = self.shut_sending_side();
        }
    }

    /// Closes the descriptor with a reset: neither side keeps any state.
    pub(super) fn reset(self) {
        if let Socket::Tcp(stream) = &self {
            // Should it fail, the connection is closed with a FIN instead.
            let _ = rustix::net::sockopt::set_socket_linger(stream, Some(Duration::ZERO));
        }
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Socket::Tcp(stream) => stream.as_fd(),
            Socket::Unix(stream) => stream.as_fd(),
        }
    }
}
