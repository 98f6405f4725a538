//! Where in a request's head secrets may stand: tokens, and what nobody reads, where other programs
//! may have put theirs. One who shows a head shows something else there.

use super::forwarded;
use super::head::{Head, split_once};
use super::request::{self, Authorization, Field};
use super::upgrade::Subprotocol;

/// The name of the scheme, and the byte that ends it.
const SCHEME_BYTES: usize = "Bearer ".len();

/// A part of a head that may hold a secret, lent from it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Sensitive<'a> {
    /// A token.
    Token(&'a str),
    /// What is refused whatever it is, as long as it is no UTF-8 either.
    Unusable(&'a [u8]),
    /// What is not read.
    Unread(&'a [u8]),
}

/// The parts of a head that may hold a secret: tokens, what stands in their places, the query, who
/// is named ahead of a host (which is an error, RFC 9110 §4.2.4), credentials of a scheme that is not
/// ours, and the values of fields that mean nothing to us.
pub fn sensitive(head: Head<'_>) -> Vec<Sensitive<'_>> {
    let target = head.bytes().split(|byte| *byte == b' ').nth(1);
    let target = target.unwrap_or_default();
    let (target, query) = split_once(target, b'?').unwrap_or((target, &[]));
    let mut parts = vec![Sensitive::Unread(query)];
    if let Some(at) = target.windows(3).position(|window| window == b"://") {
        let authority = target[at + 3..].split(|byte| *byte == b'/').next();
        parts.push(user(authority.unwrap_or_default()));
    }
    for (name, value) in head.fields() {
        match Field::named(name) {
            Some(Field::Host) => parts.push(user(value)),
            Some(Field::Authorization) => parts.push(credentials(value)),
            Some(Field::WebSocketProtocol) => {
                parts.extend(request::list(value).filter_map(subprotocol));
            }
            None if !forwarded::is_read(name) => parts.push(Sensitive::Unread(value)),
            _ => {}
        }
    }
    parts
}

/// Who is named ahead of the host.
fn user(authority: &[u8]) -> Sensitive<'_> {
    let user_bytes = authority.iter().rposition(|byte| *byte == b'@');
    Sensitive::Unread(&authority[..user_bytes.unwrap_or_default()])
}

fn credentials(value: &[u8]) -> Sensitive<'_> {
    match request::authorization(value) {
        Authorization::Bearer(token) => Sensitive::Token(token),
        Authorization::Unusable => {
            Sensitive::Unusable(value.get(SCHEME_BYTES..).unwrap_or_default())
        }
        Authorization::OtherScheme | Authorization::Absent => Sensitive::Unread(value),
    }
}

fn subprotocol(name: &[u8]) -> Option<Sensitive<'_>> {
    match Subprotocol::read(name) {
        Ok(Subprotocol::Ours) => None,
        Ok(Subprotocol::Token(token)) => Some(Sensitive::Token(token)),
        // It may be a part of a token in which a comma stands.
        Ok(Subprotocol::Other) => Some(Sensitive::Unread(name)),
        Err(_) => Some(Sensitive::Unusable(name)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::HeadScanner;

    /// Each part of a head that is not empty, with a letter for its kind.
    fn parts(text: &str) -> Vec<(char, &str)> {
        let mut scanner = HeadScanner::default();
        let head = scanner.scan(text.as_bytes()).unwrap().unwrap();
        let shown = |part| match part {
            Sensitive::Token(token) => ('t', token),
            Sensitive::Unusable(part) => ('u', str::from_utf8(part).unwrap()),
            Sensitive::Unread(part) => ('x', str::from_utf8(part).unwrap()),
        };
        let parts = sensitive(head).into_iter().map(shown);
        parts.filter(|(_, part)| !part.is_empty()).collect()
    }

    #[test]
    fn what_may_hold_a_secret_is_lent() {
        assert_eq!(
            parts("GET /ws?a=b?c HTTP/1.1\r\nHost: me:pass@h:1\r\nCookie: sid; b\r\n\r\n"),
            [('x', "a=b?c"), ('x', "me:pass"), ('x', "sid; b")]
        );
        assert_eq!(
            parts("GET http://a@b@h/c@d HTTP/1.1\r\nHost: h\r\nForwarded: for=h\r\n\r\n"),
            [('x', "a@b")]
        );
        let head = "GET / HTTP/1.1\r\nHost: h\r\n";
        for (field, part) in [
            ("Authorization: Basic c2Vj", ('x', "Basic c2Vj")),
            ("Authorization: bearer  c2Vj", ('t', "c2Vj")),
            ("Authorization: Bearer\tc2Vj", ('u', "c2Vj")),
        ] {
            assert_eq!(parts(&format!("{head}{field}\r\n\r\n")), [part]);
        }
        let offer = "framegate.v1, framegate.bearer.c2Vj, c2Vj, c(2)";
        assert_eq!(
            parts(&format!("{head}Sec-WebSocket-Protocol: {offer}\r\n\r\n")),
            [('t', "c2Vj"), ('x', "c2Vj"), ('u', "c(2)")]
        );
    }
}
