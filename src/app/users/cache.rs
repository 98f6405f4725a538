//! The users as the hot path sees them: a bounded cache in front of the store, never older
//! than [`USER_CACHE_CHECK_INTERVAL`].

use std::cell::OnceCell;
use std::mem;
use std::ops::Deref;
use std::rc::Rc;
use std::time::Duration;

use hashbrown::HashTable;

use super::{Changes, StoreError, User, UserStore};
use crate::ids::IdHasher;
use crate::limits::{USER_CACHE_CHECK_AHEAD, USER_CACHE_CHECK_INTERVAL, USER_CACHE_ENTRIES_MAX};
use crate::time::Instant;

/// A user as the cache keeps it: without the password hash, which is for logins alone.
#[derive(Debug)]
pub struct CachedUser {
    user: User,
    /// What others are told of the user, as the one event that tells it writes it: when it is first asked
    /// for, and not again (3 to 5 % of the core's time).
    pub(in crate::app) profile: OnceCell<Box<[u8]>>,
}

impl CachedUser {
    fn new(user: User) -> CachedUser {
        CachedUser {
            user: User {
                password_hash: None,
                ..user
            },
            profile: OnceCell::new(),
        }
    }
}

impl Deref for CachedUser {
    type Target = User;

    fn deref(&self) -> &User {
        &self.user
    }
}

/// A user store with a cache in front.
///
/// Users are kept in two generations. One who is asked for moves to the young; when that is
/// full it becomes the old, and what the old held is dropped. So a look-up is O(1), the
/// cache is bounded, and who was asked for lately stays.
///
/// Ids that are unknown are not kept: peers could push out the known ones with them.
pub struct Users {
    store: Box<dyn UserStore>,
    /// At most [`GENERATION_ENTRIES_MAX`].
    young: Generation,
    /// At most [`GENERATION_ENTRIES_MAX`], and none that is in `young`.
    old: Generation,
    /// When the store was asked last whether it changed.
    checked_at: Option<Instant>,
    /// Why the store could not tell when it was asked last. Nobody is confirmed until it can.
    failure: Option<StoreError>,
    epoch: u32,
}

const GENERATION_ENTRIES_MAX: usize = USER_CACHE_ENTRIES_MAX / 2;

impl Users {
    /// The users of `store`, none of them in the cache yet.
    pub fn new(store: Box<dyn UserStore>) -> Users {
        Users {
            store,
            young: Generation::new(0),
            old: Generation::new(0),
            checked_at: None,
            failure: None,
            epoch: 0,
        }
    }

    /// Keeps peers from choosing ids that collide in the cache. Nothing may be in it yet.
    pub fn seed(&mut self, seed: u64) {
        self.young = Generation::new(seed);
        self.old = Generation::new(seed);
    }

    /// Drops of the cache whom anyone else has changed, asking the store once in
    /// [`USER_CACHE_CHECK_INTERVAL`] at the most, and says who that is: who is live must be looked
    /// at anew. To be called before anything is decided.
    ///
    /// # Errors
    ///
    /// When the store cannot tell. Everything is dropped then, and nobody is confirmed until it can
    /// tell again; then all are said to have changed.
    pub fn refresh(&mut self, now: Instant) -> Result<Changes, StoreError> {
        match self.is_older(now, USER_CACHE_CHECK_INTERVAL) {
            true => self.refresh_now(now),
            false => Ok(Changes::None),
        }
    }

    /// Whether it is time to [`refresh_now`](Users::refresh_now), so that the next frame need not wait for
    /// a refresh.
    pub fn is_refresh_near(&self, now: Instant) -> bool {
        self.is_older(now, USER_CACHE_CHECK_AHEAD)
    }

    fn is_older(&self, now: Instant, age: Duration) -> bool {
        let is_older = |checked_at| now.since(checked_at) >= age;
        self.checked_at.is_none_or(is_older)
    }

    /// As [`refresh`](Users::refresh), whenever the store was asked last.
    ///
    /// # Errors
    ///
    /// As there.
    pub fn refresh_now(&mut self, now: Instant) -> Result<Changes, StoreError> {
        self.checked_at = Some(now);
        let mut changed = self.store.changed(now);
        if self.failure.is_some() {
            changed = changed.map(|_| Changes::All);
        }
        self.failure = changed.as_ref().err().cloned();
        match &changed {
            Ok(Changes::None) => {}
            Ok(Changes::Of(ids)) => ids.iter().for_each(|id| self.forget(id)),
            Ok(Changes::All) | Err(_) => self.drop_all(),
        }
        changed
    }

    /// True while nobody is confirmed, since the store could not tell when it was asked last.
    pub fn is_failing(&self) -> bool {
        self.failure.is_some()
    }

    fn confirm(&self) -> Result<(), StoreError> {
        match &self.failure {
            None => Ok(()),
            Some(error) => Err(error.clone()),
        }
    }

    /// A number that changes whenever a user handed out earlier may have changed since.
    pub fn epoch(&self) -> u32 {
        self.epoch
    }

    /// The user called `id`.
    ///
    /// # Errors
    ///
    /// When the store cannot tell; then nobody is let in.
    pub fn user(&mut self, id: &str) -> Result<Option<Rc<CachedUser>>, StoreError> {
        self.confirm()?;
        if let Some(user) = self.young.get(id) {
            return Ok(Some(Rc::clone(user)));
        }
        let user = match self.old.take(id) {
            Some(user) => user,
            None => match self.store.user(id)? {
                Some(user) => Rc::new(CachedUser::new(user)),
                None => return Ok(None),
            },
        };
        self.keep(Rc::clone(&user));
        Ok(Some(user))
    }

    /// The user called `id`, whole, from the store itself: who is unknown is in no cache, and a login
    /// must not be quicker for who is in one.
    ///
    /// # Errors
    ///
    /// When the store cannot tell; then nobody is let in.
    pub fn user_uncached(&mut self, id: &str) -> Result<Option<User>, StoreError> {
        self.confirm()?;
        self.store.user(id)
    }

    /// Drops what is cached of `id`.
    pub fn forget(&mut self, id: &str) {
        self.young.take(id);
        self.old.take(id);
        self.epoch = self.epoch.wrapping_add(1);
    }

    /// Whether the store is fit to serve.
    ///
    /// # Errors
    ///
    /// When it is not.
    pub fn check(&mut self) -> Result<(), StoreError> {
        self.confirm()?;
        self.store.check()
    }

    fn keep(&mut self, user: Rc<CachedUser>) {
        if self.young.len() == GENERATION_ENTRIES_MAX {
            mem::swap(&mut self.young, &mut self.old);
            self.young.clear();
        }
        self.young.insert(user);
    }

    fn drop_all(&mut self) {
        self.young.clear();
        self.old.clear();
        self.epoch = self.epoch.wrapping_add(1);
    }
}

/// Users by id.
struct Generation {
    users: HashTable<Rc<CachedUser>>,
    hasher: IdHasher,
}

impl Generation {
    fn new(seed: u64) -> Generation {
        Generation {
            users: HashTable::new(),
            hasher: IdHasher::new(seed),
        }
    }

    fn len(&self) -> usize {
        self.users.len()
    }

    fn get(&self, id: &str) -> Option<&Rc<CachedUser>> {
        let hash = self.hasher.hash(id);
        self.users.find(hash, |user| *user.id == *id)
    }

    fn take(&mut self, id: &str) -> Option<Rc<CachedUser>> {
        let hash = self.hasher.hash(id);
        let entry = self.users.find_entry(hash, |user| *user.id == *id).ok()?;
        Some(entry.remove().0)
    }

    /// A user who is not in it.
    fn insert(&mut self, user: Rc<CachedUser>) {
        let hasher = self.hasher;
        let hash = hasher.hash(&user.id);
        self.users
            .insert_unique(hash, user, |user| hasher.hash(&user.id));
    }

    fn clear(&mut self) {
        self.users.clear();
    }
}

#[cfg(test)]
mod tests;
