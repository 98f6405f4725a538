//! The client a request came from, past its proxies, against a walk over whole lists.

use std::cell::Cell;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::answer::assert_answer;
use super::request::Fields;
use crate::told::assert_told;
use framegate::internals::limits::FORWARDED_HOPS_MAX;
use framegate::internals::wire::{ForwardedError, Request, forwarded};

/// The other end of the connection.
const PEER: [u8; 4] = [192, 0, 2, 1];

/// The walk over the proxies asks for no more than its bound, lets nobody speak for another
/// who is not trusted, and ends where a walk over the whole list does.
pub(super) fn assert_client(request: &Request<'_>, fields: &Fields<'_>) {
    let peer = IpAddr::from(PEER);
    assert_eq!(forwarded::client(request, peer, |_| false), Ok(None));
    let asked = Cell::new(0);
    let client = forwarded::client(request, peer, |address| {
        asked.set(asked.get() + 1);
        is_proxy(address)
    });
    assert!(asked.get() <= 1 + 2 * FORWARDED_HOPS_MAX);
    match client {
        Ok(client) => assert_eq!(
            client.map(|client| client.ip()),
            client.map(|client| client.ip().to_canonical())
        ),
        Err(error) => {
            assert_told(error.word(), &error);
            assert_answer(|out, reply| error.write(out, reply), 400);
        }
    }
    if let Some(expected) = model(fields) {
        assert_eq!(
            client.map(|client| client.map(|client| client.ip())),
            expected
        );
    }
}

/// The client that the fields name; the outer `None` where a `Forwarded` has more to it than
/// this model reads.
fn model(fields: &Fields<'_>) -> Option<Result<Option<IpAddr>, ForwardedError>> {
    let forwarded = hops(fields, "forwarded");
    let forwarded: Vec<String> = forwarded
        .iter()
        .map(|hop| plain(hop))
        .collect::<Option<_>>()?;
    let x_forwarded_for = hops(fields, "x-forwarded-for");
    if forwarded.len().max(x_forwarded_for.len()) > FORWARDED_HOPS_MAX {
        return Some(Err(ForwardedError::TooManyHops));
    }
    let (one, other) = (walk(&forwarded), walk(&x_forwarded_for));
    let both = !forwarded.is_empty() && !x_forwarded_for.is_empty();
    Some(match both && one != other {
        true => Err(ForwardedError::Disagreement),
        false => Ok(one.or(other)),
    })
}

/// What `for=` names, where that is letters, digits and dots, and all there is.
fn plain(element: &str) -> Option<String> {
    let lower = element.to_ascii_lowercase();
    let name = lower.strip_prefix("for=")?;
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'.';
    name.bytes().all(is_plain).then(|| name.to_owned())
}

/// The harness's proxies: the peer, and whatever has an even last bit.
fn is_proxy(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => address.octets() == PEER || address.octets()[3].is_multiple_of(2),
        IpAddr::V6(address) => address.octets()[15].is_multiple_of(2),
    }
}

/// The entries of a field, over all of its lines, the empty ones too.
fn hops(fields: &Fields<'_>, name: &str) -> Vec<String> {
    let lines = fields.all(name).into_iter();
    let lines: Vec<_> = lines.map(String::from_utf8_lossy).collect();
    let entries = lines.iter().flat_map(|line| line.split(','));
    entries
        .map(|entry| entry.trim_matches([' ', '\t']).to_owned())
        .collect()
}

/// From the right: past the proxies, to the first that is none, or the last that is known.
fn walk(hops: &[String]) -> Option<IpAddr> {
    let mut farthest = None;
    for hop in hops.iter().rev() {
        let Some(address) = address(hop) else {
            break;
        };
        farthest = Some(address);
        if !is_proxy(address) {
            break;
        }
    }
    farthest
}

/// An address, with a port after it or not.
fn address(hop: &str) -> Option<IpAddr> {
    if let Ok(address) = hop.parse::<IpAddr>() {
        return Some(address.to_canonical());
    }
    if let Some((bracketed, port)) = hop.strip_prefix('[').and_then(|hop| hop.split_once(']')) {
        let address: IpAddr = bracketed.parse::<Ipv6Addr>().ok()?.into();
        let is_sound = port.is_empty() || port.strip_prefix(':').is_some_and(is_port);
        return is_sound.then(|| address.to_canonical());
    }
    let (address, port) = hop.split_once(':')?;
    let address: IpAddr = address.parse::<Ipv4Addr>().ok()?.into();
    is_port(port).then_some(address)
}

/// RFC 7239 §6.2, §6.3: up to five digits, or an obfuscated port.
fn is_port(port: &str) -> bool {
    let is_digit = |digit: char| digit.is_ascii_digit();
    let is_hidden = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    match port.strip_prefix('_') {
        Some(hidden) => !hidden.is_empty() && hidden.chars().all(is_hidden),
        None => (1..=5).contains(&port.len()) && port.chars().all(is_digit),
    }
}
