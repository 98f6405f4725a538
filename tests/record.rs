//! A server that is recorded, and its recording replayed, as people do it.

#![cfg(test)]
#![expect(
    clippy::disallowed_methods,
    reason = "a test waits for a process, with a clock"
)]

mod support;

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, ErrorKind};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use support::{Home, PATIENCE, Server, password_of, text};
use tungstenite::client::IntoClientRequest;
use tungstenite::http::HeaderValue;
use tungstenite::stream::MaybeTlsStream;
use tungstenite::{Message, WebSocket, connect};

type Client = WebSocket<MaybeTlsStream<TcpStream>>;

fn open(server: &Server, token: Option<&str>) -> Client {
    let mut request = server.url().into_client_request().expect("a URL");
    if let Some(token) = token {
        let bearer = HeaderValue::from_str(&format!("Bearer {token}")).expect("a header");
        request.headers_mut().insert("Authorization", bearer);
    }
    let (client, _) = connect(request).expect("an upgrade");
    if let MaybeTlsStream::Plain(stream) = client.get_ref() {
        let set = stream.set_read_timeout(Some(PATIENCE));
        set.expect("a time-out can be set");
    }
    client
}

fn ask(client: &mut Client, frame: &str) -> String {
    client.send(Message::text(frame)).expect("the server reads");
    hear(client)
}

fn hear(client: &mut Client) -> String {
    loop {
        match client.read() {
            Ok(Message::Text(text)) => return text.to_string(),
            // The machine was paused while we waited.
            Err(tungstenite::Error::Io(error)) if error.kind() == ErrorKind::Interrupted => {}
            other => panic!("{other:?}"),
        }
    }
}

/// A session with logins on both ways in, messages, a refusal, and changes of a user. Returns
/// what must not stand in its recording.
fn session(home: &Home, server: &Server) -> Vec<String> {
    let mut alice = open(server, None);
    let (password, token) = (password_of("alice"), home.token("bob"));
    let login = format!(r#""data":{{"id":"alice","password":"{password}"}}"#);
    let answer = ask(&mut alice, &format!(r#"{{"event":"login",{login}}}"#));
    let (_, rest) = answer.split_once(r#""token":""#).expect("a token");
    let own = rest.split('"').next().expect("a token").to_owned();
    let mut bob = open(server, Some(&token));
    let say = |members: &str| format!(r#"{{"token":"{own}",{members}}}"#);
    assert!(ask(&mut alice, &say(r#""event":"message","data":"hello, all""#)).contains("hello"));
    assert!(hear(&mut bob).contains("hello"));
    assert!(ask(&mut alice, &say(r#""event":"refresh""#)).contains("expiresIn"));
    assert!(home.run(&["user", "disable", "bob"]).status.success());
    assert!(hear(&mut bob).contains("forbidden"));
    let body = format!(r#"{{"id":"alice","password":"{password}"}}"#);
    let request = format!(
        "POST /login HTTP/1.1\r\nHost: h\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    assert!(server.request(&request).starts_with("HTTP/1.1 200 "));
    assert!(
        server
            .request("GET /health HTTP/1.1\r\nHost: h\r\n\r\n")
            .ends_with("ok\n")
    );
    assert!(ask(&mut alice, &say(r#""event":"logout""#)).contains("logout"));
    let signatures = [own, token].map(|token| token.rsplit('.').next().expect("three").to_owned());
    let secret = fs::read_to_string(home.path().join(".env")).expect("a secret");
    let secret = secret.trim().rsplit('=').next().expect("a line").to_owned();
    signatures
        .into_iter()
        .chain([password, secret, "$argon2id".to_owned()])
        .collect()
}

#[test]
fn a_recorded_session_is_replayed_to_the_same_outputs_and_an_edit_is_told() {
    let home = Home::with_users(&["alice", "bob"]);
    let path = home.path().join("session.rec");
    let mut server = home.serve(&["--record", "session.rec"]);
    let secrets = session(&home, &server);
    server.signal("-TERM");
    assert_eq!(server.wait().code(), Some(0));

    let file = fs::read(&path).expect("it is there");
    let mode = fs::metadata(&path)
        .expect("it is there")
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
    for secret in &secrets {
        assert!(!text(&file).contains(secret), "{secret}");
    }
    let replayed = home.run(&["replay", "session.rec"]);
    let told = text(&replayed.stdout);
    assert!(replayed.status.success(), "{}", text(&replayed.stderr));
    assert!(
        told.starts_with("replayed ") && told.ends_with(": the outputs are the same\n"),
        "{told}"
    );

    for at in [0, file.len() / 3, file.len() / 2, file.len() - 1] {
        let mut edited = file.clone();
        edited[at] ^= 1;
        fs::write(home.path().join("edited.rec"), &edited).expect("it can be written");
        let line = 1 + file[..at].iter().filter(|byte| **byte == b'\n').count();
        let replayed = home.run(&["replay", "edited.rec"]);
        assert_eq!(replayed.status.code(), Some(1));
        let told = text(&replayed.stderr);
        assert!(replayed.stdout.is_empty());
        assert!(
            told.starts_with(&format!("framegate: line {line} was changed")),
            "{told}"
        );
    }
}

#[test]
fn what_was_recorded_until_the_server_was_killed_is_replayed() {
    let home = Home::with_users(&["alice"]);
    let mut server = home.serve(&["--record", "killed.rec"]);
    let mut alice = open(&server, Some(&home.token("alice")));
    let frame = format!(
        r#"{{"token":"{}","event":"message","data":1}}"#,
        home.token("alice")
    );
    assert!(ask(&mut alice, &frame).contains("alice"));
    server.signal("-KILL");
    server.wait();
    let replayed = home.run(&["replay", "killed.rec"]);
    assert!(replayed.status.success(), "{}", text(&replayed.stderr));
    assert!(text(&replayed.stdout).starts_with("the recording is cut off: "));
}

#[test]
fn a_recording_is_exported_for_those_who_read_packets_or_raw_bytes() {
    let home = Home::with_users(&["alice"]);
    let mut server = home.serve(&["--record", "session.rec"]);
    let mut alice = open(&server, Some(&home.token("alice")));
    let frame = r#"{"event":"getUser"}"#;
    assert!(ask(&mut alice, frame).contains("token missing"));
    drop(alice);
    server.signal("-TERM");
    server.wait();

    for kind in ["raw", "pcap"] {
        let exported = home.run(&["replay", "session.rec", "--export", kind, "out"]);
        assert!(exported.status.success(), "{}", text(&exported.stderr));
        // Nothing is written over.
        let again = home.run(&["replay", "session.rec", "--export", kind, "out"]);
        assert_eq!(again.status.code(), Some(1));
        let told = text(&again.stderr);
        assert!(
            told.starts_with("framegate: cannot export into out: "),
            "{told}"
        );
    }
    let out = home.path().join("out");
    let sent = fs::read(out.join("0.raw")).expect("a raw exchange");
    let head = "GET /ws HTTP/1.1\r\n";
    assert!(sent.starts_with(head.as_bytes()), "{}", sent.escape_ascii());
    let capture = fs::read(out.join("session.pcap")).expect("a capture");
    assert_eq!(capture[..4], [0xA1, 0xB2, 0xC3, 0xD4]);
    for said in [head.as_bytes(), b"HTTP/1.1 101 ", b"token missing"] {
        assert!(capture.windows(said.len()).any(|window| window == said));
    }
    let refused = home.run(&["replay", "session.rec", "--export", "zip", "out"]);
    assert_eq!(refused.status.code(), Some(2));
    assert_eq!(
        text(&refused.stderr),
        "framegate: --export takes raw or pcap, and a folder\n"
    );
}

/// The names in a folder; none where there is no folder.
fn names(folder: &Path) -> BTreeSet<String> {
    let entries = fs::read_dir(folder).into_iter().flatten();
    let name = |entry: io::Result<fs::DirEntry>| entry.expect("an entry").file_name();
    entries
        .map(|entry| name(entry).into_string().expect("UTF-8"))
        .collect()
}

#[test]
fn an_export_that_fails_leaves_nothing_and_one_that_does_not_is_whole() {
    let home = Home::with_users(&["alice"]);
    let mut server = home.serve(&["--record", "good.rec"]);
    for _ in 0..3 {
        server.request("GET /health HTTP/1.1\r\nHost: h\r\n\r\n");
    }
    server.signal("-TERM");
    server.wait();
    let good = fs::read_to_string(home.path().join("good.rec")).expect("a recording");
    let bad = good.replacen("GET /health", "GET /healtz", 1);
    fs::write(home.path().join("bad.rec"), bad).expect("it can be written");
    fs::create_dir(home.path().join("there")).expect("it can be made");
    fs::write(home.path().join("there/2.raw"), "mine").expect("it can be written");
    let (out, there) = (home.path().join("new/out"), home.path().join("there"));
    let mine = names(&there);
    let export = |limit: &str, file: &str, kind: &str, folder: &str| {
        let script = format!("{limit} exec \"$0\" \"$@\"");
        let done = Command::new("/bin/sh")
            .args(["-c", &script, env!("CARGO_BIN_EXE_framegate")])
            .args(["replay", file, "--export", kind, folder])
            .current_dir(home.path())
            .env_clear()
            .output()
            .expect("it runs");
        (done.status.code(), text(&done.stderr).to_owned())
    };

    for kind in ["raw", "pcap"] {
        for folder in ["new/out", "there"] {
            let (code, told) = export("", "bad.rec", kind, folder);
            assert_eq!(code, Some(1));
            assert!(told.contains(" was changed"), "{told}");
            // A file may have no byte, as on a disk that is full.
            let (code, told) = export("ulimit -f 0;", "good.rec", kind, folder);
            assert_eq!(code, Some(1));
            let cannot = format!("framegate: cannot export into {folder}: ");
            assert!(told.starts_with(&cannot), "{told}");
            assert!(!home.path().join("new").exists());
            assert_eq!(names(&there), mine, "{kind}");
        }
    }
    for kind in ["raw", "pcap"] {
        let (code, told) = export("", "good.rec", kind, "new/out");
        assert_eq!(code, Some(0), "{told}");
    }
    let all = ["0.raw", "1.raw", "2.raw", "session.pcap"].map(str::to_owned);
    assert_eq!(names(&out), BTreeSet::from(all));
    // The third is there already, and the first two go again.
    let (code, told) = export("", "good.rec", "raw", "there");
    assert_eq!(code, Some(1));
    assert!(
        told.ends_with("; no file there is written over\n"),
        "{told}"
    );
    assert_eq!(names(&there), mine);
    let kept = fs::read(there.join("2.raw")).expect("it is there");
    assert_eq!(kept, b"mine");
}

#[test]
fn a_recording_takes_no_files_place_and_a_replay_needs_one() {
    let home = Home::with_users(&["alice"]);
    fs::write(home.path().join("there"), "mine").expect("it can be written");
    let arguments = ["serve", "--listen", "127.0.0.1:0", "--record", "there"];
    let refused = home.run(&arguments);
    assert_eq!(refused.status.code(), Some(1));
    let told = text(&refused.stderr);
    assert!(told.contains("cannot make there: "), "{told}");
    assert_eq!(
        fs::read(home.path().join("there")).expect("it is there"),
        b"mine"
    );

    for (arguments, code, told) in [
        (
            &["replay"][..],
            2,
            "replay needs the file of a recording: replay FILE",
        ),
        (&["replay", "nowhere"], 1, "cannot read nowhere: "),
        (&["replay", "there"], 1, "the file is no recording: "),
        (&["replay", "a", "b"], 2, "an argument too many"),
        (&["replay", "--ttl", "b"], 2, "there is no such option here"),
    ] {
        let refused = home.run(arguments);
        assert_eq!(refused.status.code(), Some(code), "{arguments:?}");
        let error = text(&refused.stderr);
        assert!(error.starts_with(&format!("framegate: {told}")), "{error}");
    }
    let help = home.run(&["replay", "--help"]);
    assert!(help.status.success() && text(&help.stdout).contains("Usage: framegate replay FILE"));
}
