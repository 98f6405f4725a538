//! A capture of packets that were never sent: the TCP connections that a recording's streams would have
//! been, in the format of libpcap, for Wireshark and what reads the like.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::mem;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::export::Seen;
use crate::server::{ConnectionId, Ending, Peer};
use crate::time::Now;

/// What a file begins with: the times in it have microseconds.
const MAGIC: u32 = 0xA1B2_C3D4;
/// Packets begin with an IP header, of either version.
const LINKTYPE_RAW: u32 = 101;
/// The longest packet, in bytes.
const PACKET_BYTES_MAX: u32 = 65_535;
/// The most that one packet carries of a stream, in bytes.
const PAYLOAD_BYTES_MAX: usize = 16 * 1_024;

/// RFC 9293 §3.1: the bits of a segment's control byte.
const FIN: u8 = 1;
const SYN: u8 = 2;
const RST: u8 = 4;
const PSH: u8 = 8;
const ACK: u8 = 16;
/// The protocol's number in an IP header.
const TCP: u8 = 6;
const TCP_HEADER_BYTES: usize = 20;
const IPV4_HEADER_BYTES: usize = 20;

/// A capture on its way to `out`.
pub struct Capture<W> {
    out: W,
    server_port: u16,
    /// By serial.
    flows: BTreeMap<u32, Flow>,
}

/// A TCP connection.
struct Flow {
    ends: [End; 2],
    /// Who sent the last FIN so far: the other one acknowledges it.
    finished_last: usize,
}

/// One end of it.
#[derive(Clone, Copy)]
struct End {
    address: SocketAddr,
    /// The sequence number of the byte that it sends next.
    next: u32,
    has_finished: bool,
}

/// Where the ends stand in a [`Flow`].
const CLIENT: usize = 0;
const SERVER: usize = 1;

impl<W: Write> Capture<W> {
    /// Begins a capture of what goes to and from a server at `server_port`.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn begin(mut out: W, server_port: u16) -> io::Result<Capture<W>> {
        let version = [2_u16, 4].map(u16::to_be_bytes).concat();
        out.write_all(&[&MAGIC.to_be_bytes()[..], &version, &[0; 8]].concat())?;
        out.write_all(
            &[PACKET_BYTES_MAX, LINKTYPE_RAW]
                .map(u32::to_be_bytes)
                .concat(),
        )?;
        Ok(Capture {
            out,
            server_port,
            flows: BTreeMap::new(),
        })
    }

    /// Adds what happened.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn see(&mut self, now: Now, id: ConnectionId, seen: &Seen<'_>) -> io::Result<()> {
        let key = id.serial;
        match seen {
            Seen::Accepted(peer) => {
                self.flows
                    .insert(key, Flow::new(id, peer, self.server_port));
                self.packet(now, key, CLIENT, SYN, &[])?;
                self.packet(now, key, SERVER, SYN | ACK, &[])?;
                self.packet(now, key, CLIENT, ACK, &[])
            }
            Seen::Received(bytes) => self.stream(now, key, CLIENT, bytes),
            Seen::Written(bytes) => self.stream(now, key, SERVER, bytes),
            Seen::Finished => self.finish(now, key, CLIENT),
            Seen::Failed => self.reset(now, key, CLIENT),
            Seen::Ended(Ending::Fin) => self.finish(now, key, SERVER),
            Seen::Ended(Ending::Close) => {
                self.finish(now, key, SERVER)?;
                let last = self.flows.get(&key).map_or(CLIENT, |flow| flow.last());
                self.packet(now, key, last, ACK, &[])?;
                self.flows.remove(&key);
                Ok(())
            }
            Seen::Ended(Ending::Reset) => self.reset(now, key, SERVER),
        }
    }

    /// Hands over what `out` holds back.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn end(mut self) -> io::Result<()> {
        self.out.flush()
    }

    fn stream(&mut self, now: Now, key: u32, from: usize, bytes: &[u8]) -> io::Result<()> {
        let mut pieces = bytes.chunks(PAYLOAD_BYTES_MAX);
        pieces.try_for_each(|piece| self.packet(now, key, from, PSH | ACK, piece))
    }

    /// An RST, after which nothing is sent.
    fn reset(&mut self, now: Now, key: u32, from: usize) -> io::Result<()> {
        self.packet(now, key, from, RST | ACK, &[])?;
        self.flows.remove(&key);
        Ok(())
    }

    /// A FIN, unless there was one.
    fn finish(&mut self, now: Now, key: u32, from: usize) -> io::Result<()> {
        let Some(flow) = self.flows.get_mut(&key) else {
            return Ok(());
        };
        if mem::replace(&mut flow.ends[from].has_finished, true) {
            return Ok(());
        }
        flow.finished_last = from;
        self.packet(now, key, from, FIN | ACK, &[])
    }

    /// Writes one packet, and moves its sender's sequence number on.
    fn packet(
        &mut self,
        now: Now,
        key: u32,
        from: usize,
        control: u8,
        payload: &[u8],
    ) -> io::Result<()> {
        let Some(flow) = self.flows.get_mut(&key) else {
            return Ok(());
        };
        let (sender, receiver) = (flow.ends[from], flow.ends[1 - from]);
        let packet = packet(sender, receiver, control, payload);
        // RFC 9293 §3.4: SYN and FIN take a sequence number each.
        let flags = u32::from(control & (SYN | FIN) != 0);
        let next = &mut flow.ends[from].next;
        *next = next.wrapping_add(payload.len() as u32 + flags);
        let micros = now.fraction.as_micros() as u32;
        let bytes = packet.len() as u32;
        // A time before 2106, which is all that the format can say.
        let header = [now.unix.0 as u32, micros, bytes, bytes];
        self.out.write_all(&header.map(u32::to_be_bytes).concat())?;
        self.out.write_all(&packet)
    }
}

impl Flow {
    fn new(id: ConnectionId, peer: &Peer, server_port: u16) -> Flow {
        let client = match peer.address {
            Some(address) => SocketAddr::new(address, peer.port),
            None => address_of_local(id.serial),
        };
        let server = server_for(client, server_port);
        // A port is used again in time. Wireshark tells the new connection from the old one by where its
        // sequence numbers begin.
        let next = first_number(id.serial);
        let end = |address| End {
            address,
            next,
            has_finished: false,
        };
        Flow {
            ends: [end(client), end(server)],
            finished_last: SERVER,
        }
    }

    /// Who acknowledges last: the one that did not send the last FIN.
    fn last(&self) -> usize {
        match self.finished_last {
            CLIENT => SERVER,
            _ => CLIENT,
        }
    }
}

/// An address for a process at the other end of a Unix socket, which has none: another one for each
/// serial, in 127.0.0.0/8 and apart from the addresses there that are in use.
fn address_of_local(serial: u32) -> SocketAddr {
    const PORTS_FROM: u32 = 1_024;
    const PORTS: u32 = 65_536 - PORTS_FROM;
    const NETWORK: u32 = u32::from_be_bytes([127, 128, 0, 1]);
    let port = PORTS_FROM + serial % PORTS;
    SocketAddr::new(Ipv4Addr::from(NETWORK + serial / PORTS).into(), port as u16)
}

/// The server's end: at the loopback of the client's kind, and never the client's own end.
fn server_for(client: SocketAddr, port: u16) -> SocketAddr {
    let (usual, other): (IpAddr, IpAddr) = match client.ip() {
        IpAddr::V4(_) => (
            Ipv4Addr::LOCALHOST.into(),
            Ipv4Addr::new(127, 0, 0, 2).into(),
        ),
        IpAddr::V6(_) => (Ipv6Addr::LOCALHOST.into(), Ipv6Addr::from(2).into()),
    };
    let server = SocketAddr::new(usual, port);
    match server == client {
        true => SocketAddr::new(other, port),
        false => server,
    }
}

/// Where the sequence numbers of a connection begin, at both ends: elsewhere for each serial.
fn first_number(serial: u32) -> u32 {
    /// Odd, so that no two are the same; and large, so that they are far apart.
    const STEP: u32 = 0x0100_0193;
    serial.wrapping_mul(STEP)
}

/// A segment in its packet (RFC 9293 §3.1).
fn packet(from: End, to: End, control: u8, payload: &[u8]) -> Vec<u8> {
    let ports = [from.address.port(), to.address.port()];
    let acknowledged = if control & ACK == 0 { 0 } else { to.next };
    let mut segment = ports.map(u16::to_be_bytes).concat();
    segment.extend([from.next, acknowledged].map(u32::to_be_bytes).concat());
    // The header's length in words of four bytes, and a window that is never full.
    segment.extend([
        (TCP_HEADER_BYTES as u8 / 4) << 4,
        control,
        0xFF,
        0xFF,
        0,
        0,
        0,
        0,
    ]);
    segment.extend(payload);

    let [from, to] = [from.address.ip(), to.address.ip()].map(octets);
    let length = (segment.len() as u32).to_be_bytes();
    let pseudo_header = [&from[..], &to, &length, &[0, 0, 0, TCP]].concat();
    let sum = checksum(&[&pseudo_header[..], &segment].concat());
    segment[16..18].copy_from_slice(&sum);
    [ip_header(&from, &to, segment.len()), segment].concat()
}

fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    }
}

/// RFC 791 §3.1 and RFC 8200 §3.
fn ip_header(from: &[u8], to: &[u8], segment_bytes: usize) -> Vec<u8> {
    const HOPS: u8 = 64;
    if from.len() > 4 {
        let [high, low] = (segment_bytes as u16).to_be_bytes();
        return [&[0x60, 0, 0, 0, high, low, TCP, HOPS][..], from, to].concat();
    }
    let [high, low] = ((IPV4_HEADER_BYTES + segment_bytes) as u16).to_be_bytes();
    let fixed = [0x45, 0, high, low, 0, 0, 0x40, 0, HOPS, TCP, 0, 0];
    let mut header = [&fixed[..], from, to].concat();
    let sum = checksum(&header);
    header[10..12].copy_from_slice(&sum);
    header
}

/// RFC 1071: the complement of the sum of all words, in ones' complement.
fn checksum(bytes: &[u8]) -> [u8; 2] {
    let words = bytes.chunks(2).map(|word| match *word {
        [high, low] => u32::from(u16::from_be_bytes([high, low])),
        [high] => u32::from(high) << 8,
        _ => 0,
    });
    let mut sum: u32 = words.sum();
    while sum > 0xFFFF {
        sum = (sum & 0xFFFF) + (sum >> 16);
    }
    (!(sum as u16)).to_be_bytes()
}

#[cfg(test)]
mod tests;
