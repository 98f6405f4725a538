//! Rows "What one may take": of connections, of memory, of the loop's time; and who pays for it.

use std::io::Write as _;
use std::net::Ipv4Addr;
use std::net::Shutdown;
use std::thread;
use std::time::{Duration, Instant};

use crate::arena::{Arena, Latencies, Row, Stage, millis};
use crate::crowd::{self, CONNECTIONS_PER_USER, Mint, stage_of};
use crate::peer::{self, End, FIN, Frame, Peer, TEXT, address, frame, text_frame};

pub(crate) const ROWS: &[Row] = &[
    Row {
        name: "connections_of_one_user",
        attack: "one token on 40 connections, by handshake and by frame",
        bound: "32 stay; each newer one is told too_many_connections and 1013",
        run: connections_of_one_user,
    },
    Row {
        name: "half_messages",
        attack: "half messages of 16 KiB up to MEMORY, then long messages to bob",
        bound: "bob stays; who goes for memory is one of those who hold it",
        run: half_messages,
    },
    Row {
        name: "escaped_names",
        attack: "8 KiB `login` frames of escaped names, 60 strangers of one address 95 times a \
                 second; then 16 KiB getUser frames of 32 members",
        bound: "the strangers are banned; members' p99 <= 5 ms",
        run: escaped_names,
    },
    Row {
        name: "rate_by_reconnecting",
        attack: "one token that comes again and again, each time with its burst",
        bound: "answered <= MAX_CONNECTIONS_PER_USER x (BURST + RATE x time)",
        run: rate_by_reconnecting,
    },
    Row {
        name: "silent_connections",
        attack: "25 connections of one address that send not a byte; of another, half a head",
        bound: "no ban for silence; one for heads begun and not finished",
        run: silent_connections,
    },
    Row {
        name: "hurried_logins",
        attack: "540 silent strangers of 9 addresses, so that everybody has 2 s to log in",
        bound: "25 people at one address who were too slow are not banned",
        run: hurried_logins,
    },
    Row {
        name: "peaceful_endings",
        attack: "12 forged tokens from an address, and 600 lingering requests from others",
        bound: "who did nothing hears all, and a FIN",
        run: peaceful_endings,
    },
    Row {
        name: "half_closed_together",
        attack: "two members half-close behind a bad frame and 45 KB, read in one turn",
        bound: "both hear the error and the Close",
        run: half_closed_together,
    },
];

fn connections_of_one_user(arena: &mut Arena) {
    let stage = Stage::new(&[]);
    let mut first: Vec<Peer> = (0..CONNECTIONS_PER_USER)
        .map(|n| stage.member(address(1, n)))
        .collect();
    let call = format!(
        r#"{{"token":"{}","event":"getUser","id":1,"data":{{"id":"alice"}}}}"#,
        stage.token
    );
    let mut refused = 0;
    for number in 0..8 {
        let mut newest = match number % 2 {
            // By its handshake, or by its first frame.
            0 => stage.member(address(2, number)),
            _ => stage.stranger(address(2, number)),
        };
        let patience = Some(Duration::from_secs(1));
        newest.stream.set_read_timeout(patience).expect("a socket");
        let _ = newest.text(&call);
        let (frames, end) = newest.ending();
        let is_told = frames
            .iter()
            .any(|frame| frame.text().contains(r#""code":"too_many_connections""#));
        let code = frames.last().and_then(Frame::close_code);
        refused += usize::from(is_told && code == Some(1_013) && end == End::Fin);
    }
    let token = stage.token.clone();
    let kept = first
        .iter_mut()
        .filter_map(|peer| peer.call(&token, "alice").ok())
        .count();
    first.pop();
    let again = stage.newcomer(Duration::from_secs(2));
    arena.saw(format!(
        "{kept} of {CONNECTIONS_PER_USER} stay, {refused} of 8 newer ones told; one goes, the next is in: {}",
        again.is_some()
    ));
    arena.must(kept == CONNECTIONS_PER_USER, "older ones were put out");
    arena.must(refused == 8, "a newer one was not told");
    arena.must(again.is_some(), "a place that is free again is not given");
}

/// Half of a message, as long as one may be.
fn half_message() -> Vec<u8> {
    let whole = frame(FIN | TEXT, &[b'x'; 16 * 1_024]);
    whole[..whole.len() - 1].to_vec()
}

fn half_messages(arena: &mut Arena) {
    // MEMORY by default; in the tests an eighth of it.
    let (memory, count) = arena.size(("4MiB", 300), ("32MiB", 2_100));
    let connections = (count + 50).to_string();
    let settings = [
        "--memory",
        memory,
        "--max-connections",
        connections.as_str(),
    ];
    let settings = &settings[..arena.size(4, 2)];
    let mut stage = stage_of(crowd::users_for(count), settings);
    let mut bobs: Vec<Peer> = (0..5)
        .map(|n| {
            let token = stage.home.token("bob");
            Peer::open(address(9, n), stage.address(), Some(&token)).expect("a member")
        })
        .collect();
    let half = half_message();
    let mut holders = crowd::members(&stage, 1, count);
    let mint = Mint::of(&stage.home);
    let mut eve = stage.member(address(3, 0));
    let to_bob = crowd::long(&stage.token, 15_900, 1, Some("bob")).repeat(2);
    let (mut begun, mut bob_left, mut told) = (0, 0, 0);
    // One more at a time, past what MEMORY allows, each beside two messages to bob.
    for (number, holder) in holders.iter_mut().enumerate() {
        begun += usize::from(holder.send(&half).is_ok());
        if number + 100 > count {
            told += usize::from(eve.send(&to_bob).is_ok());
            thread::sleep(Duration::from_millis(25));
        }
    }
    let token = mint.token("bob");
    for bob in &mut bobs {
        bob_left += usize::from(bob.call(&token, "bob").is_ok());
    }
    let log = stage.server.log_until_quiet();
    let gone: Vec<&String> = log
        .iter()
        .filter(|line| line.contains("reason=memory"))
        .collect();
    let wrong = gone.iter().find(|line| !line.contains("peer=127.1."));
    arena.saw(format!(
        "{begun} half messages, {told} x 2 to bob: {} gone for memory; {bob_left} of 5 of bob's stay",
        gone.len()
    ));
    arena.must(!gone.is_empty(), "nobody went: too little to tell");
    arena.must(bob_left == 5, "bob went");
    arena.must(wrong.is_none(), format!("somebody else went: {wrong:?}"));
}

/// Names with an escape, as many as fit behind `begin`, up to so many bytes with `end`.
fn names(begin: String, end: &str, bytes_max: usize) -> Vec<u8> {
    let characters = (b'a'..=b'z')
        .chain(b'A'..=b'Z')
        .chain(b'0'..=b'9')
        .map(char::from);
    let mut text = begin;
    for (one, two) in characters
        .clone()
        .flat_map(|one| characters.clone().map(move |two| (one, two)))
    {
        let member = format!(r#","\n{one}{two}":1"#);
        if text.len() + member.len() + end.len() > bytes_max {
            break;
        }
        text.push_str(&member);
    }
    text_frame(&(text + end))
}

fn escaped_names(arena: &mut Arena) {
    let lasts = arena.size(Duration::from_secs(1), Duration::from_secs(6));
    let login = names(
        r#"{"event":"login","data":{"id":"x""#.to_owned(),
        "}}",
        8_192,
    );
    let mut stage = Stage::new(&[]);
    let others = stage.caller();
    speak_at_95(&stage, 60, None, &login, lasts);
    let others = others.stop();
    let log = stage.server.log_until_quiet();
    let is_banned = log
        .iter()
        .any(|line| line.contains("banned address=127.66.0.1"));
    arena.must(is_banned, "the strangers are not banned");
    within_5_ms(arena, "strangers", &others);

    let stage = Stage::new(&[]);
    let token = stage.home.token("bob");
    let begin = format!(r#"{{"token":"{token}","event":"getUser","data":{{"id":"alice"}}"#);
    let call = names(begin, "}", 16_384);
    let others = stage.caller();
    speak_at_95(&stage, CONNECTIONS_PER_USER, Some(&token), &call, lasts);
    within_5_ms(arena, "members", &others.stop());
}

fn within_5_ms(arena: &mut Arena, whom: &str, others: &Latencies) {
    let p99 = others.percentile(99);
    arena.saw(format!(
        "beside {whom}: p50 {}, p99 {}",
        millis(others.percentile(50)),
        millis(p99)
    ));
    arena.must(
        others.lost == 0,
        format!("beside {whom}: {} calls lost", others.lost),
    );
    let fault = format!("beside {whom}: others had to wait");
    arena.must_be_within(p99, Duration::from_millis(5), &fault);
}

/// So many connections of one address each say it 95 times a second; who is closed comes again.
fn speak_at_95(stage: &Stage, count: usize, token: Option<&str>, said: &[u8], lasts: Duration) {
    let open = || {
        let peer = Peer::open(address(66, 0), stage.address(), token).ok()?;
        peer.stream.set_nonblocking(true).ok()?;
        Some(peer)
    };
    let mut peers: Vec<(Peer, Vec<u8>)> = (0..count)
        .filter_map(|_| Some((open()?, Vec::new())))
        .collect();
    let (began, mut times) = (Instant::now(), 0);
    while began.elapsed() < lasts {
        let is_due = began.elapsed().as_millis() as usize * 95 / 1_000 > times;
        times += usize::from(is_due);
        for (peer, unsent) in &mut peers {
            if is_due && unsent.is_empty() {
                unsent.extend_from_slice(said);
            }
            let count = peer.stream.write(unsent).unwrap_or_default();
            unsent.drain(..count);
            if peer.take_ready().1
                && let Some(again) = open()
            {
                *peer = again;
                unsent.clear();
            }
        }
        thread::sleep(Duration::from_millis(1));
    }
}

fn rate_by_reconnecting(arena: &mut Arena) {
    let stage = Stage::new(&[]);
    let call = format!(
        r#"{{"token":"{}","event":"getUser","id":1,"data":{{"id":"alice"}}}}"#,
        stage.token
    );
    let burst = text_frame(&call).repeat(199);
    let (began, lasts) = (
        Instant::now(),
        arena.size(Duration::from_secs(1), Duration::from_secs(5)),
    );
    let (mut answered, mut connections, mut refused) = (0, 0, 0);
    while began.elapsed() < lasts {
        let Ok(mut peer) = Peer::open(
            address(1, connections / 90),
            stage.address(),
            Some(&stage.token),
        ) else {
            refused += 1;
            continue;
        };
        connections += 1;
        let _ = peer.send(&burst);
        let _ = peer.stream.shutdown(Shutdown::Write);
        let (frames, _) = peer.ending();
        answered += frames
            .iter()
            .filter(|frame| frame.text().starts_with(r#"{"event":"getUser""#))
            .count();
    }
    let took = began.elapsed();
    let bound = CONNECTIONS_PER_USER * (200 + (100.0 * took.as_secs_f64()) as usize);
    arena.saw(format!(
        "{connections} connections, {refused} refused: {answered} frames answered in {:.1} s",
        took.as_secs_f64()
    ));
    arena.must(answered <= bound, format!("more than {bound}"));
    arena.must(answered >= 199, "next to nothing was answered");
}

/// What `GET /health` is answered from the address, and how it ends.
fn health(stage: &Stage, from: Ipv4Addr) -> (bool, End) {
    let Ok(mut peer) = Peer::connect(from, stage.address()) else {
        return (false, End::Reset);
    };
    let _ = peer.send(b"GET /health HTTP/1.1\r\nHost: h\r\n\r\n");
    thread::sleep(Duration::from_millis(20));
    let (text, end) = peer.rest();
    (
        text.starts_with("HTTP/1.1 200 ") && text.ends_with("ok\n"),
        end,
    )
}

fn silent_connections(arena: &mut Arena) {
    let mut stage = Stage::new(&["--handshake-timeout", "300ms"]);
    let (silent, begun) = (address(1, 0), address(2, 0));
    let open = |from| -> Vec<Peer> { (0..25).map(|_| stage.connect(from)).collect() };
    let mut quiet = open(silent);
    let ended = quiet
        .iter_mut()
        .filter_map(|peer| peer.answer_if_ended())
        .count();
    let served = health(&stage, silent);
    let mut half = open(begun);
    for peer in &mut half {
        let _ = peer.send(b"GET /health HTTP/1.1\r\nHo");
    }
    for peer in &mut half {
        peer.rest();
    }
    let unserved = health(&stage, begun);
    let log = stage.server.log_until_quiet();
    let bans = log
        .iter()
        .filter(|line| line.contains("banned address="))
        .count();
    arena.saw(format!(
        "25 silent: {ended} closed, then {served:?}; 25 half heads, then {unserved:?}; {bans} banned"
    ));
    arena.must(ended == 25, "some silent ones were kept");
    arena.must(served.0, "an address was banned for its silence");
    arena.must(!unserved.0 && bans == 1, "half heads are not counted");
}

fn hurried_logins(arena: &mut Arena) {
    let stage = Stage::new(&[]);
    let mut crowd: Vec<Peer> = Vec::new();
    for number in 0..540 {
        crowd.push(stage.stranger(address(44, number / 60)));
    }
    let people = address(98, 0);
    let began = Instant::now();
    let mut tabs: Vec<Peer> = (0..25).map(|_| stage.stranger(people)).collect();
    // The crowd is renewed before its own time is over.
    thread::sleep(Duration::from_millis(1_500));
    for (number, peer) in crowd.iter_mut().enumerate() {
        *peer = stage.stranger(address(44, number / 60));
    }
    let closed = tabs
        .iter_mut()
        .filter(|tab| {
            tab.stream
                .set_read_timeout(Some(Duration::from_secs(4)))
                .is_ok()
        })
        .filter_map(|tab| tab.ending().0.last().and_then(Frame::close_code))
        .filter(|code| *code == 3_008)
        .count();
    let took = began.elapsed();
    let served = health(&stage, people);
    arena.saw(format!(
        "{closed} of 25 tabs of one address told 3008 after {}; then {served:?}",
        millis(took)
    ));
    arena.must(closed == 25, "not all were hurried: too little to tell");
    arena.must(served.0, "they were banned for our hurry");
}

fn peaceful_endings(arena: &mut Arena) {
    let stage = Stage::new(&[]);
    let suspect = address(98, 0);
    for _ in 0..12 {
        let mut peer = stage.stranger(suspect);
        peer.text(r#"{"token":"a.b.c","event":"x"}"#)
            .expect("the server reads");
        peer.ending();
    }
    let whole = (0..30)
        .filter(|_| health(&stage, suspect) == (true, End::Fin))
        .count();
    // 60 answers do not fit the narrow window at once: they are still on their way at the end.
    let call = format!(
        r#"{{"token":"{}","event":"getUser","id":1,"data":{{"id":"alice"}}}}"#,
        stage.token
    );
    let calls = [
        text_frame(&call).repeat(60),
        frame(FIN | peer::CLOSE, &1_000_u16.to_be_bytes()),
    ];
    let farewell = |from: Ipv4Addr| {
        let narrow = peer::connect_narrow(from, stage.address()).expect("a connection");
        let mut peer = Peer::new(narrow);
        peer.upgrade(Some(&stage.token)).expect("an upgrade");
        peer.send(&calls.concat()).expect("the server reads");
        thread::sleep(Duration::from_millis(100));
        let (frames, end) = peer.ending();
        frames.len() == 61 && frames[60].close_code() == Some(1_000) && end == End::Fin
    };
    let farewells = (0..10).filter(|_| farewell(suspect)).count();
    // Harmless requests of eight addresses, whose ends do not close.
    let lingering: Vec<Peer> = (0..600)
        .filter_map(|number| {
            let mut peer = Peer::connect(address(33, number % 8), stage.address()).ok()?;
            peer.send(b"GET /health HTTP/1.1\r\nHost: h\r\n\r\n").ok()?;
            if number % 60 == 59 {
                thread::sleep(Duration::from_millis(20));
            }
            Some(peer)
        })
        .collect();
    let beside = (0..20)
        .filter(|n| health(&stage, address(97, *n)) == (true, End::Fin))
        .count();
    let beside_farewells = (0..20).filter(|n| farewell(address(96, *n))).count();
    arena.saw(format!(
        "of a suspect address {whole} of 30 answers and {farewells} of 10 farewells whole; beside \
         {} lingering {beside} of 20 and {beside_farewells} of 20",
        lingering.len()
    ));
    arena.must(
        whole == 30 && farewells == 10,
        "peaceful endings of a suspect address were cut",
    );
    arena.must(
        beside == 20 && beside_farewells == 20,
        "peaceful endings beside the lingering were cut",
    );
}

fn half_closed_together(arena: &mut Arena) {
    let stage = Stage::new(&["--ban-after", "0"]);
    let rounds = arena.size(5, 20);
    let mut heard = 0;
    for round in 0..rounds {
        let mut pair = [0, 1].map(|n| stage.member(address(1, 2 * round + n)));
        let said = [text_frame("no JSON"), vec![b'x'; 45_000]].concat();
        stage.server.signal("-STOP");
        for peer in &mut pair {
            peer.send(&said).expect("the socket takes it");
            peer.stream.shutdown(Shutdown::Write).expect("a FIN");
        }
        thread::sleep(Duration::from_millis(10));
        stage.server.signal("-CONT");
        for peer in &mut pair {
            let (frames, _) = peer.ending();
            let is_told = frames
                .first()
                .is_some_and(|frame| frame.text().contains("bad_frame"));
            let code = frames.last().and_then(Frame::close_code);
            heard += usize::from(is_told && code == Some(1_007));
        }
    }
    arena.saw(format!(
        "{heard} of {} heard the error and the Close",
        2 * rounds
    ));
    arena.must(heard == 2 * rounds, "some did not");
}
