//! The one place where clocks are read. Everything else is told the time, so that the same inputs
//! at the same times give the same outputs (contract §5.8).
#![expect(clippy::disallowed_methods, reason = "it is the one place")]

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::time::{Instant, Now, UnixSeconds};

/// Both clocks: the wall clock, by which tokens are judged, and the monotonic one, by which
/// deadlines are.
pub(super) struct Clock {
    origin: std::time::Instant,
}

impl Clock {
    /// Begins the monotonic clock at its origin.
    pub(super) fn start() -> Clock {
        Clock {
            origin: std::time::Instant::now(),
        }
    }

    /// Reads both clocks. A wall clock before 1970 counts as 1970: every token is then refused by
    /// its `iat` or `nbf`, or lives on; none becomes good by it.
    pub(super) fn now(&self) -> Now {
        let unix = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        Now {
            monotonic: self.monotonic(),
            unix: UnixSeconds(unix.as_secs()),
            fraction: Duration::from_nanos(u64::from(unix.subsec_nanos())),
        }
    }

    /// Reads the clock that nobody can set: deadlines hold whatever happens to the wall clock.
    pub(super) fn monotonic(&self) -> Instant {
        let micros = u64::try_from(self.origin.elapsed().as_micros()).unwrap_or(u64::MAX);
        Instant::from_micros(micros)
    }
}
