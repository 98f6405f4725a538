//! How a connection ends: with last words or without, at once or after a linger (contract §1, "How
//! a connection ends").
//!
//! Promises that each connection is deregistered exactly once, by [`Core::free`] (contract §5.3),
//! and that after its last words nothing leaves and nothing that arrives is read (contract §5.2).
//! Refuses to know descriptors: it says which are to be shut, closed or reset, and the turn does
//! that.

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
    /// Begins to stop the server. WebSockets get Close 1001; requests under way have
    /// [`STOP_PATIENCE`] to finish. O(connections).
    pub(crate) fn shut_down(&mut self, now: Now) {
        self.stopping = true;
        // Collected first: to close a connection changes the sessions.
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
                // A request that was sent is answered, and one that comes now is told that the
                // server stops: so a balancer learns it on the connection that it has.
                State::Head { .. } | State::Body { .. } | State::Answering { .. } => {
                    let by = now.monotonic + STOP_PATIENCE;
                    self.sessions.change(key, |state| state.hurry(by));
                    self.schedule(now, key);
                }
                // These end soon by themselves: with the store's answer, or with the linger.
                State::LoggingOut { .. } | State::Closing { .. } | State::Closed => {}
            }
        }
    }

    /// Refuses the connection: queues one error frame and one Close frame after what was already
    /// answered, and nothing more (contract §1, "How a connection ends"). `frame_id` and `event`
    /// are those of the frame at fault, as the peer wrote them.
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

    /// As [`Core::refuse`], with a reason that says more than the cause's own, and with the time
    /// after which the client may come back.
    pub(crate) fn refuse_in_words(
        &mut self,
        now: Now,
        key: u32,
        cause: CloseCause,
        frame_id: Option<&str>,
        event: Option<&str>,
        (reason, retry_after): (Cow<'static, str>, Option<Duration>),
    ) {
        // Reported while it is still a member: the line in the log names its user.
        self.report(now, key, ReportKind::Refused(cause), event);
        // What was broadcast before the refusal comes ahead of it (contract §5.5).
        self.catch_up(now, key);
        // Queued together, so that error and Close leave in one write (contract §1).
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

    /// Closes the connection in peace: queues `close` after what already waits for it.
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

    /// Closes a slow reader. Drops what waits for it except the rest of the frame that is half
    /// written, so that the Close comes next if the socket still takes it (contract §1: 1013, else
    /// a reset).
    pub(crate) fn drop_slow_reader(&mut self, now: Now, key: u32) {
        // A frame is never cut in the middle: the peer would take the Close for the rest of its
        // payload.
        self.cut(key);
        self.refuse(now, key, CloseCause::SlowReader, None, None);
    }

    /// Ends the connection after the peer's FIN. What the peer asked ahead of its FIN is answered
    /// by now.
    pub(crate) fn leave(&mut self, now: Now, key: u32) {
        self.report(now, key, ReportKind::Closed(CloseCause::PeerLeft), None);
        self.begin_close(now, key);
    }

    /// Begins the end of a connection: deregisters it, has what waits for it written, and our FIN
    /// after that. Nothing that arrives from here on is read.
    pub(crate) fn begin_close(&mut self, now: Now, key: u32) {
        // Ahead of `members.leave`, which forgets what the member has yet to be given.
        self.catch_up(now, key);
        if self.members.is_member(key) {
            // The last words of a member go with the broadcasts. Thousands of members may end in
            // one second, when their tokens expire together: they delay no answer, and no pending
            // connection delays them.
            self.write_queue.queue_broadcast(self.sessions.id(key));
        }
        self.members.leave(key);
        self.leave_pending(key);
        // A deadline is noticed up to a tick late, and the descriptor is to be free within the
        // linger (contract §5.3).
        let linger_by = now.monotonic + self.policy.config.linger.saturating_sub(TICK);
        let closing = State::Closing {
            linger_by,
            fin_sent: false,
        };
        self.sessions.set_state(key, closing);
        self.queue_flush(key);
        self.timer_wheel.schedule(key, linger_by);
    }

    /// Goes on with a closing session whose last byte has left: our FIN follows, and the wait for
    /// the peer's FIN if the connection may linger. Does nothing for other sessions.
    pub(crate) fn flushed(&mut self, now: Now, key: u32) {
        let session = &self.sessions[key];
        let State::Closing {
            linger_by,
            fin_sent: false,
        } = *session.state()
        else {
            return;
        };
        // Both sides are done: there is no FIN to wait for.
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

    /// True when our FIN follows the last words. The socket may then hold these back, to send both
    /// in one segment. Before a reset it must not: the reset would overtake them.
    pub(crate) fn ends_with_fin(&self, now: Now, key: u32) -> bool {
        let session = &self.sessions[key];
        let is_finishing = matches!(session.state(), State::Closing { .. });
        is_finishing && (session.peer_finished || !self.is_to_be_reset(now, key))
    }

    /// True when the connection is reset once its last words are written: it failed for a hostile
    /// cause, and there is no room to linger or its address is more than half way to a ban
    /// (contract §1). No other connection is: its neighbours on that address have done nothing.
    fn is_to_be_reset(&self, now: Now, key: u32) -> bool {
        let suspect = |address| {
            self.bans
                .is_suspect(&self.policy.bans, address, now.monotonic)
        };
        let is_suspect = || self.sessions[key].counted_address().is_some_and(suspect);
        let is_hostile = self.sessions[key].is_hostile;
        is_hostile && !self.stopping && (!self.may_linger(key) || is_suspect())
    }

    /// True when one more connection may linger. The lingering keep their descriptors, so a cap
    /// bounds them all, and a smaller one those of one address: no address can take the whole room.
    fn may_linger(&self, key: u32) -> bool {
        let lingering_of = |address| self.quotas.of(address).lingering;
        let of_address = self.sessions[key].counted_address().map_or(0, lingering_of);
        self.stopping
            || self.quotas.lingering() < LINGERING_MAX && of_address < LINGERING_PER_ADDRESS_MAX
    }

    /// The one way out: deregisters the session everywhere and has its descriptor end by `ending`.
    pub(crate) fn free(&mut self, key: u32, ending: Ending) {
        // Contract §5.3: exactly once, also when two causes end a connection in one turn.
        if self.sessions[key].is_closed() {
            return;
        }
        // While it is still a member: each broadcast counts the members that have yet to get it.
        self.forgo(key);
        let (id, address) = (self.sessions.id(key), self.sessions[key].counted_address());
        let state = self.sessions.close(key);
        // Only those whose FIN was sent are counted as lingering.
        if matches!(state, State::Closing { fin_sent: true, .. }) {
            self.quotas.linger_no_more(address);
        }
        self.members.leave(key);
        self.quotas.leave(key, address);
        self.timer_wheel.cancel(key);
        self.write_queue.forget(id);
        self.endings.push_back((id, ending));
    }

    /// Ends the connection at once, without last words of ours.
    pub(crate) fn abort(&mut self, now: Now, key: u32, what: ReportKind, ending: Ending) {
        // A closing session was reported when it began to close.
        if !matches!(self.sessions[key].state(), State::Closing { .. }) {
            self.report(now, key, what, None);
        }
        self.free(key, ending);
    }
}
