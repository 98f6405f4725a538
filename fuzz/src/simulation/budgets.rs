//! What one user may do over all its connections, as the model reckons it. After which of its frames
//! a connection ended cannot always be told, so a meter is known to lie between two bounds.

use framegate::internals::config::{Config, Rate};
use framegate::internals::server::CloseCause;

use super::link::{Expected, Link};
use super::model_messages::{Step, Told};
use super::people::{PEOPLE, id_of, user_of};
use super::world::World;

/// What every user has spent.
pub(super) struct Budgets {
    frames: Budget,
    message_bytes: Budget,
    deliveries: Budget,
    logins: Budget,
    /// The ticket of the next login that is not counted yet.
    next_ticket: u64,
    /// By user; the last is nobody.
    spent: [Spent; PEOPLE + 1],
}

#[derive(Clone, Copy, Default)]
struct Spent {
    frames: Meter,
    message_bytes: Meter,
    deliveries: Meter,
    logins: Meter,
}

/// When a user who kept exactly to a rate would be due again, in microseconds: not before `least`,
/// not after `most`.
#[derive(Clone, Copy, Default)]
struct Meter {
    least: u64,
    most: u64,
}

/// A rate and what may happen at once.
#[derive(Clone, Copy)]
struct Budget {
    rate: Rate,
    /// What one unit costs is rounded down where each is counted for itself, and up where many are.
    is_of_many: bool,
    burst: u64,
}

/// Whether something is within a budget.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Within,
    Beyond,
    /// Nobody can tell.
    Either,
}

/// How many there are: at the least, and at the most.
type Count = (u64, u64);

impl Budget {
    fn cost(self, units: u64) -> u64 {
        let period = self.rate.period.as_micros() as u64;
        match (u64::from(self.rate.count), self.is_of_many) {
            (0, _) => 0,
            (count, true) => (units * period).div_ceil(count),
            (count, false) => units * (period / count),
        }
    }

    /// So many units now. More than a whole burst may pass when nothing of it is used.
    fn judge(self, meter: Meter, now: u64, (least, most): Count) -> Verdict {
        let ahead_max = self.cost(self.burst);
        let may = |due: u64, units| {
            due.saturating_sub(now) + self.cost(units).min(ahead_max) <= ahead_max
        };
        match (may(meter.most, most), may(meter.least, least)) {
            (true, _) => Verdict::Within,
            (_, true) => Verdict::Either,
            _ => Verdict::Beyond,
        }
    }

    /// They happened, or may have.
    fn spend(self, meter: &mut Meter, now: u64, (least, most): Count, is_sure: bool) {
        let ahead_max = self.cost(self.burst);
        let cost = self.cost(most);
        // It passed only if it was within: then the meter was no further ahead than this.
        let before = meter
            .most
            .max(now)
            .min(now + ahead_max - cost.min(ahead_max));
        meter.most = meter.most.max(before + cost);
        if is_sure {
            meter.least = meter.least.max(now) + self.cost(least);
        }
    }
}

impl Budgets {
    pub(super) fn new(config: &Config) -> Budgets {
        let connections = config.connections_per_user_max as u32;
        let of_many = |rate, burst| Budget {
            rate,
            is_of_many: true,
            burst: u64::from(burst),
        };
        Budgets {
            frames: Budget {
                rate: Rate {
                    count: config.frame_rate.count * connections,
                    ..config.frame_rate
                },
                is_of_many: false,
                burst: u64::from(config.frame_burst * connections),
            },
            message_bytes: of_many(config.broadcast_rate, config.broadcast_burst_bytes),
            deliveries: of_many(config.delivery_rate, config.delivery_burst),
            logins: Budget {
                rate: config.login_rate,
                is_of_many: false,
                burst: u64::from(config.login_rate.count),
            },
            next_ticket: 0,
            spent: [Spent::default(); PEOPLE + 1],
        }
    }
}

impl World<'_> {
    fn spent(&mut self, user: usize) -> &mut Spent {
        &mut self.budgets.spent[user.min(PEOPLE)]
    }

    /// How many are logged in of whom `of` is true. Who ended in this step may have done so before
    /// or after.
    fn count_members(&self, told: &Told<'_>, of: impl Fn(usize) -> bool) -> Count {
        let is_there = |link: &&Link| link.member.is_some_and(|member| of(member.user));
        let all = self.links.iter().filter(is_there);
        let sure = all.clone().filter(|link| !told.ends(link.id)).count();
        (sure as u64, all.count() as u64)
    }

    /// The connection is about to be logged in: its user may have too many, or have said too much.
    pub(super) fn join(&mut self, user: usize, told: &mut Told<'_>) -> Result<Step, String> {
        let max = self.config.connections_per_user_max as u64;
        let (sure, all) = self.count_members(told, |other| other == user);
        if told.own_cause() == Some(CloseCause::TooManyConnections) && max > 0 && all >= max {
            self.end_own(told, None)?;
            return Ok(Step::Ended);
        }
        if max > 0 && sure >= max && !told.is_doubtful {
            return Err("a user has too many connections".to_owned());
        }
        let verdict = self.count_user_frame(user, told);
        self.apply_rate(verdict, told)
    }

    /// Counts a frame against the rate of its user.
    pub(super) fn count_user_frame(&mut self, user: usize, told: &Told<'_>) -> Verdict {
        let (now, budget) = (self.now.monotonic.as_micros(), self.budgets.frames);
        let meter = &mut self.spent(user).frames;
        let verdict = budget.judge(*meter, now, (1, 1));
        if verdict != Verdict::Beyond {
            let is_sure = verdict == Verdict::Within && !told.is_doubtful;
            budget.spend(meter, now, (1, 1), is_sure);
        }
        verdict
    }

    /// Counts the logins whose passwords the server took in this turn against the rate of their ids.
    /// One that made room for another in the same turn is not seen.
    pub(super) fn count_logins(&mut self) -> Result<(), String> {
        let (now, next) = (self.now.monotonic.as_micros(), self.budgets.next_ticket);
        let budget = self.budgets.logins;
        for (ticket, id) in self
            .turn
            .core
            .logins()
            .filter(|(ticket, _)| *ticket >= next)
        {
            self.budgets.next_ticket = ticket + 1;
            let meter = &mut self.budgets.spent[user_of(id).min(PEOPLE)].logins;
            if budget.judge(*meter, now, (1, 1)) == Verdict::Beyond {
                return Err(format!(
                    "more passwords of {id} are checked than its rate allows"
                ));
            }
            budget.spend(meter, now, (1, 1), true);
        }
        Ok(())
    }

    /// A frame that is beyond a rate ends its connection, and no other does.
    pub(super) fn apply_rate(
        &mut self,
        verdict: Verdict,
        told: &mut Told<'_>,
    ) -> Result<Step, String> {
        let own = told.own_cause();
        let is_limited = matches!(
            own,
            Some(CloseCause::RateLimited | CloseCause::UserRateLimited)
        );
        match verdict {
            Verdict::Beyond if is_limited => {
                self.end_own(told, None)?;
                Ok(Step::Ended)
            }
            Verdict::Beyond if !told.is_doubtful => Err("a frame too many was taken".to_owned()),
            // It may be this frame, or a later one.
            Verdict::Either => {
                told.is_doubtful |= is_limited;
                Ok(Step::On)
            }
            _ => Ok(Step::On),
        }
    }

    /// Charges a message to its sender's user: its bytes as they are sent to each, and how many
    /// they are.
    pub(super) fn charge_message(
        &mut self,
        from: usize,
        to: Option<usize>,
        data: &str,
        told: &Told<'_>,
    ) -> Verdict {
        let bytes = message_bytes(from, to, data);
        let bytes = (bytes, bytes);
        let deliveries = self.count_members(told, |user| to.is_none_or(|to| to == user));
        let now = self.now.monotonic.as_micros();
        let (per_byte, per_delivery) = (self.budgets.message_bytes, self.budgets.deliveries);
        let spent = self.spent(from);
        let verdict = match (
            per_byte.judge(spent.message_bytes, now, bytes),
            per_delivery.judge(spent.deliveries, now, deliveries),
        ) {
            (Verdict::Within, Verdict::Within) => Verdict::Within,
            (Verdict::Beyond, _) | (_, Verdict::Beyond) => Verdict::Beyond,
            _ => Verdict::Either,
        };
        // Either is charged only where both are granted.
        if verdict != Verdict::Beyond {
            let is_sure = verdict == Verdict::Within && !told.is_doubtful;
            per_byte.spend(&mut spent.message_bytes, now, bytes, is_sure);
            per_delivery.spend(&mut spent.deliveries, now, deliveries, is_sure);
        }
        verdict
    }

    /// A message beyond its budget is told to its sender alone, and the connection goes on.
    pub(super) fn owe_limit(&mut self, index: usize, id: Option<u32>, told: &Told<'_>) {
        self.links[index].owe(Expected::Limit { id }, !told.is_doubtful);
    }
}

/// How long the frame is that everybody gets (RFC 6455 §5.2: two bytes ahead of a short payload, four
/// ahead of a longer one).
fn message_bytes(from: usize, to: Option<usize>, data: &str) -> u64 {
    let from = id_of(from);
    let to = to.map_or(String::new(), |to| format!(r#""to":"{}","#, id_of(to)));
    let payload = format!(r#"{{"event":"message","from":"{from}",{to}"data":{data}}}"#).len();
    let header = if payload <= 125 { 2 } else { 4 };
    (header + payload) as u64
}
