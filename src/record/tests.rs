//! Sessions that are recorded and replayed in memory.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io::{self, IoSlice, Write};
use std::net::{IpAddr, Ipv4Addr};
use std::rc::Rc;
use std::time::Duration;

use super::paper::Written;
use super::tape::Tape;
use super::{Recorded, ReplayError, Replayed, replay};
use crate::app::Events;
use crate::app::password::{HashJob, hash};
use crate::app::users::{MemoryStore, StoreError, User, UserStore as _, Users};
use crate::config::Config;
use crate::gate::{ClaimRules, Gate, Keys, Secret, Signer};
use crate::limits::RECORDING_BYTES_MAX;
use crate::server::{ConnectionId, Ending, Peer, Reading, SLICES_MAX, Server};
use crate::time::{Instant, Now, UnixSeconds};

const START: UnixSeconds = UnixSeconds(1_800_000_000);
const SECRET: &str = "a secret of the tests, and long enough for it";
const PREVIOUS: &str = "the secret before it, which only verifies";

#[derive(Clone, Default)]
struct File(Rc<RefCell<Vec<u8>>>);

impl Write for File {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.borrow_mut().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A recorded server and its peers, driven as the driver does.
struct Rig {
    recorded: Recorded,
    users: MemoryStore,
    now: Now,
    file: File,
    heard: BTreeMap<u32, Vec<u8>>,
    jobs: Vec<HashJob>,
    signer: Signer,
    previous: Signer,
    foreign: Signer,
    /// Everything that must not stand in the file.
    secrets: Vec<String>,
    /// Bytes that a peer takes at once.
    room: usize,
    next_address: u8,
}

fn secret(text: &str) -> Secret {
    Secret::parse(text).expect("a good secret")
}

fn user(id: &str) -> User {
    let hash = hash(&password(id), [7; 16], 8).expect("a good password");
    let name = format!("{id} of the tests");
    User::new(id, &name, Some(hash), UnixSeconds(1_700_000_000)).expect("a good user")
}

fn password(id: &str) -> String {
    format!("{id}'s \"pässword\" 🎉")
}

impl Rig {
    fn new(set: impl FnOnce(&mut Config)) -> Rig {
        Rig::with_room(set, RECORDING_BYTES_MAX)
    }

    fn with_room(set: impl FnOnce(&mut Config), bytes_max: u64) -> Rig {
        let mut config = Config {
            password_memory_kib: 8,
            ..Config::default()
        };
        set(&mut config);
        let rules = ClaimRules::default();
        let keys = Keys::new(&secret(SECRET), Some(&secret(PREVIOUS)));
        let file = File::default();
        let paper = Box::new(Written::new(Box::new(file.clone()), bytes_max));
        let tape = Tape::new(paper, &config, keys.clone());
        tape.begin_file("0.0.0", &config, 7);
        let mut users = MemoryStore::new();
        let mut secrets = vec![SECRET.to_owned(), PREVIOUS.to_owned()];
        for id in ["alice", "bob", "carol"] {
            let user = user(id);
            secrets.push(
                user.password_hash
                    .clone()
                    .expect("a hash")
                    .as_str()
                    .to_owned(),
            );
            secrets.push(password(id));
            secrets.push(password(id).replace('"', "\\\""));
            users.add(&user);
        }
        let store = tape.watch(Box::new(users.connect()));
        let ttl_seconds = config.token_ttl.as_secs();
        let signer = Signer::new(&keys, &rules, ttl_seconds);
        let server = Server::new(
            config,
            Gate::new(keys.clone(), rules.clone()),
            Signer::new(&keys, &rules, ttl_seconds),
            Users::new(store),
            Events::builtin(),
            7,
        );
        let other = |text: &str| Signer::new(&Keys::new(&secret(text), None), &rules, ttl_seconds);
        Rig {
            recorded: Recorded::new(server, tape),
            users,
            now: Now {
                monotonic: Instant::from_micros(1_000),
                unix: START,
                fraction: Duration::ZERO,
            },
            file,
            heard: BTreeMap::new(),
            jobs: Vec::new(),
            signer,
            previous: other(PREVIOUS),
            foreign: other("the secret of somebody else, and of no use"),
            secrets,
            room: usize::MAX,
            next_address: 0,
        }
    }

    // Peers.

    fn connect(&mut self) -> ConnectionId {
        self.next_address += 1;
        let address = Some(IpAddr::V4(Ipv4Addr::new(192, 0, 2, self.next_address)));
        let port = 40_000;
        let id = self.recorded.accept(self.now, Peer { address, port });
        self.turn();
        id.expect("there is room")
    }

    /// An open WebSocket.
    fn open(&mut self, fields: &str) -> ConnectionId {
        let id = self.connect();
        self.send(id, upgrade(fields).as_bytes());
        id
    }

    fn member(&mut self, user: &str) -> ConnectionId {
        let token = self.token(user);
        self.open(&format!("Authorization: Bearer {token}\r\n"))
    }

    fn send(&mut self, id: ConnectionId, bytes: &[u8]) {
        self.send_cut(id, bytes, usize::MAX);
    }

    /// Sends in pieces of so many bytes, a turn each, for as long as the server reads.
    fn send_cut(&mut self, id: ConnectionId, bytes: &[u8], piece_bytes: usize) {
        for piece in bytes.chunks(piece_bytes.min(bytes.len()).max(1)) {
            let mut scratch = piece.to_vec();
            let reading = self.recorded.receive(self.now, id, &mut scratch);
            self.turn();
            if reading == Reading::Over {
                return;
            }
        }
    }

    fn say(&mut self, id: ConnectionId, text: &str) {
        self.send(id, &masked(0x81, text.as_bytes()));
    }

    fn say_as(&mut self, id: ConnectionId, user: &str, members: &str) {
        let token = self.token(user);
        self.say(id, &format!(r#"{{"token":"{token}",{members}}}"#));
    }

    fn finish(&mut self, id: ConnectionId) {
        self.recorded.finished(self.now, id);
        self.turn();
    }

    /// What was told to the peer since last asked.
    fn heard(&mut self, id: ConnectionId) -> String {
        let bytes = self.heard.remove(&id.serial).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    // The world.

    fn token(&mut self, user: &str) -> String {
        let minted = self.signer.mint(user, self.now.unix).expect("a subject");
        self.keep_secret(&minted.token);
        minted.token
    }

    fn keep_secret(&mut self, token: &str) {
        let (_, signature) = token.rsplit_once('.').expect("a token");
        self.secrets.push(signature.to_owned());
    }

    fn wait(&mut self, duration: Duration) {
        let until = self.now.monotonic + duration;
        while self.now.monotonic < until {
            let step = Duration::from_millis(100);
            let passed = step + self.now.fraction;
            self.now.monotonic = self.now.monotonic + step;
            self.now.unix = self.now.unix.plus(passed.as_secs());
            self.now.fraction = Duration::from_nanos(u64::from(passed.subsec_nanos()));
            self.turn();
        }
    }

    fn hash(&mut self) {
        for job in std::mem::take(&mut self.jobs) {
            self.recorded.hashed(self.now, &job.run());
        }
        self.turn();
    }

    /// A driver's turn, from the tick on.
    fn turn(&mut self) {
        self.now.monotonic = self.now.monotonic + Duration::from_micros(50);
        self.recorded.tick(self.now);
        while let Some(job) = self.recorded.next_job() {
            self.jobs.push(job);
        }
        let mut strangers_left = 8;
        while let Some(id) = self.recorded.next_flush(self.now, &mut strangers_left) {
            self.write(id);
        }
        while let Some((id, ending)) = self.recorded.next_ending() {
            let told: &[u8] = match ending {
                Ending::Fin => b"FIN",
                Ending::Close => b"CLOSED",
                Ending::Reset => b"RESET",
            };
            self.heard.entry(id.serial).or_default().extend(told);
        }
        self.recorded.next_summary(self.now);
        self.recorded.next_store_fault();
        while self.recorded.next_report().is_some() {}
    }

    fn write(&mut self, id: ConnectionId) {
        let mut slices = [IoSlice::new(&[]); SLICES_MAX];
        let filled = self.recorded.gather(id, &mut slices);
        let bytes: Vec<u8> = slices[..filled].iter().flat_map(|s| s.to_vec()).collect();
        let taken = bytes.len().min(self.room);
        let heard = self.heard.entry(id.serial).or_default();
        heard.extend_from_slice(&bytes[..taken]);
        self.recorded.wrote(self.now, id, taken, false);
    }

    // What came of it.

    /// The file of a server that has come to its end.
    fn end(mut self) -> Vec<u8> {
        self.recorded.shut_down(self.now);
        self.turn();
        self.wait(Duration::from_secs(1));
        self.recorded.end();
        let text = String::from_utf8(self.file.0.take()).expect("it is text");
        for secret in &self.secrets {
            assert!(
                !text.contains(secret.as_str()),
                "{secret} stands in:\n{text}"
            );
        }
        text.into_bytes()
    }

    /// As `end`, and replayed.
    fn replayed(self) -> Vec<u8> {
        let file = self.end();
        let text = || String::from_utf8_lossy(&file).into_owned();
        match replay(&file) {
            Ok(replayed) => assert!(!replayed.is_cut && replayed.inputs > 0),
            Err(error) => panic!("{error}\n{}", text()),
        }
        file
    }
}

fn masked(first: u8, payload: &[u8]) -> Vec<u8> {
    let mask = [0x37, 0xFA, 0x21, 0x3D];
    let mut frame = vec![first];
    match payload.len() {
        0..=125 => frame.push(0x80 | payload.len() as u8),
        126..=0xFFFF => {
            frame.push(0x80 | 126);
            frame.extend((payload.len() as u16).to_be_bytes());
        }
        _ => {
            frame.push(0x80 | 127);
            frame.extend((payload.len() as u64).to_be_bytes());
        }
    }
    frame.extend(mask);
    let mask = mask.iter().cycle();
    frame.extend(payload.iter().zip(mask).map(|(byte, mask)| byte ^ mask));
    frame
}

fn upgrade(fields: &str) -> String {
    format!(
        "GET /ws?session=a-query-secret HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\n\
         Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{fields}\r\n"
    )
}

fn login(id: &str, password: &str) -> String {
    let password = password.replace('"', "\\\"");
    format!(r#"{{"event":"login","id":1,"data":{{"id":"{id}","password":"{password}"}}}}"#)
}

fn post(path: &str, body: &str) -> String {
    format!(
        "POST {path} HTTP/1.1\r\nHost: h\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

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
    std::fs::write("/tmp/record-sample", &text).unwrap();
    assert!(
        text.contains("hello") && text.contains(r#""to":"bob""#),
        "what was said can be read"
    );
}
