//! Logouts, and the helper thread that writes them to the store: at once, or, in a part of the runs,
//! some turns or seconds later.

use std::collections::VecDeque;
use std::time::Duration;

use framegate::internals::app::users::Revocation;
use framegate::internals::gate;
use framegate::internals::limits::{LOGOUT_TIMEOUT, REVOCATION_RETRY_INTERVAL};
use framegate::internals::server::{CloseCause, Input, Report, ReportKind, StoreJob, StoreOutcome};
use framegate::internals::time::{Instant, UnixSeconds};

use super::link::Stage;
use super::model_connections::cause_of;
use super::model_deadlines::SLACK;
use super::model_messages::{Step, Told};
use super::people::{PEOPLE, VerifiedToken, id_of, user_of};
use super::world::World;

/// After what time a write is answered, in milliseconds: once later than a logout waits for it.
const DELAYS: [u64; 6] = [1, 1, 30, 700, 4_000, 15_000];

/// The helper thread that writes to the store.
pub(super) struct Writer {
    is_late: bool,
    /// What it has to write, and when it has done so; in this order.
    jobs: VecDeque<(StoreJob, Instant)>,
    /// By when the logout of a user that could not be written is to be tried again.
    retry_by: [Option<Instant>; PEOPLE],
    /// Whose logouts the model has yet to learn of, and before when their tokens are void in the server
    /// alone.
    unnoted: Vec<(usize, Option<UnixSeconds>)>,
}

impl Writer {
    pub(super) fn new(is_late: bool) -> Writer {
        Writer {
            is_late,
            jobs: VecDeque::new(),
            retry_by: [None; PEOPLE],
            unnoted: Vec::new(),
        }
    }

    /// When it has written next.
    pub(super) fn next_at(&self) -> Option<Instant> {
        self.jobs.front().map(|(_, at)| *at)
    }

    /// All that it has to write is written by now.
    pub(super) fn hurry(&mut self, now: Instant) {
        for (_, at) in &mut self.jobs {
            *at = now;
        }
    }

    /// The server has ended.
    pub(super) fn forget(&mut self) {
        self.jobs.clear();
        self.retry_by = [None; PEOPLE];
    }

    /// What could not be written is tried again in time.
    pub(super) fn check(&self, now: Instant) -> Result<(), String> {
        let is_overdue = |by: &Option<Instant>| by.is_some_and(|by| by + SLACK < now);
        match self.retry_by.iter().position(is_overdue) {
            Some(user) => Err(format!(
                "a logout of user {user} failed, and is not tried again"
            )),
            None => Ok(()),
        }
    }

    fn put_off(&mut self, job: StoreJob, at: Instant) {
        let last = self.jobs.back().map_or(at, |(_, last)| at.max(*last));
        self.jobs.push_back((job, last));
    }

    fn next_done(&mut self, now: Instant) -> Option<StoreJob> {
        let (job, _) = self.jobs.pop_front_if(|(_, at)| *at <= now)?;
        Some(job)
    }

    fn is_to_revoke(&self, user: usize) -> bool {
        let is_of_user = |job: &StoreJob| match job {
            StoreJob::Revoke(_, revocation) => user_of(&revocation.id) == user,
            StoreJob::Seen(_) => false,
        };
        self.jobs.iter().any(|(job, _)| is_of_user(job))
    }

    fn note_outcome(&mut self, user: usize, is_kept: bool, now: Instant) {
        self.retry_by[user] = (!is_kept).then_some(now + REVOCATION_RETRY_INTERVAL);
    }
}

impl World<'_> {
    /// The helper thread is handed what is to be written.
    pub(super) fn write_to_store(&mut self) {
        while let Some(job) = self.next_store_job() {
            match job {
                job if self.writer.is_late => self.put_off(job),
                StoreJob::Seen(second) => _ = self.people.write(&[], Some(second), self.now.unix),
                StoreJob::Revoke(ticket, revocation) => self.revoke_at_once(ticket, revocation),
            }
        }
        // While a peer speaks, the model comes to its logout in its own time.
        if self.undecided.is_none() {
            self.note_logouts();
        }
    }

    fn revoke_at_once(&mut self, ticket: u64, revocation: Revocation) {
        let user = user_of(&revocation.id);
        let void_before = self.turn.core.void_before(&revocation.id);
        let is_kept = self.people.write(&[revocation], None, self.now.unix);
        let outcome = StoreOutcome { ticket, is_kept };
        self.turn.core.handle(self.now, Input::Kept(outcome));
        if user < PEOPLE {
            self.writer.note_outcome(user, is_kept, self.now.monotonic);
            let void_before = void_before.filter(|_| !is_kept);
            self.writer.unnoted.push((user, void_before));
        }
    }

    fn put_off(&mut self, job: StoreJob) {
        if let StoreJob::Revoke(_, revocation) = &job {
            let user = user_of(&revocation.id);
            let void_before = self.turn.core.void_before(&revocation.id);
            if user < PEOPLE {
                self.writer.retry_by[user] = None;
                self.writer.unnoted.push((user, void_before));
            }
        }
        let delay = Duration::from_millis(self.choice.pick(&DELAYS));
        self.writer.put_off(job, self.now.monotonic + delay);
    }

    /// The model learns of the logouts that were written, or are not yet.
    pub(super) fn note_logouts(&mut self) {
        let now = self.now.monotonic;
        for (user, void_before) in std::mem::take(&mut self.writer.unnoted) {
            match void_before {
                Some(void_before) => self.people.note_void(user, void_before, now),
                None => self.people.note_kept(user, now),
            }
        }
    }

    /// Whether the user's tokens are void in the server alone, and nothing else has come meanwhile.
    pub(super) fn is_void_for_sure(&self, user: usize) -> bool {
        self.people.is_voided_here(user) && self.writer.unnoted.is_empty()
    }

    /// The helper thread answers what it has done by now.
    pub(super) fn answer_from_store(&mut self) -> Result<(), String> {
        if self.sockets.is_kind {
            self.writer.hurry(self.now.monotonic);
        }
        while let Some(job) = self.writer.next_done(self.now.monotonic) {
            match job {
                StoreJob::Seen(second) => _ = self.people.write(&[], Some(second), self.now.unix),
                StoreJob::Revoke(ticket, revocation) => self.revoke_late(ticket, revocation)?,
            }
        }
        Ok(())
    }

    fn revoke_late(&mut self, ticket: u64, revocation: Revocation) -> Result<(), String> {
        let user = user_of(&revocation.id);
        // It may fail with nothing written, or with all of it.
        let (may_write, may_tell) = match self.choice.below(8) {
            _ if self.sockets.is_kind => (true, true),
            0 => (false, false),
            1 => (true, false),
            _ => (true, true),
        };
        let is_written = may_write && self.people.write(&[revocation], None, self.now.unix);
        let is_kept = is_written && may_tell;
        let outcome = StoreOutcome { ticket, is_kept };
        self.turn.core.handle(self.now, Input::Kept(outcome));
        match user < PEOPLE {
            true => self.check_written(user, is_kept),
            false => Ok(()),
        }
    }

    /// A logout was written, or was not: those who wait for that are told so, unless the user has asked
    /// for another one since, which counts.
    fn check_written(&mut self, user: usize, is_kept: bool) -> Result<(), String> {
        let now = self.now.monotonic;
        let is_last = !self.writer.is_to_revoke(user);
        if is_last {
            self.writer.note_outcome(user, is_kept, now);
        }
        let void_before = self.turn.core.void_before(id_of(user));
        if void_before.is_some() == (is_last && is_kept) {
            return Err(format!(
                "tokens of user {user} are void before {void_before:?}, and their logout kept: {is_kept}"
            ));
        }
        self.people.note_written(user, void_before, now);
        self.disturbed_at = now;
        for report in self.reports() {
            self.check_logout(&report, user, is_kept, is_last)?;
        }
        let waits = |stage| matches!(stage, Stage::LoggingOut { user: of, .. } if of == user);
        match self.links.iter().find(|link| is_last && waits(link.stage)) {
            Some(link) => Err(format!("{link:?} is not told of its logout")),
            None => Ok(()),
        }
    }

    fn check_logout(
        &mut self,
        report: &Report,
        user: usize,
        is_kept: bool,
        is_last: bool,
    ) -> Result<(), String> {
        let index = self.link(report.connection).ok_or("nobody logs out")?;
        let link = &mut self.links[index];
        let frame = match link.stage {
            Stage::LoggingOut {
                user: of, frame, ..
            } if is_last && of == user => frame,
            _ => return Err(format!("{report:?} on a logout of user {user}")),
        };
        match cause_of(report.what) {
            Some(CloseCause::Done) if is_kept => {
                link.owe_reply(frame, "logout", &[], true);
                self.end(report, Some(Some(1_000)))
            }
            Some(CloseCause::Gate(gate::Denied::Unavailable)) if !is_kept => self.end(report, None),
            // The answer was too much.
            Some(CloseCause::SlowReader) if is_kept && link.stalled_since.is_some() => {
                self.end(report, None)
            }
            _ => Err(format!("{report:?} on a logout that was kept: {is_kept}")),
        }
    }

    pub(super) fn log_out(
        &mut self,
        index: usize,
        id: Option<u32>,
        pass: &VerifiedToken,
        told: &mut Told<'_>,
    ) -> Result<Step, String> {
        let is_done = told
            .own
            .is_some_and(|own| own.what == ReportKind::Closed(CloseCause::Done));
        self.note_logouts();
        told.logged_out = Some(pass.user);
        // One that was refused at once tells the server nothing.
        if is_done || self.people.has_unnoted_change(pass.user) {
            self.people.note_logout(pass.user, self.now.monotonic);
        }
        if !told.is_doubtful
            && self
                .people
                .barred_since(pass.user, pass.issued_at)
                .is_none()
        {
            return Err("a token is still good after its logout".to_owned());
        }
        if self.writer.is_late {
            return self.begin_logout(index, id, pass, told);
        }
        self.must_be(told, ReportKind::Closed(CloseCause::Done))?;
        self.links[index].owe_reply(id, "logout", &[], !told.is_doubtful);
        self.end_own(told, is_done.then_some(Some(1_000)))?;
        Ok(Step::Ended)
    }

    /// The tokens are void, and the answer comes later.
    fn begin_logout(
        &mut self,
        index: usize,
        id: Option<u32>,
        pass: &VerifiedToken,
        told: &Told<'_>,
    ) -> Result<Step, String> {
        match told.own {
            Some(_) if told.is_doubtful => self.end_own(told, None)?,
            Some(own) => return Err(format!("{own:?} before the store was written to")),
            None => {
                let link = &mut self.links[index];
                link.member = None;
                link.stage = Stage::LoggingOut {
                    user: pass.user,
                    frame: id,
                    by: self.now.monotonic + LOGOUT_TIMEOUT,
                };
            }
        }
        Ok(Step::Ended)
    }
}
