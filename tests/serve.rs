//! The program as people use it: a process on loopback, and a client of somebody else's making.

#![cfg(test)]
#![expect(
    clippy::disallowed_methods,
    reason = "a test waits for a process, with a clock"
)]

mod support;

use std::fs;
use std::io::{ErrorKind, IoSlice, Read, Write};
use std::mem::MaybeUninit;
use std::net::TcpStream;
use std::os::fd::AsFd as _;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream;
use std::process::Command;
use std::time::{Duration, Instant};

use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
use serde_json::Value;
use support::{Home, PATIENCE, Server, password_of};
use tungstenite::client::IntoClientRequest;
use tungstenite::http::HeaderValue;
use tungstenite::stream::MaybeTlsStream;
use tungstenite::{Message, WebSocket, connect};

type Client = WebSocket<MaybeTlsStream<TcpStream>>;

fn open(server: &Server) -> Client {
    let (client, _) = connect(server.url()).expect("an upgrade");
    be_patient(&client);
    client
}

fn open_with(server: &Server, token: &str) -> Client {
    let mut request = server.url().into_client_request().expect("a URL");
    let bearer = HeaderValue::from_str(&format!("Bearer {token}")).expect("a header");
    request.headers_mut().insert("Authorization", bearer);
    let (client, _) = connect(request).expect("an upgrade");
    be_patient(&client);
    client
}

fn be_patient(client: &Client) {
    if let MaybeTlsStream::Plain(stream) = client.get_ref() {
        stream
            .set_read_timeout(Some(PATIENCE))
            .expect("a time-out can be set");
    }
}

fn say(client: &mut Client, text: String) {
    client.send(Message::text(text)).expect("the server reads");
}

/// The next message as JSON, or `close <code>`.
fn hear(client: &mut Client) -> Value {
    loop {
        match client.read() {
            Ok(Message::Text(text)) => return serde_json::from_str(&text).expect("JSON"),
            Ok(Message::Close(close)) => {
                let code = close.expect("a code").code;
                return Value::String(format!("close {}", u16::from(code)));
            }
            Ok(_) => {}
            // The machine was paused while we waited.
            Err(tungstenite::Error::Io(error)) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => panic!("the server answers: {error}"),
        }
    }
}

/// The connection is gone, and not only silent.
fn is_gone(client: &mut Client) -> bool {
    matches!(
        client.read(),
        Err(tungstenite::Error::ConnectionClosed | tungstenite::Error::AlreadyClosed)
    )
}

fn log_in(client: &mut Client, user: &str) -> String {
    let password = password_of(user);
    say(
        client,
        format!(r#"{{"event":"login","id":1,"data":{{"id":"{user}","password":"{password}"}}}}"#),
    );
    hear(client)["data"]["token"]
        .as_str()
        .expect("a token")
        .to_owned()
}

#[test]
fn a_session_by_hand() {
    let home = Home::with_users(&["alice", "bob"]);
    let mut server = home.serve(&[]);
    let (mut alice, mut bob) = (open(&server), open(&server));
    let token = log_in(&mut alice, "alice");
    log_in(&mut bob, "bob");
    say(
        &mut alice,
        format!(r#"{{"token":"{token}","event":"getUser","id":2,"data":{{"id":"bob"}}}}"#),
    );
    let user = hear(&mut alice);
    assert_eq!(user["data"]["online"], true, "{user}");
    say(
        &mut alice,
        format!(r#"{{"token":"{token}","event":"message","data":"hi"}}"#),
    );
    assert_eq!(hear(&mut bob)["from"], "alice");

    say(
        &mut bob,
        r#"{"event":"getUser","data":{"id":"alice"}}"#.to_owned(),
    );
    assert_eq!(hear(&mut bob)["data"]["code"], "unauthorized");
    assert_eq!(hear(&mut bob), "close 3000");
    assert!(is_gone(&mut bob));
    let line = server.wait_for_log("refused");
    assert!(
        line.contains("user=\"bob\"") && line.contains("reason=token_missing"),
        "{line}"
    );
    assert!(
        line.contains("peer=127.0.0.1:") && line.contains("event=\"getUser\""),
        "{line}"
    );
}

#[test]
fn a_token_of_another_key_is_refused() {
    let home = Home::with_users(&["alice"]);
    let other = Home::with_users(&[]);
    let server = home.serve(&[]);
    let mut client = open(&server);
    say(
        &mut client,
        format!(
            r#"{{"token":"{}","event":"refresh"}}"#,
            other.token("alice")
        ),
    );
    assert_eq!(hear(&mut client)["data"]["reason"], "token rejected");
    assert_eq!(hear(&mut client), "close 3000");
}

#[test]
fn a_user_disabled_by_another_process_is_closed_within_a_second() {
    let home = Home::with_users(&["alice", "bob"]);
    let server = home.serve(&[]);
    let mut bob = open_with(&server, &home.token("bob"));
    let mut alice = open_with(&server, &home.token("alice"));
    assert!(home.run(&["user", "disable", "bob"]).status.success());
    let disabled_at = Instant::now();
    assert_eq!(hear(&mut bob)["data"]["code"], "forbidden");
    assert_eq!(hear(&mut bob), "close 3003");
    let took = disabled_at.elapsed();
    assert!(took < Duration::from_secs(2), "{took:?}");

    assert!(home.run(&["user", "rm", "alice"]).status.success());
    std::thread::sleep(Duration::from_millis(60));
    let token = home.token("alice");
    say(
        &mut alice,
        format!(r#"{{"token":"{token}","event":"refresh"}}"#),
    );
    assert_eq!(hear(&mut alice)["data"]["code"], "forbidden");
}

#[test]
fn sigterm_closes_everybody_and_ends_well() {
    let home = Home::with_users(&["alice"]);
    let mut server = home.serve(&["--max-connections-per-user=50"]);
    let mut clients: Vec<Client> = (0..50)
        .map(|_| open_with(&server, &home.token("alice")))
        .collect();
    server.signal("-TERM");
    for client in &mut clients {
        assert_eq!(hear(client), "close 1001");
    }
    drop(clients);
    assert_eq!(server.wait().code(), Some(0));
}

#[test]
fn http_beside_it() {
    let home = Home::with_users(&["alice"]);
    let server = home.serve(&[]);
    let health = server.request("GET /health HTTP/1.1\r\nHost: h\r\n\r\n");
    assert!(
        health.starts_with("HTTP/1.1 200 OK\r\n") && health.ends_with("\r\n\r\nok\n"),
        "{health}"
    );
    let body = format!(r#"{{"id":"alice","password":"{}"}}"#, password_of("alice"));
    let login = server.request(&format!(
        "POST /login HTTP/1.1\r\nHost: h\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    ));
    let (_, session) = login.split_once("\r\n\r\n").expect("a body");
    let session: Value = serde_json::from_str(session).expect("JSON");
    let mut client = open_with(&server, session["token"].as_str().expect("a token"));
    assert!(client.send(Message::Ping("x".into())).is_ok());
    let hello = server.request("\x16\x03\x01\x02\x00\x01\x00\x01\x03\x03");
    assert!(hello.starts_with("HTTP/1.1 400"), "{hello}");
}

#[test]
fn a_unix_socket_is_as_good() {
    let home = Home::with_users(&["alice"]);
    let path = home.path().join("gate.sock");
    let mut server = home.serve(&["--listen", &format!("unix:{}", path.display())]);
    let mut stream = UnixStream::connect(&path).expect("it listens");
    stream
        .write_all(b"GET /health HTTP/1.1\r\nHost: h\r\n\r\n")
        .expect("it reads");
    let mut answer = String::new();
    stream
        .read_to_string(&mut answer)
        .expect("it ends the connection");
    assert!(answer.ends_with("ok\n"), "{answer}");
    server.signal("-TERM");
    assert_eq!(server.wait().code(), Some(0));
    assert!(!path.exists(), "the socket's file goes with the server");
}

#[test]
fn a_request_that_comes_with_descriptors_is_answered_and_they_are_closed() {
    let home = Home::with_users(&["alice"]);
    let path = home.path().join("gate.sock");
    let server = home.serve(&["--listen", &format!("unix:{}", path.display())]);
    let mut stream = UnixStream::connect(&path).expect("it listens");
    let (kept, mut handed_over) = UnixStream::pair().expect("a pair");
    // Both pieces lie in the socket when the server looks, and are told by one event.
    server.signal("-STOP");
    {
        let descriptors = [kept.as_fd()];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        assert!(control.push(SendAncillaryMessage::ScmRights(&descriptors)));
        let piece = b"GET /health HTTP/1.1\r\n";
        let sent = sendmsg(
            &stream,
            &[IoSlice::new(piece)],
            &mut control,
            SendFlags::empty(),
        );
        assert_eq!(sent, Ok(piece.len()));
    }
    drop(kept);
    stream
        .write_all(b"Host: h\r\n\r\n")
        .expect("the kernel takes it");
    server.signal("-CONT");
    stream
        .set_read_timeout(Some(PATIENCE))
        .expect("a time-out can be set");
    let mut answer = String::new();
    stream
        .read_to_string(&mut answer)
        .expect("it ends the connection");
    assert!(answer.ends_with("ok\n"), "{answer}");
    let closed = handed_over.read(&mut [0]).expect("nothing holds it open");
    assert_eq!(closed, 0);
}

#[test]
fn being_stopped_and_continued_interrupts_nothing() {
    let home = Home::with_users(&["alice"]);
    let server = home.serve(&[]);
    let token = home.token("alice");
    let mut alice = open_with(&server, &token);
    for round in 0..20 {
        // man 7 signal: epoll_wait(2) ends with EINTR when its process is continued.
        server.signal("-STOP");
        server.signal("-CONT");
        say(
            &mut alice,
            format!(r#"{{"token":"{token}","event":"message","id":{round},"data":1}}"#),
        );
        assert_eq!(hear(&mut alice)["from"], "alice");
        assert_eq!(hear(&mut alice)["id"], round);
    }
}

/// A server on a Unix socket, started by a shell under a umask; it also listens on an address, so
/// that its start is seen.
fn serve_under(home: &Home, umask: &str, arguments: &[&str]) -> Server {
    let script = format!("umask {umask}; exec \"$@\"");
    let mut command = Command::new("/bin/sh");
    command
        .args([
            "-c",
            &script,
            "sh",
            env!("CARGO_BIN_EXE_framegate"),
            "serve",
        ])
        .args(["--listen=127.0.0.1:0", "--listen=unix:gate.sock"])
        .args(arguments)
        .current_dir(home.path())
        .env("FRAMEGATE_PASSWORD_MEMORY", "64KiB");
    Server::start(command)
}

#[test]
fn a_unix_socket_has_the_mode_that_was_set_whatever_the_umask() {
    let home = Home::with_users(&["alice"]);
    for (umask, arguments, mode) in [
        ("000", &[][..], 0o660),
        ("077", &[], 0o660),
        ("000", &["--socket-mode=0600"], 0o600),
        ("077", &["--socket-mode=666"], 0o666),
    ] {
        let mut server = serve_under(&home, umask, arguments);
        let file = fs::metadata(home.path().join("gate.sock")).expect("it listens");
        assert_eq!(file.permissions().mode() & 0o777, mode, "umask {umask}");
        server.signal("-TERM");
        assert_eq!(server.wait().code(), Some(0));
    }
}

#[test]
fn a_user_on_a_bare_unix_socket_has_the_limits_of_an_address() {
    let home = Home::with_users(&["alice"]);
    let mut server = serve_under(&home, "077", &["--login-rate=5/min", "--ban-after=8"]);
    let path = home.path().join("gate.sock");
    let body = r#"{"id":"alice","password":"wrong"}"#;
    let head = format!(
        "POST /login HTTP/1.1\r\nHost: h\r\nContent-Length: {}",
        body.len()
    );
    let request = format!("{head}\r\n\r\n{body}");
    let mut statuses = Vec::new();
    for _ in 0..12 {
        let mut stream = UnixStream::connect(&path).expect("it listens");
        // A banned peer is shut out before it is read.
        let _ = stream.write_all(request.as_bytes());
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        statuses.push(
            String::from_utf8_lossy(&answer)
                .chars()
                .skip(9)
                .take(3)
                .collect::<String>(),
        );
    }
    assert_eq!(statuses[..6], ["401", "401", "401", "401", "401", "429"]);
    assert_eq!(statuses[11], "", "{statuses:?}");
    let line = server.wait_for_log("banned ");
    assert!(line.contains(" WARN banned peer=unix:"), "{line}");
    // Everybody else is as before.
    let health = server.request("GET /health HTTP/1.1\r\nHost: h\r\n\r\n");
    assert!(health.ends_with("ok\n"), "{health}");
}

#[test]
fn a_recording_that_may_grow_no_more_ends_and_the_server_goes_on() {
    let home = Home::with_users(&["alice"]);
    let mut command = Command::new("prlimit");
    command
        .args(["--fsize=65536", env!("CARGO_BIN_EXE_framegate"), "serve"])
        .args(["--listen=127.0.0.1:0", "--record=bug.rec"])
        .args(["--connect-rate=0", "--ban-after=0"])
        .current_dir(home.path())
        .env("FRAMEGATE_PASSWORD_MEMORY", "64KiB");
    let mut server = Server::start(command);
    for _ in 0..400 {
        server.request("GET /nope HTTP/1.1\r\nHost: h\r\n\r\n");
    }
    let line = server.wait_for_log("recording stopped");
    assert!(line.contains("File too large"), "{line}");
    let health = server.request("GET /health HTTP/1.1\r\nHost: h\r\n\r\n");
    assert!(health.ends_with("ok\n"), "{health}");
    server.signal("-TERM");
    assert_eq!(server.wait().code(), Some(0));
}
