//! How a connection ends: with last words, or without; at once, or after a linger.

use std::borrow::Cow;
use std::time::Duration;

use crate::limits::{LINGERING_MAX, LINGERING_PER_ADDRESS_MAX, STOP_PATIENCE};
use crate::server::answers::answer;
use crate::server::answers::cause::CloseCause;
use crate::server::answers::report::ReportKind;
use crate::server::connection::Ending;
use crate::server::core::Core;
use crate::server::parts::sessions::State;
use crate::server::parts::timer_wheel::TICK;
use crate::time::Now;
use crate::wire::CloseCode;
use crate::wire::frame::{self, Opcode};

impl Core {
    /// The end of everything.
    pub(crate) fn shut_down(&mut self, now: Now) {
        self.stopping = true;
        let keys: Vec<u32> = self.sessions.iter().map(|(key, _)| key).collect();
        for key in keys {
            match self.sessions[key].state() {
                State::Open(_) => {
                    let close = (
                        CloseCode::GOING_AWAY,
                        "the server is stopping; come back later",
                    );
                    self.close(now, key, CloseCause::ShuttingDown, Some(close));
                }
                // What was asked is answered, and what is asked now told that we are stopping: a
                // balancer learns it so on the connection it has.
                State::Head { .. } | State::Body { .. } | State::Answering { .. } => {
                    let by = now.monotonic + STOP_PATIENCE;
                    self.sessions.change(key, |state| state.hurry(by));
                    self.schedule(now, key);
                }
                // It goes when its answer is known, and that is soon.
                State::LoggingOut { .. } | State::Closing { .. } | State::Closed => {}
            }
        }
    }

    /// Throws the connection out: one error and one Close after what was already answered, then
    /// no more (contract §1, "How a connection ends"). `frame_id` and `event` are those of the
    /// frame at fault, as the peer wrote them.
    pub(crate) fn refuse(
        &mut self,
        now: Now,
        key: u32,
        cause: CloseCause,
        frame_id: Option<&str>,
        event: Option<&str>,
    ) {
        self.refuse_in_words(now, key, cause, frame_id, event, (cause.reason(), None));
    }

    /// As [`Core::refuse`], with a reason that says more than the cause's own, and when to come back.
    pub(crate) fn refuse_in_words(
        &mut self,
        now: Now,
        key: u32,
        cause: CloseCause,
        frame_id: Option<&str>,
        event: Option<&str>,
        (reason, retry_after): (Cow<'static, str>, Option<Duration>),
    ) {
        self.report(now, key, ReportKind::Refused(cause), event);
        self.catch_up(now, key);
        self.sessions.queue(key, now.monotonic, |out| {
            if let Some(code) = cause.error_code() {
                frame::write_with(out, Opcode::Text, |out| {
                    answer::error(out, frame_id, code, &reason, retry_after);
                });
            }
            if let Some(code) = cause.close_code() {
                frame::write_close(out, Some((code, &reason)));
            }
        });
        self.begin_close(now, key);
    }

    /// Ends the connection in peace, with a Close.
    pub(crate) fn close(
        &mut self,
        now: Now,
        key: u32,
        cause: CloseCause,
        close: Option<(CloseCode, &str)>,
    ) {
        self.report(now, key, ReportKind::Closed(cause), None);
        self.catch_up(now, key);
        self.sessions.queue(key, now.monotonic, |out| {
            frame::write_close(out, close);
        });
        self.begin_close(now, key);
    }

    /// What waits is dropped but for the frame under way, so that the Close comes first where the
    /// socket still takes it.
    pub(crate) fn drop_slow_reader(&mut self, now: Now, key: u32) {
        self.cut(key);
        self.refuse(now, key, CloseCause::SlowReader, None, None);
    }

    /// The peer's FIN was seen, and what was asked ahead of it is answered.
    pub(crate) fn leave(&mut self, now: Now, key: u32) {
        self.report(now, key, ReportKind::Closed(CloseCause::PeerLeft), None);
        self.begin_close(now, key);
    }

    /// From here on nothing that arrives is read; what waits is written, then our FIN.
    pub(crate) fn begin_close(&mut self, now: Now, key: u32) {
        self.catch_up(now, key);
        if self.members.is_member(key) {
            // Thousands may end at once: they delay no answer, and no stranger delays them.
            self.write_queue.queue_broadcast(self.sessions.id(key));
        }
        self.members.leave(key);
        self.leave_pending(key);
        // The descriptor is free by the end of the linger, though a deadline is noticed late.
        let linger_by = now.monotonic + self.policy.config.linger.saturating_sub(TICK);
        let closing = State::Closing {
            linger_by,
            fin_sent: false,
        };
        self.sessions.set_state(key, closing);
        self.queue_flush(key);
        self.timer_wheel.schedule(key, linger_by);
    }

    /// Every byte of a finishing session has left: our FIN follows, and the wait for the peer's,
    /// if there is room for that.
    pub(crate) fn flushed(&mut self, now: Now, key: u32) {
        let session = &self.sessions[key];
        let State::Closing {
            linger_by,
            fin_sent: false,
        } = *session.state()
        else {
            return;
        };
        if session.peer_finished {
            self.free(key, Ending::Close);
        } else if self.is_to_be_reset(now, key) {
            self.free(key, Ending::Reset);
        } else if !self.may_linger(key) {
            self.free(key, Ending::Close);
        } else {
            let lingering = State::Closing {
                linger_by,
                fin_sent: true,
            };
            self.sessions.set_state(key, lingering);
            self.quotas.linger(self.sessions[key].counted_address());
            let id = self.sessions.id(key);
            self.endings.push_back((id, Ending::Fin));
        }
    }

    /// Whether our FIN comes after the last words, and no reset, which would overtake them.
    pub(crate) fn ends_with_fin(&self, now: Now, key: u32) -> bool {
        let session = &self.sessions[key];
        let is_finishing = matches!(session.state(), State::Closing { .. });
        is_finishing && (session.peer_finished || !self.is_to_be_reset(now, key))
    }

    /// A connection that failed for a hostile cause is reset once its last words are written, where
    /// it may not linger or its address is more than half on its way to a ban. No other is: its
    /// neighbours on that address have done nothing.
    fn is_to_be_reset(&self, now: Now, key: u32) -> bool {
        let suspect = |address| {
            self.bans
                .is_suspect(&self.policy.bans, address, now.monotonic)
        };
        let is_suspect = || self.sessions[key].counted_address().is_some_and(suspect);
        let is_hostile = self.sessions[key].is_hostile;
        is_hostile && !self.stopping && (!self.may_linger(key) || is_suspect())
    }

    /// The lingering are few by a cap, of which no address has more than a share.
    fn may_linger(&self, key: u32) -> bool {
        let lingering_of = |address| self.quotas.of(address).lingering;
        let of_address = self.sessions[key].counted_address().map_or(0, lingering_of);
        self.stopping
            || self.quotas.lingering() < LINGERING_MAX && of_address < LINGERING_PER_ADDRESS_MAX
    }

    /// The one way out: the session is deregistered everywhere, and its descriptor is to go.
    pub(crate) fn free(&mut self, key: u32, ending: Ending) {
        if self.sessions[key].is_closed() {
            return;
        }
        // What it has missed is dropped while it is still a member.
        self.forgo(key);
        let (id, address) = (self.sessions.id(key), self.sessions[key].counted_address());
        let state = self.sessions.close(key);
        if matches!(state, State::Closing { fin_sent: true, .. }) {
            self.quotas.linger_no_more(address);
        }
        self.members.leave(key);
        self.quotas.leave(key, address);
        self.timer_wheel.cancel(key);
        self.write_queue.forget(id);
        self.endings.push_back((id, ending));
    }

    /// The connection broke off without a last word of ours.
    pub(crate) fn abort(&mut self, now: Now, key: u32, what: ReportKind, ending: Ending) {
        if !matches!(self.sessions[key].state(), State::Closing { .. }) {
            self.report(now, key, what, None);
        }
        self.free(key, ending);
    }
}
