//! Rows "Many at once": what happens to thousands in one moment, and what the others notice.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rusqlite::Connection;

use crate::arena::{Arena, Latencies, Row, Stage, millis};
use crate::crowd::{self, CONNECTIONS_PER_USER, Crowd, Mint, stage_of, users_for};
use crate::peer::{Peer, address, connect};
use crate::support::password_of;

pub(crate) const ROWS: &[Row] = &[
    Row {
        name: "expiring_at_once",
        attack: "9,000 members whose tokens end in the same second, while another sends 20 messages \
                 a second to all",
        bound: "each hears that its token has expired, and Close 3000; others' p99 <= 5 ms, or 3 x \
                calm",
        run: expiring_at_once,
    },
    Row {
        name: "everybody_changed",
        attack: "8,000 members, another program changes all users in one commit, twice a second",
        bound: "0 closed; others' p99 <= 5 ms, or 3 x calm",
        run: everybody_changed,
    },
    Row {
        name: "page_in_a_crowd",
        attack: "silent strangers, one of an address, 300 a second, so that MAX_PENDING is full",
        bound: "each page that opens a WebSocket and asks `POST /login` is logged in on both",
        run: page_in_a_crowd,
    },
];

fn unix_now() -> Duration {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.expect("it is after 1970")
}

/// What is calm on this machine, or what nobody notices.
fn as_calm(arena: &mut Arena, calm: Duration, others: &Latencies) {
    let p99 = others.percentile(99);
    arena.saw(format!(
        "others' p99 {} (max {}; calm {})",
        millis(p99),
        millis(others.max()),
        millis(calm)
    ));
    arena.must(others.lost == 0, format!("others lost {}", others.lost));
    let bound = Duration::from_millis(5).max(calm * 3);
    arena.must_be_within(p99, bound, "others had to wait");
}

fn calm(arena: &Arena, stage: &Stage) -> Duration {
    let others = stage.caller();
    thread::sleep(arena.size(Duration::from_millis(500), Duration::from_secs(3)));
    others.stop().percentile(99)
}

fn expiring_at_once(arena: &mut Arena) {
    let count = arena.size(300, 9_000);
    let stage = stage_of(users_for(count), &[]);
    let mint = Mint::of(&stage.home);
    let ends = unix_now().as_secs() + arena.size(4, 20);
    let members = (0..count).map(|number| {
        let token = mint.ending(&crowd::user(number / CONNECTIONS_PER_USER), ends);
        Peer::open(address(1, number), stage.address(), Some(&token)).expect("a member")
    });
    let crowd = Crowd::prompt(members.collect());
    let calm = calm(arena, &stage);
    let begins = Duration::from_secs(ends - 1).checked_sub(unix_now());
    arena.must(begins.is_some(), "they came too late to tell");
    thread::sleep(begins.unwrap_or_default());
    let others = stage.caller();
    let token = stage.home.token("bob");
    let mut sender = Peer::open(address(77, 0), stage.address(), Some(&token)).expect("a member");
    sender.stream.set_nonblocking(true).expect("a socket");
    for _ in 0..80 {
        let _ = sender.send(&crowd::tiny(&token));
        thread::sleep(Duration::from_millis(50));
        let (_, is_gone) = sender.take_ready();
        arena.must(!is_gone, "the sender was put out");
    }
    let others = others.stop();
    let told = crowd.stop();
    let is_told = |of: &&crowd::Listener| {
        let expired = |text: &String| text.contains(r#""code":"token_expired""#);
        of.close == Some(3_000) && of.texts.iter().any(expired)
    };
    let told_count = told.iter().filter(is_told).count();
    arena.saw(format!("{told_count} of {count} heard why"));
    arena.must(told_count == count, "some heard nothing");
    as_calm(arena, calm, &others);
}

fn everybody_changed(arena: &mut Arena) {
    let count = arena.size(300, 8_000);
    // More than a server is told of one by one.
    let stage = stage_of(count.max(2_000), &[]);
    let mint = Mint::of(&stage.home);
    let members = (0..count).map(|number| {
        let token = mint.token(&crowd::user(number));
        Peer::open(address(1, number), stage.address(), Some(&token)).expect("a member")
    });
    let crowd = Crowd::prompt(members.collect());
    let calm = calm(arena, &stage);
    let database = Connection::open(stage.home.path().join("framegate.db")).expect("it is there");
    let patience = database.busy_timeout(Duration::from_secs(5));
    patience.expect("a time-out can be set");
    let others = stage.caller();
    let changes = arena.size(2, 10);
    for number in 0..changes {
        let changed = database.execute("UPDATE users SET name = ?1", [format!("n{number}")]);
        changed.expect("all are changed");
        thread::sleep(Duration::from_millis(500));
    }
    let others = others.stop();
    let gone = crowd.gone();
    crowd.stop();
    arena.saw(format!("{count} members, {changes} commits, {gone} closed"));
    arena.must(gone == 0, "members were closed");
    as_calm(arena, calm, &others);
}

fn page_in_a_crowd(arena: &mut Arena) {
    let pages = arena.size(3, 20);
    let cost = arena.size("512KiB", "19MiB");
    let ids: Vec<String> = (0..pages).map(|number| format!("page{number}")).collect();
    let users: Vec<&str> = ids.iter().map(String::as_str).collect();
    let mut stage = Stage::with_users(
        &[&["alice"], users.as_slice()].concat(),
        &["--password-memory", cost],
    );
    let (server, stop) = (stage.address(), AtomicBool::new(false));
    let in_time = thread::scope(|scope| {
        scope.spawn(|| {
            let (mut held, began) = (VecDeque::new(), Instant::now());
            for number in 0.. {
                if stop.load(Ordering::Relaxed) {
                    break;
                }
                held.extend(connect(address(33, number), server));
                if held.len() > 1_100 {
                    held.pop_front();
                }
                // The first thousand come at once, so that the places are full.
                let due = Duration::from_secs(number.saturating_sub(1_000) as u64) / 300;
                thread::sleep(due.saturating_sub(began.elapsed()));
            }
        });
        thread::sleep(Duration::from_secs(2));
        let enter = |(number, id): (usize, &String)| {
            let from = address(66, number);
            let mut socket = Peer::open(from, server, None).ok()?;
            let body = format!(r#"{{"id":"{id}","password":"{}"}}"#, password_of(id));
            let length = body.len();
            let mut login = Peer::connect(from, server).ok()?;
            let head =
                format!("POST /login HTTP/1.1\r\nHost: h\r\nContent-Length: {length}\r\n\r\n");
            login.send((head + &body).as_bytes()).ok()?;
            let answer = login.rest().0;
            let (_, token) = answer.split_once(r#""token":""#)?;
            let (token, _) = token.split_once('"')?;
            socket.call(token, id).ok()
        };
        let in_time = ids.iter().enumerate().filter_map(enter).count();
        stop.store(true, Ordering::Relaxed);
        in_time
    });
    let log = stage.server.log_until_quiet();
    let is_full = log.iter().any(|line| line.contains("MAX_PENDING"));
    arena.must(is_full, "the places were not full: too little to tell");
    arena.saw(format!("{in_time} of {pages} pages logged in on both"));
    arena.must(in_time == pages, "a page was put out for silent strangers");
}
