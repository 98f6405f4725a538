//! Hostile failures score against their address; an address past its score is banned, each time
//! for twice as long, to an hour. What a ban is for is in [`CloseCause::is_hostile`](crate::server::CloseCause::is_hostile).

use std::time::Duration;

use crate::config::{Config, Rate};
use crate::limits::BAN_MAX;
use crate::network::AddressKey;
use crate::time::Instant;

use crate::server::parts::bounded_map::{BoundedMap, Evictable};
use crate::server::parts::rate_limits::{Meter, RateLimit};

const MINUTE: Duration = Duration::from_secs(60);

/// When an address is banned, and for how long at first.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BanRule {
    /// Hostile failures an address may have; `None` when nobody is banned.
    score: Option<RateLimit>,
    first: Duration,
}

impl BanRule {
    /// As the settings say.
    pub(crate) fn new(config: &Config) -> BanRule {
        let rate = Rate {
            count: config.ban_after,
            period: MINUTE,
        };
        BanRule {
            score: (rate.count > 0).then(|| RateLimit::new(rate, rate.count)),
            first: config.ban_for,
        }
    }
}

/// Scores and bans by address. Keys are the addresses that caps count by.
#[derive(Debug)]
pub(crate) struct Bans {
    records: BoundedMap<Record>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Record {
    score: Meter,
    /// Banned while this lies ahead.
    until: Instant,
    /// How long the last ban was; the next is twice that.
    last: Duration,
}

impl Evictable for Record {
    fn until(&self) -> Instant {
        self.score.until().max(self.until + self.last)
    }
}

impl Bans {
    /// Nobody is banned. `seed` keeps peers from choosing addresses that collide.
    pub(crate) fn new(seed: u64) -> Bans {
        Bans {
            records: BoundedMap::new(seed),
        }
    }

    /// True while the address is banned. O(1), and changes nothing.
    pub(crate) fn is_banned(&self, rule: &BanRule, address: AddressKey, now: Instant) -> bool {
        let is_banned = |record: &Record| record.until > now;
        rule.score.is_some() && self.records.get(&address).is_some_and(is_banned)
    }

    /// How much of the address's ban is left; zero when it is not banned.
    pub(crate) fn left(&self, address: AddressKey, now: Instant) -> Duration {
        let record = self.records.get(&address);
        record.map_or(Duration::ZERO, |record| record.until.since(now))
    }

    /// True when the address is more than half on its way to a ban, or banned.
    pub(crate) fn is_suspect(&self, rule: &BanRule, address: AddressKey, now: Instant) -> bool {
        rule.score.is_some_and(|limit| {
            let record = self.records.get(&address);
            record.is_some_and(|it| it.until > now || limit.is_half_used(it.score, now))
        })
    }

    /// Counts a hostile failure. Returns how long the address is banned for, when this one was
    /// one too many.
    pub(crate) fn count(
        &mut self,
        rule: &BanRule,
        address: AddressKey,
        now: Instant,
    ) -> Option<Duration> {
        let limit = rule.score?;
        let record = self.records.entry(&address);
        if record.until > now || limit.admit(&mut record.score, now).is_ok() {
            return None;
        }
        // An address that kept away for as long as the last ban begins anew.
        let begins_anew = record.last.is_zero() || record.until + record.last <= now;
        record.last = if begins_anew {
            rule.first
        } else {
            (record.last * 2).min(BAN_MAX)
        };
        record.until = now + record.last;
        Some(record.last)
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use super::*;

    fn rule() -> BanRule {
        BanRule::new(&Config::default())
    }

    fn mallory() -> AddressKey {
        AddressKey::from(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 66)))
    }

    fn at(seconds: u64) -> Instant {
        Instant::from_micros(seconds * 1_000_000)
    }

    #[test]
    fn one_failure_past_the_score_bans_and_the_ban_ends() {
        let mut bans = Bans::new(1);
        for _ in 0..20 {
            assert_eq!(bans.count(&rule(), mallory(), at(1)), None);
        }
        assert!(!bans.is_banned(&rule(), mallory(), at(1)));
        assert_eq!(
            bans.count(&rule(), mallory(), at(1)),
            Some(Duration::from_secs(60))
        );
        assert_eq!(bans.left(mallory(), at(31)), Duration::from_secs(30));
        assert!(bans.is_banned(&rule(), mallory(), at(60)));
        assert!(!bans.is_banned(&rule(), mallory(), at(61)));
        assert!(!bans.is_banned(&rule(), IpAddr::V4(Ipv4Addr::LOCALHOST).into(), at(1)));
    }

    #[test]
    fn bans_double_to_an_hour_for_those_who_come_back_and_begin_anew_for_those_who_kept_away() {
        let mut bans = Bans::new(1);
        let mut now = 1;
        let mut ban = |now| {
            (0..100)
                .find_map(|_| bans.count(&rule(), mallory(), at(now)))
                .expect("a ban")
                .as_secs()
        };
        for expected in [60, 120, 240, 480, 960, 1_920, 3_600, 3_600] {
            assert_eq!(ban(now), expected);
            now += expected + 1;
        }
        assert_eq!(ban(now + 3_700), 60);
    }

    #[test]
    fn a_ban_is_the_first_again_for_whoever_kept_away_for_as_long_as_the_last() {
        for (away, expected) in [(59, 120), (60, 60)] {
            let mut bans = Bans::new(1);
            let mut ban = |now| (0..100).find_map(|_| bans.count(&rule(), mallory(), at(now)));
            let first = ban(1).expect("a ban").as_secs();
            let second = ban(1 + first + away).expect("a ban").as_secs();
            assert_eq!((first, second), (60, expected));
        }
    }

    #[test]
    fn failures_that_are_few_ban_nobody() {
        let mut bans = Bans::new(1);
        for minute in 0..200 {
            for _ in 0..15 {
                assert_eq!(bans.count(&rule(), mallory(), at(minute * 60)), None);
            }
        }
    }

    #[test]
    fn a_crowd_of_others_does_not_wash_out_a_ban() {
        let mut bans = Bans::new(1);
        while bans.count(&rule(), mallory(), at(1)).is_none() {}
        for other in 0..20_000 {
            let other = IpAddr::V4(Ipv4Addr::from(0x0A00_0000 + other));
            bans.count(&rule(), other.into(), at(2));
        }
        assert!(bans.is_banned(&rule(), mallory(), at(2)));
    }

    #[test]
    fn half_the_score_makes_a_suspect() {
        let mut bans = Bans::new(1);
        for _ in 0..10 {
            bans.count(&rule(), mallory(), at(1));
        }
        assert!(!bans.is_suspect(&rule(), mallory(), at(1)));
        bans.count(&rule(), mallory(), at(1));
        assert!(bans.is_suspect(&rule(), mallory(), at(1)));
        assert!(!bans.is_suspect(&rule(), mallory(), at(30)));
    }
}
