use super::*;
use crate::app::Credentials;
use crate::gate::{Envelope, FrameError, Keys, Secret};
use crate::wire::{Authorization, HeadError, HeadScanner, Origins, Request, Upgrade};

fn scrubber(letter: u8) -> Scrubber {
    let secret = Secret::from_bytes(&[letter; 32]).unwrap();
    Scrubber::new(ReplayTokens::new(Keys::new(&secret, None)))
}

fn scrubbed(text: &str, scrub: fn(&Scrubber, &mut [u8])) -> String {
    let mut bytes = text.as_bytes().to_vec();
    scrub(&scrubber(b'k'), &mut bytes);
    let once = String::from_utf8(bytes.clone()).expect("it stays text");
    assert_eq!(once.len(), text.len());
    // In a replay the keys are others; no token here is of either.
    scrub(&scrubber(b'r'), &mut bytes);
    assert_eq!(bytes, once.as_bytes(), "scrubbed twice: {text}");
    once
}

#[test]
fn what_the_core_reads_of_a_frame_stays_and_the_rest_is_filled() {
    for (text, wanted) in [
        (
            r#"{"event":"message","id":12,"to":"bob","data":{"password":"p"},"x":{"y":["z",42]}}"#,
            r#"{"event":"message","id":12,"to":"bob","data":{"password":"p"},"x":{"y":["x",11]}}"#,
        ),
        (
            r#"{"event":"login","id":"a","data":{"id":"al","password":"pass","x":[true,null]}}"#,
            r#"{"event":"login","id":"a","data":{"id":"al","password":"xxxx","x":[true,null]}}"#,
        ),
        (
            r#"{"event":"getUser","token":12,"data":{"id":["al"]}}"#,
            r#"{"event":"getUser","token":11,"data":{"id":["xx"]}}"#,
        ),
        (
            r#"{"event":"x","token":"a.bc.d","data":"some"}"#,
            r#"{"event":"x","token":"a.bc.x","data":"xxxx"}"#,
        ),
        (
            r#"{"event":"x","event":"y"}"#,
            r#"{"event":"x","event":"x"}"#,
        ),
        ("event=login", "xxxxxxxxxxx"),
        (r#"[1,"two"]"#, r#"[1,"xxx"]"#),
    ] {
        assert_eq!(scrubbed(text, Scrubber::message), wanted);
    }
}

/// What a gate would know of a frame's text.
fn verdict(text: &str) -> Result<(String, Option<String>, Option<usize>), FrameError> {
    let envelope = Envelope::parse(text)?;
    let id = envelope.id.map(|id| {
        let mut bytes = id.as_bytes().to_vec();
        mask(&mut bytes);
        String::from_utf8(bytes).unwrap()
    });
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
];

#[test]
fn nothing_that_is_scrubbed_is_judged_otherwise() {
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
        let frame = scrubbed(&text, Scrubber::message);
        assert_eq!(verdict(&frame), verdict(&text), "{text}\n{frame}");
        frames += usize::from(verdict(&text).is_ok());
        let body = scrubbed(&text, Scrubber::login_body);
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

const BASIC: &str =
    "GET /eyJh.eyJi.secret HTTP/1.1\r\nHost: h\r\nAuthorization: Basic c2VjcmV0 secret\r\n\r\n";

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
    Ok(format!(
        "{} {} {:?} {token} {:?} {upgrade:?}",
        request.method, request.host, request.origin, request.content_length
    ))
}

#[test]
fn a_head_says_what_it_said_but_for_its_secrets() {
    let judged = |head: &[u8]| {
        let mut seen = head.to_vec();
        scrubber(b'k').head(&mut seen);
        assert_eq!(request(&seen), request(head), "{}", head.escape_ascii());
        seen
    };
    for head in [HEAD, OFFER, BASIC].map(str::as_bytes) {
        let seen = String::from_utf8(judged(head)).expect("it stays text");
        assert!(!seen.contains("secret") && !seen.contains("c2Vj"), "{seen}");
        for at in 0..head.len() {
            judged(&head[..at]);
            for byte in b" \r\n\0\t\x7F:x?,.(\x80\xC3\xFF" {
                let mut spoiled = head.to_vec();
                spoiled[at] = *byte;
                judged(&spoiled);
            }
        }
    }
}
