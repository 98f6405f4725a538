//! What waits to be told to the log.

use std::collections::VecDeque;
use std::time::Duration;

use crate::server::answers::report::{Report, ReportKind};
use crate::time::Instant;

/// How often the same mistake in a configuration is told.
const NOTICE_INTERVAL: Duration = Duration::from_secs(60);

/// Reports in their order, and when each notice was given.
#[derive(Debug, Default)]
pub(crate) struct Reports {
    waiting: VecDeque<Report>,
    notices: Notices,
}

impl Reports {
    /// The report is to be told. O(1).
    pub(crate) fn push(&mut self, report: Report) {
        self.waiting.push_back(report);
    }

    /// True when the notice is to be given now, and counts it as given: of each kind there is one in
    /// each [`NOTICE_INTERVAL`].
    pub(crate) fn is_due(&mut self, now: Instant, what: ReportKind) -> bool {
        self.notices.is_due(now, what)
    }

    /// The next to be told. O(1).
    pub(crate) fn next(&mut self) -> Option<Report> {
        self.waiting.pop_front()
    }
}

/// When each notice was given last: of each kind there is one a minute.
#[derive(Debug, Default)]
struct Notices {
    client_unnamed_at: Option<Instant>,
    header_unnamed_at: Option<Instant>,
    pending_full_at: Option<Instant>,
    forwarded_ignored_at: Option<Instant>,
}

impl Notices {
    /// True when the notice is to be given now.
    fn is_due(&mut self, now: Instant, what: ReportKind) -> bool {
        let last = match what {
            ReportKind::ClientUnnamed => &mut self.client_unnamed_at,
            ReportKind::HeaderUnnamed => &mut self.header_unnamed_at,
            ReportKind::PendingFull => &mut self.pending_full_at,
            ReportKind::ForwardedIgnored => &mut self.forwarded_ignored_at,
            _ => return true,
        };
        let is_due = last.is_none_or(|last| last + NOTICE_INTERVAL <= now);
        if is_due {
            *last = Some(now);
        }
        is_due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_each_kind_of_notice_one_is_due_a_minute() {
        let kinds = [
            ReportKind::ClientUnnamed,
            ReportKind::HeaderUnnamed,
            ReportKind::PendingFull,
            ReportKind::ForwardedIgnored,
        ];
        let at = |seconds| Instant::ORIGIN + Duration::from_secs(seconds);
        let mut reports = Reports::default();
        for (second, is_due) in [(0, true), (0, false), (59, false), (60, true), (60, false)] {
            for kind in kinds {
                assert!(kind.is_notice());
                assert_eq!(reports.is_due(at(second), kind), is_due, "{kind:?}");
            }
        }
    }
}
