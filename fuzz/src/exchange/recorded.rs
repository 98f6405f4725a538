//! A recording of a real server, as a script: the same peers say the same at the same times.

use std::collections::BTreeMap;
use std::time::Duration;

use framegate::internals::app::users::User;
use framegate::internals::export::Seen;
use framegate::internals::record::{answered_user, read_lines, replay};
use framegate::internals::server::Ending;
use framegate::internals::time::{Instant, Now};

use super::setting;
use super::{Leaving, MAGIC, PEERS, Record, unplayed, write_record, write_setting};

/// Makes a script of a recording. Its clock, its users and the tokens in it are those of the recording;
/// its settings are not, nor passwords, which no recording holds.
///
/// # Errors
/// When the recording cannot be replayed, or more peers are connected at once than a script has, or its
/// clock is none that a script may have.
pub fn recorded(file: &[u8]) -> Result<Vec<u8>, String> {
    let mut made = Made::default();
    let replayed = replay(file, &mut |now, id, seen| made.see(now, id.serial, &seen));
    let lasted = replayed.map_err(|error| error.to_string())?.lasted;
    if made.is_crowded {
        return Err(format!("more than {PEERS} peers are connected at once"));
    }
    let lines = read_lines(file).map_err(|line| format!("line {line} was changed"))?;
    let mut users = BTreeMap::new();
    for user in lines.iter().filter_map(|line| answered_user(line)) {
        // As they were first.
        users.entry(user.id.clone()).or_insert(user);
    }
    let users: Vec<User> = users.into_values().collect();
    made.wait_until(Instant::ORIGIN + lasted);
    let mut script = MAGIC.to_vec();
    write_setting(
        &mut script,
        &setting::write(made.began.unwrap_or_default().unix, &users),
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
    began: Option<Now>,
    /// How much of the time since then the records' pauses take. A script has whole milliseconds: what
    /// is left of one is left for the next.
    paused: Duration,
    /// The number of each connection's peer.
    peers: BTreeMap<u32, u8>,
    is_crowded: bool,
}

impl Made {
    fn see(&mut self, now: Now, serial: u32, seen: &Seen<'_>) {
        self.began.get_or_insert(now);
        match seen {
            Seen::Accepted(_) => {
                let free = (0..PEERS).find(|peer| !self.peers.values().any(|taken| taken == peer));
                self.is_crowded |= free.is_none();
                self.peers.extend(free.map(|peer| (serial, peer)));
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

    fn record(&mut self, now: Now, serial: u32, bytes: &[u8], leaving: Option<Leaving>) {
        let Some(peer) = self.peers.get(&serial).copied() else {
            return;
        };
        let record = Record {
            peer,
            pause: self.pause(now.monotonic),
            bytes,
            leaving,
            ..Record::default()
        };
        write_record(&mut self.records, &record);
    }

    /// Lets the time pass that nobody sends anything in, up to the millisecond after `end`.
    fn wait_until(&mut self, end: Instant) {
        let record = Record {
            pause: self.pause(end) + Duration::from_millis(1),
            is_pause: true,
            ..Record::default()
        };
        write_record(&mut self.records, &record);
    }

    /// The pause ahead of what happens at `at`.
    fn pause(&mut self, at: Instant) -> Duration {
        let began = self.began.map_or(at, |began| began.monotonic);
        let passed = at.since(began).saturating_sub(self.paused);
        let pause = Duration::from_millis(passed.as_millis() as u64);
        self.paused += pause;
        pause
    }
}

#[cfg(test)]
mod tests;
