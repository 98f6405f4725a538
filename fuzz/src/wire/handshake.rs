//! The opening handshake, clause by clause, over the list of a request's fields.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::answer::assert_answer;
use super::head::is_token;
use super::request::Fields;
use crate::told::{assert_prints, assert_told};
use framegate::internals::wire::{Origins, Rejection, Request, TokenSource, Upgrade};

/// The clauses of the handshake, in the order of RFC 6455 §4.2.1.
const CLAUSES: [Rejection; 12] = [
    Rejection::Method,
    Rejection::Http10,
    Rejection::NoUpgrade,
    Rejection::Connection,
    Rejection::Body,
    Rejection::Key,
    Rejection::Version,
    Rejection::Origin,
    Rejection::Subprotocol,
    Rejection::TwoTokens,
    Rejection::BearerAlone,
    Rejection::Token,
];

/// The first clause that is broken is the one a handshake is refused for.
pub(super) fn assert_handshake(request: &Request<'_>, fields: &Fields<'_>) {
    let listed = ["https://chat.example".to_owned()];
    assert_origins(request, fields, &listed);
    let broken = |clause: &Rejection| is_broken(*clause, fields, request, &listed);
    match Upgrade::check(request, Origins::OwnAnd(&listed)) {
        Err(rejection) => {
            assert_eq!(
                CLAUSES.iter().find(|clause| broken(clause)),
                Some(&rejection)
            );
            assert_refusal(rejection);
        }
        Ok(upgrade) => {
            assert_eq!(CLAUSES.iter().find(|clause| broken(clause)), None);
            // Who is let in by a list is let in by none.
            assert!(Upgrade::check(request, Origins::Any).is_ok());
            assert_accepted(&upgrade, fields);
            // What is left to say of it is for those who know tokens.
            assert_refusal(match upgrade.token {
                Some(_) => Rejection::Token,
                None => Rejection::NoToken,
            });
        }
    }
}

/// RFC 9110 §15.5.2: a 401 says how to do better; RFC 6750 §3.1: and, where there was a token,
/// that it was none.
fn assert_refusal(rejection: Rejection) {
    assert_told(rejection.word(), &rejection);
    let code = rejection.status().code();
    let head = assert_answer(|out, reply| rejection.write(out, reply), code);
    let challenges = head
        .split("\r\n")
        .filter_map(|line| line.strip_prefix("WWW-Authenticate: "));
    let challenges: Vec<_> = challenges.collect();
    match rejection {
        Rejection::Token => assert_eq!(challenges, [r#"Bearer error="invalid_token""#]),
        Rejection::NoToken => assert_eq!(challenges, ["Bearer"]),
        _ => assert!(challenges.is_empty() && code != 401),
    }
}

fn is_broken(
    clause: Rejection,
    fields: &Fields<'_>,
    request: &Request<'_>,
    listed: &[String],
) -> bool {
    let names = |name, wanted: &str| {
        let mut elements = fields.list(name).into_iter();
        elements.any(|element| element.eq_ignore_ascii_case(wanted))
    };
    match clause {
        Rejection::Method => !matches!(fields.method, b"GET" | b"HEAD"),
        Rejection::Http10 => fields.method == b"GET" && fields.is_http_1_0,
        Rejection::NoUpgrade => fields.method == b"HEAD" || !names("upgrade", "websocket"),
        Rejection::Connection => !names("connection", "upgrade"),
        Rejection::Body => {
            let is_zero = |value: &[u8]| value.iter().all(|digit| *digit == b'0');
            fields.first("transfer-encoding").is_some()
                || fields
                    .first("content-length")
                    .is_some_and(|value| !is_zero(value))
        }
        Rejection::Key => !fields.first("sec-websocket-key").is_some_and(is_key),
        Rejection::Version => fields.all("sec-websocket-version") != [b"13"],
        Rejection::Origin => {
            let origin = fields.first("origin");
            origin.is_some_and(|origin| !is_welcome(origin, request.host, listed))
        }
        Rejection::Subprotocol => {
            let mut tokens = 0;
            fields.list("sec-websocket-protocol").iter().any(|name| {
                // After a second token nothing is read.
                let is_broken = tokens < 2 && !is_token(name.as_bytes());
                tokens += usize::from(name.starts_with(BEARER));
                is_broken
            })
        }
        Rejection::TwoTokens => tokens(fields).len() > 1,
        Rejection::BearerAlone => {
            let offered = fields.list("sec-websocket-protocol");
            offered.iter().any(|name| name.starts_with(BEARER))
                && !offered.contains(&"framegate.v1".to_owned())
        }
        Rejection::Token => fields
            .first("authorization")
            .is_some_and(|value| is_bearer(value) && bearer(value).is_none()),
        Rejection::NoToken => false,
    }
}

/// RFC 4648 §4: 16 bytes are 22 characters of six bits and two of padding.
fn is_key(key: &[u8]) -> bool {
    let is_digit = |byte: &u8| byte.is_ascii_alphanumeric() || b"+/".contains(byte);
    let [digits @ .., b'=', b'='] = key else {
        return false;
    };
    digits.len() == 22 && digits.iter().all(is_digit)
}

/// RFC 6454 §4: listed, or scheme, host and port are our own, where a default port may stand
/// on either side.
fn is_welcome(origin: &[u8], host: &str, listed: &[String]) -> bool {
    let Ok(origin) = str::from_utf8(origin) else {
        return false;
    };
    if listed.iter().any(|listed| listed == origin) {
        return true;
    }
    let origin = origin.to_ascii_lowercase();
    let host = host.trim_end_matches(':').to_ascii_lowercase();
    let is_named = !host.is_empty();
    [("http://", ":80"), ("https://", ":443")]
        .iter()
        .any(|(scheme, port)| {
            let bare = |name: &str| name.strip_suffix(port).unwrap_or(name).to_owned();
            origin
                .strip_prefix(scheme)
                .is_some_and(|authority| is_named && bare(authority) == bare(&host))
        })
}

/// Where any page's is taken, everybody's is; where only pages of this machine are our own, so is one
/// that is ours and names this machine.
fn assert_origins(request: &Request<'_>, fields: &Fields<'_>, listed: &[String]) {
    assert_eq!(Origins::Any.check(request), Ok(None));
    let origin = fields.first("origin");
    let is_taken = |origin: &[u8]| {
        let is_listed = listed.iter().any(|listed| listed.as_bytes() == origin);
        is_listed || is_welcome(origin, request.host, &[]) && is_this_machine(request.host)
    };
    assert_eq!(
        Origins::LoopbackAnd(listed).check(request).is_ok(),
        origin.is_none_or(is_taken)
    );
}

/// RFC 6761 §6.3, RFC 1122 §3.2.1.3 (g), RFC 4291 §2.5.3: what can name nothing but this machine.
fn is_this_machine(host: &str) -> bool {
    let colon = host.rfind(':').filter(|at| !host[*at..].contains(']'));
    let name = host[..colon.unwrap_or(host.len())].to_ascii_lowercase();
    let literal = name
        .strip_prefix('[')
        .and_then(|name| name.strip_suffix(']'));
    match (literal, name.parse::<Ipv4Addr>()) {
        (Some(literal), _) => literal.parse().is_ok_and(|address: Ipv6Addr| {
            let is_mapped = |v4: Ipv4Addr| v4.octets()[0] == 127;
            u128::from(address) == 1 || address.to_ipv4_mapped().is_some_and(is_mapped)
        }),
        (None, Ok(address)) => address.octets()[0] == 127,
        (None, Err(_)) => name == "localhost" || name.ends_with(".localhost"),
    }
}

/// RFC 9110 §11.1: the scheme, in any case, up to what no token may hold.
fn is_bearer(value: &[u8]) -> bool {
    let scheme: Vec<u8> = value
        .iter()
        .copied()
        .take_while(|byte| is_token(&[*byte]))
        .collect();
    scheme.eq_ignore_ascii_case(b"bearer")
}

/// RFC 6750 §2.1.
fn bearer(value: &[u8]) -> Option<&str> {
    let rest = str::from_utf8(value.get(6..)?).ok()?;
    rest.strip_prefix(' ')
}

/// The tokens that came with the request, wherever they stood.
fn tokens(fields: &Fields<'_>) -> Vec<String> {
    let offered = fields.list("sec-websocket-protocol").into_iter();
    let offered = offered.filter_map(|name| Some(name.strip_prefix(BEARER)?.to_owned()));
    let authorization = fields
        .first("authorization")
        .filter(|value| is_bearer(value));
    offered
        .chain(authorization.map(|value| String::from_utf8_lossy(value).into_owned()))
        .collect()
}

/// The answer is of one form, in which nothing stands that the client sent; and the token is
/// handed on as it came, and not shown.
fn assert_accepted(upgrade: &Upgrade<'_>, fields: &Fields<'_>) {
    let offers = fields
        .list("sec-websocket-protocol")
        .contains(&"framegate.v1".to_owned());
    assert_eq!(upgrade.offers_subprotocol, offers);
    match (upgrade.token, &tokens(fields)[..]) {
        (None, []) => {}
        (Some(token), [sent]) => {
            match token.source {
                TokenSource::Subprotocol => assert_eq!(token.text, sent),
                TokenSource::Authorization => {
                    assert_eq!(token.text, sent[7..].trim_start_matches(' '))
                }
            }
            let key = fields.first("sec-websocket-key").unwrap_or_default();
            let source = token.source;
            assert_prints(
                upgrade,
                &format!(
                    "Upgrade {{ token: Some(HandshakeToken({source:?})), \
                    offers_subprotocol: {offers}, key: {key:?} }}"
                ),
            );
        }
        (token, sent) => assert_eq!(token.is_some(), sent.len() == 1),
    }
    let mut out = Vec::new();
    upgrade.accept(&mut out);
    let out = String::from_utf8(out).unwrap_or_default();
    let (start, end) = match offers {
        true => (START, "\r\nSec-WebSocket-Protocol: framegate.v1\r\n\r\n"),
        false => (START, "\r\n\r\n"),
    };
    let key = out
        .strip_prefix(start)
        .and_then(|out| out.strip_suffix(end));
    // RFC 6455 §4.2.2: the base64 of a SHA-1.
    assert_eq!(key.map(str::len), Some(28), "{out}");
}

const BEARER: &str = "framegate.bearer.";

const START: &str = "HTTP/1.1 101 Switching Protocols\r\n\
    Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ";
