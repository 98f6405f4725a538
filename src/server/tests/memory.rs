//! The ledger, and who goes when it runs short.

use crate::limits::{AUTH_TIMEOUT_CROWDED, CROWDED_PARTS, UNOFFERED_FRAMES_MAX};
use crate::server::{ConnectionId, Input};
use crate::time::Instant;

use super::world::{World, masked, upgrade};

/// Room for ten connections, and `more` bytes.
fn world_with(more: usize) -> World {
    World::with(|config| {
        config.message_bytes_max = 16 * 1_024;
        config.outbox_bytes_max = 64 * 1_024;
        config.frame_rate.count = 0;
        config.broadcast_rate.count = 0;
        let needed = 2 * 16 * 1_024 + 1_024 + more + 10 * 384;
        config.memory_bytes_max = needed * 8 / 7;
    })
}

fn half_message(world: &mut World, id: ConnectionId) {
    world.send(id, &masked(0x01, &[b' '; 15_000]));
}

fn is_thrown_out(world: &mut World, id: ConnectionId) -> bool {
    world.hear(id).contains(&"close 1013".to_owned())
}

#[test]
fn who_holds_most_by_its_own_doing_goes_when_memory_is_short() {
    let mut world = world_with(64 * 1_024);
    let small = world.member("alice");
    world.send(small, &masked(0x01, &[b' '; 100]));
    let hoarders: Vec<_> = (0..8).map(|_| world.member("bob")).collect();
    for id in &hoarders {
        half_message(&mut world, *id);
        assert!(world.turn.core.held_bytes() <= (64 + 33) * 1_024 * 8 / 7);
    }
    world.wait(std::time::Duration::from_millis(20));
    assert!(world.hear(small).is_empty());
    let gone = hoarders.iter().filter(|id| is_thrown_out(&mut world, **id));
    assert!((3..8).contains(&gone.count()));
}

#[test]
fn a_user_who_holds_much_over_many_addresses_goes_before_one_who_holds_more_at_one() {
    let mut world = world_with(64 * 1_024);
    let bob = world.member("bob");
    half_message(&mut world, bob);
    let hoarders: Vec<_> = (0..10).map(|_| world.member("alice")).collect();
    for id in &hoarders {
        world.send(*id, &masked(0x01, &[b' '; 7_000]));
    }
    world.wait(std::time::Duration::from_millis(20));
    assert!(world.hear(bob).is_empty());
    assert!(hoarders.iter().any(|id| is_thrown_out(&mut world, *id)));
}

#[test]
fn of_many_messages_to_one_user_few_are_decided_before_its_socket_is_offered_any() {
    let mut world = World::with(|config| config.outbox_bytes_max = 16 * 1_024);
    let (alice, bob) = (world.member("alice"), world.member("bob"));
    let (token, data) = (world.token("alice"), "x".repeat(1_000));
    let text = format!(r#"{{"token":"{token}","event":"message","to":"bob","data":"{data}"}}"#);
    let mut bytes = masked(0x81, text.as_bytes()).repeat(10);
    world.turn.core.receive(world.now, alice, &mut bytes);
    assert!(world.turn.core.has_undecided());
    assert_eq!(world.hear(bob).len(), 10);
}

#[test]
fn a_user_with_many_half_messages_goes_before_one_who_was_sent_much() {
    let mut world = world_with(128 * 1_024);
    let (eve, bob) = (world.member("carol"), world.member("bob"));
    world.set_deaf(bob, true);
    let data = "x".repeat(12 * 1_024);
    let frame = format!(r#""event":"message","to":"bob","data":"{data}""#);
    for _ in 0..3 {
        world.say_as(eve, "carol", &frame);
    }
    let hoarders: Vec<_> = (0..10).map(|_| world.member("alice")).collect();
    for id in &hoarders {
        half_message(&mut world, *id);
    }
    world.wait(std::time::Duration::from_millis(20));
    assert!(world.refusals().len() >= 2 && world.refusals().iter().all(|word| *word == "memory"));
    assert!(hoarders.iter().any(|id| is_thrown_out(&mut world, *id)));
    world.set_deaf(bob, false);
    assert_eq!(world.hear(bob).len(), 3, "each message, and no Close");
}

#[test]
fn readers_who_take_nothing_go_when_nobody_holds_much_by_its_own_doing() {
    let mut world = world_with(63 * 1_024);
    let alice = world.member("alice");
    // As much as one message may take that doubles its buffer while it comes.
    let senders = [world.member("carol"), world.member("carol")];
    let slow = world.member("bob");
    for sender in senders {
        half_message(&mut world, sender);
    }
    world.set_deaf(slow, true);
    let data = "x".repeat(12 * 1_024);
    for _ in 0..4 {
        world.say_as(
            alice,
            "alice",
            &format!(r#""event":"message","data":"{data}""#),
        );
    }
    world.wait(std::time::Duration::from_millis(20));
    assert_eq!(world.refusals(), ["memory"]);
    world.set_deaf(slow, false);
    assert_eq!(world.hear(slow), ["close 1013", "FIN"]);
    for sender in senders {
        assert_eq!(world.hear(sender).len(), 4);
    }
}

#[test]
fn being_there_throws_nobody_out_at_the_cap_that_memory_has_room_for() {
    for outbox_bytes_max in [4 * 1_024, 64 * 1_024] {
        let mut world = World::with(|config| {
            config.message_bytes_max = 2 * 1_024;
            config.message_before_login_bytes_max = 1_024;
            config.outbox_bytes_max = outbox_bytes_max;
            config.memory_bytes_max = 128 * 1_024;
            config.connections_max = config.connections_within_memory();
            config.pending_max = config.connections_max;
        });
        let mut members = Vec::new();
        while let Some(id) = world.connect_from(None) {
            let user = ["alice", "bob", "carol"][members.len() % 3];
            let bearer = format!("Authorization: Bearer {}\r\n", world.token(user));
            world.send(id, upgrade(&bearer).as_bytes());
            members.push(id);
            if members.len() == 96 {
                break;
            }
        }
        assert!(members.len() >= 80, "{}", members.len());
        world.say_as(members[0], "alice", r#""event":"message","data":1"#);
        world.wait(std::time::Duration::from_millis(20));
        assert_eq!(world.refusals(), [""; 0]);
        assert!(world.turn.core.held_bytes() <= 128 * 1_024);
    }
}

#[test]
fn many_who_broadcast_in_one_write_throw_nobody_out_and_hold_no_more_than_may_be() {
    let mut world = World::with(|config| {
        config.connections_per_user_max = 0;
        config.delivery_rate.count = 0;
        config.memory_bytes_max = 1_024 * 1_024;
    });
    let members: Vec<_> = (0..300).map(|_| world.member("alice")).collect();
    let token = world.token("alice");
    let text = format!(r#"{{"token":"{token}","event":"message","data":1}}"#);
    let frame = masked(0x81, text.as_bytes());
    // As a driver delivers it: the rest is decided on turn by turn.
    let mut bytes = frame.repeat(200);
    world.turn.core.receive(world.now, members[0], &mut bytes);
    let mut turns = 0;
    // What is not decided on yet is held for its peer.
    let core = &world.turn.core.core;
    assert!(core.ledger_bytes() > core.sessions.ledger_bytes() + 50 * frame.len());
    while world.turn.core.has_write_backlog() {
        assert!(world.turn.core.held_bytes() <= 1_024 * 1_024);
        // Asked ahead of each frame of the one read: never more than the last one past the bound.
        let unoffered = world.turn.core.core.unoffered_frames();
        assert!(
            unoffered <= UNOFFERED_FRAMES_MAX + members.len(),
            "{unoffered}"
        );
        world.one_turn();
        turns += 1;
        assert!(turns < 10_000);
    }
    assert_eq!(world.refusals(), [""; 0]);
    for id in &members {
        assert_eq!(world.hear(*id).len(), 200);
    }
}

#[test]
fn many_who_are_not_logged_in_go_before_a_user_who_was_sent_much() {
    let mut world = world_with(128 * 1_024);
    let (eve, bob) = (world.member("carol"), world.member("bob"));
    world.set_deaf(bob, true);
    let data = "x".repeat(12 * 1_024);
    let frame = format!(r#""event":"message","to":"bob","data":"{data}""#);
    for _ in 0..4 {
        world.say_as(eve, "carol", &frame);
    }
    let strangers: Vec<_> = (0..20).map(|_| world.stranger()).collect();
    for id in &strangers {
        world.send(*id, &masked(0x01, &[b' '; 7_000]));
    }
    world.wait(std::time::Duration::from_millis(20));
    assert!(world.refusals().len() >= 2 && world.refusals().iter().all(|word| *word == "memory"));
    world.set_deaf(bob, false);
    assert_eq!(world.hear(bob).len(), 4, "each message, and no Close");
}

#[test]
fn a_crowd_that_is_refused_at_once_stays_within_memory() {
    const MEMORY: usize = 1_024 * 1_024;
    let mut world = World::with(|config| {
        config.memory_bytes_max = MEMORY;
        config.pending_max = 1_000;
        config.connections_per_user_max = 0;
    });
    for _ in 0..500 {
        world.stranger();
    }
    // Members' half messages take what is left, but for the reserve.
    while world.turn.core.held_bytes() < 850_000 {
        let id = world.member("alice");
        world.send(id, &masked(0x01, &[b' '; 12_000]));
    }
    assert_eq!(world.refusals(), [""; 0]);
    for _ in 0..2 {
        world.stranger();
    }
    // Now they are a crowd, all of whom have had their time.
    let late = AUTH_TIMEOUT_CROWDED + std::time::Duration::from_millis(50);
    world.now.monotonic = world.now.monotonic + late;
    let mut turns = 0;
    while turns == 0 || world.turn.next_at() == Some(Instant::ORIGIN) {
        world.one_turn();
        let held_bytes = world.turn.core.held_bytes();
        assert!(held_bytes <= MEMORY, "{held_bytes} in turn {turns}");
        turns += 1;
    }
    assert!(world.refusals().contains(&"auth_timeout_crowded"));
}

/// How many bytes more may be held.
fn room(world: &World) -> usize {
    let core = &world.turn.core.core;
    let free = core.memory_bytes_free_of_reserve();
    free.saturating_sub(core.ledger_bytes())
}

/// A world in which `room_bytes` more may be held once `prepare` is done.
fn tight_world<T>(room_bytes: usize, prepare: impl Fn(&mut World) -> T) -> (World, T) {
    let roomy = 96 * 1_024;
    let mut world = world_with(roomy);
    prepare(&mut world);
    assert_eq!(world.refusals(), [""; 0]);
    let mut world = world_with(roomy - room(&world) + room_bytes);
    let prepared = prepare(&mut world);
    (world, prepared)
}

/// Adds one after the other, and returns by how much the last one filled the memory.
fn add_five(world: &mut World, add: impl Fn(&mut World)) -> usize {
    let mut added = 0;
    for _ in 0..5 {
        let before = world.turn.core.held_bytes();
        add(world);
        added = world.turn.core.held_bytes().saturating_sub(before);
    }
    added
}

#[test]
fn no_connection_more_goes_than_memory_is_short_of() {
    let hoard = |world: &mut World| {
        let id = world.member("bob");
        half_message(world, id);
    };
    let begin_login = |world: &mut World| {
        let id = world.connect();
        let head = "POST /login HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\n";
        let body = " ".repeat(7_000);
        world.send(
            id,
            format!("{head}Content-Length: 7900\r\n\r\n{body}").as_bytes(),
        );
    };
    let adds: [&dyn Fn(&mut World); 2] = [&hoard, &begin_login];
    for (kind, add) in adds.into_iter().enumerate() {
        let roomy = 96 * 1_024;
        let mut world = world_with(roomy);
        let added = add_five(&mut world, add);
        let spare_bytes = world.turn.core.core.sessions.spare_bytes();
        let fits = room(&world);
        assert_eq!(world.refusals(), [""; 0]);
        // By so much memory is short once the last has come. Spare queues go before anybody does,
        // and the session of one who goes counts as free, though its slot is there until the turn
        // ends.
        let of_session = 100;
        for (short, going) in [
            (8, usize::from(spare_bytes == 0)),
            (spare_bytes + 8, 1),
            (spare_bytes + added - of_session, 1),
            (spare_bytes + added + of_session, 2),
        ] {
            let mut world = world_with(roomy - fits - short);
            add_five(&mut world, add);
            assert_eq!(world.refusals().len(), going, "{kind}: {short}");
        }
        let mut world = world_with(roomy - fits + 8);
        add_five(&mut world, add);
        assert_eq!(world.refusals(), [""; 0]);
    }
}

#[test]
fn while_a_broadcast_is_on_its_way_nobody_goes_for_the_room_it_needs() {
    let (mut world, alice) = tight_world(8, |world| {
        let alice = world.member("alice");
        for _ in 0..6 {
            world.member("bob");
        }
        let hoarder = world.member("carol");
        half_message(world, hoarder);
        alice
    });
    let token = world.token("alice");
    let text = format!(r#"{{"token":"{token}","event":"message","data":1}}"#);
    let mut bytes = masked(0x81, text.as_bytes());
    world.turn.core.receive(world.now, alice, &mut bytes);
    assert_eq!(room(&world), 0);
    for _ in 0..4 {
        world.one_turn();
    }
    assert_eq!(world.hear(alice).len(), 1);
    assert_eq!(world.refusals(), [""; 0]);
}

#[test]
fn last_words_wait_while_memory_is_short_and_something_is_to_be_offered() {
    let (mut world, (alice, bob)) = tight_world(8, |world| {
        let bob = world.member("bob");
        world.wait(std::time::Duration::from_secs(9));
        let (alice, hoarder) = (world.member("alice"), world.member("carol"));
        half_message(world, hoarder);
        (alice, bob)
    });
    let is_here = |world: &World, id| world.turn.core.is_member(id);
    // Bob's token ends, and Pongs for alice are in the way.
    world.now.monotonic = world.now.monotonic + std::time::Duration::from_secs(3_592);
    world.now.unix = world.now.unix.plus(3_592);
    let mut pings = masked(0x89, &[b'x'; 100]).repeat(12);
    world.turn.core.receive(world.now, alice, &mut pings);
    assert!(room(&world) == 0 && world.turn.core.core.sessions.unoffered_bytes() > 0);
    world.turn.core.handle(world.now, Input::Tick);
    assert!(is_here(&world, bob));
    world.one_turn();
    world.one_turn();
    assert!(!is_here(&world, bob));
}

#[test]
fn answers_that_a_user_does_not_take_are_its_own_doing() {
    let mut world = world_with(100 * 1_024);
    let (greedy, eve) = (world.member("alice"), world.member("carol"));
    let sent = [world.member("bob"), world.member("bob")];
    for id in [greedy, sent[0], sent[1]] {
        world.set_deaf(id, true);
    }
    let data = "x".repeat(12 * 1_024);
    let frame = format!(r#""event":"message","to":"bob","data":"{data}""#);
    for _ in 0..5 {
        world.say_as(eve, "carol", &frame);
    }
    for _ in 0..1_000 {
        world.say_as(greedy, "alice", r#""event":"getUser","data":{"id":"bob"}"#);
        if !world.refusals().is_empty() {
            break;
        }
    }
    assert_eq!(world.refusals(), ["memory"]);
    assert!(!world.turn.core.is_member(greedy));
    assert!(sent.iter().all(|id| world.turn.core.is_member(*id)));
}

#[test]
fn among_honest_users_who_holds_most_in_all_goes() {
    let (mut world, [speaker, reader, other]) = tight_world(2_000, |world| {
        let ids = [
            world.member("alice"),
            world.member("bob"),
            world.member("carol"),
        ];
        world.send(ids[0], &masked(0x01, &[b' '; 15_500]));
        world.set_deaf(ids[1], true);
        let data = "x".repeat(9 * 1_024);
        let frame = format!(r#""event":"message","to":"bob","data":"{data}""#);
        world.say_as(ids[2], "carol", &frame);
        ids
    });
    world.send(other, &masked(0x01, &[b' '; 8_000]));
    world.one_turn();
    assert_eq!(world.refusals(), ["memory"]);
    assert!(!world.turn.core.is_member(speaker));
    assert!(world.turn.core.is_member(reader));
}

#[test]
fn a_user_who_holds_little_outlasts_a_neighbour_on_its_address_who_holds_much() {
    let mut world = world_with(60 * 1_024);
    let neighbour = world.member("alice");
    world.send(neighbour, &masked(0x01, &[b' '; 16_000]));
    for _ in 0..8 {
        let id = world.member("bob");
        half_message(&mut world, id);
    }
    assert!(!world.refusals().is_empty());
    assert!(world.hear(neighbour).is_empty());
}

#[test]
fn of_long_broadcasts_in_one_read_few_are_decided_before_some_were_offered() {
    let mut world = World::with(|config| {
        config.broadcast_rate.count = 0;
        config.frame_rate.count = 0;
    });
    let outbox_bytes_max = world.turn.core.core.policy.config.outbox_bytes_max;
    let members: Vec<_> = (0..3).map(|_| world.member("alice")).collect();
    let (token, data) = (world.token("alice"), "x".repeat(12 * 1_024));
    let text = format!(r#"{{"token":"{token}","event":"message","data":"{data}"}}"#);
    let mut bytes = masked(0x81, text.as_bytes()).repeat(20);
    world.turn.core.receive(world.now, members[0], &mut bytes);
    let mut turns = 0;
    while world.turn.core.has_write_backlog() {
        let waiting = world.turn.core.core.broadcasts.bytes();
        assert!(
            waiting <= outbox_bytes_max / CROWDED_PARTS + text.len(),
            "{waiting}"
        );
        world.one_turn();
        turns += 1;
        assert!(turns < 1_000);
    }
    for id in members {
        assert_eq!(world.hear(id).len(), 20);
    }
}
