//! What an open WebSocket answers.

use std::time::Duration;

use super::world::{World, error, masked};

#[test]
fn a_stranger_who_shows_a_token_is_answered_and_stays() {
    let mut world = World::new();
    let id = world.stranger();
    world.say_as(
        id,
        "alice",
        r#""event":"getUser","id":1,"data":{"id":"bob"}"#,
    );
    let bob = r#"{"id":"bob","name":"bob of the tests","createdAt":1700000000,"online":false}"#;
    assert_eq!(
        world.hear(id),
        [format!(r#"{{"event":"getUser","id":1,"data":{bob}}}"#)]
    );
    world.wait(Duration::from_secs(20));
    assert!(world.hear(id).is_empty());
}

#[test]
fn an_id_is_echoed_as_it_was_written() {
    let mut world = World::new();
    let id = world.member("alice");
    for (written, echoed) in [
        (r#""id":7,"#, r#""id":7,"#),
        (r#""id":-1.50e2,"#, r#""id":-1.50e2,"#),
        (r#""id":"\u0061 b","#, r#""id":"\u0061 b","#),
        ("", ""),
    ] {
        world.say_as(
            id,
            "alice",
            &format!(r#"{written}"event":"getUser","data":{{"id":"nobody"}}"#),
        );
        let expected = format!(
            r#"{{"event":"error",{echoed}"data":{{"code":"not_found","reason":"no such user"}}}}"#
        );
        assert_eq!(world.hear(id), [expected]);
    }
}

#[test]
fn ordinary_mistakes_keep_the_connection() {
    let mut world = World::new();
    let id = world.member("alice");
    world.say_as(id, "alice", r#""event":"dance""#);
    world.say_as(id, "alice", r#""event":"getUser""#);
    world.say_as(id, "alice", r#""event":"getUser","data":["bob"]"#);
    world.say_as(id, "alice", r#""event":"getUser","data":{"id":7}"#);
    world.say_as(id, "alice", r#""event":"message""#);
    world.say(id, r#"{"event":"login","id":"alice","password":"x"}"#);
    let takes = r#"getUser takes `data` {\"id\":\"…\"}"#;
    assert_eq!(
        world.hear(id),
        [
            error(
                "unknown_event",
                "no such event; login, refresh, logout, getUser and message are always there"
            ),
            error("bad_data", takes),
            error("bad_data", takes),
            error("bad_data", takes),
            error("bad_data", "a message needs `data`, any JSON"),
            r#"{"event":"error","id":"alice","data":{"code":"bad_data","reason":"a login takes `data` {\"id\":\"…\",\"password\":\"…\"}"}}"#.to_owned(),
        ]
    );
    assert!(world.refusals().is_empty());
}

#[test]
fn a_message_reaches_everybody_who_is_logged_in_and_nobody_else() {
    let mut world = World::new();
    let (alice, bob, stranger) = (world.member("alice"), world.member("bob"), world.stranger());
    world.say_as(
        alice,
        "alice",
        r#""event":"message","id":"x","data":{"n": [1, 2]}"#,
    );
    let sent = r#"{"event":"message","from":"alice","data":{"n": [1, 2]}}"#;
    let delivered = r#"{"event":"message","id":"x","data":{"delivered":2}}"#;
    assert_eq!(world.hear(alice), [sent, delivered]);
    assert_eq!(world.hear(bob), [sent]);
    assert!(world.hear(stranger).is_empty());
}

#[test]
fn a_message_to_somebody_reaches_all_his_connections_only() {
    let mut world = World::new();
    let (alice, bob, bob_too) = (
        world.member("alice"),
        world.member("bob"),
        world.member("bob"),
    );
    world.say_as(
        alice,
        "alice",
        r#""event":"message","id":1,"to":"bob","data":"hi""#,
    );
    let sent = r#"{"event":"message","from":"alice","to":"bob","data":"hi"}"#;
    assert_eq!(
        world.hear(alice),
        [r#"{"event":"message","id":1,"data":{"delivered":2}}"#]
    );
    assert_eq!(world.hear(bob), [sent]);
    assert_eq!(world.hear(bob_too), [sent]);
    world.say_as(
        alice,
        "alice",
        r#""event":"message","id":2,"to":"carol","data":"hi""#,
    );
    assert_eq!(
        world.hear(alice),
        [r#"{"event":"message","id":2,"data":{"delivered":0}}"#]
    );
}

#[test]
fn a_message_without_an_id_is_not_answered() {
    let mut world = World::new();
    let alice = world.member("alice");
    world.say_as(alice, "alice", r#""event":"message","data":null"#);
    assert_eq!(
        world.hear(alice),
        [r#"{"event":"message","from":"alice","data":null}"#]
    );
}

#[test]
fn a_ping_is_answered_with_what_it_carried() {
    let mut world = World::new();
    let id = world.member("alice");
    world.send(id, &masked(0x89, b"are you there"));
    assert_eq!(world.hear(id), ["pong are you there"]);
}

#[test]
fn any_cutting_of_the_input_gives_the_same_answers() {
    let frames = |world: &World| {
        let mut bytes = Vec::new();
        for members in [
            r#""event":"getUser","id":1,"data":{"id":"bob"}"#,
            r#""event":"message","id":2,"data":"ä€😀""#,
            r#""event":"refresh","id":3"#,
        ] {
            let text = format!(r#"{{"token":"{}",{members}}}"#, world.token("alice"));
            bytes.extend(masked(0x81, text.as_bytes()));
            bytes.extend(masked(0x89, b"x"));
        }
        bytes
    };
    let mut whole = World::new();
    let id = whole.member("alice");
    let bytes = frames(&whole);
    whole.send(id, &bytes);
    let expected = whole.hear(id);
    assert_eq!(expected.len(), 7);
    for step in [1, 2, 3, 5, 7, 64, 199, 200, 201] {
        let mut cut = World::new();
        let id = cut.member("alice");
        for piece in bytes.chunks(step) {
            cut.send(id, piece);
        }
        assert_eq!(cut.hear(id), expected, "in pieces of {step}");
        assert_eq!(cut.turn.core.held_bytes(), whole.turn.core.held_bytes());
    }
}

#[test]
fn a_fragmented_message_is_one_frame_to_the_gate() {
    let mut world = World::new();
    let id = world.member("alice");
    let text = format!(
        r#"{{"token":"{}","event":"message","id":1,"data":1}}"#,
        world.token("alice")
    );
    let (one, two) = text.as_bytes().split_at(50);
    world.send(id, &masked(0x01, one));
    world.send(id, &masked(0x89, b""));
    world.send(id, &masked(0x80, two));
    assert_eq!(
        world.hear(id),
        [
            "pong ",
            r#"{"event":"message","from":"alice","data":1}"#,
            r#"{"event":"message","id":1,"data":{"delivered":1}}"#,
        ]
    );
}

#[test]
fn a_close_is_answered_with_its_code_and_the_connection_ends() {
    let mut world = World::new();
    let id = world.member("alice");
    world.send(id, &masked(0x88, &[0x0F, 0xA0]));
    assert_eq!(world.hear(id), ["close 4000", "FIN"]);
    world.finish(id);
    assert_eq!(world.hear(id), ["CLOSED"]);
    assert_eq!(world.turn.core.connections(), 0);
}

#[test]
fn a_message_may_be_as_long_as_the_limit_and_not_a_byte_longer() {
    for (user, limit) in [(Some("alice"), 16 * 1024), (None, 8 * 1024)] {
        for (over, closes) in [(0, false), (1, true)] {
            let mut world = World::new();
            let id = match user {
                Some(user) => world.member(user),
                None => world.stranger(),
            };
            let head = format!(
                r#"{{"token":"{}","event":"message","id":1,"data":""#,
                world.token("alice")
            );
            let filler = "x".repeat(limit + over - head.len() - 2);
            world.say(id, &format!("{head}{filler}\"}}"));
            let heard = world.hear(id);
            assert_eq!(
                heard.contains(&"close 1009".to_owned()),
                closes,
                "{user:?} {over}"
            );
            assert_eq!(heard.iter().any(|line| line.contains("delivered")), !closes);
        }
    }
}
