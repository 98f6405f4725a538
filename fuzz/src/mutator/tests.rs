use super::random::Random;
use super::{Plain, cross, havoc, havocs, message, mutate, mutate_in_place, stream};
use crate::exchange::{
    Known, MAGIC, SECRET, UPGRADE, compose, play, records, setting, write_setting,
};
use crate::token::sign;

const LINES: &str = r#"
    0 upgrade
    0 text {"token":"$alice","event":"getUser","data":{"id":"bob"},"id":1}
    pause 1000
    1 raw GET /health HTTP/1.1\r\nHost: x\r\n\r\n
    1 fin
    2 upgrade
    2 text {"token":"$bob","event":"message","data":"hello"}
"#;

fn no_change(_: &mut Vec<u8>) {}

fn script() -> Vec<u8> {
    compose(LINES).unwrap()
}

#[test]
fn what_is_taken_apart_is_put_together_as_it_was() {
    let script = script();
    assert_eq!(
        stream::put_together(&script, &stream::take_apart(&script)),
        script
    );
    for end in 0..script.len() {
        let again = stream::put_together(&[], &stream::take_apart(&script[..end]));
        let played: Vec<_> = records(&script[..end]).collect();
        assert_eq!(records(&again).collect::<Vec<_>>(), played, "{end} bytes");
    }
}

#[test]
fn the_same_seed_makes_the_same_change_and_another_another() {
    let script = script();
    let made = |seed| mutate(&script, 10_000, seed, &mut no_change);
    assert_eq!(made(1), made(1));
    let different = (0..100)
        .filter(|seed| made(*seed) != made(seed + 1))
        .count();
    assert!(different > 90, "{different}");
    assert!(mutate(&script, 7, 1, &mut no_change).len() <= 7);
}

/// A token that is changed is read: of what a mutator does who knows nothing of signatures, next to
/// nothing is.
#[test]
fn most_of_what_is_changed_is_read_behind_the_signature() {
    let script = script();
    let (mut refused_for_claims, mut refused_for_signature) = (0, 0);
    for seed in 0..400 {
        let state = play(&mutate(&script, 10_000, seed, &mut no_change));
        let state = state.lines().last().unwrap().to_owned();
        let count = |reasons: &[&str]| {
            let is_there = reasons.iter().any(|reason| state.contains(reason));
            usize::from(is_there)
        };
        refused_for_claims += count(&[
            "bad_alg",
            "bad_aud",
            "bad_exp",
            "bad_iat",
            "bad_nbf",
            "bad_sub",
            "other_subject",
            "token_expired",
            "not_yet_valid",
        ]);
        refused_for_signature += count(&["bad_signature", "signature_form", "not_three_parts"]);
    }
    assert!(refused_for_claims > 40, "{refused_for_claims}");
    assert!(refused_for_signature < 20, "{refused_for_signature}");
    assert!(refused_for_signature > 0);
}

#[test]
fn the_engines_own_changes_are_made_where_they_fit() {
    let script = script();
    let mut calls = 0;
    for seed in 0..100 {
        let plain: &mut Plain<'_> = &mut |bytes| {
            calls += 1;
            bytes.push(b'!');
        };
        mutate(&script, 10_000, seed, plain);
    }
    assert!(calls > 20, "{calls}");
}

/// libFuzzer asks for less than it hands over when it makes a finding smaller.
#[test]
fn in_place_is_the_same_at_every_size_and_every_bound() {
    let script = compose("0 raw GET / HTTP/1.1\\r\\n\\r\\n\n1 text {}\n1 fin").unwrap();
    let all = 0..=script.len();
    for (size, size_max) in all
        .clone()
        .flat_map(|size| all.clone().map(move |max| (size, max)))
    {
        for seed in 0..4 {
            let mut place = vec![0; size.max(size_max)];
            place[..size].copy_from_slice(&script[..size]);
            let bytes = mutate_in_place(&mut place, size, size_max, seed, |part, bytes, max| {
                assert!(bytes <= part.len() && max <= part.len());
                bytes
            });
            let made = mutate(&script[..size], size_max, seed.into(), &mut no_change);
            assert_eq!(&place[..bytes], made, "{size} bytes, {size_max} wanted");
            let crossed = cross(&script[..size], &script, size_max, seed.into());
            assert!(made.len() <= size_max && crossed.len() <= size_max);
        }
    }
}

/// As `cargo fuzz tmin` does it: one byte less is asked for, until nothing less will do.
#[test]
fn a_finding_is_made_smaller() {
    let mut least = script();
    for seed in 0..1_000 {
        let bytes = least.len();
        let mut place = least.clone();
        let made = mutate_in_place(&mut place, bytes, bytes - 1, seed, |_, bytes, _| bytes);
        if play(&place[..made]).contains("< HTTP 200 ok") {
            least = place[..made].to_vec();
        }
    }
    assert!(least.len() < 80, "{}", least.escape_ascii());
}

#[test]
fn havoc_changes_bytes_and_makes_some_of_none() {
    for seed in 0..1_000 {
        let mut none = Vec::new();
        havoc(&mut none, seed);
        let mut some = b"0123456789".to_vec();
        havoc(&mut some, seed);
        assert!(none.len() <= 24 && some.len() <= 34, "{seed}");
    }
    let changed = |seed| {
        let mut some = b"0123456789".to_vec();
        havoc(&mut some, seed);
        some != b"0123456789"
    };
    assert!((0..1_000).filter(|seed| changed(*seed)).count() > 950);
}

/// What one call changes says nothing of what the next does, nor do two seeds that follow each other.
#[test]
fn each_change_of_a_mutation_is_another() {
    let changed = |havoc: &mut dyn FnMut(&mut Vec<u8>)| {
        let mut some = b"0123456789".to_vec();
        havoc(&mut some);
        some
    };
    let (mut same, mut all) = (0, std::collections::BTreeSet::new());
    for seed in 0..500 {
        let mut havoc = havocs(seed);
        let calls = [changed(&mut havoc), changed(&mut havoc)];
        let mut again = havocs(seed);
        assert_eq!(calls, [changed(&mut again), changed(&mut again)]);
        same += usize::from(calls[0] == calls[1]);
        all.extend(calls);
    }
    assert!(same < 20 && all.len() > 800, "{same} {}", all.len());
}

#[test]
fn a_cross_begins_as_one_and_ends_as_the_other() {
    let (one, other) = (
        script(),
        compose("5 upgrade\n6 upgrade\n7 upgrade").unwrap(),
    );
    let mut lengths = std::collections::BTreeSet::new();
    for seed in 0..100 {
        let crossed = cross(&one, &other, 10_000, seed);
        let (all, ones, others) = (
            records(&crossed).collect::<Vec<_>>(),
            records(&one).collect::<Vec<_>>(),
            records(&other).collect::<Vec<_>>(),
        );
        let from_one = all.iter().take_while(|record| record.peer < 5).count();
        assert_eq!(all[..from_one], ones[..from_one]);
        assert_eq!(
            all[from_one..],
            others[others.len() - (all.len() - from_one)..]
        );
        lengths.insert((from_one, all.len()));
    }
    assert!(lengths.len() > 10, "{lengths:?}");
}

/// Another world than the usual one: long before it, and with users of its own.
fn script_of_another_world() -> Vec<u8> {
    let mut script = MAGIC.to_vec();
    let users = r#"[{"id":"dora"},{"id":"emil"}]"#;
    let setting = format!(r#"{{"at":1600000000,"users":{users}}}"#);
    write_setting(&mut script, setting.as_bytes());
    let claims = br#"{"sub":"emil","iat":1600000000,"exp":1600003600}"#;
    let token = sign(SECRET, br#"{"alg":"HS256"}"#, claims);
    let lines = format!(
        "0 upgrade\n0 text {{\"token\":\"{token}\",\"event\":\"message\",\"data\":\"here\"}}\n\
         1 raw GET /ws HTTP/1.1\\r\\nHost: x\\r\\nConnection: Upgrade\\r\\nUpgrade: websocket\\r\\n\
         Sec-WebSocket-Version: 13\\r\\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\\r\\n\
         Sec-WebSocket-Protocol: framegate.v1, framegate.bearer.{token}\\r\\n\\r\\n\n"
    );
    script.extend(&compose(&lines).unwrap()[MAGIC.len()..]);
    script
}

#[test]
fn fresh_tokens_are_of_the_scripts_world() {
    let script = script_of_another_world();
    assert!(!play(&script).contains("error"), "{}", play(&script));
    let state = |seed| play(&mutate(&script, 10_000, seed, &mut no_change));
    let states: Vec<_> = (0..300).map(state).collect();
    let count = |part: &str| states.iter().filter(|state| state.contains(part)).count();
    assert!(count("issued_ahead") < 10, "{}", count("issued_ahead"));
    assert!(count(r#""from":"dora""#) > 3);
}

#[test]
fn a_cross_of_two_worlds_is_one_world() {
    let (one, other) = (script(), script_of_another_world());
    let setting_of_other = setting(&other);
    for seed in 0..100 {
        for (one, other, world) in [(&one, &other, &None), (&other, &one, &setting_of_other)] {
            let crossed = cross(one, other, 10_000, seed);
            assert_eq!(setting(&crossed), *world, "{seed}");
            let heard = play(&crossed);
            assert!(!heard.contains("token rejected"), "{seed}: {heard}");
            assert!(!heard.contains("HTTP 401"), "{seed}: {heard}");
            assert!(!heard.contains("HTTP 403"), "{seed}: {heard}");
        }
    }
}

/// Whatever the form of its length, its mask and the bits around them.
#[test]
fn a_frame_stays_as_it_was_written() {
    for payload_bytes in [0, 1, 125, 126, 65_535, 65_536] {
        for (code, length_bytes, bytes_max) in [
            (payload_bytes as u8, 0, 125),
            (126, 2, 65_535),
            (127, 8, usize::MAX),
        ] {
            for mask in [&[][..], &[0; 4], &[1, 2, 3, 4]] {
                let mask_bit = if mask.is_empty() { 0 } else { 0x80 };
                let length = &(payload_bytes as u64).to_be_bytes()[8 - length_bytes..];
                let payload = vec![b'x'; payload_bytes];
                let first = [&[0xF1, mask_bit | code], length, mask, &payload].concat();
                let bytes = [UPGRADE, &first, b"\x81\x80\0\0\0\0"].concat();
                if payload_bytes <= bytes_max {
                    let pieces = stream::take_apart(&bytes);
                    assert_eq!(pieces[0].parts.len(), 3, "{code} {payload_bytes}");
                    let again = pieces[0].parts.iter().flat_map(|part| part.written());
                    assert!(again.eq(bytes), "{code} {payload_bytes} {mask:?}");
                }
            }
        }
    }
}

/// A token is changed where it stands: the message around it is as it was, whatever it is.
#[test]
fn a_message_stays_as_it_is_around_a_changed_token() {
    let token = crate::exchange::token("alice").unwrap();
    let text = format!(r#"{{ "id":7, "id":8,"token" : "{token}" ,"event":"a" }}"#);
    let (before, after) = text.split_once(&token).unwrap();
    for seed in 0..100 {
        let mut changed = text.clone().into_bytes();
        let known = Known::of(b"");
        let random = &mut Random::new(seed);
        message::change_token(&mut changed, random, &known, &mut no_change);
        let changed = String::from_utf8(changed).unwrap();
        assert!(
            changed.starts_with(before) && changed.ends_with(after),
            "{changed}"
        );
    }
}
