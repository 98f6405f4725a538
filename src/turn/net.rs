//! A network in memory, which fails where it is told to, and notes what it was asked.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, IoSlice};
use std::net::{IpAddr, Ipv4Addr};

use crate::server::{ConnectionId, Peer};
use crate::turn::{Accept, Io, Shed, Then};

/// One call of a turn, and whose socket it was about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Call {
    Read(usize, usize),
    Write(usize, usize),
    Accept,
    Shed,
    Discard(usize),
    Shut(usize),
    Close(usize),
    Reset(usize),
}

/// A peer's end of a connection.
#[derive(Default)]
pub(crate) struct End {
    pub(crate) id: Option<ConnectionId>,
    /// Sent, and not yet read by the server.
    pub(crate) sent: VecDeque<u8>,
    /// True once it sent its FIN, after all of `sent`.
    pub(crate) has_finished: bool,
    pub(crate) heard: Vec<u8>,
    /// How much more it takes before its socket is full.
    pub(crate) room: usize,
    /// How each read and write of its socket fails, if it has failed.
    pub(crate) failure: Option<ErrorKind>,
    /// What the last write said would follow.
    pub(crate) announced: Option<Then>,
    /// True once our FIN was sent.
    pub(crate) is_shut: bool,
    /// True once the server has closed its socket.
    pub(crate) is_gone: bool,
    /// True when that was by a reset.
    pub(crate) is_reset: bool,
    peer: Option<Peer>,
}

#[derive(Default)]
pub(crate) struct Net {
    pub(crate) ends: Vec<End>,
    /// Connections that wait to be accepted, the first first.
    pub(crate) waiting: VecDeque<usize>,
    /// What goes wrong with the next ones that are accepted, the next first.
    pub(crate) failures: VecDeque<Failure>,
    /// True while there is a spare descriptor to shed with.
    pub(crate) has_spare: bool,
    /// True when no socket can be watched.
    pub(crate) is_watch_broken: bool,
    pub(crate) calls: Vec<Call>,
}

/// How accept(2) fails.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Failure {
    Lost,
    NoDescriptor,
    NoMemory,
}

impl Net {
    /// A client comes from an address of its own, and waits to be accepted. Returns its number.
    pub(crate) fn connect(&mut self) -> usize {
        let address = Ipv4Addr::from(0x0A00_0001 + self.ends.len() as u32);
        self.connect_from(Some(IpAddr::V4(address)))
    }

    /// A client comes from that address, or by a Unix socket.
    pub(crate) fn connect_from(&mut self, address: Option<IpAddr>) -> usize {
        let peer = Peer {
            address,
            port: 40_000,
            user: None,
        };
        self.ends.push(End {
            room: usize::MAX,
            peer: Some(peer),
            ..End::default()
        });
        self.waiting.push_back(self.ends.len() - 1);
        self.ends.len() - 1
    }

    /// Returns the calls since this was last asked.
    pub(crate) fn take_calls(&mut self) -> Vec<Call> {
        std::mem::take(&mut self.calls)
    }

    /// Counts the calls that `of` picks.
    pub(crate) fn count(&self, of: impl Fn(&Call) -> bool) -> usize {
        self.calls.iter().filter(|call| of(call)).count()
    }
}

impl Io for Net {
    type Socket = usize;

    fn read(&mut self, socket: &mut usize, buffer: &mut [u8]) -> io::Result<usize> {
        // recv(2) into no room returns 0, which reads as a FIN.
        assert!(!buffer.is_empty(), "a read has room");
        let end = &mut self.ends[*socket];
        let count = buffer.len().min(end.sent.len());
        self.calls.push(Call::Read(*socket, count));
        if let Some(failure) = end.failure {
            return Err(failure.into());
        }
        if count == 0 && !end.has_finished {
            return Err(ErrorKind::WouldBlock.into());
        }
        for (place, byte) in buffer.iter_mut().zip(end.sent.drain(..count)) {
            *place = byte;
        }
        Ok(count)
    }

    fn write(
        &mut self,
        socket: &mut usize,
        slices: &[IoSlice<'_>],
        then: Then,
    ) -> io::Result<usize> {
        let end = &mut self.ends[*socket];
        end.announced = Some(then);
        let bytes: Vec<u8> = slices
            .iter()
            .flat_map(|slice| slice.iter().copied())
            .collect();
        let count = bytes.len().min(end.room);
        self.calls.push(Call::Write(*socket, count));
        assert!(!end.is_shut, "nothing is written after our FIN");
        if let Some(failure) = end.failure {
            return Err(failure.into());
        }
        if count == 0 {
            return Err(ErrorKind::WouldBlock.into());
        }
        end.room -= count;
        end.heard.extend_from_slice(&bytes[..count]);
        Ok(count)
    }

    fn accept(&mut self, _: usize) -> Accept<usize> {
        self.calls.push(Call::Accept);
        match self.failures.pop_front() {
            Some(Failure::Lost) => return Accept::Lost,
            Some(Failure::NoDescriptor) => {
                return Accept::NoDescriptor(io::Error::from_raw_os_error(24));
            }
            Some(Failure::NoMemory) => return Accept::Failed(ErrorKind::OutOfMemory.into()),
            None => {}
        }
        let Some(socket) = self.waiting.pop_front() else {
            return Accept::Nobody;
        };
        let peer = self.ends[socket].peer.expect("who comes is somebody");
        Accept::Connection {
            socket,
            peer,
            is_more: !self.waiting.is_empty(),
        }
    }

    fn shed(&mut self, _: usize) -> Shed {
        self.calls.push(Call::Shed);
        if !self.has_spare {
            return Shed::Failed;
        }
        let Some(socket) = self.waiting.pop_front() else {
            return Shed::Nobody;
        };
        self.ends[socket].is_gone = true;
        Shed::One
    }

    fn watch(&mut self, socket: &mut usize, id: ConnectionId) -> io::Result<()> {
        self.ends[*socket].id = Some(id);
        match self.is_watch_broken {
            true => Err(ErrorKind::OutOfMemory.into()),
            false => Ok(()),
        }
    }

    fn discard(&mut self, socket: &mut usize) -> bool {
        self.calls.push(Call::Discard(*socket));
        self.ends[*socket].sent.clear();
        true
    }

    fn shut(&mut self, socket: &mut usize) -> io::Result<()> {
        self.calls.push(Call::Shut(*socket));
        self.ends[*socket].is_shut = true;
        match self.ends[*socket].failure {
            Some(failure) => Err(failure.into()),
            None => Ok(()),
        }
    }

    fn close(&mut self, socket: usize, _: bool) {
        self.calls.push(Call::Close(socket));
        assert!(!self.ends[socket].is_gone, "a socket is closed once");
        self.ends[socket].is_gone = true;
    }

    fn reset(&mut self, socket: usize) {
        self.calls.push(Call::Reset(socket));
        assert!(!self.ends[socket].is_gone, "a socket is closed once");
        self.ends[socket].is_gone = true;
        self.ends[socket].is_reset = true;
    }
}
