//! The states of connections, as a fuzzer is told them: how far a connection has come, what of a request or
//! a frame has begun, what waits to be written, and why its peer was last refused or closed.

use std::fmt;

use framegate::internals::server::{Peer, Report, ReportKind};

use super::PEERS;

/// Numbers that [`State::number`] may be, a bound for a table of counters.
pub const STATES: usize = 16 * 1_024;

/// A state of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct State {
    /// How far it has come.
    pub phase: &'static str,
    /// What has begun and is not finished.
    pub begun: &'static str,
    /// What waits to be written.
    pub waiting: &'static str,
    /// Why the peer was last refused, or its connection closed.
    pub last_cause: &'static str,
}

impl State {
    pub(super) fn new(standing: [&'static str; 3], last_cause: &'static str) -> State {
        let [phase, begun, waiting] = standing;
        State {
            phase,
            begun,
            waiting,
            last_cause,
        }
    }

    /// A number below [`STATES`], nearly always another for another state: FNV-1a over its words.
    pub fn number(&self) -> usize {
        let words = [self.phase, self.begun, self.waiting, self.last_cause];
        let bytes = words.iter().flat_map(|word| word.bytes().chain([0]));
        let hash = bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3)
        });
        (hash ^ hash >> 32) as usize % STATES
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let State {
            phase,
            begun,
            waiting,
            last_cause,
        } = self;
        write!(
            f,
            "{phase}; begun: {begun}; to write: {waiting}; last: {last_cause}"
        )
    }
}

/// Why each peer was last refused, or its connection closed.
#[derive(Default)]
pub(super) struct LastCauses([Option<&'static str>; PEERS as usize]);

impl LastCauses {
    pub(super) fn note(&mut self, who: &[Peer], report: &Report) {
        let (ReportKind::Refused(cause) | ReportKind::Closed(cause)) = report.what else {
            return;
        };
        for (last, peer) in self.0.iter_mut().zip(who) {
            if *peer == report.peer {
                *last = Some(cause.word());
            }
        }
    }

    pub(super) fn of(&self, peer: usize) -> &'static str {
        self.0[peer].unwrap_or("none")
    }
}
