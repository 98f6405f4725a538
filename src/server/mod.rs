//! The core, without I/O: sessions, who is logged in, fan-out, outboxes, deadlines, refusals.
//! Refuses to know sockets, clocks, randomness, SQL and mio.
//!
//! It is driven, never driving: by inputs, which are calls that carry the time, and by outputs that
//! are drained. The same inputs at the same times give the same outputs, byte for byte. The one who
//! drives is [`Turn`](crate::turn::Turn).
//!
//! **The order of calls in a turn:**
//!
//! 1. **[`receive`](Server::receive), [`accept`](Server::accept)** and what else came from outside, by
//!    [`handle`](Server::handle). **Ahead of each `receive`, [`has_write_backlog`](Server::has_write_backlog) is
//!    asked, and nothing is handed over while it is true.**
//! 2. **[`Input::Tick`]**: deadlines, and what was left undecided.
//! 3. **[`next_flush`](Server::next_flush), [`gather`](Server::gather), [`wrote`](Server::wrote)**,
//!    until there is none, or enough was written.
//! 4. **[`Input::LookAhead`]**.
//! 5. **[`next_ending`](Server::next_ending)**, until there is none; also before and after an `accept`.
//! 6. **[`poll`](Server::poll)**, until there is no [`Output`].
//!    [`next_deadline`](Server::next_deadline) says when the next turn is due.
//!
//! The clock never goes back. Debug builds see to both.

mod answers;
mod audit;
mod connection;
mod core;
mod input;
mod output;
mod parts;
mod policy;
mod steps;
mod tap;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::io::IoSlice;
use std::time::Duration;

use crate::app::Events;
use crate::app::users::{UserStore, Users};
use crate::config::Config;
use crate::gate::{Gate, Keys, Signer};
use crate::time::{Instant, Now};

use crate::server::core::{Core, Handlers, Undecided};
use parts::sessions::{Open, State};

pub use answers::cause::{CloseCause, NoRoom};
pub use answers::report::{LoginFailure, Report, ReportKind};
pub use answers::unserved::Unserved;
pub use connection::{ConnectionId, Ending, Peer, TransportNews};
pub use input::Input;
pub use output::Output;
pub use parts::counters::Summary;
pub use parts::revocations::{StoreJob, StoreOutcome};
pub use parts::sessions::SLICES_MAX;
pub use parts::store_reporter::StoreNews;
pub use parts::write_queue::FlushesLeft;
pub use policy::claim_rules;
pub use tap::Tap;

/// How often users and the wall clock are looked at while somebody is logged in and silent.
const REVIEW_INTERVAL: Duration = Duration::from_millis(500);

/// A wall clock that has moved this much against the monotonic one was set, in microseconds.
const CLOCK_STEP_MICROS_MIN: u128 = 250_000;

/// What the driver does next with a connection it read from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadInterest {
    /// Goes on: whatever arrives is wanted.
    More,
    /// Is over: nothing of this connection is to be read again.
    Done,
}

/// The server's core.
pub struct Server {
    handlers: Handlers,
    core: Core,
    /// When everybody was last looked at without being asked.
    reviewed_at: Instant,
    /// The wall clock's origin as of the last turn ([`Now::origin_unix_micros`]).
    wall_origin: Option<i128>,
    /// When the last tick was.
    ticked_at: Instant,
}

impl Server {
    /// A server without connections. `seed` is a secret number that keeps peers from choosing
    /// keys which collide in our tables; everything else it does follows from its inputs.
    pub fn build(
        config: Config,
        keys: Keys,
        store: Box<dyn UserStore>,
        events: Events,
        seed: u64,
    ) -> Server {
        let rules = claim_rules(&config);
        let signer = Signer::new(&keys, &rules, config.token_ttl.as_secs());
        let mut users = Users::new(store);
        users.seed(seed.rotate_left(24));
        Server {
            handlers: Handlers {
                gate: Gate::new(keys, rules),
                events,
            },
            core: Core::new(config, signer, users, seed),
            reviewed_at: Instant::ORIGIN,
            wall_origin: None,
            ticked_at: Instant::ORIGIN,
        }
    }

    /// Has `tap` told what peers send from now on, or nobody.
    pub fn set_tap(&mut self, tap: Option<Box<dyn Tap>>) {
        self.core.tap = tap;
    }

    // Inputs.

    /// A connection was accepted. `None`: there is no room for it, and it is to be reset at once.
    /// Another may have to go for it: drain [`next_ending`](Server::next_ending).
    pub fn accept(&mut self, now: Now, peer: Peer) -> Option<ConnectionId> {
        if self.core.stopping {
            return None;
        }
        self.wall_origin.get_or_insert(now.origin_unix_micros());
        self.core.admit_connection(now, peer).ok()
    }

    /// Deals with something that the core is told.
    pub fn handle(&mut self, now: Now, input: Input) {
        match input {
            Input::Shed => self.core.counters.count("shed"),
            Input::Transport(id, news) => {
                if let Some(key) = self.core.sessions.key(id) {
                    self.core.hear_transport(now, key, news);
                }
            }
            Input::Finished(id) => self.finish_reading(now, id),
            Input::Failed(id) => {
                if let Some(key) = self.core.sessions.key(id) {
                    let what = ReportKind::Closed(CloseCause::PeerLeft);
                    self.core.abort(now, key, what, Ending::Close);
                }
            }
            Input::Writable(id) => self.core.socket_is_writable(id),
            Input::Hashed(outcome) => {
                self.core.refresh_users(now);
                self.core.end_login(now, &outcome);
            }
            Input::Kept(outcome) => self.core.end_logout(now, &outcome),
            Input::Tick => self.tick(now),
            Input::LookAhead => self.core.poll_users(now),
            Input::Stop => self.core.shut_down(now),
        }
    }

    /// Bytes arrived. They are changed in place (unmasked), and nothing of them is kept but an
    /// unfinished head, frame or message; and, when so much was decided that it is to be written
    /// first, what is still to be decided on, which a later [`Input::Tick`] does.
    pub fn receive(&mut self, now: Now, id: ConnectionId, bytes: &mut [u8]) -> ReadInterest {
        debug_assert!(!self.has_write_backlog(), "enough waits to be written");
        self.decide(now, id, bytes)
    }

    fn decide(&mut self, now: Now, id: ConnectionId, bytes: &mut [u8]) -> ReadInterest {
        debug_assert!(now.monotonic >= self.ticked_at, "the clock goes back");
        let Some(key) = self.core.sessions.key(id) else {
            return ReadInterest::Done;
        };
        match self.core.sessions[key].state() {
            State::Head { .. } => self.core.receive_head(&mut self.handlers, now, key, bytes),
            _ => self
                .core
                .receive_after_head(&mut self.handlers, now, key, bytes),
        }
        match self.core.sessions[key].state() {
            State::LoggingOut { .. } | State::Closing { .. } | State::Closed => ReadInterest::Done,
            _ => ReadInterest::More,
        }
    }

    /// Goes on with what was read of a connection when too much waited to be written.
    fn decide_undecided(&mut self, now: Now) {
        if self.core.has_write_backlog() {
            return;
        }
        let Some(Undecided { id, mut bytes }) = self.core.undecided.take() else {
            return;
        };
        let is_over = self.decide(now, id, &mut bytes) == ReadInterest::Done;
        let is_decided = self.core.undecided.is_none();
        let session = self
            .core
            .sessions
            .key(id)
            .map(|key| &self.core.sessions[key]);
        if (is_over || is_decided) && session.is_some_and(|session| session.peer_finished) {
            self.finish_reading(now, id);
        }
    }

    /// The peer's FIN arrived.
    fn finish_reading(&mut self, now: Now, id: ConnectionId) {
        let Some(key) = self.core.sessions.key(id) else {
            return;
        };
        let session = &mut self.core.sessions[key];
        session.peer_finished = true;
        // What came ahead of the FIN is decided on first.
        if self
            .core
            .undecided
            .as_ref()
            .is_some_and(|rest| rest.id == id)
        {
            return;
        }
        match session.state() {
            State::Closing { fin_sent: true, .. } => self.core.free(key, Ending::Close),
            State::Answering { .. }
            | State::LoggingOut { .. }
            | State::Closing { .. }
            | State::Closed => {}
            State::Open(Open {
                login_pending: true,
                ..
            }) => {}
            _ => self.core.leave(now, key),
        }
    }

    /// Deals with every deadline that has passed.
    fn tick(&mut self, now: Now) {
        debug_assert!(now.monotonic >= self.ticked_at, "the clock goes back");
        self.ticked_at = now.monotonic;
        self.core.counters.begin_minute(now.monotonic);
        // Ahead of what is queued here, which is to be offered before anybody has to go for it.
        self.core.shed_memory(now);
        self.decide_undecided(now);
        self.follow_wall_clock(now);
        if now.monotonic >= self.reviewed_at + REVIEW_INTERVAL {
            self.reviewed_at = now.monotonic;
            self.core.refresh_users(now);
        }
        self.core.review_some(now);
        self.core.pass_deadlines(now);
        self.core.revocations.retry(now.monotonic);
    }

    /// The socket took `count` of the bytes that [`gather`](Server::gather) gave; `full` when it
    /// takes no more for now, and [`Input::Writable`] will say when it does.
    pub fn wrote(&mut self, now: Now, id: ConnectionId, count: usize, full: bool) {
        if let Some(key) = self.core.sessions.key(id) {
            self.core.wrote(now, key, count, full);
        }
    }

    /// Whether bytes for the connection wait for their turn to be written.
    pub fn waits_to_be_written(&self, id: ConnectionId) -> bool {
        self.core.waits_to_be_written(id)
    }

    /// True when [`Input::LookAhead`] would look.
    pub fn is_look_due(&self, now: Now) -> bool {
        self.core.users.is_refresh_near(now.monotonic)
    }

    // Outputs.

    /// A connection whose outbox is to be written now, by one vectored write: answers to members
    /// first, then what was broadcast to them, then connections that are not logged in. What of the
    /// latter two is written is taken off `left`.
    pub fn next_flush(&mut self, now: Now, left: &mut FlushesLeft) -> Option<ConnectionId> {
        self.core.next_flush(now, left)
    }

    /// True while a connection waits for `next_flush`.
    pub fn has_flushes(&self) -> bool {
        !self.core.write_queue.is_empty() || !self.core.broadcasts.is_empty()
    }

    /// True when nothing more is to be handed to [`receive`](Server::receive) before what waits was
    /// written: to be asked before each call.
    pub fn has_write_backlog(&self) -> bool {
        self.core.undecided.is_some() || self.core.has_write_backlog()
    }

    /// True while something that was handed to [`receive`](Server::receive) is not decided on.
    pub fn has_undecided(&self) -> bool {
        self.core.undecided.is_some()
    }

    /// True when the connection is logged in: it is served before those that are not.
    pub fn is_member(&self, id: ConnectionId) -> bool {
        self.core
            .sessions
            .key(id)
            .is_some_and(|key| self.core.members.is_member(key))
    }

    /// True when a PROXY header comes first on the connection, which was just accepted. Its transport
    /// is to take that off.
    pub fn begins_with_proxy_header(&self, id: ConnectionId) -> bool {
        self.core.begins_with_proxy_header(id)
    }

    /// Lends the bytes to be written next; returns how many of the slices, two at least, are filled.
    /// There may be more to write only when all or all but one are.
    pub fn gather<'a>(&'a self, id: ConnectionId, slices: &mut [IoSlice<'a>]) -> usize {
        let key = self.core.sessions.key(id);
        key.map_or(0, |key| self.core.sessions.gather(key, slices))
    }

    /// True when nothing comes after what [`gather`](Server::gather) lends but our FIN: once it is
    /// written, [`next_ending`](Server::next_ending) says so.
    pub fn ends_after(&self, now: Now, id: ConnectionId) -> bool {
        self.core
            .sessions
            .key(id)
            .is_some_and(|key| self.core.ends_with_fin(now, key))
    }

    /// A connection whose descriptor is to be shut. After `Close` and `Reset` its id names
    /// nothing any longer, and its slot may be another's.
    pub fn next_ending(&mut self) -> Option<(ConnectionId, Ending)> {
        let (id, ending) = self.core.endings.pop_front()?;
        if ending != Ending::Fin {
            self.core.tell_tap(id.slot, |tap, id| tap.ended(id));
            self.core.sessions.remove(id.slot);
        }
        Some((id, ending))
    }

    /// What the core has for the outside; `None` when that is all. To be drained at the end of a
    /// turn.
    pub fn poll(&mut self, now: Now) -> Option<Output> {
        let core = &mut self.core;
        if let Some(job) = core.logins.next_job() {
            return Some(Output::Hash(job));
        }
        if let Some(job) = core.revocations.next_job() {
            return Some(Output::Store(job));
        }
        if let Some(refused) = core.counters.sum_up(now.monotonic) {
            return Some(Output::Summary(self.summary(refused)));
        }
        if let Some(news) = core.store_news.next() {
            return Some(Output::StoreNews(news));
        }
        core.reports.next().map(Output::Report)
    }

    /// What was refused since the start, and who is there now.
    pub fn totals(&self) -> Summary {
        self.summary(self.core.counters.totals())
    }

    fn summary(&self, refused: BTreeMap<&'static str, u64>) -> Summary {
        Summary {
            refused,
            connections: self.connections(),
            pending: self.core.quotas.pending(),
            members: self.core.members.all().len(),
            held_bytes: self.held_bytes(),
        }
    }

    /// Tokens whose signature was checked since the start.
    pub fn verifications(&self) -> u64 {
        self.handlers.gate.verifications()
    }

    /// When [`Input::Tick`] is due at the latest.
    pub fn next_deadline(&self) -> Option<Instant> {
        if self.core.undecided.is_some() || self.core.members.has_to_review() {
            return Some(Instant::ORIGIN);
        }
        // Also when nobody is here: who asks next is not to hear of a fault that is over.
        let review = Some(self.reviewed_at + REVIEW_INTERVAL);
        let summary = self.core.counters.summary_at();
        let retry = self.core.revocations.next_deadline();
        [self.core.timer_wheel.next(), review, summary, retry]
            .into_iter()
            .flatten()
            .min()
    }

    /// Connections there are, those that are ending included.
    pub fn connections(&self) -> usize {
        self.core.sessions.len()
    }

    /// Bytes held for peers.
    pub fn held_bytes(&self) -> usize {
        self.core.ledger_bytes()
    }

    /// When somebody set the wall clock, every token's end lies elsewhere on the clock of
    /// deadlines. O(logged in), once a step.
    fn follow_wall_clock(&mut self, now: Now) {
        let origin = now.origin_unix_micros();
        let known = *self.wall_origin.get_or_insert(origin);
        if known.abs_diff(origin) < CLOCK_STEP_MICROS_MIN {
            return;
        }
        self.wall_origin = Some(origin);
        for index in 0..self.core.members.all().len() {
            let key = self.core.members.all()[index].key;
            self.core.schedule(now, key);
        }
    }
}
