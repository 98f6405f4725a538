//! Requests that are not WebSockets, and the handshakes of those that are.

use super::world::{World, error, masked, upgrade};
use crate::server::Input;

fn one(world: &mut World, request: &str) -> Vec<String> {
    let id = world.connect();
    world.send(id, request.as_bytes());
    world.hear(id)
}

fn post(path: &str, body: &str) -> String {
    format!(
        "POST {path} HTTP/1.1\r\nHost: h\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

#[test]
fn a_head_in_one_byte_pieces_is_answered_as_in_one() {
    let mut world = World::new();
    let id = world.connect();
    for byte in upgrade("").as_bytes().chunks(1) {
        assert!(world.hear(id).is_empty());
        world.send(id, byte);
    }
    assert_eq!(world.hear(id), ["HTTP 101"]);
    assert!(world.turn.core.held_bytes() < 4096, "the head is not kept");
}

#[test]
fn health_is_ok_until_the_store_fails() {
    let mut world = World::new();
    let request = "GET /health HTTP/1.1\r\nHost: h\r\n\r\n";
    assert_eq!(one(&mut world, request), ["HTTP 200 ok", "FIN"]);
    assert!(!raw(&mut world, request).contains("Retry-After"));
    world.break_store(true);
    world.wait(std::time::Duration::from_secs(1));
    assert!(raw(&mut world, request).contains("\r\nRetry-After: 1\r\n"));
    assert_eq!(
        one(&mut world, request),
        ["HTTP 503 the user store does not answer", "FIN"]
    );
}

#[test]
fn a_stopping_server_answers_on_the_connections_it_has() {
    use std::time::Duration;
    let mut world = World::new();
    let ids = [(); 6].map(|()| world.connect());
    let [health, late, begun, waiting, login_begun, silent] = ids;
    world.send(begun, b"GET /hea");
    world.send(waiting, login().as_bytes());
    let request = login();
    let (first, second) = request.as_bytes().split_at(request.len() - 9);
    world.send(login_begun, first);
    world.turn.core.handle(world.now, Input::Stop);
    let ask = b"GET /health HTTP/1.1\r\nHost: h\r\n\r\n";
    world.send(health, ask);
    world.send(begun, &ask[8..]);
    world.send(login_begun, second);
    for id in [health, begun] {
        assert_eq!(world.hear(id), ["HTTP 503 stopping", "FIN"]);
    }
    let stopping = "HTTP 503 the server is stopping; come back later";
    assert_eq!(world.hear(login_begun), [stopping, "FIN"]);
    world.wait(Duration::from_millis(1_900));
    world.send(late, upgrade("").as_bytes());
    assert_eq!(world.hear(late)[0], stopping);
    world.hash();
    assert!(world.hear(waiting)[0].starts_with("HTTP 200"));
    // Who says nothing by then is dropped, and has done nothing wrong.
    world.wait(Duration::from_millis(200));
    assert_eq!(world.hear(silent), ["CLOSED"]);
    assert!(!world.refusals().contains(&"handshake_timeout"));
}

#[test]
fn paths_and_methods_we_do_not_know_are_told() {
    let mut world = World::new();
    let nothing = "HTTP 404 nothing is here: there are GET /ws, POST /login and GET /health";
    let not_get = "HTTP 405 this path takes GET and HEAD";
    for (request, answer) in [
        ("GET / HTTP/1.1\r\nHost: h\r\n\r\n", nothing),
        ("GET /ws/ HTTP/1.1\r\nHost: h\r\n\r\n", nothing),
        ("OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n", nothing),
        ("POST /ws HTTP/1.1\r\nHost: h\r\n\r\n", not_get),
        ("PUT /health HTTP/1.1\r\nHost: h\r\n\r\n", not_get),
        (
            "GET /login HTTP/1.1\r\nHost: h\r\n\r\n",
            "HTTP 405 this path takes POST",
        ),
    ] {
        assert_eq!(one(&mut world, request), [answer, "FIN"], "{request}");
    }
    let mut words = ["method_not_allowed"; 6];
    words[..3].fill("not_found");
    assert_eq!(world.refusals(), words);
}

/// All that one request is answered with, byte for byte, and whether we closed after it.
fn raw(world: &mut World, request: &str) -> String {
    let id = world.connect();
    world.set_raw(id);
    world.send(id, request.as_bytes());
    world.hear(id).concat()
}

#[test]
fn an_answer_to_head_is_that_to_get_without_its_content() {
    let mut world = World::new();
    for (path, status) in [
        ("/health", "200"),
        ("/ws", "426"),
        ("/nope", "404"),
        ("/login", "405"),
    ] {
        let get = raw(
            &mut world,
            &format!("GET {path} HTTP/1.1\r\nHost: h\r\n\r\n"),
        );
        let head = raw(
            &mut world,
            &format!("HEAD {path} HTTP/1.1\r\nHost: h\r\n\r\n"),
        );
        let (fields, body) = get.split_once("\r\n\r\n").expect("a blank line");
        assert_eq!(head, format!("{fields}\r\n\r\nFIN"), "{path}");
        assert!(fields.contains(status) && body.len() > 4, "{get}");
    }
    // Nor after what is refused before it is read.
    for request in [
        "HEAD /health HTTP/1.1\r\n\r\n",
        "HEAD /health HTTP/3.0\r\n",
        "\r\nHEAD /health HTTP/1.1\r\n Host: h",
    ] {
        let head = raw(&mut world, request);
        assert!(head.ends_with("\r\n\r\nFIN"), "{head}");
    }
}

#[test]
fn every_answer_has_a_date_but_that_which_switches() {
    let mut world = World::new();
    let date = "\r\nDate: Fri, 15 Jan 2027 08:00:00 GMT\r\n";
    for request in [
        "GET /health HTTP/1.1\r\nHost: h\r\n\r\n",
        "GET /nope HTTP/1.1\r\nHost: h\r\n\r\n",
        "x\n",
    ] {
        let answer = raw(&mut world, request);
        assert!(answer.contains(date), "{answer}");
    }
    assert!(!raw(&mut world, &upgrade("")).contains("Date"));
}

#[test]
fn http_1_0_is_served_but_for_the_upgrade() {
    let mut world = World::new();
    let health = one(&mut world, "GET /health HTTP/1.0\r\n\r\n");
    assert_eq!(health, ["HTTP 200 ok", "FIN"]);
    let old = upgrade("").replace("HTTP/1.1", "HTTP/1.0");
    let heard = one(&mut world, &old);
    assert!(
        heard[0].starts_with("HTTP 426 a WebSocket needs HTTP/1.1"),
        "{heard:?}"
    );
    let login = login().replace("HTTP/1.1\r\nHost: h", "HTTP/1.0");
    assert!(one(&mut world, &login).is_empty());
    assert_eq!(world.hashes_waiting(), 1);
    let chunked = "POST /login HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n";
    assert!(one(&mut world, chunked)[0].starts_with("HTTP 400"));
}

#[test]
fn a_target_may_be_a_url() {
    let mut world = World::new();
    let url = "GET http://a.example/health?x HTTP/1.1\r\nHost: h\r\n\r\n";
    assert_eq!(one(&mut world, url), ["HTTP 200 ok", "FIN"]);
    // Its host takes the place of Host.
    let at = |origin: &str| {
        upgrade(&format!("Origin: {origin}\r\n")).replace("/ws", "http://a.example/ws")
    };
    assert_eq!(one(&mut world, &at("http://a.example")), ["HTTP 101"]);
    assert!(one(&mut world, &at("http://localhost"))[0].starts_with("HTTP 403"));
}

#[test]
fn an_upgrade_that_is_none_is_refused_by_status() {
    let mut world = World::new();
    for (request, status) in [
        ("GET /ws HTTP/1.1\r\nHost: h\r\n\r\n".to_owned(), "HTTP 426"),
        (upgrade("Origin: http://evil.example\r\n"), "HTTP 403"),
        (upgrade("Content-Length: 3\r\n"), "HTTP 400"),
        (upgrade("Host: twice\r\n"), "HTTP 400"),
        (
            upgrade("").replace("Connection: Upgrade", "Connection: close"),
            "HTTP 426",
        ),
        (
            upgrade("Sec-WebSocket-Protocol: framegate.bearer.a.b.c\r\n"),
            "HTTP 400",
        ),
        ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_owned(), "HTTP 505"),
        ("\x16\x03\x01".to_owned(), "HTTP 400"),
        ("SSH-2.0-OpenSSH_9.2\r\n".to_owned(), "HTTP 400"),
    ] {
        let heard = one(&mut world, &request);
        assert!(heard[0].starts_with(status), "{request}: {heard:?}");
        assert_eq!(heard[1], "FIN");
    }
}

#[test]
fn a_good_token_in_the_handshake_logs_in() {
    let mut world = World::new();
    for offer in [
        "Authorization: Bearer ",
        "Sec-WebSocket-Protocol: framegate.v1, framegate.bearer.",
    ] {
        let token = world.token("alice");
        assert_eq!(
            one(&mut world, &upgrade(&format!("{offer}{token}\r\n"))),
            ["HTTP 101"]
        );
    }
    let id = world.member("bob");
    world.say_as(
        id,
        "bob",
        r#""event":"message","id":1,"to":"alice","data":1"#,
    );
    assert_eq!(
        world.hear(id),
        [r#"{"event":"message","id":1,"data":{"delivered":2}}"#]
    );
}

#[test]
fn a_bad_token_is_told_where_its_client_can_see_it() {
    let mut world = World::new();
    let bad = one(&mut world, &upgrade("Authorization: Bearer a.b.c\r\n"));
    assert!(bad[0].starts_with("HTTP 401"), "{bad:?}");
    let nobody = world.token("nobody");
    let forbidden = one(
        &mut world,
        &upgrade(&format!("Authorization: Bearer {nobody}\r\n")),
    );
    assert!(forbidden[0].starts_with("HTTP 403"), "{forbidden:?}");
    let offer = "Sec-WebSocket-Protocol: framegate.v1, framegate.bearer.a.b.c\r\n";
    let refusal = error("unauthorized", "token rejected");
    assert_eq!(
        one(&mut world, &upgrade(offer)),
        ["HTTP 101", &refusal, "close 3000", "FIN"]
    );
}

#[test]
fn a_handshake_token_may_be_required() {
    let mut world = World::with(|config| config.require_handshake_token = true);
    let heard = one(&mut world, &upgrade(""));
    assert!(heard[0].starts_with("HTTP 401"), "{heard:?}");
    world.member("alice");
}

#[test]
fn a_login_over_http_gives_a_token_that_is_good() {
    let request = post("/login", r#"{"id":"alice","password":"alice's password"}"#);
    for step in [1, 7, 64, 1_000] {
        let mut world = World::new();
        let id = world.connect();
        for piece in request.as_bytes().chunks(step) {
            world.send(id, piece);
        }
        assert!(world.hear(id).is_empty());
        world.hash();
        let heard = world.hear(id);
        let token = heard[0].split('"').nth(3).expect("a token").to_owned();
        assert_eq!(
            heard,
            [
                format!(r#"HTTP 200 {{"token":"{token}","expiresIn":3600}}"#).as_str(),
                "FIN"
            ],
            "in pieces of {step}"
        );
        world.member_with(&token);
    }
}

#[test]
fn a_wrong_password_over_http_is_401() {
    let mut world = World::new();
    let id = world.connect();
    world.send(
        id,
        post("/login", r#"{"id":"alice","password":"x"}"#).as_bytes(),
    );
    world.hash();
    let body = r#"{"code":"login_failed","reason":"the id or the password is wrong"}"#;
    assert_eq!(world.hear(id), [format!("HTTP 401 {body}").as_str(), "FIN"]);
}

fn login() -> String {
    post("/login", r#"{"id":"alice","password":"alice's password"}"#)
}

fn chunked_login() -> String {
    "POST /login HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n\
     5\r\n{\"id\"\r\n27;a=\"b\"\r\n:\"alice\",\"password\":\"alice's password\"}\r\n0\r\nA: b\r\n\r\n"
        .to_owned()
}

#[test]
fn a_login_request_that_cannot_be_is_told_what_would_be_right() {
    let mut world = World::new();
    let good = r#"{"id":"alice","password":"x"}"#;
    let with = |fields: &str| format!("POST /login HTTP/1.1\r\nHost: h\r\n{fields}\r\n\r\n");
    for (request, answer) in [
        (
            "POST /login HTTP/1.1\r\nHost: h\r\n\r\n".to_owned(),
            "HTTP 411 a body needs a Content-Length",
        ),
        (
            with("Content-Length: 8193"),
            "HTTP 413 the body is longer than a login's may be",
        ),
        (
            with("Transfer-Encoding: chunked") + "2001\r\n",
            "HTTP 413 the body is longer than a login's may be",
        ),
        (
            with("Content-Length: 2\r\nExpect: 200-ok"),
            "HTTP 417 only `Expect: 100-continue`",
        ),
        (
            with("Transfer-Encoding: gzip, chunked"),
            "HTTP 400 the only transfer coding taken is `chunked`",
        ),
        // RFC 9112 §6.1: both together are an attempt to smuggle a request past somebody.
        (
            with("Transfer-Encoding: chunked\r\nContent-Length: 29") + good,
            "HTTP 400 a body has a Content-Length or `Transfer-Encoding: chunked`, not both",
        ),
        (
            with("Content-Length: x"),
            "HTTP 400 Content-Length is not a decimal number",
        ),
        (
            with("Transfer-Encoding: chunked") + "x",
            "HTTP 400 the chunked body is not sizes in hexadecimal",
        ),
        (
            post("/login", "[]"),
            r#"HTTP 400 {"code":"bad_data","reason":"a login takes {\"id\":\"…\",\"password\":\"…\"}"}"#,
        ),
        (
            post("/login", r#"{"id":"alice","password":""}"#),
            r#"HTTP 400 {"code":"bad_data""#,
        ),
        (
            post("/login", r#"{"id":"alice","id":"bob","password":"x"}"#),
            r#"HTTP 400 {"code":"bad_data""#,
        ),
    ] {
        let heard = one(&mut world, &request);
        assert!(heard[0].starts_with(answer), "{request}: {heard:?}");
    }
    assert_eq!(world.hashes_waiting(), 0);
}

#[test]
fn what_follows_a_body_changes_nothing_however_it_is_cut() {
    for request in [login(), chunked_login()] {
        for behind in ["", "\r\n", "GET / HTTP/1.1\r\n\r\n", "\0"] {
            let bytes = format!("{request}{behind}");
            for cut in 0..=bytes.len() {
                let mut world = World::new();
                let id = world.connect();
                let (first, second) = bytes.as_bytes().split_at(cut);
                world.send(id, first);
                world.send(id, second);
                assert!(world.hear(id).is_empty(), "cut at {cut}");
                world.hash();
                let heard = world.hear(id);
                assert!(heard[0].starts_with("HTTP 200"), "cut at {cut}: {heard:?}");
                assert_eq!(heard[1..], ["FIN"]);
            }
        }
    }
}

#[test]
fn what_follows_an_upgrade_is_frames_however_it_is_cut() {
    let ping = masked(0x89, b"hello");
    let bytes = [upgrade("").as_bytes(), &ping, &ping].concat();
    for cut in 0..=bytes.len() {
        let mut world = World::new();
        let id = world.connect();
        let (first, second) = bytes.split_at(cut);
        world.send(id, first);
        world.send(id, second);
        assert_eq!(
            world.hear(id),
            ["HTTP 101", "pong hello", "pong hello"],
            "cut at {cut}"
        );
    }
    // A refused one is answered, and what follows is not looked at.
    let mut world = World::new();
    let refused = [upgrade("Content-Length: 5\r\n").as_bytes(), &ping].concat();
    let id = world.connect();
    world.send(id, &refused);
    let heard = world.hear(id);
    assert!(
        heard[0].starts_with("HTTP 400") && heard[1] == "FIN",
        "{heard:?}"
    );
}

#[test]
fn an_empty_line_ahead_of_a_request_is_skipped() {
    let mut world = World::new();
    let id = world.connect();
    for piece in [
        &b"\r"[..],
        b"\nGET /hea",
        b"lth HTTP/1.1\r\nHost: h\r\n\r\n",
    ] {
        world.send(id, piece);
    }
    assert_eq!(world.hear(id), ["HTTP 200 ok", "FIN"]);
}

#[test]
fn a_half_close_takes_nobodys_answer() {
    for request in [login(), chunked_login()] {
        let mut world = World::new();
        let id = world.connect();
        world.send(id, request.as_bytes());
        world.finish(id);
        assert!(world.hear(id).is_empty());
        world.finish(id);
        world.hash();
        let heard = world.hear(id);
        assert!(heard[0].starts_with("HTTP 200"), "{heard:?}");
        assert_eq!(heard[1..], ["CLOSED"]);
    }
    // What is not whole by then never will be.
    for end in [10, 60, login().len() - 1] {
        let mut world = World::new();
        let id = world.connect();
        world.send(id, &login().as_bytes()[..end]);
        world.finish(id);
        assert_eq!(world.hear(id), ["CLOSED"]);
        assert_eq!(world.hashes_waiting(), 0);
    }
}

#[test]
fn a_body_is_asked_for_where_its_client_waits() {
    let mut world = World::new();
    let request = login().replace("\r\n\r\n", "\r\nExpect: 100-continue\r\n\r\n");
    let (head, body) = request.split_at(request.find('{').expect("a body"));
    let id = world.connect();
    world.send(id, head.as_bytes());
    assert_eq!(world.hear(id), ["HTTP 100"]);
    world.send(id, body.as_bytes());
    world.hash();
    assert!(world.hear(id)[0].starts_with("HTTP 200"));
    // Who sent it does not.
    let id = world.connect();
    world.send(id, request.as_bytes());
    world.hash();
    assert!(world.hear(id)[0].starts_with("HTTP 200"));
    // And what is refused is not asked for.
    let refused = head.replace("Content-Length", "Content-Length: 9\r\nX");
    let heard = one(
        &mut world,
        &refused.replace("Host: h", "Host: h\r\nOrigin: http://evil"),
    );
    assert!(heard[0].starts_with("HTTP 403"), "{heard:?}");
}

#[test]
fn what_is_http_and_not_served_bans_nobody_and_what_is_none_does() {
    let is_banned_by = |request: &str| {
        let mut world = World::new();
        let address = std::net::IpAddr::from([192, 0, 2, 9]);
        for _ in 0..30 {
            let Some(id) = world.connect_from(address) else {
                return true;
            };
            world.send(id, request.as_bytes());
            world.finish(id);
        }
        world.wait(std::time::Duration::from_secs(1));
        world.connect_from(address).is_none()
    };
    let plain = |line: &str| format!("{line}\r\nHost: h\r\n\r\n");
    for request in [
        plain("GET /nope HTTP/1.1"),
        plain("OPTIONS /health HTTP/1.1"),
        plain("OPTIONS * HTTP/1.1"),
        plain("CONNECT a:443 HTTP/1.1"),
        plain("GET /ws HTTP/1.1"),
        plain("GET /ws HTTP/2.0"),
        plain("POST /login HTTP/1.1"),
        "GET /health HTTP/1.1\r\n\r\n".to_owned(),
        "GET /health HTTP/1.1\r\nHost: a b\r\n\r\n".to_owned(),
        "GET /health HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n".to_owned(),
        format!("GET /health HTTP/1.1\r\nCookie: {}", "x".repeat(9_000)),
        upgrade("Origin: http://evil.example\r\n"),
        upgrade("Content-Length: 3\r\n"),
        upgrade("Sec-WebSocket-Protocol: framegate.bearer.a.b.c\r\n"),
        upgrade("Authorization: Basic YTpi\r\n"),
        upgrade("").replace("Connection: Upgrade", "Connection: close"),
        upgrade("").replace("Version: 13", "Version: 8"),
        upgrade("").replace("ZQ==", "ZQ"),
        upgrade("").replace("HTTP/1.1", "HTTP/1.0"),
        "POST /login HTTP/1.1\r\nHost: h\r\nContent-Length: 99999\r\n\r\n".to_owned(),
        "POST /login HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\nExpect: x\r\n\r\n".to_owned(),
        "POST /login HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: gzip\r\n\r\n".to_owned(),
    ] {
        assert!(!is_banned_by(&request), "{request}");
    }
    for request in [
        "\x16\x03\x01\x02\x00",
        "SSH-2.0-OpenSSH_9.6\r\n",
        "hello\n",
        "GET /health HTTP/1.1\nHost: h\n\n",
        "GET /health HTTP/1.1\r\nHost: h\r\nX Y: z\r\n\r\n",
        "POST /login HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nx",
        &upgrade("Authorization: Bearer a.b.c\r\n"),
        &post("/login", "{}"),
    ] {
        assert!(is_banned_by(request), "{request}");
    }
}

#[test]
fn a_page_of_another_origin_logs_in_where_it_is_listed() {
    let mut world = World::with(|config| {
        config.origins = vec![
            "http://b.example".to_owned(),
            "https://chat.example".to_owned(),
        ];
    });
    let from = |request: &str, origin: &str| {
        request.replacen(
            "Host: h\r\n",
            &format!("Host: h\r\nOrigin: {origin}\r\n"),
            1,
        )
    };
    let preflight = "OPTIONS /login HTTP/1.1\r\nHost: h\r\n\
                     Access-Control-Request-Method: POST\r\n\r\n";
    let asked = raw(&mut world, &from(preflight, "https://chat.example"));
    for field in [
        "HTTP/1.1 200 OK\r\n",
        "\r\nContent-Length: 0\r\n",
        "\r\nAccess-Control-Allow-Methods: POST\r\n",
        "\r\nAccess-Control-Allow-Headers: Content-Type\r\n",
        "\r\nAccess-Control-Allow-Origin: https://chat.example\r\nVary: Origin\r\n",
    ] {
        assert!(asked.contains(field), "{asked}");
    }
    for origin in ["https://evil.example", "null", "http://chat.example"] {
        for request in [preflight, &login()] {
            let refused = raw(&mut world, &from(request, origin));
            assert!(refused.starts_with("HTTP/1.1 403"), "{refused}");
            assert!(!refused.contains("Access-Control"), "{refused}");
        }
    }
    assert_eq!(world.hashes_waiting(), 0);
    // The answer to the login itself, and to one that fails, may be read by that page.
    for (request, status) in [(login(), 200), (login().replace("alice's", "xxxxx's"), 401)] {
        let id = world.connect();
        world.set_raw(id);
        world.send(id, from(&request, "https://chat.example").as_bytes());
        world.hash();
        let answer = world.hear(id).concat();
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status}")),
            "{answer}"
        );
        assert!(answer.contains("\r\nAccess-Control-Allow-Origin: https://chat.example\r\n"));
        assert!(!answer.contains("Allow-Credentials"));
    }
    // Our own page, and who is no page, are told nothing of it.
    for request in [from(&login(), "http://h"), login(), preflight.to_owned()] {
        let id = world.connect();
        world.set_raw(id);
        world.send(id, request.as_bytes());
        world.hash();
        let answer = world.hear(id).concat();
        assert!(answer.starts_with("HTTP/1.1 200") && !answer.contains("Access-Control"));
    }
}

#[test]
fn a_name_that_somebody_lead_to_loopback_is_not_our_own() {
    let from = |world: &mut World, peer: [u8; 4], host: &str, fields: &str| {
        let id = world
            .connect_from(std::net::IpAddr::from(peer))
            .expect("there is room");
        let request = upgrade(&format!("Origin: http://{host}\r\n{fields}"));
        world.send(
            id,
            request
                .replace("Host: localhost", &format!("Host: {host}"))
                .as_bytes(),
        );
        world.hear(id)[0].clone()
    };
    let mut world = World::new();
    for (host, answer) in [
        ("evil.example:7420", "HTTP 403"),
        ("localhost:7420", "HTTP 101"),
        ("app.localhost:7420", "HTTP 101"),
        ("127.0.0.1:7420", "HTTP 101"),
        ("[::1]:7420", "HTTP 101"),
    ] {
        let heard = from(&mut world, [127, 0, 0, 1], host, "");
        assert!(heard.starts_with(answer), "{host}: {heard}");
    }
    // A proxy that is trusted vouches for the name.
    let mut world = World::with(|config| {
        config.trusted_proxies = "127.0.0.1".parse().expect("a network");
    });
    let fields = "X-Forwarded-For: 192.0.2.1\r\n";
    for fields in [fields, ""] {
        let heard = from(&mut world, [127, 0, 0, 1], "chat.example", fields);
        assert_eq!(heard, "HTTP 101");
    }
    // A server that listens elsewhere has a name of its own, for who is forwarded to it too.
    let mut world = World::with(|config| {
        let everywhere = std::net::SocketAddr::from(([0, 0, 0, 0], 7420));
        config.listen = vec![crate::config::Listen::Tcp(everywhere)];
    });
    for peer in [[127, 0, 0, 1], [192, 0, 2, 1]] {
        assert_eq!(from(&mut world, peer, "chat.example", ""), "HTTP 101");
    }
}

#[test]
fn a_body_of_the_limit_passes() {
    let mut world = World::new();
    let text = r#"{"id":"alice","password":"x"}"#;
    let body = format!("{text}{}", " ".repeat(8192 - text.len()));
    assert!(one(&mut world, &post("/login", &body)).is_empty());
    assert_eq!(world.hashes_waiting(), 1);
}
