//! The model: what must come of those who come and go, and of time. Of the server
//! it believes only who ended, and asks whether that is right.

use std::borrow::Cow;

use framegate::internals::limits::{CROWD_CONNECTIONS_MIN, PENDING_GRACE, STOP_PATIENCE};
use framegate::internals::server::{CloseCause, ConnectionId, Report, ReportKind};
use framegate::internals::wire::Rejection;

use super::link::{Expected, Link, Over, Stage};
use super::outcomes::Outcomes;
use super::people::MARK;
use super::world::World;

pub(super) fn cause_of(what: ReportKind) -> Option<CloseCause> {
    match what {
        ReportKind::Refused(cause) | ReportKind::Closed(cause) => Some(cause),
        _ => None,
    }
}

pub(super) fn is_end(what: ReportKind) -> bool {
    cause_of(what).is_some()
}

pub(super) fn outcome_of(cause: CloseCause) -> Outcomes {
    match cause {
        CloseCause::Gate(_) | CloseCause::Expired => {
            Outcomes::of_code(cause.error_code().unwrap_or_default())
        }
        // An `Authorization` that holds no token at all.
        CloseCause::Upgrade(Rejection::Token) => Outcomes::of_code("unauthorized"),
        _ => Outcomes::default(),
    }
}

impl World<'_> {
    // Coming and going.

    pub(super) fn check_turned_away(&mut self, address: std::net::Ipv4Addr) -> Result<(), String> {
        let is_full = self.links.len() >= self.config.connections_max;
        // None whose password waits goes for a newcomer.
        let are_kept = self.turn.core.passwords_waiting() >= self.config.pending_max;
        let has_reason =
            is_full || are_kept || !self.is_proxy(address) && self.may_turn_away(address);
        match has_reason && self.reports().is_empty() {
            true => Ok(()),
            false => Err("somebody was turned away for no reason".to_owned()),
        }
    }

    /// Whether the address may have had its share.
    pub(super) fn may_turn_away(&self, address: std::net::Ipv4Addr) -> bool {
        let (all, pending) = self.count_of(address);
        let is_over = |count: usize, max: usize| max > 0 && count >= max;
        let hostile = self.hostile.get(&address).copied().unwrap_or_default();
        let is_banned = self.config.ban_after > 0 && hostile > self.config.ban_after;
        is_over(all, self.config.connections_per_address_max)
            || is_over(pending, self.config.pending_per_address_max)
            || is_banned
            || self.config.connect_rate.count > 0
    }

    fn count_of(&self, address: std::net::Ipv4Addr) -> (usize, usize) {
        let is_here = |link: &&Link| link.is_counted && link.address == address;
        let here = || self.links.iter().filter(is_here);
        let pending = here().filter(|link| !link.is_read_no_more() && link.member.is_none());
        (here().count(), pending.count())
    }

    /// One that was pending may have gone for a newcomer, but for those whose password waits: of an
    /// address that has most of them, or where none is a crowd the one that has been pending for
    /// longest, unless none has had its time yet.
    pub(super) fn check_connect(&mut self, id: ConnectionId) -> Result<(), String> {
        for report in self.reports() {
            if report.connection == id && self.is_left_unsaid(&report) {
                self.end(&report, None)?;
                continue;
            }
            // One whose login was given up may be pending no longer.
            let is_pending = |link: &&Link| {
                let may_be_over = link.is_given_up() && link.id != report.connection;
                !link.is_read_no_more() && !may_be_over && link.member.is_none() && link.id != id
            };
            let pending = || self.links.iter().filter(is_pending);
            let crowd = |link: &Link| {
                let is_neighbour =
                    |other: &&Link| other.is_counted && other.address == link.address;
                if link.is_counted {
                    pending().filter(is_neighbour).count()
                } else {
                    0
                }
            };
            let most = pending().map(crowd).max().unwrap_or_default();
            let mut may_go = pending().filter(|link| !self.turn.core.awaits_password(link.id));
            let had_time =
                |link: &Link| self.now.monotonic.since(link.accepted_at) >= PENDING_GRACE;
            let is_it = |link: &Link| link.id == report.connection;
            let oldest = may_go.clone().next();
            let is_right = match oldest {
                _ if most >= CROWD_CONNECTIONS_MIN => {
                    may_go.any(|link| is_it(link) && crowd(link) == most)
                }
                Some(oldest) if had_time(oldest) => is_it(oldest),
                _ => may_go.any(is_it),
            };
            let is_evicted = report.what == ReportKind::Refused(CloseCause::Evicted);
            if !is_evicted || !is_right {
                return Err(format!("{report:?} on a connect"));
            }
            self.end(&report, None)?;
        }
        Ok(())
    }

    /// The peer's FIN, or a reset.
    pub(super) fn check_leaving(&mut self, id: ConnectionId, is_cut: bool) -> Result<(), String> {
        for report in self.reports() {
            if report.connection != id || report.what != ReportKind::Closed(CloseCause::PeerLeft) {
                return Err(format!("{report:?} when somebody left"));
            }
            if self
                .link(id)
                .is_some_and(|index| self.links[index].is_over())
            {
                return Err(format!("{report:?}, who was over already"));
            }
            let over = Over {
                at: self.now.monotonic,
                error: None,
                close: None,
                is_cut,
            };
            self.set_over(id, over);
        }
        // An answered request is over without a word in the log.
        if is_cut && let Some(index) = self.link(id) {
            self.cut(index);
        }
        Ok(())
    }

    pub(super) fn cut(&mut self, index: usize) {
        let now = self.now.monotonic;
        let link = &mut self.links[index];
        match &mut link.stage {
            Stage::Over(over) => over.is_cut = true,
            _ => {
                let over = Over {
                    at: now,
                    error: None,
                    close: None,
                    is_cut: true,
                };
                link.stage = Stage::Over(over);
            }
        }
    }

    pub(super) fn check_shutdown(&mut self) -> Result<(), String> {
        for report in self.reports() {
            if report.what != ReportKind::Closed(CloseCause::ShuttingDown) {
                return Err(format!("{report:?} at the end"));
            }
            self.end(&report, Some(Some(1_001)))?;
        }
        self.stopping_since = Some(self.now.monotonic);
        let last = self.now.monotonic + STOP_PATIENCE;
        for link in &mut self.links {
            match &mut link.stage {
                Stage::Open => return Err(format!("{:?} is not told to go", link.id)),
                Stage::Waiting { by } => *by = last.min(*by),
                Stage::Asking | Stage::LoggingOut { .. } | Stage::Over(_) => {}
            }
        }
        Ok(())
    }

    // Time.

    /// Those that were ended by a deadline, or since memory was short.
    pub(super) fn check_tick(&mut self, held_bytes: usize) -> Result<(), String> {
        self.give_up_logins();
        for report in self.reports() {
            let Some(cause) = cause_of(report.what) else {
                self.note(&report);
                continue;
            };
            let index = self
                .link(report.connection)
                .ok_or("nobody's end is reported")?;
            let is_due = match cause {
                CloseCause::Memory => self.may_go_for_memory(index, held_bytes),
                cause => self.is_due(index, cause),
            };
            if !is_due {
                return Err(format!("{report:?}, which is not due"));
            }
            self.end(&report, None)?;
        }
        Ok(())
    }

    /// A `POST /login` whose password is not checked in time is answered without.
    fn give_up_logins(&mut self) {
        let now = self.now.monotonic;
        for link in &mut self.links {
            if let Stage::Waiting { by } = link.stage
                && by <= now
                && link.owed.is_empty()
            {
                // It may be checked at the last moment. It is over once that is heard.
                link.owe(Expected::Answer(vec![503, 401, 200]), false);
            }
        }
    }

    // Ends.

    /// The connection ended; its last words must be those the contract has for that.
    pub(super) fn end(
        &mut self,
        report: &Report,
        close: Option<Option<u16>>,
    ) -> Result<(), String> {
        let Some(cause) = cause_of(report.what) else {
            return Ok(());
        };
        let index = self.link(report.connection).ok_or("nobody ended")?;
        let is_open = match self.links[index].stage {
            Stage::Open => true,
            Stage::LoggingOut { .. } => cause != CloseCause::Memory,
            _ => false,
        };
        let is_abandoned = matches!(
            cause,
            CloseCause::NoRequest
                | CloseCause::HandshakeTimeout
                | CloseCause::PongTimeout
                | CloseCause::Evicted
                | CloseCause::Proxy(_)
        ) || matches!(cause, CloseCause::NoRoom(_))
            && self.links[index].owed.is_empty();
        let is_told = is_open && !is_abandoned && matches!(report.what, ReportKind::Refused(_));
        let error = cause.error_code().filter(|_| is_told);
        let close = match close {
            Some(close) => Some(close),
            None if is_told => cause.close_code().map(|code| Some(code.value())),
            None => None,
        };
        is_as_agreed(error, close)?;
        self.note(report);
        let over = Over {
            at: self.now.monotonic,
            error,
            close,
            // One that is too slow as well is told of the other cause, and hears no more than that.
            is_cut: is_abandoned
                || self.links[index].stalled_since.is_some()
                || self.links[index].is_broken()
                || matches!(cause, CloseCause::SlowReader | CloseCause::Memory)
                || cause == CloseCause::ShuttingDown && !is_open,
        };
        self.set_over(report.connection, over);
        Ok(())
    }

    pub(super) fn set_over(&mut self, id: ConnectionId, over: Over) {
        if let Some(index) = self.link(id) {
            let link = &mut self.links[index];
            link.stage = Stage::Over(over);
            link.member = None;
        }
    }

    /// A login may be one too many for its address, which counts towards a ban and is told to
    /// its peer alone.
    pub(super) fn note_login(&mut self, index: usize) {
        if self.config.login_rate.count > 0 {
            *self.hostile.entry(self.links[index].address).or_default() += 1;
        }
    }

    /// Keeps count of what bans, and looks at what the log is told.
    pub(super) fn note(&mut self, report: &Report) {
        if let ReportKind::Refused(cause) = report.what
            && cause.is_hostile()
            && let Some(index) = self.link(report.connection)
        {
            self.links[index].is_hostile = true;
            *self.hostile.entry(self.links[index].address).or_default() += 1;
        }
        self.digest_report(report);
    }
}

/// What the log is told is one line, and no secret.
pub(super) fn is_presentable(report: &Report) -> Result<(), String> {
    let (word, reason) = match report.what {
        ReportKind::Refused(cause) | ReportKind::Closed(cause) => (cause.word(), cause.reason()),
        ReportKind::LoginFailed(why) => (why.word(), Cow::default()),
        _ => ("-", Cow::default()),
    };
    let line = format!("{} {} {word} {reason}", report.what, report.peer);
    let is_bare = |text: &str| text.contains(char::is_control) || text.contains(MARK);
    match is_bare(&line) || word.is_empty() || line.contains("  ") {
        true => Err(format!("{line:?} is told")),
        false => Ok(()),
    }
}

/// The contract's table: which Close goes with which error.
fn is_as_agreed(error: Option<&str>, close: Option<Option<u16>>) -> Result<(), String> {
    let codes: &[u16] = match error {
        Some("unauthorized" | "token_expired" | "token_revoked" | "login_failed") => &[3_000],
        Some("forbidden") => &[3_003],
        Some("auth_timeout") => &[3_008],
        Some("bad_frame") => &[1_003, 1_007],
        Some("too_big") => &[1_009],
        Some("rate_limited") => &[1_008],
        Some("unavailable" | "too_many_connections") => &[1_013],
        Some(_) => &[],
        None => return Ok(()),
    };
    match close {
        Some(Some(code)) if codes.contains(&code) => Ok(()),
        close => Err(format!("{error:?} goes with {close:?}")),
    }
}
