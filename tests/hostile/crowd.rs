//! Members by the hundred, each of them one of many users, who read what they are sent on one
//! thread: as it comes, or at the pace of a slow line.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use framegate::internals::gate::{ClaimRules, Keys, Secret, Signer};
use framegate::internals::time::UnixSeconds;
use rustix::buffer::spare_capacity;
use rustix::event::Timespec;
use rustix::event::epoll::{self, EventData, EventFlags};

use crate::arena::Stage;
use crate::peer::{BYTES_MAX, FIN, PING, PONG, Peer, TEXT, address, frame, text_frame};
use crate::support::{Home, text};

/// Connections of one user: as many as are allowed by default.
pub(crate) const CONNECTIONS_PER_USER: usize = 32;

const TTL_SECONDS: u64 = 3_600;

/// Signs with the secret of a home: quicker than a command for each of a thousand users.
pub(crate) struct Mint {
    signer: Signer,
}

impl Mint {
    pub(crate) fn of(home: &Home) -> Mint {
        let env = fs::read_to_string(home.path().join(".env")).expect("a home has one");
        let secret = env.trim().trim_start_matches("LOCAL_JWT_SECRET=");
        let keys = Keys::new(&Secret::parse(secret).expect("a secret"), None);
        Mint {
            signer: Signer::new(&keys, &ClaimRules::default(), TTL_SECONDS),
        }
    }

    pub(crate) fn token(&self, user: &str) -> String {
        self.dated(user, 0)
    }

    /// A token that ends at that second.
    pub(crate) fn ending(&self, user: &str, unix_seconds: u64) -> String {
        let minted = self
            .signer
            .mint(user, UnixSeconds(unix_seconds - TTL_SECONDS));
        minted.expect("a user has a name").token
    }

    /// A token dated so many seconds ahead.
    pub(crate) fn dated(&self, user: &str, ahead: u64) -> String {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let now = now.expect("it is after 1970").as_secs();
        let minted = self.signer.mint(user, UnixSeconds(now + ahead));
        minted.expect("a user has a name").token
    }
}

/// The name of user `number` of those whom [`stage_of`] adds.
pub(crate) fn user(number: usize) -> String {
    format!("m{number}")
}

/// A server with alice, bob and so many users more, none of whom has a password.
pub(crate) fn stage_of(users: usize, arguments: &[&str]) -> Stage {
    let home = Home::with_users(&["alice", "bob"]);
    add_users(&home, users);
    let server = home.serve(arguments);
    Stage::of(home, server)
}

pub(crate) fn add_users(home: &Home, users: usize) {
    let lines: String = (0..users)
        .map(|number| format!("{{\"id\":\"{0}\",\"name\":\"{0}\"}}\n", user(number)))
        .collect();
    let done = home.run_with(&["user", "import", "-"], &lines);
    assert!(done.status.success(), "{}", text(&done.stderr));
}

/// So many users as so many connections need.
pub(crate) const fn users_for(connections: usize) -> usize {
    connections.div_ceil(CONNECTIONS_PER_USER)
}

/// Opens so many connections of the users, each from an address of its own.
pub(crate) fn members(stage: &Stage, network: u8, count: usize) -> Vec<Peer> {
    let mint = Mint::of(&stage.home);
    let tokens: Vec<String> = (0..users_for(count))
        .map(|number| mint.token(&user(number)))
        .collect();
    let open = |number: usize| {
        let token = &tokens[number / CONNECTIONS_PER_USER];
        Peer::open(address(network, number), stage.address(), Some(token)).expect("a member")
    };
    (0..count).map(open).collect()
}

/// One who reads.
pub(crate) struct Listener {
    pub(crate) peer: Peer,
    /// Text messages heard.
    pub(crate) heard: usize,
    /// Of those, the ones that are no broadcasts.
    pub(crate) texts: Vec<String>,
    /// The code of a Close.
    pub(crate) close: Option<u16>,
    /// True once the connection has ended, in whatever way.
    pub(crate) is_gone: bool,
}

/// A socket tells when something more has come, not while there is something.
const READABLE: EventFlags = EventFlags::IN.union(EventFlags::ET);
const MOMENT: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 20_000_000,
};

/// Readers on a thread of their own, until asked how it was.
pub(crate) struct Crowd {
    stop: Arc<AtomicBool>,
    heard: Arc<AtomicUsize>,
    gone: Arc<AtomicUsize>,
    thread: JoinHandle<Vec<Listener>>,
}

impl Crowd {
    /// Each reads as soon as something comes.
    pub(crate) fn prompt(peers: Vec<Peer>) -> Crowd {
        Crowd::start(peers, |listeners, stop, note| {
            let epoll = epoll::create(epoll::CreateFlags::CLOEXEC).expect("an epoll");
            for (number, listener) in listeners.iter().enumerate() {
                let data = EventData::new_u64(number as u64);
                let added = epoll::add(&epoll, &listener.peer.stream, data, READABLE);
                added.expect("a socket can be watched");
            }
            let mut events = Vec::with_capacity(1_024);
            while !stop.load(Ordering::Relaxed) {
                events.clear();
                // A signal may end the wait: then there are no events.
                let _ = epoll::wait(&epoll, spare_capacity(&mut events), Some(&MOMENT));
                for event in &events {
                    note(&mut listeners[event.data.u64() as usize], BYTES_MAX);
                }
            }
        })
    }

    /// Each reads so many bytes a second, however much there is.
    pub(crate) fn paced(peers: Vec<Peer>, bytes_per_second: usize) -> Crowd {
        Crowd::start(peers, move |listeners, stop, note| {
            let (began, mut taken) = (Instant::now(), 0);
            while !stop.load(Ordering::Relaxed) {
                thread::sleep(Duration::from_millis(10));
                let due = began.elapsed().as_millis() as usize * bytes_per_second / 1_000;
                for listener in listeners.iter_mut() {
                    note(listener, due - taken);
                }
                taken = due;
            }
        })
    }

    fn start(
        peers: Vec<Peer>,
        read: impl FnOnce(&mut [Listener], &AtomicBool, &dyn Fn(&mut Listener, usize)) + Send + 'static,
    ) -> Crowd {
        let stop = Arc::new(AtomicBool::new(false));
        let heard = Arc::new(AtomicUsize::new(0));
        let gone = Arc::new(AtomicUsize::new(0));
        let (stopped, all_heard, all_gone) = (stop.clone(), Arc::clone(&heard), Arc::clone(&gone));
        let mut listeners: Vec<Listener> = peers.into_iter().map(Listener::new).collect();
        let thread = thread::spawn(move || {
            let note = |listener: &mut Listener, bytes: usize| {
                if !listener.is_gone {
                    all_heard.fetch_add(listener.read(bytes), Ordering::Relaxed);
                    all_gone.fetch_add(usize::from(listener.is_gone), Ordering::Relaxed);
                }
            };
            read(&mut listeners, &stopped, &note);
            listeners
        });
        Crowd {
            stop,
            heard,
            gone,
            thread,
        }
    }

    /// Messages that all of them heard.
    pub(crate) fn heard(&self) -> usize {
        self.heard.load(Ordering::Relaxed)
    }

    /// How many have been put out.
    pub(crate) fn gone(&self) -> usize {
        self.gone.load(Ordering::Relaxed)
    }

    /// Waits until they heard so many messages, or nothing more has come for a second.
    pub(crate) fn wait_for(&self, messages: usize) {
        let (mut before, mut since) = (self.heard(), Instant::now());
        while self.heard() < messages && since.elapsed() < Duration::from_secs(1) {
            thread::sleep(Duration::from_millis(5));
            if self.heard() != before {
                (before, since) = (self.heard(), Instant::now());
            }
        }
    }

    pub(crate) fn stop(self) -> Vec<Listener> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().expect("readers do not panic")
    }
}

impl Listener {
    fn new(peer: Peer) -> Listener {
        peer.stream.set_nonblocking(true).expect("a socket");
        Listener {
            peer,
            heard: 0,
            texts: Vec::new(),
            close: None,
            is_gone: false,
        }
    }

    /// Reads what there is, of it at most so much; returns how many messages that made whole.
    fn read(&mut self, bytes_max: usize) -> usize {
        let (frames, is_gone) = self.peer.take_up_to(bytes_max);
        self.is_gone = is_gone;
        let mut heard = 0;
        for next in frames {
            match next.opcode {
                TEXT if next.payload.starts_with(br#"{"event":"message","from""#) => heard += 1,
                TEXT => self.texts.push(next.text()),
                PING => drop(self.peer.send(&frame(FIN | PONG, &next.payload))),
                _ => self.close = self.close.or(next.close_code()),
            }
        }
        self.heard += heard;
        heard
    }
}

/// A tiny broadcast: the cheapest there is.
pub(crate) fn tiny(token: &str) -> Vec<u8> {
    text_frame(&format!(
        r#"{{"token":"{token}","event":"message","data":1}}"#
    ))
}

/// A `message` of about so many bytes, to everybody or to one, with an `id` of its own.
pub(crate) fn long(token: &str, bytes: usize, id: usize, to: Option<&str>) -> Vec<u8> {
    let to = to.map(|to| format!(r#","to":"{to}""#)).unwrap_or_default();
    let begin = format!(r#"{{"token":"{token}","event":"message","id":{id}{to},"data":""#);
    let filler = "x".repeat(bytes - begin.len() - 2);
    text_frame(&format!("{begin}{filler}\"}}"))
}
