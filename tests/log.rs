//! The log and whoever reads it: nothing that happens to standard error stops the server.

#![cfg(test)]
#![expect(
    clippy::disallowed_methods,
    reason = "a test waits for a process, with a clock"
)]

mod support;

use std::fs::{self, File, OpenOptions};
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::fs::OFlags;
use support::{Home, PATIENCE, password_of, text};

/// What every server here is told: no bound of its own is to keep lines from the log.
const NO_BOUNDS: &[&str] = &[
    "--log-rate=0",
    "--connect-rate=0",
    "--ban-after=0",
    "--rate=0",
];
/// More lines than a pipe (man 7 pipe: 64 KiB) and the queue take together.
const FLOOD: usize = 2_000;

/// A server on a Unix socket, whose standard error is the test's.
struct Quiet {
    child: Child,
    socket: PathBuf,
}

impl Quiet {
    fn start(home: &Home, error: impl Into<Stdio>) -> Quiet {
        let socket = home.path().join("gate.sock");
        let listen = format!("--listen=unix:{}", socket.display());
        let mut arguments = vec!["serve", &listen];
        arguments.extend(NO_BOUNDS);
        Quiet::over(home.command(&arguments), socket, error)
    }

    fn over(mut command: Command, socket: PathBuf, error: impl Into<Stdio>) -> Quiet {
        let child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(error)
            .spawn()
            .expect("the program starts");
        let quiet = Quiet { child, socket };
        let by = Instant::now() + PATIENCE;
        while UnixStream::connect(&quiet.socket).is_err() {
            assert!(Instant::now() < by, "it does not listen");
            std::thread::sleep(Duration::from_millis(10));
        }
        quiet
    }

    fn request(&self, request: &str) -> String {
        let mut stream = UnixStream::connect(&self.socket).expect("the server listens");
        stream
            .set_read_timeout(Some(PATIENCE))
            .expect("a time-out can be set");
        stream
            .write_all(request.as_bytes())
            .expect("the server reads");
        let mut answer = Vec::new();
        stream
            .read_to_end(&mut answer)
            .expect("the server ends the connection");
        text(&answer)
    }

    /// Sends what makes a line of the log each.
    fn flood(&self, count: usize) {
        for _ in 0..count {
            let answer = self.request("GET /nope HTTP/1.1\r\nHost: h\r\n\r\n");
            assert!(answer.starts_with("HTTP/1.1 404"), "{answer}");
        }
    }

    /// The times that `/health` takes, but for the slowest in a hundred.
    fn health_p99(&self) -> Duration {
        let mut times: Vec<Duration> = (0..200)
            .map(|_| {
                let asked = Instant::now();
                let health = self.request("GET /health HTTP/1.1\r\nHost: h\r\n\r\n");
                assert!(health.ends_with("ok\n"), "{health}");
                asked.elapsed()
            })
            .collect();
        times.sort();
        times[times.len() * 99 / 100 - 1]
    }

    /// A call of somebody who is logged in.
    fn call(&self, user: &str) {
        let stream = UnixStream::connect(&self.socket).expect("the server listens");
        let (mut client, _) = tungstenite::client("ws://localhost/ws", stream).expect("an upgrade");
        let login = format!(
            r#"{{"event":"login","data":{{"id":"{user}","password":"{}"}}}}"#,
            password_of(user)
        );
        client.send(login.into()).expect("the server reads");
        let answer = client.read().expect("an answer").to_string();
        let answer: serde_json::Value = serde_json::from_str(&answer).expect("JSON");
        let token = answer["data"]["token"].as_str().expect("a token");
        let call = format!(r#"{{"token":"{token}","event":"getUser","data":{{"id":"{user}"}}}}"#);
        client.send(call.into()).expect("the server reads");
        let answer = client.read().expect("an answer").to_string();
        assert!(answer.contains(r#""online":true"#), "{answer}");
    }

    /// Tells it to stop; it does within the time that it has for that.
    fn stop(&mut self) -> ExitStatus {
        let told = Instant::now();
        let process = self.child.id().to_string();
        let status = Command::new("kill").args(["-TERM", &process]).status();
        assert!(status.expect("kill(1) is there").success());
        loop {
            if let Some(status) = self.child.try_wait().expect("the process is ours") {
                return status;
            }
            let took = told.elapsed();
            assert!(took < Duration::from_secs(5), "it does not end");
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Quiet {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A pipe that is open at both ends and has nobody who reads.
fn unread_pipe(home: &Home) -> File {
    let path = home.path().join("log");
    let made = Command::new("mkfifo").arg(&path).status();
    assert!(made.expect("mkfifo(1) is there").success());
    // man 7 fifo: opened for both, it waits for nobody.
    let mut options = OpenOptions::new();
    options.read(true).write(true).open(path).expect("a pipe")
}

/// Reads the pipe up to a line with `needle`: how many lines were refusals, and how many were told
/// to have been dropped.
fn read_up_to(lines: &mut impl BufRead, needle: &str) -> (usize, usize) {
    let (mut refused, mut dropped) = (0, 0);
    loop {
        let mut line = String::new();
        lines.read_line(&mut line).expect("lines");
        refused += usize::from(line.contains(" WARN refused "));
        if let Some((_, count)) = line.trim_end().split_once(" lines_dropped=") {
            dropped += count.parse::<usize>().expect("a number");
        }
        if line.contains(needle) {
            return (refused, dropped);
        }
    }
}

#[test]
fn a_pipe_that_nobody_reads_stops_nobody_and_what_it_did_not_take_is_counted() {
    let home = Home::with_users(&["alice"]);
    let pipe = unread_pipe(&home);
    let mut server = Quiet::start(&home, pipe.try_clone().expect("a descriptor"));
    server.flood(FLOOD);
    let p99 = server.health_p99();
    assert!(p99 < Duration::from_millis(50), "{p99:?}");
    server.call("alice");

    // It is read again: what came before the flood was dropped, and after it.
    let mut lines = BufReader::new(pipe);
    let (first, first_dropped) = read_up_to(&mut lines, "reason=not_found");
    assert_eq!((first, first_dropped), (1, 0));
    let reader = std::thread::spawn(move || {
        let counted = read_up_to(&mut lines, "logged in connection");
        (counted, lines)
    });
    // Whoever read the pipe has to have made room before there is something to tell.
    std::thread::sleep(Duration::from_millis(500));
    server.call("alice");
    let ((refused, dropped), lines) = reader.join().expect("it reads");
    assert!(dropped > 100, "{dropped}");
    // One more line was dropped: that of alice's first login.
    assert_eq!(first + refused + dropped, FLOOD + 1);
    drop(lines);
    assert_eq!(server.stop().code(), Some(0));
}

#[test]
fn a_server_is_stopped_with_its_pipe_still_full() {
    let home = Home::with_users(&["alice"]);
    let pipe = unread_pipe(&home);
    let mut server = Quiet::start(&home, pipe.try_clone().expect("a descriptor"));
    server.flood(FLOOD);
    assert_eq!(server.stop().code(), Some(0));
}

#[test]
fn a_pipe_that_does_not_block_loses_no_line() {
    let home = Home::with_users(&["alice"]);
    let path = home.path().join("log");
    drop(unread_pipe(&home));
    let mut options = OpenOptions::new();
    options.read(true).write(true);
    options.custom_flags(OFlags::NONBLOCK.bits() as i32);
    let error = options.open(&path).expect("a pipe");
    let mut server = Quiet::start(&home, error);
    let reader = std::thread::spawn(move || {
        let file = File::open(path).expect("a pipe");
        std::thread::sleep(Duration::from_millis(500));
        read_up_to(&mut BufReader::new(file), "stopped")
    });
    // More than the pipe takes, and less than it takes with the queue.
    server.flood(900);
    assert_eq!(server.stop().code(), Some(0));
    assert_eq!(reader.join().expect("it reads"), (900, 0));
}

#[test]
fn a_terminal_stopped_with_ctrl_s_stops_nobody() {
    const CTRL_S: &[u8] = b"\x13";
    let home = Home::with_users(&["alice"]);
    let (mut master, terminal) = support::terminal();
    master.write_all(CTRL_S).expect("a key");
    let mut server = Quiet::start(&home, terminal);
    server.flood(FLOOD);
    let p99 = server.health_p99();
    assert!(p99 < Duration::from_millis(50), "{p99:?}");
    server.call("alice");
    assert_eq!(server.stop().code(), Some(0));
}

#[test]
fn a_full_disk_or_no_standard_error_stops_nobody() {
    let home = Home::with_users(&["alice"]);
    let full = OpenOptions::new().write(true).open("/dev/full");
    let mut server = Quiet::start(&home, full.expect("man 4 full"));
    server.flood(10);
    server.call("alice");
    assert_eq!(server.stop().code(), Some(0));

    let socket = home.path().join("closed.sock");
    let mut shell = Command::new("/bin/sh");
    shell
        .args(["-c", "exec \"$@\" 2>&-", "sh"])
        .arg(env!("CARGO_BIN_EXE_framegate"))
        .args(["serve", "--listen"])
        .arg(format!("unix:{}", socket.display()))
        .current_dir(home.path())
        .env("FRAMEGATE_PASSWORD_MEMORY", "64KiB");
    let mut server = Quiet::over(shell, socket, Stdio::null());
    server.flood(10);
    server.call("alice");
    assert_eq!(server.stop().code(), Some(0));
}

#[test]
fn a_standard_error_that_is_read_gets_every_line_in_order() {
    let home = Home::with_users(&["alice"]);
    let path = home.path().join("log");
    let mut server = Quiet::start(&home, File::create(&path).expect("a file"));
    server.flood(300);
    assert_eq!(server.stop().code(), Some(0));
    let log = fs::read_to_string(&path).expect("a log");
    let words: Vec<&str> = log
        .lines()
        .map(|line| line.split(' ').nth(2).expect("a word"))
        .collect();
    assert_eq!(words[0], "listening");
    assert_eq!(words[1..=300], ["refused"; 300]);
    assert_eq!(words[301..], ["stopping:", "stopped"]);

    // What a command says last comes after what was logged.
    fs::set_permissions(home.path().join(".env"), fs::Permissions::from_mode(0o644))
        .expect("the file is ours");
    let refused = home.run(&["serve", "--listen=127.0.0.1:0", "--record", "log"]);
    assert_eq!(refused.status.code(), Some(1));
    let error = text(&refused.stderr);
    let lines: Vec<&str> = error.lines().collect();
    assert!(lines[0].contains(" WARN file_exposed "), "{error}");
    assert!(
        lines[1].starts_with("framegate: cannot make log: "),
        "{error}"
    );
}
