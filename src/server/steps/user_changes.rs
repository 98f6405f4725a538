//! Users who change while they are here.

use std::rc::Rc;

use crate::app::users::{CachedUser, Changes, StoreError, User};
use crate::gate::{self, AccountStatus, Directory, Unavailable};
use crate::limits::TURN_REVIEWS_MAX;
use crate::time::Now;

use crate::server::answers::cause::CloseCause;
use crate::server::core::Core;

impl Core {
    /// Looks whether users have changed without us, at most as often as [`Users`] allows, and
    /// closes the connections of those who may no longer be here: of some at once, of others in
    /// the next turns or with their next frame. O(users that changed).
    pub(crate) fn refresh_users(&mut self, now: Now) {
        let changed = self.users.refresh(now.monotonic);
        self.apply_user_changes(now, changed);
    }

    /// As [`Core::refresh_users`], if that would be due soon.
    pub(crate) fn poll_users(&mut self, now: Now) {
        if self.users.is_refresh_near(now.monotonic) {
            let changed = self.users.refresh_now(now.monotonic);
            self.apply_user_changes(now, changed);
        }
    }

    fn apply_user_changes(&mut self, now: Now, changed: Result<Changes, StoreError>) {
        self.store_news.note_look(now.monotonic, &changed);
        match changed {
            Ok(Changes::None) => return,
            Ok(Changes::Of(ids)) => ids.iter().for_each(|id| self.members.doubt(id)),
            Ok(Changes::All) | Err(_) => self.members.doubt_everybody(),
        }
        self.review_some(now);
    }

    /// The user called `id`; a failure is kept for the log.
    pub(crate) fn user(&mut self, id: &str) -> Result<Option<Rc<CachedUser>>, StoreError> {
        let user = self.users.user(id);
        user.inspect_err(|fault| self.store_news.note_fault(fault))
    }

    /// As [`Core::user`], in the same time whether there is such a user or not.
    pub(crate) fn user_uncached(&mut self, id: &str) -> Result<Option<User>, StoreError> {
        let user = self.users.user_uncached(id);
        user.inspect_err(|fault| self.store_news.note_fault(fault))
    }

    /// How a user of the store stands: a logout counts that is not in the store yet.
    pub(crate) fn standing_now(&self, user: &User) -> AccountStatus {
        let pending = self.revocations.valid_from(&user.id);
        AccountStatus {
            disabled: user.disabled,
            tokens_valid_from: user.tokens_valid_from.max(pending),
        }
    }

    /// Reads some of those again who may have changed, so that a change of all delays nobody by
    /// more than that.
    pub(crate) fn review_some(&mut self, now: Now) {
        for _ in 0..TURN_REVIEWS_MAX {
            let Some(id) = self.members.next_doubted() else {
                break;
            };
            self.review(now, &id);
        }
    }

    /// Before a frame of the connection is decided on: reads its user again, who may have changed.
    pub(crate) fn review_member(&mut self, now: Now, key: u32) {
        let person = self.members.user(key);
        if let Some(id) = person
            .filter(|person| person.is_doubted)
            .map(|p| Rc::clone(&p.id))
        {
            self.review(now, &id);
        }
    }

    /// Reads the user again, and closes every connection of that user that would not be let in now.
    fn review(&mut self, now: Now, id: &str) {
        let standing = self.standing(id);
        self.members.trust(id);
        let connections: Vec<u32> = self.members.connections_of(id).collect();
        for key in connections {
            let Some(dates) = self.members.dates(key) else {
                continue;
            };
            match gate::check_account_status(standing, dates.issued_at) {
                Err(cause) => self.refuse(now, key, CloseCause::Gate(cause), None, None),
                Ok(standing) => {
                    if let Some(person) = self.members.user_mut(key) {
                        person.standing = standing;
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
            Err(_) => Err(Unavailable),
        }
    }
}
