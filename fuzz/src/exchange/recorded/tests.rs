use std::cell::RefCell;
use std::io::{self, Write};
use std::rc::Rc;

use framegate::internals::record::record;

use super::super::{START, World, compose, config, keys, play, records};
use super::*;

#[derive(Clone, Default)]
pub(super) struct File(pub(super) Rc<RefCell<Vec<u8>>>);

impl Write for File {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.borrow_mut().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A recording of a server that plays a script, and what its peers heard.
fn record_of(script: &[u8]) -> (Vec<u8>, String) {
    let file = File::default();
    let mut world = World::of(script, |users| {
        record(Box::new(file.clone()), config(), keys(), users, 1)
    });
    records(script).for_each(|record| world.play(&record));
    let heard = std::mem::take(&mut world.transcript.text);
    world.leave();
    world.turn.core.end();
    (file.0.take(), heard)
}

fn at_start() -> Now {
    Now {
        unix: START,
        ..Now::default()
    }
}

/// A script of these lines, in a world with alice and so many others.
fn script(others: usize, lines: &str) -> Vec<u8> {
    let ids = (0..others).map(|number| format!("somebody-{number}"));
    let users: Vec<User> = std::iter::once("alice".to_owned())
        .chain(ids)
        .map(|id| User::new(&id, &"name ".repeat(20), None, START).unwrap())
        .collect();
    let mut script = MAGIC.to_vec();
    write_setting(&mut script, &setting::write(at_start(), &[], &[], &users));
    script.extend(&compose(lines).unwrap()[MAGIC.len()..]);
    script
}

fn is_played_as_it_was(script: &[u8]) {
    let (file, heard) = record_of(script);
    let again = play(&recorded(&file).unwrap());
    let all: Vec<_> = heard.lines().zip(again.lines()).collect();
    for (line, (was, is)) in all.iter().enumerate() {
        assert_eq!(is, was, "line {line}");
    }
    assert_eq!(all.len(), heard.lines().count());
}

#[test]
fn a_long_recording_is_played_to_its_end() {
    let health = "0 raw GET /health HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n\n0 reset\npause 1000\n";
    let script = script(0, &health.repeat(1_000));
    assert_eq!(record_of(&script).1.matches("HTTP 200").count(), 1_000);
    is_played_as_it_was(&script);
}

#[test]
fn a_recording_of_many_users_is_played_with_all_of_them() {
    const OTHERS: usize = 700;
    let ask = |number| {
        let data = format!(r#""event":"getUser","data":{{"id":"somebody-{number}"}}"#);
        format!("0 text {{\"token\":\"$alice\",{data}}}\npause 1000\n")
    };
    let lines: String = (0..OTHERS).map(ask).collect();
    let script = script(OTHERS, &format!("0 upgrade\n{lines}"));
    let (_, heard) = record_of(&script);
    assert_eq!(heard.matches(r#"{"id":"somebody-"#).count(), OTHERS);
    is_played_as_it_was(&script);
}

#[test]
fn silence_is_played_as_it_was() {
    is_played_as_it_was(&script(
        0,
        "0 hears\npause 200000\n0 upgrade\n1 hears\npause 3000\n1 upgrade\npause 70000",
    ));
}

#[test]
fn what_would_not_be_played_is_refused() {
    let lines: String = (0..9).map(|peer| format!("{} hears\n", peer % 8)).collect();
    let (mut file, _) = record_of(&script(0, &lines));
    assert!(recorded(&file).is_ok());
    let middle = file.len() / 2;
    file[middle] ^= 1;
    let refused = recorded(&file).unwrap_err();
    assert!(refused.contains(" was changed"), "{refused}");
}
