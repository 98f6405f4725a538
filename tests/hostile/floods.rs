//! Rows "Frames" and "Connections" that last: floods, slow readers, and what others notice.

use std::net::SocketAddr;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::arena::{Arena, Row, Stage, kib, millis};
use crate::peer::{
    self, CLOSE, CONTINUATION, End, FIN, Frame, PING, PONG, Peer, TEXT, address, frame, text_frame,
};

pub(crate) const ROWS: &[Row] = &[
    Row {
        name: "fragment_flood",
        attack: "fragment flood, empty continuations",
        bound: "closed (1008) at the 65th; others' p99 < 20 ms while it streams",
        run: fragment_flood,
    },
    Row {
        name: "ping_flood",
        attack: "ping flood",
        bound: "rate-limited: 1008 past the burst",
        run: ping_flood,
    },
    Row {
        name: "unread_pings",
        attack: "ping flood by a peer that never reads",
        bound: "<= MAX_OUTBOX held, closed <= 10 s",
        run: unread_pings,
    },
    Row {
        name: "slow_reader",
        attack: "one slow reader among 200 under broadcast",
        bound: "only it is closed, the others miss nothing",
        run: slow_reader,
    },
    Row {
        name: "shared_payload",
        attack: "16 KiB broadcast to 5,000 that do not read",
        bound: "the payload is held once",
        run: shared_payload,
    },
    Row {
        name: "little_memory",
        attack: "64 MiB for the process (prlimit --as) under all floods together",
        bound: "alive at the end, an honest client in <= 1 s",
        run: little_memory,
    },
];

/// Hostile peers on threads of their own, until told to stop.
struct Mob {
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<usize>>,
}

impl Mob {
    /// Each comes again and again with `act`, as number so-and-so; what it returns is added up.
    fn start(count: usize, act: impl Fn(usize, usize) -> usize + Clone + Send + 'static) -> Mob {
        let stop = Arc::new(AtomicBool::new(false));
        let threads = (0..count).map(|number| {
            let (act, stop) = (act.clone(), Arc::clone(&stop));
            thread::spawn(move || {
                let (mut sum, mut round) = (0, 0);
                while !stop.load(Ordering::Relaxed) {
                    sum += act(number, round);
                    round += 1;
                }
                sum
            })
        });
        Mob {
            threads: threads.collect(),
            stop,
        }
    }

    /// What all their acts add up to.
    fn stop(self) -> usize {
        self.stop.store(true, Ordering::Relaxed);
        let sums = self
            .threads
            .into_iter()
            .map(|thread| thread.join().unwrap_or(0));
        sums.sum()
    }
}

/// No bans, and as many connects as they like: the bound must hold without either.
const UNBANNED: [&str; 4] = ["--ban-after", "0", "--connect-rate", "0/s"];

fn fragment_flood(arena: &mut Arena) {
    let stage = Stage::new(&UNBANNED);
    let mut edge = stage.member(address(1, 0));
    let begun = frame(TEXT, b"");
    let more = frame(CONTINUATION, b"");
    edge.send(&[begun.clone(), more.repeat(63), frame(FIN | PING, b"64")].concat())
        .expect("the server reads");
    let pong = edge.next().map(|frame| frame.opcode);
    arena.must(
        pong.is_ok_and(|opcode| opcode == PONG),
        "the 64th was refused",
    );
    edge.send(&more).expect("the server reads");
    let (frames, end) = edge.ending();
    let code = frames.last().and_then(Frame::close_code);
    arena.must(
        code == Some(1_008) && end == End::Fin,
        format!("the 65th: {code:?} {end:?}"),
    );

    // A user has a rate over all its connections: the flood is another's.
    let others = stage.caller();
    let (to, token) = (stage.address(), stage.home.token("bob"));
    let flood = [begun, more.repeat(10_000)].concat();
    let mob = Mob::start(8, move |number, _| {
        let Ok(mut peer) = Peer::open(address(2, number), to, Some(&token)) else {
            return 0;
        };
        let _ = peer.send(&flood);
        let (frames, _) = peer.ending();
        usize::from(frames.last().and_then(Frame::close_code) == Some(1_008))
    });
    thread::sleep(arena.size(Duration::from_secs(1), Duration::from_secs(5)));
    let others = others.stop();
    let closed = mob.stop();
    arena.saw(format!(
        "64 pass, the 65th is told 1008; {closed} floods closed; others p50 {}, p99 {}",
        millis(others.percentile(50)),
        millis(others.percentile(99))
    ));
    arena.must(closed > 0, "no flood came through to its Close");
    undisturbed(arena, &others);
}

fn undisturbed(arena: &mut Arena, others: &crate::arena::Latencies) {
    arena.must(
        others.lost == 0,
        format!("{} calls lost: {}", others.lost, others.error),
    );
    arena.must(others.count() > 10, "too few calls to tell");
    arena.must_be_within(
        others.percentile(99),
        Duration::from_millis(20),
        "others had to wait",
    );
}

fn ping_flood(arena: &mut Arena) {
    let stage = Stage::new(&["--ban-after", "0"]);
    let others = stage.caller();
    let mut peer = stage.member(address(1, 0));
    let began = Instant::now();
    peer.send(&frame(FIN | PING, b"x").repeat(2_000))
        .expect("the server reads");
    let (frames, end) = peer.ending();
    let took = began.elapsed();
    let pongs = frames.iter().filter(|frame| frame.opcode == PONG).count();
    let code = frames.last().and_then(Frame::close_code);
    let others = others.stop();
    arena.saw(format!(
        "2,000 pings: {pongs} pongs, then {code:?} {end:?} in {}",
        millis(took)
    ));
    arena.must(code == Some(1_008), "not rate-limited");
    // The burst, and what the rate adds meanwhile.
    let allowed = 200 + 1 + took.as_millis() as usize / 10;
    arena.must(
        (200..=allowed).contains(&pongs),
        "more or fewer than the rate allows",
    );
    arena.must(others.lost == 0, format!("others lost {}", others.lost));
}

fn unread_pings(arena: &mut Arena) {
    let ping = frame(FIN | PING, &[b'x'; 125]);
    let limited = Stage::new(&["--ban-after", "0"]);
    let before = limited.probe.descriptors();
    let mut peer =
        Peer::new(peer::connect_narrow(address(1, 0), limited.address()).expect("a connection"));
    peer.upgrade(Some(&limited.token)).expect("an upgrade");
    let _ = peer.send(&ping.repeat(2_000));
    let gone = limited
        .probe
        .wait_for_descriptors(before, Duration::from_secs(12));
    arena.must(gone.is_some(), "at the default rate: not closed");

    // Without a rate, the outbox is the bound.
    let stage = Stage::new(&["--ban-after", "0", "--rate", "0/s"]);
    let before = stage.probe.descriptors();
    let mut peer =
        Peer::new(peer::connect_narrow(address(1, 0), stage.address()).expect("a connection"));
    peer.upgrade(Some(&stage.token)).expect("an upgrade");
    let resident = stage.probe.resident_bytes();
    let began = Instant::now();
    let mut highest = 0;
    let flood = ping.repeat(200);
    let timeout = Some(Duration::from_millis(100));
    peer.stream.set_write_timeout(timeout).expect("a time-out");
    while began.elapsed() < Duration::from_secs(12) && stage.probe.descriptors() > before {
        let _ = peer.send(&flood);
        highest = highest.max(stage.probe.resident_bytes());
    }
    let took = began.elapsed();
    let growth = highest.saturating_sub(resident);
    arena.saw(format!(
        "at the default rate gone after {}; without a rate after {}, RSS +{} at the most",
        gone.map_or("never".to_owned(), millis),
        millis(took),
        kib(growth)
    ));
    arena.must_be_within(took, Duration::from_secs(10), "held longer than 10 s");
    // MAX_OUTBOX is 256 KiB; the allocator doubles what it gives a buffer that grows.
    arena.must(growth <= 1_024 * 1_024, "more held than the outbox may");
}

/// A broadcast of alice's, so many bytes of it.
fn broadcast(token: &str, bytes: usize, number: usize) -> Vec<u8> {
    let filler = "x".repeat(bytes - token.len() - 80);
    text_frame(&format!(
        r#"{{"token":"{token}","event":"message","data":{{"n":{number},"x":"{filler}"}}}}"#
    ))
}

/// One user is all who are there, and says as much as it likes: what is asked is who is slow, and
/// what is held.
const UNBUDGETED: [&str; 8] = [
    "--rate",
    "0/s",
    "--max-connections-per-user",
    "0",
    "--broadcast-rate",
    "0/s",
    "--delivery-rate",
    "0/s",
];

fn slow_reader(arena: &mut Arena) {
    let count = arena.size(50, 199);
    let mut stage = Stage::new(&UNBUDGETED);
    let narrow = peer::connect_narrow(address(2, 0), stage.address()).expect("a connection");
    let mut slow = Peer::new(narrow);
    slow.upgrade(Some(&stage.token)).expect("an upgrade");
    let mut readers: Vec<Peer> = (0..count).map(|n| stage.member(address(1, n))).collect();
    let mut sender = stage.member(address(3, 0));
    let mut missed = 0;
    let mut closed_at = None;
    let mut sent = 0;
    while sent < 400 && closed_at.is_none_or(|at| sent < at + 20) {
        sender
            .send(&broadcast(&stage.token, 15 * 1_024, sent))
            .expect("the server reads");
        let expected = format!(r#""n":{sent},"#);
        for reader in readers.iter_mut().chain([&mut sender]) {
            let heard = reader
                .next_text()
                .is_ok_and(|text| text.contains(&expected));
            missed += usize::from(!heard);
        }
        sent += 1;
        let log = stage.server.log_so_far();
        if log.iter().any(|line| line.contains("reason=slow_reader")) {
            closed_at = Some(sent);
        }
    }
    let (frames, end) = slow.ending();
    let code = frames.last().and_then(Frame::close_code);
    arena.saw(format!(
        "{sent} broadcasts of 15 KiB: the slow one closed at {closed_at:?} ({code:?} {end:?}), \
         {} others missed {missed}",
        count + 1
    ));
    arena.must(closed_at.is_some(), "the slow one was not closed");
    arena.must(missed == 0, "others missed some");
    arena.must(
        code == Some(1_013) || end == End::Reset,
        "neither 1013 nor a reset",
    );
    let more = stage.server.log_so_far();
    arena.must(
        more.iter().all(|line| !line.contains("refused")),
        "somebody else was closed",
    );
}

fn shared_payload(arena: &mut Arena) {
    let count = arena.size(300, 5_000);
    let stage = Stage::new(&[&UNBUDGETED[..], &["--memory", "64MiB"]].concat());
    let mut readers: Vec<Peer> = Vec::with_capacity(count);
    for number in 0..count {
        let stream = peer::connect_narrow(address(1, number), stage.address());
        let mut peer = Peer::new(stream.expect("a connection"));
        peer.upgrade(Some(&stage.token)).expect("an upgrade");
        readers.push(peer);
    }
    let mut sender = stage.member(address(3, 0));
    let before = stage.probe.resident_bytes();
    // Enough to fill what the kernels take, and then some to hold, and less than MAX_OUTBOX.
    let mut growths = Vec::new();
    for number in 0..12 {
        sender
            .send(&broadcast(&stage.token, 16 * 1_024, number))
            .expect("the server reads");
        sender.next_text().expect("the sender hears it");
        growths.push(stage.probe.resident_bytes().saturating_sub(before));
    }
    let highest = growths.iter().max().copied().unwrap_or_default();
    let copies = 12 * 16 * 1_024 * count;
    arena.saw(format!(
        "12 broadcasts to {count}: RSS +{} (a copy for each would be {})",
        kib(highest),
        kib(copies)
    ));
    // Each receiver's queue names the frames; none owns them.
    let bound = 12 * 16 * 1_024 + count * 512 + 1_024 * 1_024;
    arena.must(highest <= bound, format!("more than {}", kib(bound)));
    // What was held is there in the end; to drain it is slow, so only some of them do.
    let (mut some, mut whole) = (0, 0);
    for reader in readers.iter_mut().step_by(count / 50) {
        some += 1;
        whole += usize::from((0..12).all(|number| {
            let expected = format!(r#""n":{number},"#);
            reader
                .next_text()
                .is_ok_and(|text| text.contains(&expected))
        }));
    }
    arena.must(
        whole == some,
        format!("of {some}, only {whole} had all of them in the end"),
    );
}

fn little_memory(arena: &mut Arena) {
    let home = crate::support::Home::with_users(&["alice"]);
    let serve = [
        "serve",
        "--listen",
        "127.0.0.1:0",
        "--rate",
        "0/s",
        "--ban-after",
        "0",
        "--connect-rate",
        "0/s",
    ];
    let server = home.command(&serve);
    let mut command = Command::new("prlimit");
    command
        .arg("--as=67108864")
        .arg(server.get_program())
        .args(server.get_args());
    command
        .current_dir(home.path())
        .env("FRAMEGATE_PASSWORD_MEMORY", "19MiB");
    let server = crate::support::Server::start(command);
    let stage = Stage::of(home, server);
    let to = stage.address();
    let base = stage.probe.descriptors();
    let mobs = memory_floods(to, &stage.token);
    let began = Instant::now();
    let mut highest = 0;
    while began.elapsed() < arena.size(Duration::from_secs(2), Duration::from_secs(10)) {
        thread::sleep(Duration::from_millis(20));
        if !stage.probe.is_alive() {
            break;
        }
        highest = highest.max(stage.probe.resident_bytes());
    }
    let acts: Vec<String> = mobs.into_iter().map(|mob| mob.stop().to_string()).collect();
    let alive = stage.probe.is_alive();
    let honest = stage.newcomer(Duration::from_secs(5));
    let freed = stage
        .probe
        .wait_for_descriptors(base, Duration::from_secs(12));
    arena.saw(format!(
        "fragment floods, unread pings, slow readers, half messages, logins: {} connections; alive: {alive}, \
         RSS <= {}; honest in after {}",
        acts.join("+"),
        kib(highest),
        honest.map_or("never".to_owned(), millis)
    ));
    arena.must(alive, "it died");
    arena.must(freed.is_some(), "descriptors did not come back");
    arena.must_be_within(
        honest.unwrap_or(Duration::MAX),
        Duration::from_secs(1),
        "honest not in time",
    );
}

/// All of them at once: each what it can, until the server has had enough of it.
fn memory_floods(to: SocketAddr, token: &str) -> Vec<Mob> {
    let member = {
        let token = token.to_owned();
        move |network: u8, number: usize| {
            let mut peer = Peer::new(peer::connect_narrow(address(network, number), to).ok()?);
            let short = Some(Duration::from_millis(500));
            peer.stream.set_read_timeout(short).ok()?;
            peer.stream.set_write_timeout(short).ok()?;
            peer.upgrade(Some(&token)).ok()?;
            Some(peer)
        }
    };
    // So many at once, each with so many connections of an address of its own.
    let with = |network: u8, count: usize, each: usize, act: fn(&mut [Peer], &str)| {
        let (member, token) = (member.clone(), token.to_owned());
        Mob::start(count, move |number, round| {
            let from = number + 10 * (round % 100);
            let mut peers: Vec<Peer> = (0..each).filter_map(|_| member(network, from)).collect();
            if !peers.is_empty() {
                act(&mut peers, &token);
            }
            peers.len()
        })
    };
    vec![
        with(1, 4, 1, |peers, _| {
            let flood = [
                frame(TEXT, b"x"),
                frame(CONTINUATION, &[b'x'; 200]).repeat(100),
            ];
            for peer in peers {
                let _ = peer.send(&flood.concat());
                peer.ending();
            }
        }),
        with(2, 2, 100, |peers, _| {
            let flood = frame(FIN | PING, &[b'x'; 125]).repeat(3_000);
            for peer in peers.iter_mut() {
                let _ = peer.send(&flood);
            }
        }),
        // They shout, and none of them listens.
        with(3, 2, 50, |peers, token| {
            for number in 0..50 {
                let _ = peers[0].send(&broadcast(token, 15 * 1_024, number));
            }
            thread::sleep(Duration::from_millis(500));
        }),
        with(4, 4, 250, |peers, _| {
            let half = frame(FIN | TEXT, &[b' '; 16 * 1_024]);
            for peer in peers.iter_mut() {
                let _ = peer.send(&half[..half.len() - 1]);
            }
            thread::sleep(Duration::from_millis(1_000));
        }),
        with(5, 2, 1, |peers, _| {
            let login = r#"{"event":"login","data":{"id":"alice","password":"wrong"}}"#;
            let _ = peers[0].text(login);
            let _ = peers[0].send(&frame(FIN | CLOSE, b""));
            peers[0].ending();
        }),
    ]
}
