//! Rows "Places for passwords": few hash at a time, and strangers must not have all of them.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::arena::{Arena, Row, Stage, millis};
use crate::peer::Peer;
use crate::support::password_of;

pub(crate) const ROWS: &[Row] = &[
    Row {
        name: "places_of_two_addresses",
        attack: "wrong passwords of two addresses, as many at once as they can",
        bound: "each honest login is in <= 5 s",
        run: places_of_two_addresses,
    },
    Row {
        name: "places_of_a_network",
        attack: "wrong passwords of 400 /64 of one IPv6 /48, each below every rate",
        bound: "each honest login is in <= 5 s",
        run: places_of_a_network,
    },
    Row {
        name: "places_of_many_addresses",
        attack: "wrong passwords of 400 IPv4 addresses, each below every rate",
        bound: "each honest login is in <= 5 s",
        run: places_of_many_addresses,
    },
];

/// What a `POST /login` of the client is answered with; a proxy names the client.
fn login(server: SocketAddr, client: &str, id: &str, password: &str) -> String {
    const PROXY: Ipv4Addr = Ipv4Addr::LOCALHOST;
    let (family, own) = if client.contains(':') {
        ("TCP6", "::1")
    } else {
        ("TCP4", "127.0.0.1")
    };
    let body = format!(r#"{{"id":"{id}","password":"{password}"}}"#);
    let length = body.len();
    let request = format!(
        "PROXY {family} {client} {own} 4000 7420\r\n\
         POST /login HTTP/1.1\r\nHost: h\r\nContent-Length: {length}\r\n\r\n{body}"
    );
    let answer = Peer::connect(PROXY, server).and_then(|mut peer| {
        peer.send(request.as_bytes())?;
        Ok(peer.rest().0)
    });
    answer
        .unwrap_or_default()
        .get(9..12)
        .unwrap_or("none")
        .to_owned()
}

fn places_of_two_addresses(arena: &mut Arena) {
    // They are refused for their rate soon, so it is off: the places alone must answer for it.
    let settings = [
        "--login-rate",
        "0/s",
        "--ban-after",
        "0",
        "--connect-rate",
        "0/s",
    ];
    flood_places(arena, &settings, |number| {
        format!("203.0.113.{}", 1 + number % 2)
    });
}

fn places_of_a_network(arena: &mut Arena) {
    flood_places(arena, &[], |number| {
        format!("2001:db8:0:{:x}::1", number % 400)
    });
}

fn places_of_many_addresses(arena: &mut Arena) {
    flood_places(arena, &[], |number| {
        format!("198.51.{}.{}", number % 400 / 200, 1 + number % 200)
    });
}

/// 24 at a time try passwords, as the clients that `client` names; meanwhile honest people come, each
/// from a network of their own, and try again when told to.
fn flood_places(arena: &mut Arena, settings: &[&str], client: fn(usize) -> String) {
    // What a hash costs by default; in the tests' unoptimized build, what takes as long.
    let cost = arena.size("512KiB", "19MiB");
    let mut all = vec![
        "--proxy-protocol",
        "--trusted-proxies",
        "127.0.0.1/32",
        "--password-memory",
        cost,
    ];
    all.extend(settings);
    let people: Vec<String> = (0..arena.size(3, 10))
        .map(|number| format!("honest{number}"))
        .collect();
    let ids: Vec<&str> = people.iter().map(String::as_str).collect();
    let stage = Stage::with_users(&ids, &all);
    let server = stage.address();
    let (stop, tries, busy) = (
        AtomicBool::new(false),
        AtomicUsize::new(0),
        AtomicUsize::new(0),
    );
    let took: Vec<Option<Duration>> = thread::scope(|scope| {
        for _ in 0..24 {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    let number = tries.fetch_add(1, Ordering::Relaxed);
                    let status = login(server, &client(number), &format!("x{number}"), "wrong");
                    if status == "503" {
                        busy.fetch_add(1, Ordering::Relaxed);
                        thread::sleep(Duration::from_millis(20));
                    }
                }
            });
        }
        // Who tried before has had its turn.
        thread::sleep(Duration::from_secs(4));
        let enter = |(number, id): (usize, &String)| {
            let (from, began) = (format!("2001:db9:{number:x}::1"), Instant::now());
            while began.elapsed() < Duration::from_secs(10) {
                if login(server, &from, id, &password_of(id)) == "200" {
                    return Some(began.elapsed());
                }
                thread::sleep(Duration::from_secs(1));
            }
            None
        };
        let took = people.iter().enumerate().map(enter).collect();
        stop.store(true, Ordering::Relaxed);
        took
    });
    let in_time = took.iter().flatten().count();
    let longest = took.iter().flatten().max().copied().unwrap_or_default();
    arena.saw(format!(
        "{} tries, {} told busy; {in_time} of {} honest in, the last after {}",
        tries.into_inner(),
        busy.into_inner(),
        people.len(),
        millis(longest)
    ));
    arena.must(in_time == people.len(), "somebody honest did not get in");
    arena.must_be_within(
        longest,
        Duration::from_secs(5),
        "somebody honest had to wait",
    );
}
