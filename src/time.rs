//! The two clocks, as values. Nothing in here reads one: the driver does, and hands the
//! readings in, so that a run is decided by its inputs alone.

use std::fmt;
use std::num::NonZeroU64;
use std::ops::Add;
use std::time::Duration;

/// A reading of the monotonic clock, in microseconds since an origin the driver chose.
/// Every deadline is kept on this clock.
///
/// Kept as one more than it is, so that an optional one, of which every connection has many, takes
/// no more room. The last microsecond is the one before the last that fits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Instant(NonZeroU64);

impl Instant {
    /// The origin of the clock.
    pub const ORIGIN: Instant = Instant(NonZeroU64::MIN);

    /// The instant that lies `micros` microseconds after the origin.
    pub const fn from_micros(micros: u64) -> Instant {
        Instant(NonZeroU64::MIN.saturating_add(micros))
    }

    /// Microseconds since the origin.
    pub const fn as_micros(self) -> u64 {
        self.0.get() - 1
    }

    /// How long `earlier` lies back; zero when it lies ahead.
    pub const fn since(self, earlier: Instant) -> Duration {
        Duration::from_micros(self.0.get().saturating_sub(earlier.0.get()))
    }
}

impl Default for Instant {
    fn default() -> Instant {
        Instant::ORIGIN
    }
}

impl fmt::Debug for Instant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Instant").field(&self.as_micros()).finish()
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

/// RFC 3339 §5.6, in UTC: `2026-11-24T10:20:30Z`.
impl fmt::Display for UnixSeconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = date_of(self.0 / DAY_SECONDS);
        let second = self.0 % DAY_SECONDS;
        let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
        write!(
            f,
            "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z"
        )
    }
}

/// A second as HTTP writes it in `Date` (RFC 9110 §5.6.7, IMF-fixdate):
/// `Tue, 24 Nov 2026 10:20:30 GMT`.
#[derive(Clone, Copy, Debug)]
pub struct HttpDate(pub UnixSeconds);

impl fmt::Display for HttpDate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The first of January 1970 was a Thursday.
        const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
        const MONTHS: [&str; 12] = [
            "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
        ];
        let HttpDate(UnixSeconds(seconds)) = *self;
        let days = seconds / DAY_SECONDS;
        let (year, month, day) = date_of(days);
        let (weekday, month) = (DAYS[(days % 7) as usize], MONTHS[month as usize - 1]);
        let second = seconds % DAY_SECONDS;
        let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
        write!(
            f,
            "{weekday}, {day:02} {month} {year:04} {hour:02}:{minute:02}:{second:02} GMT"
        )
    }
}

const DAY_SECONDS: u64 = 24 * 3_600;

/// The date that lies `days` after 1970-01-01, in the Gregorian calendar. Years are counted
/// from March, so that the leap day is a year's last, and in eras of 400, which are all alike.
fn date_of(days: u64) -> (u64, u64, u64) {
    const ERA_DAYS: u64 = 146_097;
    // From 0000-03-01 to 1970-01-01.
    let days = days + 719_468;
    let (era, day) = (days / ERA_DAYS, days % ERA_DAYS);
    let leap_days = day / 1_460 - day / 36_524 + day / (ERA_DAYS - 1);
    let year = (day - leap_days) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    // From March on, five months are 153 days.
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let (month, carry) = if month < 10 {
        (month + 3, 0)
    } else {
        (month - 9, 1)
    };
    (era * 400 + year + carry, month, day)
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

    /// The instant at which the wall clock will have come to `second`, and never one before that;
    /// the present one exactly when it has.
    pub fn instant_of(self, second: UnixSeconds) -> Instant {
        // Of a microsecond that is left in part, the end counts.
        self.monotonic + (self.until(second) + Duration::from_nanos(999))
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
        let late = Instant::from_micros(u64::MAX - 1) + Duration::from_secs(1);
        assert_eq!(late.as_micros(), u64::MAX - 1);
        assert_eq!(Instant::ORIGIN.since(late), Duration::ZERO);
    }

    #[test]
    fn a_second_has_come_when_its_instant_has_and_not_before() {
        let second = UnixSeconds(100);
        for nanos_left in [0, 1, 999, 1_000, 1_001, 999_999_999] {
            let left = Duration::from_nanos(nanos_left);
            let now = Now {
                monotonic: Instant::from_micros(7),
                unix: UnixSeconds(if nanos_left > 0 { 99 } else { 100 }),
                fraction: (Duration::from_secs(1) - left) * u32::from(nanos_left > 0),
            };
            assert_eq!(now.until(second), left);
            let micros = 7 + nanos_left.div_ceil(1_000);
            assert_eq!(now.instant_of(second), Instant::from_micros(micros));
        }
    }

    #[test]
    fn unix_seconds_show_as_a_date_in_utc() {
        for (seconds, shown) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_399, "2000-02-28T23:59:59Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (951_868_800, "2000-03-01T00:00:00Z"),
            (1_795_515_630, "2026-11-24T10:20:30Z"),
            (4_107_542_399, "2100-02-28T23:59:59Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
            (253_402_300_799, "9999-12-31T23:59:59Z"),
        ] {
            assert_eq!(UnixSeconds(seconds).to_string(), shown);
        }
    }

    #[test]
    fn unix_seconds_show_as_http_writes_a_date() {
        for (seconds, shown) in [
            (0, "Thu, 01 Jan 1970 00:00:00 GMT"),
            // RFC 9110 §5.6.7.
            (784_111_777, "Sun, 06 Nov 1994 08:49:37 GMT"),
            (951_782_400, "Tue, 29 Feb 2000 00:00:00 GMT"),
            (1_795_515_630, "Tue, 24 Nov 2026 10:20:30 GMT"),
            (4_107_542_399, "Sun, 28 Feb 2100 23:59:59 GMT"),
            (253_402_300_799, "Fri, 31 Dec 9999 23:59:59 GMT"),
        ] {
            assert_eq!(HttpDate(UnixSeconds(seconds)).to_string(), shown);
        }
    }

    #[test]
    fn every_day_of_an_era_follows_the_one_before() {
        let mut before = date_of(0);
        for days in 1..146_097 {
            let date = date_of(days);
            let next_day = (date.0, date.1, date.2 - 1) == before;
            let next_month = date.2 == 1 && (28..=31).contains(&before.2);
            assert!(next_day || next_month, "{before:?} {date:?}");
            before = date;
        }
    }
}
