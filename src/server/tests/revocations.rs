//! Logouts on their way to the disk, revocations by others, and clocks that are set.

use std::time::Duration;

use crate::app::users::StoreError;
use crate::server::{ConnectionId, Input, Report, ReportKind};
use crate::time::UnixSeconds;

use super::world::{START, World, error, upgrade};

const DONE: &str = r#"{"event":"logout","data":{}}"#;

fn log_in_by_password(world: &mut World, id: ConnectionId) -> Vec<String> {
    let data = r#"{"id":"alice","password":"alice's password"}"#;
    world.say(id, &format!(r#"{{"event":"login","data":{data}}}"#));
    world.hash();
    world.hear(id)
}

fn token_in(line: &str) -> String {
    let (_, rest) = line.split_once(r#""token":""#).expect("a token");
    rest.split('"').next().expect("a token").to_owned()
}

#[test]
fn a_logout_on_its_way_to_the_disk_has_voided_the_tokens_already_and_delays_nobody() {
    let mut world = World::new();
    let token = world.token("alice");
    let (id, other, bob) = (
        world.member("alice"),
        world.member("alice"),
        world.member("bob"),
    );
    world.hold_writes(true);
    world.say_as(id, "alice", r#""event":"logout""#);
    assert!(world.hear(id).is_empty(), "it is not on the disk");
    let revoked = error("token_revoked", "token revoked");
    assert_eq!(world.hear(other), [revoked.as_str(), "close 3000", "FIN"]);
    let stranger = world.stranger();
    world.say(
        stranger,
        &format!(r#"{{"token":"{token}","event":"dance"}}"#),
    );
    assert_eq!(world.hear(stranger)[0], revoked);
    // Nobody waits for it, and nothing that follows on its connection is read.
    world.say_as(bob, "bob", r#""event":"message","data":1"#);
    assert_eq!(world.hear(bob).len(), 1);
    world.say_as(id, "alice", r#""event":"message","data":2"#);
    assert!(world.hear(bob).is_empty() && world.hear(id).is_empty());

    world.hold_writes(false);
    assert_eq!(world.hear(id), [DONE, "close 1000", "FIN"]);
    let kept = world
        .users
        .peek("alice")
        .and_then(|user| user.tokens_valid_from);
    assert_eq!(kept, Some(START.plus(1)));
}

#[test]
fn logouts_that_wait_are_written_in_one_commit() {
    let mut world = World::new();
    let ids = ["alice", "bob", "carol"].map(|user| (user, world.member(user)));
    world.hold_writes(true);
    for (user, id) in ids {
        world.say_as(id, user, r#""event":"logout""#);
    }
    // One call of the store fails, and with it all that it was asked to write.
    world.users.fail_next(1, StoreError::Full);
    world.hold_writes(false);
    for (_, id) in ids {
        assert_eq!(world.hear(id)[1..], ["close 1013", "FIN"]);
    }
}

#[test]
fn a_logout_that_is_not_kept_is_told_unavailable_and_its_tokens_stay_void_until_it_is() {
    let mut world = World::new();
    let token = world.token("alice");
    let id = world.member("alice");
    world.hold_writes(true);
    world.say_as(id, "alice", r#""event":"logout""#);
    world.users.fail_next(1, StoreError::Full);
    world.hold_writes(false);
    let heard = world.hear(id);
    assert!(heard[0].contains(r#""code":"unavailable""#), "{heard:?}");
    assert_eq!(heard[1..], ["close 1013", "FIN"]);
    assert_eq!(world.users.peek("alice").unwrap().tokens_valid_from, None);

    let refused = |world: &mut World| {
        let stranger = world.stranger();
        world.say(
            stranger,
            &format!(r#"{{"token":"{token}","event":"dance"}}"#),
        );
        world.hear(stranger)[0].contains("token_revoked")
    };
    assert!(refused(&mut world));
    // A login now would give a token that the write may void.
    let stranger = world.stranger();
    let heard = log_in_by_password(&mut world, stranger);
    assert!(heard[0].contains("unavailable"), "{heard:?}");
    // It is tried again, and done.
    world.wait(Duration::from_secs(2));
    assert!(
        world
            .users
            .peek("alice")
            .unwrap()
            .tokens_valid_from
            .is_some()
    );
    assert!(refused(&mut world));
    let stranger = world.stranger();
    assert!(log_in_by_password(&mut world, stranger)[0].contains(r#""token":"#));
}

#[test]
fn a_logout_whose_commit_takes_too_long_is_told_unavailable() {
    let mut world = World::new();
    let id = world.member("alice");
    world.hold_writes(true);
    world.say_as(id, "alice", r#""event":"logout""#);
    world.wait(Duration::from_secs(9));
    assert!(world.hear(id).is_empty());
    world.wait(Duration::from_secs(2));
    assert!(world.hear(id)[0].contains("unavailable"));
    world.hold_writes(false);
    assert!(
        world
            .users
            .peek("alice")
            .unwrap()
            .tokens_valid_from
            .is_some()
    );
}

#[test]
fn a_server_that_stops_still_answers_a_logout_on_its_way() {
    let mut world = World::new();
    let id = world.member("alice");
    world.hold_writes(true);
    world.say_as(id, "alice", r#""event":"logout""#);
    world.turn.core.handle(world.now, Input::Stop);
    assert!(world.hear(id).is_empty());
    world.hold_writes(false);
    assert_eq!(world.hear(id), [DONE, "close 1000", "FIN"]);
}

/// The server may know of a commit 20 ms later; a refresh asks the store itself.
#[test]
fn a_refresh_just_after_a_revocation_by_others_gives_nothing() {
    let mut world = World::new();
    let id = world.member("alice");
    let token = world.token("alice");
    world.wait(Duration::from_millis(1_500));
    world.say(id, &format!(r#"{{"token":"{token}","event":"dance"}}"#));
    assert!(world.hear(id)[0].contains("unknown_event"));
    let unix = world.now.unix;
    world.users.void_tokens("alice", unix);
    // The server was asked a moment ago, and does not ask again.
    world.say(id, &format!(r#"{{"token":"{token}","event":"refresh"}}"#));
    let revoked = error("token_revoked", "token revoked");
    assert_eq!(world.hear(id), [revoked.as_str(), "close 3000", "FIN"]);
}

#[test]
fn a_refresh_of_a_user_who_was_just_disabled_or_removed_gives_nothing() {
    for removes in [true, false] {
        let mut world = World::new();
        let id = world.member("alice");
        match removes {
            true => assert!(world.users.remove("alice")),
            false => assert!(world.users.set_disabled("alice", true)),
        }
        world.say_as(id, "alice", r#""event":"refresh""#);
        let heard = world.hear(id);
        assert!(heard[0].contains("forbidden"), "{heard:?}");
        assert_eq!(heard[1..], ["close 3003", "FIN"]);
    }
}

#[test]
fn a_logout_voids_tokens_that_are_dated_ahead_by_the_leeway() {
    let mut world = World::with(|config| config.leeway = Duration::from_secs(600));
    let ahead = world.token_dated("alice", START.plus(600));
    let id = world.member("alice");
    world.say_as(id, "alice", r#""event":"logout""#);
    assert_eq!(world.hear(id), [DONE, "close 1000", "FIN"]);
    let id = world.connect();
    let fields = format!("Authorization: Bearer {ahead}\r\n");
    world.send(id, upgrade(&fields).as_bytes());
    assert_eq!(world.hear(id)[0].get(..8), Some("HTTP 401"));
    // A login since is dated so that the gate takes it.
    let id = world.stranger();
    let token = token_in(&log_in_by_password(&mut world, id)[0]);
    world.member_with(&token);
}

#[test]
fn a_login_never_hands_out_what_the_gate_refuses() {
    let mut world = World::new();
    // Under a clock that is ten days ahead.
    world.set_wall_clock(START.plus(864_000));
    let id = world.member("alice");
    world.say_as(id, "alice", r#""event":"logout""#);
    assert_eq!(world.hear(id), [DONE, "close 1000", "FIN"]);
    world.set_wall_clock(START);
    world.wait(Duration::from_secs(1));
    let id = world.stranger();
    let heard = log_in_by_password(&mut world, id);
    assert!(heard[0].contains("unavailable"), "{heard:?}");
    assert!(heard[0].contains(r#""retryAfter":863999"#), "{heard:?}");
    let until = ReportKind::TokensVoid {
        until: START.plus(864_001),
        wait_seconds: 863_999,
    };
    assert_eq!(
        world
            .reports
            .iter()
            .filter(|report| report.what == until)
            .count(),
        1
    );
    // Revoked anew by the right clock, and everything is well.
    let unix = world.now.unix;
    assert!(world.users.void_tokens("alice", unix));
    world.wait(Duration::from_millis(1_100));
    let id = world.stranger();
    let token = token_in(&log_in_by_password(&mut world, id)[0]);
    world.member_with(&token);
}

#[test]
fn a_third_logout_in_a_second_makes_the_next_login_wait_for_the_next_second_only() {
    let mut world = World::new();
    for _ in 0..2 {
        let id = world.stranger();
        let token = token_in(&log_in_by_password(&mut world, id)[0]);
        world.say(id, &format!(r#"{{"token":"{token}","event":"logout"}}"#));
        assert_eq!(world.hear(id), [DONE, "close 1000", "FIN"]);
    }
    let id = world.stranger();
    let heard = log_in_by_password(&mut world, id);
    let told = r#""code":"unavailable","reason":"the user's tokens were revoked; try again in 1 s","retryAfter":1}"#;
    assert!(heard[0].contains(told), "{heard:?}");
    assert_eq!(heard[1], "close 1013");
    let is_void = |report: &&Report| {
        matches!(
            report.what,
            ReportKind::TokensVoid {
                wait_seconds: 1,
                ..
            }
        )
    };
    assert_eq!(world.reports.iter().filter(is_void).count(), 1);
    world.wait(Duration::from_secs(1));
    let id = world.stranger();
    let token = token_in(&log_in_by_password(&mut world, id)[0]);
    world.member_with(&token);
}

#[test]
fn a_login_over_http_that_must_wait_is_told_how_long_and_logged() {
    let mut world = World::new();
    for _ in 0..2 {
        let id = world.stranger();
        let token = token_in(&log_in_by_password(&mut world, id)[0]);
        world.say(id, &format!(r#"{{"token":"{token}","event":"logout"}}"#));
        assert_eq!(world.hear(id), [DONE, "close 1000", "FIN"]);
    }
    let body = r#"{"id":"alice","password":"alice's password"}"#;
    let length = body.len();
    let id = world.connect();
    let request =
        format!("POST /login HTTP/1.1\r\nHost: h\r\nContent-Length: {length}\r\n\r\n{body}");
    world.send(id, request.as_bytes());
    world.hash();
    let heard = world.hear(id).concat();
    assert!(heard.starts_with("HTTP 503 "), "{heard}");
    assert!(
        heard.contains("the user's tokens were revoked; try again in 1 s"),
        "{heard}"
    );
    let is_void = |report: &&Report| {
        report.connection == id
            && matches!(
                report.what,
                ReportKind::TokensVoid {
                    wait_seconds: 1,
                    ..
                }
            )
    };
    assert_eq!(world.reports.iter().filter(is_void).count(), 1);
}

#[test]
fn a_logout_by_a_clock_in_1970_voids_what_was_signed_since_the_server_began() {
    // By what the store was told, and by what is known here while the store is yet to be told.
    for is_held in [false, true] {
        let mut world = World::new();
        let id = world.stranger();
        let token = token_in(&log_in_by_password(&mut world, id)[0]);
        // Nobody is here with that token when the other logs out.
        world.finish(id);
        // The clock of the second login is after, and so is that of the logout.
        world.set_wall_clock(UnixSeconds(100));
        let id = world.member("alice");
        world.hold_writes(is_held);
        world.say_as(id, "alice", r#""event":"logout""#);
        assert_eq!(world.hear(id).contains(&DONE.to_owned()), !is_held);
        world.set_wall_clock(START.plus(10));
        let id = world.stranger();
        world.say(id, &format!(r#"{{"token":"{token}","event":"dance"}}"#));
        assert!(world.hear(id)[0].contains("token_revoked"));
    }
}

#[test]
fn a_token_of_a_clock_that_was_ahead_keeps_no_other_good_at_a_logout() {
    let mut world = World::new();
    world.set_wall_clock(START.plus(864_000));
    let _ahead = world.member("alice");
    world.set_wall_clock(START);
    // Dated one ahead, as a login in the second of a revocation is.
    let token = world.token_dated("alice", START.plus(1));
    let id = world.member_with(&token);
    world.say(
        id,
        &format!(r#"{{"token":"{token}","event":"logout","id":1}}"#),
    );
    assert_eq!(
        world.hear(id),
        [
            r#"{"event":"logout","id":1,"data":{}}"#,
            "close 1000",
            "FIN"
        ]
    );
    let id = world.connect();
    let fields = format!("Authorization: Bearer {token}\r\n");
    world.send(id, upgrade(&fields).as_bytes());
    assert_eq!(world.hear(id)[0].get(..8), Some("HTTP 401"));
}
