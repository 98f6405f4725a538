use std::collections::BTreeSet;
use std::time::Duration;

use super::*;
use crate::time::{Instant, UnixSeconds};

const NOW: Now = Now {
    monotonic: Instant::ORIGIN,
    unix: UnixSeconds(1_800_000_000),
    fraction: Duration::from_millis(250),
};

const SERIAL: u32 = 3;

/// A packet of a capture: its IP header, and the segment in it.
struct Packet<'c> {
    header: &'c [u8],
    segment: &'c [u8],
}

impl Packet<'_> {
    fn number(&self, at: usize) -> u32 {
        u32::from_be_bytes(self.segment[at..at + 4].try_into().unwrap())
    }

    /// Port, sequence number, acknowledged, control, payload. The numbers count from the first of
    /// [`SERIAL`]'s.
    fn told(&self) -> (u16, u32, u32, u8, &[u8]) {
        let port = u16::from_be_bytes([self.segment[0], self.segment[1]]);
        let payload = &self.segment[TCP_HEADER_BYTES..];
        let control = self.segment[13];
        let number = |at| self.number(at).wrapping_sub(first_number(SERIAL));
        let acknowledged = if control & ACK == 0 { 0 } else { number(8) };
        (port, number(4), acknowledged, control, payload)
    }
}

fn packets(mut capture: &[u8]) -> Vec<Packet<'_>> {
    let mut packets = Vec::new();
    while !capture.is_empty() {
        let length = u32::from_be_bytes(capture[8..12].try_into().unwrap()) as usize;
        assert_eq!(capture[8..12], capture[12..16], "all of it is there");
        assert_eq!(
            capture[..8],
            [1_800_000_000_u32, 250_000].map(u32::to_be_bytes).concat()
        );
        let (packet, rest) = capture[16..].split_at(length);
        let header_bytes = if packet[0] == 0x45 { 20 } else { 40 };
        let (header, segment) = packet.split_at(header_bytes);
        packets.push(Packet { header, segment });
        capture = rest;
    }
    packets
}

fn captured(address: Option<&str>, seen: &[Seen<'_>]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut capture = Capture::begin(&mut out, 7420).unwrap();
    let peer = Peer {
        address: address.map(|address| address.parse().unwrap()),
        port: 5_000,
        user: None,
    };
    let id = ConnectionId {
        slot: 1,
        serial: SERIAL,
    };
    capture.see(NOW, id, &Seen::Accepted(peer)).unwrap();
    for seen in seen {
        capture.see(NOW, id, seen).unwrap();
    }
    capture.end().unwrap();
    assert_eq!(out[..4], [0xA1, 0xB2, 0xC3, 0xD4]);
    assert_eq!(out[20..24], [0, 0, 0, 101]);
    out.split_off(24)
}

#[test]
fn a_connection_is_a_handshake_its_bytes_and_an_end() {
    let capture = captured(
        Some("192.0.2.1"),
        &[
            Seen::Received(b"GET"),
            Seen::Written(b"HTTP"),
            Seen::Finished,
            Seen::Ended(Ending::Fin),
            Seen::Ended(Ending::Close),
        ],
    );
    let packets = packets(&capture);
    let told: Vec<_> = packets.iter().map(Packet::told).collect();
    assert_eq!(
        told,
        [
            (5_000, 0, 0, SYN, &b""[..]),
            (7_420, 0, 1, SYN | ACK, b""),
            (5_000, 1, 1, ACK, b""),
            (5_000, 1, 1, PSH | ACK, b"GET"),
            (7_420, 1, 4, PSH | ACK, b"HTTP"),
            (5_000, 4, 5, FIN | ACK, b""),
            (7_420, 5, 5, FIN | ACK, b""),
            (5_000, 5, 6, ACK, b""),
        ]
    );
    for packet in &packets {
        assert_eq!(checksum(packet.header), [0, 0], "the header's sum");
        let addresses = &packet.header[12..20];
        let length = (packet.segment.len() as u32).to_be_bytes();
        let summed = [addresses, &length, &[0, 0, 0, TCP], packet.segment].concat();
        assert_eq!(checksum(&summed), [0, 0], "the segment's sum");
    }
}

#[test]
fn a_peer_that_resets_is_seen_to() {
    let seen = [Seen::Failed, Seen::Ended(Ending::Close)];
    let capture = captured(Some("192.0.2.1"), &seen);
    let packets = packets(&capture);
    assert_eq!(packets.len(), 4, "nothing comes after a reset");
    assert_eq!(packets[3].told(), (5_000, 1, 1, RST | ACK, &b""[..]));
}

#[test]
fn what_is_long_is_cut_and_a_reset_ends_it() {
    let long = vec![b'x'; PAYLOAD_BYTES_MAX + 1];
    let seen = [Seen::Written(&long), Seen::Ended(Ending::Reset)];
    let capture = captured(Some("2001:db8::1"), &seen);
    let packets = packets(&capture);
    let told: Vec<_> = packets[3..].iter().map(Packet::told).collect();
    assert_eq!(told[0].4.len(), PAYLOAD_BYTES_MAX);
    let next = 1 + PAYLOAD_BYTES_MAX as u32;
    assert_eq!(told[1], (7_420, next, 1, PSH | ACK, &b"x"[..]));
    assert_eq!(told[2], (7_420, next + 1, 1, RST | ACK, &b""[..]));
    let first = packets[0].header;
    assert_eq!((first[0], first[6], first.len()), (0x60, TCP, 40));
    assert_eq!(first[8..10], [0x20, 0x01]);
}

/// The two ends of a flow.
fn ends(serial: u32, address: Option<&str>, port: u16, server_port: u16) -> [SocketAddr; 2] {
    let peer = Peer {
        address: address.map(|address| address.parse().unwrap()),
        port,
        user: None,
    };
    let flow = Flow::new(ConnectionId { slot: 1, serial }, &peer, server_port);
    flow.ends.map(|end| end.address)
}

#[test]
fn a_client_without_an_address_has_one_of_its_own() {
    let far = (1..=32).map(|bits| u32::MAX >> (32 - bits));
    let serials = (0..130_000).chain(far.flat_map(|serial| [serial - 1, serial]));
    let serials: BTreeSet<u32> = serials.collect();
    for server_port in [80, 1_024] {
        let mut seen = BTreeSet::new();
        for &serial in &serials {
            let [client, server] = ends(serial, None, 0, server_port);
            assert!(client.port() >= 1_024 && client.ip().is_loopback());
            assert_ne!(client, server);
            assert!(seen.insert(client), "{serial}: {client} again");
        }
    }
}

#[test]
fn no_client_is_at_the_servers_end() {
    for address in ["127.0.0.1", "127.0.0.2", "::1", "::2", "192.0.2.1"] {
        let [client, server] = ends(3, Some(address), 80, 80);
        assert_ne!(client, server);
        assert_eq!(client, SocketAddr::new(address.parse().unwrap(), 80));
        assert_eq!(server.port(), 80);
    }
}

/// With the same number Wireshark takes the second SYN for the first one, sent again.
#[test]
fn a_port_that_is_used_again_begins_at_another_number() {
    let mut out = Vec::new();
    let mut capture = Capture::begin(&mut out, 80).unwrap();
    for serial in 0..100 {
        let id = ConnectionId { slot: 0, serial };
        let peer = Peer {
            address: Some(Ipv4Addr::LOCALHOST.into()),
            port: 5_000,
            user: None,
        };
        capture.see(NOW, id, &Seen::Accepted(peer)).unwrap();
        capture.see(NOW, id, &Seen::Ended(Ending::Reset)).unwrap();
    }
    capture.end().unwrap();
    let syn = |packet: &Packet<'_>| packet.segment[13] & (SYN | ACK) == SYN;
    let packets = packets(&out[24..]);
    let begun = packets.iter().filter(|packet| syn(packet));
    let numbers: BTreeSet<u32> = begun.map(|packet| packet.number(4)).collect();
    assert_eq!(numbers.len(), 100);
}

#[test]
fn a_peer_without_an_address_has_a_flow_too() {
    let capture = captured(None, &[Seen::Received(b"x")]);
    let told: Vec<_> = packets(&capture)
        .iter()
        .map(|packet| packet.told().0)
        .collect();
    assert_eq!(told, [1_027, 7_420, 1_027, 1_027]);
}
