//! By instructions: valgrind's callgrind counts those that are run for each tag, and the counts
//! must be equal to the instruction.
//!
//! Callgrind is to count in [`counted_by_callgrind`] alone, and to write what it counted, to
//! `count.1`, `count.2` and so on, whenever that returns. `run` tells it so.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fs;

use crate::Failure;
use crate::row::{Of, Row};
use crate::subject::{NOW, Subject, TAG_BYTES, Tag, equal_until_wrong, tags, verifier};

pub fn rows(level: &str) -> Result<Vec<Row>, Failure> {
    let subject = Subject::new();
    let keys = subject.keys();
    let verifier = RefCell::new(verifier(subject.keys()));
    let wrong: Vec<Tag> = (0..TAG_BYTES).map(|at| subject.wrong_at(at)).collect();
    let mut counter = Counter { calls: 0 };

    let macs = counter.count_each(&tags(&subject), |tag| {
        Box::new(|| keys.verify(subject.signed.as_bytes(), tag))
    })?;
    let tokens = counter.count_each(&wrong, |tag| {
        let token = subject.token(tag);
        let verifier = &verifier;
        Box::new(move || verifier.borrow_mut().verify(&token, NOW).is_ok())
    })?;
    let early_exits = counter.count_each(&wrong, |tag| {
        Box::new(|| equal_until_wrong(&subject.right, tag))
    })?;

    let mac = "MAC: each byte of the tag wrong, right, right under the previous key";
    let token = "whole token: each byte of the tag wrong";
    let early_exit = "control: an early exit, each byte wrong";
    Ok(vec![
        row(mac, Of::Program, level, &macs),
        row(token, Of::Program, level, &tokens),
        row(early_exit, Of::Control, level, &early_exits),
    ])
}

fn row(check: &'static str, of: Of, level: &str, counts: &[u64]) -> Row {
    let distinct = BTreeSet::from_iter(counts);
    let (least, most) = (distinct.first(), distinct.last());
    let seen = match (least, most) {
        (Some(least), Some(most)) if least != most => format!("{least} to {most}"),
        (least, _) => format!("{}", least.map_or(0, |count| **count)),
    };
    Row {
        way: "callgrind",
        check,
        of,
        level: level.to_owned(),
        seen: format!("{seen} instructions at {} tags", counts.len()),
        bound: "equal".to_owned(),
        leaks: distinct.len() != 1,
    }
}

struct Counter {
    /// Of `counted_by_callgrind`; each has made a file.
    calls: usize,
}

impl Counter {
    /// The instructions of what `prepare` makes of each tag.
    fn count_each<'t>(
        &mut self,
        tags: &'t [Tag],
        prepare: impl Fn(&'t Tag) -> Box<dyn Fn() -> bool + 't>,
    ) -> Result<Vec<u64>, Failure> {
        tags.iter().map(|tag| self.count(&*prepare(tag))).collect()
    }

    /// Counts a second call: in a first one, things are found that are then known.
    fn count(&mut self, run: &dyn Fn() -> bool) -> Result<u64, Failure> {
        counted_by_callgrind(run);
        counted_by_callgrind(run);
        self.calls += 2;
        let file = format!("count.{}", self.calls);
        let written = fs::read_to_string(&file).map_err(|error| format!("{file}: {error}"))?;
        let total = written
            .lines()
            .find_map(|line| line.strip_prefix("totals: "));
        match total.ok_or("callgrind wrote no total")?.trim().parse()? {
            0 => Err("callgrind counted nothing".into()),
            count => Ok(count),
        }
    }
}

#[unsafe(no_mangle)]
#[inline(never)]
fn counted_by_callgrind(run: &dyn Fn() -> bool) -> bool {
    run()
}
