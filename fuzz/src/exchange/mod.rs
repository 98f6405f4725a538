//! The whole server with standard input as its network: peers whose every byte and pause comes from a
//! script, a clock that is driven, users in memory, and a secret that everybody knows.
//!
//! Promises that the same script comes to the same transcript, byte for byte, and that the core counts
//! itself right after every record. Refuses to be kind: tokens are verified as anywhere else.

mod clocks;
mod notation;
mod recorded;
mod script;
mod setting;
mod sockets;
mod states;
mod transcript;

use std::cell::Cell;
use std::fmt::Write;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::OnceLock;
use std::time::Duration;

use framegate::internals::app::Events;
use framegate::internals::app::password::{AddressSpace, hash};
use framegate::internals::app::users::{MemoryStore, User, UserStore};
use framegate::internals::config::Config;
use framegate::internals::gate::{Keys, REPLAY_SECRET, ReplayTokens, Signer};
use framegate::internals::limits::PASSWORD_MEMORY_KIB_MIN;
use framegate::internals::record::Recorded;
use framegate::internals::server::{
    Input, Output, Peer, Server, StoreJob, StoreOutcome, claim_rules,
};
use framegate::internals::time::{Instant, Now, UnixSeconds};
use framegate::internals::turn::{Readiness, Turn};

use clocks::Clocks;
pub use notation::{UPGRADE, compose};
pub use recorded::recorded;
use script::bytes_left;
pub use script::{
    Leaving, MAGIC, PEERS, RECORDS_MAX, Record, records, setting, write_record, write_setting,
};
pub use setting::Known;
use setting::{Setting, unread};
use sockets::{Socket, Sockets};
use states::LastCauses;
pub use states::{STATES, State};
use transcript::Transcript;

/// The secret that signs and verifies: that of every replay, so that the tokens of a recording are good.
pub const SECRET: &[u8] = REPLAY_SECRET;
/// The users, in whose name a token may be made. The password of each is `password of ` and the id.
pub const USERS: [&str; 3] = ["alice", "bob", "carol"];
/// The wall clock when a script begins.
pub const START: UnixSeconds = UnixSeconds(1_800_000_000);
/// How long a token of [`token`] is good, in seconds: longer than any script lasts.
const TOKEN_TTL_SECONDS: u64 = 10 * 365 * 86_400;

/// Turns of a record at the most, beside one for each of its bytes: what has not come to rest by then
/// never does.
const TURNS_MAX: usize = 100_000;
/// Within this time after a script's end every connection is to have ended.
const LAST_WORDS: Duration = Duration::from_secs(120);

thread_local! {
    /// The turn of the script before: its read buffer takes longer to make than most scripts take.
    static SPARE: Cell<Option<Turn<Sockets>>> = const { Cell::new(None) };
}

/// Makes what is made once in a process: the users' hashes, and the turn that is left for the next script.
/// A fuzzer that counts edges would take them for the work of its first input.
pub fn begin() {
    exchange(UPGRADE);
}

/// The target: plays a script's first [`RECORDS_MAX`] records, and asserts what [`play`] does.
pub fn exchange(script: &[u8]) {
    exchange_by_states(script, |_| {});
}

/// As [`exchange`]; tells of every state that a connection is in after a record.
pub fn exchange_by_states(script: &[u8], mut told: impl FnMut(State)) {
    let mut world = World::new(script);
    for record in records(script).take(RECORDS_MAX) {
        world.play(&record);
        world.states().for_each(&mut told);
    }
    world.leave();
}

/// Plays a script. Returns what every peer heard, a line each, and a last line on the server's state.
///
/// # Panics
/// When the core does not count itself right, does not come to rest, or keeps a connection though every
/// peer has left.
pub fn play(script: &[u8]) -> String {
    let mut world = World::new(script);
    for record in records(script) {
        world.play(&record);
    }
    let heard = std::mem::take(&mut world.transcript.text) + &world.state();
    world.leave();
    heard
}

/// What [`play`] passes over in a script, in one line; `None` where it plays all.
pub fn unplayed(script: &[u8]) -> Option<String> {
    let left = match bytes_left(script) {
        0 => None,
        left => Some(format!(
            "it ends with {left} of the 6 bytes that a record begins with"
        )),
    };
    let unread = setting(script).and_then(|text| unread(&text));
    let all = [unread, left].into_iter().flatten().collect::<Vec<_>>();
    (!all.is_empty()).then(|| all.join("; "))
}

/// A token that the server of [`play`] takes; `None` when `user` is no id.
pub fn token(user: &str) -> Option<String> {
    let config = config();
    let signer = Signer::new(&keys(), &claim_rules(&config), TOKEN_TTL_SECONDS);
    Some(signer.mint(user, START).ok()?.token)
}

fn config() -> Config {
    let mut config = Config::default();
    config.password_memory_kib = PASSWORD_MEMORY_KIB_MIN;
    config
}

struct World {
    turn: Turn<Sockets>,
    sockets: Sockets,
    store: MemoryStore,
    clocks: Clocks,
    now: Now,
    /// Who each peer is.
    who: [Peer; PEERS as usize],
    /// The last connection of each peer, if it had one.
    peers: [Option<Socket>; PEERS as usize],
    transcript: Transcript,
    last_causes: LastCauses,
    turns_left: usize,
}

impl World {
    fn new(script: &[u8]) -> World {
        World::of(script, |users| {
            Server::build(config(), keys(), users, Events::builtin(), 1).into()
        })
    }

    /// The world of a script, with a server of one's own.
    fn of(script: &[u8], server: impl FnOnce(Box<dyn UserStore>) -> Recorded) -> World {
        let setting = Setting::read(setting(script).as_deref());
        let mut store = MemoryStore::new();
        for user in &setting.users {
            store.add(user);
        }
        let server = server(Box::new(store.connect()));
        let turn = match SPARE.take() {
            Some(turn) => turn.renewed(server, 1),
            None => Turn::new(server, 1),
        };
        World {
            turn,
            sockets: Sockets::default(),
            store,
            now: setting.clocks.start(),
            clocks: setting.clocks,
            who: setting.who,
            peers: Default::default(),
            transcript: Transcript::default(),
            last_causes: LastCauses::default(),
            turns_left: TURNS_MAX,
        }
    }

    /// Time passes, a peer sends, and the server comes to rest.
    fn play(&mut self, record: &Record<'_>) {
        self.turns_left = TURNS_MAX + record.bytes.len();
        self.pass(record.pause);
        if !record.is_pause {
            self.send(record);
        }
        let audit = self.turn.core.audit();
        assert_eq!(audit, Ok(()));
    }

    fn send(&mut self, record: &Record<'_>) {
        let socket = self.connection(record);
        socket.borrow_mut().sent.extend(record.bytes);
        if let Some(hears) = record.hears {
            socket.borrow_mut().is_deaf = !hears;
        }
        match record.leaving {
            Some(Leaving::Fin) => socket.borrow_mut().has_finished = true,
            Some(Leaving::Reset) => socket.borrow_mut().is_reset = true,
            None => {}
        }
        self.tell(&socket);
        self.settle();
    }

    /// The connection that a record is of. Its peer comes anew if it has none, or had one that has ended,
    /// or has bytes to send after its FIN.
    fn connection(&mut self, record: &Record<'_>) -> Socket {
        let index = usize::from(record.peer);
        if let Some(socket) = &self.peers[index]
            && !socket.borrow().is_gone()
            && !socket.borrow().is_reset
            && (!socket.borrow().has_finished || record.bytes.is_empty())
        {
            return Rc::clone(socket);
        }
        let socket = Socket::default();
        let peer = self.who[index];
        self.sockets.coming.push_back((Rc::clone(&socket), peer));
        self.peers[index] = Some(Rc::clone(&socket));
        self.transcript.begin(index);
        self.turn.listener_ready(0);
        self.settle();
        socket
    }

    fn tell(&mut self, socket: &Socket) {
        let (id, readiness) = {
            let end = socket.borrow();
            let readiness = Readiness {
                readable: true,
                writable: !end.is_deaf,
                peer_finished: end.has_finished,
                has_failed: end.is_reset,
                ..Readiness::default()
            };
            (end.id.filter(|_| !end.is_gone()), readiness)
        };
        if let Some(id) = id {
            let (turn, slot) = (&mut self.turn, id.slot as usize);
            turn.connection_ready(self.now, &mut self.sockets, slot, readiness);
        }
    }

    /// Lets time pass, with a turn at each deadline.
    fn pass(&mut self, time: Duration) {
        let until = self.now.monotonic + time;
        while let Some(at) = self.next_at().filter(|at| *at < until)
            && self.turns_left > 0
        {
            self.now = self.clocks.at(at.max(self.now.monotonic));
            self.turn();
        }
        self.now = self.clocks.at(until);
        self.settle();
    }

    /// When the next turn is due, or the wall clock is set.
    fn next_at(&self) -> Option<Instant> {
        let times = [
            self.turn.next_at(),
            self.clocks.next_step(self.now.monotonic),
        ];
        times.into_iter().flatten().min()
    }

    /// As many turns as there is work for now.
    fn settle(&mut self) {
        self.turn();
        while self
            .turn
            .next_at()
            .is_some_and(|at| at <= self.now.monotonic)
        {
            self.turn();
        }
    }

    /// One turn, and what comes of it.
    fn turn(&mut self) {
        assert!(self.turns_left > 0, "the server does not come to rest");
        self.turns_left -= 1;
        self.turn.run(self.now, &mut self.sockets);
        while let Some(output) = self.turn.core.poll(self.now) {
            match output {
                Output::Hash(job) => {
                    let outcome = job.run(AddressSpace::Limited);
                    self.turn.core.handle(self.now, Input::Hashed(outcome));
                }
                Output::Store(job) => self.write_to_store(job),
                Output::Report(report) => self.last_causes.note(&self.who, &report),
                Output::Summary(_) | Output::StoreNews(_) => {}
            }
        }
        for (index, socket) in self.peers.iter().enumerate() {
            if let Some(socket) = socket {
                self.transcript.hear(index, &mut socket.borrow_mut());
            }
        }
    }

    fn write_to_store(&mut self, job: StoreJob) {
        let now = self.now.unix;
        match job {
            StoreJob::Seen(second) => _ = self.store.write(&[], Some(second), &|| now),
            StoreJob::Revoke(ticket, revocation) => {
                let is_kept = self.store.write(&[revocation], None, &|| now).is_ok();
                let outcome = StoreOutcome { ticket, is_kept };
                self.turn.core.handle(self.now, Input::Kept(outcome));
            }
        }
    }

    /// One line on how the server stands.
    fn state(&self) -> String {
        let totals = self.turn.core.totals();
        let mut line = format!(
            "state connections={} pending={} members={} held_bytes={} verifications={}",
            totals.connections,
            totals.pending,
            totals.members,
            totals.held_bytes,
            self.turn.core.verifications()
        );
        for (reason, count) in &totals.refused {
            // To write to a string cannot fail.
            _ = write!(line, " {reason}={count}");
        }
        line + "\n"
    }

    /// How the connections stand that there are.
    fn states(&self) -> impl Iterator<Item = State> {
        self.peers.iter().enumerate().filter_map(|(index, socket)| {
            let id = socket.as_ref()?.borrow().id?;
            let standing = self.turn.core.standing(id)?;
            Some(State::new(standing, self.last_causes.of(index)))
        })
    }

    /// Every peer resets what it has, and nothing is left.
    fn leave(&mut self) {
        self.turns_left = TURNS_MAX;
        for socket in self.peers.clone().into_iter().flatten() {
            socket.borrow_mut().is_reset = true;
            self.tell(&socket);
        }
        self.settle();
        // Most are gone at once, and two minutes in which nothing happens are a thousand turns.
        if self.turn.core.connections() > 0 || self.turn.core.held_bytes() > 0 {
            self.pass(LAST_WORDS);
        }
        assert_eq!(self.turn.core.connections(), 0, "a connection is left");
        assert_eq!(self.turn.core.held_bytes(), 0, "bytes are left");
    }
}

/// Who the peers are, where the setting says nothing of them.
fn usual_peer(number: u8) -> Peer {
    Peer::from(SocketAddr::from(([192, 0, 2, number + 1], 49_152)))
}

fn keys() -> Keys {
    ReplayTokens::keys()
}

/// The users, whose passwords are hashed once: that takes longer than most scripts take.
fn users() -> &'static [User] {
    static ALL: OnceLock<Vec<User>> = OnceLock::new();
    ALL.get_or_init(|| {
        let all = USERS.iter().enumerate().filter_map(|(number, id)| {
            let password = format!("password of {id}");
            let hash = hash(&password, [number as u8; 16], PASSWORD_MEMORY_KIB_MIN).ok();
            User::new(id, id, hash, UnixSeconds(1)).ok()
        });
        all.collect()
    })
}

#[cfg(test)]
mod tests;
