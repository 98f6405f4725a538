//! In which order things happen.

use super::*;
use crate::turn::Then;
use crate::turn::read::MEMBER_READ_BYTES_MAX;

/// The kinds of the calls, each kind once for a run of them.
fn kinds(calls: &[Call]) -> Vec<&'static str> {
    let mut kinds: Vec<_> = calls
        .iter()
        .map(|call| match call {
            Call::Read(..) => "read",
            Call::Write(..) => "write",
            Call::Accept | Call::Shed => "accept",
            Call::Discard(_) => "discard",
            Call::Shut(_) => "shut",
            Call::Close(_) | Call::Reset(_) => "close",
        })
        .collect();
    kinds.dedup();
    kinds
}

#[test]
fn all_are_read_then_accepted_then_written_then_closed() {
    let mut rig = Rig::new();
    let members = rig.members(3);
    for end in &members {
        let ask = rig.get_user();
        rig.send(*end, &ask);
    }
    // Its last words leave before its FIN.
    rig.send(members[1], &masked(0x81, b"no frame of ours"));
    rig.net.connect();
    rig.turn.listener_ready(0);
    rig.turn();
    assert_eq!(
        kinds(&rig.net.take_calls()),
        ["read", "accept", "write", "shut"]
    );
    assert!(rig.net.ends[members[1]].is_shut);
    let heard = rig.take_heard(members[1]);
    assert!(
        heard.contains("getUser") && heard.contains("bad_frame"),
        "{heard}"
    );
}

#[test]
fn one_that_left_while_it_was_read_gives_its_place_to_who_comes_in_the_same_turn() {
    let mut rig = Rig::with(|config| config.connections_max = 1);
    let first = rig.member("alice");
    rig.net.ends[first].failure = Some(std::io::ErrorKind::ConnectionReset);
    rig.send(first, b"x");
    let second = rig.net.connect();
    rig.turn.listener_ready(0);
    rig.turn();
    assert!(rig.net.ends[first].is_gone);
    assert!(rig.net.ends[second].id.is_some() && !rig.net.ends[second].is_gone);
}

#[test]
fn what_comes_before_a_fin_is_answered_before_the_connection_closes() {
    let mut rig = Rig::new();
    let end = rig.member("alice");
    let ask = rig.get_user();
    rig.net.ends[end].sent.extend(ask);
    rig.finish(end);
    rig.settle();
    let heard = rig.take_heard(end);
    assert!(heard.contains(r#""online":"#), "{heard}");
    assert!(rig.net.ends[end].is_gone);
    // It was read to the FIN: there is nothing to discard, and no second read of it.
    let reads = rig.net.count(|call| matches!(call, Call::Read(..)));
    assert_eq!(reads, 1);
}

#[test]
fn what_comes_after_a_read_that_waits_to_be_decided_on_is_read_before_the_fin() {
    let mut rig = Rig::with(|config| config.outbox_bytes_max = 64 * 1_024);
    // Its answers are to be written before anything more is decided.
    let [first, second] = [rig.member("alice"), rig.member("alice")];
    rig.send(first, &masked(0x89, &[b'x'; 100]).repeat(150));
    let ask = rig.get_user();
    rig.send(second, &ask);
    rig.turn();
    assert_eq!(rig.turn.arrivals.len(), 1, "the second waits");
    // The read that waits drained the socket, but that was before this.
    rig.net.ends[second].sent.extend(ask);
    rig.finish(second);
    rig.settle();
    let heard = rig.take_heard(second);
    assert_eq!(heard.matches(r#""online":"#).count(), 2, "{heard}");
    assert!(rig.net.ends[second].is_gone);
}

#[test]
fn members_hear_that_the_server_stops_and_nobody_is_accepted_any_longer() {
    let mut rig = Rig::new();
    let members = rig.members(2);
    rig.turn.stop(rig.now);
    rig.settle();
    for end in members {
        let heard = rig.take_heard(end);
        // RFC 6455 §5.5.1: a Close, 1001.
        let close = "\u{3}\u{fffd}the server is stopping";
        assert!(heard.contains(close), "{heard:?}");
        assert!(rig.net.ends[end].is_shut);
        rig.finish(end);
    }
    let late = rig.net.connect();
    rig.turn.listener_ready(0);
    rig.settle();
    assert_eq!(rig.net.ends[late].id, None);
    assert_eq!(rig.turn.core.connections(), 0);
}

#[test]
fn what_an_over_connection_still_sends_is_dropped_once_its_fin_is_there() {
    let mut rig = Rig::new();
    let end = rig.member("alice");
    rig.send(end, &masked(0x81, b"no frame of ours"));
    rig.settle();
    assert!(rig.net.ends[end].is_shut && !rig.net.ends[end].is_gone);
    rig.net.take_calls();
    rig.send(end, &[b'x'; 40]);
    rig.settle();
    assert_eq!(rig.net.take_calls(), [], "nothing of it is wanted");
    rig.finish(end);
    rig.settle();
    let calls = rig.net.take_calls();
    assert_eq!(calls, [Call::Discard(end), Call::Close(end)]);
}

#[test]
fn last_words_announce_our_fin_and_nothing_else_does() {
    let mut rig = Rig::new();
    let end = rig.member("alice");
    let ask = rig.get_user();
    rig.send(end, &ask);
    rig.settle();
    assert_eq!(rig.net.ends[end].announced, Some(Then::Open));
    rig.send(end, &masked(0x81, b"no frame of ours"));
    rig.settle();
    assert!(rig.net.ends[end].is_shut);
    assert_eq!(rig.net.ends[end].announced, Some(Then::Fin));
    // A peer that sent its FIN first is closed at once: with our FIN too.
    let other = rig.member("bob");
    rig.net.ends[other].sent.extend(masked(0x88, &[3, 232]));
    rig.finish(other);
    rig.settle();
    assert!(rig.net.ends[other].is_gone && !rig.net.ends[other].is_reset);
    assert_eq!(rig.net.ends[other].announced, Some(Then::Fin));
}

#[test]
fn last_words_ahead_of_a_reset_announce_no_fin() {
    let mut rig = Rig::with(|config| config.ban_after = 8);
    let address = std::net::Ipv4Addr::LOCALHOST.into();
    let mut announced = Vec::new();
    for _ in 0..7 {
        let end = rig.net.connect_from(Some(address));
        rig.turn.listener_ready(0);
        rig.settle();
        rig.send(end, b"no head of ours\r\n\r\n");
        rig.settle();
        assert!(rig.take_heard(end).starts_with("HTTP/1.1 400"));
        let net = &rig.net.ends[end];
        assert_eq!(net.is_reset, net.announced == Some(Then::Open));
        announced.push(net.announced);
        rig.finish(end);
        rig.settle();
    }
    // More than half way to a ban, it is no longer waited for.
    assert_eq!(announced[0], Some(Then::Fin));
    assert_eq!(announced[6], Some(Then::Open));
}

#[test]
fn nothing_is_read_of_a_connection_that_is_over() {
    let mut rig = Rig::new();
    let end = rig.member("alice");
    // More than one read brings: the rest stays in the socket.
    let mut bytes = masked(0x81, b"no frame of ours");
    bytes.extend([b'x'; 2 * MEMBER_READ_BYTES_MAX]);
    // Its last words cannot leave, so that our FIN waits.
    rig.net.ends[end].room = 0;
    rig.send(end, &bytes);
    rig.settle();
    assert!(!rig.net.ends[end].is_shut);
    rig.send(end, b"x");
    rig.settle();
    let is_read = |call: &Call| matches!(call, Call::Read(..));
    assert_eq!(rig.net.count(is_read), 1);
}

#[test]
fn a_fin_told_while_last_words_wait_to_be_decided_on_closes_without_a_linger() {
    let mut rig = Rig::with(|config| config.outbox_bytes_max = 64 * 1_024);
    let [first, second] = [rig.member("alice"), rig.member("alice")];
    rig.send(first, &masked(0x89, &[b'x'; 100]).repeat(150));
    rig.send(second, &masked(0x81, b"no frame of ours"));
    rig.turn();
    assert_eq!(rig.turn.arrivals.len(), 1, "the second waits");
    rig.net.ends[second].sent.extend([b'x'; 40]);
    rig.finish(second);
    rig.settle();
    assert!(rig.take_heard(second).contains("bad_frame"));
    assert!(rig.net.ends[second].is_gone, "its FIN was seen");
}
