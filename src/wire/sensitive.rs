//! Where in a request's head secrets may stand: tokens, what nobody reads, where other programs may
//! have put theirs, and what is refused; and what is to be seen of a text that is none. One who shows
//! what peers sent shows something else there.

use super::forwarded;
use super::head::{Head, HeadError};
use super::request::{self, Authorization, Field};
use super::upgrade::{self, Subprotocol};

/// The name of the scheme whose credentials are ours.
const SCHEME_BYTES: usize = "Bearer".len();

/// A part of a head, lent from it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Sensitive<'a> {
    /// A token.
    Token(&'a str),
    /// What is refused, and for the same reason when it is all `@`.
    Refused(&'a [u8]),
    /// What is not read, or says as much when it is all `x`.
    Unread(&'a [u8]),
}

/// The parts of a head that may hold a secret. In none of them are the method, the path, the host, the
/// names of fields, and the values that we know.
pub fn sensitive(head: Head<'_>) -> Vec<Sensitive<'_>> {
    let mut parts = Vec::new();
    target(head, &mut parts);
    for (name, value) in head.fields() {
        match Field::named(name) {
            Some(field) => known(field, value, &mut parts),
            None if forwarded::is_read(name) => forwarded::unread(name, value, &mut parts),
            None => parts.push(Sensitive::Unread(value)),
        }
    }
    parts
}

/// Writes over the parts of a copy of `head` that may hold a secret, so that it says as much as before:
/// over a token what `token_for` makes of it, which is as long.
pub fn fill_sensitive(head: Head<'_>, copy: &mut [u8], token_for: impl Fn(&str) -> String) {
    let text_at = head.bytes().as_ptr().addr();
    let mut place = |part: &[u8], write: &dyn Fn(&mut [u8])| {
        let start = part.as_ptr().addr().wrapping_sub(text_at);
        let place = copy.get_mut(start..start.wrapping_add(part.len()));
        // A part that is empty may be lent from anywhere.
        write(place.unwrap_or_default());
    };
    for part in sensitive(head) {
        match part {
            Sensitive::Token(token) => place(token.as_bytes(), &|place| {
                place.copy_from_slice(token_for(token).as_bytes());
            }),
            Sensitive::Refused(part) => place(part, &|place| place.fill(b'@')),
            Sensitive::Unread(part) => place(part, &|place| place.fill(b'x')),
        }
    }
}

/// The target's query and fragment, its host, and who is named in it, which is an error (RFC 9110
/// §4.2.4) or makes a path that is none of ours.
fn target<'a>(head: Head<'a>, parts: &mut Vec<Sensitive<'a>>) {
    let target = head.bytes().split(|byte| *byte == b' ').nth(1);
    let target = target.unwrap_or_default();
    let end = target.iter().position(|byte| b"?#".contains(byte));
    let (target, rest) = target.split_at(end.unwrap_or(target.len()));
    parts.push(Sensitive::Unread(rest.get(1..).unwrap_or_default()));
    let absolute = str::from_utf8(target).ok().and_then(request::absolute);
    let path = match absolute {
        Some((authority, path)) => {
            parts.extend(host(authority.as_bytes()));
            path.as_bytes()
        }
        None if target.starts_with(b"/") || target == b"*" => target,
        // It is of no form that is known.
        None => return parts.push(Sensitive::Unread(target)),
    };
    parts.push(user(path.strip_prefix(b"/").unwrap_or_default()));
}

/// A value of a field that means something to us.
fn known<'a>(field: Field, value: &'a [u8], parts: &mut Vec<Sensitive<'a>>) {
    let is_sound = match field {
        Field::Host => return parts.extend(host(value)),
        Field::Origin => return parts.push(user(value)),
        Field::Authorization => return parts.push(credentials(value)),
        Field::WebSocketProtocol => {
            return parts.extend(request::list(value).filter_map(subprotocol));
        }
        Field::Connection => return others(value, b"upgrade", parts),
        Field::Upgrade => return others(value, b"websocket", parts),
        Field::Expect => return others(value, b"100-continue", parts),
        Field::ContentLength => request::content_length(value) != Err(HeadError::ContentLength),
        Field::TransferEncoding => value.eq_ignore_ascii_case(b"chunked"),
        Field::WebSocketKey => upgrade::is_key(value),
        Field::WebSocketVersion => value == b"13",
    };
    if !is_sound {
        parts.push(Sensitive::Refused(value));
    }
}

/// The elements of a list but the one that we know.
fn others<'a>(value: &'a [u8], known: &[u8], parts: &mut Vec<Sensitive<'a>>) {
    let others = request::list(value).filter(|element| !element.eq_ignore_ascii_case(known));
    parts.extend(others.map(Sensitive::Unread));
}

fn host(value: &[u8]) -> Option<Sensitive<'_>> {
    request::host(value)
        .is_none()
        .then_some(Sensitive::Refused(value))
}

/// Who is named ahead of a host, with what else stands there.
fn user(value: &[u8]) -> Sensitive<'_> {
    let user_bytes = value.iter().rposition(|byte| *byte == b'@');
    Sensitive::Unread(&value[..user_bytes.unwrap_or_default()])
}

fn credentials(value: &[u8]) -> Sensitive<'_> {
    match request::authorization(value) {
        Authorization::Bearer(token) => Sensitive::Token(token),
        Authorization::Unusable => Sensitive::Refused(&value[SCHEME_BYTES..]),
        Authorization::OtherScheme | Authorization::Absent => Sensitive::Unread(value),
    }
}

fn subprotocol(name: &[u8]) -> Option<Sensitive<'_>> {
    match Subprotocol::read(name) {
        Ok(Subprotocol::Ours) => None,
        Ok(Subprotocol::Token(token)) => Some(Sensitive::Token(token)),
        // It may be a part of a token in which a comma stands.
        Ok(Subprotocol::Other) => Some(Sensitive::Unread(name)),
        Err(_) => Some(Sensitive::Refused(name)),
    }
}

/// Fills up all of a text but the bytes at which it is found to be none.
pub fn blank_text(bytes: &mut [u8]) {
    let error = str::from_utf8(bytes).err();
    let bad_at = error.map_or(bytes.len(), |error| error.valid_up_to());
    let bad_bytes = error.and_then(|error| error.error_len());
    let rest_at = bad_bytes.map_or(bytes.len(), |bad_bytes| bad_at + bad_bytes);
    bytes[..bad_at].fill(b'x');
    bytes[rest_at..].fill(b'x');
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
            Sensitive::Refused(part) => ('r', str::from_utf8(part).unwrap()),
            Sensitive::Unread(part) => ('x', str::from_utf8(part).unwrap()),
        };
        let parts = sensitive(head).into_iter().map(shown);
        parts.filter(|(_, part)| !part.is_empty()).collect()
    }

    #[test]
    fn what_may_hold_a_secret_is_lent() {
        let head = "GET / HTTP/1.1\r\nHost: h\r\n";
        assert_eq!(
            parts("GET /ws?a=b?c HTTP/1.1\r\nHost: me:pass@h:1\r\nCookie: sid; b\r\n\r\n"),
            [('x', "a=b?c"), ('r', "me:pass@h:1"), ('x', "sid; b")]
        );
        assert_eq!(
            parts("GET http://a@b@h/c@d HTTP/1.1\r\nHost: h\r\nForwarded: for=h\r\n\r\n"),
            [('r', "a@b@h"), ('x', "c"), ('x', "h")]
        );
        for (field, wanted) in [
            ("Authorization: Basic c2Vj", &[('x', "Basic c2Vj")][..]),
            ("Authorization: bearer  c2Vj", &[('t', "c2Vj")]),
            ("Authorization: Bearer\tc2Vj", &[('r', "\tc2Vj")]),
            ("Origin: http://a@h", &[('x', "http://a")]),
            ("Connection: a, upgrade,b", &[('x', "a"), ('x', "b")]),
            ("Expect: a", &[('x', "a")]),
            ("Content-Length: 1", &[]),
            ("Content-Length: -1", &[('r', "-1")]),
            ("Transfer-Encoding: gzip", &[('r', "gzip")]),
            ("Sec-WebSocket-Key: key", &[('r', "key")]),
            ("Sec-WebSocket-Version: 8", &[('r', "8")]),
            ("Sec-WebSocket-Version: 13", &[]),
            ("X-Forwarded-For: ::1, a", &[('x', "a")]),
        ] {
            let head = format!("{head}{field}\r\n\r\n");
            assert_eq!(parts(&head), *wanted, "{field}");
        }
        let offer = "framegate.v1, framegate.bearer.c2Vj, c2Vj, c(2)";
        assert_eq!(
            parts(&format!("{head}Sec-WebSocket-Protocol: {offer}\r\n\r\n")),
            [('t', "c2Vj"), ('x', "c2Vj"), ('r', "c(2)")]
        );
    }
}
