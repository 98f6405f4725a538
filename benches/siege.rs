//! What honest people notice of an attack, and what an attack costs the server.
//!
//! `cargo bench --bench siege` prints a table; it sends only to servers of its own on loopback.
//! 50 honest connections make 1,000 calls a second in all, alone and then while 64 hostile peers
//! connect, upgrade, send a forged token and come again, and 16 drip their heads. Where there is
//! taskset(1), the server has core 0 to itself and the load core 1, on which the hostile give way
//! to the honest: what is measured is the server's delay, not the load's.

#![expect(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::panic,
    reason = "it drives a server from outside"
)]

#[expect(dead_code, reason = "the hostile suite uses the rest")]
#[path = "../tests/hostile/arena.rs"]
mod arena;
#[expect(dead_code, reason = "the hostile suite uses the rest")]
#[path = "../tests/hostile/peer.rs"]
mod peer;
#[expect(dead_code, reason = "the hostile suite uses the rest")]
#[path = "../tests/hostile/probe.rs"]
mod probe;
#[path = "../tests/support/mod.rs"]
mod support;

use std::net::{Ipv4Addr, SocketAddr};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use arena::{Latencies, Stage};
use peer::{End, Peer, address};
use probe::Probe;
use support::{Home, Server};

const HONEST: usize = 50;
const HOSTILE: usize = 64;
const DRIPPING: usize = 16;
/// Each of the honest calls this often: 1,000 calls a second in all.
const CALL_INTERVAL: Duration = Duration::from_millis(50);
const ROUNDS: usize = 5;
const ROUND: Duration = Duration::from_secs(3);

fn main() {
    pin(std::process::id(), "1");
    let ratio = siege();
    costs();
    banned();
    println!("\nhonest p99 under siege / alone: {ratio:.1} (bound: 3)");
}

fn row(what: &str, value: impl std::fmt::Display) {
    println!("| {what} | {value} |");
}

fn micros(duration: Duration) -> String {
    format!("{:.0} us", duration.as_secs_f64() * 1e6)
}

fn quantiles(latencies: &Latencies) -> String {
    format!(
        "{} / {} (max {}, n {})",
        micros(latencies.percentile(50)),
        micros(latencies.percentile(99)),
        micros(latencies.max()),
        latencies.count()
    )
}

/// Time that somebody used on any core since the start (man 5 proc, `/proc/stat`).
fn busy() -> Duration {
    let stat = std::fs::read_to_string("/proc/stat").unwrap_or_default();
    let fields = stat.lines().next().unwrap_or_default().split_whitespace();
    let ticks: Vec<u32> = fields.filter_map(|field| field.parse().ok()).collect();
    // All but the fourth and the fifth, which are idle; those of guests are in the first.
    let used = ticks
        .iter()
        .take(8)
        .enumerate()
        .filter(|(n, _)| ![3, 4].contains(n));
    used.map(|(_, ticks)| *ticks).sum::<u32>() * Duration::from_millis(10)
}

/// Time that others than this program and the server used on any core.
fn others(stage: &Stage) -> Duration {
    let ours = Probe(std::process::id()).cpu().total() + stage.probe.cpu().total();
    busy().saturating_sub(ours)
}

/// Without taskset(1) everything runs everywhere.
fn pin(process: u32, core: &str) -> bool {
    let process = process.to_string();
    let taskset = Command::new("taskset")
        .args(["-a", "-c", "-p", core, &process])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    taskset.is_ok_and(|status| status.success())
}

fn stage(arguments: &[&str]) -> Stage {
    let home = Home::with_users(&["alice"]);
    let serve = [&["serve", "--listen", "127.0.0.1:0"], arguments].concat();
    let server = Server::start(home.command(&serve));
    if !pin(server.process(), "0") {
        println!("(not pinned to cores)");
    }
    Stage::of(home, server)
}

/// A signature that is none: its first character is another.
fn forged(token: &str) -> String {
    let (rest, signature) = token.rsplit_once('.').expect("three parts");
    let other = if signature.starts_with('A') { 'B' } else { 'A' };
    format!("{rest}.{other}{}", &signature[1..])
}

/// Threads that act until told to stop; what each returns is kept.
struct Crowd<T> {
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<T>>,
}

impl<T: Send + 'static> Crowd<T> {
    fn start(count: usize, act: impl Fn(usize, &AtomicBool) -> T + Clone + Send + 'static) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let threads = (0..count).map(|number| {
            let (act, stop) = (act.clone(), Arc::clone(&stop));
            thread::spawn(move || act(number, &stop))
        });
        Crowd {
            threads: threads.collect(),
            stop,
        }
    }

    fn stop(self) -> Vec<T> {
        self.stop.store(true, Ordering::Relaxed);
        let joined = self.threads.into_iter().map(JoinHandle::join);
        joined
            .map(|result| result.expect("no thread panics"))
            .collect()
    }
}

/// The honest, on connections of long ago, each at its own moment of the interval.
fn honest(stage: &Stage, peers: Vec<Peer>) -> Crowd<(Latencies, Peer)> {
    let token = stage.token.clone();
    let peers = Arc::new(std::sync::Mutex::new(peers));
    Crowd::start(HONEST, move |number, stop| {
        let peer = peers.lock().map(|mut peers| peers.pop());
        let mut peer = peer.ok().flatten().expect("one for each");
        let mut latencies = Latencies::default();
        let mut due = Instant::now() + CALL_INTERVAL * number as u32 / HONEST as u32;
        while !stop.load(Ordering::Relaxed) {
            thread::sleep(due.saturating_duration_since(Instant::now()));
            due += CALL_INTERVAL;
            latencies.add(peer.call(&token, "alice"));
        }
        (latencies, peer)
    })
}

fn all(crowd: Crowd<(Latencies, Peer)>) -> (Latencies, Vec<Peer>) {
    let mut all = Latencies::default();
    let mut peers = Vec::new();
    for (latencies, peer) in crowd.stop() {
        all.merge(latencies);
        peers.push(peer);
    }
    (all, peers)
}

/// What came of a hostile visit.
enum Visit {
    /// From the forged frame's last byte to the FIN.
    Refused(Duration),
    /// Nothing but a reset.
    Reset,
    /// Something else.
    Odd,
}

fn visit(from: Ipv4Addr, to: SocketAddr, forged: &str) -> Visit {
    let Ok(mut peer) = Peer::connect(from, to) else {
        return Visit::Reset;
    };
    if peer.upgrade(None).is_err() {
        let (answer, _) = peer.rest();
        return if answer.is_empty() {
            Visit::Reset
        } else {
            Visit::Odd
        };
    }
    let frame = peer::text_frame(&format!(r#"{{"token":"{forged}","event":"refresh"}}"#));
    if peer.send(&frame).is_err() {
        return Visit::Odd;
    }
    let sent = Instant::now();
    let (frames, end) = peer.ending();
    let took = sent.elapsed();
    let told = frames.last().and_then(peer::Frame::close_code) == Some(3_000);
    // Neither side keeps a port for it.
    peer::reset(peer.stream);
    match told && end != End::Never {
        true => Visit::Refused(took),
        false => Visit::Odd,
    }
}

#[derive(Default)]
struct Visits {
    refused: Latencies,
    resets: usize,
    odd: usize,
}

impl Visits {
    fn add(&mut self, visit: Visit) {
        match visit {
            Visit::Refused(took) => self.refused.add(Ok(took)),
            Visit::Reset => self.resets += 1,
            Visit::Odd => self.odd += 1,
        }
    }

    fn sum(all: Vec<Visits>) -> Visits {
        let mut sum = Visits::default();
        for visits in all {
            sum.refused.merge(visits.refused);
            sum.resets += visits.resets;
            sum.odd += visits.odd;
        }
        sum
    }
}

/// Runs on what the honest leave of a core (man 7 sched, SCHED_IDLE), as do the threads started
/// from here; without chrt(1), on the smallest share of it.
fn give_way() {
    // On Linux, of the calling thread alone.
    let _ = rustix::process::setpriority_process(None, 19);
    let thread = std::fs::read_link("/proc/thread-self").unwrap_or_default();
    let id = thread.file_name().unwrap_or_default();
    let _ = Command::new("chrt")
        .args(["--idle", "-p", "0"])
        .arg(id)
        .stderr(Stdio::null())
        .status();
}

/// A crowd that gives way.
fn lesser_crowd<T: Send + 'static>(
    count: usize,
    act: impl Fn(usize, &AtomicBool) -> T + Clone + Send + 'static,
) -> Crowd<T> {
    let starter = thread::spawn(move || {
        give_way();
        Crowd::start(count, act)
    });
    starter.join().expect("it only starts others")
}

fn hostile(stage: &Stage) -> Crowd<Visits> {
    let (to, forged) = (stage.address(), forged(&stage.token));
    lesser_crowd(HOSTILE, move |number, stop| {
        let mut visits = Visits::default();
        while !stop.load(Ordering::Relaxed) {
            visits.add(visit(address(1, number), to, &forged));
        }
        visits
    })
}

fn dripping(stage: &Stage) -> Crowd<()> {
    let to = stage.address();
    lesser_crowd(DRIPPING, move |number, stop| {
        while !stop.load(Ordering::Relaxed) {
            let Ok(mut peer) = Peer::connect(address(2, number), to) else {
                continue;
            };
            for byte in peer::upgrade_head("").as_bytes() {
                if stop.load(Ordering::Relaxed) || peer.send(&[*byte]).is_err() {
                    break;
                }
                thread::sleep(Duration::from_millis(200));
            }
        }
    })
}

/// One who is refused again and again, unhurried: how long until the FIN.
fn refused(stage: &Stage) -> Crowd<Visits> {
    let (to, forged) = (stage.address(), forged(&stage.token));
    Crowd::start(1, move |_, stop| {
        let mut visits = Visits::default();
        while !stop.load(Ordering::Relaxed) {
            visits.add(visit(address(3, 0), to, &forged));
            thread::sleep(Duration::from_millis(10));
        }
        visits
    })
}

/// The most descriptors that were open at once.
fn most_descriptors(stage: &Stage) -> Crowd<usize> {
    let probe = stage.probe;
    Crowd::start(1, move |_, stop| {
        let mut most = 0;
        while !stop.load(Ordering::Relaxed) {
            most = most.max(probe.descriptors());
            thread::sleep(Duration::from_millis(5));
        }
        most
    })
}

const UNBANNED: [&str; 4] = ["--ban-after", "0", "--connect-rate", "0/s"];

/// What a round saw, alone or under siege.
struct Round {
    calls: Latencies,
    refused: Latencies,
    /// What others on this machine took meanwhile, in percent of a core.
    others_percent: f64,
}

/// The honest, and one who is refused, for so long.
fn round(stage: &Stage, peers: &mut Vec<Peer>) -> Round {
    let before = others(stage);
    let (crowd, prober) = (honest(stage, std::mem::take(peers)), refused(stage));
    thread::sleep(ROUND);
    let refused = Visits::sum(prober.stop()).refused;
    let (calls, back) = all(crowd);
    *peers = back;
    let others = others(stage).saturating_sub(before);
    Round {
        calls,
        refused,
        others_percent: 100.0 * others.as_secs_f64() / ROUND.as_secs_f64(),
    }
}

/// Alone and under siege by turns: what else this machine does falls on both, and of the rounds
/// the one in the middle counts. Returns honest p99 under siege over that alone.
fn siege() -> f64 {
    let stage = stage(&UNBANNED);
    let base = stage.probe.descriptors();
    let mut peers = (0..HONEST).map(|n| stage.member(address(9, n))).collect();
    let (mut alone, mut besieged) = (Vec::new(), Vec::new());
    let (mut visits, mut most, mut seconds) = (Visits::default(), 0, 0.0);
    for _ in 0..ROUNDS {
        alone.push(round(&stage, &mut peers));
        let began = Instant::now();
        let (mob, drips, sampler) = (hostile(&stage), dripping(&stage), most_descriptors(&stage));
        besieged.push(round(&stage, &mut peers));
        visits = Visits::sum(mob.stop().into_iter().chain([visits]).collect());
        seconds += began.elapsed().as_secs_f64();
        drips.stop();
        most = sampler.stop().into_iter().fold(most, usize::max);
    }
    println!("| siege: {HONEST} honest, {HOSTILE} hostile, {DRIPPING} dripping | p50 / p99 |");
    println!("| --- | --- |");
    let lost: usize = alone
        .iter()
        .chain(&besieged)
        .map(|round| round.calls.lost)
        .sum();
    let middle = [("alone", &alone), ("under siege", &besieged)].map(|(when, rounds)| {
        let calls = |round: &Round| round.calls.percentile(99);
        let refused = |round: &Round| round.refused.percentile(99);
        let others = |round: &Round| round.others_percent;
        row(
            &format!("honest calls, {when}"),
            of_rounds(rounds, |round| &round.calls, calls),
        );
        row(
            &format!("refused frame's last byte to FIN, {when}"),
            of_rounds(rounds, |round| &round.refused, refused),
        );
        let shares: Vec<String> = rounds.iter().map(|r| format!("{:.0}", others(r))).collect();
        row(
            &format!("others on this machine, {when}, % of a core"),
            shares.join(" "),
        );
        median(rounds, calls)
    });
    row("honest calls lost", lost);
    row(
        "hostile visits a second",
        format!("{:.0}", visits.refused.count() as f64 / seconds),
    );
    row(
        "hostile visits that ended otherwise",
        visits.resets + visits.odd,
    );
    row("connections live at the most (5 ms samples)", most - base);
    middle[1].as_secs_f64() / middle[0].as_secs_f64()
}

fn median(rounds: &[Round], of: impl Fn(&Round) -> Duration) -> Duration {
    let mut all: Vec<Duration> = rounds.iter().map(of).collect();
    all.sort_unstable();
    all[all.len() / 2]
}

/// The middle of the rounds' p50 and p99, and every round's p99.
fn of_rounds(
    rounds: &[Round],
    of: impl Fn(&Round) -> &Latencies,
    p99: impl Fn(&Round) -> Duration,
) -> String {
    let each: Vec<String> = rounds.iter().map(|round| micros(p99(round))).collect();
    format!(
        "{} / {} (p99 of each round: {})",
        micros(median(rounds, |round| of(round).percentile(50))),
        micros(median(rounds, &p99)),
        each.join(", ")
    )
}

/// CPU time of the server for each of `count` acts, in user space and in the kernel.
fn cost(stage: &Stage, count: usize, mut act: impl FnMut()) -> String {
    let before = stage.probe.cpu();
    (0..count).for_each(|_| act());
    let spent = stage.probe.cpu().since(before);
    let total = spent.total();
    let share = 100.0 * spent.user().as_secs_f64() / total.as_secs_f64().max(1e-9);
    format!(
        "{} ({share:.0} % in user space, n {count})",
        micros(total / count as u32)
    )
}

fn costs() {
    let open = stage(&UNBANNED);
    let (to, forgery) = (open.address(), forged(&open.token));
    let mut refused = 0;
    let each = cost(&open, 20_000, || {
        refused += usize::from(matches!(
            visit(address(1, 0), to, &forgery),
            Visit::Refused(_)
        ));
    });
    row(
        "CPU of a refusal: connect, upgrade, forged frame, close",
        each,
    );
    row("of which refused as expected", refused);

    let closed = stage(&["--connect-rate", "0/s", "--ban-for", "1h"]);
    let (to, forgery) = (closed.address(), forged(&closed.token));
    for _ in 0..30 {
        visit(address(1, 0), to, &forgery);
    }
    let mut resets = 0;
    let each = cost(&closed, 50_000, || {
        resets += usize::from(matches!(visit(address(1, 0), to, &forgery), Visit::Reset));
    });
    row("CPU of a banned address's attempt", each);
    row("of which nothing but a reset", resets);
}

fn banned() {
    let stage = stage(&["--connect-rate", "0/s"]);
    let (to, forgery) = (stage.address(), forged(&stage.token));
    let settled = Arc::new(AtomicBool::new(false));
    let late = Arc::new(AtomicUsize::new(0));
    let (is_settled, late_others) = (Arc::clone(&settled), Arc::clone(&late));
    let peers = (0..HONEST)
        .map(|number| stage.member(address(9, number)))
        .collect();
    let calls = honest(&stage, peers);
    let mob = lesser_crowd(HOSTILE, move |number, stop| {
        let mut visits = Visits::default();
        while !stop.load(Ordering::Relaxed) {
            let settled = is_settled.load(Ordering::Relaxed);
            let visit = visit(address(1, number), to, &forgery);
            late_others.fetch_add(
                usize::from(settled && !matches!(visit, Visit::Reset)),
                Ordering::Relaxed,
            );
            visits.add(visit);
        }
        visits
    });
    thread::sleep(Duration::from_secs(2));
    settled.store(true, Ordering::Relaxed);
    thread::sleep(Duration::from_secs(4));
    let visits = Visits::sum(mob.stop());
    let (besieged, _) = all(calls);
    let all = visits.refused.count() + visits.resets + visits.odd;
    row("bans on: attempts in 6 s", all);
    row(
        "answered before the bans",
        visits.refused.count() + visits.odd,
    );
    row(
        "resets",
        format!("{:.2} %", 100.0 * visits.resets as f64 / all as f64),
    );
    row(
        "anything but a reset after 2 s",
        late.load(Ordering::Relaxed),
    );
    row("honest calls meanwhile", quantiles(&besieged));
    row("honest calls lost", besieged.lost);
}
