//! The last phase of a run, in which nothing goes wrong any more and everything must come right.

use std::net::Ipv4Addr;
use std::time::Duration;

use super::client_bytes::{self, ClientFrame, Event};
use super::link::{PeerKind, Stage};
use super::people::PEOPLE;
use super::world::World;

/// How the peers that are left go in the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Parting {
    /// They say nothing more, until the server ends them.
    Silence,
    /// They send their FIN.
    Fin,
}

impl World<'_> {
    /// Nothing goes wrong any more: what was said arrives, what is owed comes, newcomers are
    /// served, and in the end nobody and nothing is left.
    pub(super) fn come_right(&mut self, parting: Parting) -> Result<(), String> {
        self.fail_store(0);
        self.sockets.is_kind = true;
        for index in 0..self.links.len() {
            self.links[index].end.borrow_mut().room = usize::MAX / 2;
            self.tell_writable(index);
        }
        self.turn()?;
        self.deliver_all()?;
        self.pass_time(Duration::from_secs(1))?;
        self.check_owed()?;
        self.serve_newcomers()?;
        while self.jobs.front().is_some() {
            self.hash()?;
        }
        match parting {
            Parting::Silence => self.fall_silent()?,
            Parting::Fin => self.hang_up()?,
        }
        self.pass_time(Duration::from_secs(2))?;
        if (0..PEOPLE).any(|user| self.people.is_voided_here(user)) {
            return Err("a logout never came to the disk".to_owned());
        }
        match (self.links.len(), self.turn.core.held_bytes()) {
            (0, 0) => self.turn.core.audit(),
            (links, bytes) => Err(format!(
                "{links} connections and {bytes} bytes are left: {:?}",
                self.links
            )),
        }
    }

    fn fall_silent(&mut self) -> Result<(), String> {
        // Who took much is given the time to read it.
        let caught_up_at = self.links.iter().map(|link| link.caught_up_at).max();
        let reading = caught_up_at.map_or(Duration::ZERO, |at| at.since(self.now.monotonic));
        self.pass_time(reading + self.config.ping_interval + self.config.pong_timeout)
    }

    fn hang_up(&mut self) -> Result<(), String> {
        for id in self.links.iter().map(|link| link.id).collect::<Vec<_>>() {
            if let Some(index) = self.link(id) {
                self.finish(index)?;
            }
        }
        Ok(())
    }

    fn deliver_all(&mut self) -> Result<(), String> {
        for id in self.links.iter().map(|link| link.id).collect::<Vec<_>>() {
            if let Some(index) = self.link(id) {
                self.deliver(index, usize::MAX)?;
            }
        }
        Ok(())
    }

    /// All who are there have heard what they were owed.
    fn check_owed(&self) -> Result<(), String> {
        let is_owing = |link: &&super::link::Link| {
            !link.is_over() && link.owed.iter().any(|owed| owed.is_sure)
        };
        match self.links.iter().find(is_owing) {
            Some(link) => Err(format!("{link:?} was never told all it is owed")),
            None => Ok(()),
        }
    }

    /// Two honest people come from an address nobody has seen, and one hears the other.
    fn serve_newcomers(&mut self) -> Result<(), String> {
        let user = 0;
        // The user's connections go, of which there may be too many.
        self.people.remove(user, self.now.monotonic);
        self.pass_time(Duration::from_secs(2))?;
        self.people.add(user, self.now.monotonic);
        // What was revoked while the clock stood elsewhere stays so for the id: the clock comes to
        // where it has an end.
        self.set_wall_clock(self.people.issue_date(user, self.now))?;
        self.pass_time(Duration::from_millis(60))?;
        let address = Ipv4Addr::new(10, 9, 9, 9);
        for _ in 0..2 {
            let Some(index) = self.connect(address, PeerKind::Honest)? else {
                // There may be members in every place.
                return Ok(());
            };
            let pass = self.people.pass(user, self.now);
            self.links[index].pass = Some(pass.clone());
            self.links[index].say(client_bytes::upgrade(Some(pass), false));
            self.deliver(index, usize::MAX)?;
        }
        let index = self.links.len() - 1;
        if self.links[index].stage != Stage::Open {
            return Err("a newcomer is not let in".to_owned());
        }
        let frame = ClientFrame {
            id: Some(self.next_number()),
            pass: self.links[index].pass.clone(),
            event: Event::Message {
                nonce: self.next_nonce,
                to: None,
            },
            pad: 0,
        };
        let script = client_bytes::text(frame, &mut self.choice);
        self.links[index].say(script);
        self.deliver(index, usize::MAX)?;
        self.check_owed()
    }
}
