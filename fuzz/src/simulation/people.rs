//! Users and tokens, good and bad, and what the simulator knows to be true of them.

use framegate::internals::app::users::{MemoryStore, Revocation, StoreError, User, UserStore};
use framegate::internals::gate::{ClaimRules, Signer};
use framegate::internals::server::LoginFailure;
use framegate::internals::time::{Instant, Now, UnixSeconds};

use super::choice::Choice;
use super::link::Member;
use super::outcomes::Outcomes;
use super::secrets::{keys_of, password_hash_of};

/// How many users are spoken of; some of them may not be there.
pub(super) const PEOPLE: usize = 6;
/// What every secret and password contains, and nothing else that is ever said.
pub(super) const MARK: &str = "~";
/// How long the server may go on by what a user was (contract §3).
const STALE_MICROS_MAX: u64 = 50_000;

/// How long tokens of the server live.
pub(super) const TOKEN_TTL_SECONDS: u64 = 60;

/// A user, as the store has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct AccountStatus {
    is_known: bool,
    is_disabled: bool,
    tokens_valid_from: u64,
}

/// A token, and what is true of it.
#[derive(Clone, Debug)]
pub(super) struct VerifiedToken {
    pub(super) text: String,
    pub(super) user: usize,
    pub(super) issued_at: u64,
    pub(super) expires_at: u64,
    pub(super) made: Made,
}

/// How a token was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Made {
    /// Signed with the secret of a generation.
    Signed(u32),
    /// Of the right form, with a signature that is wrong.
    Forged,
    /// Not of the right form: its signature is never looked at.
    Malformed,
}

impl From<VerifiedToken> for Member {
    fn from(pass: VerifiedToken) -> Member {
        Member {
            user: pass.user,
            issued_at: pass.issued_at,
            expires_at: pass.expires_at,
        }
    }
}

impl VerifiedToken {
    /// True when it has the form of a token, so that its signature is looked at.
    pub(super) fn is_whole(&self) -> bool {
        self.made != Made::Malformed
    }
}

pub(super) struct People {
    /// The users, as another process sees them.
    store: MemoryStore,
    /// How each user stands, and how it stood, since when; the newest last, at least one.
    standings: Vec<Vec<(Instant, AccountStatus)>>,
    /// Before which second a user's tokens are void in the server alone; 0 for none.
    pending: [u64; PEOPLE],
    /// Which secret signs; the one before it still verifies.
    pub(super) generation: u32,
    /// True while calls of the store may fail.
    is_store_failing: bool,
    /// When the store was mended last: the server learns it when it asks again.
    mended_at: Instant,
    /// Since when every call fails: the database is gone.
    gone_since: Option<Instant>,
}

pub(super) fn id_of(user: usize) -> &'static str {
    const IDS: [&str; PEOPLE + 1] = [
        "user0", "user1", "user2", "user3", "user4", "user5", "user6",
    ];
    IDS[user.min(PEOPLE)]
}

pub(super) fn user_of(id: &str) -> usize {
    let number = id
        .strip_prefix("user")
        .and_then(|number| number.parse().ok());
    number.unwrap_or(PEOPLE)
}

impl People {
    pub(super) fn new() -> People {
        let nobody = AccountStatus {
            is_known: false,
            is_disabled: false,
            tokens_valid_from: 0,
        };
        let mut people = People {
            store: MemoryStore::new(),
            standings: vec![vec![(Instant::ORIGIN, nobody)]; PEOPLE],
            pending: [0; PEOPLE],
            generation: 1,
            is_store_failing: false,
            mended_at: Instant::ORIGIN,
            gone_since: None,
        };
        // The last one is spoken of and not there.
        for user in 0..PEOPLE - 1 {
            people.add(user, Instant::ORIGIN);
        }
        people
    }

    /// The users, as a server sees them.
    pub(super) fn connect(&self) -> Box<dyn UserStore> {
        Box::new(self.store.connect())
    }

    // What another process does.

    pub(super) fn add(&mut self, user: usize, now: Instant) {
        let id = id_of(user);
        let added = User::new(id, id, password_hash_of(user), UnixSeconds(1));
        if added.is_ok_and(|user| self.store.add(&user)) {
            self.note(user, now);
        }
    }

    pub(super) fn remove(&mut self, user: usize, now: Instant) {
        if self.store.remove(id_of(user)) {
            self.note(user, now);
        }
    }

    pub(super) fn disable(&mut self, user: usize, is_disabled: bool, now: Instant) {
        if self.store.set_disabled(id_of(user), is_disabled) {
            self.note(user, now);
        }
    }

    /// As `framegate user revoke`: tokens issued until now are void.
    pub(super) fn revoke(&mut self, user: usize, now: Now) {
        if self.store.void_tokens(id_of(user), now.unix) {
            self.note(user, now.monotonic);
        }
    }

    /// Another database with the same users takes the place of this one.
    pub(super) fn touch(&mut self) {
        self.store.replace();
    }

    /// The next calls of the store fail; for ever, or none of them any more.
    pub(super) fn fail(&mut self, calls: u64, now: Instant, choice: &mut Choice<'_>) {
        self.is_store_failing = calls > 0;
        self.mended_at = now;
        self.gone_since = match calls {
            u64::MAX => self.gone_since.or(Some(now)),
            _ => None,
        };
        let error = match choice.below(4) {
            0 => StoreError::Busy,
            1 => StoreError::Full,
            2 => StoreError::Io,
            _ => StoreError::Corrupt {
                path: "users".into(),
            },
        };
        self.store.fail_next(calls, error);
    }

    // What is true.

    fn note(&mut self, user: usize, now: Instant) {
        let standing = self.stored(user);
        self.standings[user].push((now, standing));
    }

    fn stored(&self, user: usize) -> AccountStatus {
        let stored = self.store.peek(id_of(user));
        AccountStatus {
            is_known: stored.is_some(),
            is_disabled: stored.as_ref().is_some_and(|user| user.disabled),
            tokens_valid_from: stored
                .and_then(|user| user.tokens_valid_from)
                .map_or(0, |from| from.0)
                .max(self.pending[user]),
        }
    }

    fn newest(&self, user: usize) -> AccountStatus {
        self.standings[user]
            .last()
            .map_or_else(|| self.stored(user), |(_, standing)| *standing)
    }

    /// Whether the store holds something of the user that nobody has noted: the server wrote it.
    pub(super) fn has_unnoted_change(&self, user: usize) -> bool {
        self.newest(user) != self.stored(user)
    }

    /// The server itself has voided a user's tokens: it knows that at once.
    pub(super) fn note_logout(&mut self, user: usize, now: Instant) {
        let stored = self.stored(user);
        for (_, standing) in &mut self.standings[user] {
            standing.tokens_valid_from = stored.tokens_valid_from;
        }
        self.note(user, now);
    }

    /// What the server has to write to the store. False when that fails.
    pub(super) fn write(
        &mut self,
        revocations: &[Revocation],
        seen: Option<UnixSeconds>,
        now: UnixSeconds,
    ) -> bool {
        self.store.write(revocations, seen, &|| now).is_ok()
    }

    /// A logout was kept in the step in which it was asked.
    pub(super) fn note_kept(&mut self, user: usize, now: Instant) {
        self.pending[user] = 0;
        self.note_logout(user, now);
    }

    /// A logout is not kept yet: the user's tokens are void in the server alone, which knows that at
    /// once, whatever it knows of the store.
    pub(super) fn note_void(&mut self, user: usize, void_before: UnixSeconds, now: Instant) {
        self.pending[user] = void_before.0;
        for (_, standing) in &mut self.standings[user] {
            standing.tokens_valid_from = standing.tokens_valid_from.max(void_before.0);
        }
        self.note(user, now);
    }

    /// The store was written to since, by a helper thread: the server learns of it as of what another
    /// process does.
    pub(super) fn note_written(
        &mut self,
        user: usize,
        void_before: Option<UnixSeconds>,
        now: Instant,
    ) {
        self.pending[user] = void_before.map_or(0, |from| from.0);
        self.note(user, now);
    }

    /// Whether the user's tokens are void in the server alone: a logout could not be written.
    pub(super) fn is_voided_here(&self, user: usize) -> bool {
        self.pending.get(user).is_some_and(|before| *before > 0)
    }

    /// The server has ended, and with it what it alone knew.
    pub(super) fn forget_pending(&mut self, now: Instant) {
        for user in 0..PEOPLE {
            if std::mem::take(&mut self.pending[user]) > 0 {
                self.note(user, now);
            }
        }
    }

    /// Nothing in the store has changed but by us, or by a logout that was noted.
    pub(super) fn check(&self) -> Result<(), String> {
        match (0..PEOPLE).find(|user| self.has_unnoted_change(*user)) {
            Some(user) => Err(format!("user {user} was changed, and nobody asked for it")),
            None => Ok(()),
        }
    }

    /// How the user may stand for the server: as it does, or as it did within the last 50 ms.
    fn standings(&self, user: usize, now: Instant) -> impl Iterator<Item = AccountStatus> {
        let all = &self.standings[user];
        let ends = all.iter().skip(1).map(|(since, _)| Some(*since));
        let is_fresh = move |end: Option<Instant>| {
            end.is_none_or(|end| now.as_micros() < end.as_micros() + STALE_MICROS_MAX)
        };
        all.iter()
            .zip(ends.chain([None]))
            .filter(move |(_, end)| is_fresh(*end))
            .map(|((_, standing), _)| *standing)
    }

    /// Whether the server may be unable to confirm anybody.
    pub(super) fn may_be_unavailable(&self, now: Instant) -> bool {
        self.is_store_failing || now.as_micros() < self.mended_at.as_micros() + STALE_MICROS_MAX
    }

    /// True when it must say so: its database is gone for longer than it may go by what it knew.
    pub(super) fn is_gone(&self, now: Instant) -> bool {
        let is_known = |since: Instant| now.as_micros() >= since.as_micros() + STALE_MICROS_MAX;
        self.gone_since.is_some_and(is_known)
    }

    /// What may become of one who has a token of this date: whether it may stay.
    pub(super) fn standing_outcomes(&self, user: usize, issued_at: u64, now: Now) -> Outcomes {
        if self.is_gone(now.monotonic) {
            return Outcomes::UNAVAILABLE;
        }
        let failing = match self.may_be_unavailable(now.monotonic) {
            true => Outcomes::UNAVAILABLE,
            false => Outcomes::default(),
        };
        self.standings(user, now.monotonic)
            .map(|standing| match standing {
                AccountStatus {
                    is_known: false, ..
                }
                | AccountStatus {
                    is_disabled: true, ..
                } => Outcomes::FORBIDDEN,
                standing if issued_at < standing.tokens_valid_from => Outcomes::REVOKED,
                _ => Outcomes::PASSES,
            })
            .fold(failing, Outcomes::or)
    }

    /// Since when nobody with a token of this date may be here; `None` while one may.
    pub(super) fn barred_since(&self, user: usize, issued_at: u64) -> Option<Instant> {
        let may_stay = |standing: &AccountStatus| {
            standing.is_known && !standing.is_disabled && issued_at >= standing.tokens_valid_from
        };
        let barred = self.standings[user]
            .iter()
            .rev()
            .take_while(|(_, standing)| !may_stay(standing));
        let barred = barred.last().map(|(since, _)| *since);
        barred.into_iter().chain(self.gone_since).min()
    }

    /// What may become of a frame with this token on a connection bound to `bound`.
    pub(super) fn outcomes(
        &self,
        pass: Option<&VerifiedToken>,
        bound: Option<usize>,
        now: Now,
    ) -> Outcomes {
        let Some(pass) = pass else {
            return Outcomes::UNAUTHORIZED;
        };
        let is_signed = match pass.made {
            Made::Signed(generation) => self.generation - generation <= 1,
            Made::Forged | Made::Malformed => false,
        };
        if !is_signed || pass.issued_at > now.unix.0 + 1 {
            Outcomes::UNAUTHORIZED
        } else if pass.expires_at <= now.unix.0 {
            Outcomes::EXPIRED
        } else if bound.is_some_and(|bound| bound != pass.user) {
            Outcomes::FORBIDDEN
        } else {
            self.standing_outcomes(pass.user, pass.issued_at, now)
        }
    }

    /// Whether a login of this user may be granted, by what is or was known of it.
    pub(super) fn may_log_in(&self, user: usize, now: Now) -> bool {
        let mut standings = self.standings(user, now.monotonic);
        !self.is_gone(now.monotonic)
            && standings.any(|standing| standing.is_known && !standing.is_disabled)
    }

    /// Whether a login of this user with the right password may fail: the user may have been removed or
    /// disabled at any time while it was checked.
    pub(super) fn may_fail_to_log_in(&self, user: usize) -> bool {
        let may_enter =
            |(_, standing): &(Instant, AccountStatus)| standing.is_known && !standing.is_disabled;
        !self.standings[user].iter().all(may_enter)
    }

    /// Whether the log may give this as the reason of a failed login: everybody here has a password.
    pub(super) fn may_fail_as(&self, user: usize, failure: LoginFailure) -> bool {
        let mut standings = self.standings[user].iter().map(|(_, standing)| standing);
        standings.any(|standing| match failure {
            LoginFailure::UnknownUser => !standing.is_known,
            LoginFailure::UserDisabled => standing.is_known && standing.is_disabled,
            LoginFailure::NoPassword | LoginFailure::LoginRate => false,
            LoginFailure::WrongPassword => standing.is_known && !standing.is_disabled,
        })
    }

    /// Whether the server may say that there is no such user.
    pub(super) fn may_be_missing(&self, user: usize, now: Now) -> bool {
        let mut standings = self.standings(user, now.monotonic);
        standings.any(|standing| !standing.is_known)
    }

    /// How a token that is minted now is dated.
    pub(super) fn issue_date(&self, user: usize, now: Now) -> u64 {
        self.newest(user).tokens_valid_from.max(now.unix.0)
    }

    // Tokens.

    /// A token of the user that is good, if the user is.
    pub(super) fn pass(&self, user: usize, now: Now) -> VerifiedToken {
        let issued_at = self.issue_date(user, now);
        self.signed(user, issued_at, TOKEN_TTL_SECONDS, self.generation)
    }

    /// A token that is bad in one of many ways, or about to be.
    pub(super) fn doubtful_pass(
        &self,
        user: usize,
        now: Now,
        choice: &mut Choice<'_>,
    ) -> VerifiedToken {
        let unix = now.unix.0;
        match choice.below(8) {
            0 => self.signed(user, unix - 100, 50, self.generation),
            1 => self.signed(
                user,
                unix - 3,
                1 + u64::from(choice.below(5)),
                self.generation,
            ),
            2 => self.signed(user, unix + u64::from(choice.below(4)), 60, self.generation),
            3 => self.signed(user, unix - 1, 60, self.generation - 1),
            4 => {
                let old = self.generation.saturating_sub(2);
                self.signed(user, unix, 60, old)
            }
            5 => {
                let mut pass = self.pass(user, now);
                let cut = choice.below(pass.text.len() as u32) as usize;
                pass.text.truncate(cut);
                pass.made = Made::Malformed;
                pass
            }
            _ => self.forged(user, now, choice),
        }
    }

    fn forged(&self, user: usize, now: Now, choice: &mut Choice<'_>) -> VerifiedToken {
        let mut pass = self.pass(user, now);
        let mut bytes = pass.text.into_bytes();
        // Any character of the signature but its last, whose lowest bits must be zero.
        let at = bytes.len() - 2 - choice.below(40) as usize;
        bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
        pass.text = String::from_utf8_lossy(&bytes).into_owned();
        pass.made = Made::Forged;
        pass
    }

    fn signed(
        &self,
        user: usize,
        issued_at: u64,
        ttl_seconds: u64,
        generation: u32,
    ) -> VerifiedToken {
        let keys = keys_of(generation);
        let signer = keys.map(|keys| Signer::new(&keys, &ClaimRules::default(), ttl_seconds));
        let minted =
            signer.and_then(|signer| signer.mint(id_of(user), UnixSeconds(issued_at)).ok());
        VerifiedToken {
            text: minted.map(|minted| minted.token).unwrap_or_default(),
            user,
            issued_at,
            expires_at: issued_at + ttl_seconds,
            made: Made::Signed(generation),
        }
    }
}
