//! Passwords that a helper thread checks one after the other, and what comes of it.

use std::time::Duration;

use framegate::internals::app::password::{AddressSpace, HashJob, Verdict};
use framegate::internals::gate;
use framegate::internals::limits::{HASHES_PENDING_MAX, LOGIN_FAILURES_MAX};
use framegate::internals::server::{CloseCause, ConnectionId, Input, Report, ReportKind};

use super::link::{Expected, Link, Member, Over, Stage};
use super::model_connections::cause_of;
use super::model_messages::{Step, Told};
use super::people::TOKEN_TTL_SECONDS;
use super::world::World;

/// A password that was given.
#[derive(Clone, Copy)]
struct Asked {
    user: usize,
    is_right: bool,
    /// False when there was no memory to check it.
    is_checked: bool,
}

/// Whose password this is, and whether it is right.
fn asked(job: &HashJob) -> Asked {
    let is_right = !job.password.ends_with(" not");
    let digit = job.password.bytes().find(u8::is_ascii_digit);
    Asked {
        user: usize::from(digit.unwrap_or(b'0') - b'0'),
        is_right,
        is_checked: true,
    }
}

impl World<'_> {
    /// The helper thread has checked a password.
    pub(super) fn hash(&mut self) -> Result<(), String> {
        // What the server may still believe of a user is what it was 50 ms ago; a login must not
        // fall into that, for its token would be dated one way or the other.
        let calm = self.disturbed_at + Duration::from_millis(60);
        self.pass_time(calm.since(self.now.monotonic))?;
        let Some((job, id, address)) = self.jobs.pop_front() else {
            return Ok(());
        };
        let mut asked = asked(&job);
        let mut outcome = job.run(AddressSpace::Limited);
        // Now and then there is no memory for a hash.
        if !self.sockets.is_kind && self.choice.chance(8) {
            asked.is_checked = false;
            outcome.verdict = Verdict::NoMemory;
        } else {
            // Should it be wrong, it counts, whether or not somebody waits for the answer.
            *self.hostile.entry(address).or_default() += 1;
        }
        self.turn.core.handle(self.now, Input::Hashed(outcome));
        self.check_hashed(id, asked)?;
        self.turn()
    }

    /// A password for the helper thread, of somebody who said one.
    pub(super) fn take_jobs(&mut self) -> Result<(), String> {
        self.count_logins()?;
        self.take_outputs();
        while let Some(job) = self.outputs.hash_jobs.pop_front() {
            let id = self.turn.core.connection_of_job(job.ticket);
            let asked = id.and_then(|id| Some((id, *self.addresses.get(&id.serial)?)));
            let Some((id, address)) = asked else {
                return Err("a password is to be checked that nobody said".to_owned());
            };
            self.jobs.push_back((job, id, address));
        }
        match self.jobs.len() {
            0 | 1 => Ok(()),
            _ => Err("the helper thread has two passwords".to_owned()),
        }
    }

    // Passwords.

    /// Who waits with a password may have had to make room for another that came, where there was no
    /// place left, and is told to come later.
    pub(super) fn check_displaced(&mut self) -> Result<(), String> {
        let core = &self.turn.core;
        let waits = |link: &Link| matches!(link.stage, Stage::Waiting { .. });
        let is_displaced =
            |link: &Link| waits(link) && link.owed.is_empty() && !core.awaits_password(link.id);
        let Some(index) = self.links.iter().position(is_displaced) else {
            return Ok(());
        };
        if core.passwords_waiting() < HASHES_PENDING_MAX {
            return Err(format!("{:?} made room for nobody", self.links[index]));
        }
        self.links[index].owe(Expected::Answer(vec![503]), true);
        self.answered(index);
        Ok(())
    }

    fn check_hashed(
        &mut self,
        id: ConnectionId,
        Asked {
            user,
            is_right,
            is_checked,
        }: Asked,
    ) -> Result<(), String> {
        let reports = self.reports();
        let mut told = Told::of(&reports, id);
        let may_pass = is_checked && is_right && self.people.may_log_in(user, self.now);
        let may_fail = is_checked && (!is_right || self.people.may_fail_to_log_in(user));
        let mut is_told = false;
        for report in &reports {
            let is_own = report.connection == id;
            match report.what {
                ReportKind::LoggedIn if is_own && may_pass && !self.people.is_voided_here(user) => {
                    is_told = true;
                    self.grant(id, user, &mut told)?;
                }
                ReportKind::TokensVoid { .. } if is_own && may_pass => {}
                ReportKind::LoginFailed(why)
                    if is_own && may_fail && self.people.may_fail_as(user, why) =>
                {
                    is_told = true;
                    self.deny(id);
                }
                ReportKind::Refused(
                    CloseCause::TooManyConnections | CloseCause::UserRateLimited,
                ) if is_own && may_pass => {
                    if self.join(user, &mut told)? == Step::On {
                        return Err(format!("{report:?} on a login"));
                    }
                }
                // What could not be checked is denied.
                ReportKind::Refused(CloseCause::Gate(gate::Denied::Unavailable))
                    if is_own && !is_checked =>
                {
                    self.end(report, None)?;
                }
                _ => self.check_end_of_login(report, id, user)?,
            }
        }
        let is_open = |index: usize| self.links[index].stage == Stage::Open;
        if !is_checked && self.link(id).is_some_and(is_open) {
            return Err("a password that was not checked was answered".to_owned());
        }
        let is_guessing = |link: &Link| link.login_failures >= LOGIN_FAILURES_MAX;
        if self
            .link(id)
            .is_some_and(|at| is_open(at) && is_guessing(&self.links[at]))
        {
            return Err("one who guesses passwords may go on".to_owned());
        }
        self.answer_waiting(id, is_told)
    }

    fn check_end_of_login(
        &mut self,
        report: &Report,
        id: ConnectionId,
        user: usize,
    ) -> Result<(), String> {
        // A wrong password counts, though its sender has not waited for the answer.
        if matches!(report.what, ReportKind::Banned(_)) {
            return Ok(());
        }
        let Some(index) = self.link(report.connection) else {
            return Err(format!("{report:?} of nobody"));
        };
        let is_right = match cause_of(report.what) {
            None => false,
            Some(CloseCause::LoginFailed) => {
                report.connection == id && self.links[index].login_failures == LOGIN_FAILURES_MAX
            }
            Some(CloseCause::SlowReader) => report.connection == id,
            Some(CloseCause::Gate(gate::Denied::Forbidden(gate::Forbidden::OtherSubject))) => {
                report.connection == id && self.links[index].member.is_some()
            }
            Some(CloseCause::Gate(gate::Denied::Unavailable)) => {
                // Or the tokens are void until a second that the gate would refuse.
                let is_early = self.people.issue_date(user, self.now) > self.now.unix.0 + 1;
                // Or a logout of the user's is not on the disk.
                is_early
                    || self.people.is_voided_here(user)
                    || self.people.may_be_unavailable(self.now.monotonic)
            }
            Some(cause) => self.is_due(index, cause),
        };
        match is_right {
            true => self.end(report, None),
            false => Err(format!("{report:?} on a login")),
        }
    }

    fn grant(&mut self, id: ConnectionId, user: usize, told: &mut Told<'_>) -> Result<(), String> {
        let issued_at = self.people.issue_date(user, self.now);
        let Some(index) = self.link(id) else {
            return Ok(());
        };
        let link = &mut self.links[index];
        match link.stage {
            Stage::Waiting { .. } => link.owe_answer(200),
            Stage::Open => {
                link.grants += 1;
                let member = Member {
                    user,
                    issued_at,
                    expires_at: issued_at + TOKEN_TTL_SECONDS,
                };
                self.enter(index, &member, told)?;
            }
            // It has left meanwhile, or is about to.
            Stage::Asking | Stage::LoggingOut { .. } | Stage::Over(_) => {}
        }
        Ok(())
    }

    fn deny(&mut self, id: ConnectionId) {
        let Some(index) = self.link(id) else { return };
        let link = &mut self.links[index];
        match link.stage {
            Stage::Waiting { .. } => link.owe_answer(401),
            Stage::Open => {
                link.denials += 1;
                link.login_failures += 1;
            }
            Stage::Asking | Stage::LoggingOut { .. } | Stage::Over(_) => {}
        }
    }

    /// A `POST /login` is answered, whatever came of it, and that is its end.
    fn answer_waiting(&mut self, id: ConnectionId, is_told: bool) -> Result<(), String> {
        let Some(index) = self.link(id) else {
            return Ok(());
        };
        let now = self.now.monotonic;
        let link = &mut self.links[index];
        if !matches!(link.stage, Stage::Waiting { .. }) {
            return Ok(());
        }
        if !is_told {
            link.owe_answer(503);
        }
        let over = Over {
            at: now,
            error: None,
            close: None,
            is_cut: false,
        };
        link.stage = Stage::Over(over);
        Ok(())
    }
}
