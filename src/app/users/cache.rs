//! The users as the hot path sees them: a bounded cache in front of the store, never older
//! than [`USER_CACHE_CHECK_INTERVAL`].

use std::borrow::Borrow;
use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::mem;
use std::rc::Rc;

use super::{StoreError, User, UserStore};
use crate::limits::{USER_CACHE_CHECK_INTERVAL, USER_CACHE_ENTRIES_MAX};
use crate::time::{Instant, UnixSeconds};

/// A user store with a cache in front.
///
/// Users are kept in two generations. One who is asked for moves to the young; when that is
/// full it becomes the old, and what the old held is dropped. So a look-up is O(log n), the
/// cache is bounded, and who was asked for lately stays. The sets are sorted rather than
/// hashed: a hash would need a random seed to be safe, and the core has no randomness.
///
/// Ids that are unknown are not kept: peers could push out the known ones with them.
pub struct Users {
    store: Box<dyn UserStore>,
    /// At most [`GENERATION_ENTRIES_MAX`].
    young: BTreeSet<ById>,
    /// At most [`GENERATION_ENTRIES_MAX`], and none that is in `young`.
    old: BTreeSet<ById>,
    /// When the store was asked last whether it changed.
    checked_at: Option<Instant>,
    epoch: u32,
}

const GENERATION_ENTRIES_MAX: usize = USER_CACHE_ENTRIES_MAX / 2;

impl Users {
    /// The users of `store`, none of them in the cache yet.
    pub fn new(store: Box<dyn UserStore>) -> Users {
        Users {
            store,
            young: BTreeSet::new(),
            old: BTreeSet::new(),
            checked_at: None,
            epoch: 0,
        }
    }

    /// Drops everything cached if the store was changed by anyone else, asking it once in
    /// [`USER_CACHE_CHECK_INTERVAL`] at the most. To be called at the start of each turn.
    /// True when everything was dropped, so that who is live must be looked at anew.
    ///
    /// # Errors
    ///
    /// When the store cannot tell. Everything is dropped then too: each user is asked for
    /// anew, and denied where that fails.
    pub fn refresh(&mut self, now: Instant) -> Result<bool, StoreError> {
        let fresh = |checked_at| now.since(checked_at) < USER_CACHE_CHECK_INTERVAL;
        if self.checked_at.is_some_and(fresh) {
            return Ok(false);
        }
        self.checked_at = Some(now);
        let changed = self.store.changed();
        if changed != Ok(false) {
            self.drop_all();
        }
        changed
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
    pub fn user(&mut self, id: &str) -> Result<Option<Rc<User>>, StoreError> {
        if let Some(ById(user)) = self.young.get(id) {
            return Ok(Some(Rc::clone(user)));
        }
        let user = match self.old.take(id) {
            Some(ById(user)) => user,
            None => match self.store.user(id)? {
                Some(user) => Rc::new(user),
                None => return Ok(None),
            },
        };
        self.keep(Rc::clone(&user));
        Ok(Some(user))
    }

    /// The user called `id`, from the store itself: who is unknown is in no cache, and a login
    /// must not be quicker for who is in one.
    ///
    /// # Errors
    ///
    /// When the store cannot tell; then nobody is let in.
    pub fn user_uncached(&mut self, id: &str) -> Result<Option<User>, StoreError> {
        self.store.user(id)
    }

    /// As [`UserStore::revoke`].
    ///
    /// # Errors
    ///
    /// When that is not done for good.
    pub fn revoke(&mut self, id: &str, issued_until: UnixSeconds) -> Result<bool, StoreError> {
        // Also when it fails: what the store holds then is for the store to say.
        self.young.remove(id);
        self.old.remove(id);
        self.epoch = self.epoch.wrapping_add(1);
        self.store.revoke(id, issued_until)
    }

    /// Whether the store is fit to serve.
    ///
    /// # Errors
    ///
    /// When it is not.
    pub fn check(&mut self) -> Result<(), StoreError> {
        self.store.check()
    }

    fn keep(&mut self, user: Rc<User>) {
        if self.young.len() == GENERATION_ENTRIES_MAX {
            self.old = mem::take(&mut self.young);
        }
        self.young.insert(ById(user));
    }

    fn drop_all(&mut self) {
        self.young.clear();
        self.old.clear();
        self.epoch = self.epoch.wrapping_add(1);
    }
}

/// A user, found by id without a copy of it.
struct ById(Rc<User>);

impl Borrow<str> for ById {
    fn borrow(&self) -> &str {
        &self.0.id
    }
}

impl Ord for ById {
    fn cmp(&self, other: &ById) -> Ordering {
        self.0.id.cmp(&other.0.id)
    }
}

impl PartialOrd for ById {
    fn partial_cmp(&self, other: &ById) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for ById {
    fn eq(&self, other: &ById) -> bool {
        self.0.id == other.0.id
    }
}

impl Eq for ById {}

#[cfg(test)]
mod tests;
