//! Logins under way: begun on either way in, checked by the helper thread, ended here.

use std::rc::Rc;
use std::time::Duration;

use crate::app::password::{HashJob, HashOutcome, Verdict};
use crate::app::users::User;
use crate::app::{Credentials, Fault, write_session};
use crate::gate::{self, Forbidden, LOGIN, Minted};
use crate::limits::LOGIN_FAILURES_MAX;
use crate::time::Now;

use crate::server::answers::cause::CloseCause;
use crate::server::answers::report::{LoginFailure, ReportKind};
use crate::server::core::Core;
use crate::server::parts::login_queue::{PendingLogin, Via};
use crate::server::parts::members::Dates;
use crate::server::parts::sessions::State;
use crate::server::steps::host::issue_date;

/// A hash takes some 20 to 500 ms, and there are few before it.
const BUSY: Fault = Fault::Busy {
    retry_after: Duration::from_secs(1),
};

impl Core {
    /// Hands a password to the helper thread.
    ///
    /// # Errors
    /// `Busy` when too many wait, `RateLimited` when the address or the id has had its share,
    /// `Unavailable` when the store fails. Nothing was begun then.
    pub(crate) fn begin_login(
        &mut self,
        now: Now,
        key: u32,
        credentials: Credentials,
        via: Via,
    ) -> Result<(), Fault> {
        if let Some(open) = self.sessions.open_mut(key) {
            // One at a time: a connection cannot fill the queue by itself.
            if std::mem::replace(&mut open.login_pending, true) {
                return Err(BUSY);
            }
        }
        let begun = self.queue_login(now, key, credentials, via);
        match &begun {
            Ok(()) => self.quotas.shelter(key, true),
            Err(_) => {
                if let Some(open) = self.sessions.open_mut(key) {
                    open.login_pending = false;
                }
            }
        }
        begun
    }

    fn queue_login(
        &mut self,
        now: Now,
        key: u32,
        credentials: Credentials,
        via: Via,
    ) -> Result<(), Fault> {
        let Credentials { id, password } = credentials;
        let address = self.sessions[key].counted_address();
        let rank = self.logins.rank(now.monotonic, address, &id);
        let rank = rank.ok_or(BUSY)?;
        self.meter_login(now, key, &id)?;
        // A user who is unknown, disabled or has no password costs the time of a wrong one.
        let user = self.user_uncached(&id)?;
        let failure = LoginFailure::of(user.as_ref());
        let expected = user.and_then(|user| user.login_hash().cloned());
        let login = PendingLogin {
            connection: self.sessions.id(key),
            peer: self.sessions[key].peer,
            address,
            via,
            id,
            expected: expected.clone(),
            failure,
        };
        let memory_kib = self.policy.config.password_memory_kib;
        let gone = self.logins.enter(rank, login, |ticket| HashJob {
            ticket,
            password,
            expected,
            memory_kib,
        });
        if let Some(gone) = gone {
            self.conclude_login(now, &gone, Err(BUSY));
        }
        Ok(())
    }

    fn meter_login(&mut self, now: Now, key: u32, id: &str) -> Result<(), Fault> {
        self.meter_address(now, key)?;
        let admitted = self
            .logins_by_id
            .admit(&self.policy.logins, &id, now.monotonic);
        admitted.map_err(|retry_after| Fault::RateLimited { retry_after })
    }

    fn meter_address(&mut self, now: Now, key: u32) -> Result<(), Fault> {
        let Some(address) = self.sessions[key].counted_address() else {
            return Ok(());
        };
        let admitted = self
            .logins_by_address
            .admit(&self.policy.logins, &address, now.monotonic);
        if admitted.is_err() {
            // An id's rate may be used up by others; an address's is its own doing.
            self.counters.count("login_rate");
            self.count_hostile(now, key);
        }
        admitted.map_err(|retry_after| Fault::RateLimited { retry_after })
    }

    /// What a login is told that was not begun. One whose data is none counts by its address all
    /// the same: it was read, and that needs no token.
    pub(crate) fn meter_no_login(&mut self, now: Now, key: u32, fault: Fault) -> Fault {
        match fault {
            Fault::BadData(_) => self.meter_address(now, key).err().unwrap_or(fault),
            fault => fault,
        }
    }

    /// The helper thread has checked a password.
    pub(crate) fn end_login(&mut self, now: Now, outcome: &HashOutcome) {
        let Some(mut login) = self.logins.leave(outcome.ticket) else {
            return;
        };
        let user = match outcome.verdict {
            Verdict::Right => self.confirmed(&mut login),
            Verdict::Wrong => Ok(None),
            // Of the password nothing is known then.
            Verdict::NoMemory | Verdict::Failed => Err(Fault::Unavailable),
        };
        if let Ok(None) = &user {
            self.count_failed_login(now, &login);
        }
        if let (Ok(Some(user)), Some(key)) = (&user, self.sessions.key(login.connection)) {
            self.report_void_tokens(now, key, user);
        }
        let result = match user {
            Ok(Some(user)) => self.mint(now, &user, true).map(|minted| (user, minted)),
            Ok(None) => Err(Fault::LoginFailed),
            Err(fault) => Err(fault),
        };
        if let (Ok(_), Some(address)) = (&result, login.address) {
            self.logins.know(now.monotonic, address, &login.id);
        }
        self.conclude_login(now, &login, result);
    }

    /// Why no token was given for a right password.
    fn report_void_tokens(&mut self, now: Now, key: u32, user: &User) {
        if let Some((until, wait)) = self.tokens_void(now, user) {
            let wait_seconds = wait.as_secs();
            let what = ReportKind::TokensVoid {
                until,
                wait_seconds,
            };
            self.report_login(now, key, what, &user.id);
        }
    }

    /// Tells the connection what its login came to, if it is still there.
    fn conclude_login(
        &mut self,
        now: Now,
        login: &PendingLogin,
        result: Result<(User, Minted), Fault>,
    ) {
        let Some(key) = self.sessions.key(login.connection) else {
            return;
        };
        self.quotas.shelter(key, false);
        if let Some(open) = self.sessions.open_mut(key) {
            open.login_pending = false;
            // Its time to log in may have run out meanwhile.
            self.schedule(now, key);
        }
        if let Err(Fault::LoginFailed) = &result {
            self.report_login(now, key, ReportKind::LoginFailed(login.failure), &login.id);
        }
        self.answer_login(now, key, login, result);
        let session = &self.sessions[key];
        if session.peer_finished && matches!(session.state(), State::Open(_)) {
            self.leave(now, key);
        }
    }

    /// A wrong password is hostile, whether or not its sender waits for the answer.
    fn count_failed_login(&mut self, now: Now, login: &PendingLogin) {
        self.counters.count("login_failed");
        if let Some(address) = login.address {
            self.count_hostile_of(now, login.connection, login.peer, address);
        }
    }

    /// The user whose password it was, if the user may still come in.
    fn confirmed(&mut self, login: &mut PendingLogin) -> Result<Option<User>, Fault> {
        let user = self.user_uncached(&login.id)?;
        login.failure = LoginFailure::of(user.as_ref());
        Ok(user.filter(|user| user.login_hash() == login.expected.as_ref()))
    }

    fn answer_login(
        &mut self,
        now: Now,
        key: u32,
        login: &PendingLogin,
        result: Result<(User, Minted), Fault>,
    ) {
        match (&login.via, self.sessions[key].state()) {
            (Via::Http, State::Answering { .. }) => {
                if let Ok((user, _)) = &result {
                    self.report_login(now, key, ReportKind::LoggedIn, &user.id);
                }
                self.answer_http_login(now, key, result.map(|(_, minted)| minted));
            }
            (Via::Frame(id), State::Open(_)) => match result {
                Ok((user, minted)) => self.welcome(now, key, id.as_deref(), &user, &minted),
                Err(fault) => self.fault(now, key, id.as_deref(), Some(LOGIN), fault),
            },
            // The connection has ended meanwhile.
            _ => {}
        }
    }

    /// Logs the connection in and hands it its token.
    fn welcome(&mut self, now: Now, key: u32, id: Option<&str>, user: &User, minted: &Minted) {
        let bound = self.members.user(key);
        if bound.is_some_and(|person| *person.id != *user.id) {
            let cause = CloseCause::Gate(gate::Denied::Forbidden(Forbidden::OtherSubject));
            return self.refuse(now, key, cause, id, Some(LOGIN));
        }
        let issued_at = issue_date(now, user);
        let expires_at = issued_at.plus(minted.expires_in_seconds);
        let dates = Dates {
            issued_at,
            expires_at,
        };
        if !self.log_in(now, key, &user.id, dates, self.standing_now(user)) {
            return;
        }
        self.report(now, key, ReportKind::LoggedIn, Some(LOGIN));
        let mut data = Vec::new();
        write_session(&mut data, minted);
        self.answer(now, key, LOGIN, id, &data);
    }

    /// A mistake in a frame: told, and the connection lives, unless the fault ends it.
    pub(crate) fn fault(
        &mut self,
        now: Now,
        key: u32,
        id: Option<&str>,
        event: Option<&str>,
        fault: Fault,
    ) {
        let cause = match fault {
            Fault::Unavailable | Fault::TokensVoid { .. } => {
                Some(CloseCause::Gate(gate::Denied::Unavailable))
            }
            Fault::Denied(cause) => Some(CloseCause::Gate(cause)),
            Fault::OtherUser => Some(CloseCause::Gate(gate::Denied::Forbidden(
                Forbidden::OtherSubject,
            ))),
            Fault::LoginFailed if self.is_last_failure(key) => Some(CloseCause::LoginFailed),
            _ => None,
        };
        match (cause, fault) {
            (Some(cause), Fault::TokensVoid { retry_after }) => {
                let words = (fault.to_string().into(), Some(retry_after));
                self.refuse_in_words(now, key, cause, id, event, words);
            }
            (Some(cause), _) => self.refuse(now, key, cause, id, event),
            (None, _) => self.answer_fault(now, key, id, fault),
        }
    }

    fn is_last_failure(&mut self, key: u32) -> bool {
        self.sessions.open_mut(key).is_some_and(|open| {
            open.login_failures += 1;
            open.login_failures >= LOGIN_FAILURES_MAX
        })
    }

    fn report_login(&mut self, now: Now, key: u32, what: ReportKind, id: &str) {
        let user = Some(Rc::from(id));
        self.report_of(now, key, what, Some(LOGIN), user);
    }
}
