//! The two clocks, as values. Nothing in here reads one: the driver does, and hands the
//! readings in, so that a run is decided by its inputs alone.

use std::ops::Add;
use std::time::Duration;

/// A reading of the monotonic clock, in microseconds since an origin the driver chose.
/// Every deadline is kept on this clock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Instant(u64);

impl Instant {
    /// The origin of the clock.
    pub const ORIGIN: Instant = Instant(0);

    /// The instant that lies `micros` microseconds behind the origin.
    pub const fn from_micros(micros: u64) -> Instant {
        Instant(micros)
    }

    /// Microseconds since the origin.
    pub const fn as_micros(self) -> u64 {
        self.0
    }

    /// How long `earlier` lies back; zero when it lies ahead.
    pub const fn since(self, earlier: Instant) -> Duration {
        Duration::from_micros(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Duration> for Instant {
    type Output = Instant;

    fn add(self, duration: Duration) -> Instant {
        let micros = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        Instant(self.0.saturating_add(micros))
    }
}

/// A reading of the wall clock, in seconds since 1970-01-01T00:00:00Z: a NumericDate
/// (RFC 7519 §2) without a fraction. Claims are judged on this clock, deadlines never.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct UnixSeconds(pub u64);

impl UnixSeconds {
    /// This second, `seconds` later.
    pub const fn plus(self, seconds: u64) -> UnixSeconds {
        UnixSeconds(self.0.saturating_add(seconds))
    }
}

/// Both clocks, read together once a turn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Now {
    /// The clock of deadlines.
    pub monotonic: Instant,
    /// The clock of claims.
    pub unix: UnixSeconds,
    /// How much of the second `unix` has gone by; less than one second.
    pub fraction: Duration,
}

impl Now {
    /// How long until the wall clock reads `second`; zero when it has come.
    pub fn until(self, second: UnixSeconds) -> Duration {
        Duration::from_secs(second.0.saturating_sub(self.unix.0)).saturating_sub(self.fraction)
    }

    /// What the wall clock read when the monotonic clock stood at its origin, in microseconds
    /// since 1970. Constant for as long as nobody sets the wall clock.
    pub fn origin_unix_micros(self) -> i128 {
        let unix = i128::from(self.unix.0) * 1_000_000 + self.fraction.as_micros() as i128;
        unix - i128::from(self.monotonic.as_micros())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instant_saturates_instead_of_wrapping() {
        let late = Instant::from_micros(u64::MAX) + Duration::from_secs(1);
        assert_eq!(late.as_micros(), u64::MAX);
        assert_eq!(Instant::ORIGIN.since(late), Duration::ZERO);
    }
}
