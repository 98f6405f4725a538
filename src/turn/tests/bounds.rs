//! How much of each a turn does, and who comes first.

use super::*;

use crate::limits::{TURN_MEMBER_BYTES_MAX, TURN_PENDING_BYTES_MAX};
use crate::turn::accept::ACCEPTS_MAX;
use crate::turn::read::{
    MEMBER_READ_BYTES_MAX, PENDING_READ_BYTES_MAX, PENDING_READS_MAX, READY_MAX,
};
use crate::turn::write::{BROADCAST_WRITES_MAX, PENDING_WRITES_MAX};

fn bytes_read(calls: &[Call]) -> usize {
    let bytes = |call: &Call| match call {
        Call::Read(_, bytes) => *bytes,
        _ => 0,
    };
    calls.iter().map(bytes).sum()
}

fn readers(calls: &[Call]) -> Vec<usize> {
    let reader = |call: &Call| match call {
        Call::Read(end, _) => Some(*end),
        _ => None,
    };
    calls.iter().filter_map(reader).collect()
}

fn written(calls: &[Call]) -> usize {
    let is_write = |call: &&Call| matches!(call, Call::Write(..));
    calls.iter().filter(is_write).count()
}

/// Pings enough to fill so many bytes.
fn pings(bytes: usize) -> Vec<u8> {
    masked(0x89, &[b'p'; 100]).repeat(bytes / 106)
}

#[test]
fn one_who_sends_much_is_read_once_a_turn_and_the_others_beside_it() {
    let mut rig = Rig::new();
    let members = rig.members(3);
    rig.send(members[0], &pings(1_000_000));
    for turn in 0..5 {
        for end in &members[1..] {
            let ask = rig.get_user();
            rig.send(*end, &ask);
        }
        rig.turn();
        let calls = rig.net.take_calls();
        // A message of the usual size comes in one read.
        assert!(bytes_read(&calls) >= 16 * 1_024, "in turn {turn}");
        let mut readers = readers(&calls);
        readers.sort_unstable();
        assert_eq!(readers, members, "in turn {turn}");
        for end in &members[1..] {
            assert!(rig.take_heard(*end).contains("getUser"));
        }
    }
}

#[test]
fn a_turn_reads_so_many_bytes_of_members_and_everybody_once_before_anybody_twice() {
    let mut rig = Rig::new();
    let many = 2 * TURN_MEMBER_BYTES_MAX / MEMBER_READ_BYTES_MAX + 1;
    let members = rig.members(many);
    for end in &members {
        rig.send(*end, &pings(3 * MEMBER_READ_BYTES_MAX));
    }
    let mut order = Vec::new();
    while order.len() < 2 * many {
        rig.turn();
        let calls = rig.net.take_calls();
        assert!(bytes_read(&calls) <= TURN_MEMBER_BYTES_MAX);
        order.extend(readers(&calls));
    }
    assert_eq!(order[..many], members);
    assert_eq!(order[many..2 * many], members);
}

#[test]
fn a_turn_reads_of_so_many_members_and_the_next_goes_on() {
    let mut rig = Rig::new();
    let members = rig.members(READY_MAX + 1);
    for end in members {
        let ask = rig.get_user();
        rig.send(end, &ask);
    }
    let mut read_in_a_turn = || {
        rig.turn();
        readers(&rig.net.take_calls()).len()
    };
    assert_eq!((read_in_a_turn(), read_in_a_turn()), (READY_MAX, 1));
}

#[test]
fn members_cannot_shut_out_those_who_are_not_logged_in() {
    let mut rig = Rig::new();
    let members = rig.members(40);
    let newcomers: Vec<_> = (0..2 * PENDING_READS_MAX).map(|_| rig.connect()).collect();
    rig.net.take_calls();
    for end in &members {
        rig.send(*end, &pings(100_000));
    }
    for end in &newcomers {
        rig.send(*end, &[b'x'; 3_000]);
    }
    let mut seen = Vec::new();
    for _ in 0..16 {
        rig.turn();
        let calls = rig.net.take_calls();
        let of_newcomers: Vec<Call> = calls
            .iter()
            .copied()
            .filter(|call| matches!(call, Call::Read(end, _) if newcomers.contains(end)))
            .collect();
        assert!(of_newcomers.len() <= PENDING_READS_MAX);
        assert!(bytes_read(&of_newcomers) <= TURN_PENDING_BYTES_MAX);
        let is_small = |call: &Call| bytes_read(&[*call]) <= PENDING_READ_BYTES_MAX;
        assert!(of_newcomers.iter().all(is_small));
        seen.extend(readers(&of_newcomers));
    }
    assert_eq!(seen[..newcomers.len()], newcomers);
}

#[test]
fn nothing_more_is_read_while_what_was_read_waits_to_be_decided_on() {
    let mut rig = Rig::with(|config| config.outbox_bytes_max = 64 * 1_024);
    let members = rig.members(17);
    for end in &members {
        rig.send(*end, &pings(200_000));
    }
    let mut left = 0;
    for _ in 0..1_000 {
        rig.turn();
        let has_read = rig.net.count(|call| matches!(call, Call::Read(..))) > 0;
        assert!(!has_read || left == 0, "{left} waited to be decided on");
        left = rig.turn.arrivals.len();
        rig.net.take_calls();
    }
    // Field report L1: those who take all they are offered are no slow readers.
    assert_eq!(rig.turn.core.connections(), members.len());
    for end in &members {
        let heard = rig.net.ends[*end].heard.len();
        assert_eq!(
            heard,
            pings(200_000).len() / 106 * 102,
            "each Ping is answered"
        );
    }
}

#[test]
fn a_turn_writes_every_answer_and_some_of_a_broadcast() {
    let mut rig = Rig::new();
    let members = rig.members(3 * BROADCAST_WRITES_MAX);
    let hello = rig.message("hello");
    rig.send(members[0], &hello);
    rig.turn();
    assert_eq!(written(&rig.net.take_calls()), BROADCAST_WRITES_MAX);
    for end in &members[1..60] {
        let ask = rig.get_user();
        rig.send(*end, &ask);
    }
    rig.turn();
    for end in &members[1..60] {
        let heard = rig.take_heard(*end);
        assert!(heard.contains("getUser"), "{heard}");
        // Each hears all in the order in which it was decided.
        let answer = heard.find(r#""event":"getUser""#);
        assert!(heard.find("hello").is_none_or(|at| Some(at) < answer));
    }
    rig.settle();
    for end in &members[60..] {
        assert!(rig.take_heard(*end).contains("hello"));
    }
}

#[test]
fn what_waits_for_a_connection_leaves_in_one_write_however_many_slices_it_is() {
    let mut rig = Rig::new();
    let [first, second] = [rig.member("alice"), rig.member("alice")];
    for count in 1..8 {
        rig.net.take_calls();
        let hellos: Vec<u8> = (0..count).flat_map(|_| rig.message("hello")).collect();
        rig.send(first, &hellos);
        rig.settle();
        let heard = rig.take_heard(second);
        assert_eq!(heard.matches("hello").count(), count);
        let is_of_second = |call: &Call| matches!(call, Call::Write(end, _) if *end == second);
        assert_eq!(rig.net.count(is_of_second), 1, "{count} messages");
    }
}

#[test]
fn a_turn_writes_to_few_who_are_not_logged_in() {
    let mut rig = Rig::new();
    let newcomers: Vec<_> = (0..3 * PENDING_WRITES_MAX).map(|_| rig.connect()).collect();
    for end in &newcomers {
        rig.send(*end, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    }
    for _ in 0..5 {
        rig.net.take_calls();
        rig.turn();
        assert!(written(&rig.net.calls) <= PENDING_WRITES_MAX);
    }
    for end in &newcomers {
        assert!(rig.take_heard(*end).starts_with("HTTP/1.1 "));
    }
}

#[test]
fn a_turn_accepts_few_and_the_next_goes_on() {
    let mut rig = Rig::new();
    for _ in 0..ACCEPTS_MAX + 2 {
        rig.net.connect();
    }
    rig.turn();
    assert_eq!(rig.turn.core.connections(), ACCEPTS_MAX);
    assert_eq!(rig.turn.next_at(), Some(Instant::ORIGIN));
    rig.turn();
    assert_eq!(rig.turn.core.connections(), ACCEPTS_MAX + 2);
    assert!(rig.turn.next_at() > Some(Instant::ORIGIN));
}

#[test]
fn answers_that_were_not_offered_yet_throw_nobody_out_for_want_of_memory() {
    let mut rig = Rig::with(|config| config.memory_bytes_max = 128 * 1_024);
    let members = rig.members(20);
    for end in &members {
        let asks = rig.get_user().repeat(60);
        rig.send(*end, &asks);
    }
    rig.settle();
    for end in &members {
        assert_eq!(rig.take_heard(*end).matches("getUser").count(), 60);
    }
    assert_eq!(
        rig.reports
            .iter()
            .filter(|report| report.what.is_notice())
            .count(),
        0
    );
    assert_eq!(rig.turn.core.connections(), members.len());
}
