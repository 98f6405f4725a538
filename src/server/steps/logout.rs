//! Logouts under way, and what else the helper thread writes to the user store.
//!
//! A logout voids the user's tokens here at once, for every connection; the answer comes when the
//! store has it on its disk. Should the store fail, they stay void for as long as the server runs,
//! and the write is tried again until it is done: what cannot be confirmed is denied.

use std::collections::{BTreeMap, VecDeque};

use crate::app::Fault;
use crate::app::users::{Dated, Revocation};
use crate::gate::{self, Minted, Pass};
use crate::limits::{
    LOGOUT_TIMEOUT, REVOCATION_RETRY_INTERVAL, REVOCATIONS_PENDING_MAX, SEEN_INTERVAL_SECONDS,
};
use crate::time::{Instant, Now, UnixSeconds};
use crate::wire::CloseCode;

use crate::server::answers::cause::Cause;
use crate::server::core::Core;
use crate::server::parts::session::{ConnectionId, State};

const LOGOUT: &str = "logout";

/// Something for the helper thread to write to the user store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreJob {
    /// Void a user's tokens; the outcome bears this ticket.
    Revoke(u64, Revocation),
    /// Keep in mind that this second was seen. There is no outcome.
    Seen(UnixSeconds),
}

/// What became of a [`StoreJob::Revoke`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoreOutcome {
    /// The job's ticket.
    pub ticket: u64,
    /// Whether it is done for good.
    pub is_kept: bool,
}

/// What is written, or is to be.
#[derive(Default)]
pub(crate) struct Revocations {
    /// By user; at most [`REVOCATIONS_PENDING_MAX`].
    pending: BTreeMap<Box<str>, Pending>,
    jobs: VecDeque<StoreJob>,
    next_ticket: u64,
    /// When those that failed are tried again; `None` when none did.
    retry_at: Option<Instant>,
    /// The latest date of a token signed here.
    signed: UnixSeconds,
    /// What of it the store was told.
    told: UnixSeconds,
}

struct Pending {
    /// Of the last job.
    ticket: u64,
    revocation: Revocation,
    /// Tokens of an earlier date are void.
    valid_from: UnixSeconds,
    /// Who waits for the answer, and the `id` of the frame that asked.
    waiting: Vec<(ConnectionId, Option<Box<str>>)>,
    has_failed: bool,
}

impl Revocations {
    /// From which second on tokens of the user are good while a revocation is under way.
    pub(crate) fn valid_from(&self, id: &str) -> Option<UnixSeconds> {
        self.pending.get(id).map(|pending| pending.valid_from)
    }

    pub(crate) fn next_job(&mut self) -> Option<StoreJob> {
        self.jobs.pop_front()
    }

    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        self.retry_at
    }

    /// A token of this date was signed. The store is told of a login's at once, and otherwise once
    /// a minute: a frame must not cost a commit. What it was not told of yet is known here, where
    /// logouts count it; a revocation by a command counts the command's own clock, and misses at
    /// most that minute, and only by a clock that was set back meanwhile.
    pub(crate) fn note_signed(&mut self, date: UnixSeconds, is_login: bool) {
        self.signed = self.signed.max(date);
        let due = match is_login {
            true => self.told.plus(1),
            false => self.told.plus(SEEN_INTERVAL_SECONDS),
        };
        if self.signed >= due {
            self.told = self.signed;
            self.jobs.push_back(StoreJob::Seen(self.signed));
        }
    }

    fn queue(&mut self, ticket: u64, revocation: Revocation) {
        self.jobs.push_back(StoreJob::Revoke(ticket, revocation));
    }

    /// Queues those that failed again, once it is time.
    pub(crate) fn retry(&mut self, now: Instant) {
        if self.retry_at.is_none_or(|at| now < at) {
            return;
        }
        self.retry_at = None;
        let failed = self
            .pending
            .values_mut()
            .filter(|pending| pending.has_failed);
        for pending in failed {
            pending.has_failed = false;
            let job = StoreJob::Revoke(pending.ticket, pending.revocation.clone());
            self.jobs.push_back(job);
        }
    }
}

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
        pass: &Pass<'_>,
        frame_id: Option<&str>,
    ) -> Result<(), Fault> {
        let id = pass.subject();
        let is_more = !self.revocations.pending.contains_key(id);
        if is_more && self.revocations.pending.len() >= REVOCATIONS_PENDING_MAX {
            return Err(Fault::Unavailable);
        }
        let connections: Vec<u32> = self.presence.connections_of(id).collect();
        let dates = connections
            .iter()
            .filter_map(|key| self.presence.dates(*key));
        let mut issued: Vec<UnixSeconds> = dates.map(|dates| dates.issued_at).collect();
        issued.push(pass.issued_at());
        let asker = (self.id(key), frame_id.map(Box::from));
        self.void(now, id, &issued, asker);
        for other in connections {
            if other != key {
                let cause = Cause::Gate(gate::Cause::TokenRevoked);
                self.refuse(now, other, cause, None, None);
            }
        }
        self.catch_up(now, key);
        self.presence.leave(key);
        self.settle(key);
        let by = now.monotonic + LOGOUT_TIMEOUT;
        self.sessions[key as usize].state = State::LoggingOut { by };
        self.account(key);
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
            seen: self.revocations.signed,
            issued_until: now.unix,
        };
        // A token was issued before now, though it be dated later: the clock may have been set
        // back. One dated so late that it is of a clock put right since is refused for its date,
        // and must not take the place of others.
        let counts = |date: &UnixSeconds| dated.counts(*date, now.unix, self.leeway_seconds);
        let latest = issued.iter().copied().filter(counts).max();
        let issued_until = latest.unwrap_or_default().max(now.unix);
        dated.issued_until = issued_until;
        let valid_from = dated.valid_from(now.unix, self.leeway_seconds);
        let revocation = Revocation {
            id: id.into(),
            issued_until,
            leeway_seconds: self.leeway_seconds,
        };
        let revocations = &mut self.revocations;
        let ticket = revocations.next_ticket;
        revocations.next_ticket += 1;
        let pending = revocations
            .pending
            .entry(id.into())
            .or_insert_with(|| Pending {
                ticket,
                revocation: revocation.clone(),
                valid_from: UnixSeconds(0),
                waiting: Vec::new(),
                has_failed: false,
            });
        pending.ticket = ticket;
        pending.has_failed = false;
        pending.valid_from = pending.valid_from.max(valid_from).max(issued_until.plus(1));
        pending.revocation = revocation.clone();
        pending.waiting.push(asker);
        revocations.queue(ticket, revocation);
    }

    /// The helper thread has written, or has failed to.
    pub(crate) fn end_logout(&mut self, now: Now, outcome: &StoreOutcome) {
        let pending = &mut self.revocations.pending;
        // A later job of the same user counts, if there is one.
        let found = pending
            .iter_mut()
            .find(|(_, pending)| pending.ticket == outcome.ticket);
        let Some((id, found)) = found else { return };
        let waiting = std::mem::take(&mut found.waiting);
        found.has_failed = !outcome.is_kept;
        let id = id.clone();
        match outcome.is_kept {
            true => {
                pending.remove(&id);
                // What was read of the user is older than that.
                self.users.forget(&id);
            }
            false => {
                let at = now.monotonic + REVOCATION_RETRY_INTERVAL;
                self.revocations.retry_at.get_or_insert(at);
            }
        }
        for (connection, frame_id) in waiting {
            self.answer_logout(now, connection, frame_id.as_deref(), outcome.is_kept);
        }
    }

    fn answer_logout(&mut self, now: Now, id: ConnectionId, frame_id: Option<&str>, is_kept: bool) {
        let Some(key) = self.key(id) else { return };
        if !matches!(self.sessions[key as usize].state, State::LoggingOut { .. }) {
            return;
        }
        if !is_kept {
            let cause = Cause::Gate(gate::Cause::Unavailable);
            return self.refuse(now, key, cause, frame_id, Some(LOGOUT));
        }
        self.answer(now, key, LOGOUT, frame_id, b"{}");
        if matches!(self.sessions[key as usize].state, State::LoggingOut { .. }) {
            self.close(now, key, Cause::Done, Some((CloseCode::NORMAL, "")));
        }
    }

    /// A fresh token for whose frame this is. The store itself is asked, and the frame's own date
    /// judged by its answer: what is known of the user may be 50 ms old, and a token that was
    /// revoked meanwhile must not beget one that is good.
    ///
    /// # Errors
    /// When the frame's token would not be let in now, or the store cannot say.
    pub(crate) fn renew(&mut self, now: Now, pass: &Pass<'_>) -> Result<Minted, Fault> {
        let user = self.user_uncached(pass.subject())?;
        let standing = user.as_ref().map(|user| self.standing_now(user));
        gate::check_standing(Ok(standing), pass.issued_at()).map_err(Fault::Denied)?;
        let user = user.ok_or(Fault::NotFound)?;
        self.mint(now, &user, false)
    }
}
