//! Attacks on the real server, as a process on loopback: the quick half of `make hostile`.
//! Each test is a row of its table, smaller, with the same bounds.

#![cfg(test)]
#![expect(clippy::disallowed_methods, reason = "it drives a server from outside")]

#[expect(dead_code, reason = "the table and the siege use the rest")]
mod arena;
mod connections;
mod crowd;
mod fan_out;
mod floods;
mod frames;
mod handshake;
mod logins;
mod many;
mod outside;
mod peer;
mod places;
#[expect(dead_code, reason = "the share of user space is for the benchmarks")]
mod probe;
mod shares;
mod store;
#[path = "../support/mod.rs"]
mod support;

use std::sync::{Mutex, PoisonError};

use arena::{Arena, Row, Scale};

/// Tests, each of them one row.
macro_rules! rows {
    ($($module:ident: $($name:ident)*;)*) => {$($(
        #[test]
        fn $name() {
            hold($module::ROWS, stringify!($name));
        }
    )*)*};
}

rows! {
    handshake: one_byte_segments large_heads smuggling fields_amiss odd_but_legal every_offset
        foreign_protocols;
    frames: header_claims violations unanswered_close pulled_cable half_close unfinished_message;
    floods: fragment_flood ping_flood unread_pings slow_reader shared_payload little_memory;
    fan_out: long_messages_at_once outbox_of_two_messages one_write_to_many tiny_broadcasts long_broadcasts messages_by_name burst_before_a_ping;
    shares: connections_of_one_user half_messages escaped_names rate_by_reconnecting silent_connections hurried_logins peaceful_endings half_closed_together;
    places: places_of_two_addresses places_of_a_network places_of_many_addresses;
    many: expiring_at_once everybody_changed page_in_a_crowd;
    outside: unread_log least_memory no_memory_for_a_hash;
    store: commits_beside_members lost_companions lost_database refresh_while_revoked logouts_under_a_lock endless_view;
    connections: connects_at_a_cap few_descriptors no_descriptors connects_at_once reset_storm
        coming_and_going bans stopping;
    logins: login_flood known_against_unknown guesses passwords costly_hash silent_listeners
        killed_additions hostile_text failing_frames;
}

/// One row at a time: they measure, and would disturb one another.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

fn hold(rows: &[Row], name: &str) {
    let _turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let row = rows.iter().find(|row| row.name == name);
    let row = row.unwrap_or_else(|| panic!("no row {name}"));
    let mut arena = Arena::new(Scale::Quick);
    (row.run)(&mut arena);
    let (faults, seen) = (arena.faults.join("\n"), arena.seen.join("; "));
    let attack = row.attack;
    assert!(
        faults.is_empty(),
        "{attack}\n{faults}\nbound: {}\nseen: {seen}",
        row.bound
    );
}
