//! The user database of a running server, taken away, moved and replaced: a real process, real
//! files, and commands beside it.

#![cfg(test)]
#![expect(
    clippy::disallowed_methods,
    reason = "a test waits for a process, with a clock"
)]

mod support;

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use support::{Home, PATIENCE, Server, text};

/// What the server answers to an upgrade with this token: 101 lets in.
fn knock(server: &Server, token: &str) -> u16 {
    let mut stream = TcpStream::connect(server.address).expect("the server listens");
    stream
        .set_read_timeout(Some(PATIENCE))
        .expect("a time-out can be set");
    let request = format!(
        "GET /ws HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
         Authorization: Bearer {token}\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).expect("it reads");
    let mut status = [0; 12];
    stream.read_exact(&mut status).expect("it answers");
    let status = String::from_utf8_lossy(&status[9..]).into_owned();
    status.parse().expect("a status")
}

/// Knocks until the answer is this one; how long that took.
fn knock_until(server: &Server, token: &str, status: u16) -> Duration {
    let started = Instant::now();
    loop {
        let answer = knock(server, token);
        if answer == status {
            return started.elapsed();
        }
        assert!(
            started.elapsed() < PATIENCE,
            "it still answers {answer}, not {status}"
        );
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// The tests knock more often than a client may.
const UNBOUNDED: &[&str] = &[
    "--ban-after=0",
    "--connect-rate=0/s",
    "--max-connections-per-user=0",
    "--max-connections-per-ip=0",
    "--max-pending-per-ip=0",
];

struct Scene {
    home: Home,
    server: Server,
    alice: String,
    bob: String,
}

impl Scene {
    /// A server in a directory with alice and bob, who are both let in.
    fn new() -> Scene {
        let home = Home::with_users(&["alice", "bob"]);
        let server = home.serve(UNBOUNDED);
        let (alice, bob) = (home.token("alice"), home.token("bob"));
        for token in [&alice, &bob] {
            assert_eq!(knock(&server, token), 101);
        }
        Scene {
            home,
            server,
            alice,
            bob,
        }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    fn remove(&self, names: &[&str]) {
        for name in names {
            fs::remove_file(self.file(name)).expect("it was there");
        }
    }

    fn disable(&self, id: &str) {
        let done = self.home.run(&["user", "disable", id]);
        assert!(done.status.success(), "{}", text(&done.stderr));
    }

    /// The health, and that all the rest agrees with it.
    fn is_unavailable(&self) -> bool {
        let health = self
            .server
            .request("GET /health HTTP/1.1\r\nHost: h\r\n\r\n");
        let body = r#"{"id":"bob","password":"bob's password"}"#;
        let length = body.len();
        let login = self.server.request(&format!(
            "POST /login HTTP/1.1\r\nHost: h\r\nContent-Length: {length}\r\n\r\n{body}"
        ));
        let are_503 = [&health, &login].map(|answer| answer.starts_with("HTTP/1.1 503"));
        assert_eq!(are_503[0], are_503[1], "{health}{login}");
        are_503[0]
    }

    /// The lines of the store since last asked: one when it failed, one when it came back.
    fn news(&mut self) -> Vec<String> {
        let mut lines = self.server.log_until_quiet();
        lines.retain(|line| line.contains("confirmed"));
        lines
    }
}

/// A copy of the database in which bob is disabled.
fn copy_without_bob(scene: &Scene) -> PathBuf {
    let copy = scene.file("copy.db");
    fs::copy(scene.file("framegate.db"), &copy).expect("it can be copied");
    let done = scene
        .home
        .run(&["user", "disable", "bob", "--db", "copy.db"]);
    assert!(done.status.success(), "{}", text(&done.stderr));
    copy
}

/// Bob, whom the server let in, is refused as somebody who is disabled within a second; alice is let
/// in; and the log has two lines of it.
fn assert_bob_is_out(scene: &mut Scene, what: &str) {
    let started = Instant::now();
    let refused = knock_until(&scene.server, &scene.bob, 403);
    assert!(refused < Duration::from_secs(3), "{what}: {refused:?}");
    assert_eq!(knock(&scene.server, &scene.alice), 101, "{what}");
    assert!(!scene.is_unavailable(), "{what}");
    let news = scene.news();
    assert_eq!(news.len(), 2, "{what}, {:?}: {news:?}", started.elapsed());
    assert!(
        news[0].contains("ERROR no user can be confirmed"),
        "{news:?}"
    );
    assert!(news[1].contains("users can be confirmed again"), "{news:?}");
}

/// Another process that holds a lock on bytes of a file, until it is let go.
struct Lock(std::process::Child);

impl Lock {
    fn on(file: &std::path::Path, start: u64, length: u64) -> Lock {
        const TAKE: &str = "import fcntl, sys\n\
            file = open(sys.argv[1], 'r+b')\n\
            fcntl.lockf(file, fcntl.LOCK_EX, int(sys.argv[3]), int(sys.argv[2]))\n\
            print('held', flush=True)\n\
            sys.stdin.read()";
        let mut child = Command::new("python3")
            .args(["-c", TAKE])
            .arg(file)
            .args([start.to_string(), length.to_string()])
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::piped())
            .spawn()
            .expect("this test needs python3, for locks that Rust's library does not know");
        let mut said = [0; 4];
        let output = child.stdout.as_mut().expect("it is piped");
        output.read_exact(&mut said).expect("it takes the lock");
        assert_eq!(&said, b"held");
        Lock(child)
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        self.0.wait().expect("it ends with its input");
    }
}

/// A pipe would be waited for.
#[test]
fn a_pipe_beside_the_database_stops_nobody() {
    for name in [
        "framegate.db-shm",
        "framegate.db-wal",
        "framegate.db-journal",
    ] {
        let scene = Scene::new();
        let copy = copy_without_bob(&scene);
        for file in ["framegate.db", "framegate.db-wal", "framegate.db-shm"] {
            let _ = fs::remove_file(scene.file(file));
        }
        let pipe = scene.file(name);
        let made = Command::new("mkfifo").arg(&pipe).status();
        assert!(made.expect("mkfifo(1) is there").success());
        fs::rename(&copy, scene.file("framegate.db")).expect("it is moved");
        std::thread::sleep(Duration::from_millis(700));
        assert!(scene.is_unavailable(), "{name}");
        let done = scene.home.run(&["user", "list"]);
        assert_eq!(done.status.code(), Some(1), "{name}");
        assert!(text(&done.stderr).contains(name), "{}", text(&done.stderr));
        fs::remove_file(&pipe).expect("it is there");
        knock_until(&scene.server, &scene.alice, 101);
        assert_eq!(knock(&scene.server, &scene.bob), 403, "{name}");
    }
}

/// SQLite sleeps for ten seconds where it is kept from a read mark, whatever its busy timeout is.
#[test]
fn a_lock_on_the_read_marks_stops_no_loop() {
    let mut scene = Scene::new();
    let index = scene.file("framegate.db-shm");
    for (start, length) in [(123, 5), (120, 8)] {
        let lock = Lock::on(&index, start, length);
        std::thread::sleep(Duration::from_millis(60));
        for _ in 0..10 {
            let started = Instant::now();
            assert_eq!(knock(&scene.server, &scene.alice), 503);
            assert!(started.elapsed() < Duration::from_secs(1));
        }
        assert!(scene.is_unavailable());
        drop(lock);
        knock_until(&scene.server, &scene.alice, 101);
        assert!(!scene.is_unavailable());
        assert_eq!(scene.news().len(), 2, "one line for each, not one a frame");
    }
    // It still sees commits, and a stop is a stop.
    scene.disable("bob");
    knock_until(&scene.server, &scene.bob, 403);
    let _lock = Lock::on(&index, 123, 5);
    let started = Instant::now();
    scene.server.signal("-TERM");
    scene.server.wait();
    assert!(started.elapsed() < Duration::from_secs(5));
}

#[test]
fn the_files_beside_it_removed_no_commit_that_was_reported_is_lost() {
    for names in [
        &["framegate.db-shm"][..],
        &["framegate.db-wal"],
        &["framegate.db-wal", "framegate.db-shm"],
    ] {
        let mut scene = Scene::new();
        scene.remove(names);
        scene.disable("bob");
        assert_bob_is_out(&mut scene, &format!("{names:?}"));
        // Nor by the server's end.
        scene.server.signal("-TERM");
        assert!(scene.server.wait().success());
        let shown = text(&scene.home.run(&["user", "show", "bob"]).stdout);
        assert!(shown.contains("disabled: yes"), "{shown}");
    }
}

#[test]
fn a_command_beside_a_server_that_holds_files_which_are_gone_does_nothing() {
    let scene = Scene::new();
    // It cannot let go of them.
    scene.server.signal("-STOP");
    scene.remove(&["framegate.db-shm"]);
    let refused = scene.home.run(&["user", "disable", "bob"]);
    assert_eq!(refused.status.code(), Some(1));
    let line = text(&refused.stderr);
    assert!(line.contains("nothing was done, try again"), "{line}");
    scene.server.signal("-CONT");
    knock_until(&scene.server, &scene.bob, 101);
    scene.disable("bob");
    knock_until(&scene.server, &scene.bob, 403);
}

/// A stranger knocks every 5 ms; what counts is when the command has said that it is done.
#[test]
fn whoever_was_disabled_is_refused_50_ms_after_the_command_said_so() {
    let scene = Scene::new();
    let mut waits = Vec::new();
    for round in 0..10 {
        if round % 2 == 1 {
            scene.remove(&["framegate.db-shm"]);
        }
        scene.disable("bob");
        let said_at = Instant::now();
        let mut last_let_in = None;
        while said_at.elapsed() < Duration::from_millis(300) {
            let asked_at = said_at.elapsed();
            if knock(&scene.server, &scene.bob) == 101 {
                last_let_in = Some(asked_at);
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        waits.push(last_let_in.unwrap_or_default());
        let enabled = scene.home.run(&["user", "enable", "bob"]);
        assert!(enabled.status.success(), "{}", text(&enabled.stderr));
        knock_until(&scene.server, &scene.bob, 101);
    }
    assert!(
        waits.iter().all(|wait| *wait < Duration::from_millis(50)),
        "{waits:?}"
    );
}

#[test]
fn a_server_that_has_written_lets_go_of_files_that_are_gone() {
    let mut scene = Scene::new();
    let logged_out = scene.home.token("bob");
    let (mut client, _) = tungstenite::connect(scene.server.url()).expect("an upgrade");
    let frame = format!(r#"{{"token":"{logged_out}","event":"logout","id":1}}"#);
    client
        .send(tungstenite::Message::text(frame))
        .expect("it reads");
    let answer = client.read().expect("it answers").to_string();
    assert!(answer.contains("logout"), "{answer}");
    scene.remove(&["framegate.db-shm", "framegate.db-wal"]);
    knock_until(&scene.server, &scene.alice, 503);
    knock_until(&scene.server, &scene.alice, 101);
    // What it wrote is not lost, and what others write is seen.
    assert_eq!(knock(&scene.server, &logged_out), 401);
    scene.disable("alice");
    let refused = knock_until(&scene.server, &scene.alice, 403);
    assert!(refused < Duration::from_secs(1), "{refused:?}");
    assert_eq!(scene.news().len(), 2);
}

#[test]
fn a_database_moved_in_its_place_decides() {
    let mut scene = Scene::new();
    let copy = copy_without_bob(&scene);
    fs::rename(copy, scene.file("framegate.db")).expect("it can be moved");
    assert_bob_is_out(&mut scene, "mv");
}

#[test]
fn a_database_copied_over_it_decides() {
    let mut scene = Scene::new();
    let copy = copy_without_bob(&scene);
    fs::copy(copy, scene.file("framegate.db")).expect("it can be copied");
    assert_bob_is_out(&mut scene, "cp");
}

#[test]
fn a_link_that_leads_to_another_database_leads_the_server_there() {
    let home = Home::with_users(&["alice", "bob"]);
    fs::rename(home.path().join("framegate.db"), home.path().join("one.db")).expect("moved");
    symlink("one.db", home.path().join("framegate.db")).expect("a link can be made");
    let server = home.serve(UNBOUNDED);
    let (alice, bob) = (home.token("alice"), home.token("bob"));
    let mut scene = Scene {
        home,
        server,
        alice,
        bob,
    };
    assert_eq!(knock(&scene.server, &scene.bob), 101);
    copy_without_bob(&scene);
    scene.remove(&["framegate.db"]);
    symlink("copy.db", scene.file("framegate.db")).expect("a link can be made");
    assert_bob_is_out(&mut scene, "ln");
}

#[test]
fn a_database_that_is_gone_confirms_nobody_and_one_that_comes_back_does() {
    let mut scene = Scene::new();
    fs::rename(scene.file("framegate.db"), scene.file("away.db")).expect("moved");
    let took = knock_until(&scene.server, &scene.alice, 503);
    assert!(took < Duration::from_secs(1), "{took:?}");
    for _ in 0..20 {
        assert_eq!(knock(&scene.server, &scene.alice), 503);
    }
    assert!(scene.is_unavailable());
    let news = scene.news();
    assert_eq!(news.len(), 1, "{news:?}");
    // What lies there is no database of ours: a FIFO, a directory, half a file, a newer one.
    let path = scene.file("framegate.db");
    let whole = fs::read(scene.file("away.db")).expect("it can be read");
    let made = Command::new("mkfifo").arg(&path).status();
    assert!(made.expect("mkfifo(1) is there").success());
    std::thread::sleep(Duration::from_millis(700));
    assert!(scene.is_unavailable());
    fs::remove_file(&path).expect("removed");
    fs::create_dir(&path).expect("made");
    std::thread::sleep(Duration::from_millis(700));
    assert!(scene.is_unavailable());
    fs::remove_dir(&path).expect("removed");
    fs::write(&path, &whole[..whole.len() / 2]).expect("written");
    std::thread::sleep(Duration::from_millis(700));
    assert!(scene.is_unavailable());
    scene.news();
    // The other half.
    fs::write(&path, &whole).expect("written");
    let took = knock_until(&scene.server, &scene.alice, 101);
    assert!(took < Duration::from_secs(3), "{took:?}");
    assert!(!scene.is_unavailable());
    assert!(scene.news()[0].contains("users can be confirmed again"));
}

#[test]
fn a_database_emptied_in_its_place_confirms_nobody() {
    let mut scene = Scene::new();
    fs::write(scene.file("framegate.db"), "").expect("written");
    let took = knock_until(&scene.server, &scene.alice, 503);
    assert!(took < Duration::from_secs(1), "{took:?}");
    assert!(scene.is_unavailable());
    scene.server.signal("-TERM");
    assert!(scene.server.wait().success());
}

#[test]
fn a_copy_of_the_file_alone_has_every_commit() {
    let scene = Scene::new();
    scene.disable("bob");
    fs::copy(scene.file("framegate.db"), scene.file("copy.db")).expect("it can be copied");
    let shown = scene.home.run(&["user", "show", "bob", "--db", "copy.db"]);
    assert!(text(&shown.stdout).contains("disabled: yes"));
}

#[test]
fn the_files_of_the_database_are_its_owners_alone_and_others_are_warned_of() {
    let mut scene = Scene::new();
    for name in ["framegate.db", "framegate.db-wal", "framegate.db-shm"] {
        let mode = fs::metadata(scene.file(name)).expect("it is there");
        assert_eq!(mode.permissions().mode() & 0o777, 0o600, "{name}");
    }
    let checked = text(&scene.home.run(&["check"]).stdout);
    assert!(!checked.contains("framegate.db\" mode"), "{checked}");
    scene.server.signal("-TERM");
    assert!(scene.server.wait().success());
    let open = fs::Permissions::from_mode(0o644);
    fs::set_permissions(scene.file("framegate.db"), open).expect("it is ours");
    let checked = text(&scene.home.run(&["check"]).stdout);
    assert!(
        checked.contains("file_exposed file=\"framegate.db\" mode=644"),
        "{checked}"
    );
    let server = scene.home.serve(&[]);
    assert!(
        server
            .log_seen()
            .iter()
            .any(|line| { line.contains("WARN file_exposed file=\"framegate.db\" mode=644") })
    );
}
