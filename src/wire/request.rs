//! A request's head as values: what the server asks of it, each read in one way only.

use std::{fmt, iter};

use memchr::memchr;

use super::head::{Head, HeadError};

/// The header fields that mean something to us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field {
    /// `Host` (RFC 9110 §7.2).
    Host,
    /// `Origin` (RFC 6454 §7).
    Origin,
    /// `Authorization` (RFC 9110 §11.6.2).
    Authorization,
    /// `Connection` (RFC 9110 §7.6.1).
    Connection,
    /// `Upgrade` (RFC 9110 §7.8).
    Upgrade,
    /// `Content-Length` (RFC 9110 §8.6).
    ContentLength,
    /// `Transfer-Encoding` (RFC 9112 §6.1).
    TransferEncoding,
    /// `Expect` (RFC 9110 §10.1.1).
    Expect,
    /// `Sec-WebSocket-Key` (RFC 6455 §11.3.1).
    WebSocketKey,
    /// `Sec-WebSocket-Protocol` (RFC 6455 §11.3.4).
    WebSocketProtocol,
    /// `Sec-WebSocket-Version` (RFC 6455 §11.3.5).
    WebSocketVersion,
}

impl Field {
    const ALL: [Field; 11] = [
        Field::Host,
        Field::Origin,
        Field::Authorization,
        Field::Connection,
        Field::Upgrade,
        Field::ContentLength,
        Field::TransferEncoding,
        Field::Expect,
        Field::WebSocketKey,
        Field::WebSocketProtocol,
        Field::WebSocketVersion,
    ];

    /// The field's name, as its RFC writes it.
    pub const fn name(self) -> &'static str {
        match self {
            Field::Host => "Host",
            Field::Origin => "Origin",
            Field::Authorization => "Authorization",
            Field::Connection => "Connection",
            Field::Upgrade => "Upgrade",
            Field::ContentLength => "Content-Length",
            Field::TransferEncoding => "Transfer-Encoding",
            Field::Expect => "Expect",
            Field::WebSocketKey => "Sec-WebSocket-Key",
            Field::WebSocketProtocol => "Sec-WebSocket-Protocol",
            Field::WebSocketVersion => "Sec-WebSocket-Version",
        }
    }

    /// RFC 9110 §5.1: field names are case-insensitive.
    fn named(name: &[u8]) -> Option<Field> {
        Field::ALL
            .into_iter()
            .find(|field| name.eq_ignore_ascii_case(field.name().as_bytes()))
    }
}

/// What a request says of its sender.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Authorization<'a> {
    /// There is no `Authorization`.
    Absent,
    /// `Bearer` and what stands behind it: not empty, not yet judged (RFC 6750 §2.1).
    Bearer(&'a str),
    /// Another scheme, or `Bearer` and nothing readable: nobody we can let in.
    Unusable,
}

/// The token is never shown.
impl fmt::Debug for Authorization<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Authorization::Absent => "Absent",
            Authorization::Bearer(_) => "Bearer(…)",
            Authorization::Unusable => "Unusable",
        })
    }
}

/// A request without its body.
#[derive(Clone, Copy)]
pub struct Request<'a> {
    /// The method, in the case it was sent in: methods are case-sensitive.
    pub method: &'a str,
    /// The target up to its `?`; it begins with `/`. The query is read by nobody.
    pub path: &'a str,
    /// `host[:port]`, as sent: not empty, and nothing else in it.
    pub host: &'a str,
    /// The page that asks, where a browser does.
    pub origin: Option<&'a [u8]>,
    /// The credentials.
    pub authorization: Authorization<'a>,
    /// The body's announced length, in bytes.
    pub content_length: Option<u64>,
    /// True exactly when a `Transfer-Encoding` is there, whatever it says.
    pub has_transfer_encoding: bool,
    /// True exactly when an `Expect` is there, whatever it says.
    pub has_expectation: bool,
    /// What was received behind the head: a body's beginning, or nothing.
    pub behind_head: &'a [u8],
    /// True exactly when `websocket` is among the protocols of `Upgrade`.
    pub(super) upgrade_names_websocket: bool,
    /// True exactly when `upgrade` is among the options of `Connection`.
    pub(super) connection_names_upgrade: bool,
    /// True exactly when a `Sec-WebSocket-Protocol` is there, whatever it says.
    has_subprotocols: bool,
    pub(super) websocket_key: Option<&'a [u8]>,
    /// `Some(true)` exactly when there is one version, and it is 13.
    pub(super) websocket_version_is_13: Option<bool>,
    head: Head<'a>,
}

impl<'a> Request<'a> {
    /// Reads a head in one pass over its lines.
    ///
    /// # Errors
    /// [`HeadError`], when a field that may stand once stands twice, `Host` is missing, or a
    /// value we must understand has no meaning.
    pub fn parse(head: Head<'a>) -> Result<Request<'a>, HeadError> {
        let (method, path) = request_line(head).ok_or(HeadError::RequestLine)?;
        let mut request = Request {
            method,
            path,
            host: "",
            origin: None,
            authorization: Authorization::Absent,
            content_length: None,
            has_transfer_encoding: false,
            has_expectation: false,
            behind_head: head.behind(),
            upgrade_names_websocket: false,
            connection_names_upgrade: false,
            has_subprotocols: false,
            websocket_key: None,
            websocket_version_is_13: None,
            head,
        };
        for (name, value) in request.fields() {
            if let Some(field) = Field::named(name) {
                request.take(field, value)?;
            }
        }
        // RFC 9112 §3.2: a request that lacks Host is answered with 400.
        if request.host.is_empty() {
            Err(HeadError::Host)
        } else {
            Ok(request)
        }
    }

    /// Every field in its order: the name as sent, the value without the white space around it.
    pub fn fields(&self) -> impl Iterator<Item = (&'a [u8], &'a [u8])> + use<'a> {
        let lines = split_once(self.head.bytes(), b'\n');
        let mut lines = lines.map_or(&[][..], |(_, fields)| fields);
        iter::from_fn(move || {
            let (name, behind) = split_once(lines, b':')?;
            let (value, next) = split_once(behind, b'\n')?;
            lines = next;
            Some((name, value.trim_ascii()))
        })
    }

    /// The subprotocols offered, in the order of preference, over all lines.
    pub(super) fn subprotocols(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let fields = self.has_subprotocols.then(|| self.fields());
        fields
            .into_iter()
            .flatten()
            .filter(|(name, _)| Field::named(name) == Some(Field::WebSocketProtocol))
            .flat_map(|(_, value)| list(value))
    }

    fn take(&mut self, field: Field, value: &'a [u8]) -> Result<(), HeadError> {
        match field {
            // RFC 9112 §3.2: more than one Host, or an invalid one, is answered with 400.
            Field::Host if !self.host.is_empty() => return Err(HeadError::Repeated(field)),
            Field::Host => self.host = host(value).ok_or(HeadError::Host)?,
            Field::Origin => once(&mut self.origin, value, field)?,
            Field::Authorization if self.authorization != Authorization::Absent => {
                return Err(HeadError::Repeated(field));
            }
            Field::Authorization => self.authorization = authorization(value),
            Field::Connection => self.connection_names_upgrade |= names(value, b"upgrade"),
            Field::Upgrade => self.upgrade_names_websocket |= names(value, b"websocket"),
            // RFC 9112 §6.3: two lengths are an error even when they agree.
            Field::ContentLength => {
                let length = decimal(value).ok_or(HeadError::ContentLength)?;
                once(&mut self.content_length, length, field)?;
            }
            Field::TransferEncoding => self.has_transfer_encoding = true,
            Field::Expect => self.has_expectation = true,
            // RFC 6455 §11.3.1: the key must not appear more than once.
            Field::WebSocketKey => once(&mut self.websocket_key, value, field)?,
            // Read by whoever asks for `subprotocols`.
            Field::WebSocketProtocol => self.has_subprotocols = true,
            // Two lines are one list (RFC 9110 §5.3), and a list of versions is none of them.
            Field::WebSocketVersion => {
                self.websocket_version_is_13 =
                    Some(self.websocket_version_is_13.is_none() && value == b"13");
            }
        }
        Ok(())
    }
}

/// Neither credentials nor fields are shown.
impl fmt::Debug for Request<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Request({} {})", self.method, self.path)
    }
}

fn request_line(head: Head<'_>) -> Option<(&str, &str)> {
    let (method, behind) = split_once(head.bytes(), b' ')?;
    let (target, _) = split_once(behind, b' ')?;
    let path = split_once(target, b'?').map_or(target, |(path, _)| path);
    Some((str::from_utf8(method).ok()?, str::from_utf8(path).ok()?))
}

/// What stands before the first `byte`, and what behind it.
fn split_once(bytes: &[u8], byte: u8) -> Option<(&[u8], &[u8])> {
    let at = memchr(byte, bytes)?;
    Some((&bytes[..at], &bytes[at + 1..]))
}

fn once<T>(slot: &mut Option<T>, value: T, field: Field) -> Result<(), HeadError> {
    match slot.replace(value) {
        None => Ok(()),
        Some(_) => Err(HeadError::Repeated(field)),
    }
}

/// RFC 9110 §7.2: Host = uri-host [ ":" port ]. Of RFC 3986's sub-delims, which no name or
/// address has, none is let in.
fn host(value: &[u8]) -> Option<&str> {
    let sound = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~%:[]".contains(byte);
    let host = str::from_utf8(value).ok()?;
    (!host.is_empty() && !host.starts_with(':') && value.iter().all(sound)).then_some(host)
}

/// RFC 9110 §11.4: credentials = auth-scheme 1*SP token68; the scheme is case-insensitive.
fn authorization(value: &[u8]) -> Authorization<'_> {
    match str::from_utf8(value)
        .ok()
        .and_then(|text| text.split_once(' '))
    {
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case("bearer") => {
            Authorization::Bearer(rest.trim_start_matches(' '))
        }
        _ => Authorization::Unusable,
    }
}

/// RFC 9110 §8.6: Content-Length = 1*DIGIT, and nothing `str::parse` would take beside it.
fn decimal(value: &[u8]) -> Option<u64> {
    if !value.iter().all(u8::is_ascii_digit) {
        return None;
    }
    str::from_utf8(value).ok()?.parse().ok()
}

fn names(value: &[u8], token: &[u8]) -> bool {
    list(value).any(|element| element.eq_ignore_ascii_case(token))
}

/// RFC 9110 §5.6.1: a recipient ignores empty list elements.
fn list(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value
        .split(|byte| *byte == b',')
        .map(<[u8]>::trim_ascii)
        .filter(|element| !element.is_empty())
}

#[cfg(test)]
mod tests;
