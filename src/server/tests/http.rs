//! Requests that are not WebSockets, and the handshakes of those that are.

use super::world::{World, error, upgrade};

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
    assert!(world.server.held_bytes() < 4096, "the head is not kept");
}

#[test]
fn health_is_ok_until_the_store_fails() {
    let mut world = World::new();
    let request = "GET /health HTTP/1.1\r\nHost: h\r\n\r\n";
    assert_eq!(one(&mut world, request), ["HTTP 200 ok", "FIN"]);
    world.break_store(true);
    world.wait(std::time::Duration::from_secs(1));
    assert_eq!(
        one(&mut world, request),
        ["HTTP 503 the user store does not answer", "FIN"]
    );
}

#[test]
fn paths_and_methods_we_do_not_know_are_told() {
    let mut world = World::new();
    for (request, answer) in [
        ("GET / HTTP/1.1\r\nHost: h\r\n\r\n", "HTTP 404 Not Found"),
        ("GET /ws/ HTTP/1.1\r\nHost: h\r\n\r\n", "HTTP 404 Not Found"),
        (
            "POST /ws HTTP/1.1\r\nHost: h\r\n\r\n",
            "HTTP 405 Method Not Allowed",
        ),
        (
            "GET /login HTTP/1.1\r\nHost: h\r\n\r\n",
            "HTTP 405 Method Not Allowed",
        ),
        (
            "HEAD /health HTTP/1.1\r\nHost: h\r\n\r\n",
            "HTTP 405 Method Not Allowed",
        ),
    ] {
        assert_eq!(one(&mut world, request), [answer, "FIN"], "{request}");
    }
    let mut words = ["method_not_allowed"; 5];
    words[..2].fill("not_found");
    assert_eq!(world.refusals(), words);
}

#[test]
fn an_upgrade_that_is_none_is_refused_by_status() {
    let mut world = World::new();
    for (request, status) in [
        ("GET /ws HTTP/1.1\r\nHost: h\r\n\r\n".to_owned(), "HTTP 426"),
        (upgrade("Origin: http://evil.example\r\n"), "HTTP 403"),
        (upgrade("Content-Length: 3\r\n"), "HTTP 400"),
        (upgrade("Host: twice\r\n"), "HTTP 400"),
        (upgrade("") + "x", "HTTP 400"),
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

#[test]
fn a_login_request_must_be_plain() {
    let mut world = World::new();
    let good = r#"{"id":"alice","password":"x"}"#;
    for (request, status) in [
        (
            "POST /login HTTP/1.1\r\nHost: h\r\n\r\n".to_owned(),
            "HTTP 400",
        ),
        (
            "POST /login HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n".to_owned(),
            "HTTP 400",
        ),
        (
            "POST /login HTTP/1.1\r\nHost: h\r\nContent-Length: 8193\r\n\r\n".to_owned(),
            "HTTP 413",
        ),
        (
            "POST /login HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n"
                .to_owned(),
            "HTTP 417",
        ),
        // RFC 9112 §6.1: both together are an attempt to smuggle a request past somebody.
        (
            format!(
                "POST /login HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\
                 Content-Length: {}\r\n\r\n{good}",
                good.len()
            ),
            "HTTP 400",
        ),
        (post("/login", good) + " ", "HTTP 400"),
        (post("/login", "[]"), "HTTP 400"),
        (
            post("/login", r#"{"id":"alice","password":""}"#),
            "HTTP 400",
        ),
        (
            post("/login", r#"{"id":"alice","id":"bob","password":"x"}"#),
            "HTTP 400",
        ),
    ] {
        let heard = one(&mut world, &request);
        assert!(heard[0].starts_with(status), "{request}: {heard:?}");
    }
    assert_eq!(world.hashes_waiting(), 0);
    let refused = world.server.totals().refused;
    let words = ["bad_request", "content_too_large", "expectation"];
    assert_eq!(words.map(|word| refused[word]), [7, 1, 1]);
}

#[test]
fn a_body_of_the_limit_passes() {
    let mut world = World::new();
    let text = r#"{"id":"alice","password":"x"}"#;
    let body = format!("{text}{}", " ".repeat(8192 - text.len()));
    assert!(one(&mut world, &post("/login", &body)).is_empty());
    assert_eq!(world.hashes_waiting(), 1);
}
