//! How a connection ends: the contract's table, row by row.

use crate::server::Input;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use crate::limits::{FRAGMENTS_MAX, LINGERING_MAX};
use crate::time::{Instant, UnixSeconds};

use super::world::{START, World, error, masked, upgrade};

#[test]
fn a_frame_without_a_token_is_the_last() {
    let mut world = World::new();
    let id = world.stranger();
    world.say(id, r#"{"event":"getUser","id":1,"data":{"id":"bob"}}"#);
    let refusal =
        r#"{"event":"error","id":1,"data":{"code":"unauthorized","reason":"token missing"}}"#;
    assert_eq!(world.hear(id), [refusal, "close 3000", "FIN"]);
    assert_eq!(world.refusals(), ["token_missing"]);
}

#[test]
fn a_frame_with_a_wrong_signature_is_the_last_and_nothing_behind_it_is_read() {
    let mut world = World::new();
    let (id, other) = (world.member("alice"), world.member("bob"));
    let good = world.token("alice");
    let (signed, signature) = good.rsplit_once('.').expect("three parts");
    let mut forged: Vec<char> = signature.chars().collect();
    forged[5] = if forged[5] == 'A' { 'B' } else { 'A' };
    let forged: String = forged.into_iter().collect();
    let bad = format!(r#"{{"token":"{signed}.{forged}","event":"message","data":1}}"#);
    let behind = format!(r#"{{"token":"{good}","event":"message","data":2}}"#);
    let mut bytes = masked(0x81, bad.as_bytes());
    bytes.extend(masked(0x81, behind.as_bytes()));
    world.send(id, &bytes);
    world.say(id, &behind);
    let refusal = error("unauthorized", "token rejected");
    assert_eq!(world.hear(id), [refusal.as_str(), "close 3000", "FIN"]);
    assert!(world.hear(other).is_empty());
}

#[test]
fn answers_before_a_failure_leave_before_it() {
    let mut world = World::new();
    let id = world.member("alice");
    let good = format!(
        r#"{{"token":"{}","event":"message","data":1}}"#,
        world.token("alice")
    );
    let mut bytes = masked(0x81, good.as_bytes());
    bytes.extend(masked(0x81, b"{}"));
    world.send(id, &bytes);
    let heard = world.hear(id);
    assert_eq!(heard[0], r#"{"event":"message","from":"alice","data":1}"#);
    assert_eq!(heard[2..], ["close 1007", "FIN"]);
}

#[test]
fn each_kind_of_bad_frame_has_its_close_code() {
    for (bytes, code, close) in [
        (masked(0x81, b"[1]"), Some("bad_frame"), "close 1007"),
        (
            masked(0x81, br#"{"event":"a","event":"b"}"#),
            Some("bad_frame"),
            "close 1007",
        ),
        (
            masked(0x81, br#"{"event":7}"#),
            Some("bad_frame"),
            "close 1007",
        ),
        (masked(0x81, b"\xFF"), Some("bad_frame"), "close 1007"),
        (masked(0x82, b"x"), Some("bad_frame"), "close 1003"),
        (masked(0x81, &[b' '; 8193]), Some("too_big"), "close 1009"),
        (masked(0xC1, b"x"), None, "close 1002"),
        (masked(0x83, b"x"), None, "close 1002"),
        (masked(0x80, b"x"), None, "close 1002"),
        (masked(0x09, b"x"), None, "close 1002"),
        (masked(0x88, b"x"), None, "close 1002"),
        (vec![0x81, 0x01, b'x'], None, "close 1002"),
    ] {
        let mut world = World::new();
        let id = world.stranger();
        world.send(id, &bytes);
        let heard = world.hear(id);
        let codes = heard.iter().filter(|line| line.starts_with('{'));
        let codes: Vec<&str> = codes
            .map(|line| line.split('"').nth(9).expect("a code"))
            .collect();
        assert_eq!(codes, Vec::from_iter(code), "{heard:?}");
        assert_eq!(heard[codes.len()..], [close, "FIN"]);
    }
}

#[test]
fn a_message_of_64_fragments_passes_and_one_of_65_does_not() {
    for (count, ends) in [(FRAGMENTS_MAX, false), (FRAGMENTS_MAX + 1, true)] {
        let mut world = World::new();
        let id = world.member("alice");
        let text = format!(
            r#"{{"token":"{}","event":"message","id":1,"data":1}}"#,
            world.token("alice")
        );
        world.send(id, &masked(0x01, text.as_bytes()));
        for _ in 2..count {
            world.send(id, &masked(0x00, b" "));
        }
        world.send(id, &masked(0x80, b" "));
        assert_eq!(
            world.hear(id).contains(&"close 1008".to_owned()),
            ends,
            "{count}"
        );
    }
}

#[test]
fn a_token_that_runs_out_ends_a_silent_listener() {
    let mut world = World::new();
    let id = world.member_with(&world.token_dated("alice", UnixSeconds(START.0 - 3_590)));
    world.wait(Duration::from_millis(9_900));
    assert!(world.hear(id).is_empty());
    world.wait(Duration::from_millis(200));
    assert_eq!(
        world.hear(id),
        [
            error("token_expired", "token expired").as_str(),
            "close 3000",
            "FIN"
        ]
    );
}

#[test]
fn a_token_with_less_than_a_microsecond_left_on_a_whole_tick_ends_its_listener_at_the_next() {
    for nanos_left in [0, 1, 999, 1_000] {
        let mut world = World::new();
        let id = world.member_with(&world.token_dated("alice", UnixSeconds(START.0 - 3_599)));
        // The wheel's ticks are of 2¹⁴ µs.
        world.now.monotonic = Instant::from_micros(1 << 14);
        world.now.fraction = Duration::from_secs(1) - Duration::from_nanos(nanos_left);
        if nanos_left == 0 {
            world.set_wall_clock(START.plus(1));
            world.now.fraction = Duration::ZERO;
        }
        world.turn.core.handle(world.now, Input::Tick);
        assert_eq!(world.hear(id).is_empty(), nanos_left > 0, "{nanos_left}");
        world.wait(Duration::from_millis(17));
        assert!(nanos_left == 0 || world.hear(id)[0].contains("token_expired"));
    }
}

#[test]
fn a_newer_token_moves_the_expiry_and_an_older_one_does_not() {
    let mut world = World::new();
    let id = world.member_with(&world.token_dated("alice", UnixSeconds(START.0 - 3_590)));
    world.say_as(id, "alice", r#""event":"dance""#);
    let older = world.token_dated("alice", UnixSeconds(START.0 - 3_595));
    world.say(id, &format!(r#"{{"token":"{older}","event":"dance"}}"#));
    world.hear(id);
    world.wait(Duration::from_secs(25));
    assert!(world.hear(id).is_empty());
}

#[test]
fn an_expired_token_is_told_as_that() {
    let mut world = World::new();
    let id = world.stranger();
    let old = world.token_dated("alice", UnixSeconds(START.0 - 3_600));
    world.say(id, &format!(r#"{{"token":"{old}","event":"dance"}}"#));
    assert_eq!(
        world.hear(id),
        [
            error("token_expired", "token expired").as_str(),
            "close 3000",
            "FIN"
        ]
    );
}

#[test]
fn a_clock_set_forward_ends_whom_it_makes_expire_and_set_back_revives_nobody() {
    let mut world = World::new();
    let id = world.member("alice");
    world.set_wall_clock(UnixSeconds(START.0 + 864_000));
    world.wait(Duration::from_millis(700));
    assert_eq!(
        world.hear(id),
        [
            error("token_expired", "token expired").as_str(),
            "close 3000",
            "FIN"
        ]
    );
    world.set_wall_clock(START);
    world.say_as(id, "alice", r#""event":"dance""#);
    world.wait(Duration::from_secs(1));
    assert_eq!(world.hear(id), ["CLOSED"]);
}

#[test]
fn a_clock_set_by_a_quarter_of_a_second_moves_every_end_by_that() {
    let mut world = World::new();
    let id = world.member_with(&world.token_dated("alice", UnixSeconds(START.0 - 3_580)));
    world.wait(Duration::from_secs(10));
    world.now.fraction = Duration::from_millis(250);
    world.wait(Duration::from_millis(9_740));
    assert!(world.hear(id).is_empty());
    world.wait(Duration::from_millis(30));
    assert!(world.hear(id)[0].contains("token_expired"));
}

#[test]
fn a_clock_set_forward_sends_no_broadcast_to_the_expired() {
    let mut world = World::new();
    let (alice, bob) = (world.member("alice"), world.member("bob"));
    world.set_wall_clock(UnixSeconds(START.0 + 864_000));
    world.say_as(bob, "bob", r#""event":"message","id":1,"data":1"#);
    assert!(
        world
            .hear(alice)
            .iter()
            .all(|line| !line.contains("message"))
    );
    assert!(
        world
            .hear(bob)
            .contains(&r#"{"event":"message","id":1,"data":{"delivered":1}}"#.to_owned())
    );
}

#[test]
fn another_subject_than_the_connections_is_forbidden() {
    let mut world = World::new();
    let id = world.member("alice");
    world.say_as(id, "bob", r#""event":"dance""#);
    let refusal = error("forbidden", "the connection is another user's");
    assert_eq!(world.hear(id), [refusal.as_str(), "close 3003", "FIN"]);
}

#[test]
fn a_subject_that_is_no_user_is_forbidden() {
    let mut world = World::new();
    let id = world.stranger();
    world.say_as(id, "nobody", r#""event":"dance""#);
    let refusal = error("forbidden", "user unknown or disabled");
    assert_eq!(world.hear(id), [refusal.as_str(), "close 3003", "FIN"]);
}

#[test]
fn a_stranger_who_shows_no_token_in_time_goes() {
    let mut world = World::new();
    let id = world.stranger();
    world.wait(Duration::from_millis(29_900));
    assert!(world.hear(id).iter().all(|line| line == "ping"));
    world.wait(Duration::from_millis(200));
    assert_eq!(
        world.hear(id),
        [
            error("auth_timeout", "no valid token within 30 s").as_str(),
            "close 3008",
            "FIN"
        ]
    );
}

#[test]
fn a_head_that_takes_too_long_is_dropped() {
    let mut world = World::new();
    let (silent, dripping) = (world.connect(), world.connect());
    for byte in upgrade("").as_bytes()[..49].chunks(1) {
        world.wait(Duration::from_millis(100));
        world.send(dripping, byte);
    }
    assert!(world.hear(silent).is_empty() && world.hear(dripping).is_empty());
    world.wait(Duration::from_millis(150));
    assert_eq!(world.hear(silent), ["CLOSED"]);
    assert_eq!(world.hear(dripping), ["CLOSED"]);
    assert_eq!(world.refusals(), ["no_request", "handshake_timeout"]);
}

#[test]
fn a_message_begun_and_never_finished_ends_the_connection() {
    let mut world = World::new();
    let id = world.member("alice");
    world.send(id, &masked(0x01, b"{"));
    for _ in 0..19 {
        world.wait(Duration::from_secs(1));
        world.send(id, &masked(0x00, b" "));
    }
    assert!(world.hear(id).is_empty());
    world.wait(Duration::from_millis(1_100));
    assert_eq!(world.hear(id), ["close 1008", "FIN"]);
}

#[test]
fn messages_that_end_in_time_may_begin_in_the_piece_that_ends_the_last() {
    let mut world = World::new();
    let id = world.member("alice");
    let text = format!(
        r#"{{"token":"{}","event":"getUser","data":{{"id":"bob"}}}}"#,
        world.token("alice")
    );
    let frame = masked(0x81, text.as_bytes());
    let (begin, end) = frame.split_at(50);
    world.send(id, begin);
    for _ in 0..30 {
        world.wait(Duration::from_secs(1));
        world.send(id, &[end, begin].concat());
        assert!(world.hear(id)[0].contains("getUser"));
    }
}

#[test]
fn a_peer_that_answers_no_ping_is_gone_and_one_that_does_stays() {
    let mut world = World::new();
    let (pulled, alive) = (world.member("alice"), world.member("bob"));
    world.wait(Duration::from_millis(30_050));
    assert_eq!(world.hear(pulled), ["ping"]);
    assert_eq!(world.hear(alive), ["ping"]);
    world.send(alive, &masked(0x8A, b""));
    world.wait(Duration::from_millis(10_050));
    assert_eq!(world.hear(pulled), ["RESET"]);
    assert!(world.hear(alive).is_empty());
}

#[test]
fn a_ping_that_waits_behind_a_queue_is_never_late() {
    let mut world = World::new();
    let (alice, bob) = (world.member("alice"), world.member("bob"));
    world.wait(Duration::from_secs(25));
    world.set_deaf(bob, true);
    world.say_as(alice, "alice", r#""event":"message","data":1"#);
    world.wait(Duration::from_millis(9_900));
    // It leaves 4.9 s after it was queued, and that it does is a sign of life.
    world.set_deaf(bob, false);
    assert_eq!(world.hear(bob)[1..], ["ping"]);
    world.wait(Duration::from_millis(39_900));
    assert_eq!(world.hear(bob), ["ping"]);
    world.wait(Duration::from_millis(150));
    assert_eq!(world.hear(bob), ["RESET"]);
    assert!(world.refusals().contains(&"pong_timeout"));
}

#[test]
fn a_full_socket_that_takes_bytes_again_is_a_sign_of_life_and_one_with_room_is_none() {
    let mut world = World::new();
    let (alice, full, roomy) = (
        world.member("alice"),
        world.member("bob"),
        world.member("bob"),
    );
    for _ in 0..8 {
        world.set_deaf(full, true);
        world.say_as(alice, "alice", r#""event":"message","data":1"#);
        world.wait(Duration::from_secs(5));
        world.set_deaf(full, false);
    }
    world.wait(Duration::from_millis(100));
    assert!(world.hear(full).iter().all(|line| line.contains("message")));
    let heard = world.hear(roomy);
    assert!(heard.contains(&"ping".to_owned()), "{heard:?}");
    assert_eq!(heard.last().map(String::as_str), Some("RESET"));
}

#[test]
fn a_full_socket_that_is_said_to_take_bytes_and_takes_none_is_no_sign_of_life() {
    let mut world = World::new();
    let id = world.member("bob");
    let alice = world.member("alice");
    world.set_deaf(id, true);
    world.say_as(alice, "alice", r#""event":"message","data":1"#);
    for _ in 0..9 {
        world.wait(Duration::from_secs(1));
        world.turn.core.handle(world.now, Input::Writable(id));
        world.one_turn();
        assert!(world.turn.core.is_member(id));
    }
    world.wait(Duration::from_secs(2));
    assert!(!world.turn.core.is_member(id), "WRITE_TIMEOUT has passed");
}

#[test]
fn a_ping_waits_until_a_steady_reader_has_read_what_its_socket_took_before_it() {
    let mut world = World::with(|config| {
        config.frame_rate.count = 0;
        config.token_ttl = Duration::from_secs(3_600);
    });
    let (alice, bob) = (world.member("alice"), world.member("bob"));
    world.wait(Duration::from_millis(29_900));
    let filler = "x".repeat(15 * 1_024);
    for _ in 0..15 {
        world.say_as(
            alice,
            "alice",
            &format!(r#""event":"message","data":"{filler}""#),
        );
    }
    // 225 KiB at 16 KiB/s are 14 s.
    world.wait(Duration::from_millis(23_900));
    assert_eq!(world.hear(bob).last().map(String::as_str), Some("ping"));
    world.wait(Duration::from_millis(300));
    assert_eq!(world.hear(bob), ["RESET"]);
}

#[test]
fn more_frames_than_the_rate_allows_end_the_connection() {
    let mut world = World::new();
    let id = world.member("alice");
    for _ in 0..200 {
        world.send(id, &masked(0x8A, b""));
    }
    assert!(world.hear(id).is_empty());
    world.send(id, &masked(0x8A, b""));
    let refusal = error("rate_limited", "too many frames; slow down and come back");
    assert_eq!(world.hear(id), [refusal.as_str(), "close 1008", "FIN"]);
}

#[test]
fn a_reader_too_slow_is_closed_and_the_others_miss_nothing() {
    let mut world = World::with(|config| {
        config.frame_rate.count = 0;
        config.broadcast_rate.count = 0;
    });
    let (alice, slow, bob) = (
        world.member("alice"),
        world.member("carol"),
        world.member("bob"),
    );
    world.set_deaf(slow, true);
    let filler = "x".repeat(12 * 1024);
    for _ in 0..30 {
        world.say_as(
            alice,
            "alice",
            &format!(r#""event":"message","data":"{filler}""#),
        );
    }
    assert_eq!(world.refusals(), ["slow_reader"]);
    assert_eq!(world.hear(bob).len(), 30);
    assert_eq!(world.hear(alice).len(), 30);
    assert!(world.hear(slow).is_empty());
    world.set_deaf(slow, false);
    assert_eq!(world.hear(slow), ["close 1013", "FIN"]);
}

#[test]
fn a_peer_that_takes_no_byte_is_closed_in_time_and_reset() {
    let mut world = World::new();
    let (alice, slow) = (world.member("alice"), world.member("carol"));
    world.set_deaf(slow, true);
    world.say_as(alice, "alice", r#""event":"message","data":1"#);
    world.wait(Duration::from_millis(9_900));
    assert!(world.refusals().is_empty());
    world.wait(Duration::from_millis(200));
    assert_eq!(world.refusals(), ["slow_reader"]);
    world.wait(Duration::from_millis(600));
    assert_eq!(world.hear(slow), ["RESET"]);
}

#[test]
fn a_refused_peer_that_never_leaves_is_freed_within_the_linger() {
    // Whatever else it would soon have been looked at for.
    for waited in [0, 29_900] {
        let mut world = World::new();
        let id = world.stranger();
        world.wait(Duration::from_millis(waited));
        world.say(id, "x");
        world.hear(id);
        world.wait(Duration::from_millis(480));
        assert!(world.hear(id).is_empty());
        world.wait(Duration::from_millis(20));
        assert_eq!(world.hear(id), ["CLOSED"]);
        assert_eq!(world.turn.core.connections(), 0);
    }
}

#[test]
fn a_reader_who_leaves_gives_back_the_broadcasts_that_waited() {
    let mut world = World::new();
    let alice = world.member("alice");
    let held_bytes = world.turn.core.held_bytes();
    let slow = world.member("bob");
    world.set_deaf(slow, true);
    world.say_as(alice, "alice", r#""event":"message","data":1"#);
    world.turn.core.handle(world.now, Input::Failed(slow));
    assert_eq!(world.hear(slow), ["CLOSED"]);
    assert_eq!(world.turn.core.held_bytes(), held_bytes);
}

#[test]
fn the_lingering_are_few_and_the_next_is_reset_at_once() {
    let mut world = World::new();
    let ids: Vec<_> = (0..=LINGERING_MAX).map(|_| world.stranger()).collect();
    for (count, id) in ids.into_iter().enumerate() {
        world.say(id, "x");
        let last = world.hear(id).pop();
        let expected = if count < LINGERING_MAX {
            "FIN"
        } else {
            "RESET"
        };
        assert_eq!(last.as_deref(), Some(expected), "{count}");
    }
    world.wait(Duration::from_millis(600));
    assert_eq!(world.turn.core.connections(), 0);
}

#[test]
fn a_peer_that_half_closes_is_gone_at_once() {
    let mut world = World::new();
    let id = world.member("alice");
    world.finish(id);
    assert_eq!(world.hear(id), ["CLOSED"]);
}

#[test]
fn a_half_close_takes_no_answer_of_a_websocket_that_is_owed_one() {
    let mut world = World::new();
    let [right, wrong] = ["alice's password", "wrong"].map(|password| {
        let id = world.stranger();
        let data = format!(r#"{{"id":"alice","password":"{password}"}}"#);
        world.say(id, &format!(r#"{{"event":"login","id":1,"data":{data}}}"#));
        world.finish(id);
        assert!(world.hear(id).is_empty());
        id
    });
    world.hash();
    for (id, answered) in [(right, r#""token":""#), (wrong, "login_failed")] {
        let heard = world.hear(id);
        assert_eq!(heard.len(), 2, "{heard:?}");
        assert!(heard[0].contains(answered), "{heard:?}");
        assert_eq!(heard[1], "CLOSED");
    }
    let id = world.member("alice");
    world.hold_writes(true);
    world.say_as(id, "alice", r#""event":"logout","id":1"#);
    world.finish(id);
    assert!(world.hear(id).is_empty());
    world.hold_writes(false);
    assert_eq!(
        world.hear(id),
        [
            r#"{"event":"logout","id":1,"data":{}}"#,
            "close 1000",
            "CLOSED"
        ]
    );
    assert_eq!(world.turn.core.connections(), 0);
}

#[test]
fn last_words_that_wait_for_their_turn_outlast_the_linger() {
    let mut world = World::new();
    let id = world.stranger();
    // The turn ends before anything is written, and the next begins late.
    world
        .turn
        .core
        .receive(world.now, id, &mut masked(0x81, b"x"));
    world.now.monotonic = world.now.monotonic + Duration::from_secs(1);
    world.turn.core.handle(world.now, Input::Tick);
    let heard = world.hear(id);
    assert!(heard[0].contains("bad_frame"), "{heard:?}");
    assert_eq!(heard[1..], ["close 1007", "FIN"]);
}

#[test]
fn stopping_tells_everybody_and_takes_nobody() {
    let mut world = World::new();
    let (open, head) = (world.member("alice"), world.connect());
    world.turn.core.handle(world.now, Input::Stop);
    assert_eq!(world.hear(open), ["close 1001", "FIN"]);
    assert_eq!(world.connect_from(IpAddr::V4(Ipv4Addr::LOCALHOST)), None);
    world.wait(Duration::from_secs(1));
    // It may yet ask, and be told.
    assert!(world.hear(head).is_empty());
    world.wait(Duration::from_secs(1) + Duration::from_millis(20));
    assert_eq!(world.hear(head), ["CLOSED"]);
    assert_eq!(world.turn.core.connections(), 0);
}

#[test]
fn a_request_that_a_stop_cuts_short_is_no_failure_of_its_peer() {
    let mut world = World::new();
    let begun = world.connect();
    world.send(begun, b"GET /hea");
    world.turn.core.handle(world.now, Input::Stop);
    world.wait(Duration::from_secs(3));
    assert_eq!(world.hear(begun), ["CLOSED"]);
    assert_eq!(world.refusals(), [""; 0]);
}

#[test]
fn a_server_without_connections_holds_nothing() {
    let mut world = World::with(|config| config.connections_per_user_max = 0);
    let ids: Vec<_> = (0..50).map(|_| world.member("alice")).collect();
    for id in ids {
        world.send(id, &masked(0x01, b"{"));
        world.say_as(id, "alice", r#""event":"message","data":1"#);
        world.finish(id);
    }
    // A summary of what was refused is due within a minute.
    world.wait(Duration::from_secs(62));
    assert_eq!(world.turn.core.connections(), 0);
    assert_eq!(world.turn.core.held_bytes(), 0);
    // It wakes for a look at the users, and for nothing else.
    let look = world.now.monotonic + Duration::from_millis(500);
    let next = world.turn.core.next_deadline();
    assert!(next.is_some_and(|at| at > world.now.monotonic && at <= look));
}

/// A connection lives for as long as its token would be admitted.
#[test]
fn a_listener_stays_for_the_leeway_behind_its_tokens_end() {
    let mut world = World::with(|config| {
        config.token_ttl = Duration::from_secs(10);
        config.leeway = Duration::from_secs(10);
    });
    let id = world.member("alice");
    world.wait(Duration::from_secs(19));
    assert!(world.hear(id).is_empty());
    world.wait(Duration::from_secs(2));
    assert!(world.hear(id)[0].contains("token_expired"));
}

#[test]
fn a_slow_reader_that_has_not_taken_its_101_hears_that_before_the_close() {
    let mut world = World::with(|config| config.outbox_bytes_max = 4_096);
    let bob = world.member("bob");
    let id = world.connect();
    world.set_deaf(id, true);
    let bearer = format!("Authorization: Bearer {}\r\n", world.token("alice"));
    world.send(id, upgrade(&bearer).as_bytes());
    let padding = "x".repeat(1_500);
    for _ in 0..3 {
        world.say_as(
            bob,
            "bob",
            &format!(r#""event":"message","data":"{padding}""#),
        );
    }
    assert!(world.refusals().contains(&"slow_reader"));
    world.set_deaf(id, false);
    assert_eq!(world.hear(id), ["HTTP 101", "close 1013", "FIN"]);
}
