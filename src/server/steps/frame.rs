//! An open WebSocket: frames in, answers out.
//!
//! Promises that no handler runs but on a frame whose token was verified in that frame (contract
//! §5.1), that nothing is read after a failure (contract §5.2), and that the same bytes give the
//! same answers however they are cut (contract §5.8). Refuses to know how a frame is spelled
//! (`wire`), what makes a token good (`gate`) and what an event means (`app`).

use std::borrow::Cow;
use std::mem;
use std::rc::Rc;

use zeroize::Zeroizing;

use crate::app::{Fault, Outcome};
use crate::gate::{AccountStatus, Admission, Bound, LOGIN, VerifiedToken};
use crate::limits::FRAGMENTS_MAX;
use crate::time::Now;
use crate::wire::frame::{self, Opcode};
use crate::wire::{Event, MessageRules};

use crate::server::answers::answer;
use crate::server::answers::cause::CloseCause;
use crate::server::core::{Core, Handlers, Undecided};
use crate::server::parts::members::Dates;
use crate::server::parts::sessions::Ping;
use crate::server::steps::host::Caller;

impl Core {
    /// Deals with every whole frame in `bytes`, and keeps only an unfinished one. When too much
    /// waits to be written it stops, and keeps the rest as [`Undecided`] for a later tick. The work
    /// is bounded by the bytes and by `RATE`: a frame too many ends the connection.
    pub(crate) fn receive_frames(
        &mut self,
        handlers: &mut Handlers,
        now: Now,
        key: u32,
        mut bytes: &mut [u8],
    ) {
        // Contract §3: a user whose revocation was committed 50 ms ago gets no further frame in.
        self.refresh_users(now);
        self.review_member(now, key);
        let Some(open) = self.sessions.open_mut(key) else {
            return;
        };
        // Any byte is a sign of life, and does for a Pong.
        open.alive_at = now.monotonic;
        open.ping = Ping::None;
        let Some(mut endpoint) = self.sessions.take_endpoint(key) else {
            return;
        };
        loop {
            // Asked ahead of each frame and not of each read: one read may hold hundreds of
            // broadcasts, and how the reads are cut must make no difference.
            if !bytes.is_empty() && (self.has_write_backlog() || self.is_answered_enough(key)) {
                let id = self.sessions.id(key);
                // They may hold a token or a password, and are wiped when they are dropped.
                let bytes = Zeroizing::new(bytes.to_vec());
                self.undecided = Some(Undecided { id, bytes });
                break;
            }
            match self.next_event(key, &mut endpoint, &mut bytes) {
                Ok(Some(event)) => self.receive_event(handlers, now, key, event),
                Ok(None) => break,
                Err(violation) => {
                    self.refuse(now, key, CloseCause::Wire(violation), None, None);
                }
            }
            // Contract §5.2: after a failure, and after a Close, nothing that arrived is read.
            let Some(open) = self.sessions.open_mut(key) else {
                return;
            };
            // The message is whole, or there was none: the next one has its own time.
            if !endpoint.is_unfinished() {
                open.message_since = None;
            }
        }
        if let Some(open) = self.sessions.open_mut(key) {
            // The time runs from the message's first byte: later bytes do not extend it.
            let began = open.message_since.unwrap_or(now.monotonic);
            open.message_since = endpoint.is_unfinished().then_some(began);
            self.sessions.put_endpoint(key, endpoint);
            self.schedule(now, key);
        }
    }

    /// Counts one frame against the rates, and deals with it by its kind.
    fn receive_event(&mut self, handlers: &mut Handlers, now: Now, key: u32, event: Event<'_>) {
        // Control frames count too (contract §4, `RATE`): a flood of Pings costs as much as one of
        // messages.
        if let Err(cause) = self.count_frame(now, key) {
            return self.refuse(now, key, cause, None, None);
        }
        match event {
            Event::Text(Cow::Borrowed(text)) => self.receive_text(handlers, now, key, text),
            // A message that came in pieces was put together on the heap: it is wiped there.
            Event::Text(Cow::Owned(text)) => {
                self.receive_text(handlers, now, key, &Zeroizing::new(text));
            }
            // RFC 6455 §5.5.3: a Pong carries the payload of its Ping.
            Event::Ping(payload) => self.push(now, key, |out| frame::write_pong(out, &payload)),
            Event::Pong(_) | Event::Fragment => {}
            // RFC 6455 §5.5.1: a Close is answered with the code that it came with.
            Event::Close(close) => {
                let close = close.map(|(code, _)| (code, ""));
                self.close(now, key, CloseCause::PeerLeft, close);
            }
            // The rules refuse a binary message by its header, so none comes here.
            Event::Binary(_) => {}
        }
    }

    /// Deals with one Text message. This is the one place where a frame is let through the gate.
    fn receive_text(&mut self, handlers: &mut Handlers, now: Now, key: u32, text: &str) {
        // A member's user was looked at again if it changed in the store, so the gate need not ask
        // the store.
        let user = self.members.user(key);
        let user = user.map(|user| (Rc::clone(&user.id), user.standing));
        // Contract §1: a connection is bound to one subject; a frame with another is refused.
        let bound = user.as_ref().map(|(id, standing)| Bound {
            subject: id,
            standing: *standing,
        });
        // Looked at where it lies, and not copied: see `Gate::admit_token`.
        match &handlers.gate.admit(text, bound, self, now.unix) {
            Ok(Admission::Admitted(frame)) => {
                if !self.admit(now, key, frame.pass()) {
                    return;
                }
                // The buffer is used again for each answer, so that a handler writes without
                // allocating.
                let mut data = mem::take(&mut self.answer_scratch);
                data.clear();
                let mut host = Caller {
                    core: self,
                    now,
                    key,
                    frame_id: frame.id(),
                };
                let result = handlers.events.run(&mut host, frame, &mut data);
                self.conclude(now, key, frame.event(), frame.id(), result, &data);
                self.answer_scratch = data;
            }
            // `login` is the one event that needs no token.
            Ok(Admission::Login(frame)) => {
                let mut host = Caller {
                    core: self,
                    now,
                    key,
                    frame_id: frame.id(),
                };
                if let Err(fault) = handlers.events.run_login(&mut host, frame) {
                    let fault = self.meter_no_login(now, key, fault);
                    // It was read without a token. Uncounted, it would be work that any peer may
                    // cause for nothing.
                    if let Fault::BadData(_) = fault {
                        self.count_hostile(now, key);
                    }
                    self.fault(now, key, frame.id(), Some(LOGIN), fault);
                }
            }
            Err(denial) => {
                let cause = CloseCause::Gate(denial.cause);
                self.refuse(now, key, cause, denial.id, denial.event.as_deref());
            }
        }
    }
}

impl Core {
    /// Returns what the connection may send now: before it is logged in, shorter messages.
    pub(crate) fn message_rules(&self, key: u32) -> MessageRules {
        let bytes_max = match self.members.user(key) {
            Some(_) => self.policy.config.message_bytes_max,
            None => self.policy.config.message_before_login_bytes_max,
        };
        MessageRules {
            bytes_max,
            fragments_max: FRAGMENTS_MAX,
            // Contract §1: binary messages are refused with 1003.
            binary: false,
        }
    }

    /// Counts a frame of the connection, and of its user over all its connections.
    ///
    /// # Errors
    /// The rate that it is over.
    fn count_frame(&mut self, now: Now, key: u32) -> Result<(), CloseCause> {
        let frames = self.policy.frames;
        let is_within = self
            .sessions
            .open_mut(key)
            .is_some_and(|open| frames.admit(&mut open.meter, now.monotonic).is_ok());
        match is_within {
            true => self.count_user_frame(now, key),
            false => Err(CloseCause::RateLimited),
        }
    }

    /// Counts a frame of the connection's user, if it is logged in. The rate of a connection alone
    /// does not bound a user, who may have many connections, and new ones after them.
    ///
    /// # Errors
    /// `UserRateLimited` past the rate.
    fn count_user_frame(&mut self, now: Now, key: u32) -> Result<(), CloseCause> {
        let frames = self.policy.user_frames;
        let is_within = self.members.user_mut(key).is_none_or(|user| {
            let meter = &mut user.spending.frames;
            frames.admit(meter, now.monotonic).is_ok()
        });
        is_within.then_some(()).ok_or(CloseCause::UserRateLimited)
    }

    /// Takes a verified token: the first logs the connection in, a newer one moves its expiry.
    /// Returns false when the connection is not logged in: it was refused.
    pub(crate) fn admit(&mut self, now: Now, key: u32, pass: &VerifiedToken<'_>) -> bool {
        let dates = Dates {
            issued_at: pass.issued_at(),
            expires_at: pass.expires_at(),
        };
        self.log_in(now, key, pass.subject(), dates, pass.standing())
    }

    /// Logs the connection in for as long as its token would be admitted. Returns false when the
    /// connection was refused instead: its user has as many connections as it may have, or sends
    /// more frames over all of them than it may; or it is too slow a reader.
    pub(crate) fn log_in(
        &mut self,
        now: Now,
        key: u32,
        id: &str,
        dates: Dates,
        standing: AccountStatus,
    ) -> bool {
        // The gate admits a token for `LEEWAY` longer than it says, and so does the connection
        // live.
        let expires_at = dates.expires_at.plus(self.policy.leeway_seconds);
        let dates = Dates {
            expires_at,
            ..dates
        };
        if self.members.is_member(key) {
            // What was said before this token came is given by the dates of the old one.
            if self.catch_up(now, key) {
                self.drop_slow_reader(now, key);
                return false;
            }
            self.members.renew(key, dates);
            return true;
        }
        let connections_max = self.policy.config.connections_per_user_max;
        // Contract §1: the newest connection is refused, and the others stay. 0 turns the cap off.
        if connections_max > 0 && self.members.count_of(id) >= connections_max {
            self.refuse(now, key, CloseCause::TooManyConnections, None, None);
            return false;
        }
        // It hears what is said from now on (contract §5.5).
        let given = self.broadcasts.published();
        self.members.enter(key, id, dates, standing, given);
        self.leave_pending(key);
        self.promote_flush(key);
        self.schedule(now, key);
        // The frame that logs in was counted for the connection alone: its user was not known then.
        let counted = self.count_user_frame(now, key);
        if let Err(cause) = counted {
            self.refuse(now, key, cause, None, None);
        }
        counted.is_ok()
    }

    /// Answers a frame by what its handler returned.
    fn conclude(
        &mut self,
        now: Now,
        key: u32,
        event: &str,
        id: Option<&str>,
        result: Result<Outcome, Fault>,
        data: &[u8],
    ) {
        // The handler itself may have ended the connection, as the slow reader of its own message.
        if self.sessions.open_mut(key).is_none() {
            return;
        }
        match result {
            Ok(Outcome::Answer) => self.answer(now, key, event, id, data),
            Ok(Outcome::Silent) => {}
            Err(fault) => self.fault(now, key, id, Some(event), fault),
        }
    }

    /// Queues the answer to an event; `data` is its JSON.
    pub(crate) fn answer(
        &mut self,
        now: Now,
        key: u32,
        event: &str,
        id: Option<&str>,
        data: &[u8],
    ) {
        self.push(now, key, |out| {
            frame::write_with(out, Opcode::Text, |out| {
                answer::event(out, event, id, |out| out.extend_from_slice(data));
            });
        });
    }

    /// Queues the error that tells of a fault. The connection stays open.
    pub(crate) fn answer_fault(&mut self, now: Now, key: u32, id: Option<&str>, fault: Fault) {
        let (reason, wait) = (fault.to_string(), fault.retry_after());
        self.push(now, key, |out| {
            frame::write_with(out, Opcode::Text, |out| {
                answer::error(out, id, fault.code(), &reason, wait)
            });
        });
    }
}
