//! A recording of a real server, as a script: the same peers say the same at the same times.

use std::collections::BTreeMap;
use std::time::Duration;

use framegate::internals::app::users::User;
use framegate::internals::export::Seen;
use framegate::internals::record::{answered_user, read_lines, replay};
use framegate::internals::server::{Ending, Peer};
use framegate::internals::time::{Instant, Now};

use super::setting;
use super::{Leaving, MAGIC, PEERS, Record, unplayed, write_record, write_setting};

/// A script lasts no longer than this.
const LASTS_MAX: Duration = Duration::from_secs(366 * 86_400);
/// The records of a script take no more bytes than this.
const RECORDS_BYTES_MAX: usize = 64 * 1_024 * 1_024;
/// The wall clock is set no more often than this.
const STEPS_MAX: usize = 65_536;
/// How far the wall clock may run away from the other one before that counts as a step of it.
const STEP_MICROS_MIN: u128 = 1_000;

/// Makes a script of a recording. Its clocks, its users, its peers' addresses and the tokens in it are
/// those of the recording; its settings are not, nor passwords, which no recording holds. Times are those
/// of the recording down to the millisecond.
///
/// # Errors
/// When the recording cannot be replayed, or more peers are connected at once than a script has, or its
/// clock is none that a script may have or is set all the time, or it lasts longer than a year, or the script
/// would be longer than 64 MiB.
pub fn recorded(file: &[u8]) -> Result<Vec<u8>, String> {
    let mut made = Made::default();
    let replayed = replay(file, &mut |now, id, seen| made.see(now, id.serial, &seen));
    let lasted = replayed.map_err(|error| error.to_string())?.lasted;
    made.wait_until(Instant::ORIGIN + lasted);
    if let Some(refused) = made.refused {
        return Err(refused);
    }
    let lines = read_lines(file).map_err(|line| format!("line {line} was changed"))?;
    let mut users = BTreeMap::new();
    for user in lines.iter().filter_map(|line| answered_user(line)) {
        // As they were first.
        users.entry(user.id.clone()).or_insert(user);
    }
    let users: Vec<User> = users.into_values().collect();
    let mut script = MAGIC.to_vec();
    write_setting(
        &mut script,
        &setting::write(made.start, &made.steps, &made.who, &users),
    );
    script.extend(made.records);
    match unplayed(&script) {
        Some(unplayed) => Err(unplayed),
        None => Ok(script),
    }
}

/// A script in the making.
#[derive(Default)]
struct Made {
    records: Vec<u8>,
    /// True once anything was seen.
    has_begun: bool,
    /// The clocks when the script begins, at a whole millisecond of the wall clock: so each second begins
    /// at a time that a script can tell.
    start: Now,
    /// What the wall clock was set to, and when.
    steps: Vec<Now>,
    /// How much of the time since the start the records' pauses take. A script has whole milliseconds: what
    /// is left of one is left for the next.
    paused: Duration,
    /// The number of each connection's peer.
    peers: BTreeMap<u32, u8>,
    /// Who each peer is, as far as one has come.
    who: Vec<Peer>,
    /// Why there is no such script, once that is known. Nothing is added any more then.
    refused: Option<String>,
}

impl Made {
    fn see(&mut self, now: Now, serial: u32, seen: &Seen<'_>) {
        self.follow_clocks(now);
        match seen {
            Seen::Accepted(peer) => {
                match self.number_for(*peer) {
                    Some(number) => _ = self.peers.insert(serial, number),
                    None => self.refuse(format!("more than {PEERS} peers are connected at once")),
                }
                // It has come, though it may be long until it says anything.
                self.record(now, serial, &[], None);
            }
            Seen::Received(bytes) => self.record(now, serial, bytes, None),
            Seen::Finished => self.record(now, serial, &[], Some(Leaving::Fin)),
            Seen::Failed => self.record(now, serial, &[], Some(Leaving::Reset)),
            Seen::Ended(Ending::Close | Ending::Reset) => _ = self.peers.remove(&serial),
            Seen::Ended(Ending::Fin) | Seen::Written(_) => {}
        }
    }

    /// Notes where the clocks begin, and when the wall clock was set.
    fn follow_clocks(&mut self, now: Now) {
        if !self.has_begun {
            self.has_begun = true;
            self.start = back(now, now.fraction.subsec_micros() % 1_000);
        }
        let last = self.steps.last().unwrap_or(&self.start);
        let (known, origin) = (last.origin_unix_micros(), now.origin_unix_micros());
        if known.abs_diff(origin) >= STEP_MICROS_MIN {
            let passed = now.monotonic.since(self.start.monotonic);
            // Nobody sends between this millisecond's beginning and now.
            let step = back(now, passed.subsec_micros() % 1_000);
            match self.steps.len() < STEPS_MAX {
                true => self.steps.push(step),
                false => self.refuse(format!("the clock was set {STEPS_MAX} times")),
            }
        }
    }

    /// A number that no connection has, for a connection of this peer: one that a peer of its address had
    /// before, or that nobody had; or else any, whose address will have to do.
    fn number_for(&mut self, peer: Peer) -> Option<u8> {
        let is_free = |number: &u8| !self.peers.values().any(|taken| taken == number);
        let whose = |number: u8| self.who.get(usize::from(number));
        let is_same = |other: &Peer| (other.address, other.user) == (peer.address, peer.user);
        let mut free = (0..PEERS).filter(is_free);
        let number = free
            .clone()
            .find(|number| whose(*number).is_some_and(is_same))
            .or_else(|| free.clone().find(|number| whose(*number).is_none()))
            .or_else(|| free.next())?;
        if whose(number).is_none() {
            self.who.push(peer);
        }
        Some(number)
    }

    fn refuse(&mut self, why: String) {
        self.refused.get_or_insert(why);
    }

    fn record(&mut self, now: Now, serial: u32, bytes: &[u8], leaving: Option<Leaving>) {
        if let Some(peer) = self.peers.get(&serial).copied() {
            let record = Record {
                peer,
                pause: self.pause(now.monotonic),
                bytes,
                leaving,
                ..Record::default()
            };
            self.add(&record);
        }
    }

    /// Lets the time pass that nobody sends anything in, up to the millisecond after `end`.
    fn wait_until(&mut self, end: Instant) {
        let record = Record {
            pause: self.pause(end) + Duration::from_millis(1),
            is_pause: true,
            ..Record::default()
        };
        self.add(&record);
    }

    /// Adds a record, where the script may be as long as it is with it: a line of a recording may say that
    /// any time passed, or that many bytes came, and hold none of them.
    fn add(&mut self, record: &Record<'_>) {
        if self.paused > LASTS_MAX {
            self.refuse("the recording lasts longer than a year".to_owned());
        }
        if self.records.len() + record.bytes.len() > RECORDS_BYTES_MAX {
            self.refuse("the script is longer than 64 MiB".to_owned());
        }
        if self.refused.is_none() {
            write_record(&mut self.records, record);
        }
    }

    /// The pause ahead of what happens at `at`.
    fn pause(&mut self, at: Instant) -> Duration {
        let start = if self.has_begun {
            self.start.monotonic
        } else {
            at
        };
        let passed = at.since(start).saturating_sub(self.paused);
        let pause = Duration::from_millis(passed.as_millis() as u64);
        self.paused += pause;
        pause
    }
}

/// The clocks, so many microseconds earlier; less than the wall clock has of its second.
fn back(now: Now, micros: u32) -> Now {
    let earlier = now.monotonic.as_micros().saturating_sub(micros.into());
    Now {
        monotonic: Instant::from_micros(earlier),
        unix: now.unix,
        fraction: now
            .fraction
            .saturating_sub(Duration::from_micros(micros.into())),
    }
}

#[cfg(test)]
mod faithful;
#[cfg(test)]
mod tests;
