//! What the core reports, as lines of the log.
//!
//! Promises that what a peer chose stands in quotes, so that it can pass for no word of ours
//! (contract §5.9), and that each line of a kind has the same form: fail2ban and the like read them
//! (docs/operations.md). Refuses to know where lines go.

use std::fmt;

use crate::server::{CloseCause, Report, ReportKind, Summary};

use super::logger::{PEERS, quoted};
use crate::limits::{CLOCK_AHEAD_SECONDS_MIN, VOID_SECONDS_UNTOLD};

/// Returns how loud a report is.
pub(super) fn level_of(what: ReportKind) -> log::Level {
    match what {
        // A flood of newcomers puts out its own; the summary counts that, and a line for each would
        // let the flood write the log. A browser may connect ahead and find nothing to ask.
        ReportKind::Refused(CloseCause::Evicted | CloseCause::NoRequest) => log::Level::Debug,
        ReportKind::Refused(_) | ReportKind::LoginFailed(_) | ReportKind::Banned(_) => {
            log::Level::Warn
        }
        ReportKind::ClientUnnamed
        | ReportKind::HeaderUnnamed
        | ReportKind::PendingFull
        | ReportKind::ForwardedIgnored => log::Level::Warn,
        // A few seconds pass by themselves. A longer time is the fault of a clock.
        ReportKind::TokensVoid { wait_seconds, .. } if wait_seconds <= VOID_SECONDS_UNTOLD => {
            log::Level::Warn
        }
        ReportKind::TokensVoid { .. } => log::Level::Error,
        ReportKind::LoggedIn => log::Level::Info,
        ReportKind::Closed(_) => log::Level::Debug,
    }
}

/// Returns what a line is logged under. `LOG_RATE` bounds the lines that peers cause, but a ban is
/// told whatever else there is to tell: other programs act on it.
pub(super) fn target_of(what: ReportKind) -> &'static str {
    match what {
        ReportKind::Banned(_) => module_path!(),
        what if what.is_notice() => module_path!(),
        _ => PEERS,
    }
}

/// A report as a line of the log.
pub(super) struct Line<'a>(pub(super) &'a Report);

impl fmt::Display for Line<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Line(report) = self;
        // A line of its own form, without any word of a peer: a program reads it.
        if let ReportKind::Banned(duration) = report.what {
            match report.peer.address {
                Some(address) => write!(f, "banned address={address}")?,
                None => write!(f, "banned peer={}", report.peer)?,
            }
            return write!(f, " for={}s", duration.as_secs());
        }
        write!(
            f,
            "{} connection={} peer={}",
            report.what, report.connection.serial, report.peer
        )?;
        if let Some(user) = &report.user {
            write!(f, " user={}", quoted(user))?;
        }
        if let ReportKind::Refused(cause) | ReportKind::Closed(cause) = report.what {
            write!(f, " reason={}", cause.word())?;
        }
        if let ReportKind::LoginFailed(failure) = report.what {
            write!(f, " reason={}", failure.word())?;
        }
        if let ReportKind::TokensVoid {
            until,
            wait_seconds,
        } = report.what
        {
            write!(f, " until={until} wait={wait_seconds}s: ")?;
            f.write_str(match wait_seconds {
                seconds if seconds <= VOID_SECONDS_UNTOLD => {
                    "the user's tokens were revoked a moment ago"
                }
                seconds if seconds <= CLOCK_AHEAD_SECONDS_MIN => {
                    "put the clock right, or wait if it is right"
                }
                _ => "put the clock right, or run `framegate user revoke` if it is right",
            })?;
        }
        if let Some(event) = &report.event {
            write!(f, " event={}", quoted(event))?;
        }
        Ok(())
    }
}

/// A summary of the last minute as a line of the log.
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::server::{ConnectionId, LoginFailure, Peer};
    use crate::time::UnixSeconds;

    const FAILED: ReportKind = ReportKind::LoginFailed(LoginFailure::WrongPassword);

    fn line(what: ReportKind, address: &str, user: &str) -> String {
        let report = Report {
            what,
            connection: ConnectionId { slot: 0, serial: 7 },
            peer: Peer {
                address: Some(address.parse().unwrap()),
                port: 5_000,
                user: None,
            },
            user: Some(user.into()),
            event: Some("a b=c".into()),
        };
        Line(&report).to_string()
    }

    /// docs/operations.md has a pattern for it, which tests/fail2ban runs.
    #[test]
    fn a_ban_is_told_with_an_address_of_either_family() {
        let banned = ReportKind::Banned(Duration::from_secs(60));
        for address in ["203.0.113.9", "2001:db8::9"] {
            let line = line(banned, address, "alice");
            assert_eq!(line, format!("banned address={address} for=60s"));
        }
        let report = Report {
            what: banned,
            connection: ConnectionId { slot: 0, serial: 7 },
            peer: Peer::on_unix_socket(Some(1_000)),
            user: None,
            event: None,
        };
        let line = Line(&report).to_string();
        assert_eq!(line, "banned peer=unix:1000 for=60s");
        assert_ne!(target_of(banned), PEERS);
        assert_eq!(target_of(FAILED), PEERS);
    }

    #[test]
    fn a_login_that_must_wait_is_told_with_how_long_and_why() {
        let void = |wait_seconds| ReportKind::TokensVoid {
            until: UnixSeconds(1_795_515_630),
            wait_seconds,
        };
        for (wait_seconds, level, advice) in [
            (
                3,
                log::Level::Warn,
                "the user's tokens were revoked a moment ago",
            ),
            (
                61,
                log::Level::Error,
                "put the clock right, or wait if it is right",
            ),
            (
                864_000,
                log::Level::Error,
                "put the clock right, or run `framegate user revoke` if it is right",
            ),
        ] {
            let what = void(wait_seconds);
            assert_eq!(level_of(what), level);
            let line = line(what, "192.0.2.1", "alice");
            let told = format!("Z wait={wait_seconds}s: {advice} event=");
            assert!(line.starts_with("no token to give connection=7 "), "{line}");
            assert!(line.contains(&told), "{line}");
        }
    }

    #[test]
    fn what_a_peer_wrote_stands_in_quotes() {
        let forged = "WARN banned address=203.0.113.9 for=60s\" reason=x\nWARN";
        assert_eq!(
            line(FAILED, "192.0.2.1", forged),
            "login failed connection=7 peer=192.0.2.1:5000 \
             user=\"WARN banned address=203.0.113.9 for=60s\\\" reason=x\\nWARN\" reason=wrong_password \
             event=\"a b=c\""
        );
        let line = line(ReportKind::LoggedIn, "192.0.2.1", "alice");
        assert!(line.contains(" user=\"alice\" "), "{line}");
    }
}
