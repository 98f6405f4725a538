//! The whole core without sockets: turns as the driver has them.

use std::hint::black_box;
use std::io::IoSlice;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use framegate::app::Events;
use framegate::app::users::{MemoryStore, User, Users};
use framegate::config::Config;
use framegate::server::{ConnectionId, Ending, FlushesLeft, Peer, Reading, SLICES_MAX, Server};
use framegate::time::{Instant, Now};

use crate::subject::{self, ASKED, CREATED_AT, HEAD, NAME, NOW};

/// How long a turn takes, by the clocks that the core is told of.
const TURN: Duration = Duration::from_micros(10);

pub struct Core {
    server: Server,
    now: Now,
}

impl Core {
    /// A server of `users` and whoever is asked about, without connections.
    pub fn new(users: &[String]) -> Core {
        let server = Server::new(
            config(),
            subject::gate(),
            subject::signer(),
            Users::new(Box::new(store(users))),
            Events::builtin(),
            7,
        );
        Core {
            server,
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
        self.turn(id, &mut head.into_bytes());
        assert!(self.server.is_member(id));
        id
    }

    /// One read of one connection and all that comes of it. Returns how many bytes are written.
    pub fn turn(&mut self, id: ConnectionId, bytes: &mut [u8]) -> usize {
        self.pass_time();
        let reading = self.server.receive(self.now, id, bytes);
        assert_eq!(reading, Reading::On);
        let written_bytes = self.end_turn();
        assert_eq!(self.server.next_ending(), None);
        written_bytes
    }

    /// A stranger who comes, upgrades by `head`, sends a `forgery`, is refused and goes.
    pub fn visit(&mut self, head: &mut [u8], forgery: &mut [u8]) {
        let id = self.accept();
        self.turn(id, head);
        self.pass_time();
        let reading = self.server.receive(self.now, id, forgery);
        assert_eq!(reading, Reading::Over);
        self.end_turn();
        assert_eq!(self.server.next_ending(), Some((id, Ending::Fin)));
        self.pass_time();
        self.server.finished(self.now, id);
        self.end_turn();
        assert_eq!(self.server.next_ending(), Some((id, Ending::Close)));
    }

    fn accept(&mut self) -> ConnectionId {
        let peer = Peer {
            address: Some(IpAddr::V4(Ipv4Addr::LOCALHOST)),
            port: 40_000,
            user: None,
        };
        self.server.accept(self.now, peer).expect("there is room")
    }

    /// What the driver does when everybody was read. Returns how many bytes are written.
    fn end_turn(&mut self) -> usize {
        self.server.tick(self.now);
        let written_bytes = self.write();
        while let Some(report) = self.server.next_report() {
            black_box(report);
        }
        black_box(self.server.next_deadline());
        written_bytes
    }

    fn write(&mut self) -> usize {
        let mut written_bytes = 0;
        let mut left = FlushesLeft {
            broadcasts: usize::MAX,
            pending: usize::MAX,
        };
        while let Some(id) = self.server.next_flush(self.now, &mut left) {
            let mut slices = [IoSlice::new(&[]); SLICES_MAX];
            let filled = self.server.gather(id, &mut slices);
            let lent = black_box(&slices[..filled]);
            let count = lent.iter().map(|slice| slice.len()).sum();
            self.server.wrote(self.now, id, count, false);
            written_bytes += count;
        }
        written_bytes
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
