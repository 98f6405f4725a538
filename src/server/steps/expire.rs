//! The deadlines of a session: one table, which says when each is due and what its passing causes.
//! Both the scheduling and the judging read it, so that they cannot differ. Each bounds a whole
//! operation: no received byte extends it.

use std::borrow::Cow;
use std::time::Duration;

use crate::app::Fault;
use crate::gate;
use crate::limits::{
    AUTH_TIMEOUT_CROWDED, LOGIN_TIMEOUT, READ_BYTES_PER_SECOND_MIN, TURN_DEADLINES_MAX,
};
use crate::time::{Instant, Now};
use crate::wire::frame;

use crate::server::Ending;
use crate::server::answers::cause::Cause;
use crate::server::answers::report::What;
use crate::server::core::Core;
use crate::server::parts::session::{Ping, State};
use crate::server::parts::timer_wheel::TICK;
use crate::server::parts::write_queue::Queued;

/// What the passing of a deadline causes.
#[derive(Clone, Copy)]
enum Passing {
    /// The connection is dropped without a word.
    Abandon(Cause, Ending),
    /// The connection is refused with an error and a Close.
    Refuse(Cause),
    /// The peer takes nothing: what waits for it is dropped, and it is refused.
    DropSlowReader,
    /// The peer is asked for a sign of life.
    Ask,
    /// A `POST /login` is answered without its password being checked.
    GiveUpLogin,
    /// The linger is over: the descriptor is freed.
    Free,
}

/// Whole seconds where it can be.
fn in_words(time: Duration) -> String {
    match time.subsec_millis() {
        0 => format!("{} s", time.as_secs()),
        _ => format!("{} ms", time.as_millis()),
    }
}

impl Core {
    /// Calls `row` for each deadline the session has, with when it is due and what its passing
    /// causes. Of those that are due at once the first row counts.
    fn each_deadline(&self, now: Now, key: u32, mut row: impl FnMut(Instant, Passing)) {
        let session = &self.sessions[key as usize];
        match &session.state {
            State::Proxy { by, .. } | State::Head { by, .. } | State::Body { by, .. }
                if self.stopping =>
            {
                row(*by, Passing::Abandon(Cause::ShuttingDown, Ending::Close));
            }
            // A browser may connect ahead and find nothing to ask.
            State::Proxy { by, held } | State::Head { by, held, .. } if held.is_empty() => {
                row(*by, Passing::Abandon(Cause::NoRequest, Ending::Close));
            }
            State::Proxy { by, .. } | State::Head { by, .. } | State::Body { by, .. } => {
                row(
                    *by,
                    Passing::Abandon(Cause::HandshakeTimeout, Ending::Close),
                );
            }
            State::Answering { by } => row(*by, Passing::GiveUpLogin),
            State::LoggingOut { by } => {
                row(*by, Passing::Refuse(Cause::Gate(gate::Cause::Unavailable)));
            }
            State::Finishing { linger_by, .. } => row(*linger_by, Passing::Free),
            State::Gone => {}
            State::Open(open) => {
                match self.presence.dates(key) {
                    Some(dates) => row(
                        now.instant_of(dates.expires_at),
                        Passing::Refuse(Cause::Expired),
                    ),
                    // How long its password takes is our doing.
                    None if open.login_pending => {}
                    // Patient when calm, since a person may be typing; ruthless when crowded.
                    None => {
                        let by = open.opened_at + self.config.auth_timeout;
                        row(by, Passing::Refuse(Cause::AuthTimeout));
                        if self.is_crowded {
                            let by = open.opened_at + AUTH_TIMEOUT_CROWDED;
                            row(by, Passing::Refuse(Cause::AuthTimeoutCrowded));
                        }
                    }
                }
                if let Some(since) = open.message_since {
                    let by = since + self.config.message_timeout;
                    row(by, Passing::Refuse(Cause::MessageTimeout));
                }
                if let Some(since) = session.outbox.stalled_since() {
                    row(since + self.config.write_timeout, Passing::DropSlowReader);
                }
                match open.ping {
                    Ping::None => row(open.alive_at + self.config.ping_interval, Passing::Ask),
                    Ping::Waiting => {}
                    Ping::Left(at) => row(
                        at + self.config.pong_timeout,
                        Passing::Abandon(Cause::PongTimeout, Ending::Reset),
                    ),
                }
            }
        }
    }

    /// Sees to it that the session is looked at when its next deadline comes.
    pub(crate) fn schedule(&mut self, now: Now, key: u32) {
        let mut next: Option<Instant> = None;
        self.each_deadline(now, key, |at, _| {
            next = Some(next.map_or(at, |next| next.min(at)));
        });
        if let Some(at) = next {
            self.timer_wheel.schedule(key, at);
        }
    }

    /// Deals with what is due, but with no more than a turn's share.
    pub(crate) fn pass_deadlines(&mut self, now: Now) {
        for _ in 0..TURN_DEADLINES_MAX {
            if self.is_to_offer_first() {
                return;
            }
            let Some(key) = self.timer_wheel.pop(now.monotonic) else {
                return;
            };
            self.deadline(now, key);
        }
    }

    /// Deals with the session's deadlines that have passed.
    fn deadline(&mut self, now: Now, key: u32) {
        let mut passed = None;
        self.each_deadline(now, key, |at, passing| {
            if at <= now.monotonic {
                passed.get_or_insert(passing);
            }
        });
        match passed {
            Some(Passing::Abandon(cause, ending)) => {
                let what = match cause {
                    Cause::ShuttingDown => What::Closed(cause),
                    _ => What::Refused(cause),
                };
                self.abandon(now, key, what, ending);
            }
            Some(Passing::Refuse(cause)) => {
                let words = (self.late(cause), None);
                self.refuse_in_words(now, key, cause, None, None, words);
            }
            Some(Passing::DropSlowReader) => self.drop_slow_reader(now, key),
            Some(Passing::Ask) => self.ask(now, key),
            Some(Passing::GiveUpLogin) => {
                let retry_after = LOGIN_TIMEOUT;
                self.answer_http_login(now, key, Err(Fault::Busy { retry_after }));
            }
            Some(Passing::Free) => self.free(now, key),
            None => {}
        }
        self.schedule(now, key);
    }

    /// The reason of a cause, with how long there was where a client may want to know that.
    fn late(&self, cause: Cause) -> Cow<'static, str> {
        match cause {
            Cause::AuthTimeout => {
                let time = in_words(self.config.auth_timeout);
                Cow::Owned(format!("no valid token within {time}"))
            }
            Cause::AuthTimeoutCrowded => {
                let time = in_words(AUTH_TIMEOUT_CROWDED);
                Cow::Owned(format!(
                    "no valid token within {time}; there is no more while newcomers are many"
                ))
            }
            cause => cause.reason(),
        }
    }

    /// The linger is over. What the peer was offered and has not taken by now it will not take; but
    /// its last words may still wait for their turn to be offered.
    fn free(&mut self, now: Now, key: u32) {
        let session = &mut self.sessions[key as usize];
        if session.outbox.is_empty() {
            self.release(key, Ending::Close);
        } else if session.queued == Queued::No || session.outbox.unoffered_bytes() == 0 {
            self.release(key, Ending::Reset);
        } else if let State::Finishing { linger_by, .. } = &mut session.state {
            *linger_by = now.monotonic + TICK;
        }
    }

    /// Asks for a sign of life (RFC 6455 §5.5.2).
    fn ask(&mut self, now: Now, key: u32) {
        if let Some(open) = self.open_mut(key) {
            open.ping = Ping::Waiting;
            self.push(now, key, |out| frame::write_ping(out, b""));
        }
    }

    /// The socket took `count` bytes; `full` when it takes no more for now. What that says of the
    /// peer: a socket that was full takes bytes only when the peer has taken some; one that was not
    /// takes them for a peer that is long gone as well.
    pub(crate) fn note_taken(&mut self, now: Now, key: u32, count: usize, full: bool) {
        const MICROS_PER_SECOND: u64 = 1_000_000;
        let reading = |bytes: usize| {
            let micros = (bytes as u64).saturating_mul(MICROS_PER_SECOND);
            Duration::from_micros(micros / READ_BYTES_PER_SECOND_MIN)
        };
        let has_left = self.sessions[key as usize].outbox.is_empty();
        // A reader that has more than this before it is too slow in any case.
        let read_by_max = now.monotonic + reading(self.config.outbox_bytes_max);
        let Some(open) = self.open_mut(key) else {
            return;
        };
        let asked = open.ping;
        if std::mem::replace(&mut open.is_socket_full, full) && count > 0 {
            open.alive_at = now.monotonic;
            open.ping = Ping::None;
        }
        open.read_by = (open.read_by.max(now.monotonic) + reading(count)).min(read_by_max);
        if open.ping == Ping::Waiting && has_left {
            open.ping = Ping::Left(open.read_by);
        }
        // While a Ping waits for its turn it has no deadline, and there may be no other.
        if open.ping != asked {
            self.schedule(now, key);
        }
    }
}
