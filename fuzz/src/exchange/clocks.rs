//! The clocks of a script's world: the wall clock runs with the other one, and is set where the setting
//! says so.

use std::time::Duration;

use framegate::internals::time::{Instant, Now};

/// What the clocks read at any moment of a script.
pub(super) struct Clocks {
    /// Readings of both clocks, the first at the script's start. From each of them on the wall clock runs
    /// without a step, up to the next. There is at least one, and their instants do not go back.
    readings: Vec<Now>,
}

impl Clocks {
    /// Clocks that read `start` when the script begins, and that are set to each of `steps`.
    pub(super) fn new(start: Now, steps: &[Now]) -> Clocks {
        let mut readings = [&[start], steps].concat();
        readings.sort_by_key(|reading| reading.monotonic);
        Clocks { readings }
    }

    pub(super) fn start(&self) -> Now {
        self.readings[0]
    }

    /// Both clocks, when the one of deadlines reads `monotonic`.
    pub(super) fn at(&self, monotonic: Instant) -> Now {
        let before = self.readings_until(monotonic);
        let last = self.readings[before.max(1) - 1];
        let passed = monotonic.since(last.monotonic) + last.fraction;
        Now {
            monotonic,
            unix: last.unix.plus(passed.as_secs()),
            fraction: Duration::from_nanos(passed.subsec_nanos().into()),
        }
    }

    /// When the wall clock is set next, after `monotonic`.
    pub(super) fn next_step(&self, monotonic: Instant) -> Option<Instant> {
        let next = self.readings.get(self.readings_until(monotonic));
        next.map(|reading| reading.monotonic)
    }

    fn readings_until(&self, monotonic: Instant) -> usize {
        let is_until = |reading: &Now| reading.monotonic <= monotonic;
        self.readings.partition_point(is_until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use framegate::internals::time::UnixSeconds;

    #[test]
    fn the_wall_clock_runs_with_the_other_and_is_set() {
        let reading = |micros, unix, millis| Now {
            monotonic: Instant::from_micros(micros),
            unix: UnixSeconds(unix),
            fraction: Duration::from_millis(millis),
        };
        let clocks = Clocks::new(
            reading(1_000_000, 50, 750),
            &[reading(2_000_000, 40, 0), reading(3_000_000, 90, 500)],
        );
        for (micros, unix, millis) in [
            (1_000_000, 50, 750),
            (1_250_000, 51, 0),
            (1_999_000, 51, 749),
            (2_000_000, 40, 0),
            (2_999_000, 40, 999),
            (3_000_000, 90, 500),
            (3_500_000, 91, 0),
        ] {
            let at = Instant::from_micros(micros);
            assert_eq!(clocks.at(at), reading(micros, unix, millis));
        }
        let steps = [0, 1_000_000, 2_000_000, 3_000_000]
            .map(|micros| clocks.next_step(Instant::from_micros(micros)));
        let micros = steps.map(|step| step.map(Instant::as_micros));
        assert_eq!(
            micros,
            [Some(1_000_000), Some(2_000_000), Some(3_000_000), None]
        );
    }
}
