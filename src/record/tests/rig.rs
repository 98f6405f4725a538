//! A recorded server and its peers, in memory.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io::{self, Write};
use std::net::{IpAddr, Ipv4Addr};
use std::rc::Rc;
use std::time::Duration;

use crate::app::password::{AddressSpace, HashJob, hash};
use crate::app::users::{MemoryStore, User};
use crate::config::Config;
use crate::gate::{ClaimRules, Keys, ReplayTokens, Secret, Signer};
use crate::limits::RECORDING_BYTES_MAX;
use crate::record::lines::FileSink;
use crate::record::recorder::Recorder;
use crate::record::{Recorded, ReplayError, Replayed, replay};
use crate::server::{ConnectionId, Input, Output, StoreJob, StoreOutcome};
use crate::time::{Instant, Now, UnixSeconds};
use crate::turn::net::Net;
use crate::turn::{Readiness, Turn};

pub(super) const START: UnixSeconds = UnixSeconds(1_800_000_000);
pub(super) const SECRET: &str = "a secret of the tests, and long enough for it";
pub(super) const PREVIOUS: &str = "the secret before it, which only verifies";

#[derive(Clone, Default)]
pub(super) struct File(pub(super) Rc<RefCell<Vec<u8>>>);

impl Write for File {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.borrow_mut().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A recording, run again while nobody looks on.
pub(super) fn replayed(file: &[u8]) -> Result<Replayed, ReplayError> {
    replay(file, &mut |_, _, _| {})
}

/// A recorded server and its peers.
pub(super) struct Rig {
    pub(super) turn: Turn<Net>,
    net: Net,
    pub(super) users: MemoryStore,
    pub(super) now: Now,
    file: File,
    /// Every peer's number in the network, by its connection's serial.
    ends: BTreeMap<u32, usize>,
    pub(super) jobs: Vec<HashJob>,
    pub(super) signer: Signer,
    pub(super) previous: Signer,
    pub(super) foreign: Signer,
    /// Everything that must not stand in the file.
    pub(super) secrets: Vec<String>,
    /// Bytes that a peer takes in a turn.
    pub(super) room: usize,
}

pub(super) fn secret(text: &str) -> Secret {
    Secret::parse(text).expect("a good secret")
}

pub(super) fn user(id: &str) -> User {
    let hash = hash(&password(id), [7; 16], 8).expect("a good password");
    let name = format!("{id} of the tests");
    User::new(id, &name, Some(hash), UnixSeconds(1_700_000_000)).expect("a good user")
}

pub(super) fn password(id: &str) -> String {
    format!("{id}'s \"pässword\" 🎉")
}

impl Rig {
    pub(super) fn new(set: impl FnOnce(&mut Config)) -> Rig {
        Rig::with_room(set, RECORDING_BYTES_MAX)
    }

    pub(super) fn with_room(set: impl FnOnce(&mut Config), bytes_max: u64) -> Rig {
        let mut config = Config {
            password_memory_kib: 8,
            ..Config::default()
        };
        set(&mut config);
        let rules = ClaimRules::default();
        let keys = Keys::new(&secret(SECRET), Some(&secret(PREVIOUS)));
        let file = File::default();
        let sink = FileSink::new(Box::new(file.clone()), bytes_max);
        let recorder = Recorder::begin(ReplayTokens::new(keys.clone()), sink, &config, 7);
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
        let store = Box::new(users.connect());
        let ttl_seconds = config.token_ttl.as_secs();
        let signer = Signer::new(&keys, &rules, ttl_seconds);
        let recorder = Rc::new(RefCell::new(recorder));
        let server = Recorded::build(recorder, config, keys, store, 7);
        let other = |text: &str| Signer::new(&Keys::new(&secret(text), None), &rules, ttl_seconds);
        Rig {
            turn: Turn::new(server, 1),
            net: Net::default(),
            users,
            now: Now {
                monotonic: Instant::from_micros(1_000),
                unix: START,
                fraction: Duration::ZERO,
            },
            file,
            ends: BTreeMap::new(),
            jobs: Vec::new(),
            signer,
            previous: other(PREVIOUS),
            foreign: other("the secret of somebody else, and of no use"),
            secrets,
            room: usize::MAX,
        }
    }

    // Peers.

    pub(super) fn connect(&mut self) -> ConnectionId {
        let number = u8::try_from(1 + self.net.ends.len()).expect("few come");
        let address = Ipv4Addr::new(192, 0, 2, number);
        let end = self.net.connect_from(Some(IpAddr::V4(address)));
        self.turn.listener_ready(0);
        self.turn();
        let id = self.net.ends[end].id.expect("there is room");
        self.ends.insert(id.serial, end);
        id
    }

    /// An open WebSocket.
    pub(super) fn open(&mut self, fields: &str) -> ConnectionId {
        let id = self.connect();
        self.send(id, upgrade(fields).as_bytes());
        id
    }

    pub(super) fn member(&mut self, user: &str) -> ConnectionId {
        let token = self.token(user);
        self.open(&format!("Authorization: Bearer {token}\r\n"))
    }

    pub(super) fn send(&mut self, id: ConnectionId, bytes: &[u8]) {
        self.send_cut(id, bytes, usize::MAX);
    }

    /// Sends in pieces of so many bytes, a turn each, for as long as the server reads.
    pub(super) fn send_cut(&mut self, id: ConnectionId, bytes: &[u8], piece_bytes: usize) {
        let end = self.ends[&id.serial];
        for piece in bytes.chunks(piece_bytes.min(bytes.len()).max(1)) {
            if self.net.ends[end].is_shut {
                return;
            }
            self.net.ends[end].sent.extend(piece);
            let readiness = Readiness {
                readable: true,
                ..Readiness::default()
            };
            self.tell(end, readiness);
            self.turn();
        }
    }

    /// The loop is told that a socket is ready, as long as there is one.
    fn tell(&mut self, end: usize, readiness: Readiness) {
        let place = &self.net.ends[end];
        if let Some(id) = place.id.filter(|_| !place.is_gone) {
            let slot = id.slot as usize;
            self.turn
                .connection_ready(self.now, &mut self.net, slot, readiness);
        }
    }

    pub(super) fn say(&mut self, id: ConnectionId, text: &str) {
        self.send(id, &masked(0x81, text.as_bytes()));
    }

    pub(super) fn say_as(&mut self, id: ConnectionId, user: &str, members: &str) {
        let token = self.token(user);
        self.say(id, &format!(r#"{{"token":"{token}",{members}}}"#));
    }

    pub(super) fn finish(&mut self, id: ConnectionId) {
        let end = self.ends[&id.serial];
        self.net.ends[end].has_finished = true;
        let readiness = Readiness {
            peer_finished: true,
            ..Readiness::default()
        };
        self.tell(end, readiness);
        self.turn();
    }

    /// What was told to the peer since last asked.
    pub(super) fn heard(&mut self, id: ConnectionId) -> String {
        let end = &mut self.net.ends[self.ends[&id.serial]];
        let mut bytes = std::mem::take(&mut end.heard);
        bytes.extend_from_slice(match (end.is_gone, end.is_reset) {
            (true, true) => b"RESET",
            (true, false) => b"CLOSED",
            _ if end.is_shut => b"FIN",
            _ => b"",
        });
        String::from_utf8_lossy(&bytes).into_owned()
    }

    // The world.

    pub(super) fn token(&mut self, user: &str) -> String {
        let minted = self.signer.mint(user, self.now.unix).expect("a subject");
        self.keep_secret(&minted.token);
        minted.token
    }

    pub(super) fn keep_secret(&mut self, token: &str) {
        let (_, signature) = token.rsplit_once('.').expect("a token");
        self.secrets.push(signature.to_owned());
    }

    pub(super) fn wait(&mut self, duration: Duration) {
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

    pub(super) fn hash(&mut self) {
        while let Some(job) = self.jobs.pop() {
            self.turn
                .core
                .handle(self.now, Input::Hashed(job.run(AddressSpace::Limited)));
            self.turn();
        }
    }

    fn write_to_store(&mut self, job: StoreJob) {
        let unix = self.now.unix;
        match job {
            StoreJob::Revoke(ticket, revocation) => {
                let written = self.users.write(&[revocation], None, &|| unix);
                let is_kept = written.is_ok();
                self.turn
                    .core
                    .handle(self.now, Input::Kept(StoreOutcome { ticket, is_kept }));
            }
            StoreJob::Seen(second) => _ = self.users.write(&[], Some(second), &|| unix),
        }
    }

    /// As many turns as there is work for, and all that comes of them.
    pub(super) fn turn(&mut self) {
        for end in 0..self.net.ends.len() {
            if self.room < usize::MAX || self.net.ends[end].room < usize::MAX {
                self.net.ends[end].room = self.room;
                let readiness = Readiness {
                    writable: true,
                    ..Readiness::default()
                };
                self.tell(end, readiness);
            }
        }
        loop {
            self.now.monotonic = self.now.monotonic + Duration::from_micros(50);
            self.turn.run(self.now, &mut self.net);
            while let Some(output) = self.turn.core.poll(self.now) {
                match output {
                    Output::Hash(job) => self.jobs.push(job),
                    Output::Store(job) => self.write_to_store(job),
                    Output::Summary(_) | Output::StoreNews(_) | Output::Report(_) => {}
                }
            }
            if self.turn.next_at() != Some(Instant::ORIGIN) {
                return;
            }
        }
    }

    // What came of it.

    /// The file of a server that is killed now.
    pub(super) fn so_far(&self) -> Vec<u8> {
        self.file.0.borrow().clone()
    }

    /// The file of a server that has come to its end.
    pub(super) fn end(mut self) -> Vec<u8> {
        self.turn.core.handle(self.now, Input::Stop);
        self.turn();
        self.wait(Duration::from_secs(1));
        self.turn.core.end();
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
    pub(super) fn replayed(self) -> Vec<u8> {
        let file = self.end();
        let text = || String::from_utf8_lossy(&file).into_owned();
        match replayed(&file) {
            Ok(replayed) => assert!(!replayed.is_cut && replayed.inputs > 0),
            Err(error) => panic!("{error}\n{}", text()),
        }
        file
    }
}

pub(super) fn masked(first: u8, payload: &[u8]) -> Vec<u8> {
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

pub(super) fn upgrade(fields: &str) -> String {
    format!(
        "GET /ws?session=a-query-secret HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\n\
         Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{fields}\r\n"
    )
}

pub(super) fn login(id: &str, password: &str) -> String {
    let password = password.replace('"', "\\\"");
    format!(r#"{{"event":"login","id":1,"data":{{"id":"{id}","password":"{password}"}}}}"#)
}

pub(super) fn post(path: &str, body: &str) -> String {
    format!(
        "POST {path} HTTP/1.1\r\nHost: h\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}
