//! Caps, bans, evictions and the ledger.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use crate::limits::AUTH_TIMEOUT_CROWDED;
use crate::server::{ConnectionId, Ending, Peer, What};

use super::world::{World, masked, upgrade};

const MALLORY: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 66));

fn member_from(world: &mut World, address: IpAddr, user: &str) -> ConnectionId {
    let id = world.connect_from(address).expect("there is room");
    let bearer = format!("Authorization: Bearer {}\r\n", world.token(user));
    world.send(id, upgrade(&bearer).as_bytes());
    assert_eq!(world.hear(id), ["HTTP 101"]);
    id
}

#[test]
fn members_at_the_cap_keep_their_places_and_a_newcomer_has_none() {
    let mut world = World::with(|config| config.connections_max = 3);
    let members: Vec<_> = (0..3).map(|_| world.member("alice")).collect();
    assert_eq!(world.connect_from(MALLORY), None);
    world.finish(members[0]);
    assert!(world.connect_from(MALLORY).is_some());
    assert_eq!(world.server.totals().refused["full"], 1);
}

#[test]
fn a_newcomer_at_the_cap_takes_the_place_of_whoever_was_pending_for_longest() {
    let mut world = World::with(|config| {
        config.connections_max = 4;
        config.pending_max = 4;
    });
    let member = world.member("alice");
    let pending: Vec<_> = (0..3).map(|_| world.stranger()).collect();
    let newcomer = world.stranger();
    assert_eq!(world.hear(pending[0]), ["RESET"]);
    assert!(world.hear(pending[1]).is_empty() && world.hear(member).is_empty());
    assert_eq!(world.server.connections(), 4);
    world.say_as(newcomer, "bob", r#""event":"dance""#);
    assert!(world.hear(newcomer)[0].contains("unknown_event"));
}

#[test]
fn the_pending_have_a_budget_of_their_own() {
    let mut world = World::with(|config| config.pending_max = 3);
    let pending: Vec<_> = (0..3).map(|_| world.connect()).collect();
    let member = world.member("alice");
    assert_eq!(world.hear(pending[0]), ["RESET"]);
    world.connect();
    assert!(world.hear(pending[1]).is_empty(), "a member is not pending");
    world.connect();
    assert_eq!(world.hear(pending[1]), ["RESET"]);
    assert!(world.hear(member).is_empty());
}

#[test]
fn an_address_has_so_many_places_and_so_many_of_the_pending() {
    let mut world = World::with(|config| {
        config.connections_per_address_max = 5;
        config.pending_per_address_max = 2;
    });
    for _ in 0..2 {
        member_from(&mut world, MALLORY, "alice");
    }
    let pending: Vec<_> = (0..2)
        .map(|_| world.connect_from(MALLORY).expect("room"))
        .collect();
    assert_eq!(world.connect_from(MALLORY), None);
    world.finish(pending[0]);
    member_from(&mut world, MALLORY, "alice");
    assert!(world.connect_from(MALLORY).is_some());
    assert_eq!(world.connect_from(MALLORY), None);
    let refused = world.server.totals().refused;
    assert_eq!(
        (refused["address_pending_full"], refused["address_full"]),
        (1, 1)
    );
    assert!(
        world
            .connect_from(IpAddr::V4(Ipv4Addr::LOCALHOST))
            .is_some()
    );
}

#[test]
fn strangers_have_less_time_once_they_are_a_crowd() {
    let mut world = World::with(|config| config.pending_max = 10);
    let first: Vec<_> = (0..5).map(|_| world.stranger()).collect();
    world.wait(AUTH_TIMEOUT_CROWDED);
    assert_eq!(world.refusals(), [""; 0], "half the budget is no crowd");
    let last: Vec<_> = (0..3).map(|_| world.stranger()).collect();
    world.wait(Duration::from_millis(50));
    assert_eq!(
        world.refusals(),
        ["auth_timeout"; 3],
        "until it is no crowd"
    );
    let gone = first
        .iter()
        .filter(|id| world.hear(**id).contains(&"close 3008".to_owned()));
    assert_eq!(gone.count(), 3);
    assert!(last.iter().all(|id| world.hear(*id).is_empty()));
}

#[test]
fn an_address_that_fails_too_often_is_banned_and_then_let_in_again() {
    let mut world = World::new();
    for count in 0..21 {
        let id = world.connect_from(MALLORY).expect("not yet banned");
        world.send(id, b"\x16\x03\x01");
        let last = world.hear(id).pop();
        let is_suspect = count >= 10;
        assert_eq!(
            last.as_deref(),
            Some(if is_suspect { "RESET" } else { "FIN" }),
            "{count}"
        );
    }
    assert!(
        world
            .reports
            .iter()
            .any(|report| report.what == What::Banned(Duration::from_secs(60)))
    );
    assert_eq!(world.connect_from(MALLORY), None);
    world.stranger();
    world.wait(Duration::from_secs(61));
    assert!(world.connect_from(MALLORY).is_some());
}

#[test]
fn expiry_and_removal_ban_nobody() {
    let mut world = World::new();
    for _ in 0..50 {
        let id = world.connect_from(MALLORY).expect("never banned");
        world.send(id, upgrade("").as_bytes());
        world.say_as(id, "nobody", r#""event":"dance""#);
        let old = world.token_dated("alice", crate::time::UnixSeconds(world.now.unix.0 - 3_600));
        let id = world.connect_from(MALLORY).expect("never banned");
        world.send(
            id,
            upgrade(&format!("Authorization: Bearer {old}\r\n")).as_bytes(),
        );
        world.wait(Duration::from_millis(600));
    }
}

#[test]
fn an_address_that_connects_too_often_waits() {
    let mut world = World::new();
    let mut opened = 0;
    for _ in 0..150 {
        if let Some(id) = world.connect_from(MALLORY) {
            world.finish(id);
            opened += 1;
        }
    }
    assert_eq!(opened, 100);
    world.wait(Duration::from_secs(1));
    assert!(world.connect_from(MALLORY).is_some());
}

#[test]
fn the_worst_holder_goes_when_memory_is_short() {
    let mut world = World::with(|config| {
        config.memory_bytes_max = 128 * 1024;
        config.frame_rate.count = 0;
    });
    let small = world.member("alice");
    world.send(small, &masked(0x01, &[b' '; 100]));
    let hoarders: Vec<_> = (0..12).map(|_| world.member("bob")).collect();
    for id in &hoarders {
        world.send(*id, &masked(0x01, &[b' '; 15_000]));
    }
    world.wait(Duration::from_millis(20));
    assert!(world.server.held_bytes() <= 128 * 1024);
    assert!(world.hear(small).is_empty());
    let gone = hoarders
        .iter()
        .filter(|id| world.hear(**id).contains(&"close 1013".to_owned()));
    assert!(gone.count() >= 3);
}

#[test]
fn strangers_who_fill_the_memory_by_being_there_take_no_members_place() {
    let mut world = World::with(|config| config.memory_bytes_max = 20 * 1024);
    let members: Vec<_> = (0..10).map(|_| world.member("alice")).collect();
    for _ in 0..200 {
        world.stranger();
        world.wait(Duration::from_millis(20));
    }
    assert!(world.server.held_bytes() <= 20 * 1024);
    assert!(world.server.connections() > 100, "one goes at a time");
    for id in members {
        assert!(world.hear(id).is_empty());
    }
}

#[test]
fn a_place_that_is_used_again_is_written_to_once() {
    let mut world = World::new();
    let upgraded = |world: &mut World| {
        let peer = Peer {
            address: Some(MALLORY),
            port: 40_000,
        };
        let id = world.server.accept(world.now, peer).expect("there is room");
        let mut head = upgrade("").into_bytes();
        world.server.receive(world.now, id, &mut head);
        id
    };
    let first = upgraded(&mut world);
    world.server.failed(world.now, first);
    assert_eq!(world.server.next_ending(), Some((first, Ending::Close)));
    let second = upgraded(&mut world);
    assert_eq!(first.slot, second.slot);
    assert_eq!(world.server.next_flush(world.now, &mut 32), Some(second));
    assert_eq!(world.server.next_flush(world.now, &mut 32), None);
}

#[test]
fn many_who_speak_in_one_turn_make_a_slow_reader_of_nobody() {
    let mut world = World::new();
    let members: Vec<_> = (0..40).map(|_| world.member("alice")).collect();
    let text = format!(
        r#"{{"token":"{}","event":"message","data":"{}"}}"#,
        world.token("alice"),
        "x".repeat(12 * 1024)
    );
    let mut waiting = members.iter();
    while waiting.len() > 0 {
        // A turn, as a driver takes it.
        while !world.server.is_pressed()
            && let Some(id) = waiting.next()
        {
            let mut bytes = masked(0x81, text.as_bytes());
            world.server.receive(world.now, *id, &mut bytes);
        }
        world.hear(members[0]);
    }
    assert_eq!(world.refusals(), [""; 0]);
}

#[test]
fn what_was_refused_is_summed_up_a_minute_after_it_began() {
    let mut world = World::new();
    world.wait(Duration::from_secs(100));
    for _ in 0..2 {
        let id = world.stranger();
        world.say(id, "x");
    }
    world.wait(Duration::from_millis(59_900));
    assert!(world.summaries.is_empty());
    world.wait(Duration::from_millis(200));
    assert_eq!(world.summaries[0].refused, [("bad_frame", 2)].into());
    world.wait(Duration::from_secs(300));
    assert_eq!(world.summaries.len(), 1);
    assert_eq!(world.server.totals().refused["bad_frame"], 2);
}
