//! What the log is told of the user store: a fault once, and its end.

use std::collections::VecDeque;
use std::time::Duration;

use crate::app::users::{Changes, StoreError};
use crate::time::Instant;

/// How long the same fault of a store that answers otherwise is not told again.
const TELL_INTERVAL: Duration = Duration::from_secs(60);
/// News that wait to be taken; more are not kept.
const NEWS_MAX: usize = 8;

/// What became of the user store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreNews {
    /// It failed, so that somebody cannot be confirmed.
    Failed(StoreError),
    /// It answers again.
    Answers,
}

/// Tells faults and their end, each once.
#[derive(Debug, Default)]
pub(super) struct StoreReporter {
    waiting: VecDeque<StoreNews>,
    /// The fault that was told last, and when.
    told: Option<(StoreError, Instant)>,
    /// True while nobody can be confirmed.
    is_failing: bool,
    looked_at: Instant,
}

impl StoreReporter {
    /// The store was asked whether anything changed.
    pub(super) fn note_look(&mut self, now: Instant, changed: &Result<Changes, StoreError>) {
        self.looked_at = now;
        match changed {
            Err(fault) => {
                self.is_failing = true;
                self.note_fault(fault);
            }
            // Before it has succeeded once, or between two looks, nothing is asked.
            Ok(Changes::None) => {}
            Ok(_) if self.is_failing => {
                self.is_failing = false;
                self.told = None;
                self.tell(StoreNews::Answers);
            }
            Ok(_) => {}
        }
    }

    /// A question to the store failed.
    pub(super) fn note_fault(&mut self, fault: &StoreError) {
        let is_old = |at: &Instant| !self.is_failing && self.looked_at.since(*at) >= TELL_INTERVAL;
        match &self.told {
            Some((told, at)) if told == fault && !is_old(at) => {}
            _ => {
                self.told = Some((fault.clone(), self.looked_at));
                self.tell(StoreNews::Failed(fault.clone()));
            }
        }
    }

    /// What is to be told next.
    pub(super) fn next(&mut self) -> Option<StoreNews> {
        self.waiting.pop_front()
    }

    fn tell(&mut self, news: StoreNews) {
        if self.waiting.len() < NEWS_MAX {
            self.waiting.push_back(news);
        }
    }
}
