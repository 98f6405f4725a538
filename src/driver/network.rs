//! The kernel's side of a turn: the event queue, listeners and sockets, as the turn's [`Io`].
//!
//! Promises to move bytes and to decide nothing. Refuses to know the core: a connection is a slot,
//! which is its token in the event queue.

use std::io::{self, ErrorKind, IoSlice};
use std::os::fd::OwnedFd;
use std::time::Duration;

use mio::{Events, Interest, Poll, Token, Waker};

use super::listener::{self, Listener};
use super::signals::Signals;
use super::socket::Socket;
use super::{DriverError, descriptors, failed};
use crate::server::ConnectionId;
use crate::turn::{Accept, Io, Shed, Then};

/// Names the waker in the event queue.
pub(super) const WAKER: Token = Token(usize::MAX);
/// Names the pipe of signals in the event queue.
pub(super) const SIGNALS: Token = Token(usize::MAX - 1);
/// Names the first listener. Listeners are counted down from here, connections up from 0, so that a
/// slot is a token without a table.
const LISTENERS: usize = usize::MAX - 2;
/// More listeners than the settings allow.
const LISTENERS_MAX: usize = 1 << 16;

/// Returns the listener that a token names; `None` for a connection's token.
pub(super) fn listener_of(Token(token): Token) -> Option<usize> {
    LISTENERS
        .checked_sub(token)
        .filter(|index| *index < LISTENERS_MAX)
}

/// The event queue, and what is watched by it.
pub(super) struct Network {
    poll: Poll,
    listeners: Vec<Listener>,
    /// A descriptor to give up when no other is left; `None` while it cannot be had.
    spare: Option<OwnedFd>,
}

impl Network {
    /// Watches the signals and the listeners.
    ///
    /// # Errors
    /// When the kernel refuses the event queue, or to watch.
    pub(super) fn new(
        mut listeners: Vec<Listener>,
        signals: &mut Signals,
    ) -> Result<Network, DriverError> {
        let poll = Poll::new().map_err(failed("create the event queue"))?;
        let registry = poll.registry();
        registry
            .register(signals.source(), SIGNALS, Interest::READABLE)
            .map_err(failed("listen for signals"))?;
        for (index, listener) in listeners.iter_mut().enumerate() {
            let token = Token(LISTENERS - index);
            registry
                .register(listener.source(), token, Interest::READABLE)
                .map_err(failed("watch a listener"))?;
        }
        Ok(Network {
            poll,
            listeners,
            spare: descriptors::spare(),
        })
    }

    /// Returns what ends a [wait](Network::wait) from another thread.
    ///
    /// # Errors
    /// When the kernel refuses a descriptor for it.
    pub(super) fn waker(&self) -> io::Result<Waker> {
        Waker::new(self.poll.registry(), WAKER)
    }

    /// Returns the listeners, in the order of their numbers.
    pub(super) fn listeners(&self) -> &[Listener] {
        &self.listeners
    }

    /// Closes the listeners: the kernel refuses newcomers from now on.
    pub(super) fn stop_listening(&mut self) {
        self.listeners.clear();
    }

    /// Waits until something happens, but no longer than `timeout`.
    ///
    /// # Errors
    /// As `poll` fails; `Interrupted` when a signal came.
    pub(super) fn wait(
        &mut self,
        events: &mut Events,
        timeout: Option<Duration>,
    ) -> io::Result<()> {
        self.poll.poll(events, timeout)
    }

    /// Opens the spare descriptor again, now that one has come free. It may have been lost: another
    /// thread can take the descriptor between the end of one and the opening of the next.
    fn keep_spare(&mut self) {
        if self.spare.is_none() {
            self.spare = descriptors::spare();
        }
    }
}

impl Io for Network {
    type Socket = Socket;

    fn read(&mut self, socket: &mut Socket, buffer: &mut [u8]) -> io::Result<usize> {
        socket.read(buffer)
    }

    fn write(
        &mut self,
        socket: &mut Socket,
        slices: &[IoSlice<'_>],
        then: Then,
    ) -> io::Result<usize> {
        socket.write_vectored(slices, then)
    }

    fn accept(&mut self, listener: usize) -> Accept<Socket> {
        let Some(listener) = self.listeners.get(listener) else {
            return Accept::Nobody;
        };
        match listener.accept() {
            Ok((socket, peer)) => Accept::Connection {
                socket,
                peer,
                is_more: listener.has_more(),
            },
            Err(error) if error.kind() == ErrorKind::WouldBlock => Accept::Nobody,
            Err(error) if listener::is_of_one_connection(&error) => Accept::Lost,
            Err(error) if listener::is_want_of_descriptors(&error) => Accept::NoDescriptor(error),
            Err(error) => Accept::Failed(error),
        }
    }

    /// Accepts a connection with the spare descriptor and resets it: its client knows where it
    /// stands, and the queue of those that wait does not fill.
    fn shed(&mut self, listener: usize) -> Shed {
        let Some(listener) = self.listeners.get(listener) else {
            return Shed::Nobody;
        };
        if self.spare.take().is_none() {
            return Shed::Failed;
        }
        let shed = match listener.accept() {
            Ok((socket, _)) => {
                socket.reset();
                Shed::One
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => Shed::Nobody,
            Err(_) => Shed::Failed,
        };
        self.spare = descriptors::spare();
        shed
    }

    fn watch(&mut self, socket: &mut Socket, id: ConnectionId) -> io::Result<()> {
        // Both from the start: mio is edge-triggered, so an event comes only when something has
        // changed.
        let interest = Interest::READABLE | Interest::WRITABLE;
        // Urgent data, at which reads end. Other systems than Linux do not tell of it.
        #[cfg(any(target_os = "linux", target_os = "android"))]
        let interest = interest | Interest::PRIORITY;
        let token = Token(id.slot as usize);
        self.poll
            .registry()
            .register(socket.source(), token, interest)
    }

    fn discard(&mut self, socket: &mut Socket) -> bool {
        socket.discard()
    }

    fn shut(&mut self, socket: &mut Socket) -> io::Result<()> {
        socket.shut_sending_side()
    }

    fn close(&mut self, socket: Socket, is_read_out: bool) {
        // With bytes unread close(2) would send a reset; a socket read to its FIN saves the look.
        if !is_read_out {
            socket.close();
        } else {
            drop(socket);
        }
        self.keep_spare();
    }

    fn reset(&mut self, socket: Socket) {
        socket.reset();
        self.keep_spare();
    }
}
