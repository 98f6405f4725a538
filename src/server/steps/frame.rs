//! An open WebSocket: frames in, answers out.

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
    /// Bytes of frames. Every whole frame in them is dealt with; only an unfinished one is kept.
    /// Work is bounded by the bytes, and by the rate: a frame too many ends the connection.
    pub(crate) fn receive_frames(
        &mut self,
        handlers: &mut Handlers,
        now: Now,
        key: u32,
        mut bytes: &mut [u8],
    ) {
        self.refresh_users(now);
        self.review_member(now, key);
        let Some(open) = self.sessions.open_mut(key) else {
            return;
        };
        open.alive_at = now.monotonic;
        open.ping = Ping::None;
        let Some(mut endpoint) = self.sessions.take_endpoint(key) else {
            return;
        };
        loop {
            // Asked ahead of each frame, wherever the reads were cut.
            if !bytes.is_empty() && (self.is_pressed() || self.is_answered_enough(key)) {
                let id = self.sessions.id(key);
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
            // After a failure, and after a Close, nothing that arrived is read.
            let Some(open) = self.sessions.open_mut(key) else {
                return;
            };
            // What begins after it has a time of its own.
            if !endpoint.is_unfinished() {
                open.message_since = None;
            }
        }
        if let Some(open) = self.sessions.open_mut(key) {
            let began = open.message_since.unwrap_or(now.monotonic);
            open.message_since = endpoint.is_unfinished().then_some(began);
            self.sessions.put_endpoint(key, endpoint);
            self.schedule(now, key);
        }
    }

    fn receive_event(&mut self, handlers: &mut Handlers, now: Now, key: u32, event: Event<'_>) {
        if let Err(cause) = self.count_frame(now, key) {
            return self.refuse(now, key, cause, None, None);
        }
        match event {
            Event::Text(Cow::Borrowed(text)) => self.receive_text(handlers, now, key, text),
            // It came in pieces, and has a place of its own, which is freed.
            Event::Text(Cow::Owned(text)) => {
                self.receive_text(handlers, now, key, &Zeroizing::new(text));
            }
            // RFC 6455 §5.5.3: a Pong carries what its Ping did.
            Event::Ping(payload) => self.push(now, key, |out| frame::write_pong(out, &payload)),
            Event::Pong(_) | Event::Fragment => {}
            // RFC 6455 §5.5.1: a Close is answered with the code it came with.
            Event::Close(close) => {
                let close = close.map(|(code, _)| (code, ""));
                self.close(now, key, CloseCause::PeerLeft, close);
            }
            // The rules refuse a binary message by its header.
            Event::Binary(_) => {}
        }
    }

    /// One Text message: the one place where a frame is let through the gate.
    fn receive_text(&mut self, handlers: &mut Handlers, now: Now, key: u32, text: &str) {
        // Who is logged in was looked at after the store last changed, and is not asked for.
        let person = self.members.user(key);
        let person = person.map(|person| (Rc::clone(&person.id), person.standing));
        let bound = person.as_ref().map(|(id, standing)| Bound {
            subject: id,
            standing: *standing,
        });
        match handlers.gate.admit(text, bound, self, now.unix) {
            Ok(Admission::Admitted(frame)) => {
                if !self.admit(now, key, frame.pass()) {
                    return;
                }
                let mut data = mem::take(&mut self.answer_scratch);
                data.clear();
                let mut host = Caller {
                    core: self,
                    now,
                    key,
                    frame_id: frame.id(),
                };
                let result = handlers.events.run(&mut host, &frame, &mut data);
                self.conclude(now, key, frame.event(), frame.id(), result, &data);
                self.answer_scratch = data;
            }
            Ok(Admission::Login(frame)) => {
                let mut host = Caller {
                    core: self,
                    now,
                    key,
                    frame_id: frame.id(),
                };
                if let Err(fault) = handlers.events.run_login(&mut host, &frame) {
                    let fault = self.meter_no_login(now, key, fault);
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
    /// What the connection may send now.
    pub(crate) fn message_rules(&self, key: u32) -> MessageRules {
        let bytes_max = match self.members.user(key) {
            Some(_) => self.policy.config.message_bytes_max,
            None => self.policy.config.message_before_login_bytes_max,
        };
        MessageRules {
            bytes_max,
            fragments_max: FRAGMENTS_MAX,
            binary: false,
        }
    }

    /// Counts a frame of the connection, and of its user over all its connections.
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

    fn count_user_frame(&mut self, now: Now, key: u32) -> Result<(), CloseCause> {
        let frames = self.policy.user_frames;
        let is_within = self.members.user_mut(key).is_none_or(|person| {
            let meter = &mut person.spending.frames;
            frames.admit(meter, now.monotonic).is_ok()
        });
        is_within.then_some(()).ok_or(CloseCause::UserRateLimited)
    }

    /// A verified token: the first logs the connection in, a newer one moves its expiry. Returns
    /// whether the connection is logged in; if not, it was refused.
    pub(crate) fn admit(&mut self, now: Now, key: u32, pass: &VerifiedToken<'_>) -> bool {
        let dates = Dates {
            issued_at: pass.issued_at(),
            expires_at: pass.expires_at(),
        };
        self.log_in(now, key, pass.subject(), dates, pass.standing())
    }

    /// The connection is logged in for as long as its token would be admitted; or it is refused, when
    /// its user has as many connections as it may have, or sends more frames over all of them than
    /// it may, or is too slow a reader. Returns which.
    pub(crate) fn log_in(
        &mut self,
        now: Now,
        key: u32,
        id: &str,
        dates: Dates,
        standing: AccountStatus,
    ) -> bool {
        let expires_at = dates.expires_at.plus(self.policy.leeway_seconds);
        let dates = Dates {
            expires_at,
            ..dates
        };
        if self.members.is_member(key) {
            // A newer token is not good for what was said before it came.
            if self.catch_up(now, key) {
                self.drop_slow_reader(now, key);
                return false;
            }
            self.members.renew(key, dates);
            return true;
        }
        let connections_max = self.policy.config.connections_per_user_max;
        if connections_max > 0 && self.members.count_of(id) >= connections_max {
            self.refuse(now, key, CloseCause::TooManyConnections, None, None);
            return false;
        }
        let given = self.broadcasts.published();
        self.members.enter(key, id, dates, standing, given);
        self.leave_pending(key);
        self.promote_flush(key);
        self.schedule(now, key);
        // The frame that logs in was counted for the connection alone.
        let counted = self.count_user_frame(now, key);
        if let Err(cause) = counted {
            self.refuse(now, key, cause, None, None);
        }
        counted.is_ok()
    }

    /// What a handler came to.
    fn conclude(
        &mut self,
        now: Now,
        key: u32,
        event: &str,
        id: Option<&str>,
        result: Result<Outcome, Fault>,
        data: &[u8],
    ) {
        // The handler itself may have ended the connection, as the slow reader of a broadcast.
        if self.sessions.open_mut(key).is_none() {
            return;
        }
        match result {
            Ok(Outcome::Answer) => self.answer(now, key, event, id, data),
            Ok(Outcome::Silent) => {}
            Err(fault) => self.fault(now, key, id, Some(event), fault),
        }
    }

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

    pub(crate) fn answer_fault(&mut self, now: Now, key: u32, id: Option<&str>, fault: Fault) {
        let (reason, wait) = (fault.to_string(), fault.retry_after());
        self.push(now, key, |out| {
            frame::write_with(out, Opcode::Text, |out| {
                answer::error(out, id, fault.code(), &reason, wait)
            });
        });
    }
}
