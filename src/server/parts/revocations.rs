//! Logouts under way, and what else the helper thread writes to the user store.
//!
//! A logout voids the user's tokens here at once, for every connection; the answer comes when the
//! store has it on its disk. Should the store fail, they stay void for as long as the server runs,
//! and the write is tried again until it is done: what cannot be confirmed is denied.

use std::collections::{BTreeMap, VecDeque};

use crate::app::users::Revocation;
use crate::limits::{REVOCATIONS_PENDING_MAX, SEEN_INTERVAL_SECONDS};
use crate::server::connection::ConnectionId;
use crate::time::{Instant, UnixSeconds};

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

/// A revocation that was written, or was not.
pub(crate) struct Ended {
    /// Whose tokens.
    pub(crate) id: Box<str>,
    /// Who waits for the answer, and the `id` of the frame that asked.
    pub(crate) waiting: Vec<(ConnectionId, Option<Box<str>>)>,
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

    /// The latest date of a token signed here.
    pub(crate) fn signed(&self) -> UnixSeconds {
        self.signed
    }

    /// True when no further user's tokens can be voided for the moment.
    pub(crate) fn is_full_for(&self, id: &str) -> bool {
        !self.pending.contains_key(id) && self.pending.len() >= REVOCATIONS_PENDING_MAX
    }

    /// The user's tokens of before `valid_from` are void at once, and their revocation is to be
    /// written. `asker` is told when that is done.
    pub(crate) fn begin(
        &mut self,
        revocation: Revocation,
        valid_from: UnixSeconds,
        asker: (ConnectionId, Option<Box<str>>),
    ) {
        let ticket = self.next_ticket;
        self.next_ticket += 1;
        self.jobs
            .push_back(StoreJob::Revoke(ticket, revocation.clone()));
        let pending = self.pending.entry(revocation.id.clone());
        let pending = pending.or_insert_with(|| Pending {
            ticket,
            revocation: revocation.clone(),
            valid_from,
            waiting: Vec::new(),
            has_failed: false,
        });
        pending.ticket = ticket;
        pending.has_failed = false;
        pending.valid_from = pending.valid_from.max(valid_from);
        pending.revocation = revocation;
        pending.waiting.push(asker);
    }

    /// The helper thread has written, or has failed to, and is to try again from `retry_at` on.
    /// `None` when a later job of the same user counts.
    pub(crate) fn end(&mut self, outcome: &StoreOutcome, retry_at: Instant) -> Option<Ended> {
        let mut pending = self.pending.iter_mut();
        let (id, pending) = pending.find(|(_, pending)| pending.ticket == outcome.ticket)?;
        let ended = Ended {
            id: id.clone(),
            waiting: std::mem::take(&mut pending.waiting),
        };
        pending.has_failed = !outcome.is_kept;
        match outcome.is_kept {
            true => _ = self.pending.remove(&ended.id),
            false => _ = self.retry_at.get_or_insert(retry_at),
        }
        Some(ended)
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

#[cfg(test)]
mod tests {
    use super::*;

    fn revocation(id: &str) -> Revocation {
        Revocation {
            id: id.into(),
            issued_until: UnixSeconds(7),
            leeway_seconds: 0,
        }
    }

    fn begin(revocations: &mut Revocations, id: &str) {
        let connection = ConnectionId { slot: 0, serial: 0 };
        revocations.begin(revocation(id), UnixSeconds(8), (connection, None));
    }

    fn jobs(revocations: &mut Revocations) -> Vec<StoreJob> {
        std::iter::from_fn(|| revocations.next_job()).collect()
    }

    #[test]
    fn what_failed_is_tried_again_at_its_time_and_not_before() {
        let mut revocations = Revocations::default();
        begin(&mut revocations, "alice");
        let job = [StoreJob::Revoke(0, revocation("alice"))];
        assert_eq!(jobs(&mut revocations), job);
        assert_eq!(revocations.next_deadline(), None);
        let failed = StoreOutcome {
            ticket: 0,
            is_kept: false,
        };
        let retry_at = Instant::from_micros(1_000);
        revocations.end(&failed, retry_at);
        assert_eq!(revocations.next_deadline(), Some(retry_at));
        revocations.retry(Instant::from_micros(999));
        assert_eq!(jobs(&mut revocations), []);
        revocations.retry(retry_at);
        assert_eq!(jobs(&mut revocations), job);
        assert_eq!(revocations.next_deadline(), None);
    }

    #[test]
    fn the_store_is_told_of_a_logins_second_at_once_and_of_others_once_a_minute() {
        let mut revocations = Revocations::default();
        for (second, is_login, is_told) in [
            (100, true, true),
            (100, true, false),
            (90, true, false),
            (101, true, true),
            (160, false, false),
            (161, false, true),
            (162, false, false),
        ] {
            let before = revocations.signed();
            revocations.note_signed(UnixSeconds(second), is_login);
            assert_eq!(revocations.signed(), before.max(UnixSeconds(second)));
            let told = is_told.then_some(StoreJob::Seen(UnixSeconds(second)));
            assert_eq!(jobs(&mut revocations), Vec::from_iter(told), "{second}");
        }
    }

    #[test]
    fn when_it_is_full_who_is_in_it_may_ask_again_and_no_other() {
        let mut revocations = Revocations::default();
        for number in 0..REVOCATIONS_PENDING_MAX {
            assert!(!revocations.is_full_for("another"));
            begin(&mut revocations, &format!("user{number}"));
        }
        assert!(revocations.is_full_for("another"));
        assert!(!revocations.is_full_for("user0"));
    }
}
