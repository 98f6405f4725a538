//! What one user may do over all its connections.

use std::time::Duration;

use crate::server::{ConnectionId, Report, ReportKind};

use super::world::{World, error, masked};

fn message(data_bytes: usize) -> String {
    let data = "x".repeat(data_bytes);
    format!(r#""event":"message","id":1,"data":"{data}""#)
}

fn limited(world: &mut World, id: ConnectionId) -> Option<u64> {
    let line = world.hear(id).pop()?;
    line.contains(r#""code":"rate_limited""#).then(|| {
        let wait = line.split(r#""retryAfter":"#).nth(1).expect("a wait");
        let digits = wait.trim_end_matches('}');
        digits.parse().expect("whole seconds")
    })
}

#[test]
fn a_user_may_broadcast_so_many_bytes_at_once_and_is_then_told_to_wait() {
    let mut world = World::new();
    let (alice, tab, bob) = (
        world.member("alice"),
        world.member("alice"),
        world.member("bob"),
    );
    // 256 KiB take 21 frames of 12 KiB, whichever of the user's connections sends them.
    let mut sent = 0;
    let wait = loop {
        let id = if sent % 2 == 0 { alice } else { tab };
        world.say_as(id, "alice", &message(12 * 1_024));
        match limited(&mut world, id) {
            None => sent += 1,
            Some(wait) => break wait,
        }
    };
    assert_eq!((sent, wait), (21, 1));
    world.say_as(bob, "bob", &message(12 * 1_024));
    assert_eq!(limited(&mut world, bob), None, "another user has its own");
    world.wait(Duration::from_secs(1));
    world.say_as(alice, "alice", &message(12 * 1_024));
    assert_eq!(limited(&mut world, alice), None);
    assert_eq!(world.refusals(), [""; 0], "the connection is kept");
}

#[test]
fn a_message_to_one_user_is_charged_as_well() {
    let mut world = World::new();
    let alice = world.member("alice");
    let data = "x".repeat(12 * 1_024);
    let frame = format!(r#""event":"message","to":"nobody","id":1,"data":"{data}""#);
    for _ in 0..21 {
        world.say_as(alice, "alice", &frame);
        assert_eq!(limited(&mut world, alice), None);
    }
    world.say_as(alice, "alice", &frame);
    assert_eq!(limited(&mut world, alice), Some(1));
}

#[test]
fn a_user_may_cause_so_many_deliveries_at_once() {
    let mut world = World::with(|config| {
        config.delivery_rate.count = 10;
        config.delivery_burst = 20;
    });
    let alice = world.member("alice");
    for _ in 0..4 {
        world.member("bob");
    }
    for _ in 0..4 {
        world.say_as(alice, "alice", &message(1));
        assert_eq!(limited(&mut world, alice), None);
    }
    world.say_as(alice, "alice", &message(1));
    assert_eq!(limited(&mut world, alice), Some(1));
    world.wait(Duration::from_millis(500));
    world.say_as(alice, "alice", &message(1));
    assert_eq!(
        limited(&mut world, alice),
        None,
        "five more after half a second"
    );
}

#[test]
fn a_burst_smaller_than_the_audience_lets_a_rested_user_speak() {
    let mut world = World::with(|config| {
        config.delivery_rate.count = 2;
        config.delivery_burst = 1;
    });
    let alice = world.member("alice");
    for _ in 0..3 {
        world.member("bob");
    }
    world.say_as(alice, "alice", &message(1));
    assert_eq!(limited(&mut world, alice), None);
    world.say_as(alice, "alice", &message(1));
    assert_eq!(limited(&mut world, alice), Some(2));
}

#[test]
fn what_was_spent_is_remembered_when_a_user_comes_back() {
    let mut world = World::new();
    let alice = world.member("alice");
    for _ in 0..21 {
        world.say_as(alice, "alice", &message(12 * 1_024));
    }
    world.finish(alice);
    let again = world.member("alice");
    world.say_as(again, "alice", &message(12 * 1_024));
    assert_eq!(limited(&mut world, again), Some(1));
}

#[test]
fn a_user_may_have_so_many_connections_and_the_newest_is_refused() {
    let mut world = World::with(|config| config.connections_per_user_max = 2);
    let (first, second) = (world.member("alice"), world.member("alice"));
    let full = error(
        "too_many_connections",
        "too many connections of this user; close one and come back",
    );
    let refused = [full.as_str(), "close 1013", "FIN"];

    let by_frame = world.stranger();
    world.say_as(by_frame, "alice", r#""event":"message","data":1"#);
    assert_eq!(world.hear(by_frame), refused);

    let by_password = world.stranger();
    let login = r#"{"event":"login","data":{"id":"alice","password":"alice's password"}}"#;
    world.say(by_password, login);
    world.hash();
    assert_eq!(world.hear(by_password), refused);
    assert!(world.hear(first).is_empty() && world.hear(second).is_empty());

    world.member("bob");
    world.finish(first);
    world.member("alice");
    assert_eq!(world.refusals(), ["too_many_connections"; 2]);
}

#[test]
fn the_rate_of_frames_holds_for_a_user_that_reconnects() {
    let mut world = World::with(|config| {
        config.frame_burst = 10;
        config.connections_per_user_max = 2;
        config.ban_after = 1;
    });
    // Two connections' bursts together; each login is a frame of them.
    let pong = masked(0x8A, b"");
    for _ in 0..2 {
        let id = world.member("alice");
        world.send(id, &pong.repeat(9));
        assert_eq!(world.refusals(), [""; 0]);
        world.finish(id);
    }
    let id = world.stranger();
    world.say_as(id, "alice", r#""event":"getUser","data":{"id":"bob"}"#);
    let refusal = error(
        "rate_limited",
        "too many frames over all connections of this user; slow down and come back",
    );
    assert_eq!(world.hear(id), [refusal.as_str(), "close 1008", "FIN"]);
    // It may be the doing of the user's other connections, elsewhere.
    let is_ban = |report: &Report| matches!(report.what, ReportKind::Banned(_));
    assert!(!world.reports.iter().any(is_ban));
    world.wait(Duration::from_secs(1));
    world.member("alice");
}
