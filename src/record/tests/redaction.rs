//! What is redacted says what it said, but for its secrets.

use std::net::{IpAddr, Ipv4Addr};

use crate::app::Credentials;
use crate::gate::{ClaimRules, Envelope, FrameError, Keys, ReplayTokens, Secret, Signer};
use crate::record::redaction::{self, body, message};
use crate::time::UnixSeconds;
use crate::wire::head::blanked;
use crate::wire::{
    Authorization, HeadError, HeadScanner, Origins, Request, Upgrade, blank_text, forwarded,
};

fn keys() -> Keys {
    Keys::new(
        &Secret::from_bytes(b"a secret of thirty-two bytes, ok").unwrap(),
        None,
    )
}

/// A token that is good here, and what stands for it in a recording.
fn good() -> [String; 2] {
    let signer = Signer::new(&keys(), &ClaimRules::default(), 60);
    let token = signer.mint("al", UnixSeconds(1_700_000_000)).unwrap().token;
    let replay_token = ReplayTokens::new(keys()).token_for(&token);
    assert_ne!(token, replay_token);
    [token, replay_token]
}

fn redacted(text: &str, redact: fn(&ReplayTokens, &str) -> Vec<u8>) -> String {
    let once = redact(&ReplayTokens::new(keys()), text);
    let once = String::from_utf8(once).expect("it stays text");
    assert_eq!(once.len(), text.len(), "{text}\n{once}");
    // In a replay the keys are others.
    let twice = redact(&ReplayTokens::default(), &once);
    assert_eq!(twice, once.as_bytes(), "redacted twice: {text}");
    once
}

fn redacted_message(text: &str) -> String {
    redacted(text, message)
}

fn redacted_body(text: &str) -> String {
    redacted(text, |tokens, text| body(tokens, text.as_bytes()))
}

#[test]
fn what_the_core_reads_of_a_message_stays_and_nothing_else() {
    for (text, wanted) in [
        (
            r#"{"token":"GOOD","event":"message","id":12,"to":"bob","data":{"password":"p"},"x":{"y":["z",42]}}"#,
            r#"{"event":"message","id":12,"to":"bob","data":{"password":"p"},"token":"GOOD"}"#,
        ),
        // Without a good token nobody looks at them.
        (
            r#"{"event":"message","id":12,"to":"bob","data":{"password":"p"},"x":{"y":["z",42]}}"#,
            r#"{"event":"message","id":12}"#,
        ),
        (
            r#"{"event":"refresh","token":"GOOD","data":{"id":"al"},"to":"bob"}"#,
            r#"{"event":"refresh","token":"GOOD"}"#,
        ),
        (
            r#"{"event":"message","token":"GOOD","data":["GOOD","x\nGOOD"]}"#,
            r#"{"event":"message","data":["GOOD","x\nGOOD"],"token":"GOOD"}"#,
        ),
        (
            r#"{"event":"login","id":"a","data":{"id":"al","password":"pass","x":[true,null]}}"#,
            r#"{"event":"login","id":"a","data":{"id":"al","password":"xxxx"}}"#,
        ),
        (
            r#"{"event":"login","data":{"id":"al","password":"\u0070\u00e4ss\ud83d\ude00"}}"#,
            r#"{"event":"login","data":{"id":"al","password":"xxxxxxxxx"}}"#,
        ),
        (
            r#"{"event":"login","data":{"id":"al","password":"p\u0000"}}"#,
            r#"{"event":"login","data":{"id":"al","password":""}}"#,
        ),
        (
            r#"{"token":"a.bc.d","event":"getUser","data":{"id":["al"]}}"#,
            r#"{"event":"getUser","token":"x.xx.x"}"#,
        ),
        (
            r#"{"token":"GOOD","event":"getUser","data":{"id":["al"],"password":"p"}}"#,
            r#"{"event":"getUser","data":{},"token":"GOOD"}"#,
        ),
        (
            r#"{"event":"x","token":"a.bc","data":"some"}"#,
            r#"{"event":"x","token":"x.xx"}"#,
        ),
        (
            r#"{"event":"\u0065yJh.eyJi.signature of more than sixty-four bytes, which nobody decodes"}"#,
            r#"{"event":"(longer than 64 bytes)"}"#,
        ),
        (r#"{"event":"getUser","token":12}"#, r#"{"token":0}"#),
        (r#"{"event":"x","event":"y"}"#, r#"{"":0,"":0}"#),
        ("event=login", "x"),
        (r#"[1,"two"]"#, "0"),
    ] {
        let [token, replay_token] = good();
        let text = text.replace("GOOD", &token);
        let wanted = wanted.replace("GOOD", &replay_token);
        let wanted = format!("{wanted:width$}", width = text.len());
        assert_eq!(redacted_message(&text), wanted);
    }
}

/// What a gate would know of a frame's text.
fn verdict(text: &str) -> Result<(String, Option<String>, Option<usize>), FrameError> {
    let envelope = Envelope::parse(text)?;
    let id = envelope.id.map(str::to_owned);
    let token_bytes = envelope.token.map(|token| token.len());
    Ok((envelope.event.into_owned(), id, token_bytes))
}

/// What the app would know of a login's data.
fn login(text: &str) -> Option<(Box<str>, usize)> {
    let credentials = Credentials::parse(text).ok()?;
    Some((credentials.id, credentials.password.len()))
}

const TEXTS: &[&str] = &[
    r#"{"token":"eyJh.eyJi.c","event":"message","id":"eyJh.eyJi.c","to":"bob","data":[1,"é"]}"#,
    r#"{"token":"\u0065yJh.\/.\n\ud83d\ude00é.","event":"login","data":{"id":"a","password":"p\u0000"}}"#,
    r#"{"id":"alice","password":"\u00e9\u4e00\ud83d\ude00 \"\\ naïve 日本 🎉"}"#,
    r#"{"event":"getUser","data":{"id":"x\u0041","x":{"y":[[[]],{"z":-1.5e+10}]}},"id":-0.5e7}"#,
    r#" { "event" : "\u006cogin" , "data" : { "pass\u0077ord" : "a" , "id" : "b" } } "#,
    r#"["\ud800",{"a":1,"a":2}]"#,
    r#""\udc00""#,
    "{}",
    "",
    "null",
    r#"{"event":"\u0065vent of more than sixty-four bytes, so that it is not decoded: \u0065","id":0}"#,
];

#[test]
fn nothing_that_is_redacted_is_judged_otherwise() {
    let mut seed = 1_u64;
    let mut below = |bound: usize| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (seed >> 33) as usize % bound
    };
    let odd: Vec<char> = "{}[]\",:\\u0d8c. xé\n-1eyJ".chars().collect();
    let (mut frames, mut logins) = (0, 0);
    for round in 0..20_000 {
        let mut text: Vec<char> = TEXTS[round % TEXTS.len()].chars().collect();
        for _ in 0..below(3) {
            let at = below(text.len() + 1);
            match below(3) {
                0 if at < text.len() => _ = text.remove(at),
                1 if at < text.len() => text[at] = odd[below(odd.len())],
                _ => text.insert(at, odd[below(odd.len())]),
            }
        }
        let text: String = text.into_iter().collect();
        let frame = redacted_message(&text);
        assert_eq!(verdict(&frame), verdict(&text), "{text}\n{frame}");
        frames += usize::from(verdict(&text).is_ok());
        let body = redacted_body(&text);
        assert_eq!(login(&body), login(&text), "{text}\n{body}");
        logins += usize::from(login(&text).is_some());
    }
    assert!(frames > 1_000 && logins > 500, "{frames} {logins}");
}

const HEAD: &str = "GET /ws?token=secret HTTP/1.1\r\nHost: h:1\r\nOrigin: http://h:1\r\n\
    Authorization:  Bearer  secret \r\nCookie: sid=secret; b\r\nContent-Length: 0\r\n\
    connection: keep-alive, Upgrade\r\nUpgrade: websocket\r\nsec-websocket-version: 13\r\n\
    X-Forwarded-For: 192.0.2.1\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

const OFFER: &str = "GET /ws HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
    Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
    Sec-WebSocket-Protocol: framegate.v1 , framegate.bearer.secret,other\r\n\
    Sec-WebSocket-Protocol: more\r\n\r\n";

const BASIC: &str = "GET /path HTTP/1.1\r\nHost: h\r\nAuthorization: Basic c2VjcmV0 secret\r\n\r\n";

/// Who is named ahead of a host is an error, and may have a password.
const NAMED: &str = "POST /login HTTP/1.1\r\nHost: me:secret@me:secret@h:1\r\n\r\n";

/// Targets that are refused, or name nothing here.
const TARGETS: [&str; 12] = [
    "me:secret@h:80",
    "//me:secret@h/",
    "/secret@h",
    "http:/me:secret@h/",
    "http:me:secret@h",
    "http://me:secret@h/",
    "http://me:secret?x@h/",
    "http://me:secret/x@h/",
    "http://h/ws?secret#secret",
    "http://h#secret@h/",
    "/ws#secret",
    "ftp://secret/",
];

/// Values of fields that mean something to us, and do not say it.
const VALUES: [&str; 24] = [
    "Host: localhost:secret",
    "Host: [secret]",
    "Host: me:secret%40h",
    "Origin: http://me:secret@h",
    "Authorization: Bearer\tsecret",
    "Authorization: Bearer secret",
    "Authorization: Bearer a.secret.secret",
    "Connection: secret, Upgrade",
    "Upgrade: secret , websocket",
    "Content-Length: secret",
    "Content-Length: 1, secret",
    "Transfer-Encoding: secret, chunked",
    "Expect: 100-continue, secret",
    "Sec-WebSocket-Key: secret==",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub2secret",
    "Sec-WebSocket-Version: 13, secret",
    "X-Forwarded-For: 192.0.2.1, secret, 192.0.2.2:secret",
    "Forwarded: for=192.0.2.1;by=secret, for=\"_secret\";host=secret",
    "Forwarded: for=192.0.2.1, secret",
    "Forwarded: secret=1;for=\"[::1]:_secret\"",
    "X-Forwarded-For: 192.0.2.9:_secret",
    "Forwarded: for=192.0.2.1 \"secret, for=192.0.2.2",
    "Forwarded: for=\"secret\\\"\", for=192.0.2.2;for=secret",
    "Forwarded: for=192.0.2.1, for=192.0.2.2;proto=\"secret",
];

/// What is read beside a token stays, whatever it looks like.
const LIKE_TOKENS: &str = "GET http://eyJ.a.h/health HTTP/1.1\r\nHost: eyJ.a.localhost\r\n\
    Origin: http://eyJ.a.h\r\nForwarded: eyJ.a.b=1;for=9.9.9.9\r\n\r\n";

/// What the server would know of a head.
fn request(bytes: &[u8]) -> Result<String, HeadError> {
    let mut scanner = HeadScanner::default();
    let Some(head) = scanner.scan(bytes)? else {
        return Ok("unfinished".to_owned());
    };
    let request = Request::parse(head)?;
    let token = match request.authorization {
        Authorization::Bearer(token) => format!("bearer of {}", token.len()),
        other => format!("{other:?}"),
    };
    let upgrade = Upgrade::check(&request, Origins::OwnAnd(&[]));
    let upgrade = upgrade.map(|upgrade| {
        (
            upgrade.offers_subprotocol,
            upgrade.token.map(|t| t.text.len()),
        )
    });
    let page = Origins::LoopbackAnd(&[]).check(&request);
    let clients = [Ipv4Addr::LOCALHOST, Ipv4Addr::new(192, 0, 2, 2)].map(|trusted| {
        let is_trusted = |address: IpAddr| address.is_loopback() || address == trusted;
        forwarded::client(&request, Ipv4Addr::LOCALHOST.into(), is_trusted)
    });
    let path = ["/", "/ws", "/login", "/health", "*"].map(|path| path == request.path);
    let (length, expects) = (request.content_length, request.expectation);
    Ok(format!(
        "{} {path:?} {} {token} {length:?} {:?} {expects:?} {upgrade:?} {page:?} {clients:?}",
        request.method, request.host, request.transfer_encoding
    ))
}

/// The head as it is redacted, whether it is one or not, with what comes after it.
fn redacted_head(bytes: &[u8]) -> Vec<u8> {
    let mut scanner = HeadScanner::default();
    match scanner.scan(bytes) {
        Ok(None) => Vec::new(),
        Ok(Some(head)) => redaction::head(&ReplayTokens::new(keys()), head),
        Err(_) => blanked(&bytes[..scanner.judged_bytes()]),
    }
}

#[test]
fn a_head_says_what_it_said_but_for_its_secrets() {
    let judged = |head: &[u8]| {
        let seen = redacted_head(head);
        match request(head) {
            Ok(told) if told == "unfinished" => assert!(seen.is_empty()),
            told => assert_eq!(request(&seen), told, "{}", head.escape_ascii()),
        }
        assert_eq!(redacted_head(&seen), seen, "{}", head.escape_ascii());
        seen
    };
    let heads = [HEAD, OFFER, BASIC, NAMED, LIKE_TOKENS].map(str::to_owned);
    let targets =
        TARGETS.map(|target| format!("GET {target} HTTP/1.1\r\nHost: h\r\nCookie: b\r\n\r\n"));
    let values = VALUES.map(|value| {
        let host = if value.starts_with("Host") {
            ""
        } else {
            "Host: h\r\n"
        };
        format!(
            "GET /ws HTTP/1.1\r\n{host}{value}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
        )
    });
    for head in heads.iter().chain(&targets).chain(&values) {
        let head = head.as_bytes();
        let seen = String::from_utf8(judged(head)).expect("it stays text");
        assert!(!seen.contains("secret") && !seen.contains("c2Vj"), "{seen}");
        for at in 0..head.len() {
            judged(&head[..at]);
            for byte in b" \r\n\0\t\x7F:x?,.(@#/\"\\\x80\xC3\xFF" {
                let mut spoiled = head.to_vec();
                spoiled[at] = *byte;
                judged(&spoiled);
            }
        }
    }
}

#[test]
fn names_that_look_like_tokens_stay() {
    let [token, replay_token] = good();
    let name = "eyJa.b.".to_owned() + &"c".repeat(43);
    for id in [
        &*name,
        r"\u000eyJ.b.ccccccccccccccccccccccccccccccccccccccccccc",
    ] {
        let text = format!(r#"{{"event":"message","to":"{id}","data":0,"token":"{token}"}}"#);
        let seen = text.replace(&token, &replay_token);
        assert_eq!(redacted_message(&text), seen);
        let body = format!(r#"{{"id":"{id}","password":"xxx"}}"#);
        assert_eq!(redacted_body(&body), body);
    }
    let head = LIKE_TOKENS.replace("eyJ.a.b=", &format!("{name}="));
    let head = head.replace("eyJ.a.h", &name);
    let seen = redacted_head(head.as_bytes());
    let wanted = head.replace(
        &format!("{name}=1;"),
        &format!("{}=x;", "x".repeat(name.len())),
    );
    assert_eq!(String::from_utf8(seen).unwrap(), wanted);
}

/// An id of more than 128 bytes is nobody's, and is not looked into.
#[test]
fn an_id_that_is_too_long_is_told_to_be_that() {
    for (bytes, seen) in [
        (128, "i".repeat(128)),
        (129, "x".repeat(129)),
        (200, "x".repeat(129)),
    ] {
        let body = format!(r#"{{"id":"{}","password":"p"}}"#, "i".repeat(bytes));
        let seen = format!(r#"{{"id":"{seen}","password":"x"}}"#);
        assert_eq!(redacted_body(&body).trim_end(), seen);
    }
}

#[test]
fn a_good_token_is_replaced_wherever_it_stands() {
    let [token, replay_token] = good();
    let head = "GET /ws/TOKEN?TOKEN#TOKEN HTTP/1.1\r\nHost: TOKEN.localhost\r\nTOKEN: TOKEN\r\n\
                Origin: http://TOKEN\r\nForwarded: TOKEN=1;for=TOKEN\r\nConnection: x.TOKEN.y\r\n\r\n";
    let seen = redacted_head(head.replace("TOKEN", &token).as_bytes());
    let seen = String::from_utf8(seen).unwrap();
    let (_, signature) = token.rsplit_once('.').unwrap();
    assert!(!seen.contains(&signature[..20]), "{seen}");
    for shown in [
        "/ws/TOKEN?",
        "Host: TOKEN.localhost",
        "http://TOKEN\r",
        "TOKEN: xx",
    ] {
        let shown = shown.replace("TOKEN", &replay_token);
        assert!(seen.contains(&shown), "{shown}: {seen}");
    }
}

#[test]
fn every_reason_to_refuse_a_message_has_a_text_as_short_as_any() {
    let many: Vec<String> = (0..65).map(|number| format!(r#""{number}":0"#)).collect();
    for text in [
        String::new(),
        "x".to_owned(),
        "1".to_owned(),
        r#"{"":1,"":1}"#.to_owned(),
        format!("{{{}}}", many.join(",")),
        "[".repeat(32),
        r#""\udfff"#.to_owned(),
        r#"{"token":1}"#.to_owned(),
        "{}".to_owned(),
        r#"{"id":{}}"#.to_owned(),
        r#"{"to":1}"#.to_owned(),
    ] {
        let error = Envelope::parse(&text).err();
        assert!(error.is_some(), "{text}");
        let redacted = redacted_message(&text);
        assert_eq!(
            Envelope::parse(&redacted).err(),
            error,
            "{text}\n{redacted}"
        );
    }
}

#[test]
fn where_a_text_ends_to_be_one_stays_and_nothing_else() {
    for (bytes, wanted) in [
        (
            &b"ab\xFFcd\xE2\x82\xACe\xE2\x82"[..],
            &b"xx\xFFxxxxxxxx"[..],
        ),
        (b"caf\xC3\xA9 \xE2\x82h", b"xxxxxx\xE2\x82x"),
        (b"caf\xC3\xA9 \xE2\x82", b"xxxxxx\xE2\x82"),
        ("tok \u{e9}\n\u{1f389}".as_bytes(), b"xxxxxxxxxxx"),
    ] {
        for _ in 0..2 {
            let mut bytes = bytes.to_vec();
            blank_text(&mut bytes);
            assert_eq!(bytes, wanted);
        }
    }
}
