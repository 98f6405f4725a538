//! What the core is told.

use crate::app::password::HashOutcome;
use crate::server::connection::{ConnectionId, TransportNews};
use crate::server::parts::revocations::StoreOutcome;

/// Something that the core is told, for [`Server::handle`](crate::server::Server::handle). What is
/// accepted, arrives and was written are calls of their own: they happen for every frame, or give
/// something back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Input {
    /// A connection was accepted and reset for want of a descriptor.
    Shed,
    /// The connection's transport has something to say, ahead of the core's first byte.
    Transport(ConnectionId, TransportNews),
    /// The peer's FIN arrived. What was asked in full is answered: to send no more is not to read no
    /// more (RFC 9112 §9.6). A WebSocket ends with it, once its login or logout is answered, and so
    /// does what is unfinished.
    Finished(ConnectionId),
    /// The socket failed: reset by the peer, or no longer of use.
    Failed(ConnectionId),
    /// The socket takes bytes again.
    Writable(ConnectionId),
    /// The helper thread has done a [`HashJob`](crate::app::password::HashJob).
    Hashed(HashOutcome),
    /// The helper thread has done a [`StoreJob::Revoke`](crate::server::StoreJob::Revoke), or has
    /// failed to.
    Kept(StoreOutcome),
    /// Deadlines are to be looked at, and what was left undecided is to be decided.
    Tick,
    /// What was decided has been written: if the next frame may have to wait for a look at changes of
    /// users, that is done now.
    LookAhead,
    /// Everything is to end: a Close 1001 to each open WebSocket, and no new connections.
    Stop,
}
