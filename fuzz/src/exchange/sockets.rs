//! A network in memory in which nothing goes wrong: all that is sent arrives, and every socket whose peer
//! hears takes what it is offered.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io::{self, ErrorKind, IoSlice};
use std::rc::Rc;

use framegate::internals::server::{ConnectionId, Peer};
use framegate::internals::turn::{Accept, Io, Shed, Then};

/// A connection, as both ends see it.
#[derive(Default)]
pub(super) struct End {
    /// Its id, once the server has accepted it.
    pub(super) id: Option<ConnectionId>,
    /// Sent by the peer, and not yet read.
    pub(super) sent: VecDeque<u8>,
    /// True once the peer's FIN was sent, after all of `sent`.
    pub(super) has_finished: bool,
    /// True once the peer has reset it.
    pub(super) is_reset: bool,
    /// True while the peer takes nothing.
    pub(super) is_deaf: bool,
    /// Written by the server, and not yet heard.
    pub(super) heard: Vec<u8>,
    /// What became of the server's side, once anything did.
    pub(super) end: Option<&'static str>,
}

impl End {
    /// True once the server's side is closed.
    pub(super) fn is_gone(&self) -> bool {
        matches!(self.end, Some("closed" | "reset"))
    }
}

pub(super) type Socket = Rc<RefCell<End>>;

/// The listener, and who waits at it.
#[derive(Default)]
pub(super) struct Sockets {
    pub(super) coming: VecDeque<(Socket, Peer)>,
}

impl Io for Sockets {
    type Socket = Socket;

    fn read(&mut self, socket: &mut Socket, buffer: &mut [u8]) -> io::Result<usize> {
        let mut end = socket.borrow_mut();
        if end.is_reset {
            return Err(ErrorKind::ConnectionReset.into());
        }
        let count = buffer.len().min(end.sent.len());
        if count == 0 && !end.has_finished {
            return Err(ErrorKind::WouldBlock.into());
        }
        for (to, from) in buffer.iter_mut().zip(end.sent.drain(..count)) {
            *to = from;
        }
        Ok(count)
    }

    fn write(&mut self, socket: &mut Socket, slices: &[IoSlice<'_>], _: Then) -> io::Result<usize> {
        let mut end = socket.borrow_mut();
        if end.is_reset {
            return Err(ErrorKind::BrokenPipe.into());
        }
        if end.is_deaf {
            return Err(ErrorKind::WouldBlock.into());
        }
        let before = end.heard.len();
        for slice in slices {
            end.heard.extend_from_slice(slice);
        }
        Ok(end.heard.len() - before)
    }

    fn accept(&mut self, _: usize) -> Accept<Socket> {
        match self.coming.pop_front() {
            Some((socket, peer)) => Accept::Connection {
                socket,
                peer,
                is_more: !self.coming.is_empty(),
            },
            None => Accept::Nobody,
        }
    }

    fn shed(&mut self, _: usize) -> Shed {
        match self.coming.pop_front() {
            Some((socket, _)) => {
                self.reset(socket);
                Shed::One
            }
            None => Shed::Nobody,
        }
    }

    fn watch(&mut self, socket: &mut Socket, id: ConnectionId) -> io::Result<()> {
        socket.borrow_mut().id = Some(id);
        Ok(())
    }

    fn discard(&mut self, socket: &mut Socket) -> bool {
        socket.borrow_mut().sent.clear();
        true
    }

    fn shut(&mut self, socket: &mut Socket) -> io::Result<()> {
        let mut end = socket.borrow_mut();
        end.end = Some("finished");
        match end.is_reset {
            true => Err(ErrorKind::NotConnected.into()),
            false => Ok(()),
        }
    }

    fn close(&mut self, socket: Socket, _: bool) {
        socket.borrow_mut().end = Some("closed");
    }

    fn reset(&mut self, socket: Socket) {
        socket.borrow_mut().end = Some("reset");
    }
}
