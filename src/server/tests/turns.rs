//! What a driver asks in a turn: whom to write to, what to write, whether to read on.

use crate::server::{FlushesLeft, SLICES_MAX};

use super::world::{World, masked, upgrade};

/// An outbox that is small, and whose quarter is a frame of [`message`].
const OUTBOX_BYTES_MAX: usize = 4 * FRAME_BYTES;
const FRAME_BYTES: usize = 1_024;

const MEMBERS_ALONE: FlushesLeft = FlushesLeft {
    broadcasts: 1_000_000,
    pending: 0,
};

/// The members of a frame whose broadcast is `FRAME_BYTES` and so many more, its header included.
fn message(more: usize) -> String {
    let around = r#"{"event":"message","from":"alice","data":""}"#.len() + 4;
    let data = "x".repeat(FRAME_BYTES + more - around);
    format!(r#""event":"message","data":"{data}""#)
}

#[test]
fn what_waits_for_whoever_just_logged_in_goes_with_the_members() {
    let mut world = World::new();
    let (stranger, member) = (world.connect(), world.connect());
    assert!(!world.server.has_flushes());
    let bearer = format!("Authorization: Bearer {}\r\n", world.token("alice"));
    for (id, fields) in [(stranger, ""), (member, bearer.as_str())] {
        let mut head = upgrade(fields).into_bytes();
        world.server.receive(world.now, id, &mut head);
        assert!(world.server.has_flushes());
        assert_eq!(world.server.is_member(id), id == member);
    }
    let flushed = world
        .server
        .next_flush(world.now, &mut MEMBERS_ALONE.clone());
    assert_eq!(flushed, Some(member));
    assert_eq!(
        world
            .server
            .next_flush(world.now, &mut MEMBERS_ALONE.clone()),
        None
    );
    assert!(world.server.has_flushes());
    world.server.writable(member);
    for id in [stranger, member] {
        assert_eq!(world.hear(id), ["HTTP 101"]);
    }
    assert!(!world.server.has_flushes());
}

#[test]
fn a_driver_reads_on_until_more_than_a_quarter_of_an_outbox_was_not_offered() {
    for (more, pressed) in [(0, false), (1, true)] {
        let mut world = World::with(|config| config.outbox_bytes_max = OUTBOX_BYTES_MAX);
        let id = world.member("alice");
        let text = format!(
            r#"{{"token":"{}",{}}}"#,
            world.token("alice"),
            message(more)
        );
        let mut bytes = masked(0x81, text.as_bytes());
        world.server.receive(world.now, id, &mut bytes);
        assert_eq!(world.server.is_pressed(), pressed);
        world.hear(id);
        assert!(!world.server.is_pressed());
    }
}

#[test]
fn an_outbox_may_be_filled_with_broadcasts_to_the_last_byte() {
    let mut world = World::with(|config| config.outbox_bytes_max = OUTBOX_BYTES_MAX);
    let (alice, slow) = (world.member("alice"), world.member("bob"));
    world.set_deaf(slow, true);
    for count in 1..=5 {
        world.say_as(alice, "alice", &message(0));
        let expected = if count <= 4 {
            &[][..]
        } else {
            &["slow_reader"]
        };
        assert_eq!(world.refusals(), expected, "{count}");
    }
}

#[test]
fn an_outbox_may_be_filled_with_answers_to_the_last_byte() {
    let mut world = World::with(|config| config.outbox_bytes_max = OUTBOX_BYTES_MAX);
    let slow = world.member("bob");
    world.set_deaf(slow, true);
    // A Pong of 32 bytes each.
    for count in 1..=OUTBOX_BYTES_MAX / 32 + 1 {
        world.send(slow, &masked(0x89, &[b'x'; 30]));
        let is_over = count * 32 > OUTBOX_BYTES_MAX;
        let expected = if is_over { &["slow_reader"][..] } else { &[] };
        assert_eq!(world.refusals(), expected, "{count}");
    }
}

#[test]
fn an_answer_behind_as_many_broadcasts_as_one_write_takes_keeps_its_place() {
    let mut world = World::new();
    let (alice, bob) = (world.member("alice"), world.member("bob"));
    world.set_deaf(bob, true);
    for _ in 0..SLICES_MAX {
        world.say_as(alice, "alice", r#""event":"message","data":1"#);
    }
    world.send(bob, &masked(0x89, b"behind"));
    world.set_deaf(bob, false);
    let mut expected = vec![r#"{"event":"message","from":"alice","data":1}"#; SLICES_MAX];
    expected.push("pong behind");
    assert_eq!(world.hear(bob), expected);
}

#[test]
fn each_token_that_is_shown_is_verified_once() {
    let mut world = World::new();
    let id = world.member("alice");
    world.say_as(id, "alice", r#""event":"dance""#);
    world.send(id, &masked(0x89, b""));
    assert_eq!(world.server.verifications(), 2);
}
