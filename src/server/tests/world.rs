//! A server, some users, and peers to script. What a peer hears is given as lines one can read:
//! `HTTP 101`, a Text message as its JSON, `ping`, `pong …`, `close 3000`, `FIN`, `CLOSED`,
//! `RESET`.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use crate::app::Events;
use crate::app::password::{AddressSpace, HashJob, HashOutcome, hash};
use crate::app::users::{MemoryStore, StoreError, User};
use crate::config::Config;
use crate::gate::{Keys, Secret, Signer};
use crate::server::{
    ConnectionId, Input, Output, Report, ReportKind, Server, StoreJob, StoreNews, StoreOutcome,
    Summary, claim_rules,
};
use crate::time::{Instant, Now, UnixSeconds};
use crate::turn::net::{End, Net};
use crate::turn::{Readiness, Turn};

pub(super) const START: UnixSeconds = UnixSeconds(1_800_000_000);
pub(super) const SECRET: &str = "a secret of the tests, and long enough for it";

pub(super) struct World {
    pub(super) turn: Turn<Net>,
    net: Net,
    /// The users, as another process sees them.
    pub(super) users: MemoryStore,
    pub(super) now: Now,
    pub(super) reports: Vec<Report>,
    pub(super) summaries: Vec<Summary>,
    pub(super) store_news: Vec<StoreNews>,
    signer: Signer,
    /// Every peer, by its connection's serial.
    peers: BTreeMap<u32, Hearer>,
    jobs: Vec<HashJob>,
    writes: Vec<StoreJob>,
    are_writes_held: bool,
}

/// What a peer makes of what it hears.
struct Hearer {
    /// Its number in the network.
    end: usize,
    lines: Vec<String>,
    /// A peer that is read byte for byte.
    is_raw: bool,
    has_fin: bool,
    is_over: bool,
}

impl World {
    pub(super) fn new() -> World {
        World::with(|_| {})
    }

    pub(super) fn with(set: impl FnOnce(&mut Config)) -> World {
        let mut config = Config {
            // A hash that costs little; its price is measured elsewhere.
            password_memory_kib: 8,
            ..Config::default()
        };
        set(&mut config);
        let secret = Secret::parse(SECRET).expect("a good secret");
        let keys = Keys::new(&secret, None);
        let ttl_seconds = config.token_ttl.as_secs();
        let signer = Signer::new(&keys, &claim_rules(&config), ttl_seconds);
        let mut users = MemoryStore::new();
        for id in ["alice", "bob", "carol"] {
            users.add(&user(id));
        }
        let store = Box::new(users.connect());
        let server = Server::build(config, keys, store, Events::builtin(), 7);
        World {
            turn: Turn::new(server.into(), 1),
            net: Net::default(),
            users,
            now: Now {
                monotonic: Instant::ORIGIN,
                unix: START,
                fraction: Duration::ZERO,
            },
            reports: Vec::new(),
            summaries: Vec::new(),
            store_news: Vec::new(),
            signer,
            peers: BTreeMap::new(),
            jobs: Vec::new(),
            writes: Vec::new(),
            are_writes_held: false,
        }
    }

    // Peers.

    /// A TCP connection from an address of its own.
    pub(super) fn connect(&mut self) -> ConnectionId {
        let end = self.net.connect();
        self.accept(end).expect("there is room")
    }

    /// A connection from that address, or from a Unix socket, if there is room for it.
    pub(super) fn connect_from(
        &mut self,
        address: impl Into<Option<IpAddr>>,
    ) -> Option<ConnectionId> {
        let end = self.net.connect_from(address.into());
        self.accept(end)
    }

    fn accept(&mut self, end: usize) -> Option<ConnectionId> {
        self.turn.listener_ready(0);
        self.settle();
        let id = self.net.ends[end].id?;
        let hearer = Hearer {
            end,
            lines: Vec::new(),
            is_raw: false,
            has_fin: false,
            is_over: false,
        };
        self.peers.insert(id.serial, hearer);
        Some(id)
    }

    /// An open WebSocket that nobody is logged in on.
    pub(super) fn stranger(&mut self) -> ConnectionId {
        let id = self.connect();
        self.send(id, upgrade("").as_bytes());
        assert_eq!(self.hear(id), ["HTTP 101"]);
        id
    }

    /// An open WebSocket on which `user` is logged in by the handshake.
    pub(super) fn member(&mut self, user: &str) -> ConnectionId {
        let token = self.token(user);
        self.member_with(&token)
    }

    pub(super) fn member_with(&mut self, token: &str) -> ConnectionId {
        let id = self.connect();
        self.send(
            id,
            upgrade(&format!("Authorization: Bearer {token}\r\n")).as_bytes(),
        );
        assert_eq!(self.hear(id), ["HTTP 101"]);
        id
    }

    pub(super) fn send(&mut self, id: ConnectionId, bytes: &[u8]) {
        let end = self.end(id);
        self.net.ends[end].sent.extend(bytes);
        let readiness = Readiness {
            readable: true,
            ..Readiness::default()
        };
        self.tell(id, readiness);
        self.settle();
    }

    pub(super) fn say(&mut self, id: ConnectionId, text: &str) {
        self.send(id, &masked(0x81, text.as_bytes()));
    }

    /// A frame of `user`: `members` are those after the token, such as `"event":"logout"`.
    pub(super) fn say_as(&mut self, id: ConnectionId, user: &str, members: &str) {
        let token = self.token(user);
        self.say(id, &format!(r#"{{"token":"{token}",{members}}}"#));
    }

    /// What the peer has heard since it was last asked.
    pub(super) fn hear(&mut self, id: ConnectionId) -> Vec<String> {
        self.settle();
        std::mem::take(&mut self.peer(id).lines)
    }

    /// What the peer has heard so far, without a turn.
    pub(super) fn heard_by(&self, id: ConnectionId) -> &[String] {
        &self.peers[&id.serial].lines
    }

    /// The peer stops reading, or begins again.
    pub(super) fn set_deaf(&mut self, id: ConnectionId, is_deaf: bool) {
        let end = self.end(id);
        self.net.ends[end].room = if is_deaf { 0 } else { usize::MAX };
        let readiness = Readiness {
            writable: true,
            ..Readiness::default()
        };
        self.tell(id, readiness);
        self.settle();
    }

    /// What the peer hears is given as it is, HTTP's heads too.
    pub(super) fn set_raw(&mut self, id: ConnectionId) {
        self.peer(id).is_raw = true;
    }

    pub(super) fn finish(&mut self, id: ConnectionId) {
        let end = self.end(id);
        self.net.ends[end].has_finished = true;
        let readiness = Readiness {
            peer_finished: true,
            ..Readiness::default()
        };
        self.tell(id, readiness);
        self.settle();
    }

    fn peer(&mut self, id: ConnectionId) -> &mut Hearer {
        self.peers.get_mut(&id.serial).expect("it connected")
    }

    fn end(&mut self, id: ConnectionId) -> usize {
        self.peer(id).end
    }

    /// The loop is told that the socket is ready, as long as there is one.
    fn tell(&mut self, id: ConnectionId, readiness: Readiness) {
        if !self.peer(id).is_over {
            let slot = id.slot as usize;
            self.turn
                .connection_ready(self.now, &mut self.net, slot, readiness);
        }
    }

    // Time.

    pub(super) fn wait(&mut self, duration: Duration) {
        let until = self.now.monotonic + duration;
        while let Some(next) = self.turn.core.next_deadline().filter(|next| *next <= until) {
            self.move_to(next.max(self.now.monotonic + Duration::from_micros(1)));
        }
        self.move_to(until);
    }

    /// Somebody sets the wall clock.
    pub(super) fn set_wall_clock(&mut self, unix: UnixSeconds) {
        self.now.unix = unix;
    }

    fn move_to(&mut self, at: Instant) {
        let passed = at.since(self.now.monotonic) + self.now.fraction;
        self.now.monotonic = at;
        self.now.unix = self.now.unix.plus(passed.as_secs());
        self.now.fraction = Duration::from_nanos(u64::from(passed.subsec_nanos()));
        self.turn.core.handle(self.now, Input::Tick);
        self.settle();
    }

    // Users.

    /// Another process puts `user` in the place of the one who had that id.
    pub(super) fn put(&mut self, user: &User) {
        self.users.remove(&user.id);
        assert!(self.users.add(user));
    }

    pub(super) fn break_store(&mut self, broken: bool) {
        let calls = if broken { u64::MAX } else { 0 };
        self.users.fail_next(calls, StoreError::Io);
    }

    // Tokens and passwords.

    pub(super) fn token(&self, user: &str) -> String {
        self.token_dated(user, self.now.unix)
    }

    pub(super) fn token_dated(&self, user: &str, issued_at: UnixSeconds) -> String {
        self.signer
            .mint(user, issued_at)
            .expect("a good subject")
            .token
    }

    /// The helper thread works off what waits, one password after the other.
    pub(super) fn hash(&mut self) {
        while let Some(job) = self.jobs.pop() {
            let outcome: HashOutcome = job.run(AddressSpace::Limited);
            self.turn.core.handle(self.now, Input::Hashed(outcome));
            self.settle();
        }
    }

    /// As [`hash`](World::hash), of one password; whose connection that was.
    pub(super) fn hash_one(&mut self) -> Option<ConnectionId> {
        let job = self.jobs.pop()?;
        let id = self.turn.core.connection_of_job(job.ticket);
        let outcome = job.run(AddressSpace::Limited);
        self.turn.core.handle(self.now, Input::Hashed(outcome));
        self.settle();
        id
    }

    /// The helper thread for the store waits, or goes on: for a lock, or a slow disk.
    pub(super) fn hold_writes(&mut self, are_held: bool) {
        self.are_writes_held = are_held;
        self.settle();
    }

    /// What waits is written, all in one commit.
    fn write_to_store(&mut self) {
        while !self.are_writes_held && !self.writes.is_empty() {
            let (mut tickets, mut revocations, mut seen) = (Vec::new(), Vec::new(), None);
            for job in std::mem::take(&mut self.writes) {
                match job {
                    StoreJob::Revoke(ticket, revocation) => {
                        tickets.push(ticket);
                        revocations.push(revocation);
                    }
                    StoreJob::Seen(second) => seen = seen.max(Some(second)),
                }
            }
            let unix = self.now.unix;
            let is_kept = self.users.write(&revocations, seen, &|| unix).is_ok();
            for ticket in tickets {
                let outcome = StoreOutcome { ticket, is_kept };
                self.turn.core.handle(self.now, Input::Kept(outcome));
            }
            self.take_outputs();
        }
    }

    /// Takes what the core has for the outside.
    fn take_outputs(&mut self) {
        while let Some(output) = self.turn.core.poll(self.now) {
            match output {
                Output::Hash(job) => self.jobs.push(job),
                Output::Store(job) => self.writes.push(job),
                Output::Summary(summary) => self.summaries.push(summary),
                Output::StoreNews(news) => self.store_news.push(news),
                Output::Report(report) => self.reports.push(report),
            }
        }
    }

    pub(super) fn hashes_waiting(&self) -> usize {
        self.turn.core.passwords_waiting()
    }

    /// The words of the refusals so far.
    pub(super) fn refusals(&self) -> Vec<&'static str> {
        let refused = |report: &Report| match report.what {
            ReportKind::Refused(cause) => Some(cause.word()),
            _ => None,
        };
        self.reports.iter().filter_map(refused).collect()
    }

    /// Why logins failed so far, as the log has it.
    pub(super) fn failed_logins(&self) -> Vec<&'static str> {
        let failed = |report: &Report| match report.what {
            ReportKind::LoginFailed(failure) => Some(failure.word()),
            _ => None,
        };
        self.reports.iter().filter_map(failed).collect()
    }

    /// As many turns as there is work for.
    fn settle(&mut self) {
        for _ in 0..TURNS_MAX {
            self.one_turn();
            if self.turn.next_at() != Some(Instant::ORIGIN) {
                return;
            }
        }
        panic!("the loop would spin");
    }

    /// One turn, and all that comes of it.
    pub(super) fn one_turn(&mut self) {
        self.take_outputs();
        self.write_to_store();
        self.turn.run(self.now, &mut self.net);
        self.take_outputs();
        self.write_to_store();
        self.turn.core.audit().expect("the core's counts are right");
        for peer in self.peers.values_mut() {
            peer.read(&mut self.net.ends[peer.end]);
        }
    }
}

/// Turns within which all must be done that came of one input.
const TURNS_MAX: usize = 100_000;

impl Hearer {
    /// Turns the bytes that are whole into lines, and says how the connection ends.
    fn read(&mut self, end: &mut End) {
        self.read_bytes(&mut end.heard);
        if end.is_shut && !std::mem::replace(&mut self.has_fin, true) {
            self.lines.push("FIN".to_owned());
        }
        if end.is_gone && !std::mem::replace(&mut self.is_over, true) {
            let how = if end.is_reset { "RESET" } else { "CLOSED" };
            self.lines.push(how.to_owned());
        }
    }

    fn read_bytes(&mut self, bytes: &mut Vec<u8>) {
        if self.is_raw && !bytes.is_empty() {
            let text = String::from_utf8(std::mem::take(bytes));
            return self.lines.push(text.expect("HTTP is text"));
        }
        while let Some((line, used)) = next_line(bytes) {
            self.lines.push(line);
            bytes.drain(..used);
        }
    }
}

fn next_line(bytes: &[u8]) -> Option<(String, usize)> {
    if bytes.first()?.is_ascii_alphabetic() {
        return http_line(bytes);
    }
    let short = usize::from(*bytes.get(1)?);
    let (len, at) = match short {
        126 => (
            usize::from(u16::from_be_bytes([*bytes.get(2)?, *bytes.get(3)?])),
            4,
        ),
        127 => unimplemented_length(),
        _ => (short, 2),
    };
    let payload = bytes.get(at..at + len)?;
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("we send UTF-8");
    let line = match bytes[0] {
        0x81 => text(payload),
        0x88 if payload.is_empty() => "close".to_owned(),
        0x88 => format!("close {}", u16::from_be_bytes([payload[0], payload[1]])),
        0x89 => "ping".to_owned(),
        0x8A => format!("pong {}", text(payload)),
        other => panic!("we never send a frame that begins with {other:#x}"),
    };
    Some((line, at + len))
}

fn unimplemented_length() -> ! {
    panic!("no answer is that long")
}

/// `HTTP 200 body`, the body where there is one.
fn http_line(bytes: &[u8]) -> Option<(String, usize)> {
    let head_end = bytes.windows(4).position(|window| window == b"\r\n\r\n")? + 4;
    let head = String::from_utf8(bytes[..head_end].to_vec()).expect("a head is ASCII");
    let status = head.split(' ').nth(1).expect("a status line").to_owned();
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("Content-Length: "))
        .map_or(0, |length| length.parse().expect("a length"));
    let body = bytes.get(head_end..head_end + length)?;
    let body = String::from_utf8(body.to_vec()).expect("a body is text");
    let line = format!("HTTP {status} {body}").trim_end().to_owned();
    Some((line, head_end + length))
}

/// A user whose password is `<id>'s password`.
pub(super) fn user(id: &str) -> User {
    let hash = hash(&format!("{id}'s password"), [7; 16], 8).expect("a good password");
    let name = format!("{id} of the tests");
    User::new(id, &name, Some(hash), UnixSeconds(1_700_000_000)).expect("a good user")
}

/// A client's frame, masked as it must be.
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
    frame.extend(
        payload
            .iter()
            .zip(mask.iter().cycle())
            .map(|(byte, mask)| byte ^ mask),
    );
    frame
}

/// An upgrade's head with further fields.
pub(super) fn upgrade(fields: &str) -> String {
    format!(
        "GET /ws HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{fields}\r\n"
    )
}

/// An error frame's text, without an id.
pub(super) fn error(code: &str, reason: &str) -> String {
    format!(r#"{{"event":"error","data":{{"code":"{code}","reason":"{reason}"}}}}"#)
}
