//! Rates, by the generic cell rate algorithm: a meter is one instant, the moment at which a peer
//! that kept exactly to its rate would be due again. No timer refills anything.

use std::hash::Hash;
use std::time::Duration;

use crate::config::Rate;
use crate::time::Instant;

use crate::server::parts::bounded_map::{BoundedMap, Evictable};

/// How often something may happen, and how often at once.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RateLimit {
    /// What one event costs, in microseconds; zero when there is no bound.
    interval_micros: u64,
    /// So many units, or none when there is no bound, in each period.
    rate: Rate,
    /// How far a meter may run ahead of the clock, in microseconds.
    ahead_micros_max: u64,
}

/// What one peer has used up of a [`RateLimit`].
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Meter(Instant);

impl RateLimit {
    pub(crate) fn new(rate: Rate, burst: u32) -> RateLimit {
        let period = u64::try_from(rate.period.as_micros()).unwrap_or(u64::MAX);
        let interval_micros = period.checked_div(u64::from(rate.count)).unwrap_or(0);
        RateLimit {
            interval_micros,
            rate,
            ahead_micros_max: interval_micros.saturating_mul(u64::from(burst.max(1))),
        }
    }

    /// A limit of many small units, such as bytes, for [`spend`](RateLimit::spend).
    pub(crate) fn of_units(rate: Rate, burst: u32) -> RateLimit {
        let mut limit = RateLimit::new(rate, burst);
        let whole = limit.cost(u64::from(burst.max(1))).as_micros();
        limit.ahead_micros_max = u64::try_from(whole).unwrap_or(u64::MAX);
        limit
    }

    /// Counts one event. O(1).
    ///
    /// # Errors
    /// When it is one too many: how long to wait. It is not counted then.
    pub(crate) fn admit(&self, meter: &mut Meter, now: Instant) -> Result<(), Duration> {
        // Twice for each frame: in microseconds throughout, since a `Duration` divides by a million.
        let (due_micros, now_micros) = (meter.0.as_micros(), now.as_micros());
        let ahead_micros = due_micros.saturating_sub(now_micros) + self.interval_micros;
        if ahead_micros > self.ahead_micros_max {
            let wait_micros = ahead_micros - self.ahead_micros_max;
            return Err(Duration::from_micros(wait_micros));
        }
        meter.0 = Instant::from_micros(now_micros.saturating_add(ahead_micros));
        Ok(())
    }

    /// What the meter comes to when so many units happen now. O(1).
    ///
    /// More units than a whole burst may happen at once when nothing of the burst is used: what
    /// exceeds it is waited for afterwards.
    ///
    /// # Errors
    /// When they are too many: how long to wait.
    pub(crate) fn spend(&self, meter: Meter, now: Instant, units: u64) -> Result<Meter, Duration> {
        let cost = self.cost(units);
        let ahead_max = Duration::from_micros(self.ahead_micros_max);
        let needed = meter.0.since(now) + cost.min(ahead_max);
        match needed <= ahead_max {
            true => Ok(Meter(meter.0.max(now) + cost)),
            false => Err(needed - ahead_max),
        }
    }

    /// What so many units cost, rounded up; nothing when there is no bound.
    fn cost(&self, units: u64) -> Duration {
        let period = u64::try_from(self.rate.period.as_micros()).unwrap_or(u64::MAX);
        let micros = match self.rate.count {
            0 => 0,
            count => units.saturating_mul(period).div_ceil(u64::from(count)),
        };
        Duration::from_micros(micros)
    }

    /// True when more than half of what may happen at once has happened.
    pub(crate) fn is_half_used(&self, meter: Meter, now: Instant) -> bool {
        meter.0.since(now) > Duration::from_micros(self.ahead_micros_max / 2)
    }
}

impl Evictable for Meter {
    fn until(&self) -> Instant {
        self.0
    }
}

/// Meters by a key that peers choose.
#[derive(Debug)]
pub(crate) struct Meters {
    table: BoundedMap<Meter>,
}

impl Meters {
    /// Nothing was metered. `seed` keeps peers from choosing keys that collide.
    pub(crate) fn new(seed: u64) -> Meters {
        Meters {
            table: BoundedMap::new(seed),
        }
    }

    /// Counts one event of `key`. O(1).
    ///
    /// # Errors
    /// When it is one too many: how long to wait. It is not counted then.
    pub(crate) fn admit(
        &mut self,
        limit: &RateLimit,
        key: &impl Hash,
        now: Instant,
    ) -> Result<(), Duration> {
        limit.admit(self.table.entry(key), now)
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
        let limit = RateLimit::new(rate(100, 1), 200);
        let mut meter = Meter::default();
        for _ in 0..200 {
            limit
                .admit(&mut meter, at(1_000))
                .expect("within the burst");
        }
        let wait = limit
            .admit(&mut meter, at(1_000))
            .expect_err("past the burst");
        assert_eq!(wait, Duration::from_millis(10));
        limit
            .admit(&mut meter, at(1_010))
            .expect("one more after its interval");
        limit.admit(&mut meter, at(1_010)).expect_err("but not two");
    }

    #[test]
    fn units_are_spent_to_the_last_one_of_the_burst_and_come_back_with_time() {
        let limit = RateLimit::of_units(rate(64 * 1_024, 1), 256 * 1_024);
        let fresh = Meter::default();
        let spent = limit.spend(fresh, at(1), 200 * 1_024).expect("within");
        let full = limit.spend(spent, at(1), 56 * 1_024).expect("all of it");
        let wait = limit.spend(full, at(1), 32 * 1_024).expect_err("more");
        assert_eq!(wait, Duration::from_millis(500));
        limit.spend(full, at(501), 32 * 1_024).expect("waited");
        limit
            .spend(full, at(501), 32 * 1_024 + 1)
            .expect_err("one more");
    }

    #[test]
    fn more_than_a_burst_happens_once_and_is_waited_for_afterwards() {
        let limit = RateLimit::of_units(rate(20, 1), 40);
        let spent = limit.spend(Meter::default(), at(0), 100).expect("at rest");
        let wait = limit.spend(spent, at(0), 1).expect_err("it is owed");
        assert_eq!(wait, Duration::from_millis(3_050));
        let one = limit.spend(spent, at(3_050), 1).expect("waited");
        limit.spend(one, at(3_050), 100).expect_err("not at rest");
    }

    #[test]
    fn a_rate_of_zero_lets_any_number_of_units_pass() {
        let limit = RateLimit::of_units(rate(0, 1), 1);
        let meter = Meter::default();
        limit.spend(meter, at(1), u64::MAX).expect("no bound");
    }

    #[test]
    fn a_rate_of_zero_bounds_nothing() {
        let limit = RateLimit::new(rate(0, 1), 1);
        let mut meter = Meter::default();
        for _ in 0..100_000 {
            limit.admit(&mut meter, at(1)).expect("no bound");
        }
    }

    #[test]
    fn keys_are_metered_apart() {
        let limit = RateLimit::new(rate(10, 60), 10);
        let mut meters = Meters::new(42);
        for _ in 0..10 {
            meters.admit(&limit, &"alice", at(1)).expect("ten a minute");
        }
        meters
            .admit(&limit, &"alice", at(1))
            .expect_err("the eleventh");
        meters.admit(&limit, &"bob", at(1)).expect("somebody else");
    }

    #[test]
    fn a_crowd_of_newcomers_does_not_wash_out_the_one_who_is_throttled() {
        let limit = RateLimit::new(rate(10, 60), 10);
        let mut meters = Meters::new(42);
        while meters.admit(&limit, &"mallory", at(1)).is_ok() {}
        for stranger in 0..20_000 {
            let _ = meters.admit(&limit, &stranger, at(2));
        }
        meters
            .admit(&limit, &"mallory", at(2))
            .expect_err("still throttled");
    }
}
