use std::time::Duration;

use super::*;
use crate::time::{Instant, UnixSeconds};

const NOW: Now = Now {
    monotonic: Instant::ORIGIN,
    unix: UnixSeconds(1_800_000_000),
    fraction: Duration::from_millis(250),
};

/// A packet of a capture: its IP header, and the segment in it.
struct Packet<'c> {
    header: &'c [u8],
    segment: &'c [u8],
}

impl Packet<'_> {
    fn number(&self, at: usize) -> u32 {
        u32::from_be_bytes(self.segment[at..at + 4].try_into().unwrap())
    }

    /// Port, sequence number, acknowledged, control, payload.
    fn told(&self) -> (u16, u32, u32, u8, &[u8]) {
        let port = u16::from_be_bytes([self.segment[0], self.segment[1]]);
        let payload = &self.segment[TCP_HEADER_BYTES..];
        (
            port,
            self.number(4),
            self.number(8),
            self.segment[13],
            payload,
        )
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
    let id = ConnectionId { slot: 1, serial: 3 };
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
            (7_420, 6, 5, ACK, b""),
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
    let capture = captured(Some("192.0.2.1"), &[Seen::Failed]);
    let packets = packets(&capture);
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

#[test]
fn a_peer_without_an_address_has_a_flow_too() {
    let capture = captured(None, &[Seen::Received(b"x")]);
    let told: Vec<_> = packets(&capture)
        .iter()
        .map(|packet| packet.told().0)
        .collect();
    assert_eq!(told, [3, 7_420, 3, 3]);
}
