//! The recorder: what is written down of each call, and of what came of it.
//!
//! ```text
//! @ 1204711 1795490265 330118000        the clocks, where they moved
//! receive 0.3 180                       a call of the core
//! + 0.3 412 {"event":"login"…           what a peer sent, once it was whole
//! = user "alice" 1795490001 enabled …   what the store was asked, and its answer
//! > over                                what the call returned
//! ```

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;
use std::io::IoSlice;
use std::mem;
use std::rc::Rc;

use sha2::{Digest, Sha256};

use super::lines::{FileSink, hex, push_text};
use super::mask::{Mask, mask};
use super::redaction::Redactor;
use super::store::{RecordingStore, quoted};
use super::tap::RecordingTap;
use crate::app::password::{HashJob, PasswordHash};
use crate::app::users::UserStore;
use crate::config::Config;
use crate::gate::Keys;
use crate::server::{ConnectionId, Output, Report, StoreJob, Tap};
use crate::time::Now;

/// The first line: what follows is read by these rules.
pub(super) const FIRST_LINE: &str = "framegate recording 2";
/// The last line of a server that has come to its end.
pub(super) const ENDED: &str = "end stopped";
/// Bytes of a hash of what left; as many as a person compares.
const DIGEST_BYTES: usize = 8;

/// Takes lines from all who have some.
#[derive(Default)]
pub(super) struct Writer {
    /// Those of this turn, each with its line feed.
    lines: String,
    /// Where they go at its end; `None` in a replay. It is kept when the recording is over: to close
    /// it may take its time.
    file: Option<FileSink>,
    /// True once no more is taken.
    is_over: bool,
    /// Every password hash so far, by its own hash, with the number that stands for it.
    hashes: BTreeMap<[u8; 32], usize>,
}

impl Writer {
    pub(super) fn take(&mut self, line: &str) {
        if !self.is_over {
            self.lines += line;
            self.lines.push('\n');
        }
    }

    /// Takes a line that ends in these bytes.
    pub(super) fn take_with_text(&mut self, mut line: String, bytes: &[u8]) {
        push_text(&mut line, bytes);
        self.take(&line);
    }

    /// The lines since the last call of this.
    pub(super) fn lines(&mut self) -> String {
        mem::take(&mut self.lines)
    }

    fn flush(&mut self) {
        if let Some(file) = &mut self.file {
            self.is_over |= !file.write(&self.lines);
            self.lines.clear();
        }
    }

    /// What stands for a password hash.
    pub(super) fn handle(&mut self, hash: Option<&PasswordHash>) -> String {
        let Some(hash) = hash else {
            return "-".to_owned();
        };
        let key = Sha256::digest(hash.as_str()).into();
        let next = self.hashes.len();
        self.hashes.entry(key).or_insert(next).to_string()
    }
}

/// Writes down what a core is told and what it does. It has no `Debug`, for it holds keys.
pub struct Recorder {
    pub(super) writer: Rc<RefCell<Writer>>,
    keys: Keys,
    /// How much of a token each peer was told, by the connection's serial.
    told: BTreeMap<u32, Mask>,
    written_at: Option<Now>,
}

impl Recorder {
    /// A recorder that writes to `file`, if to any, for a server with these keys.
    pub(super) fn new(file: Option<FileSink>, keys: Keys) -> Recorder {
        let writer = Writer {
            file,
            ..Writer::default()
        };
        Recorder {
            writer: Rc::new(RefCell::new(writer)),
            keys,
            told: BTreeMap::new(),
            written_at: None,
        }
    }

    /// The lines that a recording begins with.
    pub(super) fn begin_file(&self, version: &str, config: &Config, seed: u64) {
        self.line(format_args!("{FIRST_LINE}"));
        self.line(format_args!("program {version}"));
        self.line(format_args!("seed {seed}"));
        for (name, text) in config.shown() {
            let line = format!("set {name} ");
            self.writer
                .borrow_mut()
                .take_with_text(line, text.as_bytes());
        }
    }

    /// The store, its answers written down.
    pub fn watch(&self, store: Box<dyn UserStore>) -> Box<dyn UserStore> {
        let writer = Rc::clone(&self.writer);
        Box::new(RecordingStore { store, writer })
    }

    /// What the core is to tell of its peers.
    pub(super) fn tap(&self) -> Box<dyn Tap> {
        let redactor = Redactor::new(self.keys.clone());
        Box::new(RecordingTap::new(Rc::clone(&self.writer), redactor))
    }

    /// A call at a moment.
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

    #[cold]
    pub(super) fn line(&self, line: fmt::Arguments<'_>) {
        match line.as_str() {
            Some(line) => self.writer.borrow_mut().take(line),
            None => self.writer.borrow_mut().take(&line.to_string()),
        }
    }

    /// What the core has for the outside.
    #[cold]
    pub(super) fn output(&mut self, now: Now, output: &Output) {
        match output {
            Output::Hash(HashJob {
                ticket, expected, ..
            }) => {
                let handle = self.writer.borrow_mut().handle(expected.as_ref());
                self.call(now, format_args!("job {ticket} {handle}"));
            }
            Output::Store(StoreJob::Seen(second)) => {
                self.call(now, format_args!("write seen {}", second.0));
            }
            Output::Store(StoreJob::Revoke(ticket, revocation)) => {
                let (id, until) = (quoted(&revocation.id), revocation.issued_until.0);
                self.call(now, format_args!("write {ticket} {id} {until}"));
            }
            Output::Summary(summary) => self.call(now, format_args!("summary {summary:?}")),
            // The text of a store's fault depends on the machine, so it is left out.
            Output::StoreNews(_) => self.call(now, format_args!("news")),
            Output::Report(report) => self.report(report),
        }
    }

    /// What the log is told, which may name what a peer sent.
    fn report(&self, report: &Report) {
        let mut text = format!("{report:?}").into_bytes();
        mask(&mut text);
        let line = "report ".to_owned();
        self.writer.borrow_mut().take_with_text(line, &text);
    }

    /// The connection has ended.
    pub(super) fn forget(&mut self, id: ConnectionId) {
        self.told.remove(&id.serial);
    }

    /// A peer took `count` bytes of these.
    #[cold]
    pub(super) fn wrote(
        &mut self,
        now: Now,
        id: ConnectionId,
        count: usize,
        full: bool,
        slices: &[IoSlice<'_>],
    ) {
        let told = self.told.entry(id.serial).or_default();
        let bytes = slices.iter().flat_map(|slice| slice.iter()).take(count);
        let seen: Vec<u8> = bytes.map(|byte| told.pass(*byte)).collect();
        let digest = hex(&Sha256::digest(seen)[..DIGEST_BYTES]);
        let full = if full { "full" } else { "more" };
        self.call(
            now,
            format_args!("wrote {} {count} {full} {digest}", Id(id)),
        );
    }

    /// Hands on what was written so far. Returns whether more is taken.
    pub(super) fn flush(&self) -> bool {
        let mut writer = self.writer.borrow_mut();
        writer.flush();
        !writer.is_over
    }

    /// The last line.
    pub(super) fn end(&mut self) {
        self.line(format_args!("{ENDED}"));
        self.flush();
    }
}

/// What a panic has left to be written.
impl Drop for Recorder {
    fn drop(&mut self) {
        self.flush();
    }
}

/// A connection as it is written: its slot and its serial.
pub(super) struct Id(pub(super) ConnectionId);

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.0.slot, self.0.serial)
    }
}

/// A connection, or none.
pub(super) struct MaybeId(pub(super) Option<ConnectionId>);

impl fmt::Display for MaybeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(id) => Id(id).fmt(f),
            None => f.write_str("-"),
        }
    }
}
