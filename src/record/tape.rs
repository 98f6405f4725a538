//! The tape: what is written down of each call, and of what came of it.
//!
//! ```text
//! @ 1204711 1795490265 330118000        the clocks, where they moved
//! receive 0.3 180                       a call of the core
//! + payload 0.3 412 {"event":"login"…   what a peer sent, once it was whole
//! = user "alice" 1795490001 enabled …   what the store was asked, and its answer
//! > over                                what the call returned
//! ```

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt::{self, Write as _};
use std::io::IoSlice;
use std::rc::Rc;

use sha2::{Digest, Sha256};

use super::mask::mask;
use super::paper::{Paper, hex, push_text};
use super::scrub::Scrubber;
use super::store::Watched;
use super::stream::{Bounds, Kind, Piece, Stream};
use crate::app::password::PasswordHash;
use crate::app::users::UserStore;
use crate::config::Config;
use crate::gate::{Keys, ReplayTokens};
use crate::server::{ConnectionId, Report};
use crate::time::Now;

/// The first line: what follows is read by these rules.
pub(super) const FIRST_LINE: &str = "framegate recording 1";
/// Bytes of a hash of what left; as many as a person compares.
const DIGEST_BYTES: usize = 8;

/// The lines, and what all who write them share.
pub(super) struct Sheet {
    paper: Box<dyn Paper>,
    /// Every password hash so far, by its own hash, with the number that stands for it.
    hashes: BTreeMap<[u8; 32], usize>,
}

impl Sheet {
    pub(super) fn take(&mut self, line: &str) {
        self.paper.take(line);
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
pub struct Tape {
    sheet: Rc<RefCell<Sheet>>,
    scrubber: Scrubber,
    /// By the connection's serial.
    streams: BTreeMap<u32, Stream>,
    bounds: Bounds,
    written_at: Option<Now>,
}

impl Tape {
    /// A tape on `paper`, for a server with these settings and keys.
    pub(super) fn new(paper: Box<dyn Paper>, config: &Config, keys: Keys) -> Tape {
        let hashes = BTreeMap::new();
        Tape {
            sheet: Rc::new(RefCell::new(Sheet { paper, hashes })),
            scrubber: Scrubber::new(ReplayTokens::new(keys)),
            streams: BTreeMap::new(),
            bounds: Bounds::of(config),
            written_at: None,
        }
    }

    /// The lines that a recording begins with.
    pub(super) fn begin_file(&self, version: &str, config: &Config, seed: u64) {
        self.line(format_args!("{FIRST_LINE}"));
        self.line(format_args!("program {version}"));
        self.line(format_args!("seed {seed}"));
        for (name, text) in config.shown() {
            let mut shown = String::new();
            push_text(&mut shown, text.as_bytes());
            self.line(format_args!("set {name} {shown}"));
        }
    }

    /// The store, its answers written down.
    pub fn watch(&self, store: Box<dyn UserStore>) -> Box<dyn UserStore> {
        let sheet = Rc::clone(&self.sheet);
        Box::new(Watched { store, sheet })
    }

    /// A call at a moment.
    pub(super) fn call(&mut self, now: Now, call: fmt::Arguments<'_>) {
        if self.written_at != Some(now) {
            self.written_at = Some(now);
            let (monotonic, unix) = (now.monotonic.as_micros(), now.unix.0);
            let fraction = now.fraction.as_nanos();
            self.line(format_args!("@ {monotonic} {unix} {fraction}"));
        }
        self.line(call);
    }

    pub(super) fn line(&self, line: fmt::Arguments<'_>) {
        match line.as_str() {
            Some(line) => self.sheet.borrow_mut().take(line),
            None => self.sheet.borrow_mut().take(&line.to_string()),
        }
    }

    /// What the log is told, which may name what a peer sent.
    pub(super) fn report(&self, report: &Report) {
        let mut text = format!("report {report:?}").into_bytes();
        mask(&mut text);
        let mut line = String::new();
        push_text(&mut line, &text);
        self.sheet.borrow_mut().take(&line);
    }

    pub(super) fn handle(&self, hash: Option<&PasswordHash>) -> String {
        self.sheet.borrow_mut().handle(hash)
    }

    /// A connection begins.
    pub(super) fn begin(&mut self, id: ConnectionId, is_proxy: bool) {
        let stream = Stream::new(is_proxy, self.bounds);
        self.streams.insert(id.serial, stream);
    }

    /// Bytes came, which the core has not yet seen.
    pub(super) fn receive(&mut self, now: Now, id: ConnectionId, bytes: &[u8]) {
        self.call(now, format_args!("receive {} {}", Id(id), bytes.len()));
        if let Some(stream) = self.streams.get_mut(&id.serial) {
            let mut out = |piece: Piece<'_>| write_piece(&self.sheet, id, piece);
            stream.take(bytes, &self.scrubber, &mut out);
        }
    }

    /// Nothing of the connection is read any longer.
    pub(super) fn over(&mut self, id: ConnectionId) {
        if let Some(stream) = self.streams.get_mut(&id.serial) {
            stream.end(&mut |piece| write_piece(&self.sheet, id, piece));
        }
    }

    /// The connection has ended.
    pub(super) fn forget(&mut self, id: ConnectionId) {
        self.over(id);
        self.streams.remove(&id.serial);
    }

    /// A peer took `count` bytes of these.
    pub(super) fn wrote(
        &mut self,
        now: Now,
        id: ConnectionId,
        count: usize,
        full: bool,
        slices: &[IoSlice<'_>],
    ) {
        let mut left = count;
        let mut hash = Sha256::new();
        let mut told = self
            .streams
            .get_mut(&id.serial)
            .map(|stream| &mut stream.told);
        for slice in slices {
            let taken = left.min(slice.len());
            left -= taken;
            let mut bytes = slice[..taken].to_vec();
            if let Some(told) = &mut told {
                bytes.iter_mut().for_each(|byte| *byte = told.pass(*byte));
            }
            hash.update(bytes);
        }
        let digest = hex(&hash.finalize()[..DIGEST_BYTES]);
        let full = if full { "full" } else { "more" };
        self.call(
            now,
            format_args!("wrote {} {count} {full} {digest}", Id(id)),
        );
    }

    /// Hands on what was written so far. Returns whether more is taken.
    pub(super) fn flush(&self) -> bool {
        let paper = &mut self.sheet.borrow_mut().paper;
        paper.flush();
        !paper.is_full()
    }

    /// The last line.
    pub(super) fn end(&mut self, why: &str) {
        self.line(format_args!("end {why}"));
        self.flush();
    }
}

/// What a panic has left to be written.
impl Drop for Tape {
    fn drop(&mut self) {
        self.flush();
    }
}

fn write_piece(sheet: &RefCell<Sheet>, id: ConnectionId, piece: Piece<'_>) {
    let kind = match piece.kind {
        Kind::Plain => "plain",
        Kind::Header => "header",
        Kind::Payload => "payload",
    };
    let mut line = format!("+ {kind} {} {} ", Id(id), piece.at);
    push_text(&mut line, piece.bytes);
    sheet.borrow_mut().take(&line);
}

/// A connection as it is written: its slot and its serial.
pub(super) struct Id(pub(super) ConnectionId);

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.0.slot, self.0.serial)
    }
}

/// A connection, or none.
pub(super) fn show(id: Option<ConnectionId>) -> String {
    let mut text = String::new();
    // A String takes every character.
    let _ = match id {
        Some(id) => write!(text, "{}", Id(id)),
        None => write!(text, "-"),
    };
    text
}
