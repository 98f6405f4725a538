//! A request's fields, read by the program and as a list of lines.

use super::answer::{assert_answer, assert_framed};
use super::client::assert_client;
use super::handshake::assert_handshake;
use crate::told::{assert_prints, assert_told};
use framegate::internals::wire::{Authorization, Head, Request};

pub(super) fn request(head: Head<'_>) {
    let fields = Fields::of(head);
    match Request::parse(head) {
        Ok(request) => {
            assert!(fields.fault().is_none());
            assert!(request.path.starts_with('/') || request.path == "*");
            assert!(!request.path.contains('?'));
            assert_eq!(Some(request.path), fields.target().map(|(_, path)| path));
            assert_eq!(request.is_http_1_0, fields.is_http_1_0);
            assert_prints(
                &request,
                &format!("Request({} {})", request.method, request.path),
            );
            assert_prints(&request.authorization, authorization(request.authorization));
            assert_framed(request.path.as_bytes());
            assert_client(&request, &fields);
            assert_handshake(&request, &fields);
        }
        Err(error) => {
            assert_eq!(fields.fault(), Some(error.word()));
            assert_told(error.word(), &error);
            assert_answer(|out, reply| error.write(out, reply), error.status().code());
        }
    }
}

/// What may be shown of credentials: of which kind they are.
fn authorization(credentials: Authorization<'_>) -> &'static str {
    match credentials {
        Authorization::Absent => "Absent",
        Authorization::Bearer(_) => "Bearer(…)",
        Authorization::Unusable => "Unusable",
        Authorization::OtherScheme => "OtherScheme",
    }
}

/// A head taken apart, the slow way.
pub(super) struct Fields<'h> {
    pub(super) method: &'h [u8],
    pub(super) is_http_1_0: bool,
    target: &'h [u8],
    /// Names in lower case.
    fields: Vec<(String, &'h [u8])>,
}

impl<'h> Fields<'h> {
    fn of(head: Head<'h>) -> Fields<'h> {
        let mut lines = head.bytes().split(|byte| *byte == b'\n');
        let request_line = lines.next().unwrap_or_default().trim_ascii_end();
        let mut words = request_line.split(|byte| *byte == b' ');
        let method = words.next().unwrap_or_default();
        let target = words.next().unwrap_or_default();
        let version = words.next().unwrap_or_default();
        let field = |line: &'h [u8]| {
            let colon = line.iter().position(|byte| *byte == b':')?;
            let name = String::from_utf8_lossy(&line[..colon]).to_ascii_lowercase();
            Some((name, line[colon + 1..].trim_ascii()))
        };
        Fields {
            method,
            is_http_1_0: version == b"HTTP/1.0",
            target,
            fields: lines.filter_map(field).collect(),
        }
    }

    pub(super) fn all(&self, name: &str) -> Vec<&'h [u8]> {
        let named = self.fields.iter().filter(|(other, _)| other == name);
        named.map(|(_, value)| *value).collect()
    }

    pub(super) fn first(&self, name: &str) -> Option<&'h [u8]> {
        self.all(name).first().copied()
    }

    /// The elements of a list, over all lines of its field.
    pub(super) fn list(&self, name: &str) -> Vec<String> {
        let lines: Vec<_> = self
            .all(name)
            .into_iter()
            .map(String::from_utf8_lossy)
            .collect();
        let elements = lines.iter().flat_map(|line| line.split(','));
        let elements = elements.map(|element| element.trim_matches([' ', '\t']).to_owned());
        elements.filter(|element| !element.is_empty()).collect()
    }

    /// RFC 9112 §3.2: the authority, where the target names one, and the path.
    fn target(&self) -> Option<(Option<&'h str>, &'h str)> {
        let target = str::from_utf8(self.target).ok()?;
        let target = target.split('?').next()?;
        if target.starts_with('/') || target == "*" && self.method == b"OPTIONS" {
            return Some((None, target));
        }
        let rest = ["http://", "https://"].iter().find_map(|scheme| {
            let (start, rest) = target.split_at_checked(scheme.len())?;
            start.eq_ignore_ascii_case(scheme).then_some(rest)
        })?;
        let authority = rest.split('/').next()?;
        let path = &rest[authority.len()..];
        Some((Some(authority), if path.is_empty() { "/" } else { path }))
    }

    /// The word of the error that the first field to be at fault makes; RFC 9112 §3.2, §6.3.
    fn fault(&self) -> Option<&'static str> {
        let Some((authority, _)) = self.target() else {
            return Some("request_target");
        };
        if authority.is_some_and(|authority| !is_host(authority.as_bytes())) {
            return Some("host");
        }
        let single = [
            "host",
            "origin",
            "authorization",
            "content-length",
            "sec-websocket-key",
        ];
        for (index, (name, value)) in self.fields.iter().enumerate() {
            let earlier = &self.fields[..index];
            let is_repeated = earlier.iter().any(|(other, _)| other == name);
            match &**name {
                "host" if !is_repeated && !is_host(value) => return Some("host"),
                "content-length" if !value.split(|byte| *byte == b',').all(is_length) => {
                    return Some("content_length");
                }
                "content-length" if value.contains(&b',') => return Some("repeated_field"),
                name if is_repeated && single.contains(&name) => return Some("repeated_field"),
                _ => {}
            }
        }
        (self.first("host").is_none() && !self.is_http_1_0).then_some("host")
    }
}

/// RFC 9110 §7.2, RFC 3986 §3.2.2.
fn is_host(value: &[u8]) -> bool {
    let Ok(text) = str::from_utf8(value) else {
        return false;
    };
    let is_name_byte = |c: char| c.is_ascii_alphanumeric() || "-._~!$&'()*+,;=".contains(c);
    let colon = text.rfind(':').filter(|at| !text[*at..].contains(']'));
    let (name, port) = text.split_at(colon.unwrap_or(text.len()));
    if !port.chars().skip(1).all(|c| c.is_ascii_digit()) {
        return false;
    }
    if let Some(literal) = name
        .strip_prefix('[')
        .and_then(|name| name.strip_suffix(']'))
    {
        let version = literal
            .strip_prefix(['v', 'V'])
            .and_then(|rest| rest.split_once('.'));
        return literal.parse::<std::net::Ipv6Addr>().is_ok()
            || version.is_some_and(|(version, rest)| {
                !version.is_empty()
                    && version.chars().all(|c| c.is_ascii_hexdigit())
                    && !rest.is_empty()
                    && rest.chars().all(|c| is_name_byte(c) || c == ':')
            });
    }
    let mut rest = name;
    while let Some(c) = rest.chars().next() {
        rest = match rest.as_bytes() {
            [b'%', one, other, ..] if one.is_ascii_hexdigit() && other.is_ascii_hexdigit() => {
                &rest[3..]
            }
            _ if is_name_byte(c) => &rest[1..],
            _ => return false,
        };
    }
    !name.is_empty()
}

fn is_length(value: &[u8]) -> bool {
    let digits = value.trim_ascii();
    !digits.is_empty() && digits.iter().all(u8::is_ascii_digit)
}
