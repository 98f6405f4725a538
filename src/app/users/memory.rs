//! A store without a file, for tests and the simulator: the same answers as SQLite's, and
//! failures when they are asked for.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ops::Range;
use std::rc::Rc;

use super::{Changes, Dated, Revocation, StoreError, User, UserStore};
use crate::app::password::PasswordHash;
use crate::limits::USER_CHANGES_MAX;
use crate::time::{Instant, UnixSeconds};

/// A connection to users held in memory. [`connect`](MemoryStore::connect) makes another to
/// the same users, which stands for another process: what one commits, the others see as
/// [`changed`](UserStore::changed).
pub struct MemoryStore {
    shared: Rc<RefCell<Shared>>,
    /// Which of the connections it is.
    number: u32,
    /// Changes that this connection was told of.
    changes_seen: usize,
    /// Which of the databases at the path it has open.
    database: u32,
}

#[derive(Default)]
struct Shared {
    users: BTreeMap<Box<str>, User>,
    /// The ids that were removed, and the second before which their tokens were void then.
    removed: BTreeMap<Box<str>, UnixSeconds>,
    /// The user of each change, and which connection made it.
    changes: Vec<(Box<str>, u32)>,
    /// How often another database was put in this one's place.
    database: u32,
    connections: u32,
    /// The latest second that was told.
    seen: UnixSeconds,
    /// Calls of the trait's functions, of all connections.
    calls: u64,
    /// Which of the calls fail, and how.
    fault: Option<(Range<u64>, StoreError)>,
}

impl MemoryStore {
    /// A store without users.
    pub fn new() -> MemoryStore {
        MemoryStore {
            shared: Rc::default(),
            number: 0,
            changes_seen: 0,
            database: 0,
        }
    }

    /// Another connection to the same users.
    pub fn connect(&self) -> MemoryStore {
        let mut shared = self.shared.borrow_mut();
        shared.connections += 1;
        MemoryStore {
            shared: Rc::clone(&self.shared),
            number: shared.connections,
            changes_seen: shared.changes.len(),
            database: shared.database,
        }
    }

    /// Adds `user`. False, and nothing done, when the id is taken. Of an id that was removed, the
    /// tokens issued until now are void, whatever `user` says.
    pub fn add(&mut self, user: &User) -> bool {
        let added = !self.shared.borrow().users.contains_key(&user.id);
        if added {
            let mut user = user.clone();
            if let Some(from) = self.shared.borrow().removed.get(&user.id) {
                let from = (*from).max(user.created_at.plus(1));
                user.tokens_valid_from = user.tokens_valid_from.max(Some(from));
            }
            let id = user.id.clone();
            self.commit(&id, |users| _ = users.insert(user.id.clone(), user));
        }
        added
    }

    /// Removes the user called `id`. False when there is none.
    pub fn remove(&mut self, id: &str) -> bool {
        let Some(user) = self.peek(id) else {
            return false;
        };
        let from = user.tokens_valid_from.unwrap_or_default();
        self.shared.borrow_mut().removed.insert(user.id, from);
        self.commit(id, |users| _ = users.remove(id));
        true
    }

    /// Sets the password of `id`. False when there is no such user.
    pub fn set_password(&mut self, id: &str, hash: Option<PasswordHash>) -> bool {
        self.update(id, |user| user.password_hash = hash)
    }

    /// Disables or enables `id`. False when there is no such user.
    pub fn set_disabled(&mut self, id: &str, disabled: bool) -> bool {
        self.update(id, |user| user.disabled = disabled)
    }

    /// As [`void_tokens`](MemoryStore::void_tokens), by a call that may fail.
    ///
    /// # Errors
    ///
    /// When a failure was asked for.
    pub fn revoke(&mut self, id: &str, now: UnixSeconds) -> Result<bool, StoreError> {
        self.call()?;
        Ok(self.void_tokens(id, now))
    }

    /// Voids the tokens of `id` that were issued until `now`, whatever fails. False when there is
    /// no such user.
    pub fn void_tokens(&mut self, id: &str, now: UnixSeconds) -> bool {
        let revocation = Revocation {
            id: id.into(),
            issued_until: now,
            leeway_seconds: 0,
        };
        self.void(&revocation, now)
    }

    fn void(&mut self, revocation: &Revocation, now: UnixSeconds) -> bool {
        let seen = self.shared.borrow().seen;
        self.shared.borrow_mut().seen = seen.max(revocation.issued_until).max(now);
        self.update(&revocation.id, |user| {
            let dated = Dated {
                tokens_valid_from: user.tokens_valid_from,
                created_at: user.created_at,
                seen,
                issued_until: revocation.issued_until,
            };
            user.tokens_valid_from = Some(dated.valid_from(now, revocation.leeway_seconds));
        })
    }

    /// The user called `id`, whatever fails; no call of the trait's.
    pub fn peek(&self, id: &str) -> Option<User> {
        self.shared.borrow().users.get(id).cloned()
    }

    /// Puts another database in this one's place: the same users, none of whose changes need be
    /// told one by one. Connections have the other from when they are next asked for changes.
    pub fn replace(&mut self) {
        self.shared.borrow_mut().database += 1;
    }

    /// Makes the next `calls` calls of the trait's functions fail, on any connection.
    pub fn fail_next(&mut self, calls: u64, error: StoreError) {
        let mut shared = self.shared.borrow_mut();
        let first = shared.calls;
        shared.fault = Some((first..first.saturating_add(calls), error));
    }

    /// Makes one call of the trait's functions fail: the one that `calls` others went before,
    /// counted from the store's beginning and over all connections.
    pub fn fail_at(&mut self, calls: u64, error: StoreError) {
        self.shared.borrow_mut().fault = Some((calls..calls.saturating_add(1), error));
    }

    fn update(&mut self, id: &str, change: impl FnOnce(&mut User)) -> bool {
        let known = self.shared.borrow().users.contains_key(id);
        if known {
            self.commit(id, |users| _ = users.get_mut(id).map(change));
        }
        known
    }

    fn commit(&mut self, id: &str, change: impl FnOnce(&mut BTreeMap<Box<str>, User>)) {
        let mut shared = self.shared.borrow_mut();
        change(&mut shared.users);
        shared.changes.push((id.into(), self.number));
    }

    /// Counts a call, and fails where it should.
    fn call(&mut self) -> Result<(), StoreError> {
        let mut shared = self.shared.borrow_mut();
        let call = shared.calls;
        shared.calls += 1;
        match &shared.fault {
            Some((failing, error)) if failing.contains(&call) => Err(error.clone()),
            _ => Ok(()),
        }
    }
}

impl Default for MemoryStore {
    fn default() -> MemoryStore {
        MemoryStore::new()
    }
}

impl UserStore for MemoryStore {
    fn user(&mut self, id: &str) -> Result<Option<User>, StoreError> {
        self.call()?;
        Ok(self.shared.borrow().users.get(id).cloned())
    }

    fn changed(&mut self, _: Instant) -> Result<Changes, StoreError> {
        self.call()?;
        let shared = self.shared.borrow();
        let fresh = &shared.changes[self.changes_seen..];
        let of_others = fresh.iter().filter(|(_, by)| *by != self.number);
        let ids: Vec<Box<str>> = of_others.map(|(id, _)| id.clone()).collect();
        let is_replaced = self.database != shared.database;
        let changes = match fresh.len() {
            _ if is_replaced => Changes::All,
            0..=USER_CHANGES_MAX if ids.is_empty() => Changes::None,
            0..=USER_CHANGES_MAX => Changes::Of(ids),
            _ => Changes::All,
        };
        self.changes_seen = shared.changes.len();
        self.database = shared.database;
        Ok(changes)
    }

    fn check(&mut self) -> Result<(), StoreError> {
        self.call()
    }
}

/// As [`UserWriter`](super::UserWriter), within the one thread of a test.
impl MemoryStore {
    /// As [`UserWriter::write`](super::UserWriter::write).
    ///
    /// # Errors
    ///
    /// When a failure was asked for.
    pub fn write(
        &mut self,
        revocations: &[Revocation],
        seen: Option<UnixSeconds>,
        clock: &dyn Fn() -> UnixSeconds,
    ) -> Result<(), StoreError> {
        self.call()?;
        let now = clock();
        for revocation in revocations {
            self.void(revocation, now);
        }
        let seen = seen.max((!revocations.is_empty()).then_some(now));
        let mut shared = self.shared.borrow_mut();
        shared.seen = shared.seen.max(seen.unwrap_or_default());
        Ok(())
    }
}
