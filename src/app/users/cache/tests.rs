use std::time::Duration;

use super::super::tests::user;
use super::*;
use crate::app::users::MemoryStore;
use crate::time::UnixSeconds;

const TICK: Duration = USER_CACHE_CHECK_INTERVAL;

/// Users with `alice`, and the connection of another process.
fn users() -> (Users, MemoryStore) {
    let mut theirs = MemoryStore::new();
    assert!(theirs.add(&user("alice")));
    (Users::new(Box::new(theirs.connect())), theirs)
}

fn of_alice() -> Changes {
    Changes::Of(vec!["alice".into()])
}

fn disabled(users: &mut Users, id: &str) -> bool {
    users.user(id).unwrap().unwrap().disabled
}

#[test]
fn a_cached_user_costs_the_store_nothing() {
    let (mut users, mut theirs) = users();
    let first = users.user("alice").unwrap().unwrap();
    theirs.fail_next(u64::MAX, StoreError::Io);
    let second = users.user("alice").unwrap().unwrap();
    assert!(Rc::ptr_eq(&first, &second));
    assert_eq!(users.user("bob").err(), Some(StoreError::Io));
}

#[test]
fn an_unknown_id_is_asked_for_each_time() {
    let (mut users, mut theirs) = users();
    assert!(users.user("bob").unwrap().is_none());
    assert!(theirs.add(&user("bob")));
    assert!(users.user("bob").unwrap().is_some());
}

#[test]
fn a_change_by_another_is_seen_within_the_interval() {
    let (mut users, mut theirs) = users();
    let start = Instant::from_micros(1_000);
    assert_eq!(users.refresh(start), Ok(Changes::None));
    assert!(!disabled(&mut users, "alice"));
    let epoch = users.epoch();

    assert!(theirs.set_disabled("alice", true));
    let just_before = start + (TICK - Duration::from_micros(1));
    assert_eq!(users.refresh(just_before), Ok(Changes::None));
    assert_eq!(users.epoch(), epoch);
    assert_eq!(users.refresh(start + TICK), Ok(of_alice()));
    assert_ne!(users.epoch(), epoch);
    assert!(disabled(&mut users, "alice"));
    assert_eq!(users.refresh(start + TICK + TICK), Ok(Changes::None));
}

#[test]
fn a_refresh_is_near_before_it_is_due_and_puts_it_off() {
    let (mut users, mut theirs) = users();
    let start = Instant::from_micros(1_000);
    assert!(users.is_refresh_near(start));
    assert_eq!(users.refresh(start), Ok(Changes::None));
    let near = start + USER_CACHE_CHECK_AHEAD;
    let just_before = start + (USER_CACHE_CHECK_AHEAD - Duration::from_micros(1));
    assert!(!users.is_refresh_near(just_before) && users.is_refresh_near(near));
    theirs.replace();
    assert_eq!(users.refresh(near), Ok(Changes::None));
    assert_eq!(users.refresh_now(near), Ok(Changes::All));
    theirs.replace();
    assert_eq!(users.refresh(start + TICK), Ok(Changes::None));
    assert_eq!(users.refresh(near + TICK), Ok(Changes::All));
}

#[test]
fn a_change_of_all_drops_what_is_cached() {
    let (mut users, mut theirs) = users();
    let first = users.user("alice").unwrap().unwrap();
    theirs.replace();
    assert_eq!(users.refresh(Instant::ORIGIN), Ok(Changes::All));
    let second = users.user("alice").unwrap().unwrap();
    assert!(!Rc::ptr_eq(&first, &second));
}

#[test]
fn a_change_of_one_user_leaves_the_others_in_the_cache() {
    let (mut users, mut theirs) = users();
    assert!(theirs.add(&user("bob")));
    assert!(users.refresh(Instant::ORIGIN).is_ok());
    let (alice, bob) = (users.user("alice"), users.user("bob"));
    assert!(theirs.set_disabled("alice", true));
    assert_eq!(users.refresh(Instant::ORIGIN + TICK), Ok(of_alice()));
    let is_kept = |before: Result<Option<Rc<CachedUser>>, _>, now: Result<Option<Rc<_>>, _>| {
        Rc::ptr_eq(&before.unwrap().unwrap(), &now.unwrap().unwrap())
    };
    assert!(!is_kept(alice, users.user("alice")));
    assert!(is_kept(bob, users.user("bob")));
}

#[test]
fn a_store_that_cannot_tell_confirms_nobody_until_it_can() {
    let (mut users, mut theirs) = users();
    assert!(users.user("alice").is_ok());
    let epoch = users.epoch();
    theirs.fail_next(1, StoreError::Busy);
    assert_eq!(users.refresh(Instant::ORIGIN), Err(StoreError::Busy));
    assert_ne!(users.epoch(), epoch);
    // The store would answer now, but nobody knows of what.
    assert_eq!(users.user("alice").err(), Some(StoreError::Busy));
    assert_eq!(users.user_uncached("alice"), Err(StoreError::Busy));
    assert_eq!(users.check(), Err(StoreError::Busy));
    assert!(users.is_failing());
    // It is not asked again at once; then all may have changed.
    assert_eq!(users.refresh(Instant::ORIGIN), Ok(Changes::None));
    assert!(users.user("alice").is_err());
    assert_eq!(users.refresh(Instant::ORIGIN + TICK), Ok(Changes::All));
    assert!(users.user("alice").unwrap().is_some() && !users.is_failing());
}

#[test]
fn a_user_who_is_forgotten_is_read_anew() {
    let (mut users, mut theirs) = users();
    let stale = users.user("alice").unwrap().unwrap();
    let epoch = users.epoch();
    assert!(theirs.void_tokens("alice", UnixSeconds(1_800_000_000)));
    users.forget("alice");
    let fresh = users.user("alice").unwrap().unwrap();
    assert_eq!(stale.tokens_valid_from, None);
    assert_eq!(fresh.tokens_valid_from, Some(UnixSeconds(1_800_000_001)));
    assert_ne!(users.epoch(), epoch);
}

#[test]
fn the_cache_holds_its_bound_and_who_is_asked_for_stays() {
    let mut theirs = MemoryStore::new();
    let ids: Vec<String> = (0..2 * USER_CACHE_ENTRIES_MAX)
        .map(|number| format!("user{number}"))
        .collect();
    assert!(ids.iter().all(|id| theirs.add(&user(id))));
    let mut users = Users::new(Box::new(theirs.connect()));
    let mut most = 0;
    for id in &ids {
        assert_eq!(&*users.user(id).unwrap().unwrap().id, id.as_str());
        most = most.max(users.young.len() + users.old.len());
    }
    assert_eq!(most, USER_CACHE_ENTRIES_MAX);
    let first = users.user(&ids[0]).unwrap().unwrap();
    for id in &ids {
        assert!(users.user(id).unwrap().is_some());
        let again = users.user(&ids[0]).unwrap().unwrap();
        assert!(Rc::ptr_eq(&first, &again));
        let is_young = |user: &Rc<CachedUser>| users.young.get(&user.id).is_some();
        assert!(!users.old.users.iter().any(is_young));
    }
}

#[test]
fn a_fault_at_a_call_strikes_that_call_only() {
    let mut store = MemoryStore::new();
    assert!(store.add(&user("alice")));
    store.fail_at(1, StoreError::Corrupt { path: "x".into() });
    assert!(store.user("alice").is_ok());
    assert!(store.changed(Instant::ORIGIN).is_err());
    assert_eq!(store.revoke("alice", UnixSeconds(1)), Ok(true));
    assert_eq!(store.check(), Ok(()));
}

#[test]
fn a_revocation_that_fails_does_nothing() {
    let mut store = MemoryStore::new();
    assert!(store.add(&user("alice")));
    store.fail_next(1, StoreError::Full);
    assert!(store.revoke("alice", UnixSeconds(1)).is_err());
    assert_eq!(
        store.user("alice").unwrap().unwrap().tokens_valid_from,
        None
    );
}
