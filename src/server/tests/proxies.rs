//! Clients behind proxies: whom caps and bans mean.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use super::world::{World, upgrade};
use crate::server::ReportKind;

const PROXY: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 9, 0, 1));

fn behind_proxies() -> World {
    World::with(|config| config.trusted_proxies = "10.9.0.0/16".parse().expect("a network"))
}

fn forwarded(client: &str) -> String {
    format!("X-Forwarded-For: 203.0.113.9, {client}\r\n")
}

#[test]
fn a_client_is_counted_and_banned_by_the_address_its_proxy_gives() {
    let mut world = behind_proxies();
    let bad = format!("{}Authorization: Bearer a.b.c\r\n", forwarded("192.0.2.66"));
    for _ in 0..21 {
        let id = world.connect_from(PROXY).expect("a proxy has no caps");
        world.send(id, upgrade(&bad).as_bytes());
        assert!(world.hear(id)[0].starts_with("HTTP 401"));
    }
    for (client, status) in [("192.0.2.66", "HTTP 503"), ("192.0.2.67", "HTTP 101")] {
        let id = world.connect_from(PROXY).expect("a proxy is never banned");
        world.send(id, upgrade(&forwarded(client)).as_bytes());
        assert!(world.hear(id)[0].starts_with(status), "{client}");
    }
    assert_eq!(world.turn.core.totals().refused["banned"], 1);
}

#[test]
fn a_clients_caps_hold_behind_a_proxy() {
    let mut world = behind_proxies();
    for count in 0..66 {
        let id = world.connect_from(PROXY).expect("a proxy has no caps");
        world.send(id, upgrade(&forwarded("192.0.2.66")).as_bytes());
        let is_room = world.hear(id)[0].starts_with("HTTP 101");
        assert_eq!(is_room, count < 64, "{count}");
    }
}

#[test]
fn a_proxy_connects_as_often_as_it_likes() {
    let mut world = behind_proxies();
    for _ in 0..150 {
        assert!(world.connect_from(PROXY).is_some());
    }
}

#[test]
fn a_unix_socket_is_a_proxys_once_proxies_are_spoken_of() {
    let asked = upgrade(&forwarded("192.0.2.66"));
    let header = "PROXY TCP4 192.0.2.66 10.9.0.1 40000 7420\r\n";
    for (trusted, speaks, request, client) in [
        (None, false, asked.clone(), "unix"),
        (Some("10.9.0.0/16"), false, asked, "192.0.2.66:0"),
        (
            None,
            true,
            format!("{header}{}", upgrade("")),
            "192.0.2.66:40000",
        ),
    ] {
        let mut world = World::with(|config| {
            config.proxy_protocol = speaks;
            if let Some(trusted) = trusted {
                config.trusted_proxies = trusted.parse().expect("a network");
            }
        });
        let id = world.connect_from(None).expect("there is room");
        assert_eq!(world.turn.core.begins_with_proxy_header(id), speaks);
        world.send(id, request.as_bytes());
        assert_eq!(world.hear(id), ["HTTP 101"]);
        world.finish(id);
        let report = world.reports.pop().expect("it left");
        assert_eq!(report.peer.to_string(), client);
    }
}

#[test]
fn the_word_of_anybody_else_is_ignored() {
    let mut world = behind_proxies();
    let stranger = IpAddr::V4(Ipv4Addr::new(198, 51, 100, 7));
    for count in 0..65 {
        let id = world.connect_from(stranger);
        assert_eq!(id.is_some(), count < 64, "{count}");
        if let Some(id) = id {
            world.send(
                id,
                upgrade(&forwarded(&format!("192.0.2.{count}"))).as_bytes(),
            );
            world.hear(id);
        }
    }
}

#[test]
fn a_proxy_header_names_the_client_however_it_is_cut() {
    let mut world = behind_proxies();
    let mut proxied = World::with(|config| {
        config.trusted_proxies = "10.9.0.0/16".parse().expect("a network");
        config.proxy_protocol = true;
    });
    let header = "PROXY TCP4 192.0.2.66 10.9.0.1 40000 7420\r\n";
    for step in [1, 7, 1_000] {
        let id = proxied.connect_from(PROXY).expect("a proxy has no caps");
        for piece in format!("{header}{}", upgrade("")).as_bytes().chunks(step) {
            proxied.send(id, piece);
        }
        assert_eq!(proxied.hear(id), ["HTTP 101"], "{step}");
        proxied.say(id, "x");
        let report = proxied.reports.pop().expect("it was refused");
        assert_eq!(report.peer.to_string(), "192.0.2.66:40000");
    }
    let id = proxied.connect_from(PROXY).expect("a proxy has no caps");
    proxied.send(id, upgrade("").as_bytes());
    assert_eq!(
        proxied.hear(id),
        ["RESET"],
        "a proxy must speak the protocol"
    );

    let id = world.connect_from(PROXY).expect("a proxy has no caps");
    world.send(id, header.as_bytes());
    assert!(
        world.hear(id)[0].starts_with("HTTP 400"),
        "nobody asked for it"
    );
}

#[test]
fn what_is_held_of_a_proxy_header_is_counted_and_its_time_is_that_of_a_handshake() {
    let mut world = World::with(|config| {
        config.trusted_proxies = "10.9.0.0/16".parse().expect("a network");
        config.proxy_protocol = true;
    });
    let silent = world.connect_from(PROXY).expect("a proxy has no caps");
    let slow = world.connect_from(PROXY).expect("a proxy has no caps");
    let before = world.turn.core.held_bytes();
    world.send(slow, b"PROXY TCP4 192.0.2.66 10.9");
    assert!(world.turn.core.held_bytes() >= before + 26);
    world.send(slow, b".0.1 40000 7420\r\n");
    assert_eq!(world.turn.core.held_bytes(), before);
    let half = world.connect_from(PROXY).expect("a proxy has no caps");
    world.send(half, b"PROXY");
    world.wait(Duration::from_secs(11));
    // Of the second no request has begun: its header is no part of one.
    let refusals = ["no_request", "no_request", "handshake_timeout"];
    assert_eq!(world.refusals(), refusals);
    assert!(world.turn.is_over(silent) && world.turn.is_over(slow) && world.turn.is_over(half));
    assert_eq!(world.turn.core.held_bytes(), 0);
}

#[test]
fn everybody_leaves_the_books_as_they_were() {
    let mut world = behind_proxies();
    for round in 0..3 {
        let id = world.connect_from(PROXY).expect("a proxy has no caps");
        world.send(id, upgrade(&forwarded("192.0.2.66")).as_bytes());
        if round == 1 {
            world.say_as(id, "alice", r#""event":"dance""#);
        }
        world.finish(id);
    }
    world.wait(std::time::Duration::from_secs(1));
    let totals = world.turn.core.totals();
    assert_eq!(
        (totals.connections, totals.pending, totals.members),
        (0, 0, 0)
    );
}

#[test]
fn the_port_that_a_proxy_tells_stands_in_the_log() {
    let mut world = behind_proxies();
    for (field, peer) in [
        ("X-Forwarded-For: 192.0.2.66:4711\r\n", "192.0.2.66:4711"),
        (
            "Forwarded: for=\"[2001:db8::1]:4711\"\r\n",
            "[2001:db8::1]:4711",
        ),
        ("", "10.9.0.1:40000"),
    ] {
        let id = world.connect_from(PROXY).expect("a proxy has no caps");
        world.send(id, upgrade(field).as_bytes());
        assert_eq!(world.hear(id), ["HTTP 101"]);
        world.finish(id);
        let report = world.reports.pop().expect("it left");
        assert_eq!(report.peer.to_string(), peer);
    }
}

#[test]
fn a_proxy_that_names_nobody_and_a_field_of_a_stranger_are_told_once_a_minute() {
    let mut world = behind_proxies();
    let stranger = IpAddr::V4(Ipv4Addr::new(198, 51, 100, 7));
    let health = "GET /health HTTP/1.1\r\nHost: h\r\n\r\n";
    let count = |world: &World, what| {
        let reports = world.reports.iter();
        reports.filter(|report| report.what == what).count()
    };
    let ask = |world: &mut World, peer: IpAddr, request: &str| {
        let id = world.connect_from(peer).expect("there is room");
        world.send(id, request.as_bytes());
        world.finish(id);
    };
    // A check of the proxy's own names nobody.
    ask(&mut world, PROXY, health);
    ask(&mut world, PROXY, &upgrade(&forwarded("192.0.2.66")));
    ask(&mut world, stranger, health);
    assert_eq!(count(&world, ReportKind::ClientUnnamed), 0);
    assert_eq!(count(&world, ReportKind::ForwardedIgnored), 0);
    for fields in ["", "X-Real-IP: 192.0.2.66\r\n"] {
        let mut world = behind_proxies();
        ask(&mut world, PROXY, &upgrade(fields));
        assert_eq!(count(&world, ReportKind::ClientUnnamed), 1, "{fields:?}");
    }
    for minute in 1..=3 {
        for _ in 0..5 {
            ask(&mut world, PROXY, &upgrade("X-Real-IP: 192.0.2.66\r\n"));
            ask(&mut world, PROXY, &upgrade(""));
            ask(&mut world, stranger, &upgrade(&forwarded("192.0.2.66")));
            ask(
                &mut world,
                stranger,
                &upgrade("Forwarded: for=192.0.2.66\r\n"),
            );
        }
        assert_eq!(count(&world, ReportKind::ClientUnnamed), minute);
        assert_eq!(count(&world, ReportKind::ForwardedIgnored), minute);
        world.wait(std::time::Duration::from_secs(61));
    }
}

#[test]
fn beside_proxy_headers_no_field_names_a_client() {
    let asked = upgrade(&forwarded("192.0.2.66"));
    let header = "PROXY TCP4 192.0.2.77 10.9.0.1 40000 7420\r\n";
    let local = "\r\n\r\n\0\r\nQUIT\n\x20\0\0\0";
    let proxys_own = "PROXY TCP4 10.9.0.2 10.9.0.1 40000 7420\r\n";
    for (header, client, told) in [
        (header, "192.0.2.77:40000", 0),
        // A proxy that a header named is believed as any other.
        (proxys_own, "192.0.2.66:0", 0),
        ("PROXY UNKNOWN\r\n", "10.9.0.1:40000", 1),
        (local, "10.9.0.1:40000", 1),
    ] {
        let mut world = World::with(|config| {
            config.proxy_protocol = true;
            config.trusted_proxies = "10.9.0.0/16".parse().expect("a network");
        });
        let id = world.connect_from(PROXY).expect("there is room");
        world.send(id, format!("{header}{asked}").as_bytes());
        assert_eq!(world.hear(id), ["HTTP 101"]);
        world.finish(id);
        let left = world.reports.last().expect("it left");
        assert_eq!(left.peer.to_string(), client);
        let notices = world
            .reports
            .iter()
            .filter(|report| report.what == ReportKind::HeaderUnnamed);
        assert_eq!(notices.count(), told, "{header:?}");
    }
}

#[test]
fn who_is_not_to_be_banned_is_let_in_though_its_neighbour_is_banned() {
    let mut world = World::with(|config| {
        config.trusted_proxies = "2001:db8::1".parse().expect("a network");
        config.no_ban = "2001:db8::2".parse().expect("a network");
    });
    let of = |text: &str| -> IpAddr { text.parse().expect("an address") };
    while let Some(id) = world.connect_from(of("2001:db8::3")) {
        world.send(id, b"no HTTP\n");
    }
    assert!(
        world.connect_from(of("2001:db8::4")).is_none(),
        "it counts by the /64"
    );
    assert!(world.connect_from(of("2001:db8::1")).is_some());
    assert!(world.connect_from(of("2001:db8::2")).is_some());
}
