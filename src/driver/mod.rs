//! All the I/O: the mio loop, listeners, sockets, clocks, signals, the helper threads, the
//! log.
//! Refuses to know what bytes mean.
//!
//! A turn has a fixed order: read, decide, commit, write, look ahead, close. The core decides
//! while bytes are read into the one scratch buffer that serves every connection; what it decided
//! is written when all have been read, so that the answers of a turn leave together; descriptors
//! go last.

mod accept;
mod clock;
mod descriptors;
mod hasher;
mod lines;
mod listener;
mod log_writer;
pub mod logger;
mod recording;
mod signals;
mod socket;
mod write;
mod writer;

use std::collections::VecDeque;
use std::fmt;
use std::io::{self, ErrorKind};
use std::ops::Range;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use mio::event::Event;
use mio::{Events, Interest, Poll, Token, Waker};
use zeroize::Zeroizing;

use crate::app::users::UserWriter;
use crate::limits::{TURN_MEMBER_BYTES_MAX, TURN_PENDING_BYTES_MAX};
use crate::record::Recorded;
use crate::server::{ConnectionId, Reading, StoreNews};
use crate::time::{Instant, Now};

use clock::Clock;
use hasher::Hasher;
use lines::{Line, SummaryLine, level_of, target_of};
use signals::Signals;
use socket::Socket;
use writer::StoreWriter;

pub use descriptors::{address_space_limit, connections_possible};
pub use listener::{ListenError, Listener};
pub use recording::RecordingFile;
pub use signals::{HeldSignal, HeldSignals, outlive_file_size_limit};

/// Bytes that one read of a member brings at the most, and room in the read buffer that is worth such
/// a read: in a turn there is room for several, so that one who sends much does not have it alone.
const MEMBER_READ_BYTES_MAX: usize = 16 * 1024;
/// Reads from connections that are not logged in, in one turn.
const PENDING_READS_MAX: usize = 8;
/// Bytes that one of them brings at the most.
const PENDING_READ_BYTES_MAX: usize = 4 * 1024;
/// Room in the read buffer that is worth such a read.
const PENDING_READ_BYTES_MIN: usize = 1024;
/// Events taken from the kernel in one turn. Few enough that the sockets which are read are still in
/// the processor's cache when they are written: with 1,024, a round trip took 3 % more.
const EVENTS_MAX: usize = 64;
/// How long the last connections may take once the server is to stop.
const STOP_TIMEOUT: Duration = Duration::from_secs(4);

/// The stack of a helper thread: more than SQLite and Argon2 need, and little beside an address
/// space that is limited.
const HELPER_STACK_BYTES: usize = 256 * 1024;

const WAKER: Token = Token(usize::MAX);
const SIGNALS: Token = Token(usize::MAX - 1);
/// Listeners have the tokens from here down, connections those from 0 up.
const LISTENERS: usize = usize::MAX - 2;

/// Serves until a signal says to stop.
///
/// # Errors
/// When the kernel refuses what the loop cannot do without.
pub fn run(
    server: Recorded,
    store: Box<dyn UserWriter>,
    listeners: Vec<Listener>,
) -> Result<(), DriverError> {
    let mut driver = Driver::new(server, store, listeners)?;
    driver.run()?;
    driver.server.end();
    log::info!("stopped");
    Ok(())
}

/// The loop cannot go on.
#[derive(Debug)]
pub struct DriverError {
    doing: &'static str,
    error: io::Error,
}

impl fmt::Display for DriverError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot {}: {}", self.doing, self.error)
    }
}

impl std::error::Error for DriverError {}

fn failed(doing: &'static str) -> impl FnOnce(io::Error) -> DriverError {
    move |error| DriverError { doing, error }
}

struct Driver {
    server: Recorded,
    poll: Poll,
    clock: Clock,
    signals: Signals,
    hasher: Hasher,
    writer: StoreWriter,
    listeners: Vec<Listener>,
    /// A descriptor to give up when there is none left.
    spare: Option<OwnedFd>,
    /// When a failure to accept was last logged.
    accept_logged_at: Option<Instant>,
    /// When accepting is to be tried again after it failed for want of descriptors or memory.
    accept_retry_at: Option<Instant>,
    /// By slot; `None` exactly where the core has no connection.
    connections: Vec<Option<Connection>>,
    /// Connections that may have more to read: of members, and of those not logged in. Each is in one of
    /// them, once.
    ready_members: VecDeque<ConnectionId>,
    ready_pending: VecDeque<ConnectionId>,
    scratch: Zeroizing<Box<[u8]>>,
    /// What lies in `scratch` and is not handed on yet, at most `EVENTS_MAX` and
    /// `PENDING_READS_MAX`.
    arrivals: VecDeque<Arrival>,
    /// When to give up on the last connections, once told to stop.
    stop_by: Option<Instant>,
}

struct Connection {
    id: ConnectionId,
    socket: Socket,
    /// True exactly when it is in `ready`.
    is_ready: bool,
    /// True once an event said that the peer's FIN has arrived: perhaps after bytes that are unread.
    peer_finished: bool,
    /// True once it was read to the peer's FIN: nothing is unread, nor will be.
    is_read_out: bool,
    /// True once the core wants nothing more of it.
    is_over: bool,
}

/// What one read brought.
struct Arrival {
    id: ConnectionId,
    /// Where in the scratch buffer its bytes begin.
    start: usize,
    /// How many they are.
    result: io::Result<usize>,
    /// True when there were no more.
    is_drained: bool,
}

impl Driver {
    fn new(
        server: Recorded,
        store: Box<dyn UserWriter>,
        mut listeners: Vec<Listener>,
    ) -> Result<Driver, DriverError> {
        let poll = Poll::new().map_err(failed("create the event queue"))?;
        let registry = poll.registry();
        let waker = Waker::new(registry, WAKER).map_err(failed("create the waker"))?;
        let waker = Arc::new(waker);
        let mut signals = Signals::new().map_err(failed("listen for signals"))?;
        registry
            .register(signals.source(), SIGNALS, Interest::READABLE)
            .map_err(failed("listen for signals"))?;
        for (index, listener) in listeners.iter_mut().enumerate() {
            registry
                .register(
                    listener.source(),
                    Token(LISTENERS - index),
                    Interest::READABLE,
                )
                .map_err(failed("watch a listener"))?;
        }
        Ok(Driver {
            server,
            poll,
            clock: Clock::start(),
            signals,
            hasher: Hasher::start(Arc::clone(&waker)).map_err(failed("start a helper thread"))?,
            writer: StoreWriter::start(store, waker).map_err(failed("start a helper thread"))?,
            listeners,
            spare: descriptors::spare(),
            accept_logged_at: None,
            accept_retry_at: None,
            connections: Vec::new(),
            ready_members: VecDeque::new(),
            ready_pending: VecDeque::new(),
            scratch: Zeroizing::new(
                vec![0; TURN_MEMBER_BYTES_MAX + TURN_PENDING_BYTES_MAX].into_boxed_slice(),
            ),
            arrivals: VecDeque::new(),
            stop_by: None,
        })
    }

    fn run(&mut self) -> Result<(), DriverError> {
        let mut events = Events::with_capacity(EVENTS_MAX);
        for listener in &self.listeners {
            log::info!("listening on {listener}");
        }
        let mut now = self.clock.now();
        loop {
            match self.poll.poll(&mut events, self.timeout(now)) {
                // `poll` hands EINTR on; a signal's byte is in its pipe.
                Err(error) if error.kind() == ErrorKind::Interrupted => events.clear(),
                Err(error) => return Err(failed("wait for events")(error)),
                Ok(()) => {}
            }
            now = self.clock.now();
            for event in &events {
                self.take(now, event);
            }
            self.turn(now);
            if self.is_done(now) {
                return Ok(());
            }
        }
    }

    /// Read, decide, commit, write, look ahead, close.
    fn turn(&mut self, now: Now) {
        self.read(now);
        self.accept(now);
        self.server.tick(now);
        self.hand_out_jobs();
        self.write(now);
        self.server.look_ahead(now);
        self.close(now);
        self.log_reports(now);
    }

    /// How long the next poll may wait.
    fn timeout(&self, now: Now) -> Option<Duration> {
        let accepts_wait =
            self.accept_retry_at.is_none() && self.listeners.iter().any(|l| l.is_ready);
        let reads_wait = !self.arrivals.is_empty()
            || !self.ready_members.is_empty()
            || !self.ready_pending.is_empty();
        if reads_wait || accepts_wait || self.server.has_flushes() {
            return Some(Duration::ZERO);
        }
        [
            self.server.next_deadline(),
            self.accept_retry_at,
            self.stop_by,
        ]
        .into_iter()
        .flatten()
        .min()
        .map(|at| at.since(now.monotonic))
    }

    fn is_done(&self, now: Now) -> bool {
        self.stop_by
            .is_some_and(|by| self.server.connections() == 0 || by <= now.monotonic)
    }

    /// Sorts one event to where its work waits.
    fn take(&mut self, now: Now, event: &Event) {
        match event.token() {
            WAKER => {
                while let Some(outcome) = self.hasher.next_outcome() {
                    self.server.hashed(now, &outcome);
                }
                while let Some(outcome) = self.writer.next_outcome() {
                    self.server.kept(now, &outcome);
                }
            }
            SIGNALS => self.take_signals(now),
            Token(token) => match LISTENERS.checked_sub(token) {
                Some(index) if index < self.listeners.len() => {
                    self.listeners[index].is_ready = true
                }
                _ => self.take_connection(now, token, event),
            },
        }
    }

    fn take_signals(&mut self, now: Now) {
        if !self.signals.take() {
            return;
        }
        if self.stop_by.is_some() {
            // Asked again: at once.
            self.stop_by = Some(now.monotonic);
            return;
        }
        log::info!(
            "stopping: {} connections are told to go",
            self.server.connections()
        );
        self.stop_by = Some(now.monotonic + STOP_TIMEOUT);
        self.listeners.clear();
        self.accept_retry_at = None;
        self.server.shut_down(now);
    }

    fn take_connection(&mut self, now: Now, slot: usize, event: &Event) {
        let Some(Some(connection)) = self.connections.get_mut(slot) else {
            return;
        };
        let id = connection.id;
        connection.peer_finished |= event.is_read_closed();
        if event.is_error() {
            return self.server.failed(now, id);
        }
        if event.is_writable() {
            self.server.writable(id);
        }
        if connection.is_over {
            // What still arrives is discarded; only the peer's FIN is of interest.
            if connection.peer_finished {
                self.discard(now, id);
            }
        } else if event.is_readable() || event.is_read_closed() {
            self.mark_ready(id);
        }
    }

    /// The connection that `id` names: its slot may be another's by now.
    fn connection_mut(&mut self, id: ConnectionId) -> Option<&mut Connection> {
        let connection = self.connections.get_mut(id.slot as usize)?.as_mut();
        connection.filter(|connection| connection.id == id)
    }

    fn mark_ready(&mut self, id: ConnectionId) {
        let Some(connection) = self.connection_mut(id) else {
            return;
        };
        if std::mem::replace(&mut connection.is_ready, true) {
            return;
        }
        match self.server.is_member(id) {
            true => self.ready_members.push_back(id),
            false => self.ready_pending.push_back(id),
        }
    }

    /// Hands on what was read, one arrival after the other, while the core is not pressed; what is left
    /// over waits for the next turn, and nothing more is read before.
    fn read(&mut self, now: Now) {
        if self.arrivals.is_empty() {
            self.fetch_all();
        }
        while !self.server.is_pressed()
            && let Some(arrival) = self.arrivals.pop_front()
        {
            self.deliver(now, arrival);
        }
    }

    /// One read from each member that has something, and from some that are not logged in, while the
    /// buffer has room: so much is decided in a turn, and answered before more is read. Nobody has a
    /// second turn before everybody of the same standing had one, and the pending have a part of the
    /// buffer of their own, so that members cannot shut them out.
    ///
    /// Many are read before the first of them is heard: the kernel's code and ours change places in
    /// the processor's caches once for many.
    fn fetch_all(&mut self) {
        let mut start = 0;
        let mut members = self.ready_members.len();
        while members > 0
            && self.arrivals.len() < EVENTS_MAX
            && TURN_MEMBER_BYTES_MAX - start >= MEMBER_READ_BYTES_MAX
        {
            members -= 1;
            let id = self.ready_members.pop_front();
            start += self.fetch(id, start..start + MEMBER_READ_BYTES_MAX);
        }
        let end = start + TURN_PENDING_BYTES_MAX;
        for _ in 0..self.ready_pending.len().min(PENDING_READS_MAX) {
            let id = self.ready_pending.pop_front();
            let read_end = end.min(start + PENDING_READ_BYTES_MAX);
            start += self.fetch(id, start..read_end);
            if end - start < PENDING_READ_BYTES_MIN {
                return;
            }
        }
    }

    /// One read, into a part of the scratch buffer. Returns how many bytes came.
    fn fetch(&mut self, id: Option<ConnectionId>, room: Range<usize>) -> usize {
        // As `connection_mut`, but that the scratch buffer is borrowed beside it.
        let connection = id.and_then(|id| {
            let connection = self.connections.get_mut(id.slot as usize)?.as_mut()?;
            (connection.id == id).then_some(connection)
        });
        let Some(connection) = connection else {
            return 0;
        };
        connection.is_ready = false;
        if connection.is_over {
            return 0;
        }
        let (start, room) = (room.start, &mut self.scratch[room]);
        let result = connection.socket.read(room);
        let bytes = *result.as_ref().unwrap_or(&0);
        self.arrivals.push_back(Arrival {
            id: connection.id,
            start,
            // man 7 epoll: a read that does not fill the buffer has drained the socket.
            is_drained: result.is_ok() && bytes < room.len(),
            result,
        });
        bytes
    }

    /// Hands on what a read brought. A connection that may have more waits for its next turn.
    fn deliver(&mut self, now: Now, arrival: Arrival) {
        let Arrival {
            id,
            start,
            result,
            is_drained,
        } = arrival;
        match result {
            Ok(0) => self.finished(now, id),
            Ok(count) => {
                let bytes = &mut self.scratch[start..start + count];
                let is_over = self.server.receive(now, id, bytes) == Reading::Over;
                let Some(connection) = self.connection_mut(id) else {
                    return;
                };
                connection.is_over |= is_over;
                // Had the peer's FIN arrived before the socket was drained, there is nothing
                // behind it either.
                match (connection.peer_finished, is_drained) {
                    (true, true) => self.finished(now, id),
                    (true, false) if is_over => self.discard(now, id),
                    _ => {}
                }
                if !is_drained && !is_over {
                    self.mark_ready(id);
                }
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(_) => self.server.failed(now, id),
        }
    }

    /// Drops what is unread before the FIN of a peer of whom nothing more is wanted. A FIN has not
    /// come before that: close(2) with unread bytes sends a reset, which may overtake our last words
    /// or throw them away (RFC 2525 §2.17). Should it be too much, the linger ends the connection.
    fn discard(&mut self, now: Now, id: ConnectionId) {
        let connection = self.connection_mut(id);
        if connection.is_some_and(|connection| connection.socket.discard()) {
            self.finished(now, id);
        }
    }

    /// The connection was read to the peer's FIN.
    fn finished(&mut self, now: Now, id: ConnectionId) {
        if let Some(connection) = self.connection_mut(id) {
            connection.is_read_out = true;
        }
        self.server.finished(now, id);
    }

    fn hand_out_jobs(&mut self) {
        while let Some(job) = self.server.next_job() {
            self.hasher.hand_out(job);
        }
        while let Some(job) = self.server.next_store_job() {
            self.writer.hand_out(job);
        }
    }

    fn log_reports(&mut self, now: Now) {
        if let Some(summary) = self.server.next_summary(now) {
            log::info!("{}", SummaryLine(&summary));
        }
        while let Some(news) = self.server.next_store_news() {
            match news {
                StoreNews::Failed(fault) => log::error!("no user can be confirmed: {fault}"),
                StoreNews::Remains(fault) => log::warn!("users still not confirmed: {fault}"),
                StoreNews::Answers => log::warn!("users can be confirmed again"),
            }
        }
        while let Some(report) = self.server.next_report() {
            log::log!(target: target_of(report.what), level_of(report.what), "{}", Line(&report));
        }
    }
}
