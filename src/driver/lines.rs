//! What the core reports, as lines of the log.

use std::fmt;

use crate::server::{Cause, Report, Summary, What};

use super::logger::escape;

pub(super) fn level_of(what: What) -> log::Level {
    match what {
        // A flood of strangers puts itself out, which the summary counts; a line each would be
        // the flood's.
        What::Refused(Cause::Evicted) => log::Level::Debug,
        What::Refused(_) | What::LoginFailed | What::Banned(_) => log::Level::Warn,
        What::LoggedIn => log::Level::Info,
        What::Closed(_) => log::Level::Debug,
    }
}

/// A report as a line of the log.
pub(super) struct Line<'a>(pub(super) &'a Report);

impl fmt::Display for Line<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Line(report) = self;
        if let (What::Banned(duration), Some(address)) = (report.what, report.peer.address) {
            return write!(f, "banned address={address} for={}s", duration.as_secs());
        }
        write!(
            f,
            "{} connection={} peer={}",
            report.what, report.connection.serial, report.peer
        )?;
        if let Some(user) = &report.user {
            write!(f, " user={}", escape(user))?;
        }
        if let What::Refused(cause) | What::Closed(cause) = report.what {
            write!(f, " reason={}", cause.word())?;
        }
        if let Some(event) = &report.event {
            write!(f, " event={}", escape(event))?;
        }
        Ok(())
    }
}

/// A summary as a line of the log.
pub(super) struct SummaryLine<'a>(pub(super) &'a Summary);

impl fmt::Display for SummaryLine<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let SummaryLine(summary) = self;
        write!(
            f,
            "last minute connections={} pending={} members={} held_bytes={} refused",
            summary.connections, summary.pending, summary.members, summary.held_bytes
        )?;
        for (reason, count) in &summary.refused {
            write!(f, " {reason}={count}")?;
        }
        Ok(())
    }
}
