//! The PROXY protocol, versions 1 and 2: what a TCP proxy says of its client before the
//! client's own first byte. The sections named are those of HAProxy's `proxy-protocol.txt`.
//!
//! Whether a header is there is a setting, never a guess from the bytes (§2: a receiver that
//! guessed would let anyone forge an address), and it is read from trusted proxies only. Both
//! are the caller's part.
//!
//! A header may come in pieces. The vectors after its addresses (§2.2.1 and on), a checksum
//! among them, are skipped unread.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

use crate::limits::{PROXY_HEADER_BYTES_MAX, PROXY_LINE_BYTES_MAX};

const LINE_START: &[u8] = b"PROXY ";
/// All that may follow [`LINE_START`].
const LINE_PROTOCOLS: [&[u8]; 4] = [b"TCP4 ", b"TCP6 ", b"UNKNOWN ", b"UNKNOWN\r"];

const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";
/// Signature, version and command, family and transport, two bytes of length.
const FIXED_BYTES: usize = 16;

/// A complete and sound header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProxyHeader {
    /// The header's length, ≤ [`PROXY_HEADER_BYTES_MAX`]. What stands after it are the
    /// connection's first bytes.
    pub bytes_used: usize,
    /// The client's address, never IPv4-mapped, and its port. `None` when the proxy speaks for
    /// itself or cannot say: then the proxy is the client.
    pub source: Option<SocketAddr>,
}

impl ProxyHeader {
    /// Reads the header at the beginning of `bytes`, which are all that was received since the
    /// connection's start. `None` asks for more; what stands after a complete header is not
    /// looked at.
    ///
    /// A verdict depends on the bytes up to its own and on nothing before this call, so that
    /// no cutting changes it. O(n), n ≤ [`PROXY_LINE_BYTES_MAX`]; nothing is allocated.
    ///
    /// # Errors
    /// [`ProxyError`], as soon as no byte to come could make it a header: a first byte that
    /// begins neither version is refused alone. §2.1: the connection is to be aborted.
    pub fn parse(bytes: &[u8]) -> Result<Option<ProxyHeader>, ProxyError> {
        match bytes.first() {
            None => Ok(None),
            Some(b'P') => version_1(bytes),
            Some(_) => version_2(bytes),
        }
    }
}

/// §2.1: the human-readable header.
fn version_1(bytes: &[u8]) -> Result<Option<ProxyHeader>, ProxyError> {
    if !agrees(bytes, LINE_START) {
        return Err(ProxyError::Signature);
    }
    let behind = bytes.get(LINE_START.len()..).unwrap_or_default();
    if !LINE_PROTOCOLS.iter().any(|start| agrees(behind, start)) {
        return Err(ProxyError::Protocol);
    }
    let Some(line) = line(bytes)? else {
        return Ok(None);
    };
    Ok(Some(ProxyHeader {
        bytes_used: line.len() + 2,
        source: line_source(line)?,
    }))
}

/// The line at the beginning of `bytes`, without its CR LF.
fn line(bytes: &[u8]) -> Result<Option<&[u8]>, ProxyError> {
    // The last byte the bound leaves is the LF's.
    let window = &bytes[..bytes.len().min(PROXY_LINE_BYTES_MAX - 1)];
    let is_end = |byte: &u8| matches!(byte, b'\r' | b'\n');
    match window
        .iter()
        .position(is_end)
        .map(|end| bytes.split_at(end))
    {
        Some((line, [b'\r', b'\n', ..])) => Ok(Some(line)),
        Some((_, [b'\r'])) => Ok(None),
        // §2.1: a CR or LF alone must not be tolerated.
        Some(_) => Err(ProxyError::LineEnd),
        None if window.len() == PROXY_LINE_BYTES_MAX - 1 => Err(ProxyError::TooLong),
        None => Ok(None),
    }
}

fn line_source(line: &[u8]) -> Result<Option<SocketAddr>, ProxyError> {
    let source = if let Some(fields) = line.strip_prefix(b"PROXY TCP4 ") {
        fields_source::<Ipv4Addr>(fields)
    } else if let Some(fields) = line.strip_prefix(b"PROXY TCP6 ") {
        fields_source::<Ipv6Addr>(fields)
    } else {
        // §2.1: after UNKNOWN, anything before the CR LF must be ignored.
        return Ok(None);
    };
    source.map(Some).ok_or(ProxyError::Addresses)
}

/// Source and destination address, source and destination port, one space between each.
fn fields_source<A: FromStr + Into<IpAddr>>(fields: &[u8]) -> Option<SocketAddr> {
    let mut words = str::from_utf8(fields).ok()?.split(' ');
    let source: A = words.next()?.parse().ok()?;
    let _destination: A = words.next()?.parse().ok()?;
    let source_port = port(words.next()?)?;
    let _destination_port = port(words.next()?)?;
    match words.next() {
        None => Some(canonical(source, source_port)),
        Some(_) => None,
    }
}

/// §2.1: a decimal number without leading zeros.
fn port(text: &str) -> Option<u16> {
    let is_shortest = text == "0" || matches!(text.as_bytes(), [b'1'..=b'9', ..]);
    text.parse().ok().filter(|_| is_shortest)
}

/// What a header of version 2 says of its client.
#[derive(Clone, Copy)]
enum Told {
    Nothing,
    Ipv4,
    Ipv6,
}

/// §2.2: the binary header.
fn version_2(bytes: &[u8]) -> Result<Option<ProxyHeader>, ProxyError> {
    if !agrees(bytes, SIGNATURE) {
        return Err(ProxyError::Signature);
    }
    let is_local = match bytes.get(12) {
        None => return Ok(None),
        Some(0x20) => true,
        Some(0x21) => false,
        // §2.2: a receiver must drop connections with other commands.
        Some(0x22..=0x2f) => return Err(ProxyError::Command),
        Some(_) => return Err(ProxyError::Version),
    };
    let told = match bytes.get(13) {
        None => return Ok(None),
        // §2.2: with LOCAL, the family is ignored.
        Some(_) if is_local => Told::Nothing,
        Some(family) => told(*family)?,
    };
    let Some(&[high, low]) = bytes.get(14..FIXED_BYTES) else {
        return Ok(None);
    };
    let block_bytes = usize::from(u16::from_be_bytes([high, low]));
    let bytes_used = FIXED_BYTES + block_bytes;
    if bytes_used > PROXY_HEADER_BYTES_MAX {
        return Err(ProxyError::TooLong);
    }
    if block_bytes < told.block_bytes_min() {
        return Err(ProxyError::Addresses);
    }
    // §2.2: the length says where the header ends; what the addresses leave of it is skipped.
    let block = bytes.get(FIXED_BYTES..bytes_used);
    Ok(block.map(|block| ProxyHeader {
        bytes_used,
        source: told.source(block),
    }))
}

/// §2.2: address family and transport, four bits each.
fn told(family: u8) -> Result<Told, ProxyError> {
    match (family >> 4, family & 0xf) {
        // A client that came to the proxy by datagrams (HTTP/3) has an address like any other.
        (1, 1 | 2) => Ok(Told::Ipv4),
        (2, 1 | 2) => Ok(Told::Ipv6),
        // AF_UNSPEC, AF_UNIX, and any family over an unspecified transport.
        (0..=3, 0..=2) => Ok(Told::Nothing),
        // §2.2: other values must be rejected.
        _ => Err(ProxyError::Protocol),
    }
}

impl Told {
    /// Two addresses and two ports, in bytes.
    const fn block_bytes_min(self) -> usize {
        match self {
            Told::Nothing => 0,
            Told::Ipv4 => 2 * 4 + 2 * 2,
            Told::Ipv6 => 2 * 16 + 2 * 2,
        }
    }

    /// §2.2: source address, destination address, source port, destination port, all in network
    /// byte order. `block` is at least [`block_bytes_min`](Told::block_bytes_min) long.
    fn source(self, block: &[u8]) -> Option<SocketAddr> {
        let port = |at: usize| {
            let bytes = block.get(at..)?.first_chunk()?;
            Some(u16::from_be_bytes(*bytes))
        };
        match self {
            Told::Nothing => None,
            Told::Ipv4 => Some(canonical(*block.first_chunk::<4>()?, port(8)?)),
            Told::Ipv6 => Some(canonical(*block.first_chunk::<16>()?, port(32)?)),
        }
    }
}

fn canonical(address: impl Into<IpAddr>, port: u16) -> SocketAddr {
    SocketAddr::new(address.into().to_canonical(), port)
}

/// True when one of the two begins with the other.
fn agrees(bytes: &[u8], start: &[u8]) -> bool {
    bytes.iter().zip(start).all(|(one, other)| one == other)
}

/// Why the bytes begin with no PROXY protocol header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProxyError {
    /// They begin like neither version: a client that came past the proxy, or a proxy that was
    /// not told to send the header.
    Signature,
    /// Version 1 names another protocol than TCP4, TCP6 and UNKNOWN, or version 2 an address
    /// family or transport that is not assigned.
    Protocol,
    /// A CR or LF stands alone.
    LineEnd,
    /// Version 1 is longer than [`PROXY_LINE_BYTES_MAX`], or version 2 than
    /// [`PROXY_HEADER_BYTES_MAX`].
    TooLong,
    /// The addresses and ports are not what the protocol named has.
    Addresses,
    /// The signature is that of version 2, the version another.
    Version,
    /// The command is neither LOCAL nor PROXY.
    Command,
}

impl ProxyError {
    /// Every one.
    pub const ALL: [ProxyError; 7] = [
        ProxyError::Signature,
        ProxyError::Protocol,
        ProxyError::LineEnd,
        ProxyError::TooLong,
        ProxyError::Addresses,
        ProxyError::Version,
        ProxyError::Command,
    ];

    /// One word for logs and metrics.
    pub const fn word(self) -> &'static str {
        match self {
            ProxyError::Signature => "proxy_signature",
            ProxyError::Protocol => "proxy_protocol",
            ProxyError::LineEnd => "proxy_line_end",
            ProxyError::TooLong => "proxy_too_long",
            ProxyError::Addresses => "proxy_addresses",
            ProxyError::Version => "proxy_version",
            ProxyError::Command => "proxy_command",
        }
    }
}

impl fmt::Display for ProxyError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            ProxyError::Signature => {
                "no PROXY protocol header: tell the proxy to send one, or do without --proxy-protocol"
            }
            ProxyError::Protocol => "the PROXY header names a protocol that is not assigned",
            ProxyError::LineEnd => "the PROXY line does not end in CR LF",
            ProxyError::TooLong => {
                return write!(
                    formatter,
                    "the PROXY header is longer than {PROXY_LINE_BYTES_MAX} bytes as text or \
                     {PROXY_HEADER_BYTES_MAX} as binary"
                );
            }
            ProxyError::Addresses => "the PROXY header's addresses and ports cannot be read",
            ProxyError::Version => "the PROXY header is of another version than 1 and 2",
            ProxyError::Command => "the PROXY header's command is neither LOCAL nor PROXY",
        })
    }
}

impl std::error::Error for ProxyError {}

#[cfg(test)]
mod tests;
