//! Clients behind proxies: whom caps and bans mean.

use std::net::{IpAddr, Ipv4Addr};

use super::world::{World, upgrade};

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
    assert_eq!(world.server.totals().refused["banned"], 1);
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
        assert_eq!(world.server.awaits_proxy_header(id), speaks);
        world.send(id, request.as_bytes());
        assert!(!world.server.awaits_proxy_header(id));
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
    let totals = world.server.totals();
    assert_eq!(
        (totals.connections, totals.pending, totals.members),
        (0, 0, 0)
    );
}
