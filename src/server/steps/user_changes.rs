//! Users who change in the store while they are connected: another process removes, disables or
//! revokes them.
//!
//! Promises that such a user is refused from the first frame that arrives 50 ms after the commit,
//! and that its connections close within a second (contract §3). Refuses to know SQL and how a
//! commit is noticed.

use std::rc::Rc;

use crate::app::users::{CachedUser, Changes, StoreError, User};
use crate::gate::{self, AccountStatus, Directory, Unavailable};
use crate::limits::TURN_REVIEWS_MAX;
use crate::time::Now;

use crate::server::answers::cause::CloseCause;
use crate::server::core::Core;

impl Core {
    /// Asks the store which users have changed, at most as often as `Users` allows. Closes the
    /// connections of those who may no longer be connected: of some at once, of others in the next
    /// turns or with their next frame. O(users that changed).
    pub(crate) fn refresh_users(&mut self, now: Now) {
        let changed = self.users.refresh(now.monotonic);
        self.apply_user_changes(now, changed);
    }

    /// As [`Core::refresh_users`], ahead of time, if that is due soon: the next frame then need not
    /// wait for it.
    pub(crate) fn poll_users(&mut self, now: Now) {
        if self.users.is_refresh_near(now.monotonic) {
            let changed = self.users.refresh_now(now.monotonic);
            self.apply_user_changes(now, changed);
        }
    }

    /// Marks the users of `changed` for review, and looks at some of them.
    fn apply_user_changes(&mut self, now: Now, changed: Result<Changes, StoreError>) {
        self.store_news.note_look(now.monotonic, &changed);
        match changed {
            Ok(Changes::None) => return,
            Ok(Changes::Of(ids)) => ids.iter().for_each(|id| self.members.mark_for_review(id)),
            // Contract §5.10: a store that fails confirms nobody.
            Ok(Changes::All) | Err(_) => self.members.mark_all_for_review(),
        }
        self.review_some(now);
    }

    /// Returns the user called `id`, from the cache where that knows.
    ///
    /// # Errors
    /// When the store fails; the failure is noted for the log.
    pub(crate) fn user(&mut self, id: &str) -> Result<Option<Rc<CachedUser>>, StoreError> {
        let user = self.users.user(id);
        user.inspect_err(|fault| self.store_news.note_fault(fault))
    }

    /// As [`Core::user`], but from the store itself, and in the same time whether there is such a
    /// user or not: the time of a login must not tell which ids exist (contract §3).
    ///
    /// # Errors
    /// When the store fails; the failure is noted for the log.
    pub(crate) fn user_uncached(&mut self, id: &str) -> Result<Option<User>, StoreError> {
        let user = self.users.user_uncached(id);
        user.inspect_err(|fault| self.store_news.note_fault(fault))
    }

    /// Returns how a user stands: by the store, and by a logout that is not in the store yet.
    pub(crate) fn standing_now(&self, user: &User) -> AccountStatus {
        let pending = self.revocations.valid_from(&user.id);
        AccountStatus {
            disabled: user.disabled,
            tokens_valid_from: user.tokens_valid_from.max(pending),
        }
    }

    /// Looks again at some of the users that wait for it. The number is bounded: a commit that
    /// changes all of them must not make other connections wait (contract §5.7).
    pub(crate) fn review_some(&mut self, now: Now) {
        for _ in 0..TURN_REVIEWS_MAX {
            let Some(id) = self.members.next_to_review() else {
                break;
            };
            self.review(now, &id);
        }
    }

    /// Looks again at the connection's user if that waits for it. To be called before a frame of the
    /// connection is decided: a user who was revoked gets no further frame in.
    pub(crate) fn review_member(&mut self, now: Now, key: u32) {
        let user = self.members.user(key);
        if let Some(id) = user
            .filter(|user| user.awaits_review)
            .map(|p| Rc::clone(&p.id))
        {
            self.review(now, &id);
        }
    }

    /// Reads the user again, and closes each of its connections that would not be admitted now.
    /// O(connections of the user).
    fn review(&mut self, now: Now, id: &str) {
        let standing = self.standing(id);
        self.members.note_reviewed(id);
        // Collected first: to refuse a connection changes the list.
        let connections: Vec<u32> = self.members.connections_of(id).collect();
        for key in connections {
            let Some(dates) = self.members.dates(key) else {
                continue;
            };
            match gate::check_account_status(standing, dates.issued_at) {
                Err(cause) => self.refuse(now, key, CloseCause::Gate(cause), None, None),
                Ok(standing) => {
                    if let Some(user) = self.members.user_mut(key) {
                        // The gate judges the next frames by this, and does not ask the store for
                        // each.
                        user.standing = standing;
                    }
                }
            }
        }
    }
}

/// The users, as the gate asks for them.
impl Directory for Core {
    fn standing(&mut self, subject: &str) -> Result<Option<AccountStatus>, Unavailable> {
        match self.user(subject) {
            Ok(user) => Ok(user.map(|user| self.standing_now(&user))),
            // The failure is noted for the log. A peer is not told its cause.
            Err(_) => Err(Unavailable),
        }
    }
}
