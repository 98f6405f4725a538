//! What an event may do, done: the server as the app's [`Host`], for one frame of one connection.

use std::rc::Rc;

use crate::app::users::{CachedUser, StoreError, User};
use crate::app::{Audience, Credentials, Fault, Host};
use crate::gate::{self, Minted, Pass};
use crate::time::{Now, UnixSeconds};
use crate::wire::frame::{self, Opcode};

use super::cause::Cause;
use super::hub::Hub;
use super::login::Via;
use super::presence::Member;

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

    fn send(&mut self, audience: Audience<'_>, write: &mut dyn FnMut(&mut Vec<u8>)) -> usize {
        self.hub.send(self.now, audience, write)
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

    /// Encodes a message once and queues it to everybody of the audience. O(audience).
    fn send(
        &mut self,
        now: Now,
        audience: Audience<'_>,
        write: &mut dyn FnMut(&mut Vec<u8>),
    ) -> usize {
        let mut scratch = std::mem::take(&mut self.scratch);
        scratch.clear();
        frame::write_with(&mut scratch, Opcode::Text, write);
        let shared: Rc<[u8]> = Rc::from(scratch.as_slice());
        self.scratch = scratch;

        let mut fan = Fan {
            frame: &shared,
            delivered: 0,
            slow: Vec::new(),
        };
        match audience {
            // Nobody joins or leaves while the frame is handed out: the slow go afterwards.
            Audience::Everyone => {
                for index in 0..self.presence.members().len() {
                    self.share(now, self.presence.members()[index], &mut fan);
                }
            }
            Audience::User(id) => {
                let members: Vec<Member> = self.presence.members_of(id).collect();
                for member in members {
                    self.share(now, member, &mut fan);
                }
            }
        }
        if fan.delivered > 0 {
            self.held_bytes += shared.len();
            self.unoffered_bytes += shared.len();
        }
        for key in fan.slow {
            self.drop_slow_reader(now, key);
        }
        fan.delivered
    }

    /// Queues the frame to one connection, if its token is still good. O(1).
    fn share(&mut self, now: Now, member: Member, fan: &mut Fan<'_>) {
        if member.expires_at <= now.unix {
            return;
        }
        let outbox = &mut self.sessions[member.key as usize].outbox;
        if outbox.bytes() + fan.frame.len() > self.config.outbox_bytes_max {
            fan.slow.push(member.key);
            return;
        }
        outbox.share(&mut self.spare, now.monotonic, fan.frame);
        self.queue_flush(member.key);
        fan.delivered += 1;
    }
}

/// The date of a token minted now: never one that a revocation has voided, so that a login in the
/// second of a revocation is dated one ahead (contract §2).
pub(super) fn issue_date(now: Now, user: &User) -> UnixSeconds {
    user.tokens_valid_from
        .map_or(now.unix, |from| from.max(now.unix))
}

/// A broadcast on its way.
struct Fan<'a> {
    frame: &'a Rc<[u8]>,
    delivered: usize,
    /// Those for whom it was too much.
    slow: Vec<u32>,
}
