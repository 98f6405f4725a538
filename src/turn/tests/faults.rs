//! An outside that fails: short, full, lying or broken sockets, and nothing left to accept with.

use std::io::ErrorKind;

use super::*;
use crate::turn::accept::ACCEPT_RETRY;
use crate::turn::net::Failure;

#[test]
fn a_socket_that_fails_to_be_read_or_written_is_closed_and_no_other() {
    let mut rig = Rig::new();
    let members = rig.members(3);
    for (end, failure) in [
        (members[0], ErrorKind::ConnectionReset),
        (members[1], ErrorKind::TimedOut),
    ] {
        rig.net.ends[end].failure = Some(failure);
    }
    rig.send(members[0], b"x");
    // It is read by nobody, and fails when it is written.
    let hello = rig.message("hello");
    rig.send(members[2], &hello);
    rig.settle();
    assert!(rig.net.ends[members[0]].is_gone && rig.net.ends[members[1]].is_gone);
    assert!(rig.take_heard(members[2]).contains("hello"));
    assert_eq!(rig.turn.core.connections(), 1);
}

#[test]
fn a_full_socket_waits_until_it_takes_bytes_again_and_loses_none() {
    let mut rig = Rig::new();
    let end = rig.member("alice");
    rig.net.ends[end].room = 5;
    let ask = rig.get_user();
    rig.send(end, &ask);
    rig.settle();
    // A count below that of the bytes says that no more fit: it is not offered them again.
    assert_eq!(rig.net.take_calls()[1..], [Call::Write(end, 5)]);
    rig.settle();
    assert_eq!(rig.net.take_calls(), [], "it is not asked while it is full");
    let mut heard = rig.take_heard(end);
    for _ in 0..100 {
        rig.net.ends[end].room = 7;
        rig.tell(
            end,
            Readiness {
                writable: true,
                ..Readiness::default()
            },
        );
        rig.settle();
        heard += &rig.take_heard(end);
    }
    assert!(heard.ends_with("}}"), "{heard}");
    assert_eq!(heard.matches("getUser").count(), 1);
}

#[test]
fn readiness_that_lies_does_nothing() {
    let mut rig = Rig::new();
    let end = rig.member("alice");
    let all = Readiness {
        readable: true,
        writable: true,
        ..Readiness::default()
    };
    rig.tell(end, all);
    rig.settle();
    assert_eq!(rig.net.take_calls(), [Call::Read(end, 0)]);
    for slot in [1, 7, usize::MAX] {
        rig.turn.connection_ready(rig.now, &mut rig.net, slot, all);
    }
    rig.turn.listener_ready(3);
    rig.settle();
    assert_eq!(rig.net.take_calls(), []);
    assert_eq!(rig.turn.core.connections(), 1);
}

#[test]
fn a_read_that_urgent_data_may_have_cut_short_is_no_drained_socket() {
    let mut rig = Rig::new();
    let end = rig.member("alice");
    let readable = Readiness {
        readable: true,
        ..Readiness::default()
    };
    let urgent = Readiness {
        has_urgent: true,
        ..readable
    };
    let ask = rig.get_user();
    rig.net.ends[end].sent.extend(&ask);
    rig.tell(end, urgent);
    // Once told, it is so for good: no event says that the urgent data was passed.
    rig.settle();
    rig.net.take_calls();
    rig.net.ends[end].sent.extend(&ask);
    rig.tell(end, readable);
    rig.settle();
    let is_read = |call: &Call| matches!(call, Call::Read(..));
    assert_eq!(
        rig.net.count(is_read),
        2,
        "it is read until nothing is left"
    );
}

#[test]
fn an_event_of_a_failed_socket_ends_it() {
    let mut rig = Rig::new();
    let end = rig.member("alice");
    rig.tell(
        end,
        Readiness {
            has_failed: true,
            ..Readiness::default()
        },
    );
    rig.settle();
    assert!(rig.net.ends[end].is_gone);
}

#[test]
fn a_connection_that_cannot_be_watched_is_closed() {
    let mut rig = Rig::new();
    rig.net.is_watch_broken = true;
    let end = rig.connect();
    assert!(rig.net.ends[end].is_gone);
    assert_eq!(rig.turn.core.connections(), 0);
}

#[test]
fn without_a_descriptor_newcomers_are_reset_with_the_spare_one() {
    let mut rig = Rig::new();
    let (first, second) = (rig.net.connect(), rig.net.connect());
    rig.net.failures.push_back(Failure::NoDescriptor);
    rig.turn.listener_ready(0);
    rig.settle();
    assert!(rig.net.ends[first].is_gone);
    assert!(rig.net.ends[second].id.is_some());
    assert_eq!(rig.turn.core.totals().refused["shed"], 1);
}

#[test]
fn accepting_rests_while_nothing_is_left_for_it_and_nobody_is_forgotten() {
    for failure in [Failure::NoDescriptor, Failure::NoMemory] {
        let mut rig = Rig::new();
        let member = rig.member("alice");
        rig.net.has_spare = false;
        let waiting = rig.net.connect();
        rig.net.failures.extend([failure; 2]);
        rig.turn.listener_ready(0);
        rig.turn();
        rig.turn();
        let accepts = |rig: &Rig| rig.net.count(|call| *call == Call::Accept);
        assert_eq!(accepts(&rig), 1, "{failure:?}");
        let retry_at = rig.now.monotonic + ACCEPT_RETRY;
        assert_eq!(rig.turn.next_at(), Some(retry_at), "{failure:?}");
        rig.wait(ACCEPT_RETRY);
        rig.turn();
        assert_eq!(accepts(&rig), 2, "{failure:?}");
        // One that goes leaves room: the timer is not waited for.
        rig.finish(member);
        rig.settle();
        assert!(rig.net.ends[waiting].id.is_some(), "{failure:?}");
    }
}

#[test]
fn a_newcomer_lost_on_its_way_hides_none_who_comes_after() {
    let mut rig = Rig::new();
    rig.net.failures.extend([Failure::Lost; 3]);
    let end = rig.connect();
    assert!(rig.net.ends[end].id.is_some());
}
