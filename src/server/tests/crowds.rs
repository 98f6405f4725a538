//! Caps, bans, evictions and the ledger.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use crate::limits::{
    AUTH_TIMEOUT_CROWDED, CROWD_CONNECTIONS_MIN, LINGERING_MAX, LINGERING_PER_ADDRESS_MAX,
    PENDING_GRACE, TURN_DEADLINES_MAX,
};
use crate::server::{ConnectionId, Ending, FlushesLeft, Input, Peer, ReportKind};

use super::world::{World, error, masked, upgrade};

/// No bound on what a turn writes.
const ALL: FlushesLeft = FlushesLeft {
    broadcasts: usize::MAX,
    pending: usize::MAX,
};
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
    assert_eq!(world.turn.core.totals().refused["full"], 1);
}

#[test]
fn a_newcomer_at_the_cap_takes_the_place_of_whoever_was_pending_for_longest() {
    let mut world = World::with(|config| {
        config.connections_max = 4;
        config.pending_max = 4;
    });
    let member = world.member("alice");
    let pending: Vec<_> = (0..3).map(|_| world.stranger()).collect();
    world.wait(PENDING_GRACE);
    let newcomer = world.stranger();
    assert_eq!(world.hear(pending[0]), ["RESET"]);
    assert!(world.hear(pending[1]).is_empty() && world.hear(member).is_empty());
    assert_eq!(world.turn.core.connections(), 4);
    world.say_as(newcomer, "bob", r#""event":"dance""#);
    assert!(world.hear(newcomer)[0].contains("unknown_event"));
}

#[test]
fn the_pending_have_a_budget_of_their_own() {
    let mut world = World::with(|config| config.pending_max = 3);
    let pending: Vec<_> = (0..3).map(|_| world.connect()).collect();
    world.wait(PENDING_GRACE);
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
    let refused = world.turn.core.totals().refused;
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
fn a_cap_of_zero_bounds_nothing() {
    let mut world = World::with(|config| {
        config.connections_per_address_max = 0;
        config.pending_per_address_max = 0;
    });
    for _ in 0..100 {
        assert!(world.connect_from(MALLORY).is_some());
    }
}

#[test]
fn strangers_have_less_time_once_they_are_a_crowd() {
    for newcomers in [1, 3] {
        let mut world = World::with(|config| config.pending_max = 10);
        let first: Vec<_> = (0..5).map(|_| world.stranger()).collect();
        world.wait(AUTH_TIMEOUT_CROWDED + Duration::from_millis(50));
        assert_eq!(world.refusals(), [""; 0], "half the budget is no crowd");
        let last: Vec<_> = (0..newcomers).map(|_| world.stranger()).collect();
        world.wait(Duration::from_millis(50));
        let told: Vec<String> = first.iter().flat_map(|id| world.hear(*id)).collect();
        let gone = told.iter().filter(|line| *line == "close 3008").count();
        assert_eq!(gone, newcomers, "until it is no crowd");
        assert_eq!(world.refusals(), vec!["auth_timeout_crowded"; newcomers]);
        assert!(last.iter().all(|id| world.hear(*id).is_empty()));
        let reason = "no valid token within 2 s; there is no more while newcomers are many";
        assert_eq!(told[0], error("auth_timeout", reason));
    }
}

#[test]
fn a_deadline_of_login_that_a_crowd_shortened_bans_nobody() {
    let mut world = World::with(|config| config.pending_max = 10);
    for _ in 0..50 {
        let crowd: Vec<_> = (0..6).map(|_| world.stranger()).collect();
        let tab = world.connect_from(MALLORY).expect("never banned");
        world.send(tab, upgrade("").as_bytes());
        world.wait(AUTH_TIMEOUT_CROWDED + Duration::from_millis(50));
        assert!(world.hear(crowd[0]).contains(&"close 3008".to_owned()));
        world.finish(tab);
        world.wait(Duration::from_secs(1));
    }
    assert!(world.refusals().contains(&"auth_timeout_crowded"));
}

#[test]
fn the_address_with_most_of_the_pending_makes_room_though_others_are_older() {
    let mut world = World::with(|config| config.pending_max = 3 + CROWD_CONNECTIONS_MIN + 1);
    let old: Vec<_> = (0..3).map(|_| world.stranger()).collect();
    let many: Vec<_> = (0..CROWD_CONNECTIONS_MIN + 1)
        .map(|_| world.connect_from(MALLORY).expect("room"))
        .collect();
    for id in &many[..2] {
        world.connect();
        assert_eq!(world.hear(*id), ["RESET"]);
    }
    // Nobody has more than a page opens: the oldest goes.
    world.wait(PENDING_GRACE);
    world.connect();
    assert_eq!(world.hear(old[0]), ["RESET"]);
    assert!(old[1..].iter().all(|id| world.hear(*id).is_empty()));
}

#[test]
fn of_many_who_come_at_once_some_are_let_in_and_the_log_tells_of_the_cap() {
    let mut world = World::with(|config| config.pending_max = 100);
    let come: Vec<_> = (0..300).map(|_| world.connect()).collect();
    let reset = |world: &mut World, ids: &[ConnectionId]| {
        let heard = ids.iter().map(|id| world.hear(*id));
        heard.filter(|heard| !heard.is_empty()).count()
    };
    // Of the first as of the last.
    assert!((70..100).contains(&reset(&mut world, &come[..100])));
    assert!((40..90).contains(&reset(&mut world, &come[100..200])));
    let told = |world: &World| {
        let reports = world.reports.iter();
        reports
            .filter(|report| report.what == ReportKind::PendingFull)
            .count()
    };
    assert_eq!(told(&world), 1);
}

#[test]
fn addresses_of_one_site_make_room_before_others_who_are_older() {
    let mut world = World::with(|config| config.pending_max = 100);
    let old: Vec<_> = (0..10).map(|_| world.stranger()).collect();
    let from_site = |world: &mut World, number: u16| {
        let address = std::net::Ipv6Addr::new(0x2001, 0xDB8, 1, number, 0, 0, 0, 1);
        world.connect_from(IpAddr::V6(address)).expect("room")
    };
    for number in 0..300 {
        from_site(&mut world, number);
    }
    assert!(old.iter().all(|id| world.hear(*id).is_empty()));
    assert_eq!(world.turn.core.totals().refused["pending_evicted"], 210);
}

#[test]
fn a_peaceful_ending_of_a_suspect_address_is_no_reset() {
    let mut world = World::new();
    for _ in 0..11 {
        let id = world.connect_from(MALLORY).expect("not yet banned");
        world.send(id, b"\x16\x03\x01");
    }
    let id = member_from(&mut world, MALLORY, "alice");
    world.say_as(id, "alice", r#""event":"logout""#);
    assert_eq!(world.hear(id)[1..], ["close 1000", "FIN"]);
    let id = world.connect_from(MALLORY).expect("not yet banned");
    world.send(id, b"GET /health HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_eq!(world.hear(id), ["HTTP 200 ok", "FIN"]);
    let id = world.connect_from(MALLORY).expect("not yet banned");
    world.send(id, b"\x16\x03\x01");
    assert_eq!(world.hear(id).pop().as_deref(), Some("RESET"));
}

#[test]
fn an_address_has_a_share_of_the_lingering_and_past_it_only_the_hostile_are_reset() {
    let mut world = World::with(|config| config.connect_rate.count = 0);
    let mut ask = |address: IpAddr, request: &[u8]| {
        let id = world.connect_from(address).expect("room");
        world.send(id, request);
        world.hear(id).pop().expect("an ending")
    };
    let peaceful = b"GET /health HTTP/1.1\r\nHost: h\r\n\r\n";
    for number in 0..LINGERING_MAX / LINGERING_PER_ADDRESS_MAX {
        let address = IpAddr::V4(Ipv4Addr::new(198, 51, 100, number as u8));
        for _ in 0..LINGERING_PER_ADDRESS_MAX {
            assert_eq!(ask(address, peaceful), "FIN");
        }
        assert_eq!(ask(address, peaceful), "CLOSED");
        assert_eq!(ask(address, b"\x16\x03\x01"), "RESET");
    }
    // The cap of all is met.
    assert_eq!(ask(MALLORY, peaceful), "CLOSED");
    world.wait(Duration::from_millis(600));
    assert_eq!(world.turn.core.connections(), 0);
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
            .any(|report| report.what == ReportKind::Banned(Duration::from_secs(60)))
    );
    assert_eq!(world.connect_from(MALLORY), None);
    world.stranger();
    world.wait(Duration::from_secs(61));
    assert!(world.connect_from(MALLORY).is_some());
}

#[test]
fn a_ban_is_for_attacks_and_not_for_bad_luck() {
    let token = World::new().token("alice");
    let with = |field: &str| upgrade(&format!("{field}\r\n"));
    let text = |text: &str| masked(0x81, text.as_bytes());
    // What is sent, the head first; for how long nothing follows; whether that is an attack.
    for (what, head, frames, seconds, banned) in [
        ("not a byte", String::new(), vec![], 6, false),
        ("half a head", upgrade("")[..40].to_owned(), vec![], 6, true),
        ("no token", upgrade(""), vec![], 31, true),
        ("no JSON", upgrade(""), text("x"), 1, true),
        (
            "no token in a frame",
            upgrade(""),
            text(r#"{"event":"a"}"#),
            1,
            true,
        ),
        (
            "a bad token",
            upgrade(""),
            text(r#"{"event":"a","token":"a.b.c"}"#),
            1,
            true,
        ),
        (
            "a bad token in the handshake",
            with("Authorization: Bearer a.b.c"),
            vec![],
            1,
            true,
        ),
        ("no mask", upgrade(""), b"\x81\x01x".to_vec(), 1, true),
        (
            "a flood",
            upgrade(""),
            masked(0x8A, b"").repeat(201),
            1,
            true,
        ),
        (
            "a wrong path",
            "GET /favicon.ico HTTP/1.1\r\nHost: h\r\n\r\n".to_owned(),
            vec![],
            1,
            false,
        ),
        (
            "another's page",
            with("Origin: http://elsewhere.example"),
            vec![],
            1,
            false,
        ),
        (
            "a network that is gone",
            with(&format!("Authorization: Bearer {token}")),
            vec![],
            41,
            false,
        ),
    ] {
        let mut world = World::new();
        let ids: Vec<_> = (0..21)
            .map(|_| world.connect_from(MALLORY).expect("not yet banned"))
            .collect();
        for id in ids {
            world.send(id, head.as_bytes());
            world.send(id, &frames);
        }
        world.wait(Duration::from_secs(seconds));
        assert_eq!(world.turn.core.connections(), 0, "{what}");
        assert_eq!(world.connect_from(MALLORY).is_none(), banned, "{what}");
    }
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
fn a_place_that_is_used_again_is_written_to_once() {
    let mut world = World::new();
    let upgraded = |world: &mut World| {
        let peer = Peer {
            address: Some(MALLORY),
            port: 40_000,
            user: None,
        };
        let id = world
            .turn
            .core
            .accept(world.now, peer)
            .expect("there is room");
        let mut head = upgrade("").into_bytes();
        world.turn.core.receive(world.now, id, &mut head);
        id
    };
    let first = upgraded(&mut world);
    world.turn.core.handle(world.now, Input::Failed(first));
    assert_eq!(world.turn.core.next_ending(), Some((first, Ending::Close)));
    let second = upgraded(&mut world);
    assert_eq!(first.slot, second.slot);
    assert_eq!(
        world.turn.core.next_flush(world.now, &mut ALL.clone()),
        Some(second)
    );
    assert_eq!(
        world.turn.core.next_flush(world.now, &mut ALL.clone()),
        None
    );
}

#[test]
fn what_was_refused_is_summed_up_a_minute_after_it_began() {
    let mut world = World::new();
    // Between two looks at the users, for which the driver is woken too.
    world.wait(Duration::from_millis(100_250));
    for _ in 0..2 {
        let id = world.stranger();
        world.say(id, "x");
    }
    // Nobody is here any longer, and the driver is woken all the same.
    world.wait(Duration::from_micros(59_999_999));
    assert!(world.summaries.is_empty());
    assert_eq!(world.turn.core.connections(), 0);
    let due = world.now.monotonic + Duration::from_micros(1);
    assert_eq!(world.turn.core.next_deadline(), Some(due));
    world.wait(Duration::from_micros(1));
    let refused: Vec<_> = world
        .summaries
        .iter()
        .map(|summary| &summary.refused)
        .collect();
    assert_eq!(refused, [&[("bad_frame", 2)].into()]);
    world.wait(Duration::from_secs(300));
    assert_eq!(world.summaries.len(), 1);
    assert_eq!(world.turn.core.totals().refused["bad_frame"], 2);
}

#[test]
fn a_page_that_logs_in_outlasts_a_flood_of_strangers_with_one_connection_each() {
    let mut world = World::with(|config| config.pending_max = 100);
    (0..100).for_each(|_| _ = world.connect());
    world.wait(PENDING_GRACE);
    let socket = world.connect_from(MALLORY).expect("there is room");
    world.send(socket, upgrade("").as_bytes());
    assert_eq!(world.hear(socket), ["HTTP 101"]);
    let body = r#"{"id":"alice","password":"alice's password"}"#;
    let length = body.len();
    let head = format!("POST /login HTTP/1.1\r\nHost: h\r\nContent-Length: {length}\r\n\r\n");
    let login = world.connect_from(MALLORY).expect("there is room");
    world.send(login, (head + body).as_bytes());
    // Those who were here before go first, and then who came before the page.
    (0..98).for_each(|_| _ = world.connect());
    assert!(world.hear(socket).is_empty() && world.hear(login).is_empty());
    // A password that waits is not lost, however many come.
    for _ in 0..200 {
        world.wait(PENDING_GRACE / 100);
        world.connect();
    }
    assert!(world.hear(login).is_empty());
    assert_eq!(world.hear(socket), ["RESET"]);
    world.hash();
    assert!(world.hear(login)[0].contains("HTTP 200"));
}

#[test]
fn many_deadlines_at_once_are_several_turns_work_and_last_words_go_with_the_broadcasts() {
    let mut world = World::with(|config| config.connections_per_user_max = 0);
    let members: Vec<_> = (0..TURN_DEADLINES_MAX + 1)
        .map(|_| world.member("alice"))
        .collect();
    world.now.monotonic = world.now.monotonic + Duration::from_secs(3_600);
    world.now.unix = world.now.unix.plus(3_600);
    world.turn.core.handle(world.now, Input::Tick);
    let here = |world: &World| {
        members
            .iter()
            .filter(|id| world.turn.core.is_member(**id))
            .count()
    };
    assert_eq!(here(&world), 1);
    assert!(
        world
            .turn
            .core
            .next_deadline()
            .is_some_and(|at| at <= world.now.monotonic)
    );
    world.turn.core.handle(world.now, Input::Tick);
    assert_eq!(here(&world), 0);
    let mut left = FlushesLeft {
        broadcasts: 32,
        pending: 0,
    };
    let mut written = 0;
    while world.turn.core.next_flush(world.now, &mut left).is_some() {
        written += 1;
    }
    assert_eq!(written, 32);
}
