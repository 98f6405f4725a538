use std::net::{IpAddr, Ipv4Addr};

use super::*;

/// When each has had its time.
const LATER: Instant = Instant::from_micros(1_000_000);

#[test]
fn the_pending_are_known_by_age_whoever_leaves_between() {
    let here = AddressKey::from(IpAddr::V4(Ipv4Addr::LOCALHOST));
    let mut places = Quotas::new(7);
    for key in 0..10 {
        places.enter(key, Instant::ORIGIN);
        places.count(key, here);
    }
    for key in [0, 5, 9, 4] {
        places.leave_pending(key, Some(here));
    }
    assert_eq!(Vec::from_iter(places.all_pending()), [1, 2, 3, 6, 7, 8]);
    assert_eq!(
        (places.of(here).connections, places.of(here).pending.len),
        (10, 6)
    );
    for key in 0..10 {
        places.leave(key, Some(here));
    }
    assert_eq!(places.pending(), 0);
    assert_eq!(places.most_crowding(LATER), None);
    assert!(places.by_address.is_empty() && places.crowds.is_empty());
}

fn address(text: &str) -> AddressKey {
    let address: IpAddr = text.parse().expect("an address");
    address.into()
}

fn enter(places: &mut Quotas, key: u32, of: &str) {
    places.enter(key, Instant::ORIGIN);
    places.count(key, address(of));
}

fn shed(places: &mut Quotas, addresses: &[&str]) -> u32 {
    let key = places.most_crowding(LATER).expect("somebody is pending");
    let address: IpAddr = addresses[key as usize].parse().expect("an address");
    places.leave(key, Some(address.into()));
    key
}

/// As many as make a crowd, and one more for each in `more`.
fn crowd(places: &mut Quotas, first: u32, address: &str, more: usize) -> u32 {
    let count = (CROWD_CONNECTIONS_MIN + more) as u32;
    (first..first + count).for_each(|key| enter(places, key, address));
    first + count
}

#[test]
fn the_oldest_of_the_address_with_most_goes_first_and_of_equals_who_came_first() {
    let mut places = Quotas::new(7);
    enter(&mut places, 0, "192.0.2.200");
    let second = crowd(&mut places, 1, "192.0.2.9", 0);
    let third = crowd(&mut places, second, "192.0.2.1", 1);
    let end = crowd(&mut places, third, "192.0.2.5", 0);
    // A later time than that of the others.
    for key in third..end {
        places.leave(key, Some(address("192.0.2.5")));
        places.enter(key, LATER);
        places.count(key, address("192.0.2.5"));
    }
    let mut addresses = vec!["192.0.2.200"];
    addresses.extend((1..second).map(|_| "192.0.2.9"));
    addresses.extend((second..third).map(|_| "192.0.2.1"));
    addresses.extend((third..end).map(|_| "192.0.2.5"));
    let order: Vec<u32> = (0..4).map(|_| shed(&mut places, &addresses)).collect();
    // The one too many; then the two that came first, each once; then who came later.
    assert_eq!(order[0], second);
    assert_eq!(
        BTreeSet::from_iter(&order[1..3]),
        BTreeSet::from([&1, &(second + 1)])
    );
    assert_eq!(order[3], third);
    // Nobody is a crowd now, so that age alone decides.
    assert_eq!(shed(&mut places, &addresses), 0);
    assert!(places.crowds.is_empty());
}

#[test]
fn what_a_page_opens_at_once_is_no_crowd() {
    for (connections, first) in [(CROWD_CONNECTIONS_MIN - 1, 0), (CROWD_CONNECTIONS_MIN, 1)] {
        let mut places = Quotas::new(7);
        enter(&mut places, 0, "192.0.2.1");
        for key in 0..connections {
            enter(&mut places, 1 + key as u32, "192.0.2.2");
        }
        assert_eq!(places.most_crowding(LATER), Some(first), "{connections}");
    }
}

#[test]
fn nobody_whose_password_waits_goes() {
    let addresses = ["192.0.2.1", "192.0.2.2", "192.0.2.3"];
    let mut places = Quotas::new(7);
    for (key, address) in (0..).zip(addresses) {
        enter(&mut places, key, address);
        places.shelter(key, key != 2);
    }
    for now in [Instant::ORIGIN, LATER] {
        assert_eq!(places.most_crowding(now), Some(2));
    }
    places.shelter(2, true);
    for now in [Instant::ORIGIN, LATER] {
        assert_eq!(places.most_crowding(now), None);
    }
    let mut places = Quotas::new(7);
    crowd(&mut places, 0, "192.0.2.1", 0);
    places.shelter(0, true);
    assert_eq!(places.most_crowding(LATER), Some(1));
    // What was of a connection that has left is not of the next in its slot.
    places.leave(0, Some(address("192.0.2.1")));
    places.enter(0, Instant::ORIGIN);
    assert!(!places.links[0].is_sheltered);
}

#[test]
fn addresses_of_one_site_weigh_together_once_they_are_many() {
    let many = CROWD_CONNECTIONS_MIN * SITE_ADDRESSES;
    for (addresses, first) in [(many - 1, 0), (many + 1, CROWD_CONNECTIONS_MIN as u32)] {
        let mut places = Quotas::new(7);
        let first_of_site = crowd(&mut places, 0, "192.0.2.1", 0);
        for number in 0..addresses {
            let address = format!("2001:db8:1:{number:x}::1");
            enter(&mut places, first_of_site + number as u32, &address);
        }
        assert_eq!(places.most_crowding(LATER), Some(first), "{addresses}");
        assert_eq!(places.by_site.len(), 1);
        for number in 0..addresses {
            let of_site = address(&format!("2001:db8:1:{number:x}::1"));
            places.leave(first_of_site + number as u32, Some(of_site));
        }
        assert!(places.by_site.is_empty());
        assert_eq!(places.most_crowding(LATER), Some(0));
    }
}

#[test]
fn where_nobody_has_had_a_second_chance_decides_and_spares_most_for_a_while() {
    let before = Instant::from_micros(999_999);
    let addresses =
        Vec::from_iter((0..1_000).map(|number| format!("10.0.{}.{}", number / 250, number % 250)));
    let mut places = Quotas::new(7);
    for (key, address) in (0..).zip(&addresses) {
        enter(&mut places, key, address);
    }
    assert_eq!(places.most_crowding(LATER), Some(0));
    // As many come as there are places, and each takes that of another.
    let mut left = BTreeSet::from_iter(0..1_000);
    for _ in 0..1_000 {
        let key = places.most_crowding(before).expect("somebody is pending");
        left.remove(&key);
        let address: IpAddr = addresses[key as usize].parse().expect("an address");
        places.leave(key, Some(address.into()));
        enter(&mut places, key, &addresses[key as usize]);
    }
    // By chance a place is left to its first with a probability of 1/e.
    assert!((300..440).contains(&left.len()), "{}", left.len());
}

#[test]
fn an_audit_finds_a_count_that_is_wrong() {
    let here = address("2001:db8:1::1");
    let after = |change: fn(&mut Quotas)| {
        let mut places = Quotas::new(7);
        let end = crowd(&mut places, 0, "2001:db8:1::1", 0);
        change(&mut places);
        places.audit((0..end).map(|key| (key, Some(here))), |_| false)
    };
    assert_eq!(after(|_| {}), Ok(()));
    let changes: [fn(&mut Quotas); 7] = [
        |places| {
            let counts = places.by_address.values_mut();
            counts.for_each(|count| count.lingering += 1);
        },
        |places| places.by_site.clear(),
        |places| places.crowds.clear(),
        // A crowd that is ranked twice.
        |places| {
            let (_, crowd) = *places.crowds.last().expect("there is a crowd");
            let least = (0, Reverse(Instant::ORIGIN));
            assert!(places.crowds.insert((least, crowd)));
        },
        |places| places.drawn_from[0] = 1,
        |places| places.drawn_from.push(0),
        |places| places.lingering += 1,
    ];
    for (number, change) in changes.into_iter().enumerate() {
        assert!(after(change).is_err(), "change {number}");
    }
}
