//! By when things must have come to pass, and what may have come to pass by now.

use std::time::Duration;

use framegate::internals::gate;
use framegate::internals::limits::{AUTH_TIMEOUT_CROWDED, STOP_PATIENCE};
use framegate::internals::server::CloseCause;
use framegate::internals::time::Instant;

use super::link::{Link, Stage};
use super::model_connections::outcome_of;
use super::world::World;

/// How late a deadline may be noticed.
pub(super) const SLACK: Duration = Duration::from_millis(20);
/// How long a silent listener may stay whose token is over, or who may no longer be here.
const REVIEW: Duration = Duration::from_secs(1);

impl World<'_> {
    /// Counts a frame against the connection's rate: true when it is within it.
    pub(super) fn count_frame(&mut self, index: usize) -> bool {
        let rate = self.config.frame_rate;
        if rate.count == 0 {
            return true;
        }
        let now = self.now.monotonic.as_micros();
        let interval = rate.period.as_micros() as u64 / u64::from(rate.count);
        let meter = &mut self.links[index].meter_micros;
        let due = now.max(*meter) + interval;
        let is_within = due - now <= interval * u64::from(self.config.frame_burst);
        if is_within {
            *meter = due;
        }
        is_within
    }

    pub(super) fn note_unfinished(&mut self, index: usize) {
        let now = self.now.monotonic;
        let link = &mut self.links[index];
        link.unfinished_since = match link.is_unfinished() {
            true => link.unfinished_since.or(Some(now)),
            false => None,
        };
    }

    /// Whether the connection may have ended for this by now.
    pub(super) fn is_due(&self, index: usize, cause: CloseCause) -> bool {
        let (link, config) = (&self.links[index], &self.config);
        let is_past = |since: Option<Instant>, patience: Duration| {
            since.is_some_and(|since| since + patience <= self.now.monotonic)
        };
        let is_stranger = link.stage == Stage::Open && link.member.is_none();
        match cause {
            // Who began a request is told from who said nothing.
            CloseCause::HandshakeTimeout | CloseCause::NoRequest => {
                link.stage == Stage::Asking
                    && is_past(Some(link.accepted_at), config.handshake_timeout)
                    && link.is_unfinished() == (cause == CloseCause::HandshakeTimeout)
            }
            CloseCause::PeerLeft => {
                link.stage == Stage::Open && link.has_finished
                    || !link.is_over() && link.is_broken()
            }
            CloseCause::ShuttingDown => {
                // A deadline of its own may come first.
                let is_late = is_past(Some(link.accepted_at), config.handshake_timeout);
                link.stage == Stage::Asking
                    && self.stopping_since.is_some()
                    && (is_late || is_past(self.stopping_since, STOP_PATIENCE))
            }
            // Who had all the time there is when it is calm is told from who had not. How long a
            // password takes to be checked is not the peer's doing.
            CloseCause::AuthTimeout | CloseCause::AuthTimeoutCrowded => {
                let is_calm_over = is_past(Some(link.opened_at), config.auth_timeout);
                is_stranger
                    && !self.turn.core.awaits_password(link.id)
                    && is_past(Some(link.opened_at), AUTH_TIMEOUT_CROWDED)
                    && is_calm_over == (cause == CloseCause::AuthTimeout)
            }
            CloseCause::MessageTimeout => is_past(link.unfinished_since, config.message_timeout),
            CloseCause::PongTimeout => {
                let patience = config.ping_interval + config.pong_timeout;
                is_past(Some(link.alive_at), patience)
                    && is_past(link.asked_at, config.pong_timeout)
            }
            CloseCause::SlowReader => {
                let is_stuck = is_past(link.stalled_since, config.write_timeout);
                // A Ping of ours was too much.
                let is_behind = link.stalled_since.is_some()
                    && is_past(Some(link.alive_at), config.ping_interval);
                is_stuck || is_behind
            }
            CloseCause::Expired => link
                .member
                .is_some_and(|member| member.expires_at <= self.now.unix.0),
            CloseCause::Gate(gate::Denied::Unavailable)
                if let Stage::LoggingOut { by, .. } = link.stage =>
            {
                by <= self.now.monotonic
            }
            CloseCause::Gate(_) => link.member.is_some_and(|member| {
                let outcomes =
                    self.people
                        .standing_outcomes(member.user, member.issued_at, self.now);
                // A logout closes the others, though the user was removed a moment ago.
                let is_missing = self.people.may_be_missing(member.user, self.now);
                let is_logout = cause == CloseCause::Gate(gate::Denied::TokenRevoked);
                outcomes.allow(outcome_of(cause)) || is_logout && is_missing
            }),
            _ => false,
        }
    }

    /// Nobody is here longer than allowed.
    pub(super) fn check_deadlines(&mut self) -> Result<(), String> {
        let (now, unix) = (self.now.monotonic, self.now.unix.0);
        self.writer.check(now)?;
        for index in 0..self.links.len() {
            let link = &mut self.links[index];
            if self.turn.core.awaits_password(link.id) {
                link.password_at = now;
            }
            let is_expired = link.member.is_some_and(|member| member.expires_at <= unix);
            link.expired_since = match is_expired {
                true => link.expired_since.or(Some(now)),
                false => None,
            };
            let overdue =
                self.deadlines(&self.links[index])
                    .into_iter()
                    .find(|(_, since, patience)| {
                        since.is_some_and(|since| since + *patience + SLACK < now)
                    });
            if let Some((what, _, _)) = overdue {
                let link = &self.links[index];
                return Err(format!("{link:?} is still here: {what}"));
            }
        }
        Ok(())
    }

    /// What ends the connection, since when it is so, and how long that may last.
    fn deadlines(&self, link: &Link) -> [(&'static str, Option<Instant>, Duration); 6] {
        const NONE: (&str, Option<Instant>, Duration) = ("", None, Duration::ZERO);
        let config = &self.config;
        let mut deadlines = [NONE; 6];
        match link.stage {
            Stage::Asking => {
                let since = Some(link.accepted_at);
                deadlines[0] = ("its request is not whole", since, config.handshake_timeout);
            }
            Stage::Waiting { by } => {
                deadlines[0] = ("its password is not checked", Some(by), config.linger);
            }
            Stage::LoggingOut { by, .. } => {
                deadlines[0] = ("its logout is not answered", Some(by), Duration::ZERO);
            }
            // The linger is for what was offered.
            Stage::Over(over) => {
                let since = over.at.max(link.waited_at);
                deadlines[0] = ("it is over", Some(since), config.linger);
            }
            Stage::Open => {
                // Who takes nothing is not expected to answer; that has a deadline of its own.
                let asked_by = link.alive_at + config.ping_interval;
                let since = asked_by
                    .max(link.caught_up_at)
                    .max(link.asked_at.unwrap_or(asked_by));
                let since = link.stalled_since.is_none().then_some(since);
                deadlines[0] = ("it is silent", since, config.pong_timeout + SLACK);
                deadlines[1] = (
                    "a message is not finished",
                    link.unfinished_since,
                    config.message_timeout,
                );
                deadlines[2] = ("it takes nothing", link.stalled_since, config.write_timeout);
                deadlines[3] = ("its token is over", link.expired_since, REVIEW);
                deadlines[4] = match link.member {
                    None => {
                        let by = (link.opened_at + config.auth_timeout).max(link.password_at);
                        ("nobody is logged in", Some(by), Duration::ZERO)
                    }
                    Some(member) => {
                        let since = self.people.barred_since(member.user, member.issued_at);
                        let since = since.map(|since| since.max(self.disturbed_at));
                        ("its user may not be here", since, REVIEW)
                    }
                };
            }
        }
        deadlines
    }
}
