use std::time::Duration;

use super::*;
use crate::config::Rate;
use crate::server::parts::rate_limits::RateLimit;

const DATES: Dates = Dates {
    issued_at: UnixSeconds(10),
    expires_at: UnixSeconds(20),
};

fn enter(members: &mut Members, key: u32, id: &str) {
    members.enter(key, id, DATES, AccountStatus::default(), 0);
}

#[test]
fn a_further_token_moves_the_dates_when_it_lasts_longer_and_only_then() {
    for (expires_at, expected) in [(19, (10, 20)), (20, (10, 20)), (21, (12, 21))] {
        let mut members = Members::new(7);
        enter(&mut members, 0, "alice");
        let dates = Dates {
            issued_at: UnixSeconds(12),
            expires_at: UnixSeconds(expires_at),
        };
        members.renew(0, dates);
        let dates = members.dates(0).expect("alice is logged in");
        assert_eq!((dates.issued_at.0, dates.expires_at.0), expected);
    }
}

#[test]
fn those_who_missed_a_broadcast_come_in_turn_though_more_is_said_each_time() {
    let mut members = Members::new(7);
    (0..3).for_each(|key| enter(&mut members, key, "alice"));
    let turns = (1..=6).filter_map(|published| {
        let key = members.next_behind(published)?;
        members.member_mut(key)?.given = published;
        Some(key)
    });
    assert_eq!(Vec::from_iter(turns), [0, 1, 2, 0, 1, 2]);
}

#[test]
fn who_has_spent_is_remembered_though_many_come_and_go_who_have_not() {
    let rate = Rate {
        count: 1,
        period: Duration::from_secs(60),
    };
    let mut members = Members::new(7);
    enter(&mut members, 0, "mallory");
    let user = members.user_mut(0).expect("mallory is logged in");
    let admitted = RateLimit::new(rate, 1).admit(&mut user.spending.frames, Instant::ORIGIN);
    let spent_until = user.spending.until();
    assert!(admitted.is_ok() && spent_until > Instant::ORIGIN);
    members.leave(0);
    for number in 0..10_000 {
        enter(&mut members, 0, &format!("user{number}"));
        members.leave(0);
    }
    enter(&mut members, 0, "mallory");
    let user = members.user(0).expect("mallory is logged in");
    assert_eq!(user.spending.until(), spent_until);
}

#[test]
fn who_waits_to_be_looked_at_keeps_its_turn_though_all_change_again() {
    let mut members = Members::new(7);
    let users: Vec<String> = (0..100).map(|number| format!("user{number}")).collect();
    for (key, id) in (0..).zip(&users) {
        enter(&mut members, key, id);
    }
    let mut seen = Vec::new();
    for _ in 0..10 {
        members.mark_all_for_review();
        members.mark_for_review("user99");
        assert_eq!(members.count_to_review(), (100, 100));
        for _ in 0..10 {
            let id = members.next_to_review().expect("somebody waits");
            members.note_reviewed(&id);
            seen.push(id.to_string());
        }
    }
    assert_eq!(seen, users);
    // Who leaves waits no longer, nor does who comes in that seat.
    (0..100).for_each(|key| members.leave(key));
    enter(&mut members, 0, "another");
    assert_eq!(members.next_to_review(), None);
    assert!(!members.has_to_review());
}
