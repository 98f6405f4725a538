//! What a driver asks in a turn: whom to write to, what to write, whether to read on.

use std::time::Duration;

use crate::limits::CROWDED_PARTS;
use crate::server::{ConnectionId, FlushesLeft, Input, SLICES_MAX};

use super::world::{World, masked, upgrade};

/// An outbox that is small, and whose crowded part is a frame of [`message`].
const OUTBOX_BYTES_MAX: usize = CROWDED_PARTS * FRAME_BYTES;
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
    assert!(!world.turn.core.has_flushes());
    let bearer = format!("Authorization: Bearer {}\r\n", world.token("alice"));
    for (id, fields) in [(stranger, ""), (member, bearer.as_str())] {
        let mut head = upgrade(fields).into_bytes();
        world.turn.core.receive(world.now, id, &mut head);
        assert!(world.turn.core.has_flushes());
        assert_eq!(world.turn.core.is_member(id), id == member);
    }
    let flushed = world
        .turn
        .core
        .next_flush(world.now, &mut MEMBERS_ALONE.clone());
    assert_eq!(flushed, Some(member));
    assert_eq!(
        world
            .turn
            .core
            .next_flush(world.now, &mut MEMBERS_ALONE.clone()),
        None
    );
    assert!(world.turn.core.has_flushes());
    world.turn.core.handle(world.now, Input::Writable(member));
    for id in [stranger, member] {
        assert_eq!(world.hear(id), ["HTTP 101"]);
    }
    assert!(!world.turn.core.has_flushes());
}

#[test]
fn a_driver_reads_on_until_more_than_an_eighth_of_an_outbox_was_not_offered() {
    for (more, pressed) in [(0, false), (1, true)] {
        let mut world = World::with(|config| config.outbox_bytes_max = OUTBOX_BYTES_MAX);
        let id = world.member("alice");
        let text = format!(
            r#"{{"token":"{}",{}}}"#,
            world.token("alice"),
            message(more)
        );
        let mut bytes = masked(0x81, text.as_bytes());
        world.turn.core.receive(world.now, id, &mut bytes);
        assert_eq!(world.turn.core.has_write_backlog(), pressed);
        world.hear(id);
        assert!(!world.turn.core.has_write_backlog());
    }
}

#[test]
fn an_outbox_may_be_filled_with_broadcasts_to_the_last_byte() {
    let mut world = World::with(|config| config.outbox_bytes_max = OUTBOX_BYTES_MAX);
    let (alice, slow) = (world.member("alice"), world.member("bob"));
    world.set_deaf(slow, true);
    for count in 1..=CROWDED_PARTS + 1 {
        world.say_as(alice, "alice", &message(0));
        let expected = if count <= CROWDED_PARTS {
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
    // A Pong of 64 bytes each.
    for count in 1..=OUTBOX_BYTES_MAX / 64 + 1 {
        world.send(slow, &masked(0x89, &[b'x'; 62]));
        let is_over = count * 64 > OUTBOX_BYTES_MAX;
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
    assert_eq!(world.turn.core.verifications(), 2);
}

/// Alice says something, and nobody was written to yet.
fn say_without_a_turn(world: &mut World, alice: ConnectionId) {
    let token = world.token("alice");
    let text = format!(r#"{{"token":"{token}","event":"message","data":1}}"#);
    let mut bytes = masked(0x81, text.as_bytes());
    world.turn.core.receive(world.now, alice, &mut bytes);
}

const SAID: &str = r#"{"event":"message","from":"alice","data":1}"#;

#[test]
fn a_broadcast_takes_of_a_turn_what_its_writes_take() {
    const LISTENERS: usize = 100;
    const WRITES: usize = 32;
    let mut world = World::with(|config| config.connections_per_user_max = 0);
    let alice = world.member("alice");
    let listeners = [(); LISTENERS].map(|()| world.member("bob"));
    let before = world.turn.core.held_bytes();
    say_without_a_turn(&mut world, alice);
    // One frame is held, and no queue for each who is to hear it.
    assert!(world.turn.core.held_bytes() - before <= SAID.len() + 4);
    let waiting = |world: &World| {
        let waits = |id: &&ConnectionId| world.turn.core.waits_to_be_written(**id);
        listeners.iter().filter(waits).count()
    };
    for turn in 0..LISTENERS / WRITES {
        assert!(
            LISTENERS + 1 - waiting(&world) <= turn * WRITES + 1,
            "{turn}"
        );
        assert!(world.turn.core.has_flushes());
        world.one_turn();
        world
            .turn
            .core
            .audit()
            .expect("the core's counts are right");
    }
    for id in listeners {
        assert_eq!(world.hear(id), [SAID]);
    }
    assert_eq!(world.hear(alice), [SAID]);
    assert!(!world.turn.core.has_flushes());
}

#[test]
fn a_member_that_leaves_before_its_turn_gives_back_what_it_has_yet_to_be_given() {
    let mut world = World::new();
    let alice = world.member("alice");
    let held_bytes = world.turn.core.held_bytes();
    for ending in [Input::Failed, Input::Finished] {
        let bob = world.member("bob");
        say_without_a_turn(&mut world, alice);
        world.turn.core.handle(world.now, ending(bob));
        world.one_turn();
        world
            .turn
            .core
            .audit()
            .expect("the core's counts are right");
        assert_eq!(world.hear(alice), [SAID]);
        assert_eq!(world.turn.core.held_bytes(), held_bytes);
    }
}

#[test]
fn members_to_whom_nothing_is_to_be_given_take_of_a_turn_as_if_there_were() {
    const LISTENERS: usize = 100;
    let mut world = World::with(|config| {
        config.connections_per_user_max = 0;
        config.token_ttl = Duration::from_secs(10);
    });
    for _ in 0..LISTENERS {
        world.member("bob");
    }
    world.wait(Duration::from_secs(9));
    let alice = world.member("alice");
    // Their tokens end, and nobody has looked at the deadlines yet.
    world.now.monotonic = world.now.monotonic + Duration::from_secs(1);
    world.now.unix = world.now.unix.plus(1);
    say_without_a_turn(&mut world, alice);
    let core = &mut world.turn.core;
    let before = core.core.broadcasts.left();
    assert!(before > LISTENERS);
    for turn in 1..=3 {
        let mut left = FlushesLeft {
            broadcasts: 30,
            pending: 8,
        };
        assert_eq!(core.next_flush(world.now, &mut left), None);
        assert_eq!(core.core.broadcasts.left(), before - turn * 30);
    }
}

#[test]
fn who_logs_in_hears_nothing_that_was_said_before() {
    let mut world = World::new();
    let alice = world.member("alice");
    let (bob, stranger) = (world.member("bob"), world.stranger());
    say_without_a_turn(&mut world, alice);
    let token = world.token("bob");
    let text = format!(r#"{{"token":"{token}","event":"getUser","data":{{"id":"eve"}}}}"#);
    let mut bytes = masked(0x81, text.as_bytes());
    world.turn.core.receive(world.now, stranger, &mut bytes);
    assert_eq!(world.hear(bob), [SAID]);
    assert!(!world.hear(stranger).iter().any(|line| line == SAID));
}

#[test]
fn what_was_said_to_all_comes_before_what_is_answered_after_it() {
    let mut world = World::new();
    let (alice, bob) = (world.member("alice"), world.member("bob"));
    say_without_a_turn(&mut world, alice);
    world
        .turn
        .core
        .receive(world.now, bob, &mut masked(0x89, b"behind"));
    say_without_a_turn(&mut world, alice);
    assert_eq!(world.hear(bob), [SAID, "pong behind", SAID]);
}

#[test]
fn a_token_that_is_over_hears_nothing_though_a_newer_one_comes_before_its_turn() {
    let mut world = World::with(|config| {
        config.token_ttl = Duration::from_secs(10);
        config.leeway = Duration::ZERO;
    });
    let (alice, bob) = (world.member("alice"), world.member("bob"));
    world.now.unix = world.now.unix.plus(10);
    say_without_a_turn(&mut world, alice);
    let token = world.token("bob");
    let text = format!(r#"{{"token":"{token}","event":"getUser","data":{{"id":"eve"}}}}"#);
    world
        .turn
        .core
        .receive(world.now, bob, &mut masked(0x81, text.as_bytes()));
    assert!(!world.hear(bob).iter().any(|line| line == SAID));
    assert_eq!(world.refusals(), [""; 0]);
    world
        .turn
        .core
        .audit()
        .expect("the core's counts are right");
}

#[test]
fn a_slow_reader_is_put_out_when_its_turn_comes_and_hears_no_more_than_the_frame_under_way() {
    let mut world = World::with(|config| config.outbox_bytes_max = OUTBOX_BYTES_MAX);
    let (alice, slow) = (world.member("alice"), world.member("bob"));
    world.set_deaf(slow, true);
    for _ in 0..CROWDED_PARTS {
        world.say_as(alice, "alice", &message(0));
    }
    say_without_a_turn(&mut world, alice);
    assert_eq!(world.refusals(), [""; 0]);
    world.one_turn();
    world.set_deaf(slow, false);
    assert_eq!(world.refusals(), ["slow_reader"]);
    world
        .turn
        .core
        .audit()
        .expect("the core's counts are right");
}

/// A world in which nobody says too much.
fn talkative(memory_bytes_max: usize) -> World {
    World::with(|config| {
        config.connections_per_user_max = 0;
        config.frame_rate.count = 0;
        config.broadcast_rate.count = 0;
        config.delivery_rate.count = 0;
        config.memory_bytes_max = memory_bytes_max;
    })
}

#[test]
fn neither_what_is_said_to_one_nor_what_is_answered_keeps_a_broadcast_waiting() {
    const TURNS: usize = 4;
    for to_one in [true, false] {
        let mut world = talkative(1 << 30);
        let alice = world.member("alice");
        let busy = [(); 40].map(|()| world.member("bob"));
        let idle = world.member("carol");
        let token = world.token("alice");
        let direct = format!(r#"{{"token":"{token}","event":"message","to":"bob","data":2}}"#);
        for turn in 0..TURNS {
            if turn == 0 || !to_one {
                say_without_a_turn(&mut world, alice);
            }
            if to_one {
                let mut bytes = masked(0x81, direct.as_bytes());
                world.turn.core.receive(world.now, alice, &mut bytes);
            } else {
                for id in busy {
                    world
                        .turn
                        .core
                        .receive(world.now, id, &mut masked(0x89, b""));
                }
            }
            world.one_turn();
        }
        assert_eq!(
            world.heard_by(idle).first(),
            Some(&SAID.to_owned()),
            "{to_one}"
        );
    }
}

#[test]
fn broadcasts_that_are_given_to_those_who_read_nothing_stay_within_memory() {
    for (memory_bytes_max, deaf) in [(1 << 19, 40), (1 << 19, 80), (1 << 20, 300)] {
        let mut world = talkative(memory_bytes_max);
        let alice = world.member("alice");
        for _ in 0..deaf {
            let id = world.member("bob");
            world.set_deaf(id, true);
        }
        for _ in 0..40 {
            while !world.turn.core.has_write_backlog() {
                say_without_a_turn(&mut world, alice);
                assert!(world.turn.core.held_bytes() <= memory_bytes_max);
            }
            while world.turn.core.has_flushes() {
                world.one_turn();
                assert!(world.turn.core.held_bytes() <= memory_bytes_max);
            }
        }
    }
}

#[test]
fn what_is_said_to_one_is_told_as_delivered_where_it_was() {
    let mut world = World::with(|config| config.outbox_bytes_max = OUTBOX_BYTES_MAX);
    let (alice, slow, other) = (
        world.member("alice"),
        world.member("bob"),
        world.member("bob"),
    );
    world.set_deaf(slow, true);
    let said = message(0).replace(r#""event""#, r#""id":1,"to":"bob","event""#);
    // Each is a little longer than a part.
    for count in 1..=CROWDED_PARTS {
        world.say_as(alice, "alice", &said);
        let delivered = if count < CROWDED_PARTS { 2 } else { 1 };
        let expected =
            format!(r#"{{"event":"message","id":1,"data":{{"delivered":{delivered}}}}}"#);
        assert_eq!(world.hear(alice), [expected], "{count}");
        world.hear(other);
    }
    assert_eq!(world.refusals(), ["slow_reader"]);
}

#[test]
fn a_peer_whose_ping_waited_for_a_full_socket_is_asked_again() {
    let mut world = World::with(|config| {
        config.ping_interval = Duration::from_secs(4);
        config.pong_timeout = Duration::from_secs(2);
    });
    let id = world.member("bob");
    world.set_deaf(id, true);
    world.send(id, &masked(0x89, b"full"));
    world.wait(Duration::from_secs(5));
    world.set_deaf(id, false);
    assert_eq!(world.hear(id), ["pong full", "ping"]);
    // It took bytes, which counts as a sign of life, and never says anything again.
    world.wait(Duration::from_millis(6_100));
    assert_eq!(world.hear(id), ["ping", "RESET"]);
}
