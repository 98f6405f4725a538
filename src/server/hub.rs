//! The sessions and all that they share: outboxes, presence, deadlines, users, counts. What is
//! done to a session is done here, so that every end passes through the same few functions.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Duration;

use slab::Slab;
use zeroize::Zeroizing;

use crate::app::users::Users;
use crate::config::Config;
use crate::gate::Signer;
use crate::limits::{LINGERING_MAX, LINGERING_PER_ADDRESS_MAX, MEMORY_SPARE_PARTS, STOP_PATIENCE};
use crate::network::AddressKey;
use crate::time::Now;
use crate::wire::CloseCode;
use crate::wire::frame::{self, Opcode};

use super::Ending;
use super::answer;
use super::bans::Bans;
use super::broadcasts::Broadcasts;
use super::cause::Cause;
use super::counters::Counters;
use super::fan_out::UserRates;
use super::flushes::Flushes;
use super::login_queue::LoginQueue;
use super::outbox::Pool;
use super::presence::Presence;
use super::quotas::Quotas;
use super::rates::{RateLimit, RateLimits};
use super::report::{self, Notices, Report, What};
use super::revocations::Revocations;
use super::session::{ConnectionId, Open, Peer, Session, State};
use super::store_news::StoreReporter;
use super::tap::Tap;
use super::timer_wheel::{TICK, TimerWheel};

/// Bytes of a connection that were read and are still to be decided on.
pub(super) struct Undecided {
    pub(super) id: ConnectionId,
    /// They may hold a token or a password.
    pub(super) bytes: Zeroizing<Vec<u8>>,
}

/// Everything in the core but the gate and the events, which are lent beside it.
pub(super) struct Hub {
    pub(super) config: Config,
    pub(super) signer: Signer,
    pub(super) users: Users,
    pub(super) sessions: Slab<Session>,
    pub(super) presence: Presence,
    pub(super) timer_wheel: TimerWheel,
    /// What the outboxes share.
    pub(super) pool: Pool,
    /// Sessions whose outbox is to be written.
    pub(super) flushes: Flushes,
    /// What some members have yet to be given.
    pub(super) broadcasts: Broadcasts,
    /// What was read of one connection and not decided on, since too much waits to be written.
    pub(super) undecided: Option<Undecided>,
    pub(super) endings: VecDeque<(ConnectionId, Ending)>,
    pub(super) reports: VecDeque<Report>,
    /// Logins whose password is being checked, or waits for that.
    pub(super) logins: LoginQueue,
    pub(super) revocations: Revocations,
    pub(super) next_serial: u32,
    pub(super) frames: RateLimit,
    pub(super) user_rates: UserRates,
    pub(super) connects_by_address: RateLimits,
    pub(super) logins_by_address: RateLimits,
    pub(super) logins_by_id: RateLimits,
    pub(super) places: Quotas,
    pub(super) bans: Bans,
    pub(super) counters: Counters,
    pub(super) notices: Notices,
    /// True while pending connections fill more than half their budget.
    pub(super) is_crowded: bool,
    /// Sessions whose FIN is sent and whose peer's is awaited.
    pub(super) lingering: usize,
    /// Bytes held for peers by their sessions; what their outboxes share is counted by `pool`.
    pub(super) held_bytes: usize,
    /// True when memory ran short and nobody held anything that could be given up.
    pub(super) is_relief_vain: bool,
    /// What the log is to be told of the store.
    pub(super) store_news: StoreReporter,
    /// True once the server is to stop.
    pub(super) stopping: bool,
    /// `LEEWAY`, in seconds: a connection lives as long as its token would be admitted.
    pub(super) leeway_seconds: u64,
    /// Who is told what peers send; nobody but for a recording.
    pub(super) tap: Option<Box<dyn Tap>>,
    /// Where a handler writes its answer.
    pub(super) answer_scratch: Vec<u8>,
    /// Where a broadcast is put together.
    pub(super) scratch: Vec<u8>,
}

impl Hub {
    pub(super) fn new(config: Config, signer: Signer, users: Users, seed: u64) -> Hub {
        let logins = RateLimit::new(config.login_rate, config.login_rate.count);
        let connects = RateLimit::new(config.connect_rate, config.connect_rate.count);
        Hub {
            signer,
            users,
            sessions: Slab::new(),
            presence: Presence::new(seed.rotate_left(8)),
            timer_wheel: TimerWheel::new(),
            pool: Pool::new(
                config.outbox_bytes_max,
                config.memory_bytes_max / MEMORY_SPARE_PARTS,
            ),
            flushes: Flushes::default(),
            broadcasts: Broadcasts::default(),
            undecided: None,
            endings: VecDeque::new(),
            reports: VecDeque::new(),
            logins: LoginQueue::new(seed),
            revocations: Revocations::default(),
            next_serial: 0,
            frames: RateLimit::new(config.frame_rate, config.frame_burst),
            user_rates: UserRates::new(&config),
            connects_by_address: RateLimits::new(connects, seed.rotate_left(16)),
            logins_by_address: RateLimits::new(logins, seed),
            logins_by_id: RateLimits::new(logins, seed.rotate_left(32)),
            places: Quotas::new(seed),
            bans: Bans::new(&config, seed.rotate_left(48)),
            counters: Counters::default(),
            notices: Notices::default(),
            is_crowded: false,
            lingering: 0,
            held_bytes: 0,
            is_relief_vain: false,
            store_news: StoreReporter::default(),
            stopping: false,
            leeway_seconds: config.leeway.as_secs(),
            tap: None,
            answer_scratch: Vec::new(),
            scratch: Vec::new(),
            config,
        }
    }

    /// The end of everything.
    pub(super) fn shut_down(&mut self, now: Now) {
        self.stopping = true;
        let keys: Vec<u32> = self.sessions.iter().map(|(key, _)| key as u32).collect();
        for key in keys {
            match self.sessions[key as usize].state {
                State::Open(_) => {
                    let close = (
                        CloseCode::GOING_AWAY,
                        "the server is stopping; come back later",
                    );
                    self.close(now, key, Cause::ShuttingDown, Some(close));
                }
                // What was asked is answered, and what is asked now told that we are stopping: a
                // balancer learns it so on the connection it has.
                State::Proxy { ref mut by, .. }
                | State::Head { ref mut by, .. }
                | State::Body { ref mut by, .. }
                | State::Answering { ref mut by } => {
                    *by = (now.monotonic + STOP_PATIENCE).min(*by);
                    self.schedule(now, key);
                }
                // It goes when its answer is known, and that is soon.
                State::LoggingOut { .. } | State::Finishing { .. } | State::Gone => {}
            }
        }
    }

    /// The slot's session, if it is still the one that `id` names.
    pub(super) fn key(&self, id: ConnectionId) -> Option<u32> {
        let session = self.sessions.get(id.slot as usize)?;
        let alive = session.serial == id.serial && !matches!(session.state, State::Gone);
        alive.then_some(id.slot)
    }

    pub(super) fn id(&self, key: u32) -> ConnectionId {
        ConnectionId {
            slot: key,
            serial: self.sessions[key as usize].serial,
        }
    }

    pub(super) fn open_mut(&mut self, key: u32) -> Option<&mut Open> {
        match &mut self.sessions.get_mut(key as usize)?.state {
            State::Open(open) => Some(open),
            _ => None,
        }
    }

    /// Queues what `write` appends, and its writing. A peer that lets too much wait is closed.
    pub(super) fn push(&mut self, now: Now, key: u32, write: impl FnOnce(&mut Vec<u8>)) {
        if self.catch_up(now, key) {
            return self.drop_slow_reader(now, key);
        }
        let outbox = &mut self.sessions[key as usize].outbox;
        let (offered, before) = (outbox.offered_bytes(), outbox.bytes());
        outbox.push(&mut self.pool, now.monotonic, write);
        // A reader is slow by what its socket was offered and did not take.
        let is_slow = offered + outbox.bytes() - before > self.config.outbox_bytes_max;
        self.account(key);
        self.queue_flush(key);
        if is_slow {
            self.drop_slow_reader(now, key);
        }
    }

    /// An answer of the connection's own waits, or its socket takes bytes again.
    pub(super) fn queue_flush(&mut self, key: u32) {
        let id = self.id(key);
        let is_member = self.presence.is_member(key);
        let queued = &mut self.sessions[key as usize].queued;
        match is_member {
            true => self.flushes.queue_answer(queued, id),
            false => self.flushes.queue_pending(queued, id),
        }
    }

    /// Throws the connection out: one error and one Close after what was already answered, then
    /// no more (contract §1, "How a connection ends"). `frame_id` and `event` are those of the
    /// frame at fault, as the peer wrote them.
    pub(super) fn refuse(
        &mut self,
        now: Now,
        key: u32,
        cause: Cause,
        frame_id: Option<&str>,
        event: Option<&str>,
    ) {
        self.refuse_in_words(now, key, cause, frame_id, event, (cause.reason(), None));
    }

    /// As [`Hub::refuse`], with a reason that says more than the cause's own, and when to come back.
    pub(super) fn refuse_in_words(
        &mut self,
        now: Now,
        key: u32,
        cause: Cause,
        frame_id: Option<&str>,
        event: Option<&str>,
        (reason, retry_after): (Cow<'static, str>, Option<Duration>),
    ) {
        self.report(now, key, What::Refused(cause), event);
        self.catch_up(now, key);
        let session = &mut self.sessions[key as usize];
        session.outbox.push(&mut self.pool, now.monotonic, |out| {
            if let Some(code) = cause.error_code() {
                frame::write_with(out, Opcode::Text, |out| {
                    answer::error(out, frame_id, code, &reason, retry_after);
                });
            }
            if let Some(code) = cause.close_code() {
                frame::write_close(out, Some((code, &reason)));
            }
        });
        self.finish(now, key);
    }

    /// Ends the connection in peace, with a Close.
    pub(super) fn close(
        &mut self,
        now: Now,
        key: u32,
        cause: Cause,
        close: Option<(CloseCode, &str)>,
    ) {
        self.report(now, key, What::Closed(cause), None);
        self.catch_up(now, key);
        let session = &mut self.sessions[key as usize];
        session.outbox.push(&mut self.pool, now.monotonic, |out| {
            frame::write_close(out, close);
        });
        self.finish(now, key);
    }

    /// What waits is dropped but for the frame under way, so that the Close comes first where the
    /// socket still takes it.
    pub(super) fn drop_slow_reader(&mut self, now: Now, key: u32) {
        self.cut(key);
        self.refuse(now, key, Cause::SlowReader, None, None);
    }

    /// The peer's FIN was seen, and what was asked ahead of it is answered.
    pub(super) fn leave(&mut self, now: Now, key: u32) {
        self.report(now, key, What::Closed(Cause::PeerLeft), None);
        self.finish(now, key);
    }

    /// From here on nothing that arrives is read; what waits is written, then our FIN.
    pub(super) fn finish(&mut self, now: Now, key: u32) {
        self.catch_up(now, key);
        if self.presence.is_member(key) {
            // Thousands may end at once: they delay no answer, and no stranger delays them.
            let id = self.id(key);
            let queued = &mut self.sessions[key as usize].queued;
            self.flushes.queue_broadcast(queued, id);
        }
        self.presence.leave(key);
        self.settle(key);
        // The descriptor is free by the end of the linger, though a deadline is noticed late.
        let linger_by = now.monotonic + self.config.linger.saturating_sub(TICK);
        self.sessions[key as usize].state = State::Finishing {
            linger_by,
            fin_sent: false,
        };
        self.account(key);
        self.queue_flush(key);
        self.timer_wheel.schedule(key, linger_by);
    }

    /// Every byte of a finishing session has left: our FIN follows, and the wait for the peer's,
    /// if there is room for that.
    pub(super) fn flushed(&mut self, now: Now, key: u32) {
        let session = &self.sessions[key as usize];
        let State::Finishing {
            linger_by,
            fin_sent: false,
        } = session.state
        else {
            return;
        };
        if session.peer_finished {
            self.release(key, Ending::Close);
        } else if self.is_to_be_reset(now, key) {
            self.release(key, Ending::Reset);
        } else if !self.may_linger(key) {
            self.release(key, Ending::Close);
        } else {
            self.sessions[key as usize].state = State::Finishing {
                linger_by,
                fin_sent: true,
            };
            self.lingering += 1;
            self.places.linger(self.counted_address(key));
            let id = self.id(key);
            self.endings.push_back((id, Ending::Fin));
        }
    }

    /// Whether our FIN comes after the last words, and no reset, which would overtake them.
    pub(super) fn ends_with_fin(&self, now: Now, key: u32) -> bool {
        let session = &self.sessions[key as usize];
        let is_finishing = matches!(session.state, State::Finishing { .. });
        is_finishing && (session.peer_finished || !self.is_to_be_reset(now, key))
    }

    /// A connection that failed for a hostile cause is reset once its last words are written, where
    /// it may not linger or its address is more than half on its way to a ban. No other is: its
    /// neighbours on that address have done nothing.
    fn is_to_be_reset(&self, now: Now, key: u32) -> bool {
        let suspect = |address| self.bans.is_suspect(address, now.monotonic);
        let is_suspect = || self.counted_address(key).is_some_and(suspect);
        let is_hostile = self.sessions[key as usize].is_hostile;
        is_hostile && !self.stopping && (!self.may_linger(key) || is_suspect())
    }

    /// The lingering are few by a cap, of which no address has more than a share.
    fn may_linger(&self, key: u32) -> bool {
        let lingering_of = |address| self.places.of(address).lingering;
        let of_address = self.counted_address(key).map_or(0, lingering_of);
        self.stopping || self.lingering < LINGERING_MAX && of_address < LINGERING_PER_ADDRESS_MAX
    }

    /// The one way out: the session is deregistered everywhere, and its descriptor is to go.
    pub(super) fn release(&mut self, key: u32, ending: Ending) {
        let id = self.id(key);
        let address = self.counted_address(key);
        let session = &mut self.sessions[key as usize];
        let state = std::mem::replace(&mut session.state, State::Gone);
        if matches!(state, State::Gone) {
            return;
        }
        if matches!(state, State::Finishing { fin_sent: true, .. }) {
            self.lingering -= 1;
            self.places.linger_no_more(address);
        }
        self.forgo(key);
        self.presence.leave(key);
        self.places.leave(key, address);
        self.timer_wheel.cancel(key);
        let session = &mut self.sessions[key as usize];
        session.outbox.clear(&mut self.pool);
        self.account(key);
        self.endings.push_back((id, ending));
    }

    /// The connection broke off without a last word of ours.
    pub(super) fn abandon(&mut self, now: Now, key: u32, what: What, ending: Ending) {
        if !matches!(self.sessions[key as usize].state, State::Finishing { .. }) {
            self.report(now, key, what, None);
        }
        self.release(key, ending);
    }

    /// Brings the ledger up to what the session holds now.
    pub(super) fn account(&mut self, key: u32) {
        let session = &mut self.sessions[key as usize];
        let held = session.outbox.held_bytes()
            + match &session.state {
                State::Proxy { held, .. } | State::Head { held, .. } | State::Body { held, .. } => {
                    held.capacity()
                }
                State::Open(open) => open.endpoint.held_bytes(),
                State::Answering { .. }
                | State::LoggingOut { .. }
                | State::Finishing { .. }
                | State::Gone => 0,
            };
        self.held_bytes = self.held_bytes + held - session.held_bytes;
        session.held_bytes = held;
    }

    /// Tells the log, and counts what was refused against its address.
    pub(super) fn report(&mut self, now: Now, key: u32, what: What, event: Option<&str>) {
        if let What::Refused(cause) = what {
            self.counters.count(cause.word());
            if cause.is_hostile() {
                self.sessions[key as usize].is_hostile = true;
                self.count_hostile(now, key);
            }
        }
        let session = &self.sessions[key as usize];
        self.reports.push_back(Report {
            what,
            connection: self.id(key),
            peer: session.peer,
            user: self
                .presence
                .person(key)
                .map(|person| Rc::clone(&person.id)),
            event: event.map(report::cut),
        });
    }

    /// Tells the log of a mistake in somebody's configuration, once a minute.
    pub(super) fn notice(&mut self, now: Now, key: u32, what: What) {
        if self.notices.is_due(now.monotonic, what) {
            self.report(now, key, what, None);
        }
    }

    /// Counts a hostile failure against the connection's address, which may ban it.
    pub(super) fn count_hostile(&mut self, now: Now, key: u32) {
        if let Some(address) = self.counted_address(key) {
            let (id, peer) = (self.id(key), self.sessions[key as usize].peer);
            self.count_hostile_of(now, id, peer, address);
        }
    }

    /// As `count_hostile`, for a connection that may have ended.
    pub(super) fn count_hostile_of(
        &mut self,
        now: Now,
        connection: ConnectionId,
        peer: Peer,
        address: AddressKey,
    ) {
        if peer
            .address
            .is_some_and(|address| self.is_ban_exempt(address))
        {
            return;
        }
        if let Some(duration) = self.bans.count(address, now.monotonic) {
            self.counters.count("ban");
            self.reports.push_back(Report {
                what: What::Banned(duration),
                connection,
                peer,
                user: None,
                event: None,
            });
        }
    }
}
