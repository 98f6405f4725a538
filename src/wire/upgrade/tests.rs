use std::collections::BTreeSet;

use super::super::head::HeadScanner;
use super::*;

/// The handshake of RFC 6455 §1.3, without its subprotocols.
const HANDSHAKE: [&str; 7] = [
    "GET /chat HTTP/1.1",
    "Host: server.example.com",
    "Upgrade: websocket",
    "Connection: Upgrade",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    "Origin: http://example.com",
    "Sec-WebSocket-Version: 13",
];

/// That handshake with `line` in the place of the field of this name, or added to it.
fn with(line: &str) -> String {
    let name = |line: &str| line.split(':').next().map(str::to_owned);
    let mut lines = HANDSHAKE.map(str::to_owned).to_vec();
    match lines.iter_mut().find(|other| name(other) == name(line)) {
        Some(other) => *other = line.to_owned(),
        None => lines.push(line.to_owned()),
    }
    lines.join("\r\n") + "\r\n\r\n"
}

fn without(name: &str) -> String {
    let lines: Vec<_> = HANDSHAKE
        .into_iter()
        .filter(|line| !line.starts_with(name))
        .collect();
    lines.join("\r\n") + "\r\n\r\n"
}

fn check(text: &str) -> Result<Upgrade<'_>, Rejection> {
    let head = HeadScanner::default()
        .scan(text.as_bytes())
        .unwrap()
        .unwrap();
    let others = ["http://example.com".to_owned()];
    Upgrade::check(&Request::parse(head).unwrap(), Origins::OwnAnd(&others))
}

fn accept(text: &str) -> String {
    let mut out = Vec::new();
    check(text).unwrap().accept(&mut out);
    String::from_utf8(out).unwrap()
}

#[test]
fn the_rfcs_handshake_is_answered_as_the_rfc_answers_it() {
    let answer = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                  Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";
    assert_eq!(accept(&with("Connection: Upgrade")), answer);
    assert_eq!(
        accept(&with("Connection: keep-alive\r\nConnection: x, upgrade")),
        answer
    );
    assert_eq!(accept(&with("Upgrade: h2c, WebSocket")), answer);
    assert_eq!(accept(&with("Content-Length: 0")), answer);
    assert_eq!(accept(&without("Origin")), answer);
    assert_eq!(accept(&with("Origin: https://Server.Example.com")), answer);
    assert_eq!(
        accept(&with("Sec-WebSocket-Extensions: permessage-deflate")),
        answer
    );
}

#[test]
fn a_handshake_that_breaks_a_clause_is_rejected_with_that_clause() {
    for (text, rejection) in [
        (
            with("Accept: x").replacen("GET", "POST", 1),
            Rejection::Method,
        ),
        (
            with("Accept: x").replacen("GET", "get", 1),
            Rejection::Method,
        ),
        (
            with("Accept: x").replacen("GET", "HEAD", 1),
            Rejection::NoUpgrade,
        ),
        (
            with("Accept: x").replacen("HTTP/1.1", "HTTP/1.0", 1),
            Rejection::Http10,
        ),
        (without("Upgrade"), Rejection::NoUpgrade),
        (with("Upgrade: h2c"), Rejection::NoUpgrade),
        (without("Connection"), Rejection::Connection),
        (with("Connection: keep-alive"), Rejection::Connection),
        (with("Content-Length: 1"), Rejection::Body),
        (with("Transfer-Encoding: chunked"), Rejection::Body),
        (with("Transfer-Encoding: identity"), Rejection::Body),
        (without("Sec-WebSocket-Key"), Rejection::Key),
        (without("Sec-WebSocket-Version"), Rejection::Version),
        (with("Sec-WebSocket-Version: 8"), Rejection::Version),
        (with("Sec-WebSocket-Version: 13, 8"), Rejection::Version),
        (
            with("Sec-WebSocket-Version: 13\r\nSec-WebSocket-Version: 13"),
            Rejection::Version,
        ),
        (with("Sec-WebSocket-Version: 013"), Rejection::Version),
        (with("Origin: http://example.com.evil"), Rejection::Origin),
        (with("Origin: http://EXAMPLE.com"), Rejection::Origin),
        (with("Origin: null"), Rejection::Origin),
        (with("Origin:"), Rejection::Origin),
        (
            with("Sec-WebSocket-Protocol: framegate.v1, a b"),
            Rejection::Subprotocol,
        ),
        (
            with("Sec-WebSocket-Protocol: framegate.bearer.a=b"),
            Rejection::Subprotocol,
        ),
        (with("Authorization: Bearer"), Rejection::Token),
        (with("Authorization: Bearer "), Rejection::Token),
        (
            with("Sec-WebSocket-Protocol: framegate.bearer.a.b.c"),
            Rejection::BearerAlone,
        ),
        (
            with("Sec-WebSocket-Protocol: framegate.bearer., framegate.v2"),
            Rejection::BearerAlone,
        ),
    ] {
        assert_eq!(check(&text).err(), Some(rejection), "{text}");
    }
}

#[test]
fn a_key_is_the_base64_of_sixteen_bytes_whatever_its_unused_bits_are() {
    for key in ["AAAAAAAAAAAAAAAAAAAAAA==", "AQIDBAUGBwgJCgsMDQ4PEC=="] {
        assert!(is_key(key.as_bytes()), "{key}");
    }
    for last in 0..=u8::MAX {
        let key = [b"AAAAAAAAAAAAAAAAAAAAA", &[last][..], b"=="].concat();
        let is_digit = last.is_ascii_alphanumeric() || b"+/".contains(&last);
        assert_eq!(is_key(&key), is_digit, "{last}");
    }
    for key in [
        "",
        "==",
        "//////////////////////w==",
        "A==",
        "dGhlIHNhbXBsZSBub25jZQ",
        "dGhlIHNhbXBsZSBub25jZQ=",
        "dGhlIHNhbXBsZSBub25jZQ===",
        "dGhlIHNhbXBsZSBub25j",
        "AAAAdGhlIHNhbXBsZSBub25jZQ==",
        "dGhlIHNhbXBsZSBub25jZGVm",
        "dGhl_HNhbXBsZSBub25jZQ==",
        "dGhl HNhbXBsZSBub25jZQ==",
    ] {
        assert!(!is_key(key.as_bytes()), "{key}");
    }
}

#[test]
fn a_token_is_found_where_it_stands_and_never_sent_back() {
    let token = |text: &str| {
        check(text).map(|upgrade| {
            upgrade
                .token
                .map(|token| (token.text.to_owned(), token.source))
        })
    };
    assert_eq!(token(&with("Accept: x")), Ok(None));
    let text = with("Authorization: bearer a.b.c");
    assert_eq!(
        token(&text),
        Ok(Some(("a.b.c".to_owned(), TokenSource::Authorization)))
    );
    assert!(!check(&text).unwrap().offers_subprotocol);

    let text = with(
        "Sec-WebSocket-Protocol: other\r\nSec-WebSocket-Protocol: framegate.bearer.a.b.c, framegate.v1",
    );
    assert_eq!(
        token(&text),
        Ok(Some(("a.b.c".to_owned(), TokenSource::Subprotocol)))
    );
    let answer = accept(&text);
    assert!(
        answer.ends_with("\r\nSec-WebSocket-Protocol: framegate.v1\r\n\r\n"),
        "{answer}"
    );
    assert!(!answer.contains("bearer"));

    let text = with("Sec-WebSocket-Protocol: framegate.v1, framegate.bearer.");
    assert_eq!(
        token(&text),
        Ok(Some((String::new(), TokenSource::Subprotocol)))
    );
    assert!(!accept(&text).contains("bearer"));
}

#[test]
fn another_scheme_in_authorization_is_no_token_of_ours() {
    for scheme in ["Basic YTpi", "Digest a=b", "a.b.c", "\u{e9}"] {
        let text = with(&format!("Authorization: {scheme}"));
        assert_eq!(check(&text).map(|upgrade| upgrade.token), Ok(None));
        let offer = "Sec-WebSocket-Protocol: framegate.v1, framegate.bearer.a.b.c";
        let text = with(&format!("Authorization: {scheme}\r\n{offer}"));
        let token = check(&text).unwrap().token.unwrap();
        assert_eq!(
            (token.text, token.source),
            ("a.b.c", TokenSource::Subprotocol)
        );
    }
}

#[test]
fn two_tokens_are_rejected() {
    for line in [
        "Sec-WebSocket-Protocol: framegate.bearer.a, framegate.bearer.a",
        "Sec-WebSocket-Protocol: framegate.bearer.a\r\nSec-WebSocket-Protocol: framegate.bearer.b",
        "Authorization: Bearer a\r\nSec-WebSocket-Protocol: framegate.bearer.a",
        "Authorization: Bearer\r\nSec-WebSocket-Protocol: framegate.bearer.a",
    ] {
        assert_eq!(
            check(&with(line)).err(),
            Some(Rejection::TwoTokens),
            "{line}"
        );
    }
}

#[test]
fn a_rejection_says_what_would_be_right() {
    for (rejection, status, field) in [
        (
            Rejection::Method,
            "405 Method Not Allowed",
            "Allow: GET, HEAD",
        ),
        (
            Rejection::NoUpgrade,
            "426 Upgrade Required",
            "Upgrade: websocket",
        ),
        (
            Rejection::NoUpgrade,
            "426 Upgrade Required",
            "Connection: close, Upgrade",
        ),
        (
            Rejection::Connection,
            "426 Upgrade Required",
            "Upgrade: websocket",
        ),
        (
            Rejection::Http10,
            "426 Upgrade Required",
            "Connection: close, Upgrade",
        ),
        (
            Rejection::Version,
            "426 Upgrade Required",
            "Sec-WebSocket-Version: 13",
        ),
        (Rejection::Key, "400 Bad Request", "Connection: close"),
        (
            Rejection::Origin,
            "403 Forbidden",
            "Cache-Control: no-store",
        ),
        (
            Rejection::Token,
            "401 Unauthorized",
            "WWW-Authenticate: Bearer error=\"invalid_token\"",
        ),
        (
            Rejection::NoToken,
            "401 Unauthorized",
            "WWW-Authenticate: Bearer",
        ),
    ] {
        let mut out = Vec::new();
        rejection.write(&mut out, Reply::default());
        let out = String::from_utf8(out).unwrap();
        assert!(out.starts_with(&format!("HTTP/1.1 {status}\r\n")), "{out}");
        assert!(out.contains(&format!("\r\n{field}\r\n")), "{out}");
        assert!(!rejection.to_string().is_empty());
    }
}

#[test]
fn every_rejection_has_a_word_of_its_own_for_the_log() {
    let words: BTreeSet<_> = [
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
        Rejection::NoToken,
    ]
    .map(Rejection::word)
    .into();
    assert_eq!(words.len(), 13);
    assert!(words.contains("bearer_alone") && !words.contains(""));
}

#[test]
fn debug_shows_no_token() {
    for line in [
        "Authorization: Bearer secret",
        "Sec-WebSocket-Protocol: framegate.v1, framegate.bearer.secret",
    ] {
        let text = with(line);
        let shown = format!("{:?}", check(&text).unwrap());
        assert!(!shown.contains("secret"), "{shown}");
        assert!(shown.contains("HandshakeToken("), "{shown}");
    }
}
