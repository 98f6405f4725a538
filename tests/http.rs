//! Plain HTTP and the handshake as clients, balancers and proxies use them: a process on loopback,
//! and bytes over real sockets.

#![cfg(test)]
#![expect(
    clippy::disallowed_methods,
    reason = "a test waits for a process, with a clock"
)]

mod support;

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::thread;
use std::time::Duration;

use support::{Home, PATIENCE, Server, password_of};

/// How long a piece of a request is sent after the one before: long enough for a read of its own.
const PAUSE: Duration = Duration::from_millis(30);

struct Peer(TcpStream);

impl Peer {
    fn connect(server: &Server) -> Peer {
        let stream = TcpStream::connect(server.address).expect("the server listens");
        let timeout = Some(PATIENCE);
        stream
            .set_read_timeout(timeout)
            .expect("a time-out can be set");
        stream.set_nodelay(true).expect("a socket can be told");
        Peer(stream)
    }

    fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.0.write_all(bytes.as_ref()).expect("the server reads");
    }

    /// All that comes until the server ends the connection.
    fn rest(&mut self) -> String {
        let mut bytes = Vec::new();
        match self.0.read_to_end(&mut bytes) {
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::ConnectionReset => {}
            Err(error) => panic!("{error} after {:?}", String::from_utf8_lossy(&bytes)),
        }
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// What comes up to the end of a head.
    fn head(&mut self) -> String {
        let mut bytes = Vec::new();
        let mut byte = [0];
        while !bytes.ends_with(b"\r\n\r\n") {
            self.0.read_exact(&mut byte).expect("a head comes");
            bytes.push(byte[0]);
        }
        String::from_utf8(bytes).expect("a head is text")
    }
}

/// All that comes back for these pieces, each sent by itself.
fn ask(server: &Server, pieces: &[&[u8]]) -> String {
    let mut peer = Peer::connect(server);
    for (count, piece) in pieces.iter().enumerate() {
        if count > 0 {
            thread::sleep(PAUSE);
        }
        peer.send(piece);
    }
    peer.rest()
}

fn credentials() -> String {
    format!(r#"{{"id":"alice","password":"{}"}}"#, password_of("alice"))
}

fn login(fields: &str) -> String {
    let body = credentials();
    let length = body.len();
    format!("POST /login HTTP/1.1\r\nHost: h\r\nContent-Length: {length}\r\n{fields}\r\n{body}")
}

fn upgrade(server: &Server, fields: &str) -> String {
    format!(
        "GET /ws HTTP/1.1\r\nHost: {}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{fields}\r\n",
        server.address
    )
}

/// A client's Close 1000 or the like, masked by zeros.
fn close(code: u16) -> Vec<u8> {
    let [high, low] = code.to_be_bytes();
    vec![0x88, 0x82, 0, 0, 0, 0, high, low]
}

#[test]
fn balancers_and_old_clients_are_answered() {
    let home = Home::with_users(&["alice"]);
    let server = home.serve(&[]);
    for (request, status, has_content) in [
        ("GET /health HTTP/1.1\r\nHost: h\r\n\r\n", "200", true),
        ("HEAD /health HTTP/1.1\r\nHost: h\r\n\r\n", "200", false),
        ("HEAD /nope HTTP/1.1\r\nHost: h\r\n\r\n", "404", false),
        ("GET /health HTTP/1.0\r\n\r\n", "200", true),
        ("HEAD /health HTTP/1.0\r\n\r\n", "200", false),
        (
            "GET http://a.example/health HTTP/1.1\r\nHost: a.example\r\n\r\n",
            "200",
            true,
        ),
        ("\r\nGET /health HTTP/1.1\r\nHost: h\r\n\r\n", "200", true),
        ("GET /health HTTP/1.1\r\n\r\n", "400", true),
        ("GET /ws HTTP/1.1\r\nHost: h\r\n\r\n", "426", true),
        ("GET /ws HTTP/1.0\r\n\r\n", "426", true),
    ] {
        let answer = server.request(request);
        let (head, content) = answer.split_once("\r\n\r\n").expect("a blank line");
        assert!(
            head.starts_with(&format!("HTTP/1.1 {status} ")),
            "{request}: {answer}"
        );
        assert!(
            head.contains("\r\nDate: ") && head.contains(" GMT\r\n"),
            "{head}"
        );
        assert_eq!(!content.is_empty(), has_content, "{request}: {answer}");
    }
}

#[test]
fn a_login_is_answered_however_it_comes() {
    let home = Home::with_users(&["alice"]);
    let server = home.serve(&["--login-rate", "0"]);
    let body = credentials();
    let (first, second) = body.split_at(9);
    let chunked = format!(
        "POST /login HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n\
         {:x}\r\n{first}\r\n{:X};a=b\r\n{second}\r\n0\r\nA: b\r\n\r\n",
        first.len(),
        second.len()
    );
    let old = login("").replace("HTTP/1.1\r\nHost: h", "HTTP/1.0");
    for request in [login(""), chunked.clone(), old] {
        let (front, back) = request.split_at(request.len() - 12);
        for pieces in [
            &[request.as_bytes()][..],
            &[front.as_bytes(), back.as_bytes(), b"\r\n"],
        ] {
            let answer = ask(&server, pieces);
            assert!(
                answer.starts_with("HTTP/1.1 200 OK\r\n"),
                "{request}: {answer}"
            );
            assert!(answer.contains(r#""token":"#), "{answer}");
        }
        let answer = ask(&server, &[format!("{request}\r\n").as_bytes()]);
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
        // Who sends no more may still read.
        let mut peer = Peer::connect(&server);
        peer.send(&request);
        peer.0.shutdown(Shutdown::Write).expect("it is connected");
        let answer = peer.rest();
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    }
}

#[test]
fn a_client_that_waits_is_asked_for_its_body() {
    let home = Home::with_users(&["alice"]);
    let server = home.serve(&[]);
    let request = login("Expect: 100-continue\r\n");
    let (head, body) = request.split_at(request.find('{').expect("a body"));
    let mut peer = Peer::connect(&server);
    peer.send(head);
    assert_eq!(peer.head(), "HTTP/1.1 100 Continue\r\n\r\n");
    peer.send(body);
    assert!(peer.rest().starts_with("HTTP/1.1 200 OK\r\n"));
    let unknown = ask(&server, &[login("Expect: tea\r\n").as_bytes()]);
    assert!(unknown.starts_with("HTTP/1.1 417 "), "{unknown}");
    let endless = ask(&server, &[b"POST /login HTTP/1.1\r\nHost: h\r\n\r\n"]);
    assert!(endless.starts_with("HTTP/1.1 411 ") && endless.contains("Content-Length,"));
}

#[test]
fn frames_may_come_with_their_upgrade() {
    let home = Home::with_users(&["alice"]);
    let server = home.serve(&[]);
    for code in [1_000, 1_014] {
        let together = [upgrade(&server, "").as_bytes(), &close(code)].concat();
        let upgrade = upgrade(&server, "");
        for pieces in [&[&together[..]][..], &[upgrade.as_bytes(), &close(code)]] {
            let mut peer = Peer::connect(&server);
            for piece in pieces {
                peer.send(piece);
                thread::sleep(PAUSE);
            }
            assert!(peer.head().starts_with("HTTP/1.1 101 "));
            let mut rest = Vec::new();
            let _ = peer.0.read_to_end(&mut rest);
            let [high, low] = u16::to_be_bytes(code);
            assert_eq!(rest, [0x88, 2, high, low]);
        }
    }
}

#[test]
fn a_page_whose_name_was_lead_here_is_refused() {
    let home = Home::with_users(&["alice"]);
    let server = home.serve(&["--origins", "https://chat.example"]);
    let port = server.address.port();
    let from = |host: &str, origin: &str| {
        let request = upgrade(&server, &format!("Origin: {origin}\r\n"));
        let request = request.replacen(&server.address.to_string(), host, 1);
        let mut peer = Peer::connect(&server);
        peer.send(request);
        peer.head()
    };
    let evil = format!("evil.example:{port}");
    assert!(from(&evil, &format!("http://{evil}")).starts_with("HTTP/1.1 403 "));
    let ours = format!("localhost:{port}");
    assert!(from(&ours, &format!("http://{ours}")).starts_with("HTTP/1.1 101 "));
    assert!(from(&ours, "https://chat.example").starts_with("HTTP/1.1 101 "));

    // A login of a page: asked for, and then sent.
    let preflight = "OPTIONS /login HTTP/1.1\r\nHost: h\r\nOrigin: https://chat.example\r\n\
                     Access-Control-Request-Method: POST\r\n\r\n";
    for request in [preflight, &login("Origin: https://chat.example\r\n")] {
        let answer = server.request(request);
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
        let field = "\r\nAccess-Control-Allow-Origin: https://chat.example\r\n";
        assert!(
            answer.contains(field) && !answer.contains("Credentials"),
            "{answer}"
        );
    }
    let foreign = server.request(&login("Origin: https://evil.example\r\n"));
    assert!(foreign.starts_with("HTTP/1.1 403 "), "{foreign}");
}

#[test]
fn a_subprotocol_token_needs_ours_beside_it_and_another_scheme_is_no_token() {
    let home = Home::with_users(&["alice"]);
    let server = home.serve(&[]);
    let token = home.token("alice");
    for (fields, status) in [
        (
            format!("Sec-WebSocket-Protocol: framegate.bearer.{token}\r\n"),
            "400",
        ),
        (
            format!("Sec-WebSocket-Protocol: framegate.v1, framegate.bearer.{token}\r\n"),
            "101",
        ),
        (
            format!(
                "Authorization: Basic YTpi\r\n\
                 Sec-WebSocket-Protocol: framegate.v1, framegate.bearer.{token}\r\n"
            ),
            "101",
        ),
        ("Authorization: Basic YTpi\r\n".to_owned(), "101"),
    ] {
        let mut peer = Peer::connect(&server);
        peer.send(upgrade(&server, &fields));
        let head = peer.head();
        assert!(head.starts_with(&format!("HTTP/1.1 {status} ")), "{head}");
        if status == "400" {
            assert!(peer.rest().contains("framegate.v1"));
        }
    }
    // Keys of small devices have unused bits set.
    let odd = upgrade(&server, "").replace("dGhlIHNhbXBsZSBub25jZQ==", "AQIDBAUGBwgJCgsMDQ4PEC==");
    let mut peer = Peer::connect(&server);
    peer.send(odd);
    assert!(peer.head().starts_with("HTTP/1.1 101 "));
}

#[test]
fn a_health_check_on_a_connection_from_before_sigterm_is_told() {
    let home = Home::with_users(&["alice"]);
    let mut server = home.serve(&[]);
    let mut early = Peer::connect(&server);
    // The server has taken it.
    assert!(
        server
            .request("GET /health HTTP/1.1\r\nHost: h\r\n\r\n")
            .ends_with("ok\n")
    );
    server.signal("-TERM");
    server.wait_for_log("stopping");
    early.send("GET /health HTTP/1.1\r\nHost: h\r\n\r\n");
    let answer = early.rest();
    assert!(
        answer.starts_with("HTTP/1.1 503 ") && answer.ends_with("stopping\n"),
        "{answer}"
    );
    assert!(answer.contains("\r\nRetry-After: "), "{answer}");
    assert_eq!(server.wait().code(), Some(0));
}

#[test]
fn requests_that_are_not_served_ban_nobody() {
    let home = Home::with_users(&["alice"]);
    let server = home.serve(&["--ban-after", "3", "--connect-rate", "0"]);
    for request in [
        "GET /nope HTTP/1.1\r\nHost: h\r\n\r\n",
        "GET / HTTP/1.1\r\n\r\n",
        "OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n",
        "GET /ws HTTP/1.1\r\nHost: h\r\n\r\n",
        "POST /login HTTP/1.1\r\nHost: h\r\n\r\n",
        "POST /login HTTP/1.1\r\nHost: h\r\nContent-Length: 99999\r\n\r\n",
        "GET / HTTP/3.0\r\n\r\n",
    ] {
        for _ in 0..3 {
            let answer = server.request(request);
            assert!(answer.starts_with("HTTP/1.1 4") || answer.starts_with("HTTP/1.1 505 "));
        }
    }
    assert!(
        server
            .request("GET /health HTTP/1.1\r\nHost: h\r\n\r\n")
            .ends_with("ok\n")
    );
    for _ in 0..4 {
        // The last of them may be reset.
        ask(&server, &[b"\x16\x03\x01\x02"]);
    }
    let mut banned = Peer::connect(&server);
    let _ = banned
        .0
        .write_all(b"GET /health HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_eq!(banned.rest(), "");
}
