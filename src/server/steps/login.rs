//! Logins by password, in a frame or by `POST /login`: begun here, checked by the helper thread,
//! ended here.
//!
//! Promises that a login tells by neither its answer nor its time whether an id exists (contract
//! §3), that no connection, address or id takes all places for passwords, and that a password which
//! was changed while it was checked lets nobody in. Refuses to know Argon2 and threads: a job goes
//! out, an outcome comes back.

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

/// Told when there is no place for a password. A hash takes some 20 to 500 ms and few are ahead of
/// it, so in a second there may be one.
const BUSY: Fault = Fault::Busy {
    retry_after: Duration::from_secs(1),
};

impl Core {
    /// Queues a password for the helper thread.
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
            // It need not go for a newcomer while it waits for its password.
            Ok(()) => self.quotas.shelter(key, true),
            Err(_) => {
                if let Some(open) = self.sessions.open_mut(key) {
                    open.login_pending = false;
                }
            }
        }
        begun
    }

    /// Finds the login a place, and reads what its password is to be checked against.
    ///
    /// # Errors
    /// As [`Core::begin_login`].
    fn queue_login(
        &mut self,
        now: Now,
        key: u32,
        credentials: Credentials,
        via: Via,
    ) -> Result<(), Fault> {
        let Credentials { id, password } = credentials;
        let address = self.sessions[key].counted_address();
        // Ahead of the rates: a login that is told `busy` uses up none of them.
        let rank = self.logins.rank(now.monotonic, address, &id);
        let rank = rank.ok_or(BUSY)?;
        self.meter_login(now, key, &id).inspect_err(|_| {
            let what = ReportKind::LoginFailed(LoginFailure::LoginRate);
            self.report_login(now, key, what, &id);
        })?;
        // A user who is unknown, disabled or without a password costs the time of a wrong one: the
        // hash is made in any case.
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
        // There was no place left: the login that comes last among those that wait has lost its
        // own.
        if let Some(gone) = gone {
            self.conclude_login(now, &gone, Err(BUSY));
        }
        Ok(())
    }

    /// Counts a login against the rates of its address and of its id.
    ///
    /// # Errors
    /// `RateLimited` past either rate.
    fn meter_login(&mut self, now: Now, key: u32, id: &str) -> Result<(), Fault> {
        // The address first: one that is past its rate does not use up the rate of an id, which may
        // be the id of another user.
        self.meter_address(now, key)?;
        let admitted = self
            .logins_by_id
            .admit(&self.policy.logins, &id, now.monotonic);
        admitted.map_err(|retry_after| Fault::RateLimited { retry_after })
    }

    /// Counts a login against the rate of the connection's address. Past the rate it is a hostile
    /// failure.
    ///
    /// # Errors
    /// `RateLimited` past the rate.
    fn meter_address(&mut self, now: Now, key: u32) -> Result<(), Fault> {
        let Some(address) = self.sessions[key].counted_address() else {
            return Ok(());
        };
        let admitted = self
            .logins_by_address
            .admit(&self.policy.logins, &address, now.monotonic);
        if admitted.is_err() {
            // An address is past its rate by its own doing. An id may be past its rate because of
            // others, so that counts against no address.
            self.counters.count("login_rate");
            self.count_hostile(now, key);
        }
        admitted.map_err(|retry_after| Fault::RateLimited { retry_after })
    }

    /// Returns what a login is told that was not begun. One whose data is no login counts by its
    /// address all the same: it was read, and that needs no token.
    pub(crate) fn meter_no_login(&mut self, now: Now, key: u32, fault: Fault) -> Fault {
        match fault {
            Fault::BadData(_) => match self.meter_address(now, key) {
                Ok(()) => fault,
                Err(limited) => {
                    let what = ReportKind::LoginFailed(LoginFailure::LoginRate);
                    self.report(now, key, what, Some(LOGIN));
                    limited
                }
            },
            fault => fault,
        }
    }

    /// Takes the outcome of a check, and logs the user in or says why not. Does nothing for a login
    /// that was given up.
    pub(crate) fn end_login(&mut self, now: Now, outcome: &HashOutcome) {
        let Some(mut login) = self.logins.leave(outcome.ticket) else {
            return;
        };
        let user = match outcome.verdict {
            Verdict::Right => self.confirmed(&mut login),
            Verdict::Wrong => Ok(None),
            // Nothing is known of the password then: "unavailable", never "wrong" (contract §3).
            Verdict::NoMemory | Verdict::Failed => Err(Fault::Unavailable),
        };
        if let Ok(None) = &user {
            self.count_failed_login(now, &login);
        }
        // The password was right, and yet there may be no token: the log says why.
        if let (Ok(Some(user)), Some(key)) = (&user, self.sessions.key(login.connection)) {
            self.report_void_tokens(now, key, user);
        }
        let result = match user {
            Ok(Some(user)) => self.mint(now, &user, true).map(|minted| (user, minted)),
            Ok(None) => Err(Fault::LoginFailed),
            Err(fault) => Err(fault),
        };
        // From now on this id comes first from this address: guesses from elsewhere do not keep its
        // owner out.
        if let (Ok(_), Some(address)) = (&result, login.address) {
            self.logins.know(now.monotonic, address, &login.id);
        }
        self.conclude_login(now, &login, result);
    }

    /// Reports why there is no token for a right password: the user's tokens are void for a while.
    /// Does nothing where they are not.
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

    /// Tells the connection what its login came to, if it has not ended.
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
            // It had no deadline to log in while its password was checked, and that may have
            // passed.
            self.schedule(now, key);
        }
        if let Err(Fault::LoginFailed) = &result {
            self.report_login(now, key, ReportKind::LoginFailed(login.failure), &login.id);
        }
        self.answer_login(now, key, login, result);
        let session = &self.sessions[key];
        // Its FIN came meanwhile. A half-close does not say that nobody reads, so the answer goes
        // first.
        if session.peer_finished && matches!(session.state(), State::Open(_)) {
            self.leave(now, key);
        }
    }

    /// Counts a wrong password as hostile, whether or not its sender still waits for the answer:
    /// else one could guess and hang up.
    fn count_failed_login(&mut self, now: Now, login: &PendingLogin) {
        self.counters.count("login_failed");
        if let Some(address) = login.address {
            self.count_hostile_of(now, login.connection, login.peer, address);
        }
    }

    /// Returns the user whose password it was, if the user may still log in: `None` when the stored
    /// hash is not the one that was checked, or the user may not log in any more.
    ///
    /// # Errors
    /// `Unavailable` when the store fails.
    fn confirmed(&mut self, login: &mut PendingLogin) -> Result<Option<User>, Fault> {
        let user = self.user_uncached(&login.id)?;
        login.failure = LoginFailure::of(user.as_ref());
        Ok(user.filter(|user| user.login_hash() == login.expected.as_ref()))
    }

    /// Answers a login by the way that it came in.
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
            // The connection is closing: it has had its last words.
            _ => {}
        }
    }

    /// Logs the connection in and sends it its token.
    fn welcome(&mut self, now: Now, key: u32, id: Option<&str>, user: &User, minted: &Minted) {
        let bound = self.members.user(key);
        // A frame with another user's token may have come while the password was checked (contract
        // §1: a connection is bound to one subject).
        if bound.is_some_and(|member| *member.id != *user.id) {
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

    /// Tells a mistake in a frame. The connection stays open, unless the fault ends it: the store
    /// fails, the user may not be here, or it was the third wrong password (contract §1).
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

    /// Counts a wrong password of the connection. Returns true when that was one too many.
    fn is_last_failure(&mut self, key: u32) -> bool {
        self.sessions.open_mut(key).is_some_and(|open| {
            open.login_failures += 1;
            open.login_failures >= LOGIN_FAILURES_MAX
        })
    }

    /// Reports what became of a login as `id`, which need not be logged in on the connection.
    fn report_login(&mut self, now: Now, key: u32, what: ReportKind, id: &str) {
        let user = Some(Rc::from(id));
        self.report_of(now, key, what, Some(LOGIN), user);
    }
}
