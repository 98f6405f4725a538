//! The one place where clocks are read.
#![expect(clippy::disallowed_methods, reason = "it is the one place")]

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::time::{Instant, Now, UnixSeconds};

pub(super) struct Clock {
    origin: std::time::Instant,
}

impl Clock {
    pub(super) fn start() -> Clock {
        Clock {
            origin: std::time::Instant::now(),
        }
    }

    /// Both clocks. A wall clock before 1970 counts as 1970: every token is refused then, by its
    /// `iat` or `nbf`, or lives on; none is let in for it.
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

    /// The one that nobody sets.
    pub(super) fn monotonic(&self) -> Instant {
        let micros = u64::try_from(self.origin.elapsed().as_micros()).unwrap_or(u64::MAX);
        Instant::from_micros(micros)
    }
}
