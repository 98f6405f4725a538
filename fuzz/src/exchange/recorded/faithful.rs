//! The script of a recording makes the server say what the recorded one said, on every connection.

use std::net::SocketAddr;

use framegate::internals::record::{record, replay};
use framegate::internals::server::Peer;
use framegate::internals::time::UnixSeconds;

use super::super::clocks::Clocks;
use super::super::sockets::End;
use super::super::transcript::Transcript;
use super::super::{SECRET, START, World, compose, config, keys, records};
use super::tests::File;
use super::*;
use crate::token::sign;

/// A recording of a server in a world that `prepared` may change, while its peers do what `lines` say.
fn live(lines: &str, prepared: impl FnOnce(&mut World)) -> Vec<u8> {
    recording(&compose(lines).unwrap(), prepared)
}

fn recording(script: &[u8], prepared: impl FnOnce(&mut World)) -> Vec<u8> {
    let file = File::default();
    let mut world = World::of(script, |users| {
        record(Box::new(file.clone()), config(), keys(), users, 1)
    });
    prepared(&mut world);
    records(script).for_each(|record| world.play(&record));
    world.turn.core.end();
    file.0.take()
}

/// What the peers heard in a recording, with the number of the connection in front: the first is 0.
fn heard(file: &[u8]) -> Vec<String> {
    let mut connections: Vec<(u32, Transcript, End)> = Vec::new();
    let mut lines = Vec::new();
    let replayed = replay(file, &mut |_, id, seen| {
        if let Seen::Accepted(_) = seen {
            connections.push((id.serial, Transcript::default(), End::default()));
        }
        let mut all = connections.iter_mut().zip(0..);
        let place = all.find(|((serial, ..), _)| *serial == id.serial);
        let ((_, transcript, end), number) = place.unwrap();
        match seen {
            Seen::Written(bytes) => end.heard.extend(bytes),
            Seen::Ended(Ending::Fin) => end.end = Some("finished"),
            Seen::Ended(Ending::Close) => end.end = Some("closed"),
            Seen::Ended(Ending::Reset) => end.end = Some("reset"),
            _ => {}
        }
        transcript.hear(0, end);
        let text = std::mem::take(&mut transcript.text);
        lines.extend(text.lines().map(|line| format!("{number}:{}", &line[1..])));
    });
    replayed.unwrap();
    lines
}

/// Makes a script of the recording, plays it and compares. Returns what was heard.
fn is_the_same_again(file: &[u8]) -> Vec<String> {
    let again = recording(&recorded(file).unwrap(), |_| {});
    let (was, is) = (heard(file), heard(&again));
    assert_eq!(is, was);
    was
}

/// Sets the clocks of a world.
fn set(world: &mut World, start: Now, steps: &[Now]) {
    world.clocks = Clocks::new(start, steps);
    world.now = start;
}

fn start(uptime_micros: u64, fraction: Duration) -> Now {
    Now {
        monotonic: Instant::from_micros(uptime_micros),
        unix: START,
        fraction,
    }
}

/// A token of alice that ends so many seconds after the start.
fn token_until(seconds: u64) -> String {
    let (iat, exp) = (
        START.0 - 1_000,
        START.0 + seconds - config().leeway.as_secs(),
    );
    let claims = format!(r#"{{"sub":"alice","iat":{iat},"exp":{exp}}}"#);
    sign(SECRET, br#"{"alg":"HS256"}"#, claims.as_bytes())
}

fn says(peer: u8, token: &str) -> String {
    format!(
        "{peer} text {{\"token\":\"{token}\",\"event\":\"message\",\"data\":\"from {peer}\"}}\n"
    )
}

fn count(lines: &[String], part: &str) -> usize {
    lines.iter().filter(|line| line.contains(part)).count()
}

#[test]
fn who_was_shut_out_is_shut_out_again() {
    let lines: String = (0..3)
        .zip(["$alice", "$bob", "$carol"])
        .map(|(peer, token)| format!("{peer} upgrade\n{}", says(peer, token)))
        .collect();
    let file = live(&lines, |world| {
        assert!(world.store.set_disabled("bob", true));
        assert_eq!(world.store.revoke("carol", START), Ok(true));
    });
    let heard = is_the_same_again(&file);
    assert_eq!(count(&heard, "from 0"), 1, "{heard:?}");
    assert_eq!(count(&heard, "disabled"), 2, "{heard:?}");
    assert_eq!(count(&heard, "revoked"), 2, "{heard:?}");
}

/// Just before a token's end and just after it, wherever in its second the clock began.
#[test]
fn the_clocks_begin_where_they_did() {
    let leeway = config().leeway.as_millis() as i64;
    for (uptime, micros) in [(0, 750_000), (123_456_789, 999_999), (7_777, 400), (0, 0)] {
        for (away, refused) in [(-50_i64, 0), (50, 1)] {
            let end = 5_000 + leeway - micros / 1_000 + away;
            let says = says(0, &token_until(5));
            let lines = format!("0 upgrade\npause {end}\n{says}1 upgrade\n");
            let file = live(&lines, |world| {
                set(
                    world,
                    start(uptime, Duration::from_micros(micros as u64)),
                    &[],
                );
            });
            let heard = is_the_same_again(&file);
            let case = format!("{uptime} {micros} {away} {heard:?}");
            assert_eq!(count(&heard, "Close 300"), refused, "{case}");
        }
    }
}

#[test]
fn what_happens_after_the_last_byte_happens_again() {
    let lines = format!(
        "0 upgrade\n{}1 hears\npause 25000",
        says(0, &token_until(15))
    );
    for uptime in [0, 1, 5_000, 16_383, 98_765_432] {
        let file = live(&lines, |world| {
            set(world, start(uptime, Duration::from_micros(987_654)), &[]);
        });
        let heard = is_the_same_again(&file);
        assert_eq!(count(&heard, "0: < Close 3000"), 1, "{heard:?}");
        assert_eq!(count(&heard, "1: closed"), 1, "{heard:?}");
    }
}

#[test]
fn who_is_silent_is_there_and_who_is_slow_came_early() {
    let mut lines = "0 hears\n1 hears\npause 9000\n2 raw GET /health HTTP/1.1\\r\\n\n".to_owned();
    lines += "pause 500\n1 raw GET /health HT\npause 800\n1 raw TP/1.1\\r\\nHost: x\\r\\n\\r\\n\n";
    lines += "2 raw Host: x\\r\\n\\r\\n\npause 30000\n";
    let heard = is_the_same_again(&live(&lines, |_| {}));
    assert_eq!(count(&heard, "2: < HTTP 200"), 1, "{heard:?}");
    assert_eq!(count(&heard, "1: < HTTP 200"), 0, "{heard:?}");
}

#[test]
fn a_clock_that_is_set_is_set_again() {
    let token = token_until(600);
    for (seconds, gone) in [(3_600, 1), (-300, 0), (1, 0)] {
        let lines = format!(
            "0 upgrade\n{}pause 20000\n{}pause 2000",
            says(0, &token),
            says(0, &token)
        );
        let file = live(&lines, |world| {
            let start = start(4_321, Duration::from_millis(20));
            let step = Now {
                monotonic: start.monotonic + Duration::from_millis(10_000),
                unix: UnixSeconds(START.0.saturating_add_signed(seconds)),
                fraction: Duration::from_micros(999_001),
            };
            set(world, start, &[step]);
        });
        let heard = is_the_same_again(&file);
        assert_eq!(count(&heard, "Close 3000"), gone, "{heard:?}");
    }
}

#[test]
fn peers_of_one_address_are_counted_together_again() {
    let round: String = (0..6)
        .map(|peer| format!("{peer} upgrade\n{peer} text {{\"token\":\"x\",\"event\":\"refresh\"}}\n{peer} fin\npause 100\n"))
        .collect();
    for shared in [true, false] {
        let file = live(&round.repeat(8), |world| {
            for (peer, number) in world.who.iter_mut().zip(1..) {
                let last = if shared { 1 } else { number };
                *peer = Peer::from(SocketAddr::from((
                    [127, 0, 0, last],
                    40_000 + u16::from(number),
                )));
            }
        });
        let heard = is_the_same_again(&file);
        assert_eq!(count(&heard, "HTTP 101") < 48, shared, "{heard:?}");
    }
}

#[test]
fn a_clock_that_runs_away_is_told_at_once() {
    let far = |micros| {
        let script = compose("0 hears\n1 raw x\n").unwrap();
        let file = File::default();
        let mut world = World::of(&script, |users| {
            record(Box::new(file.clone()), config(), keys(), users, 1)
        });
        for record in records(&script) {
            world.play(&record);
            world.now.monotonic = Instant::from_micros(micros);
        }
        world.turn.core.end();
        file.0.take()
    };
    for micros in [u64::MAX / 2, 400 * 86_400 * 1_000_000] {
        let refused = recorded(&far(micros)).unwrap_err();
        assert_eq!(refused, "the recording lasts longer than a year");
    }
}

#[test]
fn a_recording_of_more_than_a_script_holds_is_refused_without_holding_it() {
    let bytes = vec![b'x'; 16 * 1_024 * 1_024];
    let mut made = Made::default();
    made.see(
        start(0, Duration::ZERO),
        7,
        &Seen::Accepted(World::new(b"").who[0]),
    );
    for _ in 0..100 {
        made.see(start(0, Duration::ZERO), 7, &Seen::Received(&bytes));
    }
    assert!(made.records.len() <= RECORDS_BYTES_MAX + 8_192);
    assert_eq!(made.refused.unwrap(), "the script is longer than 64 MiB");

    let mut made = Made::default();
    for second in 0..2 * STEPS_MAX as u64 {
        let now = start(0, Duration::from_millis(500 * (second % 2)));
        made.see(now, 7, &Seen::Finished);
    }
    assert_eq!(made.steps.len(), STEPS_MAX);
    assert_eq!(made.refused.unwrap(), "the clock was set 65536 times");
}
