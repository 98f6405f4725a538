//! Rows "Connections and resources".

use std::net::TcpStream;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Resource, Rlimit, prlimit};

use crate::arena::{Arena, HONEST, Row, Stage, kib, millis};
use crate::peer::{self, CLOSE, End, FIN, Frame, Peer, address, frame, upgrade_head};
use crate::probe::Probe;
use crate::support::{Home, Server};

pub(crate) const ROWS: &[Row] = &[
    Row {
        name: "connects_at_a_cap",
        attack: "5,000 connects at a cap of 1,000",
        bound: "<= 1,000 at every sample, honest login <= 1 s afterwards",
        run: connects_at_a_cap,
    },
    Row {
        name: "few_descriptors",
        attack: "RLIMIT_NOFILE=64 and 200 clients",
        bound: "no exit, < 20 % of a core, <= 1 log line/s, members notice nothing, newcomers <= 1 s \
                after",
        run: few_descriptors,
    },
    Row {
        name: "no_descriptors",
        attack: "descriptors taken away while it runs (EMFILE), 200 clients",
        bound: "the same",
        run: no_descriptors,
    },
    Row {
        name: "connects_at_once",
        attack: "5,000 connects at once, the server asleep",
        bound: "the kernel completes >= 1,024; all answered once it wakes",
        run: connects_at_once,
    },
    Row {
        name: "reset_storm",
        attack: "reset storm, 20,000 half handshakes",
        bound: "flat descriptors and memory",
        run: reset_storm,
    },
    Row {
        name: "coming_and_going",
        attack: "1,000 idle; 200 connections a second, a third failing",
        bound: "descriptors, memory, log flat; opened - closed = live",
        run: coming_and_going,
    },
    Row {
        name: "bans",
        attack: "hostile addresses with bans on",
        bound: "only resets past BAN_AFTER; NO_BAN and others unaffected",
        run: bans,
    },
    Row {
        name: "stopping",
        attack: "SIGTERM with 1,000 connections",
        bound: "Close 1001 to all, exit 0 <= 5 s",
        run: stopping,
    },
];

/// Counts descriptors again and again; returns the most and how often it looked.
struct Sampler {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<(usize, usize)>,
}

impl Sampler {
    fn start(probe: Probe) -> Sampler {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = thread::spawn(move || {
            let (mut most, mut looks) = (0, 0);
            while !stopped.load(Ordering::Relaxed) {
                most = most.max(probe.descriptors());
                looks += 1;
            }
            (most, looks)
        });
        Sampler { stop, thread }
    }

    fn stop(self) -> (usize, usize) {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().expect("it only looks")
    }
}

fn connects_at_a_cap(arena: &mut Arena) {
    let count = arena.size(1_000, 5_000);
    let cap: usize = arena.size(200, 1_000);
    let setting = cap.to_string();
    let settings = [
        "--max-connections",
        setting.as_str(),
        "--log-rate",
        "10/s",
        "--max-connections-per-user",
        "0",
    ];
    let stage = Stage::new(&settings);
    let base = stage.probe.descriptors();
    let mut members: Vec<Peer> = (0..cap / 2).map(|n| stage.member(address(1, n))).collect();
    let sampler = Sampler::start(stage.probe);
    let strangers: Vec<TcpStream> = (0..count)
        .filter_map(|n| peer::begin_connect(address(2, n / 50), stage.address()).ok())
        .collect();
    thread::sleep(Duration::from_millis(500));
    let (most, looks) = sampler.stop();
    let entered = stage.newcomer(Duration::from_secs(5));
    let token = stage.token.clone();
    let kept = members
        .iter_mut()
        .filter_map(|peer| peer.call(&token, "alice").ok())
        .count();
    arena.saw(format!(
        "{} connects beside {} members: <= {} live in {looks} samples; {kept} members kept; honest \
         in after {}",
        strangers.len(),
        cap / 2,
        most - base,
        entered.map_or("never".to_owned(), millis)
    ));
    // The newcomer for whom somebody goes has its descriptor first.
    arena.must(most - base <= cap + 1, "more than the cap");
    arena.must(looks > 5, "too few samples to tell");
    arena.must(kept == cap / 2, "members were put out");
    arena.must_be_within(
        entered.unwrap_or(Duration::MAX),
        Duration::from_secs(1),
        "honest not in time",
    );
}

fn few_descriptors(arena: &mut Arena) {
    let home = Home::with_users(&["alice", "bob"]);
    let serve = home.command(&["serve", "--listen", "127.0.0.1:0"]);
    let mut command = Command::new("prlimit");
    command
        .arg("--nofile=64")
        .arg(serve.get_program())
        .args(serve.get_args());
    command.current_dir(home.path());
    let server = Server::start(command);
    let stage = Stage::of(home, server);
    want_of_descriptors(arena, stage, |_| {});
}

fn no_descriptors(arena: &mut Arena) {
    let stage = Stage::new(&[]);
    want_of_descriptors(arena, stage, |probe| {
        // A few more than are open: those who get in keep the others out until they go.
        let limit = Some(probe.descriptor_limit_with_room(4));
        let new = Rlimit {
            current: limit,
            maximum: Some(64),
        };
        let process = i32::try_from(probe.0).ok().and_then(Pid::from_raw);
        prlimit(process, Resource::Nofile, new).expect("a limit can be lowered");
    });
}

fn want_of_descriptors(arena: &mut Arena, mut stage: Stage, begin: fn(Probe)) {
    let mut members: Vec<Peer> = (0..10).map(|n| stage.member(address(1, n))).collect();
    let member = stage.caller();
    thread::sleep(Duration::from_millis(50));
    begin(stage.probe);
    let mut clients: Vec<TcpStream> = (0..200)
        .filter_map(|n| peer::begin_connect(address(2, n), stage.address()).ok())
        .collect();
    let (cpu, began) = (stage.probe.cpu(), Instant::now());
    let end = arena.size(Duration::from_secs(2), Duration::from_secs(5));
    while began.elapsed() < end {
        thread::sleep(Duration::from_millis(1_000));
        // Whoever was thrown out comes again.
        for (number, client) in clients.iter_mut().enumerate() {
            if peer::is_gone(client)
                && let Ok(again) = peer::begin_connect(address(2, number), stage.address())
            {
                *client = again;
            }
        }
    }
    let share = stage.probe.cpu().since(cpu).total().as_secs_f64() / began.elapsed().as_secs_f64();
    let log = stage.server.log_so_far();
    drop(clients);
    let entered = stage.newcomer(Duration::from_secs(5));
    let latencies = member.stop();
    let token = stage.token.clone();
    let kept = members
        .iter_mut()
        .filter_map(|peer| peer.call(&token, "alice").ok())
        .count();
    arena.saw(format!(
        "{:.0} % of a core; {} log lines in {} s; {} calls of a member, {} lost, p99 {}; newcomer \
         in after {}",
        share * 100.0,
        log.len(),
        end.as_secs(),
        latencies.count(),
        latencies.lost,
        millis(latencies.percentile(99)),
        entered.map_or("never".to_owned(), millis)
    ));
    arena.must(stage.probe.is_alive(), "it ended");
    arena.must(share < 0.2, "it spins");
    arena.must(
        log.len() <= end.as_secs() as usize,
        "more than a line a second",
    );
    arena.must(latencies.lost == 0 && kept == 10, "members noticed");
    arena.must_be_within(
        entered.unwrap_or(Duration::MAX),
        Duration::from_secs(1),
        "newcomer not in time",
    );
}

fn connects_at_once(arena: &mut Arena) {
    let count = arena.size(2_000, 5_000);
    let stage = Stage::new(&["--max-pending", "6000"]);
    stage.server.signal("-STOP");
    let clients: Vec<TcpStream> = (0..count)
        .filter_map(|n| peer::begin_connect(address(2, n / 50), stage.address()).ok())
        .collect();
    let established = |client: &&TcpStream| client.peer_addr().is_ok();
    let asleep = clients.iter().filter(established).count();
    stage.server.signal("-CONT");
    let woke = Instant::now();
    let mut all = 0;
    // A SYN that found the queue full comes again after 1 s, 3 s.
    while all < clients.len() && woke.elapsed() < Duration::from_secs(8) {
        thread::sleep(Duration::from_millis(20));
        all = clients.iter().filter(established).count();
    }
    arena.saw(format!(
        "{} connects: {asleep} complete while it sleeps, {all} within {} of its waking",
        clients.len(),
        millis(woke.elapsed())
    ));
    arena.must(clients.len() == count, "not all could be begun");
    arena.must(asleep >= 1_024, "the backlog is short");
    arena.must(all == count, "some were never answered");
    let entered = stage.newcomer(Duration::from_secs(5));
    arena.must_be_within(
        entered.unwrap_or(Duration::MAX),
        Duration::from_secs(1),
        "honest not in time",
    );
}

fn reset_storm(arena: &mut Arena) {
    let count = arena.size(2_000, 20_000);
    let stage = Stage::new(&[]);
    let head = upgrade_head("");
    let half = &head.as_bytes()[..head.len() / 2];
    let storm = |range: std::ops::Range<usize>| {
        for number in range {
            let from = address((number / 50_000) as u8 + 1, number % 10_000);
            let mut peer = Peer::new(match peer::begin_connect(from, stage.address()) {
                Ok(stream) => stream,
                Err(_) => continue,
            });
            let _ = peer.send(half);
            peer::reset(peer.stream);
        }
    };
    let base = stage.probe.descriptors();
    storm(0..1_000);
    stage
        .probe
        .wait_for_descriptors(base, Duration::from_secs(2));
    let before = stage.probe.resident_bytes();
    let others = stage.caller();
    storm(1_000..1_000 + count);
    let others = others.stop();
    let freed = stage
        .probe
        .wait_for_descriptors(base, Duration::from_secs(2));
    let growth = stage.probe.resident_bytes().saturating_sub(before);
    arena.saw(format!(
        "{count}: descriptors {base} -> {}, RSS +{}; a member's calls p99 {}",
        stage.probe.descriptors(),
        kib(growth),
        millis(others.percentile(99))
    ));
    arena.must(freed.is_some(), "descriptors did not come back");
    arena.must(growth < 1_024 * 1_024, "memory grew");
    arena.must(others.lost == 0, "a member lost calls");
}

fn coming_and_going(arena: &mut Arena) {
    let idle = arena.size(200, 1_000);
    let seconds = arena.size(2, 10);
    let mut stage = Stage::new(&["--login-rate", "0/s", "--max-connections-per-user", "0"]);
    let base = stage.probe.descriptors();
    let mut members: Vec<Peer> = (0..idle).map(|n| stage.member(address(1, n))).collect();
    let begin = stage.probe.descriptors();
    stage.server.log_so_far();
    let mut resident = 0;
    let began = Instant::now();
    let mut opened = 0;
    while opened < 200 * seconds {
        for kind in 0..20 {
            let from = address(2, (opened + kind) % 10_000);
            let mut peer = stage.connect(from);
            match kind % 3 {
                // A third fails: half of them before the upgrade, half behind it.
                0 if kind % 2 == 0 => drop(peer.send(b"\x16\x03\x01")),
                0 => drop(peer.upgrade(None).and_then(|()| peer.text("no JSON"))),
                1 => drop(peer.upgrade(Some(&stage.token))),
                _ => drop(peer.send(b"GET /health HTTP/1.1\r\nHost: h\r\n\r\n")),
            }
        }
        opened += 20;
        if opened == 200 {
            resident = stage.probe.resident_bytes();
        }
        let due = Duration::from_millis(5 * opened as u64);
        thread::sleep(due.saturating_sub(began.elapsed()));
    }
    let settled = stage
        .probe
        .wait_for_descriptors(begin, Duration::from_secs(2));
    let live = stage.probe.descriptors() - base;
    let growth = stage.probe.resident_bytes().saturating_sub(resident);
    let lines = stage.server.log_until_quiet().len();
    arena.saw(format!(
        "{opened} came in {:.1} s: live {live} of {idle}, RSS +{}, {lines} log lines",
        began.elapsed().as_secs_f64(),
        kib(growth)
    ));
    arena.must(
        settled.is_some() && live == idle,
        "opened - closed is not what is live",
    );
    arena.must(growth < 1_024 * 1_024, "memory grew");
    arena.must(lines <= 100 * (seconds + 2), "more lines than LOG_RATE");
    let token = stage.token.clone();
    let kept = members
        .iter_mut()
        .filter_map(|peer| peer.call(&token, "alice").ok())
        .count();
    arena.must(kept == idle, format!("only {kept} are still served"));
}

fn bans(arena: &mut Arena) {
    let mut stage = Stage::new(&["--no-ban", "127.0.0.64/26"]);
    let forged = stage.token.replace('.', ".x");
    let attack = |from: std::net::Ipv4Addr| {
        (0..30)
            .filter(|_| Peer::open(from, stage.address(), Some(&forged)).is_err())
            .count();
        (0..50)
            .filter(|_| {
                let Ok(mut peer) = Peer::connect(from, stage.address()) else {
                    return true;
                };
                // What may be answered is answered, and ends. The first call after a reset
                // learns of it.
                let sent = peer.send(b"GET /health HTTP/1.1\r\nHost: h\r\n\r\n");
                let (text, end) = peer.rest();
                text.is_empty() && (sent.is_err() || end == End::Reset)
            })
            .count()
    };
    let resets = attack(address(1, 0));
    let pardoned = attack(std::net::Ipv4Addr::new(127, 0, 0, 65));
    let other = stage.newcomer(Duration::from_secs(1));
    let line = stage.server.wait_for_log("banned address=");
    arena.saw(format!(
        "after 30 forged tokens {resets} of 50 get a reset and no byte, of NO_BAN {pardoned}; \
         another address in: {}; \"{line}\"",
        other.is_some()
    ));
    arena.must(resets == 50, "a banned address got more than a reset");
    arena.must(pardoned == 0, "an address of NO_BAN was banned");
    arena.must(other.is_some(), "another address suffers");
    arena.must(
        line.contains("banned address=127.1.0.1 for=60s"),
        line.clone(),
    );
}

fn stopping(arena: &mut Arena) {
    let count = arena.size(300, 1_000);
    let mut stage = Stage::new(&["--max-connections-per-user", "0"]);
    let mut peers: Vec<Peer> = (0..count).map(|n| stage.member(address(1, n))).collect();
    let strangers: Vec<Peer> = (0..50).map(|n| stage.connect(address(2, n))).collect();
    let began = Instant::now();
    stage.server.signal("-TERM");
    let mut told = 0;
    // Every other one answers as it should; the rest never do.
    for (number, peer) in peers.iter_mut().enumerate() {
        let code = peer.next().ok().as_ref().and_then(Frame::close_code);
        told += usize::from(code == Some(1_001));
        if number % 2 == 0 {
            let _ = peer.send(&frame(FIN | CLOSE, &1_001_u16.to_be_bytes()));
            let _ = peer.stream.shutdown(std::net::Shutdown::Both);
        }
    }
    let status = stage.server.wait();
    let took = began.elapsed();
    arena.saw(format!(
        "{told} of {count} told 1001, {} strangers dropped; {status} after {}",
        strangers.len(),
        millis(took)
    ));
    arena.must(told == count, "not all were told");
    arena.must(status.code() == Some(0), "the status is not 0");
    arena.must_be_within(took, Duration::from_secs(5), "it takes longer than 5 s");
    let gone = Peer::open(HONEST, stage.address(), None).is_err();
    arena.must(gone, "somebody still listens");
}
