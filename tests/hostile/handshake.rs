//! Rows "Handshake and HTTP".

use std::io::Write;
use std::net::{Ipv4Addr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use crate::arena::{Arena, Latencies, Row, Stage, kib, millis};
use crate::peer::{self, End, address, bearer, text_frame, upgrade_head};

pub(crate) const ROWS: &[Row] = &[
    Row {
        name: "slowloris_at_the_default_caps",
        attack: "slowloris, default caps",
        bound: "each gone <= 5.5 s after accept; honest handshakes p99 < 50 ms",
        run: slowloris_at_the_default_caps,
    },
    Row {
        name: "slowloris_with_room_for_all",
        attack: "slowloris, room for them all",
        bound: "each gone <= 5.5 s after accept; honest handshakes p99 < 50 ms",
        run: slowloris_with_room_for_all,
    },
    Row {
        name: "one_byte_segments",
        attack: "head in 1-byte segments",
        bound: "101, as in one piece",
        run: one_byte_segments,
    },
    Row {
        name: "large_heads",
        attack: "head of 8 KiB + 1, 65 fields, field of 9,000 bytes",
        bound: "431 and close; at the edge 101",
        run: large_heads,
    },
    Row {
        name: "smuggling",
        attack: "lengths, bare LF, folding",
        bound: "400 and close, nothing behind the head read",
        run: smuggling,
    },
    Row {
        name: "fields_amiss",
        attack: "Host, key, version, Origin amiss",
        bound: "400; 426 for the version; 403 for the origin",
        run: fields_amiss,
    },
    Row {
        name: "odd_but_legal",
        attack: "odd but legal upgrades",
        bound: "101",
        run: odd_but_legal,
    },
    Row {
        name: "every_offset",
        attack: "close or reset at every byte offset",
        bound: "descriptors as before, RSS growth < 1 MiB",
        run: every_offset,
    },
    Row {
        name: "foreign_protocols",
        attack: "TLS hello, SSH banner, HTTP/2 preface",
        bound: "400, 505 or close <= 10 ms (median); no raw bytes in the log",
        run: foreign_protocols,
    },
];

/// Each gone so long after its accept.
const SLOW_GONE: Duration = Duration::from_millis(5_500);

fn slowloris_at_the_default_caps(arena: &mut Arena) {
    slowloris(arena, &[]);
}

fn slowloris_with_room_for_all(arena: &mut Arena) {
    slowloris(arena, &["--max-pending", "5000"]);
}

fn slowloris(arena: &mut Arena, arguments: &[&str]) {
    let each = arena.size(200, 2_000);
    let stage = Stage::new(arguments);
    let before = stage.probe.descriptors();
    let honest = stage.newcomers();
    // 50 an address: under its caps.
    let mut waiting: Vec<Option<(TcpStream, Instant)>> = (0..2 * each)
        .map(|index| {
            let stream = peer::connect(address(1, index / 50 * 250), stage.address()).ok()?;
            stream.set_nonblocking(true).ok()?;
            Some((stream, Instant::now()))
        })
        .collect();
    let connected = waiting.iter().flatten().count();
    let head = upgrade_head("");
    let mut lives = Vec::new();
    let end = Instant::now() + Duration::from_secs(9);
    let mut drip_at = Instant::now();
    let mut dripped = 0;
    while Instant::now() < end && waiting.iter().any(Option::is_some) {
        if drip_at <= Instant::now() {
            drip_at += Duration::from_secs(1);
            for (stream, _) in waiting[..each].iter_mut().flatten() {
                // It may be gone; that is seen below.
                let _ = stream.write(&head.as_bytes()[dripped..=dripped]);
            }
            dripped += 1;
        }
        for place in &mut waiting {
            if let Some((_, since)) = place.take_if(|(stream, _)| peer::is_gone(stream)) {
                lives.push(since.elapsed());
            }
        }
        thread::sleep(Duration::from_millis(20));
    }
    let honest = honest.stop();
    let longest = lives.iter().max().copied().unwrap_or_default();
    let left = waiting.iter().flatten().count();
    arena.saw(format!(
        "{connected} connected, {left} left, longest life {}; {} honest handshakes, p50 {}, p99 {}",
        millis(longest),
        honest.count(),
        millis(honest.percentile(50)),
        millis(honest.percentile(99)),
    ));
    arena.must(
        connected > 0 && left == 0,
        format!("{left} are still there"),
    );
    arena.must(longest <= SLOW_GONE, "one lived longer");
    arena.must(
        honest.lost == 0,
        format!("{} honest lost: {}", honest.lost, honest.error),
    );
    arena.must_be_within(
        honest.percentile(99),
        Duration::from_millis(50),
        "honest handshakes are slow",
    );
    let freed = stage
        .probe
        .wait_for_descriptors(before, Duration::from_secs(2));
    arena.must(freed.is_some(), "descriptors did not come back");
}

fn one_byte_segments(arena: &mut Arena) {
    let stage = Stage::new(&[]);
    let mut peer = stage.connect(address(1, 0));
    for byte in upgrade_head(&bearer(&stage.token)).as_bytes() {
        peer.send(&[*byte]).expect("the server reads");
    }
    let answer = peer.answer().expect("an answer");
    let status = answer.lines().next().unwrap_or_default().to_owned();
    let call = format!(
        r#"{{"token":"{}","event":"getUser","id":7,"data":{{"id":"alice"}}}}"#,
        stage.token
    );
    for byte in text_frame(&call) {
        peer.send(&[byte]).expect("the server reads");
    }
    let reply = peer.next_text().unwrap_or_default();
    arena.saw(format!("{status}; a frame too: {}", !reply.is_empty()));
    arena.must(status.starts_with("HTTP/1.1 101 "), "no 101");
    arena.must(reply.starts_with(r#"{"event":"getUser","id":7"#), reply);
}

/// What comes back for `head`, from an address that did nothing yet: its status, and the end.
fn ask(stage: &Stage, from: Ipv4Addr, head: &[u8]) -> (String, End) {
    let mut peer = stage.connect(from);
    // The server may have closed before all was sent.
    let _ = peer.send(head);
    let (text, end) = peer.rest();
    (text.get(9..12).unwrap_or_default().to_owned(), end)
}

/// An upgrade whose head has so many bytes.
fn head_of(bytes: usize) -> String {
    let bare = upgrade_head("X-Long: \r\n").len();
    upgrade_head(&format!("X-Long: {}\r\n", "x".repeat(bytes - bare)))
}

/// An upgrade whose head has so many fields.
fn head_with(fields: usize) -> String {
    let bare = upgrade_head("").matches(": ").count();
    let more: String = (bare..fields).map(|n| format!("X-{n}: y\r\n")).collect();
    upgrade_head(&more)
}

fn large_heads(arena: &mut Arena) {
    let stage = Stage::new(&[]);
    let cases = [
        ("8 KiB + 1", head_of(8 * 1_024 + 1)),
        ("65 fields", head_with(65)),
        ("field of 9,000", head_of(9_200)),
    ];
    for (index, (name, head)) in cases.iter().enumerate() {
        let (status, end) = ask(&stage, address(1, index), head.as_bytes());
        arena.saw(format!("{name}: {status} {end:?}"));
        arena.must(
            status == "431" && end == End::Fin,
            format!("{name}: {status} {end:?}"),
        );
    }
    for (name, head) in [("8 KiB", head_of(8 * 1_024)), ("64 fields", head_with(64))] {
        let mut peer = stage.connect(address(1, 9));
        peer.send(head.as_bytes()).expect("the server reads");
        let answer = peer.answer().unwrap_or_default();
        arena.must(
            answer.starts_with("HTTP/1.1 101 "),
            format!("{name}: {answer}"),
        );
    }
}

fn smuggling(arena: &mut Arena) {
    let stage = Stage::new(&[]);
    let mut listener = stage.member(address(1, 999));
    let token = bearer(&stage.token);
    let message = text_frame(&format!(
        r#"{{"token":"{}","event":"message","data":"smuggled"}}"#,
        stage.token
    ));
    let good = upgrade_head(&token).into_bytes();
    let with = |more: &str| upgrade_head(&format!("{token}{more}")).into_bytes();
    let cases: Vec<(&str, Vec<u8>)> = vec![
        ("length 5", with("Content-Length: 5\r\n")),
        ("length +0", with("Content-Length: +0\r\n")),
        (
            "two lengths",
            with("Content-Length: 0\r\nContent-Length: 0\r\n"),
        ),
        ("list of lengths", with("Content-Length: 0, 0\r\n")),
        ("chunked", with("Transfer-Encoding: chunked\r\n")),
        ("identity", with("Transfer-Encoding: identity\r\n")),
        (
            "bare LF",
            String::from_utf8_lossy(&good)
                .replacen("\r\n", "\n", 1)
                .into_bytes(),
        ),
        (
            "bare LF at the end",
            [&good[..good.len() - 2], b"\n"].concat(),
        ),
        ("bare CR", with("X: a\rb\r\n")),
        ("folded", with("X: a\r\n b\r\n")),
        ("space before colon", with("X : a\r\n")),
        (
            "a login with two framings",
            b"POST /login HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n\
              19\r\n{\"id\":\"a\",\"password\":\"b\"}\r\n0\r\n\r\n"
                .to_vec(),
        ),
    ];
    let count = cases.len();
    for (index, (name, head)) in cases.into_iter().enumerate() {
        // Behind each head: a frame that would be heard, were it read.
        let bytes = [head, message.clone()].concat();
        let (status, end) = ask(&stage, address(1, index), &bytes);
        let holds = status == "400" && end == End::Fin;
        arena.must(holds, format!("{name}: {status:?} {end:?}"));
    }
    let timeout = Some(Duration::from_millis(100));
    listener
        .stream
        .set_read_timeout(timeout)
        .expect("a time-out");
    let heard = listener.next().is_ok();
    arena.saw(format!(
        "{count} heads: 400 and FIN; heard behind them: {heard}"
    ));
    arena.must(!heard, "a frame behind a head was read");
}

fn fields_amiss(arena: &mut Arena) {
    let stage = Stage::new(&["--origins", "https://gate.test"]);
    let good = upgrade_head("");
    let without = |name: &str| {
        let lines = good.split_inclusive("\r\n");
        lines
            .filter(|line| !line.starts_with(name))
            .collect::<String>()
    };
    let key = "dGhlIHNhbXBsZSBub25jZQ==";
    let cases = [
        ("400", without("Host")),
        ("400", upgrade_head("Host: gate.test\r\n")),
        ("400", good.replace("gate.test", "gate.test/x")),
        ("400", without("Sec-WebSocket-Key")),
        (
            "400",
            upgrade_head(&format!("Sec-WebSocket-Key: {key}\r\n")),
        ),
        ("400", good.replace(key, "c2hvcnQ=")),
        ("400", good.replace(key, "dGhlIHNhbXBsZSBub25jZSE=")),
        ("400", good.replace(key, "!!!!!!!!!!!!!!!!!!!!!!==")),
        ("426", without("Sec-WebSocket-Version")),
        ("426", good.replace("Version: 13", "Version: 8")),
        ("426", good.replace("Version: 13", "Version: 13, 8")),
        ("403", upgrade_head("Origin: https://evil.test\r\n")),
        ("403", upgrade_head("Origin: null\r\n")),
        // Own by its name, which somebody else may have lead to loopback.
        ("403", upgrade_head("Origin: http://gate.test\r\n")),
        (
            "403",
            upgrade_head("Origin: https://gate.test.evil.test\r\n"),
        ),
        ("403", upgrade_head("Origin: https://evilgate.test\r\n")),
        ("403", upgrade_head("Origin: https://gate.test:444\r\n")),
        (
            "403",
            upgrade_head("Origin: https://gate.test@evil.test\r\n"),
        ),
        (
            "400",
            upgrade_head("Origin: https://gate.test\r\nOrigin: https://gate.test\r\n"),
        ),
    ];
    for (index, (expected, head)) in cases.iter().enumerate() {
        let (status, end) = ask(&stage, address(1, index), head.as_bytes());
        let holds = status == *expected && end == End::Fin;
        arena.must(
            holds,
            format!("{expected} expected, {status:?} {end:?} for {head:?}"),
        );
    }
    // A version in doubt may be told either way.
    let doubled = upgrade_head("Sec-WebSocket-Version: 13\r\n");
    let (status, end) = ask(&stage, address(1, 99), doubled.as_bytes());
    let holds = ["400", "426"].contains(&status.as_str()) && end == End::Fin;
    arena.must(holds, format!("doubled version: {status:?} {end:?}"));
    arena.saw(format!(
        "{} heads, each answered as it should be",
        cases.len() + 1
    ));
}

fn odd_but_legal(arena: &mut Arena) {
    let stage = Stage::new(&["--origins", "https://gate.test"]);
    let good = upgrade_head("");
    let cases = [
        good.replace("Connection: Upgrade", "Connection: keep-alive, Upgrade"),
        good.replace(
            "Connection: Upgrade",
            "Connection: keep-alive\r\nConnection: Upgrade",
        ),
        good.replace("Upgrade: websocket", "Upgrade: h2c, websocket"),
        good.replace("Upgrade: websocket", "upgrade:WebSocket"),
        good.replace("/ws HTTP", "/ws?x=1 HTTP"),
        upgrade_head("Content-Length: 0\r\n"),
        upgrade_head("Origin: https://gate.test\r\n"),
        upgrade_head("Sec-WebSocket-Extensions: permessage-deflate\r\n"),
        upgrade_head("Sec-WebSocket-Protocol: chat, framegate.v1\r\n"),
    ];
    for (index, head) in cases.iter().enumerate() {
        let mut peer = stage.connect(address(1, index));
        peer.send(head.as_bytes()).expect("the server reads");
        let answer = peer.answer().unwrap_or_default();
        let holds = answer.starts_with("HTTP/1.1 101 ") && !answer.contains("Extensions");
        arena.must(holds, format!("{answer:?} for {head:?}"));
    }
    arena.saw(format!("101 for all {}", cases.len()));
}

fn every_offset(arena: &mut Arena) {
    let rounds = arena.size(1_500, 10_000);
    let stage = Stage::new(&[]);
    let call = format!(
        r#"{{"token":"{}","event":"getUser","data":{{"id":"alice"}}}}"#,
        stage.token
    );
    let head = upgrade_head(&bearer(&stage.token)).into_bytes();
    let exchange = [
        head.clone(),
        text_frame(&call),
        peer::frame(peer::FIN | peer::CLOSE, b""),
    ];
    let exchange = exchange.concat();
    let leave = |round: usize| {
        let offset = round % (exchange.len() + 1);
        let mut peer = stage.connect(address(1, round % 5_000));
        let _ = peer.send(&exchange[..offset.min(head.len())]);
        if offset > head.len() {
            let _ = peer.answer();
            let _ = peer.send(&exchange[head.len()..offset]);
        }
        // Each offset is left both ways, and by the second pass the other way round.
        if (round + round / exchange.len()).is_multiple_of(2) {
            peer::reset(peer.stream);
        }
    };
    let start = stage.probe.descriptors();
    (0..exchange.len()).for_each(leave);
    stage
        .probe
        .wait_for_descriptors(start, Duration::from_secs(2));
    let before = stage.probe.resident_bytes();
    (0..rounds).for_each(leave);
    let freed = stage
        .probe
        .wait_for_descriptors(start, Duration::from_secs(2));
    let growth = stage.probe.resident_bytes().saturating_sub(before);
    arena.saw(format!(
        "{rounds} ends over {} offsets: descriptors {start} -> {}, RSS +{}",
        exchange.len() + 1,
        stage.probe.descriptors(),
        kib(growth)
    ));
    arena.must(freed.is_some(), "descriptors did not come back");
    arena.must(growth < 1_024 * 1_024, "RSS grew by 1 MiB and more");
    arena.must(
        stage.newcomer(Duration::from_secs(2)).is_some(),
        "nobody gets in afterwards",
    );
}

fn foreign_protocols(arena: &mut Arena) {
    let rounds = arena.size(10, 30);
    let mut stage = Stage::new(&["--log", "debug", "--log-rate", "0/s"]);
    let tls = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\x01\x02\x03\x04\x05";
    let cases: [(&str, &[u8], &str); 3] = [
        ("TLS", tls, "\\u{16}"),
        ("SSH", b"SSH-2.0-OpenSSH_9.6\r\n", "SSH-2"),
        (
            "HTTP/2",
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0",
            "PRI *",
        ),
    ];
    for (case, (name, preface, _)) in cases.iter().enumerate() {
        let mut waits = Latencies::default();
        for round in 0..rounds {
            let mut peer = stage.connect(address(1, case * 250 + round));
            thread::sleep(Duration::from_millis(1));
            let began = Instant::now();
            peer.send(preface).expect("the server reads");
            let (text, end) = peer.rest();
            waits.add(Ok(began.elapsed()));
            let refused = ["HTTP/1.1 400 ", "HTTP/1.1 505 "];
            let is_refused = refused.iter().any(|status| text.starts_with(status));
            let holds = end != End::Never && (text.is_empty() || is_refused);
            arena.must(holds, format!("{name}: {text:?} {end:?}"));
        }
        let median = waits.percentile(50);
        arena.saw(format!(
            "{name} {} (max {})",
            millis(median),
            millis(waits.max())
        ));
        arena.must_be_within(
            median,
            Duration::from_millis(10),
            &format!("{name} is slow"),
        );
    }
    let log = stage.server.log_until_quiet();
    let raw = |line: &&String| {
        let marks = cases.iter().any(|(_, _, mark)| line.contains(mark));
        marks || line.chars().any(char::is_control)
    };
    let found = log.iter().find(raw).cloned();
    arena.must(found.is_none(), format!("in the log: {found:?}"));
    arena.must(log.len() >= 3 * rounds, "the log tells of fewer than came");
}
