//! What the log is told, and what counts against an address.
//!
//! Promises that each refusal is counted once, and that a hostile one counts towards a ban of its
//! address (contract §4, "Hostile failures"). Refuses to know what a line of the log looks like:
//! the driver writes it.

use std::rc::Rc;

use crate::network::AddressKey;
use crate::server::answers::report::{Report, ReportKind};
use crate::server::connection::{ConnectionId, Peer};
use crate::server::core::Core;
use crate::time::Now;

impl Core {
    /// Reports an event of the connection to the log. A refusal is counted as well, and one for a
    /// hostile cause counts against the connection's address.
    pub(crate) fn report(&mut self, now: Now, key: u32, what: ReportKind, event: Option<&str>) {
        let user = self.members.user(key).map(|user| Rc::clone(&user.id));
        self.report_of(now, key, what, event, user);
    }

    /// As [`Core::report`], of a `user` who need not be logged in on the connection.
    pub(crate) fn report_of(
        &mut self,
        now: Now,
        key: u32,
        what: ReportKind,
        event: Option<&str>,
        user: Option<Rc<str>>,
    ) {
        if let ReportKind::Refused(cause) = what {
            self.counters.count(cause.word());
            if cause.is_hostile() {
                // How the connection ends depends on it: only those that failed for a hostile cause
                // are reset.
                self.sessions[key].is_hostile = true;
                self.count_hostile(now, key);
            }
        }
        self.reports.push(Report {
            what,
            connection: self.sessions.id(key),
            peer: self.sessions[key].peer,
            user,
            // The peer chose this text, and its length.
            event: event.map(Into::into),
        });
    }

    /// Reports that something seems to be configured wrongly, here or at a proxy; once a minute at
    /// most, since each request may show it again.
    pub(crate) fn notice(&mut self, now: Now, key: u32, what: ReportKind) {
        if self.reports.is_due(now.monotonic, what) {
            self.report(now, key, what, None);
        }
    }

    /// Counts a hostile failure against the connection's address, which may ban it. Nothing is
    /// counted for a connection that counts by no address.
    pub(crate) fn count_hostile(&mut self, now: Now, key: u32) {
        if let Some(address) = self.sessions[key].counted_address() {
            let (id, peer) = (self.sessions.id(key), self.sessions[key].peer);
            self.count_hostile_of(now, id, peer, address);
        }
    }

    /// As [`Core::count_hostile`], for a connection that may have ended.
    pub(crate) fn count_hostile_of(
        &mut self,
        now: Now,
        connection: ConnectionId,
        peer: Peer,
        address: AddressKey,
    ) {
        let is_exempt = |address| self.is_ban_exempt(address);
        if peer.address.is_some_and(is_exempt) {
            return;
        }
        let duration = self.bans.count(&self.policy.bans, address, now.monotonic);
        if let Some(duration) = duration {
            self.counters.count("ban");
            // A report of its own: fail2ban and the like look for this line (docs/operations.md).
            self.reports.push(Report {
                what: ReportKind::Banned(duration),
                connection,
                peer,
                user: None,
                event: None,
            });
        }
    }
}
