//! What holds of every store, and of users themselves.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use super::*;
use crate::limits::USER_CHANGES_MAX;

/// An empty directory, removed with all that is in it when it is dropped.
pub(crate) struct TemporaryDirectory(PathBuf);

impl TemporaryDirectory {
    pub(crate) fn new() -> TemporaryDirectory {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("framegate-test-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::create_dir(&path).unwrap();
        TemporaryDirectory(path)
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for TemporaryDirectory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

pub(crate) fn user(id: &str) -> User {
    User::new(id, &id.to_uppercase(), None, UnixSeconds(1_700_000_000)).unwrap()
}

fn hash(phc: &str) -> Option<PasswordHash> {
    Some(PasswordHash::from_store(phc.into()))
}

/// A store with what administering takes.
trait Administered: UserStore {
    fn add(&mut self, user: &User) -> bool;
    fn remove(&mut self, id: &str) -> bool;
    fn set_password(&mut self, id: &str, hash: Option<PasswordHash>) -> bool;
    fn set_disabled(&mut self, id: &str, disabled: bool) -> bool;
    fn revoke(&mut self, id: &str, now: UnixSeconds) -> Result<bool, StoreError>;
}

impl Administered for MemoryStore {
    fn add(&mut self, user: &User) -> bool {
        MemoryStore::add(self, user)
    }
    fn remove(&mut self, id: &str) -> bool {
        MemoryStore::remove(self, id)
    }
    fn set_password(&mut self, id: &str, hash: Option<PasswordHash>) -> bool {
        MemoryStore::set_password(self, id, hash)
    }
    fn set_disabled(&mut self, id: &str, disabled: bool) -> bool {
        MemoryStore::set_disabled(self, id, disabled)
    }
    fn revoke(&mut self, id: &str, now: UnixSeconds) -> Result<bool, StoreError> {
        MemoryStore::revoke(self, id, now)
    }
}

impl Administered for SqliteStore {
    fn add(&mut self, user: &User) -> bool {
        SqliteStore::add(self, user).unwrap()
    }
    fn remove(&mut self, id: &str) -> bool {
        SqliteStore::remove(self, id).unwrap()
    }
    fn set_password(&mut self, id: &str, hash: Option<PasswordHash>) -> bool {
        SqliteStore::set_password(self, id, hash.as_ref()).unwrap()
    }
    fn set_disabled(&mut self, id: &str, disabled: bool) -> bool {
        SqliteStore::set_disabled(self, id, disabled).unwrap()
    }
    fn revoke(&mut self, id: &str, now: UnixSeconds) -> Result<bool, StoreError> {
        SqliteStore::revoke(self, id, &|| now, 0)
    }
}

/// Runs each script on two connections to the same users, of either store.
macro_rules! on_both_stores {
    ($($script:ident)*) => {
        mod memory {
            $(#[test]
            fn $script() {
                let mut ours = super::MemoryStore::new();
                let mut theirs = ours.connect();
                super::$script(&mut ours, &mut theirs);
            })*
        }
        mod sqlite {
            use super::{Mode, SqliteStore, TemporaryDirectory};
            $(#[test]
            fn $script() {
                let directory = TemporaryDirectory::new();
                let open = |mode| SqliteStore::open(&directory.file("users.db"), mode).unwrap();
                let mut theirs = open(Mode::Administer);
                let mut ours = open(Mode::Serve);
                super::$script(&mut ours, &mut theirs);
            })*
        }
    };
}

on_both_stores! {
    a_user_added_is_found_whole
    an_id_that_is_taken_is_not_added_again
    a_user_removed_is_unknown
    an_id_added_again_begins_with_its_tokens_void_until_now
    an_unknown_user_cannot_be_changed
    a_password_can_be_set_and_taken_away
    a_user_is_disabled_until_enabled
    a_revocation_voids_whatever_was_issued_before_it
    a_revocation_by_a_clock_in_1970_is_later_than_whatever_was_seen
    a_change_of_another_connection_is_told_once
    more_changes_than_are_told_one_by_one_are_changes_of_all
    a_change_of_our_own_is_not_told
    a_change_of_our_own_does_not_hide_another
    ids_are_compared_byte_for_byte
    a_store_is_fit_to_serve
}

type Store<'s> = &'s mut dyn Administered;

fn a_user_added_is_found_whole(ours: Store<'_>, theirs: Store<'_>) {
    let alice = User {
        password_hash: hash("$argon2id$…"),
        disabled: true,
        tokens_valid_from: Some(UnixSeconds(1_800_000_000)),
        ..User::new("alice", "Alice Ω", None, UnixSeconds(0)).unwrap()
    };
    assert!(theirs.add(&alice));
    assert_eq!(ours.user("alice"), Ok(Some(alice)));
    assert_eq!(ours.user("bob"), Ok(None));
    assert_eq!(ours.user(""), Ok(None));
}

fn an_id_that_is_taken_is_not_added_again(ours: Store<'_>, theirs: Store<'_>) {
    assert!(ours.add(&user("alice")));
    let other = User::new("alice", "Another", None, UnixSeconds(1)).unwrap();
    assert!(!ours.add(&other));
    assert!(!theirs.add(&other));
    assert_eq!(theirs.user("alice"), Ok(Some(user("alice"))));
}

fn a_user_removed_is_unknown(ours: Store<'_>, theirs: Store<'_>) {
    assert!(theirs.add(&user("alice")));
    assert!(theirs.remove("alice"));
    assert_eq!(ours.user("alice"), Ok(None));
    assert!(!theirs.remove("alice"));
}

fn an_id_added_again_begins_with_its_tokens_void_until_now(ours: Store<'_>, theirs: Store<'_>) {
    let from = |store: Store<'_>| store.user("alice").unwrap().unwrap().tokens_valid_from;
    let added_at = user("alice").created_at;
    assert!(theirs.add(&user("alice")));
    assert_eq!(from(ours), None);
    assert!(ours.remove("alice"));
    assert!(theirs.add(&user("alice")));
    // A token of this very second is one of the former alice's too.
    assert_eq!(from(ours), Some(added_at.plus(1)));
    // What was void when she went is void when she comes back.
    assert_eq!(ours.revoke("alice", added_at.plus(100)), Ok(true));
    assert!(theirs.remove("alice"));
    assert!(ours.add(&user("alice")));
    assert_eq!(from(theirs), Some(added_at.plus(101)));
    assert!(theirs.add(&user("bob")));
    assert_eq!(theirs.user("bob"), Ok(Some(user("bob"))));
}

fn an_unknown_user_cannot_be_changed(ours: Store<'_>, _: Store<'_>) {
    assert!(!ours.set_password("alice", None));
    assert!(!ours.set_disabled("alice", true));
    assert_eq!(ours.revoke("alice", UnixSeconds(1)), Ok(false));
    assert_eq!(ours.user("alice"), Ok(None));
}

fn a_password_can_be_set_and_taken_away(ours: Store<'_>, theirs: Store<'_>) {
    assert!(theirs.add(&user("alice")));
    let mut held = |hash| {
        assert!(theirs.set_password("alice", hash));
        ours.user("alice").unwrap().unwrap().password_hash
    };
    assert_eq!(held(hash("$argon2id$…")), hash("$argon2id$…"));
    assert_eq!(held(None), None);
}

fn a_user_is_disabled_until_enabled(ours: Store<'_>, theirs: Store<'_>) {
    assert!(theirs.add(&user("alice")));
    for disabled in [true, true, false] {
        assert!(theirs.set_disabled("alice", disabled));
        assert_eq!(ours.user("alice").unwrap().unwrap().disabled, disabled);
    }
}

fn a_revocation_voids_whatever_was_issued_before_it(ours: Store<'_>, theirs: Store<'_>) {
    assert!(theirs.add(&user("alice")));
    let added_at = user("alice").created_at;
    for (now, held) in [
        (0, 1),
        (100, 101),
        // Between two revocations of one second a token may have been dated one ahead.
        (100, 102),
        // By a clock that was set back: all that was seen stays void.
        (99, 102),
        (103, 104),
        (200, 201),
        // By a clock that was ten days ahead, and put right.
        (200 + 864_000, 201 + 864_000),
        (201, 202),
    ] {
        assert_eq!(ours.revoke("alice", added_at.plus(now)), Ok(true));
        let from = theirs.user("alice").unwrap().unwrap().tokens_valid_from;
        assert_eq!(from, Some(added_at.plus(held)), "{now}");
    }
}

fn a_revocation_by_a_clock_in_1970_is_later_than_whatever_was_seen(
    ours: Store<'_>,
    theirs: Store<'_>,
) {
    assert!(theirs.add(&user("alice")));
    let added_at = user("alice").created_at;
    let mut revoked = |now| {
        assert_eq!(ours.revoke("alice", now), Ok(true));
        theirs.user("alice").unwrap().unwrap().tokens_valid_from
    };
    assert_eq!(revoked(UnixSeconds(0)), Some(added_at.plus(1)));
    assert_eq!(revoked(added_at.plus(50)), Some(added_at.plus(51)));
    // A login since may be dated at that second.
    let again = revoked(UnixSeconds(0));
    assert!(again >= Some(added_at.plus(51)), "{again:?}");
}

fn told(store: Store<'_>) -> Changes {
    store.changed(Instant::ORIGIN).unwrap()
}

fn of(ids: &[&str]) -> Changes {
    Changes::Of(ids.iter().map(|id| Box::from(*id)).collect())
}

fn a_change_of_another_connection_is_told_once(ours: Store<'_>, theirs: Store<'_>) {
    assert_eq!(told(ours), Changes::None);
    assert!(theirs.add(&user("alice")));
    assert!(theirs.add(&user("bob")));
    assert_eq!(told(ours), of(&["alice", "bob"]));
    assert_eq!(told(ours), Changes::None);
    assert!(theirs.set_disabled("alice", true));
    // To have read the change is not to have been told of it.
    assert!(ours.user("alice").is_ok());
    assert_eq!(told(ours), of(&["alice"]));
    assert!(theirs.remove("bob"));
    assert_eq!(told(ours), of(&["bob"]));
    assert_eq!(told(ours), Changes::None);
}

fn more_changes_than_are_told_one_by_one_are_changes_of_all(ours: Store<'_>, theirs: Store<'_>) {
    assert!(theirs.add(&user("alice")));
    assert_eq!(told(ours), of(&["alice"]));
    for _ in 0..USER_CHANGES_MAX {
        assert!(theirs.set_disabled("alice", true));
    }
    let Changes::Of(ids) = told(ours) else {
        panic!("too many are told");
    };
    assert_eq!(ids.len(), USER_CHANGES_MAX);
    for _ in 0..=USER_CHANGES_MAX {
        assert!(theirs.set_disabled("alice", true));
    }
    assert_eq!(told(ours), Changes::All);
    assert_eq!(told(ours), Changes::None);
}

fn a_change_of_our_own_is_not_told(ours: Store<'_>, _: Store<'_>) {
    assert!(ours.add(&user("alice")));
    assert_eq!(ours.revoke("alice", UnixSeconds(1)), Ok(true));
    assert_eq!(told(ours), Changes::None);
}

fn a_change_of_our_own_does_not_hide_another(ours: Store<'_>, theirs: Store<'_>) {
    assert!(theirs.add(&user("alice")));
    assert!(ours.add(&user("bob")));
    let names = |changes: &Changes, id: &str| match changes {
        Changes::Of(ids) => ids.iter().any(|told| **told == *id),
        _ => false,
    };
    assert!(names(&told(ours), "alice"));
    assert!(names(&told(theirs), "bob"));
}

fn ids_are_compared_byte_for_byte(ours: Store<'_>, _: Store<'_>) {
    let ids = ["alice", "Alice", "alice'", "al%ce", "al_ce", "alice\"--"];
    assert!(ids.into_iter().all(|id| ours.add(&user(id))));
    for id in ids {
        assert_eq!(&*ours.user(id).unwrap().unwrap().id, id);
    }
    for id in ["ALICE", "al*ce", "alice\0", "alice "] {
        assert_eq!(ours.user(id), Ok(None));
    }
}

fn a_store_is_fit_to_serve(ours: Store<'_>, theirs: Store<'_>) {
    assert_eq!(ours.check(), Ok(()));
    assert!(theirs.add(&user("alice")));
    assert_eq!(ours.check(), Ok(()));
}

#[test]
fn a_name_of_the_longest_length_is_taken_and_one_byte_more_refused() {
    let named = |name: &str| User::new("alice", name, None, UnixSeconds(0)).map(drop);
    assert_eq!(named(&"x".repeat(USER_NAME_BYTES_MAX)), Ok(()));
    let longer = "x".repeat(USER_NAME_BYTES_MAX + 1);
    assert_eq!(named(&longer), Err(UserError::Name));
    assert_eq!(named(""), Err(UserError::Name));
}

#[test]
fn a_name_that_hides_or_turns_something_is_refused() {
    for name in [
        "a\nb",
        "a\tb",
        "\u{1b}[2J",
        "a\0",
        "a\u{85}",
        "a\u{2028}b",
        "\u{202e}nimda",
        "\u{2067}nimda",
        "\u{200f}a",
        "ad\u{200b}min",
        "ad\u{ad}min",
        "\u{feff}admin",
        "admin\u{2060}",
        "admin\u{e0041}",
        "\u{3164}",
        "\u{2800}",
        " ",
        "\u{a0}\u{3000}",
        "\u{200d}",
    ] {
        let refused = User::new("alice", name, None, UnixSeconds(0));
        assert_eq!(refused, Err(UserError::Name), "{name:?}");
    }
    for name in ["Ann O'Neill", "Zoë", "李雷", "👩‍🚀", "❤️", "می‌خواهم"] {
        assert!(
            User::new("alice", name, None, UnixSeconds(0)).is_ok(),
            "{name:?}"
        );
    }
}

#[test]
fn an_id_that_no_token_could_name_is_refused() {
    let longest = "x".repeat(SUBJECT_BYTES_MAX);
    assert!(User::new(&longest, "x", None, UnixSeconds(0)).is_ok());
    for id in ["", "a b", "é", "a\n", &(longest + "x")] {
        let refused = User::new(id, "x", None, UnixSeconds(0));
        assert_eq!(refused, Err(UserError::Id), "{id:?}");
    }
}

#[test]
fn a_disabled_user_cannot_log_in() {
    let mut alice = user("alice");
    assert_eq!(alice.login_hash(), None);
    alice.password_hash = hash("$argon2id$…");
    assert_eq!(alice.login_hash(), alice.password_hash.as_ref());
    alice.disabled = true;
    assert_eq!(alice.login_hash(), None);
}

#[test]
fn a_user_printed_for_debugging_keeps_the_hash() {
    let mut alice = user("alice");
    alice.password_hash = hash("$argon2id$secret");
    let printed = format!("{alice:?}");
    assert!(printed.contains("alice") && !printed.contains("argon2id"));
}

#[test]
fn every_error_is_one_line() {
    let path = || PathBuf::from("/somewhere/users.db");
    let errors = [
        StoreError::Busy,
        StoreError::Full,
        StoreError::Io,
        StoreError::OutOfMemory,
        StoreError::Missing { path: path() },
        StoreError::CannotOpen {
            path: path(),
            reason: "Permission denied (os error 13)".into(),
        },
        StoreError::ReadOnly { path: path() },
        StoreError::NotOurs { path: path() },
        StoreError::TooNew {
            path: path(),
            version: 2,
        },
        StoreError::Altered {
            path: path(),
            object: "user_added".into(),
        },
        StoreError::NotMigrated {
            path: path(),
            id: "b\nob".into(),
        },
        StoreError::Corrupt { path: path() },
        StoreError::Moved { path: path() },
        StoreError::InUse { path: path() },
        StoreError::Unexpected {
            reason: "no reason".into(),
        },
    ];
    for error in errors {
        let line = error.to_string();
        assert!(
            line.len() > 20 && line.len() < 160 && !line.contains('\n'),
            "{line}"
        );
    }
}
