//! Rows "What stands around": a log that nobody reads, memory that is not there.

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Resource, Rlimit, prlimit};

use crate::arena::{Arena, HONEST, Latencies, Row, Stage, millis};
use crate::crowd::{self, Crowd, Mint};
use crate::peer::{Peer, address};
use crate::support::{Home, password_of, text};

pub(crate) const ROWS: &[Row] = &[
    Row {
        name: "unread_log",
        attack: "standard error is a pipe that nobody reads, and 5,000 requests that are logged",
        bound: "health and a member's calls p99 < 50 ms; SIGTERM ends it <= 5 s; dropped lines counted",
        run: unread_log,
    },
    Row {
        name: "least_memory",
        attack: "MEMORY at its least, as many idle members as are let in",
        bound: "nobody is thrown out for memory; the cap that follows is told",
        run: least_memory,
    },
    Row {
        name: "no_memory_for_a_hash",
        attack: "too little address space for the hash of a user who logs in 25 times",
        bound: "503 unavailable, no ban, an ERROR line that names memory",
        run: no_memory_for_a_hash,
    },
];

/// How long `GET /health` takes, and what it says.
pub(crate) fn health(stage: &Stage, from: std::net::Ipv4Addr) -> (Duration, String) {
    let began = Instant::now();
    let answer = Peer::connect(from, stage.address()).and_then(|mut peer| {
        peer.send(b"GET /health HTTP/1.1\r\nHost: h\r\n\r\n")?;
        Ok(peer.rest().0)
    });
    let status = answer
        .unwrap_or_default()
        .get(9..12)
        .unwrap_or_default()
        .to_owned();
    (began.elapsed(), status)
}

fn unread_log(arena: &mut Arena) {
    let count = arena.size(2_000, 5_000);
    let settings = ["--log-rate", "0/s", "--connect-rate", "0/s"];
    let mut stage = Stage::new(&settings);
    stage.server.read_log(false);
    let others = stage.caller();
    let mut healths = Latencies::default();
    for number in 0..count {
        let mut peer = stage.connect(address(1, number));
        let _ = peer.send(b"GET /nope HTTP/1.1\r\nHost: h\r\n\r\n");
        peer.rest();
        if number % 20 == 0 {
            let (took, status) = health(&stage, HONEST);
            let status = Some(took).filter(|_| status == "200");
            healths.add(status.ok_or_else(|| std::io::Error::other("no 200")));
        }
    }
    let others = others.stop();
    stage.server.read_log(true);
    let mut log = stage.server.log_until_quiet();
    // The next line tells how many were dropped.
    stage
        .server
        .request("GET /nope HTTP/1.1\r\nHost: h\r\n\r\n");
    log.extend(stage.server.log_until_quiet());
    let dropped: usize = log
        .iter()
        .filter_map(|line| {
            line.split_once("lines_dropped=")?
                .1
                .split_whitespace()
                .next()?
                .parse::<usize>()
                .ok()
        })
        .sum();
    arena.saw(format!(
        "health p99 {}, a member's calls p99 {}; {} lines, {dropped} counted as dropped",
        millis(healths.percentile(99)),
        millis(others.percentile(99)),
        log.len()
    ));
    arena.must(
        healths.lost == 0 && others.lost == 0,
        "somebody got no answer",
    );
    arena.must_be_within(
        healths.percentile(99),
        Duration::from_millis(50),
        "health had to wait",
    );
    arena.must_be_within(
        others.percentile(99),
        Duration::from_millis(50),
        "a member had to wait",
    );
    arena.must(dropped > 0, "nothing was dropped: too little to tell");
    arena.must(
        log.len() + dropped >= count,
        "some are neither logged nor counted",
    );

    // And once more, to the end.
    let mut stage = Stage::new(&settings);
    stage.server.read_log(false);
    for number in 0..count {
        let mut peer = stage.connect(address(1, number));
        let _ = peer.send(b"GET /nope HTTP/1.1\r\nHost: h\r\n\r\n");
        peer.rest();
    }
    ends_in_time(arena, &mut stage);
}

/// SIGTERM ends it within 5 s.
pub(crate) fn ends_in_time(arena: &mut Arena, stage: &mut Stage) {
    let began = Instant::now();
    stage.server.signal("-TERM");
    while stage.probe.is_alive() && began.elapsed() < Duration::from_secs(8) {
        thread::sleep(Duration::from_millis(10));
    }
    arena.saw(format!("SIGTERM ends it after {}", millis(began.elapsed())));
    arena.must(!stage.probe.is_alive(), "SIGTERM does not end it");
    arena.must_be_within(
        began.elapsed(),
        Duration::from_secs(5),
        "SIGTERM ends it too late",
    );
}

fn least_memory(arena: &mut Arena) {
    let tried = arena.size(300, 2_600);
    let home = Home::with_users(&["alice", "bob"]);
    crowd::add_users(&home, crowd::users_for(tried));
    let most = tried.to_string();
    let mut told = Vec::new();
    for memory in [
        "64KiB", "128KiB", "256KiB", "512KiB", "1MiB", "2MiB", "4MiB",
    ] {
        let arguments = ["check", "--memory", memory, "--max-connections", &most];
        let checked = home.run(&arguments);
        if checked.status.success() {
            told.push(format!("MEMORY {memory}"));
            serve_least(arena, &home, memory, &most, tried);
            arena.saw(told.join(" "));
            return;
        }
        told = vec![text(&checked.stderr).trim().to_owned()];
    }
    arena.must(false, format!("nothing suffices: {told:?}"));
}

fn serve_least(arena: &mut Arena, home: &Home, memory: &str, most: &str, tried: usize) {
    let arguments = [
        "--memory",
        memory,
        "--max-connections",
        most,
        "--log-rate",
        "0/s",
    ];
    let mut server = home.serve(&arguments);
    let mint = Mint::of(home);
    let open = |number: usize| {
        let token = mint.token(&crowd::user(number / crowd::CONNECTIONS_PER_USER));
        Peer::open(address(1, number), server.address, Some(&token)).ok()
    };
    let members: Vec<Peer> = (0..tried).filter_map(open).collect();
    let count = members.len();
    let crowd = Crowd::prompt(members);
    thread::sleep(Duration::from_millis(500));
    let gone = crowd.gone();
    crowd.stop();
    let log = server.log_until_quiet();
    let for_memory = log.iter().filter(|line| line.contains("=memory")).count();
    arena.saw(format!(
        "{count} of {tried} let in, {gone} of them gone, {for_memory} for memory"
    ));
    arena.must(gone == 0 && for_memory == 0, "idle members were thrown out");
    arena.must(count > 0, "nobody was let in");
}

/// The status of a login with the right password.
pub(crate) fn login(stage: &Stage, id: &str) -> String {
    let body = format!(r#"{{"id":"{id}","password":"{}"}}"#, password_of(id));
    let length = body.len();
    let answer = Peer::connect(HONEST, stage.address()).and_then(|mut peer| {
        peer.send(
            format!("POST /login HTTP/1.1\r\nHost: h\r\nContent-Length: {length}\r\n\r\n{body}")
                .as_bytes(),
        )?;
        Ok(peer.rest().0)
    });
    answer
        .unwrap_or_default()
        .get(9..12)
        .unwrap_or_default()
        .to_owned()
}

fn no_memory_for_a_hash(arena: &mut Arena) {
    // A hash larger than what an allocator may have in reserve; its password does not matter.
    let hash = "$argon2id$v=19$m=204800,t=2,p=1$MDEyMzQ1Njc4OWFiY2RlZg$\
                q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJA";
    let home = Home::with_users(&["bob"]);
    let line = format!(r#"{{"id":"alice","name":"A","passwordHash":"{hash}"}}"#);
    let import = home.run_with(&["user", "import", "-"], &line);
    arena.must(import.status.success(), text(&import.stderr));
    let server = home.serve(&["--login-rate", "0/s"]);
    let mut stage = Stage::of(home, server);
    // Of alice no token is signed: her password is never found right.
    stage.token = stage.home.token("bob");
    let status = fs::read_to_string(format!("/proc/{}/status", stage.server.process()))
        .expect("it is alive");
    let size = status.lines().find_map(|line| line.strip_prefix("VmSize:"));
    let kib = size
        .and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok())
        .expect("a size");
    // Room for all but a hash.
    let limit = Rlimit {
        current: Some((kib + 4 * 1_024) * 1_024),
        maximum: None,
    };
    let process = i32::try_from(stage.server.process())
        .ok()
        .and_then(Pid::from_raw);
    prlimit(process, Resource::As, limit).expect("a limit can be lowered");
    let mut statuses: Vec<String> = (0..25).map(|_| login(&stage, "alice")).collect();
    statuses.dedup();
    let (_, healthy) = health(&stage, HONEST);
    let log = stage.server.log_until_quiet();
    let errors: Vec<&String> = log.iter().filter(|line| line.contains(" ERROR ")).collect();
    arena.saw(format!(
        "25 logins: {statuses:?}; health {healthy}; {errors:?}"
    ));
    arena.must(statuses == ["503"], "not `unavailable`");
    arena.must(healthy == "200", "the address was banned");
    let is_named = errors.first().is_some_and(|line| line.contains("memory"));
    arena.must(is_named, "no ERROR line names memory");
    arena.must(errors.len() == 1, "more than one line");
}
