//! The table of connections, and the ledger of what they hold: unfinished requests and messages,
//! outboxes, and the frames that outboxes share. Whatever a session holds changes only through this
//! part, which counts it; everything else of a session is its steps' to write.

mod outbox;
mod session;

use std::io::IoSlice;
use std::ops::{Index, IndexMut};
use std::rc::Rc;

use slab::Slab;

use crate::server::connection::{ConnectionId, Peer};
use crate::server::parts::shared_frame::{SharedFrame, SharedFrames};
use crate::time::Instant;
use crate::wire::Endpoint;

use outbox::{Pool, Unoffered};

pub use outbox::SLICES_MAX;
pub(crate) use outbox::{OUTBOX_FIRST_BYTES, SEGMENT_BYTES};
pub(crate) use session::{Open, Ping, Session, State};

/// Every connection, and what all of them hold. Keys are slots.
pub(crate) struct Sessions {
    slots: Slab<Session>,
    next_serial: u32,
    /// Bytes that sessions hold, each for itself.
    held_bytes: usize,
    /// What the outboxes share.
    pool: Pool,
}

impl Sessions {
    /// No connections. An outbox of more than `crowded_bytes` that were not offered counts as
    /// crowded; queues that no outbox needs are kept up to `spare_bytes_max`.
    pub(crate) fn new(crowded_bytes: usize, spare_bytes_max: usize) -> Sessions {
        Sessions {
            slots: Slab::new(),
            next_serial: 0,
            held_bytes: 0,
            pool: Pool::new(crowded_bytes, spare_bytes_max),
        }
    }

    /// A connection was accepted. O(1).
    pub(crate) fn insert(&mut self, peer: Peer, is_proxy: bool, state: State) -> u32 {
        let serial = self.next_serial;
        self.next_serial = serial.wrapping_add(1);
        let session = Session::new(serial, peer, is_proxy, state);
        self.slots.insert(session) as u32
    }

    /// The descriptor of a connection that has ended is gone, and its slot is free. O(1).
    pub(crate) fn remove(&mut self, key: u32) {
        self.slots.remove(key as usize);
    }

    /// Connections there are, those included that have ended and still have a descriptor.
    pub(crate) fn len(&self) -> usize {
        self.slots.len()
    }

    /// Every connection.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u32, &Session)> {
        self.slots
            .iter()
            .map(|(key, session)| (key as u32, session))
    }

    /// The slot's session, if it is still the one that `id` names and has not ended.
    pub(crate) fn key(&self, id: ConnectionId) -> Option<u32> {
        let session = self.slots.get(id.slot as usize)?;
        let is_alive = session.serial == id.serial && !session.is_closed();
        is_alive.then_some(id.slot)
    }

    /// The connection that holds the slot now.
    #[inline]
    pub(crate) fn id(&self, key: u32) -> ConnectionId {
        ConnectionId {
            slot: key,
            serial: self[key].serial,
        }
    }

    /// Bytes of all that is held for peers: by sessions, for sessions, and each shared frame once.
    pub(crate) fn ledger_bytes(&self) -> usize {
        let slots = self.slots.len() * size_of::<Session>();
        self.held_bytes + self.pool.shared_bytes() + slots
    }

    /// The connection goes over to another state. O(1).
    pub(crate) fn set_state(&mut self, key: u32, state: State) {
        self.change(key, |now| *now = state);
    }

    /// Changes the connection's state in its place. O(1).
    pub(crate) fn change<R>(&mut self, key: u32, change: impl FnOnce(&mut State) -> R) -> R {
        let result = change(&mut self.slots[key as usize].state);
        self.count(key);
        result
    }

    /// The connection, if it is an open WebSocket.
    pub(crate) fn open(&self, key: u32) -> Option<&Open> {
        match &self.slots.get(key as usize)?.state {
            State::Open(open) => Some(open),
            _ => None,
        }
    }

    /// The connection, if it is an open WebSocket.
    pub(crate) fn open_mut(&mut self, key: u32) -> Option<&mut Open> {
        match &mut self.slots.get_mut(key as usize)?.state {
            State::Open(open) => Some(open),
            _ => None,
        }
    }

    /// The connection's transport holds so many bytes. O(1).
    pub(crate) fn set_transport_bytes(&mut self, key: u32, bytes: usize) {
        self.slots[key as usize].transport_bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        self.count(key);
    }

    /// Lends the parser of an open WebSocket, which [`Sessions::put_endpoint`] is to give back.
    pub(crate) fn take_endpoint(&mut self, key: u32) -> Option<Endpoint> {
        self.open_mut(key)
            .map(|open| std::mem::take(&mut open.endpoint))
    }

    /// Gives the parser back, if the WebSocket is still open.
    pub(crate) fn put_endpoint(&mut self, key: u32, endpoint: Endpoint) {
        if let Some(open) = self.open_mut(key) {
            open.endpoint = endpoint;
            self.count(key);
        }
    }

    /// Queues what `write` appends for the connection's peer. Returns how many bytes that is.
    pub(crate) fn queue(
        &mut self,
        key: u32,
        now: Instant,
        write: impl FnOnce(&mut Vec<u8>),
    ) -> usize {
        let outbox = &mut self.slots[key as usize].outbox;
        let before = outbox.bytes();
        outbox.push(&mut self.pool, now, write);
        let queued = outbox.bytes() - before;
        self.count(key);
        queued
    }

    /// A frame for many outboxes.
    pub(crate) fn shared_frame(&self, bytes: &[u8]) -> Rc<SharedFrame> {
        self.pool.shared_frame(bytes)
    }

    /// Adds a frame to an outbox that others hold too. Returns `false`, and it is not added, when more
    /// than `bytes_max` of the outbox would have been offered and not taken with it. O(1).
    pub(crate) fn share(
        &mut self,
        key: u32,
        now: Instant,
        frame: Rc<SharedFrame>,
        bytes_max: usize,
    ) -> bool {
        let session = &mut self.slots[key as usize];
        if session.outbox.offered_bytes() + frame.len() > bytes_max {
            return false;
        }
        let grown_bytes = session.outbox.share(&mut self.pool, now, frame);
        session.held_bytes += grown_bytes;
        self.held_bytes += grown_bytes;
        true
    }

    /// The next bytes to write. Returns how many of `slices` are filled.
    pub(crate) fn gather<'a>(&'a self, key: u32, slices: &mut [IoSlice<'a>]) -> usize {
        self[key].outbox.gather(slices)
    }

    /// The socket took `count` bytes of what it was offered; `full` when it takes no more for now.
    pub(crate) fn take(&mut self, key: u32, now: Instant, count: usize, full: bool) {
        let outbox = &mut self.slots[key as usize].outbox;
        outbox.take(&mut self.pool, now, count, full);
        self.count(key);
    }

    /// What waits is dropped, but for the frame that is under way.
    pub(crate) fn cut(&mut self, key: u32) {
        self.slots[key as usize].outbox.cut(&mut self.pool);
        self.count(key);
    }

    /// The connection has ended: it holds nothing any longer, and its slot is still its own. Returns
    /// the state in which it was.
    pub(crate) fn close(&mut self, key: u32) -> State {
        self.slots[key as usize].outbox.clear(&mut self.pool);
        self.change(key, |state| std::mem::replace(state, State::Closed))
    }

    /// Frees the queues that no outbox needs at the moment.
    pub(crate) fn free_spare(&mut self) {
        self.pool.free_spare();
    }

    /// What outboxes would hold more that took every queue kept for them, in bytes.
    pub(crate) fn spare_bytes(&self) -> usize {
        self.pool.spare_bytes()
    }

    /// Bytes that wait and were not offered to their sockets.
    pub(crate) fn unoffered_bytes(&self) -> usize {
        self.pool.unoffered_bytes()
    }

    /// Shared frames that wait and were not offered to their sockets, counted in each outbox.
    pub(crate) fn unoffered_frames(&self) -> usize {
        self.pool.unoffered_shared()
    }

    /// True when so much waits in some outbox without having been offered that more could fill it.
    pub(crate) fn has_crowded(&self) -> bool {
        self.pool.has_crowded()
    }

    /// Counts everything again; `shared` are the shared frames that the broadcasts hold. O(all).
    ///
    /// # Errors
    /// What does not add up.
    pub(crate) fn audit(&self, mut shared: SharedFrames) -> Result<(), String> {
        let (mut held_bytes, mut unoffered_bytes, mut unoffered_frames) = (0, 0, 0);
        let mut has_crowded = false;
        for (key, session) in self.iter() {
            let counted = session.count_held();
            if session.held_bytes != counted {
                let said = session.held_bytes;
                return Err(format!(
                    "connection {key} holds {counted}, and {said} is said"
                ));
            }
            held_bytes += counted;
            let Unoffered {
                bytes,
                shared: frames,
                is_crowded,
            } = session.outbox.audit(&self.pool, &mut shared)?;
            unoffered_bytes += bytes;
            unoffered_frames += frames;
            has_crowded |= is_crowded;
        }
        let found = (
            (held_bytes, shared.values().sum()),
            (unoffered_bytes, unoffered_frames, has_crowded),
        );
        let said = (
            (self.held_bytes, self.pool.shared_bytes()),
            (
                self.unoffered_bytes(),
                self.unoffered_frames(),
                self.has_crowded(),
            ),
        );
        match said == found {
            true => Ok(()),
            false => Err(format!(
                "held, shared, unoffered: {said:?} is said, {found:?} found"
            )),
        }
    }

    /// Brings the ledger up to what the session holds now.
    #[inline]
    fn count(&mut self, key: u32) {
        let session = &mut self.slots[key as usize];
        let held_bytes = session.count_held();
        self.held_bytes = self.held_bytes + held_bytes - session.held_bytes;
        session.held_bytes = held_bytes;
    }
}

impl Index<u32> for Sessions {
    type Output = Session;

    fn index(&self, key: u32) -> &Session {
        &self.slots[key as usize]
    }
}

impl IndexMut<u32> for Sessions {
    fn index_mut(&mut self, key: u32) -> &mut Session {
        &mut self.slots[key as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Instant = Instant::from_micros(5);

    fn two() -> Sessions {
        let mut sessions = Sessions::new(512, usize::MAX);
        for _ in 0..2 {
            let state = State::Answering { by: NOW };
            sessions.insert(Peer::on_unix_socket(None), false, state);
        }
        sessions
    }

    #[test]
    fn a_connection_counts_in_the_ledger_though_it_holds_nothing() {
        assert_eq!(two().ledger_bytes(), 2 * size_of::<Session>());
    }

    #[test]
    fn one_crowded_outbox_is_known_among_others() {
        let mut sessions = two();
        for (bytes, is_crowded) in [(512, false), (1, true)] {
            let frame = sessions.shared_frame(&vec![b'x'; bytes]);
            assert!(sessions.share(0, NOW, frame, usize::MAX));
            assert_eq!(sessions.has_crowded(), is_crowded);
            assert_eq!(sessions.audit(SharedFrames::new()), Ok(()));
        }
    }

    #[test]
    fn a_queue_that_is_kept_for_the_next_outbox_is_known_until_it_is_freed() {
        let mut sessions = two();
        let queued = sessions.queue(0, NOW, |out| out.extend(b"answer"));
        let held_bytes = sessions[0].outbox().held_bytes();
        sessions.take(0, NOW, queued, false);
        assert_eq!(sessions[0].outbox().held_bytes(), 0);
        assert_eq!(sessions.spare_bytes(), held_bytes);
        sessions.free_spare();
        assert_eq!(sessions.spare_bytes(), 0);
    }

    #[test]
    fn an_audit_finds_a_count_that_is_wrong() {
        let after = |change: fn(&mut Sessions)| {
            let mut sessions = two();
            change(&mut sessions);
            sessions.audit(SharedFrames::new())
        };
        assert_eq!(after(|_| {}), Ok(()));
        assert!(after(|sessions| sessions.held_bytes += 1).is_err());
        assert!(after(|sessions| sessions.slots[1].held_bytes += 1).is_err());
    }
}
