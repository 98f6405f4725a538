//! When a session must be looked at, and what has passed by then. All of its deadlines are for the
//! whole of a thing: no byte puts one off.

use std::time::Duration;

use crate::app::Fault;
use crate::limits::{AUTH_TIMEOUT_CROWDED, LOGIN_TIMEOUT};
use crate::time::{Instant, Now};
use crate::wire::frame;

use super::Ending;
use super::cause::Cause;
use super::hub::Hub;
use super::report::What;
use super::session::{Open, State};

impl Hub {
    /// Sees to it that the session is looked at when its next deadline comes.
    pub(super) fn schedule(&mut self, now: Now, key: u32) {
        if let Some(at) = self.next_deadline(now, key) {
            self.deadlines.schedule(key, at);
        }
    }

    fn next_deadline(&self, now: Now, key: u32) -> Option<Instant> {
        let session = &self.sessions[key as usize];
        let write_by = session
            .outbox
            .stalled_since()
            .map(|since| since + self.config.write_timeout);
        match &session.state {
            State::Proxy { by, .. }
            | State::Head { by, .. }
            | State::Body { by, .. }
            | State::Answering { by } => Some(*by),
            State::Finishing { linger_by, .. } => Some(*linger_by),
            State::Gone => None,
            State::Open(open) => {
                let message_by = open
                    .message_since
                    .map(|since| since + self.config.message_timeout);
                let login_by = match self.presence.dates(key) {
                    Some(dates) => now.monotonic + now.until(dates.expires_at),
                    None => self.auth_by(open),
                };
                [
                    write_by,
                    message_by,
                    Some(login_by),
                    Some(self.alive_by(open)),
                ]
                .into_iter()
                .flatten()
                .min()
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

    /// When the peer must have given a sign of life: by itself, or on being asked.
    fn alive_by(&self, open: &Open) -> Instant {
        match open.asked_at {
            Some(asked_at) => asked_at + self.config.pong_timeout,
            None => open.heard_at + self.config.ping_interval,
        }
    }

    /// Looks which of the session's deadlines have passed.
    pub(super) fn deadline(&mut self, now: Now, key: u32) {
        let Some(session) = self.sessions.get(key as usize) else {
            return;
        };
        match &session.state {
            State::Proxy { by, .. } | State::Head { by, .. } | State::Body { by, .. }
                if *by <= now.monotonic =>
            {
                let what = What::Refused(Cause::HandshakeTimeout);
                self.abandon(now, key, what, Ending::Close);
            }
            State::Answering { by } if *by <= now.monotonic => {
                let retry_after = LOGIN_TIMEOUT;
                self.answer_http_login(now, key, Err(Fault::Busy { retry_after }));
            }
            State::Finishing { linger_by, .. } if *linger_by <= now.monotonic => {
                // What the peer has not taken by now it will not take.
                let ending = match session.outbox.is_empty() {
                    true => Ending::Close,
                    false => Ending::Reset,
                };
                self.release(key, ending);
            }
            State::Open(_) => self.open_deadline(now, key),
            State::Gone => {}
            _ => self.schedule(now, key),
        }
    }

    fn open_deadline(&mut self, now: Now, key: u32) {
        let passed = |since: Option<Instant>, patience: Duration| {
            since.is_some_and(|since| since + patience <= now.monotonic)
        };
        let dates = self.presence.dates(key);
        let session = &self.sessions[key as usize];
        let State::Open(open) = &session.state else {
            return;
        };
        if dates.is_some_and(|dates| dates.expires_at <= now.unix) {
            self.refuse(now, key, Cause::Expired, None, None);
        } else if dates.is_none() && self.auth_by(open) <= now.monotonic {
            self.refuse(now, key, Cause::AuthTimeout, None, None);
        } else if passed(open.message_since, self.config.message_timeout) {
            self.refuse(now, key, Cause::MessageTimeout, None, None);
        } else if passed(session.outbox.stalled_since(), self.config.write_timeout) {
            self.drop_slow_reader(now, key);
        } else if passed(open.asked_at, self.config.pong_timeout) {
            self.abandon(now, key, What::Refused(Cause::PongTimeout), Ending::Reset);
        } else {
            if open.asked_at.is_none() && self.alive_by(open) <= now.monotonic {
                self.ask(now, key);
            }
            if self.open_mut(key).is_some() {
                self.schedule(now, key);
            }
        }
    }

    /// Asks for a sign of life (RFC 6455 §5.5.2).
    fn ask(&mut self, now: Now, key: u32) {
        if let Some(open) = self.open_mut(key) {
            open.asked_at = Some(now.monotonic);
            self.push(now, key, |out| frame::write_ping(out, b""));
        }
    }
}
