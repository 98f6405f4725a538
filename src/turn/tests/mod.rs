//! A turn's promises: its order, its bounds, and what becomes of an outside that fails.

mod bounds;
mod faults;
mod order;

use std::time::Duration;

use crate::app::Events;
use crate::app::users::{MemoryStore, User};
use crate::config::Config;
use crate::gate::{ClaimRules, Keys, Secret, Signer};
use crate::server::{Output, Report, Server};
use crate::time::{Instant, Now, UnixSeconds};

use super::net::{Call, Net};
use super::{Readiness, Turn};

const START: UnixSeconds = UnixSeconds(1_800_000_000);

/// A turn over a network in memory, and who speaks on it.
struct Rig {
    turn: Turn<Net>,
    net: Net,
    now: Now,
    signer: Signer,
    reports: Vec<Report>,
}

impl Rig {
    fn new() -> Rig {
        Rig::with(|_| {})
    }

    fn with(set: impl FnOnce(&mut Config)) -> Rig {
        let mut config = Config::default();
        config.connect_rate.count = 0;
        config.frame_rate.count = 0;
        config.broadcast_rate.count = 0;
        config.delivery_rate.count = 0;
        config.connections_per_user_max = 0;
        config.pending_max = 1_000;
        set(&mut config);
        let keys = Keys::new(&Secret::parse(&"k".repeat(40)).unwrap(), None);
        let ttl_seconds = config.token_ttl.as_secs();
        let signer = Signer::new(&keys, &ClaimRules::default(), ttl_seconds);
        let mut users = MemoryStore::new();
        for id in ["alice", "bob"] {
            assert!(users.add(&User::new(id, id, None, UnixSeconds(1)).unwrap()));
        }
        let core = Server::build(config, keys, Box::new(users), Events::builtin(), 7);
        Rig {
            turn: Turn::new(core.into(), 1),
            net: Net {
                has_spare: true,
                ..Net::default()
            },
            now: Now {
                monotonic: Instant::ORIGIN,
                unix: START,
                fraction: Duration::ZERO,
            },
            signer,
            reports: Vec::new(),
        }
    }

    /// One turn.
    fn turn(&mut self) {
        self.turn.run(self.now, &mut self.net);
        while let Some(output) = self.turn.core.poll(self.now) {
            if let Output::Report(report) = output {
                self.reports.push(report);
            }
        }
    }

    /// As many turns as there is work for.
    fn settle(&mut self) {
        for _ in 0..10_000 {
            self.turn();
            if self.turn.next_at().is_none_or(|at| at > self.now.monotonic) {
                return;
            }
        }
        panic!("the loop would spin");
    }

    fn wait(&mut self, duration: Duration) {
        self.now.monotonic = self.now.monotonic + duration;
        self.now.unix = self.now.unix.plus(duration.as_secs());
    }

    /// Somebody comes and is accepted.
    fn connect(&mut self) -> usize {
        let end = self.net.connect();
        self.turn.listener_ready(0);
        self.settle();
        end
    }

    fn member(&mut self, user: &str) -> usize {
        let end = self.connect();
        let token = self.token(user);
        self.send(
            end,
            format!(
                "GET /ws HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\n\
                 Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                 Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
                 Authorization: Bearer {token}\r\n\r\n"
            )
            .as_bytes(),
        );
        self.settle();
        assert!(self.take_heard(end).starts_with("HTTP/1.1 101"));
        self.net.take_calls();
        end
    }

    fn members(&mut self, count: usize) -> Vec<usize> {
        (0..count).map(|_| self.member("alice")).collect()
    }

    fn token(&self, user: &str) -> String {
        self.signer.mint(user, self.now.unix).unwrap().token
    }

    /// Bytes arrive, and the loop is told.
    fn send(&mut self, end: usize, bytes: &[u8]) {
        self.net.ends[end].sent.extend(bytes);
        self.tell(
            end,
            Readiness {
                readable: true,
                ..Readiness::default()
            },
        );
    }

    /// The peer's FIN arrives after all it has sent, and the loop is told.
    fn finish(&mut self, end: usize) {
        self.net.ends[end].has_finished = true;
        self.tell(
            end,
            Readiness {
                readable: true,
                peer_finished: true,
                ..Readiness::default()
            },
        );
    }

    fn tell(&mut self, end: usize, readiness: Readiness) {
        let id = self.net.ends[end].id.expect("it was accepted");
        let slot = id.slot as usize;
        self.turn
            .connection_ready(self.now, &mut self.net, slot, readiness);
    }

    /// A frame of the user's: `members` are those after the token.
    fn frame(&self, user: &str, members: &str) -> Vec<u8> {
        let token = self.token(user);
        masked(
            0x81,
            format!(r#"{{"token":"{token}",{members}}}"#).as_bytes(),
        )
    }

    fn get_user(&self) -> Vec<u8> {
        self.frame("alice", r#""event":"getUser","data":{"id":"bob"}"#)
    }

    fn message(&self, text: &str) -> Vec<u8> {
        let members = format!(r#""event":"message","data":{{"text":"{text}"}}"#);
        self.frame("alice", &members)
    }

    /// What the peer has heard since last asked, its bytes as text.
    fn take_heard(&mut self, end: usize) -> String {
        let heard = std::mem::take(&mut self.net.ends[end].heard);
        String::from_utf8_lossy(&heard).into_owned()
    }
}

/// A client's frame, masked as it must be.
fn masked(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![first];
    match payload.len() {
        len @ 0..=125 => frame.push(0x80 | len as u8),
        len => {
            frame.push(0x80 | 126);
            frame.extend(u16::try_from(len).unwrap().to_be_bytes());
        }
    }
    let mask = [1, 2, 3, 4];
    frame.extend(mask);
    let masks = mask.iter().cycle();
    frame.extend(payload.iter().zip(masks).map(|(byte, mask)| byte ^ mask));
    frame
}
