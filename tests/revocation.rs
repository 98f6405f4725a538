//! Passwords and revocations under what is outside of us: no memory, a database that others hold,
//! a clock.

#![cfg(test)]
#![expect(
    clippy::disallowed_methods,
    reason = "a test waits for a process, with a clock"
)]

mod support;

use std::net::TcpStream;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rusqlite::Connection;
use support::{Home, PATIENCE, Server};
use tungstenite::client::IntoClientRequest as _;
use tungstenite::http::HeaderValue;
use tungstenite::stream::MaybeTlsStream;
use tungstenite::{Message, WebSocket, connect};

/// A server of `home` whose process is limited by these arguments of prlimit(1).
fn serve_limited(home: &Home, limits: &[&str], arguments: &[&str]) -> Server {
    let mut command = Command::new("prlimit");
    command
        .args(limits)
        .arg(env!("CARGO_BIN_EXE_framegate"))
        .args(["serve", "--listen", "127.0.0.1:0"])
        .args(arguments)
        .current_dir(home.path())
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default());
    Server::start(command)
}

fn login(server: &Server, user: &str, password: &str) -> String {
    let body = format!(r#"{{"id":"{user}","password":"{password}"}}"#);
    let length = body.len();
    server.request(&format!(
        "POST /login HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n\r\n{body}"
    ))
}

/// A home with one user, whose hash takes 16 MiB.
fn home_of_alice() -> Home {
    let home = Home::with_users(&[]);
    let memory = ["--password-memory", "16MiB"];
    let words = ["user", "add", "alice", "--password-stdin"];
    let added = home.run_with(&[words.as_slice(), &memory].concat(), "pw-alice-1");
    assert!(added.status.success());
    home
}

#[test]
fn a_right_password_is_never_told_wrong_however_little_memory_there_is() {
    let home = home_of_alice();
    for address_space_mib in [20, 30, 40, 64] {
        let limit = format!("--as={}", address_space_mib << 20);
        let flags = ["--password-memory", "16MiB", "--login-rate", "0"];
        let mut server = serve_limited(&home, &[&limit], &flags);
        if address_space_mib > 20 {
            let answer = login(&server, "alice", "pw-alice-1");
            assert!(answer.starts_with("HTTP/1.1 200 "), "{limit}: {answer}");
            continue;
        }
        // More of them than would ban the address, were they counted.
        for _ in 0..25 {
            let answer = login(&server, "alice", "pw-alice-1");
            assert!(answer.starts_with("HTTP/1.1 503 "), "{limit}: {answer}");
            assert!(answer.contains(r#""code":"unavailable""#), "{answer}");
        }
        let lines = server.log_until_quiet();
        let errors: Vec<_> = lines
            .iter()
            .filter(|line| line.contains(" ERROR "))
            .collect();
        assert_eq!(errors.len(), 1, "{lines:?}");
        assert!(errors[0].contains("memory"), "{errors:?}");
        assert!(
            !lines.iter().any(|line| line.contains("banned")),
            "{lines:?}"
        );
    }
}

type Client = WebSocket<MaybeTlsStream<TcpStream>>;

/// `None` when the token lets nobody in.
fn open_with(url: &str, token: &str) -> Option<Client> {
    let mut request = url.into_client_request().expect("a URL");
    let bearer = HeaderValue::from_str(&format!("Bearer {token}")).expect("a header");
    request.headers_mut().insert("Authorization", bearer);
    let (client, _) = connect(request).ok()?;
    if let MaybeTlsStream::Plain(stream) = client.get_ref() {
        stream
            .set_read_timeout(Some(PATIENCE))
            .expect("a time-out can be set");
    }
    Some(client)
}

/// Sends an event and gives the answer, or what the connection was closed with.
fn ask(client: &mut Client, token: &str, event: &str) -> String {
    let text = format!(r#"{{"token":"{token}","event":"{event}","data":{{"id":"bob"}}}}"#);
    if client.send(Message::text(text)).is_err() {
        return "gone".to_owned();
    }
    match client.read() {
        Ok(message) => message.to_string(),
        Err(error) => error.to_string(),
    }
}

fn token_in(answer: &str) -> Option<String> {
    let (_, rest) = answer.split_once(r#""token":""#)?;
    rest.split('"').next().map(str::to_owned)
}

/// How long it is until the second is as old as this.
fn sleep_until_second_is(age: Duration) {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("now");
    let fraction = Duration::from_nanos(u64::from(now.subsec_nanos()));
    let wait = match age.checked_sub(fraction) {
        Some(wait) => wait,
        None => age + Duration::from_secs(1) - fraction,
    };
    thread::sleep(wait);
}

/// Holds the right to write, as another program may.
fn lock(home: &Home) -> Connection {
    let connection = Connection::open(home.path().join("framegate.db")).expect("a database");
    connection
        .busy_timeout(PATIENCE)
        .and_then(|()| connection.execute_batch("BEGIN IMMEDIATE"))
        .expect("the right to write");
    connection
}

/// Refreshes for as long as it works; the last token.
fn refresh_until_refused(url: &str, token: String) -> String {
    let mut last = token;
    let Some(mut client) = open_with(url, &last) else {
        return last;
    };
    loop {
        match token_in(&ask(&mut client, &last, "refresh")) {
            Some(token) => last = token,
            None => return last,
        }
        thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn a_revocation_that_waits_for_a_lock_is_outlived_by_no_refresh() {
    let home = Home::with_users(&["alice", "bob"]);
    let server = home.serve(&["--rate", "0"]);
    let url = server.url();
    let token = home.token("alice");
    let held = lock(&home);
    thread::scope(|scope| {
        let refreshes = scope.spawn(|| refresh_until_refused(&url, token.clone()));
        let revoked = scope.spawn(|| home.run(&["user", "revoke", "alice"]));
        thread::sleep(Duration::from_millis(2_200));
        held.execute_batch("ROLLBACK").expect("it is ours");
        assert!(revoked.join().expect("it ends").status.success());
        let last = refreshes.join().expect("it ends");
        assert!(
            last != token,
            "it was refreshed while the revocation waited"
        );
        // As long as a server may go by what it read before.
        thread::sleep(Duration::from_millis(50));
        let verdict = home.run_with(&["token", "check"], &last);
        let verdict = support::text(&verdict.stdout);
        assert_eq!(verdict, "bad: token revoked\n");
        assert!(open_with(&server.url(), &last).is_none(), "it is outlived");
        assert!(open_with(&server.url(), &token).is_none());
    });
}

/// At the end of a second the clock runs past what was set before others see the commit. A hundred
/// times: four users at once, in 25 seconds.
#[test]
fn a_revocation_at_the_end_of_a_second_is_outlived_by_no_refresh() {
    const USERS: [&str; 4] = ["alice", "bob", "carol", "dave"];
    let home = Home::with_users(&USERS);
    let server = home.serve(&["--rate", "0", "--connect-rate", "0"]);
    let url = server.url();
    for round in 0..25 {
        // Tokens of now: what was void before is not good again.
        let tokens = USERS.map(|user| home.token(user));
        let last = thread::scope(|scope| {
            let refreshes = tokens.map(|token| {
                let url = &url;
                scope.spawn(move || refresh_until_refused(url, token))
            });
            // From 40 ms before its end until 5 ms before: a command needs some of that to start.
            sleep_until_second_is(Duration::from_millis(960 + 35 * round / 24));
            let revoked = USERS.map(|user| {
                let home = &home;
                scope.spawn(move || home.run(&["user", "revoke", user]))
            });
            for revoked in revoked {
                assert!(revoked.join().expect("it ends").status.success());
            }
            refreshes.map(|refreshes| refreshes.join().expect("it ends"))
        });
        // As long as a server may go by what it read before.
        thread::sleep(Duration::from_millis(50));
        for last in &last {
            assert!(open_with(&url, last).is_none(), "outlived in {round}");
        }
    }
}

#[test]
fn logouts_that_wait_for_a_lock_delay_nobody() {
    let home = Home::with_users(&["alice", "bob"]);
    let server = home.serve(&[]);
    let users: Vec<String> = (0..10).map(|number| format!("user{number}")).collect();
    for user in &users {
        assert!(
            home.run(&["user", "add", user, "--no-password"])
                .status
                .success()
        );
    }
    let mut leaving: Vec<(String, Client)> = users
        .iter()
        .map(|user| {
            let token = home.token(user);
            let client = open_with(&server.url(), &token).expect("an upgrade");
            (token, client)
        })
        .collect();
    let bob_token = home.token("bob");
    let mut bob = open_with(&server.url(), &bob_token).expect("an upgrade");
    let held = lock(&home);
    for (token, client) in &mut leaving {
        let text = format!(r#"{{"token":"{token}","event":"logout"}}"#);
        client.send(Message::text(text)).expect("the server reads");
    }
    let mut waits = Vec::new();
    for _ in 0..50 {
        let began = Instant::now();
        assert!(ask(&mut bob, &bob_token, "getUser").contains(r#""id":"bob""#));
        waits.push(began.elapsed());
        thread::sleep(Duration::from_millis(4));
    }
    // The median: this machine may have been at something else at times.
    waits.sort();
    assert!(waits[25] < Duration::from_millis(15), "{waits:?}");
    // They are void while they wait.
    assert!(open_with(&server.url(), &leaving[0].0).is_none());
    held.execute_batch("ROLLBACK").expect("it is ours");
    for (_, client) in &mut leaving {
        let answer = client.read().expect("an answer").to_string();
        assert!(answer.contains(r#""event":"logout""#), "{answer}");
    }
}

#[test]
fn a_logout_that_a_file_size_limit_keeps_from_the_disk_is_unavailable_and_the_server_goes_on() {
    let home = Home::with_users(&["alice", "bob"]);
    let users: Vec<String> = (0..20).map(|number| format!("user{number}")).collect();
    let mut names = vec!["user", "add", "", "--no-password"];
    for user in &users {
        names[2] = user;
        assert!(home.run(&names).status.success());
    }
    // Room for a few commits in the log beside the database, which begins anew only when nobody
    // reads.
    let reader = Connection::open(home.path().join("framegate.db")).expect("a database");
    reader
        .execute_batch("BEGIN; SELECT count(*) FROM users")
        .expect("the right to read");
    let mut server = serve_limited(&home, &["--fsize=65536"], &[]);
    let url = server.url();
    let failed = users.iter().find(|user| {
        let token = home.token(user);
        let mut client = open_with(&url, &token).expect("an upgrade");
        let answer = ask(&mut client, &token, "logout");
        let is_told = answer.contains(r#""code":"unavailable""#);
        assert!(
            is_told || answer.contains(r#""event":"logout""#),
            "{answer}"
        );
        is_told && open_with(&url, &token).is_none()
    });
    assert!(failed.is_some(), "the limit is never met");
    server.wait_for_log("no logout can be kept");
    let bob = home.token("bob");
    let mut client = open_with(&server.url(), &bob).expect("an upgrade");
    assert!(ask(&mut client, &bob, "getUser").contains(r#""id":"bob""#));
}

#[test]
fn a_new_password_closes_the_users_connections_unless_the_tokens_are_kept() {
    let home = Home::with_users(&["alice", "bob"]);
    let server = home.serve(&[]);
    let token = home.token("alice");
    let mut client = open_with(&server.url(), &token).expect("an upgrade");
    let words = ["user", "passwd", "alice", "--password-stdin"];
    let kept = home.run_with(&[words.as_slice(), &["--keep-tokens"]].concat(), "another");
    assert!(kept.status.success());
    assert!(ask(&mut client, &token, "getUser").contains(r#""id":"bob""#));
    assert!(home.run_with(&words, "a third").status.success());
    let told = client.read().expect("it is told").to_string();
    assert!(told.contains("token_revoked"), "{told}");
    assert!(open_with(&server.url(), &token).is_none());
}
