//! A request's head as values: what the server asks of it, each read in one way only.

use std::fmt;
use std::net::Ipv6Addr;

use super::head::{Head, HeadError, is_token_byte, split_once};

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
    pub fn named(name: &[u8]) -> Option<Field> {
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
    /// `Bearer` and what stands after it: not yet judged (RFC 6750 §2.1).
    Bearer(&'a str),
    /// `Bearer`, and nothing readable after it: nobody we can let in.
    Unusable,
    /// Another scheme. It is a proxy's affair, or another program's, and no token of ours.
    OtherScheme,
}

/// The token is never shown.
impl fmt::Debug for Authorization<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Authorization::Absent => "Absent",
            Authorization::Bearer(_) => "Bearer(…)",
            Authorization::Unusable => "Unusable",
            Authorization::OtherScheme => "OtherScheme",
        })
    }
}

/// How a request's body is coded on its way (RFC 9112 §6.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TransferEncoding {
    /// There is no `Transfer-Encoding`.
    Absent,
    /// `chunked`, once, and nothing else.
    Chunked,
    /// Anything else, and anything in HTTP/1.0.
    Other,
}

/// What a client waits for before it sends its body (RFC 9110 §10.1.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expectation {
    /// Nothing.
    None,
    /// `100-continue`.
    Continue,
    /// Something that we do not know.
    Unknown,
}

/// A request without its body.
#[derive(Clone, Copy)]
pub struct Request<'a> {
    /// The method, in the case it was sent in: methods are case-sensitive.
    pub method: &'a str,
    /// The target's path; it begins with `/`, or is `*` where the method is OPTIONS. The query is
    /// read by nobody.
    pub path: &'a str,
    /// True exactly when the request is of HTTP/1.0.
    pub is_http_1_0: bool,
    /// `host[:port]`, as sent, and nothing else in it: the target's where that names one, else
    /// that of `Host`. Empty exactly when HTTP/1.0 names none.
    pub host: &'a str,
    /// The page that asks, where a browser does.
    pub origin: Option<&'a [u8]>,
    /// The credentials.
    pub authorization: Authorization<'a>,
    /// The body's announced length, in bytes.
    pub content_length: Option<u64>,
    /// How the body is coded.
    pub transfer_encoding: TransferEncoding,
    /// What the client waits for.
    pub expectation: Expectation,
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
        let (method, target, version) = request_line(head).ok_or(HeadError::RequestLine)?;
        let Target { authority, path } = Target::parse(method, target)?;
        let mut request = Request {
            method,
            path,
            is_http_1_0: version == b"HTTP/1.0",
            host: "",
            origin: None,
            authorization: Authorization::Absent,
            content_length: None,
            transfer_encoding: TransferEncoding::Absent,
            expectation: Expectation::None,
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
        // RFC 9112 §3.2: a request of HTTP/1.1 that lacks Host is answered with 400.
        if request.host.is_empty() && !request.is_http_1_0 {
            return Err(HeadError::Host);
        }
        // RFC 9112 §3.2.2: the target's authority takes the place of what Host says.
        request.host = authority.unwrap_or(request.host);
        request.heed_version();
        Ok(request)
    }

    /// HTTP/1.0 knows neither a coding nor an expectation.
    fn heed_version(&mut self) {
        if self.is_http_1_0 {
            // RFC 9110 §10.1.1: a server ignores a 100-continue of HTTP/1.0.
            self.expectation = Expectation::None;
            // RFC 9112 §6.1: a Transfer-Encoding in HTTP/1.0 is faulty framing.
            if self.transfer_encoding != TransferEncoding::Absent {
                self.transfer_encoding = TransferEncoding::Other;
            }
        }
    }

    /// Every field in its order: the name as sent, the value without the white space around it.
    pub fn fields(&self) -> impl Iterator<Item = (&'a [u8], &'a [u8])> + use<'a> {
        self.head.fields()
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
                let length = content_length(value)?;
                once(&mut self.content_length, length, field)?;
            }
            Field::TransferEncoding => {
                self.transfer_encoding = transfer_encoding(self.transfer_encoding, value);
            }
            Field::Expect => self.expectation = expectation(self.expectation, value),
            // RFC 6455 §11.3.1: the key must not appear more than once.
            Field::WebSocketKey => once(&mut self.websocket_key, value, field)?,
            // Read when `subprotocols` is asked for.
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

/// The method, the target and the version.
fn request_line(head: Head<'_>) -> Option<(&str, &str, &[u8])> {
    let (method, behind) = split_once(head.bytes(), b' ')?;
    let (target, behind) = split_once(behind, b' ')?;
    let (version, _) = split_once(behind, b'\r')?;
    Some((
        str::from_utf8(method).ok()?,
        str::from_utf8(target).ok()?,
        version,
    ))
}

/// What a request asks for.
struct Target<'a> {
    /// `host[:port]`, where the target names one.
    authority: Option<&'a str>,
    path: &'a str,
}

impl<'a> Target<'a> {
    fn parse(method: &str, target: &'a str) -> Result<Target<'a>, HeadError> {
        let target = target.split_once('?').map_or(target, |(target, _)| target);
        // RFC 9112 §3.2.1: origin-form. §3.2.4: asterisk-form is for OPTIONS alone.
        if target.starts_with('/') || method == "OPTIONS" && target == "*" {
            let authority = None;
            return Ok(Target {
                authority,
                path: target,
            });
        }
        let (authority, path) = absolute(target).ok_or(HeadError::Target)?;
        Ok(Target {
            // RFC 9110 §4.2.4: one with a user's name in it is an error.
            authority: Some(host(authority.as_bytes()).ok_or(HeadError::Host)?),
            // RFC 9110 §4.2.3: an empty path is `/`.
            path: if path.is_empty() { "/" } else { path },
        })
    }
}

/// The authority and the path of a target in absolute-form, `http[s]://authority/path`. RFC 9112
/// §3.2.2: a server accepts it. Of its schemes, ours alone.
pub fn absolute(target: &str) -> Option<(&str, &str)> {
    let (scheme, rest) = target.split_once("://")?;
    let is_ours = ["http", "https"].contains(&&*scheme.to_ascii_lowercase());
    is_ours.then(|| rest.split_at(rest.find('/').unwrap_or(rest.len())))
}

fn once<T>(slot: &mut Option<T>, value: T, field: Field) -> Result<(), HeadError> {
    match slot.replace(value) {
        None => Ok(()),
        Some(_) => Err(HeadError::Repeated(field)),
    }
}

/// RFC 9110 §7.2: Host = uri-host [ ":" port ], to the letter of RFC 3986 §3.2.2 and §3.2.3, but
/// that no name is empty (RFC 9110 §4.2.1).
pub fn host(value: &[u8]) -> Option<&str> {
    let host = str::from_utf8(value).ok()?;
    let is_sound = match host.strip_prefix('[') {
        Some(rest) => {
            let (literal, port) = rest.split_once(']')?;
            is_ip_literal(literal)
                && (port.is_empty() || port.strip_prefix(':').is_some_and(is_port))
        }
        None => {
            let (name, port) = host.split_once(':').unwrap_or((host, ""));
            !name.is_empty() && is_name(name) && is_port(port)
        }
    };
    is_sound.then_some(host)
}

/// RFC 3986 §3.2.3: port = *DIGIT.
fn is_port(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit())
}

/// RFC 3986 §3.2.2: IPv6address / IPvFuture.
fn is_ip_literal(text: &str) -> bool {
    let future = text
        .strip_prefix(['v', 'V'])
        .and_then(|future| future.split_once('.'));
    match future {
        Some((version, address)) => {
            !version.is_empty()
                && version.bytes().all(|byte| byte.is_ascii_hexdigit())
                && !address.is_empty()
                && address
                    .bytes()
                    .all(|byte| is_name_byte(byte) || byte == b':')
        }
        None => text.parse::<Ipv6Addr>().is_ok(),
    }
}

/// RFC 3986 §3.2.2: reg-name = *( unreserved / pct-encoded / sub-delims ). An IPv4 address is such
/// a name.
fn is_name(text: &str) -> bool {
    let mut parts = text.split('%');
    let first = parts.next().unwrap_or_default();
    first.bytes().all(is_name_byte)
        && parts.all(|part| {
            let digits = part.bytes().take_while(u8::is_ascii_hexdigit).count();
            digits >= 2 && part.bytes().all(is_name_byte)
        })
}

/// RFC 3986 §2.2, §2.3: unreserved / sub-delims.
fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=".contains(&byte)
}

/// What the value of `Authorization` says. RFC 9110 §11.4: credentials = auth-scheme 1*SP token68;
/// the scheme is case-insensitive.
pub fn authorization(value: &[u8]) -> Authorization<'_> {
    let is_other = |byte: &u8| !is_token_byte(*byte);
    let scheme_bytes = value.iter().position(is_other).unwrap_or(value.len());
    let (scheme, rest) = value.split_at(scheme_bytes);
    if !scheme.eq_ignore_ascii_case(b"bearer") {
        return Authorization::OtherScheme;
    }
    match str::from_utf8(rest)
        .ok()
        .and_then(|rest| rest.strip_prefix(' '))
    {
        Some(token) => Authorization::Bearer(token.trim_start_matches(' ')),
        None => Authorization::Unusable,
    }
}

/// RFC 9112 §6.1, §6.3: a body whose last coding is not `chunked` has no end that anybody knows.
fn transfer_encoding(before: TransferEncoding, value: &[u8]) -> TransferEncoding {
    let is_chunked = value.eq_ignore_ascii_case(b"chunked");
    match (before, is_chunked) {
        (TransferEncoding::Absent, true) => TransferEncoding::Chunked,
        _ => TransferEncoding::Other,
    }
}

/// RFC 9110 §10.1.1: Expect = #expectation, and the one that is specified is case-insensitive.
fn expectation(before: Expectation, value: &[u8]) -> Expectation {
    list(value).fold(before, |before, expected| {
        let is_known =
            before != Expectation::Unknown && expected.eq_ignore_ascii_case(b"100-continue");
        if is_known {
            Expectation::Continue
        } else {
            Expectation::Unknown
        }
    })
}

/// RFC 9110 §8.6: a recipient refuses a list of lengths, or takes one for all when they agree. It
/// is HTTP all the same.
pub fn content_length(value: &[u8]) -> Result<u64, HeadError> {
    let mut lengths = value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii);
    let first = lengths.next().and_then(decimal);
    let first = first.ok_or(HeadError::ContentLength)?;
    match lengths
        .map(decimal)
        .try_fold(0, |count, one| one.map(|_| count + 1))
    {
        Some(0) => Ok(first),
        Some(_) => Err(HeadError::Repeated(Field::ContentLength)),
        None => Err(HeadError::ContentLength),
    }
}

/// 1*DIGIT, and nothing `str::parse` would take beside it. What no `u64` holds is as much as one
/// can hold, which is too long for everybody.
fn decimal(value: &[u8]) -> Option<u64> {
    if value.is_empty() || !value.iter().all(u8::is_ascii_digit) {
        return None;
    }
    Some(str::from_utf8(value).ok()?.parse().unwrap_or(u64::MAX))
}

fn names(value: &[u8], token: &[u8]) -> bool {
    list(value).any(|element| element.eq_ignore_ascii_case(token))
}

/// The elements of a value that is a list. RFC 9110 §5.6.1: a recipient ignores empty ones.
pub fn list(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value
        .split(|byte| *byte == b',')
        .map(<[u8]>::trim_ascii)
        .filter(|element| !element.is_empty())
}

#[cfg(test)]
mod tests;
