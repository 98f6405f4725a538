//! Rows "Login, users, logs".

use std::io::Write as _;
use std::net::Ipv4Addr;
use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

use crate::arena::{Arena, HONEST, Row, Stage, kib, millis};
use crate::peer::{self, CLOSE, End, FIN, Peer, TEXT, address, bearer, frame, upgrade_head};
use crate::support::{Home, password_of, text};

pub(crate) const ROWS: &[Row] = &[
    Row {
        name: "login_flood",
        attack: "500 logins a second",
        bound: "others' frames p99 < 20 ms; hash queue <= 16, the rest told busy",
        run: login_flood,
    },
    Row {
        name: "known_against_unknown",
        attack: "known against unknown id",
        bound: "same bytes, same time (Welch |t| < 4.5 over 400 each)",
        run: known_against_unknown,
    },
    Row {
        name: "guesses",
        attack: "100 guesses at one account, by both ways in",
        bound: "throttled per address and per id on both",
        run: guesses,
    },
    Row {
        name: "passwords",
        attack: "password of 1 MiB, NUL, empty",
        bound: "refused before hashing",
        run: passwords,
    },
    Row {
        name: "costly_hash",
        attack: "a stored hash with m of 4 GiB",
        bound: "refused before hashing",
        run: costly_hash,
    },
    Row {
        name: "silent_listeners",
        attack: "a silent listener expires, is removed, disabled, revoked",
        bound: "no broadcast after that instant, closed <= 1 s",
        run: silent_listeners,
    },
    Row {
        name: "killed_additions",
        attack: "SIGKILL during `user add`",
        bound: "a user is there whole or not at all",
        run: killed_additions,
    },
    Row {
        name: "hostile_text",
        attack: "CR, LF, ESC, NUL, U+202E, 10 KiB in id, path, Origin, close reason",
        bound: "one escaped line of <= 512 bytes an event; no token, secret or password",
        run: hostile_text,
    },
    Row {
        name: "failing_frames",
        attack: "failing frames as fast as they come",
        bound: "log lines <= LOG_RATE, the dropped ones counted",
        run: failing_frames,
    },
];

/// Says `{"id","password"}` over HTTP, and returns all that is answered.
fn login(stage: &Stage, from: Ipv4Addr, id: &str, password: &str) -> String {
    let body = format!(r#"{{"id":"{id}","password":"{password}"}}"#);
    post(stage, from, body.as_bytes())
}

fn post(stage: &Stage, from: Ipv4Addr, body: &[u8]) -> String {
    let mut peer = begin_post(stage, from, body);
    peer.rest().0
}

fn begin_post(stage: &Stage, from: Ipv4Addr, body: &[u8]) -> Peer {
    let mut peer = stage.connect(from);
    let length = body.len();
    let head = format!("POST /login HTTP/1.1\r\nHost: h\r\nContent-Length: {length}\r\n\r\n");
    // The server may answer, and end, on the head alone.
    let _ = peer.send(&[head.as_bytes(), body].concat());
    peer
}

fn status(answer: &str) -> &str {
    answer.get(9..12).unwrap_or_default()
}

fn login_frame(id: &str, password: &str) -> String {
    format!(r#"{{"event":"login","id":1,"data":{{"id":"{id}","password":"{password}"}}}}"#)
}

fn login_flood(arena: &mut Arena) {
    // What a hash costs by default; in the tests' unoptimized build, what takes as long.
    let cost = arena.size("512KiB", "19MiB");
    let stage = Stage::new(&["--password-memory", cost]);
    let others = stage.caller();
    let seconds = arena.size(2, 5);
    let (began, mut sent) = (Instant::now(), 0);
    let mut waiting: Vec<(Peer, Instant)> = Vec::new();
    let (mut failed, mut busy, mut other, mut queue_max) = (0, 0, Vec::new(), 0);
    while sent < 500 * seconds || !waiting.is_empty() {
        while sent < 500 * seconds && began.elapsed() >= Duration::from_millis(2 * sent as u64) {
            // Neither an address nor an id comes twice: no rate answers for the queue.
            let body = format!(r#"{{"id":"user{sent}","password":"wrong"}}"#);
            let peer = begin_post(&stage, address(1, sent), body.as_bytes());
            peer.stream.set_nonblocking(true).expect("a socket");
            waiting.push((peer, Instant::now()));
            sent += 1;
        }
        waiting.retain_mut(|(peer, _)| {
            let Some(answer) = peer.answer_if_ended() else {
                return true;
            };
            match (status(&answer), answer.contains(r#""code":"busy""#)) {
                ("401", _) => failed += 1,
                ("503", true) => busy += 1,
                _ => other.push(answer),
            }
            false
        });
        // Who has no answer after this long waits for a hash, and not for a busy machine.
        let queued = |(_, since): &&(Peer, Instant)| since.elapsed() > Duration::from_millis(250);
        queue_max = queue_max.max(waiting.iter().filter(queued).count());
        if began.elapsed() > Duration::from_secs(seconds as u64 + 20) {
            break;
        }
        thread::sleep(Duration::from_millis(1));
    }
    let others = others.stop();
    arena.saw(format!(
        "{sent} in {:.1} s: {failed} hashed, {busy} told busy, {} else; <= {queue_max} waited; \
         others p50 {}, p99 {}",
        began.elapsed().as_secs_f64(),
        other.len(),
        millis(others.percentile(50)),
        millis(others.percentile(99))
    ));
    arena.must(other.is_empty(), format!("{:?}", other.first()));
    arena.must(waiting.is_empty(), "some were never answered");
    arena.must(queue_max <= 16, "more than 16 waited");
    arena.must(
        failed > 0 && busy > 0,
        "either nobody was hashed or nobody told busy",
    );
    arena.must(others.lost == 0, format!("others lost {}", others.lost));
    arena.must_be_within(
        others.percentile(99),
        Duration::from_millis(20),
        "others had to wait",
    );
}

/// Welch's t of two samples (Welch 1947): how surely their means differ.
fn welch_t(one: &[f64], two: &[f64]) -> f64 {
    let moments = |sample: &[f64]| {
        let count = sample.len() as f64;
        let mean = sample.iter().sum::<f64>() / count;
        let variance = sample.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / (count - 1.0);
        (mean, variance / count)
    };
    let ((mean_one, error_one), (mean_two, error_two)) = (moments(one), moments(two));
    (mean_one - mean_two) / (error_one + error_two).sqrt()
}

fn known_against_unknown(arena: &mut Arena) {
    // 64 KiB for a hash, not 19 MiB: what differs otherwise shows the sooner.
    let stage = Stage::new(&[
        "--login-rate",
        "0/s",
        "--ban-after",
        "0",
        "--connect-rate",
        "0/s",
    ]);
    let rounds = arena.size(200, 400);
    let (mut known, mut unknown) = (Vec::new(), Vec::new());
    let mut answers = Vec::new();
    for round in 0..rounds + 20 {
        let ids = [("alice", true), ("carol", false)];
        // Interleaved, and who comes first changes: what drifts, drifts for both.
        for turn in 0..2 {
            let (id, is_known) = ids[(turn + round) % 2];
            let began = Instant::now();
            let answer = login(&stage, address(1, 0), id, "wrong");
            let micros = began.elapsed().as_secs_f64() * 1e6;
            // The same but for the second it was given in.
            let answer: Vec<String> = answer
                .lines()
                .filter(|line| !line.starts_with("Date: "))
                .map(str::to_owned)
                .collect();
            if !answers.contains(&answer) {
                answers.push(answer);
            }
            match is_known {
                _ if round < 20 => {}
                true => known.push(micros),
                false => unknown.push(micros),
            }
        }
    }
    // The slowest of each tell of this machine: as many go on both sides.
    for sample in [&mut known, &mut unknown] {
        sample.sort_by(f64::total_cmp);
        sample.truncate(rounds * 95 / 100);
    }
    let t = welch_t(&known, &unknown);
    let median = |sample: &[f64]| sample[sample.len() / 2];
    let frames: Vec<String> = ["alice", "carol"]
        .map(|id| {
            let mut peer = stage.stranger(address(2, 0));
            peer.text(&login_frame(id, "wrong"))
                .expect("the server reads");
            peer.next_text().unwrap_or_default()
        })
        .into();
    arena.saw(format!(
        "{} each (64 KiB a hash, slowest 5 % left out): median {:.0} and {:.0} us, t {t:.2}; bytes \
         same: {}",
        rounds,
        median(&known),
        median(&unknown),
        answers.len() == 1 && frames[0] == frames[1]
    ));
    // The table judges; the tests see only what no busy machine explains.
    let t_max = arena.size(20.0, 4.5);
    arena.must(t.abs() < t_max, "the times tell them apart");
    arena.must(answers.len() == 1, format!("the bytes differ: {answers:?}"));
    arena.must(
        frames[0] == frames[1] && frames[0].contains("login_failed"),
        format!("{frames:?}"),
    );
}

fn guesses(arena: &mut Arena) {
    let stage = Stage::new(&["--ban-after", "0"]);
    let began = Instant::now();
    // What the rate adds while it is attacked: one each six seconds.
    let allowed = |began: Instant| 10 + 1 + began.elapsed().as_secs() as usize / 6;
    let guess = |number: usize, from: Ipv4Addr, id: &str| {
        if number.is_multiple_of(2) {
            return status(&login(&stage, from, id, "guess")) == "401";
        }
        let mut peer = stage.stranger(from);
        peer.text(&login_frame(id, "guess"))
            .expect("the server reads");
        let answer = peer.next_text().unwrap_or_default();
        assert!(
            answer.contains("login_failed") || answer.contains("rate_limited"),
            "{answer}"
        );
        answer.contains("login_failed")
    };
    let of_id = (0..100)
        .filter(|n| guess(*n, address(1, *n), "alice"))
        .count();
    let of_address = (0..100)
        .filter(|n| guess(*n, address(2, 0), &format!("user{n}")))
        .count();
    let bound = allowed(began);
    // Who knows the password waits too; the id is guarded, not the guesser.
    let other = login(&stage, HONEST, "bob", &password_of("bob"));
    arena.saw(format!(
        "of 100 guesses from 100 addresses {of_id} were checked; of 100 ids from one address \
         {of_address}; bob logs in: {}",
        status(&other)
    ));
    arena.must((1..=bound).contains(&of_id), "not throttled per id");
    arena.must(
        (1..=bound).contains(&of_address),
        "not throttled per address",
    );
    arena.must(status(&other) == "200", "somebody else suffers");
}

fn passwords(arena: &mut Arena) {
    // A hash that would be seen.
    let stage = Stage::new(&["--password-memory", arena.size("4MiB", "64MiB")]);
    let cpu = stage.probe.cpu();
    let resident = stage.probe.resident_bytes();
    let rounds = 20;
    for round in 0..rounds {
        let long = login(
            &stage,
            address(1, 3 * round),
            "alice",
            &"x".repeat(1_024 * 1_024),
        );
        arena.must(
            ["413", ""].contains(&status(&long)),
            format!("1 MiB: {long:?}"),
        );
        let over = login(
            &stage,
            address(1, 3 * round + 1),
            "alice",
            &"x".repeat(1_025),
        );
        let nul = login(&stage, address(1, 3 * round + 2), "alice", "a\\u0000b");
        let empty = login(&stage, address(1, 3 * round + 2), "alice", "");
        for (name, answer) in [("1,025 bytes", &over), ("NUL", &nul), ("empty", &empty)] {
            arena.must(status(answer) == "400", format!("{name}: {answer:?}"));
        }
    }
    let mut peer = stage.stranger(address(2, 0));
    peer.text(&login_frame("alice", ""))
        .expect("the server reads");
    let framed = peer.next_text().unwrap_or_default();
    arena.must(framed.contains("bad_data"), framed);
    let spent = stage.probe.cpu().since(cpu).total() / (4 * rounds as u32);
    let growth = stage.probe.resident_bytes().saturating_sub(resident);
    arena.saw(format!(
        "413 for 1 MiB, 400 for the rest; {} of CPU each, RSS +{}",
        millis(spent),
        kib(growth)
    ));
    arena.must(growth < 2 * 1_024 * 1_024, "memory was taken as if to hash");
    arena.must(
        spent < Duration::from_millis(5),
        "time was spent as if to hash",
    );
}

fn costly_hash(arena: &mut Arena) {
    let hash = "$argon2id$v=19$m=4194304,t=2,p=1$MDEyMzQ1Njc4OWFiY2RlZg$\
                q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJA";
    let home = Home::with_users(&["alice"]);
    let line = format!(r#"{{"id":"mallory","name":"M","passwordHash":"{hash}"}}"#);
    let import = home.run_with(&["user", "import", "-"], &line);
    let told = text(&import.stderr);
    arena.must(
        !import.status.success() && told.contains("line 1"),
        format!("import: {told}"),
    );
    let database =
        rusqlite::Connection::open(home.path().join("framegate.db")).expect("a database");
    database
        .execute(
            "UPDATE users SET password_hash = ?1 WHERE id = 'alice'",
            [hash],
        )
        .expect("alice is there");
    drop(database);
    let server = home.serve(&[]);
    let stage = Stage::of(home, server);
    let before = stage.probe.resident_bytes();
    let began = Instant::now();
    let answer = login(&stage, address(1, 0), "alice", "whatever");
    let took = began.elapsed();
    let growth = stage.probe.resident_bytes().saturating_sub(before);
    arena.saw(format!(
        "import: \"{}\"; from the file: {} in {}, RSS +{}",
        told.trim(),
        status(&answer),
        millis(took),
        kib(growth)
    ));
    arena.must(["401", "503"].contains(&status(&answer)), answer);
    arena.must(growth < 32 * 1_024 * 1_024, "it was hashed");
    arena.must(took < Duration::from_secs(2), "it was hashed");
}

fn silent_listeners(arena: &mut Arena) {
    let users = ["alice", "exp", "gone", "off", "void"];
    let stage = Stage::with_users(&users, &["--rate", "0/s"]);
    let short = stage.home.run(&["token", "mint", "exp", "--ttl", "3s"]);
    let short = text(&short.stdout).trim().to_owned();
    let minted = std::time::SystemTime::now();
    let from = |n| address(1, n);
    let listen = |n: usize, token: &str| {
        let peer = Peer::open(from(n), stage.address(), Some(token)).expect("an upgrade");
        peer.stream.set_nonblocking(true).expect("a socket");
        peer
    };
    let mut listeners: Vec<Peer> = vec![listen(0, &short)];
    listeners.extend((1..4).map(|n| listen(n, &stage.home.token(users[n + 1]))));
    // Three of the four end by a command; when it is through, they are on their way out.
    let (mut sender, token) = (stage.member(HONEST), stage.token.clone());
    let commands: [&[&str]; 3] = [
        &["user", "rm", "gone"],
        &["user", "disable", "off"],
        &["user", "revoke", "void"],
    ];
    let began = Instant::now();
    let mut due: Vec<Option<Instant>> = vec![None; 4];
    // At the latest, what `--ttl` says, counted from the mint's last moment.
    let left = Duration::from_secs(3).saturating_sub(minted.elapsed().unwrap_or_default());
    due[0] = Some(began + left);
    for (number, command) in commands.iter().enumerate() {
        let done = stage.home.run(command);
        arena.must(done.status.success(), text(&done.stderr));
        due[number + 1] = Some(Instant::now());
    }
    let mut closed: Vec<Option<(Instant, Option<u16>)>> = vec![None; 4];
    let mut last: Vec<Option<Instant>> = vec![None; 4];
    while closed.contains(&None) && began.elapsed() < Duration::from_secs(6) {
        let message = format!(r#"{{"token":"{token}","event":"message","data":1}}"#);
        sender.text(&message).expect("the server reads");
        sender.next_text().expect("the sender hears it");
        for (number, peer) in listeners.iter_mut().enumerate() {
            let now = Instant::now();
            let (frames, _) = peer.take_ready();
            for frame in frames {
                match frame.close_code() {
                    Some(code) => closed[number] = Some((now, Some(code))),
                    None if frame.text().contains(r#""event":"message""#) => {
                        last[number] = Some(now)
                    }
                    None => {}
                }
            }
        }
        thread::sleep(Duration::from_millis(5));
    }
    let expected = [3_000, 3_003, 3_003, 3_000];
    for number in 0..4 {
        let name = ["expired", "removed", "disabled", "revoked"][number];
        let due = due[number].expect("all are due");
        let after = |at: Instant| at.saturating_duration_since(due);
        let (at, code) = closed[number].unwrap_or((Instant::now(), None));
        arena.must(code == Some(expected[number]), format!("{name}: {code:?}"));
        let heard = last[number].map(after).unwrap_or_default();
        arena.saw(format!(
            "{name}: last heard +{}, closed +{}",
            millis(heard),
            millis(after(at))
        ));
        arena.must_be_within(
            after(at),
            Duration::from_secs(1),
            &format!("{name}: closed late"),
        );
        // The contract refuses 50 ms after the commit; the rest is for a slow machine.
        arena.must_be_within(
            heard,
            Duration::from_millis(150),
            &format!("{name}: heard on"),
        );
    }
}

fn killed_additions(arena: &mut Arena) {
    let rounds = arena.size(25, 200);
    let home = Home::with_users(&["alice"]);
    let began = Instant::now();
    home.run_with(
        &["user", "add", "zoe", "--password-stdin"],
        &password_of("zoe"),
    );
    let usual = began.elapsed();
    let mut finished = 0;
    for round in 0..rounds {
        let id = format!("u{round}");
        let mut child = home
            .command(&["user", "add", &id, "--password-stdin"])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the program starts");
        let mut stdin = child.stdin.take().expect("it is piped");
        let _ = stdin.write_all(password_of(&id).as_bytes());
        drop(stdin);
        // From its very start to a little past its end.
        thread::sleep(usual * (round as u32 * 13 % rounds as u32) * 5 / 4 / rounds as u32);
        let _ = child.kill();
        finished += usize::from(child.wait().is_ok_and(|status| status.success()));
    }
    let server = home.serve(&[
        "--login-rate",
        "0/s",
        "--ban-after",
        "0",
        "--connect-rate",
        "0/s",
    ]);
    let stage = Stage::of(home, server);
    let list = text(&stage.home.run(&["user", "list"]).stdout);
    let (mut whole, mut broken) = (0, 0);
    for round in 0..rounds {
        let id = format!("u{round}");
        let is_there = list
            .lines()
            .any(|line| line.split('\t').next() == Some(id.as_str()));
        let answer = login(&stage, address(1, round), &id, &password_of(&id));
        match (is_there, status(&answer)) {
            (true, "200") => whole += 1,
            (false, "401") => {}
            _ => broken += 1,
        }
    }
    let path = stage.home.path().join("framegate.db");
    let database = rusqlite::Connection::open(path).expect("a database");
    let sound: String = database
        .query_row("PRAGMA integrity_check", [], |row| row.get(0))
        .expect("an answer");
    arena.saw(format!(
        "{rounds} killed over {}: {whole} whole ({finished} had ended), {} not there, {broken} \
         neither; integrity {sound}",
        millis(usual * 5 / 4),
        rounds - whole - broken
    ));
    arena.must(broken == 0, "some are there by half");
    arena.must(
        whole >= finished,
        "one that was said to be added is not there",
    );
    arena.must(
        whole > 0 && whole < rounds,
        "the kills all came too early or too late to tell",
    );
    arena.must(sound == "ok", sound);
}

fn hostile_text(arena: &mut Arena) {
    let mut stage = Stage::new(&["--log", "debug", "--log-rate", "0/s"]);
    stage.server.log_until_quiet();
    let long = "A".repeat(7 * 1_024);
    let raw = "\r\n\u{1b}[31m\0\u{202e}WARN refused connection=1 peer=9.9.9.9";
    let in_json = r"\r\n\u001b[31m\u0000\u202eWARN refused connection=1 peer=9.9.9.9";
    let mut from = (0..).map(|n| address(1, n));
    let mut next = || from.next().expect("there are many");
    let mut events = 0;
    for path in [
        format!("/{raw}"),
        format!("/{long}"),
        "/\u{202e}".to_owned(),
    ] {
        let mut peer = stage.connect(next());
        let _ = peer.send(format!("GET {path} HTTP/1.1\r\nHost: h\r\n\r\n").as_bytes());
        peer.rest();
        events += 1;
    }
    for origin in [
        format!("https://{raw}"),
        format!("https://{long}"),
        "\u{202e}".to_owned(),
    ] {
        let mut peer = stage.connect(next());
        let _ = peer.send(upgrade_head(&format!("Origin: {origin}\r\n")).as_bytes());
        peer.rest();
        events += 1;
    }
    for id in [in_json, &long] {
        // A login that fails, and an event nobody knows, by that name.
        let mut peer = stage.stranger(next());
        peer.text(&login_frame(id, "hunter2 in the log"))
            .expect("the server reads");
        let _ = peer.next_text();
        peer.text(&format!(r#"{{"event":"{id}","id":"{id}","token":"{id}"}}"#))
            .expect("the server reads");
        peer.ending();
        events += 1;
    }
    let mut close = 1_000_u16.to_be_bytes().to_vec();
    close.extend(raw.as_bytes());
    let mut peer = stage.member(next());
    peer.send(&frame(FIN | CLOSE, &close))
        .expect("the server reads");
    peer.ending();
    // A token that fails, which the log must not repeat.
    let forged = format!("{}x", stage.token);
    let mut peer = stage.connect(next());
    peer.send(upgrade_head(&bearer(&forged)).as_bytes())
        .expect("the server reads");
    peer.rest();
    let wrong = login(&stage, next(), "alice", "hunter2 in the log");
    arena.must(status(&wrong) == "401", wrong);
    events += 3;

    let log = stage.server.log_until_quiet();
    let longest = log.iter().map(String::len).max().unwrap_or_default();
    let dated = |line: &&String| !line.starts_with("20") || !line.contains("Z ");
    let odd = log
        .iter()
        .find(|line| line.chars().any(|c| c.is_control() || c == '\u{202e}'));
    let secret = std::fs::read_to_string(stage.home.path().join(".env")).expect("a file");
    let secret = secret
        .trim()
        .trim_start_matches("LOCAL_JWT_SECRET=")
        .to_owned();
    let signature = stage
        .token
        .rsplit('.')
        .next()
        .unwrap_or_default()
        .to_owned();
    let secrets = [secret, signature, "hunter2".to_owned()];
    let leak = log
        .iter()
        .find(|line| secrets.iter().any(|secret| line.contains(secret)));
    arena.saw(format!(
        "{events} events, {} lines, the longest {longest} bytes",
        log.len()
    ));
    arena.must(log.len() >= events, "an event left no line");
    arena.must(longest <= 512, "a line is too long");
    arena.must(odd.is_none(), format!("not escaped: {odd:?}"));
    arena.must(
        log.iter().find(dated).is_none(),
        "a line was broken in two, or forged",
    );
    arena.must(leak.is_none(), format!("a secret in the log: {leak:?}"));
}

fn failing_frames(arena: &mut Arena) {
    let seconds = arena.size(2, 5);
    let settings = [
        "--ban-after",
        "0",
        "--connect-rate",
        "0/s",
        "--max-connections-per-ip",
        "0",
    ];
    let mut stage = Stage::new(&settings);
    stage.server.log_until_quiet();
    let to = stage.address();
    let began = Instant::now();
    let end = began + Duration::from_secs(seconds);
    let failing: Vec<_> = (0..4)
        .map(|network| {
            thread::spawn(move || {
                let mut count = 0_usize;
                while Instant::now() < end {
                    let Ok(mut peer) = Peer::connect(address(network + 1, count % 10_000), to)
                    else {
                        continue;
                    };
                    let told = peer
                        .send(upgrade_head("").as_bytes())
                        .and_then(|()| peer.answer());
                    let sent = told.and_then(|_| peer.text("{}"));
                    let ended = sent.is_ok() && peer.ending().1 != End::Never;
                    count += usize::from(ended);
                    // Neither side keeps a port for it.
                    peer::reset(peer.stream);
                }
                count
            })
        })
        .collect();
    let failed: usize = failing
        .into_iter()
        .map(|thread| thread.join().unwrap_or(0))
        .sum();
    let took = began.elapsed();
    // The next line of a new period tells how many were dropped.
    thread::sleep(Duration::from_millis(1_100));
    let mut last = stage.stranger(HONEST);
    last.send(&frame(FIN | TEXT, b"[]"))
        .expect("the server reads");
    last.ending();
    let log = stage.server.log_until_quiet();
    let dropped: usize = log
        .iter()
        .filter_map(|line| line.split_once("lines_dropped=")?.1.parse::<usize>().ok())
        .sum();
    let per_second = failed as f64 / took.as_secs_f64();
    arena.saw(format!(
        "{failed} in {:.1} s ({per_second:.0} a second): {} lines, {dropped} counted as dropped",
        took.as_secs_f64(),
        log.len()
    ));
    arena.must(
        log.len() <= 100 * (took.as_secs() as usize + 3),
        "more lines than LOG_RATE",
    );
    arena.must(failed > 500, "too few to tell");
    arena.must(
        log.len() + dropped >= failed,
        "some are neither logged nor counted",
    );
}
