//! What a turn asks of the outside: sockets and listeners, and nothing that decides. The mio driver
//! is one [`Io`], the simulator another, a network in memory for tests a third.

use std::io::{self, IoSlice};

use crate::server::{ConnectionId, Peer};

/// The outside of a turn: sockets that do not block, and listeners. It moves bytes and decides
/// nothing.
pub trait Io {
    /// One connection's end of the network.
    type Socket;

    /// Fills the front of `buffer` with bytes that arrived, as recv(2) does. A count below the
    /// buffer's size means that no more have arrived, but where urgent data has; 0 is the peer's
    /// FIN.
    ///
    /// # Errors
    /// `WouldBlock` when nothing has arrived; any other means that the socket is of no more use.
    fn read(&mut self, socket: &mut Self::Socket, buffer: &mut [u8]) -> io::Result<usize>;

    /// Takes the bytes of `slices` from the front, as writev(2) does. What `then` announces must
    /// follow, since the socket may wait for it. A count below that of the bytes means that no more
    /// fit.
    ///
    /// # Errors
    /// `WouldBlock` when no byte fits; any other means that the socket is of no more use.
    fn write(
        &mut self,
        socket: &mut Self::Socket,
        slices: &[IoSlice<'_>],
        then: Then,
    ) -> io::Result<usize>;

    /// Takes the next connection that waits at the listener.
    fn accept(&mut self, listener: usize) -> Accept<Self::Socket>;

    /// Takes the next connection that waits at the listener, though no descriptor is left, and
    /// resets it: its client knows where it stands, and the queue does not fill.
    fn shed(&mut self, listener: usize) -> Shed;

    /// From now on tells the turn what the socket becomes ready for, by the slot of `id`.
    ///
    /// # Errors
    /// When the socket cannot be watched: the connection is of no use.
    fn watch(&mut self, socket: &mut Self::Socket, id: ConnectionId) -> io::Result<()>;

    /// Drops what is unread, up to a bound. Returns true when nothing is left.
    fn discard(&mut self, socket: &mut Self::Socket) -> bool;

    /// Sends our FIN; the socket can still be read.
    ///
    /// # Errors
    /// When the socket is of no more use.
    fn shut(&mut self, socket: &mut Self::Socket) -> io::Result<()>;

    /// Closes the socket. Drops what is unread first, unless `is_read_out` says that nothing is:
    /// close(2) with unread bytes sends a reset, which may throw away what we wrote last.
    fn close(&mut self, socket: Self::Socket, is_read_out: bool);

    /// Closes the socket with a reset: neither side keeps any state.
    fn reset(&mut self, socket: Self::Socket);
}

/// What comes after the bytes of a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Then {
    /// Perhaps more bytes.
    Open,
    /// Our FIN, at once.
    Fin,
}

/// What a connection has become ready for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Readiness {
    /// Bytes, or the peer's FIN, may have arrived.
    pub readable: bool,
    /// Bytes may fit that did not before.
    pub writable: bool,
    /// The peer's FIN has arrived, perhaps after bytes that are unread.
    pub peer_finished: bool,
    /// Urgent data has arrived (RFC 9293 §3.8.5): a read ends ahead of it, whatever follows.
    pub has_urgent: bool,
    /// The socket has failed.
    pub has_failed: bool,
}

/// What [`Io::accept`] has found.
#[derive(Debug)]
pub enum Accept<S> {
    /// A connection.
    Connection {
        /// Its socket.
        socket: S,
        /// Who is at its other end.
        peer: Peer,
        /// True when another connection may wait.
        is_more: bool,
    },
    /// Nobody waits.
    Nobody,
    /// The next connection failed before it was accepted; others may wait.
    Lost,
    /// No descriptor is left: of the process or of the system.
    NoDescriptor(io::Error),
    /// Nothing can be accepted at the moment, for another reason, such as want of memory.
    Failed(io::Error),
}

/// What [`Io::shed`] has done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shed {
    /// A connection was reset.
    One,
    /// Nobody waited.
    Nobody,
    /// No connection could be accepted and reset.
    Failed,
}
