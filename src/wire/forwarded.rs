//! The client's address behind HTTP proxies, from `Forwarded` (RFC 7239) or `X-Forwarded-For`.
//!
//! Each proxy appends the address it was called from, so that only the right end of a list is
//! the word of a proxy we trust; what stands left of it may be the client's own invention. The
//! walk goes from the right: trusted proxies are passed by, and the first address that is none
//! of them is the client. When all are trusted, the leftmost is. An entry that names no address
//! (`unknown`, `_hidden`, nothing, nonsense) ends the walk, and the last trusted address before
//! it is the client: the farthest we know.
//!
//! # Both fields in one request
//! A proxy that keeps one of the two passes the other through as the client wrote it, and the
//! request does not say which. To prefer either would hand the choice of one's address to every
//! client behind a proxy that keeps the other: an escape from caps and bans, and a way to have
//! somebody else banned. So when both are there they must lead to the same client, as they do
//! behind a proxy that keeps both, and the request is refused when they do not. A client that
//! adds the field its proxy does not keep hurts only itself. Likewise a `Forwarded` that is not
//! one is refused: a quotation mark the client left open would swallow what the proxy appended.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::head::is_token_byte;
use super::request::Request;
use super::response::{self, Reply, Status};
use super::sensitive::Sensitive;
use crate::limits::FORWARDED_HOPS_MAX;

/// The client that a request came from: its address, never IPv4-mapped, and its port, or 0 where
/// that is not told. What the fields say counts only where `peer`, the other end of the
/// connection, is `trusted`. `None` when nobody that is believed names a client, and the client is
/// `peer`. Addresses go to `trusted` without being IPv4-mapped, at most [`FORWARDED_HOPS_MAX`] of
/// each field.
///
/// # Errors
/// [`ForwardedError`], when the fields of a trusted peer have no one meaning.
pub fn client(
    request: &Request<'_>,
    peer: IpAddr,
    trusted: impl Fn(IpAddr) -> bool,
) -> Result<Option<SocketAddr>, ForwardedError> {
    match trusted(peer.to_canonical()) {
        true => client_of_trusted_peer(request, trusted),
        false => Ok(None),
    }
}

/// As [`client`], for a peer that has no address and is trusted for another reason: the proxy
/// at the other end of a Unix socket.
///
/// # Errors
/// [`ForwardedError`], when the fields have no one meaning.
pub fn client_of_trusted_peer(
    request: &Request<'_>,
    trusted: impl Fn(IpAddr) -> bool,
) -> Result<Option<SocketAddr>, ForwardedError> {
    let mut forwarded: Option<Walk> = None;
    let mut x_forwarded_for: Option<Walk> = None;
    // RFC 9110 §5.3: the lines of one field are one list, in their order.
    for (name, value) in request.fields() {
        if is_forwarded(name) {
            let walk = forwarded.get_or_insert_default();
            each_forwarded(value, |hop| walk.pass(hop, &trusted))?;
        } else if is_x_forwarded_for(name) {
            let walk = x_forwarded_for.get_or_insert_default();
            for entry in value.split(|byte| *byte == b',') {
                walk.pass(x_forwarded_node(entry), &trusted)?;
            }
        }
    }
    let address = |walk: Option<Walk>| walk.map(|walk| walk.client.map(|client| client.ip()));
    match (address(forwarded), address(x_forwarded_for)) {
        (Some(one), Some(other)) if one != other => Err(ForwardedError::Disagreement),
        _ => {
            let clients = [forwarded, x_forwarded_for].into_iter().flatten();
            let clients = clients.filter_map(|walk| walk.client);
            // The one that tells a port, where only one does.
            Ok(clients.max_by_key(|client| client.port() != 0))
        }
    }
}

/// True when a field names a client, whether or not anybody believes it.
pub fn is_told(request: &Request<'_>) -> bool {
    let mut names = request.fields().map(|(name, _)| name);
    names.any(is_read)
}

/// True when a client is named in a field that we do not read.
pub fn is_told_otherwise(request: &Request<'_>) -> bool {
    let mut names = request.fields().map(|(name, _)| name);
    names.any(|name| name.eq_ignore_ascii_case(b"X-Real-IP"))
}

/// True for the fields that name a client and that are read.
pub fn is_read(name: &[u8]) -> bool {
    is_forwarded(name) || is_x_forwarded_for(name)
}

/// Adds what of a value names no address: filled up as it is told, it names none either, and is as
/// wrong.
pub fn unread<'a>(name: &[u8], value: &'a [u8], parts: &mut Vec<Sensitive<'a>>) {
    if is_x_forwarded_for(name) {
        let entries = value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii);
        let unread = entries.map(|entry| match x_forwarded_node(entry) {
            Some(_) => hidden(entry),
            None => entry,
        });
        return parts.extend(unread.map(Sensitive::Unread));
    }
    let mut rest = Rest(value);
    loop {
        let element = rest.0;
        let is_sound = rest
            .element_of(|pair| parts.push(Sensitive::Unread(pair)))
            .is_some();
        match rest.0.split_first() {
            // A name without a value is no element.
            _ if !is_sound => return parts.push(Sensitive::Unread(element)),
            None => return,
            Some((b',', behind)) => rest.0 = behind,
            Some(_) => return parts.push(Sensitive::Refused(rest.0)),
        }
    }
}

fn is_forwarded(name: &[u8]) -> bool {
    name.eq_ignore_ascii_case(b"Forwarded")
}

fn is_x_forwarded_for(name: &[u8]) -> bool {
    name.eq_ignore_ascii_case(b"X-Forwarded-For")
}

/// The walk from the right over the entries up to one, told in one pass from the left.
#[derive(Clone, Copy, Default)]
struct Walk {
    /// Where a walk that begins at the last entry ends; `None` when that entry names no address.
    client: Option<SocketAddr>,
    /// Entries so far, ≤ [`FORWARDED_HOPS_MAX`].
    hops: usize,
}

impl Walk {
    /// Takes the next entry to the right. A walk from there passes it by only if it is trusted,
    /// and then ends where one from its left neighbour would, or here if that one cannot begin.
    fn pass(
        &mut self,
        hop: Option<SocketAddr>,
        trusted: impl Fn(IpAddr) -> bool,
    ) -> Result<(), ForwardedError> {
        if self.hops == FORWARDED_HOPS_MAX {
            return Err(ForwardedError::TooManyHops);
        }
        self.hops += 1;
        self.client = match hop {
            Some(address) if trusted(address.ip()) => self.client.or(hop),
            _ => hop,
        };
        Ok(())
    }
}

/// An address as senders of `X-Forwarded-For`, which nobody specified, write it: IPv6 with
/// brackets or without, and a port after IPv4 or brackets.
fn x_forwarded_node(entry: &[u8]) -> Option<SocketAddr> {
    let entry = entry.trim_ascii();
    let bare: Option<IpAddr> = str::from_utf8(entry).ok()?.parse().ok();
    bare.map(|address| SocketAddr::new(address.to_canonical(), 0))
        .or_else(|| node(entry))
}

/// RFC 7239 §6: node = nodename [ ":" node-port ]; its address, where it names one, and its port,
/// where that is a number.
fn node(text: &[u8]) -> Option<SocketAddr> {
    let text = str::from_utf8(text).ok()?;
    let (address, port) = match text.strip_prefix('[') {
        Some(bracketed) => {
            let (address, port) = bracketed.split_once(']')?;
            (IpAddr::V6(address.parse::<Ipv6Addr>().ok()?), port)
        }
        None => {
            let (address, port) = text.split_at(text.find(':').unwrap_or(text.len()));
            (IpAddr::V4(address.parse::<Ipv4Addr>().ok()?), port)
        }
    };
    let port = match port.strip_prefix(':') {
        Some(port) => is_node_port(port).then(|| port.parse().unwrap_or(0))?,
        None if port.is_empty() => 0,
        None => return None,
    };
    Some(SocketAddr::new(address.to_canonical(), port))
}

/// The name that stands for a port, of a node that names an address.
fn hidden(node: &[u8]) -> &[u8] {
    let at = node.iter().rposition(|byte| *byte == b'_');
    at.map_or(&[], |at| &node[at + 1..])
}

/// RFC 7239 §6: node-port = 1*5DIGIT / "_" 1*( ALPHA / DIGIT / "." / "_" / "-" ).
fn is_node_port(text: &str) -> bool {
    let is_hidden_byte = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    match text.strip_prefix('_') {
        Some(hidden) => !hidden.is_empty() && hidden.bytes().all(is_hidden_byte),
        None => (1..=5).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit()),
    }
}

/// Gives the address in the `for` of each element of one line of `Forwarded`, in their order;
/// `None` for an element that names none. Kinder than RFC 7239 §4 where no second reading
/// arises: white space around ";", and ":" "[" "]" without quotation marks.
fn each_forwarded(
    line: &[u8],
    mut take: impl FnMut(Option<SocketAddr>) -> Result<(), ForwardedError>,
) -> Result<(), ForwardedError> {
    let mut rest = Rest(line);
    loop {
        take(rest.element().ok_or(ForwardedError::Syntax)?)?;
        match rest.0.split_first() {
            None => return Ok(()),
            Some((b',', behind)) => rest.0 = behind,
            Some(_) => return Err(ForwardedError::Syntax),
        }
    }
}

/// What is yet to be read of a line.
struct Rest<'a>(&'a [u8]);

impl<'a> Rest<'a> {
    /// RFC 7239 §4: forwarded-element = [ forwarded-pair ] *( ";" [ forwarded-pair ] ).
    fn element(&mut self) -> Option<Option<SocketAddr>> {
        self.element_of(|_| {})
    }

    /// As [`Rest::element`]; tells what of it is not read.
    fn element_of(&mut self, mut unread: impl FnMut(&'a [u8])) -> Option<Option<SocketAddr>> {
        let mut hop: Option<&[u8]> = None;
        loop {
            self.0 = self.0.trim_ascii_start();
            let name = self.token(b"");
            if !name.is_empty() {
                let value = self.eat(b'=').then(|| self.value())??;
                let is_for = name.eq_ignore_ascii_case(b"for");
                // RFC 7239 §4: a parameter must not occur more than once.
                if is_for && hop.replace(value).is_some() {
                    return None;
                }
                match is_for {
                    true if node(value).is_some() => unread(hidden(value)),
                    true => unread(value),
                    false => [name, value].map(&mut unread).into_iter().collect(),
                }
            }
            self.0 = self.0.trim_ascii_start();
            if !self.eat(b';') {
                return Some(hop.and_then(node));
            }
        }
    }

    /// RFC 7239 §4: value = token / quoted-string.
    fn value(&mut self) -> Option<&'a [u8]> {
        match self.eat(b'"') {
            true => self.quoted(),
            false => Some(self.token(b":[]")),
        }
    }

    /// RFC 9110 §5.6.4: a quoted-string, from after its first mark, as it stands: an address
    /// with a backslash in it is none.
    fn quoted(&mut self) -> Option<&'a [u8]> {
        let mut is_escaped = false;
        let end = self.0.iter().position(|byte| {
            let ends = *byte == b'"' && !is_escaped;
            is_escaped = *byte == b'\\' && !is_escaped;
            ends
        })?;
        let (quoted, behind) = self.0.split_at(end);
        self.0 = &behind[1..];
        Some(quoted)
    }

    /// The token bytes, and those in `also`, up to the first other byte.
    fn token(&mut self, also: &[u8]) -> &'a [u8] {
        let is_other = |byte: &u8| !is_token_byte(*byte) && !also.contains(byte);
        let end = self.0.iter().position(is_other).unwrap_or(self.0.len());
        let (token, behind) = self.0.split_at(end);
        self.0 = behind;
        token
    }

    fn eat(&mut self, byte: u8) -> bool {
        let behind = self.0.strip_prefix(&[byte]);
        self.0 = behind.unwrap_or(self.0);
        behind.is_some()
    }
}

/// Why nobody can say which client a request came from. Each is answered with 400. It is the
/// client's fault or the proxy's, and counts against nobody's address: the only one known is
/// the proxy's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ForwardedError {
    /// A `Forwarded` is not of the form RFC 7239 §4 gives it.
    Syntax,
    /// A field names more than [`FORWARDED_HOPS_MAX`] hops.
    TooManyHops,
    /// `Forwarded` and `X-Forwarded-For` lead to different clients.
    Disagreement,
}

impl ForwardedError {
    /// One word for logs and metrics.
    pub const fn word(self) -> &'static str {
        match self {
            ForwardedError::Syntax => "forwarded_syntax",
            ForwardedError::TooManyHops => "forwarded_hops",
            ForwardedError::Disagreement => "forwarded_disagreement",
        }
    }

    /// Writes the answer after what `out` holds.
    pub fn write(self, out: &mut Vec<u8>, reply: Reply<'_>) {
        response::write_line(out, reply, Status::BadRequest, &[], &self);
    }
}

impl fmt::Display for ForwardedError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ForwardedError::Syntax => {
                formatter.write_str("Forwarded is not a list of `for=address` elements")
            }
            ForwardedError::TooManyHops => write!(
                formatter,
                "Forwarded or X-Forwarded-For names more than {FORWARDED_HOPS_MAX} hops"
            ),
            ForwardedError::Disagreement => formatter.write_str(
                "Forwarded and X-Forwarded-For name different clients: \
                 the proxy must remove the one it does not set",
            ),
        }
    }
}

impl std::error::Error for ForwardedError {}

#[cfg(test)]
mod tests;
