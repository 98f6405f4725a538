//! What of a request's head nobody reads. Other programs may have put secrets there, so one who shows
//! a head leaves it out.

use super::forwarded;
use super::head::{Head, split_once};
use super::request::{self, Authorization, Field};

/// The parts of a head that are not read, lent from it: the query, who is named ahead of a host (which
/// is an error, RFC 9110 §4.2.4), credentials of a scheme that is not ours, and the values of fields
/// that mean nothing to us.
pub fn unread(head: Head<'_>) -> Vec<&[u8]> {
    let target = head.bytes().split(|byte| *byte == b' ').nth(1);
    let target = target.unwrap_or_default();
    let (target, query) = split_once(target, b'?').unwrap_or((target, &[]));
    let mut unread = vec![query];
    if let Some(at) = target.windows(3).position(|window| window == b"://") {
        let authority = target[at + 3..].split(|byte| *byte == b'/').next();
        unread.push(user(authority.unwrap_or_default()));
    }
    for (name, value) in head.fields() {
        unread.push(match Field::named(name) {
            Some(Field::Host) => user(value),
            Some(Field::Authorization) => match request::authorization(value) {
                Authorization::OtherScheme => value,
                _ => &[],
            },
            None if !forwarded::is_read(name) => value,
            _ => &[],
        });
    }
    unread
}

/// Who is named ahead of the host.
fn user(authority: &[u8]) -> &[u8] {
    let user_bytes = authority.iter().rposition(|byte| *byte == b'@');
    &authority[..user_bytes.unwrap_or_default()]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::HeadScanner;

    #[test]
    fn what_is_not_read_of_a_head_is_lent() {
        for (text, wanted) in [
            (
                "GET /ws?a=b?c HTTP/1.1\r\nHost: me:pass@h:1\r\nCookie: sid; b\r\n\r\n",
                &["a=b?c", "me:pass", "sid; b"][..],
            ),
            (
                "GET http://a@b@h/c@d HTTP/1.1\r\nHost: h\r\nX-Forwarded-For: 192.0.2.1\r\n\r\n",
                &["a@b"],
            ),
            (
                "GET / HTTP/1.1\r\nHost: h\r\nAuthorization: Basic c2Vj\r\n\r\n",
                &["Basic c2Vj"],
            ),
            (
                "GET / HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer c2Vj\r\n\r\n",
                &[],
            ),
        ] {
            let mut scanner = HeadScanner::default();
            let head = scanner.scan(text.as_bytes()).unwrap().unwrap();
            let mut parts = unread(head);
            parts.retain(|part| !part.is_empty());
            let wanted: Vec<&[u8]> = wanted.iter().map(|part| part.as_bytes()).collect();
            assert_eq!(parts, wanted, "{text}");
        }
    }
}
