//! Passwords and revocations under what is outside of us: no memory, a database that others hold,
//! a clock.

#![cfg(test)]
#![expect(
    clippy::disallowed_methods,
    reason = "a test waits for a process, with a clock"
)]

mod support;

use std::process::Command;

use support::{Home, Server};

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
