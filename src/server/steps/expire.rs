//! The deadlines of a session, in one table: when each is due, and what its passing causes.
//!
//! Scheduling and judging read the same rows. If they differed by a microsecond, a tick could find
//! the same session due again and again, and never end. Each deadline bounds a whole operation, and
//! no received byte extends it: else a peer that sends a byte a second would hold a connection for
//! ever. Refuses to know when the turn ticks.

use std::borrow::Cow;
use std::time::Duration;

use crate::app::Fault;
use crate::gate;
use crate::limits::{AUTH_TIMEOUT_CROWDED, LOGIN_TIMEOUT, TURN_DEADLINES_MAX};
use crate::time::{Instant, Now};
use crate::wire::frame;

use crate::server::answers::cause::CloseCause;
use crate::server::answers::report::ReportKind;
use crate::server::connection::Ending;
use crate::server::core::Core;
use crate::server::parts::sessions::{Ping, State};
use crate::server::parts::timer_wheel::TICK;

/// What the passing of a deadline causes.
#[derive(Clone, Copy)]
enum Passing {
    /// The connection is dropped without a word.
    Abandon(CloseCause, Ending),
    /// The connection is refused with an error and a Close.
    Refuse(CloseCause),
    /// The peer's socket takes nothing: what waits for it is dropped, and it is refused.
    DropSlowReader,
    /// The peer has given no sign of life for long, and is sent a Ping.
    Ask,
    /// A `POST /login` is answered `busy`: its password was not checked in time.
    GiveUpLogin,
    /// The linger is over: the descriptor is freed.
    Free,
}

/// Writes a time as a client reads it: in whole seconds where it can be.
fn in_words(time: Duration) -> String {
    match time.subsec_millis() {
        0 => format!("{} s", time.as_secs()),
        _ => format!("{} ms", time.as_millis()),
    }
}

impl Core {
    /// Calls `row` for each deadline that the session has, with when it is due and what its passing
    /// causes. Of those that are due at once the first row counts. O(1). Why some rows are as they
    /// are:
    /// - While the server stops, `shut_down` has shortened the deadline of a request: to miss it is
    ///   not the peer's failure.
    /// - A connection that says nothing is closed and not hostile, but a head that was begun and
    ///   not finished is (contract §4): a slow sender holds many connections with few bytes.
    /// - A member that only listens is closed when its token expires, too (contract §1).
    /// - Past the deadline of a crowd the cause is another, and not hostile: we have shortened it.
    /// - A message is timed from its first byte, however the others drip in.
    /// - A Ping that has not left has no deadline: `WRITE_TIMEOUT` judges whether the peer takes
    ///   anything.
    fn each_deadline(&self, now: Now, key: u32, mut row: impl FnMut(Instant, Passing)) {
        let session = &self.sessions[key];
        match session.state() {
            State::Head { by, .. } | State::Body { by, .. } if self.stopping => {
                row(
                    *by,
                    Passing::Abandon(CloseCause::ShuttingDown, Ending::Close),
                );
            }
            // A browser may connect ahead and find nothing to ask.
            State::Head { by, held, .. } if held.is_empty() && !session.transport_holds() => {
                row(*by, Passing::Abandon(CloseCause::NoRequest, Ending::Close));
            }
            State::Head { by, .. } | State::Body { by, .. } => {
                row(
                    *by,
                    Passing::Abandon(CloseCause::HandshakeTimeout, Ending::Close),
                );
            }
            State::Answering { by } => row(*by, Passing::GiveUpLogin),
            State::LoggingOut { by } => {
                row(
                    *by,
                    Passing::Refuse(CloseCause::Gate(gate::Denied::Unavailable)),
                );
            }
            State::Closing { linger_by, .. } => row(*linger_by, Passing::Free),
            State::Closed => {}
            State::Open(open) => {
                match self.members.dates(key) {
                    Some(dates) => row(
                        now.instant_of(dates.expires_at),
                        Passing::Refuse(CloseCause::Expired),
                    ),
                    // How long its password takes to check is our doing.
                    None if open.login_pending => {}
                    // Patient when calm, since a user may be typing; ruthless when crowded.
                    None => {
                        let by = open.opened_at + self.policy.config.auth_timeout;
                        row(by, Passing::Refuse(CloseCause::AuthTimeout));
                        if self.is_crowded() {
                            let by = open.opened_at + AUTH_TIMEOUT_CROWDED;
                            row(by, Passing::Refuse(CloseCause::AuthTimeoutCrowded));
                        }
                    }
                }
                if let Some(since) = open.message_since {
                    let by = since + self.policy.config.message_timeout;
                    row(by, Passing::Refuse(CloseCause::MessageTimeout));
                }
                if let Some(since) = session.outbox().stalled_since() {
                    row(
                        since + self.policy.config.write_timeout,
                        Passing::DropSlowReader,
                    );
                }
                match open.ping {
                    Ping::None => row(
                        open.alive_at + self.policy.config.ping_interval,
                        Passing::Ask,
                    ),
                    Ping::Waiting => {}
                    Ping::Left(at) => row(
                        at + self.policy.config.pong_timeout,
                        Passing::Abandon(CloseCause::PongTimeout, Ending::Reset),
                    ),
                }
            }
        }
    }

    /// Has the session looked at when its next deadline is due. A deadline that moved away may keep
    /// its old place in the wheel: the session is then looked at once too early.
    pub(crate) fn schedule(&mut self, now: Now, key: u32) {
        let mut next: Option<Instant> = None;
        self.each_deadline(now, key, |at, _| {
            next = Some(next.map_or(at, |next| next.min(at)));
        });
        if let Some(at) = next {
            self.timer_wheel.schedule(key, at);
        }
    }

    /// Deals with sessions whose deadlines have passed, up to a turn's share: the tokens of
    /// thousands may expire in the same second.
    pub(crate) fn pass_deadlines(&mut self, now: Now) {
        for _ in 0..TURN_DEADLINES_MAX {
            // The last words of each take memory: what waits is written first.
            if self.is_to_offer_first() {
                return;
            }
            let Some(key) = self.timer_wheel.pop(now.monotonic) else {
                return;
            };
            self.deadline(now, key);
        }
    }

    /// Deals with the first deadline of the session that has passed, if one has.
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
                    // Not refused: a stop of ours counts against no address.
                    CloseCause::ShuttingDown => ReportKind::Closed(cause),
                    _ => ReportKind::Refused(cause),
                };
                self.abort(now, key, what, ending);
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
            Some(Passing::Free) => self.end_linger(now, key),
            None => {}
        }
        // The wheel has let go of the session, so this is due even if nothing had passed.
        self.schedule(now, key);
    }

    /// Returns the reason of a cause; where a deadline to log in was missed, with how long there
    /// was.
    fn late(&self, cause: CloseCause) -> Cow<'static, str> {
        match cause {
            CloseCause::AuthTimeout => {
                let time = in_words(self.policy.config.auth_timeout);
                Cow::Owned(format!("no valid token within {time}"))
            }
            CloseCause::AuthTimeoutCrowded => {
                let time = in_words(AUTH_TIMEOUT_CROWDED);
                Cow::Owned(format!(
                    "no valid token within {time}; there is no more while newcomers are many"
                ))
            }
            cause => cause.reason(),
        }
    }

    /// Ends the linger. What the peer was offered and has not taken by now it will not take. But
    /// its last words may still wait for their turn to be offered.
    fn end_linger(&mut self, now: Now, key: u32) {
        let outbox = self.sessions[key].outbox();
        let waits = self.write_queue.contains(self.sessions.id(key));
        if outbox.is_empty() {
            self.free(key, Ending::Close);
        } else if !waits || outbox.unoffered_bytes() == 0 {
            self.free(key, Ending::Reset);
        } else {
            self.sessions.change(key, |state| {
                if let State::Closing { linger_by, .. } = state {
                    // They were not offered yet, which is our doing: the connection has one tick
                    // more.
                    *linger_by = now.monotonic + TICK;
                }
            });
        }
    }

    /// Sends a Ping to ask for a sign of life (RFC 6455 §5.5.2).
    fn ask(&mut self, now: Now, key: u32) {
        if let Some(open) = self.sessions.open_mut(key) {
            open.ping = Ping::Waiting;
            self.push(now, key, |out| frame::write_ping(out, b""));
        }
    }
}
