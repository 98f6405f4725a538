//! The turn and the whole core, over sockets that take and give what they are told.

use std::hint::black_box;
use std::io::{self, IoSlice};
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use framegate::internals::app::Events;
use framegate::internals::app::users::{MemoryStore, User};
use framegate::internals::config::Config;
use framegate::internals::server::{ConnectionId, Peer, Server};
use framegate::internals::time::{Instant, Now};
use framegate::internals::turn::{Accept, Io, Readiness, Shed, Then, Turn};

use crate::subject::{self, ASKED, CREATED_AT, HEAD, NAME, NOW};

/// How long a turn takes, by the clocks that the core is told of.
const TURN: Duration = Duration::from_micros(10);

pub struct Core {
    turn: Turn<Pipe>,
    pipe: Pipe,
    now: Now,
}

/// Sockets without a kernel: one of them has sent something, and each takes all it is given.
#[derive(Default)]
struct Pipe {
    /// What the next read brings.
    sent: Vec<u8>,
    is_waiting: bool,
    accepted: Option<ConnectionId>,
    written_bytes: usize,
    shut: usize,
    closed: usize,
}

impl Core {
    /// A server of `users` and whoever is asked about, without connections.
    pub fn new(users: &[String]) -> Core {
        let store = Box::new(store(users));
        let server = Server::build(config(), subject::keys(), store, Events::builtin(), 7);
        Core {
            turn: Turn::new(server.into(), 1),
            pipe: Pipe::default(),
            now: Now {
                monotonic: Instant::ORIGIN,
                unix: NOW,
                fraction: Duration::ZERO,
            },
        }
    }

    /// An open WebSocket on which `user` is logged in by the handshake.
    pub fn log_in(&mut self, user: &str) -> ConnectionId {
        let id = self.accept();
        let head = HEAD.trim_end();
        let token = subject::token_of(user);
        let head = format!("{head}\r\nAuthorization: Bearer {token}\r\n\r\n");
        self.turn(id, head.as_bytes());
        assert!(self.turn.core.is_member(id));
        id
    }

    /// One read of one connection and all that comes of it, in as many turns as that takes. Returns
    /// how many bytes are written.
    pub fn turn(&mut self, id: ConnectionId, bytes: &[u8]) -> usize {
        self.pipe.sent.extend_from_slice(bytes);
        self.pipe.written_bytes = 0;
        let readiness = Readiness {
            readable: true,
            ..Readiness::default()
        };
        let slot = id.slot as usize;
        self.turn
            .connection_ready(self.now, &mut self.pipe, slot, readiness);
        self.run();
        self.pipe.written_bytes
    }

    /// A stranger who comes, upgrades by `head`, sends a `forgery`, is refused and goes.
    pub fn visit(&mut self, head: &[u8], forgery: &[u8]) {
        let (shut, closed) = (self.pipe.shut, self.pipe.closed);
        let id = self.accept();
        self.turn(id, head);
        self.turn(id, forgery);
        assert_eq!(self.pipe.shut, shut + 1);
        let readiness = Readiness {
            peer_finished: true,
            ..Readiness::default()
        };
        let slot = id.slot as usize;
        self.turn
            .connection_ready(self.now, &mut self.pipe, slot, readiness);
        self.run();
        assert_eq!(self.pipe.closed, closed + 1);
    }

    fn accept(&mut self) -> ConnectionId {
        self.pipe.is_waiting = true;
        self.turn.listener_ready(0);
        self.run();
        self.pipe.accepted.take().expect("there is room")
    }

    /// Turns, as the driver has them, until there is nothing more to do.
    fn run(&mut self) {
        loop {
            self.pass_time();
            self.turn.run(self.now, &mut self.pipe);
            while let Some(output) = self.turn.core.poll(self.now) {
                black_box(output);
            }
            if self.turn.next_at() != Some(Instant::ORIGIN) {
                return;
            }
        }
    }

    fn pass_time(&mut self) {
        self.now.monotonic = self.now.monotonic + TURN;
        self.now.fraction += TURN;
        if self.now.fraction >= Duration::from_secs(1) {
            self.now.fraction -= Duration::from_secs(1);
            self.now.unix = self.now.unix.plus(1);
        }
    }
}

impl Io for Pipe {
    type Socket = ();

    fn read(&mut self, (): &mut (), buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.sent.len();
        buffer[..count].copy_from_slice(&self.sent);
        self.sent.clear();
        Ok(count)
    }

    fn write(&mut self, (): &mut (), slices: &[IoSlice<'_>], then: Then) -> io::Result<usize> {
        let count = black_box(slices).iter().map(|slice| slice.len()).sum();
        black_box(then);
        self.written_bytes += count;
        Ok(count)
    }

    fn accept(&mut self, _: usize) -> Accept<()> {
        if !std::mem::take(&mut self.is_waiting) {
            return Accept::Nobody;
        }
        Accept::Connection {
            socket: (),
            peer: Peer {
                address: Some(IpAddr::V4(Ipv4Addr::LOCALHOST)),
                port: 40_000,
                user: None,
            },
            is_more: false,
        }
    }

    fn shed(&mut self, _: usize) -> Shed {
        Shed::Nobody
    }

    fn watch(&mut self, (): &mut (), id: ConnectionId) -> io::Result<()> {
        self.accepted = Some(id);
        Ok(())
    }

    fn discard(&mut self, (): &mut ()) -> bool {
        true
    }

    fn shut(&mut self, (): &mut ()) -> io::Result<()> {
        self.shut += 1;
        Ok(())
    }

    fn close(&mut self, (): (), _: bool) {
        self.closed += 1;
    }

    fn reset(&mut self, (): ()) {
        self.closed += 1;
    }
}

/// The defaults, without the bounds that a flood from one address or user would meet.
fn config() -> Config {
    let mut config = Config::default();
    config.frame_rate.count = 0;
    config.connect_rate.count = 0;
    config.broadcast_rate.count = 0;
    config.delivery_rate.count = 0;
    config.connections_per_address_max = 0;
    config.pending_per_address_max = 0;
    config.ban_after = 0;
    config
}

fn store(users: &[String]) -> MemoryStore {
    let mut store = MemoryStore::new();
    for id in users.iter().map(String::as_str).chain([ASKED]) {
        let user = User::new(id, NAME, None, CREATED_AT);
        store.add(&user.expect("the users are sound"));
    }
    store
}
