//! The places for passwords under a crowd that wants them all.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use crate::limits::{HASHES_PENDING_MAX, HASHES_PER_ADDRESS_MAX};
use crate::server::ConnectionId;

use super::world::World;

fn ask(world: &mut World, address: IpAddr, user: &str, password: &str) -> ConnectionId {
    let id = world.connect_from(address).expect("there is room");
    let body = format!(r#"{{"id":"{user}","password":"{password}"}}"#);
    let length = body.len();
    let head = format!("POST /login HTTP/1.1\r\nHost: h\r\nContent-Length: {length}\r\n\r\n");
    world.send(id, (head + &body).as_bytes());
    id
}

fn v4(number: u32) -> IpAddr {
    IpAddr::V4(Ipv4Addr::from(0x0A00_0000 + number))
}

/// An address in the `number`th /64 of one /48.
fn v6(number: u16) -> IpAddr {
    IpAddr::V6(Ipv6Addr::new(0x2001, 0xDB8, 7, number, 0, 0, 0, 1))
}

fn is_busy(world: &mut World, id: ConnectionId) -> bool {
    let heard = world.hear(id);
    let is_busy = heard.iter().any(|line| line.contains(r#""code":"busy""#));
    assert!(is_busy == heard.iter().any(|line| line.contains("retryAfter")));
    is_busy
}

/// Makes every address of the crowd try, a place being done for each four that try, for so many
/// rounds.
fn flood(world: &mut World, crowd: &[IpAddr], rounds: usize) {
    for round in 0..rounds {
        for (number, address) in crowd.iter().enumerate() {
            ask(world, *address, &format!("guess{number}"), "wrong");
            if number % 4 == 0 {
                world.hash_one();
                world.wait(Duration::from_millis(36));
            }
        }
        assert!(world.hashes_waiting() > 0, "{round}");
    }
}

/// How many passwords are checked before the one of an honest login; it tries again as it is told.
fn checked_before(world: &mut World, crowd: &[IpAddr], honest: IpAddr) -> usize {
    let mut id = ask(world, honest, "alice", "alice's password");
    let mut next = crowd.iter().cycle().enumerate();
    for checked in 0..200 {
        // Four of the crowd want each place.
        for (number, address) in next.by_ref().take(4) {
            ask(world, *address, &format!("guess{number}"), "wrong");
        }
        if is_busy(world, id) {
            id = ask(world, honest, "alice", "alice's password");
        }
        if world.hash_one() == Some(id) {
            assert!(world.hear(id)[0].contains("HTTP 200"));
            return checked;
        }
        world.wait(Duration::from_millis(36));
    }
    panic!("it is never checked");
}

/// A hash takes some 36 ms: within 5 s there are 138.
const CHECKED_MAX: usize = 138;

fn patient() -> World {
    World::with(|config| {
        config.ban_after = 0;
        config.pending_max = 10_000;
        config.connect_rate.count = 0;
    })
}

#[test]
fn an_address_has_two_places() {
    let mut world = World::new();
    let here = v4(1);
    for count in 0..5 {
        let id = ask(&mut world, here, &format!("user{count}"), "x");
        assert_eq!(is_busy(&mut world, id), count >= HASHES_PER_ADDRESS_MAX);
    }
    // A whole /64 is one address; the next is another.
    for count in 0..3 {
        let host = Ipv6Addr::new(0x2001, 0xDB8, 0, 0, 0, 0, 0, count);
        let id = ask(&mut world, IpAddr::V6(host), &format!("host{count}"), "x");
        assert_eq!(is_busy(&mut world, id), count >= 2);
    }
    let id = ask(&mut world, v4(2), "alice", "alice's password");
    world.hash();
    assert!(world.hear(id)[0].contains("HTTP 200"));
}

#[test]
fn a_flood_from_one_48_keeps_nobody_from_logging_in() {
    let mut world = patient();
    let crowd: Vec<IpAddr> = (0..400).map(v6).collect();
    let early = checked_before(&mut world, &crowd, v4(1));
    assert!(early <= HASHES_PENDING_MAX + 1, "at its beginning: {early}");
    flood(&mut world, &crowd, 1);
    let late = checked_before(&mut world, &crowd, v4(2));
    assert!(late <= 2, "in its middle: {late}");
}

#[test]
fn a_flood_from_four_hundred_addresses_keeps_nobody_from_logging_in() {
    let mut world = patient();
    let crowd: Vec<IpAddr> = (1_000..1_400).map(v4).collect();
    flood(&mut world, &crowd, 2);
    let late = checked_before(&mut world, &crowd, v4(2));
    assert!(late <= CHECKED_MAX, "{late}");
}

#[test]
fn an_address_from_which_somebody_logged_in_comes_first_at_any_time_of_a_flood() {
    let mut world = patient();
    let id = ask(&mut world, v4(1), "alice", "alice's password");
    world.hash();
    assert!(world.hear(id)[0].contains("HTTP 200"));
    let crowd: Vec<IpAddr> = (1_000..1_400).map(v4).collect();
    let first = checked_before(&mut world, &crowd, v4(1));
    assert!(first <= 1, "{first}");
    flood(&mut world, &crowd, 1);
    let again = checked_before(&mut world, &crowd, v4(1));
    assert!(again <= 1, "{again}");
}

#[test]
fn a_crowd_that_logged_in_before_comes_first_by_its_own_id_alone() {
    let mut world = World::with(|config| {
        config.ban_after = 0;
        config.pending_max = 10_000;
        config.connect_rate.count = 0;
        config.login_rate.count = 0;
    });
    let crowd: Vec<IpAddr> = (1_000..1_130).map(v4).collect();
    for address in &crowd {
        let id = ask(&mut world, *address, "bob", "bob's password");
        world.hash();
        assert!(world.hear(id)[0].contains("HTTP 200"));
    }
    flood(&mut world, &crowd, 1);
    let late = checked_before(&mut world, &crowd, v4(2));
    assert!(late <= CHECKED_MAX, "{late}");
}
