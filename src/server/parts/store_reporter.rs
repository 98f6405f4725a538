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
    /// It still fails, now for this reason.
    Remains(StoreError),
    /// It answers again.
    Answers,
}

/// Tells faults and their end, each once.
#[derive(Debug, Default)]
pub(crate) struct StoreReporter {
    waiting: VecDeque<StoreNews>,
    /// The fault that was told last, and when.
    told: Option<(StoreError, Instant)>,
    /// True while nobody can be confirmed.
    is_failing: bool,
    looked_at: Instant,
}

impl StoreReporter {
    /// The store was asked whether anything changed.
    pub(crate) fn note_look(&mut self, now: Instant, changed: &Result<Changes, StoreError>) {
        self.looked_at = now;
        match changed {
            Err(fault) => {
                if !self.is_failing {
                    // A fault of one user's was another matter.
                    self.told = None;
                }
                self.is_failing = true;
                self.note_fault(fault);
            }
            // Nor does a look that came too early to ask say that it answers.
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
    pub(crate) fn note_fault(&mut self, fault: &StoreError) {
        let is_old = |at: &Instant| !self.is_failing && self.looked_at.since(*at) >= TELL_INTERVAL;
        let news = match &self.told {
            Some((told, at)) if told == fault && !is_old(at) => return,
            Some(_) if self.is_failing => StoreNews::Remains(fault.clone()),
            _ => StoreNews::Failed(fault.clone()),
        };
        self.told = Some((fault.clone(), self.looked_at));
        self.tell(news);
    }

    /// What is to be told next.
    pub(crate) fn next(&mut self) -> Option<StoreNews> {
        self.waiting.pop_front()
    }

    fn tell(&mut self, news: StoreNews) {
        if self.waiting.len() < NEWS_MAX {
            self.waiting.push_back(news);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(reporter: &mut StoreReporter) -> Vec<StoreNews> {
        std::iter::from_fn(|| reporter.next()).collect()
    }

    #[test]
    fn a_fault_is_told_once_its_new_reason_too_and_its_end() {
        let mut reporter = StoreReporter::default();
        let at = |seconds| Instant::ORIGIN + Duration::from_secs(seconds);
        for second in 0..200 {
            reporter.note_look(at(second), &Err(StoreError::Io));
            reporter.note_fault(&StoreError::Io);
        }
        assert_eq!(told(&mut reporter), [StoreNews::Failed(StoreError::Io)]);
        for second in 200..400 {
            reporter.note_look(at(second), &Err(StoreError::Full));
        }
        assert_eq!(told(&mut reporter), [StoreNews::Remains(StoreError::Full)]);
        reporter.note_look(at(400), &Ok(Changes::None));
        assert_eq!(told(&mut reporter), []);
        reporter.note_look(at(400), &Ok(Changes::All));
        reporter.note_look(at(401), &Ok(Changes::All));
        assert_eq!(told(&mut reporter), [StoreNews::Answers]);
        reporter.note_look(at(402), &Err(StoreError::Full));
        assert_eq!(told(&mut reporter), [StoreNews::Failed(StoreError::Full)]);
    }

    #[test]
    fn a_fault_of_one_user_is_told_once_a_minute() {
        let mut reporter = StoreReporter::default();
        let corrupt = StoreError::Corrupt { path: "x".into() };
        let mut all = Vec::new();
        for second in 0..=120 {
            reporter.note_look(
                Instant::ORIGIN + Duration::from_secs(second),
                &Ok(Changes::None),
            );
            for _ in 0..100 {
                reporter.note_fault(&corrupt);
            }
            all.extend(told(&mut reporter));
        }
        let failed = StoreNews::Failed(corrupt);
        assert_eq!(all, [failed.clone(), failed.clone(), failed]);
    }

    #[test]
    fn of_news_that_nobody_takes_the_first_are_kept() {
        let mut reporter = StoreReporter::default();
        let faults = Vec::from_iter((0..=NEWS_MAX).map(|number| StoreError::Corrupt {
            path: number.to_string().into(),
        }));
        faults.iter().for_each(|fault| reporter.note_fault(fault));
        let first = faults[..NEWS_MAX].iter().cloned().map(StoreNews::Failed);
        assert_eq!(told(&mut reporter), Vec::from_iter(first));
    }
}
