//! A recording, run again: every call is made anew, and what is written of it compared with the
//! file, line by line.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;
use std::mem;
use std::rc::Rc;
use std::time::Duration;

use super::Recorded;
use super::input::{read_input, words};
use super::lines::{FULL, read_lines, text, text_bytes};
use super::recorder::{ENDED, FIRST_LINE, Recorder};
use super::store::ReplayStore;
use crate::config::{Config, ConfigError};
use crate::export::{Seen, Watcher};
use crate::gate::ReplayTokens;
use crate::limits::MESSAGE_BYTES_MAX;
use crate::server::{ConnectionId, FlushesLeft, Peer};
use crate::time::{Instant, Now, UnixSeconds};

/// What stands for a byte that was never written: nobody looked into it. It may stand in whatever is
/// not finished.
const FILLER: u8 = b'x';
/// What is shown of a line that differs, in characters.
const SHOWN_CHARACTERS_MAX: usize = 160;

/// Runs a recording through the core, while `watcher` looks on.
///
/// # Errors
/// When the file is no recording or was edited, and when the core does otherwise than it did.
pub fn replay(file: &[u8], watcher: &mut Watcher<'_>) -> Result<Replayed, ReplayError> {
    let mut lines = read_lines(file).map_err(ReplayError::Changed)?;
    let first = lines.first().and_then(|line| read_first(line));
    let (recorded_by, seed) = first.ok_or(ReplayError::NotARecording)?;
    let settings = lines[1..].iter().map_while(|line| read_setting(line));
    let settings: Vec<_> = settings.collect();
    let config = Config::from_shown(&settings).map_err(ReplayError::Config)?;
    let header_lines = 1 + settings.len();
    let is_full = lines.pop_if(|line| **line == *FULL).is_some();
    let is_ended = lines.last().is_some_and(|line| **line == *ENDED);
    // One that was full ends where its next line had no room, which may be within a call.
    if !is_ended {
        drop_last_call(&mut lines, header_lines);
    }
    let mut replay = Replay::new(&lines, config, seed, watcher);
    replay.run(&lines, header_lines)?;
    Ok(Replayed {
        inputs: lines.iter().filter(|line| is_input(line)).count(),
        lasted: replay.now.monotonic.since(Instant::ORIGIN),
        is_cut: !(is_ended || is_full) || !file.ends_with(b"\n"),
        recorded_by,
    })
}

/// A replay in which everything was as it had been.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replayed {
    /// Inputs of the core: what peers, clocks and the helper thread brought.
    pub inputs: usize,
    /// How long the server had run when the last call was made.
    pub lasted: Duration,
    /// True when the recording has no end: its server was killed. It was replayed up to there.
    pub is_cut: bool,
    /// The version of the program that made the recording.
    pub recorded_by: String,
}

/// Why a recording is not replayed to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReplayError {
    /// The file does not begin as a recording that we read.
    NotARecording,
    /// This line is not as it was written; lines count from one.
    Changed(usize),
    /// This line says what we do not understand.
    Unreadable(usize),
    /// The settings in it are none.
    Config(ConfigError),
    /// The core does otherwise than it did.
    Differs {
        /// Where first.
        line: usize,
        /// What it did, as the recording has it, or `nothing`.
        recorded: String,
        /// What it does now, or `nothing`.
        replayed: String,
    },
}

impl fmt::Display for ReplayError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ReplayError::NotARecording => {
                write!(
                    f,
                    "the file is no recording: it does not begin with `{FIRST_LINE}`"
                )
            }
            ReplayError::Changed(1) => {
                f.write_str("line 1 was changed, or the file is no recording")
            }
            ReplayError::Changed(line) => write!(f, "line {line} was changed"),
            ReplayError::Unreadable(line) => write!(f, "line {line} cannot be read"),
            ReplayError::Config(error) => error.fmt(f),
            ReplayError::Differs {
                line,
                recorded,
                replayed,
            } => write!(
                f,
                "the outputs differ from line {line} on: recorded {recorded}, replayed {replayed}"
            ),
        }
    }
}

impl std::error::Error for ReplayError {}

/// The version of the program, and the seed.
fn read_first(line: &str) -> Option<(String, u64)> {
    let program = line.strip_prefix(FIRST_LINE)?.strip_prefix(' ')?;
    let (version, seed) = program.split_once(" seed ")?;
    Some((version.to_owned(), seed.parse().ok()?))
}

fn read_setting(line: &str) -> Option<(String, String)> {
    let (name, value) = line.strip_prefix("set ")?.split_once(' ')?;
    Some((name.to_owned(), text(value)?))
}

fn is_input(line: &str) -> bool {
    let mut calls = ["accept ", "handle ", "receive ", "wrote "].iter();
    calls.any(|call| line.starts_with(call))
}

/// What came of the last call may not have been written in full.
fn drop_last_call(lines: &mut Vec<Box<str>>, header_lines: usize) {
    let is_call = |line: &str| line.starts_with(|first: char| first.is_ascii_lowercase());
    let last_call = lines.iter().rposition(|line| is_call(line));
    lines.truncate(last_call.unwrap_or(0).max(header_lines));
    // The clocks were moved for it alone.
    lines.pop_if(|line| line.starts_with('@'));
}

struct Replay<'w> {
    watcher: &'w mut Watcher<'w>,
    recorded: Recorded,
    recorder: Rc<RefCell<Recorder>>,
    peers: PeerBytes,
    now: Now,
}

impl<'w> Replay<'w> {
    /// The server that was recorded, but with the keys of a replay and a store that recalls.
    fn new(
        lines: &[Box<str>],
        config: Config,
        seed: u64,
        watcher: &'w mut Watcher<'w>,
    ) -> Replay<'w> {
        let recorder = Rc::<RefCell<Recorder>>::default();
        let (keys, store) = (ReplayTokens::keys(), Box::new(ReplayStore::new(lines)));
        Replay {
            watcher,
            recorded: Recorded::build(Rc::clone(&recorder), config, keys, store, seed),
            recorder,
            peers: PeerBytes {
                // One that cannot be read is none: nothing is replayed as its line.
                pieces: lines.iter().filter_map(|line| read_piece(line)).collect(),
                next_at: BTreeMap::new(),
            },
            now: Now::default(),
        }
    }

    /// Makes the call of each line from `at` on, and compares what is written of it with that line
    /// and those after it.
    fn run(&mut self, lines: &[Box<str>], mut at: usize) -> Result<(), ReplayError> {
        while let Some(call) = lines.get(at) {
            self.make(call).ok_or(ReplayError::Unreadable(at + 1))?;
            let written = mem::take(&mut self.recorder.borrow_mut().lines);
            let replayed: Vec<&str> = written.split_terminator('\n').collect();
            for index in 0..replayed.len().max(1) {
                let recorded = lines.get(at).map(|line| &**line);
                let replayed = replayed.get(index).copied();
                at += 1;
                if recorded != replayed {
                    return Err(ReplayError::Differs {
                        line: at,
                        recorded: shown(recorded),
                        replayed: shown(replayed),
                    });
                }
            }
        }
        Ok(())
    }

    /// Makes the call of a line.
    fn make(&mut self, line: &str) -> Option<()> {
        let words = words(line);
        let (now, recorded, watcher) = (self.now, &mut self.recorded, &mut self.watcher);
        match words[..] {
            ["@", monotonic, unix, nanos] => self.move_clocks(Now {
                monotonic: Instant::from_micros(monotonic.parse().ok()?),
                unix: UnixSeconds(unix.parse().ok()?),
                fraction: Duration::from_nanos(nanos.parse().ok()?),
            })?,
            // What came of a call, and not of the one before: nothing is written of it.
            ["+" | "=" | ">", ..] => {}
            ["flush", broadcasts, pending, ..] => {
                let mut left = FlushesLeft {
                    broadcasts: broadcasts.parse().ok()?,
                    pending: pending.parse().ok()?,
                };
                recorded.next_flush(now, &mut left);
            }
            ["ending", ..] => {
                if let Some((id, ending)) = recorded.next_ending() {
                    watcher(now, id, Seen::Ended(ending));
                }
            }
            ["poll", ..] => _ = recorded.poll(now),
            ["end", "stopped"] => {
                // A server that came to its end had nothing left to tell.
                recorded.next_ending();
                recorded.poll(now);
                recorded.end();
            }
            ["accept", peer] => {
                let peer: Peer = peer.parse().ok()?;
                if let Some(id) = recorded.accept(now, peer) {
                    watcher(now, id, Seen::Accepted(peer));
                }
            }
            // Nobody hands over more than is wanted: the file is of another server.
            ["receive", ..] if recorded.has_write_backlog() => return None,
            ["receive", id, count] => {
                let id = id.parse().ok()?;
                let count = count.parse().ok();
                let count = count.filter(|count| *count as u64 <= MESSAGE_BYTES_MAX)?;
                let mut bytes = self.peers.next(id, count);
                watcher(now, id, Seen::Received(&bytes));
                recorded.receive(now, id, &mut bytes);
            }
            ["wrote", id, count, full, _] => {
                let (id, count) = (id.parse().ok()?, count.parse().ok()?);
                watcher(now, id, Seen::Written(&recorded.waiting(id, count)));
                recorded.wrote(now, id, count, full.parse().ok()?);
            }
            ["handle", ref input @ ..] => {
                let input = read_input(input)?;
                if let Some((id, seen)) = Seen::of(&input) {
                    watcher(now, id, seen);
                }
                recorded.handle(now, input);
            }
            _ => return None,
        }
        Some(())
    }

    fn move_clocks(&mut self, now: Now) -> Option<()> {
        if now.monotonic < self.now.monotonic || now.fraction >= Duration::from_secs(1) {
            return None;
        }
        self.now = now;
        self.recorder.borrow_mut().clocks(now);
        Some(())
    }
}

fn shown(line: Option<&str>) -> String {
    let shown = line.map(|line| format!("`{line:.SHOWN_CHARACTERS_MAX$}`"));
    shown.unwrap_or_else(|| "nothing".to_owned())
}

/// The streams of all connections, by their serials.
struct PeerBytes {
    /// Pieces, by where in the stream each begins.
    pieces: BTreeMap<(u32, u64), Vec<u8>>,
    /// Where in each stream the next byte stands.
    next_at: BTreeMap<u32, u64>,
}

impl PeerBytes {
    /// The next `count` bytes of a connection.
    fn next(&mut self, id: ConnectionId, count: usize) -> Vec<u8> {
        let next_at = self.next_at.entry(id.serial).or_default();
        let start = *next_at;
        *next_at += count as u64;
        let places = start..*next_at;
        places.map(|at| self.byte(id.serial, at)).collect()
    }

    fn byte(&self, serial: u32, at: u64) -> u8 {
        let before = self.pieces.range((serial, 0)..=(serial, at)).next_back();
        let byte = before.and_then(|((_, start), bytes)| bytes.get((at - start) as usize));
        byte.copied().unwrap_or(FILLER)
    }
}

fn read_piece(line: &str) -> Option<((u32, u64), Vec<u8>)> {
    let mut words = line.strip_prefix("+ ")?.splitn(3, ' ');
    let id: ConnectionId = words.next()?.parse().ok()?;
    let at = words.next()?.parse().ok()?;
    Some(((id.serial, at), text_bytes(words.next()?)?))
}
