//! The deadlines of a session: one table, which says when each is due and what its passing causes.
//! Both the scheduling and the judging read it, so that they cannot differ. Each bounds a whole
//! operation: no received byte extends it.

use crate::app::Fault;
use crate::limits::{AUTH_TIMEOUT_CROWDED, LOGIN_TIMEOUT};
use crate::time::{Instant, Now};
use crate::wire::frame;

use super::Ending;
use super::cause::Cause;
use super::hub::Hub;
use super::report::What;
use super::session::{Open, State};

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

impl Hub {
    /// Calls `row` for each deadline the session has, with when it is due and what its passing
    /// causes. Of those that are due at once the first row counts.
    fn each_deadline(&self, now: Now, key: u32, mut row: impl FnMut(Instant, Passing)) {
        let session = &self.sessions[key as usize];
        match &session.state {
            State::Proxy { by, .. } | State::Head { by, .. } | State::Body { by, .. } => {
                row(
                    *by,
                    Passing::Abandon(Cause::HandshakeTimeout, Ending::Close),
                );
            }
            State::Answering { by } => row(*by, Passing::GiveUpLogin),
            State::Finishing { linger_by, .. } => row(*linger_by, Passing::Free),
            State::Gone => {}
            State::Open(open) => {
                match self.presence.dates(key) {
                    Some(dates) => row(
                        now.instant_of(dates.expires_at),
                        Passing::Refuse(Cause::Expired),
                    ),
                    None => row(self.auth_by(open), Passing::Refuse(Cause::AuthTimeout)),
                }
                if let Some(since) = open.message_since {
                    let by = since + self.config.message_timeout;
                    row(by, Passing::Refuse(Cause::MessageTimeout));
                }
                if let Some(since) = session.outbox.stalled_since() {
                    row(since + self.config.write_timeout, Passing::DropSlowReader);
                }
                match open.asked_at {
                    Some(asked_at) => row(
                        asked_at + self.config.pong_timeout,
                        Passing::Abandon(Cause::PongTimeout, Ending::Reset),
                    ),
                    None => row(open.heard_at + self.config.ping_interval, Passing::Ask),
                }
            }
        }
    }

    /// When the first valid token must have come: patient when calm, since a person may be
    /// typing, ruthless when crowded.
    fn auth_by(&self, open: &Open) -> Instant {
        let calm = self.config.auth_timeout;
        let patience = if self.is_crowded {
            calm.min(AUTH_TIMEOUT_CROWDED)
        } else {
            calm
        };
        open.opened_at + patience
    }

    /// Sees to it that the session is looked at when its next deadline comes.
    pub(super) fn schedule(&mut self, now: Now, key: u32) {
        let mut next: Option<Instant> = None;
        self.each_deadline(now, key, |at, _| {
            next = Some(next.map_or(at, |next| next.min(at)));
        });
        if let Some(at) = next {
            self.deadlines.schedule(key, at);
        }
    }

    /// Deals with the session's deadlines that have passed.
    pub(super) fn deadline(&mut self, now: Now, key: u32) {
        let mut passed = None;
        self.each_deadline(now, key, |at, passing| {
            if at <= now.monotonic {
                passed.get_or_insert(passing);
            }
        });
        match passed {
            Some(Passing::Abandon(cause, ending)) => {
                self.abandon(now, key, What::Refused(cause), ending);
            }
            Some(Passing::Refuse(cause)) => self.refuse(now, key, cause, None, None),
            Some(Passing::DropSlowReader) => self.drop_slow_reader(now, key),
            Some(Passing::Ask) => self.ask(now, key),
            Some(Passing::GiveUpLogin) => {
                let retry_after = LOGIN_TIMEOUT;
                self.answer_http_login(now, key, Err(Fault::Busy { retry_after }));
            }
            Some(Passing::Free) => {
                // What the peer has not taken by now it will not take.
                let ending = match self.sessions[key as usize].outbox.is_empty() {
                    true => Ending::Close,
                    false => Ending::Reset,
                };
                self.release(key, ending);
            }
            None => {}
        }
        self.schedule(now, key);
    }

    /// Asks for a sign of life (RFC 6455 §5.5.2).
    fn ask(&mut self, now: Now, key: u32) {
        if let Some(open) = self.open_mut(key) {
            open.asked_at = Some(now.monotonic);
            self.push(now, key, |out| frame::write_ping(out, b""));
        }
    }
}
