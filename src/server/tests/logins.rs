//! Logins, refreshes and logouts.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use crate::app::users::{User, UserStore};
use crate::config::Config;
use crate::limits::{HASHES_PENDING_MAX, LOGIN_TIMEOUT};
use crate::server::{ConnectionId, Input};
use crate::time::UnixSeconds;

use super::world::{START, World, error, upgrade, user};

fn login(world: &mut World, id: ConnectionId, user: &str, password: &str) {
    world.say(
        id,
        &format!(r#"{{"event":"login","id":1,"data":{{"id":"{user}","password":"{password}"}}}}"#),
    );
}

fn token_in(line: &str) -> String {
    let (_, rest) = line.split_once(r#""token":""#).expect("a token");
    rest.split('"').next().expect("a token").to_owned()
}

const FAILED: &str = r#"{"event":"error","id":1,"data":{"code":"login_failed","reason":"the id or the password is wrong"}}"#;

#[test]
fn a_login_gives_a_token_and_logs_the_connection_in() {
    let mut world = World::new();
    let (id, bob) = (world.stranger(), world.member("bob"));
    login(&mut world, id, "alice", "alice's password");
    assert!(world.hear(id).is_empty());
    world.hash();
    let heard = world.hear(id);
    let token = token_in(&heard[0]);
    assert_eq!(
        heard,
        [format!(
            r#"{{"event":"login","id":1,"data":{{"token":"{token}","expiresIn":3600}}}}"#
        )]
    );
    world.say_as(bob, "bob", r#""event":"message","data":1"#);
    assert_eq!(
        world.hear(id),
        [r#"{"event":"message","from":"bob","data":1}"#]
    );
    world.say(id, &format!(r#"{{"token":"{token}","event":"dance"}}"#));
    assert!(world.hear(id)[0].contains("unknown_event"));
}

#[test]
fn the_third_wrong_password_closes_the_connection() {
    let mut world = World::new();
    let id = world.stranger();
    for user in ["alice", "nobody"] {
        login(&mut world, id, user, "wrong");
        world.hash();
        assert_eq!(world.hear(id), [FAILED]);
    }
    login(&mut world, id, "alice", "wrong");
    world.hash();
    let heard = world.hear(id);
    assert!(heard[0].contains("login_failed"), "{heard:?}");
    assert_eq!(heard[1..], ["close 3000", "FIN"]);
}

#[test]
fn users_who_may_not_log_in_are_told_no_more_than_a_wrong_password() {
    let mut world = World::new();
    world.put(&User {
        disabled: true,
        ..user("alice")
    });
    world.put(&User {
        password_hash: None,
        ..user("bob")
    });
    world.wait(Duration::from_millis(100));
    for (name, password) in [
        ("alice", "alice's password"),
        ("bob", "bob's password"),
        ("nobody", "x"),
        ("carol", "wrong"),
    ] {
        let id = world.stranger();
        login(&mut world, id, name, password);
        assert_eq!(world.hashes_waiting(), 1, "it costs a hash all the same");
        world.hash();
        assert_eq!(world.hear(id), [FAILED]);
    }
    // The log says more.
    let reasons = [
        "disabled_user",
        "no_password",
        "unknown_user",
        "wrong_password",
    ];
    assert_eq!(world.failed_logins(), reasons);
}

#[test]
fn a_user_disabled_while_his_password_is_checked_is_not_let_in() {
    let mut world = World::new();
    let id = world.stranger();
    login(&mut world, id, "alice", "alice's password");
    world.put(&User {
        disabled: true,
        ..user("alice")
    });
    world.wait(Duration::from_millis(100));
    world.hash();
    assert_eq!(world.hear(id), [FAILED]);
    assert_eq!(world.failed_logins(), ["disabled_user"]);
}

#[test]
fn a_login_as_somebody_else_than_the_connections_is_forbidden() {
    let mut world = World::new();
    let id = world.member("alice");
    login(&mut world, id, "bob", "bob's password");
    assert_eq!(world.hashes_waiting(), 0);
    assert_eq!(world.hear(id)[1..], ["close 3003", "FIN"]);
}

#[test]
fn the_queue_of_passwords_is_bounded_and_the_rest_are_told_busy() {
    let mut world = World::new();
    let ids: Vec<_> = (0..=HASHES_PENDING_MAX).map(|_| world.stranger()).collect();
    for (count, id) in ids.iter().enumerate() {
        login(&mut world, *id, &format!("user{count}"), "x");
        let heard = world.hear(*id);
        assert_eq!(
            heard.is_empty(),
            count < HASHES_PENDING_MAX,
            "{count}: {heard:?}"
        );
    }
    assert_eq!(world.hashes_waiting(), HASHES_PENDING_MAX);
    world.hash();
    login(
        &mut world,
        ids[HASHES_PENDING_MAX],
        "alice",
        "alice's password",
    );
    world.hash();
    assert!(world.hear(ids[HASHES_PENDING_MAX])[0].contains(r#""token":"#));
}

#[test]
fn one_connection_has_one_password_checked_at_a_time() {
    let mut world = World::new();
    let id = world.stranger();
    login(&mut world, id, "alice", "alice's password");
    login(&mut world, id, "alice", "alice's password");
    let heard = world.hear(id);
    assert_eq!(heard.len(), 1);
    assert!(heard[0].contains(r#""code":"busy""#) && heard[0].contains(r#""retryAfter":1"#));
    assert_eq!(world.hashes_waiting(), 1);
}

#[test]
fn an_address_has_ten_logins_a_minute_on_either_way_in() {
    let mut world = World::new();
    let address = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
    for count in 0..11 {
        let id = world.connect_from(address).expect("there is room");
        if count % 2 == 0 {
            world.send(id, upgrade("").as_bytes());
            world.hear(id);
            login(&mut world, id, &format!("user{count}"), "x");
        } else {
            let body = format!(r#"{{"id":"user{count}","password":"x"}}"#);
            let head = format!(
                "POST /login HTTP/1.1\r\nHost: h\r\nContent-Length: {}\r\n\r\n",
                body.len()
            );
            world.send(id, (head + &body).as_bytes());
        }
        world.hash();
        let heard = world.hear(id);
        assert_eq!(
            heard[0].contains("rate_limited"),
            count == 10,
            "{count}: {heard:?}"
        );
    }
    // The log tells of each try, and of whom: else a guesser past the rate is never seen.
    assert_eq!(world.failed_logins().last(), Some(&"login_rate"));
    let last = world.reports.last().expect("a line");
    assert_eq!(last.user.as_deref(), Some("user10"));
    let elsewhere = world.stranger();
    login(&mut world, elsewhere, "alice", "alice's password");
    world.hash();
    assert!(world.hear(elsewhere)[0].contains(r#""token":"#));
}

#[test]
fn malformed_login_requests_ban_their_address() {
    let mut world = World::new();
    let address = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
    for count in 0..21 {
        let id = world.connect_from(address).expect("not yet banned");
        world.send(
            id,
            b"POST /login HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\n[]",
        );
        // They have their share of the address's logins, and no more.
        let status = if count < 10 { "HTTP 400" } else { "HTTP 429" };
        assert!(world.hear(id)[0].starts_with(status), "{count}");
    }
    assert_eq!(world.connect_from(address), None);
    assert_eq!(world.turn.core.totals().refused["bad_request"], 10);
    assert_eq!(world.failed_logins(), ["login_rate"; 11]);
}

#[test]
fn an_address_that_keeps_on_past_its_rate_of_logins_is_banned() {
    let mut world = World::new();
    let address = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
    let id = world.connect_from(address).expect("not yet banned");
    world.send(id, upgrade("").as_bytes());
    for _ in 0..12 {
        login(&mut world, id, "alice", "alice's password");
        world.hash();
        world.say_as(id, "alice", r#""event":"dance""#);
    }
    assert!(world.connect_from(address).is_some(), "two too many");
    for _ in 0..19 {
        login(&mut world, id, "alice", "alice's password");
    }
    assert_eq!(world.connect_from(address), None);
}

#[test]
fn an_id_has_ten_logins_a_minute_from_wherever() {
    let mut world = World::new();
    for count in 0..11 {
        let id = world.stranger();
        login(&mut world, id, "alice", "x");
        world.hash();
        assert_eq!(
            world.hear(id)[0].contains("rate_limited"),
            count == 10,
            "{count}"
        );
    }
    world.wait(Duration::from_secs(6));
    let id = world.stranger();
    login(&mut world, id, "alice", "alice's password");
    world.hash();
    assert!(world.hear(id)[0].contains(r#""token":"#));
}

#[test]
fn a_wait_is_told_in_whole_seconds_rounded_up() {
    let mut world = World::new();
    for _ in 0..10 {
        let id = world.stranger();
        login(&mut world, id, "alice", "x");
        world.hash();
    }
    // One of ten a minute is free again after six seconds.
    for (waited, told) in [(0, 6), (500, 6), (500, 5), (1, 5)] {
        world.wait(Duration::from_millis(waited));
        let id = world.stranger();
        login(&mut world, id, "alice", "x");
        let heard = world.hear(id);
        let wait = format!(r#""retryAfter":{told}}}"#);
        assert!(heard[0].contains(&wait), "{told}: {heard:?}");
    }
}

#[test]
fn a_login_whose_connection_has_ended_comes_to_nothing() {
    let mut world = World::new();
    let id = world.stranger();
    login(&mut world, id, "alice", "alice's password");
    // A FIN alone would leave the answer to be read.
    world.turn.core.handle(world.now, Input::Failed(id));
    let next = world.stranger();
    world.hash();
    assert_eq!(world.hear(id), ["CLOSED"]);
    assert!(world.hear(next).is_empty());
}

#[test]
fn a_refresh_gives_a_token_that_is_good() {
    let mut world = World::new();
    let id = world.member("alice");
    world.wait(Duration::from_secs(5));
    world.say_as(id, "alice", r#""event":"refresh","id":4"#);
    let heard = world.hear(id);
    assert!(heard[0].starts_with(r#"{"event":"refresh","id":4,"data":{"token":""#));
    world.member_with(&token_in(&heard[0]));
}

#[test]
fn a_logout_voids_every_token_and_closes_the_users_other_connections() {
    let mut world = World::new();
    let (id, other, bob) = (
        world.member("alice"),
        world.member("alice"),
        world.member("bob"),
    );
    let old = world.token("alice");
    world.say_as(id, "alice", r#""event":"logout","id":9"#);
    assert_eq!(
        world.hear(id),
        [
            r#"{"event":"logout","id":9,"data":{}}"#,
            "close 1000",
            "FIN"
        ]
    );
    let revoked = error("token_revoked", "token revoked");
    assert_eq!(world.hear(other), [revoked.as_str(), "close 3000", "FIN"]);
    assert!(world.hear(bob).is_empty());
    let stranger = world.stranger();
    world.say(stranger, &format!(r#"{{"token":"{old}","event":"dance"}}"#));
    assert_eq!(
        world.hear(stranger),
        [revoked.as_str(), "close 3000", "FIN"]
    );
}

#[test]
fn a_login_in_the_second_of_a_logout_is_good_at_once() {
    let mut world = World::new();
    let id = world.member("alice");
    world.say_as(id, "alice", r#""event":"logout""#);
    let again = world.stranger();
    login(&mut world, again, "alice", "alice's password");
    world.hash();
    let token = token_in(&world.hear(again)[0]);
    assert_eq!(world.now.unix, START);
    world.say(again, &format!(r#"{{"token":"{token}","event":"dance"}}"#));
    assert!(world.hear(again)[0].contains("unknown_event"));
    assert!(
        world
            .users
            .user("alice")
            .ok()
            .flatten()
            .and_then(|user| user.tokens_valid_from)
            == Some(UnixSeconds(START.0 + 1))
    );
}

/// A login in the second of a logout gives a token dated one ahead, which the next logout voids.
#[test]
fn a_logout_voids_a_token_of_the_same_second_that_is_dated_ahead() {
    let mut world = World::new();
    let id = world.member("alice");
    world.say_as(id, "alice", r#""event":"logout""#);
    let ahead = world.token_dated("alice", UnixSeconds(START.0 + 1));
    let id = world.member_with(&ahead);
    world.say(id, &format!(r#"{{"token":"{ahead}","event":"logout"}}"#));
    assert_void(&mut world, &ahead);
}

#[test]
fn a_logout_voids_the_tokens_that_were_issued_before_the_clock_was_set_back() {
    let mut world = World::new();
    world.wait(Duration::from_secs(3));
    let (token, other) = (
        world.token("alice"),
        world.token_dated("alice", world.now.unix.plus(1)),
    );
    let id = world.member_with(&token);
    let listener = world.member_with(&other);
    world.set_wall_clock(UnixSeconds(START.0 + 2));
    world.say(id, &format!(r#"{{"token":"{token}","event":"logout"}}"#));
    assert!(world.hear(listener)[0].contains("token_revoked"));
    world.wait(Duration::from_secs(5));
    assert_void(&mut world, &token);
    assert_void(&mut world, &other);
}

fn assert_void(world: &mut World, token: &str) {
    let id = world.stranger();
    world.say(id, &format!(r#"{{"token":"{token}","event":"dance"}}"#));
    let heard = world.hear(id);
    assert!(heard[0].contains("token_revoked"), "{heard:?}");
}

#[test]
fn whoever_guesses_and_does_not_wait_for_the_answer_is_banned_as_well() {
    let mut world = World::with(|config| config.login_rate.count = 0);
    let address = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
    for count in 0..21 {
        let id = world.connect_from(address).expect("not yet banned");
        world.send(id, upgrade("").as_bytes());
        login(&mut world, id, &format!("user{count}"), "x");
        world.finish(id);
        world.hash();
    }
    assert_eq!(world.connect_from(address), None);
}

#[test]
fn a_request_whose_password_is_never_checked_is_given_up() {
    let mut world = World::new();
    let id = world.connect();
    let body = r#"{"id":"alice","password":"x"}"#;
    let head = format!(
        "POST /login HTTP/1.1\r\nHost: h\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    world.send(id, (head + body).as_bytes());
    world.wait(LOGIN_TIMEOUT - Duration::from_millis(50));
    assert!(world.hear(id).is_empty());
    world.wait(Duration::from_millis(100));
    let heard = world.hear(id);
    assert!(heard[0].starts_with("HTTP 503"), "{heard:?}");
}

const NO_LOGINS: [&str; 5] = [
    r#"{"event":"login"}"#,
    r#"{"event":"login","data":[]}"#,
    r#"{"event":"login","data":{"id":"alice"}}"#,
    r#"{"event":"login","data":{"id":"alice","password":7}}"#,
    r#"{"event":"login","data":{"id":"alice","password":""}}"#,
];

#[test]
fn a_login_whose_data_is_none_counts_under_the_rate_of_its_address() {
    for text in NO_LOGINS {
        let mut world = World::new();
        let id = world.stranger();
        for _ in 0..Config::default().login_rate.count {
            world.say(id, text);
            let heard = world.hear(id);
            assert!(heard[0].contains("bad_data"), "{heard:?}");
        }
        world.say(id, text);
        let heard = world.hear(id);
        assert!(heard[0].contains("rate_limited"), "{heard:?}");
        login(&mut world, id, "alice", "alice's password");
        assert!(world.hear(id)[0].contains("rate_limited"));
        assert_eq!(world.hashes_waiting(), 0);
    }
}

#[test]
fn a_login_whose_data_is_none_is_hostile() {
    let mut world = World::with(|config| config.login_rate.count = 0);
    let address = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
    let id = world.connect_from(address).expect("not yet banned");
    world.send(id, upgrade("").as_bytes());
    for text in NO_LOGINS.iter().cycle().take(21) {
        world.say(id, text);
    }
    assert_eq!(world.connect_from(address), None);
}

#[test]
fn the_time_to_log_in_does_not_run_out_while_a_password_is_checked() {
    for auth_timeout in [Duration::from_secs(30), Duration::from_secs(3)] {
        let mut world = World::with(|config| config.auth_timeout = auth_timeout);
        let (right, wrong) = (world.stranger(), world.stranger());
        world.wait(auth_timeout - Duration::from_millis(100));
        login(&mut world, right, "alice", "alice's password");
        login(&mut world, wrong, "bob", "a guess");
        world.wait(Duration::from_secs(8));
        assert_eq!(world.hear(right), [""; 0]);
        assert_eq!(world.refusals(), [""; 0]);
        world.hash();
        world.wait(Duration::from_millis(50));
        assert!(world.hear(right)[0].contains(r#""event":"login""#));
        assert!(world.turn.core.is_member(right));
        // Who gave a wrong one has had the time there is.
        let heard = world.hear(wrong);
        assert_eq!(heard[0], FAILED);
        assert!(heard[1].contains("auth_timeout"), "{heard:?}");
        assert_eq!(heard[2..], ["close 3008", "FIN"]);
    }
}
