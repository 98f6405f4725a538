//! Users who change while they are here, and a store that fails.

use std::time::Duration;

use crate::app::users::{StoreError, User, UserStore};
use crate::limits::{TURN_REVIEWS_MAX, USER_CACHE_CHECK_AHEAD};
use crate::server::{ConnectionId, Input, StoreNews};
use crate::time::{Instant, UnixSeconds};

use super::world::{START, World, error, masked, upgrade, user};

const CHECKED: Duration = Duration::from_millis(50);

#[test]
fn a_user_disabled_elsewhere_is_refused_from_the_first_frame_50_ms_later() {
    let mut world = World::new();
    let id = world.member("bob");
    world.put(&User {
        disabled: true,
        ..user("bob")
    });
    world.now.monotonic = world.now.monotonic + CHECKED;
    world.say_as(id, "bob", r#""event":"dance""#);
    let refusal = error("forbidden", "user unknown or disabled");
    assert_eq!(world.hear(id), [refusal.as_str(), "close 3003", "FIN"]);
}

#[test]
fn a_change_is_seen_ahead_of_the_frame_that_would_wait_for_it() {
    let mut world = World::new();
    let id = world.member("bob");
    world.turn.core.handle(world.now, Input::LookAhead);
    world.put(&User {
        disabled: true,
        ..user("bob")
    });
    world.now.monotonic = world.now.monotonic + (USER_CACHE_CHECK_AHEAD - Duration::from_micros(1));
    world.turn.core.handle(world.now, Input::LookAhead);
    assert!(world.hear(id).is_empty());

    world.now.monotonic = world.now.monotonic + Duration::from_micros(1);
    assert!(world.turn.core.is_look_due(world.now));
    world.turn.core.handle(world.now, Input::LookAhead);
    assert!(!world.turn.core.is_look_due(world.now));
    let refusal = error("forbidden", "user unknown or disabled");
    assert_eq!(world.hear(id), [refusal.as_str(), "close 3003", "FIN"]);
}

#[test]
fn a_user_who_was_changed_elsewhere_is_told_of_as_he_is_now() {
    let mut world = World::new();
    let id = world.member("alice");
    let ask = r#""event":"getUser","data":{"id":"bob"}"#;
    for (name, online) in [("bob of the tests", false), ("Bob \"Ω\"", true)] {
        world.put(&User {
            name: name.into(),
            ..user("bob")
        });
        world.wait(CHECKED);
        if online {
            world.member("bob");
        }
        // Twice: what was written for the first is there for the second.
        world.say_as(id, "alice", ask);
        world.say_as(id, "alice", ask);
        let name = name.replace('"', r#"\""#);
        let bob =
            format!(r#"{{"id":"bob","name":"{name}","createdAt":1700000000,"online":{online}}}"#);
        let answer = format!(r#"{{"event":"getUser","data":{bob}}}"#);
        assert_eq!(world.hear(id), [answer.as_str(), answer.as_str()]);
    }
}

#[test]
fn a_user_who_only_listens_is_closed_within_a_second_of_the_change() {
    for (change, code, close) in [
        (
            Some(User {
                disabled: true,
                ..user("bob")
            }),
            "forbidden",
            "close 3003",
        ),
        (None, "forbidden", "close 3003"),
        (
            Some(User {
                tokens_valid_from: Some(UnixSeconds(START.0 + 1)),
                ..user("bob")
            }),
            "token_revoked",
            "close 3000",
        ),
    ] {
        let mut world = World::new();
        let (bob, bob_too, alice) = (
            world.member("bob"),
            world.member("bob"),
            world.member("alice"),
        );
        match change {
            Some(user) => world.put(&user),
            None => assert!(world.users.remove("bob")),
        }
        world.wait(Duration::from_secs(1));
        for id in [bob, bob_too] {
            let heard = world.hear(id);
            assert!(heard[0].contains(code), "{heard:?}");
            assert_eq!(heard[1], close);
        }
        assert!(world.hear(alice).is_empty());
    }
}

#[test]
fn a_change_that_concerns_nobody_here_closes_nobody() {
    let mut world = World::new();
    let id = world.member("bob");
    world.put(&user("dave"));
    world.wait(Duration::from_secs(2));
    assert!(world.hear(id).is_empty());
}

#[test]
fn a_revoked_user_gets_no_broadcast_once_it_is_seen() {
    let mut world = World::new();
    let (bob, alice) = (world.member("bob"), world.member("alice"));
    assert!(world.users.remove("bob"));
    world.now.monotonic = world.now.monotonic + CHECKED;
    world.say_as(alice, "alice", r#""event":"message","id":1,"data":1"#);
    assert!(world.hear(bob).iter().all(|line| !line.contains("message")));
    assert!(
        world
            .hear(alice)
            .contains(&r#"{"event":"message","id":1,"data":{"delivered":1}}"#.to_owned())
    );
}

#[test]
fn a_token_revoked_elsewhere_is_void_on_a_connection_that_a_newer_one_keeps() {
    let mut world = World::new();
    let old = world.token_dated("bob", UnixSeconds(START.0 - 10));
    let id = world.member("bob");
    world.put(&User {
        tokens_valid_from: Some(START),
        ..user("bob")
    });
    world.wait(CHECKED);
    world.say_as(id, "bob", r#""event":"dance""#);
    assert!(world.hear(id)[0].contains("unknown_event"));
    world.say(id, &format!(r#"{{"token":"{old}","event":"dance"}}"#));
    let refusal = error("token_revoked", "token revoked");
    assert_eq!(world.hear(id), [refusal.as_str(), "close 3000", "FIN"]);
}

#[test]
fn a_store_that_fails_is_told_once() {
    let mut world = World::new();
    world.member("alice");
    assert_eq!(world.store_news, []);
    world.break_store(true);
    world.wait(Duration::from_millis(600));
    assert_eq!(world.store_news, [StoreNews::Failed(StoreError::Io)]);
}

#[test]
fn a_store_that_fails_confirms_nobody() {
    let mut world = World::new();
    let (silent, stranger) = (world.member("alice"), world.stranger());
    world.break_store(true);
    world.now.monotonic = world.now.monotonic + CHECKED;
    world.say_as(stranger, "bob", r#""event":"dance""#);
    let refusal = error(
        "unavailable",
        "users cannot be confirmed now; try again later",
    );
    assert_eq!(
        world.hear(stranger),
        [refusal.as_str(), "close 1013", "FIN"]
    );
    world.wait(Duration::from_secs(1));
    assert_eq!(world.hear(silent)[..2], [refusal.as_str(), "close 1013"]);
    world.break_store(false);
    world.wait(Duration::from_millis(100));
    let id = world.member("alice");
    world.say_as(id, "alice", r#""event":"dance""#);
    assert!(world.hear(id)[0].contains("unknown_event"));
}

#[test]
fn somebody_is_online_while_one_of_his_connections_is_logged_in() {
    let mut world = World::new();
    let (alice, bob, bob_too) = (
        world.member("alice"),
        world.member("bob"),
        world.member("bob"),
    );
    for (leaves, online) in [(None, true), (Some(bob), true), (Some(bob_too), false)] {
        if let Some(id) = leaves {
            world.finish(id);
        }
        world.say_as(alice, "alice", r#""event":"getUser","data":{"id":"bob"}"#);
        let heard = world.hear(alice);
        assert!(
            heard[0].ends_with(&format!(r#""online":{online}}}}}"#)),
            "{heard:?}"
        );
    }
}

#[test]
fn somebody_is_online_until_the_second_in_which_his_token_ends() {
    let mut world = World::new();
    let alice = world.member("alice");
    world.member_with(&world.token_dated("bob", UnixSeconds(START.0 - 3_590)));
    for (second, online) in [(9, true), (10, false)] {
        world.set_wall_clock(UnixSeconds(START.0 + second));
        world.say_as(alice, "alice", r#""event":"getUser","data":{"id":"bob"}"#);
        let heard = world.hear(alice);
        assert!(
            heard[0].ends_with(&format!(r#""online":{online}}}}}"#)),
            "{heard:?}"
        );
    }
}

#[test]
fn a_store_that_fails_at_any_call_lets_nobody_in_by_it() {
    for fault in [StoreError::Busy, StoreError::Full, StoreError::Io] {
        let mut failures = 0;
        for call in 0..12 {
            let mut world = World::new();
            world.users.fail_at(call, fault.clone());
            let id = world.connect();
            let bearer = format!("Authorization: Bearer {}\r\n", world.token("alice"));
            world.send(id, upgrade(&bearer).as_bytes());
            let answered = world.hear(id);
            if answered != ["HTTP 101"] {
                assert!(answered[0].starts_with("HTTP 503"), "{call}: {answered:?}");
                failures += 1;
                continue;
            }
            for members in [
                r#""event":"getUser","data":{"id":"bob"}"#,
                r#""event":"refresh""#,
                r#""event":"logout""#,
            ] {
                world.wait(CHECKED);
                world.say_as(id, "alice", members);
            }
            let heard = world.hear(id);
            let is_whole = heard.contains(&"close 1000".to_owned());
            let is_denied = heard.contains(&"close 1013".to_owned());
            assert!(is_whole != is_denied, "{call}: {heard:?}");
            // Voided exactly when she was told so.
            world.break_store(false);
            let alice = world
                .users
                .user("alice")
                .expect("it is whole again")
                .expect("she is there");
            assert_eq!(
                alice.tokens_valid_from.is_some(),
                is_whole,
                "{call}: {heard:?}"
            );
            failures += usize::from(is_denied);
        }
        assert!(failures >= 3, "{fault}: {failures}");
    }
}

#[test]
fn many_who_change_at_once_are_looked_at_in_several_turns_and_none_is_heard_before() {
    let mut world = World::new();
    let people: Vec<String> = (0..TURN_REVIEWS_MAX * 3)
        .map(|n| format!("user{n}"))
        .collect();
    people.iter().for_each(|id| world.put(&user(id)));
    world.wait(Duration::from_millis(100));
    let members: Vec<_> = people.iter().map(|id| world.member(id)).collect();
    let bystander = world.member("alice");
    for id in &people {
        world.put(&User {
            disabled: true,
            ..user(id)
        });
    }
    world.now.monotonic = world.now.monotonic + Duration::from_millis(50);
    world.turn.core.handle(world.now, Input::LookAhead);
    let is_here = |world: &World, id: &ConnectionId| world.turn.core.is_member(*id);
    let mut left = members.iter().filter(|id| is_here(&world, id)).count();
    assert_eq!(left, TURN_REVIEWS_MAX * 2);
    assert_eq!(world.turn.core.next_deadline(), Some(Instant::ORIGIN));
    // Who is still here is looked at when it speaks.
    let here = members
        .iter()
        .position(|id| is_here(&world, id))
        .expect("some are");
    let token = world.token(&people[here]);
    let mut bytes = masked(
        0x81,
        format!(r#"{{"token":"{token}","event":"getUser","data":{{"id":"alice"}}}}"#).as_bytes(),
    );
    world
        .turn
        .core
        .receive(world.now, members[here], &mut bytes);
    assert!(!is_here(&world, &members[here]));
    left -= 1;
    for turn in 1.. {
        world.turn.core.handle(world.now, Input::Tick);
        let now_left = members.iter().filter(|id| is_here(&world, id)).count();
        assert!(left - now_left <= TURN_REVIEWS_MAX, "{turn}");
        left = now_left;
        if left == 0 {
            assert_eq!(turn, 2);
            break;
        }
    }
    assert_ne!(world.turn.core.next_deadline(), Some(Instant::ORIGIN));
    assert!(world.hear(members[here])[0].contains("forbidden"));
    assert!(world.hear(bystander).is_empty());
    assert!(world.turn.core.is_member(bystander));
}
