use std::cell::Cell;

use super::*;

const NOW: UnixSeconds = UnixSeconds(1_800_000_000);
const DAY: u64 = 24 * 3_600;

fn dated(from: Option<u64>, created_at: u64, seen: u64) -> Dated {
    Dated {
        tokens_valid_from: from.map(UnixSeconds),
        created_at: UnixSeconds(created_at),
        seen: UnixSeconds(seen),
        issued_until: UnixSeconds(0),
    }
}

#[test]
fn a_token_dated_ahead_is_void_whatever_a_clock_that_was_ahead_has_seen() {
    let user = Dated {
        issued_until: NOW.plus(1),
        ..dated(None, 1_700_000_000, NOW.0 + 10 * DAY)
    };
    assert_eq!(user.valid_from(NOW, 0), NOW.plus(2));
    let by_the_clock_ahead = Dated {
        issued_until: NOW.plus(10 * DAY),
        ..user
    };
    assert_eq!(by_the_clock_ahead.valid_from(NOW, 0), NOW.plus(1));
}

#[test]
fn tokens_are_good_from_the_next_second_on() {
    let user = dated(None, 1_700_000_000, 1_700_000_000);
    assert_eq!(user.valid_from(NOW, 0), NOW.plus(1));
    assert_eq!(user.valid_from(NOW, 600), NOW.plus(601));
    let revoked_before = dated(Some(NOW.0 - 5), 1_700_000_000, NOW.0 - 5);
    assert_eq!(revoked_before.valid_from(NOW, 0), NOW.plus(1));
}

#[test]
fn a_second_revocation_in_a_second_voids_a_login_between_and_more_of_them_wait_no_longer() {
    let once = dated(Some(NOW.0 + 1), 0, NOW.0);
    assert_eq!(once.valid_from(NOW, 0), NOW.plus(2));
    let twice = dated(Some(NOW.0 + 2), 0, NOW.0);
    assert_eq!(twice.valid_from(NOW, 0), NOW.plus(2));
    // A token was signed at that very second all the same: the clock was set back.
    let seen = dated(Some(NOW.0 + 2), 0, NOW.0 + 2);
    assert_eq!(seen.valid_from(NOW, 0), NOW.plus(3));
}

#[test]
fn a_revocation_by_a_clock_that_was_ten_days_ahead_does_not_last_ten_days() {
    let ahead = NOW.0 + 10 * DAY;
    let user = dated(Some(ahead + 1), NOW.0 - DAY, ahead);
    assert_eq!(user.valid_from(NOW, 0), NOW.plus(1));
}

#[test]
fn a_revocation_by_a_clock_in_1970_is_later_than_all_that_was_seen() {
    let created_at = NOW.0;
    for (from, seen) in [
        (None, created_at),
        (Some(NOW.0 + 100), created_at),
        (None, NOW.0 + 1_000),
    ] {
        let user = dated(from, created_at, seen);
        let latest = from.unwrap_or_default().max(seen);
        assert!(user.valid_from(UnixSeconds(0), 0).0 >= latest.max(seen + 1));
        assert!(user.valid_from(UnixSeconds(0), 600).0 >= latest.max(seen + 1));
    }
}

#[test]
fn a_clock_that_is_an_hour_behind_voids_the_tokens_of_that_hour() {
    let user = dated(None, NOW.0 - DAY, NOW.0 + 3_600);
    assert_eq!(user.valid_from(NOW, 0), NOW.plus(3_601));
}

#[test]
fn a_commit_that_outlasts_its_second_is_set_again() {
    // Each commit takes 300 ms, then 2.5 s.
    for commit_millis in [300, 2_500] {
        let millis = Cell::new(NOW.0 * 1_000 + 900);
        let clock = || UnixSeconds(millis.get() / 1_000);
        let mut commits = 0;
        let from = outrun(
            &clock,
            |from| Some(*from),
            |ahead| {
                let from = clock().plus(1 + ahead);
                millis.set(millis.get() + commit_millis);
                commits += 1;
                Ok(from)
            },
        );
        assert!(clock() < from.unwrap(), "{commit_millis}");
        assert!((2..=4).contains(&commits), "{commits}");
    }
}

#[test]
fn a_commit_within_its_second_is_enough() {
    let mut commits = 0;
    let from = outrun(
        &|| NOW,
        |from| Some(*from),
        |_| {
            commits += 1;
            Ok(NOW.plus(1))
        },
    );
    assert_eq!((from, commits), (Ok(NOW.plus(1)), 1));
}
