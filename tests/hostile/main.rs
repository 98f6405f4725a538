//! Attacks on the real server, as a process on loopback: the quick half of `make hostile`.
//! Each test is a row of its table, smaller, with the same bounds.

#![cfg(test)]
#![expect(
    clippy::disallowed_methods,
    reason = "it drives a server from outside"
)]

mod arena;
mod connections;
mod floods;
mod frames;
mod handshake;
mod logins;
mod peer;
mod probe;
#[path = "../support/mod.rs"]
mod support;

use std::sync::{Mutex, PoisonError};

use arena::{Arena, Row, Scale};

/// One row at a time: they measure, and would disturb one another.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

fn hold(rows: &[Row], attack: &str) {
    let _turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let row = rows.iter().find(|row| row.attack == attack);
    let row = row.unwrap_or_else(|| panic!("no row {attack:?}"));
    let mut arena = Arena::new(Scale::Quick);
    (row.run)(&mut arena);
    let (faults, seen) = (arena.faults.join("\n"), arena.seen.join("; "));
    assert!(faults.is_empty(), "{faults}\nbound: {}\nseen: {seen}", row.bound);
}
