//! The opening handshake, from the server's side (RFC 6455 §4.2).

use std::fmt;

use tungstenite::handshake::derive_accept_key;

use super::head::is_token_byte;
use super::origin::Origins;
use super::request::{Authorization, Request, TransferEncoding};
use super::response::{self, Reply, ResponseField, Status};

/// The subprotocol we speak.
const SUBPROTOCOL: &[u8] = b"framegate.v1";
/// What stands before a token that is offered as a subprotocol.
const BEARER_PREFIX: &[u8] = b"framegate.bearer.";
/// `Sec-WebSocket-Key`, in bytes: 16 in base64 (RFC 6455 §4.1).
const KEY_BYTES: usize = 24;

/// A client's opening handshake, checked in full: all that is left to judge is its token.
#[derive(Clone, Copy, Debug)]
pub struct Upgrade<'a> {
    /// The token that came along, not yet judged.
    pub token: Option<HandshakeToken<'a>>,
    /// True exactly when the client offered `framegate.v1`.
    pub offers_subprotocol: bool,
    key: &'a [u8],
}

impl<'a> Upgrade<'a> {
    /// Checks a handshake clause by clause, in the order of RFC 6455 §4.2.1.
    ///
    /// # Errors
    /// The first clause it breaks.
    pub fn check(request: &Request<'a>, origins: Origins<'_>) -> Result<Upgrade<'a>, Rejection> {
        // §4.2.1 (1): a GET request of HTTP/1.1. The head's parser has seen to (2) Host.
        match request.method {
            "GET" => {}
            // RFC 9110 §9.3.2: told what a GET without an upgrade would be.
            "HEAD" => return Err(Rejection::NoUpgrade),
            _ => return Err(Rejection::Method),
        }
        // RFC 9110 §7.8: a server ignores an Upgrade in HTTP/1.0.
        if request.is_http_1_0 {
            return Err(Rejection::Http10);
        }
        // §4.2.1 (3): an Upgrade field containing the value "websocket", in any case.
        if !request.upgrade_names_websocket {
            return Err(Rejection::NoUpgrade);
        }
        // §4.2.1 (4): a Connection field that includes the token "upgrade", in any case.
        if !request.connection_names_upgrade {
            return Err(Rejection::Connection);
        }
        // RFC 9110 §9.3.1: content in a GET has no meaning, and may make two requests of one.
        if request.transfer_encoding != TransferEncoding::Absent
            || request.content_length.is_some_and(|length| length != 0)
        {
            return Err(Rejection::Body);
        }
        // §4.2.1 (5): a Sec-WebSocket-Key that, decoded, is 16 bytes in length.
        let key = request
            .websocket_key
            .filter(|key| is_key(key))
            .ok_or(Rejection::Key)?;
        // §4.2.1 (6): a Sec-WebSocket-Version with the value 13.
        if request.websocket_version_is_13 != Some(true) {
            return Err(Rejection::Version);
        }
        // §4.2.1 (7): Origin, which every browser sends.
        origins.check(request)?;
        // §4.2.1 (8): the subprotocols. (9): extensions, of which we know none.
        let offer = Offer::read(request)?;
        let token = token(request.authorization, offer.token)?;
        if offer.token.is_some() && !offer.subprotocol {
            return Err(Rejection::BearerAlone);
        }
        Ok(Upgrade {
            token,
            offers_subprotocol: offer.subprotocol,
            key,
        })
    }

    /// Writes our answer, a 101 (RFC 6455 §4.2.2 (5)), after what `out` holds. It names no
    /// subprotocol but ours, so that a token offered as one is never sent back.
    pub fn accept(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(
            b"HTTP/1.1 101 Switching Protocols\r\n\
            Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ",
        );
        out.extend_from_slice(derive_accept_key(self.key).as_bytes());
        if self.offers_subprotocol {
            out.extend_from_slice(b"\r\nSec-WebSocket-Protocol: ");
            out.extend_from_slice(SUBPROTOCOL);
        }
        out.extend_from_slice(b"\r\n\r\n");
    }
}

/// A token that came with the handshake, not yet judged.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct HandshakeToken<'a> {
    /// The token; it may be empty, and is anything but trusted.
    pub text: &'a str,
    /// Where it stood, which decides how a bad one is answered.
    pub source: TokenSource,
}

/// The token is never shown.
impl fmt::Debug for HandshakeToken<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "HandshakeToken({:?})", self.source)
    }
}

/// Where a handshake's token stood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenSource {
    /// `Authorization: Bearer`. A bad one is answered with [`Rejection::Token`].
    Authorization,
    /// `Sec-WebSocket-Protocol: framegate.bearer.…`, as browsers do. A bad one is answered
    /// with 101 and a Close, for a browser shows a script nothing of a 401.
    Subprotocol,
}

/// Why a handshake is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rejection {
    /// The method is another than GET and HEAD.
    Method,
    /// The request is of HTTP/1.0, which knows no upgrade.
    Http10,
    /// No upgrade to a WebSocket is asked for.
    NoUpgrade,
    /// `Connection` does not name `upgrade`.
    Connection,
    /// A body is announced.
    Body,
    /// `Sec-WebSocket-Key` is missing, or is not 16 bytes in base64.
    Key,
    /// `Sec-WebSocket-Version` is missing, doubled, or another than 13.
    Version,
    /// The page that asks is none of ours.
    Origin,
    /// An offered subprotocol is not a token in the sense of HTTP.
    Subprotocol,
    /// More than one access token came along.
    TwoTokens,
    /// A token is offered as a subprotocol, but `framegate.v1` is not. No answer would do: a
    /// browser fails a connection for which none of its subprotocols was chosen.
    BearerAlone,
    /// The token in `Authorization` is none we accept.
    Token,
    /// A token must come with the handshake, and none did.
    NoToken,
}

impl Rejection {
    /// The status it is answered with.
    pub const fn status(self) -> Status {
        match self {
            Rejection::Method => Status::MethodNotAllowed,
            // RFC 6455 §4.2.2 (4): another version is answered with 426.
            Rejection::Http10
            | Rejection::NoUpgrade
            | Rejection::Connection
            | Rejection::Version => Status::UpgradeRequired,
            Rejection::Origin => Status::Forbidden,
            Rejection::Token | Rejection::NoToken => Status::Unauthorized,
            _ => Status::BadRequest,
        }
    }

    /// One word for logs and metrics.
    pub const fn word(self) -> &'static str {
        match self {
            Rejection::Method => "method",
            Rejection::Http10 => "upgrade_in_http_1_0",
            Rejection::NoUpgrade => "no_upgrade",
            Rejection::Connection => "connection_field",
            Rejection::Body => "body_on_upgrade",
            Rejection::Key => "websocket_key",
            Rejection::Version => "websocket_version",
            Rejection::Origin => "origin",
            Rejection::Subprotocol => "subprotocol",
            Rejection::TwoTokens => "two_tokens",
            Rejection::BearerAlone => "bearer_alone",
            Rejection::Token => "handshake_token",
            Rejection::NoToken => "no_handshake_token",
        }
    }

    /// Writes the answer after what `out` holds.
    pub fn write(self, out: &mut Vec<u8>, reply: Reply<'_>) {
        response::write_line(out, reply, self.status(), self.fields(), &self);
    }

    const fn fields(self) -> &'static [ResponseField<'static>] {
        match self {
            Rejection::Method => &[("Allow", &"GET, HEAD")],
            // RFC 9110 §15.5.22: a 426 names the protocol in Upgrade.
            Rejection::Http10
            | Rejection::NoUpgrade
            | Rejection::Connection
            | Rejection::Version => &[("Upgrade", &"websocket"), ("Sec-WebSocket-Version", &"13")],
            // RFC 6750 §3.1.
            Rejection::Token => &[("WWW-Authenticate", &"Bearer error=\"invalid_token\"")],
            // RFC 6750 §3.1: without credentials no error is named.
            Rejection::NoToken => &[("WWW-Authenticate", &"Bearer")],
            _ => &[],
        }
    }
}

impl fmt::Display for Rejection {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Rejection::Method => "this path takes GET",
            Rejection::Http10 => {
                "a WebSocket needs HTTP/1.1, and this request is of HTTP/1.0: \
                 a proxy must be told (nginx: `proxy_http_version 1.1`)"
            }
            Rejection::NoUpgrade => {
                "this path speaks WebSocket: ask with `Upgrade: websocket` and `Connection: Upgrade`"
            }
            Rejection::Connection => {
                "the handshake needs `Connection: Upgrade` beside `Upgrade`: a proxy must set both"
            }
            Rejection::Body => {
                "the handshake must not have a body: no Transfer-Encoding, \
                 and no Content-Length but 0"
            }
            Rejection::Key => "Sec-WebSocket-Key must be 16 bytes in base64: 24 characters",
            Rejection::Version => "the handshake needs `Sec-WebSocket-Version: 13`, once: no other version is spoken here",
            Rejection::Origin => {
                "pages of this origin may not ask here: \
                 theirs must be the server's own, or one that ORIGINS names"
            }
            Rejection::Subprotocol => {
                "Sec-WebSocket-Protocol holds a name that is not a token (RFC 9110, 5.6.2)"
            }
            Rejection::TwoTokens => {
                "more than one access token came with the handshake: send one"
            }
            Rejection::BearerAlone => {
                "a token offered as a subprotocol needs `framegate.v1` offered beside it"
            }
            Rejection::Token => "the access token in Authorization is not accepted",
            Rejection::NoToken => {
                "an access token must come with the handshake: in `Authorization: Bearer`, \
                 or as the subprotocol `framegate.bearer.TOKEN` beside `framegate.v1`"
            }
        })
    }
}

impl std::error::Error for Rejection {}

/// What a name in `Sec-WebSocket-Protocol` is.
#[derive(Clone, Copy)]
pub enum Subprotocol<'a> {
    /// The subprotocol we speak.
    Ours,
    /// An access token.
    Token(&'a str),
    /// A subprotocol that we do not speak.
    Other,
}

impl<'a> Subprotocol<'a> {
    /// Reads one name of the list.
    ///
    /// # Errors
    /// [`Rejection::Subprotocol`], when it is not a token in the sense of HTTP.
    pub fn read(name: &'a [u8]) -> Result<Subprotocol<'a>, Rejection> {
        // RFC 6455 §11.3.4: the elements are tokens.
        if !name.iter().copied().all(is_token_byte) {
            return Err(Rejection::Subprotocol);
        }
        match name.strip_prefix(BEARER_PREFIX).map(str::from_utf8) {
            Some(token) => token
                .map(Subprotocol::Token)
                .map_err(|_| Rejection::Subprotocol),
            None if name == SUBPROTOCOL => Ok(Subprotocol::Ours),
            None => Ok(Subprotocol::Other),
        }
    }
}

/// What `Sec-WebSocket-Protocol` offers us.
#[derive(Default)]
struct Offer<'a> {
    subprotocol: bool,
    token: Option<&'a str>,
}

impl<'a> Offer<'a> {
    fn read(request: &Request<'a>) -> Result<Offer<'a>, Rejection> {
        let mut offer = Offer::default();
        for name in request.subprotocols() {
            match Subprotocol::read(name)? {
                Subprotocol::Ours => offer.subprotocol = true,
                Subprotocol::Token(token) if offer.token.is_none() => offer.token = Some(token),
                Subprotocol::Token(_) => return Err(Rejection::TwoTokens),
                Subprotocol::Other => {}
            }
        }
        Ok(offer)
    }
}

fn token<'a>(
    authorization: Authorization<'a>,
    offered: Option<&'a str>,
) -> Result<Option<HandshakeToken<'a>>, Rejection> {
    match (authorization, offered) {
        (Authorization::Absent | Authorization::OtherScheme, None) => Ok(None),
        (Authorization::Absent | Authorization::OtherScheme, Some(text)) => {
            Ok(Some(HandshakeToken {
                text,
                source: TokenSource::Subprotocol,
            }))
        }
        (Authorization::Bearer(text), None) => Ok(Some(HandshakeToken {
            text,
            source: TokenSource::Authorization,
        })),
        (Authorization::Unusable, None) => Err(Rejection::Token),
        // RFC 6750 §2: a client uses one method to send its token.
        (Authorization::Bearer(_) | Authorization::Unusable, Some(_)) => Err(Rejection::TwoTokens),
    }
}

/// True when `key` is the base64 of 16 bytes: 22 characters and two of padding. Of the last
/// character four bits are unused, and may be anything (RFC 4648 §3.5 leaves it to the decoder):
/// libraries of small devices do not clear them.
pub fn is_key(key: &[u8]) -> bool {
    let in_alphabet = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/');
    let body = key.strip_suffix(b"==");
    key.len() == KEY_BYTES && body.is_some_and(|body| body.iter().all(in_alphabet))
}

#[cfg(test)]
mod tests;
