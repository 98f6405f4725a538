//! Logouts: the user's tokens are void at once, in memory. The user is told only when the store has
//! it.
//!
//! Promises that no frame passes by a token from before the logout, and that no confirmed logout is
//! lost when the server restarts (contract §1, `logout`; §3). Refuses to know SQL and the helper
//! thread: a job goes out, an outcome comes back.

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
    /// Voids every token of the user that was issued until now, and closes the user's other
    /// connections as revoked. The connection that asked waits for the store; [`Core::end_logout`]
    /// answers it. O(connections of the user).
    ///
    /// # Errors
    /// `Unavailable` when too many revocations wait for the store. Nothing has changed then.
    pub(crate) fn begin_logout(
        &mut self,
        now: Now,
        key: u32,
        pass: &VerifiedToken<'_>,
        frame_id: Option<&str>,
    ) -> Result<(), Fault> {
        let id = pass.subject();
        // Asked before anything changes. A disk that is slow must not make the queue grow without a
        // bound, and what cannot be kept is not promised (contract §5.10).
        if self.revocations.is_full_for(id) {
            return Err(Fault::Unavailable);
        }
        // Collected first: to refuse a connection changes the list.
        let connections: Vec<u32> = self.members.connections_of(id).collect();
        let dates = connections
            .iter()
            .filter_map(|key| self.members.dates(*key));
        let mut issued: Vec<UnixSeconds> = dates.map(|dates| dates.issued_at).collect();
        // The frame's own token need not be the one that its connection goes by, and must be void
        // as well.
        issued.push(pass.issued_at());
        let asker = (self.sessions.id(key), frame_id.map(Box::from));
        self.void(now, id, &issued, asker);
        for other in connections {
            // Contract §1: the connection that asked gets an answer and Close 1000; the others are
            // told `token_revoked`.
            if other != key {
                let cause = CloseCause::Gate(gate::Denied::TokenRevoked);
                self.refuse(now, other, cause, None, None);
            }
        }
        // Before it stops being a member: the broadcasts made until now are meant for it too
        // (contract §5.5).
        self.catch_up(now, key);
        self.members.leave(key);
        self.leave_pending(key);
        // A disk that hangs does not hold the connection for ever: at this deadline it is told
        // `unavailable`.
        let by = now.monotonic + LOGOUT_TIMEOUT;
        self.sessions.set_state(key, State::LoggingOut { by });
        self.timer_wheel.schedule(key, by);
        Ok(())
    }

    /// Makes the user's tokens void in memory, and queues the revocation for the store. `issued`
    /// are the dates of the tokens that are known to be in use. The revocation is dated after each
    /// of them and after all that the store has seen (contract §3, `tokensValidFrom`).
    fn void(
        &mut self,
        now: Now,
        id: &str,
        issued: &[UnixSeconds],
        asker: (ConnectionId, Option<Box<str>>),
    ) {
        // If the store fails now, the dates it knows are taken into account when the revocation is
        // written.
        let user = self.user(id).ok().flatten();
        let mut dated = Dated {
            tokens_valid_from: user.as_ref().and_then(|user| user.tokens_valid_from),
            created_at: user.map_or(UnixSeconds(0), |user| user.created_at),
            seen: self.revocations.signed(),
            issued_until: now.unix,
        };
        // A token in use was issued before now, even if it is dated later: the clock may have been
        // set back. A date that lies far ahead is of a clock that was put right since. The gate
        // refuses such a token for its date, so it is left out: `max` would take it and pass over
        // the dates of the others.
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
        // One second later than the latest token, since a token of that very second is to be void.
        let valid_from = valid_from.max(issued_until.plus(1));
        self.revocations.begin(revocation, valid_from, asker);
    }

    /// Takes the outcome of a write to the store, and answers each connection that waited for it. A
    /// revocation whose write failed stays in memory and is written again later.
    pub(crate) fn end_logout(&mut self, now: Now, outcome: &StoreOutcome) {
        let retry_at = now.monotonic + REVOCATION_RETRY_INTERVAL;
        let Some(Ended { id, waiting }) = self.revocations.end(outcome, retry_at) else {
            return;
        };
        if outcome.is_kept {
            // The cached user was read before this commit.
            self.users.forget(&id);
        }
        for (connection, frame_id) in waiting {
            self.answer_logout(now, connection, frame_id.as_deref(), outcome.is_kept);
        }
    }

    /// Tells one connection what became of its logout: the answer and Close 1000, or `unavailable`.
    fn answer_logout(&mut self, now: Now, id: ConnectionId, frame_id: Option<&str>, is_kept: bool) {
        // It may have ended while the store was written.
        let Some(key) = self.sessions.key(id) else {
            return;
        };
        // Its deadline may have passed first: then it was told `unavailable`, and is closing.
        if !matches!(self.sessions[key].state(), State::LoggingOut { .. }) {
            return;
        }
        if !is_kept {
            let cause = CloseCause::Gate(gate::Denied::Unavailable);
            return self.refuse(now, key, cause, frame_id, Some(LOGOUT));
        }
        self.answer(now, key, LOGOUT, frame_id, b"{}");
        // The answer itself may have closed it, as a slow reader.
        if matches!(self.sessions[key].state(), State::LoggingOut { .. }) {
            self.close(now, key, CloseCause::Done, Some((CloseCode::NORMAL, "")));
        }
    }

    /// Mints a fresh token for the user of this frame. It asks the store itself, and judges the
    /// frame's own token by the answer. The cache may be 50 ms old, and a token that was revoked in
    /// that time must not be exchanged for a good one.
    ///
    /// # Errors
    /// `Denied` when the frame's token would not be admitted now; `Unavailable` when the store
    /// fails.
    pub(crate) fn renew(&mut self, now: Now, pass: &VerifiedToken<'_>) -> Result<Minted, Fault> {
        let user = self.user_uncached(pass.subject())?;
        let standing = user.as_ref().map(|user| self.standing_now(user));
        gate::check_account_status(Ok(standing), pass.issued_at()).map_err(Fault::Denied)?;
        let user = user.ok_or(Fault::NotFound)?;
        self.mint(now, &user, false)
    }
}
