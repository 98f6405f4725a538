//! Sessions of every kind, each replayed to the same outputs and looked through for secrets.

use std::time::Duration;

use super::rig::{Rig, login, masked, password, post, upgrade, user};
use crate::app::users::{StoreError, User, UserStore as _};
use crate::server::{ConnectionId, Input};
use crate::time::UnixSeconds;

#[test]
fn a_session_is_replayed_to_the_same_outputs() {
    let mut rig = Rig::new(|_| {});
    let alice = rig.open("Cookie: sid=a-cookie-secret\r\nX-Api-Key: an-api-secret\r\n");
    let bob = rig.member("bob");
    rig.say(alice, &login("alice", &password("alice")));
    rig.hash();
    let heard = rig.heard(alice);
    let (_, rest) = heard.split_once(r#""token":""#).expect("a token");
    let token = rest.split('"').next().expect("a token").to_owned();
    rig.keep_secret(&token);
    for members in [
        r#""event":"message","data":"hello""#,
        r#""event":"message","id":"a","to":"bob","data":{"x":[1,2]}"#,
        r#""event":"getUser","id":2,"data":{"id":"bob"}"#,
        r#""event":"refresh""#,
        r#""event":"dance","data":{"password":"a-danced-secret"}"#,
    ] {
        rig.say(alice, &format!(r#"{{"token":"{token}",{members}}}"#));
    }
    let heard = rig.heard(alice);
    assert!(
        heard.contains("hello") && heard.contains("expiresIn") && heard.contains("unknown_event")
    );
    rig.say_as(bob, "bob", r#""event":"logout""#);
    assert!(rig.heard(bob).ends_with("FIN"));
    rig.finish(bob);
    rig.secrets.extend(
        [
            "a-query-secret",
            "a-cookie-secret",
            "an-api-secret",
            "a-danced-secret",
        ]
        .map(str::to_owned),
    );
    let file = rig.replayed();
    let text = String::from_utf8(file).expect("text");
    assert!(
        text.contains("hello") && text.contains(r#""to":"bob""#),
        "what was said can be read"
    );
}

#[test]
fn a_session_is_replayed_however_its_bytes_were_cut() {
    for piece_bytes in [1, 2, 3, 7, 64] {
        let mut rig = Rig::new(|config| config.frame_rate.count = 0);
        rig.room = 50;
        let token = rig.token("alice");
        let id = rig.connect();
        let head = upgrade(&format!("Authorization: Bearer {token}\r\n"));
        rig.send_cut(id, head.as_bytes(), piece_bytes);
        let frame = format!(r#"{{"token":"{token}","event":"message","data":"cut"}}"#);
        let two = [
            masked(0x81, frame.as_bytes()),
            masked(0x89, b"ping"),
            masked(0x81, frame.as_bytes()),
        ];
        rig.send_cut(id, &two.concat(), piece_bytes);
        assert_eq!(rig.heard(id).matches("cut").count(), 2);
        let text = String::from_utf8(rig.replayed()).expect("text");
        // The head, and of each frame the eight bytes of its header, at the most, and its payload:
        // what is kept of a message until it is whole does not grow with its cuts.
        assert!(text.matches("\n+ ").count() <= 1 + 3 * (8 + 1));
    }
}

#[test]
fn fragments_with_control_frames_between_them_are_replayed() {
    for piece_bytes in [1, 5, usize::MAX] {
        let mut rig = Rig::new(|_| {});
        let id = rig.member("alice");
        let token = rig.token("alice");
        let text = format!(r#"{{"token":"{token}","event":"message","data":"naïve 日本"}}"#);
        let bytes = text.as_bytes();
        let third = bytes.len() / 3;
        let frames = [
            masked(0x01, &bytes[..third]),
            masked(0x89, b"in between"),
            masked(0x00, &bytes[third..bytes.len() - 7]),
            masked(0x8A, b"unasked for"),
            masked(0x00, b""),
            masked(0x80, &bytes[bytes.len() - 7..]),
            masked(0x88, b"\x03\xe8good bye"),
        ];
        rig.send_cut(id, &frames.concat(), piece_bytes);
        let heard = rig.heard(id);
        assert!(
            heard.contains("naïve 日本") && heard.contains("in between"),
            "{heard}"
        );
        rig.secrets.push("good bye".to_owned());
        rig.replayed();
    }
}

/// A good token of alice spoiled in every way, and tokens that others made.
fn spoiled_tokens(rig: &mut Rig) -> Vec<String> {
    let good = rig.token("alice");
    let (signed, signature) = good.rsplit_once('.').expect("a token");
    let now = rig.now.unix;
    let long_ago = UnixSeconds(now.0 - 10_000);
    let foreign = rig.foreign.mint("alice", now).expect("a subject").token;
    let expired = rig.signer.mint("alice", long_ago).expect("a subject").token;
    let stranger = rig.signer.mint("mallory", now).expect("a subject").token;
    let ahead = rig
        .signer
        .mint("alice", now.plus(9_999))
        .expect("a subject")
        .token;
    for token in [&foreign, &expired, &stranger, &ahead] {
        rig.keep_secret(token);
    }
    vec![
        foreign,
        expired,
        stranger,
        ahead,
        format!("{signed}.{signature}{signature}"),
        format!("{signed}.{}", &signature[..42]),
        format!("{good}.{signature}"),
        format!("{signed}..{signature}"),
        signed.to_owned(),
        signature.to_owned(),
        "an-opaque-token".to_owned(),
        String::new(),
        format!("{good}{}", ".".repeat(5_000)),
    ]
}

#[test]
fn refused_tokens_of_every_kind_are_replayed_and_of_no_use() {
    let mut rig = Rig::new(|config| config.ban_after = 0);
    rig.secrets.push("an-opaque-token".to_owned());
    for token in spoiled_tokens(&mut rig) {
        let frame = format!(r#"{{"token":"{token}","event":"refresh"}}"#);
        let id = rig.open("");
        rig.say(id, &frame);
        assert!(rig.heard(id).contains("reason"), "{token}");

        let id = rig.open(&format!("Authorization: Bearer {token}\r\n"));
        assert!(!rig.heard(id).contains(" 101 "), "{token}");

        let offer = format!("Sec-WebSocket-Protocol: framegate.v1, framegate.bearer.{token}\r\n");
        rig.open(&offer);
    }
    let bob = rig.member("bob");
    rig.say_as(bob, "alice", r#""event":"refresh""#);
    assert!(rig.heard(bob).contains("another user's"));
    rig.replayed();
}

#[test]
fn tokens_of_the_previous_secret_and_with_escapes_pass_in_a_replay_too() {
    let mut rig = Rig::new(|_| {});
    let previous = rig
        .previous
        .mint("alice", rig.now.unix)
        .expect("a subject")
        .token;
    rig.keep_secret(&previous);
    let good = rig.token("alice");
    let (signed, signature) = good.rsplit_once('.').expect("a token");
    let escape = |text: &str| -> String {
        text.chars()
            .map(|c| format!("\\u{:04x}", u32::from(c)))
            .collect()
    };
    let mixed = format!(
        "{signed}\\u002e{}{}",
        escape(&signature[..20]),
        &signature[20..]
    );
    rig.secrets.extend([
        escape(&signature[..20]),
        signature[20..].to_owned(),
        escape(signature),
    ]);
    let id = rig.open("");
    for token in [&previous, &escape(&good), &mixed] {
        rig.say(
            id,
            &format!(r#"{{"token":"{token}","event":"message","data":"passed"}}"#),
        );
    }
    assert_eq!(rig.heard(id).matches("passed").count(), 3);
    rig.replayed();
}

#[test]
fn a_token_that_somebody_sends_around_is_of_no_use() {
    let mut rig = Rig::new(|_| {});
    let (alice, token) = (rig.member("alice"), rig.token("bob"));
    let data = format!(r#""event":"message","data":["{token}","{token}x",{{"{token}":0}}]"#);
    rig.say_as(alice, "alice", &data);
    rig.say_as(alice, "alice", &format!(r#""event":"{token}""#));
    let heard = rig.heard(alice);
    for told in [&token, "unknown_event"] {
        assert!(heard.contains(told), "{heard}");
    }
    rig.replayed();
}

#[test]
fn passwords_are_filled_wherever_they_were_put() {
    let mut rig = Rig::new(|config| {
        config.ban_after = 0;
        config.login_rate.count = 0;
    });
    rig.secrets.push("hunter2".to_owned());
    for frame in [
        r#"{"event":"login","data":{"id":"alice","password":"hunter2"}}"#,
        r#"{"event":"login","data":{"id":"alice","password":"\u0068unter2\n\ud83d\ude00é"}}"#,
        r#"{"event":"login","data":{"id":"alice","password":"hunter2\u0000"}}"#,
        r#"{"event":"login","data":{"id":"alice","password":["hunter2",{"a":"hunter2"}]}}"#,
        r#"{"event":"login","data":{"id":"alice","password":"hunter2","password":"hunter2"}}"#,
        r#"{"event":"login","data":"{\"id\":\"alice\",\"password\":\"hunter2\"}"}"#,
        r#"{"event":"login","id":"alice","password":"hunter2"}"#,
        r#"{"\u0065vent":"log\u0069n","data":{"id":"alice","pass\u0077ord":"hunter2"}}"#,
        r#"{"event":"login","data":{"id":"alice","password":"hunter2"}"#,
        r#"{"event":"login","event":"login","data":{"id":"alice","password":"hunter2"}}"#,
        r#"{"event":"login","data":{"id":"alice","password":"hunter2 \ud800"}}"#,
        r#"["login",{"id":"alice","password":"hunter2"}]"#,
        r#""hunter2""#,
        "login alice hunter2",
        "{'event':'login','data':{'id':'alice','password':'hunter2'}}",
    ] {
        let id = rig.open("");
        rig.say(id, frame);
        rig.hash();
        let heard = rig.heard(id);
        assert!(heard.contains(r#""reason""#), "{frame}: {heard}");
    }
    let deep = format!(r#"{}"hunter2"{}"#, r#"{"a":"#.repeat(40), "}".repeat(40));
    let id = rig.open("");
    rig.say(id, &deep);
    rig.replayed();
}

#[test]
fn logins_over_http_are_replayed() {
    let mut rig = Rig::new(|config| {
        config.ban_after = 0;
        config.login_rate.count = 0;
    });
    rig.secrets
        .extend(["hunter2", "aHVudGVyMg"].map(str::to_owned));
    let right = format!(
        r#"{{"id":"alice","password":"{}"}}"#,
        password("alice").replace('"', "\\\"")
    );
    for body in [
        right.as_str(),
        r#"{"id":"alice","password":"hunter2"}"#,
        r#"{"id":"nobody","password":"hunter2"}"#,
        r#"{"password":"hunter2"}"#,
        r#"{"id":"alice","password":"hunter2""#,
        "id=alice&password=hunter2",
        "",
    ] {
        for piece_bytes in [10, usize::MAX] {
            let id = rig.connect();
            rig.send_cut(id, post("/login", body).as_bytes(), piece_bytes);
            rig.hash();
            let heard = rig.heard(id);
            assert!(heard.starts_with("HTTP/1.1 "), "{body}");
            if let Some((_, rest)) = heard.split_once(r#""token":""#) {
                rig.keep_secret(rest.split('"').next().expect("a token"));
            }
        }
    }
    for request in [
        post("/login", r#"{"id":"alice","password":"hunter2"}"#) + "hunter2",
        post("/call", r#"{"token":"hunter2"}"#),
        post("/hunter", "hunter2"),
        "GET /health?hunter2 HTTP/1.1\r\nHost: h\r\nAuthorization: Basic aHVudGVyMg==\r\n\r\n"
            .to_owned(),
        "GET /health HTTP/1.1\r\nHost: h\r\nProxy-Authorization: hunter2\r\n\r\nhunter2".to_owned(),
        "GET /health HTTP/1.1\r\nHost h\r\nCookie: hunter2\r\n\r\n".to_owned(),
        r#"{"event":"login","data":{"password":"hunter2"}}"#.to_owned(),
        "\x16\x03\x01 hunter2".to_owned(),
    ] {
        let id = rig.connect();
        rig.send(id, request.as_bytes());
        rig.hash();
        assert!(rig.heard(id).starts_with("HTTP/1.1 "), "{request}");
    }
    let latin =
        b"POST /login HTTP/1.1\r\nHost: h\r\nContent-Length: 17\r\n\r\nhunter2 hunter2\xe9\xff";
    let id = rig.connect();
    rig.send(id, latin);
    assert!(rig.heard(id).contains("UTF-8"));
    rig.replayed();
}

#[test]
fn chunked_logins_are_replayed_and_not_shown() {
    let mut rig = Rig::new(|config| {
        config.ban_after = 0;
        config.login_rate.count = 0;
    });
    rig.secrets
        .extend(["hunter2", "hunt", "er2"].map(str::to_owned));
    let head = "POST /login HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n";
    let start = "15\r\n{\"id\":\"alice\",\"passwo\r\n";
    for rest in [
        "9\r\nrd\":\"hunt\r\n5\r\ner2\"}\r\n0\r\n\r\n",
        "9;hunter2=\"hunter2;hunter2\"\r\nrd\":\"hunt\r\n5\r\ner2\"}\r\n0;hunter2\r\nX: hunter2\r\n\r\n",
        "9\r\nrd\":\"hunt\r\n5\r\ner2\"}\r\n0\r\n\r\nhunter2 hunter2",
        // None that is one.
        "9\r\nrd\":\"hunt\r\nhunter2",
        "9\r\nrd\":\"hunt\r\n5\r\nhunter2",
        "9\r\nrd\":\"hunt\r\n5;hunter2\0hunter2\r\n",
        "9\r\nrd\":\"hunt\r\nffff\r\nhunter2",
        "9\r\nrd\":\"hunt\r\n5\r\ner2\"}\r\n0\r\nX hunter2\r\n",
    ] {
        for piece_bytes in [1, 10, usize::MAX] {
            let id = rig.connect();
            let request = format!("{head}{start}{rest}");
            rig.send_cut(id, request.as_bytes(), piece_bytes);
            rig.hash();
            assert!(rig.heard(id).starts_with("HTTP/1.1 4"), "{rest:?}");
        }
    }
    // What is not finished.
    let whole =
        format!("{head}{start}9;hunter2\r\nrd\":\"hunt\r\n5\r\ner2\"}}\r\n0\r\nX: hunter2\r\n\r\n");
    for end in [1, 3, 12, 16, 24, 33, 40] {
        let id = rig.connect();
        rig.send_cut(id, &whole.as_bytes()[..whole.len() - end], 7);
        if end % 2 == 0 {
            rig.finish(id);
        }
    }
    rig.wait(Duration::from_secs(10));
    rig.replayed();
}

#[test]
fn heads_of_every_form_are_replayed_and_show_no_secret() {
    let mut rig = Rig::new(|config| config.ban_after = 0);
    rig.secrets.push("hunter2".to_owned());
    for (request, status) in [
        (
            "\r\nGET /health?hunter2:hunter2 HTTP/1.1\r\nHost: h\r\n\r\n",
            "200",
        ),
        (
            "GET http://h/health?hunter2 HTTP/1.0\r\nCookie: hunter2\r\n\r\n",
            "200",
        ),
        (
            "GET http://a:hunter2@h/health@x HTTP/1.1\r\nHost: h\r\n\r\n",
            "400",
        ),
        (
            "GET http://hunter2@h?hunter2@h HTTP/1.1\r\nHost: h\r\n\r\n",
            "400",
        ),
        (
            "HEAD /health HTTP/1.1\r\nHost: h\r\nAuthorization: hunter2\r\n\r\n",
            "200",
        ),
        (
            "OPTIONS /login HTTP/1.1\r\nHost: h\r\nOrigin: http://h\r\n\r\n",
            "200",
        ),
    ] {
        for piece_bytes in [1, 9, usize::MAX] {
            let id = rig.connect();
            rig.send_cut(id, request.as_bytes(), piece_bytes);
            let heard = rig.heard(id);
            assert!(
                heard.starts_with(&format!("HTTP/1.1 {status}")),
                "{request}: {heard}"
            );
        }
    }
    for (authorization, status) in [
        ("Basic hunter2", "101"),
        ("hunter2", "101"),
        ("hunter2 hunter2", "101"),
        ("Bearer\thunter2", "401"),
        ("Bearer:hunter2", "401"),
        ("bearer hunter2", "401"),
    ] {
        let id = rig.connect();
        rig.send(
            id,
            upgrade(&format!("Authorization: {authorization}\r\n")).as_bytes(),
        );
        let heard = rig.heard(id);
        assert!(
            heard.starts_with(&format!("HTTP/1.1 {status}")),
            "{authorization}: {heard}"
        );
    }
    rig.replayed();
}

#[test]
fn frames_that_break_the_rules_are_replayed() {
    let mut rig = Rig::new(|config| config.ban_after = 0);
    rig.secrets.push("hunter2".to_owned());
    let token = rig.token("alice");
    let frame = format!(r#"{{"token":"{token}","event":"refresh","data":"hunter2"}}"#);
    let latin = br#"{"event":"login","data":"hunter2"#;
    let behind = masked(0x81, frame.as_bytes());
    let mut unmasked = b"\x81\x07hunter2".to_vec();
    unmasked.extend(&behind);
    let spoiled = [
        unmasked,
        masked(0xC1, b"hunter2"),
        masked(0x82, b"hunter2"),
        masked(0x80, b"hunter2"),
        masked(0x83, b"hunter2"),
        masked(0x09, b"hunter2"),
        masked(0x88, b"\x00\x01hunter2"),
        masked(0x88, b"\x03\xe8hunter2\xff"),
        masked(0x81, &[&latin[..], b"\xff", latin].concat()),
        [masked(0x01, b"hunter2"), masked(0x81, b"hunter2")].concat(),
        [
            masked(0x01, &[&latin[..], "é".as_bytes()].concat()),
            masked(0x80, b"\xff hunter2"),
        ]
        .concat(),
        [masked(0x01, b"hunter2 \xe2\x82"), masked(0x00, b"hunter2")].concat(),
        masked(0x81, &[b'x'; 20_000]),
        (0..70)
            .flat_map(|count| masked(if count == 0 { 0x01 } else { 0x00 }, b"hunter2"))
            .collect(),
        b"hunter2 hunter2 hunter2".to_vec(),
    ];
    for bytes in spoiled {
        for piece_bytes in [1, 6, usize::MAX] {
            let id = rig.open("");
            let mut all = bytes.clone();
            all.extend(&behind);
            rig.send_cut(id, &all, piece_bytes);
            assert!(rig.heard(id).contains("FIN"), "{bytes:?}");
        }
        // Come after the request, before its answer.
        let id = rig.connect();
        rig.send(id, &[upgrade("").as_bytes(), &bytes].concat());
    }
    rig.replayed();
}

#[test]
fn what_is_not_finished_is_replayed_and_not_shown() {
    let mut rig = Rig::new(|_| {});
    rig.secrets.push("hunter2".to_owned());
    let frame = masked(
        0x81,
        r#"{"event":"login","data":"hunter2 é hunter2"}"#.as_bytes(),
    );
    let fragment = masked(0x01, r#"{"event":"login","data":"hunter2 é"#.as_bytes());
    let head = upgrade("Authorization: Bearer hunter2\r\n");
    let body = post("/login", r#"{"id":"alice","password":"hunter2"}"#);
    for end in [1, 2, 4, 7, 30, 39, 40, 47] {
        let ids: Vec<ConnectionId> = (0..4).map(|_| rig.open("")).collect();
        rig.send(ids[0], &frame[..end]);
        rig.send(ids[1], &[&fragment[..], &frame[..end.min(6)]].concat());
        rig.send(
            ids[2],
            &masked(0x89, b"hunter2 hunter2 hunter2 hunter2 hunter2 ping")[..end],
        );
        let id = rig.connect();
        rig.send(id, &head.as_bytes()[..head.len() - end]);
        let id = rig.connect();
        rig.send(id, &body.as_bytes()[..body.len() - end.min(30)]);
        rig.turn.core.handle(rig.now, Input::Failed(ids[0]));
        rig.finish(ids[1]);
    }
    rig.wait(Duration::from_secs(40));
    rig.replayed();
}

#[test]
fn users_who_change_and_a_store_that_fails_are_replayed() {
    let mut rig = Rig::new(|_| {});
    let (alice, bob, carol) = (rig.member("alice"), rig.member("bob"), rig.open(""));
    rig.say(carol, &login("carol", &password("carol")));
    // Disabled while the password is checked.
    assert!(rig.users.set_disabled("carol", true));
    rig.wait(Duration::from_millis(200));
    rig.hash();
    assert!(rig.heard(carol).contains("login_failed"));
    let mut revoked = user("bob");
    revoked.tokens_valid_from = Some(rig.now.unix.plus(1));
    let revoked = User {
        name: "new\nname".into(),
        ..revoked
    };
    rig.users.remove("bob");
    rig.users.add(&revoked);
    rig.wait(Duration::from_secs(1));
    assert!(rig.heard(bob).contains("token_revoked"));
    rig.users.fail_next(3, StoreError::Busy);
    rig.say_as(
        alice,
        "alice",
        r#""event":"getUser","id":1,"data":{"id":"no body\n"}"#,
    );
    rig.wait(Duration::from_secs(1));
    assert!(rig.heard(alice).contains("unavailable"));
    let id = rig.connect();
    rig.users.fail_next(1, StoreError::Io);
    rig.send(id, b"GET /health HTTP/1.1\r\nHost: h\r\n\r\n");
    assert!(rig.heard(id).contains("503"));
    let id = rig.connect();
    rig.send(id, b"GET /health HTTP/1.1\r\nHost: h\r\n\r\n");
    assert!(rig.users.check().is_ok());
    rig.turn.core.handle(rig.now, Input::Shed);
    // A summary, and the ends of all who are silent.
    rig.wait(Duration::from_secs(130));
    rig.replayed();
}

#[test]
fn connections_with_a_proxy_header_are_replayed() {
    let mut rig = Rig::new(|config| {
        config.proxy_protocol = true;
        config.trusted_proxies = "192.0.2.0/24".parse().expect("a network");
    });
    rig.secrets.push("hunter2".to_owned());
    let line = "PROXY TCP4 203.0.113.7 198.51.100.1 40000 443\r\n";
    for piece_bytes in [1, 9, usize::MAX] {
        let token = rig.token("alice");
        let id = rig.connect();
        let head = upgrade(&format!("Authorization: Bearer {token}\r\n"));
        rig.send_cut(id, (line.to_owned() + &head).as_bytes(), piece_bytes);
        assert!(rig.heard(id).contains(" 101 "));
        for direct in [
            upgrade("Authorization: Bearer hunter2\r\n"),
            format!("{}\rhunter2", &line[..20]),
        ] {
            let id = rig.connect();
            rig.send_cut(id, direct.as_bytes(), piece_bytes);
            assert!(rig.heard(id).contains("RESET"));
        }
        let id = rig.connect();
        rig.send(id, &line.as_bytes()[..30]);
    }
    rig.replayed();
}

#[test]
fn a_peer_that_reads_slowly_is_replayed() {
    let mut rig = Rig::new(|config| config.outbox_bytes_max = 20_000);
    let (alice, bob) = (rig.member("alice"), rig.member("bob"));
    rig.room = 0;
    for count in 0..12 {
        let text = "y".repeat(2_000);
        rig.say_as(
            alice,
            "alice",
            &format!(r#""event":"message","id":{count},"data":"{text}""#),
        );
    }
    rig.room = 700;
    for id in [alice, bob] {
        rig.turn.core.handle(rig.now, Input::Writable(id));
    }
    rig.turn();
    rig.wait(Duration::from_secs(3));
    assert!(rig.heard(alice).contains("reading too slowly"));
    rig.replayed();
}
