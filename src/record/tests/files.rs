//! Files that were edited, cut off, or made up.

use std::time::Duration;

use super::rig::{Rig, login, masked, password, replayed, upgrade};
use crate::record::lines::{FileSink, read_lines};
use crate::record::{ReplayError, Replayed};

/// A small session with something of everything in it.
fn recording() -> Vec<u8> {
    let mut rig = Rig::new(|_| {});
    let alice = rig.open("");
    rig.say(alice, &login("alice", &password("alice")));
    rig.hash();
    rig.say_as(alice, "alice", r#""event":"message","id":1,"data":"hello""#);
    rig.say_as(alice, "bob", r#""event":"refresh""#);
    rig.finish(alice);
    rig.end()
}

/// The file as it would be with other lines.
fn rewritten(file: &[u8], change: impl FnOnce(&mut Vec<Box<str>>)) -> Vec<u8> {
    let mut lines = read_lines(file).expect("a good file");
    change(&mut lines);
    let out = super::rig::File::default();
    let mut sink = FileSink::new(Box::new(out.clone()), u64::MAX);
    assert!(sink.write(&(lines.join("\n") + "\n")));
    out.0.take()
}

fn line_with(file: &[u8], needle: &str) -> usize {
    let text = String::from_utf8_lossy(file);
    let found = text.lines().position(|line| line.contains(needle));
    found.expect("there is one")
}

fn differs_at(result: Result<Replayed, ReplayError>) -> usize {
    match result {
        Err(ReplayError::Differs { line, .. }) => line,
        other => panic!("{other:?}"),
    }
}

#[test]
fn any_byte_that_is_edited_is_told_with_its_line() {
    let file = recording();
    for at in (0..file.len()).rev().step_by(7) {
        let mut edited = file.clone();
        edited[at] ^= 1 + (at % 255) as u8;
        let line = 1 + file[..at].iter().filter(|byte| **byte == b'\n').count();
        let changed = Err(ReplayError::Changed(line));
        assert_eq!(replayed(&edited), changed, "byte {at}");
    }
}

#[test]
fn a_server_that_does_otherwise_is_told_from_an_edited_file() {
    let file = recording();
    let hello = line_with(&file, "hello");
    let other = rewritten(&file, |lines| {
        lines[hello] = lines[hello].replace("hello", "hullo").into();
    });
    // The bytes that leave are others; the line says how many, and their hash.
    let at = differs_at(replayed(&other));
    let line = read_lines(&other).expect("a good file")[at - 1].clone();
    assert!(at > hello && line.starts_with("wrote "), "{line}");

    let user = line_with(&file, "= user");
    let other = rewritten(&file, |lines| {
        lines[user] = lines[user].replace("false", "true").into();
    });
    assert!(differs_at(replayed(&other)) > user);

    let report = line_with(&file, "poll Report");
    let other = rewritten(&file, |lines| _ = lines.remove(report));
    assert!(differs_at(replayed(&other)) > report);
    let other = rewritten(&file, |lines| lines.insert(report, "poll StoreNews".into()));
    let error = replayed(&other).expect_err("there was none").to_string();
    let differs = format!(
        "the outputs differ from line {} on: recorded `poll StoreNews`, replayed `poll Report",
        report + 1
    );
    assert!(error.starts_with(&differs), "{error}");
}

#[test]
fn a_file_that_is_cut_off_is_replayed_up_to_there() {
    let file = recording();
    let begun = line_with(&file, "accept ");
    let mut inputs = 0;
    let ends = (0..file.len()).filter(|at| file[*at] == b'\n').skip(begun);
    for end in ends {
        for end in [end - 5, end + 1] {
            let replayed = replayed(&file[..end]).expect("what is there is right");
            assert_eq!(replayed.is_cut, end < file.len());
            assert!(replayed.inputs >= inputs);
            inputs = replayed.inputs;
        }
    }
    assert!(inputs > 20, "{inputs}");
    assert_eq!(replayed(b""), Err(ReplayError::NotARecording));
    assert_eq!(replayed(b"something else\n"), Err(ReplayError::Changed(1)));
}

#[test]
fn a_server_that_is_killed_within_a_frame_a_head_or_a_body_is_replayed_up_to_there() {
    let frame = masked(0x81, login("alice", &password("alice")).as_bytes());
    let fragments = [
        &masked(0x01, "naïve".as_bytes())[..],
        &masked(0x89, b"ping"),
        &frame,
    ]
    .concat();
    let body = "POST /login HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n15;x=y\r\n{}";
    for (sent, is_open) in [
        (&frame[..], true),
        (&fragments[..21], true),
        (upgrade("").as_bytes(), false),
        (body.as_bytes(), false),
    ] {
        for end in 1..sent.len() {
            let mut rig = Rig::new(|_| {});
            let id = if is_open { rig.open("") } else { rig.connect() };
            rig.send_cut(id, &sent[..end], 1 + end / 4);
            let replayed = replayed(&rig.so_far()).expect("what is there is right");
            assert!(replayed.is_cut && replayed.inputs > 0);
        }
    }
}

#[test]
fn a_recording_that_is_full_ends_and_the_server_goes_on() {
    let mut rig = Rig::with_room(|_| {}, 4_000);
    let id = rig.member("alice");
    for count in 0..50 {
        rig.say_as(id, "alice", &format!(r#""event":"message","data":{count}"#));
    }
    assert!(rig.heard(id).contains(r#""data":49"#));
    let file = rig.end();
    assert!(file.len() <= 4_000, "{}", file.len());
    let replayed = replayed(&file).expect("it is whole");
    assert!(!replayed.is_cut && replayed.lasted < Duration::from_secs(1));
}

#[test]
fn no_file_makes_a_replay_panic() {
    let file = recording();
    let lines = read_lines(&file).expect("a good file");
    let words: Vec<&str> = lines.iter().flat_map(|line| line.split(' ')).collect();
    let odd = [
        "18446744073709551615",
        "0",
        "-1",
        "4294967295.4294967295",
        "",
        "\\x",
        "é",
        "1.0",
    ];
    let mut seed = 1_u64;
    let mut below = |bound: usize| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (seed >> 33) as usize % bound
    };
    let mut outcomes = [0; 3];
    for _ in 0..1_000 {
        let spoiled = rewritten(&file, |lines| {
            for _ in 0..=below(3) {
                let (at, other) = (below(lines.len()), below(lines.len()));
                match below(5) {
                    0 => _ = lines.remove(at),
                    1 => lines.swap(at, other),
                    2 => lines.insert(at, lines[other].clone()),
                    kind => {
                        let new = if kind == 3 {
                            words[below(words.len())]
                        } else {
                            odd[below(odd.len())]
                        };
                        let mut parts: Vec<&str> = lines[at].split(' ').collect();
                        let part = below(parts.len());
                        parts[part] = new;
                        lines[at] = parts.join(" ").into();
                    }
                }
            }
        });
        let outcome = match replayed(&spoiled) {
            Ok(_) => 0,
            Err(ReplayError::Differs { .. }) => 1,
            Err(error) => {
                assert!(!error.to_string().contains('\n'));
                2
            }
        };
        outcomes[outcome] += 1;
    }
    assert!(outcomes.iter().all(|count| *count > 10), "{outcomes:?}");
}
