//! What was refused, dropped, banned and evicted, counted by reason. The labels are words of
//! ours, a closed set; no peer can add one.

use std::collections::BTreeMap;
use std::mem;
use std::time::Duration;

use crate::time::Instant;

/// How often what was refused is summed up in the log.
const SUMMARY_INTERVAL: Duration = Duration::from_secs(60);

/// Counts by reason.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    /// Those of summaries past.
    total: BTreeMap<&'static str, u64>,
    /// Those since the last summary.
    recent: BTreeMap<&'static str, u64>,
    /// The last summary, or the last moment at which there was nothing to sum up.
    summed_at: Instant,
}

/// What was refused in the last minute, and who is there now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    /// Counts by reason, in the order of the alphabet; none of them zero.
    pub refused: BTreeMap<&'static str, u64>,
    /// Connections, those that are ending included.
    pub connections: usize,
    /// Those not yet logged in.
    pub pending: usize,
    /// Those logged in.
    pub members: usize,
    /// Bytes held for peers.
    pub held_bytes: usize,
}

impl Counters {
    /// One more. O(log reasons).
    pub(crate) fn count(&mut self, reason: &'static str) {
        *self.recent.entry(reason).or_default() += 1;
    }

    /// All counts since the start.
    pub(crate) fn totals(&self) -> BTreeMap<&'static str, u64> {
        let mut totals = self.total.clone();
        add(&mut totals, &self.recent);
        totals
    }

    /// When the next summary is due, if there is anything to sum up.
    pub(crate) fn summary_at(&self) -> Option<Instant> {
        (!self.recent.is_empty()).then_some(self.summed_at + SUMMARY_INTERVAL)
    }

    /// While there is nothing to sum up, the minute of the next summary begins now.
    pub(crate) fn begin_minute(&mut self, now: Instant) {
        if self.recent.is_empty() {
            self.summed_at = now;
        }
    }

    /// The counts since the last summary, a minute after the first of them.
    pub(crate) fn sum_up(&mut self, now: Instant) -> Option<BTreeMap<&'static str, u64>> {
        if self.recent.is_empty() || now < self.summed_at + SUMMARY_INTERVAL {
            return None;
        }
        self.summed_at = now;
        let recent = mem::take(&mut self.recent);
        add(&mut self.total, &recent);
        Some(recent)
    }
}

fn add(sums: &mut BTreeMap<&'static str, u64>, counts: &BTreeMap<&'static str, u64>) {
    for (reason, count) in counts {
        *sums.entry(reason).or_default() += count;
    }
}
