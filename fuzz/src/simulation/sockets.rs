//! The network of the simulator: what has arrived, what is taken, and how both go wrong.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io::{self, ErrorKind, IoSlice};
use std::rc::Rc;

use framegate::internals::server::{ConnectionId, Ending, Peer};
use framegate::internals::turn::{Accept, Io, Shed, Then};

use super::choice::Choice;

/// Listeners that there are.
pub(super) const LISTENERS: usize = 2;

/// Bytes that are dropped at once of a peer of whom nothing more is read: more than arrive at once.
pub(super) const DISCARD_BYTES_MAX: usize = 8_192;

/// How many bytes a socket takes at the most before it takes less than it is offered.
const SHORT_AFTER_BYTES_MAX: u32 = 4_000;

/// One peer in so many sends urgent data.
const URGENT_IN: u32 = 16;
/// How many bytes such a peer sends at the most between two pieces of urgent data.
const URGENT_BYTES_MAX: u32 = 2_000;
/// One peer in so many sends its FIN as soon as what it said waits to be decided on.
const LEAVES_EARLY_IN: u32 = 8;

/// A socket, as both ends see it.
pub(super) struct End {
    pub(super) id: Option<ConnectionId>,
    /// What has arrived and is not read.
    pub(super) arrived: Vec<u8>,
    /// Bytes that were read, and that the model does not know of yet.
    pub(super) read_bytes: usize,
    /// True when the last read showed that it was the last: it took all that there was, and the FIN
    /// had come by then. Where it cannot show that, the next one does.
    pub(super) is_read_out: bool,
    /// After how many more bytes a read stops short, at urgent data, though more has arrived.
    urgent_after_bytes: usize,
    /// True once urgent data has arrived: a short read is no sign any longer that nothing is left.
    pub(super) has_urgent: bool,
    urgency: Choice<'static>,
    /// Of a peer that sends its FIN as soon as what it said waits to be decided on: how many bytes it
    /// keeps back, to say them with its FIN.
    pub(super) kept_back: Option<usize>,
    /// True once the peer's FIN has arrived, after all of `arrived`.
    pub(super) has_finished: bool,
    /// True once it was reset: no call of it succeeds.
    pub(super) has_failed: bool,
    /// True when it will have been reset by the time it is shut.
    pub(super) fails_to_shut: bool,
    /// Bytes it takes before it is full.
    pub(super) room: usize,
    /// True once it took less than it was offered, until it says that it takes bytes again.
    is_full: bool,
    /// After how many more bytes it takes less than it is offered. By bytes, not by writes, so that it
    /// is the same however they are offered.
    short_after_bytes: usize,
    shortness: Choice<'static>,
}

pub(super) type Socket = Rc<RefCell<End>>;

/// What a socket was asked, for the model to judge.
pub(super) enum Asked {
    /// Bytes were offered, and these taken.
    Wrote {
        id: ConnectionId,
        offered: usize,
        taken: Vec<u8>,
    },
    Ended(ConnectionId, Ending),
}

/// Why a call of accept brings nobody, though somebody waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// No descriptor is left but the spare one, with which one is shed.
    NoDescriptor,
    /// Nor is there a spare one.
    NoSpare,
    NoMemory,
    /// Another one, who has left again.
    Lost,
    /// The socket of the one who is accepted cannot be watched.
    NoWatch,
}

/// All sockets.
#[derive(Default)]
pub(super) struct Sockets {
    /// Who waits to be accepted, at each listener.
    pub(super) coming: [VecDeque<Peer>; LISTENERS],
    /// How the next calls of accept fail.
    pub(super) failures: VecDeque<Failure>,
    has_no_spare: bool,
    is_not_to_watch: bool,
    /// The listener from which somebody was accepted last.
    pub(super) accepted_from: usize,
    /// The socket that was accepted last.
    pub(super) accepted: Option<Socket>,
    pub(super) asked: VecDeque<Asked>,
    /// True once sockets take all that fits them.
    pub(super) is_kind: bool,
}

/// How many bytes there are between two pieces of urgent data.
fn urgent_distance(urgency: &mut Choice<'static>) -> usize {
    urgency.below(URGENT_BYTES_MAX) as usize + 1
}

impl End {
    fn new(number: u64) -> End {
        let mut shortness = Choice::Seed(number);
        // A source of its own, so that runs without these kinds of peers stay as they were.
        let mut urgency = Choice::Seed(!number);
        let urgent_after_bytes = match urgency.below(URGENT_IN) {
            0 => urgent_distance(&mut urgency),
            _ => usize::MAX,
        };
        let leaves_early = urgency.below(LEAVES_EARLY_IN) == 0;
        End {
            id: None,
            arrived: Vec::new(),
            read_bytes: 0,
            is_read_out: false,
            urgent_after_bytes,
            has_urgent: false,
            kept_back: leaves_early.then(|| urgency.pick(&[0, 1, 20])),
            urgency,
            has_finished: false,
            has_failed: false,
            fails_to_shut: false,
            room: usize::MAX / 2,
            is_full: false,
            short_after_bytes: shortness.below(SHORT_AFTER_BYTES_MAX) as usize,
            shortness,
        }
    }

    /// More bytes arrive, and perhaps urgent data between them.
    pub(super) fn receive(&mut self, bytes: impl IntoIterator<Item = u8>) {
        self.arrived.extend(bytes);
        self.has_urgent |= self.arrived.len() > self.urgent_after_bytes;
    }

    /// Takes bytes that arrived, up to the next urgent data; the next read goes on after that.
    fn take(&mut self, buffer: &mut [u8]) -> usize {
        if self.urgent_after_bytes == 0 {
            self.urgent_after_bytes = urgent_distance(&mut self.urgency);
        }
        let count = buffer.len().min(self.arrived.len());
        let count = count.min(self.urgent_after_bytes);
        buffer[..count].copy_from_slice(&self.arrived[..count]);
        self.arrived.drain(..count);
        self.urgent_after_bytes -= count;
        self.read_bytes += count;
        self.is_read_out = self.has_finished && !self.has_urgent && count < buffer.len();
        count
    }

    /// Drops what is unread, up to a bound. Returns whether nothing is left.
    fn discard(&mut self) -> bool {
        let count = self.arrived.len().min(DISCARD_BYTES_MAX);
        self.arrived.drain(..count);
        self.arrived.is_empty()
    }

    /// It takes bytes again, if it has room. Returns whether it says so.
    pub(super) fn open_up(&mut self) -> bool {
        if self.room == 0 {
            return false;
        }
        self.is_full = false;
        if self.short_after_bytes == 0 {
            self.short_after_bytes = self.shortness.below(SHORT_AFTER_BYTES_MAX) as usize + 1;
        }
        true
    }

    fn takes(&self, offered: usize, is_kind: bool) -> usize {
        let short_after_bytes = match is_kind {
            true => usize::MAX,
            false => self.short_after_bytes,
        };
        match self.is_full {
            true => 0,
            false => offered.min(self.room).min(short_after_bytes),
        }
    }
}

impl Io for Sockets {
    type Socket = Socket;

    fn read(&mut self, socket: &mut Socket, buffer: &mut [u8]) -> io::Result<usize> {
        let mut end = socket.borrow_mut();
        if end.has_failed {
            return Err(ErrorKind::ConnectionReset.into());
        }
        match end.take(buffer) {
            0 if !end.has_finished => Err(ErrorKind::WouldBlock.into()),
            count => Ok(count),
        }
    }

    fn write(&mut self, socket: &mut Socket, slices: &[IoSlice<'_>], _: Then) -> io::Result<usize> {
        let mut end = socket.borrow_mut();
        let offered = slices.iter().map(|slice| slice.len()).sum();
        if end.has_failed {
            return Err(ErrorKind::BrokenPipe.into());
        }
        let count = end.takes(offered, self.is_kind);
        let mut taken = Vec::with_capacity(count);
        for slice in slices {
            let left = count - taken.len();
            taken.extend_from_slice(&slice[..left.min(slice.len())]);
        }
        end.room -= count;
        end.short_after_bytes = end.short_after_bytes.saturating_sub(count);
        end.is_full |= count < offered;
        if let Some(id) = end.id {
            let wrote = Asked::Wrote { id, offered, taken };
            self.asked.push_back(wrote);
        }
        match count {
            0 => Err(ErrorKind::WouldBlock.into()),
            _ => Ok(count),
        }
    }

    fn accept(&mut self, listener: usize) -> Accept<Socket> {
        let failure = self.failures.pop_front();
        self.has_no_spare = failure == Some(Failure::NoSpare);
        self.is_not_to_watch = failure == Some(Failure::NoWatch);
        match failure {
            Some(Failure::NoDescriptor | Failure::NoSpare) => {
                return Accept::NoDescriptor(ErrorKind::Other.into());
            }
            Some(Failure::NoMemory) => return Accept::Failed(ErrorKind::OutOfMemory.into()),
            Some(Failure::Lost) => return Accept::Lost,
            Some(Failure::NoWatch) | None => {}
        }
        let waiting = &mut self.coming[listener];
        let Some(peer) = waiting.pop_front() else {
            return Accept::Nobody;
        };
        self.accepted_from = listener;
        Accept::Connection {
            socket: Rc::new(RefCell::new(End::new(0))),
            peer,
            is_more: !waiting.is_empty(),
        }
    }

    fn shed(&mut self, listener: usize) -> Shed {
        if self.has_no_spare {
            return Shed::Failed;
        }
        match self.coming[listener].pop_front() {
            Some(_) => Shed::One,
            None => Shed::Nobody,
        }
    }

    fn watch(&mut self, socket: &mut Socket, id: ConnectionId) -> io::Result<()> {
        *socket.borrow_mut() = End {
            id: Some(id),
            ..End::new(u64::from(id.serial))
        };
        self.accepted = Some(Rc::clone(socket));
        socket.borrow_mut().has_failed = self.is_not_to_watch;
        match self.is_not_to_watch {
            true => Err(ErrorKind::OutOfMemory.into()),
            false => Ok(()),
        }
    }

    fn discard(&mut self, socket: &mut Socket) -> bool {
        socket.borrow_mut().discard()
    }

    fn shut(&mut self, socket: &mut Socket) -> io::Result<()> {
        let mut end = socket.borrow_mut();
        end.has_failed |= end.fails_to_shut;
        if end.has_failed {
            return Err(ErrorKind::NotConnected.into());
        }
        let id = end.id;
        self.asked
            .extend(id.map(|id| Asked::Ended(id, Ending::Fin)));
        Ok(())
    }

    fn close(&mut self, socket: Socket, is_read_out: bool) {
        let mut end = socket.borrow_mut();
        let is_drained = match is_read_out {
            true => end.arrived.is_empty(),
            false => end.discard(),
        };
        // RFC 2525 §2.17: a reset follows when something is unread.
        let ending = match is_drained {
            true => Ending::Close,
            false => Ending::Reset,
        };
        self.asked.extend(end.id.map(|id| Asked::Ended(id, ending)));
    }

    fn reset(&mut self, socket: Socket) {
        let id = socket.borrow().id;
        self.asked
            .extend(id.map(|id| Asked::Ended(id, Ending::Reset)));
    }
}
