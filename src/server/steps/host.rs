//! What an event may do: the core as the app's [`Host`], for one frame of one connection.
//!
//! A handler acts through these calls only, and each is bound to the frame's verified token or to
//! the connection's user (contract §5.1). Refuses to know what an event means.

use std::rc::Rc;
use std::time::Duration;

use crate::app::users::{CachedUser, StoreError, User};
use crate::app::{Audience, Credentials, Fault, Host};
use crate::gate::{Minted, VerifiedToken};
use crate::time::{Now, UnixSeconds};

use crate::server::core::Core;
use crate::server::parts::login_queue::Via;

/// The core, lent to the handler of one frame.
pub(crate) struct Caller<'a> {
    pub(crate) core: &'a mut Core,
    pub(crate) now: Now,
    pub(crate) key: u32,
    /// The frame's `id`, as the peer wrote it.
    pub(crate) frame_id: Option<&'a str>,
}

impl Host for Caller<'_> {
    fn user(&mut self, id: &str) -> Result<Option<Rc<CachedUser>>, StoreError> {
        self.core.user(id)
    }

    fn is_online(&self, id: &str) -> bool {
        // A connection whose token has expired does not count, though its deadline is dealt with
        // later.
        let mut members = self.core.members.members_of(id);
        members.any(|member| member.expires_at > self.now.unix)
    }

    fn mint(&mut self, pass: &VerifiedToken<'_>) -> Result<Minted, Fault> {
        self.core.renew(self.now, pass)
    }

    fn revoke(&mut self, pass: &VerifiedToken<'_>) -> Result<(), Fault> {
        self.core
            .begin_logout(self.now, self.key, pass, self.frame_id)
    }

    fn send(
        &mut self,
        audience: Audience<'_>,
        write: &mut dyn FnMut(&mut Vec<u8>),
    ) -> Result<usize, Fault> {
        self.core.send(self.now, self.key, audience, write)
    }

    fn check_password(&mut self, credentials: Credentials) -> Result<(), Fault> {
        // Contract §1: a connection is bound to one subject. Asked before a hash is spent on the
        // password.
        let bound = self.core.members.user(self.key);
        if bound.is_some_and(|member| *member.id != *credentials.id) {
            return Err(Fault::OtherUser);
        }
        let via = Via::frame(self.frame_id);
        self.core.begin_login(self.now, self.key, credentials, via)
    }
}

impl Core {
    /// Mints a token for the user, dated so that no revocation until now voids it. `is_login` has
    /// the store note the date at once; it notes those of refreshes once a minute, since a frame
    /// must not cost a commit.
    ///
    /// # Errors
    /// `TokensVoid` while the gate would refuse the token; `Unavailable` when no token can name the
    /// id.
    pub(crate) fn mint(&mut self, now: Now, user: &User, is_login: bool) -> Result<Minted, Fault> {
        // Contract §3: a login never hands out a token that the gate would refuse.
        if let Some((_, retry_after)) = self.tokens_void(now, user) {
            return Err(Fault::TokensVoid { retry_after });
        }
        let date = issue_date(now, user);
        // A later revocation is dated after this token, even if the clock is set back in between.
        self.revocations.note_signed(date, is_login);
        // The store holds only ids that a token can name, so this does not fail.
        self.signer
            .mint(&user.id, date)
            .map_err(|_| Fault::Unavailable)
    }

    /// Returns until which second, and for how long, the gate would refuse a new token of the user:
    /// because a logout of the user is on its way to the disk, or the tokens are void until a
    /// second that the clock has yet to reach. Returns `None` when the gate would take one.
    pub(crate) fn tokens_void(&self, now: Now, user: &User) -> Option<(UnixSeconds, Duration)> {
        let pending = self.revocations.valid_from(&user.id);
        let until = issue_date(now, user).max(pending.unwrap_or_default());
        let date_max = self.issue_date_max(now);
        let wait_seconds = until.0.saturating_sub(date_max.0).max(1);
        let is_void = pending.is_some() || until > date_max;
        is_void.then_some((until, Duration::from_secs(wait_seconds)))
    }

    /// Returns the latest date of a token that the gate takes: `LEEWAY` and one second ahead
    /// (contract §2).
    fn issue_date_max(&self, now: Now) -> UnixSeconds {
        now.unix.plus(self.policy.leeway_seconds).plus(1)
    }
}

/// Returns the date of a token minted now: never one that a revocation has voided. So a login in
/// the second of a revocation is dated one second ahead (contract §2).
pub(crate) fn issue_date(now: Now, user: &User) -> UnixSeconds {
    user.tokens_valid_from
        .map_or(now.unix, |from| from.max(now.unix))
}
