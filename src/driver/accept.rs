//! Connections on their way in. mio's listeners are edge-triggered: that there may be more is
//! remembered until the kernel says otherwise, through every failure.

use std::io::{self, ErrorKind};
use std::time::Duration;

use mio::{Interest, Token};

use crate::server::ConnectionId;
use crate::time::Now;

use super::socket::Socket;
use super::{Connection, Driver, descriptors, listener};

/// Connections accepted from one listener in one turn. Few, so that a turn is short: what members
/// notice of a siege is the length of its turns. With 16 here and 32 reads and writes of strangers,
/// their p99 rose to 2.1–4.1 times that of peace; with 4, 8 and 8 to 1.3–1.5 times, at as many
/// refusals a second (`cargo bench --bench siege`, three runs each).
const ACCEPTS_MAX: usize = 4;
/// How long accepting rests when descriptors or memory have run out, unless one comes free.
const ACCEPT_RETRY: Duration = Duration::from_millis(100);
/// How often a failure to accept is logged.
const ACCEPT_LOG_INTERVAL: Duration = Duration::from_secs(10);

impl Driver {
    pub(super) fn accept(&mut self, now: Now) {
        if self.accept_retry_at.is_some_and(|at| at > now.monotonic) {
            return;
        }
        self.accept_retry_at = None;
        // What has ended while it was read gives its place to those who come.
        self.close(now);
        for index in 0..self.listeners.len() {
            let mut left = ACCEPTS_MAX;
            while self.listeners[index].is_ready && left > 0 {
                left -= 1;
                if !self.accept_one(now, index) {
                    return;
                }
            }
        }
    }

    /// Returns whether accepting may go on.
    fn accept_one(&mut self, now: Now, index: usize) -> bool {
        match self.listeners[index].accept() {
            Ok((socket, peer)) => {
                self.listeners[index].look_for_more();
                match self.server.accept(now, peer) {
                    Some(id) => self.adopt(now, id, socket),
                    None => socket.reset(),
                }
                // Somebody may have gone for it: no more than one descriptor above the cap.
                self.close(now);
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                self.listeners[index].is_ready = false;
            }
            Err(error) if listener::is_of_one_connection(&error) => {}
            Err(error) => {
                if listener::is_want_of_descriptors(&error) && self.shed_one(index) {
                    // accept(2) looks for a descriptor first, and for a newcomer then.
                    if !self.listeners[index].is_ready {
                        return true;
                    }
                } else {
                    // mio's listeners are edge-triggered: `is_ready` stays set, so that the
                    // queue is not forgotten.
                    self.accept_retry_at = Some(now.monotonic + ACCEPT_RETRY);
                }
                self.log_accept_error(now, &error);
                return self.accept_retry_at.is_none();
            }
        }
        true
    }

    /// Without a descriptor, the spare one is given up for long enough to take a connection off
    /// the queue and reset it: its client knows where it stands, and the queue does not fill.
    /// Returns whether that was done, or nobody waited.
    fn shed_one(&mut self, index: usize) -> bool {
        if self.spare.take().is_none() {
            return false;
        }
        let is_shed = match self.listeners[index].accept() {
            Ok((socket, _)) => {
                socket.reset();
                self.server.count_shed();
                true
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                self.listeners[index].is_ready = false;
                true
            }
            Err(_) => false,
        };
        self.spare = descriptors::spare();
        is_shed
    }

    /// At most a line each [`ACCEPT_LOG_INTERVAL`].
    fn log_accept_error(&mut self, now: Now, error: &io::Error) {
        if self
            .accept_logged_at
            .is_none_or(|at| now.monotonic.since(at) >= ACCEPT_LOG_INTERVAL)
        {
            self.accept_logged_at = Some(now.monotonic);
            log::warn!(
                "cannot accept: {error}; newcomers are reset or wait until a connection has gone"
            );
        }
    }

    fn adopt(&mut self, now: Now, id: ConnectionId, mut socket: Socket) {
        let interest = Interest::READABLE | Interest::WRITABLE;
        if self
            .poll
            .registry()
            .register(socket.source(), Token(id.slot as usize), interest)
            .is_err()
        {
            self.server.failed(now, id);
        }
        let slot = id.slot as usize;
        if slot >= self.connections.len() {
            self.connections.resize_with(slot + 1, || None);
        }
        self.connections[slot] = Some(Connection {
            id,
            socket,
            is_ready: false,
            peer_finished: false,
            is_read_out: false,
            is_over: false,
        });
    }
}
