//! The model of what is said. It goes by what the peers meant, never by what the server parsed.

use framegate::internals::gate;
use framegate::internals::server::{CloseCause, ConnectionId, Report, ReportKind};

use super::budgets::Verdict;
use super::client_bytes::{ClientFrame, Event, Mark, Said, data};
use super::link::{Expected, Link, Login, Member, Stage};
use super::model_connections::{cause_of, is_end, outcome_of};
use super::outcomes::Outcomes;
use super::people::{VerifiedToken, user_of};
use super::world::World;

/// How the model goes on with what was said.
#[derive(PartialEq, Eq)]
pub(super) enum Step {
    On,
    /// The connection ended here: what was said after it is not read.
    Ended,
}

/// What the server says of a step: who ended, and why.
pub(super) struct Told<'r> {
    pub(super) reports: &'r [Report],
    /// How the connection that spoke ended, if it did.
    pub(super) own: Option<&'r Report>,
    /// True once something was said that may or may not have ended it.
    pub(super) is_doubtful: bool,
    /// Signatures that must have been checked.
    pub(super) verifications: u64,
    /// Whose connections a logout has closed, whatever the dates of their tokens.
    pub(super) logged_out: Option<usize>,
}

impl<'r> Told<'r> {
    /// What the server says of a step in which this connection spoke.
    pub(super) fn of(reports: &'r [Report], id: ConnectionId) -> Told<'r> {
        let is_own = |report: &&Report| report.connection == id && is_end(report.what);
        Told {
            reports,
            own: reports.iter().find(is_own),
            is_doubtful: false,
            verifications: 0,
            logged_out: None,
        }
    }

    pub(super) fn ends(&self, id: ConnectionId) -> bool {
        let ends = |report: &&Report| report.connection == id && is_end(report.what);
        self.reports.iter().any(|report| ends(&report))
    }

    pub(super) fn own_cause(&self) -> Option<CloseCause> {
        self.own.and_then(|report| cause_of(report.what))
    }

    /// Whether the connection was refused with one of these.
    pub(super) fn is_refused(&self, outcomes: Outcomes) -> bool {
        self.own_cause()
            .is_some_and(|cause| outcomes.allow(outcome_of(cause)))
    }
}

impl World<'_> {
    pub(super) fn check_receive(
        &mut self,
        index: usize,
        verifications: u64,
        is_at_once: bool,
    ) -> Result<(), String> {
        let reports = self.reports();
        let id = self.links[index].id;
        let mut told = Told::of(&reports, id);
        self.links[index].alive_at = self.now.monotonic;
        self.links[index].asked_at = None;
        self.check_messages(index, &mut told)?;
        self.note_logouts();
        self.note_unfinished(index);
        let verified = self.turn.core.verifications() - verifications;
        if !told.is_doubtful && verified != told.verifications {
            return Err(format!(
                "{verified} signatures were checked, and {} were to be",
                told.verifications
            ));
        }
        for report in &reports {
            self.check_other(report, id, told.logged_out)?;
        }
        // One that ends in a tick is shut in the same turn.
        let is_over = self.links[index].is_read_no_more();
        match (is_over, self.turn.is_over(id)) {
            (false, true) => Err("a connection that goes on is not read on".to_owned()),
            (true, false) if is_at_once => Err("one that is over is read on".to_owned()),
            _ => Ok(()),
        }
    }

    /// Somebody else ended by what was said, or by what the server noticed on that occasion.
    fn check_other(
        &mut self,
        report: &Report,
        speaker: ConnectionId,
        logged_out: Option<usize>,
    ) -> Result<(), String> {
        if report.connection == speaker || !is_end(report.what) {
            self.note(report);
            return Ok(());
        }
        let index = self.link(report.connection).ok_or("nobody ended")?;
        let is_due = match cause_of(report.what) {
            // Nobody is slow whose socket took all that it was offered.
            Some(CloseCause::SlowReader) => self.links[index].was_stalled,
            Some(CloseCause::Memory) => self.may_go_for_memory(index, self.pressed_bytes),
            Some(CloseCause::Gate(gate::Denied::TokenRevoked))
                if self.links[index].member.map(|member| member.user) == logged_out =>
            {
                true
            }
            Some(cause @ (CloseCause::Gate(_) | CloseCause::PeerLeft)) => self.is_due(index, cause),
            _ => false,
        };
        match is_due {
            true => self.end(report, None),
            false => Err(format!(
                "{report:?} when another spoke; {:?}",
                self.links[index]
            )),
        }
    }

    fn check_messages(&mut self, index: usize, told: &mut Told<'_>) -> Result<(), String> {
        if self.is_reviewed(index, told) {
            return self.end_own(told, None);
        }
        // It ended since too much waits for it: after which of its frames, nobody can tell.
        let is_slow = told.own_cause() == Some(CloseCause::SlowReader)
            && self.links[index].was_stalled
            || told.own_cause() == Some(CloseCause::Memory)
                && self.may_be_short_of_memory(self.pressed_bytes);
        let may_fail = told.is_refused(Outcomes::of_code("unavailable"));
        // Nor is a token given while a logout of its user is not on the disk.
        let is_void = told.own.is_some_and(|own| {
            let user = own.user.as_deref().map(user_of);
            own.event.as_deref() == Some("refresh")
                && user.is_some_and(|user| self.people.is_voided_here(user))
        });
        let may_be_unavailable = self.people.may_be_unavailable(self.now.monotonic);
        told.is_doubtful = is_slow || may_fail && (may_be_unavailable || is_void);
        while let Some(mark) = self.links[index].next_mark() {
            if self.take(index, mark, told)? == Step::Ended {
                return Ok(());
            }
        }
        // What is wrong shows before its last byte.
        if told.own.is_some()
            && let Some(mark) = self.links[index].begun_mark()
        {
            return self.take(index, mark, told).map(|_| ());
        }
        match told.own {
            None => Ok(()),
            Some(_) if told.is_doubtful => self.end_own(told, None),
            Some(report) => Err(format!("{report:?}, for which there was no reason")),
        }
    }

    /// Whether the connection ended before its first frame was looked at: its user may no longer
    /// be here.
    fn is_reviewed(&self, index: usize, told: &Told<'_>) -> bool {
        let Some(report) = told.own.filter(|report| report.event.is_none()) else {
            return false;
        };
        let is_standing = matches!(
            cause_of(report.what),
            Some(CloseCause::Gate(
                gate::Denied::TokenRevoked
                    | gate::Denied::Unavailable
                    | gate::Denied::Forbidden(
                        gate::Forbidden::UnknownUser | gate::Forbidden::DisabledUser
                    )
            ))
        );
        let is_member =
            self.links[index].stage == Stage::Open && self.links[index].member.is_some();
        is_standing
            && is_member
            && cause_of(report.what).is_some_and(|cause| self.is_due(index, cause))
    }

    fn take(&mut self, index: usize, mark: Mark, told: &mut Told<'_>) -> Result<Step, String> {
        if self.links[index].stage == Stage::Open && !matches!(mark.said, Said::Broken(_)) {
            let verdict = match (self.count_frame(index), self.links[index].member) {
                (false, _) => Verdict::Beyond,
                (true, None) => Verdict::Within,
                (true, Some(member)) => self.count_user_frame(member.user, told),
            };
            if self.apply_rate(verdict, told)? == Step::Ended {
                return Ok(Step::Ended);
            }
        }
        let is_fragment = matches!(mark.said, Said::Fragment);
        let is_text = matches!(mark.said, Said::Text(_));
        let link = &mut self.links[index];
        link.is_in_message = is_fragment || link.is_in_message && !is_text;
        if !link.is_in_message {
            link.unfinished_since = None;
        }
        match mark.said {
            Said::Client => self.take_client(index, told),
            Said::NoClient => {
                if !matches!(told.own_cause(), Some(CloseCause::Proxy(_))) {
                    return Err(format!("no PROXY header was answered with {:?}", told.own));
                }
                self.end_own(told, None)?;
                Ok(Step::Ended)
            }
            Said::Request(request) => self.take_request(index, request, told),
            Said::Fragment | Said::Pong => Ok(Step::On),
            Said::Ping(payload) => {
                self.links[index].owe(Expected::Pong(payload), !told.is_doubtful);
                Ok(Step::On)
            }
            Said::Close(code) => {
                let left = ReportKind::Closed(CloseCause::PeerLeft);
                self.must_be(told, left)?;
                let has_left = told.own.is_some_and(|own| own.what == left);
                self.end_own(told, has_left.then_some(code))?;
                Ok(Step::Ended)
            }
            Said::Broken(codes) => self.take_breach(told, codes),
            Said::Text(frame) => self.take_frame(index, &frame, told),
        }
    }

    pub(super) fn must_be(&self, told: &Told<'_>, what: ReportKind) -> Result<(), String> {
        match told.own {
            Some(report) if report.what == what || told.is_doubtful => Ok(()),
            own => Err(format!("{own:?}, where {what:?} was due")),
        }
    }

    fn take_breach(&mut self, told: &mut Told<'_>, codes: &[u16]) -> Result<Step, String> {
        let close = told.own_cause().and_then(CloseCause::close_code);
        if close.is_some_and(|code| codes.contains(&code.value())) || told.is_doubtful {
            self.end_own(told, None)?;
            return Ok(Step::Ended);
        }
        Err(format!("a breach was answered with {:?}", told.own))
    }

    /// A verified token: the first logs the connection in, one that lives longer moves its end.
    pub(super) fn enter(
        &mut self,
        index: usize,
        newer: &Member,
        told: &mut Told<'_>,
    ) -> Result<Step, String> {
        let is_member = self.links[index].member.is_some();
        if !is_member && self.join(newer.user, told)? == Step::Ended {
            return Ok(Step::Ended);
        }
        let member = &mut self.links[index].member;
        if member.is_none_or(|member| newer.expires_at > member.expires_at) {
            *member = Some(*newer);
        }
        Ok(Step::On)
    }

    fn take_frame(
        &mut self,
        index: usize,
        frame: &ClientFrame,
        told: &mut Told<'_>,
    ) -> Result<Step, String> {
        let bound = self.links[index].member.map(|member| member.user);
        match frame.event {
            Event::BadFrame => {
                let is_bad = |cause: CloseCause| cause.error_code() == Some("bad_frame");
                if told.own_cause().is_some_and(is_bad) || told.is_doubtful {
                    self.end_own(told, None)?;
                    return Ok(Step::Ended);
                }
                return Err("a bad frame was taken".to_owned());
            }
            Event::Login { user, is_right } => {
                return self.take_login(index, frame.id, user, is_right, told);
            }
            _ => {}
        }
        told.verifications += u64::from(frame.pass.as_ref().is_some_and(VerifiedToken::is_whole));
        let outcomes = self.people.outcomes(frame.pass.as_ref(), bound, self.now);
        let is_refused = told.is_refused(outcomes);
        match &frame.pass {
            Some(pass) if outcomes.allow(Outcomes::PASSES) => {
                // It may be this frame for which it ended, or a later one.
                told.is_doubtful |= is_refused && outcomes != Outcomes::PASSES;
                match self.enter(index, &pass.clone().into(), told)? {
                    Step::On => self.take_event(index, frame, pass, told),
                    Step::Ended => Ok(Step::Ended),
                }
            }
            _ if is_refused || told.is_doubtful => {
                self.end_own(told, None)?;
                Ok(Step::Ended)
            }
            _ => Err(format!(
                "a bad token was answered with {:?}: {:?} {outcomes:?} {:?}",
                told.own, frame.pass, self.links[index]
            )),
        }
    }

    fn take_login(
        &mut self,
        index: usize,
        id: Option<u32>,
        user: usize,
        is_right: bool,
        told: &mut Told<'_>,
    ) -> Result<Step, String> {
        let bound = self.links[index].member.map(|member| member.user);
        if bound.is_some_and(|bound| bound != user) {
            if told.is_refused(Outcomes::of_code("forbidden")) || told.is_doubtful {
                self.end_own(told, None)?;
                return Ok(Step::Ended);
            }
            return Err("a login as somebody else was taken".to_owned());
        }
        self.note_login(index);
        if let Some(id) = id {
            self.links[index].logins.push(Login { id, is_right });
        }
        Ok(Step::On)
    }

    fn take_event(
        &mut self,
        index: usize,
        frame: &ClientFrame,
        pass: &VerifiedToken,
        told: &mut Told<'_>,
    ) -> Result<Step, String> {
        let user = pass.user;
        let is_sure = !told.is_doubtful;
        let id = frame.id;
        let missing = |world: &Self, user: usize| -> &'static [&'static str] {
            match world.people.may_be_missing(user, world.now) {
                true => &["not_found"],
                false => &[],
            }
        };
        match frame.event {
            Event::GetUser(target) => self.owe_user(index, id, target, told),
            Event::Message { nonce, to } => {
                let data = data(nonce, frame.pad);
                match self.charge_message(user, to, &data, told) {
                    Verdict::Beyond => self.owe_limit(index, id, told),
                    verdict => {
                        let is_sure = verdict == Verdict::Within;
                        self.send(index, id, user, (nonce, to), is_sure, told);
                    }
                }
            }
            Event::Refresh if is_sure && self.is_void_for_sure(user) => {
                return Err("a token is given while a logout is not on the disk".to_owned());
            }
            Event::Refresh => {
                let errors = missing(self, user);
                self.links[index].owe_reply(id, "refresh", errors, is_sure);
            }
            Event::Unknown => self.links[index].owe_reply(id, "", &["unknown_event"], is_sure),
            Event::BadData => self.links[index].owe_reply(id, "", &["bad_data"], is_sure),
            Event::Logout => return self.log_out(index, id, pass, told),
            Event::Login { .. } | Event::BadFrame => {}
        }
        Ok(Step::On)
    }

    fn owe_user(&mut self, index: usize, id: Option<u32>, target: usize, told: &Told<'_>) {
        let unix = self.now.unix.0;
        let is_there = |link: &&Link| {
            let member = link.member.filter(|_| !link.is_over());
            member.is_some_and(|member| member.user == target && member.expires_at > unix)
        };
        let is_online = self.links.iter().any(|link| is_there(&link));
        let is_changing = told.reports.iter().any(|report| is_end(report.what));
        let errors: &[&str] = match self.people.may_be_missing(target, self.now) {
            true => &["not_found"],
            false => &[],
        };
        let Some(id) = id else { return };
        let what = Expected::Reply {
            id,
            event: "getUser",
            errors,
            delivered: None,
            is_online: (!is_changing).then_some(is_online),
        };
        self.links[index].owe(what, !told.is_doubtful);
    }

    /// A broadcast reaches exactly those who are logged in now.
    fn send(
        &mut self,
        index: usize,
        id: Option<u32>,
        from: usize,
        (nonce, to): (u32, Option<usize>),
        is_granted: bool,
        told: &Told<'_>,
    ) {
        let unix = self.now.unix.0;
        let (mut sure, mut unsure) = (0, 0);
        for link in &mut self.links {
            let is_audience = link.member.is_some_and(|member| {
                member.expires_at > unix && to.is_none_or(|to| to == member.user)
            });
            if link.is_over() || !is_audience {
                continue;
            }
            let is_sure = is_granted && !told.is_doubtful && !told.ends(link.id);
            if is_sure {
                sure += 1;
            } else {
                unsure += 1;
            }
            link.owe(Expected::Broadcast { nonce, from }, is_sure);
        }
        if let Some(id) = id {
            let what = Expected::Reply {
                id,
                event: "message",
                errors: if is_granted { &[] } else { &["rate_limited"] },
                delivered: Some((sure, sure + unsure)),
                is_online: None,
            };
            self.links[index].owe(what, !told.is_doubtful);
        } else if !is_granted {
            self.links[index].owe(Expected::Limit { id }, false);
        }
    }

    pub(super) fn end_own(
        &mut self,
        told: &Told<'_>,
        close: Option<Option<u16>>,
    ) -> Result<(), String> {
        match told.own {
            Some(report) => self.end(report, close),
            None => Err("a connection goes on that should have ended".to_owned()),
        }
    }
}
