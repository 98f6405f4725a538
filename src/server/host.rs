//! What an event may do, done: the server as the app's [`Host`], for one frame of one connection.

use std::rc::Rc;

use crate::app::users::{CachedUser, StoreError, User};
use crate::app::{Audience, Credentials, Fault, Host};
use crate::gate::{self, Minted, Pass};
use crate::time::{Now, UnixSeconds};

use super::cause::Cause;
use super::hub::Hub;
use super::login::Via;

/// The hub, lent to the handler of one frame.
pub(super) struct Caller<'a> {
    pub(super) hub: &'a mut Hub,
    pub(super) now: Now,
    pub(super) key: u32,
    /// The frame's `id`, as the peer wrote it.
    pub(super) frame_id: Option<&'a str>,
}

impl Host for Caller<'_> {
    fn user(&mut self, id: &str) -> Result<Option<Rc<CachedUser>>, StoreError> {
        self.hub.user(id)
    }

    fn is_online(&self, id: &str) -> bool {
        let mut members = self.hub.presence.members_of(id);
        members.any(|member| member.expires_at > self.now.unix)
    }

    fn mint(&mut self, id: &str) -> Result<Minted, Fault> {
        let user = self.hub.user(id)?.ok_or(Fault::NotFound)?;
        self.hub.mint(self.now, &user)
    }

    fn revoke(&mut self, pass: &Pass<'_>) -> Result<(), StoreError> {
        let id = pass.subject();
        let connections: Vec<u32> = self.hub.presence.connections_of(id).collect();
        // A token was issued before now, though it be dated later: the clock may have been set back.
        let dates = connections
            .iter()
            .filter_map(|key| self.hub.presence.dates(*key));
        let issued_until = dates
            .map(|dates| dates.issued_at)
            .fold(self.now.unix.max(pass.issued_at()), UnixSeconds::max);
        self.hub.users.revoke(id, issued_until)?;
        for key in connections {
            if key != self.key {
                let cause = Cause::Gate(gate::Cause::TokenRevoked);
                self.hub.refuse(self.now, key, cause, None, None);
            }
        }
        Ok(())
    }

    fn send(
        &mut self,
        audience: Audience<'_>,
        write: &mut dyn FnMut(&mut Vec<u8>),
    ) -> Result<usize, Fault> {
        self.hub.send(self.now, self.key, audience, write)
    }

    fn check_password(&mut self, credentials: Credentials) -> Result<(), Fault> {
        let bound = self.hub.presence.person(self.key);
        if bound.is_some_and(|person| *person.id != *credentials.id) {
            return Err(Fault::OtherUser);
        }
        let via = Via::frame(self.frame_id);
        self.hub.begin_login(self.now, self.key, credentials, via)
    }
}

impl Hub {
    /// A token for the user, dated so that no revocation until now voids it.
    pub(super) fn mint(&self, now: Now, user: &User) -> Result<Minted, Fault> {
        // The store holds only ids that a token can name.
        self.signer
            .mint(&user.id, issue_date(now, user))
            .map_err(|_| Fault::Unavailable)
    }
}

/// The date of a token minted now: never one that a revocation has voided, so that a login in the
/// second of a revocation is dated one ahead (contract §2).
pub(super) fn issue_date(now: Now, user: &User) -> UnixSeconds {
    user.tokens_valid_from
        .map_or(now.unix, |from| from.max(now.unix))
}
