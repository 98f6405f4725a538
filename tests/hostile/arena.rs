//! What a row is made of: how large it is, what it saw, and what did not hold. And the honest
//! people who are there while it runs.

use std::fmt::Display;
use std::net::{Ipv4Addr, SocketAddr};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::peer::Peer;
use crate::probe::Probe;
use crate::support::{Home, Server};

/// A row of the table.
pub(crate) struct Row {
    /// The name of `run`.
    pub(crate) name: &'static str,
    pub(crate) attack: &'static str,
    pub(crate) bound: &'static str,
    pub(crate) run: fn(&mut Arena),
}

/// How large an attack is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scale {
    /// For every run of the tests: fewer, and shorter.
    Quick,
    /// As large as the bound says.
    Full,
}

/// A row under way.
pub(crate) struct Arena {
    pub(crate) scale: Scale,
    /// What was seen.
    pub(crate) seen: Vec<String>,
    /// What does not hold; none of them when the row holds.
    pub(crate) faults: Vec<String>,
}

impl Arena {
    pub(crate) fn new(scale: Scale) -> Arena {
        Arena {
            scale,
            seen: Vec::new(),
            faults: Vec::new(),
        }
    }

    pub(crate) fn size<T>(&self, quick: T, full: T) -> T {
        match self.scale {
            Scale::Quick => quick,
            Scale::Full => full,
        }
    }

    pub(crate) fn saw(&mut self, what: impl Into<String>) {
        self.seen.push(what.into());
    }

    /// A bound of the row on a time. The table judges it as it is; the tests, which run on whatever
    /// machine beside whatever else, only that nothing stalls.
    pub(crate) fn must_be_within(&mut self, took: Duration, max: Duration, fault: &str) {
        let stall = self.size(Duration::from_secs(5), Duration::ZERO);
        self.must(took <= max + stall, fault);
    }

    /// Has the kernel run the server, and everybody honest on this stage, ahead of the thousands that
    /// this process plays on the same processors. So a bound on how long others wait is one on what
    /// the server makes them wait for. Only the table does this.
    pub(crate) fn run_first(&mut self, stage: &mut Stage) {
        if self.scale == Scale::Quick {
            return;
        }
        stage.runs_first = run_ahead(SERVER_PRIORITY, &stage.server.process());
        if !stage.runs_first {
            self.saw("chrt(1) was refused: others waited for a processor, too");
        }
    }

    /// A bound of the row.
    pub(crate) fn must(&mut self, holds: bool, fault: impl Into<String>) {
        if !holds {
            self.faults.push(fault.into());
        }
    }
}

/// Those who ask come ahead of the server, which has more to do than to answer them.
const HONEST_PRIORITY: u32 = 2;
const SERVER_PRIORITY: u32 = 1;

/// Has the kernel run a process or a thread ahead of all ordinary ones. False where it may not.
fn run_ahead(priority: u32, id: &dyn Display) -> bool {
    let mut chrt = Command::new("chrt");
    chrt.args(["--fifo", "--all-tasks", "--pid"]);
    chrt.args([priority.to_string(), id.to_string()]);
    let status = chrt.stdout(Stdio::null()).stderr(Stdio::null()).status();
    status.is_ok_and(|status| status.success())
}

/// As [`run_ahead`], of the thread that asks.
fn run_this_ahead(priority: u32) {
    let link = std::fs::read_link("/proc/thread-self").unwrap_or_default();
    let id = link.file_name().unwrap_or_default();
    assert!(run_ahead(priority, &id.display()), "chrt(1) is refused now");
}

/// A server with alice and bob, and settings of the row's own.
pub(crate) struct Stage {
    pub(crate) server: Server,
    pub(crate) probe: Probe,
    pub(crate) token: String,
    pub(crate) home: Home,
    /// True after [`Arena::run_first`], where the kernel allows it.
    runs_first: bool,
}

impl Stage {
    pub(crate) fn new(arguments: &[&str]) -> Stage {
        Stage::with_users(&["alice", "bob"], arguments)
    }

    pub(crate) fn with_users(users: &[&str], arguments: &[&str]) -> Stage {
        let home = Home::with_users(users);
        let server = home.serve(arguments);
        Stage::of(home, server)
    }

    pub(crate) fn of(home: Home, server: Server) -> Stage {
        Stage {
            probe: Probe(server.process()),
            token: home.token("alice"),
            server,
            home,
            runs_first: false,
        }
    }

    /// Somebody honest, whom no attack is meant to hurt: calls of bob's.
    pub(crate) fn bob(&self) -> Honest {
        let token = self.home.token("bob");
        let mut peer = Peer::open(HONEST, self.address(), Some(&token)).expect("an upgrade");
        let priority = self.runs_first.then_some(HONEST_PRIORITY);
        Honest::start_at(priority, move || peer.call(&token, "bob"))
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.server.address
    }

    pub(crate) fn connect(&self, from: Ipv4Addr) -> Peer {
        Peer::connect(from, self.address()).expect("a connection")
    }

    /// A WebSocket of nobody yet.
    pub(crate) fn stranger(&self, from: Ipv4Addr) -> Peer {
        Peer::open(from, self.address(), None).expect("an upgrade")
    }

    /// A WebSocket of alice.
    pub(crate) fn member(&self, from: Ipv4Addr) -> Peer {
        Peer::open(from, self.address(), Some(&self.token)).expect("an upgrade with a token")
    }

    /// Somebody honest on a connection of long ago.
    pub(crate) fn caller(&self) -> Honest {
        let mut peer = self.member(HONEST);
        let token = self.token.clone();
        Honest::start(move || peer.call(&token, "alice"))
    }

    /// Honest people who come, are served, and go.
    pub(crate) fn newcomers(&self) -> Honest {
        let (address, token) = (self.address(), self.token.clone());
        Honest::start(move || {
            let began = Instant::now();
            Peer::open(HONEST, address, Some(&token)).map(|_| began.elapsed())
        })
    }

    /// How long a newcomer with a token needs to be served, tries that fail included.
    pub(crate) fn newcomer(&self, patience: Duration) -> Option<Duration> {
        let began = Instant::now();
        while began.elapsed() < patience {
            let served = Peer::open(HONEST, self.address(), Some(&self.token))
                .and_then(|mut peer| peer.call(&self.token, "alice"));
            if served.is_ok() {
                return Some(began.elapsed());
            }
            thread::sleep(Duration::from_millis(5));
        }
        None
    }
}

/// Where honest people come from.
pub(crate) const HONEST: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 9);

/// How often they do what they do.
const HONEST_PAUSE: Duration = Duration::from_millis(12);

/// Somebody honest, on a thread of their own, until asked how it was.
pub(crate) struct Honest {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Latencies>,
}

impl Honest {
    pub(crate) fn start(act: impl FnMut() -> std::io::Result<Duration> + Send + 'static) -> Honest {
        Honest::start_at(None, act)
    }

    /// As [`Honest::start`], with the kernel's priority for what is to run ahead of others.
    fn start_at(
        priority: Option<u32>,
        mut act: impl FnMut() -> std::io::Result<Duration> + Send + 'static,
    ) -> Honest {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = thread::spawn(move || {
            let mut latencies = Latencies::default();
            if let Some(priority) = priority {
                run_this_ahead(priority);
            }
            while !stopped.load(Ordering::Relaxed) {
                latencies.add(act());
                thread::sleep(HONEST_PAUSE);
            }
            latencies
        });
        Honest { stop, thread }
    }

    pub(crate) fn stop(self) -> Latencies {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().expect("honest people do not panic")
    }
}

/// How long honest people waited.
#[derive(Debug, Default)]
pub(crate) struct Latencies {
    all: Vec<Duration>,
    /// How often they got nothing.
    pub(crate) lost: usize,
    /// What they were told the last time.
    pub(crate) error: String,
}

impl Latencies {
    pub(crate) fn add(&mut self, result: std::io::Result<Duration>) {
        match result {
            Ok(latency) => self.all.push(latency),
            Err(error) => {
                self.lost += 1;
                self.error = error.to_string();
            }
        }
    }

    pub(crate) fn merge(&mut self, other: Latencies) {
        self.all.extend(other.all);
        self.lost += other.lost;
        if other.lost > 0 {
            self.error = other.error;
        }
    }

    pub(crate) fn count(&self) -> usize {
        self.all.len()
    }

    /// The latency that so many of a hundred do not exceed.
    pub(crate) fn percentile(&self, percent: usize) -> Duration {
        let mut sorted = self.all.clone();
        sorted.sort_unstable();
        let rank = (sorted.len() * percent).div_ceil(100).max(1);
        sorted.get(rank - 1).copied().unwrap_or(Duration::MAX)
    }

    pub(crate) fn max(&self) -> Duration {
        self.percentile(100)
    }
}

/// Milliseconds, for the table.
pub(crate) fn millis(duration: Duration) -> String {
    let millis = duration.as_secs_f64() * 1_000.0;
    let decimals = if millis < 1.0 { 2 } else { 1 };
    format!("{millis:.decimals$} ms")
}

/// Whole KiB, for the table.
pub(crate) fn kib(bytes: usize) -> String {
    format!("{} KiB", bytes / 1_024)
}
