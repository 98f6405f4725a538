//! The recorder: what is written down of each call, and of what came of it.
//!
//! ```text
//! @ 1204711 1795490265 330118000        the clocks, where they moved
//! receive 0.3 180                       a call of the core
//! + 0.3 412 {"event":"login"…           what a peer sent, once it was whole
//! = user "alice" 1795490001 false …     what the store was asked, and its answer
//! > over                                what the call returned
//! ```

use std::collections::BTreeMap;
use std::fmt;
use std::rc::Rc;

use sha2::{Digest, Sha256};

use super::lines::{FileSink, escaped, hex};
use super::mask::Mask;
use crate::app::password::{HashJob, PasswordHash};
use crate::config::Config;
use crate::gate::ReplayTokens;
use crate::server::{ConnectionId, Output};
use crate::time::Now;

/// The first line begins with it: what follows is read by these rules.
pub(super) const FIRST_LINE: &str = "framegate recording 3";
/// The last line of a server that has come to its end.
pub(super) const ENDED: &str = "end stopped";
/// Bytes of a hash of what left; as many as a person compares.
const DIGEST_BYTES: usize = 8;

/// Writes down what a core is told and what it does, line by line.
#[derive(Default)]
pub(super) struct Recorder {
    /// For what lines are to hold in the place of tokens.
    pub(super) tokens: Rc<ReplayTokens>,
    /// The lines of this turn, each with its line feed.
    pub(super) lines: String,
    /// Where they go at its end; `None` in a replay. It is kept when the recording is over: to close
    /// it may take its time.
    file: Option<FileSink>,
    /// True once no more is taken.
    is_over: bool,
    written_at: Option<Now>,
    /// How much of a token each peer was told, by the connection's serial.
    pub(super) told: BTreeMap<u32, Mask>,
    /// Every password hash so far, by its own hash, with the number that stands for it.
    hashes: BTreeMap<[u8; 32], usize>,
}

impl Recorder {
    /// Begins the file of a server with these settings and this seed.
    pub(super) fn begin(
        tokens: ReplayTokens,
        file: FileSink,
        config: &Config,
        seed: u64,
    ) -> Recorder {
        let mut recorder = Recorder {
            tokens: Rc::new(tokens),
            file: Some(file),
            ..Recorder::default()
        };
        let version = env!("CARGO_PKG_VERSION");
        recorder.line(format_args!("{FIRST_LINE} {version} seed {seed}"));
        for (name, value) in config.shown() {
            recorder.line(format_args!("set {name} {value}"));
        }
        recorder
    }

    /// A call at a moment, or what it returned.
    #[cold]
    pub(super) fn call(&mut self, now: Now, call: fmt::Arguments<'_>) {
        self.clocks(now);
        self.line(call);
    }

    /// The clocks, where they moved.
    pub(super) fn clocks(&mut self, now: Now) {
        if self.written_at != Some(now) {
            self.written_at = Some(now);
            let (monotonic, unix) = (now.monotonic.as_micros(), now.unix.0);
            let fraction = now.fraction.as_nanos();
            self.line(format_args!("@ {monotonic} {unix} {fraction}"));
        }
    }

    /// A line, with replay tokens for the tokens in it.
    #[cold]
    pub(super) fn line(&mut self, line: fmt::Arguments<'_>) {
        let mut bytes = line.to_string().into_bytes();
        self.tokens.replace_in(&mut bytes);
        self.push(&escaped(&bytes));
    }

    /// A piece of what a peer sent, and where in its stream that begins.
    pub(super) fn piece(&mut self, id: ConnectionId, at: u64, bytes: &[u8]) {
        self.push(&format!("+ {id:?} {at} {}", escaped(bytes)));
    }

    fn push(&mut self, line: &str) {
        if !self.is_over {
            self.lines += line;
            self.lines.push('\n');
        }
    }

    /// What the core has for the outside, which may name what a peer sent.
    #[cold]
    pub(super) fn output(&mut self, now: Now, output: &Output) {
        match output {
            Output::Hash(HashJob {
                ticket, expected, ..
            }) => {
                let hash = self.number(expected.as_ref());
                self.call(now, format_args!("poll Hash({ticket}, {hash})"));
            }
            // The text of a store's fault depends on the machine, so it is left out.
            Output::StoreNews(_) => self.call(now, format_args!("poll StoreNews")),
            output => self.call(now, format_args!("poll {output:?}")),
        }
    }

    /// The number that stands for a password hash; 0 for none.
    pub(super) fn number(&mut self, hash: Option<&PasswordHash>) -> usize {
        let Some(hash) = hash else {
            return 0;
        };
        let key = Sha256::digest(hash.as_str()).into();
        let next = self.hashes.len() + 1;
        *self.hashes.entry(key).or_insert(next)
    }

    /// A hash of bytes that a peer took.
    #[cold]
    pub(super) fn digest(&mut self, id: ConnectionId, bytes: &[u8]) -> String {
        let told = self.told.entry(id.serial).or_default();
        let seen: Vec<u8> = bytes.iter().map(|byte| told.pass(*byte)).collect();
        hex(&Sha256::digest(seen)[..DIGEST_BYTES])
    }

    /// Hands on what was written so far. Returns whether more is taken.
    pub(super) fn flush(&mut self) -> bool {
        if let Some(file) = &mut self.file {
            self.is_over |= !file.write(&self.lines);
            self.lines.clear();
        }
        !self.is_over
    }
}
