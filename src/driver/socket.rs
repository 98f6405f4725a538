//! A connection's socket, of either kind: TCP or Unix.
//!
//! Promises that no call waits, that a signal interrupts none, and that last words are not lost to
//! a reset that our own close causes. Refuses to know when to read, write or close: the turn says
//! so.

use std::io::{self, IoSlice, IoSliceMut};
use std::net::Shutdown;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use mio::event::Source;
use mio::net::{TcpStream, UnixStream};
use rustix::io::retry_on_intr;
use rustix::net::{
    RecvAncillaryBuffer, RecvFlags, RecvMsg, ReturnFlags, SendAncillaryBuffer, SendFlags,
};

use crate::turn::Then;

/// How many bytes one read takes that are dropped.
const DISCARD_BYTES: usize = 16 * 1_024;
/// How many such reads there are at a time: in all, as much as a peer may well have sent that had
/// no answer yet. Without a bound, one peer that floods would hold the loop.
const DISCARDS_MAX: usize = 16;

/// A socket that does not block.
pub(super) enum Socket {
    Tcp(TcpStream),
    Unix(UnixStream),
}

/// Returns the flags of a write. Before our FIN the kernel is to wait for it, so that last words
/// and FIN are one segment (man 2 send, MSG_MORE).
fn flags_before(then: Then) -> SendFlags {
    match then {
        #[cfg(any(target_os = "linux", target_os = "android"))]
        Then::Fin => SendFlags::MORE,
        _ => SendFlags::empty(),
    }
}

// The calls go past the C library. Where there is a second thread, it asks in each call whether the
// thread is to be cancelled, which costs time with every read and write. mio need not be told of
// these calls, for it is edge-triggered.
impl Socket {
    /// Reads as `recv(2)`, but a signal does not interrupt it.
    ///
    /// # Errors
    /// `WouldBlock` when nothing has arrived; otherwise the socket has failed.
    pub(super) fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        if let Socket::Unix(_) = self {
            return self.read_past_descriptors(buffer);
        }
        let (count, _) =
            retry_on_intr(|| rustix::net::recv(self, &mut *buffer, RecvFlags::empty()))?;
        Ok(count)
    }

    /// Reads a Unix socket, whose peer may hand over descriptors. A call ends after the bytes that
    /// some came with, whatever follows, so it is made again. There is no room for them, and the
    /// kernel drops them.
    ///
    /// # Errors
    /// As [`Socket::read`].
    fn read_past_descriptors(&self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut count = 0;
        loop {
            let mut slices = [IoSliceMut::new(&mut buffer[count..])];
            let read = retry_on_intr(|| {
                let mut none = RecvAncillaryBuffer::default();
                rustix::net::recvmsg(self, &mut slices, &mut none, RecvFlags::empty())
            });
            match read {
                Ok(RecvMsg { bytes, flags, .. }) => {
                    count += bytes;
                    let has_dropped = flags.contains(ReturnFlags::CTRUNC);
                    if !has_dropped || bytes == 0 || count == buffer.len() {
                        return Ok(count);
                    }
                }
                // A lasting error is told again by the next call; `WouldBlock` needs no telling.
                Err(_) if count > 0 => return Ok(count),
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Writes as `writev(2)`, but a signal does not interrupt it. What `then` announces must
    /// follow, since the kernel may hold the bytes until it does. SIGPIPE is ignored (std does that
    /// before `main`).
    ///
    /// # Errors
    /// `WouldBlock` when no byte fits; otherwise the socket has failed.
    pub(super) fn write_vectored(&self, slices: &[IoSlice<'_>], then: Then) -> io::Result<usize> {
        let flags = flags_before(then);
        let count = retry_on_intr(|| match slices {
            // One slice is the common case, and the kernel's way is shorter for it.
            [slice] => rustix::net::send(self, slice, flags),
            _ => rustix::net::sendmsg(self, slices, &mut SendAncillaryBuffer::default(), flags),
        })?;
        Ok(count)
    }

    /// Returns what the loop watches.
    pub(super) fn source(&mut self) -> &mut dyn Source {
        match self {
            Socket::Tcp(stream) => stream,
            Socket::Unix(stream) => stream,
        }
    }

    /// Sends our FIN.
    ///
    /// # Errors
    /// When the socket has failed.
    pub(super) fn shut_sending_side(&self) -> io::Result<()> {
        match self {
            Socket::Tcp(stream) => stream.shutdown(Shutdown::Write),
            Socket::Unix(stream) => stream.shutdown(Shutdown::Write),
        }
    }

    /// Drops what is unread, up to a bound. Returns true when nothing is left.
    pub(super) fn discard(&self) -> bool {
        let mut buffer = [0; DISCARD_BYTES];
        // A read ends ahead of urgent data, so that a short one is not yet the last.
        (0..=DISCARDS_MAX).any(|_| !matches!(self.read(&mut buffer), Ok(1..)))
    }

    /// Closes the descriptor with a FIN. That takes a socket without unread bytes: close(2) with
    /// unread bytes sends a reset (RFC 2525 §2.17), which may throw away what we wrote last.
    pub(super) fn close(self) {
        if !self.discard() {
            // Too much is unread, and a reset follows. What was written leaves before it.
            let _ = self.shut_sending_side();
        }
    }

    /// Closes the descriptor with a reset: neither side keeps any state.
    pub(super) fn reset(self) {
        if let Socket::Tcp(stream) = &self {
            // If this fails, the connection is closed with a FIN instead.
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
