//! Logouts: a user's tokens are void at once, and the user is told so once the store has it.

use crate::app::Fault;
use crate::app::users::{Dated, Revocation};
use crate::gate::{self, Minted, VerifiedToken};
use crate::limits::{LOGOUT_TIMEOUT, REVOCATION_RETRY_INTERVAL};
use crate::server::answers::cause::CloseCause;
use crate::server::connection::ConnectionId;
use crate::server::core::Core;
use crate::server::parts::revocations::{Ended, StoreOutcome};
use crate::server::parts::sessions::State;
use crate::time::{Now, UnixSeconds};
use crate::wire::CloseCode;

const LOGOUT: &str = "logout";

impl Core {
    /// Voids every token of the user that was issued until now, and closes the connections that
    /// live by one; the one that asked waits for the store. O(connections of the user).
    ///
    /// # Errors
    /// When too many revocations wait; then nothing has changed.
    pub(crate) fn begin_logout(
        &mut self,
        now: Now,
        key: u32,
        pass: &VerifiedToken<'_>,
        frame_id: Option<&str>,
    ) -> Result<(), Fault> {
        let id = pass.subject();
        if self.revocations.is_full_for(id) {
            return Err(Fault::Unavailable);
        }
        let connections: Vec<u32> = self.members.connections_of(id).collect();
        let dates = connections
            .iter()
            .filter_map(|key| self.members.dates(*key));
        let mut issued: Vec<UnixSeconds> = dates.map(|dates| dates.issued_at).collect();
        issued.push(pass.issued_at());
        let asker = (self.sessions.id(key), frame_id.map(Box::from));
        self.void(now, id, &issued, asker);
        for other in connections {
            if other != key {
                let cause = CloseCause::Gate(gate::Denied::TokenRevoked);
                self.refuse(now, other, cause, None, None);
            }
        }
        self.catch_up(now, key);
        self.members.leave(key);
        self.leave_pending(key);
        let by = now.monotonic + LOGOUT_TIMEOUT;
        self.sessions.set_state(key, State::LoggingOut { by });
        self.timer_wheel.schedule(key, by);
        Ok(())
    }

    fn void(
        &mut self,
        now: Now,
        id: &str,
        issued: &[UnixSeconds],
        asker: (ConnectionId, Option<Box<str>>),
    ) {
        // Should the store fail, what it has to add is added when it is written.
        let user = self.user(id).ok().flatten();
        let mut dated = Dated {
            tokens_valid_from: user.as_ref().and_then(|user| user.tokens_valid_from),
            created_at: user.map_or(UnixSeconds(0), |user| user.created_at),
            seen: self.revocations.signed(),
            issued_until: now.unix,
        };
        // A token was issued before now, though it be dated later: the clock may have been set
        // back. One dated so late that it is of a clock put right since is refused for its date,
        // and must not take the place of others.
        let counts = |date: &UnixSeconds| dated.counts(*date, now.unix, self.policy.leeway_seconds);
        let latest = issued.iter().copied().filter(counts).max();
        let issued_until = latest.unwrap_or_default().max(now.unix);
        dated.issued_until = issued_until;
        let valid_from = dated.valid_from(now.unix, self.policy.leeway_seconds);
        let revocation = Revocation {
            id: id.into(),
            issued_until,
            leeway_seconds: self.policy.leeway_seconds,
        };
        let valid_from = valid_from.max(issued_until.plus(1));
        self.revocations.begin(revocation, valid_from, asker);
    }

    /// The helper thread has written, or has failed to.
    pub(crate) fn end_logout(&mut self, now: Now, outcome: &StoreOutcome) {
        let retry_at = now.monotonic + REVOCATION_RETRY_INTERVAL;
        let Some(Ended { id, waiting }) = self.revocations.end(outcome, retry_at) else {
            return;
        };
        if outcome.is_kept {
            // What was read of the user is older than that.
            self.users.forget(&id);
        }
        for (connection, frame_id) in waiting {
            self.answer_logout(now, connection, frame_id.as_deref(), outcome.is_kept);
        }
    }

    fn answer_logout(&mut self, now: Now, id: ConnectionId, frame_id: Option<&str>, is_kept: bool) {
        let Some(key) = self.sessions.key(id) else {
            return;
        };
        if !matches!(self.sessions[key].state(), State::LoggingOut { .. }) {
            return;
        }
        if !is_kept {
            let cause = CloseCause::Gate(gate::Denied::Unavailable);
            return self.refuse(now, key, cause, frame_id, Some(LOGOUT));
        }
        self.answer(now, key, LOGOUT, frame_id, b"{}");
        if matches!(self.sessions[key].state(), State::LoggingOut { .. }) {
            self.close(now, key, CloseCause::Done, Some((CloseCode::NORMAL, "")));
        }
    }

    /// A fresh token for whose frame this is. The store itself is asked, and the frame's own date
    /// judged by its answer: what is known of the user may be 50 ms old, and a token that was
    /// revoked meanwhile must not beget one that is good.
    ///
    /// # Errors
    /// When the frame's token would not be let in now, or the store cannot say.
    pub(crate) fn renew(&mut self, now: Now, pass: &VerifiedToken<'_>) -> Result<Minted, Fault> {
        let user = self.user_uncached(pass.subject())?;
        let standing = user.as_ref().map(|user| self.standing_now(user));
        gate::check_account_status(Ok(standing), pass.issued_at()).map_err(Fault::Denied)?;
        let user = user.ok_or(Fault::NotFound)?;
        self.mint(now, &user, false)
    }
}
