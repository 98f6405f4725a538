//! Rates, by the generic cell rate algorithm: a meter is one instant, the moment at which a peer
//! that kept exactly to its rate would be due again. No timer refills anything.

use std::hash::Hash;
use std::time::Duration;

use crate::config::Rate;
use crate::time::Instant;

use super::table::{Remembered, Table};

/// How often something may happen, and how often at once.
#[derive(Clone, Copy, Debug)]
pub(super) struct Allowance {
    /// What one event costs, in microseconds; zero when there is no bound.
    interval_micros: u64,
    /// How far a meter may run ahead of the clock, in microseconds.
    ahead_micros_max: u64,
}

/// What one peer has used up of an [`Allowance`].
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Meter(Instant);

impl Allowance {
    pub(super) fn new(rate: Rate, burst: u32) -> Allowance {
        let period = u64::try_from(rate.period.as_micros()).unwrap_or(u64::MAX);
        let interval_micros = period.checked_div(u64::from(rate.count)).unwrap_or(0);
        Allowance {
            interval_micros,
            ahead_micros_max: interval_micros.saturating_mul(u64::from(burst.max(1))),
        }
    }

    /// Counts one event. O(1).
    ///
    /// # Errors
    /// When it is one too many: how long to wait. It is not counted then.
    pub(super) fn admit(&self, meter: &mut Meter, now: Instant) -> Result<(), Duration> {
        let due = meter.0.max(now) + Duration::from_micros(self.interval_micros);
        let ahead = due.since(now);
        let ahead_max = Duration::from_micros(self.ahead_micros_max);
        if ahead > ahead_max {
            return Err(ahead - ahead_max);
        }
        meter.0 = due;
        Ok(())
    }

    /// True when more than half of what may happen at once has happened.
    pub(super) fn is_half_used(&self, meter: Meter, now: Instant) -> bool {
        meter.0.since(now) > Duration::from_micros(self.ahead_micros_max / 2)
    }
}

impl Remembered for Meter {
    fn until(&self) -> Instant {
        self.0
    }
}

/// Meters by a key that peers choose.
#[derive(Debug)]
pub(super) struct Meters {
    allowance: Allowance,
    table: Table<Meter>,
}

impl Meters {
    pub(super) fn new(allowance: Allowance, seed: u64) -> Meters {
        Meters {
            allowance,
            table: Table::new(seed),
        }
    }

    /// Counts one event of `key`. O(1).
    ///
    /// # Errors
    /// When it is one too many: how long to wait. It is not counted then.
    pub(super) fn admit(&mut self, key: &impl Hash, now: Instant) -> Result<(), Duration> {
        self.allowance.admit(self.table.entry(key), now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rate(count: u32, seconds: u64) -> Rate {
        Rate {
            count,
            period: Duration::from_secs(seconds),
        }
    }

    fn at(millis: u64) -> Instant {
        Instant::from_micros(millis * 1_000)
    }

    #[test]
    fn a_burst_passes_and_one_more_does_not() {
        let allowance = Allowance::new(rate(100, 1), 200);
        let mut meter = Meter::default();
        for _ in 0..200 {
            allowance
                .admit(&mut meter, at(1_000))
                .expect("within the burst");
        }
        let wait = allowance
            .admit(&mut meter, at(1_000))
            .expect_err("past the burst");
        assert_eq!(wait, Duration::from_millis(10));
        allowance
            .admit(&mut meter, at(1_010))
            .expect("one more after its interval");
        allowance
            .admit(&mut meter, at(1_010))
            .expect_err("but not two");
    }

    #[test]
    fn a_rate_of_zero_bounds_nothing() {
        let allowance = Allowance::new(rate(0, 1), 1);
        let mut meter = Meter::default();
        for _ in 0..100_000 {
            allowance.admit(&mut meter, at(1)).expect("no bound");
        }
    }

    #[test]
    fn keys_are_metered_apart() {
        let mut meters = Meters::new(Allowance::new(rate(10, 60), 10), 42);
        for _ in 0..10 {
            meters.admit(&"alice", at(1)).expect("ten a minute");
        }
        meters.admit(&"alice", at(1)).expect_err("the eleventh");
        meters.admit(&"bob", at(1)).expect("somebody else");
    }

    #[test]
    fn a_crowd_of_newcomers_does_not_wash_out_the_one_who_is_throttled() {
        let mut meters = Meters::new(Allowance::new(rate(10, 60), 10), 42);
        while meters.admit(&"mallory", at(1)).is_ok() {}
        for stranger in 0..20_000 {
            let _ = meters.admit(&stranger, at(2));
        }
        meters
            .admit(&"mallory", at(2))
            .expect_err("still throttled");
    }
}
