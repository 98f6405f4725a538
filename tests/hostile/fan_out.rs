//! Rows "What one says to many": broadcasts, and who is hurt by them.

use std::io::Write as _;
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use crate::arena::{Arena, Latencies, Row, Stage, kib, millis};
use crate::crowd::{self, Crowd, Listener, Mint, members, stage_of, users_for};
use crate::peer::{self, Peer, address, bearer, upgrade_head};
use crate::probe::Peak;

pub(crate) const ROWS: &[Row] = &[
    Row {
        name: "long_messages_at_once",
        attack: "17, 20, 40, 64 connections finish a 16 KiB message at once, the server awake or \
                 stopped for 50 ms",
        bound: "of 40 others 0 closed, each hears all",
        run: long_messages_at_once,
    },
    Row {
        name: "outbox_of_two_messages",
        attack: "MAX_OUTBOX of two messages, four messages in one read, beside handshakes",
        bound: "of 40 others 0 closed, each hears all; each handshake is answered first",
        run: outbox_of_two_messages,
    },
    Row {
        name: "one_write_to_many",
        attack: "1, 2, 32 connections write 200 tiny broadcasts each in one write, to 9,000, 6,000, \
                 4,000",
        bound: "0 closed; RSS + <= MEMORY at every sample; others' p99 <= 3 x calm",
        run: one_write_to_many,
    },
    Row {
        name: "tiny_broadcasts",
        attack: "94 tiny broadcasts a second by one connection, to 4,000",
        bound: "0 closed, each hears all that was granted; others' p99 <= 3 x calm",
        run: tiny_broadcasts,
    },
    Row {
        name: "long_broadcasts",
        attack: "15 KB broadcasts 89 times a second by one member, to 20 readers of 1 Mbit/s",
        bound: "all 20 stay; the sender is told rate_limited with retryAfter, and stays",
        run: long_broadcasts,
    },
    Row {
        name: "messages_by_name",
        attack: "15 KB messages to bob, who reads 1 Mbit/s, 89 times a second",
        bound: "bob stays; the sender is told rate_limited with retryAfter, and stays",
        run: messages_by_name,
    },
    Row {
        name: "burst_before_a_ping",
        attack: "240 KB at once to one who reads 20 KB/s, just before his Ping",
        bound: "he stays while he reads, and answers the Ping when he sees it",
        run: burst_before_a_ping,
    },
];

/// Members who each begin a long message, and finish it when told.
struct Finishers {
    /// The other ends are with the crowd, so that they read too.
    streams: Vec<TcpStream>,
    last_byte: Vec<u8>,
}

impl Finishers {
    /// So many, no more than eight of one user: what they say is within every budget.
    fn begin(stage: &Stage, mint: &Mint, count: usize) -> (Finishers, Vec<Peer>) {
        let (mut streams, mut peers, mut last_byte) = (Vec::new(), Vec::new(), Vec::new());
        for number in 0..count {
            let token = mint.token(&crowd::user(2 + number / 8));
            let mut peer = Peer::open(address(2, number), stage.address(), Some(&token))
                .expect("a connection");
            let message = crowd::long(&token, 16 * 1_024, number, None);
            let (last, begin) = message.split_last().expect("it is long");
            peer.send(begin).expect("the server reads");
            last_byte.push(*last);
            streams.push(peer.stream.try_clone().expect("a descriptor"));
            peers.push(peer);
        }
        (Finishers { streams, last_byte }, peers)
    }

    fn finish(&mut self) {
        for (stream, last) in self.streams.iter_mut().zip(&self.last_byte) {
            // A socket takes one byte, whether it waits or not.
            stream.write_all(&[*last]).expect("the socket takes it");
        }
    }
}

fn long_messages_at_once(arena: &mut Arena) {
    for is_asleep in [false, true] {
        for count in [17, 20, 40, 64] {
            let stage = stage_of(10, &[]);
            let mint = Mint::of(&stage.home);
            let others = members(&stage, 1, 40);
            let (mut finishers, speakers) = Finishers::begin(&stage, &mint, count);
            let crowd = Crowd::prompt(others.into_iter().chain(speakers).collect());
            thread::sleep(Duration::from_millis(50));
            if is_asleep {
                stage.server.signal("-STOP");
            }
            finishers.finish();
            if is_asleep {
                thread::sleep(Duration::from_millis(50));
                stage.server.signal("-CONT");
            }
            crowd.wait_for(count * (40 + count));
            let listeners = crowd.stop();
            let how = if is_asleep { "asleep" } else { "awake" };
            all_hear(arena, &format!("{count} {how}"), &listeners, count);
        }
    }
}

/// Nobody was put out, and everybody heard so many messages.
fn all_hear(arena: &mut Arena, what: &str, listeners: &[Listener], messages: usize) {
    let gone = listeners.iter().filter(|one| one.is_gone).count();
    let short = listeners.iter().filter(|one| one.heard != messages);
    let short: Vec<usize> = short.map(|one| one.heard).collect();
    arena.saw(format!("{what}: {gone} of {} closed", listeners.len()));
    arena.must(gone == 0, format!("{what}: {gone} closed"));
    arena.must(
        short.is_empty(),
        format!(
            "{what}: {} heard {:?} of {messages}",
            short.len(),
            short.first()
        ),
    );
}

fn outbox_of_two_messages(arena: &mut Arena) {
    let settings = [
        "--max-message",
        "2KiB",
        "--max-message-before-login",
        "2KiB",
        "--max-outbox",
        "4KiB",
    ];
    let stage = stage_of(2, &settings);
    let mint = Mint::of(&stage.home);
    let mut speaker = stage.member(address(3, 0));
    let crowd = Crowd::prompt(members(&stage, 1, 40));
    let rounds = arena.size(5, 20);
    let upgrade = upgrade_head(&bearer(&mint.token("bob")));
    let four: Vec<u8> = (0..4)
        .flat_map(|id| crowd::long(&stage.token, 2_000, id, None))
        .collect();
    let (mut answered, mut asked) = (0, 0);
    for round in 0..rounds {
        let mut newcomers: Vec<Peer> = (0..3)
            .map(|n| stage.connect(address(4, 3 * round + n)))
            .collect();
        stage.server.signal("-STOP");
        for newcomer in &mut newcomers {
            newcomer
                .send(upgrade.as_bytes())
                .expect("the socket takes it");
        }
        speaker.send(&four).expect("the socket takes it");
        thread::sleep(Duration::from_millis(10));
        stage.server.signal("-CONT");
        for mut newcomer in newcomers {
            asked += 1;
            let answer = newcomer.answer().unwrap_or_default();
            answered += usize::from(answer.starts_with("HTTP/1.1 101 "));
        }
        for _ in 0..8 {
            // Its own four, and that each was delivered.
            speaker.next_text().expect("the speaker hears itself");
        }
    }
    crowd.wait_for(rounds * 4 * 40);
    let listeners = crowd.stop();
    all_hear(arena, "40 others", &listeners, rounds * 4);
    arena.saw(format!("{answered} of {asked} handshakes answered first"));
    arena.must(answered == asked, "something else came before a 101");
}

/// How long others wait for their answers while nothing else goes on.
fn calm(arena: &Arena, stage: &Stage) -> Duration {
    let others = stage.bob();
    thread::sleep(arena.size(Duration::from_millis(500), Duration::from_secs(3)));
    others.stop().percentile(99)
}

/// The least that is called calm: the kernel's own work for thousands of sockets comes and goes in
/// such pieces.
const CALM_MIN: Duration = Duration::from_micros(200);

/// A bound by what is calm on this machine.
fn as_calm(arena: &mut Arena, what: &str, calm: Duration, others: &Latencies) {
    let p99 = others.percentile(99);
    arena.saw(format!(
        "others' p99 {} (calm {})",
        millis(p99),
        millis(calm)
    ));
    arena.must(
        others.lost == 0,
        format!("{what}: others lost {}: {}", others.lost, others.error),
    );
    arena.must_be_within(
        p99,
        calm.max(CALM_MIN) * 3,
        &format!("{what}: others had to wait"),
    );
}

fn one_write_to_many(arena: &mut Arena) {
    let sizes = arena.size(
        [(300, 1), (200, 8)].as_slice(),
        &[(9_000, 1), (6_000, 2), (4_000, 32)],
    );
    for &(count, attackers) in sizes {
        let what = format!("{count} x {attackers}");
        let mut stage = stage_of(users_for(count), &[]);
        let crowd = Crowd::prompt(members(&stage, 1, count));
        arena.run_first(&mut stage);
        let calm = calm(arena, &stage);
        let mut hostile: Vec<Peer> = (0..attackers)
            .map(|n| stage.member(address(77, n)))
            .collect();
        for peer in &hostile {
            peer.stream.set_nonblocking(true).expect("a socket");
        }
        let before = stage.probe.resident_bytes();
        let others = stage.bob();
        let peak = Peak::watch(stage.probe);
        let burst = crowd::tiny(&stage.token).repeat(200);
        for peer in &mut hostile {
            // What a socket does not take, it does not take.
            let _ = peer.stream.write(&burst);
        }
        let attack = Instant::now();
        while attack.elapsed() < arena.size(Duration::from_secs(1), Duration::from_secs(6)) {
            thread::sleep(Duration::from_millis(20));
            for peer in &mut hostile {
                let _ = peer.take_ready();
            }
        }
        let growth = peak.stop().saturating_sub(before);
        let others = others.stop();
        let (heard, gone) = (crowd.heard(), crowd.gone());
        crowd.stop();
        arena.saw(format!(
            "{what}: {gone} closed, {heard} heard, RSS +{} at the most",
            kib(growth)
        ));
        arena.must(gone == 0, format!("{what}: {gone} closed"));
        arena.must(heard > count, format!("{what}: nothing was heard"));
        arena.must(
            growth <= 32 * 1_024 * 1_024,
            format!("{what}: more held than MEMORY"),
        );
        as_calm(arena, &what, calm, &others);
    }
}

fn tiny_broadcasts(arena: &mut Arena) {
    let count = arena.size(300, 4_000);
    let mut stage = stage_of(users_for(count), &[]);
    let crowd = Crowd::prompt(members(&stage, 1, count));
    arena.run_first(&mut stage);
    let calm = calm(arena, &stage);
    let mut hostile = stage.member(address(77, 0));
    hostile.stream.set_nonblocking(true).expect("a socket");
    let message = crowd::tiny(&stage.token);
    let others = stage.bob();
    let (cpu, began) = (stage.probe.cpu(), Instant::now());
    let sent = say_at(
        &mut hostile,
        &message,
        94,
        arena.size(Duration::from_secs(2), Duration::from_secs(8)),
    );
    let share = stage.probe.cpu().since(cpu).total().as_secs_f64() / began.elapsed().as_secs_f64();
    let others = others.stop();
    let messages = sent.said - sent.limited;
    crowd.wait_for(messages * count);
    let listeners = crowd.stop();
    arena.saw(format!(
        "{} said, {} refused; {:.0} % of a core",
        sent.said,
        sent.limited,
        share * 100.0
    ));
    all_hear(arena, &format!("{count} members"), &listeners, messages);
    arena.must(!sent.is_gone, "the sender was put out");
    as_calm(arena, "94 a second", calm, &others);
}

/// What came of saying the same thing again and again.
#[derive(Default)]
struct Said {
    said: usize,
    /// How often the speaker was told `rate_limited`, with when to try again.
    limited: usize,
    /// How often it was told something else that is no broadcast.
    otherwise: Vec<String>,
    is_gone: bool,
}

/// Says it so many times a second; the socket waits for nothing.
fn say_at(peer: &mut Peer, message: &[u8], rate: usize, duration: Duration) -> Said {
    let began = Instant::now();
    let (mut unsent, mut said) = (Vec::new(), Said::default());
    while began.elapsed() < duration && !said.is_gone {
        let due = began.elapsed().as_millis() as usize * rate / 1_000;
        while said.said < due {
            unsent.extend_from_slice(message);
            said.said += 1;
        }
        while let Ok(count @ 1..) = peer.stream.write(&unsent) {
            unsent.drain(..count);
        }
        hear_answers(peer, &mut said);
        thread::sleep(Duration::from_millis(2));
    }
    said
}

fn hear_answers(peer: &mut Peer, said: &mut Said) {
    let (frames, is_gone) = peer.take_ready();
    said.is_gone = is_gone;
    for text in frames.iter().map(peer::Frame::text) {
        if text.contains(r#""code":"rate_limited""#) && text.contains(r#""retryAfter":"#) {
            said.limited += 1;
        } else if text.contains(r#""event":"error""#) {
            said.otherwise.push(text);
        }
    }
}

/// 1 Mbit/s, in bytes.
const SLOW_LINE: usize = 125_000;

fn slow_reader(stage: &Stage, number: usize, token: &str) -> Peer {
    let narrow = peer::connect_narrow(address(1, number), stage.address()).expect("a connection");
    let mut peer = Peer::new(narrow);
    peer.upgrade(Some(token)).expect("an upgrade");
    peer
}

fn long_broadcasts(arena: &mut Arena) {
    let stage = stage_of(20, &[]);
    let mint = Mint::of(&stage.home);
    let readers =
        (0..20).map(|number| slow_reader(&stage, number, &mint.token(&crowd::user(number))));
    to_slow_lines(arena, &stage, readers.collect(), None);
}

fn messages_by_name(arena: &mut Arena) {
    let stage = stage_of(0, &[]);
    let reader = slow_reader(&stage, 0, &stage.home.token("bob"));
    to_slow_lines(arena, &stage, vec![reader], Some("bob"));
}

fn to_slow_lines(arena: &mut Arena, stage: &Stage, readers: Vec<Peer>, to: Option<&str>) {
    let count = readers.len();
    let crowd = Crowd::paced(readers, SLOW_LINE);
    let mut hostile = stage.member(address(77, 0));
    hostile.stream.set_nonblocking(true).expect("a socket");
    let message = crowd::long(&stage.token, 15_000, 1, to);
    let said = say_at(
        &mut hostile,
        &message,
        89,
        arena.size(Duration::from_secs(5), Duration::from_secs(20)),
    );
    let (heard, gone) = (crowd.heard(), crowd.gone());
    crowd.stop();
    arena.saw(format!(
        "{} of 15 KB said, {} told rate_limited; {gone} of {count} closed, who heard {heard}",
        said.said, said.limited
    ));
    arena.must(gone == 0, format!("{gone} closed"));
    arena.must(heard >= 10 * count, "next to nothing was heard");
    arena.must(said.limited > 0, "the sender was not told to wait");
    arena.must(
        said.otherwise.is_empty(),
        format!("the sender was told {:?}", said.otherwise.first()),
    );
    arena.must(!said.is_gone, "the sender was put out");
}

fn burst_before_a_ping(arena: &mut Arena) {
    // A Ping after 2 s of silence, and 1 s for its answer: the burst takes some 12 s to read.
    let stage = stage_of(0, &["--ping-interval", "2s", "--pong-timeout", "1s"]);
    let reader = slow_reader(&stage, 0, &stage.home.token("bob"));
    let crowd = Crowd::paced(vec![reader], 20_000);
    let mut hostile = stage.member(address(77, 0));
    thread::sleep(Duration::from_millis(1_700));
    for id in 0..15 {
        hostile
            .send(&crowd::long(&stage.token, 16_000, id, None))
            .expect("the server reads");
    }
    hostile.stream.set_nonblocking(true).expect("a socket");
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(18) && crowd.gone() == 0 {
        thread::sleep(Duration::from_millis(50));
        for ping in hostile.take_ready().0 {
            if ping.opcode == peer::PING {
                let _ = hostile.send(&peer::frame(peer::FIN | peer::PONG, &ping.payload));
            }
        }
    }
    let took = began.elapsed();
    let reader = crowd.stop().pop().expect("there is one");
    arena.saw(format!(
        "{} of 15 heard; closed: {} after {}",
        reader.heard,
        reader.is_gone,
        millis(took)
    ));
    arena.must(!reader.is_gone, "he was put out while he read");
    arena.must(reader.heard == 15, "he did not hear all");
}
