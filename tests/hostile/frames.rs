//! Rows "Frames": what breaks RFC 6455, and who does not end.

use std::thread;
use std::time::{Duration, Instant};

use crate::arena::{Arena, Latencies, Row, Stage, kib, millis};
use crate::peer::{
    BINARY, CLOSE, CONTINUATION, End, FIN, Frame, PING, PONG, Peer, TEXT, address, frame,
};

pub(crate) const ROWS: &[Row] = &[
    Row {
        name: "header_claims",
        attack: "headers alone that claim 16 KiB + 1 to 2^64 - 1",
        bound: "1009 or 1002 on the header; heap + 0",
        run: header_claims,
    },
    Row {
        name: "violations",
        attack: "RFC 6455 broken",
        bound: "one Close 1002 (1007 for bad UTF-8), FIN <= 50 ms (median)",
        run: violations,
    },
    Row {
        name: "unanswered_close",
        attack: "a Close never answered",
        bound: "gone within the linger",
        run: unanswered_close,
    },
    Row {
        name: "pulled_cable",
        attack: "a peer whose cable is pulled",
        bound: "gone within ping + pong",
        run: pulled_cable,
    },
    Row {
        name: "half_close",
        attack: "a peer that half-closes",
        bound: "gone at once",
        run: half_close,
    },
    Row {
        name: "unfinished_message",
        attack: "a fragmented message never finished",
        bound: "closed <= 30 s",
        run: unfinished_message,
    },
];

fn header_claims(arena: &mut Arena) {
    let count = arena.size(200, 1_000);
    let stage = Stage::new(&["--log-rate", "0/s", "--max-connections-per-user", "0"]);
    let claim = |bytes: u64| [&[FIN | TEXT, 0x80 | 127], &bytes.to_be_bytes()[..]].concat();
    let claims = [
        (1_009, vec![FIN | TEXT, 0x80 | 126, 0x40, 0x01]),
        (1_009, claim(16 * 1_024 * 1_024)),
        (1_009, claim(i64::MAX as u64)),
        (1_002, claim(1 << 63)),
        (1_002, claim(u64::MAX)),
    ];
    // The masking key stays out: the length decides.
    let mut peers: Vec<Peer> = (0..count).map(|n| stage.member(address(1, n))).collect();
    let before = stage.probe.resident_bytes();
    for (peer, (_, claim)) in peers.iter_mut().zip(claims.iter().cycle()) {
        peer.send(claim).expect("the server reads");
    }
    thread::sleep(Duration::from_millis(100));
    let growth = stage.probe.resident_bytes().saturating_sub(before);
    for (peer, (expected, _)) in peers.iter_mut().zip(claims.iter().cycle()) {
        let (frames, end) = peer.ending();
        let code = frames.last().and_then(Frame::close_code);
        let holds = code == Some(*expected) && end != End::Never;
        arena.must(holds, format!("{expected} expected: {code:?} {end:?}"));
    }
    arena.saw(format!(
        "{count} closed on the length alone; RSS +{}",
        kib(growth)
    ));
    // What they are told takes up room, 100 bytes each; what they claimed does not.
    arena.must(
        growth <= 512 * 1_024,
        "memory was taken for what was claimed",
    );
}

/// What is sent, and the code it is answered with.
fn all_violations() -> Vec<(&'static str, u16, Vec<u8>)> {
    let unmasked = [FIN | TEXT, 2, b'h', b'i'].to_vec();
    let short_126 = [&[FIN | TEXT, 0x80 | 126, 0, 125][..], &[0; 4 + 125]].concat();
    let short_127 = [
        &[FIN | TEXT, 0x80 | 127, 0, 0, 0, 0, 0, 0, 0xff, 0xff][..],
        &[0; 4],
    ]
    .concat();
    let close =
        |code: u16, reason: &[u8]| frame(FIN | CLOSE, &[&code.to_be_bytes(), reason].concat());
    let mut all = vec![
        ("RSV1", 1_002, frame(FIN | 0x40 | TEXT, b"{}")),
        ("RSV2", 1_002, frame(FIN | 0x20 | TEXT, b"{}")),
        ("RSV3", 1_002, frame(FIN | 0x10 | TEXT, b"{}")),
        ("no mask", 1_002, unmasked),
        ("long ping", 1_002, frame(FIN | PING, &[b'x'; 126])),
        ("long close", 1_002, frame(FIN | CLOSE, &[3; 126])),
        ("cut ping", 1_002, frame(PING, b"x")),
        ("cut close", 1_002, frame(CLOSE, b"")),
        ("length 125 in 16 bits", 1_002, short_126),
        ("length 65,535 in 64 bits", 1_002, short_127),
        (
            "continuation of nothing",
            1_002,
            frame(FIN | CONTINUATION, b"x"),
        ),
        (
            "text in a text",
            1_002,
            [frame(TEXT, b"{"), frame(FIN | TEXT, b"}")].concat(),
        ),
        ("close of 1 byte", 1_002, frame(FIN | CLOSE, b"\x03")),
        ("close reason not UTF-8", 1_007, close(1_000, b"\xff\xfe")),
        ("text not UTF-8", 1_007, frame(FIN | TEXT, b"\"\xc0\xaf\"")),
        ("UTF-8 cut short", 1_007, frame(FIN | TEXT, b"\"\xe2\x82")),
        ("surrogate", 1_007, frame(FIN | TEXT, b"\"\xed\xa0\x80\"")),
        ("bad UTF-8 in a fragment", 1_007, frame(TEXT, b"\"\xff")),
        ("binary", 1_003, frame(FIN | BINARY, b"\x01")),
    ];
    for opcode in [0x3, 0x4, 0x5, 0x6, 0x7, 0xB, 0xC, 0xD, 0xE, 0xF] {
        all.push(("reserved opcode", 1_002, frame(FIN | opcode, b"")));
    }
    for code in [
        0, 999, 1_004, 1_005, 1_006, 1_015, 1_016, 2_999, 5_000, 65_535,
    ] {
        all.push(("bad close code", 1_002, close(code, b"")));
    }
    all
}

fn violations(arena: &mut Arena) {
    let stage = Stage::new(&["--log-rate", "0/s"]);
    let mut waits = Latencies::default();
    let all = all_violations();
    let rounds = arena.size(1, 5);
    for round in 0..rounds {
        for (index, (name, expected, bytes)) in all.iter().enumerate() {
            let mut peer = stage.member(address(1, round * 100 + index));
            let began = Instant::now();
            peer.send(bytes).expect("the server reads");
            // What follows is not read: not even a good Ping.
            let _ = peer.send(&frame(FIN | PING, b"still there?"));
            let (frames, end) = peer.ending();
            waits.add(Ok(began.elapsed()));
            let closes = frames.iter().filter(|frame| frame.opcode == CLOSE).count();
            let last = frames.last().and_then(Frame::close_code);
            let pongs = frames.iter().any(|frame| frame.opcode == PONG);
            let holds = closes == 1 && last == Some(*expected) && end == End::Fin && !pongs;
            arena.must(holds, format!("{name}: {closes} Close, {last:?}, {end:?}"));
        }
    }
    arena.saw(format!(
        "{} of {} kinds, one Close each; FIN p50 {}, p99 {}",
        waits.count(),
        all.len(),
        millis(waits.percentile(50)),
        millis(waits.percentile(99))
    ));
    arena.must_be_within(
        waits.percentile(50),
        Duration::from_millis(50),
        "FIN is slow",
    );
}

fn unanswered_close(arena: &mut Arena) {
    let stage = Stage::new(&[]);
    let before = stage.probe.descriptors();
    let mut peers: Vec<Peer> = (0..100).map(|n| stage.member(address(1, n))).collect();
    let half = peers.len() / 2;
    for peer in &mut peers[..half] {
        peer.send(&frame(FIN | BINARY, b""))
            .expect("the server reads");
    }
    for peer in &mut peers[half..] {
        let close = frame(FIN | CLOSE, &1_000_u16.to_be_bytes());
        peer.send(&close).expect("the server reads");
    }
    // Nobody reads, nobody closes.
    let freed = stage
        .probe
        .wait_for_descriptors(before, Duration::from_secs(3));
    arena.saw(format!(
        "100 peers, descriptors free after {}",
        or_never(freed)
    ));
    let bound = Duration::from_millis(500 + 200);
    arena.must(
        freed.is_some_and(|freed| freed <= bound),
        "held longer than the linger",
    );
}

fn or_never(time: Option<Duration>) -> String {
    time.map_or("never".to_owned(), millis)
}

fn pulled_cable(arena: &mut Arena) {
    let settings = ["--ping-interval", "1s", "--pong-timeout", "1s"];
    let stage = Stage::new(&settings);
    let before = stage.probe.descriptors();
    // To the server, who never answers again is the same.
    let peers: Vec<Peer> = (0..20).map(|n| stage.member(address(1, n))).collect();
    let freed = stage
        .probe
        .wait_for_descriptors(before, Duration::from_secs(5));
    arena.saw(format!(
        "{} silent, ping 1 s, pong 1 s: gone after {}",
        peers.len(),
        or_never(freed)
    ));
    let bound = Duration::from_millis(2_500);
    arena.must(
        freed.is_some_and(|freed| freed <= bound),
        "held longer than ping + pong",
    );
}

fn half_close(arena: &mut Arena) {
    let stage = Stage::new(&[]);
    let before = stage.probe.descriptors();
    let mut peers: Vec<Peer> = (0..50).map(|n| stage.member(address(1, n))).collect();
    peers.extend((50..100).map(|n| stage.stranger(address(1, n))));
    peers.extend((100..150).map(|n| stage.connect(address(1, n))));
    for peer in &peers {
        peer.stream
            .shutdown(std::net::Shutdown::Write)
            .expect("a FIN");
    }
    let freed = stage
        .probe
        .wait_for_descriptors(before, Duration::from_secs(3));
    arena.saw(format!(
        "{} of all standings: gone after {}",
        peers.len(),
        or_never(freed)
    ));
    // Sooner than any linger or deadline.
    let bound = Duration::from_millis(250);
    arena.must(freed.is_some_and(|freed| freed <= bound), "not at once");
}

fn unfinished_message(arena: &mut Arena) {
    let settings: &[&str] = arena.size(&["--message-timeout", "1s"], &[]);
    let patience = arena.size(Duration::from_secs(2), Duration::from_secs(30));
    let stage = Stage::new(settings);
    let mut peers: Vec<Peer> = (0..20).map(|n| stage.member(address(1, n))).collect();
    for peer in &mut peers {
        peer.stream.set_nonblocking(true).expect("a socket");
        peer.send(&frame(TEXT, b"{")).expect("the server reads");
    }
    let began = Instant::now();
    let mut longest = Duration::ZERO;
    let mut codes = Vec::new();
    while !peers.is_empty() && began.elapsed() < patience + Duration::from_secs(5) {
        thread::sleep(Duration::from_millis(500));
        peers.retain_mut(|peer| {
            // It goes on and on; an answered Ping does not help it.
            let _ = peer.send(&[frame(FIN | PING, b""), frame(CONTINUATION, b" ")].concat());
            let (frames, ended) = peer.take_ready();
            codes.extend(frames.last().and_then(Frame::close_code));
            longest = began.elapsed();
            !ended
        });
    }
    arena.saw(format!(
        "{} dripping fragments closed by {}",
        codes.len(),
        millis(longest)
    ));
    arena.must(peers.is_empty() && longest <= patience, "one goes on");
    arena.must(
        codes.len() == 20 && codes.iter().all(|code| *code == 1_008),
        format!("{codes:?}"),
    );
}
