//! The kernel's side of a turn: the event queue, listeners and sockets.

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

pub(super) const WAKER: Token = Token(usize::MAX);
pub(super) const SIGNALS: Token = Token(usize::MAX - 1);
/// Listeners have the tokens from here down, connections those from 0 up.
const LISTENERS: usize = usize::MAX - 2;
/// More than anybody listens on.
const LISTENERS_MAX: usize = 1 << 16;

/// The listener that a token names.
pub(super) fn listener_of(Token(token): Token) -> Option<usize> {
    LISTENERS
        .checked_sub(token)
        .filter(|index| *index < LISTENERS_MAX)
}

pub(super) struct Network {
    poll: Poll,
    listeners: Vec<Listener>,
    /// A descriptor to give up when there is none left.
    spare: Option<OwnedFd>,
}

impl Network {
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

    /// Ends a [wait](Network::wait) from another thread.
    pub(super) fn waker(&self) -> io::Result<Waker> {
        Waker::new(self.poll.registry(), WAKER)
    }

    pub(super) fn listeners(&self) -> &[Listener] {
        &self.listeners
    }

    pub(super) fn stop_listening(&mut self) {
        self.listeners.clear();
    }

    /// Waits until something happens, or so long.
    pub(super) fn wait(
        &mut self,
        events: &mut Events,
        timeout: Option<Duration>,
    ) -> io::Result<()> {
        self.poll.poll(events, timeout)
    }

    /// A descriptor has come free: the spare one is lost when somebody else was faster to take it.
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

    /// Gives up the spare descriptor for long enough to accept a connection.
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
        let interest = Interest::READABLE | Interest::WRITABLE;
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
